/*
 * Failing resources: the n-th use of each failure point fails, for every n, while a runtime, a pool and a type are made
 * and jobs are submitted. The call says why, nothing leaks (run under AddressSanitizer), nothing hangs, and the same call
 * succeeds afterwards.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "base/inject.h"
#include "sched/world.h"

#define TRIES_MAX 400u

struct plan {
	const char *point;
	atomic_uint left; /* hits before the one that fails */
	atomic_uint fired;
	bool sticky;      /* all later ones fail too */
};

static int plan_hook(void *arg, const char *point)
{
	struct plan *p = arg;

	if (strcmp(point, p->point) != 0)
		return 0;
	if (atomic_load(&p->left) > 0) {
		(void)atomic_fetch_sub(&p->left, 1);
		return 0;
	}
	if (atomic_fetch_add(&p->fired, 1) > 0 && !p->sticky)
		return 0;
	return 1;
}

static int life(struct shunt_pool_opts *po, int *stage)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct shunt_runtime *rt = NULL;
	struct shunt_snapshot *snap = NULL;
	struct shunt_type_id type;
	atomic_uint n = 0;
	uint32_t i;
	int rc;

	ro.jobs_max = 128;
	ro.submitters_max = 2;
	ro.groups_max = 4;
	*stage = 0;
	rc = shunt_runtime_create(&rt, &ro);
	if (rc != 0) {
		assert_null(rt);
		return rc;
	}
	*stage = 1;
	rc = shunt_pool_create(rt, po, &to.pool);
	if (rc != 0) {
		struct shunt_pool_id found;

		assert_int_equal(to.pool.v, 0);
		assert_int_equal(shunt_pool_find(rt, po->name, &found), SHUNT_ENOENT);
		goto out;
	}
	*stage = 2;
	to.name = "count";
	to.handler = tu_count_job;
	rc = shunt_type_create(rt, &to, &type);
	if (rc != 0) {
		assert_int_equal(type.v, 0);
		goto out;
	}
	*stage = 3;
	for (i = 0; i < 20; i++) { /* with or without a slot of its own, with or without counters: it runs */
		struct shunt_job_spec s = tu_spec(type, &n);
		struct shunt_job_id id;

		s.level = (uint8_t)(i % 4);
		assert_int_equal(shunt_submit(rt, &s, &id), 0);
		assert_int_equal(shunt_wait(rt, id, TU_LONG_NS, NULL), 0);
	}
	assert_int_equal(atomic_load(&n), 20);
	*stage = 4;
	rc = shunt_snapshot_create(rt, &snap);
	if (rc == 0)
		shunt_snapshot_destroy(snap);
out:
	tu_destroy(rt, 0);
	return rc;
}

/* Every n until the point is not reached any more; `wanted` are the errors that may come out, 0 included. */
static void every_n(const char *point, struct shunt_pool_opts *po, const int *wanted, bool must_fail)
{
	uint32_t failed = 0;
	uint32_t n;

	for (n = 0; n < TRIES_MAX; n++) {
		struct plan p = { point, n, 0, false };
		int stage = 0;
		uint32_t i;
		int rc;

		sh_inject_set(plan_hook, &p);
		rc = life(po, &stage);
		sh_inject_set(NULL, NULL);
		for (i = 0; wanted[i] != 0 && wanted[i] != rc; i++)
			;
		if (wanted[i] != rc)
			fail_msg("%s, use %u: stage %d ended with %s", point, n, stage, shunt_error_name(rc));
		failed += rc != 0;
		if (atomic_load(&p.fired) == 0)
			break;
	}
	assert_true(n > 0 && n < TRIES_MAX); /* the point was hit, and every use of it was tried */
	assert_true(!must_fail || failed > 0);
	{
		int stage = 0;

		assert_int_equal(life(po, &stage), 0);
	}
}

static void test_memory(void **state)
{
	static const int wanted[] = { SHUNT_ENOMEM, 0 };
	struct shunt_pool_opts po = tu_pool_opts("main", 2);

	(void)state;
	every_n("mem.init", &po, wanted, true);
	every_n("mem.alloc", &po, wanted, true);
	every_n("mem.map", &po, wanted, true);
	every_n("registry_alloc", &po, wanted, true);
	every_n("topo.alloc", &po, wanted, true);
	every_n("plan.alloc", &po, wanted, true);
	every_n("hist_alloc", &po, wanted, true);
}

static void test_threads(void **state)
{
	static const int wanted[] = { SHUNT_ESYS, 0 };
	struct shunt_pool_opts po = tu_pool_opts("main", 3);

	(void)state;
	every_n("pool.thread", &po, wanted, true);
}

