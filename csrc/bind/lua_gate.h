/* bind/lua_gate.h -- whom a server lets in: Host, Origin, the subprotocols.
**
** What the options `hosts`, `origins` and `protocols` say of a request, whether
** they are values or the application's functions.  lua_upgrade.c says when they
** are asked, and what is answered.
*/
#ifndef WS_BIND_LUA_GATE_H
#define WS_BIND_LUA_GATE_H

#include "bind/lua_bind.h"

/* What the option `name`, a function, answered for the socket at idx is at the
** top: 1 for true, 0 for false or nil; else, for a status in the place of it,
** say, -1, which was reported: nobody comes in by mistake. */
int ws_gate_verdict(lua_State *L, int idx, const char *name);

/* 1: the request that c has, of the socket at idx, is for a host of the
** server's, 0: for another, as of a page whose name was made to lead here (DNS
** rebinding). */
int ws_gate_host(lua_State *L, int idx, const struct ws_conn *c);

/* isFor(conn, hosts) -> boolean: the same of an object of wsock.protocol, for
** files in Lua; hosts as the option has them, nil: any. */
int ws_gate_is_for(lua_State *L);

/* The Origin of the request h of the socket at idx.  1: welcome, 0: not, -1:
** the application's function failed, which was reported.  Without an Origin
** it is no browser, whose user could be tricked (RFC 6455 10.2). */
int ws_gate_origin(lua_State *L, int idx, const struct ws_head *h);

/* Pushes the subprotocol to choose, or nil; -1 when the application's function
** failed, which was reported (RFC 6455 4.2.2). */
int ws_gate_protocol(lua_State *L, int idx, const struct ws_head *h);

#endif
