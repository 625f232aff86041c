/* proto/state.h -- what a connection is made of: configuration, events, fields.
**
** Read conn.h first: it says what all this is for.  The struct is visible so
** that it can be embedded; only what stands before its private line is for
** others to look at.
*/
#ifndef WS_PROTO_STATE_H
#define WS_PROTO_STATE_H

#include "base/chain.h"
#include "proto/hello.h"
#include "proto/message.h"
#include "proto/pmd.h"

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
    struct ws_pool *pool;                          /* of output chunks */
    struct ws_pmd_pool *codecs;                    /* needed with pmd.on */
    int (*random)(void *ud, uint8_t *p, size_t n); /* WS_OK or an error */
    void *random_ud;
    int64_t (*time)(void); /* seconds since 1970; NULL: answers have no Date */
    struct ws_message_limits message;
    struct ws_pmd_conf pmd; /* permessage-deflate */
    struct ws_head_limits head;
    size_t body_max;     /* of a plain request, or of a refusal */
    size_t buffered_max; /* payload bytes that may wait to be sent */
    size_t high_water;   /* output above this: drain is owed */
    size_t low_water;    /* drain is given at or under this */
    int64_t handshake_ms, close_ms, send_ms; /* 0: no such deadline */
    int64_t answer_ms; /* server: for the application's accept or respond */
    int64_t ping_ms, pong_ms; /* keep-alive; ping_ms 0: off */
    uint8_t auto_pong;
    uint8_t frames; /* frame mode, see conn.h */
    uint8_t follow; /* client: a redirect is an event, not yet a failure */
};

enum ws_event_type {
    WS_EV_NONE,
    WS_EV_UPGRADE, /* server: a good request; answer by accept or respond */
    WS_EV_REQUEST, /* server: plain HTTP, data = its body; answer: respond */
    WS_EV_OPEN,    /* the handshake is done */
    WS_EV_TEXT,    /* data = the message */
    WS_EV_BINARY,
    WS_EV_CHUNK, /* streaming: data = a part of one that did not come whole,
                    op = WS_OP_TEXT or BINARY, fin */
    WS_EV_PING,  /* data = its payload; the pong is already queued */
    WS_EV_PONG,
    WS_EV_DRAIN, /* output fell to low_water after being over high_water */
    WS_EV_FAULT, /* code = WS_ERR_*; always followed by CLOSE, but in frame
                    mode long before it */
    WS_EV_CLOSE, /* code, data = reason, clean; the last event */
    WS_EV_FRAME, /* frame mode: op, fin, data = payload; of a Close its reason,
                    and code */
    WS_EV_REDIRECT, /* client that asked for it by `follow`: data = Location,
                       code = status; the owner goes there, or fails it */
    WS_EV_CHALLENGE /* client that asked for it by ws_hello_conf.challenges: the
                       head of a 401 has a challenge of Digest; the owner asks
                       again and answers it, or fails it */
};

struct ws_event {
    struct ws_slice data;
    int code;
    uint8_t type; /* enum ws_event_type */
    uint8_t clean;
    uint8_t op, fin; /* of a FRAME, and of a CHUNK, whose message it ends */
};

/* What the connection needs from its owner; a set of bits. */
enum {
    WS_WANT_READ = 1,   /* feed it */
    WS_WANT_WRITE = 2,  /* there is output */
    WS_WANT_EVENT = 4,  /* next has something */
    WS_WANT_SHUT = 8,   /* end the sending direction (output is empty) */
    WS_WANT_CLOSE = 16, /* drop the transport, then call ws_conn_closed */
    WS_WANT_WATCH = 32  /* no input now, but to be told of its end */
};

/* What the input waits for. */
enum ws_stage {
    WS_IN_HEAD,    /* the rest of an HTTP head */
    WS_IN_BODY,    /* the content behind a plain request or a refusal */
    WS_IN_ANSWER,  /* the application: accept or respond; the owner: a redirect
                      or a challenge */
    WS_IN_FRAME,   /* the head of the next frame */
    WS_IN_PAYLOAD, /* the rest of a frame's payload */
    WS_IN_DISCARD  /* the end of the transport; bytes are thrown away */
};
/*  HEAD -> ANSWER -> FRAME <-> PAYLOAD      accepted, or client's 101
**  HEAD -> BODY -> ANSWER -> DISCARD        plain request
**  HEAD -> BODY -> DISCARD                  client: refused
**  HEAD -> ANSWER -> DISCARD                client: redirected, challenged
**  any  -> DISCARD                          closing or failed
*/

