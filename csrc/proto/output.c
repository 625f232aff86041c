/* proto/output.c -- messages to frames to the output queue; see conn.h. */
#include "proto/parts.h"

#include "base/mask.h"

/* Everything that was queued passes here. */
static void queued(struct ws_conn *c, size_t before)
{
    c->out.frames++;
    if (before == 0)
        c->progress_ms = c->now_ms;
    if (c->chain.size > c->conf->high_water)
        c->above = 1;
}

/* Clients mask while copying (5.3). */
int ws_conn_put_frame(struct ws_conn *c, struct ws_frame *f,
                      struct ws_slice data, size_t payload)
{
    size_t before = c->chain.size, head;
    uint8_t *p;
    int err;

    f->len = data.n;
    f->masked = c->conf->role == WS_CLIENT;
    if (f->masked) {
        err = c->conf->random(c->conf->random_ud, f->key, sizeof f->key);
        if (err != WS_OK)
            return err;
    }
    head = ws_frame_head_size(data.n, f->masked);
    if (data.n > SIZE_MAX - head)
        return WS_ERR_NOMEM;
    p = ws_chain_room(&c->chain, c->conf->pool, head + data.n);
    if (p == NULL)
        return WS_ERR_NOMEM;
    ws_frame_write(p, f);
    if (f->masked)
        ws_mask(p + head, data.p, data.n, f->key, 0);
    else if (data.n > 0)
        memcpy(p + head, data.p, data.n);
    ws_chain_commit(&c->chain, head + data.n, payload);
    queued(c, before);
    return WS_OK;
}

static int too_much(const struct ws_conn *c, size_t n)
{
    size_t max = c->conf->buffered_max;

    if (c->chain.payload <= max && n <= max - c->chain.payload)
        return 0; /* without looking at what part of it was sent */
    return n > max || ws_conn_buffered(c) > max - n;
}

/* -- control frames -- */

int ws_conn_put_control(struct ws_conn *c, enum ws_opcode op,
                        struct ws_slice data)
{
    struct ws_frame f;
    f.op = (uint8_t)op;
    f.fin = 1;
    f.rsv1 = 0;
    return ws_conn_put_frame(c, &f, data, 0);
}

int ws_conn_control(struct ws_conn *c, enum ws_opcode op, struct ws_slice data)
{
    int err;

    if (data.n > WS_CONTROL_MAX)
        return WS_ERR_ARGUMENT;
    if (c->state != WS_OPEN)
        return WS_ERR_STATE;
    err = ws_conn_put_control(c, op, data);
    if (err == WS_OK && op == WS_OP_PING && c->pinged_ms < 0)
        c->pinged_ms = c->now_ms;
    return err;
}

int ws_conn_send_frame(struct ws_conn *c, enum ws_opcode op, int fin,
                       struct ws_slice payload)
{
    struct ws_frame f;
    int control = (op & 0x8) != 0, err;

    if (c->state != WS_OPEN || !c->conf->frames)
        return WS_ERR_STATE;
    if (control && (payload.n > WS_CONTROL_MAX || !fin))
        return WS_ERR_ARGUMENT;
    if (!control && too_much(c, payload.n))
        return WS_ERR_BUFFER;
    f.op = (uint8_t)op;
    f.fin = fin != 0;
    f.rsv1 = 0;
    err = ws_conn_put_frame(c, &f, payload, control ? 0 : payload.n);
    if (err == WS_OK && op == WS_OP_CLOSE)
        ws_conn_said_close(c);
    return err;
}

/* The newest ping waits while the output does not move: a peer that pings
** and never reads costs one pong, not a queue of them (RFC 6455 5.5.3). */
static void keep_pong(struct ws_conn *c, struct ws_slice payload)
{
    if (c->pong == NULL)
        c->pong = ws_mem_get(c->conf->mem, 1 + WS_CONTROL_MAX);
    if (c->pong == NULL) {
        ws_conn_fail(c, WS_ERR_NOMEM);
        return;
    }
    c->pong[0] = (uint8_t)payload.n;
    if (payload.n > 0)
        memcpy(c->pong + 1, payload.p, payload.n);
}

void ws_conn_answer_ping(struct ws_conn *c, struct ws_slice payload)
{
    int err;

    if (!c->conf->auto_pong)
        return;
    if (c->pong != NULL || c->chain.size > c->conf->high_water) {
        keep_pong(c, payload);
        return;
    }
    err = ws_conn_put_control(c, WS_OP_PONG, payload);
    if (err != WS_OK)
        ws_conn_fail(c, err);
}

void ws_conn_put_pong(struct ws_conn *c)
{
    uint8_t *pong = c->pong;
    int err = WS_OK;

    if (pong == NULL || c->chain.size > c->conf->high_water)
        return;
    c->pong = NULL;
    if (!c->close_received)
        err =
            ws_conn_put_control(c, WS_OP_PONG, ws_slice_of(pong + 1, pong[0]));
    ws_mem_put(c->conf->mem, pong, 1 + WS_CONTROL_MAX);
    if (err != WS_OK)
        ws_conn_fail(c, err);
}

/* -- messages -- */

/* Text is checked before it is queued: what is sent is valid (5.6). */
static int check_text(struct ws_conn *c, struct ws_utf8 *u, int op,
                      struct ws_slice data, unsigned flags)
{
    int part = (flags & WS_SEND_PART) != 0;

