/* lockfree/backlog.c - see backlog.h. SPDX-License-Identifier: MIT */
#include "lockfree/backlog.h"

#include <shunt/error.h>

#include "base/inject.h"

#define FIRST 1u /* position of the first item: no mark is 0, which fresh memory reads as */
#define FILLED (UINT64_C(1) << SH_LAP_SHIFT)
#define HINT_EVERY 4u
#define SEG_INDEX ((UINT64_C(1) << SH_SEG_TAG_SHIFT) - 1)

/* ---- the store ---- */

static size_t items_bytes(uint32_t count)
{
	return ((size_t)count + 1) * SH_SEG_ITEMS * sizeof(sh_a128);
}

uint64_t sh_segments_bytes(uint32_t count)
{
	return items_bytes(count) + sizeof(sh_a32) * ((uint64_t)count + 1);
}

int sh_segments_init(struct sh_segments *s, struct sh_mem *mem, uint32_t count)
{
	assert(count >= 1 && count <= SEG_INDEX);
	sh_a64_init(&s->warm, 0);
	sh_a64_init(&s->cold, 0);
	sh_a32_init(&s->fresh, 0);
	sh_a32_init(&s->warm_n, 0);
	s->count = count;
	s->mem = mem;
	s->items = sh_mem_map(mem, items_bytes(count));
	s->next = sh_mem_map(mem, sizeof(sh_a32) * ((size_t)count + 1));
	return s->items && s->next ? 0 : SHUNT_ENOMEM;
}

void sh_segments_fini(struct sh_segments *s)
{
	if (s->count == 0)
		return;
	sh_mem_unmap(s->mem, s->items, items_bytes(s->count));
	sh_mem_unmap(s->mem, s->next, sizeof(sh_a32) * ((size_t)s->count + 1));
}

static uint32_t stack_pop(struct sh_segments *s, sh_a64 *stack)
{
	uint64_t top = sh_a64_load_acq(stack); /* mo segment.1 <- segment.1@lockfree/backlog.c: the link of the newest. */

	while ((uint32_t)top != 0) {
		/* mo rlx: discarded unless the CAS succeeds; every push and pop changes the count. */
		uint64_t below = sh_a32_load_rlx(&s->next[(uint32_t)top]);

		/* mo segment.1 <- segment.1@lockfree/backlog.c: the last user's accesses have ended. */
		if (sh_a64_cas_acq_rel_acq(stack, &top, ((top >> 32) + 1) << 32 | below))
			return (uint32_t)top;
	}
	return 0;
}

static void stack_push(struct sh_segments *s, sh_a64 *stack, uint32_t index)
{
	uint64_t top = sh_a64_load_rlx(stack); /* mo rlx: re-checked by the CAS. */

	do
		sh_a32_store_rlx(&s->next[index], (uint32_t)top); /* mo rlx: published by the CAS. */
	/* mo segment.1 -> segment.1@lockfree/backlog.c: link and items before the next user. */
	while (!sh_a64_cas_acq_rel(stack, &top, ((top >> 32) + 1) << 32 | index));
}

/* The newest that is warm, else one whose pages the kernel has, else one that was never used. */
static uint32_t segment_take(struct sh_segments *s)
{
	uint32_t index = stack_pop(s, &s->warm), n;

	if (index != 0) {
		(void)sh_a32_sub_rlx(&s->warm_n, 1); /* mo rlx: approximate. */
		return index;
	}
	index = stack_pop(s, &s->cold);
	if (index != 0)
		return index;
	n = sh_a32_load_rlx(&s->fresh); /* mo rlx: re-checked by the CAS. */
	while (n < s->count)
		if (sh_a32_cas_rlx(&s->fresh, &n, n + 1)) /* mo rlx: only its value counts. */
			return n + 1;
	return 0;
}

static void segment_give(struct sh_segments *s, uint32_t index)
{
	stack_push(s, &s->warm, index);
	(void)sh_a32_add_rlx(&s->warm_n, 1); /* mo rlx: approximate. */
}

/* The items of a segment were consumed. Its pages return to the kernel if many segments are free. */
static void segment_retire(struct sh_segments *s, uint32_t index)
{
	if (sh_likely(sh_a32_load_rlx(&s->warm_n) < SH_SEG_KEEP)) { /* mo rlx: approximate. */
		segment_give(s, index);
	} else {
		(void)sh_mem_drop(&s->items[(size_t)index * SH_SEG_ITEMS], SH_SEG_ITEMS * sizeof(sh_a128));
		stack_push(s, &s->cold, index);
	}
}

/* ---- the directory ---- */

void sh_backlog_init(struct sh_backlog *b, struct sh_segments *store, sh_a64 *dir, uint64_t places)
{
	assert(sh_is_pow2(places));
	sh_a64_init(&b->head, FIRST);
	sh_a64_init(&b->tail, FIRST);
	b->store = store;
	b->in.dir = dir;
	b->in.items = store->items;
	b->in.mask = places - 1;
	b->in.shift = sh_log2_u64(places);
	b->out = b->in;
}

