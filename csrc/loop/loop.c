/* loop/loop.c -- see loop.h. */
#include "loop/loop.h"

#include "loop/backend.h"

#include <errno.h>

enum { WAIT_MAX_MS = 0x7FFFFFFF };

static const struct ws_backend *const backends[] = {
#ifdef __linux__
    &ws_backend_epoll,
#endif
    &ws_backend_poll,
};

static const struct ws_backend *find_backend(const char *name)
{
    size_t i;

    if (name == NULL)
        return backends[0];
    for (i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    }
    return NULL;
}

int ws_loop_init(struct ws_loop *l, struct ws_mem *mem, const char *backend)
{
    int err;

    memset(l, 0, sizeof *l);
    l->mem = mem;
    l->wake.rd = -1;
    l->wake.wr = -1;
    l->turn = 1;
    l->now_ms = ws_clock_ms();
    ws_heap_init(&l->timers);
    ws_link_init(&l->ready);
    ws_link_init(&l->posted);
    l->backend = find_backend(backend);
    if (l->backend == NULL)
        return WS_ERR_ARGUMENT;
    err = l->backend->init(l);
    if (err != WS_OK) {
        l->backend = NULL;
        return err;
    }
    err = ws_wake_init(&l->wake);
    if (err != WS_OK)
        ws_loop_free(l);
    return err;
}

void ws_loop_free(struct ws_loop *l)
{
    if (l->backend == NULL)
        return;
    l->backend->free(l);
    l->backend = NULL;
    ws_wake_free(&l->wake);
    ws_heap_free(&l->timers, l->mem);
}

/* -- watchers -- */

int ws_loop_watch(struct ws_loop *l, struct ws_watcher *w, int fd,
                  unsigned want)
{
    int err;

    if (w->known && w->fd == fd && w->want == want)
        return WS_OK;
    if (w->known && w->fd != fd)
        ws_loop_unwatch(l, w);
    w->fd = fd;
    err = l->backend->set(l, w, want);
    if (err == WS_OK)
        w->want = (uint8_t)want;
    return err;
}

void ws_loop_unwatch(struct ws_loop *l, struct ws_watcher *w)
{
    ws_link_remove(&w->source.link);
    if (w->known && l->backend != NULL)
        l->backend->set(l, w, 0);
    w->want = 0;
    w->got = 0;
}

void ws_loop_mark(struct ws_loop *l, struct ws_watcher *w, unsigned got)
{
    w->got = (uint8_t)got;
    ws_link_remove(&w->source.link);
    ws_link_append(&l->ready, &w->source.link);
}

/* -- timers and posts -- */

int ws_loop_arm(struct ws_loop *l, struct ws_timer *t, int64_t due_ms)
{
    ws_link_remove(&t->source.link);
    return ws_heap_set(&l->timers, l->mem, t, due_ms);
}

void ws_loop_disarm(struct ws_loop *l, struct ws_timer *t)
{
    ws_link_remove(&t->source.link);
    ws_heap_remove(&l->timers, t);
}

void ws_loop_post(struct ws_loop *l, struct ws_source *src)
{
    if (ws_link_empty(&src->link))
        ws_link_append(&l->posted, &src->link);
}

/* Those that are due move to the ready list before any of them is given, so
** one that is armed meanwhile, even for now, waits for the next turn. */
static void take_due(struct ws_loop *l)
{
    struct ws_timer *t = ws_heap_top(&l->timers);

    while (t != NULL && t->due_ms <= l->now_ms) {
        ws_heap_remove(&l->timers, t);
        ws_link_append(&l->ready, &t->source.link);
        t = ws_heap_top(&l->timers);
    }
}

/* -- a turn -- */

int64_t ws_loop_timeout(const struct ws_loop *l)
{
    const struct ws_timer *t = ws_heap_top(&l->timers);
    int64_t now;

    if (!ws_link_empty(&l->ready) || !ws_link_empty(&l->posted))
        return 0;
    if (t == NULL)
        return -1;
    now = ws_clock_ms();
    return t->due_ms > now ? t->due_ms - now : 0;
}

static int wait_ms(const struct ws_loop *l, int64_t timeout_ms)
{
    int64_t ms = timeout_ms == 0 ? 0 : ws_loop_timeout(l);

    if (ms < 0 || (timeout_ms >= 0 && timeout_ms < ms))
        ms = timeout_ms;
    return ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int)ms;
}

int ws_loop_turn(struct ws_loop *l, int64_t timeout_ms)
{
    int err, number;

    l->turn++;
    err = l->backend->wait(l, wait_ms(l, timeout_ms));
    number = errno;
    l->now_ms = ws_clock_ms();
    take_due(l);
    ws_link_take_all(&l->posted, &l->ready);
    errno = number;
    return err;
}

struct ws_source *ws_loop_next(struct ws_loop *l)
{
    struct ws_link *first = ws_link_first(&l->ready);

    if (first == NULL) {
        l->turn++;
        return NULL;
    }
    ws_link_remove(first);
    return ws_container(first, struct ws_source, link);
}

int ws_loop_fd(const struct ws_loop *l)
{
    return l->backend->fd(l);
}
