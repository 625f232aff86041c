/* proto/chunks.c -- messages that are handed out in parts; see conn.h.
**
** With `streaming` a message that did not arrive whole is told as CHUNKs: what
** a read brought of a frame's payload, unmasked where it lies; of a compressed
** one, what fits into one buffer.  Nothing is put together, so a message may
** be of any size.  Order, limits and UTF-8 are checked as ever, and no part
** with a bad byte, or beyond a limit, is handed out.
*/
#include "proto/parts.h"

void ws_conn_hand_out(struct ws_conn *c, struct ws_slice data)
{
    int last = !c->more && c->left == 0 && c->frame.fin;
    int op = c->message->op, err;
    struct ws_slice all;

    err = ws_message_pass(c->message, data, &c->conf->message);
    if (err == WS_OK && last)
        err = ws_message_end(c->message, &all);
    if (err != WS_OK) {
        ws_conn_fail(c, err);
        return;
    }
    if (!c->more && c->left == 0)
        c->stage = WS_IN_FRAME;
    if (last) {
        c->stale = 1;
        c->in.messages++;
    }
    if (data.n == 0 && !last)
        return;
    ws_conn_emit(c, WS_EV_CHUNK, data);
    c->event.op = (uint8_t)op;
    c->event.fin = (uint8_t)last;
}

void ws_conn_feed_chunk(struct ws_conn *c, struct ws_span *in)
{
    size_t n = in->n < WS_CHUNK_MAX ? in->n : WS_CHUNK_MAX;
    uint8_t *p = in->p;

    if (n > c->left)
        n = (size_t)c->left;
    ws_conn_unmask(c, p, p, n);
    ws_span_skip(in, n);
    c->left -= n;
    ws_conn_hand_out(c, ws_slice_of(p, n));
}

void ws_conn_next_chunk(struct ws_conn *c)
{
    struct ws_span none = ws_span_of(NULL, 0);

    if (c->more && c->state == WS_OPEN && ws_conn_reads(c))
        ws_conn_feed_packed_chunk(c, &none);
}
