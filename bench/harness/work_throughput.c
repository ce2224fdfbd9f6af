/*
 * bench/harness/work_throughput.c - B2, B3, B4: as many empty jobs as go through, submitted from outside (one by one or
 * in batches, by one producer or two) or spawned by jobs. Time from the first submit until the last job has run,
 * over the jobs.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "works.h"

#define BATCH_MAX 64u
#define PILOT_JOBS 20000u /* warms up; tells how many jobs fit into --seconds */
#define JOBS_MIN UINT64_C(1000)
#define JOBS_MAX UINT64_C(50000000)

struct burst {
	struct bench_run *run;
	uint64_t jobs; /* of all producers together */
	_Atomic bool go;
	_Atomic unsigned ready;
	_Atomic uint64_t submit_ticks; /* of all producers */
};

struct producer {
	struct burst *burst;
	unsigned index;
};

struct result {
	double wall_ns, submit_ns, cpu_ns;
};

static void empty(void *arg)
{
	(void)arg;
	bench_count();
}

/* A tree of `arg` jobs: this one, and two trees of about half of the rest. */
static void *tree_self;

static void tree(void *arg)
{
	const struct bench_subject *s = &bench_subject;
	void (*spawn)(void *self, bench_fn fn, void *arg) = s->spawn ? s->spawn : s->submit;
	uintptr_t rest = (uintptr_t)arg - 1;
	uintptr_t left = rest / 2;

	if (rest - left > 0)
		spawn(tree_self, tree, (void *)(rest - left));
	if (left > 0)
		spawn(tree_self, tree, (void *)left);
	bench_count();
}

static void submit_all(struct burst *f, uint64_t jobs)
{
	struct bench_run *r = f->run;
	void *args[BATCH_MAX] = { NULL };
	uint64_t start = bench_ticks();

	if (r->work->run == bench_tree) {
		bench_subject.submit(r->self, tree, (void *)(uintptr_t)jobs);
	} else if (r->work->batch) {
		for (uint64_t i = 0; i < jobs; i += r->work->batch) {
			uint64_t n = jobs - i < r->work->batch ? jobs - i : r->work->batch;

			bench_subject.submit_batch(r->self, empty, args, (unsigned)n);
		}
	} else {
		for (uint64_t i = 0; i < jobs; i++)
			bench_subject.submit(r->self, empty, NULL);
	}
	(void)atomic_fetch_add(&f->submit_ticks, bench_ticks() - start);
}

static uint64_t share(const struct burst *f, unsigned index)
{
	unsigned n = f->run->producers;

	return f->jobs / n + (index < f->jobs % n);
}

static void *producer_main(void *arg)
{
	struct producer *p = arg;
	struct bench_run *r = p->burst->run;

	if (r->producer_cpu[p->index] >= 0)
		(void)bench_pin(&r->producer_cpu[p->index], 1);
	if (bench_subject.thread_enter)
		bench_subject.thread_enter(r->self);
	(void)atomic_fetch_add(&p->burst->ready, 1);
	while (!atomic_load_explicit(&p->burst->go, memory_order_acquire)) /* bound: the first producer comes at once */
		bench_nap(10000);
	submit_all(p->burst, share(p->burst, p->index));
	if (bench_subject.thread_leave)
		bench_subject.thread_leave(r->self);
	return NULL;
}

static int measure(struct bench_run *r, uint64_t jobs, struct result *out)
{
	struct burst f = { .run = r, .jobs = jobs };
	struct producer producer[BENCH_CPUS_MAX];
	pthread_t thread[BENCH_CPUS_MAX];
	uint64_t start, cpu;
	int rc;

	for (unsigned i = 1; i < r->producers; i++) {
		producer[i] = (struct producer){ &f, i };
		if (pthread_create(&thread[i], NULL, producer_main, &producer[i]) != 0)
			bench_die("no thread for producer %u", i);
	}
	while (atomic_load(&f.ready) + 1 < r->producers) /* bound: threads start */
		bench_nap(10000);
	cpu = bench_cpu_process_ns();
	start = bench_ticks();
	atomic_store_explicit(&f.go, true, memory_order_release);
	submit_all(&f, share(&f, 0));
	for (unsigned i = 1; i < r->producers; i++)
		(void)pthread_join(thread[i], NULL);
	r->submitted += jobs;
	rc = bench_wait_counted(r, r->submitted);
	out->wall_ns = bench_ns(bench_ticks() - start);
	out->cpu_ns = (double)(bench_cpu_process_ns() - cpu);
	out->submit_ns = bench_ns(atomic_load(&f.submit_ticks));
	return rc;
}

static int body(struct bench_run *r)
{
	uint64_t jobs = r->jobs;
	struct result res;
	int rc;

	tree_self = r->self;
	rc = measure(r, jobs && jobs < PILOT_JOBS ? jobs : PILOT_JOBS, &res);
	if (rc != 0)
		return rc;
	if (!jobs) {
		double fit = r->seconds * 1e9 / (res.wall_ns / PILOT_JOBS);

		jobs = r->work->jobs ? r->work->jobs : JOBS_MAX;
		if (fit < (double)jobs)
			jobs = fit > (double)JOBS_MIN ? (uint64_t)fit : JOBS_MIN;
	}
	rc = measure(r, jobs, &res);
	if (rc != 0)
		return rc;
	bench_add(r, "ns_per_job", "ns", res.wall_ns / (double)jobs, jobs);
	bench_add(r, "cpu_ns_per_job", "ns", res.cpu_ns / (double)jobs, jobs);
	if (r->work->run != bench_tree)
		bench_add(r, "submit_ns_per_job", "ns", res.submit_ns / (double)jobs, jobs);
	return 0;
}

int bench_throughput(struct bench_run *r) { return bench_over_subject(r, body); }

int bench_tree(struct bench_run *r) { return bench_over_subject(r, body); }
