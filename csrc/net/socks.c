/* net/socks.c -- see socks.h. */
#include "net/socks.h"

#include "net/addr.h"

enum {
    VERSION = 5,      /* of everything but the password's own messages */
    AUTH_VERSION = 1, /* RFC 1929 2 */
    PART_MAX = 255,   /* bytes of a name, a user, a password */
    CONNECT = 1,
    BY_V4 = 1, /* kinds of address */
    BY_NAME = 3,
    BY_V6 = 4,
    NO_AUTH = 0, /* ways to authenticate */
    PASSWORD = 2,
    NO_WAY = 255
};

/* What is waited for. */
enum state {
    METHOD, /* two bytes: which way to authenticate */
    STATUS, /* two bytes: whether user and password are right */
    REPLY,  /* two bytes: whether the connection is there */
    ADDRESS /* those and the rest of that answer: from where it is */
};
/*  METHOD -> STATUS -> REPLY -> ADDRESS, or METHOD -> REPLY -> ADDRESS */

struct socks {
    struct ws_prelude p; /* first */
    struct ws_buf auth;  /* user and password, if they are asked for */
    struct ws_buf ask;   /* the request that comes behind */
    enum state state;
};

/* -- what is said -- */

static int put(struct socks *x, struct ws_buf *b, const void *bytes, size_t n)
{
    return ws_buf_append(b, x->p.mem, ws_slice_of(bytes, n));
}

/* A byte with the length, then the text. */
static int put_part(struct socks *x, struct ws_buf *b, const char *text)
{
    uint8_t n = (uint8_t)strlen(text);
    int err = put(x, b, &n, 1);

    return err == WS_OK ? put(x, b, text, n) : err;
}

static int put_greeting(struct socks *x, const struct ws_tunnel *t)
{
    static const uint8_t none[] = {VERSION, 1, NO_AUTH};
    static const uint8_t both[] = {VERSION, 2, NO_AUTH, PASSWORD};
    static const uint8_t version = AUTH_VERSION;
    int err;

    if (t->user == NULL)
        return put(x, &x->p.out, none, sizeof none);
    err = put(x, &x->p.out, both, sizeof both);
    if (err == WS_OK)
        err = put(x, &x->auth, &version, 1);
    if (err == WS_OK)
        err = put_part(x, &x->auth, t->user);
    if (err == WS_OK)
        err = put_part(x, &x->auth, t->password == NULL ? "" : t->password);
    return err;
}

static int put_host(struct socks *x, const char *host)
{
    static const uint8_t kinds[] = {BY_V4, BY_NAME, BY_V6};
    struct ws_addr a;
    int err;

    if (ws_addr_parse(&a, host, 0) != WS_OK) {
        err = put(x, &x->ask, &kinds[1], 1);
        return err == WS_OK ? put_part(x, &x->ask, host) : err;
    }
    if (ws_addr_family(&a) == AF_INET) {
        err = put(x, &x->ask, &kinds[0], 1);
        return err == WS_OK ? put(x, &x->ask, &a.u.v4.sin_addr, 4) : err;
    }
    err = put(x, &x->ask, &kinds[2], 1);
    return err == WS_OK ? put(x, &x->ask, &a.u.v6.sin6_addr, 16) : err;
}

static int put_request(struct socks *x, const struct ws_tunnel *t)
{
    static const uint8_t head[] = {VERSION, CONNECT, 0};
    uint8_t port[2];
    int err = put(x, &x->ask, head, sizeof head);

    port[0] = (uint8_t)(t->port >> 8);
    port[1] = (uint8_t)t->port;
    if (err == WS_OK)
        err = put_host(x, t->host);
    return err == WS_OK ? put(x, &x->ask, port, 2) : err;
}

/* -- what is answered -- */

/* Bytes of the message that is waited for, as far as its first n tell. */
static size_t needed(const struct socks *x, struct ws_slice in)
{
    if (x->state != ADDRESS)
        return 2;
    if (in.n < 5)
        return 5; /* kind of address, and the length of a name */
    if (in.p[3] == BY_NAME)
        return 5 + (size_t)in.p[4] + 2;
    if (in.p[3] == BY_V4 || in.p[3] == BY_V6)
        return 4 + (in.p[3] == BY_V4 ? 4 : 16) + 2;
    return 5; /* no such kind: enough to refuse it */
}

/* Says what is in b next. */
static void say(struct socks *x, struct ws_buf *b, enum state then)
{
    ws_buf_free(&x->p.out, x->p.mem);
    x->p.out = *b;
    ws_buf_init(b, 0);
    x->state = then;
}

