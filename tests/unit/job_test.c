/*
 * Jobs: submit, wait, poll, detach, cancel, stale handles, error codes, callbacks, batches, levels; and what a handler may ask about itself.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "base/rng.h"
#include "sched/world.h"

struct fixture {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id gate, count, code, facts;
};

/* ---- handlers ---- */

static int code_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	return *(int *)arg;
}

struct facts {
	struct shunt_runtime *rt;
	struct shunt_job_id self;
	struct shunt_type_id type;
	unsigned level;
	uint32_t worker;
	uint64_t queue_ns;
	int cancelled;
	int begin, begin_again;
};

static int facts_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct facts *f = arg;

	f->rt = shunt_job_runtime(ctx);
	f->self = shunt_job_self(ctx);
	f->type = shunt_job_type(ctx);
	f->level = shunt_job_level(ctx);
	f->worker = shunt_job_worker(ctx);
	f->queue_ns = shunt_job_queue_ns(ctx);
	f->cancelled = shunt_job_cancelled(ctx);
	f->begin = shunt_block_begin(ctx);
	f->begin_again = shunt_block_begin(ctx);
	shunt_block_end(ctx);
	shunt_block_end(ctx);
	shunt_block_end(ctx); /* one too many is ignored */
	return SHUNT_DONE;
}

static int until_cancelled(struct shunt_job_ctx *ctx, void *arg)
{
	uint64_t end = tu_now_s() + TU_DEADLINE_S;

	(void)atomic_fetch_add((atomic_uint *)arg, 1);
	while (!shunt_job_cancelled(ctx) && tu_now_s() < end)
		(void)sched_yield();
	return shunt_job_cancelled(ctx) ? 77 : -1;
}

static void open_with(struct fixture *f, uint32_t workers)
{
	memset(f, 0, sizeof(*f));
	f->rt = tu_runtime();
	f->pool = tu_pool(f->rt, "main", workers);
	f->gate = tu_type(f->rt, f->pool, "gate", tu_gate_job);
	f->count = tu_type(f->rt, f->pool, "count", tu_count_job);
	f->code = tu_type(f->rt, f->pool, "code", code_job);
	f->facts = tu_type(f->rt, f->pool, "facts", facts_job);
}

/* ---- tests ---- */

static void test_forget(void **state)
{
	struct fixture f;
	atomic_uint n = 0;
	uint32_t i;

	(void)state;
	open_with(&f, 2);
	for (i = 0; i < 1000; i++) {
		struct shunt_job_spec s = tu_spec(f.count, &n);

		assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	}
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&n), 1000);
	tu_close(f.rt);
}

static void test_results(void **state)
{
	static const int codes[] = { 0, 1, -1, -1000, 0x7fffffff, -0x7fffffff - 1, SHUNT_EFULL, -10500, SHUNT_PENDING };
	struct shunt_result r;
	struct fixture f;
	uint32_t i;

	(void)state;
	open_with(&f, 1);
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		int code = codes[i];
		struct shunt_job_id id = tu_submit(f.rt, f.code, &code);

		memset(&r, 0xee, sizeof(r));
		assert_int_equal(shunt_wait(f.rt, id, TU_LONG_NS, &r), 0);
		assert_int_equal(r.status, code == 0 ? SHUNT_JOB_DONE : SHUNT_JOB_FAILED);
		assert_int_equal(r.code, code); /* PENDING from a type that may not say so is a failure like others */
		assert_true(r.queue_ns < TU_LONG_NS && r.run_ns < TU_LONG_NS);
	}
	tu_close(f.rt);
}

