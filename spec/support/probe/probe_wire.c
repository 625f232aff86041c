/* probe_wire.c -- probe.wire: frames, questions to heads, writing and URLs out
** of little memory, hosts, names, paths. */
#include "probe.h"

#include "base/buf.h"
#include "base/err.h"
#include "wire/field.h"
#include "wire/frame.h"
#include "wire/head.h"
#include "wire/host.h"
#include "wire/idna.h"
#include "wire/date.h"
#include "wire/location.h"
#include "wire/proxy.h"
#include "wire/target.h"
#include "wire/uri.h"

/* -- frames -- */

/* frame(bytes, masked, rsv1) -> size, fin, rsv1, opcode, length, key; or nil
** and the name of the error, "MORE" among them */
static int frame(lua_State *L)
{
    struct ws_span s = probe_copy(L, 1);
    unsigned expect = (lua_toboolean(L, 2) ? WS_FRAME_MASKED : 0u) |
                      (lua_toboolean(L, 3) ? WS_FRAME_RSV1 : 0u);
    struct ws_frame f;
    size_t size;
    int rc = ws_frame_read(&f, ws_slice_of(s.p, s.n), expect, &size);

    if (rc != WS_OK)
        return probe_result(L, rc);
    lua_pushinteger(L, (lua_Integer)size);
    lua_pushboolean(L, f.fin);
    lua_pushboolean(L, f.rsv1);
    lua_pushinteger(L, f.op);
    lua_pushinteger(L, (lua_Integer)f.len);
    if (!f.masked)
        return 5;
    probe_push(L, ws_slice_of(f.key, 4));
    return 6;
}

