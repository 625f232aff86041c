/* net/resolve.c -- see resolve.h. */
#include "net/resolve.h"

#include "base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What the loop's side and the threads share.  All under the lock. */
struct ws_resolver_shared {
    pthread_mutex_t lock;
    struct ws_mem mem;    /* the C library's, not the caller's */
    int fd;               /* told when a job is done; -1: nobody cares */
    unsigned refs;        /* the resolver, and each thread */
    unsigned threads;
    struct ws_lookup_job *first, *last; /* waiting for a thread */
    struct ws_lookup_job *done;
};

struct ws_lookup_job {
    struct ws_lookup_job *next;
    struct ws_lookup *lookup; /* NULL: cancelled */
    int status, errnum;
    unsigned n;
    int port;
    struct ws_addr addrs[WS_LOOKUP_ADDRS_MAX];
    char host[256];
};

/* -- what both sides do, with the lock held -- */

static void free_job(struct ws_resolver_shared *h, struct ws_lookup_job *job)
{
    ws_mem_put(&h->mem, job, sizeof *job);
}

/* Unlocks; the last one out frees everything. */
static void let_go(struct ws_resolver_shared *h)
{
    struct ws_mem mem = h->mem;
    struct ws_lookup_job *job;

    h->refs--;
    if (h->refs > 0) {
        pthread_mutex_unlock(&h->lock);
        return;
    }
    while (h->first != NULL) {
        job = h->first;
        h->first = job->next;
        free_job(h, job);
    }
    while (h->done != NULL) {
        job = h->done;
        h->done = job->next;
        free_job(h, job);
    }
    pthread_mutex_unlock(&h->lock);
    pthread_mutex_destroy(&h->lock);
    ws_mem_put(&mem, h, sizeof *h);
}

/* -- a thread -- */

/* Takes addresses of one family from the list, starting at *at. */
static const struct addrinfo *next_of(const struct addrinfo **at, int family)
{
    const struct addrinfo *ai = *at;

    while (ai != NULL && ai->ai_family != family)
        ai = ai->ai_next;
    *at = ai == NULL ? NULL : ai->ai_next;
    return ai;
}

static void keep(struct ws_lookup_job *job, const struct addrinfo *ai)
{
    struct ws_addr *a = &job->addrs[job->n];

    if (ai == NULL || job->n == WS_LOOKUP_ADDRS_MAX ||
        ai->ai_addrlen > sizeof a->u)
        return;
    memset(a, 0, sizeof *a);
    memcpy(&a->u, ai->ai_addr, ai->ai_addrlen);
    a->len = ai->ai_addrlen;
    job->n++;
}

/* The resolver's order, but the families take turns: the one it puts first
** begins (RFC 8305 4). */
static void keep_all(struct ws_lookup_job *job, const struct addrinfo *list)
{
    const struct addrinfo *a = list, *b = list;
    int first = list == NULL ? AF_INET6 : list->ai_family;
    int other = first == AF_INET6 ? AF_INET : AF_INET6;

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
    snprintf(port, sizeof port, "%d", job->port);
    job->status = getaddrinfo(job->host, port, &hints, &list);
    job->errnum = errno;
    if (job->status != 0)
        return;
    keep_all(job, list);
    freeaddrinfo(list);
    if (job->n == 0)
        job->status = EAI_NONAME;
}

/* With the lock held: the job is told, or forgotten. */
static void finish(struct ws_resolver_shared *h, struct ws_lookup_job *job)
{
    uint64_t one = 1;

    if (job->lookup == NULL) {
        free_job(h, job);
        return;
    }
    job->next = h->done;
    h->done = job;
    if (h->fd >= 0 && write(h->fd, &one, sizeof one) < 0)
        return; /* the counter is full: it is readable anyway */
}

static void *work(void *arg)
{
    struct ws_resolver_shared *h = arg;
    struct ws_lookup_job *job;

    pthread_mutex_lock(&h->lock);
    while (h->first != NULL && h->fd >= 0) {
        job = h->first;
        h->first = job->next;
        if (job->lookup != NULL) { /* else it was cancelled meanwhile */
            pthread_mutex_unlock(&h->lock);
            look_up(job);
            pthread_mutex_lock(&h->lock);
        }
        finish(h, job);
    }
    h->threads--;
    let_go(h);
    return NULL;
}

/* With the lock held. */
static int start_thread(struct ws_resolver_shared *h)
{
    pthread_attr_t attr;
    pthread_t thread;
    int err;

    if (h->threads >= WS_LOOKUP_THREADS_MAX)
        return 0;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    err = pthread_create(&thread, &attr, work, h);
    pthread_attr_destroy(&attr);
    if (err == 0) {
        h->threads++;
        h->refs++;
    }
    return h->threads > 0 ? 0 : err;
}

/* -- the loop's side -- */

