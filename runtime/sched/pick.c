/*
 * sched/pick.c - see pick.h: the sources that are rarely tried, the backlog, stealing.
 * SPDX-License-Identifier: MIT
 */
#include "sched/pick.h"

#include "base/inject.h"
#include "sched/prompt.h"
#include "sched/push.h"

#define STEAL_MAX 8u   /* a thief takes this many jobs at once from a ring, at most */
#define BACKLOG_MAX 8u /* a worker moves this many items at once from the backlog */

enum source { SRC_RING, SRC_DEQUE, SRC_PINNED, SRC_BACKLOG };

/*
 * Which source of a level is tried first, pick by pick: each at least once in SH_SOURCE_PERIOD. The
 * oldest own spawn takes the place of the last entry once in SH_OLDEST_PERIOD, or in a multiple of
 * it. More often, it would turn a depth-first tree of jobs into a breadth-first one that fills
 * memory; never, it could starve.
 */
static const uint8_t source_turn[SH_SOURCE_PERIOD] = {
	SRC_RING, SRC_DEQUE, SRC_BACKLOG, SRC_DEQUE, SRC_RING, SRC_PINNED, SRC_RING, SRC_DEQUE,
};

/* Keeps items that this worker took: the first is the next one, the rest waits in its deque. */
static void keep_rest(struct sh_worker *w, uint32_t level, const struct sh_item *items, uint32_t n)
{
	if (n < 2)
		return;
	sh_deque_push_many(&w->deque[level], items + 1, n - 1);
	w->deque_bits |= 1u << level;
	w->surplus = true; /* sh_propagate offers it */
}

static SH_NOINLINE bool take_pinned_hinted(struct sh_worker *w, uint32_t level, struct sh_item *item)
{
	uint32_t bit = 1u << level;

	if (sh_ring_pop(&w->pinned[level], item))
		return true;
	sh_hint_clear(&w->pin_bits, bit);
	if (!sh_ring_has(&w->pinned[level]))
		return false;
	sh_hint_set(&w->pin_bits, bit);
	return sh_ring_pop(&w->pinned[level], item);
}

static inline bool take_pinned(struct sh_worker *w, uint32_t level, struct sh_item *item)
{
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	return sh_unlikely(sh_a32_load_rlx(&w->pin_bits) >> level & 1u) && take_pinned_hinted(w, level, item);
}

/*
 * Takes from the backlog. A pool's only worker takes one item. Several workers take several items
 * each, to contend less often; all but the first go to the own deque, which must be empty, to keep
 * their order.
 */
static SH_NOINLINE bool take_backlog_hinted(struct sh_worker *w, uint32_t level, struct sh_item *item)
{
	struct sh_pool *p = w->pool;
	uint32_t bit = 1u << level;
	struct sh_item loot[BACKLOG_MAX];
	/* mo rlx: a hint; a worker that joins takes its own items. The room: takers have left the deque's slots. */
	uint32_t n = sh_a32_load_rlx(&p->slots) == 1 || sh_deque_room(&w->deque[level]) <= w->deque[level].mask ? 1 : BACKLOG_MAX;

	n = sh_backlog_steal(&p->backlog[level], loot, n);
	if (n == 0) {
		sh_hint_clear(&p->backlog_bits, bit);
		if (!sh_backlog_has(&p->backlog[level]))
			return false;
		sh_hint_set(&p->backlog_bits, bit);
		n = sh_backlog_steal(&p->backlog[level], loot, 1);
		if (n == 0)
			return false;
	}
	SH_POINT("worker.backlog.taken");
	keep_rest(w, level, loot, n);
	*item = loot[0];
	return true;
}

static inline bool take_backlog(struct sh_worker *w, uint32_t level, struct sh_item *item)
{
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	return (sh_a32_load_rlx(&w->pool->backlog_bits) >> level & 1u) && take_backlog_hinted(w, level, item);
}

/*
 * At the end of each SH_OLDEST_PERIOD: is it the oldest spawn's turn? The more own spawns wait, the
 * rarer it is.
 */
static bool oldest_turn(struct sh_worker *w, uint32_t level)
{
	if (++w->oldest_due[level] <= sh_deque_count(&w->deque[level]) / SH_OLDEST_SHARE)
		return false;
	w->oldest_due[level] = 0;
	return true;
}

