/*
 * Pin plans: the seats of every policy on recorded machines, counts against budget and place, steal order by
 * distance, notes, refusals and failing allocation. Seats and orders are written out by hand.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/inject.h"
#include "machine/plan.h"

static int try_plan(const struct shunt_topo *t, const char *place, enum shunt_pin_policy policy, uint32_t workers,
		    struct shunt_plan **out)
{
	struct shunt_plan_opts o = SHUNT_PLAN_OPTS_INIT;

	o.place = place;
	o.policy = policy;
	o.workers = workers;
	*out = (struct shunt_plan *)&o; /* must be overwritten, also on failure */
	return shunt_plan_create(t, &o, out);
}

static struct shunt_plan *plan(const struct shunt_topo *t, const char *place, enum shunt_pin_policy policy,
			       uint32_t workers)
{
	struct shunt_plan *p = NULL;
	int rc = try_plan(t, place, policy, workers, &p);

	if (rc != SHUNT_OK)
		print_message("%s\n", shunt_error_detail());
	assert_int_equal(rc, SHUNT_OK);
	assert_string_equal(shunt_error_detail(), "");
	return p;
}

/* The cpus of a plan, in the order of the workers, as "0 1 2"; the plan is destroyed. */
static void seats(const struct shunt_topo *t, const char *place, enum shunt_pin_policy policy, uint32_t workers,
		  const char *want)
{
	struct shunt_plan *p = plan(t, place, policy, workers);
	uint32_t n = shunt_plan_worker_count(p);
	char got[1024] = "";

	for (uint32_t i = 0; i < n; i++) {
		size_t at = strlen(got);

		assert_int_equal(shunt_plan_worker_at(p, i)->worker, i);
		(void)snprintf(got + at, sizeof(got) - at, "%s%d", i ? " " : "", shunt_plan_worker_at(p, i)->os_cpu);
	}
	assert_string_equal(got, want);
	shunt_plan_destroy(p);
}

static void steals(const struct shunt_plan *p, uint32_t worker, const char *want)
{
	uint32_t n = 0;
	const uint32_t *order = shunt_plan_steal_order(p, worker, &n);
	char got[1024] = "";

	for (uint32_t i = 0; i < n; i++) {
		size_t at = strlen(got);

		(void)snprintf(got + at, sizeof(got) - at, "%s%u", i ? " " : "", order[i]);
	}
	assert_string_equal(got, want);
}

static void policies(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("two-packages-smt"), 0);

	(void)state;
	seats(t, NULL, SHUNT_PIN_DEFAULT, 5, "0 32 1 33 2");
	seats(t, NULL, SHUNT_PIN_COMPACT, 5, "0 32 1 33 2");
	seats(t, NULL, SHUNT_PIN_SCATTER, 5, "0 16 1 17 2");
	seats(t, "core:0-1,core:16-17", SHUNT_PIN_SCATTER, 8, "0 16 1 17 32 48 33 49");
	seats(t, NULL, SHUNT_PIN_ONE_PER_CORE, 4, "0 1 2 3");
	seats(t, "core:0-2", SHUNT_PIN_ONE_PER_CORE, 0, "0 1 2");
	seats(t, "core:0-2", SHUNT_PIN_AVOID_CPU0, 0, "1 33 2 34 32");
	seats(t, "numa:1", SHUNT_PIN_AVOID_CPU0, 3, "16 48 17");
	shunt_topo_close(t);
}

static void explicit_order(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("two-packages-smt"), 0);
	struct shunt_plan *p;

	(void)state;
	seats(t, "cpus:40,3,0", SHUNT_PIN_EXPLICIT, 0, "40 3 0");
	seats(t, "cpus:40,3,0", SHUNT_PIN_EXPLICIT, 2, "40 3");
	seats(t, "cpus:40,3,0", SHUNT_PIN_COMPACT, 0, "0 3 40"); /* cpu 40 is the second thread of core 8 */
	assert_int_equal(try_plan(t, "cpus:40,3,0", SHUNT_PIN_EXPLICIT, 4, &p), SHUNT_EPLACE);
	assert_string_equal(shunt_error_detail(), "4 workers, but policy explicit has 3 cpus here");
	assert_null(p);
	assert_int_equal(try_plan(t, "core:1", SHUNT_PIN_ONE_PER_CORE, 2, &p), SHUNT_EPLACE);
	assert_string_equal(shunt_error_detail(), "2 workers, but policy one-per-core has 1 core here");
	shunt_topo_close(t);
}

