/* bind/lua_bytes.c -- see lua_bytes.h.
**
** Positions are Lua's, as in string.sub: from 1, both ends included, negative
** ones from the end.  What the browser has and makes no sense here, streams
** and views of other types, is left out: unpack and pack read and write any
** number, as string.unpack and string.pack do.
*/
#include "bind/lua_bytes.h"

#include "bind/lua_aux.h"

#define BLOB_NAME "wsock.blob"
#define BUFFER_NAME "wsock.arraybuffer"

/* The string its bytes lie in is its user value. */
struct blob {
    struct ws_slice bytes;
    char type[]; /* a MIME type, or "" */
};

struct buffer {
    struct ws_slice bytes; /* data, n of it */
    uint8_t data[];
};

enum { TYPE_MAX = 255 }; /* bytes of a Blob's type */

/* -- types -- */

static const char *const type_names[] = {"string", "blob", "arraybuffer", NULL};

const char *ws_binary_type_name(int type)
{
    return type_names[type];
}

int ws_check_binary_type(lua_State *L, int idx)
{
    const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : "";
    int i;

    for (i = 0; i < WS_AS_COUNT; i++) {
        if (strcmp(s, type_names[i]) == 0)
            return i;
    }
    return luaL_error(L,
                      "binaryType must be \"string\", \"blob\" or "
                      "\"arraybuffer\", got %s",
                      luaL_tolstring(L, idx, NULL));
}

int ws_test_bytes(lua_State *L, int idx, struct ws_slice *bytes, int fixed)
{
    const struct ws_slice *b = luaL_testudata(L, idx, BLOB_NAME);

    if (b == NULL && !fixed)
        b = luaL_testudata(L, idx, BUFFER_NAME);
    if (b != NULL)
        *bytes = *b;
    return b != NULL;
}

/* -- positions -- */

/* The part from the position at idx to the one behind it, as string.sub. */
static struct ws_slice part_of(lua_State *L, int idx, const struct ws_slice *b)
{
    lua_Integer n = (lua_Integer)b->n;
    lua_Integer from = luaL_optinteger(L, idx, 1);
    lua_Integer to = luaL_optinteger(L, idx + 1, -1);

    if (from < 0)
        from = from < -n ? 1 : n + from + 1;
    if (from == 0)
        from = 1;
    if (to > n)
        to = n;
    else if (to < 0)
        to = to < -n ? 0 : n + to + 1;
    if (from > to)
        return ws_slice_of(NULL, 0);
    return ws_slice_of(b->p + (from - 1), (size_t)(to - from + 1));
}

/* -- making -- */

/* A new Blob of no bytes; its type is checked, and written small. */
static struct blob *push_blob(lua_State *L, struct ws_slice type)
{
    struct blob *o;
    size_t i;

    if (type.n > TYPE_MAX)
        luaL_error(L, "type is %I bytes, at most %d fit", (lua_Integer)type.n,
                   (int)TYPE_MAX);
    for (i = 0; i < type.n; i++) {
        if (type.p[i] < 0x20 || type.p[i] > 0x7E)
            luaL_error(L, "type must be printable ASCII");
    }
    o = lua_newuserdatauv(L, sizeof *o + type.n + 1, 1);
    o->bytes = ws_slice_of(NULL, 0);
    for (i = 0; i < type.n; i++)
        o->type[i] = (char)ws_lower(type.p[i]);
    o->type[type.n] = '\0';
    luaL_setmetatable(L, BLOB_NAME);
    return o;
}

/* Gives the Blob at the top the part s of the string at idx. */
static void fill_blob(lua_State *L, struct blob *o, int idx, struct ws_slice s)
{
    lua_pushvalue(L, idx);
    lua_setiuservalue(L, -2, 1);
    o->bytes = s;
}

/* A new ArrayBuffer of n bytes, which are the caller's to fill. */
static struct buffer *push_buffer(lua_State *L, size_t n)
{
    struct buffer *o;

    if (n > SIZE_MAX / 2)
        luaL_error(L, "out of memory");
    o = lua_newuserdatauv(L, sizeof *o + n, 0);
    o->bytes = ws_slice_of(o->data, n);
    luaL_setmetatable(L, BUFFER_NAME);
    return o;
}

