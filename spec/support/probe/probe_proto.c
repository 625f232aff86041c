/* probe_proto.c -- probe.proto: both handshakes and the message assembler.
**
** The connection itself is in probe_conn.c.
*/
#include "probe_proto.h"

#include "proto/hello.h"
#include "proto/message.h"
#include "proto/welcome.h"

enum { FIELDS_MAX = 200 };

/* -- arguments -- */

struct ws_slice probe_option(lua_State *L, int idx, const char *name)
{
    struct ws_slice s;
    size_t n = 0;
    lua_getfield(L, idx, name);
    s = ws_slice_of(lua_tolstring(L, -1, &n), 0);
    s.n = n;
    lua_pop(L, 1); /* the table keeps the string */
    return s;
}

struct ws_field *probe_fields(lua_State *L, int idx, unsigned *n)
{
    struct ws_field *list;
    unsigned i;
    *n = 0;
    if (lua_isnoneornil(L, idx)) {
        lua_pushnil(L);
        return NULL;
    }
    luaL_checktype(L, idx, LUA_TTABLE);
    *n = (unsigned)luaL_len(L, idx);
    list = lua_newuserdatauv(L, (*n + 1) * sizeof *list, 0);
    for (i = 0; i < *n; i++) {
        size_t len = 0;
        lua_geti(L, idx, (lua_Integer)i + 1);
        lua_geti(L, -1, 1);
        list[i].name.p = (const uint8_t *)lua_tolstring(L, -1, &len);
        list[i].name.n = len;
        lua_geti(L, -2, 2);
        list[i].value.p = (const uint8_t *)lua_tolstring(L, -1, &len);
        list[i].value.n = len;
        lua_pop(L, 3); /* the caller's table keeps them */
    }
    return list;
}

/* The options of an answer at idx; two values are pushed. */
void probe_answer(lua_State *L, int idx, struct ws_answer *a)
{
    memset(a, 0, sizeof *a);
    luaL_checktype(L, idx, LUA_TTABLE);
    lua_getfield(L, idx, "fields");
    a->fields = probe_fields(L, lua_gettop(L), &a->nfields);
    lua_getfield(L, idx, "status");
    a->status = (int)lua_tointeger(L, -1);
    lua_getfield(L, idx, "head_method");
    a->head_method = lua_toboolean(L, -1);
    lua_getfield(L, idx, "date");
    a->date = lua_tointeger(L, -1);
    lua_pop(L, 3);
    a->reason = probe_option(L, idx, "reason");
    a->body = probe_option(L, idx, "body");
    a->host = probe_option(L, idx, "host");
}

/* A head in memory of exactly its size, cut up; raises when it is none. */
static void check_head(lua_State *L, int arg, int is_response,
                       struct ws_head *head)
{
    struct ws_slice text = probe_slice(L, arg);
    struct ws_field *fields;
    struct ws_span copy;
    int err;
    fields = lua_newuserdatauv(L, FIELDS_MAX * sizeof *fields, 0);
    copy.p = lua_newuserdatauv(L, text.n, 0);
    copy.n = text.n;
    memcpy(copy.p, text.p, text.n);
    head->fields = fields;
    head->fields_max = FIELDS_MAX;
    err = ws_head_parse(head, copy, is_response);
    if (err != WS_OK)
        luaL_error(L, "not a head: %s", ws_err_name(err));
}

static int push_buf(lua_State *L, struct ws_buf *b, int err)
{
    struct ws_slice s = ws_buf_peek(b);
    if (err == WS_OK) {
        lua_pushlstring(L, (const char *)s.p, s.n);
        return 1;
    }
    return probe_result(L, err);
}

/* -- hello -- */

