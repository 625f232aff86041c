/* loop/backend.h -- the five functions a way of waiting has.
**
** A backend knows which descriptors are of interest and waits for them.  It
** is level-triggered: what is ready and not dealt with is reported again.  It
** finds the loop's watchers in loop.by_fd and reports by ws_loop_ready; it
** calls nothing else of the loop.  Both backends give the same reports, in an
** order of their own.
*/
#ifndef WS_LOOP_BACKEND_H
#define WS_LOOP_BACKEND_H

#include "base/base.h"

struct ws_loop;
struct ws_watcher;

struct ws_backend {
    const char *name;

    /* Makes loop.state.  WS_OK, WS_ERR_NOMEM or WS_ERR_SYSTEM (errno). */
    int (*init)(struct ws_loop *l);

    /* Frees what init and set made. */
    void (*free)(struct ws_loop *l);

    /* From now on w.fd is of interest for the WS_IO_ bits in mask; 0: for
    ** nothing, not even its hang-up, which cannot fail.  w.slot is the
    ** backend's, 0 while w is of no interest.  Called only when mask differs
    ** from w.want.  WS_OK, WS_ERR_NOMEM or WS_ERR_SYSTEM (errno; EPERM: a
    ** regular file); on failure nothing has changed. */
    int (*set)(struct ws_loop *l, struct ws_watcher *w, unsigned mask);

    /* Waits until something is ready, but at most ms (-1: no limit), and
    ** reports it.  WS_OK, or WS_ERR_SYSTEM with errno. */
    int (*wait)(struct ws_loop *l, int64_t ms);

    /* A descriptor that is readable while something is ready, or -1. */
    int (*fd)(const struct ws_loop *l);
};

extern const struct ws_backend ws_backend_poll;
#ifdef __linux__
extern const struct ws_backend ws_backend_epoll;
#endif

/* w, which is watched, is ready for the WS_IO_ bits in got. */
void ws_loop_ready(struct ws_loop *l, struct ws_watcher *w, unsigned got);

#endif
