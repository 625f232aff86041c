/* base/base64.h -- base64 as RFC 4648 section 4 has it, strictly.
**
** For Sec-WebSocket-Key and -Accept (RFC 6455 4.1), and Basic authentication.
** No line breaks, no URL alphabet, no missing padding: a text that decodes is
** the one text that its bytes encode to.
*/
#ifndef WS_BASE_BASE64_H
#define WS_BASE_BASE64_H

#include "base/base.h"
#include "base/err.h"

/* Characters that n bytes take; n at most SIZE_MAX / 2. */
#define WS_BASE64_SIZE(n) (((n) + 2) / 3 * 4)

/* Writes WS_BASE64_SIZE(in.n) characters, no NUL; returns how many. */
size_t ws_base64_encode(char *out, struct ws_slice in);

/* Writes at most in.n / 4 * 3 bytes and puts their number in *n.  WS_OK, or
** WS_ERR_ARGUMENT (length, alphabet, padding, or pad bits that are not zero)
** with *n 0; out is scratch then. */
int ws_base64_decode(uint8_t *out, size_t *n, struct ws_slice in);

#endif
