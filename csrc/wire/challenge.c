/* wire/challenge.c -- see challenge.h. */
#include "wire/challenge.h"

#include "wire/field.h"

/* -- the list -- */

/* What is behind a token and the space around it. */
static struct ws_slice behind_token(struct ws_slice s, size_t token)
{
    ws_slice_skip(&s, token);
    return ws_field_trim(s);
}

/* 1 when an element of the list is a parameter: "name =". */
static int is_param(struct ws_slice item)
{
    size_t n = ws_ch_span(item, WS_CH_TOKEN);
    struct ws_slice s = behind_token(item, n);

    return n > 0 && s.n > 0 && s.p[0] == '=';
}

int ws_challenge_next(struct ws_slice *rest, struct ws_slice *scheme,
                      struct ws_slice *params)
{
    struct ws_slice s = *rest, item;
    const uint8_t *from, *end;
    size_t n;

    if (ws_list_next(&s, &item) != WS_OK) {
        *rest = s;
        return WS_MORE;
    }
    n = ws_ch_span(item, WS_CH_TOKEN);
    if (n == 0 || (n < item.n && !ws_ch_is(item.p[n], WS_CH_SPACE)) ||
        is_param(item))
        return WS_ERR_FIELD;
    *scheme = ws_slice_of(item.p, n);
    from = item.p + n;
    end = item.p + item.n;
    *rest = s;
    while (ws_list_next(&s, &item) == WS_OK && is_param(item)) {
        end = item.p + item.n;
        *rest = s;
    }
    *params = ws_field_trim(ws_slice_of(from, (size_t)(end - from)));
    return WS_OK;
}

/* What is between the quotes of s, which begins with one and must end with the
** one that closes it. */
static int read_quoted(struct ws_slice s, struct ws_slice *value)
{
    size_t i;

    for (i = 1; i < s.n && s.p[i] != '"'; i++)
        i += s.p[i] == '\\';
    if (i + 1 != s.n)
        return WS_ERR_FIELD;
    *value = ws_slice_of(s.p + 1, i - 1);
    return WS_OK;
}

int ws_challenge_param(struct ws_slice *params, struct ws_slice *name,
                       struct ws_slice *value)
{
    struct ws_slice rest = *params, item;
    size_t n;

    if (ws_list_next(&rest, &item) != WS_OK)
        return WS_MORE;
    if (!is_param(item))
        return WS_ERR_FIELD;
    n = ws_ch_span(item, WS_CH_TOKEN);
    *name = ws_slice_of(item.p, n);
    item = behind_token(item, n);
    *value = behind_token(item, 1); /* the "=" */
    if (value->n > 0 && value->p[0] == '"') {
        if (read_quoted(*value, value) != WS_OK)
            return WS_ERR_FIELD;
    } else if (!ws_is_token(*value)) {
        return WS_ERR_FIELD;
    }
    *params = rest;
    return WS_OK;
}

/* -- Digest -- */

enum { REALM, NONCE, OPAQUE, ALGORITHM, QOP, STALE, USERHASH, NAMES };

static const char *const names[NAMES] = {
    "realm", "nonce", "opaque", "algorithm", "qop", "stale", "userhash",
};

static const struct algorithm {
    const char *name;
    enum ws_hash hash;
    uint8_t session;
} algorithms[] = {
    {"MD5", WS_HASH_MD5, 0},
    {"MD5-sess", WS_HASH_MD5, 1},
    {"SHA-256", WS_HASH_SHA256, 0},
    {"SHA-256-sess", WS_HASH_SHA256, 1},
    {"SHA-512-256", WS_HASH_SHA512_256, 0},
    {"SHA-512-256-sess", WS_HASH_SHA512_256, 1},
};

/* The parameters that are known, each once; others are passed over. */
static int read_known(struct ws_slice params, struct ws_slice v[NAMES])
{
    struct ws_slice name, value;
    int i, err;

    memset(v, 0, NAMES * sizeof v[0]);
    for (;;) {
        err = ws_challenge_param(&params, &name, &value);
        if (err != WS_OK)
            return err == WS_MORE ? WS_OK : err;
        i = 0;
        while (i < NAMES && !ws_slice_same(name, ws_slice_str(names[i])))
            i++;
        if (i == NAMES)
            continue;
        if (v[i].p != NULL)
            return WS_ERR_FIELD;
        v[i] = value;
    }
}

static int read_algorithm(struct ws_slice name, struct ws_digest *d)
{
    size_t i, n = sizeof algorithms / sizeof algorithms[0];

    d->algorithm = name;
    if (name.p == NULL)
        name = ws_slice_str("MD5");
    for (i = 0; i < n; i++) {
        if (ws_slice_same(name, ws_slice_str(algorithms[i].name))) {
            d->hash = algorithms[i].hash;
            d->session = algorithms[i].session;
            return ws_hash_there(d->hash) ? WS_OK : WS_ERR_FIELD;
        }
    }
    return WS_ERR_FIELD;
}

/* "auth" must be among what is offered, unless nothing is. */
static int read_qop(struct ws_slice offered, struct ws_digest *d)
{
    struct ws_slice one;

    d->qop = offered.p != NULL;
    if (!d->qop)
        return d->session ? WS_ERR_FIELD : WS_OK;
    while (ws_token_list_next(&offered, &one) == WS_OK) {
        if (ws_slice_same(one, ws_slice_str("auth")))
            return WS_OK;
    }
    return WS_ERR_FIELD;
}

/* May it stand in a header that we write? */
static int is_plain(struct ws_slice s)
{
    return ws_ch_span(s, WS_CH_PRINT | WS_CH_SPACE) == s.n;
}

static uint8_t is_true(struct ws_slice s)
{
    return (uint8_t)ws_slice_same(s, ws_slice_str("true"));
}

int ws_digest_read(struct ws_slice params, struct ws_digest *d)
{
    struct ws_slice v[NAMES];
    int err = read_known(params, v);

    memset(d, 0, sizeof *d);
    if (err != WS_OK)
        return err;
    if (v[REALM].p == NULL || v[NONCE].p == NULL || !is_plain(v[REALM]) ||
        !is_plain(v[NONCE]) || !is_plain(v[OPAQUE]))
        return WS_ERR_FIELD;
    d->realm = v[REALM];
    d->nonce = v[NONCE];
    d->opaque = v[OPAQUE];
    d->stale = is_true(v[STALE]);
    d->userhash = is_true(v[USERHASH]);
    err = read_algorithm(v[ALGORITHM], d);
    return err == WS_OK ? read_qop(v[QOP], d) : err;
}

int ws_digest_choose(const struct ws_head *h, const char *name,
                     struct ws_digest *best)
{
    const struct ws_field *f = NULL;
    struct ws_slice rest, scheme, params;
    struct ws_digest d;
    int found = WS_MORE;

    while ((f = ws_head_find(h, name, f)) != NULL) {
        rest = f->value;
        while (ws_challenge_next(&rest, &scheme, &params) == WS_OK) {
            if (!ws_slice_same(scheme, ws_slice_str("Digest")) ||
                ws_digest_read(params, &d) != WS_OK)
                continue;
            if (found == WS_OK &&
                (best->hash != WS_HASH_MD5 || d.hash == WS_HASH_MD5))
                continue;
            *best = d;
            found = WS_OK;
        }
    }
    return found;
}
