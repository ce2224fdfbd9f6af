/*
 * model/clients/spare.c - clients of declared blocking: a job that blocks until another has run, which a spare thread must
 * do; spares that retire, or begin, while a worker blocks again, and while the pool stops. Run by the explorer and
 * natively.
 *
 * What must hold: a blocked worker has a spare, a spare that retired is found again, everything ends.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"
#include "sched/spare.h"

/* Even jobs block until the next odd one has run. */
static int job(struct shunt_job_ctx *ctx, void *arg)
{
	uint32_t i = (uint32_t)(uintptr_t)arg;

	if (i % 2 == 0) {
		world_must(shunt_block_begin(ctx));
		flag_await(&world.ran[i + 1], 1);
		shunt_block_end(ctx);
	}
	return world_job(ctx, arg);
}

static void block_pair(uint32_t i)
{
	world_submit(i);
	world_submit(i + 1);
	flag_await(&world.ran[i], 1);
}

static void setup_with(shunt_handler_fn fn, uint32_t spares_max)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, 1);
	o.spares_max = spares_max;
	world_open(&o, fn, 0);
}

static void setup(void) { setup_with(job, 1); }

/* A spare was needed once: it retires, or is about to. */
static void setup_retiring(void)
{
	setup();
	block_pair(0);
}

static void block_first(void)
{
	block_pair(0);
}

static void block_again(void)
{
	block_pair(2);
	block_pair(4);
}

/* The job waits through the runtime: for a job behind it in its own queue. */
static int job_waits(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(0)) {
		struct shunt_job_spec s;
		struct shunt_job_id id = { 0 };

		world_spec(&s, 1);
		s.flags = SHUNT_JOB_KEYED; /* the waiter may not run it itself: a spare must */
		world_must(shunt_submit(world.rt, &s, &id));
		world_join(1, id);
	}
	return world_job(ctx, arg);
}

static void setup_waits(void) { setup_with(job_waits, 1); }

static void submit_waiting(void)
{
	world_join(0, world_submit_tracked(0));
}

/* Its limit has passed before the spare that it starts can begin. */
static int job_late(struct shunt_job_ctx *ctx, void *arg)
{
	int rc = sh_block_begin(ctx, 1);

	assert(rc == SHUNT_ETIMEDOUT || rc == 0);
	if (rc == 0)
		shunt_block_end(ctx);
	return world_job(ctx, arg);
}

static void setup_late(void) { setup_with(job_late, 2); }

static void remove_pool(void)
{
	world_must(shunt_type_destroy(world.rt, world.type, SHUNT_FOREVER));
	world_must(shunt_pool_destroy(world.rt, world.pool));
}

static void late_and_remove(void)
{
	world_submit(0);
	flag_await(&world.ran[0], 1);
	remove_pool();
}

static void late_twice(void)
{
	world_submit(0);
	world_submit(1);
	flag_await(&world.ran[0], 1);
	flag_await(&world.ran[1], 1);
}

static void check_one(void)
{
	world_ran(1);
}

static void check_again(void)
{
	world_ran(6);
}

#define CLIENT(n, s, set, chk) .name = "spare." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("first", "a job blocks for the first time: a spare is made and runs the other", setup, world_two_ran),
	  .thread = { block_first }, .bound = 1, .bound_long = 2 },
	{ CLIENT("again", "a job blocks while the spare retires: it is found again", setup_retiring, check_again),
	  .thread = { block_again }, .bound = 1, .bound_long = 2 },
	{ CLIENT("waits", "a job joins one that it may not run itself: a spare does", setup_waits, world_two_ran),
	  .thread = { submit_waiting }, .bound = 1, .bound_long = 1 },
	{ CLIENT("remove", "the pool is removed while the spare retires", setup_retiring, world_two_ran),
	  .thread = { remove_pool }, .bound = 1, .bound_long = 2 },
	{ CLIENT("late", "the pool is removed while a spare begins that nobody waits for", setup_late, check_one),
	  .thread = { late_and_remove }, .bound = 1, .bound_long = 2 },
	{ CLIENT("late_again", "the next job that blocks finds a spare that begins", setup_late, world_two_ran),
	  .thread = { late_twice }, .bound = 1, .bound_long = 2 },
	{ 0 },
};
