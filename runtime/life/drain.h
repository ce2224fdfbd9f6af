/*
 * life/drain.h - the gate of a runtime and its unfinished jobs: closes the gate, counts, waits.
 * Called by drain, destroy, removal of pools and types, and snapshots.
 *
 * Algorithm: each thread counts its own attempts, rollbacks and finished jobs. A drain closes the
 * gate, runs a barrier on all threads, then compares the sums.
 * Calls that may run together: all, with submits and running jobs; pending only under rt->control.
 * Linearization: an attempt is accepted or refused by its read of the gate; it is counted before.
 * Progress: pending is wait-free. The barrier blocks for one system call, or for 1 ms. A wait polls
 * every 50 us to 1 ms, until nothing is pending or the timeout.
 * Bounds: a count of one type reads each worker of each pool, and each claimed submitter twice.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LIFE_DRAIN_H
#define SH_LIFE_DRAIN_H

#include "sched/world.h"

/*
 * Orders the closing of the gate before the counting, for all threads at once: afterwards every
 * attempt that saw the gate open is counted.
 */
void sh_gate_barrier(void);
/*
 * Number of accepted, not yet terminal jobs of one type, or of all (SHUNT_ANY). rt->control is
 * held.
 */
uint64_t sh_runtime_pending(struct shunt_runtime *rt, uint32_t type);
/* Jobs of a type's entry that ever ended, of earlier types too. rt->control is held. */
uint64_t sh_runtime_finished(struct shunt_runtime *rt, uint32_t type);
/*
 * Accepted jobs of a pool: what is sure. It never falls, is never below `finished` (read before), and exact when no
 * thread is inside a submit. Blocks for a barrier on all threads. rt->control is held.
 */
uint64_t sh_pool_submitted(struct shunt_runtime *rt, struct sh_pool *p, uint64_t finished);
/*
 * Waits until no job of the type (SHUNT_ANY = of any) is pending. *left (may be NULL) is the number
 * of pending ones at the last look. 0, SHUNT_ETIMEDOUT, or SHUNT_ESTOPPED: the runtime is destroyed.
 */
int sh_drain_wait(struct shunt_runtime *rt, uint32_t type, uint64_t timeout_ns, uint64_t *left);

#endif
