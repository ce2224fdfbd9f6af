/*
 * A handler, callback or hook forks, and the child returns from it. The child runs no job: calls say SHUNT_EFORKED, and
 * the worker's thread, the only one of the child, ends, which ends the process with status 0. Where the handler ran
 * inline, the submit returns SHUNT_EFORKED in the child. The parent goes on as if nothing had happened.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shunt/error.h>

#define ENDED 42 /* the child's exit status, after the end of its last thread */

/* Shared with the children. */
struct seen {
	atomic_uint ran_here, ran_there;
	atomic_int child;
	atomic_int rc; /* of a call in the child */
	atomic_uint stops_there;
};

static struct seen *seen;
static struct shunt_runtime *forked_rt;
static bool in_child; /* no system call: jobs must be short */

static void ended(void)
{
	_exit(ENDED);
}

static void fork_here(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	in_child = pid == 0;
	if (in_child && shunt_runtime_destroy(forked_rt, NULL) != SHUNT_EDEADLK) /* this returns through it */
		_exit(1);
	if (in_child)
		(void)atexit(ended); /* the C library calls it when the last thread has ended */
	else
		atomic_store(&seen->child, pid);
}

static int leaf(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	(void)atomic_fetch_add(in_child ? &seen->ran_there : &seen->ran_here, 1);
	return SHUNT_DONE;
}

static int nothing(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return SHUNT_DONE;
}

/* The child, still in the handler, makes a runtime of its own, and waits for its jobs. */
static bool works_anew(void)
{
	struct shunt_pool_opts po = tu_pool_opts("anew", 1);
	struct shunt_job_spec s = { 0 };
	struct shunt_pool_id pool;
	struct shunt_group_id group = { 0 };
	struct shunt_runtime *rt = NULL;
	struct shunt_job_id id;
	bool right;

	if (TU_ASAN)
		return true; /* another thread may have held a lock of its allocator, which fork does not release */
	if (getenv("TEST_EMULATED"))
		return true; /* user emulation does not survive threads of a forked child */
	if (shunt_runtime_create(&rt, NULL) != 0 || shunt_pool_create(rt, &po, &pool) != 0)
		return false;
	s.type = tu_type(rt, pool, "nothing", nothing);
	right = shunt_submit(rt, &s, &id) == 0 && shunt_wait(rt, id, TU_LONG_NS, NULL) == 0;
	right = right && shunt_group_create(rt, &group) == 0;
	s.group = group;
	right = right && shunt_submit(rt, &s, NULL) == 0 && shunt_group_wait(rt, group, TU_LONG_NS) == 0;
	return right && shunt_runtime_destroy(rt, NULL) == 0;
}

static int forker(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg)
		assert_int_equal(shunt_block_begin(ctx), 0); /* and forgets the end */
	fork_here();
	if (!in_child)
		return SHUNT_DONE;
	/* what the child must not do, and what says so */
	shunt_block_end(ctx);
	if (shunt_block_begin(ctx) != SHUNT_EFORKED || shunt_checkpoint(ctx) != SHUNT_EFORKED)
		_exit(1);
	if (shunt_runtime_destroy(shunt_job_runtime(ctx), NULL) != SHUNT_EDEADLK || !works_anew())
		_exit(1);
	return SHUNT_DONE;
}

/* The same, as a type that is known as short: a hand of its jobs is taken at once. */
static int short_job(struct shunt_job_ctx *ctx, void *arg)
{
	if (arg)
		fork_here();
	return arg ? SHUNT_DONE : leaf(ctx, NULL);
}

static struct shunt_type_id fork_type, leaf_type;

static void look(int rc)
{
	if (in_child)
		atomic_store(&seen->rc, rc);
}

static int waits(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_job_spec s = tu_spec(fork_type, NULL);
	struct shunt_job_id id;

	(void)arg;
	assert_int_equal(shunt_submit(rt, &s, &id), 0);
	look(shunt_wait(rt, id, SHUNT_FOREVER, NULL));
	return SHUNT_DONE;
}

static int group_waits(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_job_spec s = tu_spec(leaf_type, NULL);
	struct shunt_group_id group;

	(void)arg;
	assert_int_equal(shunt_group_create(rt, &group), 0);
	s.group = group;
	for (int i = 0; i < 4; i++)
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	s.type = fork_type; /* the newest is helped first */
	assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	look(shunt_group_wait(rt, group, SHUNT_FOREVER));
	return SHUNT_DONE;
}

static int checkpoints(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_job_spec s = tu_spec(fork_type, NULL);
	int rc;

	(void)arg;
	s.level = SHUNT_LEVEL(0);
	assert_int_equal(shunt_submit(shunt_job_runtime(ctx), &s, NULL), 0);
	do {
		rc = shunt_checkpoint(ctx);
	} while (rc == 0);
	look(rc);
	return SHUNT_DONE;
}

static void done_fork(void *arg, struct shunt_job_id id, const struct shunt_result *r)
{
	(void)arg;
	(void)id;
	(void)r;
	fork_here();
}

static void hook_fork(void *arg, uint32_t worker)
{
	(void)arg;
	(void)worker;
	fork_here();
}

static void hook_stop(void *arg, uint32_t worker)
{
	(void)arg;
	(void)worker;
	if (in_child)
		(void)atomic_fetch_add(&seen->stops_there, 1);
}

