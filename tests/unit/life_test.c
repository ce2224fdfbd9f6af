/*
 * Lives: several runtimes, drain and resume, destroy with work left, fork, types and pools that come and go, threads that
 * come and go. Nothing hangs, nothing is lost silently.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <sys/wait.h>
#include <unistd.h>

#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "sched/world.h"

/* ---- several runtimes ---- */

static void test_several(void **state)
{
	struct shunt_runtime *rt[12];
	struct shunt_type_id type[12];
	atomic_uint n[12];
	uint32_t round, i, k;

	(void)state;
	for (round = 0; round < 3; round++) { /* more than a thread remembers, and slots are used again */
		for (i = 0; i < 12; i++) {
			struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;

			ro.jobs_max = 256;
			ro.submitters_max = 4;
			rt[i] = tu_runtime_with(&ro);
			type[i] = tu_type(rt[i], tu_pool(rt[i], "main", 1), "count", tu_count_job);
			atomic_store(&n[i], 0);
		}
		for (k = 0; k < 100; k++)
			for (i = 0; i < 12; i++) {
				struct shunt_job_spec s = tu_spec(type[i], &n[i]);

				s.on_full = SHUNT_ON_FULL_BLOCK;
				assert_int_equal(shunt_submit(rt[i], &s, NULL), 0);
			}
		for (i = 0; i < 12; i++) {
			assert_int_equal(shunt_runtime_drain(rt[i], TU_LONG_NS, NULL), 0);
			assert_int_equal(atomic_load(&n[i]), 100);
			if (i % 2)
				tu_destroy(rt[i], 0);
		}
		for (i = 0; i < 12; i += 2)
			tu_destroy(rt[i], 0);
	}
	assert_int_equal(shunt_runtime_destroy(NULL, NULL), 0);
}

/* ---- destroy ---- */

static void test_destroy_queued(void **state)
{
	static struct tu_log seen;
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct tu_gate g = { 0, 0 };
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id a, b, gate;
	struct shunt_job_id id;
	atomic_uint n = 0;
	const struct shunt_job_opts on_0 = SHUNT_JOB_OPTS_INIT;
	uint64_t left;
	uint32_t i;

	(void)state;
	tu_log_open(&seen);
	ro.log = tu_log_take;
	ro.log_arg = &seen;
	rt = tu_runtime_with(&ro);
	{
		struct shunt_pool_opts po = tu_pool_opts("main", 1);

		po.async_max = 1;
		po.ring_capacity = 4; /* some wait in the backlog too */
		pool = tu_pool_with(rt, &po);
	}
	gate = tu_type(rt, pool, "gate-type", tu_gate_job);
	a = tu_type(rt, pool, "alpha-type", tu_count_job);
	b = tu_type(rt, pool, "beta-type", tu_count_job);
	(void)tu_type(rt, pool, "idle-type", tu_count_job);
	(void)shunt_detach(rt, tu_hold(rt, gate, &g));
	for (i = 0; i < 30; i++) {
		struct shunt_job_spec s = tu_spec(i % 3 ? a : b, &n);

		s.flags = i % 5 == 0 ? SHUNT_JOB_KEYED : i % 5 == 1 ? SHUNT_JOB_ON_WORKER : 0;
		s.opts = i % 5 == 1 ? &on_0 : NULL;
		s.key = i;
		s.level = (uint8_t)(i % 5);
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	}
	for (i = 0; i < 4; i++) { /* these end before: they are not cancelled once more by destroy */
		id = tu_submit(rt, a, &n);
		assert_int_equal(shunt_cancel(rt, id), 0);
		assert_int_equal(shunt_detach(rt, id), 0);
	}
	assert_int_equal(shunt_runtime_drain(rt, 1000000, &left), SHUNT_ETIMEDOUT);
	assert_int_equal(left, 31); /* and the one that runs */
	{
		struct shunt_job_spec s = tu_spec(a, &n);

		assert_int_equal(shunt_submit(rt, &s, NULL), SHUNT_ESTOPPED);
	}
	atomic_store(&g.open, 1); /* some jobs may run before destroy stops the worker: the rest is cancelled */
	assert_int_equal(shunt_runtime_destroy(rt, &left), 0);
	assert_in_range(left, 0, 30);
	assert_int_equal((unsigned)left + atomic_load(&n), 30);
	if (left > 0)
		assert_true(strstr(seen.text, "alpha-type") || strstr(seen.text, "beta-type"));
	assert_null(strstr(seen.text, "idle-type"));
}

