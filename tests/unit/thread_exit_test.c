/*
 * Handlers and hooks that end their thread, by pthread_exit or because somebody cancels it: the job ends as failed with
 * SHUNT_EEXITED, what it had is given back once, the worker goes on in a new thread, and drain and destroy return. The
 * same for jobs that run inline, in a wait and in a checkpoint, and for callbacks. No call is a cancellation point.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <unistd.h>

#include <shunt/cq.h>
#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "base/inject.h"
#include "sched/world.h"

/* ---- logs ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[65536];

static void log_take(void *arg, enum shunt_log_level level, const char *message)
{
	size_t len;

	(void)arg;
	(void)level;
	(void)pthread_mutex_lock(&log_lock);
	len = strlen(log_text);
	(void)snprintf(log_text + len, sizeof(log_text) - len, "%s\n", message);
	(void)pthread_mutex_unlock(&log_lock);
}

static bool logged(const char *what)
{
	bool found;

	(void)pthread_mutex_lock(&log_lock);
	found = strstr(log_text, what) != NULL;
	(void)pthread_mutex_unlock(&log_lock);
	return found;
}

/* ---- worlds ---- */

static int exit_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	if (arg)
		(void)atomic_fetch_add((atomic_uint *)arg, 1);
	pthread_exit(NULL);
	return SHUNT_DONE;
}

struct world {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id gate, count, exit, pending;
};

static void world_open_with(struct world *w, const struct shunt_pool_opts *po, uint32_t jobs_max)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;

	log_text[0] = '\0';
	ro.log = log_take;
	ro.jobs_max = jobs_max;
	ro.levels = 2;
	w->rt = tu_runtime_with(&ro);
	w->pool = tu_pool_with(w->rt, po);
	w->gate = tu_type(w->rt, w->pool, "gate", tu_gate_job);
	w->count = tu_type(w->rt, w->pool, "count", tu_count_job);
	w->exit = tu_type(w->rt, w->pool, "exit", exit_job);
	w->pending = tu_type_flags(w->rt, w->pool, "pending", exit_job, SHUNT_TYPE_ASYNC);
}

static void world_open(struct world *w, uint32_t workers)
{
	struct shunt_pool_opts po = tu_pool_opts("main", workers);

	world_open_with(w, &po, 0);
}

/* How many threads of the pool's workers were replaced. */
static uint64_t replaced(struct shunt_runtime *rt)
{
	const struct shunt_worker_info *w;
	struct shunt_snapshot *s;
	uint64_t n = 0;

	assert_int_equal(shunt_snapshot_create(rt, &s), 0);
	for (size_t i = 0; (w = shunt_snapshot_worker_at(s, i)) != NULL; i++)
		n += w->replaced;
	shunt_snapshot_destroy(s);
	return n;
}

static void counts(struct shunt_runtime *rt, const char *type, uint64_t done, uint64_t failed)
{
	const struct shunt_series *at;
	uint64_t d = 0, f = 0;
	struct shunt_snapshot *s;

	assert_int_equal(shunt_snapshot_create(rt, &s), 0);
	for (size_t i = 0; (at = shunt_snapshot_series_at(s, i)) != NULL; i++)
		if (strcmp(at->type, type) == 0) {
			d += at->done;
			f += at->failed;
		}
	shunt_snapshot_destroy(s);
	assert_int_equal(d, done);
	assert_int_equal(f, failed);
}

static void join_exited(struct shunt_runtime *rt, struct shunt_job_id id)
{
	struct shunt_result r = { .status = SHUNT_JOB_QUEUED };

	assert_int_equal(shunt_wait(rt, id, TU_LONG_NS, &r), SHUNT_OK);
	assert_int_equal(r.status, SHUNT_JOB_FAILED);
	assert_int_equal(r.code, SHUNT_EEXITED);
	assert_int_equal(r.detail, SHUNT_BY_EXIT);
	assert_int_equal(r.attempts, 1);
}

/* ---- in the loop ---- */

