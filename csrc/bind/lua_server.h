/* bind/lua_server.h -- what the files of the server object share. */
#ifndef WS_BIND_LUA_SERVER_H
#define WS_BIND_LUA_SERVER_H

#include "bind/lua_handler.h"
#include "bind/lua_emitter.h"
#include "bind/lua_request.h"

struct ws_lserver {
    struct ws_serve serve;
    struct ws_conf conf;
    struct ws_lloop *loop;
    struct ws_link clients;        /* open sockets, by ws_lsocket.peers */
    struct ws_link opening, asked; /* before their 101, see ws_place */
    struct ws_block *block;        /* broadcasts of late, encoded */
    struct ws_tls_ctx *tls;        /* of who comes, or NULL: plain */
    struct ws_timer timer;         /* the end of close()'s patience */
    size_t nclients, nopening, clients_max, opening_max;
    uint32_t queue_max;
    int looked;        /* slot of the one that was, see lua_arrivals.c */
    int64_t looked_ms; /* and when */
    uint16_t mask;     /* events with listeners: 1 << enum ws_listen */
    uint8_t slow_close, open, closing, anchored, told_listening;
};

/* Which of its server's lists a socket is in: its request is not whole, or has
** been refused or answered; or it waits for an answer; or it is open. */
enum ws_place {
    WS_AMONG_NONE,
    WS_AMONG_OPENING,
    WS_AMONG_ASKED,
    WS_AMONG_CLIENTS
};

/* The server userdata at idx, or a Lua error. */
struct ws_lserver *ws_check_server(lua_State *L, int idx);

/* Fires an event of the server of the socket at idx with the nargs values at
** the top, which are popped; 1 if a listener raised. */
int ws_server_fire(lua_State *L, struct ws_lsocket *k, int idx, int event,
                   int nargs);

/* The timer of its own is due: see lua_turn.c. */
void ws_server_timeout(lua_State *L, struct ws_lserver *sv);

/* The socket at idx became open, or ended before it did, or ended. */
void ws_server_opened(lua_State *L, struct ws_lsocket *k, int idx);
void ws_server_refused(lua_State *L, struct ws_lsocket *k, int idx, int err);
void ws_server_left(struct ws_lsocket *k);

/* (server, "on...", fn): as server.on... = fn. */
int ws_server_set_handler(lua_State *L);

/* -- lua_arrivals.c -- */

/* Who waits to be accepted is, see lua_turn.c. */
void ws_serve_ready(lua_State *L, struct ws_lserver *sv);

/* k's request is whole: it is not among the opening ones any more, which give
** way to others. */
void ws_server_asked(struct ws_lsocket *k);

/* It has an answer, which is no 101: now it gives way again. */
void ws_server_answered(struct ws_lsocket *k);

/* k has asked for something: WS_OK, or WS_ERR_CROWDED, as many of its address
** as may be are in. */
int ws_server_enter(struct ws_lsocket *k);

/* A request of k's was accepted: it is a client from here on. */
void ws_server_admit(struct ws_lsocket *k);

/* k has ended, and is counted no more. */
void ws_server_uncount(struct ws_lsocket *k);

/* -- lua_listen.c -- */

/* wsock.listen(options) and server:address(), lua_listen.c. */
int ws_listen(lua_State *L);
int ws_server_address(lua_State *L);
/* checkOrigins(value), checkHosts(value): raise for what listen would, for
** files in Lua. */
int ws_check_origins(lua_State *L);
int ws_check_hosts(lua_State *L);
/* Replaces what the option hosts has, at the top, by a list of its own, of
** hosts; nil stays.  Raises for what is none. */
void ws_take_hosts(lua_State *L);

/* Pushes server.clients for the server at 1; lua_clients.c. */
void ws_push_clients(lua_State *L);
/* Puts a table with its sockets as keys in the place of a server.clients at
** idx; any other table stays. */
void ws_list_clients(lua_State *L, int idx);

/* server:broadcast(data [, kind [, options]]), lua_broadcast.c. */
int ws_server_broadcast(lua_State *L);

/* wsock.broadcast(sockets, data [, kind [, options]]), lua_broadcast.c. */
int ws_broadcast(lua_State *L);

/* -- lua_limits.c -- */

/* Gives the socket at idx, which is not open yet, limits of its own: those in
** the table at limits, else its server's.  Raises for what is no limit. */
void ws_set_limits(lua_State *L, struct ws_lsocket *k, int idx, int limits);

/* Adds checkOrigins, checkHosts, isFor, and checkLimits, the same check for
** routers, to the table at the top. */
void ws_open_limits(lua_State *L);

/* -- lua_upgrade.c -- */

/* Answers k's request with a plain text; nothing if it was answered. */
void ws_server_answer(struct ws_lsocket *k, int status, const char *text);

/* A handler of a server's k raised: who has no answer yet gets one, and a
** socket is closed (S66). */
void ws_server_failed(struct ws_lsocket *k);

/* Makes the table at t the request or response of the socket at idx. */
void ws_bind_request(lua_State *L, int t, int idx);

#endif
