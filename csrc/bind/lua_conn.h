/* bind/lua_conn.h -- the userdata of wsock.protocol, and who does what to it.
**
** lua_protocol.c makes it, feeds it and pulls its events; lua_conn.c shows
** those, its heads and its attributes, and answers requests.  One user value, a
** table, holds the url, the heads once somebody asked, and perMessageDeflate if
** it is a function.
*/
#ifndef WS_BIND_LUA_CONN_H
#define WS_BIND_LUA_CONN_H

#include "bind/lua_aux.h"
#include "base/digest.h"
#include "proto/closing.h"

#define WS_PROTOCOL_NAME "wsock.protocol"

struct ws_lconn {
    struct ws_conn conn; /* conf NULL: not made, or gone */
    struct ws_conf conf;
    struct ws_mem mem;
    struct ws_pool pool;
    struct ws_pmd_pool codecs;
    struct ws_keys keys;
    struct ws_buf rest; /* fed and not looked at yet */
    uint8_t eof;        /* the peer's end is to be told behind rest */
    uint8_t gone;       /* the transport's, too */
};

/* The object at 1, which was made; or a Lua error. */
struct ws_lconn *ws_check_lconn(lua_State *L);

/* Pushes the name and the values of an event of the object at 1; how many. */
int ws_push_lconn_event(lua_State *L, const struct ws_lconn *p,
                        const struct ws_event *ev);

/* conn:accept, conn:reject, conn:respond, conn:stats, and __index, whose
** upvalue is the table of methods. */
int ws_lconn_accept(lua_State *L);
int ws_lconn_reject(lua_State *L);
int ws_lconn_respond(lua_State *L);
int ws_lconn_stats(lua_State *L);
int ws_lconn_index(lua_State *L);
int ws_lconn_newindex(lua_State *L);
int ws_lconn_tostring(lua_State *L);

#endif