static void scatter_over_caches(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("eight-l3"), 0);

	(void)state;
	seats(t, NULL, SHUNT_PIN_SCATTER, 10, "0 32 8 40 16 48 24 56 2 34");
	seats(t, "l3:0-1", SHUNT_PIN_SCATTER, 4, "0 8 2 10");
	shunt_topo_close(t);
}

static void counts(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("two-packages-smt"), 3);
	struct shunt_plan *p;
	uint32_t n;

	(void)state;
	seats(t, NULL, SHUNT_PIN_COMPACT, 0, "0 32 1"); /* budget 3 */
	seats(t, "0-1", SHUNT_PIN_COMPACT, 0, "0 1");   /* place of 2 */
	seats(t, NULL, SHUNT_PIN_ONE_PER_CORE, 0, "0 1 2");
	shunt_topo_close(t);
	t = tu_topo_xml(TU_XML("one-cpu"), 0);
	seats(t, NULL, SHUNT_PIN_COMPACT, 0, "0");
	seats(t, NULL, SHUNT_PIN_SCATTER, 0, "0");
	p = plan(t, NULL, SHUNT_PIN_AVOID_CPU0, 0);
	assert_int_equal(shunt_plan_worker_at(p, 0)->os_cpu, 0);
	assert_string_equal(shunt_plan_note(p), "cpu 0 could not be avoided: it is the only cpu");
	assert_null(shunt_plan_steal_order(p, 0, &n));
	assert_int_equal(n, 0);
	shunt_plan_destroy(p);
	p = plan(t, NULL, SHUNT_PIN_COMPACT, 3);
	assert_string_equal(shunt_plan_note(p), "3 workers share 1 cpu");
	steals(p, 1, "2 0");
	shunt_plan_destroy(p);
	shunt_topo_close(t);
}

static void not_pinned(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("two-packages-smt"), 0);
	struct shunt_plan *p = plan(t, "numa:1.core:0", SHUNT_PIN_NONE, 0);
	const struct shunt_plan_worker *w;
	uint32_t n = shunt_plan_worker_count(p);

	(void)state;
	assert_int_equal(n, 2);
	w = shunt_plan_worker_at(p, 1);
	assert_int_equal(w->os_cpu, -1);
	assert_true(w->node == SHUNT_TOPO_NONE && w->l3 == SHUNT_TOPO_NONE && w->core == SHUNT_TOPO_NONE);
	assert_null(shunt_plan_worker_at(p, 2));
	shunt_plan_destroy(p);
	p = plan(t, NULL, SHUNT_PIN_NONE, 4);
	steals(p, 2, "3 0 1"); /* nothing is known: ring order, so that thieves spread */
	shunt_plan_destroy(p);
	shunt_topo_close(t);
}

static void holes(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("cpuset-hole"), 0); /* forbidden: 2-3, 5, 10-11 */
	struct shunt_plan *p;

	(void)state;
	seats(t, NULL, SHUNT_PIN_COMPACT, 0, "0 8 1 9 4 12 13 6 14 7 15");
	seats(t, NULL, SHUNT_PIN_ONE_PER_CORE, 0, "0 1 4 13 6 7");
	seats(t, NULL, SHUNT_PIN_SCATTER, 4, "0 4 1 13");
	assert_int_equal(try_plan(t, "0-3", SHUNT_PIN_COMPACT, 0, &p), SHUNT_EPLACE);
	assert_string_equal(shunt_error_detail(), "'0-3': cpu 2 is not allowed; allowed cpus: 0-1,4,6-9,12-15");
	assert_null(p);
	shunt_topo_close(t);
}

