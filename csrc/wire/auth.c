/* wire/auth.c -- see auth.h. */
#include "wire/auth.h"

#include "wire/field.h"

static int has_control(struct ws_slice s)
{
    size_t i;

    for (i = 0; i < s.n; i++) {
        if (s.p[i] < ' ' || s.p[i] == 0x7F)
            return 1;
    }
    return 0;
}

int ws_basic_check(struct ws_slice user, struct ws_slice password)
{
    if (has_control(user) || has_control(password) ||
        (user.n > 0 && memchr(user.p, ':', user.n) != NULL))
        return WS_ERR_FIELD;
    return WS_OK;
}

size_t ws_basic_write(char *out, struct ws_slice user, struct ws_slice password)
{
    const struct ws_slice parts[] = {user, ws_slice_str(":"), password};
    size_t i, j, n = 6, k = 0;
    uint8_t three[3]; /* base64 goes by threes, so no copy is needed */

    memcpy(out, "Basic ", 6);
    for (i = 0; i < 3; i++) {
        for (j = 0; j < parts[i].n; j++) {
            three[k++] = parts[i].p[j];
            if (k == 3) {
                n += ws_base64_encode(out + n, ws_slice_of(three, 3));
                k = 0;
            }
        }
    }
    return n + ws_base64_encode(out + n, ws_slice_of(three, k));
}

int ws_basic_read(struct ws_slice value, uint8_t *scratch,
                  struct ws_slice *user, struct ws_slice *password)
{
    size_t n = ws_ch_span(value, WS_CH_TOKEN);
    struct ws_slice scheme = ws_slice_of(value.p, n), all;
    const uint8_t *colon;

    ws_slice_skip(&value, n);
    if (!ws_slice_same(scheme, ws_slice_str("Basic")) || value.n == 0 ||
        value.p[0] != ' ' ||
        ws_base64_decode(scratch, &n, ws_field_trim(value)) != WS_OK)
        return WS_ERR_FIELD;
    all = ws_slice_of(scratch, n);
    colon = n > 0 ? memchr(scratch, ':', n) : NULL;
    if (colon == NULL || has_control(all))
        return WS_ERR_FIELD;
    *user = ws_slice_of(scratch, (size_t)(colon - scratch));
    *password = ws_slice_of(colon + 1, n - user->n - 1);
    return WS_OK;
}
