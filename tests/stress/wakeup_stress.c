/*
 * stress/wakeup_stress.c - hunts lost wake-ups: one job at a time into workers that are just about to sleep.
 *
 * Invariant: a job that was accepted runs although nothing else happens afterwards: no later submit, no other wake-up
 * comes to its help. Each case submits one job (or the few that belong together), waits until it is done, pauses for a
 * random tiny time around what a worker takes to fall asleep, and does so again. A job that nobody comes for leaves the
 * program standing still; the watchdog then prints the state of every worker.
 *
 * Cases: idle mode x 1 to 4 workers x { plain, tracked, keyed, pinned, batch, spawned by a job, backlog behind a full
 * ring, two submitters, a pending asynchronous job that fills its worker, a blocked worker with a spare, two jobs of
 * which the first waits for the second, a full worker's own wake-up by the completer }.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/inject.h"
#include "stress_util.h"

struct round;
typedef void (*step_fn)(struct round *r);

struct round {
	struct shunt_runtime *rt;
	struct shunt_type_id plain, spawn, async, block, pair;
	struct sh_rng rng;
	uint32_t workers;
	uint32_t pause_ns_max;
	sh_a64 ran;
	uint64_t expected;
	sh_a64 other_ran, pair_ran;
	sh_a64 blocked; /* the blocking job stands */
	sh_a32 let_go;
	sh_a64 async_id; /* of the pending job, 0 = not started */
};

static struct round *now; /* sync: const while threads run */

static int run_plain(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)sh_a64_add_sc(arg ? arg : (void *)&now->ran, 1);
	return SHUNT_DONE;
}

/* Spawns into its own deque and stays: somebody else must come for the child. With one worker it just ends. */
static int run_spawn(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_job_spec spec = { 0 };

	spec.type = now->plain;
	STRESS_CHECK(shunt_submit(shunt_job_runtime(ctx), &spec, NULL) == 0, "submit in a job");
	while (now->workers > 1 && sh_a64_load_sc(&now->ran) < (uint64_t)(uintptr_t)arg)
		stress_pause_ns(1000); /* not declared: the worker is simply busy */
	return SHUNT_DONE;
}

static int run_async(struct shunt_job_ctx *ctx, void *arg)
{
	(void)arg;
	sh_a64_store_sc(&now->async_id, shunt_job_self(ctx).v);
	return SHUNT_PENDING;
}

static int run_block(struct shunt_job_ctx *ctx, void *arg)
{
	(void)arg;
	STRESS_CHECK(shunt_block_begin(ctx) == 0, "no spare");
	(void)sh_a64_add_sc(&now->blocked, 1);
	while (!sh_a32_load_sc(&now->let_go))
		stress_pause_ns(2000);
	shunt_block_end(ctx);
	return SHUNT_DONE;
}

/* Ends when the other of its pair runs too: two workers must be at work. */
static int run_pair(struct shunt_job_ctx *ctx, void *arg)
{
	uint64_t want = (uint64_t)(uintptr_t)arg;

	(void)ctx;
	(void)sh_a64_add_sc(&now->pair_ran, 1);
	while (sh_a64_load_sc(&now->pair_ran) < want)
		stress_pause_ns(1000);
	return SHUNT_DONE;
}

static void rest(struct round *r)
{
	uint32_t ns = sh_rng_below(&r->rng, r->pause_ns_max);

	if (ns > 50000)
		stress_pause_ns(ns);
	else
		stress_spin_ns(ns);
}

static void await_ran(struct round *r, uint64_t more)
{
	uint32_t looks = 0;

	r->expected += more;
	while (sh_a64_load_sc(&r->ran) < r->expected)
		if (++looks > 200)
			stress_pause_ns(1000);
	STRESS_CHECK(sh_a64_load_sc(&r->ran) == r->expected, "a job ran twice");
	stress_progress();
	rest(r);
}

static void submit_one(struct round *r, const struct shunt_job_spec *spec, struct shunt_job_id *id)
{
	int rc = shunt_submit(r->rt, spec, id);

	STRESS_CHECK(rc == 0, "submit: %d", rc);
}

static void step_plain(struct round *r)
{
	struct shunt_job_spec spec = { 0 };

	spec.type = r->plain;
	submit_one(r, &spec, NULL);
	await_ran(r, 1);
}

static void step_tracked(struct round *r)
{
	struct shunt_job_spec spec = { 0 };
	struct shunt_job_id id;

	spec.type = r->plain;
	submit_one(r, &spec, &id);
	STRESS_CHECK(shunt_wait(r->rt, id, SHUNT_FOREVER, NULL) == 0, "wait");
	await_ran(r, 1);
}

static void step_keyed(struct round *r)
{
	struct shunt_job_spec spec = { 0 };
	uint32_t n = 1 + sh_rng_below(&r->rng, 3);
	uint32_t i;

	spec.type = r->plain;
	spec.flags = SHUNT_JOB_KEYED;
	for (i = 0; i < n; i++) {
		spec.key = sh_rng_below(&r->rng, 2);
		submit_one(r, &spec, NULL);
	}
	await_ran(r, n);
}

