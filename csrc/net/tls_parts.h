/* net/tls_parts.h -- what the files of net/tls share, and only they see.
**
** tls.c is the stream, tls_write.c how it writes, tls_ctx.c the context,
** tls_ciphers.c its ciphers, tls_names.c the names of a server, tls_resume.c a
** client's sessions, tls_words.c turns OpenSSL's results into sentences.
*/
#ifndef WS_NET_TLS_PARTS_H
#define WS_NET_TLS_PARTS_H

#include "base/list.h"
#include "net/tls.h"

#include <openssl/ssl.h>

struct ws_tls_ctx {
    struct ws_mem mem;
    SSL_CTX *ssl;
    BIO_METHOD *bio;        /* of all its connections */
    struct ws_link names;   /* server: of struct ws_tls_name */
    struct ws_link resumes; /* client: sessions, the latest used first */
    uint8_t *batch;         /* where records are gathered, from the first on */
    size_t nbatch;          /* bytes in it */
    int refs, nresumes;
    uint8_t server, verify;
    size_t nalpn;
    uint8_t alpn[256]; /* the protocols we speak, as on the wire */
};

/* One more certificate of a server. */
struct ws_tls_name {
    struct ws_link link;
    SSL_CTX *ssl;
    char text[WS_TLS_NAME_MAX + 1]; /* lower case */
};

/* A way back to a host. */
struct ws_tls_resume {
    struct ws_link link;
    SSL_SESSION *session;
    char name[WS_TLS_NAME_MAX + 1];
};

struct ws_tls {
    struct ws_stream stream;
    struct ws_stream *below;
    struct ws_mem *mem;
    struct ws_tls_ctx *ctx;
    SSL *ssl;
    char *name;    /* client: the one looked for, without a trailing dot */
    char *words;   /* what failed, or NULL */
    int fault;     /* the error that broke it, or 0 */
    int end;       /* what reading ends with: 0, or an error; see ended */
    int below_err; /* the error of the stream below, or 0 */
    const char *below_call; /* in which call */
    uint8_t *rest; /* encrypted, and not taken by the socket; or NULL */
    size_t rest_n, rest_at; /* its bytes, and those that are out */
    size_t ahead;           /* plain bytes in it, not yet counted as taken */
    uint8_t recvs;          /* calls of its read that are left */
    uint8_t talk;           /* messages of TLS's own since data came */
    uint8_t dry : 1;        /* it had no more, a moment ago */
    uint8_t drained : 1;    /* nor when it had opened */
    uint8_t eof : 1;        /* it came to its end */
    uint8_t ended : 1;      /* reading is at its end */
    uint8_t broken : 1;     /* OpenSSL will do nothing more */
    uint8_t gathers : 1;    /* what OpenSSL writes goes to the batch */
    uint8_t shut : 1;       /* close_notify is out */
    uint8_t alone : 1;      /* a record is written that is not gathered */
};

/* -- tls.c -- */

/* The BIO of our streams, or NULL. */
BIO_METHOD *ws_tls_bio(void);

/* Before each operation. */
void ws_tls_begin(struct ws_tls *t);

/* A result that is no success: WS_AGAIN, 0 for the peer's proper end, or an
** error, after which OpenSSL is not asked again. */
int ws_tls_judge(struct ws_tls *t, int result);

/* After WS_AGAIN: which direction OpenSSL waits for, or the stream below for
** it; 1: out. */
int ws_tls_waits_out(const struct ws_tls *t);

/* The stream below failed in that call. */
void ws_tls_fell(struct ws_tls *t, int err, const char *call);

/* -- tls_write.c -- */

ptrdiff_t ws_tls_write(struct ws_stream *s, const struct ws_slice *v, int n);

/* Encrypted bytes to the stream below: how many, WS_AGAIN, or an error. */
ptrdiff_t ws_tls_put(struct ws_tls *t, struct ws_slice v);

/* What waits of them: WS_OK when none does any more. */
int ws_tls_flush(struct ws_tls *t);

/* Encrypted bytes to the batch: how many, or -1. */
int ws_tls_gather(struct ws_tls *t, struct ws_slice v);

void ws_tls_drop_rest(struct ws_tls *t);
void ws_tls_free_batch(struct ws_tls_ctx *ctx);

/* -- tls_resume.c: a client's sessions -- */

/* The session to go on with, which is the caller's, or NULL. */
SSL_SESSION *ws_tls_resume_take(struct ws_tls_ctx *ctx, const char *name);

/* OpenSSL has a session: 1, and it is ours now. */
int ws_tls_resume_keep(SSL *ssl, SSL_SESSION *session);

void ws_tls_resume_clear(struct ws_tls_ctx *ctx);

/* -- tls_ctx.c, tls_names.c -- */

/* Says what is wrong with which part, and where it is from: WS_ERR_TLS. */
int ws_tls_complain(char *why, const char *part, const char *where,
                    const char *what);

/* Certificate and key of conf; WS_OK, WS_ERR_TLS and why. */
int ws_tls_use_identity(SSL_CTX *c, const struct ws_tls_conf *conf, char *why);

void ws_tls_set_id(SSL_CTX *c);

/* As OpenSSL calls it; arg: the context. */
int ws_tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
                   const unsigned char *in, unsigned in_n, void *arg);

/* A server looks at the names it is asked for. */
void ws_tls_watch_names(struct ws_tls_ctx *ctx);
void ws_tls_drop_names(struct ws_tls_ctx *ctx);

/* -- tls_ciphers.c -- */

/* OpenSSL's, or those of list: "A:B"; WS_OK; WS_ERR_TLS and why; NOMEM. */
int ws_tls_set_ciphers(SSL_CTX *c, const char *list, char *why);

/* Those of another context. */
int ws_tls_copy_ciphers(SSL_CTX *to, const SSL_CTX *from);

/* -- tls_words.c -- */

/* Keeps in t->words what the verification found, once. */
void ws_tls_note_verify(struct ws_tls *t, X509_STORE_CTX *x);

/* Keeps in t->words what OpenSSL's queue says, unless there are words. */
void ws_tls_note_error(struct ws_tls *t);

/* The same, in our own words. */
void ws_tls_note(struct ws_tls *t, const char *what);

#endif
