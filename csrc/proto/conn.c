/* proto/conn.c -- life, events, wants and time of a connection; see conn.h. */
#include "proto/conn.h"

#include "proto/parts.h"

/* -- life -- */

void ws_conn_init(struct ws_conn *c, const struct ws_conf *conf, int64_t now_ms)
{
    memset(c, 0, sizeof *c);
    c->conf = conf;
    c->now_ms = now_ms;
    c->last_rx_ms = now_ms;
    c->latency_ms = -1;
    c->ping_at_ms = -1;
    c->pong_due_ms = -1;
    c->pinged_ms = -1;
    c->deadline_ms = conf->handshake_ms > 0 ? now_ms + conf->handshake_ms : -1;
    c->stage = WS_IN_HEAD;
    ws_chain_init(&c->chain);
    ws_head_scan_init(&c->part.scan);
}

/* A server's choice is memory of its own; a client's lies in the head. */
static void free_protocol(struct ws_conn *c)
{
    if (c->conf->role == WS_SERVER)
        ws_mem_put(c->conf->mem, (void *)(uintptr_t)c->protocol.p,
                   c->protocol.n);
    c->protocol = ws_slice_of(NULL, 0);
    c->extensions = ws_slice_of(NULL, 0);
}

static void free_side(struct ws_conn *c)
{
    struct ws_mem *mem = c->conf->mem;
    struct ws_hello *hello = c->side.hello;

    if (c->opened)
        ws_mem_put(mem, c->side.control, WS_CONTROL_MAX);
    else if (hello != NULL)
        ws_mem_put(mem, hello, sizeof *hello + hello->protocols.n);
    c->side.hello = NULL;
}

void ws_conn_free(struct ws_conn *c)
{
    struct ws_mem *mem;
    int pin;

    if (c->conf == NULL)
        return;
    mem = c->conf->mem;
    ws_chain_clear(&c->chain, c->conf->pool);
    while (ws_conn_unpin(c, &pin) == WS_OK)
        continue; /* whoever cares has asked before */
    ws_conn_drop_message(c);
    c->stale = 0;
    c->event.type = WS_EV_NONE;
    ws_pmd_free(c->pmd);
    c->pmd = NULL;
    free_protocol(c);
    free_side(c);
    ws_mem_put(mem, (void *)(uintptr_t)c->head.p, c->head.n);
    c->head = ws_slice_of(NULL, 0);
    ws_mem_put(mem, c->pong, 1 + WS_CONTROL_MAX);
    c->pong = NULL;
    ws_mem_put(mem, c->reason, 1 + WS_REASON_MAX);
    c->reason = NULL;
}

void ws_conn_opened(struct ws_conn *c)
{
    free_side(c);
    c->opened = 1;
    c->state = WS_OPEN;
    c->stage = WS_IN_FRAME;
    c->spilled = 0;
    c->deadline_ms = -1;
    if (c->conf->ping_ms > 0)
        c->ping_at_ms = c->now_ms + c->conf->ping_ms;
    ws_conn_emit(c, WS_EV_OPEN, ws_slice_of(NULL, 0));
}

struct ws_message *ws_conn_message(struct ws_conn *c)
{
    if (c->message == NULL) {
        c->message = ws_mem_get(c->conf->mem, sizeof *c->message);
        if (c->message != NULL)
            ws_message_init(c->message);
    }
    return c->message;
}

void ws_conn_drop_message(struct ws_conn *c)
{
    if (c->message == NULL)
        return;
    ws_message_free(c->message, c->conf->mem);
    ws_mem_put(c->conf->mem, c->message, sizeof *c->message);
    c->message = NULL;
}

/* -- the transport's end -- */

void ws_conn_eof(struct ws_conn *c)
{
    if (c->ended || c->gone)
        return;
    c->ended = 1;
    if (c->stage == WS_IN_DISCARD)
        ws_conn_settle(c);
    else if (c->stage == WS_IN_BODY && c->conf->role == WS_CLIENT)
        ws_conn_end_body(c);
    else if (c->stage != WS_IN_ANSWER || !c->plain)
        ws_conn_lost(c, WS_ERR_LOST); /* plain HTTP may be half closed */
}

