/* bind/lua_event.c -- events on their way from a session to Lua.
**
** The pump pulls a session until it has no more to tell.  Each event goes to
** the socket's own listeners and then to its server's.  Nothing is allocated
** for a message but its string; a listener that raises is reported, and costs
** a server's socket its connection (1011).
*/
#include "bind/lua_client.h"
#include "bind/lua_bytes.h"
#include "bind/lua_pull.h"
#include "bind/lua_server.h"
#include "bind/lua_verbs.h"

enum { KNOWN_MIN = 1024 }; /* less is looked at in no time */

/* Pushes a message.  A long text lies at hand for this turn: who sends it on
** need not look again whether it is UTF-8. */
static void push_message(lua_State *L, struct ws_lloop *ll,
                         const struct ws_event *ev)
{
    ws_push_slice(L, ev->data);
    if (ev->type == WS_EV_TEXT && ev->data.n >= KNOWN_MIN) {
        lua_pushvalue(L, -1);
        lua_replace(L, WS_IX_KNOWN);
        ll->known = ws_slice_of(lua_tostring(L, -1), ev->data.n);
    }
}

/* The error of a session in words, and its code: two values. */
static void push_words(lua_State *L, const struct ws_lsocket *k, int err)
{
    if (k->s.failure != NULL) {
        lua_pushstring(L, ws_session_words(&k->s));
        lua_pushstring(L, ws_session_word(&k->s));
    } else {
        lua_pushstring(L, ws_err_text(err));
        lua_pushstring(L, ws_err_word(err));
    }
}

/* A refused handshake's error also tells the status. */
static int push_error(lua_State *L, struct ws_lsocket *k, int idx, int err)
{
    push_words(L, k, err);
    if (err != WS_ERR_STATUS && err != WS_ERR_REDIRECT)
        return 2;
    ws_push_response(L, k, idx);
    ws_add_status(L, err);
    return 3;
}

void ws_push_fault(lua_State *L, struct ws_lsocket *k, int idx)
{
    int err = k->s.conn.fault;

    push_error(L, k, idx, err != WS_OK ? err : WS_ERR_LOST);
}

/* Calls whoever listens to `event` of the socket at idx; the nargs values at
** the top are its arguments. */
static void deliver(lua_State *L, struct ws_lsocket *k, int idx, int event,
                    int nargs)
{
    struct ws_firing f;
    int raised = 0;

    f.event = event;
    f.nargs = nargs;
    f.about = idx;
    if ((k->mask >> event & 1) != 0) {
        f.emitter.idx = idx;
        f.emitter.mask = &k->mask;
        f.emitter.server = 0;
        f.passed = 0;
        raised = ws_emitter_fire(L, &f);
    }
    if (k->server != NULL && (k->server->mask >> event & 1) != 0) {
        lua_getiuservalue(L, idx, WS_UV_OWNER);
        lua_insert(L, -nargs - 1);
        f.emitter.idx = lua_gettop(L) - nargs;
        f.emitter.mask = &k->server->mask;
        f.emitter.server = 1;
        f.passed = idx;
        raised |= ws_emitter_fire(L, &f);
    }
    if (raised && k->server != NULL) /* S66 */
        ws_conn_end(&k->s.conn, WS_STATUS_INTERNAL_ERROR, "internal error");
}

/* The own table of the socket's server, where its listeners are, is at
** WS_IX_OWN: looked for once for all that the same server's sockets say one
** after the other. */
static void find_server_own(lua_State *L, const struct ws_lsocket *k, int idx)
{
    lua_getiuservalue(L, idx, WS_UV_OWNER);
    if (lua_getiuservalue(L, -1, WS_UV_OWN) == LUA_TTABLE) {
        lua_replace(L, WS_IX_OWN);
        k->loop->own_of = k->server;
    }
    lua_settop(L, idx);
}

/* The function that was told a message has ended, but had waited, or caught an
** error: the turn was left then. */
static int told(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    (void)ctx;
    return 0;
}

