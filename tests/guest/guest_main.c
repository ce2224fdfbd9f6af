/*
 * tests/guest/guest_main.c - the first process of the virtual machine: mounts what it needs, runs the phases of the
 * machine that its argument names, each in a process of its own, prints one line a check on the console, and turns
 * the machine off. Started by the kernel; guest.py reads the lines. The last is "GUEST OK n checks" or "GUEST FAILED".
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct counts {
	uint32_t checks, failed;
};

struct phase {
	const char *machine, *name;
	void (*run)(const struct truth *m);
	uint64_t offline; /* cpus that are offline meanwhile */
};

static struct counts *counts; /* shared by the phases, which run one after the other */

bool guest_holds;

bool guest_check(const char *file, int line, const char *cond, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	bool ok = guest_holds;
	va_list ap;

	counts->checks++;
	counts->failed += !ok;
	(void)printf("%sok %u - ", ok ? "" : "not ", counts->checks);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	if (!ok)
		(void)printf(" # %s:%d: %s", base ? base + 1 : file, line, cond);
	(void)printf("\n");
	(void)fflush(stdout);
	return ok;
}

/* Runs the command and prints its lines behind `tag`, for guest.py to read. */
static void run_command(const char *tag, const char *const *argv)
{
	char line[4096];
	int fd[2], status = -1;
	pid_t pid;
	FILE *f;

	if (!CHECK(pipe(fd) == 0, "a pipe"))
		return;
	pid = fork();
	if (pid == 0) {
		(void)dup2(fd[1], 1);
		(void)execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(fd[1]);
	f = fdopen(fd[0], "r");
	while (f && fgets(line, sizeof(line), f))
		(void)printf("%s| %s", tag, line);
	if (f)
		(void)fclose(f);
	(void)waitpid(pid, &status, 0);
	CHECK(status == 0, "%s %s succeeds", argv[0], argv[1]);
}

static void command_topo(const struct truth *m)
{
	static const char *const text[] = { "/bin/shunt", "topo", NULL };
	static const char *const json[] = { "/bin/shunt", "topo", "--json", NULL };

	(void)m;
	run_command("TEXT", text);
	run_command("JSON", json);
}

static void command_topo_hole(const struct truth *m)
{
	CHECK(truth_affinity_set(m->online & 0x65), "affinity 0,2,5-6");
	command_topo(m);
}

static void sane(const struct truth *m)
{
	check_topology(m);
	check_masks(m);
	check_places(m);
	check_steal_order(m);
}

static const struct phase phases[] = {
	{ "two-nodes", "topology", check_topology, 0 },
	{ "two-nodes", "places", check_places, 0 },
	{ "two-nodes", "policies", check_policies, 0 },
	{ "two-nodes", "masks", check_masks, 0 },
	{ "two-nodes", "steal order", check_steal_order, 0 },
	{ "two-nodes", "jobs for a node", check_node_submit, 0 },
	{ "two-nodes", "queue memory", check_queue_memory, 0 },
	{ "two-nodes", "arena memory", check_arena_memory, 0 },
	{ "two-nodes", "descriptors", check_descriptor_node, 0 },
	{ "two-nodes", "locality", check_locality, 0 },
	{ "two-nodes", "shunt topo", command_topo, 0 },
	{ "four-nodes", "topology", check_topology, 0 },
	{ "four-nodes", "places", check_places, 0 },
	{ "four-nodes", "policies", check_policies, 0 },
	{ "four-nodes", "masks", check_masks, 0 },
	{ "four-nodes", "steal order", check_steal_order, 0 },
	{ "four-nodes", "steal nearest", check_steal_nearest, 0 },
	{ "four-nodes", "jobs for a node", check_node_submit, 0 },
	{ "four-nodes", "queue memory", check_queue_memory, 0 },
	{ "four-nodes", "arena memory", check_arena_memory, 0 },
	{ "four-nodes", "descriptors", check_descriptor_node, 0 },
	{ "four-nodes", "bound memory", check_bind_memory, 0 },
	{ "four-nodes", "shunt topo", command_topo, 0 },
	{ "four-nodes", "node 1 without cpus", sane, 0x0c },
	{ "four-nodes", "arena memory, node 1 without cpus", check_arena_memory, 0x0c },
	{ "holes", "topology, cpu 3 offline", check_topology, 0x08 },
	{ "holes", "cpu 3 offline", check_offline, 0x08 },
	{ "holes", "workers, cpu 3 offline", check_masks, 0x08 },
	{ "holes", "steal order, cpu 3 offline", check_steal_order, 0x08 },
	{ "holes", "affinity hole", check_affinity_hole, 0 },
	{ "holes", "cpuset", check_cpuset, 0x08 },
	{ "holes", "memory of one node", check_mems, 0 },
	{ "holes", "quota", check_quota, 0x08 },
	{ "holes", "pin refused", check_pin_refused, 0 },
	{ "holes", "cpu taken away", check_unplug, 0 },
	{ "holes", "shunt topo", command_topo_hole, 0x08 },
};

static bool set_online(uint64_t mask, bool online)
{
	bool ok = true;

	for (uint32_t c = 0; c < TRUTH_CPUS; c++)
		ok = ok && (!(mask >> c & 1u) || truth_cpu_online(c, online));
	return ok;
}

static void run_phase(const struct phase *p)
{
	struct truth m;
	int status = -1;
	pid_t pid;

	(void)printf("# %s\n", p->name);
	(void)fflush(stdout);
	CHECK(set_online(p->offline, false), "cpus offline: %llx", (unsigned long long)p->offline);
	pid = fork();
	if (pid == 0) {
		if (CHECK(truth_read(&m), "the kernel tells %u cpus, %u nodes", m.cpus, m.nodes))
			p->run(&m);
		(void)fflush(stdout);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) != pid && errno == EINTR)
		;
	CHECK(status == 0, "%s came to its end", p->name);
	CHECK(set_online(p->offline, true), "every cpu is back");
}

/* No page may move by itself, and no crash may write elsewhere. */
static bool set_up(void)
{
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		return false;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)setenv("PATH", "/bin", 1);
	(void)mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	return mount("proc", "/proc", "proc", 0, NULL) == 0 && mount("sysfs", "/sys", "sysfs", 0, NULL) == 0 &&
	       mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) == 0 &&
	       truth_write("0", "/proc/sys/kernel/numa_balancing");
}

int main(int argc, char **argv)
{
	const char *machine = argc > 1 ? argv[1] : "";
	bool ready = set_up();
	uint32_t ran = 0;

	for (size_t i = 0; ready && i < COUNT(phases); i++) {
		if (strcmp(phases[i].machine, machine) != 0)
			continue;
		run_phase(&phases[i]);
		ran++;
	}
	if (!ready || !ran)
		(void)printf("not ok - %s\n", ready ? "no phase for this machine" : strerror(errno));
	if (ready && ran && counts->failed == 0)
		(void)printf("GUEST OK %u checks\n", counts->checks);
	else
		(void)printf("GUEST FAILED\n");
	(void)fflush(stdout);
	if (getpid() == 1)
		(void)reboot(RB_POWER_OFF);
	return 1;
}
