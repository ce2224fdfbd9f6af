/*
 * Priority inheritance (sched/inherit.h): what a job waits for does not stand behind jobs that are less urgent than
 * the waiter. Each scene has an urgent job that waits, low ones that it waits for, and a crowd of medium ones that is
 * queued before them. What counts is how many of the crowd ran before the last of the low ones.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "sched/world.h"

#define LEVELS 4u
#define URGENT 0u
#define MEDIUM 1u
#define LOW 2u
#define LOWEST 3u
#define CROWD 500u
#define MEMBERS 8u
#define GUARD 64u
/* Turns of the slot table that the crowd has while the low ones run, and what a worker has in hand before it looks. */
#define CROWD_MAX 100u

struct scene {
	struct shunt_runtime *rt;
	struct shunt_pool_id here, there; /* one worker each: that of the waiter, another */
	struct sh_pool *pool[2];
	struct shunt_type_id gate, waits, crowd[2], low[2], chain;
	struct tu_gate held, held_there;
	struct shunt_group_id group;
	struct shunt_job_id id;                 /* awaited; 0 = the group is */
	atomic_uint crowd_ran, low_ran, before; /* `before`: of the crowd, when the last of the low ones ran */
	atomic_bool waiting, done;
	uint64_t limit_ns;
	int said;
};

static struct scene sc;

static int crowd_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	(void)atomic_fetch_add(&sc.crowd_ran, 1);
	return SHUNT_DONE;
}

static int low_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	(void)atomic_fetch_add(&sc.low_ran, 1);
	atomic_store(&sc.before, atomic_load(&sc.crowd_ran));
	return SHUNT_DONE;
}

static int wait_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_runtime *rt = shunt_job_runtime(ctx);

	(void)arg;
	atomic_store(&sc.waiting, true);
	sc.said = sc.id.v != 0 ? shunt_wait(rt, sc.id, sc.limit_ns, NULL) : shunt_group_wait(rt, sc.group, sc.limit_ns);
	atomic_store(&sc.done, true);
	return SHUNT_DONE;
}

/* A low one that waits for the rest itself, at its own level. */
static int chain_job(struct shunt_job_ctx *ctx, void *arg)
{
	assert_int_equal(shunt_group_wait(shunt_job_runtime(ctx), *(struct shunt_group_id *)arg, TU_LONG_NS), 0);
	return SHUNT_DONE;
}

static void submit(struct shunt_type_id type, uint32_t level, void *arg, struct shunt_group_id group,
		   struct shunt_job_id *id)
{
	struct shunt_job_spec s = tu_spec(type, arg);

	s.level = SHUNT_LEVEL(level);
	s.group = group;
	assert_int_equal(shunt_submit(sc.rt, &s, id), 0);
}

static const struct shunt_group_id none;

static void scene_open(void)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("here", 1);

	memset(&sc, 0, sizeof(sc));
	ro.levels = LEVELS;
	sc.rt = tu_runtime_with(&ro);
	po.guard_every = GUARD;
	sc.here = tu_pool_with(sc.rt, &po);
	po.name = "there";
	sc.there = tu_pool_with(sc.rt, &po);
	sc.pool[0] = sh_runtime_pool_at(sc.rt, sh_id_index(sc.here.v));
	sc.pool[1] = sh_runtime_pool_at(sc.rt, sh_id_index(sc.there.v));
	assert_true(sc.pool[0] && sc.pool[1]);
	sc.gate = tu_type(sc.rt, sc.here, "gate", tu_gate_job);
	sc.waits = tu_type(sc.rt, sc.here, "waits", wait_job);
	sc.chain = tu_type(sc.rt, sc.here, "chain", chain_job);
	sc.crowd[0] = tu_type(sc.rt, sc.here, "crowd", crowd_job);
	sc.crowd[1] = tu_type(sc.rt, sc.there, "crowd_there", crowd_job);
	sc.low[0] = tu_type(sc.rt, sc.here, "low", low_job);
	sc.low[1] = tu_type(sc.rt, sc.there, "low_there", low_job);
	assert_int_equal(shunt_group_create(sc.rt, &sc.group), 0);
	sc.limit_ns = TU_LONG_NS;
	submit(sc.gate, URGENT, &sc.held, none, NULL);
	submit(tu_type(sc.rt, sc.there, "gate_there", tu_gate_job), URGENT, &sc.held_there, none, NULL);
	tu_wait_until(atomic_load(&sc.held.arrived) == 1 && atomic_load(&sc.held_there.arrived) == 1);
}

