/* proto/offer.c -- see offer.h. */
#include "proto/offer.h"

#include "wire/field.h"

static const char extension[] = "permessage-deflate";

static const char *const names[] = {
    "server_no_context_takeover", "client_no_context_takeover",
    "server_max_window_bits", "client_max_window_bits"};

enum { SERVER_ALONE, CLIENT_ALONE, SERVER_WINDOW, CLIENT_WINDOW, UNKNOWN };

/* -- writing -- */

static size_t put(char *text, size_t at, const char *s)
{
    size_t n = strlen(s);
    memcpy(text + at, s, n);
    return at + n;
}

static size_t put_name(char *text, size_t at, int name)
{
    at = put(text, at, "; ");
    return put(text, at, names[name]);
}

static size_t put_window(char *text, size_t at, int name, unsigned bits)
{
    if (bits == 0)
        return at;
    at = put_name(text, at, name);
    if (bits == WS_WINDOW_ANY)
        return at;
    at = put(text, at, bits < 10 ? "=" : "=1");
    text[at] = (char)('0' + bits % 10);
    return at + 1;
}

size_t ws_offer_write(char text[WS_OFFER_SIZE], const struct ws_offer *o)
{
    size_t at = put(text, 0, extension);

    if (o->server_alone)
        at = put_name(text, at, SERVER_ALONE);
    if (o->client_alone)
        at = put_name(text, at, CLIENT_ALONE);
    at = put_window(text, at, SERVER_WINDOW, o->server_window);
    return put_window(text, at, CLIENT_WINDOW, o->client_window);
}

/* -- reading -- */

static int which(struct ws_slice name)
{
    int i;

    for (i = 0; i < UNKNOWN && !ws_slice_is(name, names[i]); i++)
        continue;
    return i;
}

/* 8 to 15 in decimal digits, without zeros in front (7.1.2); 0: it is not. */
static uint8_t window_of(struct ws_slice v)
{
    if (v.n == 1 && (v.p[0] == '8' || v.p[0] == '9'))
        return (uint8_t)(v.p[0] - '0');
    if (v.n == 2 && v.p[0] == '1' && v.p[1] >= '0' && v.p[1] <= '5')
        return (uint8_t)(10 + v.p[1] - '0');
    return 0;
}

/* Only an offer may name client_max_window_bits without a value. */
static int read_param(const struct ws_param *p, struct ws_offer *o, int offer)
{
    int name = which(p->name);
    uint8_t *field[UNKNOWN], value = 1;

    field[SERVER_ALONE] = &o->server_alone;
    field[CLIENT_ALONE] = &o->client_alone;
    field[SERVER_WINDOW] = &o->server_window;
    field[CLIENT_WINDOW] = &o->client_window;
    if (name == UNKNOWN || *field[name] != 0)
        return WS_ERR_DEFLATE_PARAM; /* no such one, or it again */
    if (name == CLIENT_WINDOW && offer && !p->has_value)
        value = WS_WINDOW_ANY;
    else if (name == SERVER_WINDOW || name == CLIENT_WINDOW)
        value = window_of(p->value);
    else if (p->has_value)
        value = 0;
    *field[name] = value;
    return value == 0 ? WS_ERR_DEFLATE_PARAM : WS_OK;
}

static int read_params(struct ws_slice params, struct ws_offer *o, int offer)
{
    struct ws_param p;
    uint8_t scratch[8]; /* no value of ours is longer */
    int err;

    memset(o, 0, sizeof *o);
    for (;;) {
        err = ws_param_next(&params, &p, scratch, sizeof scratch);
        if (err == WS_OK)
            err = read_param(&p, o, offer);
        if (err != WS_OK)
            return err == WS_MORE ? WS_OK : WS_ERR_DEFLATE_PARAM;
    }
}

/* What a side may use at most. */
static uint8_t smaller(uint8_t a, uint8_t b)
{
    a = a == 0 || a == WS_WINDOW_ANY ? WS_WINDOW_MAX : a;
    b = b == 0 || b == WS_WINDOW_ANY ? WS_WINDOW_MAX : b;
    return a < b ? a : b;
}

/* -- server -- */

/* Names a window only when that says something (7.1.2.1, 7.1.2.2). */
static int choose(const struct ws_offer *ours, const struct ws_offer *o,
                  struct ws_offer *answer)
{
    uint8_t server = smaller(ours->server_window, o->server_window);
    uint8_t client = smaller(ours->client_window, o->client_window);

    if (o->client_window == 0 && client < WS_WINDOW_MAX)
        return WS_MORE; /* it cannot do with less */
    memset(answer, 0, sizeof *answer);
    answer->server_alone = ours->server_alone || o->server_alone;
    answer->client_alone = ours->client_alone || o->client_alone;
    if (server < WS_WINDOW_MAX || o->server_window != 0)
        answer->server_window = server;
    if (client < WS_WINDOW_MAX ||
        (o->client_window != 0 && o->client_window != WS_WINDOW_ANY))
        answer->client_window = client;
    return WS_OK;
}

int ws_offer_choose(const struct ws_offer *ours, struct ws_slice value,
                    struct ws_offer *answer)
{
    struct ws_slice name, params;
    struct ws_offer o;

    while (ws_extension_next(&value, &name, &params) == WS_OK) {
        if (ws_slice_is(name, extension) &&
            read_params(params, &o, 1) == WS_OK &&
            choose(ours, &o, answer) == WS_OK)
            return WS_OK;
    }
    return WS_MORE;
}

/* -- client -- */

static int fits(const struct ws_offer *ours, const struct ws_offer *a)
{
    if (ours->server_alone && !a->server_alone)
        return 0; /* 7.1.1.1 */
    if (ours->server_window != 0 &&
        (a->server_window == 0 || a->server_window > ours->server_window))
        return 0; /* 7.1.2.1 */
    /* 7.1.2.2; not offered is 0, and any is more than all */
    return a->client_window <= ours->client_window;
}

int ws_offer_check(const struct ws_offer *ours, struct ws_slice value,
                   struct ws_offer *answer)
{
    struct ws_slice name, params, other, more;

    if (ws_extension_next(&value, &name, &params) != WS_OK ||
        !ws_slice_is(name, extension) ||
        ws_extension_next(&value, &other, &more) != WS_MORE)
        return WS_ERR_EXTENSION_ANSWER;
    if (read_params(params, answer, 0) != WS_OK)
        return WS_ERR_DEFLATE_PARAM;
    return fits(ours, answer) ? WS_OK : WS_ERR_DEFLATE_ANSWER;
}
