/*
 * sched/credit: the bound jobs_max. Credits are neither lost nor made, whatever threads take, give and keep; what a
 * thread keeps is bounded; and a runtime queues as many jobs as it says.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "base/rng.h"
#include "credit_util.h"
#include "sched/credit.h"

#define THREADS 3u

/* Only the fields that credits use. */
static void bare(struct shunt_runtime *rt, uint32_t jobs_max)
{
	memset(rt, 0, sizeof(*rt));
	rt->credit_cache = sh_credit_cache(jobs_max, 128);
	sh_a64_init(&rt->credits, jobs_max);
}

static void test_cache(void **state)
{
	(void)state;
	assert_int_equal(sh_credit_cache(64, 128), 0);
	assert_int_equal(sh_credit_cache(1023, 128), 0);
	assert_int_equal(sh_credit_cache(1024, 128), 1);
	assert_int_equal(sh_credit_cache(10 * 1024, 128), 10);
	assert_int_equal(sh_credit_cache(SH_CREDIT_CACHE * 1024, 128), SH_CREDIT_CACHE);
	assert_int_equal(sh_credit_cache(SH_JOBS_MAX, 128), SH_CREDIT_CACHE);
}

/* Takes are of up to 16, gives of up to what is held; with caches and without. */
static void test_conserved(void **state)
{
	static const uint32_t sizes[] = { 1, 3, 64, 1024, 5000, 40000 };
	static struct shunt_runtime rt;
	static struct sh_submitter subs[4];
	struct sh_rng rng;
	uint32_t z, step, i;

	(void)state;
	sh_rng_init(&rng, tu_seed());
	for (z = 0; z < sizeof(sizes) / sizeof(sizes[0]); z++) {
		uint64_t held = 0, sum;

		bare(&rt, sizes[z]);
		memset(subs, 0, sizeof(subs));
		for (step = 0; step < 40000; step++) {
			uint32_t who = sh_rng_below(&rng, 5), n = 1 + sh_rng_below(&rng, 16), got;
			struct sh_submitter *sub = who < 4 ? &subs[who] : NULL;
			uint64_t left = sh_a64_load_rlx(&rt.credits), own = sub ? sub->credits : 0;

			if (sh_rng_below(&rng, 100) == 0 && sub) {
				sh_credit_flush(&rt, sub);
				assert_int_equal(sub->credits, 0);
			} else if (step / 1000 % 2 == 0 ? sh_rng_below(&rng, 3) != 0 : sh_rng_below(&rng, 3) == 0) {
				got = sh_credit_take(&rt, sub, n);
				assert_int_equal(got, n < left + own ? n : left + own); /* all that it can have */
				held += got;
			} else {
				n = n < held ? n : (uint32_t)held;
				if (n > 0)
					sh_credit_give(&rt, sub, n);
				held -= n;
			}
			for (i = 0, sum = held + sh_a64_load_rlx(&rt.credits); i < 4; i++) {
				assert_true(subs[i].credits <= 2 * rt.credit_cache);
				assert_true(subs[i].credits <= 2 * SH_CREDIT_CACHE);
				sum += subs[i].credits;
			}
			assert_int_equal(sum, sizes[z]);
		}
	}
}

/* The counter's line is touched once in many jobs. */
static void test_rarely_shared(void **state)
{
	static struct shunt_runtime rt;
	static struct sh_submitter from, to;
	uint32_t i, changes = 0;

	(void)state;
	bare(&rt, SH_CREDIT_CACHE * 1024);
	memset(&from, 0, sizeof(from));
	memset(&to, 0, sizeof(to));
	for (i = 0; i < 100 * SH_CREDIT_CACHE; i++) {
		uint64_t before = sh_a64_load_rlx(&rt.credits);

		assert_int_equal(sh_credit_take(&rt, &from, 1), 1);
		changes += sh_a64_load_rlx(&rt.credits) != before;
		before = sh_a64_load_rlx(&rt.credits);
		sh_credit_give(&rt, &to, 1);
		changes += sh_a64_load_rlx(&rt.credits) != before;
	}
	assert_true(changes <= 2 * 100 + 2);
}

/* ---- threads ---- */

struct crowd {
	struct shunt_runtime rt;
	struct sh_submitter subs[THREADS];
	uint32_t jobs_max, rounds;
	atomic_uint held, go;
	atomic_bool too_many;
};

struct member {
	struct crowd *crowd;
	uint32_t index;
};

static void *trader(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->crowd;
	struct sh_submitter *sub = m->index == 0 ? NULL : &c->subs[m->index];
	struct sh_rng rng;
	uint32_t mine = 0, i;

	sh_rng_init(&rng, tu_seed() + m->index);
	while (!atomic_load(&c->go))
		(void)sched_yield();
	for (i = 0; i < c->rounds; i++) {
		uint32_t n = 1 + sh_rng_below(&rng, 16);

		if (sh_rng_below(&rng, 2)) {
			n = sh_credit_take(&c->rt, sub, n);
			mine += n;
			if (atomic_fetch_add(&c->held, n) + n > c->jobs_max)
				atomic_store(&c->too_many, true);
		} else {
			n = n < mine ? n : mine;
			mine -= n;
			(void)atomic_fetch_sub(&c->held, n);
			if (n > 0)
				sh_credit_give(&c->rt, sub, n);
		}
	}
	(void)atomic_fetch_sub(&c->held, mine);
	if (mine > 0)
		sh_credit_give(&c->rt, sub, mine);
	if (sub)
		sh_credit_flush(&c->rt, sub);
	return NULL;
}

