/*
 * The machine's flat view on recorded and described machines, what open refuses, and binding of threads and memory
 * on this machine: every success is read back from the kernel. Parts that the system does not permit say so.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/inject.h"
#include "machine/bind.h"

static int open_as(struct shunt_topo **t, const char *xml, const char *synthetic, const char *allowed)
{
	struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;

	o.xml_file = xml;
	o.synthetic = synthetic;
	o.allowed_cpus = allowed;
	*t = (struct shunt_topo *)&o; /* must be overwritten, also on failure */
	return shunt_topo_open(t, &o);
}

static void flat_view(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("two-packages-smt"), 0);
	uint32_t n = shunt_topo_pu_count(t);
	const struct shunt_topo_pu *last;
	const struct shunt_topo_node *node;

	(void)state;
	assert_int_equal(n, 64);
	last = shunt_topo_pu_at(t, 63);
	assert_true(shunt_topo_pu_at(t, 0)->os_cpu == 0 && shunt_topo_pu_at(t, 1)->os_cpu == 32);
	assert_true(shunt_topo_pu_at(t, 0)->core == 0 && shunt_topo_pu_at(t, 1)->core == 0);
	assert_true(last->os_cpu == 63 && last->core == 31 && last->package == 1 && last->node == 1 && last->l3 == 1);
	assert_true(last->allowed && last->online && last->kind == SHUNT_CPU_PERFORMANCE);
	n = shunt_topo_node_count(t);
	assert_int_equal(n, 2);
	node = shunt_topo_node_at(t, 1);
	assert_true(node->os_node == 1 && node->cpus == 32 && node->has_cpus);
	assert_int_equal(node->memory_bytes, UINT64_C(64) << 30);
	assert_int_equal(shunt_topo_distance(t, 0, 0), 10);
	assert_int_equal(shunt_topo_distance(t, 0, 1), 20);
	assert_int_equal(shunt_topo_distance(t, 0, 2), UINT32_MAX);
	assert_false(shunt_topo_is_live(t));
	shunt_topo_close(t);
}

static void one_cpu(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("one-cpu"), 0);
	const struct shunt_topo_pu *pu = shunt_topo_pu_at(t, 0);

	(void)state;
	assert_int_equal(shunt_topo_pu_count(t), 1);
	assert_int_equal(shunt_topo_node_count(t), 1);
	assert_null(shunt_topo_pu_at(t, 1));
	assert_null(shunt_topo_node_at(t, 1));
	assert_true(pu->core == 0 && pu->package == 0 && pu->node == 0 && pu->l3 == SHUNT_TOPO_NONE && pu->allowed);
	shunt_topo_close(t);
}

static void memory_only_node(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("four-nodes-memory-only"), 0);
	const struct shunt_topo_node *last = shunt_topo_node_at(t, 3);
	uint32_t n = shunt_topo_node_count(t), pus = shunt_topo_pu_count(t);

	(void)state;
	assert_int_equal(n, 4);
	assert_true(last && last->os_node == 3 && !last->has_cpus && last->cpus == 0);
	assert_int_equal(last->memory_bytes, UINT64_C(256) << 30);
	assert_true(shunt_topo_node_at(t, 2)->has_cpus && shunt_topo_node_at(t, 2)->cpus == 4);
	assert_int_equal(shunt_topo_distance(t, 0, 2), 31);
	assert_int_equal(shunt_topo_distance(t, 3, 0), 17);
	for (uint32_t i = 0; i < pus; i++)
		assert_int_equal(shunt_topo_pu_at(t, i)->node, i / 4);
	shunt_topo_close(t);
}

static void kinds_and_holes(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("hybrid"), 0);
	uint32_t n = shunt_topo_pu_count(t);
	char list[64], tiny[4];

	(void)state;
	assert_int_equal(n, 12);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(shunt_topo_pu_at(t, i)->kind, i < 4 ? SHUNT_CPU_PERFORMANCE : SHUNT_CPU_EFFICIENCY);
	shunt_topo_close(t);
	t = tu_topo_xml(TU_XML("cpuset-hole"), 0);
	n = shunt_topo_pu_count(t);
	assert_int_equal(n, 16); /* forbidden cpus are shown */
	assert_true(sh_topo_pu_find(t, 5)->online && !sh_topo_pu_find(t, 5)->allowed && sh_topo_pu_find(t, 4)->allowed);
	assert_null(sh_topo_pu_find(t, 16));
	assert_null(sh_topo_pu_find(t, UINT32_MAX));
	assert_int_equal(shunt_topo_allowed(t, list, sizeof(list)), strlen("0-1,4,6-9,12-15"));
	assert_string_equal(list, "0-1,4,6-9,12-15");
	assert_int_equal(shunt_topo_allowed(t, tiny, sizeof(tiny)), strlen("0-1,4,6-9,12-15"));
	assert_string_equal(tiny, "0-1");
	assert_int_equal(shunt_topo_allowed(t, NULL, 0), SHUNT_EINVAL);
	shunt_topo_close(t);
}

