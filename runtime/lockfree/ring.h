/*
 * lockfree/ring.h - bounded FIFO of items, any number of producers and consumers. Two per worker and
 * level: the ring that submitters fill, and the one of jobs for this worker alone. Used by
 * submitters, owners and thieves.
 *
 * Algorithm: an array of 16-byte slots. A producer publishes an item with ONE compare-and-swap of a
 * whole slot. The tail is only a hint where to look for the first free slot, advanced once in
 * SH_RING_HINT_EVERY pushes. The slot of position p is free for lap(p) while it carries lap(p) - 1,
 * so a producer that slept for whole laps does not fill it. (The slot with a lap is in Tsigas &
 * Zhang, SPAA 2001, and in Vyukov's bounded queue; publishing by the slot's compare-and-swap removes
 * the hole that both have between claiming and filling a slot.)
 *
 *   may run together      push  pop  steal  has
 *   push                    x    x     x     x     any threads
 *   pop, steal              x    x     x     x     any threads
 *
 * Linearization: push at its successful slot CAS; pop and steal at their successful CAS of head;
 * "full" at the load of head; "empty" at the load of the slot.
 * Progress: lock-free. A producer stopped anywhere delays and hides nothing: before its CAS the
 * slot is free for others, after it the item is visible and others step over it.
 * Bounds: a retry happens only when a push or pop of another thread succeeded. A walk from the hint
 * to the first free slot has fewer than 2 * SH_RING_HINT_EVERY steps, plus one for each push that
 * succeeded since the hint was read.
 *
 * Laps have few bits. Positions have 64 and decide:
 * - Consumers win an item by the CAS of head, a whole position. A lap of later use that is right by
 *   chance loses there. One of earlier use is not seen: head is read with acquire, and its last
 *   writers had seen the slots before.
 * - A producer compares its position with head, after it read the slot. Head (or head_seen, which
 *   only grows) implies what the slot's last producer knew, so a stale position is below it.
 * - Between this comparison and the CAS the slot may be used for whole laps. The CAS succeeds by
 *   mistake only if after a multiple of 2^SH_LAP_BITS laps the slot holds the same 16 bytes: same
 *   type, argument and submit time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LOCKFREE_RING_H
#define SH_LOCKFREE_RING_H

#include "base/inject.h"
#include "lockfree/item.h"

#define SH_RING_CAPACITY_MIN 2u
#define SH_RING_HINT_EVERY 4u /* power of two; the items of a cache line */

/* How to find a slot. Consumers and producers have a copy each, beside what they write. */
struct sh_ring_at {
	sh_a128 *slots; /* sync: const */
	uint64_t mask;  /* sync: const; capacity - 1 */
	uint32_t shift; /* sync: const; log2(capacity) */
};

struct sh_ring {
	/* consumers' line */
	sh_a64 head SH_ALIGNED(SH_CACHELINE); /* sync: atomic; position of the oldest item */
	struct sh_ring_at out;
	/* producers' line */
	sh_a64 tail SH_ALIGNED(SH_CACHELINE); /* sync: atomic; hint: all before are filled */
	/* sync: atomic, only grows; recent head, saves a read of the consumers' line */
	sh_a64 head_seen;
	struct sh_ring_at in;
};

_Static_assert(sizeof(struct sh_ring) == 2 * SH_CACHELINE, "one line each for consumers and producers");

/* `slots`: `capacity` (power of two >= 2) zeroed slots of the caller. They outlive the ring. */
void sh_ring_init(struct sh_ring *r, sh_a128 *slots, uint64_t capacity);
/* Appends where the first free slot is not the one of the hint, or the ring may be full. */
bool sh_ring_push_slow(struct sh_ring *r, struct sh_item item);
/* Appends n items in order, perhaps with others' between. Returns how many; fewer than n: full. */
uint32_t sh_ring_push_many(struct sh_ring *r, const struct sh_item *items, uint32_t n);
/* Takes up to n of the oldest items, in order; returns how many. */
uint32_t sh_ring_steal(struct sh_ring *r, struct sh_item *items, uint32_t n);
/* The same, as long as the bits of `mask` in meta are `want`. */
uint32_t sh_ring_take_alike(struct sh_ring *r, struct sh_item *items, uint32_t n, uint64_t mask, uint64_t want);

static inline uint32_t sh_ring_lap(const struct sh_ring_at *at, uint64_t pos)
{
	return (uint32_t)(((pos >> at->shift) + 1u) & SH_LAP_MASK);
}

