/* spec/fuzz/conn.c -- the whole connection, either role, bytes cut anywhere.
**
** Input: a byte of choices (bits below), a byte for the cuts and for which
** allocation fails, then what the peer sends from the first byte of its
** handshake on.  Chance is fixed: the client's key is that of RFC 6455 1.3, so
** that an answer in a seed fits it.
**
** What must hold for any bytes: the same events and output whole and cut; one
** CLOSE, nothing behind it; at most one FAULT, before it; output that is a
** head and then whole frames, of which only pongs follow a Close; memory that
** what came accounts for, and all of it back at the end, also when an
** allocation fails.
*/
#include "fuzz.h"

#include "proto/closing.h"

enum {
    AS_CLIENT = 1,   /* else a server */
    WITH_ECHO = 2,   /* messages are sent back, and a greeting first */
    WITH_CLOSE = 4,  /* the second message is answered by our Close */
    WITH_REJECT = 8, /* an upgrade is refused */
    FINISHED = 16,   /* the second message ends it from within */
    NO_PONG = 32,
    SMALL = 64,  /* tight limits */
    FRAMES = 128 /* frame mode */
};

enum { INPUT_MAX = 1 << 16, MEMORY = 1 << 17 };

/* What one run showed. */
struct record {
    uint8_t *events;
    size_t nevents, cap;
    uint8_t *out;
    size_t nout, out_cap;
    int fault;
};

struct run {
    struct ws_conn conn;
    struct ws_conf conf;
    struct ws_pool pool;
    struct ws_mem mem;
    struct record r;
    unsigned choice, messages;
    int streaming;
    uint8_t *part; /* what came of a message in parts */
    size_t npart, part_cap;
    struct fuzz_failing failing;
    int open, faults, closes;
};

/* -- surroundings -- */

static void configure(struct run *t)
{
    struct ws_head_limits head = WS_HEAD_LIMITS;
    struct ws_conf *c = &t->conf;
    int small = (t->choice & SMALL) != 0;

    c->role = (t->choice & AS_CLIENT) != 0 ? WS_CLIENT : WS_SERVER;
    c->mem = &t->mem;
    c->pool = &t->pool;
    c->random = fuzz_chance;
    c->message.payload_max = small ? 100 : INPUT_MAX;
    c->message.streaming = t->streaming != 0;
    c->message.fragments_max = small ? 3 : 100;
    c->head = head;
    c->head.size_max = small ? 300 : WS_HEAD_SIZE_MAX;
    c->body_max = small ? 10 : 4096;
    c->buffered_max = INPUT_MAX;
    c->high_water = INPUT_MAX * 2;
    c->low_water = 100;
    c->handshake_ms = c->close_ms = c->send_ms = c->ping_ms = 1000;
    c->pong_ms = 500;
    c->auto_pong = (t->choice & NO_PONG) == 0;
    c->frames = (t->choice & FRAMES) != 0;
}

static void put(uint8_t **p, size_t *n, size_t *cap, const void *bytes,
                size_t len)
{
    if (*cap - *n < len) {
        *cap = (*n + len) * 2;
        *p = realloc(*p, *cap);
        CHECK(*p != NULL);
    }
    if (len > 0)
        memcpy(*p + *n, bytes, len);
    *n += len;
}

/* -- the application -- */

static void answer(struct run *t, const char *body)
{
    struct ws_answer a;

    memset(&a, 0, sizeof a);
    a.status = 200;
    a.body = ws_slice_str(body);
    ws_conn_respond(&t->conn, &a);
}

static void on_message(struct run *t, const struct ws_event *ev)
{
    enum ws_opcode op = ev->type == WS_EV_TEXT ? WS_OP_TEXT : WS_OP_BINARY;

    CHECK(t->open && t->conn.state == WS_OPEN);
    CHECK(op == WS_OP_BINARY || ws_utf8_valid(ev->data));
    CHECK(ev->data.n <= t->conf.message.payload_max);
    t->messages++;
    if ((t->choice & WITH_ECHO) != 0)
        ws_conn_send(&t->conn, op, ev->data, 0);
    if (t->messages == 2 && (t->choice & WITH_CLOSE) != 0)
        CHECK(ws_conn_close(&t->conn, 3000, ws_slice_str("two")) == WS_OK);
    if (t->messages == 2 && (t->choice & FINISHED) != 0)
        ws_conn_end(&t->conn, 1011, "two");
}

