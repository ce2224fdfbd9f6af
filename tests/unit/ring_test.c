/*
 * lockfree/ring: full and empty at every capacity and over many laps, prefixes for thieves, and under threads: every
 * item comes out once, and the items of one producer come out in the order in which it pushed them.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "base/rng.h"
#include "lockfree/ring.h"

#define CAPACITY_TOP 8u
#define THREADS 3u

struct box {
	struct sh_ring ring;
	sh_a64 slots[64];
};

static void box_init(struct box *b, uint64_t capacity)
{
	memset(b, 0, sizeof(*b));
	sh_ring_init(&b->ring, b->slots, capacity);
}

static void test_full_empty(void **state)
{
	static struct box b;
	uint64_t cap;

	(void)state;
	for (cap = 2; cap <= CAPACITY_TOP; cap *= 2) {
		uint32_t lap, i, got;

		box_init(&b, cap);
		assert_false(sh_ring_pop(&b.ring, &got));
		assert_false(sh_ring_has(&b.ring));
		for (lap = 0; lap < 100; lap++) {
			for (i = 0; i < cap; i++) {
				assert_int_equal(sh_ring_count(&b.ring), i);
				assert_true(sh_ring_push(&b.ring, lap * 100 + i + 1));
				assert_true(sh_ring_peek(&b.ring));
				assert_true(sh_ring_has(&b.ring));
			}
			assert_false(sh_ring_push(&b.ring, 7));
			assert_false(sh_ring_push(&b.ring, 7));
			for (i = 0; i < cap; i++) {
				assert_true(sh_ring_pop(&b.ring, &got));
				assert_int_equal(got, lap * 100 + i + 1);
			}
			assert_false(sh_ring_pop(&b.ring, &got));
			assert_false(sh_ring_peek(&b.ring));
			assert_false(sh_ring_has(&b.ring));
		}
	}
}

/* One queue kept at every fill level while it turns round. */
static void test_wrap(void **state)
{
	static struct box b;
	uint64_t cap, fill;

	(void)state;
	for (cap = 2; cap <= CAPACITY_TOP; cap *= 2)
		for (fill = 1; fill <= cap; fill++) {
			uint32_t in = 0;
			uint32_t out = 0;
			uint32_t got = 0;

			box_init(&b, cap);
			while (in < fill)
				assert_true(sh_ring_push(&b.ring, in++));
			for (; out < 50 * cap; out++) {
				assert_true(sh_ring_pop(&b.ring, &got));
				assert_int_equal(got, out);
				assert_true(sh_ring_push(&b.ring, in++));
			}
			assert_int_equal(sh_ring_count(&b.ring), fill);
		}
}

static void test_steal_prefix(void **state)
{
	static struct box b;
	uint32_t items[16];
	uint32_t want, fill;
	uint32_t next = 0;
	uint32_t expect = 0;

	(void)state;
	box_init(&b, 8);
	assert_int_equal(sh_ring_steal(&b.ring, items, 4), 0);
	for (fill = 0; fill <= 8; fill++)
		for (want = 1; want <= 10; want++) {
			uint32_t n, i, got;

			for (i = 0; i < fill; i++)
				assert_true(sh_ring_push(&b.ring, next++));
			memset(items, 0xee, sizeof(items));
			n = sh_ring_steal(&b.ring, items, want);
			assert_int_equal(n, want < fill ? want : fill);
			for (i = 0; i < n; i++)
				assert_int_equal(items[i], expect++);
			for (i = n; i < want && i < 16; i++)
				assert_int_equal(items[i], 0xeeeeeeee);
			while (sh_ring_pop(&b.ring, &got))
				assert_int_equal(got, expect++);
		}
	assert_int_equal(expect, next);
}

static void test_any_value(void **state)
{
	static const uint32_t values[] = { 0, 1, 0x7fffffffu, 0x80000000u, 0xffffffffu };
	static struct box b;
	uint32_t i, got;

	(void)state;
	box_init(&b, 2);
	for (i = 0; i < 5; i++) {
		assert_true(sh_ring_push(&b.ring, values[i]));
		assert_true(sh_ring_pop(&b.ring, &got));
		assert_int_equal(got, values[i]);
	}
}

/* Several at once from every position: as many as fit, the first ones, and in order. */
static void test_push_many(void **state)
{
	static struct box b;
	uint32_t items[12];
	uint32_t at, fill, n, i, got;

	(void)state;
	for (i = 0; i < 12; i++)
		items[i] = 100 + i;
	for (at = 0; at < 16; at++)
		for (fill = 0; fill <= 8; fill++)
			for (n = 0; n <= 12; n++) {
				uint32_t want = n < 8 - fill ? n : 8 - fill;

				box_init(&b, 8);
				for (i = 0; i < at; i++) {
					assert_true(sh_ring_push(&b.ring, 7));
					assert_true(sh_ring_pop(&b.ring, &got));
				}
				for (i = 0; i < fill; i++)
					assert_true(sh_ring_push(&b.ring, i));
				assert_int_equal(sh_ring_push_many(&b.ring, items, n), want);
				assert_int_equal(sh_ring_count(&b.ring), fill + want);
				for (i = 0; i < fill + want; i++) {
					assert_true(sh_ring_pop(&b.ring, &got));
					assert_int_equal(got, i < fill ? i : 100 + i - fill);
				}
				assert_false(sh_ring_pop(&b.ring, &got));
			}
}

