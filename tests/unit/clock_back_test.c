/*
 * The TSC steps back, as on a machine that was saved and restored: no wait ends before its limit, none lasts longer by
 * what the clock lost, and jobs go on.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <time.h>

#include <shunt/cq.h>
#include <shunt/error.h>

#include "base/clock.h"
#include "sched/world.h"

#define STEP_NS (UINT64_C(3600) * 1000000000u) /* an hour: a wait that lasts so much longer is seen */
#define LIMIT_NS UINT64_C(200000000)

static struct back {
	struct tu_fixture f;
	struct tu_gate gate;
	struct shunt_job_id held;
	struct shunt_group_id group;
	struct shunt_cq *cq;
	int (*wait)(void); /* runs into its limit */
	int code;
	uint64_t lasted_ns; /* of the kernel's clock */
	atomic_uint done;
} b;

static uint64_t kernel_ns(void)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The TSC counts from now on, whether or not the kernel trusts it here: roughly measured is enough. */
static void use_tsc(void)
{
#if defined(__x86_64__) && !TU_TSAN /* the step is a plain store while others read */
	struct sh_clock c = { 0 };

	sh_clock_setup();
	c.ns0 = kernel_ns();
	c.tsc0 = __builtin_ia32_rdtsc();
	while (kernel_ns() - c.ns0 < 20000000)
		;
	c.mult = (uint64_t)(((sh_u128)(kernel_ns() - c.ns0) << 32) / (__builtin_ia32_rdtsc() - c.tsc0));
	c.source = SH_CLOCK_TSC;
	sh_clock_global = c;
#else
	skip(); /* the kernel's clock serves for everything */
#endif
}

static int wait_job(void)
{
	return shunt_wait(b.f.rt, b.held, LIMIT_NS, NULL);
}

static int wait_group(void)
{
	return shunt_group_wait(b.f.rt, b.group, LIMIT_NS);
}

static int wait_cq(void)
{
	return shunt_cq_wait(b.cq, LIMIT_NS);
}

static int wait_drain(void)
{
	int rc = shunt_runtime_drain(b.f.rt, LIMIT_NS, NULL);

	assert_int_equal(shunt_runtime_resume(b.f.rt), 0);
	return rc;
}

static int wait_type(void)
{
	return shunt_type_destroy(b.f.rt, b.f.gate, LIMIT_NS);
}

static int wait_room(void)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s = tu_spec(b.f.count, &b.done);

	o.full_timeout_ns = LIMIT_NS;
	s.on_full = SHUNT_ON_FULL_BLOCK;
	s.opts = &o;
	return shunt_submit(b.f.rt, &s, NULL);
}

static void *waiter(void *arg)
{
	uint64_t start = kernel_ns();

	(void)arg;
	b.code = b.wait();
	b.lasted_ns = kernel_ns() - start;
	atomic_store(&b.done, 1);
	return NULL;
}

static bool inside_call(void)
{
	uint64_t n = sh_a64_load_acq(&b.f.rt->shared_calls);

	for (uint32_t i = 0; i < b.f.rt->submitters; i++)
		n += sh_a64_load_acq(&b.f.rt->submitter[i].calls);
	return n != 0;
}

static void test_waits(void **state)
{
	static int (*const waits[])(void) = { wait_job, wait_group, wait_cq, wait_drain, wait_room, wait_type };
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	const struct shunt_cq_opts co = SHUNT_CQ_OPTS_INIT;
	struct shunt_job_spec s;
	pthread_t thread;

	(void)state;
	use_tsc();
	po.queue_max = 1;
	tu_fixture_open(&b.f, &ro, &po);
	assert_int_equal(shunt_group_create(b.f.rt, &b.group), 0);
	assert_int_equal(shunt_cq_create(b.f.rt, &co, &b.cq), 0);
	s = tu_spec(b.f.gate, &b.gate);
	s.group = b.group;
	assert_int_equal(shunt_submit(b.f.rt, &s, &b.held), 0);
	tu_wait_until(atomic_load(&b.gate.arrived) == 1);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		b.wait = waits[i];
		atomic_store(&b.done, 0);
		assert_int_equal(pthread_create(&thread, NULL, waiter, NULL), 0);
		tu_wait_until(inside_call() || atomic_load(&b.done) != 0);
		sh_clock_global.ns0 -= STEP_NS;
		tu_wait_until(atomic_load(&b.done) != 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(b.code, SHUNT_ETIMEDOUT);
		assert_true(b.lasted_ns >= LIMIT_NS);
	}
	atomic_store(&b.gate.open, 1);
	tu_join(b.f.rt, b.held, SHUNT_JOB_DONE);
	assert_int_equal(shunt_cq_destroy(b.cq), 0);
	/* learned, planned and published times are of the clock before: jobs run all the same */
	for (int i = 0; i < 100; i++) {
		atomic_store(&b.done, 0);
		tu_join(b.f.rt, tu_submit(b.f.rt, b.f.count, &b.done), SHUNT_JOB_DONE);
	}
	tu_close(b.f.rt);
}

/* Two workers, and a choice that is kept until a time that the clock will not reach for an hour. */
static void test_choice(void **state)
{
	struct shunt_type_id wide, one;
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	atomic_uint n = 0;

	(void)state;
	use_tsc();
	rt = tu_runtime();
	wide = tu_type(rt, tu_pool(rt, "wide", 2), "wide", tu_count_job);
	for (int i = 0; i < 2000; i++)
		tu_join(rt, tu_submit(rt, wide, &n), SHUNT_JOB_DONE);
	sh_clock_global.ns0 -= STEP_NS;
	assert_int_equal(shunt_type_destroy(rt, wide, TU_LONG_NS), 0);
	assert_int_equal(shunt_pool_find(rt, "wide", &pool), 0);
	assert_int_equal(shunt_pool_destroy(rt, pool), 0);
	/* the entry of the wide pool, with fewer workers */
	pool = tu_pool(rt, "small", 1);
	one = tu_type(rt, pool, "one", tu_count_job);
	for (int i = 0; i < 2000; i++)
		tu_join(rt, tu_submit(rt, one, &n), SHUNT_JOB_DONE);
	assert_int_equal(atomic_load(&n), 4000);
	tu_close(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
