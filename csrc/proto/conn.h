/* proto/conn.h -- the connection: bytes and time in, events and bytes out.
**
** The whole of RFC 6455 for one connection, either role, from the first byte
** of the handshake to the end of the transport.  It knows no socket, no clock
** and no caller: bytes are fed, events and output are pulled, time is told.
** The owner's round is
**
**     feed bytes -> pull events until there are none -> feed the rest
**     -> send output -> do what `want` says -> come back when `due`
**
** and whatever is fed, in whatever pieces, gives the same events and the same
** output.  Feeding stops at every event, so the slices of an event stay valid
** until the next call of feed or next.  The first error sticks: `fault`.
**
** conn.c holds its life, events and time; input.c what is fed, output.c what
** is sent, opening.c its opening handshake.  Elsewhere: how the closing
** handshake and failing work (closing.h), what the handshake checks (hello.h,
** welcome.h), how fragments become messages (message.h).
*/
#ifndef WS_PROTO_CONN_H
#define WS_PROTO_CONN_H

#include "base/chain.h"
#include "proto/hello.h"
#include "proto/message.h"
#include "proto/welcome.h"

enum ws_role { WS_CLIENT, WS_SERVER };

/* The states of the WHATWG object, with its numbers. */
enum ws_ready_state {
    WS_CONNECTING = 0, /* waits for the opening handshake */
    WS_OPEN = 1,       /* messages may be sent */
    WS_CLOSING = 2,    /* a Close was sent or received, or it failed */
    WS_CLOSED = 3      /* the transport is gone */
};

/* What every connection of one server, or one client, has in common.  The
** owner keeps it alive and unchanged while connections use it. */
struct ws_conf {
    enum ws_role role;
    struct ws_mem *mem;
    struct ws_pool *pool; /* of output chunks */
    int (*random)(void *ud, uint8_t *p, size_t n); /* WS_OK or an error */
    void *random_ud;
    struct ws_message_limits message;
    struct ws_head_limits head;
    size_t body_max;     /* of a plain request, or of a refusal */
    size_t buffered_max; /* payload bytes that may wait to be sent */
    size_t high_water;   /* output above this: drain is owed */
    size_t low_water;    /* drain is given at or under this */
    int64_t handshake_ms, close_ms, send_ms; /* 0: no such deadline */
    int64_t ping_ms, pong_ms;                /* keep-alive; ping_ms 0: off */
    uint8_t auto_pong;
};

enum ws_event_type {
    WS_EV_NONE,
    WS_EV_UPGRADE, /* server: a good request; answer by accept or respond */
    WS_EV_REQUEST, /* server: plain HTTP, data = its body; answer: respond */
    WS_EV_OPEN,    /* the handshake is done */
    WS_EV_TEXT,    /* data = the message */
    WS_EV_BINARY,
    WS_EV_PING, /* data = its payload; the pong is already queued */
    WS_EV_PONG,
    WS_EV_DRAIN, /* output fell to low_water after being over high_water */
    WS_EV_FAULT, /* code = WS_ERR_*; always followed by CLOSE */
    WS_EV_CLOSE  /* code, data = reason, clean; the last event */
};

struct ws_event {
    struct ws_slice data;
    int code;
    uint8_t type; /* enum ws_event_type */
    uint8_t clean;
};

/* What the connection needs from its owner; a set of bits. */
enum {
    WS_WANT_READ = 1,   /* feed it */
    WS_WANT_WRITE = 2,  /* there is output */
    WS_WANT_EVENT = 4,  /* next has something */
    WS_WANT_SHUT = 8,   /* end the sending direction (output is empty) */
    WS_WANT_CLOSE = 16  /* drop the transport, then call ws_conn_closed */
};

/* What the input waits for. */
enum ws_stage {
    WS_IN_HEAD,    /* the rest of an HTTP head */
    WS_IN_BODY,    /* the content behind a plain request or a refusal */
    WS_IN_ANSWER,  /* server: the application's accept or respond */
    WS_IN_FRAME,   /* the head of the next frame */
    WS_IN_PAYLOAD, /* the rest of a frame's payload */
    WS_IN_DISCARD  /* the end of the transport; bytes are thrown away */
};
/*  HEAD -> ANSWER -> FRAME <-> PAYLOAD      accepted, or client's 101
**  HEAD -> BODY -> ANSWER -> DISCARD        plain request
**  HEAD -> BODY -> DISCARD                  client: refused
**  any  -> DISCARD                          closing or failed
*/

/* Counters for stats(). */
struct ws_traffic {
    uint64_t bytes, frames, messages;
};

