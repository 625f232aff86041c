/* peer/dial.c -- see dial.h. */
#include "peer/dial.h"

#include "net/addr.h"
#include "net/proxy.h"
#include "net/socks.h"

#include <errno.h>
#include <stdio.h>

static void start_next(struct ws_dial *d);

/* -- life -- */

static struct ws_dial *new_dial(struct ws_session *s,
                                const struct ws_dial_conf *conf)
{
    struct ws_dial *d = ws_mem_get(s->peers->mem, sizeof *d);
    unsigned i;

    if (d == NULL)
        return NULL;
    memset(d, 0, sizeof *d);
    d->session = s;
    d->peers = s->peers;
    d->port = conf->port;
    d->no_delay = conf->no_delay != 0;
    if (conf->tls != NULL) {
        d->tls = ws_tls_ctx_ref(conf->tls);
        snprintf(d->tls_name, sizeof d->tls_name, "%s", conf->tls_name);
    }
    ws_timer_init(&d->timer, WS_TAG_DIAL_TIMER);
    ws_link_init(&d->wait);
    if (conf->from != NULL) {
        d->from = *conf->from;
        d->has_from = 1;
    }
    for (i = 0; i < WS_DIAL_ADDRS_MAX; i++) {
        d->attempts[i].dial = d;
        ws_watcher_init(&d->attempts[i].io, WS_TAG_DIAL);
        ws_sock_init(&d->attempts[i].sock);
    }
    return d;
}

static void stop_attempt(struct ws_dial *d, struct ws_attempt *a)
{
    ws_loop_unwatch(d->peers->loop, &a->io);
    ws_stream_close(&a->sock.stream);
}

/* The stream that will ask the proxy for the target. */
static int make_tunnel(struct ws_dial *d, const struct ws_dial_conf *conf)
{
    const struct ws_uri *proxy = conf->proxy;
    char where[WS_HOST_HEADER_SIZE];
    struct ws_tunnel t;

    ws_prelude_authority(where, sizeof where, proxy->host, proxy->port);
    t.host = conf->host;
    t.port = conf->port;
    t.user = proxy->user;
    t.password = proxy->password;
    t.proxy = where;
    d->port = proxy->port;
    d->by_proxy = 1;
    if (conf->proxy_tls != NULL) {
        d->proxy_tls = ws_tls_ctx_ref(conf->proxy_tls);
        snprintf(d->proxy_name, sizeof d->proxy_name, "%s", proxy->host);
    }
    if (proxy->scheme == WS_URI_SOCKS5)
        return ws_socks_new(&d->tunnel, NULL, d->peers->mem, &t);
    return ws_proxy_new(&d->tunnel, NULL, d->peers->mem, &t);
}

static void end_race(struct ws_dial *d)
{
    unsigned i;

    ws_loop_disarm(d->peers->loop, &d->timer);
    for (i = 0; i < d->next; i++)
        stop_attempt(d, &d->attempts[i]);
    d->next = 0;
    d->running = 0;
    d->session->dialing = 0;
}

/* Keeps nothing but what was handed over before. */
static void end_dial(struct ws_dial *d)
{
    struct ws_peers *p = d->peers;

    ws_link_remove(&d->wait);
    if (d->looking)
        ws_lookup_cancel(&p->resolver, &d->lookup);
    end_race(d);
    if (d->tunnel != NULL && !d->stacked)
        ws_stream_close(d->tunnel);
    d->session->dial = NULL;
    ws_tls_ctx_unref(d->tls);
    ws_tls_ctx_unref(d->proxy_tls);
    ws_mem_put(p->mem, d, sizeof *d);
}

void ws_dial_cancel(struct ws_dial *d)
{
    end_dial(d);
}

/* -- outcomes -- */

static const char *whose(const struct ws_dial *d)
{
    return d->by_proxy ? " (proxy)" : "";
}

