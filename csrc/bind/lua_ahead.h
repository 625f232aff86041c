/* bind/lua_ahead.h -- receive, ahead of the pump.
**
** The pump hands a message to the task that waits for one.  When that task asks
** for another it takes it from the session itself, which spares a switch of
** coroutines for each message of a burst; what else it meets there it leaves
** for the pump, which runs further down the stack, and yields.
*/
#ifndef WS_BIND_LUA_AHEAD_H
#define WS_BIND_LUA_AHEAD_H

#include "bind/lua_aux.h"
#include "peer/session.h"

struct ws_lsocket;
struct ws_ltask;

/* What it met. */
enum ws_met { WS_MET_NOTHING, WS_MET_EVENT, WS_MET_END, WS_MET_NO_MEMORY };

/* A loop's: all zero while nobody is ahead. */
struct ws_ahead {
    const struct ws_lsocket *of; /* whose message a task is being handed */
    enum ws_met met;
    struct ws_event ev; /* with EVENT: what the pump goes on with */
};

/* Pushes the next message of the socket at 1, if that is what comes next and
** the running task, t, the one to be handed it.  How many values. */
int ws_ahead_take(lua_State *L, const struct ws_ltask *t);

/* The next event of a socket, as ws_session_next gives it. */
int ws_ahead_next(struct ws_lsocket *k, struct ws_event *ev);

#endif
