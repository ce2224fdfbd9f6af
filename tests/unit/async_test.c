/*
 * Asynchronous jobs: completed from other threads, before the handler returned, twice, with keys and groups; the bounds
 * per worker and pool hold at every moment, and a worker that is full never sleeps on work that others could do.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "base/rng.h"
#include "sched/world.h"

struct fixture {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id async, count;
};

/* Jobs that have returned SHUNT_PENDING (or are about to) and wait for somebody to complete them. */
struct pending {
	pthread_mutex_t lock;
	struct shunt_job_id id[4096];
	uint32_t n;
	atomic_uint started;
	atomic_uint in_flight, most;
	atomic_uint per_worker[8], per_worker_most;
	uint8_t worker[4096];
};

static struct pending pend;

static void raise_to(atomic_uint *top, unsigned v)
{
	unsigned old = atomic_load(top);

	while (old < v && !atomic_compare_exchange_weak(top, &old, v))
		;
}

static int async_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct pending *p = arg;
	uint32_t w = shunt_job_worker(ctx);

	w = w < 8 ? w : 7;
	raise_to(&p->most, atomic_fetch_add(&p->in_flight, 1) + 1);
	raise_to(&p->per_worker_most, atomic_fetch_add(&p->per_worker[w], 1) + 1);
	(void)atomic_fetch_add(&p->started, 1); /* before anybody can take it */
	(void)pthread_mutex_lock(&p->lock);
	p->worker[p->n] = (uint8_t)w;
	p->id[p->n++] = shunt_job_self(ctx);
	(void)pthread_mutex_unlock(&p->lock);
	return SHUNT_PENDING;
}

/* Takes one pending job out; false = none now. */
static bool pend_take(struct pending *p, struct shunt_job_id *id, uint32_t *worker)
{
	bool any;

	(void)pthread_mutex_lock(&p->lock);
	any = p->n > 0;
	if (any) {
		*id = p->id[--p->n];
		*worker = p->worker[p->n];
	}
	(void)pthread_mutex_unlock(&p->lock);
	return any;
}

static void finish(struct fixture *f, struct pending *p, struct shunt_job_id id, uint32_t worker, int code)
{
	(void)atomic_fetch_sub(&p->in_flight, 1);
	(void)atomic_fetch_sub(&p->per_worker[worker], 1);
	assert_int_equal(shunt_complete(f->rt, id, code), 0);
}

static void open_with(struct fixture *f, const struct shunt_pool_opts *po)
{
	memset(&pend, 0, sizeof(pend));
	(void)pthread_mutex_init(&pend.lock, NULL);
	f->rt = tu_runtime();
	f->pool = tu_pool_with(f->rt, po);
	f->async = tu_type_flags(f->rt, f->pool, "async", async_job, SHUNT_TYPE_ASYNC);
	f->count = tu_type(f->rt, f->pool, "count", tu_count_job);
}

