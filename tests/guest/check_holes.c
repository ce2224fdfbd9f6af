/*
 * tests/guest/check_holes.c - cpus that are there but not for us: offline, outside the affinity mask, outside the
 * cgroup's cpuset, behind a quota; and what the kernel refuses after the topology was read.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "sched/pool.h"
#include "machine/bind.h"

#define GROUP "/sys/fs/cgroup"
#define BURN_S 40 /* much longer than a period of the quota */

static struct shunt_topo *topo(void)
{
	struct shunt_topo *t = NULL;

	CHECK(shunt_topo_open(&t, NULL) == SHUNT_OK, "topology opens");
	return t;
}

static void check_allowed(const struct shunt_topo *t, const char *want)
{
	char got[128];

	(void)shunt_topo_allowed(t, got, sizeof(got));
	CHECK(strcmp(got, want) == 0, "allowed cpus %s (found %s)", want, got);
}

/* Cpus 3 is offline, the rest is there. */
void check_offline(const struct truth *m)
{
	struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;
	struct shunt_topo *t = topo(), *other = NULL;

	if (!t)
		return;
	CHECK(m->online == 0xf7, "cpu 3 of 8 is offline");
	check_allowed(t, "0-2,4-7");
	check_refused(t, "3", "'3': cpu 3 is offline; allowed cpus: 0-2,4-7");
	check_refused(t, "0-4", "'0-4': cpu 3 is offline; allowed cpus: 0-2,4-7");
	check_place(t, "all,!3", "0-2,4-7");
	check_place(t, "core:1", "2");
	check_place(t, "numa:0", "0-2");
	check_refused(t, "numa:0.core:1.pu:1", "'numa:0.core:1.pu:1': no pu 1 there; available: 0");
	CHECK(sh_topo_bind_thread(t, 3) == SHUNT_EPLACE, "no thread can be bound to cpu 3");
	o.allowed_cpus = "0-3";
	CHECK(shunt_topo_open(&other, &o) == SHUNT_EINVAL, "nor be allowed there");
	shunt_topo_close(t);
}

void check_affinity_hole(const struct truth *m)
{
	struct shunt_cpu_budget b;
	struct shunt_topo *t;
	struct world w;

	CHECK(truth_affinity_set(0x65), "affinity 0,2,5-6");
	t = topo();
	if (!t)
		return;
	check_allowed(t, "0,2,5-6");
	check_refused(t, "1", "'1': cpu 1 is not allowed; allowed cpus: 0,2,5-6");
	check_refused(t, "numa:0.core:0.pu:1", "cpu 1 is not allowed; allowed cpus: 0,2,5-6");
	check_place(t, "all", "0,2,5-6");
	check_place(t, "numa:1", "5-6");
	check_place(t, "core:*.pu:0", "0,2,6");
	CHECK(sh_topo_bind_thread(t, 1) == SHUNT_EPLACE, "no thread can be bound to cpu 1");
	CHECK(shunt_topo_budget(t, &b, sizeof(b)) == SHUNT_OK && b.budget == 4 && b.affinity == 4,
	      "budget %u of 4: %s", b.budget, b.why);
	CHECK(strncmp(b.why, "affinity decides", 16) == 0, "affinity decides");
	CHECK(world_open(&w, "1", SHUNT_PIN_COMPACT, 1, NULL) == SHUNT_EPLACE &&
		      strstr(w.log, "'1': cpu 1 is not allowed; allowed cpus: 0,2,5-6"),
	      "no pool on cpu 1 (found %s)", w.log);
	if (CHECK(world_open(&w, NULL, SHUNT_PIN_COMPACT, 0, NULL) == SHUNT_OK, "a pool as large as the budget")) {
		CHECK(w.in->workers == 4, "has 4 workers (found %u)", w.in->workers);
		world_close(&w);
	}
	check_masks(m);
	CHECK(truth_affinity_set(0x5), "affinity 0,2");
	CHECK(shunt_topo_budget(t, &b, sizeof(b)) == SHUNT_OK && b.budget == 2,
	      "the budget is read again: %u of 2: %s", b.budget, b.why);
	shunt_topo_close(t);
}

static bool group_make(const char *name, const char *control)
{
	char path[128];

	(void)snprintf(path, sizeof(path), GROUP "%s", name);
	if (mkdir(path, 0755) < 0)
		return false;
	return !control || truth_write(control, GROUP "%s/cgroup.subtree_control", name);
}

