/* bind/lua_timer.c -- timers, foreign descriptors and signals in Lua. */
#include "bind/lua_timer.h"

#include "bind/lua_handler.h"

#include "loop/fd.h"
#include "loop/wake.h"

#include <errno.h>
#include <signal.h>

enum { READ_DEFAULT = 64 * 1024, READ_MAX = 1024 * 1024 }; /* bytes */

/* -- timers -- */

/* Timer for the function at fn_idx, ms from now; loop at 1; pushed. */
static int new_timer(lua_State *L, int fn_idx, int64_t ms, int64_t every_ms)
{
    struct ws_lloop *ll = ws_check_loop(L, 1);
    struct ws_ltimer *t = lua_newuserdatauv(L, sizeof *t, 2);

    memset(t, 0, sizeof *t);
    ws_timer_init(&t->timer, WS_TAG_TIMER);
    t->loop = ll;
    t->every_ms = every_ms;
    luaL_setmetatable(L, WS_TIMER_NAME);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, fn_idx);
    lua_setiuservalue(L, -2, 2);
    if (ms < 0)
        return 1;           /* never */
    ws_anchor(L, 1, t, -1); /* may raise: nothing is armed yet */
    t->anchored = 1;
    if (ws_loop_arm(&ll->loop, &t->timer, ws_clock_ms() + ms) == WS_OK)
        return 1;
    t->anchored = 0;
    ws_unanchor(L, 1, t);
    return luaL_error(L, "out of memory");
}

/* loop:after(seconds, fn) -> timer */
int ws_loop_after(lua_State *L)
{
    int64_t ms = ws_check_seconds(L, 2, "after: seconds");
    ws_check_callable(L, 3, "after: callback");
    return new_timer(L, 3, ms, 0);
}

/* loop:every(seconds, fn) -> timer */
int ws_loop_every(lua_State *L)
{
    int64_t ms = ws_check_seconds(L, 2, "every: seconds");
    ws_check_callable(L, 3, "every: callback");
    return new_timer(L, 3, ms, ms == 0 ? 1 : ms);
}

/* A function with its arguments: upvalue 1 and those behind it. */
static int call_bound(lua_State *L)
{
    int i, n = (int)lua_tointeger(L, lua_upvalueindex(1));

    lua_settop(L, 0);
    luaL_checkstack(L, n, NULL);
    for (i = 0; i < n; i++)
        lua_pushvalue(L, lua_upvalueindex(2 + i));
    lua_call(L, n - 1, 0);
    return 0;
}

/* JavaScript's way: (fn, milliseconds, arguments of fn...). */
static int js_timer(lua_State *L, int repeat)
{
    const char *name = repeat ? "setInterval" : "setTimeout";
    int extra = lua_gettop(L) - 3, fn = 2;
    int64_t due;
    lua_Number ms;

    ws_check_callable(
        L, 2, repeat ? "setInterval: callback" : "setTimeout: callback");
    if (!lua_isnoneornil(L, 3) && !lua_isnumber(L, 3))
        luaL_error(L, "%s: milliseconds must be a number, got %s", name,
                   luaL_typename(L, 3));
    ms = luaL_optnumber(L, 3, 0);
    due = ms > 0 && ms < 9.0e15 ? (int64_t)ms : 0;
    if (extra > 200)
        return luaL_error(L, "%s: more than 200 arguments", name);
    if (extra > 0) {
        lua_remove(L, 3);
        lua_pushinteger(L, extra + 1);
        lua_insert(L, 2);
        lua_pushcclosure(L, call_bound, extra + 2);
    }
    return new_timer(L, fn, due, repeat ? (due == 0 ? 1 : due) : 0);
}

int ws_loop_set_timeout(lua_State *L)
{
    return js_timer(L, 0);
}

int ws_loop_set_interval(lua_State *L)
{
    return js_timer(L, 1);
}

void ws_timer_drop(struct ws_ltimer *t)
{
    if (t->loop != NULL)
        ws_loop_disarm(&t->loop->loop, &t->timer);
    t->loop = NULL;
    t->anchored = 0;
}

