/* wire/head.c -- the scan is a state machine over bytes and holds all of the
** grammar; behind it the head only has to be cut.
*/
#include "wire/head.h"

#include "wire/field.h"

/* -- start lines -- */

enum { VERSION_SIZE = 8 }; /* "HTTP/1.1" */

static int is_digit(uint8_t ch)
{
    return ws_ch_is(ch, WS_CH_DIGIT);
}

static int is_version(const uint8_t *p)
{
    return memcmp(p, "HTTP/", 5) == 0 && is_digit(p[5]) && p[6] == '.' &&
           is_digit(p[7]);
}

/* method SP target SP version; the scan has seen to what they are made of. */
static int read_request(struct ws_head *h, struct ws_slice line)
{
    const uint8_t *sp = memchr(line.p, ' ', line.n);
    const uint8_t *end;

    if (sp == NULL || line.n < VERSION_SIZE)
        return WS_ERR_HEAD_LINE;
    end = line.p + line.n - VERSION_SIZE;
    if (end <= sp + 2 || end[-1] != ' ' || !is_version(end))
        return WS_ERR_HEAD_LINE;
    h->method = ws_slice_of(line.p, (size_t)(sp - line.p));
    h->target = ws_slice_of(sp + 1, (size_t)(end - sp) - 2);
    h->version = ws_slice_of(end, VERSION_SIZE);
    return end[5] == '1' && end[7] != '0' ? WS_OK : WS_ERR_HEAD_VERSION;
}

/* version SP 3DIGIT [ SP [ reason ] ]: the last space is often forgotten. */
static int read_status(struct ws_head *h, struct ws_slice line)
{
    const uint8_t *p = line.p;

    if (line.n < VERSION_SIZE || !is_version(p))
        return WS_ERR_HEAD_LINE;
    if (p[5] != '1')
        return WS_ERR_HEAD_VERSION;
    if (line.n < 12 || p[8] != ' ' || p[9] == '0' || !is_digit(p[9]) ||
        !is_digit(p[10]) || !is_digit(p[11]) || (line.n > 12 && p[12] != ' '))
        return WS_ERR_HEAD_LINE;
    h->version = ws_slice_of(p, VERSION_SIZE);
    h->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    if (line.n > 13)
        h->reason = ws_slice_of(p + 13, line.n - 13);
    return WS_OK;
}

/* -- scan -- */

/* What the next byte may be. */
enum {
    EMPTY,    /* the first byte of a start line, or CR of an empty line */
    EMPTY_LF, /* LF of that */
    FIRST,    /* the first byte of a start line */
    METHOD,   /* more of the method, or SP; "/" after "HTTP" */
    TARGET,   /* more of the target, or SP */
    START,    /* the rest of a start line, or CR */
    START_LF, /* LF of that */
    FIELD,    /* a field name's first byte, a fold's space, or the last CR */
    NAME,     /* more of a name, or ":" */
    VALUE,    /* more of a value, or CR */
    VALUE_LF, /* LF of that */
    END_LF    /* the last byte */
};
/*  [EMPTY -> EMPTY_LF ->] FIRST -> METHOD -> TARGET -> START -> START_LF
**                                  METHOD -> START                response
**  START_LF -> FIELD -> NAME -> VALUE -> VALUE_LF -> FIELD
**              FIELD -> VALUE                                     fold
**              FIELD -> END_LF
*/

void ws_head_scan_init(struct ws_head_scan *s)
{
    s->pos = 0;
    s->line = 0;
    s->part = 0;
    s->lines = 0;
    s->state = EMPTY;
    s->is_response = 0;
}

/* A limit of 0 is none. */
static size_t bound(size_t max)
{
    return max == 0 ? SIZE_MAX : max;
}

