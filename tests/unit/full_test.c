/*
 * Full: the job arena, a pool's queue_max and the handles, each with every answer (error, block, inline), also from
 * inside jobs of the full pool; and everything that was taken comes back.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "sched/world.h"

static void open_with(struct tu_fixture *f, uint32_t jobs_max, uint32_t handles_max, uint32_t queue_max, uint32_t spares_max)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 1);

	ro.jobs_max = jobs_max;
	ro.handles_max = handles_max;
	po.queue_max = queue_max;
	po.spares_max = spares_max;
	tu_fixture_open(f, &ro, &po);
}

static void close_all(struct tu_fixture *f)
{
	assert_int_equal(shunt_runtime_drain(f->rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(sh_a64_load_acq(&sh_runtime_pool(f->rt, f->pool.v)->in_pool), 0);
	tu_destroy(f->rt, 0);
}

/* Submits until refused; returns how many were taken. */
static uint32_t fill(struct tu_fixture *f, atomic_uint *n)
{
	struct shunt_job_spec s = tu_spec(f->count, n);
	uint32_t took = 0;
	int rc;

	while ((rc = shunt_submit(f->rt, &s, NULL)) == 0)
		assert_true(++took < 100000);
	assert_int_equal(rc, SHUNT_EFULL);
	return took;
}

