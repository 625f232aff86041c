/* probe_deflate.c -- what knows about compression: probe.wire.deflate and
** inflate, probe.proto.offer_*, pmd_pool and pmd. */
#include "probe_proto.h"

#include "base/err.h"
#include "proto/pmd.h"

#define DEFLATE "probe.deflate"
#define INFLATE "probe.inflate"
#define POOL "probe.pmd_pool"
#define PMD "probe.pmd"

static int integer(lua_State *L, int idx, const char *name, int def)
{
    int n;
    lua_getfield(L, idx, name);
    n = (int)luaL_optinteger(L, -1, def);
    lua_pop(L, 1);
    return n;
}

static struct ws_deflate_conf deflate_conf(lua_State *L, int idx)
{
    struct ws_deflate_conf c;
    c.window = (uint8_t)integer(L, idx, "window", 15);
    c.memory = (uint8_t)integer(L, idx, "memory", 8);
    c.level = (uint8_t)integer(L, idx, "level", 6);
    return c;
}

/* A room of exactly n bytes at the top. */
static struct ws_span room_of(lua_State *L, size_t n)
{
    return ws_span_of(lua_newuserdatauv(L, n == 0 ? 1 : n, 0), n);
}

/* The bytes at arg in memory of exactly their size, which is pushed behind
** all arguments. */
static struct ws_slice copy_of(lua_State *L, int arg)
{
    struct ws_slice s = probe_slice(L, arg);
    struct ws_span copy;
    lua_settop(L, 4);
    copy = room_of(L, s.n);
    if (s.n > 0)
        memcpy(copy.p, s.p, s.n);
    return ws_slice_of(copy.p, s.n);
}

/* -- wire/deflate -- */

/* deflate(mem, {window=, memory=, level=}) -> object, or nothing */
static int deflate_new(lua_State *L)
{
    struct ws_deflate **d = probe_new(L, sizeof(void *), DEFLATE, 1);
    *d = ws_deflate_new(probe_mem(L, 1), deflate_conf(L, 2));
    return *d == NULL ? 0 : 1;
}

static int deflate_free(lua_State *L)
{
    struct ws_deflate **d = luaL_checkudata(L, 1, DEFLATE);
    ws_deflate_free(*d);
    *d = NULL;
    return 0;
}

static int deflate_reset(lua_State *L)
{
    ws_deflate_reset(*(struct ws_deflate **)luaL_checkudata(L, 1, DEFLATE),
                     (int)luaL_checkinteger(L, 2));
    return 0;
}

static int deflate_warm(lua_State *L)
{
    ws_deflate_warm(*(struct ws_deflate **)luaL_checkudata(L, 1, DEFLATE));
    return 0;
}

/* :conf() -> window, memory, level */
static int deflate_asked(lua_State *L)
{
    struct ws_deflate **d = luaL_checkudata(L, 1, DEFLATE);
    struct ws_deflate_conf c = ws_deflate_conf(*d);
    lua_pushinteger(L, c.window);
    lua_pushinteger(L, c.memory);
    lua_pushinteger(L, c.level);
    return 3;
}

/* :run(data, flush [, room = 65536]) -> what came out, in rooms of that size;
** the number of rooms */
static int deflate_run(lua_State *L)
{
    struct ws_deflate **d = luaL_checkudata(L, 1, DEFLATE);
    size_t n = (size_t)luaL_optinteger(L, 4, 65536);
    struct ws_slice in = copy_of(L, 2);
    struct ws_span all = room_of(L, n), out;
    int rounds = 0, err;
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    do {
        out = all;
        err = ws_deflate_run(*d, &in, &out, lua_toboolean(L, 3));
        luaL_addlstring(&b, (const char *)all.p, all.n - out.n);
        rounds++;
    } while (err == WS_MORE && rounds < 1000000);
    luaL_pushresult(&b);
    lua_pushinteger(L, rounds);
    return 2;
}

/* inflate(mem, window) -> object, or nothing */
static int inflate_new(lua_State *L)
{
    int window = (int)luaL_optinteger(L, 2, 15);
    struct ws_inflate **z = probe_new(L, sizeof(void *), INFLATE, 1);
    *z = ws_inflate_new(probe_mem(L, 1), window);
    return *z == NULL ? 0 : 1;
}

static struct ws_inflate *check_inflate(lua_State *L)
{
    return *(struct ws_inflate **)luaL_checkudata(L, 1, INFLATE);
}

static int inflate_free(lua_State *L)
{
    struct ws_inflate **z = luaL_checkudata(L, 1, INFLATE);
    ws_inflate_free(*z);
    *z = NULL;
    return 0;
}

static int inflate_reset(lua_State *L)
{
    ws_inflate_reset(check_inflate(L));
    return 0;
}

