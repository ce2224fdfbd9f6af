/*
 * lockfree/ring.h - bounded FIFO of 32-bit items, any number of producers and consumers. One ring per worker
 * and level, and one large one per pool and level (the backlog). Used by submitters, owners and thieves.
 *
 * Algorithm: an array of 64-bit slots {lap, item}. A producer publishes an item with ONE compare-and-swap on
 * the slot itself; the tail is only a hint where to look for the first free slot, moved on once in SH_RING_HINT_EVERY
 * pushes. A slot of position p is free for lap(p) while it carries lap(p) - 1, so a producer that slept for whole laps
 * fails its CAS. (The slot-with-lap idea is in
 * Tsigas & Zhang, SPAA 2001, and Vyukov's bounded queue; publishing by the slot CAS removes their hole.)
 *
 *   may run together      push  pop  steal  has
 *   push                    x    x     x     x     any threads
 *   pop, steal              x    x     x     x     any threads
 *
 * Linearization: push at its successful slot CAS; pop and steal at their successful CAS of head; "full" at the
 * load of head; "empty" at the load of the slot. Progress: lock-free; a producer stopped anywhere delays and hides
 * nothing: before its CAS the slot is free for others, after it the item is visible and others walk past it.
 * Bounds: a retry happens only when another thread's push or pop succeeded; a walk from the hint to the first free slot
 * has fewer than 2 * SH_RING_HINT_EVERY steps, plus one for each push that succeeded since the hint was read.
 *
 * Laps are 32 bits: with 256 slots they repeat after 10^12 pushes; a producer would have to sleep inside one push
 * for a multiple of exactly that many pushes to be deceived.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LOCKFREE_RING_H
#define SH_LOCKFREE_RING_H

#include "base/atomic.h"
#include "base/compiler.h"

#define SH_RING_CAPACITY_MIN 2u
#define SH_RING_HINT_EVERY 4u /* power of two */
#define SH_RING_AHEAD 3u      /* an owner that pops asks for the item so many places behind */
#ifndef SH_RING_PAGE          /* a tool that explores interleavings says 2 */
#define SH_RING_PAGE 512u     /* slots of a page of memory */
#endif

/* What everybody needs to find a slot; consumers and producers have a copy each, beside what they write. */
struct sh_ring_at {
	sh_a64 *slots;  /* sync: const */
	uint64_t mask;  /* sync: const; capacity - 1 */
	uint32_t shift; /* sync: const; log2(capacity) */
};

struct sh_ring {
	/* consumers' line */
	sh_a64 head SH_ALIGNED(SH_CACHELINE); /* sync: atomic; position of the oldest item */
	struct sh_ring_at out;
	/* producers' line */
	sh_a64 tail SH_ALIGNED(SH_CACHELINE); /* sync: atomic; hint: every slot before it was filled */
	sh_a64 head_seen;                     /* sync: atomic; some recent head, saves reading the consumers' line */
	struct sh_ring_at in;
};

_Static_assert(sizeof(struct sh_ring) == 2 * SH_CACHELINE, "one line each for consumers and producers");

/* `slots` is `capacity` (power of two >= 2) zeroed words, owned by the caller and kept until the ring is dead. */
void sh_ring_init(struct sh_ring *r, sh_a64 *slots, uint64_t capacity);
/* Appends; false = full. */
bool sh_ring_push(struct sh_ring *r, uint32_t item);
/* Appends n items in order, between which others' may come; returns how many: fewer means that the ring is full. */
uint32_t sh_ring_push_many(struct sh_ring *r, const uint32_t *items, uint32_t n);
/* Takes the oldest item; false = empty. */
bool sh_ring_pop(struct sh_ring *r, uint32_t *item);
/* Takes up to n of the oldest items, in order; returns how many. */
uint32_t sh_ring_steal(struct sh_ring *r, uint32_t *items, uint32_t n);

