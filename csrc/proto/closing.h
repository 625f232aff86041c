/* proto/closing.h -- the closing handshake and failing: every rule of it.
**
** RFC 6455 7 in one place: who sends Close when, what a received Close means,
** how a connection fails, and when the transport may go.  The states:
**
**   OPEN     --close()-------> CLOSING, Close sent, waits for the peer's
**   OPEN     --peer's Close--> CLOSING, answered; both are done
**   OPEN     --violation-----> CLOSING, Close with the error's code, then
**                              deaf: nothing more is processed (7.1.7)
**   both done, server: ends its direction once the output is out, waits for
**     the peer's end, so that no reset destroys the last Close (7.1.1)
**   both done, client: waits for the server to end (7.1.1)
**   any wait here ends at close_ms, or after too many discarded bytes
*/
#ifndef WS_PROTO_CLOSING_H
#define WS_PROTO_CLOSING_H

#include "proto/conn.h"
#include "wire/status.h"

/* Bytes thrown away while waiting for the peer's end: enough for what a
** decent sender has under way, an end to what an indecent one sends. */
#define WS_DISCARD_MAX ((uint64_t)16 * 1024 * 1024)

/* The application closes; code 0: a Close without body.  A reason without
** code goes out as 1000 (whatwg/websockets PR 48).  CONNECTING: fails the
** connection; CLOSING or CLOSED: nothing.  WS_OK; WS_ERR_CODE,
** WS_ERR_REASON, WS_ERR_CLOSE_UTF8 in any state, before anything is done;
** WS_ERR_NOMEM. */
int ws_conn_close(struct ws_conn *c, int code, struct ws_slice reason);

/* The application drops the transport now: CLOSE 1006, no FAULT. */
void ws_conn_terminate(struct ws_conn *c);

/* The library closes by itself with a code (1001 at shutdown, 1011 after an
** error in a handler, 1013 for a slow consumer). */
void ws_conn_end(struct ws_conn *c, int code, const char *reason);

/* Fails the connection (7.1.7) with err, once.  For an owner: it has no
** memory, say, to go on with. */
void ws_conn_fail(struct ws_conn *c, int err);

/* Fails it with err without a word of ours: the transport has said what there
** was to say.  Our direction ends, and the peer's end is waited for, as after
** a Close, so that no reset destroys what was said. */
void ws_conn_dismiss(struct ws_conn *c, int err);

/* The transport takes no more, but what it brought before can still be read:
** the peer's last messages and its Close.  Nothing is asked to be written from
** here on; the input's end is the connection's.  0: nothing of it matters, it
** is lost. */
int ws_conn_mute(struct ws_conn *c);

#endif
