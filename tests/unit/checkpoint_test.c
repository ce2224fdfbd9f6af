/*
 * Checkpoints: what runs nested in a job in progress and in which order, that it is of strictly higher levels, how deep
 * and how many, whose time it is, and that a key's jobs stay one at a time.
 * SPDX-License-Identifier: MIT
 */
#include "checkpoint_util.h"

#include "base/inject.h"

/* ---- what runs, and in which order ---- */

static void test_order(void **state)
{
	static const int want[] = { 100, 100, 101, 101, 2, 3 };
	struct shunt_job_id id;

	(void)state;
	world_open(1);
	id = outer_begin(2, 0, 0, twice);
	put_note(3);
	put_note(2);
	put_note(1);
	put_note(0);
	put_note(1);
	put_note(0);
	outer_end(id);
	logged(want, 6);
	assert_int_equal(w.rc[0], 4);
	assert_int_equal(w.rc[1], 0);
	/* Nothing waits and no hint is set: the next call takes the fast path. */
	assert_int_equal(sh_a32_load_rlx(&w.p->worker[0]->ring_bits) & 3u, 0);
	world_close();
}

static void test_nothing_above(void **state)
{
	struct shunt_job_id id;

	(void)state;
	world_open(1);
	id = outer_begin(0, 0, 0, twice);
	put_note(0);
	put_note(1);
	outer_end(id);
	assert_int_equal(w.rc[0], 0);
	assert_int_equal(w.rc[1], 0);
	tu_wait_until(atomic_load(&w.logged) == 2);
	assert_true(w.log[0] < 100 && w.log[1] < 100);
	world_close();
}

/* Own deque: what the job itself spawns at a level above its own. */
static int spawn_two(struct shunt_job_ctx *ctx)
{
	struct shunt_job_spec s = at_level(w.note, 1);

	w.rc[0] = shunt_checkpoint(ctx);
	w.rc[1] = shunt_submit(w.rt, &s, NULL);
	s.level = SHUNT_LEVEL(2);
	w.rc[2] = shunt_submit(w.rt, &s, NULL);
	w.rc[3] = shunt_checkpoint(ctx);
	return 0;
}

static void test_sources(void **state)
{
	const struct shunt_job_opts on_0 = SHUNT_JOB_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct shunt_job_spec s;
	struct shunt_job_id id;
	uint32_t i;

	(void)state;
	po.ring_capacity = 2;
	world_open_with(4, &po);
	id = outer_begin(2, 0, 0, spawn_two);
	for (i = 0; i < 7; i++) /* two in the ring, five in the backlog */
		put_note(0);
	s = at_level(w.note, 1);
	s.flags = SHUNT_JOB_ON_WORKER;
	s.opts = &on_0;
	put(&s);
	put(&s);
	outer_end(id);
	assert_int_equal(w.rc[0], 9);
	assert_int_equal(w.rc[1], 0);
	assert_int_equal(w.rc[2], 0);
	assert_int_equal(w.rc[3], 1);
	tu_wait_until(atomic_load(&w.logged) == 11);
	assert_int_equal(w.log[9], 101);
	assert_int_equal(w.log[10], 2);
	world_close();
}

static int until_ten(struct shunt_job_ctx *ctx)
{
	uint64_t end = tu_now_s() + TU_DEADLINE_S;

	while (w.rc[0] < 10 && tu_now_s() < end) {
		int n = shunt_checkpoint(ctx);

		if (n < 0)
			return n;
		w.rc[0] += n;
	}
	return 0;
}

/* The other worker is held: this one takes what waits there too. */
static void test_steal(void **state)
{
	struct tu_gate held = { 0, 0 };
	struct shunt_job_id id, other;
	uint32_t i;

	(void)state;
	world_open(2);
	other = tu_hold(w.rt, w.gate, &held);
	id = outer_begin(2, 0, 0, until_ten);
	for (i = 0; i < 10; i++)
		put_note(i % 2);
	outer_end(id);
	assert_int_equal(w.rc[0], 10);
	atomic_store(&held.open, 1);
	tu_join(w.rt, other, SHUNT_JOB_DONE);
	world_close();
}

