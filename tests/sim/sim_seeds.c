/*
 * Many simulated lives of a runtime, each from one seed, each in a child process: 1500 in CI, 10,000 with SHUNT_LONG=1.
 * A seed that fails is shrunk: fewer jobs, submitters, workers, faults, pools, levels, as long as it still fails.
 *
 *   sim_seeds [COUNT]             seeds 1..COUNT (default 1..1500)
 *   SHUNT_SEED=7 sim_seeds        one seed, with its trace; SHUNT_SIM=jobs=10,faults=0 cuts it down
 *   sim_seeds same                a seed gives the same trace twice in one process, and once more in another
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/world.h"

#define SEEDS 1500u
#define SEEDS_LONG 10000u
#define SHRINK_RUNS 80u
#define HOST_SECONDS 60u /* a child that needs more of the real cpu hangs */
#define FAILURES_MAX 5u

static struct shunt_topo *topo;

/* Runs a seed in a child. Its standard error goes to `err` (NULL = ours). 0, or what went wrong. */
static int run_child(uint64_t seed, const struct load_limits *limits, FILE *trace, FILE *err, struct world_result *out)
{
	int fd[2], status = 0;
	ssize_t got;
	pid_t pid;

	memset(out, 0, sizeof(*out));
	(void)fflush(NULL);
	if (pipe(fd) != 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		struct rlimit cpu = { HOST_SECONDS, HOST_SECONDS };
		struct world_result r = { 0 };
		struct load l;

		(void)setrlimit(RLIMIT_CPU, &cpu);
		if (err)
			(void)dup2(fileno(err), STDERR_FILENO);
		load_draw(&l, seed, limits);
		if (trace)
			load_print(trace, &l);
		world_run(&l, topo, trace, &r);
		if (trace)
			(void)fflush(trace);
		got = write(fd[1], &r, sizeof(r));
		_exit(got == (ssize_t)sizeof(r) ? 0 : 1);
	}
	(void)close(fd[1]);
	got = read(fd[0], out, sizeof(*out));
	(void)close(fd[0]);
	(void)waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && got == (ssize_t)sizeof(*out))
		return 0;
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static bool fails(uint64_t seed, const struct load_limits *limits)
{
	struct world_result r;
	FILE *quiet = fopen("/dev/null", "we");
	int rc = run_child(seed, limits, NULL, quiet, &r);

	if (quiet)
		(void)fclose(quiet);
	return rc != 0;
}

/* Tries to lower one limit: to almost nothing, then to less and less below what is known to fail. True = lowered. */
static bool shrink_one(uint64_t seed, struct load_limits *l, uint32_t *field, uint32_t now, uint32_t *runs)
{
	uint32_t low = 0; /* does not fail with this, as far as is known */
	uint32_t best = now;

	while (low + 1 < best && *runs < SHRINK_RUNS) {
		uint32_t keep = *field;

		*field = low + (best - low) / 2;
		++*runs;
		if (fails(seed, l)) {
			best = *field;
		} else {
			low = *field;
			*field = keep;
		}
	}
	return best < now;
}

static void shrink(uint64_t seed, struct load_limits *l)
{
	struct load d;
	uint32_t runs = 0;
	bool more = true;

	load_draw(&d, seed, l);
	if (d.machine.faults_max != 0) {
		struct load_limits none = *l;

		none.faults = LOAD_NO_FAULT;
		if (fails(seed, &none))
			*l = none;
	}
	while (more && runs < SHRINK_RUNS) {
		load_draw(&d, seed, l);
		more = shrink_one(seed, l, &l->jobs, d.jobs, &runs);
		more = shrink_one(seed, l, &l->submitters, d.submitters, &runs) || more;
		more = shrink_one(seed, l, &l->pools, d.pools, &runs) || more;
		more = shrink_one(seed, l, &l->workers, LOAD_WORKERS, &runs) && l->workers < LOAD_WORKERS && more;
		more = shrink_one(seed, l, &l->levels, d.levels, &runs) || more;
		if (l->faults != LOAD_NO_FAULT)
			more = shrink_one(seed, l, &l->faults, d.machine.faults_max, &runs) || more;
	}
}

static void explain(const char *program, uint64_t seed)
{
	struct load_limits l = { 0, 0, 0, 0, 0, 0 };
	struct world_result r;
	struct load d;

	(void)printf("seed %llu FAILED\n  replay: SHUNT_SEED=%llu %s\n", (unsigned long long)seed, (unsigned long long)seed, program);
	shrink(seed, &l);
	(void)printf("  smallest that fails: SHUNT_SEED=%llu SHUNT_SIM=", (unsigned long long)seed);
	limits_print(stdout, &l);
	(void)printf(" %s\n", program);
	load_draw(&d, seed, &l);
	load_print(stdout, &d);
	(void)run_child(seed, &l, NULL, NULL, &r);
}

struct totals {
	uint64_t jobs, steps, time_ns, faults[SIM_FAULTS], idle_most_ns;
};

