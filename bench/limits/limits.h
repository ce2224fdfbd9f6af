/*
 * bench/limits/limits.h - the machine's limits one by one, each a function that returns a median in nanoseconds; 0
 * where it cannot be measured (one cpu only). alone.c needs one cpu, pair.c the first two of the run; limits.c is
 * the program.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include "harness/harness.h"

struct limit_value {
	double ns;
	uint64_t n; /* samples */
};

struct limit_value limit_rdtsc(const struct bench_run *r);
struct limit_value limit_rdtsc_ordered(const struct bench_run *r);
struct limit_value limit_clock_gettime(const struct bench_run *r);
struct limit_value limit_fetch_add(const struct bench_run *r);
struct limit_value limit_malloc(const struct bench_run *r);

struct limit_value limit_line(const struct bench_run *r);
struct limit_value limit_wake_call_20us(const struct bench_run *r);
struct limit_value limit_wake_run_20us(const struct bench_run *r);
struct limit_value limit_wake_call_1ms(const struct bench_run *r);
struct limit_value limit_wake_run_1ms(const struct bench_run *r);
struct limit_value limit_fetch_add_contended(const struct bench_run *r);
struct limit_value limit_spsc_item(const struct bench_run *r);
struct limit_value limit_spsc_one_way(const struct bench_run *r);
struct limit_value limit_mpmc_item(const struct bench_run *r);
struct limit_value limit_mpmc_one_way(const struct bench_run *r);

#endif
