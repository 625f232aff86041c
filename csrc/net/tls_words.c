/* net/tls_words.c -- see tls.h: certificates and failures, in words.
**
** What comes out of a certificate is a stranger's: it is turned to UTF-8, cut,
** and rid of control characters before anyone sees it.
*/
#include "net/tls_parts.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <stdio.h>

enum { TEXT = 64, LIST = 160 }; /* of one name; of several */

/* -- pieces of a certificate -- */

static void clean(char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
    }
}

/* A NUL inside is shown, not taken for the end. */
static void copy(char *out, size_t size, const void *p, int n)
{
    int i;

    snprintf(out, size, "%.*s", n, (const char *)p);
    for (i = 0; i < n && i < (int)size - 1; i++)
        out[i] = ((const char *)p)[i] != '\0' ? ((const char *)p)[i] : '?';
    out[i] = '\0';
    clean(out);
}

static void write_name(char *out, size_t size, X509_NAME *name)
{
    BIO *b = BIO_new(BIO_s_mem());
    unsigned long flags = (XN_FLAG_ONELINE & ~(unsigned long)XN_FLAG_SPC_EQ &
                           ~(unsigned long)ASN1_STRFLGS_ESC_MSB) |
                          ASN1_STRFLGS_UTF8_CONVERT;
    char *p;
    long n;

    out[0] = '\0';
    if (b == NULL)
        return;
    X509_NAME_print_ex(b, name, 0, flags);
    n = BIO_get_mem_data(b, &p);
    copy(out, size, p, n > 0 ? (int)n : 0);
    BIO_free(b);
}

