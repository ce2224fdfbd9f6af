/*
 * What a worker's thread is: it takes no signal of the process but its own faults, unless the pool lets some
 * through; its stack is as large as was asked for; its nice value is its own. Each is read back in the thread and
 * shown in the snapshot. Bad values are refused by the options and by the configuration.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shunt/config.h>
#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "base/inject.h"
#include "base/signals.h"

#define BIT(n) (UINT64_C(1) << ((n)-1))
#define WORKERS 2u

static atomic_int taken_by; /* thread that a signal came to */

static void on_signal(int number)
{
	(void)number;
	atomic_store(&taken_by, (int)gettid());
}

static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };

static struct shunt_snapshot *look(struct shunt_runtime *rt)
{
	struct shunt_snapshot *s;

	assert_int_equal(shunt_snapshot_create(rt, &s), 0);
	return s;
}

/* Blocked by this thread, by the kernel's own words; so the text says what a signal meets, not what was asked for. */
static uint64_t blocked_of(int tid)
{
	char path[64], line[256];
	unsigned long long bits = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) && sscanf(line, "SigBlk: %llx", &bits) != 1)
		;
	(void)fclose(f);
	return bits;
}

struct seen {
	int tid;
	int nice;
	cpu_set_t cpus;
	size_t stack;
};

static int tell_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct seen *s = arg;
	pthread_attr_t attr;
	void *base;

	(void)ctx;
	assert_int_equal(pthread_getattr_np(pthread_self(), &attr), 0);
	assert_int_equal(pthread_attr_getstack(&attr, &base, &s->stack), 0);
	(void)pthread_attr_destroy(&attr);
	s->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
	assert_int_equal(sched_getaffinity(0, sizeof(s->cpus), &s->cpus), 0);
	s->tid = (int)gettid();
	return SHUNT_DONE;
}

static int block_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)arg;
	assert_int_equal(shunt_block_begin(ctx), 0);
	shunt_block_end(ctx);
	return SHUNT_DONE;
}

static struct seen tell(struct shunt_runtime *rt, struct shunt_type_id type, uint32_t worker)
{
	struct seen seen = { .tid = 0 };
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec spec = tu_spec(type, &seen);
	struct shunt_job_id id;

	opts.worker = worker;
	spec.flags = SHUNT_JOB_ON_WORKER;
	spec.opts = &opts;
	assert_int_equal(shunt_submit(rt, &spec, &id), 0);
	tu_join(rt, id, SHUNT_JOB_DONE);
	return seen;
}

/* ---- what a job starts ---- */

static struct {
	struct shunt_runtime *rt;
	cpu_set_t ours;
	int slack;
	uint32_t checks;
} starts;

