/* bind/lua_socket.h -- what the files of the socket object share. */
#ifndef WS_BIND_LUA_SOCKET_H
#define WS_BIND_LUA_SOCKET_H

#include "bind/lua_bind.h"
#include "bind/lua_emitter.h"
#include "bind/lua_request.h"
#include "loop/clock.h"

/* Tells a socket the time, before something is done to it outside of its own
** turn: it may have been idle, and what begins now has its whole time. */
static inline void ws_socket_clock(struct ws_lsocket *k)
{
    if (k->s.peers == NULL)
        return; /* closed before its loop was */
    if (!k->loop->running)
        k->loop->loop.now_ms = ws_clock_ms();
    ws_conn_clock(&k->s.conn, k->loop->loop.now_ms);
}

/* The socket at 1, for methods: they have as their first upvalue a pointer that
** nobody can guess, to nothing, which all sockets of the state carry.  What is
** as large as a socket and has it in its place is one, which is found out
** faster than by a look at the metatable. */
static inline struct ws_lsocket *ws_self_socket(lua_State *L)
{
    struct ws_lsocket *k = lua_touserdata(L, 1);
    int is = k != NULL && lua_rawlen(L, 1) >= sizeof *k &&
             k->seal == lua_touserdata(L, lua_upvalueindex(1));
    return WS_LIKELY(is) ? k : ws_check_socket(L, 1);
}

/* Pushes the loop userdata of the socket userdata at idx. */
void ws_push_loop_of(lua_State *L, const struct ws_lsocket *k, int idx);

/* The number of the string that a socket anchors itself; others are anchored
** in the loop, by the numbers of luaL_ref, which are greater. */
enum { WS_PIN_OWN = 0 };

/* The string or Blob that the socket at idx anchored by that number is sent,
** or never will be: it is let go. */
void ws_unpin(lua_State *L, struct ws_lsocket *k, int idx, int number);

/* The emitter of the socket k, which is at 1. */
static inline struct ws_emitter ws_socket_emitter(struct ws_lsocket *k)
{
    struct ws_emitter t;
    t.idx = 1;
    t.mask = &k->mask;
    t.server = 0;
    t.streaming = k->s.conn.conf->message.streaming;
    return t;
}

/* wsock.WebSocket(url [, protocols [, options]]), lua_client.c. */
int ws_new_client(lua_State *L);

/* -- lua_event.c -- */

/* Pushes what failed, message, code and perhaps a refusal's status, of the
** socket at idx, which has ended or was never open. */
void ws_push_fault(lua_State *L, struct ws_lsocket *k, int idx);

/* -- lua_props.c -- */

int ws_socket_stats(lua_State *L);
int ws_socket_tostring(lua_State *L);

/* With the metatable below the table of methods: sets __index and __newindex
** and pops the methods. */
void ws_socket_accessors(lua_State *L);

#endif
