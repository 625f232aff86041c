/* spec/bench/ring.h -- masked frames, and what a server must answer to them.
**
** Frames lie one behind the other, each with its own key and content, so that
** many leave in one send; beside them their echoes as a server sends them:
** unmasked, whole, in the same order, none of them compressed.
*/
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stddef.h>
#include <stdint.h>

/* ASCII words; records with some multi-byte characters; little else. */
enum kind { BINARY, ASCII, MIXED, DENSE };

/* As they are; the answers are the frames themselves; compressed with zlib's
** defaults, each on its own (RFC 7692 7.2.1). */
enum packing { PLAIN, RAW_FRAMES, PACKED };

struct ring {
    uint8_t *frames;  /* n of them */
    size_t *at;       /* where each begins, and the end: n + 1 */
    uint8_t *answers; /* n of them, answer_n bytes each, `size` its payload */
    size_t n, answer_n, size;
};

/* Messages of size bytes.  Lives as long as the program; 0, or -1 without
** memory. */
int make_ring(struct ring *r, enum kind kind, size_t size, enum packing how);

/* A message's payload. */
static inline const uint8_t *ring_text(const struct ring *r, size_t i)
{
    return r->answers + (i + 1) * r->answer_n - r->size;
}

#endif
