/*
 * stress/chaos_scen_stop.c - scenarios in which threads are stopped, interrupted, moved or put on one cpu. See
 * chaos_scenarios.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include "chaos_load.h"
#include "chaos_scenarios.h"
#include "chaos_threads.h"

#define VICTIMS_MAX 3u
#define MANY_WORKERS (CHAOS_TSAN ? 24u : 64u)

static void load_while(struct chaos_child *c, const char *what, void (*step)(struct chaos_child *c))
{
	uint64_t end = shunt_now_ns() + c->duration_ns;

	while (shunt_now_ns() < end) {
		chaos_load_until_moved(20, what);
		if (step)
			step(c);
		if (sh_rng_below(&c->rng, 2))
			chaos_load_lull();
		else
			stress_pause_ns(1000u * sh_rng_below(&c->rng, 2000));
	}
}

void chaos_inside_quiet(struct chaos_child *c)
{
	struct chaos_load_opts o;

	chaos_load_defaults(&o, &c->rng, c->seed, c->duration_ns);
	chaos_load_start(&o);
	load_while(c, "the parent interferes; jobs go on", NULL);
	chaos_load_finish();
}

/* ---- single threads stopped ---- */

struct stop_round {
	struct chaos_thread *victim[VICTIMS_MAX];
	uint32_t n;
	uint64_t attempts[CHAOS_THREADS]; /* of every other submitter, when all victims stood */
};

static bool is_victim(const struct stop_round *r, const struct chaos_thread *t)
{
	uint32_t i;

	for (i = 0; i < r->n; i++)
		if (r->victim[i] == t)
			return true;
	return false;
}

static uint32_t others(const struct stop_round *r, uint32_t kind)
{
	uint32_t n = 0;
	uint32_t i;

	for (i = 0; i < CHAOS_THREADS; i++) {
		const struct chaos_thread *t = &chaos_ledger->thread[i];

		n += sh_a32_load_sc(&t->tid) != 0 && sh_a32_load_sc(&t->kind) == kind && !is_victim(r, t);
	}
	return n;
}

/* Stops 1 to 3 workers and submitters; at least one of each goes on. */
static void stop_some(struct chaos_child *c, struct stop_round *r)
{
	uint32_t want = 1 + sh_rng_below(&c->rng, VICTIMS_MAX);
	uint32_t looks;

	for (looks = 0; r->n < want && looks < 8; looks++) {
		uint32_t kind = sh_rng_below(&c->rng, 2) ? CHAOS_WORKER : CHAOS_SUBMITTER;
		struct chaos_thread *t = chaos_thread_pick(&c->rng, kind);

		if (!t || is_victim(r, t) || others(r, kind) < 2)
			continue;
		stress_pause_ns(1000u * sh_rng_below(&c->rng, 300));
		if (chaos_thread_stop(t))
			r->victim[r->n++] = t;
	}
}

static void expect_others(const struct stop_round *r, uint64_t more)
{
	uint32_t i;

	for (i = 0; i < CHAOS_THREADS; i++) {
		struct chaos_thread *t = &chaos_ledger->thread[i];

		if (sh_a32_load_sc(&t->tid) == 0 || sh_a32_load_sc(&t->kind) != CHAOS_SUBMITTER || is_victim(r, t))
			continue;
		chaos_at("thread %u stopped%s: submits of thread %u go on", sh_a32_load_sc(&r->victim[0]->tid),
			 r->n > 1 ? " (and others)" : "", sh_a32_load_sc(&t->tid));
		while (sh_a64_load_sc(&t->attempts) < r->attempts[i] + more)
			stress_pause_ns(50000);
	}
}

static void one_stop(struct chaos_child *c)
{
	struct stop_round r;
	uint32_t i;

	r.n = 0;
	stop_some(c, &r);
	if (r.n == 0)
		return;
	for (i = 0; i < CHAOS_THREADS; i++)
		r.attempts[i] = sh_a64_load_sc(&chaos_ledger->thread[i].attempts);
	expect_others(&r, 5);
	if (c->variant == 0) /* jobs end too: nothing in this mix waits for a lock */
		chaos_load_until_moved(20, "a thread is stopped; other workers' jobs go on");
	for (i = 0; i < r.n; i++)
		chaos_thread_release(r.victim[i]);
	for (i = 0; i < r.n; i++) {
		struct chaos_thread *t = r.victim[i];
		uint64_t seen = sh_a64_load_sc(&t->attempts);

		chaos_at("thread %u was released; it goes on", sh_a32_load_sc(&t->tid));
		while (sh_a32_load_sc(&t->kind) == CHAOS_SUBMITTER && sh_a64_load_sc(&t->attempts) == seen)
			stress_pause_ns(50000);
	}
	(void)sh_a64_add_rlx(&chaos_ledger->acts, r.n);
}