bool sh_pick_any(struct sh_worker *w, uint32_t level, struct sh_item *item)
{
	uint32_t turn = w->source_tick[level];
	enum source first = (enum source)source_turn[turn % SH_SOURCE_PERIOD];
	bool oldest = turn == SH_OLDEST_PERIOD - 1 && (w->deque_bits >> level & 1u) && oldest_turn(w, level);

	if ((oldest && sh_deque_take(&w->deque[level], item)) || (first == SRC_RING && sh_ring_pop(&w->ring[level], item))
	    || (first == SRC_PINNED && take_pinned(w, level, item)) || (first == SRC_BACKLOG && take_backlog(w, level, item))
	    || sh_pick_deque(w, level, item) || take_pinned(w, level, item) || sh_ring_pop(&w->ring[level], item)
	    || take_backlog(w, level, item)) {
		w->source_tick[level]++;
		return true;
	}
	return false;
}

bool sh_pick_boosted(struct sh_worker *w, struct sh_item *item, uint32_t *level)
{
	/* mo rlx: a hint, as the levels that may have stealable work. */
	uint32_t levels = sh_a32_load_rlx(&w->pool->boosted_to[*level]) & w->level_mask;
	uint32_t hot = sh_a32_load_rlx(&w->pool->stealable); /* mo rlx: as above. */

	for (; levels != 0; levels &= levels - 1) {
		uint32_t l = (uint32_t)__builtin_ctz(levels);

		if (sh_pick_any(w, l, item) || ((hot >> l & 1u) && sh_pick_steal(w, l, item))) {
			*level = l;
			return true;
		}
	}
	return false;
}

/* Under overload everything is in the backlog: skip the rotation and take from it. */
bool sh_pick_contended(struct sh_worker *w, uint32_t level, struct sh_item *item)
{
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	uint32_t beside = w->deque_bits | sh_a32_load_rlx(&w->pin_bits);

	if (sh_unlikely((beside >> level & 1u) || sh_ring_peek(&w->ring[level])) || !take_backlog(w, level, item))
		return sh_pick_any(w, level, item);
	w->source_tick[level]++;
	return true;
}

static bool steal_from(struct sh_worker *w, struct sh_worker *v, uint32_t level, struct sh_item *item)
{
	struct sh_item loot[STEAL_MAX];
	uint64_t half = (sh_ring_count(&v->ring[level]) + 1) / 2, room = sh_deque_room(&w->deque[level]) + 1;
	uint32_t n;

	half = half > room ? room : half;
	n = sh_ring_steal(&v->ring[level], loot, half < 1 ? 1 : half > STEAL_MAX ? STEAL_MAX : (uint32_t)half);
	if (n == 0 && !sh_deque_take(&v->deque[level], &loot[0]))
		return false;
	n = n == 0 ? 1 : n;
	SH_POINT("worker.steal.taken");
	keep_rest(w, level, loot, n);
	sh_a64_bump_owner(&w->stolen, n);
	*item = loot[0];
	return true;
}

static bool steal_any(struct sh_worker *w, uint32_t level, struct sh_item *item)
{
	uint32_t i;
	/* mo slots.1 <- slots.1@life/pool.c: complete workers; spares join later. */
	uint32_t slots = sh_a32_load_acq(&w->pool->slots);

	for (i = 0; i < w->steal_n; i++) {
		uint32_t victim = w->steal_order[i];

		if (victim < slots && steal_from(w, w->pool->worker[victim], level, item))
			return true;
	}
	return false;
}

bool sh_pick_others_have(const struct sh_worker *w, uint32_t level)
{
	/*
	 * mo slots.4 <> slots.4@sched/worker.c: the sleeper's bit is set before: we see a new spare, or it
	 * sees us after its steal.
	 */
	uint32_t slots = sh_a32_load_sc(&w->pool->slots);
	uint32_t i;

	for (i = 0; i < w->steal_n; i++) {
		const struct sh_worker *v;

		if (w->steal_order[i] >= slots)
			continue;
		v = w->pool->worker[w->steal_order[i]];
		if (sh_prompt_offers(v, level) || sh_deque_has(&v->deque[level]))
			return true;
	}
	return false;
}

bool sh_pick_steal(struct sh_worker *w, uint32_t level, struct sh_item *item)
{
	struct sh_pool *p = w->pool;
	uint32_t bit = 1u << level;

	if (steal_any(w, level, item))
		return true;
	sh_hint_clear(&p->stealable, bit);
	/* jobs arrived here meanwhile: others may steal them */
	if (sh_prompt_offers(w, level) || sh_deque_has(&w->deque[level])) {
		sh_hint_set(&p->stealable, bit);
		return false; /* the next pick takes them */
	}
	if (!sh_pick_others_have(w, level))
		return false;
	sh_hint_set(&p->stealable, bit);
	return steal_any(w, level, item);
}
