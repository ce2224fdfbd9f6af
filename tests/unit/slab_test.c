/*
 * lockfree/slab: exactly as many items as asked for, each handed out once at a time, with and without caches, over
 * several nodes, and between threads that free what others allocated.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "base/inject.h"
#include "base/mem.h"
#include "base/rng.h"
#include "item_util.h"
#include "lockfree/ring.h"
#include "lockfree/slab.h"

#define THREADS 3u

static struct sh_mem mem;

static int setup(void **state)
{
	(void)state;
	return sh_mem_init(&mem);
}

static int teardown(void **state)
{
	(void)state;
	sh_mem_fini(&mem);
	return 0;
}

/* Takes everything, checks that no index comes twice, gives everything back. */
static void drain_once(struct sh_slab *s, uint32_t capacity, uint32_t node)
{
	uint8_t *seen = calloc(1, (size_t)capacity + 65);
	uint32_t *got = calloc(capacity, sizeof(*got));
	uint32_t n = 0;
	uint32_t idx;

	assert_true(seen && got);
	while ((idx = sh_slab_alloc(s, NULL, node)) != 0) {
		assert_true(n < capacity);
		assert_true(idx <= capacity + 64);
		assert_int_equal(seen[idx], 0);
		seen[idx] = 1;
		got[n++] = idx;
	}
	assert_int_equal(n, capacity);
	while (n > 0)
		sh_slab_free(s, NULL, got[--n]);
	free(got);
	free(seen);
}

static void test_capacity(void **state)
{
	static const uint32_t capacities[] = { 1, 2, 12, 13, 14, 26, 64, 65, 100, 1000, 5000 };
	struct sh_slab s;
	uint32_t i, nodes;

	(void)state;
	for (i = 0; i < 11; i++)
		for (nodes = 1; nodes <= 5; nodes++) {
			memset(&s, 0, sizeof(s));
			assert_int_equal(sh_slab_init(&s, &mem, capacities[i], 64, nodes), 0);
			drain_once(&s, capacities[i], 0);
			drain_once(&s, capacities[i], nodes - 1);
			drain_once(&s, capacities[i], 0);
			sh_slab_fini(&s);
		}
	assert_int_equal(sh_a64_load_rlx(&mem.mapped), 0);
	assert_int_equal(sh_a64_load_rlx(&mem.bytes), 0);
}

static void test_keep_survives(void **state)
{
	struct sh_slab s;
	uint32_t idx[40];
	uint32_t i;

	(void)state;
	memset(&s, 0, sizeof(s));
	assert_int_equal(sh_slab_init(&s, &mem, 40, 64, 1), 0);
	for (i = 0; i < 40; i++) {
		struct sh_slab_item *item;

		idx[i] = sh_slab_alloc(&s, NULL, 0);
		item = sh_slab_at(&s, idx[i]);
		assert_int_equal(sh_a64_load_rlx(&item->keep), 0); /* pages start zeroed */
		sh_a64_store_rlx(&item->keep, UINT64_C(1000) + idx[i]);
	}
	for (i = 0; i < 40; i++)
		sh_slab_free(&s, NULL, idx[i]);
	for (i = 0; i < 40; i++) {
		uint32_t again = sh_slab_alloc(&s, NULL, 0);

		assert_true(again != 0);
		assert_int_equal(sh_a64_load_rlx(&((struct sh_slab_item *)sh_slab_at(&s, again))->keep), 1000 + again);
	}
	sh_slab_fini(&s);
}

