/*
 * A signal handler submits. If it interrupted a submit of its own thread, that thread's caches are in use: SHUNT_EBUSY,
 * and nothing has changed. Anywhere else outside of workers the job is accepted.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <signal.h>

#include <shunt/error.h>

#include "base/inject.h"
#include "sched/submitter.h"

static struct shunt_runtime *rt;
static struct shunt_type_id count_type;
static atomic_uint ran;
static volatile sig_atomic_t busy, accepted, others;
static _Thread_local volatile sig_atomic_t raising; /* the signal handler submits, too */
static const char *where;

static void result(int rc)
{
	if (rc == 0)
		accepted++;
	else if (rc == SHUNT_EBUSY)
		busy++;
	else
		others++;
}

/* Every way in. */
static void on_signal(int number)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s = tu_spec(count_type, &ran);
	struct shunt_job_id id;
	int rc = 0;

	(void)number;
	result(shunt_submit(rt, &s, NULL));
	if (shunt_submit_batch(rt, &s, 1, NULL, &rc) == 1)
		rc = 0;
	result(rc);
	s.opts = &opts;
	rc = shunt_submit(rt, &s, &id);
	result(rc);
	if (rc == 0)
		result(shunt_detach(rt, id));
}

static int raise_at(void *arg, const char *point)
{
	(void)arg;
	if (!raising && strcmp(point, where) == 0 && !sh_current_innermost()) {
		raising = 1;
		(void)raise(SIGUSR1);
		raising = 0;
	}
	return 0;
}

static void open_world(uint32_t workers)
{
	atomic_store(&ran, 0);
	busy = accepted = others = 0;
	rt = tu_runtime();
	count_type = tu_type(rt, tu_pool(rt, "main", workers), "count", tu_count_job);
}

static void test_interrupted(void **state)
{
	static const char *const points[] = { "submit.before_enqueue", "submit.after_enqueue", "submit.chosen" };
	unsigned mine, i;

	(void)state;
	for (size_t p = 0; p < SH_COUNT(points); p++) {
		open_world(p == 2 ? 2 : 1); /* one worker is not chosen */
		where = points[p];
		for (mine = 0; mine < 300; mine++) {
			struct shunt_job_spec s[2] = { tu_spec(count_type, &ran), tu_spec(count_type, &ran) };
			struct shunt_job_id id;
			int rc = 0;

			sh_inject_set(mine > 0 ? raise_at : NULL, NULL); /* the thread is known from the first one on */
			if (mine % 3 == 0)
				assert_int_equal(shunt_submit(rt, s, NULL), 0);
			else if (mine % 3 == 1)
				assert_int_equal(shunt_submit(rt, s, &id), 0);
			else
				assert_int_equal(shunt_submit_batch(rt, s, 2, NULL, &rc), 2);
			sh_inject_set(NULL, NULL);
			if (mine % 3 == 1)
				tu_join(rt, id, SHUNT_JOB_DONE);
		}
		assert_true(busy >= 3 * 200);
		assert_int_equal(accepted, 0);
		assert_int_equal(others, 0);
		(void)raise(SIGUSR1);          /* in no submit */
		assert_int_equal(accepted, 4); /* three jobs, one detach */
		assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
		i = atomic_load(&ran);
		assert_int_equal(i, 400 + 3);
		tu_destroy(rt, 0);
	}
}

/* A strategy runs inside the submit. */
static int select_submits(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	struct shunt_job_spec s = tu_spec(count_type, &ran);

	(void)arg;
	(void)loads;
	(void)key;
	(void)home;
	result(shunt_submit(rt, &s, NULL));
	return 0;
}

static void test_strategy(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 2);
	struct shunt_job_spec s;

	(void)state;
	busy = accepted = 0;
	atomic_store(&ran, 0);
	po.strategy = SHUNT_SELECT_USER;
	po.select = select_submits;
	rt = tu_runtime();
	count_type = tu_type(rt, tu_pool_with(rt, &po), "count", tu_count_job);
	s = tu_spec(count_type, &ran);
	for (int i = 0; i < 10; i++)
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	assert_true(busy >= 10);
	assert_int_equal(accepted, 0);
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&ran), 10);
	tu_destroy(rt, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_interrupted), cmocka_unit_test(test_strategy) };
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	(void)sigaction(SIGUSR1, &sa, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
