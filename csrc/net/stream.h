/* net/stream.h -- what a transport is: a few functions.
**
** TCP and unix sockets are streams; TLS and proxies are streams on streams.
** Nothing here blocks: what cannot be done now is WS_AGAIN.
*/
#ifndef WS_NET_STREAM_H
#define WS_NET_STREAM_H

#include "base/base.h"
#include "base/err.h"

/* Would block; no error of the list has this number. */
enum { WS_AGAIN = -1000 };

_Static_assert((int)WS_AGAIN < (int)WS_ERR_LAST, "WS_AGAIN is no error code");

struct ws_stream;

struct ws_stream_ops {
    /* Bytes read into room (room.n > 0), 0: the peer's end, WS_AGAIN, or
       WS_ERR_SYSTEM with stream->err. */
    ptrdiff_t (*read)(struct ws_stream *s, struct ws_span room);
    /* Bytes taken from the front of n slices, WS_AGAIN, or as above. */
    ptrdiff_t (*write)(struct ws_stream *s, const struct ws_slice *v, int n);
    /* Ends our direction. */
    void (*shutdown)(struct ws_stream *s);
    /* Gives the transport back; twice is fine. */
    void (*close)(struct ws_stream *s);
};

struct ws_stream {
    const struct ws_stream_ops *ops;
    int err; /* errno of the last failure */
};

static inline ptrdiff_t ws_stream_read(struct ws_stream *s, struct ws_span room)
{
    return s->ops->read(s, room);
}

static inline ptrdiff_t ws_stream_write(struct ws_stream *s,
                                        const struct ws_slice *v, int n)
{
    return s->ops->write(s, v, n);
}

static inline void ws_stream_shutdown(struct ws_stream *s)
{
    s->ops->shutdown(s);
}

static inline void ws_stream_close(struct ws_stream *s)
{
    s->ops->close(s);
}

#endif