int ws_resolver_init(struct ws_resolver *r)
{
    struct ws_mem mem;
    struct ws_resolver_shared *h;

    memset(r, 0, sizeof *r);
    ws_link_init(&r->running);
    ws_mem_init(&mem, NULL, NULL);
    r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->fd < 0)
        return WS_ERR_SYSTEM;
    h = ws_mem_get(&mem, sizeof *h);
    if (h == NULL) {
        close(r->fd);
        r->fd = -1;
        return WS_ERR_NOMEM;
    }
    memset(h, 0, sizeof *h);
    h->mem = mem;
    h->fd = r->fd;
    h->refs = 1;
    pthread_mutex_init(&h->lock, NULL);
    r->shared = h;
    return WS_OK;
}

void ws_lookup_cancel(struct ws_resolver *r, struct ws_lookup *lookup)
{
    if (lookup->job == NULL)
        return;
    pthread_mutex_lock(&r->shared->lock);
    lookup->job->lookup = NULL;
    pthread_mutex_unlock(&r->shared->lock);
    lookup->job = NULL;
    ws_link_remove(&lookup->link);
}

void ws_resolver_free(struct ws_resolver *r)
{
    struct ws_link *l;

    if (r->shared == NULL)
        return;
    for (l = ws_link_first(&r->running); l != NULL;
         l = ws_link_first(&r->running))
        ws_lookup_cancel(r, ws_container(l, struct ws_lookup, link));
    pthread_mutex_lock(&r->shared->lock);
    r->shared->fd = -1;
    close(r->fd);
    let_go(r->shared);
    r->shared = NULL;
    r->fd = -1;
}

int ws_resolver_start(struct ws_resolver *r, struct ws_lookup *lookup,
                      const char *host, int port)
{
    struct ws_resolver_shared *h = r->shared;
    struct ws_lookup_job *job;
    int err;

    if (strlen(host) >= sizeof job->host) {
        errno = ENAMETOOLONG;
        return WS_ERR_SYSTEM;
    }
    pthread_mutex_lock(&h->lock);
    job = ws_mem_get(&h->mem, sizeof *job);
    err = job == NULL ? ENOMEM : start_thread(h);
    if (err == 0) {
        memset(job, 0, sizeof *job);
        memcpy(job->host, host, strlen(host));
        job->port = port;
        job->lookup = lookup;
        if (h->first == NULL)
            h->first = job;
        else
            h->last->next = job;
        h->last = job;
        lookup->job = job;
        ws_link_init(&lookup->link);
        ws_link_append(&r->running, &lookup->link);
    } else if (job != NULL) {
        free_job(h, job);
    }
    pthread_mutex_unlock(&h->lock);
    errno = err;
    return err == 0 ? WS_OK : err == ENOMEM ? WS_ERR_NOMEM : WS_ERR_SYSTEM;
}

struct ws_lookup *ws_resolver_next(struct ws_resolver *r)
{
    struct ws_resolver_shared *h = r->shared;
    struct ws_lookup *lookup = NULL;
    struct ws_lookup_job *job;
    uint64_t count;

    if (read(r->fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return NULL;
    pthread_mutex_lock(&h->lock);
    while (h->done != NULL && lookup == NULL) {
        job = h->done;
        h->done = job->next;
        lookup = job->lookup;
        if (lookup == NULL)
            free_job(h, job);
    }
    pthread_mutex_unlock(&h->lock);
    if (lookup == NULL)
        return NULL;
    job = lookup->job;
    ws_link_remove(&lookup->link);
    lookup->status = job->status;
    lookup->errnum = job->errnum;
    lookup->addrs = job->addrs;
    lookup->n = job->n;
    return lookup;
}

void ws_lookup_free(struct ws_lookup *lookup)
{
    struct ws_mem mem;

    ws_mem_init(&mem, NULL, NULL);
    ws_mem_put(&mem, lookup->job, sizeof *lookup->job);
    lookup->job = NULL;
    lookup->addrs = NULL;
    lookup->n = 0;
}

/* -- words -- */

#define EAI(name)   \
    {               \
        name, #name \
    }

static const struct {
    int status;
    const char *word;
} words[] = {
    EAI(EAI_AGAIN),    EAI(EAI_BADFLAGS), EAI(EAI_FAIL),
    EAI(EAI_FAMILY),   EAI(EAI_MEMORY),   EAI(EAI_NONAME),
    EAI(EAI_OVERFLOW), EAI(EAI_SERVICE),  EAI(EAI_SOCKTYPE),
    EAI(EAI_SYSTEM),
};

const char *ws_resolve_word(int status)
{
    size_t i;

    for (i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i].status == status)
            return words[i].word;
    }
    return "EAI_NONAME"; /* EAI_NODATA and its like */
}

const char *ws_resolve_text(int status)
{
    return gai_strerror(status);
}
