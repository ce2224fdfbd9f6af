/*
 * model/clients/park.c - clients of sleep and wake in the whole runtime: submitters against workers that go to sleep, with
 * one worker and with two. A lost wake-up shows as "everybody sleeps". Run by the explorer and natively.
 *
 * What must hold: every job runs once, its waiter sees what it left, and a job that waits at a busy worker is taken by
 * one that sleeps or is about to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

static void open_with(uint32_t workers, shunt_handler_fn fn)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, workers);
	world_open(&o, fn, 0);
}

static void setup_one(void)
{
	open_with(1, world_job);
}

static void setup_busy(void)
{
	open_with(2, world_job_after);
}

/* Job 0 spawns job 1 into its own deque and waits until it has run. */
static int spawn_one(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(0)) {
		world_submit(1);
		flag_await(&world.ran[1], 1);
	}
	return world_job(ctx, arg);
}

static void setup_spawn(void)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, 2);
	o.strategy = SHUNT_SELECT_LOCALITY;
	world_open(&o, spawn_one, 0);
}

/* Submits a job and looks at it when it has run, twice: the worker goes to sleep in between. */
static void submit_again(void)
{
	world_submit(0);
	flag_await(&world.ran[0], 1);
	world_submit(1);
	flag_await(&world.ran[1], 1);
}

static void submit_joined(void)
{
	world_join(0, world_submit_tracked(0));
}

static void submit_joined_other(void)
{
	world_join(1, world_submit_tracked(1));
}

static void submit_first(void)
{
	world_submit(0);
	flag_await(&world.ran[0], 1);
}

static void submit_second(void)
{
	world_submit(1);
	flag_await(&world.ran[1], 1);
}

/* Job 0 and job 2, at two workers, end when job 1 has, which is behind job 0: the third worker must come. */
static int wait_for_middle(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg != world_arg(1))
		flag_await(&world.ran[1], 1);
	return world_job(ctx, arg);
}

static void setup_three(void)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, 2);
	o.workers = 3;
	o.strategy = SHUNT_SELECT_USER;
	o.select = world_select_home;
	world_open(&o, wait_for_middle, 0);
}

static void submit_three(void)
{
	world.home = 0;
	world_submit(0);
	world.home = 1;
	world_submit(2);
	world.home = 0;
	world_submit(1);
	flag_await(&world.ran[0], 1);
	flag_await(&world.ran[2], 1);
}

/* The other worker has something to do first: it goes to sleep while the job behind the busy one comes. */
static int start_and_wait(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(0))
		flag_raise(&world.go[0]);
	return world_job_after(ctx, arg);
}

static void setup_parking(void)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, 2);
	o.strategy = SHUNT_SELECT_USER;
	o.select = world_select_home;
	world_open(&o, start_and_wait, 0);
}

static void submit_beside(void)
{
	world.home = 0;
	world_submit(0);
	world.home = 1;
	world_submit(2);
	world.home = 0;
	flag_await(&world.go[0], 1);
	flag_await(&world.ran[2], 1);
	world_submit(1);
	flag_await(&world.ran[0], 1);
	flag_await(&world.ran[2], 1);
}

#define CLIENT(n, s, set, chk) .name = "park." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("again", "a job, then another while the worker goes to sleep: both run", setup_one, world_two_ran),
	  .thread = { submit_again }, .bound = 3, .bound_long = 5 },
	{ CLIENT("join", "a tracked job against its waiter and the sleeping worker", setup_one, world_one_ran),
	  .thread = { submit_joined }, .bound = 3, .bound_long = 5 },
	{ CLIENT("push_push", "two submitters, one worker: each job runs", setup_one, world_two_ran),
	  .thread = { submit_first, submit_second }, .bound = 1, .bound_long = 3 },
	{ CLIENT("join_join", "two submitters that join, one worker", setup_one, world_two_ran),
	  .thread = { submit_joined, submit_joined_other }, .bound = 1, .bound_long = 2 },
	{ CLIENT("pinned", "jobs for a stated worker against its sleep", setup_one, world_two_ran),
	  .thread = { world_submit_pinned }, .bound = 3, .bound_long = 5 },
	{ CLIENT("backlog", "more jobs than the ring holds against a worker that drains and sleeps", setup_one, world_four_ran),
	  .thread = { world_submit_four }, .bound = 2, .bound_long = 3 },
	{ CLIENT("steal", "a job behind a busy worker: the other one wakes and takes it", setup_busy, world_two_ran),
	  .thread = { world_submit_pair }, .bound = 1, .bound_long = 2 },
	{ CLIENT("steal_two", "two submitters, a job that waits for the other's: nobody sleeps beside it", setup_busy, world_two_ran),
	  .thread = { submit_first, submit_second }, .random_only = true },
	{ CLIENT("spawn", "a job in a busy worker's own deque: the other one wakes and takes it", setup_spawn, world_two_ran),
	  .thread = { submit_first }, .bound = 1, .bound_long = 2 },
	{ CLIENT("steal_parking", "a job behind a busy worker while the other one goes to sleep: it is taken", setup_parking,
		 world_three_ran),
	  .thread = { submit_beside }, .bound = 1, .bound_long = 2 },
	{ CLIENT("three", "a job behind a busy worker, another one on its way to its own work: the third wakes", setup_three,
		 world_three_ran),
	  .thread = { submit_three }, .random_only = true },
	{ 0 },
};
