/* spec/fuzz/field.c -- header grammar and challenges: iterators end, stay
** inside their bytes, and agree with one another; answers fit.
**
** Input: a header value.
*/
#include "fuzz.h"

#include "wire/auth.h"
#include "wire/field.h"
#include "wire/target.h"

static void check_lists(struct ws_slice all)
{
    struct ws_slice rest = all, item, token, tokens = all;
    size_t before, count = 0;

    for (;;) {
        before = rest.n;
        if (ws_list_next(&rest, &item) != WS_OK)
            break;
        CHECK(rest.n < before && fuzz_inside(item, all.p, all.n));
        CHECK(ws_field_trim(item).n == item.n);
        CHECK(++count <= all.n);
    }
    CHECK(rest.n == 0);
    rest = all;
    while (ws_token_list_next(&tokens, &token) == WS_OK) {
        /* a list of tokens is a list of the same elements */
        CHECK(ws_is_token(token) && ws_list_next(&rest, &item) == WS_OK);
        CHECK(item.p == token.p && item.n == token.n);
    }
    before = tokens.n;
    CHECK(ws_token_list_next(&tokens, &token) ==
          (before == 0 ? WS_MORE : WS_ERR_FIELD));
    CHECK(tokens.n == before);
}

static void check_params(struct ws_slice params, const uint8_t *p, size_t n)
{
    uint8_t *scratch = malloc(params.n + 1);
    size_t room = params.n;
    struct ws_param q;
    int rc;

    CHECK(scratch != NULL && fuzz_inside(params, p, n));
    for (;;) {
        rc = ws_param_next(&params, &q, scratch, room);
        if (rc != WS_OK)
            break;
        CHECK(ws_is_token(q.name) && fuzz_inside(q.name, p, n));
        CHECK(q.has_value ? ws_is_token(q.value) : q.value.n == 0);
        CHECK(q.has_value || !q.quoted);
    }
    CHECK(rc == WS_MORE); /* no error is left for the parameters */
    free(scratch);
}

static void check_extensions(struct ws_slice all)
{
    struct ws_slice rest = all, name, params;
    int rc, found = 0;

    for (;;) {
        size_t before = rest.n;
        rc = ws_extension_next(&rest, &name, &params);
        if (rc != WS_OK)
            break;
        CHECK(rest.n < before && ws_is_token(name));
        check_params(params, all.p, all.n);
        found = 1;
    }
    CHECK(rc == WS_MORE || rc == WS_ERR_FIELD);
    CHECK((ws_extension_check(all) == WS_OK) == (rc == WS_MORE && found));
}

static void check_hosts(struct ws_slice all)
{
    struct ws_slice scheme, host;
    struct ws_target t;
    int port;

    if (ws_host_port(all, &host, &port) == WS_OK) {
        CHECK(host.n > 0 && fuzz_inside(host, all.p, all.n));
        CHECK(port >= 0 && port <= 65535);
    }
    if (ws_origin_host(all, &scheme, &host, &port) == WS_OK) {
        CHECK(scheme.n > 0 && host.n > 0 && scheme.p == all.p);
        CHECK(fuzz_inside(host, all.p, all.n) && port <= 65535);
    }
    if (ws_target_split(&t, all) == WS_OK)
        CHECK(t.path.n > 0 && fuzz_inside(t.query, all.p, all.n) &&
              fuzz_inside(t.authority, all.p, all.n));
}

/* The answer to a challenge fits, may be sent, and is a challenge's like. */
static void check_answer(const struct ws_digest *d, struct ws_slice all)
{
    struct ws_login w = {all, all, ws_slice_str("GET"), ws_slice_str("/"), all};
    size_t i, n = 0, room;
    char *out;

    w.user.n = all.n < 9 ? all.n : 9;
    w.cnonce = ws_slice_of(all.p, ws_ch_span(all, WS_CH_TOKEN));
    room = ws_digest_size(d, &w);
    out = malloc(room);
    CHECK(out != NULL && ws_digest_write(out, &n, d, &w) == WS_OK && n <= room);
    for (i = 0; i < n; i++)
        CHECK(ws_ch_is((uint8_t)out[i], WS_CH_PRINT | WS_CH_SPACE));
    free(out);
}

static void check_challenges(struct ws_slice all)
{
    struct ws_slice rest = all, scheme, params, name, value;
    struct ws_field f = {ws_slice_str("X"), all};
    struct ws_digest d;
    struct ws_head h;
    int rc, found = 0;

    for (;;) {
        size_t before = rest.n;
        rc = ws_challenge_next(&rest, &scheme, &params);
        if (rc != WS_OK)
            break;
        CHECK(rest.n < before && ws_is_token(scheme));
        CHECK(fuzz_inside(params, all.p, all.n));
        found |= ws_slice_same(scheme, ws_slice_str("digest")) &&
                 ws_digest_read(params, &d) == WS_OK;
        while (ws_challenge_param(&params, &name, &value) == WS_OK)
            CHECK(ws_is_token(name) && fuzz_inside(value, all.p, all.n));
    }
    CHECK(rc == WS_MORE ? rest.n == 0 : rc == WS_ERR_FIELD);
    memset(&h, 0, sizeof h);
    h.fields = &f;
    h.nfields = h.fields_max = 1;
    CHECK((ws_digest_choose(&h, "X", &d) == WS_OK) == found);
    if (found)
        check_answer(&d, all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ws_span in = fuzz_copy(data, n);
    struct ws_slice all = ws_slice_of(in.p, n);
    uint8_t *scratch = fuzz_copy(data, n).p;
    struct ws_param p;

    check_lists(all);
    check_extensions(all);
    check_hosts(all);
    check_challenges(all);
    while (ws_param_next(&all, &p, scratch, n) == WS_OK)
        CHECK(ws_is_token(p.name));
    free(scratch);
    free(in.p);
    return 0;
}
