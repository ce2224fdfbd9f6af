/*
 * Jobs for a stated worker or NUMA node: they run there, never elsewhere (worker), and a full private queue is an
 * ordinary result.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>
#include <shunt/snapshot.h>

#include <unistd.h>

#include "sched/world.h"

static void open_with(struct tu_fixture *f, uint32_t workers)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", workers);

	tu_fixture_open(f, &ro, &po);
}

struct where {
	atomic_uint ran[8];
};

static int where_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct where *w = arg;
	uint32_t at = shunt_job_worker(ctx);

	(void)atomic_fetch_add(&w->ran[at < 8 ? at : 7], 1);
	return SHUNT_DONE;
}

static void test_on_worker(void **state)
{
	struct where where;
	struct tu_fixture f;
	struct shunt_type_id type;
	struct tu_gate g = { 0, 0 };
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s;
	uint32_t w, i;

	(void)state;
	open_with(&f, 3);
	type = tu_type(f.rt, f.pool, "where", where_job);
	for (w = 0; w < 3; w++) {
		memset(&where, 0, sizeof(where));
		for (i = 0; i < 500; i++) {
			s = tu_spec(type, &where);
			s.flags = SHUNT_JOB_ON_WORKER;
			o.worker = w;
			s.opts = &o;
			s.level = (uint8_t)(i % 5);
			s.on_full = SHUNT_ON_FULL_BLOCK;
			assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
		}
		tu_wait_until(atomic_load(&where.ran[w]) == 500);
		for (i = 0; i < 8; i++)
			assert_int_equal(atomic_load(&where.ran[i]), i == w ? 500 : 0);
	}
	/* Its worker is busy and the others are idle: nobody steals it. */
	memset(&where, 0, sizeof(where));
	s = tu_spec(f.gate, &g);
	s.flags = SHUNT_JOB_ON_WORKER;
	o.worker = 1;
	s.opts = &o;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&g.arrived) == 1);
	for (i = 0; i < 20; i++) {
		s = tu_spec(type, &where);
		s.flags = SHUNT_JOB_ON_WORKER;
		s.opts = &o;
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	}
	for (i = 0; i < 200; i++) {
		s = tu_spec(type, &where);
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	}
	tu_wait_until(atomic_load(&where.ran[0]) + atomic_load(&where.ran[2]) == 200);
	assert_int_equal(atomic_load(&where.ran[1]), 0);
	atomic_store(&g.open, 1);
	tu_wait_until(atomic_load(&where.ran[1]) == 20);
	tu_close(f.rt);
}

/* The queue of one worker is bounded: full is full, and capacity comes back. */
static void test_on_worker_full(void **state)
{
	struct tu_gate g = { 0, 0 };
	atomic_uint n = 0;
	struct tu_fixture f;
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s;
	uint32_t took = 0;
	int rc;

	(void)state;
	open_with(&f, 1);
	(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
	s = tu_spec(f.count, &n);
	s.flags = SHUNT_JOB_ON_WORKER;
	s.opts = &o; /* worker 0 */
	while ((rc = shunt_submit(f.rt, &s, NULL)) == 0)
		assert_true(++took < 8192);
	assert_int_equal(rc, SHUNT_EFULL);
	assert_true(took > 0);
	s.on_full = SHUNT_ON_FULL_INLINE; /* not for a job with a worker */
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EFULL);
	s.on_full = SHUNT_ON_FULL_BLOCK;
	o.full_timeout_ns = 1000000;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_ETIMEDOUT);
	atomic_store(&g.open, 1);
	o.full_timeout_ns = 0;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&n) == took + 1);
	tu_close(f.rt);
}

