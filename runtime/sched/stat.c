/* sched/stat.c - see stat.h. SPDX-License-Identifier: MIT */

#include "sched/stat.h"

#define STAT_OFFSET ((size_t)SH_CACHELINE)
#define STAT_BYTES (STAT_OFFSET + (size_t)3 * SH_HIST_BYTES)

_Static_assert(sizeof(struct sh_stat) <= SH_CACHELINE, "the cell's head has one line before its histograms");

/*
 * Maps the cell, without the allocator: a job's end must not wait for an allocator lock whose
 * holder was stopped.
 */
struct sh_stat *sh_stat_make(struct sh_mem *mem, sh_aptr *cell)
{
	void *expected = NULL;
	struct sh_stat *st;
	char *hists;

	st = sh_mem_map(mem, STAT_BYTES);
	if (!st)
		return NULL;
	hists = (char *)st + STAT_OFFSET;
	st->queue = sh_hist_init(hists);
	st->run = sh_hist_init(hists + SH_HIST_BYTES);
	st->total = sh_hist_init(hists + (size_t)2 * SH_HIST_BYTES);
	/* mo stat.1 -> stat.1@sched/stat.c: complete before visible. */
	if (!sh_aptr_cas_acq_rel_acq(cell, &expected, st)) {
		sh_mem_unmap(mem, st, STAT_BYTES);
		return expected;
	}
	return st;
}

void sh_stat_free(struct sh_mem *mem, sh_aptr *cells, size_t n)
{
	size_t i;

	if (!cells)
		return;
	for (i = 0; i < n; i++) /* mo rlx: the last owner. */
		sh_mem_unmap(mem, sh_aptr_load_rlx(&cells[i]), STAT_BYTES);
	sh_mem_unmap(mem, cells, n * sizeof(*cells));
}

void sh_stat_retire(struct sh_mem *mem, sh_aptr *cell, sh_aptr *kept)
{
	struct sh_stat *st = sh_aptr_load_acq(cell); /* mo stat.1 <- stat.1@sched/stat.c: complete cell. */
	struct sh_stat *to;

	if (!st)
		return;
	/* mo rlx: its type has no jobs, and a reader holds the lock. */
	sh_aptr_store_rlx(cell, NULL);
	to = kept ? sh_aptr_load_rlx(kept) : NULL; /* mo rlx: under the lock. */
	if (kept && !to) {
		sh_aptr_store_rlx(kept, st); /* mo rlx: as above. */
		return;
	}
	if (to) {
		sh_hist_add(to->queue, st->queue);
		sh_hist_add(to->run, st->run);
	}
	sh_mem_unmap(mem, st, STAT_BYTES);
}
