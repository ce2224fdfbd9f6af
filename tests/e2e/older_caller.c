/*
 * Built by older_caller.py with headers whose structs lack their last fields: walks everything that the library hands
 * out in a row, and lets it fill structs that end before the library's do. SPDX-License-Identifier: MIT
 */
#include <shunt/shunt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 3u
#define GUARD 64u

static void must(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "FAIL: %s\n", what);
	exit(1);
}

static int run(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return SHUNT_DONE;
}

static unsigned asked;

/* Every worker's load looks like that of a plain worker; beyond them there is none. */
static int choose(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	(void)arg;
	(void)key;
	(void)home;
	must(loads->n == WORKERS, "loads: as many as workers");
	for (uint32_t i = 0; i < loads->n; i++) {
		const struct shunt_worker_load *l = shunt_loads_at(loads, i);

		must(l->capacity == 1 && l->fail_permille == 0, "loads: a plain worker");
	}
	must(!shunt_loads_at(loads, loads->n), "loads: none past the end");
	asked++;
	return 1;
}

static void check_snapshot(struct shunt_runtime *rt)
{
	static const char *const names[] = { "one", "two" };
	struct shunt_snapshot *s;

	must(shunt_snapshot_create(rt, &s) == 0, "snapshot");
	must(shunt_snapshot_pool_count(s) == 2 && shunt_snapshot_worker_count(s) == 2 * WORKERS, "snapshot: counts");
	must(strcmp(shunt_snapshot_runtime(s)->name, "older") == 0, "snapshot: runtime");
	must(shunt_snapshot_budget(s)->budget > 0, "snapshot: budget");
	for (uint32_t i = 0; i < 2; i++) {
		const struct shunt_pool_info *p = shunt_snapshot_pool_at(s, i);
		const struct shunt_series *x = shunt_snapshot_series_at(s, i);

		must(strcmp(p->name, names[i]) == 0 && p->workers == WORKERS, "snapshot: pools");
		must(p->submitted == 5 + i && p->finished == 5 + i, "snapshot: counts of pools");
		must(strcmp(x->pool, names[i]) == 0 && strcmp(x->type, names[i]) == 0, "snapshot: series");
		must(x->done == 5 + i, "snapshot: counts of series");
	}
	for (uint32_t i = 0; i < 2 * WORKERS; i++) {
		const struct shunt_worker_info *w = shunt_snapshot_worker_at(s, i);

		must(strcmp(w->pool, names[i / WORKERS]) == 0 && w->index == i % WORKERS, "snapshot: workers");
	}
	must(!shunt_snapshot_pool_at(s, 2) && !shunt_snapshot_series_at(s, 2), "snapshot: none past the end");
	shunt_snapshot_destroy(s);
}

static void check_runtime(void)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_runtime *rt;

	ro.name = "older";
	must(shunt_runtime_create(&rt, &ro) == 0, "runtime");
	for (unsigned i = 0; i < 2; i++) {
		struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
		struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
		struct shunt_job_spec job;

		memset(&job, 0, sizeof(job));
		po.name = to.name = i ? "two" : "one";
		po.workers = WORKERS;
		po.pin = SHUNT_PIN_NONE;
		po.strategy = SHUNT_SELECT_USER;
		po.select = choose;
		to.handler = run;
		must(shunt_pool_create(rt, &po, &to.pool) == 0, "pool");
		must(shunt_type_create(rt, &to, &job.type) == 0, "type");
		for (unsigned k = 0; k < 5 + i; k++)
			must(shunt_submit(rt, &job, NULL) == 0, "submit");
	}
	must(shunt_runtime_drain(rt, UINT64_C(60000000000), NULL) == 0, "drain");
	must(asked > 0, "the strategy was asked");
	check_snapshot(rt);
	must(shunt_runtime_destroy(rt, NULL) == 0, "destroy");
}

/* A struct that the library fills, what lies behind it, and as a caller from the future has it: larger. */
static void check_filled(const unsigned char *got, size_t size, size_t given, const char *what)
{
	for (size_t i = given; i < size; i++)
		must(got[i] == 0xee, what);
}

static void check_budget(const struct shunt_topo *t)
{
	union {
		struct shunt_cpu_budget b;
		unsigned char bytes[sizeof(struct shunt_cpu_budget) + 1024];
	} u;

	memset(&u, 0xee, sizeof(u));
	must(shunt_topo_budget(t, &u.b, sizeof(u.b)) == 0 && u.b.budget == 4, "budget");
	check_filled(u.bytes, sizeof(u.bytes), sizeof(u.b), "budget: nothing is written behind it");
	must(shunt_topo_budget(t, &u.b, sizeof(u.bytes)) == 0 && u.b.budget == 4, "budget of a newer caller");
	must(u.bytes[sizeof(u.bytes) - 1] == 0, "budget: what the library does not know is 0");
}

static void check_load(void)
{
	struct shunt_balancer_opts o = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_balancer *b;
	union {
		struct shunt_worker_load l;
		unsigned char bytes[sizeof(struct shunt_worker_load) + GUARD];
	} u;

	o.workers = 2;
	must(shunt_balancer_create(&b, &o) == 0, "balancer");
	memset(&u, 0xee, sizeof(u));
	must(shunt_balancer_load(b, 1, &u.l, sizeof(u.l)) == 0 && u.l.capacity == 1, "load");
	check_filled(u.bytes, sizeof(u.bytes), sizeof(u.l), "load: nothing is written behind it");
	shunt_balancer_destroy(b);
}

static void check_machine(void)
{
	struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;
	struct shunt_plan *plan;
	struct shunt_topo *t;

	o.synthetic = "numa:2 core:2 pu:1";
	must(shunt_topo_open(&t, &o) == 0, "topology");
	must(shunt_topo_pu_count(t) == 4 && shunt_topo_node_count(t) == 2, "topology: counts");
	for (uint32_t i = 0; i < 4; i++) {
		const struct shunt_topo_pu *pu = shunt_topo_pu_at(t, i);

		must(pu->os_cpu == i && pu->core == i && pu->node == i / 2, "topology: cpus");
	}
	for (uint32_t i = 0; i < 2; i++)
		must(shunt_topo_node_at(t, i)->os_node == i && shunt_topo_node_at(t, i)->cpus == 2, "topology: nodes");
	must(!shunt_topo_pu_at(t, 4) && !shunt_topo_node_at(t, 2), "topology: none past the end");
	must(shunt_plan_create(t, NULL, &plan) == 0 && shunt_plan_worker_count(plan) == 4, "plan");
	for (uint32_t i = 0; i < 4; i++) {
		const struct shunt_plan_worker *w = shunt_plan_worker_at(plan, i);

		must(w->worker == i && w->os_cpu == (int32_t)i, "plan: workers");
	}
	must(!shunt_plan_worker_at(plan, 4), "plan: none past the end");
	shunt_plan_destroy(plan);
	check_budget(t);
	shunt_topo_close(t);
}

int main(void)
{
	check_machine();
	check_load();
	check_runtime();
	printf("ok: an older caller works\n");
	return 0;
}
