/* proto/parts.h -- what the files of the connection ask of one another.
**
** Nothing here is for owners of connections; conn.h and closing.h are.
*/
#ifndef WS_PROTO_PARTS_H
#define WS_PROTO_PARTS_H

#include "base/mask.h"
#include "proto/closing.h"

/* -- conn.c -- */

/* The handshake succeeded. */
void ws_conn_opened(struct ws_conn *c);

/* Where bytes that came apart are put together, made when first needed; NULL:
** no memory.  An idle connection has none. */
struct ws_message *ws_conn_message(struct ws_conn *c);

/* Gives it back; it may not be there. */
void ws_conn_drop_message(struct ws_conn *c);

/* What an answer's Date is to be, in seconds since 1970; 0: none. */
int64_t ws_conn_date(const struct ws_conn *c);

/* -- input.c -- */

/* Reports an event that feed found. */
void ws_conn_emit(struct ws_conn *c, int type, struct ws_slice data);

/* The last event's view is no longer needed. */
static inline void ws_conn_release(struct ws_conn *c)
{
    c->lent = 0;
    if (WS_LIKELY(!c->stale))
        return;
    ws_conn_drop_message(c);
    c->stale = 0;
}

/* The last byte of a frame of data was taken. */
void ws_conn_end_data(struct ws_conn *c);

/* Unmasks the first n bytes still to come of the frame, which are at src, to
** dst, which may be src. */
static inline void ws_conn_unmask(const struct ws_conn *c, uint8_t *dst,
                                  const uint8_t *src, size_t n)
{
    if (c->frame.masked)
        ws_mask(dst, src, n, c->frame.key,
                (size_t)((c->frame.len - c->left) & 3));
    else if (dst != src)
        memcpy(dst, src, n);
}

/* -- output.c -- */

/* Queues one frame of data, in the role's way, of which `payload` bytes count
** as waiting; f has all but len, masked and key.  WS_OK, WS_ERR_NOMEM,
** WS_ERR_RANDOM: nothing is queued. */
int ws_conn_put_frame(struct ws_conn *c, struct ws_frame *f,
                      struct ws_slice data, size_t payload);

/* Queues a control frame in any state; WS_OK, WS_ERR_NOMEM, WS_ERR_RANDOM. */
int ws_conn_put_control(struct ws_conn *c, enum ws_opcode op,
                        struct ws_slice data);

/* A ping came. */
void ws_conn_answer_ping(struct ws_conn *c, struct ws_slice payload);

/* The pong that waited, if the output is low enough now. */
void ws_conn_put_pong(struct ws_conn *c);

/* -- opening.c -- */

/* The handshake's part of feed: HEAD and BODY. */
void ws_conn_feed_head(struct ws_conn *c, struct ws_span *in);
void ws_conn_feed_body(struct ws_conn *c, struct ws_span *in);

/* The body is complete, or will not be: the request, or the refusal, is
** told. */
void ws_conn_end_body(struct ws_conn *c);

/* Server: answers a request that failed with err, and starts the end. */
void ws_conn_refuse(struct ws_conn *c, int err);

/* -- chunks.c: only with streaming -- */

/* The most a part of a message has. */
enum { WS_CHUNK_MAX = 65536 };

/* The part of feed that is a plain message's. */
void ws_conn_feed_chunk(struct ws_conn *c, struct ws_span *in);

/* The part of the message that comes next, which ends with the frame unless
** bytes of that are `left`, or there is `more` to decompress. */
void ws_conn_hand_out(struct ws_conn *c, struct ws_slice data);

/* What there is to decompress of bytes that were fed, if input is wanted. */
void ws_conn_next_chunk(struct ws_conn *c);

/* -- packed.c: only with pmd -- */

/* The part of feed that is a compressed message's; with streaming. */
void ws_conn_feed_packed(struct ws_conn *c, struct ws_span *in);
void ws_conn_feed_packed_chunk(struct ws_conn *c, struct ws_span *in);

/* As ws_conn_put_frame, compressed.  A whole message that would not get
** smaller goes as it is. */
int ws_conn_put_packed(struct ws_conn *c, struct ws_frame *f,
                       struct ws_slice data);

/* -- closing.c -- */

/* A Close frame came. */
void ws_conn_on_close(struct ws_conn *c, struct ws_slice payload);

/* Frame mode: a Close frame came, 1: it is good; ours was queued. */
int ws_conn_heard_close(struct ws_conn *c, struct ws_slice payload);
void ws_conn_said_close(struct ws_conn *c);

/* n bytes came that nobody will look at. */
void ws_conn_discard(struct ws_conn *c, size_t n);

/* State CLOSING; the clock of the closing handshake starts, once. */
void ws_conn_begin_closing(struct ws_conn *c);

/* Drops the transport if nothing is left to wait for. */
void ws_conn_settle(struct ws_conn *c);

#endif
