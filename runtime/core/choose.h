/*
 * core/choose.h - which worker of a pool a job is queued to. Called by submit.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_CHOOSE_H
#define SH_CORE_CHOOSE_H

#include "core/runtime.h"

/* What the choice for a job, or for a few of one kind that go together, depends on. */
struct sh_choice {
	struct sh_submitter *sub; /* NULL = a thread that has none */
	struct sh_pool *pool;
	const struct shunt_job_spec *spec;
	uint64_t now_ns;
	uint32_t level;
	uint32_t cost_ns; /* learned time of the job */
};

/* Index of a worker that may take the level; SHUNT_ANY only for SHUNT_JOB_ON_NODE, when the pool has none there. */
uint32_t sh_choose(const struct sh_choice *c);

#endif
