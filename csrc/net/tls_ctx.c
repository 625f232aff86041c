/* net/tls_ctx.c -- see tls.h: contexts.
**
** Nothing here asks a terminal for a password, and a file is read once, when
** the context is made.
*/
#include "net/tls_parts.h"

#include "net/errno.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* Of ciphertext at a time, while it is read: 64 KiB, what records and a frame
** add to it, and a little. */
enum { READ_SIZE = 69632 };

/* -- PEM, from text or a file -- */

static int is_pem(const char *s)
{
    return strstr(s, "-----BEGIN") != NULL;
}

/* "cert 'x.pem'", or without the name when it is text */
int ws_tls_complain(char *why, const char *part, const char *where,
                    const char *what)
{
    if (where == NULL || is_pem(where))
        snprintf(why, WS_TLS_WHY_MAX, "%s: %s", part, what);
    else
        snprintf(why, WS_TLS_WHY_MAX, "%s '%.200s': %s", part, where, what);
    return WS_ERR_TLS;
}

static BIO *open_pem(const char *s, const char *part, char *why)
{
    BIO *b = is_pem(s) ? BIO_new_mem_buf(s, -1) : BIO_new_file(s, "r");

    if (b == NULL)
        ws_tls_complain(why, part, s,
                        is_pem(s) ? "out of memory" : ws_errno_text(errno));
    return b;
}

