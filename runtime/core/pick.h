/*
 * core/pick.h - which job a worker runs next: the order of levels, and of what it has at a level. What is looked at
 * for every job is here, the rest in pick.c. All of it is called by the worker alone whose queues it takes from, but
 * sh_hint_set; nothing blocks.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_PICK_H
#define SH_CORE_PICK_H

#include "core/levels.h"
#include "core/runtime.h"

#define RING_TURNS 0x51u /* bit = place in pick.c's source_turn where the ring is first */
_Static_assert(SH_OLDEST_PERIOD == 256u, "source_tick wraps by itself");

/* A job of this level from another worker: the pool's hint says that there may be one. */
bool sh_pick_steal(struct sh_worker *w, uint32_t level, uint32_t *item);
/* Has another worker a job of this level that may be stolen? */
bool sh_pick_others_have(const struct sh_worker *w, uint32_t level);
/* One job of one level from everything that is this worker's to take first. */
bool sh_pick_any(struct sh_worker *w, uint32_t level, uint32_t *item);
/* The same for a level with more than the ring and own spawns. */
bool sh_pick_crowded(struct sh_worker *w, uint32_t level, uint32_t *item);
/* Own queue of this worker for things it holds in hand; the backlog takes what does not fit. */
void sh_pick_put_back(struct sh_worker *w, uint32_t item, uint32_t level, uint64_t cost);
/* What an item costs its worker. */
uint64_t sh_pick_cost(struct shunt_runtime *rt, uint32_t item);

/* Items that were not reserved here at submit (own spawns, backlog, loot) are charged when they arrive. */
static inline void sh_pick_charge(struct sh_worker *w, uint64_t cost)
{
	/* mo rlx: one writer. */
	sh_a64_store_rlx(&w->balance, sh_a64_load_rlx(&w->balance) - cost);
}

static inline void sh_hint_set(sh_a32 *word, uint32_t bit)
{
	/* mo H1 <> H2@core/pick.h: the item was pushed before; a clearer looks again after clearing. */
	if (!(sh_a32_load_sc(word) & bit))
		(void)sh_a32_or_sc(word, bit); /* mo H1 <> H2@core/pick.h: as above. */
}

static inline void sh_hint_clear(sh_a32 *word, uint32_t bit)
{
	(void)sh_a32_and_sc(word, ~bit); /* mo H2 <> H1@core/pick.h: then the caller looks once more. */
}

/* The descriptor's line, which is with the submitter, starts its way to us. Item 0 is nobody's. */
static inline void sh_pick_ask_for(const struct sh_worker *w, uint32_t item)
{
	sh_prefetch_read(w->job_at_0 + (item & ~SH_TOKEN));
}

/* The newest own spawn. */
static inline bool sh_pick_deque(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	struct sh_deque *d = &w->deque[level];

	if (!(w->deque_bits >> level & 1u))
		return false;
	if (sh_likely(sh_deque_pop(d, item)))
		return true;
	if (sh_deque_count(d) == 0)
		w->deque_bits &= ~(1u << level);
	return false;
}

/* The descriptor of a job a few places behind is asked for now: its line is with the submitter. */
static inline bool sh_pick_ring(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	struct sh_ring *r = &w->ring[level];
	uint64_t h = sh_a64_load_rlx(&r->head); /* mo rlx: as in peek; pop reads all of it again. */
	uint64_t v = sh_a64_load_rlx(sh_ring_slot(&r->out, h)); /* mo rlx: as above. */

	if ((uint32_t)(v >> 32) != sh_ring_lap(&r->out, h))
		return false;
	sh_pick_ask_for(w, (uint32_t)v); /* on its way while we take the place */
	if (!sh_ring_pop(r, item))
		return false;
	sh_pick_ask_for(w, sh_ring_ahead(r, SH_RING_AHEAD));
	return true;
}

/* A job of a level of which only own spawns and the ring are looked at, at a turn that is not the oldest's. */
static inline bool take_own(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	bool spawns = w->deque_bits >> level & 1u;
	bool ring_first = !spawns || (RING_TURNS >> w->source_tick[level] % SH_SOURCE_PERIOD & 1u);

	if (!ring_first && sh_pick_deque(w, level, item))
		goto got;
	if (!sh_pick_ring(w, level, item) && (!spawns || !ring_first || !sh_pick_deque(w, level, item)))
		return false;
got:
	w->source_tick[level]++; /* wraps at SH_OLDEST_PERIOD */
	return true;
}

/* `others` = levels with more than the ring and own spawns. */
static inline bool take_level(struct sh_worker *w, uint32_t level, uint32_t others, uint32_t *item)
{
	if (sh_unlikely(others >> level & 1u))
		return sh_pick_crowded(w, level, item);
	if (sh_likely(w->source_tick[level] != SH_OLDEST_PERIOD - 1))
		return take_own(w, level, item);
	return sh_pick_any(w, level, item);
}

/* The order of decisions: the slot's own level, then most urgent first; at each level own queues, then others'. */
static inline bool sh_pick(struct sh_worker *w, uint32_t *item)
{
	struct sh_pool *p = w->pool;
	uint32_t slot = w->slot_table[w->tick];
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	uint32_t others = sh_a32_load_rlx(&w->pin_bits) | sh_a32_load_rlx(&p->backlog_bits);
	uint32_t hot = sh_a32_load_rlx(&p->hot); /* mo rlx: as above. */
	uint32_t levels = w->level_mask;

	if (sh_unlikely(slot != SH_SLOT_TOP) && (levels >> slot & 1u) && sh_pick_any(w, slot, item))
		goto got;
	for (; levels != 0; levels &= levels - 1) {
		uint32_t l = (uint32_t)__builtin_ctz(levels);

		if (take_level(w, l, others, item) || ((hot >> l & 1u) && sh_pick_steal(w, l, item)))
			goto got;
	}
	return false;
got:
	w->tick = w->tick + 1 == w->slot_n ? 0 : w->tick + 1;
	return true;
}

#endif
