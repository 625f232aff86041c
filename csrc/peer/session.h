/* peer/session.h -- one connection at work: transport, protocol, one timer.
**
** A session carries bytes between the top of its streams and a ws_conn, keeps
** the one timer armed and ends exactly once.  At the bottom is its socket; on
** it may stand what the URL asks for, and what must open before bytes flow is
** opened within the handshake's time.  Events are pulled from it, like from the
** connection inside: whoever pulls may do anything to any session meanwhile,
** close it, drop it, or throw the caller's stack away.
**
** All sessions of a loop share a ws_peers: the chunk pool, the mask keys, the
** buffer that is read into, the resolver, and the list of sessions that were
** touched from outside and want a look before the turn ends.
**
** The owner (the binding) turns the loop, and for each source the loop gives
** calls ws_peers_handle, then pulls the session it returns until there are no
** more events; at the end of the turn it does the same for the sessions
** ws_peers_work gives.  Timers and watchers with tags from WS_TAG_USER up are
** its own.
*/
#ifndef WS_PEER_SESSION_H
#define WS_PEER_SESSION_H

#include "base/digest.h"
#include "base/list.h"
#include "loop/loop.h"
#include "net/resolve.h"
#include "net/sock.h"
#include "net/tls.h"
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

enum { WS_FAILURE_MAX = 512 }; /* words of a failure, with the NUL */

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
};

struct ws_session {
    struct ws_conn conn;
    struct ws_dial *dial; /* until it is connected, be it by a tunnel */
    char *failure;        /* what went wrong below, or NULL: its code, NUL,
                             its words */
    struct ws_timer timer;
    struct ws_sock sock;
    struct ws_stream *top; /* what bytes go through: sock, or what is on it */
    struct ws_watcher io;
    struct ws_link work;
    struct ws_peers *peers;
    /* private */
    struct ws_buf *rest;  /* input that was not wanted yet, or NULL */
    uint64_t shown;       /* bufferedAmount as of mark */
    uint64_t lost_bytes;  /* payload given to send that will never go out */
    uint64_t mark;        /* the turn `shown` is of */
    uint8_t reads;        /* reads this turn has left */
    uint8_t readable : 1; /* the transport may have input, or take a step */
    uint8_t blocked : 1;  /* the transport takes no more output */
    uint8_t was_shut : 1; /* our direction is ended */
    uint8_t live : 1;     /* has a transport, or a dial that makes one */
    uint8_t opening : 1;  /* dials, or a stream has yet to open: no bytes */
    uint8_t granted : 1;  /* a step of the opening is its, this turn */
    uint8_t dialing : 1;  /* dial makes a socket */
    uint8_t looks;        /* turns its end by the clock was put off */
};

/* -- what they share -- */

void ws_peers_init(struct ws_peers *p, struct ws_loop *loop,
                   struct ws_mem *mem);
/* Every session must have been freed, or have finished: of such a one things
** may be asked as long as the loop's struct is there.  Twice is fine. */
void ws_peers_free(struct ws_peers *p);

/* Puts into conf what connections share: memory, chunks, codecs, chance. */
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

/* -- one of them -- */

/* Has no transport yet.  conf must outlive it. */
void ws_session_init(struct ws_session *s, struct ws_peers *p,
                     const struct ws_conf *conf);

/* Gives it a connected socket.  WS_OK, else an error (fd is the caller's). */
int ws_session_adopt(struct ws_session *s, int fd);

/* Puts a stream, made on s->top, on top.  Before the first byte, with its
** socket adopted; several are put on from the bottom up. */
void ws_session_stack(struct ws_session *s, struct ws_stream *top);

/* A client that is redirected: drops the transport and begins anew with a
** connection of the same conf, as after ws_session_init; but the handshake's
** clock runs on.  What the last event showed is gone. */
void ws_session_restart(struct ws_session *s);

/* Puts TLS on top; a client names whom it expects, a server NULL.  WS_OK or
** WS_ERR_NOMEM. */
int ws_session_secure(struct ws_session *s, struct ws_tls_ctx *ctx,
                      const char *name);

/* Reads what is there, feeds, sends: WS_OK and the next event, or WS_MORE
** when there is nothing more to do for now. */
int ws_session_next(struct ws_session *s, struct ws_event *ev);

/* The application did something to it: to be looked at by ws_peers_work.
** Cheap, and harmless when repeated. */
void ws_session_touch(struct ws_session *s);

/* Sends at once what the transport takes, outside of any turn.  1 when that
** was all there was to do; else it is to be touched. */
int ws_session_flush(struct ws_session *s);

/* Counts n payload bytes given to send; sent says whether they were queued. */
void ws_session_count(struct ws_session *s, size_t n, int sent);

/* bufferedAmount: falls only between turns (WHATWG). */
uint64_t ws_session_buffered(struct ws_session *s);

/* The transport could not be made, or broke: err, and in words what call on
** what address failed; word is a static code.  say only keeps the words,
** explain those of an error that the connection has found. */
void ws_session_fail(struct ws_session *s, int err, const char *word,
                     const char *failure);
void ws_session_say(struct ws_session *s, const char *word, const char *words);
void ws_session_explain(struct ws_session *s, int err, const char *words);

/* The same of an error of the top stream, in its words; note keeps these. */
void ws_session_broke(struct ws_session *s, int err, const char *call);
void ws_session_note(struct ws_session *s, const char *call);

/* The words and the code of what failed, or NULL. */
const char *ws_session_words(const struct ws_session *s);
const char *ws_session_word(const struct ws_session *s);

/* The one end of the transport, from every path; twice is fine.  For pump.c,
** which has ws_session_next. */
void ws_session_finish(struct ws_session *s);

void ws_session_drop_rest(struct ws_session *s); /* input that waited */

/* Drops everything at once and tells nothing; twice is fine. */
void ws_session_free(struct ws_session *s);

#endif
