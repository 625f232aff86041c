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
** In frame mode (ws_conf.frames) every frame is an event, in the order of the
** wire, and nothing is done by itself: no pong, no answer to a Close, no
** fragments put together, no look at UTF-8 or at the order of fragments.  What
** a frame is, its limits and its mask are still checked.
**
** state.h says what it is made of, usual.h has what is asked for each message:
** ws_conn_next, reads, room, buffered.  conn.c: life, events, time; input.c,
** output.c: what is fed, what is sent; opening.c, closing.h: the handshakes;
** message.h, chunks.c, packed.c: fragments, parts, compressed messages.
*/
#ifndef WS_PROTO_CONN_H
#define WS_PROTO_CONN_H

#include "proto/usual.h"
#include "proto/welcome.h"

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

/* n bytes were put in the room (n > 0). */
void ws_conn_commit(struct ws_conn *c, size_t n);

/* The peer will send no more. */
void ws_conn_eof(struct ws_conn *c);

/* The transport failed, was reset or never came to be: err says why. */
void ws_conn_lost(struct ws_conn *c, int err);

/* The owner has dropped the transport. */
void ws_conn_closed(struct ws_conn *c);

/* -- events out -- */

/* The CLOSE event as it is told when the transport is gone, told or not. */
void ws_conn_ending(const struct ws_conn *c, struct ws_event *ev);

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

/* The peer's HTTP head in WS_HEAD_LINES_MAX fields: WS_OK, or WS_MORE: none. */
int ws_conn_head(const struct ws_conn *c, struct ws_head *head,
                 struct ws_field *fields);

/* Client, after a refused handshake: the answer's content, cut at body_max;
** stays until ws_conn_free. */
struct ws_slice ws_conn_body(const struct ws_conn *c);

/* -- the application -- */

enum {
    WS_SEND_PART = 1,  /* not the last fragment */
    WS_SEND_PLAIN = 2, /* not to be compressed; the first fragment decides */
    WS_SEND_VALID = 4  /* the caller knows that it is UTF-8 */
};

/* 1 when ws_conn_send would compress such a message, of n bytes: if that was
** agreed on, and it is not too short, or comes in parts. */
static inline int ws_conn_packs(const struct ws_conn *c, size_t n,
                                unsigned flags)
{
    if (c->pmd == NULL)
        return 0;
    if (c->sending_op != 0)
        return c->pmd->sending;
    return (flags & WS_SEND_PLAIN) == 0 &&
           ((flags & WS_SEND_PART) != 0 || n >= c->pmd->threshold);
}

/* Queues a message, or the next fragment of one (op of the first counts).
** WS_OK; WS_ERR_STATE (not open), WS_ERR_BUFFER, WS_ERR_UTF8, WS_ERR_NOMEM,
** WS_ERR_RANDOM: nothing is queued. */
int ws_conn_send(struct ws_conn *c, enum ws_opcode op, struct ws_slice data,
                 unsigned flags);

/* The same without a copy: data stays the caller's until ws_conn_unpin tells
** `pin`.  Servers only (clients must mask, so copy), and not for what
** ws_conn_packs says is compressed. */
int ws_conn_send_pinned(struct ws_conn *c, enum ws_opcode op,
                        struct ws_slice data, unsigned flags, int pin);

/* What a message of n bytes has to be compressed by, to be shared by this
** connection (ws_pmd_pool_pack); window 0: it goes as it is. */
static inline struct ws_deflate_conf ws_conn_share_conf(const struct ws_conn *c,
                                                        size_t n)
{
    struct ws_deflate_conf none = {0, 0, 0};
    int packs = c->pmd != NULL && n >= c->pmd->threshold_alone;

    return packs ? ws_pmd_conf_for(c->pmd, n) : none;
}

/* Queues bytes of b: one whole unmasked frame with `payload` bytes of checked
** payload, before compression.  Servers only; refused with WS_ERR_STATE while
** a fragmented message is being sent.  A frame that is marked as compressed
** must fit ws_conn_share_conf; whatever window was taken over is lost. */
int ws_conn_share(struct ws_conn *c, struct ws_block *b, struct ws_slice frame,
                  size_t payload);

/* Queues a ping or pong of at most 125 bytes: WS_OK, WS_ERR_STATE,
** WS_ERR_ARGUMENT (longer), WS_ERR_NOMEM, WS_ERR_RANDOM. */
int ws_conn_control(struct ws_conn *c, enum ws_opcode op, struct ws_slice data);

/* Frame mode: queues one frame with any flag and opcode of RFC 6455.  A Close
** (payload: code and reason, as on the wire) begins the closing handshake, or
** ends it.  WS_OK, WS_ERR_STATE (not open, or no frame mode), WS_ERR_ARGUMENT
** (a control frame that is longer than 125 bytes or not final),
** WS_ERR_BUFFER, WS_ERR_NOMEM, WS_ERR_RANDOM. */
int ws_conn_send_frame(struct ws_conn *c, enum ws_opcode op, int fin,
                       struct ws_slice payload);

/* Stops or restarts input; hold does the same for the owner, whose queue is
** full, say: while either is on, input stops. */
void ws_conn_pause(struct ws_conn *c, int paused);
void ws_conn_hold(struct ws_conn *c, int held);

/* 1 when output, and the payload in it, is at or under low_water; else DRAIN
** comes when output is, was it above high_water or not: then look again. */
int ws_conn_drains(struct ws_conn *c);

/* Server, after UPGRADE: 101.  extra may be NULL; pmd is instead of the
** configuration's for this connection, NULL: that.  WS_OK, WS_ERR_STATE (not
** asked), WS_ERR_PROTOCOLS (not offered), WS_ERR_FIELD, WS_ERR_NOMEM. */
int ws_conn_accept(struct ws_conn *c, struct ws_slice protocol,
                   const struct ws_answer *extra,
                   const struct ws_pmd_conf *pmd);

/* Server, after UPGRADE or REQUEST: a whole response, then the end. */
int ws_conn_respond(struct ws_conn *c, const struct ws_answer *answer);

/* -- time and wants -- */

unsigned ws_conn_want(const struct ws_conn *c);

/* When ws_conn_tick is due, or -1; whether it would end the connection now. */
int64_t ws_conn_due(const struct ws_conn *c);
int ws_conn_overdue(const struct ws_conn *c);
void ws_conn_tick(struct ws_conn *c);

#endif
