/*
 * sched/account.h - the statistics of jobs that ended, and what a worker learns from them. Called by
 * run.c. Jobs without a record have no observer of their completion, so the statistics of short ones
 * are batched: one clock read and one counter update for up to SH_BATCH_MAX jobs. A job with a
 * record, and one that runs nested in another, is a batch of its own.
 *
 * - A batch is of one type and level, and of at most SH_BATCH_MAX jobs or SH_BATCH_NS of learned
 *   time.
 * - It goes on while the type's learned time is below SH_SHORT_NS and the worker sees another job.
 * - It is flushed before the worker does anything else: another kind of job, a nested one, a
 *   declared block, a search that finds nothing. Until then its jobs count as unfinished.
 * - Measured is the time of the batch. The start of a job within it is estimated from the learned
 *   time; its queue delay, run time and total are computed from equal shares of the measured time
 *   (account.c).
 *
 * Calls that may run together: each worker makes its own, on its own fields; snapshots read the
 * counters meanwhile; sh_account_outside by any thread. Wait-free, but for the release of
 * backpressure and the system call that maps a new cell.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_ACCOUNT_H
#define SH_SCHED_ACCOUNT_H

#include "base/clock.h"
#include "sched/capacity.h"
#include "sched/hand.h"
#include "sched/part.h"
#include "sched/prompt.h"

/*
 * Records the batch, which is not empty: its last job ended at end_ns, failed or not. `nested` is
 * that job's context if others may have run inside it (the batch is that job alone then), else
 * NULL. Returns how many jobs; they do not count as finished yet.
 */
uint32_t sh_account_batch(struct sh_worker *w, uint64_t end_ns, bool failed, const struct shunt_job_ctx *nested);
/* The same; and they are finished. */
void sh_account_flush(struct sh_worker *w, uint64_t end_ns, bool failed, const struct shunt_job_ctx *nested);
/* A job that never ran, recorded by the worker that took it. */
void sh_account_cancelled(struct sh_worker *w, const struct sh_end *e);
/* A job that no worker records: cancelled, run inline elsewhere, completed by another thread. */
void sh_account_outside(const struct sh_end *e);
/* A job that is expected to take long starts: strategies learn of it. */
void sh_account_long_job(struct sh_worker *w, uint64_t start_ns, uint64_t expected_ns);

/* The worker found no job. */
static inline void sh_account_idle(struct sh_worker *w, uint64_t now_ns)
{
	if (sh_a64_load_rlx(&w->free_at_ns) & SH_WORKER_BUSY)                 /* mo rlx: own value. */
		sh_a64_store_rlx(&w->free_at_ns, now_ns & ~SH_WORKER_BUSY); /* mo rlx: an estimate. */
}

/* The last step of n jobs: nothing of them is touched any more, nor their pool. */
static inline void sh_account_finished(struct sh_worker *w, uint32_t type, uint32_t n)
{
	/* mo rlx: a missed waiter looks again within a millisecond. */
	if (sh_unlikely(sh_a32_load_rlx(&w->pool->capacity_waiters) != 0))
		sh_capacity_release(w, w->pool);
	/*
	 * mo count.1 -> count.1@life/drain.c: all about the jobs, and the last access to the pool, before
	 * they are counted.
	 */
	sh_a64_store_rel(&w->finished[type], sh_a64_load_rlx(&w->finished[type]) + n);
}

/* Is the learned time of a type in this worker so short that its jobs are batched? */
static inline bool sh_account_short(const struct sh_worker *w, uint32_t type)
{
	return w->learned[type].mean - 1u < SH_SHORT_NS - 1u; /* 0 = nothing learned yet */
}

/*
 * Owner: may a wait that ends in limit_ns run a job of this type? By the longest of what this worker and all of
 * them have learned of it; before that by its expected_ns, and where that was not said, SH_UNKNOWN_NS. The type may
 * have gone.
 */
bool sh_account_in_time(const struct sh_worker *w, uint32_t type, uint64_t limit_ns);

/* Flushes the batch before the worker does anything but run the next job of its kind. */
static inline void sh_account_close(struct sh_worker *w)
{
	if (sh_unlikely(w->batch.n != 0)) {
		w->now_ns = sh_clock_ns();
		sh_account_flush(w, w->now_ns, false, NULL);
	}
}

/*
 * Flushes the batch and releases the hand before a job with a record runs, perhaps inside another,
 * and before a job waits: what ended before it is recorded, and what waits for it may go elsewhere.
 */
static inline void sh_account_close_before(struct sh_worker *w)
{
	sh_hand_release(w);
	if (sh_unlikely(w->batch.n != 0)) {
		if (w->running)
			sh_account_flush(w, w->running->start_ns, false, NULL);
		else
			/* reads the clock: the next job does not start at an estimated time */
			sh_account_close(w);
	}
	sh_prompt_end(w); /* last: the flush may set it */
}

#endif
