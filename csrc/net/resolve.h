/* net/resolve.h -- names to addresses, by getaddrinfo on helper threads.
**
** getaddrinfo blocks, and asks what the machine is set up to ask, which no
** reimplementation gets right.  So it runs on threads, which touch nothing but
** their job: a job is one allocation of the C library's, freed by whoever lets
** go of it last, so that a stuck look-up holds nobody up and a finished one
** may find that the loop is long gone.  Threads live only while there is
** something to look up, and take no signals.
**
** All functions are for one thread, the owner's.
*/
#ifndef WS_NET_RESOLVE_H
#define WS_NET_RESOLVE_H

#include "base/list.h"
#include "net/addr.h"

enum {
    WS_LOOKUP_HOST_MAX = 255,  /* bytes of a name (RFC 1035 2.3.4) */
    WS_LOOKUP_ADDRS_MAX = 16,  /* addresses kept of one name */
    WS_LOOKUP_THREADS_MAX = 4, /* look-ups at once; more wait in line */
    WS_LOOKUP_LINE_MAX = 16384 /* that may wait in line: about 40 MiB */
};

struct ws_resolver_shared;
struct ws_lookup_job;

struct ws_resolver {
    int fd; /* readable while ws_resolver_next has one */
    /* private */
    struct ws_resolver_shared *shared;
    struct ws_link running; /* look-ups not yet given back */
};

/* One question and, later, its answer.  A zeroed struct is an idle one. */
struct ws_lookup {
    int status;            /* 0, or getaddrinfo's error */
    int errnum;            /* its errno for EAI_SYSTEM */
    struct ws_addr *addrs; /* in the system's order, but the families take
                              turns (RFC 8305 4); none twice */
    unsigned n;            /* at least 1 when status is 0 */
    /* private */
    struct ws_link link;
    struct ws_lookup_job *job; /* NULL: idle */
};

/* WS_OK, WS_ERR_NOMEM or WS_ERR_SYSTEM with errno; then it is as freed. */
int ws_resolver_init(struct ws_resolver *r);

/* Never waits for a look-up; those not given back yet are cancelled.  Twice
** is fine. */
void ws_resolver_free(struct ws_resolver *r);

/* Asks for host.  WS_OK: lookup must stay where it is until ws_resolver_next
** gives it, or it is cancelled.  Else it is idle: WS_ERR_LIMIT (too many
** wait), WS_ERR_NOMEM, WS_ERR_SYSTEM with errno (no thread can be started;
** ENAMETOOLONG). */
int ws_resolver_start(struct ws_resolver *r, struct ws_lookup *lookup,
                      const char *host, int port);

/* A finished look-up, in the order they ended, or NULL. */
struct ws_lookup *ws_resolver_next(struct ws_resolver *r);

/* Forgets a look-up, running or given back; it is idle then.  Harmless when
** it was. */
void ws_lookup_cancel(struct ws_resolver *r, struct ws_lookup *lookup);

/* Frees the answer of one that was given back; it is idle then.  Also when the
** resolver has gone.  Twice is fine. */
void ws_lookup_free(struct ws_lookup *lookup);

/* "EAI_NONAME", and in words; status as in ws_lookup.  Static. */
const char *ws_resolve_word(int status);
const char *ws_resolve_text(int status);

#endif