struct late {
	struct shunt_runtime *rt;
	struct shunt_type_id count;
	struct shunt_job_id queued;
	struct tu_gate gate;
	atomic_uint n;
	int wait_rc, submit_rc, snapshot_rc;
	struct shunt_result result;
};

/* Stands until the runtime stops accepting (destroy has begun), then does what only destroy can end. */
static int late_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct late *l = arg;
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_job_spec s = tu_spec(l->count, &l->n);
	struct shunt_snapshot *snap = NULL;
	uint64_t end = tu_now_s() + TU_DEADLINE_S;

	tu_gate_pass(&l->gate);
	do
		l->submit_rc = shunt_submit(rt, &s, NULL);
	while (l->submit_rc != SHUNT_ESTOPPED && tu_now_s() < end);
	/* inside a job it is allowed: it must not hang on destroy's lock */
	l->snapshot_rc = shunt_snapshot_create(rt, &snap);
	shunt_snapshot_destroy(snap);
	l->wait_rc = shunt_wait(rt, l->queued, TU_LONG_NS, &l->result);
	return 0;
}

static void test_destroy_waiting_handler(void **state)
{
	static struct late l;
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct shunt_job_spec s;
	struct shunt_pool_id pool;

	(void)state;
	memset(&l, 0, sizeof(l));
	po.queue_max = 5000;
	l.rt = tu_runtime();
	pool = tu_pool_with(l.rt, &po);
	l.count = tu_type(l.rt, pool, "count", tu_count_job);
	(void)shunt_detach(l.rt, tu_submit(l.rt, tu_type(l.rt, pool, "late", late_job), &l));
	tu_wait_until(atomic_load(&l.gate.arrived) == 1);
	s = tu_spec(l.count, &l.n);
	s.flags = SHUNT_JOB_KEYED; /* the waiter may not run it itself, and no thread is left for it */
	assert_int_equal(shunt_submit(l.rt, &s, &l.queued), 0);
	atomic_store(&l.gate.open, 1);
	assert_int_equal(shunt_runtime_destroy(l.rt, NULL), 0);
	assert_int_equal(l.submit_rc, SHUNT_ESTOPPED);
	assert_true(l.snapshot_rc == 0 || l.snapshot_rc == SHUNT_ESTOPPED);
	assert_true(l.wait_rc == 0 || l.wait_rc == SHUNT_EDEADLK || l.wait_rc == SHUNT_ESTOPPED);
}

/* They wait for the thread that calls them. */
static void control_calls(struct shunt_runtime *rt, int rc[4])
{
	struct shunt_pool_id pool = { 1 };
	struct shunt_type_id type = { 1u << 16 | 1u };

	rc[0] = shunt_runtime_destroy(rt, NULL);
	rc[1] = shunt_runtime_drain(rt, 0, NULL);
	rc[2] = shunt_pool_destroy(rt, pool);
	rc[3] = shunt_type_destroy(rt, type, 0);
}

static int control_job(struct shunt_job_ctx *ctx, void *arg)
{
	control_calls(shunt_job_runtime(ctx), arg);
	return 0;
}

struct control_hook {
	struct shunt_runtime *rt;
	int rc[4];
	atomic_bool over;
};

static void control_hook(void *arg, uint32_t worker)
{
	struct control_hook *h = arg;

	(void)worker;
	control_calls(h->rt, h->rc);
	atomic_store(&h->over, true);
}