/* head_size(length, masked) -> bytes */
static int head_size(lua_State *L)
{
    size_t n = ws_frame_head_size((uint64_t)luaL_checkinteger(L, 1),
                                  lua_toboolean(L, 2));
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

/* payload_in(run, off) -> bytes */
static int payload_in(lua_State *L)
{
    struct ws_span s = probe_copy(L, 1);
    size_t n = ws_frame_payload_in(ws_slice_of(s.p, s.n), probe_size(L, 2));
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

/* -- heads -- */

/* parse(bytes, response, fields_max) -> bytes after parsing, number of
** fields; or nil and the name of the error */
static int parse(lua_State *L)
{
    struct ws_span span = probe_copy(L, 1);
    size_t max = probe_size(L, 3);
    struct ws_head h;
    int rc;

    h.fields = lua_newuserdatauv(L, (max + 1) * sizeof *h.fields, 0);
    h.fields_max = (unsigned)max;
    rc = ws_head_parse(&h, span, lua_toboolean(L, 2));
    if (rc != WS_OK)
        return probe_result(L, rc);
    probe_push(L, ws_slice_of(span.p, span.n));
    lua_pushinteger(L, h.nfields);
    return 2;
}

/* dribble(bytes [, size_max]) -> size, "MORE" or the name of the error, and how
** many bytes it took to know, when they come one by one */
static int dribble(lua_State *L)
{
    struct ws_slice s = probe_slice(L, 1);
    struct ws_head_limits limits = {0, 0, 0, 0};
    int own = !lua_isnoneornil(L, 2);
    struct ws_head_scan scan;
    size_t n, size = 0;
    int rc = WS_MORE;

    if (own)
        limits.size_max = probe_size(L, 2);
    ws_head_scan_init(&scan);
    for (n = 1; n <= s.n && rc == WS_MORE; n++)
        rc = ws_head_scan(&scan, ws_slice_of(s.p, n), own ? &limits : NULL,
                          &size);
    if (rc == WS_OK)
        lua_pushinteger(L, (lua_Integer)size);
    else
        lua_pushstring(L, rc == WS_MORE ? "MORE" : ws_err_name(rc));
    lua_pushinteger(L, (lua_Integer)n - 1);
    return 2;
}

/* A head whose fields are the {name, value} of the list at arg. */
static void make_head(lua_State *L, int arg, struct ws_head *h)
{
    size_t i, n = lua_rawlen(L, arg);
    memset(h, 0, sizeof *h);
    h->fields = lua_newuserdatauv(L, (n + 1) * sizeof *h->fields, 0);
    h->nfields = h->fields_max = (unsigned)n;
    luaL_checkstack(L, (int)n * 3, NULL);
    for (i = 0; i < n; i++) {
        lua_rawgeti(L, arg, (lua_Integer)i + 1);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        h->fields[i].name = probe_slice(L, -2);
        h->fields[i].value = probe_slice(L, -1);
    }
}

/* has_token(fields, name, token) -> boolean */
static int has_token(lua_State *L)
{
    struct ws_head h;
    make_head(L, 1, &h);
    lua_pushboolean(L, ws_head_has_token(&h, luaL_checkstring(L, 2),
                                         luaL_checkstring(L, 3)));
    return 1;
}

/* is_list(fields, name, versions) -> boolean */
static int is_list(lua_State *L)
{
    struct ws_head h;
    make_head(L, 1, &h);
    lua_pushboolean(
        L, ws_head_is_list(&h, luaL_checkstring(L, 2), lua_toboolean(L, 3)));
    return 1;
}

/* find(fields, name) -> count, then the value of each */
static int find(lua_State *L)
{
    const struct ws_field *f = NULL;
    const char *name = luaL_checkstring(L, 2);
    struct ws_head h;
    int n = 1;

    make_head(L, 1, &h);
    luaL_checkstack(L, (int)h.nfields + 1, NULL);
    lua_pushinteger(L, ws_head_count(&h, name));
    for (;;) {
        f = ws_head_find(&h, name, f);
        if (f == NULL)
            return n;
        probe_push(L, f->value);
        n++;
    }
}

/* put(mem, limit, what, ...) -> bytes written, or nil and the error.  what is
** request, status, field or end; a prefix "kept" is in the buffer before. */
static int put(lua_State *L)
{
    static const char *const kinds[] = {"request", "status", "field", "end",
                                        NULL};
    struct ws_mem *mem = probe_mem(L, 1);
    int rc, kind = luaL_checkoption(L, 3, NULL, kinds);
    struct ws_slice a = ws_slice_of(NULL, 0), b = a;
    struct ws_buf buf;

    if (kind != 3)
        b = probe_slice(L, 5);
    if (kind == 0 || kind == 2)
        a = probe_slice(L, 4);
    ws_buf_init(&buf, probe_size(L, 2));
    rc = ws_buf_append(&buf, mem, ws_slice_str("kept"));
    if (rc == WS_OK && kind == 0)
        rc = ws_head_put_request(&buf, mem, a, b);
    else if (rc == WS_OK && kind == 1)
        rc = ws_head_put_status(&buf, mem, (int)luaL_checkinteger(L, 4), b);
    else if (rc == WS_OK && kind == 2)
        rc = ws_head_put_field(&buf, mem, a, b);
    else if (rc == WS_OK)
        rc = ws_head_put_end(&buf, mem);
    probe_push(L, ws_buf_peek(&buf));
    ws_buf_free(&buf, mem);
    if (rc == WS_OK)
        return 1;
    lua_pushnil(L);
    lua_pushstring(L, ws_err_name(rc));
    lua_pushvalue(L, -3); /* what is there nonetheless */
    return 3;
}

/* show(bytes, room) -> text */
static int show(lua_State *L)
{
    struct ws_span s = probe_copy(L, 1);
    size_t n = probe_size(L, 2);
    char *out = lua_newuserdatauv(L, n, 0);

    ws_field_show(out, n, ws_slice_of(s.p, s.n));
    lua_pushstring(L, out);
    return 1;
}

/* field_ok(name, value) -> boolean */
static int field_ok(lua_State *L)
{
    lua_pushboolean(L, ws_head_field_ok(probe_slice(L, 1), probe_slice(L, 2)));
    return 1;
}

/* -- fields -- */

/* param(params, room) -> name, value, quoted; or nil and the error */
static int param(lua_State *L)
{
    struct ws_slice params = probe_slice(L, 1);
    size_t n = probe_size(L, 2);
    uint8_t *room = lua_newuserdatauv(L, n == 0 ? 1 : n, 0);
    struct ws_param p;
    int rc = ws_param_next(&params, &p, n == 0 ? NULL : room, n);

    if (rc != WS_OK)
        return probe_result(L, rc);
    probe_push(L, p.name);
    probe_push(L, p.value);
    lua_pushboolean(L, p.quoted);
    return 3;
}

/* extension_check(value) -> true, or nil and the error */
static int extension_check(lua_State *L)
{
    return probe_result(L, ws_extension_check(probe_slice(L, 1)));
}

/* classes(byte) -> the set of kinds */
static int classes(lua_State *L)
{
    lua_pushinteger(L, ws_ch[probe_size(L, 1) & 0xFF]);
    return 1;
}

/* -- hosts and paths -- */

/* host(text) -> text, kind; or nil and a sentence */
static int host(lua_State *L)
{
    static const char *const kinds[] = {"name", "ipv4", "ipv6"};
    struct ws_span s = probe_copy(L, 1);
    const char *why = NULL;
    struct ws_host h;

    if (ws_host_parse(&h, ws_slice_of(s.p, s.n), &why) != WS_OK) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        return 2;
    }
    lua_pushstring(L, h.text);
    lua_pushstring(L, kinds[h.kind]);
    return 2;
}

/* ascii(name, room) -> name in ASCII; or nil and a sentence */
static int ascii(lua_State *L)
{
    struct ws_span s = probe_copy(L, 1);
    size_t n = probe_size(L, 2);
    char *out = lua_newuserdatauv(L, n == 0 ? 1 : n, 0);
    const char *why = NULL;

    if (ws_idna_ascii(out, &n, ws_slice_of(s.p, s.n), &why) != WS_OK) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        return 2;
    }
    lua_pushlstring(L, out, n);
    return 1;
}

