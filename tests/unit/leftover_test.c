/*
 * What a woken worker leaves is offered to others (sched/propagate.c): a submitter of several jobs wakes
 * two sleepers at most, and each of these wakes the next one while there is more. As many jobs as there are sleepers,
 * none of which ends before all of them run; at each level, the top one too, from a busy worker's ring, its own spawns
 * and the backlog.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "sched/world.h"
#include "sched/world.h"

#define WORKERS 6u
#define JOBS (WORKERS - 1u) /* worker 0 is busy */
#define MEET_S 10           /* the jobs that are there wait so long for the others */

enum source { FROM_RING,
	      FROM_BACKLOG,
	      FROM_SPAWNS };

struct meeting {
	struct shunt_type_id type;
	atomic_uint here;
	atomic_uint missed; /* jobs whose deadline passed before all were there */
	atomic_uint left;
};

struct host {
	struct tu_gate gate;
	struct meeting *meeting;
	uint32_t level;
	atomic_uint go; /* spawn now */
};

static int meet(struct shunt_job_ctx *ctx, void *arg)
{
	struct meeting *m = arg;
	uint64_t end = tu_now_s() + MEET_S;

	(void)ctx;
	(void)atomic_fetch_add(&m->here, 1);
	while (atomic_load(&m->here) < JOBS && tu_now_s() < end)
		(void)sched_yield();
	if (atomic_load(&m->here) < JOBS)
		(void)atomic_fetch_add(&m->missed, 1);
	(void)atomic_fetch_add(&m->left, 1);
	return SHUNT_DONE;
}

static size_t submit_all(struct shunt_runtime *rt, struct meeting *m, uint32_t level)
{
	struct shunt_job_spec s[JOBS];
	uint32_t i;

	for (i = 0; i < JOBS; i++) {
		s[i] = tu_spec(m->type, m);
		s[i].level = SHUNT_LEVEL(level);
	}
	return shunt_submit_batch(rt, s, JOBS, NULL, NULL);
}

/* Worker 0 stands here; it spawns the jobs itself where they are to be its own spawns. */
static int stand(struct shunt_job_ctx *ctx, void *arg)
{
	struct host *h = arg;

	(void)atomic_fetch_add(&h->gate.arrived, 1);
	if (!tu_until(atomic_load(&h->go) || atomic_load(&h->gate.open)))
		return -100;
	if (atomic_load(&h->go) && submit_all(shunt_job_runtime(ctx), h->meeting, h->level) != JOBS)
		return -101;
	return tu_until(atomic_load(&h->gate.open)) ? SHUNT_DONE : -102;
}

static bool others_sleep(const struct sh_pool *p)
{
	uint32_t i;

	for (i = 1; i < WORKERS; i++)
		if (sh_a32_load_acq(&p->worker[i]->state) != SH_W_PARKED || !(sh_a64_load_acq(&p->idle[0]) >> i & 1u))
			return false;
	return true;
}

static void meet_at(struct shunt_runtime *rt, struct sh_pool *p, const struct shunt_type_id *types, enum source source,
		    uint32_t level)
{
	const struct shunt_job_opts on_0 = SHUNT_JOB_OPTS_INIT;
	static struct meeting m;
	static struct host h;
	struct shunt_job_spec s = tu_spec(types[0], &h);
	struct shunt_result r = { 0 };
	struct shunt_job_id id;

	memset(&m, 0, sizeof(m));
	memset(&h, 0, sizeof(h));
	m.type = types[1];
	h.meeting = &m;
	h.level = level;
	s.flags = SHUNT_JOB_ON_WORKER;
	s.opts = &on_0;
	assert_int_equal(shunt_submit(rt, &s, &id), 0);
	tu_wait_until(atomic_load(&h.gate.arrived) == 1);
	tu_wait_until(others_sleep(p));
	if (source == FROM_SPAWNS)
		atomic_store(&h.go, 1);
	else
		assert_int_equal(submit_all(rt, &m, level), JOBS);
	(void)tu_until(atomic_load(&m.left) == JOBS);
	if (atomic_load(&m.missed) != 0)
		print_message("level %u, source %d: not all %u ran at the same time\n", level, (int)source, JOBS);
	atomic_store(&h.gate.open, 1);
	assert_int_equal(atomic_load(&m.missed), 0);
	assert_int_equal(shunt_wait(rt, id, TU_LONG_NS, &r), 0);
	assert_int_equal(r.code, 0);
}

static void check_levels(uint32_t levels, enum source source)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h",
					     "i", "j", "k", "l", "m", "n", "o", "p" };
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", WORKERS);
	struct shunt_type_id types[2];
	struct shunt_pool_id pool;
	struct shunt_runtime *rt;
	uint32_t round, l;

	ro.levels = levels;
	ro.level_names = names;
	po.idle = SHUNT_IDLE_PARK;
	po.strategy = SHUNT_SELECT_USER;
	po.select = tu_select_first;
	po.ring_capacity = source == FROM_BACKLOG ? 2 : 64; /* two in the ring, the others behind */
	rt = tu_runtime_with(&ro);
	pool = tu_pool_with(rt, &po);
	types[0] = tu_type(rt, pool, "stand", stand);
	types[1] = tu_type(rt, pool, "meet", meet);
	for (round = 0; round < TU_TSAN_SCALE(5u, 2u); round++)
		for (l = 0; l < levels; l++)
			meet_at(rt, sh_runtime_pool(rt, pool.v), types, source, l);
	tu_close(rt);
}

static void check_source(enum source source)
{
	check_levels(1, source);
	check_levels(2, source);
	check_levels(SHUNT_LEVELS_MAX, source);
}

static void test_ring(void **state)
{
	(void)state;
	check_source(FROM_RING);
}

static void test_backlog(void **state)
{
	(void)state;
	check_source(FROM_BACKLOG);
}

static void test_spawns(void **state)
{
	(void)state;
	check_source(FROM_SPAWNS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_spawns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