static void push_buffer_of(lua_State *L, struct ws_slice s)
{
    struct buffer *o = push_buffer(L, s.n);
    if (s.n > 0)
        memcpy(o->data, s.p, s.n);
}

void ws_push_binary(lua_State *L, struct ws_slice s, int type)
{
    struct blob *o;

    if (type == WS_AS_ARRAYBUFFER) {
        push_buffer_of(L, s);
        return;
    }
    ws_push_slice(L, s);
    if (type != WS_AS_BLOB)
        return;
    o = push_blob(L, ws_slice_of(NULL, 0));
    s.p = (const uint8_t *)lua_tostring(L, -2);
    fill_blob(L, o, -2, s);
    lua_remove(L, -2);
}

/* wsock.blob(data [, {type = ""}]) -> Blob */
static int new_blob(lua_State *L)
{
    static const char *const names[] = {"type", NULL};
    struct ws_slice s, type = ws_slice_of(NULL, 0);
    struct blob *o;

    lua_settop(L, 2);
    s = ws_check_data(L, 1);
    if (!lua_isnil(L, 2)) {
        ws_check_table(L, 2, "options");
        ws_check_keys(L, 2, "option of blob", names);
    }
    if (ws_get_field(L, lua_isnil(L, 2) ? 0 : 2, "type", LUA_TSTRING)) /* 3 */
        type = ws_check_slice(L, 3, "type");
    if (luaL_testudata(L, 1, BLOB_NAME) != NULL) {
        lua_getiuservalue(L, 1, 1); /* 4: the same string */
    } else if (lua_type(L, 1) == LUA_TSTRING) {
        lua_pushvalue(L, 1);
    } else {
        ws_push_slice(L, s);
        s.p = (const uint8_t *)lua_tostring(L, 4);
    }
    o = push_blob(L, type);
    fill_blob(L, o, 4, s);
    return 1;
}

/* wsock.arraybuffer(data or size) -> ArrayBuffer */
static int new_buffer(lua_State *L)
{
    struct buffer *o;
    lua_Integer n;
    int exact;

    lua_settop(L, 1);
    if (lua_type(L, 1) != LUA_TNUMBER) {
        push_buffer_of(L, ws_check_data(L, 1));
        return 1;
    }
    n = lua_tointegerx(L, 1, &exact);
    if (!exact || n < 0)
        return luaL_error(L, "size must be an integer >= 0, got %s",
                          luaL_tolstring(L, 1, NULL));
    o = push_buffer(L, (size_t)n);
    memset(o->data, 0, o->bytes.n);
    return 1;
}

/* -- Blob -- */

static struct blob *check_blob(lua_State *L)
{
    return ws_check_self(L, 1, BLOB_NAME);
}

/* blob:slice([from = 1 [, to = -1 [, type = ""]]]) -> Blob; no byte is
** copied */
static int blob_slice(lua_State *L)
{
    const struct blob *b = check_blob(L);
    struct ws_slice s = part_of(L, 2, &b->bytes), type = ws_slice_of(NULL, 0);
    struct blob *o;

    lua_settop(L, 4);
    if (!lua_isnil(L, 4))
        type = ws_check_slice(L, 4, "type");
    lua_getiuservalue(L, 1, 1); /* 5 */
    o = push_blob(L, type);
    fill_blob(L, o, 5, s);
    return 1;
}

/* blob:text(), tostring(blob) -> its bytes as a string */
static int blob_text(lua_State *L)
{
    const struct blob *b = check_blob(L);

    lua_getiuservalue(L, 1, 1);
    if (lua_rawlen(L, -1) != b->bytes.n)
        ws_push_slice(L, b->bytes);
    return 1;
}

/* blob:arrayBuffer() -> ArrayBuffer, a copy */
static int blob_buffer(lua_State *L)
{
    push_buffer_of(L, check_blob(L)->bytes);
    return 1;
}

static int blob_length(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_blob(L)->bytes.n);
    return 1;
}

