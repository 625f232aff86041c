/* wire/idna.c -- mapping, then Punycode, label by label. */
#include "wire/idna.h"

/* -- code points -- */

/* Code points first, first + step, ... last become `add` more. */
struct shift {
    uint32_t first, last;
    int32_t add;
    uint32_t step;
};

/* Upper case to lower case, and full width to ASCII. */
static const struct shift shifts[] = {
    {0xC0, 0xD6, 32, 1},         {0xD8, 0xDE, 32, 1},
    {0x100, 0x12E, 1, 2},        {0x134, 0x136, 1, 2},
    {0x139, 0x13D, 1, 2},        {0x141, 0x147, 1, 2},
    {0x14A, 0x176, 1, 2},        {0x178, 0x178, -121, 1},
    {0x179, 0x17D, 1, 2},        {0x1A0, 0x1A4, 1, 2},
    {0x1AF, 0x1AF, 1, 1},        {0x1CD, 0x1DB, 1, 2},
    {0x1DE, 0x1EE, 1, 2},        {0x1F8, 0x21E, 1, 2},
    {0x222, 0x232, 1, 2},        {0x386, 0x386, 38, 1},
    {0x388, 0x38A, 37, 1},       {0x38C, 0x38C, 64, 1},
    {0x38E, 0x38F, 63, 1},       {0x391, 0x3A1, 32, 1},
    {0x3A3, 0x3AB, 32, 1},       {0x400, 0x40F, 80, 1},
    {0x410, 0x42F, 32, 1},       {0x460, 0x480, 1, 2},
    {0x48A, 0x4BE, 1, 2},        {0x4C0, 0x4C0, 15, 1},
    {0x4C1, 0x4CD, 1, 2},        {0x4D0, 0x52E, 1, 2},
    {0x531, 0x556, 48, 1},       {0x1E00, 0x1E94, 1, 2},
    {0x1E9E, 0x1E9E, -7615, 1},  {0x1EA0, 0x1EFE, 1, 2},
    {0xFF01, 0xFF5E, -65248, 1},
};

struct range {
    uint32_t first, last;
};

/* What UTS 46 leaves out of a name. */
static const struct range ignored[] = {
    {0xAD, 0xAD},     {0x34F, 0x34F},     {0x180B, 0x180D}, {0x180F, 0x180F},
    {0x200B, 0x200B}, {0x2060, 0x2060},   {0x2064, 0x2064}, {0xFE00, 0xFE0F},
    {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF},
};

