/*
 * Every failure point of runtime/, one use after the other: each part of the library's life is run once to count how
 * often it comes by each point; then it is run again for every use (the first ones, and some drawn at random beyond), and
 * exactly that use fails, or that and all later ones. Stated each time:
 *   - each call returns 0, or an error that its header documents and that the point stands for; it neither crashes nor
 *     hangs (a child process runs it, under an alarm that names the case);
 *   - every accepted job ends exactly once, no other is run or reported;
 *   - memory, file descriptors and threads are back where they were;
 *   - the same part without a failure succeeds afterwards.
 * tests/e2e/failpoints.py compares the table below with the points in runtime/.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inject_util.h"

#include "inject_parts.h"

#define CASE_S (TU_TSAN || TU_ASAN ? 120u : 30u)
#define RERUNS 3u

static const struct fault_point table[] = {
	{ "allocator", ERR(ENOMEM) | ERR(EDEADLK) | ERR(ELIMIT), CUSTOM }, /* as mem.alloc */
	{ "balancer_alloc", ERR(ENOMEM), 0 },
	{ "budget.file", 0, 0 },
	{ "budget.read", 0, 0 },
	{ "calibrate.thread", 0, 0 },
	{ "clock.file", 0, MAY },
	{ "clock.read", 0, MAY },
	{ "config.alloc", ERR(ENOMEM), 0 },
	{ "config.yaml", ERR(ENOMEM), 0 },
	{ "cq.eventfd", ERR(ESYS), 0 },
	{ "cpus.affinity", ERR(ESYS) | ERR(EPERM), QUIET },
	{ "error.key", 0, 0 },
	{ "error.text", 0, 0 },
	{ "file.alloc", ERR(ENOMEM), 0 },
	{ "file.open", ERR(EIO), 0 },
	{ "file.read", ERR(EIO), 0 },
	{ "futex.wait", 0, 0 },
	{ "futex.wake", 0, 0 },
	{ "futex.waking", 0, LATE },
	{ "hist_alloc", ERR(ENOMEM), 0 },
	{ "hlog_alloc", ERR(ENOMEM), 0 },
	{ "hlog_close", ERR(EIO), 0 },
	{ "hlog_file", ERR(EIO), 0 },
	{ "hlog_read", ERR(EIO), 0 },
	{ "hlog_write", ERR(EIO), 0 },
	{ "hlog_zlib", ERR(ENOMEM), 0 },
	{ "mem.alloc", ERR(ENOMEM) | ERR(EDEADLK) | ERR(ELIMIT), 0 }, /* the last two: no spare for a job that waits */
	{ "mem.arena", 0, MAY },
	{ "mem.drop", 0, MAY }, /* only after a burst: giveback_test */
	{ "mem.init", ERR(ENOMEM), 0 },
	{ "mem.map", ERR(ENOMEM) | ERR(EDEADLK) | ERR(ELIMIT), 0 },
	{ "plan.alloc", ERR(ENOMEM), 0 },
	{ "pool.thread", ERR(ESYS) | ERR(EDEADLK) | ERR(ELIMIT), 0 },
	{ "process.atfork", ERR(ESYS), 0 },
	{ "process.key", ERR(ESYS), 0 },
	{ "registry_alloc", ERR(ENOMEM), 0 },
	{ "registry_atfork", ERR(ESYS), 0 },
	{ "registry_membarrier", 0, 0 },
	{ "registry_pin", 0, 0 },
	{ "registry_table", ERR(ENOMEM), 0 },
	{ "runtime.membarrier", 0, 0 },
	{ "runtime.membarrier_register", 0, 0 },
	{ "snapshot.alloc", ERR(ENOMEM), 0 },
	{ "starter.thread", ERR(ESYS), 0 },
	{ "submitter.claim", ERR(ELIMIT) | ERR(EDEADLK), 0 },
	{ "submitter.setspecific", ERR(ELIMIT) | ERR(EDEADLK), 0 },
	{ "thread.look", 0, 0 },
	{ "thread.nice", 0, 0 },
	{ "thread.slack", 0, 0 },
	{ "thread.unpin", 0, MAY }, /* only by hand: thread_attr_test */
	{ "topo.alloc", ERR(ENOMEM), 0 },
	{ "topo.bitmap", ERR(ENOMEM), 0 },
	{ "topo.distances", 0, 0 },
	{ "topo.getcpu", ERR(ESYS) | ERR(EPERM), QUIET },
	{ "topo.load", ERR(ESYS) | ERR(EIO) | ERR(EINVAL), 0 },
	{ "topo.membind", ERR(EPERM), 0 },
	{ "topo.page_node", ERR(ESYS), 0 },
	{ "topo.pin", ERR(EPERM), 0 },
	{ "topo.xml", ERR(EIO), 0 },
	{ "worker.replace", 0, MAY }, /* only when a handler ends its thread: thread_exit_test */
	{ "any allocation", ERR(ENOMEM) | ERR(ESYS) | ERR(EIO) | ERR(EINVAL) | ERR(ELIMIT) | ERR(EDEADLK) | ERR(EPERM), MAY | QUIET },
	{ NULL, 0, 0 },
};

