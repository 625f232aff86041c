/* wire/challenge.h -- what a 401 or 407 asks for (RFC 9110 11.6, RFC 7616).
**
** WWW-Authenticate and Proxy-Authenticate hold challenges: a scheme and its
** parameters, or one token68.  Commas part challenges and parameters alike,
** so a name with "=" behind it goes on with the challenge before it, and
** anything else begins one (11.6.1).  Of the schemes only Digest is looked
** into; Basic needs no answer to a challenge (auth.h).  The answer to one is
** written by auth.h too.
**
** Everything is slices of the caller's bytes; nothing allocates, and the time
** taken is linear in the bytes on any input.  What is wrong or not understood
** is no error but no challenge: the refusal it came with says enough.
*/
#ifndef WS_WIRE_CHALLENGE_H
#define WS_WIRE_CHALLENGE_H

#include "base/digest.h"
#include "wire/head.h"

/* Takes the next challenge from the front of a header's value: WS_OK; WS_MORE
** at the end; WS_ERR_FIELD, and rest stays, where none begins: then nothing
** behind it can be told apart. */
int ws_challenge_next(struct ws_slice *rest, struct ws_slice *scheme,
                      struct ws_slice *params);

/* Takes the next of its parameters.  A value in quotes is what stands between
** them, with its backslashes: so it may be repeated between quotes.  WS_OK,
** WS_MORE, or WS_ERR_FIELD: no parameter, a token68 say. */
int ws_challenge_param(struct ws_slice *params, struct ws_slice *name,
                       struct ws_slice *value);

/* -- Digest -- */

/* A challenge of Digest that can be answered.  The slices are values as
** ws_challenge_param gives them; p NULL: it is not there. */
struct ws_digest {
    struct ws_slice realm, nonce;
    struct ws_slice opaque;    /* or not there */
    struct ws_slice algorithm; /* as it came, or not there: MD5 */
    enum ws_hash hash;
    uint8_t session;  /* 1: an algorithm with -sess */
    uint8_t qop;      /* 1: "auth" is offered; 0: none is (RFC 2069) */
    uint8_t stale;    /* 1: only the nonce was too old */
    uint8_t userhash; /* 1: the user's name is to be hashed (3.4.4) */
};

/* Reads the parameters of one: WS_OK, or WS_ERR_FIELD when it is not to be
** answered: no realm or nonce; a parameter twice (RFC 9110 11.2); an algorithm
** that is not known, or that OpenSSL does not have; no qop that is known; -sess
** without a qop, which no RFC defines; a realm, nonce or opaque that may not be
** sent back (wire/put.h). */
int ws_digest_read(struct ws_slice params, struct ws_digest *d);

/* The one to answer of all challenges that the head's fields of that name hold:
** of SHA-2 rather than of MD5, else the first, since servers begin with the one
** they prefer (3.7).  WS_OK, or WS_MORE: there is none. */
int ws_digest_choose(const struct ws_head *h, const char *name,
                     struct ws_digest *best);

#endif
