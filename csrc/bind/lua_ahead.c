/* bind/lua_ahead.c -- see lua_ahead.h. */
#include "bind/lua_ahead.h"

#include "bind/lua_pull.h"
#include "bind/lua_task.h"

/* The message is gone when there is no memory for it: so is, then, its
** connection. */
static int push_message(lua_State *L, const struct ws_lsocket *k)
{
    struct ws_ahead *a = &k->loop->ahead;
    int n;

    a->met = WS_MET_NO_MEMORY; /* should the next lines raise */
    ws_push_slice(L, a->ev.data);
    lua_pushstring(L, a->ev.type == WS_EV_TEXT ? "text" : "binary");
    n = ws_pull_convert(L, k);
    a->met = WS_MET_NOTHING;
    return n;
}

int ws_ahead_take(lua_State *L, const struct ws_ltask *t)
{
    struct ws_lsocket *k = lua_touserdata(L, 1);
    struct ws_ahead *a = &t->loop->ahead;

    if (a->of != k || t != t->loop->task || a->met != WS_MET_NOTHING ||
        ws_wait_first(&k->waiters, WS_FOR_MESSAGE) != NULL)
        return 0;
    if (ws_session_next(&k->s, &a->ev) != WS_OK) {
        a->met = WS_MET_END;
        return 0;
    }
    if ((a->ev.type == WS_EV_TEXT || a->ev.type == WS_EV_BINARY) &&
        !k->s.conn.conf->message.streaming)
        return push_message(L, k);
    a->met = WS_MET_EVENT;
    return 0;
}

int ws_ahead_next(struct ws_lsocket *k, struct ws_event *ev)
{
    struct ws_ahead *a = &k->loop->ahead;
    enum ws_met met = a->met;

    if (WS_LIKELY(met == WS_MET_NOTHING))
        return ws_session_next(&k->s, ev);
    a->met = WS_MET_NOTHING;
    if (met == WS_MET_END)
        return WS_MORE;
    if (met == WS_MET_EVENT) {
        *ev = a->ev;
        return WS_OK;
    }
    ws_conn_fail(&k->s.conn, WS_ERR_NOMEM);
    return ws_session_next(&k->s, ev);
}
