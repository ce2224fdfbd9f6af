/*
 * bench/limits/limits.c - prints what this machine can do at best, the floor beside which every other figure is to
 * be read. Options and rows are the harness's (harness/harness.h); --work all measures everything.
 *
 * SPDX-License-Identifier: MIT
 */
#include "limits.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define SECONDS 0.2 /* each limit; half a second of a quiet machine is more than enough */

static int run(struct bench_run *r);

struct limit {
	const char *metric;
	struct limit_value (*measure)(const struct bench_run *r);
};

/* The same order twice: what is measured how, and what the command line knows. */
static const struct limit limits[] = {
	{ "cache_line_one_way", limit_line },
	{ "futex_wake_call_20us", limit_wake_call_20us },
	{ "futex_wake_run_20us", limit_wake_run_20us },
	{ "futex_wake_call_1ms", limit_wake_call_1ms },
	{ "futex_wake_run_1ms", limit_wake_run_1ms },
	{ "rdtsc", limit_rdtsc },
	{ "rdtscp", limit_rdtsc_ordered },
	{ "clock_gettime", limit_clock_gettime },
	{ "fetch_add_own", limit_fetch_add },
	{ "fetch_add_contended", limit_fetch_add_contended },
	{ "spsc_item", limit_spsc_item },
	{ "spsc_one_way", limit_spsc_one_way },
	{ "mpmc_item", limit_mpmc_item },
	{ "mpmc_one_way", limit_mpmc_one_way },
	{ "malloc_free", limit_malloc },
};

static const struct bench_work works[] = {
	{ "L1", "a value written on one cpu until it is seen on the other", 1, 1, 0, SECONDS, 0, run },
	{ "L2", "futex wake of a thread asleep for 20 us: the caller's cost", 1, 1, 0, SECONDS, 0, run },
	{ "L3", "the same, until the sleeper runs", 1, 1, 0, SECONDS, 0, run },
	{ "L4", "futex wake of a thread asleep for 1 ms: the caller's cost", 1, 1, 0, SECONDS, 0, run },
	{ "L5", "the same, until the sleeper runs", 1, 1, 0, SECONDS, 0, run },
	{ "L6", "read the time stamp counter", 1, 1, 0, SECONDS, 0, run },
	{ "L7", "the same after everything before it, as handlers stamp", 1, 1, 0, SECONDS, 0, run },
	{ "L8", "clock_gettime(CLOCK_MONOTONIC)", 1, 1, 0, SECONDS, 0, run },
	{ "L9", "atomic add on a line of one's own", 1, 1, 0, SECONDS, 0, run },
	{ "L10", "atomic add on one line by two cpus, to each of them", 1, 1, 0, SECONDS, 0, run },
	{ "L11", "raw one-to-one ring across two cpus at full speed, an item", 1, 1, 0, SECONDS, 0, run },
	{ "L12", "the same at an item each 20 us, push until the spinning consumer has it", 1, 1, 0, SECONDS, 0, run },
	{ "L13", "raw many-to-many ring across two cpus at full speed, an item", 1, 1, 0, SECONDS, 0, run },
	{ "L14", "the same at an item each 20 us, push until the spinning consumer has it", 1, 1, 0, SECONDS, 0, run },
	{ "L15", "malloc and free of 64 bytes", 1, 1, 0, SECONDS, 0, run },
	{ "all", "L1 to L15, each for --seconds", 1, 1, 0, SECONDS, 0, run },
	{ 0 },
};

static int run(struct bench_run *r)
{
	bool all = strcmp(r->work->id, "all") == 0;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct limit_value v;

		if (!all && strcmp(works[i].id, r->work->id) != 0)
			continue;
		v = limits[i].measure(r);
		if (v.n > 0)
			bench_add_as(r, works[i].id, limits[i].metric, "ns", v.ns, v.n);
	}
	return 0;
}

static const char *version(void)
{
	static char text[200];
	struct utsname host;

	(void)memset(&host, 0, sizeof(host));
	(void)uname(&host);
	(void)snprintf(text, sizeof(text), "kernel %.100s", host.release);
	return text;
}

int main(int argc, char **argv)
{
	static const char *const idle_modes[] = { "none", NULL };
	static const struct bench_program program = { "limits", version, "nothing waits", idle_modes, works, NULL };

	return bench_main(argc, argv, &program);
}
