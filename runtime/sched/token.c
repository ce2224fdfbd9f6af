/* sched/token.c - see token.h. SPDX-License-Identifier: MIT */

#include "sched/token.h"

#include "base/clock.h"
#include "base/inject.h"
#include "sched/choose.h"
#include "sched/push.h"
#include "sched/strand.h"
#include "sched/submitter.h"

void sh_token_push(struct sh_pool *p, struct sh_submitter *sub, uint32_t strand, uint32_t level)
{
	static const struct shunt_job_spec no_spec;
	struct sh_choice c = { sub, p, &no_spec, sh_clock_ns(), level, SHUNT_ANY, 0, 1 };
	struct sh_item item = sh_item_token(strand, c.now_ns);
	uint32_t slot;

	if (sub && sub->worker && sub->worker->pool == p && (sub->worker->level_mask >> level & 1u))
		slot = sub->worker->spare ? sh_choose(&c) : sub->worker->slot;
	else
		slot = sh_choose(&c);
	sh_push_ring(sub, p, slot, &item, 1, level);
	SH_POINT("submit.token.before_count");
	sh_strand_pushed(&p->strand[strand]);
}

void sh_token_pass(struct sh_pool *p, struct sh_worker *w, uint32_t strand)
{
	uint32_t level = 0;

	if (sh_strand_release(p->rt, &p->strand[strand], &level))
		sh_token_push(p, w ? w->submitter : sh_submitter_get(p->rt), strand, level);
}
