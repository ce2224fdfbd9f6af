/*
 * The cpu budget on made-up /proc and /sys trees: quotas of cgroup v1 and v2 at every level, cpusets, containers
 * that see only part of a hierarchy, throttling, files that change between two calls, damaged files; and cpu lists.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/cgroup.h"
#include "machine/bind.h"

#define V2_MOUNT "30 20 0:1 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
#define V1_CPU_MOUNT "31 20 0:2 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
#define V1_SET_MOUNT "32 20 0:3 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"

static char root[64];

static int make_tree(void **state)
{
	(void)state;
	(void)strcpy(root, "/tmp/shunt-budget-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_tree(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file below the root and makes its folders. */
static void put(const char *path, const char *text)
{
	char full[512];
	FILE *f;

	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		(void)mkdir(full, 0755);
		*p = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct shunt_topo *open_cpus(const char *synthetic, uint32_t config)
{
	struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;

	o.synthetic = synthetic;
	o.sysfs_root = root;
	o.cpu_budget_config = config;
	return tu_topo_with(&o);
}

static struct shunt_cpu_budget budget_of(const struct shunt_topo *t)
{
	struct shunt_cpu_budget b;

	assert_int_equal(shunt_topo_budget(t, &b, sizeof(b)), SHUNT_OK);
	return b;
}

/* Opens 16 cpus on the present tree and reads the budget once. */
static struct shunt_cpu_budget budget_now(void)
{
	struct shunt_topo *t = open_cpus("core:16 pu:1", 0);
	struct shunt_cpu_budget b = budget_of(t);

	shunt_topo_close(t);
	return b;
}

static void nothing_limits(void **state)
{
	struct shunt_cpu_budget b = budget_now(); /* not even /proc */

	(void)state;
	assert_true(b.budget == 16 && b.affinity == 16 && b.cpuset == 0 && b.quota_milli == 0 && b.config == 0);
	assert_string_equal(b.why, "affinity decides: affinity 16, cpuset none, quota none, config none");
}

static void v2_nested(void **state)
{
	struct shunt_cpu_budget b;

	(void)state;
	put("/proc/self/cgroup", "0::/a/b/c\n");
	put("/proc/self/mountinfo", V2_MOUNT);
	put("/sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
	put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	put("/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
	put("/sys/fs/cgroup/a/cpu.stat", "usage_usec 5\nnr_periods 9\nnr_throttled 4\nthrottled_usec 8\n");
	put("/sys/fs/cgroup/a/b/c/cpu.stat", "nr_periods 9\nnr_throttled 3\n");
	b = budget_now();
	assert_int_equal(b.quota_milli, 2500); /* the parent's */
	assert_int_equal(b.budget, 2);
	assert_int_equal(b.throttled_periods, 7);
	assert_string_equal(b.why,
			    "cgroup quota decides: affinity 16, cpuset none, quota 2.50 of /a, throttled, config none");
	put("/sys/fs/cgroup/a/b/c/cpu.max", "10000 100000\n");
	b = budget_now();
	assert_int_equal(b.quota_milli, 100);
	assert_int_equal(b.budget, 1); /* never 0 */
}

static void v1_nested(void **state)
{
	struct shunt_cpu_budget b;

	(void)state;
	put("/proc/self/cgroup", "9:name=systemd:/x\n4:cpuacct,cpu:/a/b\n3:cpuset:/s\n0::/\n");
	put("/proc/self/mountinfo", "garbage\n" V1_SET_MOUNT V1_CPU_MOUNT V2_MOUNT);
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "150000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_throttled 2\n");
	put("/sys/fs/cgroup/cpuset/s/cpuset.cpus", "0-5\n");
	b = budget_now();
	assert_int_equal(b.quota_milli, 3000);
	assert_int_equal(b.cpuset, 6);
	assert_int_equal(b.budget, 3);
	assert_int_equal(b.throttled_periods, 2);
	put("/sys/fs/cgroup/cpuset/s/cpuset.effective_cpus", "2-3\n"); /* goes before the configured one */
	b = budget_now();
	assert_int_equal(b.cpuset, 2);
	assert_int_equal(b.budget, 2);
	assert_string_equal(b.why, "affinity decides: affinity 2, cpuset 2, quota 3.00 of /a, throttled, config none");
}

static void both_versions(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "2:cpu,cpuacct:/\n0::/u\n");
	put("/proc/self/mountinfo", V1_CPU_MOUNT V2_MOUNT);
	put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "700000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
	put("/sys/fs/cgroup/u/cpu.max", "500000 100000\n");
	assert_int_equal(budget_now().quota_milli, 5000);
	put("/sys/fs/cgroup/u/cpu.max", "900000 100000\n");
	assert_int_equal(budget_now().quota_milli, 7000);
}

/* Docker without a cgroup namespace: the path is the host's, the mount's root is our group. */
static void mount_of_a_part(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "0::/docker/abc/sub\n");
	put("/proc/self/mountinfo", "30 20 0:1 /docker/abc /mnt/with\\040blank rw - cgroup2 cgroup2 rw\n");
	put("/mnt/with blank/sub/cpu.max", "max 100000\n");
	put("/mnt/with blank/cpu.max", "400000 100000\n");
	assert_int_equal(budget_now().quota_milli, 4000);
	/* a namespace that does not hold our group: its root is all there is to see */
	put("/proc/self/cgroup", "0::/../other\n");
	assert_int_equal(budget_now().quota_milli, 4000);
	/* /docker/abcd is no part of /docker/abc */
	put("/proc/self/cgroup", "0::/docker/abcd\n");
	put("/mnt/with blank/d/cpu.max", "100000 100000\n");
	assert_int_equal(budget_now().quota_milli, 4000);
}