static int thrice(struct shunt_job_ctx *ctx)
{
	int rc = twice(ctx);

	w.rc[2] = shunt_checkpoint(ctx);
	return rc;
}

static void test_limit(void **state)
{
	struct shunt_job_id id;
	uint32_t i;

	(void)state;
	world_open(1);
	id = outer_begin(1, 0, 0, thrice);
	for (i = 0; i < SHUNT_CHECKPOINT_JOBS_MAX + 8; i++)
		put_note(0);
	outer_end(id);
	assert_int_equal(w.rc[0], SHUNT_CHECKPOINT_JOBS_MAX);
	assert_int_equal(w.rc[1], 8);
	assert_int_equal(w.rc[2], 0);
	world_close();
}

static atomic_uint loot_sent;

/* A move from the backlog into the own ring sets the hint for checkpoints; a call without result means that all ran. */
static int drain_backlog(struct shunt_job_ctx *ctx)
{
	w.rc[0] = shunt_checkpoint(ctx);
	(void)sh_a32_or_sc(&w.p->backlog_bits, 1); /* as after a backlog that others emptied: submits go behind it */
	(void)atomic_fetch_add(&w.go.arrived, 1);
	if (!tu_until(atomic_load(&loot_sent) == 1))
		return -1;
	while (shunt_checkpoint(ctx) > 0)
		;
	w.rc[1] = (int)atomic_load(&w.logged);
	return 0;
}

static void test_loot(void **state)
{
	struct shunt_job_id id;
	uint32_t n, i;

	(void)state;
	world_open(1);
	for (n = SHUNT_CHECKPOINT_JOBS_MAX - 8; n < SHUNT_CHECKPOINT_JOBS_MAX + 40; n++) {
		memset(&w.go, 0, sizeof(w.go));
		atomic_store(&w.places, 0);
		atomic_store(&w.logged, 0);
		atomic_store(&loot_sent, 0);
		id = outer_begin(1, 0, 0, drain_backlog);
		atomic_store(&w.go.open, 1);
		tu_wait_until(atomic_load(&w.go.arrived) == 2);
		for (i = 0; i < n; i++)
			put_note(0);
		atomic_store(&loot_sent, 1);
		tu_join(w.rt, id, SHUNT_JOB_DONE);
		assert_int_equal(w.rc[1], (int)n);
	}
	world_close();
}

/* ---- depth ---- */

static uint32_t deepest;
static uint32_t down_runs[SHUNT_LEVELS_MAX];

/* Spawns one of each level above its own and has a checkpoint: on the stack below it are lower levels only. */
static int down_job(struct shunt_job_ctx *ctx, void *arg)
{
	const struct shunt_job_ctx *c;
	uint32_t level = shunt_job_level(ctx);
	uint32_t i, deep = 1;
	int n = 0;

	for (c = ctx; c->outer; c = c->outer, deep++)
		if (c->outer->level <= c->level)
			return -1;
	deepest = deep > deepest ? deep : deepest;
	down_runs[level]++;
	if (level == 0)
		return shunt_checkpoint(ctx);
	for (i = level < 3 ? level : 3; i > 0; i--) {
		struct shunt_job_spec s = tu_spec(*(struct shunt_type_id *)arg, arg);

		s.level = SHUNT_LEVEL(level - i);
		if (shunt_submit(w.rt, &s, NULL) != 0)
			return -2;
		n += shunt_checkpoint(ctx); /* those below run theirs first */
	}
	return n == (int)(level < 3 ? level : 3) ? 0 : -3;
}