/* Lets pos run over bytes of the kinds, up to the end of what is there and to
** the limit of the run that began at `from`: `max` bytes, else `err`.  WS_OK
** when a byte of another kind is next, WS_MORE at the end. */
static int run(struct ws_head_scan *s, struct ws_slice all, unsigned kinds,
               size_t from, size_t max)
{
    size_t end = max < all.n - from ? from + max : all.n;

    s->pos += ws_ch_span(ws_slice_of(all.p + s->pos, end - s->pos), kinds);
    if (s->pos < end)
        return WS_OK;
    if (end == all.n)
        return WS_MORE;
    return ws_ch_is(all.p[end], kinds) ? WS_ERR_HEAD_BIG : WS_OK;
}

static int on_empty(struct ws_head_scan *s, uint8_t ch)
{
    if (s->state == EMPTY && ch == '\r') {
        s->state = EMPTY_LF;
        s->pos++;
        return WS_OK;
    }
    if (s->state == EMPTY_LF) {
        if (ch != '\n')
            return WS_ERR_HEAD_LINE;
        s->state = FIRST;
        s->pos++;
        return WS_OK;
    }
    s->line = s->pos;
    s->state = METHOD;
    return WS_OK;
}

/* The method; or "HTTP/", which begins a status line if nothing is before
** it. */
static int on_method(struct ws_head_scan *s, struct ws_slice all)
{
    int rc = run(s, all, WS_CH_TOKEN, s->line, WS_HEAD_METHOD_MAX);
    size_t n = s->pos - s->line;

    if (rc == WS_MORE)
        return WS_MORE;
    if (rc == WS_ERR_HEAD_BIG)
        return WS_ERR_HEAD_METHOD;
    if (n == 0)
        return WS_ERR_HEAD_LINE;
    if (all.p[s->pos] == '/' && s->line == 0 && n == 4 &&
        memcmp(all.p, "HTTP", 4) == 0) {
        s->is_response = 1;
        s->state = START;
    } else if (all.p[s->pos] == ' ') {
        s->pos++;
        s->part = s->pos;
        s->state = TARGET;
    } else {
        return WS_ERR_HEAD_LINE;
    }
    return WS_OK;
}

static int on_target(struct ws_head_scan *s, struct ws_slice all, size_t max)
{
    int rc = run(s, all, WS_CH_TARGET, s->part, bound(max));

    if (rc == WS_ERR_HEAD_BIG)
        return WS_ERR_HEAD_TARGET;
    if (rc == WS_OK) {
        if (all.p[s->pos] != ' ' || s->pos == s->part)
            return WS_ERR_HEAD_LINE;
        s->part = s->pos;
        s->state = START;
    }
    return rc;
}

/* A status line has the limit of a header line.  Behind a target there is
** room for a version and nothing else. */
static int on_start(struct ws_head_scan *s, struct ws_slice all, size_t max)
{
    int rc = s->is_response
                 ? run(s, all, WS_CH_VALUE, s->line, bound(max))
                 : run(s, all, WS_CH_VALUE, s->part, 1 + VERSION_SIZE);

    if (rc == WS_ERR_HEAD_BIG && !s->is_response)
        return WS_ERR_HEAD_LINE;
    if (rc == WS_OK) {
        if (all.p[s->pos] != '\r')
            return WS_ERR_HEAD_LINE;
        s->pos++;
        s->state = START_LF;
    }
    return rc;
}

static int on_start_lf(struct ws_head_scan *s, struct ws_slice all)
{
    struct ws_slice line = ws_slice_of(all.p + s->line, s->pos - 1 - s->line);
    struct ws_head h;
    int err;

    if (all.p[s->pos] != '\n')
        return WS_ERR_HEAD_LINE;
    err = s->is_response ? read_status(&h, line) : read_request(&h, line);
    if (err != WS_OK)
        return err;
    s->pos++;
    s->line = s->pos;
    s->state = FIELD;
    return WS_OK;
}

