/* life/grace.c - see grace.h. SPDX-License-Identifier: MIT */
#include "life/grace.h"

#include <time.h>

#include "life/drain.h"

/* The i-th submitter that was ever claimed: users' first, then workers'. NULL = there are no more. */
static struct sh_submitter *claimed_at(struct shunt_runtime *rt, uint32_t i)
{
	/* mo count.3 <- count.3@sched/submitter.c: entries beyond were never used. */
	uint32_t users = sh_a32_load_sc(&rt->submitters_used);
	uint32_t workers = sh_a32_load_sc(&rt->workers_used); /* mo count.3 <- count.3@sched/submitter.c: likewise. */

	if (i < users)
		return &rt->submitter[i];
	return i - users < workers ? &rt->submitter[rt->opts.submitters_max + (i - users)] : NULL;
}

void sh_grace_wait(struct shunt_runtime *rt)
{
	struct timespec pause = { 0, 20000 };
	struct sh_submitter *sub;
	uint32_t i;

	sh_gate_barrier();
	for (i = 0; (sub = claimed_at(rt, i)) != NULL; i++) {
		/* mo section.1 <- section.1@sched/section.h: its last access. */
		uint64_t seen = sh_a64_load_acq(&sub->section);

		/* mo section.1 <- section.1@sched/section.h: as above. */
		while ((seen & 1u) && sh_a64_load_acq(&sub->section) == seen)
			(void)nanosleep(&pause, NULL);
	}
	while (sh_a64_load_sc(&rt->shared_section) != 0) /* mo section.1 <> section.1@sched/section.h: likewise. */
		(void)nanosleep(&pause, NULL);
}

bool sh_grace_empty(struct shunt_runtime *rt)
{
	struct sh_submitter *sub;
	uint32_t i;

	for (i = 0; (sub = claimed_at(rt, i)) != NULL; i++) {
		/* mo section.1 <- section.1@sched/section.h: its last access. */
		if (sh_a64_load_acq(&sub->section) & 1u)
			return false;
		/* mo call.1 <- call.1@sched/submitter.h: its last access. */
		if (sh_a64_load_acq(&sub->calls) != 0)
			return false;
		/* mo section.1 <- section.1@sched/section.h: a call may have ended inside a section. */
		if (sh_a64_load_acq(&sub->section) & 1u)
			return false;
	}
	/* mo section.1 <> section.1@sched/section.h: likewise; call.1 <> call.1@sched/submitter.h: likewise. */
	return sh_a64_load_sc(&rt->shared_section) == 0
	       /* mo call.1 <> call.1@sched/submitter.h: likewise. */
	       && sh_a64_load_sc(&rt->shared_calls) == 0
	       /* mo section.1 <> section.1@sched/section.h: as above. */
	       && sh_a64_load_sc(&rt->shared_section) == 0;
}
