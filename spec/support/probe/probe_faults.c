/* probe_faults.c -- system calls that fail on demand, names that resolve slowly.
**
** The functions below have the names of system calls.  They are hidden, so
** the objects linked into the probe call them and nobody else does (but see
** probe_reach.c); each goes on to the system's unless it was told to fail.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_DEFAULT, accept4 */
#endif
#include "probe_sys.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* -- which calls fail -- */

static const char *const names[] = {
    "recv",       "send",       "sendmsg",     "accept4",      "socket",
    "getsockopt", "setsockopt", "pipe",        "eventfd",      "epoll_create1",
    "epoll_wait", "epoll_ctl",  "poll",        "realloc",      "pthread_create",
    "read",       "write",      "getaddrinfo", "freeaddrinfo", "malloc",
    "calloc",     "free",       NULL,
};

enum {
    RECV,
    SEND,
    SENDMSG,
    ACCEPT4,
    SOCKET,
    GETSOCKOPT,
    SETSOCKOPT,
    PIPE,
    EVENTFD,
    EPOLL_CREATE1,
    EPOLL_WAIT,
    EPOLL_CTL,
    POLL,
    REALLOC,
    PTHREAD_CREATE,
    READ,
    WRITE,
    GETADDRINFO,
    FREEADDRINFO,
    MALLOC,
    CALLOC,
    FREE,
    COUNT
};

static struct {
    atomic_int skip, times, err, calls;
} faults[COUNT];

static int fails(int which)
{
    atomic_fetch_add(&faults[which].calls, 1);
    if (atomic_load(&faults[which].times) == 0)
        return 0;
    if (atomic_fetch_sub(&faults[which].skip, 1) > 0)
        return 0;
    atomic_fetch_sub(&faults[which].times, 1);
    errno = atomic_load(&faults[which].err);
    return 1;
}

/* fault(name, errno, times = 1, skip = 0): after skip calls the next ones
** fail; fault(name) -> calls so far */
static int set_fault(lua_State *L)
{
    int which = luaL_checkoption(L, 1, NULL, names);

    if (!lua_isnoneornil(L, 2)) {
        atomic_store(&faults[which].times, 0);
        atomic_store(&faults[which].skip, (int)luaL_optinteger(L, 4, 0));
        atomic_store(&faults[which].err, (int)luaL_checkinteger(L, 2));
        atomic_store(&faults[which].times, (int)luaL_optinteger(L, 3, 1));
    }
    lua_pushinteger(L, atomic_load(&faults[which].calls));
    return 1;
}

/* The system's functions.  Looked up once and early: a signal handler calls
** write, and dlsym has a lock. */
static void *system_has[COUNT];

static void find_all(void)
{
    int i;
    for (i = 0; i < COUNT; i++)
        system_has[i] = dlsym(RTLD_DEFAULT, names[i]);
}

/* One of them, into the function pointer at fn. */
static void find(void *fn, int which)
{
    if (system_has[which] == NULL)
        find_all();
    memcpy(fn, &system_has[which], sizeof system_has[which]);
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
    ssize_t (*next)(int, void *, size_t, int);
    find(&next, RECV);
    return fails(RECV) ? -1 : next(fd, p, n, flags);
}

/* Calls that held bytes back for those behind them. */
static atomic_int holds;

static void note_hold(int flags)
{
    if ((flags & MSG_MORE) != 0)
        atomic_fetch_add(&holds, 1);
}

