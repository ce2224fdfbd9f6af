/* bench/limits/alone.c - the limits of one cpu by itself; see limits.h. SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "limits.h"

#define BATCH 1000u
#define SAMPLES_MAX 2000u
#define PIECE 64u /* bytes */

/* Repeats `step`, BATCH of them between two readings of the clock, for the run's seconds; the median batch. */
static struct limit_value repeat(const struct bench_run *r, void (*step)(void))
{
	double *sample = bench_alloc(SAMPLES_MAX, sizeof(*sample));
	uint64_t end = bench_mono_ns() + (uint64_t)(r->seconds * 1e9);
	struct limit_value v = { 0, 0 };

	(void)bench_pin(&r->cpus[0], 1);
	while (v.n < SAMPLES_MAX && bench_mono_ns() < end) {
		uint64_t start = bench_ticks();

		for (unsigned i = 0; i < BATCH; i++)
			step();
		sample[v.n++] = bench_ns(bench_ticks() - start) / BATCH;
	}
	bench_unpin();
	bench_sort(sample, v.n);
	v.ns = bench_quantile(sample, v.n, 0.5);
	free(sample);
	return v;
}

static void read_ticks(void) { (void)bench_ticks(); }
static void read_ticks_ordered(void) { (void)bench_ticks_ordered(); }
static void read_mono(void) { (void)bench_mono_ns(); }

static void add(void)
{
	static alignas(64) _Atomic uint64_t own;

	(void)atomic_fetch_add(&own, 1);
}

static void allocate(void)
{
	static _Atomic(void *) kept;
	void *p = malloc(PIECE);

	atomic_store_explicit(&kept, p, memory_order_relaxed); /* or the pair is optimised away */
	free(p);
}

struct limit_value limit_rdtsc(const struct bench_run *r) { return repeat(r, read_ticks); }
struct limit_value limit_rdtsc_ordered(const struct bench_run *r) { return repeat(r, read_ticks_ordered); }
struct limit_value limit_clock_gettime(const struct bench_run *r) { return repeat(r, read_mono); }
struct limit_value limit_fetch_add(const struct bench_run *r) { return repeat(r, add); }
struct limit_value limit_malloc(const struct bench_run *r) { return repeat(r, allocate); }