/* A message for a server's lone function, without the ceremony: the case of
** every message of a busy server.  It is called on the coroutine of the turn
** itself, which ends here when it raises or waits: see turns in lua_turn.c.
** 1: done. */
static int deliver_fast(lua_State *L, struct ws_lsocket *k, int idx,
                        const struct ws_event *ev)
{
    if ((k->mask & WS_DETOURS) != 0 || k->server == NULL ||
        k->loop->own_of != k->server ||
        (ev->type != WS_EV_TEXT && ev->type != WS_EV_BINARY))
        return 0;
    if (lua_rawgeti(L, WS_IX_OWN, WS_ON_MESSAGE) != LUA_TFUNCTION) {
        lua_pop(L, 1);
        return 0;
    }
    lua_pushvalue(L, idx);
    push_message(L, k->loop, ev);
    lua_pushvalue(L, ev->type == WS_EV_TEXT ? WS_IX_TEXT : WS_IX_BINARY);
    k->loop->telling = k;
    lua_callk(L, 3, 0, 0, told);
    k->loop->telling = NULL;
    return 1;
}

static int listens(const struct ws_lsocket *k, int event)
{
    unsigned mask = k->mask | (k->server != NULL ? k->server->mask : 0u);
    return (mask >> event & 1) != 0;
}

/* Streaming: a part of a message, or a whole one that came as one part. */
static void on_chunk(lua_State *L, struct ws_lsocket *k, int idx,
                     const struct ws_event *ev)
{
    int part = ev->type == WS_EV_CHUNK, pulls = (k->mask & WS_PULLS) != 0;
    int text = part ? ev->op == WS_OP_TEXT : ev->type == WS_EV_TEXT;

    if (!pulls && !listens(k, WS_ON_CHUNK))
        return;
    ws_push_binary(L, ev->data, text || pulls ? WS_AS_STRING : k->binary_type);
    lua_pushvalue(L, text ? WS_IX_TEXT : WS_IX_BINARY);
    lua_pushboolean(L, part ? ev->fin : 1);
    if (pulls)
        ws_pull_message(L, k, idx);
    else
        deliver(L, k, idx, WS_ON_CHUNK, 3);
}

static void on_message(lua_State *L, struct ws_lsocket *k, int idx,
                       const struct ws_event *ev)
{
    if (k->s.conn.conf->message.streaming) {
        on_chunk(L, k, idx, ev);
        return;
    }
    if ((k->mask & WS_PULLS) != 0) {
        push_message(L, k->loop, ev);
        lua_pushvalue(L, ev->type == WS_EV_TEXT ? WS_IX_TEXT : WS_IX_BINARY);
        ws_pull_message(L, k, idx);
        return;
    }
    if (!listens(k, WS_ON_MESSAGE))
        return; /* nobody listens: no string is made */
    if (ev->type == WS_EV_TEXT || k->binary_type == WS_AS_STRING)
        push_message(L, k->loop, ev);
    else
        ws_push_binary(L, ev->data, k->binary_type);
    lua_pushvalue(L, ev->type == WS_EV_TEXT ? WS_IX_TEXT : WS_IX_BINARY);
    deliver(L, k, idx, WS_ON_MESSAGE, 2);
}

static void on_fault(lua_State *L, struct ws_lsocket *k, int idx, int err)
{
    ws_plan_explain(L, k, idx, err);
    if (!k->exposed)
        ws_server_refused(L, k, idx, err);
    else
        deliver(L, k, idx, WS_ON_ERROR, push_error(L, k, idx, err));
    ws_pull_ended(k); /* in frame mode nothing more comes */
}

static void on_close(lua_State *L, struct ws_lsocket *k, int idx,
                     const struct ws_event *ev)
{
    lua_pushinteger(L, ev->code);
    ws_push_slice(L, ev->data);
    lua_pushboolean(L, ev->clean);
    k->heard = 1;
    if (k->exposed)
        deliver(L, k, idx, WS_ON_CLOSE, 3);
}

/* It has told its CLOSE, to nobody if there was no memory: that is made up for
** now.  It is at work no more. */
static void retire(lua_State *L, struct ws_lsocket *k, int idx)
{
    struct ws_event ev;

    if (WS_UNLIKELY(!k->heard)) {
        ws_conn_ending(&k->s.conn, &ev);
        on_close(L, k, idx, &ev);
        lua_settop(L, idx);
    }
    if (k->server != NULL)
        ws_server_left(k);
    else
        ws_plan_settled(L, k, idx);
    ws_pull_ended(k);
    ws_unanchor_socket(L, WS_IX_LOOP, k);
}

