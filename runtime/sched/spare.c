/*
 * sched/spare.c - see spare.h: declared blocking, and the spares that it starts and retires.
 *
 * SPDX-License-Identifier: MIT
 */

#include "sched/spare.h"

#include <limits.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/inject.h"
#include "base/thread.h"
#include "sched/account.h"
#include "sched/push.h"
#include "sched/starter.h"
#include "sched/worker_make.h"

/* Under spare_lock: activates a dormant spare. False = there is none. */
static bool spare_wake_dormant(struct sh_pool *p)
{
	uint32_t n = sh_a32_load_acq(&p->slots); /* mo slots.1 <- slots.1@life/pool.c: complete workers. */
	uint32_t i;

	for (i = p->workers; i < n; i++) {
		uint32_t s = SH_W_DORMANT;

		if (sh_a32_load_rlx(&p->worker[i]->state) != SH_W_DORMANT) /* mo rlx: it becomes so under this lock. */
			continue;
		/*
		 * mo spare.2 <> spare.2@sched/spare.c: raised before one more spare reads it. If it were
		 * raised afterwards, another worker that ends its block meanwhile could waste its
		 * wake-up on a spare that reads a count one too low and parks again.
		 */
		(void)sh_a32_add_sc(&p->spares_active, 1);
		/* mo spare.1 <> spare.1@sched/idle.c: active, then the futex wake. */
		if (sh_a32_cas_sc(&p->worker[i]->state, &s, SH_W_RUNNING)) {
			(void)sh_futex_wake(&p->worker[i]->state, 1);
			return true;
		}
		(void)sh_a32_sub_rlx(&p->spares_active, 1); /* mo rlx: the pool stops; under the lock. */
	}
	return false;
}

/*
 * Under spare_lock: a blocked worker asks for a spare, or what has come of it. One that asked when others were blocked
 * already has one when there are as many. Spares begin one at a time, so that their slots are counted in order. 0; SHUNT_EAGAIN:
 * one is on its way; SHUNT_ELIMIT: there is none, or one that began to start since it asked could not be had.
 */
static int compensate(struct sh_pool *p, const struct sh_spare_ask *ask, const struct sh_worker *w)
{
	/* mo rlx: raised under the lock. */
	uint32_t blocked = sh_a32_load_rlx(&p->blocked);
	uint32_t want = ask->rank < blocked ? ask->rank : blocked;

	/* mo rlx: raised under the lock; a decrement meanwhile makes a spare surplus, no more. */
	if (sh_a32_load_rlx(&p->spares_active) >= want || spare_wake_dormant(p))
		return 0;
	if (p->making)
		return SHUNT_EAGAIN;
	if ((int32_t)(p->start_failures - ask->failures) > 0)
		return SHUNT_ELIMIT;
	/* mo rlx: none is being started. */
	if (sh_a32_load_rlx(&p->slots) >= p->workers + p->spares_max)
		return SHUNT_ELIMIT;
	/* mo stop.1 <- park.2@sched/push.c: sees that the pool stops. */
	if (sh_a32_load_acq(&p->stop) != 0)
		return SHUNT_ELIMIT;
	sh_starter_ask(p, w);
	return SHUNT_EAGAIN;
}

/*
 * What is queued at a blocked worker is for others now: sets the stealable hint of each level, and
 * wakes a worker.
 */
static void offer_queues(struct sh_pool *p, struct sh_worker *w, bool wake)
{
	uint32_t l;

	for (l = 0; l < p->levels; l++)
		if (sh_ring_has(&w->ring[l]) || sh_deque_has(&w->deque[l])) {
			struct sh_worker *waking;

			/* mo hint.1 <> hint.2@sched/pick.h: the jobs were pushed before. */
			(void)sh_a32_or_sc(&p->stealable, 1u << l);
			waking = wake ? sh_pool_wake_idle(p, l) : NULL;
			if (waking)
				(void)sh_worker_wake(waking);
		}
}

/* The worker is blocked. As compensate. */
static int pool_block_begin(struct sh_pool *p, struct sh_worker *w, struct sh_spare_ask *ask)
{
	int rc;

	/* mo rlx: a hint: submitters do not choose a blocked worker. */
	sh_a32_store_rlx(&w->blocked, 1);
	offer_queues(p, w, false); /* the spare's first pick is the most urgent job, not what the backlog has */
	(void)pthread_mutex_lock(&p->spare_lock);
	ask->rank = sh_a32_add_rlx(&p->blocked, 1) + 1; /* mo rlx: raised under the lock. */
	/* not that of the one that is on its way */
	ask->failures = p->start_failures + p->making;
	rc = compensate(p, ask, w);
	(void)pthread_mutex_unlock(&p->spare_lock);
	SH_POINT("pool.spare.asked");
	offer_queues(p, w, true);
	return rc;
}

/* Waits while a spare is on its way; else as compensate. */
static int pool_block_await(struct sh_pool *p, const struct sh_worker *w, const struct sh_spare_ask *ask, uint64_t deadline_ns)
{
	for (;;) {
		/* mo spare.3 <- spare.3@sched/worker.c: then the look at its thread, which says first how it began. */
		uint32_t begun = sh_a32_load_acq(&p->starts);
		uint64_t left;
		int rc;

		(void)pthread_mutex_lock(&p->spare_lock);
		rc = compensate(p, ask, w);
		(void)pthread_mutex_unlock(&p->spare_lock);
		if (rc != SHUNT_EAGAIN)
			return rc;
		left = sh_clock_left(deadline_ns);
		if (left == 0)
			return SHUNT_ETIMEDOUT;
		(void)sh_futex_wait(&p->starts, begun, left);
	}
}

