/* probe_chain.c -- probe.base: the byte queue and the output queue. */
#include "probe.h"

#include "base/buf.h"
#include "base/chain.h"
#include "base/err.h"

/* -- buf -- */

#define BUF "probe.buf"

struct tested_buf {
    struct ws_buf b;
    struct ws_mem *mem;
    struct ws_span room; /* the last one given */
};

static struct tested_buf *check_buf(lua_State *L)
{
    return luaL_checkudata(L, 1, BUF);
}

/* buf(mem, max) */
static int buf_new(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    size_t max = probe_size(L, 2);
    struct tested_buf *t = probe_new(L, sizeof *t, BUF, 1);
    ws_buf_init(&t->b, max);
    t->mem = mem;
    return 1;
}

/* buf:room(want) -> bytes there are, or nil, code; want -1 asks for all there
** are numbers for */
static int buf_room(lua_State *L)
{
    struct tested_buf *t = check_buf(L);
    size_t want = (size_t)luaL_checkinteger(L, 2);
    int rc = ws_buf_room(&t->b, t->mem, want, &t->room);
    if (rc != WS_OK)
        return probe_result(L, rc);
    /* All of it must be writable. */
    if (t->room.n > 0)
        memset(t->room.p, 0xEE, t->room.n);
    lua_pushinteger(L, (lua_Integer)t->room.n);
    return 1;
}

/* buf:commit(text): writes it into the last room and commits it */
static int buf_commit(lua_State *L)
{
    struct tested_buf *t = check_buf(L);
    struct ws_slice s = probe_slice(L, 2);
    luaL_argcheck(L, s.n <= t->room.n, 2, "more than the room");
    if (s.n > 0)
        memcpy(t->room.p, s.p, s.n);
    ws_buf_commit(&t->b, s.n);
    t->room = ws_span_of(NULL, 0);
    return 0;
}

static int buf_append(lua_State *L)
{
    struct tested_buf *t = check_buf(L);
    return probe_result(L, ws_buf_append(&t->b, t->mem, probe_slice(L, 2)));
}

static int buf_peek(lua_State *L)
{
    struct tested_buf *t = check_buf(L);
    struct ws_slice s = ws_buf_peek(&t->b);
    struct ws_span w = ws_buf_span(&t->b);
    if (s.p != w.p || s.n != w.n || s.n != ws_buf_size(&t->b))
        return luaL_error(L, "peek, span and size do not agree");
    lua_pushlstring(L, (const char *)s.p, s.n);
    return 1;
}

static int buf_skip(lua_State *L)
{
    ws_buf_skip(&check_buf(L)->b, probe_size(L, 2));
    return 0;
}

static int buf_cap(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_buf(L)->b.cap);
    return 1;
}

static int buf_free(lua_State *L)
{
    struct tested_buf *t = check_buf(L);
    if (t->mem != NULL)
        ws_buf_free(&t->b, t->mem);
    return 0;
}

static const luaL_Reg buf_methods[] = {
    {"room", buf_room}, {"commit", buf_commit}, {"append", buf_append},
    {"peek", buf_peek}, {"skip", buf_skip},     {"cap", buf_cap},
    {"free", buf_free}, {NULL, NULL},
};

/* -- pool -- */

#define POOL "probe.pool"

/* pool(mem) */
static int pool_new(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    ws_pool_init(probe_new(L, sizeof(struct ws_pool), POOL, 1), mem);
    return 1;
}

static int pool_free(lua_State *L)
{
    ws_pool_free(luaL_checkudata(L, 1, POOL));
    return 0;
}

/* pool:kept() -> chunks, heads */
static int pool_kept(lua_State *L)
{
    struct ws_pool *pool = luaL_checkudata(L, 1, POOL);
    lua_pushinteger(L, pool->nchunks);
    lua_pushinteger(L, pool->nheads);
    return 2;
}

static const luaL_Reg pool_methods[] = {
    {"free", pool_free},
    {"kept", pool_kept},
    {NULL, NULL},
};

/* -- block -- */

#define BLOCK "probe.block"

struct tested_block {
    struct ws_block *b;
};

static struct ws_block *check_block(lua_State *L, int arg)
{
    return ((struct tested_block *)luaL_checkudata(L, arg, BLOCK))->b;
}

/* block(mem, cap) -> block or nil */
static int block_new(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    size_t cap = (size_t)luaL_checkinteger(L, 2);
    struct tested_block *t = probe_new(L, sizeof *t, BLOCK, 1);
    t->b = ws_block_new(mem, cap);
    if (t->b == NULL)
        lua_pushnil(L);
    return 1;
}

/* block:write(text) -> offset of its first byte */
static int block_write(lua_State *L)
{
    struct ws_block *b = check_block(L, 1);
    struct ws_slice s = probe_slice(L, 2);
    luaL_argcheck(L, s.n <= b->cap - b->len, 2, "no room");
    memcpy(b->data + b->len, s.p, s.n);
    lua_pushinteger(L, (lua_Integer)b->len);
    b->len += s.n;
    return 1;
}

/* block:refs() */
static int block_refs(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_block(L, 1)->refs);
    return 1;
}

/* block:drop(): our reference; twice is fine */
static int block_drop(lua_State *L)
{
    struct tested_block *t = luaL_checkudata(L, 1, BLOCK);
    ws_block_drop(t->b);
    t->b = NULL;
    return 0;
}