static void test_depth(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct shunt_type_id type;
	struct shunt_job_spec s;
	struct shunt_job_id id;

	(void)state;
	deepest = 0;
	memset(down_runs, 0, sizeof(down_runs));
	world_open_with(SHUNT_LEVELS_MAX, &po);
	type = tu_type(w.rt, (struct shunt_pool_id){ w.p->id }, "down", down_job);
	s = at_level(type, 9);
	s.arg = &type;
	assert_int_equal(shunt_submit(w.rt, &s, &id), 0);
	tu_join(w.rt, id, SHUNT_JOB_DONE);
	assert_int_equal(deepest, 10);
	assert_int_equal(down_runs[9], 1);
	assert_int_equal(down_runs[8], 1);
	assert_int_equal(down_runs[0], 149); /* f(n) = f(n - 1) + f(n - 2) + f(n - 3) */
	world_close();
}

/* ---- time ---- */

#define BUSY_NS 20000000u

static uint64_t busy_ns, own_ns;

static uint64_t burn(void)
{
	uint64_t start = shunt_now_ns();
	uint64_t now = start;

	while (now - start < BUSY_NS)
		now = shunt_now_ns();
	return now - start;
}

static int busy_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)arg;
	busy_ns += burn();
	return shunt_job_queue_ns(ctx) > 0 ? 0 : -1;
}

static int busy_between(struct shunt_job_ctx *ctx)
{
	int rc = twice(ctx);

	own_ns = burn();
	return rc;
}

/* No time is asserted but against other times: what the nested jobs measured is not in the outer job's. */
static void test_time(void **state)
{
	struct shunt_type_id type;
	struct shunt_result r;
	struct shunt_job_spec s;
	struct shunt_job_id id, kid;
	uint64_t start, wall;

	(void)state;
	busy_ns = 0;
	world_open(1);
	type = tu_type(w.rt, (struct shunt_pool_id){ w.p->id }, "busy", busy_job);
	start = shunt_now_ns();
	id = outer_begin(1, 0, 0, busy_between);
	s = at_level(type, 0);
	put(&s);
	assert_int_equal(shunt_submit(w.rt, &s, &kid), 0);
	atomic_store(&w.go.open, 1);
	assert_int_equal(shunt_wait(w.rt, id, TU_LONG_NS, &r), 0);
	wall = shunt_now_ns() - start;
	assert_int_equal(w.rc[0], 2);
	assert_true(busy_ns >= 2 * BUSY_NS);
	assert_true(r.run_ns >= own_ns && r.run_ns <= wall - busy_ns);
	assert_int_equal(shunt_wait(w.rt, kid, TU_LONG_NS, &r), 0);
	assert_int_equal(r.status, SHUNT_JOB_DONE);
	assert_true(r.run_ns >= BUSY_NS && r.queue_ns >= BUSY_NS); /* behind the other one */
	assert_true(sh_a64_load_rlx(&w.p->worker[0]->busy_ns) <= wall);
	assert_true(sh_a64_load_rlx(&w.p->worker[0]->busy_ns) >= busy_ns + own_ns);
	world_close();
}

/* ---- keys ---- */

static void test_keyed(void **state)
{
	static const int want[] = { 100, 2, 0 };
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct shunt_job_spec s;
	struct shunt_job_id id;

	(void)state;
	po.key_slots = 1;
	world_open_with(4, &po);
	id = outer_begin(3, SHUNT_JOB_KEYED, 7, twice);
	s = at_level(w.note, 2);
	s.flags = SHUNT_JOB_KEYED;
	s.key = 7;
	put(&s);
	s.level = SHUNT_LEVEL(0); /* of the key that runs: behind the other one, and never inside the outer job */
	put(&s);
	put_note(0);
	outer_end(id);
	logged(want, 3);
	assert_int_equal(w.rc[0], 1);
	world_close();
}

