/* peer/pump.c -- how a session's bytes move; see session.h.
**
** ws_session_next is the round: hand out events, take input a step further,
** send what is queued, do what the connection wants of its transport, say what
** to wait for.  Reading goes on until the stream has no more or this turn's
** share is used up; writing until it takes no more.
*/
#include "peer/session.h"

#include "peer/dial.h"

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
        ws_session_drop_rest(s);
    return had != in.n;
}

static int scratch_of(struct ws_peers *p, struct ws_span *room)
{
    if (p->scratch == NULL)
        p->scratch = ws_mem_get(p->mem, WS_READ_SIZE);
    *room = ws_span_of(p->scratch, WS_READ_SIZE);
    return p->scratch == NULL ? WS_ERR_NOMEM : WS_OK;
}

/* Whether the stream has input that the socket says nothing of. */
static int has_more(const struct ws_session *s)
{
    return (s->top->want & WS_STREAM_PENDING) != 0;
}

/* One read into room: how much came, at most 0 when that was not all. */
static ptrdiff_t read_into(struct ws_session *s, struct ws_span room)
{
    ptrdiff_t n = ws_stream_read(s->top, room);

    s->readable = n == (ptrdiff_t)room.n || has_more(s);
    s->reads--;
    if (n == 0)
        ws_conn_eof(&s->conn);
    else if (n < 0 && n != WS_AGAIN)
        ws_session_broke(s, (int)n, "recv");
    return n;
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
    n = read_into(s, p->in);
    p->in.n = 0;
    if (n > 0 && direct) {
        ws_conn_commit(&s->conn, (size_t)n);
    } else if (n > 0) {
        p->in.n = (size_t)n;
        p->reading = s;
    }
}

/* While the application thinks about its answer: reads on, to see the peer
** leave, and keeps what comes as long as that is little. */
static size_t early_room(const struct ws_session *s)
{
    size_t had = s->rest == NULL ? 0 : ws_buf_size(s->rest);
    return had < WS_EARLY_MAX ? WS_EARLY_MAX - had : 0;
}

static int read_early(struct ws_session *s)
{
    struct ws_span room;
    ptrdiff_t n;

    if ((ws_conn_want(&s->conn) & WS_WANT_WATCH) == 0 || !s->readable ||
        s->reads == 0 || early_room(s) == 0)
        return 0;
    if (scratch_of(s->peers, &room) != WS_OK) {
        ws_conn_fail(&s->conn, WS_ERR_NOMEM);
        return 1;
    }
    room.n = early_room(s);
    n = read_into(s, room);
    if (n > 0 && keep(s, ws_slice_of(room.p, (size_t)n)) != WS_OK)
        ws_conn_fail(&s->conn, WS_ERR_NOMEM);
    return 1;
}

/* Whether it has decompressed enough for now. */
static int is_sated(const struct ws_session *s)
{
    const struct ws_pmd *pmd = s->conn.pmd;

    return pmd != NULL && pmd->in.plain >= s->peers->plain_end;
}

/* Moves input on by one step; 0 when there is none, or none is wanted. */
static int step_input(struct ws_session *s)
{
    struct ws_peers *p = s->peers;

    if (!ws_conn_reads(&s->conn) || !s->live) {
        stash(s);
        return s->live && read_early(s);
    }
    if (WS_UNLIKELY(is_sated(s))) {
        stash(s);
        return 0;
    }
    if (s->rest != NULL && feed_rest(s))
        return 1;
    if (p->reading != s) {
        if (!s->readable || s->reads == 0 || s->conn.ended || s->opening)
            return 0;
        read_more(s);
        if (p->reading != s)
            return 1; /* it went straight into the message, or none came */
    }
    ws_conn_feed(&s->conn, &p->in);
    if (p->in.n == 0)
        p->reading = NULL;
    return 1;
}

/* -- output and the rest of a turn -- */

/* Whether a peer that left has sent what we did not look at yet. */
static int is_to_read(const struct ws_session *s)
{
    return (s->top->want & WS_STREAM_LEFT) != 0 &&
           (s->rest != NULL || s->peers->reading == s || has_more(s) ||
            ws_sock_has_bytes(&s->sock));
}

/* There may be messages in it, and a Close. */
static void on_write_error(struct ws_session *s, int err)
{
    if (!is_to_read(s) || !ws_conn_mute(&s->conn)) {
        ws_session_broke(s, err, "send");
        return;
    }
    ws_session_note(s, "send");
    s->blocked = 1;
    s->readable = 1;
}

static void flush(struct ws_session *s)
{
    struct ws_slice v[WS_WRITE_SLICES];

    if (s->conn.shut)
        s->top->want |= WS_STREAM_MORE; /* shut() follows */
    while (s->conn.chain.size > 0 && !s->blocked && !s->conn.drop) {
        int i, k = ws_conn_output(&s->conn, v, WS_WRITE_SLICES);
        size_t all = 0;
        ptrdiff_t n = ws_stream_write(s->top, v, k);

        for (i = 0; i < k; i++)
            all += v[i].n;
        if (n >= 0) {
            ws_conn_sent(&s->conn, (size_t)n);
            s->blocked = (size_t)n < all;
        } else if (n == WS_AGAIN) {
            s->blocked = 1;
        } else {
            on_write_error(s, (int)n);
        }
    }
}

