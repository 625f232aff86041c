/* bind/lua_tls.c -- see lua_tls.h.
**
** What a context is made of is read from the table once; clients with equal
** options share one, found in the loop by a string of all that counts, and with
** it the sessions that let them return to a host quickly.  A loop may run for
** longer than a list or a certificate is good for: who comes when a file has
** changed gets a context of what it says now, and all after him.
*/
#include "bind/lua_tls.h"

#include "bind/lua_server.h"

enum { CACHED_MAX = 16 }; /* contexts a loop keeps for clients to come */

/* What the table says, and the bytes of its ALPN list. */
struct reading {
    struct ws_tls_conf conf;
    uint8_t alpn[255];
};

/* -- reading -- */

static const char *const client_names[] = {
    "ca",     "crl",        "cert",    "key",  "password", "serverName",
    "verify", "minVersion", "ciphers", "alpn", NULL};

static const char *const server_names[] = {
    "ca",      "crl",        "cert",    "key",  "password",
    "verify",  "minVersion", "ciphers", "alpn", "requestCert",
    "tickets", "sni",        NULL};

static const char *const sni_names[] = {"cert", "key", "password", NULL};

/* The string stays pushed: the table may have made it just now. */
static const char *get_text(lua_State *L, int idx, const char *name)
{
    const char *s = NULL;
    size_t n = 0;

    if (ws_get_field(L, idx, name, LUA_TSTRING))
        s = lua_tolstring(L, -1, &n);
    if (s != NULL && (n == 0 || strlen(s) != n))
        luaL_error(L, "option 'tls.%s' is empty or has a zero byte", name);
    return s;
}

static int min_version(lua_State *L, int idx)
{
    const char *s = get_text(L, idx, "minVersion");

    if (s == NULL || strcmp(s, "1.2") == 0)
        return WS_TLS_V1_2;
    if (strcmp(s, "1.3") != 0)
        luaL_error(L,
                   "option 'tls.minVersion' must be \"1.2\" or \"1.3\", "
                   "got '%s'",
                   s);
    return WS_TLS_V1_3;
}

