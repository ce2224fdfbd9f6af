/*
 * sched/stat.h - the counters and histograms of one type at one level: a cell in each worker and,
 * for jobs that run outside of any, in the pool. Written at a job's end (exec.c, plain.c), read by
 * snapshots.
 *
 * Algorithm: a cell is made at its first use and lives until its type is destroyed.
 * Calls that may run together: all but sh_stat_free and sh_stat_retire. Linearization: make - its CAS of the cell.
 * Progress: wait-free, but for the system call that maps a new cell.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_STAT_H
#define SH_SCHED_STAT_H

#include "base/atomic.h"
#include "base/mem.h"
#include "metrics/histogram.h"

/*
 * Sync: atomics. One writer in a worker's cell, several in a pool's (`outside`); read by snapshots.
 */
struct sh_stat {
	sh_a64 done, failed, cancelled;
	struct sh_hist *queue, *run, *total;
};

/* Makes the counters of a cell, unless another thread was first; NULL = out of memory. */
struct sh_stat *sh_stat_make(struct sh_mem *mem, sh_aptr *cell);
void sh_stat_free(struct sh_mem *mem, sh_aptr *cells, size_t n);
/*
 * Empties the cell of a type that is closed and has no jobs: the next type of that entry starts at zero. What was
 * counted is added to the cell `kept`; if that is NULL, it is dropped. The caller holds rt->control, as all readers do.
 */
void sh_stat_retire(struct sh_mem *mem, sh_aptr *cell, sh_aptr *kept);

/*
 * The counters of a cell, made on first use; NULL = out of memory (the job counts only in the
 * totals).
 */
static inline struct sh_stat *sh_stat_get(struct sh_mem *mem, sh_aptr *cell)
{
	/* mo stat.1 <- stat.1@sched/stat.c: the cell's zeroed counters. */
	struct sh_stat *st = sh_aptr_load_acq(cell);

	return sh_likely(st != NULL) ? st : sh_stat_make(mem, cell);
}

#endif
