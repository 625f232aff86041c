/* net/proxy.c -- see proxy.h. */
#include "net/proxy.h"

#include "base/base64.h"
#include "wire/auth.h"
#include "wire/head.h"
#include "wire/uri.h"

enum {
    READ_SIZE = 1024, /* bytes at once; what is too much is kept */
    CHANCE = 18,      /* bytes of a cnonce */
    ANSWERS_MAX = 2   /* of challenges: any, then one for a stale nonce */
};

struct proxy {
    struct ws_prelude p; /* first */
    struct ws_head_scan scan;
    unsigned interims; /* 1xx answers so far */
    unsigned answers;  /* to challenges, that may still be given */
    uint64_t skip;     /* bytes of a 407's content that are still to come */
    struct ws_slice user, password;      /* bytes behind this struct; p NULL */
    char authority[WS_HOST_HEADER_SIZE]; /* the target */
};

static const struct ws_head_limits limits = {
    WS_PROXY_HEAD_MAX, WS_HEAD_LINES_MAX, WS_HEAD_LINE_MAX, 0};

/* -- the request -- */

/* The port is always there (9.3.6), in Host too (RFC 9112 3.2.3). */
static int put_request(struct proxy *x, struct ws_slice credentials)
{
    struct ws_slice target = ws_slice_str(x->authority);
    struct ws_head_writer w = {&x->p.out, x->p.mem, WS_OK};

    w.err = ws_head_put_request(w.out, w.mem, ws_slice_str("CONNECT"), target);
    ws_head_put_named(&w, "Host", target);
    if (credentials.n > 0)
        ws_head_put_named(&w, "Proxy-Authorization", credentials);
    return w.err == WS_OK ? ws_head_put_end(w.out, w.mem) : w.err;
}

/* The value that answers d, or without one that of Basic. */
static int write_value(const struct proxy *x, const struct ws_digest *d,
                       struct ws_login *w, struct ws_span *value)
{
    char cnonce[WS_BASE64_SIZE(CHANCE)];
    uint8_t chance[CHANCE];
    int err;

    if (d == NULL) {
        value->n = ws_basic_write((char *)value->p, x->user, x->password);
        return WS_OK;
    }
    err = ws_random(NULL, chance, sizeof chance);
    ws_base64_encode(cnonce, ws_slice_of(chance, sizeof chance));
    w->cnonce = ws_slice_of(cnonce, sizeof cnonce);
    if (err == WS_OK)
        err = ws_digest_write((char *)value->p, &value->n, d, w);
    return err;
}

static int ask(struct proxy *x, const struct ws_digest *d)
{
    struct ws_login w = {x->user,
                         x->password,
                         ws_slice_str("CONNECT"),
                         ws_slice_str(x->authority),
                         {NULL, 0}};
    struct ws_span value = {NULL, 0};
    size_t size = WS_BASIC_SIZE(x->user.n + x->password.n);
    uint8_t *own;
    int err;

    if (x->user.p == NULL)
        return put_request(x, w.cnonce); /* nothing */
    if (d != NULL)
        size = ws_digest_size(d, &w) + WS_BASE64_SIZE((size_t)CHANCE);
    own = ws_mem_get(x->p.mem, size);
    if (own == NULL)
        return WS_ERR_NOMEM;
    value.p = own;
    err = write_value(x, d, &w, &value);
    if (err == WS_OK)
        err = put_request(x, ws_slice_of(value.p, value.n));
    ws_wipe(own, size);
    ws_mem_put(x->p.mem, own, size);
    return err;
}

/* -- the answer -- */

/* 1: the connection stays after this refusal, whose content has *length. */
static int stays(const struct ws_head *head, uint64_t *length)
{
    enum ws_body_kind kind;

    return !ws_slice_is(head->version, "HTTP/1.0") &&
           !ws_head_has_token(head, "Connection", "close") &&
           !ws_head_has_token(head, "Proxy-Connection", "close") &&
           ws_head_body(head, &kind, length) == WS_OK &&
           (kind == WS_BODY_NONE || kind == WS_BODY_LENGTH) &&
           *length <= WS_PROXY_CONTENT_MAX;
}

/* 1: it asks by Digest for what we can say. */
static int is_answerable(const struct proxy *x, const struct ws_head *head,
                         struct ws_digest *d)
{
    return head->status == 407 && x->answers > 0 && x->user.p != NULL &&
           ws_digest_choose(head, "Proxy-Authenticate", d) == WS_OK &&
           (x->answers == ANSWERS_MAX || d->stale);
}

/* What was read of it is done with; another answer follows. */
static int go_on(struct proxy *x, size_t n)
{
    ws_buf_skip(&x->p.in, n);
    ws_head_scan_init(&x->scan);
    return WS_MORE;
}

