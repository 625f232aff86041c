/* proto/packed.c -- compressed messages of a connection (RFC 7692 6); see
** conn.h and pmd.h.
**
** In: a frame's bytes are unmasked and decompressed piece by piece, straight
** into the message, and no piece makes more than the message may have.  Out: a
** message is compressed into the loop's buffer and framed from there.
*/
#include "proto/parts.h"

/* Bytes decompressed at once, and the least and most room they begin with. */
enum { PIECE = 4096, ROOM_MIN = 512 };

/* -- in -- */

/* Decompresses into the message what is in `in`, or what is left at its end
** when that is NULL.  A message that has all it may have gets one byte more, to
** see whether it is needed. */
static int inflate(struct ws_conn *c, struct ws_slice *in)
{
    size_t ask = in == NULL ? 1 : in->n * 4 + ROOM_MIN, n;
    struct ws_span room, left;
    uint8_t over[1];
    int err, full, rc;

    do {
        err = ws_message_space(c->message, c->conf->mem, ask, &room);
        if (err < 0)
            return err;
        full = err == WS_MORE;
        if (full)
            room = ws_span_of(over, sizeof over);
        left = room;
        err = in != NULL ? ws_pmd_inflate(c->pmd, in, &left)
                         : ws_pmd_inflate_end(c->pmd, &left);
        n = room.n - left.n;
        if (full && n > 0)
            return WS_ERR_TOOBIG;
        c->pmd->in.plain += n;
        rc = ws_message_commit(c->message, n);
        ask = 1; /* what is full doubles */
    } while (rc == WS_OK && err == WS_MORE);
    return rc != WS_OK ? rc : err;
}

/* The next piece of the frame, unmasked into room if it is masked. */
static struct ws_slice piece_of(const struct ws_conn *c,
                                const struct ws_span *in, uint8_t room[PIECE])
{
    size_t n = in->n < PIECE ? in->n : PIECE;

    if (n > c->left)
        n = (size_t)c->left;
    if (!c->frame.masked)
        return ws_slice_of(in->p, n);
    ws_conn_unmask(c, room, in->p, n);
    return ws_slice_of(room, n);
}

void ws_conn_feed_packed(struct ws_conn *c, struct ws_span *in)
{
    uint8_t room[PIECE];
    int err = WS_OK;

    while (err == WS_OK && c->left > 0 && in->n > 0) {
        struct ws_slice piece = piece_of(c, in, room);
        size_t n = piece.n;

        err = inflate(c, &piece);
        n -= piece.n;
        ws_span_skip(in, n);
        c->left -= n;
        c->pmd->in.packed += n;
    }
    if (err == WS_OK && c->left == 0 && c->frame.fin)
        err = inflate(c, NULL);
    if (err != WS_OK)
        ws_conn_fail(c, err);
    else if (c->left == 0)
        ws_conn_end_data(c);
}

/* What one buffer has room for; what else there is waits for ws_conn_next. */
static int inflate_chunk(struct ws_conn *c, struct ws_span *in,
                         struct ws_span *left)
{
    struct ws_slice none = ws_slice_of(NULL, 0);
    uint8_t room[PIECE];
    int err = c->more ? ws_pmd_inflate(c->pmd, &none, left) : WS_OK;

    while (err == WS_OK && c->left > 0 && in->n > 0 && left->n > 0) {
        struct ws_slice piece = piece_of(c, in, room);
        size_t n = piece.n;

        err = ws_pmd_inflate(c->pmd, &piece, left);
        n -= piece.n;
        ws_span_skip(in, n);
        c->left -= n;
        c->pmd->in.packed += n;
    }
    if (err == WS_OK && left->n == 0)
        return WS_MORE;
    if (err == WS_OK && c->left == 0 && c->frame.fin)
        err = ws_pmd_inflate_end(c->pmd, left);
    return err;
}

void ws_conn_feed_packed_chunk(struct ws_conn *c, struct ws_span *in)
{
    struct ws_buf *b = &c->message->bytes;
    struct ws_span room, left;
    int err;

    ws_conn_release(c);
    ws_buf_limit(b, WS_CHUNK_MAX);
    ws_buf_skip(b, ws_buf_size(b));
    err = ws_buf_room(b, c->conf->mem, WS_CHUNK_MAX, &room);
    if (err != WS_OK) {
        ws_conn_fail(c, WS_ERR_NOMEM);
        return;
    }
    left = room;
    err = inflate_chunk(c, in, &left);
    if (err < 0) {
        ws_conn_fail(c, err);
        return;
    }
    /* with bytes of the frame left to feed, those will bring it */
    c->more = err == WS_MORE && (c->left == 0 || in->n == 0);
    ws_buf_commit(b, room.n - left.n);
    c->pmd->in.plain += room.n - left.n;
    c->lent = 1;
    ws_conn_hand_out(c, ws_buf_peek(b));
}

/* -- out -- */

int ws_conn_put_packed(struct ws_conn *c, struct ws_frame *f,
                       struct ws_slice data)
{
    int whole = f->fin && f->op != WS_OP_CONTINUATION, err;
    struct ws_pmd *p = c->pmd;
    struct ws_slice out;

    err = ws_pmd_deflate(p, data, f->fin, &out);
    if (err != WS_OK)
        return err;
    /* A window that was taken over has the message in it already. */
    if (whole && !p->out_kept && out.n >= data.n)
        return ws_conn_put_frame(c, f, data, data.n);
    f->rsv1 = f->op != WS_OP_CONTINUATION;
    err = ws_conn_put_frame(c, f, out, data.n);
    if (err != WS_OK) {
        ws_pmd_forget(p);
        return err;
    }
    p->sending = !f->fin;
    p->out.packed += out.n;
    p->out.plain += data.n;
    return WS_OK;
}
