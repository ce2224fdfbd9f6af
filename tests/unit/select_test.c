/*
 * select_test.c - the selection strategies: each on its own, ties, unusable workers, extreme values, and a
 * discrete-event simulation of workers of which one is ten times slower. Deterministic for a seed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/ewma.h"
#include "policy/strategy.h"

#define WORKERS_MAX 1100u
#define EVERY_STRATEGY_FIRST SHUNT_SELECT_DEFAULT
#define EVERY_STRATEGY_LAST SHUNT_SELECT_USER

static uint64_t seed;

struct fleet {
	struct shunt_worker_load load[WORKERS_MAX];
};

static void fleet_load(const void *obj, uint32_t i, struct shunt_worker_load *out)
{
	assert_true(i < WORKERS_MAX);
	*out = ((const struct fleet *)obj)->load[i];
}

static int first_usable(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	(void)arg;
	(void)key;
	(void)home;
	for (uint32_t i = 0; i < loads->n; i++)
		if (shunt_loads_at(loads, i)->usable)
			return (int)i;
	return shunt_loads_at(loads, loads->n) ? 0 : -1; /* there is none past the end */
}

static int constant(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	(void)loads;
	(void)key;
	(void)home;
	return *(int *)arg;
}

static struct sh_select_view fleet_init(struct fleet *f, uint32_t n)
{
	struct sh_select_view v = { .obj = f, .load = fleet_load, .n = n, .user = first_usable };

	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		f->load[i] = (struct shunt_worker_load){ .ewma_ns = 1000, .capacity = 1, .speed_permille = 1000,
			.node = i % 2, .usable = 1 };
	return v;
}

static struct sh_select_state state_init(uint64_t salt)
{
	struct sh_select_state st = { .next = 0, .seed_key = (uint32_t)salt };

	sh_rng_init(&st.rng, seed + salt);
	return st;
}

static void test_none_usable(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 2, 8, 9, 256 };
	struct fleet f;

	(void)state;
	for (int s = EVERY_STRATEGY_FIRST; s <= EVERY_STRATEGY_LAST; s++)
		for (size_t k = 0; k < SH_COUNT(sizes); k++) {
			struct sh_select_view v = fleet_init(&f, sizes[k]);
			struct sh_select_state st = state_init(k);

			for (uint32_t i = 0; i < WORKERS_MAX; i++)
				f.load[i].usable = 0;
			for (int t = 0; t < 300; t++)
				assert_int_equal(sh_select((enum shunt_strategy)s, &v, &st, 1, true, 0), -1);
			if (sizes[k] == 0)
				continue;
			/* One comes back: every strategy finds it, wherever it is and whatever it looks like. */
			for (uint32_t i = 0; i < sizes[k]; i += 1 + sizes[k] / 7) {
				f.load[i].usable = 1;
				f.load[i].fail_permille = 1000;
				f.load[i].in_flight = UINT32_MAX;
				for (int t = 0; t < 300; t++)
					assert_int_equal(sh_select((enum shunt_strategy)s, &v, &st, (uint64_t)t, true, (uint32_t)t % 3), i);
				f.load[i].usable = 0;
			}
		}
}

static void test_unusable_skipped(void **state)
{
	struct fleet f;
	struct sh_select_view v = fleet_init(&f, 40);

	(void)state;
	for (uint32_t i = 0; i < 40; i++) /* the worst is usable, the best is not */
		if (i % 3 != 0) {
			f.load[i].usable = 0;
		} else {
			f.load[i].in_flight = 9;
			f.load[i].work_left_ns = 9000;
		}
	for (int s = EVERY_STRATEGY_FIRST; s <= EVERY_STRATEGY_LAST; s++) {
		struct sh_select_state st = state_init((uint64_t)s);

		for (uint64_t t = 0; t < 2000; t++)
			assert_int_equal(sh_select((enum shunt_strategy)s, &v, &st, t, true, SHUNT_ANY) % 3, 0);
	}
}