/* One kind of core of a machine: its cpus, and what is known of it ("NAME=VALUE", NULL = nothing). */
struct core_kind {
	uint32_t cpus;
	const char *info[3];
	bool fast; /* what shunt makes of it */
};

/* Writes a machine with these kinds, in hwloc's XML, as hwloc ranked them: the fastest last. */
static void write_kinds(const char *path, const struct core_kind *kinds, size_t n)
{
	static const char sets[] = "cpuset=\"0x%x\" complete_cpuset=\"0x%x\" nodeset=\"0x1\" complete_nodeset=\"0x1\"";
	FILE *f = fopen(path, "w");
	unsigned all = 0, cpu = 0;

	assert_non_null(f);
	for (size_t k = 0; k < n; k++)
		all += kinds[k].cpus;
	all = (1u << all) - 1;
	(void)fprintf(f, "<?xml version=\"1.0\"?>\n<topology version=\"2.0\">\n"
			 "<object type=\"Machine\" os_index=\"0\" ");
	(void)fprintf(f, sets, all, all);
	(void)fprintf(f, " allowed_cpuset=\"0x%x\" allowed_nodeset=\"0x1\" gp_index=\"1\">\n", all);
	(void)fprintf(f, "<object type=\"NUMANode\" os_index=\"0\" ");
	(void)fprintf(f, sets, all, all);
	(void)fprintf(f, " gp_index=\"2\" local_memory=\"1024\"/>\n");
	for (unsigned c = 0; 1u << c <= all; c++) {
		(void)fprintf(f, "<object type=\"Core\" os_index=\"%u\" ", c);
		(void)fprintf(f, sets, 1u << c, 1u << c);
		(void)fprintf(f, " gp_index=\"%u\"><object type=\"PU\" os_index=\"%u\" ", 10 + 2 * c, c);
		(void)fprintf(f, sets, 1u << c, 1u << c);
		(void)fprintf(f, " gp_index=\"%u\"/></object>\n", 11 + 2 * c);
	}
	(void)fprintf(f, "</object>\n");
	for (size_t k = 0; k < n; cpu += kinds[k++].cpus) {
		(void)fprintf(f, "<cpukind cpuset=\"0x%x\" forced_efficiency=\"%zu\">",
			      ((1u << kinds[k].cpus) - 1) << cpu, k);
		for (size_t i = 0; i < 3 && kinds[k].info[i]; i++)
			(void)fprintf(f, "<info name=\"%.*s\" value=\"%s\"/>", (int)strcspn(kinds[k].info[i], "="),
				      kinds[k].info[i], strchr(kinds[k].info[i], '=') + 1);
		(void)fprintf(f, "</cpukind>\n");
	}
	(void)fprintf(f, "</topology>\n");
	assert_int_equal(fclose(f), 0);
}

