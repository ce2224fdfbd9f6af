/* policy/levels.c - see levels.h. SPDX-License-Identifier: MIT */
#include "policy/levels.h"

static uint32_t levels_weight_sum(uint32_t levels, const uint32_t *weights)
{
	uint32_t sum = 0;
	uint32_t i;

	for (i = 0; i < levels; i++)
		sum += weights[i];
	return sum;
}

uint32_t sh_levels_slots(enum shunt_level_mode mode, uint32_t levels, uint32_t guard_every, const uint32_t *weights)
{
	if (levels == 1)
		return 1;
	if (mode == SHUNT_LEVELS_WEIGHTED)
		return levels_weight_sum(levels, weights);
	return guard_every * (levels - 1);
}

static uint32_t levels_own(const uint8_t *slots, uint32_t n, uint32_t level)
{
	uint32_t own = 0;
	uint32_t i;

	for (i = 0; i < n; i++)
		own += slots[i] == level || (level == 0 && slots[i] == SH_SLOT_TOP);
	return own;
}

void sh_levels_fill(enum shunt_level_mode mode, uint32_t levels, uint32_t guard_every, const uint32_t *weights,
		    uint8_t *slots, uint32_t n)
{
	int64_t credit[SHUNT_LEVELS_MAX] = { 0 };
	uint32_t i, k;

	assert(n > 0 && n <= SH_SLOTS_MAX && levels >= 1 && levels <= SHUNT_LEVELS_MAX);
	for (k = 0; k < n; k++) {
		uint32_t best = 0;

		if (levels == 1) {
			slots[k] = SH_SLOT_TOP;
			continue;
		}
		if (mode != SHUNT_LEVELS_WEIGHTED) {
			bool guard = k % guard_every == guard_every - 1;

			slots[k] = SH_SLOT_TOP;
			if (guard)
				slots[k] = (uint8_t)(1 + (k / guard_every) % (levels - 1));
			continue;
		}
		for (i = 0; i < levels; i++) {
			credit[i] += weights[i];
			if (credit[i] > credit[best])
				best = i;
		}
		credit[best] -= (int64_t)n;
		slots[k] = (uint8_t)best;
	}
	for (i = 0; i < levels; i++) /* a level without a slot would wait for ever */
		assert(levels_own(slots, n, i) > 0);
}

uint64_t sh_levels_wait_picks(const uint8_t *slots, uint32_t n, uint32_t level, uint64_t k)
{
	uint64_t own;

	assert(n > 0 && n <= SH_SLOTS_MAX);
	own = levels_own(slots, n, level);
	assert(own > 0);
	/* each of k jobs waits at most a period of sources, each of these S/own slots */
	return ((k * SH_SOURCE_PERIOD + own - 1) / own) * n + n;
}
