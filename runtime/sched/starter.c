/* sched/starter.c - see starter.h. SPDX-License-Identifier: MIT */
#include "sched/starter.h"

#include <limits.h>
#include <stdio.h>

#include <shunt/error.h>

#include "base/futex.h"
#include "base/inject.h"
#include "base/thread.h"
#include "machine/bind.h"
#include "sched/worker_make.h"

/* Under spare_lock, which it gives up while it sleeps: until a spare is wanted. False = the pool stops. */
static bool await(struct sh_pool *p)
{
	/* mo rlx: both are changed under the lock. */
	while (sh_a32_load_rlx(&p->stop) == 0) {
		uint32_t asked = sh_a32_load_rlx(&p->asked); /* mo rlx: as above. */

		if (p->making)
			return true;
		(void)pthread_mutex_unlock(&p->spare_lock);
		(void)sh_futex_wait(&p->asked, asked, SH_FOREVER);
		(void)pthread_mutex_lock(&p->spare_lock);
	}
	return false;
}

/* Makes one more spare, on the cpu of the worker that it replaces, in the next slot. False = it cannot be had. */
static bool spare_start(struct sh_pool *p, const struct sh_worker *instead_of)
{
	uint32_t slot = sh_a32_load_rlx(&p->slots); /* mo rlx: only a spare that this thread makes raises it. */
	struct sh_worker *w = sh_worker_alloc(p, slot);

	if (!w)
		return false;
	w->cpu = instead_of->cpu;
	w->node = instead_of->node;
	w->node_slot = instead_of->node_slot;
	w->instead_of = (uint16_t)instead_of->slot;
	sh_worker_steal_order(p, w, NULL);
	p->worker[slot] = w;
	SH_POINT("pool.spare.launch");
	if (sh_worker_start(w) == 0) /* it counts itself (sh_worker_main) */
		return true;
	if (w->has_thread)
		(void)pthread_join(w->thread, NULL);
	p->worker[slot] = NULL;
	sh_worker_free(p, w);
	return false;
}

/* Under spare_lock: the spare that was wanted is there, or not to be had. */
static void answer(struct sh_pool *p, bool failed)
{
	p->making = false;
	p->start_failures += failed;
	/* mo spare.3 -> spare.3@sched/spare.c: who waits looks again. */
	(void)sh_a32_add_acq_rel(&p->starts, 1);
	(void)sh_futex_wake(&p->starts, INT_MAX);
}

static void *starter_main(void *arg)
{
	struct sh_pool *p = arg;
	SH_NO_CANCEL;
	char name[16];
	bool started;
	int rc = 0;

	(void)snprintf(name, sizeof(name), "%.9s/start", p->name);
	(void)pthread_setname_np(pthread_self(), name);
	if (sh_cpus_count(&p->maker_cpus) != 0) /* else that of a worker, if a job made the pool: slower, no more */
		rc = sh_topo_bind_thread_as(&p->maker_cpus);
	(void)rc;
	(void)pthread_mutex_lock(&p->spare_lock);
	while (await(p)) {
		(void)pthread_mutex_unlock(&p->spare_lock); /* nobody holds it while something is asked of the system */
		started = spare_start(p, p->make_for);
		(void)pthread_mutex_lock(&p->spare_lock);
		answer(p, !started);
	}
	answer(p, false);
	p->starter_over = true;
	(void)pthread_mutex_unlock(&p->spare_lock);
	return NULL;
}

int sh_starter_begin(struct sh_pool *p)
{
	int rc = SHUNT_ESYS;

	if (!SH_FAIL("starter.thread"))
		rc = sh_thread_start(&p->starter, starter_main, p, 0, 0);
	p->has_starter = rc == 0;
	return rc;
}

static void wake(struct sh_pool *p)
{
	(void)sh_a32_add_rlx(&p->asked, 1); /* mo rlx: under the lock, as its reader. */
	(void)sh_futex_wake(&p->asked, 1);
}

void sh_starter_ask(struct sh_pool *p, const struct sh_worker *w)
{
	p->making = true;
	p->make_for = w;
	wake(p);
}

void sh_starter_stop(struct sh_pool *p)
{
	wake(p);
}

bool sh_starter_over(struct sh_pool *p)
{
	bool over;

	if (!p->has_starter)
		return true;
	(void)pthread_mutex_lock(&p->spare_lock);
	over = p->starter_over;
	(void)pthread_mutex_unlock(&p->spare_lock);
	return over;
}

void sh_starter_join(struct sh_pool *p)
{
	if (p->has_starter)
		(void)pthread_join(p->starter, NULL);
}