static void test_poll_wait(void **state)
{
	struct tu_gate g = { 0, 0 };
	struct tu_gate g2 = { 0, 0 };
	struct shunt_job_id a, b;
	struct shunt_result r;
	struct fixture f;

	(void)state;
	open_with(&f, 1);
	a = tu_hold(f.rt, f.gate, &g);
	b = tu_submit(f.rt, f.gate, &g2);
	assert_int_equal(shunt_poll(f.rt, a, &r), SHUNT_EAGAIN);
	assert_int_equal(r.status, SHUNT_JOB_RUNNING);
	assert_int_equal(shunt_poll(f.rt, b, &r), SHUNT_EAGAIN);
	assert_int_equal(r.status, SHUNT_JOB_QUEUED);
	assert_int_equal(shunt_poll(f.rt, b, NULL), SHUNT_EAGAIN);
	assert_int_equal(shunt_wait(f.rt, a, 0, &r), SHUNT_ETIMEDOUT);
	assert_int_equal(shunt_wait(f.rt, b, 100000, NULL), SHUNT_ETIMEDOUT);
	assert_int_equal(shunt_wait(f.rt, b, 0, NULL), SHUNT_ETIMEDOUT);
	atomic_store(&g.open, 1);
	tu_wait_until(atomic_load(&g2.arrived) == 1);
	atomic_store(&g2.open, 1);
	tu_wait_until(shunt_poll(f.rt, b, &r) == 0);
	assert_int_equal(r.status, SHUNT_JOB_DONE);
	/* looking does not join */
	assert_int_equal(shunt_poll(f.rt, b, &r), 0);
	assert_int_equal(shunt_wait(f.rt, b, 0, &r), 0); /* terminal: no waiting needed */
	assert_int_equal(shunt_poll(f.rt, b, &r), SHUNT_ESTALE);
	assert_int_equal(shunt_wait(f.rt, b, 0, &r), SHUNT_ESTALE);
	tu_join(f.rt, a, SHUNT_JOB_DONE);
	tu_close(f.rt);
}

static void test_stale(void **state)
{
	struct shunt_job_id id, again;
	atomic_uint n = 0;
	struct fixture f;
	struct sh_rng rng;
	uint32_t i;

	(void)state;
	open_with(&f, 1);
	id = tu_submit(f.rt, f.count, &n);
	tu_join(f.rt, id, SHUNT_JOB_DONE);
	for (i = 0; i < 50; i++) { /* the record may serve others now: the old handle must never act on them */
		struct tu_gate g = { 0, 0 };

		again = tu_hold(f.rt, f.gate, &g);
		assert_true(again.v != id.v);
		assert_int_equal(shunt_wait(f.rt, id, 0, NULL), SHUNT_ESTALE);
		assert_int_equal(shunt_poll(f.rt, id, NULL), SHUNT_ESTALE);
		assert_int_equal(shunt_cancel(f.rt, id), SHUNT_ESTALE);
		assert_int_equal(shunt_detach(f.rt, id), SHUNT_ESTALE);
		assert_int_equal(shunt_complete(f.rt, id, 0), SHUNT_ESTALE);
		assert_int_equal(shunt_poll(f.rt, again, NULL), SHUNT_EAGAIN);
		atomic_store(&g.open, 1);
		tu_join(f.rt, again, SHUNT_JOB_DONE);
	}
	sh_rng_init(&rng, tu_seed());
	for (i = 0; i < 20000; i++) { /* handles that never were */
		struct shunt_job_id odd = { sh_rng_next(&rng) >> sh_rng_below(&rng, 64) };

		assert_int_equal(shunt_poll(f.rt, odd, NULL), SHUNT_ESTALE);
		assert_int_equal(shunt_wait(f.rt, odd, SHUNT_FOREVER, NULL), SHUNT_ESTALE);
		assert_int_equal(shunt_cancel(f.rt, odd), SHUNT_ESTALE);
		assert_int_equal(shunt_complete(f.rt, odd, 1), SHUNT_ESTALE);
		assert_int_equal(shunt_detach(f.rt, odd), SHUNT_ESTALE);
	}
	tu_close(f.rt);
}

struct joiner {
	struct shunt_runtime *rt;
	struct shunt_job_id id;
	uint32_t how;
	int rc;
};

