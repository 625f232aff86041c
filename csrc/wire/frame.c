/* wire/frame.c -- see frame.h. */
#include "wire/frame.h"

enum { FIN = 0x80, RSV1 = 0x40, RSV23 = 0x30, MASK = 0x80 };
enum { LEN16 = 126, LEN64 = 127 };

/* The first two bytes decide everything but the length and the key. */
static int check_start(const uint8_t *p, unsigned expect)
{
    unsigned op = p[0] & 0x0Fu, control = op & 0x08u;

    if ((p[0] & RSV23) != 0)
        return WS_ERR_RSV;
    if ((p[0] & RSV1) != 0 &&
        ((expect & WS_FRAME_RSV1) == 0 || control || op == WS_OP_CONTINUATION))
        return WS_ERR_RSV;
    if ((op & 0x07u) > 2)
        return WS_ERR_OPCODE;
    if (control && (p[0] & FIN) == 0)
        return WS_ERR_CONTROL_CUT;
    return WS_OK;
}

static int check_second(const uint8_t *p, unsigned expect)
{
    if (((p[1] & MASK) != 0) != ((expect & WS_FRAME_MASKED) != 0))
        return (expect & WS_FRAME_MASKED) ? WS_ERR_UNMASKED : WS_ERR_MASKED;
    if ((p[0] & 0x08u) != 0 && (p[1] & 0x7Fu) > WS_CONTROL_MAX)
        return WS_ERR_CONTROL_LONG;
    return WS_OK;
}

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    size_t i;
    for (i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* The extended length, refused when a shorter form would have held it. */
static int read_length(struct ws_frame *f, struct ws_slice in, size_t *size)
{
    unsigned len7 = in.p[1] & 0x7Fu;

    if (len7 == LEN16) {
        *size = 4;
        if (in.n < 4)
            return WS_MORE;
        f->len = big_endian(in.p + 2, 2);
        return f->len < LEN16 ? WS_ERR_LENGTH_LONG : WS_OK;
    }
    *size = 10;
    if (in.n > 2 && (in.p[2] & 0x80) != 0)
        return WS_ERR_LENGTH_TOP;
    if (in.n < 10)
        return WS_MORE;
    f->len = big_endian(in.p + 2, 8);
    return f->len <= 0xFFFF ? WS_ERR_LENGTH_LONG : WS_OK;
}

int ws_frame_read(struct ws_frame *f, struct ws_slice in, unsigned expect,
                  size_t *size)
{
    const uint8_t *p = in.p;
    int err;

    if (in.n < 1)
        return WS_MORE;
    err = check_start(p, expect);
    if (err != WS_OK)
        return err;
    if (in.n < 2)
        return WS_MORE;
    err = check_second(p, expect);
    if (err != WS_OK)
        return err;

    f->op = p[0] & 0x0F;
    f->fin = (p[0] & FIN) != 0;
    f->rsv1 = (p[0] & RSV1) != 0;
    f->masked = (p[1] & MASK) != 0;
    f->len = p[1] & 0x7Fu;
    *size = 2;
    if (f->len >= LEN16) {
        err = read_length(f, in, size);
        if (err != WS_OK)
            return err;
    }
    if (f->masked) {
        if (in.n < *size + 4)
            return WS_MORE;
        memcpy(f->key, p + *size, 4);
        *size += 4;
    }
    return WS_OK;
}

size_t ws_frame_head_size(uint64_t len, int masked)
{
    size_t n = len < LEN16 ? 2 : len <= 0xFFFF ? 4 : 10;
    return masked ? n + 4 : n;
}

size_t ws_frame_write(uint8_t *out, const struct ws_frame *f)
{
    uint8_t mask = f->masked ? MASK : 0;
    size_t n = 2;

    out[0] = (uint8_t)((f->fin ? FIN : 0) | (f->rsv1 ? RSV1 : 0) | f->op);
    if (f->len < LEN16) {
        out[1] = (uint8_t)(mask | f->len);
    } else if (f->len <= 0xFFFF) {
        out[1] = mask | LEN16;
        out[2] = (uint8_t)(f->len >> 8);
        out[3] = (uint8_t)f->len;
        n = 4;
    } else {
        out[1] = mask | LEN64;
        for (n = 2; n < 10; n++)
            out[n] = (uint8_t)(f->len >> (8 * (9 - n)));
    }
    if (f->masked) {
        memcpy(out + n, f->key, 4);
        n += 4;
    }
    return n;
}

size_t ws_frame_payload_in(struct ws_slice run, size_t off)
{
    size_t at = 0, payload = 0;

    while (at < off && at + 2 <= run.n) {
        const uint8_t *p = run.p + at;
        unsigned len7 = p[1] & 0x7Fu;
        uint64_t len = len7;
        size_t got;

        if (len7 >= LEN16)
            len = big_endian(p + 2, len7 == LEN16 ? 2 : 8);
        at += ws_frame_head_size(len, (p[1] & MASK) != 0);
        if (at >= off)
            break;
        got = off - at < len ? off - at : (size_t)len;
        if ((p[0] & 0x08u) == 0)
            payload += got;
        at += (size_t)len;
    }
    return payload;
}