static void test_plain(void **state)
{
	atomic_uint n = 0, exits = 0;
	struct shunt_job_spec s;
	struct world w;

	(void)state;
	world_open(&w, 1);
	for (int i = 0; i < 60; i++) {
		s = tu_spec(i % 20 == 7 ? w.exit : w.count, i % 20 == 7 ? &exits : &n);
		assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	}
	assert_int_equal(shunt_runtime_drain(w.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&n), 57);
	assert_int_equal(atomic_load(&exits), 3);
	tu_wait_until(replaced(w.rt) == 3);
	counts(w.rt, "exit", 0, 3);
	counts(w.rt, "count", 57, 0);
	assert_true(logged("type exit: a job has failed"));
	assert_true(logged("pool main: worker 0: its thread was ended by a handler; a new one takes its place"));
	tu_destroy(w.rt, 0);
}

static void done_count(void *arg, struct shunt_job_id id, const struct shunt_result *r)
{
	(void)id;
	assert_int_equal(r->code, SHUNT_EEXITED);
	(void)atomic_fetch_add((atomic_uint *)arg, 1);
}

/* Every part of a job is released, once: assertions of the library look at destroy, too. */
static void test_parts(void **state)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_group_id group;
	struct shunt_completion c;
	struct shunt_job_spec s;
	atomic_uint called = 0, n = 0;
	struct shunt_cq *cq;
	struct world w;

	(void)state;
	world_open(&w, 2);
	join_exited(w.rt, tu_submit(w.rt, w.exit, NULL));
	join_exited(w.rt, tu_submit(w.rt, w.pending, NULL));
	s = tu_spec(w.exit, NULL);
	s.done = done_count;
	s.done_arg = &called;
	assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&called) == 1);
	/* a group with an order by key: what is behind it runs */
	assert_int_equal(shunt_group_create(w.rt, &group), 0);
	for (int i = 0; i < 20; i++) {
		s = tu_spec(i % 5 == 0 ? w.exit : w.count, i % 5 == 0 ? NULL : &n);
		s.group = group;
		s.flags = SHUNT_JOB_KEYED;
		s.key = 3;
		assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	}
	assert_int_equal(shunt_group_wait(w.rt, group, TU_LONG_NS), 0);
	assert_int_equal(atomic_load(&n), 16);
	assert_int_equal(shunt_group_destroy(w.rt, group), 0);
	assert_int_equal(shunt_cq_create(w.rt, NULL, &cq), 0);
	s = tu_spec(w.exit, NULL);
	s.opts = &opts;
	opts.cq = cq;
	assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	assert_int_equal(shunt_cq_wait(cq, TU_LONG_NS), 0);
	assert_int_equal(shunt_cq_take(cq, &c, 1), 1);
	assert_int_equal(c.result.code, SHUNT_EEXITED);
	assert_int_equal(shunt_cq_destroy(cq), 0);
	assert_int_equal(shunt_runtime_drain(w.rt, TU_LONG_NS, NULL), 0);
	tu_wait_until(replaced(w.rt) == 8);
	counts(w.rt, "exit", 0, 7);
	tu_destroy(w.rt, 0);
}

/* Jobs for one worker alone are run by its new thread; so are those that its thread had spawned. */
static int spawn_exit_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_type_id *type = ((void **)arg)[0];
	struct shunt_job_spec s = tu_spec(*type, ((void **)arg)[1]);

	for (int i = 0; i < 40; i++)
		assert_int_equal(shunt_submit(shunt_job_runtime(ctx), &s, NULL), 0);
	s.opts = &opts;
	s.flags = SHUNT_JOB_ON_WORKER;
	opts.worker = shunt_job_worker(ctx);
	assert_int_equal(shunt_submit(shunt_job_runtime(ctx), &s, NULL), 0);
	pthread_exit(NULL);
	return SHUNT_DONE;
}

static void test_own_queues(void **state)
{
	struct shunt_type_id spawner;
	atomic_uint n = 0;
	struct world w;
	void *arg[2] = { &w.count, &n };

	(void)state;
	world_open(&w, 1);
	spawner = tu_type(w.rt, w.pool, "spawner", spawn_exit_job);
	join_exited(w.rt, tu_submit(w.rt, spawner, arg));
	assert_int_equal(shunt_runtime_drain(w.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&n), 41);
	tu_destroy(w.rt, 0);
}

/* ---- cancellation ---- */

static pthread_t victim;
static atomic_uint stands;

static int pause_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	victim = pthread_self();
	atomic_store(&stands, 1);
	for (;;)
		(void)pause();
	return SHUNT_DONE;
}

