/* bind/lua_turn.c -- the turn of a loop, and who serves what it brings.
**
** The C loop calls nobody: a turn pulls ready sources one by one and hands
** each to the file that knows its kind.  No C frame but ours lies between the
** user's code and the caller of run, so an error, or Ctrl-C, may unwind it.
*/
#include "bind/lua_server.h"
#include "bind/lua_task.h"
#include "bind/lua_timer.h"

#include "net/errno.h"

#include <errno.h>

static int nothing(lua_State *L)
{
    (void)L;
    return 0;
}

/* Any call lets a hook run that a signal handler has set: Ctrl-C. */
static void run_hook(lua_State *L)
{
    lua_pushcfunction(L, nothing);
    lua_call(L, 0, 0);
}

static void dispatch(lua_State *L, struct ws_lloop *ll, struct ws_source *src)
{
    struct ws_session *s;

    switch (src->tag) {
    case WS_TAG_SERVE:
        ws_serve_ready(L,
                       ws_container(src, struct ws_lserver, serve.io.source));
        break;
    case WS_TAG_SERVE_TIMER:
        ws_serve_ready(
            L, ws_container(src, struct ws_lserver, serve.timer.source));
        break;
    case WS_TAG_SERVER_TIMER:
        ws_server_timeout(L,
                          ws_container(src, struct ws_lserver, timer.source));
        break;
    case WS_TAG_TIMER:
        ws_timer_ready(L, ws_container(src, struct ws_ltimer, timer.source));
        break;
    case WS_TAG_WATCHER:
        ws_watch_ready(L, ws_container(src, struct ws_lwatch, watcher.source));
        break;
    case WS_TAG_SIGNALS:
        ws_signals_ready(L, ll);
        break;
    case WS_TAG_TASK:
        ws_task_ready(L, ws_container(src, struct ws_ltask, timer.source));
        break;
    default:
        s = ws_peers_handle(&ll->peers, src);
        if (s != NULL)
            ws_pump(L, s);
        break;
    }
}

static void forget_text(lua_State *L, struct ws_lloop *ll)
{
    if (ll->known.n == 0)
        return;
    ll->known.n = 0;
    lua_pushnil(L);
    lua_replace(L, WS_IX_KNOWN);
}

/* An error, and there is hardly one but that memory ran out, threw the stack
** away on which a socket's events were told.  The last one may be lost: then so
** is the connection, but not what was queued by then, nor that it has ended. */
static void recover(struct ws_lloop *ll)
{
    struct ws_lsocket *k = ll->pumped;

    ws_peers_recover(&ll->peers);
    if (k == NULL)
        return;
    ll->pumped = NULL;
    ws_conn_fail(&k->s.conn, WS_ERR_NOMEM);
    ws_session_touch(&k->s);
}

/* Waits for what the turn is to bring.  That a signal cut it short is said by
** the hook that its handler may have set, see turns. */
static void wait_turn(lua_State *L, struct ws_lloop *ll, int64_t timeout_ms)
{
    ll->ending = 0;
    recover(ll);
    if (ws_peers_busy(&ll->peers))
        timeout_ms = 0;
    if (ws_loop_turn(&ll->loop, timeout_ms) != WS_OK && errno != EINTR)
        luaL_error(L, "%s: %s", ll->loop.backend->name, ws_errno_text(errno));
}

/* Serves it, or what is left of it. */
static void serve(lua_State *L, struct ws_lloop *ll)
{
    struct ws_source *src;
    struct ws_session *s;

    for (;;) {
        src = ws_loop_next(&ll->loop);
        if (src == NULL)
            break;
        dispatch(L, ll, src);
        lua_settop(L, WS_IX_TOP);
    }
    if (!ll->ending)
        ws_peers_end_turn(&ll->peers);
    ll->ending = 1;
    for (;;) {
        s = ws_peers_work(&ll->peers);
        if (s == NULL)
            break;
        ws_pump(L, s);
        lua_settop(L, WS_IX_TOP);
    }
    forget_text(L, ll);
}

/* The turn was left while a function was told a message.  It raised or waits,
** on the coroutine the turn ran on, and that is seen to here; or it is done,
** but caught an error on its way, which in a coroutine takes the C stack back
** to the resume.  Gives the socket. */
static struct ws_lsocket *take_over(lua_State *L, struct ws_lloop *ll)
{
    struct ws_lsocket *k = ll->telling;
    int co = WS_IX_TOP + 1, about = co + 1, status;

    ll->telling = NULL;
    lua_getiuservalue(L, WS_IX_LOOP, WS_UV_TURNS);
    lua_rawgeti(L, WS_IX_LIVE, k->slot);
    status = lua_status(lua_tothread(L, co));
    if (status != LUA_OK && ws_handler_stopped(L, co, status, about) != WS_OK)
        ws_conn_end(&k->s.conn, WS_STATUS_INTERNAL_ERROR, "internal error");
    lua_settop(L, WS_IX_TOP);
    return k;
}

int ws_goes_on(const struct ws_lloop *ll)
{
    return ll->active > 0 || ws_peers_busy(&ll->peers);
}