struct part {
	const char *name;
	void (*run)(void);
};

static const struct part parts[] = {
	{ "topology", part_topology },
	{ "runtime", part_runtime },
	{ "configuration", part_configuration },
	{ "records", part_records },
	{ "balancer", part_balancer },
	{ "names", part_names },
};

/* Runs a part with a fault; `how` FAULT_NONE only counts. */
static void part_run(const struct part *part, const struct fault_point *p, enum fault_how how, unsigned n)
{
	fault.point = p ? p->name : "";
	fault.codes = p ? p->codes : 0;
	fault.how = how;
	atomic_store(&fault.left, n);
	atomic_store(&fault.fired, 0);
	(void)alarm(CASE_S);
	atomic_store(&fault.on, true);
	part->run();
	atomic_store(&fault.on, false);
	(void)alarm(0);
}

/* One case. What is left behind once may be what a library keeps for next time; what is left every time is a leak. */
static void case_run(const struct part *part, const struct fault_point *p, enum fault_how how, unsigned n)
{
	static const char *const words[] = { "nothing fails", "fails", "and all later fail", "is late", "and all later are late" };
	struct left before, after;
	uint32_t i;

	(void)snprintf(shared->at, sizeof(shared->at), "part %s: %s, use %u %s", part->name, p ? p->name : "-", n, words[how]);
	for (i = 0; i <= RERUNS; i++) {
		before = left_now();
		part_run(part, p, how, n);
		shared->cases++;
		shared->fired += atomic_load(&fault.fired) != 0;
		if (left_same(&before, &after))
			return;
	}
	die("%ld blocks, %d files, %d threads are left behind each time", after.blocks - before.blocks,
	    (int)after.files - (int)before.files, (int)after.threads - (int)before.threads);
}

/* The program's allocator, for the rows that want one. */
static void *custom_alloc(void *arg, size_t bytes, size_t align)
{
	(void)arg;
	return fault_hook(NULL, "allocator") != 0 ? NULL : aligned_alloc(align, bytes);
}

static void custom_free(void *arg, void *p, size_t bytes, size_t align)
{
	(void)arg;
	(void)bytes;
	(void)align;
	free(p);
}

struct job {
	const struct part *part;
	const struct fault_point *point; /* NULL: only count */
	bool custom;                     /* with an allocator of the program's */
	enum fault_how how;
	uint32_t uses;
	uint32_t first; /* so many first uses are tried */
	uint32_t drawn; /* and so many later ones */
	uint64_t seed;
};

