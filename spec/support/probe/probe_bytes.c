/* probe_bytes.c -- probe.base: codecs at the edge of memory, keys, chance. */
#define _DEFAULT_SOURCE             /* MAP_ANONYMOUS */
#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_set_rand_method */
#include "probe.h"

#include "base/base64.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mask.h"
#include "base/utf8.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* -- guard: memory between two pages that may not be touched -- */

#define GUARD "probe.guard"

enum { PAGE = 65536, ALL = 3 * PAGE, FILL = 0x5A, NEAR = 128 };

struct guard {
    uint8_t *map; /* page, PAGE bytes of ours, page */
};

static int guard_new(lua_State *L)
{
    struct guard *g = probe_new(L, sizeof *g, GUARD, 0);
    void *p = mmap(NULL, ALL, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return luaL_error(L, "mmap failed");
    g->map = p;
    if (mprotect(g->map + PAGE, PAGE, PROT_READ | PROT_WRITE) != 0)
        return luaL_error(L, "mprotect failed");
    memset(g->map + PAGE, FILL, PAGE);
    return 1;
}

static int guard_gc(lua_State *L)
{
    struct guard *g = luaL_checkudata(L, 1, GUARD);
    if (g->map != NULL)
        munmap(g->map, ALL);
    g->map = NULL;
    return 0;
}

/* n bytes in the guard at arg; `where` 0.. counts from its start, -1.. from
** its end (-1: the last byte is the last one). */
static uint8_t *place(lua_State *L, int arg, lua_Integer where, size_t n)
{
    struct guard *g = luaL_checkudata(L, arg, GUARD);
    uint8_t *p = g->map + PAGE;
    luaL_argcheck(L, n <= PAGE - NEAR && where >= -NEAR && where < NEAR, arg,
                  "does not fit");
    return where >= 0 ? p + where : p + PAGE - n + (where + 1);
}

/* guard:utf8(text, where) -> valid */
static int guard_utf8(lua_State *L)
{
    struct ws_slice s = probe_slice(L, 2);
    uint8_t *p = place(L, 1, luaL_checkinteger(L, 3), s.n);
    memcpy(p, s.p, s.n);
    lua_pushboolean(L, ws_utf8_valid(ws_slice_of(p, s.n)));
    return 1;
}

/* Raises when one of the bytes around [p, p+n) is not as it was filled. */
static void check_around(lua_State *L, int arg, const uint8_t *p, size_t n)
{
    struct guard *g = luaL_checkudata(L, arg, GUARD);
    const uint8_t *start = g->map + PAGE, *end = start + PAGE, *q;
    for (q = p - start > NEAR ? p - NEAR : start; q < p; q++) {
        if (*q != FILL)
            luaL_error(L, "wrote %d bytes before", (int)(p - q));
    }
    for (q = p + n; q < end && q < p + n + NEAR; q++) {
        if (*q != FILL)
            luaL_error(L, "wrote %d bytes behind", (int)(q - p - (ptrdiff_t)n));
    }
}

/* guard:mask(data, key, phase, where [, other, where2]) -> masked, in place or
** from the guard to the other; nothing else may be touched. */
static int guard_mask(lua_State *L)
{
    struct ws_slice s = probe_slice(L, 2), key = probe_slice(L, 3);
    uint8_t *src = place(L, 1, luaL_checkinteger(L, 5), s.n), *dst = src;
    int arg = lua_isnoneornil(L, 6) ? 1 : 6;
    luaL_argcheck(L, key.n == 4, 3, "four bytes");
    if (arg == 6)
        dst = place(L, 6, luaL_checkinteger(L, 7), s.n);
    memcpy(src, s.p, s.n);
    ws_mask(dst, src, s.n, key.p, probe_size(L, 4));
    lua_pushlstring(L, (const char *)dst, s.n);
    check_around(L, arg, dst, s.n);
    if (dst != src && memcmp(src, s.p, s.n) != 0)
        luaL_error(L, "changed its source");
    memset(src, FILL, s.n);
    memset(dst, FILL, s.n);
    return 1;
}

static const luaL_Reg guard_methods[] = {
    {"utf8", guard_utf8},
    {"mask", guard_mask},
    {NULL, NULL},
};

/* -- utf8 -- */

/* utf8(text) -> valid */
static int utf8_valid(lua_State *L)
{
    lua_pushboolean(L, ws_utf8_valid(probe_slice(L, 1)));
    return 1;
}

/* utf8_feed(piece, ...) -> number of the piece that was refused (0: none),
** and what the end says */
static int utf8_feed(lua_State *L)
{
    struct ws_utf8 u;
    int i, refused = 0, n = lua_gettop(L);
    ws_utf8_init(&u);
    for (i = 1; i <= n; i++) {
        int rc = ws_utf8_feed(&u, probe_slice(L, i));
        if (rc != WS_OK && refused == 0)
            refused = i;
        if (rc == WS_OK && refused != 0)
            return luaL_error(L, "piece %d was refused, %d was not", refused,
                              i);
    }
    lua_pushinteger(L, refused);
    lua_pushboolean(L, ws_utf8_end(&u) == WS_OK);
    return 2;
}

/* utf8_spread(text, filler) -> in how many places among fillers the text is
** valid, and how many were tried: lengths and offsets around all the widths a
** validator may work in. */
static int utf8_spread(lua_State *L)
{
    struct ws_slice s = probe_slice(L, 1), f = probe_slice(L, 2);
    static const unsigned ahead[] = {0,  1,  2,  3,  5,  9,  14, 20, 28,
                                     29, 30, 31, 32, 33, 61, 62, 63, 64};
    static const unsigned behind[] = {0, 1, 2, 3, 7, 30, 33, 140};
    uint8_t b[1024];
    lua_Integer valid = 0, tried = 0;
    size_t a, i, j;
    luaL_argcheck(L, f.n >= 1 && f.n <= 4 && s.n <= 16, 1, "too long");
    for (a = 0; a < sizeof ahead / sizeof ahead[0]; a++) {
        size_t n = 0;
        for (i = 0; i < ahead[a]; i++, n += f.n)
            memcpy(b + n, f.p, f.n);
        memcpy(b + n, s.p, s.n);
        n += s.n;
        for (i = 0, j = 0; j < sizeof behind / sizeof behind[0]; j++) {
            for (; i < behind[j]; i++, n += f.n)
                memcpy(b + n, f.p, f.n);
            valid += ws_utf8_valid(ws_slice_of(b, n));
            tried++;
        }
    }
    lua_pushinteger(L, valid);
    lua_pushinteger(L, tried);
    return 2;
}

/* -- base64 -- */

/* base64_encode(data), base64_decode(text) -> data or nil, code; both see
** that not a byte more than announced is written. */
static int base64_encode(lua_State *L)
{
    struct ws_slice s = probe_slice(L, 1);
    char *out = lua_newuserdatauv(L, WS_BASE64_SIZE(s.n) + 1, 0);
    out[WS_BASE64_SIZE(s.n)] = FILL;
    lua_pushlstring(L, out, ws_base64_encode(out, s));
    if (out[WS_BASE64_SIZE(s.n)] != FILL)
        return luaL_error(L, "wrote behind");
    return 1;
}

static int base64_decode(lua_State *L)
{
    struct ws_slice s = probe_slice(L, 1);
    size_t most = s.n / 4 * 3, n = 12345;
    uint8_t *out = lua_newuserdatauv(L, most + 1, 0);
    int rc;
    out[most] = FILL;
    rc = ws_base64_decode(out, &n, s);
    if (out[most] != FILL || (rc != WS_OK && n != 0))
        return luaL_error(L, "wrote behind");
    if (rc != WS_OK)
        return probe_result(L, rc);
    lua_pushlstring(L, (const char *)out, n);
    return 1;
}

/* -- digest -- */

/* accept(key) -> token or nil, code */
static int accept_token(lua_State *L)
{
    char out[WS_ACCEPT_SIZE];
    int rc = ws_digest_accept(out, probe_slice(L, 1));
    if (rc != WS_OK)
        return probe_result(L, rc);
    lua_pushlstring(L, out, sizeof out);
    return 1;
}

/* hash(kind, part, ...) -> digits or nil, code; kind: 0 MD5, 1 SHA-256, 2
** SHA-512/256 */
static int hash(lua_State *L)
{
    enum ws_hash kind = (enum ws_hash)luaL_checkinteger(L, 1);
    char out[WS_HASH_HEX_MAX];
    struct ws_hasher h;
    int i, rc;

    ws_hash_begin(&h, kind);
    for (i = 2; i <= lua_gettop(L); i++)
        ws_hash_add(&h, probe_slice(L, i));
    rc = ws_hash_end(&h, kind, out);
    if (rc != WS_OK)
        return probe_result(L, rc);
    lua_pushlstring(L, out, ws_hash_size(kind));
    return 1;
}

/* hash_there(kind) -> boolean */
static int hash_there(lua_State *L)
{
    lua_pushboolean(L, ws_hash_there((enum ws_hash)luaL_checkinteger(L, 1)));
    return 1;
}

/* hmac(key, data) -> digits or nil, code */
static int hmac(lua_State *L)
{
    char out[WS_HMAC_SIZE];
    int rc = ws_hmac(out, probe_slice(L, 1), probe_slice(L, 2));

    if (rc != WS_OK)
        return probe_result(L, rc);
    lua_pushlstring(L, out, sizeof out);
    return 1;
}

/* wiped(bytes) -> the same after ws_wipe */
static int wiped(lua_State *L)
{
    struct ws_slice s = probe_slice(L, 1);
    char *p = lua_newuserdatauv(L, s.n + 1, 0);

    memcpy(p, s.p, s.n);
    ws_wipe(p, s.n);
    lua_pushlstring(L, p, s.n);
    return 1;
}

/* random(n) -> bytes, or nil, code and what was left in the buffer */
static int random_bytes(lua_State *L)
{
    size_t n = probe_size(L, 1);
    uint8_t *p = lua_newuserdatauv(L, n + 1, 0);
    int rc;
    memset(p, FILL, n + 1);
    rc = ws_random(NULL, p, n);
    if (p[n] != FILL)
        return luaL_error(L, "wrote behind");
    if (rc != WS_OK)
        probe_result(L, rc);
    lua_pushlstring(L, (const char *)p, n);
    return rc == WS_OK ? 1 : 3;
}

static int equal(lua_State *L)
{
    lua_pushboolean(L,
                    ws_equal_const_time(probe_slice(L, 1), probe_slice(L, 2)));
    return 1;
}

static int no_bytes(unsigned char *p, int n)
{
    (void)p;
    (void)n;
    return 0;
}

/* break_random(yes): OpenSSL's generator fails from now on, or works again. */
static int break_random(lua_State *L)
{
    static const RAND_METHOD broken = {NULL, no_bytes, NULL, NULL, NULL, NULL};
    RAND_set_rand_method(lua_toboolean(L, 1) ? &broken : NULL);
    return 0;
}

/* break_digest(yes): OpenSSL finds no algorithm from now on, or does again. */
static int break_digest(lua_State *L)
{
    EVP_set_default_properties(NULL,
                               lua_toboolean(L, 1) ? "provider=none" : "");
    return 0;
}

/* -- keys -- */

#define KEYS "probe.keys"

static int keys_new(lua_State *L)
{
    ws_keys_init(probe_new(L, sizeof(struct ws_keys), KEYS, 0));
    return 1;
}

/* keys:next() -> key or nil, code */
static int keys_next(lua_State *L)
{
    struct ws_keys *k = luaL_checkudata(L, 1, KEYS);
    uint8_t key[4];
    int rc = ws_keys_next(k, key);
    if (rc != WS_OK)
        return probe_result(L, rc);
    lua_pushlstring(L, (const char *)key, sizeof key);
    return 1;
}

/* keys:scarce() -> the code of next when the system has no page to give */
static int keys_scarce(lua_State *L)
{
    struct ws_keys *k = luaL_checkudata(L, 1, KEYS);
    struct rlimit old, none;
    uint8_t key[4];
    int rc;
    if (getrlimit(RLIMIT_AS, &old) != 0)
        return luaL_error(L, "getrlimit failed");
    none = old;
    none.rlim_cur = 1;
    if (setrlimit(RLIMIT_AS, &none) != 0)
        return luaL_error(L, "setrlimit failed");
    rc = ws_keys_next(k, key);
    setrlimit(RLIMIT_AS, &old);
    lua_pushstring(L, ws_err_name(rc));
    return 1;
}

/* keys:plain() -> as on a system that does not empty pages in a child;
** true when it was one that does */
static int keys_plain(lua_State *L)
{
    struct ws_keys *k = luaL_checkudata(L, 1, KEYS);
    lua_pushboolean(L, k->wiped);
    k->wiped = 0;
    k->pid = (int)getpid(); /* who filled it */
    return 1;
}

/* keys:page() -> the bytes of the page, used and unused, or nil */
static int keys_page(lua_State *L)
{
    struct ws_keys *k = luaL_checkudata(L, 1, KEYS);
    if (k->page == NULL)
        return 0;
    lua_pushlstring(L, (const char *)(void *)k->page, 1024);
    return 1;
}

static int keys_free(lua_State *L)
{
    ws_keys_free(luaL_checkudata(L, 1, KEYS));
    return 0;
}

static const luaL_Reg keys_methods[] = {
    {"next", keys_next},     {"plain", keys_plain}, {"page", keys_page},
    {"scarce", keys_scarce}, {"free", keys_free},   {NULL, NULL},
};

/* -- the functions -- */

void probe_open_bytes(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"guard", guard_new},
        {"utf8", utf8_valid},
        {"utf8_feed", utf8_feed},
        {"utf8_spread", utf8_spread},
        {"base64_encode", base64_encode},
        {"base64_decode", base64_decode},
        {"accept", accept_token},
        {"hash", hash},
        {"hash_there", hash_there},
        {"hmac", hmac},
        {"wiped", wiped},
        {"random", random_bytes},
        {"equal", equal},
        {"break_random", break_random},
        {"break_digest", break_digest},
        {"keys", keys_new},
        {NULL, NULL},
    };
    probe_class(L, GUARD, guard_methods, guard_gc);
    probe_class(L, KEYS, keys_methods, keys_free);
    luaL_setfuncs(L, functions, 0);
}
