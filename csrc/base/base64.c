/* base/base64.c -- RFC 4648 section 4. */
#include "base/base64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { BAD = 64 };

/* The six bits a character stands for, or BAD. */
static unsigned bits_of(uint8_t ch)
{
    if (ch >= 'A' && ch <= 'Z')
        return ch - 'A' + 0U;
    if (ch >= 'a' && ch <= 'z')
        return ch - 'a' + 26U;
    if (ch >= '0' && ch <= '9')
        return ch - '0' + 52U;
    if (ch == '+')
        return 62;
    return ch == '/' ? 63 : BAD;
}

size_t ws_base64_encode(char *out, struct ws_slice in)
{
    char *q = out;
    size_t i;
    for (i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        uint32_t w = (uint32_t)in.p[i] << 16;
        if (left > 1)
            w |= (uint32_t)in.p[i + 1] << 8;
        if (left > 2)
            w |= in.p[i + 2];
        *q++ = alphabet[w >> 18];
        *q++ = alphabet[w >> 12 & 63];
        *q++ = left > 1 ? alphabet[w >> 6 & 63] : '=';
        *q++ = left > 2 ? alphabet[w & 63] : '=';
    }
    return (size_t)(q - out);
}

/* Four characters, the last `pad` of them '=', to 3 - pad bytes. */
static int decode_quad(uint8_t *out, const uint8_t *in, unsigned pad)
{
    uint32_t w = 0;
    unsigned i;
    for (i = 0; i < 4 - pad; i++) {
        unsigned bits = bits_of(in[i]);
        if (bits == BAD)
            return WS_ERR_ARGUMENT;
        w |= bits << (18 - 6 * i);
    }
    /* What the padding cuts off must be zero: one text per value. */
    if ((w & ((1U << 8 * pad) - 1)) != 0)
        return WS_ERR_ARGUMENT;
    for (i = 0; i < 3 - pad; i++)
        out[i] = (uint8_t)(w >> (16 - 8 * i));
    return WS_OK;
}

int ws_base64_decode(uint8_t *out, size_t *n, struct ws_slice in)
{
    uint8_t *q = out;
    size_t i;
    *n = 0;
    if (in.n % 4 != 0)
        return WS_ERR_ARGUMENT;
    for (i = 0; i < in.n; i += 4) {
        unsigned pad = 0;
        if (i + 4 == in.n && in.p[i + 3] == '=')
            pad = in.p[i + 2] == '=' ? 2 : 1;
        if (decode_quad(q, in.p + i, pad) != WS_OK)
            return WS_ERR_ARGUMENT;
        q += 3 - pad;
    }
    *n = (size_t)(q - out);
    return WS_OK;
}