void probe_hello_conf(lua_State *L, int idx, struct ws_hello_conf *conf)
{
    memset(conf, 0, sizeof *conf);
    luaL_checktype(L, idx, LUA_TTABLE);
    conf->target = probe_option(L, idx, "target");
    conf->host = probe_option(L, idx, "host");
    conf->origin = probe_option(L, idx, "origin");
    conf->protocols = probe_option(L, idx, "protocols");
    conf->extensions = probe_option(L, idx, "extensions");
    lua_getfield(L, idx, "fields");
    conf->fields = probe_fields(L, lua_gettop(L), &conf->nfields);
    lua_getfield(L, idx, "challenges");
    conf->challenges = (enum ws_challenges)luaL_optinteger(L, -1, 0);
}

/* hello_write(conf, nonce, mem) -> request, or nil, code */
static int hello_write(lua_State *L)
{
    struct ws_hello_conf conf;
    struct ws_slice nonce = probe_slice(L, 2);
    struct ws_mem *mem = probe_mem(L, 3);
    struct ws_hello h;
    struct ws_buf b;
    int n;
    luaL_argcheck(L, nonce.n == WS_NONCE_SIZE, 2, "16 bytes");
    probe_hello_conf(L, 1, &conf);
    conf.nonce = nonce;
    ws_buf_init(&b, 0);
    n = push_buf(L, &b, ws_hello_write(&h, &b, mem, &conf));
    if (n == 1) {
        struct ws_slice s = ws_buf_peek(&b);
        lua_pushlstring(L, (const char *)s.p, s.n);
    }
    ws_buf_free(&b, mem);
    return n;
}

/* hello_check(key, protocols, extensions offered, head) -> protocol,
** extensions, or nil, code; 1xx: "interim" */
static int hello_check(lua_State *L)
{
    struct ws_slice key = probe_slice(L, 1);
    struct ws_hello_answer answer;
    struct ws_hello h;
    struct ws_head head;
    int err;
    luaL_argcheck(L, key.n == WS_KEY_SIZE, 1, "24 characters");
    memcpy(h.key, key.p, WS_KEY_SIZE);
    h.protocols = probe_slice(L, 2);
    h.extensions = lua_toboolean(L, 3);
    check_head(L, 4, 1, &head);
    if (ws_hello_interim(&head)) {
        lua_pushstring(L, "interim");
        return 1;
    }
    err = ws_hello_check(&h, &head, &answer);
    if (err != WS_OK)
        return probe_result(L, err);
    lua_pushlstring(L, (const char *)answer.protocol.p, answer.protocol.n);
    lua_pushlstring(L, (const char *)answer.extensions.p, answer.extensions.n);
    return 2;
}

/* hello_challenged(challenges, head) -> boolean */
static int hello_challenged(lua_State *L)
{
    struct ws_hello h;
    struct ws_head head;

    memset(&h, 0, sizeof h);
    h.challenges = (enum ws_challenges)luaL_checkinteger(L, 1);
    check_head(L, 2, 1, &head);
    lua_pushboolean(L, ws_hello_challenged(&h, &head));
    return 1;
}

static int hello_travels(lua_State *L)
{
    lua_pushboolean(L, ws_hello_travels(probe_slice(L, 1)));
    return 1;
}

static int hello_reserved(lua_State *L)
{
    lua_pushboolean(L, ws_hello_reserved(probe_slice(L, 1)));
    return 1;
}

static int hello_protocols_ok(lua_State *L)
{
    lua_pushboolean(L, ws_hello_protocols_ok(probe_slice(L, 1)));
    return 1;
}

/* -- welcome -- */

/* welcome_check(head) -> {upgrade, key, head_method, body, length}, or nil,
** code, head_method */
static int welcome_check(lua_State *L)
{
    struct ws_welcome w;
    struct ws_head head;
    int err;
    check_head(L, 1, 0, &head);
    err = ws_welcome_check(&w, &head);
    if (err != WS_OK) {
        probe_result(L, err);
        lua_pushboolean(L, w.head_method);
        return 3;
    }
    lua_newtable(L);
    lua_pushboolean(L, w.upgrade);
    lua_setfield(L, -2, "upgrade");
    lua_pushlstring(L, (const char *)w.key.p, w.key.n);
    lua_setfield(L, -2, "key");
    lua_pushboolean(L, w.head_method);
    lua_setfield(L, -2, "head_method");
    lua_pushstring(L, w.body == WS_BODY_NONE     ? "none"
                      : w.body == WS_BODY_LENGTH ? "length"
                                                 : "chunked");
    lua_setfield(L, -2, "body");
    lua_pushinteger(L, (lua_Integer)w.length);
    lua_setfield(L, -2, "length");
    return 1;
}

