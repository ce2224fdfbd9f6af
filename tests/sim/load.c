/* sim/load.c - see load.h. SPDX-License-Identifier: MIT */
#include "sim/load.h"

#include <stdlib.h>
#include <string.h>

static uint32_t pick_one(struct sh_rng *r, const uint32_t *of, uint32_t n)
{
	return of[sh_rng_below(r, n)];
}

static uint32_t percent(struct sh_rng *r, uint32_t one_in, uint32_t most)
{
	uint32_t p = (uint32_t)sim_between(r, 1, most); /* drawn anyway: what follows does not shift */

	return sh_rng_below(r, one_in) == 0 ? p : 0;
}

static uint32_t cut(uint32_t drawn, uint32_t limit)
{
	return limit != 0 && limit < drawn ? limit : drawn;
}

static void draw_pool(struct load_pool *p, struct sh_rng *r, uint32_t levels, uint32_t workers_limit)
{
	static const uint32_t idles[] = { SHUNT_IDLE_ADAPTIVE, SHUNT_IDLE_PARK, SHUNT_IDLE_PARK, SHUNT_IDLE_POLL, SHUNT_IDLE_ADAPTIVE };
	static const uint32_t modes[] = { SHUNT_LEVELS_STRICT, SHUNT_LEVELS_WEIGHTED, SHUNT_LEVELS_RESERVED };
	static const uint32_t strategies[] = { SHUNT_SELECT_LEAST_WORK, SHUNT_SELECT_LEAST_WORK, SHUNT_SELECT_LEAST_WORK,
					       SHUNT_SELECT_PEAK_EWMA, SHUNT_SELECT_LEAST_LOADED, SHUNT_SELECT_ROUND_ROBIN,
					       SHUNT_SELECT_RANDOM, SHUNT_SELECT_LOCALITY };
	static const uint32_t rings[] = { 2, 4, 8, 16, 64, 256, 256, 256 };
	static const uint32_t guards[] = { 2, 3, 4, 8, 64 };
	static const uint32_t spares[] = { SHUNT_ANY, 1, 2, 8 };
	static const uint32_t weights[] = { 1, 1, 2, 6, 20, 100 };
	uint32_t i;
	bool alone = sh_rng_below(r, 3) == 0;

	p->workers = alone ? 1 : (uint32_t)sim_between(r, 1, LOAD_WORKERS);
	p->idle = (enum shunt_idle)pick_one(r, idles, SH_COUNT(idles));
	p->mode = (enum shunt_level_mode)pick_one(r, modes, SH_COUNT(modes));
	p->strategy = (enum shunt_strategy)pick_one(r, strategies, SH_COUNT(strategies));
	p->full = (enum shunt_on_full)sim_between(r, SHUNT_ON_FULL_ERROR, SHUNT_ON_FULL_INLINE);
	p->guard_every = pick_one(r, guards, SH_COUNT(guards));
	p->ring_capacity = pick_one(r, rings, SH_COUNT(rings));
	p->key_slots = 1u << sim_between(r, 0, 6);
	p->queue_max = sh_rng_below(r, 5) == 0 ? (uint32_t)sim_between(r, 1, 40) : 0;
	p->async_max = (uint32_t)sim_between(r, 1, 8);
	p->async_pool_max = sh_rng_below(r, 3) == 0 ? (uint32_t)sim_between(r, 1, 8) : 0;
	p->spares = pick_one(r, spares, SH_COUNT(spares));
	for (i = 0; i < LOAD_LEVELS; i++) {
		p->weights[i] = i < levels ? pick_one(r, weights, SH_COUNT(weights)) : 0;
		p->reserved[i] = sh_rng_below(r, 3) == 0 ? 1 : 0;
	}
	p->workers = cut(p->workers, workers_limit);
	if (p->workers == 1)
		p->spares = SHUNT_ANY;
	p->exact = p->workers == 1;
	for (i = 0; i < LOAD_LEVELS; i++) /* a worker must be left for every level */
		if (p->mode != SHUNT_LEVELS_RESERVED || i + 1 >= levels || p->workers <= i + 1)
			p->reserved[i] = 0;
}