static void *join_thread(void *arg)
{
	struct joiner *j = arg;
	struct shunt_result r;

	j->rc = j->how == 2 ? shunt_detach(j->rt, j->id) : shunt_wait(j->rt, j->id, TU_LONG_NS, &r);
	if (j->rc == 0 && j->how != 2 && r.status != SHUNT_JOB_DONE)
		j->rc = 1;
	return NULL;
}

/* Several threads want the same handle: exactly one gets it, the others an error. */
static void test_double_join(void **state)
{
	static struct tu_gate gates[100]; /* a detached job may still stand at its gate in the next round */
	struct fixture f;
	uint32_t round, i;

	(void)state;
	open_with(&f, 1);
	for (round = 0; round < TU_TSAN_SCALE(100u, 30u); round++) {
		struct tu_gate *g = &gates[round];
		struct joiner j[3];
		pthread_t t[3];
		uint32_t won = 0;
		struct shunt_job_id id = tu_submit(f.rt, f.gate, g);

		for (i = 0; i < 3; i++) {
			j[i] = (struct joiner){ f.rt, id, round % 3 == 0 ? i : 0, 0 };
			assert_int_equal(pthread_create(&t[i], NULL, join_thread, &j[i]), 0);
		}
		atomic_store(&g->open, 1);
		for (i = 0; i < 3; i++) {
			(void)pthread_join(t[i], NULL);
			won += j[i].rc == 0;
			assert_true(j[i].rc == 0 || j[i].rc == SHUNT_ESTALE);
		}
		assert_int_equal(won, 1);
	}
	tu_close(f.rt);
}

static void test_detach(void **state)
{
	struct tu_gate g = { 0, 0 };
	struct shunt_job_id id;
	atomic_uint n = 0;
	struct fixture f;

	(void)state;
	open_with(&f, 1);
	(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
	id = tu_submit(f.rt, f.count, &n);
	assert_int_equal(shunt_detach(f.rt, id), 0);
	assert_int_equal(shunt_detach(f.rt, id), SHUNT_ESTALE);
	assert_int_equal(shunt_wait(f.rt, id, 0, NULL), SHUNT_ESTALE);
	assert_int_equal(shunt_cancel(f.rt, id), SHUNT_ESTALE);
	atomic_store(&g.open, 1);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&n), 1); /* the job itself went on */
	tu_close(f.rt);
}

static void test_cancel(void **state)
{
	struct tu_gate g = { 0, 0 };
	struct shunt_job_id held, queued, running;
	struct shunt_type_id patient;
	struct shunt_result r;
	atomic_uint n = 0;
	struct fixture f;

	(void)state;
	open_with(&f, 1);
	patient = tu_type(f.rt, f.pool, "patient", until_cancelled);
	held = tu_hold(f.rt, f.gate, &g);
	queued = tu_submit(f.rt, f.count, &n);
	assert_int_equal(shunt_cancel(f.rt, queued), 0);
	assert_int_equal(shunt_cancel(f.rt, queued), SHUNT_EAGAIN); /* terminal already */
	assert_int_equal(shunt_wait(f.rt, queued, 0, &r), 0);       /* at once, though the worker is held */
	assert_int_equal(r.status, SHUNT_JOB_CANCELLED);
	assert_int_equal(r.code, SHUNT_ECANCELLED);
	assert_int_equal(r.queue_ns, 0);
	assert_int_equal(shunt_cancel(f.rt, held), SHUNT_EBUSY);
	atomic_store(&g.open, 1);
	tu_join(f.rt, held, SHUNT_JOB_DONE); /* the token is a request */
	running = tu_submit(f.rt, patient, &n);
	tu_wait_until(atomic_load(&n) == 1);
	assert_int_equal(shunt_cancel(f.rt, running), SHUNT_EBUSY);
	assert_int_equal(shunt_wait(f.rt, running, TU_LONG_NS, &r), 0);
	assert_int_equal(r.code, 77);
	assert_int_equal(r.status, SHUNT_JOB_FAILED);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&n), 1); /* the cancelled handler never ran */
	tu_close(f.rt);
}

