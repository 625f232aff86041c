/* probe.c -- the module: one table per layer, and what its files share. */
#include "probe.h"

#include "base/err.h"

__attribute__((visibility("default"))) int luaopen_wsock_probe(lua_State *L);

struct ws_slice probe_slice(lua_State *L, int arg)
{
    size_t n;
    const char *s = luaL_checklstring(L, arg, &n);
    return ws_slice_of(s, n);
}

struct ws_span probe_copy(lua_State *L, int arg)
{
    struct ws_slice s = probe_slice(L, arg);
    uint8_t *p = lua_newuserdatauv(L, s.n == 0 ? 1 : s.n, 0);

    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return ws_span_of(p, s.n);
}

void probe_push(lua_State *L, struct ws_slice s)
{
    lua_pushlstring(L, s.n == 0 ? "" : (const char *)s.p, s.n);
}

size_t probe_size(lua_State *L, int arg)
{
    lua_Integer n = luaL_checkinteger(L, arg);
    luaL_argcheck(L, n >= 0, arg, "not negative");
    return (size_t)n;
}

int probe_result(lua_State *L, int rc)
{
    if (rc == WS_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, rc == WS_MORE ? "MORE" : ws_err_name(rc));
    return 2;
}

void *probe_new(lua_State *L, size_t size, const char *class, int keep)
{
    void *p = lua_newuserdatauv(L, size, keep);
    int i;
    memset(p, 0, size);
    for (i = 1; i <= keep; i++) {
        lua_pushvalue(L, i);
        lua_setiuservalue(L, -2, i);
    }
    luaL_setmetatable(L, class);
    return p;
}

void probe_class(lua_State *L, const char *class, const luaL_Reg *methods,
                 lua_CFunction gc)
{
    luaL_newmetatable(L, class);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    if (gc != NULL) {
        lua_pushcfunction(L, gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
}

int luaopen_wsock_probe(lua_State *L)
{
    static const luaL_Reg layers[] = {
        {"base", ws_probe_base},   {"wire", ws_probe_wire},
        {"loop", ws_probe_loop},   {"net", ws_probe_net},
        {"proto", ws_probe_proto}, {"peer", ws_probe_peer},
        {"bind", ws_probe_bind},
    };
    size_t i;
    lua_newtable(L);
    for (i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        if (layers[i].func == NULL)
            continue;
        lua_pushcfunction(L, layers[i].func);
        lua_call(L, 0, 1);
        lua_setfield(L, -2, layers[i].name);
    }
    return 1;
}
