/* net/prelude.h -- a stream that speaks first and then steps aside.
**
** What the streams of proxies have in common: they send something on the
** stream below, wait for an answer, and from then on pass bytes through; those
** that came behind the answer go first.  proxy.c and socks.c know what is said.
*/
#ifndef WS_NET_PRELUDE_H
#define WS_NET_PRELUDE_H

#include "base/buf.h"
#include "net/stream.h"

/* Where a tunnel leads, and through whom; strings are needed only while the
** stream is made. */
struct ws_tunnel {
    const char *host; /* the target: a name, or an address without brackets */
    int port;
    const char *user; /* for the proxy; NULL: none */
    const char *password;
    const char *proxy; /* "proxy.lan:3128", for the words of errors */
};

struct ws_prelude {
    struct ws_stream stream;
    struct ws_stream *below;
    struct ws_mem *mem;
    struct ws_buf out;      /* to be said yet */
    struct ws_buf in;       /* the answer so far; later what came behind it */
    size_t size;            /* bytes of the whole, what embeds it included */
    const char *label;      /* "CONNECT h:443 by proxy.lan:3128" */
    const char *why;        /* what is wrong with the answer, static; or NULL */
    int status;             /* and its status, or 0 */
    struct ws_slice reason; /* with these words, in `in` */
    uint8_t below_failed;   /* the error is the one's below */
};

/* -- life -- */

/* A prelude of at least sizeof(struct ws_prelude) zeroed bytes; `call` opens
** its label.  below NULL: it is put on later.  NULL: no memory.  Its stream's
** ops are to be set. */
struct ws_prelude *ws_prelude_new(size_t size, struct ws_stream *below,
                                  struct ws_mem *mem, const char *call,
                                  const struct ws_tunnel *t);

/* Gives back all but what is below: it could not be made. */
void ws_prelude_free(struct ws_prelude *p);

/* Puts one that has no stream below on below. */
void ws_prelude_stand(struct ws_stream *s, struct ws_stream *below);

/* Closes what is below, as WS_STREAM_ANEW asks for: there is nothing then. */
void ws_prelude_leave(struct ws_stream *s);

/* "host:port", with brackets around an IPv6 address, into out (cut if need
** be). */
void ws_prelude_authority(char *out, size_t n, const char *host, int port);

/* -- for an open -- */

/* Opens below, then sends what is in out.  WS_OK when all of it is sent, else
** what open answers. */
int ws_prelude_send(struct ws_prelude *p);

/* Reads at most n bytes more of the answer.  WS_OK when some came, else what
** open answers. */
int ws_prelude_listen(struct ws_prelude *p, size_t n);

/* The answer is refused for this reason: WS_ERR_PROXY. */
int ws_prelude_refuse(struct ws_prelude *p, const char *why);

/* Bytes flow from here on, those left in `in` first: WS_OK. */
int ws_prelude_done(struct ws_prelude *p);

/* -- the other functions of its stream -- */

ptrdiff_t ws_prelude_read(struct ws_stream *s, struct ws_span room);
ptrdiff_t ws_prelude_write(struct ws_stream *s, const struct ws_slice *v,
                           int n);
int ws_prelude_shutdown(struct ws_stream *s);
void ws_prelude_close(struct ws_stream *s);
const char *ws_prelude_failure(struct ws_stream *s, const char *call,
                               char *text, size_t size);
const char *ws_prelude_busy(struct ws_stream *s);

#endif
