/* net/resolve.h -- names to addresses, on helper threads.
**
** The system's own resolver (getaddrinfo) knows hosts files, mDNS and all the
** rest, but it blocks; so it runs on a few threads that live only while there
** is something to look up.  A look-up the caller gave up on runs to its end
** in the background, and what it finds is thrown away.
**
** Threads touch neither the caller's ws_mem nor anything else of the caller:
** a request and its answer travel in memory of their own, which is freed by
** whoever is last.  All functions are for one thread, the owner's.
*/
#ifndef WS_NET_RESOLVE_H
#define WS_NET_RESOLVE_H

#include "base/list.h"
#include "base/mem.h"
#include "net/addr.h"

enum {
    WS_RESOLVE_ADDRS_MAX = 16,   /* addresses of one name; more are dropped */
    WS_RESOLVE_HOST_MAX = 255,   /* bytes of a name (RFC 1035 2.3.4) */
    WS_RESOLVE_THREADS_MAX = 4,  /* look-ups at once; others wait in line */
    WS_RESOLVE_LINE_MAX = 16384  /* that may wait in line */
};

struct ws_resolve_pool;
struct ws_resolve_job;

struct ws_resolver {
    int fd; /* readable while ws_resolver_next has something */
    /* private */
    struct ws_resolve_pool *pool; /* what threads see of it; NULL: not open */
    struct ws_link lookups;       /* started, and not yet handed out */
    ws_mem_fn *alloc;             /* for specs: must be thread-safe */
    void *alloc_ud;
};

struct ws_lookup {
    int status;            /* 0, or an EAI_ number */
    int sys_errno;         /* with EAI_SYSTEM */
    struct ws_addr *addrs; /* best first; valid until ws_lookup_free */
    unsigned n;            /* 0 unless status is 0 */
    /* private */
    struct ws_link link;
    struct ws_resolve_job *job; /* NULL: idle */
};

/* WS_OK, WS_ERR_NOMEM or WS_ERR_SYSTEM with errno. */
int ws_resolver_init(struct ws_resolver *r);

/* Never waits: threads that are under way end by themselves.  Lookups not
** handed out yet become idle.  Twice is fine. */
void ws_resolver_free(struct ws_resolver *r);

/* Looks host up; l must stay where it is until it is handed out or cancelled.
** WS_OK; WS_ERR_ARGUMENT (empty or too long a name, or no port);
** WS_ERR_LIMIT (too many wait); WS_ERR_NOMEM; WS_ERR_SYSTEM with errno (no
** thread could be started).  After an error l is idle. */
int ws_resolver_start(struct ws_resolver *r, struct ws_lookup *l,
                      const char *host, int port);

/* A look-up that is done, in order of their ends, or NULL.  Its addresses
** stay in the system's order, but the families alternate (RFC 8305 4). */
struct ws_lookup *ws_resolver_next(struct ws_resolver *r);

/* l will not be handed out, and is idle.  Also in place of ws_lookup_free;
** harmless when idle. */
void ws_lookup_cancel(struct ws_resolver *r, struct ws_lookup *l);

/* Frees the addresses of a look-up that was handed out.  Twice is fine. */
void ws_lookup_free(struct ws_lookup *l);

/* "EAI_NONAME", and the same in a few words.  Static. */
const char *ws_resolve_word(int status);
const char *ws_resolve_text(int status);

#endif
