/*
 * Checkpoints: beside groups, cancels, asynchronous jobs and the stop of a pool; and who is refused.
 * SPDX-License-Identifier: MIT
 */
#include "checkpoint_util.h"

#include <sys/wait.h>
#include <unistd.h>

/* ---- groups, cancel, asynchronous jobs, stop ---- */

static struct shunt_group_id the_group;

static int wait_for_group(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	w.rc[4] = shunt_group_wait(w.rt, the_group, TU_LONG_NS);
	return 0;
}

static void test_group(void **state)
{
	struct shunt_group_id cancelled;
	struct shunt_type_id type;
	struct shunt_job_spec s;

	(void)state;
	world_open(1);
	type = tu_type(w.rt, (struct shunt_pool_id){ w.p->id }, "waits", wait_for_group);
	assert_int_equal(shunt_group_create(w.rt, &the_group), 0);
	assert_int_equal(shunt_group_create(w.rt, &cancelled), 0);
	w.inside = twice;
	s = at_level(w.outer, 2);
	s.group = the_group;
	put(&s);
	tu_wait_until(atomic_load(&w.go.arrived) == 1);
	s = at_level(w.note, 1);
	s.group = the_group;
	put(&s);
	s.group = cancelled;
	put(&s);
	assert_int_equal(shunt_group_cancel(w.rt, cancelled), 0);
	s = at_level(type, 1); /* waits for the very job that it interrupts */
	put(&s);
	atomic_store(&w.go.open, 1);
	assert_int_equal(shunt_group_wait(w.rt, the_group, TU_LONG_NS), 0);
	assert_int_equal(shunt_group_wait(w.rt, cancelled, TU_LONG_NS), 0);
	assert_int_equal(w.rc[0], 2);
	assert_int_equal(w.rc[4], SHUNT_EDEADLK);
	assert_int_equal(atomic_load(&w.logged), 1);
	world_close();
}

static int then_cancelled(struct shunt_job_ctx *ctx)
{
	w.rc[0] = shunt_checkpoint(ctx);
	w.rc[1] = shunt_job_cancelled(ctx);
	return 0;
}

static void test_cancel(void **state)
{
	struct shunt_job_spec s;
	struct shunt_job_id id, kid;

	(void)state;
	world_open(1);
	id = outer_begin(2, 0, 0, then_cancelled);
	s = at_level(w.note, 0);
	assert_int_equal(shunt_submit(w.rt, &s, &kid), 0);
	put_note(1);
	assert_int_equal(shunt_cancel(w.rt, kid), 0);
	assert_int_equal(shunt_cancel(w.rt, id), SHUNT_EBUSY);
	outer_end(id);
	assert_int_equal(w.rc[0], 1);
	assert_int_equal(w.rc[1], 1);
	tu_join(w.rt, kid, SHUNT_JOB_CANCELLED);
	assert_int_equal(atomic_load(&w.logged), 1);
	world_close();
}

static int pending_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)arg;
	w.rc[5] = shunt_checkpoint(ctx);
	return SHUNT_PENDING;
}

static void test_async(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct shunt_type_id type;
	struct shunt_job_spec s;
	struct shunt_job_id id, kid[2];

	(void)state;
	po.async_max = 1;
	world_open_with(4, &po);
	type = tu_type_flags(w.rt, (struct shunt_pool_id){ w.p->id }, "pending", pending_job, SHUNT_TYPE_ASYNC);
	id = outer_begin(2, 0, 0, twice);
	s = at_level(type, 1);
	assert_int_equal(shunt_submit(w.rt, &s, &kid[0]), 0);
	assert_int_equal(shunt_submit(w.rt, &s, &kid[1]), 0);
	outer_end(id);
	assert_int_equal(w.rc[0], 1); /* the worker is at its bound: the second waits */
	assert_int_equal(w.rc[1], 0);
	assert_int_equal(shunt_complete(w.rt, kid[0], 0), 0);
	tu_join(w.rt, kid[0], SHUNT_JOB_DONE);
	tu_wait_until(shunt_complete(w.rt, kid[1], 0) == 0);
	tu_join(w.rt, kid[1], SHUNT_JOB_DONE);
	world_close();
}

static int until_stop(struct shunt_job_ctx *ctx)
{
	/* Before anybody cancels what is queued: no other thread of this pool looks at the word now. */
	sh_a32_store_sc(&w.p->stop, 1);
	w.rc[0] = shunt_checkpoint(ctx);
	sh_a32_store_sc(&w.p->stop, 0);
	(void)atomic_fetch_add(&w.go.arrived, 1);
	return tu_until(sh_a32_load_acq(&w.p->stop) != 0) ? 0 : -1;
}

