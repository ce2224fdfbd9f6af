/*
 * A spare's thread may take long to begin. A call with a limit does not wait for it longer than that; the next worker
 * that blocks has the spare; a pool that is removed waits for it; a thread that gives up leaves nothing. The spare is
 * held at its first step (sched/worker.c, worker_begin).
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "base/inject.h"
#include "sched/world.h"

#define LIMIT_NS 20000000u

static struct tu_gate begin, awaited;
static atomic_bool hold, refuse;
static struct tu_fixture f;
static struct shunt_pool_id subject;
static struct sh_pool *pool; /* subject */
static struct shunt_type_id waits, blocks;

static int on_point(void *arg, const char *point)
{
	(void)arg;
	if (strcmp(point, "worker.begin") == 0 && atomic_load(&hold))
		tu_gate_pass(&begin);
	return strcmp(point, "submitter.claim") == 0 && atomic_load(&refuse);
}

struct wait {
	struct shunt_job_id id; /* of what it waits for, or: */
	struct shunt_group_id group;
	bool submits; /* `spec`, to a pool that is full */
	struct shunt_job_spec spec;
	uint64_t limit_ns;
	int said;
	atomic_bool over;
};

static int wait_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct wait *w = arg;
	struct shunt_runtime *rt = shunt_job_runtime(ctx);

	if (w->submits)
		w->said = shunt_submit(rt, &w->spec, NULL);
	else
		w->said = w->id.v != 0 ? shunt_wait(rt, w->id, w->limit_ns, NULL)
				       : shunt_group_wait(rt, w->group, w->limit_ns);
	atomic_store(&w->over, true);
	return SHUNT_DONE;
}

static atomic_int block_said;

static int block_job(struct shunt_job_ctx *ctx, void *arg)
{
	atomic_store(&block_said, shunt_block_begin(ctx));
	tu_gate_pass(arg);
	shunt_block_end(ctx);
	return SHUNT_DONE;
}

static void open_workers(struct tu_gate *g, struct wait *w, uint32_t workers)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("other", 1); /* full with the job that is awaited */
	struct shunt_job_spec s;

	memset(g, 0, sizeof(*g));
	memset(w, 0, sizeof(*w));
	memset(&begin, 0, sizeof(begin));
	atomic_store(&hold, false);
	atomic_store(&refuse, false);
	sh_inject_set(on_point, NULL);
	po.queue_max = 1;
	tu_fixture_open(&f, &ro, &po);
	subject = tu_pool(f.rt, "subject", workers);
	pool = sh_runtime_pool_at(f.rt, sh_id_index(subject.v));
	waits = tu_type(f.rt, subject, "waits", wait_job);
	blocks = tu_type(f.rt, subject, "blocks", block_job);
	assert_int_equal(shunt_group_create(f.rt, &w->group), 0);
	s = tu_spec(f.gate, g);
	s.group = w->group;
	assert_int_equal(shunt_submit(f.rt, &s, &w->id), 0);
	tu_wait_until(atomic_load(&g->arrived) == 1);
	w->limit_ns = LIMIT_NS;
}

static void open_all(struct tu_gate *g, struct wait *w)
{
	open_workers(g, w, 1);
}

static void start(struct wait *w)
{
	struct shunt_job_spec s = tu_spec(waits, w);

	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
}

static void close_all(struct tu_gate *g)
{
	atomic_store(&begin.open, 1);
	atomic_store(&g->open, 1);
	tu_close(f.rt);
	sh_inject_set(NULL, NULL);
}

/* What a snapshot says of the jobs at the pool's workers and spares. */
static uint32_t in_flight(void)
{
	struct shunt_snapshot *s = NULL;
	uint32_t n = 0;

	assert_int_equal(shunt_snapshot_create(f.rt, &s), 0);
	for (size_t i = 0; i < shunt_snapshot_worker_count(s); i++)
		if (shunt_snapshot_worker_at(s, i)->pool_id.v == subject.v)
			n += shunt_snapshot_worker_at(s, i)->in_flight;
	shunt_snapshot_destroy(s);
	return n;
}

/* At the end no worker is blocked, the spare sleeps, and nobody has a job. */
static void nothing_is_left(void)
{
	/* mo rlx: waited for. */
	tu_wait_until(sh_a32_load_rlx(&pool->spares_active) == 0 && sh_a32_load_rlx(&pool->blocked) == 0);
	tu_wait_until(in_flight() == 0);
}

