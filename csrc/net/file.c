/* net/file.c -- see net/file.h. */
#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_MAX = 255 }; /* bytes of a name: what file systems have */

/* How a directory on the way is opened: where the system can, without the
** right to list it. */
#ifdef O_PATH
enum { WAY = O_PATH | O_DIRECTORY };
#else
enum { WAY = O_RDONLY | O_DIRECTORY };
#endif

void ws_file_init(struct ws_file *f)
{
    memset(f, 0, sizeof *f);
    f->fd = -1;
}

/* The next piece of path as a C string: 0, or why there is none. */
static int next_piece(struct ws_slice *path, char piece[PIECE_MAX + 1])
{
    const uint8_t *slash = memchr(path->p, '/', path->n);
    size_t n = slash == NULL ? path->n : (size_t)(slash - path->p);

    if (n == 0 || memchr(path->p, '\0', n) != NULL)
        return EINVAL;
    if (n > PIECE_MAX)
        return ENAMETOOLONG;
    memcpy(piece, path->p, n);
    piece[n] = '\0';
    if (strcmp(piece, ".") == 0 || strcmp(piece, "..") == 0)
        return EINVAL;
    if (slash == NULL) {
        path->n = 0;
        return 0;
    }
    ws_slice_skip(path, n + 1);
    return path->n == 0 ? EINVAL : 0; /* a slash, and nothing behind it */
}

/* Opens a name in the directory *at, which is closed: *at is what it is. */
static int step(int *at, const char *name, int flags)
{
    int fd;

    do {
        fd = openat(*at, name, flags | O_NOFOLLOW | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return errno;
    close(*at);
    *at = fd;
    return 0;
}

/* Walks path from *at on, which becomes the descriptor of its end. */
static int walk(int *at, struct ws_slice path)
{
    char piece[PIECE_MAX + 1];
    int err;

    if (path.n == 0)
        return EINVAL;
    do {
        err = next_piece(&path, piece);
        if (err == 0 && path.n > 0)
            err = step(at, piece, WAY);
    } while (err == 0 && path.n > 0);
    if (err != 0)
        return err;
    /* not to wait for somebody at the other end of a pipe */
    return step(at, piece, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

/* What the descriptor is. */
static int look(struct ws_file *f)
{
    struct stat st;

    if (fstat(f->fd, &st) != 0)
        return errno;
    if (S_ISDIR(st.st_mode))
        return EISDIR;
    if (!S_ISREG(st.st_mode))
        return EACCES;
    f->size = (uint64_t)st.st_size;
    f->changed_s = (int64_t)st.st_mtim.tv_sec;
    f->changed_ns = (uint32_t)st.st_mtim.tv_nsec;
    return 0;
}

int ws_file_open(struct ws_file *f, const char *directory, struct ws_slice path)
{
    int err;

    ws_file_init(f);
    do {
        f->fd = open(directory, WAY | O_CLOEXEC);
    } while (f->fd < 0 && errno == EINTR);
    if (f->fd < 0)
        return errno;
    err = walk(&f->fd, path);
    if (err == 0)
        err = look(f);
    if (err != 0)
        ws_file_close(f);
    return err;
}

int ws_file_read(struct ws_file *f, uint8_t *p, size_t n, size_t *got)
{
    ssize_t r;

    do {
        r = read(f->fd, p, n);
    } while (r < 0 && errno == EINTR);
    *got = r < 0 ? 0 : (size_t)r;
    return r < 0 ? errno : 0;
}

void ws_file_close(struct ws_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}
