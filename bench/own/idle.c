/*
 * bench/own/idle.c - own_idle, B8: what a pool costs that has nothing to do: cpu time, and how often its threads were
 * switched or ran at all, from the kernel's own counts.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "own.h"

#define WORKERS 2u
#define WARM_JOBS 1000u
#define QUIESCE_NS 300000000u /* longer than any spin before sleep */

struct counts {
	uint64_t voluntary, involuntary, runs; /* of all threads but this one */
	unsigned threads;
	bool has_runs;
};

static int handler(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	bench_count();
	return SHUNT_DONE;
}

/* A file of /proc/self/task/ID, or "" where it cannot be read. */
static void slurp(const char *id, const char *file, char *text, size_t size)
{
	char path[300];
	size_t n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%s/%s", id, file);
	f = fopen(path, "re");
	if (f) {
		n = fread(text, 1, size - 1, f);
		(void)fclose(f);
	}
	text[n] = '\0';
}

static uint64_t field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	if (!at)
		bench_die("/proc/self/task/*/status: no line '%s'", name);
	return strtoull(at + strlen(name), NULL, 10);
}

static void count_thread(struct counts *c, const char *id)
{
	unsigned long long on_cpu, waited, runs;
	char text[4096];

	slurp(id, "status", text, sizeof(text));
	c->threads++;
	c->voluntary += field(text, "\nvoluntary_ctxt_switches:");
	c->involuntary += field(text, "\nnonvoluntary_ctxt_switches:");
	slurp(id, "schedstat", text, sizeof(text));
	if (sscanf(text, "%llu %llu %llu", &on_cpu, &waited, &runs) == 3)
		c->runs += runs;
	else
		c->has_runs = false;
}

static struct counts count(void)
{
	struct counts c = { .has_runs = true };
	DIR *d = opendir("/proc/self/task");
	const struct dirent *e;
	char self[32];

	(void)snprintf(self, sizeof(self), "%ld", (long)getpid()); /* the main thread, which is this one */
	if (!d)
		bench_die("/proc/self/task: cannot be read");
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && strcmp(e->d_name, self) != 0)
			count_thread(&c, e->d_name);
	(void)closedir(d);
	return c;
}

static int run(struct bench_run *r)
{
	struct own_wish wish = { .handler = handler };
	struct counts before, after;
	uint64_t cpu, start, passed;
	struct own o;

	own_open(&o, r, &wish);
	for (unsigned i = 0; i < WARM_JOBS; i++)
		own_submit(&o, &o.spec);
	if (bench_wait_counted(r, WARM_JOBS) != 0)
		bench_die("jobs were lost");
	bench_nap(QUIESCE_NS);
	before = count();
	cpu = bench_cpu_process_ns();
	start = bench_mono_ns();
	bench_nap((uint64_t)(r->seconds * 1e9));
	passed = bench_mono_ns() - start;
	cpu = bench_cpu_process_ns() - cpu;
	after = count();
	if (before.threads != after.threads)
		bench_die("the pool had %u threads and now has %u", before.threads, after.threads);
	bench_add(r, "cpu_percent", "percent", 100 * (double)cpu / (double)passed, after.threads);
	bench_add(r, "voluntary_switches", "switches", (double)(after.voluntary - before.voluntary), after.threads);
	bench_add(r, "involuntary_switches", "switches", (double)(after.involuntary - before.involuntary),
		  after.threads);
	if (after.has_runs)
		bench_add(r, "wake_ups", "wakes", (double)(after.runs - before.runs), after.threads);
	own_close(&o);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const idle_modes[] = { "adaptive", "park", NULL };
	static const struct bench_work works[] = {
		{ "B8", "a pool of two workers that ran and now has nothing to do, 10 s", WORKERS, 1, 0, 10, 0, run },
		{ 0 },
	};

	return own_main(argc, argv, works, idle_modes);
}
