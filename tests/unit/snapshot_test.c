/*
 * Snapshots: counts per type, level, worker and pool add up; differences subtract; pins are read back; budgets are reported.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <unistd.h>

#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "base/inject.h"
#include "sched/world.h"

static int code_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	return *(int *)arg;
}

static const struct shunt_series *series_of(const struct shunt_snapshot *s, const char *type, uint32_t level)
{
	const struct shunt_series *x;
	size_t i;

	for (i = 0; (x = shunt_snapshot_series_at(s, i)) != NULL; i++)
		if (strcmp(x->type, type) == 0 && x->level == level)
			break;
	assert_true(x || i == shunt_snapshot_series_count(s));
	return x;
}

static struct shunt_snapshot *take(struct shunt_runtime *rt)
{
	struct shunt_snapshot *s = NULL;

	assert_int_equal(shunt_snapshot_create(rt, &s), 0);
	assert_non_null(s);
	return s;
}

static void put(struct shunt_runtime *rt, struct shunt_type_id type, int *code, uint32_t level, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct shunt_job_spec s = tu_spec(type, code);

		s.level = SHUNT_LEVEL(level);
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	}
}

/* Nothing ran yet: what there is, and NULL past the end of each list. */
static void check_fresh(const struct shunt_snapshot *a)
{
	const struct shunt_runtime_info *r = shunt_snapshot_runtime(a);
	const struct shunt_pool_info *p = shunt_snapshot_pool_at(a, 0);

	assert_string_equal(r->name, "counted");
	assert_int_equal(r->threads, 2);
	assert_true(strcmp(r->allocator, "libc") == 0 || strcmp(r->allocator, "jemalloc") == 0);
	assert_int_equal(shunt_snapshot_pool_count(a), 1);
	assert_int_equal(shunt_snapshot_worker_count(a), 2);
	assert_int_equal(shunt_snapshot_series_count(a), 0);
	assert_null(shunt_snapshot_pool_at(a, 1));
	assert_null(shunt_snapshot_worker_at(a, 2));
	assert_null(shunt_snapshot_series_at(a, 0));
	assert_null(shunt_snapshot_pool_at(a, SIZE_MAX));
	assert_true(p->bytes > 0 && p->bytes_mapped > 0);
}

/* 21 jobs of x (4 of them failed) and 5 of y, all ended. */
static void check_ended(const struct shunt_snapshot *b)
{
	const struct shunt_series *s;
	uint64_t worker_jobs = 0;
	size_t i;

	assert_int_equal(shunt_snapshot_series_count(b), 3);
	s = series_of(b, "x", 0);
	assert_non_null(s);
	assert_string_equal(s->pool, "main");
	assert_string_equal(s->level_name, "high");
	assert_true(s->done == 10 && s->failed == 4 && s->cancelled == 0);
	assert_true(shunt_hist_count(s->queue) == 14 && shunt_hist_count(s->run) == 14 && shunt_hist_count(s->total) == 14);
	s = series_of(b, "x", 3);
	assert_true(s && s->done == 7 && strcmp(s->level_name, "batch") == 0);
	s = series_of(b, "y", 1);
	assert_true(s && s->done == 5 && strcmp(s->level_name, "normal") == 0);
	for (i = 0; i < shunt_snapshot_worker_count(b); i++) {
		const struct shunt_worker_info *w = shunt_snapshot_worker_at(b, i);

		worker_jobs += w->jobs;
		assert_true(shunt_hist_count(w->run) == w->jobs);
		assert_int_equal(w->spare, 0);
		assert_int_equal(w->index, i);
	}
	assert_true(worker_jobs == 26);
}

