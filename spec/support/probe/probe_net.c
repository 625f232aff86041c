/* probe_net.c -- probe.net: errno, addresses, sockets, the resolver.
**
** An address is the bytes of a ws_addr as a string.
*/
#include "probe_sys.h"
#include "probe_tls.h"
#include "probe_tunnel.h"

#include "net/resolve.h"
#include "net/sock.h"

#include <errno.h>
#include <netdb.h>

#define SOCK "probe.sock"
#define RESOLVER "probe.resolver"
#define LOOKUP "probe.lookup"

/* -- errno -- */

static int errno_row(lua_State *L)
{
    int err = (int)luaL_checkinteger(L, 1);
    lua_pushstring(L, ws_errno_word(err));
    lua_pushstring(L, ws_errno_text(err));
    return 2;
}

static void open_errno(lua_State *L)
{
    static const struct {
        const char *name;
        int number;
    } rows[] = {
        {"EINTR", EINTR},
        {"EAGAIN", EAGAIN},
        {"EMFILE", EMFILE},
        {"ENFILE", ENFILE},
        {"ENOBUFS", ENOBUFS},
        {"ENOMEM", ENOMEM},
        {"EPERM", EPERM},
        {"EPIPE", EPIPE},
        {"EIO", EIO},
        {"EINVAL", EINVAL},
        {"EBADF", EBADF},
        {"EPROTO", EPROTO},
        {"ECONNABORTED", ECONNABORTED},
        {"ECONNREFUSED", ECONNREFUSED},
        {"ECONNRESET", ECONNRESET},
        {"EADDRINUSE", EADDRINUSE},
        {"ETIMEDOUT", ETIMEDOUT},
        {"ENETUNREACH", ENETUNREACH},
    };
    size_t i;

    lua_newtable(L);
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lua_pushinteger(L, rows[i].number);
        lua_setfield(L, -2, rows[i].name);
    }
    lua_setfield(L, -2, "E");
}

/* -- addresses -- */

static void get_addr(lua_State *L, int arg, struct ws_addr *a)
{
    struct ws_slice s = probe_slice(L, arg);
    luaL_argcheck(L, s.n == sizeof *a, arg, "an address");
    memcpy(a, s.p, sizeof *a);
}

static int push_addr(lua_State *L, int rc, const struct ws_addr *a)
{
    if (rc != WS_OK)
        return probe_result(L, rc);
    lua_pushlstring(L, (const char *)a, sizeof *a);
    return 1;
}

/* parse(text, port) -> address */
static int addr_parse(lua_State *L)
{
    struct ws_addr a;
    int rc =
        ws_addr_parse(&a, luaL_checkstring(L, 1), (int)luaL_checkinteger(L, 2));
    return push_addr(L, rc, &a);
}

/* unix(path) -> address */
static int addr_unix(lua_State *L)
{
    struct ws_addr a;
    return push_addr(L, ws_addr_unix(&a, luaL_checkstring(L, 1)), &a);
}

/* none() -> no address; nameless() -> a unix socket without a path;
** path(bytes) -> the address of exactly these bytes */
static int addr_none(lua_State *L)
{
    struct ws_addr a;
    memset(&a, 0, sizeof a);
    return push_addr(L, WS_OK, &a);
}

static int addr_path(lua_State *L)
{
    struct ws_slice s = probe_slice(L, 1);
    struct ws_addr a;
    memset(&a, 0, sizeof a);
    luaL_argcheck(L, s.n <= sizeof a.u.path.sun_path, 1, "too long");
    a.u.path.sun_family = AF_UNIX;
    memcpy(a.u.path.sun_path, s.p, s.n);
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + s.n);
    return push_addr(L, WS_OK, &a);
}

/* format(address [, n]) -> text, port; what lies behind n is checked */
static int addr_format(lua_State *L)
{
    char out[WS_ADDR_TEXT_MAX + 1];
    size_t n = (size_t)luaL_optinteger(L, 2, WS_ADDR_TEXT_MAX);
    struct ws_addr a;
    int port = -1;

    get_addr(L, 1, &a);
    memset(out, '#', sizeof out);
    ws_addr_format(&a, out, n, &port);
    luaL_argcheck(L, out[n] == '#', 2, "written behind the end");
    lua_pushstring(L, n == 0 ? NULL : out);
    lua_pushinteger(L, port);
    return 2;
}

