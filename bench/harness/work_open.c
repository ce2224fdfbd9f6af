/*
 * bench/harness/work_open.c - B5: jobs arrive at random whatever the subject does, most are short, a few are long.
 * Waits count from the time a job was due, and stand beside those of a queue without overhead that got the very
 * same jobs.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "works.h"

#define UTILISATION 0.7
#define SHORT_NS 1e3
#define LONG_NS 100e3
#define LONG_SHARE 0.005
#define JOBS_MIN 100u
#define JOBS_MAX UINT64_C(8000000)

struct job {
	uint64_t service_ticks; /* how long it works; written before the run */
	uint64_t start, end;    /* ticks, written by the job */
};

struct open_loop {
	struct job *job;
	uint64_t *due;
	uint64_t jobs;
};

static void work(void *arg)
{
	struct job *j = arg;
	uint64_t start = bench_ticks_ordered();
	uint64_t now = start;

	while (now - start < j->service_ticks) /* bound: service_ticks */
		now = bench_ticks();
	j->start = start;
	j->end = now;
	bench_count();
}

static void plan(struct open_loop *o, const struct bench_run *r)
{
	double mean = (1 - LONG_SHARE) * SHORT_NS + LONG_SHARE * LONG_NS;
	double gap = mean / (UTILISATION * (double)r->workers);
	struct bench_rng rng = { r->seed };
	double at = 0;

	o->jobs = r->jobs ? r->jobs : (uint64_t)(r->seconds * 1e9 / gap);
	if (o->jobs < JOBS_MIN)
		o->jobs = JOBS_MIN;
	if (o->jobs > JOBS_MAX)
		o->jobs = JOBS_MAX;
	o->job = bench_alloc(o->jobs, sizeof(*o->job));
	o->due = bench_alloc(o->jobs, sizeof(*o->due));
	for (uint64_t i = 0; i < o->jobs; i++) {
		at += bench_rng_exp(&rng, gap);
		o->due[i] = bench_to_ticks(at);
		o->job[i].service_ticks = bench_to_ticks(bench_rng_unit(&rng) <= LONG_SHARE ? LONG_NS : SHORT_NS);
	}
}

static void report(const struct open_loop *o, struct bench_run *r)
{
	uint64_t warm = o->jobs / 10, limit = bench_to_ticks((SHORT_NS + LONG_NS) / 2), n = o->jobs - warm, shorts = 0;
	double *at = bench_alloc(o->jobs, sizeof(*at));
	double *wait = bench_alloc(o->jobs, sizeof(*wait));
	double *service = bench_alloc(o->jobs, sizeof(*service));
	double *ideal = bench_alloc(o->jobs, sizeof(*ideal));
	double *scratch = bench_alloc(o->jobs, sizeof(*scratch));
	double w50, w99, ideal_w50, ideal_w99;

	for (uint64_t i = 0; i < o->jobs; i++) {
		const struct job *j = &o->job[i];

		at[i] = bench_ns(o->due[i] - o->due[0]);
		wait[i] = j->start > o->due[i] ? bench_ns(j->start - o->due[i]) : 0;
		service[i] = bench_ns(j->end - j->start);
	}
	bench_ideal_waits(at, service, o->jobs, r->workers, ideal);
	w50 = bench_windowed(at + warm, wait + warm, n, 0.5, scratch);
	w99 = bench_windowed(at + warm, wait + warm, n, 0.99, scratch);
	ideal_w50 = bench_windowed(at + warm, ideal + warm, n, 0.5, scratch);
	ideal_w99 = bench_windowed(at + warm, ideal + warm, n, 0.99, scratch);
	bench_add_latency(r, "", at + warm, wait + warm, n);
	bench_add(r, "ideal_w50", "ns", ideal_w50, n);
	bench_add(r, "ideal_w99", "ns", ideal_w99, n);
	bench_add(r, "w50_over_ideal", "ns", w50 - ideal_w50, n);
	bench_add(r, "w99_ratio", "ratio", ideal_w99 > 0 ? w99 / ideal_w99 : 0, n);
	for (uint64_t i = warm; i < o->jobs; i++) {
		if (o->job[i].service_ticks >= limit)
			continue;
		at[shorts] = at[i]; /* shorts < i: each is read before its place is written */
		wait[shorts++] = wait[i];
	}
	bench_add(r, "short_w50", "ns", bench_windowed(at, wait, shorts, 0.5, scratch), shorts);
	bench_add(r, "short_w99", "ns", bench_windowed(at, wait, shorts, 0.99, scratch), shorts);
	free(at);
	free(wait);
	free(service);
	free(ideal);
	free(scratch);
}

static int body(struct bench_run *r)
{
	struct open_loop o;
	uint64_t zero;
	int rc;

	(void)memset(&o, 0, sizeof(o));
	plan(&o, r);
	zero = bench_ticks() + bench_to_ticks(100e3);
	for (uint64_t i = 0; i < o.jobs; i++) {
		o.due[i] += zero;
		(void)bench_spin_until(o.due[i]);
		bench_subject.submit(r->self, work, &o.job[i]);
	}
	r->submitted = o.jobs;
	rc = bench_wait_counted(r, o.jobs);
	if (rc == 0)
		report(&o, r);
	free(o.job);
	free(o.due);
	return rc;
}

int bench_open_loop(struct bench_run *r) { return bench_over_subject(r, body); }
