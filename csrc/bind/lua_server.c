/* bind/lua_server.c -- the server object: what it is told, closing, attributes.
**
** How it comes to listen is in lua_listen.c, who comes then in lua_arrivals.c;
** what it says to requests, in lua_upgrade.c.
*/
#include "bind/lua_server.h"
#include "bind/lua_socket.h"
#include "bind/lua_tls.h"
#include "bind/lua_verbs.h"

struct ws_lserver *ws_check_server(lua_State *L, int idx)
{
    return ws_check_self(L, idx, WS_SERVER_NAME);
}

int ws_server_fire(lua_State *L, struct ws_lsocket *k, int idx, int event,
                   int nargs)
{
    struct ws_firing f;
    int raised;

    lua_getiuservalue(L, idx, WS_UV_OWNER);
    lua_insert(L, -nargs - 1);
    f.emitter.idx = lua_gettop(L) - nargs;
    f.emitter.mask = &k->server->mask;
    f.emitter.server = 1;
    f.passed = event == WS_ON_CONNECTION ? idx : 0;
    f.about = idx;
    f.event = event;
    f.nargs = nargs;
    raised = ws_emitter_fire(L, &f);
    lua_pop(L, nargs + 1);
    return raised;
}

/* An event of the server itself: it is at idx. */
static void fire_own(lua_State *L, struct ws_lserver *sv, int idx, int event)
{
    struct ws_firing f;

    if ((sv->mask >> event & 1) == 0)
        return;
    memset(&f, 0, sizeof f);
    f.emitter.idx = idx;
    f.emitter.mask = &sv->mask;
    f.emitter.server = 1;
    f.event = event;
    ws_emitter_fire(L, &f);
}

/* -- what it is told -- */

void ws_server_opened(lua_State *L, struct ws_lsocket *k, int idx)
{
    if ((k->server->mask >> WS_ON_CONNECTION & 1) == 0)
        return;
    ws_push_request(L, idx);
    if (ws_server_fire(L, k, idx, WS_ON_CONNECTION, 1) != 0)
        ws_conn_end(&k->s.conn, WS_STATUS_INTERNAL_ERROR, "internal error");
}

/* refused(message, code, remoteAddress): a connection that never became a
** socket (RFC 6455 7.1.7: a server should log them). */
void ws_server_refused(lua_State *L, struct ws_lsocket *k, int idx, int err)
{
    if ((k->server->mask >> WS_ON_REFUSED & 1) == 0)
        return;
    lua_pushstring(L, k->s.failure != NULL ? ws_session_words(&k->s)
                                           : ws_err_text(err));
    lua_pushstring(L, k->s.failure != NULL ? ws_session_word(&k->s)
                                           : ws_err_word(err));
    lua_getfield(L, idx, "remoteAddress");
    ws_server_fire(L, k, idx, WS_ON_REFUSED, 3);
}

/* -- departures -- */

/* ws_lserver.closing: 0, then what its end waits for. */
enum {
    CLOSING = 1, /* the clients' Close, or the end of patience */
    DROPPING     /* one more turn, then all are dropped */
};

static void closed_if_empty(struct ws_lserver *sv)
{
    struct ws_loop *loop = &sv->loop->loop;

    if (sv->closing && sv->nclients == 0 && sv->nopening == 0)
        ws_loop_arm(loop, &sv->timer, loop->now_ms); /* told in its own turn */
}

void ws_server_left(struct ws_lsocket *k)
{
    ws_server_uncount(k);
    closed_if_empty(k->server);
}

static void drop_all(struct ws_link *list)
{
    struct ws_link *l;

    for (l = ws_link_first(list); l != NULL; l = ws_link_next(list, l)) {
        struct ws_lsocket *k = ws_container(l, struct ws_lsocket, peers);
        ws_conn_terminate(&k->s.conn);
        ws_session_touch(&k->s);
    }
}

static void say_goodbye(struct ws_lserver *sv, int code, struct ws_slice reason)
{
    struct ws_link *l;

    for (l = ws_link_first(&sv->clients); l != NULL;
         l = ws_link_next(&sv->clients, l)) {
        struct ws_lsocket *k = ws_container(l, struct ws_lsocket, peers);
        ws_socket_clock(k);
        ws_conn_close(&k->s.conn, code, reason);
        ws_session_touch(&k->s);
    }
}

