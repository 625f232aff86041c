/* bind/lua_handler.h -- calling the user's code, and what becomes of it.
**
** Functions run on a coroutine kept for the purpose, so that an error leaves
** its stack for the traceback and a handler may wait: then the coroutine is
** its own from there on (lua_task.h), and the next call takes another.  An
** error is reported and goes no further: the other listeners, the turn and
** the loop go on.  One call is made elsewhere: a server's lone function for
** messages, on the coroutine of the turn (lua_event.c, lua_turn.c); when it
** stops, it comes here like any other.
*/
#ifndef WS_BIND_LUA_HANDLER_H
#define WS_BIND_LUA_HANDLER_H

#include "bind/lua_bind.h"

/* To be called in a turn, whose stack indices hold.  Calls the function below
** the nargs values at the top, popping all of them.  WS_OK and exactly
** nresults results pushed, or, with nresults 0, it waits; or 1: it raised, or
** waits though results are wanted, which was reported, and nothing is pushed.
** about is the index of the socket it is about, or 0. */
int ws_handler_call(lua_State *L, int nargs, int nresults, int about);

/* In a turn: the handler that was called for the socket at `about` (0: none)
** on the coroutine at co raised or yielded, says its status.  WS_OK: it waits
** and is a task now; 1: reported. */
int ws_handler_stopped(lua_State *L, int co, int status, int about);

/* Reports the error at the top of co (popped; traceback and all) to onerror
** of the loop at that index, or to standard error. */
void ws_handler_report(lua_State *L, int loop, lua_State *co, int about);

/* Closes the to-be-closed variables of a coroutine that raised or yielded;
** LUA_OK, or the error one of them raised is at its top. */
int ws_handler_close(lua_State *co, lua_State *L);

/* The same, whatever they raise: it is empty, and fit for the next call. */
void ws_handler_reset(lua_State *co, lua_State *L);

/* Puts on co, which yielded to nobody, the error that this is. */
void ws_handler_yielded(lua_State *co, lua_State *L);

#endif
