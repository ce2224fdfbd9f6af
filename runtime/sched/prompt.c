/* sched/prompt.c - see prompt.h. SPDX-License-Identifier: MIT */
#include "sched/prompt.h"

#include "sched/propagate.h"

void sh_prompt_end_slow(struct sh_worker *w)
{
	/* mo prompt.1 <> prompt.1@sched/prompt.h: taken back, then the queues are looked at. */
	sh_a32_store_sc(&w->prompt, 0);
	sh_propagate(w);
}

/* Another worker that is awake and prompt; from the slot `*at` on. NULL = none is left. */
static struct sh_worker *next_prompt(const struct sh_worker *w, uint32_t *at)
{
	const struct sh_pool *p = w->pool;
	/* mo slots.1 <- slots.1@life/pool.c: complete workers. */
	uint32_t slots = sh_a32_load_acq(&p->slots);

	while (*at < slots) {
		struct sh_worker *v = p->worker[(*at)++];

		/* mo rlx: hints; the pusher's look is ordered. */
		if (v != w && sh_a32_load_rlx(&v->prompt) != 0 && sh_a32_load_rlx(&v->state) == SH_W_RUNNING)
			return v;
	}
	return NULL;
}

bool sh_watch_begin(struct sh_worker *w)
{
	uint32_t at = 0, none = 0;

	if (!next_prompt(w, &at))
		return false;
	/* mo watch.1 <> watch.1@sched/prompt.h: its looks, and its end, come after. */
	return sh_a32_cas_sc(&w->pool->watcher, &none, w->slot + 1);
}

void sh_watch_end(struct sh_worker *w)
{
	/* mo watch.1 <> watch.1@sched/prompt.h: no watcher any more, then the queues are looked at. */
	sh_a32_store_sc(&w->pool->watcher, 0);
}

/* Has it run no job since the last look? */
static bool stands_still(struct sh_worker *v)
{
	uint64_t jobs = sh_a64_load_rlx(&v->jobs), seen = v->watched_jobs; /* mo rlx: a statistic of another thread. */

	v->watched_jobs = jobs;
	return jobs == seen;
}

static bool has_jobs(const struct sh_worker *v)
{
	for (uint32_t l = 0; l < v->pool->levels; l++)
		if (sh_ring_has(&v->ring[l]))
			return true;
	return false;
}

enum sh_watch sh_watch_look(struct sh_worker *w)
{
	bool any = false, still = false;
	struct sh_worker *v;
	uint32_t at = 0;

	while ((v = next_prompt(w, &at)) != NULL) {
		if (!stands_still(v)) {
			any = true;
			continue;
		}
		/* mo prompt.1 <> prompt.1@sched/prompt.h: taken back for it, then its queues are looked at. */
		sh_a32_store_sc(&v->prompt, 0);
		still = still || has_jobs(v);
	}
	if (any && !still)
		return SH_WATCH_ON;
	sh_watch_end(w);
	return still ? SH_WATCH_STEAL : SH_WATCH_OVER;
}