/* Counters for stats(). */
struct ws_traffic {
    uint64_t bytes, frames, messages;
};

/* What every message touches lies together, from pmd to the bits: some 240
** bytes of a busy server's cache for each connection.  Of the rest only conf is
** looked at. */
struct ws_conn {
    const struct ws_conf *conf;
    struct ws_slice head;       /* the peer's whole HTTP head, kept */
    struct ws_slice protocol;   /* agreed; n 0: none */
    struct ws_slice extensions; /* agreed; n 0: none */
    int64_t latency_ms; /* of the last ping and its pong, -1: none yet */
    int fault;          /* first error, 0: none */
    struct ws_pmd *pmd; /* permessage-deflate, NULL: not agreed on */
    int64_t now_ms;     /* told by ws_conn_clock */
    int64_t last_rx_ms; /* when bytes last came */
    struct ws_traffic in, out;

    /* private */
    struct ws_chain chain;       /* output */
    struct ws_event event;       /* found by feed, not yet pulled */
    struct ws_frame frame;       /* the one whose payload is coming */
    uint64_t left;               /* payload bytes to come; body bytes to come */
    struct ws_message *message;  /* while one is put together, or a head */
    uint8_t *pong;               /* newest ping owed a pong: length, bytes */
    size_t head_out;             /* handshake bytes in front of all frames */
    int64_t deadline_ms;         /* of the handshake, then of closing; -1 */
    int64_t ping_at_ms;          /* next keep-alive ping; -1 */
    int64_t pong_due_ms;         /* the ping that waits fails then; -1 */
    int64_t progress_ms;         /* when output last moved */
    struct ws_utf8 sending_utf8; /* of an outgoing fragmented text */
    uint8_t sending_op;          /* outgoing fragmented message, 0: none */
    uint8_t stage;               /* enum ws_stage */
    uint8_t state;               /* enum ws_ready_state */
    uint8_t spilled;             /* bytes in part.spill */
    uint8_t paused : 1;          /* the application wants no input */
    uint8_t held : 1;            /* the owner wants none */
    uint8_t above : 1;           /* output went over high_water */
    uint8_t drop : 1;            /* the transport must go now */
    uint8_t gone : 1;            /* ws_conn_closed was called */
    uint8_t drain : 1;           /* a DRAIN event is due */
    uint8_t more : 1;            /* there is more to decompress of what came */
    uint8_t stale : 1; /* message was delivered: free it at next call */
    uint8_t asked : 1; /* somebody waits for DRAIN */
    uint8_t close_sent : 1, close_received : 1;
    uint8_t clean : 1; /* both went through before the transport was gone */
    uint8_t quiet : 1; /* ended by the application: no FAULT */
    uint8_t ended : 1; /* the peer will send no more */
    uint8_t shut : 1;  /* our direction is, or may be, ended */
    uint8_t mute : 1;  /* the transport takes no more; what it has is read */
    uint8_t told_fault : 1, told_close : 1;
    uint8_t head_method : 1; /* plain request by HEAD */
    uint8_t plain : 1;       /* this was a plain request */
    uint8_t opened : 1;      /* it was open once: what `side` is */
    uint8_t lent : 1;        /* an event shows a part of it */
    uint8_t body_kind;       /* enum ws_body_kind */
    int close_code;          /* received: code or WS_STATUS_NONE; 0: none */
    uint32_t key_at;         /* server: Sec-WebSocket-Key within head */
    uint32_t pings;          /* keep-alive pings sent: their payload */
    int64_t pinged_ms;       /* when the ping that is measured was sent; -1 */
    uint8_t *reason;         /* of the received Close: length, bytes */
    union {
        struct ws_head_scan scan;         /* HEAD */
        struct ws_chunked chunked;        /* BODY */
        uint8_t spill[WS_FRAME_HEAD_MAX]; /* a cut frame head */
    } part;
    union {
        struct ws_hello *hello; /* client, until it is open */
        uint8_t *control;       /* open: payload of a cut control frame */
    } side;
};

#endif
