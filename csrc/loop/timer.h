/* loop/timer.h -- what the loop can report, and timers in a binary heap.
**
** A source is the part of a watcher or a timer that ws_loop_next hands out;
** its owner embeds it and finds itself by ws_container.  The heap orders armed
** timers by deadline, and those of one deadline by the order of arming, so
** that equal waits end in the order they began.
**
** Timers belong to their owners; the heap keeps pointers and every armed timer
** knows its place, so that moving or removing one costs O(log n) and no
** search.  A zeroed struct is a timer that is not armed.
*/
#ifndef WS_LOOP_TIMER_H
#define WS_LOOP_TIMER_H

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"

/* What a source is part of; the loop sets it.  One that is only posted is
** BARE. */
enum ws_source_kind { WS_SOURCE_BARE, WS_SOURCE_WATCHER, WS_SOURCE_TIMER };

struct ws_source {
    struct ws_link link; /* in a list of the loop while queued */
    uint8_t tag;         /* the owner's: what this is for */
    /* private */
    uint8_t kind;   /* enum ws_source_kind */
    uint8_t queued; /* why it will be handed out; 0: it will not */
};

struct ws_timer {
    struct ws_source source;
    int64_t due_ms; /* when, on ws_clock_ms's clock */
    uint64_t order; /* decides between equal deadlines */
    size_t index;   /* place in the heap + 1; 0: not armed */
};

struct ws_heap {
    /* private */
    struct ws_timer **at; /* cap places, n in use; at[0] is due first */
    size_t n, cap;
    uint64_t order; /* of the last arming */
};

void ws_heap_init(struct ws_heap *h);

/* Disarms all that are in it; twice is fine. */
void ws_heap_free(struct ws_heap *h, struct ws_mem *mem);

/* Puts t in, or, when it is in already, moves it to its new deadline behind
** all others of that deadline.  WS_OK, or WS_ERR_NOMEM with t not armed; never
** fails for a timer that was in. */
int ws_heap_add(struct ws_heap *h, struct ws_mem *mem, struct ws_timer *t,
                int64_t due_ms);

/* Takes t out; harmless when it is not in. */
void ws_heap_remove(struct ws_heap *h, struct ws_timer *t);

/* The timer that is due first, or NULL. */
static inline struct ws_timer *ws_heap_top(const struct ws_heap *h)
{
    return h->n == 0 ? NULL : h->at[0];
}

#endif
