/* probe_tunnel.h -- streams of proxies, to be put on others. */
#ifndef PROBE_TUNNEL_H
#define PROBE_TUNNEL_H

#include "probe.h"

#include "net/stream.h"

/* {kind = "http" or "socks", host =, port =, user =, password =}: as
** ws_proxy_new and ws_socks_new. */
int probe_tunnel_on(lua_State *L, int idx, struct ws_mem *mem,
                    struct ws_stream *below, struct ws_stream **top);

/* Adds `tunnel` to the table at the top. */
void probe_open_tunnel(lua_State *L);

#endif
