/* base/base.h -- the words every other file uses.
**
** Slices and spans are how bytes travel between layers: a pointer and a
** length, never owned, valid as long as the function that hands them out
** says.  A slice may only be read; a span may be written.  Nothing here
** allocates.
*/
#ifndef WS_BASE_BASE_H
#define WS_BASE_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes somebody else owns, to be read. */
struct ws_slice {
    const uint8_t *p; /* may be NULL when n is 0 */
    size_t n;         /* bytes */
};

/* Bytes somebody else owns, to be written. */
struct ws_span {
    uint8_t *p; /* may be NULL when n is 0 */
    size_t n;   /* bytes */
};

/* A slice of n bytes at p. */
static inline struct ws_slice ws_slice_of(const void *p, size_t n)
{
    struct ws_slice s;
    s.p = (const uint8_t *)p;
    s.n = n;
    return s;
}

/* A slice of a C string, without its NUL. */
static inline struct ws_slice ws_slice_str(const char *s)
{
    return ws_slice_of(s, s == NULL ? 0 : strlen(s));
}

/* A span of n bytes at p. */
static inline struct ws_span ws_span_of(void *p, size_t n)
{
    struct ws_span s;
    s.p = (uint8_t *)p;
    s.n = n;
    return s;
}

/* Takes the first n bytes off (n <= s->n). */
static inline void ws_slice_skip(struct ws_slice *s, size_t n)
{
    s->p += n;
    s->n -= n;
}

static inline void ws_span_skip(struct ws_span *s, size_t n)
{
    s->p += n;
    s->n -= n;
}

/* 1 when a and b hold the same bytes. */
static inline int ws_slice_equal(struct ws_slice a, struct ws_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* 1 when a holds exactly the bytes of the C string s. */
static inline int ws_slice_is(struct ws_slice a, const char *s)
{
    return ws_slice_equal(a, ws_slice_str(s));
}

/* The ASCII lower case of one byte; no locale (RFC 9110 2.1). */
static inline uint8_t ws_lower(uint8_t ch)
{
    return (uint8_t)(ch >= 'A' && ch <= 'Z' ? ch + ('a' - 'A') : ch);
}

/* 1 when a and b are equal but for the case of ASCII letters. */
static inline int ws_slice_same(struct ws_slice a, struct ws_slice b)
{
    size_t i;
    if (a.n != b.n)
        return 0;
    for (i = 0; i < a.n; i++) {
        if (ws_lower(a.p[i]) != ws_lower(b.p[i]))
            return 0;
    }
    return 1;
}

/* 1 when s begins with the prefix, whatever the case of ASCII letters. */
static inline int ws_slice_begins(struct ws_slice s, const char *prefix)
{
    struct ws_slice p = ws_slice_str(prefix);
    return s.n >= p.n && ws_slice_same(ws_slice_of(s.p, p.n), p);
}

/* The structure of `type` whose member `member` is at `ptr`. */
#define ws_container(ptr, type, member) \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define WS_LIKELY(x) __builtin_expect(!!(x), 1)
#define WS_UNLIKELY(x) __builtin_expect(!!(x), 0)

_Static_assert(sizeof(uint64_t) >= sizeof(size_t), "sizes fit in 64 bits");

#endif
