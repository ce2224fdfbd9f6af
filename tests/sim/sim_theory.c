/*
 * The simulated runtime against queueing theory: mean and 99th percentile of the waits of M/M/1, M/M/4, M/D/1 and M/H2/1,
 * each within 2 % of the closed form, and within 0.2 % of the reference recursion (Kiefer and Wolfowitz 1955; Lindley 1952
 * for one server) over the same arrivals and service times. Mean service 1 ms, so that the runtime's own nanoseconds vanish.
 *
 * M/M/4 is run twice: as four workers, which are work-conserving but not first come first served over all queues, so that
 * only the mean has a closed form (waits are spread wider: the percentile is allowed 40 % more); and as one worker with four asynchronous places, which is
 * first come first served, so that the percentile has one too.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/station.h"

#define MEAN_NS 1e6
#define JOBS 1000000u
#define JOBS_LONG 5000000u
#define WARM_UP 10000u
#define TOLERANCE 0.02
#define TOLERANCE_REFERENCE 0.002
#define TOLERANCE_SPREAD 0.4   /* of several queues that are each first come first served, with stealing */
#define H2_P 0.887298334620742 /* balanced means, squared coefficient of variation 4 */

struct stat {
	double mean, p99; /* in mean service times */
};

static double exponential(struct sh_rng *r, double mean)
{
	return -log(sim_unit(r)) * mean;
}

static double service_m(struct sh_rng *r)
{
	return exponential(r, MEAN_NS);
}

static double service_d(struct sh_rng *r)
{
	(void)sh_rng_next(r);
	return MEAN_NS;
}

static double service_h2(struct sh_rng *r)
{
	bool fast = sim_unit(r) < H2_P;

	return exponential(r, MEAN_NS / (2 * (fast ? H2_P : 1 - H2_P)));
}

/* ---- closed forms; rates per mean service time ---- */

static struct stat theory_mmk(double rho, uint32_t k)
{
	double a = rho * k, term = 1, sum = 0, c;
	struct stat s;
	uint32_t i;

	for (i = 0; i < k; i++) {
		sum += term;
		term *= a / (i + 1);
	}
	c = term / (1 - rho) / (sum + term / (1 - rho)); /* Erlang C: P(wait > 0) */
	s.mean = c / (k - a);
	s.p99 = c > 0.01 ? log(c / 0.01) / (k - a) : 0;
	return s;
}

/* P(wait <= t) of M/D/1 (Erlang 1909). */
static double md1_cdf(double rho, double t)
{
	double sum = 0;
	int j;

	for (j = 0; j <= (int)t; j++) {
		double x = rho * (j - t);
		double term = exp(-x);
		int i;

		for (i = 1; i <= j; i++)
			term *= x / i;
		sum += term;
	}
	return (1 - rho) * sum;
}

