/* bind/lua_handler.c -- see lua_handler.h. */
#include "bind/lua_handler.h"

#include "bind/lua_task.h"

/* (error value, its coroutine) -> what happened, where */
static int describe(lua_State *L)
{
    const char *message = luaL_tolstring(L, 1, NULL);

    luaL_traceback(L, lua_tothread(L, 2), message, 0);
    return 1;
}

/* Pushes the traceback of the error value at idx, whose coroutine is behind
** it.  Its __tostring is the user's code and may fail as well; then the type
** has to do. */
static void push_traceback(lua_State *L, int idx)
{
    lua_pushcfunction(L, describe);
    lua_pushvalue(L, idx);
    lua_pushvalue(L, idx + 1);
    if (lua_pcall(L, 2, 1, 0) == LUA_OK)
        return;
    lua_pushfstring(L, "(error object is a %s value that cannot be shown)",
                    luaL_typename(L, idx));
    luaL_traceback(L, lua_tothread(L, idx + 1), lua_tostring(L, -1), 0);
}

static void to_stderr(lua_State *L, int idx)
{
    lua_writestringerror("wsock: %s\n", lua_isstring(L, idx)
                                            ? lua_tostring(L, idx)
                                            : luaL_typename(L, idx));
}

void ws_handler_report(lua_State *L, int loop, lua_State *co, int about)
{
    int top = lua_gettop(L), value = top + 1, text;

    if (about != 0)
        about = lua_absindex(L, about);
    luaL_checkstack(L, 12, NULL);
    lua_xmove(co, L, 1);
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    push_traceback(L, value);
    text = lua_gettop(L);
    if (lua_getiuservalue(L, loop, WS_UV_ONERROR) == LUA_TNIL) {
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

int ws_handler_close(lua_State *co, lua_State *L)
{
#if LUA_VERSION_RELEASE_NUM >= 50406
    return lua_closethread(co, L);
#else
    (void)L;
    return lua_resetthread(co);
#endif
}

void ws_handler_reset(lua_State *co, lua_State *L)
{
    ws_handler_close(co, L);
    lua_settop(co, 0);
}

/* Made on L: nothing may be called, be it by a finalizer, on one that yielded.
*/
static void put_message(lua_State *co, lua_State *L, const char *message)
{
    lua_pushstring(L, message);
    lua_settop(co, 0);
    lua_xmove(L, co, 1);
}

void ws_handler_yielded(lua_State *co, lua_State *L)
{
    put_message(co, L,
                "yielded to the loop, which would never resume it; to wait "
                "there are sleep, receive, join...");
}

static int failed(lua_State *L, lua_State *co, int about)
{
    ws_handler_report(L, WS_IX_LOOP, co, about);
    ws_handler_reset(co, L);
    return 1;
}

int ws_handler_stopped(lua_State *L, int co, int status, int about)
{
    if (status == LUA_YIELD && ws_task_adopt(L, co, about))
        return WS_OK;
    if (status == LUA_YIELD)
        ws_handler_yielded(lua_tothread(L, co), L);
    return failed(L, lua_tothread(L, co), about);
}

/* The same of one that is called for results, and may not wait. */
static int not_answered(lua_State *L, int status, int about)
{
    lua_State *co = lua_tothread(L, WS_IX_THREAD);

    if (status == LUA_YIELD && ws_task_refuse(L, WS_IX_THREAD))
        put_message(co, L, "cannot wait here: the answer is needed at once");
    else if (status == LUA_YIELD)
        ws_handler_yielded(co, L);
    return failed(L, co, about);
}

/* The idle coroutine is a task's from here on, or was closed where it waited:
** in an xpcall, say, whose message handler Lua (5.4.4) then goes on calling for
** each error in it.  There will be another. */
static void renew(lua_State *L)
{
    lua_pushnil(L); /* should there be no memory for it */
    lua_setiuservalue(L, WS_IX_LOOP, WS_UV_THREAD);
    ws_push_handler_thread(L);
    lua_replace(L, WS_IX_THREAD);
}

static int stopped(lua_State *L, int status, int nresults, int about)
{
    int err = nresults > 0 ? not_answered(L, status, about)
                           : ws_handler_stopped(L, WS_IX_THREAD, status, about);

    if (status == LUA_YIELD)
        renew(L);
    return err;
}

int ws_handler_call(lua_State *L, int nargs, int nresults, int about)
{
    lua_State *co = lua_tothread(L, WS_IX_THREAD);
    int status, n;

    if (WS_UNLIKELY(!lua_checkstack(co, nargs + 4)))
        luaL_error(L, "stack overflow");
    lua_xmove(L, co, nargs + 1);
    status = lua_resume(co, L, nargs, &n);
    if (WS_UNLIKELY(status != LUA_OK))
        return stopped(L, status, nresults, about);
    if (n != nresults)
        lua_settop(co, nresults);
    if (nresults > 0)
        lua_xmove(co, L, nresults);
    return WS_OK;
}
