/* peer/serve.c -- see serve.h. */
#include "peer/serve.h"

#include <errno.h>

void ws_serve_init(struct ws_serve *v, struct ws_peers *p)
{
    memset(v, 0, sizeof *v);
    ws_sock_init(&v->sock);
    ws_watcher_init(&v->io, WS_TAG_SERVE);
    ws_timer_init(&v->timer, WS_TAG_SERVE_TIMER);
    v->peers = p;
    v->spare = -1;
}

static int set_watch(struct ws_serve *v)
{
    unsigned want = v->paused || v->timer.index != 0 ? 0 : WS_IO_READ;
    return ws_loop_watch(v->peers->loop, &v->io, v->sock.fd, want);
}

int ws_serve_open(struct ws_serve *v, const struct ws_addr *addr, int backlog,
                  int reuse_port)
{
    int err = ws_sock_listen(&v->sock, addr, backlog, reuse_port);

    v->call = "listen";
    v->errnum = v->sock.stream.err;
    if (err == WS_OK) {
        err = set_watch(v);
        v->errnum = err == WS_ERR_SYSTEM ? errno : v->errnum;
    }
    if (err == WS_OK)
        ws_spare_open(&v->spare); /* without one it only rests */
    else
        ws_stream_close(&v->sock.stream);
    return err;
}

/* Whatever failed fails again at once: without a rest the loop would spin. */
static void rest(struct ws_serve *v)
{
    struct ws_loop *loop = v->peers->loop;

    if (ws_sock_is_exhausted(v->sock.stream.err))
        ws_spare_shed(&v->sock, &v->spare);
    if (ws_loop_arm(loop, &v->timer, loop->now_ms + WS_SERVE_REST_MS) == WS_OK)
        set_watch(v);
}

int ws_serve_accept(struct ws_serve *v, int *fd, struct ws_addr *peer)
{
    int err = WS_AGAIN;

    if (v->sock.fd < 0)
        return WS_MORE;
    if (v->io.want == 0 && !v->paused)
        set_watch(v); /* the rest is over */
    if (!v->paused && v->accepted < WS_SERVE_ACCEPTS_MAX)
        err = ws_sock_accept(&v->sock, fd, peer);
    if (err == WS_OK) {
        v->accepted++;
        return WS_OK;
    }
    v->accepted = 0;
    if (err == WS_ERR_SYSTEM)
        rest(v);
    return WS_MORE;
}

void ws_serve_pause(struct ws_serve *v, int paused)
{
    if (v->sock.fd < 0 || v->paused == (paused != 0))
        return;
    ws_loop_disarm(v->peers->loop, &v->timer); /* of a pause, or of a rest */
    v->paused = paused != 0;
    set_watch(v);
}

void ws_serve_pause_until(struct ws_serve *v, int64_t due_ms)
{
    if (v->sock.fd < 0)
        return;
    v->paused = 1;
    set_watch(v);
    ws_loop_arm(v->peers->loop, &v->timer, due_ms); /* else when one leaves */
}

void ws_serve_close(struct ws_serve *v)
{
    if (v->sock.fd < 0)
        return;
    ws_loop_unwatch(v->peers->loop, &v->io);
    ws_loop_disarm(v->peers->loop, &v->timer);
    ws_stream_close(&v->sock.stream);
    ws_spare_close(&v->spare);
}
