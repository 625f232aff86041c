/* bind/lua_client.c -- wsock.WebSocket: from a URL to a socket that connects.
**
** Whatever is wrong with URL, subprotocols or options is raised before a byte
** is sent; what goes wrong later arrives as events, none of them before the
** loop turns (W-12).
*/
#include "bind/lua_client.h"
#include "bind/lua_options.h"
#include "bind/lua_socket.h"
#include "bind/lua_tls.h"

#include "wire/proxy.h"

#include <stdio.h>
#include <stdlib.h>

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
    conf->codecs = &ll->peers.codecs;
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

/* Stack positions while a client is made; what comes behind the plan are the
** strings it points at. */
enum {
    A_URL = 1,
    A_PROTOCOLS,
    A_OPTIONS,
    A_URI,
    A_LOOP,
    A_SOCKET,
    A_OWN,
    A_PLAN
};

/* -- the plan -- */

enum { REDIRECTS_MAX = 100 }; /* that may be asked for */

void ws_plan_aim(struct ws_plan *p, const struct ws_uri *uri)
{
    p->uri = uri;
    ws_aim_asking(&p->asking, uri);
    p->dial.host = uri->host;
    p->dial.port = uri->port;
    p->dial.path = uri->path_unix;
    p->dial.tls = uri->secure ? p->tls : NULL;
    p->dial.tls_name = p->tls_name != NULL ? p->tls_name : uri->host;
}

void ws_plan_show(lua_State *L, int own, const struct ws_uri *uri)
{
    set_own_string(L, own, "url", uri->text);
    set_own_string(L, own, "origin", uri->origin);
}

static void read_local_address(lua_State *L, struct ws_plan *p)
{
    if (!ws_get_field(L, A_OPTIONS, "localAddress", LUA_TSTRING))
        return;
    if (ws_addr_parse(&p->from, lua_tostring(L, -1), 0) != WS_OK)
        luaL_error(L,
                   "option 'localAddress' must be an IP address, got "
                   "'%s'",
                   lua_tostring(L, -1));
    p->dial.from = &p->from;
}

/* A proxy's URL, or false: none.  No word of it is shown, there may be a
** password in it. */
static void read_proxy(lua_State *L, struct ws_plan *p)
{
    const char *why = "?";
    struct ws_uri *u;
    int err;

    if (!lua_istable(L, A_OPTIONS) ||
        lua_getfield(L, A_OPTIONS, "proxy") == LUA_TNIL)
        return;
    if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
        p->no_proxy = 1;
        return;
    }
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "option 'proxy' must be a URL or false, got %s",
                   luaL_typename(L, -1));
    u = ws_new_url(L);
    err =
        ws_proxy_parse(u, ws_url_mem(u), ws_check_slice(L, -2, "proxy"), &why);
    if (err != WS_OK)
        luaL_error(L, "option 'proxy' is no URL of a proxy: %s",
                   err == WS_ERR_URI ? why : ws_err_text(err));
    p->proxy = u;
}

/* The option is checked for any URL, a redirect may lead to wss. */
static void read_tls(lua_State *L, struct ws_plan *p)
{
    if (p->uri->secure || p->redirects > 0 ||
        ws_get_field(L, A_OPTIONS, "tls", LUA_TTABLE))
        p->tls = ws_client_tls(L, A_LOOP, A_OPTIONS, &p->tls_name);
    ws_plan_aim(p, p->uri);
}

/* Pushes the plan, read before anything is begun: only reading raises. */
static struct ws_plan *push_plan(lua_State *L, const struct ws_uri *uri)
{
    struct ws_plan *p = lua_newuserdatauv(L, sizeof *p, 1);

    memset(p, 0, sizeof *p);
    ws_read_asking(L, A_PROTOCOLS, uri, &p->asking);
    ws_plan_aim(p, uri);
    p->dial.no_delay = ws_get_boolean(L, A_OPTIONS, "noDelay", 1);
    read_local_address(L, p);
    read_proxy(L, p);
    p->redirects = (unsigned)ws_get_integer(L, A_OPTIONS, "maxRedirects",
                                            WS_RANGE(0, 0, REDIRECTS_MAX));
    read_tls(L, p);
    return p;
}