/* Cancel races with the start: each job is either done or cancelled, never both, never neither. */
static void test_cancel_race(void **state)
{
	struct fixture f;
	uint32_t i;
	uint32_t cancelled = 0;
	atomic_uint n = 0;
	const uint32_t jobs = TU_TSAN_SCALE(5000u, 1000u);

	(void)state;
	open_with(&f, 2);
	for (i = 0; i < jobs; i++) {
		struct shunt_result r;
		struct shunt_job_id id = tu_submit(f.rt, f.count, &n);
		int rc = shunt_cancel(f.rt, id);

		assert_true(rc == 0 || rc == SHUNT_EBUSY || rc == SHUNT_EAGAIN);
		assert_int_equal(shunt_wait(f.rt, id, TU_LONG_NS, &r), 0);
		assert_int_equal(r.status, rc == 0 ? SHUNT_JOB_CANCELLED : SHUNT_JOB_DONE);
		cancelled += rc == 0;
	}
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&n) + cancelled, jobs);
	tu_close(f.rt);
}

static void test_errors(void **state)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s, good;
	struct shunt_job_id id = { 5 };
	atomic_uint n = 0;
	struct fixture f;

	(void)state;
	open_with(&f, 2);
	good = tu_spec(f.count, &n);
	assert_int_equal(shunt_submit(NULL, &good, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_submit(f.rt, NULL, NULL), SHUNT_EINVAL);
	s = good;
	s.type.v = 0;
	assert_int_equal(shunt_submit(f.rt, &s, &id), SHUNT_ENOENT);
	assert_int_equal(id.v, 0);
	s.type.v = 0xffffffffu;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_ENOENT);
	s.type.v = f.count.v + 500;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_ENOENT);
	s.type.v = f.count.v ^ 1u << 20; /* another generation */
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_ENOENT);
	s = good;
	s.flags = 1u << 9;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EINVAL);
	s.flags = SHUNT_JOB_KEYED | SHUNT_JOB_ON_WORKER;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EINVAL);
	s.flags = SHUNT_JOB_KEYED | SHUNT_JOB_ON_NODE;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EINVAL);
	s.flags = SHUNT_JOB_ON_WORKER | SHUNT_JOB_ON_NODE;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EINVAL);
	s.flags = SHUNT_JOB_ON_WORKER;
	s.opts = NULL; /* which one? */
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EINVAL);
	s.opts = &o;
	o.worker = 2;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_ENOENT);
	o.worker = SHUNT_ANY;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_ENOENT);
	s.flags = SHUNT_JOB_ON_NODE;
	s.opts = NULL;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EINVAL);
	s.opts = &o;
	o.worker = 0;
	o.node = 4711;
	assert_int_equal(shunt_submit(f.rt, &s, &id), SHUNT_ENOENT);
	assert_int_equal(id.v, 0);
	s = good;
	s.level = SHUNT_LEVEL(4);
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EINVAL);
	s.level = 255;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EINVAL);
	s = good;
	s.on_full = SHUNT_ON_FULL_INLINE + 1;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EINVAL);
	s = good;
	s.group.v = 12345;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_ENOENT);
	s.group.v = UINT64_C(1) << 32 | 3;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_ENOENT);
	assert_int_equal(shunt_wait(NULL, id, 0, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_poll(NULL, id, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_detach(NULL, id), SHUNT_EINVAL);
	assert_int_equal(shunt_cancel(NULL, id), SHUNT_EINVAL);
	assert_int_equal(shunt_complete(NULL, id, 0), SHUNT_EINVAL);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0); /* no refused attempt is counted as pending */
	assert_int_equal(atomic_load(&n), 0);
	tu_close(f.rt);
}

