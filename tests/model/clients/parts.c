/*
 * model/clients/parts.c - clients of the parts of a job (sched/part.h): a job with a key, a group, a handle and a bound
 * ends in every way there is, and its runtime is destroyed. Run by the explorer and natively.
 *
 * What must hold: each part is released exactly once, whatever the end: the runtime asserts it at its destruction,
 * and the clients that only drain look themselves. A refused submit leaves nothing behind. What a part counts (the
 * group, the bound) is back, and so are the credits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"
#include "sched/part.h"

static struct shunt_job_id id; /* written in setup */
static struct shunt_group_id group;
static sh_a64 started;     /* the handle of an asynchronous job */
static sh_a32 over;        /* flag: the other threads use the runtime no more */
static int said[2];        /* plain, one writer each */
static uint32_t called[2]; /* plain: callbacks of job i, written by the thread that ends it */

static void on_done(void *arg, struct shunt_job_id of, const struct shunt_result *r)
{
	(void)of;
	client_assert(r->status == SHUNT_JOB_DONE || r->status == SHUNT_JOB_CANCELLED);
	called[(uintptr_t)arg]++;
}

/* The worker holds back until the client's threads start: job 7 keeps it. */
static int job(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(7))
		flag_await(&world.go[0], 1);
	return world_job(ctx, arg);
}

/* Job 0 ends with its handler if nobody completes it before; job 1 stays pending. */
static int job_async(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(0))
		sh_a64_store_rlx(&started, shunt_job_self(ctx).v); /* mo rlx: must not order anything. */
	(void)world_job(ctx, arg);
	return arg == world_arg(0) ? SHUNT_DONE : SHUNT_PENDING;
}

static int submit(uint32_t i, struct shunt_job_id *out)
{
	struct shunt_job_spec s;

	world_spec(&s, i);
	s.flags = SHUNT_JOB_KEYED;
	s.group = group;
	s.done = on_done;
	s.done_arg = world_arg(i);
	return shunt_submit(world.rt, &s, out);
}

static void setup_with(shunt_handler_fn fn, uint32_t flags, uint32_t queue_max)
{
	struct shunt_pool_opts o;

	memset(called, 0, sizeof(called));
	said[0] = said[1] = 1;
	sh_a64_init(&started, 0);
	sh_a32_init(&over, 0);
	world_pool_opts(&o, 1);
	o.queue_max = queue_max;
	o.on_full = SHUNT_ON_FULL_ERROR;
	world_open(&o, fn, flags);
	world_must(shunt_group_create(world.rt, &group));
}

static void setup_held(void)
{
	setup_with(job, 0, 8);
	world_submit(7);
	world_must(submit(0, &id));
	world_must(submit(1, NULL));
}

static void setup_async(void)
{
	setup_with(job_async, SHUNT_TYPE_ASYNC, 8);
}

static void setup_full(void)
{
	setup_with(world_job, 0, 1);
}

/* One record is left for two jobs. */
static void setup_few(void)
{
	uint32_t i;

	setup_with(world_job, 0, 8);
	for (i = 0; i < 3; i++)
		client_assert(sh_slab_alloc(&world.rt->records, NULL, 0) != 0);
}

/* Each job that was accepted ended once. */
static void ended(uint32_t accepted)
{
	client_assert(called[0] + called[1] == accepted);
	client_assert(world.runs[0] <= called[0] && world.runs[1] <= called[1]);
}

static void destroy(void)
{
	world_must(shunt_runtime_destroy(world.rt, NULL));
}

/* Destroys the runtime while the worker may be about to start the jobs. */
static void release_and_destroy(void)
{
	flag_raise(&world.go[0]);
	flag_await(&over, 1);
	destroy();
	ended(2);
}

static void cancel(void)
{
	said[0] = shunt_cancel(world.rt, id);
	client_assert(said[0] == 0 || said[0] == SHUNT_EBUSY || said[0] == SHUNT_EAGAIN);
	world_must(shunt_detach(world.rt, id));
	flag_raise(&over);
}

static void cancel_group(void)
{
	world_must(shunt_group_cancel(world.rt, group));
	flag_raise(&over);
}

