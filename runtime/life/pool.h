/*
 * life/pool.h - makes and frees a pool. Called by pools.c under the control lock, and at destroy.
 * Blocks until the threads have started, or have ended.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LIFE_POOL_H
#define SH_LIFE_POOL_H

#include "sched/world.h"

/*
 * Makes a pool and starts its threads; rt->control is held. On an error *out may be what there is of it already, for
 * the caller to end without the lock; else it is left alone.
 */
int sh_pool_create(struct shunt_runtime *rt, const struct shunt_pool_opts *opts, uint32_t id, struct sh_pool **out);
/*
 * Joins the threads and frees everything. The pool was stopped before. forked: there are no
 * threads, only memory.
 */
void sh_pool_free(struct sh_pool *p, bool forked);

#endif
