/* bind/lua_listen.c -- wsock.listen: options, the address, a server object.
**
** What is asked again at each request (hosts, origins, protocols, headers, ...)
** is checked and copied here, once: whatever the caller does to the tables
** later, no request meets a bad one.
*/
#include "bind/lua_deflate.h"
#include "bind/lua_options.h"
#include "bind/lua_server.h"
#include "bind/lua_tls.h"

#include "wire/field.h"

enum { CONNECTIONS = 10000, HANDSHAKES = 1000, BACKLOG = 511 };

/* -- options -- */

static void read_options(lua_State *L, struct ws_lserver *sv, int idx)
{
    struct ws_conf *conf = &sv->conf;
    const char *slow;

    conf->role = WS_SERVER;
    ws_peers_conf(&sv->loop->peers, conf);
    ws_read_conf(L, idx, conf);
    sv->queue_max = ws_read_queue(L, idx);
    sv->clients_max = (size_t)ws_get_integer(
        L, idx, "maxConnections", WS_RANGE(CONNECTIONS, 1, 0x7FFFFFFF));
    ws_tally_init(&sv->serve.tally, sv->loop->peers.mem,
                  (unsigned)ws_get_integer(L, idx, "maxPerAddress",
                                           WS_RANGE(0, 0, 0x7FFFFFFF)));
    sv->opening_max = (size_t)ws_get_integer(
        L, idx, "handshakesMax", WS_RANGE(HANDSHAKES, 1, 0x7FFFFFFF));
    ws_get_field(L, idx, "slowConsumer", LUA_TSTRING);
    slow = lua_isnil(L, -1) ? "skip" : lua_tostring(L, -1);
    if (strcmp(slow, "skip") != 0 && strcmp(slow, "close") != 0)
        luaL_error(L, "option 'slowConsumer' must be \"skip\" or \"close\"");
    sv->slow_close = strcmp(slow, "close") == 0;
    lua_pop(L, 1);
}

/* -- what handshakes ask -- */

/* Replaces the list at the top, an option's value, by a plain one with the same
** values. */
static void copy_list(lua_State *L, const char *option)
{
    lua_Integer i, n = ws_list_length(L, option);

    lua_createtable(L, 0, 0);
    for (i = 1; i <= n; i++) {
        lua_geti(L, -2, i);
        lua_rawseti(L, -2, i);
    }
    lua_replace(L, -2);
}

/* One that no browser sends would silently let nobody in. */
static void check_origin(lua_State *L)
{
    struct ws_slice s, scheme, host;
    int port, usual, err;

    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "option 'origins' must hold strings, got a %s",
                   luaL_typename(L, -1));
    s = ws_slice_at(L, -1);
    if (ws_slice_is(s, "null"))
        return;
    err = ws_origin_host(s, &scheme, &host, &port);
    if (err != WS_OK)
        luaL_error(L,
                   "option 'origins': '%s' is no origin like "
                   "\"https://example.com\" or \"null\"",
                   lua_tostring(L, -1));
    if (err != WS_OK || host.p + host.n == s.p + s.n)
        return;
    s.n = (size_t)(host.p + host.n - s.p);
    if (ws_origin_host(s, &scheme, &host, &usual) == WS_OK && port == usual)
        luaL_error(L, "option 'origins': browsers leave out the port of '%s'",
                   lua_tostring(L, -1));
}

/* Replaces the value at the top by a list with nothing else in it. */
static void make_list(lua_State *L)
{
    lua_createtable(L, 1, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
}

/* Calls check with each value of the plain list at the top. */
static void check_each(lua_State *L, void (*check)(lua_State *L))
{
    lua_Integer i, n = (lua_Integer)lua_rawlen(L, -1);

    for (i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        check(L);
        lua_pop(L, 1);
    }
}

/* "*", a function, or a list; one origin becomes a list. */
static void take_origins(lua_State *L)
{
    if (lua_type(L, -1) == LUA_TSTRING) {
        if (strcmp(lua_tostring(L, -1), "*") == 0)
            return;
        make_list(L);
    } else if (!ws_take_callable(L) && lua_istable(L, -1)) {
        copy_list(L, "origins");
    } else {
        if (!lua_isnil(L, -1) && !lua_isfunction(L, -1))
            luaL_error(L, "option 'origins' must be \"*\", a list or a "
                          "function");
        return;
    }
    check_each(L, check_origin);
}

/* checkOrigins(value): raises now for what listen would raise for. */
int ws_check_origins(lua_State *L)
{
    lua_settop(L, 1);
    take_origins(L);
    return 0;
}

/* As Host has it: one with a scheme, a path or a "*" (which a name may have)
** would silently match nobody. */
static void check_host(lua_State *L)
{
    struct ws_slice s, host;
    int port;

    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "option 'hosts' must hold strings, got a %s",
                   luaL_typename(L, -1));
    s = ws_slice_at(L, -1);
    if (ws_host_port(s, &host, &port) != WS_OK ||
        memchr(host.p, '*', host.n) != NULL ||
        (port == 0 && host.p + host.n != s.p + s.n))
        luaL_error(L,
                   "option 'hosts': '%s' is no host like \"example.com\" or "
                   "\"example.com:8080\"",
                   lua_tostring(L, -1));
}

