/*
 * core/worker_pin.c - a worker's thread binds itself to its cpu and reads back what the kernel really did; its sleeps end on time. Called by the
 * worker before its loop.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "core/runtime.h"
#include "core/topo_bind.h"

void sh_worker_pin(struct sh_worker *w)
{
	char mask[256];
	int seen = -1;
	int rc = 0;

	(void)prctl(PR_SET_TIMERSLACK, 1); /* ns: a worker that is to wake up just before its job is there then */
	if (w->cpu >= 0)
		rc = sh_topo_bind_thread(w->pool->rt->topo, w->cpu);
	/* mo rlx: statistics of this thread. */
	sh_a32_store_rlx(&w->pin_error, (uint32_t)-rc);
	if (sh_topo_readback(mask, sizeof(mask), &seen) == 0) {
		char want[16];

		(void)snprintf(want, sizeof(want), "%d", w->cpu);
		sh_a32_store_rlx(&w->pin_verified, w->cpu >= 0 && seen == w->cpu && strcmp(mask, want) == 0);
		sh_a32_store_rlx(&w->cpu_seen, (uint32_t)seen);
	}
	if (w->cpu >= 0 && (rc != 0 || sh_a32_load_rlx(&w->pin_verified) == 0)) /* mo rlx: own store. */
		sh_log_write(&w->pool->rt->log, SHUNT_LOG_WARN, "pool %s: worker %u: wanted cpu %d, the kernel's mask is %s: %s",
			     w->pool->name, w->slot, w->cpu, mask, shunt_strerror(rc));
}
