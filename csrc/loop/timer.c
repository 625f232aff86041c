/* loop/timer.c -- the binary heap of armed timers.
**
** at[(i - 1) / 2] is never after at[i].  Every move writes the timer's index,
** which is its place + 1, so that zeroed timers are in no heap.
*/
#include "loop/timer.h"

enum { FIRST_CAP = 16 };

static int is_before(const struct ws_timer *a, const struct ws_timer *b)
{
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms;
    return a->order < b->order;
}

static void put(struct ws_heap *h, size_t i, struct ws_timer *t)
{
    h->at[i] = t;
    t->index = i + 1;
}

/* Both move the hole at i to where t belongs, and put t there. */
static void sift_up(struct ws_heap *h, size_t i, struct ws_timer *t)
{
    while (i > 0) {
        size_t up = (i - 1) / 2;
        if (!is_before(t, h->at[up]))
            break;
        put(h, i, h->at[up]);
        i = up;
    }
    put(h, i, t);
}

static void sift_down(struct ws_heap *h, size_t i, struct ws_timer *t)
{
    while (i < h->n / 2) { /* else i has no child */
        size_t child = 2 * i + 1;
        if (child + 1 < h->n && is_before(h->at[child + 1], h->at[child]))
            child++;
        if (!is_before(h->at[child], t))
            break;
        put(h, i, h->at[child]);
        i = child;
    }
    put(h, i, t);
}

static void sift(struct ws_heap *h, size_t i, struct ws_timer *t)
{
    if (i > 0 && is_before(t, h->at[(i - 1) / 2]))
        sift_up(h, i, t);
    else
        sift_down(h, i, t);
}

static int grow(struct ws_heap *h, struct ws_mem *mem)
{
    size_t cap = h->cap == 0 ? FIRST_CAP : h->cap * 2;
    struct ws_timer **at;

    if (h->n < h->cap)
        return WS_OK;
    if (h->cap > SIZE_MAX / 2 / sizeof *at)
        return WS_ERR_NOMEM;
    at = ws_mem_resize(mem, h->at, h->cap * sizeof *at, cap * sizeof *at);
    if (at == NULL)
        return WS_ERR_NOMEM;
    h->at = at;
    h->cap = cap;
    return WS_OK;
}

void ws_heap_init(struct ws_heap *h)
{
    memset(h, 0, sizeof *h);
}

void ws_heap_free(struct ws_heap *h, struct ws_mem *mem)
{
    size_t i;
    for (i = 0; i < h->n; i++)
        h->at[i]->index = 0;
    ws_mem_put(mem, h->at, h->cap * sizeof(struct ws_timer *));
    ws_heap_init(h);
}

int ws_heap_add(struct ws_heap *h, struct ws_mem *mem, struct ws_timer *t,
                int64_t due_ms)
{
    int is_new = t->index == 0;

    if (is_new && grow(h, mem) != WS_OK)
        return WS_ERR_NOMEM;
    t->due_ms = due_ms;
    t->order = ++h->order;
    if (is_new)
        sift_up(h, h->n++, t);
    else
        sift(h, t->index - 1, t);
    return WS_OK;
}

void ws_heap_remove(struct ws_heap *h, struct ws_timer *t)
{
    size_t i = t->index - 1;
    struct ws_timer *last;

    if (t->index == 0)
        return;
    t->index = 0;
    h->n--;
    last = h->at[h->n];
    if (last != t)
        sift(h, i, last);
}
