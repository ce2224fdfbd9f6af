/*
 * tests/unit/options_start_test.c - what the check accepts starts: both ends of every key's range start a runtime, a
 * pool and a job, or the error names the key and the amount of memory or threads that the machine did not give.
 *
 * Mappings of 1 GiB and more are faked: address space without any access, of which a fault makes 64 KiB memory. So no
 * machine is too small, or too strict with promises of memory, for the upper ends.
 *
 * SPDX-License-Identifier: MIT
 */
#include "options_util.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- memory that is not there until it is used ---- */

#define FAKES (!TU_ASAN && !TU_TSAN) /* the sanitizers have a mmap of their own */

#if FAKES
#define BIG (UINT64_C(1) << 30)
#define CHUNK ((uintptr_t)1 << 16)
#define FAKED_MAX 64u

static struct {
	atomic_uintptr_t first, last;
} faked[FAKED_MAX];

static atomic_uint faked_n;

static bool chunk_use(uintptr_t at)
{
	return mprotect((void *)(at & ~(CHUNK - 1)), CHUNK, PROT_READ | PROT_WRITE) == 0;
}

/* A fault in a faked mapping makes a chunk of it memory; any other is a crash. */
static void on_fault(int number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	unsigned i;

	(void)context;
	for (i = 0; i < atomic_load(&faked_n); i++)
		if (at >= atomic_load(&faked[i].first) && at < atomic_load(&faked[i].last) && chunk_use(at))
			return;
	(void)signal(number, SIG_DFL);
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	bool fake = size >= BIG && (flags & MAP_ANONYMOUS) && atomic_load(&faked_n) < FAKED_MAX;
	size_t room = fake ? size + CHUNK : size;
	uintptr_t p = (uintptr_t)syscall(SYS_mmap, at, room, fake ? PROT_NONE : prot, flags, fd, offset);
	unsigned n;

	if (!fake || (void *)p == MAP_FAILED)
		return (void *)p;
	p = (p + CHUNK - 1) & ~(CHUNK - 1);
	n = atomic_load(&faked_n);
	atomic_store(&faked[n].first, p);
	atomic_store(&faked[n].last, p + size);
	atomic_store(&faked_n, n + 1);
	return (void *)p;
}
#endif

/* ---- both ends of every key ---- */

struct ends {
	unsigned started, refused;
};

/* Starts what the text says and runs a job; or an error that names the key and the amount. */
static void start_one(const char *const *set, const char *path, struct ends *ends)
{
	struct shunt_config *c = NULL;
	struct shunt_runtime *rt = NULL;
	struct shunt_job_spec spec;
	struct shunt_job_id id;
	struct shunt_result result;
	int count = 0;
	int rc;

	assert_int_equal(shunt_config_create(&c), 0);
	assert_int_equal(shunt_config_set(c, "f", "types.t.handler=h"), 0);
	for (; *set; set++)
		if (shunt_config_set(c, "f", *set))
			fail_msg("%s: %s", *set, shunt_config_errors(c));
	assert_int_equal(shunt_config_bind(c, "h", nothing), 0);
	if (shunt_config_check(c))
		fail_msg("%s: %s", path, shunt_config_errors(c));
	forget();
	rc = shunt_config_runtime(c, on_log, NULL, &rt);
	shunt_config_destroy(c);
	if (rc != 0) {
		if (strncmp(said.text, path, strlen(path)) != 0 ||
		    !(strstr(said.text, "which the system refused") || strstr(said.text, "the system allows")))
			fail_msg("%s: %s: '%s'", path, shunt_error_name(rc), said.text);
		ends->refused++;
		return;
	}
	memset(&spec, 0, sizeof(spec));
	assert_int_equal(shunt_type_find(rt, "t", &spec.type), 0);
	spec.arg = &count;
	assert_int_equal(shunt_submit(rt, &spec, &id), 0);
	assert_int_equal(shunt_wait(rt, id, TU_LONG_NS, &result), 0);
	assert_int_equal(result.status, SHUNT_JOB_DONE);
	assert_int_equal(count, 1);
	assert_int_equal(shunt_runtime_destroy(rt, NULL), 0);
	ends->started++;
}