/* Upvalue: the methods. */
static int blob_index(lua_State *L)
{
    const struct blob *b = check_blob(L);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (strcmp(key, "size") == 0)
        return blob_length(L);
    if (strcmp(key, "type") == 0) {
        lua_pushstring(L, b->type);
        return 1;
    }
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

static int blob_newindex(lua_State *L)
{
    return luaL_error(L, "a Blob cannot be changed");
}

/* -- ArrayBuffer -- */

static struct buffer *check_buffer(lua_State *L)
{
    return ws_check_self(L, 1, BUFFER_NAME);
}

/* buffer:slice([from = 1 [, to = -1]]) -> ArrayBuffer, a copy */
static int buffer_slice(lua_State *L)
{
    push_buffer_of(L, part_of(L, 2, &check_buffer(L)->bytes));
    return 1;
}

/* buffer:tostring([from = 1 [, to = -1]]), tostring(buffer) -> string */
static int buffer_tostring(lua_State *L)
{
    ws_push_slice(L, part_of(L, 2, &check_buffer(L)->bytes));
    return 1;
}

static int buffer_length(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_buffer(L)->bytes.n);
    return 1;
}

/* The place of the position at idx, from 0; raises unless it is in b, or is
** the one behind its end where that is `allowed`. */
static size_t check_place(lua_State *L, int idx, const struct ws_slice *b,
                          int allowed)
{
    lua_Integer n = (lua_Integer)b->n, i;
    int exact;

    i = lua_tointegerx(L, idx, &exact);
    if (!exact || lua_type(L, idx) != LUA_TNUMBER)
        luaL_error(L, "a position must be an integer, got %s",
                   lua_isnone(L, idx) ? "no value"
                                      : luaL_tolstring(L, idx, NULL));
    if (i < 1 || i > n + allowed)
        luaL_error(L, "position %I is not in 1 to %I", i, n);
    return (size_t)(i - 1);
}

/* buffer[i] -> byte, or nil at the position behind the last one, where ipairs
** ends; upvalue: the methods */
static int buffer_index(lua_State *L)
{
    const struct buffer *b = check_buffer(L);

    if (WS_LIKELY(lua_type(L, 2) == LUA_TNUMBER)) {
        size_t at = check_place(L, 2, &b->bytes, 1);
        if (at < b->bytes.n)
            lua_pushinteger(L, b->data[at]);
        else
            lua_pushnil(L);
        return 1;
    }
    if (lua_type(L, 2) == LUA_TSTRING &&
        strcmp(lua_tostring(L, 2), "byteLength") == 0)
        return buffer_length(L);
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

/* buffer[i] = byte */
static int buffer_newindex(lua_State *L)
{
    struct buffer *b = check_buffer(L);
    size_t at = check_place(L, 2, &b->bytes, 0);
    lua_Integer v;
    int exact;

    v = lua_tointegerx(L, 3, &exact);
    if (!exact || lua_type(L, 3) != LUA_TNUMBER || v < 0 || v > 255)
        return luaL_error(L, "a byte must be an integer from 0 to 255, got %s",
                          luaL_tolstring(L, 3, NULL));
    b->data[at] = (uint8_t)v;
    return 0;
}

/* -- numbers: upvalues are string.unpack, string.pack, string.packsize -- */

enum { UNPACK = 1, PACK = 2, PACKSIZE = 3 };
enum { ALIGN_MAX = 16 }; /* string.pack's largest alignment */

/* How many bytes behind a position, at most, the format at 2 looks at. */
static size_t reach_of(lua_State *L, size_t rest)
{
    size_t n;
    const char *format = luaL_checklstring(L, 2, &n);

    if (strpbrk(format, "sz") != NULL)
        return rest; /* of variable length */
    lua_pushvalue(L, lua_upvalueindex(PACKSIZE));
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    n = (size_t)lua_tointeger(L, -1) + ALIGN_MAX - 1;
    lua_pop(L, 1);
    return n < rest ? n : rest;
}

/* buffer:unpack(format [, position = 1]) -> values and the position behind
** them, as string.unpack.  Only what may be needed becomes a string, and it
** starts where an alignment does. */
static int buffer_unpack(lua_State *L)
{
    const struct buffer *b = check_buffer(L);
    size_t at = 0, base;
    int first;

    lua_settop(L, 3);
    if (!lua_isnil(L, 3))
        at = check_place(L, 3, &b->bytes, 1);
    base = at - at % ALIGN_MAX;
    lua_pushvalue(L, lua_upvalueindex(UNPACK));
    first = lua_gettop(L);
    lua_pushvalue(L, 2);
    lua_pushlstring(L, (const char *)b->data + base,
                    at - base + reach_of(L, b->bytes.n - at));
    lua_pushinteger(L, (lua_Integer)(at - base) + 1);
    lua_call(L, 3, LUA_MULTRET);
    lua_pushinteger(L, lua_tointeger(L, -1) + (lua_Integer)base);
    lua_replace(L, -2);
    return lua_gettop(L) - first + 1;
}

/* buffer:pack(format, position, ...) -> the position behind what was written.
** All of it fits, or nothing is written. */
static int buffer_pack(lua_State *L)
{
    struct buffer *b = check_buffer(L);
    int nargs = lua_gettop(L), skip;
    const char *bytes;
    size_t at, n;

    luaL_checkstring(L, 2);
    at = check_place(L, 3, &b->bytes, 1);
    skip = (int)(at % ALIGN_MAX); /* so many bytes before it, for alignment */
    lua_pushfstring(L, "c%d ", skip); /* no digit of the format's goes on */
    lua_pushvalue(L, 2);
    lua_concat(L, 2);
    lua_replace(L, 2);
    lua_pushliteral(L, "");
    lua_replace(L, 3);
    lua_pushvalue(L, lua_upvalueindex(PACK));
    lua_insert(L, 2);
    lua_call(L, nargs - 1, 1);
    bytes = lua_tolstring(L, -1, &n);
    n -= (size_t)skip;
    if (n > b->bytes.n - at)
        return luaL_error(L, "%I bytes at %I do not fit into %I",
                          (lua_Integer)n, (lua_Integer)at + 1,
                          (lua_Integer)b->bytes.n);
    memcpy(b->data + at, bytes + skip, n);
    lua_pushinteger(L, (lua_Integer)(at + n) + 1);
    return 1;
}

/* -- registration -- */

/* The class `name`: methods in the table at the top, which is popped. */
static void make_class(lua_State *L, const char *name, const luaL_Reg *meta,
                       lua_CFunction index)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, meta, 0);
    lua_insert(L, -2);
    lua_pushcclosure(L, index, 1);
    lua_setfield(L, -2, "__index");
    ws_seal_class(L);
}

