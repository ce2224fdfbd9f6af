/*
 * model/clients/checkpoint.c - clients of checkpoints: a job of a lower level goes on until more urgent ones have run
 * inside it, while their submitters push them. The worker has no other look than the checkpoint's hints, so a hint
 * that is lost loses the job. Run by the explorer and natively.
 *
 * What must hold: every job runs, once, and the urgent ones inside the other one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

static uint32_t inside; /* plain: jobs that ran in job 0; of its thread */
static uint32_t wanted; /* so many */
static uint32_t at_end; /* what job 0 saw */

/* Job 0 has checkpoints until the others have run; the others have one as well. */
static int job(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg != world_arg(0)) {
		client_assert(ctx->outer && ctx->outer->arg == world_arg(0));
		client_assert(shunt_checkpoint(ctx) == 0); /* nothing is above the top */
		inside++;
		return world_job(ctx, arg);
	}
	flag_raise(&world.go[0]);
	while (inside < wanted) {
		int n = shunt_checkpoint(ctx);

		client_assert(n >= 0);
		if (n == 0)
			client_relax();
	}
	at_end = inside;
	return world_job(ctx, arg);
}

static void submit_at(uint32_t i, uint32_t level)
{
	struct shunt_job_spec s;

	world_spec(&s, i);
	s.level = SHUNT_LEVEL(level);
	world_must(shunt_submit(world.rt, &s, NULL));
}

/* Job 0 is of the lower level; `others` come above it. */
static void setup_with(uint32_t others)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, 1);
	o.strategy = SHUNT_SELECT_USER;
	o.select = world_select_home;
	world_runtime(2, 4);
	world_must(shunt_pool_create(world.rt, &o, &world.pool));
	world.type = world_type("t", job, 0);
	inside = 0;
	wanted = others;
	at_end = 0;
}

static void setup_one(void)
{
	setup_with(1);
}

static void setup_again(void)
{
	setup_with(2);
}

static void submit_both(void)
{
	submit_at(0, 1);
	flag_await(&world.go[0], 1);
	submit_at(1, 0);
	flag_await(&world.ran[0], 1);
}

/* The second one after the first has run: the hint is on its way down. */
static void submit_in_turn(void)
{
	submit_at(0, 1);
	flag_await(&world.go[0], 1);
	submit_at(1, 0);
	flag_await(&world.ran[1], 1);
	submit_at(2, 0);
	flag_await(&world.ran[0], 1);
}

static void check(void)
{
	client_assert(world.runs[0] == 1 && world.runs[1] == 1);
	client_assert(at_end == 1);
}

static void check_three(void)
{
	client_assert(world.runs[0] == 1 && world.runs[1] == 1 && world.runs[2] == 1);
	client_assert(at_end == 2);
}

#define CLIENT(n, s, set, chk) .name = "checkpoint." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("own", "a job for the worker whose job has checkpoints runs inside it", setup_one, check),
	  .thread = { submit_both }, .bound = 3, .bound_long = 4 },
	{ CLIENT("again", "and the next one while its hint is cleared", setup_again, check_three),
	  .thread = { submit_in_turn }, .bound = 2, .bound_long = 3 },
	{ 0 },
};