/* Who has not asked yet is dropped, who asks for WebSocket comes too late.
** An answer on its way, and one the application still owes to a plain
** request, have the time that closing has. */
static void turn_away(struct ws_link *list)
{
    struct ws_link *l, *next;

    for (l = ws_link_first(list); l != NULL; l = next) {
        struct ws_lsocket *k = ws_container(l, struct ws_lsocket, peers);
        next = ws_link_next(list, l); /* with an answer it leaves the list */
        if (k->s.conn.stage == WS_IN_ANSWER && !k->s.conn.plain)
            ws_server_answer(k, 503, "the server is closing\n");
        else if (k->s.conn.stage < WS_IN_ANSWER)
            ws_conn_terminate(&k->s.conn);
        ws_session_touch(&k->s);
    }
}

static int check_code(lua_State *L, int idx)
{
    int code = ws_check_code(L, idx);

    if (code == 0)
        return WS_STATUS_GOING_AWAY;
    if (code < 0 || !ws_status_may_send(code, 1))
        luaL_error(L,
                   "InvalidAccessError: close code %s is not one that may be "
                   "sent",
                   luaL_tolstring(L, idx, NULL));
    return code;
}

static struct ws_slice check_reason(lua_State *L, int idx)
{
    struct ws_slice reason = ws_slice_of(NULL, 0);

    if (!lua_isnoneornil(L, idx))
        reason = ws_check_slice(L, idx, "reason");
    if (reason.n > WS_REASON_MAX || !ws_utf8_valid(reason))
        luaL_error(L, "SyntaxError: the close reason must be at most 123 "
                      "bytes of UTF-8");
    return reason;
}

