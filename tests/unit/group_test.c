/*
 * Groups: counting, waiting from outside and from jobs, cancelling, stale handles, limits.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "sched/world.h"

static void open_with(struct tu_fixture *f, uint32_t workers, uint32_t groups_max)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", workers);

	ro.groups_max = groups_max;
	tu_fixture_open(f, &ro, &po);
}

static void put(struct tu_fixture *f, struct shunt_type_id type, void *arg, struct shunt_group_id g, struct shunt_job_id *id)
{
	struct shunt_job_spec s = tu_spec(type, arg);

	s.group = g;
	assert_int_equal(shunt_submit(f->rt, &s, id), 0);
}

static void test_count(void **state)
{
	struct tu_gate gate = { 0, 0 };
	struct shunt_group_id g;
	atomic_uint n = 0;
	struct tu_fixture f;
	uint32_t i;

	(void)state;
	open_with(&f, 1, 0);
	assert_int_equal(shunt_group_create(f.rt, &g), 0);
	assert_int_equal(shunt_group_pending(f.rt, g), 0);
	assert_int_equal(shunt_group_wait(f.rt, g, 0), 0);
	put(&f, f.gate, &gate, g, NULL);
	tu_wait_until(atomic_load(&gate.arrived) == 1);
	for (i = 0; i < 50; i++)
		put(&f, f.count, &n, g, NULL);
	assert_int_equal(shunt_group_pending(f.rt, g), 51);
	assert_int_equal(shunt_group_wait(f.rt, g, 0), SHUNT_ETIMEDOUT);
	assert_int_equal(shunt_group_wait(f.rt, g, 100000), SHUNT_ETIMEDOUT);
	assert_int_equal(shunt_group_destroy(f.rt, g), SHUNT_EBUSY);
	atomic_store(&gate.open, 1);
	assert_int_equal(shunt_group_wait(f.rt, g, TU_LONG_NS), 0);
	assert_int_equal(atomic_load(&n), 50);
	assert_int_equal(shunt_group_destroy(f.rt, g), 0);
	assert_int_equal(shunt_group_destroy(f.rt, g), SHUNT_ESTALE);
	assert_int_equal(shunt_group_pending(f.rt, g), SHUNT_ESTALE);
	assert_int_equal(shunt_group_wait(f.rt, g, SHUNT_FOREVER), SHUNT_ESTALE);
	assert_int_equal(shunt_group_cancel(f.rt, g), SHUNT_ESTALE);
	tu_close(f.rt);
}

static void test_limits(void **state)
{
	struct shunt_group_id g[5];
	struct shunt_group_id odd = { 0 };
	struct tu_fixture f;
	uint32_t round, i;

	(void)state;
	open_with(&f, 1, 5);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 5; i++)
			assert_int_equal(shunt_group_create(f.rt, &g[i]), 0);
		assert_int_equal(shunt_group_create(f.rt, &odd), SHUNT_EFULL);
		for (i = 0; i < 5; i++)
			assert_int_equal(shunt_group_destroy(f.rt, g[i]), 0);
	}
	for (i = 0; i < 5; i++) {
		struct shunt_job_spec s = tu_spec(f.count, NULL);

		s.group = g[i];
		assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_ENOENT);
		assert_int_equal(shunt_group_pending(f.rt, g[i]), SHUNT_ESTALE);
	}
	odd.v = 0;
	assert_int_equal(shunt_group_pending(f.rt, odd), SHUNT_ESTALE);
	odd.v = UINT64_MAX;
	assert_int_equal(shunt_group_wait(f.rt, odd, 0), SHUNT_ESTALE);
	odd.v = UINT64_C(1) << SH_GROUP_INDEX_BITS | 6;
	assert_int_equal(shunt_group_destroy(f.rt, odd), SHUNT_ESTALE);
	assert_int_equal(shunt_group_create(NULL, &odd), SHUNT_EINVAL);
	assert_int_equal(shunt_group_create(f.rt, NULL), SHUNT_EINVAL);
	tu_close(f.rt);
}

/* The last generation of an entry: the group works, and then the entry is not used again. */
static void test_last_generation(void **state)
{
	struct shunt_group_id g, next;
	struct sh_group *entry;
	struct tu_fixture f;
	atomic_uint n = 0;
	uint64_t last;

	(void)state;
	open_with(&f, 1, 1);
	assert_int_equal(shunt_group_create(f.rt, &g), 0);
	entry = sh_slab_at(&f.rt->groups, sh_group_index(g));
	assert_int_equal(shunt_group_destroy(f.rt, g), 0);
	last = SH_GROUP_GENERATIONS - 1;
	sh_a64_store_rlx(&entry->state, (last - 1) << SH_GROUP_GEN_SHIFT);
	assert_int_equal(shunt_group_create(f.rt, &g), 0);
	assert_true(g.v >> SH_GROUP_INDEX_BITS == last);
	put(&f, f.count, &n, g, NULL);
	assert_int_equal(shunt_group_wait(f.rt, g, TU_LONG_NS), 0);
	assert_int_equal(atomic_load(&n), 1);
	assert_int_equal(shunt_group_destroy(f.rt, g), 0);
	assert_int_equal(shunt_group_pending(f.rt, g), SHUNT_ESTALE);
	assert_int_equal(shunt_group_create(f.rt, &next), SHUNT_EFULL);
	tu_close(f.rt);
}

