/* bind/lua_conn.c -- see lua_conn.h. */
#include "bind/lua_conn.h"
#include "bind/lua_bind.h"
#include "bind/lua_deflate.h"
#include "bind/lua_request.h"
#include "bind/lua_verbs.h"

#include "wire/target.h"

/* -- heads -- */

/* Pushes the object's own table; the object is at 1. */
static void push_own(lua_State *L)
{
    lua_getuservalue(L, 1);
    if (lua_istable(L, -1))
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, -1);
    lua_setuservalue(L, 1);
}

/* Pushes the peer's head, of the object at 1, as a table (ws_set_head); nil
** before it came.  The same table each time. */
static void push_head(lua_State *L, const struct ws_lconn *p)
{
    push_own(L);
    if (lua_getfield(L, -1, "head") == LUA_TNIL && p->conn.head.n > 0) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 6);
        ws_set_head(L, lua_gettop(L), &p->conn);
        /* A refusal is complete only when its content is. */
        if (p->conf.role == WS_SERVER || p->conn.state != WS_CONNECTING) {
            lua_pushvalue(L, -1);
            lua_setfield(L, -3, "head");
        }
    }
    lua_remove(L, -2); /* the own table */
}

/* -- events -- */

static const char *event_name(int type)
{
    static const char *const names[] = {
        "",     "upgrade", "request", "open",  "message", "message", "chunk",
        "ping", "pong",    "drain",   "error", "close",   "frame",
    };
    return names[type];
}

/* With streaming every message comes as chunks, whole ones as one. */
static int is_chunk(const struct ws_lconn *p, const struct ws_event *ev)
{
    return ev->type == WS_EV_CHUNK ||
           (p->conf.message.streaming &&
            (ev->type == WS_EV_TEXT || ev->type == WS_EV_BINARY));
}

/* Pushes the event's name and its data, which is copied first: any other push
** may run a finalizer, and that may feed the connection. */
static void push_data(lua_State *L, int type, struct ws_slice data)
{
    ws_push_slice(L, data);
    lua_pushstring(L, event_name(type));
    lua_insert(L, -2);
}

static int push_chunk(lua_State *L, const struct ws_event *ev)
{
    int part = ev->type == WS_EV_CHUNK;
    int text = part ? ev->op == WS_OP_TEXT : ev->type == WS_EV_TEXT;

    push_data(L, WS_EV_CHUNK, ev->data);
    lua_pushstring(L, text ? "text" : "binary");
    lua_pushboolean(L, part ? ev->fin : 1);
    return 4;
}

int ws_push_lconn_event(lua_State *L, const struct ws_lconn *p,
                        const struct ws_event *ev)
{
    if (is_chunk(p, ev))
        return push_chunk(L, ev);
    push_data(L, ev->type, ev->data);
    switch ((enum ws_event_type)ev->type) {
    case WS_EV_UPGRADE:
    case WS_EV_REQUEST:
        push_head(L, p);
        lua_insert(L, -2);
        lua_setfield(L, -2, "body"); /* "" before an upgrade */
        return 2;
    case WS_EV_TEXT:
    case WS_EV_BINARY:
        lua_pushstring(L, ev->type == WS_EV_TEXT ? "text" : "binary");
        return 3;
    case WS_EV_PING:
    case WS_EV_PONG:
        return 2;
    case WS_EV_FAULT:
        lua_pop(L, 1);
        lua_pushstring(L, ws_err_text(ev->code));
        lua_pushstring(L, ws_err_word(ev->code));
        if (ev->code != WS_ERR_STATUS)
            return 3;
        push_head(L, p);
        ws_add_status(L, ev->code);
        return 4;
    case WS_EV_CLOSE:
        lua_pushinteger(L, ev->code);
        lua_insert(L, -2);
        lua_pushboolean(L, ev->clean);
        return 4;
    case WS_EV_FRAME:
        return 2 + ws_push_frame(L, ws_frame_pack(ev));
    default:
        lua_pop(L, 1);
        return 1;
    }
}

/* -- answers -- */

/* What accept, reject and respond answer. */
static int push_answered(lua_State *L, int err, const char *what)
{
    if (err == WS_ERR_STATE)
        return ws_push_fail(L, "there is no request that waits for an answer",
                            "CLOSED");
    if (err == WS_ERR_PROTOCOLS)
        return luaL_error(L, "%s: the subprotocol was not offered", what);
    if (err != WS_OK)
        return luaL_error(L, "%s: %s", what, ws_err_text(err));
    lua_pushboolean(L, 1);
    return 1;
}

/* What the option perMessageDeflate says of the request that waits, if it is a
** function. */
static void ask_pmd(lua_State *L, const struct ws_lconn *p,
                    struct ws_pmd_conf *pmd)
{
    push_own(L);
    lua_pushcfunction(L, ws_ask_pmd);
    lua_getfield(L, -2, "perMessageDeflate");
    if (lua_isnil(L, -1))
        return;
    push_head(L, p);
    lua_pushlightuserdata(L, pmd);
    lua_call(L, 3, 0);
}

