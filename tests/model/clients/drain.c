/*
 * model/clients/drain.c - clients of drain and of the gate: submits, jobs that submit, and threads without a submitter slot
 * against a drain. Run by the explorer and natively.
 *
 * What must hold: when a drain says that all has ended, every job that was accepted has ended and is seen, and none is
 * accepted any more; what was refused never runs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

static int said[2];    /* plain, one writer each: what submit i said */
static bool drained;   /* plain: the drainer's */
static uint32_t state; /* plain: jobs write it, the drainer reads it */

/* Job 0 submits job 1 before it ends: the runtime's own jobs may, also while it drains. */
static int parent(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(0))
		world_submit(1);
	state++;
	return world_job(ctx, arg);
}

static int job(struct shunt_job_ctx *ctx, void *arg)
{
	client_assert(!drained);
	return world_job(ctx, arg);
}

static void setup_with(uint32_t submitters, shunt_handler_fn fn)
{
	struct shunt_pool_opts o;

	said[0] = said[1] = 1;
	drained = false;
	state = 0;
	world_pool_opts(&o, 1);
	world_runtime(1, submitters);
	world_must(shunt_pool_create(world.rt, &o, &world.pool));
	world.type = world_type("t", fn, 0);
}

static void setup(void)
{
	setup_with(4, job);
}

/* The only slot is the main thread's: the client's threads go the shared way. */
static void setup_shared(void)
{
	setup_with(1, job);
	world_submit(7);
	flag_await(&world.ran[7], 1);
}

static void setup_parent(void)
{
	setup_with(4, parent);
}

static void submit(uint32_t i)
{
	struct shunt_job_spec s;

	world_spec(&s, i);
	said[i] = shunt_submit(world.rt, &s, NULL);
	client_assert(said[i] == 0 || said[i] == SHUNT_ESTOPPED);
}

static void submit_first(void)
{
	submit(0);
}

static void submit_second(void)
{
	submit(1);
}

static void drain(void)
{
	world_must(shunt_runtime_drain(world.rt, SHUNT_FOREVER, NULL));
	drained = true; /* a job that still runs would race with this */
	client_assert(world.runs[0] <= 1 && world.runs[1] <= 1);
}

static void submit_and_drain(void)
{
	world_submit(0);
	world_must(shunt_runtime_drain(world.rt, SHUNT_FOREVER, NULL));
	client_assert(state == 2);
	world_is_done(0);
	world_is_done(1);
}

static void check(void)
{
	uint32_t i;

	for (i = 0; i < 2; i++)
		client_assert(world.runs[i] == (said[i] == 0 ? 1 : 0));
}

#define CLIENT(n, s, set, chk) .name = "drain." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("submit", "a submit against a drain: refused, or ended when the drain returns", setup, check),
	  .thread = { submit_first, drain }, .bound = 2, .bound_long = 3 },
	{ CLIENT("two", "two submits against a drain", setup, check),
	  .thread = { submit_first, submit_second, drain }, .bound = 1, .bound_long = 2 },
	{ CLIENT("shared", "the same from a thread without a submitter slot", setup_shared, check),
	  .thread = { submit_first, drain }, .bound = 2, .bound_long = 3 },
	{ CLIENT("parent", "a job that submits another before it ends: never seen finished alone", setup_parent, NULL),
	  .thread = { submit_and_drain }, .bound = 2, .bound_long = 3 },
	{ 0 },
};