/* A group of our own with cpus 0-1,3-4,6, of which 3 is offline; and an affinity without 1. */
void check_cpuset(const struct truth *m)
{
	struct shunt_topo *t;
	struct shunt_cpu_budget b;
	struct world w;

	CHECK(truth_write("+cpu +cpuset", GROUP "/cgroup.subtree_control") && group_make("/set", NULL), "a cgroup");
	CHECK(truth_write("0-1,3-4,6", GROUP "/set/cpuset.cpus") && truth_write("0", GROUP "/set/cgroup.procs"),
	      "its cpuset is 0-1,3-4,6");
	CHECK(truth_affinity() == 0x53, "the kernel makes it 0-1,4,6");
	t = topo();
	if (!t)
		return;
	check_allowed(t, "0-1,4,6");
	check_refused(t, "5", "'5': cpu 5 is not allowed; allowed cpus: 0-1,4,6");
	check_refused(t, "3", "'3': cpu 3 is offline; allowed cpus: 0-1,4,6");
	check_place(t, "numa:1", "4,6");
	CHECK(shunt_topo_budget(t, &b, sizeof(b)) == SHUNT_OK && b.budget == 4 && b.cpuset == 4,
	      "budget %u of 4: %s", b.budget, b.why);
	CHECK(sh_topo_bind_thread(t, 5) == SHUNT_EPLACE, "no thread can be bound to cpu 5");
	check_masks(m);
	CHECK(truth_affinity_set(0x51), "affinity 0,4,6 in it");
	CHECK(shunt_topo_budget(t, &b, sizeof(b)) == SHUNT_OK && b.budget == 3 && b.affinity == 3 && b.cpuset == 4,
	      "budget %u of 3: %s", b.budget, b.why);
	shunt_topo_close(t);
	t = topo();
	if (!t)
		return;
	check_allowed(t, "0,4,6");
	/* The set shrinks under a topology that was read before: what is left to say is the kernel's no. */
	CHECK(truth_write("0,6", GROUP "/set/cpuset.cpus"), "the cpuset becomes 0,6");
	CHECK(sh_topo_bind_thread(t, 4) == SHUNT_EPERM, "now the kernel refuses cpu 4");
	CHECK(shunt_topo_budget(t, &b, sizeof(b)) == SHUNT_OK && b.budget == 2 && b.cpuset == 2,
	      "budget %u of 2: %s", b.budget, b.why);
	CHECK(world_open(&w, "4", SHUNT_PIN_COMPACT, 1, NULL) == SHUNT_EPLACE, "and a new runtime knows");
	shunt_topo_close(t);
}

/* A cpuset that takes node 1's memory away: a runtime says so and works. */
void check_mems(const struct truth *m)
{
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct shunt_topo *t;
	struct seen seen;
	struct world w;

	CHECK(truth_write("+cpu +cpuset", GROUP "/cgroup.subtree_control") && group_make("/mems", NULL), "a cgroup");
	CHECK(truth_write("0", GROUP "/mems/cpuset.mems") && truth_write("0", GROUP "/mems/cgroup.procs"),
	      "with memory of node 0 only");
	t = topo();
	if (!t || !CHECK(p != MAP_FAILED, "memory"))
		return;
	CHECK(sh_topo_bind_memory(t, p, 65536, 1) == SHUNT_EPERM, "memory cannot be bound to node 1");
	CHECK(sh_topo_bind_memory(t, p, 65536, 0) == SHUNT_OK, "but to node 0");
	shunt_topo_close(t);
	if (!CHECK(world_open(&w, NULL, SHUNT_PIN_SCATTER, 2, NULL) == SHUNT_OK, "a pool on both nodes"))
		return;
	CHECK(strstr(w.log, "records of node 1 could not be put there: "), "it says so of the jobs (found %s)", w.log);
	CHECK(strstr(w.log, "pool guest: worker 1: its queues could not be put on node 1: "), "and of the queues");
	CHECK(!strstr(w.log, "node 0"), "and nothing of node 0");
	CHECK(world_run(&w, &seen, SHUNT_JOB_ON_WORKER, 1) == SHUNT_OK && seen.node == 1 &&
		      (m->node[1].cpus >> seen.cpu & 1u),
	      "worker 1 ran a job on node 1 all the same");
	world_close(&w);
	(void)munmap(p, 65536);
}

static void check_budget(const struct shunt_topo *t, uint32_t budget, uint32_t milli, const char *why)
{
	struct shunt_cpu_budget b;

	CHECK(shunt_topo_budget(t, &b, sizeof(b)) == SHUNT_OK && b.budget == budget && b.quota_milli == milli,
	      "budget %u (found %u), quota %u (found %u)", budget, b.budget, milli, b.quota_milli);
	CHECK(strstr(b.why, why), "why: %s (found %s)", why, b.why);
}

