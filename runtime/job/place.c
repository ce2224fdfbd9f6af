/* job/place.c - see place.h. SPDX-License-Identifier: MIT */
#include "job/place.h"

#include "base/error.h"

static int pinned_admit(struct sh_submit *s)
{
	const uint32_t w = s->opts->worker;

	if (w >= s->pool->workers)
		return SHUNT_ENOENT;
	if (!(s->pool->can[s->level][w / 64u] >> (w % 64u) & 1u))
		return sh_error_set(SHUNT_EINVAL, "job.opts.worker: %u takes no job of level %u; want another", w, s->level);
	s->route = SH_ROUTE_WORKER;
	s->target = w;
	if (s->record)
		sh_a32_store_rlx(&s->record->worker, w); /* mo rlx: published with the record. */
	return 0;
}

static int node_admit(struct sh_submit *s)
{
	s->route = SH_ROUTE_NODE;
	s->target = s->opts->node;
	return 0;
}

const struct sh_part sh_part_pinned = { .name = "pinned", .admit = pinned_admit };
const struct sh_part sh_part_node = { .name = "node", .admit = node_admit };
