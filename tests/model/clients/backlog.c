/*
 * model/clients/backlog.c - clients of a pool's backlog: more jobs than a ring holds, with one worker, and with a
 * worker that may not take them. Run by the explorer and natively.
 *
 * What must hold: every job runs once; a job does not overtake those in the backlog because the ring has free slots
 * again; none ends in the ring of a worker that does not take its level.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

#define JOBS 5u
#define WARM 7u

static uint32_t turn; /* plain: the only worker's; the job that comes next */
static sh_a32 let[2]; /* jobs 0 and 1 may end, and see all that was submitted before */

static int in_turn(struct shunt_job_ctx *ctx, void *arg)
{
	uint32_t i = (uint32_t)(uintptr_t)arg;

	if (i != WARM)
		client_assert(i == turn++);
	if (i < 2) {
		flag_raise(&world.go[i]);
		/* mo client.1 <- client.1@model/clients/backlog.c: what was submitted before. */
		while (sh_a32_load_acq(&let[i]) == 0)
			client_relax();
	}
	return world_job(ctx, arg);
}

/*
 * Three jobs first: at each of the worker's next seven picks the ring, where the older jobs are, comes before the
 * backlog.
 */
static void setup_order(void)
{
	struct shunt_pool_opts o;
	uint32_t i;

	turn = 0;
	sh_a32_init(&let[0], 0);
	sh_a32_init(&let[1], 0);
	world_pool_opts(&o, 1);
	world_open(&o, in_turn, 0);
	for (i = 1; i <= 3; i++) {
		world_submit(WARM);
		while (sh_a32_load_rlx(&world.ran[WARM]) < i) /* mo rlx: only setup. */
			client_relax();
	}
}

/*
 * While job 0 runs, two fill the ring and one goes to the backlog; while job 1 runs, the ring has a free slot, and one
 * more comes.
 */
static void submit_in_order(void)
{
	uint32_t i;

	world_submit(0);
	flag_await(&world.go[0], 1);
	for (i = 1; i < 4; i++)
		world_submit(i);
	sh_a32_store_rel(&let[0], 1); /* mo client.1 -> client.1@model/clients/backlog.c: all of these. */
	flag_await(&world.go[1], 1);
	world_submit(4);
	sh_a32_store_rel(&let[1], 1); /* mo client.1 -> client.1@model/clients/backlog.c: likewise. */
	for (i = 0; i < JOBS; i++)
		flag_await(&world.ran[i], 1);
}

static void all_ran(void)
{
	world_ran(JOBS);
}

/* Worker 0 takes jobs of level 0 alone. */
static void setup_reserved(void)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, 2);
	o.level_mode = SHUNT_LEVELS_RESERVED;
	o.reserved[0] = 1;
	world_runtime(2, 4);
	world_must(shunt_pool_create(world.rt, &o, &world.pool));
	world.type = world_type("t", world_job, 0);
}

static void submit_below(void)
{
	struct shunt_job_spec s;
	uint32_t i;

	for (i = 0; i < 4; i++) {
		world_spec(&s, i);
		s.level = SHUNT_LEVEL(1);
		world_must(shunt_submit(world.rt, &s, NULL));
	}
	for (i = 0; i < 4; i++)
		flag_await(&world.ran[i], 1);
}

#define CLIENT(n, s, set, chk) .name = "backlog." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("order", "a job that comes while others wait in the backlog, a slot is free: it goes behind them",
		 setup_order, all_ran),
	  .thread = { submit_in_order }, .bound = 1, .bound_long = 2 },
	{ CLIENT("reserved", "more jobs than the ring holds, of a level that the first worker does not take: each runs",
		 setup_reserved, world_four_ran),
	  .thread = { submit_below }, .bound = 1, .bound_long = 2 },
	{ 0 },
};
