/* lockfree/slab.c - see slab.h. SPDX-License-Identifier: MIT */
#include "lockfree/slab.h"

#include <shunt/error.h>

#include "base/inject.h"

/* Of a slab, most that a cache keeps, and a chain: small slabs stay usable to the end. */
#define CACHE_SHARE 1024u
/*
 * Items of a range. The kernel flushes the translations of up to 33 pages one by one, which costs more on some machines
 * than the pages do: 2048 records are 64 pages. Small slabs have smaller ranges, so that a trim withholds little.
 */
#define RANGE_ITEMS 2048u
#define RANGE_ITEMS_MIN 512u
#define RANGE_SHARE 64u /* of the items of a node */
#define RANGES_MAX 512u /* larger slabs have larger ranges */

static inline struct sh_slab_item *slab_item(const struct sh_slab *s, uint32_t idx)
{
	return sh_slab_at(s, idx);
}

static inline uint32_t slab_node_of(const struct sh_slab *s, uint32_t idx)
{
	return (idx - 1u) / s->per_node;
}

/* The tables of pages and ranges, which take memory only when a trim uses them. */
static bool slab_pages_init(struct sh_slab *s)
{
	struct sh_slab_range *range;
	uint32_t node_pages, n, i;

	for (i = 0; i < s->nodes; i++)
		s->node[i].range = NULL;
	s->ranges = 0;
	if (s->pages == 0)
		return true;
	node_pages = s->per_node / s->page_items + 2; /* with those that belong to other nodes as well */
	n = s->per_node / RANGE_SHARE;
	n = n < RANGE_ITEMS ? n : RANGE_ITEMS;
	n = n > RANGE_ITEMS_MIN ? n : RANGE_ITEMS_MIN;
	n = s->per_node / n > RANGES_MAX ? s->per_node / RANGES_MAX : n;
	s->range_pages = n / s->page_items > 0 ? n / s->page_items : 1;
	s->ranges = (node_pages + s->range_pages - 1) / s->range_pages;
	s->page = sh_mem_map(s->mem, s->pages * sizeof(*s->page));
	range = sh_mem_map(s->mem, (size_t)s->ranges * s->nodes * sizeof(*range));
	for (i = 0; i < s->nodes && range; i++)
		s->node[i].range = range + (size_t)i * s->ranges;
	return s->page && range;
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
	s->page = NULL;
	s->node = NULL;
	s->base = sh_mem_map(mem, s->bytes);
	if (!s->base)
		return SHUNT_ENOMEM;
	s->page_items = sh_mem_own_pages() ? (uint32_t)(sh_mem_page() / item_size) : 0;
	s->pages = s->page_items == 0 ? 0 : (uint32_t)(s->bytes / item_size / s->page_items);
	s->node = sh_mem_alloc(mem, sizeof(*s->node) * nodes, SH_CACHELINE);
	if (!s->node || !slab_pages_init(s)) {
		sh_slab_fini(s);
		return SHUNT_ENOMEM;
	}
	for (i = 0; i < nodes; i++) {
		uint32_t first = i * s->per_node < capacity ? i * s->per_node : capacity;

		s->node[i].first = 1u + first;
		s->node[i].last = 1u + (capacity - first < s->per_node ? capacity : first + s->per_node);
		sh_a64_init(&s->node[i].head, 0);
		sh_a32_init(&s->node[i].fresh, s->node[i].first);
		sh_a64_init(&s->node[i].dropped, 0);
		sh_a32_init(&s->node[i].dropped_n, 0);
		sh_a32_init(&s->node[i].sorted, 0);
		sh_a32_init(&s->node[i].moves, 0);
	}
	return 0;
}

