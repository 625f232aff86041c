/* loop/fd.c -- reading a descriptor that belongs to somebody else. */
#include "loop/fd.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* Between poll and read another process may take the bytes; then read waits
** for the next ones.  POSIX has no call that closes this gap without touching
** what is shared. */
int ws_fd_read(int fd, void *p, size_t n, size_t *got)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};
    ssize_t r = poll(&at, 1, 0);

    *got = 0;
    if (r == 0)
        return WS_MORE;
    if (r > 0) /* a hang-up or an error too: read says which */
        r = read(fd, p, n);
    if (r < 0)
        return errno == EINTR || errno == EAGAIN ? WS_MORE : WS_ERR_SYSTEM;
    *got = (size_t)r;
    return WS_OK;
}
