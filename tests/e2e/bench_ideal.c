/*
 * The yardstick of bench B6, against traces whose answer is known; compiled and run by bench_own.py.
 * Prints what differs; exit code 1 if anything does. SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>

#include "own/ideal.h"

static int bad;

static void expect(const char *what, const double *wait, const double *want, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fabs(wait[i] - want[i]) < 1e-9)
			continue;
		printf("FAIL: %s: job %zu waits %g, want %g\n", what, i, wait[i], want[i]);
		bad = 1;
	}
}

int main(void)
{
	static const double arrive[] = { 0, 1, 2, 3, 50 };
	static const double service[] = { 10, 5, 4, 3, 1 };
	static const uint8_t low_first[] = { 1, 1, 0, 0, 1 }, one_level[] = { 1, 1, 1, 1, 1 };
	/* the long low job is not preempted; then both high ones before the low one; later nobody is there */
	static const double priority[] = { 0, 16, 8, 11, 0 };
	static const double fifo[] = { 0, 9, 13, 16, 0 };
	/* two servers: jobs 0 and 1 start at once, the second server is free at 6, then at 10 both */
	static const double two[] = { 0, 0, 4, 7, 0 };
	static const double all_at_once[] = { 0, 0, 0, 0 }, equal[] = { 1, 1, 1, 1 };
	static const uint8_t mixed[] = { 1, 0, 1, 0 };
	static const double high_first[] = { 2, 0, 3, 1 };
	double wait[5];

	own_ideal_levels(arrive, service, low_first, 5, 1, wait);
	expect("one server, two levels", wait, priority, 5);
	own_ideal_levels(arrive, service, one_level, 5, 1, wait);
	expect("one server, one level", wait, fifo, 5);
	own_ideal_levels(arrive, service, low_first, 5, 2, wait);
	expect("two servers", wait, two, 5);
	own_ideal_levels(all_at_once, equal, mixed, 4, 1, wait);
	expect("all at once", wait, high_first, 4);
	return bad;
}
