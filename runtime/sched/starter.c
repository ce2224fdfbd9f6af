/* sched/starter.c - see starter.h. SPDX-License-Identifier: MIT */
#include "sched/starter.h"

#include <limits.h>

#include <shunt/error.h>

#include "base/futex.h"
#include "base/inject.h"
#include "base/thread.h"
#include "machine/bind.h"
#include "sched/submitter.h"
#include "sched/worker_make.h"

/* NULL = the runtime ends. */
static struct sh_pool *next_pool(struct sh_starter *s)
{
	struct sh_pool *p;

	(void)pthread_mutex_lock(&s->lock);
	while ((p = s->first) == NULL && !s->stop) {
		uint32_t asked = sh_a32_load_rlx(&s->asked); /* mo rlx: changed under the lock. */

		(void)pthread_mutex_unlock(&s->lock);
		(void)sh_futex_wait(&s->asked, asked, SH_FOREVER);
		(void)pthread_mutex_lock(&s->lock);
	}
	if (p)
		s->first = p->next_to_start;
	(void)pthread_mutex_unlock(&s->lock);
	return p;
}

/* Makes one more spare, on the cpu of the worker that it replaces, in the next slot. NULL = it cannot be had. */
static struct sh_worker *spare_launch(struct sh_pool *p, const struct sh_worker *instead_of, uint32_t slot)
{
	struct sh_worker *w = sh_worker_alloc(p, slot);
	int rc;

	if (!w)
		return NULL;
	w->cpu = instead_of->cpu;
	w->node = instead_of->node;
	w->node_slot = instead_of->node_slot;
	sh_worker_steal_order(p, w, NULL);
	p->worker[slot] = w;
	SH_POINT("pool.spare.launch");
	rc = sh_worker_launch(w); /* it counts itself (sh_worker_main) */
	if (rc != 0) {
		p->worker[slot] = NULL;
		sh_worker_free(p, w);
		return NULL;
	}
	sh_log_write(&p->rt->log, SHUNT_LOG_DEBUG, "pool %s: spare %u starts, worker %u is blocked", p->name, slot,
		     instead_of->slot);
	return w;
}

/* Makes the spare that the pool has asked for. The pool may be freed before this returns. */
static void spare_make(struct sh_pool *p)
{
	uint32_t slot = sh_a32_load_rlx(&p->slots); /* mo rlx: only the spare that this call makes raises it. */
	struct sh_worker *w = NULL;

	/* without the lock: nobody holds it while memory or a thread is asked of the system */
	if (sh_a32_load_rlx(&p->stop) == 0) /* mo rlx: a spare that begins looks again. */
		w = spare_launch(p, p->make_for, slot);
	(void)pthread_mutex_lock(&p->spare_lock);
	p->making = false;
	p->starting = w;
	if (!w)
		p->start_failures++;
	/*
	 * mo spare.3 -> spare.3@sched/spare.c: who waits looks again: the thread may have begun before it was named, or
	 * there is none.
	 */
	(void)sh_a32_add_acq_rel(&p->starts, 1);
	(void)sh_futex_wake(&p->starts, INT_MAX);
	(void)pthread_mutex_unlock(&p->spare_lock); /* the pool may be freed now */
}

static void *starter_main(void *arg)
{
	struct shunt_runtime *rt = arg;
	struct sh_pool *p;
	int rc = 0;

	(void)pthread_setname_np(pthread_self(), "shunt/starter");
	if (sh_cpus_count(&rt->starter.cpus) != 0) /* else that of a worker, if a job made the pool */
		rc = sh_topo_bind_thread_as(&rt->starter.cpus);
	if (rc != 0)
		sh_log_write(&rt->log, SHUNT_LOG_WARN,
			     "runtime %s: the thread that starts spares wanted the affinity of the thread that made the"
			     " first pool: %s",
			     rt->name, shunt_strerror(rc));
	sh_thread_enters(rt); /* the log's hook cannot destroy it from here */
	while ((p = next_pool(&rt->starter)) != NULL)
		spare_make(p);
	sh_thread_leaves(rt);
	return NULL;
}

void sh_starter_init(struct shunt_runtime *rt)
{
	(void)pthread_mutex_init(&rt->starter.lock, NULL);
}

int sh_starter_begin(const struct sh_pool *p)
{
	struct sh_starter *s = &p->rt->starter;
	int rc = SHUNT_ESYS;

	if (s->has_thread)
		return 0;
	s->cpus = p->maker_cpus;
	if (!SH_FAIL("starter.thread"))
		rc = sh_thread_start(&s->thread, starter_main, p->rt, 0, 0);
	s->has_thread = rc == 0;
	return rc;
}

static void changed(struct sh_starter *s)
{
	(void)sh_a32_add_rlx(&s->asked, 1); /* mo rlx: under the lock, as its readers. */
	(void)pthread_mutex_unlock(&s->lock);
	(void)sh_futex_wake(&s->asked, 1);
}

void sh_starter_ask(struct sh_pool *p)
{
	struct sh_starter *s = &p->rt->starter;
	struct sh_pool **last = &s->first;

	(void)pthread_mutex_lock(&s->lock);
	p->next_to_start = NULL;
	while (*last)
		last = &(*last)->next_to_start;
	*last = p;
	changed(s);
}

void sh_starter_end(struct shunt_runtime *rt, bool forked)
{
	struct sh_starter *s = &rt->starter;

	if (forked)
		return;
	if (s->has_thread) {
		(void)pthread_mutex_lock(&s->lock);
		s->stop = true;
		changed(s);
		(void)pthread_join(s->thread, NULL);
	}
	(void)pthread_mutex_destroy(&s->lock);
}
