/* bind/lua_arrivals.c -- who comes to a server, and is counted while there.
**
** A connection is among the opening ones until its request is whole, then among
** those that wait for an answer, until its 101; then it is a client.  With any
** other answer it is among the opening ones again, until its peer has ended.
** Of all these there are opening_max.  When there are, and one more comes, the
** opening one that has been that for longest gives way, so that neither who is
** silent nor who stays behind its answer locks anybody out; but not before it
** has had GRACE_MS, and another look.
*/
#include "bind/lua_server.h"

/* For a request, TLS before it included, or for the end behind an answer: a few
** times there and back, on any wire but the slowest, and only where others
** wait. */
enum { GRACE_MS = 1000 };

/* -- how many -- */

/* Goes to the end of those that are opening. */
static void queue_up(struct ws_lserver *sv, struct ws_lsocket *k)
{
    ws_link_remove(&k->peers);
    ws_link_append(&sv->opening, &k->peers);
    k->place = WS_AMONG_OPENING;
    k->came_ms = sv->loop->loop.now_ms;
}

/* Whether it has its answer, but not all of that is out. */
static int is_answering(const struct ws_lsocket *k)
{
    return k->s.conn.shut && !k->s.was_shut;
}

/* Who gives way first; an answer on its way has its time again. */
static struct ws_lsocket *oldest(struct ws_lserver *sv)
{
    struct ws_lsocket *k;
    struct ws_link *l;

    for (;;) {
        l = ws_link_first(&sv->opening);
        if (l == NULL)
            return NULL;
        k = ws_container(l, struct ws_lsocket, peers);
        if (!is_answering(k) || k->came_ms + GRACE_MS > sv->loop->loop.now_ms)
            return k;
        queue_up(sv, k);
    }
}

/* Accepts while there is room, or would be. */
static void limit_opening(struct ws_lserver *sv)
{
    const struct ws_lsocket *k = oldest(sv);

    if (sv->nopening < sv->opening_max ||
        (k != NULL && k->came_ms + GRACE_MS <= sv->loop->loop.now_ms))
        ws_serve_pause(&sv->serve, 0);
    else if (k == NULL)
        ws_serve_pause(&sv->serve, 1);
    else
        ws_serve_pause_until(&sv->serve, k->came_ms + GRACE_MS);
}

/* Whether one more may be accepted.  If the oldest had to give way for it, that
** is read once more before the next turn: when the process stood still, its
** request may be there. */
static int may_come(struct ws_lserver *sv)
{
    int64_t now = sv->loop->loop.now_ms;
    struct ws_lsocket *k = oldest(sv);

    if (sv->nopening < sv->opening_max)
        return 1;
    if (k == NULL || k->came_ms + GRACE_MS > now)
        return 0;
    if (sv->looked == k->slot && now - sv->looked_ms < GRACE_MS)
        return 1;
    sv->looked = k->slot;
    sv->looked_ms = now;
    k->s.readable = 1;
    ws_session_touch(&k->s);
    return 0;
}

/* One more has come than may be there. */
static void give_way(struct ws_lsocket *k)
{
    ws_link_remove(&k->peers);
    k->server->nopening--;
    k->place = WS_AMONG_NONE; /* it ends in this turn */
    ws_conn_lost(&k->s.conn, WS_ERR_DISPLACED);
    ws_session_touch(&k->s);
}

void ws_server_asked(struct ws_lsocket *k)
{
    struct ws_lserver *sv = k->server;

    if (k->place != WS_AMONG_OPENING)
        return;
    ws_link_remove(&k->peers);
    ws_link_append(&sv->asked, &k->peers);
    k->place = WS_AMONG_ASKED;
    limit_opening(sv);
}

void ws_server_answered(struct ws_lsocket *k)
{
    if (k->place != WS_AMONG_ASKED)
        return;
    queue_up(k->server, k);
    limit_opening(k->server);
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

    ws_link_remove(&k->peers);
    sv->nopening--;
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
    if (k->place == WS_AMONG_OPENING || k->place == WS_AMONG_ASKED)
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

/* Counts it.  One too many of its address, who is told of as refused, takes
** nobody's place: it ends in this turn. */
static void count(struct ws_lserver *sv, struct ws_lsocket *k,
                  const struct ws_addr *peer)
{
    struct ws_lsocket *first = oldest(sv);
    int err = ws_tally_arrive(&sv->serve.tally, peer, &k->tallied);

    if (err != WS_OK) {
        ws_conn_lost(&k->s.conn, err);
        return;
    }
    queue_up(sv, k);
    sv->nopening++;
    if (first != NULL && sv->nopening > sv->opening_max)
        give_way(first);
    limit_opening(sv);
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
    count(sv, k, peer);
    ws_session_touch(&k->s);
}

void ws_serve_ready(lua_State *L, struct ws_lserver *sv)
{
    struct ws_addr peer;
    int fd, idx;

    lua_rawgetp(L, WS_IX_LIVE, sv);
    idx = lua_gettop(L);
    limit_opening(sv); /* it may be time */
    while (may_come(sv) && ws_serve_accept(&sv->serve, &fd, &peer) == WS_OK) {
        welcome(L, sv, idx, fd, &peer);
        lua_settop(L, idx);
    }
}
