/*
 * lockfree/slab.h - type-stable storage for job records and groups. Items are named by 32-bit
 * indexes, are never unmapped while the runtime lives, and move between threads in batches.
 *
 * Algorithm: Bonwick's magazines (USENIX 2001) over Treiber stacks.
 * - A thread keeps a small cache of free indexes, and exchanges surplus and shortage with a stack
 *   of batches. There is one stack per NUMA node.
 * - A batch is written into the memory of its first item, its carrier.
 * - A stack entry is a chain of up to SH_SLAB_CHAIN batches, so a thread that frees and one that
 *   allocates touch the stack's line once in SH_SLAB_CHAIN * SH_SLAB_BATCH items.
 * - A trim sorts the stack's items into ranges, each of which has a stack of its own, takes one range at a time,
 *   gives back the pages of which all items are free, and puts the other items on the node's stack again. Who finds
 *   that one empty takes from the ranges; a trim may end at any time, and the next one goes on.
 * - A page that was given back has a number in a stack of its own, and the highest `keep` of its items; it is opened
 *   again before a fresh item is used, and each item has that `keep` then: a generation never comes twice.
 * - Stack heads are {tag, index} words. The tag changes with every push and pop, and items are
 *   type-stable, so a stale pop fails its CAS (ABA needs 2^32 operations inside one pop).
 *
 * Threads: trim: one at a time. Alloc and free with a cache: the cache's owner. Without a cache (NULL): any thread. All
 * may run together.
 * Linearization: the CAS of a stack head, or of the fresh counter.
 * Progress: lock-free. A stopped thread withholds from the others at most its cache and two chains:
 * SH_SLAB_CACHE + 2 * SH_SLAB_CHAIN * SH_SLAB_BATCH items; of a small slab a fraction of that
 * (cache_max, chain_max). One that opens a page withholds its items. One that trims withholds a range and less than a
 * batch of each range, which is 3 % of a large slab (`unit/slab_test` measures it): meanwhile alloc may find none.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LOCKFREE_SLAB_H
#define SH_LOCKFREE_SLAB_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/mem.h"

#define SH_SLAB_BATCH 12u /* items per batch: the carrier and the 11 it names */
#define SH_SLAB_CHAIN 4u  /* batches per entry of a stack */
#define SH_SLAB_CACHE 24u /* free indexes a thread may keep besides its chains */
#define SH_SLAB_NODES_MAX 64u
#define SH_SLAB_TRIM_KEEP 3072u /* free items of a node that a trim leaves in memory, at least */

/* Layout of a free item. A live item may use every byte but must keep `next` atomic. */
struct sh_slab_item {
	sh_a32 next;      /* sync: atomic; next entry of the stack */
	uint32_t count;   /* sync: owner of the batch; entries of idx */
	sh_a64 keep;      /* sync: user's; kept while free (generation words) */
	/* sync: owner of the batch; carrier of the chain's next batch, 0 = last */
	uint32_t link;
	uint32_t idx[SH_SLAB_BATCH - 1]; /* sync: owner of the batch */
};

/* Some successive pages' items of a node while a trim sorts them. */
struct sh_slab_range {
	sh_a64 head;    /* sync: atomic; a stack of batches, as a node's */
	uint32_t items; /* sync: the trimming thread; that it has put there since it took the stack */
	/* sync: the trimming thread; the next batch, and how much of it there is */
	uint32_t n;
	uint32_t idx[SH_SLAB_BATCH];
};

struct sh_slab_node {
	sh_a64 head SH_ALIGNED(SH_CACHELINE); /* sync: atomic; {tag:32, index:32}; index 0 = none */
	sh_a32 fresh;                         /* sync: atomic; first never-used item */
	/* sync: const; the items of this node: first..last-1 */
	uint32_t first;
	uint32_t last;
	uint32_t pad;
	sh_a64 dropped SH_ALIGNED(SH_CACHELINE); /* sync: atomic; {tag:32, page + 1:32}; pages given back; 0 = none */
	/* sync: atomic; how many, a hint; entries of the stacks of ranges, or more; ranges that went back to `head` */
	sh_a32 dropped_n, sorted, moves;
	/* sync: const pointer; [ranges] */
	struct sh_slab_range *range;
};

