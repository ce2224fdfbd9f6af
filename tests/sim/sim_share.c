/*
 * A worker that is ten times slower than its peer gets at most about its share, a tenth of the other's: jobs come one at a
 * time, so both workers are idle at every choice, and from the first one on, when nothing is known of either. And one
 * job of the fast worker that was preempted for long must not make the pool avoid it afterwards. The deterministic twin of
 * tests/unit/slow_worker_test.c: virtual time, fixed seeds, so every round is undisturbed and the bound can be close.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "sim/station.h"

#define JOBS 1000u
#define FAST_NS 20000u
#define SEEDS 100u
#define SEEDS_LONG 500u
#define SHARE_MAX(jobs) (2 * (jobs) / 11) /* twice the share of one in eleven */
#define OUTLIER 300u
#define OUTLIER_NS 20000000u
#define RECOVERY 200u /* jobs after which it must be forgotten */

static uint32_t outlier_at; /* the customer that is preempted, if the fast worker has it or a later one; 0 = none */
static bool outlier_done;
static const struct customer *first;

static uint64_t ten_times(const struct customer *c, uint32_t worker)
{
	if (worker == 0)
		return 10 * FAST_NS;
	if (outlier_at != 0 && !outlier_done && c - first >= (ptrdiff_t)outlier_at) {
		outlier_done = true;
		return OUTLIER_NS;
	}
	return FAST_NS;
}

static uint32_t slow_share(struct customer *c, enum shunt_idle idle, uint64_t seed, uint32_t from)
{
	struct station s = { 2, 0, idle, ten_times, true, 0, 0 };
	uint32_t slow = 0;
	uint32_t i;

	first = c;
	outlier_done = false;
	station_run(&s, seed, c, JOBS);
	for (i = from; i < JOBS; i++)
		slow += c[i].worker == 0;
	return slow;
}

static bool check(struct customer *c, const char *name, enum shunt_idle idle, uint32_t seeds, uint32_t outlier)
{
	uint32_t from = outlier ? OUTLIER + RECOVERY : 0; /* else all: learning too may cost no more than the share */
	uint32_t most = SHARE_MAX(JOBS - from);
	uint32_t worst = 0;
	uint64_t worst_seed = 0;
	uint64_t sum = 0;
	uint64_t seed;

	outlier_at = outlier;
	for (seed = 1; seed <= seeds; seed++) {
		uint32_t slow = slow_share(c, idle, seed, from);

		sum += slow;
		if (slow < worst)
			continue;
		worst = slow;
		worst_seed = seed;
	}
	(void)printf("%s%s: of %u jobs the slow worker ran %.1f in the mean, at most %u (seed %llu); allowed %u\n", name,
		     outlier ? ", after an outlier" : "", JOBS - from, (double)sum / seeds, worst, (unsigned long long)worst_seed, most);
	return worst <= most;
}

int main(void)
{
	static const struct {
		const char *name;
		enum shunt_idle idle;
	} modes[] = { { "adaptive", SHUNT_IDLE_ADAPTIVE }, { "park", SHUNT_IDLE_PARK }, { "poll", SHUNT_IDLE_POLL } };
	static struct customer c[JOBS];
	const char *is_long = getenv("SHUNT_LONG");
	uint32_t seeds = is_long && is_long[0] == '1' ? SEEDS_LONG : SEEDS;
	bool ok = true;
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		ok = check(c, modes[i].name, modes[i].idle, seeds, 0) && ok;
		ok = check(c, modes[i].name, modes[i].idle, seeds, OUTLIER) && ok;
	}
	return ok ? 0 : 1;
}
