/* peer/session.c -- life of a session, and what all of them share; see
** session.h.  How its bytes move is in pump.c. */
#include "peer/session.h"

#include "peer/dial.h"

#include <stdio.h>

/* -- what they share -- */

void ws_peers_init(struct ws_peers *p, struct ws_loop *loop, struct ws_mem *mem)
{
    memset(p, 0, sizeof *p);
    p->loop = loop;
    p->mem = mem;
    ws_pool_init(&p->pool, mem);
    ws_pmd_pool_init(&p->codecs, mem);
    ws_keys_init(&p->keys);
    ws_link_init(&p->work);
    ws_link_init(&p->turn);
    ws_link_init(&p->opening);
    ws_link_init(&p->waiting);
    p->pending_max = WS_PENDING_MAX;
}

void ws_peers_free(struct ws_peers *p)
{
    if (p->mem == NULL)
        return;
    ws_dial_stop_resolver(p);
    ws_keys_free(&p->keys);
    ws_pool_free(&p->pool);
    ws_pmd_pool_free(&p->codecs);
    ws_mem_put(p->mem, p->scratch, WS_READ_SIZE);
    p->scratch = NULL;
}

/* Mask keys come from the pool of them. */
static int draw(void *p, uint8_t *bytes, size_t n)
{
    struct ws_peers *peers = p;

    if (n == 4)
        return ws_keys_next(&peers->keys, bytes);
    return ws_random(NULL, bytes, n);
}

void ws_peers_conf(struct ws_peers *p, struct ws_conf *conf)
{
    conf->mem = p->mem;
    conf->pool = &p->pool;
    conf->codecs = &p->codecs;
    conf->random = draw;
    conf->random_ud = p;
    conf->time = ws_clock_date;
}

/* With want-bits, but for those that wait for nothing, either readiness may be
** what reading, or writing, waits for: both are tried. */
static void session_ready(struct ws_session *s, struct ws_watcher *w)
{
    int both = (s->top->want & ~(WS_STREAM_MORE | WS_STREAM_LEFT)) != 0;

    if ((w->got & (WS_IO_READ | WS_IO_ERROR)) != 0 || both)
        s->readable = 1;
    if ((w->got & (WS_IO_WRITE | WS_IO_ERROR)) != 0 || both)
        s->blocked = 0;
    s->reads = WS_READS_MAX;
}

/* Its time is over; but when it was the process that stood still, what the
** peer did in time is not read yet.  So the system is asked once more, in the
** next turn, whose timers come first again: hence two turns at most, however
** busy the peer is. */
static int is_put_off(struct ws_session *s)
{
    int again = (s->looks == 0 || (s->looks == 1 && s->io.source.queued)) &&
                ws_conn_overdue(&s->conn);

    s->looks = (uint8_t)(again ? s->looks + 1 : 0);
    return again; /* pulled like any other, it is armed anew */
}

/* A client's time for the handshake is over: with what of a stream's. */
static void say_handshake(struct ws_session *s)
{
    char text[WS_FAILURE_MAX];

    if (!ws_stream_is_opening(s->top))
        return;
    snprintf(text, sizeof text, "%s: %s", ws_stream_busy(s->top),
             ws_err_text(WS_ERR_HANDSHAKE_TIMEOUT));
    ws_session_say(s, ws_err_word(WS_ERR_HANDSHAKE_TIMEOUT), text);
}

static void tick(struct ws_session *s)
{
    const struct ws_conn *c = &s->conn;

    if (s->dialing)
        ws_dial_tick(s->dial);
    else if (c->conf->role == WS_CLIENT && c->state == WS_CONNECTING &&
             ws_conn_overdue(c))
        say_handshake(s);
    ws_conn_tick(&s->conn);
}

static void begin_pull(struct ws_peers *p, struct ws_session *s)
{
    const struct ws_pmd *pmd = s->conn.pmd;

    ws_conn_clock(&s->conn, p->loop->now_ms);
    p->plain_end = (pmd != NULL ? pmd->in.plain : 0) + WS_PLAIN_MAX;
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
        if (is_put_off(s))
            break;
        tick(s);
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
        begin_pull(p, s);
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
    begin_pull(p, s);
    return s;
}

int ws_peers_busy(const struct ws_peers *p)
{
    return !ws_link_empty(&p->work) || !ws_link_empty(&p->turn) ||
           !ws_link_empty(&p->opening);
}

