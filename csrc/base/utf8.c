/* base/utf8.c -- the validator: a small automaton, and a wide path for bulk.
**
** The automaton's state is what the next byte must satisfy: its bounds and how
** many bytes of the code point are still to come.  It is what defines the
** answer.  The wide path takes 32 bytes at a time where the processor can; it
** starts and ends between code points, so that only the automaton ever holds
** half of one.  -DWS_NO_SIMD builds without it.
*/
#include "base/utf8.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(WS_NO_SIMD)
#include <immintrin.h>
#define HAVE_AVX2 1
#else
#define HAVE_AVX2 0
#endif

/* state: bytes to come | lowest << 8 | highest << 16, as the next byte */
#define EXPECT(count, low, high) \
    ((uint32_t)(count) | (uint32_t)(low) << 8 | (uint32_t)(high) << 16)

#define BETWEEN 0U        /* the next byte begins a code point */
#define REFUSED 0xFFFFFFU /* more bytes to come than there can be */

/* The state after the first byte of a code point (RFC 3629 4). */
static uint32_t after_first(uint8_t b)
{
    if (b < 0x80)
        return BETWEEN;
    if (b < 0xC2) /* stray continuation, or an overlong pair */
        return REFUSED;
    if (b < 0xE0)
        return EXPECT(1, 0x80, 0xBF);
    if (b == 0xE0) /* less would be overlong */
        return EXPECT(2, 0xA0, 0xBF);
    if (b == 0xED) /* more would be a surrogate */
        return EXPECT(2, 0x80, 0x9F);
    if (b < 0xF0)
        return EXPECT(2, 0x80, 0xBF);
    if (b == 0xF0) /* less would be overlong */
        return EXPECT(3, 0x90, 0xBF);
    if (b < 0xF4)
        return EXPECT(3, 0x80, 0xBF);
    if (b == 0xF4) /* more would be above U+10FFFF */
        return EXPECT(3, 0x80, 0x8F);
    return REFUSED;
}

static uint32_t step(uint32_t state, uint8_t b)
{
    uint32_t count = state & 0xFF;
    if (state == BETWEEN)
        return after_first(b);
    if (b < (state >> 8 & 0xFF) || b > state >> 16)
        return REFUSED;
    return count == 1 ? BETWEEN : EXPECT(count - 1, 0x80, 0xBF);
}

static uint64_t top_bits8(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w & UINT64_C(0x8080808080808080);
}

/* 1 when n bytes (n >= 8) are all ASCII. */
static int ascii(const uint8_t *p, size_t n)
{
    uint64_t any = top_bits8(p + n - 8);
    size_t i;
    for (i = 0; i + 8 < n; i += 8)
        any |= top_bits8(p + i);
    return any == 0;
}

static int is_tail(uint8_t b)
{
    return (b & 0xC0) == 0x80;
}

/* Bytes of the code point at p, of which four bytes may be read; 0 when it
** is not valid. */
static size_t length(const uint8_t *p)
{
    uint32_t state = after_first(p[0]);
    if (state == BETWEEN)
        return 1;
    if (state == REFUSED || p[1] < (state >> 8 & 0xFF) || p[1] > state >> 16)
        return 0;
    if ((state & 0xFF) == 1)
        return 2;
    if (!is_tail(p[2]))
        return 0;
    if ((state & 0xFF) == 2)
        return 3;
    return is_tail(p[3]) ? 4 : 0;
}

/* The automaton over n bytes; stops at the first bad one. */
static uint32_t run(uint32_t state, const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;
    while (p < end && state != REFUSED) {
        size_t left = (size_t)(end - p), len;
        if (state != BETWEEN || left < 4) {
            state = step(state, *p++);
            continue;
        }
        len = left >= 8 && top_bits8(p) == 0 ? 8 : length(p);
        if (len == 0)
            return REFUSED;
        p += len;
    }
    return state;
}

#if HAVE_AVX2

#define AVX2 __attribute__((target("avx2")))

