/*
 * The detail of an error: what, where and what would be right, of the thread's last control call and of no other.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>
#include <shunt/balancer.h>
#include <shunt/config.h>
#include <shunt/hist.h>
#include <shunt/snapshot.h>

#include "base/error.h"

/* A failed call with its code, and a word for each of: where, what, what would be right. */
#define EXPECT(call, code, where, what, right) \
	do { \
		assert_int_equal((call), (code)); \
		assert_detail(where, what, right); \
	} while (0)

#define assert_detail(where, what, right) assert_detail_at(where, what, right, #where, __LINE__)

static void assert_detail_at(const char *where, const char *what, const char *right, const char *name, int line)
{
	const char *text = shunt_error_detail();

	if (!strstr(text, where) || !strstr(text, what) || !strstr(text, right))
		fail_msg("line %d, %s: '%s' lacks one of '%s', '%s', '%s'", line, name, text, where, what, right);
}

static void test_text(void **state)
{
	char line[600];
	unsigned n = 0;

	(void)state;
	sh_error_detail_clear();
	assert_string_equal(shunt_error_detail(), "");
	errno = 77;
	sh_error_detail("place: %s", "'numa:9'");
	sh_error_detail("pool %s: %s", "io", shunt_error_detail());
	assert_string_equal(shunt_error_detail(), "pool io: place: 'numa:9'");
	assert_int_equal(sh_error_set(SHUNT_EPLACE, "one\n"), SHUNT_EPLACE);
	assert_true(sh_error_detail_append("two %d\n", 2));
	assert_string_equal(shunt_error_detail(), "one\ntwo 2\n");
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	while (sh_error_detail_append("%s\n", line))
		n++;
	assert_int_equal(n, (SH_ERROR_DETAIL_BYTES - 1 - 10) / sizeof(line)); /* whole lines only */
	assert_int_equal(strlen(shunt_error_detail()), 10 + n * sizeof(line));
	sh_error_detail("%s%s%s%s%s%s%s", line, line, line, line, line, line, line);
	assert_int_equal(strlen(shunt_error_detail()), SH_ERROR_DETAIL_BYTES - 1);
	assert_string_equal(shunt_error_detail() + SH_ERROR_DETAIL_BYTES - 5, "x...");
	assert_int_equal(errno, 77);
	sh_error_detail_clear();
	assert_string_equal(shunt_error_detail(), "");
}

static void test_runtime(void **state)
{
	struct shunt_runtime_opts o = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_runtime *rt = NULL;

	(void)state;
	EXPECT(shunt_runtime_create(NULL, NULL), SHUNT_EINVAL, "runtime", "NULL", "want");
	o.jobs_max = 63;
	EXPECT(shunt_runtime_create(&rt, &o), SHUNT_EINVAL, "runtime.jobs_max", "'63'", "want ");
	o.jobs_max = 64;
	o.size = 3;
	EXPECT(shunt_runtime_create(&rt, &o), SHUNT_EINVAL, "size", "'3'", "shunt_runtime_opts; want");
	o.size = sizeof(o);
	assert_int_equal(shunt_runtime_create(&rt, &o), 0);
	assert_string_equal(shunt_error_detail(), "");
	EXPECT(shunt_runtime_drain(NULL, 0, NULL), SHUNT_EINVAL, "runtime", "NULL", "want");
	assert_int_equal(shunt_runtime_drain(rt, 0, NULL), 0);
	assert_string_equal(shunt_error_detail(), "");
	EXPECT(shunt_runtime_resume(NULL), SHUNT_EINVAL, "runtime", "NULL", "want");
	assert_int_equal(shunt_runtime_destroy(rt, NULL), 0);
	assert_detail("runtime", "NULL", "want"); /* clean-up does not lose it */
}

