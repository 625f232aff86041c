/* wire/deflate.c -- see deflate.h. */
#include "wire/deflate.h"

#define ZLIB_CONST
#include <zlib.h>

/* Bytes given to zlib at once: its counters may have 32 bits. */
enum { STEP = 65536 };

/* What one of zlib's allocations has in front: its size, which zlib does not
** tell when it frees.  Keeps the alignment of malloc. */
enum { HEAD = 16 };

/* Where a stream's memory comes from, and the first it was given: of a
** compressor's five blocks all but the last, room for what comes out. */
struct store {
    struct ws_mem *mem;
    struct ws_slice block[4];
    int n;
};

struct ws_deflate {
    z_stream z;
    struct store store;
    struct ws_deflate_conf conf;
};

struct ws_inflate {
    z_stream z;
    struct store store;
    int fresh;
    int between;
};

/* -- memory -- */

static void *z_get(void *ud, uInt items, uInt size)
{
    struct store *store = ud;
    size_t n = (size_t)items * size + HEAD; /* some 100 KiB at most */
    uint8_t *p = ws_mem_get(store->mem, n);

    if (p == NULL)
        return NULL;
    memcpy(p, &n, sizeof n);
    if (store->n < (int)(sizeof store->block / sizeof store->block[0]))
        store->block[store->n++] = ws_slice_of(p, n);
    return p + HEAD;
}

static void z_put(void *ud, void *at)
{
    struct store *store = ud;
    uint8_t *p = (uint8_t *)at - HEAD;
    size_t n;

    memcpy(&n, p, sizeof n);
    ws_mem_put(store->mem, p, n);
}

static void z_init(z_stream *z, struct store *store, struct ws_mem *mem)
{
    memset(z, 0, sizeof *z);
    store->mem = mem;
    store->n = 0;
    z->zalloc = z_get;
    z->zfree = z_put;
    z->opaque = store;
}

/* -- steps -- */

static uInt step_of(size_t n)
{
    return n < STEP ? (uInt)n : STEP;
}

static void give(z_stream *z, struct ws_slice in, struct ws_span out)
{
    z->next_in = in.p;
    z->avail_in = step_of(in.n);
    z->next_out = out.p;
    z->avail_out = step_of(out.n);
}

/* Moves in and out on by what zlib made of them. */
static void took(const z_stream *z, struct ws_slice *in, struct ws_span *out)
{
    size_t i = step_of(in->n) - z->avail_in;
    size_t o = step_of(out->n) - z->avail_out;

    if (i > 0)
        in->p += i;
    in->n -= i;
    out->p += o;
    out->n -= o;
}

/* -- compressing -- */

/* What zlib's level 6 is for where it is not told otherwise: good_length,
** max_lazy, nice_length, max_chain.  Level 6 itself follows chains of 128; with
** many connections each step of them is a miss in the processor's cache, and
** where the window is large most steps find nothing better. */
enum {
    USUAL = 6,
    GOOD = 4,
    LAZY = 16,
    NICE = 64,
    CHAIN = 48,
    CHAIN_LARGE = 30
};

static int zlib_level(int level)
{
    return level == WS_LEVEL_USUAL ? USUAL : level;
}

static void tune(struct ws_deflate *d)
{
    if (d->conf.level == WS_LEVEL_USUAL)
        deflateTune(&d->z, GOOD, LAZY, NICE,
                    d->conf.window < 14 ? CHAIN : CHAIN_LARGE);
}

struct ws_deflate *ws_deflate_new(struct ws_mem *mem, struct ws_deflate_conf c)
{
    struct ws_deflate *d = ws_mem_get(mem, sizeof *d);
    /* zlib makes no raw stream with 8 bits; one with 9 never looks back
    ** further than 512 - 262 bytes, so 8 are enough to read it. */
    int window = c.window == WS_WINDOW_MIN ? c.window + 1 : c.window;

