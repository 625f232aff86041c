/* probe_conn.c -- probe.proto.conn: a connection with everything scripted.
**
** Memory from a probe.mem, chance from a string, time from a number.  Input
** is copied into memory of exactly its size and kept until the next feed, so
** that a sanitizer sees what reads beyond it or too late.
*/
#include "probe_proto.h"

#include "base/chain.h"
#include "proto/closing.h"

#include <stdlib.h>

#define CONN "probe.conn"

struct tested {
    struct ws_conn c;
    struct ws_conf conf;
    struct ws_pool pool;
    struct ws_pmd_pool codecs;
    struct ws_slice chance; /* repeated */
    size_t drawn;
    lua_Integer random_fail; /* calls until one fails; 0: never */
    uint8_t *input;          /* of the last feed */
    int live;
};

static int chance(void *ud, uint8_t *p, size_t n)
{
    struct tested *t = ud;
    size_t i;
    if (t->random_fail > 0 && --t->random_fail == 0)
        return WS_ERR_RANDOM;
    for (i = 0; i < n; i++)
        p[i] = t->chance.n == 0 ? 0 : t->chance.p[t->drawn++ % t->chance.n];
    return WS_OK;
}

static struct tested *check(lua_State *L)
{
    struct tested *t = luaL_checkudata(L, 1, CONN);
    luaL_argcheck(L, t->live, 1, "was freed");
    return t;
}

/* -- life -- */

static lua_Integer number(lua_State *L, const char *name, lua_Integer def)
{
    lua_Integer n;
    lua_getfield(L, 2, name);
    n = luaL_optinteger(L, -1, def);
    lua_pop(L, 1);
    return n;
}

/* The example of RFC 9110 5.6.7. */
static int64_t the_date(void)
{
    return 784111777;
}

static void read_conf(lua_State *L, struct ws_conf *conf)
{
    struct ws_head_limits limits = WS_HEAD_LIMITS;
    conf->role = ws_slice_is(probe_option(L, 2, "role"), "client") ? WS_CLIENT
                                                                   : WS_SERVER;
    conf->message.payload_max = (uint64_t)number(L, "payload_max", 1 << 20);
    conf->message.streaming = (uint8_t)number(L, "streaming", 0);
    conf->message.fragments_max = (unsigned)number(L, "fragments_max", 4096);
    conf->head = limits;
    conf->head.size_max = (size_t)number(L, "size_max", WS_HEAD_SIZE_MAX);
    conf->head.lines_max = (unsigned)number(L, "lines_max", WS_HEAD_LINES_MAX);
    conf->body_max = (size_t)number(L, "body_max", 65536);
    conf->buffered_max = (size_t)number(L, "buffered_max", 16 << 20);
    conf->high_water = (size_t)number(L, "high_water", 1 << 20);
    conf->low_water = (size_t)number(L, "low_water", 256 << 10);
    conf->handshake_ms = number(L, "handshake_ms", 0);
    conf->answer_ms = number(L, "answer_ms", 0);
    conf->close_ms = number(L, "close_ms", 0);
    conf->send_ms = number(L, "send_ms", 0);
    conf->ping_ms = number(L, "ping_ms", 0);
    conf->pong_ms = number(L, "pong_ms", 0);
    conf->auto_pong = (uint8_t)number(L, "auto_pong", 1);
    conf->time = number(L, "dated", 0) != 0 ? the_date : NULL;
    lua_getfield(L, 2, "pmd");
    if (lua_istable(L, -1))
        probe_pmd_conf(L, lua_gettop(L), &conf->pmd);
    lua_pop(L, 1);
    conf->frames = (uint8_t)number(L, "frames", 0);
    conf->follow = (uint8_t)number(L, "follow", 0);
}

