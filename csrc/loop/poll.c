/* loop/poll.c -- the portable backend: poll(2), any number of descriptors. */
#include "loop/backend.h"

#include <poll.h>

enum { CAP_MIN = 16 };

/* fds[i] belongs to watchers[i], whose slot is i. */
struct state {
    struct pollfd *fds;
    struct ws_watcher **watchers;
    size_t n, cap;
};

static int poll_init(struct ws_loop *l)
{
    struct state *s = ws_mem_get(l->mem, sizeof *s);

    if (s == NULL)
        return WS_ERR_NOMEM;
    memset(s, 0, sizeof *s);
    l->state = s;
    return WS_OK;
}

static void poll_free(struct ws_loop *l)
{
    struct state *s = l->state;
    ws_mem_put(l->mem, s->fds, s->cap * sizeof *s->fds);
    ws_mem_put(l->mem, s->watchers, s->cap * sizeof *s->watchers);
    ws_mem_put(l->mem, s, sizeof *s);
    l->state = NULL;
}

/* Both arrays are made new, so that a failure leaves the old ones whole. */
static int grow(struct ws_loop *l, struct state *s)
{
    size_t cap = s->cap == 0 ? CAP_MIN : s->cap * 2;
    struct pollfd *fds = ws_mem_get(l->mem, cap * sizeof *fds);
    struct ws_watcher **watchers = ws_mem_get(l->mem, cap * sizeof *watchers);

    if (fds == NULL || watchers == NULL) {
        ws_mem_put(l->mem, fds, cap * sizeof *fds);
        ws_mem_put(l->mem, watchers, cap * sizeof *watchers);
        return WS_ERR_NOMEM;
    }
    if (s->n > 0) {
        memcpy(fds, s->fds, s->n * sizeof *fds);
        memcpy(watchers, s->watchers, s->n * sizeof *watchers);
    }
    ws_mem_put(l->mem, s->fds, s->cap * sizeof *s->fds);
    ws_mem_put(l->mem, s->watchers, s->cap * sizeof *s->watchers);
    s->fds = fds;
    s->watchers = watchers;
    s->cap = cap;
    return WS_OK;
}

static void take_out(struct state *s, struct ws_watcher *w)
{
    size_t last = --s->n;

    s->fds[w->slot] = s->fds[last];
    s->watchers[w->slot] = s->watchers[last];
    s->watchers[w->slot]->slot = w->slot;
    w->known = 0;
}

static int poll_set(struct ws_loop *l, struct ws_watcher *w, unsigned mask)
{
    struct state *s = l->state;

    if (mask == 0) {
        if (w->known)
            take_out(s, w);
        return WS_OK;
    }
    if (!w->known) {
        if (s->n == s->cap && grow(l, s) != WS_OK)
            return WS_ERR_NOMEM;
        w->slot = s->n++;
        w->known = 1;
        s->watchers[w->slot] = w;
        s->fds[w->slot].fd = w->fd;
    }
    s->fds[w->slot].events =
        (short)(((mask & WS_IO_READ) != 0 ? POLLIN : 0) |
                ((mask & WS_IO_WRITE) != 0 ? POLLOUT : 0));
    return WS_OK;
}

static unsigned bits(short events)
{
    return ((events & POLLIN) != 0 ? (unsigned)WS_IO_READ : 0u) |
           ((events & POLLOUT) != 0 ? (unsigned)WS_IO_WRITE : 0u) |
           ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0
                ? (unsigned)WS_IO_ERROR
                : 0u);
}

/* Nothing is added or taken out while this walks: owners act only later. */
static int poll_wait_for(struct ws_loop *l, int ms)
{
    const struct state *s = l->state;
    int left = poll(s->fds, (nfds_t)s->n, ms);
    size_t i;

    if (left < 0)
        return WS_ERR_SYSTEM;
    for (i = 0; i < s->n && left > 0; i++) {
        if (s->fds[i].revents != 0) {
            ws_loop_mark(l, s->watchers[i], bits(s->fds[i].revents));
            left--;
        }
    }
    return WS_OK;
}

static int poll_fd(const struct ws_loop *l)
{
    (void)l;
    return -1;
}

const struct ws_backend ws_backend_poll = {
    "poll", poll_init, poll_free, poll_set, poll_wait_for, poll_fd,
};
