/* base/buf.c -- growing and moving of the byte queue.
**
** Two rules keep the cost per byte constant.  Bytes are moved to the front
** only when at least as many were skipped before them; else the memory is
** doubled.  And memory is doubled up to the limit while nothing is skipped,
** up to twice the limit otherwise: there the first rule always applies.
*/
#include "base/buf.h"

enum { FIRST_CAP = 64 };

void ws_buf_init(struct ws_buf *b, size_t max)
{
    b->p = NULL;
    b->head = 0;
    b->tail = 0;
    b->cap = 0;
    b->max = max;
}

void ws_buf_free(struct ws_buf *b, struct ws_mem *mem)
{
    ws_mem_put(mem, b->p, b->cap);
    ws_buf_init(b, b->max);
}

/* The new capacity for `need` bytes in all; need is within the limit. */
static size_t larger(const struct ws_buf *b, size_t need)
{
    size_t top = b->max == 0 ? SIZE_MAX : b->max;
    size_t cap = b->cap > SIZE_MAX / 2 ? SIZE_MAX : b->cap * 2;
    if (b->head > 0 && top <= SIZE_MAX / 2)
        top *= 2;
    if (cap < FIRST_CAP)
        cap = FIRST_CAP;
    if (cap > top)
        cap = top;
    return cap < need ? need : cap;
}

static void to_front(struct ws_buf *b, uint8_t *to)
{
    size_t n = ws_buf_size(b);
    if (n > 0)
        memmove(to, b->p + b->head, n);
    b->head = 0;
    b->tail = n;
}

static int grow(struct ws_buf *b, struct ws_mem *mem, size_t need)
{
    size_t cap = larger(b, need);
    uint8_t *p;
    if (b->head == 0) {
        p = ws_mem_resize(mem, b->p, b->cap, cap);
        if (p == NULL)
            return WS_ERR_NOMEM;
    } else {
        p = ws_mem_get(mem, cap);
        if (p == NULL)
            return WS_ERR_NOMEM;
        to_front(b, p);
        ws_mem_put(mem, b->p, b->cap);
    }
    b->p = p;
    b->cap = cap;
    return WS_OK;
}

int ws_buf_room(struct ws_buf *b, struct ws_mem *mem, size_t want,
                struct ws_span *out)
{
    size_t size = ws_buf_size(b);
    size_t left = (b->max == 0 ? SIZE_MAX : b->max) - size;
    size_t room;
    if (want > left)
        return WS_ERR_LIMIT;
    if (b->cap - b->tail < want) {
        if (b->head >= size && b->cap - size >= want) {
            to_front(b, b->p);
        } else {
            int rc = grow(b, mem, size + want);
            if (rc != WS_OK)
                return rc;
        }
    }
    room = b->cap - b->tail;
    *out = ws_span_of(b->p == NULL ? NULL : b->p + b->tail,
                      room < left ? room : left);
    return WS_OK;
}

void ws_buf_commit(struct ws_buf *b, size_t n)
{
    b->tail += n;
}

int ws_buf_append(struct ws_buf *b, struct ws_mem *mem, struct ws_slice s)
{
    struct ws_span room;
    int rc = ws_buf_room(b, mem, s.n, &room);
    if (rc != WS_OK)
        return rc;
    if (s.n > 0 && room.p != NULL) /* the one implies the other */
        memcpy(room.p, s.p, s.n);
    b->tail += s.n;
    return WS_OK;
}

struct ws_span ws_buf_span(struct ws_buf *b)
{
    return ws_span_of(b->p == NULL ? NULL : b->p + b->head, ws_buf_size(b));
}

struct ws_slice ws_buf_peek(const struct ws_buf *b)
{
    return ws_slice_of(b->p == NULL ? NULL : b->p + b->head, ws_buf_size(b));
}

void ws_buf_skip(struct ws_buf *b, size_t n)
{
    b->head += n;
    if (b->head == b->tail) {
        b->head = 0;
        b->tail = 0;
    }
}
