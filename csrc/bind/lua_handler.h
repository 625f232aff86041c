/* bind/lua_handler.h -- calling the user's code: the only place.
**
** Functions run on a coroutine kept for the purpose, so that an error leaves
** its stack for the traceback and a handler may one day wait.  An error is
** reported and goes no further: the other listeners, the turn and the loop
** go on.
*/
#ifndef WS_BIND_LUA_HANDLER_H
#define WS_BIND_LUA_HANDLER_H

#include "bind/lua_bind.h"

/* To be called in a turn, whose stack indices hold.  Calls the function below
** the nargs values at the top, popping all of them.  WS_OK and exactly
** nresults results pushed; or 1: it raised, which was reported, and nothing is
** pushed.  about is the index of the socket it is about, or 0. */
int ws_handler_call(lua_State *L, int nargs, int nresults, int about);

/* Reports the error at the top of co (traceback and all) to the loop's
** onerror, or to standard error. */
void ws_handler_report(lua_State *L, lua_State *co, int about);

#endif
