/*
 * model/clients/pool.c - clients of a pool's beginning and end: made and used at once, stopped with jobs in its queues,
 * destroyed with its runtime. Run by the explorer and natively.
 *
 * What must hold: create returns when the workers take jobs; destroy ends every job exactly once, run or cancelled, and
 * every thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

static uint32_t cancelled; /* plain: callbacks, written by the thread that ends the job */

static void on_done(void *arg, struct shunt_job_id id, const struct shunt_result *r)
{
	(void)arg;
	(void)id;
	if (r->status == SHUNT_JOB_CANCELLED)
		cancelled++;
}

static void setup_empty(void)
{
	world_runtime(1, 4);
}

static void setup_one(void)
{
	struct shunt_pool_opts o;

	cancelled = 0;
	world_pool_opts(&o, 1);
	world_open(&o, world_job, 0);
}

static void create(void)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, 1);
	world_must(shunt_pool_create(world.rt, &o, &world.pool));
	world.type = world_type("t", world_job, 0);
	world_submit(0);
	flag_await(&world.ran[0], 1);
}

/* Jobs are queued, and the runtime goes: each of them runs or is cancelled. */
static void submit_and_destroy(void)
{
	struct shunt_job_spec s;
	uint64_t n;
	uint32_t i;

	for (i = 0; i < 2; i++) {
		world_spec(&s, i);
		s.done = on_done;
		s.flags = i == 0 ? 0 : SHUNT_JOB_KEYED;
		world_must(shunt_submit(world.rt, &s, NULL));
	}
	world_must(shunt_runtime_destroy(world.rt, &n));
	client_assert(n == cancelled);
	client_assert(world.runs[0] + world.runs[1] + cancelled == 2);
}

/* The worker has just run a job: it goes to sleep while the pool stops. */
static void remove_idle(void)
{
	world_submit(0);
	flag_await(&world.ran[0], 1);
	world_must(shunt_type_destroy(world.rt, world.type, SHUNT_FOREVER));
	world_must(shunt_pool_destroy(world.rt, world.pool));
}

static void close_topo(void)
{
	shunt_topo_close(world.topo);
}

const struct client clients[] = {
	{ .name = "pool.create", .shows = "a pool is made and used at once: its worker takes the job", .setup = setup_empty, .thread = { create }, .teardown = world_close, .bound = 2, .bound_long = 3 },
	{ .name = "pool.destroy", .shows = "the runtime goes with jobs queued: each runs or is cancelled, once", .setup = setup_one, .thread = { submit_and_destroy }, .teardown = close_topo, .bound = 1, .bound_long = 2 },
	{ .name = "pool.remove", .shows = "a pool goes while its worker goes to sleep: every thread leaves", .setup = setup_one, .thread = { remove_idle }, .teardown = world_close, .bound = 2, .bound_long = 3 },
	{ 0 },
};
