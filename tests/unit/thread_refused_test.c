/*
 * tests/unit/thread_refused_test.c - a worker's thread that the system refuses is an error that names the key that is
 * the reason, and the amount: the number of threads, the memory of their stacks, a stack too small for the thread-local
 * data of this program. Each limit is a real one, of a child process.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shunt/error.h>

/* A sanitizer takes more address space than any limit, and makes stacks of its own size. */
#define SANITIZED (TU_ASAN || TU_TSAN)
#ifdef __GLIBC__
#define LOCAL_DATA_IN_STACK 1 /* of the size that was asked for; musl makes the stack larger */
#else
#define LOCAL_DATA_IN_STACK 0
#endif

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define NOBODY 65534

/* More than the smallest stack that a pool may have. */
static _Thread_local char local_data[256 * KIB];

struct answer {
	int rc;
	char detail[512];
};

/* A pool of 8 workers with such stacks, in a child that sets its limits by `limit`; false = it could not. */
static bool pool_in_child(bool (*limit)(void), uint64_t stack_bytes, struct answer *out)
{
	int pipes[2], status;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		struct shunt_runtime *rt = tu_runtime();
		struct shunt_pool_opts o = tu_pool_opts("p", 8);
		struct shunt_pool_id pool;
		struct answer a = { 0 };

		o.idle = SHUNT_IDLE_PARK;
		o.stack_bytes = stack_bytes;
		if (!limit())
			_exit(1);
		a.rc = shunt_pool_create(rt, &o, &pool);
		(void)snprintf(a.detail, sizeof(a.detail), "%s", shunt_error_detail());
		_exit(write(pipes[1], &a, sizeof(a)) == (ssize_t)sizeof(a) ? 0 : 2);
	}
	assert_true(pid > 0);
	(void)close(pipes[1]);
	memset(out, 0, sizeof(*out));
	status = (int)read(pipes[0], out, sizeof(*out));
	assert_true(status == 0 || status == (int)sizeof(*out));
	(void)close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		fail_msg("the child's status is 0x%x", (unsigned)status);
	return WEXITSTATUS(status) == 0;
}

/* The kernel counts threads by user, and not those of root. */
static bool no_more_threads(void)
{
	struct rlimit none = { 1, 1 };

	return setrlimit(RLIMIT_NPROC, &none) == 0 && (geteuid() != 0 || setuid(NOBODY) == 0);
}

static bool little_more_memory(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;
	struct rlimit l;

	if (!f || fscanf(f, "%lu", &pages) != 1)
		return false;
	(void)fclose(f);
	l.rlim_cur = l.rlim_max = pages * (uint64_t)sysconf(_SC_PAGESIZE) + 128 * MIB;
	return setrlimit(RLIMIT_AS, &l) == 0;
}

static bool no_limit(void)
{
	return true;
}

static void number_of_threads(void **state)
{
	struct answer a;

	(void)state;
	if (!pool_in_child(no_more_threads, 0, &a) || a.rc == 0) {
		(void)printf("the number of threads cannot be limited here\n");
		skip();
	}
	assert_int_equal(a.rc, SHUNT_ESYS);
	assert_string_equal(a.detail, "pools.p.workers: 8 threads: the system allows 0 more; want fewer, or a "
				      "higher limit of threads");
}

static void memory_of_stacks(void **state)
{
	struct answer a;

	(void)state;
	if (SANITIZED || !pool_in_child(little_more_memory, 256 * MIB, &a)) {
		(void)printf("the address space cannot be limited here\n");
		skip();
	}
	assert_int_equal(a.rc, SHUNT_ENOMEM);
	assert_string_equal(a.detail, "pools.p.stack_size: 8 stacks of 256MiB: the system allows 0 more; want less, "
				      "fewer workers, or more memory");
	assert_true(pool_in_child(little_more_memory, 0, &a));
	if (a.rc == 0) /* a small default, by ulimit -s */
		return;
	assert_int_equal(a.rc, SHUNT_ENOMEM);
	assert_true(strncmp(a.detail, "pools.p.stack_size: 8 stacks of ", 32) == 0);
	assert_non_null(strstr(a.detail, " (system): the system allows "));
}

static void stack_without_room(void **state)
{
	struct answer a;

	(void)state;
	memset(local_data, 1, sizeof(local_data));
	if (SANITIZED || !LOCAL_DATA_IN_STACK) {
		(void)printf("small stacks are made larger here\n");
		skip();
	}
	assert_true(pool_in_child(no_limit, SHUNT_STACK_MIN, &a));
	assert_int_equal(a.rc, SHUNT_EINVAL);
	assert_string_equal(a.detail, "pools.p.stack_size: '128KiB' has no room for the thread-local data of this "
				      "process; want more, or system");
	assert_true(pool_in_child(no_limit, 4 * MIB, &a));
	assert_int_equal(a.rc, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_of_threads),
		cmocka_unit_test(memory_of_stacks),
		cmocka_unit_test(stack_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
