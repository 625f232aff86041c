/* base/mask.c -- the XOR, as many bytes at a time as there are.
**
** The key is turned by the phase once, so that everything after works from
** key byte 0.  A length that is no multiple of the word ends with a word that
** overlaps the one before it: it is worked out before the loop stores (in
** place, the loop would have changed its source), and stored last, where it
** writes the same bytes again.  So there is no byte loop, and no byte outside
** is touched.  Words go through memcpy: no alignment is asked for.
*/
#include "base/mask.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(WS_NO_SIMD)
#include <immintrin.h>
#define HAVE_AVX2 1
#else
#define HAVE_AVX2 0
#endif

/* The key, repeated, from the byte that serves payload byte `phase`. */
static uint64_t turned(const uint8_t key[4], size_t phase)
{
    uint8_t twice[8];
    uint32_t k;
    memcpy(twice, key, 4);
    memcpy(twice + 4, key, 4);
    memcpy(&k, twice + (phase & 3), 4);
    return (uint64_t)k << 32 | k;
}

/* The same, i bytes later.  Shifting a repeated key turns it; which way
** depends on the byte order. */
static uint64_t later(uint64_t key, size_t i)
{
    unsigned by = (unsigned)(i & 3) * 8;
    if (by == 0)
        return key;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return key << by | key >> (64 - by);
#else
    return key >> by | key << (64 - by);
#endif
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

static void store64(uint8_t *p, uint64_t w)
{
    memcpy(p, &w, sizeof w);
}

/* n < 8 */
static void mask_short(uint8_t *dst, const uint8_t *src, size_t n, uint64_t key)
{
    uint8_t k[8];
    size_t i;
    memcpy(k, &key, sizeof k);
    for (i = 0; i < n; i++)
        dst[i] = src[i] ^ k[i];
}

/* n >= 8 */
static void mask_words(uint8_t *dst, const uint8_t *src, size_t n, uint64_t key)
{
    size_t last = n - 8, i = 0;
    uint64_t end = load64(src + last) ^ later(key, last);
    for (; i + 32 <= n; i += 32) {
        store64(dst + i, load64(src + i) ^ key);
        store64(dst + i + 8, load64(src + i + 8) ^ key);
        store64(dst + i + 16, load64(src + i + 16) ^ key);
        store64(dst + i + 24, load64(src + i + 24) ^ key);
    }
    for (; i < last; i += 8)
        store64(dst + i, load64(src + i) ^ key);
    store64(dst + last, end);
}

#if HAVE_AVX2

__attribute__((target("avx2"))) static inline __m256i load256(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

__attribute__((target("avx2"))) static inline void store256(uint8_t *p,
                                                            __m256i w)
{
    _mm256_storeu_si256((__m256i *)(void *)p, w);
}

/* n >= 64.  A store that lies across two lines of the cache costs twice, and
** what was read behind a frame's head would make every second one do: so the
** loop begins where dst is a multiple of 32, and what is before that is stored
** as the end is. */
__attribute__((target("avx2"))) static void mask_avx2(uint8_t *dst,
                                                      const uint8_t *src,
                                                      size_t n, uint64_t key)
{
    size_t last = n - 32, i = -(uintptr_t)dst & 31;
    __m256i k = _mm256_set1_epi64x((long long)later(key, i));
    __m256i start =
        _mm256_xor_si256(load256(src), _mm256_set1_epi64x((long long)key));
    __m256i end = _mm256_xor_si256(
        load256(src + last), _mm256_set1_epi64x((long long)later(key, last)));
    for (; i + 128 <= n; i += 128) {
        __m256i a = _mm256_xor_si256(load256(src + i), k);
        __m256i b = _mm256_xor_si256(load256(src + i + 32), k);
        __m256i c = _mm256_xor_si256(load256(src + i + 64), k);
        __m256i d = _mm256_xor_si256(load256(src + i + 96), k);
        store256(dst + i, a);
        store256(dst + i + 32, b);
        store256(dst + i + 64, c);
        store256(dst + i + 96, d);
    }
    for (; i < last; i += 32)
        store256(dst + i, _mm256_xor_si256(load256(src + i), k));
    store256(dst + last, end);
    store256(dst, start);
}

#endif

void ws_mask(uint8_t *dst, const uint8_t *src, size_t n, const uint8_t key[4],
             size_t phase)
{
    uint64_t k = turned(key, phase);
#if HAVE_AVX2
    if (n >= 64 && __builtin_cpu_supports("avx2")) {
        mask_avx2(dst, src, n, k);
        return;
    }
#endif
    if (n >= 8)
        mask_words(dst, src, n, k);
    else
        mask_short(dst, src, n, k);
}
