/* proto/pmd.c -- see pmd.h. */
#include "proto/pmd.h"

/* The end of a flush, which no message has on the wire (7.2.1). */
static const uint8_t tail[4] = {0x00, 0x00, 0xFF, 0xFF};

/* What is compressed is put together in rooms of this size, and the buffer is
** given back when it has become larger than that. */
enum { OUT_ROOM = 16384, OUT_KEPT = 262144 };

/* Windows nobody named, for messages below LARGE bytes and from there on, and
** the memLevel of the first: what fits such messages misses the cache less. */
enum { LARGE = 4096, USUAL_WINDOW = 13, LARGE_WINDOW = 14, USUAL_MEMORY = 5 };

/* -- the pool -- */

void ws_pmd_pool_init(struct ws_pmd_pool *pool, struct ws_mem *mem)
{
    memset(pool, 0, sizeof *pool);
    pool->mem = mem;
    ws_buf_init(&pool->out, 0);
}

void ws_pmd_pool_free(struct ws_pmd_pool *pool)
{
    int i;

    for (i = 0; i <= WS_WINDOW_MAX; i++) {
        ws_deflate_free(pool->deflate[i]);
        pool->deflate[i] = NULL;
    }
    ws_inflate_free(pool->inflate);
    pool->inflate = NULL;
    if (pool->mem != NULL)
        ws_buf_free(&pool->out, pool->mem);
}

/* A compressor with an empty window: the spare one if it is of that kind. */
static struct ws_deflate *borrow(struct ws_pmd_pool *pool,
                                 struct ws_deflate_conf c)
{
    struct ws_deflate *d = pool->deflate[c.window];

    if (d == NULL || ws_deflate_conf(d).memory != c.memory)
        return ws_deflate_new(pool->mem, c);
    pool->deflate[c.window] = NULL;
    ws_deflate_reset(d, c.level);
    return d;
}

static void give_back(struct ws_pmd_pool *pool, struct ws_deflate *d)
{
    unsigned window;

    if (d == NULL)
        return;
    window = ws_deflate_conf(d).window;
    ws_deflate_free(pool->deflate[window]);
    pool->deflate[window] = d;
}

/* The buffer, empty. */
static struct ws_buf *fresh_out(struct ws_pmd_pool *pool)
{
    struct ws_buf *b = &pool->out;

    if (ws_buf_size(b) > OUT_KEPT)
        ws_buf_free(b, pool->mem);
    ws_buf_skip(b, ws_buf_size(b));
    return b;
}

/* Compresses data into the pool's buffer, up to the end of a flush. */
static int run(struct ws_pmd_pool *pool, struct ws_deflate *d,
               struct ws_slice data, struct ws_slice *out)
{
    struct ws_buf *b = fresh_out(pool);
    struct ws_span room, left;
    int err;

    do {
        err = ws_buf_room(b, pool->mem, OUT_ROOM, &room);
        if (err != WS_OK)
            return WS_ERR_NOMEM;
        left = room;
        err = ws_deflate_run(d, &data, &left, 1);
        ws_buf_commit(b, room.n - left.n);
    } while (err == WS_MORE);
    *out = ws_buf_peek(b);
    return WS_OK;
}

/* Takes the tail off.  Nothing to flush is an empty block, whose first byte is
** all there is besides the tail (7.2.3.6); a compressor says so only once. */
static void cut_tail(struct ws_slice *out)
{
    static const uint8_t empty[1] = {0x00};

    if (out->n > sizeof tail)
        out->n -= sizeof tail;
    else
        *out = ws_slice_of(empty, 1);
}

int ws_pmd_pool_pack(struct ws_pmd_pool *pool, struct ws_deflate_conf c,
                     struct ws_slice data, struct ws_slice *out)
{
    struct ws_deflate *d = borrow(pool, c);
    int err = d == NULL ? WS_ERR_NOMEM : run(pool, d, data, out);

    if (err == WS_OK)
        cut_tail(out);
    give_back(pool, d);
    return err;
}

/* -- a connection's -- */

static uint8_t window_of(unsigned agreed)
{
    return (uint8_t)(agreed == 0 ? WS_WINDOW_MAX : agreed);
}

/* Ours: at most what was agreed on, and what we named, if we did. */
static void set_out(struct ws_pmd *p, unsigned named, unsigned agreed)
{
    p->out_window = window_of(agreed);
    p->out_named = named >= WS_WINDOW_MIN && named <= WS_WINDOW_MAX;
    if (p->out_named && named < p->out_window)
        p->out_window = (uint8_t)named;
}

static void set_up(struct ws_pmd *p, const struct ws_pmd_conf *c,
                   const struct ws_offer *a, int server)
{
    const struct ws_offer *o = &c->offer;

    p->level = c->level;
    p->memory = c->memory;
    if (server) {
        set_out(p, o->server_window, a->server_window);
        p->in_window = window_of(a->client_window);
        p->out_kept = !a->server_alone;
        p->in_kept = !a->client_alone;
    } else {
        set_out(p, o->client_window, a->client_window);
        p->in_window = window_of(a->server_window);
        p->out_kept = !a->client_alone && !o->client_alone;
        p->in_kept = !a->server_alone;
    }
    p->threshold_alone = c->threshold;
    p->threshold = p->out_kept ? c->threshold_kept : c->threshold;
}

