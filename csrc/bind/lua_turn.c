/* bind/lua_turn.c -- the turn of a loop, and who serves what it brings.
**
** The C loop calls nobody: a turn pulls ready sources one by one and hands
** each to the file that knows its kind.  No C frame but ours lies between the
** user's code and the caller of run, so an error, or Ctrl-C, may unwind it.
*/
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

static void turn(lua_State *L, struct ws_lloop *ll, int64_t timeout_ms)
{
    struct ws_source *src;
    struct ws_session *s;

    ws_peers_recover(&ll->peers);
    if (ws_peers_busy(&ll->peers))
        timeout_ms = 0;
    if (lua_gethook(L) != NULL)
        run_hook(L); /* set while a handler ran: it is not that thread's */
    if (ws_loop_turn(&ll->loop, timeout_ms) != WS_OK) {
        if (errno != EINTR)
            luaL_error(L, "%s: %s", ll->loop.backend->name,
                       ws_errno_text(errno));
        run_hook(L);
    }
    for (;;) {
        src = ws_loop_next(&ll->loop);
        if (src == NULL)
            break;
        dispatch(L, ll, src);
        lua_settop(L, WS_IX_TOP);
    }
    ws_peers_end_turn(&ll->peers);
    for (;;) {
        s = ws_peers_work(&ll->peers);
        if (s == NULL)
            break;
        ws_pump(L, s);
    }
    forget_text(L, ll);
}

int ws_goes_on(const struct ws_lloop *ll)
{
    return ll->active > 0 || ws_peers_busy(&ll->peers);
}

/* Runs protected.  Stack: loop, milliseconds or nil: until the end. */
static int turns(lua_State *L)
{
    struct ws_lloop *ll = lua_touserdata(L, WS_IX_LOOP);
    int once = !lua_isnil(L, 2);
    int64_t timeout = (int64_t)lua_tointeger(L, 2);

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
    if (once) {
        turn(L, ll, timeout);
        return 0;
    }
    while (!ll->stopping && ws_goes_on(ll))
        turn(L, ll, -1);
    return 0;
}

/* The loop and the milliseconds or nil are at the top. */
static void run_protected(lua_State *L, struct ws_lloop *ll)
{
    int status;

    if (ll->running)
        luaL_error(L, "run and step cannot be called in a handler: "
                      "the loop is running already");
    ll->running = 1;
    lua_pushcfunction(L, turns);
    lua_insert(L, -3);
    status = lua_pcall(L, 2, 0, 0);
    ll->running = 0;
    ll->known.n = 0; /* its string went with the stack */
    ll->stopping = 0;
    if (status != LUA_OK)
        lua_error(L);
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
