/*
 * sched/item: what an item says comes back, and times are exact to a tick for every job that waited up to 11 days or
 * arrives up to 39 hours later, also where the ticks wrap. Jobs further away have a record, and are as exact.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/hist.h>
#include <shunt/snapshot.h>

#include "base/clock.h"
#include "base/rng.h"
#include "sched/part.h"
#include "sched/record.h"

#define HOUR_NS (UINT64_C(3600) * 1000000000u)
#define DAY_NS (24 * HOUR_NS)
#define WRAP_NS ((SH_STAMP_MASK + 1) << SH_TICK_SHIFT) /* 13 days: a stamp begins again */

static void test_fields(void **state)
{
	static const uint64_t args[] = { 0, 1, UINT64_C(0x8000000000000000), UINT64_MAX };
	struct sh_item item;
	uint32_t type, i;

	(void)state;
	for (type = 0; type < SHUNT_TYPES_MAX; type++)
		for (i = 0; i < 4; i++) {
			item = sh_item_plain(type, UINT64_MAX, (void *)(uintptr_t)args[i]);
			assert_true(sh_item_is_plain(item));
			assert_false(sh_item_is_token(item));
			assert_int_equal(sh_item_type(item), type);
			assert_int_equal(sh_item_meta_type(item.meta), type);
			assert_true(item.arg == args[i] && (item.meta & ~SH_ITEM_META) == 0);
		}
	for (i = 0; i < 4; i++) {
		item = sh_item_record(args[i], SHUNT_TYPES_MAX - 1 - i, UINT32_MAX - i,
				      (i % 2 ? SH_ITEM_ASYNC : 0) | (i / 2 ? SH_ITEM_HELP : 0));
		assert_false(sh_item_is_plain(item) || sh_item_is_token(item));
		assert_true(item.arg == args[i] && (item.meta & ~SH_ITEM_META) == 0);
		assert_true(sh_item_of_group(item, UINT32_MAX - i) && !sh_item_of_group(item, i));
		assert_true(((item.meta & SH_ITEM_ASYNC) != 0) == (i % 2 != 0));
		assert_true(((item.meta & SH_ITEM_HELP) != 0) == (i / 2 != 0));
		assert_int_equal(sh_item_meta_type(item.meta), SHUNT_TYPES_MAX - 1 - i);
	}
	item = sh_item_token(SH_KEY_SLOTS_MAX - 1, UINT64_MAX);
	assert_true(sh_item_is_token(item));
	assert_false(sh_item_is_plain(item));
	assert_true(item.arg == SH_KEY_SLOTS_MAX - 1 && (item.meta & ~SH_ITEM_META) == 0);
	assert_true(sh_item_token(1, 400).meta != sh_item_token(1, 404).meta);
}

/* A job that came at `submit`, looked at when it is `now`. */
static void check_stamp(uint64_t submit, uint64_t now)
{
	assert_true(sh_item_submit_ns(sh_item_plain(7, submit, NULL), now) == (submit & ~UINT64_C(3)));
}

static void test_stamps(void **state)
{
	static const uint64_t past[] = { 0, 1, 3, 4, 5, 1000, HOUR_NS, DAY_NS, 10 * DAY_NS, 11 * DAY_NS };
	static const uint64_t ahead[] = { 1, 3, 4, 5, 1000, HOUR_NS, DAY_NS, 39 * HOUR_NS, SH_FUTURE_NS };
	struct sh_rng rng;
	uint32_t wraps, i, k;

	(void)state;
	sh_rng_init(&rng, tu_seed());
	for (wraps = 1; wraps <= 4; wraps++)
		for (k = 0; k < 40; k++) {
			/* around the wrap, right after it, and anywhere */
			uint64_t now = wraps * WRAP_NS + (k < 20 ? k - UINT64_C(10) : sh_rng_next(&rng) % WRAP_NS);

			for (i = 0; i < sizeof(past) / sizeof(past[0]); i++)
				check_stamp(now - past[i], now);
			for (i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++)
				check_stamp(now + ahead[i], now);
			for (i = 0; i < 1000; i++) {
				check_stamp(now - sh_rng_next(&rng) % (11 * DAY_NS), now);
				check_stamp(now + sh_rng_next(&rng) % (39 * HOUR_NS), now);
			}
		}
	check_stamp(5, 1000); /* where the clock begins */
	check_stamp(1000, 5);
	assert_true(SH_PAST_NS > 9 * DAY_NS && SH_FUTURE_NS >= 39 * HOUR_NS);
}

