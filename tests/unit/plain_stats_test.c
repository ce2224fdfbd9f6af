/*
 * The statistics of plain jobs (sched/plain.h), which are recorded for a few at a time: what ended is recorded before
 * anything else takes its time.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "sched/world.h"
#include "metrics/histogram.h"

#define LEARNED_NS 50u

struct fixture {
	struct shunt_runtime *rt;
	struct sh_worker *w;
	struct shunt_type_id gate_type, fast;
	struct shunt_pool_id pool;
	struct tu_gate gate;
};

struct busy {
	uint64_t ended_ns;
	struct tu_gate gate;
	int block;
};

/* Nearly always nothing, so that its learned time is short; with an argument it stands at a gate. */
static int fast_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct busy *b = arg;

	if (!b)
		return SHUNT_DONE;
	if (b->block)
		(void)shunt_block_begin(ctx);
	tu_gate_pass(&b->gate);
	if (b->block)
		shunt_block_end(ctx);
	b->ended_ns = shunt_now_ns();
	return SHUNT_DONE;
}

static int empty_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return SHUNT_DONE;
}

static void open_held(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->rt = tu_runtime();
	f->pool = tu_pool(f->rt, "main", 1);
	f->w = sh_runtime_pool(f->rt, f->pool.v)->worker[0];
	f->gate_type = tu_type(f->rt, f->pool, "gate", tu_gate_job);
	f->fast = tu_type(f->rt, f->pool, "fast", fast_job);
	(void)shunt_detach(f->rt, tu_hold(f->rt, f->gate_type, &f->gate));
	f->w->learned[sh_id_index(f->fast.v)].mean = LEARNED_NS; /* its worker stands at the gate */
}

static void submit_fast(struct fixture *f, void *arg)
{
	struct shunt_job_spec s = tu_spec(f->fast, arg);

	assert_int_equal(shunt_submit(f->rt, &s, NULL), 0);
}

/* Behind a plain job that took long in a batch, another kind of job starts when it starts, not at an estimated time. */
static void test_start_behind_batch(void **state)
{
	struct busy b = { 0, { 0, 0 }, 0 };
	struct shunt_job_spec s;
	struct shunt_job_id id;
	struct shunt_result r;
	struct shunt_type_id empty;
	struct fixture f;

	(void)state;
	open_held(&f);
	empty = tu_type(f.rt, f.pool, "empty", empty_job);
	s = tu_spec(empty, NULL);
	s.arrival_ns = shunt_now_ns();
	submit_fast(&f, NULL);
	submit_fast(&f, &b);
	assert_int_equal(shunt_submit(f.rt, &s, &id), 0);
	atomic_store(&f.gate.open, 1);
	tu_wait_until(atomic_load(&b.gate.arrived) == 1);
	atomic_store(&b.gate.open, 1);
	assert_int_equal(shunt_wait(f.rt, id, TU_LONG_NS, &r), 0);
	assert_true(s.arrival_ns + r.queue_ns >= b.ended_ns);
	tu_close(f.rt);
}

/* Jobs that ended are counted while one of their batch waits. */
static void test_recorded_before_block(void **state)
{
	struct busy b = { 0, { 0, 0 }, 1 };
	const uint32_t n = SH_BATCH_NS / LEARNED_NS - 1;
	struct fixture f;
	uint32_t i;

	(void)state;
	assert_true(n < SH_BATCH_MAX);
	open_held(&f);
	for (i = 0; i < n; i++)
		submit_fast(&f, NULL);
	submit_fast(&f, &b);
	atomic_store(&f.gate.open, 1);
	tu_wait_until(atomic_load(&b.gate.arrived) == 1);
	assert_int_equal(sh_a64_load_acq(&f.w->finished[sh_id_index(f.fast.v)]), n);
	atomic_store(&b.gate.open, 1);
	tu_close(f.rt);
}

/* Sum, count and extremes of one of a type's histograms. */
static struct shunt_hist *hist_of(const struct sh_hist *h, uint64_t jobs)
{
	struct shunt_hist *out = calloc(1, sizeof(*out));

	assert_non_null(out);
	sh_hist_snapshot(h, out);
	assert_int_equal(out->count, jobs);
	return out;
}

/*
 * n jobs whose intended starts are `back` to `back + spread` ns ago, run in batches: none is lost, the sums tell what was
 * measured (a job's total is its queue delay and its run time), and no delay is outside of what it can have been.
 */
static void delays(uint32_t n, uint64_t back, uint64_t spread)
{
	struct shunt_hist *queue, *run, *total;
	const struct sh_stat *st;
	struct fixture f;
	uint64_t before, after;
	uint32_t i, type;

	open_held(&f);
	type = sh_id_index(f.fast.v);
	before = shunt_now_ns();
	for (i = 0; i < n; i++) {
		struct shunt_job_spec s = tu_spec(f.fast, NULL);

		s.arrival_ns = before - back - (uint64_t)(i * 7u % n) * spread / n;
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	}
	atomic_store(&f.gate.open, 1);
	tu_wait_until(sh_a64_load_acq(&f.w->finished[type]) == n);
	after = shunt_now_ns();
	st = sh_stat_get(&f.w->pool->mem, &f.w->stat[(size_t)type * f.w->pool->levels + 1]);
	assert_non_null(st);
	queue = hist_of(st->queue, n);
	run = hist_of(st->run, n);
	total = hist_of(st->total, n);
	assert_true(total->sum == queue->sum + run->sum);
	assert_true(queue->min >= back && queue->max <= after - before + back + spread);
	assert_true(queue->max - queue->min >= spread - spread / n - spread / 64); /* a bucket's width */
	assert_true(queue->sum >= (sh_u128)n * back);
	free(queue);
	free(run);
	free(total);
	tu_close(f.rt);
}

static void test_delays_alike(void **state)
{
	(void)state;
	delays(1000, 10000000, 0);
	delays(1000, UINT64_C(3000000000), 1000);
}

static void test_delays_differ(void **state)
{
	(void)state;
	delays(1000, 1000, 50000);
	delays(1000, 100000, UINT64_C(4000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_behind_batch),
		cmocka_unit_test(test_recorded_before_block),
		cmocka_unit_test(test_delays_alike),
		cmocka_unit_test(test_delays_differ),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
