/* probe_peer.c -- probe.peer: sessions and dials without the binding.
**
** A world is a loop with its ws_peers, driven turn by turn the way the binding
** does it; its sessions are numbered, and what happens to them comes out as a
** list.  Memory is a probe.mem, system calls are those of probe_faults.c, and
** names that end in ".fake" resolve as it says there.
*/
#include "probe_stream.h"
#include "probe_sys.h"

#include "net/addr.h"
#include "peer/dial.h"

#include <errno.h>

#define WORLD "probe.world"
#define SESSION "probe.session"

struct world {
    struct ws_loop loop;
    struct ws_peers peers;
    struct ws_conf conf[2]; /* by role */
    int live;
};

struct session {
    struct ws_session s; /* first: sources lead to it */
    struct world *world;
    lua_Integer id;
};

static struct world *get_world(lua_State *L, int arg)
{
    struct world *w = luaL_checkudata(L, arg, WORLD);
    luaL_argcheck(L, w->live, arg, "was freed");
    return w;
}

static struct session *get_session(lua_State *L, int arg)
{
    return luaL_checkudata(L, arg, SESSION);
}

/* -- the world -- */

static lua_Integer number(lua_State *L, const char *name, lua_Integer def)
{
    lua_Integer n = def;
    if (lua_istable(L, 2)) {
        lua_getfield(L, 2, name);
        n = luaL_optinteger(L, -1, def);
        lua_pop(L, 1);
    }
    return n;
}

static void read_conf(lua_State *L, struct world *w, struct ws_conf *conf,
                      enum ws_role role)
{
    struct ws_head_limits limits = WS_HEAD_LIMITS;
    conf->role = role;
    ws_peers_conf(&w->peers, conf);
    conf->message.payload_max = (uint64_t)number(L, "payload_max", 1 << 20);
    conf->message.fragments_max = 4096;
    conf->head = limits;
    conf->body_max = 65536;
    conf->buffered_max = (size_t)number(L, "buffered_max", 16 << 20);
    conf->high_water = (size_t)number(L, "high_water", 1 << 20);
    conf->low_water = (size_t)number(L, "low_water", 256 << 10);
    conf->handshake_ms = number(L, "handshake_ms", 0);
    conf->answer_ms = number(L, "answer_ms", 0);
    conf->close_ms = number(L, "close_ms", 0);
    conf->send_ms = number(L, "send_ms", 0);
    conf->ping_ms = role == WS_CLIENT ? number(L, "ping_ms", 0) : 0;
    conf->pong_ms = number(L, "pong_ms", 0);
    conf->auto_pong = 1;
}

/* world(mem [, {backend =, pending_max =, times and limits of ws_conf}]) */
static int world_new(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    const char *backend = NULL;
    struct world *w;
    int err;

    lua_settop(L, 2);
    if (lua_istable(L, 2) && lua_getfield(L, 2, "backend") == LUA_TSTRING)
        backend = lua_tostring(L, -1);
    lua_settop(L, 2);
    w = probe_new(L, sizeof *w, WORLD, 1);
    err = ws_loop_init(&w->loop, mem, backend);
    if (err != WS_OK)
        return probe_sys_result(L, err, errno);
    ws_peers_init(&w->peers, &w->loop, mem);
    ws_dial_limit(&w->peers, (unsigned)number(L, "pending_max", 256));
    read_conf(L, w, &w->conf[0], WS_CLIENT);
    read_conf(L, w, &w->conf[1], WS_SERVER);
    w->live = 1;
    return 1;
}

/* :free(); its sessions must have been freed */
static int world_free(lua_State *L)
{
    struct world *w = luaL_checkudata(L, 1, WORLD);
    if (w->live) {
        ws_peers_free(&w->peers);
        ws_peers_free(&w->peers);
        ws_loop_free(&w->loop);
    }
    w->live = 0;
    return 0;
}

/* :watchers() -> how many descriptors are watched */
static int world_watchers(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)get_world(L, 1)->loop.nwatchers);
    return 1;
}

/* -- a turn -- */

static const char *const event_names[] = {
    "none", "upgrade", "request", "open",  "text",  "binary", "chunk",
    "ping", "pong",    "drain",   "fault", "close", "frame"};