static void test_submitters(void **state)
{
	static const int wanted[] = { SHUNT_ELIMIT, 0 }; /* of a worker: no pool; of a user: the shared path */
	struct shunt_pool_opts po = tu_pool_opts("main", 2);

	(void)state;
	every_n("submitter.claim", &po, wanted, false);
}

static void test_pins(void **state)
{
	static const int soft[] = { 0 };
	static const int hard[] = { SHUNT_EPERM, 0 };
	struct shunt_pool_opts po = tu_pool_opts("main", 1);

	(void)state;
	po.pin = SHUNT_PIN_COMPACT;
	every_n("topo.pin", &po, soft, false);
	po.pin_required = 1;
	every_n("topo.pin", &po, hard, true);
}

/* No user thread ever gets a slot of its own: the shared path does everything. */
static void test_shared_path(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_id pool = tu_pool(rt, "main", 2);
	struct shunt_type_id count = tu_type(rt, pool, "count", tu_count_job);
	struct plan p = { "submitter.claim", 0, 0, true };
	atomic_uint n = 0;
	uint32_t i;

	(void)state;
	sh_inject_set(plan_hook, &p);
	for (i = 0; i < 500; i++) {
		struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
		struct shunt_job_spec s = tu_spec(count, &n);
		struct shunt_job_id id;

		s.flags = i % 4 == 1 ? SHUNT_JOB_KEYED : i % 4 == 2 ? SHUNT_JOB_ON_WORKER : 0;
		o.worker = i % 2;
		s.opts = s.flags & SHUNT_JOB_ON_WORKER ? &o : NULL;
		s.key = i;
		assert_int_equal(shunt_submit(rt, &s, i % 3 ? &id : NULL), 0);
		if (i % 3)
			assert_int_equal(shunt_wait(rt, id, TU_LONG_NS, NULL), 0);
	}
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	sh_inject_set(NULL, NULL);
	assert_true(atomic_load(&p.fired) > 0);
	assert_int_equal(atomic_load(&n), 500);
	tu_destroy(rt, 0);
}

/* A spare that cannot be started: the waiter gets an error, nothing hangs, and the next one can be. */
static int keyed_wait(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_type_id *count = arg;
	atomic_uint n = 0;
	struct shunt_job_spec s = tu_spec(*count, &n);
	struct shunt_job_id id;
	int rc;

	s.flags = SHUNT_JOB_KEYED; /* so that the waiter cannot run it itself */
	s.key = 5;
	if (shunt_submit(shunt_job_runtime(ctx), &s, &id) != 0)
		return -1;
	rc = shunt_wait(shunt_job_runtime(ctx), id, TU_LONG_NS, NULL);
	if (rc != 0 && shunt_cancel(shunt_job_runtime(ctx), id) == 0)
		(void)shunt_detach(shunt_job_runtime(ctx), id);
	return rc;
}

/* Workers that wait inside a job; UINT32_MAX without such a pool. */
static uint32_t blocked_in(struct shunt_runtime *rt, struct shunt_pool_id id)
{
	struct sh_pool *pool = sh_runtime_pool(rt, id.v);

	return pool != NULL ? sh_a32_load_acq(&pool->blocked) : UINT32_MAX;
}

static void test_spare_thread(void **state)
{
	static const char *const points[] = { "pool.thread", "mem.alloc", "mem.map" };
	uint32_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct shunt_runtime *rt = tu_runtime();
		struct shunt_pool_id pool = tu_pool(rt, "main", 1);
		struct shunt_type_id count = tu_type(rt, pool, "count", tu_count_job);
		struct shunt_type_id wait = tu_type(rt, pool, "wait", keyed_wait);
		struct plan p = { points[i], 0, 0, true };
		struct shunt_result r;

		tu_join(rt, tu_submit(rt, wait, &count), SHUNT_JOB_DONE);
		tu_wait_until(blocked_in(rt, pool) == 0);
		tu_destroy(rt, 0);
		rt = tu_runtime();
		pool = tu_pool(rt, "main", 1);
		count = tu_type(rt, pool, "count", tu_count_job);
		wait = tu_type(rt, pool, "wait", keyed_wait);
		sh_inject_set(plan_hook, &p);
		assert_int_equal(shunt_wait(rt, tu_submit(rt, wait, &count), TU_LONG_NS, &r), 0);
		sh_inject_set(NULL, NULL);
		assert_int_equal(r.code, SHUNT_EDEADLK);
		assert_int_equal(blocked_in(rt, pool), 0);
		tu_join(rt, tu_submit(rt, wait, &count), SHUNT_JOB_DONE);
		tu_destroy(rt, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_submitters),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_shared_path),
		cmocka_unit_test(test_spare_thread),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
