/* sim/world.c - see world.h. SPDX-License-Identifier: MIT */
#include "sim/world.h"

#include <string.h>

#include "sim/actors.h"
#include "sim/model_priv.h"

#define DRAIN_NS UINT64_C(20000000000)
#define TRIES 40 /* to create something while memory is refused */

struct world {
	const struct load *load;
	struct actors a;
	struct shunt_pool_id pool[LOAD_POOLS];
	struct shunt_topo const *topo;
};

/* Refused memory or threads must leave nothing behind: then it is tried again. The last try is without faults. */
static int again(int rc, int attempt)
{
	if (rc == 0)
		return 0;
	if (rc != SHUNT_ENOMEM && rc != SHUNT_ESYS && rc != SHUNT_ELIMIT)
		sim_fail("create: %s", shunt_strerror(rc));
	if (attempt == TRIES)
		sim_fail("create without a fault: %s", shunt_strerror(rc));
	sim_faults_on(attempt + 1 < TRIES);
	return 1;
}

static void create_runtime(struct world *w)
{
	struct shunt_runtime_opts o = SHUNT_RUNTIME_OPTS_INIT;
	int attempt = 0;

	o.levels = w->load->levels;
	o.jobs_max = w->load->jobs_max;
	o.handles_max = w->load->handles_max;
	o.groups_max = w->load->groups_max;
	o.submitters_max = w->load->submitters_max;
	o.topo = w->topo;
	while (again(shunt_runtime_create(&w->a.rt, &o), attempt++) != 0)
		;
}

static void pool_opts(struct shunt_pool_opts *o, const struct load_pool *p, uint32_t levels)
{
	uint32_t reserved, i;

	o->workers = p->workers;
	o->spares_max = p->spares;
	o->pin = SHUNT_PIN_NONE;
	o->idle = p->idle;
	o->level_mode = p->mode;
	o->strategy = p->strategy;
	o->on_full = p->full;
	o->ring_capacity = p->ring_capacity;
	o->pinned_capacity = p->ring_capacity;
	o->key_slots = p->key_slots;
	o->queue_max = p->queue_max;
	o->async_max = p->async_max;
	o->async_pool_max = p->async_pool_max;
	if (o->async_pool_max > p->workers * p->async_max) /* no limit, and refused as such */
		o->async_pool_max = 0;
	if (levels > 1 && p->mode != SHUNT_LEVELS_WEIGHTED)
		o->guard_every = p->guard_every;
	if (levels > 1 && p->mode == SHUNT_LEVELS_WEIGHTED)
		memcpy(o->weights, p->weights, levels * sizeof(o->weights[0]));
	if (p->mode == SHUNT_LEVELS_RESERVED)
		memcpy(o->reserved, p->reserved, levels * sizeof(o->reserved[0]));
	for (reserved = i = 0; i < levels; i++)
		reserved += o->reserved[i];
	if (p->mode == SHUNT_LEVELS_RESERVED ? reserved == 0 : levels == 1) /* what it comes to */
		o->level_mode = SHUNT_LEVELS_STRICT;
}

static void create_pool(struct world *w, uint32_t i)
{
	static uint32_t numbers[LOAD_POOLS];
	char name[3] = { 'p', (char)('0' + i), 0 };
	struct shunt_pool_opts o = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts t = SHUNT_TYPE_OPTS_INIT;
	int attempt = 0;

	numbers[i] = i;
	pool_opts(&o, &w->load->pool[i], w->load->levels);
	o.name = name;
	o.on_start = model_worker;
	o.hook_arg = &numbers[i];
	while (again(shunt_pool_create(w->a.rt, &o, &w->pool[i]), attempt++) != 0)
		;
	model_pool(i, w->a.rt, w->pool[i]);
	t.pool = w->pool[i];
	t.handler = actors_handler;
	t.name = name;
	attempt = 0;
	while (again(shunt_type_create(w->a.rt, &t, &w->a.plain[i]), attempt++) != 0)
		;
	name[0] = 'a';
	t.flags = SHUNT_TYPE_ASYNC;
	attempt = 0;
	while (again(shunt_type_create(w->a.rt, &t, &w->a.async[i]), attempt++) != 0)
		;
}