static void limit_holds(bool group, bool submit)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct wait w;

	open_all(&awaited, &w);
	atomic_store(&hold, true);
	if (group)
		w.id.v = 0;
	o.full_timeout_ns = LIMIT_NS;
	w.spec = tu_spec(f.gate, NULL);
	w.spec.on_full = SHUNT_ON_FULL_BLOCK;
	w.spec.opts = &o;
	w.submits = submit;
	start(&w);
	tu_wait_until(atomic_load(&begin.arrived) == 1);
	tu_wait_until(atomic_load(&w.over)); /* while the thread stands */
	assert_int_equal(w.said, SHUNT_ETIMEDOUT);
	atomic_store(&begin.open, 1);
	nothing_is_left();
	close_all(&awaited);
}

static void test_job_limit(void **state)
{
	(void)state;
	limit_holds(false, false);
}

static void test_group_limit(void **state)
{
	(void)state;
	limit_holds(true, false);
}

static void test_submit_limit(void **state)
{
	(void)state;
	limit_holds(false, true);
}

/* The spare that came too late for one job is the next one's, which waits for it: one thread, not two. */
static void test_next_has_it(void **state)
{
	static struct tu_gate held;
	struct wait w;
	struct shunt_job_spec s;

	(void)state;
	memset(&held, 0, sizeof(held));
	open_all(&awaited, &w);
	atomic_store(&hold, true);
	start(&w);
	tu_wait_until(atomic_load(&w.over));
	atomic_store(&block_said, 1);
	s = tu_spec(blocks, &held);
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	tu_wait_until(sh_a32_load_rlx(&pool->blocked) == 1); /* mo rlx: waited for. */
	assert_int_equal(atomic_load(&held.arrived), 0);
	atomic_store(&begin.open, 1);
	tu_wait_until(atomic_load(&held.arrived) == 1);
	assert_int_equal(atomic_load(&block_said), 0);
	assert_int_equal(sh_a32_load_rlx(&pool->slots), 2); /* mo rlx: the spare has begun. */
	atomic_store(&held.open, 1);
	nothing_is_left();
	close_all(&awaited);
}

static void *remove_main(void *arg)
{
	assert_int_equal(shunt_type_destroy(f.rt, waits, TU_LONG_NS), 0);
	assert_int_equal(shunt_type_destroy(f.rt, blocks, TU_LONG_NS), 0);
	assert_int_equal(shunt_pool_destroy(f.rt, subject), 0);
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static void test_pool_waits_for_it(void **state)
{
	static atomic_bool removed;
	struct shunt_snapshot *snap = NULL;
	struct wait w;
	pthread_t thread;

	(void)state;
	atomic_store(&removed, false);
	open_all(&awaited, &w);
	atomic_store(&hold, true);
	start(&w);
	tu_wait_until(atomic_load(&w.over));
	assert_int_equal(pthread_create(&thread, NULL, remove_main, &removed), 0);
	tu_wait_until(sh_a32_load_rlx(&pool->stop) == 1);        /* mo rlx: waited for. */
	assert_int_equal(shunt_snapshot_create(f.rt, &snap), 0); /* no lock is held meanwhile */
	shunt_snapshot_destroy(snap);
	assert_false(atomic_load(&removed));
	atomic_store(&begin.open, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close_all(&awaited);
}

/* There is no submitter for the thread: who blocks gets an error, and the slot is free for the next one. */
static void test_gives_up(void **state)
{
	struct wait w;

	(void)state;
	open_all(&awaited, &w);
	w.limit_ns = TU_LONG_NS;
	atomic_store(&refuse, true);
	start(&w);
	tu_wait_until(atomic_load(&w.over));
	assert_int_equal(w.said, SHUNT_EDEADLK);
	assert_int_equal(sh_a32_load_rlx(&pool->slots), 1); /* mo rlx: nobody else changes it. */
	nothing_is_left();
	atomic_store(&refuse, false);
	atomic_store(&w.over, false);
	w.limit_ns = LIMIT_NS;
	start(&w);
	tu_wait_until(atomic_load(&w.over));
	assert_int_equal(w.said, SHUNT_ETIMEDOUT);
	assert_int_equal(sh_a32_load_rlx(&pool->slots), 2); /* mo rlx: as above. */
	nothing_is_left();
	close_all(&awaited);
}

/* A spare that works is not surplus because of one that has not begun, and gives up: the pool is served. */
static void test_active_stays(void **state)
{
	static struct tu_gate held;
	static atomic_uint ran;
	struct shunt_job_spec s;
	struct wait w;

	(void)state;
	memset(&held, 0, sizeof(held));
	atomic_store(&ran, 0);
	open_all(&awaited, &w);
	s = tu_spec(blocks, &held);
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&held.arrived) == 1);
	atomic_store(&hold, true);
	atomic_store(&refuse, true);
	start(&w);
	tu_wait_until(atomic_load(&w.over));
	for (uint32_t i = 0; i < 10000; i++) /* the spare that ran it has nothing to do now */
		(void)sched_yield();
	atomic_store(&begin.open, 1);
	/* each is counted when it has begun, and when the starter is done with it */
	tu_wait_until(sh_a32_load_rlx(&pool->starts) == 4); /* mo rlx: waited for. */
	s = tu_spec(tu_type(f.rt, subject, "count_here", tu_count_job), &ran);
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&ran) == 1);
	atomic_store(&refuse, false);
	atomic_store(&held.open, 1);
	nothing_is_left();
	close_all(&awaited);
}

