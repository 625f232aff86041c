/* proto/welcome.c -- see welcome.h. */
#include "proto/welcome.h"

#include "base/base64.h"
#include "base/digest.h"
#include "proto/hello.h"
#include "wire/date.h"
#include "wire/field.h"
#include "wire/host.h"
#include "wire/uri.h"

/* Most subprotocols of one offer.  That they are distinct is checked by
** comparing each with each, a number of it first, and a head may hold ten
** thousand. */
enum { OFFERS_MAX = 1024 };

/* -- the request -- */

/* The authority a request is for: its target's, when it has one, else Host
** (RFC 9112 3.2.2).  Host must be there and valid in both cases. */
static int find_host(const struct ws_head *head, struct ws_slice *host,
                     int *port)
{
    const struct ws_field *f = ws_head_only(head, "Host");
    struct ws_target t;

    if (f == NULL || ws_host_port(f->value, host, port) != WS_OK)
        return WS_ERR_HEAD_HOST;
    if (ws_target_split(&t, head->target) != WS_OK)
        return WS_ERR_HEAD_LINE;
    if (t.form == WS_TARGET_ABSOLUTE &&
        ws_host_port(t.authority, host, port) != WS_OK)
        return WS_ERR_HEAD_HOST;
    return WS_OK;
}

struct ws_slice ws_welcome_host(const struct ws_head *head, int *port)
{
    struct ws_slice host;

    return find_host(head, &host, port) == WS_OK ? host : ws_slice_of(NULL, 0);
}

/* What an absolute target begins with: a server of HTTP has nothing else (RFC
** 6455 4.2.1). */
static int is_http(struct ws_slice target)
{
    return ws_slice_begins(target, "http://") ||
           ws_slice_begins(target, "https://");
}

/* "*" asks about the server itself and belongs to OPTIONS, "host:port" to
** CONNECT, which asks for something this is not: a proxy. */
static int check_target(const struct ws_head *head)
{
    struct ws_target t;

    if (ws_slice_is(head->method, "CONNECT"))
        return WS_ERR_METHOD;
    if (ws_target_split(&t, head->target) != WS_OK ||
        t.form == WS_TARGET_AUTHORITY ||
        (t.form == WS_TARGET_ABSOLUTE && !is_http(head->target)) ||
        (t.form == WS_TARGET_ASTERISK && !ws_slice_is(head->method, "OPTIONS")))
        return WS_ERR_HEAD_LINE;
    return WS_OK;
}

static int is_base64_digit(uint8_t ch)
{
    uint8_t four[4] = {ch, 'A', 'A', 'A'}, out[3];
    size_t n;

    return ws_base64_decode(out, &n, ws_slice_of(four, 4)) == WS_OK;
}

/* 16 bytes of base64: 22 digits and "==".  The last digit carries four bits
** that mean nothing; clients that make up a key digit by digit set them, and
** it is the text that is hashed, so they are not looked at. */
static int check_key(const struct ws_head *head, struct ws_slice *key)
{
    const struct ws_field *f = ws_head_only(head, "Sec-WebSocket-Key");
    uint8_t text[WS_KEY_SIZE], nonce[WS_KEY_SIZE];
    size_t n;

    if (f == NULL || f->value.n != WS_KEY_SIZE)
        return WS_ERR_KEY;
    memcpy(text, f->value.p, WS_KEY_SIZE);
    if (!is_base64_digit(text[21]))
        return WS_ERR_KEY;
    text[21] = 'A';
    if (ws_base64_decode(nonce, &n, ws_slice_of(text, WS_KEY_SIZE)) != WS_OK ||
        n != WS_NONCE_SIZE)
        return WS_ERR_KEY;
    *key = f->value;
    return WS_OK;
}

/* The offered subprotocols, over all lines that have them (11.3.4). */
struct offers {
    const struct ws_head *head;
    const struct ws_field *field; /* the current line, NULL: before the first */
    struct ws_slice rest;         /* of it */
};

static void offers_init(struct offers *o, const struct ws_head *head)
{
    o->head = head;
    o->field = NULL;
    o->rest = ws_slice_of(NULL, 0);
}