/* The plan is needed until the socket is open, and so are its strings. */
static void keep_plan(lua_State *L)
{
    int i, n = WS_PLAN_URI, top = lua_gettop(L);

    lua_createtable(L, top - A_PLAN + 1, 0);
    lua_pushvalue(L, A_URI);
    lua_rawseti(L, -2, n++);
    for (i = A_PLAN + 1; i <= top; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, -2, n++);
    }
    lua_setiuservalue(L, A_PLAN, 1);
    lua_pushvalue(L, A_PLAN);
    lua_setfield(L, A_OWN, "plan");
}

/* -- making -- */

/* What the environment names is parsed into u, which is to be freed.
** WS_ERR_URI: it is no proxy, and the session has been told so. */
static int environment(struct ws_lsocket *k, const struct ws_plan *p,
                       struct ws_uri *u)
{
    const char *name = NULL, *why = "?", *value;
    char text[256];
    int err;

    value = ws_proxy_choose(getenv, p->uri, &name);
    if (value == NULL)
        return WS_MORE;
    err = ws_proxy_parse(u, &k->loop->mem, ws_slice_str(value), &why);
    if (err == WS_ERR_URI) {
        snprintf(text, sizeof text, "%s of the environment: %s", name, why);
        ws_session_fail(&k->s, WS_ERR_PROXY, ws_err_word(WS_ERR_PROXY), text);
    }
    return err;
}

static int dial(struct ws_lsocket *k, const struct ws_plan *p)
{
    struct ws_dial_conf conf = p->dial;
    struct ws_uri u;
    int err = WS_OK;

    memset(&u, 0, sizeof u);
    conf.proxy = p->proxy;
    if (conf.proxy == NULL && !p->no_proxy) {
        err = environment(k, p, &u);
        conf.proxy = err == WS_OK ? &u : NULL;
    }
    if (err >= WS_OK)
        err = ws_dial_open(&k->s, &conf);
    ws_uri_free(&u, &k->loop->mem);
    return err == WS_ERR_URI ? WS_OK : err;
}

int ws_plan_begin(struct ws_lsocket *k, const struct ws_plan *p)
{
    int err = ws_conn_start(&k->s.conn, &p->asking.hello);

    if (err == WS_OK)
        err = dial(k, p);
    if (err == WS_OK)
        ws_session_touch(&k->s); /* the handshake's clock runs */
    return err;
}

/* Everything is there: from here on nothing raises but the answer. */
static int begin(lua_State *L, struct ws_lsocket *k, const struct ws_plan *p)
{
    int err;

    k->loop->loop.now_ms = ws_clock_ms();
    ws_session_init(&k->s, &k->loop->peers,
                    &ws_container(k, struct client, socket)->conf);
    err = ws_plan_begin(k, p);
    if (err == WS_OK)
        return WS_OK;
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
static struct ws_lsocket *prepare(lua_State *L, struct ws_plan **p)
{
    const struct ws_uri *uri = ws_check_url(L, A_URL);
    struct ws_lsocket *k;
    struct ws_lloop *ll;
    struct ws_conf *conf;

    ll = push_loop_of(L, A_OPTIONS);
    k = ws_new_socket(L, ll, A_LOOP, sizeof(struct client));
    ws_push_own(L, A_SOCKET);
    ws_plan_show(L, A_OWN, uri);
    k->queue_max = ws_read_queue(L, A_OPTIONS);
    conf = &ws_container(k, struct client, socket)->conf;
    read_conf(L, ll, A_OPTIONS, conf);
    *p = push_plan(L, uri);
    conf->follow = (*p)->redirects > 0;
    if (conf->follow)
        keep_plan(L);
    ws_anchor(L, A_LOOP, k, A_SOCKET);
    k->anchored = 1;
    k->exposed = 1;
    return k;
}

/* wsock.WebSocket(url [, protocols [, options]]) -> socket */
int ws_new_client(lua_State *L)
{
    struct ws_lsocket *k;
    struct ws_plan *plan;
    int err;

    luaL_checkany(L, 1);
    lua_settop(L, A_OPTIONS);
    ws_check_options(L, A_OPTIONS, 0);
    take_protocols(L);
    k = prepare(L, &plan);
    err = begin(L, k, plan);
    if (err == WS_ERR_ARGUMENT)
        return luaL_error(L, "SyntaxError: the URL's socket path is too long");
    if (err != WS_OK)
        return luaL_error(L, "WebSocket: %s", ws_err_text(err));
    lua_settop(L, A_SOCKET);
    return 1;
}
