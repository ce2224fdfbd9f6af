/*
 * Waiting inside jobs: the waiter runs what it waits for, or a spare runs meanwhile; no thread waits for ever where
 * no other can come, and spares retire again.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "base/inject.h"
#include "sched/world.h"

struct fixture {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct sh_pool *p;
	struct shunt_type_id gate, count;
};

static void open_keyed(struct fixture *f, uint32_t workers, uint32_t spares_max, uint32_t key_slots)
{
	struct shunt_pool_opts po = tu_pool_opts("main", workers);

	memset(f, 0, sizeof(*f));
	po.spares_max = spares_max;
	po.key_slots = key_slots;
	f->rt = tu_runtime();
	f->pool = tu_pool_with(f->rt, &po);
	f->p = sh_runtime_pool(f->rt, f->pool.v);
	f->gate = tu_type(f->rt, f->pool, "gate", tu_gate_job);
	f->count = tu_type(f->rt, f->pool, "count", tu_count_job);
}

static void open_with(struct fixture *f, uint32_t workers, uint32_t spares_max)
{
	open_keyed(f, workers, spares_max, 0);
}

/* At the end no worker is blocked, and every spare has retired. */
static void close_all(struct fixture *f)
{
	assert_int_equal(shunt_runtime_drain(f->rt, TU_LONG_NS, NULL), 0);
	tu_wait_until(sh_a32_load_acq(&f->p->blocked) == 0);
	tu_wait_until(sh_a32_load_acq(&f->p->spares_active) == 0);
	tu_destroy(f->rt, 0);
}

/* ---- a job waits for its queued child ---- */

struct family {
	struct fixture *f;
	struct shunt_type_id type;
	uint32_t depth;
	uint16_t flags; /* of the child's spec */
	uint64_t timeout_ns;
	atomic_uint ran;
	atomic_int rc;
};

struct step {
	struct family *fam;
	uint32_t depth;
};

static int parent_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct step *me = arg;
	struct step kid = { me->fam, me->depth - 1 };
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_job_spec s = tu_spec(me->fam->type, &kid);
	struct shunt_job_id id;
	struct shunt_result r;
	int rc;

	(void)atomic_fetch_add(&me->fam->ran, 1);
	if (me->depth == 0)
		return SHUNT_DONE;
	s.flags = me->fam->flags;
	s.key = me->depth;
	rc = shunt_submit(rt, &s, &id);
	if (rc == 0)
		rc = shunt_wait(rt, id, me->fam->timeout_ns, &r);
	if (rc == 0 && r.status != SHUNT_JOB_DONE)
		rc = r.code;
	if (rc != 0)
		atomic_store(&me->fam->rc, rc);
	return rc;
}

static void family_run(uint32_t workers, uint32_t depth, uint16_t flags, uint32_t spares_max)
{
	struct fixture f;
	struct family fam;
	struct step root;

	open_with(&f, workers, spares_max);
	memset(&fam, 0, sizeof(fam));
	fam.f = &f;
	fam.flags = flags;
	fam.timeout_ns = TU_LONG_NS;
	fam.type = tu_type(f.rt, f.pool, "parent", parent_job);
	root = (struct step){ &fam, depth };
	tu_join(f.rt, tu_submit(f.rt, fam.type, &root), SHUNT_JOB_DONE);
	assert_int_equal(atomic_load(&fam.rc), 0);
	assert_int_equal(atomic_load(&fam.ran), depth + 1);
	close_all(&f);
}

static void test_helped(void **state)
{
	(void)state;
	family_run(1, 1, 0, SHUNT_ANY); /* no spare at all: the waiter runs it itself */
	family_run(1, 10, 0, SHUNT_ANY);
	family_run(2, 10, 0, 4);
}

/* ---- how deep waits nest ---- */

#define DEEP 10000u
#define OURS_BYTES 512u /* of stack between two handlers */

/* What sanitizers add to each frame is not ours; aarch64, with more registers to save, takes 690 bytes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__) || !defined(__x86_64__)
#define FRAMES_COUNT 0
#else
#define FRAMES_COUNT 1
#endif

#define INLINE_FROM 120u /* unfinished jobs from which on the pool is full */