/* The bounds are exact, again and again. */
static void test_error(void **state)
{
	struct tu_fixture f;
	atomic_uint n = 0;
	uint32_t round;
	uint32_t total = 0;

	(void)state;
	open_with(&f, 64, 0, 0, 0);
	for (round = 0; round < 20; round++) {
		struct tu_gate g = { 0, 0 };

		(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
		assert_int_equal(fill(&f, &n), 64); /* the running job gave its descriptor back */
		total += 64;
		atomic_store(&g.open, 1);
		tu_wait_until(atomic_load(&n) == total);
	}
	close_all(&f);
	open_with(&f, 8192, 0, 10, 0);
	atomic_store(&n, 0);
	for (round = 0; round < 20; round++) {
		struct tu_gate g = { 0, 0 };

		(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
		assert_int_equal(fill(&f, &n), 9); /* unfinished jobs: the running one counts */
		atomic_store(&g.open, 1);
		tu_wait_until(sh_a64_load_acq(&sh_runtime_pool(f.rt, f.pool.v)->in_pool) == 0);
		assert_int_equal(atomic_load(&n), 9 * (round + 1));
	}
	close_all(&f);
}

#define PLACES 64u

/* Submits PLACES jobs, is refused one more, cancels all. `kind`: 0 plain, 1 with a key each, 2 for worker 0 alone. */
static void fill_and_cancel(struct tu_fixture *f, uint32_t kind, atomic_uint *n)
{
	static const uint16_t flags[] = { 0, SHUNT_JOB_KEYED, SHUNT_JOB_ON_WORKER };
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s = tu_spec(f->count, n);
	struct shunt_job_id id[PLACES], more;
	uint32_t i;

	opts.worker = 0;
	s.opts = kind == 2 ? &opts : NULL;
	s.flags = flags[kind];
	for (i = 0; i < PLACES; i++) {
		s.key = i;
		assert_int_equal(shunt_submit(f->rt, &s, &id[i]), 0);
	}
	assert_int_equal(shunt_submit(f->rt, &s, &more), SHUNT_EFULL);
	for (i = 0; i < PLACES; i++) {
		assert_int_equal(shunt_cancel(f->rt, id[i]), 0);
		assert_int_equal(shunt_detach(f->rt, id[i]), 0);
	}
}

/*
 * A cancelled job gives its place back at once, though its item is still queued; not more places than jobs_max, so that
 * items that are left behind have a bound. In the end each place is there once.
 */
static void test_cancelled(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 6; round++) {
		struct tu_gate g = { 0, 0 };
		struct tu_fixture f;
		atomic_uint n = 0;

		open_with(&f, PLACES, 0, 0, 0);
		(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
		fill_and_cancel(&f, round % 3, &n);
		if (round < 3) {
			assert_int_equal(fill(&f, &n), PLACES);
		} else {
			fill_and_cancel(&f, 0, &n);
			assert_int_equal(fill(&f, &n), 0);
		}
		atomic_store(&g.open, 1);
		assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
		assert_int_equal(atomic_load(&n), round < 3 ? PLACES : 0);
		assert_int_equal(shunt_runtime_resume(f.rt), 0);
		/* Items that kept their credit give it back when they are taken; who parks keeps no credits. */
		tu_wait_until(sh_a32_load_acq(&sh_runtime_pool(f.rt, f.pool.v)->worker[0]->state) == SH_W_PARKED);
		assert_int_equal(sh_a64_load_acq(&f.rt->left_behind), 0);
		memset(&g, 0, sizeof(g));
		(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
		assert_int_equal(fill(&f, &n), PLACES);
		atomic_store(&g.open, 1);
		close_all(&f);
	}
}

static void test_tracked(void **state)
{
	struct shunt_job_id ids[6];
	atomic_uint n = 0;
	struct tu_fixture f;
	uint32_t round, i;

	(void)state;
	open_with(&f, 64, 5, 0, 0);
	for (round = 0; round < 10; round++) {
		struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
		struct shunt_job_spec s = tu_spec(f.count, &n);

		for (i = 0; i < 5; i++)
			assert_int_equal(shunt_submit(f.rt, &s, &ids[i]), 0);
		assert_int_equal(shunt_submit(f.rt, &s, &ids[5]), SHUNT_EFULL); /* finished or not: handles are owed */
		assert_int_equal(ids[5].v, 0);
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0); /* needs no handle */
		s.on_full = SHUNT_ON_FULL_BLOCK;
		o.full_timeout_ns = 1000000;
		s.opts = &o;
		assert_int_equal(shunt_submit(f.rt, &s, &ids[5]), SHUNT_ETIMEDOUT);
		for (i = 0; i < 4; i++)
			tu_join(f.rt, ids[i], SHUNT_JOB_DONE);
		assert_int_equal(shunt_detach(f.rt, ids[4]), 0);
		assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
		assert_int_equal(shunt_runtime_resume(f.rt), 0);
	}
	assert_int_equal(atomic_load(&n), 60);
	close_all(&f);
}

/* After a wait has returned the capacity is there: nothing is released behind the waiter's back. */
static void test_capacity_after_wait(void **state)
{
	struct tu_fixture f;
	atomic_uint n = 0;
	uint32_t i;

	(void)state;
	open_with(&f, 64, 1, 1, 0);
	for (i = 0; i < TU_TSAN_SCALE(10000u, 2000u); i++)
		tu_join(f.rt, tu_submit(f.rt, f.count, &n), SHUNT_JOB_DONE);
	close_all(&f);
}

struct blocker {
	struct tu_fixture *f;
	atomic_uint *n;
	uint32_t jobs;
	atomic_uint bad;
};

static void *block_thread(void *arg)
{
	struct blocker *b = arg;
	uint32_t i;

	for (i = 0; i < b->jobs; i++) {
		struct shunt_job_spec s = tu_spec(b->f->count, b->n);

		s.on_full = SHUNT_ON_FULL_BLOCK;
		if (shunt_submit(b->f->rt, &s, NULL) != 0)
			(void)atomic_fetch_add(&b->bad, 1);
	}
	return NULL;
}

static void test_block(void **state)
{
	uint32_t variant, i;

	(void)state;
	for (variant = 0; variant < 2; variant++) {
		struct tu_gate g = { 0, 0 };
		atomic_uint n = 0;
		struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
		struct shunt_job_spec s;
		struct tu_fixture f;
		struct blocker b;
		pthread_t t[3];
		uint32_t took;

		open_with(&f, 64, 0, variant ? 7 : 0, 0);
		(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
		took = fill(&f, &n);
		s = tu_spec(f.count, &n);
		s.on_full = SHUNT_ON_FULL_BLOCK;
		o.full_timeout_ns = 3000000;
		s.opts = &o;
		assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_ETIMEDOUT);
		b = (struct blocker){ &f, &n, TU_TSAN_SCALE(2000u, 500u), 0 };
		for (i = 0; i < 3; i++)
			assert_int_equal(pthread_create(&t[i], NULL, block_thread, &b), 0);
		atomic_store(&g.open, 1);
		for (i = 0; i < 3; i++)
			(void)pthread_join(t[i], NULL);
		assert_int_equal(atomic_load(&b.bad), 0);
		tu_wait_until(atomic_load(&n) == took + 3 * b.jobs);
		close_all(&f);
	}
}

/* ---- from inside a job of the full pool ---- */

struct inner {
	struct tu_fixture *f;
	atomic_uint n;
	uint32_t jobs;
	enum shunt_on_full full;
	uint64_t timeout_ns;
	int rc;
};

static int inner_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct inner *in = arg;
	uint32_t i;

	for (i = 0; i < in->jobs && in->rc == 0; i++) {
		struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
		struct shunt_job_spec s = tu_spec(in->f->count, &in->n);

		s.on_full = (uint8_t)in->full;
		o.full_timeout_ns = in->timeout_ns;
		s.opts = &o;
		in->rc = shunt_submit(shunt_job_runtime(ctx), &s, NULL);
	}
	return in->rc;
}

static void inner_run(enum shunt_on_full full, uint32_t spares_max, uint64_t timeout_ns, int want)
{
	struct tu_fixture f;
	struct inner in;
	struct shunt_job_id id;

	open_with(&f, 64, 0, 3, spares_max);
	memset(&in, 0, sizeof(in));
	in.f = &f;
	in.jobs = 500;
	in.full = full;
	in.timeout_ns = timeout_ns;
	id = tu_submit(f.rt, tu_type(f.rt, f.pool, "inner", inner_job), &in);
	assert_int_equal(shunt_wait(f.rt, id, TU_LONG_NS, NULL), 0);
	assert_int_equal(in.rc, want);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&in.n), want == 0 ? 500 : 2);
	close_all(&f);
}

