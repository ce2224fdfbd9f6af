/*
 * model/clients/slab.c - clients of lockfree/slab.[ch]: allocation and release without caches, two poppers on one stack
 * (the tag), batches and chains of batches exchanged between caches, items of a remote node, and the counter of fresh
 * items. Run by the explorer and by native.c.
 *
 * An owner of an item overwrites, by plain writes, the fields that the stack uses while the item is free: a batch taken
 * without its content, or by two, is a data race or a wrong value. The slab is laid out by hand, small, with the cache
 * limit that sh_slab_init gives to large ones, so that the explorer need not keep megabytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lockfree/slab.h"

#include <string.h>

#include "client.h"
#include "sched/trim.h"

#define ITEMS_MAX 52u

static struct sh_slab slab;
static struct sh_slab_node nodes[2];
static struct sh_slab_cache caches[2];
static char memory[(ITEMS_MAX + 1u) * 64u] SH_ALIGNED(64);
static uint32_t held[3][ITEMS_MAX]; /* plain: what thread i has in its hands */
static uint32_t helds[3];
static uint32_t holder[ITEMS_MAX + 1u]; /* plain: 1 + thread that has the item, 0 = free */

static void slab_of(uint32_t capacity, uint32_t node_count, uint32_t cache_max)
{
	uint32_t i;

	memset(&slab, 0, sizeof(slab));
	memset(nodes, 0, sizeof(nodes));
	memset(caches, 0, sizeof(caches));
	memset(memory, 0, sizeof(memory));
	memset(holder, 0, sizeof(holder));
	memset(helds, 0, sizeof(helds));
	client_assert(capacity <= ITEMS_MAX && capacity % node_count == 0);
	slab.base = memory;
	slab.bytes = sizeof(memory);
	slab.item_size = 64;
	slab.capacity = capacity;
	slab.nodes = node_count;
	slab.per_node = capacity / node_count;
	slab.cache_max = cache_max;
	slab.chain_max = 1;
	slab.node = nodes;
	for (i = 0; i < node_count; i++) {
		nodes[i].first = 1u + i * slab.per_node;
		nodes[i].last = nodes[i].first + slab.per_node;
		sh_a64_init(&nodes[i].head, 0);
		sh_a32_init(&nodes[i].fresh, nodes[i].first);
	}
}

static void own(unsigned t, uint32_t idx)
{
	struct sh_slab_item *item;

	client_assert(idx >= 1 && idx <= slab.capacity);
	client_assert(holder[idx] == 0);
	holder[idx] = 1 + t;
	item = sh_slab_at(&slab, idx);
	item->count = 1000u + t; /* the user's from now on */
	item->idx[0] = 2000u + t;
	held[t][helds[t]++] = idx;
}

static bool get_from(unsigned t, struct sh_slab_cache *cache, uint32_t node)
{
	uint32_t idx = sh_slab_alloc(&slab, cache, node);

	if (idx == 0)
		return false;
	own(t, idx);
	return true;
}

/* Gives thread t's k-th item back. */
static void put_to(unsigned t, uint32_t k, struct sh_slab_cache *cache)
{
	uint32_t idx = held[t][k];
	struct sh_slab_item *item = sh_slab_at(&slab, idx);

	client_assert(holder[idx] == 1 + t);
	client_assert(item->count == 1000u + t && item->idx[0] == 2000u + t);
	holder[idx] = 0;
	held[t][k] = held[t][--helds[t]];
	sh_slab_free(&slab, cache, idx);
}

static bool get(unsigned t) { return get_from(t, NULL, 0); }
static void put(unsigned t, uint32_t k) { put_to(t, k, NULL); }

/* All that is free can be had, once each. */
static void none_lost(void)
{
	uint32_t in_use = helds[0] + helds[1] + helds[2], i;

	for (i = 0; i < 2; i++)
		sh_slab_flush(&slab, &caches[i]);
	while (in_use <= slab.capacity && get(0))
		in_use++;
	client_assert(in_use == slab.capacity);
}

