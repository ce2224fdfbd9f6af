/*
 * stress/chaos_outside.c - the parent's side of a chaos scenario: starts it in a process of its own, interferes, watches
 * that it moves, reports a hang with the state of every thread, and judges the end by exit and ledger. See
 * chaos_scenarios.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chaos_scenarios.h"
#include "chaos_threads.h"

#define STEP_NS 2000000u
#define STILL_S (CHAOS_SANITIZED ? 90u : 45u)
#define TOTAL_S (CHAOS_SANITIZED ? 600u : 200u) /* beside the planned duration */
#define CPU_SWITCH "/sys/devices/system/cpu/cpu1/online"

/* ---- interference ---- */

static bool collect(struct chaos_run *r, int flags)
{
	int status = 0;

	if (waitpid(r->pid, &status, flags) != r->pid)
		return false;
	if (WIFSTOPPED(status))
		return true;
	r->ended = true;
	r->status = status;
	return true;
}

void chaos_outside_stop(struct chaos_run *r)
{
	if (sh_a64_load_sc(&chaos_ledger->over) < r->over)
		return; /* not moved since the last stop */
	stress_pause_ns(sh_rng_below(&r->rng, 3000000));
	(void)kill(r->pid, SIGSTOP);
	while (!collect(r, WUNTRACED))
		STRESS_CHECK(errno == EINTR, "waitpid");
	if (r->ended)
		return;
	STRESS_CHECK(chaos_ledger_check_live(r->scenario->name) == 0, "the ledger of the stopped process is wrong");
	r->over = sh_a64_load_sc(&chaos_ledger->over) + 20;
	stress_pause_ns(1000000u * sh_rng_below(&r->rng, 40));
	(void)kill(r->pid, SIGCONT);
	r->still_since_ns = shunt_now_ns();
	(void)sh_a64_add_rlx(&chaos_ledger->acts, 1);
}

void chaos_outside_masks(struct chaos_run *r)
{
	uint32_t n = 1 + sh_rng_below(&r->rng, 4);

	while (n-- > 0) {
		const struct chaos_thread *t = chaos_thread_pick(&r->rng, sh_rng_below(&r->rng, 4) ? CHAOS_WORKER : 0);

		if (!t)
			continue;
		STRESS_CHECK(chaos_thread_mask(t, &r->rng), "a cpu mask of our own process was refused");
		(void)sh_a64_add_rlx(&chaos_ledger->acts, 1);
	}
}

void chaos_outside_kill(struct chaos_run *r)
{
	if (sh_a64_load_sc(&chaos_ledger->acts) == 0)
		return;
	stress_pause_ns(sh_rng_below(&r->rng, 300000000));
	(void)kill(r->pid, SIGKILL);
	while (!r->ended)
		(void)collect(r, 0);
}

/* It takes a cpu from everybody on the machine: only when asked for. */
const char *chaos_hotplug_unfit(void)
{
	const char *asked = getenv("SHUNT_CHAOS_HOTPLUG");

	if (access(CPU_SWITCH, W_OK) != 0)
		return "not allowed here: " CPU_SWITCH " is not writable";
	if (!asked || strcmp(asked, "1") != 0)
		return "it takes cpu 1 from the whole machine; SHUNT_CHAOS_HOTPLUG=1 allows it";
	return NULL;
}

static bool cpu_switch(const char *on)
{
	int fd = open(CPU_SWITCH, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, on, 1) == 1;

	if (fd >= 0)
		(void)close(fd);
	return done;
}

void chaos_outside_hotplug(struct chaos_run *r)
{
	uint64_t target = sh_a64_load_sc(&chaos_ledger->over) + 20;
	uint64_t start = shunt_now_ns();
	bool moved;

	if (!cpu_switch("0")) {
		(void)printf("  hotplug: the kernel refused\n");
		return;
	}
	do {
		stress_pause_ns(STEP_NS);
		moved = sh_a64_load_sc(&chaos_ledger->over) >= target;
		(void)collect(r, WNOHANG);
	} while (!moved && !r->ended && shunt_now_ns() - start < UINT64_C(1000000000) * STILL_S);
	STRESS_CHECK(cpu_switch("1"), "cpu 1 did not come back");
	STRESS_CHECK(moved || r->ended, "nothing moved while cpu 1 was off");
	(void)sh_a64_add_rlx(&chaos_ledger->acts, 1);
}

/* ---- watching ---- */

static void print_file(pid_t pid, const char *task, const char *name)
{
	char path[320];
	char text[160];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", (int)pid, task, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		(void)close(fd);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\0'))
		n--;
	text[n < 0 ? 0 : n] = '\0';
	(void)fprintf(stderr, " %s=[%s]", name, n < 0 ? "?" : text);
}

static void print_tasks(pid_t pid)
{
	const struct dirent *e;
	char path[64];
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)fprintf(stderr, "  task %s:", e->d_name);
		print_file(pid, e->d_name, "comm");
		print_file(pid, e->d_name, "wchan");
		print_file(pid, e->d_name, "syscall");
		(void)fputc('\n', stderr);
	}
	(void)closedir(dir);
}

static void report_failure(const struct chaos_run *r, const char *what)
{
	(void)fprintf(stderr, "chaos_stress: FAILED: scenario %s, seed %llu: %s\n  at: %s\n  replay: SHUNT_SEED=%llu "
			      "chaos_stress --only %s\n",
		      r->scenario->name, (unsigned long long)r->seed, what, chaos_ledger->at, (unsigned long long)r->seed,
		      r->scenario->name);
}