/* A list of names, each behind its length (RFC 7301 3.1). */
static void read_alpn(lua_State *L, int idx, struct reading *r)
{
    lua_Integer i, n;
    size_t k = 0, at = 0;
    const char *s;

    if (!ws_get_field(L, idx, "alpn", LUA_TTABLE)) {
        static const char usual[] = "\x08http/1.1";
        memcpy(r->alpn, usual, sizeof usual - 1);
        at = sizeof usual - 1;
    } else {
        n = ws_list_length(L, "tls.alpn");
        for (i = 1; i <= n; i++) {
            lua_geti(L, -1, i);
            s = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &k)
                                               : NULL;
            if (s == NULL || k == 0 || at + 1 + k > sizeof r->alpn) {
                luaL_error(L, "option 'tls.alpn' must be a list of names, at "
                              "most 254 bytes in all");
                WS_UNREACHABLE();
            }
            r->alpn[at++] = (uint8_t)k;
            memcpy(r->alpn + at, s, k);
            at += k;
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    r->conf.alpn = ws_slice_of(r->alpn, at);
}

static void read_identity(lua_State *L, int idx, struct ws_tls_conf *conf)
{
    conf->cert = get_text(L, idx, "cert");
    conf->key = get_text(L, idx, "key");
    conf->password = get_text(L, idx, "password");
}

/* Also of no table (nil): the defaults.  The texts stay pushed. */
static void read_conf(lua_State *L, int idx, int server, struct reading *r)
{
    luaL_checkstack(L, 25, NULL); /* for all that is read of an option `tls` */
    memset(r, 0, sizeof *r);
    r->conf.server = server;
    r->conf.verify = ws_get_boolean(L, idx, "verify", 1);
    r->conf.min_version = min_version(L, idx);
    r->conf.ca = get_text(L, idx, "ca");
    r->conf.crl = get_text(L, idx, "crl");
    r->conf.ciphers = get_text(L, idx, "ciphers");
    read_identity(L, idx, &r->conf);
    read_alpn(L, idx, r);
    if (r->conf.crl != NULL && !r->conf.verify)
        luaL_error(L, "option 'tls.crl' would do nothing: 'tls.verify' is "
                      "false");
}

/* -- a client's context -- */

static void let_go(struct ws_tls_holder *h)
{
    ws_tls_ctx_unref(h->ctx);
    h->ctx = NULL;
}

static int holder_gc(lua_State *L)
{
    let_go(lua_touserdata(L, 1));
    return 0;
}

static struct ws_tls_holder *push_holder(lua_State *L)
{
    struct ws_tls_holder *h = lua_newuserdatauv(L, sizeof *h, 0);

    h->ctx = NULL;
    if (luaL_getmetatable(L, "wsock.tls") == LUA_TNIL) {
        lua_pop(L, 1); /* registered when it is whole, should memory run out */
        lua_createtable(L, 0, 1);
        lua_pushcfunction(L, holder_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, "wsock.tls");
    }
    lua_setmetatable(L, -2);
    return h;
}

static void add_text(luaL_Buffer *b, const char *s)
{
    if (s != NULL)
        luaL_addstring(b, s);
    luaL_addlstring(b, "\0", s != NULL ? 1 : 0);
    luaL_addchar(b, '\1');
}

/* Pushes what tells one context from another; no text has a zero byte. */
static void push_key(lua_State *L, const struct reading *r)
{
    const struct ws_tls_conf *c = &r->conf;
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    add_text(&b, c->ca);
    add_text(&b, c->crl);
    add_text(&b, c->cert);
    add_text(&b, c->key);
    add_text(&b, c->password);
    add_text(&b, c->ciphers);
    luaL_addchar(&b, c->verify ? 'v' : '-');
    luaL_addchar(&b, c->min_version == WS_TLS_V1_3 ? '3' : '2');
    luaL_addlstring(&b, (const char *)c->alpn.p, c->alpn.n);
    luaL_pushresult(&b);
}

/* Pushes the loop's table of contexts; it begins anew when it is full, and
** connections keep theirs. */
static void push_cache(lua_State *L, int loop)
{
    int n = 0;

    if (lua_getiuservalue(L, loop, WS_UV_TLS) == LUA_TTABLE) {
        for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
            n++;
        if (n < CACHED_MAX)
            return;
    }
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, loop, WS_UV_TLS);
}

/* Pushes the holder for what was read, from the loop's table. */
static struct ws_tls_holder *find_holder(lua_State *L, int loop,
                                         const struct reading *r)
{
    push_cache(L, loop);
    push_key(L, r);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TUSERDATA) {
        lua_pop(L, 1);
        push_holder(L);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
    return lua_touserdata(L, -1);
}

/* A holder is in the loop's table before it has anything to hold: Lua drops a
** finalizer it has no memory to call, and the loop's end is known. */
static struct ws_tls_holder *find_context(lua_State *L, int loop,
                                          const struct reading *r)
{
    struct ws_lloop *ll = lua_touserdata(L, loop);
    struct ws_tls_holder *h = find_holder(L, loop, r);
    uint64_t stamp = ws_tls_ctx_stamp(&r->conf);
    struct ws_tls_ctx *fresh;
    char why[WS_TLS_WHY_MAX];
    int err;

    if (h->ctx != NULL && h->stamp == stamp)
        return h;
    err = ws_tls_ctx_new(&fresh, &ll->mem, &r->conf, why);
    if (err == WS_OK) {
        let_go(h);
        h->ctx = fresh;
        h->stamp = stamp;
    } else if (h->ctx == NULL) { /* else it may be half written */
        luaL_error(L, "option 'tls': %s",
                   err == WS_ERR_TLS ? why : ws_err_text(err));
    }
    return h;
}

