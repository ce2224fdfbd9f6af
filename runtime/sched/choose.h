/*
 * sched/choose.h - which worker of a pool a job is queued to. Called by submit.c and token.c.
 *
 * Algorithm: the pool's strategy (policy/strategy.h, least_work.h); a worker's own spawns are not
 * chosen for.
 * Calls that may run together: all; a `sub` only by its own thread. Linearization: none is needed,
 * a choice is a hint for placement: thieves may move the job.
 * Progress: wait-free, but for a user's strategy. Bounds: one pass over the pool's workers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_CHOOSE_H
#define SH_SCHED_CHOOSE_H

#include "sched/world.h"

/* What the choice for a job, or for a few of one kind that are queued together, depends on. */
struct sh_choice {
	struct sh_submitter *sub; /* NULL = a thread without a submitter */
	struct sh_pool *pool;
	const struct shunt_job_spec *spec;
	uint64_t now_ns;
	uint32_t level;
	uint32_t node;    /* the job must go to this NUMA node (os index), or SHUNT_ANY */
	uint64_t cost_ns; /* learned time of a job, SH_COST_MAX at most */
	uint32_t jobs;    /* how many go there together */
};

/* Index of a worker that may take the level; SHUNT_ANY when the pool has none on the node. */
uint32_t sh_choose(const struct sh_choice *c);

#endif
