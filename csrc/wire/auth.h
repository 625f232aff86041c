/* wire/auth.h -- credentials: Basic (RFC 7617), and Digest (RFC 7616).
**
** The value of Authorization, or of Proxy-Authorization.  Basic, written and
** read: "Basic " and "user:password" in base64.  Digest, written only: the
** answer to a challenge, in which the password is under a hash.  Bytes go
** through as they are; that they should be UTF-8 is advice (RFC 7617 2.1), but
** for the name of a user that only username* can hold.  Whose credentials they
** are, and who may see them, is the caller's affair.  Nothing here allocates
** but what OpenSSL hashes with.
*/
#ifndef WS_WIRE_AUTH_H
#define WS_WIRE_AUTH_H

#include "base/base.h"
#include "base/base64.h"
#include "base/err.h"
#include "wire/challenge.h"

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

/* -- Digest -- */

/* What the answer to a challenge is made of, beside it. */
struct ws_login {
    struct ws_slice user, password;
    struct ws_slice method; /* "GET" */
    struct ws_slice uri;    /* the request-target as it is sent (3.4.6) */
    struct ws_slice cnonce; /* chance, in letters that need no backslash */
};

/* Characters that the value has at most. */
size_t ws_digest_size(const struct ws_digest *d, const struct ws_login *w);

/* Writes the value that answers d, no NUL, and how long it is.  A nonce is used
** once only, so nc is 1.  user and password were checked as for Basic.  WS_OK,
** or WS_ERR_SYSTEM when OpenSSL refuses. */
int ws_digest_write(char *out, size_t *n, const struct ws_digest *d,
                    const struct ws_login *w);

#endif
