/*
 * balancer_test.c - the stand-alone balancer: the presets, results, capacity under threads, learning. Time is
 * simulated; sequences are deterministic for a seed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shunt/balancer.h>
#include <shunt/error.h>

#include "base/atomic.h"
#include "base/inject.h"
#include "base/rng.h"
#include "policy/ewma.h"

static uint64_t seed;

static struct shunt_balancer *make_expecting(uint32_t workers, uint32_t capacity, enum shunt_strategy strategy,
	uint64_t expected_ns)
{
	struct shunt_balancer_opts o = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_balancer *b = NULL;

	o.workers = workers;
	o.capacity = capacity;
	o.strategy = strategy;
	o.seed = seed;
	o.expected_ns = expected_ns;
	assert_int_equal(shunt_balancer_create(&b, &o), 0);
	return b;
}

static struct shunt_balancer *make(uint32_t workers, uint32_t capacity, enum shunt_strategy strategy)
{
	return make_expecting(workers, capacity, strategy, 0);
}

/* Chooses the last worker with a place. */
static int last_usable(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	(void)arg;
	(void)key;
	(void)home;
	for (uint32_t i = loads->n; i-- > 0;)
		if (shunt_loads_at(loads, i)->usable != 0)
			return (int)i;
	return -1;
}

/* Fills every place, one more is refused, empties every place, one more is refused. */
static void fill(struct shunt_balancer *b, uint32_t workers, uint32_t capacity)
{
	uint32_t *held = calloc(workers, sizeof(*held));

	assert_non_null(held);
	for (uint32_t k = 0; k < workers * capacity; k++) {
		int i = shunt_balancer_start(b, k, SHUNT_ANY);

		assert_true(i >= 0 && (uint32_t)i < workers);
		assert_true(++held[i] <= capacity);
	}
	assert_int_equal(shunt_balancer_start(b, 0, SHUNT_ANY), SHUNT_EAGAIN);
	for (uint32_t i = 0; i < workers; i++) {
		assert_int_equal(shunt_balancer_start_on(b, i), SHUNT_EAGAIN);
		assert_int_equal(held[i], capacity);
		for (uint32_t k = 0; k < capacity; k++)
			assert_int_equal(shunt_balancer_complete(b, i, 1000, 0), 0);
		assert_int_equal(shunt_balancer_complete(b, i, 1000, 0), SHUNT_EINVAL);
	}
	free(held);
}

static void test_presets(void **state)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const uint32_t presets[][2] = { { 5, 10 }, { 10, 100 }, { 3, 1000 }, { 5, 50 },
		{ cpus < 1 ? 1 : (uint32_t)cpus, 2 }, { 1, 1 }, { 300, 1 } };

	(void)state;
	for (size_t p = 0; p < SH_COUNT(presets); p++)
		for (int s = SHUNT_SELECT_DEFAULT; s < SHUNT_SELECT_USER; s++) {
			struct shunt_balancer *b = make(presets[p][0], presets[p][1], (enum shunt_strategy)s);

			fill(b, presets[p][0], presets[p][1]);
			shunt_balancer_destroy(b);
		}
}

static void test_user(void **state)
{
	struct shunt_balancer_opts o = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_balancer *b;

	(void)state;
	o.strategy = SHUNT_SELECT_USER;
	o.select = last_usable;
	for (o.workers = 3; o.workers <= 4096; o.workers = o.workers == 3 ? 4096 : 4097) {
		assert_int_equal(shunt_balancer_create(&b, &o), 0);
		assert_int_equal(shunt_balancer_start(b, 0, SHUNT_ANY), (int)o.workers - 1);
		assert_int_equal(shunt_balancer_start(b, 0, SHUNT_ANY), (int)o.workers - 2);
		for (int k = 0; k < 40; k++) { /* more than the buffers: each is given back */
			int i = shunt_balancer_start(b, 0, SHUNT_ANY);

			assert_int_equal(i, (int)o.workers - 3);
			assert_int_equal(shunt_balancer_complete(b, (uint32_t)i, 1, 0), 0);
		}
		shunt_balancer_destroy(b);
	}
}