int ws_session_flush(struct ws_session *s)
{
    if (!s->live || s->opening)
        return 0;
    flush(s);
    return ws_conn_want(&s->conn) == WS_WANT_READ && s->conn.state == WS_OPEN &&
           s->conn.chain.spent == NULL && !s->conn.mute;
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

/* What to wait for; a stream may want the one to be able to do the other. */
static unsigned mask_of(const struct ws_session *s, unsigned want)
{
    unsigned bits = s->top->want, mask = 0;

    if ((want & WS_WANT_READ) != 0 || s->opening ||
        ((want & WS_WANT_WATCH) != 0 && early_room(s) > 0))
        mask = (bits & WS_STREAM_READ_OUT) != 0 ? WS_IO_WRITE : WS_IO_READ;
    if (s->blocked && (want & (WS_WANT_WRITE | WS_WANT_SHUT)) != 0)
        mask |= (bits & WS_STREAM_WRITE_IN) != 0 ? WS_IO_READ : WS_IO_WRITE;
    return mask;
}

static void watch(struct ws_session *s, unsigned want)
{
    unsigned mask = mask_of(s, want);

    if (s->io.want == mask || (s->opening && s->readable))
        return; /* as it is, or its turn will come */
    if (ws_loop_watch(s->peers->loop, &s->io, s->sock.fd, mask) != WS_OK)
        ws_conn_lost(&s->conn, WS_ERR_NOMEM);
}

static void shut(struct ws_session *s)
{
    if (s->was_shut || s->blocked)
        return;
    s->blocked = ws_stream_shutdown(s->top) == WS_AGAIN;
    s->was_shut = !s->blocked;
}

/* Does what the connection wants from its transport; what it wants then. */
static unsigned settle(struct ws_session *s)
{
    unsigned want;

    if (s->live && !s->opening)
        flush(s);
    want = ws_conn_want(&s->conn);
    if (!s->live)
        return want;
    if (!s->dialing && !s->conn.drop) {
        if ((want & WS_WANT_SHUT) != 0)
            shut(s);
        watch(s, want);
    }
    arm_timer(s);
    if (!s->conn.drop)
        return want;
    ws_session_finish(s);
    return ws_conn_want(&s->conn);
}

/* -- streams that have to open first -- */

/* A server whose peer came to grief in TLS has told it so, by an alert: the
** peer must be able to read that. */
static void not_opened(struct ws_session *s, int err)
{
    if (err == WS_ERR_TLS && s->conn.conf->role == WS_SERVER) {
        ws_session_note(s, "recv");
        ws_conn_dismiss(&s->conn, err);
        s->opening = 0;
    } else {
        ws_session_broke(s, err, "recv");
    }
}

static void opened(struct ws_session *s)
{
    s->opening = 0;
    if (s->dial != NULL)
        ws_dial_cancel(s->dial);
}

/* Takes their opening a step further, when it may; 1: bytes flow now, or are
** at least thrown away. */
static int establish(struct ws_session *s)
{
    int err, granted = s->granted;

    s->granted = 0;
    if (s->conn.state >= WS_CLOSING)
        ws_conn_lost(&s->conn, WS_ERR_LOST); /* there is no way to say why */
    if (s->conn.drop || !s->live)
        return 0;
    if (s->dialing)
        ws_dial_go(s->dial);
    if (!granted || !s->readable)
        return 0;
    err = ws_stream_open(s->top);
    if (err == WS_OK)
        opened(s);
    else if (err == WS_AGAIN && (s->top->want & WS_STREAM_ANEW) != 0)
        ws_dial_anew(s->dial);
    else if (err == WS_AGAIN)
        s->readable = has_more(s) != 0;
    else
        not_opened(s, err);
    return !s->opening;
}

/* Of what could go on at once, the rest of the input waits for the loop to
** say again that it is there, or is looked at without that when it is in the
** stream; an opening waits for its turn. */
static void leave(struct ws_session *s)
{
    if (!ws_link_empty(&s->work))
        ws_link_remove(&s->work); /* whatever it was touched for is done */
    if (s->opening) {
        if (s->readable && !s->dialing)
            ws_link_append(&s->peers->opening, &s->work);
    } else if (s->readable && s->reads == 0) {
        s->reads = WS_READS_MAX;
        if (has_more(s))
            ws_session_touch(s);
    }
    if (is_sated(s))
        ws_session_touch(s); /* there may be more of it */
}

/* Whether the next part of a message waits for the next turn. */
static int is_held_up(const struct ws_session *s)
{
    return s->peers != NULL && s->conn.event.type == WS_EV_NONE && is_sated(s);
}

int ws_session_next(struct ws_session *s, struct ws_event *ev)
{
    for (;;) {
        if (!(s->conn.more && is_held_up(s)) &&
            ws_conn_next(&s->conn, ev) == WS_OK)
            return WS_OK;
        if (s->peers == NULL)
            return WS_MORE;
        if (s->opening && establish(s))
            continue;
        if (step_input(s))
            continue;
        if ((settle(s) & WS_WANT_EVENT) == 0 || (s->conn.more && is_held_up(s)))
            break;
    }
    leave(s);
    return WS_MORE;
}