/* name(address) -> text */
static int addr_name(lua_State *L)
{
    char out[WS_ADDR_NAME_MAX];
    struct ws_addr a;

    get_addr(L, 1, &a);
    ws_addr_name(&a, out, sizeof out);
    lua_pushstring(L, out);
    return 1;
}

/* family(address) -> "inet", "inet6", "unix" or "none" */
static int addr_family(lua_State *L)
{
    struct ws_addr a;
    int family;

    get_addr(L, 1, &a);
    family = ws_addr_family(&a);
    lua_pushstring(L, family == AF_INET    ? "inet"
                      : family == AF_INET6 ? "inet6"
                      : family == AF_UNIX  ? "unix"
                                           : "none");
    return 1;
}

static int addr_equal(lua_State *L)
{
    struct ws_addr a, b;
    get_addr(L, 1, &a);
    get_addr(L, 2, &b);
    lua_pushboolean(L, ws_addr_equal(&a, &b));
    return 1;
}

/* small(address) -> the address kept in few bytes and back, bytes */
static int addr_small(lua_State *L)
{
    uint8_t small[WS_ADDR_SMALL];
    struct ws_addr a, b;
    size_t n;

    get_addr(L, 1, &a);
    n = ws_addr_save(&a, small);
    ws_addr_load(&b, small, n);
    push_addr(L, WS_OK, &b);
    lua_pushinteger(L, (lua_Integer)n);
    return 2;
}

/* -- sockets -- */

static struct ws_sock *get_sock(lua_State *L, int arg)
{
    return luaL_checkudata(L, arg, SOCK);
}

static int sock_result(lua_State *L, int rc, const struct ws_sock *s)
{
    if (rc == WS_AGAIN) {
        lua_pushnil(L);
        lua_pushliteral(L, "AGAIN");
        return 2;
    }
    return probe_sys_result(L, rc, s->stream.err);
}

/* sock([fd]) */
static int sock_new(lua_State *L)
{
    int fd = (int)luaL_optinteger(L, 1, -1);
    struct ws_sock *s = probe_new(L, sizeof *s, SOCK, 0);
    ws_sock_init(s);
    if (fd >= 0)
        ws_sock_adopt(s, fd);
    return 1;
}

/* sock:connect(to [, from]) -> true, nil "MORE", or nil "SYSTEM" errno */
static int sock_connect(lua_State *L)
{
    struct ws_sock *s = get_sock(L, 1);
    struct ws_addr to, from;
    int local = !lua_isnoneornil(L, 3);

    get_addr(L, 2, &to);
    if (local)
        get_addr(L, 3, &from);
    return sock_result(L, ws_sock_connect(s, &to, local ? &from : NULL), s);
}

static int sock_connected(lua_State *L)
{
    struct ws_sock *s = get_sock(L, 1);
    return sock_result(L, ws_sock_connected(s), s);
}

/* sock:listen(address [, backlog [, reuse_port]]) */
static int sock_listen(lua_State *L)
{
    struct ws_sock *s = get_sock(L, 1);
    struct ws_addr a;

    get_addr(L, 2, &a);
    return sock_result(L,
                       ws_sock_listen(s, &a, (int)luaL_optinteger(L, 3, 0),
                                      lua_toboolean(L, 4)),
                       s);
}

/* sock:accept() -> fd, address */
static int sock_accept(lua_State *L)
{
    struct ws_sock *s = get_sock(L, 1);
    struct ws_addr peer;
    int fd = -1, rc = ws_sock_accept(s, &fd, &peer);

    if (rc != WS_OK)
        return sock_result(L, rc, s);
    lua_pushinteger(L, fd);
    push_addr(L, WS_OK, &peer);
    return 2;
}

/* sock:read(n) -> bytes ("" at the end) */
static int sock_read(lua_State *L)
{
    struct ws_sock *s = get_sock(L, 1);
    size_t n = probe_size(L, 2);
    uint8_t *room = lua_newuserdatauv(L, n, 0);
    ptrdiff_t got = ws_stream_read(&s->stream, ws_span_of(room, n));

    if (got < 0)
        return sock_result(L, (int)got, s);
    lua_pushlstring(L, (char *)room, (size_t)got);
    return 1;
}

/* sock:write(bytes, ...) -> bytes taken */
static int sock_write(lua_State *L)
{
    struct ws_sock *s = get_sock(L, 1);
    int i, n = lua_gettop(L) - 1;
    struct ws_slice *v = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *v, 0);
    ptrdiff_t done;

    for (i = 0; i < n; i++)
        v[i] = probe_slice(L, i + 2);
    done = ws_stream_write(&s->stream, v, n);
    if (done < 0)
        return sock_result(L, (int)done, s);
    lua_pushinteger(L, (lua_Integer)done);
    return 1;
}

