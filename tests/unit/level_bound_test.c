/*
 * No level starves: one worker, twelve named levels, everything submitted while the worker stands at a gate, and the
 * order in which it then runs the jobs. Each job must start within the stated bound of picks (sh_levels_wait_picks),
 * the lower levels must get no more than their share, and reserved workers must never touch a lower level.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "policy/levels.h"
#include "sched/pool.h"

#define LEVELS 12u
#define GUARD 4u
#define PER_LEVEL 60u /* within one ring, so that a level is one source */
#define URGENT 240u
#define RUN_MAX 4096u

static const char *const names[LEVELS] = { "voice", "video", "control", "signal", "query", "page", "index", "mail", "log",
					   "report", "backup", "scrub" };

struct entry {
	uint8_t level;
	uint8_t worker;
	uint32_t number; /* among its level, in submit order */
};

static struct entry ran[RUN_MAX];
static atomic_uint ran_at; /* places given out */
static atomic_uint ran_n;  /* places filled */

struct load {
	uint32_t number;
};
static struct load numbers[RUN_MAX];

static int record(struct shunt_job_ctx *ctx, void *arg)
{
	const struct load *l = arg;
	unsigned at = atomic_fetch_add(&ran_at, 1);

	if (at < RUN_MAX)
		ran[at] = (struct entry){ (uint8_t)shunt_job_level(ctx), (uint8_t)shunt_job_worker(ctx), l->number };
	(void)atomic_fetch_add(&ran_n, 1);
	return SHUNT_DONE;
}

struct bench {
	struct shunt_runtime *rt;
	struct shunt_type_id gate, job;
	struct tu_gate hold;
};

static void bench_open(struct bench *b, struct shunt_pool_opts *po)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_id pool;

	memset(b, 0, sizeof(*b));
	ro.levels = LEVELS;
	ro.level_names = names;
	b->rt = tu_runtime_with(&ro);
	pool = tu_pool_with(b->rt, po);
	b->gate = tu_type(b->rt, pool, "gate", tu_gate_job);
	b->job = tu_type(b->rt, pool, "job", record);
	atomic_store(&ran_at, 0);
	atomic_store(&ran_n, 0);
}

static void put(struct bench *b, uint32_t level, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		struct shunt_job_spec s = tu_spec(b->job, &numbers[i]);

		s.level = SHUNT_LEVEL(level);
		assert_int_equal(shunt_submit(b->rt, &s, NULL), 0);
	}
}

/* Where in the recorded order the k-th (from 0) job of a level stands, from 1. */
static uint64_t position(uint32_t level, uint32_t number)
{
	uint32_t i;

	for (i = 0; i < atomic_load(&ran_n); i++)
		if (ran[i].level == level && ran[i].number == number)
			return (uint64_t)i + 1;
	fail_msg("level %u job %u never ran", level, number);
	return 0;
}

static void check_fifo(void)
{
	uint32_t next[LEVELS] = { 0 };
	uint32_t i;

	for (i = 0; i < atomic_load(&ran_n); i++)
		assert_int_equal(ran[i].number, next[ran[i].level]++);
}

/*
 * `share[l]` slots of `n` belong to level l. While everything waits, its k-th job must start within ceil(k / share) turns
 * of the table (the stated bound allows SH_SOURCE_PERIOD times as much, for levels spread over several sources), and
 * not before floor(k / share) - 1 turns: a level that is served more takes that from another level's share.
 */
static void check_shares(const uint8_t *slots, uint32_t n, uint32_t busy)
{
	uint32_t l, k, i;

	for (l = 0; l < LEVELS; l++) {
		uint32_t share = 0;

		for (i = 0; i < n; i++)
			share += slots[i] == l || (l == 0 && slots[i] == SH_SLOT_TOP);
		for (k = 0; k < (l == 0 ? URGENT : PER_LEVEL); k++) {
			uint64_t at = position(l, k);

			assert_true(at <= sh_levels_wait_picks(slots, n, l, k + 1));
			if (at > busy)
				break;
			assert_true(at <= (uint64_t)((k + share) / share + 1) * n);
			assert_true(at + 2 * (uint64_t)n > (uint64_t)(k / share) * n);
		}
		assert_true(k > 0); /* it got something while the urgent level was busy */
	}
}

