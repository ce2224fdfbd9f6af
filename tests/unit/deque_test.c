/*
 * lockfree/deque: newest first for the owner, oldest first for everybody else, full and empty over many rounds, and
 * under threads: an owner that pushes and pops and thieves that take lose nothing, get nothing twice and nothing torn.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "base/rng.h"
#include "item_util.h"
#include "lockfree/deque.h"

#define CAPACITY 8u
#define THIEVES 2u

static bool push(struct sh_deque *d, uint64_t value)
{
	return sh_deque_push(d, iu_item(value));
}

static bool pop(struct sh_deque *d, uint64_t *value)
{
	struct sh_item item;

	if (!sh_deque_pop(d, &item))
		return false;
	*value = iu_value(item);
	return true;
}

static bool take(struct sh_deque *d, uint64_t *value)
{
	struct sh_item item;

	if (!sh_deque_take(d, &item))
		return false;
	*value = iu_value(item);
	return true;
}

static void test_orders(void **state)
{
	static struct sh_deque d;
	static sh_a128 slots[CAPACITY];
	uint64_t got;
	uint32_t round, i;

	(void)state;
	sh_deque_init(&d, slots, CAPACITY);
	for (round = 0; round < 50; round++) {
		assert_false(pop(&d, &got));
		assert_false(take(&d, &got));
		assert_false(sh_deque_has(&d));
		for (i = 0; i < CAPACITY; i++) {
			assert_true(push(&d, round * 100 + i));
			assert_int_equal(sh_deque_count(&d), i + 1);
			assert_true(sh_deque_has(&d));
		}
		assert_false(push(&d, 1));
		assert_true(take(&d, &got));
		assert_int_equal(got, round * 100);
		assert_true(push(&d, round * 100 + CAPACITY)); /* a free slot again, one further */
		for (i = CAPACITY; i >= 2; i--) {
			assert_true(pop(&d, &got));
			assert_int_equal(got, round * 100 + i);
		}
		assert_true(take(&d, &got)); /* the last one, from the other end */
		assert_int_equal(got, round * 100 + 1);
	}
}

static void test_take_all(void **state)
{
	static struct sh_deque d;
	static sh_a128 slots[2];
	uint64_t got;
	uint32_t i;

	(void)state;
	sh_deque_init(&d, slots, 2);
	for (i = 0; i < 1000; i++) {
		assert_true(push(&d, i));
		assert_true(i % 2 ? pop(&d, &got) : take(&d, &got));
		assert_int_equal(got, i);
		assert_int_equal(sh_deque_count(&d), 0);
	}
}

/* Room is exact for the owner, from every position; of several items the first one is the next to pop. */
static void test_push_many(void **state)
{
	static struct sh_deque d;
	static sh_a128 slots[CAPACITY];
	struct sh_item items[CAPACITY];
	uint64_t got;
	uint32_t at, fill, n, i;

	(void)state;
	for (i = 0; i < CAPACITY; i++)
		items[i] = iu_item(100 + i);
	for (at = 0; at < 2 * CAPACITY; at++)
		for (fill = 0; fill <= CAPACITY; fill++)
			for (n = 0; n <= CAPACITY - fill; n++) {
				sh_deque_init(&d, slots, CAPACITY);
				for (i = 0; i < at; i++)
					assert_true(push(&d, 7) && (i % 2 ? pop(&d, &got) : take(&d, &got)));
				assert_int_equal(sh_deque_room(&d), CAPACITY);
				for (i = 0; i < fill; i++)
					assert_true(push(&d, i));
				assert_int_equal(sh_deque_room(&d), CAPACITY - fill);
				sh_deque_push_many(&d, items, n);
				assert_int_equal(sh_deque_room(&d), CAPACITY - fill - n);
				assert_int_equal(sh_deque_count(&d), fill + n);
				assert_int_equal(push(&d, 7), fill + n < CAPACITY);
				if (fill + n < CAPACITY)
					assert_true(pop(&d, &got) && got == 7);
				for (i = 0; i < n; i++) {
					assert_true(pop(&d, &got));
					assert_int_equal(got, 100 + i);
				}
				for (i = 0; i < fill; i++) {
					assert_true(take(&d, &got));
					assert_int_equal(got, i);
				}
				assert_false(sh_deque_has(&d));
			}
}

/* ---- threads ---- */

struct heist {
	struct sh_deque deque;
	sh_a128 slots[CAPACITY];
	uint32_t items;
	uint8_t *seen;
	atomic_uint taken;
	atomic_bool twice;
	atomic_bool disorder;
	atomic_bool torn;
};

static void mark(struct heist *h, uint64_t item)
{
	if (item >= h->items) {
		atomic_store(&h->torn, true);
		return;
	}
	if (__atomic_exchange_n(&h->seen[item], 1, __ATOMIC_RELAXED))
		atomic_store(&h->twice, true);
	(void)atomic_fetch_add(&h->taken, 1);
}

static void *thief(void *arg)
{
	struct heist *h = arg;
	uint64_t last = 0;
	bool any = false;

	while (atomic_load(&h->taken) < h->items && !atomic_load(&h->torn)) {
		uint64_t got;

		if (!take(&h->deque, &got)) {
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
	struct sh_item several[CAPACITY];
	uint64_t next = 0, got;
	uint32_t i, k;

	(void)state;
	h.items = TU_TSAN_SCALE(200000u, 20000u);
	h.seen = calloc(1, h.items);
	assert_non_null(h.seen);
	sh_deque_init(&h.deque, h.slots, CAPACITY);
	sh_rng_init(&rng, tu_seed());
	for (i = 0; i < THIEVES; i++)
		assert_int_equal(pthread_create(&t[i], NULL, thief, &h), 0);
	while (atomic_load(&h.taken) < h.items && !atomic_load(&h.torn)) {
		uint32_t n = sh_rng_below(&rng, CAPACITY + 2);

		for (i = 0; i < n && next < h.items; i++)
			if (push(&h.deque, next))
				next++;
		n = (uint32_t)sh_deque_room(&h.deque);
		n = n < h.items - next ? n : (uint32_t)(h.items - next);
		if (sh_rng_below(&rng, 4) == 0) {
			for (k = 0; k < n; k++) /* the oldest one last: thieves see them rise */
				several[n - 1 - k] = iu_item(next++);
			sh_deque_push_many(&h.deque, several, n);
		}
		n = sh_rng_below(&rng, CAPACITY + 2);
		for (i = 0; i < n; i++)
			if (pop(&h.deque, &got))
				mark(&h, got);
		if (sh_rng_below(&rng, 8) == 0)
			(void)sched_yield();
	}
	for (i = 0; i < THIEVES; i++)
		(void)pthread_join(t[i], NULL);
	assert_false(atomic_load(&h.torn));
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
		cmocka_unit_test(test_push_many),
		cmocka_unit_test(test_threads),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
