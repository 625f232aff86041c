/* proto/message.c -- see message.h. */
#include "proto/message.h"

/* What one frame's head may cost before its payload comes (threats: memory
** from claimed lengths). */
enum { FIRST_ROOM = 16384 };

void ws_message_init(struct ws_message *m)
{
    ws_buf_init(&m->bytes, 0);
    ws_utf8_init(&m->utf8);
    m->fragments = 0;
    m->op = 0;
}

void ws_message_free(struct ws_message *m, struct ws_mem *mem)
{
    ws_buf_free(&m->bytes, mem);
    ws_message_init(m);
}

/* The first frame of a message: whatever is left of the one before goes. */
static void open_message(struct ws_message *m, const struct ws_frame *f)
{
    ws_buf_skip(&m->bytes, ws_buf_size(&m->bytes));
    ws_utf8_init(&m->utf8);
    m->fragments = 0;
    m->op = f->op;
}

/* The buffer may grow to the length of a frame that is its whole message, and
** no further.  More frames may follow any other, and growing by what each of
** them needs would cost O(n^2) for n bytes: there the message's limit counts.
*/
static void limit_buffer(struct ws_message *m, const struct ws_frame *f,
                         uint64_t payload_max)
{
    uint64_t max = m->fragments == 1 && f->fin ? f->len : payload_max;
    ws_buf_limit(&m->bytes, max > SIZE_MAX ? SIZE_MAX : (size_t)max);
}

int ws_message_begin(struct ws_message *m, const struct ws_frame *f,
                     const struct ws_message_limits *limits)
{
    if (f->op == WS_OP_CONTINUATION && m->op == 0)
        return WS_ERR_ORPHAN;
    if (f->op != WS_OP_CONTINUATION && m->op != 0)
        return WS_ERR_INTERLEAVED;
    if (f->op != WS_OP_CONTINUATION)
        open_message(m, f);
    if (m->fragments >= limits->fragments_max)
        return WS_ERR_FRAGMENTS;
    m->fragments++;
    if (f->len > limits->payload_max - ws_buf_size(&m->bytes))
        return WS_ERR_TOOBIG;
    limit_buffer(m, f, limits->payload_max);
    return WS_OK;
}

int ws_message_room(struct ws_message *m, struct ws_mem *mem, uint64_t want,
                    size_t come, struct ws_span *room)
{
    size_t ask = 1; /* a full buffer doubles for it */
    int err;

    if (ws_buf_size(&m->bytes) == 0)
        ask = want < FIRST_ROOM ? (size_t)want : FIRST_ROOM;
    if (ask < come) /* these bytes are no claim: they are there */
        ask = come;
    err = ws_buf_room(&m->bytes, mem, ask, room);
    if (err != WS_OK)
        return WS_ERR_NOMEM;
    if (room->n > want)
        room->n = (size_t)want;
    return WS_OK;
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
