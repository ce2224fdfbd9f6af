/*
 * Memory of a burst: the jobs that do not fit into the rings wait in segments, and the workers give the segments' pages
 * back to the system as they take the jobs, without a drain. A few stay for the next burst, which loses no job over
 * that; and a refusal of the system only means that less is given back.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "base/inject.h"
#include "sched/world.h"

#define SEGMENT_BYTES (SH_SEG_ITEMS * sizeof(sh_a128))
#define BURST 60000u
#define RING 1024u
#define LEVELS 3u

struct stage {
	struct tu_fixture f;
	struct sh_pool *pool;
	uint32_t workers;
};

static void stage_open(struct stage *st, uint32_t workers)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("pool", workers);

	ro.jobs_max = 200000;
	ro.levels = LEVELS;
	po.ring_capacity = RING;
	tu_fixture_open(&st->f, &ro, &po);
	st->pool = sh_runtime_pool(st->f.rt, st->f.pool.v);
	st->workers = workers;
}

/* Resident bytes of the pool's segments. */
static size_t resident(const struct stage *st)
{
	return tu_resident(st->pool->segments.items, (st->pool->segments.count + 1u) * SEGMENT_BYTES);
}

/* Holds the workers, queues so many jobs, lets them go, and waits for the last handler. Returns what was resident. */
static size_t burst(struct stage *st, uint32_t jobs)
{
	struct shunt_job_spec spec = tu_spec(st->f.count, NULL);
	struct tu_gate g = { 0, 0 };
	atomic_uint ran = 0;
	struct shunt_job_id held[2];
	uint32_t i;
	size_t full;

	spec.arg = &ran;
	for (i = 0; i < st->workers; i++)
		held[i] = tu_hold(st->f.rt, st->f.gate, &g);
	for (i = 0; i < jobs; i++) {
		spec.level = SHUNT_LEVEL(i / 1000 % LEVELS);
		assert_int_equal(shunt_submit(st->f.rt, &spec, NULL), SHUNT_OK);
	}
	full = resident(st);
	atomic_store(&g.open, 1);
	for (i = 0; i < st->workers; i++)
		tu_join(st->f.rt, held[i], SHUNT_JOB_DONE);
	tu_wait_until(atomic_load(&ran) == jobs);
	return full;
}

/* Most that may stay: the free segments that are kept, and one each level and worker that is in use. */
static size_t kept_max(const struct stage *st)
{
	return (SH_SEG_KEEP + 2u * LEVELS + st->workers) * SEGMENT_BYTES;
}

static void check_bursts(uint32_t workers)
{
	static const uint32_t sizes[] = { BURST, 3 * BURST, 100, 2 * BURST };
	struct stage st;
	uint32_t i;

	stage_open(&st, workers);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t waits = sizes[i] > workers * LEVELS * RING ? sizes[i] - workers * LEVELS * RING : 0;
		size_t full = burst(&st, sizes[i]);

		assert_true(full >= waits * sizeof(sh_a128));
		assert_true(waits == 0 || full > kept_max(&st));
		/* the job that was the last to end is not always the last of its segment: its worker may be about to */
		tu_wait_until(resident(&st) <= kept_max(&st));
	}
	assert_true(sh_a32_load_rlx(&st.pool->segments.fresh) > SH_SEG_KEEP);
	tu_close(st.f.rt);
}

static void test_given_back(void **state)
{
	(void)state;
	check_bursts(1);
	check_bursts(2);
}

/* What is below the limit stays: a small burst does not call the kernel. */
static int count_drops(void *arg, const char *point)
{
	if (strcmp(point, "mem.drop") == 0)
		(void)atomic_fetch_add((atomic_uint *)arg, 1);
	return 0;
}

static void test_small_stays(void **state)
{
	const uint32_t jobs = SH_SEG_KEEP / 2 * SH_SEG_ITEMS;
	atomic_uint drops = 0;
	struct stage st;
	size_t full;
	uint32_t i;

	(void)state;
	stage_open(&st, 1);
	sh_inject_set(count_drops, &drops);
	full = burst(&st, jobs);
	for (i = 0; i < 10; i++)
		assert_true(burst(&st, jobs) <= full + LEVELS * SEGMENT_BYTES); /* the same memory again */
	assert_int_equal(atomic_load(&drops), 0);
	assert_true(resident(&st) + LEVELS * SEGMENT_BYTES >= full);
	(void)burst(&st, 3 * BURST);
	tu_wait_until(atomic_load(&drops) > 0);
	tu_close(st.f.rt);
	sh_inject_set(NULL, NULL);
}

static int refuse_drop(void *arg, const char *point)
{
	(void)arg;
	return strcmp(point, "mem.drop") == 0;
}

static void test_refused(void **state)
{
	struct stage st;
	size_t full;

	(void)state;
	stage_open(&st, 2);
	sh_inject_set(refuse_drop, NULL);
	full = burst(&st, 2 * BURST);
	(void)burst(&st, 2 * BURST);
	assert_true(resident(&st) >= full);
	tu_close(st.f.rt);
	sh_inject_set(NULL, NULL);
}

/* ---- records: jobs with handles, and groups ---- */

#define TRACKED 150000u

static void handles_burst(struct stage *st, struct shunt_job_id *ids)
{
	struct shunt_job_spec s = tu_spec(st->f.count, NULL);
	struct tu_gate g = { 0, 0 };
	atomic_uint ran = 0;
	struct shunt_job_id held = tu_hold(st->f.rt, st->f.gate, &g);
	uint32_t i;

	s.arg = &ran;
	for (i = 0; i < TRACKED; i++)
		assert_int_equal(shunt_submit(st->f.rt, &s, &ids[i]), 0);
	atomic_store(&g.open, 1);
	tu_join(st->f.rt, held, SHUNT_JOB_DONE);
	for (i = 0; i < TRACKED; i++)
		tu_join(st->f.rt, ids[i], SHUNT_JOB_DONE);
	assert_int_equal(atomic_load(&ran), TRACKED);
}