struct chain {
	struct shunt_type_id type;
	bool inlined;     /* submits that find the pool full run their job */
	bool group;       /* waits for a group of one, not for a handle */
	size_t own_bytes; /* of stack that each handler uses */
	uint32_t ran, deadlocks;
	uintptr_t below; /* the stack of the handler that waits ends here */
	size_t most;     /* bytes from there to the next handler's frame */
};

struct link {
	struct chain *chain;
	uint32_t left;
};

static SH_NOINLINE uintptr_t stack_here(void)
{
	return (uintptr_t)__builtin_frame_address(0);
}

static int link_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct link *me = arg;
	struct chain *c = me->chain;
	struct link next = { c, me->left - 1 };
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_job_spec s = tu_spec(c->type, &next);
	volatile char own[c->own_bytes + 1];
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	struct shunt_job_id id = { 0 };
	int rc = 0;

	own[0] = own[c->own_bytes] = 1;
	if (c->below > frame && c->below - frame > c->most)
		c->most = c->below - frame;
	c->ran++;
	if (me->left == 0)
		return SHUNT_DONE;
	if (c->group)
		rc = shunt_group_create(rt, &s.group);
	s.on_full = c->inlined ? SHUNT_ON_FULL_INLINE : SHUNT_ON_FULL_DEFAULT;
	if (rc == 0)
		rc = shunt_submit(rt, &s, c->group ? NULL : &id);
	if (rc == SHUNT_EFULL) {
		c->deadlocks++;
		return SHUNT_DONE;
	}
	c->below = stack_here();
	if (rc == 0)
		rc = c->group ? shunt_group_wait(rt, s.group, TU_LONG_NS) : shunt_wait(rt, id, TU_LONG_NS, NULL);
	if (rc == SHUNT_EDEADLK) { /* no other thread runs it */
		c->deadlocks++;
		rc = shunt_cancel(rt, id);
		(void)shunt_detach(rt, id);
	}
	if (c->group && rc == 0)
		rc = shunt_group_destroy(rt, s.group);
	return own[0] == 1 && rc == 0 ? SHUNT_DONE : -1;
}

static void chain_run(struct chain *c, uint32_t deep, uint64_t stack_bytes, uint32_t spares_max)
{
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct fixture f;
	struct link first = { c, deep };

	po.spares_max = spares_max;
	po.stack_bytes = stack_bytes;
	po.queue_max = c->inlined ? INLINE_FROM : 0;
	ro.handles_max = ro.jobs_max = ro.groups_max = 2 * DEEP;
	memset(&f, 0, sizeof(f));
	f.rt = tu_runtime_with(&ro);
	f.pool = tu_pool_with(f.rt, &po);
	f.p = sh_runtime_pool(f.rt, f.pool.v);
	c->type = tu_type(f.rt, f.pool, "link", link_job);
	tu_join(f.rt, tu_submit(f.rt, c->type, &first), SHUNT_JOB_DONE);
	close_all(&f);
}

/* Handlers of 20 KiB on a small stack: the wait says so before there is no room for the next. */
static void test_stack_used_up(void **state)
{
	struct chain c = { .own_bytes = 20u << 10 };

	(void)state;
	chain_run(&c, DEEP, UINT64_C(512) << 10, SHUNT_ANY);
	assert_int_equal(c.deadlocks, 1);
	assert_in_range(c.ran, 5, 26);
	/* nested waits, and on top of them inline runs, as many as there is room for */
	c = (struct chain){ .own_bytes = 2u << 10, .inlined = true };
	chain_run(&c, DEEP, UINT64_C(448) << 10, SHUNT_ANY);
	assert_int_equal(c.deadlocks, 1);
	assert_in_range(c.ran, FRAMES_COUNT ? INLINE_FROM + 1 : 5, 200);
}

