/*
 * lockfree/deque.h - a worker's own jobs of one level. The owner pushes and pops at the bottom, any
 * thread takes at the top. Bounded: a full deque is an ordinary result, and the caller uses the
 * ring.
 *
 * Algorithm: Chase & Lev, "Dynamic circular work-stealing deque", SPAA 2005, with a fixed array.
 * Memory orders after Le, Pop, Cohen, Zappa Nardelli, PPoPP 2013; seq_cst operations replace their
 * fences.
 *
 *   may run together   push  pop  take  has
 *   push, pop           -     -    x     x      owner only
 *   take, has           x     x    x     x      any thread, the owner too
 *
 * Linearization: push at its store of bottom. pop at its store of bottom, or at its CAS for the
 * last item. take at its CAS of top.
 * Progress: push and pop are wait-free, take is lock-free. No call loops; a caller may repeat take.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LOCKFREE_DEQUE_H
#define SH_LOCKFREE_DEQUE_H

#include "lockfree/item.h"

struct sh_deque {
	sh_a64 top SH_ALIGNED(SH_CACHELINE);    /* sync: atomic; advanced by takers */
	sh_a64 bottom SH_ALIGNED(SH_CACHELINE); /* sync: atomic; written by the owner */
	sh_a128 *slots;                         /* sync: const; the owner writes them half by half */
	uint64_t mask;                          /* sync: const; capacity - 1 */
};

_Static_assert(sizeof(struct sh_deque) == 2 * SH_CACHELINE, "takers' line and owner's line");

static inline void sh_deque_init(struct sh_deque *d, sh_a128 *slots, uint64_t capacity)
{
	assert(sh_is_pow2(capacity));
	sh_a64_init(&d->top, 0);
	sh_a64_init(&d->bottom, 0);
	d->slots = slots;
	d->mask = capacity - 1;
}

static inline void deque_write(sh_a128 *slot, struct sh_item item)
{
	/* mo rlx: published by the store of bottom. */
	sh_a64_store_rlx(&slot->lo, item.meta);
	sh_a64_store_rlx(&slot->hi, item.arg); /* mo rlx: as above. */
}

static inline struct sh_item deque_read(const sh_a128 *slot)
{
	/* mo rlx: the owner's own stores, or ordered by bottom; a taker discards them if its CAS fails. */
	struct sh_item item = { sh_a64_load_rlx(&slot->lo), sh_a64_load_rlx(&slot->hi) };

	return item;
}

/* Owner. False = full. */
static inline bool sh_deque_push(struct sh_deque *d, struct sh_item item)
{
	uint64_t b = sh_a64_load_rlx(&d->bottom); /* mo rlx: own word. */
	/* mo deque.3 <- deque.2@lockfree/deque.h: the taker has finished reading the slot. */
	uint64_t t = sh_a64_load_acq(&d->top);

	if (b - t > d->mask)
		return false;
	deque_write(&d->slots[b & d->mask], item);
	/* mo deque.1 <> deque.1@lockfree/deque.h: item before bottom, bottom before the look for sleepers. */
	sh_a64_store_sc(&d->bottom, b + 1);
	return true;
}

/*
 * Owner: n items, of which items[0] is the next to pop. The caller knows that they fit
 * (sh_deque_room).
 */
static inline void sh_deque_push_many(struct sh_deque *d, const struct sh_item *items, uint32_t n)
{
	uint64_t b = sh_a64_load_rlx(&d->bottom); /* mo rlx: own word. */

	for (uint32_t i = n; i-- > 0;)
		deque_write(&d->slots[b++ & d->mask], items[i]);
	/* mo deque.1 <> deque.1@lockfree/deque.h: as in push, all of them at once. */
	sh_a64_store_sc(&d->bottom, b);
}

