/* probe_tunnel.c -- probe.net.tunnel: streams of proxies on a scripted one.
**
** The stream below says what it was fed, in sips if told so, and notes what is
** written to it; it can make one wait, end, and fail.
*/
#include "probe_tunnel.h"

#include "net/proxy.h"
#include "net/socks.h"

#define TUNNEL "probe.tunnel"

enum { ROOM = 1 << 15 };

/* The one below. */
struct script {
    struct ws_stream stream;
    uint8_t in[ROOM], out[ROOM];
    size_t from, to, said;
    int sip;         /* most bytes of a read or write; 0: any */
    int turns;       /* 1: between any two calls there is a WS_AGAIN */
    int patience;    /* whose turn it is */
    int ended, fail; /* after what was fed: the end, an error */
    int mute;        /* 1: it takes nothing */
    int closed;
};

static int waits(struct script *x)
{
    x->patience = x->turns && !x->patience;
    return x->patience;
}

static size_t sip_of(const struct script *x, size_t n)
{
    return x->sip > 0 && (size_t)x->sip < n ? (size_t)x->sip : n;
}

static ptrdiff_t script_read(struct ws_stream *s, struct ws_span room)
{
    struct script *x = ws_container(s, struct script, stream);
    size_t n = sip_of(x, room.n);

    if (waits(x))
        return WS_AGAIN;
    if (x->from == x->to)
        return x->fail ? WS_ERR_SYSTEM : x->ended ? 0 : WS_AGAIN;
    n = n < x->to - x->from ? n : x->to - x->from;
    memcpy(room.p, x->in + x->from, n);
    x->from += n;
    return (ptrdiff_t)n;
}

static ptrdiff_t script_write(struct ws_stream *s, const struct ws_slice *v,
                              int n)
{
    struct script *x = ws_container(s, struct script, stream);
    size_t m, start = x->said;
    int i;

    if (waits(x) || x->mute)
        return WS_AGAIN;
    if (x->fail)
        return WS_ERR_SYSTEM;
    for (i = 0; i < n; i++) {
        m = v[i].n < ROOM - x->said ? v[i].n : ROOM - x->said;
        if (x->sip > 0)
            m = sip_of(x, m);
        memcpy(x->out + x->said, v[i].p, m);
        x->said += m;
        if (m < v[i].n)
            break;
    }
    return (ptrdiff_t)(x->said - start);
}

static int script_shutdown(struct ws_stream *s)
{
    ws_container(s, struct script, stream)->ended |= 2;
    return WS_OK;
}

static void script_close(struct ws_stream *s)
{
    ws_container(s, struct script, stream)->closed++;
}

static const char *script_failure(struct ws_stream *s, const char *call,
                                  char *text, size_t size)
{
    (void)s;
    if (size > 0)
        text[0] = '\0';
    strncat(text, call, size - 1);
    strncat(text, " below", size - 1 - strlen(text));
    return "BELOW";
}

static const struct ws_stream_ops ops = {
    NULL,         script_read,    script_write, script_shutdown,
    script_close, script_failure, NULL,
};

/* -- a tunnel on it -- */

struct tunnel {
    struct script below;
    struct ws_stream *top;
};

static const char *text_of(lua_State *L, int idx, const char *name)
{
    const char *s;
    lua_getfield(L, idx, name);
    s = lua_tostring(L, -1); /* stays in the table */
    lua_pop(L, 1);
    return s;
}

static int number_of(lua_State *L, int idx, const char *name)
{
    int n;
    lua_getfield(L, idx, name);
    n = (int)luaL_optinteger(L, -1, 0);
    lua_pop(L, 1);
    return n;
}

int probe_tunnel_on(lua_State *L, int idx, struct ws_mem *mem,
                    struct ws_stream *below, struct ws_stream **top)
{
    struct ws_tunnel t;
    const char *kind = text_of(L, idx, "kind");

    memset(&t, 0, sizeof t);
    t.host = text_of(L, idx, "host");
    t.port = number_of(L, idx, "port");
    t.user = text_of(L, idx, "user");
    t.password = text_of(L, idx, "password");
    t.proxy = "proxy:1080";
    return strcmp(kind, "socks") == 0 ? ws_socks_new(top, below, mem, &t)
                                      : ws_proxy_new(top, below, mem, &t);
}

/* tunnel(mem, {kind =, host =, port =, user =, password =, sip =, turns =,
** late =}) late: put on the stream below when it is there already; a number:
** never -> tunnel, or nil and the error */
static int tunnel_new(lua_State *L)
{
    struct ws_mem *mem = probe_mem(L, 1);
    struct tunnel *t = probe_new(L, sizeof *t, TUNNEL, 2);
    int err;

    memset(t, 0, sizeof *t);
    t->below.stream.ops = &ops;
    t->below.sip = number_of(L, 2, "sip");
    t->below.turns = number_of(L, 2, "turns");
    lua_getfield(L, 2, "late");
    if (lua_toboolean(L, -1)) {
        err = probe_tunnel_on(L, 2, mem, NULL, &t->top);
        if (err == WS_OK && !lua_isnumber(L, -1))
            ws_prelude_stand(t->top, &t->below.stream);
    } else {
        err = probe_tunnel_on(L, 2, mem, &t->below.stream, &t->top);
    }
    lua_pop(L, 1);
    return err == WS_OK ? 1 : probe_result(L, err);
}