static void on_open(lua_State *L, struct ws_lsocket *k, int idx)
{
    if (k->server != NULL) {
        ws_server_opened(L, k, idx);
    } else {
        ws_dial_settled(&k->s);
        ws_plan_settled(L, k, idx);
        deliver(L, k, idx, WS_ON_OPEN, 0);
    }
    ws_pull_opened(k);
}

static void on_event(lua_State *L, struct ws_lsocket *k, int idx,
                     const struct ws_event *ev)
{
    switch ((enum ws_event_type)ev->type) {
    case WS_EV_TEXT:
    case WS_EV_BINARY:
        on_message(L, k, idx, ev);
        break;
    case WS_EV_CHUNK:
        on_chunk(L, k, idx, ev);
        break;
    case WS_EV_UPGRADE:
        ws_server_upgrade(L, k, idx);
        break;
    case WS_EV_REQUEST:
        ws_server_request(L, k, idx, ev->data);
        break;
    case WS_EV_OPEN:
        on_open(L, k, idx);
        break;
    case WS_EV_REDIRECT:
        ws_client_redirected(L, k, idx, ev);
        break;
    case WS_EV_CHALLENGE:
        ws_client_challenged(L, k, idx);
        break;
    case WS_EV_PING:
    case WS_EV_PONG:
        ws_push_slice(L, ev->data);
        deliver(L, k, idx, ev->type == WS_EV_PING ? WS_ON_PING : WS_ON_PONG, 1);
        break;
    case WS_EV_DRAIN:
        deliver(L, k, idx, WS_ON_DRAIN, 0);
        ws_pull_drained(k);
        break;
    case WS_EV_FAULT:
        on_fault(L, k, idx, ev->code);
        break;
    case WS_EV_CLOSE:
        on_close(L, k, idx, ev);
        break;
    case WS_EV_FRAME: /* for receive only */
        ws_push_slice(L, ev->data);
        lua_pushinteger(L, ws_frame_pack(ev));
        ws_pull_message(L, k, idx);
        break;
    case WS_EV_NONE:
        break;
    }
}

/* What waited to be asked for when a listener came. */
static void deliver_queue(lua_State *L, struct ws_lsocket *k, int idx)
{
    while (k->queued > 0 && ws_pull_pushes(k)) {
        int event = ws_pull_width(k) == 3 ? WS_ON_CHUNK : WS_ON_MESSAGE;
        deliver(L, k, idx, event, ws_pull_take(L, k, idx));
        lua_settop(L, idx);
    }
}

/* Strings that are sent, or never will be, are let go. */
static void unpin(lua_State *L, struct ws_lsocket *k, int idx)
{
    int pin;

    while (ws_conn_unpin(&k->s.conn, &pin) == WS_OK)
        ws_unpin(L, k, idx, pin);
}

void ws_pump(lua_State *L, struct ws_session *s)
{
    struct ws_lsocket *k = ws_container(s, struct ws_lsocket, s);
    struct ws_event ev;
    int idx;

    if (k->slot == 0)
        return; /* it is being made, or gone */
    k->loop->pumped = k;
    lua_rawgeti(L, WS_IX_LIVE, k->slot);
    idx = lua_gettop(L);
    if (k->server != NULL && k->loop->own_of != k->server)
        find_server_own(L, k, idx);
    if (WS_UNLIKELY(k->queued > 0))
        deliver_queue(L, k, idx);
    while (ws_ahead_next(k, &ev) == WS_OK) {
        if (WS_LIKELY(deliver_fast(L, k, idx, &ev)))
            continue;
        on_event(L, k, idx, &ev);
        lua_settop(L, idx);
    }
    if (WS_UNLIKELY(k->queued > 0 && ws_pull_pushes(k))) {
        deliver_queue(L, k, idx); /* a handler began to listen just now */
        ws_session_touch(s);      /* its listener may have raised */
    }
    if (s->conn.chain.spent != NULL)
        unpin(L, k, idx);
    if (s->conn.told_close && k->slot != 0)
        retire(L, k, idx);
    k->loop->pumped = NULL;
}