static int sock_shutdown(lua_State *L)
{
    ws_stream_shutdown(&get_sock(L, 1)->stream);
    return 0;
}

static int sock_close(lua_State *L)
{
    ws_stream_close(&get_sock(L, 1)->stream);
    return 0;
}

static int sock_fd(lua_State *L)
{
    lua_pushinteger(L, get_sock(L, 1)->fd);
    return 1;
}

static int sock_nodelay(lua_State *L)
{
    ws_sock_nodelay(get_sock(L, 1), lua_toboolean(L, 2));
    return 0;
}

/* sock:more(): something follows what is written now */
static int sock_more(lua_State *L)
{
    get_sock(L, 1)->stream.want |= WS_STREAM_MORE;
    return 0;
}

/* sock:ends() -> local address, peer's address */
static int sock_ends(lua_State *L)
{
    struct ws_addr local, peer;
    ws_sock_local(get_sock(L, 1), &local);
    ws_sock_peer(get_sock(L, 1), &peer);
    push_addr(L, WS_OK, &local);
    push_addr(L, WS_OK, &peer);
    return 2;
}

/* s:left() -> whether the peer has, and whether bytes of its are there */
static int sock_left(lua_State *L)
{
    struct ws_sock *s = get_sock(L, 1);
    lua_pushboolean(L, (s->stream.want & WS_STREAM_LEFT) != 0);
    lua_pushboolean(L, ws_sock_has_bytes(s));
    return 2;
}

/* s:failure(call) -> words and word of what failed last */
static int sock_failure(lua_State *L)
{
    struct ws_sock *s = get_sock(L, 1);
    char text[256];
    const char *word = ws_stream_failure(&s->stream, luaL_checkstring(L, 2),
                                         text, sizeof text);
    lua_pushstring(L, text);
    lua_pushstring(L, word);
    return 2;
}