static void test_on_node(void **state)
{
	struct shunt_snapshot *snap = NULL;
	struct where where;
	struct tu_fixture f;
	struct shunt_type_id type;
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s;
	uint32_t i;
	uint32_t node = SHUNT_ANY;

	(void)state;
	memset(&where, 0, sizeof(where));
	memset(&f, 0, sizeof(f));
	f.rt = tu_runtime();
	{
		struct shunt_pool_opts po = tu_pool_opts("main", 1);

		po.pin = SHUNT_PIN_COMPACT; /* only a pinned worker has a node */
		f.pool = tu_pool_with(f.rt, &po);
	}
	type = tu_type(f.rt, f.pool, "where", where_job);
	assert_int_equal(shunt_snapshot_create(f.rt, &snap), 0);
	for (i = 0; i < shunt_snapshot_worker_count(snap); i++)
		if (shunt_snapshot_worker_at(snap, i)->node >= 0)
			node = (uint32_t)shunt_snapshot_worker_at(snap, i)->node;
	shunt_snapshot_destroy(snap);
	s = tu_spec(type, &where);
	s.flags = SHUNT_JOB_ON_NODE;
	o.node = node == SHUNT_ANY ? 0 : node;
	s.opts = &o;
	for (i = 0; i < 100; i++)
		assert_int_equal(shunt_submit(f.rt, &s, NULL), node == SHUNT_ANY ? SHUNT_ENOENT : 0);
	o.node = 63;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_ENOENT);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&where.ran[0]), node == SHUNT_ANY ? 0 : 100);
	tu_close(f.rt);
}

static int nap_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)usleep(2000);
	return tu_count_job(ctx, arg);
}

/* Both workers of a node are busy: a burst of its jobs is queued to both, before either has published anything. */
static void test_on_node_spread(void **state)
{
	struct tu_gate g = { 0, 0 };
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_snapshot *snap = NULL;
	struct shunt_pool_opts po = tu_pool_opts("main", 2);
	struct tu_fixture f;
	struct shunt_job_spec s;
	atomic_uint n = 0;
	uint32_t i, same = 1;

	(void)state;
	memset(&f, 0, sizeof(f));
	f.rt = tu_runtime();
	po.pin = SHUNT_PIN_COMPACT;
	f.pool = tu_pool_with(f.rt, &po);
	f.gate = tu_type(f.rt, f.pool, "gate", tu_gate_job);
	f.count = tu_type(f.rt, f.pool, "count", nap_job);
	for (i = 0; i < 8; i++) { /* its time is learned: what is queued counts for longer than the burst lasts */
		s = tu_spec(f.count, &n);
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	}
	tu_wait_until(atomic_load(&n) == 8);
	for (i = 0; i < 2; i++) {
		s = tu_spec(f.gate, &g);
		s.flags = SHUNT_JOB_ON_WORKER;
		o.worker = i;
		s.opts = &o;
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	}
	tu_wait_until(atomic_load(&g.arrived) == 2);
	assert_int_equal(shunt_snapshot_create(f.rt, &snap), 0);
	assert_int_equal(shunt_snapshot_worker_count(snap), 2);
	same = shunt_snapshot_worker_at(snap, 0)->node == shunt_snapshot_worker_at(snap, 1)->node;
	o.node = (uint32_t)shunt_snapshot_worker_at(snap, 0)->node;
	shunt_snapshot_destroy(snap);
	if (!same || o.node == SHUNT_ANY) {
		atomic_store(&g.open, 1);
		tu_close(f.rt);
		skip();
	}
	s = tu_spec(f.count, &n);
	s.flags = SHUNT_JOB_ON_NODE;
	o.worker = 0;
	s.opts = &o;
	for (i = 0; i < 20; i++)
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	assert_int_equal(shunt_snapshot_create(f.rt, &snap), 0);
	for (i = 0; i < 2; i++)
		/* about half of 20, and the one that runs */
		assert_true(shunt_snapshot_worker_at(snap, i)->in_flight >= 8);
	shunt_snapshot_destroy(snap);
	atomic_store(&g.open, 1);
	tu_wait_until(atomic_load(&n) == 28);
	tu_close(f.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_on_worker),
		cmocka_unit_test(test_on_worker_full),
		cmocka_unit_test(test_on_node),
		cmocka_unit_test(test_on_node_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
