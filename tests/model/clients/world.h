/*
 * model/clients/world.h - a small real runtime for clients: a described machine of four cpus, so that nothing depends on
 * the one below, the smallest arenas, workers that sleep at once. Jobs write down what they did in plain memory: who may
 * look at it is the runtime's promise. Included by one client file each.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MODEL_CLIENTS_WORLD_H
#define MODEL_CLIENTS_WORLD_H

#include <string.h>

#include <shunt/runtime.h>

#include "clients/flag.h"
#include "sched/credit.h"
#include "sched/world.h"
#include "model/client.h"

#define WORLD_JOBS 8u
#define WORLD_CREDITS 64u /* so few that no thread keeps any */

/* Job i: input by its submitter, output and number of runs by its handler; all plain. */
static struct world {
	struct shunt_runtime *rt;
	struct shunt_topo *topo;
	struct shunt_pool_id pool;
	struct shunt_type_id type;
	uint32_t in[WORLD_JOBS];
	uint32_t out[WORLD_JOBS];
	uint32_t runs[WORLD_JOBS];
	sh_a32 ran[WORLD_JOBS]; /* flags: the handler of i is at its end */
	sh_a32 go[WORLD_JOBS];  /* flags for what a client needs */
	uint32_t home;          /* plain: the only submitter's; the worker that world_select_home chooses, at first 0 */
} world;

static SH_UNUSED void world_must(int rc)
{
	client_assert(rc == 0);
}

static SH_UNUSED void *world_arg(uint32_t i)
{
	return (void *)(uintptr_t)i;
}

/* A handler: the job with number `arg`. */
static SH_UNUSED int world_job(struct shunt_job_ctx *ctx, void *arg)
{
	uint32_t i = (uint32_t)(uintptr_t)arg;

	(void)ctx;
	client_assert(world.in[i] == 100 + i);
	world.runs[i]++;
	world.out[i] = 200 + i;
	flag_raise(&world.ran[i]);
	return 0;
}

/* A handler: job 0 ends when job 1 has, so another worker must come for job 1. */
static SH_UNUSED int world_job_after(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(0))
		flag_await(&world.ran[1], 1);
	return world_job(ctx, arg);
}

/* A strategy: every job is put before worker world.home. */
static SH_UNUSED int world_select_home(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t node)
{
	(void)arg;
	(void)loads;
	(void)key;
	(void)node;
	return (int)world.home;
}

static SH_UNUSED void world_pool_opts(struct shunt_pool_opts *o, uint32_t workers)
{
	const struct shunt_pool_opts init = SHUNT_POOL_OPTS_INIT;

	*o = init;
	o->name = "p";
	o->workers = workers;
	o->spares_max = SHUNT_ANY;
	o->pin = SHUNT_PIN_NONE;
	o->idle = SHUNT_IDLE_PARK;
	o->strategy = SHUNT_SELECT_KEYED; /* one submitter's jobs all go to one worker */
	o->key_slots = 1;
	o->ring_capacity = 2;
	o->pinned_capacity = 64;
}

static SH_UNUSED struct shunt_type_id world_type(const char *name, shunt_handler_fn fn, uint32_t flags)
{
	struct shunt_type_opts o = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id id = { 0 };

	o.name = name;
	o.pool = world.pool;
	o.handler = fn;
	o.flags = flags;
	world_must(shunt_type_create(world.rt, &o, &id));
	return id;
}

static SH_UNUSED void world_runtime(uint32_t levels, uint32_t submitters)
{
	struct shunt_runtime_opts o = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_topo_opts to = SHUNT_TOPO_OPTS_INIT;

	memset(&world, 0, sizeof(world));
	to.synthetic = "core:4 pu:1";
	to.cpu_budget_config = 2; /* one worker may spin */
	world_must(shunt_topo_open(&world.topo, &to));
	o.topo = world.topo;
	o.levels = levels;
	o.jobs_max = WORLD_CREDITS;
	o.handles_max = 4;
	o.groups_max = 1;
	o.submitters_max = submitters;
	world_must(shunt_runtime_create(&world.rt, &o));
}

static SH_UNUSED void world_open(const struct shunt_pool_opts *po, shunt_handler_fn fn, uint32_t flags)
{
	world_runtime(1, 4);
	world_must(shunt_pool_create(world.rt, po, &world.pool));
	world.type = world_type("t", fn, flags);
}

/* Takes all credits but n: so many jobs may be queued. */
static SH_UNUSED void world_credits(uint32_t n)
{
	client_assert(sh_credit_take(world.rt, NULL, WORLD_CREDITS - n) == WORLD_CREDITS - n);
}

static SH_UNUSED void world_spec(struct shunt_job_spec *s, uint32_t i)
{
	memset(s, 0, sizeof(*s));
	s->type = world.type;
	s->arg = world_arg(i);
	world.in[i] = 100 + i;
}

/* Submits job i and leaves it. */
static SH_UNUSED void world_submit(uint32_t i)
{
	struct shunt_job_spec s;

	world_spec(&s, i);
	world_must(shunt_submit(world.rt, &s, NULL));
}

static SH_UNUSED struct shunt_job_id world_submit_tracked(uint32_t i)
{
	struct shunt_job_spec s;
	struct shunt_job_id id = { 0 };

	world_spec(&s, i);
	world_must(shunt_submit(world.rt, &s, &id));
	return id;
}

/* Jobs 0 and 1, both at once; ends when job 0 has run. */
static SH_UNUSED void world_submit_pair(void)
{
	world_submit(0);
	world_submit(1);
	flag_await(&world.ran[0], 1);
}

/* Jobs 0 and 1 one after the other, which only worker 0 runs. */
static SH_UNUSED void world_submit_pinned(void)
{
	const struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT; /* worker 0 */
	struct shunt_job_spec s;
	uint32_t i;

	for (i = 0; i < 2; i++) {
		world_spec(&s, i);
		s.flags = SHUNT_JOB_ON_WORKER;
		s.opts = &opts;
		world_must(shunt_submit(world.rt, &s, NULL));
		flag_await(&world.ran[i], 1);
	}
}

/* More than a ring holds: the rest goes through the pool's backlog. */
static SH_UNUSED void world_submit_four(void)
{
	uint32_t i;

	for (i = 0; i < 4; i++)
		world_submit(i);
	for (i = 0; i < 4; i++)
		flag_await(&world.ran[i], 1);
}

/* The first n jobs ran, each once. */
static SH_UNUSED void world_ran(uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		client_assert(world.runs[i] == 1);
}

static SH_UNUSED void world_one_ran(void)
{
	world_ran(1);
}

static SH_UNUSED void world_two_ran(void)
{
	world_ran(2);
}

static SH_UNUSED void world_three_ran(void)
{
	world_ran(3);
}

static SH_UNUSED void world_four_ran(void)
{
	world_ran(4);
}

static SH_UNUSED void world_is_done(uint32_t i)
{
	client_assert(world.runs[i] == 1);
	client_assert(world.out[i] == 200 + i);
}

/* Waits for job i and looks at what it left. */
static SH_UNUSED void world_join(uint32_t i, struct shunt_job_id id)
{
	struct shunt_result r;

	world_must(shunt_wait(world.rt, id, SHUNT_FOREVER, &r));
	client_assert(r.status == SHUNT_JOB_DONE && r.code == 0);
	world_is_done(i);
}

static SH_UNUSED void world_close(void)
{
	(void)shunt_runtime_destroy(world.rt, NULL);
	shunt_topo_close(world.topo);
}

#endif