/* The cpus behind one that is offline keep their numbers. */
static void offline(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("offline-cpu"), 0);
	struct shunt_plan *p;
	char place[8];

	(void)state;
	seats(t, NULL, SHUNT_PIN_COMPACT, 0, "0 1 2 4 5 6 7");
	seats(t, NULL, SHUNT_PIN_ONE_PER_CORE, 0, "0 1 2 4 5 6 7");
	seats(t, NULL, SHUNT_PIN_SCATTER, 0, "0 4 1 5 2 6 7");
	seats(t, "numa:1", SHUNT_PIN_COMPACT, 0, "4 5 6 7");
	seats(t, "2,4-5", SHUNT_PIN_COMPACT, 0, "2 4 5");
	seats(t, "all,!4", SHUNT_PIN_COMPACT, 0, "0 1 2 5 6 7");
	for (int cpu = 0; cpu < 8; cpu++) {
		(void)snprintf(place, sizeof(place), "%d", cpu);
		if (cpu != 3)
			seats(t, place, SHUNT_PIN_EXPLICIT, 0, place);
	}
	assert_int_equal(try_plan(t, "3", SHUNT_PIN_COMPACT, 0, &p), SHUNT_EPLACE);
	assert_string_equal(shunt_error_detail(), "'3': cpu 3 is offline; allowed cpus: 0-2,4-7");
	assert_int_equal(try_plan(t, "2-4", SHUNT_PIN_EXPLICIT, 0, &p), SHUNT_EPLACE);
	assert_string_equal(shunt_error_detail(), "'2-4': cpu 3 is offline; allowed cpus: 0-2,4-7");
	shunt_topo_close(t);
}

static void where_workers_sit(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("eight-l3"), 0);
	struct shunt_plan *p = plan(t, "package:1.l3:2.core:1", SHUNT_PIN_COMPACT, 0);
	uint32_t n = shunt_plan_worker_count(p);

	(void)state;
	assert_int_equal(n, 2);
	assert_int_equal(shunt_plan_worker_at(p, 1)->os_cpu, 51);
	assert_int_equal(shunt_plan_worker_at(p, 1)->package, 1);
	assert_int_equal(shunt_plan_worker_at(p, 1)->node, 1);
	assert_int_equal(shunt_plan_worker_at(p, 1)->l3, 6);
	assert_int_equal(shunt_plan_worker_at(p, 1)->core, 25);
	shunt_plan_destroy(p);
	shunt_topo_close(t);
}

static void steal_near_first(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("eight-l3"), 0);
	struct shunt_plan *p;
	uint32_t n = 1;

	(void)state;
	/* workers: 0 far package; 1 same core as 4; 2 same L3; 3 other L3, same node; 4 */
	p = plan(t, "cpus:40,0,2,8,1", SHUNT_PIN_EXPLICIT, 0);
	steals(p, 1, "4 2 3 0");
	steals(p, 4, "1 2 3 0");
	steals(p, 3, "4 1 2 0"); /* equals in ring order from worker 3 on */
	steals(p, 0, "1 2 3 4");
	assert_null(shunt_plan_steal_order(p, 5, &n));
	assert_int_equal(n, 0);
	shunt_plan_destroy(p);
	p = plan(t, "0", SHUNT_PIN_COMPACT, 3); /* all on one cpu */
	steals(p, 0, "1 2");
	shunt_plan_destroy(p);
	shunt_topo_close(t);
}

static void steal_by_node_distance(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("four-nodes-memory-only"), 0);
	struct shunt_plan *p = plan(t, "cpus:8,4,0,9", SHUNT_PIN_EXPLICIT, 0);

	(void)state;
	steals(p, 2, "1 3 0"); /* node 0: node 1 at 21, then node 2 at 31 */
	steals(p, 0, "3 1 2"); /* node 2: itself, node 1 at 20, node 0 at 31 */
	shunt_plan_destroy(p);
	shunt_topo_close(t);
}

static void every_worker_once(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("two-packages-smt"), 0);

	(void)state;
	for (int policy = SHUNT_PIN_DEFAULT; policy <= SHUNT_PIN_NONE; policy++) {
		struct shunt_plan *p = plan(t, NULL, (enum shunt_pin_policy)policy, 0);
		uint32_t n = 0, m = 0;

		n = shunt_plan_worker_count(p);
		for (uint32_t w = 0; w < n; w++) {
			const uint32_t *order = shunt_plan_steal_order(p, w, &m);
			uint64_t seen = UINT64_C(1) << w;

			assert_int_equal(m, n - 1);
			for (uint32_t i = 0; i < m; i++) {
				assert_true(order[i] < n && !(seen >> order[i] & 1));
				seen |= UINT64_C(1) << order[i];
			}
		}
		shunt_plan_destroy(p);
	}
	shunt_topo_close(t);
}

/* ---- what this process has bound already ---- */

