/* bind/lua_broadcast.c -- one message to many sockets: all clients of a
** server, or those of a table.
**
** The frame is encoded once into a block that all receivers' queues refer to,
** and compressed once for all who agreed on the same: on its own, so that the
** window a receiver would have taken over ends there (pmd.h).
** Blocks are large, so that the broadcasts of one turn lie side by side in one
** block and leave as one piece; nothing is sent before the turn ends.
*/
#include "bind/lua_server.h"
#include "bind/lua_socket.h"
#include "bind/lua_verbs.h"

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

/* Blocks are of one loop's memory, which may not outlive it: the forms are
** for sockets of sv's loop, and made anew for those of another. */
struct message {
    struct ws_lserver *sv; /* whose blocks are used; NULL: none yet */
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

static void drop_forms(struct message *m)
{
    int i;

    for (i = 0; i < m->nforms; i++)
        ws_block_drop(m->forms[i].block);
    m->nforms = 0;
}

/* To a server's socket: the frame by reference. */
static int share(struct ws_lsocket *k, struct message *m)
{
    static const struct ws_deflate_conf plain = {0, 0, 0};
    struct ws_conn *conn = &k->s.conn;
    const struct form *form;

    if (m->sv == NULL || m->sv->loop != k->loop) {
        drop_forms(m);
        m->sv = k->server;
    }
    form =
        form_of(m, m->compress ? ws_conn_share_conf(conn, m->data.n) : plain);
    if (form == NULL) {
        m->failed = 1;
        return WS_ERR_NOMEM;
    }
    return ws_conn_share(conn, form->block, form->frame, m->data.n);
}

/* To a client's socket: a frame of its own, with its own mask. */
static int send_own(struct ws_lsocket *k, const struct message *m)
{
    if (k->s.conn.sending_op != 0)
        return WS_ERR_STATE; /* inside a message of its own */
    return ws_conn_send(&k->s.conn, (enum ws_opcode)m->op, m->data,
                        m->compress ? 0 : WS_SEND_PLAIN);
}

static void give(struct ws_lsocket *k, struct message *m)
{
    int err;

    if (k->s.conn.state != WS_OPEN)
        return; /* it is leaving: nobody is left out */
    ws_socket_clock(k);
    err = k->server != NULL ? share(k, m) : send_own(k, m);
    if (err == WS_OK) {
        ws_session_count(&k->s, m->data.n, 1);
        ws_session_touch(&k->s);
        m->reached++;
        return;
    }
    m->skipped++;
    if (err == WS_ERR_BUFFER && k->server != NULL && k->server->slow_close) {
        ws_conn_end(&k->s.conn, WS_STATUS_TRY_AGAIN_LATER, "too slow");
        ws_session_touch(&k->s);
    }
}

static void give_all(struct ws_lserver *sv, struct message *m,
                     const struct ws_lsocket *except)
{
    struct ws_link *l;

    for (l = ws_link_first(&sv->clients); l != NULL;
         l = ws_link_next(&sv->clients, l)) {
        struct ws_lsocket *k = ws_container(l, struct ws_lsocket, peers);
        if (k != except)
            give(k, m);
    }
}

/* To those in the list at the top. */
static void give_listed(lua_State *L, struct message *m)
{
    lua_Integer i, n = (lua_Integer)lua_rawlen(L, -1);

    for (i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        give(lua_touserdata(L, -1), m);
        lua_pop(L, 1);
    }
}

/* Where the socket of an entry of a table of sockets is, key and value at the
** top: a set has them as keys, a list as values. */
static int entry(lua_State *L)
{
    return lua_type(L, -2) == LUA_TUSERDATA ? -2 : -1;
}

/* Raises unless the table at 1 has only sockets in it. */
static void check_table(lua_State *L)
{
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        if (luaL_testudata(L, entry(L), WS_SOCKET_NAME) == NULL)
            luaL_error(L,
                       "sockets must be a set or a list of sockets, got a %s "
                       "in it",
                       luaL_typename(L, entry(L)));
        lua_pop(L, 1);
    }
}

/* To those in the table at 1, which was checked. */
static void give_table(lua_State *L, struct message *m,
                       const struct ws_lsocket *except)
{
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        struct ws_lsocket *k = lua_touserdata(L, entry(L));
        if (k != except)
            give(k, m);
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
        if (k == except || k->slot == 0)
            continue;
        lua_rawgeti(L, live, k->slot);
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

/* Stack: whom, data, kind, options; then except and filter. */
enum { WHOM = 1, DATA, KIND, OPTIONS, EXCEPT, FILTER };

/* Reads data, kind and options; pushes except and filter.  The socket that
** gets none, or NULL. */
static const struct ws_lsocket *read_message(lua_State *L, struct message *m,
                                             const char *const *names)
{
    const struct ws_lsocket *except = NULL;
    int options;

    memset(m, 0, sizeof *m);
    m->data = ws_check_data(L, DATA);
    m->op = ws_check_kind(L, KIND);
    lua_settop(L, OPTIONS);
    options = lua_isnil(L, OPTIONS) ? 0 : OPTIONS;
    if (options != 0) {
        ws_check_table(L, OPTIONS, "options");
        ws_check_keys(L, OPTIONS, "option of broadcast", names);
    }
    m->compress = ws_get_boolean(L, options, "compress", 1);
    if (ws_get_field(L, options, "except", LUA_TNONE)) {
        except = luaL_testudata(L, EXCEPT, WS_SOCKET_NAME);
        if (except == NULL)
            luaL_error(L, "option 'except' must be a socket, got %s",
                       luaL_typename(L, EXCEPT));
    }
    if (ws_get_field(L, options, "filter", LUA_TNONE))
        ws_check_callable(L, FILTER, "option 'filter'");
    return except;
}

static void check_text(lua_State *L, const struct message *m)
{
    if (m->op == WS_OP_TEXT && !ws_utf8_valid(m->data))
        luaL_error(L, "data is not valid UTF-8; send it as \"binary\"");
}

/* Pushes how many sockets were reached, and how many had no room. */
static int push_counts(lua_State *L, struct message *m)
{
    drop_forms(m);
    if (m->failed)
        return luaL_error(L, "out of memory");
    lua_pushinteger(L, m->reached);
    lua_pushinteger(L, m->skipped);
    return 2;
}

/* server:broadcast(data [, kind [, options]]) -> sockets reached, and sockets
** skipped because too much waits for them already */
int ws_server_broadcast(lua_State *L)
{
    static const char *const names[] = {"except", "filter", "compress", NULL};
    struct ws_lserver *sv = ws_check_server(L, WHOM);
    struct message m;
    const struct ws_lsocket *except = read_message(L, &m, names);
    int filtered = !lua_isnil(L, FILTER);

    if (filtered)
        push_filtered(L, sv, except, FILTER); /* may change an ArrayBuffer */
    check_text(L, &m);
    if (sv->open && filtered)
        give_listed(L, &m);
    else if (sv->open)
        give_all(sv, &m, except);
    return push_counts(L, &m);
}

/* wsock.broadcast(sockets, data [, kind [, options]]) -> as above */
int ws_broadcast(lua_State *L)
{
    static const char *const names[] = {"except", "compress", NULL};
    const struct ws_lsocket *except;
    struct message m;

    if (!lua_istable(L, WHOM))
        luaL_error(L, "sockets must be a set or a list of sockets, got %s",
                   luaL_typename(L, WHOM));
    ws_list_clients(L, WHOM);
    except = read_message(L, &m, names);
    check_table(L); /* nothing is sent before all of it was looked at */
    check_text(L, &m);
    give_table(L, &m, except);
    return push_counts(L, &m);
}
