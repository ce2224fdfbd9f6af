/*
 * model/clients/plain.c - clients of the fast path (sched/run.h, sched/account.h): short plain jobs, which a worker
 * records in batches, against drains, ends of types, sleep, thieves and jobs of other kinds. Run by the explorer and
 * natively.
 *
 * A job that takes no time is short once one has run: time stands still in the explorer while anybody can go on. So
 * the setup runs one of each type; from then on a job behind which the worker sees another one stays in an open batch.
 *
 * What must hold: an open batch is closed before its worker waits for anything; what is counted is done and
 * recorded.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"
#include "life/drain.h"

#define WARM 7u /* the job that setup runs */

static struct shunt_type_id other; /* a second type */
static int said;                   /* plain: what the drain or the submit said */
static size_t accepted;            /* plain: how many of a batch */
static uint32_t generation;        /* plain: handlers read it, who takes their type away writes it */

static struct sh_pool *the_pool(void)
{
	return sh_runtime_pool(world.rt, world.pool.v);
}

static int job(struct shunt_job_ctx *ctx, void *arg)
{
	client_assert(generation == 1);
	return world_job(ctx, arg);
}

/*
 * Job 1 ends when job 2 has: somebody else must take that one, with job 0 in this worker's batch. It says that it
 * blocks, so its worker keeps nothing in its hand.
 */
static int job_middle(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(1)) {
		world_must(shunt_block_begin(ctx));
		flag_await(&world.ran[2], 1);
		shunt_block_end(ctx);
	}
	return job(ctx, arg);
}

/* Job 1, of the second type, ends when the client says so. */
static int job_held(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(1))
		flag_await(&world.go[0], 1);
	return world_job(ctx, arg);
}

/* Jobs of the first type that the worker of this handler has recorded: its own stores. */
static uint64_t counted_here(const struct shunt_job_ctx *ctx)
{
	return sh_a64_load_rlx(&ctx->worker->finished[sh_id_index(world.type.v)]); /* mo rlx: own values. */
}

/* Job 1 waits inside for a job that it submits, job 2, of the second type. */
static int job_waits(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(1)) {
		struct shunt_job_spec s;
		struct shunt_job_id id = { 0 };
		struct shunt_result r;

		world_spec(&s, 2);
		s.type = other;
		world_must(shunt_submit(world.rt, &s, &id));
		world_must(shunt_wait(world.rt, id, SHUNT_FOREVER, &r));
		world_is_done(2);
	}
	return world_job(ctx, arg);
}

/* Job 0 ended before the job that this one runs in began. */
static int job_inside(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg == world_arg(2) && world.runs[0] == 1)
		client_assert(counted_here(ctx) == 2);
	return world_job(ctx, arg);
}

static void run_one(struct shunt_type_id type)
{
	struct shunt_job_spec s;

	world.runs[WARM] = 0;
	world_spec(&s, WARM);
	s.type = type;
	world_must(shunt_submit(world.rt, &s, NULL));
	while (sh_a32_load_rlx(&world.ran[WARM]) == 0) /* mo rlx: only setup. */
		client_relax();
	sh_a32_store_rlx(&world.ran[WARM], 0); /* mo rlx: as above. */
}

static void setup_spares(uint32_t workers, uint32_t spares, shunt_handler_fn fn, shunt_handler_fn fn_other)
{
	struct shunt_pool_opts o;

	said = 1;
	accepted = 0;
	generation = 1;
	world_pool_opts(&o, workers);
	o.spares_max = spares;
	o.ring_capacity = 4;
	o.strategy = SHUNT_SELECT_USER;
	o.select = world_select_home;
	world_open(&o, fn, 0);
	if (fn_other)
		other = world_type("other", fn_other, 0);
	run_one(world.type);
	if (fn_other)
		run_one(other);
}

static void setup_with(uint32_t workers, shunt_handler_fn fn, shunt_handler_fn fn_other)
{
	setup_spares(workers, SHUNT_ANY, fn, fn_other);
}

static void setup_one(void)
{
	setup_with(1, job, NULL);
}

