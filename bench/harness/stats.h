/*
 * bench/harness/stats.h - percentiles of samples, plain and by windows, the wait of an ideal queue over the same
 * trace, and the random numbers that make traces. Called by the works after their measuring is over.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_WINDOW_NS 30e6 /* the host's disturbances are longer than this or hit few windows */

struct bench_rng {
	uint64_t s;
};

uint64_t bench_rng_next(struct bench_rng *r); /* splitmix64; any seed */
double bench_rng_unit(struct bench_rng *r);   /* (0, 1] */
double bench_rng_exp(struct bench_rng *r, double mean);

void bench_sort(double *v, size_t n);
/* Of sorted values; q in 0..1. 0 when there are none. */
double bench_quantile(const double *sorted, size_t n, double q);
/*
 * Median over windows of about BENCH_WINDOW_NS of the window's quantile q. at_ns ascends; value[i] belongs to
 * at_ns[i]. A window is made long enough for 100 samples; one that has less than half of what the mean says is left
 * out. scratch: n doubles.
 */
double bench_windowed(const double *at_ns, const double *value, size_t n, double q, double *scratch);
/*
 * Waits of a queue without any overhead: first in, first out, `servers` equal servers, each job starts as soon as
 * it has arrived and a server is free (Lindley's recursion when there is one server, Kiefer and Wolfowitz's
 * otherwise).
 */
void bench_ideal_waits(const double *arrive_ns, const double *service_ns, size_t n, unsigned servers, double *wait_ns);

#endif
