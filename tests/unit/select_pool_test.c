/*
 * select_pool_test.c - the default choice of a pool: against a plain computation of every cost, equal shares among
 * equals, masks, closed workers, sleepers, idle ones by speed, homes, and what is learned of a worker. Deterministic
 * for a seed.
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

#include "sched/pool.h"
#include "sched/least_work.h"

#define WORKERS_MAX 256u
#define JOB_NS 1000u
#define WAKE_NS 30000u
#define NOW_NS (UINT64_C(1) << 50)
#define LEFT_MAX_NS (UINT64_C(1) << 40) /* more counts as this */

static uint64_t seed;

struct fleet {
	struct sh_worker w[WORKERS_MAX];
	const struct sh_worker *worker[WORKERS_MAX];
	sh_a64 spinning[SH_WORDS], parked[SH_WORDS];
	uint64_t can[SH_WORDS];
	struct sh_select_pool pool;
	struct sh_select_state st;
	struct sh_select_ask ask;
	struct sh_select_recent recent;
	struct sh_ring ring[WORKERS_MAX];
	sh_a128 slots[WORKERS_MAX][SH_RING_CAPACITY_MIN];
};

static struct fleet *f;

static void fleet_init(uint32_t n, uint32_t nodes)
{
	memset(f, 0, sizeof(*f));
	memset(f->can, 0xff, sizeof(f->can));
	for (uint32_t i = 0; i < n; i++) {
		f->worker[i] = &f->w[i];
		f->w[i].node_slot = i % nodes;
		f->w[i].slot = i;
		f->w[i].ring = &f->ring[i];
		sh_ring_init(&f->ring[i], f->slots[i], SH_RING_CAPACITY_MIN);
	}
	sh_select_pool_init(&f->pool, f->worker, n, f->spinning, f->parked);
	sh_rng_init(&f->st.rng, seed + n);
	f->ask = (struct sh_select_ask){ f->can, SHUNT_ANY, SHUNT_ANY, JOB_NS, WAKE_NS, 0, NOW_NS, NULL };
}

static int setup(void **state)
{
	(void)state;
	f = aligned_alloc(SH_CACHELINE, (sizeof(*f) + SH_CACHELINE - 1) / SH_CACHELINE * SH_CACHELINE);
	return f == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	free(f);
	return 0;
}

static void set_bit(sh_a64 *words, uint32_t i, bool on)
{
	uint64_t m = sh_a64_load_rlx(&words[i / 64u]), bit = UINT64_C(1) << (i % 64u);

	sh_a64_store_rlx(&words[i / 64u], on ? m | bit : m & ~bit);
}

/* It has published that it will be free in `ns`; 0 = some time ago. */
static void set_left(uint32_t i, uint64_t ns)
{
	sh_a64_store_rlx(&f->w[i].free_at_ns, (NOW_NS + (ns != 0 ? ns : 0 - (uint64_t)i * 77u)) & ~SH_WORKER_BUSY);
}

/* Somebody queued a job there. */
static void set_job(uint32_t i)
{
	assert_true(sh_ring_push(&f->ring[i], (struct sh_item){ 1, 1 }));
}

static uint64_t cost(uint32_t i, uint64_t wake_ns)
{
	uint64_t left = sh_worker_left_ns(&f->w[i], NOW_NS);

	return (left + wake_ns) * 1000u + (uint64_t)(JOB_NS + 1) * sh_a32_load_rlx(&f->pool.weight[i]);
}

static uint32_t choose(void)
{
	return sh_select_least_work(&f->pool, &f->st, &f->ask);
}

static double chi_square(const unsigned *got, uint32_t n, unsigned total)
{
	double e = (double)total / n, x = 0;

	for (uint32_t i = 0; i < n; i++)
		x += ((double)got[i] - e) * ((double)got[i] - e) / e;
	return x;
}

static bool even(const unsigned *got, uint32_t n, unsigned total)
{
	return chi_square(got, n, total) <= n - 1 + 6 * sqrt(2.0 * n) + 6; /* 6 deviations: never by chance */
}

