/* spec/bench/micro.c -- masking and UTF-8 alone: GB per second of CPU, in cache.
**
** Prints one "name GB/s" a line, medians of some runs.  Linked with the
** sources of csrc/base as the library compiles them.
*/
#include "ring.h"

#include "base/mask.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 9, LARGE = 16384 };

static uint8_t there[LARGE];
static int bad; /* answers that were wrong; they must not be optimised away */

static double cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void mask_there(uint8_t *p, size_t n)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};

    ws_mask(there, p, n, key, 0);
    bad += there[0] != (p[0] ^ key[0]);
}

static void mask_here(uint8_t *p, size_t n)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t was = p[0];

    ws_mask(p, p, n, key, 0);
    bad += p[0] != (was ^ key[0]);
}

static void validate(uint8_t *p, size_t n)
{
    bad += !ws_utf8_valid(ws_slice_of(p, n));
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* At least 20 ms a run. */
static double speed(void (*fn)(uint8_t *p, size_t n), uint8_t *p, size_t n)
{
    double results[RUNS], start, took;
    int i, k;

    for (i = 0; i < RUNS; i++) {
        size_t done = 0;
        start = cpu();
        do {
            for (k = 0; k < 1000; k++)
                fn(p, n);
            done += 1000 * n;
            took = cpu() - start;
        } while (took < 0.02);
        results[i] = (double)done / took / 1e9;
    }
    qsort(results, RUNS, sizeof results[0], compare);
    return results[RUNS / 2];
}

static void measure(const char *name, void (*fn)(uint8_t *p, size_t n),
                    enum kind kind, size_t n)
{
    struct ring r;

    if (make_ring(&r, kind, n, 0) != 0)
        exit(1);
    printf("%s %.2f\n", name, speed(fn, r.answers + r.answer_n - n, n));
    fflush(stdout);
    free(r.answers);
    free(r.frames);
}

int main(void)
{
    measure("mask-125", mask_here, BINARY, 125);
    measure("mask-16384", mask_here, BINARY, LARGE);
    measure("mask-copy-16384", mask_there, BINARY, LARGE);
    measure("utf8-ascii-125", validate, ASCII, 125);
    measure("utf8-ascii-16384", validate, ASCII, LARGE);
    measure("utf8-mixed-16384", validate, MIXED, LARGE);
    measure("utf8-dense-16384", validate, DENSE, LARGE);
    return bad != 0;
}