/* holds() -> sends with MSG_MORE so far */
static int count_holds(lua_State *L)
{
    lua_pushinteger(L, atomic_load(&holds));
    return 1;
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    ssize_t (*next)(int, const void *, size_t, int);
    find(&next, SEND);
    note_hold(flags);
    return fails(SEND) ? -1 : next(fd, p, n, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    ssize_t (*next)(int, const struct msghdr *, int);
    find(&next, SENDMSG);
    note_hold(flags);
    return fails(SENDMSG) ? -1 : next(fd, m, flags);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *n, int flags)
{
    int (*next)(int, struct sockaddr *, socklen_t *, int);
    find(&next, ACCEPT4);
    return fails(ACCEPT4) ? -1 : next(fd, addr, n, flags);
}

int socket(int family, int type, int protocol)
{
    int (*next)(int, int, int);
    find(&next, SOCKET);
    return fails(SOCKET) ? -1 : next(family, type, protocol);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *n)
{
    int (*next)(int, int, int, void *, socklen_t *);
    find(&next, GETSOCKOPT);
    return fails(GETSOCKOPT) ? -1 : next(fd, level, name, value, n);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t n)
{
    int (*next)(int, int, int, const void *, socklen_t);
    find(&next, SETSOCKOPT);
    return fails(SETSOCKOPT) ? -1 : next(fd, level, name, value, n);
}

ssize_t read(int fd, void *p, size_t n)
{
    ssize_t (*next)(int, void *, size_t);
    find(&next, READ);
    return fails(READ) ? -1 : next(fd, p, n);
}

ssize_t write(int fd, const void *p, size_t n)
{
    ssize_t (*next)(int, const void *, size_t);
    find(&next, WRITE);
    return fails(WRITE) ? -1 : next(fd, p, n);
}

int pipe(int fd[2])
{
    int (*next)(int *);
    find(&next, PIPE);
    return fails(PIPE) ? -1 : next(fd);
}

int eventfd(unsigned count, int flags)
{
    int (*next)(unsigned, int);
    find(&next, EVENTFD);
    return fails(EVENTFD) ? -1 : next(count, flags);
}

int epoll_create1(int flags)
{
    int (*next)(int);
    find(&next, EPOLL_CREATE1);
    return fails(EPOLL_CREATE1) ? -1 : next(flags);
}

int epoll_wait(int set, struct epoll_event *events, int n, int ms)
{
    int (*next)(int, struct epoll_event *, int, int);
    find(&next, EPOLL_WAIT);
    return fails(EPOLL_WAIT) ? -1 : next(set, events, n, ms);
}

int epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
    int (*next)(int, int, int, struct epoll_event *);
    find(&next, EPOLL_CTL);
    return fails(EPOLL_CTL) ? -1 : next(set, op, fd, event);
}

int poll(struct pollfd *p, nfds_t n, int ms)
{
    int (*next)(struct pollfd *, nfds_t, int);
    find(&next, POLL);
    return fails(POLL) ? -1 : next(p, n, ms);
}

/* -- memory of the C library that the probe's objects hold -- */

static atomic_int live; /* blocks handed out */

void *malloc(size_t n)
{
    void *(*next)(size_t), *p;
    find(&next, MALLOC);
    p = next(n);
    atomic_fetch_add(&live, p != NULL);
    return p;
}

void *calloc(size_t n, size_t size)
{
    void *(*next)(size_t, size_t), *p;
    find(&next, CALLOC);
    p = next(n, size);
    atomic_fetch_add(&live, p != NULL);
    return p;
}

void *realloc(void *p, size_t n)
{
    void *(*next)(void *, size_t), *q;
    find(&next, REALLOC);
    if (fails(REALLOC))
        return NULL;
    q = next(p, n);
    atomic_fetch_add(&live, p == NULL && q != NULL);
    return q;
}

void free(void *p)
{
    void (*next)(void *);
    find(&next, FREE);
    atomic_fetch_sub(&live, p != NULL);
    next(p);
}

/* live() -> blocks */
static int count_live(lua_State *L)
{
    lua_pushinteger(L, atomic_load(&live));
    return 1;
}

/* -- threads -- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                   void *(*fn)(void *), void *arg)
{
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    find(&next, PTHREAD_CREATE);
    return fails(PTHREAD_CREATE) ? errno : next(thread, attr, fn, arg);
}

/* -- names --
**
** A host that ends in ".fake" answers for itself: "slow" waits until it is
** released, "nap=FILE" waits a moment and then removes the file, a number is
** getaddrinfo's error, "local" a unix address, anything else an address:
** "slow,::1,10.0.0.1.fake". */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* Who comes draws a number and sleeps until it is called.  So whoever was
** released goes on, however late it wakes, and who comes later does not go in
** its place. */
static int drawn, called;

enum { FAKE = 0x5A5A }; /* in ai_flags: one of ours */

