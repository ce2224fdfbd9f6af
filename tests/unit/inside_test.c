/*
 * Calls that meet: a runtime is destroyed while other threads are inside its calls, a log hook makes calls of its own.
 * Everybody comes back, and nothing is used after it was freed.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/cq.h>
#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "sched/world.h"

/* ---- a log hook that makes calls ---- */

static void pause_ms(uint32_t ms)
{
	const struct timespec t = { 0, (long)ms * 1000000 };

	(void)nanosleep(&t, NULL);
}

static int sleep_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	pause_ms(5);
	return SHUNT_DONE;
}

struct log_calls {
	struct shunt_runtime *rt;
	atomic_uint lines, snapshots;
};

static void log_snapshot(void *arg, enum shunt_log_level level, const char *message)
{
	struct log_calls *l = arg;
	struct shunt_snapshot *snap = NULL;
	struct shunt_pool_id id;

	(void)level;
	(void)message;
	(void)atomic_fetch_add(&l->lines, 1);
	if (!l->rt)
		return;
	(void)shunt_pool_find(l->rt, "p", &id); /* and a call that fails changes no detail of the call that logs */
	(void)shunt_runtime_resume(NULL);
	if (shunt_snapshot_create(l->rt, &snap) == 0)
		(void)atomic_fetch_add(&l->snapshots, 1);
	shunt_snapshot_destroy(snap);
}

/* Nothing is logged under a lock: a hook that takes a snapshot hangs neither a refusal, nor a start, nor destroy. */
static void test_log_calls(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("p", 2);
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct log_calls log = { .rt = NULL };
	struct shunt_pool_id pool;
	struct shunt_type_id type;
	struct shunt_job_spec s;
	uint32_t i, before;

	(void)state;
	ro.log = log_snapshot;
	ro.log_arg = &log;
	ro.log_level = SHUNT_LOG_DEBUG;
	log.rt = tu_runtime_with(&ro);
	po.nice = -20; /* where it is not allowed, each worker says so */
	assert_int_equal(shunt_pool_create(log.rt, &po, &pool), 0);
	to.name = "t";
	to.handler = sleep_job;
	to.pool.v = 99;
	before = atomic_load(&log.lines);
	assert_int_equal(shunt_type_create(log.rt, &to, &type), SHUNT_ENOENT);
	assert_true(atomic_load(&log.lines) > before);
	assert_non_null(strstr(shunt_error_detail(), "types.t.pool: no pool 99"));
	type = tu_type(log.rt, pool, "t", sleep_job);
	s = tu_spec(type, NULL);
	for (i = 0; i < 500; i++)
		assert_int_equal(shunt_submit(log.rt, &s, NULL), 0);
	before = atomic_load(&log.lines);
	assert_int_equal(shunt_runtime_destroy(log.rt, NULL), 0);
	assert_true(atomic_load(&log.lines) > before); /* it says what is left */
	assert_true(atomic_load(&log.snapshots) > 0);
}

/* ---- a callback that destroys what it returns to ---- */

static void destroys(void *arg, struct shunt_job_id id, const struct shunt_result *r)
{
	struct log_calls *l = arg;

	(void)id;
	(void)r;
	atomic_store(&l->lines, shunt_runtime_destroy(l->rt, NULL) == SHUNT_EDEADLK);
}

static void *open_later(void *gate)
{
	pause_ms(20);
	atomic_store(&((struct tu_gate *)gate)->open, 1);
	return NULL;
}

struct canceller {
	struct shunt_runtime *rt;
	struct shunt_job_id id;
};

static void *cancel_thread(void *arg)
{
	const struct canceller *c = arg;

	assert_int_equal(shunt_cancel(c->rt, c->id), 0);
	return NULL;
}

