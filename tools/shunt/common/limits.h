/*
 * shunt/common/limits.h - the limits of this machine: the one-way transfer of a cache line between
 * two cpus, waking a sleeping thread (the waker's cost, and the time until the sleeper runs),
 * reading the clock. A scheduler cannot be faster. `shunt load` and bench/limits print them beside
 * their measurements.
 *
 * Thread: any; starts two threads of its own, pinned to the two cpus. Blocks: about 0.2 s.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LIMITS_H
#define SHUNT_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct limits_value {
	size_t samples; /* 0 = could not be measured */
	double min_ns, p50_ns, p99_ns;
};

enum limits_what {
	LIMITS_CLOCK,        /* one shunt_now_ns(); each sample is the mean of 1000 */
	LIMITS_CLOCK_KERNEL, /* one clock_gettime(CLOCK_MONOTONIC), likewise */
	/* from a write on one cpu until another sees it; mean of 200 round trips, halved */
	LIMITS_LINE,
	LIMITS_WAKE_CALL,    /* futex wake of a sleeping thread: the caller's time */
	LIMITS_WAKE_RUN,     /* from before the wake until the sleeper runs */
	LIMITS_COUNT
};

struct limits {
	int cpu_a, cpu_b; /* the cpus measured: of the waker and of the sleeper */
	struct limits_value value[LIMITS_COUNT];
};

/* Cpus to measure; -1 = two allowed ones on different cores if there are any, else one twice. */
struct limits_opts {
	int cpu_a, cpu_b;
};

/* "cache line, one way", ... and a key for JSON, "line_one_way". */
const char *limits_name(enum limits_what what);
const char *limits_key(enum limits_what what);
/* Measures. 0, SHUNT_EINVAL (a cpu is not allowed), SHUNT_ENOMEM, SHUNT_ESYS (threads). */
int limits_measure(struct limits *out, const struct limits_opts *opts);

#endif
