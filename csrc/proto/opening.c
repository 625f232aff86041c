/* proto/opening.c -- the opening handshake's stages; see conn.h.
**
** Collects the peer's head, and the content behind it where there is some,
** within their limits; lets hello.c or welcome.c judge; answers.
*/
#include "proto/parts.h"

#include "wire/location.h"

int ws_conn_head(const struct ws_conn *c, struct ws_head *head,
                 struct ws_field *fields)
{
    uint8_t *own = (uint8_t *)(uintptr_t)c->head.p; /* our allocation */

    head->fields = fields;
    head->fields_max = WS_HEAD_LINES_MAX;
    if (c->head.n == 0)
        return WS_MORE;
    return ws_head_cut(head, ws_span_of(own, c->head.n),
                       c->conf->role == WS_CLIENT);
}

/* Keeps the n bytes of the finished head at p in memory of their own. */
static int keep_head(struct ws_conn *c, const uint8_t *p, size_t n)
{
    uint8_t *own = ws_mem_get(c->conf->mem, n);

    if (own == NULL)
        return WS_ERR_NOMEM;
    memcpy(own, p, n);
    c->head = ws_slice_of(own, n);
    ws_conn_drop_message(c);
    return WS_OK;
}

static void drop_head(struct ws_conn *c)
{
    ws_mem_put(c->conf->mem, (void *)(uintptr_t)c->head.p, c->head.n);
    c->head = ws_slice_of(NULL, 0);
}

static void start_body(struct ws_conn *c, enum ws_body_kind kind,
                       uint64_t length)
{
    c->body_kind = (uint8_t)kind;
    c->left = length;
    c->stage = WS_IN_BODY;
    if (kind == WS_BODY_CHUNKED)
        ws_chunked_init(&c->part.chunked);
    if (kind == WS_BODY_NONE || (kind == WS_BODY_LENGTH && length == 0))
        ws_conn_end_body(c);
}

/* -- client -- */

/* The server accepted what was offered, if it did, or must have. */
static int agree(struct ws_conn *c, struct ws_slice extensions)
{
    const struct ws_pmd_conf *pmd = &c->conf->pmd;
    struct ws_offer answer;
    int err;

    if (extensions.n == 0)
        return pmd->required ? WS_ERR_EXTENSION_MISSING : WS_OK;
    err = ws_offer_check(&pmd->offer, extensions, &answer);
    if (err != WS_OK)
        return err;
    c->pmd = ws_pmd_new(c->conf->codecs, pmd, &answer, 0);
    return c->pmd == NULL ? WS_ERR_NOMEM : WS_OK;
}

/* 1: the answer leads elsewhere, or asks who we are, and the owner is told. */
static int on_detour(struct ws_conn *c, const struct ws_head *head)
{
    const struct ws_field *f = ws_head_only(head, "Location");

    if (c->conf->follow && ws_location_status(head->status) && f != NULL)
        ws_conn_emit(c, WS_EV_REDIRECT, f->value);
    else if (ws_hello_challenged(c->side.hello, head))
        ws_conn_emit(c, WS_EV_CHALLENGE, ws_slice_of(NULL, 0));
    else
        return 0;
    c->stage = WS_IN_ANSWER;
    c->event.code = head->status;
    return 1;
}

/* The content of a refusal follows. */
static void on_refusal(struct ws_conn *c, const struct ws_head *head)
{
    enum ws_body_kind kind;
    uint64_t length;

    if (ws_head_body(head, &kind, &length) == WS_OK)
        start_body(c, kind, length);
    else
        ws_conn_fail(c, WS_ERR_STATUS);
}

static void on_response(struct ws_conn *c, struct ws_head *head)
{
    struct ws_hello_answer answer;
    int err;

    if (ws_hello_interim(head)) {
        drop_head(c);
        ws_head_scan_init(&c->part.scan);
        return;
    }
    err = ws_hello_check(c->side.hello, head, &answer);
    if (err == WS_ERR_STATUS && on_detour(c, head))
        return;
    if (err == WS_ERR_STATUS) {
        on_refusal(c, head);
        return;
    }
    if (err == WS_OK)
        err = agree(c, answer.extensions);
    if (err != WS_OK) {
        ws_conn_fail(c, err);
        return;
    }
    c->protocol = answer.protocol;
    c->extensions = answer.extensions;
    ws_conn_opened(c);
}

/* -- server -- */