static void step_pinned(struct round *r)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec spec = { 0 };

	spec.type = r->plain;
	spec.flags = SHUNT_JOB_ON_WORKER;
	opts.worker = sh_rng_below(&r->rng, r->workers);
	spec.opts = &opts;
	submit_one(r, &spec, NULL);
	await_ran(r, 1);
}

static void step_batch(struct round *r)
{
	struct shunt_job_spec spec[12];
	uint32_t n = 1 + sh_rng_below(&r->rng, SH_COUNT(spec)); /* rings of 2: the rest goes to the backlog */
	uint32_t i;

	memset(spec, 0, sizeof(spec));
	for (i = 0; i < n; i++) {
		spec[i].type = r->plain;
		spec[i].level = (uint8_t)sh_rng_below(&r->rng, 5);
	}
	STRESS_CHECK(shunt_submit_batch(r->rt, spec, n, NULL, NULL) == n, "batch");
	await_ran(r, n);
}

static void step_spawn(struct round *r)
{
	struct shunt_job_spec spec = { 0 };

	spec.type = r->spawn;
	spec.arg = (void *)(uintptr_t)(r->expected + 1);
	submit_one(r, &spec, NULL);
	await_ran(r, 1);
}

/* The pending job fills its worker (capacity 1); the others must still serve. */
static void step_async(struct round *r)
{
	struct shunt_job_spec spec = { 0 };
	struct shunt_job_id id;
	uint32_t n = 1 + sh_rng_below(&r->rng, 3);
	uint32_t i;

	sh_a64_store_sc(&r->async_id, 0);
	spec.type = r->async;
	submit_one(r, &spec, &id);
	while (sh_a64_load_sc(&r->async_id) == 0)
		stress_pause_ns(1000);
	rest(r);
	spec.type = r->plain;
	if (r->workers > 1) {
		for (i = 0; i < n; i++) {
			submit_one(r, &spec, NULL);
			await_ran(r, 1);
		}
	} else { /* the only worker is full: the completer must wake it */
		submit_one(r, &spec, NULL);
	}
	STRESS_CHECK(shunt_complete(r->rt, id, 0) == 0, "complete");
	STRESS_CHECK(shunt_wait(r->rt, id, SHUNT_FOREVER, NULL) == 0, "wait");
	if (r->workers == 1)
		await_ran(r, 1);
}

/* Every worker stands in a declared block; the spares serve. Submits race with the block itself. */
static void step_spare(struct round *r)
{
	struct shunt_job_spec spec = { 0 };
	struct shunt_job_id id[4];
	uint64_t stand = sh_a64_load_sc(&r->blocked) + r->workers;
	uint32_t early = sh_rng_below(&r->rng, 3);
	uint32_t i;

	sh_a32_store_sc(&r->let_go, 0);
	for (i = 0; i < r->workers; i++) {
		spec.type = r->block;
		submit_one(r, &spec, &id[i]);
	}
	rest(r);
	spec.type = r->plain;
	for (i = 0; i < early; i++)
		submit_one(r, &spec, NULL);
	await_ran(r, early);
	stress_until_at_least(&r->blocked, stand, "every worker stands in a declared block");
	submit_one(r, &spec, NULL);
	await_ran(r, 1);
	sh_a32_store_sc(&r->let_go, 1);
	for (i = 0; i < r->workers; i++)
		STRESS_CHECK(shunt_wait(r->rt, id[i], SHUNT_FOREVER, NULL) == 0, "wait");
}

static void step_pair(struct round *r)
{
	struct shunt_job_spec spec = { 0 };
	struct shunt_job_id id[2];
	uint32_t i;

	spec.type = r->pair;
	spec.arg = (void *)(uintptr_t)(sh_a64_load_sc(&r->pair_ran) + 2);
	for (i = 0; i < 2; i++)
		submit_one(r, &spec, &id[i]);
	for (i = 0; i < 2; i++)
		STRESS_CHECK(shunt_wait(r->rt, id[i], SHUNT_FOREVER, NULL) == 0, "wait");
	await_ran(r, 0);
}

static void *other_submitter(void *arg)
{
	struct round *r = arg;
	struct shunt_job_spec spec = { 0 };
	uint32_t i;

	spec.type = r->plain;
	spec.arg = &r->other_ran;
	for (i = 0; i < 40; i++) {
		submit_one(r, &spec, NULL);
		while (sh_a64_load_sc(&r->other_ran) <= i)
			stress_pause_ns(1000);
	}
	return NULL;
}

static void step_two(struct round *r)
{
	pthread_t t;
	uint32_t i;

	sh_a64_store_sc(&r->other_ran, 0);
	STRESS_CHECK(pthread_create(&t, NULL, other_submitter, r) == 0, "thread");
	for (i = 0; i < 40; i++)
		step_plain(r);
	(void)pthread_join(t, NULL);
}

