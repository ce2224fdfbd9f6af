/*
 * Random waits without a limit, between jobs with a key, for one worker and with neither, in two pools of each of two
 * runtimes with few spares: of another job of the round, of a job that the waiter submits, of a group of such jobs.
 * Each round ends: the circles among them are refused, whatever they lead through, and nobody sleeps on.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "base/rng.h"

#define JOBS 24u
#define KEYS 3u

static struct stage {
	struct shunt_runtime *rt[2];
	struct shunt_type_id actor[2][2], leaf[2][2]; /* of each pool of each runtime */
	struct shunt_job_opts on[2];
	struct {
		struct shunt_job_id id;
		uint32_t rt;
		uint64_t seed;
	} job[JOBS];
	struct tu_gate all;
	atomic_uint ended, refused, waited, wrong;
} st;

static int leaf_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return SHUNT_DONE;
}

/* A job of one of the pools: with a key, for a worker, or anywhere, at any level. */
static struct shunt_job_spec any_spec(struct sh_rng *rng, struct shunt_type_id type)
{
	struct shunt_job_spec s = { .type = type, .level = SHUNT_LEVEL(sh_rng_below(rng, 4)) };
	uint32_t kind = sh_rng_below(rng, 4);

	if (kind == 0) {
		s.flags = SHUNT_JOB_KEYED;
		s.key = sh_rng_below(rng, KEYS);
	} else if (kind == 1) {
		s.flags = SHUNT_JOB_ON_WORKER;
		s.opts = &st.on[sh_rng_below(rng, 2)];
	}
	return s;
}

static void note(int rc)
{
	atomic_uint *n = rc == 0 ? &st.waited : &st.wrong;

	(void)atomic_fetch_add(rc == SHUNT_EDEADLK ? &st.refused : n, 1);
}

static void wait_child(struct sh_rng *rng)
{
	uint32_t rt = sh_rng_below(rng, 2), pool = sh_rng_below(rng, 2);
	struct shunt_job_spec s = any_spec(rng, st.leaf[rt][pool]);
	struct shunt_job_id id;
	int rc = shunt_submit(st.rt[rt], &s, &id);

	if (rc == 0) {
		rc = shunt_wait(st.rt[rt], id, SHUNT_FOREVER, NULL);
		if (rc != 0)
			(void)shunt_detach(st.rt[rt], id);
	}
	note(rc);
}

static void wait_group(struct sh_rng *rng)
{
	uint32_t rt = sh_rng_below(rng, 2);
	struct shunt_group_id group;
	int rc = shunt_group_create(st.rt[rt], &group);

	for (uint32_t i = 0; rc == 0 && i < 3; i++) {
		struct shunt_job_spec s = any_spec(rng, st.leaf[rt][sh_rng_below(rng, 2)]);

		s.group = group;
		rc = shunt_submit(st.rt[rt], &s, NULL);
	}
	if (rc == 0)
		rc = shunt_group_wait(st.rt[rt], group, SHUNT_FOREVER);
	note(rc);
	(void)shunt_group_destroy(st.rt[rt], group); /* of a refused wait it is left to the end of the runtime */
}

static void wait_other(struct sh_rng *rng)
{
	uint32_t i = sh_rng_below(rng, JOBS);
	int rc = shunt_wait(st.rt[st.job[i].rt], st.job[i].id, SHUNT_FOREVER, NULL);

	note(rc == SHUNT_ESTALE ? 0 : rc); /* another one has joined it */
}

static int actor_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct sh_rng rng;

	(void)ctx;
	sh_rng_init(&rng, *(uint64_t *)arg);
	tu_gate_pass(&st.all);
	for (uint32_t i = 0; i < 2; i++) {
		switch (sh_rng_below(&rng, 4)) {
		case 0:
			wait_child(&rng);
			break;
		case 1:
			wait_group(&rng);
			break;
		default:
			wait_other(&rng);
		}
	}
	(void)atomic_fetch_add(&st.ended, 1);
	return SHUNT_DONE;
}

static void stage_open(uint32_t runtimes, uint32_t spares_max)
{
	memset(&st, 0, sizeof(st));
	for (uint32_t i = 0; i < 2; i++) {
		st.on[i] = (struct shunt_job_opts)SHUNT_JOB_OPTS_INIT;
		st.on[i].worker = i;
		st.rt[i] = i < runtimes ? tu_runtime() : st.rt[0];
		for (uint32_t k = 0; k < 2; k++) {
			char name[8], leaf[8];
			struct shunt_pool_opts po = tu_pool_opts(name, 2);
			struct shunt_pool_id pool;

			(void)snprintf(name, sizeof(name), "p%u%u", i, k);
			(void)snprintf(leaf, sizeof(leaf), "l%u%u", i, k);
			po.key_slots = 2;
			po.spares_max = spares_max;
			pool = tu_pool_with(st.rt[i], &po);
			st.actor[i][k] = tu_type(st.rt[i], pool, name, actor_job);
			st.leaf[i][k] = tu_type(st.rt[i], pool, leaf, leaf_job);
		}
	}
}

static void rounds(uint32_t runtimes, uint32_t spares_max, uint32_t n)
{
	struct sh_rng rng;

	stage_open(runtimes, spares_max);
	sh_rng_init(&rng, tu_seed());
	while (n-- > 0) {
		atomic_store(&st.ended, 0);
		atomic_store(&st.all.open, 0);
		for (uint32_t i = 0; i < JOBS; i++) {
			uint32_t rt = sh_rng_below(&rng, 2), pool = sh_rng_below(&rng, 2);
			struct shunt_job_spec s = any_spec(&rng, st.actor[rt][pool]);

			st.job[i].rt = rt;
			st.job[i].seed = sh_rng_next(&rng);
			s.arg = &st.job[i].seed;
			assert_int_equal(shunt_submit(st.rt[rt], &s, &st.job[i].id), 0);
		}
		atomic_store(&st.all.open, 1);
		tu_wait_until(atomic_load(&st.ended) == JOBS);
		for (uint32_t i = 0; i < JOBS; i++)
			(void)shunt_detach(st.rt[st.job[i].rt], st.job[i].id);
		assert_int_equal(atomic_load(&st.wrong), 0);
	}
	assert_true(atomic_load(&st.refused) > 0 && atomic_load(&st.waited) > 0);
	tu_close(st.rt[0]);
	if (runtimes == 2)
		tu_close(st.rt[1]);
}

static void test_two_runtimes(void **state)
{
	(void)state;
	rounds(2, 2, TU_TSAN_SCALE(60u, 6u));
	rounds(2, 1, TU_TSAN_SCALE(30u, 4u));
	rounds(2, SHUNT_ANY, TU_TSAN_SCALE(30u, 4u));
}

static void test_one_runtime(void **state)
{
	(void)state;
	rounds(1, 1, TU_TSAN_SCALE(30u, 4u));
	rounds(1, 64, TU_TSAN_SCALE(30u, 4u));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_runtimes),
		cmocka_unit_test(test_one_runtime),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