enum how { PLAIN,
	   BLOCKED,
	   TRACKED,
	   KEYED,
	   SHORT,
	   WAIT,
	   GROUP,
	   CHECKPOINT,
	   CALLBACK,
	   ON_START,
	   HOWS };

/* The child has ended as it should. */
static void child_ended(void)
{
	int status = 0, pid = 0;

	tu_wait_until((pid = atomic_load(&seen->child)) != 0);
	if (!tu_until(waitpid(pid, &status, WNOHANG) == pid)) { /* it works on */
		(void)kill(pid, SIGKILL);
		fail();
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ENDED);
	assert_int_equal(atomic_load(&seen->ran_there), 0);
	assert_int_equal(atomic_load(&seen->stops_there), 0);
}

static void seen_begin(void)
{
	memset(seen, 0, sizeof(*seen));
	(void)fflush(NULL);
}

static void one(enum how how)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct tu_gate g = { 0, 0 };
	struct shunt_type_id gate, type[4], quick;
	struct shunt_job_id held;
	struct shunt_job_spec s;
	struct shunt_runtime *rt;

	seen_begin();
	ro.levels = 2;
	po.on_start = how == ON_START ? hook_fork : NULL;
	po.on_stop = hook_stop;
	rt = forked_rt = tu_runtime_with(&ro);
	gate = tu_type(rt, tu_pool_with(rt, &po), "gate", tu_gate_job);
	leaf_type = tu_type(rt, (struct shunt_pool_id){ 1 }, "leaf", leaf);
	fork_type = tu_type(rt, (struct shunt_pool_id){ 1 }, "forker", forker);
	quick = tu_type(rt, (struct shunt_pool_id){ 1 }, "short", short_job);
	type[0] = tu_type(rt, (struct shunt_pool_id){ 1 }, "waits", waits);
	type[1] = tu_type(rt, (struct shunt_pool_id){ 1 }, "groups", group_waits);
	type[2] = tu_type(rt, (struct shunt_pool_id){ 1 }, "points", checkpoints);
	for (int i = 0; how == SHORT && i < 2000; i++) { /* learned */
		s = tu_spec(quick, NULL);
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	}
	tu_wait_until(atomic_load(&seen->ran_here) == (how == SHORT ? 2000 : 0));
	held = tu_hold(rt, gate, &g);
	s = tu_spec(how == SHORT ? quick : how == CALLBACK            ? leaf_type
				   : how >= WAIT && how <= CHECKPOINT ? type[how - WAIT]
								      : fork_type,
		    how == SHORT || how == BLOCKED ? &g : NULL);
	s.flags = how == KEYED || how == CALLBACK ? SHUNT_JOB_KEYED : 0;
	s.done = how == CALLBACK ? done_fork : NULL;
	if (how == ON_START) {
		s.type = leaf_type;
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	} else if (how == TRACKED) {
		struct shunt_job_id id;

		assert_int_equal(shunt_submit(rt, &s, &id), 0);
		assert_int_equal(shunt_detach(rt, id), 0);
	} else {
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	}
	s = tu_spec(how == SHORT ? quick : leaf_type, NULL);
	s.flags = how == KEYED || how == CALLBACK ? SHUNT_JOB_KEYED : 0;
	for (int i = 0; i < 40; i++)
		assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	atomic_store(&g.open, 1);
	tu_join(rt, held, SHUNT_JOB_DONE);
	tu_close(rt);
	child_ended();
	assert_true(atomic_load(&seen->ran_here) >= 40);
	if (how >= WAIT && how <= CHECKPOINT)
		assert_int_equal(atomic_load(&seen->rc), SHUNT_EFORKED);
}

static void test_returns(void **state)
{
	(void)state;
	for (int how = 0; how < HOWS; how++)
		one((enum how)how);
}

/* In a thread of the program: the call returns, with SHUNT_EFORKED in the child. */
static void test_inline(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct tu_gate g = { 0, 0 };
	struct shunt_job_id held;
	struct shunt_job_spec s;
	struct shunt_runtime *rt;
	int rc, status = 0;

	(void)state;
	seen_begin();
	po.queue_max = 1;
	rt = forked_rt = tu_runtime();
	held = tu_hold(rt, tu_type(rt, tu_pool_with(rt, &po), "gate", tu_gate_job), &g);
	s = tu_spec(tu_type(rt, (struct shunt_pool_id){ 1 }, "forker", forker), NULL);
	s.on_full = SHUNT_ON_FULL_INLINE;
	rc = shunt_submit(rt, &s, NULL);
	if (in_child) {
		rc = rc == SHUNT_EFORKED && shunt_submit(rt, &s, NULL) == SHUNT_EFORKED ? 0 : 1;
		_exit(shunt_runtime_destroy(rt, NULL) == 0 && rc == 0 ? ENDED : 1);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(waitpid(atomic_load(&seen->child), &status, 0), atomic_load(&seen->child));
	assert_int_equal(WEXITSTATUS(status), ENDED);
	atomic_store(&g.open, 1);
	tu_join(rt, held, SHUNT_JOB_DONE);
	tu_close(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_returns), cmocka_unit_test(test_inline) };

#if TU_TSAN
	(void)printf("skipped: the thread sanitizer does not support a fork of a process with threads\n");
	return 77;
#endif
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
