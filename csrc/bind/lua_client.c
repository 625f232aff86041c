/* bind/lua_client.c -- wsock.WebSocket: from a URL to a socket that connects.
**
** Whatever is wrong with URL, subprotocols or options is raised before a byte
** is sent; what goes wrong later arrives as events, none of them before the
** loop turns (W-12).
*/
#include "bind/lua_socket.h"

#include "base/base64.h"
#include "wire/uri.h"

/* What a client needs while it is being made; freed with the garbage when
** something raises halfway. */
struct making {
    struct ws_mem mem;
    struct ws_uri uri;
};

static int making_gc(lua_State *L)
{
    struct making *m = lua_touserdata(L, 1);
    ws_uri_free(&m->uri, &m->mem);
    return 0;
}

static struct making *new_making(lua_State *L)
{
    struct making *m = lua_newuserdatauv(L, sizeof *m, 0);
    memset(m, 0, sizeof *m);
    ws_mem_init(&m->mem, NULL, NULL);
    if (luaL_newmetatable(L, "wsock.making")) {
        lua_pushcfunction(L, making_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return m;
}

static void parse_url(lua_State *L, struct making *m, int idx)
{
    const char *why = NULL;
    struct ws_slice s;
    int err;

    if (luaL_getmetafield(L, idx, "__tostring") != LUA_TNIL) {
        lua_pop(L, 1);
        luaL_tolstring(L, idx, NULL);
        lua_replace(L, idx);
    }
    s = ws_check_slice(L, idx, "url");
    err = ws_uri_parse(&m->uri, &m->mem, s, &why);
    if (err == WS_ERR_NOMEM)
        luaL_error(L, "out of memory");
    if (err != WS_OK)
        luaL_error(L, "SyntaxError: the URL '%s' is invalid: %s",
                   lua_tostring(L, idx), why == NULL ? "?" : why);
}

static struct ws_lloop *push_loop_of(lua_State *L, int options)
{
    if (ws_get_field(L, options, "loop", LUA_TUSERDATA))
        return ws_check_loop(L, lua_gettop(L));
    lua_pop(L, 1);
    return ws_push_default_loop(L);
}

/* A client's conf lives and dies with it: the connection looks into it as
** long as there is a socket to call methods of. */
struct client {
    struct ws_lsocket socket;
    struct ws_conf conf;
};

static void read_conf(lua_State *L, struct ws_lloop *ll, int options,
                      struct ws_conf *conf)
{
    conf->role = WS_CLIENT;
    conf->mem = &ll->mem;
    conf->pool = &ll->peers.pool;
    conf->random = ws_peers_random;
    conf->random_ud = &ll->peers;
    ws_read_conf(L, options, conf);
}

static void set_own_string(lua_State *L, int own, const char *key,
                           const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, own, key);
}

/* "user:password" in base64; the URL's own credentials (URI-07). */
static void basic_auth(lua_State *L, const struct ws_uri *uri)
{
    luaL_Buffer plain, b;
    struct ws_slice s;
    char *p;

    luaL_buffinit(L, &plain);
    luaL_addstring(&plain, uri->user == NULL ? "" : uri->user);
    luaL_addchar(&plain, ':');
    luaL_addstring(&plain, uri->password == NULL ? "" : uri->password);
    luaL_pushresult(&plain);
    s = ws_slice_of(lua_tostring(L, -1), lua_rawlen(L, -1));
    luaL_buffinit(L, &b);
    luaL_addlstring(&b, "Basic ", 6);
    p = luaL_prepbuffsize(&b, WS_BASE64_SIZE(s.n));
    luaL_addsize(&b, ws_base64_encode(p, s));
    luaL_pushresult(&b);
    lua_remove(L, -2);
}

/* Stack positions while a client is made. */
enum { A_URL = 1, A_PROTOCOLS, A_OPTIONS, A_MAKING, A_LOOP, A_SOCKET, A_OWN };

/* Puts Authorization behind the caller's fields when the URL has a user. */
static unsigned add_auth(lua_State *L, const struct ws_uri *uri,
                         struct ws_field *fields, unsigned n)
{
    if (uri->user == NULL && uri->password == NULL)
        return n;
    basic_auth(L, uri);
    fields[n].name = ws_slice_str("Authorization");
    fields[n].value = ws_slice_of(lua_tostring(L, -1), lua_rawlen(L, -1));
    return n + 1;
}

/* What is asked for, read before anything is begun: only reading raises. */
struct plan {
    struct ws_hello_conf hello;
    struct ws_field fields[WS_HEAD_LINES_MAX + 1];
    char host[WS_HOST_HEADER_SIZE];
    struct ws_dial_conf dial;
    struct ws_addr from;
};

/* The strings it points at stay on the stack. */
static void plan_hello(lua_State *L, struct plan *p, const struct ws_uri *uri)
{
    struct ws_hello_conf *h = &p->hello;
    struct ws_field *given;

    ws_uri_host_header(uri, p->host, sizeof p->host);
    h->host = ws_slice_str(p->host);
    h->target = ws_slice_str(uri->target);
    lua_pushvalue(L, A_PROTOCOLS);
    h->protocols = ws_read_protocols(L, lua_gettop(L));
    if (ws_get_field(L, A_OPTIONS, "origin", LUA_TSTRING))
        h->origin = ws_check_slice(L, lua_gettop(L), "origin");
    ws_get_field(L, A_OPTIONS, "headers", LUA_TTABLE);
    given = ws_read_fields(L, lua_gettop(L), &h->nfields, ws_hello_reserved);
    if (h->nfields > 0)
        memcpy(p->fields, given, h->nfields * sizeof *given);
    h->nfields = add_auth(L, uri, p->fields, h->nfields);
    h->fields = p->fields;
}

static void plan_dial(lua_State *L, struct plan *p, const struct ws_uri *uri)
{
    p->dial.host = uri->host;
    p->dial.port = uri->port;
    p->dial.path = uri->path_unix;
    p->dial.no_delay = ws_get_boolean(L, A_OPTIONS, "noDelay", 1);
    if (!ws_get_field(L, A_OPTIONS, "localAddress", LUA_TSTRING))
        return;
    if (ws_addr_parse(&p->from, lua_tostring(L, -1), 0) != WS_OK)
        luaL_error(L,
                   "option 'localAddress' must be an IP address, got "
                   "'%s'",
                   lua_tostring(L, -1));
    p->dial.from = &p->from;
}

/* Everything is there: from here on nothing raises but the answer. */
static int begin(lua_State *L, struct ws_lsocket *k, const struct plan *p)
{
    int err;

    k->loop->loop.now_ms = ws_clock_ms();
    ws_session_init(&k->s, &k->loop->peers,
                    &ws_container(k, struct client, socket)->conf);
    err = ws_conn_start(&k->s.conn, &p->hello);
    if (err == WS_OK)
        err = ws_dial_open(&k->s, &p->dial);
    if (err == WS_OK) {
        ws_session_touch(&k->s); /* the handshake's clock runs */
        return WS_OK;
    }
    ws_session_free(&k->s);
    k->anchored = 0;
    ws_unanchor(L, A_LOOP, k);
    return err;
}

/* The third argument names subprotocols too when the second does not. */
static void take_protocols(lua_State *L)
{
    if (lua_isnil(L, A_PROTOCOLS) && lua_istable(L, A_OPTIONS)) {
        lua_getfield(L, A_OPTIONS, "protocols");
        lua_replace(L, A_PROTOCOLS);
    }
    if (lua_isnil(L, A_PROTOCOLS)) {
        lua_newtable(L);
        lua_replace(L, A_PROTOCOLS);
    }
}

/* Leaves the socket at A_SOCKET, what may be raised is raised. */
static struct ws_lsocket *prepare(lua_State *L, struct plan *p)
{
    struct making *m = new_making(L);
    struct ws_lsocket *k;
    struct ws_lloop *ll;

