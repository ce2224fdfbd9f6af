/*
 * bench/harness/sys.h - the machine as the works need it: allowed cpus, sleeping, memory without first-touch faults,
 * used cpu time, and the one-way travel of a cache line that every figure is read beside.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_SYS_H
#define BENCH_SYS_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_CPUS_MAX 256u

extern const char *bench_name; /* what messages begin with */

/* Remembers where this process may run, for bench_unpin and bench_cpus. Once, first thing. */
void bench_sys_setup(void);
/* The allowed cpus, ascending; how many. */
unsigned bench_cpus(int cpus[BENCH_CPUS_MAX]);
void bench_nap(uint64_t ns);
/* Zeroed and touched, cache-line aligned; ends the program when there is no memory. Given back by free. */
void *bench_alloc(size_t n, size_t size);
/* Cpu time of this process, of the calling thread. */
uint64_t bench_cpu_process_ns(void);
uint64_t bench_cpu_thread_ns(void);
/* Median of short series between two cpus; 0 where they are one, or they never run at the same time. About 5 ms. */
double bench_pingpong_ns(int cpu_a, int cpu_b);

#endif
