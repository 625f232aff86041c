/* spec/fuzz/offer.c -- parameters of permessage-deflate: what is chosen was
** offered and is allowed, and whoever offered it accepts it.
**
** Input: four bytes that say what ours is, then a header value.
*/
#include "fuzz.h"

#include "proto/offer.h"
#include "wire/field.h"

static uint8_t window_of(uint8_t b)
{
    b &= 0x0F;
    return b < WS_WINDOW_MIN ? 0 : b;
}

static int at_most(unsigned window, unsigned max)
{
    return max == 0 || (window != 0 && window <= max);
}

/* The text of an answer says the same again, and is 7692's grammar. */
static void check_text(const struct ws_offer *o)
{
    static const struct ws_offer any = {0, WS_WINDOW_ANY, 0, 0};
    char text[WS_OFFER_SIZE];
    struct ws_offer again;
    size_t n = ws_offer_write(text, o);

    CHECK(n <= sizeof text);
    CHECK(ws_extension_check(ws_slice_of(text, n)) == WS_OK);
    CHECK(ws_offer_check(&any, ws_slice_of(text, n), &again) == WS_OK);
    CHECK(memcmp(o, &again, sizeof again) == 0);
}

static void check_choice(const struct ws_offer *ours, struct ws_slice value)
{
    struct ws_offer a;

    if (ws_offer_choose(ours, value, &a) != WS_OK)
        return;
    CHECK(a.server_alone >= ours->server_alone);
    CHECK(a.client_alone >= ours->client_alone);
    CHECK(at_most(a.server_window, ours->server_window % WS_WINDOW_MAX));
    CHECK(at_most(a.client_window, ours->client_window % WS_WINDOW_MAX));
    CHECK(a.client_window <= WS_WINDOW_MAX);
    check_text(&a);
}

static void check_answer(const struct ws_offer *ours, struct ws_slice value)
{
    struct ws_offer a;

    if (ws_offer_check(ours, value, &a) != WS_OK)
        return;
    CHECK(ws_extension_check(value) == WS_OK);
    CHECK(a.server_alone >= ours->server_alone);
    CHECK(at_most(a.server_window, ours->server_window));
    CHECK(a.client_window <= ours->client_window);
    CHECK(a.client_window <= WS_WINDOW_MAX);
    check_text(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ws_offer ours;
    struct ws_span copy;
    struct ws_slice value;

    ours.server_window = window_of(fuzz_byte(&data, &n));
    ours.client_window = window_of(fuzz_byte(&data, &n));
    ours.server_alone = fuzz_byte(&data, &n) & 1;
    ours.client_alone = fuzz_byte(&data, &n) & 1;
    copy = fuzz_copy(data, n);
    value = ws_slice_of(copy.p, copy.n);
    if (ws_extension_check(value) == WS_OK)
        check_choice(&ours, value);
    if (ours.client_window == 0)
        ours.client_window = WS_WINDOW_ANY;
    check_answer(&ours, value);
    free(copy.p);
    return 0;
}
