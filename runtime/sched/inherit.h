/*
 * sched/inherit.h - priority inheritance: what a job waits for does not stand behind jobs that are less urgent
 * than the waiter. Called by the waits of jobs and groups before they sleep; read by picks and checkpoints.
 *
 * Algorithm: jobs of a level wait in queues of their own, in order, so what is in the way of an awaited job
 * are the jobs before it in its queue: the whole level is boosted to the waiter's, in the pools where jobs
 * that it waits for are queued. An awaited job that runs already is boosted at its checkpoints: only jobs
 * above the waiter preempt it. What the job of a boosted level waits for inherits the boost, too, within the
 * pool. Each change computes the pool's words from the list of boosts, under a lock.
 * - A boosted level keeps its own turns of the slot table, and so do all others: no bound of a wait changes.
 * - The boost of a job that was queued when its waiter went to sleep lasts until that is awake, also while the
 *   job runs.
 * - A job with a key waits behind others of its strand: their levels are boosted.
 * Calls that may run together: all; a struct sh_boosts by its own thread.
 * Progress: add, and end if something was added, block on a lock of the process (rank 3), for a walk over all
 * boosts.
 * Bounds: a walk is as long as the boosts of the process times the levels.
 * Source: Sha, Rajkumar, Lehoczky, Priority Inheritance Protocols, IEEE Transactions on Computers 39(9), 1990.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_INHERIT_H
#define SH_SCHED_INHERIT_H

#include "sched/world.h"

/* In one pool. */
struct sh_boost {
	struct shunt_runtime *rt;
	uint32_t pool;                 /* id */
	uint32_t level;                /* of the waiter */
	uint32_t queued, running;      /* levels of jobs that wait, that run */
	struct sh_boost *next, **link; /* sync: the list's lock */
};

/* What a waiter boosts. In its own frame. */
struct sh_boosts {
	struct shunt_runtime *rt; /* NULL = it boosts nothing */
	uint32_t level;
	uint32_t n;
	struct sh_boost boost[SH_GROUP_POOLS];
};

/* The thread is about to wait: it boosts to the most urgent level of the jobs of rt on its stack, if there is any. */
void sh_boosts_begin(struct sh_boosts *l, struct shunt_runtime *rt);
/*
 * It waits for jobs of these levels in a pool of rt, by its index, and with `strand` (SHUNT_ANY = none) for those of
 * that strand. May be called again and again: only what is new costs more than a look. More than SH_GROUP_POOLS
 * pools: those beyond get nothing.
 */
void sh_boost_add(struct sh_boosts *l, uint32_t pool, uint32_t queued, uint32_t running, uint32_t strand);
/* It is awake, or never began: may be called again. */
void sh_boosts_end(struct sh_boosts *l);
/* Takes the pool out of the table of rt: nothing is boosted in it any more, it is about to be freed. */
void sh_boosts_pool_gone(struct shunt_runtime *rt, uint32_t index);
/* In a forked child, which has none of the threads. */
void sh_boosts_forked(void);

/* Levels whose jobs may preempt a running one of `level` at its checkpoint, in a pool with boosts. */
uint32_t sh_boosted_above(const struct sh_pool *p, uint32_t level);

#endif