static void test_bit8(void **state)
{
	(void)state;
	for (uint32_t mask = 1; mask < 256; mask++) {
		uint32_t n = (uint32_t)__builtin_popcount(mask), seen = 0;

		for (uint64_t k = 0; k < n; k++) { /* the middle of each of n equal parts of what r can be */
			uint32_t bit = sh_select_bit8(mask, UINT64_MAX / (2 * n) * (2 * k + 1));

			assert_true(bit < 8 && (mask >> bit & 1u) != 0 && (seen >> bit & 1u) == 0);
			seen |= 1u << bit;
		}
		assert_int_equal(seen, mask);
		assert_true(mask >> sh_select_bit8(mask, 0) & 1u);
		assert_true(mask >> sh_select_bit8(mask, UINT64_MAX) & 1u);
	}
}

/* Up to 8 workers: never one that costs 1/16 more than the cheapest, but for the one choice in 128 that explores. */
static void test_cheapest(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 8; n++) {
		fleet_init(n, 1);
		for (uint32_t t = 1; t < 20000; t++) {
			uint64_t least = UINT64_MAX, parked;
			uint32_t w;

			for (uint32_t i = 0; i < n; i++) {
				uint32_t jobs = sh_rng_below(&f->st.rng, 5);

				uint32_t each = sh_rng_below(&f->st.rng, 1u << sh_rng_below(&f->st.rng, 31));
				uint32_t speed = 50 + sh_rng_below(&f->st.rng, 5000);

				set_left(i, (uint64_t)jobs * each);
				sh_select_pool_learn(&f->pool, i, speed, sh_rng_below(&f->st.rng, 1001));
				set_bit(f->parked, i, t % 2 && sh_rng_below(&f->st.rng, 2));
			}
			for (uint32_t i = 0; i < n; i++) {
				uint64_t c = cost(i, (sh_a64_load_rlx(&f->parked[0]) >> i & 1u) * WAKE_NS);

				least = c < least ? c : least;
			}
			w = choose();
			assert_true(w < n);
			if (f->st.next % 128 == 0)
				continue;
			parked = sh_a64_load_rlx(&f->parked[0]) >> w & 1u;
			assert_true(cost(w, parked * WAKE_NS) <= least + least / 16);
		}
	}
}

static void test_ties(void **state)
{
	static const uint32_t sizes[] = { 2, 3, 4, 5, 7, 8, 9, 64, 65, 100, 256 };
	unsigned some[8] = { 0 };

	(void)state;
	for (size_t z = 0; z < SH_COUNT(sizes); z++) {
		uint32_t n = sizes[z];
		unsigned work[WORKERS_MAX] = { 0 }, idle[WORKERS_MAX] = { 0 };

		fleet_init(n, 1);
		for (uint32_t i = 0; i < n; i++)
			set_bit(f->spinning, i, true);
		for (unsigned t = 0; t < 400 * n; t++) {
			uint32_t w = choose(), s = sh_select_spinning(&f->pool, &f->st, &f->ask);

			assert_true(w < n && s < n);
			work[w]++;
			idle[s]++;
		}
		assert_true(even(work, n, 400 * n));
		assert_true(even(idle, n, 400 * n));
	}
	/* Of some: within 1/16 is equal, and a hole in the middle changes nothing. */
	fleet_init(8, 1);
	for (uint32_t i = 0; i < 8; i++)
		set_left(i, i == 0 || i == 1 || i == 6 ? 2 + i * 10u : 500);
	for (unsigned t = 0; t < 3000; t++)
		some[choose()]++;
	some[2] = some[6]; /* nobody is idle, so nobody else is tried */
	assert_int_equal(some[0] + some[1] + some[2], 3000);
	assert_true(even(some, 3, 3000));
}

/* A full queue of long jobs at the slowest worker there can be still costs more than a shorter one. */
static void test_extremes(void **state)
{
	(void)state;
	fleet_init(8, 1);
	f->ask.job_ns = f->ask.wake_ns = UINT32_MAX;
	for (uint32_t i = 0; i < 8; i++) {
		set_left(i, LEFT_MAX_NS * 16);
		sh_select_pool_learn(&f->pool, i, 100000, 1000);
	}
	set_left(3, LEFT_MAX_NS / 8);
	for (int t = 0; t < 500; t++)
		assert_int_equal(choose(), 3);
	set_bit(f->parked, 3, true);
	for (int t = 0; t < 500; t++)
		assert_int_equal(choose(), 3);
	f->ask.job_ns = f->ask.wake_ns = 0;
	for (uint32_t i = 0; i < 8; i++) {
		set_left(i, 0);
		sh_select_pool_learn(&f->pool, i, i == 5 ? 0 : 50, 0); /* the smallest: still a weight */
	}
	for (int t = 0; t < 500; t++)
		assert_true(choose() < 8);
}

