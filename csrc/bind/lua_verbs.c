/* bind/lua_verbs.c -- see lua_verbs.h. */
#include "bind/lua_verbs.h"

#include "base/base64.h"

static struct ws_slice slice_at(lua_State *L, int idx)
{
    size_t n;
    const char *s = lua_tolstring(L, idx, &n);
    return ws_slice_of(s, n);
}

static void check_connected(lua_State *L, const struct ws_conn *c)
{
    if (c->state == WS_CONNECTING)
        luaL_error(L, "InvalidStateError: the connection is not open yet");
}

/* -- sending -- */

static enum ws_opcode check_kind(lua_State *L, int idx)
{
    const char *s;

    if (lua_isnoneornil(L, idx))
        return WS_OP_TEXT;
    if (lua_type(L, idx) != LUA_TSTRING)
        luaL_error(L, "kind must be \"text\" or \"binary\", got %s",
                   luaL_typename(L, idx));
    s = lua_tostring(L, idx);
    if (strcmp(s, "text") == 0)
        return WS_OP_TEXT;
    if (strcmp(s, "binary") != 0)
        luaL_error(L, "kind must be \"text\" or \"binary\", got '%s'", s);
    return WS_OP_BINARY;
}

static unsigned check_flags(lua_State *L, int idx)
{
    static const char *const names[] = {"final", NULL};

    if (lua_isnoneornil(L, idx))
        return 0;
    if (!lua_istable(L, idx))
        luaL_error(L, "options must be a table, got %s", luaL_typename(L, idx));
    ws_check_keys(L, idx, "option of send", names);
    return ws_get_boolean(L, idx, "final", 1) ? 0 : WS_SEND_PART;
}

void ws_check_sending(lua_State *L, int idx, const struct ws_conn *c,
                      struct ws_sending *s)
{
    check_connected(L, c); /* before looking at the data (W-30) */
    s->data = ws_check_data(L, idx);
    s->op = check_kind(L, idx + 1);
    s->flags = check_flags(L, idx + 2);
}

int ws_push_sent(lua_State *L, int err)
{
    if (err == WS_ERR_UTF8)
        return luaL_error(L, "data is not valid UTF-8; send it as \"binary\"");
    if (err == WS_ERR_NOMEM)
        return luaL_error(L, "out of memory");
    if (err != WS_OK)
        return ws_push_error(L, err);
    lua_pushboolean(L, 1);
    return 1;
}

int ws_send_control(lua_State *L, int idx, struct ws_conn *c, enum ws_opcode op)
{
    struct ws_slice data = ws_slice_of(NULL, 0);
    int err;

    check_connected(L, c);
    if (!lua_isnoneornil(L, idx))
        data = ws_check_data(L, idx);
    err = ws_conn_control(c, op, data);
    if (err == WS_ERR_ARGUMENT)
        return luaL_error(L, "%s: data is %d bytes, at most %d fit",
                          op == WS_OP_PING ? "ping" : "pong", (int)data.n,
                          (int)WS_CONTROL_MAX);
    return ws_push_sent(L, err);
}

/* -- closing -- */

/* The code at idx; 0: none, -1: no code at all. */
static int read_code(lua_State *L, int idx)
{
    lua_Number n;

    if (lua_isnoneornil(L, idx))
        return 0;
    if (lua_type(L, idx) != LUA_TNUMBER)
        return -1;
    n = lua_tonumber(L, idx);
    if (!(n >= 1 && n <= 65535) || n != (lua_Number)(int)n)
        return -1;
    return (int)n;
}

int ws_close_with(lua_State *L, int idx, struct ws_conn *c)
{
    struct ws_slice reason = ws_slice_of(NULL, 0);
    int code = read_code(L, idx), err;

    if (!lua_isnoneornil(L, idx + 1))
        reason = ws_check_slice(L, idx + 1, "reason");
    err = code < 0 ? WS_ERR_CODE : ws_conn_close(c, code, reason);
    if (err == WS_ERR_CODE)
        return luaL_error(L, "InvalidAccessError: close code %s is not %s",
                          luaL_tolstring(L, idx, NULL),
                          c->conf->role == WS_SERVER ? "one that may be sent"
                                                     : "1000 or 3000 to 4999");
    if (err == WS_ERR_REASON)
        return luaL_error(L, "SyntaxError: the close reason is longer than "
                             "123 bytes");
    if (err != WS_OK)
        return luaL_error(L, "SyntaxError: the close reason is not valid "
                             "UTF-8");
    lua_pushboolean(L, 1);
    return 1;
}