static void cancel_timer(lua_State *L, int idx)
{
    struct ws_ltimer *t = lua_touserdata(L, idx);

    if (t->loop == NULL || !t->anchored)
        return;
    t->anchored = 0;
    ws_loop_disarm(&t->loop->loop, &t->timer);
    lua_getiuservalue(L, idx, 1);
    ws_unanchor(L, lua_gettop(L), t);
    lua_pop(L, 1);
}

/* timer:cancel() */
static int timer_cancel(lua_State *L)
{
    ws_check_self(L, 1, WS_TIMER_NAME);
    cancel_timer(L, 1);
    return 0;
}

/* clearTimeout(timer): what is no timer is ignored, as in browsers. */
int ws_loop_clear(lua_State *L)
{
    lua_settop(L, 2);
    if (luaL_testudata(L, 2, WS_TIMER_NAME) != NULL)
        cancel_timer(L, 2);
    return 0;
}

/* Only the loop's end reaches a timer that is still armed. */
static int timer_gc(lua_State *L)
{
    struct ws_ltimer *t = luaL_checkudata(L, 1, WS_TIMER_NAME);
    if (t->anchored)
        ws_timer_drop(t);
    return 0;
}

void ws_timer_ready(lua_State *L, struct ws_ltimer *t)
{
    int64_t now = t->loop->loop.now_ms, next = t->timer.due_ms + t->every_ms;

    lua_rawgetp(L, WS_IX_LIVE, t);
    if (t->every_ms == 0) {
        t->anchored = 0;
        ws_unanchor(L, WS_IX_LOOP, t);
    } else {
        /* What was missed is not made up for. */
        next = next > now ? next : now + t->every_ms;
        ws_loop_arm(&t->loop->loop, &t->timer, next);
    }
    lua_getiuservalue(L, -1, 2);
    ws_handler_call(L, 0, 0, 0);
}

/* -- descriptors -- */

static unsigned check_events(lua_State *L, int idx)
{
    const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : "";
    unsigned want = 0;

    for (; *s != '\0'; s++) {
        if (*s != 'r' && *s != 'w')
            luaL_error(L, "watch: events must be \"r\", \"w\" or \"rw\"");
        want |= *s == 'r' ? WS_IO_READ : WS_IO_WRITE;
    }
    if (want == 0)
        luaL_error(L, "watch: events must be \"r\", \"w\" or \"rw\"");
    return want;
}

/* nil, message, code: why a descriptor cannot be watched. */
static int cannot_watch(lua_State *L, int errnum)
{
    if (errnum != EEXIST)
        return ws_push_errno(L, "watch", errnum);
    return ws_push_fail(L,
                        "watch: the descriptor has a watcher already; for both "
                        "directions there is \"rw\"",
                        "EEXIST");
}

/* loop:watch(fd, events, fn) -> watcher */
int ws_loop_watch_fd(lua_State *L)
{
    struct ws_lloop *ll = ws_check_loop(L, 1);
    int exact;
    lua_Integer fd = lua_tointegerx(L, 2, &exact);
    struct ws_lwatch *w;
    unsigned want;
    int err, errnum;

    if (!exact || fd < 0 || fd > 0x7FFFFFFF)
        return luaL_error(L, "watch: fd must be a file descriptor");
    want = check_events(L, 3);
    ws_check_callable(L, 4, "watch: callback");
    w = lua_newuserdatauv(L, sizeof *w, 2);
    memset(w, 0, sizeof *w);
    ws_watcher_init(&w->watcher, WS_TAG_WATCHER);
    w->loop = ll;
    luaL_setmetatable(L, WS_WATCHER_NAME);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, -2, 2);
    ws_anchor(L, 1, w, -1); /* may raise: nothing is watched yet */
    w->anchored = 1;
    err = ws_loop_watch(&ll->loop, &w->watcher, (int)fd, want);
    if (err == WS_OK)
        return 1;
    errnum = err == WS_ERR_NOMEM ? ENOMEM : errno;
    w->anchored = 0;
    ws_unanchor(L, 1, w);
    return cannot_watch(L, errnum);
}

void ws_watch_drop(struct ws_lwatch *w)
{
    if (w->loop != NULL)
        ws_loop_unwatch(&w->loop->loop, &w->watcher);
    w->loop = NULL;
    w->anchored = 0;
}