static void check_free(void)
{
	cpu_set_t cpus;

	assert_int_equal(shunt_thread_unpin(starts.rt), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	assert_true(CPU_EQUAL(&cpus, &starts.ours));
	assert_int_equal(prctl(PR_GET_TIMERSLACK), starts.slack);
	starts.checks++;
}

static void *free_thread(void *arg)
{
	(void)arg;
	check_free();
	return NULL;
}

/* The workers of a pool, and of a runtime, that a job of a pinned worker makes. */
static void check_made(struct shunt_runtime *rt, const char *name)
{
	struct seen seen = tell(rt, tu_type(rt, tu_pool(rt, name, 1), name, tell_job), 0);

	assert_true(CPU_EQUAL(&seen.cpus, &starts.ours));
	starts.checks++;
}

static int start_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_runtime *own;
	cpu_set_t cpus;
	pthread_t thread;
	pid_t child;
	int status = 0;

	(void)ctx;
	(void)arg;
	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	assert_int_equal(CPU_COUNT(&cpus), 1);
	assert_int_equal(prctl(PR_GET_TIMERSLACK), 1);
	assert_int_equal(pthread_create(&thread, NULL, free_thread, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	child = fork();
	if (child == 0) {
		check_free();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	check_made(starts.rt, "inner");
	own = tu_runtime();
	check_made(own, "own");
	tu_close(own);
	return SHUNT_DONE;
}

static int no_slack(void *arg, const char *point)
{
	(void)arg;
	return strcmp(point, "thread.unpin") == 0;
}

/* Threads, children, pools and runtimes that a job of a pinned worker starts have the process's cpus and its timers. */
static void test_started_in_a_job(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts po = tu_pool_opts("outer", 1);
	struct shunt_type_id type;

	(void)state;
	starts.rt = rt;
	starts.slack = prctl(PR_GET_TIMERSLACK);
	assert_int_equal(sched_getaffinity(0, sizeof(starts.ours), &starts.ours), 0);
	po.pin = SHUNT_PIN_COMPACT;
	type = tu_type(rt, tu_pool_with(rt, &po), "start", start_job);
	tu_join(rt, tu_submit(rt, type, NULL), SHUNT_JOB_DONE);
	assert_int_equal(starts.checks, 3);
	assert_int_equal(shunt_thread_unpin(NULL), SHUNT_EINVAL);
	sh_inject_set(no_slack, NULL);
	assert_int_equal(shunt_thread_unpin(rt), SHUNT_ESYS);
	sh_inject_set(NULL, NULL);
	tu_close(rt);
}

/* ---- signals ---- */

static void signals_check(const struct shunt_worker_info *w, int tid, uint64_t through)
{
	size_t i;

	assert_true(w->signal_mask == blocked_of(tid));
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		assert_true((w->signal_mask & BIT(faults[i])) == 0);
	assert_true((w->signal_mask & through) == 0);
	assert_true((w->signal_mask & BIT(SIGTERM)) != 0 || (through & BIT(SIGTERM)) != 0);
	assert_true((w->signal_mask & BIT(SIGRTMIN + 3)) != 0 || (through & BIT(SIGRTMIN + 3)) != 0);
}

static bool pending(int number)
{
	sigset_t set;

	assert_int_equal(sigpending(&set), 0);
	return sigismember(&set, number) == 1;
}

/* The main thread blocks USR1, so it would come to any thread of the pool that does not. */
static void test_no_worker_takes_a_signal(void **state)
{
	struct sigaction old, sa = { .sa_handler = on_signal };
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_id pool;
	struct shunt_type_id type, block;
	struct shunt_snapshot *s;
	struct timespec now = { 0, 0 };
	uint64_t ours = blocked_of((int)gettid());
	sigset_t usr1, before;
	uint32_t i;

	(void)state;
	(void)sigemptyset(&usr1);
	(void)sigaddset(&usr1, SIGUSR1);
	pool = tu_pool(rt, "p", WORKERS);
	type = tu_type(rt, pool, "tell", tell_job);
	block = tu_type(rt, pool, "block", block_job);
	tu_join(rt, tu_submit(rt, block, NULL), SHUNT_JOB_DONE); /* a spare is there, too */
	/* The maker's mask is as it was. */
	assert_true(blocked_of((int)gettid()) == ours);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr1, &before), 0);
	assert_int_equal(sigaction(SIGUSR1, &sa, &old), 0);
	atomic_store(&taken_by, 0);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	s = look(rt);
	assert_int_equal(shunt_snapshot_worker_count(s), WORKERS + 1);
	for (i = 0; i < WORKERS; i++) /* each goes through the kernel and back */
		signals_check(shunt_snapshot_worker_at(s, i), tell(rt, type, i).tid, 0);
	assert_true(shunt_snapshot_worker_at(s, WORKERS)->signal_mask == shunt_snapshot_worker_at(s, 0)->signal_mask);
	shunt_snapshot_destroy(s);
	assert_int_equal(atomic_load(&taken_by), 0);
	assert_true(pending(SIGUSR1));
	assert_int_equal(sigtimedwait(&usr1, NULL, &now), SIGUSR1);
	assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
	tu_close(rt);
}

static void test_signals_let_through(void **state)
{
	struct sigaction old, sa = { .sa_handler = on_signal };
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts o = tu_pool_opts("p", 1);
	struct shunt_type_id type;
	struct shunt_snapshot *s;
	struct seen seen;
	sigset_t usr1, before;

	(void)state;
	(void)sigemptyset(&usr1);
	(void)sigaddset(&usr1, SIGUSR1);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr1, &before), 0);
	assert_int_equal(sigaction(SIGUSR1, &sa, &old), 0);
	o.signals = "usr1, rt3";
	type = tu_type(rt, tu_pool_with(rt, &o), "tell", tell_job);
	seen = tell(rt, type, 0);
	s = look(rt);
	signals_check(shunt_snapshot_worker_at(s, 0), seen.tid, BIT(SIGUSR1) | BIT(SIGRTMIN + 3));
	shunt_snapshot_destroy(s);
	atomic_store(&taken_by, 0);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	tu_wait_until(atomic_load(&taken_by) == seen.tid);
	tu_close(rt);
	assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

static void test_all_signals(void **state)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts o = tu_pool_opts("p", 1);
	struct shunt_snapshot *s;

	(void)state;
	o.signals = "all";
	(void)tu_pool_with(rt, &o);
	s = look(rt);
	assert_true(shunt_snapshot_worker_at(s, 0)->signal_mask == 0);
	shunt_snapshot_destroy(s);
	tu_close(rt);
}

