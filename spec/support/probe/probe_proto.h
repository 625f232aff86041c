/* probe_proto.h -- what probe_proto.c and probe_conn.c share. */
#ifndef PROBE_PROTO_H
#define PROBE_PROTO_H

#include "probe.h"

#include "proto/hello.h"
#include "proto/pmd.h"
#include "proto/welcome.h"

/* t[name] as a slice, n 0 when absent; the table keeps the string. */
struct ws_slice probe_option(lua_State *L, int idx, const char *name);

/* The list of {name, value} at idx as an array, which is pushed. */
struct ws_field *probe_fields(lua_State *L, int idx, unsigned *n);

/* The tables of a request and of a response; what they need is pushed. */
void probe_hello_conf(lua_State *L, int idx, struct ws_hello_conf *conf);
void probe_answer(lua_State *L, int idx, struct ws_answer *a);

/* {server_window=, client_window=, server_alone=, client_alone=, threshold=,
** memory=, level=}: on, with these settings. */
void probe_pmd_conf(lua_State *L, int idx, struct ws_pmd_conf *c);

/* Adds conn() to the table on top. */
void probe_open_conn(lua_State *L);

#endif
