/* life/pool_stop.c - see pool_stop.h. SPDX-License-Identifier: MIT */

#include "life/pool_stop.h"

#include <time.h>

#include "sched/capacity.h"
#include "sched/push.h"
#include "sched/run.h"
#include "sched/starter.h"
#include "sched/strand.h"
#include "sched/token.h"

void sh_pool_stop(struct sh_pool *p)
{
	uint32_t n, i;

	(void)pthread_mutex_lock(&p->spare_lock); /* a spare that is being made, or begins, sees the flag */
	/* mo park.2 <> park.1@sched/idle.c: the flag, then the states are read. */
	sh_a32_store_sc(&p->stop, 1);
	/* mo slots.3 <> slots.3@sched/worker.c: a spare that is missed is counted before it sees the flag. */
	n = sh_a32_load_sc(&p->slots);
	for (i = 0; i < n; i++) {
		struct sh_worker *w = p->worker[i];
		uint32_t s = SH_W_DORMANT;

		(void)sh_worker_wake(w);
		/* mo spare.1 <> spare.1@sched/idle.c: a dormant spare leaves too. */
		(void)sh_a32_cas_sc(&w->state, &s, SH_W_RUNNING);
		(void)sh_futex_wake(&w->state, 1);
	}
	sh_starter_stop(p);
	(void)pthread_mutex_unlock(&p->spare_lock);
	sh_capacity_signal(p);
}

bool sh_pool_stopped(struct sh_pool *p)
{
	uint32_t n, i;

	if (!sh_starter_over(p)) /* the hooks of a spare are still to come */
		return false;
	n = sh_a32_load_acq(&p->slots); /* mo slots.1 <- slots.1@life/pool.c: complete workers. */
	for (i = 0; i < n; i++) {
		const struct sh_worker *w = p->worker[i];

		/* mo start.1 <- start.1@sched/worker.c: everything the thread did. */
		if (w->has_thread && sh_a32_load_acq(&w->started) == SH_STARTED_RUNNING)
			return false;
	}
	return true;
}

void sh_pool_wait_stopped(struct sh_pool *p)
{
	struct timespec pause = { 0, 100000 };

	while (!sh_pool_stopped(p))
		(void)nanosleep(&pause, NULL);
}

static uint64_t cancel_strand(struct sh_pool *p, uint32_t index)
{
	struct sh_strand *s = &p->strand[index];
	uint32_t level = 0;
	uint64_t n = 0;
	uint32_t record;

	if (!sh_strand_claim(p->rt, s))
		return 0;
	while ((record = sh_strand_next(p->rt, s)) != 0) {
		uint64_t handle = sh_record_handle(p->rt, record);

		if (sh_run_cancel(p, sh_item_record(handle, 0, 0, 0), 0))
			n++;
		else
			sh_run_dropped(p->rt, p, NULL, handle, index, false);
	}
	/*
	 * A job that was pushed meanwhile is cancelled in the next round: its token goes to a queue
	 * that this loop empties.
	 */
	if (sh_strand_release(p->rt, s, &level))
		sh_token_push(p, NULL, index, level);
	return n;
}

static uint64_t cancel_item(struct sh_pool *p, struct sh_item item, uint32_t level)
{
	return sh_item_is_token(item) ? cancel_strand(p, (uint32_t)item.arg) : sh_run_cancel(p, item, level);
}

uint64_t sh_pool_cancel_queued(struct sh_pool *p)
{
	/* mo slots.1 <- slots.1@life/pool.c: complete workers. */
	uint32_t slots = sh_a32_load_acq(&p->slots);
	uint64_t n = 0;
	struct sh_item item;
	uint32_t i, l;

	for (l = 0; l < p->levels; l++) {
		for (i = 0; i < slots; i++) {
			struct sh_worker *w = p->worker[i];

			while (sh_ring_pop(&w->ring[l], &item) || sh_ring_pop(&w->pinned[l], &item)
			       || sh_deque_take(&w->deque[l], &item))
				n += cancel_item(p, item, l);
		}
		while (sh_backlog_steal(&p->backlog[l], &item, 1) != 0)
			n += cancel_item(p, item, l);
	}
	return n;
}