/* conn(mem, {role=, random=, random_fail=, now=, limits and times of ws_conf
** by their names}) */
static int conn_new(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    struct tested *t;
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    t = probe_new(L, sizeof *t, CONN, 2);
    ws_pool_init(&t->pool, mem);
    ws_pmd_pool_init(&t->codecs, mem);
    read_conf(L, &t->conf);
    t->conf.mem = mem;
    t->conf.pool = &t->pool;
    t->conf.codecs = &t->codecs;
    t->conf.random = chance;
    t->conf.random_ud = t;
    t->chance = probe_option(L, 2, "random");
    t->random_fail = number(L, "random_fail", 0);
    ws_conn_init(&t->c, &t->conf, number(L, "now", 0));
    t->live = 1;
    return 1;
}

/* :free(): all memory is back then, which the owner of mem checks */
static int conn_free(lua_State *L)
{
    struct tested *t = luaL_checkudata(L, 1, CONN);
    if (t->live) {
        ws_conn_free(&t->c);
        ws_conn_free(&t->c); /* twice is fine */
        ws_pool_free(&t->pool);
        ws_pmd_pool_free(&t->codecs);
    }
    free(t->input);
    t->input = NULL;
    t->live = 0;
    return 0;
}

/* conn_blank(): one that was never made can be freed */
static int conn_blank(lua_State *L)
{
    struct ws_conn c;
    (void)L;
    memset(&c, 0, sizeof c);
    ws_conn_free(&c);
    return 0;
}

/* :start{target=, host=, origin=, protocols=, extensions=, fields=} */
static int conn_start(lua_State *L)
{
    struct tested *t = check(L);
    struct ws_hello_conf conf;
    probe_hello_conf(L, 2, &conf);
    return probe_result(L, ws_conn_start(&t->c, &conf));
}

/* -- bytes -- */

/* :feed(bytes) -> how many were taken */
static int conn_feed(lua_State *L)
{
    struct tested *t = check(L);
    struct ws_slice s = probe_slice(L, 2);
    struct ws_span in;
    uint8_t *copy = malloc(s.n + (s.n == 0));
    if (copy == NULL)
        return luaL_error(L, "no memory");
    memcpy(copy, s.p, s.n);
    in = ws_span_of(copy, s.n);
    ws_conn_feed(&t->c, &in);
    /* an event that still waits shows the old one */
    free(in.n == s.n ? copy : t->input);
    if (in.n < s.n)
        t->input = copy;
    lua_pushinteger(L, (lua_Integer)(s.n - in.n));
    return 1;
}

/* :direct(bytes) -> how many went by room and commit, nil when it is not the
** time */
static int conn_direct(lua_State *L)
{
    struct tested *t = check(L);
    struct ws_slice s = probe_slice(L, 2);
    struct ws_span room;
    if (ws_conn_room(&t->c, &room) != WS_OK)
        return 0;
    if (room.n < s.n)
        s.n = room.n;
    memcpy(room.p, s.p, s.n);
    ws_conn_commit(&t->c, s.n);
    lua_pushinteger(L, (lua_Integer)s.n);
    return 1;
}

/* :peek([slices [, bytes]]) -> at most so much output, which stays */
static int conn_peek(lua_State *L)
{
    struct tested *t = check(L);
    struct ws_slice v[64];
    int i, n = ws_conn_output(&t->c, v, (int)luaL_optinteger(L, 2, 64));
    size_t left = lua_isnoneornil(L, 3) ? SIZE_MAX : probe_size(L, 3);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (i = 0; i < n && left > 0; i++) {
        size_t take = v[i].n < left ? v[i].n : left;
        luaL_addlstring(&b, (const char *)v[i].p, take);
        left -= take;
    }
    luaL_pushresult(&b);
    return 1;
}

static int conn_sent(lua_State *L)
{
    ws_conn_sent(&check(L)->c, probe_size(L, 2));
    return 0;
}

static int conn_eof(lua_State *L)
{
    ws_conn_eof(&check(L)->c);
    return 0;
}

static int conn_lost(lua_State *L)
{
    ws_conn_lost(&check(L)->c, (int)luaL_checkinteger(L, 2));
    return 0;
}

static int conn_mute(lua_State *L)
{
    lua_pushboolean(L, ws_conn_mute(&check(L)->c));
    return 1;
}