void ws_conn_lost(struct ws_conn *c, int err)
{
    if (c->drop || c->gone)
        return;
    c->ended = 1;
    c->drop = 1;
    if (err == WS_ERR_LOST && c->stage == WS_IN_HEAD)
        err = WS_ERR_UNANSWERED; /* nobody waits for a Close yet */
    /* Once both Close frames are through, losing it is no news (7.1.4). */
    if (c->fault == WS_OK && !(c->close_sent && c->close_received))
        c->fault = err;
    ws_conn_begin_closing(c);
    if (c->stage != WS_IN_BODY) /* what came of a refusal's content stays */
        c->stage = WS_IN_DISCARD;
}

void ws_conn_closed(struct ws_conn *c)
{
    /* what still waits never left, and our Close is the last of it (7.1.4) */
    if (!c->gone)
        c->clean = c->close_sent && c->close_received && c->chain.size == 0;
    c->gone = 1;
    c->state = WS_CLOSED;
    c->deadline_ms = -1;
    c->ping_at_ms = -1;
    c->pong_due_ms = -1;
    ws_chain_clear(&c->chain, c->conf->pool);
    if (c->pmd != NULL)
        ws_pmd_rest(c->pmd);
}

/* -- events -- */

void ws_conn_ending(const struct ws_conn *c, struct ws_event *ev)
{
    ev->type = WS_EV_CLOSE;
    ev->data = ws_slice_of(NULL, 0);
    ev->code = c->close_received ? c->close_code : WS_STATUS_ABNORMAL;
    ev->clean = c->clean;
    if (c->reason != NULL)
        ev->data = ws_slice_of(c->reason + 1, c->reason[0]);
}

static int owes_fault(const struct ws_conn *c)
{
    return c->fault != WS_OK && !c->quiet && !c->told_fault;
}

/* What is told when the transport is gone: FAULT if any, then CLOSE.  In frame
** mode FAULT does not wait for that: whoever asks frame by frame is to know. */
static int last_event(struct ws_conn *c, struct ws_event *ev)
{
    if (owes_fault(c)) {
        c->told_fault = 1;
        ev->type = WS_EV_FAULT;
        ev->code = c->fault;
        return WS_OK;
    }
    if (!c->gone || c->told_close)
        return WS_MORE;
    c->told_close = 1;
    ws_conn_ending(c, ev);
    return WS_OK;
}

int ws_conn_next_other(struct ws_conn *c, struct ws_event *ev)
{
    if (c->more)
        ws_conn_next_chunk(c);
    if (c->event.type != WS_EV_NONE) {
        *ev = c->event;
        c->event.type = WS_EV_NONE;
        return WS_OK;
    }
    ev->type = WS_EV_NONE;
    ev->data = ws_slice_of(NULL, 0);
    ev->code = 0;
    ev->clean = 0;
    if (WS_UNLIKELY(c->stale && c->stage == WS_IN_FRAME))
        ws_conn_release(c); /* it may be long until more comes */
    if (c->drain) {
        c->drain = 0;
        ev->type = WS_EV_DRAIN;
        return WS_OK;
    }
    return c->gone || c->conf->frames ? last_event(c, ev) : WS_MORE;
}

/* -- wants -- */

void ws_conn_pause(struct ws_conn *c, int paused)
{
    c->paused = paused != 0;
}

void ws_conn_hold(struct ws_conn *c, int held)
{
    c->held = held != 0;
}

int ws_conn_drains(struct ws_conn *c)
{
    if (c->chain.size <= c->conf->low_water &&
        ws_conn_buffered(c) <= c->conf->low_water)
        return 1; /* compressed, the one is much less than the other */
    c->asked = 1;
    return 0;
}

/* Whether input is processed now.  A server whose output does not move stops
** reading, so that an echo cannot fill its memory.  A client never does:
** were both ends to wait for the other to read, none ever would. */
int ws_conn_reads_still(const struct ws_conn *c)
{
    if (c->drop || c->gone)
        return 0;
    if (c->stage == WS_IN_ANSWER)
        return 0;
    if (c->state != WS_OPEN)
        return 1;
    if (c->paused || c->held)
        return 0;
    return c->mute || !(c->above && c->conf->role == WS_SERVER);
}

/* Whether last_event has something. */
static int owes_last(const struct ws_conn *c)
{
    if (c->gone)
        return !c->told_close || owes_fault(c);
    return c->conf->frames && owes_fault(c);
}