static void test_inside_hook(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct control_hook h = { .rt = tu_runtime() };

	(void)state;
	po.on_start = control_hook;
	po.hook_arg = &h;
	(void)tu_pool_with(h.rt, &po);
	tu_wait_until(atomic_load(&h.over));
	for (int i = 0; i < 4; i++)
		assert_int_equal(h.rc[i], SHUNT_EDEADLK);
	tu_destroy(h.rt, 0);
}

static void test_inside_job(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	int rc[4] = { 0 };

	(void)state;
	tu_join(rt, tu_submit(rt, tu_type(rt, tu_pool(rt, "main", 1), "control", control_job), rc), SHUNT_JOB_DONE);
	assert_int_equal(rc[0], SHUNT_EDEADLK);
	assert_int_equal(rc[1], SHUNT_EDEADLK);
	assert_int_equal(rc[2], SHUNT_EDEADLK);
	assert_int_equal(rc[3], SHUNT_EDEADLK);
	tu_destroy(rt, 0);
}

/* ---- drain ---- */

struct chain {
	struct shunt_type_id type[2];
	atomic_uint left;
};

static int chain_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct chain *c = arg;
	unsigned left = atomic_fetch_sub(&c->left, 1);
	struct shunt_job_spec s = tu_spec(c->type[left % 2], c);
	uint32_t i;

	for (i = 0; i < 2000; i++)
		(void)atomic_load(&c->left);
	return left > 1 ? shunt_submit(shunt_job_runtime(ctx), &s, NULL) : 0;
}

/* Jobs that spawn jobs of the other type: a drain that returns 0 has seen the last of them. */
static void test_drain_spawning(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_id pool = tu_pool(rt, "main", 2);
	struct chain c;
	atomic_uint n = 0;
	struct shunt_job_spec s;
	uint32_t round;

	(void)state;
	c.type[0] = tu_type(rt, pool, "even", chain_job);
	c.type[1] = tu_type(rt, pool, "odd", chain_job);
	for (round = 0; round < 10; round++) {
		atomic_store(&c.left, TU_TSAN_SCALE(3000u, 300u));
		s = tu_spec(c.type[0], &c);
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
		assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
		assert_int_equal(atomic_load(&c.left), 0);
		assert_int_equal(shunt_submit(rt, &s, NULL), SHUNT_ESTOPPED);
		assert_int_equal(shunt_runtime_drain(rt, 0, NULL), 0);
		assert_int_equal(shunt_runtime_resume(rt), 0);
		assert_int_equal(shunt_runtime_resume(rt), 0);
	}
	s = tu_spec(tu_type(rt, pool, "count", tu_count_job), &n);
	assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&n), 1);
	tu_destroy(rt, 0);
}

/* ---- fork ---- */