static void add(struct totals *t, const struct world_result *r)
{
	uint32_t f;

	t->jobs += r->jobs;
	t->steps += r->stats.steps;
	t->time_ns += r->stats.time_ns;
	t->idle_most_ns = r->idle_most_ns > t->idle_most_ns ? r->idle_most_ns : t->idle_most_ns;
	for (f = 0; f < SIM_FAULTS; f++)
		t->faults[f] += r->stats.faults[f];
}

static int many(const char *program, uint32_t count)
{
	const struct load_limits none = { 0, 0, 0, 0, 0, 0 };
	struct totals t = { 0 };
	struct world_result r;
	FILE *quiet = fopen("/dev/null", "we");
	uint32_t failed = 0;
	uint32_t f;
	uint64_t seed;

	for (seed = 1; seed <= count && failed < FAILURES_MAX; seed++) {
		if (run_child(seed, &none, NULL, quiet, &r) == 0) {
			add(&t, &r);
			continue;
		}
		failed++;
		explain(program, seed);
	}
	if (quiet)
		(void)fclose(quiet);
	(void)printf("%llu seeds, %u failed: %llu jobs, %llu steps, %.3f s of virtual time\n", (unsigned long long)(seed - 1), failed,
		     (unsigned long long)t.jobs, (unsigned long long)t.steps, (double)t.time_ns * 1e-9);
	(void)printf("faults:");
	for (f = 0; f < SIM_FAULTS; f++)
		(void)printf(" %s %llu%s", sim_fault_names[f], (unsigned long long)t.faults[f], f + 1 < SIM_FAULTS ? "," : "\n");
	(void)printf("longest wait of a job beside a worker that slept and could have taken it: %llu ns\n",
		     (unsigned long long)t.idle_most_ns);
	return failed == 0 ? 0 : 1;
}

static int one(uint64_t seed)
{
	struct load_limits limits = { 0, 0, 0, 0, 0, 0 };
	struct world_result r;
	int rc;

	if (getenv("SHUNT_SIM") && !limits_parse(&limits, getenv("SHUNT_SIM"))) {
		(void)fprintf(stderr, "SHUNT_SIM: want jobs=, submitters=, workers=, faults=, pools=, levels=\n");
		return 2;
	}
	rc = run_child(seed, &limits, stdout, NULL, &r);
	if (rc != 0)
		(void)printf("seed %llu failed (%d)\n", (unsigned long long)seed, rc);
	return rc != 0;
}

/* ---- same seed, same trace ---- */

static bool same_bytes(FILE *a, FILE *b, long *bytes)
{
	int x, y;

	rewind(a);
	rewind(b);
	*bytes = 0;
	do {
		x = fgetc(a);
		y = fgetc(b);
		++*bytes;
	} while (x == y && x != EOF);
	return x == y && *bytes > 1000;
}

/* The trace of another process: fresh addresses, the same seed. */
static bool trace_elsewhere(const char *program, uint64_t seed, FILE *to)
{
	char number[32];
	int status = 0;
	pid_t pid;

	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)seed);
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)dup2(fileno(to), STDOUT_FILENO);
		(void)setenv("SHUNT_SEED", number, 1);
		(void)unsetenv("SHUNT_SIM");
		(void)execl(program, program, (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int same(const char *program)
{
	const struct load_limits none = { 0, 0, 0, 0, 0, 0 };
	struct world_result r;
	long total = 0, bytes = 0;
	uint64_t seed;

	for (seed = 1; seed <= 20; seed++) {
		FILE *t[3] = { tmpfile(), tmpfile(), tmpfile() };
		uint32_t i;
		bool ok = t[0] && t[1] && t[2];

		ok = ok && run_child(seed, &none, t[0], NULL, &r) == 0 && run_child(seed, &none, t[1], NULL, &r) == 0 && trace_elsewhere(program, seed, t[2]);
		ok = ok && same_bytes(t[0], t[1], &bytes) && same_bytes(t[0], t[2], &bytes);
		for (i = 0; i < 3; i++)
			if (t[i])
				(void)fclose(t[i]);
		if (!ok) {
			(void)printf("seed %llu: its traces differ, after %ld bytes\n", (unsigned long long)seed, bytes);
			return 1;
		}
		total += bytes;
	}
	(void)printf("20 seeds, three traces each, the third in another process: the same, %ld bytes in all\n", total);
	return 0;
}

int main(int argc, char **argv)
{
	const char *one_seed = getenv("SHUNT_SEED");
	const char *is_long = getenv("SHUNT_LONG");
	struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;
	uint32_t count = is_long && is_long[0] == '1' ? SEEDS_LONG : SEEDS;
	int rc;

	o.synthetic = "numa:2 core:4 pu:1";
	rc = shunt_topo_open(&topo, &o);
	if (rc != 0) {
		(void)fprintf(stderr, "topology: %s\n", shunt_strerror(rc));
		return 1;
	}
	if (argc > 1 && strcmp(argv[1], "same") == 0)
		rc = same(argv[0]);
	else if (one_seed)
		rc = one(strtoull(one_seed, NULL, 0));
	else
		rc = many(argv[0], argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : count);
	shunt_topo_close(topo);
	return rc;
}
