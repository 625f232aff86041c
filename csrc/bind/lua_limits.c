/* bind/lua_limits.c -- limits and times of one socket of a server.
**
** A server's sockets share its configuration.  One that is accepted with
** limits of its own gets a copy, in which those are changed; it lies in a
** userdata the socket's own table holds.
*/
#include "bind/lua_gate.h"
#include "bind/lua_options.h"
#include "bind/lua_server.h"

/* What may be another for each socket, and where it is. */
#define PART(name, member)                        \
    {                                             \
        name, offsetof(struct ws_conf, member),   \
            sizeof(((struct ws_conf *)0)->member) \
    }

static const struct part {
    const char *name;
    size_t at, size;
} parts[] = {
    PART("maxPayload", message.payload_max),
    PART("maxFragments", message.fragments_max),
    PART("maxBuffered", buffered_max),
    PART("highWaterMark", high_water),
    PART("lowWaterMark", low_water),
    PART("closeTimeout", close_ms),
    PART("pingInterval", ping_ms),
    PART("pingTimeout", pong_ms),
    PART("sendTimeout", send_ms),
    PART("autoPong", auto_pong),
};

enum { PARTS = sizeof parts / sizeof parts[0] };

static void check_limits(lua_State *L, int idx)
{
    const char *names[PARTS + 1];
    int i;

    for (i = 0; i < PARTS; i++)
        names[i] = parts[i].name;
    names[PARTS] = NULL;
    ws_check_keys(L, idx, "limit of a socket", names);
}

/* Changes in conf what the table at idx has. */
static void change(lua_State *L, int idx, struct ws_conf *conf)
{
    struct ws_conf read = *conf;
    int i;

    ws_read_conf(L, idx, &read);
    for (i = 0; i < PARTS; i++) {
        if (lua_getfield(L, idx, parts[i].name) != LUA_TNIL)
            memcpy((char *)conf + parts[i].at, (char *)&read + parts[i].at,
                   parts[i].size);
        lua_pop(L, 1);
    }
    if (conf->low_water > conf->high_water)
        conf->low_water = conf->high_water;
}

void ws_set_limits(lua_State *L, struct ws_lsocket *k, int idx, int limits)
{
    struct ws_conf *conf;

    check_limits(L, limits);
    ws_push_own(L, idx);
    conf = lua_newuserdatauv(L, sizeof *conf, 0);
    *conf = k->server->conf;
    change(L, limits, conf);
    lua_setfield(L, -2, "conf"); /* lives as long as the socket */
    lua_pop(L, 1);
    k->s.conn.conf = conf;
}

/* checkLimits(table): raises now for what ws_set_limits would raise for. */
static int check(lua_State *L)
{
    struct ws_conf conf;

    luaL_checktype(L, 1, LUA_TTABLE);
    check_limits(L, 1);
    memset(&conf, 0, sizeof conf);
    conf.role = WS_SERVER;
    ws_read_conf(L, 1, &conf);
    return 0;
}

void ws_open_limits(lua_State *L)
{
    lua_pushcfunction(L, check);
    lua_setfield(L, -2, "checkLimits");
    lua_pushcfunction(L, ws_check_origins);
    lua_setfield(L, -2, "checkOrigins");
    lua_pushcfunction(L, ws_check_hosts);
    lua_setfield(L, -2, "checkHosts");
    lua_pushcfunction(L, ws_gate_is_for);
    lua_setfield(L, -2, "isFor");
}
