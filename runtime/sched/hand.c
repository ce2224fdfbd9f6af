/* sched/hand.c - see hand.h. SPDX-License-Identifier: MIT */
#include "sched/hand.h"

#include "base/inject.h"
#include "sched/pick.h"
#include "sched/prompt.h"
#include "sched/propagate.h"
#include "sched/push.h"

/* Is a worker of the pool parked or spinning? It may take jobs of this one's ring itself. */
static bool anybody_idle(const struct sh_pool *p, bool parked)
{
	uint64_t any = 0;

	for (uint32_t i = 0; i < p->words; i++)
		/* mo rlx: a hint. */
		any |= sh_a64_load_rlx(&p->spinning[i]) | (parked ? sh_a64_load_rlx(&p->idle[i]) : 0);
	return any != 0;
}

/* How many of the next picks, at most `most`, are no other level's turn. */
static uint32_t turns(const struct sh_worker *w, uint32_t level, uint32_t most)
{
	uint32_t tick = w->tick, n = 0;

	while (n < most && (w->slot_table[tick] == SH_SLOT_TOP || w->slot_table[tick] == level)) {
		n++;
		tick = tick + 1 == w->slot_n ? 0 : tick + 1;
	}
	return n;
}

bool sh_hand_take(struct sh_worker *w, uint32_t level, uint64_t kind, uint32_t most)
{
	struct sh_pool *p = w->pool;
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	uint32_t pinned = sh_a32_load_rlx(&w->pin_bits), backlog = sh_a32_load_rlx(&p->backlog_bits), n;

	if (((w->deque_bits | pinned) >> level & 1u) != 0
	    || (sh_a32_load_rlx(&p->slots) != 1 && anybody_idle(p, !sh_prompt_serves(w)))) /* mo rlx: a hint. */
		return false;
	most = turns(w, level, most < SH_BATCH_MAX ? most : SH_BATCH_MAX);
	if (most == 0)
		return false;
	if (!(backlog >> level & 1u))
		n = sh_ring_take_alike(&w->ring[level], w->hand, most, SH_ITEM_KIND, kind);
	else if (!sh_ring_peek(&w->ring[level]))
		n = sh_backlog_take_alike(&p->backlog[level], w->hand, most, SH_ITEM_KIND, kind);
	else
		return false;
	w->hand_at = 0;
	w->hand_n = n;
	w->tick = (w->tick + n) % w->slot_n;
	w->source_tick[level] = (uint8_t)(w->source_tick[level] + n);
	SH_POINT("worker.hand.taken");
	return n != 0;
}

void sh_hand_release_slow(struct sh_worker *w, uint32_t level)
{
	uint32_t n = w->hand_n - w->hand_at;
	const struct sh_item *rest = &w->hand[w->hand_at];

	w->hand_at = w->hand_n = 0;
	if (sh_deque_room(&w->deque[level]) >= n) {
		sh_deque_push_many(&w->deque[level], rest, n);
		w->deque_bits |= 1u << level;
		sh_propagate(w);
	} else { /* the job has spawned that many */
		sh_push_backlog(w->submitter, w->pool, rest, n, level);
	}
}
