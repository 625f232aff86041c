/* bind/lua_wire.c -- the wire formats for Lua: frames, heads, fields, URLs.
**
** For those who run their own loop or write their own peer, and for specs.
** Strings in, tables and strings out; objects only where bytes come in
** pieces.  Where bytes are not what they should be the answer is nil,
** message, code and the name of the rule that is broken ("LENGTH_TOP");
** where they are too few it is false.  Misuse raises.
**
** Only Lua API that LuaJIT has, or lacks only in name.
*/
#include "bind/lua_wire.h"

#include "wire/challenge.h"
#include "wire/field.h"
#include "wire/frame.h"
#include "wire/status.h"

#define SCRATCH_CLASS "wsock.wire.scratch"

enum { PARAMS_MAX = 32 }; /* of credentials: a table each, for a stranger */

/* -- values -- */

struct ws_slice ws_wire_check(lua_State *L, int arg)
{
    size_t n;
    const char *s = luaL_checklstring(L, arg, &n);
    return ws_slice_of(s, n);
}

void ws_wire_set(lua_State *L, const char *key, struct ws_slice s)
{
    ws_push_slice(L, s);
    lua_setfield(L, -2, key);
}

void ws_wire_set_integer(lua_State *L, const char *key, lua_Integer n)
{
    lua_pushinteger(L, n);
    lua_setfield(L, -2, key);
}

static void set_boolean(lua_State *L, const char *key, int v)
{
    lua_pushboolean(L, v);
    lua_setfield(L, -2, key);
}

int ws_wire_answer(lua_State *L, int rc)
{
    if (rc == WS_MORE) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (rc == WS_ERR_NOMEM)
        return luaL_error(L, "%s", ws_err_text(rc));
    ws_push_error(L, rc);
    lua_pushstring(L, ws_err_name(rc));
    return 4;
}

static int scratch_free(lua_State *L)
{
    struct ws_wire_scratch *s = luaL_checkudata(L, 1, SCRATCH_CLASS);
    ws_buf_free(&s->buf, &s->mem);
    ws_uri_free(&s->uri, &s->mem);
    return 0;
}

struct ws_wire_scratch *ws_wire_scratch(lua_State *L)
{
    struct ws_wire_scratch *s = lua_newuserdata(L, sizeof *s);
    void *ud;
    lua_Alloc fn = lua_getallocf(L, &ud);
    memset(s, 0, sizeof *s);
    ws_mem_init(&s->mem, fn, ud);
    ws_buf_init(&s->buf, 0);
    luaL_setmetatable(L, SCRATCH_CLASS);
    return s;
}

int ws_wire_code(lua_State *L, int arg)
{
    lua_Integer code = luaL_checkinteger(L, arg);
    return code >= 0 && code <= 65535 ? (int)code : -1;
}

void ws_wire_class(lua_State *L, const char *name, const char *key,
                   lua_CFunction fn)
{
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, fn);
    lua_setfield(L, -2, key);
    if (key[0] != '_') {
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}

/* -- frame -- */

/* decode(bytes [, masked [, rsv1]]) -> head, size: the frame head at the start
** of bytes as {opcode, fin, rsv1, length, key} and how many bytes it takes.
** masked: frames have to be (we are the server); rsv1: it is negotiated. */
static int frame_decode(lua_State *L)
{
    struct ws_slice in = ws_wire_check(L, 1);
    unsigned expect = 0;
    struct ws_frame f;
    size_t size;
    int rc;

    if (lua_toboolean(L, 2))
        expect |= WS_FRAME_MASKED;
    if (lua_toboolean(L, 3))
        expect |= WS_FRAME_RSV1;
    rc = ws_frame_read(&f, in, expect, &size);
    if (rc != WS_OK)
        return ws_wire_answer(L, rc);
    lua_createtable(L, 0, 5);
    ws_wire_set_integer(L, "opcode", f.op);
    set_boolean(L, "fin", f.fin);
    set_boolean(L, "rsv1", f.rsv1);
    ws_wire_set_integer(L, "length", (lua_Integer)f.len);
    if (f.masked)
        ws_wire_set(L, "key", ws_slice_of(f.key, 4));
    lua_pushinteger(L, (lua_Integer)size);
    return 2;
}

