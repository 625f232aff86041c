/* bind/lua_deflate.c -- see lua_deflate.h. */
#include "bind/lua_deflate.h"

static const char option[] = "perMessageDeflate";

/* Bytes; a window that is taken over makes even short ones small. */
enum { THRESHOLD = 1024, THRESHOLD_KEPT = 64 };

static void set_defaults(struct ws_pmd_conf *c, int server)
{
    memset(c, 0, sizeof *c); /* level and memory: the usual ones */
    c->offer.client_window = server ? 0 : WS_WINDOW_ANY;
    c->threshold = THRESHOLD;
    c->threshold_kept = THRESHOLD_KEPT;
    c->on = 1;
}

static uint8_t number(lua_State *L, int idx, const char *name,
                      struct ws_range range)
{
    return (uint8_t)ws_get_integer(L, idx, name, range);
}

/* The table at idx. */
static void read_table(lua_State *L, int idx, int server, struct ws_pmd_conf *c)
{
    /* the first is a client's */
    static const char *const names[] = {"required",
                                        "serverNoContextTakeover",
                                        "clientNoContextTakeover",
                                        "serverMaxWindowBits",
                                        "clientMaxWindowBits",
                                        "level",
                                        "memLevel",
                                        "threshold",
                                        NULL};
    struct ws_offer *o = &c->offer;

    ws_check_keys(L, idx, "option of perMessageDeflate",
                  server ? names + 1 : names);
    if (!server)
        c->required = ws_get_boolean(L, idx, names[0], 0) != 0;
    o->server_alone = ws_get_boolean(L, idx, "serverNoContextTakeover", 0) != 0;
    o->client_alone = ws_get_boolean(L, idx, "clientNoContextTakeover", 0) != 0;
    if (ws_get_field(L, idx, "serverMaxWindowBits", LUA_TNUMBER))
        o->server_window = number(L, idx, "serverMaxWindowBits",
                                  WS_RANGE(0, WS_WINDOW_MIN, WS_WINDOW_MAX));
    if (ws_get_field(L, idx, "clientMaxWindowBits", LUA_TNUMBER))
        o->client_window = number(L, idx, "clientMaxWindowBits",
                                  WS_RANGE(0, WS_WINDOW_MIN, WS_WINDOW_MAX));
    if (ws_get_field(L, idx, "level", LUA_TNUMBER))
        c->level = number(L, idx, "level", WS_RANGE(0, 1, 9));
    if (ws_get_field(L, idx, "memLevel", LUA_TNUMBER))
        c->memory = number(L, idx, "memLevel", WS_RANGE(0, 1, 9));
    if (ws_get_field(L, idx, "threshold", LUA_TNUMBER)) {
        c->threshold = (size_t)ws_get_integer(L, idx, "threshold",
                                              WS_RANGE(0, 0, LUA_MAXINTEGER));
        c->threshold_kept = c->threshold;
    }
    lua_pop(L, 5);
}

/* true, false or a table at idx. */
static void read_value(lua_State *L, int idx, int server, struct ws_pmd_conf *c)
{
    set_defaults(c, server);
    if (lua_isboolean(L, idx))
        c->on = (uint8_t)lua_toboolean(L, idx);
    else if (lua_istable(L, idx))
        read_table(L, idx, server, c);
    else
        luaL_error(L, "%s must be true, false or a table, got %s", option,
                   luaL_typename(L, idx));
}

void ws_read_pmd(lua_State *L, int idx, struct ws_conf *conf)
{
    int server = conf->role == WS_SERVER, value;

    ws_get_field(L, idx, option, LUA_TNONE);
    value = lua_gettop(L);
    if (lua_isnil(L, value) || (server && ws_take_callable(L))) {
        set_defaults(&conf->pmd, server);
        conf->pmd.on = !server; /* a server is asked for it */
    } else {
        read_value(L, value, server, &conf->pmd);
    }
    lua_settop(L, value - 1);
}

void ws_push_pmd_hook(lua_State *L, int idx)
{
    ws_get_field(L, idx, option, LUA_TNONE);
    if (ws_take_callable(L))
        return;
    lua_pop(L, 1);
    lua_pushnil(L);
}

int ws_ask_pmd(lua_State *L)
{
    struct ws_pmd_conf *c = lua_touserdata(L, 3);

    lua_settop(L, 2);
    lua_call(L, 1, 1);
    read_value(L, 1, 1, c);
    return 0;
}

void ws_set_pmd_stats(lua_State *L, const struct ws_conn *c)
{
    static const struct ws_pmd_traffic none = {0, 0};
    struct ws_pmd_traffic in = c->pmd == NULL ? none : c->pmd->in;
    struct ws_pmd_traffic out = c->pmd == NULL ? none : c->pmd->out;

    lua_pushinteger(L, (lua_Integer)in.packed);
    lua_setfield(L, -2, "compressedIn");
    lua_pushinteger(L, (lua_Integer)in.plain);
    lua_setfield(L, -2, "uncompressedIn");
    lua_pushinteger(L, (lua_Integer)out.packed);
    lua_setfield(L, -2, "compressedOut");
    lua_pushinteger(L, (lua_Integer)out.plain);
    lua_setfield(L, -2, "uncompressedOut");
}