/* Sum of squared deviations over the expectation; for n - 1 degrees its mean is n - 1, deviation sqrt(2 (n - 1)). */
static double chi_square(const unsigned *got, uint32_t n, unsigned total)
{
	double e = (double)total / n, x = 0;

	for (uint32_t i = 0; i < n; i++)
		x += ((double)got[i] - e) * ((double)got[i] - e) / e;
	return x;
}

/* Equal workers get equal shares from every strategy that does not follow a key, order or user. */
static void test_ties(void **state)
{
	static const enum shunt_strategy even[] = { SHUNT_SELECT_LEAST_WORK, SHUNT_SELECT_PEAK_EWMA,
		SHUNT_SELECT_LEAST_LOADED, SHUNT_SELECT_ROUND_ROBIN, SHUNT_SELECT_RANDOM, SHUNT_SELECT_LOCALITY };
	static const uint32_t sizes[] = { 2, 3, 8, 9, 16, 100 };
	struct fleet f;

	(void)state;
	for (size_t k = 0; k < SH_COUNT(even); k++)
		for (size_t z = 0; z < SH_COUNT(sizes); z++) {
			uint32_t n = sizes[z];
			struct sh_select_view v = fleet_init(&f, n);
			struct sh_select_state st = state_init(k * 10 + z);
			unsigned got[WORKERS_MAX] = { 0 }, total = 400 * n;

			for (unsigned t = 0; t < total; t++)
				got[sh_select(even[k], &v, &st, 0, false, SHUNT_ANY)]++;
			/* 6 deviations: never by chance */
			if (chi_square(got, n, total) > n - 1 + 6 * sqrt(2.0 * n) + 6)
				fail_msg("strategy %d, %u workers: chi-square %f", even[k], n, chi_square(got, n, total));
		}
}

static void test_least_work(void **state)
{
	struct fleet f;
	struct sh_select_view v = fleet_init(&f, 4);
	struct sh_select_state st = state_init(0);
	unsigned hits[4] = { 0 };

	(void)state;
	f.load[0].work_left_ns = 5000; /* 6000 */
	f.load[0].in_flight = 5;
	f.load[1].speed_permille = 10000; /* slow but idle: 1000 x 10 */
	f.load[1].ewma_ns = 10000;
	f.load[2].work_left_ns = 2000; /* 3000: the best */
	f.load[2].in_flight = 2;
	f.load[3].fail_permille = 1000; /* 1000 x 5 */
	for (int t = 0; t < 10000; t++)
		hits[sh_select(SHUNT_SELECT_LEAST_WORK, &v, &st, 0, false, SHUNT_ANY)]++;
	/* Only exploration (1 in 128, a random idle worker) goes elsewhere. */
	assert_true(hits[2] > 9800);
	assert_true(hits[1] > 0 && hits[3] > 0);
	assert_int_equal(hits[0], 0); /* it is not idle */
}

static void test_home(void **state)
{
	struct fleet f;
	struct sh_select_view v = fleet_init(&f, 64);
	struct sh_select_state st = state_init(0);
	unsigned home = 0;

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		f.load[i].node = i / 32;
	/* Idle everywhere: three of four candidates are at home, and locality takes nobody else. */
	for (int t = 0; t < 4000; t++)
		home += f.load[sh_select(SHUNT_SELECT_LEAST_WORK, &v, &st, 0, false, 1)].node == 1;
	assert_true(home > 2800 && home < 3200);
	for (int t = 0; t < 4000; t++)
		assert_int_equal(f.load[sh_select(SHUNT_SELECT_LOCALITY, &v, &st, 0, false, 1)].node, 1);
	/* Loaded at home: both go away. (1/(1+100) + 0) x 2 < 1/(1+0.01) + 1. */
	for (uint32_t i = 32; i < 64; i++) {
		f.load[i].in_flight = 10;
		f.load[i].work_left_ns = 10000000;
	}
	for (int t = 0; t < 4000; t++) {
		assert_int_equal(f.load[sh_select(SHUNT_SELECT_LOCALITY, &v, &st, 0, false, 1)].node, 0);
		assert_int_equal(f.load[sh_select(SHUNT_SELECT_LEAST_WORK, &v, &st, 0, false, 1)].node, 0);
	}
	/* A home without workers is no reason to fail. */
	assert_true(sh_select(SHUNT_SELECT_LOCALITY, &v, &st, 0, false, 7) >= 0);
}

