/*
 * bench/harness/clock.h - the clock of the benches: the cpu's time stamp counter where the kernel trusts it, else
 * CLOCK_MONOTONIC. Stamps are ticks while something is measured and become nanoseconds afterwards.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

extern bool bench_clock_tsc; /* sync: const after bench_clock_setup */
extern double bench_clock_ns_per_tick;

/* Once, before everything else; takes 20 ms. */
void bench_clock_setup(void);

static inline uint64_t bench_mono_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t bench_ticks(void)
{
#if defined(__x86_64__)
	if (bench_clock_tsc)
		return __builtin_ia32_rdtsc();
#endif
	return bench_mono_ns();
}

/*
 * The same, but not before everything above it is done and its loads have returned: a plain read may run ahead of the
 * load that fetches the job, and would then hide the transfer that it is meant to measure.
 */
static inline uint64_t bench_ticks_ordered(void)
{
#if defined(__x86_64__)
	unsigned aux;

	if (bench_clock_tsc)
		return __builtin_ia32_rdtscp(&aux);
#endif
	return bench_mono_ns();
}

static inline double bench_ns(uint64_t ticks) { return (double)ticks * bench_clock_ns_per_tick; }

static inline uint64_t bench_to_ticks(double ns) { return (uint64_t)(ns / bench_clock_ns_per_tick + 0.5); }

static inline void bench_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

#endif