/* What is known of a page of items. */
struct sh_slab_page {
	sh_a32 next;   /* sync: atomic; next entry of the stack of pages, + 1 */
	uint32_t free; /* sync: the trimming thread; items of the page in its hands */
	uint64_t keep; /* sync: owner of the page; highest of its items */
};

struct sh_slab {
	char *base;        /* sync: const */
	size_t bytes;      /* sync: const */
	struct sh_mem *mem;
	uint32_t item_size;/* sync: const; >= 64, multiple of 64 */
	uint32_t capacity; /* sync: const; usable items */
	uint32_t per_node; /* sync: const */
	uint32_t nodes;    /* sync: const */
	uint32_t cache_max;/* sync: const; most indexes in a cache, 0 for small slabs */
	uint32_t chain_max;/* sync: const; batches a cache chains before it returns them */
	struct sh_slab_node *node; /* sync: const pointer */
	struct sh_slab_page *page; /* sync: const pointer; NULL = pages are not given back */
	uint32_t page_items;       /* sync: const; items of a page */
	uint32_t pages;            /* sync: const */
	uint32_t range_pages;      /* sync: const; pages of a range */
	uint32_t ranges;           /* sync: const; of each node */
};

struct sh_slab_cache {
	uint32_t n;                   /* sync: owner */
	/* sync: owner; carrier to allocate from next, one node; 0 = none */
	uint32_t chain;
	uint32_t freed;               /* sync: owner; carrier to return, one node; 0 = none */
	uint32_t freed_n;             /* sync: owner; how many */
	uint32_t idx[SH_SLAB_CACHE];  /* sync: owner */
};

/* 0 or SHUNT_ENOMEM. Index 0 is never allocated. */
int sh_slab_init(struct sh_slab *s, struct sh_mem *mem, uint32_t capacity, uint32_t item_size, uint32_t nodes);
void sh_slab_fini(struct sh_slab *s);
/* Index of a free item, 0 = none left. `cache` may be NULL; `node` is the preferred node slot. */
uint32_t sh_slab_alloc_slow(struct sh_slab *s, struct sh_slab_cache *cache, uint32_t node);
void sh_slab_free_slow(struct sh_slab *s, struct sh_slab_cache *cache, uint32_t idx);
/* Returns everything in the cache (for an idle or ending thread). */
void sh_slab_flush(struct sh_slab *s, struct sh_slab_cache *cache);
/*
 * Gives free memory back to the kernel but for `keep` items of each node; the bytes. One thread at a time. Where `stop`
 * is given it is asked after each chain and each range, and true ends the trim there.
 */
size_t sh_slab_trim(struct sh_slab *s, uint32_t keep, bool (*stop)(void *arg), void *arg);
/* Items that have memory, free or not; a hint. */
uint32_t sh_slab_in_memory(const struct sh_slab *s);
/* A number that changes whenever threads exchange items with the stacks; a hint. */
uint64_t sh_slab_traffic(const struct sh_slab *s);
/* The memory range of a node slot, for binding. */
void *sh_slab_node_range(const struct sh_slab *s, uint32_t node, size_t *len);

static inline void *sh_slab_at(const struct sh_slab *s, uint32_t idx)
{
	return s->base + (size_t)idx * s->item_size;
}

static inline uint32_t sh_slab_alloc(struct sh_slab *s, struct sh_slab_cache *cache, uint32_t node)
{
	if (sh_likely(cache && cache->n > 0)) {
		uint32_t n = --cache->n;

		/* the thread that freed it owns the line: prefetch early */
		if (n >= 6)
			sh_prefetch_write(sh_slab_at(s, cache->idx[n - 6]));
		return cache->idx[n];
	}
	return sh_slab_alloc_slow(s, cache, node);
}

static inline void sh_slab_free(struct sh_slab *s, struct sh_slab_cache *cache, uint32_t idx)
{
	assert(idx != 0 && idx <= s->nodes * s->per_node);
	if (sh_likely(cache && cache->n < s->cache_max)) {
		cache->idx[cache->n++] = idx;
		return;
	}
	sh_slab_free_slow(s, cache, idx);
}

#endif
