/* bind/lua_plan.c -- what a client asks for, and the way there; see
** lua_client.h.
**
** A context of TLS may hold a certificate of ours.  It is for the host of the
** first URL only: a proxy, and another origin a redirect leads to, are met
** without it, and under their own names.
*/
#include "bind/lua_client.h"
#include "bind/lua_emitter.h"
#include "bind/lua_tls.h"

#include "wire/proxy.h"

#include <stdio.h>
#include <stdlib.h>

enum { REDIRECTS_MAX = 100 }; /* that may be asked for */

static void set_own_string(lua_State *L, int own, const char *key,
                           const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, own, key);
}

void ws_plan_show(lua_State *L, int own, const struct ws_uri *uri)
{
    set_own_string(L, own, "url", uri->text);
    set_own_string(L, own, "origin", uri->origin);
}

void ws_plan_explain(lua_State *L, struct ws_lsocket *k, int idx, int err)
{
    char text[WS_FAILURE_MAX];

    if (k->server != NULL || k->s.conn.opened || k->s.failure != NULL ||
        err == WS_ERR_ABORTED)
        return;
    ws_push_own(L, idx);
    lua_getfield(L, -1, "origin");
    if (strcmp(lua_tostring(L, -1), "null") == 0)
        lua_getfield(L, -2, "url"); /* of a unix socket */
    snprintf(text, sizeof text, "handshake with %s: %s", lua_tostring(L, -1),
             ws_err_text(err));
    ws_session_explain(&k->s, err, text);
    lua_settop(L, idx);
}

/* -- reading -- */

static void read_local_address(lua_State *L, struct ws_plan *p)
{
    if (!ws_get_field(L, WS_A_OPTIONS, "localAddress", LUA_TSTRING))
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
    struct ws_slice text;
    struct ws_mem mem;
    struct ws_uri *u;
    int err;

    if (!lua_istable(L, WS_A_OPTIONS) ||
        lua_getfield(L, WS_A_OPTIONS, "proxy") == LUA_TNIL)
        return;
    if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
        p->no_proxy = 1;
        return;
    }
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "option 'proxy' must be a URL or false, got %s",
                   luaL_typename(L, -1));
    text = ws_slice_at(L, -1);
    ws_mem_init(&mem, NULL, NULL);
    u = ws_new_url(L);
    err = ws_proxy_parse(u, &mem, text, &why);
    if (err != WS_OK)
        luaL_error(L, "option 'proxy' is no URL of a proxy: %s",
                   err == WS_ERR_URI ? why : ws_err_text(err));
    ws_keep_url(L, u, &mem);
    p->proxy = u;
}

/* The option is read, and so checked, for any URL. */
static void read_tls(lua_State *L, struct ws_plan *p)
{
    const char *name = NULL, *none;

    if (!ws_get_field(L, WS_A_OPTIONS, "tls", LUA_TTABLE))
        return;
    p->tls = ws_client_tls(L, WS_A_LOOP, WS_A_OPTIONS, &name);
    p->tls_name = name == NULL ? NULL : lua_pushstring(L, name);
    p->tls_bare = ws_client_tls_bare(L, WS_A_LOOP, WS_A_OPTIONS, &none);
}

struct ws_plan *ws_push_plan(lua_State *L, const struct ws_uri *uri)
{
    struct ws_plan *p = lua_newuserdatauv(L, sizeof *p, 1);

    memset(p, 0, sizeof *p);
    luaL_checkstack(L, 32, NULL);
    ws_read_asking(L, WS_A_PROTOCOLS, uri, &p->asking);
    p->dial.no_delay = ws_get_boolean(L, WS_A_OPTIONS, "noDelay", 1);
    read_local_address(L, p);
    read_proxy(L, p);
    read_tls(L, p);
    p->redirects = (unsigned)ws_get_integer(L, WS_A_OPTIONS, "maxRedirects",
                                            WS_RANGE(0, 0, REDIRECTS_MAX));
    ws_plan_aim(p, uri);
    ws_plan_route(L, WS_A_LOOP, p);
    return p;
}

void ws_plan_keep(lua_State *L)
{
    int i, n = WS_PLAN_URI, top = lua_gettop(L);

    lua_createtable(L, top - WS_A_PLAN + 1, 0);
    lua_pushvalue(L, WS_A_URI);
    lua_rawseti(L, -2, n++);
    for (i = WS_A_PLAN + 1; i <= top; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, -2, n++);
    }
    lua_setiuservalue(L, WS_A_PLAN, 1);
    lua_pushvalue(L, WS_A_PLAN);
    lua_setfield(L, WS_A_OWN, "plan");
}

