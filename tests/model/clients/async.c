/*
 * model/clients/async.c - clients of asynchronous jobs: completions against the handler's return, against the bounds of a
 * worker and of its pool, and against a worker that goes to sleep at its bound. Run by the explorer and natively.
 *
 * What must hold: exactly one completion wins, a worker that sleeps at its bound is woken when a place is free, the bound
 * is never exceeded, and the next job runs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

static sh_a32 in_flight; /* started and not yet completed */
static uint32_t in_flight_max;
static sh_a64 started[WORLD_JOBS]; /* the handle, for the completer */
static sh_a32 done;                /* callbacks */
static uint32_t left[WORLD_JOBS];  /* plain: what the completer leaves, for who sees the job ended */

static void on_done(void *arg, struct shunt_job_id id, const struct shunt_result *r)
{
	(void)arg;
	(void)id;
	client_assert(r->status == SHUNT_JOB_DONE);
	flag_raise(&done);
}

/* Stays in flight until a thread completes it: that thread learns the handle here. */
static int job(struct shunt_job_ctx *ctx, void *arg)
{
	uint32_t i = (uint32_t)(uintptr_t)arg;

	/* mo rlx: what the client counts; it must not order anything. */
	client_assert(sh_a32_add_rlx(&in_flight, 1) + 1 <= in_flight_max);
	sh_a64_store_rlx(&started[i], shunt_job_self(ctx).v);
	(void)world_job(ctx, arg);
	return SHUNT_PENDING;
}

/* Every second job of the pool is not asynchronous. */
static int job_mixed(struct shunt_job_ctx *ctx, void *arg)
{
	return (uintptr_t)arg == 1 ? world_job(ctx, arg) : job(ctx, arg);
}

static void setup_state(uint32_t all)
{
	memset(started, 0, sizeof(started));
	memset(left, 0, sizeof(left));
	sh_a32_init(&in_flight, 0);
	sh_a32_init(&done, 0);
	in_flight_max = all;
}

static void setup_with(uint32_t workers, uint32_t each, uint32_t all, shunt_handler_fn fn)
{
	struct shunt_pool_opts o;

	setup_state(all);
	world_pool_opts(&o, workers);
	o.async_max = each;
	o.async_pool_max = all;
	world_open(&o, fn, SHUNT_TYPE_ASYNC);
}

static void setup_one(void)
{
	setup_with(1, 1, 1, job);
}

static void setup_wide(void)
{
	setup_with(1, 2, 2, job);
}

static void setup_pool_bound(void)
{
	setup_with(2, 2, 1, job); /* only the pool's bound is ever met */
}

static void setup_mixed(void)
{
	setup_with(1, 1, 1, job_mixed);
}

static void submit(uint32_t i)
{
	struct shunt_job_spec s;

	world_spec(&s, i);
	s.done = on_done;
	world_must(shunt_submit(world.rt, &s, NULL));
}

/* Ends job i as soon as it runs, maybe before its handler has returned. */
static void complete(uint32_t i)
{
	struct shunt_job_id id;
	int rc;

	flag_await(&world.ran[i], 1);
	/* mo rlx: the flag orders nothing, so the handle may be seen late. */
	while ((id.v = sh_a64_load_rlx(&started[i])) == 0)
		client_relax();
	(void)sh_a32_sub_rlx(&in_flight, 1); /* mo rlx: before the place is free. */
	left[i] = 1;
	while ((rc = shunt_complete(world.rt, id, 0)) == SHUNT_ESTALE)
		client_relax(); /* its start may be seen late, too */
	world_must(rc);
}

static void submit_pair(void)
{
	submit(0);
	submit(1);
	flag_await(&done, 2);
}

static void complete_pair(void)
{
	complete(0);
	complete(1);
}

/* Three jobs, two places: the third starts when the first has ended, though the second has not. */
static void submit_triple(void)
{
	submit(0);
	submit(1);
	submit(2);
	flag_await(&done, 3);
}

static void complete_triple(void)
{
	complete(0);
	flag_await(&world.ran[2], 1);
	complete(1);
	complete(2);
}

