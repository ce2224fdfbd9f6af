/*
 * A pool of as many workers as one may have: each of them runs what is for it alone, what is put before one of them is
 * found by the others, strategies choose among all of them, a spare comes beside them, and a drain ends.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <stdlib.h>

#include <shunt/error.h>
#include <shunt/snapshot.h>

#define STACK_BYTES (128u << 10)

/* More than any bit set of one word, and than the 256 that a pool once had; each is a thread. */
static uint32_t workers(void)
{
	return TU_TSAN || TU_ASAN || getenv("TEST_EMULATED") ? 300 : SHUNT_WORKERS_MAX;
}

struct stage {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id note, gate, waits;
};

static atomic_uint ran_on[SHUNT_WORKERS_MAX + 64];
static atomic_uint ran;

static int note(struct shunt_job_ctx *ctx, void *arg)
{
	(void)arg;
	(void)atomic_fetch_add(&ran_on[shunt_job_worker(ctx)], 1);
	(void)atomic_fetch_add(&ran, 1);
	return SHUNT_DONE;
}

static struct shunt_type_id note_type;
static atomic_int wait_said;

static int waits(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_job_spec s = tu_spec(note_type, NULL);
	struct shunt_job_id id;

	(void)arg;
	s.flags = SHUNT_JOB_KEYED; /* the waiter may not run it itself */
	assert_int_equal(shunt_submit(shunt_job_runtime(ctx), &s, &id), 0);
	atomic_store(&wait_said, shunt_wait(shunt_job_runtime(ctx), id, SHUNT_FOREVER, NULL));
	return SHUNT_DONE;
}

static int select_last(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	(void)arg;
	(void)key;
	(void)home;
	return (int)loads->n - 1;
}

static bool stage_open(struct stage *st, enum shunt_strategy strategy)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("many", workers());

	po.pin = SHUNT_PIN_NONE;
	po.idle = SHUNT_IDLE_PARK;
	po.spares_max = 2;
	po.stack_bytes = STACK_BYTES;
	po.strategy = strategy;
	po.select = strategy == SHUNT_SELECT_USER ? select_last : NULL;
	st->rt = tu_runtime_with(&ro);
	if (shunt_pool_create(st->rt, &po, &st->pool) != 0) {
		(void)printf("skipped: %s\n", shunt_error_detail());
		tu_close(st->rt);
		return false;
	}
	st->note = note_type = tu_type(st->rt, st->pool, "note", note);
	st->gate = tu_type(st->rt, st->pool, "gate", tu_gate_job);
	st->waits = tu_type(st->rt, st->pool, "waits", waits);
	memset(ran_on, 0, sizeof(ran_on));
	atomic_store(&ran, 0);
	return true;
}

static struct shunt_job_spec on_worker(struct shunt_type_id type, void *arg, struct shunt_job_opts *o, uint32_t worker)
{
	struct shunt_job_spec s = tu_spec(type, arg);

	*o = (struct shunt_job_opts)SHUNT_JOB_OPTS_INIT;
	o->worker = worker;
	s.flags = SHUNT_JOB_ON_WORKER;
	s.opts = o;
	return s;
}

static void test_each_runs_its_own(void **state)
{
	struct shunt_snapshot *snap = NULL;
	struct shunt_job_opts o;
	struct shunt_job_spec s;
	struct stage st;
	uint32_t parks = 0;

	(void)state;
	if (!stage_open(&st, SHUNT_SELECT_DEFAULT))
		skip();
	for (uint32_t i = 0; i < workers(); i++) {
		s = on_worker(st.note, NULL, &o, i);
		assert_int_equal(shunt_submit(st.rt, &s, NULL), 0);
	}
	tu_wait_until(atomic_load(&ran) == workers());
	for (uint32_t i = 0; i < workers(); i++)
		assert_int_equal(atomic_load(&ran_on[i]), 1);
	s = on_worker(st.note, NULL, &o, workers());
	assert_int_equal(shunt_submit(st.rt, &s, NULL), SHUNT_ENOENT);
	assert_int_equal(shunt_snapshot_create(st.rt, &snap), 0);
	assert_int_equal(shunt_snapshot_worker_count(snap), workers());
	for (uint32_t i = 0; i < workers(); i++)
		parks += shunt_snapshot_worker_at(snap, i)->parks != 0;
	assert_true(parks > 0);
	shunt_snapshot_destroy(snap);
	tu_close(st.rt);
}

/* Many jobs that come together: all run, none twice. */
static void test_strategies(void **state)
{
	static const enum shunt_strategy all[] = { SHUNT_SELECT_DEFAULT, SHUNT_SELECT_LOCALITY, SHUNT_SELECT_USER };
	const uint32_t jobs = 4 * SHUNT_WORKERS_MAX;

	(void)state;
	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
		struct stage st;
		uint32_t sum = 0;

		if (!stage_open(&st, all[k]))
			skip();
		for (uint32_t i = 0; i < jobs; i++) {
			struct shunt_job_spec s = tu_spec(st.note, NULL);

			assert_int_equal(shunt_submit(st.rt, &s, NULL), 0);
		}
		tu_wait_until(atomic_load(&ran) == jobs);
		for (uint32_t i = 0; i < workers(); i++)
			sum += atomic_load(&ran_on[i]);
		assert_int_equal(sum, jobs);
		tu_close(st.rt);
	}
}

/* A job is put behind one that does not end, at the last worker: another one, far away, takes it from there. */
static void test_stolen_from_the_last(void **state)
{
	static struct tu_gate g;
	struct shunt_job_opts o;
	struct shunt_job_spec s;
	struct stage st;

	(void)state;
	memset(&g, 0, sizeof(g));
	if (!stage_open(&st, SHUNT_SELECT_USER))
		skip();
	s = on_worker(st.gate, &g, &o, workers() - 1);
	assert_int_equal(shunt_submit(st.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&g.arrived) == 1);
	s = tu_spec(st.note, NULL);
	assert_int_equal(shunt_submit(st.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&ran) == 1);
	assert_int_equal(atomic_load(&ran_on[workers() - 1]), 0);
	atomic_store(&g.open, 1);
	tu_close(st.rt);
}

/* The last worker waits, while all others stand: the spare beside it runs what it waits for. */
static void test_spare_beside(void **state)
{
	static struct tu_gate g;
	struct shunt_job_opts o;
	struct shunt_job_spec s;
	struct stage st;

	(void)state;
	memset(&g, 0, sizeof(g));
	atomic_store(&wait_said, 1);
	if (!stage_open(&st, SHUNT_SELECT_DEFAULT))
		skip();
	for (uint32_t i = 0; i < workers() - 1; i++) {
		s = on_worker(st.gate, &g, &o, i);
		assert_int_equal(shunt_submit(st.rt, &s, NULL), 0);
	}
	tu_wait_until(atomic_load(&g.arrived) == workers() - 1);
	s = on_worker(st.waits, NULL, &o, workers() - 1);
	assert_int_equal(shunt_submit(st.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&wait_said) == 0);
	assert_int_equal(atomic_load(&ran_on[workers()]), 1); /* the first spare */
	atomic_store(&g.open, 1);
	tu_close(st.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_runs_its_own),
		cmocka_unit_test(test_strategies),
		cmocka_unit_test(test_stolen_from_the_last),
		cmocka_unit_test(test_spare_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
