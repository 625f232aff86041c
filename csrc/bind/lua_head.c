/* bind/lua_head.c -- HTTP heads and bodies for Lua: wsock's `wire.head`.
**
** The conventions are those of lua_wire.c: nil, message, code and name for
** bytes that are wrong, false for too few of them.
*/
#include "bind/lua_wire.h"

#include "wire/head.h"

#define SCAN_CLASS "wsock.wire.scan"
#define CHUNKED_CLASS "wsock.wire.chunked"

/* -- reading -- */

struct scan {
    struct ws_head_scan scan;
    struct ws_head_limits limits;
};

static size_t limit(lua_State *L, const char *key, size_t def)
{
    lua_Integer n;
    if (!lua_istable(L, 1))
        return def;
    lua_getfield(L, 1, key);
    n = luaL_optinteger(L, -1, (lua_Integer)def);
    luaL_argcheck(L, n >= 0 && n <= INT32_MAX, 1, "limit out of range");
    lua_pop(L, 1);
    return (size_t)n;
}

/* scanner([limits]) -> scanner; limits {size, lines, line, target}, 0: none. */
static int head_scanner(lua_State *L)
{
    struct scan *s = lua_newuserdata(L, sizeof *s);
    ws_head_scan_init(&s->scan);
    s->limits.size_max = limit(L, "size", WS_HEAD_SIZE_MAX);
    s->limits.lines_max = (unsigned)limit(L, "lines", WS_HEAD_LINES_MAX);
    s->limits.line_max = limit(L, "line", WS_HEAD_LINE_MAX);
    s->limits.target_max = limit(L, "target", WS_HEAD_TARGET_MAX);
    luaL_setmetatable(L, SCAN_CLASS);
    return 1;
}

/* scanner:scan(all) -> size of the head at the start of all, which is
** everything that came so far; only what is new is looked at. */
static int scan_scan(lua_State *L)
{
    struct scan *s = luaL_checkudata(L, 1, SCAN_CLASS);
    struct ws_slice all = ws_wire_check(L, 2);
    size_t size;
    int rc;

    luaL_argcheck(L, all.n >= s->scan.pos, 2, "less than it was before");
    rc = ws_head_scan(&s->scan, all, &s->limits, &size);
    if (rc != WS_OK)
        return ws_wire_answer(L, rc);
    lua_pushinteger(L, (lua_Integer)size);
    return 1;
}

/* Parses a copy of the head at arg, response by the boolean behind it.  The
** copy and the fields are userdata on the stack. */
static int parse(lua_State *L, struct ws_head *h, int arg)
{
    struct ws_slice s = ws_wire_check(L, arg);
    int is_response = lua_toboolean(L, arg + 1);
    uint8_t *copy = lua_newuserdata(L, s.n + 1);
    size_t i, lines = 1;

    memcpy(copy, s.p, s.n);
    for (i = 0; i < s.n; i++)
        lines += copy[i] == '\n';
    h->fields = lua_newuserdata(L, lines * sizeof *h->fields);
    h->fields_max = (unsigned)lines;
    return ws_head_parse(h, ws_span_of(copy, s.n), is_response);
}

