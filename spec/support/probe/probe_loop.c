/* probe_loop.c -- probe.loop: clock, heap, loop, wake.
**
** Watchers, timers and bare sources carry a number of the spec's choice; the
** spec keeps them alive.  loop:next() answers kind, number, got.
*/
#include "probe_sys.h"

#include "loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define LOOP "probe.loop"
#define WATCHER "probe.watcher"
#define TIMER "probe.timer"
#define BARE "probe.bare"
#define HEAP "probe.heap"
#define WAKE "probe.wake"

struct watcher {
    struct ws_watcher w;
    lua_Integer id;
};

struct timer {
    struct ws_timer t;
    lua_Integer id;
};

struct bare {
    struct ws_source s;
    lua_Integer id;
};

static struct ws_loop *get_loop(lua_State *L, int arg)
{
    return luaL_checkudata(L, arg, LOOP);
}

static struct ws_watcher *get_watcher(lua_State *L, int arg)
{
    return &((struct watcher *)luaL_checkudata(L, arg, WATCHER))->w;
}

static struct ws_timer *get_timer(lua_State *L, int arg)
{
    return &((struct timer *)luaL_checkudata(L, arg, TIMER))->t;
}

/* -- sources -- */

/* watcher(id [, zeroed]) */
static int watcher_new(lua_State *L)
{
    int zeroed = lua_toboolean(L, 2);
    struct watcher *w = probe_new(L, sizeof *w, WATCHER, 0);
    w->id = luaL_checkinteger(L, 1);
    if (!zeroed)
        ws_watcher_init(&w->w, 7);
    return 1;
}

/* watcher:state() -> want, got, fd, tag */
static int watcher_state(lua_State *L)
{
    struct ws_watcher *w = get_watcher(L, 1);
    lua_pushinteger(L, w->want);
    lua_pushinteger(L, w->got);
    lua_pushinteger(L, w->fd);
    lua_pushinteger(L, w->source.tag);
    return 4;
}

/* timer(id [, zeroed]) */
static int timer_new(lua_State *L)
{
    int zeroed = lua_toboolean(L, 2);
    struct timer *t = probe_new(L, sizeof *t, TIMER, 0);
    t->id = luaL_checkinteger(L, 1);
    if (!zeroed)
        ws_timer_init(&t->t, 9);
    return 1;
}

/* timer:state() -> armed, due, tag */
static int timer_state(lua_State *L)
{
    struct ws_timer *t = get_timer(L, 1);
    lua_pushboolean(L, t->index != 0);
    lua_pushinteger(L, t->due_ms);
    lua_pushinteger(L, t->source.tag);
    return 3;
}

static int bare_new(lua_State *L)
{
    struct bare *b = probe_new(L, sizeof *b, BARE, 0);
    b->id = luaL_checkinteger(L, 1);
    ws_link_init(&b->s.link);
    return 1;
}

/* -- loop -- */

/* new(mem, backend) -> loop, or nil, code, errno */
static int loop_new(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    const char *backend = luaL_optstring(L, 2, NULL);
    struct ws_loop *l = probe_new(L, sizeof *l, LOOP, 1);
    int err = ws_loop_init(l, mem, backend);
    return err == WS_OK ? 1 : probe_sys_result(L, err, errno);
}

static int loop_free(lua_State *L)
{
    ws_loop_free(get_loop(L, 1));
    return 0;
}

/* loop:watch(watcher, fd, want) */
static int loop_watch(lua_State *L)
{
    int err = ws_loop_watch(get_loop(L, 1), get_watcher(L, 2),
                            (int)luaL_checkinteger(L, 3),
                            (unsigned)luaL_checkinteger(L, 4));
    return probe_sys_result(L, err, errno);
}

static int loop_unwatch(lua_State *L)
{
    ws_loop_unwatch(get_loop(L, 1), get_watcher(L, 2));
    return 0;
}

/* loop:arm(timer, due) */
static int loop_arm(lua_State *L)
{
    return probe_result(L, ws_loop_arm(get_loop(L, 1), get_timer(L, 2),
                                       luaL_checkinteger(L, 3)));
}

static int loop_disarm(lua_State *L)
{
    ws_loop_disarm(get_loop(L, 1), get_timer(L, 2));
    return 0;
}

