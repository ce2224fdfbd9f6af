/* job/bound.c - see bound.h. SPDX-License-Identifier: MIT */
#include "job/bound.h"

/* A refused thread changes nothing: one that stops here takes no capacity with it. */
static int bound_admit(struct sh_submit *s)
{
	struct sh_pool *p = s->pool;
	uint64_t n = sh_a64_load_rlx(&p->in_pool); /* mo rlx: re-checked by the CAS. */

	do
		if (n >= p->opts.queue_max && !s->inlined)
			return SHUNT_EFULL;
	/* mo capacity.1 <- capacity.1@job/bound.c: sees the capacity that a finished job released. */
	while (!sh_a64_cas_acq_rel(&p->in_pool, &n, n + 1));
	return 0;
}

static void bound_release(struct sh_end *e)
{
	/* mo capacity.1 -> capacity.1@job/bound.c: capacity for one more. */
	(void)sh_a64_sub_acq_rel(&e->pool->in_pool, 1);
}

const struct sh_part sh_part_bound = { .name = "bound", .admit = bound_admit, .release = bound_release };
