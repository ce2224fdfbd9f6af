/*
 * model/clients/prompt.c - clients of a prompt worker: a push to its ring wakes nobody while the pool has a watcher.
 * Its job takes longer than expected, so somebody else must come for what is behind it. Run by the explorer and
 * natively.
 *
 * What must hold: the worker itself or the watcher takes the word back; whatever the watcher does meanwhile, the job
 * in the ring is found.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"
#include "sched/prompt.h"

#ifdef VIRT_ARENA
#define WATCH_LOOKS 16u
#else
#define WATCH_LOOKS 1000u /* there, the others need time */
#endif

static struct shunt_type_id other;

/* A job of another type: it is not taken together with the one before. */
static void submit_other(uint32_t job)
{
	struct shunt_job_spec s;

	world_spec(&s, job);
	s.type = other;
	world_must(shunt_submit(world.rt, &s, NULL));
}

/*
 * Jobs 0 and 1 as in world_job_after. Job 3 runs on worker 0 until there is a watcher (or none any more, or not yet),
 * then puts both into the ring of its own worker, which is awake and prompt.
 */
static int run(struct shunt_job_ctx *ctx, void *arg)
{
	const struct sh_pool *p = sh_runtime_pool(world.rt, world.pool.v);

	if (arg == world_arg(3)) {
		sh_a32_store_rlx(&ctx->worker->prompt, 1); /* mo rlx: as sh_prompt_begin. */
		flag_raise(&world.go[0]);
		/* mo rlx: only looked at. */
		for (uint32_t i = 0; i < WATCH_LOOKS && sh_a32_load_rlx(&p->watcher) == 0; i++)
			client_relax();
		submit_other(0);
		world_submit(1);
	}
	return world_job_after(ctx, arg);
}

static struct sh_worker *worker_at(uint32_t i)
{
	return sh_runtime_pool(world.rt, world.pool.v)->worker[i];
}

/*
 * All jobs go to worker 0, which is prompt while it is awake. `known`: it takes all of them for short ones, so it keeps
 * its word; else not job 0.
 */
static void setup_with(uint32_t workers, bool known)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, workers);
	o.strategy = SHUNT_SELECT_USER;
	o.select = world_select_home;
	world_open(&o, run, 0);
	other = world_type("u", run, 0);
	worker_at(0)->learned[sh_id_index(world.type.v)].mean = 10;
	if (known)
		worker_at(0)->learned[sh_id_index(other.v)].mean = 10;
	sh_a32_store_sc(&worker_at(0)->prompt, 1);
}

static void setup_known(void)
{
	setup_with(2, true);
}

static void setup_unknown(void)
{
	setup_with(2, false);
}

static void setup_three(void)
{
	setup_with(3, true);
}

static void submit_to_worker_1(uint32_t job)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s;

	opts.worker = 1;
	world_spec(&s, job);
	s.flags = SHUNT_JOB_ON_WORKER;
	s.opts = &opts;
	world_must(shunt_submit(world.rt, &s, NULL));
}

/* Worker 1 runs a job while worker 0 is in job 3, and becomes the watcher behind it. */
static void submit_all(void)
{
	world_submit(3);
	flag_await(&world.go[0], 1);
	submit_to_worker_1(2);
	flag_await(&world.ran[0], 1);
	flag_await(&world.ran[2], 1);
	flag_await(&world.ran[3], 1);
}

/* Wakes the watcher for another job. */
static void submit_for_watcher(void)
{
	flag_await(&world.ran[2], 1);
	submit_to_worker_1(4);
	flag_await(&world.ran[4], 1);
}

/* Both from outside, whether there is a watcher or not. */
static void submit_two(void)
{
	submit_other(0);
	world_submit(1);
	flag_await(&world.ran[0], 1);
}

static void five_ran(void)
{
	world_ran(5);
}

#define CLIENT(n, s, set, chk) .name = "prompt." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("alone", "a push to a worker that nobody watches, or not any more", setup_known, world_two_ran),
	  .thread = { submit_two }, .bound = 1, .bound_long = 2 },
	{ CLIENT("still", "a worker that stands still without a sign: the watcher comes", setup_known, world_four_ran),
	  .thread = { submit_all }, .bound = 1, .bound_long = 2 },
	{ CLIENT("long", "a job not known to be short: its worker takes its word back", setup_unknown, world_four_ran),
	  .thread = { submit_all }, .bound = 1, .bound_long = 2 },
	{ CLIENT("woken", "the watcher is woken for another job meanwhile", setup_known, five_ran),
	  .thread = { submit_all, submit_for_watcher }, .random_only = true },
	{ CLIENT("three", "the same with a third worker, which sleeps or watches", setup_three, five_ran),
	  .thread = { submit_all, submit_for_watcher }, .random_only = true },
	{ 0 },
};
