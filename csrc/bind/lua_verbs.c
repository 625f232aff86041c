/* bind/lua_verbs.c -- see lua_verbs.h. */
#include "bind/lua_verbs.h"

#include "bind/lua_deflate.h"

/* -- sending -- */

int ws_kind_error(lua_State *L, int idx)
{
    if (lua_istable(L, idx))
        return luaL_error(L, "kind must be \"text\" or \"binary\", got a "
                             "table; options are the argument behind it");
    return luaL_error(L, "kind must be \"text\" or \"binary\", got %s",
                      luaL_tolstring(L, idx, NULL));
}

unsigned ws_read_flags(lua_State *L, int idx)
{
    static const char *const names[] = {"final", "compress", NULL};
    unsigned flags = 0;

    ws_check_table(L, idx, "options");
    ws_check_keys(L, idx, "option of send", names);
    if (!ws_get_boolean(L, idx, "final", 1))
        flags |= WS_SEND_PART;
    if (!ws_get_boolean(L, idx, "compress", 1))
        flags |= WS_SEND_PLAIN;
    return flags;
}

void ws_check_sending(lua_State *L, int idx, const struct ws_conn *c,
                      struct ws_sending *s)
{
    ws_check_connected(L, c); /* before looking at the data (W-30) */
    s->data = ws_check_data(L, idx);
    s->op = ws_check_kind(L, idx + 1);
    s->flags = ws_check_flags(L, idx + 2);
}

/* Why it is not open any more, where the peer has said so. */
static int push_closed(lua_State *L, const struct ws_conn *c)
{
    lua_pushnil(L);
    lua_pushfstring(L, "%s; the peer closed with %d", ws_err_text(WS_ERR_STATE),
                    c->close_code);
    lua_pushstring(L, ws_err_word(WS_ERR_STATE));
    return 3;
}

static int is_explained(const struct ws_conn *c)
{
    return c->close_code > WS_STATUS_NORMAL && c->close_code != WS_STATUS_NONE;
}

int ws_push_sent(lua_State *L, const struct ws_conn *c, int err)
{
    if (err == WS_ERR_UTF8 && c->sending_op != 0)
        return luaL_error(L, "data is not valid UTF-8, and goes on with a "
                             "message that is text");
    if (err == WS_ERR_UTF8)
        return luaL_error(L, "data is not valid UTF-8; send it as \"binary\"");
    if (err == WS_ERR_NOMEM)
        return luaL_error(L, "out of memory");
    if (err == WS_ERR_STATE && is_explained(c))
        return push_closed(L, c);
    if (err != WS_OK)
        return ws_push_error(L, err);
    lua_pushboolean(L, 1);
    return 1;
}

int ws_send_control(lua_State *L, int idx, struct ws_conn *c, enum ws_opcode op)
{
    struct ws_slice data = ws_slice_of(NULL, 0);
    int err;

    ws_check_connected(L, c);
    if (!lua_isnoneornil(L, idx))
        data = ws_check_data(L, idx);
    err = ws_conn_control(c, op, data);
    if (err == WS_ERR_ARGUMENT)
        return luaL_error(L, "%s: data is %d bytes, at most %d fit",
                          op == WS_OP_PING ? "ping" : "pong", (int)data.n,
                          (int)WS_CONTROL_MAX);
    return ws_push_sent(L, c, err);
}

/* -- frame mode -- */

/* By opcode. */
static const char *const kinds[] = {
    "continuation", "text", "binary", "", "", "", "", "",
    "close",        "ping", "pong",
};

lua_Integer ws_frame_pack(const struct ws_event *ev)
{
    return (lua_Integer)ev->code << 8 | ev->fin << 7 | ev->op;
}

int ws_push_frame(lua_State *L, lua_Integer packed)
{
    int op = (int)packed & 0xF, code = (int)(packed >> 8);

    lua_pushstring(L, kinds[op]);
    lua_pushboolean(L, (packed & 0x80) != 0);
    if (code == 0 || code == WS_STATUS_NONE)
        return 2;
    lua_pushinteger(L, code);
    return 3;
}

