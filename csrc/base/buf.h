/* base/buf.h -- a byte queue in one piece, with a limit.
**
** For bytes that must lie side by side although they came apart: a message
** put together from its fragments, an HTTP head, the rest of a read.  Bytes
** are written into room() and kept by commit(), read by peek() and dropped by
** skip().  It grows with the bytes that really came, never with what a peer
** announces (threats: allocation by claimed length), by doubling, so n bytes
** in any number of pieces cost O(n).
**
** The caller keeps the struct; the bytes are on the heap from the first room
** to free.  An emptied buffer keeps its memory: whoever wants idle things to
** cost nothing calls free, which leaves a buffer ready for use.
*/
#ifndef WS_BASE_BUF_H
#define WS_BASE_BUF_H

#include "base/base.h"
#include "base/err.h"
#include "base/mem.h"

struct ws_buf {
    /* private */
    uint8_t *p;  /* cap bytes, or NULL */
    size_t head; /* first byte not yet skipped */
    size_t tail; /* end of the bytes */
    size_t cap;  /* bytes at p */
    size_t max;  /* most bytes held at once; 0: no limit */
};

void ws_buf_init(struct ws_buf *b, size_t max);

/* Drops bytes and memory and keeps the limit; twice is fine. */
void ws_buf_free(struct ws_buf *b, struct ws_mem *mem);

/* Another limit, at least the bytes held; 0: none.  Memory that is there
** already stays. */
static inline void ws_buf_limit(struct ws_buf *b, size_t max)
{
    b->max = max;
}

/* Bytes held. */
static inline size_t ws_buf_size(const struct ws_buf *b)
{
    return b->tail - b->head;
}

/* Bytes that fit behind the last one without growing. */
static inline size_t ws_buf_left(const struct ws_buf *b)
{
    return b->cap - b->tail;
}

/* At least `want` writable bytes behind the last one, or more when there is
** room anyway, but never more than the limit leaves.  Valid until the next
** call on b.  WS_OK; WS_ERR_LIMIT when the limit leaves less than want;
** WS_ERR_NOMEM.  Whatever it answers, the bytes held stay as they are; they
** may move. */
int ws_buf_room(struct ws_buf *b, struct ws_mem *mem, size_t want,
                struct ws_span *out);

/* The first n bytes of the last room now belong to the queue. */
void ws_buf_commit(struct ws_buf *b, size_t n);

/* room, copy and commit in one; codes as for room.  s is not part of b. */
int ws_buf_append(struct ws_buf *b, struct ws_mem *mem, struct ws_slice s);

/* All bytes held; valid until the next room, append or free. */
struct ws_slice ws_buf_peek(const struct ws_buf *b);

/* The same, writable. */
struct ws_span ws_buf_span(struct ws_buf *b);

/* Drops the first n bytes (n <= size). */
void ws_buf_skip(struct ws_buf *b, size_t n);

#endif
