/*
 * sched/pin.h - puts a worker's thread on its cpu and sets its attributes. Called once, by the thread
 * itself, before its loop; sh_pool_maker_look by the create call of the pool, before it starts threads.
 * Blocking: a few system calls.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_PIN_H
#define SH_SCHED_PIN_H

#include "sched/world.h"

/* The calling thread makes the pool: records its affinity and nice value, which the workers inherit. */
void sh_pool_maker_look(struct sh_pool *p);
/* Timer slack of the calling thread; in a job, of the thread that made the job's runtime. */
uint32_t sh_thread_slack_ns(void);
/* Binds the calling thread, which is w's, to its cpu, and records what the kernel answers. */
void sh_worker_pin(struct sh_worker *w);
/* The same for its nice value, and what it is, its stack and its blocked signals. */
void sh_worker_attributes(struct sh_worker *w);

#endif
