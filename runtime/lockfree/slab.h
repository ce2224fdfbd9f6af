/*
 * lockfree/slab.h - type-stable storage for job descriptors, tracks and groups: items are named by 32-bit indexes,
 * never unmapped while the runtime lives, and travel between threads in batches.
 *
 * Algorithm: Bonwick's magazines (USENIX 2001) over Treiber stacks. A thread keeps a small cache of free indexes;
 * what is too many or too few is exchanged with a stack of batches, one stack per NUMA node. A batch is written into
 * the memory of its first item, its carrier; a stack entry is a chain of up to SH_SLAB_CHAIN batches, so that a thread
 * that frees and one that allocates meet at the stack's line once in SH_SLAB_CHAIN * SH_SLAB_BATCH items. Stack heads
 * are {tag, index} words; the tag changes with every push and pop, and items are type-stable, so a stale pop fails its
 * CAS (ABA needs 2^32 operations inside one pop).
 *
 *   alloc, free with a cache: the cache's owner. Without a cache (NULL): any thread. All may run together.
 *
 * Linearization: the CAS of a stack head, or of the fresh counter. Progress: lock-free. A stopped thread keeps at
 * most its cache and two chains (SH_SLAB_CACHE + 2 * SH_SLAB_CHAIN * SH_SLAB_BATCH items) from the others, and a
 * fraction of that from a small slab (cache_max, chain_max); one that is stopped while it splits a run that a trim left,
 * that run: 1/16 of the items that were ever used, at most 4096.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LOCKFREE_SLAB_H
#define SH_LOCKFREE_SLAB_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/mem.h"

#define SH_SLAB_BATCH 12u /* items per batch: the carrier and 11 named in it */
#define SH_SLAB_CHAIN 4u  /* batches per entry of a stack */
#define SH_SLAB_CACHE 24u /* free indexes a thread may keep beside its chains */
#define SH_SLAB_RUN 0x80000000u /* in `count`: not idx, but so many neighbours behind the carrier; always a chain of its own */
#define SH_SLAB_NODES_MAX 64u

/* What a free item looks like; live items may use every byte but must keep `next` atomic. */
struct sh_slab_item {
	sh_a32 next;      /* sync: atomic; next entry of the stack */
	uint32_t count;   /* sync: owner of the batch; entries of idx */
	sh_a64 keep;      /* sync: user's; survives being free (generation words live here) */
	uint32_t link;    /* sync: owner of the batch; carrier of the next batch in its chain, 0 = last */
	uint32_t idx[SH_SLAB_BATCH - 1]; /* sync: owner of the batch */
};

struct sh_slab_node {
	sh_a64 head SH_ALIGNED(SH_CACHELINE); /* sync: atomic; {tag:32, index:32} of the newest batch, index 0 = none */
	sh_a32 fresh;                         /* sync: atomic; items never used start here */
	uint32_t first;                       /* sync: const; index range of this node: first..last-1 */
	uint32_t last;
	uint32_t pad;
};

struct sh_slab {
	char *base;        /* sync: const */
	size_t bytes;      /* sync: const */
	struct sh_mem *mem;
	uint32_t item_size;/* sync: const; >= 64, multiple of 64 */
	uint32_t capacity; /* sync: const; usable items */
	uint32_t per_node; /* sync: const */
	uint32_t nodes;    /* sync: const */
	uint32_t cache_max;/* sync: const; what a cache may keep here, 0 for small slabs */
	uint32_t chain_max;/* sync: const; batches that it chains before it gives them back */
	struct sh_slab_node *node; /* sync: const pointer */
};

struct sh_slab_cache {
	uint32_t n;                   /* sync: owner */
	uint32_t chain;               /* sync: owner; carrier of the batches to allocate from next, all of one node; 0 = none */
	uint32_t freed;               /* sync: owner; carrier of the batches to give back, all of one node; 0 = none */
	uint32_t freed_n;             /* sync: owner; how many */
	uint32_t idx[SH_SLAB_CACHE];  /* sync: owner */
};

/* 0 or SHUNT_ENOMEM. Index 0 is never handed out. */
int sh_slab_init(struct sh_slab *s, struct sh_mem *mem, uint32_t capacity, uint32_t item_size, uint32_t nodes);
void sh_slab_fini(struct sh_slab *s);
/* A free item's index, 0 = full. `cache` may be NULL; `node` is the preferred node slot. */
uint32_t sh_slab_alloc_slow(struct sh_slab *s, struct sh_slab_cache *cache, uint32_t node);
void sh_slab_free_slow(struct sh_slab *s, struct sh_slab_cache *cache, uint32_t idx);
/* Gives everything in the cache back (an idle or ending thread). */
void sh_slab_flush(struct sh_slab *s, struct sh_slab_cache *cache);
/*
 * Gives the memory of free items back to the kernel, as whole pages, if 1 MiB or more was ever used; returns the bytes.
 * Runs of free neighbours (bounded, see above) are then one batch each, written into the first of them. For a slab whose items keep
 * nothing while they are free (`keep` reads as zero afterwards). Any thread; blocks in the kernel, for milliseconds
 * after a million items. What it holds meanwhile is not to be had: an alloc beside it may find less than there is, so
 * call it when the slab is quiet. Frees beside it are kept, and stale pops fail as always.
 */
uint64_t sh_slab_trim(struct sh_slab *s);
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

		if (n >= 6) /* the line belongs to the thread that freed it: start its way to us early */
			sh_prefetch_write(sh_slab_at(s, cache->idx[n - 6]));
		return cache->idx[n];
	}
	return sh_slab_alloc_slow(s, cache, node);
}

/* What the next alloc with this cache gives, 0 = not known yet: a hint for prefetching. */
static inline uint32_t sh_slab_next(const struct sh_slab_cache *cache)
{
	return cache->n > 0 ? cache->idx[cache->n - 1] : 0;
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
