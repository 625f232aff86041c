/* spec/fuzz/head.c -- HTTP heads: any cutting gives the same answer, parse and
** scan agree, and a head that was read can be written and read again.
**
** Input: a byte of choices, a byte that cuts, then what a peer sends.
*/
#include "fuzz.h"

#include "wire/head.h"

enum { FIELDS = 64 };

/* Scans in pieces of 1 to step bytes. */
static int scan_cut(struct ws_slice all, const struct ws_head_limits *lim,
                    size_t step, size_t *size)
{
    struct ws_head_scan s;
    size_t n = 0, i = 0;
    int rc = WS_MORE;

    ws_head_scan_init(&s);
    while (rc == WS_MORE && n < all.n) {
        size_t before = s.pos;
        n += 1 + i++ * 7 % step;
        if (n > all.n)
            n = all.n;
        rc = ws_head_scan(&s, ws_slice_of(all.p, n), lim, size);
        CHECK(s.pos >= before && s.pos <= n);
        CHECK(lim->size_max == 0 || rc != WS_MORE || n < lim->size_max);
    }
    return rc;
}

static int scan(struct ws_slice all, const struct ws_head_limits *lim,
                size_t *size)
{
    struct ws_head_scan s;
    ws_head_scan_init(&s);
    return ws_head_scan(&s, all, lim, size);
}

static int same_fields(const struct ws_head *a, const struct ws_head *b)
{
    unsigned i;
    if (a->nfields != b->nfields)
        return 0;
    for (i = 0; i < a->nfields; i++) {
        const struct ws_field *f = &a->fields[i], *g = &b->fields[i];
        if (!ws_slice_same(f->name, g->name) || f->value.n != g->value.n ||
            (f->value.n > 0 && memcmp(f->value.p, g->value.p, f->value.n) != 0))
            return 0;
    }
    return 1;
}

/* Writes h and reads it again; parts we do not write are left out. */
static void check_again(const struct ws_head *h)
{
    struct ws_mem mem;
    struct ws_buf buf;
    struct ws_field fields[FIELDS];
    struct ws_head again;
    unsigned i;
    int err;

    ws_mem_init(&mem, NULL, NULL);
    ws_buf_init(&buf, 0);
    if (h->is_response)
        err = ws_head_put_status(&buf, &mem, h->status, h->reason);
    else
        err = ws_head_put_request(&buf, &mem, h->method, h->target);
    for (i = 0; i < h->nfields && err == WS_OK; i++)
        err = ws_head_put_field(&buf, &mem, h->fields[i].name,
                                h->fields[i].value);
    CHECK(err == WS_OK || err == WS_ERR_FIELD);
    if (err == WS_OK) {
        CHECK(ws_head_put_end(&buf, &mem) == WS_OK);
        again.fields = fields;
        again.fields_max = FIELDS;
        CHECK(ws_head_parse(&again, ws_buf_span(&buf), h->is_response) ==
              WS_OK);
        CHECK(again.size == ws_buf_size(&buf) && again.status == h->status);
        CHECK(same_fields(h, &again));
    }
    ws_buf_free(&buf, &mem);
    CHECK(mem.used == 0);
}

static void check_head(const struct ws_head *h, struct ws_span in)
{
    enum ws_body_kind kind;
    uint64_t length;
    unsigned i;
    int rc;

    for (i = 0; i < h->nfields; i++) {
        const struct ws_field *f = &h->fields[i];
        CHECK(f->name.n > 0 && fuzz_inside(f->name, in.p, h->size));
        CHECK(fuzz_inside(f->value, in.p, h->size));
        CHECK(f->value.n == 0 ||
              (memchr(f->value.p, '\r', f->value.n) == NULL &&
               memchr(f->value.p, '\0', f->value.n) == NULL));
    }
    CHECK(h->is_response ? h->status >= 100 && h->status <= 999
                         : h->method.n > 0 && h->target.n > 0);
    rc = ws_head_body(h, &kind, &length);
    CHECK(rc == WS_OK || ws_err_status(rc) != 0);
    CHECK(rc != WS_OK || (length > 0) == (kind == WS_BODY_LENGTH));
    ws_head_has_token(h, "Connection", "Upgrade");
    ws_head_is_list(h, "Upgrade", 1);
    check_again(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ws_head_limits lim = {0, 0, 0, 0};
    unsigned choices = fuzz_byte(&data, &n);
    size_t step = (size_t)fuzz_byte(&data, &n) + 1, size = 0, cut_size = 0;
    struct ws_span in = fuzz_copy(data, n);
    struct ws_slice all = ws_slice_of(in.p, n);
    struct ws_field fields[FIELDS];
    struct ws_head h;
    int rc, parsed;

    rc = scan(all, &lim, &size);
    CHECK(rc == scan_cut(all, &lim, step, &cut_size) || n == 0);
    CHECK(rc != WS_OK || (size == cut_size && size <= n));
    h.fields = fields;
    h.fields_max = FIELDS;
    parsed = ws_head_parse(&h, in, choices & 1);
    CHECK(parsed == rc || (rc == WS_OK && (parsed == WS_ERR_HEAD_LINE ||
                                           parsed == WS_ERR_HEAD_LINES)));
    CHECK(parsed != WS_OK || h.size == size);
    if (parsed == WS_OK)
        check_head(&h, in);

    memcpy(in.p, data, n); /* folds were filled */
    lim.size_max = choices & 2 ? 64 : 0;
    lim.lines_max = choices & 4 ? 3 : 0;
    lim.line_max = choices & 8 ? 20 : 0;
    lim.target_max = choices & 16 ? 10 : 0;
    rc = scan(all, &lim, &size);
    CHECK(rc == scan_cut(all, &lim, step, &cut_size) || n == 0);
    CHECK(rc != WS_OK || lim.size_max == 0 || size <= lim.size_max);
    free(in.p);
    return 0;
}