void ws_drop_tls(lua_State *L, int loop)
{
    int top = lua_gettop(L);

    if (lua_getiuservalue(L, loop, WS_UV_TLS) == LUA_TTABLE) {
        for (lua_pushnil(L); lua_next(L, top + 1) != 0; lua_pop(L, 1))
            let_go(lua_touserdata(L, -1));
    }
    lua_settop(L, top);
}

static const struct ws_tls_holder *client_tls(lua_State *L, int loop,
                                              int options, const char **name,
                                              int bare)
{
    struct reading r;
    int idx = lua_gettop(L) + 1;
    struct ws_tls_holder *h;

    ws_get_field(L, options, "tls", LUA_TTABLE);
    if (lua_istable(L, idx))
        ws_check_keys(L, idx, "option of tls", client_names);
    read_conf(L, idx, 0, &r);
    if (bare)
        r.conf.cert = r.conf.key = r.conf.password = NULL;
    *name = get_text(L, idx, "serverName");
    if (*name != NULL && strlen(*name) > WS_TLS_NAME_MAX)
        luaL_error(L, "option 'tls.serverName' is too long");
    h = find_context(L, loop, &r);
    lua_replace(L, idx + 1); /* besides the name, which goes below it */
    lua_replace(L, idx);
    lua_settop(L, idx + 1);
    return h;
}

const struct ws_tls_holder *ws_client_tls(lua_State *L, int loop, int options,
                                          const char **name)
{
    return client_tls(L, loop, options, name, 0);
}

const struct ws_tls_holder *ws_client_tls_bare(lua_State *L, int loop,
                                               int options, const char **name)
{
    return client_tls(L, loop, options, name, 1);
}

/* -- a server's -- */

/* The name and the table at the top: one certificate more. */
static const char *read_name(lua_State *L, struct ws_tls_conf *conf)
{
    int idx = lua_gettop(L);
    const char *name = NULL;
    size_t n = 0;

    if (lua_type(L, idx - 1) == LUA_TSTRING)
        name = lua_tolstring(L, idx - 1, &n);
    if (name == NULL || n == 0 || strlen(name) != n || !lua_istable(L, idx))
        luaL_error(L, "option 'tls.sni' must map host names to tables");
    ws_check_keys(L, idx, "option of tls.sni", sni_names);
    read_identity(L, idx, conf);
    return name;
}

/* Adds what the table at idx, or nil, says to ctx; with NULL it is looked at
** only. */
static int add_names(lua_State *L, int idx, struct ws_tls_ctx *ctx, char *why)
{
    struct ws_tls_conf conf;
    const char *name;
    int err = WS_OK;

    if (!lua_istable(L, idx))
        return WS_OK;
    memset(&conf, 0, sizeof conf);
    conf.server = 1;
    lua_pushnil(L);
    while (err == WS_OK && lua_next(L, idx) != 0) {
        int key = lua_gettop(L) - 1;
        name = read_name(L, &conf);
        if (ctx != NULL)
            err = ws_tls_ctx_add(ctx, name, &conf, why);
        lua_settop(L, key);
    }
    return err;
}

int ws_server_tls(lua_State *L, struct ws_lloop *ll, int idx,
                  struct ws_tls_ctx **ctx, char *why)
{
    int err, sni, top = lua_gettop(L);
    struct ws_tls_holder *h = push_holder(L); /* should anything raise */
    struct reading r;

    ws_check_keys(L, idx, "option of tls", server_names);
    read_conf(L, idx, 1, &r);
    r.conf.request = ws_get_boolean(L, idx, "requestCert", 0);
    r.conf.tickets = ws_get_boolean(L, idx, "tickets", 1);
    ws_get_field(L, idx, "sni", LUA_TTABLE);
    sni = lua_gettop(L);
    add_names(L, sni, NULL, why); /* misuse is told before trouble */
    if (r.conf.request && r.conf.verify && r.conf.ca == NULL)
        luaL_error(L, "option 'tls.requestCert' needs 'tls.ca', or anybody "
                      "with any certificate would do");
    if ((r.conf.crl != NULL || r.conf.ca != NULL) && !r.conf.request)
        luaL_error(L,
                   "option 'tls.%s' needs 'tls.requestCert': it is about "
                   "certificates of clients",
                   r.conf.crl != NULL ? "crl" : "ca");
    err = ws_tls_ctx_new(&h->ctx, &ll->mem, &r.conf, why);
    if (err == WS_OK)
        err = add_names(L, sni, h->ctx, why);
    if (err == WS_OK) {
        *ctx = h->ctx;
        h->ctx = NULL;
    }
    lua_settop(L, top);
    return err;
}

