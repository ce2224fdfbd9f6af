/*
 * tests/unit/credit_util.h - counts the credits of a runtime: those of the counter and those that threads keep. Header
 * only. Called while no thread that keeps some runs; in a small runtime none does.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_CREDIT_UTIL_H
#define TEST_CREDIT_UTIL_H

#include "sched/world.h"

/* Credits that no queued job has: jobs_max when nothing is queued. */
static inline uint64_t cu_credits(struct shunt_runtime *rt)
{
	uint64_t n = sh_a64_load_acq(&rt->credits);
	uint32_t i;

	for (i = 0; rt->credit_cache != 0 && i < rt->submitters; i++)
		n += rt->submitter[i].credits;
	return n;
}

#endif
