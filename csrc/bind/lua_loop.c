/* bind/lua_loop.c -- the loop as a Lua object; its turn is in lua_turn.c. */
#include "bind/lua_task.h"
#include "bind/lua_timer.h"
#include "bind/lua_tls.h"

#include "net/errno.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

static const char default_loop = 0; /* its address is the registry's key */

/* -- finding one -- */

struct ws_lloop *ws_check_loop(lua_State *L, int idx)
{
    struct ws_lloop *ll = ws_check_self(L, idx, WS_LOOP_NAME);
    if (!ll->open)
        luaL_error(L, "loop is closed");
    return ll;
}

static const char *usual_backend(void)
{
    const char *name = getenv("WSOCK_BACKEND");
    return name == NULL || *name == '\0' ? NULL : name;
}

/* Without a backend the usual one. */
static int new_loop(lua_State *L, const char *given)
{
    struct ws_lloop *ll = lua_newuserdatauv(L, sizeof *ll, WS_UV_LOOP_COUNT);
    const char *backend = given != NULL ? given : usual_backend();
    void *ud;
    lua_Alloc fn = lua_getallocf(L, &ud);
    int err;

    memset(ll, 0, sizeof *ll);
    luaL_setmetatable(L, WS_LOOP_NAME); /* closed until it is open */
    lua_newtable(L);
    lua_setiuservalue(L, -2, WS_UV_LIVE);
    lua_newtable(L);
    lua_setiuservalue(L, -2, WS_UV_PINS);
    ws_new_task_table(L);
    lua_setiuservalue(L, -2, WS_UV_TASKS);
    ws_mem_init(&ll->mem, fn, ud);
    ws_link_init(&ll->signal_list);
    ws_link_init(&ll->tasks);
    ws_watcher_init(&ll->signals, WS_TAG_SIGNALS);
    err = ws_loop_init(&ll->loop, &ll->mem, backend);
    if (err == WS_ERR_ARGUMENT)
        return luaL_error(L, "%s must be \"epoll\" or \"poll\", got '%s'",
                          given != NULL ? "option 'backend'" : "WSOCK_BACKEND",
                          backend);
    if (err == WS_ERR_SYSTEM)
        return luaL_error(L, "loop: %s", ws_errno_text(errno));
    if (err != WS_OK)
        return luaL_error(L, "loop: %s", ws_err_text(err));
    ws_peers_init(&ll->peers, &ll->loop, &ll->mem);
    ll->open = 1;
    return 1;
}

static struct ws_lloop *push_default_loop(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &default_loop) == LUA_TNIL) {
        lua_pop(L, 1);
        new_loop(L, NULL);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &default_loop);
    }
    return lua_touserdata(L, -1);
}

struct ws_lloop *ws_push_loop_option(lua_State *L, int options)
{
    if (ws_get_field(L, options, "loop", LUA_TNONE)) {
        if (luaL_testudata(L, -1, WS_LOOP_NAME) == NULL)
            luaL_error(L, "option 'loop' must be a loop, got %s",
                       luaL_typename(L, -1));
        return ws_check_loop(L, lua_gettop(L));
    }
    lua_pop(L, 1);
    return push_default_loop(L);
}

/* wsock.loop{backend = name, handshakesMax = n} */
static int make_loop(lua_State *L)
{
    static const char *const names[] = {"backend", "handshakesMax", NULL};
    lua_Integer max = WS_PENDING_MAX;
    const char *backend = NULL;
    struct ws_lloop *ll;

    lua_settop(L, 1);
    if (!lua_isnil(L, 1)) {
        ws_check_table(L, 1, "options");
        ws_check_keys(L, 1, "option", names);
        if (ws_get_field(L, 1, "backend", LUA_TSTRING))
            backend = lua_tostring(L, -1);
        max = ws_get_integer(L, 1, "handshakesMax", WS_RANGE(max, 1, INT_MAX));
    }
    new_loop(L, backend);
    ll = lua_touserdata(L, -1);
    ws_dial_limit(&ll->peers, (unsigned)max);
    return 1;
}

/* -- anchoring -- */

/* Pushes `live` of an open loop. */
static struct ws_lloop *push_live(lua_State *L, int loop_idx)
{
    struct ws_lloop *ll = lua_touserdata(L, loop_idx);

    if (!ll->open) /* a table of options, or a finalizer, has closed it */
        luaL_error(L, "loop is closed");
    lua_getiuservalue(L, loop_idx, WS_UV_LIVE);
    return ll;
}

void ws_anchor(lua_State *L, int loop_idx, const void *key, int idx)
{
    struct ws_lloop *ll;

    idx = lua_absindex(L, idx);
    ll = push_live(L, loop_idx);
    lua_pushvalue(L, idx);
    lua_rawsetp(L, -2, key);
    lua_pop(L, 1);
    ll->active++;
}

