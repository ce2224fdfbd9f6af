/* lockfree/ring.c - see ring.h. SPDX-License-Identifier: MIT */
#include "lockfree/ring.h"

#include "base/inject.h"

void sh_ring_init(struct sh_ring *r, sh_a128 *slots, uint64_t capacity)
{
	assert(capacity >= SH_RING_CAPACITY_MIN && sh_is_pow2(capacity));
	sh_a64_init(&r->head, 0);
	sh_a64_init(&r->tail, 0);
	sh_a64_init(&r->head_seen, 0);
	r->in.slots = slots;
	r->in.mask = capacity - 1;
	r->in.shift = sh_log2_u64(capacity);
	r->out = r->in;
}

/* What stands at position t, as far as the producer knows. */
enum at { AT_FREE, AT_FULL, AT_STALE };

/*
 * Is position t within the capacity? Head_seen first; if that says no, head, which then raises
 * head_seen. Called after the slot was read with acquire, so a stale t is below what it reads.
 */
static inline enum at ring_room(struct sh_ring *r, uint64_t t)
{
	uint64_t capacity = r->in.mask + 1;
	/* mo ring.7 -> ring.7@lockfree/ring.c: this head implies that the slots before are consumed. */
	uint64_t seen = sh_a64_load_acq(&r->head_seen);
	uint64_t h;

	if (t - seen < capacity)
		return AT_FREE;
	/* mo ring.6 <- ring.6@lockfree/ring.h: the consumer's reads of the slot end before its reuse. */
	h = sh_a64_load_acq(&r->head);
	/*
	 * mo ring.7 <- ring.7@lockfree/ring.c: passes the edge of head on to other producers, and only grows:
	 * a thread that sees this producer's item sees a head that is not older.
	 */
	while ((int64_t)(h - seen) > 0 && !sh_a64_cas_acq_rel(&r->head_seen, &seen, h))
		;
	return t - h < capacity ? AT_FREE : (int64_t)(t - h) < 0 ? AT_STALE : AT_FULL;
}

/* Where to continue when t is stale: head or the hint has passed it. */
static uint64_t ring_overtaken(struct sh_ring *r, uint64_t t)
{
	uint64_t tail = sh_a64_load_acq(&r->tail); /* mo ring.4 <- ring.4@lockfree/ring.h: as in push. */
	uint64_t h = sh_a64_load_acq(&r->head);    /* mo ring.6 <- ring.6@lockfree/ring.h: see ring_room. */

	t = (int64_t)(h - t) > 0 ? h : t;
	return (int64_t)(tail - t) > 0 ? tail : t;
}

/* Puts the item into the first free slot from *at on; false = full. *at becomes that position. */
static inline bool ring_put(struct sh_ring *r, uint64_t *at, struct sh_item item)
{
	uint64_t t = *at;

	for (;;) {
		sh_a128 *slot = sh_ring_slot(&r->in, t);
		uint32_t lap = sh_ring_lap(&r->in, t);
		/* mo ring.5 <- ring.1@lockfree/ring.h: of a slot filled meanwhile: its producer's head. */
		uint64_t meta = sh_a64_load_acq(&slot->lo);
		uint64_t arg = sh_a64_load_rlx(&slot->hi); /* mo rlx: a mixture fails the CAS. */
		uint32_t ahead = (sh_item_lap(meta) - lap) & (uint32_t)SH_LAP_MASK;

		if (ahead == 0) { /* filled: continue behind it */
			t++;
			continue;
		}
		if (sh_unlikely(ahead != (uint32_t)SH_LAP_MASK)) {
			t = ring_overtaken(r, t);
			continue;
		}
		switch (ring_room(r, t)) {
		case AT_FREE: break;
		case AT_STALE: t = ring_overtaken(r, t); continue;
		case AT_FULL:
			/* mo rlx: still the first free position, and the ring is full. */
			if (sh_a64_load_rlx(&slot->lo) == meta)
				return false;
			continue;
		}
		SH_POINT("ring.push.before_cas");
		/*
		 * mo ring.1 <> ring.1@lockfree/ring.h: what the item names before the slot, slot before the look
		 * for sleepers.
		 */
		if (!sh_a128_cas_sc(slot, meta, arg, (uint64_t)lap << SH_LAP_SHIFT | item.meta, item.arg))
			continue;
		SH_POINT("ring.push.after_cas");
		*at = t;
		return true;
	}
}

