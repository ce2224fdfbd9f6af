/* lockfree/ring.c - see ring.h. SPDX-License-Identifier: MIT */
#include "lockfree/ring.h"

#include "base/inject.h"

void sh_ring_init(struct sh_ring *r, sh_a64 *slots, uint64_t capacity)
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

/* True when position t has no room; refreshes the shared memory of head if that decides it. */
static inline bool ring_full(struct sh_ring *r, uint64_t t)
{
	uint64_t capacity = r->in.mask + 1;
	/* mo R2 -> R2@lockfree/ring.c: whoever sees this head sees the slots before it consumed. */
	uint64_t h = sh_a64_load_acq(&r->head_seen);

	if ((int64_t)(t - h) < (int64_t)capacity)
		return false; /* also when t is behind h: a stale tail, the lap test finds it out */
	/* mo R1 <- R1@lockfree/ring.c: the consumer's reads of the slot end before we reuse it. */
	h = sh_a64_load_acq(&r->head);
	sh_a64_store_rel(&r->head_seen, h); /* mo R2 <- R2@lockfree/ring.c: hands the edge of head on to other producers. */
	return (int64_t)(t - h) >= (int64_t)capacity;
}

/* A place to look on from when the slot of t already serves a later lap: head has passed it. */
static uint64_t ring_overtaken(struct sh_ring *r, uint64_t t)
{
	uint64_t tail = sh_a64_load_acq(&r->tail); /* mo P5 <- P5@lockfree/ring.c: as in push. */
	uint64_t h = sh_a64_load_acq(&r->head);    /* mo R1 <- R1@lockfree/ring.c: as in ring_full. */

	t = (int64_t)(h - t) > 0 ? h : t;
	return (int64_t)(tail - t) > 0 ? tail : t;
}

/*
 * Nobody wrote to the memory of t before (or somebody did just now). A read would have the kernel map its page of
 * zeroes there, and the write behind it replace that, for which it interrupts every cpu of the process: written at
 * once instead.
 */
static inline bool first_touch(const struct sh_ring *r, uint64_t t)
{
	return t % SH_RING_PAGE == 0 && t <= r->in.mask;
}

/* Puts the item into the first free place from *at on; false = full. *at is that place afterwards. */
static inline bool ring_put(struct sh_ring *r, uint64_t *at, uint32_t item)
{
	uint64_t t = *at;
	bool read = false;

	for (;;) {
		sh_a64 *slot = sh_ring_slot(&r->in, t);
		uint32_t lap = sh_ring_lap(&r->in, t);
		uint64_t v = 0;
		int32_t ahead;

		/* mo P6 <- P1@lockfree/ring.c: of a slot that was filled meanwhile, what its producer saw of head. */
		if (sh_likely(read || !first_touch(r, t)))
			v = sh_a64_load_acq(slot);
		read = true;
		ahead = (int32_t)((uint32_t)(v >> 32) - lap);
		if (ahead == 0) { /* filled: behind it */
			t++;
			continue;
		}
		if (sh_unlikely(ahead != -1)) {
			t = ring_overtaken(r, t);
			continue;
		}
		if (ring_full(r, t)) {
			if (sh_a64_load_rlx(slot) == v) /* mo rlx: still the first free place, and no room in it. */
				return false;
			continue;
		}
		SH_POINT("ring.push.before_cas");
		/* mo P1 <> P1@lockfree/ring.h: item and its fields before the slot; then the caller looks for sleepers. */
		if (!sh_a64_cas_sc(slot, &v, ((uint64_t)lap << 32) | item))
			continue;
		SH_POINT("ring.push.after_cas");
		*at = t;
		return true;
	}
}

/* The place of t was filled: moves the hint, last seen as *hint, behind it, now and then. */
static inline void ring_filled(struct sh_ring *r, uint64_t t, uint64_t *hint)
{
	int64_t behind = (int64_t)(t - *hint); /* below 0: others moved it beyond us */

	if (((t + 1) % SH_RING_HINT_EVERY == 0 || behind >= (int64_t)SH_RING_HINT_EVERY) && behind >= 0
	    && sh_a64_cas_rel(&r->tail, hint, t + 1)) /* mo P5 -> P5@lockfree/ring.c: a failure means that somebody moved it on. */
		*hint = t + 1;
}

bool sh_ring_push(struct sh_ring *r, uint32_t item)
{
	/* mo P5 <- P5@lockfree/ring.c: whoever goes behind a finished push sees what it finished. */
	uint64_t hint = sh_a64_load_acq(&r->tail);
	uint64_t t = hint;

	sh_prefetch_write(sh_ring_slot(&r->in, t)); /* for the CAS; the read alone would bring the line to share */
	if (!ring_put(r, &t, item))
		return false;
	ring_filled(r, t, &hint);
	return true;
}

uint32_t sh_ring_push_many(struct sh_ring *r, const uint32_t *items, uint32_t n)
{
	/* mo P5 <- P5@lockfree/ring.c: as in push. */
	uint64_t hint = sh_a64_load_acq(&r->tail);
	uint64_t t = hint;
	uint32_t i;

	sh_prefetch_write(sh_ring_slot(&r->in, t)); /* as in push */
	for (i = 0; i < n && ring_put(r, &t, items[i]); i++, t++)
		ring_filled(r, t, &hint);
	return i;
}

bool sh_ring_pop(struct sh_ring *r, uint32_t *item)
{
	uint64_t h = sh_a64_load_rlx(&r->head); /* mo rlx: re-checked by the CAS. */

	for (;;) {
		/* mo P2 <- P1@lockfree/ring.c: the item's fields, written before the slot. */
		uint64_t v = sh_a64_load_acq(sh_ring_slot(&r->out, h));
		uint32_t lap = sh_ring_lap(&r->out, h);
		uint64_t seen;

		if ((uint32_t)(v >> 32) != lap) {
			seen = sh_a64_load_rlx(&r->head); /* mo rlx: told apart from an empty ring only by value. */
			if (seen == h)
				return false;
			h = seen;
			continue;
		}
		/* mo R1 -> R1@lockfree/ring.c: our read of the slot is over. */
		if (sh_a64_cas_acq_rel(&r->head, &h, h + 1)) {
			*item = (uint32_t)v;
			return true;
		}
	}
}

uint32_t sh_ring_steal(struct sh_ring *r, uint32_t *items, uint32_t n)
{
	uint64_t h = sh_a64_load_rlx(&r->head); /* mo rlx: re-checked by the CAS. */

	for (;;) {
		uint32_t k = 0;

		while (k < n) {
			/* mo P3 <- P1@lockfree/ring.c: as in pop, for each slot of the prefix. */
			uint64_t v = sh_a64_load_acq(sh_ring_slot(&r->out, h + k));

			if ((uint32_t)(v >> 32) != sh_ring_lap(&r->out, h + k))
				break;
			items[k++] = (uint32_t)v;
		}
		if (k == 0) {
			uint64_t seen = sh_a64_load_rlx(&r->head); /* mo rlx: as in pop. */

			if (seen == h)
				return 0;
			h = seen;
			continue;
		}
		/* mo R1 -> R1@lockfree/ring.c: as in pop. Lost: forget all items. */
		if (sh_a64_cas_acq_rel(&r->head, &h, h + k))
			return k;
	}
}
