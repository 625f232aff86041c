/* bind/lua_aux.h -- small things every file that meets Lua needs.
**
** Misuse raises; the world failing is nil, message, code.  Messages say what
** is wrong with which value, since argument numbers mean little where a
** function is both a method and a field of the module.
*/
#ifndef WS_BIND_LUA_AUX_H
#define WS_BIND_LUA_AUX_H

#include "base/base.h"
#include "base/err.h"
#include "wire/head.h"

#include <lauxlib.h>
#include <lua.h>

/* Behind luaL_error, which does not return but does not say so. */
#define WS_UNREACHABLE() __builtin_unreachable()

/* nil, message, code: three values, to be returned. */
int ws_push_fail(lua_State *L, const char *message, const char *code);

/* The same for an error of the list, or of the system with errnum. */
int ws_push_error(lua_State *L, int err);
int ws_push_errno(lua_State *L, const char *call, int errnum);

/* The string at idx as a slice, which it is known to be. */
static inline struct ws_slice ws_slice_at(lua_State *L, int idx)
{
    size_t n;
    const char *s = lua_tolstring(L, idx, &n);
    return ws_slice_of(s, n);
}

/* Pushes bytes as a string. */
static inline void ws_push_slice(lua_State *L, struct ws_slice s)
{
    lua_pushlstring(L, s.n == 0 ? "" : (const char *)s.p, s.n);
}

/* The string at idx as a slice; anything else raises "NAME must be a string,
** got TYPE". */
struct ws_slice ws_check_slice(lua_State *L, int idx, const char *name);

/* Data to send: a string, a number as by tostring (put in its place, integral
** floats without ".0"), a Blob or an ArrayBuffer. */
struct ws_slice ws_check_data(lua_State *L, int idx);

/* The same by another name. */
struct ws_slice ws_check_bytes(lua_State *L, int idx, const char *name);

/* Whether data at idx, which ws_check_data has let pass, is binary unless the
** caller says otherwise. */
int ws_data_is_binary(lua_State *L, int idx);

/* Seconds at idx as milliseconds, rounded up; raises unless a number >= 0.
** Infinity and more than 292 million years are -1: never. */
int64_t ws_check_seconds(lua_State *L, int idx, const char *name);

/* What the metatable of the module is called, so that it is known. */
#define WS_MODULE_NAME "wsock"

/* Raises when the module itself is at idx, as an argument of one of its
** functions: it was called with ':'. */
void ws_check_dot(lua_State *L, int idx);

/* A table, else raises "NAME must be a table, got TYPE". */
void ws_check_table(lua_State *L, int idx, const char *name);

/* luaL_checkudata for methods: an error about the first argument says how they
** are called. */
void *ws_check_self(lua_State *L, int idx, const char *class);

/* A function or a callable value, else raises. */
void ws_check_callable(lua_State *L, int idx, const char *name);
/* Where a table would do too: a callable value at the top is replaced by a
** function that calls it.  Whether it is a function now. */
int ws_take_callable(lua_State *L);
/* The length of the table at the top, an option's value that is to be a list;
** raises for a set, say, which would be a list of nothing. */
lua_Integer ws_list_length(lua_State *L, const char *option);

/* t[name] of the table at idx, which must be of the given type or nil;
** pushed.  1 when it is there. */
int ws_get_field(lua_State *L, int idx, const char *name, int type);

/* What an integer option may be. */
struct ws_range {
    lua_Integer def; /* when it is absent */
    lua_Integer min, max;
};

lua_Integer ws_get_integer(lua_State *L, int idx, const char *name,
                           struct ws_range range);
#define WS_RANGE(def, min, max) ((struct ws_range){(def), (min), (max)})

/* A duration option in seconds, as milliseconds; 0 means off. */
int64_t ws_get_seconds(lua_State *L, int idx, const char *name,
                       double def_seconds);

/* A boolean option. */
int ws_get_boolean(lua_State *L, int idx, const char *name, int def);

/* Raises unless all keys of the table at idx are among names (NULL ends),
** naming the key and the nearest known one; what is "option", say. */
void ws_check_keys(lua_State *L, int idx, const char *what,
                   const char *const *names);

/* 1 when key is among names (NULL ends). */
int ws_is_one_of(const char *key, const char *const *names);

/* How many letters to change, add or drop to turn a into b (Levenshtein), in
** any letter case; much, for long words. */
size_t ws_word_distance(const char *a, const char *b);

/* Raises "unknown WHAT 'KEY'; did you mean 'NEAREST'?". */
int ws_unknown_key(lua_State *L, const char *what, const char *key,
                   const char *const *names);

/* Header fields from the map or list of {name, value} at idx (nil: NULL), with
** room for one more.  Slices point at strings that live in the table pushed
** here.  Raises for names or values that may not be sent, and for those
** `reserved` knows. */
struct ws_field *ws_read_fields(lua_State *L, int idx, unsigned *n,
                                int (*reserved)(struct ws_slice name));

/* A list of subprotocol tokens at idx (string, sequence or nil) joined with
** ", ", pushed; raises "SyntaxError: ..." for what is no list of distinct
** tokens. */
struct ws_slice ws_read_protocols(lua_State *L, int idx);

/* Ends the making of a class: its metatable, at the top, is not shown to Lua,
** and popped. */
void ws_seal_class(lua_State *L);

#endif