static void test_locality_exact(void **state)
{
	struct fleet f;
	struct sh_select_view v = fleet_init(&f, 2);
	struct sh_select_state st = state_init(0);

	(void)state;
	/* Home (0): (1/(1+1) + 1/4) x 2 = 1.5. Away (1): 1/(1+1) + x/4 for x free places. */
	f.load[0] = (struct shunt_worker_load){ .ewma_ns = 100000, .in_flight = 3, .capacity = 4, .node = 0, .usable = 1 };
	f.load[1] = (struct shunt_worker_load){ .ewma_ns = 100000, .in_flight = 1, .capacity = 4, .node = 1, .usable = 1 };
	assert_int_equal(sh_select(SHUNT_SELECT_LOCALITY, &v, &st, 0, false, 0), 0); /* 1.5 > 1.25 */
	f.load[1].in_flight = 0;
	f.load[1].ewma_ns = 1000; /* 1/(1.01) + 1 = 1.99 > 1.5 */
	assert_int_equal(sh_select(SHUNT_SELECT_LOCALITY, &v, &st, 0, false, 0), 1);
	f.load[1].fail_permille = 1000; /* 1.99 / 5 */
	assert_int_equal(sh_select(SHUNT_SELECT_LOCALITY, &v, &st, 0, false, 0), 0);
}

static void test_least_loaded(void **state)
{
	struct fleet f;
	struct sh_select_view v = fleet_init(&f, 3);
	struct sh_select_state st = state_init(0);

	(void)state;
	f.load[0].in_flight = 1; /* 1/1 */
	f.load[1].in_flight = 9; /* 9/10: the best */
	f.load[1].capacity = 10;
	f.load[2].in_flight = 3; /* 3/3 */
	f.load[2].capacity = 3;
	for (int t = 0; t < 100; t++)
		assert_int_equal(sh_select(SHUNT_SELECT_LEAST_LOADED, &v, &st, 0, false, SHUNT_ANY), 1);
	/* A worker that fails at once is always empty; it must not draw everything. */
	f.load[0].in_flight = 0;
	f.load[0].fail_permille = 1000;
	assert_int_equal(sh_select(SHUNT_SELECT_LEAST_LOADED, &v, &st, 0, false, SHUNT_ANY), 1);
}

static void test_round_robin(void **state)
{
	struct fleet f;
	struct sh_select_view v = fleet_init(&f, 5);
	struct sh_select_state st = state_init(0);
	static const int want[] = { 0, 1, 3, 4, 0, 1, 3, 4 };

	(void)state;
	f.load[2].usable = 0;
	for (size_t i = 0; i < SH_COUNT(want); i++)
		assert_int_equal(sh_select(SHUNT_SELECT_ROUND_ROBIN, &v, &st, 0, false, SHUNT_ANY), want[i]);
	st.next = UINT32_MAX; /* wraps */
	for (int i = 0; i < 10; i++)
		assert_true(sh_select(SHUNT_SELECT_ROUND_ROBIN, &v, &st, 0, false, SHUNT_ANY) >= 0);
}

