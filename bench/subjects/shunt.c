/*
 * bench/subjects/shunt.c - shunt as a subject, through its public headers only and with every feature on
 * (histograms, learned run times, levels): a pool pinned to the given cpus, one job type, jobs without handles.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/shunt.h>

#include "harness/subject.h"
#include "harness/sys.h"

#ifndef SHUNT_GIT_COMMIT
#define SHUNT_GIT_COMMIT "unknown"
#endif
#define BATCH_MAX 64u
#define JOBS_MAX (1u << 21) /* a tree of 4 M jobs that is run breadth first has half of them waiting */
#define PLACE_MAX 2048u
#define CLOSE_NS UINT64_C(10000000000)

struct subject {
	struct shunt_runtime *rt;
	struct shunt_type_id type;
};

/* A handler is known to its type, not to its job; one run has one fn, set before anything is submitted. */
static bench_fn job_fn;

/* Filled once by each thread that submits; after that only the argument changes from job to job, as in any program. */
static _Thread_local struct shunt_job_spec one, many[BATCH_MAX];

static const char *version(void)
{
	static char text[64];

	(void)snprintf(text, sizeof(text), "%s (%s)", shunt_version(), SHUNT_GIT_COMMIT);
	return text;
}

static int handler(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	job_fn(arg);
	return SHUNT_DONE;
}

static void log_line(void *arg, enum shunt_log_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)fprintf(stderr, "shunt: %s\n", text);
}

static enum shunt_idle idle_mode(const char *name)
{
	if (strcmp(name, "poll") == 0)
		return SHUNT_IDLE_POLL;
	return strcmp(name, "park") == 0 ? SHUNT_IDLE_PARK : SHUNT_IDLE_ADAPTIVE;
}

/* "cpus:1" or "cpus:0+1" */
static void place(char text[PLACE_MAX], const struct bench_setup *setup)
{
	int used = snprintf(text, PLACE_MAX, "cpus:");

	for (unsigned i = 0; i < setup->ncpus && used < (int)PLACE_MAX - 8; i++)
		used += snprintf(text + used, PLACE_MAX - (size_t)used, "%s%d", i ? "+" : "", setup->cpus[i]);
}

static void *subject_open(const struct bench_setup *setup)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct subject *s = bench_alloc(1, sizeof(*s));
	char text[PLACE_MAX];
	int rc;

	ro.jobs_max = JOBS_MAX;
	ro.log = log_line;
	rc = shunt_runtime_create(&s->rt, &ro);
	if (rc != 0)
		goto out_free;
	place(text, setup);
	po.name = "bench";
	po.workers = setup->workers;
	po.place = text;
	po.idle = idle_mode(setup->idle);
	rc = shunt_pool_create(s->rt, &po, &to.pool);
	if (rc != 0)
		goto out_destroy;
	to.name = "job";
	to.handler = handler;
	rc = shunt_type_create(s->rt, &to, &s->type);
	if (rc == 0)
		return s;
out_destroy:
	(void)shunt_runtime_destroy(s->rt, NULL);
out_free:
	(void)fprintf(stderr, "shunt: %s: %s\n", shunt_strerror(rc), shunt_error_detail());
	free(s);
	return NULL;
}

static void fill(const struct subject *s, bench_fn fn)
{
	if (job_fn && job_fn != fn)
		bench_die("two kinds of jobs in one run");
	if (!job_fn)
		job_fn = fn;
	one.type = s->type;
	one.on_full = SHUNT_ON_FULL_BLOCK;
	for (unsigned i = 0; i < BATCH_MAX; i++)
		many[i] = one;
}

static void subject_submit(void *self, bench_fn fn, void *arg)
{
	struct subject *s = self;
	int rc;

	if (__builtin_expect(one.type.v == 0, 0))
		fill(s, fn);
	one.arg = arg;
	rc = shunt_submit(s->rt, &one, NULL);
	if (__builtin_expect(rc != 0, 0))
		bench_die("shunt_submit: %s", shunt_strerror(rc));
}

/* Never inline, and never waits for capacity that only this worker could free: if there is none, the run fails. */
static void subject_spawn(void *self, bench_fn fn, void *arg)
{
	struct subject *s = self;
	int rc;

	if (__builtin_expect(one.type.v == 0, 0)) {
		fill(s, fn);
		one.on_full = SHUNT_ON_FULL_ERROR;
	}
	one.arg = arg;
	rc = shunt_submit(s->rt, &one, NULL);
	if (__builtin_expect(rc != 0, 0))
		bench_die("shunt_submit inside a job: %s", shunt_strerror(rc));
}

static void subject_submit_batch(void *self, bench_fn fn, void *const *args, unsigned n)
{
	struct subject *s = self;

	if (__builtin_expect(one.type.v == 0, 0))
		fill(s, fn);
	for (unsigned done = 0; done < n;) {
		unsigned k = n - done < BATCH_MAX ? n - done : BATCH_MAX;
		int rc = 0;

		for (unsigned i = 0; i < k; i++)
			many[i].arg = args[done + i];
		done += (unsigned)shunt_submit_batch(s->rt, many, k, NULL, &rc);
		if (rc != 0)
			bench_die("shunt_submit_batch: %s", shunt_strerror(rc));
	}
}

static void subject_close(void *self)
{
	struct subject *s = self;
	int rc = shunt_runtime_drain(s->rt, CLOSE_NS, NULL); /* the last handler was counted just before it returned */

	if (rc != 0)
		bench_die("shunt_runtime_drain: %s", shunt_strerror(rc));
	(void)shunt_runtime_destroy(s->rt, NULL);
	free(s);
}

static const char *const idle_modes[] = { "adaptive", "poll", "park", NULL };

const struct bench_subject bench_subject = {
	.name = "shunt",
	.version = version,
	.idle_policy = "poll: spins; adaptive: spins about as long as a wake costs, then sleeps; park: sleeps at once",
	.idle_modes = idle_modes,
	.open = subject_open,
	.submit = subject_submit,
	.submit_batch = subject_submit_batch,
	.spawn = subject_spawn,
	.close = subject_close,
};