static void crowd(uint32_t pool)
{
	for (uint32_t i = 0; i < CROWD; i++)
		submit(sc.crowd[pool], MEDIUM, NULL, none, NULL);
}

static void lows(uint32_t pool, uint32_t level, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		submit(sc.low[pool], level, NULL, sc.group, NULL);
}

/* The waiter of `here` sleeps: it boosts something. */
static void wait_for_boost(uint32_t i)
{
	tu_wait_until(sh_a32_load_rlx(&sc.pool[i]->run_boosts) != 0); /* mo rlx: waited for. */
}

static void open_gates(void)
{
	atomic_store(&sc.held.open, 1);
	atomic_store(&sc.held_there.open, 1);
}

static void scene_close(uint32_t crowds)
{
	open_gates();
	tu_wait_until(atomic_load(&sc.done));
	tu_wait_until(atomic_load(&sc.crowd_ran) == crowds * CROWD);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(sh_a32_load_rlx(&sc.pool[i]->boosts), 0);     /* mo rlx: its waiters are gone. */
		assert_int_equal(sh_a32_load_rlx(&sc.pool[i]->run_boosts), 0); /* mo rlx: as above. */
	}
	tu_close(sc.rt);
}

/* The wait is over, and so were the low ones before most of the crowd. */
static void ends_before_the_crowd(void)
{
	open_gates();
	tu_wait_until(atomic_load(&sc.done));
	assert_int_equal(sc.said, 0);
	assert_true(atomic_load(&sc.before) <= CROWD_MAX);
	scene_close(1);
}

/* The group's jobs are queued by another thread: the waiter has none of its own to run. */
static void test_group(void **state)
{
	(void)state;
	scene_open();
	submit(sc.waits, URGENT, NULL, none, NULL);
	crowd(0);
	lows(0, LOW, MEMBERS);
	ends_before_the_crowd();
}

/* In another pool, whose crowd is that pool's. */
static void test_group_elsewhere(void **state)
{
	(void)state;
	scene_open();
	submit(sc.waits, URGENT, NULL, none, NULL);
	crowd(1);
	lows(1, LOW, MEMBERS);
	atomic_store(&sc.held.open, 1);
	wait_for_boost(1);
	ends_before_the_crowd();
}

/* A member with a key is behind others of its key, of the lowest level. */
static void test_keyed_member(void **state)
{
	struct shunt_job_spec s;

	(void)state;
	scene_open();
	crowd(1);
	s = tu_spec(sc.low[1], NULL);
	s.flags = SHUNT_JOB_KEYED;
	s.key = 7;
	s.level = SHUNT_LEVEL(LOWEST);
	for (uint32_t i = 0; i < MEMBERS; i++)
		assert_int_equal(shunt_submit(sc.rt, &s, NULL), 0);
	s.level = SHUNT_LEVEL(URGENT);
	s.group = sc.group;
	assert_int_equal(shunt_submit(sc.rt, &s, NULL), 0);
	submit(sc.waits, URGENT, NULL, none, NULL);
	atomic_store(&sc.held.open, 1);
	wait_for_boost(1);
	ends_before_the_crowd();
}

