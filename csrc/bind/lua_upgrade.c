/* bind/lua_upgrade.c -- what a server says to a request.
**
** Every request for WebSocket passes the same gates in the same order, and
** none has a way around: the host, room for one more, and for one more of its
** address, the Origin, verify, then onupgrade or the choice of a subprotocol.
** Plain HTTP passes the host and the address, then goes to onrequest.
*/
#include "bind/lua_deflate.h"
#include "bind/lua_gate.h"
#include "bind/lua_server.h"
#include "bind/lua_socket.h"

/* -- answers -- */

void ws_server_answer(struct ws_lsocket *k, int status, const char *text)
{
    static const struct ws_field plain = {
        {(const uint8_t *)"Content-Type", 12},
        {(const uint8_t *)"text/plain; charset=utf-8", 25}};
    struct ws_answer a;

    memset(&a, 0, sizeof a);
    a.status = status;
    a.fields = &plain;
    a.nfields = 1;
    a.body = ws_slice_str(text);
    ws_socket_clock(k);
    if (ws_conn_respond(&k->s.conn, &a) == WS_ERR_NOMEM)
        ws_conn_terminate(&k->s.conn);
    ws_server_answered(k);
    ws_session_touch(&k->s);
}

static void internal_error(struct ws_lsocket *k)
{
    ws_server_answer(k, 500, "internal error\n");
}

static int answered_already(lua_State *L)
{
    return ws_push_fail(L,
                        "the request was answered already, or its "
                        "connection is gone",
                        "CLOSED");
}

/* Answers with status (else def), headers and body from 2 on. */
static int answer(lua_State *L, struct ws_lsocket *k, int def)
{
    struct ws_answer a;
    int err;

    ws_read_answer(L, 2, def, &a);
    ws_socket_clock(k);
    err = ws_conn_respond(&k->s.conn, &a);
    ws_session_touch(&k->s);
    if (err == WS_ERR_STATE)
        return answered_already(L);
    if (err != WS_OK)
        return luaL_error(L, "answer: %s", ws_err_text(err));
    ws_server_answered(k);
    lua_pushboolean(L, 1);
    return 1;
}

/* -- accepting -- */

static int still_asked(const struct ws_lsocket *k)
{
    return k->s.conn.stage == WS_IN_ANSWER;
}

/* Pushes ws_ask_pmd and its arguments if the option perMessageDeflate is a
** function, which then fills pmd; else 0. */
static int push_pmd(lua_State *L, int idx, struct ws_pmd_conf *pmd)
{
    lua_getiuservalue(L, idx, WS_UV_OWNER);
    lua_getiuservalue(L, -1, WS_UV_OPTIONS);
    lua_pushcfunction(L, ws_ask_pmd);
    if (lua_getfield(L, -2, "perMessageDeflate") == LUA_TNIL)
        return 0;
    ws_push_request(L, idx);
    lua_pushlightuserdata(L, pmd);
    return 1;
}

/* What is said by a 101: stack positions of the subprotocol, nil for none, and
** of headers beside those of every 101, a table or nil. */
struct accepting {
    int protocol, headers;
    struct ws_pmd_conf pmd;
};

/* On WS_OK k is a client. */
static int accept_with(lua_State *L, struct ws_lsocket *k, int idx,
                       const struct accepting *a)
{
    struct ws_field fields[2 * WS_HEAD_LINES_MAX], *f;
    struct ws_answer extra;
    struct ws_slice name = ws_slice_of(NULL, 0);
    unsigned n;
    int err;

    memset(&extra, 0, sizeof extra);
    extra.fields = fields;
    if (lua_isstring(L, a->protocol))
        name = ws_slice_at(L, a->protocol);
    lua_getiuservalue(L, idx, WS_UV_OWNER);
    lua_getiuservalue(L, -1, WS_UV_OPTIONS);
    lua_getfield(L, -1, "headers");
    f = ws_read_fields(L, lua_gettop(L), &n, ws_hello_reserved);
    if (n > 0)
        memcpy(fields, f, n * sizeof *f);
    extra.nfields = n;
    f = ws_read_fields(L, a->headers, &n, ws_hello_reserved);
    if (n > 0)
        memcpy(fields + extra.nfields, f, n * sizeof *f);
    extra.nfields += n;
    ws_socket_clock(k);
    err = ws_conn_accept(&k->s.conn, name, &extra, &a->pmd);
    if (err == WS_OK)
        ws_server_admit(k);
    ws_session_touch(&k->s);
    return err;
}

