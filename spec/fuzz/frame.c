/* spec/fuzz/frame.c -- frame heads: early and late answers agree, and what is
** read is what is written.
**
** Input: a byte of expectations, then frames.
*/
#include "fuzz.h"

#include "wire/frame.h"

/* The same answer however few bytes were there before. */
static int read_cut(struct ws_frame *f, struct ws_span in, unsigned expect,
                    size_t *size)
{
    size_t n, most = in.n < 16 ? in.n : 16;
    int rc = WS_MORE;

    for (n = 0; n <= most && rc == WS_MORE; n++) {
        struct ws_span part = fuzz_copy(in.p, n);
        rc = ws_frame_read(f, ws_slice_of(part.p, n), expect, size);
        free(part.p);
        CHECK(rc != WS_OK || *size == n);
    }
    return rc;
}

static void check_one(struct ws_span in, unsigned expect)
{
    struct ws_frame whole, cut;
    uint8_t out[WS_FRAME_HEAD_MAX];
    size_t size = 0, cut_size = 0;
    int rc = ws_frame_read(&whole, ws_slice_of(in.p, in.n), expect, &size);

    CHECK(rc == read_cut(&cut, in, expect, &cut_size));
    if (rc != WS_OK) {
        CHECK(rc == WS_MORE || ws_err_close(rc) == 1002);
        return;
    }
    CHECK(size == cut_size && size <= in.n && size <= sizeof out);
    CHECK(size == ws_frame_head_size(whole.len, whole.masked));
    CHECK(whole.len <= INT64_MAX);
    CHECK(ws_frame_write(out, &whole) == size);
    CHECK(memcmp(out, in.p, size) == 0); /* the shortest form is the only one */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    unsigned expect = fuzz_byte(&data, &n) & 3u;
    struct ws_span in = fuzz_copy(data, n);
    struct ws_slice run = ws_slice_of(in.p, in.n);
    size_t at = 0, size, off, payload = 0;
    struct ws_frame f;

    check_one(in, expect);
    while (ws_frame_read(&f, ws_slice_of(in.p + at, n - at), expect, &size) ==
           WS_OK) {
        at += size;
        if (f.len > n - at)
            break;
        at += (size_t)f.len;
    }
    run.n = at; /* whole heads: what payload_in wants */
    for (off = 0; off <= at && off < 4096; off++) {
        size_t now = ws_frame_payload_in(run, off);
        CHECK(now == payload || now == payload + 1);
        CHECK(now <= off);
        payload = now;
    }
    free(in.p);
    return 0;
}