static void draw_machine(struct load *l, struct sh_rng *r, const struct load_limits *limits)
{
	struct sim_opts *o = &l->machine;
	uint32_t f;

	memset(o, 0, sizeof(*o));
	o->seed = l->seed;
	o->cpus = sh_rng_below(r, 3) == 0 ? (uint32_t)sim_between(r, 1, 4) : 0;
	o->atomic_one_in = (uint32_t)sim_between(r, 4, 100);
	o->slice_ns = sim_between(r, 20000, 2000000);
	o->point_ns = sim_between(r, 2, 30);
	o->relax_ns = sim_between(r, 20, 50);
	o->wake_ns = sim_between(r, 500, 20000);
	o->stop_ns = sim_between(r, 1, 10) * 20000000;
	o->wake_late_ns = sim_between(r, 20, 3000) * 1000;
	o->time_max_ns = UINT64_C(30000000000);
	o->faults_max = (uint32_t)sim_between(r, 1, 60);
	for (f = 0; f < SIM_FAULTS; f++) {
		static const uint32_t rare[SIM_FAULTS] = { 40, 150, 400, 20, 15, 40 };
		bool on = sh_rng_below(r, 2) == 0;
		uint32_t one_in = rare[f] * (uint32_t)sim_between(r, 1, 4);

		o->one_in[f] = on ? one_in : 0;
	}
	if (sh_rng_below(r, 8) == 0)
		o->faults_max = 0;
	if (limits->faults != 0)
		o->faults_max = limits->faults == LOAD_NO_FAULT ? 0 : cut(o->faults_max, limits->faults);
}

static void draw_jobs(struct load *l, struct sh_rng *r)
{
	static const uint64_t works[] = { 500, 2000, 10000, 30000, 100000 };
	uint32_t i = sh_rng_below(r, SH_COUNT(works));
	uint32_t workers = 0;
	uint32_t p;
	uint64_t load_percent = sim_between(r, 20, 250); /* of what all workers can do */

	for (p = 0; p < l->pools; p++)
		workers += l->pool[p].workers;
	l->work_ns = works[i];
	if (sh_rng_below(r, 4) == 0) /* one that waits for another one to end waits for long */
		l->work_ns = sim_between(r, 1, 3) * 1000000;
	l->usual_level = sh_rng_below(r, 2) == 0 ? 0 : l->levels - 1;
	l->gap_ns = l->work_ns * l->submitters * 100 / (workers * load_percent);
	if (sh_rng_below(r, 5) == 0)
		l->gap_ns = 0;
	l->burst = sh_rng_below(r, 2) == 0 ? (uint32_t)sim_between(r, 2, 16) : 1;
	l->keyed = percent(r, 3, 60);
	l->pinned = percent(r, 4, 30);
	l->on_node = percent(r, 6, 20);
	l->grouped = percent(r, 3, 50);
	l->handles = percent(r, 2, 80);
	l->callbacks = percent(r, 3, 50);
	l->async = percent(r, 3, 40);
	l->spawners = percent(r, 3, 25);
	l->failing = percent(r, 5, 30);
	l->waiters = percent(r, 4, 40);
	l->levels_mixed = percent(r, 2, 100);
}

void load_draw(struct load *l, uint64_t seed, const struct load_limits *limits)
{
	struct sh_rng shape = sim_stream(seed, 10, 0);
	struct sh_rng jobs = sim_stream(seed, 11, 0);
	struct sh_rng machine = sim_stream(seed, 12, 0);
	uint32_t p;

	memset(l, 0, sizeof(*l));
	l->seed = seed;
	l->levels = cut((uint32_t)sim_between(&shape, 1, LOAD_LEVELS), limits->levels);
	l->pools = cut(sh_rng_below(&shape, 4) == 0 ? LOAD_POOLS : 1, limits->pools);
	l->submitters = cut((uint32_t)sim_between(&shape, 1, LOAD_SUBMITTERS), limits->submitters);
	l->jobs = cut((uint32_t)sim_between(&shape, 100, sh_rng_below(&shape, 4) == 0 ? 2400 : 800), limits->jobs);
	l->jobs_max = sh_rng_below(&shape, 3) == 0 ? 64 : 4096;
	l->handles_max = sh_rng_below(&shape, 8) == 0 ? (uint32_t)sim_between(&shape, 8, 64) : 4096;
	l->groups_max = (uint32_t)sim_between(&shape, 1, 32);
	l->submitters_max = sh_rng_below(&shape, 5) == 0 ? 1 : 16;
	l->end = (enum load_end)sh_rng_below(&shape, END_KINDS);
	for (p = 0; p < LOAD_POOLS; p++)
		draw_pool(&l->pool[p], &shape, l->levels, limits->workers);
	draw_jobs(l, &jobs);
	draw_machine(l, &machine, limits);
}

