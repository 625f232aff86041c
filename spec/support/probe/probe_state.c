/* probe_state.c -- probe.bind.state: a Lua state whose memory runs out.
**
** The state is new, with an allocator of its own that counts, checks the sizes
** it is told, and fails when it was told to.  Its script finds two functions:
** arm() from where allocations count, and disarm().
*/
#include "probe.h"

#include <lualib.h>
#include <stdlib.h>

struct hoard {
    lua_Integer fail_at; /* allocations until one fails; 0: never */
    lua_Integer times;   /* how many then fail */
    lua_Integer calls, failed, bytes, wrong;
    int armed;
};

/* What lies before each block; as wide as malloc's own alignment. */
struct label {
    size_t size, unused;
};

static int fails_now(struct hoard *h, size_t osize, size_t nsize)
{
    if (!h->armed || nsize <= osize) /* Lua counts on shrinking */
        return 0;
    h->calls++;
    if (h->fail_at == 0 || h->calls < h->fail_at ||
        h->calls >= h->fail_at + h->times)
        return 0;
    h->failed++;
    return 1;
}

static void *alloc(void *ud, void *p, size_t osize, size_t nsize)
{
    struct hoard *h = ud;
    struct label *old = p == NULL ? NULL : (struct label *)p - 1;
    struct label *new;

    if (old == NULL)
        osize = 0; /* it was a type */
    else if (old->size != osize)
        h->wrong++;
    if (nsize == 0) {
        h->bytes -= (lua_Integer)osize;
        free(old);
        return NULL;
    }
    if (fails_now(h, osize, nsize))
        return NULL;
    new = malloc(sizeof *new + nsize); /* always elsewhere */
    if (new == NULL)
        return NULL;
    new->size = nsize;
    if (old != NULL)
        memcpy(new + 1, p, osize < nsize ? osize : nsize);
    free(old);
    h->bytes += (lua_Integer)nsize - (lua_Integer)osize;
    return new + 1;
}

static int arm(lua_State *L)
{
    struct hoard *h = lua_touserdata(L, lua_upvalueindex(1));
    h->armed = lua_toboolean(L, lua_upvalueindex(2));
    return 0;
}

static void give(lua_State *L, struct hoard *h, const char *name, int armed)
{
    lua_pushlightuserdata(L, h);
    lua_pushboolean(L, armed);
    lua_pushcclosure(L, arm, 2);
    lua_setglobal(L, name);
}

static void set_path(lua_State *L, const char *name, const char *value)
{
    lua_getglobal(L, "package");
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

struct play {
    struct hoard *hoard;
    const char *script, *path, *cpath;
};

static int play(lua_State *L)
{
    struct play *p = lua_touserdata(L, 1);

    luaL_openlibs(L);
    set_path(L, "path", p->path);
    set_path(L, "cpath", p->cpath);
    give(L, p->hoard, "arm", 1);
    give(L, p->hoard, "disarm", 0);
    if (luaL_loadstring(L, p->script) != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    return 1;
}

static void set_integer(lua_State *L, const char *name, lua_Integer n)
{
    lua_pushinteger(L, n);
    lua_setfield(L, -2, name);
}

/* state(script, fail_at = never, times = 1) -> what it returned or raised, as
** a string; {calls =, failed =, bytes = left after its end, wrong =} */
static int state(lua_State *L)
{
    struct hoard h;
    struct play p;
    lua_State *other;
    size_t n;
    const char *s;

    memset(&h, 0, sizeof h);
    p.hoard = &h;
    p.script = luaL_checkstring(L, 1);
    h.fail_at = luaL_optinteger(L, 2, 0);
    h.times = luaL_optinteger(L, 3, 1);
    lua_settop(L, 3);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    p.path = lua_tostring(L, -1);
    lua_getfield(L, -2, "cpath");
    p.cpath = lua_tostring(L, -1);
    other = lua_newstate(alloc, &h);
    if (other == NULL)
        return luaL_error(L, "no memory for a state");
    lua_pushcfunction(other, play);
    lua_pushlightuserdata(other, &p);
    (void)lua_pcall(other, 1, 1, 0);
    h.armed = 0;
    s = luaL_tolstring(other, -1, &n);
    lua_pushlstring(L, s, n);
    lua_close(other);
    lua_createtable(L, 0, 4);
    set_integer(L, "calls", h.calls);
    set_integer(L, "failed", h.failed);
    set_integer(L, "bytes", h.bytes);
    set_integer(L, "wrong", h.wrong);
    return 2;
}

void probe_open_state(lua_State *L)
{
    lua_pushcfunction(L, state);
    lua_setfield(L, -2, "state");
}
