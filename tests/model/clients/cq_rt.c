/*
 * model/clients/cq_rt.c - clients of completion queues in the whole runtime: jobs that run, are cancelled, or are
 * refused, against the reader and the strand of their key. Run by the explorer and natively.
 *
 * What must hold: each accepted job comes out of the queue once, with its own result; a refused one gives its place
 * back; a record that is in the queue and in the list of a strand is lost in neither.
 *
 * SPDX-License-Identifier: MIT
 */
#include <shunt/cq.h>

#include "clients/world.h"

static struct shunt_cq *cq;
static struct shunt_job_id id; /* written in setup */
static int said[2];            /* plain, one writer each */
static uint32_t taken[2];      /* plain: completions of job i */

/* The worker holds back until the client's threads start: job 7 keeps it. */
static int job(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(7))
		flag_await(&world.go[0], 1);
	return world_job(ctx, arg);
}

static int submit(uint32_t i, unsigned flags, struct shunt_job_id *out)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s;

	world_spec(&s, i);
	opts.cq = cq;
	s.flags = (uint16_t)flags;
	s.opts = &opts;
	s.done_arg = world_arg(i);
	return shunt_submit(world.rt, &s, out);
}

static void setup_with(uint32_t capacity)
{
	struct shunt_cq_opts co = SHUNT_CQ_OPTS_INIT;
	struct shunt_pool_opts o;

	memset(taken, 0, sizeof(taken));
	said[0] = said[1] = 1;
	world_pool_opts(&o, 1);
	world_open(&o, job, 0);
	co.capacity = capacity;
	world_must(shunt_cq_create(world.rt, &co, &cq));
}

static void setup_held(void)
{
	setup_with(4);
	world_submit(7);
	world_must(submit(0, SHUNT_JOB_KEYED, &id));
	world_must(submit(1, SHUNT_JOB_KEYED, NULL));
}

static void setup_four(void)
{
	setup_with(4);
}

static void setup_one(void)
{
	setup_with(1);
}

/* Looks into the queue until n completions came out. */
static void take(uint32_t n)
{
	struct shunt_completion c[2];

	while (taken[0] + taken[1] < n) {
		size_t k = shunt_cq_take(cq, c, 2);

		for (size_t i = 0; i < k; i++) {
			uint32_t of = (uint32_t)(uintptr_t)c[i].arg;

			client_assert(of < 2 && ++taken[of] == 1);
			client_assert(world.runs[of] == (c[i].result.status == SHUNT_JOB_DONE ? 1 : 0));
			client_assert(c[i].type.v == world.type.v);
			client_assert(c[i].id.v == 0 || (of == 0 && c[i].id.v == id.v));
		}
		if (k == 0)
			client_relax();
	}
}

static void release_and_take(void)
{
	flag_raise(&world.go[0]);
	take(2);
	flag_await(&world.ran[1], 1); /* the strand goes on */
	world_must(shunt_runtime_drain(world.rt, SHUNT_FOREVER, NULL));
	client_assert(shunt_cq_pending(cq) == 0);
}

static void cancel(void)
{
	said[0] = shunt_cancel(world.rt, id);
	client_assert(said[0] == 0 || said[0] == SHUNT_EBUSY || said[0] == SHUNT_EAGAIN);
	world_must(shunt_detach(world.rt, id));
}

static void submit_two(void)
{
	world_must(submit(0, 0, NULL));
	world_must(submit(1, 0, NULL));
}

static void take_two(void)
{
	take(2);
	world_must(shunt_cq_destroy(cq));
}

/* Two jobs, one place: the second is refused until the first was taken. */
static void submit_refused(void)
{
	int rc;

	world_must(submit(0, 0, NULL));
	while ((rc = submit(1, 0, NULL)) == SHUNT_EFULL)
		client_relax();
	world_must(rc);
}

static void check(void)
{
	client_assert(taken[0] == 1 && taken[1] == 1);
	client_assert(world.runs[1] == 1);
}

#define CLIENT(n, s, set) .name = "cq_rt." n, .shows = s, .setup = set, .check = check, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("two", "two jobs against the reader: both come out, and the queue ends", setup_four),
	  .thread = { submit_two, take_two }, .bound = 1, .bound_long = 2 },
	{ CLIENT("full", "two jobs, one place: the second is refused until the first was taken", setup_one),
	  .thread = { submit_refused, take_two }, .bound = 1, .bound_long = 2 },
	{ CLIENT("keyed", "a keyed job is cancelled while queued: it comes out, and its strand goes on", setup_held),
	  .thread = { release_and_take, cancel }, .bound = 2, .bound_long = 3 },
	{ 0 },
};
