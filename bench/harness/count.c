/* bench/harness/count.c - counters and latency rows of harness.h. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define LOOK_EVERY_NS 50000u

static struct bench_counter counters[BENCH_THREADS_MAX];
static _Atomic unsigned claimed;

_Thread_local struct bench_counter *bench_mine;

struct bench_counter *bench_counter_claim(void)
{
	unsigned i = atomic_fetch_add(&claimed, 1);

	if (i >= BENCH_THREADS_MAX)
		bench_die("jobs ran in more than %u threads", BENCH_THREADS_MAX);
	bench_mine = &counters[i];
	return bench_mine;
}

uint64_t bench_counted(void)
{
	unsigned n = atomic_load(&claimed);
	uint64_t sum = 0;

	for (unsigned i = 0; i < n && i < BENCH_THREADS_MAX; i++)
		sum += atomic_load_explicit(&counters[i].jobs, memory_order_acquire);
	return sum;
}

int bench_wait_counted(const struct bench_run *r, uint64_t jobs)
{
	uint64_t seen = bench_counted();
	uint64_t since = bench_mono_ns();

	for (;;) { /* bound: patience_s without progress */
		uint64_t now = bench_counted();

		if (now >= jobs)
			return 0;
		if (now != seen) {
			seen = now;
			since = bench_mono_ns();
		} else if ((double)(bench_mono_ns() - since) > r->patience_s * 1e9) {
			(void)fprintf(stderr, "%s: %s: %llu of %llu jobs ran, then none for %g s: lost\n", bench_name,
				      r->work->id, (unsigned long long)now, (unsigned long long)jobs, r->patience_s);
			return 1;
		}
		bench_nap(LOOK_EVERY_NS);
	}
}

void bench_add_latency(struct bench_run *r, const char *prefix, const double *at_ns, const double *value_ns, size_t n)
{
	static const struct {
		const char *metric;
		double q;
		bool windowed;
	} rows[] = {
		{ "p50", 0.5, false },
		{ "p90", 0.9, false },
		{ "p99", 0.99, false },
		{ "p99.9", 0.999, false },
		{ "w50", 0.5, true },
		{ "w99", 0.99, true },
	};
	double *scratch = bench_alloc(n + 1, sizeof(*scratch));
	double *sorted = bench_alloc(n + 1, sizeof(*sorted));

	(void)memcpy(sorted, value_ns, n * sizeof(*sorted));
	bench_sort(sorted, n);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char metric[32];
		double v = rows[i].windowed ? bench_windowed(at_ns, value_ns, n, rows[i].q, scratch)
					    : bench_quantile(sorted, n, rows[i].q);

		(void)snprintf(metric, sizeof(metric), "%s%s", prefix, rows[i].metric);
		bench_add(r, metric, "ns", v, n);
	}
	free(sorted);
	free(scratch);
}
