/* bind/lua_protocol.c -- wsock.protocol: bytes in, events out.
**
** The connection as an object of its own, without a socket, for those who run
** it under another loop.  Their round is
**
**     conn:feed(bytes)                 what the transport gave
**     for name, a, b, c in conn.next, conn do ... end
**     transport:write(conn:output())   what it is to have
**     conn:want "close"                and so on: what is to be done to it
**     conn:timeout(), conn:tick(now)   and when to come back
**
** An object has its own memory, pool and configuration.  Bytes are copied when
** they are fed and looked at when events are asked for.  Nothing here needs
** more than Lua 5.1 and a small compatibility header have.
*/
#include "bind/lua_conn.h"
#include "bind/lua_bind.h"
#include "bind/lua_deflate.h"
#include "bind/lua_hello.h"
#include "bind/lua_options.h"
#include "bind/lua_request.h"
#include "bind/lua_verbs.h"
#include "loop/clock.h"

#include <math.h>

/* -- life -- */

struct ws_lconn *ws_check_lconn(lua_State *L)
{
    struct ws_lconn *p = ws_check_self(L, 1, WS_PROTOCOL_NAME);
    if (p->conn.conf == NULL)
        luaL_error(L, "the connection was never made");
    return p;
}

static int draw(void *ud, uint8_t *bytes, size_t n)
{
    struct ws_lconn *p = ud;
    return n == 4 ? ws_keys_next(&p->keys, bytes) : ws_random(NULL, bytes, n);
}

static int conn_gc(lua_State *L)
{
    struct ws_lconn *p = ws_check_self(L, 1, WS_PROTOCOL_NAME);

    if (p->conn.conf == NULL)
        return 0;
    ws_conn_free(&p->conn);
    ws_pool_free(&p->pool);
    ws_pmd_pool_free(&p->codecs);
    ws_keys_free(&p->keys);
    ws_buf_free(&p->rest, &p->mem);
    p->conn.conf = NULL;
    return 0;
}

/* A new object, not made yet; pushed. */
static struct ws_lconn *push_conn(lua_State *L)
{
    struct ws_lconn *p = lua_newuserdata(L, sizeof *p);

    memset(p, 0, sizeof *p);
    luaL_setmetatable(L, WS_PROTOCOL_NAME);
    return p;
}

/* Far enough from the largest number that any time-out may be added. */
static int64_t check_now(lua_State *L, int idx)
{
    lua_Number v = luaL_checknumber(L, idx);

    if (!(fabs(v) < 1.0e14))
        luaL_error(L, "now must be a number of seconds");
    return (int64_t)floor(v * 1000);
}

/* Makes p with the options at idx, which are known to be a table or nil. */
static void make(lua_State *L, struct ws_lconn *p, enum ws_role role, int idx)
{
    int64_t now = 0;
    void *ud;
    lua_Alloc fn = lua_getallocf(L, &ud);

    ws_mem_init(&p->mem, fn, ud);
    ws_pool_init(&p->pool, &p->mem);
    ws_pmd_pool_init(&p->codecs, &p->mem);
    ws_keys_init(&p->keys);
    ws_buf_init(&p->rest, 0);
    p->conf.role = role;
    p->conf.mem = &p->mem;
    p->conf.pool = &p->pool;
    p->conf.codecs = &p->codecs;
    p->conf.random = draw;
    p->conf.random_ud = p;
    p->conf.time = ws_clock_date;
    ws_read_conf(L, idx, &p->conf);
    if (ws_get_field(L, lua_istable(L, idx) ? idx : 0, "now", LUA_TNUMBER))
        now = check_now(L, -1);
    lua_pop(L, 1);
    ws_conn_init(&p->conn, &p->conf, now);
}

