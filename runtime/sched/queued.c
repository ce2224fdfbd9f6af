/* sched/queued.c - see queued.h. SPDX-License-Identifier: MIT */
#include "sched/queued.h"

#include "lockfree/backlog.h"
#include "lockfree/deque.h"
#include "lockfree/ring.h"
#include "sched/item.h"
#include "sched/record.h"
#include "sched/strand.h"

/* One that was cancelled has left the group. */
static bool waits(struct shunt_runtime *rt, struct sh_item item, uint32_t group)
{
	uint32_t status;

	if (!sh_item_of_group(item, group))
		return false;
	status = sh_record_flags(rt, item.arg) & SH_RECORD_STATUS;
	return status == SH_RECORD_QUEUED || status == SH_RECORD_OWNED;
}

static bool ring_has(struct shunt_runtime *rt, const struct sh_ring *r, uint32_t group)
{
	struct sh_item item;

	for (uint64_t k = 0; sh_ring_look(r, k, &item); k++)
		if (waits(rt, item, group))
			return true;
	return false;
}

static bool worker_has(const struct sh_worker *w, uint32_t level, uint32_t group)
{
	struct shunt_runtime *rt = w->pool->rt;
	struct sh_item item;

	for (uint64_t k = 0; sh_deque_look(&w->deque[level], k, &item); k++)
		if (waits(rt, item, group))
			return true;
	return ring_has(rt, &w->ring[level], group);
}

bool sh_queued_member(const struct sh_pool *p, uint32_t group, bool keyed)
{
	uint32_t n = sh_a32_load_acq(&p->slots); /* mo slots.1 <- slots.1@life/pool.c: complete workers. */
	struct sh_item item;

	for (uint32_t l = 0; l < p->levels; l++) {
		for (uint32_t i = 0; i < n; i++)
			if (worker_has(p->worker[i], l, group))
				return true;
		for (uint64_t k = 0; sh_backlog_look(&p->backlog[l], k, &item); k++)
			if (waits(p->rt, item, group))
				return true;
	}
	for (uint32_t i = 0; keyed && i <= p->strand_mask; i++)
		if (sh_strand_has_member(p->rt, &p->strand[i], group))
			return true;
	return false;
}

bool sh_queued_pinned(const struct sh_worker *w, uint32_t group)
{
	for (uint32_t l = 0; l < w->pool->levels; l++)
		if (ring_has(w->pool->rt, &w->pinned[l], group))
			return true;
	return false;
}