static void test_keyed(void **state)
{
	enum { KEYS = 20000 };
	struct fleet f;
	struct sh_select_view v = fleet_init(&f, 20);
	struct sh_select_state st = state_init(0), other = state_init(9);
	static int before[KEYS];
	unsigned got[20] = { 0 }, moved = 0, moved_to_new = 0;

	(void)state;
	for (uint64_t k = 0; k < KEYS; k++) {
		before[k] = sh_select(SHUNT_SELECT_KEYED, &v, &st, k, true, SHUNT_ANY);
		assert_int_equal(sh_select(SHUNT_SELECT_KEYED, &v, &other, k, true, 1), before[k]);
		got[before[k]]++;
	}
	assert_true(chi_square(got, 20, KEYS) < 19 + 6 * sqrt(40.0));
	f.load[7].usable = 0; /* one goes: only its keys move */
	for (uint64_t k = 0; k < KEYS; k++) {
		int now = sh_select(SHUNT_SELECT_KEYED, &v, &st, k, true, SHUNT_ANY);

		assert_true(now != 7 && (before[k] == 7 || now == before[k]));
	}
	f.load[7].usable = 1;
	v.n = 21; /* one comes: keys move only to it, about one in 21 */
	for (uint64_t k = 0; k < KEYS; k++) {
		int now = sh_select(SHUNT_SELECT_KEYED, &v, &st, k, true, SHUNT_ANY);

		moved += now != before[k];
		moved_to_new += now == 20;
	}
	assert_int_equal(moved, moved_to_new);
	assert_true(moved > KEYS / 21 * 3 / 4 && moved < KEYS / 21 * 5 / 4);
	/* Without a key the submitter's own is used, always the same. */
	assert_int_equal(sh_select(SHUNT_SELECT_KEYED, &v, &other, 5, false, SHUNT_ANY),
		sh_select(SHUNT_SELECT_KEYED, &v, &st, 9, true, SHUNT_ANY));
}

static void test_user(void **state)
{
	static struct shunt_worker_load scratch[WORKERS_MAX];
	static const int bad[] = { -1, -7, 10, INT32_MAX };
	struct fleet f;
	struct sh_select_view v = fleet_init(&f, 10);
	struct sh_select_state st = state_init(0);
	int answer = 3;

	(void)state;
	v.user = constant;
	v.user_arg = &answer;
	assert_int_equal(sh_select(SHUNT_SELECT_USER, &v, &st, 0, false, SHUNT_ANY), 3);
	f.load[3].usable = 0;
	assert_int_equal(sh_select(SHUNT_SELECT_USER, &v, &st, 0, false, SHUNT_ANY), -1);
	for (size_t i = 0; i < SH_COUNT(bad); i++) {
		answer = bad[i];
		assert_int_equal(sh_select(SHUNT_SELECT_USER, &v, &st, 0, false, SHUNT_ANY), -1);
	}
	answer = 299;
	v.n = SHUNT_WORKERS_MAX;
	assert_int_equal(sh_select(SHUNT_SELECT_USER, &v, &st, 0, false, SHUNT_ANY), 299);
	v.n = SHUNT_WORKERS_MAX + 1; /* too many for the stack */
	assert_int_equal(sh_select(SHUNT_SELECT_USER, &v, &st, 0, false, SHUNT_ANY), -1);
	v.scratch = scratch;
	assert_int_equal(sh_select(SHUNT_SELECT_USER, &v, &st, 0, false, SHUNT_ANY), 299);
	v.user = NULL;
	assert_int_equal(sh_select(SHUNT_SELECT_USER, &v, &st, 0, false, SHUNT_ANY), -1);
}

/* Zeros and the largest values: no division by zero, no overflow (undefined-behaviour sanitizer), order kept. */
static void test_extremes(void **state)
{
	struct fleet f;
	struct sh_select_view v = fleet_init(&f, 2);

	(void)state;
	memset(&f.load[0], 0xff, sizeof(f.load[0]));
	f.load[0].usable = 1;
	for (int zero = 0; zero < 2; zero++) {
		if (zero)
			f.load[1] = (struct shunt_worker_load){ .usable = 1 };
		for (int s = EVERY_STRATEGY_FIRST; s <= EVERY_STRATEGY_LAST; s++) {
			struct sh_select_state st = state_init((uint64_t)s);
			bool learns = s <= SHUNT_SELECT_LEAST_LOADED || s == SHUNT_SELECT_LOCALITY;

			for (uint64_t t = 0; t < 500; t++) {
				int i = sh_select((enum shunt_strategy)s, &v, &st, UINT64_MAX - t, true, SHUNT_ANY);

				assert_true(i == 0 || i == 1);
				if (learns && s != SHUNT_SELECT_LOCALITY)
					assert_int_equal(i, 1);
			}
		}
	}
}