static void close_all(struct fixture *f)
{
	assert_int_equal(shunt_runtime_drain(f->rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(sh_a32_load_acq(&sh_runtime_pool(f->rt, f->pool.v)->async_in_flight), 0);
	tu_destroy(f->rt, 0);
	(void)pthread_mutex_destroy(&pend.lock);
}

static void test_complete(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct fixture f;
	struct shunt_job_id id;
	struct shunt_job_id self = { 0 };
	struct shunt_result r;
	uint32_t w = 0;
	int code;

	(void)state;
	open_with(&f, &po);
	for (code = -3; code <= 3; code++) {
		id = tu_submit(f.rt, f.async, &pend);
		tu_wait_until(pend_take(&pend, &self, &w));
		assert_true(self.v == id.v);
		assert_int_equal(shunt_wait(f.rt, id, 1000, &r), SHUNT_ETIMEDOUT);
		tu_wait_until(shunt_poll(f.rt, id, &r) == SHUNT_EAGAIN && r.status == SHUNT_JOB_RUNNING);
		assert_int_equal(shunt_complete(f.rt, id, SHUNT_PENDING), SHUNT_EINVAL);
		finish(&f, &pend, id, w, code);
		assert_int_equal(shunt_complete(f.rt, id, 0), SHUNT_ESTALE);
		assert_int_equal(shunt_wait(f.rt, id, 0, &r), 0);
		assert_int_equal(r.status, code ? SHUNT_JOB_FAILED : SHUNT_JOB_DONE);
		assert_int_equal(r.code, code);
		assert_int_equal(r.detail, SHUNT_BY_COMPLETE);
		assert_int_equal(r.attempts, 1);
		assert_int_equal(r.worker, 0);
		assert_int_equal(shunt_complete(f.rt, id, 0), SHUNT_ESTALE);
	}
	close_all(&f);
}

static int early_job(struct shunt_job_ctx *ctx, void *arg)
{
	int rc = shunt_complete(shunt_job_runtime(ctx), shunt_job_self(ctx), *(int *)arg);

	if (rc != 0)
		return rc;
	rc = shunt_complete(shunt_job_runtime(ctx), shunt_job_self(ctx), 0);
	if (rc != SHUNT_ESTALE)
		(void)atomic_fetch_add(&pend.most, 1000);
	return SHUNT_PENDING;
}

static int sync_after_all(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	return *(int *)arg;
}

/* Completed before the handler returned; and a type that may be asynchronous but is not this time. */
static void test_early(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 2);
	struct fixture f;
	struct shunt_type_id early, sync;
	uint32_t i;

	(void)state;
	po.async_max = 1;
	po.async_pool_max = 1;
	open_with(&f, &po);
	early = tu_type_flags(f.rt, f.pool, "early", early_job, SHUNT_TYPE_ASYNC);
	sync = tu_type_flags(f.rt, f.pool, "sync", sync_after_all, SHUNT_TYPE_ASYNC);
	for (i = 0; i < 2000; i++) {
		int code = (int)(i % 3);
		struct shunt_result r;
		struct shunt_job_id id = tu_submit(f.rt, i % 2 ? early : sync, &code);

		assert_int_equal(shunt_wait(f.rt, id, TU_LONG_NS, &r), 0);
		assert_int_equal(r.code, code);
		assert_int_equal(r.status, code ? SHUNT_JOB_FAILED : SHUNT_JOB_DONE);
	}
	assert_int_equal(atomic_load(&pend.most), 0);
	close_all(&f);
}

struct completer {
	struct fixture *f;
	atomic_uint left;
	atomic_uint bad;
};

static void *completer_thread(void *arg)
{
	struct completer *c = arg;
	uint64_t end = tu_now_s() + TU_DEADLINE_S;

	while (atomic_load(&c->left) > 0 && tu_now_s() < end) {
		struct shunt_job_id id;
		uint32_t w = 0;

		if (!pend_take(&pend, &id, &w)) {
			(void)sched_yield();
			continue;
		}
		(void)atomic_fetch_sub(&pend.in_flight, 1);
		(void)atomic_fetch_sub(&pend.per_worker[w], 1);
		if (shunt_complete(c->f->rt, id, 0) != 0 || shunt_complete(c->f->rt, id, 0) != SHUNT_ESTALE)
			(void)atomic_fetch_add(&c->bad, 1);
		(void)atomic_fetch_sub(&c->left, 1);
	}
	return NULL;
}

/* Bounds at every moment, with completers that race with the handlers' returns. */
static void bounds_run(uint32_t workers, uint32_t async_max, uint32_t pool_max, enum shunt_idle idle)
{
	struct shunt_pool_opts po = tu_pool_opts("main", workers);
	struct completer c;
	struct fixture f;
	pthread_t t[2];
	/* Pollers do not give their cpu away: with few cpus every hand-over to a completer costs a time slice. */
	const uint32_t jobs = idle == SHUNT_IDLE_POLL ? 60u : TU_TSAN_SCALE(3000u, 600u);
	atomic_uint plain = 0;
	uint32_t i;

	po.async_max = async_max;
	po.async_pool_max = pool_max;
	po.idle = idle;
	open_with(&f, &po);
	c.f = &f;
	atomic_store(&c.left, jobs);
	atomic_store(&c.bad, 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, completer_thread, &c), 0);
	for (i = 0; i < jobs; i++) {
		struct shunt_job_spec s = tu_spec(f.async, &pend);

		s.level = (uint8_t)(i % 5);
		s.on_full = SHUNT_ON_FULL_BLOCK;
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
		s = tu_spec(f.count, &plain);
		s.on_full = SHUNT_ON_FULL_BLOCK;
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	}
	for (i = 0; i < 2; i++)
		(void)pthread_join(t[i], NULL);
	if (atomic_load(&c.left) != 0) /* a lost wake-up leaves jobs that never start */
		fail_msg("workers %u, async_max %u, async_pool_max %u, idle %d: %u of %u jobs not completed, %u started", workers,
			 async_max, pool_max, (int)idle, atomic_load(&c.left), jobs, atomic_load(&pend.started));
	assert_int_equal(atomic_load(&c.bad), 0);
	tu_wait_until(atomic_load(&plain) == jobs);
	if (async_max)
		assert_true(atomic_load(&pend.per_worker_most) <= async_max);
	if (pool_max)
		assert_true(atomic_load(&pend.most) <= pool_max);
	close_all(&f);
}

