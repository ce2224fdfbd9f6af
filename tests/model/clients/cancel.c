/*
 * model/clients/cancel.c - clients of cancelling in the whole runtime: a queued job against its start, its waiter and its
 * canceller; a keyed one, whose strand must go on; a group's. Run by the explorer and natively.
 *
 * What must hold: exactly one terminal state, the handler runs if and only if it is DONE, and the next job of the key runs.
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

static void drainer(void)
{
	flag_raise(&world.go[0]);
	world_must(shunt_drain(world.rt, SHUNT_FOREVER));
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
	{ CLIENT("drain", "cancel against start, then drained: counted once", setup, check_called),
	  .thread = { drainer, canceller }, .bound = 2, .bound_long = 3 },
	{ CLIENT("group", "a group is cancelled while its job starts: the waiter sees the end", setup_group, NULL),
	  .thread = { group_waiter, group_canceller, release }, .bound = 2, .bound_long = 3 },
	{ 0 },
};