static void test_cancelled(void **state)
{
	struct shunt_type_id type;
	struct shunt_job_id id;
	atomic_uint n = 0;
	struct world w;

	(void)state;
	world_open(&w, 1);
	atomic_store(&stands, 0);
	type = tu_type(w.rt, w.pool, "pause", pause_job);
	id = tu_submit(w.rt, type, NULL);
	tu_wait_until(atomic_load(&stands) == 1);
	assert_int_equal(pthread_cancel(victim), 0);
	join_exited(w.rt, id);
	tu_join(w.rt, tu_submit(w.rt, w.count, &n), SHUNT_JOB_DONE);
	tu_wait_until(replaced(w.rt) == 1);
	tu_close(w.rt);
}

/* ---- a job in a wait, in a checkpoint, between block begin and end ---- */

static struct shunt_type_id inner_type;
static struct shunt_job_id inner_id;

static int wait_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_job_spec s = tu_spec(inner_type, arg);

	assert_int_equal(shunt_submit(rt, &s, &inner_id), 0);
	(void)shunt_wait(rt, inner_id, SHUNT_FOREVER, NULL);
	return SHUNT_DONE; /* not reached: the awaited job ends this thread, unless another worker runs it */
}

static int group_wait_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_job_spec s = tu_spec(inner_type, arg);
	struct shunt_group_id group;

	assert_int_equal(shunt_group_create(rt, &group), 0);
	s.group = group;
	assert_int_equal(shunt_submit(rt, &s, NULL), 0);
	(void)shunt_group_wait(rt, group, SHUNT_FOREVER);
	return SHUNT_DONE;
}

static int checkpoint_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_job_spec s = tu_spec(inner_type, arg);

	s.level = SHUNT_LEVEL(0);
	assert_int_equal(shunt_submit(shunt_job_runtime(ctx), &s, NULL), 0);
	while (shunt_checkpoint(ctx) == 0)
		;
	return SHUNT_DONE;
}

static int blocked_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)arg;
	assert_int_equal(shunt_block_begin(ctx), 0);
	assert_int_equal(shunt_block_begin(ctx), 0);
	pthread_exit(NULL);
	return SHUNT_DONE;
}

static void test_nested(void **state)
{
	static const shunt_handler_fn handlers[] = { wait_job, group_wait_job, checkpoint_job };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		atomic_uint exits = 0, n = 0;
		struct shunt_type_id outer;
		struct world w;

		world_open(&w, 1);
		inner_type = w.exit;
		outer = tu_type(w.rt, w.pool, "outer", handlers[i]);
		join_exited(w.rt, tu_submit(w.rt, outer, &exits));
		assert_int_equal(atomic_load(&exits), 1);
		if (i == 0)
			join_exited(w.rt, inner_id);
		tu_join(w.rt, tu_submit(w.rt, w.count, &n), SHUNT_JOB_DONE);
		tu_wait_until(replaced(w.rt) == 1);
		counts(w.rt, "exit", 0, 1);
		counts(w.rt, "outer", 0, 1);
		tu_close(w.rt);
	}
}