static int conn_closed(lua_State *L)
{
    ws_conn_closed(&check(L)->c);
    return 0;
}

/* -- events -- */

static int push_slice(lua_State *L, struct ws_slice s)
{
    lua_pushlstring(L, (const char *)s.p, s.n);
    return 1;
}

/* :next() -> name, values..., or nothing */
static int conn_next(lua_State *L)
{
    static const char *const names[] = {
        "none",   "upgrade", "request", "open",     "text",
        "binary", "chunk",   "ping",    "pong",     "drain",
        "fault",  "close",   "frame",   "redirect", "challenge",
    };
    struct ws_event ev;
    if (ws_conn_next(&check(L)->c, &ev) != WS_OK)
        return 0;
    lua_pushstring(L, names[ev.type]);
    switch (ev.type) {
    case WS_EV_CHUNK: /* data, kind, final */
        push_slice(L, ev.data);
        lua_pushstring(L, ev.op == WS_OP_TEXT ? "text" : "binary");
        lua_pushboolean(L, ev.fin);
        return 4;
    case WS_EV_FAULT:
        lua_pushstring(L, ws_err_name(ev.code));
        return 2;
    case WS_EV_CLOSE:
        lua_pushinteger(L, ev.code);
        push_slice(L, ev.data);
        lua_pushboolean(L, ev.clean);
        return 4;
    case WS_EV_FRAME: /* payload, first byte, code */
        push_slice(L, ev.data);
        lua_pushinteger(L, ev.fin << 7 | ev.op);
        lua_pushinteger(L, ev.code);
        return 4;
    default:
        return 1 + push_slice(L, ev.data);
    }
}

/* -- the application -- */

static enum ws_opcode opcode(lua_State *L, int arg)
{
    static const char *const names[] = {"text", "binary", "ping", "pong", NULL};
    static const enum ws_opcode ops[] = {WS_OP_TEXT, WS_OP_BINARY, WS_OP_PING,
                                         WS_OP_PONG};
    return ops[luaL_checkoption(L, arg, "text", names)];
}

static int conn_send_frame(lua_State *L)
{
    enum ws_opcode op = (enum ws_opcode)luaL_checkinteger(L, 3);
    return probe_result(L, ws_conn_send_frame(&check(L)->c, op,
                                              !lua_toboolean(L, 4),
                                              probe_slice(L, 2)));
}

/* :send(data, kind, part, plain) */
static int conn_send(lua_State *L)
{
    struct tested *t = check(L);
    unsigned flags = (lua_toboolean(L, 4) ? WS_SEND_PART : 0u) |
                     (lua_toboolean(L, 5) ? WS_SEND_PLAIN : 0u);
    return probe_result(
        L, ws_conn_send(&t->c, opcode(L, 3), probe_slice(L, 2), flags));
}

/* :packs(n, part, plain) */
static int conn_packs(lua_State *L)
{
    unsigned flags = (lua_toboolean(L, 3) ? WS_SEND_PART : 0u) |
                     (lua_toboolean(L, 4) ? WS_SEND_PLAIN : 0u);
    lua_pushboolean(L, ws_conn_packs(&check(L)->c, probe_size(L, 2), flags));
    return 1;
}

/* :share_conf(n) -> window, memory, level */
static int conn_share_conf(lua_State *L)
{
    struct ws_deflate_conf c =
        ws_conn_share_conf(&check(L)->c, probe_size(L, 2));
    lua_pushinteger(L, c.window);
    lua_pushinteger(L, c.memory);
    lua_pushinteger(L, c.level);
    return 3;
}

/* :pinned(data, kind, part, pin): data is kept until the object goes */
static int conn_pinned(lua_State *L)
{
    struct tested *t = check(L);
    unsigned flags = lua_toboolean(L, 4) ? WS_SEND_PART : 0;
    int pin = (int)luaL_checkinteger(L, 5);
    lua_pushvalue(L, 2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, lua_tostring(L, 2));
    return probe_result(L, ws_conn_send_pinned(&t->c, opcode(L, 3),
                                               probe_slice(L, 2), flags, pin));
}