void sh_slab_fini(struct sh_slab *s)
{
	if (!s->base)
		return;
	if (s->node)
		sh_mem_unmap(s->mem, s->node->range, (size_t)s->ranges * s->nodes * sizeof(*s->node->range));
	sh_mem_free(s->mem, s->node, sizeof(*s->node) * s->nodes, SH_CACHELINE);
	sh_mem_unmap(s->mem, s->page, s->pages * sizeof(*s->page));
	sh_mem_unmap(s->mem, s->base, s->bytes);
	s->base = NULL;
	s->page = NULL;
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

/* Pushes a chain of batches. All items must belong to the node that the stack is of. */
static void slab_push_chain(struct sh_slab *s, sh_a64 *stack, uint32_t top)
{
	struct sh_slab_item *carrier = slab_item(s, top);
	uint64_t head = sh_a64_load_rlx(stack); /* mo rlx: re-checked by the CAS. */

	do {
		/* mo rlx: published by the CAS below. */
		sh_a32_store_rlx(&carrier->next, (uint32_t)head);
		SH_POINT("slab.push.before_cas");
		/* mo slab.1 -> slab.2@lockfree/slab.c: the batches' contents before their stack entry. */
	} while (!sh_a64_cas_rel(stack, &head, (((head >> 32) + 1) << 32) | top));
}

/* Pops one chain of batches; 0 = empty. */
static uint32_t slab_pop_chain(struct sh_slab *s, sh_a64 *stack)
{
	/* mo slab.2 <- slab.1@lockfree/slab.c: the carrier's contents, written before the push. */
	uint64_t head = sh_a64_load_acq(stack);

	for (;;) {
		uint32_t top = (uint32_t)head;
		uint32_t next;

		if (top == 0)
			return 0;
		/* mo rlx: discarded unless the tagged CAS succeeds. */
		next = sh_a32_load_rlx(&slab_item(s, top)->next);
		SH_POINT("slab.pop.before_cas");
		/* mo slab.2 <- slab.1@lockfree/slab.c: success and failure acquire the top chain. */
		if (sh_a64_cas_acq_rel_acq(stack, &head, (((head >> 32) + 1) << 32) | next))
			return top;
	}
}

/* Items that come one by one, on their way back to a node's stack: full chains go there at once. */
struct giving {
	struct sh_slab *s;
	struct sh_slab_node *nd;
	uint32_t idx[SH_SLAB_BATCH], n;
	uint32_t chain, chains; /* carrier of what is complete, and how many batches that is */
};

static void giving_flush(struct giving *g)
{
	if (g->n != 0) {
		slab_fill_batch(g->s, g->idx, g->n, g->chain);
		g->chain = g->idx[0];
		g->chains++;
		g->n = 0;
	}
	if (g->chain != 0)
		slab_push_chain(g->s, &g->nd->head, g->chain);
	g->chain = 0;
	g->chains = 0;
}

static void giving_add(struct giving *g, uint32_t idx)
{
	g->idx[g->n++] = idx;
	if (g->n < SH_SLAB_BATCH)
		return;
	slab_fill_batch(g->s, g->idx, g->n, g->chain);
	g->chain = g->idx[0];
	g->n = 0;
	if (++g->chains >= g->s->chain_max)
		giving_flush(g);
}

static void page_push(struct sh_slab *s, struct sh_slab_node *nd, uint32_t page)
{
	uint64_t head = sh_a64_load_rlx(&nd->dropped); /* mo rlx: re-checked by the CAS. */

	(void)sh_a32_add_rlx(&nd->dropped_n, 1); /* mo rlx: a hint. */
	do {
		sh_a32_store_rlx(&s->page[page].next, (uint32_t)head); /* mo rlx: published by the CAS below. */
		SH_POINT("slab.page_push.before_cas");
		/* mo slab.3 -> slab.4@lockfree/slab.c: the page's `keep`, and that its memory is given back. */
	} while (!sh_a64_cas_rel(&nd->dropped, &head, (((head >> 32) + 1) << 32) | (page + 1)));
}

/* Opens a page that was given back: its items go to the stack, but one, which is returned. 0 = there is none. */
static uint32_t slab_open_page(struct sh_slab *s, struct sh_slab_node *nd)
{
	/* mo slab.4 <- slab.3@lockfree/slab.c: what the trimming thread did with the page. */
	uint64_t head = sh_a64_load_acq(&nd->dropped);
	struct giving g = { .s = s, .nd = nd };
	uint32_t page, i;

	do {
		if ((uint32_t)head == 0)
			return 0;
		page = (uint32_t)head - 1u;
		SH_POINT("slab.page_pop.before_cas");
		/* mo slab.4 <- slab.3@lockfree/slab.c: success and failure. `next` is discarded with another tag. */
	} while (!sh_a64_cas_acq_rel_acq(&nd->dropped, &head,
					 (((head >> 32) + 1) << 32) | sh_a32_load_rlx(&s->page[page].next)));
	(void)sh_a32_sub_rlx(&nd->dropped_n, 1); /* mo rlx: a hint. */
	for (i = 0; i < s->page_items; i++)
		/* mo rlx: published with the item. */
		sh_a64_store_rlx(&slab_item(s, page * s->page_items + i)->keep, s->page[page].keep);
	for (i = 1; i < s->page_items; i++)
		giving_add(&g, page * s->page_items + i);
	giving_flush(&g);
	return page * s->page_items;
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

		slab_push_chain(s, &nd->head, top);
		return idx;
	}
	if (carrier->link != 0)
		slab_push_chain(s, &nd->head, carrier->link);
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

/* Pops a chain of what a trim has sorted and not looked at yet; 0 = there is none. */
static uint32_t slab_pop_sorted(struct sh_slab *s, struct sh_slab_node *nd)
{
	uint32_t i;

	for (i = 0; i < s->ranges && sh_a32_load_rlx(&nd->sorted) != 0; i++) { /* mo rlx: raised before the push. */
		uint32_t top = slab_pop_chain(s, &nd->range[i].head);

		if (top != 0) {
			(void)sh_a32_sub_rlx(&nd->sorted, 1); /* mo rlx: the pop came before. */
			return top;
		}
	}
	return 0;
}

/* Pops a chain of the node. Looks again when a trim moved one from where this looks later to where it looked before. */
static uint32_t slab_pop(struct sh_slab *s, struct sh_slab_node *nd)
{
	uint32_t top = slab_pop_chain(s, &nd->head), moves = 0;

	if (sh_likely(top != 0 || s->ranges == 0))
		return top;
	do {
		moves = sh_a32_load_rlx(&nd->moves); /* mo rlx: one that is missed is in the trimming thread's hands. */
		top = slab_pop_sorted(s, nd);
		if (top == 0)
			top = slab_pop_chain(s, &nd->head);
	} while (top == 0 && moves != sh_a32_load_rlx(&nd->moves)); /* mo rlx: as above. */
	return top;
}

static uint32_t slab_alloc_node(struct sh_slab *s, struct sh_slab_cache *cache, struct sh_slab_node *nd)
{
	uint32_t top = slab_pop(s, nd);
	uint32_t first = 0;
	uint32_t n, i;

	if (top != 0 && cache && s->cache_max >= SH_SLAB_BATCH) {
		cache->chain = top;
		return slab_open_batch(s, cache);
	}
	if (top != 0)
		return slab_take_one(s, nd, top);
	first = s->page ? slab_open_page(s, nd) : 0;
	if (first != 0)
		return first;
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
		slab_push_chain(s, &s->node[node].head, batch[0]);
	}
}

