/* wire/status.h -- the close frame's payload and its status codes.
**
** Which numbers may stand on the wire, which an application may send, and
** which exist only as results (RFC 6455 7.4, the IANA registry).  Pure
** functions; the names are the IANA registry's.
*/
#ifndef WS_WIRE_STATUS_H
#define WS_WIRE_STATUS_H

#include "base/base.h"
#include "base/err.h"

enum {
    WS_STATUS_NORMAL = 1000,
    WS_STATUS_GOING_AWAY = 1001,
    WS_STATUS_PROTOCOL_ERROR = 1002,
    WS_STATUS_UNSUPPORTED_DATA = 1003,
    WS_STATUS_NONE = 1005,     /* a result: the close frame had no code */
    WS_STATUS_ABNORMAL = 1006, /* a result: there was no close frame */
    WS_STATUS_INVALID_DATA = 1007,
    WS_STATUS_POLICY = 1008,
    WS_STATUS_TOO_BIG = 1009,
    WS_STATUS_MANDATORY_EXTENSION = 1010,
    WS_STATUS_INTERNAL_ERROR = 1011,
    WS_STATUS_SERVICE_RESTART = 1012,
    WS_STATUS_TRY_AGAIN_LATER = 1013,
    WS_STATUS_BAD_GATEWAY = 1014,
    WS_STATUS_TLS = 1015, /* a result: never used here, as in browsers */
    WS_REASON_MAX = 123   /* bytes of reason that fit a close frame */
};

/* One row of the list of codes that have a name. */
struct ws_status_name {
    int code;
    const char *name; /* "GOING_AWAY" */
};

/* All named codes in rising order; *count of them. */
const struct ws_status_name *ws_status_names(size_t *count);

/* 1 when code may stand in a close frame: 1000-1003, 1007-1014, 3000-4999. */
int ws_status_on_wire(int code);

/* 1 when an application may close with code: a client 1000 and 3000-4999 as
** in browsers, a server whatever may stand on the wire. */
int ws_status_may_send(int code, int is_server);

/* Reads the payload of a close frame.  An empty one gives WS_STATUS_NONE.
** *reason points into payload.  WS_OK, WS_ERR_CLOSE_BODY, WS_ERR_CLOSE_CODE
** or WS_ERR_CLOSE_UTF8. */
int ws_status_read(struct ws_slice payload, int *code, struct ws_slice *reason);

/* Writes code and reason (at most WS_REASON_MAX bytes) at out and returns
** the length; code 0 writes nothing, whatever the reason. */
size_t ws_status_write(uint8_t *out, int code, struct ws_slice reason);

#endif