/* Options of an older and of a newer caller: the size says which fields there are. */
static void test_opts_size(void **state)
{
	struct {
		struct shunt_job_opts known;
		uint64_t later[2];
	} newer = { SHUNT_JOB_OPTS_INIT, { 0, 0 } };
	atomic_uint n = 0;
	struct shunt_job_opts older = { offsetof(struct shunt_job_opts, worker), 0, 7, 7, (void *)&n };
	struct shunt_job_spec s;
	struct shunt_job_id id;
	struct fixture f;

	(void)state;
	open_with(&f, 2);
	s = tu_spec(f.count, &n);
	s.flags = SHUNT_JOB_ON_WORKER;
	s.opts = &older; /* has no worker: not worker 0, and not the 7 behind its end */
	assert_int_equal(shunt_submit(f.rt, &s, &id), SHUNT_EINVAL);
	s.flags = 0;
	assert_int_equal(shunt_submit(f.rt, &s, &id), 0);
	tu_join(f.rt, id, SHUNT_JOB_DONE);
	older.size = 1u << 20; /* no such struct: what lies behind it is not read */
	assert_int_equal(shunt_submit(f.rt, &s, &id), SHUNT_EINVAL);
	s.flags = SHUNT_JOB_ON_WORKER;
	older.size = sizeof(older.size) - 1;
	assert_int_equal(shunt_submit(f.rt, &s, &id), SHUNT_EINVAL);
	assert_int_equal(id.v, 0);
	newer.known.size = sizeof(newer);
	s.opts = &newer.known;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	newer.later[1] = 1; /* a wish that this library does not know */
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EINVAL);
	s.flags = 0; /* a job that would be plain is checked too */
	assert_int_equal(shunt_submit(f.rt, &s, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_submit_batch(f.rt, &s, 1, NULL, NULL), 0);
	newer.later[1] = 0;
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	tu_close(f.rt);
	assert_int_equal(atomic_load(&n), 3);
}

static void assert_outcome(struct shunt_runtime *rt, struct shunt_job_id id, int code, enum shunt_detail detail, unsigned attempts,
			   uint32_t worker)
{
	struct shunt_result polled, r;

	memset(&polled, 0xff, sizeof(polled));
	memset(&r, 0xff, sizeof(r));
	tu_wait_until(shunt_poll(rt, id, &polled) == 0);
	assert_int_equal(shunt_wait(rt, id, TU_LONG_NS, &r), 0);
	assert_memory_equal(&polled, &r, sizeof(r));
	assert_int_equal(r.code, code);
	assert_int_equal(r.detail, detail);
	assert_int_equal(r.attempts, attempts);
	assert_int_equal(r.worker, worker);
	assert_int_equal(r.reserved[0] | r.reserved[1], 0);
}

static int failing_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return -7; /* its own code, whatever the library's are */
}

/* Who ended a job, how often it started and where: for each way to end. */
static void test_outcome(void **state)
{
	const struct shunt_job_opts on_1 = { .size = sizeof(on_1), .worker = 1 };
	struct tu_gate g = { 0, 0 };
	struct shunt_job_id id, cancelled, grouped, gates[2];
	struct shunt_result r;
	atomic_uint n = 0;
	struct shunt_job_spec s;
	struct fixture f;

	(void)state;
	open_with(&f, 2);
	s = tu_spec(tu_type(f.rt, f.pool, "failing", failing_job), NULL);
	s.flags = SHUNT_JOB_ON_WORKER;
	s.opts = &on_1;
	assert_int_equal(shunt_submit(f.rt, &s, &id), 0);
	assert_outcome(f.rt, id, -7, SHUNT_BY_HANDLER, 1, 1);
	gates[0] = tu_hold(f.rt, f.gate, &g);
	gates[1] = tu_hold(f.rt, f.gate, &g);
	tu_wait_until(atomic_load(&g.arrived) == 2);
	s = tu_spec(f.count, &n);
	assert_int_equal(shunt_submit(f.rt, &s, &cancelled), 0);
	assert_int_equal(shunt_group_create(f.rt, &s.group), 0);
	assert_int_equal(shunt_submit(f.rt, &s, &grouped), 0);
	assert_int_equal(shunt_poll(f.rt, grouped, &r), SHUNT_EAGAIN);
	assert_int_equal(r.detail, SHUNT_BY_NOTHING);
	assert_int_equal(shunt_cancel(f.rt, cancelled), 0);
	assert_outcome(f.rt, cancelled, SHUNT_ECANCELLED, SHUNT_BY_CANCEL, 0, SHUNT_ANY);
	assert_int_equal(shunt_group_cancel(f.rt, s.group), 0);
	atomic_store(&g.open, 1);
	assert_outcome(f.rt, grouped, SHUNT_ECANCELLED, SHUNT_BY_GROUP, 0, SHUNT_ANY);
	tu_join(f.rt, gates[0], SHUNT_JOB_DONE);
	tu_join(f.rt, gates[1], SHUNT_JOB_DONE);
	assert_int_equal(shunt_group_destroy(f.rt, s.group), 0);
	tu_close(f.rt);
	assert_int_equal(atomic_load(&n), 0);
}