static int on_method(struct socks *x, const uint8_t *p)
{
    if (p[0] != VERSION)
        return ws_prelude_refuse(&x->p, "the answer is not SOCKS5");
    if (p[1] == NO_AUTH) {
        say(x, &x->ask, REPLY);
        return WS_MORE;
    }
    if (p[1] == PASSWORD && ws_buf_size(&x->auth) > 0) {
        say(x, &x->auth, STATUS);
        return WS_MORE;
    }
    if (p[1] != NO_WAY)
        return ws_prelude_refuse(
            &x->p,
            "the proxy chose a way to authenticate that was not offered");
    return ws_prelude_refuse(&x->p, ws_buf_size(&x->auth) > 0
                                        ? "the proxy takes no user and password"
                                        : "the proxy wants authentication");
}

static int on_status(struct socks *x, const uint8_t *p)
{
    if (p[0] != AUTH_VERSION && p[0] != VERSION) /* as some do */
        return ws_prelude_refuse(&x->p, "the answer is not SOCKS5");
    if (p[1] != 0)
        return ws_prelude_refuse(&x->p, "user or password is wrong");
    say(x, &x->ask, REPLY);
    return WS_MORE;
}

/* RFC 1928 6.  Some say no more than that when they refuse. */
static int on_reply(struct socks *x, const uint8_t *p)
{
    static const char *const texts[] = {
        NULL,
        "general failure of the proxy",
        "the proxy's rules forbid it",
        "network unreachable",
        "host unreachable",
        "connection refused",
        "TTL expired",
        "the proxy does not support CONNECT",
        "the proxy does not support this kind of address"};

    if (p[0] != VERSION)
        return ws_prelude_refuse(&x->p, "the answer is not SOCKS5");
    if (p[1] >= sizeof texts / sizeof texts[0])
        return ws_prelude_refuse(&x->p, "a reply code that is not known");
    if (p[1] != 0)
        return ws_prelude_refuse(&x->p, texts[p[1]]);
    x->state = ADDRESS;
    return WS_MORE;
}

/* The address itself is of no use to anybody here. */
static int on_address(struct socks *x, struct ws_slice in)
{
    if (in.p[3] != BY_V4 && in.p[3] != BY_NAME && in.p[3] != BY_V6)
        return ws_prelude_refuse(&x->p,
                                 "an address of a kind that is not known");
    if (in.n < needed(x, in))
        return WS_MORE;
    ws_buf_skip(&x->p.in, in.n);
    return WS_OK;
}

/* As many bytes came as are needed so far.  WS_OK: the tunnel is there;
** WS_MORE: go on. */
static int answered(struct socks *x)
{
    struct ws_slice in = ws_buf_peek(&x->p.in);
    int err;

    if (x->state == REPLY)
        return on_reply(x, in.p);
    if (x->state == ADDRESS)
        return on_address(x, in);
    err = x->state == METHOD ? on_method(x, in.p) : on_status(x, in.p);
    ws_buf_skip(&x->p.in, in.n);
    return err;
}

static int socks_open(struct ws_stream *s)
{
    struct socks *x = ws_container(s, struct socks, p.stream);
    int err = ws_prelude_send(&x->p);

    while (err == WS_OK) {
        struct ws_slice in = ws_buf_peek(&x->p.in);
        size_t want = needed(x, in);

        if (in.n < want) {
            err = ws_prelude_listen(&x->p, want - in.n);
            continue;
        }
        err = answered(x);
        if (err == WS_OK)
            return ws_prelude_done(&x->p);
        if (err == WS_MORE)
            err = ws_prelude_send(&x->p);
    }
    return err;
}

/* -- making -- */

static void drop(struct socks *x)
{
    ws_buf_free(&x->auth, x->p.mem);
    ws_buf_free(&x->ask, x->p.mem);
}

static void socks_close(struct ws_stream *s)
{
    drop(ws_container(s, struct socks, p.stream));
    ws_prelude_close(s);
}

static const struct ws_stream_ops ops = {
    socks_open,  ws_prelude_read,    ws_prelude_write, ws_prelude_shutdown,
    socks_close, ws_prelude_failure, ws_prelude_busy,
};

static int fits(const char *part)
{
    return part == NULL || strlen(part) <= PART_MAX;
}

int ws_socks_new(struct ws_stream **top, struct ws_stream *below,
                 struct ws_mem *mem, const struct ws_tunnel *t)
{
    struct ws_prelude *p;
    struct socks *x;
    int err;

    if (!fits(t->host) || t->host[0] == '\0' || !fits(t->user) ||
        !fits(t->password) || (t->user != NULL && t->user[0] == '\0'))
        return WS_ERR_FIELD;
    p = ws_prelude_new(sizeof *x, below, mem, "SOCKS5", t);
    if (p == NULL)
        return WS_ERR_NOMEM;
    p->stream.ops = &ops;
    x = ws_container(p, struct socks, p);
    err = put_greeting(x, t);
    if (err == WS_OK)
        err = put_request(x, t);
    if (err == WS_OK) {
        *top = &p->stream;
        return WS_OK;
    }
    drop(x);
    ws_prelude_free(p);
    return err;
}