static void check_arguments(struct shunt_runtime *rt, const struct shunt_snapshot *a, const struct shunt_snapshot *b)
{
	struct shunt_snapshot *d = NULL;

	assert_int_equal(shunt_snapshot_diff(NULL, b, &d), SHUNT_EINVAL);
	assert_int_equal(shunt_snapshot_diff(a, NULL, &d), SHUNT_EINVAL);
	assert_int_equal(shunt_snapshot_diff(a, b, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_snapshot_create(NULL, &d), SHUNT_EINVAL);
	assert_int_equal(shunt_snapshot_create(rt, NULL), SHUNT_EINVAL);
}

static void test_counts(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct tu_gate g = { 0, 0 };
	struct shunt_runtime *rt;
	struct shunt_snapshot *a, *b, *d;
	struct shunt_type_id x, y, gate;
	struct shunt_job_id ids[5];
	struct shunt_pool_id pool;
	const struct shunt_series *s;
	int ok = 0, bad = 3;
	size_t i;

	(void)state;
	ro.name = "counted";
	rt = tu_runtime_with(&ro);
	pool = tu_pool(rt, "main", 2);
	x = tu_type(rt, pool, "x", code_job);
	y = tu_type(rt, pool, "y", code_job);
	gate = tu_type(rt, pool, "gate", tu_gate_job);
	a = take(rt);
	check_fresh(a);
	put(rt, x, &ok, 0, 10);
	put(rt, x, &bad, 0, 4);
	put(rt, x, &ok, 3, 7);
	put(rt, y, &ok, 1, 5);
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(shunt_runtime_resume(rt), 0);
	b = take(rt);
	check_ended(b);
	assert_true(shunt_snapshot_pool_at(b, 0)->submitted == 26 && shunt_snapshot_pool_at(b, 0)->finished == 26);
	assert_true(shunt_snapshot_runtime(b)->taken_ns > shunt_snapshot_runtime(a)->taken_ns);
	/* Now two held and five cancelled: counted apart, and the difference has only what is new. */
	(void)shunt_detach(rt, tu_hold(rt, gate, &g));
	(void)shunt_detach(rt, tu_hold(rt, gate, &g));
	for (i = 0; i < 5; i++) {
		ids[i] = tu_submit(rt, y, &ok);
		assert_int_equal(shunt_cancel(rt, ids[i]), 0);
		tu_join(rt, ids[i], SHUNT_JOB_CANCELLED);
	}
	put(rt, x, &ok, 0, 2);
	shunt_snapshot_destroy(a);
	a = take(rt);
	assert_int_equal(shunt_snapshot_diff(a, b, &d), 0);
	s = series_of(d, "y", 1);
	assert_true(s && s->cancelled == 5 && s->done == 0);
	assert_true(shunt_hist_count(s->run) == 0);
	s = series_of(d, "x", 0);
	assert_true(s && s->done == 0 && s->failed == 0 && shunt_hist_count(s->queue) == 0);
	assert_true(shunt_snapshot_pool_at(d, 0)->submitted == 5 + 2 + 2);
	assert_true(shunt_snapshot_pool_at(d, 0)->finished == 5);
	for (i = 0; i < shunt_snapshot_worker_count(d); i++)
		assert_true(shunt_snapshot_worker_at(d, i)->jobs == 0);
	shunt_snapshot_destroy(d);
	atomic_store(&g.open, 1);
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	d = take(rt);
	assert_true(shunt_snapshot_pool_at(d, 0)->submitted == 26 + 9);
	assert_true(shunt_snapshot_pool_at(d, 0)->finished == 26 + 9);
	shunt_snapshot_destroy(d);
	check_arguments(rt, a, b);
	shunt_snapshot_destroy(a);
	shunt_snapshot_destroy(b);
	shunt_snapshot_destroy(NULL);
	tu_destroy(rt, 0);
}

/* What is new since the older one is in the difference whole: a series, a level of one, a worker, a pool. */
static void test_diff_of_new(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_id pool = tu_pool(rt, "old", 1);
	struct shunt_type_id old = tu_type(rt, pool, "x", code_job);
	struct shunt_snapshot *a, *b, *d = NULL;
	const struct shunt_series *s;
	int code = 0;
	uint64_t jobs = 0;
	size_t i;

	(void)state;
	put(rt, old, &code, 0, 3);
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(shunt_runtime_resume(rt), 0);
	a = take(rt);
	put(rt, old, &code, 0, 2);
	put(rt, old, &code, 1, 4);
	put(rt, tu_type(rt, tu_pool(rt, "new", 2), "y", code_job), &code, 0, 5);
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	b = take(rt);
	assert_int_equal(shunt_snapshot_diff(b, a, &d), 0);
	assert_int_equal(shunt_snapshot_series_count(d), 3);
	s = series_of(d, "x", 0);
	assert_true(s && s->done == 2 && shunt_hist_count(s->run) == 2);
	s = series_of(d, "x", 1);
	assert_true(s && s->done == 4 && shunt_hist_count(s->queue) == 4);
	s = series_of(d, "y", 0);
	assert_true(s && s->done == 5 && shunt_hist_count(s->total) == 5);
	assert_int_equal(shunt_snapshot_pool_count(d), 2);
	for (i = 0; i < shunt_snapshot_pool_count(d); i++) {
		bool is_new = strcmp(shunt_snapshot_pool_at(d, i)->name, "new") == 0;

		assert_int_equal(shunt_snapshot_pool_at(d, i)->submitted, is_new ? 5 : 6);
		assert_int_equal(shunt_snapshot_pool_at(d, i)->finished, is_new ? 5 : 6);
	}
	assert_int_equal(shunt_snapshot_worker_count(d), 3);
	for (i = 0; i < shunt_snapshot_worker_count(d); i++)
		jobs += shunt_snapshot_worker_at(d, i)->jobs;
	assert_true(i == 3 && jobs == 11);
	shunt_snapshot_destroy(d);
	assert_int_equal(shunt_snapshot_diff(a, a, &d), 0);
	assert_int_equal(shunt_snapshot_series_count(d), 1);
	assert_int_equal(shunt_snapshot_series_at(d, 0)->done, 0);
	shunt_snapshot_destroy(d);
	shunt_snapshot_destroy(a);
	shunt_snapshot_destroy(b);
	tu_destroy(rt, 0);
}

/* ---- counters only grow ---- */

static struct steady {
	struct shunt_runtime *rt;
	struct shunt_type_id spawn, leaf;
	atomic_uint stop;
	atomic_ulong accepted, refused;
} steady;

static int leaf_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return SHUNT_DONE;
}

