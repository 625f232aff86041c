/* base/mem.h -- where memory comes from.
**
** An allocator in the shape of lua_Alloc, so that the binding passes the
** state's own and C memory is the state's memory.  It counts bytes, which is
** how specs see leaks, and any call may fail, which is how they see that
** failure is survived.  Not thread-safe: the resolver's thread never uses it.
*/
#ifndef WS_BASE_MEM_H
#define WS_BASE_MEM_H

#include "base/base.h"

/* As lua_Alloc: nsize 0 frees and returns NULL, else resizes p from osize
** (p NULL: new) and returns NULL when it cannot. */
typedef void *ws_mem_fn(void *ud, void *p, size_t osize, size_t nsize);

struct ws_mem {
    ws_mem_fn *fn;  /* never NULL after init */
    void *ud;       /* its first argument */
    size_t used;    /* bytes handed out and not yet returned */
    uint64_t calls; /* allocations and resizes so far, for specs */
};

/* fn NULL: the C library's. */
void ws_mem_init(struct ws_mem *m, ws_mem_fn *fn, void *ud);

/* n bytes (n > 0), uninitialised, or NULL. */
void *ws_mem_get(struct ws_mem *m, size_t n);

/* p, which has old bytes (p NULL: old 0), as n bytes (n > 0); on NULL p is
** untouched and still the caller's. */
void *ws_mem_resize(struct ws_mem *m, void *p, size_t old, size_t n);

/* Gives back p of n bytes; p NULL is fine. */
void ws_mem_put(struct ws_mem *m, void *p, size_t n);

#endif
