/* peer/session.c -- see session.h. */
#include "peer/session.h"

#include "net/addr.h"
#include "peer/dial.h"

#include <errno.h>
#include <stdio.h>

/* -- what they share -- */

int ws_peers_init(struct ws_peers *p, struct ws_loop *loop, struct ws_mem *mem)
{
    memset(p, 0, sizeof *p);
    p->loop = loop;
    p->mem = mem;
    ws_pool_init(&p->pool, mem);
    ws_keys_init(&p->keys);
    ws_link_init(&p->work);
    ws_link_init(&p->turn);
    return WS_OK;
}

void ws_peers_free(struct ws_peers *p)
{
    if (p->loop == NULL)
        return;
    ws_dial_stop_resolver(p);
    ws_keys_free(&p->keys);
    ws_pool_free(&p->pool);
    ws_mem_put(p->mem, p->scratch, WS_READ_SIZE);
    p->scratch = NULL;
    p->loop = NULL;
}

int ws_peers_random(void *p, uint8_t *bytes, size_t n)
{
    struct ws_peers *peers = p;

    if (n == 4)
        return ws_keys_next(&peers->keys, bytes);
    return ws_random(NULL, bytes, n);
}

static void session_ready(struct ws_session *s, struct ws_watcher *w)
{
    if ((w->got & (WS_IO_READ | WS_IO_ERROR)) != 0)
        s->readable = 1;
    if ((w->got & (WS_IO_WRITE | WS_IO_ERROR)) != 0)
        s->blocked = 0;
    s->reads = WS_READS_MAX;
}

struct ws_session *ws_peers_handle(struct ws_peers *p, struct ws_source *src)
{
    struct ws_session *s = NULL;

    switch (src->tag) {
    case WS_TAG_SESSION:
        s = ws_container(src, struct ws_session, io.source);
        session_ready(s, &s->io);
        break;
    case WS_TAG_SESSION_TIMER:
        s = ws_container(src, struct ws_session, timer.source);
        ws_conn_clock(&s->conn, p->loop->now_ms);
        ws_conn_tick(&s->conn);
        break;
    case WS_TAG_DIAL:
    case WS_TAG_DIAL_TIMER:
    case WS_TAG_RESOLVER:
        s = ws_dial_handle(p, src);
        break;
    default:
        break;
    }
    if (s != NULL)
        ws_conn_clock(&s->conn, p->loop->now_ms);
    return s;
}

struct ws_session *ws_peers_work(struct ws_peers *p)
{
    struct ws_session *s;
    struct ws_link *l;

    if (ws_link_empty(&p->turn))
        return NULL;
    l = ws_link_first(&p->turn);
    ws_link_remove(l);
    s = ws_container(l, struct ws_session, work);
    ws_conn_clock(&s->conn, p->loop->now_ms);
    return s;
}

int ws_peers_busy(const struct ws_peers *p)
{
    return !ws_link_empty(&p->work) || !ws_link_empty(&p->turn);
}

/* What the application touches while the end of a turn is worked off waits
** for the next turn: two sockets answering each other cannot hold it up. */
void ws_peers_end_turn(struct ws_peers *p)
{
    ws_link_take_all(&p->work, &p->turn);
}

/* A handler that threw the stack away left a session half read. */
void ws_peers_recover(struct ws_peers *p)
{
    struct ws_session *s = p->reading;

    if (s == NULL)
        return;
    p->reading = NULL;
    p->in.n = 0;
    ws_conn_fail(&s->conn, WS_ERR_NOMEM);
    ws_session_touch(s);
}

/* -- life -- */

void ws_session_init(struct ws_session *s, struct ws_peers *p,
                     const struct ws_conf *conf)
{
    memset(s, 0, sizeof *s);
    ws_conn_init(&s->conn, conf, p->loop->now_ms);
    ws_sock_init(&s->sock);
    ws_watcher_init(&s->io, WS_TAG_SESSION);
    ws_timer_init(&s->timer, WS_TAG_SESSION_TIMER);
    ws_link_init(&s->work);
    s->peers = p;
    s->live = 1;
}

int ws_session_adopt(struct ws_session *s, int fd)
{
    struct ws_loop *loop = s->peers->loop;
    int err = ws_loop_watch(loop, &s->io, fd, WS_IO_READ);

    if (err != WS_OK)
        return err;
    ws_sock_adopt(&s->sock, fd);
    return WS_OK;
}

static void drop_rest(struct ws_session *s)
{
    struct ws_mem *mem = s->peers->mem;

    if (s->rest == NULL)
        return;
    ws_buf_free(s->rest, mem);
    ws_mem_put(mem, s->rest, sizeof *s->rest);
    s->rest = NULL;
}

