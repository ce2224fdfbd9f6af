/*
 * tests/unit/spin_test.c - policy/spin.h: the learned spin time against the cost of every other one, worked out gap by gap.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "base/rng.h"
#include "policy/spin.h"

#define WAKE_NS UINT64_C(90000)
#define GAPS 4096u

static uint64_t gaps[GAPS];

static uint64_t learned(uint32_t n)
{
	struct sh_spin s = { { 0 }, 0, 0 };

	for (uint32_t i = 0; i < n; i++)
		sh_spin_add(&s, gaps[i], WAKE_NS);
	return s.best_ns;
}

/* What spinning for `spin_ns` costs with the last 256 gaps. */
static uint64_t cost_of(uint64_t spin_ns)
{
	uint64_t cost = 0;

	for (uint32_t i = GAPS - 256; i < GAPS; i++)
		cost += gaps[i] < spin_ns ? gaps[i] : spin_ns + WAKE_NS;
	return cost;
}

static uint64_t least_cost(void)
{
	uint64_t least = UINT64_MAX;

	for (uint64_t s = SH_SPIN_LEAST_NS; s <= 4 * WAKE_NS; s += s / 4)
		least = cost_of(s) < least ? cost_of(s) : least;
	return least;
}

static void test_nothing_learned(void **state)
{
	(void)state;
	gaps[0] = 1000;
	assert_true(learned(0) == 0);
	for (uint32_t i = 0; i < SH_SPIN_EVERY; i++)
		gaps[i] = 1000;
	assert_true(learned(SH_SPIN_EVERY - 1) == 0);
	assert_true(learned(SH_SPIN_EVERY) >= 1000);
}

/* Gaps that are shorter than a wake-up costs are spun through; longer ones are not waited for at all. */
static void test_all_or_nothing(void **state)
{
	static const uint64_t short_ns[] = { 100, 1000, 5000, 40000 }, long_ns[] = { 1000000, 10000000, UINT64_C(3600000000000) };
	uint32_t k, i;

	(void)state;
	for (k = 0; k < 4; k++) {
		for (i = 0; i < GAPS; i++)
			gaps[i] = short_ns[k];
		assert_true(learned(GAPS) > short_ns[k]);
	}
	for (k = 0; k < 3; k++) {
		for (i = 0; i < GAPS; i++)
			gaps[i] = long_ns[k];
		assert_true(learned(GAPS) == SH_SPIN_LEAST_NS);
	}
}

/* Random mixtures of short and long gaps: within a quarter of the best time of all (counts are by powers of two). */
static void test_mixtures(void **state)
{
	struct sh_rng rng;
	uint32_t round, i;

	(void)state;
	sh_rng_init(&rng, tu_seed());
	for (round = 0; round < 200; round++) {
		uint64_t low = 200 + sh_rng_below(&rng, 60000), high = 200000 + sh_rng_below(&rng, 3000000);
		uint32_t share = sh_rng_below(&rng, 101);

		for (i = 0; i < GAPS; i++)
			gaps[i] = sh_rng_below(&rng, 100) < share ? low / 2 + sh_rng_below(&rng, (uint32_t)low) : high;
		assert_true(cost_of(learned(GAPS)) <= least_cost() + least_cost() / 2);
	}
}

/* A change of the load is followed within a few hundred gaps. */
static void test_follows(void **state)
{
	struct sh_spin s = { { 0 }, 0, 0 };
	uint32_t i;

	(void)state;
	for (i = 0; i < 1000; i++)
		sh_spin_add(&s, 2000, WAKE_NS);
	assert_true(s.best_ns >= 2000);
	for (i = 0; i < 640; i++)
		sh_spin_add(&s, 2000000, WAKE_NS);
	assert_true(s.best_ns == SH_SPIN_LEAST_NS);
	for (i = 0; i < 640; i++)
		sh_spin_add(&s, 2000, WAKE_NS);
	assert_true(s.best_ns >= 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_learned),
		cmocka_unit_test(test_all_or_nothing),
		cmocka_unit_test(test_mixtures),
		cmocka_unit_test(test_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
