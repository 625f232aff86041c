/* wire/uri.c -- the WHATWG URL parser for schemes with a host, in one pass
** over each part: clean, cut, normalise, write.  All strings are written into
** one growing buffer and then moved to a block of their size.
*/
#include "wire/uri.h"

#include "base/buf.h"
#include "wire/field.h"
#include "wire/host.h"
#include "wire/target.h"

/* -- the draft -- */

enum { TEXT, ORIGIN, HOST, TARGET, USER, PASSWORD, PATH_UNIX, STRINGS };

struct draft {
    struct ws_mem *mem;
    struct ws_buf buf;  /* the strings, one behind the other */
    size_t at[STRINGS]; /* where they begin */
    int has[STRINGS];
    int proxy; /* 1: the URL of a proxy */
    int err;   /* first error, or WS_OK */
    const char *why;
};

static int fail(struct draft *d, const char *why)
{
    if (d->err == WS_OK) {
        d->err = WS_ERR_URI;
        d->why = why;
    }
    return d->err;
}

static void put(struct draft *d, struct ws_slice s)
{
    if (d->err == WS_OK)
        d->err = ws_buf_append(&d->buf, d->mem, s);
}

static void put_str(struct draft *d, const char *s)
{
    put(d, ws_slice_str(s));
}

static void begin(struct draft *d, int string)
{
    d->at[string] = ws_buf_size(&d->buf);
    d->has[string] = 1;
}

static void end(struct draft *d)
{
    put(d, ws_slice_of("", 1));
}

/* -- percent signs -- */

/* What is encoded besides controls, space and everything above 0x7E. */
static const char in_query[] = "\"<>'";
static const char in_path[] = "\"<>?^`{}";
static const char in_user[] = "\"<>?^`{}/:;=@[\\]|";

static void put_encoded(struct draft *d, struct ws_slice s, const char *set)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t i, from = 0;

    for (i = 0; i < s.n; i++) {
        uint8_t ch = s.p[i];
        char code[3];
        if (ch > ' ' && ch < 0x7F && strchr(set, ch) == NULL)
            continue;
        put(d, ws_slice_of(s.p + from, i - from));
        from = i + 1;
        code[0] = '%';
        code[1] = digits[ch >> 4];
        code[2] = digits[ch & 15];
        put(d, ws_slice_of(code, 3));
    }
    if (s.n > from)
        put(d, ws_slice_of(s.p + from, s.n - from));
}

/* Control characters are refused: none may stand in Basic credentials (RFC
** 7617 2), and a NUL would end the string. */
static int put_decoded(struct draft *d, struct ws_slice s, const char *why)
{
    size_t i;

    for (i = 0; i < s.n; i++) {
        uint8_t ch = s.p[i];
        if (ws_percent_at(s, i, &ch))
            i += 2;
        if (ch < ' ' || ch == 0x7F)
            return fail(d, why);
        put(d, ws_slice_of(&ch, 1));
    }
    return WS_OK;
}

/* -- cutting -- */

/* Takes n bytes from the front of *s. */
static struct ws_span take(struct ws_span *s, size_t n)
{
    struct ws_span head = ws_span_of(s->p, n);
    ws_span_skip(s, n);
    return head;
}

static size_t find(struct ws_span s, const char *set)
{
    size_t i;
    for (i = 0; i < s.n; i++) {
        if (s.p[i] != '\0' && strchr(set, s.p[i]) != NULL)
            break;
    }
    return i;
}

static struct ws_slice slice(struct ws_span s)
{
    return ws_slice_of(s.p, s.n);
}

/* No C0 or space around, no TAB, LF and CR at all. */
static void clean(struct ws_span *s, struct ws_slice raw)
{
    size_t i;

    while (raw.n > 0 && raw.p[raw.n - 1] <= ' ')
        raw.n--;
    for (i = 0; i < raw.n && raw.p[i] <= ' '; i++)
        continue;
    s->n = 0;
    for (; i < raw.n; i++) {
        uint8_t ch = raw.p[i];
        if (ch != '\t' && ch != '\n' && ch != '\r')
            s->p[s->n++] = ch;
    }
}

