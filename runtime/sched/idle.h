/*
 * sched/idle.h - what a worker does when it finds no job: it spins, advertises that it spins,
 * yields its cpu, parks. Owner only; called by the loop in worker.c.
 *
 * Algorithm: spin, then park. The worker polls its queues and hints. Idle for SPIN_ANNOUNCE_NS, it
 * advertises that it spins, so that submitters skip the wake-up. When it has spun enough (sleep.h)
 * it parks: state PARKED, idle bit, scan of every queue, futex wait.
 * Calls that may run together: each worker makes its own; pushes and wake-ups by any thread run
 * beside them (push.h).
 * Linearization: parking - the CAS of the state to PARKED. Unparking - the CAS that leaves PARKED,
 * by a waker (to WAKING) or by the sleeper (to RUNNING).
 * Progress: a spinning worker holds up no thread. A parked one needs a waker; no wake-up is lost,
 * because it scans after PARKED and pushers read its state after the push (park.1/park.2, park.3).
 * Bounds: sh_idle_step makes SH_SPIN_LOOKS looks, one scan of all queues and one sleep at most.
 * sh_idle_retire sleeps until a blocker or the stop wakes it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_IDLE_H
#define SH_SCHED_IDLE_H

#include "sched/trim.h"

struct sh_idleness {
	uint64_t since_ns; /* start of the idle time; 0 = not idle */
	uint64_t yield_ns; /* time of the last yield */
	uint64_t watch_ns; /* time of its last look as the pool's watcher; 0 = it is not */
	bool advertised;
	bool yielded;       /* another thread ran during the last yield: the cpu is shared */
};

/* Clears the advertised spin bit. A wake-up propagation (sh_propagate) is due then. */
void sh_idle_stop_spinning(struct sh_worker *w, struct sh_idleness *idle);
/* It is not the pool's watcher any more: what it relied on is shown to others. */
void sh_idle_stop_watching(struct sh_worker *w, struct sh_idleness *idle);
/* The worker found no job: spins on, or parks. */
void sh_idle_step(struct sh_worker *w, struct sh_idleness *idle);
/*
 * The worker is at its asynchronous capacity: it takes no job, wakes others for what is queued
 * here, and waits for a completion.
 */
void sh_idle_wait_for_capacity(struct sh_worker *w, struct sh_idleness *idle);
/*
 * A surplus spare sleeps as DORMANT, outside the idle set, until a blocker or the stop wakes it.
 * False = it is needed.
 */
bool sh_idle_retire(struct sh_worker *w, struct sh_idleness *idle);

/* The worker has a job: it is not idle any more. */
static inline void sh_idle_end(struct sh_worker *w, struct sh_idleness *idle)
{
	if (sh_unlikely(idle->advertised))
		sh_idle_stop_spinning(w, idle);
	if (sh_unlikely(idle->watch_ns != 0))
		sh_idle_stop_watching(w, idle);
	sh_trim_end(w);
	idle->since_ns = 0;
	idle->yielded = false;
}

#endif
