/* bind/lua_props.c -- what a socket shows: attributes and handlers. */
#include "bind/lua_pull.h"

#include "bind/lua_bytes.h"
#include "bind/lua_tls.h"
#include "bind/lua_verbs.h"

void ws_push_loop_of(lua_State *L, const struct ws_lsocket *k, int idx)
{
    lua_getiuservalue(L, idx, WS_UV_OWNER);
    if (k->server != NULL) {
        lua_getiuservalue(L, -1, WS_UV_OWNER);
        lua_remove(L, -2);
    }
}

/* -- getters: the socket is at 1; each pushes one value -- */

static void get_ready_state(lua_State *L, struct ws_lsocket *k)
{
    lua_pushinteger(L, k->s.conn.state);
}

static void get_buffered(lua_State *L, struct ws_lsocket *k)
{
    lua_pushinteger(L, (lua_Integer)ws_session_buffered(&k->s));
}

static void get_protocol(lua_State *L, struct ws_lsocket *k)
{
    ws_push_slice(L, k->s.conn.protocol);
}

static void get_extensions(lua_State *L, struct ws_lsocket *k)
{
    ws_push_slice(L, k->s.conn.extensions);
}

/* Text kept in the own table since the constructor; a server's socket has
** its url from the request. */
static void get_url(lua_State *L, struct ws_lsocket *k)
{
    ws_push_own(L, 1);
    if (lua_getfield(L, -1, "url") != LUA_TNIL || k->server == NULL)
        return;
    ws_push_request(L, 1);
    lua_getfield(L, -1, "target");
}

static void get_origin(lua_State *L, struct ws_lsocket *k)
{
    if (k->server != NULL) {
        ws_push_request(L, 1);
        lua_getfield(L, -1, "headers");
        lua_getfield(L, -1, "Origin");
        return;
    }
    ws_push_own(L, 1);
    lua_getfield(L, -1, "origin");
}

static void get_binary_type(lua_State *L, struct ws_lsocket *k)
{
    lua_pushstring(L, ws_binary_type_name(k->binary_type));
}

static void get_paused(lua_State *L, struct ws_lsocket *k)
{
    lua_pushboolean(L, k->s.conn.paused);
}

static void get_request(lua_State *L, struct ws_lsocket *k)
{
    if (k->server != NULL)
        ws_push_request(L, 1);
    else
        lua_pushnil(L);
}

static void get_response(lua_State *L, struct ws_lsocket *k)
{
    if (k->server == NULL)
        ws_push_response(L, k, 1);
    else
        lua_pushnil(L);
}

static void get_latency(lua_State *L, struct ws_lsocket *k)
{
    if (k->s.conn.latency_ms >= 0)
        lua_pushnumber(L, (lua_Number)k->s.conn.latency_ms / 1000.0);
    else
        lua_pushnil(L);
}

static void get_data(lua_State *L, struct ws_lsocket *k)
{
    (void)k;
    if (lua_getiuservalue(L, 1, WS_UV_OWN) == LUA_TTABLE)
        lua_getfield(L, -1, "data");
    else
        lua_pushnil(L);
}

/* The remote end: saved at accept, or asked of the system. */
static void find_peer(const struct ws_lsocket *k, struct ws_addr *a)
{
    if (k->peer_len > 0)
        ws_addr_load(a, k->peer, k->peer_len);
    else
        ws_sock_peer(&k->s.sock, a);
}

static void push_address(lua_State *L, const struct ws_addr *a, int want_port)
{
    char text[WS_ADDR_TEXT_MAX];
    int port;

    if (a->len == 0) {
        lua_pushnil(L);
        return;
    }
    ws_addr_format(a, text, sizeof text, &port);
    if (!want_port)
        lua_pushstring(L, text);
    else if (port > 0)
        lua_pushinteger(L, port);
    else
        lua_pushnil(L);
}

static void get_remote_address(lua_State *L, struct ws_lsocket *k)
{
    struct ws_addr a;
    find_peer(k, &a);
    push_address(L, &a, 0);
}

static void get_remote_port(lua_State *L, struct ws_lsocket *k)
{
    struct ws_addr a;
    find_peer(k, &a);
    push_address(L, &a, 1);
}

static void get_local_address(lua_State *L, struct ws_lsocket *k)
{
    struct ws_addr a;
    ws_sock_local(&k->s.sock, &a);
    push_address(L, &a, 0);
}

static void get_local_port(lua_State *L, struct ws_lsocket *k)
{
    struct ws_addr a;
    ws_sock_local(&k->s.sock, &a);
    push_address(L, &a, 1);
}

struct property {
    const char *name;
    void (*get)(lua_State *L, struct ws_lsocket *k);
};

