/* bind/lua_socket.c -- the socket object: what one can do with it.
**
** What happens to it, and in what order, is in lua_event.c; what it shows, in
** lua_props.c.
*/
#include "bind/lua_socket.h"

#include "wire/uri.h"

#include <errno.h>

/* Payloads from here on are queued by reference: anchoring the string is then
** cheaper than copying it. */
enum { PIN_MIN = 4096 };

struct ws_lsocket *ws_check_socket(lua_State *L, int idx)
{
    return luaL_checkudata(L, idx, WS_SOCKET_NAME);
}

/* The socket at 1; methods have its metatable as first upvalue. */
static struct ws_lsocket *self(lua_State *L)
{
    struct ws_lsocket *k = ws_test_userdata(L, 1, lua_upvalueindex(1));
    return k != NULL ? k : luaL_checkudata(L, 1, WS_SOCKET_NAME);
}

/* -- making -- */

struct ws_lsocket *ws_new_socket(lua_State *L, struct ws_lloop *loop,
                                 int owner_idx)
{
    struct ws_lsocket *k;

    owner_idx = lua_absindex(L, owner_idx);
    k = lua_newuserdatauv(L, sizeof *k, 2);
    memset(k, 0, sizeof *k);
    ws_link_init(&k->peers);
    k->loop = loop;
    luaL_setmetatable(L, WS_SOCKET_NAME);
    lua_pushvalue(L, owner_idx);
    lua_setiuservalue(L, -2, WS_UV_OWNER);
    return k;
}

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

static struct ws_conf *new_conf(lua_State *L, struct ws_lloop *ll, int options)
{
    struct ws_conf read, *conf;

