/* base/chain.c -- segments, the pool they come from, and blocks. */
#include "base/chain.h"
#include "base/err.h"

/* -- pool -- */

void ws_pool_init(struct ws_pool *pool, struct ws_mem *mem)
{
    pool->mem = mem;
    pool->chunks = NULL;
    pool->heads = NULL;
    pool->nchunks = 0;
    pool->nheads = 0;
}

static void free_list(struct ws_mem *mem, struct ws_seg *s, size_t n)
{
    while (s != NULL) {
        struct ws_seg *next = s->next;
        ws_mem_put(mem, s, n);
        s = next;
    }
}

void ws_pool_free(struct ws_pool *pool)
{
    free_list(pool->mem, pool->chunks, sizeof(struct ws_seg) + WS_CHUNK_SIZE);
    free_list(pool->mem, pool->heads, sizeof(struct ws_seg));
    ws_pool_init(pool, pool->mem);
}

/* A segment with cap bytes of room behind its head. */
static struct ws_seg *new_room(struct ws_pool *pool, size_t cap)
{
    struct ws_seg *s = pool->chunks;
    if (cap == WS_CHUNK_SIZE && s != NULL) {
        pool->chunks = s->next;
        pool->nchunks--;
    } else {
        if (cap > SIZE_MAX - sizeof *s)
            return NULL;
        s = ws_mem_get(pool->mem, sizeof *s + cap);
        if (s == NULL)
            return NULL;
    }
    s->start = (uint8_t *)(s + 1);
    s->cap = cap;
    s->kind = cap == WS_CHUNK_SIZE ? WS_SEG_CHUNK : WS_SEG_OWN;
    return s;
}

/* A segment that refers to bytes elsewhere; start, block and pin are the
** caller's to fill in. */
static struct ws_seg *new_head(struct ws_pool *pool, enum ws_seg_kind kind)
{
    struct ws_seg *s = pool->heads;
    if (s != NULL) {
        pool->heads = s->next;
        pool->nheads--;
    } else {
        s = ws_mem_get(pool->mem, sizeof *s);
        if (s == NULL)
            return NULL;
    }
    s->cap = 0;
    s->kind = kind;
    return s;
}

static void put_room(struct ws_pool *pool, struct ws_seg *s)
{
    if (s->kind == WS_SEG_CHUNK && pool->nchunks < WS_POOL_CHUNKS) {
        s->next = pool->chunks;
        pool->chunks = s;
        pool->nchunks++;
    } else {
        ws_mem_put(pool->mem, s, sizeof *s + s->cap);
    }
}

static void put_head(struct ws_pool *pool, struct ws_seg *s)
{
    if (pool->nheads < WS_POOL_HEADS) {
        s->next = pool->heads;
        pool->heads = s;
        pool->nheads++;
    } else {
        ws_mem_put(pool->mem, s, sizeof *s);
    }
}

/* -- blocks -- */

struct ws_block *ws_block_new(struct ws_mem *mem, size_t cap)
{
    struct ws_block *b;
    if (cap > SIZE_MAX - sizeof *b)
        return NULL;
    b = ws_mem_get(mem, sizeof *b + cap);
    if (b == NULL)
        return NULL;
    b->mem = mem;
    b->refs = 1;
    b->len = 0;
    b->cap = cap;
    return b;
}

void ws_block_drop(struct ws_block *b)
{
    if (b == NULL)
        return;
    b->refs--;
    if (b->refs == 0)
        ws_mem_put(b->mem, b, sizeof *b + b->cap);
}

/* -- chain -- */

void ws_chain_init(struct ws_chain *c)
{
    c->head = NULL;
    c->tail = NULL;
    c->size = 0;
    c->payload = 0;
    c->spent = NULL;
}

/* Puts an empty segment at the end. */
static void append(struct ws_chain *c, struct ws_seg *s)
{
    s->next = NULL;
    s->off = 0;
    s->len = 0;
    s->payload = 0;
    if (c->tail == NULL)
        c->head = s;
    else
        c->tail->next = s;
    c->tail = s;
}

