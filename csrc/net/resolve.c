/* net/resolve.c -- a line of jobs, some threads, and a lock between.
**
**     line  --a thread takes it-->  running  --> done --ws_resolver_next-->
**
** A job whose lookup was cancelled leaves line and done at once; a running one
** is dropped by its thread at the end.  The shared part belongs to the
** resolver and to every thread, and goes with the last of them.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr */
#endif
#include "net/resolve.h"

#include "base/mem.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum job_state { IN_LINE, RUNNING, DONE };

struct ws_lookup_job {
    struct ws_link link;      /* in the line, or among the done */
    struct ws_lookup *lookup; /* NULL: cancelled while it ran */
    enum job_state state;
    int status, errnum, port;
    unsigned n;
    struct ws_addr addrs[WS_LOOKUP_ADDRS_MAX];
    char host[WS_LOOKUP_HOST_MAX + 1];
};

/* What the owner and the threads share.  Everything under the lock. */
struct ws_resolver_shared {
    pthread_mutex_t lock;
    int rd, wr;    /* a byte while `done` is not empty; -1: freed */
    unsigned refs; /* the resolver, and each thread */
    unsigned threads;
    unsigned waiting; /* jobs in the line */
    struct ws_link line;
    struct ws_link done;
};

/* -- memory: the C library's, as both sides use it -- */

static void *get(size_t n)
{
    struct ws_mem mem;
    void *p;

    ws_mem_init(&mem, NULL, NULL);
    p = ws_mem_get(&mem, n);
    if (p != NULL)
        memset(p, 0, n);
    return p;
}

static void put(void *p, size_t n)
{
    struct ws_mem mem;

    ws_mem_init(&mem, NULL, NULL);
    ws_mem_put(&mem, p, n);
}

static void put_job(struct ws_lookup_job *job)
{
    put(job, sizeof *job);
}

/* Unlocks; the last one out frees it.  Line and done are empty then. */
static void let_go(struct ws_resolver_shared *h)
{
    unsigned left = --h->refs;

    pthread_mutex_unlock(&h->lock);
    if (left > 0)
        return;
    pthread_mutex_destroy(&h->lock);
    put(h, sizeof *h);
}

/* -- a thread: asking -- */

static int is_known(const struct ws_lookup_job *job, const struct ws_addr *a)
{
    unsigned i;

    for (i = 0; i < job->n; i++) {
        if (ws_addr_equal(&job->addrs[i], a))
            return 1;
    }
    return 0;
}

static void keep(struct ws_lookup_job *job, const struct addrinfo *ai)
{
    struct ws_addr a;

    if (ai == NULL || job->n == WS_LOOKUP_ADDRS_MAX ||
        ai->ai_addrlen > sizeof a.u)
        return;
    memset(&a, 0, sizeof a);
    memcpy(&a.u, ai->ai_addr, ai->ai_addrlen);
    a.len = ai->ai_addrlen;
    if (!is_known(job, &a)) /* a hosts file may name one twice */
        job->addrs[job->n++] = a;
}

/* The next one of a family; *at moves past it. */
static const struct addrinfo *next_of(const struct addrinfo **at, int family)
{
    const struct addrinfo *ai = *at;

    while (ai != NULL && ai->ai_family != family)
        ai = ai->ai_next;
    *at = ai == NULL ? NULL : ai->ai_next;
    return ai;
}

/* The system's order, but the families take turns: the one it puts first
** begins (RFC 8305 4). */
static void keep_all(struct ws_lookup_job *job, const struct addrinfo *list)
{
    const struct addrinfo *a, *b;
    int first, other;

    while (list != NULL && list->ai_family != AF_INET &&
           list->ai_family != AF_INET6)
        list = list->ai_next;
    if (list == NULL)
        return;
    first = list->ai_family;
    other = first == AF_INET6 ? AF_INET : AF_INET6;
    a = b = list;
    while (a != NULL || b != NULL) {
        keep(job, next_of(&a, first));
        keep(job, next_of(&b, other));
    }
}

static void look_up(struct ws_lookup_job *job)
{
    struct addrinfo hints, *list = NULL;
    char port[8];

    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    snprintf(port, sizeof port, "%d", job->port & 0xFFFF);
    job->status = getaddrinfo(job->host, port, &hints, &list);
    job->errnum = job->status == EAI_SYSTEM ? errno : 0;
    if (job->status != 0)
        return;
    keep_all(job, list);
    freeaddrinfo(list);
    if (job->n == 0)
        job->status = EAI_NONAME;
}

