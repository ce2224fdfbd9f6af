/*
 * A job that is refused takes nothing: not its place under queue_max, its credit, its record, its place in the group.
 * These are taken one after the other; here each later step refuses, for every answer to "full", with a handle and
 * without, alone and in a batch, from a thread with a submitter of its own and from one that found none. Then all is
 * counted. part_test.c refuses at each part of a job.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "credit_util.h"
#include "lockfree/slab.h"
#include "sched/world.h"

#define JOBS_MAX 256u
#define PINNED_MAX 64u
#define RECORDS_MAX 8u
#define QUEUE_MAX (PINNED_MAX + 4u)

struct holdings {
	uint64_t in_pool, submitted, finished, pending, credits;
	uint32_t records, capacity_waiters;
};

struct stage {
	struct tu_fixture f;
	struct tu_gate gate, claimed;
	pthread_t claimer;
	bool shared;
	struct shunt_group_id dead, alive;
	atomic_uint ran;
	uint64_t credits; /* that the test took away */
	uint32_t records[RECORDS_MAX], records_n;
	uint64_t placed; /* likewise places of queue_max */
};

static struct stage st;

static uint32_t take_all(struct sh_slab *s, uint32_t *items, uint32_t max)
{
	uint32_t n = 0;
	uint32_t i;

	while ((i = sh_slab_alloc(s, NULL, 0)) != 0) {
		assert_true(n < max);
		items[n++] = i;
	}
	return n;
}

static void give_all(struct sh_slab *s, const uint32_t *items, uint32_t n)
{
	while (n > 0)
		sh_slab_free(s, NULL, items[--n]);
}

static uint32_t free_of(struct sh_slab *s)
{
	uint32_t items[RECORDS_MAX];
	uint32_t n = take_all(s, items, RECORDS_MAX);

	give_all(s, items, n);
	return n;
}

static struct sh_pool *pool(void)
{
	return sh_runtime_pool(st.f.rt, st.f.pool.v);
}

static struct holdings count(void)
{
	struct holdings h;
	struct shunt_snapshot *s = NULL;

	memset(&h, 0, sizeof(h));
	assert_int_equal(shunt_snapshot_create(st.f.rt, &s), 0);
	assert_int_equal(shunt_snapshot_pool_count(s), 1);
	h.in_pool = sh_a64_load_acq(&pool()->in_pool);
	h.submitted = shunt_snapshot_pool_at(s, 0)->submitted;
	h.finished = shunt_snapshot_pool_at(s, 0)->finished;
	h.pending = (uint64_t)shunt_group_pending(st.f.rt, st.alive);
	h.credits = cu_credits(st.f.rt);
	h.records = free_of(&st.f.rt->records);
	h.capacity_waiters = sh_a32_load_acq(&pool()->capacity_waiters);
	shunt_snapshot_destroy(s);
	return h;
}

/* All credits are in the counter: so small a runtime has no caches. */
static void no_credits(void)
{
	st.credits = sh_a64_xchg_acq_rel(&st.f.rt->credits, 0);
}

static void no_records(void)
{
	st.records_n = take_all(&st.f.rt->records, st.records, RECORDS_MAX);
}

static void no_places(void)
{
	st.placed = QUEUE_MAX - sh_a64_load_acq(&pool()->in_pool);
	(void)sh_a64_add_acq_rel(&pool()->in_pool, st.placed);
}

static void give_back(void)
{
	(void)sh_a64_add_acq_rel(&st.f.rt->credits, st.credits);
	give_all(&st.f.rt->records, st.records, st.records_n);
	(void)sh_a64_sub_acq_rel(&pool()->in_pool, st.placed);
	st.records_n = 0;
	st.credits = st.placed = 0;
}

/* What refuses. */
enum by {
	BY_PLACE = 1,
	BY_CREDIT = 2,
	BY_RECORD = 4,
	BY_GROUP = 8, /* destroyed */
	BY_NODE = 16, /* no worker is on it */
	BY_RING = 32, /* the pinned one of the worker is full */
	BY_TYPE = 64, /* no such one */
	BY_SPEC = 128
};

static struct shunt_job_opts opts; /* of the next job; the submit reads them */

static struct shunt_job_spec spec_for(uint32_t by, enum shunt_on_full full)
{
	struct shunt_job_spec s = tu_spec(st.f.count, &st.ran);

	s.on_full = (uint8_t)full;
	s.group = by & BY_GROUP ? st.dead : st.alive;
	if (by & BY_NODE)
		s.flags = SHUNT_JOB_ON_NODE;
	if (by & BY_RING)
		s.flags = SHUNT_JOB_ON_WORKER;
	if (by & BY_TYPE)
		s.type.v += 1u << SH_ID_BITS;
	if (by & BY_SPEC)
		s.level = SHUNT_LEVELS_MAX + 1;
	/* A short limit; worker 0, or a node that no machine here has. */
	opts = (struct shunt_job_opts)SHUNT_JOB_OPTS_INIT;
	opts.full_timeout_ns = full == SHUNT_ON_FULL_BLOCK ? 1000 : 0;
	opts.node = s.flags & SHUNT_JOB_ON_NODE ? 1000 : 0;
	s.opts = full == SHUNT_ON_FULL_BLOCK || s.flags ? &opts : NULL; /* others may be plain */
	return s;
}

static int submit(const struct shunt_job_spec *s, bool handle, bool batch)
{
	struct shunt_job_id id = { 99 };
	int rc = 0;

	if (!batch)
		rc = shunt_submit(st.f.rt, s, handle ? &id : NULL);
	else
		(void)shunt_submit_batch(st.f.rt, s, 1, handle ? &id : NULL, &rc);
	if (handle && rc != 0)
		assert_int_equal(id.v, 0);
	if (handle && rc == 0)
		assert_int_equal(shunt_wait(st.f.rt, id, TU_LONG_NS, NULL), 0);
	return rc;
}

