/* proto/hello.c -- see hello.h. */
#include "proto/hello.h"

#include "base/base64.h"
#include "base/digest.h"
#include "wire/challenge.h"
#include "wire/field.h"

/* -- what the caller adds -- */

/* The last is between us and a proxy: the server would read a password that is
** not for it (RFC 9110 11.7.1). */
static const char *const reserved[] = {"Host",
                                       "Upgrade",
                                       "Connection",
                                       "Content-Length",
                                       "Transfer-Encoding",
                                       "Origin",
                                       "Proxy-Authorization"};

static const char *const travellers[] = {
    "Accept", "Accept-Language", "Cache-Control", "Pragma", "User-Agent",
};

static int is_among(struct ws_slice name, const char *const *names, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (ws_slice_same(name, ws_slice_str(names[i])))
            return 1;
    }
    return 0;
}

int ws_hello_travels(struct ws_slice name)
{
    return is_among(name, travellers, sizeof travellers / sizeof travellers[0]);
}

int ws_hello_reserved(struct ws_slice name)
{
    return ws_slice_begins(name, "Sec-WebSocket-") ||
           is_among(name, reserved, sizeof reserved / sizeof reserved[0]);
}

/* Cuts the list before its first comma; 0 when there is no comma. */
static int cut_item(struct ws_slice *rest, struct ws_slice *item)
{
    const uint8_t *comma = memchr(rest->p, ',', rest->n);

    if (comma == NULL) {
        *item = ws_field_trim(*rest);
        return 0;
    }
    *item = ws_field_trim(ws_slice_of(rest->p, (size_t)(comma - rest->p)));
    ws_slice_skip(rest, (size_t)(comma - rest->p) + 1);
    return 1;
}

/* 1 when the list has the item, byte for byte. */
static int has_item(struct ws_slice list, struct ws_slice item)
{
    struct ws_slice other;
    int more = list.n > 0;

    while (more) {
        more = cut_item(&list, &other);
        if (ws_slice_equal(other, item))
            return 1;
    }
    return 0;
}

/* Not ws_token_list_next: it forgives empty elements, which a receiver should
** and a sender must not have (RFC 9110 5.6.1). */
int ws_hello_protocols_ok(struct ws_slice s)
{
    struct ws_slice item;
    int more = s.n > 0;

    while (more) {
        more = cut_item(&s, &item);
        if (!ws_is_token(item) || (more && has_item(s, item)))
            return 0;
    }
    return 1;
}

/* -- the request -- */

static void put_some(struct ws_head_writer *w, const char *name,
                     struct ws_slice value)
{
    if (value.n > 0)
        ws_head_put_named(w, name, value);
}

static int check_conf(const struct ws_hello_conf *conf)
{
    struct ws_slice host;
    unsigned i;
    int port;

    if (conf->target.n == 0 || conf->target.p[0] != '/')
        return WS_ERR_FIELD;
    if (ws_host_port(conf->host, &host, &port) != WS_OK)
        return WS_ERR_FIELD;
    if (!ws_hello_protocols_ok(conf->protocols))
        return WS_ERR_PROTOCOLS;
    for (i = 0; i < conf->nfields; i++) {
        if (ws_hello_reserved(conf->fields[i].name))
            return WS_ERR_FIELD;
    }
    return WS_OK;
}

int ws_hello_write(struct ws_hello *h, struct ws_buf *out, struct ws_mem *mem,
                   const struct ws_hello_conf *conf)
{
    struct ws_head_writer w = {out, mem, check_conf(conf)};

    if (w.err != WS_OK)
        return w.err;
    ws_base64_encode(h->key, conf->nonce);
    h->protocols = conf->protocols;
    h->extensions = conf->extensions.n > 0;
    h->challenges = conf->challenges;

    w.err = ws_head_put_request(out, mem, ws_slice_str("GET"), conf->target);
    ws_head_put_named(&w, "Host", conf->host); /* first: RFC 9110 7.2 */
    ws_head_put_named(&w, "Upgrade", ws_slice_str("websocket"));
    ws_head_put_named(&w, "Connection", ws_slice_str("Upgrade"));
    ws_head_put_named(&w, "Sec-WebSocket-Key",
                      ws_slice_of(h->key, WS_KEY_SIZE));
    ws_head_put_named(&w, "Sec-WebSocket-Version", ws_slice_str("13"));
    put_some(&w, "Sec-WebSocket-Protocol", conf->protocols);
    put_some(&w, "Sec-WebSocket-Extensions", conf->extensions);
    put_some(&w, "Origin", conf->origin);
    ws_head_put_fields(&w, conf->fields, conf->nfields);
    return w.err != WS_OK ? w.err : ws_head_put_end(out, mem);
}