static void test_pool(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts o = tu_pool_opts("io", 1);
	struct shunt_pool_id id = { 0 };
	struct {
		struct shunt_pool_opts o;
		size_t more;
	} newer;

	(void)state;
	EXPECT(shunt_pool_create(rt, NULL, &id), SHUNT_EINVAL, "pool", "NULL", "want");
	EXPECT(shunt_pool_create(NULL, &o, &id), SHUNT_EINVAL, "runtime", "NULL", "want");
	memset(&newer, 0, sizeof(newer));
	newer.o = o;
	newer.o.size = sizeof(newer);
	newer.more = 1;
	EXPECT(shunt_pool_create(rt, &newer.o, &id), SHUNT_EINVAL, "size", "shunt_pool_opts is set", "want");
	o.workers = 3000;
	EXPECT(shunt_pool_create(rt, &o, &id), SHUNT_EINVAL, "pools.io.workers", "'3000'", "1024");
	o.workers = 1;
	o.place = "cpus:8191";
	EXPECT(shunt_pool_create(rt, &o, &id), SHUNT_EINVAL, "pools.io.place", "has no effect", "want");
	o.pin = SHUNT_PIN_COMPACT;
	EXPECT(shunt_pool_create(rt, &o, &id), SHUNT_EPLACE, "pools.io.place", "cpus:8191", "allowed");
	o.pin = SHUNT_PIN_NONE;
	o.place = NULL;
	assert_int_equal(shunt_pool_create(rt, &o, &id), 0);
	assert_string_equal(shunt_error_detail(), "");
	EXPECT(shunt_pool_create(rt, &o, &id), SHUNT_EEXIST, "pools.io", "taken", "");
	EXPECT(shunt_pool_destroy(rt, (struct shunt_pool_id){ 9 }), SHUNT_ENOENT, "pool 9", "none", "want");
	tu_close(rt);
}

static void test_type(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_id pool = tu_pool(rt, "io", 1);
	struct shunt_type_opts o = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id id = { 0 };
	struct tu_gate gate = { 0, 0 };

	(void)state;
	o.name = "Fetch";
	o.pool = pool;
	o.handler = tu_gate_job;
	EXPECT(shunt_type_create(rt, &o, &id), SHUNT_EINVAL, "types", "Fetch", "a-z");
	o.name = "fetch";
	o.handler = NULL;
	EXPECT(shunt_type_create(rt, &o, &id), SHUNT_EINVAL, "types.fetch.handler", "NULL", "want");
	o.handler = tu_gate_job;
	o.level = SHUNT_LEVEL(4);
	EXPECT(shunt_type_create(rt, &o, &id), SHUNT_EINVAL, "types.fetch.level", "'4'", "want");
	o.level = 0;
	o.flags = 6;
	EXPECT(shunt_type_create(rt, &o, &id), SHUNT_EINVAL, "types.fetch", "0x6", "SHUNT_TYPE_ASYNC");
	o.flags = 0;
	o.pool.v = 7;
	EXPECT(shunt_type_create(rt, &o, &id), SHUNT_ENOENT, "types.fetch.pool", "no pool 7", "want");
	o.pool = pool;
	assert_int_equal(shunt_type_create(rt, &o, &id), 0);
	assert_string_equal(shunt_error_detail(), "");
	EXPECT(shunt_pool_destroy(rt, pool), SHUNT_EBUSY, "pool io", "1 types", "destroy them first");
	EXPECT(shunt_type_destroy(rt, (struct shunt_type_id){ 5 }, 0), SHUNT_ENOENT, "type 5", "none", "want");
	(void)tu_hold(rt, id, &gate);
	EXPECT(shunt_runtime_drain(rt, 0, NULL), SHUNT_ETIMEDOUT, "shunt: ", "1 jobs", "not finished");
	assert_int_equal(shunt_runtime_resume(rt), 0);
	assert_string_equal(shunt_error_detail(), "");
	EXPECT(shunt_type_destroy(rt, id, 0), SHUNT_ETIMEDOUT, "fetch: ", "1 jobs", "not finished");
	atomic_store(&gate.open, 1);
	assert_int_equal(shunt_type_destroy(rt, id, TU_LONG_NS), 0);
	assert_int_equal(shunt_pool_destroy(rt, pool), 0);
	tu_close(rt);
}