/* Owner: how many more items fit. */
static inline uint64_t sh_deque_room(const struct sh_deque *d)
{
	uint64_t b = sh_a64_load_rlx(&d->bottom); /* mo rlx: own word. */

	/* mo deque.3 <- deque.2@lockfree/deque.h: the takers have finished reading the slots. */
	return d->mask + 1 - (b - sh_a64_load_acq(&d->top));
}

/* Owner: the newest item. False = empty. */
static inline bool sh_deque_pop(struct sh_deque *d, struct sh_item *item)
{
	uint64_t b = sh_a64_load_rlx(&d->bottom); /* mo rlx: own word. */
	/* mo rlx: a cheap test for empty; top never decreases. */
	uint64_t t = sh_a64_load_rlx(&d->top);
	bool won = true;

	if (t >= b)
		return false;
	b--;
	/* mo deque.4 <> deque.4@lockfree/deque.h: taker sees the lower bottom or owner the higher top. */
	sh_a64_store_sc(&d->bottom, b);
	t = sh_a64_load_sc(&d->top); /* mo deque.4 <> deque.4@lockfree/deque.h: as above. */
	if (t < b) {
		*item = deque_read(&d->slots[b & d->mask]);
		return true;
	}
	if (t == b) {
		*item = deque_read(&d->slots[b & d->mask]);
		/* mo deque.4 <> deque.4@lockfree/deque.h: the last item has one winner. */
		won = sh_a64_cas_sc(&d->top, &t, t + 1);
	} else {
		won = false;
	}
	/*
	 * mo rlx: top is b + 1. A taker that sees this bottom with an older top fails its CAS. The
	 * next push orders it for others.
	 */
	sh_a64_store_rlx(&d->bottom, b + 1);
	return won;
}

/* Any thread: the oldest item. False = empty, or another thread won it (repeat if that matters). */
static inline bool sh_deque_take(struct sh_deque *d, struct sh_item *item)
{
	/* mo deque.4 <> deque.4@lockfree/deque.h: before bottom, in the total order. */
	uint64_t t = sh_a64_load_sc(&d->top);
	/* mo deque.1 <> deque.1@lockfree/deque.h: sees the item stored before it. */
	uint64_t b = sh_a64_load_sc(&d->bottom);
	struct sh_item got;

	if (t >= b)
		return false;
	got = deque_read(&d->slots[t & d->mask]);
	/* mo deque.2 -> deque.3@lockfree/deque.h: this read of the slot ends before the owner reuses it. */
	if (!sh_a64_cas_sc(&d->top, &t, t + 1))
		return false;
	*item = got;
	return true;
}

/* The k-th item from the oldest one; false = there are no more. For a deque of which nobody takes items meanwhile. */
static inline bool sh_deque_look(const struct sh_deque *d, uint64_t k, struct sh_item *item)
{
	uint64_t at = sh_a64_load_rlx(&d->top) + k; /* mo rlx: its last change is ordered by the caller. */

	if (at >= sh_a64_load_rlx(&d->bottom)) /* mo rlx: as above; its owner does not push. */
		return false;
	*item = deque_read(&d->slots[at & d->mask]);
	return true;
}

/* A thread about to sleep: is an item visible, in the total order of pushes? */
static inline bool sh_deque_has(const struct sh_deque *d)
{
	/* mo rlx: top never passes a present item. A stale top gives a false positive only. */
	uint64_t t = sh_a64_load_rlx(&d->top);
	/* mo deque.1 <> deque.1@lockfree/deque.h: the sleeper sees the item or the owner sees the sleeper. */
	uint64_t b = sh_a64_load_sc(&d->bottom);

	return t < b;
}

static inline uint64_t sh_deque_count(const struct sh_deque *d)
{
	uint64_t b = sh_a64_load_rlx(&d->bottom); /* mo rlx: statistic. */
	uint64_t t = sh_a64_load_rlx(&d->top);    /* mo rlx: statistic. */

	return b > t ? b - t : 0;
}

#endif
