/* bind/lua_emitter.h -- who listens to what, and telling them.
**
** The browser's EventTarget and Node's on, once, off in one; see lua_emitter.c
** for how listeners are kept.
*/
#ifndef WS_BIND_LUA_EMITTER_H
#define WS_BIND_LUA_EMITTER_H

#include "bind/lua_bind.h"

/* The number of an event by name, 0: there is none.  With `on` the name
** starts with "on". */
int ws_event_number(const char *name, int on, int server);
const char *ws_event_name(int number);

/* Who has listeners: the userdata at idx, its own table in WS_UV_OWN. */
struct ws_emitter {
    int idx;
    uint16_t *mask; /* kept in step */
    int server;     /* 1: a server, all of whose listeners take plain
                       arguments */
    int streaming;  /* 1: chunk comes and message never does; else the
                       other way round */
};

/* on, once, off, addEventListener, removeEventListener; object at 1. */
int ws_emitter_on(lua_State *L, const struct ws_emitter *t, int once);
int ws_emitter_off(lua_State *L, const struct ws_emitter *t);
int ws_emitter_add(lua_State *L, const struct ws_emitter *t);
int ws_emitter_remove(lua_State *L, const struct ws_emitter *t);

/* obj.on<name> for reading (pushes) and writing (name at 2, value at 3). */
void ws_emitter_get(lua_State *L, const struct ws_emitter *t, int event);
void ws_emitter_set(lua_State *L, const struct ws_emitter *t, int event);

struct ws_firing {
    struct ws_emitter emitter;
    int passed; /* index of what is passed before the arguments, 0: none */
    int about;  /* index of the socket it is about, 0: none */
    int event;  /* enum ws_listen */
    int nargs;  /* arguments at the top of the stack; left there */
};

/* Calls the listeners; 1 if one of them raised. */
int ws_emitter_fire(lua_State *L, const struct ws_firing *f);

/* Pushes the own table of the userdata at idx, making it if need be. */
void ws_push_own(lua_State *L, int idx);

#endif