/* server:close([code = 1001 [, reason [, timeout]]]) -> true */
static int server_close(lua_State *L)
{
    struct ws_lserver *sv = ws_check_server(L, 1);
    int code = check_code(L, 2);
    struct ws_slice reason = check_reason(L, 3);
    int64_t ms = sv->conf.close_ms > 0 ? sv->conf.close_ms : -1;

    if (!lua_isnoneornil(L, 4))
        ms = ws_check_seconds(L, 4, "close: timeout");
    if (sv->open && !sv->closing) {
        sv->closing = CLOSING;
        ws_serve_close(&sv->serve);
        say_goodbye(sv, code, reason);
        turn_away(&sv->opening);
        turn_away(&sv->asked);
        if (ms >= 0)
            ws_loop_arm(&sv->loop->loop, &sv->timer, ws_clock_ms() + ms);
        closed_if_empty(sv);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* local server <close> */
static int server_leave(lua_State *L)
{
    lua_settop(L, 1);
    return server_close(L);
}

/* The timer: it listens since the turn before; its patience with its clients
** is at an end; or they are all gone. */
void ws_server_timeout(lua_State *L, struct ws_lserver *sv)
{
    int idx;

    lua_rawgetp(L, WS_IX_LIVE, sv);
    idx = lua_gettop(L);
    if (!sv->told_listening) {
        sv->told_listening = 1;
        if (!sv->closing) {
            fire_own(L, sv, idx, WS_ON_LISTENING);
            return;
        }
    }
    if (!sv->closing)
        return;
    if (sv->nclients > 0 || sv->nopening > 0) {
        if (sv->closing == CLOSING) {
            /* what was said in the turn before this one is not out yet */
            sv->closing = DROPPING;
            ws_loop_arm(&sv->loop->loop, &sv->timer, sv->loop->loop.now_ms);
            return;
        }
        drop_all(&sv->clients);
        drop_all(&sv->opening);
        drop_all(&sv->asked);
        return;
    }
    if (!sv->open)
        return;
    sv->open = 0;
    if (sv->anchored) {
        sv->anchored = 0;
        ws_unanchor(L, WS_IX_LOOP, sv);
    }
    fire_own(L, sv, idx, WS_ON_CLOSED);
}

/* -- the object -- */

void ws_server_drop(struct ws_lserver *sv)
{
    if (sv->loop == NULL)
        return;
    ws_serve_close(&sv->serve);
    ws_loop_disarm(&sv->loop->loop, &sv->timer);
    ws_block_drop(sv->block);
    sv->block = NULL;
    if (sv->loop->own_of == sv)
        sv->loop->own_of = NULL; /* another one may be made where it was */
    ws_tls_ctx_unref(sv->tls);
    sv->tls = NULL;
    ws_tally_free(&sv->serve.tally);
    sv->open = 0;
    sv->anchored = 0;
    sv->nclients = 0; /* its sockets went with the loop, unseen */
    sv->nopening = 0;
}

static int server_gc(lua_State *L)
{
    struct ws_lserver *sv = ws_check_server(L, 1);
    if (!sv->anchored)
        ws_server_drop(sv);
    return 0;
}

static struct ws_emitter emitter_of(lua_State *L)
{
    struct ws_lserver *sv = ws_check_server(L, 1);
    struct ws_emitter t;

    t.idx = 1;
    t.mask = &sv->mask;
    t.server = 1;
    t.streaming = sv->conf.message.streaming;
    return t;
}

/* A server's sockets are open when it hears of them: "open" would never
** come, and "connection" is meant. */
static void check_name(lua_State *L)
{
    static const char *const names[] = {"connection", NULL};

    if (strcmp(luaL_checkstring(L, 2), "open") == 0)
        ws_unknown_key(L, "event of a server", "open", names);
}

static int server_on(lua_State *L)
{
    struct ws_emitter t = emitter_of(L);
    check_name(L);
    return ws_emitter_on(L, &t, 0);
}

static int server_once(lua_State *L)
{
    struct ws_emitter t = emitter_of(L);
    check_name(L);
    return ws_emitter_on(L, &t, 1);
}

static int server_off(lua_State *L)
{
    struct ws_emitter t = emitter_of(L);
    return ws_emitter_off(L, &t);
}

/* (server, "on...", fn) */
int ws_server_set_handler(lua_State *L)
{
    struct ws_emitter t = emitter_of(L);
    int event = ws_event_number(lua_tostring(L, 2), 1, 1);

    ws_emitter_set(L, &t, event);
    return 0;
}

static int server_tostring(lua_State *L)
{
    struct ws_lserver *sv = ws_check_server(L, 1);
    lua_pushfstring(L, "wsock.server (%s, %d clients)",
                    !sv->open     ? "closed"
                    : sv->closing ? "closing"
                                  : "listening",
                    (int)sv->nclients);
    return 1;
}

static int server_index(lua_State *L)
{
    struct ws_lserver *sv = ws_check_server(L, 1);
    const char *key = luaL_checkstring(L, 2);
    int event;

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    if (strcmp(key, "clients") == 0) {
        ws_push_clients(L);
    } else if (strcmp(key, "clientCount") == 0) {
        lua_pushinteger(L, (lua_Integer)sv->nclients);
    } else {
        struct ws_emitter t = emitter_of(L);
        event = ws_event_number(key, 1, 1);
        if (event <= WS_ON_OPEN)
            return 0;
        ws_emitter_get(L, &t, event);
    }
    return 1;
}

static int server_newindex(lua_State *L)
{
    static const char *const names[] = {
        "onconnection", "onmessage", "onclose",   "onerror",   "onping",
        "onpong",       "ondrain",   "onchunk",   "onrequest", "onupgrade",
        "onlistening",  "onclosed",  "onrefused", NULL};
    const char *key;

    ws_check_server(L, 1);
    key = luaL_checkstring(L, 2);
    if (ws_event_number(key, 1, 1) > WS_ON_OPEN)
        return ws_server_set_handler(L);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL ||
        strcmp(key, "clients") == 0 || strcmp(key, "clientCount") == 0)
        return luaL_error(L, "field '%s' of a server is read-only", key);
    return ws_unknown_key(L, "field of a server", key, names);
}

static const luaL_Reg methods[] = {
    {"close", server_close},
    {"address", ws_server_address},
    {"setTLS", ws_server_set_tls},
    {"broadcast", ws_server_broadcast},
    {"on", server_on},
    {"once", server_once},
    {"off", server_off},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", server_gc},
    {"__close", server_leave},
    {"__tostring", server_tostring},
    {NULL, NULL},
};

void ws_open_server(lua_State *L)
{
    luaL_newmetatable(L, WS_SERVER_NAME);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, server_newindex, 1);
    lua_setfield(L, -3, "__newindex");
    lua_pushcclosure(L, server_index, 1);
    lua_setfield(L, -2, "__index");
    ws_seal_class(L);
    lua_pushcfunction(L, ws_listen);
    lua_setfield(L, -2, "listen");
}
