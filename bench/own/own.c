/* bench/own/own.c - see own.h. SPDX-License-Identifier: MIT */
#include "own.h"

#include <stdio.h>
#include <string.h>

#ifndef SHUNT_GIT_COMMIT
#define SHUNT_GIT_COMMIT "unknown"
#endif
#define PLACE_MAX 2048u
#define DRAIN_NS UINT64_C(60000000000)

static void check(const char *what, int rc)
{
	if (rc != 0)
		bench_die("%s: %s: %s", what, shunt_strerror(rc), shunt_error_detail());
}

static void log_line(void *arg, enum shunt_log_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)fprintf(stderr, "shunt: %s\n", text);
}

static enum shunt_idle idle_mode(const char *name)
{
	if (strcmp(name, "poll") == 0)
		return SHUNT_IDLE_POLL;
	return strcmp(name, "park") == 0 ? SHUNT_IDLE_PARK : SHUNT_IDLE_ADAPTIVE;
}

/* "cpus:1" or "cpus:0+1"; more workers than cpus share them. */
static void place(char text[PLACE_MAX], const int *cpus, unsigned n)
{
	int used = snprintf(text, PLACE_MAX, "cpus:");

	for (unsigned i = 0; i < n && used < (int)PLACE_MAX - 8; i++) {
		bool seen = false;

		for (unsigned k = 0; k < i; k++)
			seen = seen || cpus[k] == cpus[i];
		if (!seen)
			used += snprintf(text + used, PLACE_MAX - (size_t)used, "%s%d", i ? "+" : "", cpus[i]);
	}
}

void own_open(struct own *o, const struct bench_run *r, const struct own_wish *wish)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	char text[PLACE_MAX];

	(void)memset(o, 0, sizeof(*o));
	ro.levels = wish->levels;
	ro.jobs_max = wish->jobs_max;
	ro.log = log_line;
	check("shunt_runtime_create", shunt_runtime_create(&o->rt, &ro));
	po.name = "bench";
	po.workers = wish->workers ? wish->workers : r->workers;
	place(text, wish->cpus ? wish->cpus : r->worker_cpu, po.workers);
	po.place = text;
	po.idle = idle_mode(r->idle);
	po.ring_capacity = wish->ring_capacity;
	check("shunt_pool_create", shunt_pool_create(o->rt, &po, &o->pool));
	to.name = "job";
	to.pool = o->pool;
	to.handler = wish->handler;
	check("shunt_type_create", shunt_type_create(o->rt, &to, &o->type));
	o->spec.type = o->type;
	o->spec.on_full = SHUNT_ON_FULL_BLOCK;
	if (r->producer_cpu[0] >= 0)
		(void)bench_pin(&r->producer_cpu[0], 1);
}

void own_drain(struct own *o)
{
	check("shunt_runtime_drain", shunt_runtime_drain(o->rt, DRAIN_NS, NULL));
}

void own_close(struct own *o)
{
	own_drain(o);
	(void)shunt_runtime_destroy(o->rt, NULL);
	bench_unpin();
}

void own_submit(struct own *o, const struct shunt_job_spec *spec)
{
	int rc = shunt_submit(o->rt, spec, NULL);

	if (__builtin_expect(rc != 0, 0))
		check("shunt_submit", rc);
}

void own_spawn(struct own *o, void *arg)
{
	static _Thread_local struct shunt_job_spec spec;
	int rc;

	if (__builtin_expect(spec.type.v == 0, 0)) {
		spec = o->spec;
		spec.on_full = SHUNT_ON_FULL_ERROR; /* inline and waiting are wrong: only this worker frees capacity */
	}
	spec.arg = arg;
	rc = shunt_submit(o->rt, &spec, NULL);
	if (__builtin_expect(rc != 0, 0))
		check("shunt_submit inside a job", rc);
}

static const char *version(void)
{
	static char text[64];

	(void)snprintf(text, sizeof(text), "%s (%s)", shunt_version(), SHUNT_GIT_COMMIT);
	return text;
}

int own_main(int argc, char **argv, const struct bench_work *works, const char *const *idle_modes)
{
	static const char policy[] =
		"poll: spins; adaptive: spins about as long as a wake costs, then sleeps; park: sleeps at once";
	struct bench_program program = { "shunt", version, policy, idle_modes, works, NULL };

	return bench_main(argc, argv, &program);
}
