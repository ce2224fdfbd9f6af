/* core/pick.c - see pick.h: the queues that are seldom looked at, the backlog, stealing. SPDX-License-Identifier: MIT */
#include "core/pick.h"

#include "base/inject.h"

#define STEAL_MAX 8u   /* jobs a thief takes at once from a ring */
#define BACKLOG_MAX 8u /* jobs a worker moves at once from the pool's backlog into its own ring */

enum source { SRC_RING, SRC_DEQUE, SRC_PINNED, SRC_BACKLOG };

/*
 * Which source of a level is looked at first, pick by pick: each at least once in SH_SOURCE_PERIOD. The oldest own
 * spawn has its turn once in SH_OLDEST_PERIOD or a multiple (in place of the last entry): taken often, it would turn a depth-first
 * tree of jobs into a breadth-first one that fills memory; never taken, it could wait for ever.
 */
static const uint8_t source_turn[SH_SOURCE_PERIOD] = {
	SRC_RING, SRC_DEQUE, SRC_BACKLOG, SRC_DEQUE, SRC_RING, SRC_PINNED, SRC_RING, SRC_DEQUE,
};

uint64_t sh_pick_cost(struct shunt_runtime *rt, uint32_t item)
{
	if (item & SH_TOKEN)
		return SH_TOKEN_COST;
	return SH_COST_ONE + sh_job_at(rt, item)->cost_ns;
}

/* What an item of the backlog is charged with: its descriptor, which a submitter wrote, is not asked. */
static inline uint64_t backlog_cost(uint32_t item)
{
	return item & SH_TOKEN ? SH_TOKEN_COST : SH_COST_ONE;
}

void sh_pick_put_back(struct sh_worker *w, uint32_t item, uint32_t level, uint64_t cost)
{
	struct sh_pool *p = w->pool;

	sh_pick_charge(w, cost);
	if (!sh_ring_push(&w->ring[level], item)) {
		sh_pick_charge(w, 0 - cost);
		sh_backlog_push(p, &item, 1, level);
		sh_hint_set(&p->backlog_bits, 1u << level);
		return;
	}
	sh_hint_set(&w->ring_bits, 1u << level);
	w->brought = true; /* share_leftover offers it */
}

static SH_NOINLINE bool take_pinned_told(struct sh_worker *w, uint32_t level, uint32_t *item)
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

static inline bool take_pinned(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	return sh_unlikely(sh_a32_load_rlx(&w->pin_bits) >> level & 1u) && take_pinned_told(w, level, item);
}

/* Several at a time, into an own ring that is empty (what is there already came later). */
static SH_NOINLINE bool take_backlog_many(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	struct sh_pool *p = w->pool;
	uint32_t bit = 1u << level;
	uint32_t loot[BACKLOG_MAX];
	uint32_t n, i;

	n = (uint32_t)sh_ring_capacity(&w->ring[level]);
	n = n < BACKLOG_MAX ? n : BACKLOG_MAX;
	if (sh_ring_peek(&w->ring[level]))
		n = 1;
	n = sh_ring_steal(&p->backlog[level], loot, n);
	if (n == 0) {
		sh_hint_clear(&p->backlog_bits, bit);
		if (!sh_ring_has(&p->backlog[level]))
			return false;
		sh_hint_set(&p->backlog_bits, bit);
		n = sh_ring_steal(&p->backlog[level], loot, 1);
		if (n == 0)
			return false;
	}
	SH_POINT("worker.backlog.taken");
	for (i = 0; i < n; i++)
		sh_pick_ask_for(w, loot[i]);
	sh_pick_charge(w, backlog_cost(loot[0]));
	for (i = 1; i < n; i++)
		sh_pick_put_back(w, loot[i], level, backlog_cost(loot[i]));
	*item = loot[0];
	return true;
}

/*
 * A pool's only worker takes one, and asks for the descriptor of a later one. Others meet at the backlog: they take several, to
 * meet more seldom.
 */
static inline bool take_backlog_told(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	struct sh_ring *r = &w->pool->backlog[level];

	/* mo rlx: a hint; another worker that comes takes its own. */
	if (sh_a32_load_rlx(&w->pool->slots) != 1 || !sh_ring_pop(r, item))
		return take_backlog_many(w, level, item);
	SH_POINT("worker.backlog.taken");
	sh_pick_ask_for(w, *item);
	sh_pick_ask_for(w, sh_ring_ahead(r, SH_RING_AHEAD));
	sh_pick_charge(w, backlog_cost(*item));
	return true;
}

