/*
 * model/clients/strand_rt.c - clients of keyed jobs in the whole runtime: submitters of one key against the workers that
 * pop its tokens and go to sleep. Run by the explorer and natively.
 *
 * What must hold: every job of the key runs, one at a time, each submitter's in its order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

static uint32_t order[WORLD_JOBS]; /* plain: the strand's */
static uint32_t ran_n;

static int job(struct shunt_job_ctx *ctx, void *arg)
{
	order[ran_n++] = (uint32_t)(uintptr_t)arg;
	return world_job(ctx, arg);
}

static void setup_with(uint32_t workers)
{
	struct shunt_pool_opts o;

	memset(order, 0, sizeof(order));
	ran_n = 0;
	world_pool_opts(&o, workers);
	o.strategy = SHUNT_SELECT_ROUND_ROBIN; /* the tokens of one strand in both workers' queues */
	world_open(&o, job, 0);
}

static void setup_one(void)
{
	setup_with(1);
}

static void setup_two(void)
{
	setup_with(2);
}

static void submit_keyed(uint32_t i)
{
	struct shunt_job_spec s;

	world_spec(&s, i);
	s.flags = SHUNT_JOB_KEYED;
	s.key = 1;
	world_must(shunt_submit(world.rt, &s, NULL));
}

static void submit_pair(void)
{
	submit_keyed(0);
	submit_keyed(1);
	flag_await(&world.ran[0], 1);
	flag_await(&world.ran[1], 1);
}

static void submit_one(void)
{
	submit_keyed(0);
	flag_await(&world.ran[0], 1);
}

static void submit_other(void)
{
	submit_keyed(2);
	flag_await(&world.ran[2], 1);
}

static void check_pair(void)
{
	client_assert(ran_n == 2 && order[0] == 0 && order[1] == 1);
}

static void check_other(void)
{
	client_assert(ran_n == 2 && order[0] + order[1] == 2 && order[0] != order[1]);
}

#define CLIENT(n, s, set, chk) .name = "strand_rt." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("pair", "two jobs of one key, one worker: in order, and the worker does not sleep beside them", setup_one, check_pair),
	  .thread = { submit_pair }, .bound = 2, .bound_long = 3 },
	{ CLIENT("two", "two submitters of one key, one worker", setup_one, check_other),
	  .thread = { submit_one, submit_other }, .bound = 1, .bound_long = 2 },
	{ CLIENT("pair_two", "two jobs of one key, two workers: one at a time, in order", setup_two, check_pair),
	  .thread = { submit_pair }, .bound = 1, .bound_long = 2 },
	{ 0 },
};
