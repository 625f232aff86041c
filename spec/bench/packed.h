/* spec/bench/packed.h -- the load's side of permessage-deflate.
**
** What a server that compresses sends is known only as far as what it means:
** each connection takes frames apart, decompresses and compares.  Whole
** messages, compressed or not, in one frame each; anything else ends the
** program.
*/
#ifndef BENCH_PACKED_H
#define BENCH_PACKED_H

#include "ring.h"

struct packed;

/* A connection whose first answer is the ring's message `first`; never NULL,
** and for as long as the program lives. */
struct packed *packed_open(const struct ring *ring, size_t first);

/* n more bytes came: how many messages ended there. */
size_t packed_ends(struct packed *p, const uint8_t *bytes, size_t n);

/* How many times the bytes of all that came are those that zlib makes with its
** defaults: level 6, 15 bits, memLevel 8, the window taken over. */
double packed_larger(const struct packed *p);

#endif