/* All has ended by what the group says: nothing is counted any more but what the worker is about to give back. */
static void release_and_wait(void)
{
	flag_raise(&world.go[0]);
	flag_await(&over, 1);
	world_must(shunt_group_wait(world.rt, group, SHUNT_FOREVER));
	client_assert(called[0] == 1 && called[1] == 1);
	destroy();
	ended(2);
}

static void stop_only(void)
{
	flag_raise(&world.go[0]);
	destroy();
	ended(2);
}

static void submit_async(void)
{
	world_must(submit(0, &id));
	world_must(submit(1, NULL));
	flag_await(&over, 1);
	destroy();
	ended(2);
}

/* The first job is completed before its handler has returned, or that was faster. */
static void complete(void)
{
	struct shunt_job_id of;
	int rc;

	while ((of.v = sh_a64_load_rlx(&started)) == 0) /* mo rlx: as above. */
		client_relax();
	/* mo rlx: as above. */
	while ((rc = shunt_complete(world.rt, of, 0)) == SHUNT_ESTALE && sh_a32_load_rlx(&world.ran[1]) == 0)
		client_relax(); /* its start may be seen late */
	client_assert(rc == 0 || rc == SHUNT_ESTALE);
	flag_raise(&over);
}

static void submit_refused(uint32_t i)
{
	struct shunt_job_id of = { 1 };

	said[i] = submit(i, &of);
	client_assert(said[i] == 0 || said[i] == SHUNT_EFULL);
	client_assert((said[i] == 0) == (of.v != 0));
	if (said[i] == 0)
		world_must(shunt_detach(world.rt, of));
	flag_raise(&over);
}

static void submit_first(void)
{
	submit_refused(0);
}

static void submit_second(void)
{
	submit_refused(1);
}

static void settle(void)
{
	flag_await(&over, 2);
	world_must(shunt_runtime_drain(world.rt, SHUNT_FOREVER, NULL));
	client_assert(shunt_group_pending(world.rt, group) == 0);
	/* mo rlx: the drain has seen the end of what was accepted. */
	client_assert(sh_a64_load_rlx(&world.rt->credits) == WORLD_CREDITS);
	client_assert(sh_a64_load_rlx(&sh_runtime_pool(world.rt, world.pool.v)->in_pool) == 0); /* mo rlx: as above. */
	for (uint32_t i = 0; i < SH_PARTS; i++)
		client_assert(sh_a64_load_rlx(&world.rt->part_balance[i]) == 0); /* mo rlx: as above. */
	ended((uint32_t)(said[0] == 0) + (uint32_t)(said[1] == 0));
}

/* The client's threads have destroyed the runtime. */
static void close_topo(void)
{
	shunt_topo_close(world.topo);
}

#define CLIENT(n, s, set, end) .name = "parts." n, .shows = s, .setup = set, .teardown = end

const struct client clients[] = {
	{ CLIENT("cancel", "cancelled against its start, then destroyed with its strand queued", setup_held,
		 close_topo),
	  .thread = { release_and_destroy, cancel }, .bound = 1, .bound_long = 2 },
	{ CLIENT("group", "its group is cancelled against its start", setup_held,
		 close_topo),
	  .thread = { release_and_wait, cancel_group }, .bound = 1, .bound_long = 2 },
	{ CLIENT("wait", "cancelled against its start, then its group is waited for", setup_held,
		 close_topo),
	  .thread = { release_and_wait, cancel }, .bound = 1, .bound_long = 2 },
	{ CLIENT("stop", "the runtime goes while the worker starts it", setup_held,
		 close_topo),
	  .thread = { stop_only }, .bound = 1, .bound_long = 2 },
	{ CLIENT("complete", "completed against its handler's return; the next one is pending when all ends", setup_async,
		 close_topo),
	  .thread = { submit_async, complete }, .bound = 1, .bound_long = 2 },
	{ CLIENT("full", "two submits, one place in the pool: the refused one leaves nothing behind", setup_full,
		 world_close),
	  .thread = { submit_first, submit_second, settle }, .bound = 1, .bound_long = 2 },
	{ CLIENT("few", "two submits, one record: the refused one leaves nothing behind", setup_few,
		 world_close),
	  .thread = { submit_first, submit_second, settle }, .bound = 1, .bound_long = 2 },
	{ 0 },
};