/* `all` items, thread 0 and 1 hold the first ones, the rest is free, one item a batch, the lowest on top. */
static void stack_of(uint32_t all, uint32_t held_0, uint32_t held_1)
{
	uint32_t i;

	slab_of(all, 1, 0);
	for (i = 0; i < all; i++)
		client_assert(get(i < held_0 ? 0 : i < held_0 + held_1 ? 1
								       : 0));
	while (helds[0] > held_0)
		put(0, helds[0] - 1);
}

/* --- two poppers: A reads the top and its next, B takes both and gives the first one back: only the tag has changed */

static void aba_setup(void) { stack_of(3, 0, 0); }
static void aba_long_setup(void) { stack_of(4, 0, 0); }
static void aba_pop(void) { (void)get(0); }

static void aba_pop_pop_push(void)
{
	client_assert(get(1));
	client_assert(get(1));
	put(1, 0);
}

/*
 * The same after an even number of changes, and after a multiple of 4 and of 8: B takes all three and gives the first
 * one back, with pops and pushes of it in between. A tag of too few bits reads as it did.
 */
static void aba_changes(uint32_t n)
{
	client_assert(get(1));
	client_assert(get(1));
	if (n % 2 == 0)
		client_assert(get(1));
	put(1, 0);
	for (n -= n % 2 == 0 ? 4 : 3; n > 0; n -= 2) {
		client_assert(get(1));
		put(1, helds[1] - 1);
	}
}

static void aba_four(void) { aba_changes(4); }
static void aba_eight(void) { aba_changes(8); }
static void aba_sixteen(void) { aba_changes(16); }

static void aba_pop_maybe(void) { (void)get(0); }

static void aba_check(void)
{
	client_assert(helds[0] == 1);
	none_lost();
}

/* --- pop against push: what the popper installs is the pushed batch's own link, also after it lost the top once */

static void pop_push_setup(void) { stack_of(3, 0, 1); }
static void pop_two_0(void)
{
	client_assert(get(0));
	(void)get(0);
}
static void push_1(void) { put(1, 0); }

/* --- two pushers and a popper */

static void push_push_setup(void) { stack_of(3, 1, 1); }
static void push_0(void) { put(0, 0); }
static void pop_two_2(void)
{
	client_assert(get(2));
	(void)get(2);
}

/* --- a free item is given away and comes back: its content belongs to one at a time */

static void exchange_setup(void) { stack_of(2, 1, 1); }
static void push_pop_0(void)
{
	put(0, 0);
	client_assert(get(0));
}
static void push_pop_1(void)
{
	put(1, 0);
	client_assert(get(1));
}

static void push_pop_maybe_0(void)
{
	put(0, 0);
	(void)get(0);
}
static void pop_one_2(void) { (void)get(2); }

/* --- items never used yet */

static void fresh_setup(void) { slab_of(3, 1, 0); }
static void fresh_0(void) { client_assert(get(0)); }
static void fresh_push_1(void)
{
	client_assert(get(1));
	put(1, 0);
	client_assert(get(1));
}

/* --- magazines: thread 0's cache is full and gives a batch away; thread 1's is empty and takes one */

/* All `items` of one slab, thread 0 has them. */
static void all_held(uint32_t items, uint32_t node_count, uint32_t chain_max)
{
	uint32_t i;

	slab_of(items, node_count, SH_SLAB_CACHE);
	slab.chain_max = chain_max;
	for (i = 0; i < items; i++)
		client_assert(get_from(0, NULL, 0));
	client_assert(!get_from(0, NULL, 0));
}

/* Thread 0 gives n items back by way of a cache. */
static void put_some(uint32_t n, struct sh_slab_cache *cache)
{
	while (n-- > 0)
		put_to(0, 0, cache);
}

/* n items with a cache; false = there were fewer. */
static bool get_some(unsigned t, uint32_t n, struct sh_slab_cache *cache, uint32_t node)
{
	while (n > 0 && get_from(t, cache, node))
		n--;
	return n == 0;
}

static void magazine_setup(void)
{
	all_held(SH_SLAB_BATCH + SH_SLAB_CACHE + 1, 1, 1);
	put_some(SH_SLAB_BATCH, &caches[1]); /* for thread 1: one batch in the stack */
	sh_slab_flush(&slab, &caches[1]);
	put_some(SH_SLAB_CACHE, &caches[0]);
	client_assert(helds[0] == 1 && caches[0].n == SH_SLAB_CACHE && caches[1].n == 0);
}

