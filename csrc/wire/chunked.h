/* wire/chunked.h -- chunked bodies, read piece by piece (RFC 9112 7.1).
**
** Takes the framing off a body and hands out what is inside as slices of the
** caller's bytes.  Strict: CRLF only, no sign, no 0x, no space for a digit.
** Extensions and trailers are checked, bounded and dropped.  How large the
** body may become is the caller's limit.
*/
#ifndef WS_WIRE_CHUNKED_H
#define WS_WIRE_CHUNKED_H

#include "base/base.h"
#include "base/err.h"

enum {
    WS_CHUNKED_DIGITS = 16,     /* most digits of a chunk size */
    WS_CHUNKED_EXTRA_MAX = 8192 /* bytes of extensions and trailers in all */
};

struct ws_chunked {
    int done; /* 1: the body has ended; later bytes are not its */
    /* private */
    uint64_t left;  /* bytes of this chunk still to come */
    uint16_t extra; /* bytes of extensions and trailers so far */
    uint8_t digits; /* of the size so far */
    uint8_t state;  /* what the next byte may be */
};

void ws_chunked_init(struct ws_chunked *c);

/* Takes bytes from the front of *in.  WS_OK: *data is the next piece of the
** body, a slice of in (n > 0), or the body has ended (n 0, c->done).  WS_MORE:
** all of in was used up and *data is empty.  WS_ERR_HEAD_LENGTH: malformed
** chunk; WS_ERR_HEAD_SYNTAX: malformed extension or trailer;
** WS_ERR_HEAD_BIG: too much of either.  After an error c is of no use. */
int ws_chunked_feed(struct ws_chunked *c, struct ws_slice *in,
                    struct ws_slice *data);

#endif
