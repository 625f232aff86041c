/* net/tls.h -- TLS by OpenSSL: a stream on a stream, and what many share.
**
** Bytes travel between OpenSSL and the stream below through a BIO of our own,
** so TLS stands on anything: a socket, a proxy's tunnel, another TLS.  What is
** decided once, certificates, whom to trust, which versions, is a context, and
** connections share it.  TLS 1.2 and up; no renegotiation, no early data (a
** handshake that is replayed would be a new connection, RFC 8446 8), no
** compression.
**
** OpenSSL's own objects are the C library's memory, not ws_mem's.
*/
#ifndef WS_NET_TLS_H
#define WS_NET_TLS_H

#include "base/mem.h"
#include "net/stream.h"

enum {
    WS_TLS_RECORD = 16384,    /* plain bytes of a full record */
    WS_TLS_NAME_MAX = 255,    /* bytes of a host name */
    WS_TLS_SESSIONS_MAX = 64, /* hosts a client can return to quickly */
    WS_TLS_WHY_MAX = 384,     /* words about what fails, with the NUL */
    WS_TLS_V1_2 = 0x0303,     /* as on the wire */
    WS_TLS_V1_3 = 0x0304
};

struct ws_tls_ctx;

/* What a context is made from; strings are needed only meanwhile.  Where PEM
** is said, text with "-----BEGIN" in it is PEM, anything else a file's name. */
struct ws_tls_conf {
    int server;
    int verify;           /* client: chain and name; server: see request */
    int request;          /* server: ask clients for a certificate; with verify
                             a good one is needed, else anything will do */
    int tickets;          /* server: let clients come back quickly */
    int min_version;      /* WS_TLS_V1_2 or _3 */
    const char *ca;       /* PEM, or a directory as c_rehash makes; NULL: the
                             system's.  Instead of those, not beside them. */
    const char *crl;      /* PEM: lists of what is revoked (RFC 5280 5); NULL:
                             nobody asks.  One of each authority in a chain. */
    const char *cert;     /* PEM: certificate, then what leads to the root */
    const char *key;      /* PEM; NULL: it is in cert */
    const char *password; /* of the key, or NULL */
    const char *ciphers;  /* OpenSSL names, ":" between; NULL: its default,
                             AES-128 first.  A server goes by this order. */
    struct ws_slice alpn; /* as on the wire (RFC 7301 3.1); n 0: none */
};

/* -- contexts -- */

/* A context with one reference.  WS_OK; WS_ERR_NOMEM; WS_ERR_TLS and why says
** which of conf's parts is wrong and how (room for WS_TLS_WHY_MAX).  mem: its
** allocator is kept, its counts are not. */
int ws_tls_ctx_new(struct ws_tls_ctx **ctx, const struct ws_mem *mem,
                   const struct ws_tls_conf *conf, char *why);

/* A number that is another one when a file that conf names has been replaced or
** written to. */
uint64_t ws_tls_ctx_stamp(const struct ws_tls_conf *conf);

/* Server: who asks for this name (RFC 6066 3; "*." in front: any label there)
** gets the certificate of conf, of which nothing else counts.  Before the
** first connection.  Results as above; WS_ERR_TLS also for a name that is
** none. */
int ws_tls_ctx_add(struct ws_tls_ctx *ctx, const char *name,
                   const struct ws_tls_conf *conf, char *why);

struct ws_tls_ctx *ws_tls_ctx_ref(struct ws_tls_ctx *ctx);
/* The last one frees it; NULL is fine. */
void ws_tls_ctx_unref(struct ws_tls_ctx *ctx);

/* -- the stream -- */

/* TLS on below, by the contract of stream.h.  Client: name is what the server
** must have a certificate for, an IP address or a host name, whose trailing
** dot does not count.  Server: name NULL.  WS_OK and *top; WS_ERR_NOMEM and
** below is still the caller's. */
int ws_tls_new(struct ws_stream **top, struct ws_stream *below,
               struct ws_mem *mem, struct ws_tls_ctx *ctx, const char *name);

/* -- what it came to -- */

struct ws_tls_info {
    const char *version; /* "TLSv1.3"; static, as cipher */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
    int resumed;
    int has_cert; /* the peer showed a certificate */
};

/* WS_OK, or WS_MORE: s is no TLS, or not open yet. */
int ws_tls_describe(struct ws_stream *s, struct ws_tls_info *info);

/* The peer's certificate; text is UTF-8 without control characters, and cut
** where it is too long. */
struct ws_tls_cert {
    char subject[256], issuer[256];    /* "CN=example.com, O=..." */
    char valid_from[24], valid_to[24]; /* "2024-01-02T03:04:05Z" */
    char serial[64];                   /* hex */
    char fingerprint[96];              /* SHA-256, "AB:CD:..." */
};

/* WS_OK, or WS_MORE: there is none. */
int ws_tls_peer(struct ws_stream *s, struct ws_tls_cert *cert);

/* Its names as they are compared, DNS names and IP addresses, with a NUL behind
** each, into out as far as they fit; how many bytes all of them take. */
size_t ws_tls_peer_names(struct ws_stream *s, char *out, size_t size);

#endif
