/*
 * sched/credit.h - the bound jobs_max: how many jobs may be queued in a runtime. Each queued job has
 * one credit, taken at submit and given back when a thread takes the job. Called by submit and by
 * those who take jobs.
 *
 * Algorithm: one counter of free credits. A thread with a submitter keeps a few, so that it touches
 * the counter once in SH_CREDIT_CACHE jobs. A small runtime (jobs_max) keeps fewer or none.
 * A job that is cancelled, or run by its waiter, leaves its item behind in the queue. It gives its
 * credit back all the same while fewer than `left_max` such items are counted; the thread that finds
 * an item without a job takes one off the count, and if that is 0 gives a credit back. So items are
 * alike: credits and counted items together are as many as items. Who ends a job out of turn counts
 * it before it claims the job (sh_credit_leave), and takes it off if another was first.
 * Calls that may run together: all; a `sub` only by its own thread.
 * Linearization: the CAS or the addition on the counter. Progress: lock-free.
 * Bounds: a thread that stops withholds at most twice SH_CREDIT_CACHE credits, and all that
 * are idle together 1/4 of jobs_max.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_CREDIT_H
#define SH_SCHED_CREDIT_H

#include "sched/world.h"

#define SH_CREDIT_CACHE 32u

/* Takes up to n credits from the counter and the cache; returns how many. */
uint32_t sh_credit_take_slow(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t n);
void sh_credit_give_slow(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t n);
/* Gives back what the cache holds (for an idle or ending thread). */
void sh_credit_flush(struct shunt_runtime *rt, struct sh_submitter *sub);
/* How many each of `threads` threads of a runtime with this jobs_max keeps. */
uint32_t sh_credit_cache(uint32_t jobs_max, uint32_t threads);

/* Before a queued job is ended or run though its item stays queued. True = counted: its credit may be given back. */
bool sh_credit_leave(struct shunt_runtime *rt);
/* A queue had an item whose job had left it; or the job that sh_credit_leave was for was another thread's. */
void sh_credit_left(struct shunt_runtime *rt, struct sh_submitter *sub);

/* Takes n credits; fewer: no more are free. */
static inline uint32_t sh_credit_take(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t n)
{
	if (sh_likely(sub && sub->credits >= n)) {
		sub->credits -= n;
		return n;
	}
	return sh_credit_take_slow(rt, sub, n);
}

static inline void sh_credit_give(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t n)
{
	if (sh_likely(sub && sub->credits + n <= 2 * rt->credit_cache)) {
		sub->credits += n;
		return;
	}
	sh_credit_give_slow(rt, sub, n);
}

#endif
