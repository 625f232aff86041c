/* peer/session.h -- one connection at work: transport, protocol, one timer.
**
** A session carries bytes between the top of its streams and a ws_conn, keeps
** the one timer armed and ends exactly once.  At the bottom is its socket; on
** it may stand what the URL asks for, and what must open before bytes flow is
** opened within the handshake's time.  Events are pulled from it, like from the
** connection inside: whoever pulls may do anything to any session meanwhile,
** close it, drop it, or throw the caller's stack away.
**
** What the sessions of a loop share, and how each gets its turn, is in peers.h.
*/
#ifndef WS_PEER_SESSION_H
#define WS_PEER_SESSION_H

#include "net/sock.h"
#include "net/tls.h"
#include "peer/peers.h"

enum { WS_FAILURE_MAX = 512 }; /* words of a failure, with the NUL */

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
    uint8_t dialing : 1;  /* dial makes a socket, or waits for its turn */
    uint8_t pending : 1;  /* counts among ws_peers.pending */
    uint8_t looks;        /* turns its end by the clock was put off */
};

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
