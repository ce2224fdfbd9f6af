/*
 * policy/ewma.h - exponentially weighted moving averages of run times, latencies and failures.
 * Called by workers and by the stand-alone balancer. Pure functions.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_POLICY_EWMA_H
#define SH_POLICY_EWMA_H

#include "base/compiler.h"

/*
 * Moving averages in integer nanoseconds. The new sample weighs 1/8, independent of time. 0 =
 * nothing known yet: the first sample is taken as it is (0 counts as 1). A step is at least 1, so a
 * constant sample is reached.
 */
uint64_t sh_ewma_next(uint64_t old, uint64_t sample);

/* The same for values below 2^62. Runs once per job: the common case has no branch. */
static inline uint64_t sh_ewma_run_next(uint64_t old, uint64_t sample)
{
	int64_t d = (int64_t)(sample + (sample == 0)) - (int64_t)old;

	if (sh_unlikely(old == 0))
		return (uint64_t)d;
	/* rounds away from old, so a step is at least 1 */
	return (uint64_t)((int64_t)old + ((d + (d > 0 ? 7 : 0)) >> 3));
}

/* Takes a larger sample at once, and falls as above. */
uint64_t sh_ewma_peak_next(uint64_t old, uint64_t sample);
/*
 * An average that got no sample for `age` of any unit: halved for each 2^shift of it, evenly in between (a value below
 * 2^(shift + 1) at once). 0 stays 0, any other is 1 at least.
 */
uint64_t sh_ewma_aged(uint64_t value, uint64_t age, uint32_t shift);
/* Permille of failures; old and result 0..1000. */
uint32_t sh_ewma_fail_next(uint32_t old, bool failed);

#endif
