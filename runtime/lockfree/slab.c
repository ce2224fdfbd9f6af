/* lockfree/slab.c - see slab.h. SPDX-License-Identifier: MIT */
#include "lockfree/slab.h"

#include <shunt/error.h>

#include "base/inject.h"

#define CACHE_SHARE 1024u /* a cache may keep at most 1/1024 of a slab, so that small bounds stay sharp */

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

/* Pushes the batch idx[0..n-1]; idx[0] becomes its carrier. All items must belong to `nd`. */
static void slab_push_batch(struct sh_slab *s, struct sh_slab_node *nd, const uint32_t *idx, uint32_t n)
{
	struct sh_slab_item *carrier = slab_item(s, idx[0]);
	uint64_t head;
	uint32_t i;

	assert(n > 0 && n <= SH_SLAB_BATCH);
	carrier->count = n - 1;
	for (i = 1; i < n; i++)
		carrier->idx[i - 1] = idx[i];
	head = sh_a64_load_rlx(&nd->head); /* mo rlx: re-checked by the CAS. */
	do {
		sh_a32_store_rlx(&carrier->next, (uint32_t)head); /* mo rlx: published by the CAS below. */
		SH_POINT("slab.push.before_cas");
		/* mo A1 -> A2@lockfree/slab.c: the batch's content before its place in the stack. */
	} while (!sh_a64_cas_rel(&nd->head, &head, (((head >> 32) + 1) << 32) | idx[0]));
}

/* Pops one batch into out[0..SH_SLAB_BATCH-1]; returns its size, 0 = empty. */
static uint32_t slab_pop_batch(struct sh_slab *s, struct sh_slab_node *nd, uint32_t *out)
{
	/* mo A2 <- A1@lockfree/slab.c: the carrier's content, written before the push. */
	uint64_t head = sh_a64_load_acq(&nd->head);

	for (;;) {
		uint32_t top = (uint32_t)head;
		struct sh_slab_item *carrier;
		uint32_t next, n, i;

		if (top == 0)
			return 0;
		carrier = slab_item(s, top);
		next = sh_a32_load_rlx(&carrier->next); /* mo rlx: void unless the tagged CAS succeeds. */
		SH_POINT("slab.pop.before_cas");
		/* mo A2 <- A1@lockfree/slab.c: success and failure both acquire the batch that is on top. */
		if (!sh_a64_cas_acq_rel_acq(&nd->head, &head, (((head >> 32) + 1) << 32) | next))
			continue;
		n = carrier->count;
		out[0] = top;
		for (i = 0; i < n; i++)
			out[i + 1] = carrier->idx[i];
		return n + 1;
	}
}

/* Takes up to `want` items that were never used; returns how many and the first in *first. */
static uint32_t slab_take_fresh(struct sh_slab_node *nd, uint32_t want, uint32_t *first)
{
	uint32_t f = sh_a32_load_rlx(&nd->fresh); /* mo rlx: a bump counter; the items carry no content yet. */

	for (;;) {
		uint32_t n = nd->last - f < want ? nd->last - f : want;

		if (n == 0)
			return 0;
		if (sh_a32_cas_rlx(&nd->fresh, &f, f + n)) { /* mo rlx: as above; pages are zero from the kernel. */
			*first = f;
			return n;
		}
	}
}

static uint32_t slab_alloc_node(struct sh_slab *s, struct sh_slab_cache *cache, struct sh_slab_node *nd)
{
	uint32_t batch[SH_SLAB_BATCH];
	uint32_t want = cache && s->cache_max >= SH_SLAB_BATCH ? SH_SLAB_BATCH : 1;
	uint32_t n = slab_pop_batch(s, nd, batch);
	uint32_t first = 0;
	uint32_t i;

	if (n == 0) {
		n = slab_take_fresh(nd, want, &first);
		for (i = 0; i < n; i++)
			batch[i] = first + (n - 1 - i);
	}
	if (n == 0)
		return 0;
	if (n > 1) {
		if (cache && s->cache_max >= n - 1) { /* the cache is empty here */
			for (i = 0; i < n - 1; i++)
				cache->idx[cache->n++] = batch[i];
		} else {
			slab_push_batch(s, nd, batch, n - 1);
		}
	}
	return batch[n - 1];
}

uint32_t sh_slab_alloc_slow(struct sh_slab *s, struct sh_slab_cache *cache, uint32_t node)
{
	uint32_t i;

	assert(!cache || cache->n == 0);
	for (i = 0; i < s->nodes; i++) {
		uint32_t idx = slab_alloc_node(s, cache, &s->node[(node + i) % s->nodes]);

		if (idx != 0)
			return idx;
	}
	return 0;
}

/* Gives n items of mixed nodes back. */
static void slab_give(struct sh_slab *s, const uint32_t *idx, uint32_t n)
{
	uint32_t batch[SH_SLAB_BATCH];
	uint32_t node, i, k;

	if (s->nodes == 1) {
		slab_push_batch(s, &s->node[0], idx, n);
		return;
	}
	for (node = 0; node < s->nodes; node++) {
		for (i = 0, k = 0; i < n; i++)
			if (slab_node_of(s, idx[i]) == node)
				batch[k++] = idx[i];
		if (k > 0)
			slab_push_batch(s, &s->node[node], batch, k);
	}
}

void sh_slab_free_slow(struct sh_slab *s, struct sh_slab_cache *cache, uint32_t idx)
{
	uint32_t n, i;

	if (!cache || s->cache_max < SH_SLAB_BATCH) {
		if (cache && cache->n > 0)
			sh_slab_flush(s, cache);
		slab_give(s, &idx, 1);
		return;
	}
	n = cache->n < SH_SLAB_BATCH ? cache->n : SH_SLAB_BATCH;
	slab_give(s, cache->idx, n); /* the oldest: the newest are still in our cache lines */
	for (i = n; i < cache->n; i++)
		cache->idx[i - n] = cache->idx[i];
	cache->n -= n;
	cache->idx[cache->n++] = idx;
}

void sh_slab_flush(struct sh_slab *s, struct sh_slab_cache *cache)
{
	while (cache->n > 0) {
		uint32_t n = cache->n < SH_SLAB_BATCH ? cache->n : SH_SLAB_BATCH;

		cache->n -= n;
		slab_give(s, cache->idx + cache->n, n);
	}
}
