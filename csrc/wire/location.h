/* wire/location.h -- where a redirect leads (RFC 9110 10.2.2, 15.4).
**
** Location is a reference, resolved against the URL that answered it (RFC 3986
** 5.2); what comes of it is read as any other URL.  http means ws here and
** https wss.  Refused: a fragment (RFC 6455 3), a user or password, which are
** not the server's to hand out, a unix socket, which is no affair of the far
** end, and the way from wss to ws.  From a ws+unix URL only another target of
** the same socket, or an internet host, can be reached.
*/
#ifndef WS_WIRE_LOCATION_H
#define WS_WIRE_LOCATION_H

#include "wire/uri.h"

/* 1 for the answers that redirect a GET: 301, 302, 303, 307, 308. */
int ws_location_status(int status);

/* Resolves ref against the URL from.  WS_OK, and `to` is to be freed; or it is
** empty: WS_ERR_URI and *why says in a static sentence what is wrong,
** WS_ERR_NOMEM. */
int ws_location_read(struct ws_uri *to, struct ws_mem *mem,
                     const struct ws_uri *from, struct ws_slice ref,
                     const char **why);

/* 1 when both are of one origin (scheme, host, port), or both are the same
** unix socket: what was meant for the one may be told to the other. */
int ws_location_same(const struct ws_uri *a, const struct ws_uri *b);

#endif
