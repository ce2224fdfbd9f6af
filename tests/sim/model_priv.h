/*
 * sim/model_priv.h - the model's state, shared by model.c (judgements at events) and model_end.c (judgements over time and
 * at the end).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SIM_MODEL_PRIV_H
#define SIM_MODEL_PRIV_H

#include "sched/pool.h"
#include "sim/model.h"

#define MODEL_SLOTS (LOAD_WORKERS + 16u)
#define MODEL_GROUPS 256u
#define MODEL_CODE (-1234) /* what a failing handler returns */

struct model_level {
	uint32_t order[LOAD_JOBS_MAX]; /* plain jobs in the order in which their submits returned */
	uint32_t first, last;
	uint32_t plain;   /* of them, waiting and judged */
	uint32_t waiting; /* all jobs submitted and not started, with those that are inside submit */
	uint32_t ghosts;  /* cancelled ones, whose descriptors may still be queued */
	uint64_t idle_ns; /* time in which no plain job of this level should have waited */
};

struct model_key {
	uint32_t job[LOAD_JOBS_MAX];
	uint32_t first, jobs;
	uint32_t running; /* job, 0 = none */
};

struct model_pool {
	const struct sh_pool *p;
	uint32_t thread[MODEL_SLOTS];
	uint32_t slots;
	struct model_level level[LOAD_LEVELS];
	struct model_key key[LOAD_KEYS];
	uint64_t idle_worker_ns[MODEL_SLOTS];
	uint32_t plain;
	uint32_t keyed_waiting;
	uint64_t starts;   /* picks that started a job */
	uint64_t last_end; /* stamp */
	uint64_t pick_end; /* last_end when the levels were looked at last */
};

struct model {
	const struct load *load;
	struct job job[LOAD_JOBS_MAX];
	uint32_t jobs;
	struct model_group group[MODEL_GROUPS];
	uint32_t groups;
	struct model_pool pool[LOAD_POOLS];
	uint32_t depth[VIRT_THREADS_MAX]; /* handlers on this thread's stack */
	uint32_t helper;
	uint64_t stamp, event_ns;
	uint64_t idle_most_ns;
	bool over; /* nothing is judged any more */
};
extern struct model model;

void model_idle_judge(const struct job *j);

#endif
