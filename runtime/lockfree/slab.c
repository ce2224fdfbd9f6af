/* lockfree/slab.c - see slab.h. SPDX-License-Identifier: MIT */
#include "lockfree/slab.h"

#include <shunt/error.h>

#include "base/inject.h"

/* Of a slab, most that a cache keeps, and a chain: small slabs stay usable to the end. */
#define CACHE_SHARE 1024u

static inline struct sh_slab_item *slab_item(const struct sh_slab *s, uint32_t idx)
{
	return sh_slab_at(s, idx);
}

static inline uint32_t slab_node_of(const struct sh_slab *s, uint32_t idx)
{
	return (idx - 1u) / s->per_node;
}

int sh_slab_init(struct sh_slab *s, struct sh_mem *mem, uint32_t capacity, uint32_t item_size, uint32_t nodes)
{
	uint32_t i;

	assert(capacity > 0 && nodes > 0 && nodes <= SH_SLAB_NODES_MAX);
	assert(item_size >= sizeof(struct sh_slab_item) && item_size % SH_CACHELINE == 0);
	s->mem = mem;
	s->item_size = item_size;
	s->capacity = capacity;
	s->nodes = nodes;
	s->per_node = (capacity + nodes - 1) / nodes;
	s->cache_max = capacity / CACHE_SHARE < SH_SLAB_CACHE ? capacity / CACHE_SHARE : SH_SLAB_CACHE;
	s->chain_max = capacity / CACHE_SHARE < 2 * SH_SLAB_CHAIN * SH_SLAB_BATCH ? 1 : SH_SLAB_CHAIN;
	s->bytes = ((size_t)s->per_node * nodes + 1) * item_size;
	s->base = sh_mem_map(mem, s->bytes);
	if (!s->base)
		return SHUNT_ENOMEM;
	s->node = sh_mem_alloc(mem, sizeof(*s->node) * nodes, SH_CACHELINE);
	if (!s->node) {
		sh_mem_unmap(mem, s->base, s->bytes);
		s->base = NULL;
		return SHUNT_ENOMEM;
	}
	for (i = 0; i < nodes; i++) {
		uint32_t first = i * s->per_node < capacity ? i * s->per_node : capacity;

		s->node[i].first = 1u + first;
		s->node[i].last = 1u + (capacity - first < s->per_node ? capacity : first + s->per_node);
		sh_a64_init(&s->node[i].head, 0);
		sh_a32_init(&s->node[i].fresh, s->node[i].first);
	}
	return 0;
}

void sh_slab_fini(struct sh_slab *s)
{
	if (!s->base)
		return;
	sh_mem_free(s->mem, s->node, sizeof(*s->node) * s->nodes, SH_CACHELINE);
	sh_mem_unmap(s->mem, s->base, s->bytes);
	s->base = NULL;
	s->node = NULL;
}

void *sh_slab_node_range(const struct sh_slab *s, uint32_t node, size_t *len)
{
	*len = (size_t)s->per_node * s->item_size;
	return sh_slab_at(s, s->node[node].first);
}

/* Writes the batch idx[0..n-1] into its carrier idx[0], before the chain `link`. */
static void slab_fill_batch(struct sh_slab *s, const uint32_t *idx, uint32_t n, uint32_t link)
{
	struct sh_slab_item *carrier = slab_item(s, idx[0]);
	uint32_t i;

	assert(n > 0 && n <= SH_SLAB_BATCH);
	carrier->count = n - 1;
	carrier->link = link;
	for (i = 1; i < n; i++)
		carrier->idx[i - 1] = idx[i];
}

