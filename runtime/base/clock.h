/*
 * base/clock.h - the runtime's one time source: nanoseconds since an arbitrary start, monotone per thread.
 *
 * On x86 with an invariant TSC that the kernel itself trusts, a read is one rdtsc and a multiply (about
 * 10 ns); elsewhere it is clock_gettime(CLOCK_MONOTONIC). Both count from the same origin, so that values
 * can be compared with CLOCK_MONOTONIC to within the calibration error (below 100 ppm).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_CLOCK_H
#define SH_BASE_CLOCK_H

#include "base/compiler.h"

enum sh_clock_source { SH_CLOCK_MONOTONIC = 0, SH_CLOCK_TSC = 1 };

struct sh_clock {
	uint64_t tsc0;   /* sync: const after sh_clock_setup */
	uint64_t ns0;    /* sync: const */
	uint64_t mult;   /* sync: const; ns = (ticks * mult) >> 32 */
	enum sh_clock_source source; /* sync: const */
};

extern struct sh_clock sh_clock_global;

/* Calibrates once per process (about 2 ms with TSC); later calls return at once. Any thread. */
void sh_clock_setup(void);
uint64_t sh_clock_monotonic_ns(void);

static inline uint64_t sh_clock_ns(void)
{
#if defined(__x86_64__)
	const struct sh_clock *c = &sh_clock_global;

	if (sh_likely(c->source == SH_CLOCK_TSC)) {
		uint64_t ticks = __builtin_ia32_rdtsc() - c->tsc0;

		return c->ns0 + (uint64_t)(((sh_u128)ticks * c->mult) >> 32);
	}
#endif
	return sh_clock_monotonic_ns();
}

#endif