struct done_seen {
	atomic_uint calls;
	struct shunt_result result;
	struct shunt_job_id id;
};

static void done_cb(void *arg, struct shunt_job_id id, const struct shunt_result *result)
{
	struct done_seen *d = arg;

	d->result = *result;
	d->id = id;
	(void)atomic_fetch_add(&d->calls, 1);
}

static void test_done_callbacks(void **state)
{
	static struct done_seen seen[600];
	struct tu_gate g = { 0, 0 };
	int ok = 0;
	int bad = -42;
	struct shunt_job_id ids[300];
	struct fixture f;
	uint32_t i;

	(void)state;
	memset(seen, 0, sizeof(seen));
	open_with(&f, 2);
	for (i = 0; i < 600; i++) { /* tracked and not, good and bad, some cancelled */
		struct shunt_job_spec s = tu_spec(f.code, i % 2 ? &bad : &ok);

		s.done = done_cb;
		s.done_arg = &seen[i];
		assert_int_equal(shunt_submit(f.rt, &s, i < 300 ? &ids[i] : NULL), 0);
		if (i < 300 && i % 3 == 0)
			(void)shunt_cancel(f.rt, ids[i]);
	}
	for (i = 0; i < 300; i++) {
		struct shunt_result r;

		assert_int_equal(shunt_wait(f.rt, ids[i], TU_LONG_NS, &r), 0);
		assert_int_equal(atomic_load(&seen[i].calls), 1); /* the callback came before the waiter went on */
		assert_int_equal(seen[i].result.status, r.status);
		assert_int_equal(seen[i].result.code, r.code);
		assert_true(seen[i].id.v == ids[i].v);
	}
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	for (i = 0; i < 600; i++) {
		assert_int_equal(atomic_load(&seen[i].calls), 1);
		if (seen[i].result.status == SHUNT_JOB_CANCELLED)
			assert_int_equal(i % 3, 0);
		else
			assert_int_equal(seen[i].result.status, i % 2 ? SHUNT_JOB_FAILED : SHUNT_JOB_DONE);
	}
	(void)g;
	tu_close(f.rt);
}

/* The queue delay counts from the intended start, in the past or now; a start in the future gives no negative delay. */
static void test_arrival_ns(void **state)
{
	struct fixture f;
	struct facts facts;
	struct shunt_job_spec s;
	struct shunt_result r;
	struct shunt_job_id id;
	const uint64_t second = 1000000000u;

	(void)state;
	open_with(&f, 1);
	s = tu_spec(f.facts, &facts);
	s.arrival_ns = shunt_now_ns() - 5 * second;
	assert_int_equal(shunt_submit(f.rt, &s, &id), 0);
	assert_int_equal(shunt_wait(f.rt, id, TU_LONG_NS, &r), 0);
	assert_true(r.queue_ns >= 5 * second);
	assert_true(facts.queue_ns == r.queue_ns);
	assert_true(r.run_ns < r.queue_ns + TU_LONG_NS);
	s.arrival_ns = shunt_now_ns() + 3600 * second;
	assert_int_equal(shunt_submit(f.rt, &s, &id), 0);
	assert_int_equal(shunt_wait(f.rt, id, TU_LONG_NS, &r), 0);
	assert_true(r.queue_ns == 0);
	assert_true(facts.queue_ns == 0);
	tu_close(f.rt);
}