    if (d == NULL)
        return NULL;
    z_init(&d->z, &d->store, mem);
    d->conf = c;
    if (deflateInit2(&d->z, zlib_level(c.level), Z_DEFLATED, -window, c.memory,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        ws_mem_put(mem, d, sizeof *d);
        return NULL;
    }
    tune(d);
    return d;
}

void ws_deflate_free(struct ws_deflate *d)
{
    if (d == NULL)
        return;
    deflateEnd(&d->z);
    ws_mem_put(d->store.mem, d, sizeof *d);
}

struct ws_deflate_conf ws_deflate_conf(const struct ws_deflate *d)
{
    return d->conf;
}

void ws_deflate_reset(struct ws_deflate *d, int level)
{
    uint8_t nothing[WS_DEFLATE_ROOM]; /* older zlibs flush it, into here */

    deflateReset(&d->z); /* takes the tuning away, too */
    if (d->conf.level != level) {
        d->conf.level = (uint8_t)level;
        give(&d->z, ws_slice_of(NULL, 0), ws_span_of(nothing, sizeof nothing));
        deflateParams(&d->z, zlib_level(level), Z_DEFAULT_STRATEGY);
    }
    tune(d);
}

void ws_deflate_warm(const struct ws_deflate *d)
{
    enum { LINE = 64 }; /* bytes the processor fetches at once, or fewer */
    int i;

    for (i = 0; i < d->store.n; i++) {
        struct ws_slice b = d->store.block[i];
        size_t at;

        for (at = 0; at < b.n; at += LINE)
            __builtin_prefetch(b.p + at, 0, 2);
    }
}

int ws_deflate_run(struct ws_deflate *d, struct ws_slice *in,
                   struct ws_span *out, int flush)
{
    while (out->n >= WS_DEFLATE_ROOM) {
        int last = in->n <= STEP;

        give(&d->z, *in, *out);
        /* what it answers says no more than what it took and gave */
        deflate(&d->z, flush && last ? Z_SYNC_FLUSH : Z_NO_FLUSH);
        took(&d->z, in, out);
        if (in->n == 0 && d->z.avail_out > 0)
            return WS_OK;
    }
    return WS_MORE;
}

/* -- decompressing -- */

struct ws_inflate *ws_inflate_new(struct ws_mem *mem, int window)
{
    struct ws_inflate *z = ws_mem_get(mem, sizeof *z);

    if (z == NULL)
        return NULL;
    z_init(&z->z, &z->store, mem);
    z->fresh = 1;
    z->between = 1;
    if (inflateInit2(&z->z, -window) != Z_OK) {
        ws_mem_put(mem, z, sizeof *z);
        return NULL;
    }
    return z;
}

void ws_inflate_free(struct ws_inflate *z)
{
    if (z == NULL)
        return;
    inflateEnd(&z->z);
    ws_mem_put(z->store.mem, z, sizeof *z);
}

void ws_inflate_reset(struct ws_inflate *z)
{
    inflateReset(&z->z);
    z->fresh = 1;
    z->between = 1;
}

/* What zlib says of where it stopped, which it forgets when it is called for
** nothing: bits left of the last byte, and 128 at the end of a block. */
static void note_end(struct ws_inflate *z, size_t had_in, size_t had_out)
{
    if (z->z.avail_in != had_in || z->z.avail_out != had_out)
        z->between = (z->z.data_type & (128 | 63)) == 128;
}

static int inflate_step(struct ws_inflate *z, struct ws_slice *in,
                        struct ws_span *out)
{
    int rc;

    give(&z->z, *in, *out);
    if (z->z.avail_in > 0)
        z->fresh = 0;
    rc = inflate(&z->z, Z_NO_FLUSH);
    note_end(z, step_of(in->n), step_of(out->n));
    took(&z->z, in, out);
    switch (rc) {
    case Z_OK:
    case Z_BUF_ERROR: /* nothing to do, which is no error */
        return WS_OK;
    case Z_STREAM_END:
        inflateResetKeep(&z->z); /* keeps the window */
        z->fresh = 1;
        z->between = 1;
        return WS_OK;
    case Z_MEM_ERROR:
        return WS_ERR_NOMEM;
    default:
        return WS_ERR_DEFLATE;
    }
}

int ws_inflate_run(struct ws_inflate *z, struct ws_slice *in,
                   struct ws_span *out)
{
    for (;;) {
        int err = inflate_step(z, in, out);

        if (err != WS_OK)
            return err;
        if (out->n == 0)
            return WS_MORE;
        if (in->n == 0 && z->z.avail_out > 0)
            return WS_OK;
    }
}

int ws_inflate_between(const struct ws_inflate *z)
{
    return z->between;
}

int ws_inflate_fresh(const struct ws_inflate *z)
{
    return z->fresh;
}