/* Appends {id, name, data or error or code, reason, clean} to the list. */
static void note(lua_State *L, struct session *k, const struct ws_event *ev)
{
    lua_createtable(L, 5, 0);
    lua_pushinteger(L, k->id);
    lua_rawseti(L, -2, 1);
    lua_pushstring(L, event_names[ev->type]);
    lua_rawseti(L, -2, 2);
    if (ev->type == WS_EV_FAULT)
        lua_pushstring(L, ws_err_name(ev->code));
    else if (ev->type == WS_EV_CLOSE)
        lua_pushinteger(L, ev->code);
    else
        lua_pushlstring(L, ev->data.n > 0 ? (const char *)ev->data.p : "",
                        ev->data.n);
    lua_rawseti(L, -2, 3);
    if (ev->type == WS_EV_CLOSE) {
        lua_pushlstring(L, ev->data.n > 0 ? (const char *)ev->data.p : "",
                        ev->data.n);
        lua_rawseti(L, -2, 4);
        lua_pushboolean(L, ev->clean);
        lua_rawseti(L, -2, 5);
    }
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static void pull(lua_State *L, struct ws_session *s)
{
    struct session *k = ws_container(s, struct session, s);
    struct ws_event ev;

    while (ws_session_next(s, &ev) == WS_OK) {
        if (ev.type == WS_EV_UPGRADE &&
            ws_conn_accept(&s->conn, ws_slice_of(NULL, 0), NULL, NULL) != WS_OK)
            ws_conn_terminate(&s->conn);
        if (ev.type == WS_EV_OPEN)
            ws_dial_settled(s);
        note(L, k, &ev);
    }
}

/* :turn([ms = 0]) -> list of events; the turn's error, if any */
static int world_turn(lua_State *L)
{
    struct world *w = get_world(L, 1);
    int64_t ms = (int64_t)luaL_optinteger(L, 2, 0);
    struct ws_source *src;
    struct ws_session *s;
    int err;

    lua_newtable(L);
    ws_peers_recover(&w->peers);
    err = ws_loop_turn(&w->loop, ws_peers_busy(&w->peers) ? 0 : ms);
    for (src = ws_loop_next(&w->loop); src != NULL;
         src = ws_loop_next(&w->loop)) {
        s = ws_peers_handle(&w->peers, src);
        if (s != NULL)
            pull(L, s);
    }
    ws_peers_end_turn(&w->peers);
    for (s = ws_peers_work(&w->peers); s != NULL; s = ws_peers_work(&w->peers))
        pull(L, s);
    if (err == WS_OK)
        return 1;
    lua_pushstring(L, ws_err_name(err));
    return 2;
}

/* -- sessions -- */

/* world:session(id [, server]) */
static int session_new(lua_State *L)
{
    struct world *w = get_world(L, 1);
    lua_Integer id = luaL_checkinteger(L, 2);
    int server = lua_toboolean(L, 3);
    struct session *k = probe_new(L, sizeof *k, SESSION, 1);

    k->world = w;
    k->id = id;
    ws_session_init(&k->s, &w->peers, &w->conf[server]);
    return 1;
}

/* :hello() -> true, or nil and the error: writes the request */
static int session_hello(lua_State *L)
{
    struct ws_hello_conf hello;

    memset(&hello, 0, sizeof hello);
    hello.host = ws_slice_str("h");
    hello.target = ws_slice_str("/");
    return probe_result(L, ws_conn_start(&get_session(L, 1)->s.conn, &hello));
}

static const char *text_field(lua_State *L, const char *name)
{
    const char *s;
    lua_getfield(L, 2, name);
    s = lua_tostring(L, -1); /* stays in the table */
    lua_pop(L, 1);
    return s;
}

/* :dial{host =, port =, path =, from =} -> true, or nil and the error */
static int session_dial(lua_State *L)
{
    struct session *k = get_session(L, 1);
    struct ws_dial_conf conf;
    struct ws_addr from;

    luaL_checktype(L, 2, LUA_TTABLE);
    memset(&conf, 0, sizeof conf);
    conf.host = text_field(L, "host");
    conf.path = text_field(L, "path");
    conf.port = (int)number(L, "port", 0);
    conf.no_delay = 1;
    if (text_field(L, "from") != NULL &&
        ws_addr_parse(&from, text_field(L, "from"), 0) == WS_OK)
        conf.from = &from;
    return probe_result(L, ws_dial_open(&k->s, &conf));
}

/* :adopt(fd) -> true, or nil and the error (fd is the caller's then) */
static int session_adopt(lua_State *L)
{
    struct session *k = get_session(L, 1);
    int err = ws_session_adopt(&k->s, (int)luaL_checkinteger(L, 2));
    if (err == WS_OK)
        ws_session_touch(&k->s);
    return probe_result(L, err);
}

/* :stack{see probe_door} -> true, or nil and the error */
static int session_stack(lua_State *L)
{
    struct session *k = get_session(L, 1);
    struct ws_stream *top = probe_door(L, 2, k->world->peers.mem, k->s.top);
    if (top != NULL)
        ws_session_stack(&k->s, top);
    return probe_result(L, top != NULL ? WS_OK : WS_ERR_NOMEM);
}

/* :send(data, binary) -> true, or nil and the error */
static int session_send(lua_State *L)
{
    struct session *k = get_session(L, 1);
    struct ws_slice data = probe_slice(L, 2);
    int err = ws_conn_send(
        &k->s.conn, lua_toboolean(L, 3) ? WS_OP_BINARY : WS_OP_TEXT, data, 0);
    if (err == WS_OK || err == WS_ERR_STATE)
        ws_session_count(&k->s, data.n, err == WS_OK);
    ws_session_touch(&k->s);
    return probe_result(L, err);
}

/* :ping(data) -> true, or nil and the error */
static int session_ping(lua_State *L)
{
    struct session *k = get_session(L, 1);
    int err = ws_conn_control(&k->s.conn, WS_OP_PING, probe_slice(L, 2));
    ws_session_touch(&k->s);
    return probe_result(L, err);
}

/* :close([code]); :terminate(); :pause(on) */
static int session_close(lua_State *L)
{
    struct session *k = get_session(L, 1);
    int err = ws_conn_close(&k->s.conn, (int)luaL_optinteger(L, 2, 0),
                            ws_slice_of(NULL, 0));
    ws_session_touch(&k->s);
    return probe_result(L, err);
}

static int session_terminate(lua_State *L)
{
    struct session *k = get_session(L, 1);
    ws_conn_terminate(&k->s.conn);
    ws_session_touch(&k->s);
    return 0;
}

static int session_pause(lua_State *L)
{
    struct session *k = get_session(L, 1);
    ws_conn_pause(&k->s.conn, lua_toboolean(L, 2));
    ws_session_touch(&k->s);
    return 0;
}

/* :reading(): as if an error had thrown the puller's stack away just now */
static int session_reading(lua_State *L)
{
    struct session *k = get_session(L, 1);
    k->world->peers.reading = &k->s;
    return 0;
}

/* :state() -> {state, fd, dialing, running, next, buffered, word, words} */
static int session_state(lua_State *L)
{
    struct session *k = get_session(L, 1);
    const struct ws_session *s = &k->s;

    lua_newtable(L);
    lua_pushinteger(L, s->conn.state);
    lua_setfield(L, -2, "state");
    lua_pushinteger(L, s->sock.fd);
    lua_setfield(L, -2, "fd");
    lua_pushboolean(L, s->dial != NULL);
    lua_setfield(L, -2, "dialing");
    lua_pushinteger(L, s->dial != NULL ? (lua_Integer)s->dial->running : 0);
    lua_setfield(L, -2, "running");
    lua_pushinteger(L, s->dial != NULL ? (lua_Integer)s->dial->next : 0);
    lua_setfield(L, -2, "next");
    lua_pushinteger(L, (lua_Integer)ws_session_buffered(&k->s));
    lua_setfield(L, -2, "buffered");
    if (s->failure != NULL) {
        lua_pushstring(L, ws_session_word(s));
        lua_setfield(L, -2, "word");
        lua_pushstring(L, ws_session_words(s));
        lua_setfield(L, -2, "words");
    }
    return 1;
}

/* :free(); twice is fine */
static int session_free(lua_State *L)
{
    struct session *k = get_session(L, 1);
    if (k->world->live)
        ws_session_free(&k->s);
    return 0;
}

int ws_probe_peer(lua_State *L)
{
    static const luaL_Reg world_methods[] = {
        {"free", world_free},
        {"turn", world_turn},
        {"session", session_new},
        {"watchers", world_watchers},
        {NULL, NULL},
    };
    static const luaL_Reg session_methods[] = {
        {"hello", session_hello},
        {"dial", session_dial},
        {"adopt", session_adopt},
        {"send", session_send},
        {"ping", session_ping},
        {"close", session_close},
        {"pause", session_pause},
        {"terminate", session_terminate},
        {"state", session_state},
        {"reading", session_reading},
        {"stack", session_stack},
        {"free", session_free},
        {NULL, NULL},
    };

    probe_class(L, WORLD, world_methods, world_free);
    probe_class(L, SESSION, session_methods, session_free);
    lua_newtable(L);
    lua_pushcfunction(L, world_new);
    lua_setfield(L, -2, "world");
    probe_open_tally(L);
    return 1;
}
