/* peer/serve.h -- a listening socket and its manners.
**
** Accepts until there is nothing to accept.  Out of file descriptors it
** closes the newcomer by means of a spare one and rests a moment, instead of
** spinning.  What becomes of an accepted socket is the caller's: a session of
** its own and, after the handshake, whatever the application does with it.
*/
#ifndef WS_PEER_SERVE_H
#define WS_PEER_SERVE_H

#include "net/addr.h"
#include "peer/session.h"
#include "peer/tally.h"

enum {
    WS_SERVE_REST_MS = 100,   /* pause when out of descriptors */
    WS_SERVE_ACCEPTS_MAX = 64 /* accepted in one go, others have a turn */
};

struct ws_serve {
    struct ws_sock sock;
    struct ws_watcher io;
    struct ws_timer timer;
    struct ws_peers *peers;
    struct ws_tally tally; /* of those accepted, by its owner */
    /* private */
    int spare;         /* a descriptor to give up */
    int errnum;        /* of the last failure */
    const char *call;  /* and what failed */
    unsigned accepted; /* in this go */
    uint8_t paused;    /* ws_serve_pause */
};

void ws_serve_init(struct ws_serve *v, struct ws_peers *p);

/* Binds and listens.  WS_OK, WS_ERR_NOMEM, or WS_ERR_SYSTEM with errnum and
** call set; after an error it is as after init. */
int ws_serve_open(struct ws_serve *v, const struct ws_addr *addr, int backlog,
                  int reuse_port);

/* The next waiting connection, after a source of it was ready: WS_OK and a
** socket that is the caller's, or WS_MORE. */
int ws_serve_accept(struct ws_serve *v, int *fd, struct ws_addr *peer);

/* Stops and restarts accepting; connections wait in the backlog. */
void ws_serve_pause(struct ws_serve *v, int paused);

/* Stops it, but for a source of it to be ready at due_ms. */
void ws_serve_pause_until(struct ws_serve *v, int64_t due_ms);

/* Stops listening; twice is fine. */
void ws_serve_close(struct ws_serve *v);

#endif
