/* spec/fuzz/tls.c -- a TLS stream, either side, against any bytes and against
** OpenSSL with somebody on the line.
**
** Input: a byte of choices (bits below), a byte that says which allocation
** fails, then steps: a byte for what happens (enum step) and what it takes.
** The far side is OpenSSL with bytes in memory in place of a socket; what it
** says waits until a step delivers it, whole, in part, changed, twice or never.
** Once hands are shaken it sends records of any type and content, properly
** encrypted (forge.h).  Certificate and key are made at the start; chance is fixed for
** each input.
**
** What must hold: plain bytes come out as they went in, or not at all, and
** where nobody meddled all of them do; no operation reads on and on; a read
** that comes back short leaves nothing behind it does not tell of; after an
** error there are words for it; all memory comes back.
*/
#define OPENSSL_SUPPRESS_DEPRECATED /* a source of chance of our own */
#include "fuzz.h"

#include "../support/probe/forge.h"
#include "net/tls_parts.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

enum {
    AS_CLIENT = 1,  /* what is tested, else a server */
    OLD = 2,        /* TLS 1.2 */
    SHAKEN = 4,     /* the handshake is done before the steps */
    STRANGER = 8,   /* client: it looks for another name */
    CERTIFIED = 16, /* server: asks for a certificate, and gets none */
    TWICE = 32      /* what is left of the input is for a second connection */
};

enum step {
    DELIVER, /* n x 16 bytes of the far side's; 0: all */
    FLIP,    /* the n-th byte that waits */
    DROP,    /* n bytes of what waits */
    REPEAT,  /* n x 16 bytes, which still wait then */
    INJECT,  /* n bytes of the input */
    TELL,    /* the far side sends n x 64 + 1 bytes */
    FORGE,   /* it sends a record: type, padding, n bytes of the input */
    UPDATE,  /* it sends a KeyUpdate */
    QUEUE,   /* n x 64 + 1 bytes of ours */
    STALL,   /* the next n writes of ours take nothing or part */
    LISTEN,  /* the far side takes what we sent */
    END,     /* the line has an end */
    SHUT,    /* we say good-bye */
    SECOND,  /* the second connection begins, with TWICE */
    STEPS
};

enum { QUEUE_MAX = 1 << 18, READS_MAX = 8, IDLE_MAX = 30, TOLD = 256 * 64 };

struct bytes {
    uint8_t *p;
    size_t n, at, cap;
};

/* One connection: ours is top on wire; far is the other side. */
struct run {
    struct ws_stream wire, *top;
    struct ws_mem mem;
    struct bytes in, out;      /* on the wire: to us, from us */
    struct bytes told, heard;  /* plain, to us: said, and come out */
    struct bytes queue, heeds; /* plain, from us: to be said, and come out */
    SSL *ssl;
    struct forge forge;
    unsigned choice, fail_at, stall, reads, idle; /* records without data */
    int ended, meddled, forged, over, closed;
};

static char cert_pem[4096], key_pem[4096];
static SSL_CTX *far_ctx[2]; /* client, server */
static uint32_t chance_seed;

/* -- bytes -- */

