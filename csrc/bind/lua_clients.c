/* bind/lua_clients.c -- server.clients: the open sockets of a server as a set.
**
** The sockets hang in a list of the server's own; what Lua sees is a proxy
** that makes a table of them when somebody iterates.
*/
#include "bind/lua_server.h"

static const char owner_key; /* of the server in the proxy */

/* Pushes the server of the proxy at 1: the functions below can be had from its
** metatable, and called with anything. */
static struct ws_lserver *push_owner(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_rawgetp(L, 1, &owner_key);
    return ws_check_server(L, lua_gettop(L));
}

static int next_pair(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    return lua_next(L, 1) ? 2 : 0;
}

/* pairs(server.clients): a list of its own, so closing inside is safe. */
static int clients_pairs(lua_State *L)
{
    struct ws_lserver *sv;
    struct ws_link *l;

    lua_settop(L, 1);
    sv = push_owner(L);
    lua_pushcfunction(L, next_pair);
    lua_createtable(L, 0, (int)sv->nclients);
    lua_getiuservalue(L, 2, WS_UV_OWNER);
    lua_getiuservalue(L, -1, WS_UV_LIVE);
    for (l = ws_link_first(&sv->clients); l != NULL;
         l = ws_link_next(&sv->clients, l)) {
        const struct ws_lsocket *k = ws_container(l, struct ws_lsocket, peers);
        if (k->slot == 0)
            continue;
        lua_rawgeti(L, 6, k->slot);
        lua_pushboolean(L, 1);
        lua_rawset(L, 4);
    }
    lua_settop(L, 4);
    lua_pushnil(L);
    return 3;
}

static int clients_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)push_owner(L)->nclients);
    return 1;
}

/* server.clients[socket]: true, or nil. */
static int clients_index(lua_State *L)
{
    const struct ws_lsocket *k = luaL_testudata(L, 2, WS_SOCKET_NAME);

    if (lua_type(L, 2) == LUA_TNUMBER)
        return luaL_error(L, "clients is a set, no list: use pairs");
    if (k == NULL || k->place != WS_AMONG_CLIENTS || k->server != push_owner(L))
        return 0;
    lua_pushboolean(L, 1);
    return 1;
}

/* What was written there would be in no set: the server alone says who is. */
static int clients_newindex(lua_State *L)
{
    return luaL_error(L, "clients is read-only; a socket leaves it when it is "
                         "closed");
}

void ws_list_clients(lua_State *L, int idx)
{
    idx = lua_absindex(L, idx);
    if (lua_rawgetp(L, idx, &owner_key) != LUA_TNIL) {
        lua_pushcfunction(L, clients_pairs);
        lua_pushvalue(L, idx);
        lua_call(L, 1, 2);
        lua_replace(L, idx);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void ws_push_clients(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_rawsetp(L, -2, &owner_key);
    if (luaL_getmetatable(L, "wsock.clients") == LUA_TNIL) {
        lua_pop(L, 1); /* registered when it is whole, should memory run out */
        lua_createtable(L, 0, 5);
        lua_pushcfunction(L, clients_index);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, clients_newindex);
        lua_setfield(L, -2, "__newindex");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
        lua_pushcfunction(L, clients_pairs);
        lua_setfield(L, -2, "__pairs");
        lua_pushcfunction(L, clients_len);
        lua_setfield(L, -2, "__len");
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, "wsock.clients");
    }
    lua_setmetatable(L, -2);
}