static void failed(struct ws_dial *d)
{
    struct ws_session *s = d->session;
    char where[WS_ADDR_NAME_MAX], text[256];

    ws_addr_name(&d->addrs[d->last], where, sizeof where);
    snprintf(text, sizeof text, "connect %s%s: %s", where, whose(d),
             ws_errno_text(d->last_errno));
    ws_session_fail(s, WS_ERR_SYSTEM, ws_errno_word(d->last_errno), text);
    end_dial(d);
}

void ws_dial_tick(struct ws_dial *d)
{
    struct ws_session *s = d->session;
    char where[sizeof d->host], text[sizeof where + 64];

    if (d->waits)
        s->conn.progress_ms = s->conn.now_ms; /* nobody could take a byte */
    if (s->conn.deadline_ms < 0 || s->conn.now_ms < s->conn.deadline_ms)
        return;
    if (d->next > 0)
        ws_addr_name(&d->addrs[d->next - 1], where, sizeof where);
    else
        snprintf(where, sizeof where, "%s", d->host);
    snprintf(text, sizeof text, "%s %s%s: %s",
             d->next > 0 ? "connect" : "resolve", where, whose(d),
             ws_err_text(WS_ERR_HANDSHAKE_TIMEOUT));
    ws_session_say(s, ws_err_word(WS_ERR_HANDSHAKE_TIMEOUT), text);
}

/* The tunnel on the socket, over TLS if the proxy wants that. */
static int stand(struct ws_session *s, struct ws_dial *d)
{
    struct ws_stream *below = &s->sock.stream;
    int err = WS_OK;

    if (d->proxy_tls != NULL)
        err = ws_tls_new(&below, below, d->peers->mem, d->proxy_tls,
                         d->proxy_name);
    if (err != WS_OK)
        return err;
    ws_prelude_stand(d->tunnel, below);
    ws_session_stack(s, d->stacked ? s->top : d->tunnel);
    d->stacked = 1;
    return WS_OK;
}

/* What the URL and its proxy ask for is put on the socket; on another one what
** is above the tunnel is there already. */
static void stack(struct ws_session *s, struct ws_dial *d)
{
    int first = !d->stacked, err = WS_OK;

    if (d->tunnel != NULL)
        err = stand(s, d);
    if (err == WS_OK && first && d->tls != NULL)
        err = ws_session_secure(s, d->tls, d->tls_name);
    if (err != WS_OK)
        ws_conn_lost(&s->conn, err);
}

/* The winner's socket becomes the session's. */
static void connected(struct ws_dial *d, struct ws_attempt *a)
{
    struct ws_session *s = d->session;
    int fd = a->sock.fd;

    ws_loop_unwatch(d->peers->loop, &a->io);
    a->sock.fd = -1;
    s->opening = 0;
    if (ws_loop_watch(s->peers->loop, &s->io, fd, WS_IO_READ) != WS_OK)
        ws_conn_lost(&s->conn, WS_ERR_NOMEM);
    ws_sock_adopt(&s->sock, fd);
    if (d->no_delay && d->port > 0)
        ws_sock_nodelay(&s->sock, 1);
    stack(s, d);
    if (d->tunnel != NULL)
        end_race(d);
    else
        end_dial(d);
    ws_session_touch(s);
}

static void attempt_failed(struct ws_dial *d, struct ws_attempt *a, int err)
{
    stop_attempt(d, a);
    d->running--;
    d->last_errno = err;
    d->last = (unsigned)(a - d->attempts);
    if (d->next < d->naddrs)
        start_next(d);
    else if (d->running == 0)
        failed(d);
}

/* -- the race -- */

