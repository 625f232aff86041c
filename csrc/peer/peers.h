/* peer/peers.h -- what all connections of a loop share, and their turn.
**
** The chunk pool, the codecs, the mask keys, the buffer that is read into, the
** resolver, the list of sessions that were touched from outside and want a look
** before the turn ends, and how many clients may be pending at the same time.
**
** The owner (the binding) turns the loop, and for each source the loop gives
** calls ws_peers_handle, then pulls the session it returns until there are no
** more events; at the end of the turn it does the same for the sessions
** ws_peers_work gives.  Timers and watchers with tags from WS_TAG_USER up are
** its own.
*/
#ifndef WS_PEER_PEERS_H
#define WS_PEER_PEERS_H

#include "base/digest.h"
#include "base/list.h"
#include "loop/loop.h"
#include "net/resolve.h"
#include "proto/closing.h"

/* What a ws_source is for. */
enum ws_tag {
    WS_TAG_SESSION,       /* a session's watcher */
    WS_TAG_SESSION_TIMER, /* a session's timer */
    WS_TAG_DIAL,          /* an attempt to connect */
    WS_TAG_DIAL_TIMER,    /* time for the next attempt */
    WS_TAG_RESOLVER,      /* finished look-ups */
    WS_TAG_SERVE,         /* a listening socket: ws_serve_accept */
    WS_TAG_SERVE_TIMER,   /* a listening socket that rested: the same */
    WS_TAG_USER           /* and up: not ours */
};

/* Bytes read at once; also the most that is handed to one session before the
** next one has its turn is WS_READS_MAX times this. */
enum { WS_READ_SIZE = 262144, WS_READS_MAX = 4, WS_WRITE_SLICES = 64 };

/* Bytes one session may decompress in a pull; the rest has the next turn. */
enum { WS_PLAIN_MAX = 1048576 };

/* Input kept while a request waits for the application's answer. */
enum { WS_EARLY_MAX = 16384 };

/* Steps of streams' openings in one turn: each may be a signature's work. */
enum { WS_OPENS_MAX = 8 };

/* Clients that may be pending at the same time, unless told otherwise. */
enum { WS_PENDING_MAX = 256 };

struct ws_session;
struct ws_dial;

struct ws_peers {
    struct ws_loop *loop;
    struct ws_mem *mem;
    struct ws_pool pool;
    struct ws_pmd_pool codecs;
    struct ws_keys keys;
    struct ws_resolver resolver;
    /* private */
    struct ws_watcher resolved;
    struct ws_link work;        /* touched sessions */
    struct ws_link turn;        /* those this turn's end looks at */
    struct ws_link opening;     /* those whose streams may take a step */
    struct ws_session *reading; /* whose input lies in the scratch */
    struct ws_span in;          /* that input */
    uint64_t plain_end;         /* decompressed bytes that end a pull */
    uint8_t *scratch;           /* WS_READ_SIZE bytes, from the first read */
    int resolver_on;
    struct ws_link waiting; /* dials, until fewer sessions are pending */
    unsigned pending;       /* clients between dial and open connection */
    unsigned pending_max;   /* see ws_dial_limit */
};

void ws_peers_init(struct ws_peers *p, struct ws_loop *loop,
                   struct ws_mem *mem);
/* Every session must have been freed, or have finished: of such a one things
** may be asked as long as the loop's struct is there.  Twice is fine. */
void ws_peers_free(struct ws_peers *p);

/* Puts into conf what connections share: memory, chunks, codecs, chance, the
** date. */
void ws_peers_conf(struct ws_peers *p, struct ws_conf *conf);

/* Handles a source of ours that the loop gave, but for WS_TAG_SERVE*.  The
** session to pull events from, or NULL. */
struct ws_session *ws_peers_handle(struct ws_peers *p, struct ws_source *src);

/* After the turn's last source: the sessions touched so far are this turn's
** work.  Then ws_peers_work until it gives NULL. */
void ws_peers_end_turn(struct ws_peers *p);
struct ws_session *ws_peers_work(struct ws_peers *p);

/* Before each turn: a session whose events were being pulled when an error
** threw the caller's stack away is failed, and its input forgotten. */
void ws_peers_recover(struct ws_peers *p);

/* 1 when some session waits for ws_peers_work: the next wait must be short. */
int ws_peers_busy(const struct ws_peers *p);

#endif
