/*
 * sched/worker_make.h - makes, places, starts and frees workers. Called when a pool is created
 * (life/pool.c, under the control lock) and when a spare is needed (starter.c, without a lock).
 * Start blocks until the new thread has registered.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_WORKER_MAKE_H
#define SH_SCHED_WORKER_MAKE_H

#include "sched/world.h"

/* Bytes of one worker of the pool with its queues. */
size_t sh_worker_bytes(const struct sh_pool *p);
/* Memory and queues of the worker of `slot`; NULL when out of memory. */
struct sh_worker *sh_worker_alloc(struct sh_pool *p, uint32_t slot);
/* Frees what sh_worker_alloc made; its thread has ended. NULL: does nothing. */
void sh_worker_free(struct sh_pool *p, struct sh_worker *w);
/* Sets its cpu and node by the plan, and binds its queues' memory to that node. */
void sh_worker_place(struct sh_pool *p, struct sh_worker *w, const struct shunt_plan_worker *at);
/* Sets its victims, in stealing order; plan may be NULL for a spare. */
void sh_worker_steal_order(struct sh_pool *p, struct sh_worker *w, const struct shunt_plan *plan);
/* Levels whose own spawns it keeps in its deque. */
uint32_t sh_worker_own_levels(const struct sh_worker *w);
/*
 * Starts its thread, and waits until it is pinned and counted. 0; what sh_thread_start says; SHUNT_ELIMIT: the thread
 * gave up.
 */
int sh_worker_start(struct sh_worker *w);
/* The thread of w ends: starts another one, which waits for that end. 0, or what sh_thread_start says. */
int sh_worker_replace(struct sh_worker *w);

#endif