/* A chain of waits on the default stack, without any spare. */
static void test_deep(void **state)
{
	struct chain handles = { .own_bytes = 1 }, groups = { .group = true, .own_bytes = 1 };

	(void)state;
	family_run(1, 40, 0, 0);
	family_run(2, 100, 0, 0);
	chain_run(&handles, DEEP, UINT64_C(32) << 20, SHUNT_ANY);
	chain_run(&groups, DEEP, UINT64_C(32) << 20, SHUNT_ANY);
	assert_int_equal(handles.ran, DEEP + 1);
	assert_int_equal(groups.ran, DEEP + 1);
	printf("bytes of stack a wait: handle %zu, group %zu\n", handles.most, groups.most);
	if (!FRAMES_COUNT)
		return;
	assert_in_range(handles.most, 1, OURS_BYTES);
	assert_in_range(groups.most, 1, OURS_BYTES);
	handles.ran = groups.ran = 0;
	chain_run(&handles, DEEP, UINT64_C(8) << 20, SHUNT_ANY);
	chain_run(&groups, DEEP, UINT64_C(8) << 20, SHUNT_ANY);
	assert_int_equal(handles.ran, DEEP + 1);
	assert_int_equal(groups.ran, DEEP + 1);
}

/* Jobs that the waiter may not run itself: each level of waiting needs a spare. */
static void test_not_helpable(void **state)
{
	(void)state;
	family_run(1, 5, SHUNT_JOB_KEYED, 8);
	family_run(2, 20, SHUNT_JOB_KEYED, 32);
}

/* Repeated, so that a spare that is about to retire and a new wait meet. */
static void test_retire_race(void **state)
{
	struct fixture f;
	struct family fam;
	struct step root;
	uint32_t i;

	(void)state;
	open_with(&f, 1, 1);
	memset(&fam, 0, sizeof(fam));
	fam.f = &f;
	fam.flags = SHUNT_JOB_KEYED;
	fam.timeout_ns = TU_LONG_NS;
	fam.type = tu_type(f.rt, f.pool, "parent", parent_job);
	for (i = 0; i < TU_TSAN_SCALE(3000u, 500u); i++) {
		root = (struct step){ &fam, 1 };
		tu_join(f.rt, tu_submit(f.rt, fam.type, &root), SHUNT_JOB_DONE);
	}
	assert_int_equal(atomic_load(&fam.rc), 0);
	close_all(&f);
}

/* ---- a timed wait ---- */

#define LONG_MS 20

struct timed {
	struct shunt_type_id type;
	struct shunt_group_id group;
	struct shunt_job_opts opts;
	atomic_uint nested; /* jobs that ran inside another one */
	atomic_uint ran;
	uint64_t limit_ns;
	uint16_t flags;
	int rc, group_rc;
};

static int timed_child(struct shunt_job_ctx *ctx, void *arg)
{
	struct timed *t = arg;
	const struct timespec ts = { 0, LONG_MS * 1000000 };

	(void)nanosleep(&ts, NULL);
	if (ctx->outer)
		(void)atomic_fetch_add(&t->nested, 1);
	(void)atomic_fetch_add(&t->ran, 1);
	return SHUNT_DONE;
}

static int timed_parent(struct shunt_job_ctx *ctx, void *arg)
{
	struct timed *t = arg;
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_job_spec s = tu_spec(t->type, t);
	struct shunt_job_id id;

	s.flags = t->flags;
	s.opts = &t->opts;
	t->rc = shunt_submit(rt, &s, &id);
	if (t->rc == 0)
		t->rc = shunt_wait(rt, id, t->limit_ns, NULL);
	if (t->rc != 0)
		(void)shunt_detach(rt, id);
	s.group = t->group;
	t->group_rc = shunt_submit(rt, &s, NULL);
	if (t->group_rc == 0)
		t->group_rc = shunt_group_wait(rt, t->group, t->limit_ns);
	return SHUNT_DONE;
}

static int nothing_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return SHUNT_DONE;
}

/*
 * The jobs of one type take 20 ms. Waits of `limit_ns` inside a job of another type, on a worker whose jobs are short:
 * what they say, and whether they ran the job.
 */
