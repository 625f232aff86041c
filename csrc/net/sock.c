/* net/sock.c -- system calls on sockets, and what is known about them.
**
** recv and send are the two calls a message costs: their path has nothing on
** it but the test for an interruption.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include "net/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    SLICES_MAX = 64,   /* of one call; what is more goes with the next */
    ACCEPT_TRIES = 256 /* dead connections passed over in one call */
};

/* Where the system can make a descriptor as it should be, it does; elsewhere
** (macOS) prepare() does it afterwards. */
#if defined SOCK_NONBLOCK && defined SOCK_CLOEXEC
enum { NEW_FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC };
#else
enum { NEW_FLAGS = 0 };
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* -- the stream -- */

static struct ws_sock *sock_of(struct ws_stream *s)
{
    return ws_container(s, struct ws_sock, stream);
}

static ptrdiff_t failed(struct ws_stream *s)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return WS_AGAIN;
    s->err = errno;
    return WS_ERR_SYSTEM;
}

static ptrdiff_t write_failed(struct ws_stream *s)
{
    if (errno == EPIPE || errno == ECONNRESET)
        s->want |= WS_STREAM_LEFT;
    return failed(s);
}

static ptrdiff_t sock_read(struct ws_stream *s, struct ws_span room)
{
    int fd = sock_of(s)->fd;
    ssize_t n;

    do
        n = recv(fd, room.p, room.n, 0);
    while (n < 0 && errno == EINTR);
    return n >= 0 ? n : failed(s);
}

/* A system that cannot hold bytes back for what follows sends two packets where
** one would do. */
static int flags_of(const struct ws_stream *s)
{
#ifdef MSG_MORE
    if ((s->want & WS_STREAM_MORE) != 0)
        return MSG_NOSIGNAL | MSG_MORE;
#endif
    (void)s;
    return MSG_NOSIGNAL;
}

static ptrdiff_t write_many(struct ws_stream *s, const struct ws_slice *v,
                            int n)
{
    struct iovec iov[SLICES_MAX];
    struct msghdr m;
    ssize_t done;
    int i;

    n = n < SLICES_MAX ? n : SLICES_MAX;
    for (i = 0; i < n; i++) {
        iov[i].iov_base = (void *)(uintptr_t)v[i].p; /* only read */
        iov[i].iov_len = v[i].n;
    }
    memset(&m, 0, sizeof m);
    m.msg_iov = iov;
    m.msg_iovlen = (size_t)n;
    do
        done = sendmsg(sock_of(s)->fd, &m, flags_of(s));
    while (done < 0 && errno == EINTR);
    return done >= 0 ? done : write_failed(s);
}

static ptrdiff_t sock_write(struct ws_stream *s, const struct ws_slice *v,
                            int n)
{
    ssize_t done;

    if (n != 1)
        return n == 0 ? 0 : write_many(s, v, n);
    do
        done = send(sock_of(s)->fd, v->p, v->n, flags_of(s));
    while (done < 0 && errno == EINTR);
    return done >= 0 ? done : write_failed(s);
}

static int sock_shutdown(struct ws_stream *s)
{
    shutdown(sock_of(s)->fd, SHUT_WR); /* ENOTCONN: it is over anyway */
    return WS_OK;
}

static void sock_close(struct ws_stream *s)
{
    struct ws_sock *k = sock_of(s);

    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
}

/* Whom it is, or was, connected to: of a connection that was reset, say,
** getpeername knows nothing any more, but Linux does, if it is asked for just
** the size of the address. */
static void last_peer(const struct ws_sock *k, struct ws_addr *a)
{
    ws_sock_peer(k, a);
#ifdef SO_PEERNAME
    static const socklen_t sizes[] = {sizeof a->u.v6, sizeof a->u.v4};
    size_t i;

    for (i = 0; a->len == 0 && i < sizeof sizes / sizeof sizes[0]; i++) {
        a->len = sizes[i];
        if (getsockopt(k->fd, SOL_SOCKET, SO_PEERNAME, &a->u, &a->len) != 0)
            a->len = 0;
    }
#endif
}

static const char *sock_failure(struct ws_stream *s, const char *call,
                                char *text, size_t size)
{
    const char *why = ws_errno_text(s->err);
    char where[WS_ADDR_NAME_MAX];
    struct ws_addr peer;

    last_peer(sock_of(s), &peer);
    ws_addr_name(&peer, where, sizeof where);
    if (peer.len > 0)
        snprintf(text, size, "%s %s: %s", call, where, why);
    else
        snprintf(text, size, "%s: %s", call, why);
    return ws_errno_word(s->err);
}

static const struct ws_stream_ops ops = {
    NULL, sock_read, sock_write, sock_shutdown, sock_close, sock_failure, NULL,
};

/* -- sockets -- */

void ws_sock_init(struct ws_sock *s)
{
    s->stream.ops = &ops;
    s->stream.err = 0;
    s->stream.want = 0;
    s->fd = -1;
}

void ws_sock_adopt(struct ws_sock *s, int fd)
{
    s->fd = fd;
}

static int fail(struct ws_sock *s)
{
    s->stream.err = errno;
    sock_close(&s->stream);
    return WS_ERR_SYSTEM;
}

