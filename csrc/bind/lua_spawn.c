/* bind/lua_spawn.c -- spawn and sleep; join, cancel and the end of a task.
**
** A task that is cancelled is closed where it stands: its to-be-closed
** variables are closed, no pcall of its own sees anything, and it never goes
** on.
*/
#include "bind/lua_handler.h"
#include "bind/lua_task.h"

/* Tasks that are closed by variables of one another: Lua before 5.4.6 does not
** see how deep it is when it closes a coroutine. */
enum { CLOSING_MAX = 100 };

/* -- spawn and sleep -- */

/* loop:spawn(fn, ...) -> task, which starts in the next turn */
int ws_loop_spawn(lua_State *L)
{
    struct ws_lloop *ll = ws_check_loop(L, 1);
    struct ws_ltask *t;
    lua_State *co;
    int n = lua_gettop(L) - 1;

    ws_check_callable(L, 2, "spawn: function");
    luaL_checkstack(L, 8, NULL);
    co = lua_newthread(L);
    if (!lua_checkstack(co, n + 4))
        return luaL_error(L, "spawn: too many arguments");
    t = ws_task_new(L, 1, n + 2);
    lua_rotate(L, 2, 2); /* loop, thread, task, function, arguments */
    lua_xmove(L, co, n);
    ws_task_anchor(L, t, 1, 3);
    ws_loop_post(&ll->loop, &t->timer.source);
    return 1;
}

static int never(lua_State *L)
{
    (void)L;
    return 0;
}

static struct ws_lloop *itself(void *object)
{
    return object;
}

static void push_self(lua_State *L)
{
    lua_pushvalue(L, 1);
}

/* loop:sleep(seconds) */
int ws_loop_sleep(lua_State *L)
{
    static const struct ws_wait sleep = {NULL,   WS_FOR_TIME, never, NULL,
                                         itself, push_self,   NULL};
    int64_t ms;

    ws_check_loop(L, 1);
    ms = ws_check_seconds(L, 2, "sleep: seconds");
    return ws_wait(L, &sleep, ms);
}

/* -- the object -- */

static struct ws_ltask *check_task(lua_State *L)
{
    return ws_check_self(L, 1, WS_TASK_NAME);
}

static int push_results(lua_State *L)
{
    int n, i;

    lua_pushboolean(L, 1);
    if (lua_getiuservalue(L, 1, WS_TASK_RESULT) != LUA_TTABLE) {
        lua_pop(L, 1);
        return 1;
    }
    lua_getfield(L, -1, "n");
    n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, n + 1, NULL);
    for (i = 1; i <= n; i++)
        lua_rawgeti(L, -i, i);
    lua_remove(L, -n - 1);
    return 1 + n;
}

static int join_ready(lua_State *L)
{
    struct ws_ltask *t = lua_touserdata(L, 1);

    switch ((enum ws_task_state)t->state) {
    case WS_TASK_DONE:
        return push_results(L);
    case WS_TASK_FAILED:
        lua_pushnil(L);
        lua_getiuservalue(L, 1, WS_TASK_RESULT);
        lua_pushliteral(L, "ERROR");
        return 3;
    case WS_TASK_CANCELLED:
        return ws_push_fail(L, "the task was cancelled", "CANCELLED");
    default:
        return 0;
    }
}

static struct ws_link *joiners(void *object)
{
    return &((struct ws_ltask *)object)->joiners;
}

static struct ws_lloop *loop_of(void *object)
{
    return ((struct ws_ltask *)object)->loop;
}

static void push_loop(lua_State *L)
{
    lua_getiuservalue(L, 1, WS_TASK_LOOP);
}

/* task:join([timeout]) -> true, results... | nil, message, code */
static int task_join(lua_State *L)
{
    static const struct ws_wait join = {
        "join", WS_FOR_TASK, join_ready, joiners, loop_of, push_loop, NULL};
    struct ws_ltask *t = check_task(L);
    int64_t ms = ws_check_timeout(L, 2, "join: timeout");

    lua_settop(L, 1);
    if (t->loop != NULL) {
        push_loop(L);
        if (ws_task_here(L, 2) == t)
            return luaL_error(L, "join: a task cannot wait for its own end");
        lua_settop(L, 1);
    }
    return ws_wait(L, &join, ms);
}

/* Ends a task that is not running; it is at me, its loop at `loop`. */
static void cancel(lua_State *L, struct ws_ltask *t, int me, int loop)
{
    struct ws_lloop *ll = t->loop;
    lua_State *co;
    int idle, status;

    if (ll->closing == CLOSING_MAX)
        luaL_error(L, "cancel: C stack overflow");
    lua_getiuservalue(L, me, WS_TASK_THREAD);
    co = lua_tothread(L, -1);
    /* else somebody else is closing it, or has, or runs it: it may go on */
    idle = t->state == WS_TASK_NEW || lua_status(co) == LUA_YIELD;
    t->state = WS_TASK_CANCELLED;
    if (idle) {
        lua_pushnil(L);
        lua_setiuservalue(L, me, WS_TASK_THREAD);
    }
    ws_task_let_go(L, t, loop);
    ll->closing++;
    status = idle ? ws_handler_close(co, L) : LUA_OK;
    ll->closing--;
    if (status != LUA_OK)
        ws_handler_report(L, loop, co, 0);
    lua_pop(L, 1);
}

/* task:cancel() -> whether there was anything to cancel */
static int task_cancel(lua_State *L)
{
    struct ws_ltask *t = check_task(L);
    int can = t->loop != NULL && t->state <= WS_TASK_WAITS;

    if (can && t->state == WS_TASK_RUNS)
        return luaL_error(L, "cancel: the task is running");
    lua_settop(L, 1);
    if (can) {
        push_loop(L);
        cancel(L, t, 1, 2);
    }
    lua_pushboolean(L, can);
    return 1;
}

void ws_cancel_tasks(lua_State *L, struct ws_lloop *ll)
{
    struct ws_link *l;
    int top = lua_gettop(L);

    ll->running = 1; /* nothing can wait now */
    for (l = ws_link_first(&ll->tasks); l != NULL;
         l = ws_link_first(&ll->tasks)) {
        struct ws_ltask *t = ws_container(l, struct ws_ltask, all);
        lua_getiuservalue(L, 1, WS_UV_LIVE);
        lua_rawgetp(L, -1, t);
        cancel(L, t, top + 2, 1);
        lua_settop(L, top);
    }
    ll->running = 0;
}

static int task_gc(lua_State *L)
{
    ws_task_drop(check_task(L));
    return 0;
}

/* local task <close> */
static int task_leave(lua_State *L)
{
    lua_settop(L, 1);
    return task_cancel(L);
}

static int task_tostring(lua_State *L)
{
    static const char *const states[] = {"new",  "running", "waiting",
                                         "done", "failed",  "cancelled"};
    lua_pushfstring(L, "wsock.task (%s)", states[check_task(L)->state]);
    return 1;
}

static const luaL_Reg methods[] = {
    {"join", task_join}, {"cancel", task_cancel}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__gc", task_gc},
                                       {"__close", task_leave},
                                       {"__tostring", task_tostring},
                                       {NULL, NULL}};

void ws_open_task(lua_State *L)
{
    luaL_newmetatable(L, WS_TASK_NAME);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    ws_seal_class(L);
}
