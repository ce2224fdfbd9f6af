/*
 * unit/arrival_test.c - what counts as periodic arrivals and what does not: sharp and jittering periods, a
 * missed arrival, another period, arrivals at random, and the bound on mispredictions. Times are made up; random ones
 * print their seed (SHUNT_SEED).
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "base/rng.h"
#include "policy/arrival.h"

#define GAP_NS UINT64_C(1000000)
#define WAKE_NS UINT64_C(20000)
#define ZERO_NS UINT64_C(1000000000)

static uint64_t seed = 1;

struct watch {
	struct sh_arrival r;
	uint64_t now_ns;
	uint32_t arrivals, early, met, vain; /* early: before the worker would be awake */
};

/* The next one comes after gap_ns; before that somebody waits for it as a worker does. */
static void come(struct watch *w, uint64_t gap_ns)
{
	uint64_t wake_at, spin_until;
	uint64_t at = w->now_ns + gap_ns;

	if (sh_arrival_next(&w->r, w->now_ns, WAKE_NS, &wake_at, &spin_until)) {
		assert_true(wake_at > w->now_ns && wake_at < spin_until);
		assert_true(spin_until - wake_at <= w->r.mean_ns * 16 / 100);
		if (at < wake_at) {
			w->early++;
		} else if (at < spin_until) {
			w->met++;
		} else {
			w->vain++;
			sh_arrival_missed(&w->r);
			assert_false(sh_arrival_next(&w->r, w->now_ns, WAKE_NS, &wake_at, &spin_until));
		}
	}
	w->now_ns = at;
	sh_arrival_add(&w->r, at);
	w->arrivals++;
	assert_true(w->vain * SH_ARRIVAL_SURE <= w->arrivals);
}

static struct watch fresh(void)
{
	return (struct watch){ .now_ns = ZERO_NS };
}

static void arrive_every(struct watch *w, uint32_t n, uint64_t gap_ns)
{
	while (n-- > 0)
		come(w, gap_ns);
}

static void regular_is_met(void **state)
{
	struct watch w = fresh();
	uint64_t wake_at = 0, spin_until = 0;

	(void)state;
	arrive_every(&w, 1 + 1 + SH_ARRIVAL_SURE, GAP_NS); /* the first, a gap to compare with, and so many like it */
	assert_int_equal(w.met, 0);
	assert_true(sh_arrival_next(&w.r, w.now_ns, WAKE_NS, &wake_at, &spin_until));
	assert_int_equal(wake_at, w.now_ns + GAP_NS - WAKE_NS);
	assert_int_equal(spin_until, w.now_ns + GAP_NS + WAKE_NS);
	assert_true(sh_arrival_next(&w.r, spin_until - 1, WAKE_NS, &wake_at, &spin_until)); /* late, but not too late */
	assert_false(sh_arrival_next(&w.r, spin_until, WAKE_NS, &wake_at, &spin_until));
	arrive_every(&w, 1000, GAP_NS);
	assert_int_equal(w.met, 1000);
}

static void jitter_is_met(void **state)
{
	struct watch w = fresh();
	struct sh_rng rng;
	uint64_t due_ns = ZERO_NS;

	(void)state;
	sh_rng_init(&rng, seed);
	for (uint32_t i = 0; i < 2000; i++) { /* up to 2 % off its time, so gaps differ by 4 % at most */
		uint64_t at;

		due_ns += GAP_NS;
		at = due_ns + sh_rng_next(&rng) % (GAP_NS / 50);
		come(&w, at - w.now_ns);
	}
	assert_true(w.met >= 1900);
}

/* Jitter of more than 1/SH_RHYTHM_PART is no rhythm, however long it goes on. */
static void too_much_jitter(void **state)
{
	struct watch w = fresh();

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		come(&w, i % 2 ? GAP_NS : GAP_NS + GAP_NS / 15);
	assert_int_equal(w.met + w.early + w.vain, 0);
}

