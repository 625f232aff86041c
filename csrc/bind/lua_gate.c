/* bind/lua_gate.c -- see lua_gate.h. */
#include "bind/lua_gate.h"

#include "bind/lua_conn.h"
#include "bind/lua_server.h"
#include "wire/field.h"

/* (value, name), called as a handler, so that it may raise. */
static int raise_verdict(lua_State *L)
{
    return luaL_error(L, "%s must return true or false, got %s",
                      lua_tostring(L, 2), luaL_typename(L, 1));
}

int ws_gate_verdict(lua_State *L, int idx, const char *name)
{
    if (lua_isboolean(L, -1) || lua_isnil(L, -1))
        return lua_toboolean(L, -1);
    lua_pushcfunction(L, raise_verdict);
    lua_pushvalue(L, -2);
    lua_pushstring(L, name);
    ws_handler_call(L, 2, 0, idx);
    return -1;
}

/* -- the host -- */

/* The list at the top has the host that h is for. */
static int is_listed(lua_State *L, const struct ws_head *h)
{
    lua_Integer i, n = (lua_Integer)lua_rawlen(L, -1);
    int port, found = 0;
    struct ws_slice host = ws_welcome_host(h, &port);

    for (i = 1; i <= n && !found; i++) {
        lua_rawgeti(L, -1, i);
        found = ws_welcome_names(ws_slice_at(L, -1), host, port);
        lua_pop(L, 1);
    }
    return found;
}

int ws_gate_host(lua_State *L, int idx, const struct ws_conn *c)
{
    struct ws_field fields[WS_HEAD_LINES_MAX];
    int top = lua_gettop(L), ok = 1;
    struct ws_head h;

    lua_getiuservalue(L, idx, WS_UV_OWNER);
    lua_getiuservalue(L, -1, WS_UV_OPTIONS);
    if (lua_getfield(L, -1, "hosts") == LUA_TTABLE)
        ok = ws_conn_head(c, &h, fields) == WS_OK && is_listed(L, &h);
    lua_settop(L, top);
    return ok;
}

int ws_gate_is_for(lua_State *L)
{
    const struct ws_lconn *p = ws_check_lconn(L);
    struct ws_field fields[WS_HEAD_LINES_MAX];
    struct ws_head h;

    lua_settop(L, 2);
    ws_take_hosts(L);
    lua_pushboolean(L, lua_isnil(L, 2) ||
                           (ws_conn_head(&p->conn, &h, fields) == WS_OK &&
                            is_listed(L, &h)));
    return 1;
}

/* -- the origin -- */

/* The list at the top has the origin, in any letter case: scheme and host
** have none (RFC 6454 4). */
static int in_list(lua_State *L, struct ws_slice origin)
{
    lua_Integer i, n = (lua_Integer)lua_rawlen(L, -1);
    int found = 0;

    for (i = 1; i <= n && !found; i++) {
        lua_rawgeti(L, -1, i);
        found = ws_slice_same(ws_slice_at(L, -1), origin);
        lua_pop(L, 1);
    }
    return found;
}

/* The answer of a function option at the top, for Origin and request. */
static int ask_origin(lua_State *L, int idx, const struct ws_field *origin)
{
    if (origin == NULL)
        lua_pushnil(L);
    else
        ws_push_slice(L, origin->value);
    ws_push_request(L, idx);
    if (ws_handler_call(L, 2, 1, idx) != WS_OK)
        return -1;
    return ws_gate_verdict(L, idx, "origins");
}

