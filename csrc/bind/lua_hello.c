/* bind/lua_hello.c -- see lua_hello.h. */
#include "bind/lua_hello.h"

#include "base/base64.h"
#include "wire/auth.h"
#include "wire/field.h"

/* -- the URL -- */

static int new_block(lua_State *L)
{
    lua_newuserdatauv(L, (size_t)lua_tointeger(L, 1), 0);
    return 1;
}

struct ws_uri *ws_new_url(lua_State *L)
{
    struct ws_uri *u = lua_newuserdatauv(L, sizeof *u, 1);

    memset(u, 0, sizeof *u);
    return u;
}

void ws_keep_url(lua_State *L, struct ws_uri *u, struct ws_mem *mem)
{
    int top = lua_gettop(L);

    lua_pushcfunction(L, new_block);
    lua_pushinteger(L, (lua_Integer)u->size);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        ws_uri_free(u, mem);
        lua_error(L);
    }
    ws_uri_move(u, mem, lua_touserdata(L, -1));
    lua_setiuservalue(L, top, 1);
}

const struct ws_uri *ws_check_url(lua_State *L, int idx)
{
    const char *why = "?";
    struct ws_slice text;
    struct ws_mem mem;
    struct ws_uri *u;
    int err;

    ws_mem_init(&mem, NULL, NULL);
    idx = lua_absindex(L, idx);
    if (luaL_getmetafield(L, idx, "__tostring") != LUA_TNIL) {
        lua_pop(L, 1);
        luaL_tolstring(L, idx, NULL);
        lua_replace(L, idx);
    }
    text = ws_check_slice(L, idx, "url");
    u = ws_new_url(L);
    err = ws_uri_parse(u, &mem, text, &why);
    if (err == WS_ERR_NOMEM)
        luaL_error(L, "out of memory");
    if (err != WS_OK)
        luaL_error(L, "SyntaxError: the URL '%s' is invalid: %s",
                   lua_tostring(L, idx), why);
    ws_keep_url(L, u, &mem);
    return u;
}

/* -- credentials -- */

/* "auth" of the options at idx: 1, and the strings, which stay pushed. */
static int read_auth(lua_State *L, int options, struct ws_slice *user,
                     struct ws_slice *password)
{
    int t;

    if (!ws_get_field(L, options, "auth", LUA_TTABLE))
        return 0;
    t = lua_gettop(L);
    lua_geti(L, t, 1);
    lua_geti(L, t, 2);
    if (lua_type(L, t + 1) != LUA_TSTRING ||
        (lua_type(L, t + 2) != LUA_TSTRING && !lua_isnil(L, t + 2)))
        luaL_error(L, "option 'auth' must be {user, password}, two strings");
    *user = ws_slice_at(L, t + 1);
    *password = ws_slice_at(L, t + 2);
    if (ws_basic_check(*user, *password) != WS_OK)
        luaL_error(L, "option 'auth' has a control character, or a colon in "
                      "the user");
    return 1;
}

/* The user and the password to send, from the option or the URL; 0: none. */
static int credentials(lua_State *L, int options, const struct ws_uri *uri,
                       struct ws_slice who[2])
{
    if (read_auth(L, options, &who[0], &who[1]))
        return 1;
    if (uri->user == NULL && uri->password == NULL)
        return 0;
    who[0] = ws_slice_str(uri->user);
    who[1] = ws_slice_str(uri->password);
    if (ws_basic_check(who[0], who[1]) != WS_OK)
        luaL_error(L,
                   "SyntaxError: the URL '%s' is invalid: the user has a "
                   "colon",
                   uri->text);
    return 1;
}

/* Puts Authorization behind the caller's fields. */
static void add_auth(lua_State *L, struct ws_hello_conf *h,
                     struct ws_field *fields, const struct ws_slice who[2])
{
    struct ws_slice name = ws_slice_str("Authorization");
    luaL_Buffer b;
    char *p;
    unsigned i;

    for (i = 0; i < h->nfields; i++) {
        if (ws_slice_same(fields[i].name, name))
            luaL_error(L, "header 'Authorization' is given, and a user too");
    }
    p = luaL_buffinitsize(L, &b, WS_BASIC_SIZE(who[0].n + who[1].n));
    luaL_pushresultsize(&b, ws_basic_write(p, who[0], who[1]));
    fields[h->nfields].name = name;
    fields[h->nfields++].value = ws_slice_at(L, -1);
}

/* -- the request -- */

void ws_aim_asking(struct ws_asking *a, const struct ws_uri *uri)
{
    ws_uri_host_header(uri, a->host, sizeof a->host);
    a->hello.host = a->alias.n > 0 ? a->alias : ws_slice_str(a->host);
    a->hello.target = ws_slice_str(uri->target);
}

/* The string stays pushed. */
static struct ws_slice read_host(lua_State *L, int options)
{
    struct ws_slice s, host;
    int port;

    if (!ws_get_field(L, options, "host", LUA_TSTRING))
        return ws_slice_of(NULL, 0);
    s = ws_slice_at(L, -1);
    if (ws_host_port(s, &host, &port) != WS_OK)
        luaL_error(L, "option 'host' must be a host, or host:port");
    return s;
}

/* The same. */
static struct ws_slice read_origin(lua_State *L, int options)
{
    struct ws_slice s;

    if (!ws_get_field(L, options, "origin", LUA_TSTRING))
        return ws_slice_of(NULL, 0);
    s = ws_slice_at(L, -1);
    if (!ws_head_field_ok(ws_slice_str("Origin"), s))
        luaL_error(L, "option 'origin' has a value that may not be sent");
    return s;
}

static void read_key(lua_State *L, int options, struct ws_asking *a)
{
    struct ws_slice s;
    size_t n = 0;

    if (!ws_get_field(L, options, "handshakeKey", LUA_TSTRING))
        return;
    s = ws_slice_at(L, -1);
    if (s.n != WS_KEY_SIZE || ws_base64_decode(a->nonce, &n, s) != WS_OK ||
        n != WS_NONCE_SIZE)
        luaL_error(L, "option 'handshakeKey' must be 16 bytes in base64");
    a->hello.nonce = ws_slice_of(a->nonce, n);
}

void ws_read_asking(lua_State *L, int idx, const struct ws_uri *uri,
                    struct ws_asking *a)
{
    int options = lua_istable(L, idx + 1) ? idx + 1 : 0;
    struct ws_hello_conf *h = &a->hello;
    struct ws_slice who[2];

    memset(h, 0, sizeof *h);
    a->alias = read_host(L, options);
    ws_aim_asking(a, uri);
    read_key(L, options, a);
    h->protocols = ws_read_protocols(L, idx);
    h->origin = read_origin(L, options);
    ws_get_field(L, options, "headers", LUA_TTABLE);
    a->fields =
        ws_read_fields(L, lua_gettop(L), &h->nfields, ws_hello_reserved);
    if (a->fields == NULL)
        a->fields = &a->own;
    if (credentials(L, options, uri, who))
        add_auth(L, h, a->fields, who);
    h->fields = a->fields;
}
