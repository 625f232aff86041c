/* bind/lua_broadcast.c -- one message to all clients of a server.
**
** The frame is encoded once into a block that all receivers' queues refer to.
** Blocks are large, so that the broadcasts of one turn lie side by side in one
** block and leave as one piece; nothing is sent before the turn ends.
*/
#include "bind/lua_server.h"

enum { BLOCK_SIZE = 65536 };

struct message {
    struct ws_block *block;
    size_t off, n, payload;
};

/* A block with room for n bytes: the one in use, used afresh when nobody
** refers to it any more, or a new one. */
static struct ws_block *block_for(struct ws_lserver *sv, size_t n)
{
    struct ws_block *b = sv->block;

    if (b != NULL && b->refs == 1)
        b->len = 0;
    if (b != NULL && b->cap - b->len >= n)
        return b;
    ws_block_drop(b);
    sv->block = ws_block_new(&sv->loop->mem, n > BLOCK_SIZE ? n : BLOCK_SIZE);
    return sv->block;
}

static int encode(struct ws_lserver *sv, struct message *m, int op,
                  struct ws_slice data)
{
    size_t head = ws_frame_head_size(data.n, 0);
    struct ws_frame f;
    struct ws_block *b;

    b = data.n > SIZE_MAX - head ? NULL : block_for(sv, head + data.n);
    if (b == NULL)
        return WS_ERR_NOMEM;
    memset(&f, 0, sizeof f);
    f.op = (uint8_t)op;
    f.fin = 1;
    f.len = data.n;
    m->block = b;
    m->off = b->len;
    m->n = head + data.n;
    m->payload = data.n;
    ws_frame_write(b->data + b->len, &f);
    if (data.n > 0)
        memcpy(b->data + b->len + head, data.p, data.n);
    b->len += m->n;
    return WS_OK;
}

/* 1: it is queued for k. */
static int give(struct ws_lserver *sv, struct ws_lsocket *k,
                const struct message *m)
{
    int err = ws_conn_share(&k->s.conn, m->block, m->off, m->n, m->payload);

    if (err == WS_OK) {
        ws_session_count(&k->s, m->payload, 1);
        ws_session_touch(&k->s);
        return 1;
    }
    if (err == WS_ERR_BUFFER && sv->slow_close) {
        ws_conn_end(&k->s.conn, WS_STATUS_TRY_AGAIN_LATER, "too slow");
        ws_session_touch(&k->s);
    }
    return 0;
}

static int give_all(struct ws_lserver *sv, const struct message *m,
                    const struct ws_lsocket *except)
{
    struct ws_link *l;
    int n = 0;

    for (l = sv->clients.next; l != &sv->clients; l = l->next) {
        struct ws_lsocket *k = ws_container(l, struct ws_lsocket, peers);
        if (k != except)
            n += give(sv, k, m);
    }
    return n;
}

/* The filter at index `filter` may do anything, so the sockets are listed in
** a table at the top before it is asked. */
static int give_filtered(lua_State *L, struct ws_lserver *sv,
                         const struct message *m, int filter)
{
    int list = lua_gettop(L), i, count = (int)lua_rawlen(L, list), n = 0;

    for (i = 1; i <= count; i++) {
        struct ws_lsocket *k;
        lua_rawgeti(L, list, i);
        k = lua_touserdata(L, -1);
        lua_pushvalue(L, filter);
        lua_pushvalue(L, -2);
        lua_call(L, 1, 1);
        if (lua_toboolean(L, -1))
            n += give(sv, k, m);
        lua_settop(L, list);
    }
    return n;
}

static void push_list(lua_State *L, struct ws_lserver *sv,
                      const struct ws_lsocket *except)
{
    struct ws_link *l;
    int n = 0, live, top = lua_gettop(L);

    lua_getiuservalue(L, 1, WS_UV_OWNER);
    lua_getiuservalue(L, -1, WS_UV_LIVE);
    live = lua_gettop(L);
    lua_createtable(L, (int)sv->nclients, 0);
    for (l = sv->clients.next; l != &sv->clients; l = l->next) {
        struct ws_lsocket *k = ws_container(l, struct ws_lsocket, peers);
        if (k == except || lua_rawgetp(L, live, k) == LUA_TNIL)
            continue;
        lua_rawseti(L, live + 1, ++n);
    }
    lua_settop(L, live + 1);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

static int check_kind(lua_State *L, int idx)
{
    static const char *const kinds[] = {"text", "binary", NULL};
    return luaL_checkoption(L, idx, "text", kinds) == 0 ? WS_OP_TEXT
                                                        : WS_OP_BINARY;
}

/* server:broadcast(data [, kind [, options]]) -> sockets reached */
int ws_server_broadcast(lua_State *L)
{
    static const char *const names[] = {"except", "filter", NULL};
    struct ws_lserver *sv = ws_check_server(L, 1);
    struct ws_slice data = ws_check_data(L, 2);
    int op = check_kind(L, 3), options, n;
    struct ws_lsocket *except = NULL;
    struct message m;

    lua_settop(L, 4);
    options = lua_isnil(L, 4) ? 0 : 4;
    if (options != 0) {
        luaL_checktype(L, 4, LUA_TTABLE);
        ws_check_keys(L, 4, "option of broadcast", names);
    }
    if (ws_get_field(L, options, "except", LUA_TUSERDATA)) /* 5 */
        except = ws_check_socket(L, 5);
    if (ws_get_field(L, options, "filter", LUA_TNONE)) /* 6 */
        ws_check_callable(L, 6, "option 'filter'");
    if (op == WS_OP_TEXT && !ws_utf8_valid(data))
        return luaL_error(L, "data is not valid UTF-8; send it as \"binary\"");
    if (!sv->open || sv->nclients == 0) {
        lua_pushinteger(L, 0);
        return 1;
    }
    if (!lua_isnil(L, 6))
        push_list(L, sv, except);
    if (encode(sv, &m, op, data) != WS_OK)
        return luaL_error(L, "out of memory");
    m.block->refs++; /* a filter may broadcast, and so change the block */
    n = lua_isnil(L, 6) ? give_all(sv, &m, except)
                        : give_filtered(L, sv, &m, 6);
    ws_block_drop(m.block);
    lua_pushinteger(L, n);
    return 1;
}
