/* base/digest.h -- what needs a cryptographer: hashes, chance, comparing.
**
** SHA-1 serves the accept token only (RFC 6455 4.2.2; nothing is kept secret
** by it); the hashes of wider use are those of Digest authentication (RFC 7616
** 3.3), MD5 for servers that know no better.  All chance comes from OpenSSL's
** generator, which notices a fork; there is no weaker one to fall back to: no
** random bytes is an error.
**
** Mask keys must be fresh for every frame and not to be guessed from earlier
** ones (RFC 6455 5.3, 10.3).  Asking the generator for four bytes at a time
** costs more than a small frame does, so a ws_keys draws many at once.  It
** belongs to the process that filled it: a child of fork never uses what is
** left of its parent's, and a used key is wiped.
*/
#ifndef WS_BASE_DIGEST_H
#define WS_BASE_DIGEST_H

#include "base/base.h"
#include "base/err.h"

enum {
    WS_ACCEPT_SIZE = 28,   /* characters of Sec-WebSocket-Accept */
    WS_ACCEPT_KEY_MAX = 64 /* longest key hashed; a legal one has 24 */
};

/* One per loop: it keeps a page of memory once it was used. */
struct ws_keys {
    /* private */
    struct ws_key_page *page; /* unused keys; NULL before the first */
    int wiped;                /* the system empties it in a child */
    int pid;                  /* else: who filled it */
};

/* The accept token for a Sec-WebSocket-Key, 28 characters without NUL.
** WS_OK; WS_ERR_ARGUMENT when the key is longer than WS_ACCEPT_KEY_MAX;
** WS_ERR_SYSTEM when OpenSSL refuses.  The key's form is not checked. */
int ws_digest_accept(char out[WS_ACCEPT_SIZE], struct ws_slice key);

/* -- hashes, in hexadecimal -- */

enum ws_hash { WS_HASH_MD5, WS_HASH_SHA256, WS_HASH_SHA512_256 };

enum { WS_HASH_HEX_MAX = 64 };

/* A hash being made of what is added; errors show at its end. */
struct ws_hasher {
    /* private */
    void *ctx;
    int ok;
};

/* Every begin needs its end, which gives the memory back. */
void ws_hash_begin(struct ws_hasher *h, enum ws_hash kind);
void ws_hash_add(struct ws_hasher *h, struct ws_slice s);

/* Writes ws_hash_size digits, lower case, no NUL.  WS_OK, or WS_ERR_SYSTEM:
** OpenSSL has no memory, or does not have or allow that hash; out is zeros
** then. */
int ws_hash_end(struct ws_hasher *h, enum ws_hash kind, char *out);

/* Digits of that hash. */
size_t ws_hash_size(enum ws_hash kind);

/* 1 when OpenSSL has it. */
int ws_hash_there(enum ws_hash kind);

enum { WS_HMAC_SIZE = 64 };

/* HMAC with SHA-256 (RFC 2104), in hexadecimal, no NUL.  As ws_hash_end. */
int ws_hmac(char out[WS_HMAC_SIZE], struct ws_slice key, struct ws_slice data);

/* Overwrites a secret, also where the compiler sees no reader. */
void ws_wipe(void *p, size_t n);

/* -- chance -- */

/* n unpredictable bytes: WS_OK, or WS_ERR_RANDOM and p is zeroed.  ud is not
** used: it is there so that a spec can put its own source in this place. */
int ws_random(void *ud, uint8_t *p, size_t n);

/* An empty pool. */
void ws_keys_init(struct ws_keys *k);

/* Gives its page back, and leaves it empty; twice is fine. */
void ws_keys_free(struct ws_keys *k);

/* A key never handed out before: WS_OK, WS_ERR_RANDOM or WS_ERR_NOMEM. */
int ws_keys_next(struct ws_keys *k, uint8_t key[4]);

/* 1 when a and b hold the same bytes.  The time it takes depends on the
** lengths only, not on where they differ. */
int ws_equal_const_time(struct ws_slice a, struct ws_slice b);

#endif