static const struct {
	const char *name;
	step_fn step;
	uint32_t workers_min;
	uint32_t weight; /* steps of this sort cost so much more */
} cases[] = {
	{ "plain", step_plain, 1, 1 },
	{ "tracked", step_tracked, 1, 1 },
	{ "keyed", step_keyed, 1, 1 },
	{ "pinned", step_pinned, 1, 1 },
	{ "batch", step_batch, 1, 2 },
	{ "spawn", step_spawn, 1, 1 },
	{ "async", step_async, 1, 2 },
	{ "spare", step_spare, 1, 8 },
	{ "pair", step_pair, 2, 2 },
	{ "two submitters", step_two, 1, 60 },
};

static void open_round(struct round *r, enum shunt_idle idle, uint64_t seed)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	int rc;

	now = r;
	sh_rng_init(&r->rng, seed);
	r->pause_ns_max = sh_rng_below(&r->rng, 2) ? 4000 : 100000;
	ro.jobs_max = 1024;
	ro.submitters_max = 8;
	STRESS_CHECK(shunt_runtime_create(&r->rt, &ro) == 0, "runtime create");
	stress_round(seed, r->rt);
	po.name = "wake";
	po.workers = r->workers;
	po.pin = SHUNT_PIN_NONE;
	po.idle = idle;
	po.ring_capacity = 2;
	po.async_max = 1;
	po.spin_ns = idle == SHUNT_IDLE_ADAPTIVE ? 1000 + sh_rng_below(&r->rng, 20000) : 0;
	po.strategy = sh_rng_below(&r->rng, 2) ? SHUNT_SELECT_DEFAULT : SHUNT_SELECT_ROUND_ROBIN;
	rc = shunt_pool_create(r->rt, &po, &to.pool);
	to.name = "plain";
	to.handler = run_plain;
	rc |= shunt_type_create(r->rt, &to, &r->plain);
	to.name = "spawn";
	to.handler = run_spawn;
	rc |= shunt_type_create(r->rt, &to, &r->spawn);
	to.name = "block";
	to.handler = run_block;
	rc |= shunt_type_create(r->rt, &to, &r->block);
	to.name = "pair";
	to.handler = run_pair;
	rc |= shunt_type_create(r->rt, &to, &r->pair);
	to.name = "async";
	to.handler = run_async;
	to.flags = SHUNT_TYPE_ASYNC;
	rc |= shunt_type_create(r->rt, &to, &r->async);
	STRESS_CHECK(rc == 0, "set up");
}

/* The window of a race is opened by short stops at random points. */
static int on_point(void *arg, const char *point)
{
	uint32_t roll;

	(void)arg;
	roll = (uint32_t)sh_mix64(shunt_now_ns()) % 64u;
	if (strchr(point, '.') == NULL || roll > 4)
		return 0;
	if (roll == 0)
		stress_pause_ns(1000);
	else
		stress_spin_ns(200u << roll);
	return 0;
}

static void run_case(size_t c, enum shunt_idle idle, uint32_t workers, uint64_t seed, uint64_t steps)
{
	uint64_t left = 0;
	static char text[96];
	struct round r = { 0 };
	uint64_t i;
	int rc;

	r.workers = workers;
	(void)snprintf(text, sizeof(text), "%s, idle %d, %u workers", cases[c].name, (int)idle, workers);
	open_round(&r, idle, seed);
	for (i = 0; i < steps; i++) {
		stress_at(text);
		cases[c].step(&r);
	}
	do {
		rc = shunt_runtime_drain(r.rt, 1000000000u, NULL);
	} while (rc == SHUNT_ETIMEDOUT);
	STRESS_CHECK(rc == 0, "drain: %d", rc);
	stress_round(seed, NULL);
	STRESS_CHECK(shunt_runtime_destroy(r.rt, &left) == 0 && left == 0, "jobs were left");
}

int main(int argc, char **argv)
{
	static const struct stress_size size = { 300, 20000, 1, 10 };
	static const enum shunt_idle idles[] = { SHUNT_IDLE_ADAPTIVE, SHUNT_IDLE_PARK, SHUNT_IDLE_POLL };
	struct stress_opts o;
	uint64_t steps = 0;
	uint32_t s, i, workers;
	size_t c;

	stress_init(&o, "wakeup_stress", argc, argv, &size);
	(void)shunt_now_ns(); /* on_point reads the clock, whose set-up has points of its own */
	for (s = 0; s < o.seeds; s++)
		for (c = 0; c < SH_COUNT(cases); c++)
			for (i = 0; i < SH_COUNT(idles); i++)
				for (workers = cases[c].workers_min; workers <= 4; workers++) {
					/* Pollers that outnumber the cpus only wait for each other's time slice. */
					uint64_t n = o.jobs / cases[c].weight /
							     (idles[i] == SHUNT_IDLE_POLL ? 10 * workers : 1) +
						     1;

					if (stress_skip(cases[c].name) ||
						(idles[i] == SHUNT_IDLE_POLL && stress_skip("poll")))
						continue;
					sh_inject_set((s + workers) % 2 ? on_point : NULL, NULL);
					run_case(c, idles[i], workers, o.seed + s, n);
					steps += n;
				}
	sh_inject_set(NULL, NULL);
	(void)printf("wakeup_stress: %llu steps, every job was come for\n", (unsigned long long)steps);
	return 0;
}