static void setup_two(void)
{
	setup_with(2, job, NULL);
}

static void setup_middle(void)
{
	setup_spares(1, 1, job_middle, NULL);
}

static void setup_other(void)
{
	setup_with(1, world_job, job_held);
}

static void setup_waits(void)
{
	setup_with(1, job_waits, job_inside);
}

/* Two credits are left. */
static void setup_few(void)
{
	setup_one();
	world_credits(2);
}

static void specs_fill(struct shunt_job_spec *s, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		world_spec(&s[i], i);
}

/* Jobs 0..n-1 with one call. */
static void submit_n(uint32_t n, int *rc)
{
	struct shunt_job_spec s[3];

	specs_fill(s, n);
	accepted = shunt_submit_batch(world.rt, s, n, NULL, rc);
	client_assert((*rc == 0) == (accepted == n));
}

static void await_n(uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		flag_await(&world.ran[i], 1);
}

static void submit_three(void)
{
	int rc = 1;

	submit_n(3, &rc);
	world_must(rc);
}

static void submit_three_await(void)
{
	submit_three();
	await_n(3);
}

static void submit_pair_await(void)
{
	int rc = 1;

	submit_n(2, &rc);
	world_must(rc);
	await_n(2);
}

/* The statistics: counters and histograms of the type, over all workers. */
static uint64_t recorded(void)
{
	const struct sh_pool *p = the_pool();
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < p->workers; i++) {
		/* mo rlx: must not order anything. */
		const struct sh_stat *st = sh_aptr_load_rlx(&p->worker[i]->stat[sh_id_index(world.type.v)]);

		n += st ? sh_a64_load_rlx(&st->done) : 0; /* mo rlx: as above. */
	}
	return n;
}

/* Looks again when something has changed: with a batch that nobody closes the execution ends, and does not wait. */
static void quiesce(void)
{
	while (shunt_runtime_drain(world.rt, 0, NULL) != 0)
		client_relax();
}

/* The drain says that everything ended: it is done, seen and recorded. */
static void drain_three(void)
{
	submit_three();
	quiesce();
	world_is_done(0);
	world_is_done(1);
	world_is_done(2);
	client_assert(recorded() == 4);
}

/* One look. */
static void drain_look(void)
{
	said = shunt_runtime_drain(world.rt, 0, NULL);
	client_assert(said == 0 || said == SHUNT_ETIMEDOUT);
	if (said == 0)
		generation = 2; /* a job that still runs would race with this */
}

static void submit_refused(void)
{
	int rc = 1;

	submit_n(2, &rc);
	client_assert(rc == 0 || rc == SHUNT_ESTOPPED);
}

static void submit_unregister(void)
{
	int rc = 1;

	submit_n(2, &rc);
	client_assert(rc == 0 || rc == SHUNT_ENOENT);
}

static void unregister_look(void)
{
	said = shunt_type_destroy(world.rt, world.type, 0);
	client_assert(said == 0 || said == SHUNT_ETIMEDOUT);
	if (said == 0)
		generation = 2;
}

static void submit_too_many(void)
{
	int rc = 1;

	submit_n(3, &rc);
	client_assert(rc == 0 || rc == SHUNT_EFULL);
	await_n((uint32_t)accepted);
}

/* Job 1 is to start in two days: it has a record, and the two others are plain. */
static void submit_far(void)
{
	struct shunt_job_spec s[3];

	specs_fill(s, 3);
	s[1].arrival_ns = shunt_now_ns() + UINT64_C(2) * 24 * 3600 * 1000000000;
	accepted = shunt_submit_batch(world.rt, s, 3, NULL, NULL);
	client_assert(accepted == 3);
	await_n(3);
}

