/*
 * sched/pin.c - see pin.h: a worker's thread binds itself to its cpu, sets its nice value, reads back
 * what the kernel says, and asks for exact timers. A spare's thread takes back first what it inherited.
 *
 * SPDX-License-Identifier: MIT
 */
#include "sched/pin.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/inject.h"
#include "machine/bind.h"
#include "sched/world.h"

void sh_pool_maker_look(struct sh_pool *p)
{
	struct sh_thread_seen seen;
	int rc;

	if (sh_thread.worker) { /* made in a job: what counts is who made that job's pool */
		p->maker_cpus = sh_thread.worker->pool->maker_cpus;
		p->maker_nice = sh_thread.worker->pool->maker_nice;
		p->made_in_job = true;
		return;
	}
	rc = sh_cpus_affinity(&p->maker_cpus, 0);
	sh_thread_look(&seen);
	p->maker_nice = seen.nice;
	if (rc != 0)
		sh_log_write(&p->rt->log, SHUNT_LOG_WARN,
			     "pool %s: this thread's affinity is unknown; spares get that of the job that blocks: %s",
			     p->name, shunt_strerror(rc));
}

void sh_worker_attributes(struct sh_worker *w)
{
	const struct sh_pool *p = w->pool;
	int32_t nice = p->opts.nice ? p->opts.nice : p->maker_nice;
	struct sh_thread_seen seen;

	sh_thread_look(&seen);
	w->stack_low = seen.stack_low;
	w->stack_bytes = seen.stack_bytes;
	if (w->replaces) { /* the same attributes as the thread before; snapshots read what was seen of that one */
		if (sh_thread_nice(nice) != 0)
			sh_log_write(&p->rt->log, SHUNT_LOG_WARN, "pool %s: worker %u: wanted nice %d again",
				     p->name, w->slot, nice);
		return;
	}
	w->seen = seen;
	/* A worker has its maker's already; a spare has that of the job that blocked. */
	if (p->opts.nice != 0 || w->seen.nice != nice) {
		w->nice_error = sh_thread_nice(nice);
		sh_thread_look(&w->seen);
	}
	if (w->nice_error != 0)
		sh_log_write(&w->pool->rt->log, SHUNT_LOG_WARN, "pool %s: worker %u: wanted nice %d, it is %d: %s",
			     w->pool->name, w->slot, nice, w->seen.nice, shunt_strerror(w->nice_error));
}

/*
 * A spare is made by a worker that is bound, or whose job has changed its own affinity; so is the thread that replaces
 * one, and each worker of a pool that a job makes. It gets that of the pool's maker before it is bound.
 */
static int maker_affinity(struct sh_worker *w)
{
	int rc = sh_cpus_count(&w->pool->maker_cpus) == 0 ? 0 : sh_topo_bind_thread_as(&w->pool->maker_cpus);

	if (rc != 0)
		sh_log_write(&w->pool->rt->log, SHUNT_LOG_WARN,
			     "pool %s: worker %u: wanted the affinity of the thread that made the pool: %s",
			     w->pool->name, w->slot, shunt_strerror(rc));
	return rc;
}

void sh_worker_pin(struct sh_worker *w)
{
	const struct shunt_topo *topo = w->pool->rt->topo;
	char mask[256];
	int seen = -1;
	int rc = 0;

	/* mo rlx: read by snapshots. */
	sh_a32_store_rlx(&w->tid, (uint32_t)gettid());
	(void)prctl(PR_SET_TIMERSLACK, 1); /* ns: a timed wake-up must not be late (sleep.c) */
	if (w->spare || w->replaces || w->pool->made_in_job)
		rc = maker_affinity(w);
	/* Not pinned: as its maker was, or wider, if that thread's mask is not what counts. */
	if (w->cpu >= 0 || topo->whole)
		rc = sh_topo_bind_thread(topo, w->cpu);
	/* mo rlx: statistics of this thread. */
	sh_a32_store_rlx(&w->pin_error, (uint32_t)-rc);
	if (sh_topo_readback(mask, sizeof(mask), &seen) == 0) {
		char want[16];

		(void)snprintf(want, sizeof(want), "%d", w->cpu);
		sh_a32_store_rlx(&w->pin_verified, w->cpu >= 0 && seen == w->cpu && strcmp(mask, want) == 0);
		sh_a32_store_rlx(&w->cpu_seen, (uint32_t)seen);
	}
	/* mo rlx: own store. */
	if (w->cpu >= 0 && (rc != 0 || sh_a32_load_rlx(&w->pin_verified) == 0))
		sh_log_write(&w->pool->rt->log, SHUNT_LOG_WARN, "pool %s: worker %u: wanted cpu %d, the kernel's mask is %s: %s",
			     w->pool->name, w->slot, w->cpu, mask, shunt_strerror(rc));
	else if (topo->whole && rc != 0)
		sh_log_write(&w->pool->rt->log, SHUNT_LOG_WARN,
			     "pool %s: worker %u: wanted all cpus that the machine grants, the kernel's mask is %s: %s",
			     w->pool->name, w->slot, mask, shunt_strerror(rc));
}

int shunt_thread_unpin(struct shunt_runtime *rt)
{
	int rc;

	if (!rt)
		return SHUNT_EINVAL;
	rc = sh_topo_bind_thread(rt->topo, -1);
	/* 0 means the thread's own default, which a thread that a worker made has from it */
	if (SH_FAIL("thread.unpin") || prctl(PR_SET_TIMERSLACK, (unsigned long)rt->timer_slack_ns) != 0)
		rc = rc == 0 ? SHUNT_ESYS : rc;
	return rc;
}

uint32_t sh_thread_slack_ns(void)
{
	int ns;

	if (sh_thread.worker)
		return sh_thread.worker->pool->rt->timer_slack_ns;
	ns = SH_FAIL("thread.slack") ? -1 : prctl(PR_GET_TIMERSLACK);
	return ns > 0 ? (uint32_t)ns : 50000; /* the kernel's default */
}