/* A cancelled group: what has not started never runs; what runs sees the request. */
static void test_cancel(void **state)
{
	struct tu_gate gate = { 0, 0 };
	struct shunt_group_id g;
	struct shunt_job_id ids[20];
	atomic_uint n = 0;
	atomic_uint bystander = 0;
	struct tu_fixture f;
	uint32_t i;

	(void)state;
	open_with(&f, 1, 0);
	assert_int_equal(shunt_group_create(f.rt, &g), 0);
	(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &gate));
	for (i = 0; i < 40; i++) {
		put(&f, f.count, &n, g, i < 20 ? &ids[i] : NULL);
		put(&f, f.count, &bystander, (struct shunt_group_id){ 0 }, NULL);
	}
	assert_int_equal(shunt_group_cancel(f.rt, g), 0);
	atomic_store(&gate.open, 1);
	assert_int_equal(shunt_group_wait(f.rt, g, TU_LONG_NS), 0);
	for (i = 0; i < 20; i++)
		tu_join(f.rt, ids[i], SHUNT_JOB_CANCELLED);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&n), 0);
	assert_int_equal(atomic_load(&bystander), 40);
	assert_int_equal(shunt_group_destroy(f.rt, g), 0);
	tu_close(f.rt);
}

static int poll_cancelled(struct shunt_job_ctx *ctx, void *arg)
{
	uint64_t end = tu_now_s() + TU_DEADLINE_S;

	(void)atomic_fetch_add((atomic_uint *)arg, 1);
	while (!shunt_job_cancelled(ctx) && tu_now_s() < end)
		(void)sched_yield();
	return shunt_job_cancelled(ctx) ? 5 : 6;
}

static void test_cancel_running(void **state)
{
	struct shunt_group_id g;
	struct shunt_result r;
	struct shunt_job_id id;
	atomic_uint n = 0;
	struct tu_fixture f;

	(void)state;
	open_with(&f, 1, 0);
	assert_int_equal(shunt_group_create(f.rt, &g), 0);
	put(&f, tu_type(f.rt, f.pool, "patient", poll_cancelled), &n, g, &id);
	tu_wait_until(atomic_load(&n) == 1);
	assert_int_equal(shunt_group_cancel(f.rt, g), 0);
	assert_int_equal(shunt_wait(f.rt, id, TU_LONG_NS, &r), 0);
	assert_int_equal(r.code, 5);
	tu_close(f.rt);
}

/* ---- waiting inside jobs ---- */

struct tree {
	struct tu_fixture *f;
	struct shunt_type_id type;
	uint32_t fan;
	atomic_uint leaves;
	atomic_int bad;
};

struct node {
	struct tree *t;
	uint32_t depth;
};