static int conn_unpin(lua_State *L)
{
    int pin;
    if (ws_conn_unpin(&check(L)->c, &pin) != WS_OK)
        return 0;
    lua_pushinteger(L, pin);
    return 1;
}

/* :share(frame, payload bytes): as one range of a block of its own */
static int conn_share(lua_State *L)
{
    struct tested *t = check(L);
    struct ws_slice s = probe_slice(L, 2);
    size_t payload = probe_size(L, 3);
    struct ws_block *b = ws_block_new(t->conf.mem, s.n);
    int err;
    if (b == NULL)
        return probe_result(L, WS_ERR_NOMEM);
    memcpy(b->data, s.p, s.n);
    b->len = s.n;
    err = ws_conn_share(&t->c, b, ws_slice_of(b->data, s.n), payload);
    ws_block_drop(b);
    return probe_result(L, err);
}

/* :control(data, kind) */
static int conn_control(lua_State *L)
{
    struct tested *t = check(L);
    return probe_result(
        L, ws_conn_control(&t->c, opcode(L, 3), probe_slice(L, 2)));
}

static int conn_pause(lua_State *L)
{
    ws_conn_pause(&check(L)->c, lua_toboolean(L, 2));
    return 0;
}

/* :accept(protocol, fields, pmd) */
static int conn_accept(lua_State *L)
{
    struct tested *t = check(L);
    size_t n = 0;
    const char *protocol = lua_tolstring(L, 2, &n);
    struct ws_pmd_conf pmd;
    struct ws_answer extra;
    memset(&extra, 0, sizeof extra);
    memset(&pmd, 0, sizeof pmd);
    lua_settop(L, 4);
    if (lua_istable(L, 4))
        probe_pmd_conf(L, 4, &pmd);
    extra.fields = probe_fields(L, 3, &extra.nfields);
    return probe_result(L, ws_conn_accept(&t->c, ws_slice_of(protocol, n),
                                          lua_isnil(L, 3) ? NULL : &extra,
                                          lua_isnil(L, 4) ? NULL : &pmd));
}

/* :respond{status=, reason=, fields=, body=} */
static int conn_respond(lua_State *L)
{
    struct tested *t = check(L);
    struct ws_answer answer;
    probe_answer(L, 2, &answer);
    return probe_result(L, ws_conn_respond(&t->c, &answer));
}

/* :close([code [, reason]]) */
static int conn_close(lua_State *L)
{
    struct tested *t = check(L);
    size_t n = 0;
    const char *reason = luaL_optlstring(L, 3, "", &n);
    return probe_result(L, ws_conn_close(&t->c, (int)luaL_optinteger(L, 2, 0),
                                         ws_slice_of(reason, n)));
}

static int conn_terminate(lua_State *L)
{
    ws_conn_terminate(&check(L)->c);
    return 0;
}

/* :finish(code, reason): ws_conn_end */
static int conn_finish(lua_State *L)
{
    ws_conn_end(&check(L)->c, (int)luaL_checkinteger(L, 2),
                luaL_optstring(L, 3, ""));
    return 0;
}

/* -- time and state -- */

static int conn_clock(lua_State *L)
{
    ws_conn_clock(&check(L)->c, luaL_checkinteger(L, 2));
    return 0;
}

static int conn_tick(lua_State *L)
{
    ws_conn_tick(&check(L)->c);
    return 0;
}

static int conn_due(lua_State *L)
{
    lua_pushinteger(L, ws_conn_due(&check(L)->c));
    return 1;
}

/* :want() -> "read write event shutdown close watch", what applies of it */
static int conn_want(lua_State *L)
{
    static const char *const names[] = {"read",     "write", "event",
                                        "shutdown", "close", "watch"};
    unsigned want = ws_conn_want(&check(L)->c), i;
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (i = 0; i < 6; i++) {
        if ((want & 1u << i) == 0)
            continue;
        if ((want & ((1u << i) - 1)) != 0)
            luaL_addchar(&b, ' ');
        luaL_addstring(&b, names[i]);
    }
    luaL_pushresult(&b);
    return 1;
}

