/* bind/lua_core.c -- luaopen_wsock_core: everything in one table.
**
** What users call is handed on by lua/wsock/init.lua; codec and wire are here
** for specs, and for whoever needs a piece of the library.
*/
#include "bind/lua_options.h"
#include "bind/lua_bytes.h"
#include "bind/lua_editor.h"
#include "bind/lua_server.h"
#include "bind/lua_task.h"
#include "bind/lua_timer.h"

#include "wire/status.h"

#define WS_VERSION "wsock 0.1.0"

/* name -> number and number -> name */
static void push_close_codes(lua_State *L)
{
    size_t i, n;
    const struct ws_status_name *names = ws_status_names(&n);

    lua_createtable(L, 0, (int)n * 2);
    for (i = 0; i < n; i++) {
        lua_pushinteger(L, names[i].code);
        lua_setfield(L, -2, names[i].name);
        lua_pushstring(L, names[i].name);
        lua_rawseti(L, -2, names[i].code);
    }
}

__attribute__((visibility("default"))) int luaopen_wsock_core(lua_State *L);

int luaopen_wsock_core(lua_State *L)
{
    luaL_checkversion(L);
    lua_newtable(L);
    ws_open_loop(L);
    ws_open_timer(L);
    ws_open_task(L);
    ws_open_request(L);
    ws_open_upgrade(L);
    ws_open_socket(L);
    ws_open_server(L);
    lua_pushcfunction(L, ws_broadcast);
    lua_setfield(L, -2, "broadcast");
    ws_open_bytes(L);
    ws_open_options(L);
    ws_open_file(L);
    ws_open_editor(L);
    ws_open_limits(L);
    ws_open_codec(L);
    lua_getfield(L, -1, "equal");
    lua_setfield(L, -3, "constantTimeEquals");
    lua_setfield(L, -2, "codec");
    ws_open_wire(L);
    lua_setfield(L, -2, "wire");
    ws_open_protocol(L);
    lua_setfield(L, -2, "protocol");
    push_close_codes(L);
    lua_setfield(L, -2, "closeCodes");
    lua_pushliteral(L, WS_VERSION);
    lua_setfield(L, -2, "_VERSION");
    return 1;
}