/* -- the answer -- */

/* The comparison is case-sensitive (4.1); nothing here is secret. */
static int check_accept(const struct ws_hello *h, const struct ws_head *head)
{
    const struct ws_field *f = ws_head_only(head, "Sec-WebSocket-Accept");
    char want[WS_ACCEPT_SIZE];

    if (f == NULL ||
        ws_digest_accept(want, ws_slice_of(h->key, WS_KEY_SIZE)) != WS_OK ||
        !ws_slice_equal(f->value, ws_slice_of(want, sizeof want)))
        return WS_ERR_ACCEPT;
    return WS_OK;
}

/* Who offered subprotocols wants one of them; no answer is a refusal too, as
** in browsers. */
static int check_protocol(const struct ws_hello *h, const struct ws_head *head,
                          struct ws_slice *protocol)
{
    const struct ws_field *f = ws_head_only(head, "Sec-WebSocket-Protocol");

    if (f == NULL) {
        if (ws_head_count(head, "Sec-WebSocket-Protocol") > 0)
            return WS_ERR_PROTOCOL_ANSWER;
        return h->protocols.n == 0 ? WS_OK : WS_ERR_PROTOCOL_MISSING;
    }
    if (f->value.n == 0 || !has_item(h->protocols, f->value))
        return WS_ERR_PROTOCOL_ANSWER;
    *protocol = f->value;
    return WS_OK;
}

/* What is offered is one extension, so there is one line at most; whether its
** parameters are right is known to the extension. */
static int check_extensions(const struct ws_hello *h,
                            const struct ws_head *head,
                            struct ws_slice *extensions)
{
    const struct ws_field *f = ws_head_only(head, "Sec-WebSocket-Extensions");

    if (ws_head_count(head, "Sec-WebSocket-Extensions") == 0)
        return WS_OK;
    if (f == NULL || !h->extensions || ws_extension_check(f->value) != WS_OK)
        return WS_ERR_EXTENSION_ANSWER;
    *extensions = f->value;
    return WS_OK;
}

int ws_hello_check(const struct ws_hello *h, const struct ws_head *head,
                   struct ws_hello_answer *answer)
{
    const struct ws_field *upgrade = ws_head_only(head, "Upgrade");
    int err;

    answer->protocol = ws_slice_of(NULL, 0);
    answer->extensions = ws_slice_of(NULL, 0);
    if (head->status != 101)
        return WS_ERR_STATUS;
    if (ws_slice_is(head->version, "HTTP/1.0")) /* it has no upgrade */
        return WS_ERR_HEAD_VERSION;
    if (upgrade == NULL ||
        !ws_slice_same(upgrade->value, ws_slice_str("websocket")))
        return WS_ERR_UPGRADE;
    if (!ws_head_has_token(head, "Connection", "Upgrade"))
        return WS_ERR_CONNECTION;
    if (!ws_head_is_list(head, "Connection", 0))
        return WS_ERR_HEAD_SYNTAX;
    err = check_accept(h, head);
    if (err == WS_OK)
        err = check_protocol(h, head, &answer->protocol);
    if (err == WS_OK)
        err = check_extensions(h, head, &answer->extensions);
    return err;
}

int ws_hello_challenged(const struct ws_hello *h, const struct ws_head *head)
{
    struct ws_digest d;

    return h->challenges != WS_CHALLENGES_NONE && head->status == 401 &&
           ws_digest_choose(head, "WWW-Authenticate", &d) == WS_OK &&
           (h->challenges == WS_CHALLENGES_ANY || d.stale);
}

int ws_hello_interim(const struct ws_head *head)
{
    return head->status >= 100 && head->status < 200 && head->status != 101;
}
