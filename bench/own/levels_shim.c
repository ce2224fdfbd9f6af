/* bench/own/levels_shim.c - see levels_shim.h. SPDX-License-Identifier: MIT */
#include "levels_shim.h"

#include "policy/levels.h"

#define GUARD_EVERY 64u /* the default of struct shunt_pool_opts */

uint64_t own_levels_bound(uint32_t levels, uint32_t level, uint64_t k)
{
	static uint8_t slots[SH_SLOTS_MAX];
	static uint32_t n;

	if (n == 0) {
		n = sh_levels_slots(SHUNT_LEVELS_STRICT, levels, GUARD_EVERY, NULL);
		sh_levels_fill(SHUNT_LEVELS_STRICT, levels, GUARD_EVERY, NULL, slots, n);
	}
	return sh_levels_wait_picks(slots, n, level, k);
}
