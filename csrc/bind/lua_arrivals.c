/* bind/lua_arrivals.c -- who comes to a server, and is counted while there.
**
** A connection is among the opening ones until its 101, then a client.
*/
#include "bind/lua_server.h"

/* -- how many -- */

static void limit_opening(struct ws_lserver *sv)
{
    ws_serve_pause(&sv->serve, sv->nopening >= sv->opening_max);
}

int ws_server_enter(struct ws_lsocket *k)
{
    struct ws_addr peer;

    ws_addr_load(&peer, k->peer, k->peer_len);
    return ws_tally_enter(&k->server->serve.tally, &peer, &k->tallied);
}

void ws_server_admit(struct ws_lsocket *k)
{
    struct ws_lserver *sv = k->server;

    if (k->place == WS_AMONG_OPENING) {
        ws_link_remove(&k->peers);
        sv->nopening--;
    }
    ws_link_append(&sv->clients, &k->peers);
    sv->nclients++;
    k->place = WS_AMONG_CLIENTS;
    k->exposed = 1;
    limit_opening(sv);
}

void ws_server_uncount(struct ws_lsocket *k)
{
    struct ws_lserver *sv = k->server;
    struct ws_addr peer;

    ws_link_remove(&k->peers);
    if (k->place == WS_AMONG_OPENING)
        sv->nopening--;
    if (k->place == WS_AMONG_CLIENTS)
        sv->nclients--;
    k->place = WS_AMONG_NONE;
    ws_addr_load(&peer, k->peer, k->peer_len);
    ws_tally_leave(&sv->serve.tally, &peer, &k->tallied);
    limit_opening(sv);
}

/* -- coming -- */

/* (loop, server) -> socket, in the loop's keeping */
static int make_socket(lua_State *L)
{
    struct ws_lsocket *k =
        ws_new_socket(L, lua_touserdata(L, 1), 2, sizeof(struct ws_lsocket));

    lua_getiuservalue(L, 2, WS_UV_OWNER);
    ws_anchor_socket(L, -1, k, -2);
    lua_pop(L, 1);
    return 1;
}

/* Pushes a new socket; without memory for it the descriptor is closed. */
static struct ws_lsocket *push_socket(lua_State *L, struct ws_lserver *sv,
                                      int idx, int fd)
{
    struct ws_sock sock;

    lua_pushcfunction(L, make_socket);
    lua_pushlightuserdata(L, sv->loop);
    lua_pushvalue(L, idx);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK) {
        ws_sock_init(&sock);
        ws_sock_adopt(&sock, fd);
        ws_stream_close(&sock.stream);
        lua_error(L);
    }
    return lua_touserdata(L, -1);
}

/* Counted per address; one too many is told of as refused. */
static void tally(struct ws_lsocket *k, const struct ws_addr *peer)
{
    int err = ws_tally_arrive(&k->server->serve.tally, peer, &k->tallied);

    if (err != WS_OK)
        ws_conn_lost(&k->s.conn, err);
}

/* A socket for an accepted descriptor; server userdata at idx. */
static void welcome(lua_State *L, struct ws_lserver *sv, int idx, int fd,
                    const struct ws_addr *peer)
{
    struct ws_lsocket *k = push_socket(L, sv, idx, fd);

    k->server = sv;
    k->queue_max = sv->queue_max;
    k->peer_len = (uint8_t)ws_addr_save(peer, k->peer);
    ws_session_init(&k->s, &sv->loop->peers, &sv->conf);
    if (ws_session_adopt(&k->s, fd) != WS_OK) {
        ws_sock_adopt(&k->s.sock, fd);
        ws_conn_terminate(&k->s.conn);
    }
    if (sv->tls != NULL && ws_session_secure(&k->s, sv->tls, NULL) != WS_OK)
        ws_conn_terminate(&k->s.conn);
    tally(k, peer);
    ws_link_append(&sv->opening, &k->peers);
    sv->nopening++;
    k->place = WS_AMONG_OPENING;
    ws_session_touch(&k->s);
}

void ws_serve_ready(lua_State *L, struct ws_lserver *sv)
{
    struct ws_addr peer;
    int fd, idx;

    lua_rawgetp(L, WS_IX_LIVE, sv);
    idx = lua_gettop(L);
    while (ws_serve_accept(&sv->serve, &fd, &peer) == WS_OK) {
        welcome(L, sv, idx, fd, &peer);
        lua_settop(L, idx);
        limit_opening(sv);
    }
}
