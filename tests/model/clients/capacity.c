/*
 * model/clients/capacity.c - clients of a full pool: submitters that wait for capacity, are refused, and run the job
 * themselves. Run by the explorer and natively.
 *
 * What must hold: never more unfinished jobs than the pool may have, who waits gets in, and all capacity is back at the
 * end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

static sh_a32 inside; /* accepted and not ended, by what the client knows */
static int said[2];   /* plain, one writer each */

static int job(struct shunt_job_ctx *ctx, void *arg)
{
	client_assert(sh_a32_add_rlx(&inside, 1) == 0); /* mo rlx: one worker, one inline runner at a time. */
	(void)world_job(ctx, arg);
	(void)sh_a32_sub_rlx(&inside, 1); /* mo rlx: as above. */
	return 0;
}

static void setup_with(enum shunt_on_full full, shunt_handler_fn fn)
{
	struct shunt_pool_opts o;

	sh_a32_init(&inside, 0);
	said[0] = said[1] = 1;
	world_pool_opts(&o, 1);
	o.queue_max = 1;
	o.on_full = full;
	world_open(&o, fn, 0);
}

static void setup_block(void)
{
	setup_with(SHUNT_ON_FULL_BLOCK, job);
}

static void setup_error(void)
{
	setup_with(SHUNT_ON_FULL_ERROR, job);
}

static void setup_inline(void)
{
	setup_with(SHUNT_ON_FULL_INLINE, world_job);
}

static void submit(uint32_t i)
{
	struct shunt_job_spec s;

	world_spec(&s, i);
	said[i] = shunt_submit(world.rt, &s, NULL);
	client_assert(said[i] == 0 || said[i] == SHUNT_EFULL);
	if (said[i] == 0)
		flag_await(&world.ran[i], 1);
	flag_raise(&world.go[0]);
}

/* When both submits are over and all has ended, the pool is as empty as before. */
static void quiesce(void)
{
	flag_await(&world.go[0], 2);
	world_must(shunt_runtime_drain(world.rt, SHUNT_FOREVER, NULL));
	client_assert(sh_a64_load_rlx(&sh_runtime_pool(world.rt, world.pool.v)->in_pool) == 0);
}

static void submit_first(void)
{
	submit(0);
}

static void submit_second(void)
{
	submit(1);
}

/* One after the other without waiting for the end of the first: the second finds the pool full. */
static void submit_pair(void)
{
	world_submit(0);
	world_submit(1);
	flag_await(&world.ran[1], 1);
}

static void check(void)
{
	uint32_t i;

	for (i = 0; i < 2; i++)
		client_assert(world.runs[i] == (said[i] == 0 ? 1 : 0));
}

#define CLIENT(n, s, set, chk) .name = "capacity." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("pair", "a submitter waits for the capacity that its first job releases", setup_block, world_two_ran),
	  .thread = { submit_pair }, .bound = 2, .bound_long = 2 },
	{ CLIENT("block", "two submitters, capacity for one job: both get in", setup_block, check),
	  .thread = { submit_first, submit_second }, .bound = 1, .bound_long = 2 },
	{ CLIENT("error", "two submitters, capacity for one job: what is refused does not run", setup_error, check),
	  .thread = { submit_first, submit_second, quiesce }, .bound = 1, .bound_long = 2 },
	{ CLIENT("inline", "two submitters, capacity for one job: the other runs its own", setup_inline, check),
	  .thread = { submit_first, submit_second }, .bound = 1, .bound_long = 2 },
	{ 0 },
};