/* In threads of the program, whose cancel runs the callback, one of which never submits; in a worker; in destroy. */
static void test_destroy_in_callback(void **state)
{
	struct tu_gate g = { 0, 0 };
	struct log_calls l = { .rt = tu_runtime() };
	struct shunt_pool_id pool = tu_pool(l.rt, "p", 1);
	struct shunt_type_id gate = tu_type(l.rt, pool, "gate", tu_gate_job);
	struct shunt_job_id held = tu_hold(l.rt, gate, &g), id;
	struct shunt_job_spec s = tu_spec(gate, &g);

	(void)state;
	s.done = destroys;
	s.done_arg = &l;
	for (uint32_t i = 0; i < 3; i++) {
		pthread_t t;

		atomic_store(&l.lines, 0);
		assert_int_equal(shunt_submit(l.rt, &s, &id), 0);
		if (i == 0) {
			assert_int_equal(shunt_cancel(l.rt, id), 0);
		} else if (i == 1) {
			struct canceller c = { l.rt, id };

			assert_int_equal(pthread_create(&t, NULL, cancel_thread, &c), 0);
			assert_int_equal(pthread_join(t, NULL), 0);
		} else {
			atomic_store(&g.open, 1);
		}
		tu_join(l.rt, id, i < 2 ? SHUNT_JOB_CANCELLED : SHUNT_JOB_DONE);
		assert_int_equal(atomic_load(&l.lines), 1);
	}
	tu_join(l.rt, held, SHUNT_JOB_DONE);
	atomic_store(&l.lines, 0);
	memset(&g, 0, sizeof(g));
	held = tu_hold(l.rt, gate, &g);
	assert_int_equal(shunt_detach(l.rt, held), 0);
	assert_int_equal(shunt_submit(l.rt, &s, NULL), 0); /* destroy cancels it */
	{
		pthread_t t;

		assert_int_equal(pthread_create(&t, NULL, open_later, &g), 0);
		tu_destroy(l.rt, 1);
		assert_int_equal(pthread_join(t, NULL), 0);
	}
	assert_int_equal(atomic_load(&l.lines), 1);
}

/* ---- destroy while other threads are inside ---- */

#define INSIDE 6u

struct inside {
	struct shunt_runtime *rt;
	struct shunt_type_id type, gone;
	struct shunt_group_id group;
	struct shunt_cq *cq;
	atomic_uint started; /* threads that make their call now */
	atomic_uint open;    /* 1 = the handler that keeps the worker may end */
	bool drains;         /* else the gate stays open, and a submitter that waits for room waits for destroy */
	int code[INSIDE];
	struct shunt_result result;
};

static int keep_worker(struct shunt_job_ctx *ctx, void *arg)
{
	struct inside *in = arg;

	(void)ctx;
	while (!atomic_load(&in->open))
		pause_ms(1);
	return SHUNT_DONE;
}

static struct shunt_job_spec inside_spec(struct inside *in)
{
	return tu_spec(in->type, in);
}

static void *inside_wait(void *arg)
{
	struct inside *in = arg;
	struct shunt_job_spec s = inside_spec(in);
	struct shunt_job_id id;

	in->code[0] = shunt_submit(in->rt, &s, &id);
	atomic_fetch_add(&in->started, 1);
	if (in->code[0] == 0)
		in->code[0] = shunt_wait(in->rt, id, SHUNT_FOREVER, &in->result);
	return NULL;
}

static void *inside_group(void *arg)
{
	struct inside *in = arg;

	atomic_fetch_add(&in->started, 1);
	in->code[1] = shunt_group_wait(in->rt, in->group, SHUNT_FOREVER);
	return NULL;
}

static void *inside_submit(void *arg)
{
	struct inside *in = arg;
	struct shunt_job_spec s = inside_spec(in);

	s.on_full = SHUNT_ON_FULL_BLOCK;
	atomic_fetch_add(&in->started, 1);
	do
		in->code[2] = shunt_submit(in->rt, &s, NULL);
	while (in->code[2] == 0);
	return NULL;
}

static void *inside_cq(void *arg)
{
	struct inside *in = arg;

	atomic_fetch_add(&in->started, 1);
	in->code[3] = shunt_cq_wait(in->cq, SHUNT_FOREVER);
	return NULL;
}

