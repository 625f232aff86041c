/* proto/pmd.h -- permessage-deflate: a connection's messages through the codec
** (RFC 7692 7.2).
**
** Knows what belongs to a message beyond plain DEFLATE: the tail 00 00 FF FF
** that is taken off and put back, empty messages, and whether the window is
** taken over from one message to the next.  Works in pieces both ways: who
** compresses a message in parts gets a fragment for each; who decompresses
** says each time how many bytes may come out.
**
** Codecs are large, so nobody has one without need.  A direction that takes
** its window over keeps one from its first compressed message on; any other
** borrows one from the pool, which all connections of a loop share, for as
** long as a message lasts.  Frames and limits are not known here.
*/
#ifndef WS_PROTO_PMD_H
#define WS_PROTO_PMD_H

#include "base/buf.h"
#include "proto/offer.h"
#include "wire/deflate.h"

/* What a side is set to do; part of ws_conf. */
struct ws_pmd_conf {
    struct ws_offer offer; /* client: what it offers; server: what it allows */
    size_t threshold;      /* messages of fewer bytes go as they are ... */
    size_t threshold_kept; /* ... and these where the window is taken over */
    uint8_t level;         /* as in ws_deflate_conf */
    uint8_t memory;        /* the same, or 0: as fits the window */
    uint8_t on;            /* 0: never offered, never accepted */
    uint8_t required;      /* client: without it there is no connection */
};

/* Codecs that nobody uses at the moment, and room for what is compressed. */
struct ws_pmd_pool {
    struct ws_mem *mem;
    /* private */
    struct ws_deflate *deflate[WS_WINDOW_MAX + 1]; /* by window */
    struct ws_inflate *inflate;
    struct ws_buf out;
};

/* Bytes of compressed messages, as sent and as meant; for stats(). */
struct ws_pmd_traffic {
    uint64_t packed, plain;
};

/* One connection's. */
struct ws_pmd {
    struct ws_pmd_traffic in, out;
    size_t threshold;          /* shortest message that is compressed */
    size_t threshold_alone;    /* and for many at once */
    uint8_t level, memory;     /* as in ws_pmd_conf */
    uint8_t in_window;         /* of the peer's messages */
    uint8_t out_window;        /* of ours, at most */
    uint8_t out_named;         /* 1: and no less */
    uint8_t in_kept, out_kept; /* the window is taken over */
    uint8_t sending;           /* for its user: in the middle of a message */
    /* private */
    struct ws_pmd_pool *pool;
    struct ws_deflate *deflate; /* or NULL */
    struct ws_inflate *inflate; /* or NULL */
    uint8_t lost;               /* our window is not the peer's any more */
    uint8_t used;               /* something was compressed of late */
    uint8_t fed;                /* the message that comes has bytes */
    uint8_t tail;               /* how much of the tail was put back */
    uint8_t text_n;
    char text[]; /* the answer, text_n bytes */
};

/* -- the pool -- */

void ws_pmd_pool_init(struct ws_pmd_pool *pool, struct ws_mem *mem);

/* Every connection's must have been freed. */
void ws_pmd_pool_free(struct ws_pmd_pool *pool);

/* Compresses a whole message on its own, for any number of receivers that
** have a window of at least c.window.  *out is valid until the pool is used
** again.  WS_OK or WS_ERR_NOMEM. */
int ws_pmd_pool_pack(struct ws_pmd_pool *pool, struct ws_deflate_conf c,
                     struct ws_slice data, struct ws_slice *out);

/* -- a connection's -- */

/* What a client, or a server, makes of its settings and the answer that was
** agreed on; NULL without memory.  Has no codec yet. */
struct ws_pmd *ws_pmd_new(struct ws_pmd_pool *pool, const struct ws_pmd_conf *c,
                          const struct ws_offer *answer, int server);

/* Gives it back; NULL is fine. */
void ws_pmd_free(struct ws_pmd *p);

/* Gives its codecs back: no message will follow. */
void ws_pmd_rest(struct ws_pmd *p);

/* The agreed extension as text. */
static inline struct ws_slice ws_pmd_text(const struct ws_pmd *p)
{
    return ws_slice_of(p->text, p->text_n);
}

/* -- out -- */

/* How a message of n bytes would be compressed that is the first one, or stands
** alone.  Where no window was named it is 13 bits, or 14 from 4 KiB on, or what
** was agreed on if that is less: more costs memory, and misses in the
** processor's cache, than it saves. */
struct ws_deflate_conf ws_pmd_conf_for(const struct ws_pmd *p, size_t n);

/* Compresses a message's next part; `last` ends it.  *out is the fragment's
** payload, valid until the pool is used again.  WS_OK or WS_ERR_NOMEM. */
int ws_pmd_deflate(struct ws_pmd *p, struct ws_slice data, int last,
                   struct ws_slice *out);

/* What was compressed last will not be sent: the window is empty from now on,
** because it is not the peer's. */
void ws_pmd_forget(struct ws_pmd *p);

/* From time to time: a compressor that has not been used since the last time
** is given back.  The next message begins with an empty window, which is
** always allowed. */
void ws_pmd_age(struct ws_pmd *p);

/* A frame of n bytes was sent that was compressed elsewhere and means `plain`
** bytes: for the same reason. */
void ws_pmd_shared(struct ws_pmd *p, size_t n, size_t plain);

/* -- in -- */

/* Takes compressed bytes from the front of in and puts what they mean at the
** front of out, which is not empty.  The first call after ws_pmd_inflate_end
** begins a message.  WS_OK: all of in is taken.  WS_MORE: out is full; call
** again with more.  WS_ERR_DEFLATE, WS_ERR_NOMEM. */
int ws_pmd_inflate(struct ws_pmd *p, struct ws_slice *in, struct ws_span *out);

/* The message's last byte was given: its last bytes, until WS_OK; codes as
** above.  WS_ERR_DEFLATE also when it ends in the middle. */
int ws_pmd_inflate_end(struct ws_pmd *p, struct ws_span *out);

#endif
