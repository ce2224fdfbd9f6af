/*
 * sched/queued.h - is a member of a group queued where nobody takes it? For deadlock.c: the queues of a pool all of
 * whose threads sleep in waits, or the queue for one such worker alone. Under the lock of its list, so that the threads
 * do not go on: items come, none goes.
 *
 * Threads: any, under that lock. Wait-free; bounds: what is queued there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_QUEUED_H
#define SH_SCHED_QUEUED_H

#include "sched/world.h"

/* In any queue of the pool but those for one worker; `keyed`: the strands, too. */
bool sh_queued_member(const struct sh_pool *p, uint32_t group, bool keyed);
/* In the queue for this worker alone. */
bool sh_queued_pinned(const struct sh_worker *w, uint32_t group);

#endif
