/* bind/lua_aux.c -- see lua_aux.h. */
#include "bind/lua_aux.h"

#include "bind/lua_bytes.h"
#include "net/errno.h"
#include "proto/hello.h"
#include "wire/field.h"

#include <math.h>

/* -- results -- */

int ws_push_fail(lua_State *L, const char *message, const char *code)
{
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, code);
    return 3;
}

int ws_push_error(lua_State *L, int err)
{
    return ws_push_fail(L, ws_err_text(err), ws_err_word(err));
}

int ws_push_errno(lua_State *L, const char *call, int errnum)
{
    return ws_push_fail(
        L, lua_pushfstring(L, "%s: %s", call, ws_errno_text(errnum)),
        ws_errno_word(errnum));
}

/* -- values -- */

void *ws_check_self(lua_State *L, int idx, const char *class)
{
    void *p = luaL_testudata(L, idx, class);
    const char *got, *hint = "";

    if (p != NULL)
        return p;
    got = luaL_typename(L, idx);
    if (luaL_getmetafield(L, idx, "__name") == LUA_TSTRING)
        got = lua_tostring(L, -1);
    if (idx == 1)
        hint = "; methods are called with ':'";
    lua_pushfstring(L, "%s expected, got %s%s", class, got, hint);
    luaL_argerror(L, idx, lua_tostring(L, -1));
    return NULL;
}

void ws_check_dot(lua_State *L, int idx)
{
    if (luaL_getmetafield(L, idx, "__name") == LUA_TNIL)
        return;
    if (lua_type(L, -1) == LUA_TSTRING &&
        strcmp(lua_tostring(L, -1), WS_MODULE_NAME) == 0)
        luaL_error(L, "functions of %s are called with '.', not ':'",
                   WS_MODULE_NAME);
    lua_pop(L, 1);
}

struct ws_slice ws_check_slice(lua_State *L, int idx, const char *name)
{
    if (lua_type(L, idx) != LUA_TSTRING)
        luaL_error(L, "%s must be a string, got %s", name,
                   luaL_typename(L, idx));
    return ws_slice_at(L, idx);
}

struct ws_slice ws_check_bytes(lua_State *L, int idx, const char *name)
{
    struct ws_slice bytes;
    size_t n;
    const char *s;

    if (lua_type(L, idx) == LUA_TNUMBER) {
        lua_Number v = lua_tonumber(L, idx);
        lua_Integer i;
        if (!lua_isinteger(L, idx) && lua_numbertointeger(v, &i) &&
            (lua_Number)i == v) {
            lua_pushinteger(L, i);
            lua_replace(L, idx);
        }
    } else if (lua_type(L, idx) != LUA_TSTRING) {
        if (ws_test_bytes(L, idx, &bytes, 0))
            return bytes;
        luaL_error(L,
                   "%s must be a string, a number, a Blob or an "
                   "ArrayBuffer, got %s",
                   name, luaL_typename(L, idx));
    }
    s = lua_tolstring(L, idx, &n);
    return ws_slice_of(s, n);
}

struct ws_slice ws_check_data(lua_State *L, int idx)
{
    return ws_check_bytes(L, idx, "data");
}

int ws_data_is_binary(lua_State *L, int idx)
{
    return lua_type(L, idx) == LUA_TUSERDATA;
}

static int64_t to_ms(double seconds)
{
    double ms = ceil(seconds * 1000.0);
    return ms < 9.0e18 ? (int64_t)ms : -1;
}

int64_t ws_check_seconds(lua_State *L, int idx, const char *name)
{
    double v;

    if (lua_type(L, idx) != LUA_TNUMBER) {
        ws_check_dot(L, idx);
        luaL_error(L, "%s must be a number of seconds, got %s", name,
                   luaL_typename(L, idx));
    }
    v = lua_tonumber(L, idx);
    if (!(v >= 0))
        luaL_error(L, "%s must be a number of seconds >= 0, got %f", name, v);
    return to_ms(v);
}

void ws_check_table(lua_State *L, int idx, const char *name)
{
    if (!lua_istable(L, idx))
        luaL_error(L, "%s must be a table, got %s", name,
                   luaL_typename(L, idx));
}

