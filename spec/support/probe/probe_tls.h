/* probe_tls.h -- a peer that speaks TLS 1.3, and then anything. */
#ifndef PROBE_TLS_H
#define PROBE_TLS_H

#include "probe.h"

/* Adds `tls_peer` to the table at the top. */
void probe_open_tls(lua_State *L);

#endif
