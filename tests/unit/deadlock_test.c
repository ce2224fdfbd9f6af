/*
 * Circles of waits: the one that closes a circle is refused at once, over jobs, strands, workers, groups, pools and
 * runtimes; what only looks like a circle is waited for.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "sched/record.h"
#include "sched/world.h"

#define ACTORS 8u
#define SHORT_NS UINT64_C(100000000)

/* A job that waits for another job, or for a group, when it may. */
struct actor {
	struct shunt_runtime *rt;
	struct shunt_type_id type;
	struct shunt_job_id id;
	struct tu_gate gate;         /* opened when it may wait */
	const struct actor *job;     /* what it waits for; */
	struct shunt_group_id group; /* or this */
	uint64_t timeout_ns;
	atomic_int rc; /* of its wait; 1 = not over */
};

static struct stage {
	struct shunt_runtime *rt[2];
	struct shunt_pool_id pool[2];
	struct shunt_type_id type[2], async;
	struct actor a[ACTORS];
} st;

static int actor_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct actor *a = arg;
	int rc = 0;

	(void)ctx;
	tu_gate_pass(&a->gate);
	if (a->job)
		rc = shunt_wait(a->job->rt, a->job->id, a->timeout_ns, NULL);
	else if (a->group.v)
		rc = shunt_group_wait(a->rt, a->group, a->timeout_ns);
	atomic_store(&a->rc, rc);
	return SHUNT_DONE;
}

static int async_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)actor_job(ctx, arg);
	return SHUNT_PENDING;
}

/* One or two runtimes of a pool of `workers`. */
static void stage_open(uint32_t runtimes, uint32_t workers)
{
	memset(&st, 0, sizeof(st));
	for (uint32_t i = 0; i < runtimes; i++) {
		struct shunt_pool_opts po = tu_pool_opts("main", workers);

		po.key_slots = 1;
		st.rt[i] = tu_runtime();
		st.pool[i] = tu_pool_with(st.rt[i], &po);
		st.type[i] = tu_type(st.rt[i], st.pool[i], "actor", actor_job);
	}
	st.async = tu_type_flags(st.rt[0], st.pool[0], "async", async_job, SHUNT_TYPE_ASYNC);
	for (uint32_t i = 0; i < ACTORS; i++) {
		st.a[i].rt = st.rt[0];
		st.a[i].type = st.type[0];
		st.a[i].timeout_ns = SHUNT_FOREVER;
		atomic_store(&st.a[i].rc, 1);
	}
}

static void stage_close(void)
{
	for (uint32_t i = 0; i < 2; i++)
		if (st.rt[i])
			tu_close(st.rt[i]);
}

static void submit(struct actor *a, struct shunt_job_spec s)
{
	s.type = a->type;
	s.arg = a;
	assert_int_equal(shunt_submit(a->rt, &s, &a->id), 0);
}

/* Submits it, and its handler stands at its gate. */
static void stands(struct actor *a, struct shunt_job_spec s)
{
	submit(a, s);
	tu_wait_until(atomic_load(&a->gate.arrived) == 1);
}

static const struct shunt_job_spec plain = { 0 };

/* It goes to sleep in its wait: its worker is blocked. */
static void sleeps(struct actor *a)
{
	struct sh_pool *p = sh_runtime_pool(a->rt, st.pool[a->rt == st.rt[0] ? 0 : 1].v);
	uint32_t before = sh_a32_load_acq(&p->blocked);

	atomic_store(&a->gate.open, 1);
	tu_wait_until(sh_a32_load_acq(&p->blocked) > before);
	assert_int_equal(atomic_load(&a->rc), 1);
}

/* Its wait ends with `rc`. */
static void ends(struct actor *a, int rc)
{
	atomic_store(&a->gate.open, 1);
	tu_wait_until(atomic_load(&a->rc) != 1);
	assert_int_equal(atomic_load(&a->rc), rc);
}

static void drained(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		(void)shunt_detach(st.a[i].rt, st.a[i].id);
	stage_close();
}

/* Each of n jobs waits for the next, the last one for the first: over one runtime, or two in turn. */
static void ring(uint32_t n, uint32_t runtimes)
{
	stage_open(runtimes, 2);
	for (uint32_t i = 0; i < n; i++) {
		st.a[i].rt = st.rt[i % runtimes];
		st.a[i].type = st.type[i % runtimes];
		st.a[i].job = &st.a[(i + 1) % n];
	}
	for (uint32_t i = 0; i < n; i++) {
		if (i >= 2) /* their workers come when others are blocked */
			sleeps(&st.a[i - 2]);
		stands(&st.a[i], plain);
	}
	sleeps(&st.a[n - 2]);
	ends(&st.a[n - 1], SHUNT_EDEADLK);
	for (uint32_t i = n - 1; i-- > 0;)
		ends(&st.a[i], 0);
	drained(n);
}

