/* spec/fuzz/inflate.c -- compressed messages through a whole connection, bytes
** cut anywhere, limits of any size.
**
** Input: a byte of choices (bits below), a byte for the cuts and for which
** allocation fails, two for the limit, then for each frame a byte (its low six
** bits: how many bytes follow; bit 6: the last of its message; bit 7: text) and
** its payload.  The first frame of a message is marked as compressed.
**
** What must hold for any bytes: the same events whole and cut; no message above
** the limit; memory that the limit and two windows account for, and all of it
** back at the end; text that is UTF-8; output that is nothing but a Close.
*/
#include "fuzz.h"

#include "proto/closing.h"

enum {
    AS_CLIENT = 1, /* else a server */
    ALONE = 2,     /* no window is taken over */
    SMALL = 4,     /* a window of 9 bits: then cuts may decide what is found */
    FAILING = 8    /* an allocation fails */
};

enum { INPUT_MAX = 1 << 15, SLACK = 1 << 17 };

struct record {
    uint8_t events[256];
    size_t nevents;
    uint64_t hash, bytes;
    int fault;
};

struct run {
    struct ws_conn conn;
    struct ws_conf conf;
    struct ws_pool pool;
    struct ws_pmd_pool codecs;
    struct ws_mem mem;
    struct record r;
    unsigned choice;
    struct fuzz_failing failing;
};

static void configure(struct run *t, uint64_t limit)
{
    static const struct ws_head_limits head = WS_HEAD_LIMITS;
    struct ws_conf *c = &t->conf;

    c->role = (t->choice & AS_CLIENT) != 0 ? WS_CLIENT : WS_SERVER;
    c->mem = &t->mem;
    c->pool = &t->pool;
    c->codecs = &t->codecs;
    c->random = fuzz_chance;
    c->message.payload_max = limit;
    c->message.fragments_max = 100;
    c->head = head;
    c->body_max = 100;
    c->buffered_max = c->high_water = 1 << 20;
    c->auto_pong = 1;
    c->pmd.on = 1;
    c->pmd.offer.client_window = WS_WINDOW_ANY;
    if (c->role == WS_SERVER)
        c->pmd.offer.client_window = (t->choice & SMALL) != 0 ? 9 : 0;
}

/* Every event's type, code and data go into the record. */
static void note(struct run *t, const struct ws_event *ev)
{
    struct record *r = &t->r;
    size_t i;

    if (r->nevents < sizeof r->events)
        r->events[r->nevents++] = ev->type;
    if (ev->type != WS_EV_TEXT && ev->type != WS_EV_BINARY)
        return;
    CHECK(ev->data.n <= t->conf.message.payload_max);
    CHECK(ev->type == WS_EV_BINARY || ws_utf8_valid(ev->data));
    r->bytes += ev->data.n;
    for (i = 0; i < ev->data.n; i += 1 + ev->data.n / 4096)
        r->hash = r->hash * 31 + ev->data.p[i];
}

static void pull(struct run *t)
{
    struct ws_event ev;

    while (ws_conn_next(&t->conn, &ev) == WS_OK) {
        if (ev.type == WS_EV_UPGRADE)
            ws_conn_accept(&t->conn, ws_slice_of(NULL, 0), NULL, NULL);
        note(t, &ev);
    }
    ws_conn_sent(&t->conn, t->conn.chain.size);
}

static void feed(struct run *t, const uint8_t *data, size_t n, size_t most)
{
    size_t limit = (size_t)t->conf.message.payload_max;

    while (n > 0) {
        size_t piece = n < most ? n : most, had;
        struct ws_span copy = fuzz_copy(data, piece), in = copy;

        do {
            had = in.n;
            ws_conn_feed(&t->conn, &in);
            pull(t);
        } while (in.n > 0 && in.n < had);
        free(copy.p);
        CHECK(t->mem.used <= 2 * limit + SLACK);
        if (in.n > 0)
            return; /* it wants no more */
        data += piece;
        n -= piece;
    }
}

/* -- what the peer sends -- */

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"

static const char request[] =
    "GET / HTTP/1.1\r\nHost: h\r\n" UPGRADE "Sec-WebSocket-Key: " KEY
    "\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
