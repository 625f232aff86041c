/* base/digest.c -- OpenSSL behind a few functions.
**
** The pool of keys has a page of its own that Linux empties in a child of
** fork (MADV_WIPEONFORK), so the child finds no keys in it and draws its own.
** Elsewhere each draw compares getpid(): a system call, 0.1 us, yet five
** times cheaper than four bytes from the generator.  Neither needs a global,
** as a fork handler would, nor outlives the module.
*/
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */
#include "base/digest.h"
#include "base/base64.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SHA1_SIZE = 20,
    KEY_SIZE = 4,
    KEYS_SIZE = 1024 /* drawn at once: 0.8 us for 256 keys */
};

/* Zeros, which is how it comes and how a child finds it, are: no keys. */
struct ws_key_page {
    size_t left; /* the last `left` bytes are unused */
    uint8_t bytes[KEYS_SIZE];
};

/* RFC 6455 1.3 */
static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

int ws_digest_accept(char out[WS_ACCEPT_SIZE], struct ws_slice key)
{
    uint8_t in[WS_ACCEPT_KEY_MAX + sizeof guid];
    uint8_t sum[EVP_MAX_MD_SIZE];
    if (key.n > WS_ACCEPT_KEY_MAX)
        return WS_ERR_ARGUMENT;
    if (key.n > 0)
        memcpy(in, key.p, key.n);
    memcpy(in + key.n, guid, sizeof guid - 1);
    /* Fetches the algorithm each time: 0.3 us, 1 % of a handshake. */
    if (EVP_Digest(in, key.n + sizeof guid - 1, sum, NULL, EVP_sha1(), NULL) !=
        1)
        return WS_ERR_SYSTEM;
    ws_base64_encode(out, ws_slice_of(sum, SHA1_SIZE));
    return WS_OK;
}

/* -- hashes -- */

/* MD5 may be missing: a build without it, or one that is told to be FIPS. */
static const EVP_MD *hash_of(enum ws_hash kind)
{
    static const char *const names[] = {"MD5", "SHA256", "SHA512-256"};

    return EVP_get_digestbyname(names[kind]);
}

void ws_hash_begin(struct ws_hasher *h, enum ws_hash kind)
{
    h->ctx = EVP_MD_CTX_new();
    h->ok =
        h->ctx != NULL && EVP_DigestInit_ex(h->ctx, hash_of(kind), NULL) == 1;
}

void ws_hash_add(struct ws_hasher *h, struct ws_slice s)
{
    if (h->ok && s.n > 0)
        h->ok = EVP_DigestUpdate(h->ctx, s.p, s.n) == 1;
}

/* Two digits for each of n bytes. */
static void put_hex(char *out, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
}

int ws_hash_end(struct ws_hasher *h, enum ws_hash kind, char *out)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    size_t n = ws_hash_size(kind) / 2;

    if (h->ok)
        h->ok = EVP_DigestFinal_ex(h->ctx, sum, NULL) == 1;
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
    if (!h->ok) {
        memset(out, 0, 2 * n);
        return WS_ERR_SYSTEM;
    }
    put_hex(out, sum, n);
    OPENSSL_cleanse(sum, sizeof sum);
    return WS_OK;
}

size_t ws_hash_size(enum ws_hash kind)
{
    return kind == WS_HASH_MD5 ? 32 : 64;
}

int ws_hash_there(enum ws_hash kind)
{
    char out[WS_HASH_HEX_MAX];
    struct ws_hasher h;

    ws_hash_begin(&h, kind);
    return ws_hash_end(&h, kind, out) == WS_OK;
}

int ws_hmac(char out[WS_HMAC_SIZE], struct ws_slice key, struct ws_slice data)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    size_t n = 0;

    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key.p, key.n, data.p,
                  data.n, sum, sizeof sum, &n) == NULL ||
        n != WS_HMAC_SIZE / 2) {
        memset(out, 0, WS_HMAC_SIZE);
        return WS_ERR_SYSTEM;
    }
    put_hex(out, sum, n);
    OPENSSL_cleanse(sum, sizeof sum);
    return WS_OK;
}

void ws_wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
}

/* -- chance -- */

int ws_random(void *ud, uint8_t *p, size_t n)
{
    size_t done = 0;
    (void)ud;
    while (done < n) {
        size_t now = n - done < INT_MAX ? n - done : INT_MAX;
        if (RAND_bytes(p + done, (int)now) != 1) {
            memset(p, 0, n);
            return WS_ERR_RANDOM;
        }
        done += now;
    }
    return WS_OK;
}

void ws_keys_init(struct ws_keys *k)
{
    k->page = NULL;
    k->wiped = 0;
    k->pid = 0;
}

void ws_keys_free(struct ws_keys *k)
{
    if (k->page != NULL) {
        OPENSSL_cleanse(k->page, sizeof *k->page);
        munmap(k->page, sizeof *k->page);
    }
    ws_keys_init(k);
}

static int get_page(struct ws_keys *k)
{
    void *p = mmap(NULL, sizeof *k->page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return WS_ERR_NOMEM;
    k->page = p;
#ifdef MADV_WIPEONFORK
    k->wiped = madvise(p, sizeof *k->page, MADV_WIPEONFORK) == 0;
#endif
    return WS_OK;
}

static int refill(struct ws_key_page *page)
{
    int rc = ws_random(NULL, page->bytes, sizeof page->bytes);
    page->left = rc == WS_OK ? sizeof page->bytes : 0;
    return rc;
}

int ws_keys_next(struct ws_keys *k, uint8_t key[4])
{
    uint8_t *p;
    int pid, rc;
    if (k->page == NULL) {
        rc = get_page(k);
        if (rc != WS_OK)
            return rc;
    }
    pid = k->wiped ? 0 : (int)getpid();
    if (k->page->left == 0 || k->pid != pid) {
        rc = refill(k->page);
        if (rc != WS_OK)
            return rc;
        k->pid = pid;
    }
    p = k->page->bytes + sizeof k->page->bytes - k->page->left;
    memcpy(key, p, KEY_SIZE);
    OPENSSL_cleanse(p, KEY_SIZE);
    k->page->left -= KEY_SIZE;
    return WS_OK;
}

int ws_equal_const_time(struct ws_slice a, struct ws_slice b)
{
    if (a.n != b.n)
        return 0;
    return a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0;
}