static void start_next(struct ws_dial *d)
{
    unsigned i = d->next++;
    struct ws_attempt *a = &d->attempts[i];
    const struct ws_addr *from = d->has_from ? &d->from : NULL;
    struct ws_loop *loop = d->peers->loop;
    int err = ws_sock_connect(&a->sock, &d->addrs[i], from);

    d->running++;
    if (d->next == d->naddrs) /* the one before may have armed it */
        ws_loop_disarm(loop, &d->timer);
    /* Also a connection made at once is reported by the loop, so that
       nothing happens before it turns (W-12). */
    if (err >= WS_OK &&
        ws_loop_watch(loop, &a->io, a->sock.fd, WS_IO_WRITE) == WS_OK) {
        if (d->next < d->naddrs)
            ws_loop_arm(loop, &d->timer, loop->now_ms + WS_DIAL_DELAY_MS);
        return;
    }
    attempt_failed(d, a, err < WS_OK ? a->sock.stream.err : ENOMEM);
}

static void attempt_ready(struct ws_attempt *a)
{
    struct ws_dial *d = a->dial;

    if (ws_sock_connected(&a->sock) == WS_OK)
        connected(d, a);
    else
        attempt_failed(d, a, a->sock.stream.err);
}

/* The host could not be looked up: told like any other failure. */
static void lookup_failed(struct ws_dial *d, const char *word, const char *why)
{
    char text[384];

    snprintf(text, sizeof text, "resolve %s%s: %s", d->host, whose(d), why);
    ws_session_fail(d->session, WS_ERR_SYSTEM, word, text);
    end_dial(d);
}

static void looked_up(struct ws_dial *d)
{
    int status = d->lookup.status;
    unsigned i;

    d->looking = 0;
    if (status != 0 || d->lookup.n == 0) {
        ws_lookup_free(&d->lookup);
        lookup_failed(d, ws_resolve_word(status), ws_resolve_text(status));
        return;
    }
    for (i = 0; i < d->lookup.n && i < WS_DIAL_ADDRS_MAX; i++)
        d->addrs[i] = d->lookup.addrs[i];
    d->naddrs = i;
    ws_lookup_free(&d->lookup);
    start_next(d);
}

/* -- the resolver, one a loop, from the first name on -- */

static int start_resolver(struct ws_peers *p)
{
    int err;

    if (p->resolver_on)
        return WS_OK;
    err = ws_resolver_init(&p->resolver);
    if (err != WS_OK)
        return err;
    ws_watcher_init(&p->resolved, WS_TAG_RESOLVER);
    err = ws_loop_watch(p->loop, &p->resolved, p->resolver.fd, WS_IO_READ);
    if (err != WS_OK) {
        ws_resolver_free(&p->resolver);
        return err;
    }
    p->resolver_on = 1;
    return WS_OK;
}

void ws_dial_stop_resolver(struct ws_peers *p)
{
    if (!p->resolver_on)
        return;
    p->resolver_on = 0;
    ws_loop_unwatch(p->loop, &p->resolved);
    ws_resolver_free(&p->resolver);
}

static int look_up(struct ws_dial *d)
{
    struct ws_resolver *r = &d->peers->resolver;
    int err = start_resolver(d->peers);

    if (err == WS_OK)
        err = ws_resolver_start(r, &d->lookup, d->host, d->port);
    if (err == WS_OK) {
        d->looking = 1;
        return WS_OK;
    }
    if (err == WS_ERR_NOMEM)
        return err;
    if (err == WS_ERR_SYSTEM)
        lookup_failed(d, ws_errno_word(errno), ws_errno_text(errno));
    else
        lookup_failed(d, ws_err_word(err), ws_err_text(err));
    return WS_OK;
}

/* The address to try, or the name to look up. */
static int aim(struct ws_dial *d, const struct ws_dial_conf *conf)
{
    const struct ws_uri *proxy = d->by_proxy ? conf->proxy : NULL;
    const char *host = proxy != NULL ? proxy->host : conf->host;
    int err;

    if (conf->path != NULL) {
        d->port = 0;
        err = ws_addr_unix(&d->addrs[0], conf->path);
    } else {
        err = ws_addr_parse(&d->addrs[0], host, d->port);
    }
    if (err == WS_OK)
        d->naddrs = 1;
    else if (conf->path != NULL)
        return err;
    else
        snprintf(d->host, sizeof d->host, "%s", host);
    return WS_OK;
}