static void job_elsewhere(uint16_t flags, uint32_t behind)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s;
	uint32_t i;

	scene_open();
	crowd(1);
	s = tu_spec(sc.low[1], NULL);
	s.flags = flags;
	s.key = 7;
	s.opts = flags & SHUNT_JOB_ON_WORKER ? &o : NULL;
	for (i = 0; i < behind; i++) { /* of the same key, at the lowest level */
		s.level = SHUNT_LEVEL(LOWEST);
		assert_int_equal(shunt_submit(sc.rt, &s, NULL), 0);
	}
	s.level = SHUNT_LEVEL(LOW);
	assert_int_equal(shunt_submit(sc.rt, &s, &sc.id), 0);
	submit(sc.waits, URGENT, NULL, none, NULL);
	atomic_store(&sc.held.open, 1);
	wait_for_boost(1);
	open_gates();
	tu_wait_until(atomic_load(&sc.done));
	assert_int_equal(sc.said, 0);
	assert_int_equal(atomic_load(&sc.low_ran), behind + 1);
	assert_true(atomic_load(&sc.before) <= CROWD_MAX);
	scene_close(1);
}

/* One job: in another pool, for one worker there, with a key, behind others of its key. */
static void test_job(void **state)
{
	(void)state;
	job_elsewhere(0, 0);
	job_elsewhere(SHUNT_JOB_ON_WORKER, 0);
	job_elsewhere(SHUNT_JOB_KEYED, 0);
	job_elsewhere(SHUNT_JOB_KEYED, 3);
}

/* A job of the group that is queued while the waiter sleeps, at a level and in a pool where it had none. */
static void test_late_member(void **state)
{
	struct tu_gate member;

	(void)state;
	memset(&member, 0, sizeof(member));
	scene_open();
	submit(sc.waits, URGENT, NULL, none, NULL);
	submit(sc.gate, URGENT, &member, sc.group, NULL);
	atomic_store(&sc.held.open, 1);
	tu_wait_until(atomic_load(&member.arrived) == 1);
	tu_wait_until(sh_a32_load_rlx(&sc.pool[0]->blocked) == 1); /* mo rlx: waited for. */
	crowd(1);
	lows(1, LOW, MEMBERS);
	wait_for_boost(1);
	open_gates();
	tu_wait_until(atomic_load(&sc.low_ran) == MEMBERS);
	assert_true(atomic_load(&sc.before) <= CROWD_MAX);
	atomic_store(&member.open, 1);
	scene_close(1);
}

/* The low job that the urgent one waits for waits for lower ones itself. */
static void test_passes_on(void **state)
{
	struct shunt_group_id own;

	(void)state;
	scene_open();
	assert_int_equal(shunt_group_create(sc.rt, &own), 0);
	submit(sc.chain, LOW, &own, sc.group, NULL);
	submit(sc.waits, URGENT, NULL, none, NULL);
	crowd(0);
	for (uint32_t i = 0; i < MEMBERS; i++)
		submit(sc.low[0], LOWEST, NULL, own, NULL);
	open_gates();
	tu_wait_until(atomic_load(&sc.done));
	assert_int_equal(sc.said, 0);
	assert_int_equal(atomic_load(&sc.low_ran), MEMBERS);
	assert_true(atomic_load(&sc.before) <= CROWD_MAX);
	scene_close(1);
}

/* A wait that ends by its limit ends its boost; a waiter that is not more urgent boosts nothing. */
static void test_taken_back(void **state)
{
	(void)state;
	scene_open();
	sc.limit_ns = 20000000;
	lows(1, LOW, MEMBERS);
	submit(sc.waits, URGENT, NULL, none, NULL);
	atomic_store(&sc.held.open, 1);
	wait_for_boost(1);
	tu_wait_until(atomic_load(&sc.done));
	assert_int_equal(sc.said, SHUNT_ETIMEDOUT);
	crowd(1);
	open_gates();
	tu_wait_until(atomic_load(&sc.low_ran) == MEMBERS);
	assert_true(atomic_load(&sc.before) > CROWD / 2); /* behind the crowd, as its level says */
	scene_close(1);

	scene_open();
	lows(1, LOW, MEMBERS);
	submit(sc.waits, LOW, NULL, none, NULL);
	atomic_store(&sc.held.open, 1);
	tu_wait_until(sh_a32_load_rlx(&sc.pool[0]->blocked) == 1);     /* mo rlx: waited for. */
	assert_int_equal(sh_a32_load_rlx(&sc.pool[1]->run_boosts), 0); /* mo rlx: added before the block. */
	crowd(1);
	open_gates();
	tu_wait_until(atomic_load(&sc.done));
	assert_true(atomic_load(&sc.before) > CROWD / 2);
	scene_close(1);
}

