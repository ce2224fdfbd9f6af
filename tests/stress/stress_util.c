/* stress/stress_util.c - see stress_util.h. SPDX-License-Identifier: MIT */
#include "stress_util.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define DEADLINE_S 60u
#define SKIPS_MAX 16

static const char *program; /* not on a stack: the watchdog is still there when a main thread has ended */
static const char *skips[SKIPS_MAX];
static int skips_n;
static const char *only;
static sh_a64 progress; /* sync: atomic */
static sh_a64 seed_now; /* sync: atomic */
static sh_aptr runtime; /* sync: atomic */
static sh_aptr at;      /* sync: atomic; const char */

static void usage(const char *name)
{
	(void)fprintf(stderr, "usage: %s [short|long] [--jobs N] [--seeds K] [--skip PART] [--only PART]\n", name);
	exit(2);
}

static uint64_t number(const char *name, const char *text)
{
	char *end = NULL;
	unsigned long long v = text ? strtoull(text, &end, 0) : 0;

	if (!text || end == text || *end != '\0')
		usage(name);
	return v;
}

void stress_print_workers(struct shunt_runtime *rt)
{
	static const char *const states[] = { "running", "parked", "stopped" };
	struct shunt_snapshot *s = NULL;
	size_t i;

	if (shunt_snapshot_create(rt, &s) != 0)
		return;
	for (i = 0; i < shunt_snapshot_pool_count(s); i++) {
		const struct shunt_pool_info *p = shunt_snapshot_pool_at(s, i);

		(void)fprintf(stderr,
			"pool %s: submitted %llu finished %llu backlog %llu rejected %llu inline %llu blocked %u "
			"spares %u"
			" (active %u) async %u\n",
			p->name, (unsigned long long)p->submitted, (unsigned long long)p->finished,
			(unsigned long long)p->backlog, (unsigned long long)p->rejected_full,
			(unsigned long long)p->ran_inline, p->blocked, p->spares, p->spares_active, p->async_in_flight);
	}
	for (i = 0; i < shunt_snapshot_worker_count(s); i++) {
		const struct shunt_worker_info *w = shunt_snapshot_worker_at(s, i);

		(void)fprintf(stderr, "  worker %s/%u%s: %s jobs %llu stolen %llu parks %llu wakes %llu in flight %u\n",
			w->pool, w->index, w->spare ? " (spare)" : "", states[w->state % 3],
			(unsigned long long)w->jobs, (unsigned long long)w->stolen, (unsigned long long)w->parks,
			(unsigned long long)w->wakes, w->in_flight);
	}
	shunt_snapshot_destroy(s);
}

static _Noreturn void end_failed(void)
{
	struct shunt_runtime *rt = sh_aptr_load_sc(&runtime);
	const char *where = sh_aptr_load_sc(&at);

	(void)fprintf(stderr, "%s: at: %s\n%s: replay with SHUNT_SEED=%llu\n", program, where ? where : "start",
		program, (unsigned long long)sh_a64_load_sc(&seed_now));
	(void)fflush(NULL);
	(void)alarm(10); /* the report itself may find a lock held */
	if (rt)
		stress_print_workers(rt);
	(void)fflush(NULL);
	if (getenv("SHUNT_STRESS_ABORT"))
		abort();
	_exit(1);
}

void stress_fail(const char *file, int line, const char *format, ...)
{
	static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
	va_list args;

	(void)pthread_mutex_lock(&first); /* one report; the others wait for the end of the process */
	(void)fprintf(stderr, "%s:%d: FAILED: ", file, line);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	end_failed();
}

static void *watchdog(void *arg)
{
	const char *text = getenv("SHUNT_STRESS_DEADLINE_S");
	uint64_t limit = text ? number(program, text) : DEADLINE_S;
	uint64_t last = 0;
	uint64_t still = 0;

	(void)arg;
	for (;;) {
		uint64_t now;

		stress_pause_ns(1000000000u);
		now = sh_a64_load_sc(&progress);
		still = now == last ? still + 1 : 0;
		last = now;
		if (still >= limit)
			stress_fail(__FILE__, __LINE__, "nothing moved for %llu s", (unsigned long long)limit);
	}
	return NULL;
}

void stress_init(struct stress_opts *o, const char *name, int argc, char **argv, const struct stress_size *size)
{
	const char *env_long = getenv("SHUNT_LONG");
	const char *env_seed = getenv("SHUNT_SEED");
	uint64_t jobs = 0;
	uint64_t seeds = 0;
	pthread_t thread;
	int i;

	program = name;
	o->name = name;
	o->long_run = env_long && strcmp(env_long, "1") == 0;
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "long") == 0 || strcmp(argv[i], "short") == 0)
			o->long_run = argv[i][0] == 'l';
		else if (strcmp(argv[i], "--jobs") == 0)
			jobs = number(name, argv[++i]);
		else if (strcmp(argv[i], "--seeds") == 0)
			seeds = number(name, argv[++i]);
		else if (strcmp(argv[i], "--skip") == 0 && i + 1 < argc && skips_n < SKIPS_MAX)
			skips[skips_n++] = argv[++i];
		else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
			only = argv[++i];
		else
			usage(name);
	}
	o->jobs = jobs ? jobs : o->long_run ? size->jobs_long : size->jobs_short;
	o->seeds = seeds ? (uint32_t)seeds : o->long_run ? size->seeds_long : size->seeds_short;
	o->seed = (uint64_t)time(NULL) * 1000u;
	if (env_seed) {
		o->seed = number(name, env_seed);
		o->seeds = seeds ? o->seeds : 1;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)printf("%s: SHUNT_SEED=%llu, %u seeds, %llu jobs each\n", name, (unsigned long long)o->seed, o->seeds,
		(unsigned long long)o->jobs);
	if (pthread_create(&thread, NULL, watchdog, NULL) != 0) {
		(void)printf("%s: skipped: no thread for the watchdog\n", name);
		exit(77);
	}
	(void)pthread_detach(thread);
}

bool stress_skip(const char *part)
{
	int i;

	for (i = 0; i < skips_n; i++)
		if (strcmp(skips[i], part) == 0)
			return true;
	return only && strcmp(only, part) != 0;
}

void stress_round(uint64_t seed, struct shunt_runtime *rt)
{
	sh_a64_store_sc(&seed_now, seed);
	sh_aptr_store_sc(&runtime, rt);
	stress_progress();
}

void stress_at(const char *what)
{
	sh_aptr_store_sc(&at, (void *)(uintptr_t)what);
	stress_progress();
}

void stress_progress(void)
{
	(void)sh_a64_add_rlx(&progress, 1);
}

void stress_until(bool (*cond)(void *arg), void *arg, const char *what)
{
	stress_at(what);
	while (!cond(arg))
		stress_pause_ns(50000);
	stress_progress();
}

struct at_least {
	sh_a64 *word;
	uint64_t value;
};

static bool reached(void *arg)
{
	const struct at_least *a = arg;

	return sh_a64_load_sc(a->word) >= a->value;
}

void stress_until_at_least(sh_a64 *word, uint64_t value, const char *what)
{
	struct at_least a = { word, value };

	stress_until(reached, &a, what);
}

void stress_pause_ns(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	(void)nanosleep(&t, NULL);
}

void stress_spin_ns(uint64_t ns)
{
	uint64_t end = sh_clock_ns() + ns;

	while (sh_clock_ns() < end)
		sh_cpu_relax();
}
