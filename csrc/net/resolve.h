/* net/resolve.h -- names to addresses, by getaddrinfo on helper threads.
**
** getaddrinfo blocks, and asks what the machine is set up to ask, which no
** reimplementation gets right.  So it runs on a thread of its own, which
** touches nothing but its job: a job is one allocation of the C library,
** freed by whoever lets go of it last, so that a stuck look-up holds nobody
** up and a finished one finds a loop that is long gone.
*/
#ifndef WS_NET_RESOLVE_H
#define WS_NET_RESOLVE_H

#include "base/list.h"
#include "net/addr.h"

enum {
    WS_LOOKUP_ADDRS_MAX = 16, /* addresses kept of one name */
    WS_LOOKUP_THREADS_MAX = 4 /* look-ups at once; more wait their turn */
};

struct ws_resolver_shared;
struct ws_lookup_job;

struct ws_resolver {
    int fd; /* readable when a look-up is finished */
    /* private */
    struct ws_resolver_shared *shared;
    struct ws_link running; /* look-ups not yet given back */
};

/* One question and, later, its answer. */
struct ws_lookup {
    int status;    /* 0, or getaddrinfo's error */
    int errnum;    /* its errno for EAI_SYSTEM */
    struct ws_addr *addrs; /* the families take turns (RFC 8305 4) */
    unsigned n;
    /* private */
    struct ws_link link;
    struct ws_lookup_job *job;
};

/* WS_OK, WS_ERR_NOMEM or WS_ERR_SYSTEM with errno. */
int ws_resolver_init(struct ws_resolver *r);

/* Never waits for a look-up; those not given back never will be. */
void ws_resolver_free(struct ws_resolver *r);

/* Asks for host.  WS_OK: lookup stays untouched until ws_resolver_next gives
** it, or it is cancelled.  WS_ERR_NOMEM, WS_ERR_SYSTEM with errno (no
** thread). */
int ws_resolver_start(struct ws_resolver *r, struct ws_lookup *lookup,
                      const char *host, int port);

/* A finished look-up, or NULL. */
struct ws_lookup *ws_resolver_next(struct ws_resolver *r);

/* Forgets a running look-up. */
void ws_lookup_cancel(struct ws_resolver *r, struct ws_lookup *lookup);

/* Frees the answer of a finished one. */
void ws_lookup_free(struct ws_lookup *lookup);

/* "EAI_NONAME", and in words; status as in ws_lookup. */
const char *ws_resolve_word(int status);
const char *ws_resolve_text(int status);

#endif
