/* net/tls.c -- see tls.h: the stream.
**
** OpenSSL keeps one error queue for all connections of a thread, so it is
** emptied before each operation: what is found there afterwards is of this one
** and cannot be another connection's.
** How it writes is in tls_write.c.
*/
#include "net/tls.h"

#include "net/tls_parts.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdio.h>

enum {
    RECVS_MAX = 8, /* of one operation: twice what a read of 256 KiB needs;
                      small records cannot hold up the turn */
    TALK_MAX = 64  /* messages of TLS's own, as KeyUpdates, between two pieces
                      of data: each costs us more than its sender */
};

static struct ws_tls *tls_of(struct ws_stream *s)
{
    return ws_container(s, struct ws_tls, stream);
}

static void want(struct ws_tls *t, unsigned bit, int on)
{
    if (on)
        t->stream.want |= (uint8_t)bit;
    else
        t->stream.want &= (uint8_t)~bit;
}

static int is_opening(const struct ws_tls *t)
{
    return ws_stream_is_opening(&t->stream);
}

static int below_pending(const struct ws_tls *t)
{
    return (t->below->want & WS_STREAM_PENDING) != 0;
}

/* -- the BIO: OpenSSL's way to the stream below -- */

void ws_tls_fell(struct ws_tls *t, int err, const char *call)
{
    t->below_err = err;
    t->below_call = call;
}

/* A read that came back short says "no more for now": asking once more would
** be a system call for nothing. */
static int bio_read(BIO *b, char *out, int n)
{
    struct ws_tls *t = BIO_get_data(b);
    ptrdiff_t k = WS_AGAIN;

    BIO_clear_retry_flags(b);
    if (!t->dry && t->recvs > 0) {
        t->recvs--;
        k = ws_stream_read(t->below, ws_span_of(out, (size_t)n));
        t->dry = k < n && !below_pending(t);
    }
    if (k == WS_AGAIN) {
        BIO_set_retry_read(b);
        return -1;
    }
    t->eof = k == 0;
    if (k < 0)
        ws_tls_fell(t, (int)k, "recv");
    return (int)k;
}

/* The ticket that ends a server's handshake, when the request is there too:
** the answer follows. */
static int is_answered(const struct ws_tls *t)
{
    return SSL_get_state(t->ssl) == TLS_ST_SW_SESSION_TICKET &&
           SSL_has_pending(t->ssl);
}

/* That the peer has left is kept from OpenSSL, which would read no more: it is
** told that there is no room, and who called for that record looks. */
static int is_kept_quiet(const struct ws_tls *t)
{
    return t->alone && (t->below->want & WS_STREAM_LEFT) != 0;
}

static int bio_write(BIO *b, const char *in, int n)
{
    struct ws_tls *t = BIO_get_data(b);
    struct ws_slice v = ws_slice_of(in, (size_t)n);
    ptrdiff_t k;

    BIO_clear_retry_flags(b);
    if (t->gathers)
        return ws_tls_gather(t, v);
    if (is_opening(t))
        want(t, WS_STREAM_MORE, is_answered(t));
    k = ws_tls_flush(t);
    if (k == WS_OK)
        k = ws_tls_put(t, v);
    if (k == WS_AGAIN || (k < 0 && is_kept_quiet(t)))
        BIO_set_retry_write(b);
    return k < 0 ? -1 : (int)k;
}

static long bio_ctrl(BIO *b, int cmd, long n, void *p)
{
    struct ws_tls *t = BIO_get_data(b);

    (void)n;
    (void)p;
    if (cmd == BIO_CTRL_EOF)
        return t->eof;
    return cmd == BIO_CTRL_FLUSH;
}

BIO_METHOD *ws_tls_bio(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 127, "wsock stream");

    if (m == NULL)
        return NULL;
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_ctrl(m, bio_ctrl);
    return m;
}

/* OpenSSL has handled a message, or sent one.  It would go on with what it has
** read, thousands of them: where the peer has shut down, it stops. */
static void on_talk(const SSL *ssl, int where, int value)
{
    struct ws_tls *t = SSL_get_app_data(ssl);

    (void)value;
    if ((where & SSL_CB_LOOP) == 0 || is_opening(t) || t->talk > TALK_MAX)
        return;
    t->talk++;
    if (t->talk > TALK_MAX)
        SSL_set_shutdown(t->ssl, SSL_RECEIVED_SHUTDOWN);
}

/* -- what OpenSSL answers -- */

/* To look whether it is empty costs a tenth of emptying it. */
void ws_tls_begin(struct ws_tls *t)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
    t->dry = 0;
    t->recvs = RECVS_MAX;
}

