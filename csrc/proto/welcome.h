/* proto/welcome.h -- the opening handshake, server side (RFC 6455 4.2).
**
** Sorts a request into "wants WebSocket" and "plain HTTP", checks the former
** to the last rule, and writes the answers: 101, a refusal, or any plain
** response.  Which origins, paths and subprotocols are welcome is the
** application's decision; it asks ws_welcome_* for help.
*/
#ifndef WS_PROTO_WELCOME_H
#define WS_PROTO_WELCOME_H

#include "base/buf.h"
#include "wire/head.h"

/* What a request is, found by ws_welcome_check; slices into its head.
** head_method is right even when the check fails. */
struct ws_welcome {
    int upgrade;            /* 1: wants WebSocket; 0: plain HTTP */
    struct ws_slice key;    /* Sec-WebSocket-Key, trimmed */
    int head_method;        /* 1: HEAD, the response has no body */
    enum ws_body_kind body; /* plain HTTP: what follows the head */
    uint64_t length;        /* of a body of kind LENGTH */
};

/* A response to be written. */
struct ws_answer {
    int status;                    /* 101 or 200..599 */
    struct ws_slice reason;        /* n 0: the standard one */
    const struct ws_field *fields; /* further headers, in order */
    unsigned nfields;
    struct ws_slice host; /* the request's; n 0: not known */
    struct ws_slice body; /* not for 101 */
    int head_method;      /* 1: announce the body, send none */
    int64_t date;         /* seconds since 1970, not for 101; 0: none */
};

/* A 101 to be written. */
struct ws_accept {
    struct ws_slice key;           /* the request's */
    struct ws_slice protocol;      /* n 0: none */
    struct ws_slice extensions;    /* n 0: none */
    const struct ws_answer *extra; /* its headers; or NULL */
};

/* Checks a request.  WS_OK: *w says what it is.  Else the error to refuse
** it with (ws_err_status): a request that asks for WebSocket must be GET
** HTTP/1.1 with Host, Connection: Upgrade, one good key, version 13 and no
** body (4.2.1); a plain one needs a valid Host and body framing. */
int ws_welcome_check(struct ws_welcome *w, const struct ws_head *head);

/* Appends a 101.  WS_OK, WS_ERR_FIELD (a header that may not be sent, or is
** the handshake's own), WS_ERR_NOMEM. */
int ws_welcome_accept(struct ws_buf *out, struct ws_mem *mem,
                      const struct ws_accept *a);

/* 1 for a header no answer but ours may have: what frames the body. */
int ws_welcome_reserved(struct ws_slice name);

/* Appends a whole response with Content-Length, Connection: close and, where
** the status asks for it and the caller did not say it, Upgrade,
** Sec-WebSocket-Version, Allow, or a challenge of Basic for the host.  204 and
** 304 have no body.  A date becomes Date (RFC 9110 6.6.1), unless the caller
** gave one or it cannot be written.  WS_OK; WS_ERR_FIELD (a header that may
** not be sent, or is reserved); WS_ERR_NOMEM; WS_ERR_ARGUMENT (status). */
int ws_welcome_refuse(struct ws_buf *out, struct ws_mem *mem,
                      const struct ws_answer *answer);

/* The same for an error found by ws_welcome_check or the parser: its status
** and its text as a plain-text body, which is not sent when head_method. */
int ws_welcome_refuse_error(struct ws_buf *out, struct ws_mem *mem, int err,
                            int head_method, int64_t date);

/* The host the request is for, as it is written, and its port, 0 when that is
** not; n 0: none that is valid, which a head that was checked has. */
struct ws_slice ws_welcome_host(const struct ws_head *head, int *port);

/* 1 when the client offered this subprotocol: nothing else may be agreed on
** (4.2.2). */
int ws_welcome_offers(const struct ws_head *head, struct ws_slice name);

/* 1 when entry, "name" or "name:port", names that host, whatever the letter
** case.  Without a port it does on any.  A port that is not written is 80 or
** 443: which, knows the end that TLS comes to, and that may be a proxy. */
int ws_welcome_names(struct ws_slice entry, struct ws_slice host, int port);

/* 1 when the Origin header's host equals the Host header's (ports are not
** compared), or there is no Origin; the default policy against hijacking of
** browser sessions (10.2). */
int ws_welcome_same_host(const struct ws_head *head);

#endif