static void test_masks(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 5, 8, 9, 64, 100, 256 };

	(void)state;
	for (size_t z = 0; z < SH_COUNT(sizes); z++) {
		uint32_t n = sizes[z];

		fleet_init(n, 1);
		memset(f->can, 0, sizeof(f->can));
		f->can[SH_WORDS - 1] = UINT64_MAX; /* spares: none of ours */
		for (uint32_t i = 0; i < n; i++)
			set_bit(f->spinning, i, true);
		for (int t = 0; t < 300; t++) {
			assert_true(choose() == SHUNT_ANY);
			assert_true(sh_select_spinning(&f->pool, &f->st, &f->ask) == SHUNT_ANY);
		}
		memset(f->can, 0xff, sizeof(f->can));
		for (uint32_t i = 0; i < n; i++)
			sh_a32_store_rlx(i % 2 ? &f->w[i].blocked : &f->w[i].full, 1);
		for (int t = 0; t < 300; t++)
			assert_true(choose() == SHUNT_ANY);
		/* One that may and is open is found, however much it has to do. */
		for (uint32_t i = 0; i < n; i += 1 + n / 7) {
			sh_a32_store_rlx(i % 2 ? &f->w[i].blocked : &f->w[i].full, 0);
			set_left(i, 1u << 30);
			for (int t = 0; t < 300; t++)
				assert_int_equal(choose(), i);
			set_left(i, 0);
			sh_a32_store_rlx(i % 2 ? &f->w[i].blocked : &f->w[i].full, 1);
		}
		for (uint32_t i = 0; i < n; i++)
			sh_a32_store_rlx(i % 2 ? &f->w[i].blocked : &f->w[i].full, 0);
		memset(f->can, 0, sizeof(f->can));
		f->can[(n - 1) / 64u] = UINT64_C(1) << ((n - 1) % 64u);
		for (int t = 0; t < 300; t++) {
			assert_int_equal(choose(), n - 1);
			assert_int_equal(sh_select_spinning(&f->pool, &f->st, &f->ask), n - 1);
		}
	}
}

/* A sleeper is worth its wake when the wait elsewhere is longer. */
static void test_sleepers(void **state)
{
	static const uint32_t sizes[] = { 8, 100 };

	(void)state;
	for (size_t z = 0; z < SH_COUNT(sizes); z++) {
		uint32_t n = sizes[z], other = 0;

		fleet_init(n, 1);
		for (uint32_t i = 0; i < n; i++)
			set_left(i, WAKE_NS / 2);
		set_left(4, 0);
		set_bit(f->parked, 4, true);
		for (int t = 0; t < 2000; t++)
			other += choose() != 4;
		assert_true(other > 1950); /* explored sometimes */
		for (uint32_t i = 0; i < n; i++)
			if (i != 4)
				set_left(i, WAKE_NS * 2);
		for (int t = 0; t < 2000; t++)
			assert_int_equal(choose(), 4);
	}
	/* Slower: taken among many, so that nobody waits while one is idle; weighed among few. */
	sh_select_pool_learn(&f->pool, 4, 4000, 0);
	for (int t = 0; t < 2000; t++)
		assert_int_equal(choose(), 4);
	fleet_init(8, 1);
	for (uint32_t i = 0; i < 8; i++)
		set_left(i, WAKE_NS + 4 * JOB_NS); /* more than its wake, less than that and what it takes longer */
	set_left(4, 0);
	set_bit(f->parked, 4, true);
	sh_select_pool_learn(&f->pool, 4, 8000, 0);
	for (int t = 0; t < 2000; t++)
		assert_true(choose() != 4 || f->st.next % 128 == 0);
}