/* Every signal that a worker may take has a name, in small letters and in capitals. */
static void test_names(void **state)
{
	static const char *const names[][2] = {
		{ "hup,int,quit,abrt,usr1,usr2,pipe,alrm,term,chld,"
		  "cont,tstp,ttin,ttou,urg,xcpu,xfsz,prof,winch,io,vtalrm,pwr",
		  "HUP,INT,QUIT,ABRT,USR1,USR2,PIPE,ALRM,TERM,CHLD,"
		  "CONT,TSTP,TTIN,TTOU,URG,XCPU,XFSZ,PROF,WINCH,IO,VTALRM,PWR" },
		{ "rt0,rt7", "RT0, Rt7" },
		{ "none", "NONE" },
		{ "all", "All" },
	};
	uint64_t named = 0;

	(void)state;
	for (size_t i = 0; i < SH_COUNT(names); i++) {
		uint64_t small = 0, capitals = 1;

		assert_null(sh_signals_parse(names[i][0], &small));
		assert_null(sh_signals_parse(names[i][1], &capitals));
		assert_true(small == capitals);
		named |= i == 0 ? small : 0;
	}
#ifdef SIGSTKFLT
	uint64_t stkflt = 0;

	assert_null(sh_signals_parse("stkflt", &stkflt));
	assert_true(stkflt == BIT(SIGSTKFLT));
	named |= stkflt;
#endif
	for (int n = 1; n < 32; n++)
		if (n != SIGKILL && n != SIGSTOP && (BIT(n) & (named | sh_signals_own_faults())) == 0)
			fail_msg("signal %d has no name", n);
}

/* ---- stack and nice ---- */

static int small_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_job_spec spec = tu_spec(*(struct shunt_type_id *)arg, NULL);
	struct shunt_job_id id;
	struct shunt_snapshot *s;

	assert_int_equal(shunt_snapshot_create(shunt_job_runtime(ctx), &s), 0);
	shunt_snapshot_destroy(s);
	assert_int_equal(shunt_submit(shunt_job_runtime(ctx), &spec, &id), 0);
	assert_int_equal(shunt_wait(shunt_job_runtime(ctx), id, TU_LONG_NS, NULL), 0);
	return SHUNT_DONE;
}

static void stack_of(uint64_t bytes, uint64_t want)
{
	struct shunt_runtime *rt = tu_runtime();
	struct shunt_pool_opts o = tu_pool_opts("p", 1);
	struct shunt_type_id type, small, block;
	struct shunt_pool_id pool;
	struct shunt_snapshot *s;
	struct seen seen;

	o.stack_bytes = bytes;
	pool = tu_pool_with(rt, &o);
	type = tu_type(rt, pool, "tell", tell_job);
	small = tu_type(rt, pool, "small", small_job);
	block = tu_type(rt, pool, "block", block_job);
	seen = tell(rt, type, 0);
	tu_join(rt, tu_submit(rt, small, &block), SHUNT_JOB_DONE);
	s = look(rt);
	assert_true(shunt_snapshot_worker_at(s, 0)->stack_bytes == seen.stack);
	if (want != 0 && !TU_TSAN && seen.stack != want) /* ThreadSanitizer changes sizes by its own storage */
		fail_msg("asked for %llu bytes of stack, got %zu", (unsigned long long)bytes, seen.stack);
	assert_true(TU_TSAN || (seen.stack >= bytes && seen.stack % (size_t)sysconf(_SC_PAGESIZE) == 0));
	assert_true(shunt_snapshot_worker_at(s, 0)->nice == seen.nice && shunt_snapshot_worker_at(s, 0)->nice_error == 0);
	shunt_snapshot_destroy(s);
	tu_close(rt);
}

static void test_stack(void **state)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	(void)state;
	/* First, because the C library hands on stacks of threads that ended, larger ones, too. */
	stack_of(SHUNT_STACK_MIN, SHUNT_STACK_MIN);
	stack_of(16 * page * 16 + 1, 16 * page * 16 + page);
	stack_of(0, 0);
	stack_of(SHUNT_STACK_MAX, SHUNT_STACK_MAX);
}

struct lines {
	atomic_uint warnings;
	char last[512];
};

static void on_log(void *arg, enum shunt_log_level level, const char *message)
{
	struct lines *l = arg;

	if (level > SHUNT_LOG_WARN)
		return;
	(void)snprintf(l->last, sizeof(l->last), "%s", message);
	(void)atomic_fetch_add(&l->warnings, 1);
}

