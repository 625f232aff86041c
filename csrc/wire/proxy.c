/* wire/proxy.c -- see proxy.h. */
#include "wire/proxy.h"

#include "base/buf.h"
#include "wire/field.h"
#include "wire/host.h"

/* -- a proxy's URL -- */

static int has_slashes(struct ws_slice s)
{
    size_t i;

    for (i = 0; i + 3 <= s.n; i++) {
        if (memcmp(s.p + i, "://", 3) == 0)
            return 1;
    }
    return 0;
}

static int check(const struct ws_uri *u, const char **why)
{
    size_t user = u->user == NULL ? 0 : strlen(u->user);
    size_t password = u->password == NULL ? 0 : strlen(u->password);

    if (strcmp(u->target, "/") != 0)
        *why = "a proxy's URL has no path";
    else if (u->scheme == WS_URI_SOCKS5 &&
             (user > WS_PROXY_WORD_MAX || password > WS_PROXY_WORD_MAX))
        *why = "user or password is longer than 255 bytes";
    else if (u->scheme == WS_URI_SOCKS5 && user == 0 && password > 0)
        *why = "a password without a user";
    else if (u->scheme != WS_URI_SOCKS5 && user > 0 &&
             strchr(u->user, ':') != NULL)
        *why = "the user has a colon";
    else
        return WS_OK;
    return WS_ERR_URI;
}

int ws_proxy_parse(struct ws_uri *u, struct ws_mem *mem, struct ws_slice s,
                   const char **why)
{
    struct ws_buf b;
    int err = WS_OK;

    memset(u, 0, sizeof *u);
    ws_buf_init(&b, 0);
    if (!has_slashes(s))
        err = ws_buf_append(&b, mem, ws_slice_str("http://"));
    if (err == WS_OK)
        err = ws_buf_append(&b, mem, s);
    if (err == WS_OK)
        err = ws_uri_parse_proxy(u, mem, ws_buf_peek(&b), why);
    ws_buf_free(&b, mem);
    if (err == WS_OK)
        err = check(u, why);
    if (err != WS_OK)
        ws_uri_free(u, mem);
    return err;
}

/* -- addresses -- */

/* An address in 16 bytes: IPv4 as in ::ffff:1.2.3.4 (RFC 4291 2.5.5.2), so
** that both spellings of one are the same. */
struct address {
    uint8_t b[16];
    int v4;
};

static int read_v4(struct address *a, struct ws_slice s)
{
    size_t i, at = 0;
    unsigned n;

    memset(a->b, 0, 10);
    a->b[10] = a->b[11] = 0xFF;
    for (i = 0; i < 4; i++) {
        size_t start = at;
        for (n = 0; at < s.n && ws_ch_is(s.p[at], WS_CH_DIGIT) && n < 256; at++)
            n = n * 10 + (unsigned)(s.p[at] - '0');
        if (at == start || n > 255)
            return 0;
        a->b[12 + i] = (uint8_t)n;
        if (i < 3 && (at == s.n || s.p[at++] != '.'))
            return 0;
    }
    return at == s.n;
}

static int read_address(struct address *a, struct ws_slice s)
{
    uint16_t piece[8];
    int i;

    a->v4 = read_v4(a, s);
    if (a->v4)
        return 1;
    if (!ws_ipv6_read(s, piece))
        return 0;
    for (i = 0; i < 16; i += 2) {
        a->b[i] = (uint8_t)(piece[i / 2] >> 8);
        a->b[i + 1] = (uint8_t)piece[i / 2];
    }
    return 1;
}

/* The first n bits are the same. */
static int same_bits(const struct address *a, const struct address *b,
                     unsigned n)
{
    uint8_t mask = (uint8_t)(0xFF00 >> n % 8);

    return memcmp(a->b, b->b, n / 8) == 0 &&
           (n % 8 == 0 || ((a->b[n / 8] ^ b->b[n / 8]) & mask) == 0);
}

/* -- no_proxy -- */

/* A decimal number of at most five digits, or -1. */
static int number(struct ws_slice s)
{
    int n = 0;
    size_t i;

    if (s.n == 0 || s.n > 5 || ws_ch_span(s, WS_CH_DIGIT) != s.n)
        return -1;
    for (i = 0; i < s.n; i++)
        n = n * 10 + (s.p[i] - '0');
    return n;
}