static uint64_t draw(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void job_main(const struct job *j)
{
	static const struct shunt_allocator custom = { sizeof(custom), custom_alloc, custom_free, NULL };
	uint64_t s = j->seed;
	uint32_t n;

	if (j->custom && shunt_allocator_set(&custom) != 0)
		die("shunt_allocator_set failed");
	if (!j->point) {
		part_run(j->part, NULL, FAULT_NONE, 0);
		return;
	}
	for (n = 0; n < j->uses && n < j->first; n++)
		case_run(j->part, j->point, j->how, n);
	for (n = 0; n < j->drawn && j->uses > j->first; n++)
		case_run(j->part, j->point, j->how, j->first + (uint32_t)(draw(&s) % (j->uses - j->first)));
	(void)snprintf(shared->at, sizeof(shared->at), "part %s, after %s had failed", j->part->name, j->point->name);
	atomic_store(&fault.fired, 0);
	part_run(j->part, NULL, FAULT_NONE, 0);
	if (shunt_allocator_set(NULL) != 0)
		die("the library counts something that is left");
	left_sanitizer();
}

static void *nothing(void *arg)
{
	return arg;
}

/* A first thread: sanitizers start one of their own beside it, which is to be there before anything is counted. */
static void first_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, nothing, NULL) == 0)
		(void)pthread_join(t, NULL);
}

/* In a child: a crash or a hang is its own, and what is done once in a process is done once in each. */
static void job_run(const struct job *j)
{
	static const int usual[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM };
	int status = 0;
	pid_t pid;
	uint32_t i;

	memset(shared->why, 0, sizeof(shared->why));
	(void)snprintf(shared->at, sizeof(shared->at), "part %s, no failure", j->part->name);
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
			(void)signal(usual[i], SIG_DFL);
		first_thread();
		sh_inject_set(fault_hook, NULL);
		job_main(j);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		fail_msg("%s: %s", shared->at, WTERMSIG(status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(status)));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("%s: %s", shared->at, shared->why[0] ? shared->why : "it ended with an error");
}

/* All faults of one point in one part. */
static void sweep_point(const struct part *part, const struct fault_point *p, uint32_t uses, bool *told)
{
	bool full = getenv("SHUNT_LONG") && strcmp(getenv("SHUNT_LONG"), "1") == 0;
	struct job j = { part, p, p->flags & CUSTOM, p->flags & LATE ? FAULT_LATE : FAULT_ONCE, uses, full ? 400 : 24, full ? 50 : 4, tu_seed() };
	uint32_t before = shared->errors;

	job_run(&j);
	j.how = p->flags & LATE ? FAULT_LATE_ON : FAULT_ON;
	j.first = full ? 400 : 6;
	j.drawn = full ? 50 : 2;
	job_run(&j);
	*told = *told || shared->errors > before;
}

/* How often a part comes by each point, of those that want an allocator of the program's or of the others. */
static void uses_count(const struct part *part, bool custom, uint32_t *uses)
{
	struct job j = { part, NULL, custom, FAULT_NONE, 0, 0, 0, 0 };
	uint32_t i;

	memset(shared->hits, 0, sizeof(shared->hits));
	job_run(&j);
	for (i = 0; table[i].name; i++)
		if (((table[i].flags & CUSTOM) != 0) == custom)
			uses[i] = shared->hits[i];
}

static void test_sweep(void **state)
{
	uint32_t uses[sizeof(parts) / sizeof(parts[0])][POINTS_MAX];
	uint32_t i, k;

	(void)state;
	for (k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
		uses_count(&parts[k], false, uses[k]);
		uses_count(&parts[k], true, uses[k]);
	}
	for (i = 0; table[i].name; i++) {
		uint32_t cases = shared->cases, fired = shared->fired, errors = shared->errors, all = 0;
		bool told = false;

		for (k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
			all += uses[k][i];
			if (uses[k][i] > 0)
				sweep_point(&parts[k], &table[i], uses[k][i], &told);
		}
		(void)printf("%-28s %6u uses %5u cases %5u failed there %5u errors returned\n", table[i].name, all,
			     shared->cases - cases, shared->fired - fired, shared->errors - errors);
		if (all == 0 && !(table[i].flags & MAY))
			fail_msg("%s: no part comes by it", table[i].name);
		if (all > 0 && shared->fired == fired)
			fail_msg("%s: it never failed", table[i].name);
		if (all > 0 && table[i].codes != 0 && !(table[i].flags & QUIET) && !told)
			fail_msg("%s: no call ever told of it", table[i].name);
	}
	(void)printf("%u cases\n", shared->cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sweep),
	};

	(void)tu_seed();
	points = table;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
