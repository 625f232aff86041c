/* peer/tally.h -- how many connections each address has.
**
** A server that bounds them per address keeps one: a hash table with a row for
** each address that has any, looked at when a connection comes, asks and ends,
** and never in between.  Those that have asked for something and were let in
** are bounded by `max`.  As many again, and some, may be on their way there or,
** refused, on their way out: who comes back at once meets his own last try.
**
** An address is an IPv4 address, also one that comes in the clothes of IPv6
** (RFC 4291 2.5.5.2), or the first 64 bits of an IPv6 address: what a network
** gives to one customer, who may use any address in it (RFC 6177).  A unix
** socket's peer has none, and is not counted.
**
** Addresses are the peers' to choose, so where a row lies depends on a random
** number of the table.
*/
#ifndef WS_PEER_TALLY_H
#define WS_PEER_TALLY_H

#include "base/mem.h"
#include "net/addr.h"

enum { WS_TALLY_SOME = 8 };

struct ws_tally_row;

/* How a connection is counted; its owner keeps that. */
enum ws_tallied {
    WS_TALLY_NOT,  /* not at all */
    WS_TALLY_CAME, /* as one that is there */
    WS_TALLY_IN    /* and as one of those that were let in */
};

struct ws_tally {
    unsigned max; /* let in per address; 0: nothing is counted */
    /* private */
    struct ws_mem *mem;
    struct ws_tally_row *rows;
    size_t size, used; /* rows there are, a power of two; and in use */
    uint64_t seed;
};

/* An empty one; max is at most 0x7FFFFFFF. */
void ws_tally_init(struct ws_tally *t, struct ws_mem *mem, unsigned max);

/* Gives its memory back and counts nothing any more; twice is fine. */
void ws_tally_free(struct ws_tally *t);

/* A connection from that address is there: WS_OK, and *how says how it was
** counted; WS_ERR_CROWDED (max and WS_TALLY_SOME are there without being in),
** WS_ERR_NOMEM or WS_ERR_RANDOM: it was not. */
int ws_tally_arrive(struct ws_tally *t, const struct ws_addr *a, uint8_t *how);

/* The same connection asks to be let in: WS_OK, or WS_ERR_CROWDED, max of its
** address are.  Again WS_OK for one that is in. */
int ws_tally_enter(struct ws_tally *t, const struct ws_addr *a, uint8_t *how);

/* It ended; *how becomes WS_TALLY_NOT, so twice is fine. */
void ws_tally_leave(struct ws_tally *t, const struct ws_addr *a, uint8_t *how);

#endif
