/*
 * model/clients/cancel.c - clients of cancelling in the whole runtime: a queued job against its start, its waiter and its
 * canceller; a keyed one, whose strand must go on; a group's; one whose record serves another job at once, while its
 * item or its place in a strand is still queued. Run by the explorer and natively.
 *
 * What must hold: exactly one terminal state, the handler runs if and only if it is DONE, and the next job of the key
 * runs; who finds the item of an ended job drops it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

static struct shunt_job_id id; /* written in setup */
static struct shunt_group_id group;
static struct shunt_result result; /* written by the waiter */
static int cancelled;              /* written by the canceller: what shunt_cancel said */
static uint32_t called;            /* plain: callbacks */

static void on_done(void *arg, struct shunt_job_id of, const struct shunt_result *r)
{
	(void)arg;
	(void)of;
	client_assert(r->status == SHUNT_JOB_DONE || r->status == SHUNT_JOB_CANCELLED);
	called++;
}

/* The worker holds back until the client's threads start: job 7 keeps it. */
static int job(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(7))
		flag_await(&world.go[0], 1);
	return world_job(ctx, arg);
}

static void open_held(void)
{
	struct shunt_pool_opts o;

	memset(&result, 0, sizeof(result));
	cancelled = 1;
	called = 0;
	world_pool_opts(&o, 1);
	world_open(&o, job, 0);
	world_submit(7);
}

static void queue_tracked(uint32_t i, unsigned flags)
{
	struct shunt_job_spec s;

	world_spec(&s, i);
	s.flags = (uint16_t)flags;
	s.group = group;
	s.done = on_done;
	world_must(shunt_submit(world.rt, &s, &id));
}

static void setup(void)
{
	group.v = 0;
	open_held();
	queue_tracked(0, 0);
}

static void setup_keyed(void)
{
	struct shunt_job_spec s;

	group.v = 0;
	open_held();
	queue_tracked(0, SHUNT_JOB_KEYED);
	world_spec(&s, 1);
	s.flags = SHUNT_JOB_KEYED;
	world_must(shunt_submit(world.rt, &s, NULL));
}

static void setup_group(void)
{
	group.v = 0;
	open_held();
	world_must(shunt_group_create(world.rt, &group));
	queue_tracked(0, 0);
}

/* As many records as are left: the last jobs need those of the first. */
static void keep_records(uint32_t n)
{
	while (n-- > 0)
		client_assert(sh_slab_alloc(&world.rt->records, NULL, 0) != 0);
}

static void setup_keyed_full(void)
{
	setup_keyed();
	keep_records(2);
}

static void setup_last(void)
{
	setup();
	keep_records(3);
}

static void setup_last_grouped(void)
{
	setup_last();
	world_must(shunt_group_create(world.rt, &group));
}

static void release(void)
{
	flag_raise(&world.go[0]);
}

static void canceller(void)
{
	cancelled = shunt_cancel(world.rt, id);
	client_assert(cancelled == 0 || cancelled == SHUNT_EBUSY || cancelled == SHUNT_EAGAIN || cancelled == SHUNT_ESTALE);
}

/* The one that waits: it lets the worker go, and sees the end. */
static void waiter(void)
{
	flag_raise(&world.go[0]);
	world_must(shunt_wait(world.rt, id, SHUNT_FOREVER, &result));
	client_assert(result.status == SHUNT_JOB_DONE || result.status == SHUNT_JOB_CANCELLED);
	client_assert(world.runs[0] == (result.status == SHUNT_JOB_DONE ? 1 : 0));
	client_assert(called == 1);
}

static void detacher(void)
{
	flag_raise(&world.go[0]);
	(void)shunt_detach(world.rt, id);
}

static void waiter_keyed(void)
{
	waiter();
	flag_await(&world.ran[1], 1); /* the strand goes on */
}

/* Joins it, and at once has another job where its record was. */
static void waiter_again(void)
{
	struct shunt_job_id next;

	waiter();
	world.in[1] = 101;
	next = world_submit_tracked(1);
	world_join(1, next);
}

/* Cancels the job, gives its handle back, and has another one as soon as there is a record. */
static void cancel_and_submit(uint32_t i, unsigned flags, struct shunt_job_id *next)
{
	struct shunt_job_spec s;
	int rc;

	canceller();
	world_must(shunt_detach(world.rt, id));
	world_spec(&s, i);
	s.flags = (uint16_t)flags;
	s.group = group;
	while ((rc = shunt_submit(world.rt, &s, next)) == SHUNT_EFULL)
		client_relax();
	world_must(rc);
}

/* The strand has the first job's record in its list: it is not free before the strand came to it. */
static void replace_keyed(void)
{
	cancel_and_submit(2, SHUNT_JOB_KEYED, NULL);
	flag_await(&world.ran[1], 1);
	flag_await(&world.ran[2], 1);
	world_must(shunt_runtime_drain(world.rt, SHUNT_FOREVER, NULL));
	keep_records(2); /* both are back */
}

static void replace_tracked(void)
{
	struct shunt_job_id next = { 0 };

	cancel_and_submit(1, 0, &next);
	world_join(1, next);
}

/* Nobody has the handle of the second job: its item alone says which it is. */
static void replace_owned(void)
{
	cancel_and_submit(1, 0, NULL);
	world_must(shunt_group_wait(world.rt, group, SHUNT_FOREVER));
	world_is_done(1);
}

static void group_canceller(void)
{
	world_must(shunt_group_cancel(world.rt, group));
}

static void group_waiter(void)
{
	flag_raise(&world.go[0]);
	world_must(shunt_group_wait(world.rt, group, SHUNT_FOREVER));
	world_must(shunt_poll(world.rt, id, &result));
	client_assert(world.runs[0] == (result.status == SHUNT_JOB_DONE ? 1 : 0));
}