static void test_blocked(void **state)
{
	struct shunt_snapshot *snap;
	struct shunt_type_id type;
	struct shunt_job_spec s;
	atomic_uint n = 0;
	struct world w;

	(void)state;
	world_open(&w, 1);
	type = tu_type(w.rt, w.pool, "blocked", blocked_job);
	s = tu_spec(type, NULL);
	assert_int_equal(shunt_submit(w.rt, &s, NULL), 0); /* plain */
	join_exited(w.rt, tu_submit(w.rt, type, NULL));
	assert_int_equal(shunt_runtime_drain(w.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(shunt_snapshot_create(w.rt, &snap), 0);
	assert_int_equal(shunt_snapshot_pool_at(snap, 0)->blocked, 0);
	shunt_snapshot_destroy(snap);
	assert_int_equal(shunt_runtime_resume(w.rt), 0);
	tu_join(w.rt, tu_submit(w.rt, w.count, &n), SHUNT_JOB_DONE);
	tu_close(w.rt);
}

/* ---- inline ---- */

struct inline_call {
	struct world *w;
	atomic_uint exits;
	atomic_uint returned;
	bool batch;
};

static void *inline_main(void *arg)
{
	struct inline_call *c = arg;
	struct shunt_job_spec s = tu_spec(c->w->exit, &c->exits);
	int rc;

	s.on_full = SHUNT_ON_FULL_INLINE;
	if (c->batch)
		(void)shunt_submit_batch(c->w->rt, &s, 1, NULL, &rc);
	else
		rc = shunt_submit(c->w->rt, &s, NULL);
	atomic_store(&c->returned, 1);
	return &c->returned;
}

static void test_inline(void **state)
{
	(void)state;
	for (int batch = 0; batch < 2; batch++) {
		struct inline_call c = { .batch = batch };
		struct shunt_pool_opts po = tu_pool_opts("main", 1);
		struct tu_gate g = { 0, 0 };
		struct shunt_job_id held;
		pthread_t t;
		void *result;
		struct world w;

		po.queue_max = 1;
		world_open_with(&w, &po, 0);
		c.w = &w;
		held = tu_hold(w.rt, w.gate, &g); /* the pool is full */
		for (int i = 0; i < 3; i++) {
			assert_int_equal(pthread_create(&t, NULL, inline_main, &c), 0);
			assert_int_equal(pthread_join(t, &result), 0);
			assert_ptr_equal(result, NULL); /* as pthread_exit said */
		}
		assert_int_equal(atomic_load(&c.exits), 3);
		assert_int_equal(atomic_load(&c.returned), 0);
		atomic_store(&g.open, 1);
		tu_join(w.rt, held, SHUNT_JOB_DONE);
		assert_int_equal(shunt_runtime_drain(w.rt, TU_LONG_NS, NULL), 0);
		counts(w.rt, "exit", 0, 3);
		assert_int_equal(replaced(w.rt), 0);
		assert_int_equal(shunt_type_destroy(w.rt, w.exit, TU_LONG_NS), 0); /* no section is open */
		tu_destroy(w.rt, 0);
	}
}

/* ---- callbacks and hooks ---- */

static void done_exit(void *arg, struct shunt_job_id id, const struct shunt_result *r)
{
	(void)id;
	(void)r;
	(void)atomic_fetch_add((atomic_uint *)arg, 1);
	pthread_exit(NULL);
}

static void test_callback(void **state)
{
	struct shunt_group_id group;
	struct shunt_job_spec s;
	struct shunt_job_id id;
	atomic_uint n = 0, called = 0;
	struct world w;

	(void)state;
	world_open(&w, 1);
	assert_int_equal(shunt_group_create(w.rt, &group), 0);
	s = tu_spec(w.count, &n);
	s.group = group;
	s.flags = SHUNT_JOB_KEYED;
	s.done = done_exit;
	s.done_arg = &called;
	assert_int_equal(shunt_submit(w.rt, &s, &id), 0);
	tu_join(w.rt, id, SHUNT_JOB_DONE); /* its handler has returned */
	assert_int_equal(shunt_group_wait(w.rt, group, TU_LONG_NS), 0);
	s.done = NULL;
	s.done_arg = NULL;
	assert_int_equal(shunt_submit(w.rt, &s, &id), 0);
	tu_join(w.rt, id, SHUNT_JOB_DONE);
	assert_int_equal(atomic_load(&called), 1);
	assert_int_equal(atomic_load(&n), 2);
	tu_wait_until(replaced(w.rt) == 1);
	assert_int_equal(shunt_group_wait(w.rt, group, TU_LONG_NS), 0);
	assert_int_equal(shunt_group_destroy(w.rt, group), 0);
	tu_close(w.rt);
}

static atomic_uint hook_starts, hook_stops, hook_exits;

static void hook_start(void *arg, uint32_t worker)
{
	(void)worker;
	(void)atomic_fetch_add(&hook_starts, 1);
	if (atomic_load(&hook_exits) == 0 && arg) {
		atomic_store(&hook_exits, 1);
		pthread_exit(NULL);
	}
}

static void hook_stop(void *arg, uint32_t worker)
{
	(void)arg;
	(void)worker;
	(void)atomic_fetch_add(&hook_stops, 1);
	pthread_exit(NULL);
}

static void test_hooks(void **state)
{
	(void)state;
	for (int exits = 0; exits < 2; exits++) {
		struct shunt_pool_opts po = tu_pool_opts("main", 2);
		atomic_uint n = 0;
		struct world w;

		atomic_store(&hook_starts, 0);
		atomic_store(&hook_stops, 0);
		atomic_store(&hook_exits, 0);
		po.on_start = hook_start;
		po.on_stop = hook_stop;
		po.hook_arg = exits ? &po : NULL;
		world_open_with(&w, &po, 0);
		tu_wait_until(replaced(w.rt) == (exits ? 1 : 0));
		for (int i = 0; i < 8; i++)
			tu_join(w.rt, tu_submit(w.rt, w.count, &n), SHUNT_JOB_DONE);
		if (!exits) { /* both for each thread */
			join_exited(w.rt, tu_submit(w.rt, w.exit, NULL));
			tu_wait_until(replaced(w.rt) == 1);
		}
		tu_close(w.rt);
		assert_int_equal(atomic_load(&hook_starts), exits ? 2 : 3);
		assert_int_equal(atomic_load(&hook_stops), exits ? 2 : 3);
	}
}

/* ---- no thread can be made ---- */

static atomic_uint refuse;

static int refuse_replace(void *arg, const char *point)
{
	(void)arg;
	return strcmp(point, "worker.replace") == 0 && atomic_load(&refuse) != 0;
}

static void test_no_thread(void **state)
{
	atomic_uint n = 0;
	struct world w;

	(void)state;
	atomic_store(&refuse, 1);
	sh_inject_set(refuse_replace, NULL);
	world_open(&w, 1);
	for (int i = 0; i < 4; i++) {
		join_exited(w.rt, tu_submit(w.rt, w.exit, NULL));
		tu_join(w.rt, tu_submit(w.rt, w.count, &n), SHUNT_JOB_DONE);
	}
	assert_true(logged("pool main: worker 0: no new thread, the old one goes on"));
	assert_int_equal(replaced(w.rt), 0);
	atomic_store(&refuse, 0);
	join_exited(w.rt, tu_submit(w.rt, w.exit, NULL));
	tu_wait_until(replaced(w.rt) == 1);
	tu_join(w.rt, tu_submit(w.rt, w.count, &n), SHUNT_JOB_DONE);
	tu_close(w.rt);
	sh_inject_set(NULL, NULL);
}

/* ---- many, and at the end ---- */

static int some_job(struct shunt_job_ctx *ctx, void *arg)
{
	unsigned i = atomic_fetch_add((atomic_uint *)arg, 1);

	(void)ctx;
	if (i % 7 == 3)
		pthread_exit(NULL);
	return SHUNT_DONE;
}

static void many(void)
{
	enum { JOBS = 400 };
	struct shunt_type_id type;
	struct shunt_job_spec s;
	atomic_uint n = 0;
	struct world w;
	int i;

	world_open(&w, 3);
	type = tu_type(w.rt, w.pool, "some", some_job);
	s = tu_spec(type, &n);
	for (i = 0; i < JOBS; i++) {
		struct shunt_job_id id;

		assert_int_equal(shunt_submit(w.rt, &s, i % 2 ? &id : NULL), 0);
		if (i % 2)
			assert_int_equal(shunt_detach(w.rt, id), 0);
	}
	assert_int_equal(shunt_runtime_drain(w.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&n), JOBS);
	counts(w.rt, "some", JOBS - (JOBS + 3) / 7, (JOBS + 3) / 7);
	tu_destroy(w.rt, 0);
}

static void test_many(void **state)
{
	(void)state;
	many();
	atomic_store(&refuse, 1); /* each thread ends many times */
	sh_inject_set(refuse_replace, NULL);
	many();
	sh_inject_set(NULL, NULL);
	atomic_store(&refuse, 0);
}

static int late_exit_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	tu_gate_pass(arg);
	pthread_exit(NULL);
	return SHUNT_DONE;
}

struct gate_of {
	struct tu_gate g;
	struct sh_pool *pool;
};

/* Once destroy has stopped the pool, which waits for the handler. */
static void *open_gate(void *arg)
{
	struct gate_of *o = arg;

	tu_wait_until(sh_a32_load_acq(&o->pool->stop) != 0);
	atomic_store(&o->g.open, 1);
	return NULL;
}

static void test_destroyed(void **state)
{
	struct gate_of o = { .pool = NULL };
	struct shunt_type_id type;
	uint64_t cancelled = 0;
	struct shunt_job_spec s;
	atomic_uint n = 0;
	struct world w;
	pthread_t t;

	(void)state;
	world_open(&w, 1);
	o.pool = sh_runtime_pool(w.rt, w.pool.v);
	type = tu_type(w.rt, w.pool, "late", late_exit_job);
	s = tu_spec(type, &o.g);
	assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&o.g.arrived) == 1);
	s = tu_spec(w.count, &n);
	assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	assert_int_equal(pthread_create(&t, NULL, open_gate, &o), 0);
	assert_int_equal(shunt_runtime_destroy(w.rt, &cancelled), 0);
	assert_int_equal(cancelled, 1);
	assert_int_equal(atomic_load(&n), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
}

