/* net/proxy.h -- a stream through an HTTP proxy: CONNECT (RFC 9110 9.3.6).
**
** Asks the proxy for a tunnel to the target, by its name, which the proxy
** resolves; any 2xx is one, whatever Content-Length it has, also from HTTP/1.0.
** Anything else is an error that shows status and reason.  The user and
** password go to the proxy only, as Basic credentials, without being asked
** for; a 407 that asks for Digest (RFC 7616) gets that, once, and once more
** when only the nonce was too old: over the same connection when that stays,
** else over another (WS_STREAM_ANEW).
*/
#ifndef WS_NET_PROXY_H
#define WS_NET_PROXY_H

#include "net/prelude.h"

enum {
    WS_PROXY_HEAD_MAX = 16384,   /* bytes of the proxy's answer */
    WS_PROXY_INTERIM_MAX = 8,    /* 1xx answers before it */
    WS_PROXY_CONTENT_MAX = 65536 /* bytes of a 407 that is answered */
};

/* A tunnel on below, by the contract of stream.h; below NULL: it is put on by
** ws_prelude_stand, before it is opened.  WS_OK and *top; below is still the
** caller's after WS_ERR_FIELD (host, user or password may not be
** sent), WS_ERR_NOMEM. */
int ws_proxy_new(struct ws_stream **top, struct ws_stream *below,
                 struct ws_mem *mem, const struct ws_tunnel *t);

#endif