/* -- a client's request -- */

#define URL_CLASS "wsock.url"

/* A URL while it is needed, freed with the garbage when something raises. */
struct url {
    struct ws_mem mem;
    struct ws_uri uri;
};

static int url_gc(lua_State *L)
{
    struct url *u = luaL_checkudata(L, 1, URL_CLASS);
    ws_uri_free(&u->uri, &u->mem);
    return 0;
}

static struct url *new_url(lua_State *L)
{
    struct url *u = lua_newuserdata(L, sizeof *u);

    memset(u, 0, sizeof *u);
    ws_mem_init(&u->mem, NULL, NULL);
    if (luaL_newmetatable(L, URL_CLASS)) {
        lua_pushcfunction(L, url_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return u;
}

const struct ws_uri *ws_check_url(lua_State *L, int idx)
{
    const char *why = "?";
    struct url *u;
    int err;

    idx = lua_absindex(L, idx);
    if (luaL_getmetafield(L, idx, "__tostring") != LUA_TNIL) {
        lua_pop(L, 1);
        luaL_tolstring(L, idx, NULL);
        lua_replace(L, idx);
    }
    u = new_url(L);
    err = ws_uri_parse(&u->uri, &u->mem, ws_check_slice(L, idx, "url"), &why);
    if (err == WS_ERR_NOMEM)
        luaL_error(L, "out of memory");
    if (err != WS_OK)
        luaL_error(L, "SyntaxError: the URL '%s' is invalid: %s",
                   lua_tostring(L, idx), why);
    return &u->uri;
}

/* Pushes "Basic " and "user:password" in base64 (RFC 7617 2). */
static void push_basic(lua_State *L, const struct ws_uri *uri)
{
    struct ws_slice s;
    luaL_Buffer b;
    char *p;

    lua_pushfstring(L, "%s:%s", uri->user == NULL ? "" : uri->user,
                    uri->password == NULL ? "" : uri->password);
    s = slice_at(L, -1);
    luaL_buffinit(L, &b);
    luaL_addstring(&b, "Basic ");
    p = luaL_prepbuffsize(&b, WS_BASE64_SIZE(s.n));
    luaL_addsize(&b, ws_base64_encode(p, s));
    luaL_pushresult(&b);
}

int ws_queue_hello(lua_State *L, int idx, struct ws_conn *c,
                   const struct ws_uri *uri)
{
    struct ws_field fields[WS_HEAD_LINES_MAX + 1], *given;
    int options = lua_istable(L, idx + 1) ? idx + 1 : 0;
    char host[WS_HOST_HEADER_SIZE];
    struct ws_hello_conf hello;

    memset(&hello, 0, sizeof hello);
    if (ws_uri_host_header(uri, host, sizeof host) != WS_OK)
        return WS_ERR_FIELD;
    hello.host = ws_slice_str(host);
    hello.target = ws_slice_str(uri->target);
    hello.protocols = ws_read_protocols(L, idx);
    if (ws_get_field(L, options, "origin", LUA_TSTRING))
        hello.origin = slice_at(L, -1);
    ws_get_field(L, options, "headers", LUA_TTABLE);
    given = ws_read_fields(L, lua_gettop(L), &hello.nfields, ws_hello_reserved);
    if (hello.nfields > 0)
        memcpy(fields, given, hello.nfields * sizeof *given);
    if (uri->user != NULL || uri->password != NULL) {
        push_basic(L, uri);
        fields[hello.nfields].name = ws_slice_str("Authorization");
        fields[hello.nfields++].value = slice_at(L, -1);
    }
    hello.fields = fields;
    return ws_conn_start(c, &hello);
}
