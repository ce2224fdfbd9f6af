/* sched/trim.c - see trim.h. SPDX-License-Identifier: MIT */
#include "sched/trim.h"

#include <shunt/error.h>

#include "base/clock.h"

int sh_trim(struct shunt_runtime *rt, bool (*stop)(void *arg), void *arg, uint64_t *bytes)
{
	uint32_t free = 0;

	/* mo trim.1 <- trim.1@sched/trim.c: what the thread before did with the slabs' pages. */
	if (!sh_a32_cas_acq_rel(&rt->trimming, &free, 1)) {
		*bytes = 0;
		return SHUNT_EBUSY;
	}
	*bytes = sh_slab_trim(&rt->records, SH_SLAB_TRIM_KEEP, stop, arg);
	*bytes += sh_slab_trim(&rt->groups, SH_SLAB_TRIM_KEEP, stop, arg);
	/* mo trim.1 -> trim.1@sched/trim.c: as above. */
	sh_a32_store_rel(&rt->trimming, 0);
	return SHUNT_OK;
}

static uint64_t traffic(const struct shunt_runtime *rt)
{
	return sh_slab_traffic(&rt->records) + sh_slab_traffic(&rt->groups);
}

static bool worth(const struct shunt_runtime *rt)
{
	return sh_slab_in_memory(&rt->records) > rt->trim_worth || sh_slab_in_memory(&rt->groups) > rt->trim_worth;
}

void sh_trim_begin_slow(struct sh_worker *w)
{
	struct shunt_runtime *rt = w->pool->rt;
	uint32_t none = 0;

	/* mo rlx: a hint: who watches has nothing that others read. */
	if (w->trims.every_ns != 0 || !worth(rt) || !sh_a32_cas_rlx(&rt->trim_watched, &none, 1))
		return;
	w->trims.every_ns = rt->opts.trim_after_ns;
	w->trims.at_ns = sh_clock_ns() + w->trims.every_ns;
	w->trims.traffic = traffic(rt);
}

void sh_trim_end_slow(struct sh_worker *w)
{
	w->trims.every_ns = 0;
	sh_a32_store_rlx(&w->pool->rt->trim_watched, 0); /* mo rlx: as above. */
}

void sh_trim_look(struct sh_worker *w, bool (*stop)(void *worker))
{
	struct shunt_runtime *rt = w->pool->rt;
	struct sh_trim_watch *t = &w->trims;
	uint64_t bytes = 0;

	if (traffic(rt) == t->traffic) {
		(void)sh_trim(rt, stop, w, &bytes);
		if (!worth(rt)) {
			sh_trim_end_slow(w);
			return;
		}
		/* what is left has handles */
		if (t->every_ns / SH_TRIM_WATCH_TIMES < rt->opts.trim_after_ns)
			t->every_ns *= 2;
	}
	t->traffic = traffic(rt);
	t->at_ns = sh_clock_ns() + t->every_ns;
}
