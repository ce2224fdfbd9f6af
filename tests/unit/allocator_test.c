/*
 * shunt_allocator_set: what the contract of shunt/allocator.h says, both ways. The allocator of this test keeps a
 * record of each block, hands out memory that is not zeroed, and can refuse the n-th block. Held:
 *   - blocks come back with the size and the alignment that they were asked for with, all of them, once each;
 *   - for every n until the call succeeds, a refused n-th block makes the call return SHUNT_ENOMEM, nothing is left,
 *     and the same call succeeds afterwards;
 *   - what cannot return an error is done without, as the header says;
 *   - the allocator changes only while nothing exists.
 * tests/unit/inject_sweep_test.c refuses blocks in whole lives of the library; tests/e2e/allocator.sh looks for
 * calls of malloc.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <unistd.h>

#include <shunt/shunt.h>

#define BLOCKS_MAX 4096u
#define REFUSALS_MAX 2000u /* no call below needs so many blocks */

struct block {
	void *p;
	size_t bytes, align;
};

static struct {
	pthread_mutex_t lock;
	struct block block[BLOCKS_MAX]; /* those handed out; a free entry has p NULL */
	size_t n;
	uint64_t taken, given;
	uint64_t refuse_at; /* refuses the block of this number, counted from 1 by `asked`; 0 = none */
	uint64_t asked;
	bool refuse_all;
	bool refused;
	const char *wrong;
	size_t skew; /* added to the next pointer, to hand out one that is aligned to less */
} heap = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *heap_alloc(void *arg, size_t bytes, size_t align)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = NULL;
	size_t i;

	(void)pthread_mutex_lock(&heap.lock);
	if (arg != &heap || bytes == 0 || bytes % align != 0)
		heap.wrong = "alloc: argument";
	if (align < _Alignof(max_align_t) || (align & (align - 1)) != 0 || align > page)
		heap.wrong = "alloc: argument";
	heap.asked++;
	if (heap.refuse_all || heap.asked == heap.refuse_at) {
		heap.refused = true;
	} else if ((p = aligned_alloc(align, bytes + heap.skew * align)) != NULL) {
		memset(p, 0xa5, bytes);
		p = (char *)p + heap.skew;
		for (i = 0; i < BLOCKS_MAX && heap.block[i].p; i++)
			;
		assert_true(i < BLOCKS_MAX);
		heap.block[i] = (struct block){ p, bytes, align };
		heap.n++;
		heap.taken += bytes;
	}
	(void)pthread_mutex_unlock(&heap.lock);
	return p;
}

static void heap_free(void *arg, void *p, size_t bytes, size_t align)
{
	size_t i;

	(void)pthread_mutex_lock(&heap.lock);
	for (i = 0; i < BLOCKS_MAX && heap.block[i].p != p; i++)
		;
	if (arg != &heap || !p || i == BLOCKS_MAX || heap.block[i].bytes != bytes || heap.block[i].align != align) {
		heap.wrong = "free: not as it was taken";
	} else {
		heap.block[i].p = NULL;
		heap.n--;
		heap.given += bytes;
		memset(p, 0x5a, bytes);
		free((char *)p - heap.skew);
	}
	(void)pthread_mutex_unlock(&heap.lock);
}

static const struct shunt_allocator own = { sizeof(own), heap_alloc, heap_free, &heap };

static void refuse_all(bool on)
{
	(void)pthread_mutex_lock(&heap.lock);
	heap.refuse_all = on;
	heap.refused = on ? false : heap.refused;
	(void)pthread_mutex_unlock(&heap.lock);
}

static void check(const char *what)
{
	if (heap.wrong)
		fail_msg("%s: %s", what, heap.wrong);
	if (heap.n != 0 || heap.taken != heap.given)
		fail_msg("%s: %zu blocks are left, %llu of %llu bytes came back", what, heap.n,
			 (unsigned long long)heap.given, (unsigned long long)heap.taken);
}

static int begin(void **state)
{
	(void)state;
	return shunt_allocator_set(&own);
}

static int end(void **state)
{
	(void)state;
	check("at the end");
	return shunt_allocator_set(NULL); /* SHUNT_EBUSY if the library counts something that the allocator does not */
}

