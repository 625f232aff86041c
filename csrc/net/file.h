/* net/file.h -- a regular file below a directory, to be read.
**
** For serving files to strangers: a path is walked piece by piece from the
** directory, each piece opened in the one before it.  So nothing that is done
** to names meanwhile leads outside, links are not followed (but that which the
** directory itself may be), and what is no regular file is not opened for
** reading.  Reading a file blocks for as long as its disk does.
*/
#ifndef WS_NET_FILE_H
#define WS_NET_FILE_H

#include "base/base.h"

struct ws_file {
    int fd;            /* -1: none */
    uint64_t size;     /* bytes, when it was opened */
    int64_t changed_s; /* when its content changed last, since 1970 */
    uint32_t changed_ns;
};

void ws_file_init(struct ws_file *f); /* no file */

/* Opens the file at path, pieces with single slashes between them, below
** directory.  0, or an errno: EINVAL for a path with a piece that is empty,
** "." or "..", or has a zero byte; ELOOP or ENOTDIR for a link in it; EISDIR
** for a directory; EACCES for what is neither that nor a file. */
int ws_file_open(struct ws_file *f, const char *directory,
                 struct ws_slice path);

/* Reads on: at most n bytes to p, *got of them; 0 of them at its end.  0, or
** an errno. */
int ws_file_read(struct ws_file *f, uint8_t *p, size_t n, size_t *got);

void ws_file_close(struct ws_file *f); /* twice is fine */

#endif