/* What one cache holds is bounded, and a flush makes all of it visible to others. */
static void caches(uint32_t capacity, uint32_t chain_max)
{
	struct sh_slab_cache a = { 0 };
	struct sh_slab s;
	uint32_t *got = calloc(capacity, sizeof(*got));
	uint32_t n = 0;
	uint32_t idx;

	assert_non_null(got);
	memset(&s, 0, sizeof(s));
	assert_int_equal(sh_slab_init(&s, &mem, capacity, 64, 1), 0);
	assert_int_equal(s.cache_max, SH_SLAB_CACHE);
	assert_int_equal(s.chain_max, chain_max);
	while ((idx = sh_slab_alloc(&s, &a, 0)) != 0) {
		assert_true(n < capacity);
		got[n++] = idx;
	}
	assert_int_equal(n, capacity);
	while (n > 0) {
		sh_slab_free(&s, &a, got[--n]);
		assert_true(a.n <= SH_SLAB_CACHE);
		assert_true(a.freed_n < chain_max);
	}
	sh_slab_flush(&s, &a);
	assert_int_equal(a.n, 0);
	assert_int_equal(a.chain, 0);
	assert_int_equal(a.freed, 0);
	drain_once(&s, capacity, 0);
	sh_slab_fini(&s);
	free(got);
}

static void test_caches(void **state)
{
	(void)state;
	caches(SH_SLAB_CACHE * 1024, 1);
	caches(2 * SH_SLAB_CHAIN * SH_SLAB_BATCH * 1024, SH_SLAB_CHAIN); /* large enough for chains of batches */
}

/* What a thread freed serves its own next allocations, without a look at the stack. */
static void test_own_chain(void **state)
{
	const uint32_t capacity = 2 * SH_SLAB_CHAIN * SH_SLAB_BATCH * 1024;
	struct sh_slab_cache a = { 0 };
	uint32_t got[2 * SH_SLAB_CACHE + SH_SLAB_BATCH];
	struct sh_slab s;
	uint64_t head;
	uint32_t i;

	(void)state;
	memset(&s, 0, sizeof(s));
	assert_int_equal(sh_slab_init(&s, &mem, capacity, 64, 1), 0);
	for (i = 0; i < sizeof(got) / sizeof(got[0]); i++)
		got[i] = sh_slab_alloc(&s, &a, 0);
	head = sh_a64_load_rlx(&s.node[0].head);
	while (i > 0)
		sh_slab_free(&s, &a, got[--i]);
	for (i = 0; i < sizeof(got) / sizeof(got[0]); i++)
		got[i] = sh_slab_alloc(&s, &a, 0);
	assert_true(sh_a64_load_rlx(&s.node[0].head) == head);
	while (i > 0)
		sh_slab_free(&s, &a, got[--i]);
	sh_slab_flush(&s, &a);
	sh_slab_fini(&s);
}

/* Items of all nodes, freed through one cache, go home: each node can be emptied again. */
static void test_nodes_mixed(void **state)
{
	const uint32_t capacity = 3 * 16 * 1024;
	struct sh_slab_cache cache = { 0 };
	struct sh_slab s;
	uint32_t *got = calloc(capacity, sizeof(*got));
	struct sh_rng rng;
	uint32_t n, i;

	(void)state;
	assert_non_null(got);
	memset(&s, 0, sizeof(s));
	assert_int_equal(sh_slab_init(&s, &mem, capacity, 64, 3), 0);
	for (n = 0; n < capacity; n++) {
		got[n] = sh_slab_alloc(&s, NULL, n % 3);
		assert_int_equal((got[n] - 1) / s.per_node, n % 3); /* its own node while that has any */
	}
	sh_rng_init(&rng, tu_seed());
	for (i = n - 1; i > 0; i--) {
		uint32_t k = sh_rng_below(&rng, i + 1);
		uint32_t t = got[i];

		got[i] = got[k];
		got[k] = t;
	}
	for (i = 0; i < n; i++)
		sh_slab_free(&s, &cache, got[i]);
	sh_slab_flush(&s, &cache);
	for (n = 0; n < capacity; n++) {
		got[n] = sh_slab_alloc(&s, NULL, n % 3);
		assert_int_equal((got[n] - 1) / s.per_node, n % 3);
	}
	sh_slab_fini(&s);
	free(got);
}

/* ---- the tag: a pop that stood between its look at the top and its exchange, for any number of operations ---- */

struct stopped {
	struct sh_slab *slab;
	uint32_t changes; /* of the stack's top, meanwhile; at least 3, or 0 = none */
	uint32_t taken[2];
};

