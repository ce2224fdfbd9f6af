/*
 * stress/chaos_stress.c - the chaos run: a mixed load on real threads while something interferes from outside the
 * library: stops of the process and of single threads, cpu masks, fork, memory limits, too few cpus, too many workers,
 * ends of threads and of the process, signals. Started by CTest, "short" (every scenario once) or "long" (again and again
 * for SHUNT_CHAOS_SECONDS, default 3600).
 *
 * Invariant, per scenario. Each job whose submit returned 0 reaches exactly one terminal state; none is lost, none runs
 * twice, a refused one never runs; jobs of a key do not overlap and keep their order; no call returns an error that its
 * description does not name, no time-out comes early; while a thread is stopped anywhere, the submits of all others go
 * on, and (where nothing waits for a lock) jobs end; nothing hangs; at the end the snapshot's counters are the ledger's.
 *
 * Each scenario runs in a process of its own; the ledger of jobs lies in memory that it shares with this one, which
 * watches and judges (chaos_outside.c). SHUNT_SEED=S chaos_stress --only SCENARIO repeats one. SHUNT_CHAOS_DEADLINE_S is
 * how long nothing may move before a scenario counts as hung. SHUNT_CHAOS_HOTPLUG=1 allows taking cpu 1 offline.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos_load.h"
#include "chaos_scenarios.h"
#include "chaos_threads.h"

#define LONG_FACTOR 4u /* a scenario of a long run lasts so much longer */
#define LONG_SECONDS 3600u

/* jemalloc 5.3 itself crashes when a thread's first allocation finds no memory for an arena of its own: none to make. */
#define ONE_ARENA "narenas:1"

static const struct chaos_scenario scenarios[] = {
	{ "stop_process", chaos_inside_quiet, chaos_outside_stop, NULL, CHAOS_END_QUIESCED, 0, 1500, NULL },
	{ "stop_threads", chaos_inside_stops, NULL, NULL, CHAOS_END_QUIESCED, 0, 1500, NULL },
	{ "stop_threads_blocking", chaos_inside_stops, NULL, NULL, CHAOS_END_QUIESCED, 1, 1500, NULL },
	{ "masks", chaos_inside_masks, chaos_outside_masks, NULL, CHAOS_END_QUIESCED, 0, 1500, NULL },
	{ "hotplug", chaos_inside_masks, chaos_outside_hotplug, chaos_hotplug_unfit, CHAOS_END_QUIESCED, 0, 1500,
	  NULL },
	{ "fork", chaos_inside_fork, NULL, NULL, CHAOS_END_QUIESCED, 0, 1500, NULL },
	{ "memory", chaos_inside_memory, NULL, chaos_memory_unfit, CHAOS_END_QUIESCED, 0, 1500, ONE_ARENA },
	{ "one_cpu", chaos_inside_one_cpu, NULL, NULL, CHAOS_END_QUIESCED, 0, 1500, NULL },
	{ "many_park", chaos_inside_many, NULL, NULL, CHAOS_END_QUIESCED, SHUNT_IDLE_PARK, 1000, NULL },
	{ "many_adaptive", chaos_inside_many, NULL, NULL, CHAOS_END_QUIESCED, SHUNT_IDLE_ADAPTIVE, 1000, NULL },
	{ "many_poll", chaos_inside_many, NULL, NULL, CHAOS_END_QUIESCED, SHUNT_IDLE_POLL, 700, NULL },
	{ "exit", chaos_inside_exit, NULL, NULL, CHAOS_END_EXITED, 0, 100, NULL },
	{ "exit_at_once", chaos_inside_exit, NULL, NULL, CHAOS_END_EXITED, 1, 100, NULL },
	{ "killed", chaos_inside_exit, chaos_outside_kill, NULL, CHAOS_END_KILLED, 2, 100, NULL },
	{ "main_ends", chaos_inside_exit, NULL, NULL, CHAOS_END_QUIESCED, 3, 200, NULL },
	{ "thread_ends", chaos_inside_thread_ends, NULL, NULL, CHAOS_END_QUIESCED, 0, 1500, NULL },
	{ "signals", chaos_inside_signals, NULL, NULL, CHAOS_END_QUIESCED, 0, 1500, NULL },
};

