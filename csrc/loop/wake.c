/* loop/wake.c -- see wake.h. */
#include "loop/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

#ifdef __linux__
static int open_pair(struct ws_wake *w)
{
    w->rd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->wr = w->rd;
    return w->rd < 0 ? WS_ERR_SYSTEM : WS_OK;
}
#else
static int open_pair(struct ws_wake *w)
{
    int fd[2], i;

    if (pipe(fd) != 0)
        return WS_ERR_SYSTEM;
    for (i = 0; i < 2; i++) {
        fcntl(fd[i], F_SETFD, FD_CLOEXEC);
        fcntl(fd[i], F_SETFL, O_NONBLOCK);
    }
    w->rd = fd[0];
    w->wr = fd[1];
    return WS_OK;
}
#endif

int ws_wake_init(struct ws_wake *w)
{
    int err;

    w->rd = -1;
    w->wr = -1;
    err = open_pair(w);
    return err;
}

void ws_wake_free(struct ws_wake *w)
{
    if (w->wr >= 0 && w->wr != w->rd)
        close(w->wr);
    if (w->rd >= 0)
        close(w->rd);
    w->rd = -1;
    w->wr = -1;
}

void ws_wake_send(const struct ws_wake *w)
{
    uint64_t one = 1;
    ssize_t n;

    do
        n = write(w->wr, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

void ws_wake_drain(const struct ws_wake *w)
{
    uint8_t bytes[256];
    while (read(w->rd, bytes, sizeof bytes) == (ssize_t)sizeof bytes)
        continue;
}

/* -- signals --
** A signal belongs to the process, so its table is the one thing here that
** no object can hold: who is told, what came, and what was there before. */

enum { SIGNALS = 65 };

static struct {
    const struct ws_wake *volatile wake;
    volatile sig_atomic_t came;
    struct sigaction before;
} table[SIGNALS];

static void caught(int signo)
{
    const struct ws_wake *w = table[signo].wake;
    int keep = errno;

    if (w != NULL) {
        table[signo].came = 1;
        ws_wake_send(w);
    }
    errno = keep;
}

int ws_signal_watch(int signo, struct ws_wake *w)
{
    struct sigaction action;

    if (signo <= 0 || signo >= SIGNALS)
        return WS_ERR_ARGUMENT;
    if (table[signo].wake == w)
        return WS_OK;
    if (table[signo].wake != NULL) {
        errno = EBUSY;
        return WS_ERR_STATE;
    }
    table[signo].came = 0;
    table[signo].wake = w;
    memset(&action, 0, sizeof action);
    action.sa_handler = caught;
    sigemptyset(&action.sa_mask);
    if (sigaction(signo, &action, &table[signo].before) == 0)
        return WS_OK;
    table[signo].wake = NULL;
    return WS_ERR_SYSTEM;
}

void ws_signal_unwatch(int signo, const struct ws_wake *w)
{
    if (signo <= 0 || signo >= SIGNALS || table[signo].wake != w)
        return;
    sigaction(signo, &table[signo].before, NULL);
    table[signo].wake = NULL;
}

int ws_signal_next(const struct ws_wake *w)
{
    int i;

    for (i = 1; i < SIGNALS; i++) {
        if (table[i].wake == w && table[i].came) {
            table[i].came = 0;
            return i;
        }
    }
    return 0;
}
