/* loop/wake.h -- waking a loop that sleeps, from a thread or a signal.
**
** A wake is a descriptor that becomes readable when somebody calls
** ws_wake_send.  It wakes whoever watches `rd`: the loop does not do that by
** itself.
**
** Signals: what a signal does is a property of the process, so the table
** behind ws_signal_watch is one too, the only state in the library that hangs
** off no object.  It is empty until somebody asks for a signal.  The handler
** marks the signal and sends; the rest happens in the owner's turn:
**
**     ws_wake_drain(w);  then  ws_signal_next(w)  until it answers 0
*/
#ifndef WS_LOOP_WAKE_H
#define WS_LOOP_WAKE_H

#include "base/err.h"

struct ws_wake {
    int rd; /* readable after a send; -1 when not open */
    /* private */
    int wr; /* may be the same */
};

/* WS_OK, or WS_ERR_SYSTEM with errno and rd -1. */
int ws_wake_init(struct ws_wake *w);

/* Its signals must have been unwatched.  Twice is fine. */
void ws_wake_free(struct ws_wake *w);

/* Makes rd readable.  From any thread and from signal handlers; errno stays
** as it is.  Many sends before a drain are one. */
void ws_wake_send(const struct ws_wake *w);

/* Makes rd not readable until the next send. */
void ws_wake_drain(struct ws_wake *w);

/* From now on signo is reported to w instead of doing what it did.  Once more
** for the same w is fine.  WS_OK; WS_ERR_ARGUMENT (no such signal);
** WS_ERR_SYSTEM with errno (EBUSY: another wake has it; EINVAL: it cannot be
** caught). */
int ws_signal_watch(int signo, struct ws_wake *w);

/* Puts back what the signal did before, unless somebody has changed it since.
** Harmless when w does not have it. */
void ws_signal_unwatch(int signo, struct ws_wake *w);

/* A signal that came for w since it was last asked for, or 0.  The lowest
** number first; several of one number are one. */
int ws_signal_next(struct ws_wake *w);

#endif