/* What is in no name: controls, spaces, private use, what marks direction. */
static const struct range never[] = {
    {0x80, 0xA0},       {0x61C, 0x61C},     {0x1680, 0x1680},
    {0x17B4, 0x17B5},   {0x180E, 0x180E},   {0x2000, 0x200A},
    {0x200E, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x205F},
    {0x2061, 0x2063},   {0x2065, 0x206F},   {0x2FF0, 0x2FFF},
    {0x3000, 0x3000},   {0xE000, 0xF8FF},   {0xFDD0, 0xFDEF},
    {0xFFF0, 0xFFFF},   {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
    {0x1FFFE, 0x1FFFF}, {0x2FFFE, 0x2FFFF}, {0x3FFFE, 0x10FFFF},
};

/* What would need the tables we do not have to come out right: decomposed
** letters and compatibility forms (some map to "/" or "?" under UTS 46), and
** alphabets, or parts of some, whose capitals are not in the list above. */
static const struct range unmapped[] = {
    {0xA8, 0xAA},       {0xAF, 0xAF},       {0xB2, 0xB5},
    {0xB8, 0xBA},       {0xBC, 0xBE},       {0x130, 0x130},
    {0x132, 0x133},     {0x13F, 0x140},     {0x149, 0x149},
    {0x17F, 0x17F},     {0x181, 0x19F},     {0x1A6, 0x1AC},
    {0x1AE, 0x1AE},     {0x1B1, 0x1BF},     {0x1C4, 0x1CC},
    {0x1F1, 0x1F7},     {0x220, 0x220},     {0x23A, 0x24F},
    {0x2B0, 0x2B8},     {0x2D8, 0x2DD},     {0x2E0, 0x2E4},
    {0x300, 0x377},     {0x37A, 0x37A},     {0x37E, 0x37F},
    {0x384, 0x385},     {0x387, 0x387},     {0x3CF, 0x3F2},
    {0x3F4, 0x3F5},     {0x3F7, 0x3FA},     {0x3FD, 0x3FF},
    {0x587, 0x587},     {0x675, 0x678},     {0x958, 0x95F},
    {0x9DC, 0x9DF},     {0xA33, 0xA36},     {0xA59, 0xA5E},
    {0xB5C, 0xB5D},     {0xE33, 0xE33},     {0xEB3, 0xEB3},
    {0xEDC, 0xEDD},     {0xF0C, 0xF0C},     {0xF43, 0xF43},
    {0xF4D, 0xF4D},     {0xF52, 0xF52},     {0xF57, 0xF57},
    {0xF5C, 0xF5C},     {0xF69, 0xF69},     {0xF73, 0xF81},
    {0xF93, 0xFB9},     {0x10A0, 0x10CD},   {0x10FC, 0x10FC},
    {0x1100, 0x11FF},   {0x13F8, 0x13FD},   {0x1C80, 0x1CBF},
    {0x1D2C, 0x1D6A},   {0x1D78, 0x1D78},   {0x1D9B, 0x1DBF},
    {0x1E9A, 0x1E9B},   {0x1F00, 0x1FFF},   {0x2010, 0x2027},
    {0x2030, 0x205E},   {0x2070, 0x209F},   {0x20A8, 0x20A8},
    {0x2100, 0x218F},   {0x222C, 0x2230},   {0x2329, 0x232A},
    {0x2460, 0x24FF},   {0x2A0C, 0x2A0C},   {0x2A74, 0x2A76},
    {0x2ADC, 0x2ADC},   {0x2C00, 0x2C2F},   {0x2C60, 0x2CF2},
    {0x2D6F, 0x2D6F},   {0x2E9F, 0x2E9F},   {0x2EF3, 0x2EF3},
    {0x2F00, 0x2FEF},   {0x3036, 0x303A},   {0x3099, 0x309C},
    {0x309F, 0x309F},   {0x30FF, 0x30FF},   {0x3130, 0x318E},
    {0x3192, 0x319F},   {0x3200, 0x33FF},   {0xA640, 0xA69D},
    {0xA722, 0xA7F9},   {0xAB5C, 0xAB69},   {0xAB70, 0xABBF},
    {0xF900, 0xFDCF},   {0xFDF0, 0xFDFF},   {0xFE10, 0xFEFE},
    {0xFF5F, 0xFFEF},   {0x10400, 0x10427}, {0x104B0, 0x104D3},
    {0x10570, 0x10595}, {0x10781, 0x107BA}, {0x118A0, 0x118BF},
    {0x16E40, 0x16E5F}, {0x1D15E, 0x1D164}, {0x1D1BB, 0x1D1C0},
    {0x1D400, 0x1D7FF}, {0x1E030, 0x1E06D}, {0x1EE00, 0x1EEFF},
    {0x1F100, 0x1F16F}, {0x1F190, 0x1F190}, {0x1F200, 0x1F265},
    {0x1FBF0, 0x1FBF9}, {0x2F800, 0x2FFFD},
};

static int is_in(uint32_t ch, const struct range *r, size_t count)
{
    size_t i;
    if (ch < 0x80)
        return 0; /* no table has ASCII */
    for (i = 0; i < count; i++) {
        if (ch >= r[i].first && ch <= r[i].last)
            return 1;
    }
    return 0;
}

#define IS_IN(ch, table) is_in(ch, table, sizeof(table) / sizeof(table)[0])

static uint32_t to_lower(uint32_t ch)
{
    size_t i;
    if (ch < 0x80)
        return ws_lower((uint8_t)ch);
    for (i = 0; i < sizeof shifts / sizeof shifts[0]; i++) {
        const struct shift *s = &shifts[i];
        if (ch >= s->first && ch <= s->last && (ch - s->first) % s->step == 0) {
            ch = (uint32_t)((int32_t)ch + s->add);
            break;
        }
    }
    return ch >= 'A' && ch <= 'Z' ? ch + 32 : ch;
}

static int is_dot(uint32_t ch)
{
    return ch == '.' || ch == 0x3002 || ch == 0xFF0E || ch == 0xFF61;
}

/* Takes one code point of RFC 3629 from the front of *s, or returns 0. */
static int take(struct ws_slice *s, uint32_t *ch)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t b = s->p[0];
    size_t i, more = b < 0x80 ? 0 : b < 0xE0 ? 1 : b < 0xF0 ? 2 : 3;

    if ((b >= 0x80 && b < 0xC2) || b > 0xF4 || s->n <= more)
        return 0;
    *ch = more == 0 ? b : b & (0x3Fu >> more);
    for (i = 1; i <= more; i++) {
        if ((s->p[i] & 0xC0) != 0x80)
            return 0;
        *ch = *ch << 6 | (s->p[i] & 0x3Fu);
    }
    *s = ws_slice_of(s->p + more + 1, s->n - more - 1);
    return *ch >= least[more] && *ch <= 0x10FFFF &&
           (*ch < 0xD800 || *ch > 0xDFFF);
}