static int child_checks(struct shunt_runtime *rt, struct shunt_type_id type, struct shunt_job_id id, struct shunt_group_id g)
{
	struct shunt_job_spec s = tu_spec(type, NULL);
	struct shunt_pool_opts po = tu_pool_opts("childs", 1);
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct shunt_pool_id pool = { 1 };
	struct shunt_snapshot *snap = NULL;
	struct shunt_type_id t;
	int error = 0;

	to.name = "childs";
	to.pool = pool;
	to.handler = tu_count_job;
#define FORKED(call) \
	do { \
		if ((call) != SHUNT_EFORKED) { \
			(void)fprintf(stderr, "child: %s is not SHUNT_EFORKED\n", #call); \
			return 1; \
		} \
	} while (0)
	FORKED(shunt_submit(rt, &s, NULL));
	FORKED(shunt_submit(rt, &s, &id));
	FORKED(shunt_wait(rt, id, SHUNT_FOREVER, NULL));
	FORKED(shunt_poll(rt, id, NULL));
	FORKED(shunt_cancel(rt, id));
	FORKED(shunt_detach(rt, id));
	FORKED(shunt_complete(rt, id, 0));
	FORKED(shunt_group_create(rt, &g));
	FORKED(shunt_group_wait(rt, g, SHUNT_FOREVER));
	FORKED(shunt_group_pending(rt, g));
	FORKED(shunt_group_cancel(rt, g));
	FORKED(shunt_group_destroy(rt, g));
	FORKED(shunt_runtime_drain(rt, SHUNT_FOREVER, NULL));
	FORKED(shunt_runtime_resume(rt));
	FORKED(shunt_pool_create(rt, &po, &pool));
	FORKED(shunt_pool_find(rt, "main", &pool));
	FORKED(shunt_pool_destroy(rt, pool));
	FORKED(shunt_type_create(rt, &to, &t));
	FORKED(shunt_type_find(rt, "count", &t));
	FORKED(shunt_type_destroy(rt, type, SHUNT_FOREVER));
	FORKED(shunt_snapshot_create(rt, &snap));
	if (shunt_submit_batch(rt, &s, 1, NULL, &error) != 0 || error != SHUNT_EFORKED)
		return 2;
	if (shunt_runtime_destroy(rt, NULL) != 0)
		return 3;
	return 0;
}

/* In the child a runtime of its own works. */
static int child_own(void)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("own", 1);
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct shunt_runtime *rt = NULL;
	struct shunt_job_spec s;
	struct shunt_type_id type;
	atomic_uint n = 0;
	uint64_t left;

	ro.jobs_max = 128;
	if (shunt_runtime_create(&rt, &ro) != 0 || shunt_pool_create(rt, &po, &to.pool) != 0)
		return 4;
	to.name = "own";
	to.handler = tu_count_job;
	if (shunt_type_create(rt, &to, &type) != 0)
		return 5;
	s = tu_spec(type, &n);
	if (shunt_submit(rt, &s, NULL) != 0 || shunt_runtime_drain(rt, TU_LONG_NS, NULL) != 0 || atomic_load(&n) != 1)
		return 6;
	return shunt_runtime_destroy(rt, &left) == 0 && left == 0 ? 0 : 7;
}

static void test_fork(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_id pool = tu_pool(rt, "main", 2);
	struct shunt_type_id count = tu_type(rt, pool, "count", tu_count_job);
	struct shunt_type_id gate = tu_type(rt, pool, "gate", tu_gate_job);
	struct tu_gate g = { 0, 0 };
	struct shunt_group_id group;
	struct shunt_job_id id;
	atomic_uint n = 0;
	/* ThreadSanitizer does not follow threads of a forked child, user emulation does not survive them. */
	const uint32_t rounds = getenv("TEST_EMULATED") ? 0 : TU_TSAN_SCALE(5u, 0u);
	uint32_t round, i;

	(void)state;
	assert_int_equal(shunt_group_create(rt, &group), 0);
	id = tu_hold(rt, gate, &g);
	if (rounds == 0)
		print_message("skipped: a fork with threads, which emulator and ThreadSanitizer cannot follow\n");
	for (round = 0; round < rounds; round++) {
		int status = 0;
		pid_t pid;

		for (i = 0; i < 100; i++) {
			struct shunt_job_spec s = tu_spec(count, &n);

			assert_int_equal(shunt_submit(rt, &s, NULL), 0);
		}
		(void)fflush(stdout);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)alarm(20);
			status = child_checks(rt, count, id, group);
			_exit(status ? status : child_own());
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	atomic_store(&g.open, 1); /* the parent goes on as if nothing had been */
	tu_join(rt, id, SHUNT_JOB_DONE);
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&n), rounds * 100);
	tu_destroy(rt, 0);
}

/* ---- types and pools ---- */

