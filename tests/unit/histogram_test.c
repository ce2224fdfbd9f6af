/*
 * Histograms: the bucket layout against indexes computed by hand, percentiles against a sorted array,
 * merge, subtraction, clamping, failing allocation, shared recording, and snapshots taken while a thread records.
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/error.h>

#include "base/inject.h"
#include "base/rng.h"
#include "metrics/histogram.h"

static uint64_t test_seed;

static struct shunt_hist *hist_new(void)
{
	struct shunt_hist *h = NULL;

	assert_int_equal(shunt_hist_create(&h), SHUNT_OK);
	assert_non_null(h);
	return h;
}

static struct sh_hist *core_new(void)
{
	void *mem = aligned_alloc(4096, SH_HIST_BYTES);

	assert_non_null(mem);
	memset(mem, 0, SH_HIST_BYTES);
	return sh_hist_init(mem);
}

/* Fails unless count, min, max and sum agree with the buckets. */
static void check_consistent(const struct shunt_hist *h)
{
	struct shunt_hist_bucket b = { 0 };
	uint64_t first = 0;
	uint64_t count = 0;
	double low = 0.0;
	double high = 0.0;
	size_t cursor = 0;

	while (shunt_hist_next(h, &cursor, &b)) {
		if (count == 0)
			first = b.lowest_ns;
		count += b.count;
		low += (double)b.lowest_ns * (double)b.count;
		high += (double)b.highest_ns * (double)b.count;
	}
	assert_int_equal(shunt_hist_count(h), count);
	assert_int_equal(shunt_hist_lowest_equivalent(shunt_hist_min(h)), first);
	assert_int_equal(shunt_hist_highest_equivalent(shunt_hist_max(h)), b.highest_ns);
	assert_true(shunt_hist_saturated(h) <= h->counts[SH_HIST_TOP]);
	if (count != 0) {
		assert_true(shunt_hist_mean(h) >= low / (double)count * (1.0 - 1e-12));
		assert_true(shunt_hist_mean(h) <= high / (double)count * (1.0 + 1e-12));
	}
}

static void layout_known(void **state)
{
	/* By hand: k = floor(log2 v) - 7 for v >= 256, index = 128 k + floor(v / 2^k). */
	static const struct {
		uint64_t v;
		size_t index;
		uint64_t lowest, highest;
	} rows[] = {
		{ 0, 0, 0, 0 },
		{ 1, 1, 1, 1 },
		{ 127, 127, 127, 127 },
		{ 128, 128, 128, 128 },
		{ 255, 255, 255, 255 },
		{ 256, 256, 256, 257 },
		{ 257, 256, 256, 257 },
		{ 511, 383, 510, 511 },
		{ 512, 384, 512, 515 },
		{ 1000, 506, 1000, 1003 },              /* k 2, 250 */
		{ 1000000, 1780, 999424, 1003519 },     /* k 12, 244 */
		{ 1000000000, 3054, 998244352, 1002438655 }, /* k 22, 238 */
		{ UINT64_C(3600000000000), 4561, UINT64_C(3590592659456), UINT64_C(3607772528639) }, /* k 34, 209 */
	};
	size_t i;

	(void)state;
	for (i = 0; i < SH_COUNT(rows); i++) {
		assert_int_equal(sh_hist_index_clz(rows[i].v), rows[i].index);
		assert_int_equal(sh_hist_index_fp(rows[i].v), rows[i].index);
		assert_int_equal(shunt_hist_lowest_equivalent(rows[i].v), rows[i].lowest);
		assert_int_equal(shunt_hist_highest_equivalent(rows[i].v), rows[i].highest);
	}
	assert_int_equal(sizeof(struct sh_hist), SH_HIST_BYTES);
}