static struct shunt_runtime *runtime_with(struct lines *l)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;

	atomic_store(&l->warnings, 0);
	ro.log = on_log;
	ro.log_arg = l;
	return tu_runtime_with(&ro);
}

static int fail_nice(void *arg, const char *point)
{
	(void)arg;
	return strcmp(point, "thread.nice") == 0;
}

static void nice_of(int32_t nice, bool refuse)
{
	struct lines l;
	int ours = getpriority(PRIO_PROCESS, (id_t)gettid());
	struct shunt_runtime *rt = runtime_with(&l);
	struct shunt_pool_opts o = tu_pool_opts("p", 1);
	struct shunt_type_id type;
	struct shunt_snapshot *s;
	struct seen seen;

	o.nice = nice;
	sh_inject_set(refuse ? fail_nice : NULL, NULL);
	type = tu_type(rt, tu_pool_with(rt, &o), "tell", tell_job);
	sh_inject_set(NULL, NULL);
	seen = tell(rt, type, 0);
	s = look(rt);
	assert_int_equal(shunt_snapshot_worker_at(s, 0)->nice, seen.nice);
	assert_int_equal(getpriority(PRIO_PROCESS, (id_t)gettid()), ours);
	if (shunt_snapshot_worker_at(s, 0)->nice_error == 0) {
		assert_false(refuse);
		assert_int_equal(seen.nice, nice == 0 ? ours : nice);
		assert_int_equal(atomic_load(&l.warnings), 0);
	} else { /* never silent */
		assert_true(refuse || nice < ours);
		assert_int_equal(shunt_snapshot_worker_at(s, 0)->nice_error, SHUNT_EPERM);
		assert_int_equal(seen.nice, ours);
		assert_int_equal(atomic_load(&l.warnings), 1);
		assert_non_null(strstr(l.last, "pool p: worker 0: wanted nice"));
	}
	shunt_snapshot_destroy(s);
	tu_close(rt);
}

static void test_nice(void **state)
{
	(void)state;
	nice_of(0, false);
	nice_of(7, false);
	nice_of(19, false);
	nice_of(-3, false); /* allowed only to some */
	nice_of(7, true);
}

/* ---- spares ---- */

struct changed {
	struct shunt_type_id tell;
	struct seen worker, spare;
};

/* Changes its own thread as a job may, then blocks; the spare that this starts runs the other job. */
static int changed_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct changed *c = arg;
	struct shunt_job_spec spec = tu_spec(c->tell, &c->spare);
	struct shunt_job_id id;
	cpu_set_t one = c->worker.cpus;
	size_t cpu = CPU_SETSIZE;

	while (CPU_COUNT(&one) > 1)
		CPU_CLR(--cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(setpriority(PRIO_PROCESS, (id_t)gettid(), c->worker.nice + 3), 0);
	assert_int_equal(shunt_block_begin(ctx), 0);
	assert_int_equal(shunt_submit(shunt_job_runtime(ctx), &spec, &id), 0);
	tu_wait_until(shunt_poll(shunt_job_runtime(ctx), id, NULL) == 0);
	assert_int_equal(shunt_detach(shunt_job_runtime(ctx), id), 0);
	shunt_block_end(ctx);
	return SHUNT_DONE;
}

static void spare_of(int32_t nice)
{
	struct lines l;
	struct shunt_runtime *rt = runtime_with(&l);
	struct shunt_pool_opts o = tu_pool_opts("p", 1);
	struct shunt_pool_id pool;
	struct shunt_type_id changed;
	struct changed c;
	struct shunt_snapshot *s;
	cpu_set_t ours;

	o.pin = SHUNT_PIN_NONE;
	o.nice = nice;
	pool = tu_pool_with(rt, &o);
	assert_int_equal(sched_getaffinity(0, sizeof(ours), &ours), 0);
	c.tell = tu_type(rt, pool, "tell", tell_job);
	changed = tu_type(rt, pool, "changed", changed_job);
	c.worker = tell(rt, c.tell, 0);
	assert_true(CPU_EQUAL(&c.worker.cpus, &ours));
	tu_join(rt, tu_submit(rt, changed, &c), SHUNT_JOB_DONE);
	assert_int_not_equal(c.spare.tid, c.worker.tid);
	assert_true(CPU_EQUAL(&c.spare.cpus, &ours));
	s = look(rt);
	assert_int_equal(shunt_snapshot_worker_count(s), 2);
	assert_int_equal(shunt_snapshot_worker_at(s, 1)->nice, c.spare.nice);
	if (shunt_snapshot_worker_at(s, 1)->nice_error == 0) {
		assert_int_equal(c.spare.nice, c.worker.nice);
		assert_int_equal(atomic_load(&l.warnings), 0);
	} else { /* back to a lower value is allowed only to some; never silent */
		assert_int_equal(shunt_snapshot_worker_at(s, 1)->nice_error, SHUNT_EPERM);
		assert_non_null(strstr(l.last, "pool p: worker 1: wanted nice"));
	}
	shunt_snapshot_destroy(s);
	tu_close(rt);
}

