/*
 * Prompt workers and their watcher (sched/prompt.h): a job behind a prompt worker that stands still is found,
 * whichever worker watches and whatever becomes of it; the word does not outlive what it was said for.
 *
 * Each case brings a pool of real threads into its state, and looks at the internal words to know that it
 * has; if chance does not want it, it is tried again. Where no job is short (under a sanitizer) it is
 * skipped. What is asserted is that the job behind runs while its worker is held.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "sched/world.h"

#define TRIES 2000u
#define ROUNDS 20u

static struct prompt {
	struct shunt_runtime *rt;
	struct sh_pool *p;
	struct shunt_type_id quick, slow;
	uint32_t home;       /* the worker that every job is put before */
	atomic_uint tried;   /* HOLD jobs that found their worker not prompt, and ended */
	atomic_uint held;    /* 1 = one keeps worker `home`, which was prompt when it began */
	atomic_uint go;      /* it may end */
	atomic_uint kept;    /* 1 = a job keeps another worker */
	atomic_uint unkeep;  /* it may end */
	atomic_uint blocked; /* 1 = a job is in a declared block */
	atomic_uint unblock; /* it may end */
	atomic_uint behind;  /* 1 = the job behind has run */
	uint32_t seen;       /* the word of the worker in the block */
} t;

enum deed {
	NOTHING,
	HOLD,
	BEHIND,
	BLOCK,
	KEEP,
};

static int select_home(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	(void)arg;
	(void)loads;
	(void)key;
	(void)home;
	return (int)t.home;
}

static bool is_prompt(uint32_t w)
{
	return sh_a32_load_sc(&t.p->worker[w]->prompt) != 0;
}

static uint32_t watcher(void)
{
	return sh_a32_load_sc(&t.p->watcher);
}

static int run(struct shunt_job_ctx *ctx, void *arg)
{
	switch ((uintptr_t)arg) {
	case HOLD:
		if (ctx->worker->slot != t.home || !is_prompt(t.home)) {
			(void)atomic_fetch_add(&t.tried, 1);
			break;
		}
		atomic_store(&t.held, 1);
		(void)tu_until(atomic_load(&t.go));
		break;
	case KEEP:
		atomic_store(&t.kept, 1);
		(void)tu_until(atomic_load(&t.unkeep));
		break;
	case BEHIND: atomic_store(&t.behind, 1); break;
	case BLOCK:
		if (shunt_block_begin(ctx) != 0)
			return -1;
		t.seen = sh_a32_load_sc(&ctx->worker->prompt);
		atomic_store(&t.blocked, 1);
		(void)tu_until(atomic_load(&t.unblock));
		shunt_block_end(ctx);
		atomic_store(&t.blocked, 0);
		break;
	default: break;
	}
	return SHUNT_DONE;
}

static void submit(uintptr_t what)
{
	struct shunt_job_spec s = tu_spec(t.quick, (void *)what);

	s.on_full = SHUNT_ON_FULL_BLOCK;
	assert_int_equal(shunt_submit(t.rt, &s, NULL), 0);
}

static void submit_on(uint32_t worker, uint8_t level, uintptr_t what)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s = tu_spec(t.slow, (void *)what);

	o.worker = worker;
	s.level = level;
	s.flags = SHUNT_JOB_ON_WORKER;
	s.opts = &o;
	assert_int_equal(shunt_submit(t.rt, &s, NULL), 0);
}

static void open_pool(enum shunt_idle idle, uint32_t workers, bool reserved)
{
	struct shunt_pool_opts o = tu_pool_opts("p", workers);
	struct shunt_pool_id pool;

	memset(&t, 0, sizeof(t));
	t.rt = tu_runtime();
	o.spares_max = 1;
	o.idle = idle;
	o.strategy = SHUNT_SELECT_USER;
	o.select = select_home;
	if (reserved) {
		o.level_mode = SHUNT_LEVELS_RESERVED;
		o.reserved[0] = 1;
	}
	assert_int_equal(shunt_pool_create(t.rt, &o, &pool), 0);
	t.p = sh_runtime_pool(t.rt, pool.v);
	t.quick = tu_type(t.rt, pool, "quick", run);
	t.slow = tu_type(t.rt, pool, "slow", run);
}