static void layout_boundaries(void **state)
{
	unsigned bit;
	size_t i;

	(void)state;
	for (bit = 0; bit < 42; bit++) {
		uint64_t p = UINT64_C(1) << bit;
		uint64_t v;

		for (v = p - 1; v <= p + 1 && v <= SHUNT_HIST_HIGHEST_NS; v++) {
			size_t at = sh_hist_index_clz(v);

			assert_int_equal(sh_hist_index_fp(v), at);
			assert_int_equal(sh_hist_index(v), at);
			assert_true(sh_hist_lowest(at) <= v && v <= sh_hist_highest(at));
		}
	}
	/* Buckets follow each other without gap, and none is wider than 1 % of its values. */
	assert_int_equal(sh_hist_lowest(0), 0);
	for (i = 0; i < SH_HIST_BUCKETS; i++) {
		uint64_t lowest = sh_hist_lowest(i);
		uint64_t highest = sh_hist_highest(i);

		if (i > 0)
			assert_int_equal(lowest, sh_hist_highest(i - 1) + 1);
		assert_int_equal(sh_hist_index_clz(lowest), i);
		assert_int_equal(sh_hist_index_clz(highest), i);
		assert_int_equal(sh_hist_index_fp(lowest), i);
		assert_int_equal(sh_hist_index_fp(highest), i);
		assert_true((highest - lowest) * 100 <= lowest || highest == lowest);
	}
}

static void empty_is_zero(void **state)
{
	static const double pct[] = { 0.0, 50.0, 100.0 };
	struct shunt_hist *h = hist_new();
	struct sh_hist *core = core_new();
	struct shunt_hist_bucket b;
	uint64_t out[3] = { 1, 1, 1 };
	size_t cursor = 0;

	(void)state;
	shunt_hist_record(h, 77);
	sh_hist_snapshot(core, h);
	assert_int_equal(shunt_hist_count(h), 0);
	assert_int_equal(shunt_hist_min(h), 0);
	assert_int_equal(shunt_hist_max(h), 0);
	assert_true(shunt_hist_mean(h) <= 0.0 && shunt_hist_stddev(h) <= 0.0);
	shunt_hist_percentiles(h, pct, out, 3);
	assert_int_equal(out[0] | out[1] | out[2], 0);
	assert_int_equal(shunt_hist_next(h, &cursor, &b), 0);
	free(core);
	shunt_hist_destroy(h);
	shunt_hist_destroy(NULL);
}

static void clamp_and_limits(void **state)
{
	struct shunt_hist *h = hist_new();
	struct shunt_hist *s = hist_new();
	struct sh_hist *core = core_new();

	(void)state;
	shunt_hist_record(h, SHUNT_HIST_HIGHEST_NS);
	assert_int_equal(shunt_hist_saturated(h), 0);
	shunt_hist_record(h, SHUNT_HIST_HIGHEST_NS + 1);
	shunt_hist_record(h, UINT64_MAX);
	assert_int_equal(shunt_hist_count(h), 3);
	assert_int_equal(shunt_hist_saturated(h), 2);
	assert_int_equal(shunt_hist_max(h), SHUNT_HIST_HIGHEST_NS);
	assert_int_equal(h->counts[4561], 3);
	sh_hist_record(core, SHUNT_HIST_HIGHEST_NS);
	sh_hist_record(core, SHUNT_HIST_HIGHEST_NS + 1);
	sh_hist_record(core, UINT64_MAX);
	sh_hist_snapshot(core, s);
	assert_memory_equal(s, h, sizeof(*h));
	check_consistent(s);

	assert_int_equal(shunt_hist_record_n(h, 5, (uint64_t)INT64_MAX - 3), SHUNT_OK);
	assert_int_equal(shunt_hist_count(h), INT64_MAX);
	assert_int_equal(shunt_hist_record_n(h, 5, 1), SHUNT_ELIMIT);
	assert_int_equal(shunt_hist_record_n(s, 5, UINT64_MAX), SHUNT_ELIMIT);
	assert_int_equal(shunt_hist_add(h, s), SHUNT_ELIMIT);
	assert_int_equal(shunt_hist_count(h), INT64_MAX);
	assert_int_equal(shunt_hist_value_at_percentile(h, 100.0), shunt_hist_highest_equivalent(UINT64_MAX));
	assert_int_equal(shunt_hist_value_at_percentile(h, 50.0), 5);
	free(core);
	shunt_hist_destroy(s);
	shunt_hist_destroy(h);
}

