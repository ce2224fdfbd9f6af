/*
 * bench/own/instructions.c - part_instructions and part_instructions_bare (without metrics), which
 * tools/bench-instructions runs under callgrind. Each work is the same instructions every time: nobody waits for time,
 * everybody sleeps on a semaphore instead. What is counted lies between own_mark_begin and own_mark_end.
 *
 * SPDX-License-Identifier: MIT
 */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "own.h"

#define JOBS 20000u
#define RING 65536u /* all jobs wait in the worker's ring, none in the backlog */
#define JOBS_MAX 60000u
#define BATCH 16u

void own_mark_begin(void);
void own_mark_end(void);

static struct own own;
static sem_t held, release, done;
static uint64_t ran, total; /* ran: only the one worker writes it */
static char hold;

/* callgrind knows them by name. */
__attribute__((noinline)) void own_mark_begin(void) { atomic_signal_fence(memory_order_seq_cst); }

__attribute__((noinline)) void own_mark_end(void) { atomic_signal_fence(memory_order_seq_cst); }

static void wait_for(sem_t *s)
{
	while (sem_wait(s) != 0) { /* bound: EINTR only */
	}
}

static void job_ran(void)
{
	if (++ran == total)
		(void)sem_post(&done);
}

static int handler(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	if (arg == &hold) {
		(void)sem_post(&held);
		wait_for(&release);
	} else {
		job_ran();
	}
	return SHUNT_DONE;
}

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

static void submit_all(bool batch)
{
	struct shunt_job_spec specs[BATCH];

	for (unsigned i = 0; i < BATCH; i++)
		specs[i] = own.spec;
	if (!batch) {
		for (uint64_t i = 0; i < total; i++)
			own_submit(&own, &specs[0]);
		return;
	}
	for (uint64_t i = 0; i < total; i += BATCH) {
		size_t n = total - i < BATCH ? (size_t)(total - i) : BATCH;

		if (shunt_submit_batch(own.rt, specs, n, NULL, NULL) != n)
			bench_die("shunt_submit_batch took less");
	}
}

/* The worker is held while all is submitted: both sides do the same in every run, however fast each is. */
static void outside(bool batch, bool submit_only)
{
	struct shunt_job_spec spec = own.spec;

	spec.arg = &hold;
	own_submit(&own, &spec);
	wait_for(&held);
	own_mark_begin();
	submit_all(batch);
	if (submit_only)
		own_mark_end();
	(void)sem_post(&release);
	wait_for(&done);
	if (!submit_only)
		own_mark_end();
}

static int run(struct bench_run *r)
{
	bool spawns = strcmp(r->work->id, "spawn") == 0, batch = strncmp(r->work->id, "batch", 5) == 0;
	struct own_wish wish = { .handler = spawns ? tree : handler, .ring_capacity = RING };

	total = r->jobs ? r->jobs : JOBS;
	if (total > JOBS_MAX) {
		(void)fprintf(stderr, "%s: --jobs: at most %u\n", bench_name, JOBS_MAX);
		return 2;
	}
	if (sem_init(&held, 0, 0) != 0 || sem_init(&release, 0, 0) != 0 || sem_init(&done, 0, 0) != 0)
		bench_die("no semaphore");
	own_open(&own, r, &wish);
	if (spawns) {
		struct shunt_job_spec spec = own.spec;

		spec.arg = (void *)(uintptr_t)total;
		own_mark_begin();
		own_submit(&own, &spec);
		wait_for(&done);
		own_mark_end();
	} else {
		outside(batch, strstr(r->work->id, "submit") != NULL);
	}
	own_close(&own);
	bench_add(r, "jobs", "jobs", (double)ran, total);
	return ran == total ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const char *const idle_modes[] = { "park", NULL };
	static const struct bench_work works[] = {
		{ "submit", "submit, while the only worker is held", 1, 1, 0, 0, JOBS, run },
		{ "outside", "the same and then run", 1, 1, 0, 0, JOBS, run },
		{ "batch-submit", "submit in batches of 16, while the only worker is held", 1, 1, 0, 0, JOBS, run },
		{ "batch", "the same and then run", 1, 1, 0, 0, JOBS, run },
		{ "spawn", "jobs that spawn two each on one worker", 1, 1, 0, 0, JOBS, run },
		{ 0 },
	};

	return own_main(argc, argv, works, idle_modes);
}