static void missed_arrival(void **state)
{
	struct watch w = fresh();

	(void)state;
	arrive_every(&w, 20, GAP_NS);
	w.met = 0;
	come(&w, 2 * GAP_NS);
	assert_int_equal(w.vain, 1);
	arrive_every(&w, 1 + SH_ARRIVAL_SURE, GAP_NS); /* sees anew what the gap is */
	assert_int_equal(w.met, 0);
	arrive_every(&w, 10, GAP_NS);
	assert_int_equal(w.met, 10);
	assert_int_equal(w.vain, 1);
}

static void other_period(void **state)
{
	struct watch w = fresh();

	(void)state;
	arrive_every(&w, 20, GAP_NS);
	arrive_every(&w, 1 + SH_ARRIVAL_SURE, GAP_NS / 2);
	assert_int_equal(w.early, 1);
	w.met = 0;
	arrive_every(&w, 10, GAP_NS / 2);
	assert_int_equal(w.met, 10);
	assert_int_equal(w.vain, 0);
}

/* The most that can be wasted: as soon as it is sure it is disappointed. */
static void worst_case(void **state)
{
	struct watch w = fresh();

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		arrive_every(&w, 30, GAP_NS);
		come(&w, 3 * GAP_NS);
	}
	assert_int_equal(w.vain, 100);
	w = fresh();
	arrive_every(&w, 2 + SH_ARRIVAL_SURE, GAP_NS);
	for (uint32_t i = 0; i < 100; i++) { /* just late enough to be missed, and near enough to count as regular */
		arrive_every(&w, SH_ARRIVAL_SURE / 2 - 1, w.r.mean_ns);
		come(&w, w.r.mean_ns + w.r.mean_ns / 17);
	}
	assert_true(w.vain > 0); /* and never more than one in eight: come() looks */
}

static void random_arrivals(void **state)
{
	struct watch w = fresh();
	struct sh_rng rng;

	(void)state;
	sh_rng_init(&rng, seed + 7);
	for (uint32_t i = 0; i < 200000; i++) {
		double u = (double)((sh_rng_next(&rng) >> 11) + 1) * 0x1p-53;

		come(&w, 1 + (uint64_t)(-log(u) * (double)GAP_NS));
	}
	print_message("of 200000 at random: %u in vain, %u met\n", w.vain, w.met);
	assert_true(w.vain <= 20); /* one in ten thousand: eight gaps within 1/16 of their mean are rare */
}

static void bounds(void **state)
{
	struct watch w = fresh();
	uint64_t a, b;

	(void)state;
	arrive_every(&w, 20, SH_RHYTHM_GAP_WAKES * WAKE_NS); /* spinning through it costs no more */
	assert_int_equal(w.met + w.early + w.vain, 0);
	arrive_every(&w, 20, SH_RHYTHM_GAP_NS_MAX);
	assert_false(sh_arrival_next(&w.r, w.now_ns, WAKE_NS, &a, &b));
	w = fresh();
	arrive_every(&w, 20, GAP_NS);
	assert_false(sh_arrival_next(&w.r, 1, WAKE_NS, &a, &b)); /* times that are not of this clock */
	sh_arrival_add(&w.r, w.now_ns); /* a clock that stands */
	assert_false(sh_arrival_next(&w.r, w.now_ns, WAKE_NS, &a, &b));
	sh_arrival_add(&w.r, 5); /* and one that goes back */
	assert_false(sh_arrival_next(&w.r, w.now_ns, WAKE_NS, &a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regular_is_met), cmocka_unit_test(jitter_is_met), cmocka_unit_test(too_much_jitter),
		cmocka_unit_test(missed_arrival),    cmocka_unit_test(other_period),  cmocka_unit_test(worst_case),
		cmocka_unit_test(random_arrivals), cmocka_unit_test(bounds),
	};
	const char *s = getenv("SHUNT_SEED");

	seed = s ? strtoull(s, NULL, 0) : seed;
	print_message("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