struct ws_plan *ws_plan_of(lua_State *L, int idx)
{
    ws_push_own(L, idx);
    lua_getfield(L, -1, "plan");
    return lua_touserdata(L, -1);
}

void ws_plan_settled(lua_State *L, const struct ws_lsocket *k, int idx)
{
    if (!k->planned)
        return;
    ws_push_own(L, idx);
    lua_pushnil(L);
    lua_setfield(L, -2, "plan");
    lua_pop(L, 1);
}

/* -- the way -- */

void ws_plan_aim(struct ws_plan *p, const struct ws_uri *uri)
{
    p->uri = uri;
    ws_aim_asking(&p->asking, uri);
    p->dial.host = uri->host;
    p->dial.port = uri->port;
    p->dial.path = uri->path_unix;
}

/* The proxy that the environment names, parsed into a userdata. */
static const struct ws_uri *environment(lua_State *L, struct ws_plan *p)
{
    const char *name = NULL, *value;
    struct ws_mem mem;
    struct ws_uri *u;
    int err;

    p->wrong = NULL;
    value = ws_proxy_choose(getenv, p->uri, &name);
    if (value == NULL)
        return NULL;
    u = ws_new_url(L);
    ws_mem_init(&mem, NULL, NULL);
    err = ws_proxy_parse(u, &mem, ws_slice_str(value), &p->why);
    if (err == WS_ERR_NOMEM)
        luaL_error(L, "out of memory");
    if (err != WS_OK) {
        p->wrong = name;
        return NULL;
    }
    ws_keep_url(L, u, &mem);
    return u;
}

/* What a host is met with: the usual where no option speaks of it. */
static const struct ws_tls_holder *meet(lua_State *L, int loop,
                                        const struct ws_tls_holder *h)
{
    const char *name;

    return h != NULL ? h : ws_client_tls(L, loop, 0, &name);
}

void ws_plan_route(lua_State *L, int loop, struct ws_plan *p)
{
    struct ws_dial_conf *d = &p->dial;

    d->proxy = p->proxy != NULL || p->no_proxy ? p->proxy : environment(L, p);
    p->to_host = NULL;
    if (p->uri->secure) {
        p->to_host = meet(L, loop, p->tls);
        d->tls_name = p->tls_name != NULL ? p->tls_name : p->uri->host;
    }
    p->to_proxy = NULL;
    if (d->proxy != NULL && d->proxy->scheme == WS_URI_HTTPS)
        p->to_proxy = meet(L, loop, p->tls_bare);
}

/* -- starting -- */

/* Only now: till here a finalizer may have made another client, which met with
** a file that has changed, and so renewed what its holder holds. */
static void take_contexts(struct ws_plan *p)
{
    p->dial.tls = p->to_host != NULL ? p->to_host->ctx : NULL;
    p->dial.proxy_tls = p->to_proxy != NULL ? p->to_proxy->ctx : NULL;
}

static int dial(struct ws_lsocket *k, struct ws_plan *p)
{
    char text[256];

    take_contexts(p);
    if (p->wrong == NULL)
        return ws_dial_open(&k->s, &p->dial);
    snprintf(text, sizeof text, "%s of the environment: %s", p->wrong, p->why);
    ws_session_fail(&k->s, WS_ERR_PROXY, ws_err_word(WS_ERR_PROXY), text);
    return WS_OK;
}

int ws_plan_begin(struct ws_lsocket *k, struct ws_plan *p)
{
    int err = ws_conn_start(&k->s.conn, &p->asking.hello);

    if (err == WS_OK)
        err = dial(k, p);
    if (err == WS_OK)
        ws_session_touch(&k->s); /* the handshake's clock runs */
    return err;
}

int ws_plan_again(lua_State *L, struct ws_lsocket *k, struct ws_plan *p)
{
    p->asking.hello.nonce.n = 0; /* handshakeKey was for the first */
    ws_plan_route(L, WS_IX_LOOP, p);
    if (k->s.conn.state != WS_CONNECTING)
        return WS_OK; /* a finalizer has ended it */
    ws_session_restart(&k->s);
    return ws_plan_begin(k, p);
}