static struct tu_gate launch;

static int on_launch(void *arg, const char *point)
{
	(void)arg;
	if (strcmp(point, "pool.spare.launch") == 0)
		tu_gate_pass(&launch);
	return 0;
}

/* The system takes long to make a thread: other workers of the pool do not wait for that beyond their limits. */
static void test_slow_system(void **state)
{
	static struct tu_gate held;
	struct shunt_job_spec s;
	uint64_t begin_ns;
	struct wait w;

	(void)state;
	memset(&held, 0, sizeof(held));
	memset(&launch, 0, sizeof(launch));
	open_workers(&awaited, &w, 2);
	sh_inject_set(on_launch, NULL);
	s = tu_spec(blocks, &held);
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&launch.arrived) == 1); /* in the call that makes the thread */
	begin_ns = shunt_now_ns();
	start(&w);
	tu_wait_until(atomic_load(&w.over));
	assert_int_equal(w.said, SHUNT_ETIMEDOUT);
	assert_true(shunt_now_ns() - begin_ns >= LIMIT_NS);
	assert_int_equal(atomic_load(&held.arrived), 0);
	atomic_store(&launch.open, 1);
	tu_wait_until(atomic_load(&held.arrived) == 1);
	atomic_store(&held.open, 1);
	nothing_is_left();
	close_all(&awaited);
}

/* What is awaited ends while the system still makes a thread: the wait ends with it, though it has no limit. */
static void test_ends_before_its_spare(void **state)
{
	struct wait w;

	(void)state;
	memset(&launch, 0, sizeof(launch));
	open_all(&awaited, &w);
	sh_inject_set(on_launch, NULL);
	w.limit_ns = SHUNT_FOREVER;
	start(&w);
	tu_wait_until(atomic_load(&launch.arrived) == 1);
	atomic_store(&awaited.open, 1);
	tu_wait_until(atomic_load(&w.over)); /* while the thread is being made */
	assert_int_equal(w.said, 0);
	atomic_store(&launch.open, 1);
	nothing_is_left();
	close_all(&awaited);
}

/* The limit holds also of the wait whose spare it is. */
static void test_slow_for_itself(void **state)
{
	struct wait w;

	(void)state;
	memset(&launch, 0, sizeof(launch));
	open_all(&awaited, &w);
	sh_inject_set(on_launch, NULL);
	start(&w);
	tu_wait_until(atomic_load(&launch.arrived) == 1);
	tu_wait_until(atomic_load(&w.over));
	assert_int_equal(w.said, SHUNT_ETIMEDOUT);
	atomic_store(&launch.open, 1);
	nothing_is_left();
	close_all(&awaited);
}

/* One of two workers that ask has a spare, the other one's cannot be had: the first one keeps its own. */
static void test_one_of_two(void **state)
{
	static struct tu_gate held;
	struct shunt_job_spec s;
	struct wait w;

	(void)state;
	memset(&held, 0, sizeof(held));
	open_workers(&awaited, &w, 2);
	w.limit_ns = TU_LONG_NS;
	atomic_store(&block_said, 1);
	s = tu_spec(blocks, &held);
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&held.arrived) == 1);
	assert_int_equal(atomic_load(&block_said), 0);
	atomic_store(&refuse, true);
	start(&w);
	tu_wait_until(atomic_load(&w.over));
	assert_int_equal(w.said, SHUNT_EDEADLK);
	assert_int_equal(sh_a32_load_rlx(&pool->slots), 3); /* mo rlx: nobody changes it. */
	atomic_store(&refuse, false);
	atomic_store(&held.open, 1);
	nothing_is_left();
	close_all(&awaited);
}

/*
 * A pool of one worker that polls: what is submitted while its spare is made is said to nobody, and the spare, which
 * never sleeps, runs it all the same.
 */