/*
 * The stopped pop has seen the top and what is below. Others take the first two or three, whichever makes the number
 * of changes right, and give the first one back, with pops and pushes of it in between: it is on top again, and what
 * was below is theirs.
 */
static int change_top(void *arg, const char *point)
{
	struct stopped *s = arg;
	uint32_t n = s->changes;
	uint32_t top;

	if (n == 0 || strcmp(point, "slab.pop.before_cas") != 0)
		return 0;
	s->changes = 0;
	top = sh_slab_alloc(s->slab, NULL, 0);
	s->taken[0] = sh_slab_alloc(s->slab, NULL, 0);
	if (n % 2 == 0)
		s->taken[1] = sh_slab_alloc(s->slab, NULL, 0);
	sh_slab_free(s->slab, NULL, top);
	for (n -= n % 2 == 0 ? 4 : 3; n > 0; n -= 2) {
		assert_int_equal(sh_slab_alloc(s->slab, NULL, 0), top);
		sh_slab_free(s->slab, NULL, top);
	}
	return 0;
}

/* One item a batch, all of them in the stack; the tag begins at `tag`. */
static void stop_a_pop(uint32_t changes, uint32_t tag)
{
	enum { ITEMS = 4 };
	struct stopped stopped = { NULL, changes, { 0, 0 } };
	uint32_t held[ITEMS] = { 0 };
	bool had[ITEMS + 1] = { false };
	struct sh_slab s;
	uint32_t n, i;

	memset(&s, 0, sizeof(s));
	assert_int_equal(sh_slab_init(&s, &mem, ITEMS, 64, 1), 0);
	for (i = 0; i < ITEMS; i++)
		held[i] = sh_slab_alloc(&s, NULL, 0);
	for (i = 0; i < ITEMS; i++)
		sh_slab_free(&s, NULL, held[i]);
	sh_a64_init(&s.node[0].head, (uint64_t)tag << 32 | (uint32_t)sh_a64_load_rlx(&s.node[0].head));
	stopped.slab = &s;
	sh_inject_set(change_top, &stopped);
	held[0] = sh_slab_alloc(&s, NULL, 0);
	sh_inject_set(NULL, NULL);
	assert_int_equal(stopped.changes, 0);
	n = 1;
	for (i = 0; i < 2; i++)
		if (stopped.taken[i] != 0)
			held[n++] = stopped.taken[i];
	while (n < ITEMS && (i = sh_slab_alloc(&s, NULL, 0)) != 0)
		held[n++] = i;
	assert_int_equal(n, ITEMS);
	assert_int_equal(sh_slab_alloc(&s, NULL, 0), 0);
	for (i = 0; i < ITEMS; i++) { /* each once */
		assert_in_range(held[i], 1, ITEMS);
		assert_false(had[held[i]]);
		had[held[i]] = true;
	}
	sh_slab_fini(&s);
}

static void test_stopped_pop(void **state)
{
	uint32_t changes, tag;

	(void)state;
	for (changes = 3; changes <= 520; changes++)
		for (tag = UINT32_MAX - 7; tag != 8; tag++) /* where it wraps meanwhile, too */
			stop_a_pop(changes, tag);
	stop_a_pop(1u << 16, 0);
}

/* ---- threads ---- */

struct crowd {
	struct sh_slab slab;
	struct sh_ring ring; /* what one thread allocated another frees */
	sh_a128 slots[256];
	uint8_t *owned;
	uint32_t rounds;
	bool caches;
	atomic_bool twice;
	atomic_bool over;
};

struct member {
	struct crowd *crowd;
	uint32_t index;
};