static void test_rings(void **state)
{
	(void)state;
	ring(2, 1);
	ring(3, 1);
	ring(8, 1);
	ring(2, 2);
	ring(6, 2);
}

static void test_itself(void **state)
{
	(void)state;
	for (uint32_t k = 0; k < 2; k++) {
		stage_open(1, 1);
		st.a[0].job = &st.a[0];
		st.a[0].timeout_ns = k ? TU_LONG_NS : SHUNT_FOREVER;
		stands(&st.a[0], plain);
		ends(&st.a[0], SHUNT_EDEADLK);
		drained(1);
	}
}

/* A waits for B, and sleeps; B, which is about to wait for C, stands; C is queued. */
static void line_open(const struct shunt_job_spec *a, const struct shunt_job_spec *b, const struct shunt_job_spec *c)
{
	st.a[0].job = &st.a[1];
	st.a[1].job = &st.a[2];
	stands(&st.a[0], *a);
	stands(&st.a[1], *b);
	submit(&st.a[2], *c);
	atomic_store(&st.a[2].gate.open, 1);
	sleeps(&st.a[0]);
}

/* B's wait is refused, and the others go on. */
static void line_refused(void)
{
	ends(&st.a[1], SHUNT_EDEADLK);
	ends(&st.a[0], 0);
	ends(&st.a[2], 0);
	drained(3);
}

/* C is behind A in its strand, by another key. */
static void test_strand(void **state)
{
	const struct shunt_job_spec first = { .flags = SHUNT_JOB_KEYED, .key = 1 };
	const struct shunt_job_spec behind = { .flags = SHUNT_JOB_KEYED, .key = 2 };

	(void)state;
	stage_open(1, 2);
	line_open(&first, &plain, &behind);
	line_refused();
}

/* C is for the worker that runs A alone. */
static void test_worker(void **state)
{
	struct shunt_job_opts opts[2] = { SHUNT_JOB_OPTS_INIT, SHUNT_JOB_OPTS_INIT };
	const struct shunt_job_spec on_0 = { .flags = SHUNT_JOB_ON_WORKER, .opts = &opts[0] };
	const struct shunt_job_spec on_1 = { .flags = SHUNT_JOB_ON_WORKER, .opts = &opts[1] };

	(void)state;
	opts[1].worker = 1;
	stage_open(1, 2);
	line_open(&on_0, &on_1, &on_0);
	line_refused();
}

/* A waits for a group, a member of which waits for A; the other member goes on. */
static void test_group(void **state)
{
	struct shunt_job_spec s = { 0 };

	(void)state;
	stage_open(1, 3);
	assert_int_equal(shunt_group_create(st.rt[0], &s.group), 0);
	st.a[0].group = s.group;
	st.a[1].job = &st.a[0];
	stands(&st.a[0], plain);
	stands(&st.a[1], s);
	stands(&st.a[2], s);
	sleeps(&st.a[0]);
	ends(&st.a[1], SHUNT_EDEADLK);
	assert_int_equal(atomic_load(&st.a[0].rc), 1);
	ends(&st.a[2], 0);
	ends(&st.a[0], 0);
	assert_int_equal(shunt_group_destroy(st.rt[0], s.group), 0);
	drained(3);
}

/* A, which has a key, waits for a group. A member is queued behind A: before the wait, or when A sleeps already. */
static void group_behind(bool late)
{
	struct shunt_job_spec keyed = { .flags = SHUNT_JOB_KEYED, .key = 1 }, member = { 0 };

	stage_open(1, 2);
	assert_int_equal(shunt_group_create(st.rt[0], &member.group), 0);
	st.a[0].group = member.group;
	stands(&st.a[0], keyed);
	stands(&st.a[1], member); /* goes on after all */
	member.flags = SHUNT_JOB_KEYED;
	member.key = late ? 1 : 2; /* one strand for both */
	if (late)
		sleeps(&st.a[0]);
	submit(&st.a[2], member);
	ends(&st.a[0], SHUNT_EDEADLK);
	ends(&st.a[2], 0);
	ends(&st.a[1], 0);
	assert_int_equal(shunt_group_wait(st.rt[0], member.group, TU_LONG_NS), 0);
	assert_int_equal(shunt_group_destroy(st.rt[0], member.group), 0);
	drained(3);
}

/* A cancelled member is behind A no more, though it is in the queue. */
static void test_group_behind(void **state)
{
	struct shunt_job_spec keyed = { .flags = SHUNT_JOB_KEYED, .key = 1 }, member = keyed;

	(void)state;
	group_behind(false);
	group_behind(true);
	stage_open(1, 2);
	assert_int_equal(shunt_group_create(st.rt[0], &member.group), 0);
	st.a[0].group = member.group;
	stands(&st.a[0], keyed);
	submit(&st.a[1], member);
	assert_int_equal(shunt_cancel(st.rt[0], st.a[1].id), 0);
	member.flags = 0;
	stands(&st.a[2], member);
	sleeps(&st.a[0]);
	ends(&st.a[2], 0);
	ends(&st.a[0], 0);
	assert_int_equal(shunt_group_destroy(st.rt[0], member.group), 0);
	drained(3);
}

