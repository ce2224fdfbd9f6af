/* bench/harness/stats.c - see stats.h. SPDX-License-Identifier: MIT */
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOWS_MAX 4096u
#define WINDOW_SAMPLES_MIN 100.0
#define SERVERS_MAX 256u

uint64_t bench_rng_next(struct bench_rng *r)
{
	uint64_t z = (r->s += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

double bench_rng_unit(struct bench_rng *r) { return (double)((bench_rng_next(r) >> 11) + 1) * 0x1.0p-53; }

double bench_rng_exp(struct bench_rng *r, double mean) { return -mean * log(bench_rng_unit(r)); }

static int ascending(const void *a, const void *b)
{
	const double *x = a;
	const double *y = b;

	return (*x > *y) - (*x < *y);
}

void bench_sort(double *v, size_t n)
{
	if (n > 1)
		qsort(v, n, sizeof(*v), ascending);
}

double bench_quantile(const double *sorted, size_t n, double q)
{
	size_t rank = (size_t)ceil(q * (double)n); /* nearest rank, counted from 1 */

	if (n == 0)
		return 0;
	if (rank < 1)
		rank = 1;
	return sorted[(rank > n ? n : rank) - 1];
}

double bench_windowed(const double *at_ns, const double *value, size_t n, double q, double *scratch)
{
	double found[WINDOWS_MAX];
	double span, length, mean;
	size_t windows = 0;

	if (n == 0)
		return 0;
	span = at_ns[n - 1] - at_ns[0];
	length = BENCH_WINDOW_NS;
	if (length * (double)n < WINDOW_SAMPLES_MIN * span)
		length = WINDOW_SAMPLES_MIN * span / (double)n;
	if (length * WINDOWS_MAX < span)
		length = span / (WINDOWS_MAX - 1);
	mean = span > length ? (double)n * length / span : (double)n;
	for (size_t i = 0; i < n && windows < WINDOWS_MAX;) {
		double end = at_ns[0] + length * (floor((at_ns[i] - at_ns[0]) / length) + 1);
		size_t k = i;

		while (k < n && (at_ns[k] < end || k == i))
			k++;
		if ((double)(k - i) >= mean / 2) {
			(void)memcpy(scratch, value + i, (k - i) * sizeof(*scratch));
			bench_sort(scratch, k - i);
			found[windows++] = bench_quantile(scratch, k - i, q);
		}
		i = k;
	}
	bench_sort(found, windows);
	return bench_quantile(found, windows, 0.5);
}

void bench_ideal_waits(const double *arrive_ns, const double *service_ns, size_t n, unsigned servers, double *wait_ns)
{
	double free_at[SERVERS_MAX] = { 0 };

	if (servers > SERVERS_MAX)
		servers = SERVERS_MAX;
	for (size_t i = 0; i < n; i++) {
		unsigned first = 0;
		double start;

		for (unsigned s = 1; s < servers; s++)
			if (free_at[s] < free_at[first])
				first = s;
		start = arrive_ns[i] > free_at[first] ? arrive_ns[i] : free_at[first];
		wait_ns[i] = start - arrive_ns[i];
		free_at[first] = start + service_ns[i];
	}
}