void ws_unanchor(lua_State *L, int loop_idx, const void *key)
{
    struct ws_lloop *ll = lua_touserdata(L, loop_idx);

    lua_getiuservalue(L, loop_idx, WS_UV_LIVE);
    lua_pushnil(L);
    lua_rawsetp(L, -2, key);
    lua_pop(L, 1);
    ll->active--;
}

void ws_anchor_socket(lua_State *L, int loop_idx, struct ws_lsocket *k, int idx)
{
    struct ws_lloop *ll;

    idx = lua_absindex(L, idx);
    ll = push_live(L, loop_idx);
    lua_pushvalue(L, idx);
    k->slot = luaL_ref(L, -2);
    lua_pop(L, 1);
    ll->active++;
}

void ws_unanchor_socket(lua_State *L, int loop_idx, struct ws_lsocket *k)
{
    lua_getiuservalue(L, loop_idx, WS_UV_LIVE);
    luaL_unref(L, -1, k->slot);
    lua_pop(L, 1);
    k->slot = 0;
    k->loop->active--;
}

/* -- turning -- */

/* loop:run() */
static int loop_run(lua_State *L)
{
    ws_check_loop(L, 1);
    ws_turns(L, 1);
    return 0;
}

/* loop:step([timeout = 0]) -> whether anything is left that can happen */
static int loop_step(lua_State *L)
{
    struct ws_lloop *ll = ws_check_loop(L, 1);
    int64_t ms =
        lua_isnoneornil(L, 2) ? 0 : ws_check_seconds(L, 2, "step: timeout");

    if (ms < 0 && !ws_goes_on(ll))
        ms = 0; /* for ever would be too long to wait for nothing */
    ws_turn(L, 1, ms);
    lua_pushboolean(L, ws_goes_on(ll));
    return 1;
}

/* loop:stop() */
static int loop_stop(lua_State *L)
{
    struct ws_lloop *ll = ws_check_loop(L, 1);
    if (ll->running)
        ll->stopping = 1;
    return 0;
}

/* loop:now() -> seconds, monotonic */
static int loop_now(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)ws_clock_us() / 1e6);
    return 1;
}

/* -- inside another loop -- */

/* loop:getfd() -> a descriptor that is readable when step has work, or nil */
static int loop_getfd(lua_State *L)
{
    int fd = ws_loop_fd(&ws_check_loop(L, 1)->loop);

    if (fd < 0)
        return 0;
    lua_pushinteger(L, fd);
    return 1;
}

/* loop:events() -> "r" */
static int loop_events(lua_State *L)
{
    ws_check_loop(L, 1);
    lua_pushliteral(L, "r");
    return 1;
}

/* loop:timeout() -> seconds until step has work without the fd, or nil */
static int loop_timeout(lua_State *L)
{
    struct ws_lloop *ll = ws_check_loop(L, 1);
    int busy = ws_peers_busy(&ll->peers) || ll->pumped != NULL;
    int64_t ms = busy ? 0 : ws_loop_timeout(&ll->loop);

    if (ms < 0)
        return 0;
    lua_pushnumber(L, (lua_Number)ms / 1000.0);
    return 1;
}

/* -- life -- */

/* Everything that is at work lets go of the loop; Close 1001 where it is
** still possible (W-72).  Allocates nothing: this may not fail halfway. */
static void drop_live(lua_State *L, int live)
{
    lua_pushnil(L);
    while (lua_next(L, live) != 0) {
        void *p = lua_touserdata(L, -1);
        if (luaL_testudata(L, -1, WS_SOCKET_NAME) != NULL)
            ws_socket_drop(p);
        else if (luaL_testudata(L, -1, WS_SERVER_NAME) != NULL)
            ws_server_drop(p);
        else if (luaL_testudata(L, -1, WS_TIMER_NAME) != NULL)
            ws_timer_drop(p);
        else if (luaL_testudata(L, -1, WS_WATCHER_NAME) != NULL)
            ws_watch_drop(p);
        else if (luaL_testudata(L, -1, WS_TASK_NAME) != NULL)
            ws_task_drop(p);
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, live);
    }
}

/* Also while it runs: when a handler ends the program by os.exit(n, true),
** nothing comes back to the turn. */
static int loop_gc(lua_State *L)
{
    struct ws_lloop *ll = ws_check_self(L, 1, WS_LOOP_NAME);

    if (!ll->open)
        return 0;
    ll->open = 0;
    lua_settop(L, 1);
    if (lua_getiuservalue(L, 1, WS_UV_LIVE) == LUA_TTABLE)
        drop_live(L, 2);
    ll->active = 0;
    ws_drop_tls(L, 1);
    ws_signals_drop(ll);
    ws_peers_free(&ll->peers);
    ws_loop_free(&ll->loop);
    return 0;
}