static void test_bounds(void **state)
{
	(void)state;
	bounds_run(1, 1, 0, SHUNT_IDLE_ADAPTIVE);
	bounds_run(3, 1, 0, SHUNT_IDLE_PARK);
	bounds_run(3, 3, 0, SHUNT_IDLE_ADAPTIVE);
	bounds_run(3, 8, 2, SHUNT_IDLE_PARK);
	bounds_run(3, 8, 1, SHUNT_IDLE_ADAPTIVE);
	bounds_run(2, 1, 1, SHUNT_IDLE_POLL);
}

/* A full worker's queue is for the others: jobs run while the asynchronous one stays open. */
static void full_worker_run(enum shunt_idle idle)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 2);
	struct fixture f;
	struct shunt_job_id id;
	struct shunt_job_id self = { 0 };
	atomic_uint n = 0;
	uint32_t w = 0;
	uint32_t i;

	po.async_max = 1;
	po.idle = idle;
	open_with(&f, &po);
	id = tu_submit(f.rt, f.async, &pend);
	tu_wait_until(pend_take(&pend, &self, &w));
	for (i = 0; i < 300; i++) {
		struct shunt_job_spec s = tu_spec(f.count, &n);

		s.flags = i % 3 == 1 ? SHUNT_JOB_KEYED : 0;
		s.key = i;
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
		if (i % 10 == 0) /* let both sleep now and then */
			tu_wait_until(atomic_load(&n) == i + 1);
	}
	tu_wait_until(atomic_load(&n) == 300);
	finish(&f, &pend, id, w, 0);
	tu_join(f.rt, id, SHUNT_JOB_DONE);
	close_all(&f);
}

static void test_full_worker(void **state)
{
	(void)state;
	full_worker_run(SHUNT_IDLE_PARK);
	full_worker_run(SHUNT_IDLE_ADAPTIVE);
	full_worker_run(SHUNT_IDLE_POLL);
}

/* Helping does not lift the bound: a job that waits for two asynchronous ones opens one at a time. */
struct helper {
	struct fixture *f;
	int rc[2];
	unsigned most;
};

static int helper_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct helper *h = arg;
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_job_spec s = tu_spec(h->f->async, &pend);
	struct shunt_job_id id[2];
	uint32_t i;

	for (i = 0; i < 2; i++)
		if (shunt_submit(rt, &s, &id[i]) != 0)
			return -1;
	for (i = 0; i < 2; i++)
		h->rc[i] = shunt_wait(rt, id[i], 1000000, NULL);
	h->most = atomic_load(&pend.most);
	for (i = 0; i < 2; i++)
		(void)shunt_detach(rt, id[i]);
	return 0;
}

