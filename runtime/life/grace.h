/*
 * life/grace.h - threads that are inside calls of a runtime: a pool is freed when those that submitted
 * have left (the grace period), the runtime when all have. Called by the removal of pools and by destroy.
 *
 * Calls that may run together: all, with calls that begin and end. Linearization: a thread is inside from
 * the store that begins its section or call to the one that ends it; wait sees it because of the barrier.
 * Progress: sh_grace_wait blocks until the others have left; sh_grace_empty is wait-free.
 * Bounds: each submitter that was ever claimed is looked at once.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LIFE_GRACE_H
#define SH_LIFE_GRACE_H

#include "sched/world.h"

/* Waits until every thread that is in a submit now has left it. None of them can know the pool afterwards. */
void sh_grace_wait(struct shunt_runtime *rt);
/*
 * Is no thread inside a submit or a blocking call? Behind a barrier (sh_gate_barrier), with the gate closed
 * for good.
 */
bool sh_grace_empty(struct shunt_runtime *rt);

#endif
