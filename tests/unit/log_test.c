/*
 * The log: what each level says about the life of runtimes, pools, types and spares, and what it does not.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "sched/world.h"

static int blocked_job(struct shunt_job_ctx *ctx, void *arg)
{
	int rc = shunt_block_begin(ctx);

	(void)arg;
	shunt_block_end(ctx);
	return rc;
}

/* A life with everything in it. */
static void live(struct tu_log *l, enum shunt_log_level level)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("work", 2);
	struct shunt_runtime *rt;
	struct shunt_type_id type;
	struct shunt_pool_id pool;

	tu_log_open(l);
	ro.name = "lives";
	ro.log_level = level;
	ro.log = tu_log_take;
	ro.log_arg = l;
	rt = tu_runtime_with(&ro);
	po.idle = SHUNT_IDLE_PARK;
	pool = tu_pool_with(rt, &po);
	type = tu_type(rt, pool, "blocks", blocked_job);
	tu_join(rt, tu_submit(rt, type, NULL), SHUNT_JOB_DONE);
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(shunt_type_destroy(rt, type, TU_LONG_NS), 0);
	assert_int_equal(shunt_pool_destroy(rt, pool), 0);
	tu_destroy(rt, 0);
}

static void test_levels(void **state)
{
	static const struct {
		enum shunt_log_level level;
		const char *line;
	} want[] = {
		{ SHUNT_LOG_INFO, "3 runtime lives: started: " },
		{ SHUNT_LOG_INFO, "3 pool work: started: 2 workers, 4 levels, idle park, spin 0\n" },
		{ SHUNT_LOG_DEBUG, "4 pool work: worker 0: thread " },
		{ SHUNT_LOG_DEBUG, "4 pool work: worker 1: thread " },
		{ SHUNT_LOG_DEBUG, "4 type blocks: created in pool work\n" },
		{ SHUNT_LOG_DEBUG, "4 pool work: spare 2 starts, worker " },
		{ SHUNT_LOG_INFO, "3 runtime lives: drain: all jobs are finished\n" },
		{ SHUNT_LOG_DEBUG, "4 type blocks: destroyed\n" },
		{ SHUNT_LOG_INFO, "3 pool work: destroyed\n" },
		{ SHUNT_LOG_INFO, "3 runtime lives: destroyed, 0 jobs cancelled\n" },
	};
	struct tu_log l;

	(void)state;
	for (int level = SHUNT_LOG_WARN; level <= SHUNT_LOG_DEBUG; level++) {
		const char *at;

		live(&l, (enum shunt_log_level)level);
		at = l.text;
		for (size_t i = 0; i < SH_COUNT(want); i++) {
			const char *found = strstr(at, want[i].line);

			if ((found != NULL) != ((int)want[i].level <= level))
				fail_msg("level %d: '%s' in order in:\n%s", level, want[i].line, l.text);
			at = found ? found + 1 : at;
		}
	}
}

/* A file for many machines may allow more asynchronous jobs than the workers of this one have: said, and no error. */
static void test_more_than_workers_have(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("work", 0);
	struct tu_log l;

	(void)state;
	tu_log_open(&l);
	ro.log = tu_log_take;
	ro.log_arg = &l;
	po.async_max = 1;
	po.async_pool_max = 100000;
	{
		struct shunt_runtime *rt = tu_runtime_with(&ro);

		(void)tu_pool_with(rt, &po);
		tu_destroy(rt, 0);
	}
	assert_non_null(strstr(l.text, "2 pools.work.async_pool_max: '100000' has no effect with "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_more_than_workers_have),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
