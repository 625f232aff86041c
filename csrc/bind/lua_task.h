/* bind/lua_task.h -- coroutines of a loop, and waiting.
**
** A task is what a spawned coroutine, or a handler that waits, is to its loop:
** a userdata with a timer, in `live` from its start to its end.
**
**   task     1 its loop      2 its coroutine      3 what it returned (a list)
**            or raised       4 the socket its handler was called for
**
** In `live` stands also its coroutine, keyed by the address of its `link`.
**
** A wait is a condition that is looked at again whenever it may have come
** true.  In a coroutine of the loop it yields, elsewhere it turns the loop.
** What a coroutine waits for queues the task in a list (a socket's `waiters`,
** another task's `joiners`); whoever makes it come true wakes it.  A resume by
** somebody else changes nothing: the coroutine yields again.
*/
#ifndef WS_BIND_LUA_TASK_H
#define WS_BIND_LUA_TASK_H

#include "bind/lua_bind.h"

/* User values of a task. */
enum { WS_TASK_LOOP = 1, WS_TASK_THREAD, WS_TASK_RESULT, WS_TASK_ABOUT };

enum ws_task_state {
    WS_TASK_NEW,   /* waits for its first turn */
    WS_TASK_RUNS,  /* is on the C stack */
    WS_TASK_WAITS, /* for what `waits` says; NOTHING: its turn, it was woken */
    WS_TASK_DONE,
    WS_TASK_FAILED,
    WS_TASK_CANCELLED
};

enum ws_wait_for {
    WS_FOR_NOTHING,
    WS_FOR_OPEN,
    WS_FOR_MESSAGE,
    WS_FOR_DRAIN,
    WS_FOR_TASK,
    WS_FOR_TIME
};

struct ws_ltask {
    struct ws_timer timer;    /* first: its address is the key in `live` */
    struct ws_lloop *loop;    /* NULL: it is gone */
    const void *self;         /* tells its coroutine from others; an address */
    struct ws_link link;      /* among those who wait for the same */
    struct ws_link joiners;   /* tasks that wait for the end of this one */
    struct ws_link all;       /* in its loop's list while anchored */
    int64_t deadline_ms;      /* of its wait; -1: none */
    struct ws_lsocket *about; /* whose handler it was, or NULL */
    uint8_t state;            /* enum ws_task_state */
    uint8_t waits;            /* enum ws_wait_for */
    uint8_t late;             /* the deadline woke it */
    uint8_t handed;           /* it was woken with what it waited for */
    uint8_t anchored;
};

/* One kind of wait.  What is waited for is an object at index 1. */
struct ws_wait {
    const char *name; /* of the function; NULL: its time's end is no failure */
    enum ws_wait_for what;
    int (*ready)(lua_State *L);             /* results pushed, 0: not yet */
    struct ws_link *(*queue)(void *object); /* NULL: only time wakes it */
    struct ws_lloop *(*loop)(void *object); /* NULL when that is gone */
    void (*push_loop)(lua_State *L);
    /* NULL, or as ready, asked just before a task of the loop yields */
    int (*ahead)(lua_State *L, const struct ws_ltask *t);
};

/* -- lua_wait.c -- */

/* Waits, ms at most (-1: no limit): to be returned from a C function that
** does no more.  w must live for ever.  Raises "cannot wait here". */
int ws_wait(lua_State *L, const struct ws_wait *w, int64_t ms);

/* The time at idx, -1 for none; name as in ws_check_seconds. */
int64_t ws_check_timeout(lua_State *L, int idx, const char *name);

/* What all in a list that wait for `what` (NOTHING: anything) wait for may be
** there: they look in the next turn. */
void ws_wait_wake_all(struct ws_link *list, enum ws_wait_for what);

/* The first in the list that waits for `what`, or NULL. */
struct ws_ltask *ws_wait_first(struct ws_link *list, enum ws_wait_for what);

/* It waits no more, and nobody tells it. */
void ws_wait_forget(struct ws_ltask *t);

/* -- lua_task.c -- */

/* Pushes the table that tells a loop's coroutines from others. */
void ws_new_task_table(lua_State *L);

/* Pushes a new coroutine in which handlers of the loop at that index are to
** run, and may wait. */
lua_State *ws_push_thread(lua_State *L, int loop);

/* In a turn: pushes another of them, which is the idle one from here on. */
void ws_push_handler_thread(lua_State *L);

/* The task of the running coroutine, pushed, if the loop at index started it;
** else NULL, and nothing is pushed.  Most often it is loop->task. */
struct ws_ltask *ws_task_here(lua_State *L, int loop);

/* In a turn: the handler on the coroutine at co yielded.  1: it waits, and is
** a task from here on, about the socket at that index (0: none). */
int ws_task_adopt(lua_State *L, int co, int about);

/* In a turn: as above, but it may not.  1: it waits no more. */
int ws_task_refuse(lua_State *L, int co);

/* Pushes a task for the thread at co, of the loop at that index, which is in
** `tasks` but not in `live`. */
struct ws_ltask *ws_task_new(lua_State *L, int loop, int co);

/* A task of an open loop has ended: who waits for it is woken, and the loop,
** at that index, knows it no more. */
void ws_task_let_go(lua_State *L, struct ws_ltask *t, int loop);

/* Puts the task at idx into `live` of the loop at that index, so that it is
** there until it ends.  May raise. */
void ws_task_anchor(lua_State *L, struct ws_ltask *t, int loop, int idx);

/* In a turn: its source is ready. */
void ws_task_ready(lua_State *L, struct ws_ltask *t);

/* In a turn: hands it what it waits for, the n values at the top. */
void ws_task_hand(lua_State *L, struct ws_ltask *t, int n);

/* The loop is gone. */
void ws_task_drop(struct ws_ltask *t);

/* -- lua_spawn.c -- */

void ws_open_task(lua_State *L);
int ws_loop_spawn(lua_State *L);
int ws_loop_sleep(lua_State *L);

/* loop:close(), the loop at 1: every task is cancelled. */
void ws_cancel_tasks(lua_State *L, struct ws_lloop *ll);

#endif