static void test_help_keeps_bound(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct helper h;
	struct fixture f;
	struct shunt_job_id id;
	struct shunt_job_id self = { 0 };
	uint32_t w = 0;
	uint32_t i;

	(void)state;
	po.async_max = 1;
	po.async_pool_max = 1;
	po.spares_max = 1;
	open_with(&f, &po);
	h.f = &f;
	id = tu_submit(f.rt, tu_type(f.rt, f.pool, "helper", helper_job), &h);
	tu_join(f.rt, id, SHUNT_JOB_DONE);
	assert_int_equal(h.rc[0], SHUNT_ETIMEDOUT);
	assert_int_equal(h.rc[1], SHUNT_ETIMEDOUT);
	assert_true(h.most <= 1);
	for (i = 0; i < 2; i++) {
		tu_wait_until(pend_take(&pend, &self, &w));
		finish(&f, &pend, self, w, 0);
	}
	assert_true(atomic_load(&pend.most) <= 1);
	close_all(&f);
}

static void test_cancel(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct fixture f;
	struct shunt_job_id running, queued, self;
	uint32_t w = 0;

	(void)state;
	po.async_max = 1;
	open_with(&f, &po);
	running = tu_submit(f.rt, f.async, &pend);
	tu_wait_until(pend_take(&pend, &self, &w));
	/* waits for capacity */
	queued = tu_submit(f.rt, f.async, &pend);
	assert_int_equal(shunt_complete(f.rt, queued, 0), SHUNT_ESTALE); /* it has not started: nothing to complete */
	assert_int_equal(shunt_cancel(f.rt, queued), 0);
	assert_int_equal(shunt_complete(f.rt, queued, 0), SHUNT_ESTALE);
	tu_join(f.rt, queued, SHUNT_JOB_CANCELLED);
	assert_int_equal(shunt_cancel(f.rt, running), SHUNT_EBUSY);
	finish(&f, &pend, running, w, 9);
	tu_join(f.rt, running, SHUNT_JOB_FAILED);
	assert_int_equal(atomic_load(&pend.started), 1);
	close_all(&f);
}

/* With a key: the next job of the key starts after the completion, not after the handler. */
static void test_keyed_group(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 2);
	struct shunt_group_id g;
	struct fixture f;
	uint32_t i;

	(void)state;
	open_with(&f, &po);
	assert_int_equal(shunt_group_create(f.rt, &g), 0);
	for (i = 0; i < 30; i++) {
		struct shunt_job_spec s = tu_spec(f.async, &pend);

		s.flags = SHUNT_JOB_KEYED;
		s.key = 4;
		s.group = g;
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	}
	for (i = 0; i < 30; i++) {
		struct shunt_job_id self = { 0 };
		uint32_t w = 0;

		tu_wait_until(pend_take(&pend, &self, &w));
		assert_int_equal(atomic_load(&pend.started), i + 1);
		assert_int_equal(shunt_group_pending(f.rt, g), 30 - i);
		finish(&f, &pend, self, w, 0);
	}
	assert_int_equal(shunt_group_wait(f.rt, g, TU_LONG_NS), 0);
	assert_int_equal(atomic_load(&pend.most), 1);
	close_all(&f);
}

static struct {
	atomic_uint started, never, wrong;
} stopped; /* jobs that destroy ended, by whether their handler had started */

static void on_stopped(void *arg, struct shunt_job_id id, const struct shunt_result *r)
{
	bool ran = r->attempts == 1 && r->worker == 0;
	bool never = r->attempts == 0 && r->worker == SHUNT_ANY;

	(void)arg;
	(void)id;
	if (r->status != SHUNT_JOB_CANCELLED || r->detail != SHUNT_BY_STOP || r->code != SHUNT_ECANCELLED || !(ran || never))
		(void)atomic_fetch_add(&stopped.wrong, 1);
	(void)atomic_fetch_add(ran ? &stopped.started : &stopped.never, 1);
}