static void zeros_and_extremes(void **state)
{
	/* Orders in which 0, the fresh state and the min/max shortcut meet. */
	static const uint64_t orders[][4] = {
		{ 0, 0, 0, 0 }, { 0, 9, 5, 0 }, { 9, 0, 0, 12 }, { 7, 7, 300, 8 }, { 1, 0, 1, 0 },
		{ 50000, 30010, 90011, 30003 }, /* inside one bucket, so that its borders do not give them away */
	};
	static const uint64_t expect[][2] = { { 0, 0 }, { 0, 9 }, { 0, 12 }, { 7, 300 }, { 0, 1 }, { 30003, 90011 } };
	struct shunt_hist *s = hist_new();
	size_t i;

	(void)state;
	for (i = 0; i < SH_COUNT(orders); i++) {
		struct sh_hist *core = core_new();
		struct sh_hist *shared = core_new();
		size_t k;

		for (k = 0; k < 4; k++) {
			sh_hist_record_shared(shared, orders[i][k]);
			sh_hist_record(core, orders[i][k]);
			sh_hist_snapshot(core, s);
			assert_int_equal(shunt_hist_count(s), k + 1);
			check_consistent(s);
		}
		assert_int_equal(shunt_hist_min(s), expect[i][0]);
		assert_int_equal(shunt_hist_max(s), expect[i][1]);
		sh_hist_snapshot(shared, s);
		assert_int_equal(shunt_hist_min(s), expect[i][0]);
		assert_int_equal(shunt_hist_max(s), expect[i][1]);
		free(shared);
		free(core);
	}
	shunt_hist_destroy(s);
}