static void steady_put(struct shunt_type_id type)
{
	struct shunt_job_spec s = tu_spec(type, NULL);

	if (shunt_submit(steady.rt, &s, NULL) == 0)
		(void)atomic_fetch_add(&steady.accepted, 1);
	else
		(void)atomic_fetch_add(&steady.refused, 1);
}

/* Many of its jobs are refused: the runtime has few places. */
static int spawn_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	for (int i = 0; i < 6; i++)
		steady_put(steady.leaf);
	return SHUNT_DONE;
}

static void *steady_submit(void *arg)
{
	struct shunt_job_spec specs[24];

	(void)arg;
	for (size_t i = 0; i < 24; i++)
		specs[i] = tu_spec(steady.leaf, NULL);
	while (!atomic_load(&steady.stop)) {
		size_t n;

		steady_put(steady.spawn);
		n = shunt_submit_batch(steady.rt, specs, 24, NULL, NULL);
		(void)atomic_fetch_add(&steady.accepted, n);
		(void)atomic_fetch_add(&steady.refused, 24 - n);
	}
	return NULL;
}

static void check_grows(const struct shunt_snapshot *old, const struct shunt_snapshot *now)
{
	const struct shunt_pool_info *p = shunt_snapshot_pool_at(now, 0), *q = shunt_snapshot_pool_at(old, 0);
	const struct shunt_worker_info *w, *v;
	const struct shunt_series *s, *o;
	struct shunt_snapshot *d = NULL;

	assert_true(p->finished <= p->submitted);
	assert_true(p->submitted >= q->submitted && p->finished >= q->finished && p->rejected_full >= q->rejected_full);
	for (size_t i = 0; (w = shunt_snapshot_worker_at(now, i)) != NULL; i++) {
		v = shunt_snapshot_worker_at(old, i);
		assert_true(w->jobs >= v->jobs && w->busy_ns >= v->busy_ns && w->parks >= v->parks);
		assert_true(w->stolen >= v->stolen && shunt_hist_count(w->run) <= w->jobs);
		assert_true(shunt_hist_count(w->run) >= shunt_hist_count(v->run));
	}
	for (size_t i = 0; (s = shunt_snapshot_series_at(now, i)) != NULL; i++) {
		assert_true(shunt_hist_count(s->run) <= s->done + s->failed);
		o = series_of(old, s->type, s->level);
		assert_true(!o || (s->done >= o->done && shunt_hist_count(s->total) >= shunt_hist_count(o->total)));
	}
	assert_int_equal(shunt_snapshot_diff(now, old, &d), 0);
	assert_true(shunt_snapshot_pool_at(d, 0)->submitted <= p->submitted);
	assert_true(shunt_snapshot_pool_at(d, 0)->finished <= p->finished);
	shunt_snapshot_destroy(d);
}

