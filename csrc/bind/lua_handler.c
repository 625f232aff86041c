/* bind/lua_handler.c -- see lua_handler.h. */
#include "bind/lua_handler.h"

/* (error value, its coroutine) -> what happened, where */
static int describe(lua_State *L)
{
    const char *message = luaL_tolstring(L, 1, NULL);

    luaL_traceback(L, lua_tothread(L, 2), message, 0);
    return 1;
}

/* Pushes the traceback of the error value at idx.  Its __tostring is the
** user's code and may fail as well; then the type has to do. */
static void push_traceback(lua_State *L, int idx)
{
    lua_pushcfunction(L, describe);
    lua_pushvalue(L, idx);
    lua_pushvalue(L, WS_IX_THREAD);
    if (lua_pcall(L, 2, 1, 0) == LUA_OK)
        return;
    lua_pushfstring(L, "(error object is a %s value that cannot be shown)",
                    luaL_typename(L, idx));
    luaL_traceback(L, lua_tothread(L, WS_IX_THREAD), lua_tostring(L, -1), 0);
}

static void to_stderr(lua_State *L, int idx)
{
    lua_writestringerror("wsock: %s\n", lua_isstring(L, idx)
                                            ? lua_tostring(L, idx)
                                            : luaL_typename(L, idx));
}

void ws_handler_report(lua_State *L, lua_State *co, int about)
{
    int top = lua_gettop(L), value = top + 1, text;

    if (about != 0)
        about = lua_absindex(L, about);
    lua_xmove(co, L, 1);
    push_traceback(L, value);
    text = lua_gettop(L);
    if (lua_getiuservalue(L, WS_IX_LOOP, WS_UV_ONERROR) == LUA_TNIL) {
        to_stderr(L, text);
    } else {
        lua_pushvalue(L, value);
        lua_pushvalue(L, text);
        if (about != 0)
            lua_pushvalue(L, about);
        if (lua_pcall(L, about != 0 ? 3 : 2, 0, 0) != LUA_OK)
            to_stderr(L, -1);
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