static void test_batch(void **state)
{
	struct shunt_job_spec specs[64];
	struct shunt_job_id ids[64];
	atomic_uint n = 0;
	struct fixture f;
	int error = 99;
	size_t i;

	(void)state;
	open_with(&f, 2);
	for (i = 0; i < 64; i++)
		specs[i] = tu_spec(f.count, &n);
	assert_int_equal(shunt_submit_batch(f.rt, specs, 0, NULL, &error), 0);
	assert_int_equal(error, 0);
	assert_int_equal(shunt_submit_batch(f.rt, specs, 64, ids, &error), 64);
	assert_int_equal(error, 0);
	for (i = 0; i < 64; i++)
		tu_join(f.rt, ids[i], SHUNT_JOB_DONE);
	assert_int_equal(shunt_submit_batch(f.rt, specs, 64, NULL, NULL), 64);
	specs[10].type.v = 0; /* accepted is a prefix */
	assert_int_equal(shunt_submit_batch(f.rt, specs, 64, ids, &error), 10);
	assert_int_equal(error, SHUNT_ENOENT);
	for (i = 0; i < 10; i++)
		tu_join(f.rt, ids[i], SHUNT_JOB_DONE);
	specs[0].level = 99;
	assert_int_equal(shunt_submit_batch(f.rt, specs, 64, NULL, &error), 0);
	assert_int_equal(error, SHUNT_EINVAL);
	assert_int_equal(shunt_submit_batch(NULL, specs, 3, NULL, &error), 0);
	assert_int_equal(error, SHUNT_EINVAL);
	assert_int_equal(shunt_submit_batch(f.rt, NULL, 3, NULL, &error), 0);
	assert_int_equal(error, SHUNT_EINVAL);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(atomic_load(&n), 64 + 64 + 10);
	tu_close(f.rt);
}

static void test_facts(void **state)
{
	struct facts facts;
	struct fixture f;
	struct shunt_job_spec s;
	struct shunt_job_id id;
	uint32_t level;

	(void)state;
	open_with(&f, 2);
	for (level = 0; level <= 4; level++) {
		memset(&facts, 0xee, sizeof(facts));
		s = tu_spec(f.facts, &facts);
		s.level = (uint8_t)level;
		assert_int_equal(shunt_submit(f.rt, &s, &id), 0);
		tu_join(f.rt, id, SHUNT_JOB_DONE);
		assert_ptr_equal(facts.rt, f.rt);
		assert_true(facts.self.v == id.v);
		assert_true(facts.type.v == f.facts.v);
		assert_int_equal(facts.level, level == 0 ? 1 : level - 1); /* default: level 1 when there is one */
		assert_int_equal(facts.cancelled, 0);
		assert_int_equal(facts.begin, 0);
		assert_int_equal(facts.begin_again, 0);
		assert_true(facts.worker < 2 + 64);
	}
	s = tu_spec(f.facts, &facts);
	assert_int_equal(shunt_submit(f.rt, &s, NULL), 0);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	assert_true(facts.self.v == 0); /* nobody asked for a handle */
	tu_close(f.rt);
}

/* Does a snapshot say that every worker is idle and has no work left? */
static bool all_idle(struct shunt_runtime *rt)
{
	struct shunt_snapshot *snap = NULL;
	bool idle = true;
	size_t i;

	assert_int_equal(shunt_snapshot_create(rt, &snap), 0);
	for (i = 0; i < shunt_snapshot_worker_count(snap); i++) {
		const struct shunt_worker_info *w = shunt_snapshot_worker_at(snap, i);

		idle = idle && w->in_flight == 0 && w->work_left_ns == 0;
	}
	shunt_snapshot_destroy(snap);
	return idle;
}