/* Pushes string.unpack, string.pack and string.packsize; nils where there is
** no string library. */
static void push_string_functions(lua_State *L)
{
    static const char *const names[] = {"unpack", "pack", "packsize"};
    int i, top = lua_gettop(L);

    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    luaL_getsubtable(L, top + 1, "string");
    for (i = 0; i < 3; i++)
        lua_getfield(L, top + 2, names[i]);
    lua_remove(L, top + 2);
    lua_remove(L, top + 1);
}

void ws_open_bytes(lua_State *L)
{
    static const luaL_Reg blob_methods[] = {{"slice", blob_slice},
                                            {"text", blob_text},
                                            {"arrayBuffer", blob_buffer},
                                            {NULL, NULL}};
    static const luaL_Reg blob_meta[] = {{"__len", blob_length},
                                         {"__tostring", blob_text},
                                         {"__newindex", blob_newindex},
                                         {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"slice", buffer_slice}, {"tostring", buffer_tostring}, {NULL, NULL}};
    static const luaL_Reg numbers[] = {
        {"unpack", buffer_unpack}, {"pack", buffer_pack}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__len", buffer_length},
                                    {"__tostring", buffer_tostring},
                                    {"__newindex", buffer_newindex},
                                    {NULL, NULL}};

    luaL_newlib(L, blob_methods);
    make_class(L, BLOB_NAME, blob_meta, blob_index);
    luaL_newlib(L, methods);
    push_string_functions(L);
    luaL_setfuncs(L, numbers, 3);
    make_class(L, BUFFER_NAME, meta, buffer_index);
    lua_pushcfunction(L, new_blob);
    lua_setfield(L, -2, "blob");
    lua_pushcfunction(L, new_buffer);
    lua_setfield(L, -2, "arraybuffer");
}
