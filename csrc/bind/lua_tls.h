/* bind/lua_tls.h -- the option `tls`, and what `socket.tls` shows. */
#ifndef WS_BIND_LUA_TLS_H
#define WS_BIND_LUA_TLS_H

#include "bind/lua_bind.h"

/* A userdata with a reference; NULL in it when it was finalized, as every one
** is when the state closes, or its loop is gone. */
struct ws_tls_holder {
    struct ws_tls_ctx *ctx;
    uint64_t stamp; /* a client's: of the files it was made from */
};

/* The context for the options table at `options` (or nil) of a client of the
** loop at `loop`: the same for the same options, until a file they name is
** another, and can be read.  *name: tls.serverName, or
** NULL.  Both live as long as the values that are pushed here.  Raises for
** what cannot be. */
const struct ws_tls_holder *ws_client_tls(lua_State *L, int loop, int options,
                                          const char **name);

/* The same without certificate and key of ours, for whom they are not meant:
** a proxy, another origin. */
const struct ws_tls_holder *ws_client_tls_bare(lua_State *L, int loop,
                                               int options, const char **name);

/* The loop at that index goes: its contexts are let go.  Allocates nothing. */
void ws_drop_tls(lua_State *L, int loop);

/* A new context for the table at idx, which is a server's option `tls`: WS_OK
** and a reference that is the caller's, WS_ERR_NOMEM, or WS_ERR_TLS and why.
** Raises for misuse. */
int ws_server_tls(lua_State *L, struct ws_lloop *ll, int idx,
                  struct ws_tls_ctx **ctx, char *why);

/* nil, message, code for what ws_server_tls answered. */
int ws_push_tls_error(lua_State *L, int err, const char *why);

/* server:setTLS(options). */
int ws_server_set_tls(lua_State *L);

/* Pushes {version, cipher, resumed, peerCertificate} for the socket at 1, or
** nil. */
void ws_push_tls(lua_State *L, struct ws_lsocket *k);

#endif
