/* bind/lua_client.c -- wsock.WebSocket: from a URL to a socket that connects.
**
** Whatever is wrong with URL, subprotocols or options is raised before a byte
** is sent; what goes wrong later arrives as events, none of them before the
** loop turns (W-12).
*/
#include "bind/lua_hello.h"
#include "bind/lua_options.h"
#include "bind/lua_socket.h"

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

/* Stack positions while a client is made. */
enum { A_URL = 1, A_PROTOCOLS, A_OPTIONS, A_URI, A_LOOP, A_SOCKET, A_OWN };

/* What is asked for, read before anything is begun: only reading raises. */
struct plan {
    struct ws_asking asking;
    struct ws_dial_conf dial;
    struct ws_addr from;
};

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
    err = ws_conn_start(&k->s.conn, &p->asking.hello);
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
    const struct ws_uri *uri = ws_check_url(L, A_URL);
    struct ws_lsocket *k;
    struct ws_lloop *ll;

    if (uri->secure)
        luaL_error(L,
                   "SyntaxError: the URL '%s' is invalid: wss is "
                   "unknown",
                   lua_tostring(L, A_URL));
    ll = push_loop_of(L, A_OPTIONS);
    k = ws_new_socket(L, ll, A_LOOP, sizeof(struct client));
    ws_push_own(L, A_SOCKET);
    set_own_string(L, A_OWN, "url", uri->text);
    set_own_string(L, A_OWN, "origin", uri->origin);
    k->queue_max = ws_read_queue(L, A_OPTIONS);
    read_conf(L, ll, A_OPTIONS, &ws_container(k, struct client, socket)->conf);
    memset(p, 0, sizeof *p);
    ws_read_asking(L, A_PROTOCOLS, uri, &p->asking);
    plan_dial(L, p, uri);
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