static inline sh_a128 *sh_ring_slot(const struct sh_ring_at *at, uint64_t pos)
{
	return &at->slots[pos & at->mask];
}

static inline uint64_t sh_ring_capacity(const struct sh_ring *r)
{
	return r->out.mask + 1;
}

/* Position of the oldest item: the number of items consumed. */
static inline uint64_t sh_ring_head(const struct sh_ring *r)
{
	return sh_a64_load_rlx(&r->head); /* mo rlx: a hint. */
}

/* For a producer about to push: prefetches the slot's line, which a consumer may be polling. */
static inline void sh_ring_prefetch(const struct sh_ring *r)
{
	sh_prefetch_write(sh_ring_slot(&r->in, sh_a64_load_rlx(&r->tail))); /* mo rlx: a hint. */
}

/* Appends; false = full. The usual case: a free slot near the hint, and head_seen says that there is room. */
static inline bool sh_ring_push(struct sh_ring *r, struct sh_item item)
{
	/* mo ring.4 <- ring.4@lockfree/ring.h: a push that starts behind another sees its effects. */
	uint64_t t = sh_a64_load_acq(&r->tail);
	uint32_t free_lap = (uint32_t)(t >> r->in.shift & SH_LAP_MASK);
	sh_a128 *slot = sh_ring_slot(&r->in, t);
	uint64_t hint = t, meta, arg;

	/* for the CAS; a read alone would fetch the line as shared */
	sh_prefetch_write(slot);
	for (;;) {
		/* mo ring.5 <- ring.1@lockfree/ring.h: of a slot filled meanwhile: its producer's head. */
		meta = sh_a64_load_acq(&slot->lo);
		if (sh_item_lap(meta) == free_lap)
			break;
		/* a filled slot of the hint's line: look at the next one */
		if (sh_unlikely(++t % SH_RING_HINT_EVERY == 0 || (t & r->in.mask) == 0))
			return sh_ring_push_slow(r, item);
		slot++;
	}
	arg = sh_a64_load_rlx(&slot->hi); /* mo rlx: a mixture fails the CAS. */
	/* mo ring.7 <- ring.7@lockfree/ring.h: this head implies that the slots before are consumed. */
	if (sh_unlikely(t - sh_a64_load_acq(&r->head_seen) > r->in.mask))
		return sh_ring_push_slow(r, item);
	SH_POINT("ring.push.before_cas");
	/*
	 * mo ring.1 <> ring.1@lockfree/ring.h: what the item names before the slot, slot before the look for
	 * sleepers.
	 */
	if (sh_unlikely(!sh_a128_cas_sc(slot, meta, arg, ((uint64_t)(free_lap + 1u) & SH_LAP_MASK) << SH_LAP_SHIFT | item.meta, item.arg)))
		return sh_ring_push_slow(r, item);
	SH_POINT("ring.push.after_cas");
	if ((t + 1) % SH_RING_HINT_EVERY == 0) {
		/* the line after the next one: it is here when its turn comes; in a small ring a consumer is at it */
		if (sh_likely(r->in.mask >= 8u * SH_RING_HINT_EVERY))
			sh_prefetch_write(sh_ring_slot(&r->in, t + 1 + SH_RING_HINT_EVERY));
		/* mo ring.4 -> ring.4@lockfree/ring.h: fails if another producer advanced it. */
		(void)sh_a64_cas_rel(&r->tail, &hint, t + 1);
	}
	return true;
}

/* Takes the oldest item; false = empty. */
static inline bool sh_ring_pop(struct sh_ring *r, struct sh_item *item)
{
	/* mo ring.6 <- ring.6@lockfree/ring.h: this slot as the consumer of the lap before saw it, or newer. */
	uint64_t h = sh_a64_load_acq(&r->head);

	for (;;) {
		const sh_a128 *slot = sh_ring_slot(&r->out, h);
		/* mo ring.2 <- ring.1@lockfree/ring.h: what the producer wrote before the slot. */
		uint64_t meta = sh_a64_load_acq(&slot->lo);
		/* mo rlx: written with the other half; discarded if the CAS fails. */
		uint64_t arg = sh_a64_load_rlx(&slot->hi);
		uint64_t seen;

		if (sh_item_lap(meta) != sh_ring_lap(&r->out, h)) {
			/* mo ring.6 <- ring.6@lockfree/ring.h: as above; its value separates a lost race from an empty ring. */
			seen = sh_a64_load_acq(&r->head);
			if (seen == h)
				return false;
			h = seen;
			continue;
		}
		/* mo ring.6 -> ring.6@lockfree/ring.c: these reads of the slot have ended. Failed: as above. */
		if (sh_a64_cas_acq_rel_acq(&r->head, &h, h + 1)) {
			item->meta = meta & SH_ITEM_META;
			item->arg = arg;
			return true;
		}
	}
}

