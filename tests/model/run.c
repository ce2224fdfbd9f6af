/*
 * model/run.c - one client: setup, all its executions, the first failure; client.h's calls.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/model.h"

#define CHOICES_BYTES (1u << 17)
#define ASIDE_MAX 1000000u
#define QUIESCE_MAX 2000u

static char *choices; /* of the execution that failed */

struct engine *E;

static double seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct trace_line *trace_add(void)
{
	struct trace_line *t;

	if (E->trace_n == E->trace_max) {
		E->trace_max = E->trace_max ? E->trace_max * 2 : 1024;
		E->trace = realloc(E->trace, E->trace_max * sizeof(*E->trace));
		if (!E->trace)
			abort();
	}
	t = &E->trace[E->trace_n++];
	memset(t, 0, sizeof(*t));
	(void)snprintf(t->thread, sizeof(t->thread), "%.19s", virt_get(virt_self())->name);
	return t;
}

void model_fail(const char *format, ...)
{
	va_list ap;

	if (!E->failed) {
		E->failed = true;
		va_start(ap, format);
		(void)vsnprintf(E->failure, sizeof(E->failure), format, ap);
		va_end(ap);
	}
	if (E->mode == MODEL_SETUP || virt_self() == E->home) {
		(void)fprintf(stderr, "explorer: %s: in setup: %s\n", E->client ? E->client->name : "?", E->failure);
		exit(1);
	}
	explore_over();
	abort();
}

void client_fail(const char *what, const char *file, int line)
{
	model_fail("%s:%d: not so: %s", file, line, what);
}

void client_relax(void)
{
	virt_relax();
}

void *client_alloc(unsigned long bytes)
{
	return virt_arena_calloc(1, bytes);
}

void client_note(const char *format, ...)
{
	va_list ap;

	if (!E->verbose)
		return;
	va_start(ap, format);
	(void)vsnprintf(trace_add()->text, sizeof(E->trace->text), format, ap);
	va_end(ap);
}

static void *call(void *fn)
{
	void (*f)(void) = *(void (**)(void))fn;

	f();
	return NULL;
}

static bool others_ready(void)
{
	for (uint32_t i = 1; i < virt_threads(); i++)
		if (virt_ready(i))
			return true;
	return false;
}

/* Runs fn on a thread of its own to its end, outside the exploration; the others go on beside it. */
static void aside(const char *name, void (*const *fn)(void))
{
	uint32_t id = virt_start(name, call, (void *)(uintptr_t)fn);

	for (uint32_t n = 0; virt_get(id)->state != VIRT_ENDED && !E->over; n++) {
		if (!others_ready() && virt_next_deadline() != VIRT_FOREVER)
			explore_expire();
		if (!others_ready() || n == ASIDE_MAX) {
			E->failed = true;
			(void)snprintf(E->failure, sizeof(E->failure), "%s does not come to its end", name);
			return;
		}
		virt_relax();
	}
}

/* One execution: from the mark to the end of the check. */
static void execute(const void *machine)
{
	const struct client *c = E->client;
	void (*const *thread)(void) = c->thread;

	virt_restore(machine);
	arena_put_back();
	memory_start();
	plain_start();
	explore_start();
	E->time_ns = E->time_mark_ns;
	E->mode = MODEL_EXPLORE;
	E->clients = 0;
	E->first_client = virt_threads();
	for (uint32_t i = 0; i < CLIENT_THREADS_MAX; i++) {
		char name[16];

		if (!thread[i])
			continue;
		(void)snprintf(name, sizeof(name), "client %u", i);
		(void)virt_start(name, call, (void *)(uintptr_t)&thread[i]);
		E->clients++;
	}
	virt_relax(); /* comes back when the execution is over */
	E->mode = MODEL_CHECK;
	E->over = false;
	if (c->check && !E->failed && !E->truncated && !E->redundant)
		aside("check", &c->check);
}

static void count(double start)
{
	struct stats *s = &E->stats;

	s->steps += E->steps;
	if (E->redundant)
		s->pruned++;
	else if (E->truncated)
		s->cut++;
	else
		s->executions++;
	s->seconds = seconds() - start;
}

/* Only a random schedule may starve a thread. */
static void judge_cut(void)
{
	if (!E->truncated || E->failed || E->limits.search == MODEL_RANDOM)
		return;
	E->failed = true;
	(void)snprintf(E->failure, sizeof(E->failure), "nobody gets on: no end within %u steps", E->steps_max);
}

/* The failed execution once more, with a trace. */
static void again(const void *machine)
{
	char failure[sizeof(E->failure)];

	memcpy(failure, E->failure, sizeof(failure));
	explore_choices(choices, CHOICES_BYTES);
	explore_replay(choices);
	E->verbose = true;
	execute(machine);
	judge_cut();
	E->verbose = false;
	if (!E->failed || strcmp(failure, E->failure) != 0)
		(void)snprintf(E->failure, sizeof(E->failure), "%.400s (not the same when repeated)", failure);
	E->failed = true;
	explore_replay(NULL);
}

const char *run_choices(void)
{
	return choices;
}

bool run_client(const struct client *c, const struct limits *limits, const char *replay)
{
	double start = seconds();
	void *machine;
	bool ok = true;

	E->client = c;
	E->limits = *limits;
	E->mode = MODEL_SETUP;
	E->over = E->failed = false;
	E->time_ns = UINT64_C(1000000000);
	E->steps_max = c->steps_max ? c->steps_max : MODEL_STEPS_DEFAULT;
	memset(&E->stats, 0, sizeof(E->stats));
	virt_begin(&model_tool);
	arena_reset();
	explore_begin();
	if (c->setup)
		aside("setup", &c->setup);
	for (uint32_t n = 0; n < QUIESCE_MAX && others_ready(); n++)
		virt_relax();
	if (E->failed)
		model_fail("%s", E->failure);
	if (!choices)
		choices = malloc(CHOICES_BYTES);
	machine = malloc(virt_save_bytes());
	if (!machine || !choices)
		abort();
	E->time_mark_ns = E->time_ns;
	arena_mark();
	virt_save(machine);
	if (replay) {
		do {
			explore_replay(replay);
			E->verbose = true;
			execute(machine);
			E->verbose = false;
		} while (explore_grew());
		ok = !E->failed;
		count(start);
	} else {
		for (;;) {
			execute(machine);
			count(start);
			judge_cut();
			if (E->failed) {
				again(machine);
				ok = false;
				break;
			}
			if (!explore_next()) {
				E->stats.finished = true;
				break;
			}
			if (limits->seconds_max > 0 && E->stats.seconds > limits->seconds_max)
				break;
		}
	}
	virt_restore(machine);
	free(machine);
	virt_end();
	return ok;
}