static void check_options(lua_State *L, int idx, enum ws_role role)
{
    /* clang-format off */
    static const char *const names[] = {
        "maxPayload", "maxFragments", "maxHeaderSize", "maxBuffered",
        "highWaterMark", "lowWaterMark", "pingInterval", "pingTimeout",
        "sendTimeout", "handshakeTimeout", "closeTimeout", "autoPong", "now",
        "streaming", "perMessageDeflate", "frames", "maxBody",
        "responseTimeout", NULL};
    static const char *const client_names[] = {
        "maxPayload", "maxFragments", "maxHeaderSize", "maxBuffered",
        "highWaterMark", "lowWaterMark", "pingInterval", "pingTimeout",
        "sendTimeout", "handshakeTimeout", "closeTimeout", "autoPong", "now",
        "streaming", "perMessageDeflate", "frames", "headers", "origin",
        "protocols", "auth", "host", "handshakeKey", NULL};
    /* clang-format on */

    if (lua_isnil(L, idx))
        return;
    ws_check_table(L, idx, "options");
    ws_check_keys(L, idx, "option", role == WS_CLIENT ? client_names : names);
}

/* client(url [, options]) -> conn, whose output is the request.  options: as
** for a socket where they concern the protocol, and now, the time in seconds
** by the clock that tick will be told. */
static int new_client(lua_State *L)
{
    const struct ws_uri *uri;
    struct ws_asking asking;
    struct ws_lconn *p;
    int err;

    lua_settop(L, 2);
    check_options(L, 2, WS_CLIENT);
    uri = ws_check_url(L, 1); /* 3 */
    p = push_conn(L);         /* 4 */
    make(L, p, WS_CLIENT, 2);
    ws_get_field(L, lua_istable(L, 2) ? 2 : 0, "protocols", LUA_TNONE); /* 5 */
    lua_pushvalue(L, 2);                                                /* 6 */
    ws_read_asking(L, 5, uri, &asking);
    if (asking.user.p != NULL && asking.basic.n == 0)
        return luaL_error(L, "option 'auth': a protocol object makes one "
                             "request, so its scheme must be 'basic'");
    asking.hello.challenges = WS_CHALLENGES_NONE;
    err = ws_conn_start(&p->conn, &asking.hello);
    if (err != WS_OK)
        return luaL_error(L, "client: %s", ws_err_text(err));
    lua_createtable(L, 0, 2);
    lua_pushstring(L, uri->text);
    lua_setfield(L, -2, "url");
    lua_setuservalue(L, 4);
    lua_settop(L, 4);
    return 1;
}

/* server([options]) -> conn, which waits for a request */
static int new_server(lua_State *L)
{
    struct ws_lconn *p;

    lua_settop(L, 1);
    check_options(L, 1, WS_SERVER);
    p = push_conn(L); /* 2 */
    make(L, p, WS_SERVER, 1);
    lua_createtable(L, 0, 2);
    ws_push_pmd_hook(L, 1);
    lua_setfield(L, 3, "perMessageDeflate");
    lua_setuservalue(L, 2);
    return 1;
}

/* -- bytes -- */

/* conn:feed(bytes): they came.  Not when want "read" is false for long: they
** are kept meanwhile. */
static int conn_feed(lua_State *L)
{
    struct ws_lconn *p = ws_check_lconn(L);
    struct ws_slice s = ws_check_slice(L, 2, "bytes");

    if (p->eof)
        return luaL_error(L, "feed: the end was told before");
    if (ws_buf_append(&p->rest, &p->mem, s) != WS_OK)
        return luaL_error(L, "out of memory");
    return 0;
}

/* conn:eof(): the peer will send no more. */
static int conn_eof(lua_State *L)
{
    ws_check_lconn(L)->eof = 1;
    return 0;
}

/* conn:closed(): the transport is gone, by want "close" or by itself. */
static int conn_closed(lua_State *L)
{
    struct ws_lconn *p = ws_check_lconn(L);
    p->eof = 1;
    p->gone = 1;
    return 0;
}

/* Copies what is first in the n slices, at most `room` bytes; out NULL: only
** says how much that is. */
static size_t gather(char *out, size_t room, const struct ws_slice *v, int n)
{
    size_t size = 0;
    int i;

    for (i = 0; i < n && size < room; i++) {
        size_t part = v[i].n < room - size ? v[i].n : room - size;
        if (out != NULL)
            memcpy(out + size, v[i].p, part);
        size += part;
    }
    return size;
}

