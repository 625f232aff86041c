/* wire/body.c -- the framing from the head, then one state machine for chunks.
*/
#include "wire/body.h"

#include "wire/field.h"
#include "wire/head.h"

/* -- framing -- */

/* 1*DIGIT below 2^63. */
static int read_number(struct ws_slice s, uint64_t *n)
{
    size_t i;

    *n = 0;
    for (i = 0; i < s.n && ws_ch_is(s.p[i], WS_CH_DIGIT); i++) {
        unsigned digit = (unsigned)(s.p[i] - '0');
        if (*n > ((uint64_t)INT64_MAX - digit) / 10)
            return WS_ERR_HEAD_LENGTH;
        *n = *n * 10 + digit;
    }
    return s.n > 0 && i == s.n ? WS_OK : WS_ERR_HEAD_LENGTH;
}

/* One number, however often it is said, on one line or several (9110 8.6). */
static int read_length(const struct ws_head *h, uint64_t *length)
{
    const struct ws_field *f = NULL;
    uint64_t n;
    int first = 1;

    for (;;) {
        struct ws_slice rest;
        f = ws_head_find(h, "Content-Length", f);
        if (f == NULL)
            return WS_OK;
        rest = f->value;
        for (;;) {
            const uint8_t *comma =
                rest.n == 0 ? NULL : memchr(rest.p, ',', rest.n);
            size_t used = comma == NULL ? rest.n : (size_t)(comma - rest.p);
            struct ws_slice item = ws_slice_of(rest.p, used);
            if (read_number(ws_field_trim(item), &n) != WS_OK ||
                (!first && n != *length))
                return WS_ERR_HEAD_LENGTH;
            first = 0;
            *length = n;
            if (comma == NULL)
                break;
            rest = ws_slice_of(comma + 1, rest.n - used - 1);
        }
    }
}

/* "chunked" once, and no other coding. */
static int is_chunked(const struct ws_head *h)
{
    const struct ws_field *f = ws_head_find(h, "Transfer-Encoding", NULL);

    return ws_head_find(h, "Transfer-Encoding", f) == NULL &&
           ws_slice_same(f->value, ws_slice_str("chunked"));
}

int ws_head_body(const struct ws_head *h, enum ws_body_kind *kind,
                 uint64_t *length)
{
    int has_length = ws_head_find(h, "Content-Length", NULL) != NULL;
    int has_coding = ws_head_find(h, "Transfer-Encoding", NULL) != NULL;
    int err;

    *kind = WS_BODY_NONE;
    *length = 0;
    if (h->is_response &&
        (h->status < 200 || h->status == 204 || h->status == 304))
        return WS_OK;
    if (has_coding) {
        /* HTTP/1.0 has no codings: such framing is faulty (9112 6.1) */
        if (has_length || ws_slice_is(h->version, "HTTP/1.0"))
            return WS_ERR_HEAD_LENGTH;
        *kind = WS_BODY_CHUNKED;
        return is_chunked(h) ? WS_OK : WS_ERR_HEAD_CODING;
    }
    if (!has_length) {
        *kind = h->is_response ? WS_BODY_UNTIL_CLOSE : WS_BODY_NONE;
        return WS_OK;
    }
    err = read_length(h, length);
    *kind = *length > 0 ? WS_BODY_LENGTH : WS_BODY_NONE;
    return err;
}

/* -- chunks -- */

/* What the next byte may be. */
enum {
    SIZE,       /* a hex digit; after one also a space, ";" or CR */
    SPACE,      /* space before the ";" of an extension */
    EXTENSION,  /* anything of an extension, or CR */
    SIZE_LF,    /* LF behind the size */
    DATA,       /* `left` bytes of the body */
    DATA_CR,    /* CR behind them */
    DATA_LF,    /* LF behind that */
    TRAILER,    /* a field name's first byte, or the CR of the end */
    NAME,       /* more of the name, or ":" */
    VALUE,      /* the value, or CR */
    TRAILER_LF, /* LF behind it */
    END_LF      /* the last byte */
};
/*  SIZE -> [SPACE] -> [EXTENSION] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF
**       -> SIZE ...
**  SIZE_LF -> TRAILER                           the size was 0
**  TRAILER -> NAME -> VALUE -> TRAILER_LF -> TRAILER
**  TRAILER -> END_LF -> done
*/

void ws_chunked_init(struct ws_chunked *c)
{
    c->done = 0;
    c->left = 0;
    c->extra = 0;
    c->digits = 0;
    c->state = SIZE;
}