static const struct property properties[] = {
    {"readyState", get_ready_state},
    {"bufferedAmount", get_buffered},
    {"protocol", get_protocol},
    {"extensions", get_extensions},
    {"url", get_url},
    {"origin", get_origin},
    {"binaryType", get_binary_type},
    {"isPaused", get_paused},
    {"request", get_request},
    {"response", get_response},
    {"latency", get_latency},
    {"data", get_data},
    {"remoteAddress", get_remote_address},
    {"remotePort", get_remote_port},
    {"localAddress", get_local_address},
    {"localPort", get_local_port},
    {"tls", ws_push_tls},
};

/* -- stats -- */

/* socket:stats() -> {bytesIn, bytesOut, framesIn, ...} */
int ws_socket_stats(lua_State *L)
{
    struct ws_lsocket *k = ws_check_socket(L, 1);
    const struct ws_conn *c = &k->s.conn;
    int64_t now = k->s.peers != NULL ? k->s.peers->loop->now_ms : c->now_ms;

    ws_push_stats(L, c);
    lua_pushinteger(L, (lua_Integer)ws_session_buffered(&k->s));
    lua_setfield(L, -2, "buffered");
    lua_pushnumber(L, (lua_Number)(now - c->last_rx_ms) / 1000.0);
    lua_setfield(L, -2, "sinceReceived");
    return 1;
}

int ws_socket_tostring(lua_State *L)
{
    static const char *const states[] = {"connecting", "open", "closing",
                                         "closed"};
    struct ws_lsocket *k = ws_check_socket(L, 1);

    lua_settop(L, 1);
    get_url(L, k);
    lua_pushfstring(L, "wsock.socket (%s, %s)",
                    lua_isstring(L, -1) ? lua_tostring(L, -1) : "?",
                    states[k->s.conn.state]);
    return 1;
}

/* -- access: upvalues are methods and properties by name -- */

static int socket_index(lua_State *L)
{
    struct ws_lsocket *k;
    const struct property *p;
    int event;

    lua_pushvalue(L, 2);
    if (WS_LIKELY(lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL))
        return 1;
    k = ws_check_socket(L, 1);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
        p = lua_touserdata(L, -1);
        lua_settop(L, 1);
        p->get(L, k);
        return 1;
    }
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    event = ws_event_number(lua_tostring(L, 2), 1, 0);
    if (event != 0) {
        struct ws_emitter t = ws_socket_emitter(k);
        ws_emitter_get(L, &t, event);
        return 1;
    }
    return 0;
}

static const char *const settable[] = {
    "data",   "binaryType", "onopen",  "onmessage", "onerror", "onclose",
    "onping", "onpong",     "ondrain", "onchunk",   NULL};

/* W-28: it counts when a message is delivered. */
static int set_binary_type(lua_State *L, struct ws_lsocket *k)
{
    k->binary_type = (uint8_t)ws_check_binary_type(L, 3);
    if (k->binary_type == WS_AS_STRING)
        k->mask &= (uint16_t) ~(1u << WS_ON_SLOW);
    else
        k->mask |= (uint16_t)(1u << WS_ON_SLOW);
    return 0;
}

static int socket_newindex(lua_State *L)
{
    struct ws_lsocket *k = ws_check_socket(L, 1);
    const char *key = luaL_checkstring(L, 2);
    int event = ws_event_number(key, 1, 0);

    lua_settop(L, 3);
    if (event != 0) {
        struct ws_emitter t = ws_socket_emitter(k);
        ws_emitter_set(L, &t, event);
        ws_pull_settle(L, k);
        return 0;
    }
    if (strcmp(key, "binaryType") == 0)
        return set_binary_type(L, k);
    if (strcmp(key, "data") == 0) {
        ws_push_own(L, 1);
        lua_pushvalue(L, 3);
        lua_setfield(L, -2, "data");
        return 0;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL)
        return luaL_error(L, "field '%s' of a socket is read-only", key);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return luaL_error(L, "field '%s' of a socket is read-only", key);
    return ws_unknown_key(L, "field of a socket", key, settable);
}

static void add_constants(lua_State *L)
{
    static const char *const names[] = {"CONNECTING", "OPEN", "CLOSING",
                                        "CLOSED"};
    int i;
    for (i = 0; i < 4; i++) {
        lua_pushinteger(L, i);
        lua_setfield(L, -2, names[i]);
    }
}

void ws_socket_accessors(lua_State *L)
{
    size_t i, n = sizeof properties / sizeof properties[0];

    add_constants(L);
    lua_createtable(L, 0, (int)n);
    for (i = 0; i < n; i++) {
        lua_pushlightuserdata(L, (void *)(uintptr_t)&properties[i]);
        lua_setfield(L, -2, properties[i].name);
    }
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, socket_newindex, 2);
    lua_setfield(L, -4, "__newindex");
    lua_pushcclosure(L, socket_index, 2);
    lua_setfield(L, -2, "__index");
}
