/* spec/bench/secure.c -- see secure.h. */
#include "secure.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

static SSL_CTX *context(void)
{
    static SSL_CTX *c;

    if (c != NULL)
        return c;
    c = SSL_CTX_new(TLS_client_method());
    if (c == NULL)
        exit(1);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes, it does not send */
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
    return c;
}

struct ssl_st *secure_open(int fd)
{
    SSL *ssl = SSL_new(context());

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        exit(1);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* What stands for a result that is no success: EAGAIN, or the peer's end. */
static ssize_t judge(SSL *ssl, int result)
{
    int why = SSL_get_error(ssl, result);

    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return 0;
    errno = EAGAIN;
    return -1;
}

int secure_shake(struct ssl_st *ssl)
{
    int result = SSL_do_handshake(ssl);

    if (result == 1)
        return 1;
    if (judge(ssl, result) == 0) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    return 0;
}

ssize_t secure_send(struct ssl_st *ssl, int fd, const void *p, size_t n)
{
    int k;

    if (ssl == NULL)
        return send(fd, p, n, MSG_NOSIGNAL);
    k = SSL_write(ssl, p, (int)n);
    if (k <= 0 && judge(ssl, k) == 0)
        errno = EPIPE;
    return k > 0 ? k : -1;
}

ssize_t secure_recv(struct ssl_st *ssl, int fd, void *p, size_t n)
{
    int k;

    if (ssl == NULL)
        return recv(fd, p, n, 0);
    k = SSL_read(ssl, p, (int)n);
    return k > 0 ? k : judge(ssl, k);
}

void secure_close(struct ssl_st *ssl)
{
    if (ssl == NULL)
        return;
    SSL_free(ssl);
    ERR_clear_error();
}