    if (op != WS_OP_TEXT)
        return WS_OK;
    if (!part && c->sending_op == 0)
        return (flags & WS_SEND_VALID) != 0 || ws_utf8_valid(data)
                   ? WS_OK
                   : WS_ERR_UTF8;
    if (c->sending_op == 0)
        ws_utf8_init(u);
    if (ws_utf8_feed(u, data) != WS_OK)
        return WS_ERR_UTF8;
    return part ? WS_OK : ws_utf8_end(u);
}

/* What all ways of sending ask first.  On WS_OK f says how to go on. */
static int may_send(struct ws_conn *c, struct ws_frame *f, struct ws_slice data,
                    struct ws_utf8 *u, unsigned flags)
{
    int op = c->sending_op != 0 ? c->sending_op : f->op;

    if (c->state != WS_OPEN)
        return WS_ERR_STATE;
    if (too_much(c, data.n))
        return WS_ERR_BUFFER;
    *u = c->sending_utf8;
    f->op = (uint8_t)(c->sending_op != 0 ? WS_OP_CONTINUATION : op);
    f->fin = (flags & WS_SEND_PART) == 0;
    f->rsv1 = 0;
    return check_text(c, u, op, data, flags);
}

static void sent_message(struct ws_conn *c, int op, const struct ws_utf8 *u,
                         unsigned flags)
{
    if ((flags & WS_SEND_PART) != 0) {
        if (c->sending_op == 0)
            c->sending_op = (uint8_t)op;
        c->sending_utf8 = *u;
        return;
    }
    c->sending_op = 0;
    c->out.messages++;
}

int ws_conn_send(struct ws_conn *c, enum ws_opcode op, struct ws_slice data,
                 unsigned flags)
{
    struct ws_frame f;
    struct ws_utf8 u;
    int err;

    f.op = (uint8_t)op;
    err = may_send(c, &f, data, &u, flags);
    if (err == WS_OK && ws_conn_packs(c, data.n, flags))
        err = ws_conn_put_packed(c, &f, data);
    else if (err == WS_OK)
        err = ws_conn_put_frame(c, &f, data, data.n);
    if (err == WS_OK)
        sent_message(c, op, &u, flags);
    return err;
}

int ws_conn_send_pinned(struct ws_conn *c, enum ws_opcode op,
                        struct ws_slice data, unsigned flags, int pin)
{
    size_t before = c->chain.size, head;
    struct ws_frame f;
    struct ws_utf8 u;
    uint8_t *p;
    int err;

    f.op = (uint8_t)op;
    err = may_send(c, &f, data, &u, flags);
    if (err != WS_OK)
        return err;
    f.len = data.n;
    f.masked = 0;
    head = ws_frame_head_size(f.len, 0);
    p = ws_chain_room(&c->chain, c->conf->pool, head);
    if (p == NULL)
        return WS_ERR_NOMEM;
    ws_frame_write(p, &f);
    ws_chain_commit(&c->chain, head, 0);
    err = ws_chain_pin(&c->chain, c->conf->pool, data, pin);
    if (err != WS_OK) { /* no head without its payload */
        ws_chain_uncommit(&c->chain, head, 0);
        return err;
    }
    queued(c, before);
    sent_message(c, op, &u, flags);
    return WS_OK;
}

int ws_conn_share(struct ws_conn *c, struct ws_block *b, struct ws_slice frame,
                  size_t payload)
{
    size_t before = c->chain.size;
    int err;

    if (c->state != WS_OPEN || c->sending_op != 0)
        return WS_ERR_STATE;
    if (too_much(c, payload))
        return WS_ERR_BUFFER;
    err = ws_chain_share(&c->chain, c->conf->pool, b, frame, payload);
    if (err != WS_OK)
        return err;
    if (ws_frame_is_packed(frame))
        ws_pmd_shared(c->pmd, frame.n, payload);
    queued(c, before);
    c->out.messages++;
    return WS_OK;
}

/* -- what went out -- */

void ws_conn_sent(struct ws_conn *c, size_t n)
{
    const struct ws_seg *first = c->chain.head;

    if (n == 0)
        return;
    ws_chain_skip(&c->chain, c->conf->pool, n);
    c->out.bytes += n;
    c->progress_ms = c->now_ms;
    if (c->head_out != 0 && c->chain.head != first)
        c->head_out = 0;
    if ((c->above || c->asked) && c->chain.size <= c->conf->low_water) {
        c->above = 0;
        c->asked = 0;
        c->drain = c->state == WS_OPEN;
    }
    if (c->pong != NULL)
        ws_conn_put_pong(c);
    if (c->chain.size == 0)
        ws_conn_settle(c);
}

int ws_conn_unpin(struct ws_conn *c, int *pin)
{
    return ws_chain_unpin(&c->chain, c->conf->pool, pin);
}

/* How much of what the segment's frames mean is gone with `sent` bytes of
** their payload.  Compressed ones mean more: each byte its share. */
static size_t share_of(const struct ws_seg *s, struct ws_slice run, size_t sent)
{
    size_t all = ws_frame_payload_in(run, run.n);

    if (all == s->payload || all == 0)
        return sent;
    return (size_t)((double)s->payload * ((double)sent / (double)all));
}

size_t ws_conn_buffered_in_part(const struct ws_conn *c)
{
    const struct ws_seg *s = c->chain.head;
    struct ws_slice run;
    size_t skip, gone;

    if (s->kind == WS_SEG_PINNED)
        return c->chain.payload - s->off;
    skip = c->head_out;
    if (s->off <= skip)
        return c->chain.payload;
    run = ws_slice_of(s->start + skip, s->len - skip);
    gone = ws_frame_payload_in(run, s->off - skip);
    if (c->pmd != NULL)
        gone = share_of(s, run, gone);
    return c->chain.payload - gone;
}
