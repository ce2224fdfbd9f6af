/*
 * lockfree/deque.h - a worker's own jobs of one level: the owner pushes and pops at the bottom, anybody takes at
 * the top. Bounded; a full deque is an ordinary result and the caller uses the ring.
 *
 * Algorithm: Chase & Lev, "Dynamic circular work-stealing deque", SPAA 2005, with a fixed array; memory orders
 * after Le, Pop, Cohen, Zappa Nardelli, PPoPP 2013, their fences replaced by seq_cst operations.
 *
 *   may run together   push  pop  take  has
 *   push, pop           -     -    x     x      owner only
 *   take, has           x     x    x     x      any thread, the owner too
 *
 * Linearization: push at the store of bottom; pop at its store of bottom, or its CAS for the last item; take at
 * its CAS of top. Progress: push wait-free; pop wait-free; take lock-free. No loop but the caller's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LOCKFREE_DEQUE_H
#define SH_LOCKFREE_DEQUE_H

#include "base/atomic.h"
#include "base/compiler.h"

struct sh_deque {
	sh_a64 top SH_ALIGNED(SH_CACHELINE);    /* sync: atomic; moved by takers */
	sh_a64 bottom SH_ALIGNED(SH_CACHELINE); /* sync: atomic; written by the owner */
	sh_a32 *slots;                          /* sync: const */
	uint64_t mask;                          /* sync: const; capacity - 1 */
};

_Static_assert(sizeof(struct sh_deque) == 2 * SH_CACHELINE, "takers' line and owner's line");

static inline void sh_deque_init(struct sh_deque *d, sh_a32 *slots, uint64_t capacity)
{
	assert(sh_is_pow2(capacity));
	sh_a64_init(&d->top, 0);
	sh_a64_init(&d->bottom, 0);
	d->slots = slots;
	d->mask = capacity - 1;
}

/* Owner. False = full. */
static inline bool sh_deque_push(struct sh_deque *d, uint32_t item)
{
	uint64_t b = sh_a64_load_rlx(&d->bottom); /* mo rlx: own word. */
	uint64_t t = sh_a64_load_acq(&d->top);    /* mo D3 <- D2@lockfree/deque.h: the taker's read of the slot is over. */

	if (b - t > d->mask)
		return false;
	sh_a32_store_rlx(&d->slots[b & d->mask], item); /* mo rlx: published by the store of bottom. */
	/* mo D1 <> D1@lockfree/deque.h: item before bottom, and bottom before the caller looks for sleepers. */
	sh_a64_store_sc(&d->bottom, b + 1);
	return true;
}

/* Owner: the newest item. False = empty. */
static inline bool sh_deque_pop(struct sh_deque *d, uint32_t *item)
{
	uint64_t b = sh_a64_load_rlx(&d->bottom); /* mo rlx: own word. */
	uint64_t t = sh_a64_load_rlx(&d->top);    /* mo rlx: only a cheap test for empty; top never moves back. */
	bool won = true;

	if (t >= b)
		return false;
	b--;
	/* mo D4 <> D4@lockfree/deque.h: either the taker sees the lower bottom or we see its higher top. */
	sh_a64_store_sc(&d->bottom, b);
	t = sh_a64_load_sc(&d->top); /* mo D4 <> D4@lockfree/deque.h: as above. */
	if (t < b) {
		*item = sh_a32_load_rlx(&d->slots[b & d->mask]); /* mo rlx: own store. */
		return true;
	}
	if (t == b) {
		*item = sh_a32_load_rlx(&d->slots[b & d->mask]); /* mo rlx: own store. */
		won = sh_a64_cas_sc(&d->top, &t, t + 1); /* mo D4 <> D4@lockfree/deque.h: the last item has one winner. */
	} else {
		won = false;
	}
	/* mo rlx: top is b + 1 already: who sees this bottom with an older top fails its CAS, and the next push orders. */
	sh_a64_store_rlx(&d->bottom, b + 1);
	return won;
}

/* Any thread: the oldest item. False = empty or lost the race for it (look again if it matters). */
static inline bool sh_deque_take(struct sh_deque *d, uint32_t *item)
{
	uint64_t t = sh_a64_load_sc(&d->top);    /* mo D4 <> D4@lockfree/deque.h: before bottom, in the total order. */
	uint64_t b = sh_a64_load_sc(&d->bottom); /* mo D1 <> D1@lockfree/deque.h: sees the item stored before it. */
	uint32_t got;

	if (t >= b)
		return false;
	got = sh_a32_load_rlx(&d->slots[t & d->mask]); /* mo rlx: ordered by bottom; void if the CAS fails. */
	/* mo D2 -> D3@lockfree/deque.h: our read of the slot is over before the owner reuses it. */
	if (!sh_a64_cas_sc(&d->top, &t, t + 1))
		return false;
	*item = got;
	return true;
}

/* Any thread about to sleep: is an item there, in the total order of pushes? */
static inline bool sh_deque_has(const struct sh_deque *d)
{
	uint64_t t = sh_a64_load_rlx(&d->top);   /* mo rlx: top never passes an item that is there; an old one says "true" in vain. */
	uint64_t b = sh_a64_load_sc(&d->bottom); /* mo D1 <> D1@lockfree/deque.h: the sleeper sees the item or the owner the sleeper. */

	return t < b;
}

static inline uint64_t sh_deque_count(const struct sh_deque *d)
{
	uint64_t b = sh_a64_load_rlx(&d->bottom); /* mo rlx: statistic. */
	uint64_t t = sh_a64_load_rlx(&d->top);    /* mo rlx: statistic. */

	return b > t ? b - t : 0;
}

#endif