static void *trader(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->crowd;
	struct sh_slab_cache cache = { 0 };
	struct sh_slab_cache *mine = c->caches ? &cache : NULL;
	struct sh_item item;
	struct sh_rng rng;
	uint32_t i, k, idx;

	sh_rng_init(&rng, tu_seed() + m->index);
	for (i = 0; i < c->rounds; i++) {
		uint32_t n = sh_rng_below(&rng, 40);

		for (k = 0; k < n; k++) {
			idx = sh_slab_alloc(&c->slab, mine, m->index);
			if (idx == 0)
				break;
			if (__atomic_exchange_n(&c->owned[idx], 1, __ATOMIC_RELAXED))
				atomic_store(&c->twice, true);
			if (sh_ring_push(&c->ring, iu_item(idx)))
				continue;
			__atomic_store_n(&c->owned[idx], 0, __ATOMIC_RELAXED);
			sh_slab_free(&c->slab, mine, idx);
		}
		n = sh_rng_below(&rng, 42);
		for (k = 0; k < n && sh_ring_pop(&c->ring, &item); k++) {
			idx = (uint32_t)iu_value(item);
			__atomic_store_n(&c->owned[idx], 0, __ATOMIC_RELAXED);
			sh_slab_free(&c->slab, mine, idx);
		}
	}
	sh_slab_flush(&c->slab, &cache);
	return NULL;
}

static bool sometimes(void *rng)
{
	return sh_rng_below(rng, 20) == 0;
}

/* Trims again and again, with every amount that stays, some of them not to the end, while the others trade. */
static void *trimmer(void *arg)
{
	struct crowd *c = arg;
	uint32_t keep = 0;
	struct sh_rng rng;

	sh_rng_init(&rng, tu_seed());
	while (!atomic_load(&c->over)) {
		bool (*stop)(void *rng) = keep % 3 ? NULL : sometimes;

		(void)sh_slab_trim(&c->slab, keep % 5 * SH_SLAB_CHAIN * SH_SLAB_BATCH, stop, &rng);
		keep++;
		(void)sched_yield();
	}
	return NULL;
}

static void crowd_run(uint32_t capacity, uint32_t nodes, bool caches)
{
	static struct crowd c;
	struct member m[THREADS];
	pthread_t t[THREADS], trims;
	struct sh_item item;
	uint32_t i;

	memset(&c, 0, sizeof(c));
	assert_int_equal(sh_slab_init(&c.slab, &mem, capacity, 64, nodes), 0);
	sh_ring_init(&c.ring, c.slots, 256);
	c.owned = calloc(1, (size_t)capacity + 65);
	assert_non_null(c.owned);
	c.rounds = TU_TSAN_SCALE(6000u, 600u);
	c.caches = caches;
	for (i = 0; i < THREADS; i++) {
		m[i] = (struct member){ &c, i };
		assert_int_equal(pthread_create(&t[i], NULL, trader, &m[i]), 0);
	}
	assert_int_equal(pthread_create(&trims, NULL, trimmer, &c), 0);
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	atomic_store(&c.over, true);
	(void)pthread_join(trims, NULL);
	assert_false(atomic_load(&c.twice));
	while (sh_ring_pop(&c.ring, &item))
		sh_slab_free(&c.slab, NULL, (uint32_t)iu_value(item));
	drain_once(&c.slab, capacity, 0);
	sh_slab_fini(&c.slab);
	free(c.owned);
}

static void test_threads(void **state)
{
	(void)state;
	crowd_run(20, 1, false);
	crowd_run(120, 3, false);
	crowd_run(SH_SLAB_CACHE * 1024, 1, true);
	crowd_run(SH_SLAB_CACHE * 1024, 2, true);
}

/* ---- trim ---- */

static int refuse_drop(void *arg, const char *point)
{
	(void)arg;
	return strcmp(point, "mem.drop") == 0;
}

static size_t resident(const struct sh_slab *s)
{
	return tu_resident(s->base, s->bytes);
}

static uint64_t *keep_of(const struct sh_slab *s, uint32_t idx)
{
	return (uint64_t *)(void *)&((struct sh_slab_item *)sh_slab_at(s, idx))->keep;
}

/*
 * `used` of `capacity` items were in use, all but each `left`-th are free again (0 = none is left). A trim gives the
 * memory back but for `keep` items and the pages of those; then all can be had, each with at least the `keep` that it
 * had.
 */
