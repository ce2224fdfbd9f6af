/*
 * Keyed jobs: those of one key run in the order of submit and one at a time, whichever worker steals, with several
 * submitters, spawns from inside jobs and cancels; other keys are not held up by a key that waits.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "base/rng.h"

#define SUBMITTERS 4u
#define KEYS 6u

struct lane { /* one key of one submitter: its jobs must come in order */
	atomic_uint inside;
	atomic_uint next;
	atomic_uint ran;
};

struct world {
	struct shunt_runtime *rt;
	struct shunt_type_id type;
	struct lane lane[SUBMITTERS][KEYS];
	atomic_uint key_inside[KEYS];
	atomic_uint wrong_order, overlap;
	uint32_t each;
	bool shared; /* all submitters use the same keys */
	bool cancels;
	atomic_uint cancelled;
};

struct ticket {
	struct world *w;
	uint16_t submitter, key;
	uint32_t number;
};

static int keyed_job(struct shunt_job_ctx *ctx, void *arg)
{
	const struct ticket *t = arg;
	struct world *w = t->w;
	struct lane *l = &w->lane[t->submitter][t->key];
	atomic_uint *inside = w->shared ? &w->key_inside[t->key] : &l->inside;
	uint32_t i;

	(void)ctx;
	if (atomic_fetch_add(inside, 1) != 0)
		(void)atomic_fetch_add(&w->overlap, 1);
	/* With cancels numbers may be left out, but never go back. */
	if (w->cancels ? t->number < atomic_load(&l->next) : t->number != atomic_load(&l->next))
		(void)atomic_fetch_add(&w->wrong_order, 1);
	atomic_store(&l->next, t->number + 1);
	for (i = 0; i < t->number % 64; i++)
		(void)atomic_load(inside);
	if (t->number % 97 == 0)
		(void)sched_yield();
	(void)atomic_fetch_add(&l->ran, 1);
	(void)atomic_fetch_sub(inside, 1);
	return SHUNT_DONE;
}

struct submitter {
	struct world *w;
	uint32_t index;
	struct ticket *tickets;
};

static void *submit_thread(void *arg)
{
	struct submitter *s = arg;
	struct world *w = s->w;
	struct sh_rng rng;
	uint32_t number[KEYS] = { 0 };
	uint32_t i;

	sh_rng_init(&rng, tu_seed() + s->index);
	for (i = 0; i < w->each; i++) {
		uint32_t key = sh_rng_below(&rng, KEYS);
		struct ticket *t = &s->tickets[i];
		struct shunt_job_spec spec = tu_spec(w->type, t);
		struct shunt_job_id id;
		bool cancel = w->cancels && sh_rng_below(&rng, 3) == 0;

		*t = (struct ticket){ w, (uint16_t)s->index, (uint16_t)key, number[key]++ };
		spec.flags = SHUNT_JOB_KEYED;
		spec.key = w->shared ? key : key + 100 * s->index;
		spec.on_full = SHUNT_ON_FULL_BLOCK;
		if (shunt_submit(w->rt, &spec, cancel ? &id : NULL) != 0)
			return (void *)1;
		if (!cancel)
			continue;
		if (shunt_cancel(w->rt, id) == 0)
			(void)atomic_fetch_add(&w->cancelled, 1);
		if (shunt_detach(w->rt, id) != 0)
			return (void *)1;
	}
	return NULL;
}

static void world_run(uint32_t workers, uint32_t strands, bool shared, bool cancels, uint32_t jobs_max)
{
	static struct world w;
	struct submitter s[SUBMITTERS];
	pthread_t t[SUBMITTERS];
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("keyed", workers);
	uint32_t ran = 0;
	uint32_t i, k;

	memset(&w, 0, sizeof(w));
	ro.jobs_max = jobs_max;
	w.rt = tu_runtime_with(&ro);
	po.key_slots = strands;
	po.ring_capacity = 16;
	w.type = tu_type(w.rt, tu_pool_with(w.rt, &po), "keyed", keyed_job);
	w.each = TU_TSAN_SCALE(6000u, 800u);
	w.shared = shared;
	w.cancels = cancels;
	for (i = 0; i < SUBMITTERS; i++) {
		s[i] = (struct submitter){ &w, i, calloc(w.each, sizeof(struct ticket)) };
		assert_non_null(s[i].tickets);
		assert_int_equal(pthread_create(&t[i], NULL, submit_thread, &s[i]), 0);
	}
	for (i = 0; i < SUBMITTERS; i++) {
		void *bad = NULL;

		(void)pthread_join(t[i], &bad);
		assert_null(bad);
	}
	assert_int_equal(shunt_runtime_drain(w.rt, TU_LONG_NS, NULL), 0);
	for (i = 0; i < SUBMITTERS; i++)
		for (k = 0; k < KEYS; k++)
			ran += atomic_load(&w.lane[i][k].ran);
	assert_int_equal(atomic_load(&w.overlap), 0);
	assert_int_equal(atomic_load(&w.wrong_order), 0);
	assert_int_equal(ran + atomic_load(&w.cancelled), SUBMITTERS * w.each);
	tu_destroy(w.rt, 0);
	for (i = 0; i < SUBMITTERS; i++)
		free(s[i].tickets);
}