static void mean_and_sum_wrap(void **state)
{
	struct shunt_hist *h = hist_new();
	struct sh_hist *core = core_new();
	uint64_t wraps = UINT64_MAX / SHUNT_HIST_HIGHEST_NS * 3;

	(void)state;
	assert_int_equal(shunt_hist_record_n(h, 100, 3), SHUNT_OK);
	shunt_hist_record(h, 200);
	assert_true(fabs(shunt_hist_mean(h) - 125.0) < 1e-9);
	assert_true(fabs(shunt_hist_stddev(h) - sqrt(1875.0)) < 1e-9);
	/* One hour so often that the 64-bit sum wraps three times: the mean still comes out exactly. */
	sh_a64_store_rlx(&core->counts[SH_HIST_TOP], wraps);
	sh_a64_store_rlx(&core->sum, wraps * SHUNT_HIST_HIGHEST_NS);
	sh_a64_store_rlx(&core->max, SHUNT_HIST_HIGHEST_NS);
	sh_hist_snapshot(core, h);
	assert_true(fabs(shunt_hist_mean(h) - 3.6e12) < 1.0);
	/* A sum that the buckets do not allow (records in flight) is replaced by their middles. */
	sh_a64_store_rlx(&core->counts[SH_HIST_TOP], 0);
	sh_a64_store_rlx(&core->counts[506], 10);
	sh_a64_store_rlx(&core->sum, 999999);
	sh_hist_snapshot(core, h);
	assert_true(fabs(shunt_hist_mean(h) - 1002.0) < 1e-9);
	check_consistent(h);
	free(core);
	shunt_hist_destroy(h);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Values of every magnitude, a few above the range. */
static uint64_t random_value(struct sh_rng *rng)
{
	uint64_t v = sh_rng_next(rng) >> (20 + sh_rng_below(rng, 44));

	return sh_rng_below(rng, 8) == 0 ? sh_rng_below(rng, 600) : v;
}

static uint64_t clamped(uint64_t v)
{
	return v > SHUNT_HIST_HIGHEST_NS ? SHUNT_HIST_HIGHEST_NS : v;
}

static void percentiles_oracle(void **state)
{
	enum { N = 4000, ROUNDS = 8 };
	static const double pct[] = { 0.0,  0.01,  1.0,   10.0, 50.0, 90.0, 99.0,
				      99.9, 99.99, 100.0, 50.0, 99.0, 0.0,  100.0 };
	uint64_t *values = calloc(N, sizeof(*values));
	struct shunt_hist *h = hist_new();
	struct sh_rng rng;
	int round;

	(void)state;
	assert_non_null(values);
	sh_rng_init(&rng, test_seed);
	for (round = 0; round < ROUNDS; round++) {
		size_t n = round == 0 ? 1 : 1 + sh_rng_below(&rng, N);
		uint64_t out[SH_COUNT(pct)];
		double sum = 0.0;
		size_t i;

		shunt_hist_reset(h);
		for (i = 0; i < n; i++) {
			values[i] = clamped(random_value(&rng));
			sum += (double)values[i];
			shunt_hist_record(h, values[i]);
		}
		qsort(values, n, sizeof(*values), compare_u64);
		shunt_hist_percentiles(h, pct, out, SH_COUNT(pct));
		for (i = 0; i < SH_COUNT(pct); i++) {
			size_t rank = (size_t)ceil(pct[i] * (double)n / 100.0 - 1e-9);
			uint64_t exact = values[rank > 0 ? rank - 1 : 0];

			assert_int_equal(out[i], shunt_hist_value_at_percentile(h, pct[i]));
			assert_int_equal(out[i], pct[i] > 0.0 ? shunt_hist_highest_equivalent(exact) :
								shunt_hist_lowest_equivalent(exact));
			assert_true(fabs((double)out[i] - (double)exact) <= 0.01 * (double)exact);
		}
		assert_int_equal(shunt_hist_min(h), values[0]);
		assert_int_equal(shunt_hist_max(h), values[n - 1]);
		assert_true(fabs(shunt_hist_mean(h) - sum / (double)n) <= 1e-9 * sum);
		check_consistent(h);
	}
	assert_int_equal(shunt_hist_value_at_percentile(h, -3.0), shunt_hist_value_at_percentile(h, 0.0));
	assert_int_equal(shunt_hist_value_at_percentile(h, (double)NAN), shunt_hist_value_at_percentile(h, 0.0));
	assert_int_equal(shunt_hist_value_at_percentile(h, 1e9), shunt_hist_value_at_percentile(h, 100.0));
	shunt_hist_destroy(h);
	free(values);
}

/* Owner record, shared record and the plain form agree; so do merge and subtraction. */
static void forms_merge_subtract(void **state)
{
	enum { N = 3000 };
	struct shunt_hist *all = hist_new();
	struct shunt_hist *early = hist_new();
	struct shunt_hist *late = hist_new();
	struct shunt_hist *s = hist_new();
	struct sh_hist *core = core_new();
	struct sh_hist *shared = core_new();
	struct sh_rng rng;
	int i;

	(void)state;
	sh_rng_init(&rng, test_seed + 1);
	for (i = 0; i < N; i++) {
		uint64_t v = random_value(&rng);

		shunt_hist_record(all, v);
		shunt_hist_record(i < N / 3 ? early : late, v);
		sh_hist_record(core, v);
		sh_hist_record_shared(shared, v);
	}
	sh_hist_snapshot(core, s);
	assert_memory_equal(s, all, sizeof(*s));
	sh_hist_snapshot(shared, s);
	assert_memory_equal(s, all, sizeof(*s));
	assert_int_equal(sh_hist_sum(core), sh_hist_sum(shared));

	shunt_hist_copy(s, early);
	assert_int_equal(shunt_hist_add(s, late), SHUNT_OK);
	assert_memory_equal(s, all, sizeof(*s));
	assert_int_equal(shunt_hist_subtract(s, early), SHUNT_OK);
	assert_memory_equal(s->counts, late->counts, sizeof(s->counts));
	assert_int_equal(shunt_hist_count(s), shunt_hist_count(late));
	assert_int_equal(shunt_hist_saturated(s), shunt_hist_saturated(late));
	assert_true(fabs(shunt_hist_mean(s) - shunt_hist_mean(late)) <= 1e-9 * shunt_hist_mean(late));
	check_consistent(s);

	shunt_hist_copy(s, early);
	shunt_hist_record(early, 1);
	assert_int_equal(shunt_hist_subtract(s, early), SHUNT_EINVAL);
	shunt_hist_record(s, 1);
	assert_memory_equal(s->counts, early->counts, sizeof(s->counts));
	assert_int_equal(shunt_hist_subtract(s, early), SHUNT_OK);
	assert_int_equal(shunt_hist_count(s), 0);
	check_consistent(s);

	sh_hist_snapshot(core, s);
	sh_hist_snapshot_add(shared, s);
	assert_int_equal(shunt_hist_count(s), 2 * N);
	check_consistent(s);
	free(shared);
	free(core);
	shunt_hist_destroy(s);
	shunt_hist_destroy(late);
	shunt_hist_destroy(early);
	shunt_hist_destroy(all);
}

struct writer {
	struct sh_hist *h;
	uint64_t seed;
	uint64_t n;
	bool shared;
	sh_a32 done;
};

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	struct sh_rng rng;
	uint64_t i;

	sh_rng_init(&rng, w->seed);
	for (i = 0; i < w->n; i++) {
		uint64_t v = random_value(&rng);

		if (w->shared)
			sh_hist_record_shared(w->h, v);
		else
			sh_hist_record(w->h, v);
	}
	/* mo test.1 -> test.2@histogram_test.c: all records before done. */
	sh_a32_store_rel(&w->done, 1);
	return NULL;
}