static void start_key(const struct sh_key *key, const char *value, struct ends *ends)
{
	const char *item = key->section == SH_POOLS ? "p" : key->section == SH_TYPES ? "t"
										     : NULL;
	char path[SH_KEY_PATH_MAX];
	char text[2 * SH_KEY_PATH_MAX];
	char mode[SH_KEY_PATH_MAX];
	char path_only[SH_KEY_PATH_MAX];
	/* Small, unless the key says otherwise: the last of equals wins. */
	const char *set[] = {
		"runtime.jobs_max=64",
		"runtime.submitters_max=4",
		"pools.p.workers=1",
		"pools.p.pin=none",
		text,
		NULL,
		NULL,
		NULL,
	};
	struct structs unused;

	structs_init(&unused);
	need_set(key, &unused, mode);
	if (key->per_level && strcmp(key->field, "reserved") == 0)
		set[2] = "pools.p.workers=1024";
	if (strcmp(key->field, "reserved") == 0 && strcmp(value, "0") == 0)
		set[6] = "pools.p.reserved.normal=1"; /* the mode wants one at least */
	if (strcmp(key->field, "level_mode") == 0 && strcmp(value, "reserved") == 0) {
		set[2] = "pools.p.workers=2";
		set[6] = "pools.p.reserved.high=1";
	}
	if (strcmp(key->field, "async_pool_max") == 0)
		set[2] = "pools.p.workers=auto"; /* of stated workers the sum is the limit */
	if (strcmp(key->field, "pin_required") == 0)
		set[3] = "pools.p.pin=compact";
	(void)sh_key_path(path, key, item, key->per_level ? "high" : NULL);
	(void)snprintf(text, sizeof(text), "%s=%s", path, value);
	set[5] = mode[0] ? mode : set[6];
	set[6] = mode[0] ? set[6] : NULL;
	start_one(set, sh_key_path(path_only, key, item, NULL), ends);
}

static void both_ends_start(void **state)
{
	struct ends ends = { 0, 0 };
#if FAKES
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
#endif
	(void)state;
	for (size_t k = 0; k < sh_keys_count; k++) {
		const struct sh_key *key = &sh_keys[k];
		char value[SH_VALUE_TEXT];

		if (key->type <= SH_KEY_PERCENT) {
			uint64_t low = key->min;
			unsigned before = ends.started;

			start_key(key, sh_key_print(value, key, low), &ends);
			assert_int_equal(ends.started, before + 1); /* the low end takes next to nothing */
			start_key(key, sh_key_print(value, key, key->max), &ends);
			if (key->word)
				start_key(key, key->word, &ends);
		}
		for (size_t i = 0; key->type == SH_KEY_ENUM && key->words[i]; i++)
			if (strcmp(key->words[i], "avoid-cpu0") != 0) /* a machine may have no other cpu */
				start_key(key, key->words[i], &ends);
		if (key->type == SH_KEY_BOOL) {
			start_key(key, "false", &ends);
			if (key->store == SH_STORE_FLAG) /* a pin may be refused by the machine */
				start_key(key, "true", &ends);
		}
	}
	(void)printf("%u started, %u refused by the machine\n", ends.started, ends.refused);
	assert_true(ends.started > 50);
#if FAKES
	assert_true(atomic_load(&faked_n) > 0);
	(void)signal(SIGSEGV, SIG_DFL);
#endif
}

/* ---- amounts that the system refuses ---- */

struct nth {
	const char *point;
	unsigned left;
};

static int nth_hook(void *arg, const char *point)
{
	struct nth *n = arg;

	return strcmp(point, n->point) == 0 && n->left-- == 0;
}

static void memory_refused(void **state)
{
	static const char *const want[] = {
		"runtime.handles_max: 5000 jobs need 625.0 KiB, which the system refused; want fewer, or more memory",
		"runtime.handles_max: 5000 jobs need ", /* what is known of their pages, and of ranges of them */
		"runtime.handles_max: 5000 jobs need ",
		"runtime.groups_max: 300 groups need ",
		"runtime.groups_max: 300 groups need ",
		"runtime.groups_max: 300 groups need ",
		"runtime.submitters_max: 4 threads need ",
	};
	static const char *const want_pool[] = {
		"runtime.jobs_max: 64 jobs need ",
		"pools.p.key_slots: 4096 slots need ",
		NULL, /* tables that no key sizes */
		NULL,
		"runtime.jobs_max: 64 jobs need ",
		"runtime.jobs_max: 64 jobs need ",
		"pools.p.workers: 2 workers need ",
	};
	struct shunt_runtime *rt = NULL;
	struct shunt_pool_id pool;

	(void)state;
	for (unsigned i = 0; i < SH_COUNT(want); i++) {
		struct shunt_runtime_opts o = runtime_opts();
		struct nth n = { "mem.map", i };

		o.handles_max = 5000;
		o.groups_max = 300;
		sh_inject_set(nth_hook, &n);
		assert_int_equal(shunt_runtime_create(&rt, &o), SHUNT_ENOMEM);
		sh_inject_set(NULL, NULL);
		if (strncmp(said.text, want[i], strlen(want[i])) != 0)
			fail_msg("want '%s', got '%s'", want[i], said.text);
	}
	rt = runtime_open();
	for (unsigned i = 0; i < SH_COUNT(want_pool); i++) {
		struct shunt_pool_opts po = tu_pool_opts("p", 2);
		struct nth n = { "mem.map", i };

		po.key_slots = 4096;
		forget();
		sh_inject_set(nth_hook, &n);
		assert_int_equal(shunt_pool_create(rt, &po, &pool), SHUNT_ENOMEM);
		sh_inject_set(NULL, NULL);
		if (want_pool[i] && strncmp(said.text, want_pool[i], strlen(want_pool[i])) != 0)
			fail_msg("want '%s', got '%s'", want_pool[i], said.text);
	}
	assert_int_equal(shunt_runtime_destroy(rt, NULL), 0);
}

