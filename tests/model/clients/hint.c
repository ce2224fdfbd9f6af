/*
 * model/clients/hint.c - clients of the hint words: workers that never sleep see a job only if a hint says so, so that a
 * hint which is lost loses the job; and workers that spin a little, whose submitters do not wake anybody. Run by the
 * explorer and natively.
 *
 * What must hold: every job runs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

static void setup_with(uint32_t workers, enum shunt_idle idle, shunt_handler_fn fn)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, workers);
	o.idle = idle;
	o.strategy = SHUNT_SELECT_USER;
	o.select = world_select_home;
	world_open(&o, fn, 0);
}

static void setup_poll(void)
{
	setup_with(1, SHUNT_IDLE_POLL, world_job);
}

static void setup_poll_two(void)
{
	setup_with(2, SHUNT_IDLE_POLL, world_job_after);
}

static void setup_spin_two(void)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, 2);
	o.idle = SHUNT_IDLE_ADAPTIVE;
	o.spin_ns = 1000000; /* long enough to announce itself */
	o.strategy = SHUNT_SELECT_LEAST_WORK; /* who spins is preferred */
	world_open(&o, world_job_after, 0);
}

/* A worker has run a job and spins; the next two are given to it, and the first of them waits for the second. */
static void submit_to_spinner(void)
{
	struct sh_pool *p = sh_runtime_pool(world.rt, world.pool.v);

	world_submit(2);
	flag_await(&world.ran[2], 1);
	/* mo rlx: only looked at. Both asleep: it has given up. */
	while (sh_a64_load_rlx(&p->spinning[0]) == 0 && sh_a64_load_rlx(&p->idle[0]) != 3)
		client_relax();
	world_submit_pair();
}

/* Jobs 0 and 1 with one call, for a worker that polls: it takes job 0 before it can see job 1. */
static void submit_pair_at_once(void)
{
	struct shunt_job_spec s[2];

	world_spec(&s[0], 0);
	world_spec(&s[1], 1);
	client_assert(shunt_submit_batch(world.rt, s, 2, NULL, NULL) == 2);
	flag_await(&world.ran[0], 1);
}

/* The same just behind another job: a worker that clears the hint which that one left may find these with itself. */
static void submit_pair_behind(void)
{
	world_submit(2);
	submit_pair_at_once();
	flag_await(&world.ran[2], 1);
}

#define CLIENT(n, s, set, chk) .name = "hint." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("pinned", "jobs for a worker that polls: its hint is never lost", setup_poll, world_two_ran),
	  .thread = { world_submit_pinned }, .bound = 2, .bound_long = 3 },
	{ CLIENT("backlog", "jobs in the backlog of a worker that polls", setup_poll, world_four_ran),
	  .thread = { world_submit_four }, .bound = 2, .bound_long = 3 },
	{ CLIENT("hot", "a job behind a busy worker, the other one polls", setup_poll_two, world_two_ran),
	  .thread = { world_submit_pair }, .bound = 1, .bound_long = 2 },
	{ CLIENT("hot_batch", "two jobs at once for a worker that polls: the other one takes the second",
		 setup_poll_two, world_two_ran),
	  .thread = { submit_pair_at_once }, .bound = 1, .bound_long = 2 },
	{ CLIENT("hot_clear", "the same, at random", setup_poll_two, world_two_ran),
	  .thread = { submit_pair_at_once }, .random_only = true },
	{ CLIENT("hot_left", "the same while a worker clears the hint that an earlier job left", setup_poll_two, world_three_ran),
	  .thread = { submit_pair_behind }, .random_only = true },
	{ CLIENT("spin", "a job given to a spinner that takes another one: it wakes somebody for it", setup_spin_two, world_two_ran),
	  .thread = { submit_to_spinner }, .bound = 1, .bound_long = 2 },
	{ 0 },
};
