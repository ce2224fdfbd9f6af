/*
 * life/pool_stop.h - ends a pool: its threads leave, queued jobs are cancelled. Called by pools.c
 * and at destroy.
 *
 * Calls that may run together: all, also while workers still run. Linearization: stop - its store
 * of p->stop; a cancelled job - the CAS of its record, or the pop of its descriptor.
 * Progress: sh_pool_stop blocks on spare_lock (rank 2), the others are lock-free.
 * Bounds: one pass over the pool's workers; cancel pops until each queue was seen empty once.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LIFE_POOL_STOP_H
#define SH_LIFE_POOL_STOP_H

#include "sched/world.h"

/* Asks the threads to leave after their running job, and wakes them; does not wait for them. */
void sh_pool_stop(struct sh_pool *p);
/* Cancels every queued job; returns how many. Any thread; also while workers still run. */
uint64_t sh_pool_cancel_queued(struct sh_pool *p);
/* Has every thread left its loop? */
bool sh_pool_stopped(struct sh_pool *p);
/* Waits until every thread has. */
void sh_pool_wait_stopped(struct sh_pool *p);

#endif