/* ---- every call, every refusal ---- */

/* What is there before a call, made without refusals. */
static struct {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id type;
	struct shunt_topo *topo;
	struct shunt_hist *hist;
	struct shunt_snapshot *snapshot;
	char path[32];
} there;

static atomic_uint ran;

static int on_runtime(void)
{
	struct shunt_runtime_opts o = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_runtime *rt = NULL;
	int rc;

	o.jobs_max = 128;
	o.handles_max = 64;
	o.submitters_max = 4;
	rc = shunt_runtime_create(&rt, &o);
	assert_true((rc == 0) == (rt != NULL));
	return rc == 0 ? shunt_runtime_destroy(rt, NULL) : rc;
}

static int on_pool(void)
{
	struct shunt_pool_opts o = tu_pool_opts("second", 2);
	struct shunt_pool_id id;
	int rc = shunt_pool_create(there.rt, &o, &id);

	return rc == 0 ? shunt_pool_destroy(there.rt, id) : rc;
}

static int on_type(void)
{
	struct shunt_type_opts o = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id id;
	int rc;

	o.name = "second";
	o.pool = there.pool;
	o.handler = tu_count_job;
	rc = shunt_type_create(there.rt, &o, &id);
	return rc == 0 ? shunt_type_destroy(there.rt, id, TU_LONG_NS) : rc;
}

static int on_snapshot(void)
{
	struct shunt_snapshot *s = NULL;
	int rc = shunt_snapshot_create(there.rt, &s);

	assert_true((rc == 0) == (s != NULL));
	shunt_snapshot_destroy(s);
	return rc;
}

static int on_snapshot_diff(void)
{
	struct shunt_snapshot *s = NULL;
	int rc = shunt_snapshot_diff(there.snapshot, there.snapshot, &s);

	assert_true((rc == 0) == (s != NULL));
	shunt_snapshot_destroy(s);
	return rc;
}

static int on_hist(void)
{
	struct shunt_hist *h = NULL;
	int rc = shunt_hist_create(&h);

	if (rc == 0)
		assert_true(shunt_hist_count(h) == 0 && shunt_hist_max(h) == 0);
	shunt_hist_destroy(h);
	return rc;
}

static int on_hlog_write(void)
{
	struct shunt_hlog *log = NULL;
	int rc = shunt_hlog_open(there.path, &log);

	if (rc == 0)
		rc = shunt_hlog_write(log, "a", 1000000000, 2000000000, there.hist);
	assert_int_equal(shunt_hlog_close(log), 0);
	return rc;
}

static int on_hlog_read(void)
{
	struct shunt_hlog_reader *r = NULL;
	struct shunt_hlog_entry entry;
	struct shunt_hist *h = NULL;
	int rc = shunt_hist_create(&h);

	if (rc == 0)
		rc = shunt_hlog_reader_open(there.path, &r);
	if (rc == 0)
		rc = shunt_hlog_read_next(r, &entry, h);
	if (rc == 1)
		assert_true(shunt_hist_count(h) == shunt_hist_count(there.hist));
	shunt_hlog_reader_close(r);
	shunt_hist_destroy(h);
	return rc == 1 ? 0 : rc;
}

static int on_topo(void)
{
	struct shunt_topo *t = NULL;
	int rc = shunt_topo_open(&t, NULL);

	shunt_topo_close(t);
	return rc;
}

static int on_plan(void)
{
	struct shunt_plan_opts o = SHUNT_PLAN_OPTS_INIT;
	struct shunt_plan *plan = NULL;
	int rc;

	o.policy = SHUNT_PIN_SCATTER;
	o.workers = 5;
	rc = shunt_plan_create(there.topo, &o, &plan);
	shunt_plan_destroy(plan);
	return rc;
}

static int on_balancer(void)
{
	struct shunt_balancer_opts o = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_balancer *b = NULL;
	int rc;

	o.workers = SHUNT_WORKERS_MAX + 1;
	o.strategy = SHUNT_SELECT_USER;
	o.select = tu_select_first;
	rc = shunt_balancer_create(&b, &o);
	shunt_balancer_destroy(b);
	return rc;
}

