/*
 * base/clock.h - the runtime's one time source: nanoseconds since an arbitrary origin, monotone per
 * thread.
 *
 * On x86 with an invariant TSC that the kernel trusts, a read is one rdtsc and a multiply (about 10
 * ns). Elsewhere it is clock_gettime(CLOCK_MONOTONIC). Both have the same origin, so values agree
 * with CLOCK_MONOTONIC to within the calibration error (below 100 ppm).
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

/*
 * Limits of waits are counted by the kernel's clock, which never goes back. A TSC does, if the machine is saved and
 * restored: delays are wrong for a moment then, but no wait ends early or late. Compare a deadline with nothing but
 * these two.
 *
 * End of a wait that starts now and lasts timeout_ns; SH_FOREVER if that is beyond the clock.
 */
static inline uint64_t sh_clock_deadline(uint64_t timeout_ns)
{
	uint64_t now = sh_clock_monotonic_ns();

	return timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
}

/* Time left to a deadline; UINT64_MAX, which is none, is never nearer. */
static inline uint64_t sh_clock_left(uint64_t deadline_ns)
{
	uint64_t now;

	if (deadline_ns == UINT64_MAX)
		return UINT64_MAX;
	now = sh_clock_monotonic_ns();
	return deadline_ns > now ? deadline_ns - now : 0;
}

#endif