/* Job 0 spawns job 1 into its own deque and waits for their group: it runs job 1 itself if it is still queued. */
static sh_a64 spawned;

static int job_helps(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(0)) {
		queue_tracked(1, 0);
		sh_a64_store_rel(&spawned, id.v); /* mo client.2 -> client.2@model/clients/cancel.c: hands the handle on. */
		while (shunt_group_wait(world.rt, group, SHUNT_FOREVER) == SHUNT_EDEADLK)
			client_relax(); /* the other thread is about to end job 1; the pool has no spare meanwhile */
	}
	return world_job(ctx, arg);
}

static void setup_spawns(shunt_handler_fn fn)
{
	struct shunt_pool_opts o;

	memset(&result, 0, sizeof(result));
	cancelled = 1;
	called = 0;
	sh_a64_init(&spawned, 0);
	world_pool_opts(&o, 1);
	o.strategy = SHUNT_SELECT_LOCALITY;
	world_open(&o, fn, 0);
	keep_records(3);
}

static void setup_helps(void)
{
	setup_spawns(job_helps);
	world_must(shunt_group_create(world.rt, &group));
}


/* Job 0 waits for job 1, which it may run itself, while another thread gives the handle back. */
static int job_awaits(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(0)) {
		struct shunt_job_id of;
		int rc;

		queue_tracked(1, 0);
		of = id;
		sh_a64_store_rel(&spawned, id.v); /* mo client.2 -> client.2@model/clients/cancel.c: hands the handle on. */
		while ((rc = shunt_wait(world.rt, of, SHUNT_FOREVER, NULL)) == SHUNT_EDEADLK)
			client_relax();
		client_assert(rc == 0 || rc == SHUNT_ESTALE);
	}
	return world_job(ctx, arg);
}

static void setup_awaits(void)
{
	group.v = 0;
	setup_spawns(job_awaits);
}

static void submit_parent(void)
{
	world_submit(0);
	flag_await(&world.ran[0], 1);
}

static void replace_helped(void)
{
	struct shunt_job_spec s;
	struct shunt_job_id of;
	int rc;

	/* mo client.2 <- client.2@model/clients/cancel.c: the handle was made before. */
	while ((of.v = sh_a64_load_acq(&spawned)) == 0)
		client_relax();
	cancelled = shunt_cancel(world.rt, of);
	(void)shunt_detach(world.rt, of); /* its waiter may have been faster */
	world_spec(&s, 2);
	s.flags = SHUNT_JOB_KEYED; /* needs a record */
	while ((rc = shunt_submit(world.rt, &s, NULL)) == SHUNT_EFULL)
		client_relax();
	world_must(rc);
	flag_await(&world.ran[2], 1);
}

static void check_helped(void)
{
	client_assert(world.runs[1] == (cancelled == 0 ? 0 : 1));
}

static void drainer(void)
{
	flag_raise(&world.go[0]);
	world_must(shunt_runtime_drain(world.rt, SHUNT_FOREVER, NULL));
	client_assert(called == 1);
}

static void check(void)
{
	client_assert((cancelled == 0) == (result.status == SHUNT_JOB_CANCELLED));
}

static void check_called(void)
{
	client_assert(world.runs[0] == (cancelled == 0 ? 0 : 1));
}

#define CLIENT(n, s, set, chk) .name = "cancel." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("start", "cancel against start and a waiter: one end, the handler ran if it was DONE", setup, check),
	  .thread = { waiter, canceller }, .bound = 2, .bound_long = 4 },
	{ CLIENT("detach", "cancel against start, the handle given back meanwhile", setup, NULL),
	  .thread = { detacher, canceller, drainer }, .bound = 1, .bound_long = 2 },
	{ CLIENT("reuse", "cancel against start, the record reused at once: nobody touches the later job's", setup, check),
	  .thread = { waiter_again, canceller }, .bound = 1, .bound_long = 2 },
	{ CLIENT("keyed", "a keyed job is cancelled or runs: its strand goes on either way", setup_keyed, check),
	  .thread = { waiter_keyed, canceller }, .bound = 2, .bound_long = 3 },
	{ CLIENT("linked", "a keyed job is cancelled and its handle given back: its strand's list keeps the record",
		 setup_keyed_full, check_called),
	  .thread = { replace_keyed, release }, .bound = 1, .bound_long = 2 },
	{ CLIENT("stale", "a job is cancelled and its record reused while its item is queued: the item is dropped",
		 setup_last, check_called),
	  .thread = { replace_tracked, release }, .bound = 2, .bound_long = 3 },
	{ CLIENT("stale_owned", "the same, and the later job has no handle", setup_last_grouped, check_called),
	  .thread = { replace_owned, release }, .bound = 2, .bound_long = 3 },
	{ CLIENT("helped", "a job of a group that its waiter may run is cancelled, and its record reused", setup_helps,
		 check_helped),
	  .thread = { submit_parent, replace_helped }, .bound = 1, .bound_long = 2 },
	{ CLIENT("awaited", "the same with a waiter for the job itself", setup_awaits, check_helped),
	  .thread = { submit_parent, replace_helped }, .bound = 1, .bound_long = 2 },
	{ CLIENT("drain", "cancel against start, then drained: counted once", setup, check_called),
	  .thread = { drainer, canceller }, .bound = 2, .bound_long = 3 },
	{ CLIENT("group", "a group is cancelled while its job starts: the waiter sees the end", setup_group, NULL),
	  .thread = { group_waiter, group_canceller, release }, .bound = 2, .bound_long = 3 },
	{ 0 },
};
