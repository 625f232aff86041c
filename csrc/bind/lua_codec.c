/* bind/lua_codec.c -- the byte codecs for Lua: UTF-8, mask, base64, digests.
**
** What the base layer knows about bytes, for those who build their own wire
** format, and for specs.  Strings in, strings out; only the UTF-8 validator
** is an object, because its text may come in pieces.  Misuse raises; bytes
** that are not what they should be answer nil, message, code.
*/
#include "bind/lua_bind.h"

#include "base/base64.h"
#include "base/digest.h"
#include "base/mask.h"
#include "base/utf8.h"

#define UTF8_CLASS "wsock.utf8"

enum { RANDOM_MAX = 1 << 20 }; /* bytes at once */

/* true, or nil, message, code */
static int push_result(lua_State *L, int rc)
{
    if (rc != WS_OK)
        return ws_push_error(L, rc);
    lua_pushboolean(L, 1);
    return 1;
}

/* -- utf8 -- */

/* valid(text) -> boolean: is this whole text UTF-8? */
static int utf8_valid(lua_State *L)
{
    lua_pushboolean(L, ws_utf8_valid(ws_check_slice(L, 1, "text")));
    return 1;
}

/* new() -> validator, for a text that comes in pieces. */
static int utf8_new(lua_State *L)
{
    struct ws_utf8 *u = lua_newuserdata(L, sizeof *u);
    ws_utf8_init(u);
    luaL_setmetatable(L, UTF8_CLASS);
    return 1;
}

/* validator:feed(piece) -> true, or nil, message, code from the first bad
** byte on. */
static int utf8_feed(lua_State *L)
{
    struct ws_utf8 *u = luaL_checkudata(L, 1, UTF8_CLASS);
    return push_result(L, ws_utf8_feed(u, ws_check_slice(L, 2, "piece")));
}

/* validator:finish() -> true, or nil, message, code when the text was bad or
** stops inside a code point.  The validator is then ready for another. */
static int utf8_finish(lua_State *L)
{
    struct ws_utf8 *u = luaL_checkudata(L, 1, UTF8_CLASS);
    int rc = ws_utf8_end(u);
    ws_utf8_init(u);
    return push_result(L, rc);
}

/* -- mask -- */

/* mask(data, key [, phase]) -> data XOR the four bytes of key; phase: where
** in the frame's payload data begins. */
static int mask(lua_State *L)
{
    struct ws_slice data = ws_check_slice(L, 1, "data");
    struct ws_slice key = ws_check_slice(L, 2, "key");
    lua_Integer phase = luaL_optinteger(L, 3, 0);
    luaL_Buffer b;
    uint8_t *out;
    if (key.n != 4)
        return luaL_error(L, "key must have 4 bytes, got %d", (int)key.n);
    if (phase < 0)
        return luaL_error(L, "phase must not be negative");
    out = (uint8_t *)luaL_buffinitsize(L, &b, data.n);
    ws_mask(out, data.p, data.n, key.p, (size_t)phase);
    luaL_pushresultsize(&b, data.n);
    return 1;
}

/* -- base64 -- */

/* encode(data) -> base64 with padding, without line breaks. */
static int base64_encode(lua_State *L)
{
    struct ws_slice data = ws_check_slice(L, 1, "data");
    luaL_Buffer b;
    char *out;
    out = luaL_buffinitsize(L, &b, WS_BASE64_SIZE(data.n));
    luaL_pushresultsize(&b, ws_base64_encode(out, data));
    return 1;
}

/* decode(text) -> data, or nil, message, code unless it is exactly what
** encode gives. */
static int base64_decode(lua_State *L)
{
    struct ws_slice text = ws_check_slice(L, 1, "text");
    luaL_Buffer b;
    uint8_t *out;
    size_t n;
    int rc;
    out = (uint8_t *)luaL_buffinitsize(L, &b, text.n / 4 * 3);
    rc = ws_base64_decode(out, &n, text);
    if (rc != WS_OK)
        return ws_push_fail(L, "not base64", ws_err_word(rc));
    luaL_pushresultsize(&b, n);
    return 1;
}

/* -- digests -- */