static void test_types(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_id pool = tu_pool(rt, "main", 1);
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id a, b, found;
	struct tu_gate g = { 0, 0 };
	atomic_uint n = 0;
	struct shunt_job_spec s;
	uint32_t round;

	(void)state;
	for (round = 0; round < 30; round++) { /* the place is used again; the old id is dead for good */
		a = tu_type(rt, pool, "a", tu_count_job);
		assert_int_equal(shunt_type_find(rt, "a", &found), 0);
		assert_true(found.v == a.v);
		s = tu_spec(a, &n);
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
		assert_int_equal(shunt_type_destroy(rt, a, TU_LONG_NS), 0);
		assert_int_equal(atomic_load(&n), round + 1);
		assert_int_equal(shunt_submit(rt, &s, NULL), SHUNT_ENOENT);
		assert_int_equal(shunt_type_find(rt, "a", &found), SHUNT_ENOENT);
		assert_int_equal(shunt_type_destroy(rt, a, 0), SHUNT_ENOENT);
		b = tu_type(rt, pool, "b", tu_count_job);
		assert_true(b.v != a.v);
		assert_int_equal(shunt_submit(rt, &s, NULL), SHUNT_ENOENT);
		assert_int_equal(shunt_type_destroy(rt, b, TU_LONG_NS), 0);
	}
	/* Closed but not drained: the name is free at once, and the old type's end must not take the new one's name. */
	a = tu_type(rt, pool, "held", tu_gate_job);
	(void)shunt_detach(rt, tu_hold(rt, a, &g));
	assert_int_equal(shunt_type_destroy(rt, a, 0), SHUNT_ETIMEDOUT);
	s = tu_spec(a, &g);
	assert_int_equal(shunt_submit(rt, &s, NULL), SHUNT_ENOENT);
	b = tu_type(rt, pool, "held", tu_count_job);
	atomic_store(&g.open, 1);
	assert_int_equal(shunt_type_destroy(rt, a, TU_LONG_NS), 0);
	assert_int_equal(shunt_type_find(rt, "held", &found), 0);
	assert_true(found.v == b.v);
	to.name = "held";
	to.pool = pool;
	to.handler = tu_count_job;
	assert_int_equal(shunt_type_create(rt, &to, &found), SHUNT_EEXIST);
	to.name = "Bad Name";
	assert_int_equal(shunt_type_create(rt, &to, &found), SHUNT_EINVAL);
	to.name = "fine";
	to.pool.v = 63;
	assert_int_equal(shunt_type_create(rt, &to, &found), SHUNT_ENOENT);
	to.pool = pool;
	to.handler = NULL;
	assert_int_equal(shunt_type_create(rt, &to, &found), SHUNT_EINVAL);
	tu_close(rt);
}

/* An id that was given back never comes again, however many others came since. */
static void test_ids_once(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_id old = tu_pool(rt, "old", 1), pool;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id stale, type = { 0 };
	struct shunt_group_id gone, g;
	struct shunt_job_spec s;
	atomic_uint n = 0;
	uint32_t index;

	(void)state;
	assert_int_equal(shunt_pool_destroy(rt, old), 0);
	pool = tu_pool(rt, "new", 1);
	assert_true(pool.v != old.v && (pool.v & SH_ID_INDEX) == (old.v & SH_ID_INDEX));
	to.name = "type";
	to.handler = tu_count_job;
	to.pool = old;
	assert_int_equal(shunt_type_create(rt, &to, &type), SHUNT_ENOENT);
	assert_int_equal(shunt_pool_destroy(rt, old), SHUNT_ENOENT);
	stale = tu_type(rt, pool, "stale", tu_count_job);
	assert_int_equal(shunt_type_destroy(rt, stale, TU_LONG_NS), 0);
	index = sh_id_index(stale.v);
	for (uint32_t i = 0; i <= 1u << 16; i++) {
		type = tu_type(rt, pool, "type", tu_count_job);
		assert_true(type.v != stale.v);
		if (i < 1u << 16)
			assert_int_equal(shunt_type_destroy(rt, type, TU_LONG_NS), 0);
	}
	s = tu_spec(stale, &n);
	assert_int_equal(shunt_submit(rt, &s, NULL), SHUNT_ENOENT);
	assert_int_equal(shunt_type_destroy(rt, stale, TU_LONG_NS), SHUNT_ENOENT);
	/* the last generations of an entry: then it is not used again */
	assert_int_equal(shunt_type_destroy(rt, type, TU_LONG_NS), 0);
	rt->type[index].generation = SH_ID_GENERATIONS - 1;
	type = tu_type(rt, pool, "type", tu_count_job);
	assert_int_equal(type.v, sh_id_make(index, SH_ID_GENERATIONS));
	assert_int_equal(shunt_type_destroy(rt, type, TU_LONG_NS), 0);
	type = tu_type(rt, pool, "type", tu_count_job);
	assert_int_equal(sh_id_index(type.v), index + 1);
	assert_int_equal(shunt_type_destroy(rt, type, TU_LONG_NS), 0);
	rt->pool_generation[sh_id_index(pool.v)] = SH_ID_GENERATIONS;
	assert_int_equal(shunt_pool_destroy(rt, pool), 0);
	assert_int_equal(sh_id_index(tu_pool(rt, "next", 1).v), sh_id_index(pool.v) + 1);
	assert_int_equal(shunt_group_create(rt, &gone), 0);
	assert_int_equal(shunt_group_destroy(rt, gone), 0);
	assert_int_equal(shunt_group_create(rt, &g), 0);
	assert_true(g.v != gone.v);
	assert_int_equal(shunt_group_pending(rt, gone), SHUNT_ESTALE);
	assert_int_equal(atomic_load(&n), 0);
	tu_close(rt);
}

