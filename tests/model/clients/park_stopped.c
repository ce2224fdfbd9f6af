/*
 * model/clients/park_stopped.c - clients of sleep and wake with a thread that stops half way for good: one that moved a
 * sleeper to WAKING and never made the system call, one that put a job into a queue and never looked for sleepers. Other
 * threads must do what it left. The stopped half is written out here. Run by the explorer and natively.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

static void setup_with(uint32_t workers)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, workers);
	o.strategy = SHUNT_SELECT_USER;
	o.select = world_select_home;
	world_open(&o, world_job_after, 0);
}

static void setup_one(void)
{
	setup_with(1);
}

static void setup_two(void)
{
	setup_with(2);
}

static struct sh_worker *worker_first(void)
{
	return sh_runtime_pool(world.rt, world.pool.v)->worker[0];
}

/* sh_worker_wake up to its system call. */
static void stopped_waker(void)
{
	uint32_t s;

	do {
		s = SH_W_PARKED;
		client_relax();
	} while (!sh_a32_cas_sc(&worker_first()->state, &s, SH_W_WAKING));
	flag_raise(&world.go[0]);
}

static void submit_behind_waker(void)
{
	flag_await(&world.go[0], 1);
	world_submit(1);
	flag_await(&world.ran[1], 1);
}

/* shunt_submit of job 0 up to its push into the first worker's ring. */
static void stopped_pusher(void)
{
	world.in[0] = 100;
	world_credits(WORLD_CREDITS - 1); /* that of the job: its worker gives it back */
	client_assert(sh_ring_push(&worker_first()->ring[0], sh_item_plain(sh_id_index(world.type.v), 0, world_arg(0))));
	flag_raise(&world.go[0]);
}

/* Wakes the worker, which finds job 0 first; job 0 waits for job 1 behind it. */
static void submit_behind_pusher(void)
{
	flag_await(&world.go[0], 1);
	world_submit(1);
	flag_await(&world.ran[0], 1);
}

static void check_one(void)
{
	client_assert(world.runs[1] == 1);
}

#define CLIENT(n, s, set, chk) .name = "park_stopped." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("waker", "a waker stopped before its system call: the next submitter repeats it", setup_one, check_one),
	  .thread = { stopped_waker, submit_behind_waker }, .bound = 2, .bound_long = 3 },
	{ CLIENT("pusher", "a submitter stopped after its push: a waker beside its job calls others to the rest", setup_two,
		 world_two_ran),
	  .thread = { stopped_pusher, submit_behind_pusher }, .bound = 1, .bound_long = 2 },
	{ 0 },
};
