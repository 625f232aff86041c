/* spec/bench/raw.c -- a plain TCP echo: what any echo server could reach here.
**
** One thread, epoll, no WebSocket: per wake-up one recv and one send into and
** out of one buffer.  What a socket does not take waits in memory of its own,
** and nothing more is read from it meanwhile.  Prints "port N", and ends by
** itself after an hour.
*/
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct conn {
    int fd;
    size_t at, n;  /* what waits: n bytes, the first `at` of them gone */
    uint8_t *rest; /* NULL: nothing */
};

static int ep;
static uint8_t buf[256 * 1024];

static int die(const char *what)
{
    perror(what);
    exit(1);
}

static void set_events(struct conn *c, int op, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};

    if (epoll_ctl(ep, op, c->fd, &ev) != 0)
        die("epoll_ctl");
}

static void drop(struct conn *c)
{
    close(c->fd);
    free(c->rest);
    free(c);
}

static int keep(struct conn *c, const uint8_t *p, size_t n)
{
    c->rest = malloc(n);
    if (c->rest == NULL)
        return -1;
    memcpy(c->rest, p, n);
    c->at = 0;
    c->n = n;
    set_events(c, EPOLL_CTL_MOD, EPOLLOUT);
    return 0;
}

/* Each returns -1 when the connection is over. */

static int echo(struct conn *c)
{
    ssize_t n = recv(c->fd, buf, sizeof buf, 0), k;

    if (n <= 0)
        return n < 0 && errno == EAGAIN ? 0 : -1;
    k = send(c->fd, buf, (size_t)n, MSG_NOSIGNAL);
    if (k < 0 && errno != EAGAIN)
        return -1;
    k = k < 0 ? 0 : k;
    return k < n ? keep(c, buf + k, (size_t)(n - k)) : 0;
}

static int go_on(struct conn *c)
{
    ssize_t k = send(c->fd, c->rest + c->at, c->n - c->at, MSG_NOSIGNAL);

    if (k < 0)
        return errno == EAGAIN ? 0 : -1;
    c->at += (size_t)k;
    if (c->at < c->n)
        return 0;
    free(c->rest);
    c->rest = NULL;
    set_events(c, EPOLL_CTL_MOD, EPOLLIN);
    return 0;
}

static void accept_all(int listener)
{
    int one = 1, fd;

    while (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC),
           fd >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        if (c == NULL)
            die("calloc");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->fd = fd;
        set_events(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static int listen_anywhere(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        die("listen");
    printf("port %d\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

int main(void)
{
    int listener = listen_anywhere(), i, n;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}, evs[512];

    alarm(3600);
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) != 0)
        die("epoll_ctl");
    for (;;) {
        n = epoll_wait(ep, evs, 512, -1);
        for (i = 0; i < n; i++) {
            struct conn *c = evs[i].data.ptr;
            if (c == NULL)
                accept_all(listener);
            else if ((c->rest == NULL ? echo(c) : go_on(c)) != 0)
                drop(c);
        }
    }
}