static void test_results(void **state)
{
	const uint32_t capacities[] = { 1, 2, 3 }, zero[] = { 1, 0, 3 }, nodes[] = { 0, 1, SHUNT_ANY };
	struct shunt_balancer_opts o = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_worker_load l;
	struct shunt_balancer *b;

	(void)state;
	assert_int_equal(shunt_balancer_create(NULL, &o), SHUNT_EINVAL);
	assert_int_equal(shunt_balancer_create(&b, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_balancer_create(&b, &o), SHUNT_EINVAL);
	assert_null(b);
	o.workers = 4097;
	assert_int_equal(shunt_balancer_create(&b, &o), SHUNT_EINVAL);
	o.workers = 3;
	o.size = 0;
	assert_int_equal(shunt_balancer_create(&b, &o), SHUNT_EINVAL);
	o.size = sizeof(o);
	o.strategy = SHUNT_SELECT_USER;
	assert_int_equal(shunt_balancer_create(&b, &o), SHUNT_EINVAL);
	o.strategy = SHUNT_SELECT_DEFAULT;
	o.capacities = zero;
	assert_int_equal(shunt_balancer_create(&b, &o), SHUNT_EINVAL);
	o.capacities = capacities;
	o.nodes = nodes;
	o.expected_ns = 5000;
	assert_int_equal(shunt_balancer_create(&b, &o), 0);

	assert_int_equal(shunt_balancer_load(b, 3, &l, sizeof(l)), SHUNT_ENOENT);
	assert_int_equal(shunt_balancer_load(b, 0, NULL, sizeof(l)), SHUNT_EINVAL);
	assert_int_equal(shunt_balancer_load(b, 0, &l, 0), SHUNT_EINVAL);
	assert_int_equal(shunt_balancer_start_on(b, 3), SHUNT_ENOENT);
	assert_int_equal(shunt_balancer_complete(b, 3, 1, 0), SHUNT_ENOENT);
	assert_int_equal(shunt_balancer_complete(b, 0, 1, 0), SHUNT_EINVAL); /* nothing was started */
	assert_int_equal(shunt_balancer_set_usable(b, 3, 0), SHUNT_ENOENT);
	assert_int_equal(shunt_balancer_load(b, 1, &l, sizeof(l)), 0);
	assert_int_equal(l.ewma_ns, 5000);
	assert_int_equal(l.speed_permille, 1000);
	assert_int_equal(l.capacity, 2);
	assert_int_equal(l.node, 1);
	assert_int_equal(l.in_flight, 0);
	assert_int_equal(l.fail_permille, 0);
	assert_int_equal(shunt_balancer_start_on(b, 1), 0);
	assert_int_equal(shunt_balancer_load(b, 1, &l, sizeof(l)), 0);
	assert_int_equal(l.in_flight, 1);
	assert_int_equal(l.work_left_ns, 5000);
	assert_int_equal(shunt_balancer_complete(b, 1, 13000, 0), 0);
	assert_int_equal(shunt_balancer_load(b, 1, &l, sizeof(l)), 0);
	assert_int_equal(l.ewma_ns, 6000);
	/* Failures count as such; a quick one teaches no speed, a slow one does. */
	assert_int_equal(shunt_balancer_start_on(b, 1), 0);
	assert_int_equal(shunt_balancer_complete(b, 1, 1, 1), 0);
	assert_int_equal(shunt_balancer_load(b, 1, &l, sizeof(l)), 0);
	assert_int_equal(l.ewma_ns, 6000);
	assert_int_equal(l.fail_permille, 125);
	assert_int_equal(shunt_balancer_start_on(b, 1), 0);
	assert_int_equal(shunt_balancer_complete(b, 1, UINT64_MAX, 1), 0);
	assert_int_equal(shunt_balancer_load(b, 1, &l, sizeof(l)), 0);
	assert_true(l.ewma_ns > 1000000);

	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(shunt_balancer_set_usable(b, i, 0), 0);
	assert_int_equal(shunt_balancer_start(b, 0, 0), SHUNT_EAGAIN);
	assert_int_equal(shunt_balancer_set_usable(b, 2, 1), 0);
	assert_int_equal(shunt_balancer_start(b, 0, 0), 2);
	assert_int_equal(shunt_balancer_start_on(b, 0), 0); /* stated by name: a worker taken out of the choice is fine */
	shunt_balancer_destroy(b);
	shunt_balancer_destroy(NULL);
}

static void test_newer_caller(void **state)
{
	struct {
		struct shunt_balancer_opts o;
		uint64_t later;
	} x = { SHUNT_BALANCER_OPTS_INIT, 0 };
	struct shunt_balancer *b;

	(void)state;
	x.o.size = sizeof(x);
	x.o.workers = 2;
	assert_int_equal(shunt_balancer_create(&b, &x.o), 0);
	shunt_balancer_destroy(b);
	x.later = 1; /* asks for something we do not know */
	assert_int_equal(shunt_balancer_create(&b, &x.o), SHUNT_EINVAL);
}

#ifdef SHUNT_INJECT
static int fail_nth(void *arg, const char *point)
{
	return strcmp(point, "balancer_alloc") == 0 && (*(int *)arg)-- == 0;
}

static void test_no_memory(void **state)
{
	struct shunt_balancer_opts o = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_balancer *b;

	(void)state;
	o.workers = SHUNT_WORKERS_MAX + 1;
	o.strategy = SHUNT_SELECT_USER;
	o.select = last_usable;
	for (int n = 0; n < 4; n++) {
		int left = n;

		sh_inject_set(fail_nth, &left);
		assert_int_equal(shunt_balancer_create(&b, &o), n < 3 ? SHUNT_ENOMEM : 0);
		sh_inject_set(NULL, NULL);
		shunt_balancer_destroy(b);
	}
}
#else
static void test_no_memory(void **state)
{
	(void)state;
	skip();
}
#endif

#ifdef SHUNT_INJECT
#define CHOICES 8u /* after so many lost ones any worker with a place is asked */
#define RIVALS_OF (CHOICES + 3u)

struct rivals {
	struct shunt_balancer *b;
	uint32_t next; /* the worker that round robin chose now */
	uint32_t left; /* choices that are still lost */
	bool inside;
};

/* Between a start's look at the place and its exchange: another start has it. */
static int rival(void *arg, const char *point)
{
	struct rivals *r = arg;

	if (strcmp(point, "balancer_reserve") != 0 || r->inside || r->left == 0)
		return 0;
	r->inside = true;
	assert_int_equal(shunt_balancer_start_on(r->b, r->next++), 0);
	r->inside = false;
	r->left--;
	return 0;
}

/* Others win every race for the first CHOICES workers. Of the three others those that are taken out are never chosen. */
static void lose_all(uint32_t usable)
{
	struct rivals r = { make(RIVALS_OF, 1, SHUNT_SELECT_ROUND_ROBIN), 0, CHOICES, false };
	int got;

	for (uint32_t i = 0; i < RIVALS_OF - CHOICES; i++)
		assert_int_equal(shunt_balancer_set_usable(r.b, CHOICES + i, (int)(usable >> i & 1u)), 0);
	sh_inject_set(rival, &r);
	got = shunt_balancer_start(r.b, 0, SHUNT_ANY);
	sh_inject_set(NULL, NULL);
	assert_int_equal(r.left, 0); /* it was the last resort */
	if (usable == 0)
		assert_int_equal(got, SHUNT_EAGAIN);
	else
		assert_true(got >= (int)CHOICES && (usable >> ((uint32_t)got - CHOICES) & 1u));
	shunt_balancer_destroy(r.b);
}

static void test_last_resort(void **state)
{
	uint64_t keep = seed;

	(void)state;
	for (uint32_t round = 0; round < 50; round++) /* the search begins anywhere */
		for (uint32_t usable = 0; usable < 8; usable++) {
			seed = keep + round;
			lose_all(usable);
		}
	seed = keep;
}
#else
static void test_last_resort(void **state)
{
	(void)state;
	skip();
}
#endif

#define THREADS 4
#define WORKERS 3u
#define CAPACITY 2u
#define STARTS 10000u

struct shared {
	struct shunt_balancer *b;
	sh_a32 held[WORKERS]; /* sync: atomic; places held, counted by ourselves */
	sh_a32 bad;           /* sync: atomic */
	sh_a64 refused;       /* sync: atomic */
};

static void *hammer(void *arg)
{
	struct shared *s = arg;
	int mine[8]; /* more than there are places: the limit is met even when the threads run one by one */
	uint32_t n = 0;
	struct sh_rng rng;

	sh_rng_init(&rng, seed ^ (uintptr_t)&rng);
	for (uint32_t k = 0; k < STARTS; k++) {
		int i;

		if (n == SH_COUNT(mine) || (n > 0 && sh_rng_below(&rng, 2) == 0)) {
			i = mine[--n];
			/* mo rlx: counts of the test; lowered before the place is given back, raised after it was got. */
			(void)sh_a32_sub_rlx(&s->held[i], 1);
			if (shunt_balancer_complete(s->b, (uint32_t)i, 100 + sh_rng_below(&rng, 1000),
				sh_rng_below(&rng, 50) == 0) != 0)
				(void)sh_a32_add_rlx(&s->bad, 1);
		}
		i = shunt_balancer_start(s->b, k, SHUNT_ANY);
		if (i == SHUNT_EAGAIN) {
			(void)sh_a64_add_rlx(&s->refused, 1);
		} else if (i < 0 || (uint32_t)i >= WORKERS || sh_a32_add_rlx(&s->held[i], 1) >= CAPACITY) {
			(void)sh_a32_add_rlx(&s->bad, 1);
			break;
		} else {
			mine[n++] = i;
		}
	}
	while (n > 0) {
		n--;
		(void)sh_a32_sub_rlx(&s->held[mine[n]], 1);
		if (shunt_balancer_complete(s->b, (uint32_t)mine[n], 100, 0) != 0)
			(void)sh_a32_add_rlx(&s->bad, 1);
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	for (int strategy = SHUNT_SELECT_DEFAULT; strategy < SHUNT_SELECT_USER; strategy++) {
		static struct shared s;
		struct shunt_worker_load l;
		pthread_t t[THREADS];
		uint64_t sum = 0, mean;

		memset(&s, 0, sizeof(s));
		/* A first guess within what is measured: no speed is rounded up to its least value of 1. */
		s.b = make_expecting(WORKERS, CAPACITY, (enum shunt_strategy)strategy, 1000);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&t[i], NULL, hammer, &s), 0);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_join(t[i], NULL), 0);
		/* mo rlx: one thread left. */
		assert_int_equal(sh_a32_load_rlx(&s.bad), 0);
		assert_true(sh_a64_load_rlx(&s.refused) > 0); /* the limit was met */
		for (uint32_t i = 0; i < WORKERS; i++) {
			assert_int_equal(shunt_balancer_load(s.b, i, &l, sizeof(l)), 0);
			assert_int_equal(l.in_flight, 0);
			assert_true(l.ewma_ns >= 100 && l.ewma_ns < 1100);
			assert_true(l.fail_permille < 700);
		}
		for (uint32_t i = 0; i < WORKERS; i++) { /* with a job nothing ages */
			assert_int_equal(shunt_balancer_start_on(s.b, i), 0);
			assert_int_equal(shunt_balancer_load(s.b, i, &l, sizeof(l)), 0);
			sum += l.ewma_ns;
		}
		mean = sum / WORKERS; /* the sum kept by differences is exact at rest */
		for (uint32_t i = 0; i < WORKERS; i++) {
			assert_int_equal(shunt_balancer_load(s.b, i, &l, sizeof(l)), 0);
			assert_int_equal(l.speed_permille, l.ewma_ns * 1000 / mean);
		}
		for (uint32_t i = 0; i < WORKERS; i++)
			assert_int_equal(shunt_balancer_complete(s.b, i, 1000, 0), 0);
		fill(s.b, WORKERS, CAPACITY); /* not a place was lost */
		shunt_balancer_destroy(s.b);
	}
}