static void test_strict(void **state)
{
	static uint8_t slots[SH_SLOTS_MAX];
	struct shunt_pool_opts po = tu_pool_opts("one", 1);
	struct bench b;
	uint32_t n = sh_levels_slots(SHUNT_LEVELS_STRICT, LEVELS, GUARD, NULL);
	uint32_t l, i;

	(void)state;
	sh_levels_fill(SHUNT_LEVELS_STRICT, LEVELS, GUARD, NULL, slots, n);
	po.guard_every = GUARD;
	bench_open(&b, &po);
	(void)shunt_detach(b.rt, tu_hold(b.rt, b.gate, &b.hold));
	for (l = LEVELS; l-- > 0;)
		put(&b, l, l == 0 ? URGENT : PER_LEVEL);
	atomic_store(&b.hold.open, 1);
	tu_wait_until(atomic_load(&ran_n) == URGENT + (LEVELS - 1) * PER_LEVEL);
	check_fifo();
	check_shares(slots, n, URGENT);
	/* Strict: while level 0 waited, nobody else ran but on guard picks: one in GUARD. */
	for (i = 0, l = 0; i < URGENT; i++)
		l += ran[i].level != 0;
	assert_in_range(l, URGENT / GUARD - 1, URGENT / GUARD + 1);
	/* And what is left is served most urgent first between the guards. */
	assert_true(position(1, PER_LEVEL - 1) < position(LEVELS - 1, PER_LEVEL - 1));
	tu_close(b.rt);
}

static void test_weighted(void **state)
{
	static uint8_t slots[SH_SLOTS_MAX];
	static const uint32_t weights[LEVELS] = { 20, 10, 5, 3, 2, 2, 1, 1, 1, 1, 1, 1 };
	struct shunt_pool_opts po = tu_pool_opts("one", 1);
	struct bench b;
	uint32_t n = sh_levels_slots(SHUNT_LEVELS_WEIGHTED, LEVELS, 64, weights);
	uint32_t got[LEVELS] = { 0 };
	uint32_t l, i;

	(void)state;
	sh_levels_fill(SHUNT_LEVELS_WEIGHTED, LEVELS, 64, weights, slots, n);
	po.level_mode = SHUNT_LEVELS_WEIGHTED;
	memcpy(po.weights, weights, sizeof(weights));
	bench_open(&b, &po);
	(void)shunt_detach(b.rt, tu_hold(b.rt, b.gate, &b.hold));
	for (l = LEVELS; l-- > 0;)
		put(&b, l, l == 0 ? URGENT : PER_LEVEL);
	atomic_store(&b.hold.open, 1);
	tu_wait_until(atomic_load(&ran_n) == URGENT + (LEVELS - 1) * PER_LEVEL);
	check_fifo();
	check_shares(slots, n, 5 * n);
	for (i = 0; i < 5 * n; i++) /* everybody waits for five turns of the table */
		got[ran[i].level]++;
	for (l = 0; l < LEVELS; l++)
		assert_in_range(got[l], 5 * weights[l] - 1, 5 * weights[l] + 1);
	tu_close(b.rt);
}

/* The least weight beside the largest: each level's first job runs within one turn of the table, its second in two. */
static void check_heaviest(uint32_t heaviest)
{
	struct shunt_pool_opts po = tu_pool_opts("one", 1);
	const uint32_t n = 100 + LEVELS - 1;
	struct bench b;
	uint32_t heavy = 0;
	uint32_t l, i;

	po.level_mode = SHUNT_LEVELS_WEIGHTED;
	for (l = 0; l < LEVELS; l++)
		po.weights[l] = l == heaviest ? 100 : 1;
	bench_open(&b, &po);
	(void)shunt_detach(b.rt, tu_hold(b.rt, b.gate, &b.hold));
	for (l = 0; l < LEVELS; l++)
		put(&b, l, l == heaviest ? URGENT : 2);
	atomic_store(&b.hold.open, 1);
	tu_wait_until(atomic_load(&ran_n) == URGENT + 2 * (LEVELS - 1));
	check_fifo();
	for (l = 0; l < LEVELS; l++)
		if (l != heaviest)
			assert_true(position(l, 0) <= n && position(l, 1) <= 2 * n);
	for (i = 0; i < n; i++)
		heavy += ran[i].level == heaviest;
	assert_int_equal(heavy, 100);
	tu_close(b.rt);
}

