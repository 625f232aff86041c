/* proto/message.c -- see message.h. */
#include "proto/message.h"

/* What a claimed length may cost: FIRST_ROOM before any payload has come, then
** room for AHEAD times what has.  A large frame gets its full size early, when
** there is little to move; memory that was never written to is none yet. */
enum { FIRST_ROOM = 16384, AHEAD = 8 };

void ws_message_init(struct ws_message *m)
{
    ws_buf_init(&m->bytes, 0);
    ws_utf8_init(&m->utf8);
    m->count = 0;
    m->fragments = 0;
    m->op = 0;
    m->packed = 0;
    m->in_parts = 0;
}

void ws_message_free(struct ws_message *m, struct ws_mem *mem)
{
    ws_buf_free(&m->bytes, mem);
    ws_message_init(m);
}

/* The first frame of a message: whatever is left of the one before goes. */
static void open_message(struct ws_message *m, const struct ws_frame *f,
                         int in_parts)
{
    ws_buf_skip(&m->bytes, ws_buf_size(&m->bytes));
    ws_utf8_init(&m->utf8);
    m->count = 0;
    m->fragments = 0;
    m->op = f->op;
    m->packed = f->rsv1;
    m->in_parts = in_parts != 0;
}

/* The buffer may grow to the length of a frame that is its whole message, and
** no further.  More frames may follow any other, and growing by what each of
** them needs would cost O(n^2) for n bytes: there the message's limit counts.
*/
static void limit_buffer(struct ws_message *m, const struct ws_frame *f,
                         uint64_t payload_max)
{
    int alone = m->fragments == 1 && f->fin && !m->packed;
    uint64_t max = alone ? f->len : payload_max;
    ws_buf_limit(&m->bytes, max > SIZE_MAX ? SIZE_MAX : (size_t)max);
}

/* Whether the frame's claim, and those before it, pass the limit.  Nothing is
** kept of compressed bytes, but who needs more of them than their meaning has
** is up to no good; in parts only the meaning counts, see ws_message_pass. */
static int too_big(struct ws_message *m, const struct ws_frame *f, uint64_t max)
{
    if (m->in_parts)
        return !m->packed && f->len > max - m->count;
    if (!m->packed)
        return f->len > max - ws_buf_size(&m->bytes);
    max = max > UINT64_MAX / 4 ? UINT64_MAX : 2 * max + 1024;
    if (f->len > max - m->count)
        return 1;
    m->count += f->len;
    return 0;
}

int ws_message_begin(struct ws_message *m, const struct ws_frame *f,
                     const struct ws_message_limits *limits)
{
    if (f->op == WS_OP_CONTINUATION && m->op == 0)
        return WS_ERR_ORPHAN;
    if (f->op != WS_OP_CONTINUATION && m->op != 0)
        return WS_ERR_INTERLEAVED;
    if (f->op != WS_OP_CONTINUATION)
        open_message(m, f, limits->streaming);
    if (m->fragments >= limits->fragments_max)
        return WS_ERR_FRAGMENTS;
    m->fragments++;
    if (too_big(m, f, limits->payload_max))
        return WS_ERR_TOOBIG;
    limit_buffer(m, f, limits->payload_max);
    return WS_OK;
}

/* Room to ask for: by what is there already, or waits, and no more than the
** frame needs.  What waits may lie in the room it is asked for (ws_conn_commit)
** and must not move: while it fits, nothing grows. */
static size_t room_for(const struct ws_message *m, uint64_t want, size_t come)
{
    size_t size = ws_buf_size(&m->bytes), there = size + come;
    size_t ask = there > SIZE_MAX / AHEAD ? there : there * AHEAD - size;

    if (come > 0 && come <= ws_buf_left(&m->bytes))
        return come;
    if (ask < FIRST_ROOM)
        ask = FIRST_ROOM;
    return want < ask ? (size_t)want : ask;
}

int ws_message_room(struct ws_message *m, struct ws_mem *mem, uint64_t want,
                    size_t come, struct ws_span *room)
{
    int err = ws_buf_room(&m->bytes, mem, room_for(m, want, come), room);

    if (err != WS_OK)
        return WS_ERR_NOMEM;
    if (room->n > want)
        room->n = (size_t)want;
    return WS_OK;
}

int ws_message_space(struct ws_message *m, struct ws_mem *mem, size_t ask,
                     struct ws_span *room)
{
    int err = ws_buf_room(&m->bytes, mem, ask, room);

    if (err == WS_ERR_LIMIT)
        err = ws_buf_room(&m->bytes, mem, 1, room);
    return err == WS_ERR_LIMIT ? WS_MORE : err;
}

int ws_message_pass(struct ws_message *m, struct ws_slice part,
                    const struct ws_message_limits *limits)
{
    if (part.n > limits->payload_max - m->count)
        return WS_ERR_TOOBIG;
    m->count += part.n;
    return m->op == WS_OP_TEXT ? ws_utf8_feed(&m->utf8, part) : WS_OK;
}

int ws_message_commit(struct ws_message *m, size_t n)
{
    struct ws_slice all;

    ws_buf_commit(&m->bytes, n);
    if (m->op != WS_OP_TEXT)
        return WS_OK;
    all = ws_buf_peek(&m->bytes);
    return ws_utf8_feed(&m->utf8, ws_slice_of(all.p + (all.n - n), n));
}

int ws_message_end(struct ws_message *m, struct ws_slice *data)
{
    uint8_t op = m->op;

    m->op = 0;
    *data = ws_buf_peek(&m->bytes);
    return op == WS_OP_TEXT ? ws_utf8_end(&m->utf8) : WS_OK;
}
