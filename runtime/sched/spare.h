/*
 * sched/spare.h - spares: threads that replace workers whose job is declared blocked, so that their
 * cpus have work. Used by jobs that block (spare.c), and by the loop of a surplus spare.
 *
 * Algorithm: two counts, `blocked` workers and `spares_active`. A block raises `blocked`; if fewer
 * spares are active it activates a DORMANT one, under spare_lock, else it makes a thread, without the
 * lock, and waits until that has begun, or its own limit has passed. Then the spare is there for the
 * next worker that blocks. One spare is made and begins at a time. The end of a block lowers `blocked` without the
 * lock and wakes a parked spare. A spare without a job goes DORMANT under the lock if it is surplus.
 * Calls that may run together: all, from any worker; sh_pool_spare_retire only for the calling one.
 * Linearization: begin and end of a block - their change of `blocked`. Retire - its store of
 * DORMANT, under the lock.
 * Progress: begin and retire block on spare_lock (rank 2), under which nobody waits. Begin also makes a
 * thread, if the last one took less than it may wait, and waits until it has begun or the limit has passed.
 * The end is lock-free.
 * Bounds: each loop covers the pool's spares, SH_SPARES_MAX at most.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_SPARE_H
#define SH_SCHED_SPARE_H

#include "sched/world.h"

/*
 * shunt_block_begin with a limit. SHUNT_ETIMEDOUT: no spare has begun until then; SHUNT_EBUSY: to make one would
 * take longer (the last one has). Then the job is not blocked.
 */
int sh_block_begin(struct shunt_job_ctx *ctx, uint64_t deadline_ns);
/*
 * After SHUNT_ELIMIT or SHUNT_EBUSY: the worker is blocked all the same, and the next spare that another one needs no
 * more stays for it.
 */
void sh_block_alone(struct shunt_job_ctx *ctx);
/* Is there a spare whose thread has not begun yet? It is not counted in `slots`. */
bool sh_pool_spare_starting(struct sh_pool *p);
/* Are more spares active than workers blocked? For a spare's scan before it parks. */
bool sh_pool_spare_surplus(const struct sh_pool *p);
/* Are fewer spares active than workers blocked? */
bool sh_pool_spare_short(const struct sh_pool *p);
/*
 * A spare without a job: makes it DORMANT if more spares are active than workers blocked. True = it
 * is DORMANT.
 */
bool sh_pool_spare_retire(struct sh_pool *p, struct sh_worker *w);

#endif