static void test_topology(void **state)
{
	struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;
	struct shunt_topo *t = NULL;

	(void)state;
	EXPECT(shunt_topo_open(NULL, NULL), SHUNT_EINVAL, "topology", "NULL", "want");
	o.xml_file = "/no/such.xml";
	EXPECT(shunt_topo_open(&t, &o), SHUNT_EIO, "topology: xml_file", "/no/such.xml", "No such file");
	o.synthetic = "x";
	EXPECT(shunt_topo_open(&t, &o), SHUNT_EINVAL, "topology", "both", "want");
	o.xml_file = NULL;
	EXPECT(shunt_topo_open(&t, &o), SHUNT_EINVAL, "topology: synthetic", "'x'", "want");
	o.synthetic = "core:2 pu:1";
	o.allowed_cpus = "0-";
	EXPECT(shunt_topo_open(&t, &o), SHUNT_EINVAL, "topology: allowed_cpus", "'0-'", "want");
	o.allowed_cpus = "0-2";
	EXPECT(shunt_topo_open(&t, &o), SHUNT_EINVAL, "topology: allowed_cpus", "'0-2'", "the machine has 0-1");
	o.allowed_cpus = "1";
	assert_int_equal(shunt_topo_open(&t, &o), 0);
	assert_string_equal(shunt_error_detail(), "");
	EXPECT(shunt_topo_budget(t, NULL, 0), SHUNT_EINVAL, "topology", "NULL", "want");
	shunt_topo_close(t);
}

static void test_plan(void **state)
{
	struct shunt_topo *t = tu_topo_text("core:2 pu:1", NULL);
	struct shunt_plan_opts o = SHUNT_PLAN_OPTS_INIT;
	struct shunt_plan *plan = NULL;

	(void)state;
	EXPECT(shunt_plan_create(NULL, &o, &plan), SHUNT_EINVAL, "plan", "NULL", "want");
	o.place = "cpus:0,numa:9";
	EXPECT(shunt_plan_create(t, &o, &plan), SHUNT_EPLACE, "'numa:9'", "no NUMA node 9", "available: 0");
	o.place = "cpus:0";
	o.workers = 2000;
	EXPECT(shunt_plan_create(t, &o, &plan), SHUNT_EINVAL, "workers", "2000", "1-1024");
	o.workers = 1;
	assert_int_equal(shunt_plan_create(t, &o, &plan), 0);
	assert_string_equal(shunt_error_detail(), "");
	shunt_plan_destroy(plan);
	shunt_topo_close(t);
}

/* The list of problems, one a line; what does not fit is counted. */
static void test_config(void **state)
{
	static const char few[] = "pools: { io: { workers: 3000, place: numa:4000 } }\nruntime: { jobs_max: many }\n";
	struct shunt_config *c = NULL;
	struct shunt_runtime *rt = NULL;
	char line[64];
	unsigned more = 0, lines = 0;

	(void)state;
	EXPECT(shunt_config_create(NULL), SHUNT_EINVAL, "config", "NULL", "want");
	assert_int_equal(shunt_config_create(&c), 0);
	EXPECT(shunt_config_load_text(c, "f", few, sizeof(few) - 1), SHUNT_ECONFIG, "f:1: pools.io.workers",
	       "'3000'", "want");
	assert_detail("f:2: runtime.jobs_max", "'many'", "want");
	assert_string_equal(shunt_error_detail(), shunt_config_errors(c));
	EXPECT(shunt_config_bind(c, NULL, NULL), SHUNT_EINVAL, "config", "NULL", "want");
	EXPECT(shunt_config_load_file(c, "/no/such"), SHUNT_EIO, "/no/such", "No such file", "want a readable file");
	EXPECT(shunt_config_load_env(c, (const char *const[]){ "SHUNT_NOPE=1", NULL }), SHUNT_ECONFIG, "SHUNT_NOPE",
	       "unknown", "want");
	for (more = 0; more < 130; more++) {
		(void)snprintf(line, sizeof(line), "pools.io.workers=many%u", more);
		EXPECT(shunt_config_set(c, "--set", line), SHUNT_ECONFIG, "f:1: pools.io.workers", "'3000'", "want");
	}
	for (const char *s = shunt_error_detail(); *s; s++)
		lines += *s == '\n';
	assert_int_equal(sscanf(strstr(shunt_error_detail(), "\nand "), "\nand %u more\n", &more), 1);
	assert_int_equal(lines - 1 + more, 4 + 130);
	assert_true(strlen(shunt_error_detail()) > SH_ERROR_DETAIL_BYTES - 200); /* as many as it holds */
	shunt_config_destroy(c);
	assert_int_equal(shunt_config_create(&c), 0);
	assert_string_equal(shunt_error_detail(), "");
	assert_int_equal(shunt_config_set(c, "--place", "pools.io.place=numa:4000"), 0);
	EXPECT(shunt_config_runtime(c, NULL, NULL, &rt), SHUNT_EPLACE, "--place: pools.io.place: 'numa:4000'",
	       "no NUMA node 4000", "available: ");
	shunt_config_destroy(c);
}