/* watcher:cancel(); before the descriptor is closed */
static int watcher_cancel(lua_State *L)
{
    struct ws_lwatch *w = luaL_checkudata(L, 1, WS_WATCHER_NAME);

    if (w->loop == NULL || !w->anchored)
        return 0;
    w->anchored = 0;
    ws_loop_unwatch(&w->loop->loop, &w->watcher);
    lua_getiuservalue(L, 1, 1);
    ws_unanchor(L, lua_gettop(L), w);
    return 0;
}

static int watcher_gc(lua_State *L)
{
    struct ws_lwatch *w = luaL_checkudata(L, 1, WS_WATCHER_NAME);
    if (w->anchored)
        ws_watch_drop(w);
    return 0;
}

void ws_watch_ready(lua_State *L, struct ws_lwatch *w)
{
    unsigned got = w->watcher.got, want = w->watcher.want;

    if ((got & WS_IO_ERROR) != 0)
        got |= want; /* the next call on the descriptor says what it is */
    lua_rawgetp(L, WS_IX_LIVE, w);
    lua_getiuservalue(L, -1, 2);
    if ((got & WS_IO_READ) != 0 && (got & WS_IO_WRITE) != 0)
        lua_pushliteral(L, "rw");
    else
        lua_pushstring(L, (got & WS_IO_READ) != 0 ? "r" : "w");
    ws_handler_call(L, 1, 0, 0);
}

/* core.read(fd [, n = 64 KiB]) -> what is there now, "" at the end; or nil,
** message, code: "EAGAIN" when there is nothing yet.  For the command, whose
** input must not stop the loop: io.read waits. */
static int read_fd(lua_State *L)
{
    lua_Integer fd = luaL_checkinteger(L, 1);
    lua_Integer n = luaL_optinteger(L, 2, READ_DEFAULT);
    luaL_Buffer b;
    size_t got;
    char *p;
    int err;

    luaL_argcheck(L, fd >= 0 && fd <= 0x7FFFFFFF, 1, "no file descriptor");
    luaL_argcheck(L, n > 0 && n <= READ_MAX, 2, "must be 1 to 1 MiB");
    p = luaL_buffinitsize(L, &b, (size_t)n);
    err = ws_fd_read((int)fd, p, (size_t)n, &got);
    if (err != WS_OK)
        return ws_push_errno(L, "read", err == WS_MORE ? EAGAIN : errno);
    luaL_pushresultsize(&b, got);
    return 1;
}

/* -- signals -- */

static const struct {
    const char *name;
    int signo;
} signal_names[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},
    {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"TERM", SIGTERM},
    {"ALRM", SIGALRM}, {"CHLD", SIGCHLD}, {"WINCH", SIGWINCH},
    {"CONT", SIGCONT}, {"TSTP", SIGTSTP}, {"PIPE", SIGPIPE},
};

static int check_signal(lua_State *L, int idx)
{
    const char *name = (const char *)ws_check_slice(L, idx, "signal: name").p;
    size_t i;

    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (i = 0; i < sizeof signal_names / sizeof signal_names[0]; i++) {
        if (strcmp(name, signal_names[i].name) == 0)
            return signal_names[i].signo;
    }
    return luaL_error(L, "signal: unknown signal '%s'", name);
}

static int watch_wake(struct ws_lloop *ll)
{
    if (ll->signals.want != 0)
        return WS_OK;
    return ws_loop_watch(&ll->loop, &ll->signals, ll->loop.wake.rd, WS_IO_READ);
}

/* loop:signal(name, fn) -> handle with cancel(); does not keep run() going */
int ws_loop_signal(lua_State *L)
{
    struct ws_lloop *ll = ws_check_loop(L, 1);
    int signo = check_signal(L, 2);
    struct ws_lsignal *g;

    ws_check_callable(L, 3, "signal: callback");
    g = lua_newuserdatauv(L, sizeof *g, 2);
    memset(g, 0, sizeof *g);
    ws_link_init(&g->link);
    luaL_setmetatable(L, WS_SIGNAL_NAME);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, -2, 2);
    if (watch_wake(ll) != WS_OK ||
        ws_signal_watch(signo, &ll->loop.wake) != WS_OK)
        return ws_push_errno(L, "signal", errno);
    g->loop = ll;
    g->signo = signo;
    ws_link_append(&ll->signal_list, &g->link);
    lua_getiuservalue(L, 1, WS_UV_LIVE);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, g);
    lua_pop(L, 1);
    return 1;
}

