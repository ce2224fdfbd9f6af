/* sched/credit.c - see credit.h. SPDX-License-Identifier: MIT */
#include "sched/credit.h"

#define CACHE_SHARE 8u /* all threads together keep at most this part of all credits, twice */

uint32_t sh_credit_cache(uint32_t jobs_max, uint32_t threads)
{
	uint32_t each = jobs_max / CACHE_SHARE / threads;

	return each < SH_CREDIT_CACHE ? each : SH_CREDIT_CACHE;
}

SH_NOINLINE uint32_t sh_credit_take_slow(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t n)
{
	uint32_t have = sub ? sub->credits : 0;
	uint64_t want = n - (have < n ? have : n) + (sub ? rt->credit_cache : 0);
	/* mo capacity.1 <- capacity.1@sched/credit.c: sees what those who took the jobs did. */
	uint64_t left = sh_a64_load_acq(&rt->credits);
	uint64_t got = 0;

	while (left != 0) {
		got = left < want ? left : want;
		/* mo capacity.1 <- capacity.1@sched/credit.c: as above. */
		if (sh_a64_cas_acq_rel_acq(&rt->credits, &left, left - got))
			break;
		got = 0;
	}
	got += have;
	n = got < n ? (uint32_t)got : n;
	if (sub)
		sub->credits = (uint32_t)got - n;
	return n;
}

SH_NOINLINE void sh_credit_give_slow(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t n)
{
	uint32_t keep = sub ? rt->credit_cache : 0;
	uint64_t give = (uint64_t)n + (sub ? sub->credits : 0);

	keep = give < keep ? (uint32_t)give : keep;
	if (sub)
		sub->credits = keep;
	if (give > keep)
		/* mo capacity.1 -> capacity.1@sched/credit.c: the jobs were taken before. */
		(void)sh_a64_add_acq_rel(&rt->credits, give - keep);
}

bool sh_credit_leave(struct shunt_runtime *rt)
{
	/* mo capacity.1 <- capacity.1@sched/credit.c: the item that was taken off had been taken. */
	uint64_t n = sh_a64_load_acq(&rt->left_behind);

	do {
		if (n >= rt->left_max)
			return false;
		/* mo capacity.1 <- capacity.1@sched/credit.c: as above. */
	} while (!sh_a64_cas_acq_rel_acq(&rt->left_behind, &n, n + 1));
	return true;
}

void sh_credit_left(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	/*
	 * mo rlx: the look at the record acquired (record.2) that its winner has counted before; else checked by
	 * the CAS.
	 */
	uint64_t n = sh_a64_load_rlx(&rt->left_behind);

	do {
		if (n == 0) {
			sh_credit_give(rt, sub, 1);
			return;
		}
		/* mo capacity.1 -> capacity.1@sched/credit.c: the item was taken before. */
	} while (!sh_a64_cas_acq_rel_acq(&rt->left_behind, &n, n - 1));
}

void sh_credit_flush(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	uint32_t n = sub->credits;

	sub->credits = 0;
	if (n != 0)
		/* mo capacity.1 -> capacity.1@sched/credit.c: as above. */
		(void)sh_a64_add_acq_rel(&rt->credits, n);
}
