/* loop/loop.c -- turns, and who is in which list.
**
** A source is in at most one list, and `queued` says why:
**
**     ready    what next hands out: left over, then posted, then due timers,
**              then ready watchers
**     found    ready watchers while the backend reports, so that the timers
**              can go first
**     posted   until the next turn begins
*/
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>

enum { BY_TURN = 1, BY_HAND = 2 }; /* bits of ws_source.queued */

/* The best one first. */
static const struct ws_backend *const backends[] = {
#ifdef __linux__
    &ws_backend_epoll,
#endif
    &ws_backend_poll,
};

/* -- the lists -- */

static void enqueue(struct ws_link *list, struct ws_source *s, uint8_t why)
{
    if (s->queued == 0)
        ws_link_append(list, &s->link);
    s->queued |= why;
}

static void dequeue(struct ws_source *s)
{
    if (s->queued == 0)
        return;
    s->queued = 0;
    ws_link_remove(&s->link);
}

static void empty(struct ws_link *list)
{
    while (!ws_link_empty(list))
        dequeue(ws_container(ws_link_first(list), struct ws_source, link));
}

/* -- life -- */

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
    l->backend = find_backend(backend);
    if (l->backend == NULL)
        return WS_ERR_ARGUMENT;
    ws_heap_init(&l->timers);
    ws_link_init(&l->ready);
    ws_link_init(&l->found);
    ws_link_init(&l->posted);
    l->now_ms = ws_clock_ms();
    err = ws_wake_init(&l->wake);
    if (err != WS_OK)
        return err;
    l->mem = mem;
    err = l->backend->init(l);
    if (err != WS_OK) {
        ws_wake_free(&l->wake);
        l->mem = NULL;
    }
    return err;
}

void ws_loop_free(struct ws_loop *l)
{
    if (l->mem == NULL)
        return;
    empty(&l->ready);
    empty(&l->posted);
    ws_heap_free(&l->timers, l->mem);
    l->backend->free(l);
    ws_mem_put(l->mem, l->by_fd, l->nfds * sizeof(struct ws_watcher *));
    l->by_fd = NULL;
    l->nfds = 0;
    l->nwatchers = 0;
    ws_wake_free(&l->wake);
    l->mem = NULL;
}

/* -- watchers -- */

static int is_known(const struct ws_loop *l, const struct ws_watcher *w)
{
    return w->fd >= 0 && (size_t)w->fd < l->nfds && l->by_fd[w->fd] == w;
}

/* Room in by_fd for a descriptor.  The system gives the lowest free number,
** so the table is about as long as there are descriptors open. */
static int reserve(struct ws_loop *l, int fd)
{
    size_t n = l->nfds == 0 ? 64 : l->nfds, i;
    struct ws_watcher **table;

    if ((size_t)fd < l->nfds)
        return WS_OK;
    if (fcntl(fd, F_GETFD) < 0)
        return WS_ERR_SYSTEM; /* a number nobody has is no reason to grow */
    while (n <= (size_t)fd)
        n *= 2;
    table = ws_mem_resize(l->mem, l->by_fd, l->nfds * sizeof *table,
                          n * sizeof *table);
    if (table == NULL)
        return WS_ERR_NOMEM;
    for (i = l->nfds; i < n; i++)
        table[i] = NULL;
    l->by_fd = table;
    l->nfds = n;
    return WS_OK;
}

/* Makes w known as fd's watcher, wanting nothing. */
static int introduce(struct ws_loop *l, struct ws_watcher *w, int fd)
{
    int err = reserve(l, fd);

    if (err != WS_OK)
        return err;
    if (l->by_fd[fd] != NULL) {
        errno = EEXIST;
        return WS_ERR_SYSTEM;
    }
    l->by_fd[fd] = w;
    w->source.kind = WS_SOURCE_WATCHER;
    w->fd = fd;
    w->want = 0;
    w->got = 0;
    w->slot = 0;
    w->serial = ++l->serial;
    return WS_OK;
}