static void check_trim(uint32_t capacity, uint32_t item_size, uint32_t nodes, uint32_t used, uint32_t left,
		       uint32_t keep)
{
	struct sh_slab s;
	uint64_t *was = calloc(capacity + 65, sizeof(*was));
	uint32_t *got = calloc(capacity, sizeof(*got));
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t full, bytes, slack;
	uint32_t i, n = 0, kept = 0;

	assert_true(was && got);
	memset(&s, 0, sizeof(s));
	assert_int_equal(sh_slab_init(&s, &mem, capacity, item_size, nodes), 0);
	for (i = 0; i < used; i++) {
		got[i] = sh_slab_alloc(&s, NULL, i % nodes);
		assert_true(got[i] != 0);
		was[got[i]] = *keep_of(&s, got[i]) = 1 + (got[i] * 7919u) % 1000u;
	}
	full = resident(&s);
	for (i = 0; i < used; i++) {
		if (left != 0 && i % left == 0)
			got[kept++] = got[i];
		else
			sh_slab_free(&s, NULL, got[i]);
	}
	bytes = sh_slab_trim(&s, keep, NULL, NULL);
	/* the pages of what stays, at worst one each; those at the ends of the nodes */
	slack = ((size_t)kept + (size_t)keep * nodes + 2u * nodes + 2u) * page;
	assert_true(resident(&s) <= slack || bytes + slack >= full);
	assert_int_equal(resident(&s) + bytes, full);
	assert_true(sh_slab_trim(&s, keep, NULL, NULL) <= slack); /* others are the newest now */
	assert_true(keep != 0 || sh_slab_trim(&s, keep, NULL, NULL) == 0);
	for (n = kept; n < capacity; n++) {
		uint32_t idx = sh_slab_alloc(&s, NULL, n % nodes);

		assert_true(idx != 0);
		assert_true(*keep_of(&s, idx) >= was[idx]);
		was[idx] = UINT64_MAX; /* not once more */
	}
	assert_int_equal(sh_slab_alloc(&s, NULL, 0), 0);
	sh_slab_fini(&s);
	free(was);
	free(got);
}

static void test_trim(void **state)
{
	static const uint32_t keeps[] = { 0, SH_SLAB_BATCH * SH_SLAB_CHAIN, 3072 };
	uint32_t k, size, nodes;

	(void)state;
	for (k = 0; k < 3; k++)
		for (size = 64; size <= 256; size *= 2)
			for (nodes = 1; nodes <= 3; nodes++) {
				check_trim(20000, size, nodes, 20000, 0, keeps[k]);
				check_trim(20000, size, nodes, 9000, 0, keeps[k]);
				check_trim(20000, size, nodes, 20000, 1000, keeps[k]);
				check_trim(100, size, nodes, 100, 0, keeps[k]);
				check_trim(7, size, nodes, 7, 2, keeps[k]);
			}
}

/* Counts how often a trim asks whether to stop. */
struct asked {
	struct sh_slab *s;
	uint32_t *got;
	uint32_t n;
	uint32_t stop_at, look_at; /* the asking that ends the trim; the one that takes all that can be had; 0 = none */
	uint32_t had;              /* how much that was */
};

static bool ask(void *arg)
{
	struct asked *a = arg;
	uint32_t n = 0, idx;

	if (++a->n == a->look_at) {
		while ((idx = sh_slab_alloc(a->s, NULL, 0)) != 0)
			a->got[n++] = idx;
		a->had = n;
		while (n > 0)
			sh_slab_free(a->s, NULL, a->got[--n]);
	}
	return a->n == a->stop_at;
}

/* A trim withholds few items, wherever its thread stops. */
static void test_trim_withholds(void **state)
{
	static const uint32_t capacities[] = { 1u << 13, 40000, 1u << 16, 1u << 17, 1u << 19 };
	uint32_t k, at, asks;

	(void)state;
	for (k = 0; k < sizeof(capacities) / sizeof(capacities[0]); k++) {
		const uint32_t capacity = capacities[k], most = capacity > 64000 ? capacity * 3 / 100 : 1800;
		struct sh_slab s = { 0 };
		struct asked a = { .s = &s, .got = calloc(capacity, sizeof(uint32_t)) };

		assert_non_null(a.got);
		assert_int_equal(sh_slab_init(&s, &mem, capacity, 128, 1), 0);
		drain_once(&s, capacity, 0);
		assert_true(sh_slab_trim(&s, 0, ask, &a) != 0);
		asks = a.n;
		assert_true(asks > capacity / (SH_SLAB_BATCH * SH_SLAB_CHAIN));
		for (at = 1; at < asks; at += asks / TU_TSAN_SCALE(20u, 4u)) {
			drain_once(&s, capacity, 0);
			a.n = 0;
			a.had = 0;
			a.look_at = at;
			(void)sh_slab_trim(&s, 0, ask, &a);
			assert_true(a.had >= capacity - most && a.had <= capacity);
		}
		drain_once(&s, capacity, 0);
		sh_slab_fini(&s);
		free(a.got);
	}
}

