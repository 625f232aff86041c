/* loop/wake.c -- a counter that can be polled, and the table of signals. */
#include "loop/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

/* -- waking -- */

static int open_pair(int fd[2])
{
#ifdef __linux__
    fd[0] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    fd[1] = fd[0];
    return fd[0] < 0 ? -1 : 0;
#else
    int i;

    if (pipe(fd) != 0)
        return -1;
    for (i = 0; i < 2; i++) {
        (void)fcntl(fd[i], F_SETFL, O_NONBLOCK);
        (void)fcntl(fd[i], F_SETFD, FD_CLOEXEC);
    }
    return 0;
#endif
}

int ws_wake_init(struct ws_wake *w)
{
    int fd[2];

    w->rd = w->wr = -1;
    if (open_pair(fd) != 0)
        return WS_ERR_SYSTEM;
    w->rd = fd[0];
    w->wr = fd[1];
    return WS_OK;
}

void ws_wake_free(struct ws_wake *w)
{
    if (w->wr >= 0 && w->wr != w->rd)
        close(w->wr);
    if (w->rd >= 0)
        close(w->rd);
    w->rd = w->wr = -1;
}

void ws_wake_send(const struct ws_wake *w)
{
    static const uint64_t one = 1; /* what an eventfd takes */
    int errnum = errno;

    /* A full pipe is readable already, which is all that is wanted. */
    while (write(w->wr, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    errno = errnum;
}

void ws_wake_drain(struct ws_wake *w)
{
    uint64_t buf[32];
    ssize_t n;

    /* An eventfd gives all at once, a pipe what fits. */
    do
        n = read(w->rd, buf, sizeof buf);
    while (n == (ssize_t)sizeof buf || (n < 0 && errno == EINTR));
}

/* -- signals -- */

/* The one table of the process.  Handlers run in any thread at any moment, so
** what they touch is atomic; `old` is the watching thread's alone. */
enum { SIGNALS_MAX = 65 };

static struct {
    _Atomic(struct ws_wake *) wake; /* who gets it; NULL: nobody here */
    atomic_int pending;             /* came, and not yet asked for */
    struct sigaction old;
} table[SIGNALS_MAX];

static atomic_int handling; /* handlers between their first and last line */

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_POINTER_LOCK_FREE == 2,
               "signal handlers need atomics without locks");

static void on_signal(int signo)
{
    struct ws_wake *w;

    atomic_fetch_add(&handling, 1);
    w = atomic_load(&table[signo].wake);
    if (w != NULL) {
        atomic_store(&table[signo].pending, 1);
        ws_wake_send(w);
    }
    atomic_fetch_sub(&handling, 1);
}

static int is_signal(int signo)
{
    return signo > 0 && signo < SIGNALS_MAX;
}

static int catch (int signo)
{
    struct sigaction act;

    memset(&act, 0, sizeof act);
    act.sa_handler = on_signal;
    act.sa_flags = SA_RESTART; /* for the host's own reads; waiting never is */
    sigfillset(&act.sa_mask);
    return sigaction(signo, &act, &table[signo].old);
}

int ws_signal_watch(int signo, struct ws_wake *w)
{
    struct ws_wake *owner = NULL;

    if (!is_signal(signo))
        return WS_ERR_ARGUMENT;
    if (!atomic_compare_exchange_strong(&table[signo].wake, &owner, w)) {
        errno = EBUSY;
        return owner == w ? WS_OK : WS_ERR_SYSTEM;
    }
    atomic_store(&table[signo].pending, 0);
    if (catch (signo) == 0)
        return WS_OK;
    atomic_store(&table[signo].wake, NULL);
    return WS_ERR_SYSTEM;
}

void ws_signal_unwatch(int signo, struct ws_wake *w)
{
    struct sigaction now;

    if (!is_signal(signo) || atomic_load(&table[signo].wake) != w)
        return;
    if (sigaction(signo, NULL, &now) == 0 && now.sa_handler == on_signal)
        (void)sigaction(signo, &table[signo].old, NULL);
    atomic_store(&table[signo].wake, NULL);
    /* A handler in another thread may have read w a moment ago: once this
       returns, w is the caller's to free. */
    while (atomic_load(&handling) != 0)
        sched_yield();
}

int ws_signal_next(struct ws_wake *w)
{
    int i;

    for (i = 1; i < SIGNALS_MAX; i++) {
        if (atomic_load(&table[i].wake) == w &&
            atomic_exchange(&table[i].pending, 0) != 0)
            return i;
    }
    return 0;
}