static int set_want(struct ws_loop *l, struct ws_watcher *w, unsigned want)
{
    int err;

    if (want == w->want)
        return WS_OK;
    err = l->backend->set(l, w, want);
    if (err != WS_OK)
        return err;
    if (w->want == 0)
        l->nwatchers++;
    else if (want == 0)
        l->nwatchers--;
    w->want = (uint8_t)want;
    /* What this turn has yet to hand out follows the new interest. */
    w->got &= (uint8_t)(want == 0 ? 0 : want | WS_IO_ERROR);
    if (w->got == 0 && w->source.queued == BY_TURN)
        dequeue(&w->source);
    return WS_OK;
}

int ws_loop_watch(struct ws_loop *l, struct ws_watcher *w, int fd,
                  unsigned want)
{
    int err, is_new;

    if (fd < 0)
        return WS_ERR_ARGUMENT;
    is_new = w->fd != fd || !is_known(l, w);
    if (is_new) {
        ws_loop_unwatch(l, w);
        err = introduce(l, w, fd);
        if (err != WS_OK)
            return err;
    }
    err = set_want(l, w, want & (WS_IO_READ | WS_IO_WRITE));
    if (err != WS_OK && is_new)
        l->by_fd[fd] = NULL;
    return err;
}

void ws_loop_unwatch(struct ws_loop *l, struct ws_watcher *w)
{
    dequeue(&w->source);
    if (!is_known(l, w))
        return;
    (void)set_want(l, w, 0); /* to want nothing cannot fail */
    l->by_fd[w->fd] = NULL;
    w->fd = -1;
}

void ws_loop_ready(struct ws_loop *l, struct ws_watcher *w, unsigned got)
{
    w->got = (uint8_t)got;
    enqueue(&l->found, &w->source, BY_TURN);
}

/* -- timers -- */

int ws_loop_arm(struct ws_loop *l, struct ws_timer *t, int64_t due_ms)
{
    int err = ws_heap_add(&l->timers, l->mem, t, due_ms);

    if (err != WS_OK)
        return err;
    t->source.kind = WS_SOURCE_TIMER;
    dequeue(&t->source); /* what it had to say is put off */
    return WS_OK;
}

void ws_loop_disarm(struct ws_loop *l, struct ws_timer *t)
{
    dequeue(&t->source);
    ws_heap_remove(&l->timers, t);
}

static void collect_due(struct ws_loop *l)
{
    struct ws_timer *t = ws_heap_top(&l->timers);

    while (t != NULL && t->due_ms <= l->now_ms) {
        ws_heap_remove(&l->timers, t);
        enqueue(&l->ready, &t->source, BY_TURN);
        t = ws_heap_top(&l->timers);
    }
}

/* -- turning -- */

void ws_loop_post(struct ws_loop *l, struct ws_source *s)
{
    if (s->kind == WS_SOURCE_WATCHER && s->queued == 0)
        ws_container(s, struct ws_watcher, source)->got = 0;
    enqueue(&l->posted, s, BY_HAND);
}

int64_t ws_loop_timeout(const struct ws_loop *l)
{
    const struct ws_timer *t = ws_heap_top(&l->timers);
    int64_t now;

    if (!ws_link_empty(&l->ready) || !ws_link_empty(&l->posted))
        return 0;
    if (t == NULL)
        return -1;
    /* not now_ms: the last turn may have taken long */
    now = ws_clock_ms();
    return t->due_ms <= now ? 0 : t->due_ms - now;
}

int ws_loop_turn(struct ws_loop *l, int64_t timeout_ms)
{
    int64_t wait = ws_loop_timeout(l);
    int err, errnum;

    if (wait < 0 || (timeout_ms >= 0 && timeout_ms < wait))
        wait = timeout_ms;
    l->turn += 1 + (l->turn & 1); /* the last one may have been cut short */
    ws_link_take_all(&l->posted, &l->ready);
    err = l->backend->wait(l, wait);
    errnum = errno;
    l->now_ms = ws_clock_ms();
    collect_due(l);
    ws_link_take_all(&l->found, &l->ready);
    errno = errnum;
    return err;
}

struct ws_source *ws_loop_next(struct ws_loop *l)
{
    struct ws_link *first = ws_link_first(&l->ready);
    struct ws_source *s;

    if (first == NULL) {
        l->turn += l->turn & 1;
        return NULL;
    }
    s = ws_container(first, struct ws_source, link);
    dequeue(s);
    return s;
}

int ws_loop_fd(const struct ws_loop *l)
{
    return l->backend->fd(l);
}
