/* wire/auth.h -- Basic credentials (RFC 7617), written and read.
**
** The value of Authorization, or of Proxy-Authorization: "Basic " and
** "user:password" in base64.  Bytes go through as they are; that they should
** be UTF-8 is advice (RFC 7617 2.1).  Whose credentials they are, and who may
** see them, is the caller's affair.  Nothing here allocates.
*/
#ifndef WS_WIRE_AUTH_H
#define WS_WIRE_AUTH_H

#include "base/base.h"
#include "base/base64.h"
#include "base/err.h"

/* Characters of the value for a user and a password of n bytes together. */
#define WS_BASIC_SIZE(n) (6 + WS_BASE64_SIZE((n) + 1))

/* WS_OK, or WS_ERR_FIELD: a colon in the user would move the border, and
** control characters may stand in neither (RFC 7617 2). */
int ws_basic_check(struct ws_slice user, struct ws_slice password);

/* Writes the value, WS_BASIC_SIZE characters and no NUL; returns how many.
** They were checked. */
size_t ws_basic_write(char *out, struct ws_slice user,
                      struct ws_slice password);

/* Reads a value.  user and password are slices of scratch, which has room for
** value.n bytes.  The scheme is known in any letter case.  WS_OK, or
** WS_ERR_FIELD: another scheme, no base64, no colon, a control character. */
int ws_basic_read(struct ws_slice value, uint8_t *scratch,
                  struct ws_slice *user, struct ws_slice *password);

#endif