/* Job 0, then job 1 of another type or kind, which ends when the first type has nothing pending. */
static void submit_behind(unsigned flags)
{
	struct shunt_job_spec s[2];

	specs_fill(s, 2);
	s[1].type = other;
	s[1].flags = (uint16_t)flags;
	world_must(shunt_submit(world.rt, &s[0], NULL));
	world_must(shunt_submit(world.rt, &s[1], NULL));
	flag_await(&world.ran[0], 1);
	while (shunt_type_destroy(world.rt, world.type, 0) != 0)
		client_relax();
	flag_raise(&world.go[0]);
	flag_await(&world.ran[1], 1);
}

static void submit_behind_type(void)
{
	submit_behind(0);
}

static void submit_behind_kind(void)
{
	submit_behind(SHUNT_JOB_KEYED);
}

static void submit_waits(void)
{
	submit_pair_await();
	flag_await(&world.ran[2], 1);
}

/* --- ends */

/* Nothing is pending any more; natively the worker may still be about to count. */
static void all_quiesced(void)
{
	while (sh_runtime_pending(world.rt, SHUNT_ANY) != 0)
		client_relax();
}

/* What was accepted ran, once; what was refused is counted as such. */
static void quiesced(void)
{
	uint32_t i;

	all_quiesced();
	for (i = 0; i < 3; i++)
		client_assert(world.runs[i] == (i < accepted ? 1u : 0u));
}

/* As many credits as were there. */
static void credits_are(uint32_t n)
{
	quiesced();
	client_assert(sh_a64_load_rlx(&world.rt->credits) == n); /* mo rlx: all has ended. */
}

static void credits_two(void)
{
	credits_are(2);
}

static void credits_all(void)
{
	credits_are(WORLD_CREDITS);
}

#define CLIENT(n, s, set, chk) .name = "plain." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("drain", "jobs of a batch against a drain: what it reports as finished is done, seen and recorded",
		 setup_one, quiesced),
	  .thread = { drain_three }, .bound = 3, .bound_long = 4 },
	{ CLIENT("drain_two", "the same with a second worker that takes jobs out of the first one's batch",
		 setup_two, quiesced),
	  .thread = { drain_three }, .bound = 1, .bound_long = 2 },
	{ CLIENT("refused", "two jobs at once against a drain: both or none, and none is left pending",
		 setup_one, quiesced),
	  .thread = { submit_refused, drain_look }, .bound = 3, .bound_long = 4 },
	{ CLIENT("unregister", "two jobs at once against the end of their type: both or none, and none is left pending",
		 setup_one, quiesced),
	  .thread = { submit_unregister, unregister_look }, .bound = 3, .bound_long = 4 },
	{ CLIENT("few", "three jobs at once, capacity for two: what is not accepted is not counted",
		 setup_few, credits_two),
	  .thread = { submit_too_many }, .bound = 3, .bound_long = 4 },
	{ CLIENT("far", "three jobs at once, one of them far away: each is queued and counted once",
		 setup_one, credits_all),
	  .thread = { submit_far }, .bound = 2, .bound_long = 3 },
	{ CLIENT("park", "two jobs at once against a worker that goes to sleep: both run, and are counted before",
		 setup_one, quiesced),
	  .thread = { submit_pair_await }, .bound = 3, .bound_long = 4 },
	{ CLIENT("park_three", "the same with three",
		 setup_one, quiesced),
	  .thread = { submit_three_await }, .bound = 3, .bound_long = 4 },
	{ CLIENT("steal", "a job of a batch says that it blocks: the rest of its worker's hand is taken by a spare",
		 setup_middle, quiesced),
	  .thread = { submit_three_await }, .bound = 1, .bound_long = 2 },
	{ CLIENT("other_type", "a job of another type behind an open batch, which waits until the batch is counted",
		 setup_other, all_quiesced),
	  .thread = { submit_behind_type }, .bound = 2, .bound_long = 3 },
	{ CLIENT("other_kind", "the same with a keyed job",
		 setup_other, all_quiesced),
	  .thread = { submit_behind_kind }, .bound = 2, .bound_long = 3 },
	{ CLIENT("nested", "a job of a batch waits inside for another one: what ran before is counted",
		 setup_waits, all_quiesced),
	  .thread = { submit_waits }, .bound = 2, .bound_long = 3 },
	{ 0 },
};