static inline sh_a64 *place_of(const struct sh_backlog_at *at, uint64_t pos)
{
	return &at->dir[pos / SH_SEG_ITEMS & at->mask];
}

/* The second half of a mark: backlogs of one store have the same positions. */
static inline uint64_t owner_of(const struct sh_backlog *b)
{
	return (uint64_t)(uintptr_t)b;
}

/* Tag of the segment of a position; never 0, which an unused place has. */
static inline uint64_t tag_of(const struct sh_backlog_at *at, uint64_t pos)
{
	return (pos / SH_SEG_ITEMS >> at->shift) + 1;
}

static inline bool names(uint64_t entry, uint64_t tag)
{
	return entry >> SH_SEG_TAG_SHIFT == tag && (entry & SEG_INDEX) != 0;
}

static inline sh_a128 *slot_of(const struct sh_backlog_at *at, uint64_t entry, uint64_t pos)
{
	return &at->items[(entry & SEG_INDEX) * SH_SEG_ITEMS + pos % SH_SEG_ITEMS];
}

/* Empties a place whose segment was consumed; one thread wins and gives the segment back. */
static void retire(struct sh_backlog *b, sh_a64 *place, uint64_t entry)
{
	uint64_t seen = entry;

	SH_POINT("backlog.retire");
	/* mo segment.2 -> segment.2@lockfree/backlog.c: the place is free for the next segment. */
	if (sh_a64_cas_acq_rel(place, &seen, entry & ~SEG_INDEX))
		segment_retire(b->store, (uint32_t)(entry & SEG_INDEX));
}

/*
 * The place of position t names an older segment or none: installs a new one. False = the place is
 * in use, or no segment is left.
 */
static SH_NOINLINE bool install(struct sh_backlog *b, uint64_t t, uint64_t entry)
{
	sh_a64 *place = place_of(&b->in, t);
	uint64_t base = t - t % SH_SEG_ITEMS;
	uint32_t index, i;
	sh_a128 *items;

	if ((entry & SEG_INDEX) != 0) { /* its consumer may have stopped before it gave the segment back */
		uint64_t old = ((entry >> SH_SEG_TAG_SHIFT) - 1) << b->in.shift | (t / SH_SEG_ITEMS & b->in.mask);

		/* mo backlog.6 <- backlog.6@lockfree/backlog.c: the consumers' reads of its items have ended. */
		if (sh_a64_load_acq(&b->head) < (old + 1) * SH_SEG_ITEMS)
			return false;
		retire(b, place, entry);
		return true;
	}
	index = segment_take(b->store);
	if (index == 0)
		return false;
	items = &b->in.items[(size_t)index * SH_SEG_ITEMS];
	for (i = 0; i < SH_SEG_ITEMS; i++) {
		/* mo rlx: published with the place. */
		sh_a64_store_rlx(&items[i].lo, base + i);
		sh_a64_store_rlx(&items[i].hi, owner_of(b)); /* mo rlx: as above. */
	}
	SH_POINT("backlog.install");
	/* mo segment.2 <> segment.2@lockfree/backlog.c: the marks before the segment can be found. */
	if (!sh_a64_cas_sc(place, &entry, tag_of(&b->in, t) << SH_SEG_TAG_SHIFT | index))
		segment_give(b->store, index);
	return true;
}

/* Where to continue when t is stale: head or the hint has passed it. */
static uint64_t overtaken(struct sh_backlog *b, uint64_t t)
{
	uint64_t tail = sh_a64_load_acq(&b->tail); /* mo backlog.4 <- backlog.4@lockfree/backlog.c: as in push. */
	uint64_t h = sh_a64_load_acq(&b->head);    /* mo backlog.6 <- backlog.6@lockfree/backlog.c: the head that freed t's segment. */

	t = h > t ? h : t;
	return tail > t ? tail : t;
}

/* Puts the item into the first free slot from *at on; false = no segment is left. */
static inline bool put(struct sh_backlog *b, uint64_t *at, struct sh_item item)
{
	uint64_t t = *at;

	for (;;) {
		/* mo segment.2 <- segment.2@lockfree/backlog.c: the segment's marks. */
		uint64_t entry = sh_a64_load_acq(place_of(&b->in, t));
		uint64_t tag = tag_of(&b->in, t), lo;
		sh_a128 *slot;

		if (sh_unlikely(!names(entry, tag))) {
			if (entry >> SH_SEG_TAG_SHIFT >= tag)
				t = overtaken(b, t); /* consumed and given back */
			else if (!install(b, t, entry))
				return false;
			continue;
		}
		slot = slot_of(&b->in, entry, t);
		/* mo backlog.5 <- backlog.1@lockfree/backlog.c: of a slot filled meanwhile: what its producer knew. */
		lo = sh_a64_load_acq(&slot->lo);
		if (sh_unlikely(lo != t)) {
			if (lo & FILLED)
				t++; /* filled, by another producer */
			else
				t = overtaken(b, t); /* the segment serves other positions now */
			continue;
		}
		SH_POINT("backlog.push.before_cas");
		/*
		 * mo backlog.1 <> backlog.1@lockfree/backlog.c: what the item names before the slot, slot before
		 * the look for sleepers.
		 */
		if (!sh_a128_cas_sc(slot, t, owner_of(b), FILLED | item.meta, item.arg))
			continue;
		SH_POINT("backlog.push.after_cas");
		*at = t;
		return true;
	}
}

