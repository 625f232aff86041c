/* net/sock.h -- the stream that is a socket: TCP and unix alike.
**
** Every descriptor made here is non-blocking and closed on exec, and writing
** to a peer that has gone is an error, never SIGPIPE.  Calls interrupted by a
** signal are repeated.  Nothing here waits: whoever waits does it with a loop.
*/
#ifndef WS_NET_SOCK_H
#define WS_NET_SOCK_H

#include "net/addr.h"
#include "net/stream.h"

/* Slices that go out in one call; more are left for the next. */
enum { WS_SOCK_SLICES = 64 };

struct ws_sock {
    struct ws_stream stream; /* first: ws_stream_... (&s->stream) */
    int fd;                  /* -1: closed */
};

extern const struct ws_stream_ops ws_sock_ops;

/* A closed one. */
void ws_sock_init(struct ws_sock *s);

/* Takes fd over, as s, which is closed.  WS_OK, or WS_ERR_SYSTEM (fd is no
** open descriptor: s stays closed and fd the caller's). */
int ws_sock_adopt(struct ws_sock *s, int fd);

/* -- connecting -- */

/* Begins to connect, from the local address `from` unless NULL.  WS_OK: it is
** connected; WS_MORE: wait until it is writable, then ws_sock_connected;
** WS_ERR_SYSTEM: stream.err, and s is closed. */
int ws_sock_connect(struct ws_sock *s, const struct ws_addr *to,
                    const struct ws_addr *from);

/* How it went.  WS_OK; WS_MORE: it is not decided yet; WS_ERR_SYSTEM:
** stream.err, closing is left to the caller.  A TCP socket that by accident
** got connected to itself counts as refused: nobody listens there. */
int ws_sock_connected(struct ws_sock *s);

/* Whether small writes go out at once (TCP_NODELAY).  WS_OK, also for a unix
** socket, where there is nothing to do, or WS_ERR_SYSTEM. */
int ws_sock_nodelay(struct ws_sock *s, int on);

/* The two ends.  WS_OK, or WS_ERR_SYSTEM with stream.err and *a empty. */
int ws_sock_local(struct ws_sock *s, struct ws_addr *a);
int ws_sock_peer(struct ws_sock *s, struct ws_addr *a);

/* -- listening -- */

/* Binds and listens; backlog <= 0: the system's most.  reuse_port: share the
** port with other sockets that ask for the same.  An IPv6 address means IPv6
** only.  A unix socket's file that nobody listens on any more is replaced.
** WS_OK, or WS_ERR_SYSTEM: stream.err, and s is closed. */
int ws_sock_listen(struct ws_sock *s, const struct ws_addr *a, int backlog,
                   int reuse_port);

/* The next connection that waits at l: WS_OK with a descriptor that is the
** caller's and the peer's address (NULL is fine); WS_AGAIN; WS_ERR_SYSTEM with
** errno.  Connections that died while they waited are passed over. */
int ws_sock_accept(const struct ws_sock *l, int *fd, struct ws_addr *peer);

/* 1 when err says that the system has run out of something: to accept again
** at once would fail again. */
int ws_sock_is_exhausted(int err);

/* -- one descriptor in reserve --
**
** With no descriptor left a listening socket stays readable and nothing can be
** accepted: a loop would spin, and the clients wait for ever.  With one in
** reserve each can be told that it is not welcome now. */

/* WS_OK, or WS_ERR_SYSTEM with errno and *spare -1. */
int ws_spare_open(int *spare);

/* Gives it back; twice is fine. */
void ws_spare_close(int *spare);

/* Gives the spare up, accepts one connection, closes it, takes the spare
** back.  WS_OK: one connection was closed; WS_AGAIN: none waited;
** WS_ERR_SYSTEM with errno (there was no spare either).  *spare is -1 when it
** could not be taken back; the next call tries again. */
int ws_spare_shed(const struct ws_sock *l, int *spare);

#endif
