/*
 * sched/record.h - open, claim and free the record of a job with parts. Called by submit, by
 * those who take or cancel a job, and at its end. The rest of its states: job/handle.h.
 *
 * Algorithm: the generation in the record's word is raised each time it is opened, so an item or a
 * handle of an earlier job is recognised. A record whose handle nobody has is OWNED by its item, and
 * needs no compare-and-swap. Any other is freed by the last of those who need it: the job until it
 * is terminal, the user, a strand's list, a completion queue.
 * Calls that may run together: all but open, by the thread that opens. Linearization: the CAS of the
 * word. Progress: lock-free.
 * Bounds: a CAS repeats only when another thread changed the word; it has a few changes in a life.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_RECORD_H
#define SH_SCHED_RECORD_H

#include "sched/world.h"

static inline uint32_t sh_record_index(uint64_t handle)
{
	return (uint32_t)(handle & SH_RECORD_INDEX);
}

static inline struct sh_record *sh_record_at(struct shunt_runtime *rt, uint64_t handle)
{
	return sh_slab_at(&rt->records, sh_record_index(handle));
}

static inline bool sh_record_same(uint64_t word, uint64_t handle)
{
	return word >> SH_RECORD_GEN_SHIFT == handle >> SH_RECORD_GEN_SHIFT;
}

/* Opens a record without parts: its handle, 0 = none is left. */
uint64_t sh_record_open(struct shunt_runtime *rt, struct sh_submitter *sub);
/*
 * Wins the right to run a queued job: QUEUED to RUNNING. An asynchronous one becomes FINISHING, which
 * locks it until its start is recorded: no thread completes it before. False = another thread won
 * it, or ended it.
 */
bool sh_record_claim(struct shunt_runtime *rt, uint64_t handle);
/* Wins the right to end a queued job that does not run: QUEUED to FINISHING. */
bool sh_record_claim_end(struct shunt_runtime *rt, uint64_t handle);
/*
 * The holder `bit` (SH_RECORD_HELD) needs the record no more; frees it if it was the last and the job
 * has ended. False = the handle is stale, or the bit was not set.
 */
bool sh_record_unhold(struct shunt_runtime *rt, struct sh_submitter *sub, uint64_t handle, uint32_t bit);
/* Frees it. */
void sh_record_free(struct shunt_runtime *rt, struct sh_submitter *sub, uint64_t handle);
/* Status bits of a current handle, 0 if stale. */
uint32_t sh_record_flags(struct shunt_runtime *rt, uint64_t handle);
/* Handle of a record that cannot be freed meanwhile. */
uint64_t sh_record_handle(struct shunt_runtime *rt, uint32_t index);

#endif