/* The head of n bytes asks for what d says.  WS_MORE: the answer goes out next;
** WS_AGAIN: on another connection. */
static int answer(struct proxy *x, const struct ws_head *head,
                  const struct ws_digest *d, size_t n)
{
    int here = stays(head, &x->skip), err = ask(x, d);

    if (err != WS_OK)
        return ws_prelude_refuse(&x->p, ws_err_text(err));
    x->answers--;
    x->interims = 0;
    if (here)
        return go_on(x, n);
    x->skip = 0;
    x->p.stream.want |= WS_STREAM_ANEW;
    go_on(x, ws_buf_size(&x->p.in));
    return WS_AGAIN;
}

/* The head of n bytes in `in` is complete.  WS_MORE: another will follow. */
static int judge(struct proxy *x, size_t n)
{
    struct ws_field fields[WS_HEAD_LINES_MAX];
    struct ws_head head;
    struct ws_span all = ws_buf_span(&x->p.in);
    struct ws_digest d;
    int err;

    memset(&head, 0, sizeof head);
    head.fields = fields;
    head.fields_max = WS_HEAD_LINES_MAX;
    err = ws_head_cut(&head, ws_span_of(all.p, n), 1);
    if (err != WS_OK)
        return ws_prelude_refuse(&x->p, ws_err_text(err));
    if (head.status < 200 && head.status != 101 &&
        ++x->interims <= WS_PROXY_INTERIM_MAX)
        return go_on(x, n);
    if (head.status >= 200 && head.status < 300) {
        ws_buf_skip(&x->p.in, n); /* the tunnel's bytes are behind it */
        return WS_OK;
    }
    if (is_answerable(x, &head, &d))
        return answer(x, &head, &d, n);
    x->p.status = head.status;
    x->p.reason = head.reason;
    return ws_prelude_refuse(&x->p, NULL);
}

static int look(struct proxy *x)
{
    size_t n = 0;
    int err = ws_head_scan(&x->scan, ws_buf_peek(&x->p.in), &limits, &n);

    if (err == WS_OK)
        return judge(x, n);
    return err == WS_MORE ? WS_MORE
                          : ws_prelude_refuse(&x->p, ws_err_text(err));
}

/* Drops what is there of a content that nobody reads. */
static void skip_content(struct proxy *x)
{
    size_t n = ws_buf_size(&x->p.in);

    n = x->skip < n ? (size_t)x->skip : n;
    ws_buf_skip(&x->p.in, n);
    x->skip -= n;
}

/* WS_MORE: there is more to say, or to look at. */
static int hear(struct proxy *x)
{
    int err = WS_MORE;

    skip_content(x);
    if (x->skip == 0)
        err = look(x);
    if (err == WS_OK)
        return ws_prelude_done(&x->p);
    if (err != WS_MORE || ws_buf_size(&x->p.out) > 0 ||
        (x->skip == 0 && x->scan.pos < ws_buf_size(&x->p.in)))
        return err; /* WS_MORE: it came behind an interim answer */
    err = ws_prelude_listen(&x->p, READ_SIZE);
    return err == WS_OK ? WS_MORE : err;
}

static int proxy_open(struct ws_stream *s)
{
    struct proxy *x = ws_container(s, struct proxy, p.stream);
    int err = WS_MORE;

    while (err == WS_MORE) {
        err = ws_prelude_send(&x->p);
        if (err == WS_OK)
            err = hear(x);
    }
    return err;
}

/* -- making -- */

static const struct ws_stream_ops ops = {
    proxy_open,       ws_prelude_read,    ws_prelude_write, ws_prelude_shutdown,
    ws_prelude_close, ws_prelude_failure, ws_prelude_busy,
};

/* A copy at *at, which moves on. */
static struct ws_slice keep(char **at, const char *s)
{
    struct ws_slice own = ws_slice_of(*at, s == NULL ? 0 : strlen(s));

    if (own.n > 0)
        memcpy(*at, s, own.n);
    *at += own.n;
    return own;
}

int ws_proxy_new(struct ws_stream **top, struct ws_stream *below,
                 struct ws_mem *mem, const struct ws_tunnel *t)
{
    size_t n = ws_slice_str(t->user).n + ws_slice_str(t->password).n;
    struct ws_prelude *p =
        ws_prelude_new(sizeof(struct proxy) + n, below, mem, "CONNECT", t);
    struct proxy *x;
    char *at;
    int err = WS_OK;

    if (p == NULL)
        return WS_ERR_NOMEM;
    x = ws_container(p, struct proxy, p);
    at = (char *)(x + 1);
    p->stream.ops = &ops;
    ws_head_scan_init(&x->scan);
    ws_prelude_authority(x->authority, sizeof x->authority, t->host, t->port);
    x->answers = ANSWERS_MAX;
    if (t->user != NULL || t->password != NULL) {
        x->user = keep(&at, t->user);
        x->password = keep(&at, t->password);
        err = ws_basic_check(x->user, x->password);
    }
    if (err == WS_OK)
        err = ask(x, NULL);
    if (err == WS_OK) {
        *top = &p->stream;
        return WS_OK;
    }
    ws_prelude_free(p);
    return err;
}
