/*
 * policy/levels: the slot tables. Every level has its slots, spread as promised; and a worker that follows the table with
 * everything waiting serves each level within sh_levels_wait_picks.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "base/rng.h"
#include "policy/levels.h"

static uint8_t slots[SH_SLOTS_MAX];

static void test_strict(void **state)
{
	uint32_t levels, guard, n, k;

	(void)state;
	for (levels = 2; levels <= SHUNT_LEVELS_MAX; levels++)
		for (guard = 2; guard <= 1024; guard = guard < 8 ? guard + 1 : guard * 4) {
			uint32_t owned[SHUNT_LEVELS_MAX] = { 0 };

			n = sh_levels_slots(SHUNT_LEVELS_STRICT, levels, guard, NULL);
			assert_int_equal(n, guard * (levels - 1));
			memset(slots, 0xaa, n);
			sh_levels_fill(SHUNT_LEVELS_STRICT, levels, guard, NULL, slots, n);
			for (k = 0; k < n; k++) {
				if (slots[k] == SH_SLOT_TOP)
					continue;
				assert_in_range(slots[k], 1, levels - 1);
				owned[slots[k]]++;
				assert_int_equal(k % guard, guard - 1); /* one pick in `guard`, no more */
			}
			for (k = 1; k < levels; k++)
				assert_int_equal(owned[k], 1);
		}
}

static void test_one_level(void **state)
{
	(void)state;
	assert_int_equal(sh_levels_slots(SHUNT_LEVELS_STRICT, 1, 64, NULL), 1);
	sh_levels_fill(SHUNT_LEVELS_STRICT, 1, 64, NULL, slots, 1);
	assert_int_equal(slots[0], SH_SLOT_TOP);
	assert_true(sh_levels_wait_picks(slots, 1, 0, 1) >= 1);
	assert_true(sh_levels_wait_picks(slots, 1, 0, 5) >= 5);
}

/* Each level has exactly its weight, and the gap between two of its slots is at most twice the even one. */
static void check_weights(uint32_t levels, const uint32_t *weights)
{
	uint32_t n = sh_levels_slots(SHUNT_LEVELS_WEIGHTED, levels, 64, weights);
	uint32_t sum = 0;
	uint32_t l, k;

	for (l = 0; l < levels; l++)
		sum += weights[l];
	assert_int_equal(n, sum);
	sh_levels_fill(SHUNT_LEVELS_WEIGHTED, levels, 64, weights, slots, n);
	for (l = 0; l < levels; l++) {
		uint32_t owned = 0;
		uint32_t gap = 0;
		uint32_t gap_most = 0;

		for (k = 0; k < 2 * n; k++) { /* twice round: the seam counts too */
			gap++;
			if (slots[k % n] != l)
				continue;
			owned++;
			if (gap > gap_most)
				gap_most = gap;
			gap = 0;
		}
		assert_int_equal(owned, 2 * weights[l]);
		assert_true(gap_most <= 2 * ((n + weights[l] - 1) / weights[l]) + 1);
	}
}

static void test_weighted(void **state)
{
	static const uint32_t even[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	static const uint32_t steep[4] = { 8, 4, 2, 1 };
	static const uint32_t upside[3] = { 1, 2, 100 };
	static const uint32_t least[2] = { 1, 100 };
	struct sh_rng rng;
	uint32_t levels, i, l;

	(void)state;
	check_weights(2, even);
	check_weights(16, even);
	check_weights(4, steep);
	check_weights(3, upside);
	check_weights(2, least);
	for (levels = 2; levels <= SHUNT_LEVELS_MAX; levels++)
		for (i = 0; i < levels; i++) { /* the least weight beside the largest, at every place */
			uint32_t w[SHUNT_LEVELS_MAX];

			for (l = 0; l < levels; l++)
				w[l] = l == i ? 100 : 1;
			check_weights(levels, w);
			for (l = 0; l < levels; l++)
				w[l] = l == i ? 1 : 100;
			check_weights(levels, w);
		}
	sh_rng_init(&rng, tu_seed());
	for (i = 0; i < 200; i++) {
		uint32_t w[SHUNT_LEVELS_MAX];

		levels = 2 + sh_rng_below(&rng, 15);
		for (l = 0; l < levels; l++)
			w[l] = 1 + sh_rng_below(&rng, 100);
		check_weights(levels, w);
	}
}

/*
 * Everything waits, from any position of the table: picks until level `l` was served k times by slots of its own. The
 * stated bound also covers that only one pick in SH_SOURCE_PERIOD of the level goes to the source of the job.
 */
static void check_bound(enum shunt_level_mode mode, uint32_t levels, uint32_t guard, const uint32_t *weights)
{
	uint32_t n = sh_levels_slots(mode, levels, guard, weights);
	uint32_t l, start;
	uint64_t k;

	sh_levels_fill(mode, levels, guard, weights, slots, n);
	for (l = 0; l < levels; l++)
		for (k = 1; k <= 3; k++) {
			uint64_t bound = sh_levels_wait_picks(slots, n, l, k);
			uint64_t most = 0;

			for (start = 0; start < n; start += n > 64 ? 7 : 1) {
				uint64_t served = 0;
				uint64_t picks = 0;

				while (served < k * SH_SOURCE_PERIOD) {
					uint8_t s = slots[(start + picks++) % n];

					served += s == l || (l == 0 && s == SH_SLOT_TOP);
				}
				most = picks > most ? picks : most;
			}
			assert_true(most <= bound);
			assert_true(bound <= most + 2 * (uint64_t)n); /* the bound says something: it is nearly reached */
		}
}

static void test_wait_picks(void **state)
{
	static const uint32_t w4[4] = { 8, 4, 2, 1 };
	static const uint32_t w3[3] = { 1, 1, 5 };
	static const uint32_t steep[3] = { 1, 1, 100 };

	(void)state;
	check_bound(SHUNT_LEVELS_STRICT, 2, 2, NULL);
	check_bound(SHUNT_LEVELS_STRICT, 4, 64, NULL);
	check_bound(SHUNT_LEVELS_STRICT, 12, 4, NULL);
	check_bound(SHUNT_LEVELS_WEIGHTED, 4, 64, w4);
	check_bound(SHUNT_LEVELS_WEIGHTED, 3, 64, w3);
	check_bound(SHUNT_LEVELS_WEIGHTED, 3, 64, steep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_one_level),
		cmocka_unit_test(test_weighted),
		cmocka_unit_test(test_wait_picks),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
