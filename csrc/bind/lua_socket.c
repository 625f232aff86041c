/* bind/lua_socket.c -- the socket object: what one can do with it.
**
** How a client's comes to be is in lua_client.c; what happens to it, and in
** what order, in lua_event.c; what it shows, in lua_props.c.
*/
#include "bind/lua_socket.h"

#include "bind/lua_bytes.h"
#include "bind/lua_pull.h"
#include "bind/lua_verbs.h"

/* Payloads from here on are queued by reference: anchoring the string is then
** cheaper than copying it. */
enum { PIN_MIN = 4096 };

static const char seal_key = 0; /* its address is the metatable's key */

struct ws_lsocket *ws_check_socket(lua_State *L, int idx)
{
    return ws_check_self(L, idx, WS_SOCKET_NAME);
}

/* -- making -- */

struct ws_lsocket *ws_new_socket(lua_State *L, struct ws_lloop *loop,
                                 int owner_idx, size_t size)
{
    struct ws_lsocket *k;

    owner_idx = lua_absindex(L, owner_idx);
    k = lua_newuserdatauv(L, size, WS_UV_SOCKET_COUNT);
    memset(k, 0, size);
    ws_link_init(&k->peers);
    ws_link_init(&k->waiters);
    k->loop = loop;
    luaL_getmetatable(L, WS_SOCKET_NAME);
    lua_rawgetp(L, -1, &seal_key);
    k->seal = lua_touserdata(L, -1);
    lua_pop(L, 1);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, owner_idx);
    lua_setiuservalue(L, -2, WS_UV_OWNER);
    return k;
}

/* Something was done to it: the turn's end sees to it, or its pump, which goes
** on when its function has been told the message; and where no turn runs and
** messages are asked for, this does.  Straight-line code expects what it sent
** to be on its way. */
static void touch(struct ws_lsocket *k)
{
    if (WS_LIKELY(k->loop->telling == k))
        return;
    if (WS_LIKELY((k->mask & WS_PULLS) == 0) || k->loop->running ||
        !ws_session_flush(&k->s))
        ws_session_touch(&k->s);
}

/* -- sending -- */

/* Whether the bytes at idx stay what they are: those of an ArrayBuffer may
** change before they are sent. */
static int is_fixed(lua_State *L, int idx)
{
    struct ws_slice s;
    return lua_type(L, idx) == LUA_TSTRING || ws_test_bytes(L, idx, &s, 1);
}

/* A text that came this turn was found to be UTF-8 then. */
static unsigned is_known(const struct ws_lloop *ll, struct ws_slice data)
{
    return data.p == ll->known.p && data.n == ll->known.n ? WS_SEND_VALID : 0;
}

/* Anchors the string or Blob at 2 in the socket, which has room for one, or,
** when more wait, in the loop's pins: its number. */
static int pin(lua_State *L, struct ws_lsocket *k)
{
    if (WS_LIKELY(!k->pinned)) {
        lua_pushvalue(L, 2);
        lua_setiuservalue(L, 1, WS_UV_PINNED);
        k->pinned = 1;
        return WS_PIN_OWN;
    }
    ws_push_loop_of(L, k, 1);
    lua_getiuservalue(L, -1, WS_UV_PINS);
    lua_pushvalue(L, 2);
    return luaL_ref(L, -2);
}

void ws_unpin(lua_State *L, struct ws_lsocket *k, int idx, int number)
{
    if (WS_LIKELY(number == WS_PIN_OWN)) {
        lua_pushnil(L);
        lua_setiuservalue(L, idx, WS_UV_PINNED);
        k->pinned = 0;
        return;
    }
    ws_push_loop_of(L, k, idx);
    lua_getiuservalue(L, -1, WS_UV_PINS);
    luaL_unref(L, -1, number);
    lua_pop(L, 2);
}

/* Queues the string or Blob at 2 by reference. */
static int send_pinned(lua_State *L, struct ws_lsocket *k, enum ws_opcode op,
                       struct ws_slice data, unsigned flags)
{
    int number = pin(L, k);
    int err = ws_conn_send_pinned(&k->s.conn, op, data, flags, number);