/* "CN=example.com", or the whole name when there is no CN. */
static void write_short(char *out, size_t size, X509_NAME *name)
{
    int i = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    unsigned char *utf8 = NULL;
    int n = -1;

    if (i >= 0)
        n = ASN1_STRING_to_UTF8(
            &utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
    if (n >= 0) {
        snprintf(out, size, "CN=");
        copy(out + 3, size - 3, utf8, n);
        OPENSSL_free(utf8);
        return;
    }
    write_name(out, size, name);
    if (out[0] == '\0')
        snprintf(out, size, "nobody");
}

static void write_who(char *out, size_t size, X509 *x, int issuer)
{
    write_short(out, size,
                issuer ? X509_get_issuer_name(x) : X509_get_subject_name(x));
}

static void write_time(char *out, size_t size, const ASN1_TIME *t, int whole)
{
    struct tm tm;

    if (!ASN1_TIME_to_tm(t, &tm)) {
        snprintf(out, size, "?");
        return;
    }
    snprintf(out, size, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday);
    if (whole && size > 20)
        snprintf(out + 10, size - 10, "T%02d:%02d:%02dZ", tm.tm_hour, tm.tm_min,
                 tm.tm_sec);
}

/* One entry of subjectAltName: 1 when it names a host. */
static int write_alt(char *out, size_t size, const GENERAL_NAME *g)
{
    const ASN1_STRING *s;
    const unsigned char *p;
    int n;

    if (g->type == GEN_DNS) {
        s = g->d.dNSName;
        copy(out, size, ASN1_STRING_get0_data(s), ASN1_STRING_length(s));
        return out[0] != '\0';
    }
    if (g->type != GEN_IPADD)
        return 0;
    p = ASN1_STRING_get0_data(g->d.iPAddress);
    n = ASN1_STRING_length(g->d.iPAddress);
    return (n == 4 || n == 16) && inet_ntop(n == 4 ? AF_INET : AF_INET6, p, out,
                                            (socklen_t)size) != NULL;
}

/* The names of a certificate, decoded once: there may be thousands. */
struct names {
    GENERAL_NAMES *all;
    int n, next;
};

static struct names names_of(const X509 *x)
{
    struct names k = {NULL, 0, 0};

    k.all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    k.n = k.all == NULL ? 0 : sk_GENERAL_NAME_num(k.all);
    return k;
}

/* The next one, or 0. */
static int write_next(struct names *k, char *out, size_t size)
{
    int found = 0;

    while (k->next < k->n && !found)
        found = write_alt(out, size, sk_GENERAL_NAME_value(k->all, k->next++));
    return found;
}

/* What stands before the one just written: "DNS:" where somebody has put an
** address among the host names, with which no address is compared. */
static const char *mark_of(const struct names *k, const char *one)
{
    unsigned char bytes[4];
    int dns = sk_GENERAL_NAME_value(k->all, k->next - 1)->type == GEN_DNS;

    return dns && inet_pton(AF_INET, one, bytes) == 1 ? "DNS:" : "";
}

/* "it is for a.org, b.org, ..."; CN counts for nothing (RFC 9525 2). */
static void write_names(char *out, size_t size, const X509 *x)
{
    struct names k = names_of(x);
    size_t n = 0;
    char one[TEXT];
    const char *mark;

    snprintf(out, size, "it names no host");
    while (write_next(&k, one, sizeof one)) {
        mark = mark_of(&k, one);
        if (n == 0) {
            snprintf(out, size, "it is for %s%s", mark, one);
        } else if (n + strlen(mark) + strlen(one) + 3 < size - 5) {
            snprintf(out + n, size - n, ", %s%s", mark, one);
        } else {
            snprintf(out + n, size - n, ", ...");
            break;
        }
        n = strlen(out);
    }
    GENERAL_NAMES_free(k.all);
}

/* -- keeping words -- */

void ws_tls_note(struct ws_tls *t, const char *what)
{
    char text[WS_TLS_WHY_MAX + TEXT];
    size_t n;

    if (t->words != NULL)
        return;
    if ((t->stream.want & WS_STREAM_OPENING) == 0)
        snprintf(text, sizeof text, "TLS: %s", what);
    else if (t->name == NULL)
        snprintf(text, sizeof text, "TLS handshake: %s", what);
    else
        snprintf(text, sizeof text, "TLS handshake with %.*s: %s", TEXT,
                 t->name, what);
    n = strlen(text) + 1;
    t->words = ws_mem_get(t->mem, n);
    if (t->words != NULL)
        memcpy(t->words, text, n);
}

/* -- what a verification found -- */

static void of_other(char *out, size_t size, X509 *x, const char *what)
{
    char who[TEXT];

    write_who(who, sizeof who, x, 0);
    snprintf(out, size, "%s (%s)", what, who);
}

static void of_issuer(char *out, size_t size, X509 *x)
{
    char who[TEXT], by[TEXT];

    write_who(who, sizeof who, x, 0);
    write_who(by, sizeof by, x, 1);
    snprintf(out, size, "certificate is from an unknown authority (%s, by %s)",
             who, by);
}

static void of_date(char *out, size_t size, X509 *x, int begins)
{
    char who[TEXT], day[TEXT];

    write_who(who, sizeof who, x, 0);
    write_time(day, sizeof day,
               begins ? X509_get0_notBefore(x) : X509_get0_notAfter(x), 0);
    snprintf(out, size,
             begins ? "certificate is not valid yet (%s, from %s)"
                    : "certificate has expired (%s, %s)",
             who, day);
}

static void of_name(struct ws_tls *t, char *out, size_t size, X509 *x)
{
    char names[LIST];

    write_names(names, sizeof names, x);
    snprintf(out, size, "certificate is not for %.*s: %s", TEXT,
             t->name != NULL ? t->name : "?", names);
}

static void of_revoked(char *out, size_t size, X509 *x, X509_CRL *list)
{
    char who[TEXT], day[TEXT];
    X509_REVOKED *r = NULL;

    if (list == NULL || X509_CRL_get0_by_cert(list, &r, x) != 1) {
        of_other(out, size, x, "certificate is revoked");
        return;
    }
    write_who(who, sizeof who, x, 0);
    write_time(day, sizeof day, X509_REVOKED_get0_revocationDate(r), 0);
    snprintf(out, size, "certificate is revoked (%s, since %s)", who, day);
}

static void of_no_list(char *out, size_t size, X509 *x)
{
    char who[TEXT], by[TEXT];

    write_who(who, sizeof who, x, 0);
    write_who(by, sizeof by, x, 1);
    snprintf(out, size,
             "certificate may be revoked: there is no list of its authority "
             "(%s, by %s)",
             who, by);
}

/* The list is its issuer's, and so named. */
static void of_list_date(char *out, size_t size, X509_CRL *list, int begins)
{
    char who[TEXT], day[TEXT];

    write_short(who, sizeof who, X509_CRL_get_issuer(list));
    write_time(day, sizeof day,
               begins ? X509_CRL_get0_lastUpdate(list)
                      : X509_CRL_get0_nextUpdate(list),
               0);
    snprintf(out, size,
             begins ? "revocation list is not valid yet (%s, from %s)"
                    : "revocation list has expired (%s, %s)",
             who, day);
}

static void of_list(char *out, size_t size, X509_CRL *list, int err)
{
    char who[TEXT];

    if (err == X509_V_ERR_CRL_HAS_EXPIRED ||
        err == X509_V_ERR_CRL_NOT_YET_VALID) {
        of_list_date(out, size, list, err == X509_V_ERR_CRL_NOT_YET_VALID);
        return;
    }
    write_short(who, sizeof who, X509_CRL_get_issuer(list));
    snprintf(out, size, "revocation list cannot be trusted: %s (%s)",
             err == X509_V_ERR_CRL_SIGNATURE_FAILURE
                 ? "its authority did not sign it"
                 : X509_verify_cert_error_string(err),
             who);
}

/* What needs no more than the name. */
static const char *plain_words(int err, int of_server)
{
    switch (err) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "certificate is self-signed";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "certificate is from an authority we do not trust";
    case X509_V_ERR_INVALID_PURPOSE:
        return of_server ? "certificate is not meant for servers"
                         : "certificate is not meant for clients";
    case X509_V_ERR_INVALID_CA:
        return "certificate must not sign others, and does";
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
        return "certificate has a key that is too weak";
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return "certificate is signed with a digest that is too weak";
    default:
        return X509_verify_cert_error_string(err);
    }
}

