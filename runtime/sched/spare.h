/*
 * sched/spare.h - spares: threads that replace workers whose job is declared blocked, so that their
 * cpus have work. Used by jobs that block (spare.c), and by the loop of a surplus spare.
 *
 * Algorithm: two counts, `blocked` workers and `spares_active`. A block raises `blocked`; if fewer
 * spares are active it activates a DORMANT one, under spare_lock, else it asks the pool's starter (starter.h) for
 * one more, and looks again until that has begun, for as long as it may wait. One that comes later is there for the
 * next worker that blocks. One spare is made and begins at a time. The end of a block lowers `blocked` without the
 * lock and wakes a parked spare. A spare without a job goes DORMANT under the lock if it is surplus.
 * Calls that may run together: all, from any worker; sh_pool_spare_retire only for the calling one.
 * Linearization: begin and end of a block - their change of `blocked`. Retire - its store of
 * DORMANT, under the lock.
 * Progress: ask, look and retire block on spare_lock (rank 2), under which nobody waits. Only the starter's
 * thread asks the system for memory or a thread. The end is lock-free.
 * Bounds: each loop covers the pool's spares, SH_SPARES_MAX at most.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_SPARE_H
#define SH_SCHED_SPARE_H

#include "sched/world.h"

/* What a worker that is blocked remembers until it has a spare. */
struct sh_spare_ask {
	uint32_t rank;     /* workers that were blocked with it */
	uint32_t failures; /* of starts, up to which it asks on */
};

/*
 * shunt_block_begin with a limit. SHUNT_ETIMEDOUT: no spare has begun until then. Unless it says 0 the job is not
 * blocked.
 */
int sh_block_begin(struct shunt_job_ctx *ctx, uint64_t deadline_ns);
/*
 * The worker is blocked, whatever this says but SHUNT_EFORKED, and waits for nothing. 0: it has a spare, or needs
 * none; SHUNT_EAGAIN: one is on its way, see sh_block_look; SHUNT_ELIMIT: there is none, but the next one that
 * another worker needs no more stays for it.
 */
int sh_block_ask(struct shunt_job_ctx *ctx, struct sh_spare_ask *ask);
/* What has come of it; waits until then, or the deadline. 0, SHUNT_ELIMIT, SHUNT_ETIMEDOUT. */
int sh_block_look(struct shunt_job_ctx *ctx, const struct sh_spare_ask *ask, uint64_t deadline_ns);
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
