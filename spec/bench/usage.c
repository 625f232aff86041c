/* spec/bench/usage.c -- see usage.h. */
#include "usage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

void die(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, ap);
    fputs("\n", stderr);
    va_end(ap);
    exit(1);
}

static double read_clock(clockid_t id)
{
    struct timespec t;

    if (clock_gettime(id, &t) != 0)
        die("the server's clock: %s", strerror(errno));
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double server_cpu(long pid)
{
    clockid_t id;

    if (pid == 0)
        return 0;
    if (clock_getcpuclockid((pid_t)pid, &id) != 0)
        die("there is no process %ld", pid);
    return read_clock(id);
}

long server_memory(long pid)
{
    char name[64];
    long whole, there = 0, shared = 0;
    FILE *f;

    if (pid == 0)
        return 0;
    snprintf(name, sizeof name, "/proc/%ld/statm", pid);
    f = fopen(name, "r");
    if (f == NULL || fscanf(f, "%ld %ld %ld", &whole, &there, &shared) != 3)
        die("cannot read %s", name);
    fclose(f);
    return (there - shared) * sysconf(_SC_PAGESIZE);
}

long most_descriptors(void)
{
    struct rlimit r;

    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    return r.rlim_cur > 1 << 24 ? 1 << 24 : (long)r.rlim_cur;
}