static void *inside_drain(void *arg)
{
	struct inside *in = arg;

	atomic_fetch_add(&in->started, 1);
	in->code[4] = in->drains ? shunt_runtime_drain(in->rt, SHUNT_FOREVER, NULL) : SHUNT_ESTOPPED;
	return NULL;
}

static void *inside_type(void *arg)
{
	struct inside *in = arg;

	atomic_fetch_add(&in->started, 1);
	in->code[5] = shunt_type_destroy(in->rt, in->gone, SHUNT_FOREVER);
	return NULL;
}

static bool pools_stop(struct shunt_runtime *rt)
{
	return sh_a32_load_acq(&sh_runtime_pool_at(rt, 0)->stop) && sh_a32_load_acq(&sh_runtime_pool_at(rt, 1)->stop);
}

/* Once destroy has stopped both pools, and waits for the handlers, lets these end: no queued job starts. */
static void *inside_open(void *arg)
{
	struct inside *in = arg;

	tu_wait_until(pools_stop(in->rt));
	atomic_store(&in->open, 1);
	return NULL;
}

/* Calls of the runtime that threads are inside now. */
static uint64_t calls_inside(struct shunt_runtime *rt)
{
	uint64_t n = sh_a64_load_acq(&rt->shared_calls);
	uint32_t i;

	for (i = 0; i < rt->submitters; i++)
		n += sh_a64_load_acq(&rt->submitter[i].calls);
	return n;
}

/* Every blocking call comes back before the runtime's memory goes; the address sanitizer sees if one does not. */
static void test_destroy_inside(void **state)
{
	static void *(*const call[INSIDE])(void *) = { inside_wait, inside_group, inside_submit,
						       inside_cq, inside_drain, inside_type };
	const struct shunt_cq_opts co = SHUNT_CQ_OPTS_INIT;
	uint32_t round, i;

	(void)state;
	for (round = 0; round < 8; round++) {
		struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
		struct inside in = { .open = 0 };
		struct shunt_job_spec s;
		pthread_t thread[INSIDE], opener;

		ro.jobs_max = 64;
		in.rt = tu_runtime_with(&ro);
		in.type = tu_type(in.rt, tu_pool(in.rt, "main", 1), "keep", keep_worker);
		assert_int_equal(shunt_group_create(in.rt, &in.group), 0);
		assert_int_equal(shunt_cq_create(in.rt, &co, &in.cq), 0);
		in.drains = round % 2 == 0;
		in.gone = tu_type(in.rt, tu_pool(in.rt, "gone", 1), "gone", keep_worker);
		s = tu_spec(in.gone, &in);
		assert_int_equal(shunt_submit(in.rt, &s, NULL), 0);
		s = inside_spec(&in);
		s.group = in.group;
		assert_int_equal(shunt_submit(in.rt, &s, NULL), 0);
		assert_int_equal(shunt_submit(in.rt, &s, NULL), 0);
		for (i = 0; i < INSIDE; i++) {
			assert_int_equal(pthread_create(&thread[i], NULL, call[i], &in), 0);
			/* the first has its place before one fills the queue */
			tu_wait_until(atomic_load(&in.started) == i + 1);
		}
		/* a drain ends the submit that waits for room; without one, there is one call less */
		tu_wait_until(calls_inside(in.rt) == INSIDE - 1);
		assert_int_equal(pthread_create(&opener, NULL, inside_open, &in), 0);
		assert_int_equal(shunt_runtime_destroy(in.rt, NULL), 0);
		for (i = 0; i < INSIDE; i++)
			(void)pthread_join(thread[i], NULL);
		(void)pthread_join(opener, NULL);
		assert_int_equal(in.code[0], 0);
		assert_int_equal(in.result.status, SHUNT_JOB_CANCELLED);
		for (i = 1; i < INSIDE; i++)
			assert_int_equal(in.code[i], SHUNT_ESTOPPED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_destroy_inside),
		cmocka_unit_test(test_log_calls),
		cmocka_unit_test(test_destroy_in_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