static int begin(struct ws_dial *d)
{
    if (d->naddrs == 0)
        return look_up(d);
    start_next(d);
    return WS_OK;
}

/* -- whose turn it is -- */

static void give_place(struct ws_session *s)
{
    s->pending = 1;
    s->peers->pending++;
}

static void give_places(struct ws_peers *p)
{
    struct ws_session *s;
    struct ws_link *l;

    while (p->pending < p->pending_max && !ws_link_empty(&p->waiting)) {
        l = ws_link_first(&p->waiting);
        ws_link_remove(l);
        s = ws_container(l, struct ws_dial, wait)->session;
        give_place(s);
        ws_session_touch(s);
    }
}

void ws_dial_limit(struct ws_peers *p, unsigned max)
{
    p->pending_max = max;
    give_places(p);
}

void ws_dial_settled(struct ws_session *s)
{
    if (!s->pending)
        return;
    s->pending = 0;
    s->peers->pending--;
    give_places(s->peers);
}

/* That it waits is not the server's slowness: no clock runs. */
static void wait_for_place(struct ws_dial *d)
{
    d->waits = 1;
    d->session->conn.deadline_ms = -1;
    ws_link_append(&d->peers->waiting, &d->wait);
}

void ws_dial_go(struct ws_dial *d)
{
    struct ws_session *s = d->session;
    struct ws_conn *c = &s->conn;
    int err;

    if (!d->waits || !s->pending)
        return;
    d->waits = 0;
    c->progress_ms = c->now_ms;
    if (c->conf->handshake_ms > 0)
        c->deadline_ms = c->now_ms + c->conf->handshake_ms;
    err = begin(d);
    if (err != WS_OK)
        ws_conn_lost(c, err); /* which ends the dial, too */
}

void ws_dial_anew(struct ws_dial *d)
{
    struct ws_session *s = d->session;

    ws_loop_unwatch(d->peers->loop, &s->io);
    ws_prelude_leave(d->tunnel);
    s->readable = 0;
    s->dialing = 1;
    start_next(d);
}

int ws_dial_open(struct ws_session *s, const struct ws_dial_conf *conf)
{
    struct ws_dial *d = new_dial(s, conf);
    struct ws_peers *p = s->peers;
    int err = WS_OK;

    if (d == NULL)
        return WS_ERR_NOMEM;
    s->dial = d;
    s->dialing = 1;
    s->opening = 1;
    if (conf->proxy != NULL && conf->path == NULL)
        err = make_tunnel(d, conf);
    if (err == WS_OK)
        err = aim(d, conf);
    if (err == WS_OK && !s->pending && p->pending >= p->pending_max) {
        wait_for_place(d);
        return WS_OK;
    }
    if (err == WS_OK) {
        if (!s->pending)
            give_place(s);
        err = begin(d);
    }
    if (err != WS_OK)
        end_dial(d);
    return err;
}

struct ws_session *ws_dial_handle(struct ws_peers *p, struct ws_source *src)
{
    struct ws_session *s = NULL;
    struct ws_lookup *l;

    if (src->tag == WS_TAG_DIAL) {
        struct ws_attempt *a = ws_container(src, struct ws_attempt, io.source);
        s = a->dial->session;
        attempt_ready(a);
    } else if (src->tag == WS_TAG_DIAL_TIMER) {
        struct ws_dial *d = ws_container(src, struct ws_dial, timer.source);
        s = d->session;
        start_next(d);
    } else {
        /* Several may be done; each session is touched, or waits on. */
        while ((l = ws_resolver_next(&p->resolver)) != NULL)
            looked_up(ws_container(l, struct ws_dial, lookup));
    }
    return s;
}
