/* net/tls_names.c -- see tls.h: the names of a server, and whose certificate
** each gets.
**
** What was agreed for one name is not taken up again for another (RFC 6066 3):
** OpenSSL does not see to that, but it looks at the context of a session, which
** is made of the name here, before anything else happens.
*/
#include "net/tls_parts.h"

#include <openssl/err.h>

static int name_matches(const char *pattern, const char *name)
{
    const char *dot;

    if (pattern[0] != '*')
        return strcmp(pattern, name) == 0;
    dot = strchr(name, '.');
    return dot != NULL && dot != name && strcmp(pattern + 1, dot) == 0;
}

static void to_lower(char *to, const char *from)
{
    size_t i;

    for (i = 0; i < WS_TLS_NAME_MAX && from[i] != '\0'; i++)
        to[i] = (char)ws_lower((uint8_t)from[i]);
    if (i > 1 && to[i - 1] == '.')
        i--;
    to[i] = '\0';
}

/* An exact name goes before a pattern; who asks for a name nobody has gets
** the first certificate (RFC 6066 3 allows both). */
static int on_name(SSL *ssl, int *alert, void *arg)
{
    struct ws_tls_ctx *ctx = arg;
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    char name[WS_TLS_NAME_MAX + 1];
    SSL_CTX *found = NULL;
    struct ws_link *l;

    (void)alert;
    if (asked == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    to_lower(name, asked);
    for (l = ws_link_first(&ctx->names); l != NULL;
         l = ws_link_next(&ctx->names, l)) {
        struct ws_tls_name *n = ws_container(l, struct ws_tls_name, link);
        if (name_matches(n->text, name) && (found == NULL || n->text[0] != '*'))
            found = n->ssl;
    }
    if (found != NULL)
        SSL_set_SSL_CTX(ssl, found);
    return SSL_TLSEXT_ERR_OK;
}

/* The name in a server_name extension (RFC 6066 3): one, of a host. */
static struct ws_slice asked_name(const unsigned char *p, size_t n)
{
    size_t k;

    if (n < 5 || p[2] != TLSEXT_NAMETYPE_host_name)
        return ws_slice_of(NULL, 0);
    k = (size_t)p[3] << 8 | p[4];
    return k > n - 5 || k > WS_TLS_NAME_MAX ? ws_slice_of(NULL, 0)
                                            : ws_slice_of(p + 5, k);
}

static int on_hello(SSL *ssl, int *alert, void *arg)
{
    char raw[WS_TLS_NAME_MAX + 1], name[WS_TLS_NAME_MAX + 1];
    unsigned char digest[EVP_MAX_MD_SIZE];
    const unsigned char *p;
    struct ws_slice s;
    unsigned k;
    size_t n;

    (void)alert;
    (void)arg;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n))
        return SSL_CLIENT_HELLO_SUCCESS;
    s = asked_name(p, n);
    if (s.n > 0)
        memcpy(raw, s.p, s.n);
    raw[s.n] = '\0';
    to_lower(name, raw);
    if (!EVP_Digest(name, strlen(name), digest, &k, EVP_sha256(), NULL) ||
        !SSL_set_session_id_context(ssl, digest, k))
        return SSL_CLIENT_HELLO_ERROR;
    return SSL_CLIENT_HELLO_SUCCESS;
}

void ws_tls_watch_names(struct ws_tls_ctx *ctx)
{
    SSL_CTX_set_client_hello_cb(ctx->ssl, on_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx->ssl, on_name);
    SSL_CTX_set_tlsext_servername_arg(ctx->ssl, ctx);
}

/* What OpenSSL looks for in the context a name leads to, not in the first. */
static int share(struct ws_tls_ctx *ctx, SSL_CTX *c)
{
    STACK_OF(X509_NAME) *names =
        SSL_dup_CA_list(SSL_CTX_get_client_CA_list(ctx->ssl));

    if (names == NULL)
        return WS_ERR_NOMEM;
    SSL_CTX_set_client_CA_list(c, names);
    SSL_CTX_set1_cert_store(c, SSL_CTX_get_cert_store(ctx->ssl));
    if (ctx->nalpn > 0)
        SSL_CTX_set_alpn_select_cb(c, ws_tls_on_alpn, ctx);
    ws_tls_set_id(c);
    return ws_tls_copy_ciphers(c, ctx->ssl);
}

/* Whether a client can ask for it: letters, digits, '-', '.' and '_', behind
** "*." perhaps.  Others are asked for as "xn--...". */
static int is_name(const char *name)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

    if (name[0] == '*' && name[1] == '.')
        name += 2;
    return name[0] != '\0' && name[strspn(name, chars)] == '\0';
}

int ws_tls_ctx_add(struct ws_tls_ctx *ctx, const char *name,
                   const struct ws_tls_conf *conf, char *why)
{
    char which[WS_TLS_WHY_MAX];
    struct ws_tls_name *n;
    int err;

    if (strlen(name) > WS_TLS_NAME_MAX || !is_name(name))
        return ws_tls_complain(why, "sni", name, "it is no host name");
    n = ws_mem_get(&ctx->mem, sizeof *n);
    if (n == NULL)
        return WS_ERR_NOMEM;
    to_lower(n->text, name);
    n->ssl = SSL_CTX_new(TLS_method());
    ws_link_init(&n->link);
    ws_link_append(&ctx->names, &n->link);
    if (n->ssl == NULL)
        return WS_ERR_NOMEM;
    ERR_clear_error();
    err = share(ctx, n->ssl);
    if (err == WS_OK)
        err = ws_tls_use_identity(n->ssl, conf, which);
    ERR_clear_error();
    if (err == WS_ERR_TLS)
        ws_tls_complain(why, "sni", name, which);
    return err;
}

void ws_tls_drop_names(struct ws_tls_ctx *ctx)
{
    struct ws_link *l;

    for (l = ws_link_first(&ctx->names); l != NULL;
         l = ws_link_first(&ctx->names)) {
        struct ws_tls_name *n = ws_container(l, struct ws_tls_name, link);
        ws_link_remove(l);
        SSL_CTX_free(n->ssl);
        ws_mem_put(&ctx->mem, n, sizeof *n);
    }
}
