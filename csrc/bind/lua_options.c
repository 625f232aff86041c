/* bind/lua_options.c -- options tables to struct ws_conf.
**
** Every limit has its default here, its reason beside it, and its option.
** 0 means "no limit" for sizes and counts, "off" for times.
*/
#include "bind/lua_options.h"

#include "bind/lua_deflate.h"

#include "wire/head.h"

/* Defaults; sizes in bytes, times in seconds. */
enum {
    CLIENT_PAYLOAD = 16 * 1024 * 1024, /* a client chose whom to trust */
    SERVER_PAYLOAD = 1024 * 1024,      /* a server serves strangers */
    FRAGMENTS = 4096, /* more than any sender needs; each costs a loop */
    BUFFERED = 16 * 1024 * 1024, /* a slow peer costs no more than this */
    HIGH_WATER = 1024 * 1024,
    LOW_WATER = 256 * 1024,
    QUEUE = 16,                /* messages: enough to keep a reader busy */
    SERVER_BODY = 1024 * 1024, /* of a plain request */
    CLIENT_BODY = 64 * 1024,   /* of a refusal: enough to read why */
    HEAD_MIN = 256,            /* maxHeaderSize: no handshake fits in less */
    HEAD_MAX = 1024 * 1024
};

static const double handshake_s = 10; /* DNS, TCP and the head together */
static const double answer_s = 60;    /* what proxies wait for as well */
static const double close_s = 5;      /* for the peer's Close, then its FIN */
static const double ping_s = 30;      /* under the usual proxy's 60 */
static const double pong_s = 20;
static const double send_s = 30; /* without one byte accepted */

/* clang-format off */
static const char *const client_names[] = {
    "headers", "origin", "auth", "host", "handshakeKey", "protocols",
    "maxPayload", "maxFragments", "maxHeaderSize", "maxBuffered",
    "highWaterMark", "lowWaterMark", "receiveQueue", "streaming",
    "handshakeTimeout", "closeTimeout", "pingInterval", "pingTimeout",
    "sendTimeout", "autoPong", "frames", "noDelay", "loop", "localAddress",
    "maxRedirects", "proxy", "perMessageDeflate", "tls", NULL};

static const char *const server_names[] = {
    "headers", "protocols", "maxPayload", "maxFragments", "maxHeaderSize",
    "maxBuffered", "highWaterMark", "lowWaterMark", "receiveQueue",
    "streaming", "handshakeTimeout", "closeTimeout", "pingInterval",
    "pingTimeout", "sendTimeout", "autoPong", "frames", "noDelay", "loop",
    "port", "host", "path", "backlog", "reusePort", "tls", "maxConnections",
    "maxPerAddress", "handshakesMax", "responseTimeout", "maxBody", "hosts",
    "origins", "verify", "slowConsumer", "perMessageDeflate", "router",
    "onconnection", "onmessage", "onclose", "onerror", "onping", "onpong",
    "ondrain", "onchunk", "onrequest", "onupgrade", "onlistening", "onclosed",
    "onrefused", NULL};
/* clang-format on */

/* A server has its handlers among the options, a client has not. */
static void refuse_handlers(lua_State *L, int idx)
{
    static const char *const names[] = {"onopen", "onmessage", "onclose",
                                        "onerror", NULL};
    const char *const *name;

    for (name = names; *name != NULL; name++) {
        if (lua_getfield(L, idx, *name) != LUA_TNIL)
            luaL_error(L,
                       "unknown option '%s'; a client's handlers are set on "
                       "its socket",
                       *name);
        lua_pop(L, 1);
    }
}

void ws_check_options(lua_State *L, int idx, int server)
{
    if (lua_isnoneornil(L, idx))
        return;
    ws_check_table(L, idx, "options");
    if (!server)
        refuse_handlers(L, idx);
    ws_check_keys(L, idx, "option", server ? server_names : client_names);
}

/* A size or count of which 0 is "no limit". */
static lua_Integer limit(lua_State *L, int idx, const char *name,
                         lua_Integer def)
{
    lua_Integer v =
        ws_get_integer(L, idx, name, WS_RANGE(def, 0, LUA_MAXINTEGER));
    return v == 0 ? LUA_MAXINTEGER : v;
}