/* Pushes the first bytes of the output, at most that many.  Making room may
** run a finalizer, and that may do anything to the connection: so the slices
** are asked for again behind it. */
static size_t push_output(lua_State *L, const struct ws_conn *c, size_t most)
{
    struct ws_slice some[16], *v = some;
    int n, max = 16;
    luaL_Buffer b;
    size_t size;
    char *out;

    n = ws_conn_output(c, v, max);
    while (n == max && gather(NULL, most, v, n) < most) {
        max *= 8;
        v = lua_newuserdata(L, (size_t)max * sizeof *v);
        n = ws_conn_output(c, v, max);
    }
    size = gather(NULL, most, v, n);
    out = luaL_buffinitsize(L, &b, size);
    n = ws_conn_output(c, v, max);
    size = gather(out, size, v, n);
    luaL_pushresultsize(&b, size);
    return size;
}

/* conn:output([max]) -> bytes for the transport, "" when there are none.  They
** are taken for sent, so who can be held up asks for no more than fits (max)
** and again when that is gone: what was not asked for counts as waiting. */
static int conn_output(lua_State *L)
{
    struct ws_lconn *p = ws_check_lconn(L);
    lua_Integer most = luaL_optinteger(L, 2, LUA_MAXINTEGER);
    size_t size;
    uint64_t before;

    luaL_argcheck(L, most > 0, 2, "max must be at least 1");
    do { /* a finalizer that took the output took ours */
        lua_settop(L, 2);
        before = p->conn.out.bytes;
        size = push_output(L, &p->conn, (size_t)most);
    } while (p->conn.out.bytes != before);
    if (size <= p->conn.chain.size) /* else nobody wants it any more */
        ws_conn_sent(&p->conn, size);
    return 1;
}

/* -- events -- */

/* Lets the connection look at what waits for it: 1 when something moved. */
static int advance(struct ws_lconn *p)
{
    struct ws_span in = ws_buf_span(&p->rest);
    size_t had = in.n;

    if (had > 0) {
        ws_conn_feed(&p->conn, &in);
        /* The bytes stay where they are: an event may show them. */
        ws_buf_skip(&p->rest, had - in.n);
        if (in.n < had)
            return 1;
    }
    if (p->conn.state == WS_CLOSED)
        return 0;
    if (p->gone) {
        ws_conn_lost(&p->conn, WS_ERR_LOST); /* nothing new, if it was asked */
        ws_conn_closed(&p->conn);
        return 1;
    }
    if (p->eof && had == 0 && !p->conn.ended) {
        ws_conn_eof(&p->conn);
        return 1;
    }
    return 0;
}

/* conn:next() -> name and values of the next event, or nothing:
**   "upgrade", request     server: answer by accept or reject
**   "request", request     server: plain HTTP; answer by respond
**   "open"
**   "message", data, kind
**   "chunk", data, kind, final   in its place with the option streaming
**   "ping", data   "pong", data
**   "drain"
**   "frame", data, kind, final [, code]   with the option frames
**   "error", message, code
**   "close", code, reason, wasClean   the last one, after closed() */
static int conn_next(lua_State *L)
{
    struct ws_lconn *p = ws_check_lconn(L);
    struct ws_event ev;

    lua_settop(L, 1); /* a for loop passes a second argument */
    do {
        if (ws_conn_next(&p->conn, &ev) == WS_OK)
            return ws_push_lconn_event(L, p, &ev);
    } while (advance(p));
    if (ws_buf_size(&p->rest) == 0)
        ws_buf_free(&p->rest, &p->mem);
    return 0;
}

/* -- the application -- */

/* conn:send(data [, kind [, options]]) -> true | nil, message, code */
static int conn_send(lua_State *L)
{
    struct ws_lconn *p = ws_check_lconn(L);
    struct ws_sending s;

    ws_check_sending(L, 2, &p->conn, &s);
    return ws_push_sent(L, &p->conn,
                        ws_conn_send(&p->conn, s.op, s.data, s.flags));
}

static int conn_ping(lua_State *L)
{
    return ws_send_control(L, 2, &ws_check_lconn(L)->conn, WS_OP_PING);
}

static int conn_pong(lua_State *L)
{
    return ws_send_control(L, 2, &ws_check_lconn(L)->conn, WS_OP_PONG);
}