static enum ws_opcode check_opcode(lua_State *L, int idx)
{
    const char *s = luaL_checkstring(L, idx);
    int op;

    for (op = WS_OP_CONTINUATION; op <= WS_OP_PONG; op++) {
        if (*s != '\0' && strcmp(s, kinds[op]) == 0)
            return (enum ws_opcode)op;
    }
    luaL_error(L, "'%s' is no kind of frame", s);
    return WS_OP_CONTINUATION;
}

int ws_send_frame(lua_State *L, int idx, struct ws_conn *c)
{
    struct ws_slice data;
    enum ws_opcode op;
    int err;

    ws_check_connected(L, c);
    if (!c->conf->frames)
        return luaL_error(L, "sendFrame: the option frames is not set");
    data = ws_check_data(L, idx);
    op = check_opcode(L, idx + 1);
    err = ws_conn_send_frame(
        c, op, lua_isnoneornil(L, idx + 2) || lua_toboolean(L, idx + 2), data);
    if (err == WS_ERR_ARGUMENT)
        return luaL_error(L, "sendFrame: a control frame is final and has at "
                             "most 125 bytes");
    return ws_push_sent(L, c, err);
}

/* -- closing -- */

void ws_add_status(lua_State *L, int err)
{
    if (!lua_istable(L, -1))
        return;
    lua_getfield(L, -1, "status");
    lua_remove(L, -2);
    if (err == WS_ERR_STATUS && lua_isinteger(L, -1)) {
        lua_pushfstring(L, "%s: %d", lua_tostring(L, -3),
                        (int)lua_tointeger(L, -1));
        lua_replace(L, -4);
    }
}

int ws_check_code(lua_State *L, int idx)
{
    lua_Number n;

    if (lua_isnoneornil(L, idx))
        return 0;
    if (lua_type(L, idx) != LUA_TNUMBER)
        luaL_error(L, "InvalidAccessError: close code must be a number, got %s",
                   luaL_typename(L, idx));
    n = lua_tonumber(L, idx);
    if (!(n >= 1 && n <= 65535) || n != (lua_Number)(int)n)
        return -1;
    return (int)n;
}

int ws_close_with(lua_State *L, int idx, struct ws_conn *c)
{
    struct ws_slice reason = ws_slice_of(NULL, 0);
    int code = ws_check_code(L, idx), err;

    if (!lua_isnoneornil(L, idx + 1))
        reason = ws_check_slice(L, idx + 1, "reason");
    err = code < 0 ? WS_ERR_CODE : ws_conn_close(c, code, reason);
    if (err == WS_ERR_CODE)
        return luaL_error(L, "InvalidAccessError: close code %s is not %s",
                          luaL_tolstring(L, idx, NULL),
                          c->conf->role == WS_SERVER ? "one that may be sent"
                                                     : "1000 or 3000 to 4999");
    if (err == WS_ERR_REASON)
        return luaL_error(L, "SyntaxError: the close reason is longer than "
                             "123 bytes");
    if (err != WS_OK)
        return luaL_error(L, "SyntaxError: the close reason is not valid "
                             "UTF-8");
    lua_pushboolean(L, 1);
    return 1;
}

/* -- stats -- */

static void set_count(lua_State *L, const char *name, uint64_t v)
{
    lua_pushinteger(L, (lua_Integer)v);
    lua_setfield(L, -2, name);
}

void ws_push_stats(lua_State *L, const struct ws_conn *c)
{
    lua_createtable(L, 0, 12);
    set_count(L, "bytesIn", c->in.bytes);
    set_count(L, "bytesOut", c->out.bytes);
    set_count(L, "framesIn", c->in.frames);
    set_count(L, "framesOut", c->out.frames);
    set_count(L, "messagesIn", c->in.messages);
    set_count(L, "messagesOut", c->out.messages);
    ws_set_pmd_stats(L, c);
}
