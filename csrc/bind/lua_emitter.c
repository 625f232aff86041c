/* bind/lua_emitter.c -- listeners: the browser's EventTarget and Node's on.
**
** The own table of a socket or server holds at index [event] either one
** function, which is called with plain arguments, the fast way (one added by
** on to a socket, or a server's on... attribute), or a list of entries.  A list
** is never changed, only replaced, so that whoever walks one is not disturbed:
** what is added meanwhile waits for the next event, and what is removed is
** marked and not called any more (DOM 2.9; W-60 to W-65).  Only an attribute's
** entry takes its new function in place (HTML 8.1.8.1).
*/
#include "bind/lua_emitter.h"

#include "bind/lua_handler.h"
#include "bind/lua_pull.h"

/* An entry: {function, kind, once = bool, removed = bool}. */
enum { E_FN = 1, E_KIND = 2, E_ONCE = 3, E_REMOVED = 4 };
enum { PLAIN, EVENT, ATTRIBUTE }; /* how it is called, where it came from */

static const char *const names[] = {
    "open",    "message",   "close",  "error",      "ping",
    "pong",    "drain",     "chunk",  "connection", "request",
    "upgrade", "listening", "closed", "refused",    NULL};

/* For a hint: what a socket has of them. */
static const char *const of_sockets[] = {"open",  "message", "close",
                                         "error", "ping",    "pong",
                                         "drain", "chunk",   NULL};

int ws_event_number(const char *name, int on, int server)
{
    int i, last = server ? WS_ON_COUNT : WS_ON_CONNECTION;

    if (on) {
        if (name[0] != 'o' || name[1] != 'n')
            return 0;
        name += 2;
    }
    for (i = 1; i < last; i++) {
        if (strcmp(name, names[i - 1]) == 0)
            return i;
    }
    return 0;
}

const char *ws_event_name(int number)
{
    return names[number - 1];
}

void ws_push_own(lua_State *L, int idx)
{
    idx = lua_absindex(L, idx);
    if (lua_getiuservalue(L, idx, WS_UV_OWN) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, idx, WS_UV_OWN);
}

/* -- lists -- */

static void push_entry(lua_State *L, int fn, int kind, int once)
{
    fn = lua_absindex(L, fn);
    lua_createtable(L, 4, 0);
    lua_pushvalue(L, fn);
    lua_rawseti(L, -2, E_FN);
    lua_pushinteger(L, kind);
    lua_rawseti(L, -2, E_KIND);
    lua_pushboolean(L, once);
    lua_rawseti(L, -2, E_ONCE);
}

static int entry_kind(lua_State *L, int entry)
{
    int kind;
    lua_rawgeti(L, entry, E_KIND);
    kind = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return kind;
}

static int entry_flag(lua_State *L, int entry, int field)
{
    int v;
    lua_rawgeti(L, entry, field);
    v = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return v;
}

/* What a lone function in an own table is. */
static int fast_kind(const struct ws_emitter *t)
{
    return t->server ? ATTRIBUTE : PLAIN;
}

