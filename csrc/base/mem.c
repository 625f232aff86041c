/* base/mem.c -- counts what an allocator hands out. */
#include "base/mem.h"

#include <stdlib.h>

/* The C library in the shape of lua_Alloc. */
static void *from_libc(void *ud, void *p, size_t osize, size_t nsize)
{
    (void)ud;
    (void)osize;
    if (nsize == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, nsize);
}

void ws_mem_init(struct ws_mem *m, ws_mem_fn *fn, void *ud)
{
    m->fn = fn == NULL ? from_libc : fn;
    m->ud = ud;
    m->used = 0;
    m->calls = 0;
}

void *ws_mem_get(struct ws_mem *m, size_t n)
{
    return ws_mem_resize(m, NULL, 0, n);
}

void *ws_mem_resize(struct ws_mem *m, void *p, size_t old, size_t n)
{
    void *q;
    m->calls++;
    q = m->fn(m->ud, p, old, n);
    if (q != NULL)
        m->used += n - old; /* modulo 2^64 when it shrinks, and so right */
    return q;
}

void ws_mem_put(struct ws_mem *m, void *p, size_t n)
{
    if (p == NULL)
        return;
    m->used -= n;
    m->fn(m->ud, p, n, 0);
}
