/* probe_reach.c -- faults for the module itself.
**
** The probe has objects of its own, and its faults are theirs.  The module that
** `require "wsock"` loads calls the system through a table the linker filled
** in; reach() puts the probe's calls there: those of sockets, and those that
** wait.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dl_iterate_phdr */
#endif
#include "probe_sys.h"

#include <link.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#if __ELF_NATIVE_CLASS == 64
#define SYMBOL(info) ((size_t)((info) >> 32))
#else
#define SYMBOL(info) ((size_t)((info) >> 8))
#endif

/* What the loader says of a module. */
struct table {
    ElfW(Addr) base;
    const char *names;
    const ElfW(Sym) * symbols;
    const uint8_t *slots; /* relocations of functions */
    size_t bytes, step;
};

static void *address(const struct table *t, ElfW(Addr) a)
{
    return (void *)(a < t->base ? a + t->base : a);
}

static int read_table(struct table *t, const struct dl_phdr_info *info)
{
    const ElfW(Dyn) *d = NULL;
    int i;

    memset(t, 0, sizeof *t);
    t->base = info->dlpi_addr;
    t->step = sizeof(ElfW(Rel));
    for (i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            d = (void *)(t->base + info->dlpi_phdr[i].p_vaddr);
    }
    for (; d != NULL && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_STRTAB)
            t->names = address(t, d->d_un.d_ptr);
        else if (d->d_tag == DT_SYMTAB)
            t->symbols = address(t, d->d_un.d_ptr);
        else if (d->d_tag == DT_JMPREL)
            t->slots = address(t, d->d_un.d_ptr);
        else if (d->d_tag == DT_PLTRELSZ)
            t->bytes = d->d_un.d_val;
        else if (d->d_tag == DT_PLTREL && d->d_un.d_val == DT_RELA)
            t->step = sizeof(ElfW(Rela));
    }
    return t->names != NULL && t->symbols != NULL && t->slots != NULL;
}

static int replace(const struct table *t, const char *name, void *fn)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t at;

    for (at = 0; at + t->step <= t->bytes; at += t->step) {
        const ElfW(Rel) *r = (const void *)(t->slots + at);
        void **slot = (void **)(t->base + r->r_offset);
        const char *is = t->names + t->symbols[SYMBOL(r->r_info)].st_name;
        if (strcmp(is, name) != 0)
            continue;
        if (mprotect((void *)((uintptr_t)slot & ~(page - 1)), page,
                     PROT_READ | PROT_WRITE) != 0)
            return 0;
        *slot = fn;
        return 1;
    }
    return 0;
}

static int on_module(struct dl_phdr_info *info, size_t size, void *ud)
{
    static const char end[] = "wsock/core.so";
    size_t n = strlen(info->dlpi_name);
    struct table t;

    (void)size;
    if (n < sizeof end ||
        strcmp(info->dlpi_name + n - sizeof end + 1, end) != 0 ||
        !read_table(&t, info))
        return 0;
    *(int *)ud = replace(&t, "recv", (void *)recv) +
                 replace(&t, "send", (void *)send) +
                 replace(&t, "sendmsg", (void *)sendmsg) +
                 replace(&t, "accept4", (void *)accept4) +
                 replace(&t, "epoll_wait", (void *)epoll_wait) +
                 replace(&t, "poll", (void *)poll);
    return 1;
}

/* reach(): fault("recv"), "send", "sendmsg", "accept4", "epoll_wait" and "poll"
** hold for the module, too; raises when that cannot be */
int probe_reach(lua_State *L)
{
    int found = 0;

    dl_iterate_phdr(on_module, &found);
    if (found != 6)
        return luaL_error(L, "reach: no module, or not its calls");
    return 0;
}