static void describe(struct ws_tls *t, char *out, size_t size,
                     X509_STORE_CTX *s)
{
    X509 *x = X509_STORE_CTX_get_current_cert(s);
    X509_CRL *list = X509_STORE_CTX_get0_current_crl(s);
    int err = X509_STORE_CTX_get_error(s);

    if (x == NULL) {
        snprintf(out, size, "%s", X509_verify_cert_error_string(err));
        return;
    }
    if (list != NULL && err != X509_V_ERR_CERT_REVOKED) {
        of_list(out, size, list, err);
        return;
    }
    switch (err) {
    case X509_V_ERR_CERT_REVOKED:
        of_revoked(out, size, x, list);
        break;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
        of_no_list(out, size, x);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        of_date(out, size, x, err == X509_V_ERR_CERT_NOT_YET_VALID);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        of_name(t, out, size, x);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        of_issuer(out, size, x);
        break;
    default:
        of_other(out, size, x, plain_words(err, t->name != NULL));
        break;
    }
}

void ws_tls_note_verify(struct ws_tls *t, X509_STORE_CTX *s)
{
    char text[WS_TLS_WHY_MAX];

    describe(t, text, sizeof text, s);
    ws_tls_note(t, text);
}

/* -- what OpenSSL's queue says -- */

enum { ALERT = 1000 }; /* SSL_R_ numbers from here on: the peer's alert */

static const char *alert_words(int alert)
{
    switch (alert) {
    case SSL_AD_CERTIFICATE_REQUIRED:
        return "certificate required";
    case SSL_AD_NO_APPLICATION_PROTOCOL:
        return "no application protocol";
    case SSL_AD_UNEXPECTED_MESSAGE:
        return "unexpected message";
    default:
        return SSL_alert_desc_string_long(alert);
    }
}

/* For what has a better name than OpenSSL's. */
static const char *reason_words(int reason)
{
    switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_UNKNOWN_PROTOCOL:
        return "what came is not TLS";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
        return "no TLS version in common";
    case SSL_R_NO_SHARED_CIPHER:
        return "no cipher in common";
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return "no application protocol (ALPN) in common";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "the client showed no certificate";
    default:
        return NULL;
    }
}

void ws_tls_note_error(struct ws_tls *t)
{
    unsigned long e = ERR_peek_error();
    int reason = ERR_GET_REASON(e), ssl = ERR_GET_LIB(e) == ERR_LIB_SSL;
    const char *words = ssl ? reason_words(reason) : NULL;
    char text[TEXT];

    if (words == NULL)
        words = ERR_reason_error_string(e);
    if (ssl && reason >= ALERT) {
        snprintf(text, sizeof text, "the peer refused: %s",
                 alert_words(reason - ALERT));
        words = text;
    }
    ws_tls_note(t, words != NULL ? words : "it failed");
}

/* -- for the curious -- */

static X509 *peer_of(struct ws_stream *s)
{
    struct ws_tls_info info;

    if (ws_tls_describe(s, &info) != WS_OK)
        return NULL;
    return SSL_get0_peer_certificate(
        ws_container(s, struct ws_tls, stream)->ssl);
}

static void write_hex(char *out, size_t size, const unsigned char *p, size_t n,
                      const char *between)
{
    size_t i;

    out[0] = '\0';
    for (i = 0; i < n; i++)
        snprintf(out + strlen(out), size - strlen(out), "%s%02X",
                 i > 0 ? between : "", p[i]);
}

int ws_tls_peer(struct ws_stream *s, struct ws_tls_cert *cert)
{
    X509 *x = peer_of(s);
    const ASN1_INTEGER *serial;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (x == NULL)
        return WS_MORE;
    write_name(cert->subject, sizeof cert->subject, X509_get_subject_name(x));
    write_name(cert->issuer, sizeof cert->issuer, X509_get_issuer_name(x));
    write_time(cert->valid_from, sizeof cert->valid_from,
               X509_get0_notBefore(x), 1);
    write_time(cert->valid_to, sizeof cert->valid_to, X509_get0_notAfter(x), 1);
    serial = X509_get0_serialNumber(x);
    write_hex(cert->serial, sizeof cert->serial, ASN1_STRING_get0_data(serial),
              (size_t)ASN1_STRING_length(serial), "");
    X509_digest(x, EVP_sha256(), digest, &n);
    write_hex(cert->fingerprint, sizeof cert->fingerprint, digest, n, ":");
    return WS_OK;
}

size_t ws_tls_peer_names(struct ws_stream *s, char *out, size_t size)
{
    char one[WS_TLS_NAME_MAX + 1];
    const X509 *x = peer_of(s);
    struct names k;
    size_t need = 0;

    if (x == NULL)
        return 0;
    k = names_of(x);
    while (write_next(&k, one, sizeof one)) {
        size_t n = strlen(one) + 1;
        if (need <= size && n <= size - need)
            memcpy(out + need, one, n);
        need += n;
    }
    GENERAL_NAMES_free(k.all);
    return need;
}
