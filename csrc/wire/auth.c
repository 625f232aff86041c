/* wire/auth.c -- see auth.h. */
#include "wire/auth.h"

#include "wire/field.h"

/* -- Basic -- */

static int has_control(struct ws_slice s)
{
    size_t i;

    for (i = 0; i < s.n; i++) {
        if (s.p[i] < ' ' || s.p[i] == 0x7F)
            return 1;
    }
    return 0;
}

int ws_basic_check(struct ws_slice user, struct ws_slice password)
{
    if (has_control(user) || has_control(password) ||
        (user.n > 0 && memchr(user.p, ':', user.n) != NULL))
        return WS_ERR_FIELD;
    return WS_OK;
}

size_t ws_basic_write(char *out, struct ws_slice user, struct ws_slice password)
{
    const struct ws_slice parts[] = {user, ws_slice_str(":"), password};
    size_t i, j, n = 6, k = 0;
    uint8_t three[3]; /* base64 goes by threes, so no copy is needed */

    memcpy(out, "Basic ", 6);
    for (i = 0; i < 3; i++) {
        for (j = 0; j < parts[i].n; j++) {
            three[k++] = parts[i].p[j];
            if (k == 3) {
                n += ws_base64_encode(out + n, ws_slice_of(three, 3));
                k = 0;
            }
        }
    }
    return n + ws_base64_encode(out + n, ws_slice_of(three, k));
}

int ws_basic_read(struct ws_slice value, uint8_t *scratch,
                  struct ws_slice *user, struct ws_slice *password)
{
    size_t n = ws_ch_span(value, WS_CH_TOKEN);
    struct ws_slice scheme = ws_slice_of(value.p, n), all;
    const uint8_t *colon;

    ws_slice_skip(&value, n);
    if (!ws_slice_same(scheme, ws_slice_str("Basic")) || value.n == 0 ||
        value.p[0] != ' ' ||
        ws_base64_decode(scratch, &n, ws_field_trim(value)) != WS_OK)
        return WS_ERR_FIELD;
    all = ws_slice_of(scratch, n);
    colon = n > 0 ? memchr(scratch, ':', n) : NULL;
    if (colon == NULL || has_control(all))
        return WS_ERR_FIELD;
    *user = ws_slice_of(scratch, (size_t)(colon - scratch));
    *password = ws_slice_of(colon + 1, n - user->n - 1);
    return WS_OK;
}

/* -- Digest -- */

static const char nc[] = "00000001";

/* Around the values: names, quotes, commas; two hashes. */
enum { LABELS_MAX = 200, HASHES_MAX = 2 * WS_HASH_HEX_MAX };

size_t ws_digest_size(const struct ws_digest *d, const struct ws_login *w)
{
    return LABELS_MAX + HASHES_MAX + 3 * w->user.n + 2 * w->uri.n +
           w->cnonce.n + d->realm.n + d->nonce.n + d->opaque.n + d->algorithm.n;
}

static void add_text(struct ws_hasher *h, const char *text)
{
    ws_hash_add(h, ws_slice_str(text));
}

/* What a quoted string means: its bytes without the backslashes before them. */
static void add_quoted(struct ws_hasher *h, struct ws_slice s)
{
    size_t i, from = 0;

    for (i = 0; i < s.n; i++) {
        if (s.p[i] != '\\')
            continue;
        ws_hash_add(h, ws_slice_of(s.p + from, i - from));
        from = ++i;
    }
    if (from < s.n)
        ws_hash_add(h, ws_slice_of(s.p + from, s.n - from));
}

/* H(A1), 3.4.2: of user, realm and password; per session, of that and both
** nonces. */
static int hash_secret(char *out, const struct ws_digest *d,
                       const struct ws_login *w)
{
    struct ws_hasher h;
    int err;

    ws_hash_begin(&h, d->hash);
    ws_hash_add(&h, w->user);
    add_text(&h, ":");
    add_quoted(&h, d->realm);
    add_text(&h, ":");
    ws_hash_add(&h, w->password);
    err = ws_hash_end(&h, d->hash, out);
    if (err != WS_OK || !d->session)
        return err;
    ws_hash_begin(&h, d->hash);
    ws_hash_add(&h, ws_slice_of(out, ws_hash_size(d->hash)));
    add_text(&h, ":");
    add_quoted(&h, d->nonce);
    add_text(&h, ":");
    ws_hash_add(&h, w->cnonce);
    return ws_hash_end(&h, d->hash, out);
}

/* H(A2), 3.4.3: of the request. */
static int hash_request(char *out, const struct ws_digest *d,
                        const struct ws_login *w)
{
    struct ws_hasher h;

    ws_hash_begin(&h, d->hash);
    ws_hash_add(&h, w->method);
    add_text(&h, ":");
    ws_hash_add(&h, w->uri);
    return ws_hash_end(&h, d->hash, out);
}