static void test_polls(void **state)
{
	static struct tu_gate held;
	static atomic_uint ran;
	struct shunt_pool_opts po = tu_pool_opts("polls", 1);
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_id id;
	struct shunt_job_spec s;

	(void)state;
	memset(&held, 0, sizeof(held));
	memset(&launch, 0, sizeof(launch));
	atomic_store(&ran, 0);
	po.idle = SHUNT_IDLE_POLL;
	id = tu_pool_with(rt, &po);
	sh_inject_set(on_launch, NULL);
	s = tu_spec(tu_type(rt, id, "blocks", block_job), &held);
	assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&launch.arrived) == 1);
	s = tu_spec(tu_type(rt, id, "count", tu_count_job), &ran);
	assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	atomic_store(&launch.open, 1);
	tu_wait_until(atomic_load(&ran) == 1); /* by the spare */
	atomic_store(&held.open, 1);
	tu_close(rt);
	sh_inject_set(NULL, NULL);
}

/* There is room again while the spare is made: a submit that waits for it goes on. */
static void test_room_before_its_spare(void **state)
{
	static atomic_uint ran;
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct wait w;

	(void)state;
	memset(&launch, 0, sizeof(launch));
	open_all(&awaited, &w);
	sh_inject_set(on_launch, NULL);
	o.full_timeout_ns = TU_LONG_NS;
	w.spec = tu_spec(f.count, &ran);
	w.spec.on_full = SHUNT_ON_FULL_BLOCK;
	w.spec.opts = &o;
	w.submits = true;
	start(&w);
	tu_wait_until(atomic_load(&launch.arrived) == 1);
	atomic_store(&awaited.open, 1);
	tu_wait_until(atomic_load(&w.over));
	assert_int_equal(w.said, 0);
	atomic_store(&launch.open, 1);
	nothing_is_left();
	close_all(&awaited);
}

static void *destroy_main(void *arg)
{
	assert_int_equal(shunt_runtime_destroy(f.rt, NULL), 0);
	return arg;
}

/* The runtime is destroyed while a spare is asked for: the wait ends with what it waits for, and is no deadlock. */
static void test_destroy_meanwhile(void **state)
{
	pthread_t thread;
	struct wait w;

	(void)state;
	memset(&launch, 0, sizeof(launch));
	open_all(&awaited, &w);
	sh_inject_set(on_launch, NULL);
	w.limit_ns = SHUNT_FOREVER;
	start(&w);
	tu_wait_until(atomic_load(&launch.arrived) == 1);
	assert_int_equal(pthread_create(&thread, NULL, destroy_main, NULL), 0);
	tu_wait_until(sh_a32_load_rlx(&pool->stop) == 1); /* mo rlx: waited for. */
	atomic_store(&refuse, true);
	sh_inject_set(on_point, NULL);
	atomic_store(&launch.open, 1);
	for (uint32_t i = 0; i < 10000; i++)
		(void)sched_yield();
	assert_false(atomic_load(&w.over)); /* the spare gave up: no reason to end the wait */
	atomic_store(&awaited.open, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.said, 0);
	sh_inject_set(NULL, NULL);
}

/* It gives up when nobody waits for it any more: the next one who blocks does not count on it. */
static void test_gives_up_late(void **state)
{
	struct wait w;

	(void)state;
	open_all(&awaited, &w);
	atomic_store(&hold, true);
	atomic_store(&refuse, true);
	start(&w);
	tu_wait_until(atomic_load(&w.over));
	assert_int_equal(w.said, SHUNT_ETIMEDOUT);
	atomic_store(&begin.open, 1);
	tu_wait_until(atomic_load(&begin.arrived) == 1);
	tu_wait_until(sh_a32_load_rlx(&pool->starts) == 2); /* mo rlx: waited for; both threads said so. */
	atomic_store(&refuse, false);
	atomic_store(&w.over, false);
	start(&w);
	tu_wait_until(atomic_load(&w.over));
	assert_int_equal(w.said, SHUNT_ETIMEDOUT);
	assert_int_equal(sh_a32_load_rlx(&pool->slots), 2); /* mo rlx: nobody else changes it. */
	nothing_is_left();
	close_all(&awaited);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_limit),
		cmocka_unit_test(test_group_limit),
		cmocka_unit_test(test_submit_limit),
		cmocka_unit_test(test_next_has_it),
		cmocka_unit_test(test_gives_up),
		cmocka_unit_test(test_slow_system),
		cmocka_unit_test(test_slow_for_itself),
		cmocka_unit_test(test_ends_before_its_spare),
		cmocka_unit_test(test_one_of_two),
		cmocka_unit_test(test_polls),
		cmocka_unit_test(test_room_before_its_spare),
		cmocka_unit_test(test_destroy_meanwhile),
		cmocka_unit_test(test_gives_up_late),
		cmocka_unit_test(test_active_stays),
		cmocka_unit_test(test_pool_waits_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
