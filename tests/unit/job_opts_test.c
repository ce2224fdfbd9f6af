/*
 * tests/unit/job_opts_test.c - a spec and its options that contradict each other are refused, with a detail that names
 * the field and what would be right; nothing that is set is without effect.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "base/compiler.h"

/* What is refused says why; nothing is set and without effect. */
static void test_opts_without_effect(void **state)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	const struct {
		struct shunt_job_opts opts;
		uint16_t flags;
		uint8_t on_full;
		const char *want;
	} bad[] = {
		{ { o.size, 1, 0, 0, NULL }, 0, 0, "job.opts.full_timeout_ns: has no effect without SHUNT_ON_FULL" },
		{ { o.size, 1, 0, 0, NULL }, 0, SHUNT_ON_FULL_INLINE, "job.opts.full_timeout_ns: has no effect" },
		{ { o.size, 0, 1, 0, NULL }, 0, 0, "job.opts.worker: has no effect without SHUNT_JOB_ON_WORKER" },
		{ { o.size, 0, 1, 0, NULL }, SHUNT_JOB_KEYED, 0, "job.opts.worker: has no effect without " },
		{ { o.size, 0, 1, 0, NULL }, SHUNT_JOB_ON_NODE, 0, "job.opts.worker: has no effect without " },
		{ { o.size, 0, 0, 1, NULL }, 0, 0, "job.opts.node: has no effect without SHUNT_JOB_ON_NODE" },
		{ { o.size, 0, 0, 1, NULL }, SHUNT_JOB_ON_WORKER, 0, "job.opts.node: has no effect without " },
		{ { 8, 0, 0, 0, NULL }, SHUNT_JOB_ON_WORKER, 0, "job.flags: SHUNT_JOB_ON_WORKER needs opts with" },
		{ { 8, 0, 0, 0, NULL }, SHUNT_JOB_ON_NODE, 0, "job.flags: SHUNT_JOB_ON_NODE needs opts with a node" },
		{ { 4, 0, 0, 0, NULL }, 0, 0, "job.opts.size: not that of the struct" },
		{ o, SHUNT_JOB_ON_WORKER | SHUNT_JOB_KEYED, 0, "job.flags: 0x3 contradict; want a key" },
		{ o, SHUNT_JOB_ON_WORKER | SHUNT_JOB_ON_NODE, 0, "job.flags: 0x6 contradict; want a key" },
		{ o, 0x80, 0, "job.flags: 0x80 has unknown bits; want some of 0xf" },
		{ o, SHUNT_JOB_HELP, 0, "job.flags: SHUNT_JOB_HELP has no effect without a handle or a group" },
		{ o, 0, 9, "job.on_full: 9 is unknown; want at most 3" },
	};
	atomic_uint n = 0;
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_type_id type = tu_type(rt, tu_pool(rt, "p", 2), "count", tu_count_job);

	(void)state;
	for (size_t i = 0; i < SH_COUNT(bad); i++) {
		struct shunt_job_spec s = tu_spec(type, &n);
		int rc = 0;

		s.flags = bad[i].flags;
		s.on_full = bad[i].on_full;
		s.opts = &bad[i].opts;
		assert_int_equal(shunt_submit(rt, &s, NULL), SHUNT_EINVAL);
		if (strncmp(shunt_error_detail(), bad[i].want, strlen(bad[i].want)) != 0)
			fail_msg("want '%s', got '%s'", bad[i].want, shunt_error_detail());
		assert_int_equal(shunt_submit_batch(rt, &s, 1, NULL, &rc), 0);
		assert_int_equal(rc, SHUNT_EINVAL);
	}
	tu_close(rt);
	assert_int_equal(atomic_load(&n), 0);
}

/* The pool's choice counts where the spec has none. */
static void test_opts_of_a_waiting_pool(void **state)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts po = tu_pool_opts("p", 1);
	atomic_uint n = 0;
	struct shunt_job_spec s;

	(void)state;
	po.on_full = SHUNT_ON_FULL_BLOCK;
	s = tu_spec(tu_type(rt, tu_pool_with(rt, &po), "count", tu_count_job), &n);
	s.opts = &o;
	o.full_timeout_ns = 1000;
	assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	s.on_full = SHUNT_ON_FULL_ERROR;
	assert_int_equal(shunt_submit(rt, &s, NULL), SHUNT_EINVAL);
	tu_close(rt);
	assert_int_equal(atomic_load(&n), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opts_without_effect),
		cmocka_unit_test(test_opts_of_a_waiting_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