struct ws_conn {
    const struct ws_conf *conf;
    int64_t now_ms;     /* told by ws_conn_clock */
    int64_t last_rx_ms; /* when bytes last came */
    int64_t latency_ms; /* of the last ping and its pong, -1: none yet */
    struct ws_traffic in, out;
    struct ws_slice head;       /* the peer's whole HTTP head, kept */
    struct ws_slice protocol;   /* agreed; n 0: none */
    struct ws_slice extensions; /* agreed; n 0: none */
    int fault;                  /* first error, 0: none */

    /* private */
    struct ws_chain chain; /* output */
    struct ws_message message;
    struct ws_event event; /* found by feed, not yet pulled */
    struct ws_frame frame; /* the one whose payload is coming */
    uint64_t left;         /* payload bytes to come; body bytes to come */
    union {
        struct ws_head_scan scan;  /* HEAD */
        struct ws_chunked chunked; /* BODY */
        uint8_t spill[WS_FRAME_HEAD_MAX]; /* a cut frame head */
    } part;
    struct ws_hello *hello; /* client, until the answer came */
    uint8_t *control;      /* payload of a cut control frame */
    uint8_t *pong;         /* newest ping owed a pong: length, bytes */
    uint8_t *reason;       /* of the received Close: length, bytes */
    int64_t deadline_ms;   /* of the handshake, then of closing; -1 */
    int64_t ping_at_ms;    /* next keep-alive ping; -1 */
    int64_t pong_due_ms;   /* the ping that waits fails then; -1 */
    int64_t pinged_ms;     /* when that ping was sent; -1 */
    int64_t progress_ms;   /* when output last moved */
    size_t head_out;       /* handshake bytes at the front of the first
                              segment, which holds no frame head there */
    uint64_t discarded;    /* bytes thrown away while closing */
    struct ws_utf8 sending_utf8; /* of an outgoing fragmented text */
    int close_code;        /* received: code or WS_STATUS_NONE; 0: none */
    uint32_t key_at;       /* server: Sec-WebSocket-Key within head */
    uint32_t pings;        /* keep-alive pings sent: their payload */
    uint8_t stage;         /* enum ws_stage */
    uint8_t state;         /* enum ws_ready_state */
    uint8_t spilled;       /* bytes in part.spill */
    uint8_t body_kind;     /* enum ws_body_kind */
    uint8_t sending_op;    /* outgoing fragmented message, 0: none */
    uint8_t paused : 1;    /* the application wants no input */
    uint8_t above : 1;     /* output went over high_water */
    uint8_t drain : 1;     /* a DRAIN event is due */
    uint8_t close_sent : 1, close_received : 1;
    uint8_t quiet : 1;     /* ended by the application: no FAULT */
    uint8_t ended : 1;     /* the peer will send no more */
    uint8_t shut : 1;      /* our direction is, or may be, ended */
    uint8_t drop : 1;      /* the transport must go now */
    uint8_t gone : 1;      /* ws_conn_closed was called */
    uint8_t told_fault : 1, told_close : 1;
    uint8_t head_method : 1; /* plain request by HEAD */
    uint8_t plain : 1;     /* this was a plain request */
    uint8_t stale : 1;     /* message was delivered: free it at next call */
};

/* -- life -- */

/* A connection in CONNECTING.  Server: waits for the request's head. */
void ws_conn_init(struct ws_conn *c, const struct ws_conf *conf,
                  int64_t now_ms);

/* Client: queues the request; what hello points at is needed only meanwhile.
** Errors of ws_hello_write, WS_ERR_RANDOM. */
int ws_conn_start(struct ws_conn *c, const struct ws_hello_conf *hello);

/* Gives all memory back; twice is fine.  Pins nobody asked for are forgotten;
** head and protocol become empty. */
void ws_conn_free(struct ws_conn *c);

/* Tells the time; before feed, tick and sent, in each turn. */
static inline void ws_conn_clock(struct ws_conn *c, int64_t now_ms)
{
    c->now_ms = now_ms;
}

/* -- bytes in -- */

/* Takes bytes from the front of in, which may be changed in place (unmasked),
** until an event is found, in is empty, or input is not wanted (want lacks
** READ).  Errors of the peer are not results: they become events. */
void ws_conn_feed(struct ws_conn *c, struct ws_span *in);

/* Where a transport may write the rest of a large frame's payload directly:
** WS_OK and room to be filled and committed, or WS_MORE: use feed. */
int ws_conn_room(struct ws_conn *c, struct ws_span *room);

/* n bytes were put in the room (n > 0). */
void ws_conn_commit(struct ws_conn *c, size_t n);

/* The peer will send no more. */
void ws_conn_eof(struct ws_conn *c);

