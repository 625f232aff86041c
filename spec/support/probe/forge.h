/* forge.h -- TLS records as no library would write them.
**
** The writing side of a connection whose handshake is done: records of any
** type, length and padding, properly encrypted (RFC 8446 5.2, 7.3; TLS 1.2: RFC
** 5246 6.3, RFC 5288), and its keys' updates.  AES-128-GCM with SHA-256 only.
** Whether a record makes sense is up to whoever asks for it.
*/
#ifndef FORGE_H
#define FORGE_H

#include "base/base.h"

#include <openssl/hmac.h>
#include <openssl/ssl.h>

#include <stdlib.h>

enum { FORGE_MORE = 32 }; /* at most: bytes of a record beside its content */

struct forge {
    uint8_t secret[32], key[16], iv[12];
    uint64_t seq;
    int ready, old; /* old: TLS 1.2 */
};

/* HKDF-Expand-Label with no context, for at most 32 bytes. */
static inline void forge_expand(const uint8_t *secret, const char *label,
                                uint8_t *out, size_t n)
{
    uint8_t info[64] = {0, (uint8_t)n}, whole[32];
    size_t k = strlen(label);
    unsigned whole_n;

    info[2] = (uint8_t)(6 + k);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, k);
    info[10 + k] = 1; /* behind the empty context: the block's number */
    HMAC(EVP_sha256(), secret, 32, info, 11 + k, whole, &whole_n);
    memcpy(out, whole, n);
}

static inline void forge_start(struct forge *f, const uint8_t *secret)
{
    memmove(f->secret, secret, 32);
    forge_expand(f->secret, "key", f->key, sizeof f->key);
    forge_expand(f->secret, "iv", f->iv, sizeof f->iv);
    f->seq = 0;
    f->ready = 1;
}

/* The keys that follow a KeyUpdate. */
static inline void forge_update(struct forge *f)
{
    uint8_t next[32];

    forge_expand(f->secret, "traffic upd", next, sizeof next);
    forge_start(f, next);
}

/* A line of OpenSSL's key log: 1 when it was the secret of that side. */
static inline int forge_note(struct forge *f, const char *line, int server)
{
    const char *label =
        server ? "SERVER_TRAFFIC_SECRET_0 " : "CLIENT_TRAFFIC_SECRET_0 ";
    const char *hex = strrchr(line, ' ');
    uint8_t secret[32];
    size_t i;

    if (strncmp(line, label, strlen(label)) != 0 || strlen(hex) != 65)
        return 0;
    for (i = 0; i < 32; i++) {
        char byte[3] = {hex[1 + 2 * i], hex[2 + 2 * i], '\0'};
        secret[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    forge_start(f, secret);
    return 1;
}

/* TLS 1.2: the keys of a connection whose Finished is all that was encrypted so
** far, from its master secret by the PRF of RFC 5246 5. */
static inline void forge_start_old(struct forge *f, SSL *ssl, int server)
{
    uint8_t master[48], seed[32 + 13 + 64] = {0}, block[64];
    unsigned n;
    int i;

    SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof master);
    memcpy(seed + 32, "key expansion", 13);
    SSL_get_server_random(ssl, seed + 45, 32);
    SSL_get_client_random(ssl, seed + 77, 32);
    HMAC(EVP_sha256(), master, 48, seed + 32, 77, seed, &n);
    for (i = 0; i < 2; i++) {
        HMAC(EVP_sha256(), master, 48, seed, sizeof seed, block + 32 * i, &n);
        HMAC(EVP_sha256(), master, 48, seed, 32, seed, &n);
    }
    memcpy(f->key, block + (server ? 16 : 0), 16);
    memcpy(f->iv, block + (server ? 36 : 32), 4);
    f->seq = 1;
    f->ready = f->old = 1;
}

/* n bytes at p are encrypted in place, a tag behind them. */
static inline void forge_seal(const struct forge *f, const uint8_t nonce[12],
                              struct ws_slice aad, uint8_t *p, size_t n)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int k;

    EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, f->key, nonce);
    EVP_EncryptUpdate(c, NULL, &k, aad.p, (int)aad.n);
    EVP_EncryptUpdate(c, p, &k, p, (int)n);
    EVP_EncryptFinal_ex(c, p + n, &k);
    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, p + n);
    EVP_CIPHER_CTX_free(c);
}

static inline void forge_number(uint8_t *p, uint64_t value, int n)
{
    while (n-- > 0) {
        p[n] = (uint8_t)value;
        value >>= 8;
    }
}

static inline size_t forge_record_old(struct forge *f, int type,
                                      struct ws_slice body, uint8_t *out)
{
    uint8_t nonce[12], aad[13];

    forge_number(aad, f->seq, 8);
    aad[8] = (uint8_t)type;
    aad[9] = aad[10] = 3;
    forge_number(aad + 11, body.n, 2);
    memcpy(out, aad + 8, 3);
    forge_number(out + 3, 8 + body.n + 16, 2);
    memcpy(nonce, f->iv, 4);
    forge_number(nonce + 4, f->seq, 8);
    memcpy(out + 5, nonce + 4, 8);
    if (body.n > 0)
        memcpy(out + 13, body.p, body.n);
    forge_seal(f, nonce, ws_slice_of(aad, sizeof aad), out + 13, body.n);
    f->seq++;
    return 5 + 8 + body.n + 16;
}

/* A record of that content type, of TLS 1.3 with so many zeros behind it; out
** has room for body.n + pad + FORGE_MORE.  How long it is. */
static inline size_t forge_record(struct forge *f, int type,
                                  struct ws_slice body, size_t pad,
                                  uint8_t *out)
{
    size_t n = body.n + 1 + pad;
    uint8_t nonce[12];
    int i;

    if (f->old)
        return forge_record_old(f, type, body, out);
    out[0] = 23;
    out[1] = out[2] = 3;
    forge_number(out + 3, n + 16, 2);
    if (body.n > 0)
        memcpy(out + 5, body.p, body.n);
    out[5 + body.n] = (uint8_t)type;
    memset(out + 6 + body.n, 0, pad);
    memcpy(nonce, f->iv, sizeof nonce);
    for (i = 0; i < 8; i++)
        nonce[11 - i] ^= (uint8_t)(f->seq >> 8 * i);
    f->seq++;
    forge_seal(f, nonce, ws_slice_of(out, 5), out + 5, n);
    return 5 + n + 16;
}

/* A KeyUpdate, room for FORGE_MORE + 5; what follows has the new keys. */
static inline size_t forge_key_update(struct forge *f, int requested,
                                      uint8_t *out)
{
    const uint8_t body[5] = {24, 0, 0, 1, requested != 0};
    size_t n = forge_record(f, 22, ws_slice_of(body, sizeof body), 0, out);

    forge_update(f);
    return n;
}

#endif