/* The peer's part is done; from now on it is the application's time. */
static void await_answer(struct ws_conn *c, int event, struct ws_slice data)
{
    int64_t ms = c->conf->answer_ms;

    c->deadline_ms = ms > 0 ? c->now_ms + ms : -1;
    c->stage = WS_IN_ANSWER;
    ws_conn_emit(c, event, data);
}

static void on_request(struct ws_conn *c, struct ws_head *head)
{
    struct ws_welcome w;
    int err = ws_welcome_check(&w, head);

    c->head_method = w.head_method != 0;
    if (err != WS_OK) {
        ws_conn_refuse(c, err);
        return;
    }
    c->plain = !w.upgrade;
    if (w.upgrade) {
        c->key_at = (uint32_t)(w.key.p - c->head.p);
        await_answer(c, WS_EV_UPGRADE, ws_slice_of(NULL, 0));
    } else if (w.body == WS_BODY_LENGTH && w.length > c->conf->body_max) {
        ws_conn_refuse(c, WS_ERR_BODY_BIG);
    } else {
        start_body(c, w.body, w.length);
    }
}

/* Puts in behind what came before, so that *all is the head so far. */
static int join_head(struct ws_conn *c, struct ws_slice in,
                     struct ws_slice *all)
{
    struct ws_buf *b;
    int err;

    if (ws_conn_message(c) == NULL)
        return WS_ERR_NOMEM;
    b = &c->message->bytes;
    err = ws_buf_append(b, c->conf->mem, in);
    *all = ws_buf_peek(b);
    return err;
}

/* The head that is complete is judged. */
static void end_head(struct ws_conn *c, const uint8_t *p, size_t n)
{
    struct ws_field fields[WS_HEAD_LINES_MAX];
    struct ws_head head;
    int err = keep_head(c, p, n);

    if (err == WS_OK)
        err = ws_conn_head(c, &head, fields);
    if (err != WS_OK)
        ws_conn_fail(c, err);
    else if (c->conf->role == WS_CLIENT)
        on_response(c, &head);
    else
        on_request(c, &head);
}

/* A head that comes in one piece is looked at where it lies. */
void ws_conn_feed_head(struct ws_conn *c, struct ws_span *in)
{
    struct ws_slice part = ws_slice_of(in->p, in->n), all = part;
    size_t had, size = 0;
    int err = c->message != NULL ? join_head(c, part, &all) : WS_OK;

    had = all.n - part.n;
    if (err == WS_OK)
        err = ws_head_scan(&c->part.scan, all, &c->conf->head, &size);
    if (err == WS_MORE && had == 0)
        err = join_head(c, part, &all) == WS_OK ? WS_MORE : WS_ERR_NOMEM;
    if (err == WS_OK) {
        ws_span_skip(in, size - had);
        end_head(c, all.p, size);
        return;
    }
    ws_span_skip(in, part.n);
    if (err != WS_MORE)
        ws_conn_fail(c, err);
}

/* -- content -- */

void ws_conn_end_body(struct ws_conn *c)
{
    if (c->conf->role == WS_CLIENT) {
        ws_conn_fail(c, WS_ERR_STATUS);
        return;
    }
    c->stale = 1;
    await_answer(c, WS_EV_REQUEST, ws_conn_body(c));
}

struct ws_slice ws_conn_body(const struct ws_conn *c)
{
    return c->message == NULL ? ws_slice_of(NULL, 0)
                              : ws_buf_peek(&c->message->bytes);
}

/* Keeps content up to body_max.  A server refuses more; a client has seen
** enough of a refusal then. */
static int keep_body(struct ws_conn *c, struct ws_slice data)
{
    size_t room = c->conf->body_max - ws_conn_body(c).n, n = data.n;

    if (n > room) {
        if (c->conf->role == WS_SERVER) {
            ws_conn_refuse(c, WS_ERR_BODY_BIG);
            return WS_ERR_BODY_BIG;
        }
        data.n = room;
    }
    if (data.n > 0 &&
        (ws_conn_message(c) == NULL ||
         ws_buf_append(&c->message->bytes, c->conf->mem, data) != WS_OK)) {
        ws_conn_fail(c, WS_ERR_NOMEM);
        return WS_ERR_NOMEM;
    }
    if (n > room) {
        ws_conn_end_body(c);
        return WS_ERR_BODY_BIG;
    }
    return WS_OK;
}