/* loop:close() */
static int loop_close(lua_State *L)
{
    struct ws_lloop *ll = ws_check_self(L, 1, WS_LOOP_NAME);

    if (ll->running)
        return luaL_error(L, "a loop cannot be closed while it runs");
    lua_settop(L, 1);
    if (ll->open)
        ws_cancel_tasks(L, ll);
    return loop_gc(L);
}

static int loop_tostring(lua_State *L)
{
    struct ws_lloop *ll = ws_check_self(L, 1, WS_LOOP_NAME);

    if (ll->open)
        lua_pushfstring(L, "wsock.loop (%s, %d at work)",
                        ll->loop.backend->name, (int)ll->active);
    else
        lua_pushliteral(L, "wsock.loop (closed)");
    return 1;
}

static int loop_index(lua_State *L)
{
    struct ws_lloop *ll = ws_check_self(L, 1, WS_LOOP_NAME);
    const char *key = luaL_checkstring(L, 2);

    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    if (strcmp(key, "onerror") == 0)
        lua_getiuservalue(L, 1, WS_UV_ONERROR);
    else if (strcmp(key, "backend") == 0 && ll->open)
        lua_pushstring(L, ll->loop.backend->name);
    else if (strcmp(key, "handshakesMax") == 0 && ll->open)
        lua_pushinteger(L, (lua_Integer)ll->peers.pending_max);
    return 1;
}

static int set_handshakes_max(lua_State *L)
{
    struct ws_lloop *ll = ws_check_loop(L, 1);
    int exact = 0;
    lua_Integer max = 0;

    if (lua_type(L, 3) == LUA_TNUMBER)
        max = lua_tointegerx(L, 3, &exact);
    if (!exact || max < 1 || max > INT_MAX)
        return luaL_error(L,
                          "handshakesMax must be an integer from 1 to %d, "
                          "got %s",
                          INT_MAX,
                          lua_type(L, 3) == LUA_TNUMBER ? lua_tostring(L, 3)
                                                        : luaL_typename(L, 3));
    ws_dial_limit(&ll->peers, (unsigned)max);
    return 0;
}

static int loop_newindex(lua_State *L)
{
    static const char *const names[] = {"onerror", "handshakesMax", NULL};
    const char *key;

    ws_check_self(L, 1, WS_LOOP_NAME);
    key = luaL_checkstring(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL ||
        strcmp(key, "backend") == 0)
        return luaL_error(L, "field '%s' of a loop is read-only", key);
    if (strcmp(key, "handshakesMax") == 0)
        return set_handshakes_max(L);
    if (strcmp(key, "onerror") != 0)
        return ws_unknown_key(L, "field of a loop", key, names);
    if (!lua_isnil(L, 3))
        ws_check_callable(L, 3, "onerror");
    lua_settop(L, 3);
    lua_setiuservalue(L, 1, WS_UV_ONERROR);
    return 0;
}

/* -- registration -- */

static const luaL_Reg methods[] = {
    {"run", loop_run},
    {"step", loop_step},
    {"stop", loop_stop},
    {"now", loop_now},
    {"after", ws_loop_after},
    {"every", ws_loop_every},
    {"watch", ws_loop_watch_fd},
    {"signal", ws_loop_signal},
    {"spawn", ws_loop_spawn},
    {"sleep", ws_loop_sleep},
    {"setTimeout", ws_loop_set_timeout},
    {"setInterval", ws_loop_set_interval},
    {"clearTimeout", ws_loop_clear},
    {"clearInterval", ws_loop_clear},
    {NULL, NULL},
};

/* Methods that make no sense on the module. */
static const luaL_Reg own_methods[] = {
    {"getfd", loop_getfd},     {"pollfd", loop_getfd}, {"events", loop_events},
    {"timeout", loop_timeout}, {"close", loop_close},  {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", loop_gc},
    {"__close", loop_close},
    {"__tostring", loop_tostring},
    {NULL, NULL},
};

/* wsock.f(...) is defaultLoop:f(...) */
static int on_default(lua_State *L)
{
    push_default_loop(L);
    lua_insert(L, 1);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static int push_default(lua_State *L)
{
    push_default_loop(L);
    return 1;
}

void ws_open_loop(lua_State *L)
{
    const luaL_Reg *r;

    luaL_newmetatable(L, WS_LOOP_NAME);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    luaL_setfuncs(L, own_methods, 0);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, loop_newindex, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -5, "setField"); /* for wsock's own fields */
    lua_setfield(L, -3, "__newindex");
    lua_pushcclosure(L, loop_index, 1);
    lua_setfield(L, -2, "__index");
    ws_seal_class(L);
    for (r = methods; r->name != NULL; r++) {
        lua_pushcfunction(L, r->func);
        lua_pushcclosure(L, on_default, 1);
        lua_setfield(L, -2, r->name);
    }
    lua_pushcfunction(L, make_loop);
    lua_setfield(L, -2, "loop");
    lua_pushcfunction(L, push_default);
    lua_setfield(L, -2, "defaultLoop");
}