static int on_field(struct ws_head_scan *s, uint8_t ch, unsigned lines_max)
{
    if (ch == '\r') {
        s->state = END_LF;
        s->pos++;
        return WS_OK;
    }
    if (lines_max != 0 && s->lines >= lines_max)
        return WS_ERR_HEAD_LINES;
    if (ws_ch_is(ch, WS_CH_SPACE)) { /* obs-fold, RFC 9112 5.2 */
        if (!s->is_response || s->lines == 0)
            return WS_ERR_HEAD_SYNTAX;
        s->state = VALUE;
    } else {
        s->state = NAME;
    }
    s->lines++;
    return WS_OK;
}

static int on_name(struct ws_head_scan *s, struct ws_slice all, size_t max)
{
    int rc = run(s, all, WS_CH_TOKEN, s->line, bound(max));

    if (rc == WS_OK) {
        if (all.p[s->pos] != ':' || s->pos == s->line)
            return WS_ERR_HEAD_SYNTAX;
        s->state = VALUE;
    }
    return rc;
}

static int on_value(struct ws_head_scan *s, struct ws_slice all, size_t max)
{
    int rc = run(s, all, WS_CH_VALUE, s->line, bound(max));

    if (rc == WS_OK) {
        if (all.p[s->pos] != '\r')
            return WS_ERR_HEAD_SYNTAX;
        s->pos++;
        s->state = VALUE_LF;
    }
    return rc;
}

static int on_lf(struct ws_head_scan *s, uint8_t ch)
{
    if (ch != '\n')
        return WS_ERR_HEAD_SYNTAX;
    s->pos++;
    s->line = s->pos;
    s->state = FIELD;
    return WS_OK;
}

/* Goes on from s->pos, where there is a byte; WS_OK: and again. */
static int step(struct ws_head_scan *s, struct ws_slice all,
                const struct ws_head_limits *lim)
{
    uint8_t ch = all.p[s->pos];

    switch (s->state) {
    case METHOD:
        return on_method(s, all);
    case TARGET:
        return on_target(s, all, lim->target_max);
    case START:
        return on_start(s, all, lim->line_max);
    case START_LF:
        return on_start_lf(s, all);
    case FIELD:
        return on_field(s, ch, lim->lines_max);
    case NAME:
        return on_name(s, all, lim->line_max);
    case VALUE:
        return on_value(s, all, lim->line_max);
    case VALUE_LF:
        return on_lf(s, ch);
    default: /* EMPTY, EMPTY_LF, FIRST */
        return on_empty(s, ch);
    }
}

int ws_head_scan(struct ws_head_scan *s, struct ws_slice all,
                 const struct ws_head_limits *lim, size_t *head_size)
{
    static const struct ws_head_limits defaults = WS_HEAD_LIMITS;
    size_t there = all.n;
    int rc = WS_OK;

    if (lim == NULL)
        lim = &defaults;
    if (all.n > bound(lim->size_max))
        all.n = lim->size_max;
    while (rc == WS_OK && s->pos < all.n && s->state != END_LF)
        rc = step(s, all, lim);
    if (rc < 0)
        return rc;
    if (s->state == END_LF && s->pos < all.n) {
        *head_size = s->pos + 1;
        return all.p[s->pos] == '\n' ? WS_OK : WS_ERR_HEAD_SYNTAX;
    }
    return there >= bound(lim->size_max) ? WS_ERR_HEAD_BIG : WS_MORE;
}

/* -- parse -- */

/* Where the line that starts at `at` ends: at its CR.  Folds are filled with
** spaces, and so become part of the line. */
static size_t line_end(struct ws_span head, size_t at)
{
    for (;;) {
        uint8_t *cr = memchr(head.p + at, '\r', head.n - at);
        at = (size_t)(cr - head.p);
        if (cr[2] != ' ' && cr[2] != '\t')
            return at;
        cr[0] = ' ';
        cr[1] = ' ';
        for (at += 2; head.p[at] == '\t' || head.p[at] == ' '; at++)
            head.p[at] = ' ';
    }
}

static struct ws_slice part(struct ws_span head, size_t from, size_t to)
{
    return ws_slice_of(head.p + from, to - from);
}