static int get_flag(lua_State *L, const char *key, int def)
{
    int v;
    lua_getfield(L, 1, key);
    v = lua_isnil(L, -1) ? def : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return v;
}

/* encode(head) -> bytes: the reverse; fin is true unless it is false. */
static int frame_encode(lua_State *L)
{
    uint8_t out[WS_FRAME_HEAD_MAX];
    struct ws_frame f;
    lua_Integer op, len;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "opcode");
    lua_getfield(L, 1, "length");
    lua_getfield(L, 1, "key");
    op = luaL_checkinteger(L, -3);
    len = luaL_optinteger(L, -2, 0);
    luaL_argcheck(L, op >= 0 && op <= 15, 1, "opcode out of range");
    luaL_argcheck(L, len >= 0, 1, "length out of range");
    memset(&f, 0, sizeof f);
    f.op = (uint8_t)op;
    f.len = (uint64_t)len;
    f.masked = !lua_isnil(L, -1);
    if (f.masked) {
        struct ws_slice key = ws_check_slice(L, -1, "key");
        luaL_argcheck(L, key.n == 4, 1, "key has not four bytes");
        memcpy(f.key, key.p, 4);
    }
    f.fin = (uint8_t)get_flag(L, "fin", 1);
    f.rsv1 = (uint8_t)get_flag(L, "rsv1", 0);
    ws_push_slice(L, ws_slice_of(out, ws_frame_write(out, &f)));
    return 1;
}

static const luaL_Reg frame[] = {
    {"decode", frame_decode}, {"encode", frame_encode}, {NULL, NULL}};

/* -- status -- */

/* decode(payload) -> code, reason of a close frame; 1005, "" when empty. */
static int status_decode(lua_State *L)
{
    struct ws_slice reason;
    int code, rc = ws_status_read(ws_wire_check(L, 1), &code, &reason);

    if (rc != WS_OK)
        return ws_wire_answer(L, rc);
    lua_pushinteger(L, code);
    ws_push_slice(L, reason);
    return 2;
}

/* encode([code [, reason]]) -> payload; without code it is empty. */
static int status_encode(lua_State *L)
{
    uint8_t out[2 + WS_REASON_MAX];
    struct ws_slice reason = ws_slice_of(NULL, 0);
    int code = 0;

    if (!lua_isnoneornil(L, 1)) {
        code = ws_wire_code(L, 1);
        luaL_argcheck(L, code > 0, 1, "code out of range");
    }
    if (!lua_isnoneornil(L, 2))
        reason = ws_wire_check(L, 2);
    luaL_argcheck(L, reason.n <= WS_REASON_MAX, 2, "longer than 123 bytes");
    ws_push_slice(L, ws_slice_of(out, ws_status_write(out, code, reason)));
    return 1;
}

/* onWire(code) -> boolean: may it stand in a close frame? */
static int status_on_wire(lua_State *L)
{
    lua_pushboolean(L, ws_status_on_wire(ws_wire_code(L, 1)));
    return 1;
}

/* maySend(code [, server]) -> boolean: may an application close with it? */
static int status_may_send(lua_State *L)
{
    lua_pushboolean(
        L, ws_status_may_send(ws_wire_code(L, 1), lua_toboolean(L, 2)));
    return 1;
}

/* names() -> {NORMAL_CLOSURE = 1000, ...} */
static int status_names(lua_State *L)
{
    size_t i, count;
    const struct ws_status_name *list = ws_status_names(&count);

    lua_createtable(L, 0, (int)count);
    for (i = 0; i < count; i++)
        ws_wire_set_integer(L, list[i].name, list[i].code);
    return 1;
}

static const luaL_Reg status[] = {
    {"decode", status_decode},  {"encode", status_encode},
    {"onWire", status_on_wire}, {"maySend", status_may_send},
    {"names", status_names},    {NULL, NULL}};

/* -- field -- */

/* isToken(text) -> boolean */
static int field_is_token(lua_State *L)
{
    lua_pushboolean(L, ws_is_token(ws_wire_check(L, 1)));
    return 1;
}

