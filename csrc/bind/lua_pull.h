/* bind/lua_pull.h -- messages that wait to be asked for.
**
** A socket pushes its messages to its listeners until receive or messages is
** called, or connect made it; then they are kept in a ring in its own table,
** `queue_max` at most, and it stops reading while the ring is full.  A message
** listener of its own turns it back, and is given what waited.
**
** A handler of a socket that waits may be on its way to either: as long as
** nobody has listened or asked, its socket is lent the ring.  When no such
** handler is left, what waits goes to whoever listens then, or nobody.
*/
#ifndef WS_BIND_LUA_PULL_H
#define WS_BIND_LUA_PULL_H

#include "bind/lua_socket.h"

/* How many values a message is: data and kind; with streaming, where it is a
** chunk, also whether it is the last. */
static inline int ws_pull_width(const struct ws_lsocket *k)
{
    return k->s.conn.conf->message.streaming ? 3 : 2;
}

/* In a turn: hands the message at the top to a task that waits for one, or
** keeps it.  In frame mode the kind is ws_frame_pack's.  The socket is at idx.
*/
void ws_pull_message(lua_State *L, struct ws_lsocket *k, int idx);

/* The message at the top becomes what is answered: data what binaryType asks
** for, a packed frame its parts.  How many values. */
int ws_pull_convert(lua_State *L, const struct ws_lsocket *k);

/* Pushes the first message that waits, one has to; of a frame what receive
** answers.  How many values. */
int ws_pull_take(lua_State *L, struct ws_lsocket *k, int idx);

/* Raises when the event never comes: message with streaming, chunk without. */
void ws_pull_check(lua_State *L, const struct ws_emitter *t, int event);

/* A listener for `event` was added: one of a socket's own for messages or
** chunks makes it push again. */
void ws_pull_listens(const struct ws_emitter *t, int event);

/* A handler of the socket begins to wait, or is over after it did. */
void ws_pull_handler(struct ws_lsocket *k, int waits);

/* Whether what waits is for listeners: frames never are. */
int ws_pull_pushes(const struct ws_lsocket *k);

/* The socket at 1 may push again: what waits is delivered in the next turn.
** Raises without memory. */
void ws_pull_settle(lua_State *L, struct ws_lsocket *k);

/* The socket opened, drained or ended: who waits for it may look. */
void ws_pull_opened(struct ws_lsocket *k);
void ws_pull_drained(struct ws_lsocket *k);
void ws_pull_ended(struct ws_lsocket *k);

/* socket:receive, receiveChunk, messages and drain, see ws_self_socket */
int ws_socket_receive(lua_State *L);
int ws_socket_receive_chunk(lua_State *L);
int ws_socket_messages(lua_State *L);
int ws_socket_drain(lua_State *L);

/* apart(socket): its server's listener for messages wants none of its. */
int ws_socket_apart(lua_State *L);

/* opened(socket) -> true | nil, message, code [, status]: waits until it is
** open, or will not be.  Until it returned nothing more happens to it. */
int ws_socket_opened(lua_State *L);

#endif