/* welcome_accept(key, protocol, fields, mem [, extensions]) -> response, or
** nil, code */
static int welcome_accept(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 4);
    struct ws_answer extra;
    struct ws_accept a;
    struct ws_buf b;
    int n;
    memset(&extra, 0, sizeof extra);
    lua_settop(L, 5);
    a.key = probe_slice(L, 1);
    a.protocol = probe_slice(L, 2);
    a.extensions = ws_slice_str(lua_tostring(L, 5));
    a.extra = lua_isnil(L, 3) ? NULL : &extra;
    extra.fields = probe_fields(L, 3, &extra.nfields);
    ws_buf_init(&b, 0);
    n = push_buf(L, &b, ws_welcome_accept(&b, mem, &a));
    ws_buf_free(&b, mem);
    return n;
}

/* welcome_refuse({status, reason, fields, host, body, head_method, date}, mem)
*/
static int welcome_refuse(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 2);
    struct ws_answer answer;
    struct ws_buf b;
    int n;
    probe_answer(L, 1, &answer);
    ws_buf_init(&b, 0);
    n = push_buf(L, &b, ws_welcome_refuse(&b, mem, &answer));
    ws_buf_free(&b, mem);
    return n;
}

/* welcome_refuse_error(err number, head_method, mem [, date]) */
static int welcome_refuse_error(lua_State *L)
{
    int err = (int)luaL_checkinteger(L, 1), head = lua_toboolean(L, 2), n;
    struct ws_mem *mem = probe_mem(L, 3);
    int64_t date = luaL_optinteger(L, 4, 0);
    struct ws_buf b;
    ws_buf_init(&b, 0);
    n = push_buf(L, &b, ws_welcome_refuse_error(&b, mem, err, head, date));
    ws_buf_free(&b, mem);
    return n;
}

static int welcome_offers(lua_State *L)
{
    struct ws_head head;
    check_head(L, 1, 0, &head);
    lua_pushboolean(L, ws_welcome_offers(&head, probe_slice(L, 2)));
    return 1;
}

static int welcome_same_host(lua_State *L)
{
    struct ws_head head;
    check_head(L, 1, 0, &head);
    lua_pushboolean(L, ws_welcome_same_host(&head));
    return 1;
}

/* (entry, host, port) -> boolean */
static int welcome_names(lua_State *L)
{
    int port = (int)luaL_checkinteger(L, 3);

    lua_pushboolean(
        L, ws_welcome_names(probe_slice(L, 1), probe_slice(L, 2), port));
    return 1;
}

/* -- message -- */

#define MESSAGE "probe.message"

struct tested_message {
    struct ws_message m;
    struct ws_message_limits limits;
    struct ws_mem *mem;
};

static struct tested_message *check_message(lua_State *L)
{
    return luaL_checkudata(L, 1, MESSAGE);
}

/* message(mem, payload_max, fragments_max) */
static int message_new(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    lua_Integer payload = luaL_checkinteger(L, 2);
    lua_Integer fragments = luaL_checkinteger(L, 3);
    struct tested_message *t = probe_new(L, sizeof *t, MESSAGE, 1);
    ws_message_init(&t->m);
    t->limits.payload_max = (uint64_t)payload; /* -1: the largest number */
    t->limits.fragments_max = (unsigned)fragments;
    t->mem = mem;
    return 1;
}