/* One job for each worker: the pool has a place for one of them at a time. */
static void submit_apart(void)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s;
	uint32_t i;

	for (i = 0; i < 2; i++) {
		world_spec(&s, i);
		s.flags = SHUNT_JOB_ON_WORKER;
		opts.worker = i;
		s.opts = &opts;
		s.done = on_done;
		world_must(shunt_submit(world.rt, &s, NULL));
	}
	flag_await(&done, 2);
}

static void complete_second(void)
{
	complete(1);
}

static void submit_and_drain(void)
{
	submit(0);
	world_must(shunt_runtime_drain(world.rt, SHUNT_FOREVER, NULL));
	client_assert(left[0] == 1); /* what the handler left is the completer's to hand on: it may still be returning */
}

static void complete_first(void)
{
	complete(0);
}

/* A plain job behind an asynchronous one that fills the worker. */
static void submit_mixed(void)
{
	submit(0);
	submit(1);
	flag_await(&world.ran[1], 1);
}

/* Two threads want to end the job: one does. */
static sh_a32 wins;

static void setup_race(void)
{
	setup_one();
	sh_a32_init(&wins, 0);
}

static void complete_racing(void)
{
	struct shunt_job_id id;
	int rc;

	flag_await(&world.ran[0], 1);
	while ((id.v = sh_a64_load_rlx(&started[0])) == 0) /* mo rlx: as in complete. */
		client_relax();
	while ((rc = shunt_complete(world.rt, id, 0)) == SHUNT_ESTALE && sh_a32_load_rlx(&wins) == 0)
		client_relax();
	client_assert(rc == 0 || rc == SHUNT_ESTALE);
	if (rc == 0)
		flag_raise(&wins);
}

static void submit_once(void)
{
	submit(0);
	flag_await(&done, 1);
}

static void check_race(void)
{
	world_ran(1);
	client_assert(sh_a32_load_rlx(&wins) == 1);
}

/* Job 0, which holds the pool's only place, blocks until job 1 has run. */
static int job_blocks(struct shunt_job_ctx *ctx, void *arg)
{
	if ((uintptr_t)arg == 1)
		return world_job(ctx, arg);
	(void)job(ctx, arg);
	world_must(shunt_block_begin(ctx));
	flag_await(&world.ran[1], 1);
	shunt_block_end(ctx);
	return SHUNT_PENDING;
}

static void setup_spare(void)
{
	struct shunt_pool_opts o;

	setup_state(1);
	world_pool_opts(&o, 1);
	o.spares_max = 1;
	o.async_max = 2;
	o.async_pool_max = 1;
	world_open(&o, job_blocks, SHUNT_TYPE_ASYNC);
}

#define CLIENT(n, s, set, chk) .name = "async." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("complete", "a completion against the handler's return, then drained", setup_one, world_one_ran),
	  .thread = { submit_and_drain, complete_first }, .bound = 1, .bound_long = 2 },
	{ CLIENT("race", "two completions of one job: one wins", setup_race, check_race),
	  .thread = { submit_once, complete_racing, complete_racing }, .bound = 1, .bound_long = 2 },
	{ CLIENT("bound", "two jobs, one place: the worker sleeps at its bound and wakes for the second", setup_one, world_two_ran),
	  .thread = { submit_pair, complete_pair }, .bound = 1, .bound_long = 2 },
	{ CLIENT("wide", "three jobs, two places: one completion lets the third start", setup_wide, world_three_ran),
	  .thread = { submit_triple, complete_triple }, .bound = 1, .bound_long = 2 },
	{ CLIENT("mixed", "a plain job behind an asynchronous one that fills the worker", setup_mixed, world_two_ran),
	  .thread = { submit_mixed, complete_first }, .bound = 1, .bound_long = 2 },
	{ CLIENT("spare", "a spare that comes when the pool has no place: it runs what waits when there is one", setup_spare,
		 world_two_ran),
	  .thread = { submit_mixed, complete_first }, .random_only = true },
	{ CLIENT("pool_bound", "two workers, one place in the pool: the other worker's job runs afterwards", setup_pool_bound,
		 world_two_ran),
	  .thread = { submit_apart, complete_first, complete_second }, .random_only = true },
	{ 0 },
};
