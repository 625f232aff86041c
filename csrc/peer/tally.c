/* peer/tally.c -- see tally.h.  Open addressing with steps of one; a row that
** is given up is filled from behind, so that there are no graves. */
#include "peer/tally.h"

#include "base/digest.h"

enum {
    ROWS_MIN = 64
}; /* at first; then twice as many whenever half are used */

struct ws_tally_row {
    uint64_t net;   /* IPv4 address, or half of one of IPv6 */
    unsigned there; /* connections; 0: the row is free */
    unsigned in;    /* of them, those that were let in */
    uint8_t family; /* 4 or 6 */
};

void ws_tally_init(struct ws_tally *t, struct ws_mem *mem, unsigned max)
{
    memset(t, 0, sizeof *t);
    t->mem = mem;
    t->max = max;
}

void ws_tally_free(struct ws_tally *t)
{
    ws_mem_put(t->mem, t->rows, t->size * sizeof *t->rows);
    ws_tally_init(t, t->mem, 0);
}

/* -- addresses -- */

static uint64_t read_bytes(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    size_t i;

    for (i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* What row->net and row->family are for an address; 0: it is not counted. */
static int read_net(const struct ws_addr *a, struct ws_tally_row *row)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0,    0,
                                       0, 0, 0, 0, 0xFF, 0xFF};
    const uint8_t *p = (const uint8_t *)&a->u.v6.sin6_addr;

    memset(row, 0, sizeof *row);
    row->family = 4;
    if (ws_addr_family(a) == AF_INET) {
        row->net = read_bytes((const uint8_t *)&a->u.v4.sin_addr, 4);
    } else if (ws_addr_family(a) != AF_INET6) {
        return 0;
    } else if (memcmp(p, mapped, sizeof mapped) == 0) {
        row->net = read_bytes(p + 12, 4);
    } else {
        row->family = 6;
        row->net = read_bytes(p, 8);
    }
    return 1;
}

/* -- rows -- */

/* Where a row would lie if nobody were in its way.  All bits of the address
** have a say in the lowest ones (a finalizer of MurmurHash3's kind). */
static size_t home_of(const struct ws_tally *t, const struct ws_tally_row *row)
{
    uint64_t h = row->net ^ t->seed ^ (uint64_t)row->family << 56;

    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCDu;
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53u;
    return (size_t)(h ^ h >> 33) & (t->size - 1);
}

/* The row of that address, or the free one where it would be.  There is one:
** half of them are. */
static struct ws_tally_row *find(const struct ws_tally *t,
                                 const struct ws_tally_row *like)
{
    size_t i = home_of(t, like);

    while (t->rows[i].there > 0 &&
           (t->rows[i].net != like->net || t->rows[i].family != like->family))
        i = (i + 1) & (t->size - 1);
    return &t->rows[i];
}

/* Sees to it that there is room for one more row. */
static int make_room(struct ws_tally *t)
{
    struct ws_tally old = *t;
    size_t i, size = old.size == 0 ? ROWS_MIN : 2 * old.size;
    int err;

    if (2 * (old.used + 1) <= old.size)
        return WS_OK;
    if (size > SIZE_MAX / 2 / sizeof *t->rows)
        return WS_ERR_NOMEM;
    err = ws_random(NULL, (uint8_t *)&t->seed, sizeof t->seed);
    if (err == WS_OK)
        t->rows = ws_mem_get(t->mem, size * sizeof *t->rows);
    if (err == WS_OK && t->rows == NULL)
        err = WS_ERR_NOMEM;
    if (err != WS_OK) {
        t->rows = old.rows;
        t->seed = old.seed;
        return err;
    }
    memset(t->rows, 0, size * sizeof *t->rows);
    t->size = size;
    for (i = 0; i < old.size; i++) {
        if (old.rows[i].there > 0)
            *find(t, &old.rows[i]) = old.rows[i];
    }
    ws_mem_put(t->mem, old.rows, old.size * sizeof *old.rows);
    return WS_OK;
}

/* Frees a row: whoever had to go past it comes nearer to where he belongs. */
static void remove_row(struct ws_tally *t, struct ws_tally_row *row)
{
    size_t mask = t->size - 1, hole = (size_t)(row - t->rows), i = hole;

    for (;;) {
        i = (i + 1) & mask;
        if (t->rows[i].there == 0)
            break;
        if (((i - home_of(t, &t->rows[i])) & mask) >= ((i - hole) & mask)) {
            t->rows[hole] = t->rows[i];
            hole = i;
        }
    }
    t->rows[hole].there = 0;
    t->used--;
}

/* -- counting -- */

int ws_tally_arrive(struct ws_tally *t, const struct ws_addr *a, uint8_t *how)
{
    struct ws_tally_row like, *row;
    int err;

    *how = WS_TALLY_NOT;
    if (t->max == 0 || !read_net(a, &like))
        return WS_OK;
    err = make_room(t);
    if (err != WS_OK)
        return err;
    row = find(t, &like);
    if (row->there == 0) {
        *row = like;
        t->used++;
    } else if (row->there - row->in >= t->max + WS_TALLY_SOME) {
        return WS_ERR_CROWDED;
    }
    row->there++;
    *how = WS_TALLY_CAME;
    return WS_OK;
}

int ws_tally_enter(struct ws_tally *t, const struct ws_addr *a, uint8_t *how)
{
    struct ws_tally_row like, *row;

    if (*how != WS_TALLY_CAME || !read_net(a, &like))
        return WS_OK;
    row = find(t, &like);
    if (row->in >= t->max)
        return WS_ERR_CROWDED;
    row->in++;
    *how = WS_TALLY_IN;
    return WS_OK;
}

void ws_tally_leave(struct ws_tally *t, const struct ws_addr *a, uint8_t *how)
{
    struct ws_tally_row like, *row;

    if (*how == WS_TALLY_NOT || t->rows == NULL || !read_net(a, &like))
        return;
    row = find(t, &like);
    row->there--;
    if (*how == WS_TALLY_IN)
        row->in--;
    if (row->there == 0)
        remove_row(t, row);
    *how = WS_TALLY_NOT;
}
