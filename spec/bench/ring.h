/* spec/bench/ring.h -- masked frames, and what a server must answer to them.
**
** Frames of equal length lie one behind the other, each with its own key and
** content, so that many leave in one send; beside them their echoes as a
** server sends them: unmasked, whole, in the same order.
*/
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stddef.h>
#include <stdint.h>

/* ASCII words; records with some multi-byte characters; little else. */
enum kind { BINARY, ASCII, MIXED, DENSE };

struct ring {
    uint8_t *frames;  /* n of them, frame_n bytes each */
    uint8_t *answers; /* n of them, answer_n bytes each */
    size_t n, frame_n, answer_n;
};

/* Messages of size bytes.  With raw the answers are the frames themselves.
** Lives as long as the program; 0, or -1 without memory. */
int make_ring(struct ring *r, enum kind kind, size_t size, int raw);

#endif