/* What was submitted is a worker's load until it ends, however it ends: nobody stays "loaded" for ever. */
static void test_load_quiesces(void **state)
{
	struct tu_gate g = { 0, 0 };
	struct fixture f;
	struct shunt_job_id ids[200];
	atomic_uint n = 0;
	uint32_t i;

	(void)state;
	open_with(&f, 2);
	for (i = 0; i < 2; i++)
		(void)shunt_detach(f.rt, tu_hold(f.rt, f.gate, &g));
	for (i = 0; i < 200; i++) {
		struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
		struct shunt_job_spec s = tu_spec(f.count, &n);

		s.flags = i % 4 == 1 ? SHUNT_JOB_KEYED : i % 4 == 2 ? SHUNT_JOB_ON_WORKER : 0;
		s.key = i % 8;
		o.worker = i % 2;
		s.opts = s.flags & SHUNT_JOB_ON_WORKER ? &o : NULL;
		s.on_full = SHUNT_ON_FULL_BLOCK;
		assert_int_equal(shunt_submit(f.rt, &s, &ids[i]), 0);
		if (i % 3 == 0)
			assert_int_equal(shunt_cancel(f.rt, ids[i]), 0);
	}
	assert_false(all_idle(f.rt));
	atomic_store(&g.open, 1);
	for (i = 0; i < 200; i++)
		assert_int_equal(shunt_wait(f.rt, ids[i], TU_LONG_NS, NULL), 0);
	for (i = 0; i < 50; i++) /* queues hold items of cancelled jobs a little longer: let the workers reach them */
		tu_join(f.rt, tu_submit(f.rt, f.count, &n), SHUNT_JOB_DONE);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	tu_wait_until(all_idle(f.rt));
	tu_close(f.rt);
}

/* Waiter, poller and canceller against one job at a time, from three threads: the counts agree. */
struct mob {
	struct shunt_runtime *rt;
	_Atomic uint64_t handle;
	atomic_uint stop;
	atomic_uint odd;
};

static void *mob_thread(void *arg)
{
	struct mob *m = arg;

	while (!atomic_load(&m->stop)) {
		struct shunt_job_id id = { atomic_load(&m->handle) };
		struct shunt_result r = { .status = SHUNT_JOB_QUEUED };
		int rc = shunt_poll(m->rt, id, &r);

		if (rc != SHUNT_EAGAIN && rc != SHUNT_ESTALE && rc != 0)
			(void)atomic_fetch_add(&m->odd, 1);
		if (rc == 0 && r.status == SHUNT_JOB_FAILED)
			(void)atomic_fetch_add(&m->odd, 1);
		rc = shunt_cancel(m->rt, id);
		if (rc != 0 && rc != SHUNT_EAGAIN && rc != SHUNT_ESTALE && rc != SHUNT_EBUSY)
			(void)atomic_fetch_add(&m->odd, 1);
	}
	return NULL;
}

static void test_mob(void **state)
{
	struct mob m;
	struct fixture f;
	pthread_t t[2];
	atomic_uint n = 0;
	uint32_t i;
	uint32_t done = 0;

	(void)state;
	open_with(&f, 1);
	memset(&m, 0, sizeof(m));
	m.rt = f.rt;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, mob_thread, &m), 0);
	for (i = 0; i < TU_TSAN_SCALE(5000u, 1000u); i++) {
		struct shunt_result r;
		struct shunt_job_id id = tu_submit(f.rt, f.count, &n);

		atomic_store(&m.handle, id.v);
		assert_int_equal(shunt_wait(f.rt, id, TU_LONG_NS, &r), 0);
		done += r.status == SHUNT_JOB_DONE;
	}
	atomic_store(&m.stop, 1);
	for (i = 0; i < 2; i++)
		(void)pthread_join(t[i], NULL);
	assert_int_equal(atomic_load(&m.odd), 0);
	assert_int_equal(atomic_load(&n), done);
	tu_close(f.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_poll_wait),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_double_join),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_race),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_done_callbacks),
		cmocka_unit_test(test_opts_size),
		cmocka_unit_test(test_outcome),
		cmocka_unit_test(test_arrival_ns),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_load_quiesces),
		cmocka_unit_test(test_mob),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
