/*
 * A seccomp filter that is set after the library was loaded, as sandboxes do: what it refuses ends no process. Each
 * case is a process of its own, because a filter stays.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77

static unsigned warned;

static void note(void *arg, enum shunt_log_level level, const char *message)
{
	(void)arg;
	if (level == SHUNT_LOG_WARN && strstr(message, "membarrier"))
		warned++;
}

/* From now on membarrier fails with EPERM. False: the system has no filters. */
static bool refuse_membarrier(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return false;
	return syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) < 0;
}

/* Names come and go, tables grow, jobs run, and the runtime ends. */
static int live(struct shunt_runtime *rt)
{
	struct shunt_pool_id pool = tu_pool(rt, "p", 1);
	atomic_uint ran = 0;
	char name[SHUNT_NAME_MAX];

	for (unsigned i = 0; i < 200; i++) {
		struct shunt_type_id type;

		(void)snprintf(name, sizeof(name), "t%u", i);
		type = tu_type(rt, pool, name, tu_count_job);
		tu_join(rt, tu_submit(rt, type, &ran), SHUNT_JOB_DONE);
		if (i % 2 == 0 && shunt_type_destroy(rt, type, TU_LONG_NS) != SHUNT_OK)
			return 2;
		if (shunt_type_find(rt, name, &type) != (i % 2 == 0 ? SHUNT_ENOENT : SHUNT_OK))
			return 3;
	}
	tu_close(rt);
	return atomic_load(&ran) == 200 ? 0 : 4;
}

static int filtered_before_create(void)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	/* liburcu has registered it when it was loaded */
	bool used = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
	int rc;

	if (!refuse_membarrier())
		return SKIPPED;
	ro.log = note;
	rc = live(tu_runtime_with(&ro));
	return rc ? rc : warned == used ? 0
					: 5;
}

static int filtered_while_it_lives(void)
{
	struct shunt_runtime *rt = tu_runtime();

	return refuse_membarrier() ? live(rt) : SKIPPED;
}

static void in_child(int (*run)(void))
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(run());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		print_message("seccomp: skipped: this system sets no filter\n");
	else
		assert_int_equal(WEXITSTATUS(status), 0);
}

static void before_create(void **state)
{
	(void)state;
	in_child(filtered_before_create);
}

static void while_it_lives(void **state)
{
	(void)state;
	in_child(filtered_while_it_lives);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(before_create), cmocka_unit_test(while_it_lives) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