static void check_timed(bool known, uint64_t limit_ns, uint16_t flags, int want)
{
	struct shunt_type_id parent, nothing;
	struct fixture f;
	struct timed t;
	const uint32_t learn = known ? 3 : 0;
	uint32_t i;

	open_with(&f, 1, 1);
	memset(&t, 0, sizeof(t));
	t.opts = (struct shunt_job_opts)SHUNT_JOB_OPTS_INIT;
	t.limit_ns = limit_ns;
	t.flags = flags;
	t.type = tu_type(f.rt, f.pool, "child", timed_child);
	parent = tu_type(f.rt, f.pool, "parent", timed_parent);
	nothing = tu_type(f.rt, f.pool, "nothing", nothing_job);
	assert_int_equal(shunt_group_create(f.rt, &t.group), 0);
	for (i = 0; i < learn; i++)
		tu_join(f.rt, tu_submit(f.rt, t.type, &t), SHUNT_JOB_DONE);
	for (i = 0; i < 200; i++)
		tu_join(f.rt, tu_submit(f.rt, nothing, &t), SHUNT_JOB_DONE);
	tu_join(f.rt, tu_submit(f.rt, parent, &t), SHUNT_JOB_DONE);
	assert_int_equal(t.rc, want);
	assert_int_equal(t.group_rc, want);
	tu_wait_until(atomic_load(&t.ran) == learn + 2);
	assert_int_equal(atomic_load(&t.nested), want != 0 ? 0 : 2);
	close_all(&f);
}

/* A wait of 1 ms runs no job that takes 20 ms, by what was learned of its type: it would last as long. */
static void test_timed(void **state)
{
	(void)state;
	check_timed(true, 1000000, 0, SHUNT_ETIMEDOUT);
	/* its own worker is in the way: it could not run before this wait is over */
	check_timed(true, 1000000, SHUNT_JOB_ON_WORKER, SHUNT_EDEADLK);
	check_timed(true, TU_LONG_NS, 0, 0);
	check_timed(true, TU_LONG_NS, SHUNT_JOB_ON_WORKER, 0);
}

/* Nothing is known of the type: it counts as 1 s. */
static void test_timed_unknown(void **state)
{
	(void)state;
	check_timed(false, 1000000, 0, SHUNT_ETIMEDOUT);
	check_timed(false, TU_LONG_NS, 0, 0);
}

/* The job's flag chooses otherwise. */
static void test_timed_help(void **state)
{
	(void)state;
	check_timed(true, 1000000, SHUNT_JOB_HELP, 0);
	check_timed(true, 1000000, SHUNT_JOB_HELP | SHUNT_JOB_ON_WORKER, 0);
	check_timed(true, 0, SHUNT_JOB_HELP | SHUNT_JOB_ON_WORKER, SHUNT_ETIMEDOUT); /* 0 = just look */
}

/* ---- waits that can never end ---- */

struct selfish {
	struct shunt_type_id type;
	struct shunt_job_id outer;
	int rc, nested_rc;
	int nested;
};

static int selfish_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct selfish *s = arg;
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_job_spec spec = tu_spec(s->type, s);
	struct shunt_job_id kid;

	if (s->nested) {
		s->nested_rc = shunt_wait(rt, s->outer, SHUNT_FOREVER, NULL); /* it waits for us on this very stack */
		return 0;
	}
	s->outer = shunt_job_self(ctx);
	s->rc = shunt_wait(rt, s->outer, SHUNT_FOREVER, NULL);
	s->nested = 1;
	if (shunt_submit(rt, &spec, &kid) != 0)
		return -1;
	return shunt_wait(rt, kid, TU_LONG_NS, NULL);
}

static void test_itself(void **state)
{
	struct selfish s;
	struct fixture f;

	(void)state;
	open_with(&f, 1, SHUNT_ANY);
	memset(&s, 0, sizeof(s));
	s.type = tu_type(f.rt, f.pool, "selfish", selfish_job);
	tu_join(f.rt, tu_submit(f.rt, s.type, &s), SHUNT_JOB_DONE);
	assert_int_equal(s.rc, SHUNT_EDEADLK);
	assert_int_equal(s.nested_rc, SHUNT_EDEADLK);
	close_all(&f);
}

/* ---- waits for a job that the waiter is in the way of ---- */

struct in_the_way {
	struct shunt_type_id count;
	atomic_uint ran;
	uint16_t flags;
	uint64_t key;
	int rc;
};

