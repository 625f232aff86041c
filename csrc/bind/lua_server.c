/* bind/lua_server.c -- the server object: listening, clients, closing. */
#include "bind/lua_server.h"

#include <errno.h>

enum { CONNECTIONS = 10000, HANDSHAKES = 1000, BACKLOG = 511 };

struct ws_lserver *ws_check_server(lua_State *L, int idx)
{
    return luaL_checkudata(L, idx, WS_SERVER_NAME);
}

int ws_server_fire(lua_State *L, struct ws_lsocket *k, int idx, int event,
                   int nargs)
{
    struct ws_firing f;
    int raised;

    lua_getiuservalue(L, idx, WS_UV_OWNER);
    lua_insert(L, -nargs - 1);
    f.emitter.idx = lua_gettop(L) - nargs;
    f.emitter.mask = &k->server->mask;
    f.emitter.server = 1;
    f.passed = event == WS_ON_CONNECTION ? idx : 0;
    f.event = event;
    f.nargs = nargs;
    raised = ws_emitter_fire(L, &f);
    lua_pop(L, nargs + 1);
    return raised;
}

/* An event of the server itself: it is at idx. */
static void fire_own(lua_State *L, struct ws_lserver *sv, int idx, int event)
{
    struct ws_firing f;

    if ((sv->mask >> event & 1) == 0)
        return;
    memset(&f, 0, sizeof f);
    f.emitter.idx = idx;
    f.emitter.mask = &sv->mask;
    f.emitter.server = 1;
    f.event = event;
    ws_emitter_fire(L, &f);
}

/* -- arrivals -- */

static void limit_opening(struct ws_lserver *sv)
{
    ws_serve_pause(&sv->serve, sv->nopening >= sv->opening_max);
}

/* A socket for an accepted descriptor; server userdata at idx. */
static void welcome(lua_State *L, struct ws_lserver *sv, int idx, int fd,
                    const struct ws_addr *peer)
{
    struct ws_lsocket *k = ws_new_socket(L, sv->loop, idx);

    k->server = sv;
    k->peer_len = (uint8_t)ws_addr_save(peer, k->peer);
    ws_session_init(&k->s, &sv->loop->peers, &sv->conf);
    ws_anchor(L, WS_IX_LOOP, k, -1);
    k->anchored = 1;
    ws_link_append(&sv->opening, &k->peers);
    sv->nopening++;
    k->place = WS_AMONG_OPENING;
    if (ws_session_adopt(&k->s, fd) != WS_OK) {
        ws_sock_adopt(&k->s.sock, fd);
        ws_conn_terminate(&k->s.conn);
        ws_session_touch(&k->s);
    } else if (sv->no_delay && k->peer_len > 0) {
        ws_sock_nodelay(&k->s.sock, 1);
    }
    ws_session_touch(&k->s);
}

void ws_serve_ready(lua_State *L, struct ws_lserver *sv)
{
    struct ws_addr peer;
    int fd, idx;

    lua_rawgetp(L, WS_IX_LIVE, sv);
    idx = lua_gettop(L);
    while (ws_serve_accept(&sv->serve, &fd, &peer) == WS_OK) {
        welcome(L, sv, idx, fd, &peer);
        lua_settop(L, idx);
        limit_opening(sv);
    }
}

void ws_server_opened(lua_State *L, struct ws_lsocket *k, int idx)
{
    struct ws_lserver *sv = k->server;

    ws_link_remove(&k->peers);
    ws_link_append(&sv->clients, &k->peers);
    sv->nopening--;
    sv->nclients++;
    k->place = WS_AMONG_CLIENTS;
    k->exposed = 1;
    limit_opening(sv);
    if ((sv->mask >> WS_ON_CONNECTION & 1) == 0)
        return;
    ws_push_request(L, k, idx);
    if (ws_server_fire(L, k, idx, WS_ON_CONNECTION, 1) != 0)
        ws_conn_end(&k->s.conn, WS_STATUS_INTERNAL_ERROR, "internal error");
}

