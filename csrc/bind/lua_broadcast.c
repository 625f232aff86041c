/* bind/lua_broadcast.c -- one message to all clients of a server.
**
** The frame is encoded once into a block that all receivers' queues refer to,
** and compressed once for all who agreed on the same: on its own, so that the
** window a receiver would have taken over ends there (pmd.h).
** Blocks are large, so that the broadcasts of one turn lie side by side in one
** block and leave as one piece; nothing is sent before the turn ends.
*/
#include "bind/lua_server.h"

enum { BLOCK_SIZE = 65536 };

/* Ways of compressing one message at most; whoever needs another gets it as it
** is.  Clients choose their window, so there may be eight of those alone. */
enum { FORMS_MAX = 9 };

/* The message as one frame; window 0: not compressed. */
struct form {
    struct ws_deflate_conf conf;
    struct ws_block *block;
    struct ws_slice frame; /* in the block */
};

struct message {
    struct ws_lserver *sv;
    struct ws_slice data;
    int op, compress, failed;
    int nforms;
    struct form forms[FORMS_MAX];
    lua_Integer reached, skipped;
};

/* A block with room for n bytes: the one in use, used afresh when nobody
** refers to it any more, or a new one.  A reference of the caller's. */
static struct ws_block *block_for(struct ws_lserver *sv, size_t n)
{
    struct ws_block *b = sv->block;

    if (n > BLOCK_SIZE) /* one of its own, gone when all have sent it */
        return ws_block_new(&sv->loop->mem, n);
    if (b != NULL && b->refs == 1)
        b->len = 0;
    if (b == NULL || b->cap - b->len < n) {
        ws_block_drop(b);
        b = ws_block_new(&sv->loop->mem, BLOCK_SIZE);
        sv->block = b;
    }
    if (b != NULL)
        b->refs++;
    return b;
}

/* Puts a frame with that payload into a block. */
static int encode(const struct message *m, struct form *form,
                  struct ws_slice payload)
{
    size_t head = ws_frame_head_size(payload.n, 0);
    struct ws_frame f;
    struct ws_block *b;

    b = payload.n > SIZE_MAX - head ? NULL : block_for(m->sv, head + payload.n);
    if (b == NULL)
        return WS_ERR_NOMEM;
    memset(&f, 0, sizeof f);
    f.op = (uint8_t)m->op;
    f.fin = 1;
    f.rsv1 = form->conf.window != 0;
    f.len = payload.n;
    form->block = b;
    form->frame = ws_slice_of(b->data + b->len, head + payload.n);
    ws_frame_write(b->data + b->len, &f);
    if (payload.n > 0)
        memcpy(b->data + b->len + head, payload.p, payload.n);
    b->len += form->frame.n;
    return WS_OK;
}

/* The message in that form, made when it is first asked for; NULL without
** memory.  What would not get smaller is not compressed. */
static const struct form *form_of(struct message *m, struct ws_deflate_conf c)
{
    struct ws_slice payload = m->data;
    struct form *form;
    int i;

    for (i = 0; i < m->nforms; i++) {
        if (memcmp(&m->forms[i].conf, &c, sizeof c) == 0)
            return &m->forms[i];
    }
    if (m->nforms == FORMS_MAX - 1) /* the last one is for the plain form */
        memset(&c, 0, sizeof c);
    if (m->nforms == FORMS_MAX)
        return &m->forms[FORMS_MAX - 1];
    form = &m->forms[m->nforms];
    form->conf = c;
    if (c.window != 0 && ws_pmd_pool_pack(&m->sv->loop->peers.codecs, c,
                                          m->data, &payload) != WS_OK)
        return NULL;
    if (payload.n >= m->data.n) {
        payload = m->data;
        form->conf.window = 0;
    }
    if (encode(m, form, payload) != WS_OK)
        return NULL;
    form->conf = c;
    m->nforms++;
    return form;
}

static void give(struct ws_lserver *sv, struct ws_lsocket *k, struct message *m)
{
    static const struct ws_deflate_conf plain = {0, 0, 0};
    struct ws_conn *conn = &k->s.conn;
    const struct form *form =
        form_of(m, m->compress ? ws_conn_share_conf(conn, m->data.n) : plain);
    int err;

    if (form == NULL) {
        m->failed = 1;
        return;
    }
    err = ws_conn_share(conn, form->block, form->frame, m->data.n);
    if (err == WS_OK) {
        ws_session_count(&k->s, m->data.n, 1);
        ws_session_touch(&k->s);
        m->reached++;
        return;
    }
    if (conn->state != WS_OPEN)
        return; /* it is leaving: nobody was left out */
    m->skipped++;
    if (err == WS_ERR_BUFFER && sv->slow_close) {
        ws_conn_end(conn, WS_STATUS_TRY_AGAIN_LATER, "too slow");
        ws_session_touch(&k->s);
    }
}