/* :run(data [, room = 65536]) -> what came out, bytes left of data; or nil and
** the error */
static int inflate_run(lua_State *L)
{
    struct ws_inflate *z = check_inflate(L);
    size_t n = (size_t)luaL_optinteger(L, 3, 65536);
    struct ws_slice in = copy_of(L, 2);
    struct ws_span all = room_of(L, n), out;
    luaL_Buffer b;
    int err;
    luaL_buffinit(L, &b);
    do {
        out = all;
        err = ws_inflate_run(z, &in, &out);
        luaL_addlstring(&b, (const char *)all.p, all.n - out.n);
    } while (err == WS_MORE);
    if (err != WS_OK)
        return probe_result(L, err);
    luaL_pushresult(&b);
    lua_pushinteger(L, (lua_Integer)in.n);
    return 2;
}

/* :at() -> between blocks, fresh */
static int inflate_at(lua_State *L)
{
    lua_pushboolean(L, ws_inflate_between(check_inflate(L)));
    lua_pushboolean(L, ws_inflate_fresh(check_inflate(L)));
    return 2;
}

void probe_open_deflate(lua_State *L)
{
    static const luaL_Reg deflate_methods[] = {
        {"free", deflate_free},  {"reset", deflate_reset},
        {"warm", deflate_warm},  {"run", deflate_run},
        {"conf", deflate_asked}, {NULL, NULL}};
    static const luaL_Reg inflate_methods[] = {
        {"free", inflate_free}, {"reset", inflate_reset},
        {"run", inflate_run},   {"at", inflate_at},
        {NULL, NULL},
    };
    probe_class(L, DEFLATE, deflate_methods, deflate_free);
    probe_class(L, INFLATE, inflate_methods, inflate_free);
    lua_pushcfunction(L, deflate_new);
    lua_setfield(L, -2, "deflate");
    lua_pushcfunction(L, inflate_new);
    lua_setfield(L, -2, "inflate");
}

/* -- proto/offer -- */

/* {server_window=, client_window= (255: any), server_alone=, client_alone=} */
static struct ws_offer offer_of(lua_State *L, int idx)
{
    struct ws_offer o;
    memset(&o, 0, sizeof o);
    if (lua_isnoneornil(L, idx))
        return o;
    o.server_window = (uint8_t)integer(L, idx, "server_window", 0);
    o.client_window = (uint8_t)integer(L, idx, "client_window", 0);
    lua_getfield(L, idx, "server_alone");
    o.server_alone = (uint8_t)lua_toboolean(L, -1);
    lua_getfield(L, idx, "client_alone");
    o.client_alone = (uint8_t)lua_toboolean(L, -1);
    lua_pop(L, 2);
    return o;
}

static void push_offer(lua_State *L, const struct ws_offer *o)
{
    char text[WS_OFFER_SIZE];
    lua_pushlstring(L, text, ws_offer_write(text, o));
}

void probe_pmd_conf(lua_State *L, int idx, struct ws_pmd_conf *c)
{
    struct ws_deflate_conf d = deflate_conf(L, idx);
    c->offer = offer_of(L, idx);
    c->threshold = (size_t)integer(L, idx, "threshold", 0);
    c->threshold_kept = (size_t)integer(L, idx, "threshold_kept", 0);
    c->level = d.level;
    c->memory = d.memory;
    c->on = 1;
}

/* offer_write(offer) -> text */
static int offer_write(lua_State *L)
{
    struct ws_offer o = offer_of(L, 1);
    push_offer(L, &o);
    return 1;
}

/* offer_choose(ours, value) -> the answer as text, or nil, code */
static int offer_choose(lua_State *L)
{
    struct ws_offer ours = offer_of(L, 1), answer;
    int err = ws_offer_choose(&ours, copy_of(L, 2), &answer);
    if (err != WS_OK)
        return probe_result(L, err);
    push_offer(L, &answer);
    return 1;
}

/* offer_check(ours, value) -> what was read, as text, or nil, code */
static int offer_check(lua_State *L)
{
    struct ws_offer ours = offer_of(L, 1), answer;
    int err = ws_offer_check(&ours, copy_of(L, 2), &answer);
    if (err != WS_OK)
        return probe_result(L, err);
    push_offer(L, &answer);
    return 1;
}

/* -- proto/pmd -- */

/* pmd_pool(mem) */
static int pool_new(lua_State *L)
{
    ws_pmd_pool_init(probe_new(L, sizeof(struct ws_pmd_pool), POOL, 1),
                     probe_mem(L, 1));
    return 1;
}

static int pool_free(lua_State *L)
{
    struct ws_pmd_pool *p = luaL_checkudata(L, 1, POOL);
    ws_pmd_pool_free(p);
    ws_pmd_pool_free(p); /* twice is fine */
    return 0;
}

static int push_result(lua_State *L, int err, struct ws_slice out)
{
    if (err != WS_OK)
        return probe_result(L, err);
    lua_pushlstring(L, (const char *)out.p, out.n);
    return 1;
}