/* A new descriptor, or -1, on its way to the caller. */
static int prepare(int fd)
{
#ifdef SO_NOSIGPIPE
    int one = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
#endif
    if (NEW_FLAGS == 0 && fd >= 0) {
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
}

static int new_socket(struct ws_sock *s, const struct ws_addr *a)
{
    s->fd = prepare(socket(ws_addr_family(a), SOCK_STREAM | NEW_FLAGS, 0));
    return s->fd < 0 ? fail(s) : WS_OK;
}

/* A local address without a port gets its port from connect, so that two
** connections to different peers may share one. */
static int bind_local(struct ws_sock *s, const struct ws_addr *from)
{
#ifdef IP_BIND_ADDRESS_NO_PORT
    int one = 1;

    if (ws_addr_family(from) != AF_UNIX)
        (void)setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
                         sizeof one); /* an old kernel: it does without */
#endif
    return bind(s->fd, &from->u.any, from->len);
}

int ws_sock_connect(struct ws_sock *s, const struct ws_addr *to,
                    const struct ws_addr *from)
{
    if (new_socket(s, to) != WS_OK)
        return WS_ERR_SYSTEM;
    if (from != NULL && bind_local(s, from) != 0)
        return fail(s);
    if (connect(s->fd, &to->u.any, to->len) == 0)
        return WS_OK;
    return errno == EINPROGRESS || errno == EINTR ? WS_MORE : fail(s);
}

int ws_sock_connected(struct ws_sock *s)
{
    struct ws_addr local, peer;
    int err = 0;
    socklen_t n = sizeof err;

    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0)
        err = errno;
    ws_sock_peer(s, &peer);
    if (err == 0 && peer.len == 0)
        err = EINPROGRESS;
    /* A port nobody listens on may be the very one this socket was given;
       TCP then connects it to itself (RFC 9293 3.5, simultaneous open). */
    ws_sock_local(s, &local);
    if (err == 0 && ws_addr_family(&peer) != AF_UNIX &&
        ws_addr_equal(&local, &peer))
        err = ECONNREFUSED;
    s->stream.err = err;
    if (err == EINPROGRESS)
        return WS_MORE;
    return err == 0 ? WS_OK : WS_ERR_SYSTEM;
}

void ws_sock_nodelay(struct ws_sock *s, int on)
{
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* -- listening -- */

/* A unix socket's file outlives its listener: one nobody answers is removed,
** one that is not a socket, or answers, is not. */
static void remove_stale(const struct ws_addr *a)
{
    struct ws_sock probe;
    struct stat st;
    const char *path = a->u.path.sun_path;

    if (ws_addr_family(a) != AF_UNIX || path[0] == '\0' ||
        lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    ws_sock_init(&probe);
    if (ws_sock_connect(&probe, a, NULL) == WS_ERR_SYSTEM &&
        probe.stream.err == ECONNREFUSED)
        unlink(path);
    sock_close(&probe.stream);
}

static int set_options(struct ws_sock *s, const struct ws_addr *a,
                       int reuse_port)
{
    int one = 1;

    if (a->u.any.sa_family == AF_UNIX)
        return 0;
    if (setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0)
        return -1;
    if (reuse_port &&
        setsockopt(s->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)
        return -1;
    if (a->u.any.sa_family == AF_INET6)
        return setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    return 0;
}

int ws_sock_listen(struct ws_sock *s, const struct ws_addr *a, int backlog,
                   int reuse_port)
{
    if (new_socket(s, a) != WS_OK)
        return WS_ERR_SYSTEM;
    if (backlog <= 0)
        backlog = SOMAXCONN;
    remove_stale(a);
    if (set_options(s, a, reuse_port) != 0 ||
        bind(s->fd, &a->u.any, a->len) != 0 || listen(s->fd, backlog) != 0)
        return fail(s);
    return WS_OK;
}

/* Errors of one connection, not of the listener (accept(2)). */
static int of_the_peer(int err)
{
    return err == EINTR || err == ECONNABORTED || err == EPROTO ||
           err == ENETDOWN || err == ENOPROTOOPT || err == EHOSTUNREACH ||
           err == ENETUNREACH || err == ETIMEDOUT || err == EPERM;
}

static int accept_one(int fd, struct ws_addr *peer)
{
#if defined SOCK_NONBLOCK && defined SOCK_CLOEXEC
    return prepare(accept4(fd, &peer->u.any, &peer->len, NEW_FLAGS));
#else
    return prepare(accept(fd, &peer->u.any, &peer->len));
#endif
}

int ws_sock_accept(struct ws_sock *s, int *fd, struct ws_addr *peer)
{
    int tries = 0;

    do {
        peer->len = sizeof peer->u;
        *fd = accept_one(s->fd, peer);
        tries++;
    } while (*fd < 0 && tries < ACCEPT_TRIES && of_the_peer(errno));
    if (*fd >= 0)
        return WS_OK;
    return (int)failed(&s->stream);
}

int ws_sock_is_exhausted(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

int ws_sock_has_bytes(const struct ws_sock *s)
{
    char byte;

    return recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

void ws_sock_local(const struct ws_sock *s, struct ws_addr *a)
{
    a->len = sizeof a->u;
    if (s->fd < 0 || getsockname(s->fd, &a->u.any, &a->len) != 0)
        a->len = 0;
}

void ws_sock_peer(const struct ws_sock *s, struct ws_addr *a)
{
    a->len = sizeof a->u;
    if (s->fd < 0 || getpeername(s->fd, &a->u.any, &a->len) != 0)
        a->len = 0;
}

/* -- a descriptor to spare -- */

void ws_spare_open(int *spare)
{
    *spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void ws_spare_close(int *spare)
{
    if (*spare >= 0)
        close(*spare);
    *spare = -1;
}

void ws_spare_shed(struct ws_sock *s, int *spare)
{
    struct ws_addr peer;
    int fd;

    ws_spare_close(spare); /* when there is none, try all the same */
    if (ws_sock_accept(s, &fd, &peer) == WS_OK)
        close(fd);
    ws_spare_open(spare);
}