static void test_pools(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct shunt_pool_id pool, keep, found;
	struct shunt_type_id type;
	atomic_uint n = 0;
	uint32_t round, i;

	(void)state;
	keep = tu_pool(rt, "keep", 1);
	for (round = 0; round < 10; round++) {
		pool = tu_pool_with(rt, &po);
		assert_int_equal(shunt_pool_create(rt, &po, &found), SHUNT_EEXIST);
		type = tu_type(rt, pool, "count", tu_count_job);
		for (i = 0; i < 50; i++)
			(void)shunt_detach(rt, tu_submit(rt, type, &n));
		assert_int_equal(shunt_pool_destroy(rt, pool), SHUNT_EBUSY);
		assert_int_equal(shunt_type_destroy(rt, type, TU_LONG_NS), 0);
		assert_int_equal(shunt_pool_find(rt, "main", &found), 0);
		assert_int_equal(shunt_pool_destroy(rt, pool), 0);
		assert_int_equal(shunt_pool_destroy(rt, pool), SHUNT_ENOENT);
		assert_int_equal(shunt_pool_find(rt, "main", &found), SHUNT_ENOENT);
		assert_int_equal(atomic_load(&n), 50 * (round + 1));
		assert_int_equal(shunt_runtime_drain(rt, 1000000000, NULL), 0); /* what ran in a pool that is gone is finished all the same */
		assert_int_equal(shunt_runtime_resume(rt), 0);
	}
	type = tu_type(rt, keep, "count", tu_count_job); /* the type's place, now in another pool */
	tu_join(rt, tu_submit(rt, type, &n), SHUNT_JOB_DONE);
	assert_int_equal(shunt_type_destroy(rt, type, TU_LONG_NS), 0);
	tu_destroy(rt, 0);
}

/* ---- threads ---- */

struct visitor {
	struct shunt_runtime *rt;
	struct shunt_type_id type;
	atomic_uint n;
	atomic_uint bad;
};

static void *visit(void *arg)
{
	struct visitor *v = arg;
	struct shunt_job_spec s = tu_spec(v->type, &v->n);
	struct shunt_job_id id;
	uint32_t i;

	s.on_full = SHUNT_ON_FULL_BLOCK;
	for (i = 0; i < 3; i++)
		if (shunt_submit(v->rt, &s, NULL) != 0)
			(void)atomic_fetch_add(&v->bad, 1);
	if (shunt_submit(v->rt, &s, &id) != 0 || shunt_wait(v->rt, id, TU_LONG_NS, NULL) != 0)
		(void)atomic_fetch_add(&v->bad, 1);
	return NULL;
}