static int go(struct ws_chunked *c, int state)
{
    c->state = (uint8_t)state;
    return WS_OK;
}

/* A byte that has to be `want`; any other breaks the framing. */
static int expect(struct ws_chunked *c, uint8_t ch, char want, int state)
{
    return ch == (uint8_t)want ? go(c, state) : WS_ERR_HEAD_LENGTH;
}

static int on_size(struct ws_chunked *c, uint8_t ch)
{
    if (ws_ch_is(ch, WS_CH_HEX)) {
        if (c->digits == WS_CHUNKED_DIGITS || c->left > INT64_MAX >> 4)
            return WS_ERR_HEAD_LENGTH;
        c->digits++;
        c->left = c->left << 4 | ws_hex_value(ch);
        return WS_OK;
    }
    if (c->digits == 0)
        return WS_ERR_HEAD_LENGTH;
    if (ch == '\r')
        return go(c, SIZE_LF);
    if (ch == ';')
        return go(c, EXTENSION);
    return ws_ch_is(ch, WS_CH_SPACE) ? go(c, SPACE) : WS_ERR_HEAD_LENGTH;
}

/* Extensions and trailers: a byte of one of the kinds stays, CR ends. */
static int on_extra(struct ws_chunked *c, uint8_t ch, unsigned kinds, int end)
{
    if (ch == '\r' && end >= 0)
        return go(c, end);
    return ws_ch_is(ch, kinds) ? WS_OK : WS_ERR_HEAD_SYNTAX;
}

static int on_name(struct ws_chunked *c, uint8_t ch)
{
    if (ch == ':')
        return go(c, VALUE);
    return on_extra(c, ch, WS_CH_TOKEN, -1);
}

static int on_trailer(struct ws_chunked *c, uint8_t ch)
{
    if (ch == '\r')
        return go(c, END_LF);
    c->state = NAME;
    return on_extra(c, ch, WS_CH_TOKEN, -1);
}

static int after_size(struct ws_chunked *c, uint8_t ch)
{
    c->digits = 0;
    return expect(c, ch, '\n', c->left == 0 ? TRAILER : DATA);
}

/* One byte of the framing. */
static int step(struct ws_chunked *c, uint8_t ch)
{
    switch (c->state) {
    case SIZE:
        return on_size(c, ch);
    case SPACE:
        if (ch == ';')
            return go(c, EXTENSION);
        return on_extra(c, ch, WS_CH_SPACE, -1);
    case EXTENSION:
        return on_extra(c, ch, WS_CH_VALUE, SIZE_LF);
    case SIZE_LF:
        return after_size(c, ch);
    case DATA_CR:
        return expect(c, ch, '\r', DATA_LF);
    case DATA_LF:
        return expect(c, ch, '\n', SIZE);
    case TRAILER:
        return on_trailer(c, ch);
    case NAME:
        return on_name(c, ch);
    case VALUE:
        return on_extra(c, ch, WS_CH_VALUE, TRAILER_LF);
    case TRAILER_LF:
        return expect(c, ch, '\n', TRAILER);
    default: /* END_LF */
        c->done = ch == '\n';
        return c->done ? WS_OK : WS_ERR_HEAD_LENGTH;
    }
}

static int is_extra(int state)
{
    return state == SPACE || state == EXTENSION || state == NAME ||
           state == VALUE;
}

/* As much of the chunk's data as is there. */
static struct ws_slice take_data(struct ws_chunked *c, struct ws_slice *in)
{
    size_t n = in->n < c->left ? in->n : (size_t)c->left;
    struct ws_slice data = ws_slice_of(in->p, n);
    *in = ws_slice_of(in->p + n, in->n - n);
    c->left -= n;
    if (c->left == 0)
        c->state = DATA_CR;
    return data;
}

int ws_chunked_feed(struct ws_chunked *c, struct ws_slice *in,
                    struct ws_slice *data)
{
    *data = ws_slice_of(NULL, 0);
    while (!c->done && in->n > 0) {
        int err;
        if (c->state == DATA) {
            *data = take_data(c, in);
            return WS_OK;
        }
        err = step(c, in->p[0]);
        if (err != WS_OK)
            return err;
        if (is_extra(c->state)) {
            if (c->extra == WS_CHUNKED_EXTRA_MAX)
                return WS_ERR_HEAD_BIG;
            c->extra++;
        }
        *in = ws_slice_of(in->p + 1, in->n - 1);
    }
    return c->done ? WS_OK : WS_MORE;
}