/* -- Punycode, RFC 3492 -- */

enum { BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700 };
enum { FIRST_BIAS = 72, FIRST_CODE = 128 };

static uint32_t adapt(uint32_t delta, uint32_t points, int first)
{
    uint32_t k = 0;
    delta = first ? delta / DAMP : delta / 2;
    delta += delta / points;
    for (; delta > (BASE - TMIN) * TMAX / 2; k += BASE)
        delta /= BASE - TMIN;
    return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

static uint32_t threshold(uint32_t k, uint32_t bias)
{
    return k <= bias + TMIN ? TMIN : k >= bias + TMAX ? TMAX : k - bias;
}

static char digit(uint32_t d)
{
    return (char)(d < 26 ? 'a' + d : '0' + (d - 26));
}

/* Writes q as a variable-length integer behind n bytes of out; returns the
** new length, or 0 when the label becomes too long. */
static size_t put_integer(char *out, size_t n, uint32_t q, uint32_t bias)
{
    uint32_t k = BASE;
    for (; n < WS_LABEL_MAX; k += BASE) {
        uint32_t t = threshold(k, bias);
        if (q < t) {
            out[n] = digit(q);
            return n + 1;
        }
        out[n++] = digit(t + (q - t) % (BASE - t));
        q = (q - t) / (BASE - t);
    }
    return 0;
}

static uint32_t least_from(const uint32_t *p, size_t count, uint32_t from)
{
    uint32_t least = UINT32_MAX;
    size_t i;
    for (i = 0; i < count; i++) {
        if (p[i] >= from && p[i] < least)
            least = p[i];
    }
    return least;
}

/* "xn--" and the code points, of which at least one is not ASCII: returns the
** length, or 0 when it is more than WS_LABEL_MAX.  Nothing overflows: there
** are fewer than 64 code points below 2^21. */
static size_t encode(char *out, const uint32_t *p, size_t count)
{
    uint32_t code = FIRST_CODE, delta = 0, bias = FIRST_BIAS;
    size_t i, n = 4, done, basic;

    if (count > WS_LABEL_MAX - 4)
        return 0;
    memcpy(out, "xn--", 4);
    for (i = 0; i < count; i++) {
        if (p[i] < 0x80)
            out[n++] = (char)p[i];
    }
    basic = done = n - 4;
    if (basic > 0 && n < WS_LABEL_MAX)
        out[n++] = '-';
    for (; done < count; delta++, code++) {
        uint32_t least = least_from(p, count, code);
        delta += (least - code) * (uint32_t)(done + 1);
        code = least;
        for (i = 0; i < count; i++) {
            if (p[i] < code)
                delta++;
            if (p[i] != code)
                continue;
            n = put_integer(out, n, delta, bias);
            if (n == 0)
                return 0;
            bias = adapt(delta, (uint32_t)(done + 1), done == basic);
            delta = 0;
            done++;
        }
    }
    return n;
}

static int value_of(char ch, uint32_t *d)
{
    if (ch >= 'a' && ch <= 'z')
        *d = (uint32_t)(ch - 'a');
    else if (ch >= '0' && ch <= '9')
        *d = (uint32_t)(ch - '0') + 26;
    else
        return 0;
    return 1;
}

/* Reads an integer from s at *at, adding it to *i; 0 when there is none. */
static int get_integer(struct ws_slice s, size_t *at, uint32_t bias,
                       uint32_t *i)
{
    uint64_t sum = *i, weight = 1;
    uint32_t k = BASE, d;
    for (; *at < s.n && weight < 1u << 31; k += BASE) {
        uint32_t t = threshold(k, bias);
        if (!value_of((char)s.p[(*at)++], &d))
            return 0;
        sum += d * weight;
        if (sum > INT32_MAX)
            return 0;
        *i = (uint32_t)sum;
        if (d < t)
            return 1;
        weight *= BASE - t;
    }
    return 0;
}

/* What stands behind "xn--" as code points; their number, or 0. */
static size_t decode(uint32_t *p, struct ws_slice s)
{
    uint32_t code = FIRST_CODE, bias = FIRST_BIAS, i = 0;
    size_t n = 0, at = s.n;

    while (at > 0 && s.p[at - 1] != '-')
        at--;
    for (; n + 1 < at; n++)
        p[n] = s.p[n];
    while (at < s.n) {
        uint32_t old = i, points = (uint32_t)n + 1;
        if (!get_integer(s, &at, bias, &i))
            return 0;
        bias = adapt(i - old, points, old == 0);
        code += i / points;
        i %= points;
        if (code > 0x10FFFF)
            return 0;
        memmove(p + i + 1, p + i, (n - i) * sizeof *p);
        p[i++] = code;
        n++;
    }
    return n;
}

/* -- labels -- */

static int fail(const char **why, const char *text)
{
    *why = text;
    return WS_ERR_URI;
}

/* An "xn--" label has to stand for something that encodes to it. */
static int check_encoded(struct ws_slice label, const char **why)
{
    uint32_t p[WS_LABEL_MAX + 1];
    char again[WS_LABEL_MAX];
    size_t i, n, foreign = 0;

    if (label.n > WS_LABEL_MAX)
        return fail(why, "a label of the host is too long");
    n = decode(p, ws_slice_of(label.p + 4, label.n - 4));
    for (i = 0; i < n; i++) {
        if (p[i] >= 0x80)
            foreign = 1;
        if (to_lower(p[i]) != p[i] || is_dot(p[i]) ||
            (p[i] >= 0xD800 && p[i] <= 0xDFFF) || IS_IN(p[i], ignored) ||
            IS_IN(p[i], never))
            return fail(why, "the host has an invalid \"xn--\" label");
    }
    if (!foreign || encode(again, p, n) != label.n ||
        memcmp(again, label.p, label.n) != 0)
        return fail(why, "the host has an invalid \"xn--\" label");
    return WS_OK;
}

/* Appends a mapped label to out, where *n bytes are in use. */
static int put_label(struct ws_span out, size_t *n, const uint32_t *p,
                     size_t count, const char **why)
{
    char ascii[WS_LABEL_MAX];
    size_t i, size = count, foreign = 0;
    int encoded =
        count >= 4 && p[0] == 'x' && p[1] == 'n' && p[2] == '-' && p[3] == '-';

    for (i = 0; i < count; i++)
        foreign |= p[i] >= 0x80;
    if (foreign && encoded)
        return fail(why, "the host has an invalid \"xn--\" label");
    if (foreign) {
        size = encode(ascii, p, count);
        if (size == 0)
            return fail(why, "a label of the host is too long");
    }
    if (size > out.n - *n)
        return fail(why, "the host is too long");
    for (i = 0; i < size; i++)
        out.p[*n + i] = foreign ? (uint8_t)ascii[i] : (uint8_t)p[i];
    *n += size;
    return encoded ? check_encoded(ws_slice_of(out.p + *n - size, size), why)
                   : WS_OK;
}

int ws_idna_ascii(char *out, size_t *n, struct ws_slice name, const char **why)
{
    struct ws_span room = ws_span_of(out, *n);
    uint32_t label[256], ch = 0;
    size_t count = 0, used = 0;
    int err;

    while (name.n > 0) {
        if (!take(&name, &ch))
            return fail(why, "the host is not UTF-8");
        if (is_dot(ch)) {
            err = put_label(room, &used, label, count, why);
            if (err != WS_OK)
                return err;
            if (used == room.n)
                return fail(why, "the host is too long");
            room.p[used++] = '.';
            count = 0;
            continue;
        }
        if (IS_IN(ch, ignored))
            continue;
        ch = to_lower(ch);
        if (IS_IN(ch, never))
            return fail(why, "the host has a character that is not allowed");
        if (IS_IN(ch, unmapped))
            return fail(why, "the host has a character that has to be given "
                             "as \"xn--\"");
        if (count == sizeof label / sizeof label[0])
            return fail(why, "the host is too long");
        label[count++] = ch;
    }
    err = put_label(room, &used, label, count, why);
    *n = used;
    return err;
}
