/*
 * lockfree/backlog.h - FIFO of items without a bound of its own, any number of producers and
 * consumers: what does not fit into the rings of a pool waits here, one backlog a level. Its memory
 * is segments of a type-stable store that the levels of a pool share.
 *
 * Algorithm: items have 64-bit positions. A directory names the segment of each run of
 * SH_SEG_ITEMS positions, as {tag, segment}: the tag says which use of the directory's place it is.
 * - A free slot carries its own position and backlog. A producer publishes an item with ONE
 *   compare-and-swap of the whole slot from that mark. The mark is used once, so a producer that was
 *   stopped for however long cannot fill a slot of another position, or of another level.
 * - The first producer of a segment takes one from the store, writes the marks, and installs it in
 *   the directory. The tail is a hint, as in ring.h.
 * - A consumer wins items by the compare-and-swap of head. The one that takes the last of a segment
 *   gives the segment back; if it stops before, the producer that needs the place in the directory
 *   does.
 * - The store hands out the segment that was freed last, so a burst uses the same memory again.
 *   Beyond SH_SEG_KEEP free ones, a freed segment's pages return to the kernel at once.
 *
 *   may run together      push  pop  steal  has
 *   push                    x    x     x     x     any threads
 *   pop, steal              x    x     x     x     any threads
 *
 * Linearization: push at its successful slot CAS; pop and steal at their successful CAS of head;
 * "empty" at the load of the slot, or of the directory.
 * Progress: lock-free, but for the system call that gives pages back (microseconds, by a consumer).
 * Bounds: as ring.h; the first push of a segment writes its SH_SEG_ITEMS marks.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LOCKFREE_BACKLOG_H
#define SH_LOCKFREE_BACKLOG_H

#include "base/mem.h"
#include "lockfree/item.h"

#ifndef SH_SEG_ITEMS /* a tool that explores interleavings defines it as 2 */
#define SH_SEG_ITEMS 512u
#endif
#define SH_SEG_KEEP 64u /* free segments whose pages stay */
#define SH_SEG_TAG_SHIFT 24u

/* The store of segments. Index 0 is none. */
struct sh_segments {
	/* sync: atomic; stacks of free segments, {pushes and pops:32 | newest:32}; the pages of the cold ones were dropped */
	sh_a64 warm SH_ALIGNED(SH_CACHELINE), cold;
	sh_a32 fresh;                         /* sync: atomic; segments ever used */
	sh_a32 warm_n;                        /* sync: atomic; number of warm ones, approximate */
	uint32_t count;                       /* sync: const; segments there are */
	sh_a128 *items;                       /* sync: const pointer; [(count + 1) * SH_SEG_ITEMS] */
	sh_a32 *next;                         /* sync: const pointer; [count + 1], links of the stack */
	struct sh_mem *mem;
};

/* How to find a slot. Consumers and producers have a copy each, beside what they write. */
struct sh_backlog_at {
	sh_a64 *dir;    /* sync: const pointer; {tag:40 | segment:24} */
	sh_a128 *items; /* sync: const pointer; the store's */
	uint64_t mask;  /* sync: const; places of the directory - 1 */
	uint32_t shift; /* sync: const; log2 of the places */
};

struct sh_backlog {
	sh_a64 head SH_ALIGNED(SH_CACHELINE); /* sync: atomic; position of the oldest item */
	struct sh_backlog_at out;
	struct sh_segments *store; /* sync: const */
	sh_a64 tail SH_ALIGNED(SH_CACHELINE); /* sync: atomic; hint: all before are filled */
	struct sh_backlog_at in;
};

/* A store of `count` segments, 1..2^24-1, reserved lazily: 0 or SHUNT_ENOMEM. */
int sh_segments_init(struct sh_segments *s, struct sh_mem *mem, uint32_t count);
void sh_segments_fini(struct sh_segments *s);
uint64_t sh_segments_bytes(uint32_t count);

/* `dir`: `places` (a power of two) zeroed words of the caller; more than the store has segments. */
void sh_backlog_init(struct sh_backlog *b, struct sh_segments *store, sh_a64 *dir, uint64_t places);
/* Appends n items in order, perhaps with others' between. Returns how many; fewer than n: no segment is left. */
uint32_t sh_backlog_push_many(struct sh_backlog *b, const struct sh_item *items, uint32_t n);
/* Takes up to n of the oldest items, in order; returns how many. One call ends at a segment's end. */
uint32_t sh_backlog_steal(struct sh_backlog *b, struct sh_item *items, uint32_t n);
/* The same, as long as the bits of `mask` in meta are `want`. */
uint32_t sh_backlog_take_alike(struct sh_backlog *b, struct sh_item *items, uint32_t n, uint64_t mask, uint64_t want);
/* The k-th item from the oldest one; false = there are no more. For a backlog of which nobody takes items meanwhile. */
bool sh_backlog_look(const struct sh_backlog *b, uint64_t k, struct sh_item *item);
/* Is an item visible, in the total order of pushes? */
bool sh_backlog_has(const struct sh_backlog *b);

/* Number of items, approximate. */
static inline uint64_t sh_backlog_count(const struct sh_backlog *b)
{
	uint64_t t = sh_a64_load_rlx(&b->tail); /* mo rlx: statistic. */
	uint64_t h = sh_a64_load_rlx(&b->head); /* mo rlx: statistic. */

	return t > h ? t - h : sh_backlog_has(b);
}

#endif