static void magazine_free(void) { put_to(0, 0, &caches[0]); }

static void magazine_alloc(void)
{
	client_assert(get_from(1, &caches[1], 0));
	client_assert(caches[1].n == SH_SLAB_BATCH - 1);
	/* So that the next call takes the other batch, or none. */
	client_assert(get_some(1, SH_SLAB_BATCH - 1, &caches[1], 0));
	(void)get_from(1, &caches[1], 0);
}

/* --- chains: thread 0 fills two batches and gives them away at once; thread 1 takes both and opens one by one */

#define CHAIN_TWO (2u * SH_SLAB_BATCH)

static void chain_setup(void)
{
	all_held(SH_SLAB_CACHE + SH_SLAB_BATCH + 1, 1, 2);
	put_some(SH_SLAB_CACHE, &caches[0]);
}

static void chain_free(void)
{
	put_some(1, &caches[0]);
	client_assert(caches[0].freed != 0 && caches[0].freed_n == 1); /* so far nobody else's */
	put_some(SH_SLAB_BATCH, &caches[0]);
	client_assert(caches[0].freed == 0 && caches[0].freed_n == 0);
}

/* All or nothing: what was pushed together is taken together. */
static void chain_alloc(void)
{
	if (!get_from(1, &caches[1], 0))
		return;
	client_assert(caches[1].n == SH_SLAB_BATCH - 1 && caches[1].chain != 0);
	client_assert(get_some(1, CHAIN_TWO - 1, &caches[1], 0));
	client_assert(caches[1].chain == 0 && !get_from(1, &caches[1], 0));
}

/* --- the same, and a thread without a cache that takes one item off whatever chain is on top, and gives it back */

static void take_one_2(void)
{
	if (get(2))
		put(2, 0);
}

static void chain_some_1(void) { (void)get_some(1, CHAIN_TWO, &caches[1], 0); }

/* --- a chain whose first batch is its carrier alone: who takes the carrier puts the rest of the chain back */

static void carrier_setup(void)
{
	chain_setup();
	chain_free();
	while (((struct sh_slab_item *)sh_slab_at(&slab, (uint32_t)sh_a64_load_rlx(&nodes[0].head)))->count > 0)
		client_assert(get_from(0, NULL, 0));
	put_some(SH_SLAB_BATCH - 1, &caches[0]);
	client_assert(caches[0].n == SH_SLAB_CACHE && caches[0].freed_n == 0 && helds[0] == 0);
}

static void carrier_flush(void) { sh_slab_flush(&slab, &caches[0]); }

static void carrier_take_1(void)
{
	client_assert(get(1));
	client_assert(get(1));
}

/* --- a trim, against threads that take and give back: no item is lost, none has an older `keep` than it had */

#define PAGE_ITEMS 4u
#define RANGES 2u
static struct sh_slab_page pages[(ITEMS_MAX + 1u) / PAGE_ITEMS];
static struct sh_slab_range ranges[RANGES];
static uint32_t asked;

static void trim_setup(void)
{
	uint32_t i;

	stack_of(12, 0, 1);
	memset(pages, 0, sizeof(pages));
	slab.page = pages;
	slab.page_items = PAGE_ITEMS;
	slab.pages = (slab.capacity + 1u) / PAGE_ITEMS;
	slab.ranges = RANGES;
	slab.range_pages = slab.pages / RANGES + 1u;
	memset(ranges, 0, sizeof(ranges));
	nodes[0].range = ranges;
	asked = 0;
	sh_a64_init(&nodes[0].dropped, 0);
	for (i = 1; i <= slab.capacity; i++)
		sh_a64_init(&((struct sh_slab_item *)sh_slab_at(&slab, i))->keep, 100u + i);
}

static bool stop_at_5(void *arg)
{
	(void)arg;
	return asked++ >= 5;
}

static void trim_all(void) { (void)sh_slab_trim(&slab, 0, NULL, NULL); }
static void trim_part(void) { (void)sh_slab_trim(&slab, 0, stop_at_5, NULL); }
static void trim_twice(void)
{
	(void)sh_slab_trim(&slab, 0, NULL, NULL);
	(void)sh_slab_trim(&slab, 0, NULL, NULL);
}