static int in_the_way_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct in_the_way *t = arg;
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	const struct shunt_job_opts on_0 = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s = tu_spec(t->count, &t->ran);
	struct shunt_job_id id;

	s.flags = t->flags;
	s.key = t->key;
	s.opts = t->flags & SHUNT_JOB_ON_WORKER ? &on_0 : NULL;
	t->rc = shunt_submit(rt, &s, &id);
	if (t->rc == 0)
		t->rc = shunt_wait(rt, id, TU_LONG_NS, NULL);
	if (t->rc != 0)
		(void)shunt_detach(rt, id);
	return SHUNT_DONE;
}

/* A job of its own key, or of another key on the same strand: refused at once. For its own worker: it runs it. */
static void test_in_the_way(void **state)
{
	static const struct {
		uint16_t own, awaited;
		uint64_t key; /* of the awaited one; its own is 1 */
		int rc;
	} cases[] = {
		{ SHUNT_JOB_KEYED, SHUNT_JOB_KEYED, 1, SHUNT_EDEADLK },
		{ SHUNT_JOB_KEYED, SHUNT_JOB_KEYED, 2, SHUNT_EDEADLK }, /* one strand for all keys */
		{ 0, SHUNT_JOB_KEYED, 1, 0 },
		{ SHUNT_JOB_KEYED, 0, 0, 0 },
		{ SHUNT_JOB_ON_WORKER, SHUNT_JOB_ON_WORKER, 0, 0 },
	};
	const struct shunt_job_opts on_0 = SHUNT_JOB_OPTS_INIT;
	struct shunt_type_id type;
	struct in_the_way t;
	struct fixture f;
	uint32_t i;

	(void)state;
	for (i = 0; i < SH_COUNT(cases); i++) {
		struct shunt_job_spec s;
		struct shunt_job_id id;

		open_keyed(&f, 2, 2, 1);
		memset(&t, 0, sizeof(t));
		t.count = f.count;
		t.flags = cases[i].awaited;
		t.key = cases[i].key;
		type = tu_type(f.rt, f.pool, "waits", in_the_way_job);
		s = tu_spec(type, &t);
		s.flags = cases[i].own;
		s.key = cases[i].own & SHUNT_JOB_KEYED ? 1 : 0;
		s.opts = cases[i].own & SHUNT_JOB_ON_WORKER ? &on_0 : NULL;
		assert_int_equal(shunt_submit(f.rt, &s, &id), 0);
		tu_join(f.rt, id, SHUNT_JOB_DONE);
		assert_int_equal(t.rc, cases[i].rc);
		tu_wait_until(atomic_load(&t.ran) == 1);
		close_all(&f);
	}
}

/* ---- all workers blocked ---- */

struct stopper {
	struct shunt_job_id await;
	atomic_uint waiting;
	atomic_int rc[8];
	atomic_uint n;
};

static int stopper_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct stopper *s = arg;

	(void)atomic_fetch_add(&s->waiting, 1);
	atomic_store(&s->rc[atomic_fetch_add(&s->n, 1)], shunt_wait(shunt_job_runtime(ctx), s->await, TU_LONG_NS, NULL));
	return 0;
}

/* Every worker waits for a job that stands at a gate elsewhere; the queue goes on all the same. */
static void test_spares_take_over(void **state)
{
	struct shunt_pool_id other;
	struct tu_gate g[3] = { { 0, 0 }, { 0, 0 }, { 0, 0 } };
	struct stopper s[3];
	atomic_uint n = 0;
	struct fixture f;
	struct shunt_type_id stop, far_gate;
	uint32_t i;

	(void)state;
	open_with(&f, 3, 3);
	other = tu_pool(f.rt, "other", 3);
	far_gate = tu_type(f.rt, other, "far", tu_gate_job);
	stop = tu_type(f.rt, f.pool, "stop", stopper_job);
	memset(s, 0, sizeof(s));
	for (i = 0; i < 3; i++) {
		s[i].await = tu_hold(f.rt, far_gate, &g[i]);
		(void)shunt_detach(f.rt, tu_submit(f.rt, stop, &s[i]));
	}
	tu_wait_until(sh_a32_load_acq(&f.p->blocked) == 3);
	for (i = 0; i < 200; i++)
		(void)shunt_detach(f.rt, tu_submit(f.rt, f.count, &n));
	tu_wait_until(atomic_load(&n) == 200);
	assert_true(sh_a32_load_acq(&f.p->spares_active) <= 3);
	for (i = 0; i < 3; i++)
		atomic_store(&g[i].open, 1);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(atomic_load(&s[i].rc[0]), 0);
	close_all(&f);
}