/* Pushes a new list with what is listening now; own table at `own`. */
static void push_copy(lua_State *L, const struct ws_emitter *t, int own,
                      int event)
{
    int type = lua_rawgeti(L, own, event), n, i;

    if (type == LUA_TFUNCTION) {
        push_entry(L, -1, fast_kind(t), 0);
        lua_createtable(L, 2, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
    } else if (type == LUA_TTABLE) {
        n = (int)lua_rawlen(L, -1);
        lua_createtable(L, n + 1, 0);
        for (i = 1; i <= n; i++) {
            lua_rawgeti(L, -2, i);
            lua_rawseti(L, -2, i);
        }
    } else {
        lua_newtable(L);
    }
    lua_remove(L, -2);
}

/* Whether the list at the top may become a lone function: not when there was
** a list before, since somebody may be walking it and must see its entries
** marked when they are removed. */
static int can_be_lone(lua_State *L, const struct ws_emitter *t, int own,
                       int event)
{
    int list = lua_gettop(L), can;

    if (lua_rawlen(L, list) != 1)
        return 0;
    lua_rawgeti(L, list, 1);
    can = lua_rawgeti(L, own, event) != LUA_TTABLE &&
          entry_kind(L, list + 1) == fast_kind(t) &&
          !entry_flag(L, list + 1, E_ONCE) &&
          lua_rawgeti(L, list + 1, E_FN) == LUA_TFUNCTION;
    lua_settop(L, list);
    return can;
}

/* Stores the list at the top (popped) in its simplest form. */
static void store(lua_State *L, const struct ws_emitter *t, int own, int event)
{
    int list = lua_gettop(L);

    if (lua_rawlen(L, list) == 0) {
        lua_pushnil(L);
        lua_replace(L, list);
        *t->mask &= (uint16_t) ~(1u << event);
    } else {
        *t->mask |= (uint16_t)(1u << event);
    }
    if (!lua_isnil(L, list) && can_be_lone(L, t, own, event)) {
        lua_rawgeti(L, list, 1);
        lua_rawgeti(L, -1, E_FN);
        lua_replace(L, list);
        lua_settop(L, list);
    }
    lua_rawseti(L, own, event);
}

/* The last place of an entry of that kind, with the function at fn unless
** that is 0; 0: none. */
static int find(lua_State *L, int list, int fn, int kind)
{
    int i, at = 0, top = lua_gettop(L);

    for (i = (int)lua_rawlen(L, list); i >= 1 && at == 0; i--) {
        lua_rawgeti(L, list, i);
        lua_rawgeti(L, top + 1, E_FN);
        if (entry_kind(L, top + 1) == kind &&
            (fn == 0 || lua_rawequal(L, top + 2, fn)))
            at = i;
        lua_settop(L, top);
    }
    return at;
}

/* Takes entry `at` out of the list at the top and marks it. */
static void take_out(lua_State *L, int at)
{
    int list = lua_gettop(L), n = (int)lua_rawlen(L, list), i;

    lua_rawgeti(L, list, at);
    lua_pushboolean(L, 1);
    lua_rawseti(L, -2, E_REMOVED);
    lua_pop(L, 1);
    for (i = at; i < n; i++) {
        lua_rawgeti(L, list, i + 1);
        lua_rawseti(L, list, i);
    }
    lua_pushnil(L);
    lua_rawseti(L, list, n);
}

/* -- registering: the object is at 1, name at 2, function at 3 -- */

enum { OWN = 4, LIST = 5 };

static int check_event(lua_State *L, const struct ws_emitter *t)
{
    const char *name = luaL_checkstring(L, 2);
    int event = ws_event_number(name, 0, t->server);

    if (event == 0)
        ws_unknown_key(L, "event", name, t->server ? names : of_sockets);
    return event;
}

/* Leaves object, name, function, own table and a copy of the list. */
static void open_list(lua_State *L, const struct ws_emitter *t, int event)
{
    lua_settop(L, 3);
    ws_push_own(L, 1);
    push_copy(L, t, OWN, event);
}

static void add(lua_State *L, const struct ws_emitter *t, int event, int kind,
                int once)
{
    open_list(L, t, event);
    push_entry(L, 3, kind, once);
    lua_rawseti(L, LIST, (lua_Integer)lua_rawlen(L, LIST) + 1);
    store(L, t, OWN, event);
    ws_pull_listens(t, event);
}

static void drop(lua_State *L, const struct ws_emitter *t, int event, int kind)
{
    int fn, at;

    open_list(L, t, event);
    fn = lua_isnil(L, 3) ? 0 : 3;
    at = find(L, LIST, fn, kind);
    while (at != 0) {
        take_out(L, at);
        at = fn == 0 ? find(L, LIST, 0, kind) : 0;
    }
    store(L, t, OWN, event);
}

/* obj:on(name, fn), obj:once(name, fn) -> obj */
int ws_emitter_on(lua_State *L, const struct ws_emitter *t, int once)
{
    int event = check_event(L, t);

    ws_check_callable(L, 3, "listener");
    ws_pull_check(L, t, event);
    add(L, t, event, PLAIN, once);
    lua_settop(L, 1);
    return 1;
}

/* obj:off(name [, fn]) -> obj; without fn all that on and once added */
int ws_emitter_off(lua_State *L, const struct ws_emitter *t)
{
    int event = check_event(L, t);

    drop(L, t, event, PLAIN);
    lua_settop(L, 1);
    return 1;
}

/* The options at 4; a boolean is the browser's "capture", and nothing here. */
static int check_once(lua_State *L)
{
    static const char *const options[] = {"once", NULL};
    if (lua_isnoneornil(L, 4) || lua_isboolean(L, 4))
        return 0;
    ws_check_table(L, 4, "options");
    ws_check_keys(L, 4, "option of addEventListener", options);
    return ws_get_boolean(L, 4, "once", 0);
}

/* obj:addEventListener(type, fn [, {once = true}]) */
int ws_emitter_add(lua_State *L, const struct ws_emitter *t)
{
    int event = ws_event_number(luaL_checkstring(L, 2), 0, 0);
    int once = check_once(L);
    lua_settop(L, 3);
    if (!lua_isnil(L, 3) && !lua_istable(L, 3))
        ws_check_callable(L, 3, "listener");
    if (lua_isnil(L, 3) || event == 0) /* as null in browsers (W-60); an */
        return 0;                      /* unknown type is never fired */
    ws_pull_check(L, t, event);
    open_list(L, t, event);
    if (find(L, LIST, 3, EVENT) == 0)
        add(L, t, event, EVENT, once);
    return 0;
}

/* obj:removeEventListener(type, fn) */
int ws_emitter_remove(lua_State *L, const struct ws_emitter *t)
{
    int event = ws_event_number(luaL_checkstring(L, 2), 0, 0);

    lua_settop(L, 3);
    if (event != 0 && !lua_isnil(L, 3))
        drop(L, t, event, EVENT);
    return 0;
}

/* -- on... -- */

void ws_emitter_get(lua_State *L, const struct ws_emitter *t, int event)
{
    int top = lua_gettop(L), at;

    ws_push_own(L, 1);
    push_copy(L, t, top + 1, event);
    at = find(L, top + 2, 0, ATTRIBUTE);
    lua_pushnil(L);
    if (at != 0) {
        lua_rawgeti(L, top + 2, at);
        lua_rawgeti(L, -1, E_FN);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

/* Gives the attribute's entry `at`, 0: none yet, the function at 3. */
static void set_attribute(lua_State *L, int at)
{
    if (at != 0) { /* it keeps its place (W-61) */
        lua_rawgeti(L, LIST, at);
        lua_pushvalue(L, 3);
        lua_rawseti(L, -2, E_FN);
        lua_pop(L, 1);
        return;
    }
    push_entry(L, 3, ATTRIBUTE, 0);
    lua_rawseti(L, LIST, (lua_Integer)lua_rawlen(L, LIST) + 1);
}

void ws_emitter_set(lua_State *L, const struct ws_emitter *t, int event)
{
    int at;

    if (!lua_isnil(L, 3)) {
        ws_check_callable(L, 3, lua_tostring(L, 2));
        ws_pull_check(L, t, event);
    }
    open_list(L, t, event);
    at = find(L, LIST, 0, ATTRIBUTE);
    if (!lua_isnil(L, 3)) {
        set_attribute(L, at);
        ws_pull_listens(t, event);
    } else if (at != 0) {
        take_out(L, at);
    }
    store(L, t, OWN, event);
}

/* -- firing -- */

/* Pushes the event table for what is fired (W-50 to W-55). */
static void push_event(lua_State *L, const struct ws_firing *f, int args)
{
    static const char *const fields[WS_ON_CONNECTION][3] = {
        {NULL},
        {NULL},
        {"data", "kind", NULL},
        {"code", "reason", "wasClean"},
        {"message", "code", "status"},
        {"data", NULL},
        {"data", NULL},
        {NULL},
        {"data", "kind", "final"}};
    int i;

    lua_createtable(L, 0, 7);
    lua_pushstring(L, ws_event_name(f->event));
    lua_setfield(L, -2, "type");
    lua_pushvalue(L, f->emitter.idx);
    lua_setfield(L, -2, "target");
    lua_pushvalue(L, f->emitter.idx);
    lua_setfield(L, -2, "currentTarget");
    for (i = 0; i < f->nargs && i < 3 && fields[f->event][i] != NULL; i++) {
        lua_pushvalue(L, args + i);
        lua_setfield(L, -2, fields[f->event][i]);
    }
    if (f->event == WS_ON_MESSAGE) {
        lua_getfield(L, f->emitter.idx, "origin");
        lua_setfield(L, -2, "origin");
    }
}

/* Takes an entry that listens once out of what is stored now (W-62). */
static void use_up(lua_State *L, const struct ws_firing *f, int entry)
{
    int top = lua_gettop(L), i;

    ws_push_own(L, f->emitter.idx);
    push_copy(L, &f->emitter, top + 1, f->event);
    for (i = (int)lua_rawlen(L, top + 2); i >= 1; i--) {
        lua_rawgeti(L, top + 2, i);
        if (lua_rawequal(L, -1, entry))
            break;
        lua_pop(L, 1);
    }
    lua_settop(L, top + 2);
    if (i >= 1)
        take_out(L, i);
    store(L, &f->emitter, top + 1, f->event);
    lua_settop(L, top);
}

/* Calls the function at the top with plain arguments. */
static int call_plain(lua_State *L, const struct ws_firing *f, int args)
{
    int i, n = f->nargs;

    if (f->passed != 0) {
        lua_pushvalue(L, f->passed);
        n++;
    }
    for (i = 0; i < f->nargs; i++)
        lua_pushvalue(L, args + i);
    return ws_handler_call(L, n, 0, f->about);
}

/* (object, event): an object that listens; looked at only now, when what it
** raises is a handler's error (W-65). */
static int call_object(lua_State *L)
{
    if (luaL_getmetafield(L, 1, "__call") == LUA_TNIL &&
        lua_getfield(L, 1, "handleEvent") == LUA_TNIL)
        return luaL_error(L, "the listener has no handleEvent");
    lua_insert(L, 1);
    lua_call(L, 2, 0);
    return 0;
}

/* Calls the function or object at the top. */
static int call_event(lua_State *L, const struct ws_firing *f, int event)
{
    int n = 1;

    if (lua_istable(L, -1)) {
        lua_pushcfunction(L, call_object);
        lua_insert(L, -2);
        n = 2;
    }
    lua_pushvalue(L, event);
    return ws_handler_call(L, n, 0, f->about);
}

static int fire_entry(lua_State *L, const struct ws_firing *f, int args,
                      int event)
{
    int entry = lua_gettop(L), kind = entry_kind(L, entry);

    if (entry_flag(L, entry, E_REMOVED))
        return 0;
    if (entry_flag(L, entry, E_ONCE))
        use_up(L, f, entry);
    if (kind == PLAIN || f->emitter.server) {
        lua_rawgeti(L, entry, E_FN);
        return call_plain(L, f, args);
    }
    if (lua_isnil(L, event)) {
        push_event(L, f, args);
        lua_replace(L, event);
    }
    lua_rawgeti(L, entry, E_FN);
    return call_event(L, f, event);
}

static int fire_list(lua_State *L, const struct ws_firing *f, int args)
{
    int list = lua_gettop(L), n = (int)lua_rawlen(L, list), i, raised = 0;

    lua_pushnil(L); /* the event, made for the first who wants one */
    for (i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        raised |= fire_entry(L, f, args, list + 1);
        lua_settop(L, list + 1);
    }
    return raised;
}

int ws_emitter_fire(lua_State *L, const struct ws_firing *f)
{
    int top = lua_gettop(L), args = top - f->nargs + 1, raised = 0, type;

    luaL_checkstack(L, 24, NULL);
    if (lua_getiuservalue(L, f->emitter.idx, WS_UV_OWN) != LUA_TTABLE) {
        lua_settop(L, top);
        return 0;
    }
    type = lua_rawgeti(L, -1, f->event);
    if (type == LUA_TFUNCTION)
        raised = call_plain(L, f, args);
    else if (type == LUA_TTABLE)
        raised = fire_list(L, f, args);
    lua_settop(L, top);
    return raised;
}