static inline bool take_backlog(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	return (sh_a32_load_rlx(&w->pool->backlog_bits) >> level & 1u) && take_backlog_told(w, level, item);
}

/* At the end of each SH_OLDEST_PERIOD: the more own spawns wait, the more seldom. */
static bool oldest_turn(struct sh_worker *w, uint32_t level)
{
	if (++w->oldest_due[level] <= sh_deque_count(&w->deque[level]) / SH_OLDEST_SHARE)
		return false;
	w->oldest_due[level] = 0;
	return true;
}

bool sh_pick_any(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	uint32_t turn = w->source_tick[level];
	enum source first = (enum source)source_turn[turn % SH_SOURCE_PERIOD];
	bool oldest = turn == SH_OLDEST_PERIOD - 1 && (w->deque_bits >> level & 1u) && oldest_turn(w, level);

	if ((oldest && sh_deque_take(&w->deque[level], item)) || (first == SRC_RING && sh_pick_ring(w, level, item))
	    || (first == SRC_PINNED && take_pinned(w, level, item)) || (first == SRC_BACKLOG && take_backlog(w, level, item))
	    || sh_pick_deque(w, level, item) || take_pinned(w, level, item) || sh_pick_ring(w, level, item)
	    || take_backlog(w, level, item)) {
		w->source_tick[level]++;
		return true;
	}
	return false;
}

/* Of a flood all of it waits in the backlog: whosever turn it is then, it is the backlog's. */
bool sh_pick_crowded(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	uint32_t beside = w->deque_bits | sh_a32_load_rlx(&w->pin_bits);

	if (sh_unlikely((beside >> level & 1u) || sh_ring_peek(&w->ring[level])) || !take_backlog(w, level, item))
		return sh_pick_any(w, level, item);
	w->source_tick[level]++;
	return true;
}

static bool steal_from(struct sh_worker *w, struct sh_worker *v, uint32_t level, uint32_t *item)
{
	struct sh_pool *p = w->pool;
	uint32_t loot[STEAL_MAX];
	uint64_t half = (sh_ring_count(&v->ring[level]) + 1) / 2;
	uint32_t i, n;

	half = half > sh_ring_capacity(&w->ring[level]) ? sh_ring_capacity(&w->ring[level]) : half;
	n = sh_ring_steal(&v->ring[level], loot, half < 1 ? 1 : half > STEAL_MAX ? STEAL_MAX : (uint32_t)half);

	if (n == 0 && !sh_deque_take(&v->deque[level], &loot[0]))
		return false;
	n = n == 0 ? 1 : n;
	SH_POINT("worker.steal.taken");
	for (i = 0; i < n; i++) /* mo rlx: an estimate moves with the job. */
		(void)sh_a64_sub_rlx(&v->accepted, sh_pick_cost(p->rt, loot[i]));
	sh_pick_charge(w, sh_pick_cost(p->rt, loot[0]));
	for (i = 1; i < n; i++)
		sh_pick_put_back(w, loot[i], level, sh_pick_cost(p->rt, loot[i]));
	sh_a64_bump_owner(&w->stolen, n);
	*item = loot[0];
	return true;
}

static bool steal_any(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	uint32_t i;
	/* mo W1 <- W1@core/pool.c: complete workers; spares join later. */
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
	/* mo W5 <> W5@core/worker.c: a sleeper's bit before this look: we see a new stand-in, or it sees us when it has stolen. */
	uint32_t slots = sh_a32_load_sc(&w->pool->slots);
	uint32_t i;

	for (i = 0; i < w->steal_n; i++) {
		const struct sh_worker *v;

		if (w->steal_order[i] >= slots)
			continue;
		v = w->pool->worker[w->steal_order[i]];
		if (sh_ring_has(&v->ring[level]) || sh_deque_has(&v->deque[level]))
			return true;
	}
	return false;
}

bool sh_pick_steal(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	struct sh_pool *p = w->pool;
	uint32_t bit = 1u << level;

	if (steal_any(w, level, item))
		return true;
	sh_hint_clear(&p->hot, bit);
	if (sh_ring_has(&w->ring[level]) || sh_deque_has(&w->deque[level])) { /* ours, since we looked: others may take it */
		sh_hint_set(&p->hot, bit);
		return false; /* the next pick does */
	}
	if (!sh_pick_others_have(w, level))
		return false;
	sh_hint_set(&p->hot, bit);
	return steal_any(w, level, item);
}