void ws_check_callable(lua_State *L, int idx, const char *name)
{
    if (lua_isfunction(L, idx))
        return;
    if (luaL_getmetafield(L, idx, "__call") != LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    ws_check_dot(L, idx);
    luaL_error(L, "%s must be a function, got %s", name, luaL_typename(L, idx));
}

static int call_upvalue(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

int ws_take_callable(lua_State *L)
{
    if (lua_isfunction(L, -1))
        return 1;
    if (luaL_getmetafield(L, -1, "__call") == LUA_TNIL)
        return 0;
    lua_pop(L, 1);
    lua_pushcclosure(L, call_upvalue, 1);
    return 1;
}

lua_Integer ws_list_length(lua_State *L, const char *option)
{
    lua_Integer n = luaL_len(L, -1);

    if (n > 0)
        return n;
    lua_pushnil(L);
    if (lua_next(L, -2) != 0)
        luaL_error(L, "option '%s' must be a list, got a %s key", option,
                   luaL_typename(L, -2));
    return 0;
}

/* -- options -- */

int ws_get_field(lua_State *L, int idx, const char *name, int type)
{
    int got = idx == 0 ? LUA_TNIL : LUA_TNONE;

    if (idx == 0 || lua_isnoneornil(L, idx))
        lua_pushnil(L);
    else
        got = lua_getfield(L, idx, name);
    if (lua_isnil(L, -1))
        return 0;
    if (got != type && type != LUA_TNONE)
        luaL_error(L, "option '%s' must be a %s, got %s", name,
                   lua_typename(L, type), luaL_typename(L, -1));
    return 1;
}

lua_Integer ws_get_integer(lua_State *L, int idx, const char *name,
                           struct ws_range range)
{
    lua_Integer v = range.def;
    int exact = 1;

    if (ws_get_field(L, idx, name, LUA_TNUMBER))
        v = lua_tointegerx(L, -1, &exact);
    if (!exact || v < range.min || v > range.max) {
        if (range.max == LUA_MAXINTEGER)
            luaL_error(L, "option '%s' must be an integer >= %I", name,
                       range.min);
        luaL_error(L, "option '%s' must be an integer from %I to %I", name,
                   range.min, range.max);
    }
    lua_pop(L, 1);
    return v;
}

int64_t ws_get_seconds(lua_State *L, int idx, const char *name,
                       double def_seconds)
{
    double v = def_seconds;

    if (ws_get_field(L, idx, name, LUA_TNUMBER))
        v = lua_tonumber(L, -1);
    lua_pop(L, 1);
    if (!(v >= 0))
        luaL_error(L, "option '%s' must be a number of seconds >= 0", name);
    return to_ms(v) < 0 ? 0 : to_ms(v);
}

int ws_get_boolean(lua_State *L, int idx, const char *name, int def)
{
    int v = def;

    if (ws_get_field(L, idx, name, LUA_TBOOLEAN))
        v = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return v;
}

/* -- unknown keys -- */

enum { WORD_MAX = 32 };

static size_t least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

size_t ws_word_distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1], n = strlen(b), i, j;

    if (strlen(a) > WORD_MAX || n > WORD_MAX)
        return WORD_MAX;
    for (j = 0; j <= n; j++)
        row[j] = j;
    for (i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (j = 0; j < n; j++) {
            size_t same = ws_lower((uint8_t)a[i]) == ws_lower((uint8_t)b[j]);
            size_t up = row[j + 1];
            row[j + 1] = least(up + 1, row[j] + 1, diagonal + (same ? 0 : 1));
            diagonal = up;
        }
    }
    return row[n];
}

/* What other libraries call it, and no misspelling would lead to. */
static const char *translated(const char *key, const char *const *names)
{
    static const struct {
        const char *key, *meant, *name; /* meant is a part of the option name */
    } words[] = {
        {"ca", "tls.ca", "tls"},
        {"cert", "tls.cert", "tls"},
        {"key", "tls.key", "tls"},
        {"rejectUnauthorized", "tls.verify", "tls"},
        {"verify", "tls.verify", "tls"}, /* a server has one of its own */
        {"timeout", "handshakeTimeout", "handshakeTimeout"},
        {"onopen", "onconnection", "onconnection"},
        {"onconnect", "onconnection", "onconnection"},
    };
    size_t i;

    for (i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(key, words[i].key) == 0 &&
            ws_is_one_of(words[i].name, names))
            return words[i].meant;
    }
    return NULL;
}

static const char *nearest(const char *key, const char *const *names)
{
    const char *best = translated(key, names);
    size_t best_distance = best != NULL ? 0 : 4; /* farther is no help */

    for (; *names != NULL; names++) {
        size_t d = ws_word_distance(key, *names);
        if (d < best_distance && d < strlen(key)) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}

int ws_unknown_key(lua_State *L, const char *what, const char *key,
                   const char *const *names)
{
    const char *near = nearest(key, names);

    if (near == NULL)
        return luaL_error(L, "unknown %s '%s'", what, key);
    return luaL_error(L, "unknown %s '%s'; did you mean '%s'?", what, key,
                      near);
}

int ws_is_one_of(const char *key, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(key, *names) == 0)
            return 1;
    }
    return 0;
}

void ws_check_keys(lua_State *L, int idx, const char *what,
                   const char *const *names)
{
    idx = lua_absindex(L, idx);
    lua_pushnil(L);
    while (lua_next(L, idx) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "every %s must have a name, got a %s key", what,
                       luaL_typename(L, -1));
        if (!ws_is_one_of(lua_tostring(L, -1), names))
            ws_unknown_key(L, what, lua_tostring(L, -1), names);
    }
}

/* -- headers -- */

