/* spec/fuzz/body.c -- chunked bodies: any cutting gives the same data, end and
** error.
**
** Input: a byte that cuts, then the body.
*/
#include "fuzz.h"

#include "wire/body.h"

struct result {
    int rc, done;
    size_t used;       /* bytes taken */
    size_t n;          /* bytes of data */
    uint64_t checksum; /* of the data */
};

static void read_all(struct result *r, struct ws_slice all, size_t step)
{
    struct ws_chunked c;
    size_t at = 0, i = 0;

    memset(r, 0, sizeof *r);
    r->rc = WS_MORE;
    ws_chunked_init(&c);
    while (r->rc >= 0 && !c.done && at < all.n) {
        size_t n = step == 0 ? all.n : 1 + i++ * 5 % step;
        struct ws_slice in = ws_slice_of(all.p + at, n), data;
        if (in.n > all.n - at)
            in.n = all.n - at;
        n = in.n;
        do {
            size_t k;
            r->rc = ws_chunked_feed(&c, &in, &data);
            CHECK(fuzz_inside(data, all.p + at, n));
            for (k = 0; k < data.n; k++)
                r->checksum = r->checksum * 31 + data.p[k];
            r->n += data.n;
        } while (r->rc == WS_OK && !c.done);
        CHECK(r->rc != WS_MORE || in.n == 0);
        at += n - in.n;
    }
    r->done = c.done;
    r->used = at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t step = (size_t)fuzz_byte(&data, &n) + 1;
    struct ws_span in = fuzz_copy(data, n);
    struct result whole, cut;

    read_all(&whole, ws_slice_of(in.p, n), 0);
    read_all(&cut, ws_slice_of(in.p, n), step);
    CHECK(whole.rc == cut.rc && whole.done == cut.done);
    CHECK(whole.used == cut.used && whole.n == cut.n);
    CHECK(whole.checksum == cut.checksum && whole.n <= n);
    free(in.p);
    return 0;
}
