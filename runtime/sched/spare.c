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
#include "sched/worker_make.h"

#define LINES_BYTES 1024u /* of what is logged under spare_lock */

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

/* Under spare_lock: the spare that is being started is no longer, if its thread has begun or given up. */
static void start_settle(struct sh_pool *p)
{
	struct sh_worker *w = p->starting;
	/* mo start.1 <- start.1@sched/worker.c: what a thread that gave up did. */
	uint32_t s = w ? sh_a32_load_acq(&w->started) : 0;

	if (s == 0)
		return;
	p->starting = NULL;
	if (p->start_said)
		*p->start_said = s == SH_STARTED_FAILED ? SHUNT_ELIMIT : 0;
	p->start_said = NULL;
	if (s != SH_STARTED_FAILED)
		return;
	(void)pthread_join(w->thread, NULL);
	p->worker[w->slot] = NULL;
	sh_worker_free(p, w);
}

/*
 * Makes one more spare, on the cpu of the worker that it replaces, in the next slot. It is being started then. Without
 * the lock, which nobody holds while memory or a thread is asked of the system; `making` keeps others from the slot.
 */
static int spare_launch(struct sh_pool *p, const struct sh_worker *instead_of, uint32_t slot, struct sh_worker **out)
{
	struct sh_worker *w = sh_worker_alloc(p, slot);
	int rc;

	if (!w)
		return SHUNT_ENOMEM;
	w->cpu = instead_of->cpu;
	w->node = instead_of->node;
	w->node_slot = instead_of->node_slot;
	sh_worker_steal_order(p, w, NULL);
	p->worker[slot] = w;
	rc = sh_worker_launch(w); /* it counts itself (sh_worker_main) */
	SH_POINT("pool.spare.launched");
	if (rc != 0) {
		p->worker[slot] = NULL;
		sh_worker_free(p, w);
		return rc;
	}
	*out = w;
	sh_log_write(&p->rt->log, SHUNT_LOG_DEBUG, "pool %s: spare %u starts, worker %u is blocked", p->name, slot,
		     instead_of->slot);
	return 0;
}

/*
 * Under spare_lock, which it gives up meanwhile. SHUNT_EAGAIN: a spare is being started, and says to *said how it
 * began. SHUNT_EBUSY: the limit is shorter than the last one took to make.
 */
static int spare_make(struct sh_pool *p, const struct sh_worker *instead_of, uint64_t deadline_ns, int *said)
{
	uint32_t slot = sh_a32_load_rlx(&p->slots); /* mo rlx: none is being started. */
	struct sh_worker *w = NULL;
	uint64_t begin_ns;
	int rc;

	/* mo stop.1 <- park.2@sched/push.c: sees that the pool stops. */
	if (slot >= p->workers + p->spares_max || sh_a32_load_acq(&p->stop) != 0)
		return SHUNT_ELIMIT;
	if (sh_clock_left(deadline_ns) < p->make_ns) {
		p->make_ns /= 2; /* the next ones try again: it may have been a bad moment */
		return SHUNT_EBUSY;
	}
	p->making = true;
	(void)pthread_mutex_unlock(&p->spare_lock);
	begin_ns = sh_clock_monotonic_ns();
	rc = spare_launch(p, instead_of, slot, &w);
	(void)pthread_mutex_lock(&p->spare_lock);
	p->making = false;
	if (rc == 0)
		p->make_ns = sh_clock_monotonic_ns() - begin_ns;
	p->starting = w;
	p->start_said = rc == 0 ? said : NULL;
	/*
	 * mo spare.3 -> spare.3@sched/spare.c: who waits looks again: the thread may have begun before it was named, or
	 * there is none.
	 */
	(void)sh_a32_add_acq_rel(&p->starts, 1);
	(void)sh_futex_wake(&p->starts, INT_MAX);
	return rc == 0 ? SHUNT_EAGAIN : rc;
}

/*
 * Under spare_lock, which it gives up while it waits for the system or for a thread to begin: one active spare for each
 * blocked worker. A spare is active once it has begun; they begin one at a time, so that their slots are counted in
 * order. 0; SHUNT_ELIMIT, SHUNT_ENOMEM, SHUNT_ESYS: there is none for this worker; SHUNT_ETIMEDOUT: one is being
 * started, for the next worker that blocks; SHUNT_EBUSY: as spare_make.
 */