static void threads_refused(void **state)
{
	struct shunt_runtime *rt = runtime_open();
	struct shunt_pool_opts po = tu_pool_opts("p", 8);
	struct nth thread = { "pool.thread", 3 };
	struct nth claim = { "submitter.claim", 5 };
	struct nth starter = { "starter.thread", 0 };
	struct shunt_pool_id pool;

	(void)state;
	sh_inject_set(nth_hook, &thread);
	assert_int_equal(shunt_pool_create(rt, &po, &pool), SHUNT_ESYS);
	expect_said("pools.p.workers: 8 threads: the system allows 3 more; want fewer, or a higher limit of threads");
	forget();
	sh_inject_set(nth_hook, &claim);
	assert_int_equal(shunt_pool_create(rt, &po, &pool), SHUNT_ELIMIT);
	expect_said("pools.p.workers: 8 threads: the 2048 worker threads of a runtime leave 5; want fewer");
	forget();
	sh_inject_set(nth_hook, &starter);
	assert_int_equal(shunt_pool_create(rt, &po, &pool), SHUNT_ESYS);
	expect_said("pools.p.spares_max: 64: the system has no thread that starts them; want none, or a higher limit "
		    "of threads");
	sh_inject_set(NULL, NULL);
	forget();
	assert_int_equal(shunt_pool_create(rt, &po, &pool), 0);
	expect_said("");
	assert_int_equal(shunt_runtime_destroy(rt, NULL), 0);
}

/* The number of workers is known only when the pool is planned. */
static void reserved_of_automatic_workers(void **state)
{
	struct shunt_topo *topo = tu_topo_text("core:2 pu:1", NULL);
	struct shunt_runtime_opts o = runtime_opts();
	struct shunt_pool_opts po = tu_pool_opts("p", 0);
	struct shunt_runtime *rt = NULL;
	struct shunt_pool_id pool;

	(void)state;
	o.topo = topo;
	assert_int_equal(shunt_runtime_create(&rt, &o), 0);
	po.level_mode = SHUNT_LEVELS_RESERVED;
	po.reserved[1] = 2;
	assert_int_equal(shunt_pool_create(rt, &po, &pool), SHUNT_EINVAL);
	expect_said("pools.p.reserved: the sum is 2 of 2 workers; want at most 1");
	po.reserved[1] = 1;
	assert_int_equal(shunt_pool_create(rt, &po, &pool), 0);
	assert_int_equal(shunt_runtime_destroy(rt, NULL), 0);
	shunt_topo_close(topo);
}

static char warned[512]; /* the last warning */

static void on_warning(void *arg, enum shunt_log_level level, const char *message)
{
	(void)arg;
	if (level == SHUNT_LOG_WARN && strstr(message, ".spin: "))
		(void)snprintf(warned, sizeof(warned), "%s", message);
}

/* How many cpus there are is known only here; workers that cannot spin are a warning, if that was asked for. */
static void spin_without_cpus(void **state)
{
	static const struct {
		uint32_t cpus, workers;
		uint64_t spin_ns;
		const char *want;
	} pools[] = {
		{ 2, 2, 20000, "" },
		{ 2, 3, 0, "" },
		{ 2, 3, 20000,
		  "pools.p.spin: '20us' has no effect with 3 workers on 2 cpus; want a cpu for each worker and two at "
		  "least, or not this key" },
		{ 1, 1, 1500,
		  "pools.p.spin: '1500ns' has no effect with 1 worker on 1 cpu; want a cpu for each worker and two at "
		  "least, or not this key" },
	};

	(void)state;
	for (size_t i = 0; i < SH_COUNT(pools); i++) {
		struct shunt_topo *topo = tu_topo_text(pools[i].cpus == 1 ? "core:1 pu:1" : "core:2 pu:1", NULL);
		struct shunt_runtime_opts o = runtime_opts();
		struct shunt_pool_opts po = tu_pool_opts("p", pools[i].workers);
		struct shunt_runtime *rt = NULL;
		struct shunt_pool_id pool;

		o.topo = topo;
		o.log = on_warning;
		warned[0] = '\0';
		po.spin_ns = pools[i].spin_ns;
		assert_int_equal(shunt_runtime_create(&rt, &o), 0);
		assert_int_equal(shunt_pool_create(rt, &po, &pool), 0);
		assert_string_equal(warned, pools[i].want);
		assert_int_equal(shunt_runtime_destroy(rt, NULL), 0);
		shunt_topo_close(topo);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_start),
		cmocka_unit_test(memory_refused),
		cmocka_unit_test(threads_refused),
		cmocka_unit_test(reserved_of_automatic_workers),
		cmocka_unit_test(spin_without_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