/* Puts in its place what WS_IX_* say; the loop is at 1. */
static void lay_out(lua_State *L, struct ws_lloop *ll)
{
    lua_settop(L, WS_IX_LOOP);
    lua_getiuservalue(L, WS_IX_LOOP, WS_UV_LIVE);
    /* dead: a handler raised, and there was no memory to say so */
    if (lua_getiuservalue(L, WS_IX_LOOP, WS_UV_THREAD) != LUA_TTHREAD ||
        lua_status(lua_tothread(L, -1)) != LUA_OK) {
        lua_pop(L, 1);
        ws_push_handler_thread(L);
    }
    lua_pushliteral(L, "text");
    lua_pushliteral(L, "binary");
    lua_settop(L, WS_IX_TOP);
    ll->own_of = NULL;
    memset(&ll->ahead, 0, sizeof ll->ahead); /* an error cut the last short? */
    luaL_checkstack(L, 24, NULL);            /* for ws_pump, and all it calls */
}

/* A coroutine of its own: turns call the functions that messages are for right
** here, without one more coroutine for each.  Stack: loop, milliseconds or nil
** (until the end), the thread that waits for us.  Returns true when that
** thread has a hook to run, as Ctrl-C sets one, before the next turn. */
static int turns(lua_State *L)
{
    struct ws_lloop *ll = lua_touserdata(L, WS_IX_LOOP);
    int once = !lua_isnil(L, 2), hooked = 0;
    int64_t timeout = once ? (int64_t)lua_tointeger(L, 2) : -1;
    lua_State *caller = lua_tothread(L, 3);
    struct ws_lsocket *left = NULL; /* in the midst of its messages */

    lay_out(L, ll);
    ll->begun = 1;
    if (ll->telling != NULL)
        left = take_over(L, ll);
    lua_pushthread(L);
    lua_setiuservalue(L, WS_IX_LOOP, WS_UV_TURNS);
    if (left != NULL) {
        ws_pump(L, &left->s);
        lua_settop(L, WS_IX_TOP);
        serve(L, ll);
    } else if (once) {
        wait_turn(L, ll, timeout);
        serve(L, ll);
    }
    while (!once && !hooked && !ll->stopping && ws_goes_on(ll)) {
        wait_turn(L, ll, timeout);
        serve(L, ll);
        hooked = lua_gethook(caller) != NULL;
    }
    lua_pushboolean(L, hooked);
    return 1;
}

/* Pushes the coroutine of the last turns, or, when that did not end well, a
** new one. */
static lua_State *push_turner(lua_State *L, int loop)
{
    if (lua_getiuservalue(L, loop, WS_UV_TURNS) == LUA_TTHREAD) {
        lua_State *co = lua_tothread(L, -1);
        if (lua_status(co) == LUA_OK && lua_gettop(co) == 0)
            return co;
    }
    lua_pop(L, 1);
    return ws_push_thread(L, loop);
}

/* Raises what the coroutine of the turns raised. */
static void failed(lua_State *L, lua_State *co, int status)
{
    if (status == LUA_YIELD) /* in a hook: nobody else can */
        ws_handler_yielded(co, L);
    lua_xmove(co, L, 1);
    ws_handler_reset(co, L);
    lua_error(L);
}

/* The loop and the milliseconds or nil are at the top. */
static void run_protected(lua_State *L, struct ws_lloop *ll)
{
    int ms = lua_gettop(L), status, again, n;
    lua_State *co;

    if (ll->running)
        luaL_error(L, "run and step cannot be called in a handler: "
                      "the loop is running already");
    luaL_checkstack(L, 8, NULL);
    ll->stopping = 0;
    do {
        if (lua_gethook(L) != NULL)
            run_hook(L); /* set while a handler ran: it is not that thread's */
        co = push_turner(L, ms - 1);
        if (!ll->open) /* a finalizer closed it just now */
            luaL_error(L, "loop is closed");
        lua_pushcfunction(L, turns);
        lua_pushvalue(L, ms - 1);
        lua_pushvalue(L, ms);
        lua_pushthread(L);
        lua_xmove(L, co, 4);
        ll->running = 1;
        ll->begun = 0;
        status = lua_resume(co, L, 3, &n);
        ll->running = 0;
        ll->known.n = 0; /* its string went with the stack */
        if (status != LUA_OK && (ll->telling == NULL || !ll->begun))
            failed(L, co, status); /* what was left is left to the next run */
        again = ll->telling != NULL || lua_toboolean(co, -1);
        if (status == LUA_OK)
            lua_settop(co, 0);
        lua_settop(L, ms);
    } while (again);
}

void ws_turn(lua_State *L, int loop, int64_t ms)
{
    lua_pushvalue(L, loop);
    lua_pushinteger(L, ms);
    run_protected(L, lua_touserdata(L, -2));
}

void ws_turns(lua_State *L, int loop)
{
    lua_pushvalue(L, loop);
    lua_pushnil(L);
    run_protected(L, lua_touserdata(L, -2));
}
