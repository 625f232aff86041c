/* proto/usual.h -- what is asked of a connection for each message, inline.
**
** Part of conn.h, whose contracts hold here.  Each asks what is usual, and goes
** to a function of conn.c, input.c or output.c with the rest.
*/
#ifndef WS_PROTO_USUAL_H
#define WS_PROTO_USUAL_H

#include "proto/state.h"

/* -- bytes in -- */

/* 1 while input is processed, whatever else is wanted. */
int ws_conn_reads_still(const struct ws_conn *c);

static inline int ws_conn_reads(const struct ws_conn *c)
{
    int odd = c->paused || c->held || c->above || c->drop || c->gone;
    return WS_LIKELY(c->state == WS_OPEN && !odd) || ws_conn_reads_still(c);
}

/* Where a transport may write the rest of a large frame's payload directly:
** WS_OK and room to be filled and committed, or WS_MORE: use feed. */
int ws_conn_room_of_payload(struct ws_conn *c, struct ws_span *room);

static inline int ws_conn_room(struct ws_conn *c, struct ws_span *room)
{
    return WS_LIKELY(c->stage != WS_IN_PAYLOAD)
               ? WS_MORE
               : ws_conn_room_of_payload(c, room);
}

/* -- events out -- */

/* WS_OK and the next event, or WS_MORE.  What feed has found comes by itself;
** else there is mostly nothing. */
int ws_conn_next_other(struct ws_conn *c, struct ws_event *ev);

static inline int ws_conn_next(struct ws_conn *c, struct ws_event *ev)
{
    if (c->event.type != WS_EV_NONE) {
        *ev = c->event;
        c->event.type = WS_EV_NONE;
        return WS_OK;
    }
    return c->gone || c->drain || c->more || c->stale || c->conf->frames
               ? ws_conn_next_other(c, ev)
               : WS_MORE;
}

/* -- bytes out -- */

/* Payload bytes that wait to be sent: what bufferedAmount counts.  Frames that
** went out in part are looked at. */
size_t ws_conn_buffered_in_part(const struct ws_conn *c);

static inline size_t ws_conn_buffered(const struct ws_conn *c)
{
    return c->chain.head == NULL || c->chain.head->off == 0
               ? c->chain.payload
               : ws_conn_buffered_in_part(c);
}

#endif