/* exhausted(errno) */
static int sock_exhausted(lua_State *L)
{
    lua_pushboolean(L, ws_sock_is_exhausted((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* spare_open() -> fd; spare_shed(sock, fd) -> fd; spare_close(fd) */
static int spare_open(lua_State *L)
{
    int spare;
    ws_spare_open(&spare);
    lua_pushinteger(L, spare);
    return 1;
}

static int spare_shed(lua_State *L)
{
    int spare = (int)luaL_checkinteger(L, 2);
    ws_spare_shed(get_sock(L, 1), &spare);
    lua_pushinteger(L, spare);
    return 1;
}

static int spare_close(lua_State *L)
{
    int spare = (int)luaL_checkinteger(L, 1);
    ws_spare_close(&spare);
    ws_spare_close(&spare);
    lua_pushinteger(L, spare);
    return 1;
}

/* -- the resolver -- */

struct lookup {
    struct ws_lookup l;
    lua_Integer id;
};

static struct ws_resolver *get_resolver(lua_State *L)
{
    return luaL_checkudata(L, 1, RESOLVER);
}

static struct ws_lookup *get_lookup(lua_State *L, int arg)
{
    return &((struct lookup *)luaL_checkudata(L, arg, LOOKUP))->l;
}

static int resolver_new(lua_State *L)
{
    struct ws_resolver *r = probe_new(L, sizeof *r, RESOLVER, 0);
    int rc = ws_resolver_init(r);
    return rc == WS_OK ? 1 : probe_sys_result(L, rc, errno);
}

static int resolver_free(lua_State *L)
{
    ws_resolver_free(get_resolver(L));
    return 0;
}

static int resolver_fd(lua_State *L)
{
    lua_pushinteger(L, get_resolver(L)->fd);
    return 1;
}

/* lookup(id); kept alive by the spec */
static int lookup_new(lua_State *L)
{
    struct lookup *l = probe_new(L, sizeof *l, LOOKUP, 0);
    l->id = luaL_checkinteger(L, 1);
    return 1;
}

/* resolver:start(lookup, host, port) */
static int resolver_start(lua_State *L)
{
    int rc = ws_resolver_start(get_resolver(L), get_lookup(L, 2),
                               luaL_checkstring(L, 3),
                               (int)luaL_optinteger(L, 4, 80));
    return probe_sys_result(L, rc, errno);
}

/* resolver:next() -> id or nil */
static int resolver_next(lua_State *L)
{
    struct ws_lookup *l = ws_resolver_next(get_resolver(L));
    if (l == NULL)
        return 0;
    lua_pushinteger(L, ws_container(l, struct lookup, l)->id);
    return 1;
}

static int resolver_cancel(lua_State *L)
{
    ws_lookup_cancel(get_resolver(L), get_lookup(L, 2));
    return 0;
}

/* lookup:answer() -> status word, text, errno, {"address port", ...} */
static int lookup_answer(lua_State *L)
{
    struct ws_lookup *l = get_lookup(L, 1);
    char text[WS_ADDR_TEXT_MAX];
    unsigned i;
    int port;

    lua_pushstring(L, l->status == 0 ? "OK" : ws_resolve_word(l->status));
    lua_pushstring(L, ws_resolve_text(l->status));
    lua_pushinteger(L, l->errnum);
    lua_newtable(L);
    for (i = 0; i < l->n; i++) {
        ws_addr_format(&l->addrs[i], text, sizeof text, &port);
        lua_pushfstring(L, "%s %d", text, port);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 4;
}

static int lookup_free(lua_State *L)
{
    ws_lookup_free(get_lookup(L, 1));
    return 0;
}

/* resolve_row(status) -> word, text */
static int resolve_row(lua_State *L)
{
    lua_pushstring(L, ws_resolve_word((int)luaL_checkinteger(L, 1)));
    lua_pushstring(L, ws_resolve_text((int)luaL_checkinteger(L, 1)));
    return 2;
}

static void open_eai(lua_State *L)
{
    static const struct {
        const char *name;
        int number;
    } rows[] = {
        {"EAI_AGAIN", EAI_AGAIN},       {"EAI_FAIL", EAI_FAIL},
        {"EAI_FAMILY", EAI_FAMILY},     {"EAI_MEMORY", EAI_MEMORY},
        {"EAI_NONAME", EAI_NONAME},     {"EAI_SERVICE", EAI_SERVICE},
        {"EAI_OVERFLOW", EAI_OVERFLOW}, {"EAI_SYSTEM", EAI_SYSTEM},
    };
    size_t i;

    lua_newtable(L);
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lua_pushinteger(L, rows[i].number);
        lua_setfield(L, -2, rows[i].name);
    }
    lua_setfield(L, -2, "EAI");
}

/* -- the table -- */

static const luaL_Reg sock_methods[] = {
    {"connect", sock_connect},
    {"connected", sock_connected},
    {"listen", sock_listen},
    {"accept", sock_accept},
    {"read", sock_read},
    {"write", sock_write},
    {"shutdown", sock_shutdown},
    {"close", sock_close},
    {"fd", sock_fd},
    {"nodelay", sock_nodelay},
    {"more", sock_more},
    {"ends", sock_ends},
    {"left", sock_left},
    {"failure", sock_failure},
    {NULL, NULL},
};

static const luaL_Reg resolver_methods[] = {
    {"free", resolver_free},     {"fd", resolver_fd},
    {"start", resolver_start},   {"next", resolver_next},
    {"cancel", resolver_cancel}, {NULL, NULL},
};

static const luaL_Reg lookup_methods[] = {
    {"answer", lookup_answer},
    {"free", lookup_free},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"errno", errno_row},
    {"parse", addr_parse},
    {"unix", addr_unix},
    {"none", addr_none},
    {"path", addr_path},
    {"format", addr_format},
    {"name", addr_name},
    {"family", addr_family},
    {"equal", addr_equal},
    {"small", addr_small},
    {"sock", sock_new},
    {"exhausted", sock_exhausted},
    {"spare_open", spare_open},
    {"spare_shed", spare_shed},
    {"spare_close", spare_close},
    {"resolver", resolver_new},
    {"lookup", lookup_new},
    {"resolve_row", resolve_row},
    {NULL, NULL},
};

int ws_probe_net(lua_State *L)
{
    probe_class(L, SOCK, sock_methods, sock_close);
    probe_class(L, RESOLVER, resolver_methods, NULL);
    probe_class(L, LOOKUP, lookup_methods, NULL);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    open_errno(L);
    open_eai(L);
    probe_open_tunnel(L);
    probe_open_tls(L);
    lua_newtable(L);
    probe_open_sys(L);
    probe_open_faults(L);
    lua_setfield(L, -2, "sys");
    return 1;
}
