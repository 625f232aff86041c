/* spec/bench/secure.h -- the load's bytes, through TLS or not.
**
** A connection whose SSL is NULL is plain.  Whose certificate it is, does not
** matter here, and no session is resumed: every handshake is a whole one.
*/
#ifndef SECURE_H
#define SECURE_H

#include <stddef.h>
#include <sys/types.h>

struct ssl_st; /* SSL */

/* A client on a connected socket; never NULL. */
struct ssl_st *secure_open(int fd);

/* A step of the handshake: 1 when it is done; ends the program if it fails. */
int secure_shake(struct ssl_st *ssl);

/* As send and recv. */
ssize_t secure_send(struct ssl_st *ssl, int fd, const void *p, size_t n);
ssize_t secure_recv(struct ssl_st *ssl, int fd, void *p, size_t n);

/* NULL is fine; the socket is the caller's. */
void secure_close(struct ssl_st *ssl);

#endif