/* Inline needs neither place nor credit, but a record: the jobs here have a group. */
static bool is_inline(uint32_t by, enum shunt_on_full full)
{
	return full == SHUNT_ON_FULL_INLINE && (by & ~(uint32_t)(BY_PLACE | BY_CREDIT)) == 0;
}

static void check_one(uint32_t by, enum shunt_on_full full, bool handle, bool batch)
{
	struct shunt_job_spec s = spec_for(by, full);
	struct holdings before, after;
	unsigned ran = atomic_load(&st.ran);
	int rc;

	before = count();
	if (by & BY_PLACE)
		no_places();
	if (by & BY_CREDIT)
		no_credits();
	if (by & BY_RECORD)
		no_records();
	rc = submit(&s, handle, batch);
	give_back();
	after = count();
	if (is_inline(by, full)) {
		assert_int_equal(rc, 0);
		assert_int_equal(atomic_load(&st.ran), ran + 1);
		before.submitted++;
		before.finished++;
	} else {
		if (rc == 0)
			print_message("not refused by %#x: full %d, handle %d\n", by, (int)full, handle);
		assert_true(rc != 0);
		assert_int_equal(atomic_load(&st.ran), ran);
	}
	if (memcmp(&before, &after, sizeof(before)) != 0)
		print_message("refused by %#x, full %d, handle %d, batch %d: %d\n", by, (int)full, handle, batch, rc);
	assert_int_equal(after.in_pool, before.in_pool);
	assert_int_equal(after.credits, before.credits);
	assert_int_equal(after.records, before.records);
	assert_int_equal(after.pending, before.pending);
	assert_int_equal(after.submitted, before.submitted);
	assert_int_equal(after.finished, before.finished);
	assert_int_equal(after.capacity_waiters, before.capacity_waiters);
}

static void check_all(void)
{
	static const uint32_t refusals[] = {
		BY_PLACE,
		BY_CREDIT,
		BY_RECORD,
		BY_GROUP,
		BY_NODE,
		BY_RING,
		BY_TYPE,
		BY_SPEC,
		BY_PLACE | BY_GROUP,
		BY_CREDIT | BY_GROUP,
		BY_RECORD | BY_GROUP,
		BY_CREDIT | BY_RECORD,
		BY_PLACE | BY_RECORD,
		BY_GROUP | BY_NODE,
		BY_GROUP | BY_RING,
	};
	uint32_t i, full;

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		for (full = SHUNT_ON_FULL_ERROR; full <= SHUNT_ON_FULL_INLINE; full++) {
			check_one(refusals[i], (enum shunt_on_full)full, false, false);
			check_one(refusals[i], (enum shunt_on_full)full, false, true);
			check_one(refusals[i], (enum shunt_on_full)full, true, false);
			check_one(refusals[i], (enum shunt_on_full)full, true, true);
		}
}

/* Has the runtime's only submitter: this test's thread goes the way that such threads share. */
static void *claim(void *arg)
{
	struct shunt_job_spec s = tu_spec(st.f.count, &st.ran);

	(void)arg;
	s.type.v += 1u << SH_ID_BITS; /* refused; the claim stays */
	(void)shunt_submit(st.f.rt, &s, NULL);
	tu_gate_pass(&st.claimed);
	return NULL;
}

static void stage_open(bool shared)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct shunt_job_spec s;
	uint32_t i;

	memset(&st, 0, sizeof(st));
	ro.jobs_max = JOBS_MAX;
	ro.handles_max = RECORDS_MAX;
	ro.submitters_max = shared ? 1 : 16;
	po.queue_max = QUEUE_MAX;
	po.pinned_capacity = PINNED_MAX;
	tu_fixture_open(&st.f, &ro, &po);
	assert_int_equal(st.f.rt->credit_cache, 0);
	st.shared = shared;
	if (shared) {
		assert_int_equal(pthread_create(&st.claimer, NULL, claim, NULL), 0);
		tu_wait_until(atomic_load(&st.claimed.arrived) == 1);
	}
	assert_int_equal(shunt_group_create(st.f.rt, &st.dead), 0);
	assert_int_equal(shunt_group_destroy(st.f.rt, st.dead), 0);
	assert_int_equal(shunt_group_create(st.f.rt, &st.alive), 0);
	s = tu_spec(st.f.gate, &st.gate);
	assert_int_equal(shunt_submit(st.f.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&st.gate.arrived) == 1);
	s = tu_spec(st.f.count, &st.ran);
	s.flags = SHUNT_JOB_ON_WORKER;
	opts = (struct shunt_job_opts)SHUNT_JOB_OPTS_INIT;
	s.opts = &opts;
	for (i = 0; i < PINNED_MAX; i++)
		assert_int_equal(shunt_submit(st.f.rt, &s, NULL), 0);
}

static void stage_close(void)
{
	atomic_store(&st.claimed.open, 1);
	if (st.shared)
		(void)pthread_join(st.claimer, NULL);
	atomic_store(&st.gate.open, 1);
	assert_int_equal(shunt_runtime_drain(st.f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(sh_a64_load_acq(&pool()->in_pool), 0);
	assert_int_equal(cu_credits(st.f.rt), JOBS_MAX);
	assert_int_equal(free_of(&st.f.rt->records), RECORDS_MAX);
	tu_destroy(st.f.rt, 0);
}

static void test_own_submitter(void **state)
{
	(void)state;
	stage_open(false);
	check_all();
	stage_close();
}

static void test_shared_way(void **state)
{
	(void)state;
	stage_open(true);
	check_all();
	stage_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_submitter),
		cmocka_unit_test(test_shared_way),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