static void test_stop(void **state)
{
	struct shunt_job_id id;

	(void)state;
	world_open(1);
	id = outer_begin(1, 0, 0, until_stop);
	put_note(0);
	put_note(0);
	assert_int_equal(shunt_detach(w.rt, id), 0);
	w.rc[0] = -1;
	atomic_store(&w.go.open, 1);
	tu_wait_until(atomic_load(&w.go.arrived) == 2);
	tu_destroy(w.rt, 2); /* both cancelled, none run */
	assert_int_equal(w.rc[0], 0);
	assert_int_equal(atomic_load(&w.logged), 0);
}

/* ---- who is refused ---- */

static struct shunt_job_ctx *outer_ctx;

static int of_outer(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	w.rc[7] = shunt_checkpoint(outer_ctx);
	return 0;
}

static void *of_thread(void *arg)
{
	w.rc[3] = shunt_checkpoint(arg);
	return NULL;
}

static int invalid_use(struct shunt_job_ctx *ctx)
{
	pthread_t thread;

	outer_ctx = ctx;
	w.rc[0] = shunt_checkpoint(NULL);
	shunt_hold_begin(ctx);
	shunt_hold_begin(ctx);
	shunt_hold_end(ctx);
	w.rc[1] = shunt_checkpoint(ctx);
	shunt_hold_end(ctx);
	shunt_hold_end(ctx); /* one too many */
	if (pthread_create(&thread, NULL, of_thread, ctx) != 0 || pthread_join(thread, NULL) != 0)
		return -2;
	w.rc[4] = (int)atomic_load(&w.logged);
	w.rc[5] = shunt_checkpoint(ctx);
	return 0;
}

/* The job has ended: its context is not one any more. */
static void done_own(void *arg, struct shunt_job_id id, const struct shunt_result *result)
{
	(void)id;
	(void)result;
	*(int *)arg = shunt_checkpoint(outer_ctx);
}

