/* wire/field.c -- header grammar, one pass each. */
#include "wire/field.h"

#include "wire/host.h"

/* -- bytes -- */

enum {
    O = 0,
    V = WS_CH_VALUE, /* obs-text */
    S = WS_CH_VALUE | WS_CH_SPACE,
    N = WS_CH_VALUE | WS_CH_PRINT | WS_CH_TOKEN, /* "#" */
    P = WS_CH_VALUE | WS_CH_PRINT | WS_CH_TARGET,
    Q = P | WS_CH_HOST, /* the sub-delims that are no tchar */
    T = P | WS_CH_TOKEN,
    H = T | WS_CH_HOST,
    A = H | WS_CH_HEX,
    D = A | WS_CH_DIGIT
};

/* clang-format off */
const uint8_t ws_ch[256] = {
    O, O, O, O, O, O, O, O, O, S, O, O, O, O, O, O, /* HTAB */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
    S, H, P, N, H, T, H, H, Q, Q, H, H, Q, H, H, P, /* SP!"#$%&'()*+,-./ */
    D, D, D, D, D, D, D, D, D, D, P, Q, P, Q, P, P, /* 0123456789:;<=>? */
    P, A, A, A, A, A, A, H, H, H, H, H, H, H, H, H, /* @A-O */
    H, H, H, H, H, H, H, H, H, H, H, P, P, P, T, H, /* P-Z[\]^_ */
    T, A, A, A, A, A, A, H, H, H, H, H, H, H, H, H, /* `a-o */
    H, H, H, H, H, H, H, H, H, H, H, P, T, P, H, O, /* p-z{|}~ DEL */
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V
};
/* clang-format on */

size_t ws_ch_span(struct ws_slice s, unsigned kinds)
{
    size_t i = 0;
    while (i < s.n && ws_ch_is(s.p[i], kinds))
        i++;
    return i;
}

/* Takes n bytes from the front of *s and returns them. */
static struct ws_slice take(struct ws_slice *s, size_t n)
{
    struct ws_slice head = ws_slice_of(s->p, n);
    if (n > 0)
        *s = ws_slice_of(s->p + n, s->n - n);
    return head;
}

static void skip_space(struct ws_slice *s)
{
    take(s, ws_ch_span(*s, WS_CH_SPACE));
}

static int starts(struct ws_slice s, char ch)
{
    return s.n > 0 && s.p[0] == (uint8_t)ch;
}

/* -- tokens and lists -- */

void ws_field_show(char *out, size_t n, struct ws_slice s)
{
    size_t i;

    for (i = 0; i < s.n && i + 1 < n; i++)
        out[i] = s.p[i] < ' ' || s.p[i] >= 0x7F ? '?' : (char)s.p[i];
    out[i] = '\0';
}

int ws_is_token(struct ws_slice s)
{
    return s.n > 0 && ws_ch_span(s, WS_CH_TOKEN) == s.n;
}

struct ws_slice ws_field_trim(struct ws_slice s)
{
    skip_space(&s);
    while (s.n > 0 && ws_ch_is(s.p[s.n - 1], WS_CH_SPACE))
        s.n--;
    return s;
}

static void skip_empty(struct ws_slice *s)
{
    size_t i = 0;
    while (i < s->n && (s->p[i] == ',' || ws_ch_is(s->p[i], WS_CH_SPACE)))
        i++;
    take(s, i);
}

int ws_list_next(struct ws_slice *rest, struct ws_slice *item)
{
    size_t i = 0;
    int quoted = 0;
    skip_empty(rest);
    if (rest->n == 0)
        return WS_MORE;
    for (; i < rest->n; i++) {
        uint8_t ch = rest->p[i];
        if (ch == '"')
            quoted = !quoted;
        else if (ch == '\\' && quoted)
            i++;
        else if (ch == ',' && !quoted)
            break;
    }
    /* a backslash may have been the last byte */
    *item = ws_field_trim(take(rest, i < rest->n ? i : rest->n));
    return WS_OK;
}

int ws_token_list_next(struct ws_slice *rest, struct ws_slice *token)
{
    struct ws_slice s, name;
    skip_empty(rest);
    if (rest->n == 0)
        return WS_MORE;
    s = *rest;
    name = take(&s, ws_ch_span(s, WS_CH_TOKEN));
    skip_space(&s);
    if (name.n == 0 || (s.n > 0 && s.p[0] != ','))
        return WS_ERR_FIELD;
    *token = name;
    *rest = s;
    return WS_OK;
}

/* -- extension lists -- */

/* A quoted string whose content is a token: so every byte of it, escaped or
** not, is a tchar, and the first that is not ends the search.  scratch NULL:
** only looks. */
static int read_quoted(struct ws_slice *s, struct ws_param *p,
                       const struct ws_span *scratch)
{
    size_t i = 1, used = 0, escapes = 0;
    for (; i < s->n && s->p[i] != '"'; i++) {
        if (s->p[i] == '\\') {
            escapes++;
            i++;
        }
        if (i >= s->n || !ws_ch_is(s->p[i], WS_CH_TOKEN))
            return WS_ERR_FIELD;
        if (scratch != NULL && used < scratch->n)
            scratch->p[used] = s->p[i];
        used++;
    }
    if (i >= s->n || used == 0)
        return WS_ERR_FIELD;
    if (scratch != NULL && escapes > 0 && used > scratch->n)
        return WS_ERR_LIMIT;
    p->quoted = 1;
    p->value = ws_slice_of(s->p + 1, used);
    if (scratch != NULL && escapes > 0)
        p->value.p = scratch->p;
    take(s, i + 1);
    return WS_OK;
}

