/* bind/lua_task.c -- coroutines of a loop: which they are, and running them.
**
** How one waits is in lua_wait.c, what the user does to one in lua_spawn.c.
*/
#include "bind/lua_task.h"

#include "bind/lua_handler.h"
#include "bind/lua_pull.h"
#include "bind/lua_server.h"

/* -- which coroutine is whose -- */

/* Weak keys: what is left of a coroutine nobody has any more goes by itself. */
void ws_new_task_table(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

/* tasks[thread at co] = the value at the top, popped; the loop at `loop`. */
static void set_task(lua_State *L, int loop, int co)
{
    lua_getiuservalue(L, loop, WS_UV_TASKS);
    lua_insert(L, -2);
    lua_pushvalue(L, co);
    lua_insert(L, -2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

lua_State *ws_push_thread(lua_State *L, int loop)
{
    lua_State *co = lua_newthread(L);

    lua_pushboolean(L, 1);
    set_task(L, loop, lua_gettop(L) - 1);
    return co;
}

void ws_push_handler_thread(lua_State *L)
{
    ws_push_thread(L, WS_IX_LOOP);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, WS_IX_LOOP, WS_UV_THREAD);
}

struct ws_ltask *ws_task_new(lua_State *L, int loop, int co)
{
    struct ws_ltask *t = lua_newuserdatauv(L, sizeof *t, 4);

    memset(t, 0, sizeof *t);
    ws_timer_init(&t->timer, WS_TAG_TASK);
    ws_link_init(&t->link);
    ws_link_init(&t->joiners);
    ws_link_init(&t->all);
    luaL_setmetatable(L, WS_TASK_NAME);
    lua_pushvalue(L, loop);
    lua_setiuservalue(L, -2, WS_TASK_LOOP);
    lua_pushvalue(L, co);
    lua_setiuservalue(L, -2, WS_TASK_THREAD);
    t->loop = lua_touserdata(L, loop);
    t->self = lua_tothread(L, co);
    lua_pushvalue(L, -1);
    set_task(L, loop, co);
    return t;
}

struct ws_ltask *ws_task_here(lua_State *L, int loop)
{
    struct ws_ltask *t = NULL;
    int top = lua_gettop(L), type;

    lua_getiuservalue(L, loop, WS_UV_TASKS);
    lua_pushthread(L);
    lua_pushvalue(L, -1);
    type = lua_rawget(L, -3);
    if (type == LUA_TUSERDATA) {
        t = lua_touserdata(L, -1);
    } else if (type == LUA_TBOOLEAN) { /* a handler's */
        t = ws_task_new(L, loop, top + 2);
        t->state = WS_TASK_RUNS;
    }
    if (t != NULL)
        lua_replace(L, top + 1);
    lua_settop(L, t != NULL ? top + 1 : top);
    return t;
}

void ws_task_anchor(lua_State *L, struct ws_ltask *t, int loop, int idx)
{
    idx = lua_absindex(L, idx);
    lua_getiuservalue(L, loop, WS_UV_LIVE);
    lua_pushboolean(L, 0);
    lua_rawsetp(L, -2, &t->link); /* room for it; may raise, as ws_anchor may */
    ws_anchor(L, loop, t, idx);
    lua_getiuservalue(L, idx, WS_TASK_THREAD);
    lua_rawsetp(L, -2, &t->link);
    lua_pop(L, 1);
    t->anchored = 1;
    ws_link_append(&t->loop->tasks, &t->all);
}

static void unanchor(lua_State *L, struct ws_ltask *t, int loop)
{
    if (!t->anchored)
        return;
    t->anchored = 0;
    ws_link_remove(&t->all);
    lua_getiuservalue(L, loop, WS_UV_LIVE);
    lua_pushnil(L);
    lua_rawsetp(L, -2, &t->link);
    lua_pop(L, 1);
    ws_unanchor(L, loop, t);
}

/* Pushes the task of the coroutine at co, or what there is instead of one. */
static struct ws_ltask *push_task_of(lua_State *L, int co)
{
    lua_getiuservalue(L, WS_IX_LOOP, WS_UV_TASKS);
    lua_pushvalue(L, co);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    return lua_touserdata(L, -1);
}

int ws_task_refuse(lua_State *L, int co)
{
    struct ws_ltask *t = push_task_of(L, co);

    lua_pop(L, 1); /* `tasks` has it as long as there is its coroutine */
    if (t == NULL || t->waits == WS_FOR_NOTHING)
        return 0;
    ws_wait_forget(t);
    ws_loop_disarm(&t->loop->loop, &t->timer);
    unanchor(L, t, WS_IX_LOOP);
    return 1;
}

int ws_task_adopt(lua_State *L, int co, int about)
{
    int top = lua_gettop(L);
    struct ws_ltask *t = push_task_of(L, co);

    if (t == NULL || t->waits == WS_FOR_NOTHING) {
        lua_settop(L, top);
        return 0;
    }
    t->state = WS_TASK_WAITS;
    if (about != 0) {
        lua_pushvalue(L, about);
        lua_setiuservalue(L, -2, WS_TASK_ABOUT);
        t->about = lua_touserdata(L, about);
        ws_pull_handler(t->about, 1);
    }
    lua_settop(L, top);
    return 1;
}

/* -- the end of one -- */

void ws_task_let_go(lua_State *L, struct ws_ltask *t, int loop)
{
    ws_wait_forget(t);
    ws_loop_disarm(&t->loop->loop, &t->timer);
    ws_wait_wake_all(&t->joiners, WS_FOR_NOTHING);
    if (t->about != NULL)
        ws_pull_handler(t->about, 0);
    if (t->loop->task == t)
        t->loop->task = NULL;
    unanchor(L, t, loop);
}

/* Keeps the n values at the top of co as the result of the task at `me`. */
static void keep_results(lua_State *L, lua_State *co, int me, int n)
{
    int i;

    if (n == 0)
        return;
    luaL_checkstack(L, n + 2, NULL);
    lua_createtable(L, n, 1);
    lua_xmove(co, L, n);
    for (i = n; i >= 1; i--)
        lua_rawseti(L, me + 2, i); /* behind the thread */
    lua_pushinteger(L, n);
    lua_setfield(L, -2, "n");
    lua_setiuservalue(L, me, WS_TASK_RESULT);
}

/* The task at me, its coroutine behind it, raised, or yielded to nobody. */
static void failed(lua_State *L, struct ws_ltask *t, int me, int status)
{
    lua_State *co = lua_tothread(L, me + 1);
    int about;

    t->state = WS_TASK_FAILED;
    if (status == LUA_YIELD)
        ws_handler_yielded(co, L);
    lua_xmove(co, L, 1); /* co may have no room for a copy */
    lua_pushvalue(L, -1);
    lua_xmove(L, co, 1);
    lua_setiuservalue(L, me, WS_TASK_RESULT);
    lua_getiuservalue(L, me, WS_TASK_ABOUT);
    about = lua_isnil(L, -1) ? 0 : lua_gettop(L);
    ws_handler_report(L, WS_IX_LOOP, co, about);
    ws_handler_reset(co, L);
    if (t->about != NULL && t->about->server != NULL)
        ws_server_failed(t->about); /* as when it had not waited */
}

/* Its coroutine ended, with n values: so did it. */
static void end(lua_State *L, struct ws_ltask *t, int status, int n)
{
    int me = lua_gettop(L) + 1;

    lua_rawgetp(L, WS_IX_LIVE, t);
    lua_rawgetp(L, WS_IX_LIVE, &t->link);
    t->state = WS_TASK_DONE;
    ws_task_let_go(L, t, WS_IX_LOOP);
    if (status == LUA_OK)
        keep_results(L, lua_tothread(L, me + 1), me, n);
    else
        failed(L, t, me, status);
    lua_pushnil(L);
    lua_setiuservalue(L, me, WS_TASK_THREAD);
    lua_settop(L, me - 1);
}

/* Lets its coroutine run on with nargs values. */
static void resume(lua_State *L, struct ws_ltask *t, lua_State *co, int nargs)
{
    int status, n;

    if (t->state != WS_TASK_NEW && lua_status(co) != LUA_YIELD) {
        t->state = WS_TASK_CANCELLED; /* somebody else closed it, or runs it */
        ws_task_let_go(L, t, WS_IX_LOOP);
        return;
    }
    t->state = WS_TASK_RUNS;
    t->loop->task = t;
    status = lua_resume(co, L, nargs, &n);
    if (WS_LIKELY(status == LUA_YIELD && t->waits != WS_FOR_NOTHING))
        t->state = WS_TASK_WAITS;
    else
        end(L, t, status, n);
}

/* Its coroutine, which `live` keeps. */
static lua_State *thread_of(lua_State *L, const struct ws_ltask *t)
{
    lua_State *co;

    lua_rawgetp(L, WS_IX_LIVE, &t->link);
    co = lua_tothread(L, -1);
    lua_pop(L, 1);
    return co;
}

void ws_task_hand(lua_State *L, struct ws_ltask *t, int n)
{
    lua_State *co = thread_of(L, t);

    ws_wait_forget(t);
    t->handed = 1;
    lua_xmove(L, co, n);
    resume(L, t, co, n);
}

static int is_early(const struct ws_ltask *t)
{
    return t->deadline_ms < 0 || t->loop->loop.now_ms < t->deadline_ms;
}

void ws_task_ready(lua_State *L, struct ws_ltask *t)
{
    lua_State *co;

    if (!t->anchored)
        return; /* it did not come to wait */
    if (t->waits != WS_FOR_NOTHING) {
        if (is_early(t)) { /* armed for a wait of the past */
            if (t->deadline_ms >= 0)
                ws_loop_arm(&t->loop->loop, &t->timer, t->deadline_ms);
            return;
        }
        t->late = 1;
        ws_wait_forget(t);
    } else if (t->state == WS_TASK_RUNS) {
        return; /* as above */
    }
    co = thread_of(L, t);
    resume(L, t, co, t->state == WS_TASK_NEW ? lua_gettop(co) - 1 : 0);
}

void ws_task_drop(struct ws_ltask *t)
{
    struct ws_link *l;

    if (t->loop == NULL)
        return;
    t->waits = WS_FOR_NOTHING;
    ws_link_remove(&t->link);
    ws_link_remove(&t->all);
    for (l = ws_link_first(&t->joiners); l != NULL;
         l = ws_link_first(&t->joiners))
        ws_link_remove(l);
    ws_loop_disarm(&t->loop->loop, &t->timer);
    if (t->loop->task == t)
        t->loop->task = NULL;
    t->loop = NULL;
    t->anchored = 0;
    if (t->state <= WS_TASK_WAITS)
        t->state = WS_TASK_CANCELLED;
}
