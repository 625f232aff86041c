/* net/proxy.c -- see proxy.h. */
#include "net/proxy.h"

#include "wire/auth.h"
#include "wire/head.h"
#include "wire/uri.h"

enum { READ_SIZE = 1024 }; /* bytes at once; what is too much is kept */

struct proxy {
    struct ws_prelude p; /* first */
    struct ws_head_scan scan;
    unsigned interims; /* 1xx answers so far */
};

static const struct ws_head_limits limits = {
    WS_PROXY_HEAD_MAX, WS_HEAD_LINES_MAX, WS_HEAD_LINE_MAX, 0};

/* -- the request -- */

static int put_credentials(struct ws_prelude *p, const struct ws_tunnel *t)
{
    struct ws_slice user = ws_slice_str(t->user);
    struct ws_slice password = ws_slice_str(t->password);
    size_t n = WS_BASIC_SIZE(user.n + password.n);
    char *value;
    int err;

    if (t->user == NULL && t->password == NULL)
        return WS_OK;
    if (ws_basic_check(user, password) != WS_OK)
        return WS_ERR_FIELD;
    value = ws_mem_get(p->mem, n);
    if (value == NULL)
        return WS_ERR_NOMEM;
    ws_basic_write(value, user, password);
    err =
        ws_head_put_field(&p->out, p->mem, ws_slice_str("Proxy-Authorization"),
                          ws_slice_of(value, n));
    ws_mem_put(p->mem, value, n);
    return err;
}

/* The port is always there (9.3.6), in Host too (RFC 9112 3.2.3). */
static int put_request(struct ws_prelude *p, const struct ws_tunnel *t)
{
    char authority[WS_HOST_HEADER_SIZE];
    struct ws_slice target;
    int err;

    ws_prelude_authority(authority, sizeof authority, t->host, t->port);
    target = ws_slice_str(authority);
    err = ws_head_put_request(&p->out, p->mem, ws_slice_str("CONNECT"), target);
    if (err == WS_OK)
        err = ws_head_put_field(&p->out, p->mem, ws_slice_str("Host"), target);
    if (err == WS_OK)
        err = put_credentials(p, t);
    return err == WS_OK ? ws_head_put_end(&p->out, p->mem) : err;
}

/* -- the answer -- */

/* The head of n bytes in `in` is complete.  WS_MORE: it was an interim one. */
static int judge(struct proxy *x, size_t n)
{
    struct ws_field fields[WS_HEAD_LINES_MAX];
    struct ws_head head;
    struct ws_span all = ws_buf_span(&x->p.in);
    int err;

    memset(&head, 0, sizeof head);
    head.fields = fields;
    head.fields_max = WS_HEAD_LINES_MAX;
    err = ws_head_parse(&head, ws_span_of(all.p, n), 1);
    if (err != WS_OK)
        return ws_prelude_refuse(&x->p, ws_err_text(err));
    if (head.status < 200 && head.status != 101 &&
        ++x->interims <= WS_PROXY_INTERIM_MAX) {
        ws_buf_skip(&x->p.in, n);
        ws_head_scan_init(&x->scan);
        return WS_MORE;
    }
    if (head.status >= 200 && head.status < 300) {
        ws_buf_skip(&x->p.in, n); /* the tunnel's bytes are behind it */
        return WS_OK;
    }
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

static int proxy_open(struct ws_stream *s)
{
    struct proxy *x = ws_container(s, struct proxy, p.stream);
    int err = ws_prelude_send(&x->p);

    while (err == WS_OK) {
        err = look(x);
        if (err == WS_OK)
            return ws_prelude_done(&x->p);
        if (err == WS_MORE && x->scan.pos < ws_buf_size(&x->p.in))
            err = WS_OK; /* it came behind an interim answer */
        else if (err == WS_MORE)
            err = ws_prelude_listen(&x->p, READ_SIZE);
    }
    return err;
}

/* -- making -- */

static const struct ws_stream_ops ops = {
    proxy_open,       ws_prelude_read,    ws_prelude_write, ws_prelude_shutdown,
    ws_prelude_close, ws_prelude_failure, ws_prelude_busy,
};

int ws_proxy_new(struct ws_stream **top, struct ws_stream *below,
                 struct ws_mem *mem, const struct ws_tunnel *t)
{
    struct ws_prelude *p =
        ws_prelude_new(sizeof(struct proxy), below, mem, "CONNECT", t);
    int err;

    if (p == NULL)
        return WS_ERR_NOMEM;
    p->stream.ops = &ops;
    ws_head_scan_init(&ws_container(p, struct proxy, p)->scan);
    err = put_request(p, t);
    if (err == WS_OK) {
        *top = &p->stream;
        return WS_OK;
    }
    ws_prelude_free(p);
    return err;
}