/* WS_OK and the next one, WS_MORE after the last, or WS_ERR_FIELD. */
static int offers_next(struct offers *o, struct ws_slice *name)
{
    for (;;) {
        int err = ws_token_list_next(&o->rest, name);
        if (err != WS_MORE)
            return err;
        o->field = ws_head_find(o->head, "Sec-WebSocket-Protocol", o->field);
        if (o->field == NULL)
            return WS_MORE;
        o->rest = o->field->value;
    }
}

int ws_welcome_offers(const struct ws_head *head, struct ws_slice name)
{
    struct offers o;
    struct ws_slice other;

    offers_init(&o, head);
    while (offers_next(&o, &other) == WS_OK) {
        if (ws_slice_equal(other, name))
            return 1;
    }
    return 0;
}

static uint32_t number_of(struct ws_slice name)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    size_t i;

    for (i = 0; i < name.n; i++)
        h = (h ^ name.p[i]) * 16777619u;
    return h;
}

/* Whether the last of the n names was among those before; numbers[i] is of
** names[i]. */
static int is_repeated(const struct ws_slice *names, const uint32_t *numbers,
                       unsigned n)
{
    unsigned i, last = n - 1;

    for (i = 0; i < last; i++) {
        if (numbers[i] == numbers[last] &&
            ws_slice_equal(names[i], names[last]))
            return 1;
    }
    return 0;
}

static int check_protocols(const struct ws_head *head)
{
    struct ws_slice names[OFFERS_MAX];
    uint32_t numbers[OFFERS_MAX];
    struct offers o;
    unsigned n = 0;
    int err;

    if (ws_head_count(head, "Sec-WebSocket-Protocol") == 0)
        return WS_OK;
    offers_init(&o, head);
    for (;;) {
        struct ws_slice name;
        err = offers_next(&o, &name);
        if (err != WS_OK)
            break;
        if (n == OFFERS_MAX)
            return WS_ERR_PROTOCOLS;
        names[n] = name;
        numbers[n++] = number_of(name);
        if (is_repeated(names, numbers, n))
            return WS_ERR_PROTOCOLS;
    }
    return err == WS_MORE && n > 0 ? WS_OK : WS_ERR_PROTOCOLS;
}

static int check_extensions(const struct ws_head *head)
{
    const struct ws_field *f = NULL;

    for (;;) {
        f = ws_head_find(head, "Sec-WebSocket-Extensions", f);
        if (f == NULL)
            return WS_OK;
        if (ws_extension_check(f->value) != WS_OK)
            return WS_ERR_EXTENSIONS;
    }
}

/* A request that asks for WebSocket (4.2.1).  The key before the version: a
** draft older than the version header has another kind of key. */
static int check_upgrade(struct ws_welcome *w, const struct ws_head *head)
{
    const struct ws_field *version =
        ws_head_only(head, "Sec-WebSocket-Version");
    int err;

    if (w->body != WS_BODY_NONE)
        return WS_ERR_HEAD_BODY;
    if (!ws_slice_is(head->method, "GET"))
        return WS_ERR_METHOD;
    if (!ws_head_has_token(head, "Connection", "Upgrade"))
        return WS_ERR_CONNECTION;
    if (!ws_head_is_list(head, "Connection", 0) ||
        !ws_head_is_list(head, "Upgrade", 1))
        return WS_ERR_HEAD_SYNTAX;
    err = check_key(head, &w->key);
    if (err != WS_OK)
        return err;
    if (version == NULL || !ws_slice_is(version->value, "13"))
        return WS_ERR_VERSION;
    err = check_protocols(head);
    return err != WS_OK ? err : check_extensions(head);
}

int ws_welcome_check(struct ws_welcome *w, const struct ws_head *head)
{
    struct ws_slice host;
    int err, port;

    w->upgrade = ws_head_has_token(head, "Upgrade", "websocket");
    w->key = ws_slice_of(NULL, 0);
    w->head_method = ws_slice_is(head->method, "HEAD");
    w->body = WS_BODY_NONE;
    w->length = 0;
    err = check_target(head);
    if (err == WS_OK)
        err = find_host(head, &host, &port);
    if (err == WS_OK)
        err = ws_head_body(head, &w->body, &w->length);
    if (err == WS_OK && ws_head_count(head, "Expect") > 0)
        err = WS_ERR_HEAD_EXPECT;
    if (err == WS_OK && w->upgrade)
        err = check_upgrade(w, head);
    return err;
}

