/*
 * A spare counts itself, so that others see what it has, whenever the worker that asked for it goes on. That one is held
 * there (sched/spare.c, pool_block_begin).
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "base/inject.h"

static struct tu_gate asker, blocked;
static atomic_bool hold_asker;

static int on_point(void *arg, const char *point)
{
	(void)arg;
	if (strcmp(point, "pool.spare.asked") == 0 && atomic_load(&hold_asker))
		tu_gate_pass(&asker);
	return 0;
}

static int block_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)arg;
	assert_int_equal(shunt_block_begin(ctx), 0);
	tu_gate_pass(&blocked);
	shunt_block_end(ctx);
	return SHUNT_DONE;
}

static struct shunt_pool_opts two_workers(void)
{
	struct shunt_pool_opts o = tu_pool_opts("main", 2);

	atomic_store(&asker.arrived, 0);
	atomic_store(&asker.open, 0);
	atomic_store(&blocked.arrived, 0);
	atomic_store(&blocked.open, 0);
	atomic_store(&hold_asker, true);
	sh_inject_set(on_point, NULL);
	o.idle = SHUNT_IDLE_PARK;
	o.strategy = SHUNT_SELECT_USER;
	o.select = tu_select_first;
	return o;
}

static void submit_on(struct shunt_runtime *rt, struct shunt_type_id type, void *arg, uint32_t worker)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s = tu_spec(type, arg);

	s.flags = SHUNT_JOB_ON_WORKER;
	o.worker = worker;
	s.opts = &o;
	assert_int_equal(shunt_submit(rt, &s, NULL), 0);
}

/*
 * Worker 1 is held, worker 0 blocks with three jobs behind it, of which the spare steals two. The first of these does not end;
 * worker 1 runs the third, and steals the second one back.
 */
static void test_loot_is_offered(void **state)
{
	static struct tu_gate worker1, loot;
	struct shunt_pool_opts po = two_workers();
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct tu_fixture f;
	static atomic_uint ran;
	struct shunt_job_spec s[3];
	struct shunt_type_id block;
	uint32_t i;

	(void)state;
	tu_fixture_open(&f, &ro, &po);
	block = tu_type(f.rt, f.pool, "block", block_job);
	submit_on(f.rt, f.gate, &worker1, 1);
	tu_wait_until(atomic_load(&worker1.arrived) == 1);
	submit_on(f.rt, block, NULL, 0);
	tu_wait_until(atomic_load(&asker.arrived) == 1);
	for (i = 0; i < 3; i++)
		s[i] = tu_spec(i == 0 ? f.gate : f.count, i == 0 ? (void *)&loot : (void *)&ran);
	s[0].arrival_ns = s[1].arrival_ns = s[2].arrival_ns = shunt_now_ns();
	assert_int_equal(shunt_submit_batch(f.rt, s, 3, NULL, NULL), 3);
	tu_wait_until(atomic_load(&loot.arrived) == 1);
	atomic_store(&worker1.open, 1);
	tu_wait_until(atomic_load(&ran) == 2);
	atomic_store(&asker.open, 1);
	atomic_store(&loot.open, 1);
	atomic_store(&blocked.open, 1);
	tu_close(f.rt);
	sh_inject_set(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loot_is_offered),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
