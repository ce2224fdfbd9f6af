/*
 * bench/harness/harness.h - what a bench program is made of: the command line that all of them share, the run that
 * a work is handed, counting of jobs, rows of results. The subjects' programs use it through main.c and works.h;
 * programs with works of their own (bench/own, bench/limits) define a struct bench_program and call bench_main.
 *
 *	PROGRAM --work ID [--idle MODE] [--cpus A,B] [--seconds S] [--jobs N] [--workers N] [--seed N] [--patience S]
 *	PROGRAM --describe
 *
 * Exit codes: 0 done, 1 failed (no rows are printed), 2 usage, 77 this program cannot do that.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "stats.h"
#include "subject.h"
#include "sys.h"

#define BENCH_ROWS_MAX 64u
#define BENCH_THREADS_MAX 1024u

struct bench_row {
	const char *id; /* borrowed */
	char metric[32];
	const char *unit; /* borrowed: a literal */
	double value;
	uint64_t n; /* samples, or jobs */
};

struct bench_run;

struct bench_work {
	const char *id;   /* "B1"; NULL ends a table */
	const char *what; /* one line */
	unsigned workers, producers, batch;
	double seconds;                  /* default of --seconds; of works that are counted in jobs: 0 = all jobs */
	uint64_t jobs;                   /* default of --jobs; 0 = as many as fit into the seconds */
	int (*run)(struct bench_run *r); /* 0 and rows, or an exit code and a message on stderr */
};

struct bench_program {
	const char *subject;
	const char *(*version)(void);
	const char *idle_policy;
	const char *const *idle_modes; /* NULL-terminated; the first is the default */
	const struct bench_work *works;
	const char *const *cannot; /* NULL, or works of the table that this program lacks */
};

struct bench_run {
	const struct bench_program *program;
	const struct bench_work *work;
	const char *idle;
	unsigned workers, producers;
	double seconds; /* > 0, or 0 where the work counts jobs */
	uint64_t jobs;  /* > 0, or 0 where the work goes by time */
	uint64_t seed;
	double patience_s;                /* how much longer than that nothing may happen before a job counts as lost */
	int producer_cpu[BENCH_CPUS_MAX]; /* -1 = anywhere: every cpu has a worker */
	int worker_cpu[BENCH_CPUS_MAX];
	int cpus[BENCH_CPUS_MAX]; /* --cpus, or what this process may use */
	unsigned ncpus;
	double pingpong_ns; /* between the first producer's and the last worker's cpu, just before the work */
	double pingpong_after_ns; /* and just behind it: the host may have moved the cpus meanwhile */
	void *self;         /* works over a subject: what its open returned */
	uint64_t submitted; /* likewise: what must have been counted when it is closed */
	struct bench_row row[BENCH_ROWS_MAX];
	unsigned rows;
};

int bench_main(int argc, char **argv, const struct bench_program *program);

/* Adds a row to what is printed when the run ends well. */
void bench_add(struct bench_run *r, const char *metric, const char *unit, double value, uint64_t n);
/* The same under another id, for programs whose one work measures several things. */
void bench_add_as(struct bench_run *r, const char *id, const char *metric, const char *unit, double value, uint64_t n);
/* p50 p90 p99 p99.9 and w50 w99 of value[i] at at_ns[i], each name after this prefix ("" or such as "total_"). */
void bench_add_latency(struct bench_run *r, const char *prefix, const double *at_ns, const double *value_ns, size_t n);

/* ---- counting: a counter for each thread that runs jobs, so that counting costs nothing and shares no line ---- */
struct bench_counter {
	alignas(64) _Atomic uint64_t jobs;
};

extern _Thread_local struct bench_counter *bench_mine;

struct bench_counter *bench_counter_claim(void);

/* One more job ran, here. */
static inline void bench_count(void)
{
	struct bench_counter *c = bench_mine ? bench_mine : bench_counter_claim();

	atomic_store_explicit(&c->jobs, atomic_load_explicit(&c->jobs, memory_order_relaxed) + 1, memory_order_release);
}

uint64_t bench_counted(void);
/*
 * Until so many jobs were counted since the program started. 0; or 1 and a message when for patience_s seconds none was
 * counted. Sleeps between looks: the caller's cpu may be a worker's.
 */
int bench_wait_counted(const struct bench_run *r, uint64_t jobs);

#endif