static void accept_now(lua_State *L, struct ws_lsocket *k, int idx,
                       const struct ws_head *h)
{
    struct accepting a;

    a.pmd = k->server->conf.pmd;
    if (ws_gate_protocol(L, idx, h) != 0) {
        internal_error(k);
        return;
    }
    a.protocol = lua_gettop(L);
    lua_pushnil(L);
    a.headers = a.protocol + 1;
    if (push_pmd(L, idx, &a.pmd) && ws_handler_call(L, 3, 0, idx) != WS_OK) {
        internal_error(k);
        return;
    }
    if (still_asked(k) && accept_with(L, k, idx, &a) != WS_OK)
        internal_error(k);
}

/* -- the gates -- */

/* (socket, status, headers, body), called as a handler, since it may raise: the
** application gave them. */
static int answer_call(lua_State *L)
{
    return answer(L, ws_check_socket(L, 1), 200);
}

/* verify(request) -> true | false, status, headers, body; 1: go on */
static int verified(lua_State *L, struct ws_lsocket *k, int idx)
{
    int top = lua_gettop(L), verdict = -1;

    lua_getiuservalue(L, idx, WS_UV_OWNER);
    lua_getiuservalue(L, -1, WS_UV_OPTIONS);
    if (lua_getfield(L, -1, "verify") == LUA_TNIL) {
        lua_settop(L, top);
        return 1;
    }
    ws_push_request(L, idx);
    if (ws_handler_call(L, 1, 4, idx) == WS_OK) {
        if (!still_asked(k))
            return 0; /* it has answered by itself */
        lua_pushvalue(L, -4);
        verdict = ws_gate_verdict(L, idx, "verify");
        lua_pop(L, 1);
    }
    if (verdict == 1) {
        lua_settop(L, top);
        return 1;
    }
    if (verdict < 0) {
        internal_error(k);
    } else if (lua_isnil(L, -3)) {
        ws_server_answer(k, 403, "forbidden\n");
    } else {
        lua_pushcfunction(L, answer_call);
        lua_insert(L, -4);
        lua_pushvalue(L, idx);
        lua_insert(L, -4);
        if (ws_handler_call(L, 4, 0, idx) != WS_OK)
            internal_error(k);
    }
    return 0;
}

/* A gate of ours is closed: the application is told by onrefused. */
static void turn_away(struct ws_lsocket *k, int err)
{
    ws_conn_fail(&k->s.conn, err);
    ws_server_answered(k);
    ws_session_touch(&k->s);
}

/* Whether the request is for one of the server's hosts; else that is the
** answer. */
static int is_for_us(lua_State *L, struct ws_lsocket *k, int idx)
{
    if (ws_gate_host(L, idx, &k->s.conn))
        return 1;
    turn_away(k, WS_ERR_MISDIRECTED);
    return 0;
}

/* Whether there is room; else that is the answer. */
static int has_room(struct ws_lsocket *k)
{
    const struct ws_lserver *sv = k->server;

    if (!sv->closing && sv->nclients < sv->clients_max)
        return 1;
    if (sv->closing)
        ws_server_answer(k, 503, "the server is closing\n");
    else
        turn_away(k, WS_ERR_FULL);
    return 0;
}

/* Whether not too many of its address are in; else that is the answer. */
static int is_one_of_few(struct ws_lsocket *k)
{
    int err = ws_server_enter(k);

    if (err != WS_OK)
        turn_away(k, err);
    return err == WS_OK;
}

void ws_server_failed(struct ws_lsocket *k)
{
    if (still_asked(k)) {
        internal_error(k);
    } else if (k->exposed) {
        ws_conn_end(&k->s.conn, WS_STATUS_INTERNAL_ERROR, "internal error");
        ws_session_touch(&k->s);
    }
}

void ws_server_upgrade(lua_State *L, struct ws_lsocket *k, int idx)
{
    struct ws_field fields[WS_HEAD_LINES_MAX];
    struct ws_head h;
    int ok;

    ws_server_asked(k);
    if (!is_for_us(L, k, idx) || !has_room(k) || !is_one_of_few(k) ||
        ws_conn_head(&k->s.conn, &h, fields) != WS_OK)
        return;
    ok = ws_gate_origin(L, idx, &h);
    if (ok == 0)
        turn_away(k, WS_ERR_ORIGIN);
    else if (ok < 0)
        internal_error(k);
    if (ok != 1 || !verified(L, k, idx) || !still_asked(k))
        return;
    if ((k->server->mask >> WS_ON_UPGRADE & 1) == 0) {
        accept_now(L, k, idx, &h);
        return;
    }
    ws_push_request(L, idx);
    if (ws_server_fire(L, k, idx, WS_ON_UPGRADE, 1) != 0)
        ws_server_failed(k);
}