static void test_ewma(void **state)
{
	uint64_t e = 0;
	uint32_t fail = 0;

	(void)state;
	assert_int_equal(sh_ewma_next(0, 800), 800);
	assert_int_equal(sh_ewma_next(0, 0), 1);
	assert_int_equal(sh_ewma_next(800, 1600), 900);
	assert_int_equal(sh_ewma_next(1600, 800), 1500);
	assert_int_equal(sh_ewma_peak_next(800, 1600), 1600);
	assert_int_equal(sh_ewma_peak_next(1600, 800), 1500);
	assert_true(sh_ewma_next(UINT64_MAX, UINT64_MAX) == UINT64_MAX);
	assert_true(sh_ewma_next(1, UINT64_MAX) > UINT64_MAX / 9);
	for (int i = 0; i < 200; i++) /* reaches a constant from both sides */
		e = sh_ewma_next(i == 0 ? 1000000 : e, 1000);
	assert_int_equal(e, 1000);
	for (int i = 0; i < 200; i++)
		e = sh_ewma_next(i == 0 ? 1 : e, 1000);
	assert_int_equal(e, 1000);
	for (int i = 0; i < 200; i++)
		fail = sh_ewma_fail_next(fail, true);
	assert_int_equal(fail, 1000);
	for (int i = 0; i < 200; i++)
		fail = sh_ewma_fail_next(fail, false);
	assert_int_equal(fail, 0);
}

/*
 * The simulation: n workers with FIFO queues, worker 0 ten times slower, Poisson arrivals at 70 % of the capacity of
 * all, exponential service. Work left and in-flight are exact, EWMA and speed are learned at each completion.
 */
#define SIM_JOBS 60000u
#define SIM_RING 65536u

struct sim_worker {
	uint64_t busy_until_ns;       /* when everything queued will be done */
	uint64_t end_ns[SIM_RING];    /* of the queued jobs, FIFO */
	uint64_t service_ns[SIM_RING];
	uint32_t head, tail;
	uint64_t jobs;
};

struct sim {
	struct fleet fleet;
	struct sim_worker *w;
	uint64_t *wait_ns;
	uint32_t n;
};

struct sim_result {
	double slow_share, slow_fair;
	uint64_t wait_p99_ns;
};

static double exponential(struct sh_rng *rng, double mean)
{
	return -mean * log(1.0 - (double)(sh_rng_next(rng) >> 11) / 9007199254740992.0);
}

