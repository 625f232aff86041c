/* wire/host.c -- the WHATWG host parser. */
#include "wire/host.h"

#include "wire/field.h"
#include "wire/idna.h"
#include "wire/target.h"

/* Bytes of a host before it is mapped: full-width letters take three each. */
enum { RAW_MAX = 3 * WS_HOST_MAX };

static int fail(const char **why, const char *text)
{
    *why = text;
    return WS_ERR_URI;
}

/* -- IPv4 -- */

/* Decimal, 0octal or 0xhex; "0x" is 0.  1 and *n (at most 2^32), or 0. */
static int read_number(struct ws_slice s, uint64_t *n)
{
    unsigned base = 10;
    size_t i = 0;

    *n = 0;
    if (s.n >= 2 && s.p[0] == '0') {
        base = s.p[1] == 'x' ? 16 : 8;
        i = base == 16 ? 2 : 1;
    }
    for (; i < s.n; i++) {
        unsigned digit;
        if (!ws_ch_is(s.p[i], WS_CH_HEX))
            return 0;
        digit = ws_hex_value(s.p[i]);
        if (digit >= base)
            return 0;
        *n = *n * base + digit;
        if (*n > UINT32_MAX)
            *n = (uint64_t)UINT32_MAX + 1;
    }
    return s.n > 0;
}

/* Cuts the last label off *s, which has no dot at its end. */
static struct ws_slice last_label(struct ws_slice *s)
{
    size_t at = s->n;
    struct ws_slice label;
    while (at > 0 && s->p[at - 1] != '.')
        at--;
    label = ws_slice_of(s->p + at, s->n - at);
    s->n = at > 0 ? at - 1 : 0;
    return label;
}

static struct ws_slice without_dot(struct ws_slice s)
{
    if (s.n > 1 && s.p[s.n - 1] == '.')
        s.n--;
    return s;
}

/* Such a host is an IPv4 address or nothing. */
static int ends_in_number(struct ws_slice s)
{
    struct ws_slice rest = without_dot(s);
    struct ws_slice label = last_label(&rest);
    uint64_t ignored;
    if (label.n == 0)
        return 0;
    return ws_ch_span(label, WS_CH_DIGIT) == label.n ||
           (label.n >= 2 && label.p[0] == '0' && label.p[1] == 'x' &&
            read_number(label, &ignored));
}

/* Up to four numbers; the last one fills all bytes that are left. */
static int read_ipv4(struct ws_slice s, uint32_t *address)
{
    uint64_t part[4];
    size_t i, count = 0;

    s = without_dot(s);
    for (i = 0; i < s.n; i++)
        count += s.p[i] == '.';
    count++;
    if (count > 4)
        return 0;
    for (i = count; i-- > 0;) {
        if (!read_number(last_label(&s), &part[i]))
            return 0;
    }
    if (part[count - 1] >> (8 * (5 - count)) != 0)
        return 0;
    *address = (uint32_t)part[count - 1];
    for (i = 0; i + 1 < count; i++) {
        if (part[i] > 255)
            return 0;
        *address |= (uint32_t)part[i] << (8 * (3 - i));
    }
    return 1;
}

static size_t put_decimal(char *out, unsigned n)
{
    size_t size = 0;
    if (n >= 100)
        out[size++] = (char)('0' + n / 100);
    if (n >= 10)
        out[size++] = (char)('0' + n / 10 % 10);
    out[size++] = (char)('0' + n % 10);
    return size;
}

static void write_ipv4(char *out, uint32_t address)
{
    int shift;
    for (shift = 24; shift >= 0; shift -= 8) {
        out += put_decimal(out, address >> shift & 0xFF);
        *out++ = shift > 0 ? '.' : '\0';
    }
}

/* -- IPv6 -- */

/* Four decimals at the end of an IPv6 address: strict, no leading zeros. */
static int read_quad(struct ws_slice s, uint16_t piece[2])
{
    unsigned byte[4];
    size_t i, at = 0;

    for (i = 0; i < 4; i++) {
        size_t first;
        if (i > 0 && (at >= s.n || s.p[at++] != '.'))
            return 0;
        first = at;
        byte[i] = 0;
        while (at < s.n && ws_ch_is(s.p[at], WS_CH_DIGIT) && byte[i] <= 255)
            byte[i] = byte[i] * 10 + (unsigned)(s.p[at++] - '0');
        if (at == first || byte[i] > 255 ||
            (s.p[first] == '0' && at - first > 1))
            return 0;
    }
    piece[0] = (uint16_t)(byte[0] << 8 | byte[1]);
    piece[1] = (uint16_t)(byte[2] << 8 | byte[3]);
    return at == s.n;
}

/* Up to four hex digits at *at. */
static size_t read_piece(struct ws_slice s, size_t *at, uint16_t *piece)
{
    size_t n = 0;
    unsigned value = 0;
    while (n < 4 && *at < s.n && ws_ch_is(s.p[*at], WS_CH_HEX)) {
        value = value << 4 | ws_hex_value(s.p[*at]);
        ++*at;
        n++;
    }
    *piece = (uint16_t)value;
    return n;
}

