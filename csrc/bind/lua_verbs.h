/* bind/lua_verbs.h -- what sockets and protocol objects are told alike.
**
** Reads the arguments of send, ping, pong and close as the API has them, does
** it to a connection, and says what came of it: misuse raises, with the
** browser's name where the browser throws; the world failing is nil, message,
** code.  Who flushes, and when, is the caller's affair.  What a socket's send
** asks of each message is inline.
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

/* Raises in CONNECTING; comes before a look at the data (W-30). */
static inline void ws_check_connected(lua_State *L, const struct ws_conn *c)
{
    if (c->state == WS_CONNECTING)
        luaL_error(L, "InvalidStateError: the connection is not open yet");
}

/* ws_check_data, inline for what is sent most. */
static inline struct ws_slice ws_check_payload(lua_State *L, int idx)
{
    return WS_LIKELY(lua_type(L, idx) == LUA_TSTRING) ? ws_slice_at(L, idx)
                                                      : ws_check_data(L, idx);
}

/* Raises: what is at idx is no kind. */
int ws_kind_error(lua_State *L, int idx);

/* The kind at idx; nil means text, but behind a Blob or an ArrayBuffer. */
static inline enum ws_opcode ws_check_kind(lua_State *L, int idx)
{
    size_t n;
    const char *s = lua_tolstring(L, idx, &n);

    if (s == NULL && lua_isnoneornil(L, idx))
        return ws_data_is_binary(L, idx - 1) ? WS_OP_BINARY : WS_OP_TEXT;
    if (s != NULL && n == 6 && memcmp(s, "binary", 6) == 0)
        return WS_OP_BINARY;
    if (s == NULL || n != 4 || memcmp(s, "text", 4) != 0)
        ws_kind_error(L, idx);
    return WS_OP_TEXT;
}

/* Reads data, kind and options at idx and behind it. */
void ws_check_sending(lua_State *L, int idx, const struct ws_conn *c,
                      struct ws_sending *s);

/* The flags that the options at idx stand for. */
unsigned ws_read_flags(lua_State *L, int idx);

static inline unsigned ws_check_flags(lua_State *L, int idx)
{
    return WS_LIKELY(lua_isnoneornil(L, idx)) ? 0 : ws_read_flags(L, idx);
}

/* What send answers for the result of ws_conn_send*: true, or nil, message,
** code; raises for text that is not UTF-8, and without memory. */
int ws_push_sent(lua_State *L, const struct ws_conn *c, int err);

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

/* Text and code of an error, and the answer a client got (ws_set_head) or nil,
** are at the top: the status takes the answer's place, and of a refusal it
** stands in the text too. */
void ws_add_status(lua_State *L, int err);

/* -- closing -- */

/* The close code at idx, 0 when there is none, -1 for what is never one;
** raises for what is no number. */
int ws_check_code(lua_State *L, int idx);

/* close with code and reason at idx and behind it: pushes true. */
int ws_close_with(lua_State *L, int idx, struct ws_conn *c);

/* Pushes a table of what both tell in stats. */
void ws_push_stats(lua_State *L, const struct ws_conn *c);

#endif