/* A on worker 0 waits for a group with a member for worker 1, where B waits for one with a member for worker 0. */
static void test_group_workers(void **state)
{
	struct shunt_job_opts opts[2] = { SHUNT_JOB_OPTS_INIT, SHUNT_JOB_OPTS_INIT };
	struct shunt_job_spec on[2] = { { .flags = SHUNT_JOB_ON_WORKER, .opts = &opts[0] },
					{ .flags = SHUNT_JOB_ON_WORKER, .opts = &opts[1] } };
	struct shunt_group_id group[2];

	(void)state;
	opts[1].worker = 1;
	stage_open(1, 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(shunt_group_create(st.rt[0], &group[i]), 0);
		st.a[i].group = group[i];
		stands(&st.a[i], on[i]);
	}
	for (uint32_t i = 0; i < 2; i++) {
		on[1 - i].group = group[i];
		submit(&st.a[2 + i], on[1 - i]);
		atomic_store(&st.a[2 + i].gate.open, 1);
	}
	sleeps(&st.a[0]);
	ends(&st.a[1], SHUNT_EDEADLK);
	for (uint32_t i = 0; i < 4; i++)
		if (i != 1)
			ends(&st.a[i], 0);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(shunt_group_wait(st.rt[0], group[i], TU_LONG_NS), 0);
		assert_int_equal(shunt_group_destroy(st.rt[0], group[i]), 0);
	}
	drained(4);
}

/* A sleeps on worker 0, waiting for a group; a member comes for worker 0: A's wait runs it. */
static void test_group_own_worker(void **state)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec on = { .flags = SHUNT_JOB_ON_WORKER, .opts = &opts }, member = { 0 };

	(void)state;
	stage_open(1, 2);
	assert_int_equal(shunt_group_create(st.rt[0], &member.group), 0);
	st.a[0].group = member.group;
	stands(&st.a[0], on);
	stands(&st.a[1], member);
	sleeps(&st.a[0]);
	on.group = member.group;
	atomic_store(&st.a[2].gate.open, 1);
	submit(&st.a[2], on);
	ends(&st.a[2], 0);
	assert_int_equal(atomic_load(&st.a[0].rc), 1);
	ends(&st.a[1], 0);
	ends(&st.a[0], 0);
	assert_int_equal(shunt_group_destroy(st.rt[0], member.group), 0);
	drained(3);
}

/* A and B wait for each other: A sleeps, B stands. */
static void pair_open(uint64_t a_ns, uint64_t b_ns)
{
	st.a[0].job = &st.a[1];
	st.a[0].timeout_ns = a_ns;
	st.a[1].job = &st.a[0];
	st.a[1].timeout_ns = b_ns;
	stands(&st.a[0], plain);
	stands(&st.a[1], plain);
	sleeps(&st.a[0]);
}

/* A's wait ends by itself: B, which waits for A, gets what it waits for. */
static void test_ends_by_itself(void **state)
{
	(void)state;
	stage_open(1, 2);
	pair_open(SHORT_NS, SHUNT_FOREVER);
	ends(&st.a[1], 0);
	ends(&st.a[0], SHUNT_ETIMEDOUT);
	drained(2);
}

/*
 * The other way round the limit is the refused one's: its wait could only run into it. Nor is there reason to wait for
 * a limit that ends a moment before.
 */
static void test_limited(void **state)
{
	static const uint64_t first[] = { SHUNT_FOREVER, TU_LONG_NS };

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		stage_open(1, 2);
		pair_open(first[i], TU_LONG_NS);
		ends(&st.a[1], SHUNT_EDEADLK);
		ends(&st.a[0], 0);
		drained(2);
	}
}

/* B is asynchronous, and its handler waits for A: another thread may complete it, and does. */
static void test_async(void **state)
{
	(void)state;
	stage_open(1, 2);
	st.a[1].type = st.async;
	pair_open(SHUNT_FOREVER, SHUNT_FOREVER);
	sleeps(&st.a[1]);
	assert_int_equal(shunt_complete(st.rt[0], st.a[1].id, 0), 0);
	ends(&st.a[0], 0);
	ends(&st.a[1], 0);
	drained(2);
}

