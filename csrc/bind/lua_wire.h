/* bind/lua_wire.h -- what the two files that bind the wire formats share. */
#ifndef WS_BIND_LUA_WIRE_H
#define WS_BIND_LUA_WIRE_H

#include "base/buf.h"
#include "bind/lua_aux.h"
#include "wire/uri.h"

/* Pushes the table {frame, status, head, field, uri}. */
int ws_open_wire(lua_State *L);

/* Pushes the table of functions for heads. */
int ws_open_head(lua_State *L);

/* The string, or number, at arg. */
struct ws_slice ws_wire_check(lua_State *L, int arg);

/* An integer that may be a status or close code; -1 for what is none. */
int ws_wire_code(lua_State *L, int arg);

/* Puts a value into the table at the top. */
void ws_wire_set(lua_State *L, const char *key, struct ws_slice s);
void ws_wire_set_integer(lua_State *L, const char *key, lua_Integer n);

/* Pushes false for WS_MORE; nil, message, code and name for errors.  Returns
** how many. */
int ws_wire_answer(lua_State *L, int rc);

/* Memory of C that goes with the garbage when Lua raises halfway. */
struct ws_wire_scratch {
    struct ws_mem mem;
    struct ws_buf buf;
    struct ws_uri uri;
};

/* An empty one, pushed.  Who is done with it frees early. */
struct ws_wire_scratch *ws_wire_scratch(lua_State *L);

/* Makes a class with one method; name and key are static. */
void ws_wire_class(lua_State *L, const char *name, const char *key,
                   lua_CFunction fn);

#endif
