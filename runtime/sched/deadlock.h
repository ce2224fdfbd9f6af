/*
 * sched/deadlock.h - which jobs wait for which: asked by a thread that is about to sleep in a wait while it runs jobs.
 * Called by the waits of jobs and groups, when nothing else is left to do but sleep.
 *
 * Algorithm: a list of the threads of the process that sleep in a wait inside a job, each with the job or
 * group that it waits for and the jobs on its stack. Who joins it follows the waits from its own: a thread
 * that has the awaited job on its stack, or a member of the group, or that holds the strand that the job is
 * queued in, or whose worker the job is queued for. If that leads back to the thread itself, nobody in the
 * circle can ever go on, in whatever runtimes. The one that closes a circle is refused.
 * - A job that any worker of its pool may take is held up if all of the pool's threads sleep in such waits and
 *   no spare is left: by all of them together. A worker that waits for another runtime's job sleeps without
 *   a spare, if there is none, unless that closes a circle.
 * - An edge that a thread leaves by itself before half of the asking one's time is over is none.
 * - An asynchronous job is none: another thread may complete it. Nor is what the list does not show (a
 *   declared block, a lock, a queue): such a thread goes on, as far as anybody here knows.
 * - Of a group those members are looked at that have started, and those that are queued in a strand that a
 *   sleeping job holds, for its worker alone, or in one of the eight pools that the group remembers, if nobody
 *   serves that. Who queues such a member wakes the group's waiters, which look again. A waiter runs those
 *   that are for its own worker before it sleeps (job/group.c).
 * - Edges do not change while the list is locked: a thread that is in it has not gone on, so what is on its
 *   stack is not over, and what it holds is held. A thread leaves the list as soon as it is awake.
 * Who joins also declares the worker of its job blocked, so that a spare serves the queue meanwhile.
 * Calls that may run together: all. Progress: begin and end block on a lock of the process (rank 0), for a
 * walk over the sleeping jobs. Bounds: a walk looks at the stack of each sleeper once for each sleeper that
 * it reaches. For a group it also reads the queues of those that sleep: for their workers alone if it has had
 * such members, others of pools that nobody serves.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_DEADLOCK_H
#define SH_SCHED_DEADLOCK_H

#include "sched/spare.h"
#include "sched/world.h"

/* A thread that sleeps in a wait. In its own frame. */
struct sh_sleeper {
	struct shunt_runtime *rt;        /* of what it waits for; not NULL while it is in the list */
	uint64_t handle;                 /* of a job, or 0: */
	struct shunt_group_id group;     /* of a group */
	uint64_t deadline_ns;            /* SH_FOREVER = none */
	const struct shunt_job_ctx *ctx; /* the innermost job on its stack */
	struct sh_sleeper *next, **link; /* sync: the list's lock, as the rest of it */
	struct sh_sleeper *reached;      /* the next one to look at, in a walk */
	bool seen;
	bool settled;                  /* its worker has a spare, or will have none */
	struct sh_spare_ask ask;       /* while one is on its way */
	struct shunt_job_ctx *blocked; /* job whose worker was declared blocked; NULL = none */
};

/*
 * The thread is about to sleep for a job (its handle, else 0) or a group. 0, also outside of jobs; SHUNT_EDEADLK: it
 * would never wake up, or no spare is left for a worker of rt. Then it is not in the list, and blocks no worker.
 */
int sh_sleeper_begin(struct sh_sleeper *s, struct shunt_runtime *rt, uint64_t handle, struct shunt_group_id group,
		     uint64_t deadline_ns);
/* Looks again, before it sleeps on. 0 or SHUNT_EDEADLK. */
int sh_sleeper_again(struct sh_sleeper *s);
/*
 * Before each sleep: what has come of its spare, if one was on its way. 0 or SHUNT_EDEADLK; takes from *left_ns, how
 * long it may sleep, until it is to look again.
 */
int sh_sleeper_look(struct sh_sleeper *s, uint64_t *left_ns);
/* It is awake, or never began: may be called again. */
void sh_sleeper_end(struct sh_sleeper *s);
/* In a forked child, which has none of the threads. */
void sh_sleepers_forked(void);

#endif
