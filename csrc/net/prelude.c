/* net/prelude.c -- see prelude.h. */
#include "net/prelude.h"

#include "base/digest.h"
#include "wire/field.h"

#include <stdio.h>

enum {
    LABEL_MAX = 600,   /* a call, two hosts and two ports */
    REASON_SHOWN = 120 /* bytes of a proxy's words that an error shows */
};

static struct ws_prelude *prelude_of(struct ws_stream *s)
{
    return ws_container(s, struct ws_prelude, stream);
}

/* -- life -- */

void ws_prelude_authority(char *out, size_t n, const char *host, int port)
{
    int v6 = strchr(host, ':') != NULL;

    snprintf(out, n, "%s%s%s:%d", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

struct ws_prelude *ws_prelude_new(size_t size, struct ws_stream *below,
                                  struct ws_mem *mem, const char *call,
                                  const struct ws_tunnel *t)
{
    char target[LABEL_MAX / 2], label[LABEL_MAX];
    struct ws_prelude *p;
    size_t n;

    ws_prelude_authority(target, sizeof target, t->host, t->port);
    snprintf(label, sizeof label, "%s %s by %s", call, target, t->proxy);
    n = strlen(label) + 1;
    p = ws_mem_get(mem, size + n);
    if (p == NULL)
        return NULL;
    memset(p, 0, size);
    memcpy((char *)p + size, label, n);
    p->label = (char *)p + size;
    p->size = size + n;
    p->stream.want = WS_STREAM_OPENING;
    p->below = below;
    p->mem = mem;
    ws_buf_init(&p->out, 0);
    ws_buf_init(&p->in, 0);
    return p;
}

void ws_prelude_free(struct ws_prelude *p)
{
    struct ws_mem *mem = p->mem;
    size_t size = p->size;

    ws_buf_free(&p->out, mem);
    ws_buf_free(&p->in, mem);
    ws_wipe(p, size); /* there may be a password in it */
    ws_mem_put(mem, p, size);
}

void ws_prelude_close(struct ws_stream *s)
{
    struct ws_prelude *p = prelude_of(s);

    if (p->below != NULL)
        ws_stream_close(p->below);
    ws_prelude_free(p);
}

void ws_prelude_stand(struct ws_stream *s, struct ws_stream *below)
{
    prelude_of(s)->below = below;
}

void ws_prelude_leave(struct ws_stream *s)
{
    struct ws_prelude *p = prelude_of(s);

    ws_stream_close(p->below);
    p->below = NULL;
}

/* -- the opening -- */

/* An answer of the stream below: an error is its own to explain. */
static int from_below(struct ws_prelude *p, ptrdiff_t n)
{
    if (n < 0 && n != WS_AGAIN)
        p->below_failed = 1;
    return (int)n;
}

static void wait_for(struct ws_prelude *p, int writable)
{
    p->stream.want &= (uint8_t)~WS_STREAM_READ_OUT;
    if (writable)
        p->stream.want |= WS_STREAM_READ_OUT;
}

int ws_prelude_send(struct ws_prelude *p)
{
    int err = from_below(p, ws_stream_open_below(&p->stream, p->below));

    while (err == WS_OK && ws_buf_size(&p->out) > 0) {
        struct ws_slice v = ws_buf_peek(&p->out);
        ptrdiff_t n = ws_stream_write(p->below, &v, 1);
        if (n < 0)
            err = from_below(p, n);
        else
            ws_buf_skip(&p->out, (size_t)n);
        if (n == WS_AGAIN)
            wait_for(p, (p->below->want & WS_STREAM_WRITE_IN) == 0);
    }
    if (err == WS_OK)
        ws_buf_free(&p->out, p->mem); /* there may be a password in it */
    return err;
}

int ws_prelude_listen(struct ws_prelude *p, size_t n)
{
    struct ws_span room;
    ptrdiff_t got;
    int err = ws_buf_room(&p->in, p->mem, n, &room);

    if (err != WS_OK)
        return ws_prelude_refuse(p, ws_err_text(err));
    room.n = n;
    got = ws_stream_read(p->below, room);
    if (got == WS_AGAIN)
        wait_for(p, (p->below->want & WS_STREAM_READ_OUT) != 0);
    if (got < 0)
        return from_below(p, got);
    if (got == 0)
        return ws_prelude_refuse(p, "the proxy ended the connection");
    ws_buf_commit(&p->in, (size_t)got);
    return WS_OK;
}

int ws_prelude_refuse(struct ws_prelude *p, const char *why)
{
    p->why = why;
    return WS_ERR_PROXY;
}

/* What the stream below wants, and what came behind the answer. */
static void mirror(struct ws_prelude *p)
{
    p->stream.want = p->below->want;
    if (ws_buf_size(&p->in) > 0)
        p->stream.want |= WS_STREAM_PENDING;
    else
        ws_buf_free(&p->in, p->mem);
}

int ws_prelude_done(struct ws_prelude *p)
{
    mirror(p);
    return WS_OK;
}

/* -- passing through -- */

ptrdiff_t ws_prelude_read(struct ws_stream *s, struct ws_span room)
{
    struct ws_prelude *p = prelude_of(s);
    struct ws_slice left = ws_buf_peek(&p->in);
    ptrdiff_t n;

    if (left.n > 0) {
        left.n = left.n < room.n ? left.n : room.n;
        memcpy(room.p, left.p, left.n);
        ws_buf_skip(&p->in, left.n);
        return (ptrdiff_t)left.n; /* PENDING: below may have more */
    }
    n = ws_stream_read(p->below, room);
    from_below(p, n);
    mirror(p);
    return n;
}

ptrdiff_t ws_prelude_write(struct ws_stream *s, const struct ws_slice *v, int n)
{
    struct ws_prelude *p = prelude_of(s);
    ptrdiff_t done = ws_stream_write_below(s, p->below, v, n);

    from_below(p, done);
    mirror(p);
    return done;
}

int ws_prelude_shutdown(struct ws_stream *s)
{
    struct ws_prelude *p = prelude_of(s);
    int err = ws_stream_shutdown(p->below);

    mirror(p);
    return err;
}

/* -- words -- */

const char *ws_prelude_failure(struct ws_stream *s, const char *call,
                               char *text, size_t size)
{
    struct ws_prelude *p = prelude_of(s);
    char reason[REASON_SHOWN + 1];

    if (p->below_failed)
        return ws_stream_failure(p->below, call, text, size);
    ws_field_show(reason, sizeof reason, p->reason);
    if (p->status > 0)
        snprintf(text, size, "%s: %d %s", p->label, p->status, reason);
    else
        snprintf(text, size, "%s: %s", p->label, p->why);
    return ws_err_word(WS_ERR_PROXY);
}

const char *ws_prelude_busy(struct ws_stream *s)
{
    struct ws_prelude *p = prelude_of(s);

    return ws_stream_is_opening(p->below) ? ws_stream_busy(p->below) : p->label;
}