int ws_tls_judge(struct ws_tls *t, int result)
{
    int talked = t->talk > TALK_MAX; /* which looks like the peer's end */

    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return WS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        if (!talked)
            return 0;
        break;
    default:
        break;
    }
    t->broken = 1;
    t->fault = WS_ERR_TLS;
    if (t->below_err != 0)
        t->fault = t->below_err;
    else if (t->eof && !is_opening(t) && !talked)
        t->fault = WS_ERR_LOST;
    if (t->fault == WS_ERR_TLS && talked)
        ws_tls_note(t, "too many messages of TLS's own, and no data");
    else if (t->fault == WS_ERR_LOST)
        ws_tls_note(t, "the connection ended without close_notify");
    else if (t->fault == WS_ERR_TLS && t->eof)
        ws_tls_note(t, "the peer closed the connection");
    else if (t->fault == WS_ERR_TLS)
        ws_tls_note_error(t);
    return t->fault;
}

int ws_tls_waits_out(const struct ws_tls *t)
{
    if (SSL_want_write(t->ssl))
        return (t->below->want & WS_STREAM_WRITE_IN) == 0;
    return (t->below->want & WS_STREAM_READ_OUT) != 0;
}

/* -- the stream -- */

static int tls_open(struct ws_stream *s)
{
    struct ws_tls *t = tls_of(s);
    int r, err = ws_stream_open_below(s, t->below);

    if (err != WS_OK) {
        if (err != WS_AGAIN)
            ws_tls_fell(t, err, "recv");
        return err;
    }
    ws_tls_begin(t);
    r = SSL_do_handshake(t->ssl);
    err = r == 1 ? WS_OK : ws_tls_judge(t, r);
    if (r != 1 && err == 0) { /* close_notify in the middle of it */
        t->broken = 1;
        t->fault = err = WS_ERR_TLS;
        ws_tls_note(t, "the peer closed the connection");
    }
    want(t, WS_STREAM_READ_OUT, err == WS_AGAIN && ws_tls_waits_out(t));
    want(t, WS_STREAM_OPENING, err != WS_OK);
    want(t, WS_STREAM_MORE, 0);
    t->drained = t->dry && err == WS_OK;
    want(t, WS_STREAM_PENDING, err == WS_AGAIN && t->recvs == 0);
    return err;
}

static ptrdiff_t tls_read(struct ws_stream *s, struct ws_span room)
{
    struct ws_tls *t = tls_of(s);
    size_t n = 0, got;
    int r = 1, err = WS_AGAIN;

    if (t->ended)
        return t->end;
    if (is_opening(t)) /* and will not: the caller waits for the end only */
        return ws_stream_read(t->below, room);
    if (t->broken)
        return t->fault;
    ws_tls_begin(t);
    t->dry = t->drained;
    t->drained = 0;
    while (n < room.n) {
        r = SSL_read_ex(t->ssl, room.p + n, room.n - n, &got);
        if (r != 1)
            break;
        n += got;
        t->talk = 0;
        if (t->dry && !SSL_has_pending(t->ssl))
            break; /* to be told so once more would cost as much again */
    }
    if (r != 1)
        err = ws_tls_judge(t, r);
    t->ended = r != 1 && err != WS_AGAIN;
    t->end = err;
    want(t, WS_STREAM_READ_OUT,
         r != 1 && err == WS_AGAIN && ws_tls_waits_out(t));
    want(t, WS_STREAM_PENDING,
         (r == 1 && (SSL_has_pending(t->ssl) || below_pending(t))) ||
             (n > 0 && t->ended) || t->recvs == 0);
    return n > 0 ? (ptrdiff_t)n : err;
}

/* Says close_notify (RFC 8446 6.1): WS_OK when it is out, or cannot be. */
static int notify(struct ws_tls *t)
{
    int r;

    if (t->broken || t->shut || !SSL_is_init_finished(t->ssl) ||
        (t->stream.want & WS_STREAM_LEFT) != 0)
        return WS_OK;
    ws_tls_begin(t);
    r = SSL_shutdown(t->ssl);
    if (r < 0 && SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_WRITE)
        return WS_AGAIN;
    t->shut = 1;
    return WS_OK;
}

static int tls_shutdown(struct ws_stream *s)
{
    struct ws_tls *t = tls_of(s);

    if (notify(t) == WS_AGAIN)
        return WS_AGAIN;
    return ws_stream_shutdown(t->below);
}

static void release(struct ws_tls *t)
{
    if (t->name != NULL)
        ws_mem_put(t->mem, t->name, strlen(t->name) + 1);
    if (t->words != NULL)
        ws_mem_put(t->mem, t->words, strlen(t->words) + 1);
    ws_tls_drop_rest(t);
    SSL_free(t->ssl);
    ERR_clear_error();
    ws_tls_ctx_unref(t->ctx);
    ws_mem_put(t->mem, t, sizeof *t);
}