static void test_spinning_by_speed(void **state)
{
	static const uint32_t sizes[] = { 6, 200 };
	uint32_t got[5] = { 0 };

	(void)state;
	for (size_t z = 0; z < SH_COUNT(sizes); z++) {
		uint32_t n = sizes[z];
		bool large = n > 8;

		fleet_init(n, 1);
		/* In the order of speed: 5, 4, 3, 2. */
		sh_select_pool_learn(&f->pool, 2, 20000, 0);
		sh_select_pool_learn(&f->pool, 3, 4000, 0);
		sh_select_pool_learn(&f->pool, 4, 2000, 0);
		for (uint32_t fastest = 5; fastest >= 2; fastest--) {
			uint32_t want = fastest == 5 || (large && fastest > 2) ? fastest : SHUNT_ANY, other = 0;

			for (uint32_t i = 2; i <= 5; i++)
				set_bit(f->spinning, i, i <= fastest);
			for (int t = 0; t < 1280; t++)
				other += sh_select_spinning(&f->pool, &f->st, &f->ask) != want;
			assert_true(other <= 11); /* one in 128 takes another class, so that it is measured again */
			got[fastest - 1] += other;
		}
	}
	assert_true(got[4] > 0);
	/* The slowest class is not taken for being idle, but weighed: the other ones have more to do than that. */
	for (uint32_t i = 0; i < 200; i++)
		set_left(i, i == 2 ? 0 : JOB_NS * 30);
	for (int t = 0; t < 1000; t++)
		assert_int_equal(choose(), 2);
	/* From a given place on, around. */
	fleet_init(200, 1);
	set_bit(f->spinning, 3, true);
	set_bit(f->spinning, 70, true);
	set_bit(f->spinning, 180, true);
	f->ask.start = 71;
	assert_int_equal(sh_select_spinning(&f->pool, &f->st, &f->ask), 180);
	f->ask.start = 181;
	assert_int_equal(sh_select_spinning(&f->pool, &f->st, &f->ask), 3);
	f->ask.start = 3;
	assert_int_equal(sh_select_spinning(&f->pool, &f->st, &f->ask), 3);
	/* One that somebody has already given a job is passed over. */
	set_job(3);
	for (int t = 0; t < 100; t++)
		assert_true(sh_select_spinning(&f->pool, &f->st, &f->ask) != 3);
	set_job(70);
	set_job(180);
	assert_true(sh_select_spinning(&f->pool, &f->st, &f->ask) == SHUNT_ANY);
}

static void test_home(void **state)
{
	uint32_t home = 0;

	(void)state;
	fleet_init(64, 4);
	f->ask.home = 2;
	for (int t = 0; t < 4000; t++)
		home += f->w[choose()].node_slot == 2;
	assert_true(home > 2800 && home < 3200); /* three of four candidates */
	for (uint32_t i = 2; i < 64; i += 4)
		set_left(i, 10000);
	for (int t = 0; t < 4000; t++)
		assert_true(f->w[choose()].node_slot != 2);
	f->ask.home = 7; /* nobody lives there */
	for (int t = 0; t < 4000; t++)
		assert_true(choose() < 64);
}

static uint32_t class_of(uint32_t slot)
{
	uint32_t found = SHUNT_ANY;

	for (uint32_t c = 0; c < SH_SELECT_CLASSES; c++)
		if (sh_a64_load_rlx(&f->pool.member[c][slot / 64u]) >> (slot % 64u) & 1u) {
			assert_true(found == SHUNT_ANY); /* in one class only */
			found = c;
		}
	assert_true(found != SHUNT_ANY);
	return found;
}