static const char yaml[] = "runtime: {name: hook, levels: [urgent, usual], jobs_max: 128, handles_max: 64}\n"
			   "pools:\n"
			   "  io: {workers: 1, pin: none, level_mode: weighted, weights: {urgent: 3, usual: 1}}\n"
			   "types:\n"
			   "  fetch: {pool: io, level: urgent, handler: fetch_it}\n";

static int config_make(struct shunt_config **out)
{
	static const char *const env[] = { "SHUNT_POOLS_IO_KEY_SLOTS=64", "SHUNT_POOLS_IO_WEIGHTS_USUAL=2", NULL };
	int rc = shunt_config_create(out);

	rc = rc ? rc : shunt_config_load_text(*out, "text", yaml, sizeof(yaml) - 1);
	rc = rc ? rc : shunt_config_load_env(*out, env);
	rc = rc ? rc : shunt_config_set(*out, "--queue", "pools.io.queue_max=32");
	rc = rc ? rc : shunt_config_check(*out);
	return rc ? rc : shunt_config_bind(*out, "fetch_it", tu_count_job);
}

static int on_config(void)
{
	struct shunt_config *c = NULL;
	int rc = config_make(&c);

	shunt_config_destroy(c);
	return rc;
}

/* Loads that find problems: the report needs memory, too. */
static int on_config_wrong(void)
{
	static const char text[] = "pools: {cpu: {wrokers: 1}}\nruntime: {jobs_max: many}\n";
	struct shunt_config *c = NULL;
	int rc = shunt_config_create(&c);

	if (rc == 0) {
		rc = shunt_config_load_text(c, "wrong", text, sizeof(text) - 1);
		if (rc == SHUNT_ECONFIG) {
			assert_non_null(strstr(shunt_config_errors(c), "wrokers"));
			rc = 0;
		}
	}
	shunt_config_destroy(c);
	return rc;
}

static int on_config_file(void)
{
	struct shunt_config *c = NULL;
	int rc = shunt_config_create(&c);

	rc = rc ? rc : shunt_config_load_file(c, SHUNT_TEST_SRCDIR "/docs/examples/config_embed.yaml");
	shunt_config_destroy(c);
	return rc;
}

static int on_config_runtime(void)
{
	struct shunt_runtime *rt = NULL;
	struct shunt_config *c = NULL;
	int rc = config_make(&c);

	rc = rc ? rc : shunt_config_runtime(c, NULL, NULL, &rt);
	assert_true((rc == 0) == (rt != NULL));
	shunt_config_destroy(c);
	return rc == 0 ? shunt_runtime_destroy(rt, NULL) : rc;
}

static const struct {
	const char *name;
	int (*call)(void);
	uint64_t least; /* blocks that it takes at least: fewer, and this test would miss them */
} calls[] = {
	{ "shunt_runtime_create", on_runtime, 15 },
	{ "shunt_pool_create", on_pool, 20 },
	{ "shunt_type_create", on_type, 1 },
	{ "shunt_snapshot_take", on_snapshot, 8 },
	{ "shunt_snapshot_diff", on_snapshot_diff, 8 },
	{ "shunt_hist_create", on_hist, 1 },
	{ "shunt_hlog_write", on_hlog_write, 4 }, /* the log, a buffer, and zlib's own */
	{ "shunt_hlog_read_next", on_hlog_read, 4 },
	{ "shunt_topo_open", on_topo, 5 },
	{ "shunt_plan_create", on_plan, 6 },
	{ "shunt_balancer_create", on_balancer, 3 },
	{ "shunt_config_load", on_config, 20 },
	{ "shunt_config_load_text with problems", on_config_wrong, 10 },
	{ "shunt_config_load_file", on_config_file, 10 },
	{ "shunt_config_runtime", on_config_runtime, 70 },
};

static void run_jobs(void)
{
	tu_join(there.rt, tu_submit(there.rt, there.type, &ran), SHUNT_JOB_DONE);
	assert_int_equal(shunt_runtime_drain(there.rt, TU_LONG_NS, NULL), 0); /* counted, too */
	assert_int_equal(shunt_runtime_resume(there.rt), 0);
}