/* ---- checkpoints ---- */

static struct tu_gate at_work;
static atomic_int ran_nested[2];

static int checkpoint_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct tu_gate *g = arg;

	tu_gate_pass(&at_work);
	atomic_store(&ran_nested[0], shunt_checkpoint(ctx));
	tu_gate_pass(g);
	atomic_store(&ran_nested[1], shunt_checkpoint(ctx));
	return SHUNT_DONE;
}

static void checkpoint_open(uint32_t level, struct tu_gate *second, struct shunt_job_id *id)
{
	memset(&at_work, 0, sizeof(at_work));
	memset(second, 0, sizeof(*second));
	scene_open();
	atomic_store(&sc.held_there.open, 1);
	submit(tu_type(sc.rt, sc.there, "checkpoint", checkpoint_job), level, second, none, id);
	tu_wait_until(atomic_load(&at_work.arrived) == 1);
}

/* A running low job that an urgent one waits for lets no medium one in, until the wait is over. */
static void test_running_is_not_preempted(void **state)
{
	struct tu_gate second;
	struct shunt_job_id id;

	(void)state;
	checkpoint_open(LOW, &second, &id);
	sc.id = id;
	sc.limit_ns = 200000000;
	submit(sc.waits, URGENT, NULL, none, NULL);
	crowd(1);
	atomic_store(&sc.held.open, 1);
	wait_for_boost(1);
	assert_int_equal(sh_a32_load_rlx(&sc.pool[1]->boosts), 0); /* mo rlx: it is not queued: no queue is boosted. */
	atomic_store(&at_work.open, 1);
	tu_wait_until(atomic_load(&second.arrived) == 1);
	if (!atomic_load(&sc.done))
		assert_int_equal(atomic_load(&ran_nested[0]), 0);
	tu_wait_until(atomic_load(&sc.done));
	atomic_store(&second.open, 1);
	tu_join(sc.rt, id, SHUNT_JOB_DONE);
	assert_true(atomic_load(&ran_nested[1]) > 0);
	scene_close(1);
}

/* At the checkpoint of one of the lowest level the boosted ones go before others; that of a medium one runs none. */
static void test_checkpoint_order(void **state)
{
	struct tu_gate second;
	struct shunt_job_id id;

	(void)state;
	checkpoint_open(LOWEST, &second, &id);
	crowd(1);
	lows(1, LOW, MEMBERS);
	submit(sc.waits, URGENT, NULL, none, NULL);
	atomic_store(&sc.held.open, 1);
	wait_for_boost(1);
	atomic_store(&at_work.open, 1);
	tu_wait_until(atomic_load(&second.arrived) == 1);
	assert_true(atomic_load(&sc.low_ran) == MEMBERS);
	assert_true(atomic_load(&ran_nested[0]) >= (int)MEMBERS);
	assert_true(atomic_load(&sc.before) <= CROWD_MAX);
	atomic_store(&second.open, 1);
	tu_join(sc.rt, id, SHUNT_JOB_DONE);
	scene_close(1);

	checkpoint_open(MEDIUM, &second, &id); /* its first checkpoint has nothing to do */
	atomic_store(&at_work.open, 1);
	tu_wait_until(atomic_load(&second.arrived) == 1);
	assert_int_equal(atomic_load(&ran_nested[0]), 0);
	lows(1, LOW, MEMBERS);
	submit(sc.waits, URGENT, NULL, none, NULL);
	atomic_store(&sc.held.open, 1);
	wait_for_boost(1);
	atomic_store(&second.open, 1);
	tu_join(sc.rt, id, SHUNT_JOB_DONE);
	assert_int_equal(atomic_load(&ran_nested[1]), 0); /* only strictly higher levels run nested */
	scene_close(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_group_elsewhere),
		cmocka_unit_test(test_keyed_member),
		cmocka_unit_test(test_job),
		cmocka_unit_test(test_late_member),
		cmocka_unit_test(test_passes_on),
		cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_running_is_not_preempted),
		cmocka_unit_test(test_checkpoint_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