static void sleep_until_released(void)
{
    struct timespec limit;
    int mine;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 60; /* whatever becomes of the spec */
    pthread_mutex_lock(&lock);
    mine = ++drawn;
    pthread_cond_broadcast(&changed);
    while (mine > called) {
        if (pthread_cond_timedwait(&changed, &lock, &limit) != 0)
            break;
    }
    pthread_mutex_unlock(&lock);
}

/* In steps, so that there is code to come back to. */
static void nap(const char *file)
{
    struct timespec step = {0, 2000000};
    int i;

    pthread_mutex_lock(&lock);
    drawn++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (i = 0; i < 50; i++)
        nanosleep(&step, NULL);
    unlink(file);
}

/* asleep(n): waits until n look-ups sleep that nobody has released; returns
** how many do */
static int wait_asleep(lua_State *L)
{
    struct timespec limit;
    int n = (int)luaL_optinteger(L, 1, 0), rc = 0;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 30;
    pthread_mutex_lock(&lock);
    while (drawn - called < n && rc == 0)
        rc = pthread_cond_timedwait(&changed, &lock, &limit);
    n = drawn > called ? drawn - called : 0;
    pthread_mutex_unlock(&lock);
    lua_pushinteger(L, n);
    return 1;
}

/* release(n): n sleeping look-ups go on, now or when they come; release():
** those that sleep now, and no more */
static int release(lua_State *L)
{
    int n = (int)luaL_optinteger(L, 1, -1);

    pthread_mutex_lock(&lock);
    called = n < 0 ? drawn : called + n;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return 0;
}

static struct addrinfo *new_answer(const char *text, int port)
{
    struct addrinfo *ai = calloc(1, sizeof *ai);
    struct sockaddr_in6 *v6 = calloc(1, sizeof *v6);
    struct sockaddr_in v4;

    memset(&v4, 0, sizeof v4);
    ai->ai_flags = FAKE;
    ai->ai_addr = (struct sockaddr *)(void *)v6;
    ai->ai_addrlen = sizeof v4;
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons((uint16_t)port);
        memcpy(v6, &v4, sizeof v4);
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        ai->ai_addrlen = sizeof *v6;
    } else {
        v6->sin6_family = AF_UNIX;
    }
    ai->ai_family = v6->sin6_family;
    return ai;
}

static int fake(const char *host, int port, struct addrinfo **list)
{
    char copy[256], *part, *rest;
    struct addrinfo **end = list;

    snprintf(copy, sizeof copy, "%.*s", (int)(strlen(host) - 5), host);
    *list = NULL;
    for (part = strtok_r(copy, ",", &rest); part != NULL;
         part = strtok_r(NULL, ",", &rest)) {
        char *dot = strpbrk(part, ".:l");
        if (strcmp(part, "slow") == 0) {
            sleep_until_released();
        } else if (strncmp(part, "nap=", 4) == 0) {
            nap(part + 4);
        } else if (dot == NULL) {
            errno = ENOMEM; /* what EAI_SYSTEM is about */
            return atoi(part);
        } else {
            *end = new_answer(part, port);
            end = &(*end)->ai_next;
        }
    }
    return 0;
}

int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **list)
{
    size_t n = strlen(host);
    int (*next)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);

    if (n > 5 && strcmp(host + n - 5, ".fake") == 0)
        return fake(host, atoi(service), list);
    find(&next, GETADDRINFO);
    return next(host, service, hints, list);
}

void freeaddrinfo(struct addrinfo *list)
{
    void (*next)(struct addrinfo *);

    if (list != NULL && list->ai_flags != FAKE) {
        find(&next, FREEADDRINFO);
        next(list);
        return;
    }
    while (list != NULL) {
        struct addrinfo *ai = list;
        list = ai->ai_next;
        free(ai->ai_addr);
        free(ai);
    }
}

void probe_open_faults(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"fault", set_fault}, {"asleep", wait_asleep}, {"release", release},
        {"live", count_live}, {"reach", probe_reach},  {"holds", count_holds},
        {NULL, NULL},
    };
    find_all();
    luaL_setfuncs(L, functions, 0);
}