/* The lap in the slot is 32 bits: the ring must work across its end. */
static void test_lap_wraps(void **state)
{
	static struct box b;
	uint64_t start = (UINT64_C(0xffffffff) - 2) << 1; /* lap(start) = 0xfffffffe at capacity 2 */
	uint32_t i, got;

	(void)state;
	box_init(&b, 2);
	sh_a64_init(&b.ring.head, start);
	sh_a64_init(&b.ring.tail, start);
	sh_a64_init(&b.ring.head_seen, start);
	for (i = 0; i < 2; i++)
		sh_a64_init(&b.slots[i], (uint64_t)(sh_ring_lap(&b.ring.out, start) - 1u) << 32);
	for (i = 0; i < 40; i++) {
		assert_true(sh_ring_push(&b.ring, 2 * i));
		assert_true(sh_ring_push(&b.ring, 2 * i + 1));
		assert_false(sh_ring_push(&b.ring, 9));
		assert_true(sh_ring_has(&b.ring));
		assert_true(sh_ring_pop(&b.ring, &got));
		assert_int_equal(got, 2 * i);
		assert_true(sh_ring_pop(&b.ring, &got));
		assert_int_equal(got, 2 * i + 1);
		assert_false(sh_ring_pop(&b.ring, &got));
		assert_false(sh_ring_has(&b.ring));
	}
}

/* ---- threads ---- */

struct crowd {
	struct box box;
	uint32_t each;
	atomic_uint producers_left;
	atomic_uint taken;
	atomic_uint go;
	uint8_t *seen; /* [THREADS * each] */
	atomic_bool disorder;
	atomic_bool twice;
};

struct member {
	struct crowd *crowd;
	uint32_t index;
};

static void *producer(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->crowd;
	struct sh_rng rng;
	uint32_t items[7];
	uint32_t i, n;

	sh_rng_init(&rng, tu_seed() + 100 + m->index);
	while (!atomic_load(&c->go))
		(void)sched_yield();
	for (i = 0; i < c->each; i += n) {
		uint32_t k;

		n = sh_rng_below(&rng, 2) ? 1 : 1 + sh_rng_below(&rng, 7);
		n = n < c->each - i ? n : c->each - i;
		for (k = 0; k < n; k++)
			items[k] = m->index << 24 | (i + k);
		n = n == 1 ? sh_ring_push(&c->box.ring, items[0]) : sh_ring_push_many(&c->box.ring, items, n);
		if (n == 0)
			(void)sched_yield();
	}
	(void)atomic_fetch_sub(&c->producers_left, 1);
	return NULL;
}

static void *consumer(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->crowd;
	uint32_t last[THREADS];
	uint32_t items[4];
	struct sh_rng rng;
	uint32_t i;

	sh_rng_init(&rng, tu_seed() + m->index);
	memset(last, 0xff, sizeof(last));
	while (!atomic_load(&c->go))
		(void)sched_yield();
	while (atomic_load(&c->taken) < THREADS * c->each) {
		uint32_t n = sh_rng_below(&rng, 2) ? sh_ring_pop(&c->box.ring, items) : sh_ring_steal(&c->box.ring, items, 4);

		if (n == 0)
			(void)sched_yield();
		for (i = 0; i < n; i++) {
			uint32_t p = items[i] >> 24;
			uint32_t k = items[i] & 0xffffffu;

			if (last[p] != UINT32_MAX && k <= last[p]) /* one consumer sees a producer's items in order */
				atomic_store(&c->disorder, true);
			last[p] = k;
			if (__atomic_exchange_n(&c->seen[p * c->each + k], 1, __ATOMIC_RELAXED))
				atomic_store(&c->twice, true);
		}
		(void)atomic_fetch_add(&c->taken, n);
	}
	return NULL;
}

static void crowd_run(uint64_t capacity, uint32_t each, uint32_t consumers)
{
	static struct crowd c;
	struct member m[2 * THREADS];
	pthread_t t[2 * THREADS];
	uint32_t got, i;

	box_init(&c.box, capacity);
	c.each = each;
	atomic_store(&c.producers_left, THREADS);
	atomic_store(&c.taken, 0);
	atomic_store(&c.go, 0);
	atomic_store(&c.disorder, false);
	atomic_store(&c.twice, false);
	c.seen = calloc(THREADS, each);
	assert_non_null(c.seen);
	for (i = 0; i < THREADS + consumers; i++) {
		m[i] = (struct member){ &c, i < THREADS ? i : i - THREADS };
		assert_int_equal(pthread_create(&t[i], NULL, i < THREADS ? producer : consumer, &m[i]), 0);
	}
	atomic_store(&c.go, 1);
	for (i = 0; i < THREADS + consumers; i++)
		(void)pthread_join(t[i], NULL);
	assert_false(atomic_load(&c.disorder));
	assert_false(atomic_load(&c.twice));
	for (i = 0; i < THREADS * each; i++)
		assert_int_equal(c.seen[i], 1);
	assert_false(sh_ring_pop(&c.box.ring, &got));
	free(c.seen);
}

static void test_threads(void **state)
{
	uint32_t each = TU_TSAN_SCALE(20000u, 3000u);
	uint64_t cap;

	(void)state;
	for (cap = 2; cap <= CAPACITY_TOP; cap *= 2)
		crowd_run(cap, each, THREADS);
	crowd_run(64, each, 1); /* one consumer: the order of every producer is total */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_empty),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_steal_prefix),
		cmocka_unit_test(test_any_value),
		cmocka_unit_test(test_push_many),
		cmocka_unit_test(test_lap_wraps),
		cmocka_unit_test(test_threads),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
