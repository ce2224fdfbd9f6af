/*
 * model/clients/snapshot.c - clients of counting: cells of counters that several threads make at once, and a snapshot
 * against a job that ends. Run by the explorer and natively.
 *
 * What must hold: one cell, complete when it is seen, nothing counted into a lost one; no snapshot says more than there is.
 *
 * SPDX-License-Identifier: MIT
 */
#include <shunt/snapshot.h>

#include "clients/world.h"
#include "life/drain.h"

static struct sh_mem mem;
static sh_aptr *cells; /* one */
#define cell (*cells)

static void setup_cell(void)
{
	memset(&mem, 0, sizeof(mem));
	cells = sh_mem_map(&mem, sizeof(*cells));
	client_assert(cells != NULL);
	sh_aptr_init(&cell, NULL);
}

static void teardown_cell(void)
{
	sh_stat_free(&mem, cells, 1);
	sh_mem_fini(&mem);
}

static void count(void)
{
	struct sh_stat *st = sh_stat_get(&mem, &cell);

	client_assert(st && st->queue && st->run && st->total);
	(void)sh_a64_add_rlx(&st->done, 1); /* mo rlx: as the runtime counts. */
}

static void read_cell(void)
{
	const struct sh_stat *st = sh_aptr_load_acq(&cell);

	if (st)
		client_assert(st->queue && st->run && st->total && sh_a64_load_rlx(&st->done) <= 2);
}

static void check_cell(void)
{
	const struct sh_stat *st = sh_aptr_load_rlx(&cell);

	client_assert(sh_a64_load_rlx(&st->done) == 2);
}

static void setup_take(void)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, 1);
	world_open(&o, world_job, 0);
}

static void submit_one(void)
{
	world_submit(0);
	flag_await(&world.ran[0], 1);
}

static void take(void)
{
	struct shunt_snapshot *s = NULL;
	const struct shunt_pool_info *p;
	const struct shunt_series *x;

	world_must(shunt_snapshot_create(world.rt, &s));
	client_assert(shunt_snapshot_pool_count(s) == 1 && shunt_snapshot_worker_count(s) == 1);
	client_assert(shunt_snapshot_series_count(s) <= 1);
	p = shunt_snapshot_pool_at(s, 0);
	x = shunt_snapshot_series_at(s, 0);
	client_assert(p->finished <= p->submitted && p->submitted <= 1);
	if (x)
		client_assert(x->done <= 1 && x->failed == 0 && x->cancelled == 0);
	shunt_snapshot_destroy(s);
}

/* What is pending: never less than nothing, never zero before the job has ended. */
static void look(void)
{
	uint64_t n;

	(void)pthread_mutex_lock(&world.rt->control);
	n = sh_runtime_pending(world.rt, SHUNT_ANY);
	(void)pthread_mutex_unlock(&world.rt->control);
	client_assert(n <= 1);
}

/* An attempt that is taken back: counted, refused. */
static void submit_refused(void)
{
	struct shunt_job_spec s = { .type = world.type, .flags = SHUNT_JOB_ON_WORKER };

	client_assert(shunt_submit(world.rt, &s, NULL) == SHUNT_EINVAL);
}

/* What is submitted is never more than what was accepted: here, nothing. */
static void look_submitted(void)
{
	(void)pthread_mutex_lock(&world.rt->control);
	client_assert(sh_pool_submitted(world.rt, sh_runtime_pool(world.rt, world.pool.v), 0) == 0);
	(void)pthread_mutex_unlock(&world.rt->control);
}

const struct client clients[] = {
	{ .name = "snapshot.cell", .shows = "two threads make one cell of counters: one stays, both count in it", .setup = setup_cell, .thread = { count, count, read_cell }, .check = check_cell, .teardown = teardown_cell },
	{ .name = "snapshot.pending", .shows = "pending jobs counted while one comes and goes: none or one", .setup = setup_take, .thread = { submit_one, look }, .teardown = world_close, .bound = 2, .bound_long = 2 },
	{ .name = "snapshot.refused",
	  .shows = "submitted jobs counted while an attempt is taken back: none",
	  .setup = setup_take,
	  .thread = { submit_refused, look_submitted },
	  .teardown = world_close,
	  .bound = 2,
	  .bound_long = 3 },
	{ .name = "snapshot.take", .shows = "a snapshot while a job comes and goes: no more than there is", .setup = setup_take, .thread = { submit_one, take }, .teardown = world_close, .steps_max = 200000, .random_only = true },
	{ 0 },
};
