/* bind/lua_server.h -- what the files of the server object share. */
#ifndef WS_BIND_LUA_SERVER_H
#define WS_BIND_LUA_SERVER_H

#include "bind/lua_handler.h"

/* The server userdata at idx, or a Lua error. */
struct ws_lserver *ws_check_server(lua_State *L, int idx);

/* Fires an event of the server of the socket at idx with the nargs values at
** the top, which are popped; 1 if a listener raised. */
int ws_server_fire(lua_State *L, struct ws_lsocket *k, int idx, int event,
                   int nargs);

/* (server, "on...", fn): as server.on... = fn. */
int ws_server_set_handler(lua_State *L);

/* server:broadcast(data [, kind [, options]]), lua_broadcast.c. */
int ws_server_broadcast(lua_State *L);

/* -- lua_upgrade.c: called as handlers, so that they may raise -- */

int ws_raise_protocol(lua_State *L);
int ws_answer_call(lua_State *L);

/* Makes the table at t the request or response of the socket at idx. */
void ws_bind_request(lua_State *L, int t, int idx);

#endif