/* conn:accept([{protocol =, headers =}]) -> true | nil, message, code */
int ws_lconn_accept(lua_State *L)
{
    static const char *const names[] = {"protocol", "headers", NULL};
    struct ws_lconn *p = ws_check_lconn(L);
    struct ws_slice protocol = ws_slice_of(NULL, 0);
    struct ws_pmd_conf pmd = p->conf.pmd;
    struct ws_answer extra;
    int options;

    lua_settop(L, 2);
    if (!lua_isnil(L, 2))
        ws_check_table(L, 2, "options");
    options = lua_istable(L, 2) ? 2 : 0;
    if (options != 0)
        ws_check_keys(L, 2, "option of accept", names);
    memset(&extra, 0, sizeof extra);
    if (ws_get_field(L, options, "protocol", LUA_TSTRING))
        protocol = ws_check_slice(L, 3, "protocol");
    ws_get_field(L, options, "headers", LUA_TTABLE);
    extra.fields = ws_read_fields(L, 4, &extra.nfields, ws_hello_reserved);
    if (p->conn.stage == WS_IN_ANSWER)
        ask_pmd(L, p, &pmd);
    return push_answered(L, ws_conn_accept(&p->conn, protocol, &extra, &pmd),
                         "accept");
}

/* Status, headers and body from 2 on. */
static int answer(lua_State *L, int status, const char *what)
{
    struct ws_lconn *p = ws_check_lconn(L);
    struct ws_answer a;

    lua_settop(L, 4);
    ws_read_answer(L, 2, status, &a);
    return push_answered(L, ws_conn_respond(&p->conn, &a), what);
}

/* conn:reject([status = 403 [, headers [, body]]]) -> as accept */
int ws_lconn_reject(lua_State *L)
{
    return answer(L, 403, "reject");
}

/* conn:respond([status = 200 [, headers [, body]]]) -> as accept */
int ws_lconn_respond(lua_State *L)
{
    return answer(L, 200, "respond");
}

/* -- attributes -- */

/* conn:stats() -> {bytesIn, bytesOut, framesIn, ...} */
int ws_lconn_stats(lua_State *L)
{
    ws_push_stats(L, &ws_check_lconn(L)->conn);
    return 1;
}

static void get_url(lua_State *L, const struct ws_lconn *p)
{
    if (p->conf.role == WS_CLIENT) {
        push_own(L);
        lua_getfield(L, -1, "url");
        return;
    }
    push_head(L, p);
    if (lua_istable(L, -1))
        lua_getfield(L, -1, "target");
}

static void get_state(lua_State *L, const struct ws_lconn *p)
{
    lua_pushinteger(L, p->conn.state);
}

static void get_buffered(lua_State *L, const struct ws_lconn *p)
{
    lua_pushinteger(L, (lua_Integer)ws_conn_buffered(&p->conn));
}

static void get_protocol(lua_State *L, const struct ws_lconn *p)
{
    ws_push_slice(L, p->conn.protocol);
}

static void get_extensions(lua_State *L, const struct ws_lconn *p)
{
    ws_push_slice(L, p->conn.extensions);
}

static void get_request(lua_State *L, const struct ws_lconn *p)
{
    if (p->conf.role == WS_SERVER)
        push_head(L, p);
}

static void get_response(lua_State *L, const struct ws_lconn *p)
{
    if (p->conf.role == WS_CLIENT)
        push_head(L, p);
}

/* Whether the request's Origin is of its Host, or absent. */
static void get_same_host(lua_State *L, const struct ws_lconn *p)
{
    struct ws_field fields[WS_HEAD_LINES_MAX];
    struct ws_head h;

    if (p->conf.role == WS_SERVER &&
        ws_conn_head(&p->conn, &h, fields) == WS_OK)
        lua_pushboolean(L, ws_welcome_same_host(&h));
}

static void get_fault(lua_State *L, const struct ws_lconn *p)
{
    if (p->conn.fault != WS_OK)
        lua_pushstring(L, ws_err_text(p->conn.fault));
}

static void get_paused(lua_State *L, const struct ws_lconn *p)
{
    lua_pushboolean(L, p->conn.paused);
}

static void get_latency(lua_State *L, const struct ws_lconn *p)
{
    if (p->conn.latency_ms >= 0)
        lua_pushnumber(L, (lua_Number)p->conn.latency_ms / 1000);
}

/* A getter that pushes nothing gives nil. */
static const struct attribute {
    const char *name;
    void (*get)(lua_State *L, const struct ws_lconn *p);
} attributes[] = {
    {"readyState", get_state},  {"bufferedAmount", get_buffered},
    {"protocol", get_protocol}, {"extensions", get_extensions},
    {"request", get_request},   {"response", get_response},
    {"url", get_url},           {"sameHost", get_same_host},
    {"fault", get_fault},       {"isPaused", get_paused},
    {"latency", get_latency},
};

int ws_lconn_index(lua_State *L)
{
    const struct ws_lconn *p;
    const char *key;
    size_t i;

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (!lua_isnil(L, 3) || lua_type(L, 2) != LUA_TSTRING)
        return 1;
    p = ws_check_lconn(L);
    key = lua_tostring(L, 2);
    for (i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        if (strcmp(attributes[i].name, key) == 0) {
            attributes[i].get(L, p);
            break;
        }
    }
    return 1; /* nil is on top when nothing was pushed */
}

int ws_lconn_newindex(lua_State *L)
{
    return luaL_error(L, "a protocol object has no field '%s' to be set",
                      luaL_tolstring(L, 2, NULL));
}

int ws_lconn_tostring(lua_State *L)
{
    static const char *const states[] = {"connecting", "open", "closing",
                                         "closed"};
    const struct ws_lconn *p = ws_check_lconn(L);

    lua_pushfstring(L, "wsock.protocol (%s, %s)",
                    p->conf.role == WS_SERVER ? "server" : "client",
                    states[p->conn.state]);
    return 1;
}
