/* net/stream.h -- what a transport is: a few functions.
**
** A stream carries bytes both ways without ever blocking.  A socket is one;
** TLS and proxies are streams on top of another stream, stacked in any order.
** Whoever uses a stream embeds the concrete kind, or a pointer, and calls the
** functions below.
**
** Errors: WS_ERR_SYSTEM leaves the errno in stream.err; other kinds of stream
** may answer with other codes.
*/
#ifndef WS_NET_STREAM_H
#define WS_NET_STREAM_H

#include "base/base.h"
#include "base/err.h"
#include "net/errno.h"

/* Nothing now: wait until the descriptor is ready and ask again.  Not an
** error, and told apart from all codes of err.h. */
enum { WS_AGAIN = -4096 };

_Static_assert(WS_AGAIN < WS_ERR_LAST, "WS_AGAIN is no error code");

/* What a stream waits for on behalf of itself (TLS has to write in order to
** read); to be added to what the caller waits for. */
enum { WS_STREAM_READ = 1, WS_STREAM_WRITE = 2 };

struct ws_stream {
    const struct ws_stream_ops *ops;
    int err; /* errno of the last failure */
};

struct ws_stream_ops {
    /* Up to room.n bytes (n > 0) into room: how many, 0 when the peer will
    ** send no more, WS_AGAIN, or an error. */
    ptrdiff_t (*read)(struct ws_stream *s, struct ws_span room);

    /* Bytes of the n slices in v, in order: how many were taken (fewer than
    ** there are: the rest will have to wait), WS_AGAIN, or an error. */
    ptrdiff_t (*write)(struct ws_stream *s, const struct ws_slice *v, int n);

    /* No more writes; the peer reads to the end.  WS_OK, WS_AGAIN (TLS: call
    ** again when ready) or an error. */
    int (*shutdown)(struct ws_stream *s);

    /* Gives everything back, the descriptor too; twice is fine. */
    void (*close)(struct ws_stream *s);

    /* WS_STREAM_ bits. */
    unsigned (*want)(const struct ws_stream *s);

    /* The descriptor at the bottom, or -1 when closed. */
    int (*fd)(const struct ws_stream *s);
};

static inline ptrdiff_t ws_stream_read(struct ws_stream *s,
                                       struct ws_span room)
{
    return s->ops->read(s, room);
}

static inline ptrdiff_t ws_stream_write(struct ws_stream *s,
                                        const struct ws_slice *v, int n)
{
    return s->ops->write(s, v, n);
}

static inline int ws_stream_shutdown(struct ws_stream *s)
{
    return s->ops->shutdown(s);
}

static inline void ws_stream_close(struct ws_stream *s)
{
    s->ops->close(s);
}

static inline unsigned ws_stream_want(const struct ws_stream *s)
{
    return s->ops->want(s);
}

static inline int ws_stream_fd(const struct ws_stream *s)
{
    return s->ops->fd(s);
}

#endif
