/*
 * bench/own/visibility_part.c - one side of B9: part_visibility on the library as it is shipped, part_visibility_bare
 * on one without metrics. One worker, jobs from one producer ("outside") or spawned by jobs ("spawn"), in short
 * rounds; the median of their times. Run by own_visibility.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "own.h"

#define ROUND_JOBS 20000u
#define ROUNDS_MIN 3u
#define ROUNDS_MAX 4096u

static struct own own;
static uint64_t round_jobs;
static uint64_t ran;            /* of this round; only the one worker writes it */
static _Atomic uint64_t end_at; /* ticks; 0 = not over */

static void job_ran(void)
{
	if (++ran == round_jobs) {
		ran = 0;
		atomic_store_explicit(&end_at, bench_ticks(), memory_order_release);
	}
}

static int empty(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	job_ran();
	return SHUNT_DONE;
}

/* arg: how many jobs this one is, itself included. */
static int tree(struct shunt_job_ctx *ctx, void *arg)
{
	uintptr_t rest = (uintptr_t)arg - 1;
	uintptr_t left = rest / 2;

	(void)ctx;
	if (rest - left > 0)
		own_spawn(&own, (void *)(rest - left));
	if (left > 0)
		own_spawn(&own, (void *)left);
	job_ran();
	return SHUNT_DONE;
}

static double round_ns(const struct bench_run *r, bool spawns)
{
	struct shunt_job_spec spec = own.spec;
	uint64_t start = bench_ticks(), since = bench_mono_ns(), end;

	atomic_store(&end_at, 0);
	if (spawns) {
		spec.arg = (void *)(uintptr_t)round_jobs;
		own_submit(&own, &spec);
	} else {
		for (uint64_t i = 0; i < round_jobs; i++)
			own_submit(&own, &spec);
	}
	while ((end = atomic_load_explicit(&end_at, memory_order_acquire)) == 0) { /* bound: patience_s */
		if ((double)(bench_mono_ns() - since) > r->patience_s * 1e9)
			bench_die("%s: jobs were lost", r->work->id);
		bench_nap(50000);
	}
	return bench_ns(end - start) / (double)round_jobs;
}

static int run(struct bench_run *r)
{
	bool spawns = strcmp(r->work->id, "spawn") == 0;
	struct own_wish wish = { .handler = spawns ? tree : empty };
	double *found = bench_alloc(ROUNDS_MAX, sizeof(*found));
	uint64_t start;
	size_t n = 0;

	round_jobs = r->jobs ? r->jobs : ROUND_JOBS;
	own_open(&own, r, &wish);
	(void)round_ns(r, spawns); /* first touch of everything */
	start = bench_mono_ns();
	/* bound: rounds and time */
	while (n < ROUNDS_MAX && (n < ROUNDS_MIN || (double)(bench_mono_ns() - start) < r->seconds * 1e9))
		found[n++] = round_ns(r, spawns);
	own_close(&own);
	bench_sort(found, n);
	bench_add(r, "ns_per_job", "ns", bench_quantile(found, n, 0.5), n * round_jobs);
	free(found);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const idle_modes[] = { "adaptive", "poll", "park", NULL };
	static const struct bench_work works[] = {
		{ "outside", "empty jobs from one producer to one worker", 1, 1, 0, 0.5, 0, run },
		{ "spawn", "jobs of one worker that spawn two each", 1, 1, 0, 0.5, 0, run },
		{ 0 },
	};

	return own_main(argc, argv, works, idle_modes);
}
