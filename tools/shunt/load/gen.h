/*
 * shunt/load/gen.h - the generators of `shunt load`: threads that submit at instants drawn in
 * advance, whatever happens to the jobs. Called by load/run.c.
 *
 * A generator never waits for a completion. A late one submits at once and keeps the intended
 * start, so that no delay is missing in the figures. Its own lateness is recorded too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LOAD_GEN_H
#define SHUNT_LOAD_GEN_H

#include <pthread.h>
#include <sched.h>

#include <shunt/hist.h>
#include <shunt/job.h>

#include "base/atomic.h"
#include "load/flags.h"

struct load_level {
	uint32_t level; /* 0 = most urgent */
	double up_to;   /* upper border of its part of 0..1 */
};

struct load_plan { /* const while generators run */
	struct shunt_runtime *rt;
	struct shunt_type_id type;
	struct load_service service;
	struct load_arrivals arrivals;
	const struct load_trace *trace;         /* replaces these two; NULL = none */
	uint32_t trace_level[SHUNT_LEVELS_MAX]; /* level of each of its names */
	struct load_level level[SHUNT_LEVELS_MAX];
	uint32_t levels;
	double mean_ns;    /* of the service times */
	double rate_per_s; /* of all generators together */
	/* shunt_now_ns() of the first arrival, of the end of the warm-up, after the last arrival */
	uint64_t start_ns, measure_ns, end_ns;
	uint64_t seed;
	uint32_t submitters;
	cpu_set_t cpus; /* of the generators; empty = any */
};

struct load_gen;

struct load_submitter {
	const struct load_plan *plan;
	const struct load_gen *gen;
	pthread_t thread;
	uint32_t index;
	struct shunt_hist *lag;           /* ns late, after the warm-up */
	uint64_t submitted, refused, all; /* after the warm-up; `all` counts the warm-up too */
	uint64_t cpu_ns;                  /* cpu time of the thread, set when it has ended */
	int error;                        /* an error of submit other than full, 0 = none */
};

struct load_gen {
	const struct load_plan *plan;
	sh_a32 quit; /* sync: atomic; 1 = generators end now */
	struct load_submitter submitter[LOAD_SUBMITTERS_MAX];
	uint32_t running;
};

/* The handler: spins for arg nanoseconds. */
int load_handler(struct shunt_job_ctx *ctx, void *arg);
/* Starts the threads. 0, SHUNT_ENOMEM, SHUNT_ESYS; after an error none runs. */
int load_gen_start(struct load_gen *g, const struct load_plan *plan);
/* Joins them; they end at plan->end_ns or after a signal. */
void load_gen_join(struct load_gen *g);
/* Frees the histograms; after join. */
void load_gen_fini(struct load_gen *g);

#endif
