/* spec/bench/options.h -- what load is told: name=value, see load.c. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

enum mode { ECHO, RAW, RATE, BROADCAST, IDLE, SHAKE };

struct options {
    long mode; /* enum mode */
    long kind; /* enum kind, ring.h */
    long port, pid, conns, active, depth, size;
    long ms, warm, count, limit;
    long busy, tls, deflate, packed;
};

/* Reads them all, defaults first; what cannot be ends the program. */
void read_options(struct options *o, int argc, char **argv);

#endif