/* ---- jobs, beside a clock that the test moves ---- */

struct seen {
	uint64_t queue_ns, before_ns;
	atomic_uint ran;
};

static int look(struct shunt_job_ctx *ctx, void *arg)
{
	struct seen *s = arg;

	s->queue_ns = shunt_job_queue_ns(ctx);
	(void)atomic_fetch_add(&s->ran, 1);
	return SHUNT_DONE;
}

/* Moves the clock of the process; false = it is the kernel's. No runtime exists. */
static bool clock_at(uint64_t ns)
{
	sh_clock_setup();
	if (sh_clock_global.source != SH_CLOCK_TSC)
		return false;
	sh_clock_global.ns0 += ns - sh_clock_ns();
	return true;
}

static uint64_t queue_max(struct shunt_runtime *rt, uint64_t *count)
{
	struct shunt_snapshot *s = NULL;
	uint64_t max;

	assert_int_equal(shunt_snapshot_create(rt, &s), 0);
	assert_int_equal(shunt_snapshot_series_count(s), 1);
	max = shunt_hist_max(shunt_snapshot_series_at(s, 0)->queue);
	*count = shunt_hist_count(shunt_snapshot_series_at(s, 0)->queue);
	shunt_snapshot_destroy(s);
	return max;
}

/* As each way of submitting: plain, in a batch, with a handle. */
enum by { BY_PLAIN,
	  BY_BATCH,
	  BY_HANDLE,
	  BY_N };

/* A job whose start was intended `ago` ago (below 0: ahead); its delay is exact, for its handler and the histogram. */
static void check_arrival(uint64_t now_ns, int64_t ago, enum by by)
{
	struct shunt_runtime *rt;
	struct shunt_job_spec spec;
	struct shunt_job_id id = { 0 };
	struct seen seen = { 0 };
	uint64_t count = 0, before, most, max;
	int rc = 0;

	assert_true(clock_at(now_ns));
	rt = tu_runtime();
	spec = tu_spec(tu_type(rt, tu_pool(rt, "main", 1), "look", look), &seen);
	before = shunt_now_ns();
	spec.arrival_ns = before - (uint64_t)ago;
	if (by == BY_BATCH)
		assert_int_equal(shunt_submit_batch(rt, &spec, 1, NULL, &rc), 1);
	else
		assert_int_equal(shunt_submit(rt, &spec, by == BY_HANDLE ? &id : NULL), 0);
	if (by == BY_HANDLE)
		assert_int_equal(shunt_detach(rt, id), 0);
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&seen.ran), 1);
	max = queue_max(rt, &count);
	assert_int_equal(count, 1);
	most = ago < 0 ? 0 : (uint64_t)ago + (shunt_now_ns() - before) + SH_TICK_NS;
	assert_true(seen.queue_ns >= (ago < 0 ? 0 : (uint64_t)ago) && seen.queue_ns <= most);
	assert_true(max >= shunt_hist_lowest_equivalent(seen.queue_ns));
	assert_true(max <= shunt_hist_highest_equivalent(seen.queue_ns));
	tu_destroy(rt, 0);
}

static void test_arrivals(void **state)
{
	static const int64_t ago[] = {
		0,
		1000000000,
		9 * (int64_t)DAY_NS,
		(int64_t)SH_PAST_NS,
		(int64_t)SH_PAST_NS + 1000,
		11 * (int64_t)DAY_NS,
		12 * (int64_t)DAY_NS,
		13 * (int64_t)DAY_NS,
		14 * (int64_t)DAY_NS,
		20 * (int64_t)DAY_NS,
		-(int64_t)HOUR_NS,
		-(int64_t)SH_FUTURE_NS,
		-(int64_t)SH_FUTURE_NS - (int64_t)HOUR_NS,
		-2 * (int64_t)DAY_NS,
		-12 * (int64_t)DAY_NS,
		-13 * (int64_t)DAY_NS,
		-20 * (int64_t)DAY_NS,
	};
	static const uint64_t at[] = { 30 * DAY_NS, 3 * WRAP_NS - HOUR_NS, 3 * WRAP_NS + HOUR_NS };
	uint32_t i, k, by;

	(void)state;
	if (!clock_at(30 * DAY_NS)) {
		print_message("the clock is the kernel's: it cannot be moved\n");
		skip();
	}
	for (i = 0; i < sizeof(ago) / sizeof(ago[0]); i++)
		for (k = 0; k < sizeof(at) / sizeof(at[0]); k++)
			for (by = 0; by < BY_N; by++)
				check_arrival(at[k], ago[i], (enum by)by);
}

