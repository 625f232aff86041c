/* forge.h -- TLS 1.3 records as no library would write them.
**
** The writing side of a connection whose handshake is done: records of any
** type, length and padding, properly encrypted (RFC 8446 5.2, 7.3), and its
** keys' updates.  AES-128-GCM with SHA-256 only.  What decides whether a record
** makes sense is up to whoever asks for it.
*/
#ifndef FORGE_H
#define FORGE_H

#include "base/base.h"

#include <openssl/hmac.h>

#include <stdlib.h>

enum { FORGE_MORE = 22 }; /* bytes of a record that are not its content */

struct forge {
    uint8_t secret[32], key[16], iv[12];
    uint64_t seq;
    int ready;
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

/* A record of that content type with so many zeros behind it; out has room for
** body.n + pad + FORGE_MORE.  How long it is. */
static inline size_t forge_record(struct forge *f, int type,
                                  struct ws_slice body, size_t pad,
                                  uint8_t *out)
{
    size_t n = body.n + 1 + pad + 16, i;
    uint8_t nonce[12];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int k;

    out[0] = 23;
    out[1] = out[2] = 3;
    out[3] = (uint8_t)(n >> 8);
    out[4] = (uint8_t)n;
    if (body.n > 0)
        memcpy(out + 5, body.p, body.n);
    out[5 + body.n] = (uint8_t)type;
    memset(out + 6 + body.n, 0, pad);
    memcpy(nonce, f->iv, sizeof nonce);
    for (i = 0; i < 8; i++)
        nonce[11 - i] ^= (uint8_t)(f->seq >> 8 * i);
    f->seq++;
    EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, f->key, nonce);
    EVP_EncryptUpdate(c, NULL, &k, out, 5);
    EVP_EncryptUpdate(c, out + 5, &k, out + 5, (int)(n - 16));
    EVP_EncryptFinal_ex(c, out + 5 + k, &k);
    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, out + n + 5 - 16);
    EVP_CIPHER_CTX_free(c);
    return n + 5;
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