/* Two threads and two workers submit, most submits are refused, and each snapshot says as much as the one before. */
static void test_counters_grow(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_snapshot *old, *now;
	struct shunt_pool_id pool;
	pthread_t thread[2];

	(void)state;
	memset(&steady, 0, sizeof(steady));
	ro.jobs_max = 64;
	steady.rt = tu_runtime_with(&ro);
	pool = tu_pool(steady.rt, "main", 2);
	steady.spawn = tu_type(steady.rt, pool, "spawn", spawn_job);
	steady.leaf = tu_type(steady.rt, pool, "leaf", leaf_job);
	old = take(steady.rt);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, steady_submit, NULL), 0);
	for (uint64_t end = tu_now_s() + 3; tu_now_s() < end;) {
		now = take(steady.rt);
		check_grows(old, now);
		shunt_snapshot_destroy(old);
		old = now;
	}
	atomic_store(&steady.stop, 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(shunt_runtime_drain(steady.rt, TU_LONG_NS, NULL), 0);
	now = take(steady.rt);
	check_grows(old, now);
	assert_true(atomic_load(&steady.refused) > 0);
	assert_true(shunt_snapshot_pool_at(now, 0)->submitted == atomic_load(&steady.accepted));
	assert_true(shunt_snapshot_pool_at(now, 0)->finished == atomic_load(&steady.accepted));
	shunt_snapshot_destroy(old);
	shunt_snapshot_destroy(now);
	tu_destroy(steady.rt, 0);
}

static void *blocked_submit(void *arg)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s = tu_spec(steady.leaf, NULL);

	(void)arg;
	o.full_timeout_ns = 100000000;
	s.on_full = SHUNT_ON_FULL_BLOCK;
	s.opts = &o;
	assert_int_equal(shunt_submit(steady.rt, &s, NULL), SHUNT_ETIMEDOUT);
	return NULL;
}

/* A submit that waits for capacity is not submitted yet, and if it gives up, it never was. */
static void test_blocked_submit(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct tu_gate g = { 0, 0 };
	struct shunt_snapshot *s;
	struct shunt_pool_id pool;
	struct sh_pool *p;
	pthread_t thread;
	uint32_t n = 1;

	(void)state;
	ro.jobs_max = 64;
	steady.rt = tu_runtime_with(&ro);
	pool = tu_pool(steady.rt, "main", 1);
	p = sh_runtime_pool(steady.rt, pool.v);
	steady.leaf = tu_type(steady.rt, pool, "leaf", leaf_job);
	(void)shunt_detach(steady.rt, tu_hold(steady.rt, tu_type(steady.rt, pool, "gate", tu_gate_job), &g));
	for (struct shunt_job_spec spec = tu_spec(steady.leaf, NULL); shunt_submit(steady.rt, &spec, NULL) == 0;)
		n++;
	assert_int_equal(pthread_create(&thread, NULL, blocked_submit, NULL), 0);
	tu_wait_until(sh_a32_load_acq(&p->capacity_waiters) == 1);
	s = take(steady.rt);
	assert_true(shunt_snapshot_pool_at(s, 0)->submitted <= n);
	shunt_snapshot_destroy(s);
	assert_int_equal(pthread_join(thread, NULL), 0);
	s = take(steady.rt);
	assert_true(shunt_snapshot_pool_at(s, 0)->submitted == n);
	shunt_snapshot_destroy(s);
	atomic_store(&g.open, 1);
	tu_close(steady.rt);
}

static void finish(struct shunt_runtime *rt)
{
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(shunt_runtime_resume(rt), 0);
}

