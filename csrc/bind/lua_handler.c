/* bind/lua_handler.c -- see lua_handler.h. */
#include "bind/lua_handler.h"

static void to_stderr(lua_State *L, const char *traceback)
{
    (void)L;
    lua_writestringerror("wsock: %s\n", traceback);
}

void ws_handler_report(lua_State *L, lua_State *co, int about)
{
    const char *message;
    int top = lua_gettop(L);

    if (about != 0)
        about = lua_absindex(L, about);
    message = luaL_tolstring(co, -1, NULL);
    luaL_traceback(L, co, message, 0);
    if (lua_getiuservalue(L, WS_IX_LOOP, WS_UV_ONERROR) == LUA_TNIL) {
        to_stderr(L, lua_tostring(L, top + 1));
    } else {
        lua_pushvalue(co, -2); /* the error value itself */
        lua_xmove(co, L, 1);
        lua_pushvalue(L, top + 1);
        if (about != 0)
            lua_pushvalue(L, about);
        if (lua_pcall(L, about != 0 ? 3 : 2, 0, 0) != LUA_OK)
            to_stderr(L, luaL_tolstring(L, -1, NULL));
    }
    lua_settop(L, top);
}

/* Makes the coroutine fit for the next call after an error or a yield: its
** pending to-be-closed variables are closed, its stack is empty. */
static void reset_thread(lua_State *co, lua_State *L)
{
#if LUA_VERSION_RELEASE_NUM >= 50406
    lua_closethread(co, L);
#else
    (void)L;
    lua_resetthread(co);
#endif
    lua_settop(co, 0);
}

static void report_failure(lua_State *L, lua_State *co, int status, int about)
{
    if (status == LUA_YIELD) { /* nobody would resume it */
        lua_settop(co, 0);
        luaL_checkstack(co, 4, NULL);
        lua_pushliteral(co, "a handler yielded; handlers cannot wait here");
    }
    ws_handler_report(L, co, about);
    reset_thread(co, L);
}

int ws_handler_call(lua_State *L, int nargs, int nresults, int about)
{
    lua_State *co = lua_tothread(L, WS_IX_THREAD);
    int status, n;

    if (WS_UNLIKELY(!lua_checkstack(co, nargs + 4)))
        luaL_error(L, "stack overflow");
    lua_xmove(L, co, nargs + 1);
    status = lua_resume(co, L, nargs, &n);
    if (WS_UNLIKELY(status != LUA_OK)) {
        report_failure(L, co, status, about);
        return 1;
    }
    lua_settop(co, nresults);
    if (nresults > 0)
        lua_xmove(co, L, nresults);
    return WS_OK;
}