static void test_balancer(void **state)
{
	struct shunt_balancer_opts o = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_balancer *b = NULL;
	uint32_t capacities[2] = { 3, 0 };

	(void)state;
	EXPECT(shunt_balancer_create(NULL, &o), SHUNT_EINVAL, "balancer", "NULL", "want");
	o.workers = 4097;
	EXPECT(shunt_balancer_create(&b, &o), SHUNT_EINVAL, "balancer: workers", "4097", "want 1 to 4096");
	o.workers = 2;
	o.capacities = capacities;
	EXPECT(shunt_balancer_create(&b, &o), SHUNT_EINVAL, "balancer: capacities", "0 of worker 1", "want");
	o.capacities = NULL;
	o.strategy = SHUNT_SELECT_USER;
	EXPECT(shunt_balancer_create(&b, &o), SHUNT_EINVAL, "balancer: select", "NULL", "want a function");
	o.strategy = SHUNT_SELECT_DEFAULT;
	assert_int_equal(shunt_balancer_create(&b, &o), 0);
	assert_string_equal(shunt_error_detail(), "");
	sh_error_detail("stays");
	assert_int_equal(shunt_balancer_start_on(b, 9), SHUNT_ENOENT);
	assert_string_equal(shunt_error_detail(), "stays"); /* on a hot path: none */
	shunt_balancer_destroy(b);
}

static void test_hlog(void **state)
{
	struct shunt_hlog *log = NULL;
	struct shunt_hlog_reader *r = NULL;
	struct shunt_hist *h = NULL;

	(void)state;
	assert_int_equal(shunt_hist_create(&h), 0);
	EXPECT(shunt_hlog_open(NULL, &log), SHUNT_EINVAL, "histogram log", "NULL", "want");
	EXPECT(shunt_hlog_open("/no/such/log", &log), SHUNT_EIO, "histogram log", "'/no/such/log'", "No such file");
	EXPECT(shunt_hlog_reader_open("/no/such/log", &r), SHUNT_EIO, "histogram log", "/no/such/log", "No such file");
	assert_int_equal(shunt_hlog_open("/dev/null", &log), 0);
	assert_string_equal(shunt_error_detail(), "");
	EXPECT(shunt_hlog_write(log, "a b", 0, 1, h), SHUNT_EINVAL, "histogram log: tag", "'a b'", "want");
	EXPECT(shunt_hlog_write(log, "a", 2, 1, h), SHUNT_EINVAL, "histogram log", "end", "before the start");
	assert_int_equal(shunt_hlog_write(log, "a", 1, 2, h), 0);
	assert_string_equal(shunt_error_detail(), "");
	assert_int_equal(shunt_hlog_close(log), 0);
	shunt_hist_destroy(h);
}

static void test_snapshot(void **state)
{
	struct shunt_runtime_opts o = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_runtime *one = tu_runtime(), *two;
	struct shunt_snapshot *a = NULL, *b = NULL, *d = NULL, *other = NULL;
	struct shunt_type_id type = tu_type(one, tu_pool(one, "io", 1), "count", tu_count_job);
	atomic_uint n = 0;

	(void)state;
	o.name = "two";
	two = tu_runtime_with(&o);
	EXPECT(shunt_snapshot_create(NULL, &a), SHUNT_EINVAL, "snapshot", "NULL", "want");
	assert_int_equal(shunt_snapshot_create(one, &a), 0);
	assert_string_equal(shunt_error_detail(), "");
	assert_int_equal(shunt_snapshot_create(two, &b), 0);
	EXPECT(shunt_snapshot_diff(NULL, a, &d), SHUNT_EINVAL, "snapshot", "NULL", "want");
	EXPECT(shunt_snapshot_diff(b, a, &d), SHUNT_EINVAL, "snapshot", "of two and shunt", "want two of one runtime");
	shunt_snapshot_destroy(b);
	tu_join(one, tu_submit(one, type, &n), SHUNT_JOB_DONE);
	assert_int_equal(shunt_snapshot_create(one, &b), 0);
	tu_join(one, tu_submit(one, type, &n), SHUNT_JOB_DONE);
	shunt_snapshot_destroy(a);
	assert_int_equal(shunt_snapshot_create(one, &a), 0);
	EXPECT(shunt_snapshot_diff(b, a, &d), SHUNT_EINVAL, "snapshot", "the older one was taken later", "swap them");
	assert_null(d);
	assert_int_equal(shunt_snapshot_diff(a, b, &d), 0);
	assert_string_equal(shunt_error_detail(), "");
	EXPECT(shunt_snapshot_diff(a, d, &other), SHUNT_EINVAL, "snapshot", "is a difference", "that were taken");
	shunt_snapshot_destroy(d);
	shunt_snapshot_destroy(b);
	shunt_snapshot_destroy(a);
	tu_close(two);
	tu_close(one);
}

