/*
 * Placement by the power of two choices, with the strategies that pools use (the stand-alone balancer has the same code, and
 * nothing is stolen there): n queues with exponential service, Poisson arrivals of rate lambda each, every arrival placed by
 * the strategy. The fraction of queues with at least i jobs is lambda^i for a random choice and falls doubly exponentially,
 * lambda^((d^i - 1) / (d - 1)), for the shorter of d (Vvedenskaya, Dobrushin and Karpelevich 1996; Mitzenmacher 1996). Peak-EWMA
 * compares two, least-loaded four draws. Each fraction above 0.03 must be within 5 % (that is for n to infinity; n is 1000).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/balancer.h>

#include "sim/sim.h"

#define QUEUES 1000u
#define WARM_UP 200.0 /* mean service times */
#define TIME 3000.0
#define TIME_LONG 15000.0
#define DEPTH 12u
#define FRACTION_MIN 0.03 /* below, an error of the arrival rate by 0.1 % alone is worth more than the tolerance */
#define TOLERANCE 0.05

struct law {
	const char *name;
	enum shunt_strategy strategy;
	double d;      /* 1 = random */
	double lambda; /* a random choice forgets its start slowly when lambda is near 1 */
};

struct fleet {
	struct shunt_balancer *b;
	uint32_t length[QUEUES];
	uint32_t busy[QUEUES];  /* queues with a job, in any order, */
	uint32_t place[QUEUES]; /* and where each of them stands there */
	uint32_t busy_n;
	uint32_t at_least[DEPTH + 1];
	double integral[DEPTH + 1];
};

static void join(struct fleet *f, uint32_t q)
{
	if (f->length[q] == 0) {
		f->place[q] = f->busy_n;
		f->busy[f->busy_n++] = q;
	}
	f->length[q]++;
	if (f->length[q] <= DEPTH)
		f->at_least[f->length[q]]++;
}

static void leave(struct fleet *f, uint32_t q)
{
	if (f->length[q] <= DEPTH)
		f->at_least[f->length[q]]--;
	f->length[q]--;
	if (f->length[q] == 0) {
		f->busy[f->place[q]] = f->busy[--f->busy_n];
		f->place[f->busy[f->place[q]]] = f->place[q];
	}
}

/* The whole fleet is one Markov chain: next an arrival, or the end of a job at a random busy queue. */
static int run(struct fleet *f, double lambda, struct sh_rng *r, double end)
{
	double now = 0;

	while (now < end) {
		double arrivals = lambda * QUEUES, rate = arrivals + f->busy_n;
		double step = -log(sim_unit(r)) / rate;
		uint32_t i;

		for (i = 1; now > WARM_UP && i <= DEPTH; i++)
			f->integral[i] += f->at_least[i] * step;
		now += step;
		if (sim_unit(r) * rate <= arrivals) {
			int q = shunt_balancer_start(f->b, 0, SHUNT_ANY);

			if (q < 0)
				return q;
			join(f, (uint32_t)q);
		} else {
			uint32_t q = f->busy[sh_rng_below(r, f->busy_n)];
			int rc = shunt_balancer_complete(f->b, q, 1000000, 0); /* all learn the same: the length decides */

			if (rc != 0)
				return rc;
			leave(f, q);
		}
	}
	return 0;
}

static bool check(const struct law *law, uint64_t seed, double end)
{
	struct shunt_balancer_opts o = SHUNT_BALANCER_OPTS_INIT;
	struct fleet *f = calloc(1, sizeof(*f));
	struct sh_rng r = sim_stream(seed, 50, (uint64_t)law->strategy);
	bool ok = f != NULL;
	uint32_t i;

	o.workers = QUEUES;
	o.capacity = 100000;
	o.strategy = law->strategy;
	o.seed = seed;
	ok = ok && shunt_balancer_create(&f->b, &o) == 0;
	ok = ok && run(f, law->lambda, &r, end) == 0;
	(void)printf("%s, lambda %.2f, %u queues: at least i jobs, fraction and law\n", law->name, law->lambda, QUEUES);
	for (i = 1; ok && i <= DEPTH; i++) {
		double got = f->integral[i] / (end - WARM_UP) / QUEUES;
		double want = pow(law->lambda, law->d > 1 ? (pow(law->d, i) - 1) / (law->d - 1) : i);

		if (want < FRACTION_MIN)
			break;
		(void)printf("  %2u %8.5f %8.5f %6.2f %%\n", i, got, want, 100 * (got / want - 1));
		ok = fabs(got / want - 1) <= TOLERANCE;
	}
	if (f)
		shunt_balancer_destroy(f->b);
	free(f);
	return ok;
}

int main(void)
{
	const char *given = getenv("SHUNT_SEED");
	const char *is_long = getenv("SHUNT_LONG");
	double end = is_long && is_long[0] == '1' ? TIME_LONG : TIME;
	uint64_t seed = given ? strtoull(given, NULL, 0) : 1;
	const struct law laws[] = {
		{ "random", SHUNT_SELECT_RANDOM, 1, 0.7 },
		{ "two choices (peak-EWMA)", SHUNT_SELECT_PEAK_EWMA, 2, 0.9 },
		{ "four choices (least loaded)", SHUNT_SELECT_LEAST_LOADED, 4, 0.9 },
	};
	bool ok = true;
	size_t i;

	(void)printf("SHUNT_SEED=%llu\n", (unsigned long long)seed);
	for (i = 0; i < sizeof(laws) / sizeof(laws[0]); i++)
		ok = check(&laws[i], seed, end) && ok;
	(void)printf("%s\n", ok ? "ok" : "NOT within the tolerance");
	return ok ? 0 : 1;
}