enum { FOR_TARGET = 1, FOR_PROXY = 2 };

static const struct scheme {
    const char *name, *text; /* as given, as written */
    int port, secure, use;
} schemes[] = {
    /* in the order of enum ws_uri_scheme */
    {"ws", "ws://", 80, 0, FOR_TARGET},
    {"wss", "wss://", 443, 1, FOR_TARGET},
    {"http", "ws://", 80, 0, FOR_TARGET | FOR_PROXY},
    {"https", "wss://", 443, 1, FOR_TARGET | FOR_PROXY},
    {"ws+unix", "ws+unix:", 0, 0, FOR_TARGET},
    {"socks5", "socks5:", 1080, 0, FOR_PROXY},
    {"socks5h", "socks5:", 1080, 0, FOR_PROXY}};

static int read_scheme(struct draft *d, struct ws_uri *u, struct ws_span *s)
{
    size_t i, n = find(*s, ":/\\?#");
    struct ws_slice name;

    if (n == s->n || s->p[n] != ':' || n == 0)
        return fail(d, "the URL has no scheme");
    name = slice(take(s, n));
    take(s, 1);
    for (i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (!ws_slice_same(name, ws_slice_str(schemes[i].name)) ||
            (schemes[i].use & (d->proxy ? FOR_PROXY : FOR_TARGET)) == 0)
            continue;
        u->scheme = (enum ws_uri_scheme)(i > WS_URI_SOCKS5 ? WS_URI_SOCKS5 : i);
        u->secure = schemes[i].secure;
        return WS_OK;
    }
    return fail(d, d->proxy
                       ? "the scheme is none of http, https, socks5, socks5h"
                       : "the scheme is none of ws, wss, http, https, ws+unix");
}

/* -- path and query -- */

static void put_target(struct draft *d, struct ws_span path,
                       struct ws_span query)
{
    if (path.n == 0)
        put_str(d, "/");
    put_encoded(d, slice(path), in_path);
    if (query.n > 0) {
        put_str(d, "?");
        put_encoded(d, slice(query), in_query);
    }
}

/* What is left of a URL behind its host; text is open and gets it too.  An
** empty query is kept there, as browsers do, but is no part of the target
** (RFC 6455 3). */
static void finish_target(struct draft *d, struct ws_span s)
{
    size_t n = find(s, "?");
    struct ws_span path = take(&s, n);
    int has_query = s.n > 0;

    if (has_query)
        take(&s, 1);
    ws_path_normalise(&path);
    put_target(d, path, s);
    if (has_query && s.n == 0)
        put_str(d, "?");
    end(d);
    begin(d, TARGET);
    put_target(d, path, s);
    end(d);
}

/* -- authority -- */

static void put_host(struct draft *d, const struct ws_host *h, int port)
{
    char digits[6];
    size_t n = sizeof digits;

    put_str(d, h->kind == WS_HOST_IPV6 ? "[" : "");
    put_str(d, h->text);
    put_str(d, h->kind == WS_HOST_IPV6 ? "]" : "");
    if (port < 0)
        return;
    do {
        digits[--n] = (char)('0' + port % 10);
        port /= 10;
    } while (port > 0);
    digits[--n] = ':';
    put(d, ws_slice_of(digits + n, sizeof digits - n));
}

/* Cuts "host[:port]"; a colon in brackets belongs to the host. */
static int read_host(struct draft *d, struct ws_uri *u, struct ws_host *h,
                     struct ws_span s)
{
    size_t i, n = s.n > 0 && s.p[0] == '[' ? find(s, "]") : 0;
    struct ws_span host = take(&s, n);
    const char *why = NULL;
    int port = 0;