static void test_order(void **state)
{
	(void)state;
	world_run(3, 1024, false, false, 8192);
}

static void test_order_shared_keys(void **state)
{
	(void)state;
	world_run(3, 1024, true, false, 8192);
}

static void test_one_strand(void **state)
{
	(void)state;
	world_run(3, 1, false, false, 8192);
}

static void test_cancels(void **state)
{
	(void)state;
	world_run(3, 8, true, true, 8192);
}

/* The smallest arena: submitters block, and the pool's tokens must not outgrow its queues. */
static void test_small_arena(void **state)
{
	(void)state;
	world_run(2, 2, true, false, 64);
	world_run(1, 1, true, true, 64);
}

/* ---- a key that waits holds nobody else up ---- */

static void test_other_keys_go_on(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts po = tu_pool_opts("keyed", 2);
	struct shunt_pool_id pool = tu_pool_with(rt, &po);
	struct shunt_type_id gate = tu_type(rt, pool, "gate", tu_gate_job);
	struct shunt_type_id count = tu_type(rt, pool, "count", tu_count_job);
	struct tu_gate g = { 0, 0 };
	atomic_uint same = 0;
	atomic_uint other = 0;
	uint32_t i;

	(void)state;
	{
		struct shunt_job_spec s = tu_spec(gate, &g);

		s.flags = SHUNT_JOB_KEYED;
		s.key = 1;
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	}
	tu_wait_until(atomic_load(&g.arrived) == 1);
	for (i = 0; i < 100; i++) {
		struct shunt_job_spec s = tu_spec(count, i % 2 ? &other : &same);

		s.flags = SHUNT_JOB_KEYED;
		s.key = i % 2 ? 2 : 1;
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	}
	tu_wait_until(atomic_load(&other) == 50);
	assert_int_equal(atomic_load(&same), 0);
	atomic_store(&g.open, 1);
	tu_wait_until(atomic_load(&same) == 50);
	tu_close(rt);
}

/* ---- a job that submits its own successor with its own key ---- */

struct chain {
	struct shunt_type_id type;
	atomic_uint inside, overlap, ran;
	uint32_t length;
};

static int chain_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct chain *c = arg;
	int rc = 0;

	if (atomic_fetch_add(&c->inside, 1) != 0)
		(void)atomic_fetch_add(&c->overlap, 1);
	if (atomic_fetch_add(&c->ran, 1) + 1 < c->length) {
		struct shunt_job_spec s = tu_spec(c->type, c);

		s.flags = SHUNT_JOB_KEYED;
		s.key = 9;
		rc = shunt_submit(shunt_job_runtime(ctx), &s, NULL);
	}
	(void)atomic_fetch_sub(&c->inside, 1);
	return rc;
}

static void test_chain(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct chain c;

	(void)state;
	memset(&c, 0, sizeof(c));
	c.length = 5000;
	c.type = tu_type(rt, tu_pool(rt, "keyed", 2), "chain", chain_job);
	{
		struct shunt_job_spec s = tu_spec(c.type, &c);

		s.flags = SHUNT_JOB_KEYED;
		s.key = 9;
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	}
	tu_wait_until(atomic_load(&c.ran) == c.length);
	assert_int_equal(atomic_load(&c.overlap), 0);
	tu_close(rt);
}

/* Everything of a key cancelled while its first job runs; then the key works on. */
static void test_cancel_all(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_id pool = tu_pool(rt, "keyed", 1);
	struct shunt_type_id gate = tu_type(rt, pool, "gate", tu_gate_job);
	struct shunt_type_id count = tu_type(rt, pool, "count", tu_count_job);
	struct shunt_job_id ids[50];
	uint32_t round, i;

	(void)state;
	for (round = 0; round < 20; round++) {
		struct tu_gate g = { 0, 0 };
		atomic_uint n = 0;
		struct shunt_job_spec s = tu_spec(gate, &g);

		s.flags = SHUNT_JOB_KEYED;
		s.key = 3;
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
		tu_wait_until(atomic_load(&g.arrived) == 1);
		s.type = count;
		s.arg = &n;
		for (i = 0; i < 50; i++)
			assert_int_equal(shunt_submit(rt, &s, &ids[i]), 0);
		for (i = 0; i < 50; i++) {
			assert_int_equal(shunt_cancel(rt, ids[i]), 0);
			tu_join(rt, ids[i], SHUNT_JOB_CANCELLED);
		}
		atomic_store(&g.open, 1);
		assert_int_equal(shunt_submit(rt, &s, &ids[0]), 0);
		tu_join(rt, ids[0], SHUNT_JOB_DONE);
		assert_int_equal(atomic_load(&n), 1);
	}
	tu_close(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_order_shared_keys),
		cmocka_unit_test(test_one_strand),
		cmocka_unit_test(test_cancels),
		cmocka_unit_test(test_small_arena),
		cmocka_unit_test(test_other_keys_go_on),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_cancel_all),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
