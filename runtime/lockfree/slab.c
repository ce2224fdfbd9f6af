/* lockfree/slab.c - see slab.h. SPDX-License-Identifier: MIT */
#include "lockfree/slab.h"

#include <shunt/error.h>

#include "base/inject.h"

#define CACHE_SHARE 1024u /* a cache may keep at most 1/1024 of a slab, so that small bounds stay sharp; chains likewise */
#define TRIM_MIN_BYTES (UINT32_C(1) << 20)
#define TRIM_SHARE 16u      /* a run that trim leaves is 1/16 of what was ever used at most: a thread may be stopped with it, */
#define TRIM_RUN_MAX 4096u  /* and so many items; each keeps one page */

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
		sh_a32_store_rlx(&carrier->next, (uint32_t)head); /* mo rlx: published by the CAS below. */
		SH_POINT("slab.push.before_cas");
		/* mo A1 -> A2@lockfree/slab.c: the batches' content before their place in the stack. */
	} while (!sh_a64_cas_rel(&nd->head, &head, (((head >> 32) + 1) << 32) | top));
}

/* Pops one chain of batches; 0 = empty. */
static uint32_t slab_pop_chain(struct sh_slab *s, struct sh_slab_node *nd)
{
	/* mo A2 <- A1@lockfree/slab.c: the carrier's content, written before the push. */
	uint64_t head = sh_a64_load_acq(&nd->head);

	for (;;) {
		uint32_t top = (uint32_t)head;
		uint32_t next;

		if (top == 0)
			return 0;
		next = sh_a32_load_rlx(&slab_item(s, top)->next); /* mo rlx: void unless the tagged CAS succeeds. */
		SH_POINT("slab.pop.before_cas");
		/* mo A2 <- A1@lockfree/slab.c: success and failure both acquire the chain that is on top. */
		if (sh_a64_cas_acq_rel_acq(&nd->head, &head, (((head >> 32) + 1) << 32) | next))
			return top;
	}
}

/* Pushes the neighbours first..last. */
static void slab_push_run(struct sh_slab *s, struct sh_slab_node *nd, uint32_t first, uint32_t last)
{
	uint32_t batch[SH_SLAB_BATCH] = { first };
	uint32_t n = last - first + 1;
	uint32_t i;

	if (n > SH_SLAB_BATCH) {
		slab_item(s, first)->count = SH_SLAB_RUN | (n - 1);
		slab_item(s, first)->link = 0;
	} else {
		for (i = 0; i < n; i++)
			batch[i] = first + i;
		slab_fill_batch(s, batch, n, 0);
	}
	slab_push_chain(s, nd, first);
}

/* As slab_pop_chain, never a run: it is one batch then, and the rest goes back. */
static uint32_t slab_pop_batches(struct sh_slab *s, struct sh_slab_node *nd)
{
	uint32_t top = slab_pop_chain(s, nd);
	uint32_t batch[SH_SLAB_BATCH];
	uint32_t more, i;

	if (sh_likely(top == 0 || !(slab_item(s, top)->count & SH_SLAB_RUN)))
		return top;
	more = slab_item(s, top)->count & ~SH_SLAB_RUN;
	assert(more >= SH_SLAB_BATCH);
	slab_push_run(s, nd, top + SH_SLAB_BATCH, top + more);
	for (i = 0; i < SH_SLAB_BATCH; i++)
		batch[i] = top + i;
	slab_fill_batch(s, batch, SH_SLAB_BATCH, 0);
	return top;
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

/* One item of a popped chain for a caller without a cache; the rest goes back. */
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

/* Moves the first batch of the cache's chain into the cache, which is empty; returns one of its items. */
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
	for (i = n > 6 ? n - 6 : 0; i < n; i++) /* the last to come are asked for as they come (sh_slab_alloc) */
		sh_prefetch_write(slab_item(s, carrier->idx[i]));
	return top;
}

static uint32_t slab_alloc_node(struct sh_slab *s, struct sh_slab_cache *cache, struct sh_slab_node *nd)
{
	uint32_t top = slab_pop_batches(s, nd);
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

/* Gives n items of mixed nodes back. */
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

/* The same for a full batch, by way of the cache's chain when all of it is of one node. */
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
	slab_give_batch(s, cache, cache->idx); /* the oldest: the newest are still in our cache lines */
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

static bool bit_get(const uint64_t *map, uint32_t i)
{
	return (map[i / 64u] >> (i % 64u) & 1u) != 0;
}

struct trim {
	struct sh_slab *slab;
	struct sh_slab_node *node;
	uint64_t *map; /* a bit for each item of the node: it is free and ours */
	uint32_t taken;
	uint32_t end; /* where the last of them ends */
};

static void trim_mark(struct trim *t, uint32_t idx)
{
	uint32_t bit = idx - t->node->first;

	assert(bit < t->node->last - t->node->first && !bit_get(t->map, bit));
	t->map[bit / 64u] |= UINT64_C(1) << (bit % 64u);
	t->end = bit < t->end ? t->end : bit + 1;
	t->taken++;
}

/* Takes the whole stack and marks its items. */
static void trim_take_all(struct trim *t)
{
	uint32_t items = t->node->last - t->node->first;

	while (t->taken < items) { /* bound: items */
		uint32_t top = slab_pop_chain(t->slab, t->node);

		if (top == 0)
			break;
		for (; top != 0; top = slab_item(t->slab, top)->link) {
			const struct sh_slab_item *carrier = slab_item(t->slab, top);
			uint32_t n = carrier->count & ~SH_SLAB_RUN;
			uint32_t i;

			trim_mark(t, top);
			for (i = 0; i < n; i++)
				trim_mark(t, carrier->count & SH_SLAB_RUN ? top + 1 + i : carrier->idx[i]);
		}
	}
}

static uint64_t slab_trim_node(struct sh_slab *s, struct sh_slab_node *nd)
{
	uint32_t used = sh_a32_load_rlx(&nd->fresh) - nd->first; /* mo rlx: only whether it is worth it. */
	size_t bytes = ((size_t)(nd->last - nd->first) + 63u) / 64u * sizeof(uint64_t);
	struct trim t = { s, nd, NULL, 0, 0 };
	uint32_t longest = used / TRIM_SHARE < TRIM_RUN_MAX ? used / TRIM_SHARE : TRIM_RUN_MAX;
	uint64_t given = 0;
	uint32_t i, k;

	if ((uint64_t)used * s->item_size < TRIM_MIN_BYTES)
		return 0;
	longest = longest > SH_SLAB_BATCH ? longest : SH_SLAB_BATCH;
	t.map = sh_mem_map(s->mem, bytes);
	if (!t.map)
		return 0;
	trim_take_all(&t);
	for (i = 0; i < t.end; i = k == i ? k + 1 : k) {
		for (k = i; k < t.end && k - i < longest && bit_get(t.map, k);)
			k++;
		if (k == i)
			continue;
		if (k - i > SH_SLAB_BATCH) /* ours alone until the push; the first item carries the run */
			given += sh_mem_drop(sh_slab_at(s, nd->first + i + 1), (size_t)(k - i - 1) * s->item_size);
		slab_push_run(s, nd, nd->first + i, nd->first + k - 1);
	}
	sh_mem_unmap(s->mem, t.map, bytes);
	return given;
}

uint64_t sh_slab_trim(struct sh_slab *s)
{
	uint64_t given = 0;
	uint32_t i;

	for (i = 0; i < s->nodes; i++)
		given += slab_trim_node(s, &s->node[i]);
	return given;
}
