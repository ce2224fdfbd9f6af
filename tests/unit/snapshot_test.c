/*
 * Snapshots: counts per type, level, worker and pool add up; differences subtract; pins are read back; budgets are told.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>
#include <shunt/snapshot.h>

static int code_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	return *(int *)arg;
}

static const struct shunt_series *series_of(const struct shunt_snapshot *s, const char *type, uint32_t level)
{
	size_t i;

	for (i = 0; i < s->n_series; i++)
		if (strcmp(s->series[i].type, type) == 0 && s->series[i].level == level)
			return &s->series[i];
	return NULL;
}

static struct shunt_snapshot *take(struct shunt_runtime *rt)
{
	struct shunt_snapshot *s = NULL;

	assert_int_equal(shunt_snapshot_take(rt, &s), 0);
	assert_non_null(s);
	return s;
}

static void put(struct shunt_runtime *rt, struct shunt_type_id type, int *code, uint32_t level, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct shunt_job_spec s = tu_spec(type, code);

		s.level = SHUNT_LEVEL(level);
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	}
}

/* 21 jobs of x (4 of them failed) and 5 of y, all ended. */
static void check_ended(const struct shunt_snapshot *b)
{
	const struct shunt_series *s;
	uint64_t worker_jobs = 0;
	size_t i;

	assert_int_equal(b->n_series, 3);
	s = series_of(b, "x", 0);
	assert_non_null(s);
	assert_string_equal(s->pool, "main");
	assert_string_equal(s->level_name, "high");
	assert_true(s->done == 10 && s->failed == 4 && s->cancelled == 0);
	assert_true(shunt_hist_count(s->queue) == 14 && shunt_hist_count(s->run) == 14 && shunt_hist_count(s->total) == 14);
	s = series_of(b, "x", 3);
	assert_true(s && s->done == 7 && strcmp(s->level_name, "batch") == 0);
	s = series_of(b, "y", 1);
	assert_true(s && s->done == 5 && strcmp(s->level_name, "normal") == 0);
	for (i = 0; i < b->n_workers; i++) {
		worker_jobs += b->workers[i].jobs;
		assert_true(shunt_hist_count(b->workers[i].run) == b->workers[i].jobs);
		assert_int_equal(b->workers[i].spare, 0);
		assert_int_equal(b->workers[i].index, i);
	}
	assert_true(worker_jobs == 26);
}

