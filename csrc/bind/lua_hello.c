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

/* "scheme" of the option auth at t: whether Basic is sent, and challenges of
** Digest are answered. */
static void read_scheme(lua_State *L, int t, struct ws_asking *a, int *basic)
{
    struct ws_slice s;

    *basic = 1;
    a->challenges = WS_CHALLENGES_ANY;
    if (lua_getfield(L, t, "scheme") == LUA_TNIL)
        return;
    s = ws_slice_at(L, -1);
    if (ws_slice_is(s, "digest"))
        *basic = 0;
    else if (ws_slice_is(s, "basic"))
        a->challenges = WS_CHALLENGES_NONE;
    else
        luaL_error(L, "option 'auth': scheme must be 'basic' or 'digest'");
}

/* A misspelt name must not make a password go out by Basic. */
static void check_names(lua_State *L, int t)
{
    static const char *const names[] = {"scheme", NULL};

    lua_pushnil(L);
    while (lua_next(L, t) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING &&
            !ws_is_one_of(lua_tostring(L, -1), names))
            ws_unknown_key(L, "field of option 'auth'", lua_tostring(L, -1),
                           names);
    }
}

/* "auth" of the options at idx: 1, and the strings, which stay pushed. */
static int read_auth(lua_State *L, int options, struct ws_asking *a, int *basic)
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
    a->user = ws_slice_at(L, t + 1);
    a->password = ws_slice_at(L, t + 2);
    if (ws_basic_check(a->user, a->password) != WS_OK)
        luaL_error(L, "option 'auth' has a control character, or a colon in "
                      "the user");
    check_names(L, t);
    read_scheme(L, t, a, basic);
    return 1;
}

/* The user and the password of the URL, or of nobody: 0.  As strings. */
static int url_auth(lua_State *L, const struct ws_uri *uri, struct ws_asking *a)
{
    if (uri->user == NULL && uri->password == NULL)
        return 0;
    lua_pushstring(L, uri->user != NULL ? uri->user : "");
    a->user = ws_slice_at(L, -1);
    lua_pushstring(L, uri->password != NULL ? uri->password : "");
    a->password = ws_slice_at(L, -1);
    if (ws_basic_check(a->user, a->password) != WS_OK)
        luaL_error(L,
                   "SyntaxError: the URL '%s' is invalid: the user has a "
                   "colon",
                   uri->text);
    a->challenges = WS_CHALLENGES_ANY;
    return 1;
}

static const char authorization[] = "Authorization";

/* What is sent first, and what may be answered, of the option or the URL. */
static void read_login(lua_State *L, int options, const struct ws_uri *uri,
                       struct ws_asking *a)
{
    int basic = 1;
    luaL_Buffer b;
    char *p;
    unsigned i;

    a->basic = ws_slice_of(NULL, 0);
    a->user = ws_slice_of(NULL, 0);
    a->challenges = WS_CHALLENGES_NONE;
    if (!read_auth(L, options, a, &basic) && !url_auth(L, uri, a))
        return;
    for (i = 0; i < a->given; i++) {
        if (ws_slice_same(a->fields[i].name, ws_slice_str(authorization)))
            luaL_error(L, "header 'Authorization' is given, and a user too");
    }
    if (!basic)
        return;
    p = luaL_buffinitsize(L, &b, WS_BASIC_SIZE(a->user.n + a->password.n));
    luaL_pushresultsize(&b, ws_basic_write(p, a->user, a->password));
    a->basic = ws_slice_at(L, -1);
}

/* Behind the caller's fields. */
void ws_authorize_asking(struct ws_asking *a, struct ws_slice value)
{
    struct ws_field *f = &a->fields[a->given];

    a->hello.nfields = a->given;
    if (value.n == 0)
        return;
    f->name = ws_slice_str(authorization);
    f->value = value;
    a->hello.nfields++;
}

void ws_renew_asking(struct ws_asking *a)
{
    ws_authorize_asking(a, a->basic);
    a->hello.challenges = a->challenges;
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

    luaL_checkstack(L, 24, NULL);
    memset(h, 0, sizeof *h);
    a->alias = read_host(L, options);
    ws_aim_asking(a, uri);
    read_key(L, options, a);
    h->protocols = ws_read_protocols(L, idx);
    h->origin = read_origin(L, options);
    ws_get_field(L, options, "headers", LUA_TTABLE);
    a->fields = ws_read_fields(L, lua_gettop(L), &a->given, ws_hello_reserved);
    if (a->fields == NULL)
        a->fields = &a->own;
    h->fields = a->fields;
    read_login(L, options, uri, a);
    ws_renew_asking(a);
}