/* Pushes a chain of batches. All items must belong to `nd`. */
static void slab_push_chain(struct sh_slab *s, struct sh_slab_node *nd, uint32_t top)
{
	struct sh_slab_item *carrier = slab_item(s, top);
	uint64_t head = sh_a64_load_rlx(&nd->head); /* mo rlx: re-checked by the CAS. */

	do {
		/* mo rlx: published by the CAS below. */
		sh_a32_store_rlx(&carrier->next, (uint32_t)head);
		SH_POINT("slab.push.before_cas");
		/* mo slab.1 -> slab.2@lockfree/slab.c: the batches' contents before their stack entry. */
	} while (!sh_a64_cas_rel(&nd->head, &head, (((head >> 32) + 1) << 32) | top));
}

/* Pops one chain of batches; 0 = empty. */
static uint32_t slab_pop_chain(struct sh_slab *s, struct sh_slab_node *nd)
{
	/* mo slab.2 <- slab.1@lockfree/slab.c: the carrier's contents, written before the push. */
	uint64_t head = sh_a64_load_acq(&nd->head);

	for (;;) {
		uint32_t top = (uint32_t)head;
		uint32_t next;

		if (top == 0)
			return 0;
		/* mo rlx: discarded unless the tagged CAS succeeds. */
		next = sh_a32_load_rlx(&slab_item(s, top)->next);
		SH_POINT("slab.pop.before_cas");
		/* mo slab.2 <- slab.1@lockfree/slab.c: success and failure acquire the top chain. */
		if (sh_a64_cas_acq_rel_acq(&nd->head, &head, (((head >> 32) + 1) << 32) | next))
			return top;
	}
}

/* Takes up to `want` never-used items. Returns how many, and the first in *first. */
static uint32_t slab_take_fresh(struct sh_slab_node *nd, uint32_t want, uint32_t *first)
{
	/* mo rlx: a bump counter; the items have no contents yet. */
	uint32_t f = sh_a32_load_rlx(&nd->fresh);

	for (;;) {
		uint32_t n = nd->last - f < want ? nd->last - f : want;

		if (n == 0)
			return 0;
		/* mo rlx: as above; the kernel gives zeroed pages. */
		if (sh_a32_cas_rlx(&nd->fresh, &f, f + n)) {
			*first = f;
			return n;
		}
	}
}

/* One item of a popped chain, for a caller without a cache. Pushes the rest back. */
static uint32_t slab_take_one(struct sh_slab *s, struct sh_slab_node *nd, uint32_t top)
{
	struct sh_slab_item *carrier = slab_item(s, top);

	if (carrier->count > 0) {
		uint32_t idx = carrier->idx[--carrier->count];

		slab_push_chain(s, nd, top);
		return idx;
	}
	if (carrier->link != 0)
		slab_push_chain(s, nd, carrier->link);
	return top;
}

/* Moves the first batch of the cache's chain into the empty cache. Returns one of its items. */
static uint32_t slab_open_batch(struct sh_slab *s, struct sh_slab_cache *cache)
{
	uint32_t top = cache->chain;
	const struct sh_slab_item *carrier = slab_item(s, top);
	uint32_t n = carrier->count;
	uint32_t i;

	cache->chain = carrier->link;
	if (cache->chain != 0)
		sh_prefetch_read(slab_item(s, cache->chain));
	for (i = 0; i < n; i++)
		cache->idx[cache->n++] = carrier->idx[i];
	/* sh_slab_alloc prefetches the others as it takes them */
	for (i = n > 6 ? n - 6 : 0; i < n; i++)
		sh_prefetch_write(slab_item(s, carrier->idx[i]));
	return top;
}

static uint32_t slab_alloc_node(struct sh_slab *s, struct sh_slab_cache *cache, struct sh_slab_node *nd)
{
	uint32_t top = slab_pop_chain(s, nd);
	uint32_t first = 0;
	uint32_t n, i;

	if (top != 0 && cache && s->cache_max >= SH_SLAB_BATCH) {
		cache->chain = top;
		return slab_open_batch(s, cache);
	}
	if (top != 0)
		return slab_take_one(s, nd, top);
	n = slab_take_fresh(nd, cache && s->cache_max >= SH_SLAB_BATCH ? SH_SLAB_BATCH : 1, &first);
	for (i = 1; i < n; i++)
		cache->idx[cache->n++] = first + (n - i);
	return n == 0 ? 0 : first;
}

