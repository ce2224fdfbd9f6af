/* sched/propagate.c - see propagate.h. SPDX-License-Identifier: MIT */

#include "sched/propagate.h"

#include "sched/pick.h"
#include "sched/prompt.h"
#include "sched/push.h"

static bool idle_any(const struct sh_pool *p)
{
	uint32_t i;

	for (i = 0; i < SH_WORDS; i++)
		/* mo park.3 <> park.3@sched/push.h: read after this worker's spin bit was cleared. */
		if (sh_a64_load_sc(&p->idle[i]) != 0)
			return true;
	return false;
}

/*
 * `own`: work is left here or in the backlog. Otherwise a steal elsewhere counts only if a worker
 * is parked.
 */
void sh_propagate(struct sh_worker *w)
{
	struct sh_pool *p = w->pool;
	uint32_t l;

	w->surplus = false;
	if (sh_a32_load_acq(&p->slots) == 1) /* mo slots.1 <- slots.1@life/pool.c: complete workers. */
		return;
	for (l = 0; l < p->levels; l++) {
		bool own = sh_prompt_offers(w, l) || (w->deque_bits >> l & 1u) || sh_backlog_has(&p->backlog[l]);

		/*
		 * mo hint.2 <> hint.1@sched/push.h: our wake-up may have been for a job in another worker's
		 * queue.
		 */
		if (!own && !((sh_a32_load_sc(&p->stealable) >> l & 1u) && idle_any(p) && sh_pick_others_have(w, l)))
			continue;
		sh_hint_set(&p->stealable, 1u << l);
		if (idle_any(p)) {
			struct sh_worker *waking = sh_pool_wake_idle(p, l);

			if (waking) /* its waker may have stopped before the futex call */
				(void)sh_worker_wake(waking);
		}
	}
}
