/* loop/fd.h -- reading a descriptor that belongs to somebody else.
**
** Standard input is shared with the shell, and with every program that was
** given the same terminal or pipe.  O_NONBLOCK is a mark on what they share,
** so setting it would break them; here the system is asked first instead.
*/
#ifndef WS_LOOP_FD_H
#define WS_LOOP_FD_H

#include "base/err.h"

#include <stddef.h>

/* What is there now, at most n bytes, into p; *got says how much, 0 at the
** end.  Never waits: WS_MORE when nothing is there, also when another reader
** of the same descriptor was faster to ask.  WS_ERR_SYSTEM with errno. */
int ws_fd_read(int fd, void *p, size_t n, size_t *got);

#endif