static void there_open(void)
{
	int fd;

	there.rt = tu_runtime();
	there.pool = tu_pool(there.rt, "first", 1);
	there.type = tu_type(there.rt, there.pool, "count", tu_count_job);
	run_jobs();
	there.topo = tu_topo_text("numa:2 core:2 pu:2", NULL);
	assert_int_equal(shunt_hist_create(&there.hist), 0);
	assert_int_equal(shunt_hist_record_n(there.hist, 1234, 100), 0);
	assert_int_equal(shunt_snapshot_create(there.rt, &there.snapshot), 0);
	(void)snprintf(there.path, sizeof(there.path), "/tmp/shunt-alloc-XXXXXX");
	fd = mkstemp(there.path);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void there_close(void)
{
	shunt_snapshot_destroy(there.snapshot);
	shunt_hist_destroy(there.hist);
	shunt_topo_close(there.topo);
	tu_close(there.rt);
	(void)unlink(there.path);
}

static void refuse_each(const char *name, int (*call)(void), uint64_t least)
{
	size_t before = heap.n;
	uint64_t n;

	assert_int_equal(call(), 0); /* what is made once is there */
	for (n = 1; n < REFUSALS_MAX; n++) {
		int rc;

		heap.refused = false;
		heap.refuse_at = heap.asked + n;
		rc = call();
		heap.refuse_at = 0;
		if (heap.wrong)
			fail_msg("%s, block %llu refused: %s", name, (unsigned long long)n, heap.wrong);
		if (heap.n > before)
			fail_msg("%s, block %llu refused: %zu are left", name, (unsigned long long)n, heap.n - before);
		if (!heap.refused) {
			assert_int_equal(rc, 0);
			break;
		}
		if (rc != SHUNT_ENOMEM)
			fail_msg("%s, block %llu refused: %s", name, (unsigned long long)n, shunt_error_name(rc));
		if (call() != 0)
			fail_msg("%s does not succeed after block %llu was refused", name, (unsigned long long)n);
	}
	(void)printf("%-40s %4llu blocks\n", name, (unsigned long long)n - 1);
	if (n - 1 < least || n == REFUSALS_MAX)
		fail_msg("%s: %llu blocks, at least %llu were expected", name, (unsigned long long)n - 1,
			 (unsigned long long)least);
}

static void test_every_refusal(void **state)
{
	size_t i;

	(void)state;
	there_open();
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		refuse_each(calls[i].name, calls[i].call, calls[i].least);
	there_close();
	check("all objects are gone");
}

/* ---- what cannot return an error ---- */

static uint64_t in_series(struct shunt_runtime *rt, uint64_t *finished)
{
	struct shunt_snapshot *s;
	uint64_t n = 0;
	size_t i;

	assert_int_equal(shunt_snapshot_create(rt, &s), 0);
	assert_string_equal(shunt_snapshot_runtime(s)->allocator, "custom");
	for (i = 0; i < shunt_snapshot_series_count(s); i++)
		n += shunt_snapshot_series_at(s, i)->done;
	*finished = shunt_snapshot_pool_at(s, 0)->finished;
	shunt_snapshot_destroy(s);
	return n;
}

static void test_no_statistics(void **state)
{
	uint64_t finished = 0;

	(void)state;
	there.rt = tu_runtime();
	there.pool = tu_pool(there.rt, "first", 1);
	there.type = tu_type(there.rt, there.pool, "count", tu_count_job);
	refuse_all(true);
	run_jobs();
	refuse_all(false);
	assert_true(heap.refused);
	assert_int_equal(in_series(there.rt, &finished), 0);
	assert_int_equal(finished, 1);
	run_jobs();
	assert_int_equal(in_series(there.rt, &finished), 1);
	assert_int_equal(finished, 2);
	tu_close(there.rt);
	check("all objects are gone");
}

static int blocking_job(struct shunt_job_ctx *ctx, void *arg)
{
	int *rc = arg;

	refuse_all(true);
	rc[0] = shunt_block_begin(ctx);
	refuse_all(false);
	if (rc[0] == 0)
		shunt_block_end(ctx);
	rc[1] = shunt_block_begin(ctx);
	if (rc[1] == 0)
		shunt_block_end(ctx);
	return SHUNT_DONE;
}

static void test_no_spare(void **state)
{
	int rc[2] = { 1, 1 };
	struct shunt_type_id type;

	(void)state;
	there.rt = tu_runtime();
	there.pool = tu_pool(there.rt, "first", 1);
	type = tu_type(there.rt, there.pool, "blocking", blocking_job);
	tu_join(there.rt, tu_submit(there.rt, type, rc), SHUNT_JOB_DONE);
	assert_int_equal(rc[0], SHUNT_ELIMIT);
	assert_int_equal(rc[1], 0);
	tu_close(there.rt);
	check("all objects are gone");
}

/* ---- the call itself ---- */

static void test_arguments(void **state)
{
	struct {
		struct shunt_allocator a;
		unsigned char more[16];
	} newer = { .a = own };
	struct shunt_allocator bad = own;

	(void)state;
	bad.alloc = NULL;
	assert_int_equal(shunt_allocator_set(&bad), SHUNT_EINVAL);
	bad = own;
	bad.free = NULL;
	assert_int_equal(shunt_allocator_set(&bad), SHUNT_EINVAL);
	bad = own;
	bad.size = 0;
	assert_int_equal(shunt_allocator_set(&bad), SHUNT_EINVAL);
	newer.a.size = sizeof(newer);
	assert_int_equal(shunt_allocator_set(&newer.a), 0);
	newer.more[15] = 1;
	assert_int_equal(shunt_allocator_set(&newer.a), SHUNT_EINVAL);
	assert_int_equal(shunt_allocator_set(&own), 0);
}

/* One of each kind of object, alone: the allocator stays. */
static void busy(const char *what)
{
	if (heap.n == 0)
		fail_msg("%s took no memory of the allocator", what);
	if (shunt_allocator_set(NULL) != SHUNT_EBUSY || shunt_allocator_set(&own) != SHUNT_EBUSY)
		fail_msg("the allocator changed while there was %s", what);
}

static void test_busy(void **state)
{
	struct shunt_balancer_opts bo = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_balancer *b;
	struct shunt_config *c;
	struct shunt_topo *t;
	struct shunt_hist *h;

	(void)state;
	busy("a runtime");
	tu_close(rt);
	t = tu_topo_text("pu:2", NULL);
	busy("a topology");
	shunt_topo_close(t);
	assert_int_equal(shunt_hist_create(&h), 0);
	busy("a histogram");
	shunt_hist_destroy(h);
	assert_int_equal(shunt_config_create(&c), 0);
	busy("a configuration");
	shunt_config_destroy(c);
	bo.workers = 2;
	assert_int_equal(shunt_balancer_create(&b, &bo), 0);
	busy("a balancer");
	shunt_balancer_destroy(b);
	assert_int_equal(shunt_allocator_set(NULL), 0);
	assert_int_equal(shunt_hist_create(&h), 0);
	assert_int_equal(heap.n, 0);
	assert_int_equal(shunt_allocator_set(&own), SHUNT_EBUSY); /* the library's own memory keeps it as well */
	shunt_hist_destroy(h);
	assert_int_equal(shunt_allocator_set(&own), 0);
}

static void test_badly_aligned(void **state)
{
	struct shunt_hist *h = NULL;

	(void)state;
	heap.skew = 8;
	assert_int_equal(shunt_hist_create(&h), SHUNT_ENOMEM);
	heap.skew = 0;
	check("a pointer that is aligned to less");
	assert_int_equal(shunt_hist_create(&h), 0);
	shunt_hist_destroy(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_refusal, begin, end),
		cmocka_unit_test_setup_teardown(test_no_statistics, begin, end),
		cmocka_unit_test_setup_teardown(test_no_spare, begin, end),
		cmocka_unit_test_setup_teardown(test_arguments, begin, end),
		cmocka_unit_test_setup_teardown(test_busy, begin, end),
		cmocka_unit_test_setup_teardown(test_badly_aligned, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