/* A is asynchronous: who completes it hands its strand on to C, which B waits for. */
static void test_async_key(void **state)
{
	const struct shunt_job_spec keyed = { .flags = SHUNT_JOB_KEYED, .key = 1 };

	(void)state;
	stage_open(1, 2);
	st.a[0].type = st.async;
	line_open(&keyed, &plain, &keyed);
	sleeps(&st.a[1]);
	assert_int_equal(shunt_complete(st.rt[0], st.a[0].id, 0), 0);
	ends(&st.a[2], 0);
	ends(&st.a[1], 0);
	ends(&st.a[0], 0);
	drained(3);
}

/* Inside a job of the second runtime, which is full and runs it inline in a worker of the first one. */
static int between_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_job_spec s = { .type = st.type[0], .arg = &st.a[1], .flags = SHUNT_JOB_KEYED, .key = 1 };
	int rc;

	(void)ctx;
	(void)arg;
	rc = shunt_submit(st.rt[0], &s, &st.a[1].id);
	if (rc == 0)
		rc = shunt_wait(st.rt[0], st.a[1].id, TU_LONG_NS, NULL);
	return rc;
}

static int outer_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_job_spec s = { .type = *(struct shunt_type_id *)arg, .on_full = SHUNT_ON_FULL_INLINE };
	struct shunt_result r = { 0 };
	struct shunt_job_id id;
	int rc = shunt_submit(st.rt[1], &s, &id);

	(void)ctx;
	if (rc == 0)
		rc = shunt_wait(st.rt[1], id, 0, &r);
	atomic_store(&st.a[0].rc, rc == 0 ? r.code : rc);
	return SHUNT_DONE;
}

static void test_inline_between(void **state)
{
	struct shunt_pool_opts po = tu_pool_opts("small", 1);
	struct shunt_type_id outer, between, gate;
	struct tu_gate g = { 0, 0 };

	(void)state;
	stage_open(2, 1);
	po.queue_max = 1;
	po.spares_max = SHUNT_ANY;
	{
		struct shunt_pool_id small = tu_pool_with(st.rt[1], &po);

		gate = tu_type(st.rt[1], small, "gate", tu_gate_job);
		between = tu_type(st.rt[1], small, "between", between_job);
	}
	outer = tu_type(st.rt[0], st.pool[0], "outer", outer_job);
	(void)shunt_detach(st.rt[1], tu_hold(st.rt[1], gate, &g));
	atomic_store(&st.a[1].gate.open, 1);
	(void)shunt_detach(st.rt[0], tu_submit(st.rt[0], outer, &between));
	ends(&st.a[0], 0);
	ends(&st.a[1], 0);
	atomic_store(&g.open, 1);
	stage_close();
}

/*
 * A worker of a runtime without spares may wait for another runtime's job, unless that waits for a job that the
 * worker's pool, where nobody works now, has queued.
 */
static void foreign_without_spares(bool waits_back)
{
	struct shunt_pool_opts po = tu_pool_opts("none", 1);

	stage_open(2, 1);
	po.spares_max = SHUNT_ANY;
	st.a[0].type = tu_type(st.rt[0], tu_pool_with(st.rt[0], &po), "waits", actor_job);
	st.a[0].job = &st.a[1];
	st.a[1].rt = st.rt[1];
	st.a[1].type = st.type[1];
	stands(&st.a[0], plain);
	stands(&st.a[1], plain);
	atomic_store(&st.a[0].gate.open, 1);
	/* it is about to sleep, and has not been refused */
	tu_wait_until(sh_a64_load_acq(&sh_record_at(st.rt[1], st.a[1].id.v)->state) & SH_RECORD_WAITER);
	if (waits_back) {
		st.a[2].type = st.a[0].type;
		submit(&st.a[2], plain);
		atomic_store(&st.a[2].gate.open, 1);
		st.a[1].job = &st.a[2];
	}
	if (!waits_back) {
		ends(&st.a[1], 0);
		ends(&st.a[0], 0);
	} else { /* the last one to sleep */
		atomic_store(&st.a[1].gate.open, 1);
		tu_wait_until(atomic_load(&st.a[0].rc) != 1 && atomic_load(&st.a[1].rc) != 1);
		assert_int_equal(atomic_load(&st.a[0].rc) + atomic_load(&st.a[1].rc), SHUNT_EDEADLK);
		ends(&st.a[2], 0);
	}
	drained(waits_back ? 3 : 2);
}

static void test_foreign_without_spares(void **state)
{
	(void)state;
	foreign_without_spares(false);
	foreign_without_spares(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rings),
		cmocka_unit_test(test_itself),
		cmocka_unit_test(test_strand),
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_group_behind),
		cmocka_unit_test(test_group_workers),
		cmocka_unit_test(test_group_own_worker),
		cmocka_unit_test(test_ends_by_itself),
		cmocka_unit_test(test_limited),
		cmocka_unit_test(test_async),
		cmocka_unit_test(test_async_key),
		cmocka_unit_test(test_inline_between),
		cmocka_unit_test(test_foreign_without_spares),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