/* normalise(path) -> path */
static int normalise(lua_State *L)
{
    struct ws_span s = probe_copy(L, 1);
    ws_path_normalise(&s);
    probe_push(L, ws_slice_of(s.p, s.n));
    return 1;
}

/* percent(text, at) -> the octet meant at that offset, or nil */
static int percent(lua_State *L)
{
    struct ws_span s = probe_copy(L, 1);
    uint8_t octet;
    if (!ws_percent_at(ws_slice_of(s.p, s.n), probe_size(L, 2), &octet))
        return 0;
    lua_pushinteger(L, octet);
    return 1;
}

/* -- URLs -- */

/* uri(mem, text [, room]) -> url, Host value; or nil and the error */
static int uri(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    size_t n = (size_t)luaL_optinteger(L, 3, WS_HOST_HEADER_SIZE);
    struct ws_span s = probe_copy(L, 2);
    char *header = lua_newuserdatauv(L, n == 0 ? 1 : n, 0);
    struct ws_uri u;
    int rc = ws_uri_parse(&u, mem, ws_slice_of(s.p, s.n), NULL);

    if (rc == WS_OK && n == WS_HOST_HEADER_SIZE) /* as those who keep it do */
        ws_uri_move(&u, mem, lua_newuserdatauv(L, u.size, 0));
    if (rc == WS_OK) {
        lua_pushstring(L, u.text);
        rc = ws_uri_host_header(&u, header, n);
    }
    ws_uri_free(&u, mem);
    ws_uri_free(&u, mem); /* twice is fine */
    if (rc != WS_OK)
        return probe_result(L, rc);
    lua_pushstring(L, header);
    return 2;
}

/* date(seconds) -> text; or nil and the error.  The bytes are of exactly its
** size. */
static int date(lua_State *L)
{
    int64_t seconds = luaL_checkinteger(L, 1);
    char *text = lua_newuserdata(L, WS_DATE_SIZE);
    int rc = ws_date_write(text, seconds);
    if (rc != WS_OK)
        return probe_result(L, rc);
    lua_pushlstring(L, text, WS_DATE_SIZE);
    return 1;
}

