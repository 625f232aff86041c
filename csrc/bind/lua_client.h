/* bind/lua_client.h -- a client's way to its server: begun, and begun again.
**
** What a client asks for is its plan.  It lies with the socket until the
** socket is open or closed, for a redirect, or a challenge, starts from it
** anew.  lua_client.c makes the socket, lua_plan.c reads the plan and starts
** from it, lua_redirect.c and lua_challenge.c change it.
*/
#ifndef WS_BIND_LUA_CLIENT_H
#define WS_BIND_LUA_CLIENT_H

#include "bind/lua_bind.h"
#include "bind/lua_hello.h"

/* Stack positions while a client is made; what comes behind the plan are the
** strings and contexts it points at. */
enum {
    WS_A_URL = 1,
    WS_A_PROTOCOLS,
    WS_A_OPTIONS,
    WS_A_URI,
    WS_A_LOOP,
    WS_A_SOCKET,
    WS_A_OWN,
    WS_A_PLAN
};

/* A userdata; its user value is a table of what it points at, and at
** WS_PLAN_URI the URL. */
struct ws_plan {
    struct ws_asking asking;
    struct ws_dial_conf dial;
    struct ws_addr from;
    const struct ws_uri *uri;
    const struct ws_tls_holder *tls;      /* of the option, or NULL */
    const struct ws_tls_holder *tls_bare; /* without a certificate of ours */
    const struct ws_tls_holder *to_host;  /* what it is met with, or NULL */
    const struct ws_tls_holder *to_proxy;
    const char *tls_name;       /* tls.serverName, or NULL */
    const struct ws_uri *proxy; /* of the option, or NULL */
    int no_proxy;               /* not even one of the environment */
    const char *wrong, *why;    /* a variable that names no proxy; or NULL */
    unsigned redirects;         /* that may still be followed */
};

enum { WS_PLAN_URI = 1 };

/* Pushes the plan for uri and what it points at, read before anything is
** begun: only reading raises. */
struct ws_plan *ws_push_plan(lua_State *L, const struct ws_uri *uri);

/* The plan at WS_A_PLAN is kept in the own table. */
void ws_plan_keep(lua_State *L);

/* The plan's URL is uri: host, target, and what to connect to. */
void ws_plan_aim(struct ws_plan *p, const struct ws_uri *uri);

/* The way there: by which proxy, with which TLS.  Pushes what it makes, which
** must stay until the plan has begun.  loop: the loop's index.  Raises without
** memory. */
void ws_plan_route(lua_State *L, int loop, struct ws_plan *p);

/* Request and connection of the plan, from the session's init on.  Errors of
** ws_conn_start and ws_dial_open; what is wrong with the environment's proxy is
** told by the session's events. */
int ws_plan_begin(struct ws_lsocket *k, struct ws_plan *p);

/* The same once more, in a turn of the loop, with a key of its own and whatever
** else was changed in the plan; the handshake's clock runs on. */
int ws_plan_again(lua_State *L, struct ws_lsocket *k, struct ws_plan *p);

/* Shows the URL in the own table at idx. */
void ws_plan_show(lua_State *L, int own, const struct ws_uri *uri);

/* The socket at idx, at the top, has failed with err: where it was not open yet
** the words for that name whom it talked to. */
void ws_plan_explain(lua_State *L, struct ws_lsocket *k, int idx, int err);

/* Pushes the own table of the socket at idx, and its plan or nil: NULL. */
struct ws_plan *ws_plan_of(lua_State *L, int idx);

/* The socket at idx is open or closed: its plan is let go. */
void ws_plan_settled(lua_State *L, const struct ws_lsocket *k, int idx);

/* -- lua_redirect.c -- */

/* A redirect came: the socket at idx follows it, or fails. */
void ws_client_redirected(lua_State *L, struct ws_lsocket *k, int idx,
                          const struct ws_event *ev);

/* -- lua_challenge.c -- */

/* A challenge came: the socket at idx answers it, or fails. */
void ws_client_challenged(lua_State *L, struct ws_lsocket *k, int idx);

#endif
