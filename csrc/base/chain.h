/* base/chain.h -- the output queue of a connection.
**
** A chain is a list of segments, each a run of bytes that waits to be sent:
**
**   own     bytes formatted into a chunk from the pool (small frames), or
**           into memory of their own (large ones)
**   shared  a range of a reference-counted block: a broadcast is encoded once
**           and every receiver's queue points at it.  A range that continues
**           the tail's range is joined to it, so that many broadcasts of one
**           turn leave in one piece
**   pinned  bytes the caller keeps alive until they were sent, told apart by
**           the caller's number (the binding's reference to a Lua string)
**
** A pool keeps spent chunks and segment heads for the next user, so that the
** steady state allocates nothing; one pool serves all connections of a loop.
** Each segment knows how many of its bytes are message payload: that is what
** bufferedAmount counts.  Nothing here does I/O or knows what a frame is.
*/
#ifndef WS_BASE_CHAIN_H
#define WS_BASE_CHAIN_H

#include "base/base.h"
#include "base/mem.h"

enum {
    WS_CHUNK_SIZE = 16384, /* room of a pooled chunk: one full TLS record */
    WS_POOL_CHUNKS = 16,   /* spent chunks a pool keeps: 256 KiB */
    WS_POOL_HEADS = 4096   /* spent segment heads a pool keeps */
};

enum ws_seg_kind { WS_SEG_CHUNK, WS_SEG_OWN, WS_SEG_SHARED, WS_SEG_PINNED };

/* Bytes shared by many chains; freed with the last reference. */
struct ws_block {
    struct ws_mem *mem;
    size_t refs;
    size_t len; /* bytes in use; only ever grows, bytes never change */
    size_t cap; /* bytes at data */
    uint8_t data[];
};

struct ws_seg {
    struct ws_seg *next;
    uint8_t *start;         /* first byte, a frame's first byte too */
    size_t off;             /* bytes already sent */
    size_t len;             /* bytes from start */
    size_t payload;         /* message payload among them */
    size_t cap;             /* room from start; 0 when not ours to write */
    struct ws_block *block; /* shared: what is referred to */
    int pin;                /* pinned: the caller's number */
    enum ws_seg_kind kind;
};

struct ws_pool {
    struct ws_mem *mem;
    /* private */
    struct ws_seg *chunks; /* spent chunks: a head with its room behind it */
    struct ws_seg *heads;  /* spent heads without room */
    unsigned nchunks, nheads;
};

struct ws_chain {
    struct ws_seg *head, *tail;
    size_t size;          /* bytes waiting */
    size_t payload;       /* payload of all segments, sent bytes of the first
                             included */
    struct ws_seg *spent; /* pinned segments that are done */
};

/* -- pool -- */

void ws_pool_init(struct ws_pool *pool, struct ws_mem *mem);
void ws_pool_free(struct ws_pool *pool); /* every chain must be empty */

/* -- blocks -- */

/* A block with cap bytes of room and one reference, or NULL. */
struct ws_block *ws_block_new(struct ws_mem *mem, size_t cap);
/* Drops one reference; NULL is fine. */
void ws_block_drop(struct ws_block *b);

/* -- chain -- */

void ws_chain_init(struct ws_chain *c);

/* Drops everything.  Pinned segments move to `spent` first. */
void ws_chain_clear(struct ws_chain *c, struct ws_pool *pool);

/* n contiguous writable bytes at the end (n > 0), in the tail if it has the
** room, else in a new segment.  NULL when out of memory.  Must be followed by
** ws_chain_commit before anything else is called on the chain. */
uint8_t *ws_chain_room(struct ws_chain *c, struct ws_pool *pool, size_t n);

/* Adds the first n bytes of the last room, `payload` of them payload. */
void ws_chain_commit(struct ws_chain *c, size_t n, size_t payload);

/* Takes the last commit back; only directly after it, with its numbers. */
void ws_chain_uncommit(struct ws_chain *c, size_t n, size_t payload);

/* Adds bytes s of b's data, `payload` of them payload, taking a reference.
** WS_OK or WS_ERR_NOMEM (nothing added). */
int ws_chain_share(struct ws_chain *c, struct ws_pool *pool, struct ws_block *b,
                   struct ws_slice s, size_t payload);

/* Adds bytes that stay the caller's until the segment is in `spent`; all of
** them count as payload.  WS_OK or WS_ERR_NOMEM (nothing added). */
int ws_chain_pin(struct ws_chain *c, struct ws_pool *pool, struct ws_slice s,
                 int pin);

/* Fills v with up to max slices from the front; returns how many. */
int ws_chain_peek(const struct ws_chain *c, struct ws_slice *v, int max);

/* The first n bytes were sent (n <= size). */
void ws_chain_skip(struct ws_chain *c, struct ws_pool *pool, size_t n);

/* Takes one finished pinned segment's number into *pin: WS_OK, or WS_MORE
** when there is none. */
int ws_chain_unpin(struct ws_chain *c, struct ws_pool *pool, int *pin);

#endif