    n = find(s, ":");
    host.n += n;
    take(&s, n);
    if (host.n == 0)
        return fail(d, "the URL has no host");
    if (ws_host_parse(h, slice(host), &why) != WS_OK)
        return fail(d, why);
    for (i = 1; i < s.n; i++) {
        if (!ws_ch_is(s.p[i], WS_CH_DIGIT))
            return fail(d, "the port is no number");
        port = port * 10 + (s.p[i] - '0');
        if (port > 65535)
            return fail(d, "the port is above 65535");
    }
    u->port = s.n > 1 ? port : schemes[u->scheme].port;
    u->port_is_default = u->port == schemes[u->scheme].port;
    u->host_is_ipv4 = h->kind == WS_HOST_IPV4;
    u->host_is_ipv6 = h->kind == WS_HOST_IPV6;
    return WS_OK;
}

/* Cuts "user:password@" off the front; the last "@" is the one. */
static void read_user(struct ws_span *s, struct ws_span *user,
                      struct ws_span *password)
{
    size_t at = s->n, n;

    *user = *password = ws_span_of(NULL, 0);
    while (at > 0 && s->p[at - 1] != '@')
        at--;
    if (at == 0)
        return;
    *password = take(s, at);
    password->n--;
    n = find(*password, ":");
    *user = take(password, n);
    if (password->n > 0)
        take(password, 1);
}

static int put_user(struct draft *d, struct ws_span user,
                    struct ws_span password)
{
    if (user.n + password.n > 0) {
        begin(d, USER);
        put_decoded(d, slice(user), "the user has a control character");
        end(d);
    }
    if (password.n > 0) {
        begin(d, PASSWORD);
        put_decoded(d, slice(password), "the password has a control character");
        end(d);
    }
    return d->err;
}

static int read_authority(struct draft *d, struct ws_uri *u, struct ws_span *s)
{
    struct ws_span authority, user, password;
    struct ws_host h;
    int port;

    while (s->n > 0 && (s->p[0] == '/' || s->p[0] == '\\'))
        take(s, 1);
    authority = take(s, find(*s, "/\\?"));
    read_user(&authority, &user, &password);
    if (put_user(d, user, password) != WS_OK ||
        read_host(d, u, &h, authority) != WS_OK)
        return d->err;
    port = u->port_is_default ? -1 : u->port;
    begin(d, HOST);
    put_str(d, h.text);
    end(d);
    begin(d, ORIGIN);
    put_str(d, schemes[u->scheme].text);
    put_host(d, &h, port);
    end(d);

    begin(d, TEXT);
    put_str(d, schemes[u->scheme].text);
    put_encoded(d, slice(user), in_user);
    if (password.n > 0)
        put_str(d, ":");
    put_encoded(d, slice(password), in_user);
    if (user.n + password.n > 0)
        put_str(d, "@");
    put_host(d, &h, port);
    return d->err;
}

/* "/path/of.sock:/target": what Node's ws calls an IPC URL. */
static int read_unix(struct draft *d, struct ws_span *s)
{
    struct ws_span path;

    if (s->n >= 2 && s->p[0] == '/' && s->p[1] == '/') {
        take(s, 2);
        if (s->n == 0 || s->p[0] != '/')
            return fail(d, "a ws+unix URL has no host");
    }
    path = take(s, find(*s, ":?"));
    if (path.n == 0)
        return fail(d, "the URL has no socket path");
    if (s->n > 0 && s->p[0] == ':')
        take(s, 1);
    if (s->n > 0 && s->p[0] != '/' && s->p[0] != '?')
        return fail(d, "the target of a ws+unix URL starts with a slash");
    begin(d, PATH_UNIX);
    put_decoded(d, slice(path), "the socket path has a control character");
    end(d);
    begin(d, HOST);
    put_str(d, "localhost");
    end(d);
    begin(d, ORIGIN);
    put_str(d, "null");
    end(d);
    begin(d, TEXT);
    put_str(d, schemes[WS_URI_UNIX].text);
    if (path.n >= 2 && path.p[0] == '/' && path.p[1] == '/')
        put_str(d, "//"); /* else the path's own would be taken for these */
    put_encoded(d, slice(path), in_path);
    put_str(d, ":");
    return d->err;
}

