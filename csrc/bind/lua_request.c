/* bind/lua_request.c -- the heads of the handshake as Lua tables.
**
** A request or response table is made when somebody asks, and filled from the
** kept bytes of the head when somebody looks into it: a connection nobody
** asks about costs no table.
*/
#include "bind/lua_request.h"

#include "bind/lua_server.h"

#include "wire/auth.h"
#include "wire/target.h"

static const char socket_key = 0; /* request[&socket_key] = its socket */

/* -- headers -- */

static void lower_key(lua_State *L, struct ws_slice name)
{
    luaL_Buffer b;
    size_t i;

    luaL_buffinitsize(L, &b, name.n);
    for (i = 0; i < name.n; i++)
        luaL_addchar(&b, (char)ws_lower(name.p[i]));
    luaL_pushresult(&b);
}

/* headers[place] = {name, value}; headers[lower(name)] = value, joined to
** what is there; for Set-Cookie, which must not be joined (RFC 9110 5.3), the
** first one stays.  A peer's header "all" must not hide the method: it is
** found by headers:all("all") only. */
static void add_header(lua_State *L, const struct ws_field *f, int place)
{
    int t = lua_gettop(L);

    lua_createtable(L, 2, 0);
    ws_push_slice(L, f->name);
    lua_rawseti(L, -2, 1);
    ws_push_slice(L, f->value);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, t, place);
    if (ws_slice_same(f->name, ws_slice_str("all")))
        return;
    lower_key(L, f->name);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, t) == LUA_TNIL) {
        lua_pop(L, 1);
        ws_push_slice(L, f->value);
        lua_rawset(L, t);
    } else if (!ws_slice_same(f->name, ws_slice_str("set-cookie"))) {
        lua_pushliteral(L, ", ");
        ws_push_slice(L, f->value);
        lua_concat(L, 3);
        lua_rawset(L, t);
    }
    lua_settop(L, t);
}

/* Pushes the header lines of h as a headers table. */
static void push_headers(lua_State *L, const struct ws_head *h)
{
    unsigned i;

    lua_createtable(L, (int)h->nfields, (int)h->nfields);
    for (i = 0; i < h->nfields; i++)
        add_header(L, &h->fields[i], (int)i + 1);
    luaL_setmetatable(L, WS_HEADERS_NAME);
}

/* headers[name] in any letter case */
static int headers_index(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    lower_key(L, ws_slice_at(L, 2));
    lua_rawget(L, 1);
    return 1;
}

/* Pushes the value of line i of the headers table at idx: 1, if the line's name
** is `want`.  The table is the user's to change: what is no line is none. */
static int push_line(lua_State *L, int idx, int i, struct ws_slice want)
{
    int top = lua_gettop(L), is;

    if (lua_rawgeti(L, idx, i) != LUA_TTABLE) {
        lua_settop(L, top);
        return 0;
    }
    lua_rawgeti(L, top + 1, 1);
    lua_rawgeti(L, top + 1, 2);
    is = lua_type(L, top + 2) == LUA_TSTRING &&
         lua_type(L, top + 3) == LUA_TSTRING &&
         ws_slice_same(want, ws_slice_at(L, top + 2));
    lua_replace(L, top + 1);
    lua_settop(L, is ? top + 1 : top);
    return is;
}

/* headers:all(name) -> list of the values, one a line */
static int headers_all(lua_State *L)
{
    struct ws_slice want;
    int i, n, found = 0;

    if (!lua_istable(L, 1))
        return luaL_error(L, "not headers; methods are called with ':'");
    want = ws_check_slice(L, 2, "name");
    n = (int)lua_rawlen(L, 1);
    lua_settop(L, 2);
    lua_newtable(L);
    for (i = 1; i <= n; i++) {
        if (push_line(L, 1, i, want))
            lua_rawseti(L, 3, ++found);
    }
    return 1;
}

/* -- heads -- */

static void set_slice(lua_State *L, int t, const char *key, struct ws_slice s)
{
    ws_push_slice(L, s);
    lua_setfield(L, t, key);
}

void ws_bind_request(lua_State *L, int t, int idx)
{
    lua_pushvalue(L, idx);
    lua_rawsetp(L, t, &socket_key);
}

static void set_request(lua_State *L, int t, const struct ws_head *h)
{
    struct ws_target target;

    set_slice(L, t, "method", h->method);
    set_slice(L, t, "target", h->target);
    if (ws_target_split(&target, h->target) == WS_OK) {
        set_slice(L, t, "path", target.path);
        set_slice(L, t, "query", target.query);
    }
}

static void set_response(lua_State *L, int t, const struct ws_head *h,
                         struct ws_slice body)
{
    set_slice(L, t, "body", h->status == 101 ? ws_slice_of(NULL, 0) : body);
    lua_pushinteger(L, h->status);
    lua_setfield(L, t, "status");
    set_slice(L, t, "reason", h->reason);
}