static const luaL_Reg block_methods[] = {
    {"write", block_write},
    {"refs", block_refs},
    {"drop", block_drop},
    {NULL, NULL},
};

/* -- chain -- */

#define CHAIN "probe.chain"

struct tested_chain {
    struct ws_chain c;
    struct ws_pool *pool;
};

static struct tested_chain *check_chain(lua_State *L)
{
    return luaL_checkudata(L, 1, CHAIN);
}

/* chain(pool) */
static int chain_new(lua_State *L)
{
    struct ws_pool *pool = luaL_checkudata(L, 1, POOL);
    struct tested_chain *t = probe_new(L, sizeof *t, CHAIN, 1);
    ws_chain_init(&t->c);
    t->pool = pool;
    return 1;
}

/* chain:put(text, payload [, room]) -> true or nil, "NOMEM": asks for room
** bytes (the text's length), fills them, commits the text */
static int chain_put(lua_State *L)
{
    struct tested_chain *t = check_chain(L);
    struct ws_slice s = probe_slice(L, 2);
    size_t payload = probe_size(L, 3);
    size_t room = (size_t)luaL_optinteger(L, 4, (lua_Integer)s.n);
    uint8_t *p = ws_chain_room(&t->c, t->pool, room);
    if (p == NULL)
        return probe_result(L, WS_ERR_NOMEM);
    memset(p, 0xEE, room);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    ws_chain_commit(&t->c, s.n, payload);
    return probe_result(L, WS_OK);
}

/* chain:uncommit(n, payload) */
static int chain_uncommit(lua_State *L)
{
    ws_chain_uncommit(&check_chain(L)->c, probe_size(L, 2), probe_size(L, 3));
    return 0;
}

/* chain:share(block, off, n, payload) -> true or nil, code */
static int chain_share(lua_State *L)
{
    struct tested_chain *t = check_chain(L);
    struct ws_block *b = check_block(L, 2);
    struct ws_slice s =
        ws_slice_of(b->data + probe_size(L, 3), probe_size(L, 4));
    return probe_result(L,
                        ws_chain_share(&t->c, t->pool, b, s, probe_size(L, 5)));
}

/* chain:pin(text, number) -> true or nil, code; the caller keeps the text */
static int chain_pin(lua_State *L)
{
    struct tested_chain *t = check_chain(L);
    return probe_result(L, ws_chain_pin(&t->c, t->pool, probe_slice(L, 2),
                                        (int)luaL_checkinteger(L, 3)));
}

/* chain:peek(max) -> list of strings */
static int chain_peek(lua_State *L)
{
    struct ws_slice v[64];
    int max = (int)luaL_checkinteger(L, 2), n, i;
    luaL_argcheck(L, max <= 64, 2, "at most 64");
    n = ws_chain_peek(&check_chain(L)->c, v, max);
    lua_createtable(L, n, 0);
    for (i = 0; i < n; i++) {
        lua_pushlstring(L, (const char *)v[i].p, v[i].n);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int chain_skip(lua_State *L)
{
    struct tested_chain *t = check_chain(L);
    ws_chain_skip(&t->c, t->pool, probe_size(L, 2));
    return 0;
}

static int chain_clear(lua_State *L)
{
    struct tested_chain *t = check_chain(L);
    ws_chain_clear(&t->c, t->pool);
    return 0;
}

/* chain:unpin() -> number or nil */
static int chain_unpin(lua_State *L)
{
    struct tested_chain *t = check_chain(L);
    int pin, rc = ws_chain_unpin(&t->c, t->pool, &pin);
    if (rc == WS_OK)
        lua_pushinteger(L, pin);
    else
        lua_pushnil(L);
    return 1;
}

/* chain:sizes() -> bytes, payload, segments */
static int chain_sizes(lua_State *L)
{
    struct ws_chain *c = &check_chain(L)->c;
    const struct ws_seg *s;
    lua_Integer n = 0;
    for (s = c->head; s != NULL; s = s->next)
        n++;
    lua_pushinteger(L, (lua_Integer)c->size);
    lua_pushinteger(L, (lua_Integer)c->payload);
    lua_pushinteger(L, n);
    return 3;
}

/* chain:kinds() -> "chunk own shared pinned" */
static int chain_kinds(lua_State *L)
{
    static const char *const names[] = {"chunk", "own", "shared", "pinned"};
    const struct ws_seg *s;
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (s = check_chain(L)->c.head; s != NULL; s = s->next) {
        luaL_addstring(&b, names[s->kind]);
        if (s->next != NULL)
            luaL_addchar(&b, ' ');
    }
    luaL_pushresult(&b);
    return 1;
}

static const luaL_Reg chain_methods[] = {
    {"put", chain_put},     {"uncommit", chain_uncommit},
    {"share", chain_share}, {"pin", chain_pin},
    {"peek", chain_peek},   {"skip", chain_skip},
    {"clear", chain_clear}, {"unpin", chain_unpin},
    {"sizes", chain_sizes}, {"kinds", chain_kinds},
    {NULL, NULL},
};

/* -- the functions -- */

void probe_open_chain(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"buf", buf_new},     {"pool", pool_new}, {"block", block_new},
        {"chain", chain_new}, {NULL, NULL},
    };
    probe_class(L, BUF, buf_methods, buf_free);
    probe_class(L, POOL, pool_methods, NULL);
    probe_class(L, BLOCK, block_methods, NULL);
    probe_class(L, CHAIN, chain_methods, NULL);
    luaL_setfuncs(L, functions, 0);
}