/* Virtual time: `n` workers of `places`, requests at an even pace; worker 0 is slow or failing. Share of worker 0. */
static double run(enum shunt_strategy strategy, uint32_t n, uint64_t slow_ns, bool failing)
{
	enum { PLACES = 4, REQUESTS = 30000 };
	struct shunt_balancer *b = make(n, PLACES, strategy);
	uint64_t (*end)[PLACES] = calloc(n, sizeof(*end));
	unsigned to_first = 0, started = 0;

	assert_non_null(end);
	for (uint64_t r = 1; r <= REQUESTS; r++) {
		uint64_t now = r * 1000000 * 10 / (7 * (n - 1) * PLACES); /* 70 % of n - 1 workers, jobs of 1 ms */
		int s, p;

		for (uint32_t w = 0; w < n; w++)
			for (p = 0; p < PLACES; p++)
				if (end[w][p] != 0 && end[w][p] <= now) {
					end[w][p] = 0;
					assert_int_equal(shunt_balancer_complete(b, w, w == 0 ? slow_ns : 1000000, failing && w == 0), 0);
				}
		s = shunt_balancer_start(b, r, SHUNT_ANY);
		if (s < 0)
			continue;
		for (p = 0; p < PLACES && end[s][p] != 0; p++)
			;
		assert_true(p < PLACES);
		end[s][p] = now + (s == 0 ? slow_ns : 1000000);
		started++;
		to_first += s == 0;
	}
	assert_true(started > REQUESTS * 9 / 10);
	free(end);
	shunt_balancer_destroy(b);
	return (double)to_first / started;
}