/* conn:sendFrame(data, kind [, final]) -> as send */
static int conn_send_frame(lua_State *L)
{
    return ws_send_frame(L, 2, &ws_check_lconn(L)->conn);
}

/* conn:close([code [, reason]]) -> true */
static int conn_close(lua_State *L)
{
    return ws_close_with(L, 2, &ws_check_lconn(L)->conn);
}

/* conn:terminate() -> true: wants the transport dropped now */
static int conn_terminate(lua_State *L)
{
    ws_conn_terminate(&ws_check_lconn(L)->conn);
    lua_pushboolean(L, 1);
    return 1;
}

static int conn_pause(lua_State *L)
{
    ws_conn_pause(&ws_check_lconn(L)->conn, 1);
    lua_settop(L, 1);
    return 1;
}

static int conn_resume(lua_State *L)
{
    ws_conn_pause(&ws_check_lconn(L)->conn, 0);
    lua_settop(L, 1);
    return 1;
}

/* -- wants and time -- */

/* What the connection wants, with what was told and not looked at yet. */
static unsigned wants(const struct ws_lconn *p)
{
    unsigned want = ws_conn_want(&p->conn);
    int rest = ws_buf_size(&p->rest) > 0;

    if (p->conn.state == WS_CLOSED)
        return want & WS_WANT_EVENT;
    if (p->gone)
        return WS_WANT_EVENT;
    if (rest || p->eof)
        want &= ~(unsigned)WS_WANT_READ;
    if (rest ? ws_conn_reads(&p->conn) : p->eof && !p->conn.ended)
        want |= WS_WANT_EVENT;
    return want;
}

/* conn:want(what) -> boolean: "read": feed it; "write": output has bytes;
** "event": next has something; "shutdown": end the sending direction of the
** transport; "close": drop the transport and call closed. */
static int conn_want(lua_State *L)
{
    static const char *const names[] = {"read",     "write", "event",
                                        "shutdown", "close", NULL};
    unsigned want = wants(ws_check_lconn(L));
    int bit = 1 << luaL_checkoption(L, 2, NULL, names);

    lua_pushboolean(L, (want & (unsigned)bit) != 0);
    return 1;
}

/* conn:timeout() -> seconds until tick is due, or nil */
static int conn_timeout(lua_State *L)
{
    struct ws_lconn *p = ws_check_lconn(L);
    int64_t due = ws_conn_due(&p->conn), left = due - p->conn.now_ms;

    if (due < 0)
        return 0;
    lua_pushnumber(L, left > 0 ? (lua_Number)left / 1000 : 0);
    return 1;
}

/* conn:tick(now): it is now, in seconds by any clock that only goes forward. */
static int conn_tick(lua_State *L)
{
    struct ws_lconn *p = ws_check_lconn(L);

    ws_conn_clock(&p->conn, check_now(L, 2));
    ws_conn_tick(&p->conn);
    return 0;
}

/* -- registration -- */

static const luaL_Reg methods[] = {
    {"feed", conn_feed},
    {"eof", conn_eof},
    {"closed", conn_closed},
    {"output", conn_output},
    {"next", conn_next},
    {"send", conn_send},
    {"ping", conn_ping},
    {"pong", conn_pong},
    {"close", conn_close},
    {"terminate", conn_terminate},
    {"pause", conn_pause},
    {"resume", conn_resume},
    {"accept", ws_lconn_accept},
    {"reject", ws_lconn_reject},
    {"respond", ws_lconn_respond},
    {"want", conn_want},
    {"timeout", conn_timeout},
    {"tick", conn_tick},
    {"stats", ws_lconn_stats},
    {"sendFrame", conn_send_frame},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", conn_gc},
    {"__newindex", ws_lconn_newindex},
    {"__tostring", ws_lconn_tostring},
    {NULL, NULL},
};

int ws_open_protocol(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"client", new_client}, {"server", new_server}, {NULL, NULL}};

    luaL_newmetatable(L, WS_PROTOCOL_NAME);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, ws_lconn_index, 1);
    lua_setfield(L, -2, "__index");
    ws_seal_class(L);
    luaL_newlib(L, functions);
    return 1;
}