    memset(&read, 0, sizeof read);
    read.role = WS_CLIENT;
    read.mem = &ll->mem;
    read.pool = &ll->peers.pool;
    read.random = ws_peers_random;
    read.random_ud = &ll->peers;
    ws_read_conf(L, options, &read);
    conf = ws_mem_get(&ll->mem, sizeof *conf);
    if (conf == NULL)
        luaL_error(L, "out of memory");
    *conf = read;
    return conf;
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

static int queue_hello(lua_State *L, struct ws_lsocket *k,
                       const struct ws_uri *uri)
{
    struct ws_field fields[WS_HEAD_LINES_MAX + 1], *given;
    struct ws_hello_conf hello;
    char host[WS_HOST_HEADER_SIZE];

    memset(&hello, 0, sizeof hello);
    ws_uri_host_header(uri, host, sizeof host);
    hello.host = ws_slice_str(host);
    hello.target = ws_slice_str(uri->target);
    lua_pushvalue(L, A_PROTOCOLS);
    hello.protocols = ws_read_protocols(L, lua_gettop(L));
    if (ws_get_field(L, A_OPTIONS, "origin", LUA_TSTRING))
        hello.origin = ws_check_slice(L, lua_gettop(L), "origin");
    ws_get_field(L, A_OPTIONS, "headers", LUA_TTABLE);
    given = ws_read_fields(L, lua_gettop(L), &hello.nfields,
                           ws_hello_reserved);
    if (hello.nfields > 0)
        memcpy(fields, given, hello.nfields * sizeof *given);
    hello.nfields = add_auth(L, uri, fields, hello.nfields);
    hello.fields = fields;
    return ws_conn_start(&k->s.conn, &hello);
}

static int start_dial(lua_State *L, struct ws_lsocket *k,
                      const struct ws_uri *uri)
{
    struct ws_dial_conf dial;
    struct ws_addr from;

    memset(&dial, 0, sizeof dial);
    dial.host = uri->host;
    dial.port = uri->port;
    dial.path = uri->path_unix;
    dial.no_delay = ws_get_boolean(L, A_OPTIONS, "noDelay", 1);
    if (ws_get_field(L, A_OPTIONS, "localAddress", LUA_TSTRING)) {
        if (ws_addr_parse(&from, lua_tostring(L, -1), 0) != WS_OK)
            luaL_error(L, "option 'localAddress' must be an IP address, got "
                          "'%s'", lua_tostring(L, -1));
        dial.from = &from;
    }
    return ws_dial_open(&k->s, &dial);
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

/* wsock.WebSocket(url [, protocols [, options]]) -> socket */
static int new_client(lua_State *L)
{
    struct ws_lsocket *k;
    struct ws_lloop *ll;
    struct making *m;
    int err;

    luaL_checkany(L, 1);
    lua_settop(L, A_OPTIONS);
    ws_check_options(L, A_OPTIONS, 0);
    take_protocols(L);
    m = new_making(L);
    parse_url(L, m, A_URL);
    if (m->uri.secure)
        return luaL_error(L, "SyntaxError: the URL '%s' is invalid: wss is "
                             "unknown", lua_tostring(L, A_URL));
    ll = push_loop_of(L, A_OPTIONS);
    k = ws_new_socket(L, ll, A_LOOP);
    ws_push_own(L, A_SOCKET);
    set_own_string(L, A_OWN, "url", m->uri.text);
    set_own_string(L, A_OWN, "origin", m->uri.origin);
    k->conf = new_conf(L, ll, A_OPTIONS);
    k->exposed = 1;
    ll->loop.now_ms = ws_clock_ms();
    ws_session_init(&k->s, &ll->peers, k->conf);
    err = queue_hello(L, k, &m->uri);
    if (err == WS_OK)
        err = start_dial(L, k, &m->uri);
    if (err == WS_ERR_ARGUMENT)
        return luaL_error(L, "SyntaxError: the URL's socket path is too long");
    if (err != WS_OK)
        return luaL_error(L, "WebSocket: %s", ws_err_text(err));
    lua_settop(L, A_SOCKET);
    ws_anchor(L, A_LOOP, k, A_SOCKET);
    k->anchored = 1;
    return 1;
}

/* -- sending -- */

/* Whether the kind at idx is binary; nil means text. */
static int is_binary(lua_State *L, int idx)
{
    size_t n;
    const char *s = lua_tolstring(L, idx, &n);

    if (s == NULL && lua_isnoneornil(L, idx))
        return 0;
    if (s != NULL && n == 6 && memcmp(s, "binary", 6) == 0)
        return 1;
    if (s != NULL && n == 4 && memcmp(s, "text", 4) == 0)
        return 0;
    return luaL_error(L, "kind must be \"text\" or \"binary\", got %s",
                      luaL_tolstring(L, idx, NULL));
}

static unsigned send_flags(lua_State *L, int idx)
{
    static const char *const names[] = {"final", NULL};

    if (lua_isnoneornil(L, idx))
        return 0;
    luaL_checktype(L, idx, LUA_TTABLE);
    ws_check_keys(L, idx, "option of send", names);
    return ws_get_boolean(L, idx, "final", 1) ? 0 : WS_SEND_PART;
}

/* Queues the string at idx by reference, anchored in the loop's pins. */
static int send_pinned(lua_State *L, struct ws_lsocket *k, int op,
                       struct ws_slice data, unsigned flags)
{
    int pin, err;

    ws_push_loop_of(L, k, 1);
    lua_getiuservalue(L, -1, WS_UV_PINS);
    lua_pushvalue(L, 2);
    pin = luaL_ref(L, -2);
    err = ws_conn_send_pinned(&k->s.conn, (enum ws_opcode)op, data, flags,
                              pin);
    if (err != WS_OK)
        luaL_unref(L, -1, pin);
    return err;
}

static int send_error(lua_State *L, int err)
{
    if (err == WS_ERR_UTF8)
        return luaL_error(L, "data is not valid UTF-8; send it as \"binary\"");
    if (err == WS_ERR_NOMEM)
        return luaL_error(L, "out of memory");
    return ws_push_error(L, err);
}

/* socket:send(data [, kind [, options]]) -> true | nil, message, code */
static int socket_send(lua_State *L)
{
    struct ws_lsocket *k = self(L);
    struct ws_slice data;
    unsigned flags;
    int op, err;

    if (k->s.conn.state == WS_CONNECTING)
        return luaL_error(L, "InvalidStateError: the socket is still "
                             "connecting");
    data = ws_check_data(L, 2);
    op = is_binary(L, 3) ? WS_OP_BINARY : WS_OP_TEXT;
    flags = send_flags(L, 4);
    if (data.n >= PIN_MIN && k->server != NULL && k->s.conn.state == WS_OPEN)
        err = send_pinned(L, k, op, data, flags);
    else
        err = ws_conn_send(&k->s.conn, (enum ws_opcode)op, data, flags);
    if (WS_UNLIKELY(err != WS_OK)) {
        if (err == WS_ERR_STATE)
            ws_session_count(&k->s, data.n, 0);
        return send_error(L, err);
    }
    ws_session_count(&k->s, data.n, 1);
    ws_session_touch(&k->s);
    lua_pushboolean(L, 1);
    return 1;
}

static int send_control(lua_State *L, enum ws_opcode op, const char *name)
{
    struct ws_lsocket *k = self(L);
    struct ws_slice data = ws_slice_of(NULL, 0);
    int err;

    if (k->s.conn.state == WS_CONNECTING)
        return luaL_error(L, "InvalidStateError: the socket is still "
                             "connecting");
    if (!lua_isnoneornil(L, 2))
        data = ws_check_data(L, 2);
    err = ws_conn_control(&k->s.conn, op, data);
    if (err == WS_ERR_ARGUMENT)
        return luaL_error(L, "%s: data is %I bytes, at most 125 fit", name,
                          (lua_Integer)data.n);
    if (err != WS_OK)
        return send_error(L, err);
    ws_session_touch(&k->s);
    lua_pushboolean(L, 1);
    return 1;
}

/* socket:ping([data]), socket:pong([data]) -> true | nil, message, code */
static int socket_ping(lua_State *L)
{
    return send_control(L, WS_OP_PING, "ping");
}

static int socket_pong(lua_State *L)
{
    return send_control(L, WS_OP_PONG, "pong");
}

/* -- closing -- */

static int close_code(lua_State *L, int idx)
{
    int exact;
    lua_Integer code;

    if (lua_isnoneornil(L, idx))
        return 0;
    code = lua_tointegerx(L, idx, &exact);
    if (!exact || lua_type(L, idx) != LUA_TNUMBER || code < 1 || code > 65535)
        return luaL_error(L, "InvalidAccessError: the close code must be an "
                             "integer, 1000 or 3000 to 4999");
    return (int)code;
}

static int close_error(lua_State *L, int err, int code, int server)
{
    if (err == WS_ERR_CODE)
        return luaL_error(L, "InvalidAccessError: close code %d is not %s",
                          code, server ? "one that may be sent"
                                       : "1000 or 3000 to 4999");
    if (err == WS_ERR_REASON)
        return luaL_error(L, "SyntaxError: the close reason is longer than "
                             "123 bytes");
    return luaL_error(L, "SyntaxError: the close reason is not valid UTF-8");
}

/* socket:close([code [, reason]]) -> true */
static int socket_close(lua_State *L)
{
    struct ws_lsocket *k = self(L);
    struct ws_slice reason = ws_slice_of(NULL, 0);
    int code = close_code(L, 2), err;

    if (!lua_isnoneornil(L, 3))
        reason = ws_check_slice(L, 3, "reason");
    err = ws_conn_close(&k->s.conn, code, reason);
    if (err != WS_OK)
        return close_error(L, err, code, k->server != NULL);
    ws_session_touch(&k->s);
    lua_pushboolean(L, 1);
    return 1;
}

/* socket:terminate() -> true */
static int socket_terminate(lua_State *L)
{
    struct ws_lsocket *k = self(L);

    ws_conn_terminate(&k->s.conn);
    ws_session_touch(&k->s);
    lua_pushboolean(L, 1);
    return 1;
}

/* socket:pause(), socket:resume() -> socket */
static int set_pause(lua_State *L, int paused)
{
    struct ws_lsocket *k = self(L);

    ws_conn_pause(&k->s.conn, paused);
    ws_session_touch(&k->s);
    lua_settop(L, 1);
    return 1;
}

static int socket_pause(lua_State *L)
{
    return set_pause(L, 1);
}

static int socket_resume(lua_State *L)
{
    return set_pause(L, 0);
}

/* local s <close>: starts the closing handshake and lets the loop finish. */
static int socket_leave(lua_State *L)
{
    struct ws_lsocket *k = self(L);

    if (k->s.conn.conf != NULL) {
        ws_conn_close(&k->s.conn, 0, ws_slice_of(NULL, 0));
        ws_session_touch(&k->s);
    }
    return 0;
}

/* -- life -- */

void ws_socket_drop(struct ws_lsocket *k)
{
    struct ws_event ev;

    if (k->s.peers != NULL) {
        ws_conn_end(&k->s.conn, WS_STATUS_GOING_AWAY, "");
        while (ws_session_next(&k->s, &ev) == WS_OK)
            continue; /* nobody listens any more; what can go out does */
    }
    ws_session_free(&k->s);
    ws_link_remove(&k->peers);
    k->anchored = 0;
    if (k->conf != NULL)
        ws_mem_put(&k->loop->mem, k->conf, sizeof *k->conf);
    k->conf = NULL;
}

static int socket_gc(lua_State *L)
{
    struct ws_lsocket *k = luaL_checkudata(L, 1, WS_SOCKET_NAME);

    /* One that is still anchored goes with its loop, see drop_live. */
    if (k->loop != NULL && !k->anchored)
        ws_socket_drop(k);
    return 0;
}

/* -- listeners -- */

static struct ws_emitter emitter_of(struct ws_lsocket *k)
{
    struct ws_emitter t;
    t.idx = 1;
    t.mask = &k->mask;
    t.server = 0;
    return t;
}

static int socket_on(lua_State *L)
{
    struct ws_emitter t = emitter_of(self(L));
    return ws_emitter_on(L, &t, 0);
}

static int socket_once(lua_State *L)
{
    struct ws_emitter t = emitter_of(self(L));
    return ws_emitter_on(L, &t, 1);
}

static int socket_off(lua_State *L)
{
    struct ws_emitter t = emitter_of(self(L));
    return ws_emitter_off(L, &t);
}

static int socket_add(lua_State *L)
{
    struct ws_emitter t = emitter_of(self(L));
    return ws_emitter_add(L, &t);
}

static int socket_remove(lua_State *L)
{
    struct ws_emitter t = emitter_of(self(L));
    return ws_emitter_remove(L, &t);
}

/* -- registration -- */

static const luaL_Reg methods[] = {
    {"send", socket_send},
    {"close", socket_close},
    {"terminate", socket_terminate},
    {"ping", socket_ping},
    {"pong", socket_pong},
    {"pause", socket_pause},
    {"resume", socket_resume},
    {"on", socket_on},
    {"once", socket_once},
    {"off", socket_off},
    {"addEventListener", socket_add},
    {"removeEventListener", socket_remove},
    {"stats", ws_socket_stats},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", socket_gc},
    {"__tostring", ws_socket_tostring},
    {NULL, NULL},
};

void ws_open_socket(lua_State *L)
{
    luaL_newmetatable(L, WS_SOCKET_NAME);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlibtable(L, methods);
    lua_pushvalue(L, -2);
    luaL_setfuncs(L, methods, 1);
    ws_socket_accessors(L); /* methods -> __index, __newindex */
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, socket_leave, 1);
    lua_setfield(L, -2, "__close");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_pushcfunction(L, new_client);
    lua_setfield(L, -2, "WebSocket");
}