static int tree_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct node *n = arg;
	struct tree *t = n->t;
	struct node kid = { t, n->depth - 1 };
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_group_id g;
	uint32_t i;
	int rc;

	if (n->depth == 0) {
		(void)atomic_fetch_add(&t->leaves, 1);
		return 0;
	}
	rc = shunt_group_create(rt, &g);
	for (i = 0; i < t->fan && rc == 0; i++) {
		struct shunt_job_spec s = tu_spec(t->type, &kid);

		s.group = g;
		rc = shunt_submit(rt, &s, NULL);
	}
	if (rc == 0)
		rc = shunt_group_wait(rt, g, TU_LONG_NS);
	if (rc == 0)
		rc = shunt_group_destroy(rt, g);
	if (rc != 0)
		atomic_store(&t->bad, rc);
	return rc;
}

static void test_tree(void **state)
{
	struct tu_fixture f;
	struct tree t;
	struct node root;
	uint32_t workers;

	(void)state;
	for (workers = 1; workers <= 3; workers++) {
		open_with(&f, workers, 0);
		memset(&t, 0, sizeof(t));
		t.f = &f;
		t.fan = 4;
		t.type = tu_type(f.rt, f.pool, "tree", tree_job);
		root = (struct node){ &t, 5 };
		tu_join(f.rt, tu_submit(f.rt, t.type, &root), SHUNT_JOB_DONE);
		assert_int_equal(atomic_load(&t.bad), 0);
		assert_int_equal(atomic_load(&t.leaves), 1024);
		tu_close(f.rt);
	}
}

struct member {
	struct shunt_group_id g;
	int rc;
};

static int member_waits(struct shunt_job_ctx *ctx, void *arg)
{
	struct member *m = arg;

	m->rc = shunt_group_wait(shunt_job_runtime(ctx), m->g, SHUNT_FOREVER);
	return 0;
}

static void test_member_waits(void **state)
{
	struct member m = { { 0 }, 0 };
	struct tu_fixture f;

	(void)state;
	open_with(&f, 1, 0);
	assert_int_equal(shunt_group_create(f.rt, &m.g), 0);
	put(&f, tu_type(f.rt, f.pool, "member", member_waits), &m, m.g, NULL);
	assert_int_equal(shunt_group_wait(f.rt, m.g, TU_LONG_NS), 0);
	assert_int_equal(m.rc, SHUNT_EDEADLK);
	tu_close(f.rt);
}

/* Several threads wait for one group that others fill and empty: all of them come back. */
struct waiter {
	struct tu_fixture *f;
	struct shunt_group_id g;
	int rc;
};

static void *wait_thread(void *arg)
{
	struct waiter *w = arg;

	w->rc = shunt_group_wait(w->f->rt, w->g, TU_LONG_NS);
	return NULL;
}

static void test_many_waiters(void **state)
{
	struct tu_fixture f;
	uint32_t round, i;

	(void)state;
	open_with(&f, 2, 0);
	for (round = 0; round < TU_TSAN_SCALE(60u, 20u); round++) {
		struct tu_gate gate = { 0, 0 };
		struct shunt_group_id g;
		struct waiter w[3];
		pthread_t t[3];

		assert_int_equal(shunt_group_create(f.rt, &g), 0);
		put(&f, f.gate, &gate, g, NULL);
		for (i = 0; i < 3; i++) {
			w[i] = (struct waiter){ &f, g, 1 };
			assert_int_equal(pthread_create(&t[i], NULL, wait_thread, &w[i]), 0);
		}
		atomic_store(&gate.open, 1);
		for (i = 0; i < 3; i++) {
			(void)pthread_join(t[i], NULL);
			assert_int_equal(w[i].rc, 0);
		}
		assert_int_equal(shunt_group_destroy(f.rt, g), 0);
	}
	tu_close(f.rt);
}

/* No runtime is a wrong argument for each call, not a stale id. */
static void test_no_runtime(void **state)
{
	const struct shunt_group_id none = { 0 };

	(void)state;
	assert_int_equal(shunt_group_pending(NULL, none), SHUNT_EINVAL);
	assert_int_equal(shunt_group_cancel(NULL, none), SHUNT_EINVAL);
	assert_int_equal(shunt_group_destroy(NULL, none), SHUNT_EINVAL);
	assert_int_equal(shunt_group_wait(NULL, none, 0), SHUNT_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_runtime),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_last_generation),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_running),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_member_waits),
		cmocka_unit_test(test_many_waiters),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