/* list(value) -> {item, ...}: the elements of a comma list. */
static int field_list(lua_State *L)
{
    struct ws_slice rest = ws_wire_check(L, 1), item;
    int n = 0;

    lua_newtable(L);
    while (ws_list_next(&rest, &item) == WS_OK) {
        ws_push_slice(L, item);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* tokens(value) -> {token, ...}: of a list that has only tokens. */
static int field_tokens(lua_State *L)
{
    struct ws_slice rest = ws_wire_check(L, 1), token;
    int n = 0, rc;

    lua_newtable(L);
    for (;;) {
        rc = ws_token_list_next(&rest, &token);
        if (rc != WS_OK)
            return rc == WS_MORE ? 1 : ws_wire_answer(L, rc);
        ws_push_slice(L, token);
        lua_rawseti(L, -2, ++n);
    }
}

/* Sets params = {{name, value, quoted}, ...} in the table at the top; value
** is nil for a parameter without one.  scratch has params.n bytes. */
static int set_params(lua_State *L, struct ws_slice params, uint8_t *scratch)
{
    size_t room = params.n;
    struct ws_param p;
    int n = 0, rc;

    lua_newtable(L);
    for (;;) {
        rc = ws_param_next(&params, &p, scratch, room);
        if (rc != WS_OK)
            break;
        lua_createtable(L, 0, 3);
        ws_wire_set(L, "name", p.name);
        if (p.has_value)
            ws_wire_set(L, "value", p.value);
        set_boolean(L, "quoted", p.quoted);
        lua_rawseti(L, -2, ++n);
    }
    lua_setfield(L, -2, "params");
    return rc;
}

/* extensions(value) -> {{name, params}, ...} of an extension list. */
static int field_extensions(lua_State *L)
{
    struct ws_slice rest = ws_wire_check(L, 1), name, params;
    uint8_t *scratch = lua_newuserdata(L, rest.n + 1);
    int n = 0, rc;

    lua_newtable(L);
    for (;;) {
        rc = ws_extension_next(&rest, &name, &params);
        if (rc != WS_OK)
            return rc == WS_MORE ? 1 : ws_wire_answer(L, rc);
        lua_createtable(L, 0, 2);
        ws_wire_set(L, "name", name);
        rc = set_params(L, params, scratch);
        if (rc != WS_MORE)
            return ws_wire_answer(L, rc);
        lua_rawseti(L, -2, ++n);
    }
}

/* hostPort(value) -> host, port: of Host; port 0 without one. */
static int field_host_port(lua_State *L)
{
    struct ws_slice host;
    int port, rc = ws_host_port(ws_wire_check(L, 1), &host, &port);

    if (rc != WS_OK)
        return ws_wire_answer(L, rc);
    ws_push_slice(L, host);
    lua_pushinteger(L, port);
    return 2;
}

/* origin(value) -> scheme, host, port: of Origin. */
static int field_origin(lua_State *L)
{
    struct ws_slice scheme, host;
    int port, rc = ws_origin_host(ws_wire_check(L, 1), &scheme, &host, &port);

    if (rc != WS_OK)
        return ws_wire_answer(L, rc);
    ws_push_slice(L, scheme);
    ws_push_slice(L, host);
    lua_pushinteger(L, port);
    return 3;
}

/* Pushes what a quoted string means: no backslash before a byte. */
static void push_unquoted(lua_State *L, struct ws_slice s)
{
    luaL_Buffer b;
    size_t i;

    luaL_buffinit(L, &b);
    for (i = 0; i < s.n; i++) {
        i += s.p[i] == '\\' && i + 1 < s.n;
        luaL_addchar(&b, (char)s.p[i]);
    }
    luaL_pushresult(&b);
}

/* credentials(value) -> scheme, {{name, value}, ...}: of Authorization.  There
** is no list where there are no parameters, but a token68 (RFC 9110 11.4), or
** more than any scheme has. */
static int field_credentials(lua_State *L)
{
    struct ws_slice rest = ws_wire_check(L, 1), scheme, params, name, value;
    int n = 0, rc = ws_challenge_next(&rest, &scheme, &params);

    if (rc != WS_OK)
        return ws_wire_answer(L, WS_ERR_FIELD);
    ws_push_slice(L, scheme);
    lua_newtable(L);
    for (;;) {
        rc = ws_challenge_param(&params, &name, &value);
        if (rc != WS_OK || n == PARAMS_MAX)
            break;
        lua_createtable(L, 2, 0);
        ws_push_slice(L, name);
        lua_rawseti(L, -2, 1);
        push_unquoted(L, value);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, ++n);
    }
    if (rc == WS_MORE && n > 0 && ws_list_next(&rest, &name) == WS_MORE)
        return 2;
    lua_pop(L, 1);
    return 1;
}

static const luaL_Reg field[] = {
    {"isToken", field_is_token},        {"list", field_list},
    {"tokens", field_tokens},           {"extensions", field_extensions},
    {"hostPort", field_host_port},      {"origin", field_origin},
    {"credentials", field_credentials}, {NULL, NULL}};

/* -- uri -- */

/* A string that may be NULL: then the key stays nil. */
static void set_string(lua_State *L, const char *key, const char *s)
{
    lua_pushstring(L, s);
    lua_setfield(L, -2, key);
}

static void push_uri(lua_State *L, const struct ws_uri *u)
{
    static const char *const schemes[] = {"ws", "wss", "http", "https",
                                          "ws+unix"};
    char header[WS_HOST_HEADER_SIZE];

    lua_createtable(L, 0, 13);
    set_string(L, "scheme", schemes[u->scheme]);
    set_boolean(L, "secure", u->secure);
    set_string(L, "url", u->text);
    set_string(L, "origin", u->origin);
    set_string(L, "host", u->host);
    set_string(L, "kind",
               u->host_is_ipv6   ? "ipv6"
               : u->host_is_ipv4 ? "ipv4"
                                 : "name");
    ws_wire_set_integer(L, "port", u->port);
    set_boolean(L, "defaultPort", u->port_is_default);
    set_string(L, "target", u->target);
    set_string(L, "user", u->user);
    set_string(L, "password", u->password);
    set_string(L, "path", u->path_unix);
    if (ws_uri_host_header(u, header, sizeof header) == WS_OK)
        set_string(L, "hostHeader", header);
}

/* parse(url) -> {scheme, secure, url, origin, host, kind, port, defaultPort,
** target, user, password, path, hostHeader}; path is the socket of ws+unix. */
static int uri_parse(lua_State *L)
{
    struct ws_slice s = ws_wire_check(L, 1);
    struct ws_wire_scratch *x = ws_wire_scratch(L);
    const char *why;
    int rc = ws_uri_parse(&x->uri, &x->mem, s, &why);

    if (rc == WS_ERR_URI) {
        ws_push_fail(L, why, ws_err_word(rc));
        lua_pushstring(L, ws_err_name(rc));
        return 4;
    }
    if (rc != WS_OK)
        return ws_wire_answer(L, rc);
    push_uri(L, &x->uri);
    ws_uri_free(&x->uri, &x->mem);
    return 1;
}

/* target(text) -> {form, authority, path, query}: the target of a request;
** form is "origin", "absolute", "authority" or "asterisk". */
static int uri_target(lua_State *L)
{
    static const char *const forms[] = {"origin", "absolute", "authority",
                                        "asterisk"};
    struct ws_target t;
    int rc = ws_target_split(&t, ws_wire_check(L, 1));

    if (rc != WS_OK)
        return ws_wire_answer(L, rc);
    lua_createtable(L, 0, 4);
    set_string(L, "form", forms[t.form]);
    ws_wire_set(L, "authority", t.authority);
    ws_wire_set(L, "path", t.path);
    ws_wire_set(L, "query", t.query);
    return 1;
}

static const luaL_Reg uri[] = {
    {"parse", uri_parse}, {"target", uri_target}, {NULL, NULL}};

/* -- the table -- */

static void add(lua_State *L, const char *name, const luaL_Reg *functions)
{
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_setfield(L, -2, name);
}

int ws_open_wire(lua_State *L)
{
    ws_wire_class(L, SCRATCH_CLASS, "__gc", scratch_free);
    lua_newtable(L);
    add(L, "frame", frame);
    add(L, "status", status);
    ws_open_head(L);
    lua_setfield(L, -2, "head");
    add(L, "field", field);
    add(L, "uri", uri);
    return 1;
}