static void test_keyed_other(void **state)
{
	struct shunt_job_spec s;
	struct shunt_job_id id;

	(void)state;
	world_open(1);
	id = outer_begin(3, SHUNT_JOB_KEYED, 7, twice);
	s = at_level(w.note, 1);
	s.flags = SHUNT_JOB_KEYED;
	s.key = 7;
	while (((uint32_t)sh_mix64(s.key) & w.p->strand_mask) == ((uint32_t)sh_mix64(7) & w.p->strand_mask))
		s.key++;
	put(&s);
	put(&s);
	outer_end(id);
	assert_int_equal(w.rc[0], 2);
	world_close();
}

static _Thread_local bool stop_here;
static atomic_uint stopped, resume;

static int stop_hook(void *arg, const char *point)
{
	(void)arg;
	if (stop_here && strcmp(point, "submit.token.before_count") == 0) {
		atomic_store(&stopped, 1);
		(void)tu_until(atomic_load(&resume) != 0);
	}
	return 0;
}

static void *submit_stopped(void *arg)
{
	stop_here = true;
	return shunt_submit(w.rt, arg, NULL) == 0 ? NULL : arg;
}

/*
 * A token at level 0 may find a job of level 2 first: its submitter pushed its own token, but stopped before it counted
 * it, so the next one pushed another. The job of level 2 must not run inside one of level 1.
 */
static void test_keyed_token(void **state)
{
	struct shunt_job_spec low, high;
	struct shunt_job_id id;
	pthread_t thread;
	void *failed = NULL;

	(void)state;
	atomic_store(&stopped, 0);
	atomic_store(&resume, 0);
	sh_inject_set(stop_hook, NULL);
	world_open(1);
	id = outer_begin(1, 0, 0, twice);
	low = at_level(w.note, 2);
	low.flags = SHUNT_JOB_KEYED;
	high = low;
	high.level = SHUNT_LEVEL(0);
	assert_int_equal(pthread_create(&thread, NULL, submit_stopped, &low), 0);
	tu_wait_until(atomic_load(&stopped) == 1);
	put(&high);
	outer_end(id);
	tu_wait_until(atomic_load(&w.logged) == 2);
	assert_int_equal(w.rc[0], 0);
	assert_int_equal(w.log[0], 2);
	assert_int_equal(w.log[1], 0);
	atomic_store(&resume, 1);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	world_close();
	sh_inject_set(NULL, NULL);
}

/* ---- while others submit ---- */

#define ROUNDS TU_TSAN_SCALE(2000u, 300u)

static atomic_uint came;

static int come_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)arg;
	(void)atomic_fetch_add(&came, 1);
	return shunt_checkpoint(ctx) < 0 ? -1 : 0;
}

/* Every job is seen by a checkpoint in this loop, or the loop never ends: the worker has no other look. */
static int until_all(struct shunt_job_ctx *ctx)
{
	uint64_t end = tu_now_s() + TU_DEADLINE_S;

	while (atomic_load(&came) < ROUNDS && tu_now_s() < end)
		if (shunt_checkpoint(ctx) == 0)
			(void)sched_yield();
	return atomic_load(&came) == ROUNDS ? 0 : -1;
}

static void test_busy(void **state)
{
	struct shunt_type_id type;
	struct shunt_job_spec s;
	struct shunt_job_id id;
	struct sh_rng rng;
	uint32_t i;

	(void)state;
	sh_rng_init(&rng, tu_seed());
	atomic_store(&came, 0);
	world_open(1);
	type = tu_type(w.rt, (struct shunt_pool_id){ w.p->id }, "come", come_job);
	id = outer_begin(3, 0, 0, until_all);
	atomic_store(&w.go.open, 1);
	for (i = 0; i < ROUNDS; i++) {
		s = at_level(type, sh_rng_below(&rng, 3));
		put(&s);
		if (sh_rng_below(&rng, 4) == 0)
			tu_wait_until(atomic_load(&came) == i + 1);
	}
	tu_join(w.rt, id, SHUNT_JOB_DONE);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_nothing_above),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_loot),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_keyed),
		cmocka_unit_test(test_keyed_other),
		cmocka_unit_test(test_keyed_token),
		cmocka_unit_test(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
