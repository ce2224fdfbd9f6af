/*
 * sim/load.h - a workload, drawn from a seed: the runtime's shape, who submits what, which faults. Limits cut it down
 * without changing what is left, so that a failing one can be shrunk. Used by world.c, actors.c and sim_seeds.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SIM_LOAD_H
#define SIM_LOAD_H

#include <shunt/runtime.h>

#include "sim/sim.h"

#define LOAD_POOLS 2u
#define LOAD_SUBMITTERS 4u
#define LOAD_WORKERS 6u
#define LOAD_LEVELS 4u
#define LOAD_JOBS_MAX 4000u /* with those that jobs spawn */
#define LOAD_KEYS 6u

enum load_end {
	END_DRAIN,  /* submitters end, then drain, then destroy: nothing may be left */
	END_EARLY,  /* drain while submitters are at it, then resume, then as above */
	END_CANCEL, /* destroy with jobs left: they end as cancelled */
	END_REMOVE, /* drain, then types and pools are removed one by one */
	END_KINDS
};

struct load_limits { /* 0 = as drawn; a fault limit counts from 1: LOAD_NO_FAULT = none */
	uint32_t jobs, submitters, workers, faults, pools, levels;
};
#define LOAD_NO_FAULT UINT32_MAX

struct load_pool {
	uint32_t workers, spares;
	enum shunt_idle idle;
	enum shunt_level_mode mode;
	enum shunt_strategy strategy;
	enum shunt_on_full full;
	uint32_t guard_every, ring_capacity, key_slots, queue_max, async_max, async_pool_max;
	uint32_t weights[LOAD_LEVELS];
	uint32_t reserved[LOAD_LEVELS];
	bool exact; /* one worker, no spares: level order and wait bound are judged at each pick */
};

struct load {
	uint64_t seed;
	uint32_t levels, pools, submitters, jobs; /* jobs: submitted from outside */
	uint32_t jobs_max, handles_max, groups_max, submitters_max;
	struct load_pool pool[LOAD_POOLS];
	enum load_end end;
	uint64_t gap_ns;      /* mean time between two submits of a submitter; 0 = none */
	uint64_t work_ns;     /* mean run time */
	uint32_t burst;       /* jobs of a batch, at most */
	uint32_t usual_level; /* of those jobs that levels_mixed leaves */
	/* in percent of jobs */
	uint32_t keyed, pinned, on_node, grouped, handles, callbacks, async, spawners, failing, waiters, levels_mixed;
	struct sim_opts machine;
};

void load_draw(struct load *l, uint64_t seed, const struct load_limits *limits);
void load_print(FILE *out, const struct load *l);
/* "jobs=10,workers=2,..." as in SHUNT_SIM. False = not understood. */
bool limits_parse(struct load_limits *out, const char *text);
void limits_print(FILE *out, const struct load_limits *limits);

#endif