/* loop:post(watcher, timer or bare) */
static int loop_post(lua_State *L)
{
    struct ws_loop *l = get_loop(L, 1);

    if (luaL_testudata(L, 2, WATCHER) != NULL)
        ws_loop_post(l, &get_watcher(L, 2)->source);
    else if (luaL_testudata(L, 2, TIMER) != NULL)
        ws_loop_post(l, &get_timer(L, 2)->source);
    else
        ws_loop_post(l, &((struct bare *)luaL_checkudata(L, 2, BARE))->s);
    return 0;
}

/* loop:turn(milliseconds) */
static int loop_turn(lua_State *L)
{
    int err = ws_loop_turn(get_loop(L, 1), luaL_optinteger(L, 2, 0));
    return probe_sys_result(L, err, errno);
}

/* loop:next() -> kind, id, got; or nil */
static int loop_next(lua_State *L)
{
    struct ws_source *s = ws_loop_next(get_loop(L, 1));
    struct watcher *w;

    if (s == NULL)
        return 0;
    switch (s->kind) {
    case WS_SOURCE_WATCHER:
        w = ws_container(s, struct watcher, w.source);
        lua_pushliteral(L, "watcher");
        lua_pushinteger(L, w->id);
        lua_pushinteger(L, w->w.got);
        return 3;
    case WS_SOURCE_TIMER:
        lua_pushliteral(L, "timer");
        lua_pushinteger(L, ws_container(s, struct timer, t.source)->id);
        return 2;
    default:
        lua_pushliteral(L, "bare");
        lua_pushinteger(L, ws_container(s, struct bare, s)->id);
        return 2;
    }
}

static int loop_timeout(lua_State *L)
{
    lua_pushinteger(L, ws_loop_timeout(get_loop(L, 1)));
    return 1;
}

static int loop_fd(lua_State *L)
{
    lua_pushinteger(L, ws_loop_fd(get_loop(L, 1)));
    return 1;
}

/* loop:state() -> now, turn, watchers, fd of its wake, backend */
static int loop_state(lua_State *L)
{
    struct ws_loop *l = get_loop(L, 1);
    lua_pushinteger(L, l->now_ms);
    lua_pushinteger(L, (lua_Integer)l->turn);
    lua_pushinteger(L, (lua_Integer)l->nwatchers);
    lua_pushinteger(L, l->wake.rd);
    lua_pushstring(L, l->backend == NULL ? NULL : l->backend->name);
    return 5;
}

/* -- heap -- */

static struct ws_heap *get_heap(lua_State *L)
{
    return luaL_checkudata(L, 1, HEAP);
}

static struct ws_mem *heap_mem(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    return probe_mem(L, -1);
}

/* heap(mem) */
static int heap_new(lua_State *L)
{
    probe_mem(L, 1);
    ws_heap_init(probe_new(L, sizeof(struct ws_heap), HEAP, 1));
    return 1;
}

static int heap_free(lua_State *L)
{
    ws_heap_free(get_heap(L), heap_mem(L));
    return 0;
}

static int heap_add(lua_State *L)
{
    return probe_result(L,
                        ws_heap_add(get_heap(L), heap_mem(L), get_timer(L, 2),
                                    luaL_checkinteger(L, 3)));
}

static int heap_remove(lua_State *L)
{
    ws_heap_remove(get_heap(L), get_timer(L, 2));
    return 0;
}

/* heap:top() -> id, due; or nil */
static int heap_top(lua_State *L)
{
    struct ws_timer *t = ws_heap_top(get_heap(L));
    if (t == NULL)
        return 0;
    lua_pushinteger(L, ws_container(t, struct timer, t)->id);
    lua_pushinteger(L, t->due_ms);
    return 2;
}

/* heap:pop() -> id, due; or nil */
static int heap_pop(lua_State *L)
{
    struct ws_timer *t = ws_heap_top(get_heap(L));
    int n = heap_top(L);
    if (t != NULL)
        ws_heap_remove(get_heap(L), t);
    return n;
}

/* -- wake -- */

struct wake {
    struct ws_wake w;
    pthread_t thread;
    atomic_int running; /* the thread goes on while it is 1 */
    int joined;
};

static struct wake *get_wake(lua_State *L)
{
    return luaL_checkudata(L, 1, WAKE);
}

static int wake_new(lua_State *L)
{
    struct wake *w = probe_new(L, sizeof *w, WAKE, 0);
    int err = ws_wake_init(&w->w);
    w->joined = 1;
    return err == WS_OK ? 1 : probe_sys_result(L, err, errno);
}

static int wake_free(lua_State *L)
{
    ws_wake_free(&get_wake(L)->w);
    return 0;
}

