/* bind/lua_verbs.h -- what sockets and protocol objects are told alike.
**
** Reads the arguments of send, ping, pong and close as the API has them, does
** it to a connection, and says what came of it: misuse raises, with the
** browser's name where the browser throws; the world failing is nil, message,
** code.  Who flushes, and when, is the caller's affair.
*/
#ifndef WS_BIND_LUA_VERBS_H
#define WS_BIND_LUA_VERBS_H

#include "bind/lua_aux.h"
#include "proto/closing.h"

/* -- sending -- */

struct ws_sending {
    struct ws_slice data; /* lives as long as the value at idx */
    enum ws_opcode op;
    unsigned flags;
};

/* The kind at idx, behind the data. */
enum ws_opcode ws_check_kind(lua_State *L, int idx);

/* Reads data, kind and options at idx and behind it. */
void ws_check_sending(lua_State *L, int idx, const struct ws_conn *c,
                      struct ws_sending *s);

/* The flags that the options at idx stand for. */
unsigned ws_check_flags(lua_State *L, int idx);

/* What send answers for the result of ws_conn_send*: true, or nil, message,
** code; raises for text that is not UTF-8, and without memory. */
int ws_push_sent(lua_State *L, int err);

/* ping or pong with the data at idx: pushes as ws_push_sent. */
int ws_send_control(lua_State *L, int idx, struct ws_conn *c,
                    enum ws_opcode op);

/* -- frame mode -- */

/* What a FRAME event tells: its data, and the rest in one number until
** somebody asks: pushes kind, final and of a Close that has one its code; how
** many. */
lua_Integer ws_frame_pack(const struct ws_event *ev);
int ws_push_frame(lua_State *L, lua_Integer packed);

/* sendFrame with data, kind and final at idx and behind it: pushes as
** ws_push_sent. */
int ws_send_frame(lua_State *L, int idx, struct ws_conn *c);

/* -- closing -- */

/* close with code and reason at idx and behind it: pushes true. */
int ws_close_with(lua_State *L, int idx, struct ws_conn *c);

#endif