static void read_limits(lua_State *L, int idx, struct ws_conf *conf)
{
    int server = conf->role == WS_SERVER;
    int streaming = ws_get_boolean(L, idx, "streaming", 0);
    lua_Integer n;

    conf->message.payload_max = (uint64_t)limit(L, idx, "maxPayload",
                                                streaming ? 0
                                                : server  ? SERVER_PAYLOAD
                                                          : CLIENT_PAYLOAD);
    n = limit(L, idx, "maxFragments", streaming ? 0 : FRAGMENTS);
    conf->message.streaming = streaming != 0;
    conf->message.fragments_max = n > 0x7FFFFFFF ? 0x7FFFFFFF : (unsigned)n;
    conf->head.size_max =
        (size_t)ws_get_integer(L, idx, "maxHeaderSize",
                               WS_RANGE(WS_HEAD_SIZE_MAX, HEAD_MIN, HEAD_MAX));
    conf->head.lines_max = WS_HEAD_LINES_MAX;
    conf->head.line_max = WS_HEAD_LINE_MAX;
    conf->head.target_max = WS_HEAD_TARGET_MAX;
    conf->body_max = CLIENT_BODY;
    if (server)
        conf->body_max = (size_t)ws_get_integer(
            L, idx, "maxBody", WS_RANGE(SERVER_BODY, 0, LUA_MAXINTEGER));
    conf->buffered_max = (size_t)limit(L, idx, "maxBuffered", BUFFERED);
    conf->high_water = (size_t)ws_get_integer(
        L, idx, "highWaterMark", WS_RANGE(HIGH_WATER, 0, LUA_MAXINTEGER));
    n = conf->high_water < LOW_WATER ? (lua_Integer)conf->high_water
                                     : LOW_WATER;
    conf->low_water = (size_t)ws_get_integer(L, idx, "lowWaterMark",
                                             WS_RANGE(n, 0, LUA_MAXINTEGER));
    if (conf->low_water > conf->high_water)
        luaL_error(L, "option 'lowWaterMark' must not be above "
                      "'highWaterMark'");
}

/* Frame mode shows frames as they are, so none may be compressed, or be put
** together in part. */
static void drop_pmd(lua_State *L, int idx, struct ws_conf *conf)
{
    if (conf->message.streaming)
        luaL_error(L, "options 'frames' and 'streaming' exclude one another");
    if (ws_get_field(L, idx, "perMessageDeflate", LUA_TNONE) &&
        lua_toboolean(L, -1))
        luaL_error(L, "options 'frames' and 'perMessageDeflate' exclude one "
                      "another");
    lua_pop(L, 1);
    conf->pmd.on = 0;
}

void ws_read_conf(lua_State *L, int idx, struct ws_conf *conf)
{
    read_limits(L, idx, conf);
    conf->handshake_ms =
        ws_get_seconds(L, idx, "handshakeTimeout", handshake_s);
    if (conf->role == WS_SERVER)
        conf->answer_ms = ws_get_seconds(L, idx, "responseTimeout", answer_s);
    conf->close_ms = ws_get_seconds(L, idx, "closeTimeout", close_s);
    conf->ping_ms = ws_get_seconds(L, idx, "pingInterval", ping_s);
    conf->pong_ms = ws_get_seconds(L, idx, "pingTimeout", pong_s);
    conf->send_ms = ws_get_seconds(L, idx, "sendTimeout", send_s);
    conf->auto_pong = ws_get_boolean(L, idx, "autoPong", 1) != 0;
    ws_read_pmd(L, idx, conf);
    conf->frames = ws_get_boolean(L, idx, "frames", 0) != 0;
    if (conf->frames)
        drop_pmd(L, idx, conf);
}

/* checkKeys(table, what, names): raises as ws_check_keys; for files in Lua,
** whose options are refused like all others. */
static int check_keys(lua_State *L)
{
    const char **names, *what = luaL_checkstring(L, 2);
    lua_Integer i, n;

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    n = (lua_Integer)lua_rawlen(L, 3);
    names = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *names, 0);
    for (i = 0; i < n; i++) {
        lua_rawgeti(L, 3, i + 1);
        luaL_checktype(L, -1, LUA_TSTRING); /* of a number it would be new */
        names[i] = lua_tostring(L, -1);     /* the table keeps it alive */
        lua_pop(L, 1);
    }
    names[n] = NULL;
    ws_check_keys(L, 1, what, names);
    return 0;
}

/* checkHeaders(headers, answer), checkProtocols(list): raise now for what an
** upgrade's accept, or with `answer` a response's send, would raise for. */
static int check_headers(lua_State *L)
{
    unsigned n;

    ws_read_fields(L, 1, &n,
                   lua_toboolean(L, 2) ? ws_welcome_reserved
                                       : ws_hello_reserved);
    return 0;
}

static int check_protocols(lua_State *L)
{
    ws_read_protocols(L, 1);
    return 0;
}

/* wordDistance(a, b): for the command's flags. */
static int word_distance(lua_State *L)
{
    size_t n = ws_word_distance(luaL_checkstring(L, 1), luaL_checkstring(L, 2));

    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

void ws_open_options(lua_State *L)
{
    lua_pushcfunction(L, word_distance);
    lua_setfield(L, -2, "wordDistance");
    lua_pushcfunction(L, check_keys);
    lua_setfield(L, -2, "checkKeys");
    lua_pushcfunction(L, check_headers);
    lua_setfield(L, -2, "checkHeaders");
    lua_pushcfunction(L, check_protocols);
    lua_setfield(L, -2, "checkProtocols");
}

uint32_t ws_read_queue(lua_State *L, int idx)
{
    return (uint32_t)ws_get_integer(L, idx, "receiveQueue",
                                    WS_RANGE(QUEUE, 1, 0x7FFFFFFF));
}