static struct shunt_runtime world;

static void trim_world_setup(void)
{
	trim_setup();
	memset(&world, 0, sizeof(world));
	world.records = slab; /* the same nodes and items */
}

static void trim_world(void)
{
	uint64_t bytes = 0;

	(void)sh_trim(&world, NULL, NULL, &bytes);
}

static void trim_use_1(void)
{
	put(1, 0);
	(void)get(1);
	(void)get(1);
}

static void trim_use_2(void) { (void)get(2); }

static void trim_check(void)
{
	uint32_t i;

	none_lost();
	for (i = 1; i <= slab.capacity; i++)
		client_assert(sh_a64_load_rlx(&((struct sh_slab_item *)sh_slab_at(&slab, i))->keep) >= 100u + i);
}

/* Two threads open the pages that a trim has given back. */
static void reopen_setup(void)
{
	trim_setup();
	(void)sh_slab_trim(&slab, 0, NULL, NULL); /* run natively, the kernel has larger pages, and refuses */
}

static void reopen_0(void)
{
	for (uint32_t i = 0; i < 4; i++)
		(void)get(0);
}

static void reopen_2(void)
{
	for (uint32_t i = 0; i < 4; i++)
		(void)get(2);
}

/* --- a flush of everything a thread may keep, against one that allocates: what it has, and two chains */

static void flush_setup(void)
{
	all_held(SH_SLAB_CACHE + 2 * SH_SLAB_BATCH + 2, 1, 2);
	put_some(SH_SLAB_CACHE + SH_SLAB_BATCH + 1, &caches[1]); /* one chain into the stack, the rest behind it */
	client_assert(get_some(0, 1, &caches[0], 0)); /* its first batch is open, the other one in `chain` */
	client_assert(caches[0].chain != 0 && caches[0].n == SH_SLAB_BATCH - 1);
	sh_slab_flush(&slab, &caches[1]);
	client_assert(get_some(0, SH_SLAB_BATCH + 1, NULL, 0));
	put_some(SH_SLAB_CACHE - caches[0].n + 1, &caches[0]);
	client_assert(caches[0].chain != 0 && caches[0].freed_n == 1 && caches[0].n > 0);
}

static void flush_some(void) { sh_slab_flush(&slab, &caches[0]); }
static void flush_alloc(void) { (void)get_some(1, SH_SLAB_BATCH + 1, &caches[1], 0); }

/* --- a thread that has none left takes back what it freed, before it was given away */

static void reuse_setup(void)
{
	chain_setup();
	put_some(1, &caches[0]);
	client_assert(caches[0].freed_n == 1);
	client_assert(get_some(0, SH_SLAB_BATCH + 1, &caches[0], 0) && caches[0].n == 0);
}

static void reuse_0(void)
{
	client_assert(get_some(0, SH_SLAB_BATCH, &caches[0], 0));
	client_assert(caches[0].freed == 0 && caches[0].freed_n == 0);
	put_some(SH_SLAB_CACHE + 1, &caches[0]);
	sh_slab_flush(&slab, &caches[0]);
}

static void reuse_1(void)
{
	if (get_from(1, &caches[1], 0))
		put_to(1, 0, &caches[1]);
}

/* --- two nodes: a chain is of one; a batch from the other one sends it off, a mixed batch is sorted */

#define NODE_ITEMS (ITEMS_MAX / 2u)

static void put_idx(uint32_t idx, struct sh_slab_cache *cache)
{
	uint32_t k;

	for (k = 0; k < helds[0]; k++)
		if (held[0][k] == idx)
			break;
	client_assert(k < helds[0]);
	put_to(0, k, cache);
}

static void node_batch(uint32_t first, uint32_t n)
{
	while (n-- > 0)
		put_idx(first++, &caches[0]);
}