static void test_spare(void **state)
{
	(void)state;
	spare_of(0);
	spare_of(4);
}

/* ---- bad values ---- */

/* The library and the configuration refuse it in the same words. */
static void refused(const struct shunt_pool_opts *o, const char *yaml, const char *say)
{
	struct lines l;
	struct shunt_runtime *rt = runtime_with(&l);
	struct shunt_config *c;
	struct shunt_pool_id id;
	char text[600];
	int n;

	assert_int_equal(shunt_pool_create(rt, o, &id), SHUNT_EINVAL);
	if (!strstr(l.last, say))
		fail_msg("'%s' is not in '%s'", say, l.last);
	tu_close(rt);
	assert_int_equal(shunt_config_create(&c), 0);
	n = snprintf(text, sizeof(text), "pools:\n  p:\n    %s\n", yaml);
	assert_int_equal(shunt_config_load_text(c, "f", text, (size_t)n), SHUNT_ECONFIG);
	(void)snprintf(text, sizeof(text), "f:3: %s\n", l.last);
	assert_string_equal(shunt_config_errors(c), text);
	shunt_config_destroy(c);
}

static void test_bad_values(void **state)
{
	static const struct {
		const char *signals, *say;
	} bad[] = {
		{ "usr9", "names no signal" },
		{ "SIGUSR1", "names no signal" },
		{ "rtx", "names no signal" },
		{ "KILL", "names a signal that no thread can block" },
		{ "usr1,,prof", "names no signal" },
		{ "usr1,", "names no signal" },
		{ "usr1 prof", "names no signal" },
		{ "none,usr1", "names no signal" },
		{ "rt31", "names no signal" },
		{ "rt00", "names no signal" },
		{ "rt", "names no signal" },
		{ "kill", "names a signal that no thread can block" },
		{ "prof,segv", "names a signal that every worker takes" },
	};
	struct shunt_pool_opts o = tu_pool_opts("p", 1);
	char yaml[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		o.signals = bad[i].signals;
		(void)snprintf(yaml, sizeof(yaml), "signals: '%s'", bad[i].signals);
		refused(&o, yaml, bad[i].say);
	}
	o = tu_pool_opts("p", 1);
	o.nice = 20;
	refused(&o, "nice: 20", "'20' is out of range; want an integer from -20 to 19");
	o.nice = -21;
	refused(&o, "nice: -21", "'-21' is out of range; want an integer from -20 to 19");
	o = tu_pool_opts("p", 1);
	o.stack_bytes = SHUNT_STACK_MIN - 1;
	refused(&o, "stack_size: 131071B", "want a size from 128KiB to 1GiB");
	o.stack_bytes = SHUNT_STACK_MAX + 1;
	refused(&o, "stack_size: 1073741825B", "want a size from 128KiB to 1GiB");
}

static void test_from_a_file(void **state)
{
	static const char text[] = "pools:\n  p:\n    workers: 1\n    pin: none\n"
				   "    stack_size: 256KiB\n    nice: 4\n    signals: usr1,prof\n";
	struct shunt_runtime *rt = NULL;
	struct shunt_config *c;
	struct shunt_snapshot *s;
	uint64_t blocked;

	(void)state;
	assert_int_equal(shunt_config_create(&c), 0);
	assert_int_equal(shunt_config_load_text(c, "f", text, sizeof(text) - 1), 0);
	assert_int_equal(shunt_config_runtime(c, NULL, NULL, &rt), 0);
	shunt_config_destroy(c);
	s = look(rt);
	blocked = shunt_snapshot_worker_at(s, 0)->signal_mask;
	assert_true(shunt_snapshot_worker_at(s, 0)->stack_bytes >= 256u * 1024u);
	assert_int_equal(shunt_snapshot_worker_at(s, 0)->nice, 4);
	assert_true((blocked & (BIT(SIGUSR1) | BIT(SIGPROF))) == 0 && (blocked & BIT(SIGUSR2)) != 0);
	shunt_snapshot_destroy(s);
	tu_close(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_started_in_a_job),
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_no_worker_takes_a_signal),
		cmocka_unit_test(test_signals_let_through),
		cmocka_unit_test(test_all_signals),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_nice),
		cmocka_unit_test(test_spare),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_from_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