int ws_gate_origin(lua_State *L, int idx, const struct ws_head *h)
{
    const struct ws_field *origin = ws_head_find(h, "Origin", NULL);
    int top = lua_gettop(L), ok, type;

    lua_getiuservalue(L, idx, WS_UV_OWNER);
    lua_getiuservalue(L, -1, WS_UV_OPTIONS);
    type = lua_getfield(L, -1, "origins");
    if (type == LUA_TSTRING || (origin == NULL && type != LUA_TFUNCTION))
        ok = 1; /* "*", or no browser */
    else if (origin != NULL && ws_head_find(h, "Origin", origin) != NULL)
        ok = 0; /* no browser sends two */
    else if (type == LUA_TFUNCTION)
        ok = ask_origin(L, idx, origin);
    else
        ok = type == LUA_TNIL ? ws_welcome_same_host(h)
                              : in_list(L, origin->value);
    lua_settop(L, top);
    return ok;
}

/* -- subprotocols -- */

/* Pushes all offered subprotocols of h as "a, b", and gives the same. */
static struct ws_slice push_offered(lua_State *L, const struct ws_head *h)
{
    const struct ws_field *f = NULL;
    luaL_Buffer b;
    int n = 0;

    luaL_buffinit(L, &b);
    for (;;) {
        f = ws_head_find(h, "Sec-WebSocket-Protocol", f);
        if (f == NULL)
            break;
        if (n++ > 0)
            luaL_addlstring(&b, ", ", 2);
        luaL_addlstring(&b, (const char *)f->value.p, f->value.n);
    }
    luaL_pushresult(&b);
    return ws_slice_at(L, -1);
}

/* Called as a handler, so that it may raise. */
static int raise_protocol(lua_State *L)
{
    return luaL_error(L, "protocols chose '%s', which was not offered",
                      luaL_tolstring(L, 1, NULL));
}

/* Calls protocols(offered, request) -> name; the function is at the top. */
static int ask_protocol(lua_State *L, int idx, const struct ws_head *h,
                        struct ws_slice offered)
{
    struct ws_slice token;
    int i = 0;

    lua_newtable(L);
    while (ws_token_list_next(&offered, &token) == WS_OK) {
        ws_push_slice(L, token);
        lua_rawseti(L, -2, ++i);
    }
    ws_push_request(L, idx);
    if (ws_handler_call(L, 2, 1, idx) != WS_OK)
        return -1;
    if (lua_toboolean(L, -1) && /* false, as nil: none of them */
        (lua_type(L, -1) != LUA_TSTRING ||
         !ws_welcome_offers(h, ws_slice_at(L, -1)))) {
        lua_pushcfunction(L, raise_protocol);
        lua_insert(L, -2);
        ws_handler_call(L, 1, 0, idx);
        return -1;
    }
    return 0;
}

/* The client's first one that is in the list at the top. */
static void pick_protocol(lua_State *L, struct ws_slice offered)
{
    struct ws_slice token;
    int list = lua_gettop(L);

    while (ws_token_list_next(&offered, &token) == WS_OK) {
        lua_Integer i, n = (lua_Integer)lua_rawlen(L, list);
        for (i = 1; i <= n; i++) {
            lua_rawgeti(L, list, i);
            if (ws_slice_equal(ws_slice_at(L, -1), token))
                return;
            lua_pop(L, 1);
        }
    }
    lua_pushnil(L);
}

int ws_gate_protocol(lua_State *L, int idx, const struct ws_head *h)
{
    int top = lua_gettop(L), err = 0, type;
    struct ws_slice offered;

    lua_getiuservalue(L, idx, WS_UV_OWNER);
    lua_getiuservalue(L, -1, WS_UV_OPTIONS);
    offered = push_offered(L, h);
    type = lua_getfield(L, -2, "protocols");
    if (type == LUA_TFUNCTION)
        err = ask_protocol(L, idx, h, offered);
    else if (type == LUA_TTABLE)
        pick_protocol(L, offered);
    else
        lua_pushnil(L);
    if (err == 0) {
        if (!lua_isstring(L, -1)) {
            lua_pop(L, 1);
            lua_pushnil(L);
        }
        lua_replace(L, top + 1);
        lua_settop(L, top + 1);
    }
    return err;
}