/* Machines with more kinds of cores than two: which ones are fast. */
static void more_kinds_than_two(void **state)
{
	static const struct core_kind ten_and_ten[] = {
		{ 5, { "FrequencyMaxMHz=2808", "LinuxCapacity=718" }, false },
		{ 5, { "LinuxCapacity=731" }, false },
		{ 5, { "LinuxCapacity=997" }, true },
		{ 4, { "LinuxCapacity=1017" }, true },
		{ 1, { "LinuxCapacity=1024" }, true },
	};
	static const struct core_kind three_sizes[] = {
		{ 4, { "LinuxCapacity=403" }, false },
		{ 3, { "LinuxCapacity=871" }, true },
		{ 1, { "LinuxCapacity=1024" }, true },
	};
	static const struct core_kind favoured[] = {
		{ 6, { "FrequencyMaxMHz=4800" }, true },
		{ 2, { "FrequencyMaxMHz=5000" }, true },
	};
	static const struct core_kind at_the_limit[] = {
		{ 2, { "FrequencyMaxMHz=2999" }, false },
		{ 2, { "FrequencyMaxMHz=3000" }, true },
		{ 2, { "FrequencyMaxMHz=4000" }, true },
	};
	static const struct core_kind close_designs[] = {
		{ 4, { "CoreType=IntelAtom", "FrequencyMaxMHz=4600" }, false },
		{ 4, { "CoreType=IntelCore", "FrequencyMaxMHz=5500" }, true },
		{ 2, { "CoreType=IntelCore", "FrequencyMaxMHz=5700" }, true },
	};
	static const struct core_kind unknown[] = {
		{ 2, { NULL }, false },
		{ 2, { "FrequencyMaxMHz=9" }, false },
		{ 2, { NULL }, true },
	};
	static const struct {
		const struct core_kind *kinds;
		size_t n;
	} machines[] = {
		{ ten_and_ten, SH_COUNT(ten_and_ten) },
		{ three_sizes, SH_COUNT(three_sizes) },
		{ favoured, SH_COUNT(favoured) },
		{ at_the_limit, SH_COUNT(at_the_limit) },
		{ close_designs, SH_COUNT(close_designs) },
		{ unknown, SH_COUNT(unknown) },
	};
	char path[] = "/tmp/shunt-kinds-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	for (size_t m = 0; m < SH_COUNT(machines); m++) {
		struct shunt_topo *t;
		uint32_t cpu = 0;

		write_kinds(path, machines[m].kinds, machines[m].n);
		t = tu_topo_xml(path, 0);
		for (size_t k = 0; k < machines[m].n; k++)
			for (uint32_t i = 0; i < machines[m].kinds[k].cpus; i++, cpu++)
				if (sh_topo_pu_find(t, cpu)->kind !=
				    (machines[m].kinds[k].fast ? SHUNT_CPU_PERFORMANCE : SHUNT_CPU_EFFICIENCY))
					fail_msg("machine %zu: kind %zu, cpu %u", m, k, cpu);
		assert_int_equal(shunt_topo_pu_count(t), cpu);
		shunt_topo_close(t);
	}
	assert_int_equal(unlink(path), 0);
}

/* Cpu 3 of eight is offline: it is shown, behind the others, and nothing of the others moves into its place. */
static void offline(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("offline-cpu"), 0);
	uint32_t n = shunt_topo_pu_count(t);
	char list[64];

	(void)state;
	assert_int_equal(n, 8);
	for (uint32_t cpu = 0; cpu < 8; cpu++) {
		const struct shunt_topo_pu *p = sh_topo_pu_find(t, cpu);

		assert_non_null(p);
		assert_int_equal(p->os_cpu, cpu);
		assert_int_equal(p->online, cpu != 3);
		assert_int_equal(p->allowed, cpu != 3);
		assert_int_equal(p->node, cpu == 3 ? SHUNT_TOPO_NONE : cpu / 4);
	}
	assert_int_equal(shunt_topo_pu_at(t, 7)->os_cpu, 3);
	assert_int_equal(shunt_topo_node_at(t, 0)->cpus, 3);
	(void)shunt_topo_allowed(t, list, sizeof(list));
	assert_string_equal(list, "0-2,4-7");
	shunt_topo_close(t);
}

static void refusals(void **state)
{
	struct {
		struct shunt_topo_opts o;
		uint64_t newer;
	} big = { SHUNT_TOPO_OPTS_INIT, 1 };
	struct shunt_topo *t = NULL;
	char garbage[] = "/tmp/shunt-topo-XXXXXX";
	int fd = mkstemp(garbage);

	(void)state;
	assert_true(fd >= 0 && write(fd, "<topology", 9) == 9 && close(fd) == 0);
	assert_int_equal(open_as(&t, garbage, NULL, NULL), SHUNT_EIO);
	assert_null(t);
	(void)unlink(garbage);
	assert_int_equal(open_as(&t, "/nonexistent.xml", NULL, NULL), SHUNT_EIO);
	assert_null(t);
	assert_int_equal(open_as(&t, NULL, "core:0x", NULL), SHUNT_EINVAL);
	assert_int_equal(open_as(&t, TU_XML("hybrid"), "core:2 pu:1", NULL), SHUNT_EINVAL);
	assert_int_equal(open_as(&t, NULL, "core:2 pu:1", "0-2"), SHUNT_EINVAL); /* cpu 2 does not exist */
	assert_int_equal(open_as(&t, NULL, "core:2 pu:1", "0;1"), SHUNT_EINVAL);
	assert_int_equal(open_as(&t, NULL, "core:2 pu:1", ""), SHUNT_EPLACE); /* nothing is allowed */
	assert_int_equal(shunt_topo_open(NULL, NULL), SHUNT_EINVAL);
	big.o.size = sizeof(big);
	assert_int_equal(shunt_topo_open(&t, &big.o), SHUNT_EINVAL);
	shunt_topo_close(NULL);
}

