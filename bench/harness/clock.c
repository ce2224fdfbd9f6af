/* bench/harness/clock.c - see clock.h. SPDX-License-Identifier: MIT */
#include "clock.h"

#include <stdio.h>
#include <string.h>

#define CALIBRATION_NS 20000000u

bool bench_clock_tsc;
double bench_clock_ns_per_tick = 1.0;

#if defined(__x86_64__)
/* A (ticks, ns) pair read closely together: the tightest of 16 tries. */
static void read_pair(uint64_t *ticks, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 16; i++) {
		uint64_t a = __builtin_ia32_rdtsc();
		uint64_t t = bench_mono_ns();
		uint64_t b = __builtin_ia32_rdtsc();

		if (b - a < best) {
			best = b - a;
			*ticks = a + (b - a) / 2;
			*ns = t;
		}
	}
}

static bool kernel_trusts_tsc(void)
{
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
	char name[32] = "";

	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	(void)fclose(f);
	return strncmp(name, "tsc", 3) == 0;
}
#endif

void bench_clock_setup(void)
{
#if defined(__x86_64__)
	uint64_t ticks_a = 0, ticks_b = 0, ns_a = 0, ns_b = 0;

	if (!kernel_trusts_tsc())
		return;
	read_pair(&ticks_a, &ns_a);
	while (bench_mono_ns() < ns_a + CALIBRATION_NS) /* bound: CALIBRATION_NS */
		;
	read_pair(&ticks_b, &ns_b);
	if (ticks_b <= ticks_a)
		return;
	bench_clock_ns_per_tick = (double)(ns_b - ns_a) / (double)(ticks_b - ticks_a);
	bench_clock_tsc = true;
#endif
}
