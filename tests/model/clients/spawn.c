/*
 * model/clients/spawn.c - clients of the fast path of a job that a worker spawns in its own pool: into its own deque,
 * without a read-side section, against ends of types and of the pool, drains, thieves and a full slab.
 * Run by the explorer and natively.
 *
 * What must hold: a spawn is refused or runs with the type that its handle names; the thread that ends a type, a
 * pool or a drain sees what the spawned jobs left; no thread reads what was freed; a rejected spawn is not counted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"
#include "life/drain.h"

#define SPAWNS 2u

static struct shunt_type_id other; /* of what job 0 spawns */
static uint32_t step;              /* added to its handle: that of the type that comes in its place */
static int parent_said;            /* plain: what the submit of job 0 said */
static int said[SPAWNS + 1];       /* plain: what the spawn of job i said */
static uint32_t spawns;            /* of job 0 */
static uint32_t generation;        /* plain: the spawned jobs read it, who takes their type away writes it */

static int parent(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_job_spec s;
	uint32_t i;

	for (i = 1; i <= spawns; i++) {
		world_spec(&s, i);
		s.type.v = other.v + step;
		said[i] = shunt_submit(world.rt, &s, NULL);
	}
	return world_job(ctx, arg);
}

static int child(struct shunt_job_ctx *ctx, void *arg)
{
	client_assert(generation == 1);
	return world_job(ctx, arg);
}

static int child_second(struct shunt_job_ctx *ctx, void *arg)
{
	client_assert(generation == 2);
	return world_job(ctx, arg);
}

static void setup_with(uint32_t workers, uint32_t n)
{
	struct shunt_pool_opts o;

	parent_said = said[1] = said[2] = 1;
	spawns = n;
	step = 0;
	generation = 1;
	world_pool_opts(&o, workers);
	o.strategy = SHUNT_SELECT_LOCALITY;
	world_open(&o, parent, 0);
	other = world_type("u", child, 0);
}

static void setup_one(void)
{
	setup_with(1, 1);
}

static void setup_two(void)
{
	setup_with(2, 1);
}

static void setup_next(void)
{
	setup_with(1, 1);
	step = 1u << 16;
}

/* One credit is left: job 0 has given it back when it runs. */
static void setup_few(void)
{
	setup_with(1, 2);
	world_credits(1);
}

static void submit(void)
{
	struct shunt_job_spec s;

	world_spec(&s, 0);
	parent_said = shunt_submit(world.rt, &s, NULL);
	client_assert(parent_said == 0 || parent_said == SHUNT_ENOENT);
}

static void end_type(void)
{
	world_must(shunt_type_destroy(world.rt, other, SHUNT_FOREVER));
	generation = 2; /* a job of the type that still runs would race with this */
	client_assert(world.runs[1] <= 1);
}

static void replace_type(void)
{
	end_type();
	client_assert(world_type("v", child_second, 0).v == other.v + (1u << SH_ID_BITS));
}

static void end_pool(void)
{
	end_type();
	world_must(shunt_type_destroy(world.rt, world.type, SHUNT_FOREVER));
	world_must(shunt_pool_destroy(world.rt, world.pool));
}

static void submit_and_end_pool(void)
{
	submit();
	end_pool();
}

static void submit_and_drain(void)
{
	uint32_t i;

	submit();
	world_must(shunt_runtime_drain(world.rt, SHUNT_FOREVER, NULL));
	generation = 2; /* as above */
	world_is_done(0);
	for (i = 1; i <= spawns; i++)
		client_assert(world.runs[i] == (said[i] == 0 ? 1u : 0u));
}

static void check(void)
{
	while (sh_runtime_pending(world.rt, SHUNT_ANY) != 0) /* natively job 0 may still be in its handler */
		client_relax();
	client_assert(world.runs[0] == (parent_said == 0 ? 1u : 0u));
	if (parent_said == 0)
		client_assert(said[1] == 0 || said[1] == SHUNT_ENOENT);
	client_assert(world.runs[1] == (said[1] == 0 ? 1u : 0u));
}

static void check_few(void)
{
	client_assert(said[1] == 0 && said[2] == SHUNT_EFULL);
}

static void check_spawned(void)
{
	client_assert(said[1] == 0);
}

#define CLIENT(n, s, set, chk) .name = "spawn." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("unregister", "a spawn against the end of its type: refused, or ended when unregister returns",
		 setup_one, check),
	  .thread = { submit, end_type }, .bound = 2, .bound_long = 3 },
	{ CLIENT("replace", "a new type in the old one's place: its fields are seen by who spawns of it",
		 setup_next, check),
	  .thread = { submit, replace_type }, .bound = 2, .bound_long = 3 },
	{ CLIENT("remove", "a spawn against the end of its types and its pool: nobody looks at freed memory",
		 setup_one, check),
	  .thread = { submit_and_end_pool }, .bound = 1, .bound_long = 2 },
	{ CLIENT("remove_two", "the same with a thief, which the spawning worker wakes",
		 setup_two, check),
	  .thread = { submit_and_end_pool }, .bound = 1, .bound_long = 2 },
	{ CLIENT("drain", "a spawn against a drain: what it reports as finished is done and seen, the spawned job too",
		 setup_one, check_spawned),
	  .thread = { submit_and_drain }, .bound = 2, .bound_long = 3 },
	{ CLIENT("drain_two", "the same with a thief",
		 setup_two, check_spawned),
	  .thread = { submit_and_drain }, .bound = 1, .bound_long = 2 },
	{ CLIENT("few", "two spawns, capacity for one: what is refused is not counted",
		 setup_few, check_few),
	  .thread = { submit_and_drain }, .bound = 2, .bound_long = 3 },
	{ 0 },
};