static void test_wrong_use(void **state)
{
	struct shunt_type_id type;
	struct shunt_job_spec s;
	int done_rc = 0;

	(void)state;
	world_open(1);
	type = tu_type(w.rt, (struct shunt_pool_id){ w.p->id }, "of-outer", of_outer);
	w.inside = invalid_use;
	s = at_level(w.outer, 2);
	s.done = done_own;
	s.done_arg = &done_rc;
	put(&s);
	tu_wait_until(atomic_load(&w.go.arrived) == 1);
	s = at_level(type, 0);
	put(&s);
	put_note(1);
	atomic_store(&w.go.open, 1);
	assert_int_equal(shunt_runtime_drain(w.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(w.rc[0], SHUNT_EINVAL);
	assert_int_equal(w.rc[1], SHUNT_EBUSY);
	assert_int_equal(w.rc[3], SHUNT_EINVAL);
	assert_int_equal(w.rc[4], 0);
	assert_int_equal(w.rc[5], 2);
	assert_int_equal(w.rc[7], SHUNT_EINVAL);
	assert_true(done_rc == SHUNT_EINVAL || done_rc == SHUNT_EBUSY);
	assert_int_equal(atomic_load(&w.errors), 4); /* all but the missing context say so */
	world_close();
}

/* Inside another job's callback: the job around it is in the middle of a call. */
static int cancels_other(struct shunt_job_ctx *ctx)
{
	struct shunt_job_spec s = at_level(w.note, 3);
	struct shunt_job_id id;

	outer_ctx = ctx;
	s.done = done_own;
	s.done_arg = &w.rc[0];
	if (shunt_submit(w.rt, &s, &id) != 0 || shunt_cancel(w.rt, id) != 0 || shunt_detach(w.rt, id) != 0)
		return -1;
	w.rc[1] = shunt_checkpoint(ctx);
	return 0;
}

static void test_callback(void **state)
{
	struct shunt_job_id id;

	(void)state;
	world_open(1);
	id = outer_begin(2, 0, 0, cancels_other);
	put_note(0);
	outer_end(id);
	assert_int_equal(w.rc[0], SHUNT_EBUSY);
	assert_int_equal(w.rc[1], 1);
	world_close();
}

static int blocked(struct shunt_job_ctx *ctx)
{
	w.rc[0] = shunt_checkpoint(ctx);
	if (shunt_block_begin(ctx) != 0)
		return -1;
	w.rc[3] = (int)ctx->above; /* so that the fast path does not miss it in a build without assertions either */
	w.rc[1] = shunt_checkpoint(ctx);
	shunt_block_end(ctx);
	w.rc[2] = shunt_checkpoint(ctx);
	shunt_hold_begin(ctx);
	w.rc[4] = (int)ctx->above;
	w.rc[5] = shunt_checkpoint(ctx);
	shunt_hold_end(ctx);
	return 0;
}

static void test_blocked(void **state)
{
	struct shunt_job_id id;

	(void)state;
	world_open(1);
	id = outer_begin(2, 0, 0, blocked);
	outer_end(id);
	assert_int_equal(w.rc[0], 0);
	assert_int_equal(w.rc[1], SHUNT_EINVAL);
	assert_int_equal(w.rc[2], 0);
	assert_int_equal(w.rc[3], 0);
	assert_int_equal(w.rc[4], 0);
	assert_int_equal(w.rc[5], SHUNT_EBUSY);
	world_close();
}

static int once_job(struct shunt_job_ctx *ctx, void *arg)
{
	*(int *)arg = shunt_checkpoint(ctx);
	return 0;
}

static struct shunt_type_id once;
static struct shunt_job_id awaited;

/* What runs inside a call of a job that did not ask for this: an inline run, a job that a wait runs. */
static int calls_others(struct shunt_job_ctx *ctx)
{
	struct shunt_job_spec s = at_level(once, 2);

	s.arg = &w.rc[0];
	s.on_full = SHUNT_ON_FULL_INLINE;
	if (shunt_submit(w.rt, &s, NULL) != 0)
		return -1;
	w.rc[2] = shunt_wait(w.rt, awaited, TU_LONG_NS, NULL);
	w.rc[3] = shunt_checkpoint(ctx);
	return 0;
}

static void test_not_agreed(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct shunt_job_spec s;
	struct shunt_job_id id;

	(void)state;
	po.queue_max = 3;
	world_open_with(4, &po);
	once = tu_type(w.rt, (struct shunt_pool_id){ w.p->id }, "once", once_job);
	w.rc[0] = w.rc[1] = -1;
	id = outer_begin(3, 0, 0, calls_others);
	put_note(0);
	s = at_level(once, 2);
	s.arg = &w.rc[1];
	assert_int_equal(shunt_submit(w.rt, &s, &awaited), 0);
	outer_end(id);
	assert_int_equal(w.rc[0], 0); /* ran, and could have run the note */
	assert_int_equal(w.rc[1], 0);
	assert_int_equal(w.rc[2], 0);
	assert_int_equal(w.rc[3], 1);
	world_close();
}

static int choose_rc;

static int choose(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	(void)arg;
	(void)loads;
	(void)key;
	(void)home;
	if (outer_ctx)
		choose_rc = shunt_checkpoint(outer_ctx);
	return 0;
}

static int submits(struct shunt_job_ctx *ctx)
{
	struct shunt_job_spec s = at_level(w.note, 3);

	outer_ctx = ctx;
	if (shunt_submit(w.rt, &s, NULL) != 0)
		return -1;
	outer_ctx = NULL;
	return 0;
}

static void test_strategy(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 2);
	struct shunt_job_id id;

	(void)state;
	outer_ctx = NULL;
	po.strategy = SHUNT_SELECT_USER;
	po.select = choose;
	world_open_with(4, &po);
	choose_rc = 0;
	id = outer_begin(2, 0, 0, submits);
	outer_end(id);
	assert_int_equal(choose_rc, SHUNT_EINVAL);
	world_close();
}

static int forks(struct shunt_job_ctx *ctx)
{
	int status = 0;
	pid_t pid;

	w.rc[0] = shunt_checkpoint(ctx);
	pid = fork();
	if (pid == 0)
		_exit(ctx->above == 0 && shunt_checkpoint(ctx) == SHUNT_EFORKED ? 0 : 1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	w.rc[1] = WEXITSTATUS(status);
	w.rc[2] = shunt_checkpoint(ctx);
	return 0;
}

static void test_fork(void **state)
{
	struct shunt_job_id id;

	(void)state;
	if (getenv("TEST_EMULATED") || TU_TSAN) { /* see life_test.c */
		print_message("skipped: a fork with threads, which emulator and ThreadSanitizer cannot follow\n");
		skip();
	}
	world_open(1);
	id = outer_begin(2, 0, 0, forks);
	outer_end(id);
	assert_int_equal(w.rc[1], 0);
	assert_int_equal(w.rc[2], 0);
	put_note(0);
	world_close();
	assert_int_equal(atomic_load(&w.logged), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_async),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_wrong_use),
		cmocka_unit_test(test_callback),
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_not_agreed),
		cmocka_unit_test(test_strategy),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