static void slab_give_freed(struct sh_slab *s, struct sh_slab_cache *cache)
{
	uint32_t top = cache->freed;

	cache->freed = 0;
	cache->freed_n = 0;
	if (top != 0)
		slab_push_chain(s, &s->node[slab_node_of(s, top)].head, top);
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
		slab_push_chain(s, &s->node[slab_node_of(s, cache->chain)].head, cache->chain);
	cache->chain = 0;
	while (cache->n > 0) {
		uint32_t n = cache->n < SH_SLAB_BATCH ? cache->n : SH_SLAB_BATCH;

		cache->n -= n;
		slab_give(s, cache->idx + cache->n, n);
	}
}

/* ---- trim ---- */

/* A trim of a node. */
struct trim {
	struct giving g; /* what goes back to the node's stack */
	uint32_t first;  /* page of the node's first item */
	bool (*stop)(void *arg);
	void *arg;
};

static bool stopped(const struct trim *t)
{
	return t->stop && t->stop(t->arg);
}

/* What is done with each item of a chain; how many there were. A batch is read before its items are used otherwise. */
static uint32_t each_item(struct trim *t, uint32_t top, void (*use)(struct trim *t, uint32_t idx))
{
	struct sh_slab *s = t->g.s;
	uint32_t n = 0;

	while (top != 0) {
		const struct sh_slab_item *carrier = slab_item(s, top);
		const uint32_t count = carrier->count, link = carrier->link;
		uint32_t idx[SH_SLAB_BATCH - 1];

		sh_prefetch_read(slab_item(s, link));
		for (uint32_t i = 0; i < count; i++)
			idx[i] = carrier->idx[i];
		use(t, top);
		for (uint32_t i = 0; i < count; i++)
			use(t, idx[i]);
		n += count + 1;
		top = link;
	}
	return n;
}

