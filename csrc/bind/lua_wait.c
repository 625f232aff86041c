/* bind/lua_wait.c -- waiting: yield in a coroutine of the loop, else turn it.
**
** We never yield into a scheduler that is not ours: a coroutine the loop did
** not start waits like the main thread, by turning the loop, and where that
** already runs further down the stack there is no way to wait.
*/
#include "bind/lua_pull.h"
#include "bind/lua_task.h"

int64_t ws_check_timeout(lua_State *L, int idx, const char *name)
{
    return lua_isnoneornil(L, idx) ? -1 : ws_check_seconds(L, idx, name);
}

/* -- who waits -- */

void ws_wait_forget(struct ws_ltask *t)
{
    if (t->waits == WS_FOR_TASK && t->loop != NULL)
        t->loop->active++; /* see suspend */
    ws_link_remove(&t->link);
    t->waits = WS_FOR_NOTHING;
}

/* It looks in the next turn whether what it waits for is there. */
static void wake(struct ws_ltask *t)
{
    ws_wait_forget(t);
    ws_loop_post(&t->loop->loop, &t->timer.source);
}

struct ws_ltask *ws_wait_first(struct ws_link *list, enum ws_wait_for what)
{
    struct ws_link *l;

    for (l = ws_link_first(list); l != NULL; l = ws_link_next(list, l)) {
        struct ws_ltask *t = ws_container(l, struct ws_ltask, link);
        if (what == WS_FOR_NOTHING || t->waits == what)
            return t;
    }
    return NULL;
}

void ws_wait_wake_all(struct ws_link *list, enum ws_wait_for what)
{
    struct ws_ltask *t = ws_wait_first(list, what);

    while (t != NULL) {
        wake(t);
        t = ws_wait_first(list, what);
    }
}

/* -- in a coroutine of the loop: the object at 1 -- */

/* The task whose coroutine runs, or NULL. */
static struct ws_ltask *here(lua_State *L, const struct ws_wait *w)
{
    struct ws_lloop *ll = w->loop(lua_touserdata(L, 1));
    struct ws_ltask *t = ll->task;
    int top;

    if (WS_LIKELY(t != NULL && t->self == (const void *)L))
        return t;
    top = lua_gettop(L);
    w->push_loop(L);
    t = ws_task_here(L, top + 1);
    lua_settop(L, top);
    return t;
}

static int timed_out(lua_State *L, const struct ws_wait *w)
{
    if (w->name == NULL)
        return 0;
    lua_pushnil(L);
    lua_pushfstring(L, "%s: timed out", w->name);
    lua_pushliteral(L, "TIMEOUT");
    return 3;
}

/* A timer that is armed too early stays: it re-arms itself when it fires, so
** that a wait that ends soon costs no work in the heap. */
static int arm(struct ws_ltask *t)
{
    if (t->deadline_ms < 0 ||
        (t->timer.index != 0 && t->timer.due_ms <= t->deadline_ms))
        return WS_OK;
    return ws_loop_arm(&t->loop->loop, &t->timer, t->deadline_ms);
}

static int resumed(lua_State *L, int status, lua_KContext ctx);

/* Yields.  Who waits for the end of a task keeps no run() going: the other
** one does, and two that wait for each other should not. */
static int suspend(lua_State *L, struct ws_ltask *t, const struct ws_wait *w)
{
    int n;

    if (t->loop == NULL)
        return luaL_error(L, "loop is closed");
    if (arm(t) != WS_OK)
        return luaL_error(L, "out of memory");
    n = w->ahead != NULL ? w->ahead(L, t) : 0;
    if (n > 0)
        return n;
    t->waits = (uint8_t)w->what;
    if (w->queue != NULL)
        ws_link_append(w->queue(lua_touserdata(L, 1)), &t->link);
    if (w->what == WS_FOR_TASK)
        t->loop->active--;
    return lua_yieldk(L, 0, (lua_KContext)w, resumed);
}

static int resumed(lua_State *L, int status, lua_KContext ctx)
{
    const struct ws_wait *w = (const struct ws_wait *)ctx;
    struct ws_ltask *t;
    int n;

    (void)status;
    if (w->loop(lua_touserdata(L, 1)) == NULL)
        return luaL_error(L, "loop is closed");
    t = here(L, w);
    if (WS_LIKELY(t->handed)) {
        t->handed = 0;
        return lua_gettop(L) - 1;
    }
    lua_settop(L, 1);
    if (t->waits != WS_FOR_NOTHING) /* somebody else resumed it */
        return lua_yieldk(L, 0, ctx, resumed);
    n = w->ready(L);
    if (n > 0)
        return n;
    return t->late ? timed_out(L, w) : suspend(L, t, w);
}

/* A handler's task waits for the first time; or one that was let go, and goes
** on. */
static void come_to_stay(lua_State *L, struct ws_ltask *t,
                         const struct ws_wait *w)
{
    if (arm(t) != WS_OK)
        luaL_error(L, "out of memory");
    w->push_loop(L);
    ws_task_here(L, 2);
    ws_task_anchor(L, t, 2, 3);
    if (t->about != NULL)
        ws_pull_handler(t->about, 1);
    lua_settop(L, 1);
}

static int wait_inside(lua_State *L, struct ws_ltask *t,
                       const struct ws_wait *w, int64_t ms)
{
    if (t->loop == NULL) /* its finalizer ran, and the loop's did not yet */
        return luaL_error(L, "loop is closed");
    t->late = 0;
    t->handed = 0;
    t->deadline_ms = ms < 0 ? -1 : ws_clock_ms() + ms;
    if (!t->anchored)
        come_to_stay(L, t, w);
    return suspend(L, t, w);
}

/* -- elsewhere: the object at 1, the loop at 2 -- */

static int wait_outside(lua_State *L, struct ws_lloop *ll,
                        const struct ws_wait *w, int64_t ms)
{
    int64_t end = ms < 0 ? -1 : ws_clock_ms() + ms, left = ms;
    int n;

    do {
        if (end < 0 && !ws_goes_on(ll))
            return luaL_error(L, "%s: what is waited for will never happen",
                              w->name);
        ws_turn(L, 2, left);
        if (!ll->open)
            return luaL_error(L, "loop is closed");
        n = w->ready(L);
        if (end >= 0)
            left = end - ws_clock_ms();
    } while (n == 0 && (end < 0 || left > 0));
    return n > 0 ? n : timed_out(L, w);
}

int ws_wait(lua_State *L, const struct ws_wait *w, int64_t ms)
{
    struct ws_lloop *ll = w->loop(lua_touserdata(L, 1));
    struct ws_ltask *t;
    int n = w->ready(L);

    if (n > 0)
        return n;
    lua_settop(L, 1);
    if (ll == NULL || !ll->open)
        return luaL_error(L, "loop is closed");
    t = here(L, w);
    if (t != NULL && lua_isyieldable(L))
        return wait_inside(L, t, w, ms);
    if (ll->running)
        return luaL_error(L, "cannot wait here: %s",
                          t != NULL ? "a C function lies between"
                                    : "the loop runs, and did not start this "
                                      "coroutine");
    w->push_loop(L);
    return wait_outside(L, ll, w, ms);
}
