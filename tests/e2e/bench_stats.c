/*
 * tests/e2e/bench_stats.c - the arithmetic of the benches against values worked out by hand: quantiles, the median over
 * windows, the waits of an ideal queue, the random draws. Compiled and run by bench_harness.py; prints what differs.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>

#include "harness/stats.h"

#define SAMPLES 10000u

static int failed;

static void want(const char *what, double got, double right, double within)
{
	if (fabs(got - right) <= within)
		return;
	(void)printf("%s: %.6f, want %.6f\n", what, got, right);
	failed = 1;
}

static void quantiles(void)
{
	double v[] = { 5, 1, 4, 2, 3 };

	bench_sort(v, 5);
	want("sorted", v[0] * 10000 + v[1] * 1000 + v[2] * 100 + v[3] * 10 + v[4], 12345, 0);
	want("p50 of 5", bench_quantile(v, 5, 0.5), 3, 0);
	want("p99 of 5", bench_quantile(v, 5, 0.99), 5, 0);
	want("p20 of 5", bench_quantile(v, 5, 0.2), 1, 0);
	want("p0 of 5", bench_quantile(v, 5, 0), 1, 0);
	want("of none", bench_quantile(v, 0, 0.5), 0, 0);
}

/* 10 windows of 1000 samples; one is disturbed: it moves the plain p99, not the windowed one. */
static void windows(void)
{
	static double at[SAMPLES], v[SAMPLES], scratch[SAMPLES];

	for (unsigned i = 0; i < SAMPLES; i++) {
		at[i] = i * 30e3;
		v[i] = i / 1000 == 3 ? 1e6 : i % 1000;
	}
	want("w50", bench_windowed(at, v, SAMPLES, 0.5, scratch), 499, 0);
	want("w99", bench_windowed(at, v, SAMPLES, 0.99, scratch), 989, 0);
	/* Half of a window left over at the end is too little to count, and must not. */
	for (unsigned i = 9000; i < SAMPLES; i++)
		v[i] = 2e6;
	want("w50 of 9 and a bit", bench_windowed(at, v, 9400, 0.5, scratch), 499, 0);
	want("w50 of few", bench_windowed(at, v, 50, 0.5, scratch), 24, 0);
}

static void ideal(void)
{
	const double arrive[] = { 0, 1, 2, 10, 10 }, service[] = { 4, 4, 1, 2, 2 };
	const double one[] = { 0, 3, 6, 0, 2 }, two[] = { 0, 0, 2, 0, 0 };
	double wait[5];

	bench_ideal_waits(arrive, service, 5, 1, wait);
	for (unsigned i = 0; i < 5; i++)
		want("wait, one server", wait[i], one[i], 0);
	bench_ideal_waits(arrive, service, 5, 2, wait);
	for (unsigned i = 0; i < 5; i++)
		want("wait, two servers", wait[i], two[i], 0);
}

static void random_draws(void)
{
	struct bench_rng r = { 1 };
	double sum = 0, units = 0;

	for (unsigned i = 0; i < SAMPLES; i++) {
		double u = bench_rng_unit(&r);

		if (!(u > 0 && u <= 1))
			want("unit draw", u, 0.5, 0.5);
		units += u;
		sum += bench_rng_exp(&r, 7);
	}
	want("mean of the unit draws", units / SAMPLES, 0.5, 0.02);
	want("mean of the exponential draws", sum / SAMPLES, 7, 0.35);
}

int main(void)
{
	quantiles();
	windows();
	ideal();
	random_draws();
	return failed;
}