static void drain(struct world *w)
{
	int rc = shunt_runtime_drain(w->a.rt, DRAIN_NS, NULL);

	if (rc != 0)
		sim_fail("drain: %s", shunt_strerror(rc));
	model_drained();
}

static void look(struct world *w, bool exact)
{
	struct shunt_snapshot *s = NULL;
	int rc;

	sim_faults_on(false);
	rc = shunt_snapshot_create(w->a.rt, &s);
	if (rc != 0)
		sim_fail("snapshot: %s", shunt_strerror(rc));
	model_snapshot(s, exact);
	shunt_snapshot_destroy(s);
}

static void remove_all(struct world *w)
{
	uint32_t i;
	int rc;

	for (i = 0; i < w->load->pools; i++) {
		rc = shunt_pool_destroy(w->a.rt, w->pool[i]);
		if (rc != SHUNT_EBUSY)
			sim_fail("pool %u with types: remove: %s", i, shunt_strerror(rc));
		rc = shunt_type_destroy(w->a.rt, w->a.plain[i], SHUNT_FOREVER);
		if (rc == 0)
			rc = shunt_type_destroy(w->a.rt, w->a.async[i], SHUNT_FOREVER);
		if (rc == 0)
			rc = shunt_pool_destroy(w->a.rt, w->pool[i]);
		if (rc != 0)
			sim_fail("pool %u: remove: %s", i, shunt_strerror(rc));
	}
}

static void end(struct world *w, uint32_t completer)
{
	struct sim_stats st;
	uint64_t cancelled;
	int rc;

	if (w->load->end == END_CANCEL) {
		actors_complete_stop(true);
		virt_join(completer);
		model.over = true; /* pools go away: nobody looks into them any more */
		if (shunt_runtime_destroy(w->a.rt, &cancelled) != 0)
			sim_fail("destroy");
		model_destroyed(cancelled);
		return;
	}
	drain(w);
	actors_complete_stop(false);
	virt_join(completer);
	sim_stats_get(&st);
	look(w, st.faults[SIM_ALLOC] == 0);
	if (w->load->end == END_REMOVE)
		remove_all(w);
	rc = shunt_runtime_destroy(w->a.rt, &cancelled);
	if (rc != 0 || cancelled != 0)
		sim_fail("destroy after drain: %d, %llu cancelled", rc, (unsigned long long)cancelled);
}

void world_run(const struct load *l, const struct shunt_topo *topo, FILE *trace, struct world_result *out)
{
	struct sim_opts o = l->machine;
	struct world w = { l, { l, NULL, { { 0 } }, { { 0 } }, 1 }, { { 0 } }, topo };
	uint32_t number[LOAD_SUBMITTERS], thread[LOAD_SUBMITTERS];
	uint32_t completer, i;

	o.trace = trace;
	o.passed = model_passed;
	o.report = model_report;
	model_begin(l);
	sim_begin(&o);
	sim_faults_on(true);
	create_runtime(&w);
	for (i = 0; i < l->pools; i++)
		create_pool(&w, i);
	sim_faults_on(true);
	w.a.nodes = shunt_topo_node_count(topo);
	actors_begin(&w.a);
	completer = sim_thread("completer", actors_complete, NULL);
	model_helper(completer);
	for (i = 0; i < l->submitters; i++) {
		char name[24];

		(void)snprintf(name, sizeof(name), "submitter %u", i);
		number[i] = i;
		thread[i] = sim_thread(name, actors_submit, &number[i]);
		sim_stoppable(thread[i]);
	}
	if (l->end == END_EARLY) {
		uint64_t half_ns = l->jobs / l->submitters * (l->gap_ns + 100) / 2;

		half_ns = half_ns < MODEL_STUCK_NS / 4 ? half_ns : MODEL_STUCK_NS / 4; /* jobs may be over before */
		sim_sleep(1 + half_ns);
		(void)shunt_runtime_drain(w.a.rt, 100000, NULL);
		if (shunt_runtime_resume(w.a.rt) != 0)
			sim_fail("resume");
	}
	for (i = 0; i < l->submitters; i++)
		virt_join(thread[i]);
	end(&w, completer);
	sim_stats_get(&out->stats);
	out->jobs = model_jobs();
	out->idle_most_ns = model.idle_most_ns;
	sim_end();
}