static void crowd_run(uint32_t jobs_max)
{
	static struct crowd c;
	struct member m[THREADS];
	pthread_t t[THREADS];
	uint32_t i;

	memset(&c, 0, sizeof(c));
	bare(&c.rt, jobs_max);
	c.jobs_max = jobs_max;
	c.rounds = TU_TSAN_SCALE(200000u, 20000u);
	for (i = 0; i < THREADS; i++) {
		m[i] = (struct member){ &c, i };
		assert_int_equal(pthread_create(&t[i], NULL, trader, &m[i]), 0);
	}
	atomic_store(&c.go, 1);
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	assert_false(atomic_load(&c.too_many));
	assert_int_equal(sh_a64_load_acq(&c.rt.credits), jobs_max);
}

static void test_threads(void **state)
{
	(void)state;
	crowd_run(20);
	crowd_run(4096);
	crowd_run(SH_CREDIT_CACHE * 1024);
}

/* ---- in a runtime ---- */

/* Jobs of every kind that is queued have one credit each; as many fit as jobs_max says, but for what threads keep. */
static void check_runtime(uint32_t jobs_max)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 2);
	struct tu_gate g = { 0, 0 };
	struct shunt_job_spec s;
	struct tu_fixture f;
	atomic_uint ran = 0;
	uint32_t n = 0, i, kept;
	int rc = 0;

	ro.jobs_max = jobs_max;
	ro.handles_max = jobs_max + 16;
	tu_fixture_open(&f, &ro, &po);
	kept = 2 * 2 * f.rt->credit_cache; /* by the two workers */
	for (i = 0; i < 2; i++)
		(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
	assert_int_equal(cu_credits(f.rt), jobs_max);
	for (rc = 0; rc == 0 && n <= jobs_max; n += rc == 0) {
		struct shunt_job_id id = { 0 };

		s = tu_spec(f.count, &ran);
		s.flags = n % 3 == 1 ? SHUNT_JOB_KEYED : 0;
		s.key = n;
		rc = shunt_submit(f.rt, &s, n % 5 == 0 ? &id : NULL);
		if (id.v != 0)
			assert_int_equal(shunt_detach(f.rt, id), 0);
	}
	assert_int_equal(rc, SHUNT_EFULL);
	assert_true(n <= jobs_max && n + kept >= jobs_max);
	assert_int_equal(cu_credits(f.rt), jobs_max - n);
	atomic_store(&g.open, 1);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&ran), n);
	tu_destroy(f.rt, 0);
}

static void test_runtime(void **state)
{
	(void)state;
	check_runtime(64);
	check_runtime(1000);
	check_runtime(4096);
	check_runtime(SH_CREDIT_CACHE * 1024);
}

/* A batch takes credits for a whole run of plain jobs, and ends the run at one that needs a record. */
static void test_batch(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct tu_gate g = { 0, 0 };
	struct shunt_job_spec s[5];
	struct tu_fixture f;
	atomic_uint ran = 0;
	uint32_t i;

	(void)state;
	ro.jobs_max = 64;
	tu_fixture_open(&f, &ro, &po);
	(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
	for (i = 0; i < 5; i++)
		s[i] = tu_spec(f.count, &ran);
	s[2].arrival_ns = shunt_now_ns() + 2 * SH_FUTURE_NS;
	assert_int_equal(shunt_submit_batch(f.rt, s, 5, NULL, NULL), 5);
	assert_int_equal(cu_credits(f.rt), 64 - 5);
	atomic_store(&g.open, 1);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&ran), 5);
	assert_int_equal(cu_credits(f.rt), 64);
	tu_destroy(f.rt, 0);
}

/* Workers that have nothing to do keep no credits: a submitter can have all of them. */
static void test_idle_keeps_none(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 2);
	struct tu_fixture f;
	atomic_uint ran = 0;
	struct shunt_job_spec s;
	uint32_t i;

	(void)state;
	ro.jobs_max = SH_CREDIT_CACHE * 1024;
	tu_fixture_open(&f, &ro, &po);
	s = tu_spec(f.count, &ran);
	for (i = 0; i < 1000; i++)
		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&ran) == 1000);
	/* the rest is this thread's */
	tu_wait_until(sh_a64_load_acq(&f.rt->credits) >= ro.jobs_max - 2 * SH_CREDIT_CACHE);
	for (i = 0; i < 2; i++)
		tu_wait_until(sh_a32_load_acq(&sh_runtime_pool(f.rt, f.pool.v)->worker[i]->state) == SH_W_PARKED);
	tu_wait_until(sh_a64_load_acq(&f.rt->credits) + SH_CREDIT_CACHE >= ro.jobs_max);
	tu_close(f.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_conserved),
		cmocka_unit_test(test_rarely_shared),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_runtime),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_idle_keeps_none),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