/* In the cache: one chain of node 0, then 12 of node 1, 6 of each, all of it to go with the next items. */
static void nodes_setup(void)
{
	all_held(2 * NODE_ITEMS, 2, 2);
	node_batch(1, SH_SLAB_BATCH);
	node_batch(1 + NODE_ITEMS, SH_SLAB_BATCH);
	node_batch(1 + SH_SLAB_BATCH, SH_SLAB_BATCH / 2);
	client_assert(caches[0].freed != 0 && caches[0].freed <= NODE_ITEMS);
	node_batch(1 + NODE_ITEMS + SH_SLAB_BATCH, SH_SLAB_BATCH / 2);
	client_assert(caches[0].n == SH_SLAB_CACHE && caches[0].freed_n == 1);
}

static void nodes_free(void)
{
	node_batch(2 * NODE_ITEMS, 1); /* node 0's batch goes, node 1's waits */
	client_assert(caches[0].freed > NODE_ITEMS && caches[0].freed_n == 1);
	node_batch(NODE_ITEMS - SH_SLAB_BATCH / 2, SH_SLAB_BATCH / 2);
	node_batch(2 * NODE_ITEMS - SH_SLAB_BATCH / 2, SH_SLAB_BATCH / 2);
	client_assert(caches[0].freed > NODE_ITEMS && caches[0].freed_n == 1); /* the mixed one went its own way */
	sh_slab_flush(&slab, &caches[0]);
}

static void nodes_alloc(void)
{
	(void)get_some(1, SH_SLAB_BATCH + 1, &caches[1], 0);
	sh_slab_flush(&slab, &caches[1]);
}

/* Each node's free items are on its own stack. */
static void nodes_check(void)
{
	uint32_t node, i, n;

	sh_slab_flush(&slab, &caches[0]);
	sh_slab_flush(&slab, &caches[1]);
	for (node = 0; node < 2; node++) {
		for (i = 1, n = 0; i <= NODE_ITEMS; i++)
			n += holder[node * NODE_ITEMS + i] == 0;
		for (i = helds[0]; n > 0; i++, n--)
			client_assert(get_from(0, NULL, node) && (held[0][i] > NODE_ITEMS) == (node == 1));
	}
	none_lost();
}

/* --- a thread without a cache finds a whole batch: it keeps one item and gives the rest back as a smaller batch */

static void split_setup(void)
{
	uint32_t i;

	slab_of(3, 1, 3);
	for (i = 0; i < 3; i++)
		client_assert(get(0));
	for (i = 0; i < 3; i++)
		put_to(0, 0, &caches[0]);
	sh_slab_flush(&slab, &caches[0]);
}

static void split_1(void) { (void)get(1); }

static void split_check(void)
{
	client_assert(helds[0] + helds[1] >= 1);
	none_lost();
}

/* --- a flush of items of two nodes, each to its own stack, against threads that prefer one of them */

static void remote_setup(void)
{
	uint32_t i;

	slab_of(4, 2, 4);
	for (i = 0; i < 4; i++)
		client_assert(get(0));
	client_assert(!get(0));
	for (i = 0; i < 4; i++)
		put_to(0, 0, &caches[0]);
}

static void remote_flush(void) { sh_slab_flush(&slab, &caches[0]); }

static void remote_alloc(void)
{
	if (get_from(1, NULL, 1))
		put(1, 0);
	(void)get_from(1, NULL, 0);
}

/* Those of node 1 that are free are on its own stack. */
static void remote_check(void)
{
	uint32_t i;

	for (i = 3; i <= 4; i++) {
		uint32_t before = helds[0];

		if (holder[3] != 0 && holder[4] != 0)
			break;
		client_assert(get_from(0, NULL, 1) && held[0][before] >= 3);
	}
	none_lost();
}

#define CLIENT(n, s, set, chk) .name = "slab." n, .shows = s, .setup = set, .check = chk