static const char response[] =
    "HTTP/1.1 101 OK\r\n" UPGRADE
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate";

static size_t put(uint8_t *p, size_t at, const char *s)
{
    memcpy(p + at, s, strlen(s));
    return at + strlen(s);
}

static size_t put_head(uint8_t *p, unsigned choice)
{
    size_t at = put(p, 0, (choice & AS_CLIENT) != 0 ? response : request);

    if ((choice & SMALL) != 0 && (choice & AS_CLIENT) != 0)
        at = put(p, at, "; server_max_window_bits=9");
    if ((choice & ALONE) != 0)
        at = put(p, at,
                 "; server_no_context_takeover; "
                 "client_no_context_takeover");
    return put(p, at, "\r\n\r\n");
}

/* The frames, behind the handshake; returns how many bytes. */
static size_t build(uint8_t *p, unsigned choice, const uint8_t *data, size_t n)
{
    size_t at = put_head(p, choice);
    int inside = 0;

    while (n > 0) {
        uint8_t b = fuzz_byte(&data, &n);
        struct ws_frame f;

        memset(&f, 0, sizeof f);
        f.len = (b & 0x3Fu) < n ? b & 0x3Fu : n;
        f.fin = (b & 0x40) != 0;
        f.rsv1 = !inside;
        f.op = inside            ? WS_OP_CONTINUATION
               : (b & 0x80) != 0 ? WS_OP_TEXT
                                 : WS_OP_BINARY;
        f.masked = (choice & AS_CLIENT) == 0; /* by zeros */
        at += ws_frame_write(p + at, &f);
        memcpy(p + at, data, (size_t)f.len);
        at += (size_t)f.len;
        data += f.len;
        n -= (size_t)f.len;
        inside = !f.fin;
    }
    return at;
}

static void play(struct run *t, struct ws_slice bytes, size_t most,
                 uint64_t limit)
{
    struct ws_hello_conf hello;

    ws_mem_init(&t->mem, fuzz_alloc, &t->failing);
    ws_pool_init(&t->pool, &t->mem);
    ws_pmd_pool_init(&t->codecs, &t->mem);
    configure(t, limit);
    ws_conn_init(&t->conn, &t->conf, 0);
    memset(&hello, 0, sizeof hello);
    hello.target = ws_slice_str("/");
    hello.host = ws_slice_str("h");
    if (t->conf.role == WS_CLIENT && ws_conn_start(&t->conn, &hello) != WS_OK)
        ws_conn_lost(&t->conn, WS_ERR_NOMEM);
    pull(t);
    feed(t, bytes.p, bytes.n, most);
    CHECK(t->conn.fault == WS_OK || t->conn.opened ||
          (t->choice & FAILING) != 0);
    t->r.fault = t->conn.fault;
    ws_conn_closed(&t->conn);
    ws_conn_free(&t->conn);
    ws_pool_free(&t->pool);
    ws_pmd_pool_free(&t->codecs);
    CHECK(t->mem.used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct run whole, cut;
    static uint8_t bytes[INPUT_MAX * 8];
    unsigned choice = fuzz_byte(&data, &n), cuts = fuzz_byte(&data, &n);
    uint64_t limit = 1u + fuzz_byte(&data, &n) * 256u + fuzz_byte(&data, &n);
    struct ws_slice all;

    if (n > INPUT_MAX)
        return 0;
    all = ws_slice_of(bytes, build(bytes, choice, data, n));
    memset(&whole, 0, sizeof whole);
    memset(&cut, 0, sizeof cut);
    whole.choice = cut.choice = choice;
    if ((choice & FAILING) != 0)
        whole.failing.at = 1 + cuts % 32;
    play(&whole, all, all.n, limit);
    if ((choice & (FAILING | SMALL)) != 0)
        return 0;
    play(&cut, all, 1 + cuts % 64, limit);
    CHECK(whole.r.fault == cut.r.fault);
    CHECK(whole.r.nevents == cut.r.nevents && whole.r.hash == cut.r.hash);
    CHECK(whole.r.bytes == cut.r.bytes);
    CHECK(memcmp(whole.r.events, cut.r.events, whole.r.nevents) == 0);
    return 0;
}