void chaos_inside_stops(struct chaos_child *c)
{
	struct chaos_load_opts o;

	chaos_load_defaults(&o, &c->rng, c->seed, c->duration_ns);
	o.waits_in_jobs = c->variant == 1;
	o.forever = false; /* who waits for a stopped thread's job waits as long as it stands */
	o.workers = 3 + sh_rng_below(&c->rng, 4);
	chaos_load_start(&o);
	load_while(c, "between two stops; jobs go on", one_stop);
	chaos_load_finish();
}

/* ---- masks and crowds ---- */

static void pool_comes_and_goes(struct chaos_child *c)
{
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_pool_id pool;
	int rc;

	po.name = "guest";
	po.workers = sh_rng_below(&c->rng, 3); /* 0 = what the budget says now */
	po.pin = sh_rng_below(&c->rng, 2) ? SHUNT_PIN_COMPACT : SHUNT_PIN_NONE;
	chaos_at("a pool comes and goes");
	rc = shunt_pool_create(chaos_load.rt, &po, &pool);
	STRESS_CHECK(rc == 0, "pool create while masks change: %s", shunt_error_name(rc));
	rc = shunt_pool_destroy(chaos_load.rt, pool);
	STRESS_CHECK(rc == 0, "pool destroy while masks change: %s", shunt_error_name(rc));
}

void chaos_inside_masks(struct chaos_child *c)
{
	struct chaos_load_opts o;

	chaos_load_defaults(&o, &c->rng, c->seed, c->duration_ns);
	o.pin = sh_rng_below(&c->rng, 2) ? SHUNT_PIN_COMPACT : SHUNT_PIN_SCATTER;
	o.spares_max = 2; /* the table of threads has room for all */
	chaos_load_start(&o);
	load_while(c, "masks change; jobs go on", pool_comes_and_goes);
	chaos_load_finish();
}

void chaos_inside_one_cpu(struct chaos_child *c)
{
	struct chaos_load_opts o;
	cpu_set_t all, one;
	uint32_t cpu = 0;

	STRESS_CHECK(sched_getaffinity(0, sizeof(all), &all) == 0, "affinity");
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	STRESS_CHECK(sched_setaffinity(0, sizeof(one), &one) == 0, "affinity to one cpu");
	chaos_load_defaults(&o, &c->rng, c->seed, c->duration_ns);
	o.pin = sh_rng_below(&c->rng, 2) ? SHUNT_PIN_COMPACT : SHUNT_PIN_NONE;
	o.workers = 1 + sh_rng_below(&c->rng, 4);
	if (sh_rng_below(&c->rng, 4) == 0)
		o.idle = SHUNT_IDLE_POLL;
	o.jobs_max = sh_rng_below(&c->rng, 2) ? 64 : 4096;
	chaos_load_start(&o);
	load_while(c, "one cpu; jobs go on", NULL);
	chaos_load_finish();
}

void chaos_inside_many(struct chaos_child *c)
{
	struct chaos_load_opts o;

	chaos_load_defaults(&o, &c->rng, c->seed, c->duration_ns);
	o.workers = MANY_WORKERS;
	o.idle = (enum shunt_idle)c->variant;
	o.spares_max = 2;
	chaos_load_start(&o);
	load_while(c, "many workers; jobs go on", NULL);
	chaos_load_finish();
}

/* ---- signals ---- */

static void *storm_main(void *arg)
{
	struct chaos_child *c = arg;
	struct sh_rng rng;

	sh_rng_init(&rng, c->seed + 1);
	while (!sh_a32_load_sc(&chaos_load.stop)) {
		const struct chaos_thread *t = chaos_thread_pick(&rng, 0);

		if (t)
			chaos_thread_interrupt(t);
		(void)sh_a64_add_rlx(&chaos_ledger->acts, 1);
		stress_pause_ns(1000000);
	}
	return NULL;
}

/* Control calls that wait, in a thread that is interrupted too. */
static void control_calls(struct chaos_child *c)
{
	struct shunt_snapshot *s = NULL;
	int rc = shunt_snapshot_create(chaos_load.rt, &s);

	STRESS_CHECK(rc == 0, "snapshot: %s", shunt_error_name(rc));
	shunt_snapshot_destroy(s);
	if (sh_rng_below(&c->rng, 8) == 0)
		pool_comes_and_goes(c);
}

void chaos_inside_signals(struct chaos_child *c)
{
	struct chaos_load_opts o;
	pthread_t storm;

	chaos_load_defaults(&o, &c->rng, c->seed, c->duration_ns);
	o.jobs_max = sh_rng_below(&c->rng, 2) ? 64 : 256; /* so that submits block */
	o.queue_max = sh_rng_below(&c->rng, 2) ? 40 : 0;
	(void)chaos_thread_enter(CHAOS_SIDE);
	chaos_load_start(&o);
	STRESS_CHECK(pthread_create(&storm, NULL, storm_main, c) == 0, "thread create");
	load_while(c, "signals everywhere; jobs go on", control_calls);
	chaos_load_finish();
	(void)pthread_join(storm, NULL);
}