    if (WS_UNLIKELY(err != WS_OK))
        ws_unpin(L, k, 1, number);
    return err;
}

/* socket:send(data [, kind [, options]]) -> true | nil, message, code */
static int socket_send(lua_State *L)
{
    struct ws_lsocket *k = ws_self_socket(L);
    struct ws_slice data;
    enum ws_opcode op;
    unsigned flags;
    int err;

    ws_check_connected(L, &k->s.conn);
    data = ws_check_payload(L, 2);
    op = ws_check_kind(L, 3);
    flags = ws_check_flags(L, 4) | is_known(k->loop, data);
    ws_socket_clock(k);
    if (data.n >= PIN_MIN && k->server != NULL && k->s.conn.state == WS_OPEN &&
        !ws_conn_packs(&k->s.conn, data.n, flags) && is_fixed(L, 2))
        err = send_pinned(L, k, op, data, flags);
    else
        err = ws_conn_send(&k->s.conn, op, data, flags);
    if (WS_UNLIKELY(err != WS_OK)) {
        if (err == WS_ERR_STATE)
            ws_session_count(&k->s, data.n, 0);
        return ws_push_sent(L, &k->s.conn, err);
    }
    ws_session_count(&k->s, data.n, 1);
    touch(k);
    lua_pushboolean(L, 1);
    return 1;
}

static int send_control(lua_State *L, enum ws_opcode op)
{
    struct ws_lsocket *k = ws_self_socket(L);
    int n;

    ws_socket_clock(k);
    n = ws_send_control(L, 2, &k->s.conn, op);
    touch(k);
    return n;
}

/* socket:ping([data]), socket:pong([data]) -> true | nil, message, code */
static int socket_ping(lua_State *L)
{
    return send_control(L, WS_OP_PING);
}

static int socket_pong(lua_State *L)
{
    return send_control(L, WS_OP_PONG);
}

/* socket:sendFrame(data, kind [, final]) -> as send; with the option frames */
static int socket_send_frame(lua_State *L)
{
    struct ws_lsocket *k = ws_self_socket(L);
    int n;

    ws_socket_clock(k);
    n = ws_send_frame(L, 2, &k->s.conn);
    touch(k);
    return n;
}

/* -- closing -- */

/* socket:close([code [, reason]]) -> true */
static int socket_close(lua_State *L)
{
    struct ws_lsocket *k = ws_self_socket(L);
    int n;

    ws_socket_clock(k);
    n = ws_close_with(L, 2, &k->s.conn);
    touch(k);
    return n;
}

/* socket:terminate() -> true */
static int socket_terminate(lua_State *L)
{
    struct ws_lsocket *k = ws_self_socket(L);

    ws_conn_terminate(&k->s.conn);
    ws_session_touch(&k->s);
    lua_pushboolean(L, 1);
    return 1;
}

/* socket:pause(), socket:resume() -> socket */
static int set_pause(lua_State *L, int paused)
{
    struct ws_lsocket *k = ws_self_socket(L);

    ws_conn_pause(&k->s.conn, paused);
    ws_session_touch(&k->s);
    lua_settop(L, 1);
    return 1;
}

static int socket_pause(lua_State *L)
{
    return set_pause(L, 1);
}

static int socket_resume(lua_State *L)
{
    return set_pause(L, 0);
}

/* local s <close>: starts the closing handshake and lets the loop finish. */
static int socket_leave(lua_State *L)
{
    struct ws_lsocket *k = ws_self_socket(L);

    if (k->s.conn.conf != NULL) {
        ws_socket_clock(k);
        ws_conn_close(&k->s.conn, 0, ws_slice_of(NULL, 0));
        touch(k);
    }
    return 0;
}

/* -- life -- */

