/*
 * life/trim.c - shunt_trim: gives memory of past bursts back to the system. Blocks on the control lock (rank 1).
 * SPDX-License-Identifier: MIT
 */
#include "base/error.h"
#include "life/control.h"
#include "sched/submitter.h"
#include "sched/trim.h"

int shunt_trim(struct shunt_runtime *rt, uint64_t *bytes)
{
	struct sh_control control;
	struct sh_submitter *sub;
	uint64_t n = 0;
	uint32_t i;
	int rc;

	sh_error_detail_clear();
	if (bytes)
		*bytes = 0;
	rc = sh_control_enter(rt, &control);
	if (rc == 0) {
		if (sh_submitter_known(rt, &sub) && sub)
			sh_slab_flush(&rt->records, &sub->records);
		rc = sh_trim(rt, NULL, NULL, &n);
		sh_mem_purge(&rt->mem);
		for (i = 0; i < SHUNT_POOLS_MAX; i++)
			if (sh_runtime_pool_at(rt, i))
				sh_mem_purge(&sh_runtime_pool_at(rt, i)->mem);
		sh_control_leave(rt, &control);
	}
	if (rc == SHUNT_EBUSY)
		return sh_error_set(rc, "a worker trims just now; want another time, or runtime.trim_after never");
	if (rc == 0 && bytes)
		*bytes = n;
	return rc;
}
