/*
 * bench/harness/main.c - the program of one subject: bench_subject (subject.h) under the works of works.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "works.h"

#define CANNOT_MAX 32u
#define THROUGHPUT_JOBS UINT64_C(5000000)
#define TREE_JOBS UINT64_C(4000000)

static const struct bench_work works[] = {
	{ "B1", "dispatch latency, a job each 20 us, one worker", 1, 1, 0, 1, 0, bench_latency },
	{ "B1a", "the same, where the mode is adaptive", 1, 1, 0, 1, 0, bench_latency },
	{ "B1b", "dispatch latency, a job each 1 ms on average, at random, one worker", 1, 1, 0, 2, 0, bench_latency },
	{ "B1b-periodic", "the same, each 1 ms sharp", 1, 1, 0, 2, 0, bench_latency },
	{ "B1c", "what submitting costs the submitter, a job each 20 us, one worker", 1, 1, 0, 1, 0, bench_latency },
	{ "B2", "throughput of empty jobs, one producer, two workers", 2, 1, 0, 0, THROUGHPUT_JOBS, bench_throughput },
	{ "B2-batch16", "the same in batches of 16", 2, 1, 16, 0, THROUGHPUT_JOBS, bench_throughput },
	{ "B3", "throughput of empty jobs, two producers, two workers", 2, 2, 0, 0, THROUGHPUT_JOBS, bench_throughput },
	{ "B4", "jobs that spawn two jobs each, two workers", 2, 1, 0, 0, TREE_JOBS, bench_tree },
	{ "B5", "Poisson, 70 % load: 99.5 % x 1 us, 0.5 % x 100 us, one worker", 1, 1, 0, 2, 0, bench_open_loop },
	{ 0 },
};

struct frame {
	struct bench_run *run;
	int (*body)(struct bench_run *r);
	struct bench_setup setup;
	int rc;
};

static void framed(void *arg)
{
	struct frame *f = arg;
	struct bench_run *r = f->run;
	uint64_t counted;

	r->self = bench_subject.open(&f->setup);
	if (!r->self) {
		f->rc = 1;
		return;
	}
	if (r->producer_cpu[0] >= 0)
		(void)bench_pin(&r->producer_cpu[0], 1);
	if (bench_subject.thread_enter)
		bench_subject.thread_enter(r->self);
	f->rc = f->body(r);
	if (f->rc != 0) { /* the message is out; what the subject still holds cannot be closed in order */
		(void)fflush(NULL);
		_Exit(f->rc);
	}
	if (bench_subject.thread_leave)
		bench_subject.thread_leave(r->self);
	bench_unpin();
	bench_subject.close(r->self);
	counted = bench_counted();
	if (counted != r->submitted) {
		(void)fprintf(stderr, "%s: %s: %llu jobs submitted, but %llu ran\n", bench_name, r->work->id,
			      (unsigned long long)r->submitted, (unsigned long long)counted);
		f->rc = 1;
	}
}

int bench_over_subject(struct bench_run *r, int (*body)(struct bench_run *r))
{
	struct frame f = { r, body, { r->workers, r->idle, r->worker_cpu, r->workers }, 0 };

	if (bench_around)
		bench_around(&f.setup, framed, &f);
	else
		framed(&f);
	return f.rc;
}

uint64_t bench_spin_until(uint64_t due)
{
	uint64_t relaxed = bench_to_ticks(300);
	uint64_t now = bench_ticks();

	while (now < due) { /* bound: due */
		if (due - now > relaxed)
			bench_relax();
		now = bench_ticks();
	}
	return now;
}

int main(int argc, char **argv)
{
	const char *cannot[CANNOT_MAX] = { NULL };
	unsigned n = 0;
	struct bench_program program = { bench_subject.name, bench_subject.version, bench_subject.idle_policy,
					 bench_subject.idle_modes, works, cannot };

	if (bench_cannot)
		while (bench_cannot[n] && n < CANNOT_MAX - 2) {
			cannot[n] = bench_cannot[n];
			n++;
		}
	if (!bench_subject.submit_batch)
		cannot[n] = "B2-batch16";
	return bench_main(argc, argv, &program);
}
