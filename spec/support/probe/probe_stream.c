/* probe_stream.c -- a stream on a stream to be put under any session.
**
** It turns every byte round (XOR), opens by a knock that the other side answers
** with an "enter", and does at will all that a stream may do: wait for the
** wrong direction, hold bytes back that the socket no longer has, fail.
*/
#include "probe_stream.h"

#include <stdio.h>

enum { ROOM = 4096, TURN = 0x5A };

struct door {
    struct ws_stream stream;
    struct ws_stream *below;
    struct ws_mem *mem;
    int server, bottom; /* bottom: the error was of the stream below */
    int sip;            /* bytes given at a time */
    int read_out, write_in, open_out, shut_again; /* so often */
    int write_skip;                               /* writes before write_in */
    int fail_open, fail_read;                     /* in that call, from 1 */
    int said, heard; /* bytes of the two opening words */
    uint8_t held[ROOM];
    size_t from, to; /* of held */
};

static struct door *door_of(struct ws_stream *s)
{
    return ws_container(s, struct door, stream);
}

static void want(struct door *d, unsigned bits, int on)
{
    d->stream.want &= (uint8_t)~bits;
    if (on)
        d->stream.want |= (uint8_t)bits;
}

static void turn(uint8_t *p, size_t n)
{
    while (n-- > 0)
        *p++ ^= TURN;
}

static ptrdiff_t of_below(struct door *d, ptrdiff_t n)
{
    d->bottom = n < 0 && n != WS_AGAIN;
    return n;
}

/* Takes what is below into held; as a read. */
static ptrdiff_t refill(struct door *d)
{
    ptrdiff_t n = ws_stream_read(d->below, ws_span_of(d->held, ROOM));

    if (n > 0) {
        turn(d->held, (size_t)n);
        d->from = 0;
        d->to = (size_t)n;
    }
    return of_below(d, n);
}

static int say(struct door *d, const char *word, int n)
{
    struct ws_slice v;
    ptrdiff_t k;

    if (d->said == n)
        return WS_OK;
    v = ws_slice_of(word + d->said, (size_t)(n - d->said));
    k = of_below(d, ws_stream_write(d->below, &v, 1));
    if (k >= 0)
        d->said += (int)k;
    want(d, WS_STREAM_READ_OUT, d->said < n);
    return d->said == n ? WS_OK : k >= 0 ? WS_AGAIN : (int)k;
}

/* Byte by byte is slow, and shows that what follows is kept. */
static int hear(struct door *d, const char *word, int n)
{
    ptrdiff_t k = 1;

    while (d->heard < n && k > 0) {
        if (d->from == d->to)
            k = refill(d);
        if (k <= 0)
            break;
        if ((d->held[d->from++] ^ TURN) != (uint8_t)word[d->heard++])
            return WS_ERR_REFUSED;
    }
    if (d->heard == n)
        return WS_OK;
    return k == 0 ? WS_ERR_LOST : (int)k;
}

static int door_open(struct ws_stream *s)
{
    struct door *d = door_of(s);
    int err = ws_stream_open_below(s, d->below);

    if (err != WS_OK)
        return (int)of_below(d, err);
    if (d->fail_open > 0 && --d->fail_open == 0)
        return WS_ERR_REFUSED;
    if (d->open_out > 0) {
        d->open_out--;
        want(d, WS_STREAM_READ_OUT, 1);
        return WS_AGAIN;
    }
    if (d->server)
        err = hear(d, "knock", 5);
    if (err == WS_OK)
        err = say(d, d->server ? "enter" : "knock", 5);
    if (err == WS_OK && !d->server)
        err = hear(d, "enter", 5);
    if (err == WS_OK)
        want(d, WS_STREAM_OPENING | WS_STREAM_READ_OUT, 0);
    want(d, WS_STREAM_PENDING, d->from < d->to);
    return err;
}