/* Nothing more came out of a PEM: 1 when that is since it ends there, 0 when
** something cannot be read. */
static int is_end(void)
{
    unsigned long e = ERR_peek_last_error();

    ERR_clear_error();
    return ERR_GET_LIB(e) == ERR_LIB_PEM &&
           ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

/* The password of a key, and whether it was asked for. */
struct secret {
    const char *password;
    int asked;
};

/* Never a question on the terminal; who: a secret, or NULL. */
static int give_password(char *buf, int size, int writing, void *who)
{
    struct secret *s = who;
    size_t n;

    (void)writing;
    if (s == NULL)
        return -1;
    s->asked = 1;
    n = s->password == NULL ? 0 : strlen(s->password);
    if (s->password == NULL || n > (size_t)size)
        return -1;
    memcpy(buf, s->password, n);
    return (int)n;
}

/* -- certificate and key -- */

/* Why OpenSSL does not take a certificate that it could read. */
static const char *cert_trouble(void)
{
    unsigned long e = ERR_peek_last_error();

    switch (ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0) {
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
        return "its key is too weak";
    case SSL_R_CA_MD_TOO_WEAK:
        return "it is signed with a digest that is too weak";
    default:
        return "it cannot be used";
    }
}

/* NULL, or what is wrong. */
static const char *use_chain(SSL_CTX *c, BIO *b)
{
    X509 *x = PEM_read_bio_X509_AUX(b, NULL, give_password, NULL);
    int ok = x != NULL && SSL_CTX_use_certificate(c, x);

    X509_free(x);
    if (!ok)
        return x == NULL ? "no good certificate in PEM" : cert_trouble();
    SSL_CTX_clear_chain_certs(c);
    for (;;) {
        x = PEM_read_bio_X509(b, NULL, give_password, NULL);
        if (x == NULL)
            return is_end() ? NULL : "what is behind it cannot be read";
        if (!SSL_CTX_add0_chain_cert(c, x)) {
            X509_free(x);
            return cert_trouble();
        }
    }
}

static const char *key_trouble(const struct secret *s, int given)
{
    if (!s->asked)
        return given ? "no good private key in PEM"
                     : "no private key is given, and none is in this";
    return s->password == NULL ? "it needs a password"
                               : "the password is wrong";
}

static int use_key(SSL_CTX *c, const struct ws_tls_conf *conf, char *why)
{
    const char *where = conf->key != NULL ? conf->key : conf->cert;
    BIO *b = open_pem(where, "key", why);
    struct secret s = {conf->password, 0};
    EVP_PKEY *key;
    int err = WS_OK;

    if (b == NULL)
        return WS_ERR_TLS;
    key = PEM_read_bio_PrivateKey(b, NULL, give_password, &s);
    BIO_free(b);
    if (key == NULL)
        err = ws_tls_complain(why, "key", where,
                              key_trouble(&s, conf->key != NULL));
    else if (!SSL_CTX_use_PrivateKey(c, key))
        err = ws_tls_complain(why, "key", where,
                              "it does not belong to the certificate");
    EVP_PKEY_free(key);
    return err;
}

int ws_tls_use_identity(SSL_CTX *c, const struct ws_tls_conf *conf, char *why)
{
    const char *trouble;
    BIO *b;

    if (conf->cert == NULL && conf->key == NULL)
        return conf->server
                   ? ws_tls_complain(why, "cert", NULL, "it is missing")
                   : WS_OK;
    if (conf->cert == NULL)
        return ws_tls_complain(why, "cert", NULL,
                               "it is missing, key is there");
    b = open_pem(conf->cert, "cert", why);
    if (b == NULL)
        return WS_ERR_TLS;
    trouble = use_chain(c, b);
    BIO_free(b);
    if (trouble != NULL)
        return ws_tls_complain(why, "cert", conf->cert, trouble);
    return use_key(c, conf, why);
}

/* -- whom to trust -- */

/* How many were added; -1: one cannot be read. */
static int add_all(SSL_CTX *c, BIO *b, int server)
{
    X509_STORE *store = SSL_CTX_get_cert_store(c);
    X509 *x;
    int n = 0;

    for (;;) {
        x = PEM_read_bio_X509_AUX(b, NULL, give_password, NULL);
        if (x == NULL)
            break;
        n += X509_STORE_add_cert(store, x);
        if (server)
            SSL_CTX_add_client_CA(c, x); /* who may show what */
        X509_free(x);
    }
    return is_end() ? n : -1;
}

static int trust_these(SSL_CTX *c, const struct ws_tls_conf *conf, char *why)
{
    struct stat st;
    BIO *b;
    int n;

    if (conf->ca == NULL)
        return SSL_CTX_set_default_verify_paths(c) ? WS_OK : WS_ERR_NOMEM;
    /* Whoever is named is trusted, be it no root. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(c),
                                X509_V_FLAG_PARTIAL_CHAIN);
    if (!is_pem(conf->ca) && stat(conf->ca, &st) == 0 && S_ISDIR(st.st_mode))
        return SSL_CTX_load_verify_dir(c, conf->ca) ? WS_OK : WS_ERR_NOMEM;
    b = open_pem(conf->ca, "ca", why);
    if (b == NULL)
        return WS_ERR_TLS;
    n = add_all(c, b, conf->server);
    BIO_free(b);
    if (n > 0)
        return WS_OK;
    return ws_tls_complain(why, "ca", conf->ca,
                           n == 0 ? "no certificate in PEM"
                                  : "a certificate cannot be read");
}

/* How many lists were added; -1: one cannot be read, be it the last of many.
** Whom it would refuse is nobody's guess. */
static int add_lists(X509_STORE *store, BIO *b)
{
    X509_CRL *list;
    int n = 0;

    for (;;) {
        list = PEM_read_bio_X509_CRL(b, NULL, give_password, NULL);
        if (list == NULL)
            break;
        n += X509_STORE_add_crl(store, list);
        X509_CRL_free(list);
    }
    return is_end() ? n : -1;
}

/* Each certificate of a chain has to be in no list of who signed it, and a list
** there has to be: what nginx, curl and Node understand by a list. */
static int use_lists(SSL_CTX *c, const struct ws_tls_conf *conf, char *why)
{
    BIO *b;
    int n;

    if (conf->crl == NULL)
        return WS_OK;
    b = open_pem(conf->crl, "crl", why);
    if (b == NULL)
        return WS_ERR_TLS;
    n = add_lists(SSL_CTX_get_cert_store(c), b);
    BIO_free(b);
    if (n <= 0)
        return ws_tls_complain(why, "crl", conf->crl,
                               n == 0 ? "no revocation list in PEM"
                                      : "a revocation list cannot be read");
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(c),
                                X509_V_FLAG_CRL_CHECK |
                                    X509_V_FLAG_CRL_CHECK_ALL);
    return WS_OK;
}

static int trust(SSL_CTX *c, const struct ws_tls_conf *conf, char *why)
{
    int err = trust_these(c, conf, why);

    return err == WS_OK ? use_lists(c, conf, why) : err;
}

/* Whom we trust by name needs no list that speaks of it, which for an authority
** that is no root there cannot be: its own issuer is not in the chain.  If one
** does, it counts. */
static int is_unlisted_anchor(X509_STORE_CTX *x)
{
    int err = X509_STORE_CTX_get_error(x);
    int n = sk_X509_num(X509_STORE_CTX_get0_chain(x));

    if (X509_STORE_CTX_get_error_depth(x) != n - 1)
        return 0;
    return err == X509_V_ERR_UNABLE_TO_GET_CRL ||
           (X509_STORE_CTX_get0_current_crl(x) != NULL &&
            err != X509_V_ERR_CERT_REVOKED);
}

static int on_verify(int ok, X509_STORE_CTX *x)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct ws_tls *t = SSL_get_app_data(ssl);

    if (!t->ctx->verify || ok)
        return 1;
    if (is_unlisted_anchor(x)) {
        X509_STORE_CTX_set_error(x, X509_V_OK);
        return 1;
    }
    ws_tls_note_verify(t, x);
    return 0;
}