static void on_frame(struct run *t, const struct ws_event *ev)
{
    enum ws_opcode op = (enum ws_opcode)ev->op;

    CHECK(t->open && (t->choice & FRAMES) != 0);
    CHECK(ev->data.n <= ((op & 0x8) != 0 ? (uint64_t)WS_CONTROL_MAX
                                         : t->conf.message.payload_max));
    t->messages++;
    if ((t->choice & WITH_ECHO) != 0)
        ws_conn_send_frame(&t->conn, op, ev->fin, ev->data);
    if (t->messages == 2 && (t->choice & WITH_CLOSE) != 0)
        CHECK(ws_conn_close(&t->conn, 3000, ws_slice_str("two")) == WS_OK);
    if (t->messages == 2 && (t->choice & FINISHED) != 0)
        ws_conn_end(&t->conn, 1011, "two");
}

static void note_event(struct run *t, const struct ws_event *ev)
{
    struct record *r = &t->r;
    uint8_t head[4] = {ev->type, (uint8_t)(ev->code >> 8), (uint8_t)ev->code,
                       ev->clean};

    CHECK(t->closes == 0); /* nothing behind CLOSE */
    CHECK(t->faults == 0 || ev->type == WS_EV_CLOSE);
    put(&r->events, &r->nevents, &r->cap, head, sizeof head);
    put(&r->events, &r->nevents, &r->cap, ev->data.p, ev->data.n);
    switch ((enum ws_event_type)ev->type) {
    case WS_EV_UPGRADE:
        CHECK(!t->open);
        if ((t->choice & WITH_REJECT) != 0)
            answer(t, "rejected");
        else
            ws_conn_accept(&t->conn, ws_slice_of(NULL, 0), NULL, NULL);
        break;
    case WS_EV_REQUEST:
        CHECK(!t->open && ev->data.n <= t->conf.body_max);
        answer(t, "page");
        break;
    case WS_EV_OPEN:
        CHECK(!t->open);
        t->open = 1;
        if ((t->choice & WITH_ECHO) != 0)
            ws_conn_send(&t->conn, WS_OP_TEXT, ws_slice_str("welcome"), 0);
        break;
    case WS_EV_TEXT:
    case WS_EV_BINARY:
        on_message(t, ev);
        break;
    case WS_EV_PING:
    case WS_EV_PONG:
        CHECK(t->open && ev->data.n <= WS_CONTROL_MAX);
        break;
    case WS_EV_FRAME:
        on_frame(t, ev);
        break;
    case WS_EV_FAULT:
        t->faults++;
        break;
    case WS_EV_CLOSE:
        t->closes++;
        CHECK(!ev->clean || ev->code != WS_STATUS_ABNORMAL);
        break;
    default:
        CHECK(ev->type == WS_EV_DRAIN);
    }
}

/* How a message is cut depends on the input's pieces: it is noted whole. */
static void on_chunk(struct run *t, const struct ws_event *ev)
{
    struct ws_event whole = *ev;

    CHECK(t->open && t->streaming && t->conn.state == WS_OPEN);
    CHECK(ev->fin || ev->data.n > 0);
    put(&t->part, &t->npart, &t->part_cap, ev->data.p, ev->data.n);
    CHECK(t->npart <= t->conf.message.payload_max);
    if (!ev->fin)
        return;
    whole.type = ev->op == WS_OP_TEXT ? WS_EV_TEXT : WS_EV_BINARY;
    whole.data = ws_slice_of(t->part, t->npart);
    t->npart = 0;
    note_event(t, &whole);
}

static void on_event(struct run *t, const struct ws_event *ev)
{
    if (ev->type == WS_EV_CHUNK)
        on_chunk(t, ev);
    else
        note_event(t, ev);
}

/* -- one run -- */

static void pull(struct run *t)
{
    struct ws_event ev;
    struct ws_slice v[8];
    int i, n;

    while (ws_conn_next(&t->conn, &ev) == WS_OK)
        on_event(t, &ev);
    for (;;) {
        size_t size = 0;
        n = ws_conn_output(&t->conn, v, 8);
        if (n == 0)
            break;
        for (i = 0; i < n; i++) {
            put(&t->r.out, &t->r.nout, &t->r.out_cap, v[i].p, v[i].n);
            size += v[i].n;
        }
        ws_conn_sent(&t->conn, size);
    }
}

/* Feeds the first n bytes, from memory of their own, until they are taken or
** not wanted; returns how many were taken. */
static size_t feed(struct run *t, const uint8_t *data, size_t n)
{
    struct ws_span copy = fuzz_copy(data, n), in = copy;
    size_t had;

    do {
        had = in.n;
        ws_conn_feed(&t->conn, &in);
        CHECK(in.n <= had);
        pull(t);
    } while (in.n > 0 && in.n < had);
    free(copy.p);
    return n - in.n;
}