static int other_handler(const struct ws_lsignal *g)
{
    struct ws_link *list = &g->loop->signal_list, *l;

    for (l = ws_link_first(list); l != NULL; l = ws_link_next(list, l)) {
        if (ws_container(l, struct ws_lsignal, link)->signo == g->signo)
            return 1;
    }
    return 0;
}

static void drop_signal(struct ws_lsignal *g)
{
    if (g->signo == 0)
        return;
    ws_link_remove(&g->link);
    if (!other_handler(g))
        ws_signal_unwatch(g->signo, &g->loop->loop.wake);
    g->signo = 0;
    g->loop = NULL;
}

/* handle:cancel(); the signal does again what it did before */
static int signal_cancel(lua_State *L)
{
    struct ws_lsignal *g = luaL_checkudata(L, 1, WS_SIGNAL_NAME);

    if (g->signo == 0)
        return 0;
    drop_signal(g);
    lua_getiuservalue(L, 1, 1);
    lua_getiuservalue(L, -1, WS_UV_LIVE);
    lua_pushnil(L);
    lua_rawsetp(L, -2, g);
    return 0;
}

static int signal_gc(lua_State *L)
{
    drop_signal(luaL_checkudata(L, 1, WS_SIGNAL_NAME));
    return 0;
}

void ws_signals_drop(struct ws_lloop *ll)
{
    while (!ws_link_empty(&ll->signal_list))
        drop_signal(ws_container(ws_link_first(&ll->signal_list),
                                 struct ws_lsignal, link));
    ws_loop_unwatch(&ll->loop, &ll->signals);
}

/* Handlers may cancel themselves and others: the list is copied first. */
static void call_handlers(lua_State *L, struct ws_lloop *ll, int signo)
{
    struct ws_link *list = &ll->signal_list, *l;
    int i, n = 0, base;

    lua_newtable(L);
    base = lua_gettop(L);
    for (l = ws_link_first(list); l != NULL; l = ws_link_next(list, l)) {
        struct ws_lsignal *g = ws_container(l, struct ws_lsignal, link);
        if (g->signo != signo)
            continue;
        lua_rawgetp(L, WS_IX_LIVE, g);
        lua_rawseti(L, base, ++n);
    }
    for (i = 1; i <= n; i++) {
        struct ws_lsignal *g;
        lua_rawgeti(L, base, i);
        g = lua_touserdata(L, -1);
        if (g != NULL && g->signo == signo) {
            lua_getiuservalue(L, -1, 2);
            ws_handler_call(L, 0, 0, 0);
        }
        lua_settop(L, base);
    }
    lua_settop(L, base - 1);
}

void ws_signals_ready(lua_State *L, struct ws_lloop *ll)
{
    int signo;

    ws_wake_drain(&ll->loop.wake);
    for (;;) {
        signo = ws_signal_next(&ll->loop.wake);
        if (signo == 0)
            break;
        call_handlers(L, ll, signo);
    }
}

/* -- registration -- */

static void new_class(lua_State *L, const char *name, lua_CFunction cancel,
                      lua_CFunction gc)
{
    luaL_newmetatable(L, name);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, cancel);
    lua_setfield(L, -2, "cancel");
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, cancel);
    lua_setfield(L, -2, "__close");
    ws_seal_class(L);
}

void ws_open_timer(lua_State *L)
{
    new_class(L, WS_TIMER_NAME, timer_cancel, timer_gc);
    new_class(L, WS_WATCHER_NAME, watcher_cancel, watcher_gc);
    new_class(L, WS_SIGNAL_NAME, signal_cancel, signal_gc);
    lua_pushcfunction(L, read_fd);
    lua_setfield(L, -2, "read");
}