static int compensate(struct sh_pool *p, const struct sh_worker *w, uint64_t deadline_ns)
{
	int said = SHUNT_EAGAIN; /* of the start that this call made */
	int rc = SHUNT_EAGAIN;

	while (rc == SHUNT_EAGAIN) {
		/* mo spare.3 <- spare.3@sched/worker.c: then the look at its thread, which says first how it began. */
		uint32_t begun = sh_a32_load_acq(&p->starts);
		uint64_t left;

		start_settle(p);
		/* mo rlx: raised under the lock; a decrement meanwhile makes a spare surplus, no more. */
		if (sh_a32_load_rlx(&p->spares_active) >= sh_a32_load_rlx(&p->blocked) || spare_wake_dormant(p)) {
			rc = 0;
		} else if (said != SHUNT_EAGAIN) {
			rc = said;
		} else if (!p->starting && !p->making) {
			rc = spare_make(p, w, deadline_ns, &said);
		} else if ((left = sh_clock_left(deadline_ns)) == 0) {
			rc = SHUNT_ETIMEDOUT;
		} else {
			(void)pthread_mutex_unlock(&p->spare_lock);
			(void)sh_futex_wait(&p->starts, begun, left);
			(void)pthread_mutex_lock(&p->spare_lock);
		}
	}
	if (p->start_said == &said)
		p->start_said = NULL;
	return rc;
}

bool sh_pool_spare_starting(struct sh_pool *p)
{
	bool starting;

	(void)pthread_mutex_lock(&p->spare_lock);
	start_settle(p);
	starting = p->starting != NULL || p->making;
	(void)pthread_mutex_unlock(&p->spare_lock);
	return starting;
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

static int pool_block_begin(struct sh_pool *p, struct sh_worker *w, uint64_t deadline_ns)
{
	struct sh_log_held lines;
	char text[LINES_BYTES];
	SH_NO_CANCEL; /* a join, under a lock */
	int rc;

	sh_log_hold(&lines, text, sizeof(text));
	/* mo rlx: a hint: submitters do not choose a blocked worker. */
	sh_a32_store_rlx(&w->blocked, 1);
	offer_queues(p, w, false); /* the spare's first pick is the most urgent job, not what the backlog has */
	(void)pthread_mutex_lock(&p->spare_lock);
	(void)sh_a32_add_rlx(&p->blocked, 1); /* mo rlx: raised under the lock. */
	rc = compensate(p, w, deadline_ns);
	(void)pthread_mutex_unlock(&p->spare_lock);
	SH_POINT("pool.spare.started");
	offer_queues(p, w, true);
	sh_log_pass(&lines);
	return rc == 0 || rc == SHUNT_ETIMEDOUT || rc == SHUNT_EBUSY ? rc : SHUNT_ELIMIT;
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

int sh_block_begin(struct shunt_job_ctx *ctx, uint64_t deadline_ns)
{
	int rc;

	if (!ctx)
		return SHUNT_EINVAL;
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
	rc = pool_block_begin(ctx->worker->pool, ctx->worker, deadline_ns);
	if (rc != 0) {
		pool_block_end(ctx->worker->pool, ctx->worker);
		ctx->paused = true;
		return rc;
	}
	block_declared(ctx);
	return 0;
}

void sh_block_alone(struct shunt_job_ctx *ctx)
{
	struct sh_worker *w = ctx->worker;
	SH_NO_CANCEL; /* a lock */

	/* mo rlx: a hint: submitters do not choose a blocked worker. */
	sh_a32_store_rlx(&w->blocked, 1);
	(void)pthread_mutex_lock(&w->pool->spare_lock);
	(void)sh_a32_add_rlx(&w->pool->blocked, 1); /* mo rlx: raised under the lock. */
	(void)pthread_mutex_unlock(&w->pool->spare_lock);
	offer_queues(w->pool, w, true);
	block_declared(ctx);
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
