/*
 * model/clients/gate.c - clients of taking types and pools away and putting new ones there: registry changes against
 * submits. Run by the explorer and natively.
 *
 * What must hold: a submit is refused or runs with the type that its handle names; unregister returns when the accepted
 * jobs have ended; nobody touches a pool that was freed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"
#include "sched/record.h"

static int said;            /* plain: what the submit said */
static uint32_t generation; /* plain: what the handlers see, changed between two types */

static int job(struct shunt_job_ctx *ctx, void *arg)
{
	client_assert(generation == 1);
	return world_job(ctx, arg);
}

static int job_second(struct shunt_job_ctx *ctx, void *arg)
{
	client_assert(generation == 2);
	return world_job(ctx, arg);
}

static void setup_with(uint32_t submitters)
{
	struct shunt_pool_opts o;

	said = 1;
	generation = 1;
	world_pool_opts(&o, 1);
	world_runtime(1, submitters);
	world_must(shunt_pool_create(world.rt, &o, &world.pool));
	world.type = world_type("t", job, 0);
}

static void setup(void)
{
	setup_with(4);
}

static void setup_shared(void)
{
	setup_with(1);
	world_submit(7);
	flag_await(&world.ran[7], 1);
}

static void submit(void)
{
	struct shunt_job_spec s;

	world_spec(&s, 0);
	said = shunt_submit(world.rt, &s, NULL);
	client_assert(said == 0 || said == SHUNT_ENOENT);
}

/* The first job has the worker awake: it may run and count the second before this thread has looked for sleepers. */
static void submit_twice(void)
{
	struct shunt_job_spec s;

	submit();
	world_spec(&s, 1);
	(void)shunt_submit(world.rt, &s, NULL);
}

/* The handle of the type that the other thread registers: it is known beforehand. */
static void submit_next(void)
{
	struct shunt_job_spec s;

	world_spec(&s, 1);
	s.type.v = world.type.v + (1u << SH_ID_BITS);
	if (shunt_submit(world.rt, &s, NULL) == 0)
		flag_await(&world.ran[1], 1);
}

static void unregister(void)
{
	world_must(shunt_type_destroy(world.rt, world.type, SHUNT_FOREVER));
	generation = 2; /* a handler of the type that still runs would race with this */
	client_assert(world.runs[0] <= 1);
}

static void replace(void)
{
	unregister();
	client_assert(world_type("u", job_second, 0).v == world.type.v + (1u << SH_ID_BITS));
}

static void remove_pool(void)
{
	unregister();
	world_must(shunt_pool_destroy(world.rt, world.pool));
}

/* The job ends outside its worker, in the thread that completes it, while its pool is taken away. */
static sh_a64 started;
static struct shunt_group_id group;

static int job_async(struct shunt_job_ctx *ctx, void *arg)
{
	sh_a64_store_rlx(&started, shunt_job_self(ctx).v); /* mo rlx: must not order anything. */
	(void)world_job(ctx, arg);
	return SHUNT_PENDING;
}

static void setup_async(void)
{
	struct shunt_pool_opts o;
	struct shunt_job_spec s;

	said = 1;
	generation = 1;
	sh_a64_init(&started, 0);
	world_pool_opts(&o, 1);
	world_open(&o, job_async, SHUNT_TYPE_ASYNC);
	world_spec(&s, 0);
	world_must(shunt_group_create(world.rt, &group));
	s.group = group;
	s.flags = SHUNT_JOB_KEYED; /* its place in a strand, which is the pool's, is what it leaves last */
	world_must(shunt_submit(world.rt, &s, NULL));
}

/* Looks at the group first: a completer that leaves it may stop there, before its last look at the pool. */
static void remove_watched(void)
{
	client_assert(shunt_group_pending(world.rt, group) <= 1);
	remove_pool();
}

static void complete(void)
{
	struct shunt_job_id id;

	while ((id.v = sh_a64_load_rlx(&started)) == 0) /* mo rlx: as above. */
		client_relax();
	while (shunt_complete(world.rt, id, 0) != 0)
		client_relax();
	said = 0;
}

/* ---- destroy while a thread waits ---- */

static struct shunt_job_id awaited;
static sh_a32 destroyed; /* flag: the job may end */

static int job_until_destroy(struct shunt_job_ctx *ctx, void *arg)
{
	flag_await(&destroyed, 1);
	return world_job(ctx, arg);
}

static void setup_destroy(void)
{
	struct shunt_pool_opts o;

	sh_a32_init(&destroyed, 0);
	world_pool_opts(&o, 1);
	world_open(&o, job_until_destroy, 0);
	awaited = world_submit_tracked(0);
}

static void wait_known(void)
{
	struct shunt_result r;

	world_submit(1); /* the thread has a submitter */
	world_must(shunt_wait(world.rt, awaited, SHUNT_FOREVER, &r));
}

static void wait_unknown(void)
{
	struct shunt_result r;

	world_must(shunt_wait(world.rt, awaited, SHUNT_FOREVER, &r));
}

/* Destroys the runtime when the other thread is about to sleep in its wait. */
static void destroy(void)
{
	const struct sh_record *t = sh_slab_at(&world.rt->records, sh_record_index(awaited.v));

	while ((sh_a64_load_rlx(&t->state) & SH_RECORD_WAITER) == 0) /* mo rlx: only looked at. */
		client_relax();
	flag_raise(&destroyed);
	world_must(shunt_runtime_destroy(world.rt, NULL));
	world.rt = NULL; /* world_close finds none */
}

static void check(void)
{
	client_assert(world.runs[0] == (said == 0 ? 1 : 0));
}

#define CLIENT(n, s, set, chk) .name = "gate." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("unregister", "a submit against the end of its type: refused, or ended when unregister returns", setup, check),
	  .thread = { submit, unregister }, .bound = 2, .bound_long = 2 },
	{ CLIENT("shared", "the same from a thread without a submitter slot", setup_shared, check),
	  .thread = { submit, unregister }, .bound = 1, .bound_long = 2 },
	{ CLIENT("replace", "a new type in the old one's place: its fields are seen by who submits to it", setup, NULL),
	  .thread = { submit_next, replace }, .bound = 2, .bound_long = 3 },
	{ CLIENT("remove", "a submit against the end of its pool: nobody looks at freed memory", setup, check),
	  .thread = { submit_twice, remove_pool }, .random_only = true },
	{ CLIENT("remove_shared", "the same from a thread without a submitter slot", setup_shared, check),
	  .thread = { submit_twice, remove_pool }, .bound = 1, .bound_long = 2 },
	{ CLIENT("complete", "a completion against the end of its pool: nobody looks at freed memory", setup_async, check),
	  .thread = { complete, remove_watched }, .bound = 2, .bound_long = 3 },
	{ CLIENT("destroy", "a wait against the end of the runtime: it leaves before the free", setup_destroy, NULL),
	  .thread = { wait_known, destroy }, .bound = 1, .bound_long = 2 },
	{ CLIENT("destroy_shared", "the same for a thread without a submitter slot", setup_destroy, NULL),
	  .thread = { wait_unknown, destroy }, .bound = 1, .bound_long = 2 },
	{ 0 },
};
