/* probe_bind.c -- probe.bind: what the Lua state itself asks memory for.
**
** The state's allocator is wrapped in one that counts.  Lua tells an allocator
** what a new block is for (lua_Alloc's osize when there is no block yet), so
** strings, tables, closures... are counted apart; "other" is everything else:
** arrays, stacks, and what C code of ours asks for, since ws_mem passes the
** state's allocator on.  Objects made while it counts keep the wrapper, which
** is why the probe must not be unloaded before they are gone.
*/
#include "probe.h"

enum { STRINGS, TABLES, FUNCTIONS, USERDATA, THREADS, OTHER, RESIZED, COUNT };

static const char *const names[COUNT] = {"strings",  "tables",  "functions",
                                         "userdata", "threads", "other",
                                         "resized"};

static struct {
    lua_Alloc fn; /* the state's own */
    void *ud;
    lua_Integer n[COUNT];
} tally;

static int kind_of(size_t tag)
{
    switch (tag) {
    case LUA_TSTRING:
        return STRINGS;
    case LUA_TTABLE:
        return TABLES;
    case LUA_TFUNCTION:
        return FUNCTIONS;
    case LUA_TUSERDATA:
        return USERDATA;
    case LUA_TTHREAD:
        return THREADS;
    default:
        return OTHER;
    }
}

static void *counting(void *ud, void *p, size_t osize, size_t nsize)
{
    (void)ud;
    if (nsize > 0)
        tally.n[p == NULL ? kind_of(osize) : RESIZED]++;
    return tally.fn(tally.ud, p, osize, nsize);
}

/* count(): from here on; the numbers start at 0 again */
static int count(lua_State *L)
{
    void *ud;
    lua_Alloc fn = lua_getallocf(L, &ud);

    memset(tally.n, 0, sizeof tally.n);
    if (fn != counting) {
        tally.fn = fn;
        tally.ud = ud;
        lua_setallocf(L, counting, NULL);
    }
    return 0;
}

/* counted() -> {strings = n, tables = n, ...} since count() */
static int counted(lua_State *L)
{
    lua_Integer now[COUNT];
    int i;

    memcpy(now, tally.n, sizeof now);
    lua_createtable(L, 0, COUNT);
    for (i = 0; i < COUNT; i++) {
        lua_pushinteger(L, now[i]);
        lua_setfield(L, -2, names[i]);
    }
    return 1;
}

/* uncount(): the state's own allocator again.  Those who were given the
** wrapper meanwhile keep it, and it goes on to that one. */
static int uncount(lua_State *L)
{
    void *ud;

    if (lua_getallocf(L, &ud) == counting)
        lua_setallocf(L, tally.fn, tally.ud);
    return 0;
}

int ws_probe_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {{"count", count},
                                         {"counted", counted},
                                         {"uncount", uncount},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    probe_open_state(L);
    return 1;
}
