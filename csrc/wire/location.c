/* wire/location.c -- see location.h. */
#include "wire/location.h"

#include "base/buf.h"
#include "wire/field.h"

int ws_location_status(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 ||
           status == 308;
}

static int is_slash(uint8_t ch)
{
    return ch == '/' || ch == '\\';
}

/* Whether a scheme stands before (RFC 3986 3.1): a letter, then letters,
** digits, "+", "-", ".", and a colon. */
static int has_scheme(struct ws_slice ref)
{
    size_t i;

    for (i = 0; i < ref.n; i++) {
        uint8_t ch = ws_lower(ref.p[i]);
        int letter = ch >= 'a' && ch <= 'z';
        if (ch == ':')
            return i > 0;
        if (!letter && (i == 0 || (!ws_ch_is(ch, WS_CH_DIGIT) && ch != '+' &&
                                   ch != '-' && ch != '.')))
            return 0;
    }
    return 0;
}

/* The URL up to its host and port, or its socket, without a user. */
static struct ws_slice root_of(const struct ws_uri *u)
{
    const char *target;

    if (u->scheme != WS_URI_UNIX)
        return ws_slice_str(u->origin);
    /* "ws+unix:/path:/target"; a colon in the path is encoded */
    target = strchr(strchr(u->text, ':') + 1, ':') + 1;
    return ws_slice_of(u->text, (size_t)(target - u->text));
}

/* The part of base's target that stays before ref. */
static struct ws_slice stem_of(const struct ws_uri *base, struct ws_slice ref)
{
    const char *t = base->target, *query = strchr(t, '?');
    size_t n = query == NULL ? strlen(t) : (size_t)(query - t);

    if (ref.n == 0)
        return ws_slice_str(t);
    if (is_slash(ref.p[0]))
        return ws_slice_of(t, 0);
    if (ref.p[0] == '?')
        return ws_slice_of(t, n);
    while (n > 0 && t[n - 1] != '/')
        n--;
    return ws_slice_of(t, n);
}

/* The absolute form of ref. */
static int resolve(struct ws_buf *out, struct ws_mem *mem,
                   const struct ws_uri *base, struct ws_slice ref)
{
    struct ws_slice root = root_of(base);
    int err = WS_OK;

    if (ref.n >= 2 && is_slash(ref.p[0]) && is_slash(ref.p[1])) {
        root = ws_slice_str(base->secure ? "wss:" : "ws:");
    } else if (!has_scheme(ref)) {
        struct ws_slice stem = stem_of(base, ref);
        err = ws_buf_append(out, mem, root);
        root = stem;
    } else {
        root.n = 0;
    }
    if (err == WS_OK)
        err = ws_buf_append(out, mem, root);
    if (err == WS_OK)
        err = ws_buf_append(out, mem, ref);
    return err;
}

static int check(const struct ws_uri *to, const struct ws_uri *from,
                 const char **why)
{
    if (to->user != NULL || to->password != NULL)
        *why = "it names a user";
    else if (to->scheme == WS_URI_UNIX && !ws_location_same(to, from))
        *why = "it leads to a unix socket";
    else if (from->secure && !to->secure)
        *why = "it leads from wss to ws";
    else
        return WS_OK;
    return WS_ERR_URI;
}

int ws_location_read(struct ws_uri *to, struct ws_mem *mem,
                     const struct ws_uri *from, struct ws_slice ref,
                     const char **why)
{
    struct ws_buf b;
    int err;

    memset(to, 0, sizeof *to);
    ws_buf_init(&b, 0);
    err = resolve(&b, mem, from, ref);
    if (err == WS_OK)
        err = ws_uri_parse(to, mem, ws_buf_peek(&b), why);
    ws_buf_free(&b, mem);
    if (err == WS_OK)
        err = check(to, from, why);
    if (err != WS_OK)
        ws_uri_free(to, mem);
    return err;
}

int ws_location_same(const struct ws_uri *a, const struct ws_uri *b)
{
    if (a->path_unix != NULL || b->path_unix != NULL)
        return a->path_unix != NULL && b->path_unix != NULL &&
               strcmp(a->path_unix, b->path_unix) == 0;
    return strcmp(a->origin, b->origin) == 0;
}