/* -- the answers -- */

static int given(const struct ws_answer *a, const char *name)
{
    unsigned i;

    for (i = 0; i < a->nfields; i++) {
        if (ws_slice_same(a->fields[i].name, ws_slice_str(name)))
            return 1;
    }
    return 0;
}

int ws_welcome_accept(struct ws_buf *out, struct ws_mem *mem,
                      const struct ws_accept *a)
{
    const struct ws_answer *extra = a->extra;
    struct ws_head_writer w = {out, mem, WS_OK};
    char accept[WS_ACCEPT_SIZE];
    unsigned i;

    if (a->protocol.n > 0 && !ws_is_token(a->protocol))
        return WS_ERR_FIELD;
    for (i = 0; extra != NULL && i < extra->nfields; i++) {
        if (ws_hello_reserved(extra->fields[i].name))
            return WS_ERR_FIELD;
    }
    w.err = ws_digest_accept(accept, a->key);
    if (w.err == WS_OK)
        w.err = ws_head_put_status(out, mem, 101, ws_slice_of(NULL, 0));
    ws_head_put_named(&w, "Upgrade", ws_slice_str("websocket"));
    ws_head_put_named(&w, "Connection", ws_slice_str("Upgrade"));
    ws_head_put_named(&w, "Sec-WebSocket-Accept",
                      ws_slice_of(accept, sizeof accept));
    if (a->protocol.n > 0)
        ws_head_put_named(&w, "Sec-WebSocket-Protocol", a->protocol);
    if (a->extensions.n > 0)
        ws_head_put_named(&w, "Sec-WebSocket-Extensions", a->extensions);
    if (extra != NULL)
        ws_head_put_fields(&w, extra->fields, extra->nfields);
    return w.err != WS_OK ? w.err : ws_head_put_end(out, mem);
}

/* Who gets a 401 must be told what is asked for (RFC 9110 15.5.2): Basic, in
** UTF-8 (RFC 7617 2.1), which is what servers read.  The realm is the host, in
** which no character needs a backslash. */
static void put_challenge(struct ws_head_writer *w, struct ws_slice host)
{
    static const char before[] = "Basic realm=\"",
                      behind[] = "\", charset=\"UTF-8\"";
    char text[sizeof before + WS_HOST_MAX + sizeof behind], *p = text;

    memcpy(p, before, sizeof before - 1);
    p += sizeof before - 1;
    if (host.n > 0 && host.n <= WS_HOST_MAX) {
        memcpy(p, host.p, host.n);
        p += host.n;
    }
    memcpy(p, behind, sizeof behind - 1);
    p += sizeof behind - 1;
    ws_head_put_named(w, "WWW-Authenticate",
                      ws_slice_of(text, (size_t)(p - text)));
}

/* What the status itself asks for, unless the caller said it (RFC 9110
** 15.5.2, 15.5.6, 15.5.22; RFC 6455 4.4). */
static void put_status_fields(struct ws_head_writer *w,
                              const struct ws_answer *a)
{
    int upgrade = given(a, "Upgrade");

    if (a->status == 401 && !given(a, "WWW-Authenticate"))
        put_challenge(w, a->host);
    if (a->status == 405 && !given(a, "Allow"))
        ws_head_put_named(w, "Allow", ws_slice_str("GET"));
    if (a->status == 426 && !upgrade) {
        ws_head_put_named(w, "Upgrade", ws_slice_str("websocket"));
        upgrade = 1;
    }
    if (a->status == 426 && !given(a, "Sec-WebSocket-Version"))
        ws_head_put_named(w, "Sec-WebSocket-Version", ws_slice_str("13"));
    /* Upgrade is for the next hop and must be named as such (7.8). */
    ws_head_put_named(w, "Connection",
                      ws_slice_str(upgrade ? "close, Upgrade" : "close"));
}