static void feed_chunked(struct ws_conn *c, struct ws_span *in)
{
    struct ws_slice rest = ws_slice_of(in->p, in->n), data;
    int err = WS_OK;

    while (err == WS_OK && !c->part.chunked.done) {
        err = ws_chunked_feed(&c->part.chunked, &rest, &data);
        if (err == WS_OK && data.n > 0)
            err = keep_body(c, data);
        if (c->stage != WS_IN_BODY)
            break;
    }
    ws_span_skip(in, in->n - rest.n);
    if (c->stage != WS_IN_BODY)
        return;
    if (err < 0)
        ws_conn_fail(c, c->conf->role == WS_CLIENT ? WS_ERR_STATUS : err);
    else if (c->part.chunked.done)
        ws_conn_end_body(c);
}

void ws_conn_feed_body(struct ws_conn *c, struct ws_span *in)
{
    size_t n = in->n;

    if (c->body_kind == WS_BODY_CHUNKED) {
        feed_chunked(c, in);
        return;
    }
    if (c->body_kind == WS_BODY_LENGTH && c->left < n)
        n = (size_t)c->left;
    c->left -= c->body_kind == WS_BODY_LENGTH ? n : 0;
    if (keep_body(c, ws_slice_of(in->p, n)) == WS_OK &&
        c->body_kind == WS_BODY_LENGTH && c->left == 0)
        ws_conn_end_body(c);
    ws_span_skip(in, n);
}

/* -- answers -- */

/* Moves a finished head into the output, which is empty before it. */
static int put_head(struct ws_conn *c, struct ws_buf *b)
{
    struct ws_slice s = ws_buf_peek(b);
    uint8_t *p = ws_chain_room(&c->chain, c->conf->pool, s.n);

    if (p == NULL)
        return WS_ERR_NOMEM;
    memcpy(p, s.p, s.n);
    ws_chain_commit(&c->chain, s.n, 0);
    c->head_out = s.n;
    c->progress_ms = c->now_ms;
    return WS_OK;
}

/* What is to be remembered, with the offer's bytes behind it. */
static int new_hello(struct ws_conn *c, struct ws_slice protocols)
{
    struct ws_hello *h = NULL;

    if (protocols.n <= SIZE_MAX - sizeof *h)
        h = ws_mem_get(c->conf->mem, sizeof *h + protocols.n);
    if (h == NULL)
        return WS_ERR_NOMEM;
    if (protocols.n > 0)
        memcpy(h + 1, protocols.p, protocols.n);
    h->protocols = ws_slice_of(h + 1, protocols.n);
    c->side.hello = h;
    return WS_OK;
}

int ws_conn_start(struct ws_conn *c, const struct ws_hello_conf *hello)
{
    struct ws_hello_conf own = *hello;
    uint8_t nonce[WS_NONCE_SIZE];
    char offer[WS_OFFER_SIZE];
    struct ws_buf b;
    int err = new_hello(c, hello->protocols);

    if (err != WS_OK)
        return err;
    own.protocols = c->side.hello->protocols;
    if (c->conf->pmd.on)
        own.extensions =
            ws_slice_of(offer, ws_offer_write(offer, &c->conf->pmd.offer));
    ws_buf_init(&b, 0);
    err = c->conf->random(c->conf->random_ud, nonce, sizeof nonce);
    if (own.nonce.n == 0)
        own.nonce = ws_slice_of(nonce, sizeof nonce);
    if (err == WS_OK)
        err = ws_hello_write(c->side.hello, &b, c->conf->mem, &own);
    if (err == WS_OK)
        err = put_head(c, &b);
    ws_buf_free(&b, c->conf->mem);
    return err;
}

/* Chooses among the client's offers of permessage-deflate, over all lines that
** have them; without one that is acceptable there is none (RFC 7692 5). */
static int choose_pmd(struct ws_conn *c, const struct ws_head *head,
                      const struct ws_pmd_conf *pmd)
{
    const struct ws_field *f = NULL;
    struct ws_offer answer;

    do {
        f = ws_head_find(head, "Sec-WebSocket-Extensions", f);
        if (f == NULL)
            return WS_OK;
    } while (ws_offer_choose(&pmd->offer, f->value, &answer) != WS_OK);
    c->pmd = ws_pmd_new(c->conf->codecs, pmd, &answer, 1);
    if (c->pmd == NULL)
        return WS_ERR_NOMEM;
    c->extensions = ws_pmd_text(c->pmd);
    return WS_OK;
}