/* :pack(data, {window=, memory=, level=}) -> bytes, or nil, code */
static int pool_pack(lua_State *L)
{
    struct ws_pmd_pool *p = luaL_checkudata(L, 1, POOL);
    struct ws_slice out;
    int err = ws_pmd_pool_pack(p, deflate_conf(L, 3), copy_of(L, 2), &out);
    return push_result(L, err, out);
}

/* pmd(pool, {server=, answer=, offer=, threshold=, memory=, level=}) */
static int pmd_new(lua_State *L)
{
    struct ws_pmd_pool *pool = luaL_checkudata(L, 1, POOL);
    struct ws_deflate_conf d = deflate_conf(L, 2);
    struct ws_offer answer;
    struct ws_pmd_conf c;
    struct ws_pmd **p;
    int server;
    memset(&c, 0, sizeof c);
    c.level = d.level;
    c.memory = d.memory;
    lua_settop(L, 2);
    p = probe_new(L, sizeof(void *), PMD, 1);
    lua_getfield(L, 2, "server");
    server = lua_toboolean(L, -1);
    lua_getfield(L, 2, "answer");
    answer = offer_of(L, lua_gettop(L));
    lua_getfield(L, 2, "offer");
    c.offer = offer_of(L, lua_gettop(L));
    lua_settop(L, 3);
    *p = ws_pmd_new(pool, &c, &answer, server);
    return *p == NULL ? 0 : 1;
}

static struct ws_pmd *check_pmd(lua_State *L)
{
    return *(struct ws_pmd **)luaL_checkudata(L, 1, PMD);
}

static int pmd_free(lua_State *L)
{
    struct ws_pmd **p = luaL_checkudata(L, 1, PMD);
    ws_pmd_free(*p);
    *p = NULL;
    return 0;
}

static int pmd_rest(lua_State *L)
{
    ws_pmd_rest(check_pmd(L));
    return 0;
}

static int pmd_text(lua_State *L)
{
    return push_result(L, WS_OK, ws_pmd_text(check_pmd(L)));
}

/* :deflate(data, part) -> bytes, or nil, code */
static int pmd_deflate(lua_State *L)
{
    struct ws_slice out;
    int last = !lua_toboolean(L, 3);
    int err = ws_pmd_deflate(check_pmd(L), copy_of(L, 2), last, &out);
    return push_result(L, err, out);
}

static int pmd_age(lua_State *L)
{
    ws_pmd_age(check_pmd(L));
    return 0;
}

/* :shared(bytes, plain bytes) -> counters of what was sent */
static int pmd_shared(lua_State *L)
{
    struct ws_pmd *p = check_pmd(L);
    ws_pmd_shared(p, probe_size(L, 2), probe_size(L, 3));
    lua_pushinteger(L, (lua_Integer)p->out.packed);
    lua_pushinteger(L, (lua_Integer)p->out.plain);
    return 2;
}

static int pmd_forget(lua_State *L)
{
    ws_pmd_forget(check_pmd(L));
    return 0;
}

/* :inflate(data [, part [, room = 65536]]) -> bytes, or nil, code */
static int pmd_inflate(lua_State *L)
{
    struct ws_pmd *p = check_pmd(L);
    size_t n = (size_t)luaL_optinteger(L, 4, 65536);
    struct ws_slice in = copy_of(L, 2);
    struct ws_span all = room_of(L, n), out;
    int err = WS_OK, ending = in.n == 0;
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (;;) {
        out = all;
        if (!ending)
            err = ws_pmd_inflate(p, &in, &out);
        else if (!lua_toboolean(L, 3))
            err = ws_pmd_inflate_end(p, &out);
        luaL_addlstring(&b, (const char *)all.p, all.n - out.n);
        if (err < 0)
            return probe_result(L, err);
        if (err == WS_OK && ending)
            break;
        ending |= err == WS_OK;
    }
    luaL_pushresult(&b);
    return 1;
}

void probe_open_pmd(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"offer_write", offer_write},
        {"offer_choose", offer_choose},
        {"offer_check", offer_check},
        {"pmd_pool", pool_new},
        {"pmd", pmd_new},
        {NULL, NULL},
    };
    static const luaL_Reg pool_methods[] = {
        {"free", pool_free}, {"pack", pool_pack}, {NULL, NULL}};
    static const luaL_Reg pmd_methods[] = {
        {"free", pmd_free},
        {"rest", pmd_rest},
        {"text", pmd_text},
        {"deflate", pmd_deflate},
        {"inflate", pmd_inflate},
        {"forget", pmd_forget},
        {"shared", pmd_shared},
        {"age", pmd_age},
        {NULL, NULL},
    };
    probe_class(L, POOL, pool_methods, pool_free);
    probe_class(L, PMD, pmd_methods, NULL);
    luaL_setfuncs(L, functions, 0);
}
