/*
 * The cpu budget on made-up /proc and /sys trees: quotas of cgroup v1 and v2 at every level, cpusets, containers
 * that see only part of a hierarchy, throttling, files that change between two calls, damaged files; and cpu lists.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shunt/snapshot.h>

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

/* What a pool of defaults does: "" = it pins, else why it does not. The plan has three workers. */
static void default_pins(struct shunt_topo *t, const char *place, enum shunt_pin_policy policy, bool pins)
{
	struct shunt_plan_opts o = SHUNT_PLAN_OPTS_INIT;
	struct shunt_plan *p = NULL;

	o.place = place;
	o.policy = policy;
	o.workers = 3;
	assert_int_equal(shunt_plan_create(t, &o, &p), SHUNT_OK);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(shunt_plan_worker_at(p, i)->os_cpu, pins ? (int)i : -1);
	assert_string_equal(shunt_plan_note(p),
			    pins ? "" : "not pinned: the quota is 2.50 of 8 cpus and no cpuset says which; a pin policy or a place pins");
	shunt_plan_destroy(p);
}

/* Containers with a quota and without a cpuset share the machine's cpus: none of them may take the first ones for itself. */
static void quota_alone_does_not_pin(void **state)
{
	struct shunt_topo *t;

	(void)state;
	put("/proc/self/cgroup", "0::/\n");
	put("/proc/self/mountinfo", V2_MOUNT);
	put("/sys/fs/cgroup/cpu.max", "250000 100000\n");
	t = open_cpus("core:8 pu:1", 0);
	default_pins(t, NULL, SHUNT_PIN_DEFAULT, false);
	default_pins(t, "all", SHUNT_PIN_DEFAULT, false);
	default_pins(t, "0-3", SHUNT_PIN_DEFAULT, true);
	default_pins(t, NULL, SHUNT_PIN_COMPACT, true);
	put("/sys/fs/cgroup/cpuset.cpus.effective", "0-7\n"); /* all: says nothing */
	default_pins(t, NULL, SHUNT_PIN_DEFAULT, false);
	put("/sys/fs/cgroup/cpuset.cpus.effective", "0-6\n");
	default_pins(t, NULL, SHUNT_PIN_DEFAULT, true);
	put("/sys/fs/cgroup/cpuset.cpus.effective", "0-7\n");
	put("/sys/fs/cgroup/cpu.max", "800000 100000\n"); /* as many as there are */
	default_pins(t, NULL, SHUNT_PIN_DEFAULT, true);
	put("/sys/fs/cgroup/cpu.max", "max 100000\n");
	default_pins(t, NULL, SHUNT_PIN_DEFAULT, true);
	shunt_topo_close(t);
}

static void note_unpinned(void *arg, enum shunt_log_level level, const char *message)
{
	if (level == SHUNT_LOG_WARN && strstr(message, "pool main: not pinned: the quota is 2.50"))
		(void)atomic_fetch_add((atomic_uint *)arg, 1); /* workers log, too */
}

/* A pool says so in the log, once; pin_required is a word for pinning. */
static void quota_pool_says_so(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_runtime *rt;
	struct shunt_topo *t;
	struct shunt_pool_id id;
	atomic_uint said = 0;

	(void)state;
	put("/proc/self/cgroup", "0::/\n");
	put("/proc/self/mountinfo", V2_MOUNT);
	put("/sys/fs/cgroup/cpu.max", "250000 100000\n");
	t = open_cpus("core:8 pu:1", 0);
	ro.topo = t;
	ro.log = note_unpinned;
	ro.log_arg = &said;
	rt = tu_runtime_with(&ro);
	po.name = "main";
	(void)tu_pool_with(rt, &po);
	assert_int_equal(atomic_load(&said), 1);
	po.name = "required";
	po.pin_required = 1; /* a described machine cannot be pinned to */
	assert_int_equal(shunt_pool_create(rt, &po, &id), SHUNT_EPERM);
	assert_int_equal(atomic_load(&said), 1);
	tu_destroy(rt, 0);
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

struct hwloc_case {
	const char *set[2][2]; /* variables */
	const char *says;      /* in the log, NULL = nothing */
	bool live;
};

static const char *said_variable;
static unsigned said_n;

static void note_variable(void *arg, enum shunt_log_level level, const char *message)
{
	(void)arg;
	said_n += level == SHUNT_LOG_WARN && said_variable && strstr(message, said_variable) != NULL;
}

static void hwloc_case(const struct hwloc_case *c)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_runtime *rt = NULL;
	struct shunt_cpu_budget b = { 0 };
	struct shunt_topo *t = NULL;
	struct sh_cpus mine;

	assert_int_equal(sh_cpus_affinity(&mine, 0), SHUNT_OK);
	for (size_t i = 0; i < 2 && c->set[i][0]; i++)
		assert_int_equal(setenv(c->set[i][0], c->set[i][1], 1), 0);
	said_variable = c->says;
	said_n = 0;
	assert_int_equal(shunt_topo_open(&t, NULL), SHUNT_OK);
	ro.log = note_variable;
	rt = tu_runtime_with(&ro); /* one that opens the machine itself, and one that borrows it */
	tu_destroy(rt, 0);
	ro.topo = t;
	rt = tu_runtime_with(&ro);
	tu_destroy(rt, 0);
	for (size_t i = 0; i < 2 && c->set[i][0]; i++)
		assert_int_equal(unsetenv(c->set[i][0]), 0);
	assert_int_equal(said_n, 2);
	assert_int_equal(shunt_topo_is_live(t), c->live);
	assert_int_equal(shunt_topo_budget(t, &b, sizeof(b)), SHUNT_OK);
	assert_non_null(strstr(b.why, c->set[0][0]));
	assert_true(b.affinity <= sh_cpus_count(&mine));
	assert_true(b.budget <= sh_cpus_count(&mine));
	shunt_topo_close(t);
}