const struct client clients[] = {
	{ .name = "slab.aba", .shows = "two poppers on one stack: the tag tells an old top from a new one", .setup = aba_setup, .thread = { aba_pop, aba_pop_pop_push }, .check = aba_check },
	{ CLIENT("aba_four", "the same after four changes of the stack", aba_long_setup, none_lost),
	  .thread = { aba_pop_maybe, aba_four }, .bound = 3, .bound_long = 5 },
	{ CLIENT("aba_eight", "the same after eight", aba_long_setup, none_lost),
	  .thread = { aba_pop_maybe, aba_eight }, .bound = 2, .bound_long = 4 },
	{ CLIENT("aba_sixteen", "the same after sixteen", aba_long_setup, none_lost),
	  .thread = { aba_pop_maybe, aba_sixteen }, .bound = 2, .bound_long = 3 },
	{ .name = "slab.pop_push", .shows = "a popper sees the content of the batch that it takes", .setup = pop_push_setup, .thread = { pop_two_0, push_1 }, .check = none_lost },
	{ .name = "slab.push_push", .shows = "two pushers: no batch is lost", .setup = push_push_setup, .thread = { push_0, push_1 }, .check = none_lost },
	{ .name = "slab.push_push_pop", .shows = "two pushers and a popper of two", .setup = push_push_setup, .thread = { push_0, push_1, pop_two_2 }, .check = none_lost },
	{ .name = "slab.exchange", .shows = "two threads give and take: an item has one owner at a time", .setup = exchange_setup, .thread = { push_pop_0, push_pop_1 }, .check = none_lost },
	{ .name = "slab.exchange_three", .shows = "the same with a third thread that only takes", .setup = exchange_setup, .thread = { push_pop_maybe_0, push_1, pop_one_2 }, .check = none_lost },
	{ .name = "slab.fresh", .shows = "fresh items are handed out once", .setup = fresh_setup, .thread = { fresh_0, fresh_push_1 }, .check = none_lost },
	{ .name = "slab.magazine", .shows = "a full cache gives a batch, an empty one takes it", .setup = magazine_setup, .thread = { magazine_free, magazine_alloc }, .check = none_lost },
	{ .name = "slab.chain", .shows = "two batches are given and taken at once: the second one's content is seen too", .setup = chain_setup, .thread = { chain_free, chain_alloc }, .check = none_lost },
	{ .name = "slab.chain_one", .shows = "the same while a thread without a cache takes one item off the chain", .setup = chain_setup, .thread = { chain_free, chain_some_1, take_one_2 }, .check = none_lost },
	{ .name = "slab.carrier", .shows = "a chain's last item of its first batch is taken: the rest of the chain stays", .setup = carrier_setup, .thread = { carrier_flush, carrier_take_1 }, .check = none_lost },
	{ .name = "slab.flush", .shows = "a cache and both its chains are flushed while another allocates", .setup = flush_setup, .thread = { flush_some, flush_alloc }, .check = none_lost },
	{ .name = "slab.reuse", .shows = "a thread takes back what it freed before it was given away", .setup = reuse_setup, .thread = { reuse_0, reuse_1 }, .check = none_lost },
	{ .name = "slab.nodes", .shows = "chains are of one node: batches of two nodes and mixed ones come back where they belong", .setup = nodes_setup, .thread = { nodes_free, nodes_alloc }, .check = nodes_check },
	{ .name = "slab.split", .shows = "a batch taken for one item goes back without it", .setup = split_setup, .thread = { aba_pop, split_1 }, .check = split_check },
	{ .name = "slab.remote", .shows = "a cache of two nodes is flushed to both while another allocates", .setup = remote_setup, .thread = { remote_flush, remote_alloc }, .check = remote_check },
	{ CLIENT("trim", "pages are given back while others take and give: nothing is lost", trim_setup, trim_check),
	  .thread = { trim_all, trim_use_1 }, .bound = 3, .bound_long = 4 },
	{ CLIENT("trim_twice", "the same twice, against two threads", trim_setup, trim_check),
	  .thread = { trim_twice, trim_use_1, trim_use_2 }, .bound = 2, .bound_long = 3 },
	{ CLIENT("trim_part", "a trim that ends early: what it has sorted is found", trim_setup, trim_check),
	  .thread = { trim_part, trim_use_1, trim_use_2 }, .bound = 2, .bound_long = 3 },
	{ CLIENT("trim_turns", "two threads trim one after the other, or one is refused", trim_world_setup, trim_check),
	  .thread = { trim_world, trim_world }, .bound = 2, .bound_long = 3 },
	{ CLIENT("reopen", "two threads open pages that were given back", reopen_setup, trim_check),
	  .thread = { reopen_0, NULL, reopen_2 }, .bound = 3, .bound_long = 4 },
	{ 0 },
};