static ptrdiff_t door_read(struct ws_stream *s, struct ws_span room)
{
    struct door *d = door_of(s);
    size_t n = 0, most = room.n;
    ptrdiff_t k = 1;

    if (d->fail_read > 0 && --d->fail_read == 0)
        return WS_ERR_REFUSED;
    want(d, WS_STREAM_READ_OUT, d->read_out > 0);
    if (d->read_out > 0) {
        d->read_out--;
        return WS_AGAIN;
    }
    if (d->sip > 0 && (size_t)d->sip < most)
        most = (size_t)d->sip;
    while (n < most && k > 0) {
        if (d->from == d->to)
            k = refill(d);
        while (n < most && d->from < d->to)
            room.p[n++] = d->held[d->from++];
    }
    want(d, WS_STREAM_PENDING,
         d->from < d->to || (n > 0 && k != WS_AGAIN && k <= 0) ||
             (n == most && most < room.n));
    return n > 0 ? (ptrdiff_t)n : k;
}

static ptrdiff_t door_write(struct ws_stream *s, const struct ws_slice *v,
                            int n)
{
    struct door *d = door_of(s);
    uint8_t copy[ROOM];
    size_t done = 0;
    ptrdiff_t k;
    int i;

    want(d, WS_STREAM_WRITE_IN, d->write_skip == 0 && d->write_in > 0);
    if (d->write_skip > 0) {
        d->write_skip--;
    } else if (d->write_in > 0) {
        d->write_in--;
        return WS_AGAIN;
    }
    for (i = 0; i < n; i++) {
        size_t at = 0;
        while (at < v[i].n) {
            size_t m = v[i].n - at < ROOM ? v[i].n - at : ROOM;
            struct ws_slice one = ws_slice_of(copy, m);
            memcpy(copy, v[i].p + at, m);
            turn(copy, m);
            k = of_below(d, ws_stream_write_below(s, d->below, &one, 1));
            if (k < 0)
                return done > 0 ? (ptrdiff_t)done : k;
            at += (size_t)k;
            done += (size_t)k;
            if ((size_t)k < m)
                return (ptrdiff_t)done;
        }
    }
    return (ptrdiff_t)done;
}

static int door_shutdown(struct ws_stream *s)
{
    struct door *d = door_of(s);

    if (d->shut_again > 0) {
        d->shut_again--;
        return WS_AGAIN;
    }
    return ws_stream_shutdown(d->below);
}

static void door_close(struct ws_stream *s)
{
    struct door *d = door_of(s);

    ws_stream_close(d->below);
    ws_mem_put(d->mem, d, sizeof *d);
}

static const char *door_failure(struct ws_stream *s, const char *call,
                                char *text, size_t size)
{
    struct door *d = door_of(s);

    if (d->bottom)
        return ws_stream_failure(d->below, call, text, size);
    snprintf(text, size, "door %s: no entry", call);
    return "DOOR";
}

static const char *door_busy(struct ws_stream *s)
{
    (void)s;
    return "door";
}

static const struct ws_stream_ops ops = {
    door_open,  door_read,    door_write, door_shutdown,
    door_close, door_failure, door_busy,
};

static int number(lua_State *L, int idx, const char *name)
{
    int n;

    lua_getfield(L, idx, name);
    n = (int)luaL_optinteger(L, -1, 0);
    lua_pop(L, 1);
    return n;
}

/* {server =, sip =, read_out =, write_in =, write_skip =, open_out =,
** shut_again =, fail_open =, fail_read =}; NULL without memory */
struct ws_stream *probe_door(lua_State *L, int idx, struct ws_mem *mem,
                             struct ws_stream *below)
{
    struct door *d;

    luaL_checktype(L, idx, LUA_TTABLE);
    d = ws_mem_get(mem, sizeof *d);
    if (d == NULL)
        return NULL;
    memset(d, 0, sizeof *d);
    d->stream.ops = &ops;
    d->stream.want = WS_STREAM_OPENING;
    d->below = below;
    d->mem = mem;
    d->sip = number(L, idx, "sip");
    d->read_out = number(L, idx, "read_out");
    d->write_in = number(L, idx, "write_in");
    d->write_skip = number(L, idx, "write_skip");
    d->open_out = number(L, idx, "open_out");
    d->shut_again = number(L, idx, "shut_again");
    d->fail_open = number(L, idx, "fail_open");
    d->fail_read = number(L, idx, "fail_read");
    lua_getfield(L, idx, "server");
    d->server = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return &d->stream;
}