int ws_push_tls_error(lua_State *L, int err, const char *why)
{
    if (err != WS_ERR_TLS)
        return luaL_error(L, "%s", ws_err_text(err));
    lua_pushnil(L);
    lua_pushfstring(L, "tls: %s", why);
    lua_pushstring(L, ws_err_word(err));
    return 3;
}

/* server:setTLS{...} -> true | nil, message, "TLS": of who comes from now on;
** who is there stays as it is. */
int ws_server_set_tls(lua_State *L)
{
    struct ws_lserver *sv = ws_check_server(L, 1);
    struct ws_tls_ctx *fresh;
    char why[WS_TLS_WHY_MAX];
    int err;

    ws_check_table(L, 2, "tls");
    if (sv->tls == NULL)
        return luaL_error(L, "setTLS: this server speaks no TLS");
    err = ws_server_tls(L, sv->loop, 2, &fresh, why);
    if (err != WS_OK)
        return ws_push_tls_error(L, err, why);
    ws_tls_ctx_unref(sv->tls);
    sv->tls = fresh;
    lua_pushboolean(L, 1);
    return 1;
}

/* -- socket.tls -- */

static void set_text(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

/* Pushes a list of the names.  The stream is asked for each time: making room
** may run a finalizer, and that may close the loop. */
static void push_names(lua_State *L, const struct ws_lsocket *k)
{
    size_t room = ws_tls_peer_names(k->s.top, NULL, 0), at = 0, n;
    char *text = lua_newuserdatauv(L, room + 1, 0);
    int i = 0;

    n = ws_tls_peer_names(k->s.top, text, room);
    lua_newtable(L);
    while (n == room && at < n) {
        lua_pushstring(L, text + at);
        lua_rawseti(L, -2, ++i);
        at += strlen(text + at) + 1;
    }
    lua_remove(L, -2);
}

static void push_certificate(lua_State *L, const struct ws_lsocket *k)
{
    struct ws_tls_cert c;

    if (ws_tls_peer(k->s.top, &c) != WS_OK) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, 0, 7);
    set_text(L, "subject", c.subject);
    set_text(L, "issuer", c.issuer);
    set_text(L, "validFrom", c.valid_from);
    set_text(L, "validTo", c.valid_to);
    set_text(L, "serialNumber", c.serial);
    set_text(L, "fingerprint256", c.fingerprint);
    push_names(L, k);
    lua_setfield(L, -2, "names");
}

/* What was asked for once is shown when the transport is gone, too. */
void ws_push_tls(lua_State *L, struct ws_lsocket *k)
{
    struct ws_tls_info info;

    if (k->s.top == NULL || ws_tls_describe(k->s.top, &info) != WS_OK) {
        if (lua_getiuservalue(L, 1, WS_UV_OWN) == LUA_TTABLE)
            lua_getfield(L, -1, "tls");
        else
            lua_pushnil(L);
        return;
    }
    ws_push_own(L, 1);
    if (lua_getfield(L, -1, "tls") == LUA_TTABLE)
        return;
    lua_createtable(L, 0, 4);
    set_text(L, "version", info.version);
    set_text(L, "cipher", info.cipher);
    lua_pushboolean(L, info.resumed);
    lua_setfield(L, -2, "resumed");
    push_certificate(L, k);
    lua_setfield(L, -2, "peerCertificate");
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, "tls");
}
