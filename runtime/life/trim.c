/*
 * life/trim.c - shunt_trim: gives memory of past bursts back to the system. Blocks on the control lock (rank 1).
 * SPDX-License-Identifier: MIT
 */
#include "base/error.h"
#include "life/control.h"
#include "sched/submitter.h"

int shunt_trim(struct shunt_runtime *rt, uint64_t *bytes)
{
	struct sh_control control;
	struct sh_submitter *sub;
	uint64_t n = 0;
	uint32_t i;
	int rc;

	sh_error_detail_clear();
	rc = sh_control_enter(rt, &control);
	if (rc == 0) {
		if (sh_submitter_known(rt, &sub) && sub)
			sh_slab_flush(&rt->records, &sub->records);
		n = sh_slab_trim(&rt->records, SH_SLAB_TRIM_KEEP) + sh_slab_trim(&rt->groups, SH_SLAB_TRIM_KEEP);
		sh_mem_purge(&rt->mem);
		for (i = 0; i < SHUNT_POOLS_MAX; i++)
			if (sh_runtime_pool_at(rt, i))
				sh_mem_purge(&sh_runtime_pool_at(rt, i)->mem);
		sh_control_leave(rt, &control);
	}
	if (bytes)
		*bytes = n;
	return rc;
}