static double quantile(double (*cdf)(double rho, double t), double rho)
{
	double low = 0, high = 200;
	int i;

	if (cdf == md1_cdf)
		high = 20; /* beyond, the alternating sum loses its digits */
	for (i = 0; i < 100; i++) {
		double mid = (low + high) / 2;

		if (cdf(rho, mid) < 0.99)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* The transform of M/G/1's wait (Pollaczek and Khinchine) for two exponential phases has two poles: two exponentials. */
static double mh2_cdf(double rho, double t)
{
	double p = H2_P, q = 1 - H2_P, m1 = 2 * p, m2 = 2 * q;
	double b = m1 + m2 - rho, c = m1 * m2 - rho * (p * m2 + q * m1);
	double root = sqrt(b * b / 4 - c), r1 = b / 2 - root, r2 = b / 2 + root;
	double c1 = (1 - rho) * rho * (p * (m2 - r1) + q * (m1 - r1)) / (r2 - r1);
	double c2 = (1 - rho) * rho * (p * (m2 - r2) + q * (m1 - r2)) / (r1 - r2);

	return 1 - c1 / r1 * exp(-r1 * t) - c2 / r2 * exp(-r2 * t);
}

static struct stat theory_md1(double rho)
{
	return (struct stat){ rho / (2 * (1 - rho)), quantile(md1_cdf, rho) };
}

static struct stat theory_mh2(double rho)
{
	return (struct stat){ rho * (1 + 4.0) / (2 * (1 - rho)), quantile(mh2_cdf, rho) };
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static struct stat measure(double *wait, uint32_t n)
{
	struct stat s = { 0, 0 };
	uint32_t i;

	for (i = 0; i < n; i++)
		s.mean += wait[i];
	s.mean /= n;
	qsort(wait, n, sizeof(*wait), compare);
	s.p99 = wait[(size_t)((double)n * 0.99)];
	return s;
}

/* Waits of k servers, first come first served, over the same customers. */
static void reference(const struct customer *c, uint32_t n, uint32_t k, double *wait)
{
	double free_at[16] = { 0 };
	uint32_t i, s;

	for (i = 0; i < n; i++) {
		uint32_t first = 0;
		double at = (double)c[i].arrival_ns;

		for (s = 1; s < k; s++)
			if (free_at[s] < free_at[first])
				first = s;
		wait[i] = free_at[first] > at ? free_at[first] - at : 0;
		free_at[first] = at + wait[i] + (double)c[i].service_ns;
	}
}

static bool near(const char *what, double got, double want, double tolerance)
{
	double off = fabs(got / want - 1);

	(void)printf("  %-24s %9.5f, want %9.5f: %6.3f %%\n", what, got, want, 100 * (got / want - 1));
	return off <= tolerance;
}

struct queue {
	const char *name;
	double rho;
	uint32_t servers;
	bool places; /* servers are asynchronous places of one worker */
	double (*service)(struct sh_rng *r);
	struct stat theory;
	uint32_t more; /* times as many jobs: heavy tails */
};

static void draw(const struct queue *q, struct customer *c, uint32_t n, uint64_t seed)
{
	struct sh_rng arrivals = sim_stream(seed, 40, 0), services = sim_stream(seed, 41, 0);
	double at = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		at += exponential(&arrivals, MEAN_NS / (q->rho * q->servers));
		c[i].arrival_ns = (uint64_t)at;
		c[i].service_ns = (uint64_t)q->service(&services);
	}
}

static bool check(const struct queue *q, uint32_t jobs, uint64_t seed)
{
	struct station s = { q->servers, q->places ? q->servers : 0, SHUNT_IDLE_PARK, NULL, false, 0, 0 };
	uint32_t n = jobs * q->more;
	struct customer *c = calloc(n, sizeof(*c));
	double *wait = calloc(n, sizeof(*wait));
	bool fifo = q->servers == 1 || q->places;
	struct stat got, ref;
	bool ok = c && wait;
	uint32_t i;

	if (!ok)
		goto out;
	draw(q, c, n, seed);
	station_run(&s, seed, c, n);
	reference(c, n, q->servers, wait);
	ref = measure(wait + WARM_UP, n - WARM_UP);
	for (i = 0; i < n; i++)
		wait[i] = (double)c[i].wait_ns;
	got = measure(wait + WARM_UP, n - WARM_UP);
	(void)printf("%s, load %.2f, %u jobs (waits in mean service times)\n", q->name, q->rho, n);
	ok = near("mean, closed form", got.mean / MEAN_NS, q->theory.mean, TOLERANCE);
	ok = near("mean, recursion", got.mean / MEAN_NS, ref.mean / MEAN_NS, fifo ? TOLERANCE_REFERENCE : TOLERANCE) && ok;
	if (fifo) {
		ok = near("p99, closed form", got.p99 / MEAN_NS, q->theory.p99, TOLERANCE) && ok;
		ok = near("p99, recursion", got.p99 / MEAN_NS, ref.p99 / MEAN_NS, TOLERANCE_REFERENCE) && ok;
	} else {
		ok = near("p99, if it were fifo", got.p99 / MEAN_NS, q->theory.p99, TOLERANCE_SPREAD) && ok;
	}
out:
	free(c);
	free(wait);
	return ok;
}

int main(void)
{
	const char *given = getenv("SHUNT_SEED");
	const char *is_long = getenv("SHUNT_LONG");
	uint32_t jobs = is_long && is_long[0] == '1' ? JOBS_LONG : JOBS;
	uint64_t seed = given ? strtoull(given, NULL, 0) : 1;
	const struct queue queues[] = {
		{ "M/M/1", 0.5, 1, false, service_m, theory_mmk(0.5, 1), 1 },
		{ "M/D/1", 0.7, 1, false, service_d, theory_md1(0.7), 1 },
		{ "M/H2/1", 0.5, 1, false, service_h2, theory_mh2(0.5), 3 },
		{ "M/M/4, four workers", 0.7, 4, false, service_m, theory_mmk(0.7, 4), 1 },
		{ "M/M/4, four places", 0.7, 4, true, service_m, theory_mmk(0.7, 4), 1 },
	};
	bool ok = true;
	size_t i;

	(void)printf("SHUNT_SEED=%llu\n", (unsigned long long)seed);
	for (i = 0; i < sizeof(queues) / sizeof(queues[0]); i++)
		ok = check(&queues[i], jobs, seed) && ok;
	(void)printf("%s\n", ok ? "ok" : "NOT within the tolerance");
	return ok ? 0 : 1;
}