static int wake_fd(lua_State *L)
{
    lua_pushinteger(L, get_wake(L)->w.rd);
    return 1;
}

/* wake:send() -> 1 when errno was left alone */
static int wake_send(lua_State *L)
{
    errno = 4711;
    ws_wake_send(&get_wake(L)->w);
    lua_pushboolean(L, errno == 4711);
    return 1;
}

static int wake_drain(lua_State *L)
{
    ws_wake_drain(&get_wake(L)->w);
    return 0;
}

static void *send_many(void *arg)
{
    struct wake *w = arg;
    do {
        ws_wake_send(&w->w);
        sched_yield();
    } while (atomic_load(&w->running) != 0);
    return NULL;
}

/* wake:thread(again): a thread that sends, once or until join */
static int wake_thread(lua_State *L)
{
    struct wake *w = get_wake(L);
    int err;
    atomic_store(&w->running, lua_toboolean(L, 2));
    err = pthread_create(&w->thread, NULL, send_many, w);
    w->joined = err != 0;
    return probe_sys_result(L, err == 0 ? WS_OK : WS_ERR_SYSTEM, err);
}

static int wake_join(lua_State *L)
{
    struct wake *w = get_wake(L);
    atomic_store(&w->running, 0);
    if (!w->joined)
        pthread_join(w->thread, NULL);
    w->joined = 1;
    return 0;
}

/* wake:watch(signo) */
static int wake_watch(lua_State *L)
{
    int err = ws_signal_watch((int)luaL_checkinteger(L, 2), &get_wake(L)->w);
    return probe_sys_result(L, err, errno);
}

static int wake_unwatch(lua_State *L)
{
    ws_signal_unwatch((int)luaL_checkinteger(L, 2), &get_wake(L)->w);
    return 0;
}

static int wake_next(lua_State *L)
{
    lua_pushinteger(L, ws_signal_next(&get_wake(L)->w));
    return 1;
}

/* -- the table -- */

static int clock_now(lua_State *L)
{
    lua_pushinteger(L, ws_clock_ms());
    lua_pushinteger(L, ws_clock_us());
    lua_pushinteger(L, ws_clock_date());
    return 3;
}

static const luaL_Reg loop_methods[] = {
    {"free", loop_free}, {"watch", loop_watch},   {"unwatch", loop_unwatch},
    {"arm", loop_arm},   {"disarm", loop_disarm}, {"post", loop_post},
    {"turn", loop_turn}, {"next", loop_next},     {"timeout", loop_timeout},
    {"fd", loop_fd},     {"state", loop_state},   {NULL, NULL},
};

static const luaL_Reg watcher_methods[] = {
    {"state", watcher_state},
    {NULL, NULL},
};

static const luaL_Reg timer_methods[] = {
    {"state", timer_state},
    {NULL, NULL},
};

static const luaL_Reg bare_methods[] = {{NULL, NULL}};

static const luaL_Reg heap_methods[] = {
    {"free", heap_free}, {"add", heap_add}, {"remove", heap_remove},
    {"top", heap_top},   {"pop", heap_pop}, {NULL, NULL},
};

static const luaL_Reg wake_methods[] = {
    {"free", wake_free},   {"fd", wake_fd},           {"send", wake_send},
    {"drain", wake_drain}, {"thread", wake_thread},   {"join", wake_join},
    {"watch", wake_watch}, {"unwatch", wake_unwatch}, {"next", wake_next},
    {NULL, NULL},
};

int ws_probe_loop(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"new", loop_new},    {"watcher", watcher_new},
        {"timer", timer_new}, {"bare", bare_new},
        {"heap", heap_new},   {"wake", wake_new},
        {"clock", clock_now}, {NULL, NULL},
    };
    probe_class(L, LOOP, loop_methods, loop_free);
    probe_class(L, WATCHER, watcher_methods, NULL);
    probe_class(L, TIMER, timer_methods, NULL);
    probe_class(L, BARE, bare_methods, NULL);
    probe_class(L, HEAP, heap_methods, heap_free);
    probe_class(L, WAKE, wake_methods, NULL);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_newtable(L);
    probe_open_sys(L);
    probe_open_faults(L);
    lua_setfield(L, -2, "sys");
    lua_pushinteger(L, WS_IO_READ);
    lua_setfield(L, -2, "READ");
    lua_pushinteger(L, WS_IO_WRITE);
    lua_setfield(L, -2, "WRITE");
    lua_pushinteger(L, WS_IO_ERROR);
    lua_setfield(L, -2, "ERROR");
    return 1;
}