/* The one end of the transport, from every path. */
static void finish(struct ws_session *s)
{
    struct ws_peers *p = s->peers;

    if (!s->live)
        return;
    s->live = 0;
    if (s->dial != NULL)
        ws_dial_cancel(s->dial);
    ws_loop_unwatch(p->loop, &s->io);
    ws_loop_disarm(p->loop, &s->timer);
    ws_stream_close(&s->sock.stream);
    drop_rest(s);
    if (p->reading == s) {
        p->reading = NULL;
        p->in.n = 0;
    }
    s->lost_bytes += ws_conn_buffered(&s->conn);
    ws_conn_closed(&s->conn);
}

static void free_failure(struct ws_session *s)
{
    size_t w;

    if (s->failure == NULL)
        return;
    w = strlen(s->failure) + 1;
    ws_mem_put(s->peers->mem, s->failure, w + strlen(s->failure + w) + 1);
    s->failure = NULL;
}

void ws_session_free(struct ws_session *s)
{
    if (s->peers == NULL)
        return;
    finish(s);
    ws_link_remove(&s->work);
    ws_conn_free(&s->conn);
    free_failure(s);
    s->peers = NULL;
}

void ws_session_fail(struct ws_session *s, int err, const char *word,
                     const char *failure)
{
    size_t w = strlen(word) + 1, n = strlen(failure) + 1;

    if (s->failure == NULL && s->conn.fault == WS_OK) {
        s->failure = ws_mem_get(s->peers->mem, w + n);
        if (s->failure != NULL) {
            memcpy(s->failure, word, w);
            memcpy(s->failure + w, failure, n);
        }
    }
    ws_conn_lost(&s->conn, err);
    ws_session_touch(s);
}

const char *ws_session_word(const struct ws_session *s)
{
    return s->failure;
}

const char *ws_session_words(const struct ws_session *s)
{
    return s->failure == NULL ? NULL : s->failure + strlen(s->failure) + 1;
}

/* The stream broke in `call`. */
static void broke(struct ws_session *s, const char *call)
{
    int err = s->sock.stream.err;
    char text[160];

    snprintf(text, sizeof text, "%s: %s", call, ws_errno_text(err));
    ws_session_fail(s, WS_ERR_SYSTEM, ws_errno_word(err), text);
}

void ws_session_touch(struct ws_session *s)
{
    if (s->peers != NULL && ws_link_empty(&s->work))
        ws_link_append(&s->peers->work, &s->work);
}

/* -- bufferedAmount -- */

/* Until the next turn what is shown only grows. */
static int is_current(const struct ws_session *s)
{
    return s->peers != NULL && s->mark != 0 && s->mark == s->peers->loop->turn;
}

static void sync_shown(struct ws_session *s)
{
    if (is_current(s))
        return;
    s->mark = s->peers == NULL ? 0 : s->peers->loop->turn;
    s->shown = s->lost_bytes + ws_conn_buffered(&s->conn);
}

/* Comes after the send, so what is queued by now includes the n bytes. */
void ws_session_count(struct ws_session *s, size_t n, int sent)
{
    if (!sent)
        s->lost_bytes += n;
    if (is_current(s))
        s->shown += n;
    else
        sync_shown(s);
}

uint64_t ws_session_buffered(struct ws_session *s)
{
    sync_shown(s);
    return s->shown;
}

/* -- input -- */

static int keep(struct ws_session *s, struct ws_slice in)
{
    struct ws_mem *mem = s->peers->mem;

    if (in.n == 0)
        return WS_OK;
    if (s->rest == NULL) {
        s->rest = ws_mem_get(mem, sizeof *s->rest);
        if (s->rest == NULL)
            return WS_ERR_NOMEM;
        ws_buf_init(s->rest, 0);
    }
    return ws_buf_append(s->rest, mem, in);
}

/* Keeps what the connection does not want now. */
static void stash(struct ws_session *s)
{
    struct ws_peers *p = s->peers;

    if (p->reading != s)
        return;
    p->reading = NULL;
    if (keep(s, ws_slice_of(p->in.p, p->in.n)) != WS_OK)
        ws_conn_fail(&s->conn, WS_ERR_NOMEM);
    p->in.n = 0;
}

/* Input from before, which nobody wanted then. */
static int feed_rest(struct ws_session *s)
{
    struct ws_span in = ws_buf_span(s->rest);
    size_t had = in.n;

    ws_conn_feed(&s->conn, &in);
    ws_buf_skip(s->rest, had - in.n);
    if (in.n == 0 && s->conn.event.type == WS_EV_NONE)
        drop_rest(s);
    return had != in.n;
}