/* One more waiter than there are spares: it gets an error, at once. */
static void test_spares_exhausted(void **state)
{
	struct shunt_pool_id other;
	struct tu_gate g = { 0, 0 };
	struct tu_gate g2 = { 0, 0 };
	struct tu_gate g3 = { 0, 0 };
	struct stopper s[3];
	struct fixture f;
	struct shunt_type_id stop, far_gate;
	struct tu_gate *gate[3] = { &g, &g2, &g3 };
	uint32_t i;
	uint32_t told = 0;

	(void)state;
	open_with(&f, 1, 2);
	other = tu_pool(f.rt, "other", 3);
	far_gate = tu_type(f.rt, other, "far", tu_gate_job);
	stop = tu_type(f.rt, f.pool, "stop", stopper_job);
	memset(s, 0, sizeof(s));
	for (i = 0; i < 3; i++)
		s[i].await = tu_hold(f.rt, far_gate, gate[i]);
	for (i = 0; i < 3; i++)
		(void)shunt_detach(f.rt, tu_submit(f.rt, stop, &s[i]));
	tu_wait_until(atomic_load(&s[0].rc[0]) + atomic_load(&s[1].rc[0]) + atomic_load(&s[2].rc[0]) == SHUNT_EDEADLK);
	for (i = 0; i < 3; i++)
		atomic_store(&gate[i]->open, 1);
	assert_int_equal(shunt_runtime_drain(f.rt, TU_LONG_NS, NULL), 0);
	for (i = 0; i < 3; i++) {
		told += atomic_load(&s[i].rc[0]) == SHUNT_EDEADLK;
		if (atomic_load(&s[i].rc[0]) == SHUNT_EDEADLK) /* the handle is still the caller's */
			assert_int_equal(shunt_wait(f.rt, s[i].await, TU_LONG_NS, NULL), 0);
	}
	assert_int_equal(told, 1);
	close_all(&f);
}

/* ---- declared blocking ---- */

struct sleeper {
	struct tu_gate gate;
	int rc;
};

static int sleeper_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct sleeper *s = arg;

	s->rc = shunt_block_begin(ctx);
	tu_gate_pass(&s->gate);
	if (s->rc == 0)
		shunt_block_end(ctx);
	return 0;
}

static int forgetful_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)arg;
	(void)shunt_block_begin(ctx);
	(void)shunt_block_begin(ctx);
	return 0; /* never says end */
}

static void test_declared(void **state)
{
	struct sleeper s[3];
	atomic_uint n = 0;
	struct fixture f;
	struct shunt_type_id sleep, forget;
	uint32_t round, i;

	(void)state;
	open_with(&f, 1, 2);
	sleep = tu_type(f.rt, f.pool, "sleep", sleeper_job);
	forget = tu_type(f.rt, f.pool, "forget", forgetful_job);
	for (round = 0; round < 20; round++) {
		memset(s, 0, sizeof(s));
		for (i = 0; i < 3; i++) { /* the third has no spare any more, and may block all the same */
			(void)shunt_detach(f.rt, tu_submit(f.rt, sleep, &s[i]));
			tu_wait_until(atomic_load(&s[i].gate.arrived) == 1);
			assert_int_equal(s[i].rc, i < 2 ? 0 : SHUNT_ELIMIT);
			if (i < 2) {
				(void)shunt_detach(f.rt, tu_submit(f.rt, f.count, &n));
				tu_wait_until(atomic_load(&n) == 2 * round + i + 1);
			}
		}
		for (i = 0; i < 3; i++)
			atomic_store(&s[i].gate.open, 1);
		tu_wait_until(sh_a32_load_acq(&f.p->spares_active) == 0);
		/* waited for: while it runs it counts as blocked, and the next round would be one spare short */
		assert_int_equal(shunt_wait(f.rt, tu_submit(f.rt, forget, NULL), TU_LONG_NS, NULL), 0);
	}
	close_all(&f);
}