/*
 * A burst of jobs with handles, all given back: a trim returns their records while the runtime goes on. Old handles
 * stay stale, also when the records serve again; a job that runs meanwhile keeps its own.
 */
static void test_trim(void **state)
{
	struct shunt_job_id *old = calloc(TRACKED, sizeof(*old)), *again = calloc(TRACKED, sizeof(*again));
	/* and what threads have in their caches */
	const size_t keep = (SH_SLAB_TRIM_KEEP + 2048u) * sizeof(struct sh_record);
	struct tu_gate g = { 0, 0 };
	struct shunt_group_id group[4096], late;
	struct shunt_job_id running;
	struct stage st;
	uint64_t bytes = 0;
	uint32_t i, round;
	size_t full;

	(void)state;
	assert_true(old && again);
	stage_open(&st, 1);
	for (i = 0; i < 4096; i++)
		assert_int_equal(shunt_group_create(st.f.rt, &group[i]), 0);
	for (i = 0; i < 4096; i++)
		assert_int_equal(shunt_group_destroy(st.f.rt, group[i]), 0);
	handles_burst(&st, old);
	for (round = 0; round < 3; round++) {
		running = tu_hold(st.f.rt, st.f.gate, &g);
		full = tu_resident(st.f.rt->records.base, st.f.rt->records.bytes);
		assert_true(full >= TRACKED * sizeof(struct sh_record));
		assert_int_equal(shunt_trim(st.f.rt, &bytes), 0);
		assert_true(tu_resident(st.f.rt->records.base, st.f.rt->records.bytes) <= keep);
		assert_true(bytes >= full - keep);
		for (i = 0; i < TRACKED; i++)
			assert_int_equal(shunt_poll(st.f.rt, old[i], NULL), SHUNT_ESTALE);
		atomic_store(&g.open, 1);
		tu_join(st.f.rt, running, SHUNT_JOB_DONE);
		atomic_store(&g.open, 0);
		handles_burst(&st, again);
		for (i = 0; i < TRACKED; i++)
			assert_int_equal(shunt_cancel(st.f.rt, old[i]), SHUNT_ESTALE);
		memcpy(old, again, TRACKED * sizeof(*old));
	}
	for (i = 0; i < 4096; i++)
		assert_true(shunt_group_pending(st.f.rt, group[i]) == SHUNT_ESTALE);
	assert_int_equal(shunt_group_create(st.f.rt, &late), 0);
	assert_int_equal(shunt_group_wait(st.f.rt, late, 0), 0);
	assert_int_equal(shunt_group_destroy(st.f.rt, late), 0);
	assert_int_equal(shunt_trim(NULL, NULL), SHUNT_EINVAL);
	tu_close(st.f.rt);
	free(old);
	free(again);
}

static size_t records(const struct stage *st)
{
	return tu_resident(st->f.rt->records.base, st->f.rt->records.bytes);
}

/*
 * Without a call: the records of a burst go back when they have not moved for trim_after, from workers that sleep and
 * from ones that poll; handles that are kept meanwhile keep theirs, and go back later.
 */
static void by_itself(enum shunt_idle idle, uint64_t trim_after_ns)
{
	struct shunt_job_id *ids = calloc(TRACKED, sizeof(*ids));
	const size_t keep = (SH_SLAB_TRIM_KEEP + 2048u) * sizeof(struct sh_record);
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("pool", 2);
	struct stage st = { .workers = 2 };
	atomic_uint ran = 0;
	uint64_t bytes = 0;
	uint32_t i;

	assert_non_null(ids);
	ro.jobs_max = 200000;
	ro.levels = LEVELS;
	ro.trim_after_ns = trim_after_ns;
	po.idle = idle;
	tu_fixture_open(&st.f, &ro, &po);
	for (uint32_t round = 0; round < 2; round++) {
		handles_burst(&st, ids);
		if (trim_after_ns == SHUNT_FOREVER) {
			assert_int_equal(st.f.rt->trim_worth, 0); /* nobody ever looks */
			assert_true(records(&st) >= TRACKED * sizeof(struct sh_record));
		} else {
			tu_wait_until(records(&st) <= keep);
		}
	}
	for (i = 0; i < TRACKED; i++)
		ids[i] = tu_submit(st.f.rt, st.f.count, &ran);
	for (i = 1; i < TRACKED; i++)
		tu_join(st.f.rt, ids[i], SHUNT_JOB_DONE);
	if (trim_after_ns == SHUNT_FOREVER)
		assert_int_equal(shunt_trim(st.f.rt, &bytes), 0);
	else
		tu_wait_until(records(&st) <= keep);
	tu_join(st.f.rt, ids[0], SHUNT_JOB_DONE);
	tu_close(st.f.rt);
	free(ids);
}

static void test_by_itself(void **state)
{
	(void)state;
	by_itself(SHUNT_IDLE_PARK, 2000000);
	by_itself(SHUNT_IDLE_ADAPTIVE, 20000000);
	by_itself(SHUNT_IDLE_POLL, 20000000);
	by_itself(SHUNT_IDLE_ADAPTIVE, SHUNT_FOREVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given_back),
		cmocka_unit_test(test_small_stays),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_by_itself),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