static int scratch_of(struct ws_peers *p, struct ws_span *room)
{
    if (p->scratch == NULL)
        p->scratch = ws_mem_get(p->mem, WS_READ_SIZE);
    *room = ws_span_of(p->scratch, WS_READ_SIZE);
    return p->scratch == NULL ? WS_ERR_NOMEM : WS_OK;
}

static void read_more(struct ws_session *s)
{
    struct ws_peers *p = s->peers;
    int direct = ws_conn_room(&s->conn, &p->in) == WS_OK;
    ptrdiff_t n;

    if (!direct && scratch_of(p, &p->in) != WS_OK) {
        p->in.n = 0;
        ws_conn_fail(&s->conn, WS_ERR_NOMEM);
        return;
    }
    n = ws_stream_read(&s->sock.stream, p->in);
    s->readable = n > 0 && (size_t)n == p->in.n;
    p->in.n = 0;
    s->reads--;
    if (n > 0 && direct) {
        ws_conn_commit(&s->conn, (size_t)n);
    } else if (n > 0) {
        p->in.n = (size_t)n;
        p->reading = s;
    } else if (n == 0) {
        ws_conn_eof(&s->conn);
    } else if (n != WS_AGAIN) {
        broke(s, "recv");
    }
}

/* Moves input on by one step; 0 when there is none, or none is wanted. */
static int step_input(struct ws_session *s)
{
    struct ws_peers *p = s->peers;

    if (!ws_conn_reads(&s->conn) || !s->live) {
        stash(s);
        return 0;
    }
    if (s->rest != NULL && feed_rest(s))
        return 1;
    if (p->reading == s) {
        ws_conn_feed(&s->conn, &p->in);
        if (p->in.n == 0)
            p->reading = NULL;
        return 1;
    }
    if (!s->readable || s->reads == 0 || s->conn.ended || s->dial != NULL)
        return 0;
    read_more(s);
    return 1;
}

/* -- output and the rest of a turn -- */

static void flush(struct ws_session *s)
{
    struct ws_slice v[WS_WRITE_SLICES];

    while (s->conn.chain.size > 0 && !s->blocked && !s->conn.drop) {
        int i, k = ws_conn_output(&s->conn, v, WS_WRITE_SLICES);
        size_t all = 0;
        ptrdiff_t n = ws_stream_write(&s->sock.stream, v, k);

        for (i = 0; i < k; i++)
            all += v[i].n;
        if (n >= 0) {
            ws_conn_sent(&s->conn, (size_t)n);
            s->blocked = (size_t)n < all;
        } else if (n == WS_AGAIN) {
            s->blocked = 1;
        } else {
            broke(s, "send");
        }
    }
}

static void arm_timer(struct ws_session *s)
{
    int64_t due = ws_conn_due(&s->conn);

    if (due < 0)
        return; /* what is armed fires early and finds nothing to do */
    if (s->timer.index != 0 && s->timer.due_ms <= due)
        return;
    if (ws_loop_arm(s->peers->loop, &s->timer, due) != WS_OK)
        ws_conn_fail(&s->conn, WS_ERR_NOMEM);
}

static void watch(struct ws_session *s, unsigned want)
{
    unsigned mask = (want & WS_WANT_READ) != 0 ? WS_IO_READ : 0;

    if (s->blocked && (want & WS_WANT_WRITE) != 0)
        mask |= WS_IO_WRITE;
    if (s->io.want == mask)
        return;
    if (ws_loop_watch(s->peers->loop, &s->io, s->sock.fd, mask) != WS_OK)
        ws_conn_lost(&s->conn, WS_ERR_NOMEM);
}

/* Does what the connection wants from its transport. */
static void settle(struct ws_session *s)
{
    unsigned want;

    if (!s->live)
        return;
    if (s->dial == NULL)
        flush(s);
    want = ws_conn_want(&s->conn);
    if ((want & WS_WANT_CLOSE) != 0) {
        finish(s);
        return;
    }
    if (s->dial == NULL) {
        if ((want & WS_WANT_SHUT) != 0 && !s->was_shut) {
            s->was_shut = 1;
            ws_stream_shutdown(&s->sock.stream);
        }
        watch(s, want);
    }
    arm_timer(s);
    if (s->conn.drop)
        finish(s);
}

int ws_session_next(struct ws_session *s, struct ws_event *ev)
{
    for (;;) {
        if (ws_conn_next(&s->conn, ev) == WS_OK)
            return WS_OK;
        if (s->peers == NULL)
            return WS_MORE;
        if (step_input(s))
            continue;
        settle(s);
        if ((ws_conn_want(&s->conn) & WS_WANT_EVENT) == 0)
            break;
    }
    if (s->readable && s->reads == 0)
        s->reads = WS_READS_MAX; /* the rest when the loop says so again */
    ws_link_remove(&s->work);    /* whatever it was touched for is done */
    return WS_MORE;
}