static void cpuset_v2(void **state)
{
	struct shunt_topo *t;
	char list[64];

	(void)state;
	put("/proc/self/cgroup", "0::/a\n");
	put("/proc/self/mountinfo", V2_MOUNT);
	put("/sys/fs/cgroup/a/cpuset.cpus.effective", "\n"); /* empty: the parent's counts */
	put("/sys/fs/cgroup/cpuset.cpus.effective", "1-3,6,90\n");
	t = open_cpus("core:8 pu:1", 0);
	assert_true(shunt_topo_allowed(t, list, sizeof(list)) > 0);
	assert_string_equal(list, "1-3,6");
	assert_int_equal(budget_of(t).cpuset, 4);
	put("/sys/fs/cgroup/a/cpuset.cpus.effective", "2\n"); /* read again at each call */
	assert_int_equal(budget_of(t).cpuset, 1);
	assert_int_equal(budget_of(t).budget, 1);
	assert_non_null(strstr(budget_of(t).why, "cpuset decides"));
	shunt_topo_close(t);
}

static void changes_are_seen(void **state)
{
	struct shunt_topo *t;

	(void)state;
	put("/proc/self/cgroup", "0::/\n");
	put("/proc/self/mountinfo", V2_MOUNT);
	t = open_cpus("core:8 pu:1", 6);
	assert_int_equal(budget_of(t).budget, 6);
	assert_non_null(strstr(budget_of(t).why, "configured limit decides"));
	put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
	assert_int_equal(budget_of(t).budget, 3);
	put("/sys/fs/cgroup/cpu.max", "max 100000\n");
	assert_int_equal(budget_of(t).budget, 6);
	put("/proc/self/cgroup", "0::/moved\n"); /* the process was moved */
	put("/sys/fs/cgroup/moved/cpu.max", "200000 100000\n");
	assert_int_equal(budget_of(t).budget, 2);
	shunt_topo_close(t);
}

static void damaged_files(void **state)
{
	static const char *const bad[] = { "", "x\n", "100000\n", "100000 0\n", "0x10 y\n", "-5 100000\n" };
	char *deep = malloc(9000);

	(void)state;
	assert_non_null(deep);
	put("/proc/self/cgroup", "0::/\n");
	put("/proc/self/mountinfo", "1\n1 2 3 - \n - cgroup2 x rw\n1 2 3:4 / /p - cgroup2\n" V2_MOUNT);
	for (size_t i = 0; i < SH_COUNT(bad); i++) {
		put("/sys/fs/cgroup/cpu.max", bad[i]);
		put("/sys/fs/cgroup/cpuset.cpus.effective", "3-1\n");
		assert_int_equal(budget_now().budget, 16);
	}
	put("/sys/fs/cgroup/cpu.max", "18446744073709551615 100000\n");
	assert_int_equal(budget_now().budget, 16);
	(void)strcpy(deep, "0::");
	for (int i = 0; i < 4000; i++)
		(void)strcat(deep, "/d");
	put("/proc/self/cgroup", deep); /* longer than any path */
	assert_int_equal(budget_now().budget, 16);
	free(deep);
}

/* A recorded machine has no share in this machine's groups. */
static void other_machines_do_not_count(void **state)
{
	struct shunt_topo *t = tu_topo_text("core:64 pu:1", NULL);
	struct shunt_cpu_budget b;

	(void)state;
	b = budget_of(t);
	assert_true(b.budget == 64 && b.cpuset == 0 && b.quota_milli == 0);
	assert_int_equal(shunt_topo_budget(NULL, &b, sizeof(b)), SHUNT_EINVAL);
	assert_int_equal(shunt_topo_budget(t, NULL, sizeof(b)), SHUNT_EINVAL);
	assert_int_equal(shunt_topo_budget(t, &b, 0), SHUNT_EINVAL);
	shunt_topo_close(t);
}