static void pool_block_end(struct sh_pool *p, struct sh_worker *w)
{
	uint32_t n, i;

	sh_a32_store_rlx(&w->blocked, 0); /* mo rlx: a hint. */
	/*
	 * mo spare.2 <> spare.2@sched/spare.c: lowered before the search for a parked spare; a spare that
	 * parks reads the counts last.
	 */
	(void)sh_a32_sub_sc(&p->blocked, 1);
	/*
	 * mo slots.3 <> slots.3@sched/worker.c: a new spare is counted before it reads `blocked`, or this
	 * call wakes it.
	 */
	n = sh_a32_load_sc(&p->slots);
	/*
	 * Wake a parked spare so that it retires; otherwise it stays in the idle set and absorbs
	 * wake-ups.
	 */
	for (i = p->workers; i < n; i++)
		if (sh_worker_wake(p->worker[i]))
			return;
}

bool sh_pool_spare_surplus(const struct sh_pool *p)
{
	/*
	 * mo spare.2 <> spare.2@sched/spare.c: this spare sees the raise, or the spare that it is for reads
	 * it.
	 */
	uint32_t active = sh_a32_load_sc(&p->spares_active);

	/*
	 * mo spare.2 <> spare.2@sched/spare.c: read after PARKED: this spare sees the decrement, or is seen
	 * parked.
	 */
	return active > sh_a32_load_sc(&p->blocked);
}

bool sh_pool_spare_short(const struct sh_pool *p)
{
	/* mo rlx: who raises `blocked` without a spare looks afterwards, too. */
	return sh_a32_load_rlx(&p->spares_active) < sh_a32_load_rlx(&p->blocked);
}

bool sh_pool_spare_retire(struct sh_pool *p, struct sh_worker *w)
{
	bool retire;
	uint32_t active;

	/* mo rlx: decided again under the lock. */
	if (sh_a32_load_rlx(&p->spares_active) <= sh_a32_load_rlx(&p->blocked))
		return false;
	(void)pthread_mutex_lock(&p->spare_lock);
	active = sh_a32_load_rlx(&p->spares_active); /* mo rlx: under the lock. */
	/*
	 * mo rlx: `blocked` is raised only under this lock, so a worker that blocks later finds
	 * this spare DORMANT.
	 */
	/* mo stop.1 <- park.2@sched/push.c: sees the stop. */
	retire = active > sh_a32_load_rlx(&p->blocked) && sh_a32_load_acq(&p->stop) == 0;
	if (retire) {
		(void)sh_a32_sub_rlx(&p->spares_active, 1); /* mo rlx: lowered under the lock only. */
		/* mo spare.1 <> spare.1@sched/idle.c: only a blocker or the stopper changes it. */
		sh_a32_store_sc(&w->state, SH_W_DORMANT);
	}
	(void)pthread_mutex_unlock(&p->spare_lock);
	return retire;
}

static void block_declared(struct shunt_job_ctx *ctx)
{
	ctx->blocked = 1;
	ctx->paused = true;
	ctx->above = 0; /* no checkpoint while blocked */
}

int sh_block_ask(struct shunt_job_ctx *ctx, struct sh_spare_ask *ask)
{
	if (sh_runtime_forked(ctx->rt))
		return SHUNT_EFORKED;
	if (!ctx->worker)
		return 0; /* run inline outside of workers: no worker blocks */
	if (ctx->blocked > 0) {
		ctx->blocked++;
		return 0;
	}
	/*
	 * record the jobs that ended before this one: they must not count as unfinished while it
	 * waits
	 */
	sh_account_close_before(ctx->worker);
	block_declared(ctx);
	return pool_block_begin(ctx->worker->pool, ctx->worker, ask);
}

int sh_block_look(struct shunt_job_ctx *ctx, const struct sh_spare_ask *ask, uint64_t deadline_ns)
{
	return pool_block_await(ctx->worker->pool, ctx->worker, ask, deadline_ns);
}

int sh_block_begin(struct shunt_job_ctx *ctx, uint64_t deadline_ns)
{
	struct sh_spare_ask ask;
	int rc;

	if (!ctx)
		return SHUNT_EINVAL;
	rc = sh_block_ask(ctx, &ask);
	if (rc == SHUNT_EAGAIN)
		rc = sh_block_look(ctx, &ask, deadline_ns);
	if (rc != 0 && rc != SHUNT_EFORKED)
		shunt_block_end(ctx);
	return rc;
}

int shunt_block_begin(struct shunt_job_ctx *ctx)
{
	return sh_block_begin(ctx, SH_FOREVER);
}

void shunt_block_end(struct shunt_job_ctx *ctx)
{
	if (!ctx || !ctx->worker || ctx->blocked == 0 || sh_runtime_forked(ctx->rt))
		return;
	if (--ctx->blocked == 0)
		pool_block_end(ctx->worker->pool, ctx->worker);
}