uint32_t sh_backlog_push_many(struct sh_backlog *b, const struct sh_item *items, uint32_t n)
{
	/* mo backlog.4 <- backlog.4@lockfree/backlog.c: a push that starts behind another sees its effects. */
	uint64_t hint = sh_a64_load_acq(&b->tail);
	uint64_t t = hint;
	uint32_t i;

	for (i = 0; i < n && put(b, &t, items[i]); i++, t++) {
		int64_t behind = (int64_t)(t - hint);

		if (((t + 1) % HINT_EVERY == 0 || behind >= (int64_t)HINT_EVERY) && behind >= 0
		    && sh_a64_cas_rel(&b->tail, &hint, t + 1)) /* mo backlog.4 -> backlog.4@lockfree/backlog.c: as in ring.c. */
			hint = t + 1;
	}
	return i;
}

static inline uint32_t take(struct sh_backlog *b, struct sh_item *items, uint32_t n, uint64_t mask, uint64_t want)
{
	uint64_t h = sh_a64_load_rlx(&b->head); /* mo rlx: re-checked by the CAS. */

	for (;;) {
		sh_a64 *place = place_of(&b->out, h);
		/* mo segment.2 <- segment.2@lockfree/backlog.c: the segment's marks. */
		uint64_t entry = sh_a64_load_acq(place);
		uint64_t left = SH_SEG_ITEMS - h % SH_SEG_ITEMS;
		uint32_t k = 0, most = left < n ? (uint32_t)left : n;

		while (names(entry, tag_of(&b->out, h)) && k < most) {
			const sh_a128 *slot = slot_of(&b->out, entry, h + k);
			/* mo backlog.2 <- backlog.1@lockfree/backlog.c: what the producer wrote before the slot. */
			uint64_t lo = sh_a64_load_acq(&slot->lo);

			if (!(lo & FILLED) || (lo & mask) != want)
				break;
			items[k].meta = lo & SH_ITEM_META;
			items[k++].arg = sh_a64_load_rlx(&slot->hi); /* mo rlx: discarded if the CAS fails. */
		}
		if (k == 0) {
			uint64_t seen = sh_a64_load_rlx(&b->head); /* mo rlx: its value separates a lost race from an empty backlog. */

			if (seen == h)
				return 0;
			h = seen;
			continue;
		}
		/* mo backlog.6 -> backlog.6@lockfree/backlog.c: these reads have ended. */
		if (sh_a64_cas_acq_rel(&b->head, &h, h + k)) {
			if (k == left)
				retire(b, place, entry);
			return k;
		}
	}
}

uint32_t sh_backlog_steal(struct sh_backlog *b, struct sh_item *items, uint32_t n)
{
	return take(b, items, n, 0, 0);
}

uint32_t sh_backlog_take_alike(struct sh_backlog *b, struct sh_item *items, uint32_t n, uint64_t mask, uint64_t want)
{
	return take(b, items, n, mask, want);
}

bool sh_backlog_look(const struct sh_backlog *b, uint64_t k, struct sh_item *item)
{
	uint64_t at = sh_a64_load_rlx(&b->head) + k; /* mo rlx: its last change is ordered by the caller. */
	/* mo segment.2 <> segment.2@lockfree/backlog.c: as sh_backlog_has. */
	uint64_t entry = sh_a64_load_sc(place_of(&b->out, at)), lo;
	const sh_a128 *slot;

	if (!names(entry, tag_of(&b->out, at)))
		return false;
	slot = slot_of(&b->out, entry, at);
	/* mo backlog.1 <> backlog.1@lockfree/backlog.c: as sh_backlog_has. */
	lo = sh_a64_load_sc(&slot->lo);
	*item = (struct sh_item){ lo & SH_ITEM_META, sh_a64_load_rlx(&slot->hi) }; /* mo rlx: acquired with lo. */
	return (lo & FILLED) != 0;
}

bool sh_backlog_has(const struct sh_backlog *b)
{
	/*
	 * mo rlx: head never passes a published item. A stale one finds its place or slot used for
	 * another position; then the newer head is read.
	 */
	uint64_t h = sh_a64_load_rlx(&b->head);

	for (;;) {
		/* mo segment.2 <> segment.2@lockfree/backlog.c: not installed: the push will see the sleeper. */
		uint64_t entry = sh_a64_load_sc(place_of(&b->out, h));
		uint64_t lo = h, seen;

		if (names(entry, tag_of(&b->out, h))) {
			/* mo backlog.1 <> backlog.1@lockfree/backlog.c: sleeper sees the item or producer sees the sleeper. */
			lo = sh_a64_load_sc(&slot_of(&b->out, entry, h)->lo);
			if (lo & FILLED)
				return true;
		}
		seen = sh_a64_load_rlx(&b->head); /* mo rlx: as above. */
		if (seen == h && lo == h) /* another mark: a newer head is on its way to this thread */
			return false;
		h = seen;
	}
}
