/* bind/lua_bind.h -- what the files of bind know of one another.
**
** The userdata behind loop, socket and server, and who calls whom.  A C
** struct here holds no lua_State: Lua values hang off user values, found
** through the loop's `live` table: sockets by their `slot` there, all else by
** the address of its C struct.
**
**   loop     1 live: address or slot -> userdata of all that is at work
**            2 the idle handler coroutine    3 onerror    4 pinned strings
**            5 its coroutines: thread -> task, or true while it has none
**            6 contexts of TLS clients           7 the coroutine of its turns
**   socket   1 its server, or its loop       2 own table: listeners, cached
**            3 a server's: what it is sending, when that is large
**   server   1 its loop                      2 own table  3 its options
**   timer, watcher, signal   1 its loop      2 its function
**   task     see lua_task.h
*/
#ifndef WS_BIND_LUA_BIND_H
#define WS_BIND_LUA_BIND_H

#include "bind/lua_ahead.h"
#include "peer/dial.h"
#include "peer/serve.h"

#define WS_LOOP_NAME "wsock.loop"
#define WS_SOCKET_NAME "wsock.socket"
#define WS_SERVER_NAME "wsock.server"
#define WS_TIMER_NAME "wsock.timer"
#define WS_WATCHER_NAME "wsock.watcher"
#define WS_SIGNAL_NAME "wsock.signal"
#define WS_REQUEST_NAME "wsock.request"
#define WS_RESPONSE_NAME "wsock.response"
#define WS_HEADERS_NAME "wsock.headers"
#define WS_TASK_NAME "wsock.task"

/* User values, see above. */
enum { WS_UV_LIVE = 1, WS_UV_THREAD, WS_UV_ONERROR, WS_UV_PINS, WS_UV_TASKS };
enum { WS_UV_TLS = 6, WS_UV_TURNS, WS_UV_LOOP_COUNT = WS_UV_TURNS };
enum { WS_UV_OWNER = 1, WS_UV_OWN = 2, WS_UV_OPTIONS = 3 };
enum { WS_UV_PINNED = 3, WS_UV_SOCKET_COUNT = WS_UV_PINNED };

/* Tags of loop sources that are the binding's own. */
enum {
    WS_TAG_TIMER = WS_TAG_USER,
    WS_TAG_WATCHER,
    WS_TAG_SIGNALS,
    WS_TAG_SERVER_TIMER,
    WS_TAG_TASK
};

/* Events by number: the index of their listeners in an own table. */
enum ws_listen {
    WS_ON_SLOW = 0, /* no event: a socket's binaryType is not "string", so a
                       message takes the way that looks at it */
    WS_ON_OPEN = 1,
    WS_ON_MESSAGE,
    WS_ON_CLOSE,
    WS_ON_ERROR,
    WS_ON_PING,
    WS_ON_PONG,
    WS_ON_DRAIN,
    WS_ON_CHUNK,
    WS_ON_CONNECTION, /* from here on a server's only */
    WS_ON_REQUEST,
    WS_ON_UPGRADE,
    WS_ON_LISTENING,
    WS_ON_CLOSED,
    WS_ON_REFUSED,
    WS_ON_COUNT
};

enum { WS_PULLS = 1 << 15 }; /* a bit of ws_lsocket.mask: see lua_pull.h */

/* The bits by which a message may not go straight to its server's function. */
enum { WS_DETOURS = 1 << WS_ON_SLOW | 1 << WS_ON_MESSAGE | WS_PULLS };

struct ws_lloop {
    struct ws_mem mem;
    struct ws_loop loop;
    struct ws_peers peers;
    struct ws_watcher signals;  /* the wake-up descriptor, when asked for */
    struct ws_link signal_list; /* of ws_lsignal */
    struct ws_link tasks;       /* of ws_ltask, those at work */
    struct ws_ltask *task;      /* the one that was run last, or NULL */
    const struct ws_lserver *own_of; /* whose own table lies at hand */
    struct ws_lsocket *telling; /* whose message is with its function now */
    struct ws_lsocket *pumped;  /* whose events are told now */
    struct ws_ahead ahead;
    struct ws_slice known; /* the string at WS_IX_KNOWN, or nothing */
    size_t active; /* sockets, servers, timers...: what run() waits for */
    uint8_t open, running, stopping, closing; /* closing: tasks, how deep */
    uint8_t ending; /* the turn's sources are served, now its work is */
    uint8_t begun;  /* the coroutine of the turns came as far as `telling` */
};

