/* bind/lua_pull.c -- receive, messages and drain; see lua_pull.h. */
#include "bind/lua_pull.h"

#include "bind/lua_bytes.h"
#include "bind/lua_server.h"
#include "bind/lua_task.h"
#include "bind/lua_verbs.h"

/* More bits of ws_lsocket.mask, which has none of a server's events; and where
** in the own table the ring is. */
enum { WS_LENT = 1 << 14, WS_APART = 1 << 13 };
enum { WS_OWN_QUEUE = WS_ON_COUNT };

static struct ws_lloop *loop_of(void *object)
{
    return ((struct ws_lsocket *)object)->loop;
}

static void push_loop(lua_State *L)
{
    ws_push_loop_of(L, lua_touserdata(L, 1), 1);
}

static struct ws_link *waiters(void *object)
{
    return &((struct ws_lsocket *)object)->waiters;
}

/* It has told its close, or in frame mode its fault, or went with its loop. */
static int is_over(const struct ws_lsocket *k)
{
    const struct ws_conn *c = &k->s.conn;

    return c->told_close || k->s.peers == NULL ||
           (c->told_fault && c->conf->frames);
}

/* nil, message, "CLOSED", code, reason */
static int push_closed(lua_State *L, const struct ws_lsocket *k)
{
    struct ws_event ev;

    ws_conn_ending(&k->s.conn, &ev);
    lua_pushnil(L);
    /* clean: how the transport went is nobody's business */
    if (!ev.clean && k->s.failure != NULL)
        lua_pushstring(L, ws_session_words(&k->s));
    else if (!ev.clean && k->s.conn.fault != WS_OK)
        lua_pushstring(L, ws_err_text(k->s.conn.fault));
    else
        lua_pushfstring(L, "the connection was closed (%d)", ev.code);
    lua_pushliteral(L, "CLOSED");
    lua_pushinteger(L, ev.code);
    ws_conn_ending(&k->s.conn, &ev); /* a finalizer may have closed the loop */
    lua_pushlstring(L, ev.data.n > 0 ? (const char *)ev.data.p : "", ev.data.n);
    return 5;
}

/* -- the ring -- */

/* Full is also what would cost more memory than output may; parts of messages
** are there to cost less: one more than this. */
enum { PARTS_BYTES = 65536 };

static size_t bytes_max(const struct ws_lsocket *k)
{
    const struct ws_conf *conf = k->s.conn.conf;
    return conf->message.streaming ? PARTS_BYTES : conf->high_water;
}

static int is_full(const struct ws_lsocket *k)
{
    return k->queued >= k->queue_max || k->queued_bytes > bytes_max(k);
}

static int is_low(const struct ws_lsocket *k)
{
    return k->queued <= k->queue_max / 2 && k->queued_bytes <= bytes_max(k) / 2;
}

static void push_queue(lua_State *L, int idx)
{
    ws_push_own(L, idx);
    if (lua_rawgeti(L, -1, WS_OWN_QUEUE) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, WS_OWN_QUEUE);
    }
    lua_remove(L, -2);
}

/* Keeps the message at the top. */
static void keep(lua_State *L, struct ws_lsocket *k, int idx)
{
    int width = ws_pull_width(k), i;
    lua_Integer at = (k->queue_first + k->queued) % k->queue_max;
    size_t n = lua_rawlen(L, -width);

    push_queue(L, idx);
    lua_insert(L, -width - 1);
    for (i = width; i >= 1; i--)
        lua_rawseti(L, -i - 1, at * width + i);
    lua_pop(L, 1);
    k->queued++;
    k->queued_bytes += n;
    if (is_full(k))
        ws_conn_hold(&k->s.conn, 1);
}

/* Whether messages are answered as they are kept. */
static int is_plain(const struct ws_lsocket *k)
{
    return WS_LIKELY(k->binary_type == WS_AS_STRING && !k->s.conn.conf->frames);
}

int ws_pull_convert(lua_State *L, const struct ws_lsocket *k)
{
    int width = ws_pull_width(k);
    struct ws_slice s;
    lua_Integer packed;

    if (WS_UNLIKELY(k->s.conn.conf->frames)) {
        packed = lua_tointeger(L, -1);
        lua_pop(L, 1);
        return 1 + ws_push_frame(L, packed);
    }
    if (WS_LIKELY(k->binary_type == WS_AS_STRING) ||
        lua_tostring(L, 1 - width)[0] != 'b')
        return width;
    s = ws_slice_of(lua_tostring(L, -width), lua_rawlen(L, -width));
    ws_push_binary(L, s, k->binary_type);
    lua_replace(L, -width - 1);
    return width;
}

