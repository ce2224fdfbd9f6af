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

	world_must(shunt_snapshot_take(world.rt, &s));
	client_assert(s->n_pools == 1 && s->n_workers == 1 && s->n_series <= 1);
	client_assert(s->pools[0].finished <= s->pools[0].submitted && s->pools[0].submitted <= 1);
	if (s->n_series == 1)
		client_assert(s->series[0].done <= 1 && s->series[0].failed == 0 && s->series[0].cancelled == 0);
	shunt_snapshot_free(s);
}

/* What is pending: never less than nothing, never settled before the job is. */
static void look(void)
{
	uint64_t n;

	(void)pthread_mutex_lock(&world.rt->control);
	n = sh_runtime_pending(world.rt, SHUNT_ANY);
	(void)pthread_mutex_unlock(&world.rt->control);
	client_assert(n <= 1);
}

const struct client clients[] = {
	{ .name = "snapshot.cell", .shows = "two threads make one cell of counters: one stays, both count in it", .setup = setup_cell, .thread = { count, count, read_cell }, .check = check_cell, .teardown = teardown_cell },
	{ .name = "snapshot.pending", .shows = "pending jobs counted while one comes and goes: none or one", .setup = setup_take, .thread = { submit_one, look }, .teardown = world_close, .bound = 2, .bound_long = 2 },
	{ .name = "snapshot.take", .shows = "a snapshot while a job comes and goes: no more than there is", .setup = setup_take, .thread = { submit_one, take }, .teardown = world_close, .steps_max = 200000, .random_only = true },
	{ 0 },
};
