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
	char note[256];                    /* sync: const */
};

/*
 * shunt_plan_create. With `count` the workers are counted as bound (pins.h), and of the cpus that the policy allows
 * those with the fewest bound workers of this process are taken, in the order of the policy; explicit keeps its cpus.
 */
int sh_plan_create(const struct shunt_topo *t, const struct shunt_plan_opts *opts, bool count,
		   struct shunt_plan **out) SH_MUST_USE;
/* Takes back what a plan with `count` counted; NULL is fine. Once, for a plan whose workers never started. */
void sh_plan_uncount(const struct shunt_plan *plan);

#endif