static struct tunnel *check(lua_State *L)
{
    struct tunnel *t = luaL_checkudata(L, 1, TUNNEL);
    luaL_argcheck(L, t->top != NULL, 1, "was closed");
    return t;
}

/* true, or nil and the error, "AGAIN" among them */
static int answer(lua_State *L, int rc)
{
    if (rc != WS_AGAIN)
        return probe_result(L, rc);
    lua_pushnil(L);
    lua_pushliteral(L, "AGAIN");
    return 2;
}

static int tunnel_open(lua_State *L)
{
    return answer(L, ws_stream_open(check(L)->top));
}

/* :read(n) -> bytes */
static int tunnel_read(lua_State *L)
{
    struct tunnel *t = check(L);
    size_t n = probe_size(L, 2);
    uint8_t *room = lua_newuserdatauv(L, n, 0);
    ptrdiff_t got = ws_stream_read(t->top, ws_span_of(room, n));

    if (got < 0)
        return answer(L, (int)got);
    lua_pushlstring(L, (char *)room, (size_t)got);
    return 1;
}

/* :write(bytes) -> how many */
static int tunnel_write(lua_State *L)
{
    struct tunnel *t = check(L);
    struct ws_slice v = probe_slice(L, 2);
    ptrdiff_t n = ws_stream_write(t->top, &v, 1);

    if (n < 0)
        return answer(L, (int)n);
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

/* :failure(call) -> words, word */
static int tunnel_failure(lua_State *L)
{
    char text[512];
    const char *word = ws_stream_failure(check(L)->top, luaL_checkstring(L, 2),
                                         text, sizeof text);
    lua_pushstring(L, text);
    lua_pushstring(L, word);
    return 2;
}

/* :want() -> the bits by name: "opening", "pending", "read_out", "write_in",
** "anew" */
static int tunnel_want(lua_State *L)
{
    static const char *const names[] = {
        "opening", "pending", "read_out", "write_in", NULL, NULL, "anew"};
    unsigned i, want = check(L)->top->want;
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    for (i = 0; i < 7; i++) {
        if (names[i] == NULL || (want >> i & 1) == 0)
            continue;
        if (luaL_bufflen(&b) > 0)
            luaL_addchar(&b, ' ');
        luaL_addstring(&b, names[i]);
    }
    luaL_pushresult(&b);
    return 1;
}

/* :anew() puts it on another connection, to which nothing was fed yet */
static int tunnel_anew(lua_State *L)
{
    struct tunnel *t = check(L);

    ws_prelude_leave(t->top);
    t->below.from = t->below.to = 0;
    t->below.ended = 0;
    ws_prelude_stand(t->top, &t->below.stream);
    return 0;
}

/* :feed(bytes) to the stream below; :ends(); :breaks(); :mute(on) */
static int tunnel_feed(lua_State *L)
{
    struct script *x = &check(L)->below;
    struct ws_slice s = probe_slice(L, 2);

    luaL_argcheck(L, s.n <= ROOM - x->to, 2, "too much");
    memcpy(x->in + x->to, s.p, s.n);
    x->to += s.n;
    return 0;
}

static int tunnel_ends(lua_State *L)
{
    check(L)->below.ended |= 1;
    return 0;
}

static int tunnel_breaks(lua_State *L)
{
    check(L)->below.fail = 1;
    return 0;
}

static int tunnel_mute(lua_State *L)
{
    check(L)->below.mute = lua_toboolean(L, 2);
    return 0;
}

/* :said() -> what was written to the stream below since */
static int tunnel_said(lua_State *L)
{
    struct script *x = &check(L)->below;

    lua_pushlstring(L, (char *)x->out, x->said);
    x->said = 0;
    return 1;
}

/* :shutdown() -> whether it reached the stream below */
static int tunnel_shutdown(lua_State *L)
{
    struct tunnel *t = check(L);

    ws_stream_shutdown(t->top);
    lua_pushboolean(L, (t->below.ended & 2) != 0);
    return 1;
}

/* :close() -> how often the stream below was closed */
static int tunnel_close(lua_State *L)
{
    struct tunnel *t = luaL_checkudata(L, 1, TUNNEL);

    if (t->top != NULL)
        ws_stream_close(t->top);
    t->top = NULL;
    lua_pushinteger(L, t->below.closed);
    return 1;
}

void probe_open_tunnel(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"open", tunnel_open},     {"read", tunnel_read},
        {"write", tunnel_write},   {"failure", tunnel_failure},
        {"want", tunnel_want},     {"anew", tunnel_anew},
        {"feed", tunnel_feed},     {"ends", tunnel_ends},
        {"breaks", tunnel_breaks}, {"mute", tunnel_mute},
        {"said", tunnel_said},     {"shutdown", tunnel_shutdown},
        {"close", tunnel_close},   {NULL, NULL},
    };

    probe_class(L, TUNNEL, methods, tunnel_close);
    lua_pushcfunction(L, tunnel_new);
    lua_setfield(L, -2, "tunnel");
}