static void test_slow_and_failing(void **state)
{
	static const enum shunt_strategy learning[] = { SHUNT_SELECT_LEAST_WORK, SHUNT_SELECT_PEAK_EWMA };
	static const uint32_t sizes[] = { 4, 8, 20 };

	(void)state;
	for (size_t z = 0; z < SH_COUNT(sizes); z++) {
		double n = sizes[z];

		for (size_t k = 0; k < SH_COUNT(learning); k++) {
			double slow = run(learning[k], sizes[z], 10000000, false);
			double failing = run(learning[k], sizes[z], 1000, true); /* fails a thousand times faster */

			printf("  %2u workers, strategy %d: slow %.4f, failing %.4f of all\n", sizes[z], learning[k],
				slow, failing);
			assert_true(slow <= 1.6 * 0.1 / (n - 0.9));
			assert_true(failing < 0.2 / n);
			assert_true(slow > 0 && failing > 0); /* looked at now and then */
		}
		assert_true(run(SHUNT_SELECT_LEAST_LOADED, sizes[z], 1000, true) < 0.2 / n);
	}
}

/* A worker that was slow once is found out to be fast again. */
static void test_recovers(void **state)
{
	struct shunt_balancer *b = make(4, 4, SHUNT_SELECT_DEFAULT);
	struct shunt_worker_load l;
	unsigned to_first = 0;

	(void)state;
	assert_int_equal(shunt_balancer_start_on(b, 0), 0);
	assert_int_equal(shunt_balancer_complete(b, 0, UINT64_C(100000000), 1), 0);
	for (int r = 0; r < 60000; r++) {
		int s = shunt_balancer_start(b, 0, SHUNT_ANY);

		assert_true(s >= 0);
		to_first += r >= 56000 && s == 0;
		assert_int_equal(shunt_balancer_complete(b, (uint32_t)s, 1000000, 0), 0);
	}
	assert_int_equal(shunt_balancer_load(b, 0, &l, sizeof(l)), 0);
	assert_int_equal(l.fail_permille, 0);
	assert_true(to_first > 800 && to_first < 1200);
	shunt_balancer_destroy(b);
}

