/*
 * sched/trim.h - the memory of records and groups that a burst used goes back to the system: by shunt_trim, and by
 * itself when the runtime has not moved records for runtime.trim_after. A worker that has nothing to do watches: one
 * that sleeps (its sleep ends to look), or one that polls. A look costs a few loads; while handles are kept that a trim
 * cannot give back, the looks become rarer, up to SH_TRIM_WATCH_TIMES of the interval. One thread trims at a time; the
 * worker ends its trim when it gets a job, and the next one goes on where it was.
 *
 * Threads: begin, look and end: the worker. sh_trim: any thread. Progress: the watch is wait-free; sh_trim answers
 * SHUNT_EBUSY while another thread trims.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_TRIM_H
#define SH_SCHED_TRIM_H

#include "sched/world.h"

#define SH_TRIM_WATCH_TIMES 64u

/* 0 or SHUNT_EBUSY; the bytes. `stop` as in sh_slab_trim. */
int sh_trim(struct shunt_runtime *rt, bool (*stop)(void *arg), void *arg, uint64_t *bytes);
/* A worker becomes idle: it watches if the memory is worth it and no other worker does. */
void sh_trim_begin_slow(struct sh_worker *w);
/* Its look is due: trims if nothing has moved since the last one, until `stop` says that the worker has a job. */
void sh_trim_look(struct sh_worker *w, bool (*stop)(void *worker));
void sh_trim_end_slow(struct sh_worker *w);

static inline void sh_trim_begin(struct sh_worker *w)
{
	if (sh_unlikely(w->pool->rt->trim_worth != 0))
		sh_trim_begin_slow(w);
}

static inline void sh_trim_end(struct sh_worker *w)
{
	if (sh_unlikely(w->trims.every_ns != 0))
		sh_trim_end_slow(w);
}

#endif