static void check_arguments(struct shunt_runtime *rt, const struct shunt_snapshot *a, const struct shunt_snapshot *b)
{
	struct shunt_snapshot *d = NULL;

	assert_int_equal(shunt_snapshot_diff(NULL, b, &d), SHUNT_EINVAL);
	assert_int_equal(shunt_snapshot_diff(a, NULL, &d), SHUNT_EINVAL);
	assert_int_equal(shunt_snapshot_diff(a, b, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_snapshot_take(NULL, &d), SHUNT_EINVAL);
	assert_int_equal(shunt_snapshot_take(rt, NULL), SHUNT_EINVAL);
}

static void test_counts(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct tu_gate g = { 0, 0 };
	struct shunt_runtime *rt;
	struct shunt_snapshot *a, *b, *d;
	struct shunt_type_id x, y, gate;
	struct shunt_job_id ids[5];
	struct shunt_pool_id pool;
	const struct shunt_series *s;
	int ok = 0, bad = 3;
	size_t i;

	(void)state;
	ro.name = "counted";
	rt = tu_runtime_with(&ro);
	pool = tu_pool(rt, "main", 2);
	x = tu_type(rt, pool, "x", code_job);
	y = tu_type(rt, pool, "y", code_job);
	gate = tu_type(rt, pool, "gate", tu_gate_job);
	a = take(rt);
	assert_string_equal(a->runtime, "counted");
	assert_int_equal(a->n_pools, 1);
	assert_int_equal(a->n_workers, 2);
	assert_int_equal(a->n_series, 0);
	assert_int_equal(a->threads, 2);
	assert_true(strcmp(a->allocator, "libc") == 0 || strcmp(a->allocator, "jemalloc") == 0);
	assert_true(a->pools[0].bytes > 0 && a->pools[0].bytes_mapped > 0);
	put(rt, x, &ok, 0, 10);
	put(rt, x, &bad, 0, 4);
	put(rt, x, &ok, 3, 7);
	put(rt, y, &ok, 1, 5);
	assert_int_equal(shunt_drain(rt, TU_LONG_NS), 0);
	assert_int_equal(shunt_resume(rt), 0);
	b = take(rt);
	check_ended(b);
	assert_true(b->pools[0].submitted == 26 && b->pools[0].finished == 26);
	assert_true(b->taken_ns > a->taken_ns);
	/* Now two held and five cancelled: told apart, and the difference has only what is new. */
	(void)shunt_detach(rt, tu_hold(rt, gate, &g));
	(void)shunt_detach(rt, tu_hold(rt, gate, &g));
	for (i = 0; i < 5; i++) {
		ids[i] = tu_submit(rt, y, &ok);
		assert_int_equal(shunt_cancel(rt, ids[i]), 0);
		tu_join(rt, ids[i], SHUNT_JOB_CANCELLED);
	}
	put(rt, x, &ok, 0, 2);
	shunt_snapshot_free(a);
	a = take(rt);
	assert_int_equal(shunt_snapshot_diff(a, b, &d), 0);
	s = series_of(d, "y", 1);
	assert_true(s && s->cancelled == 5 && s->done == 0);
	assert_true(shunt_hist_count(s->run) == 0);
	s = series_of(d, "x", 0);
	assert_true(s && s->done == 0 && s->failed == 0 && shunt_hist_count(s->queue) == 0);
	assert_true(d->pools[0].submitted == 5 + 2 + 2);
	assert_true(d->pools[0].finished == 5);
	for (i = 0; i < d->n_workers; i++)
		assert_true(d->workers[i].jobs == 0);
	shunt_snapshot_free(d);
	atomic_store(&g.open, 1);
	assert_int_equal(shunt_drain(rt, TU_LONG_NS), 0);
	d = take(rt);
	assert_true(d->pools[0].submitted == d->pools[0].finished && d->pools[0].finished == 26 + 9);
	shunt_snapshot_free(d);
	check_arguments(rt, a, b);
	shunt_snapshot_free(a);
	shunt_snapshot_free(b);
	shunt_snapshot_free(NULL);
	assert_int_equal(shunt_runtime_destroy(rt), 0);
}

/* What the kernel says is what was planned. */
static void test_pins(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts po = tu_pool_opts("pinned", 1);
	struct shunt_snapshot *s;
	size_t i;

	(void)state;
	po.pin = SHUNT_PIN_COMPACT;
	(void)tu_pool_with(rt, &po);
	(void)tu_pool(rt, "loose", 1);
	s = take(rt);
	assert_int_equal(s->n_workers, 2);
	for (i = 0; i < s->n_workers; i++) {
		const struct shunt_worker_info *w = &s->workers[i];

		if (strcmp(w->pool, "loose") == 0) {
			assert_int_equal(w->cpu_planned, -1);
			assert_int_equal(w->pin_verified, 0);
			continue;
		}
		assert_true(w->cpu_planned >= 0);
		assert_int_equal(w->pin_error, 0);
		assert_int_equal(w->pin_verified, 1);
		assert_int_equal(w->cpu_seen, w->cpu_planned);
	}
	shunt_snapshot_free(s);
	assert_int_equal(shunt_runtime_destroy(rt), 0);
}

static void test_budget(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_runtime *rt;
	struct shunt_snapshot *s;

	(void)state;
	ro.cpu_budget = 1;
	rt = tu_runtime_with(&ro);
	s = take(rt);
	assert_int_equal(s->budget.budget, 1);
	assert_int_equal(s->over_budget, 0);
	shunt_snapshot_free(s);
	(void)tu_pool(rt, "one", 1);
	s = take(rt);
	assert_int_equal(s->over_budget, 0);
	shunt_snapshot_free(s);
	(void)tu_pool(rt, "two", 2);
	s = take(rt);
	assert_int_equal(s->threads, 3);
	assert_int_equal(s->over_budget, 1);
	shunt_snapshot_free(s);
	assert_int_equal(shunt_runtime_destroy(rt), 0);
}

/* Taken all the time while jobs run: counts never go back, and what ended never exceeds what was submitted. */
struct busy {
	struct shunt_runtime *rt;
	struct shunt_type_id type;
	atomic_uint n;
	atomic_uint stop;
};

static void *busy_thread(void *arg)
{
	struct busy *b = arg;
	struct shunt_job_spec s = tu_spec(b->type, &b->n);

	s.full = SHUNT_FULL_BLOCK;
	while (!atomic_load(&b->stop))
		if (shunt_submit(b->rt, &s, NULL) != 0)
			return (void *)1;
	return NULL;
}

static void test_while_running(void **state)
{
	struct busy b;
	pthread_t t;
	void *bad = NULL;
	uint64_t done = 0;
	uint32_t i;

	(void)state;
	memset(&b, 0, sizeof(b));
	b.rt = tu_runtime();
	b.type = tu_type(b.rt, tu_pool(b.rt, "main", 2), "count", tu_count_job);
	assert_int_equal(pthread_create(&t, NULL, busy_thread, &b), 0);
	for (i = 0; i < 50; i++) {
		struct shunt_snapshot *s = take(b.rt);
		const struct shunt_series *c = series_of(s, "count", 1);

		assert_true(s->pools[0].finished <= s->pools[0].submitted);
		if (c) {
			assert_true(c->done >= done);
			done = c->done;
			assert_true(c->failed == 0 && c->cancelled == 0);
		}
		shunt_snapshot_free(s);
	}
	atomic_store(&b.stop, 1);
	(void)pthread_join(t, &bad);
	assert_null(bad);
	tu_close(b.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_while_running),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
