/*
 * bench/own/visibility.c - own_visibility, B9: what metrics cost a job. Runs part_visibility and part_visibility_bare,
 * which lie beside it, by turns: what drifts on the machine hits both.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "own.h"

#define TURNS_MAX 6u
#define TURNS_MIN 2u
#define TURN_S 0.8 /* starting four programs takes about as long */
#define LIST_MAX 2048u
#define OUTPUT_MAX 8192u

struct side {
	const char *program;
	char path[4200];
	double ns[TURNS_MAX];
};

struct call {
	const char *work, *idle;
	char cpus[LIST_MAX], seconds[32], patience[32], jobs[32];
	bool has_jobs;
};

static void find_beside(struct side *s)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		bench_die("/proc/self/exe: cannot be read");
	self[n] = '\0';
	slash = strrchr(self, '/');
	(void)snprintf(s->path, sizeof(s->path), "%.*s/%s", slash ? (int)(slash - self) : 0, self, s->program);
	if (access(s->path, X_OK) != 0)
		bench_die("%s: %s", s->path, strerror(errno));
}

/* Its standard output; ends this program when it failed. */
static void output_of(const struct side *s, const struct call *c, char text[OUTPUT_MAX])
{
	const char *argv[] = { s->path, "--work", c->work, "--idle", c->idle, "--cpus", c->cpus, "--seconds",
			       c->seconds, "--patience", c->patience, c->has_jobs ? "--jobs" : NULL, c->jobs, NULL };
	posix_spawn_file_actions_t actions;
	size_t used = 0;
	int fd[2], status = 0;
	ssize_t n;
	pid_t pid;

	if (pipe(fd) != 0 || posix_spawn_file_actions_init(&actions) != 0)
		bench_die("%s: cannot be started: %s", s->path, strerror(errno));
	(void)posix_spawn_file_actions_adddup2(&actions, fd[1], STDOUT_FILENO);
	(void)posix_spawn_file_actions_addclose(&actions, fd[0]);
	(void)posix_spawn_file_actions_addclose(&actions, fd[1]);
	if (posix_spawn(&pid, s->path, &actions, NULL, (char *const *)(uintptr_t)argv, environ) != 0)
		bench_die("%s: cannot be started", s->path);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(fd[1]);
	while ((n = read(fd[0], text + used, OUTPUT_MAX - 1 - used)) != 0) { /* bound: the buffer */
		if (n < 0 && errno != EINTR)
			bench_die("%s: its output cannot be read: %s", s->path, strerror(errno));
		used += n > 0 ? (size_t)n : 0;
		if (used == OUTPUT_MAX - 1)
			bench_die("%s: prints too much", s->path);
	}
	(void)close(fd[0]);
	text[used] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) { /* bound: its output has ended */
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		bench_die("%s --work %s failed", s->program, c->work);
}

static double measure(const struct side *s, const struct call *c)
{
	static const char value_name[] = "\"value\": ";
	char text[OUTPUT_MAX];
	const char *at;
	double v;

	output_of(s, c, text);
	at = strstr(text, "\"metric\": \"ns_per_job\"");
	at = at ? strstr(at, value_name) : NULL;
	v = at ? strtod(at + strlen(value_name), NULL) : 0;
	if (v <= 0)
		bench_die("%s --work %s printed no ns_per_job", s->program, c->work);
	return v;
}

static void list(char text[LIST_MAX], const int *cpus, unsigned n)
{
	int used = 0;

	for (unsigned i = 0; i < n && used < (int)LIST_MAX - 8; i++)
		used += snprintf(text + used, LIST_MAX - (size_t)used, "%s%d", i ? "," : "", cpus[i]);
}

static int run(struct bench_run *r)
{
	static struct side with = { .program = "part_visibility" }, bare = { .program = "part_visibility_bare" };
	static const char *const works[] = { "outside", "spawn" };
	struct call c = { .idle = r->idle, .has_jobs = r->jobs != 0 };
	double difference[TURNS_MAX];
	double seconds = r->seconds > 0 ? r->seconds : 0.1;
	unsigned turns = (unsigned)(seconds / TURN_S);

	if (turns < TURNS_MIN)
		turns = TURNS_MIN;
	if (turns > TURNS_MAX)
		turns = TURNS_MAX;
	find_beside(&with);
	find_beside(&bare);
	list(c.cpus, r->cpus, r->ncpus);
	(void)snprintf(c.seconds, sizeof(c.seconds), "%.6f", seconds / (4 * turns));
	(void)snprintf(c.patience, sizeof(c.patience), "%.3f", r->patience_s);
	(void)snprintf(c.jobs, sizeof(c.jobs), "%llu", (unsigned long long)r->jobs);
	for (unsigned w = 0; w < 2; w++) {
		char metric[32];

		c.work = works[w];
		for (unsigned i = 0; i < turns; i++) {
			struct side *first = i % 2 ? &bare : &with, *second = i % 2 ? &with : &bare;

			first->ns[i] = measure(first, &c);
			second->ns[i] = measure(second, &c);
			difference[i] = with.ns[i] - bare.ns[i];
		}
		bench_sort(with.ns, turns);
		bench_sort(bare.ns, turns);
		bench_sort(difference, turns);
		(void)snprintf(metric, sizeof(metric), "%s_ns_per_job", works[w]);
		bench_add(r, metric, "ns", bench_quantile(with.ns, turns, 0.5), turns);
		(void)snprintf(metric, sizeof(metric), "%s_bare_ns_per_job", works[w]);
		bench_add(r, metric, "ns", bench_quantile(bare.ns, turns, 0.5), turns);
		(void)snprintf(metric, sizeof(metric), "%s_price", works[w]);
		bench_add(r, metric, "ns", bench_quantile(difference, turns, 0.5), turns);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const idle_modes[] = { "adaptive", NULL };
	static const struct bench_work works[] = {
		{ "B9", "empty jobs on one worker, with metrics and with none compiled in; the price is the difference",
		  1, 1, 0, 6, 0, run },
		{ 0 },
	};

	return own_main(argc, argv, works, idle_modes);
}
