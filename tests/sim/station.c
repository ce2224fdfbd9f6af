/* sim/station.c - see station.h. SPDX-License-Identifier: MIT */
#include "sim/station.h"

#include <string.h>

#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "base/atomic.h"
#include "base/futex.h"

#define PLACES_MAX 16u

struct pending {
	struct shunt_job_id id;
	uint64_t due_ns;
};

static struct {
	const struct station *s;
	struct shunt_runtime *rt;
	uint64_t zero_ns;
	struct pending pending[PLACES_MAX];
	uint32_t pending_n;
	uint32_t left; /* customers not completed yet */
	uint64_t parks;
	sh_a32 bell;
} g;

static void must(int rc, const char *what)
{
	if (rc != 0)
		sim_fail("%s: %s", what, shunt_strerror(rc));
}

static int serve(struct shunt_job_ctx *ctx, void *arg)
{
	struct customer *c = arg;
	uint64_t service;

	c->wait_ns = sim_now_ns() - g.zero_ns - c->arrival_ns;
	c->worker = shunt_job_worker(ctx);
	service = g.s->service ? g.s->service(c, c->worker) : c->service_ns;
	if (g.s->places == 0) {
		sim_work(service);
		return SHUNT_DONE;
	}
	if (g.pending_n == PLACES_MAX)
		sim_fail("more jobs at a time than places");
	g.pending[g.pending_n].id = shunt_job_self(ctx);
	g.pending[g.pending_n++].due_ns = sim_now_ns() + service;
	(void)sh_a32_add_sc(&g.bell, 1);
	(void)sh_futex_wake(&g.bell, 1);
	return SHUNT_PENDING;
}

static void *completer(void *unused)
{
	(void)unused;
	while (g.left > 0) {
		uint32_t seen = sh_a32_load_sc(&g.bell);
		uint32_t first = 0;
		uint32_t i;
		struct shunt_job_id id;

		for (i = 1; i < g.pending_n; i++)
			if (g.pending[i].due_ns < g.pending[first].due_ns)
				first = i;
		if (g.pending_n == 0 || g.pending[first].due_ns > sim_now_ns()) {
			(void)sh_futex_wait(&g.bell, seen, g.pending_n ? g.pending[first].due_ns - sim_now_ns() : SH_FOREVER);
			continue;
		}
		id = g.pending[first].id;
		g.pending[first] = g.pending[--g.pending_n];
		g.left--;
		must(shunt_complete(g.rt, id, 0), "complete");
	}
	return NULL;
}

static void arrive(struct shunt_type_id type, struct customer *c)
{
	struct shunt_job_spec spec;
	struct shunt_job_id id = { 0 };

	memset(&spec, 0, sizeof(spec));
	spec.type = type;
	spec.arg = c;
	if (g.s->one_at_a_time) {
		c->arrival_ns = sim_now_ns() - g.zero_ns;
		must(shunt_submit(g.rt, &spec, &id), "submit");
		must(shunt_wait(g.rt, id, SHUNT_FOREVER, NULL), "wait");
		return;
	}
	if (sim_now_ns() < g.zero_ns + c->arrival_ns)
		sim_sleep(g.zero_ns + c->arrival_ns - sim_now_ns());
	must(shunt_submit(g.rt, &spec, NULL), "submit");
}

static struct shunt_type_id station_open(const struct station *s, const struct shunt_topo *topo)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id type = { 0 };
	struct shunt_pool_id pool = { 0 };

	ro.levels = 1;
	ro.jobs_max = 16384;
	ro.topo = topo;
	must(shunt_runtime_create(&g.rt, &ro), "runtime");
	po.name = "station";
	po.workers = s->places ? 1 : s->workers;
	po.async_max = s->places;
	po.pin = SHUNT_PIN_NONE;
	po.idle = s->idle;
	po.spin_ns = s->spin_ns;
	po.ring_capacity = 8192;
	must(shunt_pool_create(g.rt, &po, &pool), "pool");
	to.name = "customer";
	to.pool = pool;
	to.handler = serve;
	to.flags = s->places ? SHUNT_TYPE_ASYNC : 0;
	must(shunt_type_create(g.rt, &to, &type), "type");
	return type;
}

static void count_parks(void)
{
	struct shunt_snapshot *snap = NULL;

	must(shunt_snapshot_create(g.rt, &snap), "snapshot");
	for (size_t i = 0; i < shunt_snapshot_worker_count(snap); i++)
		g.parks += shunt_snapshot_worker_at(snap, i)->parks;
	shunt_snapshot_destroy(snap);
}

uint64_t station_parks(void)
{
	return g.parks;
}

void station_run(const struct station *s, uint64_t seed, struct customer *c, uint32_t n)
{
	uint64_t cancelled = 0;
	struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;
	struct shunt_topo *topo = NULL;
	struct shunt_type_id type;
	struct sim_opts m;
	uint32_t server = 0;
	uint32_t i;

	memset(&m, 0, sizeof(m));
	memset(&g, 0, sizeof(g));
	m.seed = seed;
	m.point_ns = 1;
	m.wake_ns = s->wake_ns ? s->wake_ns : s->one_at_a_time ? 3000 : 1;
	m.atomic_one_in = s->wake_ns ? 8 : 0;
	m.relax_ns_max = s->wake_ns ? 200 : 0; /* it looks often enough to tell spinning from sleeping */
	g.s = s;
	g.left = n;
	o.synthetic = "core:16 pu:1";
	must(shunt_topo_open(&topo, &o), "topology");
	sim_begin(&m);
	type = station_open(s, topo);
	if (s->places)
		server = sim_thread("completer", completer, NULL);
	sim_sleep(1000000);
	g.zero_ns = sim_now_ns();
	for (i = 0; i < n; i++)
		arrive(type, &c[i]);
	must(shunt_runtime_drain(g.rt, SHUNT_FOREVER, NULL), "drain");
	if (s->places)
		virt_join(server);
	count_parks();
	if (shunt_runtime_destroy(g.rt, &cancelled) != 0 || cancelled != 0)
		sim_fail("destroy after drain");
	sim_end();
	shunt_topo_close(topo);
}