/* The oldest item, for the only consumer, to look at; false = empty. */
static inline bool sh_ring_front(const struct sh_ring *r, struct sh_item *item)
{
	uint64_t h = sh_a64_load_rlx(&r->head); /* mo rlx: own value. */
	const sh_a128 *slot = sh_ring_slot(&r->out, h);
	uint64_t meta = sh_a64_load_rlx(&slot->lo); /* mo rlx: pop reads it again with acquire. */

	*item = (struct sh_item){ meta & SH_ITEM_META, sh_a64_load_rlx(&slot->hi) }; /* mo rlx: as above. */
	return sh_item_lap(meta) == sh_ring_lap(&r->out, h);
}

/* For the only consumer: is one among the items whose meta has `want` in the bits of `mask`? */
bool sh_ring_finds(const struct sh_ring *r, uint64_t mask, uint64_t want);

/*
 * The k-th item from the oldest one; false = there are no more. For a ring of which nobody takes items meanwhile.
 */
static inline bool sh_ring_look(const struct sh_ring *r, uint64_t k, struct sh_item *item)
{
	uint64_t at = sh_a64_load_rlx(&r->head) + k; /* mo rlx: its last change is ordered by the caller. */
	const sh_a128 *slot = sh_ring_slot(&r->out, at);
	/* mo ring.1 <> ring.1@lockfree/ring.h: a waiter says that it sleeps, then looks; pushed, then seen or not. */
	uint64_t meta = sh_a64_load_sc(&slot->lo);

	*item = (struct sh_item){ meta & SH_ITEM_META, sh_a64_load_rlx(&slot->hi) }; /* mo rlx: acquired with lo. */
	return k <= r->out.mask && sh_item_lap(meta) == sh_ring_lap(&r->out, at);
}

/* Is an item visible? For the owner's polling: cheap and recent. */
static inline bool sh_ring_peek(const struct sh_ring *r)
{
	/* mo rlx: a stale head makes the lap differ; the caller looks again. */
	uint64_t h = sh_a64_load_rlx(&r->head);
	/* mo rlx: a hint; pop reads it again with acquire. */
	uint64_t meta = sh_a64_load_rlx(&sh_ring_slot(&r->out, h)->lo);

	return sh_item_lap(meta) == sh_ring_lap(&r->out, h);
}

/* The same in the total order of pushes: before sleeping, or after clearing a hint bit. */
static inline bool sh_ring_has(const struct sh_ring *r)
{
	/*
	 * mo rlx: head never passes a published item. A stale head finds its slot in this lap
	 * (true: a false positive) or in another one. Then the newer head is read: the slot's
	 * producer had seen it.
	 */
	uint64_t h = sh_a64_load_rlx(&r->head);

	for (;;) {
		/* mo ring.1 <> ring.1@lockfree/ring.h: sleeper sees the item or producer sees the sleeper. */
		uint64_t meta = sh_a64_load_sc(&sh_ring_slot(&r->out, h)->lo);
		uint64_t seen;

		if (sh_item_lap(meta) == sh_ring_lap(&r->out, h))
			return true;
		seen = sh_a64_load_rlx(&r->head); /* mo rlx: as above. Unchanged: the slot is free in this lap. */
		if (seen == h)
			return false;
		h = seen;
	}
}

/* Number of items, approximate. */
static inline uint64_t sh_ring_count(const struct sh_ring *r)
{
	uint64_t t = sh_a64_load_rlx(&r->tail); /* mo rlx: statistic. */
	uint64_t h = sh_a64_load_rlx(&r->head); /* mo rlx: statistic. */
	uint32_t i;

	t = t > h ? t : h;
	for (i = 0; i < 2 * SH_RING_HINT_EVERY; i++, t++) /* mo rlx: statistic. */
		if (sh_item_lap(sh_a64_load_rlx(&sh_ring_slot(&r->in, t)->lo)) != sh_ring_lap(&r->in, t))
			break;
	return t - h;
}

#endif
