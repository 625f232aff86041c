/* wire/body.h -- what follows a head, and how to read it when it is chunked.
**
** The head says how a body is framed (RFC 9112 6.3); everything a smuggler
** could use is an error, not a choice.  The chunked reader (7.1) takes the
** framing off and hands out what is inside as slices of the caller's bytes.
** Strict: CRLF only, no sign, no 0x, no space for a digit; extensions and
** trailers are checked, bounded and dropped.  How large the body may become
** is the caller's limit.
*/
#ifndef WS_WIRE_BODY_H
#define WS_WIRE_BODY_H

#include "base/base.h"
#include "base/err.h"

/* -- framing -- */

struct ws_head;

/* What follows a head. */
enum ws_body_kind {
    WS_BODY_NONE,       /* nothing; also for Content-Length: 0 */
    WS_BODY_LENGTH,     /* *length bytes */
    WS_BODY_CHUNKED,    /* see ws_chunked_feed */
    WS_BODY_UNTIL_CLOSE /* a response: whatever comes */
};

/* How the body is framed (RFC 9112 6.3); *length is 0 but for LENGTH.  The
** method of the request a response answers is not known here: one to HEAD,
** and 2xx to CONNECT, have no body whatever this says.  WS_OK;
** WS_ERR_HEAD_LENGTH for both Transfer-Encoding and Content-Length, or a
** length that is no number below 2^63 or not always the same;
** WS_ERR_HEAD_CODING for any transfer coding but chunked alone. */
int ws_head_body(const struct ws_head *h, enum ws_body_kind *kind,
                 uint64_t *length);

/* -- chunks -- */

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