/* ---- a thread that is cancelled inside a call ---- */

enum call { CALL_DRAIN,
	    CALL_CQ_WAIT,
	    CALL_POOL,
	    CALL_CONTROL,
	    CALLS };

struct cancelled_call {
	struct world w;
	struct shunt_cq *cq;
	enum call call;
	atomic_uint stands, open, back;
};

static struct cancelled_call *in_hook;

/* A log hook with a cancellation point, called while a control call is under way. */
static void hook_log(void *arg, enum shunt_log_level level, const char *message)
{
	(void)arg;
	(void)level;
	(void)message;
	if (in_hook) {
		atomic_store(&in_hook->stands, 1);
		while (!atomic_load(&in_hook->open))
			(void)sched_yield();
		pthread_testcancel();
	}
}

static void *cancelled_main(void *arg)
{
	struct cancelled_call *c = arg;
	struct shunt_snapshot *s = NULL;
	struct shunt_pool_id id;
	int rc = 0;

	switch (c->call) {
	case CALL_DRAIN:
		atomic_store(&c->stands, 1);
		rc = shunt_runtime_drain(c->w.rt, TU_LONG_NS, NULL);
		break;
	case CALL_CQ_WAIT:
		atomic_store(&c->stands, 1);
		rc = shunt_cq_wait(c->cq, 50000000);
		break;
	case CALL_POOL: {
		struct shunt_pool_opts po = tu_pool_opts("other", 1);

		po.place = "nowhere"; /* logged */
		rc = shunt_pool_create(c->w.rt, &po, &id);
		break;
	}
	default:
		atomic_store(&c->stands, 1);
		while (!atomic_load(&c->open)) /* it is pending before the call */
			(void)sched_yield();
		rc = shunt_snapshot_create(c->w.rt, &s);
		shunt_snapshot_destroy(s);
		break;
	}
	atomic_store(&c->back, rc == 0 ? 1 : (unsigned)-rc);
	pthread_testcancel();
	return c;
}