/* Destroy with open asynchronous jobs: they end as cancelled and are counted; late completers get an error. */
static void test_destroy_open(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct fixture f;
	uint32_t i;

	(void)state;
	po.async_max = 3;
	open_with(&f, &po);
	for (i = 0; i < 10; i++) {
		struct shunt_job_spec s = tu_spec(f.async, &pend);

		s.done = on_stopped;
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	}
	tu_wait_until(atomic_load(&pend.started) == 3);
	tu_destroy(f.rt, 10);
	assert_int_equal(atomic_load(&stopped.started), 3);
	assert_int_equal(atomic_load(&stopped.never), 7);
	assert_int_equal(atomic_load(&stopped.wrong), 0);
}

/* Only jobs of an asynchronous type can be completed by others; a try does no harm. */
static void test_complete_plain(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct tu_gate g = { 0, 0 };
	struct fixture f;
	struct shunt_type_id gate;
	struct shunt_job_id id;
	atomic_uint n = 0;

	(void)state;
	open_with(&f, &po);
	gate = tu_type(f.rt, f.pool, "gate", tu_gate_job);
	id = tu_submit(f.rt, gate, &g);
	tu_wait_until(atomic_load(&g.arrived) == 1);
	assert_int_equal(shunt_complete(f.rt, id, 0), SHUNT_EINVAL);
	atomic_store(&g.open, 1);
	tu_join(f.rt, id, SHUNT_JOB_DONE);
	assert_int_equal(shunt_complete(f.rt, id, 0), SHUNT_ESTALE);
	tu_join(f.rt, tu_submit(f.rt, f.count, &n), SHUNT_JOB_DONE);
	close_all(&f);
}

static int nest_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_job_spec s = { 0 };

	if (atomic_fetch_add((atomic_uint *)arg, 1) == 3)
		return SHUNT_DONE;
	s.type = shunt_job_type(ctx);
	s.arg = arg;
	s.on_full = SHUNT_ON_FULL_INLINE;
	return shunt_submit(shunt_job_runtime(ctx), &s, NULL);
}

/* An asynchronous job that runs inline in one that holds the last place must not wait for that place. */
static void test_inline_nested(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct fixture f;
	struct shunt_type_id nest;
	atomic_uint n = 0;

	(void)state;
	po.async_max = 1;
	po.async_pool_max = 1;
	po.queue_max = 1;
	open_with(&f, &po);
	nest = tu_type_flags(f.rt, f.pool, "nest", nest_job, SHUNT_TYPE_ASYNC);
	tu_join(f.rt, tu_submit(f.rt, nest, &n), SHUNT_JOB_DONE);
	assert_int_equal(atomic_load(&n), 4);
	close_all(&f);
}

/* Jobs that wait behind an asynchronous job of their key which nobody completes: all end, all are counted. */
static void test_destroy_key(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct fixture f;
	uint32_t i;

	(void)state;
	open_with(&f, &po);
	for (i = 0; i < 3; i++) {
		struct shunt_job_spec s = tu_spec(f.async, &pend);

		s.flags = SHUNT_JOB_KEYED;
		s.key = 9;
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	}
	tu_wait_until(atomic_load(&pend.started) == 1);
	tu_destroy(f.rt, 3);
	assert_int_equal(atomic_load(&pend.started), 1);
	(void)pthread_mutex_destroy(&pend.lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_full_worker),
		cmocka_unit_test(test_help_keeps_bound),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_keyed_group),
		cmocka_unit_test(test_destroy_open),
		cmocka_unit_test(test_complete_plain),
		cmocka_unit_test(test_inline_nested),
		cmocka_unit_test(test_destroy_key),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