static void test_least_weight(void **state)
{
	uint32_t l;

	(void)state;
	for (l = 0; l < LEVELS; l++)
		check_heaviest(l);
}

/* ---- one level, all of its sources ---- */

struct spread {
	struct bench *b;
	struct shunt_pool_id pool;
	struct tu_gate gate;
};

/* Runs in the worker: fills its own deque, then stands until the rest is queued. */
static int spawn_and_stand(struct shunt_job_ctx *ctx, void *arg)
{
	struct spread *s = arg;
	uint32_t i;

	for (i = 0; i < 200; i++) {
		struct shunt_job_spec spec = tu_spec(s->b->job, &numbers[1000 + i]);

		spec.level = SHUNT_LEVEL(5);
		if (shunt_submit(shunt_job_runtime(ctx), &spec, NULL) != 0)
			return -100;
	}
	tu_gate_pass(&s->gate);
	return SHUNT_DONE;
}

/* Deque, ring, pinned and backlog of one level all wait: each gets its turn within SH_SOURCE_PERIOD picks of the level. */
static void test_sources(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("one", 1);
	struct shunt_type_id spawner;
	struct shunt_pool_id pool = { 0 };
	struct spread s;
	struct bench b;
	uint32_t source_first[4] = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
	uint32_t i;

	(void)state;
	po.ring_capacity = 16;
	bench_open(&b, &po);
	memset(&s, 0, sizeof(s));
	s.b = &b;
	assert_int_equal(shunt_pool_find(b.rt, "one", &pool), 0);
	spawner = tu_type(b.rt, pool, "spawner", spawn_and_stand);
	(void)shunt_detach(b.rt, tu_submit(b.rt, spawner, &s));
	tu_wait_until(atomic_load(&s.gate.arrived) == 1);
	for (i = 0; i < 100; i++) { /* the first 16 in the ring, the others in the backlog */
		struct shunt_job_spec spec = tu_spec(b.job, &numbers[1200 + i]);

		spec.level = SHUNT_LEVEL(5);
		assert_int_equal(shunt_submit(b.rt, &spec, NULL), 0);
	}
	for (i = 0; i < 20; i++) {
		const struct shunt_job_opts on_0 = SHUNT_JOB_OPTS_INIT;
		struct shunt_job_spec spec = tu_spec(b.job, &numbers[1300 + i]);

		spec.level = SHUNT_LEVEL(5);
		spec.flags = SHUNT_JOB_ON_WORKER;
		spec.opts = &on_0;
		assert_int_equal(shunt_submit(b.rt, &spec, NULL), 0);
	}
	atomic_store(&s.gate.open, 1);
	tu_wait_until(atomic_load(&ran_n) == 320);
	for (i = 0; i < 320; i++) {
		uint32_t n = ran[i].number;
		uint32_t src = n < 1200 ? 0 : n < 1216 ? 1 : n < 1300 ? 2 : 3;

		if (source_first[src] == UINT32_MAX)
			source_first[src] = i;
	}
	for (i = 0; i < 4; i++)
		assert_true(source_first[i] < 2 * SH_SOURCE_PERIOD);
	tu_close(b.rt);
}

#define RESPAWNS (4 * SH_OLDEST_PERIOD)

struct respawn {
	struct shunt_type_id self;
	struct shunt_type_id old;
	uint32_t runs;
	uint32_t old_at;
};

static int old_runs(struct shunt_job_ctx *ctx, void *arg)
{
	struct respawn *r = arg;

	(void)ctx;
	r->old_at = r->runs;
	return SHUNT_DONE;
}

/* The first leaves an older spawn behind it; each is the newest again. */
static int respawns(struct shunt_job_ctx *ctx, void *arg)
{
	struct respawn *r = arg;
	struct shunt_job_spec old = { .type = r->old, .arg = r };
	struct shunt_job_spec again = { .type = r->self, .arg = r };

	if (r->runs == 0 && shunt_submit(shunt_job_runtime(ctx), &old, NULL) != 0)
		return -100;
	return ++r->runs <= RESPAWNS ? shunt_submit(shunt_job_runtime(ctx), &again, NULL) : SHUNT_DONE;
}