static void push_fields(lua_State *L, const struct ws_head *h)
{
    unsigned i;
    lua_createtable(L, (int)h->nfields, 0);
    for (i = 0; i < h->nfields; i++) {
        lua_createtable(L, 2, 0);
        ws_push_slice(L, h->fields[i].name);
        lua_rawseti(L, -2, 1);
        ws_push_slice(L, h->fields[i].value);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* parse(bytes [, response]) -> {method, target, version, status, reason,
** fields = {{name, value}, ...}, size} of the head at the start of bytes. */
static int head_parse(lua_State *L)
{
    struct ws_head h;
    int rc = parse(L, &h, 1);

    if (rc != WS_OK)
        return ws_wire_answer(L, rc);
    lua_createtable(L, 0, 5);
    ws_wire_set(L, "version", h.version);
    if (h.is_response) {
        ws_wire_set_integer(L, "status", h.status);
        ws_wire_set(L, "reason", h.reason);
    } else {
        ws_wire_set(L, "method", h.method);
        ws_wire_set(L, "target", h.target);
    }
    push_fields(L, &h);
    lua_setfield(L, -2, "fields");
    ws_wire_set_integer(L, "size", (lua_Integer)h.size);
    return 1;
}

/* body(bytes [, response]) -> "none", "length", "chunked" or "close", and the
** length: how the body behind that head is framed. */
static int head_body(lua_State *L)
{
    static const char *const names[] = {"none", "length", "chunked", "close"};
    struct ws_head h;
    enum ws_body_kind kind;
    uint64_t length;
    int rc = parse(L, &h, 1);

    if (rc == WS_OK)
        rc = ws_head_body(&h, &kind, &length);
    if (rc != WS_OK)
        return ws_wire_answer(L, rc);
    lua_pushstring(L, names[kind]);
    lua_pushinteger(L, (lua_Integer)length);
    return 2;
}

/* The string at key of the table at idx, n 0 when it is nil; stays on the
** stack. */
static struct ws_slice get_slice(lua_State *L, int idx, const char *key)
{
    lua_getfield(L, idx, key);
    if (lua_isnil(L, -1))
        return ws_slice_of(NULL, 0);
    return ws_check_slice(L, -1, key);
}

static int put_fields(lua_State *L, struct ws_wire_scratch *s)
{
    int i, rc = WS_OK, list, n;

    lua_getfield(L, 1, "fields");
    list = lua_gettop(L);
    if (lua_isnil(L, list))
        return WS_OK;
    luaL_checktype(L, list, LUA_TTABLE);
    n = (int)lua_rawlen(L, list);
    for (i = 1; i <= n && rc == WS_OK; i++) {
        struct ws_slice name, value;
        lua_rawgeti(L, list, i);
        luaL_checktype(L, -1, LUA_TTABLE);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        name = ws_check_slice(L, -2, "field name");
        value = ws_check_slice(L, -1, "field value");
        rc = ws_head_put_field(&s->buf, &s->mem, name, value);
        lua_settop(L, list);
    }
    return rc;
}

/* write(head) -> bytes: a head from {method, target, fields} or {status,
** reason, fields}; nothing that would not be read back is written. */
static int head_write(lua_State *L)
{
    struct ws_wire_scratch *s;
    int rc;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    s = ws_wire_scratch(L);
    lua_getfield(L, 1, "status");
    if (lua_isnil(L, -1)) {
        struct ws_slice method = get_slice(L, 1, "method");
        struct ws_slice target = get_slice(L, 1, "target");
        rc = ws_head_put_request(&s->buf, &s->mem, method, target);
    } else {
        lua_Integer n = luaL_checkinteger(L, -1);
        struct ws_slice reason = get_slice(L, 1, "reason");
        rc = ws_head_put_status(&s->buf, &s->mem,
                                n >= 100 && n <= 599 ? (int)n : 0, reason);
    }
    if (rc == WS_OK)
        rc = put_fields(L, s);
    if (rc == WS_OK)
        rc = ws_head_put_end(&s->buf, &s->mem);
    if (rc != WS_OK) {
        ws_buf_free(&s->buf, &s->mem);
        return ws_wire_answer(L, rc);
    }
    ws_push_slice(L, ws_buf_peek(&s->buf));
    ws_buf_free(&s->buf, &s->mem);
    return 1;
}

/* reason(status) -> the standard phrase, "" when there is none. */
static int head_reason(lua_State *L)
{
    lua_pushstring(L, ws_head_reason(ws_wire_code(L, 1)));
    return 1;
}

/* chunked() -> reader of a chunked body. */
static int head_chunked(lua_State *L)
{
    struct ws_chunked *c = lua_newuserdata(L, sizeof *c);
    ws_chunked_init(c);
    luaL_setmetatable(L, CHUNKED_CLASS);
    return 1;
}

/* reader:feed(bytes) -> data, done, rest: what of the body is in them, whether
** it has ended, and the bytes behind its end. */
static int chunked_feed(lua_State *L)
{
    struct ws_chunked *c = luaL_checkudata(L, 1, CHUNKED_CLASS);
    struct ws_slice in = ws_wire_check(L, 2), data;
    luaL_Buffer b;
    int rc;

    luaL_buffinit(L, &b);
    do {
        rc = ws_chunked_feed(c, &in, &data);
        luaL_addlstring(&b, data.n == 0 ? "" : (const char *)data.p, data.n);
    } while (rc == WS_OK && data.n > 0);
    luaL_pushresult(&b);
    if (rc < 0)
        return ws_wire_answer(L, rc);
    lua_pushboolean(L, c->done);
    ws_push_slice(L, in);
    return 3;
}

static const luaL_Reg head[] = {{"scanner", head_scanner},
                                {"parse", head_parse},
                                {"body", head_body},
                                {"write", head_write},
                                {"reason", head_reason},
                                {"chunked", head_chunked},
                                {NULL, NULL}};

int ws_open_head(lua_State *L)
{
    ws_wire_class(L, SCAN_CLASS, "scan", scan_scan);
    ws_wire_class(L, CHUNKED_CLASS, "feed", chunked_feed);
    lua_newtable(L);
    luaL_setfuncs(L, head, 0);
    return 1;
}
