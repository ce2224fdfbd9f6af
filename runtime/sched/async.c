/* sched/async.c - see async.h. SPDX-License-Identifier: MIT */

#include "sched/async.h"

bool sh_async_full(struct sh_worker *w)
{
	const struct sh_pool *p = w->pool;

	/*
	 * `full` is the flag that others read. A late completer may have cleared it for a place
	 * that is taken again.
	 */
	/* mo async.1 <> async.1@job/async.c: as in async_enter. */
	if (sh_unlikely(w->async_used) && sh_a32_load_sc(&w->full) == 0
	    /* mo async.1 <> async.1@job/async.c: as in async_enter. */
	    && sh_a32_load_sc(&w->async_in_flight) >= p->opts.async_max) {
		/* mo async.1 <> async.1@job/async.c: raised, then the count is read. */
		sh_a32_store_sc(&w->full, 1);
		/* mo async.1 <> async.1@job/async.c: as above. */
		if (sh_a32_load_sc(&w->async_in_flight) < p->opts.async_max)
			/* mo async.1 <> async.1@job/async.c: a completion came in between. */
			sh_a32_store_sc(&w->full, 0);
	}
	/*
	 * mo async.1 <> async.1@job/async.c: we see the completion, or the completer sees `full` and wakes
	 * us.
	 */
	return sh_a32_load_sc(&w->full) != 0
	       /* mo async.1 <> async.1@job/async.c: likewise. */
	       || sh_a32_load_sc(&p->async_in_flight) >= p->opts.async_pool_max;
}
