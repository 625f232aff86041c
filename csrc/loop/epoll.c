/* loop/epoll.c -- the backend of Linux: cost follows what is active. */
#include "loop/backend.h"

#ifdef __linux__

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_MAX = 512 };

struct state {
    int fd;
    struct epoll_event events[EVENTS_MAX];
};

static int epoll_init(struct ws_loop *l)
{
    struct state *s = ws_mem_get(l->mem, sizeof *s);

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

static void epoll_free(struct ws_loop *l)
{
    struct state *s = l->state;
    close(s->fd);
    ws_mem_put(l->mem, s, sizeof *s);
    l->state = NULL;
}

/* What is watched for nothing is taken out: epoll would go on telling about
** hang-ups. */
static int epoll_set(struct ws_loop *l, struct ws_watcher *w, unsigned mask)
{
    const struct state *s = l->state;
    struct epoll_event ev;
    int op = w->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (mask == 0) {
        if (w->known)
            epoll_ctl(s->fd, EPOLL_CTL_DEL, w->fd, NULL);
        w->known = 0;
        return WS_OK;
    }
    memset(&ev, 0, sizeof ev);
    ev.events = ((mask & WS_IO_READ) != 0 ? (uint32_t)EPOLLIN : 0u) |
                ((mask & WS_IO_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0u);
    ev.data.ptr = w;
    if (epoll_ctl(s->fd, op, w->fd, &ev) != 0)
        return errno == ENOMEM ? WS_ERR_NOMEM : WS_ERR_SYSTEM;
    w->known = 1;
    return WS_OK;
}

static unsigned bits(uint32_t events)
{
    return ((events & EPOLLIN) != 0 ? (unsigned)WS_IO_READ : 0u) |
           ((events & EPOLLOUT) != 0 ? (unsigned)WS_IO_WRITE : 0u) |
           ((events & (EPOLLERR | EPOLLHUP)) != 0 ? (unsigned)WS_IO_ERROR
                                                  : 0u);
}

static int epoll_wait_for(struct ws_loop *l, int ms)
{
    struct state *s = l->state;
    int i, n = epoll_wait(s->fd, s->events, EVENTS_MAX, ms);

    for (i = 0; i < n; i++)
        ws_loop_mark(l, s->events[i].data.ptr, bits(s->events[i].events));
    return n < 0 ? WS_ERR_SYSTEM : WS_OK;
}

static int epoll_fd(const struct ws_loop *l)
{
    return ((const struct state *)l->state)->fd;
}

const struct ws_backend ws_backend_epoll = {
    "epoll", epoll_init, epoll_free, epoll_set, epoll_wait_for, epoll_fd,
};

#endif