/* The transport failed, was reset or never came to be: err says why. */
void ws_conn_lost(struct ws_conn *c, int err);

/* The owner has dropped the transport. */
void ws_conn_closed(struct ws_conn *c);

/* -- events out -- */

/* WS_OK and the next event, or WS_MORE. */
int ws_conn_next(struct ws_conn *c, struct ws_event *ev);

/* -- bytes out -- */

static inline int ws_conn_output(const struct ws_conn *c, struct ws_slice *v,
                                 int max)
{
    return ws_chain_peek(&c->chain, v, max);
}

/* The first n bytes of the output were sent. */
void ws_conn_sent(struct ws_conn *c, size_t n);

/* A pinned message is out, or dropped: WS_OK and its number, or WS_MORE. */
int ws_conn_unpin(struct ws_conn *c, int *pin);

/* Payload bytes that wait to be sent: what bufferedAmount counts. */
size_t ws_conn_buffered(const struct ws_conn *c);

/* Client, after a refused handshake: the answer's content, cut at body_max;
** stays until ws_conn_free. */
struct ws_slice ws_conn_body(const struct ws_conn *c);

/* -- the application -- */

enum { WS_SEND_PART = 1 /* not the last fragment */ };

/* Queues a message, or the next fragment of one (op of the first counts).
** WS_OK; WS_ERR_STATE (not open), WS_ERR_BUFFER, WS_ERR_UTF8, WS_ERR_NOMEM,
** WS_ERR_RANDOM: nothing is queued. */
int ws_conn_send(struct ws_conn *c, enum ws_opcode op, struct ws_slice data,
                 unsigned flags);

/* The same without a copy: data stays the caller's until ws_conn_unpin tells
** `pin`.  Servers only (clients must mask, so copy). */
int ws_conn_send_pinned(struct ws_conn *c, enum ws_opcode op,
                        struct ws_slice data, unsigned flags, int pin);

/* Queues bytes [off, off+n) of b: one whole unmasked frame with `payload`
** bytes of checked payload.  Servers only; refused with WS_ERR_STATE while a
** fragmented message is being sent. */
int ws_conn_share(struct ws_conn *c, struct ws_block *b, size_t off, size_t n,
                  size_t payload);

/* Queues a ping or pong of at most 125 bytes: WS_OK, WS_ERR_STATE,
** WS_ERR_ARGUMENT (longer), WS_ERR_NOMEM, WS_ERR_RANDOM. */
int ws_conn_control(struct ws_conn *c, enum ws_opcode op,
                    struct ws_slice data);

/* Stops or restarts input. */
void ws_conn_pause(struct ws_conn *c, int paused);

/* Server, after UPGRADE: 101.  extra may be NULL.  WS_OK, WS_ERR_STATE (not
** asked), WS_ERR_PROTOCOLS (not offered), WS_ERR_FIELD, WS_ERR_NOMEM. */
int ws_conn_accept(struct ws_conn *c, struct ws_slice protocol,
                   const struct ws_answer *extra);

/* Server, after UPGRADE or REQUEST: a whole response, then the end. */
int ws_conn_respond(struct ws_conn *c, const struct ws_answer *answer);

/* -- time and wants -- */

unsigned ws_conn_want(const struct ws_conn *c);

/* When ws_conn_tick is due, or -1. */
int64_t ws_conn_due(const struct ws_conn *c);
void ws_conn_tick(struct ws_conn *c);

/* -- between the files of proto -- */

/* 1 when input frames are wanted at all. */
int ws_conn_reads(const struct ws_conn *c);

/* Reports an event that feed found. */
void ws_conn_emit(struct ws_conn *c, int type, struct ws_slice data);

/* The handshake's part of feed: HEAD and BODY. */
void ws_conn_feed_head(struct ws_conn *c, struct ws_span *in);
void ws_conn_feed_body(struct ws_conn *c, struct ws_span *in);

/* The handshake succeeded. */
void ws_conn_opened(struct ws_conn *c);

/* The body is complete, or will not be: the request, or the refusal, is
** told. */
void ws_conn_end_body(struct ws_conn *c);

/* Server: answers a request that failed with err, and starts the end. */
void ws_conn_refuse(struct ws_conn *c, int err);

/* Queues a control frame in any state; WS_OK, WS_ERR_NOMEM, WS_ERR_RANDOM. */
int ws_conn_put_control(struct ws_conn *c, enum ws_opcode op,
                        struct ws_slice data);

/* The pong that waited, if the output is low enough now. */
void ws_conn_put_pong(struct ws_conn *c);

/* A ping came. */
void ws_conn_answer_ping(struct ws_conn *c, struct ws_slice payload);

#endif
