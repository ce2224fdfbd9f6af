/*
 * model/clients/steal.c - clients of a thief's batch: it takes half of a ring, runs the first job and keeps the rest
 * in its own deque, from where it may be stolen on. Run by the explorer and natively.
 *
 * What must hold: every job runs once, also those that a thief keeps while it is busy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

#define JOBS 4u

/* Job 0 ends when job 1 has begun, at another worker; job 1 ends when job 2, which came with it, has run. */
static int job(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(0))
		flag_await(&world.go[1], 1);
	if (arg == world_arg(1)) {
		flag_raise(&world.go[1]);
		flag_await(&world.ran[2], 1);
	}
	return world_job(ctx, arg);
}

/* The same, and job 0 ends when job 2 has run: a third worker must come for it. Job 4 keeps the thief awake. */
static int job_apart(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(0) || arg == world_arg(4))
		flag_raise(&world.go[(uintptr_t)arg]);
	if (arg == world_arg(0))
		flag_await(&world.ran[2], 1);
	if (arg == world_arg(4))
		flag_await(&world.go[2], 1);
	return job(ctx, arg);
}

static void setup_with(uint32_t workers, shunt_handler_fn fn)
{
	struct shunt_pool_opts o;

	world.home = 0;
	world_pool_opts(&o, workers);
	o.ring_capacity = 4;
	o.strategy = SHUNT_SELECT_USER;
	o.select = world_select_home;
	world_open(&o, fn, 0);
}

static void setup_two(void)
{
	setup_with(2, job);
}

static void setup_three(void)
{
	setup_with(3, job_apart);
}

static void submit_all(void)
{
	struct shunt_job_spec s[JOBS];
	uint32_t i;

	for (i = 0; i < JOBS; i++)
		world_spec(&s[i], i);
	client_assert(shunt_submit_batch(world.rt, s, JOBS, NULL, NULL) == JOBS);
	for (i = 0; i < JOBS; i++)
		flag_await(&world.ran[i], 1);
}

/* Job 0 first: the others come at once behind it. */
static void submit_behind(void)
{
	struct shunt_job_spec s[JOBS];
	uint32_t i;

	world_submit(0);
	for (i = 1; i < JOBS; i++)
		world_spec(&s[i], i);
	client_assert(shunt_submit_batch(world.rt, s + 1, JOBS - 1, NULL, NULL) == JOBS - 1);
	for (i = 0; i < JOBS; i++)
		flag_await(&world.ran[i], 1);
}

/* The first worker and the thief are busy. Then the others come, and the thief ends its job. */
static void submit_then(void)
{
	struct shunt_job_spec s[JOBS];
	uint32_t i;

	world_submit(0);
	world.home = 1;
	world_submit(4);
	world.home = 0;
	flag_await(&world.go[0], 1);
	flag_await(&world.go[4], 1);
	for (i = 1; i < JOBS; i++)
		world_spec(&s[i], i);
	client_assert(shunt_submit_batch(world.rt, s + 1, JOBS - 1, NULL, NULL) == JOBS - 1);
	flag_raise(&world.go[2]);
	for (i = 0; i < JOBS; i++)
		flag_await(&world.ran[i], 1);
}

#define CLIENT(n, s, set) .name = "steal." n, .shows = s, .setup = set, .check = world_four_ran, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("batch", "a thief is busy with the first job of its batch: the others are stolen from it", setup_two),
	  .thread = { submit_behind }, .bound = 1, .bound_long = 2 },
	{ CLIENT("batch_at_once", "the same with one submit for all", setup_two),
	  .thread = { submit_all }, .bound = 1, .bound_long = 2 },
	{ CLIENT("batch_three", "the worker with the ring and the thief are busy: a third one is called", setup_three),
	  .thread = { submit_then }, .random_only = true },
	{ 0 },
};