static int inside_job(struct shunt_job_ctx *ctx, void *arg)
{
	char *text = arg;

	if (shunt_runtime_drain(shunt_job_runtime(ctx), 0, NULL) == SHUNT_EDEADLK)
		(void)snprintf(text, 128, "%s", shunt_error_detail());
	return SHUNT_DONE;
}

/* A worker's text is its own; the caller's stays. */
static void test_threads(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_type_id type = tu_type(rt, tu_pool(rt, "io", 1), "inside", inside_job);
	char text[128] = "";

	(void)state;
	EXPECT(shunt_runtime_resume(NULL), SHUNT_EINVAL, "runtime", "NULL", "want");
	tu_join(rt, tu_submit(rt, type, text), SHUNT_JOB_DONE);
	assert_non_null(strstr(text, "inside its job"));
	assert_detail("runtime", "NULL", "want");
	tu_close(rt);
}

#define TEXTS 64 /* threads that can keep one at a time */

struct crowd {
	atomic_uint arrived, leave;
	atomic_uint without; /* got the fixed sentence */
};

static void *keep_one(void *arg)
{
	struct crowd *c = arg;

	sh_error_detail("mine");
	if (strstr(shunt_error_detail(), "no room")) {
		(void)atomic_fetch_add(&c->without, 1);
		assert_false(sh_error_detail_append("more"));
		sh_error_detail_clear();
		assert_string_equal(shunt_error_detail(), "");
	}
	(void)atomic_fetch_add(&c->arrived, 1);
	while (!atomic_load(&c->leave))
		(void)sched_yield();
	return NULL;
}

/* More threads than texts: a fixed sentence stands for the text. Ended threads give theirs back. */
static void test_no_room(void **state)
{
	struct crowd c = { 0, 0, 0 };
	pthread_t t[TEXTS + 1];
	unsigned round, i;

	(void)state;
	sh_error_detail("this thread has one");
	for (round = 0; round < 3; round++) {
		memset(&c, 0, sizeof(c));
		for (i = 0; i <= TEXTS; i++)
			assert_int_equal(pthread_create(&t[i], NULL, keep_one, &c), 0);
		tu_wait_until(atomic_load(&c.arrived) == TEXTS + 1);
		atomic_store(&c.leave, 1);
		for (i = 0; i <= TEXTS; i++)
			assert_int_equal(pthread_join(t[i], NULL), 0);
		assert_int_equal(atomic_load(&c.without), 2);
	}
	assert_string_equal(shunt_error_detail(), "this thread has one");
}

/* A forked child keeps the forking thread's text alone. */
static void test_fork(void **state)
{
	struct crowd c = { 0, 0, 0 };
	pthread_t t[TEXTS - 1];
	unsigned i;
	int status = 0;
	pid_t pid;

	(void)state;
	if (getenv("TEST_EMULATED") || TU_TSAN) { /* see life_test.c */
		print_message("skipped: a fork with threads, which emulator and ThreadSanitizer cannot follow\n");
		skip();
	}
	sh_error_detail("of the parent");
	for (i = 0; i < TEXTS - 1; i++)
		assert_int_equal(pthread_create(&t[i], NULL, keep_one, &c), 0);
	tu_wait_until(atomic_load(&c.arrived) == TEXTS - 1);
	pid = fork();
	if (pid == 0) {
		bool right = strcmp(shunt_error_detail(), "of the parent") == 0;
		struct crowd one = { 0, 1, 0 };

		if (pthread_create(&t[0], NULL, keep_one, &one) != 0 || pthread_join(t[0], NULL) != 0)
			right = false;
		_exit(right && atomic_load(&one.without) == 0 ? 0 : 1);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	atomic_store(&c.leave, 1);
	for (i = 0; i < TEXTS - 1; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(atomic_load(&c.without), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_runtime),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_type),
		cmocka_unit_test(test_topology),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_balancer),
		cmocka_unit_test(test_hlog),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
