/*
 * A deadline is kept, however often the wait is interrupted: by a wake-up that was for somebody else, by capacity that
 * another thread took first, by a signal. Each sleep in the library ends at once here, as after a signal (point
 * "futex.wait"), and a timer interrupts those that are no futex. A wait that began anew each time would never end, but
 * where the machine kept this thread from running for the whole of it: such a round is repeated.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <shunt/error.h>

#include "base/inject.h"
#include "sched/capacity.h"
#include "sched/world.h"

#define TIMEOUT_NS 100000000u
#define TICK_US 1000
#define TICKS_MAX (TU_DEADLINE_S * 1000)

static const char *volatile waits_in; /* what the main thread waits in */
static volatile sig_atomic_t ticks;
static struct sh_pool *full_pool; /* a place in it is freed and taken again at each sleep */
static pthread_t main_thread;
static sigset_t alarms;                              /* for the main thread alone */
static uint32_t sleeps;                              /* of the main thread */
static volatile int64_t interrupted_ns, gap_most_ns; /* when last, and the longest time between two */

static void interrupted(void)
{
	int64_t now = (int64_t)shunt_now_ns();
	int64_t gap = now - interrupted_ns; /* below 0: the signal came between the two lines */

	if (gap > gap_most_ns)
		gap_most_ns = gap;
	interrupted_ns = now;
}

static bool undisturbed(void)
{
	interrupted();
	if (gap_most_ns < TIMEOUT_NS / 2)
		return true;
	gap_most_ns = 0;
	return false;
}

static void tick(int signal_number)
{
	(void)signal_number;
	interrupted();
	if (!waits_in || ++ticks < TICKS_MAX)
		return;
	(void)!write(STDERR_FILENO, waits_in, strlen(waits_in));
	(void)!write(STDERR_FILENO, ": its deadline never comes\n", 27);
	_exit(1);
}

static int on_point(void *arg, const char *point)
{
	(void)arg;
	if (strcmp(point, "futex.wait") != 0 || !pthread_equal(pthread_self(), main_thread))
		return 0;
	sleeps++;
	interrupted();
	if (full_pool) { /* capacity was released, and another submitter has it */
		(void)sh_a64_sub_acq_rel(&full_pool->in_pool, 1);
		sh_capacity_signal(full_pool);
		(void)sh_a64_add_acq_rel(&full_pool->in_pool, 1);
	}
	return 1;
}

struct held {
	struct tu_fixture f;
	struct tu_gate gate;
	struct shunt_job_id id;
	struct shunt_group_id group;
};

/* One worker, which stands at a gate in a job of the group. */
static void hold_open(struct held *h, uint32_t queue_max)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct itimerval often = { { 0, TICK_US }, { 0, TICK_US } };
	struct shunt_job_spec s;

	memset(h, 0, sizeof(*h));
	po.queue_max = queue_max;
	po.spares_max = SHUNT_ANY;
	main_thread = pthread_self();
	sleeps = 0;
	sh_inject_set(on_point, NULL);
	tu_fixture_open(&h->f, &ro, &po);
	assert_int_equal(shunt_group_create(h->f.rt, &h->group), 0);
	s = tu_spec(h->f.gate, &h->gate);
	s.group = h->group;
	assert_int_equal(shunt_submit(h->f.rt, &s, &h->id), 0);
	tu_wait_until(atomic_load(&h->gate.arrived) == 1);
	ticks = 0;
	gap_most_ns = 0;
	interrupted_ns = (int64_t)shunt_now_ns();
	assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &alarms, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
}

static void hold_close(struct held *h)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };

	waits_in = NULL;
	full_pool = NULL;
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &alarms, NULL), 0);
	atomic_store(&h->gate.open, 1);
	tu_join(h->f.rt, h->id, SHUNT_JOB_DONE);
	assert_int_equal(shunt_group_wait(h->f.rt, h->group, TU_LONG_NS), 0);
	assert_int_equal(shunt_group_destroy(h->f.rt, h->group), 0);
	tu_close(h->f.rt);
	sh_inject_set(NULL, NULL);
}

static void test_submit(void **state)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s;
	atomic_uint n = 0;
	struct held h;

	(void)state;
	hold_open(&h, 1);
	full_pool = sh_runtime_pool(h.f.rt, h.f.pool.v);
	s = tu_spec(h.f.count, &n);
	s.on_full = SHUNT_ON_FULL_BLOCK;
	o.full_timeout_ns = TIMEOUT_NS;
	s.opts = &o;
	waits_in = "shunt_submit";
	do {
		assert_int_equal(shunt_submit(h.f.rt, &s, NULL), SHUNT_ETIMEDOUT);
	} while (!undisturbed());
	assert_true(sleeps > 1);
	assert_int_equal(sh_a64_load_acq(&full_pool->in_pool), 1);
	hold_close(&h);
	assert_int_equal(atomic_load(&n), 0);
}

static void test_wait(void **state)
{
	struct held h;

	(void)state;
	hold_open(&h, 0);
	waits_in = "shunt_wait";
	do {
		assert_int_equal(shunt_wait(h.f.rt, h.id, TIMEOUT_NS, NULL), SHUNT_ETIMEDOUT);
	} while (!undisturbed());
	assert_true(sleeps > 1);
	hold_close(&h);
}

static void test_group_wait(void **state)
{
	struct held h;

	(void)state;
	hold_open(&h, 0);
	waits_in = "shunt_group_wait";
	do {
		assert_int_equal(shunt_group_wait(h.f.rt, h.group, TIMEOUT_NS), SHUNT_ETIMEDOUT);
	} while (!undisturbed());
	assert_true(sleeps > 1);
	hold_close(&h);
}

static void test_drain(void **state)
{
	struct held h;

	(void)state;
	hold_open(&h, 0);
	waits_in = "shunt_runtime_drain";
	do {
		assert_int_equal(shunt_runtime_drain(h.f.rt, TIMEOUT_NS, NULL), SHUNT_ETIMEDOUT);
	} while (!undisturbed());
	assert_int_equal(shunt_runtime_resume(h.f.rt), 0);
	hold_close(&h);
}

static void test_unregister(void **state)
{
	struct held h;

	(void)state;
	hold_open(&h, 0);
	waits_in = "shunt_type_destroy";
	do {
		assert_int_equal(shunt_type_destroy(h.f.rt, h.f.gate, TIMEOUT_NS), SHUNT_ETIMEDOUT);
	} while (!undisturbed());
	hold_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_submit),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_group_wait),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_unregister),
	};
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = tick;
	(void)sigemptyset(&alarms);
	(void)sigaddset(&alarms, SIGALRM);
	if (sigaction(SIGALRM, &sa, NULL) != 0 || pthread_sigmask(SIG_BLOCK, &alarms, NULL) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