/* What a server agrees on was offered (RFC 6455 4.2.2); so the request is
** looked at once more. */
static int choose(struct ws_conn *c, struct ws_slice protocol,
                  const struct ws_pmd_conf *pmd)
{
    struct ws_field fields[WS_HEAD_LINES_MAX];
    struct ws_head head;

    if (protocol.n == 0 && !pmd->on)
        return WS_OK;
    if (ws_conn_head(c, &head, fields) != WS_OK ||
        (protocol.n > 0 && !ws_welcome_offers(&head, protocol)))
        return WS_ERR_PROTOCOLS;
    return pmd->on ? choose_pmd(c, &head, pmd) : WS_OK;
}

/* Queues the 101 and keeps the subprotocol. */
static int put_accept(struct ws_conn *c, const struct ws_accept *a)
{
    struct ws_mem *mem = c->conf->mem;
    struct ws_slice protocol = a->protocol;
    uint8_t *own = NULL;
    struct ws_buf b;
    int err;

    ws_buf_init(&b, 0);
    err = ws_welcome_accept(&b, mem, a);
    if (err == WS_OK && protocol.n > 0) {
        own = ws_mem_get(mem, protocol.n);
        err = own == NULL ? WS_ERR_NOMEM : WS_OK;
    }
    if (err == WS_OK)
        err = put_head(c, &b);
    ws_buf_free(&b, mem);
    if (err != WS_OK) {
        ws_mem_put(mem, own, protocol.n);
        return err;
    }
    if (own != NULL)
        memcpy(own, protocol.p, protocol.n);
    c->protocol = ws_slice_of(own, protocol.n);
    return WS_OK;
}

int ws_conn_accept(struct ws_conn *c, struct ws_slice protocol,
                   const struct ws_answer *extra, const struct ws_pmd_conf *pmd)
{
    struct ws_accept a;
    int err;

    if (c->stage != WS_IN_ANSWER || c->plain)
        return WS_ERR_STATE;
    err = choose(c, protocol, pmd != NULL ? pmd : &c->conf->pmd);
    a.key = ws_slice_of(c->head.p + c->key_at, WS_KEY_SIZE);
    a.protocol = protocol;
    a.extensions = c->extensions;
    a.extra = extra;
    if (err == WS_OK)
        err = put_accept(c, &a);
    if (err != WS_OK) {
        ws_pmd_free(c->pmd);
        c->pmd = NULL;
        c->extensions = ws_slice_of(NULL, 0);
        return err;
    }
    ws_conn_opened(c);
    return WS_OK;
}

/* The response is queued; what follows is the end of the connection. */
static void end_answered(struct ws_conn *c)
{
    ws_conn_begin_closing(c);
    if (!c->stale)
        ws_conn_drop_message(c);
    c->stage = WS_IN_DISCARD;
    c->left = 0;
    c->shut = 1;
    ws_conn_settle(c);
}

int ws_conn_respond(struct ws_conn *c, const struct ws_answer *answer)
{
    struct ws_field fields[WS_HEAD_LINES_MAX];
    struct ws_head head;
    struct ws_answer full = *answer;
    struct ws_buf b;
    int err, port;

    if (c->stage != WS_IN_ANSWER)
        return WS_ERR_STATE;
    full.head_method = c->head_method;
    full.date = ws_conn_date(c);
    if (full.status == 401 && ws_conn_head(c, &head, fields) == WS_OK)
        full.host = ws_welcome_host(&head, &port);
    ws_buf_init(&b, 0);
    err = ws_welcome_refuse(&b, c->conf->mem, &full);
    if (err == WS_OK)
        err = put_head(c, &b);
    ws_buf_free(&b, c->conf->mem);
    if (err == WS_OK) {
        c->quiet = 1;
        end_answered(c);
    }
    return err;
}

void ws_conn_refuse(struct ws_conn *c, int err)
{
    struct ws_buf b;

    if (c->fault != WS_OK)
        return;
    c->fault = err;
    ws_buf_init(&b, 0);
    if (ws_err_status(err) == 0 ||
        ws_welcome_refuse_error(&b, c->conf->mem, err, c->head_method,
                                ws_conn_date(c)) != WS_OK ||
        put_head(c, &b) != WS_OK)
        c->drop = 1;
    ws_buf_free(&b, c->conf->mem);
    end_answered(c);
}