void ws_take_hosts(lua_State *L)
{
    if (lua_isnil(L, -1))
        return;
    if (lua_type(L, -1) == LUA_TSTRING)
        make_list(L);
    else if (lua_istable(L, -1))
        copy_list(L, "hosts");
    else
        luaL_error(L, "option 'hosts' must be a host or a list, got %s",
                   luaL_typename(L, -1));
    check_each(L, check_host);
}

/* checkHosts(value): as checkOrigins. */
int ws_check_hosts(lua_State *L)
{
    lua_settop(L, 1);
    ws_take_hosts(L);
    return 0;
}

static void take_protocols(lua_State *L)
{
    if (ws_take_callable(L))
        return;
    if (lua_istable(L, -1)) {
        copy_list(L, "protocols");
        ws_read_protocols(L, -1);
        lua_pop(L, 1);
    } else if (!lua_isnil(L, -1)) {
        luaL_error(L, "option 'protocols' must be a list or a function");
    }
}

/* Header lines as a list of {name, value}. */
static void take_headers(lua_State *L)
{
    struct ws_field *fields;
    unsigned i, n;
    int list;

    if (lua_isnil(L, -1))
        return;
    fields = ws_read_fields(L, lua_gettop(L), &n, ws_hello_reserved);
    lua_createtable(L, (int)n, 0);
    list = lua_gettop(L);
    for (i = 0; i < n; i++) {
        lua_createtable(L, 2, 0);
        ws_push_slice(L, fields[i].name);
        lua_rawseti(L, -2, 1);
        ws_push_slice(L, fields[i].value);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, list, (lua_Integer)i + 1);
    }
    lua_replace(L, list - 2);
    lua_pop(L, 1);
}

/* Pushes a table of the server's own with what handshakes ask. */
static void push_hooks(lua_State *L, int options)
{
    lua_createtable(L, 0, 6);
    ws_push_pmd_hook(L, options);
    lua_setfield(L, -2, "perMessageDeflate");
    if (lua_getfield(L, options, "verify") != LUA_TNIL)
        ws_check_callable(L, -1, "option 'verify'");
    lua_setfield(L, -2, "verify");
    lua_getfield(L, options, "hosts");
    ws_take_hosts(L);
    lua_setfield(L, -2, "hosts");
    lua_getfield(L, options, "origins");
    take_origins(L);
    lua_setfield(L, -2, "origins");
    lua_getfield(L, options, "protocols");
    take_protocols(L);
    lua_setfield(L, -2, "protocols");
    lua_getfield(L, options, "headers");
    take_headers(L);
    lua_setfield(L, -2, "headers");
}

/* The on... keys become the server's handlers. */
static void take_handlers(lua_State *L, int options, int server)
{
    int event, base = lua_gettop(L);

    for (event = WS_ON_OPEN + 1; event < WS_ON_COUNT; event++) {
        lua_pushfstring(L, "on%s", ws_event_name(event));
        lua_pushvalue(L, -1);
        if (lua_gettable(L, options) != LUA_TNIL) {
            /* as server.on<name> = fn, with the server at 1 */
            lua_pushcfunction(L, ws_server_set_handler);
            lua_pushvalue(L, server);
            lua_pushvalue(L, base + 1);
            lua_pushvalue(L, base + 2);
            lua_call(L, 3, 0);
        }
        lua_settop(L, base);
    }
}

/* -- the address -- */

static void read_path(lua_State *L, struct ws_addr *a)
{
    size_t n;
    const char *path = lua_tolstring(L, -1, &n);

    if (strlen(path) != n)
        luaL_error(L, "option 'path' has a zero byte");
    if (ws_addr_unix(a, path) != WS_OK)
        luaL_error(L, "option 'path' is empty or too long");
}

static void read_address(lua_State *L, int idx, struct ws_addr *a)
{
    const char *host = "127.0.0.1";
    int port;

    if (ws_get_field(L, idx, "path", LUA_TSTRING)) {
        read_path(L, a);
        if (ws_get_field(L, idx, "port", LUA_TNUMBER) ||
            ws_get_field(L, idx, "host", LUA_TSTRING))
            luaL_error(L, "option 'path' is in place of 'port' and 'host'");
        return;
    }
    if (!ws_get_field(L, idx, "port", LUA_TNUMBER))
        luaL_error(L, "option 'port' or 'path' is needed");
    port = (int)ws_get_integer(L, idx, "port", WS_RANGE(0, 0, 65535));
    if (ws_get_field(L, idx, "host", LUA_TSTRING))
        host = lua_tostring(L, -1);
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "*") == 0)
        host = "0.0.0.0";
    if (strlen(host) == 0 || ws_addr_parse(a, host, port) != WS_OK)
        luaL_error(L,
                   "option 'host' must be an IP address, \"localhost\" or "
                   "\"*\", got '%s'",
                   host);
}