static void test_calls(void **state)
{
	(void)state;
	for (int i = 0; i < CALLS; i++) {
		struct cancelled_call c = { .call = (enum call)i };
		struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
		struct tu_gate g = { 0, 0 };
		struct shunt_job_id held;
		struct shunt_snapshot *s;
		void *result;
		pthread_t t;

		ro.log = hook_log;
		c.w.rt = tu_runtime_with(&ro);
		c.w.pool = tu_pool(c.w.rt, "main", 1);
		c.w.gate = tu_type(c.w.rt, c.w.pool, "gate", tu_gate_job);
		assert_int_equal(shunt_cq_create(c.w.rt, NULL, &c.cq), 0);
		held = tu_hold(c.w.rt, c.w.gate, &g);
		in_hook = i == CALL_POOL ? &c : NULL;
		assert_int_equal(pthread_create(&t, NULL, cancelled_main, &c), 0);
		tu_wait_until(atomic_load(&c.stands) == 1);
		assert_int_equal(pthread_cancel(t), 0);
		atomic_store(&c.open, 1);
		atomic_store(&g.open, 1);
		assert_int_equal(pthread_join(t, &result), 0);
		in_hook = NULL;
		assert_ptr_equal(result, PTHREAD_CANCELED);
		assert_true(atomic_load(&c.back) != 0); /* the call has returned before */
		assert_int_equal(shunt_snapshot_create(c.w.rt, &s), 0);
		shunt_snapshot_destroy(s);
		tu_join(c.w.rt, held, SHUNT_JOB_DONE);
		assert_int_equal(shunt_cq_destroy(c.cq), 0);
		tu_close(c.w.rt);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_own_queues),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_inline),
		cmocka_unit_test(test_callback),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_no_thread),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_destroyed),
		cmocka_unit_test(test_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