static void sim_advance(struct sim *s, uint64_t now_ns)
{
	uint64_t mean = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		struct sim_worker *w = &s->w[i];
		struct shunt_worker_load *l = &s->fleet.load[i];

		while (w->head != w->tail && w->end_ns[w->head % SIM_RING] <= now_ns) {
			l->ewma_ns = sh_ewma_next(l->ewma_ns, w->service_ns[w->head++ % SIM_RING]);
			l->in_flight--;
		}
		mean += l->ewma_ns;
	}
	mean = mean / s->n + 1;
	for (uint32_t i = 0; i < s->n; i++) {
		struct shunt_worker_load *l = &s->fleet.load[i];

		l->speed_permille = (uint32_t)(l->ewma_ns * 1000 / mean + 1);
		l->work_left_ns = l->in_flight * mean;
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static struct sim_result simulate(enum shunt_strategy strategy, uint32_t n)
{
	static struct sim s;
	struct sim_result r;
	struct sh_select_view v = fleet_init(&s.fleet, n);
	struct sh_select_state st = state_init((uint64_t)strategy);
	struct sh_rng rng;
	double capacity = (double)(n - 1) + 0.1, now = 0;

	sh_rng_init(&rng, seed + n); /* the same arrivals and services for every strategy */
	s.n = n;
	s.w = calloc(n, sizeof(*s.w));
	s.wait_ns = calloc(SIM_JOBS, sizeof(*s.wait_ns));
	assert_true(s.w != NULL && s.wait_ns != NULL);
	for (uint32_t j = 0; j < SIM_JOBS; j++) {
		uint64_t arrival_ns, service_ns;
		struct sim_worker *w;
		int i;

		now += exponential(&rng, 10000.0 / (0.7 * capacity));
		arrival_ns = (uint64_t)now;
		sim_advance(&s, arrival_ns);
		i = sh_select(strategy, &v, &st, 0, false, SHUNT_ANY);
		assert_true(i >= 0);
		w = &s.w[i];
		service_ns = (uint64_t)exponential(&rng, 10000.0) * (i == 0 ? 10 : 1) + 1;
		if (w->busy_until_ns < arrival_ns)
			w->busy_until_ns = arrival_ns;
		s.wait_ns[j] = w->busy_until_ns - arrival_ns;
		w->busy_until_ns += service_ns;
		assert_true(w->tail - w->head < SIM_RING);
		w->end_ns[w->tail % SIM_RING] = w->busy_until_ns;
		w->service_ns[w->tail++ % SIM_RING] = service_ns;
		s.fleet.load[i].in_flight++;
		w->jobs++;
	}
	qsort(s.wait_ns, SIM_JOBS, sizeof(*s.wait_ns), by_value);
	r.wait_p99_ns = s.wait_ns[SIM_JOBS / 100 * 99];
	r.slow_share = (double)s.w[0].jobs / SIM_JOBS;
	r.slow_fair = 0.1 / capacity;
	free(s.w);
	free(s.wait_ns);
	return r;
}

static void test_slow_worker(void **state)
{
	static const enum shunt_strategy learning[] = { SHUNT_SELECT_DEFAULT, SHUNT_SELECT_LEAST_WORK,
		SHUNT_SELECT_PEAK_EWMA, SHUNT_SELECT_LEAST_LOADED, SHUNT_SELECT_LOCALITY };
	static const uint32_t sizes[] = { 4, 8, 16 };

	(void)state;
	for (size_t z = 0; z < SH_COUNT(sizes); z++) {
		struct sim_result random = simulate(SHUNT_SELECT_RANDOM, sizes[z]);

		assert_true(random.slow_share > 2 * random.slow_fair); /* random does not learn: the test can tell */
		for (size_t k = 0; k < SH_COUNT(learning); k++) {
			struct sim_result r = simulate(learning[k], sizes[z]);

			printf("  %2u workers, strategy %d: slow share %.4f (fair %.4f), wait p99 %9.1f us (random %.1f us)\n",
				sizes[z], learning[k], r.slow_share, r.slow_fair, (double)r.wait_p99_ns / 1e3,
				(double)random.wait_p99_ns / 1e3);
			assert_true(r.slow_share <= 1.6 * r.slow_fair);
			assert_true(r.wait_p99_ns < random.wait_p99_ns);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none_usable),
		cmocka_unit_test(test_unusable_skipped),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_least_work),
		cmocka_unit_test(test_home),
		cmocka_unit_test(test_locality_exact),
		cmocka_unit_test(test_least_loaded),
		cmocka_unit_test(test_round_robin),
		cmocka_unit_test(test_keyed),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_ewma),
		cmocka_unit_test(test_slow_worker),
	};
	const char *env = getenv("SHUNT_SEED");

	seed = env != NULL ? strtoull(env, NULL, 0) : 1;
	printf("seed %llu (SHUNT_SEED)\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
