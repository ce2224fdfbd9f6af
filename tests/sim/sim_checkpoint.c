/*
 * Checkpoints on the virtual clock, one worker, Poisson arrivals, 99.5 % of the jobs take 1 us and 0.5 % take 100 us.
 * Long jobs have a checkpoint every 1 to 2 us.
 *
 *   mixed     load 0.70, short jobs are one level above the long ones
 *   urgent    load 0.95, one short job in ten is a level above everything else
 *
 * The level above waits at most LIMIT_NS in 99 % of the cases; without checkpoints it does not, which shows that the
 * limit means something. The level below keeps its stated bounds: it is taken within sh_levels_wait_picks picks of the
 * worker's loop, a job in progress is delayed by no more than the jobs that ran inside it, and by at most
 * SHUNT_CHECKPOINT_JOBS_MAX of them a checkpoint.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/error.h>

#include "policy/levels.h"
#include "sched/world.h"
#include "sim/sim.h"

#define JOBS 200000u
#define JOBS_LONG 1000000u
#define WARM_UP 1000u
#define SHORT_NS 1000u
#define TAIL_NS 100000u
#define LIMIT_NS 10000u
#define USELESS_NS 50000u /* without checkpoints the wait is longer than that */
#define COST_NS 200u      /* what the runtime takes for a nested job and for a checkpoint, at most, on this machine */

struct customer {
	uint64_t arrival_ns, wait_ns;
	uint32_t service_ns;
	uint32_t level;
	uint32_t ahead; /* of its level, when it came */
	uint64_t picks; /* of the loop, until it came */
};

struct trial {
	const char *name;
	double load;
	uint32_t urgent_percent; /* of the short jobs are at level 0; the others are with the long ones */
};

static struct {
	struct shunt_runtime *rt;
	const struct sh_pool *pool;
	uint64_t zero_ns;
	struct sh_rng rng;
	bool checkpoints;
	bool in_job;
	uint64_t picks;      /* jobs that the loop took */
	uint32_t came[2];    /* by level: submitted, */
	uint32_t started[2]; /* and started */
	uint32_t nested;
	uint64_t picks_worst_permille; /* of the bound */
	uint64_t delay_worst_ns;
} g;

static void must(int rc, const char *what)
{
	if (rc != 0)
		sim_fail("%s: %s", what, shunt_strerror(rc));
}

static void judge_start(const struct customer *c)
{
	uint64_t bound = sh_levels_wait_picks(g.pool->slot_table, g.pool->slot_n, c->level, c->ahead + 1);
	uint64_t took = g.picks - c->picks;

	if (c->level == 0)
		return;
	if (took > bound + 1) /* one was in progress */
		sim_fail("level %u waited for %llu picks, the bound is %llu", c->level, (unsigned long long)took,
			 (unsigned long long)bound);
	if (took * 1000 / bound > g.picks_worst_permille)
		g.picks_worst_permille = took * 1000 / bound;
}

/* The work of a long job, in pieces. */
static void long_work(struct shunt_job_ctx *ctx, uint32_t service_ns)
{
	uint64_t start = sim_now_ns();
	uint64_t took, most;
	uint32_t left = service_ns;
	uint32_t pieces = 0;
	uint32_t inside = 0;

	while (left > 0) {
		uint32_t step = (uint32_t)sim_between(&g.rng, 1000, 2000);
		int n;

		step = step < left ? step : left;
		sim_work(step);
		left -= step;
		pieces++;
		if (!g.checkpoints)
			continue;
		n = shunt_checkpoint(ctx);
		if (n < 0 || n > SHUNT_CHECKPOINT_JOBS_MAX)
			sim_fail("checkpoint returned %d", n);
		inside += (uint32_t)n;
	}
	took = sim_now_ns() - start;
	most = service_ns + (uint64_t)inside * (SHORT_NS + COST_NS) + (uint64_t)pieces * COST_NS;
	if (took > most)
		sim_fail("a long job took %llu ns with %u jobs inside it", (unsigned long long)took, inside);
	if (took - service_ns > g.delay_worst_ns)
		g.delay_worst_ns = took - service_ns;
}

static int serve(struct shunt_job_ctx *ctx, void *arg)
{
	struct customer *c = arg;

	c->wait_ns = sim_now_ns() - g.zero_ns - c->arrival_ns;
	g.started[c->level]++;
	if (g.in_job) {
		if (c->level != 0 || c->service_ns != SHORT_NS)
			sim_fail("a job of level %u runs inside another one", c->level);
		g.nested++;
		sim_work(c->service_ns);
		return SHUNT_DONE;
	}
	g.picks++;
	judge_start(c);
	if (c->service_ns <= SHORT_NS) {
		sim_work(c->service_ns);
		return SHUNT_DONE;
	}
	g.in_job = true;
	long_work(ctx, c->service_ns);
	g.in_job = false;
	return SHUNT_DONE;
}

