/* sched/record.c - see record.h. SPDX-License-Identifier: MIT */
#include "sched/record.h"

#define GEN_MASK ((UINT64_C(1) << 40) - 1)

uint64_t sh_record_open(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	uint32_t idx = sh_slab_alloc(&rt->records, sub ? &sub->records : NULL, sub ? sub->node_slot : 0);
	struct sh_record *t;
	uint64_t gen;

	if (idx == 0)
		return 0;
	t = sh_slab_at(&rt->records, idx);
	/* mo rlx: no other thread has the record before it is published. */
	gen = ((sh_a64_load_rlx(&t->state) >> SH_RECORD_GEN_SHIFT) + 1) & GEN_MASK;
	if (gen == 0)
		gen = 1;
	/*
	 * mo record.1 -> record.2@job/handle.c: the new generation before the new fields; a reader of the old
	 * one sees the change.
	 */
	sh_a64_store_rel(&t->state, gen << SH_RECORD_GEN_SHIFT | SH_RECORD_OWNED);
	/* of parts that the job may not have */
	t->group = 0;
	t->cq = NULL;
	sh_a32_store_rlx(&t->strand, 0);         /* mo rlx: published with the record. */
	sh_a32_store_rlx(&t->worker, SHUNT_ANY); /* mo rlx: as above. */
	return gen << SH_RECORD_GEN_SHIFT | idx;
}

void sh_record_free(struct shunt_runtime *rt, struct sh_submitter *sub, uint64_t handle)
{
	/* mo record.1 -> record.2@job/handle.c: FREE under the old generation; the next open raises it. */
	sh_a64_store_rel(&sh_record_at(rt, handle)->state, handle & ~SH_RECORD_INDEX);
	sh_slab_free(&rt->records, sub ? &sub->records : NULL, sh_record_index(handle));
}

uint64_t sh_record_handle(struct shunt_runtime *rt, uint32_t index)
{
	struct sh_record *t = sh_slab_at(&rt->records, index);

	/* mo rlx: its generation does not change. */
	return (sh_a64_load_rlx(&t->state) & ~SH_RECORD_INDEX) | index;
}

static bool claim(struct shunt_runtime *rt, uint64_t handle, bool run)
{
	sh_a64 *word = &sh_record_at(rt, handle)->state;
	uint64_t w = sh_a64_load_acq(word); /* mo record.2 <- record.3@job/handle.c: the fields of the generation that the word names. */
	uint64_t to;

	do {
		if (!sh_record_same(w, handle))
			return false;
		if ((w & SH_RECORD_STATUS) == SH_RECORD_OWNED)
			return true;
		if ((w & SH_RECORD_STATUS) != SH_RECORD_QUEUED)
			return false;
		to = run && !(w & SH_RECORD_ASYNC) ? SH_RECORD_RUNNING : SH_RECORD_FINISHING;
		/* mo record.2 <- record.3@job/handle.c: as above; one thread wins. */
	} while (!sh_a64_cas_acq_rel_acq(word, &w, (w & ~(uint64_t)SH_RECORD_STATUS) | to));
	return true;
}

bool sh_record_claim(struct shunt_runtime *rt, uint64_t handle)
{
	return claim(rt, handle, true);
}

bool sh_record_claim_end(struct shunt_runtime *rt, uint64_t handle)
{
	return claim(rt, handle, false);
}

bool sh_record_unhold(struct shunt_runtime *rt, struct sh_submitter *sub, uint64_t handle, uint32_t bit)
{
	sh_a64 *word = &sh_record_at(rt, handle)->state;
	uint64_t w = sh_a64_load_acq(word); /* mo record.5 <- record.4@job/handle.c: what the others did. */

	do {
		if (!sh_record_same(w, handle) || !(w & bit))
			return false;
		/* mo record.5 <- record.4@job/handle.c: the last one frees it, after the others' accesses. */
	} while (!sh_a64_cas_acq_rel_acq(word, &w, w & ~(uint64_t)bit));
	w &= ~(uint64_t)bit;
	if ((w & SH_RECORD_STATUS) >= SH_RECORD_DONE && (w & SH_RECORD_HELD) == 0)
		sh_record_free(rt, sub, handle);
	return true;
}

uint32_t sh_record_flags(struct shunt_runtime *rt, uint64_t handle)
{
	/* mo record.2 <- record.3@job/handle.c: as in claim. */
	uint64_t w = sh_a64_load_acq(&sh_record_at(rt, handle)->state);

	return sh_record_same(w, handle) ? (uint32_t)(w & SH_RECORD_INDEX) : 0;
}
