/* base/clock.c - calibration of the time source; see clock.h. SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/inject.h"

#define CALIBRATION_NS UINT64_C(2000000)

struct sh_clock sh_clock_global;

static pthread_once_t clock_once = PTHREAD_ONCE_INIT;

uint64_t sh_clock_monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

#if defined(__x86_64__)
/* True if the TSC has one rate in every power state (cpuid) and the kernel uses it as its clock. */
static bool clock_tsc_trusted(void)
{
	unsigned a = 0, b = 0, c = 0, d = 0;
	char name[32] = "";
	FILE *f = NULL;

	if (!__get_cpuid(0x80000007u, &a, &b, &c, &d) || !(d & (1u << 8)))
		return false;
	f = SH_FAIL("clock.file") ? NULL : fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
	if (!f)
		return false;
	if (SH_FAIL("clock.read") || !fgets(name, sizeof(name), f))
		name[0] = '\0';
	(void)fclose(f);
	return strncmp(name, "tsc", 3) == 0;
}

struct clock_pair {
	uint64_t tsc;
	uint64_t ns;
};

/* A (tsc, ns) pair read together: of 16 tries the one with the shortest gap. */
static struct clock_pair clock_pair_read(void)
{
	struct clock_pair best = { 0, 0 };
	uint64_t best_width = UINT64_MAX;
	int i;

	for (i = 0; i < 16; i++) {
		uint64_t t0 = __builtin_ia32_rdtsc();
		uint64_t ns = sh_clock_monotonic_ns();
		uint64_t t1 = __builtin_ia32_rdtsc();

		if (t1 - t0 < best_width) {
			best_width = t1 - t0;
			best.tsc = t0 + (t1 - t0) / 2;
			best.ns = ns;
		}
	}
	return best;
}

static void clock_calibrate(void)
{
	struct sh_clock *c = &sh_clock_global;
	struct clock_pair a, b;

	if (!clock_tsc_trusted())
		return;
	a = clock_pair_read();
	do
		b = clock_pair_read();
	while (b.ns - a.ns < CALIBRATION_NS);
	if (b.tsc <= a.tsc)
		return;
	c->mult = (uint64_t)((((sh_u128)(b.ns - a.ns)) << 32) / (b.tsc - a.tsc));
	c->tsc0 = a.tsc;
	c->ns0 = a.ns;
	c->source = SH_CLOCK_TSC;
}
#else
static void clock_calibrate(void)
{
}
#endif

void sh_clock_setup(void)
{
	(void)pthread_once(&clock_once, clock_calibrate);
}
