/* proto/input.c -- bytes to frames to events; see conn.h.
**
** The common case is a whole frame in one read: its payload is unmasked where
** it lies and handed out as a view, without a copy.  Only what is cut or
** fragmented is put together, by message.c.
*/
#include "proto/parts.h"

/* Unmask and check in pieces that stay in the first-level cache. */
enum { PIECE = 16384, ROOM_MIN = 16384 };

static size_t smaller(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

static unsigned expect(const struct ws_conn *c)
{
    return (c->conf->role == WS_SERVER ? WS_FRAME_MASKED : 0u) |
           (c->pmd != NULL ? WS_FRAME_RSV1 : 0u);
}

void ws_conn_emit(struct ws_conn *c, int type, struct ws_slice data)
{
    c->event.type = (uint8_t)type;
    c->event.data = data;
    c->event.code = 0;
    c->event.clean = 0;
}

static void on_pong(struct ws_conn *c)
{
    if (c->pinged_ms < 0)
        return; /* unsolicited, which is legal (5.5.3) */
    c->latency_ms = c->now_ms - c->pinged_ms;
    c->pinged_ms = -1;
}

/* Frame mode: the frame whose head was read last, and its payload. */
static void tell_frame(struct ws_conn *c, struct ws_slice payload)
{
    int op = c->frame.op, code = 0;

    if (op == WS_OP_PONG)
        on_pong(c);
    if (op == WS_OP_CLOSE) {
        if (!ws_conn_heard_close(c, payload))
            return;
        code = c->close_code;
        payload = code == WS_STATUS_NONE
                      ? ws_slice_of(NULL, 0)
                      : ws_slice_of(payload.p + 2, payload.n - 2);
    }
    ws_conn_emit(c, WS_EV_FRAME, payload);
    c->event.op = (uint8_t)op;
    c->event.fin = c->frame.fin;
    c->event.code = code;
}

static void on_control(struct ws_conn *c, struct ws_slice payload)
{
    int open = c->state == WS_OPEN;

    c->stage = WS_IN_FRAME;
    if (c->conf->frames) {
        tell_frame(c, payload);
        return;
    }
    if (c->frame.op == WS_OP_CLOSE) {
        ws_conn_on_close(c, payload);
        return;
    }
    if (c->frame.op == WS_OP_PING)
        ws_conn_answer_ping(c, payload);
    else
        on_pong(c);
    if (open && c->state == WS_OPEN)
        ws_conn_emit(c, c->frame.op == WS_OP_PING ? WS_EV_PING : WS_EV_PONG,
                     payload);
}

static void deliver(struct ws_conn *c, int op, struct ws_slice data)
{
    c->in.messages++;
    ws_conn_emit(c, op == WS_OP_TEXT ? WS_EV_TEXT : WS_EV_BINARY, data);
}

/* It is in the message. */
void ws_conn_end_data(struct ws_conn *c)
{
    struct ws_slice data;
    int op = c->message->op, err;

    c->stage = WS_IN_FRAME;
    if (!c->frame.fin && !c->conf->frames)
        return;
    err = ws_message_end(c->message, &data);
    if (err != WS_OK) {
        ws_conn_fail(c, err);
        return;
    }
    c->stale = 1;
    if (c->conf->frames)
        tell_frame(c, data);
    else
        deliver(c, op, data);
}

/* Data after our own Close, which took the message away: read, and dropped
** (WHATWG; CL-31). */
static void skip_data(struct ws_conn *c, struct ws_span *in)
{
    size_t n = smaller(c->left, in->n);
    ws_span_skip(in, n);
    c->left -= n;
    if (c->left == 0)
        c->stage = WS_IN_FRAME;
}

static void feed_data(struct ws_conn *c, struct ws_span *in)
{
    struct ws_span room;
    int err = WS_OK;

    while (err == WS_OK && c->left > 0 && in->n > 0) {
        size_t n;
        err = ws_message_room(c->message, c->conf->mem, c->left,
                              smaller(c->left, in->n), &room);
        if (err != WS_OK)
            break;
        n = smaller(c->left, in->n < PIECE ? in->n : PIECE);
        n = n < room.n ? n : room.n;
        ws_conn_unmask(c, room.p, in->p, n);
        ws_span_skip(in, n);
        c->left -= n;
        err = ws_message_commit(c->message, n);
    }
    if (err != WS_OK)
        ws_conn_fail(c, err);
    else if (c->left == 0)
        ws_conn_end_data(c);
}

static void feed_message(struct ws_conn *c, struct ws_span *in)
{
    if (c->message->in_parts && c->message->packed)
        ws_conn_feed_packed_chunk(c, in);
    else if (c->message->in_parts)
        ws_conn_feed_chunk(c, in);
    else if (c->message->packed)
        ws_conn_feed_packed(c, in);
    else
        feed_data(c, in);
}

static void feed_control(struct ws_conn *c, struct ws_span *in)
{
    size_t len = (size_t)c->frame.len, n = smaller(c->left, in->n);

    if (c->side.control == NULL) {
        c->side.control = ws_mem_get(c->conf->mem, WS_CONTROL_MAX);
        if (c->side.control == NULL) {
            ws_conn_fail(c, WS_ERR_NOMEM);
            return;
        }
    }
    ws_conn_unmask(c, c->side.control + (len - (size_t)c->left), in->p, n);
    ws_span_skip(in, n);
    c->left -= n;
    if (c->left == 0)
        on_control(c, ws_slice_of(c->side.control, len));
}

static void feed_payload(struct ws_conn *c, struct ws_span *in)
{
    if ((c->frame.op & 0x8) != 0)
        feed_control(c, in);
    else if (c->close_sent && c->message == NULL)
        skip_data(c, in);
    else
        feed_message(c, in);
}

/* A whole frame lies in `in`: no copy. */
static void whole_frame(struct ws_conn *c, struct ws_span *in)
{
    struct ws_frame *f = &c->frame;
    struct ws_slice data = ws_slice_of(in->p, (size_t)f->len);

    if (f->masked)
        ws_mask(in->p, in->p, data.n, f->key, 0);
    ws_span_skip(in, data.n);
    if ((f->op & 0x8) != 0) {
        on_control(c, data);
        return;
    }
    if (f->op == WS_OP_TEXT && !ws_utf8_valid(data)) {
        ws_conn_fail(c, WS_ERR_UTF8);
        return;
    }
    deliver(c, f->op, data);
}

/* Whether a fragmented message waits for more. */
static int in_message(const struct ws_conn *c)
{
    return c->message != NULL && c->message->op != 0;
}

/* Frame mode: a frame is whole where it lies, or put together like a message
** of its own, whose kind nobody looks at. */
static void begin_alone(struct ws_conn *c, struct ws_span *in)
{
    struct ws_frame f = c->frame;
    int err = WS_ERR_NOMEM;

    if ((f.op & 0x8) == 0 && f.len > c->conf->message.payload_max) {
        ws_conn_fail(c, WS_ERR_TOOBIG);
        return;
    }
    if (f.len <= in->n) {
        struct ws_slice data = ws_slice_of(in->p, (size_t)f.len);
        ws_conn_unmask(c, in->p, in->p, data.n);
        ws_span_skip(in, data.n);
        tell_frame(c, data);
        return;
    }
    c->stage = WS_IN_PAYLOAD;
    if ((f.op & 0x8) != 0) {
        feed_control(c, in);
        return;
    }
    f.op = WS_OP_BINARY;
    f.fin = 1;
    if (ws_conn_message(c) != NULL)
        err = ws_message_begin(c->message, &f, &c->conf->message);
    if (err != WS_OK)
        ws_conn_fail(c, err);
    else
        feed_data(c, in);
}

/* c->frame was just read; `in` begins with its payload. */
static void begin_frame(struct ws_conn *c, struct ws_span *in)
{
    struct ws_frame *f = &c->frame;
    int control = (f->op & 0x8) != 0, err;

    c->in.frames++;
    c->left = f->len;
    if (WS_UNLIKELY(c->conf->frames)) {
        begin_alone(c, in);
        return;
    }
    if (control && f->len <= in->n) {
        whole_frame(c, in);
        return;
    }
    c->stage = WS_IN_PAYLOAD;
    if (control || c->close_sent) {
        feed_payload(c, in);
        return;
    }
    if (f->fin && f->op != 0 && !f->rsv1 && !in_message(c) && f->len <= in->n &&
        f->len <= c->conf->message.payload_max) {
        c->stage = WS_IN_FRAME;
        whole_frame(c, in);
        return;
    }
    err = WS_ERR_NOMEM;
    if (ws_conn_message(c) != NULL)
        err = ws_message_begin(c->message, f, &c->conf->message);
    if (err != WS_OK)
        ws_conn_fail(c, err);
    else
        feed_message(c, in);
}

/* A head that came in pieces: at most 14 bytes, kept aside. */
static void feed_spill(struct ws_conn *c, struct ws_span *in)
{
    size_t had = c->spilled, size;
    size_t n = smaller(in->n, WS_FRAME_HEAD_MAX - had);
    int err;

    memcpy(c->part.spill + had, in->p, n);
    err = ws_frame_read(&c->frame, ws_slice_of(c->part.spill, had + n),
                        expect(c), &size);
    if (err < 0) {
        ws_conn_fail(c, err);
        return;
    }
    if (err == WS_MORE) {
        c->spilled = (uint8_t)(had + n);
        ws_span_skip(in, n);
        return;
    }
    c->spilled = 0;
    ws_span_skip(in, size - had);
    begin_frame(c, in);
}

static void feed_frame(struct ws_conn *c, struct ws_span *in)
{
    size_t size;
    int err;

    if (c->spilled > 0) {
        feed_spill(c, in);
        return;
    }
    err = ws_frame_read(&c->frame, ws_slice_of(in->p, in->n), expect(c), &size);
    if (WS_LIKELY(err == WS_OK)) {
        ws_span_skip(in, size);
        begin_frame(c, in);
    } else if (err == WS_MORE) {
        feed_spill(c, in);
    } else {
        ws_conn_fail(c, err);
    }
}

static void feed_stage(struct ws_conn *c, struct ws_span *in)
{
    switch ((enum ws_stage)c->stage) {
    case WS_IN_FRAME:
        feed_frame(c, in);
        break;
    case WS_IN_PAYLOAD:
        feed_payload(c, in);
        break;
    case WS_IN_HEAD:
        ws_conn_feed_head(c, in);
        break;
    case WS_IN_BODY:
        ws_conn_feed_body(c, in);
        break;
    case WS_IN_DISCARD:
        ws_conn_discard(c, in->n);
        ws_span_skip(in, in->n);
        break;
    case WS_IN_ANSWER:
        break;
    }
}

void ws_conn_feed(struct ws_conn *c, struct ws_span *in)
{
    size_t had = in->n;

    if (c->event.type != WS_EV_NONE || had == 0 || c->more)
        return;
    ws_conn_release(c);
    c->last_rx_ms = c->now_ms;
    c->pong_due_ms = -1; /* any byte is a sign of life */
    while (in->n > 0 && c->event.type == WS_EV_NONE && ws_conn_reads(c))
        feed_stage(c, in);
    c->in.bytes += had - in->n;
}

int ws_conn_room_of_payload(struct ws_conn *c, struct ws_span *room)
{
    ws_conn_release(c);
    if (c->left < ROOM_MIN || c->close_sent || c->event.type != WS_EV_NONE ||
        (c->frame.op & 0x8) != 0 || c->message->packed || c->message->in_parts)
        return WS_MORE;
    if (ws_message_room(c->message, c->conf->mem, c->left, 0, room) != WS_OK)
        return WS_MORE; /* feed meets the same error, and reports it */
    return WS_OK;
}

void ws_conn_commit(struct ws_conn *c, size_t n)
{
    struct ws_span room;

    c->last_rx_ms = c->now_ms;
    c->pong_due_ms = -1;
    c->in.bytes += n;
    if (ws_message_room(c->message, c->conf->mem, c->left, 0, &room) != WS_OK ||
        n > room.n) {
        ws_conn_fail(c, WS_ERR_NOMEM);
        return;
    }
    room.n = n;
    feed_data(c, &room);
}