/* refused(message, code, remoteAddress): a connection that never became a
** socket (RFC 6455 7.1.7: a server should log them). */
void ws_server_refused(lua_State *L, struct ws_lsocket *k, int idx, int err)
{
    if ((k->server->mask >> WS_ON_REFUSED & 1) == 0)
        return;
    lua_pushstring(L, k->s.failure != NULL ? k->s.failure : ws_err_text(err));
    lua_pushstring(L, k->s.failure != NULL ? k->s.word : ws_err_word(err));
    lua_getfield(L, idx, "remoteAddress");
    ws_server_fire(L, k, idx, WS_ON_REFUSED, 3);
}

/* -- departures -- */

static void closed_if_empty(struct ws_lserver *sv)
{
    struct ws_loop *loop = &sv->loop->loop;

    if (sv->closing && sv->nclients == 0 && sv->nopening == 0)
        ws_loop_arm(loop, &sv->timer, loop->now_ms); /* told in its own turn */
}

void ws_server_left(struct ws_lsocket *k)
{
    struct ws_lserver *sv = k->server;

    ws_link_remove(&k->peers);
    if (k->place == WS_AMONG_OPENING)
        sv->nopening--;
    if (k->place == WS_AMONG_CLIENTS)
        sv->nclients--;
    k->place = WS_AMONG_NONE;
    limit_opening(sv);
    closed_if_empty(sv);
}

static void end_all(struct ws_link *list, int code, const char *reason)
{
    struct ws_link *l;

    for (l = list->next; l != list; l = l->next) {
        struct ws_lsocket *k = ws_container(l, struct ws_lsocket, peers);
        if (code == 0)
            ws_conn_terminate(&k->s.conn);
        else
            ws_conn_end(&k->s.conn, code, reason);
        ws_session_touch(&k->s);
    }
}