/* redirects(status) -> boolean */
static int redirects(lua_State *L)
{
    lua_pushboolean(L, ws_location_status((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* proxy(mem, url) -> kind, host, port, user, password; or nil, the error and
** why */
static int proxy(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    struct ws_span s = probe_copy(L, 2);
    const char *why = NULL;
    struct ws_uri u;
    int rc = ws_proxy_parse(&u, mem, ws_slice_of(s.p, s.n), &why);

    if (rc != WS_OK) {
        probe_result(L, rc);
        lua_pushstring(L, rc == WS_ERR_URI ? why : NULL);
        return 3;
    }
    lua_pushstring(L, u.scheme == WS_URI_HTTP    ? "http"
                      : u.scheme == WS_URI_HTTPS ? "https"
                                                 : "socks5");
    lua_pushstring(L, u.host);
    lua_pushinteger(L, u.port);
    lua_pushstring(L, u.user);
    lua_pushstring(L, u.password);
    ws_uri_free(&u, mem);
    return 5;
}

/* bypass(list, host, port) -> boolean */
static int bypass(lua_State *L)
{
    lua_pushboolean(L, ws_proxy_bypass(luaL_checkstring(L, 1),
                                       luaL_checkstring(L, 2),
                                       (int)luaL_checkinteger(L, 3)));
    return 1;
}

/* What choose's getenv reads: names and values in turn, then NULL. */
static const char *variables[64];

static char *variable(const char *name)
{
    size_t i;
    for (i = 0; variables[i] != NULL; i += 2) {
        if (strcmp(variables[i], name) == 0)
            return (char *)(uintptr_t)variables[i + 1];
    }
    return NULL;
}

/* choose(url, {name = value}) -> value, name; or nil */
static int choose(lua_State *L)
{
    struct ws_mem mem;
    struct ws_uri u;
    const char *value, *name = NULL;
    size_t n = 0;

    ws_mem_init(&mem, NULL, NULL);
    for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
        variables[n++] = luaL_checkstring(L, -2);
        variables[n++] = luaL_checkstring(L, -1);
    }
    variables[n] = NULL;
    luaL_argcheck(L, ws_uri_parse(&u, &mem, probe_slice(L, 1), NULL) == WS_OK,
                  1, "no URL");
    value = ws_proxy_choose(variable, &u, &name);
    ws_uri_free(&u, &mem);
    lua_pushstring(L, value);
    lua_pushstring(L, value == NULL ? NULL : name);
    return value == NULL ? 1 : 2;
}

/* location(mem, from, ref) -> url, same origin; or nil, the error and why */
static int location(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    struct ws_span ref = probe_copy(L, 3);
    const char *why = NULL;
    struct ws_uri from, to;
    int rc = ws_uri_parse(&from, mem, probe_slice(L, 2), &why);

    if (rc == WS_OK) {
        rc = ws_location_read(&to, mem, &from, ws_slice_of(ref.p, ref.n), &why);
        lua_pushstring(L, rc == WS_OK ? to.text : NULL);
        lua_pushboolean(L, rc == WS_OK && ws_location_same(&from, &to));
        ws_uri_free(&to, mem);
    }
    ws_uri_free(&from, mem);
    if (rc == WS_OK)
        return 2;
    probe_result(L, rc);
    lua_pushstring(L, rc == WS_ERR_URI ? why : NULL);
    return 3;
}

int ws_probe_wire(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"frame", frame},
        {"head_size", head_size},
        {"payload_in", payload_in},
        {"parse", parse},
        {"has_token", has_token},
        {"is_list", is_list},
        {"dribble", dribble},
        {"find", find},
        {"put", put},
        {"field_ok", field_ok},
        {"show", show},
        {"param", param},
        {"classes", classes},
        {"extension_check", extension_check},
        {"host", host},
        {"ascii", ascii},
        {"normalise", normalise},
        {"percent", percent},
        {"uri", uri},
        {"location", location},
        {"date", date},
        {"redirects", redirects},
        {"proxy", proxy},
        {"bypass", bypass},
        {"choose", choose},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    probe_open_deflate(L);
    probe_open_auth(L);
    return 1;
}