/* What can be wrong with two neighbours, a bit each.  A pair is at fault when
** one bit is set in all three of: the table for the first byte's high half,
** the one for its low half, the one for the second byte's high half. */
enum {
    CUT = 1,      /* a first byte, then no continuation */
    STRAY = 2,    /* ASCII, then a continuation */
    OVER2 = 4,    /* C0, C1: overlong */
    OVER3 = 8,    /* E0 80..9F: overlong */
    SURR = 16,    /* ED A0..BF: a surrogate */
    OVER4 = 32,   /* F0 80..8F: overlong; F5..FF 80..8F: too large */
    LARGE = 64,   /* F4..FF 90..BF: above U+10FFFF */
    SECOND = 128, /* two continuations: right or wrong, see faults() */
    /* short names for the tables */
    ANY = CUT | STRAY | SECOND,   /* of the first byte's low half */
    TOP = ANY | OVER4 | LARGE,    /* the low half of F5..FF */
    NEXT = STRAY | SECOND | OVER2 /* of any continuation */
};

/* clang-format off */
static const uint8_t first_high[16] = {
    STRAY, STRAY, STRAY, STRAY, STRAY, STRAY, STRAY, STRAY, /* 0. to 7. */
    SECOND, SECOND, SECOND, SECOND,                         /* 8. to B. */
    CUT | OVER2, CUT, CUT | OVER3 | SURR, CUT | OVER4 | LARGE
};
static const uint8_t first_low[16] = {
    ANY | OVER2 | OVER3 | OVER4, ANY | OVER2, ANY, ANY, /* .0 to .3 */
    ANY | LARGE, TOP, TOP, TOP,
    TOP, TOP, TOP, TOP,
    TOP, TOP | SURR, TOP, TOP
};
static const uint8_t second_high[16] = {
    CUT, CUT, CUT, CUT, CUT, CUT, CUT, CUT,
    NEXT | OVER3 | OVER4, NEXT | OVER3 | LARGE,         /* 8. 9. */
    NEXT | SURR | LARGE, NEXT | SURR | LARGE,           /* A. B. */
    CUT, CUT, CUT, CUT
};
/* clang-format on */

AVX2 static inline __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* table[i] for the low half i of each byte; the high halves are zero. */
AVX2 static inline __m256i look_up(const uint8_t table[16], __m256i halves)
{
    __m128i t = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), halves);
}

AVX2 static inline __m256i low_half(__m256i v)
{
    return _mm256_and_si256(v, _mm256_set1_epi8(15));
}

AVX2 static inline __m256i high_half(__m256i v)
{
    return low_half(_mm256_srli_epi16(v, 4));
}

/* Not zero where byte i of v is wrong after the bytes one, two and three
** places before it.  Two continuations in a row are wrong, unless two places
** before is E0.. or three places before F0..: and there they must be. */
AVX2 static inline __m256i faults(__m256i v, __m256i one, __m256i two,
                                  __m256i three)
{
    __m256i first = _mm256_and_si256(look_up(first_high, high_half(one)),
                                     look_up(first_low, low_half(one)));
    __m256i pair = _mm256_and_si256(first, look_up(second_high, high_half(v)));
    /* Saturating: the top bit is left exactly from E0, and from F0, on. */
    __m256i must =
        _mm256_or_si256(_mm256_subs_epu8(two, _mm256_set1_epi8(0xE0 - 0x80)),
                        _mm256_subs_epu8(three, _mm256_set1_epi8(0xF0 - 0x80)));
    return _mm256_xor_si256(
        pair, _mm256_and_si256(must, _mm256_set1_epi8((char)SECOND)));
}

/* The faults of 32 bytes inside a text: three bytes precede them. */
AVX2 static inline __m256i faults_at(const uint8_t *p)
{
    return faults(load(p), load(p - 1), load(p - 2), load(p - 3));
}

/* The faults of 32 bytes that begin a text: zeros precede them. */
AVX2 static inline __m256i faults_first(const uint8_t *p)
{
    __m256i v = load(p);
    __m256i low = _mm256_permute2x128_si256(v, v, 0x08); /* zero, low half */
    return faults(v, _mm256_alignr_epi8(v, low, 15),
                  _mm256_alignr_epi8(v, low, 14),
                  _mm256_alignr_epi8(v, low, 13));
}