static void *pin_to_one(void *arg)
{
	struct shunt_topo *t = arg;
	struct sh_cpus set;
	uint32_t cpu = 0;

	while (!sh_cpus_has(&t->allowed, cpu))
		cpu++;
	assert_int_equal(sh_topo_bind_thread(t, (int)cpu), SHUNT_OK);
	assert_int_equal(sh_cpus_affinity(&set, 0), SHUNT_OK);
	assert_int_equal(sh_cpus_count(&set), 1);
	assert_int_equal(budget_of(t).affinity, sh_cpus_count(&t->allowed));
	return NULL;
}

/* On this machine: a pinned worker that asks does not get one cpu as the budget of the process. */
static void pinned_callers_do_not_shrink_it(void **state)
{
	struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;
	struct shunt_topo *t = NULL;
	pthread_t thread;

	(void)state;
	o.sysfs_root = root; /* no quotas of the place where the test runs */
	assert_int_equal(shunt_topo_open(&t, &o), SHUNT_OK);
	assert_true(shunt_topo_is_live(t));
	assert_int_equal(pthread_create(&thread, NULL, pin_to_one, t), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	shunt_topo_close(t);
}

static void cpu_lists(void **state)
{
	static const char *const bad[] = { "x", "1,", ",1", "1-", "-1", "3-1", "8192", "1 2", "0-99999999999" };
	struct sh_cpus s;
	char text[64];

	(void)state;
	assert_int_equal(sh_cpus_parse(&s, " 0-3 , 8,8191\n"), SHUNT_OK);
	assert_int_equal(sh_cpus_count(&s), 6);
	assert_int_equal(sh_cpus_format(&s, text, sizeof(text)), strlen("0-3,8,8191"));
	assert_string_equal(text, "0-3,8,8191");
	assert_int_equal(sh_cpus_format(&s, text, 5), strlen("0-3,8,8191"));
	assert_string_equal(text, "0-3,");
	assert_int_equal(sh_cpus_parse(&s, "\n"), SHUNT_OK);
	assert_int_equal(sh_cpus_count(&s), 0);
	for (size_t i = 0; i < SH_COUNT(bad); i++)
		assert_int_equal(sh_cpus_parse(&s, bad[i]), SHUNT_EINVAL);
}

#define TREE_TEST(f) cmocka_unit_test_setup_teardown(f, make_tree, remove_tree)

static void note_replaced(void *arg, enum shunt_log_level level, const char *message)
{
	(void)level;
	*(bool *)arg = *(bool *)arg || strstr(message, "HWLOC_SYNTHETIC") != NULL;
}

/* hwloc's variables put another machine before every program; its cpus are not granted. */
static void environment_replaces_machine(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_runtime *rt = NULL;
	struct shunt_cpu_budget b = { 0 };
	struct shunt_topo *t = NULL;
	struct sh_cpus mine;
	bool said = false;

	(void)state;
	assert_int_equal(sh_cpus_affinity(&mine, 0), SHUNT_OK);
	assert_int_equal(setenv("HWLOC_SYNTHETIC", "package:4 core:64 pu:2", 1), 0);
	assert_int_equal(shunt_topo_open(&t, NULL), SHUNT_OK);
	ro.log = note_replaced;
	ro.log_arg = &said;
	rt = tu_runtime_with(&ro);
	assert_int_equal(unsetenv("HWLOC_SYNTHETIC"), 0);
	assert_true(said);
	tu_destroy(rt, 0);
	assert_int_equal(shunt_topo_pu_count(t), 512);
	assert_int_equal(shunt_topo_is_live(t), 0);
	assert_int_equal(shunt_topo_budget(t, &b, sizeof(b)), SHUNT_OK);
	assert_true(b.affinity <= sh_cpus_count(&mine));
	assert_true(b.budget <= sh_cpus_count(&mine));
	shunt_topo_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(nothing_limits), TREE_TEST(v2_nested), TREE_TEST(v1_nested), TREE_TEST(both_versions),
		TREE_TEST(mount_of_a_part), TREE_TEST(cpuset_v2), TREE_TEST(changes_are_seen), TREE_TEST(damaged_files),
		cmocka_unit_test(other_machines_do_not_count), TREE_TEST(pinned_callers_do_not_shrink_it),
		cmocka_unit_test(cpu_lists),
		cmocka_unit_test(environment_replaces_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
