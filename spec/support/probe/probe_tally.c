/* probe_tally.c -- probe.peer.tally: connections per address.  How each is
** counted is the caller's to keep, as a number. */
#include "probe.h"

#include "peer/tally.h"

#define TALLY "probe.tally"

static struct ws_tally *get(lua_State *L)
{
    return luaL_checkudata(L, 1, TALLY);
}

/* The address at arg: one in numbers, or the path of a unix socket. */
static struct ws_addr address(lua_State *L, int arg)
{
    const char *text = luaL_checkstring(L, arg);
    struct ws_addr a;

    luaL_argcheck(L,
                  text[0] == '/' ? ws_addr_unix(&a, text) == WS_OK
                                 : ws_addr_parse(&a, text, 4711) == WS_OK,
                  arg, "an address");
    return a;
}

/* tally(mem, max) */
static int tally_new(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    unsigned max = (unsigned)luaL_checkinteger(L, 2);

    ws_tally_init(probe_new(L, sizeof(struct ws_tally), TALLY, 1), mem, max);
    return 1;
}

static int answer(lua_State *L, int err, uint8_t how)
{
    if (err != WS_OK)
        return probe_result(L, err);
    lua_pushinteger(L, how);
    return 1;
}

/* t:arrive(address) -> how, or nil, error */
static int tally_arrive(lua_State *L)
{
    struct ws_addr a = address(L, 2);
    uint8_t how = 77;
    int err = ws_tally_arrive(get(L), &a, &how);

    return answer(L, err, how);
}

/* t:enter(address, how) -> how, or nil, error */
static int tally_enter(lua_State *L)
{
    struct ws_addr a = address(L, 2);
    uint8_t how = (uint8_t)luaL_checkinteger(L, 3);
    int err = ws_tally_enter(get(L), &a, &how);

    return answer(L, err, how);
}

/* t:leave(address, how) -> how */
static int tally_leave(lua_State *L)
{
    struct ws_addr a = address(L, 2);
    uint8_t how = (uint8_t)luaL_checkinteger(L, 3);

    ws_tally_leave(get(L), &a, &how);
    return answer(L, WS_OK, how);
}

/* t:rows() -> in use, there are */
static int tally_rows(lua_State *L)
{
    const struct ws_tally *t = get(L);

    lua_pushinteger(L, (lua_Integer)t->used);
    lua_pushinteger(L, (lua_Integer)t->size);
    return 2;
}

static int tally_free(lua_State *L)
{
    ws_tally_free(get(L));
    return 0;
}

void probe_open_tally(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"arrive", tally_arrive}, {"enter", tally_enter},
        {"leave", tally_leave},   {"rows", tally_rows},
        {"free", tally_free},     {NULL, NULL},
    };

    probe_class(L, TALLY, methods, tally_free);
    lua_pushcfunction(L, tally_new);
    lua_setfield(L, -2, "tally");
}
