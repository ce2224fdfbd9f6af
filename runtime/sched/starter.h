/*
 * sched/starter.h - a thread of each pool that may have spares, which makes them: to ask the system for memory or a
 * thread may take seconds, and a job whose wait has a limit cannot do it. It sleeps while no spare is wanted. It is
 * started by the thread that makes the pool, so that spares begin with that one's nice value and scheduling policy.
 *
 * Algorithm: pool->making, under spare_lock, says that a spare is wanted, or being made; the count `asked` is what the
 * thread sleeps on. It makes one spare at a time, and waits until that has begun, or given up: then it frees that one.
 * Threads: begin: the pool's maker. ask: any, under spare_lock. end: where no other thread of the pool is left.
 * Progress: ask is wait-free. begin starts a thread; end waits for its end, which comes once the pool stops.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_STARTER_H
#define SH_SCHED_STARTER_H

#include "sched/world.h"

/* Starts the thread. 0, or what sh_thread_start says. */
int sh_starter_begin(struct sh_pool *p) SH_MUST_USE;
/* A spare in place of worker w is made by and by: then p->making ends, and p->starts is raised. */
void sh_starter_ask(struct sh_pool *p, const struct sh_worker *w);
/* The pool stops: under spare_lock. */
void sh_starter_stop(struct sh_pool *p);
/* Has its thread ended, or begun its end? For who polls. */
bool sh_starter_over(struct sh_pool *p);
/* Joins the thread, if it was started. */
void sh_starter_join(struct sh_pool *p);

#endif
