/*
 * bench/own/scaling.c - own_scaling, B11: jobs of 1 us on 1, 2, .. workers, fed by as many producers, each step for
 * itself. Producers have cpus of their own where there are enough, else they share the workers'. Only what was run is
 * printed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "own.h"

#define JOB_NS 1e3
#define STEPS_MAX 32u
#define WORKERS_MAX 256u
#define JOBS_MAX (UINT64_C(1) << 20) /* of one step: unfinished at a time are fewer */

static unsigned step[STEPS_MAX];
static unsigned steps;
static uint64_t job_ticks; /* const while jobs run */

struct feed {
	struct own *own;
	uint64_t jobs;
	int cpu; /* -1 = anywhere */
	_Atomic bool *go;
	pthread_t thread;
};

static int work(struct shunt_job_ctx *ctx, void *arg)
{
	uint64_t start = bench_ticks();

	(void)ctx;
	(void)arg;
	while (bench_ticks() - start < job_ticks) { /* bound: job_ticks */
	}
	bench_count();
	return SHUNT_DONE;
}

static void *feed_main(void *arg)
{
	struct feed *f = arg;

	if (f->cpu >= 0)
		(void)bench_pin(&f->cpu, 1);
	else
		bench_unpin();
	while (!atomic_load_explicit(f->go, memory_order_acquire)) /* bound: the other producers start */
		bench_nap(10000);
	for (uint64_t i = 0; i < f->jobs; i++)
		own_submit(f->own, &f->own->spec);
	return NULL;
}

/* Jobs a second with so many workers and producers. */
static double throughput(const struct bench_run *r, unsigned workers, uint64_t jobs)
{
	static uint64_t counted;
	static struct feed feed[WORKERS_MAX];
	struct own_wish wish = { .handler = work, .workers = workers, .cpus = r->cpus, .jobs_max = 1u << 20 };
	bool room = 2 * workers <= r->ncpus;
	_Atomic bool go = false;
	struct own o;
	uint64_t start;
	double ns;

	own_open(&o, r, &wish);
	bench_unpin();
	for (unsigned i = 0; i < workers; i++) {
		feed[i] = (struct feed){ &o, jobs / workers + (i < jobs % workers), room ? r->cpus[workers + i] : -1,
					 &go, 0 };
		if (pthread_create(&feed[i].thread, NULL, feed_main, &feed[i]) != 0)
			bench_die("no thread for producer %u", i);
	}
	bench_nap(1000000);
	start = bench_ticks();
	atomic_store_explicit(&go, true, memory_order_release);
	for (unsigned i = 0; i < workers; i++)
		(void)pthread_join(feed[i].thread, NULL);
	counted += jobs;
	if (bench_wait_counted(r, counted) != 0)
		bench_die("the runtime is left as it is");
	ns = bench_ns(bench_ticks() - start);
	own_close(&o);
	return (double)jobs / ns * 1e9;
}

static void default_steps(const struct bench_run *r)
{
	for (unsigned k = 1; k < r->ncpus && steps < STEPS_MAX - 1; k = k < 4 ? k + 1 : k * 2)
		step[steps++] = k;
	step[steps++] = r->ncpus;
}

static int run(struct bench_run *r)
{
	double per_worker[STEPS_MAX], two = 0;

	job_ticks = bench_to_ticks(JOB_NS);
	if (steps == 0)
		default_steps(r);
	for (unsigned i = 0; i < steps; i++) {
		uint64_t jobs = r->jobs ? r->jobs : (uint64_t)(r->seconds / steps * 1e9 / JOB_NS) * step[i];
		char metric[32];
		double rate;

		if (step[i] > r->ncpus) {
			(void)fprintf(stderr, "%s: --workers: %u workers, but %u cpus: left out\n", bench_name, step[i],
				      r->ncpus);
			continue;
		}
		if (jobs > JOBS_MAX * step[i])
			jobs = JOBS_MAX * step[i];
		if (jobs < 100)
			jobs = 100;
		rate = throughput(r, step[i], jobs);
		per_worker[i] = rate / step[i];
		if (step[i] == 2)
			two = per_worker[i];
		(void)snprintf(metric, sizeof(metric), "jobs_per_s_w%u", step[i]);
		bench_add(r, metric, "jobs/s", rate, jobs);
	}
	for (unsigned i = 0; i < steps; i++) {
		char metric[32];

		if (step[i] > r->ncpus || two <= 0)
			continue;
		(void)snprintf(metric, sizeof(metric), "per_worker_w%u_to_w2", step[i]);
		bench_add(r, metric, "ratio", per_worker[i] / two, 1);
	}
	if (r->rows > 0)
		return 0;
	(void)fprintf(stderr, "%s: nothing left to run\n", bench_name);
	return 77;
}

static int bad_list(const char *text)
{
	(void)fprintf(stderr, "own_scaling: --workers: '%s': want up to %u numbers from 1 to %u, such as 1,2,4\n", text,
		      STEPS_MAX, WORKERS_MAX);
	return 2;
}

/* --workers takes a list here. The harness, which knows one number, gets the last of it. */
static int take_list(int argc, char **argv)
{
	static const char option[] = "--workers";
	static char last[32];
	const size_t length = sizeof(option) - 1;

	for (int i = 1; i < argc; i++) {
		bool joined = strncmp(argv[i], option, length) == 0 && argv[i][length] == '=';
		char *text = joined ? argv[i] + length + 1 : argv[i + 1];

		if (!joined && (strcmp(argv[i], option) != 0 || i + 1 == argc))
			continue;
		for (const char *s = text;; s++) {
			char *end = NULL;
			unsigned long v;

			errno = 0;
			v = strtoul(s, &end, 10);
			if (errno || *s < '0' || *s > '9' || v < 1 || v > WORKERS_MAX || steps == STEPS_MAX)
				return bad_list(text);
			if (*end && *end != ',')
				return bad_list(text);
			step[steps++] = (unsigned)v;
			s = end;
			if (!*s)
				break;
		}
		(void)snprintf(last, sizeof(last), joined ? "--workers=%u" : "%u", step[steps - 1]);
		argv[joined ? i : i + 1] = last;
		return 0;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const idle_modes[] = { "adaptive", NULL };
	static const struct bench_work works[] = {
		{ "B11", "jobs of 1 us on 1 .. n workers from as many producers; --workers 1,2,4 says which n",
		  1, 1, 0, 2, 0, run },
		{ 0 },
	};
	int rc = take_list(argc, argv);

	return rc != 0 ? rc : own_main(argc, argv, works, idle_modes);
}