/* What the application touches while the end of a turn is worked off waits
** for the next turn: two sockets answering each other cannot hold it up.
** Openings come last, and but a few a turn. */
void ws_peers_end_turn(struct ws_peers *p)
{
    struct ws_link *l;
    int n;

    ws_link_take_all(&p->work, &p->turn);
    for (n = 0; n < WS_OPENS_MAX && !ws_link_empty(&p->opening); n++) {
        l = ws_link_first(&p->opening);
        ws_link_remove(l);
        ws_container(l, struct ws_session, work)->granted = 1;
        ws_link_append(&p->turn, l);
    }
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
    s->top = &s->sock.stream;
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

void ws_session_stack(struct ws_session *s, struct ws_stream *top)
{
    s->top = top;
    s->opening = 1;
    s->readable = 1; /* it may begin by sending */
    ws_session_touch(s);
}

void ws_session_drop_rest(struct ws_session *s)
{
    struct ws_mem *mem = s->peers->mem;

    if (s->rest == NULL)
        return;
    ws_buf_free(s->rest, mem);
    ws_mem_put(mem, s->rest, sizeof *s->rest);
    s->rest = NULL;
}

/* Gives the transport back, or the dial that makes one. */
static void let_go(struct ws_session *s)
{
    struct ws_peers *p = s->peers;

    if (s->dial != NULL)
        ws_dial_cancel(s->dial);
    ws_loop_unwatch(p->loop, &s->io);
    ws_loop_disarm(p->loop, &s->timer);
    ws_stream_close(s->top);
    ws_stream_close(&s->sock.stream); /* a tunnel may not stand on it */
    s->top = &s->sock.stream;
    s->opening = 0;
    ws_session_drop_rest(s);
    if (p->reading == s) {
        p->reading = NULL;
        p->in.n = 0;
    }
}

void ws_session_finish(struct ws_session *s)
{
    if (!s->live)
        return;
    s->live = 0;
    let_go(s);
    ws_dial_settled(s);
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
    ws_session_finish(s);
    ws_link_remove(&s->work);
    ws_conn_free(&s->conn);
    free_failure(s);
    s->peers = NULL;
}

void ws_session_restart(struct ws_session *s)
{
    const struct ws_conf *conf = s->conn.conf;
    int64_t deadline = s->conn.deadline_ms;
    int paused = s->conn.paused;

    let_go(s);
    ws_conn_free(&s->conn);
    ws_conn_init(&s->conn, conf, s->peers->loop->now_ms);
    s->conn.deadline_ms = deadline;
    ws_conn_pause(&s->conn, paused);
    s->readable = 0;
    s->blocked = 0;
    s->was_shut = 0;
}

static void keep_words(struct ws_session *s, const char *word,
                       const char *words)
{
    size_t w = strlen(word) + 1, n = strlen(words) + 1;

    if (s->failure != NULL)
        return;
    s->failure = ws_mem_get(s->peers->mem, w + n);
    if (s->failure == NULL)
        return;
    memcpy(s->failure, word, w);
    memcpy(s->failure + w, words, n);
}

void ws_session_say(struct ws_session *s, const char *word, const char *words)
{
    if (s->conn.fault == WS_OK)
        keep_words(s, word, words);
}

void ws_session_explain(struct ws_session *s, int err, const char *words)
{
    keep_words(s, ws_err_word(err), words);
}

void ws_session_fail(struct ws_session *s, int err, const char *word,
                     const char *failure)
{
    ws_session_say(s, word, failure);
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

void ws_session_note(struct ws_session *s, const char *call)
{
    char text[WS_FAILURE_MAX];
    const char *word = ws_stream_failure(s->top, call, text, sizeof text);

    ws_session_say(s, word, text);
}

void ws_session_broke(struct ws_session *s, int err, const char *call)
{
    ws_session_note(s, call);
    ws_conn_lost(&s->conn, err);
    ws_session_touch(s);
}

int ws_session_secure(struct ws_session *s, struct ws_tls_ctx *ctx,
                      const char *name)
{
    struct ws_stream *top;
    int err = ws_tls_new(&top, s->top, s->peers->mem, ctx, name);

    if (err != WS_OK)
        return err;
    ws_session_stack(s, top);
    s->readable = name != NULL; /* a server has nothing to say first */
    return WS_OK;
}

void ws_session_touch(struct ws_session *s)
{
    if (s->peers == NULL)
        return;
    if (s->opening)
        ws_link_remove(&s->work); /* it need not wait for its turn to open */
    if (ws_link_empty(&s->work))
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
