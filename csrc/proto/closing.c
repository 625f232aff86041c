/* proto/closing.c -- see closing.h. */
#include "proto/closing.h"

#include "proto/parts.h"

static struct ws_slice nothing(void)
{
    return ws_slice_of(NULL, 0);
}

/* Takes any half message away; not what a delivered event still shows, and
** not the content of a refusal.  A frame head that is cut stays: what comes
** is still read as frames. */
static void forget_input(struct ws_conn *c)
{
    if (c->lent)
        c->stale = 1;
    if (!c->stale && c->stage != WS_IN_BODY)
        ws_conn_drop_message(c);
    c->more = 0;
}

void ws_conn_begin_closing(struct ws_conn *c)
{
    if (c->state != WS_CLOSING)
        c->deadline_ms =
            c->conf->close_ms > 0 ? c->now_ms + c->conf->close_ms : -1;
    c->state = WS_CLOSING;
    c->ping_at_ms = -1;
    c->pong_due_ms = -1;
    c->drain = 0;
}

/* From here on no input is processed; when the output is out, our direction
** ends if `shut`. */
static void go_deaf(struct ws_conn *c, int shut)
{
    forget_input(c);
    c->stage = WS_IN_DISCARD;
    c->spilled = 0;
    c->left = 0; /* counts what is thrown away now */
    if (shut)
        c->shut = 1;
}

void ws_conn_settle(struct ws_conn *c)
{
    if (c->stage == WS_IN_DISCARD &&
        (c->mute || (c->ended && c->chain.size == 0)))
        c->drop = 1;
}

/* At most one Close is ever sent (5.5.1). */
static void send_close(struct ws_conn *c, int code, struct ws_slice reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    size_t n;

    if (c->close_sent)
        return;
    c->close_sent = 1;
    n = ws_status_write(payload, code, reason);
    if (ws_conn_put_control(c, WS_OP_CLOSE, ws_slice_of(payload, n)) != WS_OK)
        c->drop = 1; /* no memory for two bytes: nothing else is left */
}

static int check_close(const struct ws_conn *c, int *code,
                       struct ws_slice reason)
{
    int server = c->conf != NULL && c->conf->role == WS_SERVER;

    if (*code != 0 && !ws_status_may_send(*code, server))
        return WS_ERR_CODE;
    if (reason.n > WS_REASON_MAX)
        return WS_ERR_REASON;
    if (!ws_utf8_valid(reason))
        return WS_ERR_CLOSE_UTF8;
    if (*code == 0 && reason.n > 0)
        *code = WS_STATUS_NORMAL;
    return WS_OK;
}

int ws_conn_close(struct ws_conn *c, int code, struct ws_slice reason)
{
    int err = check_close(c, &code, reason);

    if (err != WS_OK || c->state > WS_OPEN)
        return err;
    if (c->state == WS_CONNECTING) {
        ws_conn_lost(c, WS_ERR_ABORTED);
        return WS_OK;
    }
    forget_input(c);
    send_close(c, code, reason);
    ws_conn_said_close(c); /* a peer that never answers is no error (14) */
    return WS_OK;
}

void ws_conn_end(struct ws_conn *c, int code, const char *reason)
{
    if (c->state == WS_CONNECTING)
        ws_conn_lost(c, WS_ERR_ABORTED);
    if (c->state != WS_OPEN)
        return;
    forget_input(c);
    send_close(c, code, ws_slice_str(reason));
    ws_conn_said_close(c);
}

void ws_conn_terminate(struct ws_conn *c)
{
    if (c->gone)
        return;
    c->quiet = 1;
    ws_conn_begin_closing(c);
    go_deaf(c, 0);
    c->drop = 1;
}

void ws_conn_fail(struct ws_conn *c, int err)
{
    int was = c->state, code = ws_err_close(err);

    if (c->fault != WS_OK || c->gone || c->drop)
        return;
    if (was == WS_CONNECTING && c->conf->role == WS_SERVER) {
        ws_conn_refuse(c, err);
        return;
    }
    c->fault = err;
    c->quiet = 0;
    ws_conn_begin_closing(c);
    /* a client that misses an extension tells a server that is open (7.4.1) */
    if ((was == WS_CONNECTING && err != WS_ERR_EXTENSION_MISSING) ||
        code == 0) {
        go_deaf(c, 0);
        c->drop = 1; /* nothing to tell the peer, or nobody to hear it */
        return;
    }
    send_close(c, code, ws_slice_str(ws_err_text(err)));
    go_deaf(c, 1);
}

void ws_conn_dismiss(struct ws_conn *c, int err)
{
    if (c->fault != WS_OK || c->gone || c->drop)
        return;
    c->fault = err;
    ws_conn_begin_closing(c);
    go_deaf(c, 1);
}

static void keep_reason(struct ws_conn *c, struct ws_slice reason)
{
    c->reason = ws_mem_get(c->conf->mem, 1 + WS_REASON_MAX);
    if (c->reason == NULL)
        return; /* the code is still told */
    c->reason[0] = (uint8_t)reason.n;
    memcpy(c->reason + 1, reason.p, reason.n);
}

/* Notes the peer's Close; 0: it is wrong, and the connection failed. */
static int note_close(struct ws_conn *c, struct ws_slice payload,
                      struct ws_slice *reason)
{
    int code, err = ws_status_read(payload, &code, reason);

    if (err != WS_OK) {
        ws_conn_fail(c, err);
        return 0;
    }
    c->close_received = 1;
    c->close_code = code;
    if (reason->n > 0)
        keep_reason(c, *reason);
    return 1;
}

/* Both Close frames are through.  The server ends TCP first, so TIME_WAIT is
** its (7.1.1). */
static void end_closing(struct ws_conn *c)
{
    ws_conn_begin_closing(c);
    go_deaf(c, c->conf->role == WS_SERVER);
    ws_conn_settle(c);
}

void ws_conn_on_close(struct ws_conn *c, struct ws_slice payload)
{
    struct ws_slice reason = nothing();

    if (!note_close(c, payload, &reason))
        return;
    /* The answer echoes code and reason; without a code it is empty (5.5.1). */
    send_close(c, c->close_code == WS_STATUS_NONE ? 0 : c->close_code, reason);
    end_closing(c);
}

int ws_conn_heard_close(struct ws_conn *c, struct ws_slice payload)
{
    struct ws_slice reason = nothing();

    if (!note_close(c, payload, &reason))
        return 0;
    if (c->close_sent)
        end_closing(c);
    else
        go_deaf(c, 0); /* nothing may follow it; the answer is still owed */
    return 1;
}

void ws_conn_said_close(struct ws_conn *c)
{
    c->close_sent = 1;
    c->quiet = 1;
    if (c->close_received)
        end_closing(c);
    else
        ws_conn_begin_closing(c);
}

void ws_conn_discard(struct ws_conn *c, size_t n)
{
    c->left += n;
    if (c->left > WS_DISCARD_MAX)
        c->drop = 1;
}

int ws_conn_mute(struct ws_conn *c)
{
    if (c->ended || c->drop || c->gone || c->stage == WS_IN_DISCARD)
        return 0;
    c->mute = 1;
    return 1;
}