/* Where ch stands last in s, or s.n. */
static size_t find_last(struct ws_slice s, char ch)
{
    size_t i;

    for (i = s.n; i > 0; i--) {
        if (s.p[i - 1] == (uint8_t)ch)
            return i - 1;
    }
    return s.n;
}

static struct ws_slice behind(struct ws_slice s, size_t n)
{
    return ws_slice_of(s.p + n, s.n - n);
}

/* Cuts ":port" off; -1: none, -2: one that is no number. */
static int cut_port(struct ws_slice *s)
{
    struct address a;
    size_t at = find_last(*s, ':');
    int port;

    if (at == s->n || read_address(&a, *s) ||
        (s->p[0] == '[' && s->p[s->n - 1] == ']'))
        return -1;
    port = number(behind(*s, at + 1));
    s->n = at;
    return port < 0 ? -2 : port;
}

static void trim_dots(struct ws_slice *s)
{
    while (s->n > 0 && s->p[s->n - 1] == '.')
        s->n--;
}

/* host is the name, or lies below it. */
static int is_below(struct ws_slice host, struct ws_slice name)
{
    trim_dots(&host);
    trim_dots(&name);
    if (name.n > 0 && name.p[0] == '*')
        name = behind(name, 1);
    if (name.n > 0 && name.p[0] == '.')
        name = behind(name, 1);
    if (name.n == 0 || host.n < name.n)
        return 0;
    return ws_slice_same(behind(host, host.n - name.n), name) &&
           (host.n == name.n || host.p[host.n - name.n - 1] == '.');
}

static int in_range(struct ws_slice host, struct ws_slice range, size_t slash)
{
    int bits = number(behind(range, slash + 1));
    struct address a, b;

    if (!read_address(&a, host) ||
        !read_address(&b, ws_slice_of(range.p, slash)))
        return 0;
    if (bits < 0 || bits > (b.v4 ? 32 : 128))
        return 0;
    return same_bits(&a, &b, (unsigned)bits + (b.v4 ? 96 : 0));
}

static int names(struct ws_slice item, struct ws_slice host, int port)
{
    size_t slash = find_last(item, '/');
    struct address a, b;
    int only;

    if (ws_slice_is(item, "*"))
        return 1;
    if (slash < item.n)
        return in_range(host, item, slash);
    only = cut_port(&item);
    if (only != -1 && only != port)
        return 0;
    if (item.n >= 2 && item.p[0] == '[' && item.p[item.n - 1] == ']')
        item = ws_slice_of(item.p + 1, item.n - 2);
    if (read_address(&b, item))
        return read_address(&a, host) && same_bits(&a, &b, 128);
    return !read_address(&a, host) && is_below(host, item);
}

int ws_proxy_bypass(const char *list, const char *host, int port)
{
    static const char dividers[] = ", \t";

    for (;;) {
        size_t n;
        list += strspn(list, dividers);
        n = strcspn(list, dividers);
        if (n == 0)
            return 0;
        if (names(ws_slice_of(list, n), ws_slice_str(host), port))
            return 1;
        list += n;
    }
}

int ws_proxy_is_local(const char *host)
{
    return ws_proxy_bypass("localhost,127.0.0.0/8,::1", host, 0);
}

/* -- the environment -- */

static const char *value_of(char *(*get)(const char *name), const char *name)
{
    const char *value = get(name);

    return value == NULL || value[0] == '\0' ? NULL : value;
}

const char *ws_proxy_choose(char *(*get)(const char *name),
                            const struct ws_uri *target, const char **name)
{
    static const char *const plain[] = {"ws_proxy",   "WS_PROXY",  "http_proxy",
                                        "HTTP_PROXY", "all_proxy", "ALL_PROXY"};
    static const char *const secure[] = {"wss_proxy",   "WSS_PROXY",
                                         "https_proxy", "HTTPS_PROXY",
                                         "all_proxy",   "ALL_PROXY"};
    const char *value = NULL, *no;
    size_t i;

    if (target->scheme == WS_URI_UNIX || ws_proxy_is_local(target->host))
        return NULL;
    no = value_of(get, "no_proxy");
    if (no == NULL)
        no = value_of(get, "NO_PROXY");
    if (no != NULL && ws_proxy_bypass(no, target->host, target->port))
        return NULL;
    for (i = 0; i < 6 && value == NULL; i++) {
        *name = target->secure ? secure[i] : plain[i];
        if (strcmp(*name, "HTTP_PROXY") != 0 || get("REQUEST_METHOD") == NULL)
            value = value_of(get, *name);
    }
    return value;
}
