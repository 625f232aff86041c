/* net/tls_ciphers.c -- see tls.h: which ciphers, and in which order.
**
** OpenSSL keeps those of TLS 1.3, whose names begin with TLS_, apart from the
** older ones, and looks for the older ones in the context that a server's name
** leads to.
*/
#include "net/tls_parts.h"

enum {
    LIST_MAX = 512, /* bytes of a list one asks for */
    ROOM = 8192     /* of all that OpenSSL has */
};

/* Names with a ':' behind each: of TLS 1.2, of TLS 1.3. */
struct lists {
    char text[2][ROOM];
    size_t n[2];
};

static int add(struct lists *l, const char *name, size_t k, size_t most)
{
    int i = strncmp(name, "TLS_", 4) == 0;

    if (l->n[i] + k + 2 > most)
        return WS_ERR_TLS;
    memcpy(l->text[i] + l->n[i], name, k);
    l->n[i] += k;
    l->text[i][l->n[i]++] = ':';
    return WS_OK;
}

/* Of a list that is empty, what there was stays. */
static int apply(SSL_CTX *c, struct lists *l)
{
    int i;

    for (i = 0; i < 2; i++)
        l->text[i][l->n[i] > 0 ? l->n[i] - 1 : 0] = '\0';
    return (l->n[0] == 0 || SSL_CTX_set_cipher_list(c, l->text[0])) &&
           (l->n[1] == 0 || SSL_CTX_set_ciphersuites(c, l->text[1]));
}

/* Those of a context that are, or are not, the given one. */
static int add_all(struct lists *l, const SSL_CTX *c, const char *name, int is)
{
    STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(c);
    int i, err = WS_OK;

    for (i = 0; i < sk_SSL_CIPHER_num(all) && err == WS_OK; i++) {
        const char *s = SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i));
        if ((strcmp(s, name) == 0) == is)
            err = add(l, s, strlen(s), ROOM);
    }
    return err;
}

/* AES-128 before AES-256, as browsers have it: less work for each record, and
** the handshake goes by SHA-256, which processors know. */
static int put_in_order(SSL_CTX *c)
{
    static const char first[] = "TLS_AES_128_GCM_SHA256";
    struct lists l = {.n = {0, 0}};

    if (add_all(&l, c, first, 1) != WS_OK || add_all(&l, c, first, 0) != WS_OK)
        return 0;
    l.n[0] = 0;
    return apply(c, &l);
}

int ws_tls_set_ciphers(SSL_CTX *c, const char *list, char *why)
{
    struct lists l = {.n = {0, 0}};

    if (!put_in_order(c))
        return WS_ERR_NOMEM;
    while (list != NULL && *list != '\0') {
        size_t k = strcspn(list, ":");
        if (add(&l, list, k, LIST_MAX) != WS_OK)
            return ws_tls_complain(why, "ciphers", NULL,
                                   "the list is too long");
        list += list[k] == ':' ? k + 1 : k;
    }
    if (!apply(c, &l))
        return ws_tls_complain(why, "ciphers", NULL,
                               "OpenSSL knows none of them");
    return WS_OK;
}

int ws_tls_copy_ciphers(SSL_CTX *to, const SSL_CTX *from)
{
    struct lists l = {.n = {0, 0}};

    SSL_CTX_set_security_level(to, SSL_CTX_get_security_level(from));
    if (add_all(&l, from, "", 0) != WS_OK || !apply(to, &l))
        return WS_ERR_NOMEM;
    return WS_OK;
}
