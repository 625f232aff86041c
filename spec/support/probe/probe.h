/* probe.h -- the inside of the core, for specs: require "wsock.probe".
**
** Some functions have no public binding, and some failures (no memory, a byte
** read too many, fork) do not happen by asking.  The probe is a Lua module of
** its own, built from this folder and the core's objects; nothing of it is
** installed.  Each layer has one table in it: probe.base, probe.wire, ...
**
** Another layer's file probe_<layer>.c defines the function below that has its
** name, and that is all: probe.c adds what is there.
*/
#ifndef PROBE_H
#define PROBE_H

#include "base/base.h"
#include "base/mem.h"

#include <lua.h>
#include <lauxlib.h>

#define MAYBE __attribute__((weak))

int ws_probe_base(lua_State *L); /* each pushes one table */
MAYBE int ws_probe_wire(lua_State *L);
MAYBE int ws_probe_loop(lua_State *L);
MAYBE int ws_probe_net(lua_State *L);
MAYBE int ws_probe_proto(lua_State *L);
MAYBE int ws_probe_peer(lua_State *L);
MAYBE int ws_probe_bind(lua_State *L);

/* -- for the files of all layers -- */

/* The allocator of a probe.mem at arg; raises when it is none. */
struct ws_mem *probe_mem(lua_State *L, int arg);

/* The string at arg. */
struct ws_slice probe_slice(lua_State *L, int arg);

/* The same in memory of exactly its size, pushed, so that a read or write too
** far is seen. */
struct ws_span probe_copy(lua_State *L, int arg);

/* Pushes bytes as a string. */
void probe_push(lua_State *L, struct ws_slice s);

/* The non-negative integer at arg. */
size_t probe_size(lua_State *L, int arg);

/* Pushes true, or nil and the name of the code ("NOMEM"); returns how many. */
int probe_result(lua_State *L, int rc);

/* Pushes a new full userdata of that size, of that class, with the values at
** the `keep` first arguments kept alive by it. */
void *probe_new(lua_State *L, size_t size, const char *class, int keep);

/* Makes a class: its methods, and __gc when there is one. */
void probe_class(lua_State *L, const char *class, const luaL_Reg *methods,
                 lua_CFunction gc);

/* -- the parts of probe.base, each adds its functions to the table on top -- */

void probe_open_mem(lua_State *L);
void probe_open_bytes(lua_State *L);
void probe_open_chain(lua_State *L);

/* -- of probe.wire, and of probe.proto -- */

void probe_open_deflate(lua_State *L);
void probe_open_auth(lua_State *L);
void probe_open_pmd(lua_State *L);

/* -- of probe.peer -- */

void probe_open_tally(lua_State *L);

/* -- and of probe.bind -- */

void probe_open_state(lua_State *L);

#endif
