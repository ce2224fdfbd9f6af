/*
 * tests/unit/testutil.h - what the unit tests of the core share: seeds, waiting for a condition with a deadline, a gate
 * that holds handlers, and runtimes that are small and quick to make. Header only; included first by each test.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_TESTUTIL_H
#define TEST_TESTUTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <shunt/runtime.h>
#include <shunt/topo.h>

#define TU_UNUSED __attribute__((unused))
#define TU_DEADLINE_S 20
#define TU_LONG_NS (UINT64_C(20) * 1000000000u) /* "for ever" in tests that must end; never reached when all is well */
#define TU_TSAN_SCALE(full, less) (TU_TSAN ? (less) : (full))
#if defined(__SANITIZE_THREAD__)
#define TU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TU_TSAN 1
#endif
#endif
#ifndef TU_TSAN
#define TU_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TU_ASAN 1
#endif
#endif
#ifndef TU_ASAN
#define TU_ASAN 0
#endif

/* The seed of this run: SHUNT_SEED, else the clock. Printed, so that a failure can be repeated. */
static TU_UNUSED uint64_t tu_seed(void)
{
	static uint64_t seed;
	const char *s = getenv("SHUNT_SEED");
	struct timespec ts;

	if (seed)
		return seed;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	seed = s ? strtoull(s, NULL, 0) : (uint64_t)ts.tv_nsec ^ (uint64_t)ts.tv_sec << 20;
	seed = seed ? seed : 1;
	(void)printf("SHUNT_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static TU_UNUSED uint64_t tu_now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec;
}

/* Waits until `cond` holds, giving the cpu away meanwhile; false after the deadline. */
#define tu_until(cond) \
	__extension__({ \
		uint64_t tu_end = tu_now_s() + TU_DEADLINE_S; \
		bool tu_ok; \
		while (!(tu_ok = (cond)) && tu_now_s() < tu_end) \
			(void)sched_yield(); \
		tu_ok; \
	})
#define tu_wait_until(cond) assert_true(tu_until(cond))

/* A recorded machine of tests/topo. */
#define TU_XML(name) SHUNT_TEST_SRCDIR "/tests/topo/" name ".xml"

static TU_UNUSED struct shunt_topo *tu_topo_with(const struct shunt_topo_opts *opts)
{
	struct shunt_topo *t = NULL;

	assert_int_equal(shunt_topo_open(&t, opts), SHUNT_OK);
	return t;
}

static TU_UNUSED struct shunt_topo *tu_topo_xml(const char *file, uint32_t budget)
{
	struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;

	o.xml_file = file;
	o.cpu_budget_config = budget;
	return tu_topo_with(&o);
}

/* A described machine. `allowed` NULL = all its cpus. */
static TU_UNUSED struct shunt_topo *tu_topo_text(const char *synthetic, const char *allowed)
{
	struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;

	o.synthetic = synthetic;
	o.allowed_cpus = allowed;
	return tu_topo_with(&o);
}

/* Resident bytes of a mapping that begins at p, in whole pages. */
static TU_UNUSED size_t tu_resident(void *p, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page, n = 0, i;
	unsigned char *in = calloc(pages, 1);

	assert_non_null(in);
	assert_int_equal(mincore(p, bytes, in), 0);
	for (i = 0; i < pages; i++)
		n += in[i] & 1u;
	free(in);
	return n * page;
}

/* A gate that handlers stand at until the test opens it. */
struct tu_gate {
	atomic_uint arrived;
	atomic_uint open;
};

static TU_UNUSED void tu_gate_pass(struct tu_gate *g)
{
	uint64_t end = tu_now_s() + 2 * TU_DEADLINE_S;

	(void)atomic_fetch_add(&g->arrived, 1);
	while (!atomic_load(&g->open) && tu_now_s() < end)
		(void)sched_yield();
}

static TU_UNUSED int tu_gate_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	tu_gate_pass(arg);
	return SHUNT_DONE;
}

static TU_UNUSED int tu_count_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)atomic_fetch_add((atomic_uint *)arg, 1);
	return SHUNT_DONE;
}

/* Collects the lines of a log, each behind the number of its level; safe from any thread. tu_log_open first. */
struct tu_log {
	pthread_mutex_t lock;
	char text[16384];
	size_t len;
};

static TU_UNUSED void tu_log_open(struct tu_log *l)
{
	memset(l, 0, sizeof(*l));
	(void)pthread_mutex_init(&l->lock, NULL);
}

static TU_UNUSED void tu_log_take(void *arg, enum shunt_log_level level, const char *message)
{
	struct tu_log *l = arg;

	(void)pthread_mutex_lock(&l->lock);
	l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len, "%d %s\n", (int)level, message);
	(void)pthread_mutex_unlock(&l->lock);
	assert_true(l->len < sizeof(l->text) - 1024);
}

/* A strategy: every job is put before worker 0. */
static TU_UNUSED int tu_select_first(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	(void)arg;
	(void)loads;
	(void)key;
	(void)home;
	return 0;
}