static void close_pool(void)
{
	atomic_store(&t.go, 1);
	atomic_store(&t.unkeep, 1);
	atomic_store(&t.unblock, 1);
	assert_int_equal(shunt_runtime_drain(t.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(shunt_runtime_destroy(t.rt, NULL), 0);
}

/* A state did not come about. */
static void give_up(const char *what)
{
	close_pool();
	print_message("%s, in %u tries\n", what, TRIES);
	skip();
}

static void burst(void)
{
	uint32_t i;

	for (i = 0; i < 200; i++)
		submit(NOTHING);
}

/* Bursts of short jobs with a HOLD job behind each, until that one finds worker `w` prompt and keeps it. */
static void hold_prompt(uint32_t w)
{
	uint32_t i;

	t.home = w;
	for (i = 0; i < TRIES && !atomic_load(&t.held); i++) {
		unsigned before = atomic_load(&t.tried);

		burst();
		submit(HOLD);
		tu_wait_until(atomic_load(&t.held) || atomic_load(&t.tried) != before);
	}
	if (!atomic_load(&t.held))
		give_up("no worker was prompt");
}

/* One job more for the worker that is held: somebody else runs it. */
static void push_behind(void)
{
	submit(BEHIND);
	tu_wait_until(atomic_load(&t.behind));
	assert_int_equal(atomic_load(&t.go), 0);
}

static void test_parked_watcher(void **state)
{
	(void)state;
	open_pool(SHUNT_IDLE_PARK, 2, false);
	hold_prompt(0);
	push_behind();
	close_pool();
}

/* In poll mode a spare watches; its block ends, and it goes dormant. */
static void test_spare_retires(void **state)
{
	uint32_t i, watched = 0;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		open_pool(SHUNT_IDLE_POLL, 2, false);
		submit_on(1, 0, BLOCK);
		tu_wait_until(atomic_load(&t.blocked));
		hold_prompt(0);
		watched += tu_until(watcher() == 3 || !is_prompt(0)) && watcher() == 3;
		atomic_store(&t.unblock, 1);
		tu_wait_until(sh_a32_load_sc(&t.p->worker[2]->state) == SH_W_DORMANT);
		assert_int_not_equal(watcher(), 3);
		push_behind();
		close_pool();
	}
	print_message("the spare was the watcher in %u of %u rounds\n", watched, ROUNDS);
}

/* The watcher may not take the level of the job behind: it must wake the worker that may. */
static void test_watcher_of_another_level(void **state)
{
	uint32_t i, reached = 0;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		open_pool(SHUNT_IDLE_PARK, 3, true); /* worker 0 takes level 0 alone */
		submit_on(2, SHUNT_LEVEL(1), KEEP);
		tu_wait_until(atomic_load(&t.kept));
		hold_prompt(1);
		submit_on(0, SHUNT_LEVEL(0), NOTHING); /* it parks behind this one, and watches */
		(void)tu_until(watcher() == 1 || !is_prompt(1));
		atomic_store(&t.unkeep, 1);
		(void)tu_until(sh_a32_load_sc(&t.p->worker[2]->state) == SH_W_PARKED);
		reached += watcher() == 1 && is_prompt(1);
		push_behind();
		close_pool();
	}
	print_message("the job was pushed past the watcher in %u of %u rounds\n", reached, ROUNDS);
}

/* A block that begins inside an open batch of short jobs: the worker is not prompt in it. */
static void test_block_takes_back(void **state)
{
	uint32_t i;

	(void)state;
	open_pool(SHUNT_IDLE_PARK, 2, false);
	hold_prompt(0); /* the type is short here */
	atomic_store(&t.go, 1);
	for (i = 0; i < 200; i++) {
		atomic_store(&t.unblock, 0);
		burst();
		submit(BLOCK);
		tu_wait_until(atomic_load(&t.blocked));
		assert_int_equal(t.seen, 0);
		atomic_store(&t.unblock, 1);
		tu_wait_until(!atomic_load(&t.blocked));
	}
	close_pool();
}

/* With nothing to do there is no watcher: no worker is woken by a timer. */
static void test_idle_pool(void **state)
{
	(void)state;
	open_pool(SHUNT_IDLE_PARK, 3, false);
	hold_prompt(0);
	atomic_store(&t.go, 1);
	tu_wait_until(watcher() == 0 && !is_prompt(0));
	close_pool();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parked_watcher),
		cmocka_unit_test(test_spare_retires),
		cmocka_unit_test(test_watcher_of_another_level),
		cmocka_unit_test(test_block_takes_back),
		cmocka_unit_test(test_idle_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
