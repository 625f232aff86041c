/* spec/fuzz/pmd.c -- round trips: what one side compresses, in messages and
** parts of any size, the other side reads, and zlib by itself reads it, too.
**
** Input: five bytes that choose parameters, then for each part a byte with its
** length and whether it is the last (a set top bit), and its bytes.  Every
** 16th part is repeated many times, so that windows are filled.
*/
#include "fuzz.h"

#include "proto/pmd.h"

#include <zlib.h>

enum { ROOM = 1 << 16 };

struct run {
    struct ws_mem mem;
    struct ws_pmd_pool pool;
    struct ws_pmd *from, *to;
    z_stream z;
    size_t room; /* bytes decompressed at once */
    int alone;
};

static void check_zlib(struct run *t, struct ws_slice packed,
                       struct ws_slice part, int last)
{
    static uint8_t tail[4] = {0, 0, 0xFF, 0xFF};
    static uint8_t out[ROOM + 1];
    int round;

    t->z.next_out = out;
    t->z.avail_out = sizeof out;
    for (round = 0; round < 1 + last; round++) {
        t->z.next_in = round == 0 ? (uint8_t *)(uintptr_t)packed.p : tail;
        t->z.avail_in = round == 0 ? (uInt)packed.n : sizeof tail;
        inflate(&t->z, Z_SYNC_FLUSH);
        CHECK(t->z.avail_in == 0);
    }
    CHECK(sizeof out - t->z.avail_out == part.n);
    CHECK(part.n == 0 || memcmp(out, part.p, part.n) == 0);
    if (last && t->alone)
        CHECK(inflateReset(&t->z) == Z_OK);
}

/* Decompresses what is in `in`, or the end of the message. */
static size_t unpack(struct run *t, struct ws_slice *in, uint8_t *at)
{
    size_t got = 0;
    int err;

    do {
        struct ws_span out = ws_span_of(at + got, t->room);
        CHECK(got + t->room <= 2 * ROOM);
        err = in != NULL ? ws_pmd_inflate(t->to, in, &out)
                         : ws_pmd_inflate_end(t->to, &out);
        CHECK(err == WS_OK || (err == WS_MORE && out.n == 0));
        got += t->room - out.n;
    } while (err == WS_MORE);
    return got;
}

static void send_part(struct run *t, struct ws_slice part, int last)
{
    static uint8_t out[2 * ROOM];
    struct ws_slice packed, in;
    struct ws_span copy;
    size_t n;

    CHECK(ws_pmd_deflate(t->from, part, last, &packed) == WS_OK);
    copy = fuzz_copy(packed.p, packed.n);
    in = packed = ws_slice_of(copy.p, copy.n);
    n = unpack(t, &in, out);
    CHECK(in.n == 0);
    if (last)
        n += unpack(t, NULL, out + n);
    CHECK(n == part.n && (n == 0 || memcmp(out, part.p, n) == 0));
    check_zlib(t, packed, part, last);
    free(copy.p);
}

static void configure(struct run *t, const uint8_t **data, size_t *n)
{
    struct ws_offer answer;
    struct ws_pmd_conf conf;

    memset(&answer, 0, sizeof answer);
    memset(&conf, 0, sizeof conf);
    answer.client_window = (uint8_t)(8 + fuzz_byte(data, n) % 8);
    answer.client_alone = fuzz_byte(data, n) & 1;
    conf.level = fuzz_byte(data, n) % 10;
    conf.memory = fuzz_byte(data, n) % 10;
    t->room = 1 + fuzz_byte(data, n) * 4u;
    t->alone = answer.client_alone;
    conf.offer.client_window = WS_WINDOW_ANY;
    ws_mem_init(&t->mem, NULL, NULL);
    ws_pmd_pool_init(&t->pool, &t->mem);
    t->from = ws_pmd_new(&t->pool, &conf, &answer, 0);
    t->to = ws_pmd_new(&t->pool, &conf, &answer, 1);
    CHECK(t->from != NULL && t->to != NULL);
    memset(&t->z, 0, sizeof t->z);
    CHECK(inflateInit2(&t->z, -answer.client_window) == Z_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t large[ROOM];
    struct run t;
    unsigned parts = 0;

    configure(&t, &data, &n);
    while (n > 0 && parts < 64) {
        uint8_t b = fuzz_byte(&data, &n);
        size_t len = b & 0x7F, i;
        struct ws_slice part = ws_slice_of(data, len < n ? len : n);

        data += part.n;
        n -= part.n;
        if (++parts % 16 == 3 && part.n > 0) {
            for (i = 0; i < 20000; i++)
                large[i] = (uint8_t)(part.p[i % part.n] + i / 4096);
            part = ws_slice_of(large, 20000);
        }
        send_part(&t, part, (b & 0x80) != 0);
        if (parts % 16 == 9)
            ws_pmd_forget(t.from);
    }
    inflateEnd(&t.z);
    ws_pmd_free(t.from);
    ws_pmd_free(t.to);
    ws_pmd_pool_free(&t.pool);
    CHECK(t.mem.used == 0);
    return 0;
}