/* Snapshots while a thread records: each consistent in itself, none smaller than the one before, the last exact. */
static void snapshot_concurrent(void **state)
{
	struct shunt_hist *now = hist_new();
	struct shunt_hist *before = hist_new();
	struct shunt_hist *oracle = hist_new();
	struct writer w = { core_new(), test_seed + 2, 1000000, false, { 0 } };
	struct sh_rng rng;
	pthread_t thread;
	uint64_t i;
	bool last = false;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, writer_main, &w), 0);
	while (!last) {
		struct shunt_hist *t;

		/* mo test.2 <- test.1@histogram_test.c: the last snapshot sees every record. */
		last = sh_a32_load_acq(&w.done) != 0;
		sh_hist_snapshot(w.h, now);
		check_consistent(now);
		shunt_hist_copy(oracle, now);
		assert_int_equal(shunt_hist_subtract(oracle, before), SHUNT_OK);
		assert_int_equal(shunt_hist_count(oracle), shunt_hist_count(now) - shunt_hist_count(before));
		check_consistent(oracle);
		t = before;
		before = now;
		now = t;
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	shunt_hist_reset(oracle);
	sh_rng_init(&rng, w.seed);
	for (i = 0; i < w.n; i++)
		shunt_hist_record(oracle, random_value(&rng));
	assert_memory_equal(before, oracle, sizeof(*oracle));
	free(w.h);
	shunt_hist_destroy(oracle);
	shunt_hist_destroy(before);
	shunt_hist_destroy(now);
}

static void shared_concurrent(void **state)
{
	enum { THREADS = 3 };
	struct sh_hist *core = core_new();
	struct shunt_hist *got = hist_new();
	struct shunt_hist *oracle = hist_new();
	struct writer w[THREADS];
	pthread_t thread[THREADS];
	int i;

	(void)state;
	for (i = 0; i < THREADS; i++) {
		struct sh_rng rng;
		uint64_t k;

		w[i] = (struct writer){ core, test_seed + 10 + (uint64_t)i, 20000, true, { 0 } };
		assert_int_equal(pthread_create(&thread[i], NULL, writer_main, &w[i]), 0);
		sh_rng_init(&rng, w[i].seed);
		for (k = 0; k < w[i].n; k++)
			shunt_hist_record(oracle, random_value(&rng));
		sh_hist_snapshot(core, got);
		check_consistent(got);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	sh_hist_snapshot(core, got);
	assert_memory_equal(got, oracle, sizeof(*oracle));
	free(core);
	shunt_hist_destroy(oracle);
	shunt_hist_destroy(got);
}

#ifdef SHUNT_INJECT
static int fail_alloc(void *arg, const char *point)
{
	return strcmp(point, arg) == 0;
}

static void create_without_memory(void **state)
{
	static char point[] = "hist_alloc";
	struct shunt_hist *h = (struct shunt_hist *)point;

	(void)state;
	assert_int_equal(shunt_hist_create(NULL), SHUNT_EINVAL);
	sh_inject_set(fail_alloc, point);
	assert_int_equal(shunt_hist_create(&h), SHUNT_ENOMEM);
	sh_inject_set(NULL, NULL);
	assert_null(h);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_known),
		cmocka_unit_test(layout_boundaries),
		cmocka_unit_test(empty_is_zero),
		cmocka_unit_test(clamp_and_limits),
		cmocka_unit_test(zeros_and_extremes),
		cmocka_unit_test(mean_and_sum_wrap),
		cmocka_unit_test(percentiles_oracle),
		cmocka_unit_test(forms_merge_subtract),
		cmocka_unit_test(snapshot_concurrent),
		cmocka_unit_test(shared_concurrent),
#ifdef SHUNT_INJECT
		cmocka_unit_test(create_without_memory),
#endif
	};
	const char *seed = getenv("SHUNT_SEED");

	test_seed = seed ? strtoull(seed, NULL, 0) : 42;
	printf("SHUNT_SEED=%llu\n", (unsigned long long)test_seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