/* What is out of a stamp's reach gets a record, and what is not later than the thread's last item; other arrivals get none. */
static void test_record(void **state)
{
	static const int64_t past = (int64_t)SH_PAST_NS, future = (int64_t)SH_FUTURE_NS, ms = 1000000;
	const int64_t ago[] = { past + ms, past - ms, 0, -future + ms, -future - (int64_t)HOUR_NS, ms };
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct tu_gate g = { 0, 0 };
	struct shunt_job_spec spec;
	struct sh_item item[6];
	struct tu_fixture f;
	struct seen seen = { 0 };
	struct sh_ring *ring;
	uint32_t i;

	(void)state;
	if (!clock_at(30 * DAY_NS)) {
		print_message("the clock is the kernel's: it cannot be moved\n");
		skip();
	}
	tu_fixture_open(&f, &ro, &po);
	spec = tu_spec(tu_type(f.rt, f.pool, "look", look), &seen);
	(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
	ring = &sh_runtime_pool(f.rt, f.pool.v)->worker[0]->ring[f.rt->levels > 1 ? 1 : 0];
	for (i = 0; i < 6; i++) {
		spec.arrival_ns = shunt_now_ns() - (uint64_t)ago[i];
		assert_int_equal(shunt_submit(f.rt, &spec, NULL), 0);
		assert_true(sh_ring_pop(ring, &item[i]));
		assert_int_equal(sh_item_is_plain(item[i]), i >= 1 && i <= 3);
		if (!sh_item_is_plain(item[i]))
			assert_int_equal(sh_record_at(f.rt, item[i].arg)->parts, SH_PART(FAR));
	}
	for (i = 0; i < 6; i++)
		assert_true(sh_ring_push(ring, item[i]));
	atomic_store(&g.open, 1);
	tu_close(f.rt);
	assert_int_equal(atomic_load(&seen.ran), 6);
}

/* The clock goes on by days while a job waits. */
static void check_wait(uint64_t now_ns, uint64_t waits_ns)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct tu_gate g = { 0, 0 };
	struct shunt_job_spec spec;
	struct tu_fixture f;
	struct seen seen = { 0 };
	uint64_t before;

	assert_true(clock_at(now_ns));
	tu_fixture_open(&f, &ro, &po);
	spec = tu_spec(tu_type(f.rt, f.pool, "look", look), &seen);
	(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
	before = shunt_now_ns();
	assert_int_equal(shunt_submit(f.rt, &spec, NULL), 0);
	sh_clock_global.ns0 += waits_ns; /* the worker reads it when the gate is open */
	atomic_store(&g.open, 1);
	tu_wait_until(atomic_load(&seen.ran) == 1);
	assert_true(seen.queue_ns >= waits_ns && seen.queue_ns <= shunt_now_ns() - before + SH_TICK_NS);
	tu_close(f.rt);
}

static void test_long_waits(void **state)
{
	static const uint64_t waits[] = { 0, HOUR_NS, 5 * DAY_NS, 10 * DAY_NS, 11 * DAY_NS };
	uint32_t i;

	(void)state;
	if (TU_TSAN || !clock_at(30 * DAY_NS)) { /* a plain variable, moved beside threads */
		print_message("the clock cannot be moved\n");
		skip();
	}
	for (i = 0; i < 5; i++) {
		check_wait(30 * DAY_NS, waits[i]);
		check_wait(3 * WRAP_NS - HOUR_NS / 2, waits[i]);
		check_wait(3 * WRAP_NS + 1000000, waits[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_arrivals),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_long_waits),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