/* Jobs in the deque of a worker that blocks are taken by others. */
static int spawner_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct family *fam = arg;
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	uint64_t end = tu_now_s() + TU_DEADLINE_S;
	uint32_t i;

	for (i = 0; i < 50; i++) {
		struct shunt_job_spec s = tu_spec(fam->f->count, &fam->ran);

		if (shunt_submit(rt, &s, NULL) != 0)
			return -1;
	}
	if (shunt_block_begin(ctx) != 0)
		return -2;
	while (atomic_load(&fam->ran) < 50 && tu_now_s() < end)
		(void)sched_yield();
	shunt_block_end(ctx);
	return atomic_load(&fam->ran) == 50 ? 0 : -3;
}

static void test_blocked_spawner(void **state)
{
	struct fixture f;
	struct family fam;
	struct shunt_type_id type;
	uint32_t i;

	(void)state;
	open_with(&f, 1, 1);
	memset(&fam, 0, sizeof(fam));
	fam.f = &f;
	type = tu_type(f.rt, f.pool, "spawner", spawner_job);
	for (i = 0; i < 50; i++) {
		atomic_store(&fam.ran, 0);
		tu_join(f.rt, tu_submit(f.rt, type, &fam), SHUNT_JOB_DONE);
	}
	close_all(&f);
}

/* One worker's block ends while the spare of another is still being made: both spares retire when both have ended. */
struct meeting {
	struct fixture *f;
	struct sleeper *first;
};

static int meet_at_start(void *arg, const char *point)
{
	struct meeting *m = arg;
	const struct sh_worker *spare = m->f->p->worker[2];
	uint64_t parks, end;
	uint32_t i;

	if (strcmp(point, "pool.thread") != 0)
		return 0;
	parks = sh_a64_load_rlx(&spare->parks);
	atomic_store(&m->first->gate.open, 1);
	(void)tu_until(sh_a32_load_acq(&m->f->p->blocked) == 1);
	/* The first spare was woken by that. It must not sleep on; one that is wrong gets the time to do so. */
	end = tu_now_s() + 2; /* on a busy machine a yield may last milliseconds */
	for (i = 0; i < 20000 && tu_now_s() < end && sh_a64_load_rlx(&spare->parks) == parks; i++)
		(void)sched_yield();
	return 0;
}

static void test_end_meets_begin(void **state)
{
	struct meeting m;
	struct sleeper s[2];
	struct fixture f;
	struct shunt_type_id sleep;

	(void)state;
	memset(s, 0, sizeof(s));
	open_with(&f, 2, 2);
	sleep = tu_type(f.rt, f.pool, "sleep", sleeper_job);
	m = (struct meeting){ &f, &s[0] };
	(void)shunt_detach(f.rt, tu_submit(f.rt, sleep, &s[0]));
	tu_wait_until(sh_a32_load_acq(&f.p->slots) == 3);
	tu_wait_until(sh_a32_load_acq(&f.p->worker[2]->state) == SH_W_PARKED);
	tu_wait_until(atomic_load(&s[0].gate.arrived) == 1); /* it has left the lock that the other one holds then */
	sh_inject_set(meet_at_start, &m);
	(void)shunt_detach(f.rt, tu_submit(f.rt, sleep, &s[1]));
	tu_wait_until(atomic_load(&s[1].gate.arrived) == 1);
	sh_inject_set(NULL, NULL);
	tu_wait_until(sh_a32_load_acq(&f.p->spares_active) == 1);
	atomic_store(&s[1].gate.open, 1);
	close_all(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_helped),
		cmocka_unit_test(test_timed),
		cmocka_unit_test(test_timed_unknown),
		cmocka_unit_test(test_timed_help),
		cmocka_unit_test(test_in_the_way),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_stack_used_up),
		cmocka_unit_test(test_not_helpable),
		cmocka_unit_test(test_retire_race),
		cmocka_unit_test(test_itself),
		cmocka_unit_test(test_spares_take_over),
		cmocka_unit_test(test_spares_exhausted),
		cmocka_unit_test(test_declared),
		cmocka_unit_test(test_blocked_spawner),
		cmocka_unit_test(test_end_meets_begin),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