/* Every thread's place in the kernel, then (the process may still be able to) a snapshot; then the end. */
static void report_hang(struct chaos_run *r, const char *what)
{
	int i;

	report_failure(r, what);
	print_tasks(r->pid);
	(void)kill(r->pid, SIGUSR2); /* its answering thread prints the snapshot */
	for (i = 0; i < 50 && !r->ended; i++) {
		stress_pause_ns(100000000);
		(void)collect(r, WNOHANG);
		stress_progress();
	}
	(void)kill(r->pid, SIGKILL);
	while (!r->ended)
		(void)collect(r, 0);
	(void)chaos_ledger_check_live(r->scenario->name);
}

static bool watch(struct chaos_run *r, uint64_t duration_ms)
{
	const char *text = getenv("SHUNT_CHAOS_DEADLINE_S");
	uint64_t still_s = text ? strtoull(text, NULL, 10) : STILL_S;

	while (!r->ended) {
		uint64_t now = shunt_now_ns();
		uint64_t progress = sh_a64_load_sc(&chaos_ledger->progress);

		stress_progress();
		if (progress != r->progress) {
			r->progress = progress;
			r->still_since_ns = now;
		}
		if (now - r->still_since_ns > UINT64_C(1000000000) * still_s) {
			report_hang(r, "HANG: nothing moves");
			return false;
		}
		if (now - r->begin_ns > UINT64_C(1000000) * duration_ms + UINT64_C(1000000000) * TOTAL_S) {
			report_hang(r, "too slow");
			return false;
		}
		if (r->scenario->outside && sh_a32_load_sc(&chaos_ledger->phase) == CHAOS_RUNNING)
			r->scenario->outside(r);
		if (!r->ended)
			(void)collect(r, WNOHANG);
		if (!r->ended)
			stress_pause_ns(STEP_NS);
	}
	return true;
}

/* ---- one run ---- */

static bool judge(const struct chaos_run *r)
{
	enum chaos_end end = r->scenario->end;
	bool killed = WIFSIGNALED(r->status) && WTERMSIG(r->status) == SIGKILL;
	char text[80];

	if (end == CHAOS_END_KILLED ? !killed : !WIFEXITED(r->status) || WEXITSTATUS(r->status) != 0) {
		(void)snprintf(text, sizeof(text), "ended with %s %d", WIFEXITED(r->status) ? "exit status" : "signal",
			       WIFEXITED(r->status) ? WEXITSTATUS(r->status) : WTERMSIG(r->status));
		report_failure(r, text);
		(void)chaos_ledger_check_live(r->scenario->name);
		return false;
	}
	if (end == CHAOS_END_QUIESCED ? sh_a32_load_sc(&chaos_ledger->phase) != CHAOS_QUIESCED ||
						chaos_ledger_check_quiesced(r->scenario->name) != 0
				      : chaos_ledger_check_live(r->scenario->name) != 0) {
		report_failure(r, "the ledger of jobs does not add up");
		return false;
	}
	return true;
}

static bool start(struct chaos_run *r, int fd, uint64_t duration_ms, char **argv)
{
	char what[128];
	char seed[32];

	(void)snprintf(what, sizeof(what), "%s:%d:%llu", r->scenario->name, fd, (unsigned long long)duration_ms);
	(void)snprintf(seed, sizeof(seed), "%llu", (unsigned long long)r->seed);
	(void)fflush(NULL);
	r->pid = fork();
	if (r->pid != 0)
		return r->pid > 0;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it may be stopped when a check of ours ends us */
	/* A fresh image: sanitizers do not support threads in the child of a process that has some. */
	(void)setenv("SHUNT_CHAOS_CHILD", what, 1);
	(void)setenv("SHUNT_SEED", seed, 1);
	(void)setenv("SHUNT_STRESS_DEADLINE_S", "1000000", 1); /* the parent watches */
	if (r->scenario->malloc_conf)
		(void)setenv("MALLOC_CONF", r->scenario->malloc_conf, 1);
	(void)execv("/proc/self/exe", argv);
	_exit(127);
}

bool chaos_run_scenario(const struct chaos_scenario *s, uint64_t seed, uint64_t duration_ms, char **argv)
{
	struct chaos_run r = { .scenario = s, .seed = seed };
	struct chaos_sums sum;
	int fd = chaos_ledger_create();
	bool good;

	STRESS_CHECK(fd >= 0 && chaos_ledger_map(fd), "no shared memory for the ledger");
	sh_rng_init(&r.rng, seed);
	r.begin_ns = r.still_since_ns = shunt_now_ns();
	(void)printf("%s: seed %llu\n", s->name, (unsigned long long)seed);
	STRESS_CHECK(start(&r, fd, duration_ms, argv), "fork");
	good = watch(&r, duration_ms) && judge(&r);
	sum = chaos_ledger_sums();
	if (good)
		(void)printf("  ok: %llu acts; jobs: %llu accepted (%llu done, %llu failed, %llu cancelled), %llu refused; "
			     "%llu ms\n",
			     (unsigned long long)sh_a64_load_sc(&chaos_ledger->acts), (unsigned long long)sum.accepted,
			     (unsigned long long)sum.done, (unsigned long long)sum.failed, (unsigned long long)sum.cancelled,
			     (unsigned long long)sum.refused, (unsigned long long)((shunt_now_ns() - r.begin_ns) / 1000000u));
	chaos_ledger_unmap();
	(void)close(fd);
	return good;
}
