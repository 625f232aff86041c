/* loop/poll.c -- the backend every POSIX system has: poll(2).
**
** One pollfd for each watcher that wants something, in an array without gaps:
** a watcher that wants nothing is not in it, so a hang-up it does not care
** about cannot keep poll from waiting.  A watcher's slot is its place + 1.
** Cost grows with the number of watchers, ready or not.
*/
#include "loop/loop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>

enum { FIRST_CAP = 16 };

struct polls {
    struct pollfd *at; /* cap places, n in use */
    size_t n, cap;
};

static int polls_init(struct ws_loop *l)
{
    struct polls *p = ws_mem_get(l->mem, sizeof *p);

    if (p == NULL)
        return WS_ERR_NOMEM;
    memset(p, 0, sizeof *p);
    l->state = p;
    return WS_OK;
}

static void polls_free(struct ws_loop *l)
{
    struct polls *p = l->state;

    ws_mem_put(l->mem, p->at, p->cap * sizeof *p->at);
    ws_mem_put(l->mem, p, sizeof *p);
    l->state = NULL;
}

static int grow(struct ws_loop *l, struct polls *p)
{
    size_t cap = p->cap == 0 ? FIRST_CAP : p->cap * 2;
    struct pollfd *at;

    if (p->n < p->cap)
        return WS_OK;
    at = ws_mem_resize(l->mem, p->at, p->cap * sizeof *at, cap * sizeof *at);
    if (at == NULL)
        return WS_ERR_NOMEM;
    p->at = at;
    p->cap = cap;
    return WS_OK;
}

/* poll calls regular files always ready, epoll refuses them.  A file that is
** always ready is no use in a loop, so here too it is an error. */
static int check_kind(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return WS_ERR_SYSTEM;
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
        errno = EPERM;
        return WS_ERR_SYSTEM;
    }
    return WS_OK;
}

static int add(struct ws_loop *l, struct polls *p, struct ws_watcher *w)
{
    int err = check_kind(w->fd);

    if (err == WS_OK)
        err = grow(l, p);
    if (err != WS_OK)
        return err;
    p->at[p->n].fd = w->fd;
    p->at[p->n].revents = 0;
    p->n++;
    w->slot = (int)p->n;
    return WS_OK;
}

/* The last one moves into the gap. */
static void drop(struct ws_loop *l, struct polls *p, struct ws_watcher *w)
{
    struct pollfd *gap = &p->at[w->slot - 1];

    p->n--;
    *gap = p->at[p->n];
    l->by_fd[gap->fd]->slot = w->slot;
    w->slot = 0;
}

static int polls_set(struct ws_loop *l, struct ws_watcher *w, unsigned mask)
{
    struct polls *p = l->state;
    unsigned events = 0;

    if (mask == 0) {
        drop(l, p, w);
        return WS_OK;
    }
    if (w->slot == 0) {
        int err = add(l, p, w);
        if (err != WS_OK)
            return err;
    }
    events |= (mask & WS_IO_READ) != 0 ? POLLIN : 0;
    events |= (mask & WS_IO_WRITE) != 0 ? POLLOUT : 0;
    p->at[w->slot - 1].events = (short)events;
    return WS_OK;
}

static unsigned bits_of(short revents)
{
    unsigned got = 0;

    if ((revents & POLLIN) != 0)
        got |= WS_IO_READ;
    if ((revents & POLLOUT) != 0)
        got |= WS_IO_WRITE;
    if ((revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        got |= WS_IO_ERROR;
    return got;
}

static int polls_wait(struct ws_loop *l, int64_t ms)
{
    struct polls *p = l->state;
    int left = poll(p->at, (nfds_t)p->n, ms > INT_MAX ? INT_MAX : (int)ms);
    size_t i;

    if (left < 0)
        return WS_ERR_SYSTEM;
    for (i = 0; left > 0 && i < p->n; i++) {
        if (p->at[i].revents == 0)
            continue;
        left--;
        ws_loop_ready(l, l->by_fd[p->at[i].fd], bits_of(p->at[i].revents));
    }
    return WS_OK;
}

static int polls_fd(const struct ws_loop *l)
{
    (void)l;
    return -1;
}

const struct ws_backend ws_backend_poll = {
    "poll", polls_init, polls_free, polls_set, polls_wait, polls_fd,
};