    parse_url(L, m, A_URL);
    if (m->uri.secure)
        luaL_error(L,
                   "SyntaxError: the URL '%s' is invalid: wss is "
                   "unknown",
                   lua_tostring(L, A_URL));
    ll = push_loop_of(L, A_OPTIONS);
    k = ws_new_socket(L, ll, A_LOOP, sizeof(struct client));
    ws_push_own(L, A_SOCKET);
    set_own_string(L, A_OWN, "url", m->uri.text);
    set_own_string(L, A_OWN, "origin", m->uri.origin);
    read_conf(L, ll, A_OPTIONS, &ws_container(k, struct client, socket)->conf);
    memset(p, 0, sizeof *p);
    plan_hello(L, p, &m->uri);
    plan_dial(L, p, &m->uri);
    ws_anchor(L, A_LOOP, k, A_SOCKET);
    k->anchored = 1;
    k->exposed = 1;
    return k;
}

/* wsock.WebSocket(url [, protocols [, options]]) -> socket */
int ws_new_client(lua_State *L)
{
    struct ws_lsocket *k;
    struct plan plan;
    int err;

    luaL_checkany(L, 1);
    lua_settop(L, A_OPTIONS);
    ws_check_options(L, A_OPTIONS, 0);
    take_protocols(L);
    k = prepare(L, &plan);
    err = begin(L, k, &plan);
    if (err == WS_ERR_ARGUMENT)
        return luaL_error(L, "SyntaxError: the URL's socket path is too long");
    if (err != WS_OK)
        return luaL_error(L, "WebSocket: %s", ws_err_text(err));
    lua_settop(L, A_SOCKET);
    return 1;
}