/* Many short-lived threads, few submitters: slots come back, and who gets none is served all the same. */
static void test_thread_churn(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	const uint32_t threads = TU_TSAN_SCALE(2000u, 300u);
	struct visitor v;
	pthread_t t[10];
	uint32_t i, k;

	(void)state;
	memset(&v, 0, sizeof(v));
	ro.submitters_max = 4;
	ro.jobs_max = 64;
	v.rt = tu_runtime_with(&ro);
	v.type = tu_type(v.rt, tu_pool(v.rt, "main", 2), "count", tu_count_job);
	for (i = 0; i < threads / 10; i++) {
		for (k = 0; k < 10; k++)
			assert_int_equal(pthread_create(&t[k], NULL, visit, &v), 0);
		for (k = 0; k < 10; k++)
			(void)pthread_join(t[k], NULL);
	}
	assert_int_equal(atomic_load(&v.bad), 0);
	assert_int_equal(shunt_runtime_drain(v.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&v.n), 4 * threads);
	assert_int_equal(shunt_runtime_resume(v.rt), 0);
	(void)tu_pool(v.rt, "later", 2); /* workers still find a submitter each */
	tu_destroy(v.rt, 0);
}

/* ---- what a thread keeps for its next submits ---- */

struct keeper {
	struct shunt_runtime *rt;
	struct shunt_type_id type;
	struct tu_gate all; /* every one of them has something before the first one ends */
	atomic_uint n, bad;
};

static void *keep_and_end(void *arg)
{
	struct keeper *k = arg;
	struct shunt_job_spec s = tu_spec(k->type, &k->n);
	struct shunt_job_id id;

	if (shunt_submit(k->rt, &s, &id) != 0 || shunt_wait(k->rt, id, TU_LONG_NS, NULL) != 0)
		(void)atomic_fetch_add(&k->bad, 1);
	if (shunt_submit(k->rt, &s, NULL) != 0)
		(void)atomic_fetch_add(&k->bad, 1);
	tu_gate_pass(&k->all);
	return NULL;
}

static uint32_t free_items(struct sh_slab *s, uint32_t max)
{
	uint32_t *items = calloc(max, sizeof(*items));
	uint32_t n = 0;
	uint32_t i;

	assert_non_null(items);
	while (n < max && (items[n] = sh_slab_alloc(s, NULL, 0)) != 0)
		n++;
	for (i = 0; i < n; i++)
		sh_slab_free(s, NULL, items[i]);
	free(items);
	return n;
}

static void keepers_come_and_go(struct keeper *k)
{
	pthread_t t[8];
	uint32_t i;

	atomic_store(&k->all.arrived, 0);
	atomic_store(&k->all.open, 0);
	for (i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, keep_and_end, k), 0);
	tu_wait_until(atomic_load(&k->all.arrived) == 8);
	atomic_store(&k->all.open, 1);
	for (i = 0; i < 8; i++)
		(void)pthread_join(t[i], NULL);
	assert_int_equal(atomic_load(&k->bad), 0);
}

/* Threads that end, workers of a pool that is removed too, give back every credit and record that they cached. */
static void test_caches_come_back(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	const uint32_t max = SH_SLAB_CACHE * 1024; /* so many that a thread may keep some */
	struct shunt_pool_id pool;
	struct keeper k;
	uint32_t i;

	(void)state;
	memset(&k, 0, sizeof(k));
	ro.jobs_max = max;
	ro.handles_max = max;
	k.rt = tu_runtime_with(&ro);
	assert_int_equal(k.rt->records.cache_max, SH_SLAB_CACHE);
	assert_true(k.rt->credit_cache > 0);
	for (i = 0; i < 3; i++) {
		pool = tu_pool(k.rt, "main", 2);
		k.type = tu_type(k.rt, pool, "count", tu_count_job);
		keepers_come_and_go(&k);
		assert_int_equal(shunt_type_destroy(k.rt, k.type, TU_LONG_NS), 0);
		assert_int_equal(shunt_pool_destroy(k.rt, pool), 0);
		assert_int_equal(sh_a64_load_acq(&k.rt->credits), max);
		assert_int_equal(free_items(&k.rt->records, max), max);
	}
	tu_destroy(k.rt, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_destroy_queued),
		cmocka_unit_test(test_destroy_waiting_handler),
		cmocka_unit_test(test_inside_job),
		cmocka_unit_test(test_inside_hook),
		cmocka_unit_test(test_drain_spawning),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_ids_once),
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_thread_churn),
		cmocka_unit_test(test_caches_come_back),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