/* A runtime of modest size; `opts` may carry what a test wants otherwise. */
static TU_UNUSED struct shunt_runtime *tu_runtime_with(struct shunt_runtime_opts *opts)
{
	struct shunt_runtime *rt = NULL;

	opts->jobs_max = opts->jobs_max ? opts->jobs_max : 8192;
	opts->submitters_max = opts->submitters_max ? opts->submitters_max : 16;
	assert_int_equal(shunt_runtime_create(&rt, opts), SHUNT_OK);
	assert_non_null(rt);
	return rt;
}

static TU_UNUSED struct shunt_runtime *tu_runtime(void)
{
	struct shunt_runtime_opts opts = SHUNT_RUNTIME_OPTS_INIT;

	return tu_runtime_with(&opts);
}

static TU_UNUSED struct shunt_pool_opts tu_pool_opts(const char *name, uint32_t workers)
{
	struct shunt_pool_opts opts = SHUNT_POOL_OPTS_INIT;

	opts.name = name;
	opts.workers = workers;
	opts.pin = SHUNT_PIN_NONE; /* tests run beside others, on any number of cpus */
	return opts;
}

static TU_UNUSED struct shunt_pool_id tu_pool_with(struct shunt_runtime *rt, const struct shunt_pool_opts *opts)
{
	struct shunt_pool_id id = { 0 };

	assert_int_equal(shunt_pool_create(rt, opts, &id), SHUNT_OK);
	return id;
}

static TU_UNUSED struct shunt_pool_id tu_pool(struct shunt_runtime *rt, const char *name, uint32_t workers)
{
	struct shunt_pool_opts opts = tu_pool_opts(name, workers);

	return tu_pool_with(rt, &opts);
}

static TU_UNUSED struct shunt_type_id tu_type_flags(struct shunt_runtime *rt, struct shunt_pool_id pool, const char *name,
						     shunt_handler_fn handler, uint32_t flags)
{
	struct shunt_type_opts opts = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id id = { 0 };

	opts.name = name;
	opts.pool = pool;
	opts.handler = handler;
	opts.flags = flags;
	assert_int_equal(shunt_type_create(rt, &opts, &id), SHUNT_OK);
	return id;
}

static TU_UNUSED struct shunt_type_id tu_type(struct shunt_runtime *rt, struct shunt_pool_id pool, const char *name,
					       shunt_handler_fn handler)
{
	return tu_type_flags(rt, pool, name, handler, 0);
}

static TU_UNUSED struct shunt_job_spec tu_spec(struct shunt_type_id type, void *arg)
{
	struct shunt_job_spec spec;

	memset(&spec, 0, sizeof(spec));
	spec.type = type;
	spec.arg = arg;
	return spec;
}

/* Submits one job that must be accepted; returns its handle. */
static TU_UNUSED struct shunt_job_id tu_submit(struct shunt_runtime *rt, struct shunt_type_id type, void *arg)
{
	struct shunt_job_spec spec = tu_spec(type, arg);
	struct shunt_job_id id = { 0 };

	assert_int_equal(shunt_submit(rt, &spec, &id), SHUNT_OK);
	assert_true(id.v != 0);
	return id;
}

/* Holds one worker at `g` and returns when it stands there. */
static TU_UNUSED struct shunt_job_id tu_hold(struct shunt_runtime *rt, struct shunt_type_id gate_type, struct tu_gate *g)
{
	unsigned before = atomic_load(&g->arrived);
	struct shunt_job_id id = tu_submit(rt, gate_type, g);

	tu_wait_until(atomic_load(&g->arrived) == before + 1);
	return id;
}

static TU_UNUSED void tu_join(struct shunt_runtime *rt, struct shunt_job_id id, enum shunt_status status)
{
	struct shunt_result r = { .status = SHUNT_JOB_QUEUED };

	assert_int_equal(shunt_wait(rt, id, TU_LONG_NS, &r), SHUNT_OK);
	assert_int_equal(r.status, status);
}

/* Destroy cancels this many jobs. */
static TU_UNUSED void tu_destroy(struct shunt_runtime *rt, uint64_t cancels)
{
	uint64_t cancelled = 0;

	assert_int_equal(shunt_runtime_destroy(rt, &cancelled), 0);
	assert_int_equal(cancelled, cancels);
}

/* Every job ends, and nothing is left. */
static TU_UNUSED void tu_close(struct shunt_runtime *rt)
{
	assert_int_equal(shunt_runtime_drain(rt, TU_LONG_NS, NULL), 0);
	tu_destroy(rt, 0);
}

/* A runtime with one pool and the two types that most tests need. */
struct tu_fixture {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id gate, count;
};

static TU_UNUSED void tu_fixture_open(struct tu_fixture *f, struct shunt_runtime_opts *ro, const struct shunt_pool_opts *po)
{
	f->rt = tu_runtime_with(ro);
	f->pool = tu_pool_with(f->rt, po);
	f->gate = tu_type(f->rt, f->pool, "gate", tu_gate_job);
	f->count = tu_type(f->rt, f->pool, "count", tu_count_job);
}

#endif
