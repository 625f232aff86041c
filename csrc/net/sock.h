/* net/sock.h -- TCP and unix sockets: connect, listen, accept; a stream.
**
** Every socket is non-blocking, closed on exec, and never raises SIGPIPE.
** The functions do not wait and do not know who does.
*/
#ifndef WS_NET_SOCK_H
#define WS_NET_SOCK_H

#include "net/addr.h"
#include "net/stream.h"

struct ws_sock {
    struct ws_stream stream;
    int fd; /* -1: none */
};

void ws_sock_init(struct ws_sock *s); /* no socket */

/* Makes a connected descriptor this socket's; it was made by ws_sock_accept or
** ws_sock_connect, so it is non-blocking already. */
void ws_sock_adopt(struct ws_sock *s, int fd);

/* Starts connecting, from a local address unless from is NULL.  WS_OK: it is
** connected; WS_MORE: ws_sock_connected when it is writable; WS_ERR_SYSTEM
** with stream.err, and no socket. */
int ws_sock_connect(struct ws_sock *s, const struct ws_addr *to,
                    const struct ws_addr *from);

/* How connecting ended: WS_OK; WS_ERR_SYSTEM with stream.err; WS_MORE: it has
** not, asked too early.  A TCP socket that got connected to itself, by chance,
** was refused: nobody listens there. */
int ws_sock_connected(struct ws_sock *s);

/* TCP_NODELAY; does nothing to a unix socket.  What a listener accepts has it
** from the listener. */
void ws_sock_nodelay(struct ws_sock *s, int on);

/* Binds and listens; backlog <= 0: as many as the system allows.  An IPv6
** address means IPv6 only.  reuse_port: others may listen on the same port and
** share the connections (SO_REUSEPORT).  A unix socket's file that nobody
** listens on any more is replaced.  WS_OK, or WS_ERR_SYSTEM with stream.err
** and no socket. */
int ws_sock_listen(struct ws_sock *s, const struct ws_addr *a, int backlog,
                   int reuse_port);

/* The next connection that waits: WS_OK and a descriptor that is the
** caller's, WS_AGAIN, or WS_ERR_SYSTEM with stream.err. */
int ws_sock_accept(struct ws_sock *s, int *fd, struct ws_addr *peer);

/* 1 when errno err means: out of descriptors or memory, try later. */
int ws_sock_is_exhausted(int err);

/* The addresses of both ends; empty (len 0) when there are none. */
void ws_sock_local(const struct ws_sock *s, struct ws_addr *a);
void ws_sock_peer(const struct ws_sock *s, struct ws_addr *a);

/* 1: bytes of the peer wait to be read. */
int ws_sock_has_bytes(const struct ws_sock *s);

/* -- a descriptor to spare -- */

/* Opens one to be given up in need; -1 in *spare when it cannot. */
void ws_spare_open(int *spare);
void ws_spare_close(int *spare);

/* Out of descriptors: gives the spare up, accepts one connection with it,
** closes that, and takes a spare again.  Else the connection would wait and
** the listener be ready for ever. */
void ws_spare_shed(struct ws_sock *s, int *spare);

#endif
