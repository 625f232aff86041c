/* bind/lua_request.h -- the handshake's heads as tables, and answering them.
**
** lua_request.c shows them; lua_upgrade.c decides what a server answers.
*/
#ifndef WS_BIND_LUA_REQUEST_H
#define WS_BIND_LUA_REQUEST_H

#include "bind/lua_bind.h"

/* -- lua_upgrade.c -- */

/* The request of the socket at idx wants an answer. */
void ws_server_upgrade(lua_State *L, struct ws_lsocket *k, int idx);
void ws_server_request(lua_State *L, struct ws_lsocket *k, int idx,
                       struct ws_slice body);

/* Adds accept and reject to the table at the top. */
void ws_upgrade_methods(lua_State *L);
void ws_open_upgrade(lua_State *L);

/* -- lua_request.c -- */

void ws_open_request(lua_State *L); /* registers the classes */

/* Puts the peer's head, if it came, into the table at t: method, target, path,
** query, headers of a request; status, reason, headers, body of an answer. */
void ws_set_head(lua_State *L, int t, const struct ws_conn *c);

/* Pushes the head of the socket at idx as a table, the same each time. */
void ws_push_request(lua_State *L, int idx);
void ws_push_response(lua_State *L, struct ws_lsocket *k, int idx);

/* Reads an answer's status (else def), headers and body at idx and the two
** behind it; what it needs of them is pushed. */
void ws_read_answer(lua_State *L, int idx, int def, struct ws_answer *a);

/* The socket of the request or response table at idx, which is pushed, or
** NULL. */
struct ws_lsocket *ws_request_socket(lua_State *L, int idx);

#endif
