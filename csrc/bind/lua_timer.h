/* bind/lua_timer.h -- timers, foreign descriptors and signals in Lua.
**
** Each is an object with cancel(), anchored in its loop while it is at work.
*/
#ifndef WS_BIND_LUA_TIMER_H
#define WS_BIND_LUA_TIMER_H

#include "bind/lua_bind.h"

struct ws_ltimer {
    struct ws_timer timer; /* first: the key in `live` */
    struct ws_lloop *loop;
    int64_t every_ms; /* 0: once */
    uint8_t anchored;
};

struct ws_lwatch {
    struct ws_watcher watcher; /* first: the key in `live` */
    struct ws_lloop *loop;
    uint8_t anchored;
};

struct ws_lsignal {
    struct ws_lloop *loop;
    struct ws_link link; /* in the loop's list */
    int signo;           /* 0: cancelled */
};

void ws_open_timer(lua_State *L); /* fields of the table at the top */
int ws_loop_after(lua_State *L);
int ws_loop_every(lua_State *L);
int ws_loop_set_timeout(lua_State *L);
int ws_loop_set_interval(lua_State *L);
int ws_loop_clear(lua_State *L);
int ws_loop_watch_fd(lua_State *L);
int ws_loop_signal(lua_State *L);

/* A source of ours was ready.  Stack as in a turn. */
void ws_timer_ready(lua_State *L, struct ws_ltimer *t);
void ws_watch_ready(lua_State *L, struct ws_lwatch *w);
void ws_signals_ready(lua_State *L, struct ws_lloop *ll);

/* The loop goes: let go of it. */
void ws_timer_drop(struct ws_ltimer *t);
void ws_watch_drop(struct ws_lwatch *w);
void ws_signals_drop(struct ws_lloop *ll);

#endif