static void range_push(struct trim *t, struct sh_slab_range *range)
{
	slab_fill_batch(t->g.s, range->idx, range->n, 0);
	range->items += range->n;
	range->n = 0;
	(void)sh_a32_add_rlx(&t->g.nd->sorted, 1); /* mo rlx: before the push, which releases. */
	slab_push_chain(t->g.s, &range->head, range->idx[0]);
}

static void sort_item(struct trim *t, uint32_t idx)
{
	const struct sh_slab *s = t->g.s;
	struct sh_slab_range *range = &t->g.nd->range[(idx / s->page_items - t->first) / s->range_pages];

	range->idx[range->n++] = idx;
	if (range->n == SH_SLAB_BATCH)
		range_push(t, range);
}

/* Sorts what is on the node's stack now. What comes meanwhile is sorted as well, within a bound. */
static void sort_all(struct trim *t)
{
	const struct sh_slab *s = t->g.s;
	struct sh_slab_node *nd = t->g.nd;
	uint32_t left = nd->last - nd->first, top = 0, i;

	while (left != 0 && !stopped(t) && (top = slab_pop_chain(t->g.s, &nd->head)) != 0) {
		uint32_t n = each_item(t, top, sort_item);

		left -= n < left ? n : left;
	}
	for (i = 0; i < s->ranges; i++)
		if (nd->range[i].n != 0)
			range_push(t, &nd->range[i]);
	(void)sh_a32_add_rlx(&nd->moves, 1); /* mo rlx: as in trim_range. */
}

/* Takes the stack of a range. Only trimming threads push there, one at a time. */
static uint32_t range_take(struct sh_slab_range *range)
{
	/* mo rlx: what it names was written by this thread, or before its turn. */
	uint64_t head = sh_a64_load_rlx(&range->head);

	do {
		SH_POINT("slab.trim.before_cas");
		if ((uint32_t)head == 0)
			break;
	} while (!sh_a64_cas_rlx(&range->head, &head, ((head >> 32) + 1) << 32)); /* mo rlx: as above. */
	range->items = 0;
	return (uint32_t)head;
}

static void count_item(struct trim *t, uint32_t idx)
{
	const struct sh_slab *s = t->g.s;

	sh_prefetch_read(slab_item(s, idx)); /* place_item reads it */
	if (idx / s->page_items < s->pages)
		s->page[idx / s->page_items].free++;
}

/*
 * An item of a page that is wholly free is left out; its generation counts for the page. A page with a fresh item, or
 * one of another node, never is.
 */
static void place_item(struct trim *t, uint32_t idx)
{
	struct sh_slab *s = t->g.s;
	uint32_t p = idx / s->page_items;

	if (p < s->pages && s->page[p].free == s->page_items) {
		uint64_t keep = sh_a64_load_rlx(&slab_item(s, idx)->keep); /* mo rlx: acquired with the list. */

		if (keep > s->page[p].keep)
			s->page[p].keep = keep;
	} else {
		giving_add(&t->g, idx);
	}
}

/* Gives the pages from..to - 1 back; where the kernel refuses, their items. */
static size_t drop_pages(struct giving *g, uint32_t from, uint32_t to)
{
	struct sh_slab *s = g->s;
	const size_t size = (size_t)(to - from) * s->page_items * s->item_size;
	const size_t bytes = sh_mem_drop(slab_item(s, from * s->page_items), size);

	for (; from < to; from++) {
		if (bytes != 0)
			page_push(s, g->nd, from);
		for (uint32_t i = 0; bytes == 0 && i < s->page_items; i++)
			giving_add(g, from * s->page_items + i);
	}
	return bytes;
}

