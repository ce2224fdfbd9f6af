/*
 * tests/unit/long_job_test.c - job types whose jobs take minutes: what is expected and learned of them is not cut, the
 * work that a worker publishes counts with it, and so does the choice of a worker.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/snapshot.h>

#include "base/compiler.h"
#include "sched/account.h"

#define SECOND_NS UINT64_C(1000000000)
#define MINUTE_NS (60 * SECOND_NS)

static struct shunt_type_id type_of(const struct tu_fixture *f, const char *name, shunt_handler_fn handler,
				    uint64_t expected_ns)
{
	struct shunt_type_opts o = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id id;

	o.name = name;
	o.pool = f->pool;
	o.handler = handler;
	o.expected_ns = expected_ns;
	assert_int_equal(shunt_type_create(f->rt, &o, &id), 0);
	return id;
}

static struct sh_type *entry_of(const struct tu_fixture *f, struct shunt_type_id id)
{
	return &f->rt->type[sh_id_index(id.v)];
}

/* What a choice counts with for a type of which so much is expected. */
static uint64_t estimate(const struct tu_fixture *f, const char *name, uint64_t expected_ns)
{
	return sh_a64_load_rlx(&entry_of(f, type_of(f, name, tu_count_job, expected_ns))->est_ns);
}

static struct sh_worker *worker(const struct tu_fixture *f, uint32_t i)
{
	return sh_runtime_pool(f->rt, f->pool.v)->worker[i];
}

static void open_with(struct tu_fixture *f, uint32_t workers)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", workers);

	tu_fixture_open(f, &ro, &po);
}

/* Worker w stands at the gate, in a job of this type. */
static void hold(struct tu_fixture *f, struct shunt_type_id type, struct tu_gate *g, uint32_t w)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s = tu_spec(type, g);

	s.flags = SHUNT_JOB_ON_WORKER;
	s.opts = &o;
	o.worker = w;
	assert_int_equal(shunt_submit(f->rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&g->arrived) == 1);
}

static struct shunt_worker_info worker_of(struct shunt_runtime *rt, uint32_t i)
{
	struct shunt_snapshot *s = NULL;
	struct shunt_worker_info w;

	assert_int_equal(shunt_snapshot_create(rt, &s), 0);
	w = *shunt_snapshot_worker_at(s, i);
	shunt_snapshot_destroy(s);
	w.queue = w.run = NULL; /* were the snapshot's */
	return w;
}

/* As if worker w, which is held, had run so many jobs of a type, each for so long. */
static void ran(struct tu_fixture *f, struct shunt_type_id type, uint32_t w, uint32_t n, uint64_t run_ns)
{
	uint64_t now = shunt_now_ns();

	while (n-- > 0) {
		struct sh_batch *b = &worker(f, w)->batch;

		assert_int_equal(b->n, 0);
		b->type = (uint16_t)(sh_id_index(type.v));
		b->level = 0;
		b->stamp_ns = b->submit_ns[0] = now;
		b->n = 1;
		assert_int_equal(sh_account_batch(worker(f, w), now + run_ns, false, NULL), 1);
	}
	worker(f, w)->score_ns = 0; /* the real clock has not moved */
}

/* What is expected of a type is kept to the nanosecond; of more than the choice can count with, that. */
static void test_expected(void **state)
{
	struct tu_fixture f;

	(void)state;
	open_with(&f, 1);
	assert_true(estimate(&f, "minutes", 5 * MINUTE_NS + 1) == 5 * MINUTE_NS + 1);
	assert_true(estimate(&f, "most", SH_COST_MAX - 1) == SH_COST_MAX - 1);
	assert_true(estimate(&f, "day", 24 * 60 * MINUTE_NS) == SH_COST_MAX);
	tu_close(f.rt);
}

/* A worker that takes ten times as long is known to be slow, however long that is. */
static void test_learned(void **state)
{
	struct tu_gate g[2] = { 0 };
	struct tu_fixture f;
	struct sh_learned learned;
	uint32_t i;

	(void)state;
	open_with(&f, 2);
	for (i = 0; i < 2; i++)
		hold(&f, f.gate, &g[i], i); /* what their threads own is the test's */
	ran(&f, f.count, 0, 400, MINUTE_NS);
	ran(&f, f.count, 1, 400, 10 * MINUTE_NS);
	learned = worker(&f, 1)->learned[sh_id_index(f.count.v)];
	assert_true(learned.mean == 10 * MINUTE_NS && learned.ewma == 10 * MINUTE_NS);
	assert_in_range(worker_of(f.rt, 0).speed_permille, 950, 1050);
	assert_in_range(worker_of(f.rt, 1).speed_permille, 9500, 10500);
	assert_true(worker_of(f.rt, 1).ewma_ns > 9 * MINUTE_NS);
	assert_true(sh_a64_load_rlx(&entry_of(&f, f.count)->est_ns) > 9 * MINUTE_NS);
	for (i = 0; i < 2; i++)
		atomic_store(&g[i].open, 1);
	tu_close(f.rt);
}

/* A worker says that it has begun a job of minutes: that is more work than one of seconds with others behind it. */
static void test_choice(void **state)
{
	struct tu_gate g[2] = { 0 }, busy[2] = { 0 };
	struct shunt_type_id type[2];
	atomic_uint n = 0;
	struct tu_fixture f;
	struct shunt_worker_info w;
	struct shunt_job_spec s;
	uint32_t i;

	(void)state;
	open_with(&f, 2);
	type[0] = type_of(&f, "minutes", tu_gate_job, 0);
	type[1] = type_of(&f, "seconds", tu_gate_job, 0);
	for (i = 0; i < 2; i++)
		hold(&f, f.gate, &g[i], i);
	ran(&f, type[0], 0, 100, 5 * MINUTE_NS);
	ran(&f, type[1], 1, 100, 40 * SECOND_NS);
	/* its speed is another matter: here both have the same */
	for (i = 0; i < 2; i++)
		atomic_store(&g[i].open, 1);
	for (i = 0; i < 2; i++)
		hold(&f, type[i], &busy[i], i);
	w = worker_of(f.rt, 0);
	assert_true(w.work_left_ns > 4 * MINUTE_NS && w.work_left_ns <= 5 * MINUTE_NS);
	w = worker_of(f.rt, 1);
	assert_true(w.work_left_ns > 10 * SECOND_NS && w.work_left_ns <= 40 * SECOND_NS);
	s = tu_spec(f.count, &n);
	for (i = 0; i < 20; i++)
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	assert_int_equal(worker_of(f.rt, 0).in_flight, 1);
	assert_int_equal(worker_of(f.rt, 1).in_flight, 21);
	for (i = 0; i < 2; i++)
		atomic_store(&busy[i].open, 1);
	tu_wait_until(atomic_load(&n) == 20);
	tu_close(f.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expected),
		cmocka_unit_test(test_learned),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