/* server:close([code = 1001 [, reason [, timeout]]]) -> true */
static int server_close(lua_State *L)
{
    struct ws_lserver *sv = ws_check_server(L, 1);
    int code = (int)luaL_optinteger(L, 2, WS_STATUS_GOING_AWAY);
    const char *reason = luaL_optstring(L, 3, "");
    int64_t ms = sv->conf.close_ms;

    if (!ws_status_may_send(code, 1))
        return luaL_error(L, "InvalidAccessError: close code %d is not one "
                             "that may be sent", code);
    if (strlen(reason) > WS_REASON_MAX ||
        !ws_utf8_valid(ws_slice_str(reason)))
        return luaL_error(L, "SyntaxError: the close reason must be at most "
                             "123 bytes of UTF-8");
    if (!lua_isnoneornil(L, 4))
        ms = ws_check_seconds(L, 4, "timeout");
    if (sv->open && !sv->closing) {
        sv->closing = 1;
        ws_serve_close(&sv->serve);
        end_all(&sv->clients, code, reason);
        end_all(&sv->opening, 0, NULL);
        if (ms >= 0)
            ws_loop_arm(&sv->loop->loop, &sv->timer, ws_clock_ms() + ms);
        closed_if_empty(sv);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* local server <close> */
static int server_leave(lua_State *L)
{
    lua_settop(L, 1);
    return server_close(L);
}

/* The timer: it listens since the turn before; its patience with its clients
** is at an end; or they are all gone. */
void ws_server_timeout(lua_State *L, struct ws_lserver *sv)
{
    int idx;

    lua_rawgetp(L, WS_IX_LIVE, sv);
    idx = lua_gettop(L);
    if (!sv->told_listening) {
        sv->told_listening = 1;
        if (!sv->closing) {
            fire_own(L, sv, idx, WS_ON_LISTENING);
            return;
        }
    }
    if (!sv->closing)
        return;
    if (sv->nclients > 0 || sv->nopening > 0) {
        end_all(&sv->clients, 0, NULL);
        end_all(&sv->opening, 0, NULL);
        return;
    }
    if (!sv->open)
        return;
    sv->open = 0;
    if (sv->anchored) {
        sv->anchored = 0;
        ws_unanchor(L, WS_IX_LOOP, sv);
    }
    fire_own(L, sv, idx, WS_ON_CLOSED);
}

/* -- making -- */

static void read_options(lua_State *L, struct ws_lserver *sv, int idx)
{
    struct ws_conf *conf = &sv->conf;
    const char *slow;

    conf->role = WS_SERVER;
    conf->mem = &sv->loop->mem;
    conf->pool = &sv->loop->peers.pool;
    conf->random = ws_peers_random;
    conf->random_ud = &sv->loop->peers;
    ws_read_conf(L, idx, conf);
    sv->no_delay = ws_get_boolean(L, idx, "noDelay", 1) != 0;
    sv->clients_max = (size_t)ws_get_integer(L, idx, "maxConnections",
                                             CONNECTIONS, 1, 0x7FFFFFFF);
    sv->opening_max = (size_t)ws_get_integer(L, idx, "handshakesMax",
                                             HANDSHAKES, 1, 0x7FFFFFFF);
    ws_get_field(L, idx, "slowConsumer", LUA_TSTRING);
    slow = lua_isnil(L, -1) ? "skip" : lua_tostring(L, -1);
    if (strcmp(slow, "skip") != 0 && strcmp(slow, "close") != 0)
        luaL_error(L, "option 'slowConsumer' must be \"skip\" or \"close\"");
    sv->slow_close = strcmp(slow, "close") == 0;
    lua_pop(L, 1);
}

/* Options that are asked again at each handshake are checked now. */
static void check_hooks(lua_State *L, int idx)
{
    unsigned n;

    if (lua_getfield(L, idx, "verify") != LUA_TNIL)
        ws_check_callable(L, -1, "option 'verify'");
    lua_getfield(L, idx, "origins");
    if (!lua_isnil(L, -1) && !lua_isstring(L, -1) && !lua_istable(L, -1) &&
        !lua_isfunction(L, -1))
        luaL_error(L, "option 'origins' must be \"*\", a list or a function");
    if (lua_getfield(L, idx, "protocols") == LUA_TTABLE)
        ws_read_protocols(L, lua_gettop(L));
    else if (!lua_isnil(L, -1) && !lua_isfunction(L, -1))
        luaL_error(L, "option 'protocols' must be a list or a function");
    lua_getfield(L, idx, "headers");
    ws_read_fields(L, lua_gettop(L), &n, ws_hello_reserved);
}

/* The on... keys become the server's handlers; stack: options, loop, server. */
static void take_handlers(lua_State *L, int options, int server)
{
    int event, base = lua_gettop(L);

    for (event = 1; event < WS_ON_COUNT; event++) {
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

static void read_address(lua_State *L, int idx, struct ws_addr *a)
{
    const char *host = "127.0.0.1";
    int port;

    if (ws_get_field(L, idx, "path", LUA_TSTRING)) {
        host = lua_tostring(L, -1);
        if (ws_addr_unix(a, host) != WS_OK)
            luaL_error(L, "option 'path' is empty or too long");
        return;
    }
    port = (int)ws_get_integer(L, idx, "port", -1, -1, 65535);
    if (port < 0)
        luaL_error(L, "option 'port' or 'path' is needed");
    if (ws_get_field(L, idx, "host", LUA_TSTRING))
        host = lua_tostring(L, -1);
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "*") == 0)
        host = "0.0.0.0";
    if (ws_addr_parse(a, host, port) != WS_OK)
        luaL_error(L, "option 'host' must be an IP address, got '%s'", host);
}

static int listen_failed(lua_State *L, struct ws_lserver *sv,
                         const struct ws_addr *a)
{
    char text[WS_ADDR_TEXT_MAX];
    int port, err = sv->serve.errnum;

    ws_addr_format(a, text, sizeof text, &port);
    lua_pushnil(L);
    if (port > 0)
        lua_pushfstring(L, "listen %s:%d: %s", text, port,
                        ws_errno_text(err));
    else
        lua_pushfstring(L, "listen %s: %s", text, ws_errno_text(err));
    lua_pushstring(L, ws_errno_word(err));
    return 3;
}

static struct ws_lserver *new_server(lua_State *L, struct ws_lloop *ll,
                                     int loop)
{
    struct ws_lserver *sv = lua_newuserdatauv(L, sizeof *sv, 3);

    memset(sv, 0, sizeof *sv);
    ws_link_init(&sv->clients);
    ws_link_init(&sv->opening);
    ws_timer_init(&sv->timer, WS_TAG_SERVER_TIMER);
    sv->loop = ll;
    ws_serve_init(&sv->serve, &ll->peers);
    luaL_setmetatable(L, WS_SERVER_NAME);
    lua_pushvalue(L, loop);
    lua_setiuservalue(L, -2, WS_UV_OWNER);
    return sv;
}

/* wsock.listen(options) -> server | nil, message, code */
static int make_server(lua_State *L)
{
    struct ws_lserver *sv;
    struct ws_lloop *ll;
    struct ws_addr a;
    int backlog, err;

    lua_settop(L, 1);
    luaL_checktype(L, 1, LUA_TTABLE);
    ws_check_options(L, 1, 1);
    check_hooks(L, 1);
    lua_settop(L, 1);
    if (lua_getfield(L, 1, "loop") == LUA_TNIL) {
        lua_pop(L, 1);
        ll = ws_push_default_loop(L);
    } else {
        ll = ws_check_loop(L, 2);
    }
    sv = new_server(L, ll, 2);
    read_options(L, sv, 1);
    read_address(L, 1, &a);
    backlog = (int)ws_get_integer(L, 1, "backlog", BACKLOG, 1, 65535);
    lua_settop(L, 3);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 3, WS_UV_OPTIONS);
    take_handlers(L, 1, 3);
    err = ws_serve_open(&sv->serve, &a, backlog,
                        ws_get_boolean(L, 1, "reusePort", 0));
    if (err == WS_ERR_NOMEM)
        return luaL_error(L, "out of memory");
    if (err != WS_OK)
        return listen_failed(L, sv, &a);
    sv->open = 1;
    ws_anchor(L, 2, sv, 3);
    sv->anchored = 1;
    ws_loop_arm(&ll->loop, &sv->timer, ws_clock_ms());
    lua_settop(L, 3);
    return 1;
}

/* -- the object -- */

void ws_server_drop(struct ws_lserver *sv)
{
    if (sv->loop == NULL)
        return;
    ws_serve_close(&sv->serve);
    ws_loop_disarm(&sv->loop->loop, &sv->timer);
    ws_block_drop(sv->block);
    sv->block = NULL;
    sv->open = 0;
    sv->anchored = 0;
}

static int server_gc(lua_State *L)
{
    struct ws_lserver *sv = ws_check_server(L, 1);
    if (!sv->anchored)
        ws_server_drop(sv);
    return 0;
}

/* server:address() -> host, port */
static int server_address(lua_State *L)
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

static struct ws_emitter emitter_of(lua_State *L)
{
    struct ws_emitter t;
    t.idx = 1;
    t.mask = &ws_check_server(L, 1)->mask;
    t.server = 1;
    return t;
}

static int server_on(lua_State *L)
{
    struct ws_emitter t = emitter_of(L);
    return ws_emitter_on(L, &t, 0);
}

static int server_once(lua_State *L)
{
    struct ws_emitter t = emitter_of(L);
    return ws_emitter_on(L, &t, 1);
}

static int server_off(lua_State *L)
{
    struct ws_emitter t = emitter_of(L);
    return ws_emitter_off(L, &t);
}

/* (server, "on...", fn) */
int ws_server_set_handler(lua_State *L)
{
    struct ws_emitter t = emitter_of(L);
    int event = ws_event_number(lua_tostring(L, 2), 1, 1);

    ws_emitter_set(L, &t, event);
    return 0;
}

static int server_tostring(lua_State *L)
{
    struct ws_lserver *sv = ws_check_server(L, 1);
    lua_pushfstring(L, "wsock.server (%s, %d clients)",
                    !sv->open ? "closed" : sv->closing ? "closing"
                                                       : "listening",
                    (int)sv->nclients);
    return 1;
}

static int next_pair(lua_State *L)
{
    lua_settop(L, 2);
    return lua_next(L, 1) ? 2 : 0;
}

/* pairs(server.clients): a list of its own, so closing inside is safe. */
static int clients_pairs(lua_State *L)
{
    struct ws_lserver *sv;
    struct ws_link *l;

    lua_settop(L, 1);
    lua_rawgeti(L, 1, 1);
    sv = ws_check_server(L, 2);
    lua_pushcfunction(L, next_pair);
    lua_createtable(L, 0, (int)sv->nclients);
    lua_getiuservalue(L, 2, WS_UV_OWNER);
    lua_getiuservalue(L, -1, WS_UV_LIVE);
    for (l = sv->clients.next; l != &sv->clients; l = l->next) {
        lua_rawgetp(L, 6, ws_container(l, struct ws_lsocket, peers));
        lua_pushboolean(L, 1);
        if (lua_isnil(L, -2))
            lua_pop(L, 2);
        else
            lua_rawset(L, 4);
    }
    lua_settop(L, 4);
    lua_pushnil(L);
    return 3;
}

static int clients_len(lua_State *L)
{
    lua_rawgeti(L, 1, 1);
    lua_pushinteger(L, (lua_Integer)ws_check_server(L, -1)->nclients);
    return 1;
}

static void push_clients(lua_State *L)
{
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    if (luaL_newmetatable(L, "wsock.clients")) {
        lua_pushcfunction(L, clients_pairs);
        lua_setfield(L, -2, "__pairs");
        lua_pushcfunction(L, clients_len);
        lua_setfield(L, -2, "__len");
    }
    lua_setmetatable(L, -2);
}

static int server_index(lua_State *L)
{
    struct ws_lserver *sv = ws_check_server(L, 1);
    const char *key = luaL_checkstring(L, 2);
    int event;

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    if (strcmp(key, "clients") == 0) {
        push_clients(L);
    } else if (strcmp(key, "clientCount") == 0) {
        lua_pushinteger(L, (lua_Integer)sv->nclients);
    } else {
        struct ws_emitter t = {1, &sv->mask, 1};
        event = ws_event_number(key, 1, 1);
        if (event == 0)
            return 0;
        ws_emitter_get(L, &t, event);
    }
    return 1;
}

static int server_newindex(lua_State *L)
{
    static const char *const names[] = {
        "onconnection", "onmessage", "onclose",     "onerror",   "onping",
        "onpong",       "ondrain",   "onrequest",   "onupgrade", "onlistening",
        "onclosed",     "onrefused", "onopen",      NULL};
    const char *key;

    ws_check_server(L, 1);
    key = luaL_checkstring(L, 2);
    if (ws_event_number(key, 1, 1) == 0)
        return ws_unknown_key(L, "field of a server", key, names);
    return ws_server_set_handler(L);
}

static const luaL_Reg methods[] = {
    {"close", server_close},
    {"address", server_address},
    {"broadcast", ws_server_broadcast},
    {"on", server_on},
    {"once", server_once},
    {"off", server_off},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", server_gc},
    {"__close", server_leave},
    {"__tostring", server_tostring},
    {"__newindex", server_newindex},
    {NULL, NULL},
};

void ws_open_server(lua_State *L)
{
    luaL_newmetatable(L, WS_SERVER_NAME);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, server_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_pushcfunction(L, make_server);
    lua_setfield(L, -2, "listen");
}