static struct shunt_type_id machine_open(uint64_t seed)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id type = { 0 };
	struct shunt_pool_id pool = { 0 };
	struct sim_opts m;

	memset(&m, 0, sizeof(m));
	m.seed = seed;
	m.point_ns = 5;
	m.wake_ns = 1;
	sim_begin(&m);
	ro.levels = 2;
	ro.jobs_max = 65536;
	must(shunt_runtime_create(&g.rt, &ro), "runtime");
	po.name = "station";
	po.workers = 1;
	po.pin = SHUNT_PIN_NONE;
	po.idle = SHUNT_IDLE_PARK;
	po.ring_capacity = 32768; /* one source a level */
	must(shunt_pool_create(g.rt, &po, &pool), "pool");
	g.pool = sh_runtime_pool(g.rt, pool.v);
	to.name = "customer";
	to.pool = pool;
	to.handler = serve;
	must(shunt_type_create(g.rt, &to, &type), "type");
	return type;
}

static void draw(const struct trial *t, uint64_t seed, struct customer *c, uint32_t n)
{
	struct sh_rng arrivals = sim_stream(seed, 50, 0), kinds = sim_stream(seed, 51, 0);
	double mean_ns = 0.995 * SHORT_NS + 0.005 * TAIL_NS;
	double at = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		at += -log(sim_unit(&arrivals)) * mean_ns / t->load;
		c[i].arrival_ns = (uint64_t)at;
		c[i].service_ns = sim_unit(&kinds) < 0.005 ? TAIL_NS : SHORT_NS;
		c[i].level = c[i].service_ns == SHORT_NS && sim_unit(&kinds) * 100 <= t->urgent_percent ? 0 : 1;
	}
}

static void run(uint64_t seed, struct customer *c, uint32_t n)
{
	uint64_t cancelled = 0;
	struct shunt_type_id type = machine_open(seed);
	struct shunt_job_spec spec;
	uint32_t i;

	memset(&spec, 0, sizeof(spec));
	spec.type = type;
	sim_sleep(1000000);
	g.zero_ns = sim_now_ns();
	for (i = 0; i < n; i++) {
		spec.arg = &c[i];
		spec.level = SHUNT_LEVEL(c[i].level);
		if (sim_now_ns() < g.zero_ns + c[i].arrival_ns)
			sim_sleep(g.zero_ns + c[i].arrival_ns - sim_now_ns());
		c[i].ahead = g.came[c[i].level]++ - g.started[c[i].level];
		c[i].picks = g.picks;
		must(shunt_submit(g.rt, &spec, NULL), "submit");
	}
	must(shunt_runtime_drain(g.rt, SHUNT_FOREVER, NULL), "drain");
	if (shunt_runtime_destroy(g.rt, &cancelled) != 0 || cancelled != 0)
		sim_fail("destroy after drain");
	sim_end();
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t percentile(const struct customer *c, uint32_t n, uint32_t level, double part, uint64_t *wait)
{
	uint32_t k = 0;
	uint32_t i;

	for (i = WARM_UP; i < n; i++)
		if (c[i].level == level)
			wait[k++] = c[i].wait_ns;
	qsort(wait, k, sizeof(*wait), compare);
	return wait[(size_t)((double)k * part)];
}

static bool check(const struct trial *t, bool checkpoints, uint64_t seed, uint32_t n)
{
	struct customer *c = calloc(n, sizeof(*c));
	uint64_t *wait = calloc(n, sizeof(*wait));
	uint64_t above = 0;
	bool ok = c && wait;

	if (!ok)
		goto out;
	memset(&g, 0, sizeof(g));
	g.checkpoints = checkpoints;
	g.rng = sim_stream(seed, 52, 0);
	draw(t, seed, c, n);
	run(seed, c, n);
	above = percentile(c, n, 0, 0.99, wait);
	(void)printf("%-8s load %.2f, %s checkpoints: waits above p50 %.2f us, p99 %.2f us; below p99 %.0f us; "
		     "%u of %u nested; worst: %llu permille of the bound on picks, a job delayed by %.1f us\n",
		     t->name, t->load, checkpoints ? "with" : "without", (double)percentile(c, n, 0, 0.5, wait) / 1e3,
		     (double)above / 1e3, (double)percentile(c, n, 1, 0.99, wait) / 1e3, g.nested, g.came[0],
		     (unsigned long long)g.picks_worst_permille, (double)g.delay_worst_ns / 1e3);
	ok = checkpoints ? above <= LIMIT_NS && g.nested > 0 : above > USELESS_NS && g.nested == 0;
	ok = ok && g.started[0] == g.came[0] && g.started[1] == g.came[1];
out:
	free(c);
	free(wait);
	return ok;
}

int main(void)
{
	static const struct trial trials[] = { { "mixed", 0.70, 100 }, { "urgent", 0.95, 10 } };
	const char *given = getenv("SHUNT_SEED");
	const char *is_long = getenv("SHUNT_LONG");
	uint32_t n = is_long && is_long[0] == '1' ? JOBS_LONG : JOBS;
	uint64_t seed = given ? strtoull(given, NULL, 0) : 1;
	bool ok = true;
	size_t i;

	(void)printf("SHUNT_SEED=%llu\n", (unsigned long long)seed);
	for (i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		ok = check(&trials[i], true, seed, n) && ok;
		ok = check(&trials[i], false, seed, n) && ok;
	}
	(void)printf("%s\n", ok ? "ok" : "NOT within the limits");
	return ok ? 0 : 1;
}