struct ws_lsocket {
    struct ws_session s; /* first: whoever has one has the other */
    struct ws_lloop *loop;
    struct ws_lserver *server; /* NULL: a client */
    const void *seal;          /* see lua_socket.h */
    int slot;                  /* in `live`, 0: it is not there */
    uint32_t queued;           /* messages that wait */
    uint16_t mask;             /* as in ws_lserver; and WS_ON_SLOW */
    uint8_t binary_type;       /* enum ws_binary_type */
    uint8_t exposed;           /* the application has seen it as a socket */
    uint8_t place;             /* enum ws_place */
    uint8_t shy : 1;           /* connect() has not handed it out yet */
    uint8_t planned : 1;       /* its own table has its plan: lua_client.h */
    uint8_t heard : 1;         /* its end was told, or is being told */
    uint8_t pinned : 1;        /* WS_UV_PINNED holds what waits to be sent */
    uint8_t tallied;           /* enum ws_tallied */
    uint8_t peer_len;
    uint8_t peer[28];       /* remote address, as in ws_addr */
    uint32_t handlers;      /* of its events, that wait */
    struct ws_link peers;   /* in one of the server's lists */
    struct ws_link waiters; /* tasks that wait for something of it */
    size_t queued_bytes;    /* of the messages that wait */
    int64_t came_ms;        /* a server's: when accepted, or answered */
    uint32_t queue_first, queue_max;
};

/* -- modules: each pushes one value -- */

int ws_open_codec(lua_State *L);    /* utf8, mask, base64, accept, ... */
int ws_open_wire(lua_State *L);     /* see lua_wire.h */
int ws_open_protocol(lua_State *L); /* wsock.protocol */
void ws_open_loop(lua_State *L);    /* fields of the table at the top */
void ws_open_socket(lua_State *L);
void ws_open_server(lua_State *L);
void ws_open_file(lua_State *L);

/* Stack indices during a turn: the loop, its live table, the coroutine that
** handlers run on, and the two kinds of message. */
enum {
    WS_IX_LOOP = 1,
    WS_IX_LIVE,
    WS_IX_THREAD,
    WS_IX_TEXT,
    WS_IX_BINARY,
    WS_IX_OWN,   /* own table of the server ws_lloop.own_of */
    WS_IX_KNOWN, /* a text that came this turn: it is valid */
    WS_IX_TOP = WS_IX_KNOWN
};

/* -- lua_loop.c -- */

/* The loop userdata at idx, or a Lua error. */
struct ws_lloop *ws_check_loop(lua_State *L, int idx);

/* Pushes the loop the table at options names in "loop", else the default. */
struct ws_lloop *ws_push_loop_option(lua_State *L, int options);

/* live[key] = the value at idx, which needs an open loop; and the reverse.  A
** socket gets a number for a key, which is found faster. */
void ws_anchor(lua_State *L, int loop_idx, const void *key, int idx);
void ws_unanchor(lua_State *L, int loop_idx, const void *key);
void ws_anchor_socket(lua_State *L, int loop_idx, struct ws_lsocket *k,
                      int idx);
void ws_unanchor_socket(lua_State *L, int loop_idx, struct ws_lsocket *k);

/* -- lua_turn.c -- */

/* One turn that waits at most ms (-1: no limit); turns until nothing is left,
** or stop.  The loop is at that index; an error when it runs already. */
void ws_turn(lua_State *L, int loop, int64_t ms);
void ws_turns(lua_State *L, int loop);

/* Whether anything is left that can happen. */
int ws_goes_on(const struct ws_lloop *ll);

/* -- lua_socket.c -- */

/* The loop goes: a last Close, best effort, and everything given back. */
void ws_socket_drop(struct ws_lsocket *k);
void ws_server_drop(struct ws_lserver *sv);

/* A new socket userdata of that size, which starts with a ws_lsocket; zeroed
** else, anchored to nothing, with owner as its owner; pushed. */
struct ws_lsocket *ws_new_socket(lua_State *L, struct ws_lloop *loop,
                                 int owner_idx, size_t size);

struct ws_lsocket *ws_check_socket(lua_State *L, int idx);

/* Pulls a session's events and delivers them, in a turn of the loop.  What is
** left on the stack is of no use. */
void ws_pump(lua_State *L, struct ws_session *s);

#endif
