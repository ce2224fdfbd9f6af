/*
 * sched/starter.h - a thread of the runtime that makes spares: to ask the system for memory or a thread may take
 * seconds, and a job whose wait has a limit cannot do it. It sleeps while no pool asks.
 *
 * Algorithm: a list of the pools that want a spare, under a lock (rank 3, below spare_lock), and a count that the
 * thread sleeps on. A pool is in the list at most once, and is not freed while it is (pool->making).
 * Threads: begin and end under the control lock, or where no other thread is left. sh_starter_ask: any, under the
 * pool's spare_lock.
 * Progress: sh_starter_ask blocks on the lock, under which nobody waits. sh_starter_begin starts a thread, sh_starter_end
 * waits for its end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_STARTER_H
#define SH_SCHED_STARTER_H

#include "sched/world.h"

void sh_starter_init(struct shunt_runtime *rt);
/* Starts the thread, if it does not run yet, with the affinity of the pool's maker. 0, or what sh_thread_start says. */
int sh_starter_begin(const struct sh_pool *p) SH_MUST_USE;
/* The spare that the pool wants (making, make_for) is made by and by; then p->starting is set, and p->starts raised. */
void sh_starter_ask(struct sh_pool *p);
/* Ends the thread; no pool is left, or this is a forked child. */
void sh_starter_end(struct shunt_runtime *rt, bool forked);

#endif
