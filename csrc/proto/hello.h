/* proto/hello.h -- the opening handshake, client side (RFC 6455 4.1).
**
** Writes the request and checks the answer.  What the caller adds (target,
** host, subprotocols, headers) is validated before a byte is written, so
** that nothing unvalidated reaches the wire.  Sends no cookies and no Origin
** of its own: they are headers like any other here.
*/
#ifndef WS_PROTO_HELLO_H
#define WS_PROTO_HELLO_H

#include "base/buf.h"
#include "wire/head.h"

enum { WS_KEY_SIZE = 24, WS_NONCE_SIZE = 16 };

/* Which challenges of Digest in a 401 are the owner's to answer; else the 401
** is a refusal like any other. */
enum ws_challenges {
    WS_CHALLENGES_NONE,
    WS_CHALLENGES_STALE, /* one that says the nonce was too old */
    WS_CHALLENGES_ANY
};

/* What the request says; slices are needed only during ws_hello_write. */
struct ws_hello_conf {
    struct ws_slice nonce;         /* WS_NONCE_SIZE bytes: the key, bare */
    struct ws_slice target;        /* "/path?query" */
    struct ws_slice host;          /* value of Host */
    struct ws_slice origin;        /* value of Origin; n 0: none */
    struct ws_slice protocols;     /* "soap, wamp"; n 0: none */
    struct ws_slice extensions;    /* offer; n 0: none */
    const struct ws_field *fields; /* further headers, in order */
    unsigned nfields;
    enum ws_challenges challenges;
};

/* What has to be remembered until the answer came. */
struct ws_hello {
    char key[WS_KEY_SIZE];     /* Sec-WebSocket-Key */
    struct ws_slice protocols; /* the offer; n 0: none */
    int extensions;            /* 1: extensions were offered */
    enum ws_challenges challenges;
};

/* What the answer agreed to; slices into the answer's head. */
struct ws_hello_answer {
    struct ws_slice protocol;   /* n 0: none */
    struct ws_slice extensions; /* the header's value; n 0: none */
};

/* 1 when a header of this name is written by the handshake itself and may
** not be given by the caller: Host, Upgrade, Connection, Sec-WebSocket-*,
** Content-Length, Transfer-Encoding, and for requests Origin; and of
** Proxy-Authorization, which is written to a proxy. */
int ws_hello_reserved(struct ws_slice name);

/* 1 when a header the caller gave may follow a redirect to another origin:
** Accept, Accept-Language, Cache-Control, Pragma, User-Agent.  Any other may
** be a secret between the caller and the first origin (RFC 9110 15.4). */
int ws_hello_travels(struct ws_slice name);

/* 1 when s is a list of distinct tokens, "a, b", or empty (4.1, 11.3.4). */
int ws_hello_protocols_ok(struct ws_slice s);

/* Appends the request to out.  h->protocols keeps pointing at the caller's
** bytes.  WS_OK, WS_ERR_FIELD (a header or part that may not be sent),
** WS_ERR_PROTOCOLS, WS_ERR_NOMEM. */
int ws_hello_write(struct ws_hello *h, struct ws_buf *out, struct ws_mem *mem,
                   const struct ws_hello_conf *conf);

/* Checks the head of the final answer.  WS_OK and *answer, or WS_ERR_STATUS,
** WS_ERR_HEAD_VERSION, WS_ERR_UPGRADE, WS_ERR_CONNECTION,
** WS_ERR_HEAD_SYNTAX (Connection is no list), WS_ERR_ACCEPT,
** WS_ERR_PROTOCOL_MISSING, WS_ERR_PROTOCOL_ANSWER, WS_ERR_EXTENSION_ANSWER. */
int ws_hello_check(const struct ws_hello *h, const struct ws_head *head,
                   struct ws_hello_answer *answer);

/* 1 when the head is that of a 401 with a challenge of Digest that is the
** owner's to answer: ws_digest_choose finds it among WWW-Authenticate. */
int ws_hello_challenged(const struct ws_hello *h, const struct ws_head *head);

/* 1 when the answer is an interim one (1xx but 101) that is skipped. */
int ws_hello_interim(const struct ws_head *head);

#endif
