/* bind/lua_deflate.h -- the option perMessageDeflate, and what stats tell.
**
** true, false or a table for clients and servers; for servers also a function
** of the request that returns one of these, asked before each 101.
*/
#ifndef WS_BIND_LUA_DEFLATE_H
#define WS_BIND_LUA_DEFLATE_H

#include "bind/lua_aux.h"
#include "proto/conn.h"

/* Reads "perMessageDeflate" of the options at idx (0 or nil: none).  A function
** counts as false here; whoever has one keeps it and asks it later. */
void ws_read_pmd(lua_State *L, int idx, struct ws_conf *conf);

/* The same field: pushes the function, or nil. */
void ws_push_pmd_hook(lua_State *L, int idx);

/* (hook, request, struct ws_pmd_conf * as light userdata): calls the hook and
** reads what it returns.  May raise, so a turn calls it as a handler. */
int ws_ask_pmd(lua_State *L);

/* Sets the counters of compressed messages in the table at the top. */
void ws_set_pmd_stats(lua_State *L, const struct ws_conn *c);

#endif
