/*
 * bench/harness/work_latency.c - B1, B1a, B1b, B1c: one producer, one worker, a job now and then. The time between
 * the job's due time and the first instruction of its handler, what the submit cost, and what the waiting worker
 * burnt meanwhile.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "works.h"

#define FAST_GAP_NS 20e3
#define SLOW_GAP_NS 1e6
#define ON_TIME_NS 100.0 /* the spinning producer's own grain: a stamp so close to the due time is on time */
#define JOBS_MIN 20u
#define WARM_NS_MAX 0.5e9

struct latency {
	uint64_t warm, jobs, all;    /* all = warm + jobs */
	uint64_t *due, *sent, *done; /* ticks: when it was due, submit called, submit returned */
	_Atomic uint64_t *started;   /* written by the job; 0 = not yet */
	uint64_t read_ticks;         /* what reading the clock adds to `done` */
	double cpu_percent;
};

static void stamp(void *arg)
{
	atomic_store_explicit((_Atomic uint64_t *)arg, bench_ticks_ordered(), memory_order_relaxed);
	bench_count();
}

static uint64_t clock_cost(void)
{
	double cost[201];

	for (size_t i = 0; i < 201; i++) {
		uint64_t a = bench_ticks();

		cost[i] = (double)(bench_ticks_ordered() - a);
	}
	bench_sort(cost, 201);
	return (uint64_t)cost[100];
}

static void plan(struct latency *l, const struct bench_run *r)
{
	bool slow = strncmp(r->work->id, "B1b", 3) == 0;
	bool periodic = strcmp(r->work->id, "B1b") != 0;
	double gap = slow ? SLOW_GAP_NS : FAST_GAP_NS;
	struct bench_rng rng = { r->seed };
	double at = 0;

	l->jobs = r->jobs ? r->jobs : (uint64_t)(r->seconds * 1e9 / gap);
	if (l->jobs < JOBS_MIN)
		l->jobs = JOBS_MIN;
	l->warm = l->jobs / 5;
	if ((double)l->warm * gap > WARM_NS_MAX)
		l->warm = (uint64_t)(WARM_NS_MAX / gap);
	l->all = l->warm + l->jobs;
	l->due = bench_alloc(l->all, sizeof(*l->due));
	l->sent = bench_alloc(l->all, sizeof(*l->sent));
	l->done = bench_alloc(l->all, sizeof(*l->done));
	l->started = bench_alloc(l->all, sizeof(*l->started));
	for (uint64_t i = 0; i < l->all; i++) {
		at += periodic ? gap : bench_rng_exp(&rng, gap);
		l->due[i] = bench_to_ticks(at);
	}
	l->read_ticks = clock_cost();
}

static void drive(struct latency *l, const struct bench_run *r)
{
	uint64_t cpu_ns = 0, own_ns = 0, begin = 0;
	uint64_t zero = bench_ticks();

	for (uint64_t i = 0; i < l->all; i++) {
		if (i == l->warm) {
			begin = bench_ticks();
			cpu_ns = bench_cpu_process_ns();
			own_ns = bench_cpu_thread_ns();
		}
		l->due[i] += zero;
		l->sent[i] = bench_spin_until(l->due[i]);
		bench_subject.submit(r->self, stamp, &l->started[i]);
		l->done[i] = bench_ticks_ordered();
	}
	own_ns = bench_cpu_thread_ns() - own_ns;
	cpu_ns = bench_cpu_process_ns() - cpu_ns;
	l->cpu_percent = 100.0 * ((double)cpu_ns - (double)own_ns) / bench_ns(bench_ticks() - begin);
}

static void report(struct latency *l, struct bench_run *r)
{
	double *at = bench_alloc(l->jobs, sizeof(*at));
	double *wait = bench_alloc(l->jobs, sizeof(*wait));
	double *cost = bench_alloc(l->jobs, sizeof(*cost));
	uint64_t on_time = bench_to_ticks(ON_TIME_NS), late = 0;

	for (uint64_t i = 0; i < l->jobs; i++) {
		uint64_t k = l->warm + i;
		uint64_t from = l->sent[k] - l->due[k] < on_time ? l->sent[k] : l->due[k];
		uint64_t started = atomic_load_explicit(&l->started[k], memory_order_relaxed);
		uint64_t spent = l->done[k] - l->sent[k];

		late += from != l->sent[k];
		at[i] = bench_ns(l->due[k] - l->due[l->warm]);
		wait[i] = started > from ? bench_ns(started - from) : 0;
		cost[i] = spent > l->read_ticks ? bench_ns(spent - l->read_ticks) : 0;
	}
	if (strcmp(r->work->id, "B1c") != 0)
		bench_add_latency(r, "", at, wait, l->jobs);
	bench_add(r, "submit_w50", "ns", bench_windowed(at, cost, l->jobs, 0.5, wait), l->jobs);
	bench_sort(cost, l->jobs);
	bench_add(r, "submit_p50", "ns", bench_quantile(cost, l->jobs, 0.5), l->jobs);
	bench_add(r, "submit_p99", "ns", bench_quantile(cost, l->jobs, 0.99), l->jobs);
	bench_add(r, "cpu_percent", "percent", l->cpu_percent > 0 ? l->cpu_percent : 0, l->jobs);
	bench_add(r, "late_percent", "percent", 100.0 * (double)late / (double)l->jobs, l->jobs);
	free(at);
	free(wait);
	free(cost);
}

static int body(struct bench_run *r)
{
	struct latency l;
	int rc;

	(void)memset(&l, 0, sizeof(l));
	plan(&l, r);
	drive(&l, r);
	r->submitted = l.all;
	rc = bench_wait_counted(r, l.all);
	if (rc == 0)
		report(&l, r);
	free(l.due);
	free(l.sent);
	free(l.done);
	free((void *)l.started);
	return rc;
}

int bench_latency(struct bench_run *r) { return bench_over_subject(r, body); }
