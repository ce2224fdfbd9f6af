/*
 * sched/section.h - the read-side section of a submit: while a thread is inside, no pool that it may read is freed,
 * though the jobs that it submitted have ended. Used by submit; waited for by life/grace.c.
 *
 * Algorithm: a submitter's word is odd inside; threads without one share a counter. Sections nest, as submits do.
 * Calls that may run together: all; a `sub` only by its own thread. Progress: wait-free.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_SECTION_H
#define SH_SCHED_SECTION_H

#include "sched/world.h"

static inline void sh_section_begin(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	if (sh_likely(sub != NULL)) {
		if (sub->depth++ == 0) /* mo rlx: ordered for the waiter by its barrier. */
			sh_a64_store_rlx(&sub->section, sh_a64_load_rlx(&sub->section) + 1);
	} else {
		/* mo section.1 <> section.1@life/grace.c: the section begins, then the type's state is read. */
		(void)sh_a64_add_sc(&rt->shared_section, 1);
	}
}

static inline void sh_section_end(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	if (sh_likely(sub != NULL)) {
		/* mo section.1 -> section.1@life/grace.c: after the last access to the pool. */
		if (--sub->depth == 0)
			sh_a64_store_rel(&sub->section, sh_a64_load_rlx(&sub->section) + 1);
	} else {
		/* mo section.1 <> section.1@life/grace.c: after the last access. */
		(void)sh_a64_sub_sc(&rt->shared_section, 1);
	}
}

/* A section that ends with its scope, also if an inline handler ends the thread. */
struct sh_section {
	struct shunt_runtime *rt;
	struct sh_submitter *sub;
};

static inline void sh_section_over(const struct sh_section *s)
{
	sh_section_end(s->rt, s->sub);
}

/* Is this submit one of a signal handler that interrupted another of its thread, or of a strategy? */
static inline bool sh_section_busy(const struct sh_submitter *sub)
{
	return sub && (sh_a64_load_rlx(&sub->section) & 1u); /* mo rlx: own word. */
}

/*
 * Leaves the section for a sleep or an inline handler: the counted attempt keeps the pool
 * meanwhile.
 */
static inline uint32_t sh_section_suspend(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	uint32_t depth = sub ? sub->depth : 1;

	if (sub)
		sub->depth = 1;
	sh_section_end(rt, sub);
	return depth;
}

static inline void sh_section_resume(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t depth)
{
	sh_section_begin(rt, sub);
	if (sub)
		sub->depth = depth;
}

#endif