/* :begin(op, length, fin, compressed) */
static int message_begin(lua_State *L)
{
    struct tested_message *t = check_message(L);
    struct ws_frame f;
    memset(&f, 0, sizeof f);
    f.op = (uint8_t)luaL_checkinteger(L, 2);
    f.len = (uint64_t)luaL_checkinteger(L, 3);
    f.fin = (uint8_t)lua_toboolean(L, 4);
    f.rsv1 = (uint8_t)lua_toboolean(L, 5);
    return probe_result(L, ws_message_begin(&t->m, &f, &t->limits));
}

/* :room(want [, come]) -> bytes, or nil, code */
static int message_room(lua_State *L)
{
    struct tested_message *t = check_message(L);
    struct ws_span room;
    int err = ws_message_room(&t->m, t->mem, (uint64_t)luaL_checkinteger(L, 2),
                              (size_t)luaL_optinteger(L, 3, 0), &room);
    if (err != WS_OK)
        return probe_result(L, err);
    memset(room.p, 0xEE, room.n);
    lua_pushinteger(L, (lua_Integer)room.n);
    return 1;
}

/* :space(ask) -> bytes, or nil, code */
static int message_space(lua_State *L)
{
    struct tested_message *t = check_message(L);
    struct ws_span room;
    int err = ws_message_space(&t->m, t->mem, probe_size(L, 2), &room);
    if (err != WS_OK)
        return probe_result(L, err);
    memset(room.p, 0xEE, room.n);
    lua_pushinteger(L, (lua_Integer)room.n);
    return 1;
}

/* :put(bytes, want): room and commit until all is in */
static int message_put(lua_State *L)
{
    struct tested_message *t = check_message(L);
    struct ws_slice s = probe_slice(L, 2);
    uint64_t want = (uint64_t)luaL_optinteger(L, 3, (lua_Integer)s.n);
    struct ws_span room;
    int err = WS_OK;
    while (err == WS_OK && s.n > 0) {
        size_t n = s.n;
        err = ws_message_room(&t->m, t->mem, want, 0, &room);
        if (err != WS_OK)
            break;
        if (room.n < 1 || room.n > want)
            return luaL_error(L, "room of %d bytes", (int)room.n);
        n = n < room.n ? n : room.n;
        memcpy(room.p, s.p, n);
        err = ws_message_commit(&t->m, n);
        s = ws_slice_of(s.p + n, s.n - n);
        want -= n;
    }
    return probe_result(L, err);
}

/* :finish() -> message, or nil, code */
static int message_finish(lua_State *L)
{
    struct ws_slice data;
    int err = ws_message_end(&check_message(L)->m, &data);
    if (err != WS_OK)
        return probe_result(L, err);
    lua_pushlstring(L, (const char *)data.p, data.n);
    return 1;
}

static int message_free(lua_State *L)
{
    struct tested_message *t = check_message(L);
    ws_message_free(&t->m, t->mem);
    return 0;
}

static const luaL_Reg message_methods[] = {
    {"begin", message_begin},
    {"room", message_room},
    {"space", message_space},
    {"put", message_put},
    {"finish", message_finish},
    {"free", message_free},
    {NULL, NULL},
};

/* -- the table -- */

int ws_probe_proto(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"hello_write", hello_write},
        {"hello_check", hello_check},
        {"hello_challenged", hello_challenged},
        {"hello_reserved", hello_reserved},
        {"hello_travels", hello_travels},
        {"hello_protocols_ok", hello_protocols_ok},
        {"welcome_check", welcome_check},
        {"welcome_accept", welcome_accept},
        {"welcome_refuse", welcome_refuse},
        {"welcome_refuse_error", welcome_refuse_error},
        {"welcome_offers", welcome_offers},
        {"welcome_same_host", welcome_same_host},
        {"welcome_names", welcome_names},
        {"message", message_new},
        {NULL, NULL},
    };
    probe_class(L, MESSAGE, message_methods, NULL);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    probe_open_conn(L);
    probe_open_pmd(L);
    return 1;
}