int ws_pull_take(lua_State *L, struct ws_lsocket *k, int idx)
{
    int width = ws_pull_width(k), i, queue = lua_gettop(L) + 1;
    lua_Integer at = (lua_Integer)k->queue_first * width;

    push_queue(L, idx);
    for (i = 1; i <= width; i++)
        lua_rawgeti(L, queue, at + i);
    lua_pushnil(L);
    lua_rawseti(L, queue, at + 1);
    lua_remove(L, queue);
    k->queued--;
    k->queued_bytes -= lua_rawlen(L, -width);
    k->queue_first = (k->queue_first + 1) % k->queue_max;
    if (k->queued == 0)
        k->queue_first = 0; /* no more places are used than were full */
    if (k->s.conn.held && is_low(k)) {
        ws_conn_hold(&k->s.conn, 0);
        ws_session_touch(&k->s);
    }
    return ws_pull_convert(L, k);
}

/* Converting makes values, and a finalizer that runs then may cancel who waits:
** then the message, a copy of which is pushed, is kept as it was. */
static int convert_copy(lua_State *L, const struct ws_lsocket *k)
{
    int width = ws_pull_width(k), top = lua_gettop(L), i;

    for (i = 0; i < width; i++)
        lua_pushvalue(L, top - width + 1 + i);
    return ws_pull_convert(L, k);
}

void ws_pull_message(lua_State *L, struct ws_lsocket *k, int idx)
{
    struct ws_ltask *t = ws_wait_first(&k->waiters, WS_FOR_MESSAGE);
    int top = lua_gettop(L), n = ws_pull_width(k);

    if (t != NULL && !is_plain(k)) {
        n = convert_copy(L, k);
        t = ws_wait_first(&k->waiters, WS_FOR_MESSAGE);
    }
    if (t != NULL) {
        k->loop->ahead.of = k;
        ws_task_hand(L, t, n);
        k->loop->ahead.of = NULL;
    } else {
        lua_settop(L, top);
        keep(L, k, idx);
    }
}

void ws_pull_check(lua_State *L, const struct ws_emitter *t, int event)
{
    if (event == (t->streaming ? WS_ON_MESSAGE : WS_ON_CHUNK))
        luaL_error(L, t->streaming ? "with the option streaming messages come "
                                     "as 'chunk'"
                                   : "'chunk' comes with the option streaming");
}

void ws_pull_listens(const struct ws_emitter *t, int event)
{
    if ((event == WS_ON_MESSAGE || event == WS_ON_CHUNK) && !t->server)
        *t->mask &= (uint16_t) ~(WS_PULLS | WS_LENT);
}

int ws_pull_pushes(const struct ws_lsocket *k)
{
    return (k->mask & WS_PULLS) == 0 && !k->s.conn.conf->frames;
}

void ws_pull_settle(lua_State *L, struct ws_lsocket *k)
{
    if (k->queued == 0 || !ws_pull_pushes(k) || k->s.peers == NULL)
        return;
    if (k->slot == 0) { /* it has told its close: at work once more */
        push_loop(L);
        ws_anchor_socket(L, -1, k, 1);
        lua_pop(L, 1);
    }
    ws_session_touch(&k->s);
}

static int has_listener(const struct ws_lsocket *k)
{
    int event = ws_pull_width(k) == 3 ? WS_ON_CHUNK : WS_ON_MESSAGE;
    int shares = k->server != NULL && (k->mask & WS_APART) == 0;
    unsigned mask = k->mask | (shares ? k->server->mask : 0u);

    return (mask >> event & 1) != 0;
}

int ws_socket_apart(lua_State *L)
{
    ws_check_socket(L, 1)->mask |= WS_APART;
    return 0;
}

void ws_pull_handler(struct ws_lsocket *k, int waits)
{
    if (waits) {
        k->handlers++;
        if ((k->mask & WS_PULLS) == 0 && !has_listener(k))
            k->mask |= WS_PULLS | WS_LENT;
        return;
    }
    k->handlers--;
    if (k->handlers > 0 || (k->mask & WS_LENT) == 0)
        return;
    k->mask &= (uint16_t) ~(WS_PULLS | WS_LENT);
    if (k->queued > 0)
        ws_session_touch(&k->s);
}

/* -- receive -- */

