/*
 * Whom a worker steals from: the workers' own order is the plan's, near first, and the nearest one that has a job is
 * the victim. On a machine that is only described: two packages of two cores of two threads.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "sched/world.h"
#include "sched/world.h"

#define WORKERS 8u

static uint32_t put_at; /* the worker that gets the next job */

static int select_put(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	(void)arg;
	(void)loads;
	(void)key;
	(void)home;
	return (int)put_at;
}

static atomic_uint ran;         /* jobs so far */
static uint32_t place[WORKERS]; /* in the order of the runs: the worker before which the job was put */

static int note(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	place[atomic_load(&ran)] = (uint32_t)(uintptr_t)arg;
	(void)atomic_fetch_add(&ran, 1);
	return SHUNT_DONE;
}

struct stage {
	struct shunt_runtime *rt;
	struct shunt_topo *topo;
	struct sh_pool *pool;
	struct shunt_type_id gate, note;
};

static void stage_open(struct stage *st)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", WORKERS);
	struct shunt_pool_id id;

	st->topo = tu_topo_text("pack:2 core:2 pu:2", NULL);
	ro.topo = st->topo;
	po.pin = SHUNT_PIN_COMPACT;
	po.spares_max = SHUNT_ANY;
	po.idle = SHUNT_IDLE_PARK;
	po.strategy = SHUNT_SELECT_USER;
	po.select = select_put;
	st->rt = tu_runtime_with(&ro);
	id = tu_pool_with(st->rt, &po);
	st->pool = sh_runtime_pool(st->rt, id.v);
	st->gate = tu_type(st->rt, id, "gate", tu_gate_job);
	st->note = tu_type(st->rt, id, "note", note);
}

static void stage_close(struct stage *st)
{
	tu_close(st->rt);
	shunt_topo_close(st->topo);
}

/* By hand: the other thread of the core, the rest of the package in turn, the other package in turn. */
static void test_order(void **state)
{
	static const uint32_t want[WORKERS][WORKERS - 1] = {
		{ 1, 2, 3, 4, 5, 6, 7 },
		{ 0, 2, 3, 4, 5, 6, 7 },
		{ 3, 0, 1, 4, 5, 6, 7 },
		{ 2, 0, 1, 4, 5, 6, 7 },
		{ 5, 6, 7, 0, 1, 2, 3 },
		{ 4, 6, 7, 0, 1, 2, 3 },
		{ 7, 4, 5, 0, 1, 2, 3 },
		{ 6, 4, 5, 0, 1, 2, 3 },
	};
	struct stage st;
	uint32_t w, i;

	(void)state;
	stage_open(&st);
	for (w = 0; w < WORKERS; w++) {
		assert_int_equal(st.pool->worker[w]->steal_n, WORKERS - 1);
		for (i = 0; i < WORKERS - 1; i++)
			assert_int_equal(st.pool->worker[w]->steal_order[i], want[w][i]);
	}
	stage_close(&st);
}

/* All workers are held, a job is put before each other one, and one worker is let go: it runs them near first. */
static void check_thief(uint32_t thief)
{
	struct tu_gate held[WORKERS];
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s;
	struct stage st;
	uint32_t w;

	memset(held, 0, sizeof(held));
	atomic_store(&ran, 0);
	stage_open(&st);
	for (w = 0; w < WORKERS; w++) {
		s = tu_spec(st.gate, &held[w]);
		s.flags = SHUNT_JOB_ON_WORKER;
		o.worker = w;
		s.opts = &o;
		assert_int_equal(shunt_submit(st.rt, &s, NULL), 0);
		tu_wait_until(atomic_load(&held[w].arrived) == 1);
	}
	for (w = 0; w < WORKERS; w++) {
		if (w == thief)
			continue;
		put_at = w;
		s = tu_spec(st.note, (void *)(uintptr_t)w);
		assert_int_equal(shunt_submit(st.rt, &s, NULL), 0);
	}
	atomic_store(&held[thief].open, 1);
	tu_wait_until(atomic_load(&ran) == WORKERS - 1);
	for (w = 0; w < WORKERS - 1; w++)
		assert_int_equal(place[w], st.pool->worker[thief]->steal_order[w]);
	for (w = 0; w < WORKERS; w++)
		atomic_store(&held[w].open, 1);
	stage_close(&st);
}

static void test_near_first(void **state)
{
	uint32_t w;

	(void)state;
	for (w = 0; w < WORKERS; w++)
		check_thief(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_near_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