static struct shunt_plan *counted(const struct shunt_topo *t, const char *place, enum shunt_pin_policy policy,
				  uint32_t workers, const char *want)
{
	struct shunt_plan_opts o = SHUNT_PLAN_OPTS_INIT;
	struct shunt_plan *p = NULL;
	char got[64] = "";

	o.place = place;
	o.policy = policy;
	o.workers = workers;
	assert_int_equal(sh_plan_create(t, &o, true, &p), SHUNT_OK);
	for (uint32_t i = 0; i < shunt_plan_worker_count(p); i++)
		(void)snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%d", i ? " " : "",
			       shunt_plan_worker_at(p, i)->os_cpu);
	assert_string_equal(got, want);
	return p;
}

static void uncount(struct shunt_plan *p)
{
	sh_plan_uncount(p);
	shunt_plan_destroy(p);
}

/* Plans of one process take the cpus that are free, in the order of their policy. */
static void taken_cpus_last(void **state)
{
	struct shunt_topo *t = tu_topo_text("core:4 pu:2", NULL); /* cpus 0 and 1 are core 0 */
	struct shunt_plan *a, *b, *c, *d;

	(void)state;
	a = counted(t, NULL, SHUNT_PIN_COMPACT, 3, "0 1 2");
	b = counted(t, NULL, SHUNT_PIN_COMPACT, 3, "3 4 5");
	c = counted(t, "0-3", SHUNT_PIN_EXPLICIT, 2, "0 1");   /* what the user wrote */
	d = counted(t, NULL, SHUNT_PIN_COMPACT, 4, "6 7 2 3"); /* then those with one worker; 0 and 1 have two */
	seats(t, NULL, SHUNT_PIN_COMPACT, 2, "0 1");           /* a plan that is only looked at counts nothing */
	uncount(d);
	uncount(c);
	uncount(a);
	a = counted(t, NULL, SHUNT_PIN_COMPACT, 2, "0 1");
	c = counted(t, NULL, SHUNT_PIN_ONE_PER_CORE, 2, "6 2"); /* core 3 has none, core 1 one, the others two */
	d = counted(t, NULL, SHUNT_PIN_NONE, 2, "-1 -1");
	uncount(d);
	uncount(c);
	uncount(b);
	uncount(a);
	shunt_topo_close(t);
}

