/* probe_auth.c -- probe.wire: credentials and challenges. */
#include "probe.h"

#include "wire/auth.h"

static struct ws_slice own(lua_State *L, int arg)
{
    struct ws_span s = probe_copy(L, arg);
    return ws_slice_of(s.p, s.n);
}

/* -- Basic -- */

/* basic(user, password) -> value; basic_read(value) -> user, password; or nil
** and the error */
static int basic(lua_State *L)
{
    struct ws_slice user = own(L, 1);
    struct ws_slice word = own(L, 2);
    size_t n = WS_BASIC_SIZE(user.n + word.n);
    char *out = lua_newuserdatauv(L, n, 0);
    int rc = ws_basic_check(user, word);

    if (rc != WS_OK)
        return probe_result(L, rc);
    luaL_argcheck(L, ws_basic_write(out, user, word) == n, 1, "another size");
    lua_pushlstring(L, out, n);
    return 1;
}

static int basic_read(lua_State *L)
{
    struct ws_slice s = own(L, 1), user, word;
    uint8_t *scratch = lua_newuserdatauv(L, s.n == 0 ? 1 : s.n, 0);
    int rc = ws_basic_read(s, scratch, &user, &word);

    if (rc != WS_OK)
        return probe_result(L, rc);
    probe_push(L, user);
    probe_push(L, word);
    return 2;
}

/* -- challenges -- */

/* Appends a string to the list at the top. */
static void append(lua_State *L, struct ws_slice s)
{
    probe_push(L, s);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* challenges(value) -> a list of {scheme, name, value, name, value, ...}, whose
** field rest is what is no parameter; and what is left of the value */
static int challenges(lua_State *L)
{
    struct ws_slice rest = own(L, 1), scheme, params, name, v;
    lua_Integer n = 0;

    lua_newtable(L);
    while (ws_challenge_next(&rest, &scheme, &params) == WS_OK) {
        lua_newtable(L);
        append(L, scheme);
        while (ws_challenge_param(&params, &name, &v) == WS_OK) {
            append(L, name);
            append(L, v);
        }
        if (params.n > 0) {
            probe_push(L, params);
            lua_setfield(L, -2, "rest");
        }
        lua_rawseti(L, -2, ++n);
    }
    probe_push(L, rest);
    return 2;
}

/* The challenge to answer of the fields WWW-Authenticate in the list at 1. */
static int choose(lua_State *L, struct ws_digest *d)
{
    unsigned i, n = (unsigned)luaL_len(L, 1);
    struct ws_head h;

    memset(&h, 0, sizeof h);
    h.fields = lua_newuserdatauv(L, (n + 1) * sizeof *h.fields, 0);
    h.nfields = h.fields_max = n;
    luaL_checkstack(L, (int)n + 20, NULL);
    for (i = 0; i < n; i++) {
        lua_geti(L, 1, i + 1);
        h.fields[i].name = ws_slice_str("WWW-Authenticate");
        h.fields[i].value = own(L, -1);
    }
    return ws_digest_choose(&h, "www-authenticate", d);
}

static void set(lua_State *L, const char *key, struct ws_slice s)
{
    if (s.p == NULL)
        return;
    probe_push(L, s);
    lua_setfield(L, -2, key);
}

static void set_boolean(lua_State *L, const char *key, int v)
{
    lua_pushboolean(L, v);
    lua_setfield(L, -2, key);
}

/* digest{value, ...} -> the challenge that is chosen as a table, or nil */
static int digest(lua_State *L)
{
    struct ws_digest d;

    if (choose(L, &d) != WS_OK)
        return 0;
    lua_newtable(L);
    set(L, "realm", d.realm);
    set(L, "nonce", d.nonce);
    set(L, "opaque", d.opaque);
    set(L, "algorithm", d.algorithm);
    lua_pushinteger(L, d.hash);
    lua_setfield(L, -2, "hash");
    set_boolean(L, "session", d.session);
    set_boolean(L, "qop", d.qop);
    set_boolean(L, "stale", d.stale);
    set_boolean(L, "userhash", d.userhash);
    return 1;
}

/* answer({value, ...}, user, password, method, uri, cnonce [, between]) -> the
** value of Authorization; or nil and, if OpenSSL refused, the error.  between()
** is called when a challenge was chosen. */
static int answer(lua_State *L)
{
    struct ws_login w = {probe_slice(L, 2), probe_slice(L, 3),
                         probe_slice(L, 4), probe_slice(L, 5),
                         probe_slice(L, 6)};
    struct ws_digest d;
    size_t n = 0;
    char *out;
    int rc;

    lua_settop(L, 7);
    rc = choose(L, &d);
    if (rc != WS_OK)
        return 0;
    out = lua_newuserdatauv(L, ws_digest_size(&d, &w), 0);
    if (!lua_isnil(L, 7)) {
        lua_pushvalue(L, 7);
        lua_call(L, 0, 0);
    }
    rc = ws_digest_write(out, &n, &d, &w);
    if (rc != WS_OK)
        return probe_result(L, rc);
    luaL_argcheck(L, n <= ws_digest_size(&d, &w), 1, "wrote too much");
    lua_pushlstring(L, out, n);
    return 1;
}

void probe_open_auth(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"basic", basic},           {"basic_read", basic_read},
        {"challenges", challenges}, {"digest", digest},
        {"answer", answer},         {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