static const char *idle_name(enum shunt_idle i)
{
	static const char *const names[] = { "default", "poll", "adaptive", "park" };

	return names[i];
}

void load_print(FILE *out, const struct load *l)
{
	static const char *const modes[] = { "default", "strict", "weighted", "reserved" };
	static const char *const ends[] = { "drain", "drain early", "cancel", "remove" };
	uint32_t p, f;

	(void)fprintf(out, "seed %llu: %u jobs of %llu ns from %u submitters every %llu ns, %u levels, usual %u, arena %u, handles %u, end: %s\n",
		      (unsigned long long)l->seed, l->jobs, (unsigned long long)l->work_ns, l->submitters,
		      (unsigned long long)l->gap_ns, l->levels,
		      l->usual_level, l->jobs_max, l->handles_max, ends[l->end]);
	for (p = 0; p < l->pools; p++)
		(void)fprintf(out, "  pool %u: %u workers, idle %s, levels %s, strategy %d, full %d, ring %u, queue %u, async %u, key slots %u\n",
			      p, l->pool[p].workers, idle_name(l->pool[p].idle), modes[l->pool[p].mode], (int)l->pool[p].strategy,
			      (int)l->pool[p].full, l->pool[p].ring_capacity, l->pool[p].queue_max, l->pool[p].async_max,
			      l->pool[p].key_slots);
	(void)fprintf(out, "  percent: keyed %u pinned %u grouped %u handles %u callbacks %u async %u spawners %u waiters %u\n",
		      l->keyed, l->pinned, l->grouped, l->handles, l->callbacks, l->async, l->spawners, l->waiters);
	(void)fprintf(out, "  machine: %u cpus, at most %u faults:", l->machine.cpus, l->machine.faults_max);
	for (f = 0; f < SIM_FAULTS; f++)
		if (l->machine.one_in[f])
			(void)fprintf(out, " %s 1/%u", sim_fault_names[f], l->machine.one_in[f]);
	(void)fputc('\n', out);
}

struct limit_name {
	const char *name;
	size_t at;
};

static const struct limit_name limit_names[] = {
	{ "jobs", offsetof(struct load_limits, jobs) },
	{ "submitters", offsetof(struct load_limits, submitters) },
	{ "workers", offsetof(struct load_limits, workers) },
	{ "faults", offsetof(struct load_limits, faults) },
	{ "pools", offsetof(struct load_limits, pools) },
	{ "levels", offsetof(struct load_limits, levels) },
};

static uint32_t *limit_named(struct load_limits *l, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < SH_COUNT(limit_names); i++)
		if (strlen(limit_names[i].name) == len && strncmp(limit_names[i].name, name, len) == 0)
			return (uint32_t *)(void *)((char *)l + limit_names[i].at);
	return NULL;
}

bool limits_parse(struct load_limits *out, const char *text)
{
	memset(out, 0, sizeof(*out));
	while (*text) {
		size_t len = strcspn(text, "=");
		uint32_t *field = limit_named(out, text, len);
		char *end = NULL;

		if (!field || text[len] != '=')
			return false;
		*field = (uint32_t)strtoul(text + len + 1, &end, 10);
		if (field == &out->faults && *field == 0)
			*field = LOAD_NO_FAULT;
		if (*end != '\0' && *end != ',')
			return false;
		text = *end == ',' ? end + 1 : end;
	}
	return true;
}

void limits_print(FILE *out, const struct load_limits *l)
{
	const char *comma = "";
	size_t i;

	for (i = 0; i < SH_COUNT(limit_names); i++) {
		uint32_t v = *(const uint32_t *)(const void *)((const char *)l + limit_names[i].at);

		if (v == 0)
			continue;
		(void)fprintf(out, "%s%s=%u", comma, limit_names[i].name, v == LOAD_NO_FAULT ? 0 : v);
		comma = ",";
	}
}
