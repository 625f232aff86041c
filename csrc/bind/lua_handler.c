/* bind/lua_handler.c -- see lua_handler.h. */
#include "bind/lua_handler.h"

/* The idle coroutine, taken out of its slot so that a handler that is called
** from inside a handler gets another; pushed. */
static lua_State *take_thread(lua_State *L, int loop_idx)
{
    if (lua_getiuservalue(L, loop_idx, WS_UV_THREAD) == LUA_TTHREAD) {
        lua_State *co = lua_tothread(L, -1);
        lua_pushnil(L);
        lua_setiuservalue(L, loop_idx, WS_UV_THREAD);
        return co;
    }
    lua_pop(L, 1);
    return lua_newthread(L);
}

/* Puts the coroutine at the top back for the next call. */
static void give_thread(lua_State *L, int loop_idx)
{
    lua_setiuservalue(L, loop_idx, WS_UV_THREAD);
}

static void to_stderr(lua_State *L, const char *traceback)
{
    (void)L;
    lua_writestringerror("wsock: %s\n", traceback);
}

void ws_handler_report(lua_State *L, int loop_idx, lua_State *co, int about)
{
    const char *message;
    int top = lua_gettop(L);

    if (about != 0)
        about = lua_absindex(L, about);
    message = luaL_tolstring(co, -1, NULL);
    luaL_traceback(L, co, message, 0);
    if (lua_getiuservalue(L, loop_idx, WS_UV_ONERROR) == LUA_TNIL) {
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

static void close_thread(lua_State *co, lua_State *L)
{
#if LUA_VERSION_RELEASE_NUM >= 50406
    lua_closethread(co, L);
#else
    (void)L;
    lua_resetthread(co);
#endif
}

/* Outside a coroutine of the loop nobody resumes a handler that yielded. */
static void cannot_wait(lua_State *L, int loop_idx, lua_State *co, int about)
{
    lua_settop(co, 0);
    luaL_checkstack(co, 4, NULL);
    lua_pushliteral(co, "a handler yielded; handlers cannot wait here");
    ws_handler_report(L, loop_idx, co, about);
}

int ws_handler_call(lua_State *L, int loop_idx, int nargs, int nresults,
                    int about)
{
    int first = lua_gettop(L) - nargs, status, n;
    lua_State *co;

    luaL_checkstack(L, 8 + nresults, NULL);
    co = take_thread(L, loop_idx);
    lua_insert(L, first); /* the coroutine lies below the function */
    if (!lua_checkstack(co, nargs + 4))
        luaL_error(L, "stack overflow");
    lua_xmove(L, co, nargs + 1);
    status = lua_resume(co, L, nargs, &n);
    if (WS_LIKELY(status == LUA_OK)) {
        if (nresults == 0) {
            lua_settop(co, 0);
        } else {
            lua_settop(co, nresults);
            lua_xmove(co, L, nresults);
            lua_pushvalue(L, first);
            lua_remove(L, first);
        }
        give_thread(L, loop_idx);
        return WS_OK;
    }
    if (status == LUA_YIELD)
        cannot_wait(L, loop_idx, co, about);
    else
        ws_handler_report(L, loop_idx, co, about);
    close_thread(co, L);
    lua_settop(L, first - 1);
    return 1;
}
