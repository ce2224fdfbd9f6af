/*
 * lockfree/deque: newest first for the owner, oldest first for everybody else, full and empty over many rounds, and
 * under threads: an owner that pushes and pops and thieves that take lose nothing and get nothing twice.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "base/rng.h"
#include "lockfree/deque.h"

#define CAPACITY 8u
#define THIEVES 2u

static void test_orders(void **state)
{
	static struct sh_deque d;
	static sh_a32 slots[CAPACITY];
	uint32_t round, i, got;

	(void)state;
	sh_deque_init(&d, slots, CAPACITY);
	for (round = 0; round < 50; round++) {
		assert_false(sh_deque_pop(&d, &got));
		assert_false(sh_deque_take(&d, &got));
		assert_false(sh_deque_has(&d));
		for (i = 0; i < CAPACITY; i++) {
			assert_true(sh_deque_push(&d, round * 100 + i));
			assert_int_equal(sh_deque_count(&d), i + 1);
			assert_true(sh_deque_has(&d));
		}
		assert_false(sh_deque_push(&d, 1));
		assert_true(sh_deque_take(&d, &got));
		assert_int_equal(got, round * 100);
		assert_true(sh_deque_push(&d, round * 100 + CAPACITY)); /* room again, one slot further */
		for (i = CAPACITY; i >= 2; i--) {
			assert_true(sh_deque_pop(&d, &got));
			assert_int_equal(got, round * 100 + i);
		}
		assert_true(sh_deque_take(&d, &got)); /* the last one, from the other end */
		assert_int_equal(got, round * 100 + 1);
	}
}

static void test_take_all(void **state)
{
	static struct sh_deque d;
	static sh_a32 slots[2];
	uint32_t i, got;

	(void)state;
	sh_deque_init(&d, slots, 2);
	for (i = 0; i < 1000; i++) {
		assert_true(sh_deque_push(&d, i));
		assert_true(i % 2 ? sh_deque_pop(&d, &got) : sh_deque_take(&d, &got));
		assert_int_equal(got, i);
		assert_int_equal(sh_deque_count(&d), 0);
	}
}

/* ---- threads ---- */

struct heist {
	struct sh_deque deque;
	sh_a32 slots[CAPACITY];
	uint32_t items;
	uint8_t *seen;
	atomic_uint taken;
	atomic_bool twice;
	atomic_bool disorder;
};

static void mark(struct heist *h, uint32_t item)
{
	if (__atomic_exchange_n(&h->seen[item], 1, __ATOMIC_RELAXED))
		atomic_store(&h->twice, true);
	(void)atomic_fetch_add(&h->taken, 1);
}

static void *thief(void *arg)
{
	struct heist *h = arg;
	uint32_t last = 0;
	bool any = false;

	while (atomic_load(&h->taken) < h->items) {
		uint32_t got;

		if (!sh_deque_take(&h->deque, &got)) {
			(void)sched_yield();
			continue;
		}
		if (any && got < last)
			atomic_store(&h->disorder, true);
		last = got;
		any = true;
		mark(h, got);
	}
	return NULL;
}

static void test_threads(void **state)
{
	static struct heist h;
	pthread_t t[THIEVES];
	struct sh_rng rng;
	uint32_t next = 0;
	uint32_t i, got;

	(void)state;
	h.items = TU_TSAN_SCALE(200000u, 20000u);
	h.seen = calloc(1, h.items);
	assert_non_null(h.seen);
	sh_deque_init(&h.deque, h.slots, CAPACITY);
	sh_rng_init(&rng, tu_seed());
	for (i = 0; i < THIEVES; i++)
		assert_int_equal(pthread_create(&t[i], NULL, thief, &h), 0);
	while (atomic_load(&h.taken) < h.items) {
		uint32_t n = sh_rng_below(&rng, CAPACITY + 2);

		for (i = 0; i < n && next < h.items; i++)
			if (sh_deque_push(&h.deque, next))
				next++;
		n = sh_rng_below(&rng, CAPACITY + 2);
		for (i = 0; i < n; i++)
			if (sh_deque_pop(&h.deque, &got))
				mark(&h, got);
		if (sh_rng_below(&rng, 8) == 0)
			(void)sched_yield();
	}
	for (i = 0; i < THIEVES; i++)
		(void)pthread_join(t[i], NULL);
	assert_false(atomic_load(&h.twice));
	assert_false(atomic_load(&h.disorder)); /* pushed in rising order: a thief, at the old end, sees them rise */
	for (i = 0; i < h.items; i++)
		assert_int_equal(h.seen[i], 1);
	assert_false(sh_deque_has(&h.deque));
	free(h.seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_take_all),
		cmocka_unit_test(test_threads),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