static void put_pmd(lua_State *L, const struct ws_pmd *p)
{
    if (p == NULL)
        return;
    lua_newtable(L);
    lua_pushinteger(L, (lua_Integer)p->in.packed);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, (lua_Integer)p->in.plain);
    lua_rawseti(L, -2, 2);
    lua_pushinteger(L, (lua_Integer)p->out.packed);
    lua_rawseti(L, -2, 3);
    lua_pushinteger(L, (lua_Integer)p->out.plain);
    lua_rawseti(L, -2, 4);
    lua_setfield(L, -2, "pmd");
}

static void put_traffic(lua_State *L, const char *name, struct ws_traffic t)
{
    lua_newtable(L);
    lua_pushinteger(L, (lua_Integer)t.bytes);
    lua_setfield(L, -2, "bytes");
    lua_pushinteger(L, (lua_Integer)t.frames);
    lua_setfield(L, -2, "frames");
    lua_pushinteger(L, (lua_Integer)t.messages);
    lua_setfield(L, -2, "messages");
    lua_setfield(L, -2, name);
}

static void put_slice(lua_State *L, const char *name, struct ws_slice s)
{
    push_slice(L, s);
    lua_setfield(L, -2, name);
}

static void put_integer(lua_State *L, const char *name, lua_Integer n)
{
    lua_pushinteger(L, n);
    lua_setfield(L, -2, name);
}

/* :state() -> table */
static int conn_state(lua_State *L)
{
    const struct ws_conn *c = &check(L)->c;
    lua_newtable(L);
    put_integer(L, "state", c->state);
    lua_pushstring(L, c->fault == WS_OK ? "OK" : ws_err_name(c->fault));
    lua_setfield(L, -2, "fault");
    put_integer(L, "buffered", (lua_Integer)ws_conn_buffered(c));
    put_integer(L, "latency", c->latency_ms);
    put_integer(L, "last_rx", c->last_rx_ms);
    put_integer(L, "output", (lua_Integer)c->chain.size);
    put_slice(L, "protocol", c->protocol);
    put_slice(L, "extensions", c->extensions);
    put_slice(L, "head", c->head);
    put_slice(L, "body", ws_conn_body(c));
    put_traffic(L, "input", c->in);
    put_traffic(L, "out", c->out);
    put_pmd(L, c->pmd);
    return 1;
}

static const luaL_Reg methods[] = {
    {"free", conn_free},
    {"start", conn_start},
    {"feed", conn_feed},
    {"direct", conn_direct},
    {"peek", conn_peek},
    {"sent", conn_sent},
    {"eof", conn_eof},
    {"lost", conn_lost},
    {"mute", conn_mute},
    {"closed", conn_closed},
    {"next", conn_next},
    {"send", conn_send},
    {"packs", conn_packs},
    {"share_conf", conn_share_conf},
    {"send_frame", conn_send_frame},
    {"pinned", conn_pinned},
    {"unpin", conn_unpin},
    {"share", conn_share},
    {"control", conn_control},
    {"pause", conn_pause},
    {"accept", conn_accept},
    {"respond", conn_respond},
    {"close", conn_close},
    {"terminate", conn_terminate},
    {"finish", conn_finish},
    {"clock", conn_clock},
    {"tick", conn_tick},
    {"due", conn_due},
    {"want", conn_want},
    {"state", conn_state},
    {NULL, NULL},
};

void probe_open_conn(lua_State *L)
{
    probe_class(L, CONN, methods, conn_free);
    lua_pushcfunction(L, conn_new);
    lua_setfield(L, -2, "conn");
    lua_pushcfunction(L, conn_blank);
    lua_setfield(L, -2, "conn_blank");
    lua_pushinteger(L, (lua_Integer)sizeof(struct ws_conn));
    lua_setfield(L, -2, "conn_size");
}
