/*
 * sim/world.h - one simulated life of a runtime: created, loaded, ended, and judged. Runs in a process of its own, because
 * the first failure ends the process. Used by sim_seeds.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <shunt/topo.h>

#include "sim/load.h"

struct world_result {
	uint64_t jobs;
	struct sim_stats stats;
	uint64_t idle_most_ns; /* longest that a job waited beside a sleeping worker */
};

/* Returns when all is well; ends the process otherwise. */
void world_run(const struct load *l, const struct shunt_topo *topo, FILE *trace, struct world_result *out);

#endif
