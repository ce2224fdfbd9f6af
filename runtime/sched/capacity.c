/* sched/capacity.c - see capacity.h. SPDX-License-Identifier: MIT */

#include "sched/capacity.h"

#include "base/futex.h"
#include "sched/credit.h"

void sh_capacity_signal(struct sh_pool *p)
{
	/* mo capacity.2 -> capacity.2@sched/submit.c: the capacity is released before the count. */
	(void)sh_a32_add_acq_rel(&p->releases, 1);
	(void)sh_futex_wake(&p->releases, 1024);
}

void sh_capacity_release(struct sh_worker *w, struct sh_pool *p)
{
	if (w)
		sh_credit_flush(p->rt, w->submitter);
	sh_capacity_signal(p);
}