unsigned ws_conn_want(const struct ws_conn *c)
{
    unsigned want = 0;

    if (c->event.type != WS_EV_NONE || c->drain || owes_last(c) ||
        (c->more && ws_conn_reads(c)))
        want |= WS_WANT_EVENT;
    if (c->gone)
        return want;
    if (c->drop)
        return want | WS_WANT_CLOSE;
    if (!c->ended && c->stage == WS_IN_ANSWER)
        want |= WS_WANT_WATCH;
    else if (!c->ended && ws_conn_reads(c))
        want |= WS_WANT_READ;
    if (c->mute)
        return want;
    if (c->chain.size > 0)
        want |= WS_WANT_WRITE;
    else if (c->shut)
        want |= WS_WANT_SHUT;
    return want;
}

/* -- time -- */

int64_t ws_conn_date(const struct ws_conn *c)
{
    return c->conf->time != NULL ? c->conf->time() : 0;
}

static int64_t sooner(int64_t a, int64_t b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

int64_t ws_conn_due(const struct ws_conn *c)
{
    int64_t due = sooner(c->deadline_ms, sooner(c->ping_at_ms, c->pong_due_ms));

    if (c->gone || c->drop)
        return -1;
    if (c->chain.size > 0 && c->conf->send_ms > 0)
        due = sooner(due, c->progress_ms + c->conf->send_ms);
    return due;
}

static int passed(const struct ws_conn *c, int64_t t)
{
    return t >= 0 && c->now_ms >= t;
}

/* An HTTP answer has its time from where it last got on: how long all of it
** takes is the line's affair. */
static int gets_on(const struct ws_conn *c)
{
    return c->conf->role == WS_SERVER && c->state == WS_CLOSING && !c->opened &&
           !passed(c, c->progress_ms + c->conf->close_ms);
}

static void tick_deadline(struct ws_conn *c)
{
    c->deadline_ms = -1;
    if (gets_on(c))
        c->deadline_ms = c->progress_ms + c->conf->close_ms;
    else if (c->stage == WS_IN_ANSWER)
        ws_conn_fail(c, WS_ERR_ANSWER_TIMEOUT);
    else if (c->stage == WS_IN_BODY && c->conf->role == WS_CLIENT)
        ws_conn_fail(c, WS_ERR_STATUS); /* a refusal is known to be one */
    else if (c->state == WS_CONNECTING)
        ws_conn_fail(c, WS_ERR_HANDSHAKE_TIMEOUT);
    else
        ws_conn_lost(c, WS_ERR_CLOSE_TIMEOUT);
}

static void send_ping(struct ws_conn *c)
{
    uint8_t n[4];

    c->ping_at_ms = c->now_ms + c->conf->ping_ms;
    if (c->pmd != NULL)
        ws_pmd_age(c->pmd);
    c->pings++;
    n[0] = (uint8_t)(c->pings >> 24);
    n[1] = (uint8_t)(c->pings >> 16);
    n[2] = (uint8_t)(c->pings >> 8);
    n[3] = (uint8_t)c->pings;
    if (c->chain.size > c->conf->high_water ||
        ws_conn_control(c, WS_OP_PING, ws_slice_of(n, 4)) != WS_OK)
        return; /* next time */
    if (c->pong_due_ms < 0 && c->conf->pong_ms > 0)
        c->pong_due_ms = c->now_ms + c->conf->pong_ms;
}

/* Bytes wait, and none was taken for too long. */
static int is_stuck(const struct ws_conn *c)
{
    return c->chain.size > 0 && c->conf->send_ms > 0 &&
           passed(c, c->progress_ms + c->conf->send_ms);
}

int ws_conn_overdue(const struct ws_conn *c)
{
    return !c->gone && !c->drop &&
           (passed(c, c->deadline_ms) || passed(c, c->pong_due_ms) ||
            is_stuck(c));
}

void ws_conn_tick(struct ws_conn *c)
{
    if (c->gone || c->drop)
        return;
    if (passed(c, c->deadline_ms))
        tick_deadline(c);
    if (is_stuck(c))
        ws_conn_lost(c, WS_ERR_SEND_TIMEOUT);
    if (passed(c, c->pong_due_ms)) {
        if (ws_conn_reads(c))
            ws_conn_lost(c, WS_ERR_PING_TIMEOUT);
        else /* we do not listen, so the silence is ours */
            c->pong_due_ms = c->now_ms + c->conf->pong_ms;
    }
    if (c->state == WS_OPEN && passed(c, c->ping_at_ms))
        send_ping(c);
}
