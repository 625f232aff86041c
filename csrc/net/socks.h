/* net/socks.h -- a stream through a SOCKS5 proxy (RFC 1928).
**
** The target's name goes to the proxy, which resolves it; an address goes as
** an address.  With a user, user and password are offered (RFC 1929) beside no
** authentication.  What comes is read no further than it has to be.
*/
#ifndef WS_NET_SOCKS_H
#define WS_NET_SOCKS_H

#include "net/prelude.h"

/* A tunnel on below, by the contract of stream.h; below NULL: it is put on by
** ws_prelude_stand, before it is opened.  WS_OK and *top; below is still the
** caller's after WS_ERR_FIELD (host, user or password are empty or
** longer than 255 bytes), WS_ERR_NOMEM. */
int ws_socks_new(struct ws_stream **top, struct ws_stream *below,
                 struct ws_mem *mem, const struct ws_tunnel *t);

#endif
