/*
 * A worker that is adaptive meets jobs that come in a steady rhythm awake: after the first ten their delay is small against
 * what a wake-up costs here. Jobs that come at random are served no later than by a worker that does not listen for a
 * rhythm (its spin time is given), nor are jobs whose rhythm breaks again and again. Virtual time, fixed seeds.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/station.h"

#define JOBS 1000u
#define FIRST 10u /* the first, a gap, and eight that are like it */
#define GAP_NS 1000000u
#define WAKE_NS 20000u /* to 40000, says the machine */
#define SERVICE_NS 2000u
#define SEEDS 20u

enum load { SHARP, JITTER, AT_WAKE, RANDOM, BROKEN };

static const char *const load_name[] = { "sharp", "jitter", "at its wake-up", "random", "broken" };

static void plan(struct customer *c, enum load load, uint64_t seed)
{
	struct sh_rng rng = sim_stream(seed, 77, 0);
	uint64_t due_ns = 0;

	memset(c, 0, JOBS * sizeof(*c));
	for (uint32_t i = 0; i < JOBS; i++) {
		if (load == RANDOM)
			due_ns += (uint64_t)(-log(sim_unit(&rng)) * GAP_NS);
		else
			due_ns += load == BROKEN && i % 13 == 0 ? GAP_NS / 2 + sim_between(&rng, 0, 2 * GAP_NS)
								: GAP_NS;
		c[i].arrival_ns = due_ns + (load == JITTER ? sim_between(&rng, 0, GAP_NS / 100) : 0);
		if (load == AT_WAKE && i % 12 == 11) /* where the worker's own time-out is: now and then the waker meets it */
			c[i].arrival_ns -= 3 * WAKE_NS / 2 + sim_between(&rng, 0, 3 * WAKE_NS / 4);
		c[i].service_ns = SERVICE_NS;
	}
}

struct delays {
	uint64_t sum_ns, most_ns; /* of those after the first ten */
	uint32_t slow;            /* so many had to wait for a wake-up */
	uint64_t parks;
};

static struct delays run(struct customer *c, enum load load, uint64_t seed, uint32_t workers, uint64_t spin_ns)
{
	struct station s = { workers, 0, SHUNT_IDLE_ADAPTIVE, NULL, false, WAKE_NS, spin_ns };
	struct delays d = { 0, 0, 0, 0 };

	plan(c, load, seed);
	station_run(&s, seed, c, JOBS);
	d.parks = station_parks();
	for (uint32_t i = FIRST; i < JOBS; i++) {
		d.sum_ns += c[i].wait_ns;
		d.most_ns = c[i].wait_ns > d.most_ns ? c[i].wait_ns : d.most_ns;
		d.slow += c[i].wait_ns >= WAKE_NS / 2;
	}
	return d;
}

static bool met(struct customer *c, enum load load)
{
	bool ok = true;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct delays d = run(c, load, seed, 1, 0);

		/* It sleeps once a period: it neither spins through the gaps nor wakes up without a job. */
		bool good = d.parks > JOBS - JOBS / 20 && d.parks < JOBS + JOBS / 20 && d.slow == 0
			    && d.sum_ns < (uint64_t)(JOBS - FIRST) * (WAKE_NS / 20);

		if (seed == 1 || !good)
			(void)printf("%s, seed %llu: mean %.0f ns, most %llu ns, %u slow, %llu sleeps\n", load_name[load], (unsigned long long)seed,
				     (double)d.sum_ns / (JOBS - FIRST), (unsigned long long)d.most_ns, d.slow, (unsigned long long)d.parks);
		ok = ok && good;
	}
	return ok;
}

/* Waker or time-out first: if a wake-up were lost, only the next job would end the sleep, a gap later. */
static bool none_forgotten(struct customer *c)
{
	uint64_t most_ns = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct delays d = run(c, AT_WAKE, seed, 1, 0);

		most_ns = d.most_ns > most_ns ? d.most_ns : most_ns;
	}
	(void)printf("%s: most %llu ns\n", load_name[AT_WAKE], (unsigned long long)most_ns);
	return most_ns < 4 * WAKE_NS;
}

/* In the mean of all seeds: which jobs find the worker awake differs a little from run to run. */
static bool unharmed(struct customer *c, enum load load, uint32_t workers)
{
	uint64_t with = 0, without = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		with += run(c, load, seed, workers, 0).sum_ns;
		without += run(c, load, seed, workers, 3 * WAKE_NS / 2).sum_ns;
	}
	(void)printf("%s, %u workers: mean %.0f ns, without %.0f ns\n", load_name[load], workers,
		     (double)with / SEEDS / (JOBS - FIRST), (double)without / SEEDS / (JOBS - FIRST));
	/* A worker that learned that spinning does not pay meets fewer of the jobs: one in 25 at most. */
	return with <= without + without / 25;
}

int main(void)
{
	static struct customer c[JOBS];
	bool ok = true;

	ok = met(c, SHARP) && ok;
	ok = met(c, JITTER) && ok;
	ok = unharmed(c, AT_WAKE, 1) && ok;
	ok = none_forgotten(c) && ok;
	ok = unharmed(c, RANDOM, 1) && ok;
	ok = unharmed(c, RANDOM, 2) && ok;
	ok = unharmed(c, BROKEN, 1) && ok;
	return ok ? 0 : 1;
}
