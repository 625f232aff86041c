/* bind/lua_options.h -- options tables to configurations. */
#ifndef WS_BIND_LUA_OPTIONS_H
#define WS_BIND_LUA_OPTIONS_H

#include "bind/lua_bind.h"

/* Fills conf with defaults for the role, then from the table at idx (0 or
** nil: none).  Every key read is its own; others are left for the caller. */
void ws_read_conf(lua_State *L, int idx, struct ws_conf *conf);

/* Option receiveQueue of the table at idx. */
uint32_t ws_read_queue(lua_State *L, int idx);

/* Raises unless the value at idx is nil or a table all of whose keys are
** options of a client, or of a server. */
void ws_check_options(lua_State *L, int idx, int server);

/* Adds to the table at the top, for files in Lua: checkKeys (ws_check_keys),
** checkHeaders, checkProtocols. */
void ws_open_options(lua_State *L);

#endif