/* A job that spawns itself again and again does not keep an older spawn of its worker waiting for more than the bound. */
static void test_oldest(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("one", 1);
	struct shunt_pool_id pool = { 0 };
	struct respawn r = { { 0 }, { 0 }, 0, UINT32_MAX };
	struct bench b;

	(void)state;
	bench_open(&b, &po);
	assert_int_equal(shunt_pool_find(b.rt, "one", &pool), 0);
	r.self = tu_type(b.rt, pool, "respawner", respawns);
	r.old = tu_type(b.rt, pool, "old", old_runs);
	(void)shunt_detach(b.rt, tu_submit(b.rt, r.self, &r));
	assert_int_equal(shunt_runtime_drain(b.rt, SHUNT_FOREVER, NULL), 0);
	assert_int_equal(r.runs, RESPAWNS + 1);
	assert_true(r.old_at <= SH_OLDEST_PERIOD + 1); /* a mere stack would run it last */
	tu_close(b.rt);
}

/* ---- reserved ---- */

static void test_reserved(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("three", 3);
	struct tu_gate g = { 0, 0 };
	struct bench b;
	uint32_t l, i;

	(void)state;
	po.level_mode = SHUNT_LEVELS_RESERVED;
	po.reserved[0] = 1; /* worker 0: level 0 alone */
	po.reserved[2] = 1; /* worker 1: levels 0 to 2 */
	bench_open(&b, &po);
	for (i = 0; i < 20; i++)
		for (l = 0; l < LEVELS; l++)
			put(&b, l, 10);
	tu_wait_until(atomic_load(&ran_n) == 20 * 10 * LEVELS);
	for (i = 0; i < atomic_load(&ran_n); i++) {
		assert_true(ran[i].worker != 0 || ran[i].level == 0);
		assert_true(ran[i].worker != 1 || ran[i].level <= 2);
		assert_in_range(ran[i].worker, 0, 2);
	}
	/* Worker 2 is held by the lowest level: urgent jobs still start, on the reserved ones; lower ones wait. */
	atomic_store(&ran_at, 0);
	atomic_store(&ran_n, 0);
	{
		struct shunt_job_spec hold = tu_spec(b.gate, &g);

		hold.level = SHUNT_LEVEL(LEVELS - 1);
		assert_int_equal(shunt_submit(b.rt, &hold, NULL), 0);
		tu_wait_until(atomic_load(&g.arrived) == 1);
	}
	put(&b, LEVELS - 1, 5);
	put(&b, 0, 5);
	put(&b, 2, 5);
	tu_wait_until(atomic_load(&ran_n) == 10);
	for (i = 0; i < 10; i++)
		assert_true(ran[i].level == 0 || ran[i].level == 2);
	atomic_store(&g.open, 1);
	tu_wait_until(atomic_load(&ran_n) == 15);
	tu_close(b.rt);
}

/* Keyed jobs of one key at different levels: the strand must not carry a low job into a reserved worker. */
static void test_reserved_keyed(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("two", 2);
	struct bench b;
	uint32_t i;

	(void)state;
	po.level_mode = SHUNT_LEVELS_RESERVED;
	po.reserved[0] = 1;
	po.key_slots = 4;
	bench_open(&b, &po);
	for (i = 0; i < 2000; i++) {
		struct shunt_job_spec s = tu_spec(b.job, &numbers[0]);

		s.flags = SHUNT_JOB_KEYED;
		s.key = i % 3;
		s.level = SHUNT_LEVEL(i % 5 == 0 ? 7 : 0);
		assert_int_equal(shunt_submit(b.rt, &s, NULL), 0);
		if (i % 16 == 15)
			(void)sched_yield();
	}
	tu_wait_until(atomic_load(&ran_n) == 2000);
	for (i = 0; i < 2000; i++)
		assert_true(ran[i].worker != 0 || ran[i].level == 0);
	tu_close(b.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_weighted),
		cmocka_unit_test(test_least_weight),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_oldest),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_reserved_keyed),
	};

	uint32_t i;

	for (i = 0; i < RUN_MAX; i++)
		numbers[i].number = i;
	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