/* Raises for a header that is not the application's to set. */
static void refuse_reserved(lua_State *L, const char *header)
{
    static const char *const options[][2] = {
        {"Host", "host"},
        {"Origin", "origin"},
        {"Proxy-Authorization", "proxy"},
        {"Sec-WebSocket-Key", "handshakeKey"},
        {"Sec-WebSocket-Protocol", "protocols"}};
    size_t i;

    for (i = 0; i < sizeof options / sizeof *options; i++) {
        if (ws_slice_same(ws_slice_str(header), ws_slice_str(options[i][0])))
            luaL_error(L,
                       "header '%s' is written by wsock itself, see the "
                       "option '%s'",
                       header, options[i][1]);
    }
    luaL_error(L, "header '%s' is written by wsock itself", header);
}

static void add_field(lua_State *L, struct ws_field *f,
                      int (*reserved)(struct ws_slice name))
{
    if (lua_type(L, -2) != LUA_TSTRING ||
        (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER))
        luaL_error(L, "headers must be strings by name, or a list of {name, "
                      "value}");
    f->name = ws_slice_at(L, -2);
    f->value = ws_slice_at(L, -1);
    if (!ws_head_field_ok(f->name, f->value))
        luaL_error(L, "header '%s' may not be sent: its %s",
                   lua_tostring(L, -2),
                   ws_head_field_ok(f->name, ws_slice_of("", 0))
                       ? "value is not visible ASCII with blanks within"
                       : "name is not of letters, digits and -_.!#$&'*+^`|~%");
    if (reserved != NULL && reserved(f->name))
        refuse_reserved(L, lua_tostring(L, -2));
}

static unsigned count_fields(lua_State *L, int idx)
{
    unsigned n = 0;

    lua_pushnil(L);
    while (lua_next(L, idx) != 0) {
        lua_pop(L, 1);
        n++;
    }
    if (n > WS_HEAD_LINES_MAX)
        luaL_error(L, "more than %d headers", WS_HEAD_LINES_MAX);
    return n;
}

struct ws_field *ws_read_fields(lua_State *L, int idx, unsigned *n,
                                int (*reserved)(struct ws_slice name))
{
    struct ws_field *fields;
    unsigned i = 0, all;

    *n = 0;
    if (lua_isnoneornil(L, idx)) {
        lua_pushnil(L);
        return NULL;
    }
    idx = lua_absindex(L, idx);
    if (!lua_istable(L, idx))
        luaL_error(L, "headers must be a table, got %s", luaL_typename(L, idx));
    all = count_fields(L, idx);
    lua_createtable(L, (int)all * 2 + 1, 0); /* keeps the strings alive */
    fields = lua_newuserdatauv(L, (all + 1) * sizeof *fields, 0);
    lua_rawseti(L, -2, 1);
    lua_pushnil(L);
    while (lua_next(L, idx) != 0) {
        if (lua_type(L, -2) == LUA_TNUMBER && lua_istable(L, -1)) {
            lua_geti(L, -1, 1);
            lua_geti(L, -2, 2);
        } else {
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
        }
        if (i == all) /* __index of a pair may add others */
            luaL_error(L, "headers changed while they were read");
        add_field(L, &fields[i], reserved);
        lua_rawseti(L, -5, (lua_Integer)i * 2 + 2);
        lua_rawseti(L, -4, (lua_Integer)i * 2 + 3);
        lua_pop(L, 1);
        i++;
    }
    *n = i;
    return fields;
}

/* -- subprotocols -- */

static void add_protocol(lua_State *L, luaL_Buffer *b)
{
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "SyntaxError: a subprotocol must be a string, got %s",
                   luaL_typename(L, -1));
    if (!ws_is_token(ws_slice_at(L, -1)))
        luaL_error(L, "SyntaxError: '%s' is no subprotocol name",
                   lua_tostring(L, -1));
    luaL_addvalue(b);
}

/* Options in the place of subprotocols would be an empty list of them. */
static void check_list(lua_State *L, int idx)
{
    lua_pushnil(L);
    if (lua_next(L, idx) == 0)
        return;
    if (lua_type(L, -2) == LUA_TSTRING)
        luaL_error(L, "protocols must be a list of names, got the key '%s'",
                   lua_tostring(L, -2));
    lua_pop(L, 2);
}

struct ws_slice ws_read_protocols(lua_State *L, int idx)
{
    struct ws_slice s;
    luaL_Buffer b;
    lua_Integer i;

    idx = lua_isnoneornil(L, idx) ? 0 : lua_absindex(L, idx);
    if (idx != 0 && lua_istable(L, idx))
        check_list(L, idx);
    luaL_buffinit(L, &b);
    if (idx != 0 && lua_istable(L, idx)) {
        lua_Integer n = luaL_len(L, idx);
        for (i = 1; i <= n; i++) {
            if (i > 1) /* while the buffer is at the top */
                luaL_addstring(&b, ", ");
            lua_geti(L, idx, i);
            add_protocol(L, &b);
        }
    } else if (idx != 0) {
        lua_pushvalue(L, idx);
        add_protocol(L, &b);
    }
    luaL_pushresult(&b);
    s = ws_slice_at(L, -1);
    if (!ws_hello_protocols_ok(s))
        luaL_error(L, "SyntaxError: a subprotocol is named twice in '%s'",
                   lua_tostring(L, -1));
    return s;
}

void ws_seal_class(lua_State *L)
{
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