static int message_ready(lua_State *L)
{
    struct ws_lsocket *k = lua_touserdata(L, 1);

    if (k->queued > 0)
        return ws_pull_take(L, k, 1);
    return is_over(k) ? push_closed(L, k) : 0;
}

static const struct ws_wait receiving = {
    "receive", WS_FOR_MESSAGE, message_ready, waiters,
    loop_of,   push_loop,      ws_ahead_take};

static struct ws_lsocket *pull(lua_State *L, int streaming)
{
    struct ws_lsocket *k = ws_self_socket(L);

    if (streaming && ws_pull_width(k) == 2)
        luaL_error(L, "receiveChunk needs the option streaming");
    if (!streaming && ws_pull_width(k) == 3)
        luaL_error(L, "with the option streaming messages come in parts, by "
                      "receiveChunk");
    k->mask = (uint16_t)((k->mask | WS_PULLS) & ~WS_LENT);
    return k;
}

/* socket:receive([timeout]) -> data, kind
**     | nil, message, "TIMEOUT" | nil, message, "CLOSED", code, reason */
int ws_socket_receive(lua_State *L)
{
    int64_t ms = ws_check_timeout(L, 2, "receive: timeout");

    pull(L, 0);
    lua_settop(L, 1);
    return ws_wait(L, &receiving, ms);
}

/* socket:receiveChunk([timeout]) -> data, kind, final | as receive */
int ws_socket_receive_chunk(lua_State *L)
{
    static const struct ws_wait chunk = {
        "receiveChunk", WS_FOR_MESSAGE, message_ready, waiters,
        loop_of,        push_loop,      NULL};
    int64_t ms = ws_check_timeout(L, 2, "receiveChunk: timeout");

    pull(L, 1);
    lua_settop(L, 1);
    return ws_wait(L, &chunk, ms);
}

/* The iterator, which is given the last message too. */
static int next_message(lua_State *L)
{
    ws_self_socket(L);
    lua_settop(L, 1);
    return ws_wait(L, &receiving, -1);
}

/* socket:messages() -> iterator of data, kind; ends with the connection */
int ws_socket_messages(lua_State *L)
{
    pull(L, 0);
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, next_message, 1);
    lua_insert(L, 1);
    return 2;
}

/* -- drain -- */

static int drain_ready(lua_State *L)
{
    struct ws_lsocket *k = lua_touserdata(L, 1);

    if (is_over(k))
        return push_closed(L, k);
    if (!ws_conn_drains(&k->s.conn))
        return 0;
    lua_pushboolean(L, 1);
    return 1;
}

static const struct ws_wait draining = {
    "drain", WS_FOR_DRAIN, drain_ready, waiters, loop_of, push_loop, NULL};

/* socket:drain([timeout]) -> true | nil, message, code */
int ws_socket_drain(lua_State *L)
{
    int64_t ms;

    ws_self_socket(L);
    ms = ws_check_timeout(L, 2, "drain: timeout");
    lua_settop(L, 1);
    return ws_wait(L, &draining, ms);
}

void ws_pull_drained(struct ws_lsocket *k)
{
    ws_wait_wake_all(&k->waiters, WS_FOR_DRAIN);
}

/* -- connect -- */

static int open_ready(lua_State *L)
{
    struct ws_lsocket *k = lua_touserdata(L, 1);
    int top = lua_gettop(L);

    if (k->s.conn.opened) {
        k->shy = 0;
        ws_conn_hold(&k->s.conn, 0);
        ws_session_touch(&k->s);
        lua_pushboolean(L, 1);
        return 1;
    }
    if (!is_over(k))
        return 0;
    lua_pushnil(L);
    ws_push_fault(L, k, 1);
    return lua_gettop(L) - top;
}

static const struct ws_wait opening = {
    "connect", WS_FOR_OPEN, open_ready, waiters, loop_of, push_loop, NULL};

int ws_socket_opened(lua_State *L)
{
    struct ws_lsocket *k = ws_check_socket(L, 1);

    k->mask |= WS_PULLS;
    k->shy = 1;
    lua_settop(L, 1);
    return ws_wait(L, &opening, -1);
}

void ws_pull_opened(struct ws_lsocket *k)
{
    if (!k->shy)
        return;
    ws_conn_hold(&k->s.conn, 1);
    ws_wait_wake_all(&k->waiters, WS_FOR_OPEN);
}

void ws_pull_ended(struct ws_lsocket *k)
{
    ws_wait_wake_all(&k->waiters, WS_FOR_NOTHING);
}