/* A child has none of its parent's threads. */
static void child_starts_free(void **state)
{
	struct shunt_topo *t = tu_topo_text("core:2 pu:1", NULL);
	struct shunt_plan *a = counted(t, NULL, SHUNT_PIN_COMPACT, 1, "0");
	int status = 0;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		struct shunt_plan_opts o = SHUNT_PLAN_OPTS_INIT;
		struct shunt_plan *p = NULL;

		o.workers = 1;
		_exit(sh_plan_create(t, &o, true, &p) != 0 || shunt_plan_worker_at(p, 0)->os_cpu != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	uncount(a);
	shunt_topo_close(t);
}

/* More cpus than a pool can have workers. */
static void cut_count_is_spread(void **state)
{
	struct shunt_topo *t = tu_topo_text("package:2 core:768 pu:1", NULL);
	struct shunt_plan *p = plan(t, NULL, SHUNT_PIN_COMPACT, 0);
	uint32_t on[2] = { 0, 0 };
	char want[160];

	(void)state;
	assert_int_equal(shunt_plan_worker_count(p), SHUNT_WORKERS_MAX);
	for (uint32_t i = 0; i < SHUNT_WORKERS_MAX; i++)
		on[shunt_plan_worker_at(p, i)->package]++;
	assert_true(on[0] == SHUNT_WORKERS_MAX / 2 && on[1] == SHUNT_WORKERS_MAX / 2);
	assert_int_equal(shunt_plan_worker_at(p, SHUNT_WORKERS_MAX / 2)->os_cpu, 768);
	(void)snprintf(want, sizeof(want),
		       "1536 cpus, but a pool has at most %d workers; they are spread over 2 packages",
		       SHUNT_WORKERS_MAX);
	assert_string_equal(shunt_plan_note(p), want);
	shunt_plan_destroy(p);
	p = plan(t, NULL, SHUNT_PIN_AVOID_CPU0, 0);
	assert_int_equal(shunt_plan_worker_count(p), SHUNT_WORKERS_MAX);
	assert_int_equal(shunt_plan_worker_at(p, 0)->os_cpu, 1);
	shunt_plan_destroy(p);
	shunt_topo_close(t);
	t = tu_topo_text("package:1 core:64 pu:1 ", NULL); /* a small package beside larger ones keeps all it has */
	p = plan(t, NULL, SHUNT_PIN_COMPACT, 0);
	assert_int_equal(shunt_plan_worker_count(p), 64);
	assert_string_equal(shunt_plan_note(p), "");
	shunt_plan_destroy(p);
	shunt_topo_close(t);
}

static void options(void **state)
{
	struct {
		struct shunt_plan_opts o;
		uint64_t newer;
	} big = { SHUNT_PLAN_OPTS_INIT, 0 };
	struct shunt_topo *t = tu_topo_text("core:2 pu:1", NULL);
	struct shunt_plan *p = NULL;
	enum shunt_pin_policy policy;

	(void)state;
	assert_int_equal(shunt_plan_create(t, NULL, &p), SHUNT_OK);
	shunt_plan_destroy(p);
	big.o.size = sizeof(big);
	assert_int_equal(shunt_plan_create(t, &big.o, &p), SHUNT_OK);
	shunt_plan_destroy(p);
	big.newer = 1;
	assert_int_equal(shunt_plan_create(t, &big.o, &p), SHUNT_EINVAL);
	big.o.size = 0;
	assert_int_equal(shunt_plan_create(t, &big.o, &p), SHUNT_EINVAL);
	assert_int_equal(shunt_plan_create(NULL, NULL, &p), SHUNT_EINVAL);
	assert_int_equal(shunt_plan_create(t, NULL, NULL), SHUNT_EINVAL);
	assert_int_equal(try_plan(t, NULL, (enum shunt_pin_policy)7, 0, &p), SHUNT_EINVAL);
	assert_int_equal(try_plan(t, NULL, SHUNT_PIN_COMPACT, SHUNT_PLAN_WORKERS_MAX + 1, &p), SHUNT_EINVAL);
	assert_string_equal(shunt_error_detail(), "1025 workers; allowed: 1-1024");
	shunt_plan_destroy(plan(t, NULL, SHUNT_PIN_COMPACT, SHUNT_PLAN_WORKERS_MAX));
	shunt_plan_destroy(NULL);
	for (int i = 0; i <= SHUNT_PIN_EXPLICIT; i++) {
		const char *name = shunt_pin_policy_name((enum shunt_pin_policy)i);

		assert_int_equal(shunt_pin_policy_parse(name, &policy), SHUNT_OK);
		assert_int_equal(policy, i);
	}
	assert_null(shunt_pin_policy_name((enum shunt_pin_policy)7));
	assert_int_equal(shunt_pin_policy_parse("Compact", &policy), SHUNT_EINVAL);
	shunt_topo_close(t);
}

static int fail_at; /* the allocation to fail, counted from 1 */

static int fail_one(void *arg, const char *point)
{
	(void)arg;
	return strcmp(point, "plan.alloc") == 0 && --fail_at == 0;
}

/* Fails each allocation in turn; the sanitizer build shows that nothing leaks. */
static void out_of_memory(void **state)
{
	struct shunt_topo *t = tu_topo_text("package:2 core:2 pu:2", NULL);
	struct shunt_plan *p = NULL;
	int k = 0, rc;

	(void)state;
	do {
		fail_at = ++k;
		sh_inject_set(fail_one, NULL);
		rc = try_plan(t, NULL, SHUNT_PIN_SCATTER, 0, &p);
		sh_inject_set(NULL, NULL);
		assert_true(rc == SHUNT_OK || (rc == SHUNT_ENOMEM && !p));
		assert_string_equal(shunt_error_detail(), rc == SHUNT_OK ? "" : "out of memory");
	} while (rc != SHUNT_OK);
	assert_int_equal(k, 10); /* plan, seats, scatter's two, workers, their seats and pins, steal order's two */
	shunt_plan_destroy(p);
	shunt_topo_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies),
		cmocka_unit_test(explicit_order),
		cmocka_unit_test(scatter_over_caches),
		cmocka_unit_test(counts),
		cmocka_unit_test(not_pinned),
		cmocka_unit_test(holes),
		cmocka_unit_test(offline),
		cmocka_unit_test(where_workers_sit),
		cmocka_unit_test(steal_near_first),
		cmocka_unit_test(steal_by_node_distance),
		cmocka_unit_test(every_worker_once),
		cmocka_unit_test(taken_cpus_last),
		cmocka_unit_test(child_starts_free),
		cmocka_unit_test(cut_count_is_spread),
		cmocka_unit_test(options),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