/* The tail has n bytes more. */
static void extend(struct ws_chain *c, size_t n, size_t payload)
{
    c->tail->len += n;
    c->tail->payload += payload;
    c->size += n;
    c->payload += payload;
}

/* Takes the first segment out and its bytes back to where they belong. */
static void drop_first(struct ws_chain *c, struct ws_pool *pool)
{
    struct ws_seg *s = c->head;
    c->head = s->next;
    if (c->head == NULL)
        c->tail = NULL;
    c->payload -= s->payload;
    switch (s->kind) {
    case WS_SEG_CHUNK:
    case WS_SEG_OWN:
        put_room(pool, s);
        break;
    case WS_SEG_SHARED:
        ws_block_drop(s->block);
        put_head(pool, s);
        break;
    case WS_SEG_PINNED:
        s->next = c->spent;
        c->spent = s;
        break;
    }
}

void ws_chain_clear(struct ws_chain *c, struct ws_pool *pool)
{
    while (c->head != NULL)
        drop_first(c, pool);
    c->size = 0;
}

uint8_t *ws_chain_room(struct ws_chain *c, struct ws_pool *pool, size_t n)
{
    struct ws_seg *s = c->tail;
    /* A segment that refers elsewhere has cap 0, so it never fits. */
    if (s == NULL || s->cap < s->len || s->cap - s->len < n) {
        s = new_room(pool, n > WS_CHUNK_SIZE ? n : WS_CHUNK_SIZE);
        if (s == NULL)
            return NULL;
        append(c, s);
    }
    return s->start + s->len;
}

void ws_chain_commit(struct ws_chain *c, size_t n, size_t payload)
{
    extend(c, n, payload);
}

void ws_chain_uncommit(struct ws_chain *c, size_t n, size_t payload)
{
    c->tail->len -= n;
    c->tail->payload -= payload;
    c->size -= n;
    c->payload -= payload;
}

int ws_chain_share(struct ws_chain *c, struct ws_pool *pool, struct ws_block *b,
                   struct ws_slice bytes, size_t payload)
{
    struct ws_seg *s = c->tail;
    if (s == NULL || s->kind != WS_SEG_SHARED || s->block != b ||
        s->start + s->len != bytes.p) {
        s = new_head(pool, WS_SEG_SHARED);
        if (s == NULL)
            return WS_ERR_NOMEM;
        s->start = b->data + (bytes.p - b->data);
        s->block = b;
        b->refs++;
        append(c, s);
    }
    extend(c, bytes.n, payload);
    return WS_OK;
}

int ws_chain_pin(struct ws_chain *c, struct ws_pool *pool, struct ws_slice b,
                 int pin)
{
    struct ws_seg *s = new_head(pool, WS_SEG_PINNED);
    if (s == NULL)
        return WS_ERR_NOMEM;
    s->pin = pin;
    if (b.n == 0) { /* nothing to wait for */
        s->next = c->spent;
        c->spent = s;
        return WS_OK;
    }
    /* Never written through: cap is 0. */
    s->start = (uint8_t *)(uintptr_t)b.p;
    append(c, s);
    extend(c, b.n, b.n);
    return WS_OK;
}

int ws_chain_peek(const struct ws_chain *c, struct ws_slice *v, int max)
{
    const struct ws_seg *s;
    int i = 0;
    for (s = c->head; s != NULL && i < max; s = s->next) {
        if (s->len > s->off) /* a room nothing was committed to is empty */
            v[i++] = ws_slice_of(s->start + s->off, s->len - s->off);
    }
    return i;
}

void ws_chain_skip(struct ws_chain *c, struct ws_pool *pool, size_t n)
{
    c->size -= n;
    while (c->head != NULL) {
        struct ws_seg *s = c->head;
        size_t left = s->len - s->off;
        if (n < left) {
            s->off += n;
            return;
        }
        n -= left;
        drop_first(c, pool);
    }
}

int ws_chain_unpin(struct ws_chain *c, struct ws_pool *pool, int *pin)
{
    struct ws_seg *s = c->spent;
    if (s == NULL)
        return WS_MORE;
    c->spent = s->next;
    *pin = s->pin;
    put_head(pool, s);
    return WS_OK;
}
