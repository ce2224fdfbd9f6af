/*
 * job/key.c - the part of a keyed job: its place in a strand (sched/strand.h). The queue of the
 * strand is its route; who holds the strand hands it on at the job's end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "job/key.h"

#include "base/rng.h"
#include "sched/token.h"

static int key_admit(struct sh_submit *s)
{
	s->strand = (uint32_t)sh_mix64(s->spec->key) & s->pool->strand_mask;
	sh_a32_store_rlx(&s->record->strand, s->strand); /* mo rlx: published with the record. */
	s->route = SH_ROUTE_STRAND;
	return 0;
}

static void key_release(struct sh_end *e)
{
	if (e->pass && !sh_runtime_forked(e->rt)) /* a callback may have forked: its child leaves the queues alone */
		sh_token_pass(e->pool, e->w, e->strand);
}

const struct sh_part sh_part_key = {
	.name = "key",
	.admit = key_admit,
	.release = key_release,
};