static int read_fields(struct ws_head *h, struct ws_span head, size_t at)
{
    while (head.p[at] != '\r') {
        struct ws_field *f = h->fields + h->nfields;
        size_t end = line_end(head, at);
        const uint8_t *colon = memchr(head.p + at, ':', end - at);
        size_t mid = (size_t)(colon - head.p);

        if (h->nfields == h->fields_max)
            return WS_ERR_HEAD_LINES;
        f->name = part(head, at, mid);
        f->value = ws_field_trim(part(head, mid + 1, end));
        h->nfields++;
        at = end + 2;
    }
    return WS_OK;
}

int ws_head_cut(struct ws_head *h, struct ws_span head, int is_response)
{
    struct ws_slice line;
    size_t end, at;
    int err;

    h->is_response = memcmp(head.p, "HTTP/", 5) == 0;
    if (h->is_response != (is_response != 0))
        return WS_ERR_HEAD_LINE;
    h->method = h->target = h->reason = ws_slice_of(NULL, 0);
    h->status = 0;
    h->nfields = 0;
    h->size = head.n;
    at = head.p[0] == '\r' ? 2 : 0;
    end = line_end(head, at);
    line = part(head, at, end);
    err = is_response ? read_status(h, line) : read_request(h, line);
    return err != WS_OK ? err : read_fields(h, head, end + 2);
}

int ws_head_parse(struct ws_head *h, struct ws_span head, int is_response)
{
    static const struct ws_head_limits none = {0, 0, 0, 0};
    struct ws_head_scan s;
    int err;

    ws_head_scan_init(&s);
    err = ws_head_scan(&s, ws_slice_of(head.p, head.n), &none, &head.n);
    return err != WS_OK ? err : ws_head_cut(h, head, is_response);
}

/* -- questions -- */

const struct ws_field *ws_head_find(const struct ws_head *h, const char *name,
                                    const struct ws_field *after)
{
    const struct ws_field *end = h->fields + h->nfields;
    const struct ws_field *f = after == NULL ? h->fields : after + 1;
    struct ws_slice wanted = ws_slice_str(name);

    for (; f < end; f++) {
        if (ws_slice_same(f->name, wanted))
            return f;
    }
    return NULL;
}

const struct ws_field *ws_head_only(const struct ws_head *h, const char *name)
{
    const struct ws_field *f = ws_head_find(h, name, NULL);

    if (f == NULL || ws_head_find(h, name, f) != NULL)
        return NULL;
    return f;
}

unsigned ws_head_count(const struct ws_head *h, const char *name)
{
    const struct ws_field *f = NULL;
    unsigned n = 0;

    for (;;) {
        f = ws_head_find(h, name, f);
        if (f == NULL)
            return n;
        n++;
    }
}

int ws_head_has_token(const struct ws_head *h, const char *name,
                      const char *token)
{
    const struct ws_field *f = ws_head_find(h, name, NULL);
    struct ws_slice wanted = ws_slice_str(token);

    for (; f != NULL; f = ws_head_find(h, name, f)) {
        struct ws_slice rest = f->value, item;
        while (ws_list_next(&rest, &item) == WS_OK) {
            if (ws_slice_same(item, wanted))
                return 1;
        }
    }
    return 0;
}

/* token, or token "/" token. */
static int is_element(struct ws_slice s, int versions)
{
    const uint8_t *slash = versions ? memchr(s.p, '/', s.n) : NULL;
    size_t n = slash == NULL ? s.n : (size_t)(slash - s.p);

    return ws_is_token(ws_slice_of(s.p, n)) &&
           (slash == NULL || ws_is_token(ws_slice_of(slash + 1, s.n - n - 1)));
}

int ws_head_is_list(const struct ws_head *h, const char *name, int versions)
{
    const struct ws_field *f = ws_head_find(h, name, NULL);

    for (; f != NULL; f = ws_head_find(h, name, f)) {
        struct ws_slice rest = f->value, item;
        while (ws_list_next(&rest, &item) == WS_OK) {
            if (!is_element(item, versions))
                return 0;
        }
    }
    return 1;
}