void ws_server_request(lua_State *L, struct ws_lsocket *k, int idx,
                       struct ws_slice body)
{
    struct ws_lserver *sv = k->server;

    ws_server_asked(k);
    if (!is_for_us(L, k, idx) || !is_one_of_few(k))
        return;
    if ((sv->mask >> WS_ON_REQUEST & 1) == 0) {
        ws_server_answer(k, 426, "this is a WebSocket server\n");
        return;
    }
    ws_push_request(L, idx);
    ws_push_slice(L, body);
    lua_setfield(L, -2, "body");
    lua_createtable(L, 0, 1);
    ws_bind_request(L, lua_gettop(L), idx);
    luaL_setmetatable(L, WS_RESPONSE_NAME);
    if (ws_server_fire(L, k, idx, WS_ON_REQUEST, 2) != 0)
        ws_server_failed(k);
}

/* -- by hand -- */

static struct ws_lsocket *check_request(lua_State *L, int upgrade)
{
    struct ws_lsocket *k = NULL;

    if (lua_istable(L, 1))
        k = ws_request_socket(L, 1);
    if (k == NULL || k->server == NULL) {
        luaL_error(L, "not a request; methods are called with ':'");
        WS_UNREACHABLE();
    }
    if (upgrade && k->s.conn.plain)
        luaL_error(L, "the request does not ask for WebSocket");
    return k;
}

static int is_offered(const struct ws_lsocket *k, struct ws_slice protocol)
{
    struct ws_field fields[WS_HEAD_LINES_MAX];
    struct ws_head h;

    return ws_conn_head(&k->s.conn, &h, fields) == WS_OK &&
           ws_welcome_offers(&h, protocol);
}

/* request:accept{protocol =, headers =, limits =} -> socket | nil, message,
** code */
static int request_accept(lua_State *L)
{
    static const char *const names[] = {"protocol", "headers", "limits", NULL};
    struct accepting a;
    struct ws_lsocket *k;
    int err;

    lua_settop(L, 2);
    k = check_request(L, 1); /* 3: the socket */
    if (!lua_isnil(L, 2)) {
        ws_check_table(L, 2, "options");
        ws_check_keys(L, 2, "option of accept", names);
    }
    ws_get_field(L, lua_isnil(L, 2) ? 0 : 2, "protocol", LUA_TSTRING);
    if (!still_asked(k)) /* only now: the options' __index may answer it */
        return answered_already(L);
    if (lua_isstring(L, 4) && !is_offered(k, ws_slice_at(L, 4)))
        return luaL_error(L, "subprotocol '%s' was not offered",
                          lua_tostring(L, 4));
    lua_settop(L, 4);
    ws_get_field(L, lua_isnil(L, 2) ? 0 : 2, "headers", LUA_TTABLE);
    if (!has_room(k))
        return ws_push_fail(L,
                            "too many connections, or the server is "
                            "closing",
                            "HANDSHAKE");
    if (ws_get_field(L, lua_isnil(L, 2) ? 0 : 2, "limits", LUA_TTABLE))
        ws_set_limits(L, k, 3, 6);
    a.pmd = k->server->conf.pmd;
    a.protocol = 4;
    a.headers = 5;
    if (push_pmd(L, 3, &a.pmd))
        lua_call(L, 3, 0);
    err = accept_with(L, k, 3, &a);
    if (err != WS_OK)
        return luaL_error(L, "accept: %s", ws_err_text(err));
    lua_pushvalue(L, 3);
    return 1;
}

/* request:reject([status = 403 [, headers [, body]]]) */
static int request_reject(lua_State *L)
{
    lua_settop(L, 4);
    return answer(L, check_request(L, 1), 403);
}

/* response:send([status = 200 [, headers [, body]]]) */
static int response_send(lua_State *L)
{
    lua_settop(L, 4);
    return answer(L, check_request(L, 0), 200);
}

void ws_upgrade_methods(lua_State *L)
{
    lua_pushcfunction(L, request_accept);
    lua_setfield(L, -2, "accept");
    lua_pushcfunction(L, request_reject);
    lua_setfield(L, -2, "reject");
}

void ws_open_upgrade(lua_State *L)
{
    luaL_newmetatable(L, WS_RESPONSE_NAME);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, response_send);
    lua_setfield(L, -2, "send");
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
