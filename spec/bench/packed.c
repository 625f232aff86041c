/* spec/bench/packed.c -- see packed.h. */
#include "packed.h"
#include "usage.h"

#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

static const uint8_t tail[4] = {0x00, 0x00, 0xFF, 0xFF};

struct packed {
    const struct ring *ring;
    z_stream z;
    size_t first, messages;
    uint64_t payload; /* bytes, ever */
    uint8_t head[10];
    size_t head_n;
    uint64_t left; /* of the frame's payload, once its head is there */
    size_t done;   /* of the message, compared */
};

struct packed *packed_open(const struct ring *ring, size_t first)
{
    struct packed *p = calloc(1, sizeof *p);

    if (p == NULL || inflateInit2(&p->z, -15) != Z_OK)
        die("no memory");
    p->ring = ring;
    p->first = first;
    return p;
}

/* -- reading -- */

static void compare(struct packed *p, const uint8_t *bytes, size_t n)
{
    size_t i = (p->first + p->messages) % p->ring->n;

    if (n > p->ring->size - p->done ||
        memcmp(ring_text(p->ring, i) + p->done, bytes, n) != 0)
        die("an answer is wrong");
    p->done += n;
}

static void decompress(struct packed *p, const uint8_t *bytes, size_t n)
{
    static uint8_t out[65536];

    p->z.next_in = bytes;
    p->z.avail_in = (uInt)n;
    do {
        int rc;

        p->z.next_out = out;
        p->z.avail_out = sizeof out;
        rc = inflate(&p->z, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            die("an answer does not decompress");
        compare(p, out, sizeof out - p->z.avail_out);
    } while (p->z.avail_in > 0 || p->z.avail_out == 0);
}

/* One more byte of a head (RFC 6455 5.2); with the last one `left` is known. */
static void put_head(struct packed *p, uint8_t byte)
{
    size_t i, n = 2;

    p->head[p->head_n++] = byte;
    if (p->head_n > 1 && p->head[1] >= 126)
        n = p->head[1] == 126 ? 4 : 10;
    if (p->head_n < 2 || p->head_n < n)
        return;
    if ((p->head[0] & 0xBC) != 0x80 || p->head[1] > 127)
        die("an answer is no message in one frame");
    p->left = n == 2 ? p->head[1] : 0;
    for (i = 2; i < n; i++)
        p->left = p->left << 8 | p->head[i];
    p->payload += p->left;
}

/* The frame has all of its payload. */
static void end(struct packed *p)
{
    if (p->head[0] & 0x40)
        decompress(p, tail, sizeof tail);
    if (p->done != p->ring->size)
        die("an answer is too short");
    p->messages++;
    p->done = 0;
    p->head_n = 0;
}

size_t packed_ends(struct packed *p, const uint8_t *bytes, size_t n)
{
    size_t before = p->messages, k;

    while (n > 0) {
        if (p->left == 0) {
            put_head(p, *bytes);
            k = 1;
        } else {
            k = n < p->left ? n : (size_t)p->left;
            if (p->head[0] & 0x40)
                decompress(p, bytes, k);
            else
                compare(p, bytes, k);
            p->left -= k;
            if (p->left == 0)
                end(p);
        }
        bytes += k;
        n -= k;
    }
    return p->messages - before;
}

/* -- comparing -- */

/* What zlib makes of a message. */
static size_t usual(z_stream *z, const uint8_t *text, size_t n)
{
    static uint8_t out[65536];
    size_t all = 0;

    z->next_in = text;
    z->avail_in = (uInt)n;
    do {
        z->next_out = out;
        z->avail_out = sizeof out;
        deflate(z, Z_SYNC_FLUSH);
        all += sizeof out - z->avail_out;
    } while (z->avail_out == 0);
    return all - sizeof tail;
}

double packed_larger(const struct packed *p)
{
    z_stream z = {0};
    uint64_t all = 0;
    size_t i;

    if (deflateInit2(&z, -1, Z_DEFLATED, -15, 8, 0) != Z_OK)
        die("no memory");
    for (i = 0; i < p->messages; i++) {
        size_t at = (p->first + i) % p->ring->n;
        all += usual(&z, ring_text(p->ring, at), p->ring->size);
    }
    deflateEnd(&z);
    return all == 0 ? 0 : (double)p->payload / (double)all;
}