/* A type in the entry of a destroyed one, and a pool under the name of a destroyed one, start at zero. */
static void test_made_anew(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_id pool = tu_pool(rt, "p", 1), other = tu_pool(rt, "q", 1);
	struct shunt_type_id first = tu_type(rt, pool, "first", code_job), second;
	struct shunt_snapshot *old, *now, *d = NULL;
	const struct shunt_series *s;
	int code = 0;

	(void)state;
	put(rt, first, &code, 0, 100);
	finish(rt);
	old = take(rt);
	assert_int_equal(shunt_type_destroy(rt, first, TU_LONG_NS), 0);
	second = tu_type(rt, pool, "second", code_job);
	assert_true((second.v & SH_ID_INDEX) == (first.v & SH_ID_INDEX) && second.v != first.v);
	now = take(rt);
	assert_int_equal(shunt_snapshot_series_count(now), 0);
	assert_true(shunt_snapshot_worker_at(now, 0)->jobs == 100);
	assert_int_equal(shunt_hist_count(shunt_snapshot_worker_at(now, 0)->run), 100);
	shunt_snapshot_destroy(now);
	put(rt, second, &code, 0, 7);
	finish(rt);
	now = take(rt);
	s = series_of(now, "second", 0);
	assert_true(s && s->done == 7 && shunt_hist_count(s->total) == 7);
	assert_int_equal(shunt_hist_count(shunt_snapshot_worker_at(now, 0)->queue), 107);
	assert_true(shunt_snapshot_pool_at(now, 0)->submitted == 107);
	assert_true(shunt_snapshot_pool_at(now, 0)->finished == 107);
	assert_int_equal(shunt_snapshot_diff(now, old, &d), 0);
	assert_true(shunt_snapshot_pool_at(d, 0)->submitted == 7 && shunt_snapshot_worker_at(d, 0)->jobs == 7);
	assert_int_equal(shunt_hist_count(shunt_snapshot_worker_at(d, 0)->run), 7);
	shunt_snapshot_destroy(d);
	shunt_snapshot_destroy(old);
	/* the entry goes to another pool, and the pool is made anew */
	assert_int_equal(shunt_type_destroy(rt, second, TU_LONG_NS), 0);
	(void)tu_type(rt, other, "second", code_job);
	assert_int_equal(shunt_pool_destroy(rt, pool), 0);
	pool = tu_pool(rt, "p", 1);
	put(rt, tu_type(rt, pool, "first", code_job), &code, 0, 10);
	finish(rt);
	old = take(rt);
	assert_int_equal(shunt_snapshot_series_count(old), 1);
	assert_int_equal(shunt_snapshot_diff(old, now, &d), 0);
	s = series_of(d, "first", 0);
	assert_true(s && s->done == 10 && shunt_hist_count(s->run) == 10);
	for (size_t i = 0; i < shunt_snapshot_worker_count(d); i++)
		assert_true(shunt_snapshot_worker_at(d, i)->jobs <= 10);
	for (size_t i = 0; i < shunt_snapshot_pool_count(d); i++) {
		assert_true(shunt_snapshot_pool_at(d, i)->submitted <= 10);
		assert_true(shunt_snapshot_pool_at(d, i)->finished <= 10);
	}
	shunt_snapshot_destroy(d);
	shunt_snapshot_destroy(old);
	shunt_snapshot_destroy(now);
	tu_destroy(rt, 0);
}

/* What the kernel says is what was planned. */
static void test_pins(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts po = tu_pool_opts("pinned", 1);
	struct shunt_snapshot *s;
	size_t i;

	(void)state;
	po.pin = SHUNT_PIN_COMPACT;
	(void)tu_pool_with(rt, &po);
	(void)tu_pool(rt, "loose", 1);
	s = take(rt);
	assert_int_equal(shunt_snapshot_worker_count(s), 2);
	for (i = 0; i < shunt_snapshot_worker_count(s); i++) {
		const struct shunt_worker_info *w = shunt_snapshot_worker_at(s, i);

		if (strcmp(w->pool, "loose") == 0) {
			assert_int_equal(w->cpu_planned, -1);
			assert_int_equal(w->pin_verified, 0);
			continue;
		}
		assert_true(w->cpu_planned >= 0);
		assert_int_equal(w->pin_error, 0);
		assert_int_equal(w->pin_verified, 1);
		assert_int_equal(w->cpu_seen, w->cpu_planned);
	}
	shunt_snapshot_destroy(s);
	tu_destroy(rt, 0);
}