AVX2 static inline int ascii128(const uint8_t *p)
{
    __m256i any = _mm256_or_si256(_mm256_or_si256(load(p), load(p + 32)),
                                  _mm256_or_si256(load(p + 64), load(p + 96)));
    return _mm256_movemask_epi8(any) == 0;
}

enum {
    WIDE_MIN = 35, /* a register, and another with three bytes before it */
    SHORT_MIN = 8
};

/* 1 when n bytes (SHORT_MIN <= n < WIDE_MIN), which begin and end between
** code points, are valid.  They are filled up with zeros, which are text. */
AVX2 static int few(const uint8_t *p, size_t n)
{
    uint8_t b[64] = {0};
    if (n >= 32) {
        memcpy(b, p, 32);
        memcpy(b + n - 32, p + n - 32, 32);
    } else if (n >= 16) {
        memcpy(b, p, 16);
        memcpy(b + n - 16, p + n - 16, 16);
    } else {
        memcpy(b, p, 8);
        memcpy(b + n - 8, p + n - 8, 8);
    }
    __m256i bad = _mm256_or_si256(faults_first(b), faults_at(b + 32));
    return _mm256_testz_si256(bad, bad);
}

/* 1 when n bytes (n >= WIDE_MIN), which begin between code points, have no
** fault; what would be one with the next byte is none yet. */
AVX2 static int wide(const uint8_t *p, size_t n)
{
    __m256i bad = faults_first(p);
    size_t i = 32, last = n - 32;
    while (i < last && last - i >= 128) {
        /* All ASCII, and nothing unfinished before it: no fault. */
        if (p[i - 1] >= 0x80 || !ascii128(p + i)) {
            bad = _mm256_or_si256(
                bad, _mm256_or_si256(_mm256_or_si256(faults_at(p + i),
                                                     faults_at(p + i + 32)),
                                     _mm256_or_si256(faults_at(p + i + 64),
                                                     faults_at(p + i + 96))));
        }
        i += 128;
    }
    for (; i < last; i += 32)
        bad = _mm256_or_si256(bad, faults_at(p + i));
    bad = _mm256_or_si256(bad, faults_at(p + last));
    return _mm256_testz_si256(bad, bad);
}

/* n less the bytes of an unfinished code point at the end (n >= 3). */
static size_t whole(const uint8_t *p, size_t n)
{
    if (p[n - 1] >= 0xC0)
        return n - 1;
    if (p[n - 2] >= 0xE0)
        return n - 2;
    return p[n - 3] >= 0xF0 ? n - 3 : n;
}

/* Takes all but an unfinished code point from s, which begins one, if it is
** long enough; the new state.  The unfinished one is left to the automaton. */
static uint32_t run_wide(struct ws_slice *s)
{
    size_t n;
    if (s->n < SHORT_MIN + 3 || !__builtin_cpu_supports("avx2"))
        return BETWEEN;
    n = whole(s->p, s->n);
    if (!(n < WIDE_MIN ? few(s->p, n) : wide(s->p, s->n)))
        return REFUSED;
    ws_slice_skip(s, n);
    return BETWEEN;
}

#else

static uint32_t run_wide(struct ws_slice *s)
{
    (void)s;
    return BETWEEN;
}

#endif

static uint32_t feed(uint32_t state, struct ws_slice s)
{
    while (s.n > 0 && state != BETWEEN && state != REFUSED) {
        state = step(state, *s.p++);
        s.n--;
    }
    if (state != BETWEEN)
        return state;
    if (s.n >= 8 && s.n < 64 && ascii(s.p, s.n))
        return BETWEEN;
    state = run_wide(&s);
    return run(state, s.p, s.n);
}

void ws_utf8_init(struct ws_utf8 *u)
{
    u->state = BETWEEN;
}

int ws_utf8_feed(struct ws_utf8 *u, struct ws_slice s)
{
    u->state = feed(u->state, s);
    return u->state == REFUSED ? WS_ERR_UTF8 : WS_OK;
}

int ws_utf8_end(const struct ws_utf8 *u)
{
    return u->state == BETWEEN ? WS_OK : WS_ERR_UTF8;
}

int ws_utf8_valid(struct ws_slice s)
{
    return feed(BETWEEN, s) == BETWEEN;
}