uint32_t sh_slab_alloc_slow(struct sh_slab *s, struct sh_slab_cache *cache, uint32_t node)
{
	uint32_t i;

	assert(!cache || cache->n == 0);
	if (cache && cache->chain == 0 && cache->freed != 0) { /* what this thread freed itself */
		cache->chain = cache->freed;
		cache->freed = 0;
		cache->freed_n = 0;
	}
	if (cache && cache->chain != 0)
		return slab_open_batch(s, cache);
	for (i = 0; i < s->nodes; i++) {
		uint32_t idx = slab_alloc_node(s, cache, &s->node[(node + i) % s->nodes]);

		if (idx != 0)
			return idx;
	}
	return 0;
}

/* Returns n items of mixed nodes. */
static void slab_give(struct sh_slab *s, const uint32_t *idx, uint32_t n)
{
	uint32_t batch[SH_SLAB_BATCH];
	uint32_t node, i, k;

	for (node = 0; node < s->nodes; node++) {
		for (i = 0, k = 0; i < n; i++)
			if (s->nodes == 1 || slab_node_of(s, idx[i]) == node)
				batch[k++] = idx[i];
		if (k == 0)
			continue;
		slab_fill_batch(s, batch, k, 0);
		slab_push_chain(s, &s->node[node], batch[0]);
	}
}

static void slab_give_freed(struct sh_slab *s, struct sh_slab_cache *cache)
{
	uint32_t top = cache->freed;

	cache->freed = 0;
	cache->freed_n = 0;
	if (top != 0)
		slab_push_chain(s, &s->node[slab_node_of(s, top)], top);
}

/* The same for a full batch. If all of it is of one node, it goes through the cache's chain. */
static void slab_give_batch(struct sh_slab *s, struct sh_slab_cache *cache, const uint32_t *idx)
{
	uint32_t node = slab_node_of(s, idx[0]);
	uint32_t i;

	for (i = 1; s->nodes > 1 && i < SH_SLAB_BATCH; i++) {
		if (slab_node_of(s, idx[i]) != node) {
			slab_give(s, idx, SH_SLAB_BATCH);
			return;
		}
	}
	if (s->nodes > 1 && cache->freed != 0 && slab_node_of(s, cache->freed) != node)
		slab_give_freed(s, cache);
	slab_fill_batch(s, idx, SH_SLAB_BATCH, cache->freed);
	cache->freed = idx[0];
	if (++cache->freed_n >= s->chain_max)
		slab_give_freed(s, cache);
}

void sh_slab_free_slow(struct sh_slab *s, struct sh_slab_cache *cache, uint32_t idx)
{
	uint32_t i;

	if (!cache || s->cache_max < SH_SLAB_BATCH) {
		if (cache && cache->n > 0)
			sh_slab_flush(s, cache);
		slab_give(s, &idx, 1);
		return;
	}
	/* the oldest: the newest are still in this cpu's cache */
	slab_give_batch(s, cache, cache->idx);
	for (i = SH_SLAB_BATCH; i < cache->n; i++)
		cache->idx[i - SH_SLAB_BATCH] = cache->idx[i];
	cache->n -= SH_SLAB_BATCH;
	cache->idx[cache->n++] = idx;
}

void sh_slab_flush(struct sh_slab *s, struct sh_slab_cache *cache)
{
	slab_give_freed(s, cache);
	if (cache->chain != 0)
		slab_push_chain(s, &s->node[slab_node_of(s, cache->chain)], cache->chain);
	cache->chain = 0;
	while (cache->n > 0) {
		uint32_t n = cache->n < SH_SLAB_BATCH ? cache->n : SH_SLAB_BATCH;

		cache->n -= n;
		slab_give(s, cache->idx + cache->n, n);
	}
}
