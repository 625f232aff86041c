/* wire/deflate.h -- raw DEFLATE (RFC 1951) by zlib, as streams.
**
** Bytes go in by slices and come out by spans, both of any size: whoever calls
** decides how much may come out, so a bomb is stopped where its limit is, and
** not when memory is gone.  What a message is, and where one ends, is known to
** proto/pmd.h; here is the one place that knows zlib.  Memory comes from
** ws_mem, windows included.
**
** A compressor holds about 2^(window+2) + 2^(memory+9) bytes, a decompressor 7
** KiB and, from its first output on, 2^window.
*/
#ifndef WS_WIRE_DEFLATE_H
#define WS_WIRE_DEFLATE_H

#include "base/base.h"
#include "base/err.h"
#include "base/mem.h"

/* Sizes of the window, as exponents of two, as in RFC 7692 7.1.2. */
enum { WS_WINDOW_MIN = 8, WS_WINDOW_MAX = 15 };

/* The least room ws_deflate_run does something with: with less, zlib would
** never come to the end of a flush. */
enum { WS_DEFLATE_ROOM = 16 };

/* A level of our own: between zlib's 4 and 5 in what it costs, 5 and 6 in what
** it saves, for text in messages (csrc/README.md has the figures). */
enum { WS_LEVEL_USUAL = 0 };

struct ws_deflate_conf {
    uint8_t window; /* WS_WINDOW_MIN to WS_WINDOW_MAX */
    uint8_t memory; /* zlib's memLevel, 1 to 9 */
    uint8_t level;  /* 1 (fast) to 9 (small), or WS_LEVEL_USUAL */
};

struct ws_deflate;
struct ws_inflate;

/* -- compressing -- */

/* A compressor with an empty window, or NULL without memory. */
struct ws_deflate *ws_deflate_new(struct ws_mem *mem, struct ws_deflate_conf c);

/* Gives it back; NULL is fine. */
void ws_deflate_free(struct ws_deflate *d);

/* What it was made with, or set to. */
struct ws_deflate_conf ws_deflate_conf(const struct ws_deflate *d);

/* Empties the window and sets the level. */
void ws_deflate_reset(struct ws_deflate *d, int level);

/* Has the processor fetch what d remembers.  Before a message, where other
** compressors have run since the last one: looking for matches misses its cache
** at nearly every step, one after the other; this has many under way. */
void ws_deflate_warm(const struct ws_deflate *d);

/* Takes bytes from the front of in and puts compressed ones at the front of
** out.  WS_OK: all of in is taken, and with flush everything is out and ends
** at a byte with 00 00 FF FF, unless there was nothing to flush.  WS_MORE: out
** is (nearly) full; call again with more. */
int ws_deflate_run(struct ws_deflate *d, struct ws_slice *in,
                   struct ws_span *out, int flush);

/* -- decompressing -- */

/* A decompressor with an empty window, or NULL without memory.  What looks back
** further than the window is refused, but for what the same call of zlib made:
** that is at hand, and zlib looks no closer. */
struct ws_inflate *ws_inflate_new(struct ws_mem *mem, int window);

/* Gives it back; NULL is fine. */
void ws_inflate_free(struct ws_inflate *z);

/* Begins another stream with an empty window. */
void ws_inflate_reset(struct ws_inflate *z);

/* Takes bytes from the front of in and puts what they mean at the front of
** out, which must not be empty.  Behind a last block another stream may begin,
** in the same window.  WS_OK: all of in is taken, and all it means is out.
** WS_MORE: out is full, and there may be more.  WS_ERR_DEFLATE: no DEFLATE
** stream; WS_ERR_NOMEM. */
int ws_inflate_run(struct ws_inflate *z, struct ws_slice *in,
                   struct ws_span *out);

/* 1 when a block, and a byte, ends where the input ended. */
int ws_inflate_between(const struct ws_inflate *z);

/* 1 when no byte came since it was made or reset, or since a last block. */
int ws_inflate_fresh(const struct ws_inflate *z);

#endif