/* What is done with each item of a list of chains. */
static uint32_t each_chain(struct trim *t, uint32_t list, void (*use)(struct trim *t, uint32_t idx))
{
	uint32_t n = 0;

	while (list != 0) {
		uint32_t next = sh_a32_load_rlx(&slab_item(t->g.s, list)->next); /* mo rlx: acquired with the list. */

		(void)each_item(t, list, use);
		list = next;
		n++;
	}
	return n;
}

/* Gives the whole pages of a range back, if it is to `drop` them, and puts its other items on the node's stack. */
static size_t trim_range(struct trim *t, uint32_t r, bool drop)
{
	struct sh_slab *s = t->g.s;
	struct sh_slab_node *nd = t->g.nd;
	const uint32_t first = t->first + r * s->range_pages;
	const uint32_t end = first + s->range_pages < s->pages ? first + s->range_pages : s->pages;
	uint32_t list = range_take(&nd->range[r]), p, from;
	size_t bytes = 0;

	if (list == 0)
		return 0;
	if (drop)
		(void)each_chain(t, list, count_item);
	for (p = first; p < end; p++)
		if (s->page[p].free == s->page_items)
			s->page[p].keep = 0;
	(void)sh_a32_sub_rlx(&nd->sorted, each_chain(t, list, place_item)); /* mo rlx: taken before. */
	for (p = from = first; p <= end; p++) {
		bool whole = p < end && s->page[p].free == s->page_items;

		if (!whole && from < p)
			bytes += drop_pages(&t->g, from, p);
		if (!whole)
			from = p + 1;
	}
	giving_flush(&t->g);
	for (p = first; p < end; p++)
		s->page[p].free = 0;
	(void)sh_a32_add_rlx(&nd->moves, 1); /* mo rlx: after the push; a look that misses it misses what this held. */
	return bytes;
}

/* The lowest ranges keep what is kept, and come on top: what is in use gathers there. */
static size_t trim_node(struct sh_slab *s, struct sh_slab_node *nd, struct trim *t, uint32_t keep)
{
	uint32_t kept = 0, first = 0, r;
	size_t bytes = 0;

	t->g = (struct giving){ .s = s, .nd = nd };
	t->first = nd->first / s->page_items;
	for (r = 0; r < s->ranges; r++)
		if ((uint32_t)sh_a64_load_rlx(&nd->range[r].head) == 0) /* mo rlx: what a trim left was taken. */
			nd->range[r].items = 0;
	sort_all(t);
	for (; first < s->ranges && kept < keep; first++)
		kept += nd->range[first].items;
	for (r = s->ranges; r-- > 0 && !stopped(t);)
		bytes += trim_range(t, r, r >= first);
	return bytes;
}

size_t sh_slab_trim(struct sh_slab *s, uint32_t keep, bool (*stop)(void *arg), void *arg)
{
	struct trim t = { .stop = stop, .arg = arg };
	size_t bytes = 0;

	for (uint32_t i = 0; i < s->nodes && s->page; i++)
		bytes += trim_node(s, &s->node[i], &t, keep);
	return bytes;
}

uint32_t sh_slab_in_memory(const struct sh_slab *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->nodes && s->page; i++) {
		const struct sh_slab_node *nd = &s->node[i];
		/* mo rlx: hints. */
		uint32_t used = sh_a32_load_rlx(&nd->fresh) - nd->first;
		uint32_t away = sh_a32_load_rlx(&nd->dropped_n) * s->page_items; /* mo rlx: as above. */

		n += used > away ? used - away : 0;
	}
	return n;
}

uint64_t sh_slab_traffic(const struct sh_slab *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->nodes; i++)
		/* mo rlx: hints. */
		n += (sh_a64_load_rlx(&s->node[i].head) >> 32) + sh_a32_load_rlx(&s->node[i].fresh);
	for (uint32_t i = 0; i < s->nodes; i++)
		n += sh_a32_load_rlx(&s->node[i].sorted); /* mo rlx: as above. */
	return n;
}