/* Of a copy: a finalizer that runs meanwhile may close the loop, and the head
** goes with that. */
void ws_set_head(lua_State *L, int t, const struct ws_conn *c)
{
    struct ws_field fields[WS_HEAD_LINES_MAX];
    struct ws_head h;
    size_t n = c->head.n;
    uint8_t *copy = lua_newuserdata(L, n + 1);

    h.fields = fields;
    h.fields_max = WS_HEAD_LINES_MAX;
    if (n > 0 && n == c->head.n)
        memcpy(copy, c->head.p, n);
    if (n == 0 || n != c->head.n ||
        ws_head_cut(&h, ws_span_of(copy, n), c->conf->role == WS_CLIENT) !=
            WS_OK) {
        lua_pop(L, 1);
        return;
    }
    if (h.is_response)
        set_response(L, t, &h, ws_conn_body(c));
    else
        set_request(L, t, &h);
    push_headers(L, &h);
    lua_setfield(L, t, "headers");
    lua_pop(L, 1);
}

struct ws_lsocket *ws_request_socket(lua_State *L, int idx)
{
    lua_rawgetp(L, idx, &socket_key);
    return luaL_testudata(L, -1, WS_SOCKET_NAME);
}

void ws_read_answer(lua_State *L, int idx, int def, struct ws_answer *a)
{
    lua_Integer status = def;
    int exact = 1;

    memset(a, 0, sizeof *a);
    if (!lua_isnoneornil(L, idx))
        status = lua_tointegerx(L, idx, &exact);
    if (!exact || status < 200 || status > 599)
        luaL_error(L, "status must be an integer from 200 to 599, got %s",
                   luaL_tolstring(L, idx, NULL));
    a->status = (int)status;
    if (!lua_isnoneornil(L, idx + 2))
        a->body = ws_check_bytes(L, idx + 2, "body");
    a->fields = ws_read_fields(L, idx + 1, &a->nfields, ws_welcome_reserved);
}

/* The first look at a field that is not there fills all of them in; others are
** the socket's. */
static int request_index(lua_State *L)
{
    static const char *const of_head[] = {"method", "target",  "path",
                                          "query",  "headers", NULL};
    static const char *const of_socket[] = {"remoteAddress", "remotePort",
                                            "tls", NULL};
    struct ws_lsocket *k;
    const char *key;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    k = ws_request_socket(L, 1);
    if (k != NULL && ws_is_one_of(key, of_socket)) {
        lua_getfield(L, -1, key);
        return 1;
    }
    if (k == NULL || !ws_is_one_of(key, of_head))
        return 0;
    ws_set_head(L, 1, &k->s.conn);
    lua_pushvalue(L, 2);
    lua_rawget(L, 1);
    return 1;
}

/* The value of Authorization when the headers table at idx has one and no
** more; pushed. */
static struct ws_slice authorization(lua_State *L, int idx)
{
    struct ws_slice name = ws_slice_str("Authorization");
    int i, n = (int)lua_rawlen(L, idx), found = 0, top = lua_gettop(L);

    lua_pushnil(L);
    for (i = 1; i <= n && found < 2; i++) {
        if (push_line(L, idx, i, name)) { /* one is kept, however many come */
            lua_replace(L, top + 1);
            found++;
        }
    }
    return found == 1 ? ws_slice_at(L, top + 1) : ws_slice_of(NULL, 0);
}

/* request:basicAuth() -> user, password, or nil */
static int request_basic_auth(lua_State *L)
{
    struct ws_slice value, user, password;
    uint8_t *scratch;

    if (!lua_istable(L, 1))
        return luaL_error(L, "not a request; methods are called with ':'");
    lua_settop(L, 1);
    if (lua_getfield(L, 1, "headers") != LUA_TTABLE)
        return 0;
    value = authorization(L, 2);
    scratch = lua_newuserdatauv(L, value.n + 1, 0);
    if (ws_basic_read(value, scratch, &user, &password) != WS_OK) {
        lua_pushnil(L);
        return 1;
    }
    ws_push_slice(L, user);
    ws_push_slice(L, password);
    return 2;
}

void ws_push_request(lua_State *L, int idx)
{
    int top = lua_gettop(L);

    ws_push_own(L, idx);
    if (lua_getfield(L, top + 1, "request") == LUA_TNIL) {
        lua_createtable(L, 0, 2);
        lua_pushvalue(L, idx);
        lua_rawsetp(L, -2, &socket_key);
        luaL_setmetatable(L, WS_REQUEST_NAME);
        lua_pushvalue(L, -1);
        lua_setfield(L, top + 1, "request");
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

void ws_push_response(lua_State *L, struct ws_lsocket *k, int idx)
{
    int top = lua_gettop(L);

    if (k->s.conn.head.n == 0) {
        lua_pushnil(L);
        return;
    }
    ws_push_own(L, idx);
    if (lua_getfield(L, top + 1, "response") == LUA_TNIL) {
        lua_createtable(L, 0, 4);
        ws_set_head(L, lua_gettop(L), &k->s.conn);
        lua_pushvalue(L, -1);
        lua_setfield(L, top + 1, "response");
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

void ws_open_request(lua_State *L)
{
    luaL_newmetatable(L, WS_HEADERS_NAME);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, headers_all);
    lua_setfield(L, -2, "all");
    lua_pushcclosure(L, headers_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newmetatable(L, WS_REQUEST_NAME);
    lua_createtable(L, 0, 3);
    ws_upgrade_methods(L);
    lua_pushcfunction(L, request_basic_auth);
    lua_setfield(L, -2, "basicAuth");
    lua_pushcclosure(L, request_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