static inline uint32_t sh_ring_lap(const struct sh_ring_at *at, uint64_t pos)
{
	return (uint32_t)(pos >> at->shift) + 1u;
}

static inline sh_a64 *sh_ring_slot(const struct sh_ring_at *at, uint64_t pos)
{
	return &at->slots[pos & at->mask];
}

static inline uint64_t sh_ring_capacity(const struct sh_ring *r)
{
	return r->out.mask + 1;
}

/* Position of the oldest item: how far consumers have come. */
static inline uint64_t sh_ring_head(const struct sh_ring *r)
{
	return sh_a64_load_rlx(&r->head); /* mo rlx: a hint. */
}

/* For a producer that will push in a moment: the slot's line, which a consumer may be polling, starts its way to us. */
static inline void sh_ring_prefetch(const struct sh_ring *r)
{
	sh_prefetch_write(sh_ring_slot(&r->in, sh_a64_load_rlx(&r->tail))); /* mo rlx: a hint. */
}

/*
 * The item so many places behind the oldest if it is visible, 0 = it is not (or not looked for, because nobody may have
 * written to its page yet: see first_touch in ring.c). To ask for its descriptor early, and for nothing else.
 */
static inline uint32_t sh_ring_ahead(const struct sh_ring *r, uint32_t places)
{
	uint64_t pos = sh_a64_load_rlx(&r->head) + places; /* mo rlx: a hint. */
	uint64_t v;

	if (sh_unlikely(pos % SH_RING_PAGE <= places))
		return 0;
	v = sh_a64_load_rlx(sh_ring_slot(&r->out, pos)); /* mo rlx: a hint; pop reads it again with acquire. */
	return (uint32_t)(v >> 32) == sh_ring_lap(&r->out, pos) ? (uint32_t)v : 0;
}

/* Is an item visible? For the owner's polling: cheap and recent. */
static inline bool sh_ring_peek(const struct sh_ring *r)
{
	uint64_t h = sh_a64_load_rlx(&r->head); /* mo rlx: a stale head makes the lap differ; the caller looks again. */
	uint64_t v = sh_a64_load_rlx(sh_ring_slot(&r->out, h)); /* mo rlx: a hint; pop reads it again with acquire. */

	return (uint32_t)(v >> 32) == sh_ring_lap(&r->out, h);
}

/* The same for a thread that is about to sleep, or that just cleared a hint bit: in the total order of pushes. */
static inline bool sh_ring_has(const struct sh_ring *r)
{
	for (;;) {
		/*
		 * mo rlx: head never passes what is published, so an old one finds its slot in this lap (true: looked for in
		 * vain) or in a later one (again). False means that the slot below is before its push in the total order.
		 */
		uint64_t h = sh_a64_load_rlx(&r->head);
		/* mo P1 <> P1@lockfree/ring.c: the sleeper sees the item or the producer sees the sleeper. */
		uint64_t v = sh_a64_load_sc(sh_ring_slot(&r->out, h));
		uint32_t lap = sh_ring_lap(&r->out, h);

		if ((uint32_t)(v >> 32) == lap)
			return true;
		if ((int32_t)((uint32_t)(v >> 32) - lap) < 0)
			return false;
		/* Another consumer took h and a producer refilled its slot since: progress elsewhere, look again. */
	}
}

/* Items now, roughly. */
static inline uint64_t sh_ring_count(const struct sh_ring *r)
{
	uint64_t t = sh_a64_load_rlx(&r->tail); /* mo rlx: statistic. */
	uint64_t h = sh_a64_load_rlx(&r->head); /* mo rlx: statistic. */
	uint32_t i;

	t = t > h ? t : h;
	for (i = 0; i < 2 * SH_RING_HINT_EVERY; i++, t++) /* mo rlx: statistic. */
		if ((uint32_t)(sh_a64_load_rlx(sh_ring_slot(&r->in, t)) >> 32) != sh_ring_lap(&r->in, t))
			break;
	return t - h;
}

#endif