/* A trim that ends at any point has lost nothing, and the next one gives back what it left. */
static void test_trim_stopped(void **state)
{
	const uint32_t capacity = 8000;
	uint32_t stop_at, nodes;

	(void)state;
	for (nodes = 1; nodes <= 2; nodes++) {
		for (stop_at = 1; stop_at <= 220; stop_at += TU_TSAN_SCALE(nodes, 20u + nodes)) {
			struct sh_slab s = { 0 };
			struct asked a = { .stop_at = stop_at };
			size_t full;

			assert_int_equal(sh_slab_init(&s, &mem, capacity, 128, nodes), 0);
			drain_once(&s, capacity, 0);
			full = resident(&s);
			(void)sh_slab_trim(&s, 0, ask, &a);
			if (stop_at % 2)
				drain_once(&s, capacity, nodes - 1);
			(void)sh_slab_trim(&s, 0, NULL, NULL);
			assert_true(resident(&s) <= (2u + nodes) * (size_t)sysconf(_SC_PAGESIZE));
			assert_true(full >= capacity * 128);
			drain_once(&s, capacity, 0);
			sh_slab_fini(&s);
		}
	}
}

/* Where the system refuses, all stays as it was. */
static void test_trim_refused(void **state)
{
	struct sh_slab s;

	(void)state;
	memset(&s, 0, sizeof(s));
	assert_int_equal(sh_slab_init(&s, &mem, 5000, 128, 2), 0);
	drain_once(&s, 5000, 0);
	sh_inject_set(refuse_drop, NULL);
	assert_int_equal(sh_slab_trim(&s, 0, NULL, NULL), 0);
	sh_inject_set(NULL, NULL);
	drain_once(&s, 5000, 1);
	assert_true(sh_slab_trim(&s, 0, NULL, NULL) != 0);
	drain_once(&s, 5000, 1);
	sh_slab_fini(&s);
}

/* ---- failing memory ---- */

struct fail {
	const char *point;
	unsigned left;
};

static int fail_hook(void *arg, const char *point)
{
	struct fail *f = arg;

	return strcmp(point, f->point) == 0 && f->left-- == 0;
}

static void test_no_memory(void **state)
{
	struct fail fails[] = { { "mem.map", 0 }, { "mem.map", 1 }, { "mem.alloc", 0 } };
	struct sh_slab s;
	unsigned i;

	(void)state;
	for (i = 0; i < SH_COUNT(fails); i++) {
		memset(&s, 0, sizeof(s));
		sh_inject_set(fail_hook, &fails[i]);
		assert_int_equal(sh_slab_init(&s, &mem, 100, 64, 2), SHUNT_ENOMEM);
		sh_inject_set(NULL, NULL);
		sh_slab_fini(&s); /* of one that never came to be */
		assert_int_equal(sh_a64_load_rlx(&mem.mapped), 0);
		assert_int_equal(sh_a64_load_rlx(&mem.bytes), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_keep_survives),
		cmocka_unit_test(test_caches),
		cmocka_unit_test(test_own_chain),
		cmocka_unit_test(test_nodes_mixed),
		cmocka_unit_test(test_stopped_pop),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_trim_withholds),
		cmocka_unit_test(test_trim_stopped),
		cmocka_unit_test(test_trim_refused),
		cmocka_unit_test(test_no_memory),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, setup, teardown);
}
