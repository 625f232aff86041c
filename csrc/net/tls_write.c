/* net/tls_write.c -- see tls.h: how a stream of TLS writes.
**
** OpenSSL makes one record of each call, so what is queued is gathered to full
** records, and the records of one write leave in one system call.  What the
** socket does not take then is kept, encrypted as it is, and the plain bytes in
** it count as taken only when it is out: the caller offers them again, as the
** stream's contract promises, and they are passed over.
**
** On a stream that is no socket records go out one by one: that stream may be
** TLS of the same context, which has one place to gather in.
*/
#include "net/tls_parts.h"

enum {
    /* a full record, and a message of OpenSSL's own in front of it */
    RECORD_ROOM = WS_TLS_RECORD + 256,
    /* 64 KiB, a frame's head, and room for one more: five records */
    BATCH = 5 * RECORD_ROOM
};

/* -- bytes that are encrypted -- */

ptrdiff_t ws_tls_put(struct ws_tls *t, struct ws_slice v)
{
    ptrdiff_t k = ws_stream_write_below(&t->stream, t->below, &v, 1);

    if (k < 0 && k != WS_AGAIN)
        ws_tls_fell(t, (int)k, "send");
    return k;
}

int ws_tls_gather(struct ws_tls *t, struct ws_slice v)
{
    struct ws_tls_ctx *ctx = t->ctx;

    if (v.n > BATCH - ctx->nbatch)
        return -1; /* OpenSSL has written more than a record and a half */
    memcpy(ctx->batch + ctx->nbatch, v.p, v.n);
    ctx->nbatch += v.n;
    return (int)v.n;
}

void ws_tls_drop_rest(struct ws_tls *t)
{
    ws_mem_put(t->mem, t->rest, t->rest_n);
    t->rest = NULL;
    t->rest_n = 0;
    t->rest_at = 0;
}

void ws_tls_free_batch(struct ws_tls_ctx *ctx)
{
    ws_mem_put(&ctx->mem, ctx->batch, BATCH);
    ctx->batch = NULL;
}

static int keep_rest(struct ws_tls *t, struct ws_slice v)
{
    t->rest = ws_mem_get(t->mem, v.n);
    if (t->rest == NULL)
        return WS_ERR_NOMEM;
    memcpy(t->rest, v.p, v.n);
    t->rest_n = v.n;
    t->rest_at = 0;
    return WS_AGAIN;
}

int ws_tls_flush(struct ws_tls *t)
{
    while (t->rest != NULL) {
        ptrdiff_t k = ws_tls_put(
            t, ws_slice_of(t->rest + t->rest_at, t->rest_n - t->rest_at));
        if (k < 0)
            return (int)k;
        t->rest_at += (size_t)k;
        if (t->rest_at == t->rest_n)
            ws_tls_drop_rest(t);
    }
    return WS_OK;
}

/* Sends what was gathered: WS_OK when all of it is out. */
static int send_batch(struct ws_tls *t)
{
    struct ws_slice v = ws_slice_of(t->ctx->batch, t->ctx->nbatch);
    ptrdiff_t k = v.n > 0 ? ws_tls_put(t, v) : 0;

    if (k < 0 && k != WS_AGAIN)
        return (int)k;
    k = k < 0 ? 0 : k;
    if ((size_t)k == v.n)
        return WS_OK;
    return keep_rest(t, ws_slice_of(v.p + k, v.n - (size_t)k));
}

/* -- bytes that are to be -- */

/* What is to be written, as slices of which a part is done. */
struct rest {
    const struct ws_slice *v;
    int n;
    size_t done; /* bytes of v[0] */
};

/* The next record's worth; several slices are put together in `room`. */
static struct ws_slice next_record(const struct rest *w, uint8_t *room)
{
    size_t n = 0, from = w->done;
    int i;

