/* loop/clock.c -- the system's clocks, in whole units. */
#include "loop/clock.h"

#include <time.h>

int64_t ws_clock_us(void)
{
    struct timespec t;
    /* cannot fail: POSIX has this clock, and t is writable */
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t ws_clock_ms(void)
{
    return ws_clock_us() / 1000;
}

int64_t ws_clock_date(void)
{
    struct timespec t;
    /* cannot fail, as above */
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec;
}