/* hwloc's variables put another machine, or another view of it, before every program; its cpus are not granted. */
static void environment_replaces_machine(void **state)
{
	static const struct hwloc_case cases[] = {
		{ { { "HWLOC_SYNTHETIC", "package:4 core:64 pu:2" } }, "HWLOC_SYNTHETIC in the environment replaces", false },
		{ { { "HWLOC_XMLFILE", TU_XML("two-packages-smt") } }, "HWLOC_XMLFILE in the environment replaces", false },
		{ { { "HWLOC_THISSYSTEM", "0" } }, "HWLOC_THISSYSTEM in the environment replaces", false },
		{ { { "HWLOC_SYNTHETIC", "package:4 core:64 pu:2" }, { "HWLOC_THISSYSTEM", "1" } },
		  "HWLOC_SYNTHETIC, HWLOC_THISSYSTEM in the environment says what",
		  true },
		{ { { "HWLOC_COMPONENTS", "no_os,stop" } }, "HWLOC_COMPONENTS in the environment", true },
	};

	(void)state;
	for (size_t i = 0; i < SH_COUNT(cases); i++)
		hwloc_case(&cases[i]);
}

/* A file that hwloc would read without an end. */
static void environment_names_a_device(void **state)
{
	struct shunt_topo *t = NULL;

	(void)state;
	assert_int_equal(setenv("HWLOC_XMLFILE", "/dev/zero", 1), 0);
	assert_int_equal(shunt_topo_open(&t, NULL), SHUNT_EIO);
	assert_int_equal(unsetenv("HWLOC_XMLFILE"), 0);
	assert_string_equal(shunt_error_detail(), "topology: HWLOC_XMLFILE in the environment: '/dev/zero': is a device; want a "
						  "regular file or a pipe");
}

/* ---- a mask that is narrower than the machine ---- */

struct masked {
	enum shunt_cpu_mask mask;
	unsigned warned, pinned_wide;
	uint32_t budget;
};

static void note_mask(void *arg, enum shunt_log_level level, const char *message)
{
	if (level == SHUNT_LOG_WARN && strstr(message, "want runtime.cpu_mask machine"))
		((struct masked *)arg)->warned++; /* by the thread that makes the runtime; workers say other things */
}

/* In a process whose threads are bound to one cpu: what a runtime makes of it. */
static void masked_runtime(struct masked *m)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("p", 1);
	struct shunt_snapshot *s = NULL;
	struct shunt_runtime *rt;
	struct sh_cpus mask;

	ro.log = note_mask;
	ro.log_arg = m;
	ro.cpu_mask = m->mask;
	rt = tu_runtime_with(&ro);
	(void)tu_pool_with(rt, &po);
	assert_int_equal(shunt_snapshot_create(rt, &s), SHUNT_OK);
	m->budget = shunt_snapshot_budget(s)->affinity;
	assert_int_equal(sh_cpus_parse(&mask, shunt_snapshot_worker_at(s, 0)->cpu_mask), SHUNT_OK);
	m->pinned_wide = sh_cpus_count(&mask);
	shunt_snapshot_destroy(s);
	tu_destroy(rt, 0);
}

static void narrow_mask(void **state)
{
	struct masked m[3] = { { .mask = SHUNT_MASK_DEFAULT }, { .mask = SHUNT_MASK_CALLER }, { .mask = SHUNT_MASK_MACHINE } };
	struct sh_cpus mine;
	cpu_set_t one, all;
	uint32_t first = 0;

	(void)state;
	assert_int_equal(sh_cpus_affinity(&mine, 0), SHUNT_OK);
	if (sh_cpus_count(&mine) < 2) {
		print_message("narrow_mask: skipped: one cpu\n");
		return;
	}
	while (!sh_cpus_has(&mine, first))
		first++;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	for (size_t i = 0; i < SH_COUNT(m); i++)
		masked_runtime(&m[i]);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	assert_true(m[0].warned == 1 && m[0].budget == 1 && m[0].pinned_wide == 1);
	assert_true(m[1].warned == 0 && m[1].budget == 1 && m[1].pinned_wide == 1);
	assert_true(m[2].warned == 0 && m[2].budget >= 2 && m[2].pinned_wide == m[2].budget);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(nothing_limits),
		TREE_TEST(v2_nested),
		TREE_TEST(v1_nested),
		TREE_TEST(both_versions),
		TREE_TEST(mount_of_a_part),
		TREE_TEST(cpuset_v2),
		TREE_TEST(changes_are_seen),
		TREE_TEST(damaged_files),
		TREE_TEST(quota_alone_does_not_pin),
		TREE_TEST(quota_pool_says_so),
		cmocka_unit_test(other_machines_do_not_count),
		TREE_TEST(pinned_callers_do_not_shrink_it),
		cmocka_unit_test(cpu_lists),
		cmocka_unit_test(environment_replaces_machine),
		cmocka_unit_test(environment_names_a_device),
		cmocka_unit_test(narrow_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