    if (w->n == 1 || w->v->n - w->done >= WS_TLS_RECORD) {
        n = w->v->n - w->done;
        return ws_slice_of(w->v->p + w->done,
                           n < WS_TLS_RECORD ? n : WS_TLS_RECORD);
    }
    for (i = 0; i < w->n && n < WS_TLS_RECORD; i++) {
        size_t k = w->v[i].n - from;
        if (k > WS_TLS_RECORD - n)
            k = WS_TLS_RECORD - n;
        memcpy(room + n, w->v[i].p + from, k);
        n += k;
        from = 0;
    }
    return ws_slice_of(room, n);
}

static void skip(struct rest *w, size_t n)
{
    while (w->n > 0 && n >= w->v->n - w->done) {
        n -= w->v->n - w->done;
        w->done = 0;
        w->v++;
        w->n--;
    }
    w->done += n;
}

/* One record: WS_OK, or what OpenSSL says; *done grows by its bytes. */
static int encrypt(struct ws_tls *t, struct rest *w, size_t *done)
{
    uint8_t room[WS_TLS_RECORD];
    struct ws_slice record = next_record(w, room);
    size_t put;
    int r = SSL_write_ex(t->ssl, record.p, record.n, &put);

    if (r != 1)
        return ws_tls_judge(t, r);
    skip(w, put);
    *done += put;
    return WS_OK;
}

/* One that goes straight to the stream below. */
static int write_alone(struct ws_tls *t, struct rest *w, size_t *done)
{
    int err;

    t->alone = 1;
    err = encrypt(t, w, done);
    t->alone = 0;
    return err == WS_AGAIN && t->below_err != 0 ? t->below_err : err;
}

/* As many records as there is room for, in one go. */
static int write_batch(struct ws_tls *t, struct rest *w, size_t *done)
{
    struct ws_tls_ctx *ctx = t->ctx;
    size_t all = 0;
    int sent, err = WS_OK;

    if (ctx->batch == NULL)
        ctx->batch = ws_mem_get(&ctx->mem, BATCH);
    if (ctx->batch == NULL)
        return WS_ERR_NOMEM;
    ctx->nbatch = 0;
    t->gathers = 1;
    while (w->n > 0 && err == WS_OK && BATCH - ctx->nbatch >= RECORD_ROOM)
        err = encrypt(t, w, &all);
    t->gathers = 0;
    sent = send_batch(t);
    if (sent == WS_OK)
        *done += all;
    else
        t->ahead = all;
    return sent == WS_OK ? err : sent;
}

/* An error is the end; but of one that OpenSSL has not seen it knows nothing,
** and it reads on.  OpenSSL has its wishes; what is kept only has to go out. */
static int conclude(struct ws_tls *t, int err)
{
    int in = err == WS_AGAIN && t->rest == NULL && !ws_tls_waits_out(t);
    int left = !t->broken && (t->below->want & WS_STREAM_LEFT) != 0;

    t->stream.want &= (uint8_t)~WS_STREAM_WRITE_IN;
    t->stream.want |= (uint8_t)(in ? WS_STREAM_WRITE_IN : 0);
    if (err == 0)
        err = WS_ERR_LOST; /* the peer has said good-bye */
    if (err == WS_AGAIN)
        return err;
    t->fault = err;
    if (left)
        t->stream.want |= WS_STREAM_LEFT;
    else
        t->broken = 1;
    return err;
}

ptrdiff_t ws_tls_write(struct ws_stream *s, const struct ws_slice *v, int n)
{
    struct ws_tls *t = ws_container(s, struct ws_tls, stream);
    int gather = t->below->ops->open == NULL; /* a socket */
    struct rest w = {v, n, 0};
    size_t done;
    int err;

    if (t->broken || (t->stream.want & WS_STREAM_LEFT) != 0)
        return t->fault;
    ws_tls_begin(t);
    err = ws_tls_flush(t);
    if (err != WS_OK)
        return conclude(t, err);
    done = t->ahead;
    t->ahead = 0;
    skip(&w, done);
    while (w.n > 0 && err == WS_OK)
        err = gather ? write_batch(t, &w, &done) : write_alone(t, &w, &done);
    if (w.n > 0 || err != WS_OK)
        err = conclude(t, err);
    return done > 0 || err == WS_OK ? (ptrdiff_t)done : err;
}
