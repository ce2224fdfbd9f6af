/*
 * sched/deadlock.h - which jobs wait for which: asked by a thread that is about to sleep in a wait while it runs jobs.
 * Called by the waits of jobs and groups, when nothing else is left to do but sleep.
 *
 * Algorithm: a list of the threads of the process that sleep in a wait inside a job, each with the job or
 * group that it waits for and the jobs on its stack. Who joins it follows the waits from its own: a thread
 * that has the awaited job on its stack, or a member of the group, or that holds the strand that the job is
 * queued in, or whose worker the job is queued for. If that leads back to the thread itself, nobody in the
 * circle can ever go on, in whatever runtimes. The one that closes a circle is refused.
 * - An edge that a thread leaves before the asking one's limit is none: its wait ends by itself.
 * - An asynchronous job is none: another thread may complete it. Nor is what the list does not show (a
 *   declared block, a lock, a queue): such a thread goes on, as far as anybody here knows.
 * - Edges do not change while the list is locked: a thread that is in it has not gone on, so what is on its
 *   stack is not over, and what it holds is held.
 * Calls that may run together: all. Progress: begin and end block on a lock of the process (rank 0), for a
 * walk over the sleeping jobs. Bounds: each thread in the list is looked at once a walk.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_DEADLOCK_H
#define SH_SCHED_DEADLOCK_H

#include "sched/world.h"

/* A thread that sleeps in a wait. In its own frame. */
struct sh_sleeper {
	struct shunt_runtime *rt;        /* of what it waits for; not NULL while it is in the list */
	uint64_t handle;                 /* of a job, or 0: */
	uint32_t group;                  /* index of a group */
	uint64_t deadline_ns;            /* SH_FOREVER = none */
	const struct shunt_job_ctx *ctx; /* the innermost job on its stack */
	struct sh_sleeper *next, **link; /* sync: the list's lock, as the rest of it */
	struct sh_sleeper *todo;
	bool seen;
};

/*
 * The thread is about to sleep for a job (its handle) or a group (its index). 0, also outside of jobs;
 * SHUNT_EDEADLK: it would never wake up, and is not in the list.
 */
int sh_sleeper_begin(struct sh_sleeper *s, struct shunt_runtime *rt, uint64_t handle, uint32_t group,
		     uint64_t deadline_ns);
/* It does not sleep any more, or never began. */
void sh_sleeper_end(struct sh_sleeper *s);
/* In a forked child, which has none of the threads. */
void sh_sleepers_forked(void);

#endif