static void tls_close(struct ws_stream *s)
{
    struct ws_tls *t = tls_of(s);
    struct ws_stream *below = t->below;

    notify(t); /* the second to close says it too, if it goes out at once */
    release(t);
    ws_stream_close(below);
}

static const char *tls_failure(struct ws_stream *s, const char *call,
                               char *text, size_t size)
{
    struct ws_tls *t = tls_of(s);

    (void)call; /* of ours; which of the one below is known better */
    if (t->below_err != 0)
        return ws_stream_failure(t->below, t->below_call, text, size);
    snprintf(text, size, "%s",
             t->words != NULL ? t->words : ws_err_text(t->fault));
    return ws_err_word(t->fault);
}

static const char *tls_busy(struct ws_stream *s)
{
    struct ws_tls *t = tls_of(s);

    return ws_stream_is_opening(t->below) ? ws_stream_busy(t->below)
                                          : "TLS handshake";
}

static const struct ws_stream_ops ops = {
    tls_open,  tls_read,    ws_tls_write, tls_shutdown,
    tls_close, tls_failure, tls_busy,
};

/* -- making -- */

static int is_address(const char *name)
{
    ASN1_OCTET_STRING *a = a2i_IPADDRESS(name);

    ASN1_OCTET_STRING_free(a);
    return a != NULL;
}

/* Whom to expect, and what to ask for (RFC 6066 3: names only). */
static int aim(struct ws_tls *t)
{
    X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
    SSL_SESSION *session;
    int ok;

    X509_VERIFY_PARAM_set_hostflags(p,
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address(t->name))
        ok = X509_VERIFY_PARAM_set1_ip_asc(p, t->name);
    else
        ok = X509_VERIFY_PARAM_set1_host(p, t->name, 0) &&
             SSL_set_tlsext_host_name(t->ssl, t->name);
    session = ok ? ws_tls_resume_take(t->ctx, t->name) : NULL;
    if (session != NULL) {
        SSL_set_session(t->ssl, session);
        SSL_SESSION_free(session);
    }
    SSL_set_connect_state(t->ssl);
    return ok ? WS_OK : WS_ERR_NOMEM;
}

/* Without a dot at either end: OpenSSL takes one in front for "any subdomain".
** The name is never empty, which would be no check at all. */
static int keep_name(struct ws_tls *t, const char *name)
{
    size_t n;

    while (name[0] == '.' && name[1] != '\0')
        name++;
    n = strlen(name);
    if (n > 1 && name[n - 1] == '.')
        n--;
    t->name = ws_mem_get(t->mem, n + 1);
    if (t->name == NULL)
        return WS_ERR_NOMEM;
    memcpy(t->name, name, n);
    t->name[n] = '\0';
    return WS_OK;
}

/* The SSL with its BIO.  They find t, and t them. */
static int connect_parts(struct ws_tls *t)
{
    BIO *b;

    t->ssl = SSL_new(t->ctx->ssl);
    if (t->ssl == NULL)
        return WS_ERR_NOMEM;
    b = BIO_new(t->ctx->bio);
    if (b == NULL)
        return WS_ERR_NOMEM;
    BIO_set_data(b, t);
    BIO_set_init(b, 1);
    SSL_set_bio(t->ssl, b, b);
    SSL_set_app_data(t->ssl, t);
    SSL_set_info_callback(t->ssl, on_talk);
    return WS_OK;
}

int ws_tls_new(struct ws_stream **top, struct ws_stream *below,
               struct ws_mem *mem, struct ws_tls_ctx *ctx, const char *name)
{
    struct ws_tls *t = ws_mem_get(mem, sizeof *t);
    int err;

    if (t == NULL)
        return WS_ERR_NOMEM;
    memset(t, 0, sizeof *t);
    t->stream.ops = &ops;
    t->stream.want = WS_STREAM_OPENING;
    t->below = below;
    t->mem = mem;
    t->ctx = ws_tls_ctx_ref(ctx);
    ERR_clear_error();
    err = connect_parts(t);
    if (err == WS_OK && name != NULL)
        err = keep_name(t, name);
    if (err == WS_OK && name != NULL)
        err = aim(t);
    else if (err == WS_OK)
        SSL_set_accept_state(t->ssl);
    if (err == WS_OK)
        *top = &t->stream;
    else
        release(t);
    return err;
}

int ws_tls_describe(struct ws_stream *s, struct ws_tls_info *info)
{
    struct ws_tls *t = tls_of(s);

    if (s->ops != &ops || (s->want & WS_STREAM_OPENING) != 0)
        return WS_MORE;
    info->version = SSL_get_version(t->ssl);
    info->cipher = SSL_get_cipher_name(t->ssl);
    info->resumed = SSL_session_reused(t->ssl);
    info->has_cert = SSL_get0_peer_certificate(t->ssl) != NULL;
    return WS_OK;
}