static void drop_forms(struct message *m)
{
    int i;

    for (i = 0; i < m->nforms; i++)
        ws_block_drop(m->forms[i].block);
}

static void give_all(struct ws_lserver *sv, struct message *m,
                     const struct ws_lsocket *except)
{
    struct ws_link *l;

    for (l = ws_link_first(&sv->clients); l != NULL;
         l = ws_link_next(&sv->clients, l)) {
        struct ws_lsocket *k = ws_container(l, struct ws_lsocket, peers);
        if (k != except)
            give(sv, k, m);
    }
}

/* To those in the list at the top. */
static void give_listed(lua_State *L, struct ws_lserver *sv, struct message *m)
{
    lua_Integer i, n = (lua_Integer)lua_rawlen(L, -1);

    for (i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        give(sv, lua_touserdata(L, -1), m);
        lua_pop(L, 1);
    }
}

/* Pushes a list of the clients but one. */
static void push_list(lua_State *L, struct ws_lserver *sv,
                      const struct ws_lsocket *except)
{
    struct ws_link *l;
    int n = 0, live, top = lua_gettop(L);

    lua_getiuservalue(L, 1, WS_UV_OWNER);
    lua_getiuservalue(L, -1, WS_UV_LIVE);
    live = lua_gettop(L);
    lua_createtable(L, (int)sv->nclients, 0);
    for (l = ws_link_first(&sv->clients); l != NULL;
         l = ws_link_next(&sv->clients, l)) {
        struct ws_lsocket *k = ws_container(l, struct ws_lsocket, peers);
        if (k == except || lua_rawgetp(L, live, k) == LUA_TNIL)
            lua_settop(L, live + 1);
        else
            lua_rawseti(L, live + 1, ++n);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

/* Pushes a list of those the filter wants.  It may do anything, so all are
** listed before it is asked, and all are asked before anything is sent. */
static void push_filtered(lua_State *L, struct ws_lserver *sv,
                          const struct ws_lsocket *except, int filter)
{
    int top = lua_gettop(L), list = top + 1, wanted = top + 2;
    lua_Integer i, n, kept = 0;

    push_list(L, sv, except);
    n = (lua_Integer)lua_rawlen(L, list);
    lua_newtable(L);
    for (i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        lua_pushvalue(L, filter);
        lua_pushvalue(L, -2);
        lua_call(L, 1, 1);
        if (lua_toboolean(L, -1)) {
            lua_pop(L, 1);
            lua_rawseti(L, wanted, ++kept);
        }
        lua_settop(L, wanted);
    }
    lua_remove(L, list);
}

/* The kind at idx, behind the data. */
static int check_kind(lua_State *L, int idx)
{
    static const char *const kinds[] = {"text", "binary", NULL};

    if (lua_isnoneornil(L, idx) && ws_data_is_binary(L, idx - 1))
        return WS_OP_BINARY;
    return luaL_checkoption(L, idx, "text", kinds) == 0 ? WS_OP_TEXT
                                                        : WS_OP_BINARY;
}

/* server:broadcast(data [, kind [, options]]) -> sockets reached, and sockets
** skipped because too much waits for them already */
int ws_server_broadcast(lua_State *L)
{
    static const char *const names[] = {"except", "filter", "compress", NULL};
    struct ws_lserver *sv = ws_check_server(L, 1);
    struct ws_slice data = ws_check_data(L, 2);
    struct ws_lsocket *except = NULL;
    int options, filtered;
    struct message m;

    memset(&m, 0, sizeof m);
    m.sv = sv;
    m.data = data;
    m.op = check_kind(L, 3);
    lua_settop(L, 4);
    options = lua_isnil(L, 4) ? 0 : 4;
    if (options != 0) {
        luaL_checktype(L, 4, LUA_TTABLE);
        ws_check_keys(L, 4, "option of broadcast", names);
    }
    if (ws_get_field(L, options, "except", LUA_TUSERDATA)) /* 5 */
        except = ws_check_socket(L, 5);
    filtered = ws_get_field(L, options, "filter", LUA_TNONE); /* 6 */
    if (filtered)
        ws_check_callable(L, 6, "option 'filter'");
    if (filtered)
        push_filtered(L, sv, except, 6); /* 7; may change an ArrayBuffer */
    m.compress = ws_get_boolean(L, options, "compress", 1);
    if (m.op == WS_OP_TEXT && !ws_utf8_valid(data))
        return luaL_error(L, "data is not valid UTF-8; send it as \"binary\"");
    if (sv->open && filtered)
        give_listed(L, sv, &m);
    else if (sv->open)
        give_all(sv, &m, except);
    drop_forms(&m);
    if (m.failed)
        return luaL_error(L, "out of memory");
    lua_pushinteger(L, m.reached);
    lua_pushinteger(L, m.skipped);
    return 2;
}