/* Moves the pieces behind the gap of "::" to the end, zeros between. */
static void spread(uint16_t piece[8], int n, int gap)
{
    int i, moved = n - gap;
    for (i = 0; i < moved; i++)
        piece[7 - i] = piece[n - 1 - i];
    for (i = gap; i < 8 - moved; i++)
        piece[i] = 0;
}

int ws_ipv6_read(struct ws_slice s, uint16_t piece[8])
{
    int n = 0, gap = -1;
    size_t at = 0;

    if (s.n >= 2 && s.p[0] == ':' && s.p[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < s.n) {
        size_t first = at;
        int room = 8 - n - (gap >= 0);
        if (room <= 0)
            return 0;
        if (s.p[at] == ':') {
            if (gap >= 0 || n == 0)
                return 0;
            gap = n;
            at++;
            continue;
        }
        if (read_piece(s, &at, &piece[n]) == 0)
            return 0;
        n++;
        if (at == s.n)
            break;
        if (s.p[at] == '.') {
            if (room < 2 || !read_quad(ws_slice_of(s.p + first, s.n - first),
                                       &piece[n - 1]))
                return 0;
            n++;
            break;
        }
        if (s.p[at++] != ':' || at == s.n)
            return 0;
    }
    if (gap >= 0)
        spread(piece, n, gap);
    return gap >= 0 || n == 8;
}

static size_t put_hex(char *out, unsigned n)
{
    static const char digits[] = "0123456789abcdef";
    size_t size = 0;
    int shift;
    for (shift = 12; shift >= 0; shift -= 4) {
        if (size > 0 || shift == 0 || n >> shift != 0)
            out[size++] = digits[n >> shift & 15];
    }
    return size;
}

/* RFC 5952: the first longest run of two or more zeros becomes "::". */
static void write_ipv6(char *out, const uint16_t piece[8])
{
    int i, from = 8, run = 1, here = 0;

    for (i = 0; i < 8; i++) {
        here = piece[i] == 0 ? here + 1 : 0;
        if (here > run) {
            run = here;
            from = i + 1 - here;
        }
    }
    for (i = 0; i < 8; i++) {
        if (i == from) {
            *out++ = ':';
            if (i == 0)
                *out++ = ':';
            i += run - 1;
            continue;
        }
        out += put_hex(out, piece[i]);
        if (i < 7)
            *out++ = ':';
    }
    *out = '\0';
}

static int parse_ipv6(struct ws_host *h, struct ws_slice s, const char **why)
{
    uint16_t piece[8];

    if (s.p[s.n - 1] != ']' ||
        !ws_ipv6_read(ws_slice_of(s.p + 1, s.n - 2), piece))
        return fail(why, "the host is no IPv6 address");
    write_ipv6(h->text, piece);
    h->kind = WS_HOST_IPV6;
    return WS_OK;
}

/* -- names -- */

/* "%41" is "A"; a percent sign without two digits stays, to be refused. */
static int decode_percent(struct ws_span *out, struct ws_slice s)
{
    size_t i, n = 0;

    for (i = 0; i < s.n; i++) {
        uint8_t ch = s.p[i];
        if (ws_percent_at(s, i, &ch))
            i += 2;
        if (n == out->n)
            return 0;
        out->p[n++] = ch;
    }
    out->n = n;
    return 1;
}

/* The standard's forbidden domain code points, and what else may not stand in
** a Host header (RFC 3986 3.2.2). */
static int is_forbidden(uint8_t ch)
{
    return ch <= ' ' || ch >= 0x7F || strchr("#%/:<>?@[\\]^|\"`{}", ch) != NULL;
}

int ws_host_parse(struct ws_host *h, struct ws_slice s, const char **why)
{
    uint8_t raw[RAW_MAX];
    struct ws_span name = ws_span_of(raw, sizeof raw);
    struct ws_slice text;
    uint32_t address;
    size_t i, n = WS_HOST_MAX;
    int err;

    if (s.n > 0 && s.p[0] == '[')
        return parse_ipv6(h, s, why);
    if (!decode_percent(&name, s))
        return fail(why, "the host is too long");
    err = ws_idna_ascii(h->text, &n, ws_slice_of(name.p, name.n), why);
    if (err != WS_OK)
        return err;
    if (n == 0)
        return fail(why, "the URL has no host");
    for (i = 0; i < n; i++) {
        if (is_forbidden((uint8_t)h->text[i]))
            return fail(why, "the host has a character that is not allowed");
    }
    h->text[n] = '\0';
    h->kind = WS_HOST_NAME;
    text = ws_slice_of(h->text, n);
    if (ends_in_number(text)) {
        if (!read_ipv4(text, &address))
            return fail(why, "the host is no IPv4 address");
        write_ipv4(h->text, address);
        h->kind = WS_HOST_IPV4;
    }
    return WS_OK;
}