/* accept(key) -> the Sec-WebSocket-Accept for a Sec-WebSocket-Key. */
static int digest_accept(lua_State *L)
{
    struct ws_slice key = ws_check_slice(L, 1, "key");
    char out[WS_ACCEPT_SIZE];
    int rc = ws_digest_accept(out, key);
    if (rc == WS_ERR_ARGUMENT)
        return luaL_error(L, "key must have at most 64 bytes");
    if (rc != WS_OK)
        return ws_push_error(L, rc);
    lua_pushlstring(L, out, sizeof out);
    return 1;
}

/* random(n) -> n unpredictable bytes, or nil, message, code. */
static int digest_random(lua_State *L)
{
    lua_Integer n = luaL_checkinteger(L, 1);
    luaL_Buffer b;
    uint8_t *out;
    int rc;
    if (n < 0 || n > RANDOM_MAX)
        return luaL_error(L, "n must be from 0 to %d", RANDOM_MAX);
    out = (uint8_t *)luaL_buffinitsize(L, &b, (size_t)n);
    rc = ws_random(NULL, out, (size_t)n);
    if (rc != WS_OK)
        return ws_push_error(L, rc);
    luaL_pushresultsize(&b, (size_t)n);
    return 1;
}

/* equal(a, b) -> boolean, in a time that does not tell where they differ. */
static int digest_equal(lua_State *L)
{
    struct ws_slice a = ws_check_slice(L, 1, "a");
    struct ws_slice b = ws_check_slice(L, 2, "b");
    lua_pushboolean(L, ws_equal_const_time(a, b));
    return 1;
}

/* hash(algorithm, data) -> hex, lower case; "MD5", "SHA-256", "SHA-512-256". */
static int digest_hash(lua_State *L)
{
    static const char *const names[] = {"MD5", "SHA-256", "SHA-512-256", NULL};
    enum ws_hash kind = (enum ws_hash)luaL_checkoption(L, 1, NULL, names);
    struct ws_slice data = ws_check_slice(L, 2, "data");
    char out[WS_HASH_HEX_MAX];
    struct ws_hasher h;
    int rc;
    ws_hash_begin(&h, kind);
    ws_hash_add(&h, data);
    rc = ws_hash_end(&h, kind, out);
    if (rc != WS_OK)
        return ws_push_error(L, rc);
    lua_pushlstring(L, out, ws_hash_size(kind));
    return 1;
}

/* hmac(key, data) -> hex: HMAC with SHA-256. */
static int digest_hmac(lua_State *L)
{
    struct ws_slice key = ws_check_slice(L, 1, "key");
    struct ws_slice data = ws_check_slice(L, 2, "data");
    char out[WS_HMAC_SIZE];
    int rc = ws_hmac(out, key, data);
    if (rc != WS_OK)
        return ws_push_error(L, rc);
    lua_pushlstring(L, out, sizeof out);
    return 1;
}

/* -- the table -- */

static const luaL_Reg utf8_functions[] = {
    {"valid", utf8_valid},
    {"new", utf8_new},
    {NULL, NULL},
};

static const luaL_Reg utf8_methods[] = {
    {"feed", utf8_feed},
    {"finish", utf8_finish},
    {NULL, NULL},
};

static const luaL_Reg base64_functions[] = {
    {"encode", base64_encode},
    {"decode", base64_decode},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"mask", mask},
    {"accept", digest_accept},
    {"random", digest_random},
    {"equal", digest_equal},
    {"hash", digest_hash},
    {"hmac", digest_hmac},
    {NULL, NULL},
};

static void open_utf8_class(lua_State *L)
{
    luaL_newmetatable(L, UTF8_CLASS);
    luaL_newlib(L, utf8_methods);
    lua_setfield(L, -2, "__index");
    ws_seal_class(L);
}

int ws_open_codec(lua_State *L)
{
    open_utf8_class(L);
    luaL_newlib(L, functions);
    luaL_newlib(L, utf8_functions);
    lua_setfield(L, -2, "utf8");
    luaL_newlib(L, base64_functions);
    lua_setfield(L, -2, "base64");
    return 1;
}