struct ws_pmd *ws_pmd_new(struct ws_pmd_pool *pool, const struct ws_pmd_conf *c,
                          const struct ws_offer *answer, int server)
{
    char text[WS_OFFER_SIZE];
    size_t n = ws_offer_write(text, answer);
    struct ws_pmd *p = ws_mem_get(pool->mem, sizeof *p + n);

    if (p == NULL)
        return NULL;
    memset(p, 0, sizeof *p);
    p->pool = pool;
    p->text_n = (uint8_t)n;
    memcpy(p->text, text, n);
    set_up(p, c, answer, server);
    return p;
}

void ws_pmd_free(struct ws_pmd *p)
{
    if (p == NULL)
        return;
    ws_pmd_rest(p);
    ws_mem_put(p->pool->mem, p, sizeof *p + p->text_n);
}

static void return_inflate(struct ws_pmd *p)
{
    struct ws_pmd_pool *pool = p->pool;

    if (p->in_kept || pool->inflate != NULL)
        ws_inflate_free(p->inflate);
    else
        pool->inflate = p->inflate;
    p->inflate = NULL;
}

void ws_pmd_rest(struct ws_pmd *p)
{
    if (p->out_kept)
        ws_deflate_free(p->deflate); /* one connection's is enough */
    else
        give_back(p->pool, p->deflate);
    p->deflate = NULL;
    return_inflate(p);
}

/* -- out -- */

struct ws_deflate_conf ws_pmd_conf_for(const struct ws_pmd *p, size_t n)
{
    struct ws_deflate_conf c;
    uint8_t usual = n < LARGE ? USUAL_WINDOW : LARGE_WINDOW;

    c.window = p->out_window;
    if (!p->out_named && usual < c.window)
        c.window = usual;
    c.memory = p->memory;
    if (c.memory == 0)
        c.memory =
            c.window == USUAL_WINDOW ? USUAL_MEMORY : (uint8_t)(c.window - 7);
    c.level = p->level;
    return c;
}

/* A compressor for a message of n bytes: one's own, or a borrowed one. */
static struct ws_deflate *compressor(const struct ws_pmd *p, size_t n)
{
    struct ws_deflate_conf c = ws_pmd_conf_for(p, n);

    return p->out_kept ? ws_deflate_new(p->pool->mem, c) : borrow(p->pool, c);
}

int ws_pmd_deflate(struct ws_pmd *p, struct ws_slice data, int last,
                   struct ws_slice *out)
{
    int err;

    if (p->deflate == NULL)
        p->deflate = compressor(p, data.n);
    if (p->deflate == NULL)
        return WS_ERR_NOMEM;
    if (p->lost)
        ws_deflate_reset(p->deflate, p->level);
    p->lost = 0;
    p->used = 1;
    if (p->out_kept)
        ws_deflate_warm(p->deflate);
    err = run(p->pool, p->deflate, data, out);
    if (err != WS_OK)
        ws_pmd_forget(p);
    else if (last)
        cut_tail(out);
    if (last && !p->out_kept) {
        give_back(p->pool, p->deflate);
        p->deflate = NULL;
    }
    return err;
}

void ws_pmd_forget(struct ws_pmd *p)
{
    if (p->deflate != NULL)
        p->lost = 1;
}

void ws_pmd_age(struct ws_pmd *p)
{
    if (!p->used && !p->sending) {
        ws_deflate_free(p->deflate);
        p->deflate = NULL;
        p->lost = 0;
    }
    p->used = 0;
}

void ws_pmd_shared(struct ws_pmd *p, size_t n, size_t plain)
{
    ws_pmd_forget(p);
    p->out.packed += n;
    p->out.plain += plain;
}

/* -- in -- */

static int begin(struct ws_pmd *p)
{
    struct ws_pmd_pool *pool = p->pool;

    if (p->inflate != NULL)
        return WS_OK;
    if (p->in_kept) {
        p->inflate = ws_inflate_new(pool->mem, p->in_window);
    } else if (pool->inflate != NULL) {
        p->inflate = pool->inflate;
        pool->inflate = NULL;
        ws_inflate_reset(p->inflate);
    } else { /* fits whatever window the next one has that it is lent to */
        p->inflate = ws_inflate_new(pool->mem, WS_WINDOW_MAX);
    }
    return p->inflate == NULL ? WS_ERR_NOMEM : WS_OK;
}

int ws_pmd_inflate(struct ws_pmd *p, struct ws_slice *in, struct ws_span *out)
{
    int err = begin(p);

    if (err != WS_OK)
        return err;
    if (in->n > 0)
        p->fed = 1;
    return ws_inflate_run(p->inflate, in, out);
}

/* The tail completes the block that was cut.  There is none to complete when
** nothing was sent at all, or nothing behind a last block. */
static int put_tail(struct ws_pmd *p, struct ws_span *out)
{
    struct ws_slice rest = ws_slice_of(tail + p->tail, sizeof tail - p->tail);
    int err;

    if (!p->fed || (p->tail == 0 && ws_inflate_fresh(p->inflate)))
        rest.n = 0;
    err = ws_inflate_run(p->inflate, &rest, out);
    p->tail = (uint8_t)(sizeof tail - rest.n);
    return err;
}

int ws_pmd_inflate_end(struct ws_pmd *p, struct ws_span *out)
{
    int err;

    if (p->inflate == NULL)
        return WS_OK; /* it was empty */
    err = put_tail(p, out);
    if (err == WS_OK && !ws_inflate_between(p->inflate))
        err = WS_ERR_DEFLATE;
    if (err == WS_OK) {
        p->tail = 0;
        p->fed = 0;
        if (!p->in_kept)
            return_inflate(p);
    }
    return err;
}
