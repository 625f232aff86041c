/* spec/bench/ring.c -- see ring.h. */
#include "ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    RING_BYTES = 2 << 20, /* about; two frames at least */
    RING_FRAMES = 1024    /* most */
};

static uint32_t chance(void)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 24);
}

/* -- content -- */

static const char *plain_word(void)
{
    static const char *const words[] = {"alpha", "order",  "price", "user",
                                        "hello", "status", "open",  "pending",
                                        "room",  "joined", "north", "message"};
    return words[chance() % 12];
}

/* Of two, three and four bytes a character. */
static const char *multi_word(void)
{
    static const char *const words[] = {
        "\xc3\xbc\x62\x65r",                                /* German */
        "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",             /* Japanese */
        "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", /* Russian */
        "\xce\xba\xce\xb1\xce\xbb\xce\xb7",                 /* Greek */
        "\xec\x95\x88\xeb\x85\x95",                         /* Korean */
        "\xf0\x9f\x98\x80\xf0\x9f\x8e\x89"};                /* pictures */
    return words[chance() % 6];
}

static void write_piece(char *piece, size_t room, enum kind kind)
{
    const char *first = kind == MIXED ? multi_word() : plain_word();
    const char *last = kind == MIXED ? multi_word() : plain_word();

    if (kind == DENSE)
        snprintf(piece, room, "%s ", multi_word());
    else
        snprintf(piece, room,
                 "{\"id\":%u,\"user\":\"%s\",\"text\":\"%s %s %s %s\"},",
                 (unsigned)(chance() % 100000), plain_word(), first,
                 plain_word(), plain_word(), last);
}

/* Exactly n bytes, whole characters. */
static void fill(uint8_t *p, size_t n, enum kind kind)
{
    char piece[160];
    size_t at = 0, k;

    while (kind == BINARY && at < n)
        p[at++] = (uint8_t)chance();
    while (at < n) {
        write_piece(piece, sizeof piece, kind);
        k = strlen(piece);
        if (k > n - at) {
            memset(p + at, '.', n - at);
            return;
        }
        memcpy(p + at, piece, k);
        at += k;
    }
}

/* -- frames, RFC 6455 5.2 -- */

static uint8_t first_byte(enum kind kind)
{
    return kind == BINARY ? 0x82 : 0x81;
}

static size_t put_head(uint8_t *p, uint8_t first, size_t n, int masked)
{
    size_t wide = n < 126 ? 0 : n < 65536 ? 2 : 8, i;

    p[0] = first;
    p[1] = (uint8_t)(wide == 0 ? n : wide == 2 ? 126 : 127);
    for (i = 0; i < wide; i++)
        p[2 + i] = (uint8_t)(n >> (8 * (wide - 1 - i)));
    if (masked)
        p[1] |= 0x80;
    return 2 + wide;
}

/* Bytes a frame may have. */
static size_t room_for(size_t n, enum packing how)
{
    return how == PACKED ? compressBound(n) + 64 : n + 14;
}

/* n bytes at p without the end of the flush, in memory of its own. */
static uint8_t *pack(uint8_t *p, size_t *n)
{
    z_stream z = {0};
    uint8_t *out = malloc(room_for(*n, PACKED));

    if (out == NULL || deflateInit2(&z, -1, Z_DEFLATED, -15, 8, 0) != Z_OK)
        exit(1);
    z.next_in = p;
    z.avail_in = (uInt)*n;
    z.next_out = out;
    z.avail_out = (uInt)room_for(*n, PACKED);
    deflate(&z, Z_SYNC_FLUSH);
    *n = z.total_out - 4;
    deflateEnd(&z);
    return out;
}

static void make_frame(struct ring *r, size_t i, enum kind kind, int packed)
{
    uint8_t *answer = r->answers + i * r->answer_n, *key;
    uint8_t *text = answer + put_head(answer, first_byte(kind), r->size, 0);
    uint8_t *frame = r->frames + r->at[i], *payload = text;
    size_t n = r->size, k;

    fill(text, n, kind);
    if (packed)
        payload = pack(text, &n);
    key = frame + put_head(frame, first_byte(kind) | (packed ? 0x40 : 0), n, 1);
    for (k = 0; k < 4; k++)
        key[k] = (uint8_t)chance();
    for (k = 0; k < n; k++)
        key[4 + k] = payload[k] ^ key[k & 3];
    r->at[i + 1] = (size_t)(key + 4 + n - r->frames);
    if (packed)
        free(payload);
}

int make_ring(struct ring *r, enum kind kind, size_t size, enum packing how)
{
    uint8_t head[16];
    size_t i;

    r->size = size;
    r->answer_n = put_head(head, 0, size, 0) + size;
    r->n = RING_BYTES / (r->answer_n + 4);
    r->n = r->n < 2 ? 2 : r->n > RING_FRAMES ? RING_FRAMES : r->n;
    r->frames = malloc(r->n * room_for(size, how));
    r->answers = malloc(r->n * r->answer_n);
    r->at = calloc(r->n + 1, sizeof *r->at);
    if (r->frames == NULL || r->answers == NULL || r->at == NULL)
        return -1;
    for (i = 0; i < r->n; i++)
        make_frame(r, i, kind, how == PACKED);
    if (how == RAW_FRAMES) {
        free(r->answers);
        r->answers = r->frames;
        r->answer_n = r->at[1];
    }
    return 0;
}