void ws_socket_drop(struct ws_lsocket *k)
{
    struct ws_event ev;
    struct ws_link *l;

    if (k->s.peers != NULL) {
        ws_conn_end(&k->s.conn, WS_STATUS_GOING_AWAY, "");
        while (ws_session_next(&k->s, &ev) == WS_OK)
            continue; /* nobody listens any more; what can go out does */
    }
    ws_session_free(&k->s);
    ws_link_remove(&k->peers);
    for (l = ws_link_first(&k->waiters); l != NULL;
         l = ws_link_first(&k->waiters))
        ws_link_remove(l);
    k->slot = 0;
}

static int socket_gc(lua_State *L)
{
    struct ws_lsocket *k = ws_check_self(L, 1, WS_SOCKET_NAME);

    /* One that is still in `live` goes with its loop, see drop_live. */
    if (k->loop != NULL && k->slot == 0)
        ws_socket_drop(k);
    return 0;
}

/* -- listeners -- */

/* What was added may be a message listener. */
static int settled(lua_State *L, struct ws_lsocket *k, int nresults)
{
    ws_pull_settle(L, k);
    return nresults;
}

static int socket_on(lua_State *L)
{
    struct ws_lsocket *k = ws_self_socket(L);
    struct ws_emitter t = ws_socket_emitter(k);
    return settled(L, k, ws_emitter_on(L, &t, 0));
}

static int socket_once(lua_State *L)
{
    struct ws_lsocket *k = ws_self_socket(L);
    struct ws_emitter t = ws_socket_emitter(k);
    return settled(L, k, ws_emitter_on(L, &t, 1));
}

static int socket_off(lua_State *L)
{
    struct ws_emitter t = ws_socket_emitter(ws_self_socket(L));
    return ws_emitter_off(L, &t);
}

static int socket_add(lua_State *L)
{
    struct ws_lsocket *k = ws_self_socket(L);
    struct ws_emitter t = ws_socket_emitter(k);
    return settled(L, k, ws_emitter_add(L, &t));
}

static int socket_remove(lua_State *L)
{
    struct ws_emitter t = ws_socket_emitter(ws_self_socket(L));
    return ws_emitter_remove(L, &t);
}

/* -- registration -- */

static const luaL_Reg methods[] = {
    {"send", socket_send},
    {"close", socket_close},
    {"terminate", socket_terminate},
    {"ping", socket_ping},
    {"pong", socket_pong},
    {"sendFrame", socket_send_frame},
    {"pause", socket_pause},
    {"resume", socket_resume},
    {"receive", ws_socket_receive},
    {"receiveChunk", ws_socket_receive_chunk},
    {"messages", ws_socket_messages},
    {"drain", ws_socket_drain},
    {"on", socket_on},
    {"once", socket_once},
    {"off", socket_off},
    {"addEventListener", socket_add},
    {"removeEventListener", socket_remove},
    {"stats", ws_socket_stats},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", socket_gc},
    {"__close", socket_leave},
    {"__tostring", ws_socket_tostring},
    {NULL, NULL},
};

void ws_open_socket(lua_State *L)
{
    void *seal;

    if (ws_random(NULL, (uint8_t *)&seal, sizeof seal) != WS_OK)
        luaL_error(L, "%s", ws_err_text(WS_ERR_RANDOM));
    luaL_newmetatable(L, WS_SOCKET_NAME);
    lua_pushlightuserdata(L, seal);
    lua_rawsetp(L, -2, &seal_key);
    lua_pushlightuserdata(L, seal);
    luaL_setfuncs(L, metamethods, 1);
    luaL_newlibtable(L, methods);
    lua_pushlightuserdata(L, seal);
    luaL_setfuncs(L, methods, 1);
    ws_socket_accessors(L); /* methods -> __index, __newindex */
    ws_seal_class(L);
    lua_pushcfunction(L, ws_new_client);
    lua_setfield(L, -2, "WebSocket");
    lua_pushcfunction(L, ws_socket_opened);
    lua_setfield(L, -2, "opened");
    lua_pushcfunction(L, ws_socket_apart);
    lua_setfield(L, -2, "apart");
}