/* The end: the peer's, then by the clock, then the transport's. */
static void wind_up(struct run *t)
{
    ws_conn_eof(&t->conn);
    pull(t);
    ws_conn_clock(&t->conn, 100000);
    CHECK(ws_conn_due(&t->conn) <= 100000);
    ws_conn_tick(&t->conn);
    pull(t);
    if ((ws_conn_want(&t->conn) & WS_WANT_CLOSE) == 0)
        ws_conn_lost(&t->conn, WS_ERR_LOST);
    CHECK((ws_conn_want(&t->conn) & WS_WANT_CLOSE) != 0);
    ws_conn_closed(&t->conn);
    pull(t);
    CHECK(t->closes == 1 && t->faults <= 1);
    CHECK(ws_conn_want(&t->conn) == 0 && ws_conn_due(&t->conn) < 0);
}

static uint32_t next_cut(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 24;
}

/* cuts 0: all at once; 1: byte by byte; else at places cuts decides. */
static void play(struct run *t, const uint8_t *data, size_t n, unsigned cuts)
{
    struct ws_hello_conf hello;
    uint32_t seed = cuts;
    size_t at = 0;

    ws_mem_init(&t->mem, fuzz_alloc, &t->failing);
    ws_pool_init(&t->pool, &t->mem);
    configure(t);
    ws_conn_init(&t->conn, &t->conf, 0);
    if (t->conf.role == WS_CLIENT) {
        memset(&hello, 0, sizeof hello);
        hello.target = ws_slice_str("/");
        hello.host = ws_slice_str("h");
        hello.protocols = ws_slice_str("chat, soap");
        if (ws_conn_start(&t->conn, &hello) != WS_OK)
            ws_conn_lost(&t->conn, WS_ERR_NOMEM);
    }
    pull(t);
    while (at < n) {
        size_t piece = n - at, most = 1, took;
        if (cuts > 1)
            most = 1 + next_cut(&seed) % (cuts < 128 ? 8 : 200);
        if (cuts > 0 && piece > most)
            piece = most;
        took = feed(t, data + at, piece);
        CHECK(t->mem.used <= MEMORY + 4 * n);
        at += took;
        if (took < piece)
            break;
    }
    t->r.fault = t->conn.fault;
    wind_up(t);
    ws_conn_free(&t->conn);
    ws_conn_free(&t->conn);
    ws_pool_free(&t->pool);
    CHECK(t->mem.used == 0);
}

/* -- what came out -- */

/* The bytes behind the head at the start of the output. */
static struct ws_slice behind_head(struct ws_slice out)
{
    size_t i;

    for (i = 4; i <= out.n; i++) {
        if (memcmp(out.p + i - 4, "\r\n\r\n", 4) == 0)
            return ws_slice_of(out.p + i, out.n - i);
    }
    CHECK(out.n == 0);
    return out;
}

static void check_output(const struct run *t)
{
    unsigned expect = (t->choice & AS_CLIENT) != 0 ? WS_FRAME_MASKED : 0;
    struct ws_slice rest = behind_head(ws_slice_of(t->r.out, t->r.nout));
    int closed = 0;

    if (!t->open) /* a response has content behind its head */
        return;
    while (rest.n > 0) {
        struct ws_frame f;
        size_t size;
        CHECK(ws_frame_read(&f, rest, expect, &size) == WS_OK);
        CHECK((f.fin && f.op != 0) || (t->choice & FRAMES) != 0);
        CHECK(f.len <= rest.n - size);
        /* pings are answered until the peer's Close (RFC 6455 5.5.2) */
        CHECK(!closed || f.op == WS_OP_PONG);
        closed |= f.op == WS_OP_CLOSE;
        rest.p += size + (size_t)f.len;
        rest.n -= size + (size_t)f.len;
    }
}

static void check_same(const struct record *a, const struct record *b)
{
    CHECK(a->fault == b->fault);
    CHECK(a->nevents == b->nevents && a->nout == b->nout);
    CHECK(a->nevents == 0 || memcmp(a->events, b->events, a->nevents) == 0);
    CHECK(a->nout == 0 || memcmp(a->out, b->out, a->nout) == 0);
}

static void forget(struct run *t)
{
    free(t->r.events);
    free(t->r.out);
    free(t->part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct run whole, cut, failing;
    unsigned choice = fuzz_byte(&data, &n), cuts = fuzz_byte(&data, &n);

    if (n > INPUT_MAX)
        return 0;
    memset(&whole, 0, sizeof whole);
    memset(&cut, 0, sizeof cut);
    memset(&failing, 0, sizeof failing);
    whole.choice = cut.choice = failing.choice = choice;
    whole.streaming = cut.streaming = failing.streaming =
        (cuts & 64) != 0 && (choice & FRAMES) == 0;
    play(&whole, data, n, 0);
    check_output(&whole);
    play(&cut, data, n, cuts == 0 ? 1 : cuts);
    check_same(&whole.r, &cut.r);
    failing.failing.at = 1 + cuts % 16;
    play(&failing, data, n, cuts);
    check_output(&failing);
    forget(&whole);
    forget(&cut);
    forget(&failing);
    return 0;
}