/* -- the whole -- */

static int parse(struct draft *d, struct ws_uri *u, struct ws_span s)
{
    if (read_scheme(d, u, &s) != WS_OK)
        return d->err;
    if (find(s, "#") < s.n)
        return fail(d, "the URL has a fragment");
    u->port_is_default = 1;
    if (u->scheme == WS_URI_UNIX)
        read_unix(d, &s);
    else
        read_authority(d, u, &s);
    if (d->err == WS_OK)
        finish_target(d, s);
    return d->err;
}

/* Where u keeps each string. */
static void fields_of(struct ws_uri *u, char **field[STRINGS])
{
    field[TEXT] = &u->text;
    field[ORIGIN] = &u->origin;
    field[HOST] = &u->host;
    field[TARGET] = &u->target;
    field[USER] = &u->user;
    field[PASSWORD] = &u->password;
    field[PATH_UNIX] = &u->path_unix;
}

static int settle(struct draft *d, struct ws_uri *u)
{
    struct ws_slice all = ws_buf_peek(&d->buf);
    char **field[STRINGS];
    char *block = ws_mem_get(d->mem, all.n);
    int i;

    if (block == NULL)
        return WS_ERR_NOMEM;
    memcpy(block, all.p, all.n);
    fields_of(u, field);
    for (i = 0; i < STRINGS; i++)
        *field[i] = d->has[i] ? block + d->at[i] : NULL;
    u->block = block;
    u->size = all.n;
    return WS_OK;
}

static int parse_as(struct ws_uri *u, struct ws_mem *mem, struct ws_slice s,
                    const char **why, int proxy)
{
    struct draft d;
    struct ws_span copy;
    const char *ignored;
    int err;

    if (why == NULL)
        why = &ignored;
    memset(u, 0, sizeof *u);
    memset(&d, 0, sizeof d);
    d.mem = mem;
    d.proxy = proxy;
    *why = "the URL is too long";
    if (s.n > WS_URI_MAX)
        return WS_ERR_URI;
    copy = ws_span_of(ws_mem_get(mem, s.n + 1), s.n);
    if (copy.p == NULL)
        return WS_ERR_NOMEM;
    ws_buf_init(&d.buf, 0);
    clean(&copy, s);
    err = parse(&d, u, copy);
    if (err == WS_OK)
        err = settle(&d, u);
    ws_buf_free(&d.buf, mem);
    ws_mem_put(mem, copy.p, s.n + 1);
    if (err != WS_OK)
        memset(u, 0, sizeof *u);
    *why = d.why;
    return err;
}

int ws_uri_parse(struct ws_uri *u, struct ws_mem *mem, struct ws_slice s,
                 const char **why)
{
    return parse_as(u, mem, s, why, 0);
}

int ws_uri_parse_proxy(struct ws_uri *u, struct ws_mem *mem, struct ws_slice s,
                       const char **why)
{
    return parse_as(u, mem, s, why, 1);
}

void ws_uri_move(struct ws_uri *u, struct ws_mem *mem, char *to)
{
    const char *block = u->block;
    char **field[STRINGS];
    int i;

    memcpy(to, block, u->size);
    fields_of(u, field);
    for (i = 0; i < STRINGS; i++)
        if (*field[i] != NULL)
            *field[i] = to + (*field[i] - block);
    ws_mem_put(mem, u->block, u->size);
    u->block = NULL;
    u->size = 0;
}

void ws_uri_free(struct ws_uri *u, struct ws_mem *mem)
{
    ws_mem_put(mem, u->block, u->size);
    memset(u, 0, sizeof *u);
}

int ws_uri_host_header(const struct ws_uri *u, char *out, size_t n)
{
    /* the origin is that with a scheme before it */
    const char *s = u->scheme == WS_URI_UNIX
                        ? u->host
                        : u->origin + strlen(schemes[u->scheme].text);
    size_t size = strlen(s) + 1;

    if (size > n)
        return WS_ERR_LIMIT;
    memcpy(out, s, size);
    return WS_OK;
}