static void test_inside(void **state)
{
	(void)state;
	inner_run(SHUNT_ON_FULL_DEFAULT, 0, 0, SHUNT_EFULL);
	inner_run(SHUNT_ON_FULL_ERROR, 0, 0, SHUNT_EFULL);
	inner_run(SHUNT_ON_FULL_BLOCK, 1, 0, 0); /* a spare frees capacity */
	inner_run(SHUNT_ON_FULL_BLOCK, SHUNT_ANY, 0, SHUNT_EDEADLK);
	inner_run(SHUNT_ON_FULL_INLINE, SHUNT_ANY, 0, 0);
}

/* ---- inline ---- */

struct rec {
	struct tu_fixture *f;
	struct shunt_type_id type;
	uint32_t depth, deepest;
	uint32_t max;
	uint32_t on_worker; /* inline runs that claimed to sit on a worker */
	int last_rc;
	pthread_t thread;
	uint32_t foreign;
};

static int rec_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct rec *r = arg;
	struct shunt_job_spec s = tu_spec(r->type, r);
	int rc;

	if (!pthread_equal(r->thread, pthread_self()))
		r->foreign++;
	if (shunt_job_worker(ctx) != SHUNT_ANY)
		r->on_worker++;
	r->depth++;
	if (r->depth > r->deepest)
		r->deepest = r->depth;
	if (r->deepest < r->max) {
		s.on_full = SHUNT_ON_FULL_INLINE;
		rc = shunt_submit(shunt_job_runtime(ctx), &s, NULL);
		if (rc != 0)
			r->last_rc = rc;
	}
	r->depth--;
	return 0;
}

static void test_inline(void **state)
{
	struct tu_gate g = { 0, 0 };
	struct shunt_snapshot *snap = NULL;
	atomic_uint n = 0;
	struct shunt_job_spec s;
	struct shunt_job_id id;
	struct tu_fixture f;
	struct rec r;
	uint32_t took;

	(void)state;
	open_with(&f, 64, 0, 0, 0);
	memset(&r, 0, sizeof(r));
	r.f = &f;
	r.thread = pthread_self();
	r.type = tu_type(f.rt, f.pool, "rec", rec_job);
	(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
	took = fill(&f, &n);
	s = tu_spec(f.count, &n);
	s.on_full = SHUNT_ON_FULL_INLINE;
	assert_int_equal(shunt_submit(f.rt, &s, &id), 0);
	assert_int_equal(atomic_load(&n), 1); /* it has run when submit returns */
	tu_join(f.rt, id, SHUNT_JOB_DONE);
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	assert_int_equal(atomic_load(&n), 2);
	s.flags = SHUNT_JOB_KEYED; /* a key has an order; it cannot run here and now */
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EFULL);
	s = tu_spec(r.type, &r);
	s.on_full = SHUNT_ON_FULL_INLINE;
	r.max = 20;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	assert_int_equal(r.deepest, 20);
	assert_int_equal(r.last_rc, 0);
	r.deepest = 0;
	r.max = 1000000; /* recursion without end is cut, not a crash */
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	assert_in_range(r.deepest, 30, 200);
	assert_int_equal(r.last_rc, SHUNT_EFULL);
	assert_int_equal(r.foreign, 0);
	assert_int_equal(r.on_worker, 0);
	atomic_store(&g.open, 1);
	tu_wait_until(atomic_load(&n) == took + 2);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(shunt_snapshot_create(f.rt, &snap), 0);
	assert_true(shunt_snapshot_pool_at(snap, 0)->ran_inline >= 22);
	assert_true(shunt_snapshot_pool_at(snap, 0)->rejected_full >= 3);
	assert_true(shunt_snapshot_pool_at(snap, 0)->submitted == shunt_snapshot_pool_at(snap, 0)->finished);
	shunt_snapshot_destroy(snap);
	close_all(&f);
}

/* The pool's own default, used when the spec says nothing. */
static void test_pool_default(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("inline", 1);
	struct tu_gate g = { 0, 0 };
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_type_id gate, count;
	struct shunt_pool_id pool;
	atomic_uint n = 0;
	struct shunt_job_spec s;

	(void)state;
	po.queue_max = 1;
	po.on_full = SHUNT_ON_FULL_INLINE;
	pool = tu_pool_with(rt, &po);
	gate = tu_type(rt, pool, "gate", tu_gate_job);
	count = tu_type(rt, pool, "count", tu_count_job);
	(void)shunt_detach(rt, tu_hold(rt, gate, &g));
	s = tu_spec(count, &n);
	assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	assert_int_equal(atomic_load(&n), 1);
	s.on_full = SHUNT_ON_FULL_ERROR;
	assert_int_equal(shunt_submit(rt, &s, NULL), SHUNT_EFULL);
	atomic_store(&g.open, 1);
	tu_close(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_tracked),
		cmocka_unit_test(test_capacity_after_wait),
		cmocka_unit_test(test_block),
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_inline),
		cmocka_unit_test(test_pool_default),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