/* -- a thread: working; with the lock held -- */

static void finish(struct ws_resolver_shared *h, struct ws_lookup_job *job)
{
    if (job->lookup == NULL) {
        put_job(job);
        return;
    }
    job->state = DONE;
    if (ws_link_empty(&h->done)) {
        ssize_t n;
        do
            n = write(h->wr, "", 1); /* fits: the pipe is empty */
        while (n < 0 && errno == EINTR);
    }
    ws_link_append(&h->done, &job->link);
}

/* When none is left the byte is read away. */
static void remove_done(struct ws_resolver_shared *h, struct ws_lookup_job *job)
{
    char byte;
    ssize_t n;

    ws_link_remove(&job->link);
    if (!ws_link_empty(&h->done))
        return;
    do
        n = read(h->rd, &byte, 1);
    while (n < 0 && errno == EINTR);
}

static struct ws_lookup_job *take_from_line(struct ws_resolver_shared *h)
{
    struct ws_link *first = ws_link_first(&h->line);

    if (first == NULL)
        return NULL;
    ws_link_remove(first);
    h->waiting--;
    return ws_container(first, struct ws_lookup_job, link);
}

static void *work(void *arg)
{
    struct ws_resolver_shared *h = arg;
    struct ws_lookup_job *job;

    pthread_mutex_lock(&h->lock);
    for (job = take_from_line(h); job != NULL; job = take_from_line(h)) {
        job->state = RUNNING;
        pthread_mutex_unlock(&h->lock);
        look_up(job);
        pthread_mutex_lock(&h->lock);
        finish(h, job);
    }
    h->threads--;
    let_go(h);
    return NULL;
}

/* -- starting threads -- */

/* Lua unloads modules when it closes, but a thread that waits for an answer
** comes back to our code some day: from here on the code stays. */
static void stay_loaded(void)
{
    static const char anchor = 0; /* an address that is ours */
    Dl_info info;
    void *self;

    if (dladdr(&anchor, &info) == 0 || info.dli_fname == NULL)
        return;
    self = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    if (self != NULL)
        dlclose(self); /* the mark stays */
}

/* Signals are for the program's own threads, which wait for them. */
static int start_quiet_thread(struct ws_resolver_shared *h)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    int err;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&thread, &attr, work, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return err;
}

/* With the lock held: one more thread, unless there are enough.  An errno
** when there is none at all. */
static int ensure_thread(struct ws_resolver_shared *h)
{
    int err;

    if (h->threads == WS_LOOKUP_THREADS_MAX)
        return 0;
    err = start_quiet_thread(h);
    if (err == 0) {
        h->threads++;
        h->refs++;
    }
    return h->threads > 0 ? 0 : err;
}

/* -- the owner's side -- */

