/* wire/target.c -- request targets and paths. */
#include "wire/target.h"

#include "wire/field.h"

/* -- cutting -- */

/* How many bytes are before the first "/" or "?". */
static size_t until_path(struct ws_slice s)
{
    size_t i = 0;
    while (i < s.n && s.p[i] != '/' && s.p[i] != '?')
        i++;
    return i;
}

/* How many bytes "http://" takes, whatever the scheme; 0: it is not there. */
static size_t scheme_size(struct ws_slice s)
{
    size_t i;
    for (i = 0; i + 2 < s.n; i++) {
        uint8_t ch = ws_lower(s.p[i]);
        if (i > 0 && ch == ':')
            return s.p[i + 1] == '/' && s.p[i + 2] == '/' ? i + 3 : 0;
        if ((ch < 'a' || ch > 'z') &&
            (i == 0 || strchr("0123456789+-.", ch) == NULL))
            return 0;
    }
    return 0;
}

static struct ws_slice from(struct ws_slice s, size_t at)
{
    return ws_slice_of(s.p + at, s.n - at);
}

int ws_target_split(struct ws_target *t, struct ws_slice target)
{
    struct ws_slice s = target;
    const uint8_t *mark;
    size_t n;

    t->authority = t->query = ws_slice_of(NULL, 0);
    t->path = ws_slice_str("/");
    if (ws_slice_is(s, "*")) {
        t->form = WS_TARGET_ASTERISK;
        t->path = s;
        return WS_OK;
    }
    t->form = WS_TARGET_ORIGIN;
    if (s.n == 0 || s.p[0] != '/') {
        n = scheme_size(s);
        t->form = n > 0 ? WS_TARGET_ABSOLUTE : WS_TARGET_AUTHORITY;
        s = n > 0 ? from(s, n) : s;
        n = until_path(s);
        t->authority = ws_slice_of(s.p, n);
        if (n == 0 || (t->form == WS_TARGET_AUTHORITY &&
                       (n < s.n || memchr(s.p, ':', n) == NULL)))
            return WS_ERR_HEAD_LINE;
        s = from(s, n);
    }
    if (s.n == 0)
        return WS_OK;
    mark = memchr(s.p, '?', s.n);
    n = mark == NULL ? s.n : (size_t)(mark - s.p);
    if (n > 0)
        t->path = ws_slice_of(s.p, n);
    if (mark != NULL)
        t->query = from(s, n + 1);
    return WS_OK;
}

/* -- paths -- */

int ws_percent_at(struct ws_slice s, size_t i, uint8_t *octet)
{
    if (s.n - i < 3 || s.p[i] != '%' || !ws_ch_is(s.p[i + 1], WS_CH_HEX) ||
        !ws_ch_is(s.p[i + 2], WS_CH_HEX))
        return 0;
    *octet =
        (uint8_t)(ws_hex_value(s.p[i + 1]) << 4 | ws_hex_value(s.p[i + 2]));
    return 1;
}

/* 1 for "." and 2 for "..", in any spelling. */
static int dots(const uint8_t *p, size_t n)
{
    int count = 0;
    while (n > 0) {
        size_t used = p[0] == '.' ? 1 : 3;
        if (used == 3 &&
            (n < 3 || p[0] != '%' || p[1] != '2' || ws_lower(p[2]) != 'e'))
            return 0;
        p += used;
        n -= used;
        count++;
    }
    return count <= 2 ? count : 0;
}

void ws_path_normalise(struct ws_span *path)
{
    uint8_t *p = path->p;
    size_t r = 0, w = 0; /* w <= r: nothing grows */

    while (r < path->n) {
        size_t n = 1;
        int kind;
        while (r + n < path->n && p[r + n] != '/' && p[r + n] != '\\')
            n++;
        kind = dots(p + r + 1, n - 1);
        if (kind == 2) {
            while (w > 0 && p[--w] != '/')
                continue;
        }
        if (kind == 0) {
            p[w] = '/';
            memmove(p + w + 1, p + r + 1, n - 1);
            w += n;
        } else if (r + n == path->n) {
            p[w++] = '/';
        }
        r += n;
    }
    path->n = w;
}