static int say_tid(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	atomic_store((atomic_int *)arg, gettid());
	return SHUNT_DONE;
}

/* Of the first worker of a snapshot: does the pin hold, and what is its mask? */
static bool pin_holds(struct shunt_runtime *rt, char mask[64])
{
	struct shunt_snapshot *s = take(rt);
	bool holds = shunt_snapshot_worker_at(s, 0)->pin_verified != 0;

	memcpy(mask, shunt_snapshot_worker_at(s, 0)->cpu_mask, 64);
	shunt_snapshot_destroy(s);
	return holds;
}

/* Somebody sets the mask of a worker that was bound long ago: the next snapshot says so. */
static void test_mask_changed_later(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts po = tu_pool_opts("pinned", 1);
	struct shunt_type_id type;
	char bound[64], mask[64];
	atomic_int tid = 0;
	cpu_set_t all, one;

	(void)state;
	po.pin = SHUNT_PIN_COMPACT;
	type = tu_type(rt, tu_pool_with(rt, &po), "t", say_tid);
	tu_join(rt, tu_submit(rt, type, &tid), SHUNT_JOB_DONE);
	assert_true(pin_holds(rt, bound));
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	if (CPU_COUNT(&all) > 1) {
		assert_int_equal(sched_setaffinity(atomic_load(&tid), sizeof(all), &all), 0);
		assert_false(pin_holds(rt, mask));
		assert_string_not_equal(mask, bound);
		CPU_ZERO(&one);
		for (unsigned cpu = 0; CPU_COUNT(&one) == 0; cpu++)
			if (CPU_ISSET(cpu, &all) && cpu != (unsigned)atoi(bound))
				CPU_SET(cpu, &one);
		assert_int_equal(sched_setaffinity(atomic_load(&tid), sizeof(one), &one), 0);
		assert_false(pin_holds(rt, mask)); /* one cpu, and another one */
		CPU_ZERO(&one);
		CPU_SET((unsigned)atoi(bound), &one);
		assert_int_equal(sched_setaffinity(atomic_load(&tid), sizeof(one), &one), 0);
	}
	assert_true(pin_holds(rt, mask));
	assert_string_equal(mask, bound);
	tu_close(rt);
}

/* Runtimes of one process: a cpu that is free is taken before one that has a worker, and is free again later. */
static void test_runtimes_share_cpus(void **state)
{
	struct shunt_runtime *rt[3];
	struct shunt_pool_opts po = tu_pool_opts("pinned", 1);
	char mask[3][64];
	cpu_set_t all;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	if (CPU_COUNT(&all) < 2) {
		print_message("runtimes_share_cpus: skipped: one cpu\n");
		return;
	}
	po.pin = SHUNT_PIN_COMPACT;
	for (int i = 0; i < 2; i++) {
		rt[i] = tu_runtime();
		(void)tu_pool_with(rt[i], &po);
		assert_true(pin_holds(rt[i], mask[i]));
	}
	assert_string_not_equal(mask[0], mask[1]);
	tu_destroy(rt[1], 0);
	rt[2] = tu_runtime();
	(void)tu_pool_with(rt[2], &po);
	assert_true(pin_holds(rt[2], mask[2]));
	assert_string_equal(mask[2], mask[1]);
	tu_destroy(rt[0], 0);
	tu_destroy(rt[2], 0);
}

static pthread_t main_thread;
static cpu_set_t all_cpus;

/* A worker is bound and is about to read its mask back: somebody else has widened it again. */
static int widen(void *arg, const char *point)
{
	(void)arg;
	if (strcmp(point, "cpus.affinity") == 0 && !pthread_equal(pthread_self(), main_thread))
		(void)sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
	return 0;
}

/* The worker's cpu cannot be read. */
static int no_cpu(void *arg, const char *point)
{
	(void)arg;
	return strcmp(point, "topo.getcpu") == 0 && !pthread_equal(pthread_self(), main_thread);
}