static int open_pipe(struct ws_resolver_shared *h)
{
    int fd[2], i;

    if (pipe(fd) != 0)
        return WS_ERR_SYSTEM;
    for (i = 0; i < 2; i++) {
        (void)fcntl(fd[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(fd[i], F_SETFL, O_NONBLOCK);
    }
    h->rd = fd[0];
    h->wr = fd[1];
    return WS_OK;
}

int ws_resolver_init(struct ws_resolver *r)
{
    struct ws_resolver_shared *h;

    memset(r, 0, sizeof *r);
    r->fd = -1;
    ws_link_init(&r->running);
    h = get(sizeof *h);
    if (h == NULL)
        return WS_ERR_NOMEM;
    if (open_pipe(h) != WS_OK) {
        put(h, sizeof *h);
        return WS_ERR_SYSTEM;
    }
    pthread_mutex_init(&h->lock, NULL);
    ws_link_init(&h->line);
    ws_link_init(&h->done);
    h->refs = 1;
    stay_loaded();
    r->shared = h;
    r->fd = h->rd;
    return WS_OK;
}

void ws_lookup_cancel(struct ws_resolver *r, struct ws_lookup *lookup)
{
    struct ws_resolver_shared *h = r->shared;
    struct ws_lookup_job *job = lookup->job;

    if (job == NULL || ws_link_empty(&lookup->link)) {
        ws_lookup_free(lookup); /* idle, or given back */
        return;
    }
    lookup->job = NULL;
    ws_link_remove(&lookup->link);
    pthread_mutex_lock(&h->lock);
    if (job->state == RUNNING) {
        job->lookup = NULL;
        job = NULL; /* the thread's */
    } else if (job->state == DONE) {
        remove_done(h, job);
    } else {
        ws_link_remove(&job->link);
        h->waiting--;
    }
    pthread_mutex_unlock(&h->lock);
    put_job(job);
}

void ws_resolver_free(struct ws_resolver *r)
{
    struct ws_resolver_shared *h = r->shared;

    if (h == NULL)
        return;
    while (!ws_link_empty(&r->running))
        ws_lookup_cancel(r, ws_container(ws_link_first(&r->running),
                                         struct ws_lookup, link));
    pthread_mutex_lock(&h->lock);
    close(h->rd); /* no job has a lookup any more: nobody writes */
    close(h->wr);
    h->rd = h->wr = -1;
    let_go(h);
    r->shared = NULL;
    r->fd = -1;
}

static void enqueue(struct ws_resolver *r, struct ws_lookup *lookup,
                    struct ws_lookup_job *job)
{
    struct ws_resolver_shared *h = r->shared;

    job->lookup = lookup;
    job->state = IN_LINE;
    ws_link_append(&h->line, &job->link);
    h->waiting++;
    lookup->job = job;
    ws_link_init(&lookup->link);
    ws_link_append(&r->running, &lookup->link);
}

int ws_resolver_start(struct ws_resolver *r, struct ws_lookup *lookup,
                      const char *host, int port)
{
    struct ws_resolver_shared *h = r->shared;
    struct ws_lookup_job *job;
    int err = WS_OK, errnum;

    memset(lookup, 0, sizeof *lookup);
    ws_link_init(&lookup->link);
    if (strlen(host) > WS_LOOKUP_HOST_MAX) {
        errno = ENAMETOOLONG;
        return WS_ERR_SYSTEM;
    }
    job = get(sizeof *job);
    if (job == NULL)
        return WS_ERR_NOMEM;
    memcpy(job->host, host, strlen(host));
    job->port = port;
    pthread_mutex_lock(&h->lock);
    errnum = h->waiting < WS_LOOKUP_LINE_MAX ? ensure_thread(h) : 0;
    if (h->waiting >= WS_LOOKUP_LINE_MAX)
        err = WS_ERR_LIMIT;
    else if (errnum != 0)
        err = WS_ERR_SYSTEM;
    else
        enqueue(r, lookup, job);
    pthread_mutex_unlock(&h->lock);
    if (err != WS_OK) {
        put_job(job);
        errno = errnum;
    }
    return err;
}

struct ws_lookup *ws_resolver_next(struct ws_resolver *r)
{
    struct ws_resolver_shared *h = r->shared;
    struct ws_lookup_job *job = NULL;
    struct ws_lookup *lookup;

    pthread_mutex_lock(&h->lock);
    if (!ws_link_empty(&h->done)) {
        job = ws_container(ws_link_first(&h->done), struct ws_lookup_job, link);
        remove_done(h, job);
    }
    pthread_mutex_unlock(&h->lock);
    if (job == NULL)
        return NULL;
    lookup = job->lookup;
    ws_link_remove(&lookup->link);
    lookup->status = job->status;
    lookup->errnum = job->errnum;
    lookup->addrs = job->addrs;
    lookup->n = job->n;
    return lookup;
}

void ws_lookup_free(struct ws_lookup *lookup)
{
    put_job(lookup->job);
    lookup->job = NULL;
    lookup->addrs = NULL;
    lookup->n = 0;
}

/* -- words -- */

static const struct row {
    int status;
    const char *word, *text;
} rows[] = {
    {EAI_AGAIN, "EAI_AGAIN", "Temporary failure in name resolution"},
    {EAI_FAIL, "EAI_FAIL", "Permanent failure in name resolution"},
    {EAI_FAMILY, "EAI_FAMILY", "Address family not supported"},
    {EAI_MEMORY, "EAI_MEMORY", "Out of memory in name resolution"},
    {EAI_NONAME, "EAI_NONAME", "Name is not known"},
    {EAI_OVERFLOW, "EAI_OVERFLOW", "Name is too long"},
    {EAI_SERVICE, "EAI_SERVICE", "Port is not known"},
    {EAI_SYSTEM, "EAI_SYSTEM", "System error in name resolution"},
};

/* Systems have more numbers for "no address" (EAI_NODATA, EAI_ADDRFAMILY),
** which nobody wants to tell apart. */
static const struct row *row_of(int status)
{
    static const struct row other = {0, "EAI_NONAME", "Name has no address"};
    size_t i;

    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].status == status)
            return &rows[i];
    }
    return &other;
}

const char *ws_resolve_word(int status)
{
    return row_of(status)->word;
}

const char *ws_resolve_text(int status)
{
    return row_of(status)->text;
}