static int fail_at; /* the allocation to fail, counted from 1 */

static int fail_one(void *arg, const char *point)
{
	(void)arg;
	return strcmp(point, "topo.alloc") == 0 && --fail_at == 0;
}

static void out_of_memory(void **state)
{
	struct shunt_topo *t = NULL;
	int k = 0, rc;

	(void)state;
	do {
		fail_at = ++k;
		sh_inject_set(fail_one, NULL);
		rc = open_as(&t, NULL, "package:2 core:2 pu:1", NULL);
		sh_inject_set(NULL, NULL);
		assert_true(rc == SHUNT_OK || (rc == SHUNT_ENOMEM && !t));
	} while (rc != SHUNT_OK);
	assert_int_equal(k, 7); /* object, root, hwloc, nodes, cpus, distances */
	shunt_topo_close(t);
}

/* hwloc itself accepts these calls on a described machine and does nothing. */
static void never_a_silent_no_op(void **state)
{
	struct shunt_topo *t = tu_topo_xml(TU_XML("one-cpu"), 0);
	char page[64];

	(void)state;
	assert_int_equal(sh_topo_bind_thread(t, 0), SHUNT_ENOSYS);
	assert_int_equal(sh_topo_bind_thread(t, -1), SHUNT_ENOSYS);
	assert_int_equal(sh_topo_bind_memory(t, page, sizeof(page), 0), SHUNT_ENOSYS);
	shunt_topo_close(t);
}

static int fail_pin(void *arg, const char *point)
{
	return strcmp(point, (const char *)arg) == 0;
}

static uint32_t last_allowed(const struct shunt_topo *t)
{
	const struct shunt_topo_pu *pu;
	uint32_t cpu = 0;

	for (uint32_t i = 0; (pu = shunt_topo_pu_at(t, i)) != NULL; i++) {
		if (pu->allowed)
			cpu = pu->os_cpu;
	}
	return cpu;
}

/* In a thread of its own, so that the mask of the test program stays. */
static void *pin_and_read_back(void *arg)
{
	struct shunt_topo *t = arg;
	char before[4096], mask[4096], want[16], all[4096];
	char name[] = "topo.pin";
	int cpu = (int)last_allowed(t), now = -1;

	assert_int_equal(sh_topo_readback(before, sizeof(before), NULL), SHUNT_OK);
	sh_inject_set(fail_pin, name);
	assert_int_equal(sh_topo_bind_thread(t, cpu), SHUNT_EPERM);
	sh_inject_set(NULL, NULL);
	assert_int_equal(sh_topo_readback(mask, sizeof(mask), NULL), SHUNT_OK);
	assert_string_equal(mask, before); /* a failed pin changes nothing */
	assert_int_equal(sh_topo_bind_thread(t, cpu), SHUNT_OK);
	assert_int_equal(sh_topo_readback(mask, sizeof(mask), &now), SHUNT_OK);
	(void)snprintf(want, sizeof(want), "%d", cpu);
	assert_string_equal(mask, want);
	assert_int_equal(now, cpu);
	assert_int_equal(sh_topo_bind_thread(t, 8191), SHUNT_EPLACE);
	assert_int_equal(sh_topo_bind_thread(t, 8192), SHUNT_EPLACE);
	assert_int_equal(sh_topo_bind_thread(t, -1), SHUNT_OK);
	assert_int_equal(sh_topo_readback(mask, sizeof(mask), NULL), SHUNT_OK);
	assert_true(shunt_topo_allowed(t, all, sizeof(all)) > 0);
	assert_string_equal(mask, all);
	return NULL;
}

