/* base/utf8.h -- is it UTF-8?  Text in pieces, an answer at the first bad
** byte.
**
** Validates RFC 3629: no overlong forms, no surrogates, nothing above
** U+10FFFF.  Non-characters, U+FEFF and NUL are text like any other.  A piece
** may end anywhere; what is pending is carried over, and the piece that holds
** the first byte that no continuation could make good is the one that is
** refused (fail fast: RFC 6455 8.1 with Autobahn 6.4).  Nothing is decoded,
** stored or changed.
*/
#ifndef WS_BASE_UTF8_H
#define WS_BASE_UTF8_H

#include "base/base.h"
#include "base/err.h"

struct ws_utf8 {
    /* private */
    uint32_t state; /* what the next byte may be; 0 between code points */
};

/* Ready for the first piece of a text. */
void ws_utf8_init(struct ws_utf8 *u);

/* The next piece: WS_OK as long as the text can still become valid, else
** WS_ERR_UTF8, and so for every later piece. */
int ws_utf8_feed(struct ws_utf8 *u, struct ws_slice s);

/* The text ends here: WS_OK, or WS_ERR_UTF8 when it was refused or stops
** inside a code point. */
int ws_utf8_end(const struct ws_utf8 *u);

/* 1 when s is a whole valid text, else 0. */
int ws_utf8_valid(struct ws_slice s);

#endif
