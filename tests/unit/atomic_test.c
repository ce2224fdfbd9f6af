/*
 * base/atomic.h, the compare-and-swap of two words: it fails when either word differs and writes nothing then; it
 * writes these two words alone; under threads it loses no change, replaces no torn pair, and publishes what was written
 * before.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "base/atomic.h"

#define THREADS 4u
#define PAIRS 2u
#define MOVES (TU_TSAN_SCALE(200000u, 50000u))
#define YIELD_EVERY 64u
#define TOTAL UINT64_C(0x100000000) /* what the two words of a pair add up to; a carry between them would show */
#define MESSAGES (TU_TSAN_SCALE(20000u, 4000u))
#define SLOTS 8u

static void check_words(const sh_a128 *a, uint64_t lo, uint64_t hi)
{
	assert_int_equal(sh_a64_load_rlx(&a->lo), lo);
	assert_int_equal(sh_a64_load_rlx(&a->hi), hi);
}

static void test_values(void **state)
{
	static sh_a128 a[3];
	const uint64_t max = UINT64_MAX, high = UINT64_C(1) << 63;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		sh_a64_init(&a[i].lo, max);
		sh_a64_init(&a[i].hi, max);
	}
	assert_int_equal((uintptr_t)&a[1] % 16, 0);
	assert_ptr_equal(&a[1].hi, &a[1].lo + 1);
	assert_true(sh_a128_cas_sc(&a[1], max, max, 1, high));
	check_words(&a[1], 1, high);
	assert_false(sh_a128_cas_sc(&a[1], 0, high, 2, 3)); /* the first word differs */
	assert_false(sh_a128_cas_sc(&a[1], 1, 0, 2, 3));    /* the second one */
	assert_false(sh_a128_cas_sc(&a[1], high, 1, 2, 3)); /* the right two, swapped */
	check_words(&a[1], 1, high);
	assert_true(sh_a128_cas_sc(&a[1], 1, high, 1, high)); /* the same again */
	assert_true(sh_a128_cas_sc(&a[1], 1, high, max, 0));
	assert_true(sh_a128_cas_sc(&a[1], max, 0, 0, max));
	check_words(&a[1], 0, max);
	check_words(&a[0], max, max);
	check_words(&a[2], max, max);
}

/* ---- threads on two pairs ---- */

static sh_a128 pairs[PAIRS];
static pthread_barrier_t start;

struct mover {
	pthread_t thread;
	uint64_t seed;
	uint64_t moved[PAIRS]; /* from the first word to the second, less what it moved back; wraps */
	uint64_t failed;
};

static void *move_amounts(void *arg)
{
	struct mover *t = arg;
	uint64_t rng = t->seed;

	(void)pthread_barrier_wait(&start);
	for (unsigned i = 0; i < MOVES; i++) {
		uint64_t n, lo, hi;
		unsigned k;

		rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		k = (unsigned)(rng >> 63);
		n = rng >> 40 & 0xffff;
		n = (rng >> 62 & 1) != 0 ? n : 0 - n;
		for (;;) {
			lo = sh_a64_load_rlx(&pairs[k].lo);
			if (i % YIELD_EVERY == 0)
				(void)sched_yield(); /* a torn pair is read, and must fail */
			hi = sh_a64_load_rlx(&pairs[k].hi);
			if (sh_a128_cas_sc(&pairs[k], lo, hi, lo - n, hi + n))
				break;
			t->failed++;
		}
		t->moved[k] += n;
		if (lo + hi != TOTAL)
			abort(); /* a torn pair was replaced */
	}
	return NULL;
}

static void test_threads(void **state)
{
	static struct mover movers[THREADS];
	uint64_t moved[PAIRS] = { 0 }, failed = 0;

	(void)state;
	assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (unsigned k = 0; k < PAIRS; k++) {
		sh_a64_init(&pairs[k].lo, TOTAL);
		sh_a64_init(&pairs[k].hi, 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		movers[i] = (struct mover){ .seed = tu_seed() + i };
		assert_int_equal(pthread_create(&movers[i].thread, NULL, move_amounts, &movers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(movers[i].thread, NULL), 0);
		failed += movers[i].failed;
		for (unsigned k = 0; k < PAIRS; k++)
			moved[k] += movers[i].moved[k];
	}
	for (unsigned k = 0; k < PAIRS; k++)
		check_words(&pairs[k], TOTAL - moved[k], moved[k]);
	(void)pthread_barrier_destroy(&start);
	(void)printf("%u moves, %llu failed first\n", THREADS * MOVES, (unsigned long long)failed);
}

/* ---- publication: the second word names a slot that was written before ---- */

static sh_a128 mail;
static uint64_t slots[SLOTS];
static sh_a64 taken;

static void *read_messages(void *arg)
{
	uint64_t *sum = arg;

	for (uint64_t next = 1; next <= MESSAGES; next++) {
		uint64_t hi;

		while (sh_a64_load_acq(&mail.lo) != next)
			(void)sched_yield();
		hi = sh_a64_load_rlx(&mail.hi);
		if (hi != next * SLOTS + next % SLOTS)
			abort(); /* not the second word of this first one */
		*sum += slots[hi % SLOTS];
		sh_a64_store_rel(&taken, next);
	}
	return NULL;
}

static void test_publication(void **state)
{
	uint64_t sum = 0, want = 0;
	pthread_t thread;

	(void)state;
	sh_a64_init(&mail.lo, 0);
	sh_a64_init(&mail.hi, 0);
	sh_a64_init(&taken, 0);
	assert_int_equal(pthread_create(&thread, NULL, read_messages, &sum), 0);
	for (uint64_t next = 1; next <= MESSAGES; next++) {
		slots[next % SLOTS] = next;
		want += next;
		assert_true(sh_a128_cas_sc(&mail, sh_a64_load_rlx(&mail.lo), sh_a64_load_rlx(&mail.hi), next,
					   next * SLOTS + next % SLOTS));
		while (sh_a64_load_acq(&taken) != next)
			(void)sched_yield();
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(sum, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_publication),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
