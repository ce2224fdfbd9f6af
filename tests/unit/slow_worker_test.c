/*
 * Live placement with workers of different speed: one takes ten times as long as its peer. Through the whole way (learning,
 * the default strategy and its short cuts) it must get about its share, a tenth. Jobs come one at a time, from the first
 * on, so both workers are idle at every choice: a choice that looks at idleness alone gives the slow one half of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/snapshot.h>

#include "base/clock.h"
#include "base/compiler.h"

#define JOBS 600u
#define WARM_UP 200u /* what each worker needs is learned from these */
#define FAST_NS 20000u
#define ROUNDS 12

struct count {
	atomic_uint ran[2];
};

static int spin_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct count *c = arg;
	uint32_t w = shunt_job_worker(ctx);
	uint64_t end = sh_clock_ns() + (w == 0 ? 10u * FAST_NS : FAST_NS);

	(void)atomic_fetch_add(&c->ran[w & 1u], 1);
	while (sh_clock_ns() < end)
		sh_cpu_relax();
	return SHUNT_DONE;
}

static uint32_t slow_share(enum shunt_idle idle)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 2);
	struct shunt_runtime *rt = tu_runtime();
	struct count c = { { 0, 0 } };
	struct shunt_type_id spin;
	struct shunt_pool_id pool;
	uint32_t slow, i;

	po.idle = idle;
	pool = tu_pool_with(rt, &po);
	spin = tu_type(rt, pool, "spin", spin_job);
	for (i = 0; i < WARM_UP; i++)
		tu_join(rt, tu_submit(rt, spin, &c), SHUNT_JOB_DONE);
	atomic_store(&c.ran[0], 0);
	atomic_store(&c.ran[1], 0);
	for (i = 0; i < JOBS; i++)
		tu_join(rt, tu_submit(rt, spin, &c), SHUNT_JOB_DONE);
	slow = atomic_load(&c.ran[0]);
	print_message("the slow worker ran %u of %u\n", slow, JOBS);
	assert_true(slow + atomic_load(&c.ran[1]) == JOBS);
	assert_int_equal(shunt_runtime_destroy(rt), 0);
	return slow;
}

/*
 * A cpu that is taken away makes the fast worker slow too, so one undisturbed round of several is asked for. A choice
 * that ignores speed gives half of the jobs to the slow one in every round.
 */
static void share_is_small(enum shunt_idle idle)
{
	uint32_t best = JOBS;
	int i;

	for (i = 0; i < ROUNDS && best > JOBS / 4; i++) {
		uint32_t slow = slow_share(idle);

		best = slow < best ? slow : best;
	}
	assert_true(best <= JOBS / 4);
}

static void test_adaptive(void **state)
{
	(void)state;
	share_is_small(SHUNT_IDLE_ADAPTIVE);
}

static void test_park(void **state)
{
	(void)state;
	share_is_small(SHUNT_IDLE_PARK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adaptive),
		cmocka_unit_test(test_park),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
