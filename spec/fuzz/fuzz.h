/* spec/fuzz/fuzz.h -- what the fuzz targets share.
**
** A target is given bytes and checks what must hold for any bytes; CHECK ends
** the process where it does not, and the sanitizers see the rest.  Functions
** under test are given copies of exactly their size.
*/
#ifndef WS_FUZZ_H
#define WS_FUZZ_H

#include "base/base.h"
#include "base/err.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(x)              \
    do {                      \
        if (!(x))             \
            __builtin_trap(); \
    } while (0)

/* The next byte of the input that decides something; 0 when there is none. */
static inline uint8_t fuzz_byte(const uint8_t **data, size_t *n)
{
    if (*n == 0)
        return 0;
    ++*data;
    --*n;
    return (*data)[-1];
}

/* A copy on the heap that ends where the bytes end; free it. */
static inline struct ws_span fuzz_copy(const uint8_t *data, size_t n)
{
    uint8_t *p = malloc(n == 0 ? 1 : n);
    CHECK(p != NULL);
    if (n > 0)
        memcpy(p, data, n);
    return ws_span_of(p, n);
}

/* 1 when s lies inside the n bytes at p. */
static inline int fuzz_inside(struct ws_slice s, const uint8_t *p, size_t n)
{
    return s.n == 0 || (s.p >= p && s.n <= n && s.p - p <= (long)(n - s.n));
}

/* 1 when every byte of s is visible ASCII. */
static inline int fuzz_is_visible(const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s < '!' || *s > '~')
            return 0;
    }
    return 1;
}

/* For ws_mem_init: an allocator whose at-th call for memory fails; 0: none. */
struct fuzz_failing {
    unsigned at, calls;
};

static inline void *fuzz_alloc(void *ud, void *p, size_t osize, size_t nsize)
{
    struct fuzz_failing *f = ud;

    (void)osize;
    if (nsize == 0) {
        free(p);
        return NULL;
    }
    f->calls++;
    return f->calls == f->at ? NULL : realloc(p, nsize);
}

/* Chance that is none: the nonce is that of RFC 6455 1.3, so that the answer in
** a seed fits it, and masks are always the same. */
static inline int fuzz_chance(void *ud, uint8_t *p, size_t n)
{
    (void)ud;
    if (n == 16)
        memcpy(p, "the sample nonce", 16);
    else
        memset(p, 0x5A, n);
    return WS_OK;
}

#endif