/* Groups /q and /q/r with quotas; the tighter one counts. */
void check_quota(const struct truth *m)
{
	uint32_t cpus = (uint32_t)__builtin_popcountll(m->online);
	struct shunt_cpu_budget b = { 0 };
	struct timespec now;
	struct shunt_topo *t;
	struct world w;
	time_t limit;

	CHECK(truth_write("+cpu +cpuset", GROUP "/cgroup.subtree_control") && group_make("/q", "+cpu") &&
		      group_make("/q/r", NULL),
	      "two cgroups");
	CHECK(truth_write("0", GROUP "/q/r/cgroup.procs"), "this process is in the inner one");
	t = topo();
	if (!t)
		return;
	check_budget(t, cpus, 0, "quota none");
	CHECK(truth_write("250000 100000", GROUP "/q/r/cpu.max"), "inner quota 2.5 cpus");
	check_budget(t, 2, 2500, "cgroup quota decides");
	check_budget(t, 2, 2500, "quota 2.50 of /q/r");
	CHECK(truth_write("150000 100000", GROUP "/q/cpu.max"), "outer quota 1.5 cpus");
	check_budget(t, 1, 1500, "quota 1.50 of /q,");
	CHECK(world_open(&w, NULL, SHUNT_PIN_COMPACT, 0, NULL) == SHUNT_OK && w.in->workers == 1,
	      "a pool has one worker");
	world_close(&w);
	CHECK(truth_write("max", GROUP "/q/cpu.max"), "no outer quota");
	CHECK(truth_write("5000 50000", GROUP "/q/r/cpu.max"), "inner quota 0.1 cpu");
	check_budget(t, 1, 100, "quota 0.10 of /q/r");
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	limit = now.tv_sec + BURN_S;
	while (b.throttled_periods == 0 && now.tv_sec < limit) {
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (shunt_topo_budget(t, &b, sizeof(b)) < 0)
			break;
	}
	CHECK(b.throttled_periods > 0 && strstr(b.why, "throttled"), "%llu periods throttled: %s",
	      (unsigned long long)b.throttled_periods, b.why);
	CHECK(truth_write("max", GROUP "/q/r/cpu.max"), "no quota");
	check_budget(t, cpus, 0, "quota none");
	shunt_topo_close(t);
}

/* Cpu 5 goes after the topology was read: pinning there is the kernel's to refuse. */
void check_pin_refused(const struct truth *m)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_snapshot *s = NULL;
	struct shunt_topo *t = topo();
	struct shunt_runtime *rt = NULL;
	struct shunt_pool_id pool;

	if (!t)
		return;
	CHECK(m->online >> 5 & 1u && truth_cpu_online(5, false), "cpu 5 goes offline");
	CHECK(sh_topo_bind_thread(t, 5) == SHUNT_EPERM, "the kernel refuses a thread");
	ro.topo = t;
	ro.jobs_max = 4096;
	if (!CHECK(shunt_runtime_create(&rt, &ro) == SHUNT_OK, "a runtime on the old topology"))
		goto out;
	po.name = "must";
	po.place = "5";
	po.workers = 1;
	po.pin_required = 1;
	CHECK(shunt_pool_create(rt, &po, &pool) == SHUNT_EPERM, "a pool that must be pinned there is refused");
	po.name = "may";
	po.pin_required = 0;
	CHECK(shunt_pool_create(rt, &po, &pool) == SHUNT_OK, "one that need not works");
	if (CHECK(shunt_snapshot_create(rt, &s) == SHUNT_OK && shunt_snapshot_worker_count(s) == 1, "snapshot")) {
		const struct shunt_worker_info *w = shunt_snapshot_worker_at(s, 0);

		CHECK(w->pin_verified == 0 && w->pin_error == SHUNT_EPERM && w->cpu_planned == 5 && w->cpu_seen != 5,
		      "says that the pin failed (error %d, cpu %d)", w->pin_error, w->cpu_seen);
	}
	shunt_snapshot_destroy(s);
	CHECK(shunt_runtime_destroy(rt, NULL) == 0, "it ends");
out:
	CHECK(truth_cpu_online(5, true), "cpu 5 is back");
	shunt_topo_close(t);
}

/* A cpu is taken from under its worker: nothing is lost. */
void check_unplug(const struct truth *m)
{
	uint32_t cpus = (uint32_t)__builtin_popcountll(m->online);
	struct seen seen;
	struct world w;

	if (!CHECK(world_open(&w, NULL, SHUNT_PIN_COMPACT, cpus, NULL) == SHUNT_OK, "a worker on every cpu"))
		return;
	for (uint32_t i = 0; i < cpus; i++) {
		uint32_t cpu = (uint32_t)w.in->worker[i]->cpu;

		if (cpu != 5 && cpu != 6)
			continue;
		CHECK(world_run(&w, &seen, SHUNT_JOB_ON_WORKER, i) == SHUNT_OK && seen.cpu == (int)cpu,
		      "a job on cpu %u", cpu);
		CHECK(truth_cpu_online(cpu, false), "cpu %u goes offline", cpu);
		CHECK(world_run(&w, &seen, SHUNT_JOB_ON_WORKER, i) == SHUNT_OK && seen.cpu != (int)cpu,
		      "its worker runs its next job elsewhere");
	}
	for (uint32_t i = 0; i < cpus; i++)
		CHECK(world_run(&w, &seen, SHUNT_JOB_ON_WORKER, i) == SHUNT_OK, "worker %u runs jobs", i);
	world_close(&w);
	CHECK(truth_cpu_online(5, true) && truth_cpu_online(6, true), "they are back");
}