/* name [ "=" ( token / quoted-string ) ], and the space around it. */
static int read_param(struct ws_slice *s, struct ws_param *p,
                      const struct ws_span *scratch)
{
    skip_space(s);
    p->name = take(s, ws_ch_span(*s, WS_CH_TOKEN));
    p->value = ws_slice_of(NULL, 0);
    p->quoted = 0;
    skip_space(s);
    p->has_value = starts(*s, '=');
    if (p->name.n == 0)
        return WS_ERR_FIELD;
    if (p->has_value) {
        take(s, 1);
        skip_space(s);
        if (starts(*s, '"')) {
            int err = read_quoted(s, p, scratch);
            if (err != WS_OK)
                return err;
        } else {
            p->value = take(s, ws_ch_span(*s, WS_CH_TOKEN));
            if (p->value.n == 0)
                return WS_ERR_FIELD;
        }
        skip_space(s);
    }
    return s->n == 0 || s->p[0] == ';' || s->p[0] == ',' ? WS_OK : WS_ERR_FIELD;
}

int ws_extension_next(struct ws_slice *rest, struct ws_slice *name,
                      struct ws_slice *params)
{
    struct ws_slice s, token, behind;
    struct ws_param ignored;
    skip_empty(rest);
    if (rest->n == 0)
        return WS_MORE;
    s = *rest;
    token = take(&s, ws_ch_span(s, WS_CH_TOKEN));
    skip_space(&s);
    behind = s;
    if (token.n == 0)
        return WS_ERR_FIELD;
    while (starts(s, ';')) {
        take(&s, 1);
        if (read_param(&s, &ignored, NULL) != WS_OK)
            return WS_ERR_FIELD;
    }
    if (s.n > 0 && s.p[0] != ',')
        return WS_ERR_FIELD;
    *name = token;
    *params = ws_slice_of(behind.p, behind.n - s.n);
    *rest = s;
    return WS_OK;
}

int ws_param_next(struct ws_slice *params, struct ws_param *p, uint8_t *scratch,
                  size_t n)
{
    struct ws_slice s = *params;
    struct ws_span room = ws_span_of(scratch, n);
    int err;
    skip_space(&s);
    if (s.n == 0)
        return WS_MORE;
    if (s.p[0] != ';')
        return WS_ERR_FIELD;
    take(&s, 1);
    err = read_param(&s, p, &room);
    if (err == WS_OK)
        *params = s;
    return err;
}

int ws_extension_check(struct ws_slice value)
{
    struct ws_slice name, params;
    int found = 0;
    for (;;) {
        int rc = ws_extension_next(&value, &name, &params);
        if (rc == WS_OK)
            found = 1;
        else
            return rc == WS_MORE && found ? WS_OK : WS_ERR_FIELD;
    }
}

/* -- hosts -- */

/* *DIGIT up to 65535 and nothing behind it. */
static int read_port(struct ws_slice s, int *port)
{
    size_t i;
    *port = 0;
    for (i = 0; i < s.n; i++) {
        if (!ws_ch_is(s.p[i], WS_CH_DIGIT))
            return WS_ERR_FIELD;
        *port = *port * 10 + (s.p[i] - '0');
        if (*port > 65535)
            return WS_ERR_FIELD;
    }
    return WS_OK;
}

int ws_host_port(struct ws_slice s, struct ws_slice *host, int *port)
{
    uint16_t ignored[8];
    *port = 0;
    if (starts(s, '[')) {
        const uint8_t *end = memchr(s.p, ']', s.n);
        size_t n = end == NULL ? 0 : (size_t)(end - s.p) + 1;
        if (n == 0 || !ws_ipv6_read(ws_slice_of(s.p + 1, n - 2), ignored))
            return WS_ERR_FIELD;
        *host = take(&s, n);
    } else {
        *host = take(&s, ws_ch_span(s, WS_CH_HOST));
        if (host->n == 0 || host->n > WS_HOST_MAX)
            return WS_ERR_FIELD;
    }
    if (s.n == 0)
        return WS_OK;
    if (s.p[0] != ':')
        return WS_ERR_FIELD;
    take(&s, 1);
    return read_port(s, port);
}

static int default_port(struct ws_slice scheme)
{
    if (ws_slice_same(scheme, ws_slice_str("http")) ||
        ws_slice_same(scheme, ws_slice_str("ws")))
        return 80;
    if (ws_slice_same(scheme, ws_slice_str("https")) ||
        ws_slice_same(scheme, ws_slice_str("wss")))
        return 443;
    return 0;
}

static int is_letter(uint8_t ch)
{
    ch = ws_lower(ch);
    return ch >= 'a' && ch <= 'z';
}

int ws_origin_host(struct ws_slice origin, struct ws_slice *scheme,
                   struct ws_slice *host, int *port)
{
    struct ws_slice s = origin;
    size_t i = 0;
    int err;
    while (i < s.n && (is_letter(s.p[i]) || ws_ch_is(s.p[i], WS_CH_DIGIT) ||
                       s.p[i] == '+' || s.p[i] == '-' || s.p[i] == '.'))
        i++;
    *scheme = take(&s, i);
    if (i == 0 || !is_letter(scheme->p[0]) || s.n < 3 ||
        memcmp(s.p, "://", 3) != 0)
        return WS_ERR_FIELD;
    take(&s, 3);
    err = ws_host_port(s, host, port);
    if (err != WS_OK)
        return err;
    if (host->n == s.n)
        *port = default_port(*scheme);
    else if (*port == 0)
        return WS_ERR_FIELD; /* "h:" and "h:0" are not how origins look */
    return WS_OK;
}
