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

/* Job 0 ends when job 1 has: another worker must come for job 1. */
static int job(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(0))
		flag_await(&world.ran[1], 1);
	return world_job(ctx, arg);
}

static int first_worker(void *arg, const struct shunt_worker_load *loads, uint32_t n, uint64_t key, uint32_t home)
{
	(void)arg;
	(void)loads;
	(void)n;
	(void)key;
	(void)home;
	return 0;
}

static void setup_with(uint32_t workers, enum shunt_idle idle, shunt_handler_fn fn)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, workers);
	o.idle = idle;
	o.strategy = SHUNT_SELECT_USER;
	o.select = first_worker;
	world_open(&o, fn, 0);
}

static void setup_poll(void)
{
	setup_with(1, SHUNT_IDLE_POLL, world_job);
}

static void setup_poll_two(void)
{
	setup_with(2, SHUNT_IDLE_POLL, job);
}

static void setup_spin_two(void)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, 2);
	o.idle = SHUNT_IDLE_ADAPTIVE;
	o.spin_ns = 1000000; /* long enough to announce itself */
	o.strategy = SHUNT_SELECT_LEAST_WORK; /* who spins is preferred */
	world_open(&o, job, 0);
}

static void submit_pinned(uint32_t i)
{
	struct shunt_job_spec s;

	world_spec(&s, i);
	s.flags = SHUNT_JOB_ON_WORKER;
	s.worker = 0;
	world_must(shunt_submit(world.rt, &s, NULL));
	flag_await(&world.ran[i], 1);
}

static void pinned_pair(void)
{
	submit_pinned(0);
	submit_pinned(1);
}

static void submit_four(void)
{
	uint32_t i;

	for (i = 0; i < 4; i++)
		world_submit(i);
	for (i = 0; i < 4; i++)
		flag_await(&world.ran[i], 1);
}

static void submit_pair(void)
{
	world_submit(0);
	world_submit(1);
	flag_await(&world.ran[0], 1);
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
	submit_pair();
}

static void check_two(void)
{
	client_assert(world.runs[0] == 1 && world.runs[1] == 1);
}

static void check_four(void)
{
	client_assert(world.runs[0] == 1 && world.runs[1] == 1 && world.runs[2] == 1 && world.runs[3] == 1);
}

#define CLIENT(n, s, set, chk) .name = "hint." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("pinned", "jobs for a worker that polls: its hint is never lost", setup_poll, check_two),
	  .thread = { pinned_pair }, .bound = 2, .bound_long = 3 },
	{ CLIENT("backlog", "jobs in the backlog of a worker that polls", setup_poll, check_four),
	  .thread = { submit_four }, .bound = 1, .bound_long = 1 },
	{ CLIENT("hot", "a job behind a busy worker, the other one polls", setup_poll_two, check_two),
	  .thread = { submit_pair }, .bound = 1, .bound_long = 2 },
	{ CLIENT("spin", "a job given to a spinner that takes another one: it wakes somebody for it", setup_spin_two, check_two),
	  .thread = { submit_to_spinner }, .bound = 1, .bound_long = 2 },
	{ 0 },
};