static void threads(void **state)
{
	struct shunt_topo *t = tu_topo_with(NULL);
	pthread_t thread;

	(void)state;
	assert_true(shunt_topo_is_live(t));
	assert_int_equal(pthread_create(&thread, NULL, pin_and_read_back, t), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	shunt_topo_close(t);
}

/* A thread that may run everywhere opens while the main thread is narrowed: both count together. */
static void *open_wide(void *arg)
{
	struct shunt_topo *t = arg, *wide = NULL;
	char all[4096], got[4096];

	assert_int_equal(sh_topo_bind_thread(t, -1), SHUNT_OK);
	wide = tu_topo_with(NULL);
	assert_true(shunt_topo_allowed(t, all, sizeof(all)) > 0 && shunt_topo_allowed(wide, got, sizeof(got)) > 0);
	assert_string_equal(got, all);
	shunt_topo_close(wide);
	return NULL;
}

/* Opening must not move the caller, and one narrowed by its affinity sees the rest as forbidden. */
static void narrowed(void **state)
{
	struct shunt_topo *t = tu_topo_with(NULL), *small = NULL;
	char before[4096], after[4096], want[16];
	int cpu = (int)last_allowed(t);
	pthread_t thread;

	(void)state;
	assert_int_equal(sh_topo_readback(before, sizeof(before), NULL), SHUNT_OK);
	assert_int_equal(sh_topo_bind_thread(t, cpu), SHUNT_OK); /* this is the main thread */
	small = tu_topo_with(NULL);
	(void)snprintf(want, sizeof(want), "%d", cpu);
	assert_true(shunt_topo_allowed(small, after, sizeof(after)) > 0);
	assert_string_equal(after, want);
	shunt_topo_close(small);
	assert_int_equal(pthread_create(&thread, NULL, open_wide, t), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(sh_topo_bind_thread(t, -1), SHUNT_OK);
	small = tu_topo_with(NULL);
	assert_int_equal(sh_topo_readback(after, sizeof(after), NULL), SHUNT_OK);
	assert_string_equal(after, before);
	shunt_topo_close(small);
	shunt_topo_close(t);
}

static void memory(void **state)
{
	struct shunt_topo *t = tu_topo_with(NULL);
	uint32_t n = shunt_topo_node_count(t);
	size_t len = 64u * 1024u;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char name[] = "topo.membind";
	uint32_t target = shunt_topo_node_at(t, n - 1)->os_node;
	int rc, where;

	(void)state;
	assert_true(p != MAP_FAILED);
	assert_int_equal(sh_topo_bind_memory(t, p, len, 1u << 20), SHUNT_EINVAL);
	assert_int_equal(sh_topo_bind_memory(t, NULL, len, target), SHUNT_EINVAL);
	assert_int_equal(sh_topo_bind_memory(t, p, 0, target), SHUNT_EINVAL);
	sh_inject_set(fail_pin, name);
	assert_int_equal(sh_topo_bind_memory(t, p, len, target), SHUNT_EPERM);
	sh_inject_set(NULL, NULL);
	rc = sh_topo_bind_memory(t, p, len, target);
	where = sh_topo_page_node(p);
	if (rc == SHUNT_ENOSYS || rc == SHUNT_EPERM || where == SHUNT_ENOSYS || where == SHUNT_EPERM) {
		print_message("skipped: memory policy is not permitted here (bind %s, look %s)\n", shunt_strerror(rc),
			      shunt_strerror(where));
	} else {
		assert_int_equal(rc, SHUNT_OK);
		assert_int_equal(where, SHUNT_EAGAIN); /* not touched yet */
		memset(p, 1, len);
		assert_int_equal(sh_topo_page_node(p), target);
		assert_int_equal(sh_topo_page_node(p + len - 1), target);
	}
	assert_int_equal(munmap(p, len), 0);
	shunt_topo_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flat_view),
		cmocka_unit_test(one_cpu),
		cmocka_unit_test(memory_only_node),
		cmocka_unit_test(kinds_and_holes),
		cmocka_unit_test(more_kinds_than_two),
		cmocka_unit_test(offline),
		cmocka_unit_test(refusals),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(never_a_silent_no_op),
		cmocka_unit_test(threads),
		cmocka_unit_test(narrowed),
		cmocka_unit_test(memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
