/*
 * bench/own/memory.c - own_memory, B7: what two million waiting jobs cost in resident memory, and what of it is still
 * there when they are gone. One worker is held by its first job while the others are queued.
 *
 * SPDX-License-Identifier: MIT
 */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "own.h"

#define JOBS UINT64_C(2000000)
#define JOBS_MAX (UINT64_C(1) << 21)
#define QUIESCE_NS 50000000u

static sem_t held, release;

static int handler(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	if (arg) {
		(void)sem_post(&held);
		while (sem_wait(&release) != 0) { /* bound: main posts; EINTR only */
		}
	}
	bench_count();
	return SHUNT_DONE;
}

static double resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (!f || fscanf(f, "%*s %ld", &pages) != 1)
		bench_die("/proc/self/statm: cannot be read");
	(void)fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static int run(struct bench_run *r)
{
	uint64_t jobs = r->jobs ? r->jobs : JOBS;
	struct own_wish wish = { .handler = handler, .jobs_max = (uint32_t)JOBS_MAX };
	double before, full, empty, drained, n = (double)jobs;
	struct shunt_job_spec spec;
	struct own o;

	if (jobs > JOBS_MAX - 1024) {
		(void)fprintf(stderr, "%s: --jobs: at most %llu\n", bench_name, (unsigned long long)JOBS_MAX - 1024);
		return 2;
	}
	if (sem_init(&held, 0, 0) != 0 || sem_init(&release, 0, 0) != 0)
		bench_die("no semaphore");
	own_open(&o, r, &wish);
	spec = o.spec;
	own_submit(&o, &spec); /* once through everything that is made at first use */
	if (bench_wait_counted(r, 1) != 0)
		bench_die("the first job did not run");
	spec.arg = &o;
	own_submit(&o, &spec);
	while (sem_wait(&held) != 0) { /* bound: the job posts; EINTR only */
	}
	spec.arg = NULL;
	before = resident_bytes();
	for (uint64_t i = 0; i < jobs; i++)
		own_submit(&o, &spec);
	full = resident_bytes();
	(void)sem_post(&release);
	if (bench_wait_counted(r, jobs + 2) != 0)
		bench_die("jobs were lost");
	bench_nap(QUIESCE_NS);
	empty = resident_bytes();
	own_drain(&o);
	drained = resident_bytes();
	bench_add(r, "bytes_per_job", "B", (full - before) / n, jobs);
	bench_add(r, "bytes_idle_per_job", "B", (empty - before) / n, jobs);
	bench_add(r, "bytes_left_per_job", "B", (drained - before) / n, jobs);
	own_close(&o);
	(void)sem_destroy(&held);
	(void)sem_destroy(&release);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const idle_modes[] = { "adaptive", NULL };
	static const struct bench_work works[] = {
		{ "B7", "memory of 2 M waiting jobs; of it still held when all ran (idle), and after a drain (left)",
		  1, 1, 0, 0, JOBS, run },
		{ 0 },
	};

	return own_main(argc, argv, works, idle_modes);
}