/* One job of 10 s: how many of the requests `from` to `to` after it go to its worker, as a share. */
static double after_outlier(enum shunt_strategy strategy, unsigned from, unsigned to)
{
	struct shunt_balancer *b = make(4, 4, strategy);
	unsigned to_first = 0;

	for (unsigned r = 0; r < 1000; r++) {
		int s = shunt_balancer_start(b, 0, SHUNT_ANY);

		assert_true(s >= 0);
		assert_int_equal(shunt_balancer_complete(b, (uint32_t)s, 1000000, 0), 0);
	}
	assert_int_equal(shunt_balancer_start_on(b, 0), 0);
	assert_int_equal(shunt_balancer_complete(b, 0, UINT64_C(10000000000), 0), 0);
	for (unsigned r = 0; r < to; r++) {
		int s = shunt_balancer_start(b, 0, SHUNT_ANY);

		assert_true(s >= 0);
		to_first += r >= from && s == 0;
		assert_int_equal(shunt_balancer_complete(b, (uint32_t)s, 1000000, 0), 0);
	}
	shunt_balancer_destroy(b);
	return (double)to_first / (to - from);
}

/* What was learned ages with what the others finish: a worker is not passed over for one sample. */
static void test_ages(void **state)
{
	static const enum shunt_strategy learning[] = { SHUNT_SELECT_LEAST_WORK, SHUNT_SELECT_PEAK_EWMA,
							SHUNT_SELECT_LOCALITY };

	(void)state;
	assert_int_equal(sh_ewma_aged(0, 1000, 3), 0);
	assert_int_equal(sh_ewma_aged(1, 1000, 3), 1);
	assert_int_equal(sh_ewma_aged(1000000, 0, 3), 1000000);
	assert_int_equal(sh_ewma_aged(1000000, 4, 3), 750000);
	assert_int_equal(sh_ewma_aged(1000000, 24, 3), 125000);
	assert_int_equal(sh_ewma_aged(1000000, 700, 3), 1);
	assert_int_equal(sh_ewma_aged(UINT64_C(1) << 62, 8, 3), UINT64_C(1) << 61);
	for (size_t k = 0; k < SH_COUNT(learning); k++) {
		double share = after_outlier(learning[k], 2000, 4000);

		printf("  strategy %d: %.3f of the requests 2,000 to 4,000 after a job of 10 s\n", (int)learning[k],
		       share);
		assert_true(share > 0.15);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_presets),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_newer_caller),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_last_resort),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_slow_and_failing),
		cmocka_unit_test(test_recovers),
		cmocka_unit_test(test_ages),
	};
	const char *env = getenv("SHUNT_SEED");

	seed = env != NULL ? strtoull(env, NULL, 0) : 1;
	if (seed == 0)
		seed = 1; /* 0 would mean the clock */
	printf("seed %llu (SHUNT_SEED)\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