/* ---- the scenario's process ---- */

/* Answers the parent's question what the runtime looks like, also when everything else hangs. */
static void *answer_main(void *arg)
{
	sigset_t *set = arg;

	for (;;) {
		int got = 0;

		if (sigwait(set, &got) == 0 && chaos_load.rt)
			stress_print_workers(chaos_load.rt);
	}
	return NULL;
}

static int run_child(const char *what, uint64_t seed)
{
	static sigset_t answers;
	struct chaos_child c = { .seed = seed };
	unsigned long long ms = 0;
	pthread_t answerer;
	char name[64];
	size_t i;
	int fd = -1;

	if (sscanf(what, "%63[^:]:%d:%llu", name, &fd, &ms) != 3 || !chaos_ledger_map(fd))
		return 2;
	(void)sigemptyset(&answers);
	(void)sigaddset(&answers, SIGUSR2);
	STRESS_CHECK(pthread_create(&answerer, NULL, answer_main, &answers) == 0, "thread create");
	(void)pthread_detach(answerer);
	chaos_threads_init();
	c.duration_ns = ms * 1000000u;
	stress_round(seed, NULL);
	for (i = 0; i < SH_COUNT(scenarios); i++) {
		if (strcmp(scenarios[i].name, name) != 0)
			continue;
		c.variant = scenarios[i].variant;
		sh_rng_init(&c.rng, seed ^ sh_mix64(i + 1));
		chaos_at("start");
		scenarios[i].inside(&c);
		return 0;
	}
	return 2;
}

/* ---- the judging process ---- */

static uint64_t seconds_of(bool long_run)
{
	const char *text = getenv("SHUNT_CHAOS_SECONDS");

	if (text)
		return strtoull(text, NULL, 10);
	return long_run ? LONG_SECONDS : 0;
}

/* Runs every scenario, also after one that failed. */
static bool run_round(const struct stress_opts *o, uint64_t seed, char **argv)
{
	bool good = true;
	size_t i;

	for (i = 0; i < SH_COUNT(scenarios); i++) {
		const struct chaos_scenario *s = &scenarios[i];
		const char *unfit = s->unfit ? s->unfit() : NULL;
		uint64_t ms = CHAOS_TSAN ? s->duration_ms / 2 : s->duration_ms;

		if (stress_skip(s->name))
			continue;
		if (unfit) {
			(void)printf("%s: skipped: %s\n", s->name, unfit);
			continue;
		}
		stress_round(seed, NULL);
		stress_at(s->name);
		good = chaos_run_scenario(s, seed, o->long_run ? ms * LONG_FACTOR : ms, argv) && good;
	}
	return good;
}

int main(int argc, char **argv)
{
	static const struct stress_size size = { CHAOS_JOBS, CHAOS_JOBS, 1, 1 };
	const char *child = getenv("SHUNT_CHAOS_CHILD");
	struct stress_opts o;
	uint64_t begin, limit_ns;
	sigset_t set;
	uint32_t round = 0;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread: one of its own answers it */
	stress_init(&o, child ? "chaos_child" : "chaos_stress", argc, argv, &size);
	if (child)
		return run_child(child, o.seed);
	limit_ns = UINT64_C(1000000000) * seconds_of(o.long_run);
	begin = shunt_now_ns();
	do {
		if (!run_round(&o, o.seed + round, argv))
			return 1;
		round++;
	} while (shunt_now_ns() - begin < limit_ns || round < o.seeds);
	(void)printf("chaos_stress: %u rounds, %llu ms, all accounted for\n", round,
		     (unsigned long long)((shunt_now_ns() - begin) / 1000000u));
	return 0;
}