static void put(struct bytes *b, const void *p, size_t n)
{
    if (b->cap - b->n < n) {
        b->cap = (b->n + n) * 2;
        b->p = realloc(b->p, b->cap);
        CHECK(b->p != NULL);
    }
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

static size_t left(const struct bytes *b)
{
    return b->n - b->at;
}

/* n bytes of a pattern that no two places share for long. */
static struct ws_slice pattern(size_t at, size_t n)
{
    static uint8_t room[TOLD];
    size_t i;

    for (i = 0; i < n; i++) {
        size_t k = (at + i) * 2654435761u;
        room[i] = (uint8_t)(k >> 16 ^ k >> 7);
    }
    return ws_slice_of(room, n);
}

static void check_prefix(const struct bytes *part, const struct bytes *whole)
{
    CHECK(part->n <= whole->n);
    CHECK(part->n == 0 || memcmp(part->p, whole->p, part->n) == 0);
}

/* -- the wire: a stream that is no socket but behaves like one -- */

static ptrdiff_t wire_read(struct ws_stream *s, struct ws_span room)
{
    struct run *t = ws_container(s, struct run, wire);
    size_t n = left(&t->in) < room.n ? left(&t->in) : room.n;

    CHECK(room.n > 0 && ++t->reads <= READS_MAX);
    if (n == 0)
        return t->ended ? 0 : WS_AGAIN;
    memcpy(room.p, t->in.p + t->in.at, n);
    t->in.at += n;
    return (ptrdiff_t)n;
}

static ptrdiff_t wire_write(struct ws_stream *s, const struct ws_slice *v,
                            int n)
{
    struct run *t = ws_container(s, struct run, wire);
    size_t done = 0, k;
    int i;

    CHECK(!t->closed);
    if (t->stall > 0) {
        k = --t->stall % 2 == 0 ? 0 : v[0].n / 2;
        put(&t->out, v[0].p, k);
        return k == 0 ? WS_AGAIN : (ptrdiff_t)k;
    }
    for (i = 0; i < n; i++) {
        put(&t->out, v[i].p, v[i].n);
        done += v[i].n;
    }
    return (ptrdiff_t)done;
}

static int wire_shutdown(struct ws_stream *s)
{
    (void)s;
    return WS_OK;
}

static void wire_close(struct ws_stream *s)
{
    ws_container(s, struct run, wire)->closed++;
}

static const char *wire_failure(struct ws_stream *s, const char *call,
                                char *text, size_t size)
{
    (void)s;
    (void)call;
    CHECK(size > 4);
    memcpy(text, "wire", 5);
    return "WIRE";
}

static const struct ws_stream_ops wire_ops = {
    NULL, wire_read, wire_write, wire_shutdown, wire_close, wire_failure,
};

static void *alloc(void *ud, void *p, size_t osize, size_t nsize)
{
    struct run *t = ud;

    (void)osize;
    if (nsize == 0) {
        free(p);
        return NULL;
    }
    if (t != NULL && t->fail_at > 0 && --t->fail_at == 0)
        return NULL;
    return realloc(p, nsize);
}

/* -- ours -- */

static void failed(struct run *t, ptrdiff_t err)
{
    char text[512] = "";
    const char *word = ws_stream_failure(t->top, "recv", text, sizeof text);

    CHECK(err < 0 && err != WS_AGAIN && word[0] != '\0' && text[0] != '\0');
    CHECK(err != WS_ERR_TLS || strcmp(word, "TLS") == 0);
    t->over = 1;
}

static void look_at_peer(struct run *t)
{
    struct ws_tls_info info;
    struct ws_tls_cert cert;
    char name[64];
    size_t n;

    CHECK(ws_tls_describe(t->top, &info) == WS_OK);
    CHECK(info.version[0] != '\0' && info.cipher[0] != '\0');
    CHECK((ws_tls_peer(t->top, &cert) == WS_OK) == (info.has_cert != 0));
    CHECK((t->choice & AS_CLIENT) == 0 || info.has_cert);
    CHECK((t->choice & (AS_CLIENT | STRANGER)) != (AS_CLIENT | STRANGER));
    n = ws_tls_peer_names(t->top, name, sizeof name);
    CHECK(n == 0 ||
          (n == sizeof "fuzz.test" && strcmp(name, "fuzz.test") == 0));
}

static void open_ours(struct run *t)
{
    int err;

    t->reads = 0;
    err = ws_stream_open(t->top);
    CHECK((err == WS_OK) == ((t->top->want & WS_STREAM_OPENING) == 0));
    if (err == WS_OK)
        look_at_peer(t);
    else if (err != WS_AGAIN)
        failed(t, err);
}

static void read_ours(struct run *t)
{
    uint8_t room[5000];
    unsigned told;
    ptrdiff_t n;

    do {
        t->reads = 0;
        n = ws_stream_read(t->top, ws_span_of(room, sizeof room));
        if (n > 0)
            put(&t->heard, room, (size_t)n);
        told = t->top->want & (WS_STREAM_PENDING | WS_STREAM_READ_OUT);
        CHECK(n == (ptrdiff_t)sizeof room || n == 0 || told != 0 ||
              (n != WS_AGAIN && n < 0) || left(&t->in) == 0);
    } while (n == (ptrdiff_t)sizeof room ||
             (n > 0 && (told & WS_STREAM_PENDING) != 0));
    if (n == 0)
        t->over = 1;
    else if (n < 0 && n != WS_AGAIN)
        failed(t, n);
    check_prefix(&t->heard, &t->told);
}

static void write_ours(struct run *t)
{
    struct bytes *q = &t->queue;
    size_t half = left(q) / 3;
    struct ws_slice v[2];
    ptrdiff_t n;

    if (left(q) == 0)
        return;
    v[0] = ws_slice_of(q->p + q->at, half > 0 ? half : left(q));
    v[1] = ws_slice_of(q->p + q->at + v[0].n, left(q) - v[0].n);
    t->reads = 0;
    n = ws_stream_write(t->top, v, half > 0 ? 2 : 1);
    if (n < 0 && n != WS_AGAIN) {
        failed(t, n);
        return;
    }
    CHECK(n <= (ptrdiff_t)left(q));
    if (n > 0)
        q->at += (size_t)n;
}

/* What the loop would do now. */
static void turn(struct run *t)
{
    if (!t->over && (t->top->want & WS_STREAM_OPENING) != 0)
        open_ours(t);
    if (t->over || (t->top->want & WS_STREAM_OPENING) != 0)
        return;
    read_ours(t);
    if (!t->over)
        write_ours(t);
}

/* -- the far side -- */

static void on_secret(const SSL *ssl, const char *line)
{
    struct run *t = SSL_get_app_data(ssl);

    forge_note(&t->forge, line, (t->choice & AS_CLIENT) != 0);
}

static void listen_far(struct run *t)
{
    uint8_t room[4096];
    size_t n;

    if (left(&t->out) > 0)
        BIO_write(SSL_get_rbio(t->ssl), t->out.p + t->out.at,
                  (int)left(&t->out));
    t->out.at = t->out.n;
    ERR_clear_error();
    while (SSL_read_ex(t->ssl, room, sizeof room, &n) == 1)
        put(&t->heeds, room, n);
    check_prefix(&t->heeds, &t->queue);
}

/* What it has to say, from the front; `keep`: it says so again. */
static void deliver(struct run *t, size_t n, int keep)
{
    BIO *out = SSL_get_wbio(t->ssl);
    char *p;
    size_t all = (size_t)BIO_get_mem_data(out, &p);
    uint8_t room[1 << 13];

    n = n == 0 || n > all ? all : n;
    if (keep) {
        t->meddled |= n > 0;
        put(&t->in, p, n);
        return;
    }
    while (n > 0) {
        int k = BIO_read(out, room, (int)(n < sizeof room ? n : sizeof room));
        CHECK(k > 0);
        put(&t->in, room, (size_t)k);
        n -= (size_t)k;
    }
}

/* From then on: the far side has said its Finished, or its one ticket. */
static int may_forge(struct run *t)
{
    int client = (t->choice & AS_CLIENT) != 0;

    if (!SSL_is_init_finished(t->ssl))
        return 0;
    if (!t->forged && (t->choice & OLD) != 0)
        forge_start_old(&t->forge, t->ssl, client);
    else if (!t->forged)
        t->forge.seq = client ? 1 : 0;
    t->forged = t->forge.ready;
    return t->forged;
}

static void say(struct run *t, int type, struct ws_slice body, size_t pad)
{
    uint8_t record[TOLD + 256 + FORGE_MORE];
    int data = type == SSL3_RT_APPLICATION_DATA;

    t->idle = data && body.n > 0 ? 0 : t->idle + 1;
    t->meddled |= !data || t->idle > IDLE_MAX;
    if (data)
        put(&t->told, body.p, body.n);
    BIO_write(SSL_get_wbio(t->ssl), record,
              (int)forge_record(&t->forge, type, body, pad, record));
}

static void update(struct run *t, int requested)
{
    uint8_t record[FORGE_MORE + 5];

    t->meddled |= ++t->idle > IDLE_MAX || (t->choice & OLD) != 0;
    BIO_write(SSL_get_wbio(t->ssl), record,
              (int)forge_key_update(&t->forge, requested, record));
}

static void tell(struct run *t, size_t n)
{
    if (t->told.n <= QUEUE_MAX && may_forge(t))
        say(t, SSL3_RT_APPLICATION_DATA, pattern(t->told.n, n), 0);
}

static void meddle(struct run *t, enum step step, uint8_t n)
{
    char *p;
    size_t all = (size_t)BIO_get_mem_data(SSL_get_wbio(t->ssl), &p);
    uint8_t room[256];

    if (all == 0)
        return;
    t->meddled = 1;
    if (step == FLIP)
        p[n % all] = (char)(p[n % all] ^ (1 << n % 8));
    else if (n > 0)
        BIO_read(SSL_get_wbio(t->ssl), room, n);
}

/* -- a run -- */

static void begin(struct run *t, struct ws_tls_ctx *ctx, const uint8_t **data,
                  size_t *n)
{
    int client = (t->choice & AS_CLIENT) != 0;
    const char *name = (t->choice & STRANGER) != 0 ? "a.test" : "Fuzz.test.";

    t->fail_at = fuzz_byte(data, n) % 32;
    t->wire.ops = &wire_ops;
    ws_mem_init(&t->mem, alloc, t);
    t->ssl = SSL_new(far_ctx[client]);
    CHECK(t->ssl != NULL);
    SSL_set_bio(t->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_app_data(t->ssl, t);
    if ((t->choice & OLD) != 0)
        SSL_set_max_proto_version(t->ssl, TLS1_2_VERSION);
    if (client)
        SSL_set_accept_state(t->ssl);
    else
        SSL_set_connect_state(t->ssl);
    if (ws_tls_new(&t->top, &t->wire, &t->mem, ctx, client ? name : NULL) !=
        WS_OK) {
        CHECK(!t->closed && t->fail_at == 0 && t->mem.used == 0);
        t->top = NULL;
    }
}

static void exchange(struct run *t)
{
    listen_far(t);
    deliver(t, 0, 0);
    turn(t);
}

/* One step; what it takes is taken from the input. */
static void act(struct run *t, enum step step, const uint8_t **data, size_t *n)
{
    uint8_t k = fuzz_byte(data, n), type, pad;
    size_t size = k < *n ? k : *n;

    switch (step) {
    case DELIVER:
    case REPEAT:
        deliver(t, k * 16u, step == REPEAT);
        break;
    case FLIP:
    case DROP:
        meddle(t, step, k);
        break;
    case INJECT:
        t->meddled = 1;
        put(&t->in, *data, size);
        *data += size;
        *n -= size;
        break;
    case TELL:
        tell(t, k * 64u + 1);
        break;
    case FORGE:
        type = fuzz_byte(data, n);
        type = type == 0 ? 1 : type; /* 0 is padding: what is before counts */
        pad = fuzz_byte(data, n);
        size = k < *n ? k : *n;
        if (may_forge(t))
            say(t, type, ws_slice_of(*data, size), pad);
        *data += size;
        *n -= size;
        break;
    case UPDATE:
        if (may_forge(t))
            update(t, k % 2);
        break;
    case QUEUE:
        if (t->queue.n < QUEUE_MAX) {
            struct ws_slice more = pattern(t->queue.n, k * 64u + 1);
            put(&t->queue, more.p, more.n);
        }
        break;
    case STALL:
        t->stall = k;
        break;
    case LISTEN:
        listen_far(t);
        break;
    case END:
        t->ended = 1;
        break;
    case SHUT:
        if ((t->top->want & WS_STREAM_OPENING) == 0)
            ws_stream_shutdown(t->top);
        t->meddled = 1;
        break;
    default:
        break;
    }
}

/* Where nobody meddled, everything arrives. */
static void wind_up(struct run *t)
{
    int i, clean = !t->meddled && !t->over && !t->ended;

    t->stall = 0;
    for (i = 0; i < 50 && clean && !t->over; i++)
        exchange(t);
    if (clean && !t->over && (t->top->want & WS_STREAM_OPENING) == 0) {
        CHECK(left(&t->queue) == 0 && t->heeds.n == t->queue.n);
        CHECK(t->heard.n == t->told.n);
    }
}

static void forget(struct run *t)
{
    struct bytes *all[] = {&t->in,    &t->out,   &t->told,
                           &t->heard, &t->queue, &t->heeds};
    size_t i;

    if (t->top != NULL) {
        ws_stream_close(t->top);
        CHECK(t->closed == 1);
    }
    CHECK(t->mem.used == 0);
    SSL_free(t->ssl);
    for (i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]->p);
}

static void play(struct run *t, struct ws_tls_ctx *ctx, const uint8_t **data,
                 size_t *n)
{
    int i;

    begin(t, ctx, data, n);
    for (i = 0; i < 6 && t->top != NULL && (t->choice & SHAKEN) != 0; i++)
        exchange(t);
    while (*n > 0 && t->top != NULL) {
        enum step step = fuzz_byte(data, n) % STEPS;
        if (step == SECOND && (t->choice & TWICE) != 0)
            break;
        act(t, step, data, n);
        turn(t);
    }
    if (t->top != NULL)
        wind_up(t);
    forget(t);
}

/* -- the start -- */

static int chance(unsigned char *p, int n)
{
    while (n-- > 0) {
        chance_seed = chance_seed * 1664525u + 1013904223u;
        *p++ = (uint8_t)(chance_seed >> 24);
    }
    return 1;
}

static int ready(void)
{
    return 1;
}

static void copy_pem(BIO *b, char *to, size_t size)
{
    int n = BIO_read(b, to, (int)size - 1);

    CHECK(n > 0);
    to[n] = '\0';
    BIO_free(b);
}

static void add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX v3;
    X509_EXTENSION *e;

    X509V3_set_ctx(&v3, x, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
    CHECK(e != NULL && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

static void make_identity(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    BIO *b = BIO_new(BIO_s_mem());

    CHECK(key != NULL);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -86400);
    X509_gmtime_adj(X509_getm_notAfter(x), 10L * 365 * 86400);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const uint8_t *)"fuzz.test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x, NID_subject_alt_name, "DNS:fuzz.test");
    CHECK(X509_sign(x, key, EVP_sha256()) > 0);
    CHECK(PEM_write_bio_X509(b, x) == 1);
    copy_pem(b, cert_pem, sizeof cert_pem);
    b = BIO_new(BIO_s_mem());
    CHECK(PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) == 1);
    copy_pem(b, key_pem, sizeof key_pem);
    far_ctx[0] = SSL_CTX_new(TLS_client_method());
    far_ctx[1] = SSL_CTX_new(TLS_server_method());
    CHECK(SSL_CTX_use_certificate(far_ctx[1], x) == 1);
    CHECK(SSL_CTX_use_PrivateKey(far_ctx[1], key) == 1);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void start(void)
{
    static const RAND_METHOD method = {NULL, chance, NULL, NULL, chance, ready};
    int i;

    if (far_ctx[0] != NULL)
        return;
    CHECK(RAND_set_rand_method(&method) == 1);
    make_identity();
    SSL_CTX_set_num_tickets(far_ctx[1], 1);
    for (i = 0; i < 2; i++) {
        CHECK(SSL_CTX_set_ciphersuites(far_ctx[i], "TLS_AES_128_GCM_SHA256"));
        CHECK(SSL_CTX_set_cipher_list(far_ctx[i],
                                      "ECDHE-ECDSA-AES128-GCM-SHA256"));
        SSL_CTX_set_keylog_callback(far_ctx[i], on_secret);
    }
}

/* One for each kind; making them is most of a short run. */
static struct ws_tls_ctx *context(unsigned choice)
{
    static struct ws_tls_ctx *all[4];
    struct ws_tls_ctx **ctx;
    struct ws_tls_conf conf;
    struct ws_mem mem;
    char why[WS_TLS_WHY_MAX] = "";

    memset(&conf, 0, sizeof conf);
    conf.server = (choice & AS_CLIENT) == 0;
    conf.request = (choice & CERTIFIED) != 0;
    ctx = &all[conf.server * 2 + conf.request];
    if (*ctx != NULL)
        return *ctx;
    conf.verify = 1;
    conf.tickets = 1;
    conf.min_version = WS_TLS_V1_2;
    conf.ca = cert_pem;
    conf.cert = conf.server ? cert_pem : NULL;
    conf.key = conf.server ? key_pem : NULL;
    conf.alpn = ws_slice_str("\10http/1.1");
    ws_mem_init(&mem, alloc, NULL);
    CHECK(ws_tls_ctx_new(ctx, &mem, &conf, why) == WS_OK);
    return *ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct run t;
    struct ws_tls_ctx *ctx;
    unsigned choice = fuzz_byte(&data, &n);
    int i;

    start();
    ctx = context(choice);
    chance_seed = 1;
    for (i = 0; i < 2 && (i == 0 || n > 0); i++) {
        memset(&t, 0, sizeof t);
        t.choice = choice;
        play(&t, ctx, &data, &n);
    }
    ws_tls_resume_clear(ctx); /* the next input is another story */
    ERR_clear_error();
    return 0;
}