/* "Content-Length: n". */
static void put_length(struct ws_head_writer *w, size_t n)
{
    uint8_t digits[24];
    size_t at = sizeof digits;

    do {
        digits[--at] = (uint8_t)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    ws_head_put_named(w, "Content-Length",
                      ws_slice_of(digits + at, sizeof digits - at));
}

/* A clock that was never set says nothing. */
static void put_date(struct ws_head_writer *w, const struct ws_answer *a)
{
    char text[WS_DATE_SIZE];

    if (a->date > 0 && !given(a, "Date") &&
        ws_date_write(text, a->date) == WS_OK)
        ws_head_put_named(w, "Date", ws_slice_of(text, sizeof text));
}

int ws_welcome_reserved(struct ws_slice name)
{
    return ws_slice_same(name, ws_slice_str("Content-Length")) ||
           ws_slice_same(name, ws_slice_str("Transfer-Encoding")) ||
           ws_slice_same(name, ws_slice_str("Connection"));
}

int ws_welcome_refuse(struct ws_buf *out, struct ws_mem *mem,
                      const struct ws_answer *a)
{
    struct ws_head_writer w = {out, mem, WS_OK};
    int bodiless = a->status == 204 || a->status == 304; /* RFC 9110 6.4.1 */
    unsigned i;

    if (a->status < 200 || a->status > 599)
        return WS_ERR_ARGUMENT;
    for (i = 0; i < a->nfields; i++) {
        if (ws_welcome_reserved(a->fields[i].name))
            return WS_ERR_FIELD;
    }
    w.err = ws_head_put_status(out, mem, a->status, a->reason);
    put_date(&w, a);
    ws_head_put_fields(&w, a->fields, a->nfields);
    put_status_fields(&w, a);
    if (!bodiless)
        put_length(&w, a->body.n);
    if (w.err == WS_OK)
        w.err = ws_head_put_end(out, mem);
    if (w.err == WS_OK && !bodiless && !a->head_method)
        w.err = ws_buf_append(out, mem, a->body);
    return w.err;
}

int ws_welcome_refuse_error(struct ws_buf *out, struct ws_mem *mem, int err,
                            int head_method, int64_t date)
{
    struct ws_field field;
    struct ws_answer a;
    char text[128];
    size_t n = strlen(ws_err_text(err));

    n = n < sizeof text ? n : sizeof text - 1;
    memcpy(text, ws_err_text(err), n);
    text[n] = '\n';
    field.name = ws_slice_str("Content-Type");
    field.value = ws_slice_str("text/plain");
    a.status = ws_err_status(err);
    a.reason = ws_slice_of(NULL, 0);
    a.fields = &field;
    a.nfields = 1;
    a.host = ws_slice_of(NULL, 0);
    a.body = ws_slice_of(text, n + 1);
    a.head_method = head_method;
    a.date = date;
    return ws_welcome_refuse(out, mem, &a);
}

/* -- help for the application -- */

int ws_welcome_same_host(const struct ws_head *head)
{
    const struct ws_field *origin = ws_head_only(head, "Origin");
    struct ws_slice scheme, ours, theirs;
    int port;

    if (origin == NULL)
        return ws_head_count(head, "Origin") == 0;
    return ws_origin_host(origin->value, &scheme, &theirs, &port) == WS_OK &&
           find_host(head, &ours, &port) == WS_OK &&
           ws_slice_same(ours, theirs);
}

/* IPv6 addresses, in their brackets, have more than one spelling. */
static int is_same_name(struct ws_slice a, struct ws_slice b)
{
    uint16_t x[8], y[8];

    if (ws_slice_same(a, b))
        return 1;
    return a.n > 2 && b.n > 2 && a.p[0] == '[' && b.p[0] == '[' &&
           ws_ipv6_read(ws_slice_of(a.p + 1, a.n - 2), x) &&
           ws_ipv6_read(ws_slice_of(b.p + 1, b.n - 2), y) &&
           memcmp(x, y, sizeof x) == 0;
}

int ws_welcome_names(struct ws_slice entry, struct ws_slice host, int port)
{
    struct ws_slice name;
    int wanted;

    return ws_host_port(entry, &name, &wanted) == WS_OK &&
           is_same_name(name, host) &&
           (wanted == 0 || wanted == port ||
            (port == 0 && (wanted == 80 || wanted == 443)));
}
