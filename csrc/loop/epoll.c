/* loop/epoll.c -- Linux's backend: cost follows what is ready.
**
** A watcher that wants nothing is not in the set, as epoll reports hang-ups
** to whoever is.  The kernel keeps a watcher's descriptor and serial, not its
** address: an entry outlives a close when the open file lives on elsewhere
** (dup, fork), and a user who closed a descriptor before its watcher was
** cancelled must not make the kernel hand us a dead pointer.  Such an entry
** cannot be removed any more either, so meeting one makes the set anew.
*/
#include "loop/loop.h"

#ifdef __linux__

#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Events taken at once.  When more are ready, the kernel begins with the
** others next time. */
enum { EVENTS_MAX = 512 };

struct set {
    int fd;
    struct epoll_event events[EVENTS_MAX];
};

static int set_init(struct ws_loop *l)
{
    struct set *s = ws_mem_get(l->mem, sizeof *s);

    if (s == NULL)
        return WS_ERR_NOMEM;
    s->fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->fd < 0) {
        ws_mem_put(l->mem, s, sizeof *s);
        return WS_ERR_SYSTEM;
    }
    l->state = s;
    return WS_OK;
}

static void set_free(struct ws_loop *l)
{
    struct set *s = l->state;

    close(s->fd);
    ws_mem_put(l->mem, s, sizeof *s);
    l->state = NULL;
}

static int control(int set_fd, int op, const struct ws_watcher *w,
                   unsigned mask)
{
    struct epoll_event ev;

    memset(&ev, 0, sizeof ev);
    if ((mask & WS_IO_READ) != 0)
        ev.events |= EPOLLIN;
    if ((mask & WS_IO_WRITE) != 0)
        ev.events |= EPOLLOUT;
    ev.data.u64 = (uint64_t)w->serial << 32 | (uint32_t)w->fd;
    return epoll_ctl(set_fd, op, w->fd, &ev) == 0 ? WS_OK : WS_ERR_SYSTEM;
}

static int set_set(struct ws_loop *l, struct ws_watcher *w, unsigned mask)
{
    struct set *s = l->state;
    int err, op = EPOLL_CTL_MOD;

    if (mask == 0) {
        /* fails only when the descriptor is closed, and is gone then too */
        (void)control(s->fd, EPOLL_CTL_DEL, w, 0);
        w->slot = 0;
        return WS_OK;
    }
    if (w->slot == 0)
        op = EPOLL_CTL_ADD;
    err = control(s->fd, op, w, mask);
    if (err == WS_OK)
        w->slot = 1;
    return err;
}

/* A new set under the old number, with those we know of. */
static int renew(struct ws_loop *l, struct set *s)
{
    int fd = epoll_create1(EPOLL_CLOEXEC), err = WS_OK;
    size_t i;

    if (fd < 0)
        return WS_ERR_SYSTEM;
    for (i = 0; i < l->nfds; i++) {
        struct ws_watcher *w = l->by_fd[i];
        if (w != NULL && w->slot != 0)
            (void)control(fd, EPOLL_CTL_ADD, w, w->want);
    }
    if (dup2(fd, s->fd) < 0 || fcntl(s->fd, F_SETFD, FD_CLOEXEC) < 0)
        err = WS_ERR_SYSTEM;
    close(fd);
    return err;
}

static unsigned bits_of(uint32_t events)
{
    unsigned got = 0;

    if ((events & EPOLLIN) != 0)
        got |= WS_IO_READ;
    if ((events & EPOLLOUT) != 0)
        got |= WS_IO_WRITE;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0)
        got |= WS_IO_ERROR;
    return got;
}

static int set_wait(struct ws_loop *l, int64_t ms)
{
    struct set *s = l->state;
    int i, stale = 0;
    int n = epoll_wait(s->fd, s->events, EVENTS_MAX,
                       ms > INT_MAX ? INT_MAX : (int)ms);

    if (n < 0)
        return WS_ERR_SYSTEM;
    for (i = 0; i < n; i++) {
        uint64_t data = s->events[i].data.u64;
        size_t fd = (uint32_t)data;
        struct ws_watcher *w = fd < l->nfds ? l->by_fd[fd] : NULL;

        if (w != NULL && w->serial == data >> 32 && w->slot != 0)
            ws_loop_ready(l, w, bits_of(s->events[i].events));
        else
            stale = 1;
    }
    return stale ? renew(l, s) : WS_OK;
}

static int set_fd(const struct ws_loop *l)
{
    return ((const struct set *)l->state)->fd;
}

const struct ws_backend ws_backend_epoll = {
    "epoll", set_init, set_free, set_set, set_wait, set_fd,
};

#else

/* Other systems have poll; a file must hold something. */
typedef int ws_no_epoll;

#endif