static int listen_failed(lua_State *L, struct ws_lserver *sv,
                         const struct ws_addr *a)
{
    char name[WS_ADDR_NAME_MAX];
    int err = sv->serve.errnum;

    ws_addr_name(a, name, sizeof name);
    lua_pushnil(L);
    lua_pushfstring(L, "listen %s: %s", name, ws_errno_text(err));
    lua_pushstring(L, ws_errno_word(err));
    return 3;
}

/* server:address() -> host, port */
int ws_server_address(lua_State *L)
{
    struct ws_lserver *sv = ws_check_server(L, 1);
    char text[WS_ADDR_TEXT_MAX];
    struct ws_addr a;
    int port;

    ws_sock_local(&sv->serve.sock, &a);
    if (a.len == 0)
        return 0;
    ws_addr_format(&a, text, sizeof text, &port);
    lua_pushstring(L, text);
    if (port == 0)
        return 1;
    lua_pushinteger(L, port);
    return 2;
}

/* -- the server -- */

static struct ws_lserver *new_server(lua_State *L, struct ws_lloop *ll,
                                     int loop)
{
    struct ws_lserver *sv = lua_newuserdatauv(L, sizeof *sv, 3);

    memset(sv, 0, sizeof *sv);
    ws_link_init(&sv->clients);
    ws_link_init(&sv->opening);
    ws_link_init(&sv->asked);
    ws_timer_init(&sv->timer, WS_TAG_SERVER_TIMER);
    sv->loop = ll;
    ws_serve_init(&sv->serve, &ll->peers);
    luaL_setmetatable(L, WS_SERVER_NAME);
    lua_pushvalue(L, loop);
    lua_setiuservalue(L, -2, WS_UV_OWNER);
    return sv;
}

/* Stack positions while a server is made. */
enum { OPTIONS = 1, LOOP, SERVER };

/* A router makes options of the options, with its handlers in them. */
static void take_router(lua_State *L)
{
    if (lua_getfield(L, OPTIONS, "router") != LUA_TNIL) {
        const char *got = luaL_typename(L, -1);
        if (!lua_istable(L, -1) ||
            lua_getfield(L, -1, "options") != LUA_TFUNCTION)
            luaL_error(L, "option 'router' must be a router, got %s", got);
        lua_insert(L, -2);
        lua_pushvalue(L, OPTIONS);
        lua_call(L, 2, 1);
        ws_check_table(L, -1, "options of a router");
        lua_replace(L, OPTIONS);
    }
    lua_settop(L, OPTIONS);
}

/* wsock.listen(options) -> server | nil, message, code */
int ws_listen(lua_State *L)
{
    struct ws_lserver *sv;
    struct ws_lloop *ll;
    struct ws_addr a;
    char why[WS_TLS_WHY_MAX];
    int backlog, reuse_port, no_delay, err;

    memset(&a, 0, sizeof a);
    ws_check_dot(L, OPTIONS);
    ws_check_table(L, OPTIONS, "options");
    if (!lua_isnoneornil(L, OPTIONS + 1)) /* as Node's ws has it: lost */
        return luaL_error(L, "listen takes options only; a handler is one of "
                             "them, as in { onconnection = fn }");
    take_router(L);
    ws_check_options(L, OPTIONS, 1);
    ll = ws_push_loop_option(L, OPTIONS); /* at LOOP */
    sv = new_server(L, ll, LOOP);
    push_hooks(L, OPTIONS);
    lua_setiuservalue(L, SERVER, WS_UV_OPTIONS);
    read_options(L, sv, OPTIONS);
    read_address(L, OPTIONS, &a);
    backlog =
        (int)ws_get_integer(L, OPTIONS, "backlog", WS_RANGE(BACKLOG, 1, 65535));
    lua_settop(L, SERVER);
    take_handlers(L, OPTIONS, SERVER);
    if (ws_get_field(L, OPTIONS, "tls", LUA_TTABLE)) {
        err = ws_server_tls(L, ll, lua_gettop(L), &sv->tls, why);
        if (err != WS_OK)
            return ws_push_tls_error(L, err, why);
    }
    reuse_port = ws_get_boolean(L, OPTIONS, "reusePort", 0);
    no_delay = ws_get_boolean(L, OPTIONS, "noDelay", 1);
    ws_anchor(L, LOOP, sv, SERVER); /* may raise: nothing is open yet */
    sv->anchored = 1;
    err = ws_serve_open(&sv->serve, &a, backlog, reuse_port);
    if (err != WS_OK) {
        sv->anchored = 0;
        ws_unanchor(L, LOOP, sv);
    }
    if (err == WS_ERR_NOMEM)
        return luaL_error(L, "out of memory");
    if (err != WS_OK)
        return listen_failed(L, sv, &a);
    ws_sock_nodelay(&sv->serve.sock, no_delay);
    sv->open = 1;
    ws_loop_arm(&ll->loop, &sv->timer, ws_clock_ms());
    lua_settop(L, SERVER);
    return 1;
}
