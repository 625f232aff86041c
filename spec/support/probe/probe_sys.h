/* probe_sys.h -- the system for specs of loop and net: calls, and failures. */
#ifndef PROBE_SYS_H
#define PROBE_SYS_H

#include "probe.h"

/* Pushes nil, "SYSTEM" and errno's name; returns 3. */
int probe_errno(lua_State *L, int err);

/* As probe_result, with errno's name behind "SYSTEM". */
int probe_sys_result(lua_State *L, int rc, int err);

/* Adds pipe, close, read, ... to the table on top. */
void probe_open_sys(lua_State *L);

/* reach(), in probe_reach.c: faults hold for the module itself, too. */
int probe_reach(lua_State *L);

/* Adds fault, reach, live, asleep and release to the table on top. */
void probe_open_faults(lua_State *L);

#endif
