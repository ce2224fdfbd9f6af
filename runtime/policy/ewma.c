/* policy/ewma.c - see ewma.h. SPDX-License-Identifier: MIT */

#include "policy/ewma.h"

uint64_t sh_ewma_next(uint64_t old, uint64_t sample)
{
	if (sample == 0)
		sample = 1;
	if (old == 0)
		return sample;
	if (sample > old)
		return old + (sample - old) / 8 + ((sample - old) % 8 != 0);
	return old - ((old - sample) / 8 + ((old - sample) % 8 != 0));
}

uint64_t sh_ewma_peak_next(uint64_t old, uint64_t sample)
{
	return sample > old ? sample : sh_ewma_next(old, sample);
}

uint64_t sh_ewma_aged(uint64_t value, uint64_t age, uint32_t shift)
{
	uint64_t v = age >> shift < 64 ? value >> (age >> shift) : 0;

	v -= (v >> (shift + 1)) * (age & ((UINT64_C(1) << shift) - 1));
	return value != 0 && v == 0 ? 1 : v;
}

uint32_t sh_ewma_fail_next(uint32_t old, bool failed)
{
	if (old > 1000)
		old = 1000;
	return failed ? old + (1000 - old + 7) / 8 : old - (old + 7) / 8;
}
