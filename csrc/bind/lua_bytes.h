/* bind/lua_bytes.h -- Blob and ArrayBuffer: bytes as the browser hands them.
**
** A Blob cannot change: it is a part of a Lua string it keeps alive, so that
** slices and sends copy nothing.  An ArrayBuffer can: its bytes lie in its
** userdata, never move, and never change in number.
*/
#ifndef WS_BIND_LUA_BYTES_H
#define WS_BIND_LUA_BYTES_H

#include "base/base.h"

#include <lua.h>

/* What binary messages arrive as: socket.binaryType. */
enum ws_binary_type {
    WS_AS_STRING,
    WS_AS_BLOB,
    WS_AS_ARRAYBUFFER,
    WS_AS_COUNT
};

const char *ws_binary_type_name(int type);

/* The type of that name at idx; raises for what is none. */
int ws_check_binary_type(lua_State *L, int idx);

/* Whether the value at idx is a Blob or an ArrayBuffer; its bytes, which stay
** where they are while it lives.  For `fixed` only a Blob, whose bytes also
** stay what they are. */
int ws_test_bytes(lua_State *L, int idx, struct ws_slice *bytes, int fixed);

/* Pushes a copy of bytes as an object of that type. */
void ws_push_binary(lua_State *L, struct ws_slice bytes, int type);

/* Adds blob and arraybuffer to the table at the top. */
void ws_open_bytes(lua_State *L);

#endif
