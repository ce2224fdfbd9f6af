/*
 * machine/plan.h - which cpu each worker runs on, and in which order it steals from the others. A
 * plan is plain data, made when a pool starts or is scaled, and immutable after that. It does not
 * refer to the topology. Called by the runtime and by `shunt topo` through shunt/topo.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_PINPLAN_H
#define SH_CORE_PINPLAN_H

#include "machine/topo.h"

struct shunt_plan {
	struct shunt_plan_worker *workers; /* sync: const */
	uint32_t *steal;                   /* sync: const; workers_n rows of workers_n - 1 */
	uint32_t workers_n;                /* sync: const */
	char note[160];                    /* sync: const */
};

#endif