static void test_learn(void **state)
{
	/* Limits at 1400, 2800, 5600, 11200; left when passed by 1/10. */
	static const uint32_t speeds[] = { 1000, 1500, 1600, 1300, 1200, 3300, 2700,
					   2400, 9000, 5300, 4000, 100000, 1000 };
	static const uint32_t classes[] = { 0, 0, 1, 1, 0, 2, 2, 1, 3, 3, 2, 4, 0 };
	uint32_t changed = 0;

	(void)state;
	fleet_init(8, 1);
	for (uint32_t slot = 0; slot < 8; slot += 3)
		for (size_t i = 0; i < SH_COUNT(speeds); i++) {
			sh_select_pool_learn(&f->pool, slot, speeds[i], 0);
			assert_int_equal(class_of(slot), classes[i]);
		}
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(class_of(i), 0);
	/* Failures count as slowness. */
	sh_select_pool_learn(&f->pool, 1, 1000, 1000);
	assert_int_equal(class_of(1), 2);
	/* Of few workers a fast one makes the others slow; of many a few that look so do not, a sixteenth does. */
	sh_select_pool_learn(&f->pool, 7, 100, 0);
	sh_select_pool_learn(&f->pool, 0, 1001, 0);
	assert_int_equal(class_of(0), 3);
	for (uint32_t fast = 1; fast <= 20; fast++) {
		fleet_init(200, 1);
		for (uint32_t i = 0; i < fast; i++)
			sh_select_pool_learn(&f->pool, i, 51, 0);
		for (uint32_t i = fast; i < 200; i++)
			sh_select_pool_learn(&f->pool, i, i % 2 ? 1001 : 1039, 0);
		assert_int_equal(class_of(100), fast <= 200 / 16 ? 0 : 4);
		assert_int_equal(class_of(0), 0);
	}
	fleet_init(100, 1);
	sh_select_pool_learn(&f->pool, 5, 2000, 512);
	assert_int_equal(sh_a32_load_rlx(&f->pool.weight[5]), 6000); /* 2000 x (1 + 512 / 256) */
	/* Shared lines are written seldom, and what they say is near. */
	for (uint32_t s = 1000; s <= 2000; s++) {
		uint32_t old = sh_a32_load_rlx(&f->pool.weight[6]), now;

		sh_select_pool_learn(&f->pool, 6, s, 0);
		now = sh_a32_load_rlx(&f->pool.weight[6]);
		changed += now != old;
		assert_true(now <= s && s <= now + now / 32);
	}
	assert_true(changed >= 20 && changed <= 24);
}

/* A worker that is over its time is not free: what it has left is at least its usual time. */
static void test_overdue(void **state)
{
	(void)state;
	fleet_init(4, 1);
	for (uint32_t i = 0; i < 4; i++) {
		sh_a64_store_rlx(&f->w[i].ewma_ns, JOB_NS);
		set_left(i, i == 0 ? 0 : JOB_NS / 2);
	}
	for (int t = 0; t < 100; t++)
		assert_true(choose() == 0 || f->st.next % 128 == 0);
	sh_a64_store_rlx(&f->w[0].free_at_ns, (NOW_NS - 5 * JOB_NS) | SH_WORKER_BUSY);
	assert_int_equal(sh_worker_left_ns(&f->w[0], NOW_NS), JOB_NS);
	for (int t = 0; t < 100; t++)
		assert_true(choose() != 0 || f->st.next % 128 == 0);
}

/* A burst of one submitter spreads evenly before any worker has published it; what they publish counts then. */
static void test_recent(void **state)
{
	static const uint32_t sizes[] = { 4, 8, 200 };

	(void)state;
	for (size_t z = 0; z < SH_COUNT(sizes); z++) {
		uint32_t n = sizes[z], got[WORKERS_MAX] = { 0 }, most = 0;

		fleet_init(n, 1);
		f->ask.recent = &f->recent;
		for (uint32_t t = 0; t < 5 * n; t++) {
			uint32_t w = choose();

			sh_select_queued(&f->recent, f->worker[w], NOW_NS, JOB_NS);
			most = ++got[w] > most ? got[w] : most;
		}
		/* 5 each; of many few are compared, and not all are remembered */
		assert_true(most <= (n <= 8 ? 6u : 15u));
	}
	fleet_init(4, 1);
	f->ask.recent = &f->recent;
	sh_select_queued(&f->recent, f->worker[1], NOW_NS, JOB_NS);
	sh_select_queued_more(&f->recent, 1, 40 * JOB_NS);
	for (uint32_t i = 0; i < 4; i++)
		if (i != 1)
			set_left(i, 40 * JOB_NS);
	for (int t = 0; t < 100; t++) /* 41 and 40: equal */
		assert_true(choose() < 4);
	sh_select_queued_more(&f->recent, 1, 10 * JOB_NS);
	for (int t = 0; t < 100; t++)
		assert_true(choose() != 1 || f->st.next % 128 == 0);
	set_left(1, JOB_NS);
	for (int t = 0; t < 100; t++)
		assert_true(choose() == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bit8),
		cmocka_unit_test(test_cheapest),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_sleepers),
		cmocka_unit_test(test_spinning_by_speed),
		cmocka_unit_test(test_home),
		cmocka_unit_test(test_learn),
		cmocka_unit_test(test_overdue),
		cmocka_unit_test(test_recent),
	};
	const char *env = getenv("SHUNT_SEED");

	seed = env != NULL ? strtoull(env, NULL, 0) : 1;
	printf("seed %llu (SHUNT_SEED)\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, setup, teardown);
}
