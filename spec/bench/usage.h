/* spec/bench/usage.h -- time, and what a process takes of it and of memory.
**
** Pid 0 is nobody, and takes nothing.  What cannot be read ends the program.
*/
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

/* Ends the program with "load: ", the message and code 1. */
_Noreturn void die(const char *format, ...);

/* Seconds of a clock that only goes forward. */
double now(void);

/* CPU seconds the server has used, all of its threads, to the nanosecond. */
double server_cpu(long pid);

/* Bytes of the server that are in memory and in no file. */
long server_memory(long pid);

/* As many descriptors as this process may have, from now on. */
long most_descriptors(void);

#endif
