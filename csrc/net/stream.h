/* net/stream.h -- what a transport is: a few functions and some want-bits.
**
** TCP and unix sockets are streams; TLS and proxies are streams on streams:
** each holds the one below, and whoever has the top one needs no other.
** Nothing here blocks: what cannot be done now is WS_AGAIN.
**
** The contract of a stream on a stream
** - It is memory of its own, from ws_mem; close closes what is below, then
**   gives that memory back: the pointer is dead afterwards.  Making one takes
**   the stream below over only when it succeeds.
** - It starts with WS_STREAM_OPENING in want.  open opens what is below first
**   (ws_stream_open_below), then itself, and clears the bit when bytes may
**   flow; read and write are not called before.  Bytes that came behind its
**   own opening belong to the one above: it keeps them, sets WS_STREAM_PENDING
**   and gives them out first.
** - read fills the room or stops where the one below has no more: less than
**   the room says "nothing is left for now", unless WS_STREAM_PENDING is set.
** - write takes all, or stops where the one below takes no more.  After
**   WS_AGAIN, or less than all, it is called again with the same bytes in
**   front (others may have come behind them): it may have begun with them.
**   It writes by ws_stream_write_below, so that WS_STREAM_MORE gets down.
** - After WS_AGAIN the want-bits say what to wait for, when it is not the
**   usual.  They are current after each call of open, read and write.
** - After an error it is only asked for failure, and closed; after one of write
**   that leaves WS_STREAM_LEFT it may be read until its end.  failure asks
**   the one below when the error was its.  A server's TLS that did not open is
**   also shut down and read to the peer's end, whatever that is, so that the
**   alert it sent is not lost to a reset.
*/
#ifndef WS_NET_STREAM_H
#define WS_NET_STREAM_H

#include "base/base.h"
#include "base/err.h"

/* Would block; no error of the list has this number. */
enum { WS_AGAIN = -1000 };

_Static_assert((int)WS_AGAIN < (int)WS_ERR_LAST, "WS_AGAIN is no error code");

/* What a stream's owner must know, and what the stream is told.  Of all this a
** plain socket never has but MORE and LEFT. */
enum {
    WS_STREAM_OPENING = 1,  /* open has not said WS_OK yet */
    WS_STREAM_PENDING = 2,  /* read has something, whatever the socket says */
    WS_STREAM_READ_OUT = 4, /* open, read wait until the socket is writable */
    WS_STREAM_WRITE_IN = 8, /* write waits until the socket is readable */
    WS_STREAM_MORE = 16,    /* told by the owner: what is written is followed at
                               once, by more or by shutdown, and may travel
                               with that */
    WS_STREAM_LEFT = 32,    /* write failed since the peer has left; what it
                               sent before can be read as ever */
    WS_STREAM_ANEW = 64     /* open goes on when the prelude in it stands on a
                               new connection */
};

struct ws_stream;

struct ws_stream_ops {
    /* A step of the opening.  WS_OK: bytes may flow; WS_AGAIN: wait until the
       socket is readable (WS_STREAM_READ_OUT: writable; WS_STREAM_ANEW: is
       another); or an error.  NULL: never OPENING. */
    int (*open)(struct ws_stream *s);
    /* Bytes read into room (room.n > 0), 0: the peer's end, WS_AGAIN, or an
       error. */
    ptrdiff_t (*read)(struct ws_stream *s, struct ws_span room);
    /* Bytes taken from the front of n slices, WS_AGAIN, or an error. */
    ptrdiff_t (*write)(struct ws_stream *s, const struct ws_slice *v, int n);
    /* Ends our direction: WS_OK, also when that failed, or WS_AGAIN: once
       more when the socket is writable. */
    int (*shutdown)(struct ws_stream *s);
    /* Gives the transport back; twice is fine for a socket. */
    void (*close)(struct ws_stream *s);
    /* The error that open, read or write returned, in words, and the word the
       Lua API reports, which is static.  call: "recv" or "send". */
    const char *(*failure)(struct ws_stream *s, const char *call, char *text,
                           size_t size);
    /* What its opening is busy with, in words that live as long as it does.
       NULL: never OPENING. */
    const char *(*busy)(struct ws_stream *s);
};

struct ws_stream {
    const struct ws_stream_ops *ops;
    int err;      /* a socket: errno of the last failure */
    uint8_t want; /* WS_STREAM_ bits */
};

static inline int ws_stream_open(struct ws_stream *s)
{
    return (s->want & WS_STREAM_OPENING) == 0 ? WS_OK : s->ops->open(s);
}

/* For an open: opens below; s waits for what that waits for. */
static inline int ws_stream_open_below(struct ws_stream *s,
                                       struct ws_stream *below)
{
    const unsigned bits = WS_STREAM_READ_OUT | WS_STREAM_ANEW;
    int err = ws_stream_open(below);

    s->want &= (uint8_t)~bits;
    s->want |= (uint8_t)(below->want & bits);
    return err;
}

static inline ptrdiff_t ws_stream_read(struct ws_stream *s, struct ws_span room)
{
    return s->ops->read(s, room);
}

static inline ptrdiff_t ws_stream_write(struct ws_stream *s,
                                        const struct ws_slice *v, int n)
{
    return s->ops->write(s, v, n);
}

/* For a write: below learns what s was told. */
static inline ptrdiff_t ws_stream_write_below(const struct ws_stream *s,
                                              struct ws_stream *below,
                                              const struct ws_slice *v, int n)
{
    below->want &= (uint8_t)~WS_STREAM_MORE;
    below->want |= (uint8_t)(s->want & WS_STREAM_MORE);
    return ws_stream_write(below, v, n);
}

static inline int ws_stream_shutdown(struct ws_stream *s)
{
    return s->ops->shutdown(s);
}

static inline void ws_stream_close(struct ws_stream *s)
{
    s->ops->close(s);
}

static inline const char *ws_stream_failure(struct ws_stream *s,
                                            const char *call, char *text,
                                            size_t size)
{
    return s->ops->failure(s, call, text, size);
}

static inline const char *ws_stream_busy(struct ws_stream *s)
{
    return s->ops->busy(s);
}

static inline int ws_stream_is_opening(const struct ws_stream *s)
{
    return (s->want & WS_STREAM_OPENING) != 0;
}

#endif