static void set_verify(SSL_CTX *c, const struct ws_tls_conf *conf)
{
    int mode = conf->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;

    if (conf->server && !conf->request)
        mode = SSL_VERIFY_NONE;
    else if (conf->server)
        mode = SSL_VERIFY_PEER |
               (conf->verify ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SSL_CTX_set_verify(c, mode, mode == SSL_VERIFY_NONE ? NULL : on_verify);
}

/* -- protocols a client asks for -- */

/* Ours, in our order; none in common ends the handshake (RFC 7301 3.2). */
int ws_tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
                   const unsigned char *in, unsigned in_n, void *arg)
{
    struct ws_tls_ctx *ctx = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, n, ctx->alpn, (unsigned)ctx->nalpn, in,
                              in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int set_alpn(struct ws_tls_ctx *ctx, const struct ws_tls_conf *conf)
{
    ctx->nalpn = conf->alpn.n;
    if (conf->alpn.n == 0)
        return WS_OK;
    memcpy(ctx->alpn, conf->alpn.p, conf->alpn.n);
    if (ctx->server)
        SSL_CTX_set_alpn_select_cb(ctx->ssl, ws_tls_on_alpn, ctx);
    else if (SSL_CTX_set_alpn_protos(ctx->ssl, ctx->alpn,
                                     (unsigned)ctx->nalpn) != 0)
        return WS_ERR_NOMEM;
    return WS_OK;
}

/* -- contexts -- */

static SSL_CTX *new_ssl(const struct ws_tls_conf *conf)
{
    SSL_CTX *c = SSL_CTX_new(TLS_method());

    if (c == NULL)
        return NULL;
    SSL_CTX_set_min_proto_version(c, conf->min_version);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(c, 1); /* one recv for all that is there */
    SSL_CTX_set_default_read_buffer_len(c, READ_SIZE);
    set_verify(c, conf);
    return c;
}

/* Without it a client that showed a certificate could not come back. */
void ws_tls_set_id(SSL_CTX *c)
{
    static const unsigned char id[] = "wsock";

    SSL_CTX_set_session_id_context(c, id, sizeof id - 1);
}

static void set_server(struct ws_tls_ctx *ctx, const struct ws_tls_conf *conf)
{
    SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_OFF);
    ws_tls_set_id(ctx->ssl);
    /* our order, but ChaCha20 for who has it in front: it has no AES */
    SSL_CTX_set_options(ctx->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE |
                                      SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_num_tickets(ctx->ssl, conf->tickets ? 1 : 0);
    if (!conf->tickets)
        SSL_CTX_set_options(ctx->ssl, SSL_OP_NO_TICKET);
    ws_tls_watch_names(ctx);
}

static void set_client(struct ws_tls_ctx *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_CLIENT |
                                                 SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx->ssl, ws_tls_resume_keep);
}

static int fill(struct ws_tls_ctx *ctx, const struct ws_tls_conf *conf,
                char *why)
{
    int err;

    ctx->bio = ws_tls_bio();
    ctx->ssl = new_ssl(conf);
    if (ctx->ssl == NULL || ctx->bio == NULL)
        return WS_ERR_NOMEM;
    if (conf->server)
        set_server(ctx, conf);
    else
        set_client(ctx);
    err = ws_tls_set_ciphers(ctx->ssl, conf->ciphers, why);
    if (err == WS_OK)
        err = set_alpn(ctx, conf);
    if (err == WS_OK)
        err = ws_tls_use_identity(ctx->ssl, conf, why);
    if (err == WS_OK && (!conf->server || conf->request))
        err = trust(ctx->ssl, conf, why);
    return err;
}

int ws_tls_ctx_new(struct ws_tls_ctx **out, const struct ws_mem *mem,
                   const struct ws_tls_conf *conf, char *why)
{
    struct ws_mem m;
    struct ws_tls_ctx *ctx;
    int err;

    ws_mem_init(&m, mem->fn, mem->ud);
    ctx = ws_mem_get(&m, sizeof *ctx);
    if (ctx == NULL)
        return WS_ERR_NOMEM;
    memset(ctx, 0, sizeof *ctx);
    ctx->mem = m;
    ctx->refs = 1;
    ctx->server = conf->server != 0;
    ctx->verify = conf->verify != 0;
    ws_link_init(&ctx->names);
    ws_link_init(&ctx->resumes);
    ERR_clear_error();
    err = fill(ctx, conf, why);
    ERR_clear_error();
    if (err == WS_OK)
        *out = ctx;
    else
        ws_tls_ctx_unref(ctx);
    return err;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint64_t mix_file(uint64_t h, const char *pem)
{
    struct stat st;

    if (pem == NULL || is_pem(pem) || stat(pem, &st) != 0)
        return mix(h, 0);
    h = mix(mix(h, (uint64_t)st.st_ino), (uint64_t)st.st_size);
    h = mix(h, (uint64_t)st.st_mtim.tv_sec);
    return mix(h, (uint64_t)st.st_mtim.tv_nsec + 1);
}

uint64_t ws_tls_ctx_stamp(const struct ws_tls_conf *conf)
{
    uint64_t h = mix_file(mix_file(1, conf->ca), conf->crl);

    return mix_file(mix_file(h, conf->cert), conf->key);
}

struct ws_tls_ctx *ws_tls_ctx_ref(struct ws_tls_ctx *ctx)
{
    ctx->refs++;
    return ctx;
}

void ws_tls_ctx_unref(struct ws_tls_ctx *ctx)
{
    struct ws_mem m;

    if (ctx == NULL || --ctx->refs > 0)
        return;
    ws_tls_drop_names(ctx);
    ws_tls_resume_clear(ctx);
    ws_tls_free_batch(ctx);
    SSL_CTX_free(ctx->ssl);
    BIO_meth_free(ctx->bio);
    m = ctx->mem;
    ws_mem_put(&m, ctx, sizeof *ctx);
}
