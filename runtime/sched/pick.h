/*
 * sched/pick.h - which job a worker runs next: the order of the levels, and of the sources within a
 * level. What every pick reads is inline here, the rest is in pick.c. Called by the loop, by
 * checkpoints and by the sleeper's scan.
 *
 * Algorithm: the slot table names the level of this pick (policy/levels.h); after it the most
 * urgent level first. Within a level the own sources in rotation (deque, ring, pinned jobs,
 * backlog), then a steal.
 * Calls that may run together: all but sh_hint_set are the owner's of w; thieves, submitters and
 * other owners use the same queues meanwhile.
 * Linearization: a pick - the pop, take or steal of its queue (ring.h, deque.h).
 * Progress: no call blocks; as the queues.
 * Bounds: a pick tries each source of each level once, and a steal each victim twice. A thief takes
 * up to STEAL_MAX items, from the backlog BACKLOG_MAX; the rest goes to its own deque.
 *
 * Hints are bit sets of levels. Each bit is set after a push. Its clearer looks at the queue again
 * after clearing (hint.1, hint.2), so no job is missed; a stale bit costs one look.
 *
 *   word          set by                    cleared by                     queue
 *   ring_bits     pusher, owner             owner, at a checkpoint         w's ring
 *   pin_bits      submitter, owner          owner                          w's pinned jobs
 *   backlog_bits  pusher, any worker        a worker that finds it empty   the pool's backlog
 *   stealable     pusher, owner, blocker    a thief that finds nothing     rings and deques
 *   deque_bits    owner                     owner (not atomic)             w's deque
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_PICK_H
#define SH_SCHED_PICK_H

#include "policy/levels.h"
#include "sched/world.h"

#define RING_TURNS 0x51u /* bit i: at turn i of pick.c's source_turn the ring is first */
_Static_assert(SH_OLDEST_PERIOD == 256u, "source_tick wraps by itself");

/* Steals a job of this level from another worker; called when the pool's hint is set. */
bool sh_pick_steal(struct sh_worker *w, uint32_t level, struct sh_item *item);
/* Has another worker a job of this level that should be stolen? Not the ring of one that is prompt and watched. */
bool sh_pick_others_have(const struct sh_worker *w, uint32_t level);
/* Takes a job of a level that is boosted to *level (inherit.h), which it names then. */
bool sh_pick_boosted(struct sh_worker *w, struct sh_item *item, uint32_t *level);
/* Takes a job of one level from the worker's own sources and the backlog. */
bool sh_pick_any(struct sh_worker *w, uint32_t level, struct sh_item *item);
/* The same for a level that may have pinned jobs or a backlog. */
bool sh_pick_contended(struct sh_worker *w, uint32_t level, struct sh_item *item);

static inline void sh_hint_set(sh_a32 *word, uint32_t bit)
{
	/*
	 * mo hint.1 <> hint.2@sched/pick.h: the item was pushed before; a clearer looks again after
	 * clearing.
	 */
	if (!(sh_a32_load_sc(word) & bit))
		(void)sh_a32_or_sc(word, bit); /* mo hint.1 <> hint.2@sched/pick.h: as above. */
}

static inline void sh_hint_clear(sh_a32 *word, uint32_t bit)
{
	/* mo hint.2 <> hint.1@sched/pick.h: cleared, then the caller looks at the queue again. */
	(void)sh_a32_and_sc(word, ~bit);
}

/* Takes the newest own spawn. */
static inline bool sh_pick_deque(struct sh_worker *w, uint32_t level, struct sh_item *item)
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

/*
 * Takes a job of a level that has only own spawns and the ring, at a turn that is not the oldest
 * spawn's.
 */
static inline bool take_own(struct sh_worker *w, uint32_t level, struct sh_item *item)
{
	bool spawns = w->deque_bits >> level & 1u;
	bool ring_first = !spawns || (RING_TURNS >> w->source_tick[level] % SH_SOURCE_PERIOD & 1u);

	if (!ring_first && sh_pick_deque(w, level, item))
		goto got;
	if (!sh_ring_pop(&w->ring[level], item) && (!spawns || !ring_first || !sh_pick_deque(w, level, item)))
		return false;
got:
	w->source_tick[level]++; /* wraps at SH_OLDEST_PERIOD */
	return true;
}

/* May this worker have a job of a level above `level`, in its own queues or the backlog? */
static inline bool sh_pick_urgent(const struct sh_worker *w, uint32_t level)
{
	uint32_t above = ((1u << level) - 1u) & w->level_mask;
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	uint32_t hints = w->deque_bits | sh_a32_load_rlx(&w->pin_bits) | sh_a32_load_rlx(&w->pool->backlog_bits);

	if (sh_unlikely((hints & above) != 0))
		return true;
	for (; above != 0; above &= above - 1)
		if (sh_ring_peek(&w->ring[__builtin_ctz(above)]))
			return true;
	return false;
}

/* `others` = levels that may have pinned jobs or a backlog. */
static inline bool take_level(struct sh_worker *w, uint32_t level, uint32_t others, struct sh_item *item)
{
	if (sh_unlikely(others >> level & 1u))
		return sh_pick_contended(w, level, item);
	if (sh_likely(w->source_tick[level] != SH_OLDEST_PERIOD - 1))
		return take_own(w, level, item);
	return sh_pick_any(w, level, item);
}

/*
 * The order of decisions: the slot's own level, then the most urgent first; at each level own
 * queues, then those of others, then the same of the levels that are boosted to it.
 */
static inline bool sh_pick(struct sh_worker *w, struct sh_item *item, uint32_t *level)
{
	struct sh_pool *p = w->pool;
	uint32_t slot = w->slot_table[w->tick];
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	uint32_t others = sh_a32_load_rlx(&w->pin_bits) | sh_a32_load_rlx(&p->backlog_bits);
	uint32_t hot = sh_a32_load_rlx(&p->stealable); /* mo rlx: as above. */
	uint32_t boosts = sh_a32_load_rlx(&p->boosts); /* mo rlx: a hint. */
	uint32_t levels = w->level_mask;

	*level = slot;
	if (sh_unlikely(slot != SH_SLOT_TOP) && (levels >> slot & 1u) && sh_pick_any(w, slot, item))
		goto got;
	for (; levels != 0; levels &= levels - 1) {
		*level = (uint32_t)__builtin_ctz(levels);
		if (take_level(w, *level, others, item) || ((hot >> *level & 1u) && sh_pick_steal(w, *level, item)))
			goto got;
		if (sh_unlikely(boosts >> *level & 1u) && sh_pick_boosted(w, item, level))
			goto got;
	}
	return false;
got:
	w->tick = w->tick + 1 == w->slot_n ? 0 : w->tick + 1;
	return true;
}

#endif
