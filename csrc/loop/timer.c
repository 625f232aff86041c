/* loop/timer.c -- see timer.h. */
#include "loop/timer.h"

enum { CAP_MIN = 16 };

void ws_heap_init(struct ws_heap *h)
{
    memset(h, 0, sizeof *h);
}

void ws_heap_free(struct ws_heap *h, struct ws_mem *mem)
{
    size_t i;
    for (i = 0; i < h->n; i++)
        h->at[i]->index = 0;
    ws_mem_put(mem, h->at, h->cap * sizeof *h->at);
    ws_heap_init(h);
}

static int before(const struct ws_timer *a, const struct ws_timer *b)
{
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms;
    return a->order < b->order;
}

static void place(struct ws_heap *h, size_t i, struct ws_timer *t)
{
    h->at[i] = t;
    t->index = i + 1;
}

static void sift_up(struct ws_heap *h, size_t i, struct ws_timer *t)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!before(t, h->at[parent]))
            break;
        place(h, i, h->at[parent]);
        i = parent;
    }
    place(h, i, t);
}

static void sift_down(struct ws_heap *h, size_t i, struct ws_timer *t)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && before(h->at[child + 1], h->at[child]))
            child++;
        if (!before(h->at[child], t))
            break;
        place(h, i, h->at[child]);
        i = child;
    }
    place(h, i, t);
}

/* Finds t its place, starting from place i. */
static void settle(struct ws_heap *h, size_t i, struct ws_timer *t)
{
    if (i > 0 && before(t, h->at[(i - 1) / 2]))
        sift_up(h, i, t);
    else
        sift_down(h, i, t);
}

static int grow(struct ws_heap *h, struct ws_mem *mem)
{
    size_t cap = h->cap == 0 ? CAP_MIN : h->cap * 2;
    void *p;

    if (cap > SIZE_MAX / sizeof *h->at)
        return WS_ERR_NOMEM;
    p = ws_mem_resize(mem, h->at, h->cap * sizeof *h->at,
                      cap * sizeof *h->at);
    if (p == NULL)
        return WS_ERR_NOMEM;
    h->at = p;
    h->cap = cap;
    return WS_OK;
}

int ws_heap_set(struct ws_heap *h, struct ws_mem *mem, struct ws_timer *t,
                int64_t due_ms)
{
    if (t->index == 0 && h->n == h->cap && grow(h, mem) != WS_OK)
        return WS_ERR_NOMEM;
    t->due_ms = due_ms;
    t->order = h->orders++;
    if (t->index == 0) {
        h->n++;
        sift_up(h, h->n - 1, t);
    } else {
        settle(h, t->index - 1, t);
    }
    return WS_OK;
}

void ws_heap_remove(struct ws_heap *h, struct ws_timer *t)
{
    size_t i = t->index;
    struct ws_timer *last;

    if (i == 0)
        return;
    t->index = 0;
    last = h->at[--h->n];
    if (last != t)
        settle(h, i - 1, last);
}

struct ws_timer *ws_heap_top(const struct ws_heap *h)
{
    return h->n == 0 ? NULL : h->at[0];
}