/* Position t was filled: once in SH_RING_HINT_EVERY, advances the hint (last seen: *hint). */
static inline void ring_filled(struct sh_ring *r, uint64_t t, uint64_t *hint)
{
	int64_t behind = (int64_t)(t - *hint); /* below 0: others moved the hint past t */

	if (((t + 1) % SH_RING_HINT_EVERY == 0 || behind >= (int64_t)SH_RING_HINT_EVERY) && behind >= 0
	    && sh_a64_cas_rel(&r->tail, hint, t + 1)) /* mo ring.4 -> ring.4@lockfree/ring.h: fails if another producer advanced it. */
		*hint = t + 1;
}

SH_NOINLINE bool sh_ring_push_slow(struct sh_ring *r, struct sh_item item)
{
	/* mo ring.4 <- ring.4@lockfree/ring.h: a push that starts behind another sees its effects. */
	uint64_t hint = sh_a64_load_acq(&r->tail);
	uint64_t t = hint;

	if (!ring_put(r, &t, item))
		return false;
	ring_filled(r, t, &hint);
	return true;
}

uint32_t sh_ring_push_many(struct sh_ring *r, const struct sh_item *items, uint32_t n)
{
	/* mo ring.4 <- ring.4@lockfree/ring.h: as in push. */
	uint64_t hint = sh_a64_load_acq(&r->tail);
	uint64_t t = hint;
	uint32_t i;

	sh_prefetch_write(sh_ring_slot(&r->in, t)); /* as in push */
	for (i = 0; i < n && ring_put(r, &t, items[i]); i++, t++)
		ring_filled(r, t, &hint);
	return i;
}

static inline uint32_t ring_take(struct sh_ring *r, struct sh_item *items, uint32_t n, uint64_t mask, uint64_t want)
{
	uint64_t h = sh_a64_load_acq(&r->head); /* mo ring.6 <- ring.6@lockfree/ring.h: as in pop. */

	for (;;) {
		uint32_t k = 0;

		while (k < n) {
			const sh_a128 *slot = sh_ring_slot(&r->out, h + k);
			/* mo ring.3 <- ring.1@lockfree/ring.h: as in pop, for each slot of the prefix. */
			uint64_t meta = sh_a64_load_acq(&slot->lo);

			if (sh_item_lap(meta) != sh_ring_lap(&r->out, h + k) || (meta & mask) != want)
				break;
			items[k].meta = meta & SH_ITEM_META;
			items[k++].arg = sh_a64_load_rlx(&slot->hi); /* mo rlx: as in pop. */
		}
		if (k == 0) {
			uint64_t seen = sh_a64_load_acq(&r->head); /* mo ring.6 <- ring.6@lockfree/ring.h: as in pop. */

			if (seen == h)
				return 0;
			h = seen;
			continue;
		}
		/* mo ring.6 -> ring.6@lockfree/ring.c: as in pop. On failure discards the items. */
		if (sh_a64_cas_acq_rel_acq(&r->head, &h, h + k))
			return k;
	}
}

uint32_t sh_ring_steal(struct sh_ring *r, struct sh_item *items, uint32_t n)
{
	return ring_take(r, items, n, 0, 0);
}

uint32_t sh_ring_take_alike(struct sh_ring *r, struct sh_item *items, uint32_t n, uint64_t mask, uint64_t want)
{
	return ring_take(r, items, n, mask, want);
}

bool sh_ring_finds(const struct sh_ring *r, uint64_t mask, uint64_t want)
{
	uint64_t h = sh_a64_load_rlx(&r->head); /* mo rlx: own value. */
	uint64_t end = h + sh_ring_capacity(r);

	for (; h != end; h++) {
		uint64_t meta = sh_a64_load_rlx(&sh_ring_slot(&r->out, h)->lo); /* mo rlx: a hint. */

		if (sh_item_lap(meta) != sh_ring_lap(&r->out, h))
			return false;
		if ((meta & mask) == want)
			return true;
	}
	return false;
}
