/* bind/lua_client.c -- wsock.WebSocket: from a URL to a socket that connects.
**
** Whatever is wrong with URL, subprotocols or options is raised before a byte
** is sent; what goes wrong later arrives as events, none of them before the
** loop turns (W-12).
*/
#include "bind/lua_client.h"
#include "bind/lua_options.h"
#include "bind/lua_socket.h"

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
    ws_peers_conf(&ll->peers, conf);
    ws_read_conf(L, options, conf);
}

/* The third argument names subprotocols too when the second does not. */
static void take_protocols(lua_State *L)
{
    if (lua_isnil(L, WS_A_PROTOCOLS) && lua_istable(L, WS_A_OPTIONS)) {
        lua_getfield(L, WS_A_OPTIONS, "protocols");
        lua_replace(L, WS_A_PROTOCOLS);
    }
    if (lua_isnil(L, WS_A_PROTOCOLS)) {
        lua_newtable(L);
        lua_replace(L, WS_A_PROTOCOLS);
    }
}

/* Options in the place of subprotocols. */
static void check_place(lua_State *L)
{
    if (!lua_istable(L, WS_A_PROTOCOLS))
        return;
    lua_pushnil(L);
    if (lua_next(L, WS_A_PROTOCOLS) == 0)
        return;
    if (lua_type(L, -2) == LUA_TSTRING)
        luaL_error(L,
                   "protocols must be a list of names, got the key '%s'; "
                   "options are the third argument",
                   lua_tostring(L, -2));
    lua_pop(L, 2);
}

/* Everything is there: from here on nothing raises but the answer. */
static int begin(lua_State *L, struct ws_lsocket *k, struct ws_plan *p)
{
    int err;

    k->loop->loop.now_ms = ws_clock_ms();
    ws_session_init(&k->s, &k->loop->peers,
                    &ws_container(k, struct client, socket)->conf);
    err = ws_plan_begin(k, p);
    if (err == WS_OK)
        return WS_OK;
    ws_session_free(&k->s);
    ws_unanchor_socket(L, WS_A_LOOP, k);
    return err;
}

/* Leaves the socket at WS_A_SOCKET, what may be raised is raised. */
static struct ws_lsocket *prepare(lua_State *L, struct ws_plan **p)
{
    const struct ws_uri *uri = ws_check_url(L, WS_A_URL);
    struct ws_lsocket *k;
    struct ws_lloop *ll;
    struct ws_conf *conf;

    ll = ws_push_loop_option(L, WS_A_OPTIONS);
    k = ws_new_socket(L, ll, WS_A_LOOP, sizeof(struct client));
    ws_push_own(L, WS_A_SOCKET);
    ws_plan_show(L, WS_A_OWN, uri);
    k->queue_max = ws_read_queue(L, WS_A_OPTIONS);
    conf = &ws_container(k, struct client, socket)->conf;
    read_conf(L, ll, WS_A_OPTIONS, conf);
    *p = ws_push_plan(L, uri);
    conf->follow = (*p)->redirects > 0;
    if (conf->follow || (*p)->asking.challenges != WS_CHALLENGES_NONE) {
        ws_plan_keep(L);
        k->planned = 1;
    }
    ws_anchor_socket(L, WS_A_LOOP, k, WS_A_SOCKET);
    k->exposed = 1;
    return k;
}

/* wsock.WebSocket(url [, protocols [, options]]) -> socket */
int ws_new_client(lua_State *L)
{
    struct ws_lsocket *k;
    struct ws_plan *plan;
    int err;

    lua_settop(L, WS_A_OPTIONS);
    ws_check_dot(L, WS_A_URL);
    check_place(L);
    ws_check_options(L, WS_A_OPTIONS, 0);
    take_protocols(L);
    k = prepare(L, &plan);
    err = begin(L, k, plan);
    if (err == WS_ERR_ARGUMENT)
        return luaL_error(L, "SyntaxError: the URL's socket path is too long");
    if (err != WS_OK)
        return luaL_error(L, "WebSocket: %s", ws_err_text(err));
    lua_settop(L, WS_A_SOCKET);
    return 1;
}
