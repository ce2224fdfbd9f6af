/*
 * sched/push.h - enqueue and wake-up: the last step of a submit. Called by submit.c and by the
 * worker's loop.
 *
 * Algorithm: push, then the wake decision. No wake-up is needed if the target worker is running and
 * is the pool's only one, or is prompt (prompt.h), or is spinning and not claimed by another push.
 * Otherwise set the pool's stealable hint and wake one parked worker (push.c); that worker wakes the
 * next one if work is left (sh_propagate).
 * Calls that may run together: all, from any thread; a `sub` only by its own thread.
 * Linearization: a push - as the ring's (ring.h). A wake-up - the CAS of the state from PARKED to
 * WAKING. A pusher pushes, then reads state and idle bits; a sleeper stores both, then scans. So
 * one of them sees the other (park.1/park.2, park.3).
 * Progress: a push as the ring's; the wake decision is lock-free. Nothing blocks. A wake-up is one
 * system call, of the thread that moves the worker out of PARKED or of one that repeats its wake.
 * Bounds: two looks at each idle word and each worker in it; at most three wake-ups a push.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_PUSH_H
#define SH_SCHED_PUSH_H

#include "sched/prompt.h"
#include "sched/world.h"

/*
 * A job at `level` became visible to thieves: wakes one parked worker that may take it. NULL = one
 * was woken, or none is parked. Else a worker whose wake is under way: the caller may repeat it, in
 * case its waker stopped before the futex call.
 */
struct sh_worker *sh_pool_wake_idle(struct sh_pool *p, uint32_t level);
/*
 * Wakes w if it is parked; repeats the wake if it is WAKING. True = this call moved it out of
 * PARKED.
 */
bool sh_worker_wake(struct sh_worker *w);
/* Slow path of sh_push_wake_idle: a worker is parked. */
void sh_push_wake(struct sh_submitter *sub, struct sh_pool *p, uint32_t n, uint32_t level);
/*
 * Slow path of sh_push_notify: wakes w if it is parked, and another worker unless w takes all n jobs
 * in time.
 */
void sh_push_notify_others(struct sh_submitter *sub, struct sh_pool *p, struct sh_worker *w, uint32_t n, uint32_t level);
/*
 * Pushes n items to the pool's backlog, in order: any worker may take them. Sets the hint and
 * wakes. Its store has room for all jobs and tokens that there may be.
 */
void sh_push_backlog(struct sh_submitter *sub, struct sh_pool *p, const struct sh_item *items, uint32_t n, uint32_t level);
/*
 * May this submitter repeat another thread's wake of w? Once for each of its sleeps: a burst of
 * jobs must not become a burst of system calls.
 */
bool sh_push_may_rewake(struct sh_submitter *sub, const struct sh_worker *w);

/*
 * n jobs of `level` are visible to thieves: wakes a parked worker that may take them. It wakes
 * others if many are left.
 */
static inline void sh_push_wake_idle(struct sh_submitter *sub, struct sh_pool *p, uint32_t n, uint32_t level)
{
	/*
	 * mo park.3 <> park.3@sched/idle.c: pushed, then the bits are read: we see the idle bit, or the
	 * sleeper the job.
	 */
	uint64_t asleep = sh_a64_load_sc(&p->idle[0]) & p->can[level][0];

	for (uint32_t i = 1; sh_unlikely(i < p->words); i++)
		/* mo park.3 <> park.3@sched/idle.c: as above. */
		asleep |= sh_a64_load_sc(&p->idle[i]) & p->can[level][i];
	if (sh_unlikely(asleep != 0))
		sh_push_wake(sub, p, n, level);
}

/*
 * Claims the spinner of `slot`: it has its look, and needs no wake-up. One claim per advertisement, so
 * that a spinner that loses its cpu delays one push: the next one makes its ring stealable.
 */
static inline bool sh_push_claim_spinner(struct sh_pool *p, uint32_t slot)
{
	sh_a64 *word = &p->spinning[slot / 64u];
	uint64_t bit = UINT64_C(1) << (slot % 64u);

	/* mo rlx: a look ahead; the claim decides. */
	if (!(sh_a64_load_rlx(word) & bit))
		return false;
	/*
	 * mo spin.1 <> spin.1@sched/idle.c: pushed, then claimed; the spinner clears its bit before it
	 * looks for surplus work.
	 */
	return (sh_a64_and_sc(word, ~bit) & bit) != 0;
}

static inline void sh_push_stealable(struct sh_pool *p, uint32_t level)
{
	/*
	 * mo hint.1 <> hint.2@sched/pick.h: pushed before; a clearer looks at the queues again after it
	 * cleared.
	 */
	if (!(sh_a32_load_sc(&p->stealable) >> level & 1u))
		(void)sh_a32_or_sc(&p->stealable, 1u << level); /* mo hint.1 <> hint.2@sched/pick.h: as above. */
}

/*
 * Sets the ring's hint, for a checkpoint of the job that w runs. It is nearly always set: only
 * checkpoints clear it.
 */
static inline void sh_push_hint(struct sh_worker *w, uint32_t level)
{
	/*
	 * mo hint.1 <> hint.2@sched/pick.h: pushed before; a clearer looks at the queues again after it
	 * cleared.
	 */
	if (!(sh_a32_load_sc(&w->ring_bits) >> level & 1u))
		/* mo hint.1 <> hint.2@sched/pick.h: as above. */
		(void)sh_a32_or_sc(&w->ring_bits, 1u << level);
}

/* The wake decision for n jobs in w's ring. Fast path: w runs, and is alone, prompt, or spins. */
static inline void sh_push_notify(struct sh_submitter *sub, struct sh_pool *p, struct sh_worker *w, uint32_t n, uint32_t level)
{
	/*
	 * mo park.2 <> park.1@sched/idle.c: published, then the state is read; slots.2 <> slots.2@sched/worker.c: as
	 * in sh_push_notify_others.
	 */
	if (sh_likely(sh_a32_load_sc(&w->state) == SH_W_RUNNING)
	    /* mo slots.2 <> slots.2@sched/worker.c: as above. */
	    && (sh_a32_load_sc(&p->slots) == 1 || sh_prompt_serves(w) || sh_push_claim_spinner(p, w->slot)))
		return;
	sh_push_notify_others(sub, p, w, n, level);
}

/* While a level has a backlog, new jobs go behind it: the order of each submitter is kept. */
static inline bool sh_push_backlogged(const struct sh_pool *p, uint32_t level)
{
	/* mo rlx: own pushes are seen in order. */
	return (sh_a32_load_rlx(&p->backlog_bits) >> level & 1u) != 0;
}

/* Pushes n items to the ring of worker `slot`, in order. What does not fit goes to the backlog. */
static inline void sh_push_ring(struct sh_submitter *sub, struct sh_pool *p, uint32_t slot, const struct sh_item *items, uint32_t n,
				uint32_t level)
{
	struct sh_worker *w = p->worker[slot];
	uint32_t i = 0;

	if (sh_likely(!sh_push_backlogged(p, level))) {
		i = n == 1 ? sh_ring_push(&w->ring[level], items[0]) : sh_ring_push_many(&w->ring[level], items, n);
		if (sh_likely(i > 0)) {
			sh_push_hint(w, level);
			sh_push_notify(sub, p, w, i, level);
		}
		if (sh_likely(i == n))
			return;
		/* full: its worker may have stopped while it seemed to spin, with jobs that were left to it */
		sh_push_stealable(p, level);
	}
	sh_push_backlog(sub, p, items + i, n - i, level);
}

#endif
