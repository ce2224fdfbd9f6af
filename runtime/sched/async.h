/*
 * sched/async.h - the bound on asynchronous jobs in flight, of a worker and of its pool. Called by
 * the loop, checkpoints and jobs; owner only.
 *
 * Algorithm: `full` of a worker caches that its count has reached the bound, so that submitters
 * read one flag. A worker raises `full`, then reads its count again. A completer lowers the count,
 * then `full`, then wakes the worker (async.1, job/async.c).
 * Calls that may run together: each worker makes its own; completers run meanwhile.
 * Linearization: the load of `full`, or of the pool's count. Progress: wait-free, no loops.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_ASYNC_H
#define SH_SCHED_ASYNC_H

#include "sched/world.h"

/* Is w at its asynchronous capacity, or its pool at the pool's? */
bool sh_async_full(struct sh_worker *w);

#endif
