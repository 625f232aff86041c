/* loop/loop.h -- waiting for descriptors and deadlines.
**
** A turn waits until something happens and collects it; then the owner pulls
** what was collected, one source at a time, and deals with each by its tag:
**
**     ws_loop_turn(l, -1);
**     for (s = ws_loop_next(l); s != NULL; s = ws_loop_next(l))
**         ...
**
** The loop calls nobody, so an error may throw the owner's stack away between
** any two calls; what was not pulled yet comes first in the next turn.
**
** Watchers and timers are embedded in their owners and taken out by
** ws_loop_unwatch and ws_loop_disarm, at any time and with effect at once:
** also what this turn has collected is not handed out then.  So nothing is
** ever handed out that its owner has taken back, and freed.
**
** The loop does not know what a descriptor is for and never closes one that
** is not its own.  One thread owns a loop; only ws_wake_send is for others.
*/
#ifndef WS_LOOP_LOOP_H
#define WS_LOOP_LOOP_H

#include "loop/backend.h"
#include "loop/clock.h"
#include "loop/timer.h"
#include "loop/wake.h"

enum {
    WS_IO_READ = 1,
    WS_IO_WRITE = 2,
    WS_IO_ERROR = 4 /* hang-up or error: reported without being asked for,
                       while anything else is */
};

/* Interest in one descriptor.  A zeroed struct is one that is not watched;
** set source.tag before it is. */
struct ws_watcher {
    struct ws_source source;
    int fd;
    uint8_t want; /* WS_IO_ bits asked for */
    uint8_t got;  /* WS_IO_ bits of this turn's report */
    /* private */
    int slot;        /* the backend's */
    uint32_t serial; /* tells watchers of one fd apart */
};

struct ws_loop {
    struct ws_mem *mem; /* NULL: not open */
    const struct ws_backend *backend;
    int64_t now_ms;      /* the time, as of this turn */
    uint64_t turn;       /* odd between ws_loop_turn and the last next, even
                            between turns; never the same again */
    size_t nwatchers;    /* watchers that want something */
    struct ws_wake wake; /* for the owner to watch, see wake.h */
    /* private */
    void *state;               /* the backend's */
    struct ws_heap timers;     /* the armed ones */
    struct ws_link ready;      /* what next will hand out */
    struct ws_link found;      /* what the backend reports, until sorted in */
    struct ws_link posted;     /* waits for the next turn */
    struct ws_watcher **by_fd; /* fd to watcher, nfds places */
    size_t nfds;
    uint32_t serial; /* of the last watcher */
};

static inline void ws_watcher_init(struct ws_watcher *w, int tag)
{
    memset(w, 0, sizeof *w);
    ws_link_init(&w->source.link);
    w->source.tag = (uint8_t)tag;
    w->fd = -1;
}

static inline void ws_timer_init(struct ws_timer *t, int tag)
{
    memset(t, 0, sizeof *t);
    ws_link_init(&t->source.link);
    t->source.tag = (uint8_t)tag;
}

/* -- life -- */

/* backend: "epoll", "poll", or NULL for the best there is.  The struct must
** stay where it is.  WS_OK; WS_ERR_ARGUMENT (no such backend here);
** WS_ERR_NOMEM; WS_ERR_SYSTEM with errno.  After an error it is as freed. */
int ws_loop_init(struct ws_loop *l, struct ws_mem *mem, const char *backend);

/* Forgets all watchers and timers and what they had to report; taking them
** out afterwards does no harm.  Twice is fine. */
void ws_loop_free(struct ws_loop *l);

/* -- watchers -- */

/* Watches fd for the WS_IO_ bits in want, or changes what w wants: with want
** 0 nothing is reported, not even a hang-up, until it is asked for again.
** No system call when nothing changes.  Bits no longer wanted vanish from
** what this turn has yet to hand out.  WS_OK; WS_ERR_ARGUMENT (fd < 0);
** WS_ERR_NOMEM; WS_ERR_SYSTEM with errno (EEXIST: the descriptor has another
** watcher; EPERM: a regular file; EBADF).  On failure w wants what it wanted
** before if it was fd's watcher, else it watches nothing. */
int ws_loop_watch(struct ws_loop *l, struct ws_watcher *w, int fd,
                  unsigned want);

/* Forgets w.  Must come before its descriptor is closed.  Harmless when w is
** not watched. */
void ws_loop_unwatch(struct ws_loop *l, struct ws_watcher *w);

/* -- timers -- */

/* t is handed out once, in the first turn that begins or waits after due_ms.
** Arming it again moves it.  WS_OK, or WS_ERR_NOMEM, which cannot happen to a
** timer that is armed. */
int ws_loop_arm(struct ws_loop *l, struct ws_timer *t, int64_t due_ms);

/* t will not be handed out.  Harmless when it is not armed. */
void ws_loop_disarm(struct ws_loop *l, struct ws_timer *t);

/* -- turning -- */

/* s is handed out by the next turn, which will not wait: for work that was
** left over.  Not this turn, so that a source that posts itself leaves others
** their share.  A watcher's `got` is 0 then, unless it is ready too. */
void ws_loop_post(struct ws_loop *l, struct ws_source *s);

/* Waits for the first of: a watched descriptor, a deadline, timeout_ms (-1:
** no limit).  Collects what was posted, then due timers in order of deadline,
** then ready watchers.  WS_OK, or WS_ERR_SYSTEM with errno, and the collected
** sources are to be pulled all the same; EINTR says that a signal came. */
int ws_loop_turn(struct ws_loop *l, int64_t timeout_ms);

/* The next source this turn has collected; NULL: it is over.  A timer is not
** armed any more; a watcher's `got` says what for. */
struct ws_source *ws_loop_next(struct ws_loop *l);

/* -- inside another loop -- */

/* Milliseconds until a turn has something to do even if no descriptor becomes
** ready: 0 now, -1 never. */
int64_t ws_loop_timeout(const struct ws_loop *l);

/* A descriptor that is readable while a watched one is ready, or -1 where the
** backend has none (poll). */
int ws_loop_fd(const struct ws_loop *l);

#endif