/* A snapshot reads the mask itself: what only the worker could not verify is right there. */
static void pin_against(int (*hook)(void *, const char *), uint32_t verified)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts po = tu_pool_opts("pinned", 1);
	struct shunt_pool_id pool = { 0 };
	struct shunt_snapshot *s;

	po.pin = SHUNT_PIN_COMPACT;
	sh_inject_set(hook, NULL);
	(void)tu_pool_with(rt, &po);
	po.name = "required";
	po.pin_required = 1;
	assert_int_equal(shunt_pool_create(rt, &po, &pool), SHUNT_EPERM);
	sh_inject_set(NULL, NULL);
	s = take(rt);
	assert_int_equal(shunt_snapshot_worker_count(s), 1);
	assert_true(shunt_snapshot_worker_at(s, 0)->cpu_planned >= 0);
	assert_int_equal(shunt_snapshot_worker_at(s, 0)->pin_error, 0);
	assert_int_equal(shunt_snapshot_worker_at(s, 0)->pin_verified, verified);
	shunt_snapshot_destroy(s);
	tu_destroy(rt, 0);
}

/* The call that binds a worker went well; only what is read back says that it is not bound. */
static void test_pins_not_held(void **state)
{
	(void)state;
	main_thread = pthread_self();
	assert_int_equal(sched_getaffinity(0, sizeof(all_cpus), &all_cpus), 0);
	pin_against(no_cpu, 1);
	if (CPU_COUNT(&all_cpus) == 1)
		skip(); /* there is no wider mask */
	pin_against(widen, 0);
}

static void test_budget(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_runtime *rt;
	struct shunt_snapshot *s;

	(void)state;
	ro.cpu_budget = 1;
	rt = tu_runtime_with(&ro);
	s = take(rt);
	assert_int_equal(shunt_snapshot_budget(s)->budget, 1);
	assert_int_equal(shunt_snapshot_runtime(s)->over_budget, 0);
	shunt_snapshot_destroy(s);
	(void)tu_pool(rt, "one", 1);
	s = take(rt);
	assert_int_equal(shunt_snapshot_runtime(s)->over_budget, 0);
	shunt_snapshot_destroy(s);
	(void)tu_pool(rt, "two", 2);
	s = take(rt);
	assert_int_equal(shunt_snapshot_runtime(s)->threads, 3);
	assert_int_equal(shunt_snapshot_runtime(s)->over_budget, 1);
	shunt_snapshot_destroy(s);
	tu_destroy(rt, 0);
}

/* Taken all the time while jobs run: counts never go back, and what ended never exceeds what was submitted. */
struct busy {
	struct shunt_runtime *rt;
	struct shunt_type_id type;
	atomic_uint n;
	atomic_uint stop;
};

static void *busy_thread(void *arg)
{
	struct busy *b = arg;
	struct shunt_job_spec s = tu_spec(b->type, &b->n);

	s.on_full = SHUNT_ON_FULL_BLOCK;
	while (!atomic_load(&b->stop))
		if (shunt_submit(b->rt, &s, NULL) != 0)
			return (void *)1;
	return NULL;
}

static void test_while_running(void **state)
{
	struct busy b;
	pthread_t t;
	void *bad = NULL;
	uint64_t done = 0;
	uint32_t i;

	(void)state;
	memset(&b, 0, sizeof(b));
	b.rt = tu_runtime();
	b.type = tu_type(b.rt, tu_pool(b.rt, "main", 2), "count", tu_count_job);
	assert_int_equal(pthread_create(&t, NULL, busy_thread, &b), 0);
	for (i = 0; i < 50; i++) {
		struct shunt_snapshot *s = take(b.rt);
		const struct shunt_series *c = series_of(s, "count", 1);

		assert_true(shunt_snapshot_pool_at(s, 0)->finished <= shunt_snapshot_pool_at(s, 0)->submitted);
		if (c) {
			assert_true(c->done >= done);
			done = c->done;
			assert_true(c->failed == 0 && c->cancelled == 0);
		}
		shunt_snapshot_destroy(s);
	}
	atomic_store(&b.stop, 1);
	(void)pthread_join(t, &bad);
	assert_null(bad);
	tu_close(b.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_diff_of_new),
		cmocka_unit_test(test_counters_grow),
		cmocka_unit_test(test_blocked_submit),
		cmocka_unit_test(test_made_anew),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_mask_changed_later),
		cmocka_unit_test(test_runtimes_share_cpus),
		cmocka_unit_test(test_pins_not_held),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_while_running),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