/* response, 3.4.1; without a qop as RFC 2069 had it. */
static int hash_response(char *out, const struct ws_digest *d,
                         const struct ws_login *w)
{
    char secret[WS_HASH_HEX_MAX], request[WS_HASH_HEX_MAX];
    size_t n = ws_hash_size(d->hash);
    int err = hash_secret(secret, d, w);
    struct ws_hasher h;

    if (err == WS_OK)
        err = hash_request(request, d, w);
    if (err == WS_OK) {
        ws_hash_begin(&h, d->hash);
        ws_hash_add(&h, ws_slice_of(secret, n));
        add_text(&h, ":");
        add_quoted(&h, d->nonce);
        if (d->qop) {
            add_text(&h, ":");
            add_text(&h, nc);
            add_text(&h, ":");
            ws_hash_add(&h, w->cnonce);
            add_text(&h, ":auth");
        }
        add_text(&h, ":");
        ws_hash_add(&h, ws_slice_of(request, n));
        err = ws_hash_end(&h, d->hash, out);
    }
    ws_wipe(secret, sizeof secret);
    return err;
}

/* The name of a user that is not to be seen, 3.4.4. */
static int hash_user(char *out, const struct ws_digest *d,
                     const struct ws_login *w)
{
    struct ws_hasher h;

    ws_hash_begin(&h, d->hash);
    ws_hash_add(&h, w->user);
    add_text(&h, ":");
    add_quoted(&h, d->realm);
    return ws_hash_end(&h, d->hash, out);
}

static char *put(char *out, struct ws_slice s)
{
    if (s.n > 0)
        memcpy(out, s.p, s.n);
    return out + s.n;
}

static char *put_text(char *out, const char *text)
{
    return put(out, ws_slice_str(text));
}

/* name="value", the value as it is. */
static char *put_raw(char *out, const char *name, struct ws_slice value)
{
    return put_text(put(put_text(out, name), value), "\"");
}

/* The same with what must be escaped. */
static char *put_quoted(char *out, const char *name, struct ws_slice value)
{
    size_t i;

    out = put_text(out, name);
    for (i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\')
            *out++ = '\\';
        *out++ = (char)value.p[i];
    }
    return put_text(out, "\"");
}

/* username*, RFC 8187: for what may not be sent between quotes. */
static char *put_extended(char *out, struct ws_slice value)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t i;

    out = put_text(out, "username*=UTF-8''");
    for (i = 0; i < value.n; i++) {
        uint8_t ch = value.p[i];
        /* of the tokens' characters, those are no attr-char (3.2.1) */
        if (ws_ch_is(ch, WS_CH_TOKEN) && strchr("*'%", ch) == NULL) {
            *out++ = (char)ch;
            continue;
        }
        *out++ = '%';
        *out++ = digits[ch >> 4];
        *out++ = digits[ch & 15];
    }
    return out;
}

static int put_user(char **out, const struct ws_digest *d,
                    const struct ws_login *w)
{
    char hidden[WS_HASH_HEX_MAX];
    int err;

    if (d->userhash) {
        err = hash_user(hidden, d, w);
        *out = put_raw(*out, "username=\"",
                       ws_slice_of(hidden, ws_hash_size(d->hash)));
        return err;
    }
    if (ws_ch_span(w->user, WS_CH_PRINT | WS_CH_SPACE) == w->user.n)
        *out = put_quoted(*out, "username=\"", w->user);
    else
        *out = put_extended(*out, w->user);
    return WS_OK;
}

int ws_digest_write(char *out, size_t *n, const struct ws_digest *d,
                    const struct ws_login *w)
{
    char response[WS_HASH_HEX_MAX];
    char *p = put_text(out, "Digest ");
    int err = hash_response(response, d, w);

    if (err == WS_OK)
        err = put_user(&p, d, w);
    if (err != WS_OK)
        return err;
    p = put_raw(p, ", realm=\"", d->realm);
    p = put_raw(p, ", nonce=\"", d->nonce);
    p = put_quoted(p, ", uri=\"", w->uri);
    p = put_raw(p, ", response=\"",
                ws_slice_of(response, ws_hash_size(d->hash)));
    if (d->algorithm.p != NULL)
        p = put(put_text(p, ", algorithm="), d->algorithm);
    if (d->opaque.p != NULL)
        p = put_raw(p, ", opaque=\"", d->opaque);
    if (d->qop) {
        p = put_raw(p, ", cnonce=\"", w->cnonce);
        p = put_text(put_text(p, ", qop=auth, nc="), nc);
    }
    if (d->userhash)
        p = put_text(p, ", userhash=true");
    *n = (size_t)(p - out);
    return WS_OK;
}
