/*
 * tests/guest/check_topo.c - what the library reads and plans against the kernel's own view: topology, place
 * expressions, pin policies, steal order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest.h"

#include <stdio.h>
#include <string.h>

#include "sched/pool.h"

static uint32_t bits(uint64_t mask)
{
	return (uint32_t)__builtin_popcountll(mask);
}

static uint64_t same_index(const struct shunt_topo *t, uint32_t i, size_t field)
{
	const struct shunt_topo_pu *pu;
	uint64_t mask = 0;
	uint32_t mine, other;

	memcpy(&mine, (const char *)shunt_topo_pu_at(t, i) + field, sizeof(mine));
	for (uint32_t k = 0; (pu = shunt_topo_pu_at(t, k)) != NULL; k++) {
		memcpy(&other, (const char *)pu + field, sizeof(other));
		if (pu->online && other == mine)
			mask |= UINT64_C(1) << pu->os_cpu;
	}
	return mask;
}

static void check_cpu(const struct truth *m, const struct shunt_topo *t, uint32_t i)
{
	const struct shunt_topo_pu *pu = shunt_topo_pu_at(t, i);
	const struct shunt_topo_node *node = shunt_topo_node_at(t, pu->node);
	const struct truth_cpu *cpu = &m->cpu[pu->os_cpu];
	char list[128];

	CHECK(pu->online == cpu->online, "cpu %u is %s", pu->os_cpu, cpu->online ? "online" : "offline");
	if (!cpu->online) {
		CHECK(pu->core == SHUNT_TOPO_NONE && pu->node == SHUNT_TOPO_NONE && !pu->allowed, "cpu %u is nowhere",
		      pu->os_cpu);
		return;
	}
	CHECK(node && node->os_node == cpu->node, "cpu %u: node %u (found %u)", pu->os_cpu, cpu->node,
	      node ? node->os_node : pu->node);
	CHECK(same_index(t, i, offsetof(struct shunt_topo_pu, core)) == cpu->siblings, "cpu %u: core of cpus %s",
	      pu->os_cpu, truth_list(cpu->siblings, list, sizeof(list)));
	if (cpu->l3)
		CHECK(same_index(t, i, offsetof(struct shunt_topo_pu, l3)) == cpu->l3, "cpu %u: L3 of cpus %s",
		      pu->os_cpu, truth_list(cpu->l3, list, sizeof(list)));
	else
		CHECK(pu->l3 == SHUNT_TOPO_NONE, "cpu %u: no L3", pu->os_cpu);
	CHECK(same_index(t, i, offsetof(struct shunt_topo_pu, package)) == cpu->package,
	      "cpu %u: package of cpus %s", pu->os_cpu, truth_list(cpu->package, list, sizeof(list)));
}

static void check_node(const struct truth *m, const struct shunt_topo *t, uint32_t i)
{
	const struct shunt_topo_node *node = shunt_topo_node_at(t, i), *other;
	const struct truth_node *want = &m->node[node->os_node];

	CHECK(want->there, "node %u is there", node->os_node);
	CHECK(node->cpus == bits(want->cpus), "node %u: %u cpus (found %u)", node->os_node, bits(want->cpus),
	      node->cpus);
	CHECK(node->has_cpus == (want->cpus != 0), "node %u: %s", node->os_node,
	      want->cpus ? "has cpus" : "memory only");
	CHECK(node->memory_bytes == want->memory_bytes, "node %u: %llu bytes (found %llu)", node->os_node,
	      (unsigned long long)want->memory_bytes, (unsigned long long)node->memory_bytes);
	for (uint32_t k = 0; (other = shunt_topo_node_at(t, k)) != NULL; k++)
		CHECK(shunt_topo_distance(t, i, k) == want->distance[other->os_node],
		      "distance %u to %u: %u (found %u)", node->os_node, other->os_node,
		      want->distance[other->os_node], shunt_topo_distance(t, i, k));
}

void check_topology(const struct truth *m)
{
	struct shunt_topo *t = NULL;
	uint32_t n = 0, there = 0;
	char text[128], want[128];

	if (!CHECK(shunt_topo_open(&t, NULL) == SHUNT_OK, "topology opens"))
		return;
	CHECK(shunt_topo_is_live(t), "it is this machine");
	n = shunt_topo_pu_count(t);
	CHECK(n == m->cpus, "%u cpus (found %u)", m->cpus, n);
	for (uint32_t i = 0; i < n; i++)
		check_cpu(m, t, i);
	for (uint32_t i = 0; i < m->nodes; i++)
		there += m->node[i].there;
	n = shunt_topo_node_count(t);
	CHECK(n == there, "%u nodes (found %u)", there, n);
	for (uint32_t i = 0; i < n; i++)
		check_node(m, t, i);
	(void)shunt_topo_allowed(t, text, sizeof(text));
	CHECK(strcmp(text, truth_list(truth_affinity(), want, sizeof(want))) == 0, "allowed cpus %s (found %s)", want,
	      text);
	shunt_topo_close(t);
}

/* ---- places ---- */

void check_place(const struct shunt_topo *t, const char *expr, const char *cpus)
{
	struct shunt_plan_opts o = SHUNT_PLAN_OPTS_INIT;
	struct shunt_plan *plan = NULL;
	char got[128] = "";
	uint64_t mask = 0;
	int rc;

	o.place = expr;
	o.policy = SHUNT_PIN_EXPLICIT;
	o.workers = bits(truth_mask(cpus));
	rc = shunt_plan_create(t, &o, &plan);
	for (uint32_t i = 0; rc == SHUNT_OK && i < shunt_plan_worker_count(plan); i++)
		mask |= UINT64_C(1) << shunt_plan_worker_at(plan, i)->os_cpu;
	shunt_plan_destroy(plan);
	CHECK(rc == SHUNT_OK && mask == truth_mask(cpus), "place %s: cpus %s (found %s%s)", expr, cpus,
	      truth_list(mask, got, sizeof(got)), shunt_error_detail());
	o.workers++; /* and not one more */
	rc = shunt_plan_create(t, &o, &plan);
	CHECK(rc == SHUNT_EPLACE && plan == NULL, "place %s: no other cpu", expr);
	shunt_plan_destroy(plan);
}

void check_refused(const struct shunt_topo *t, const char *expr, const char *what)
{
	struct shunt_plan_opts o = SHUNT_PLAN_OPTS_INIT;
	struct shunt_plan *plan = NULL;
	int rc;

	o.place = expr;
	rc = shunt_plan_create(t, &o, &plan);
	CHECK(rc == SHUNT_EPLACE && strstr(shunt_error_detail(), what), "place %s is refused: %s (found %d: %s)", expr,
	      what, rc, shunt_error_detail());
	shunt_plan_destroy(plan);
}

/* The cores of a mask: of each its cpus that are in it, in the order of their first cpu. Returns how many. */
static uint32_t cores_of(const struct truth *m, uint64_t mask, uint64_t *core)
{
	uint32_t n = 0;

	for (uint32_t c = 0; c < m->cpus; c++) {
		if ((mask >> c & 1u) && (m->cpu[c].siblings & ((UINT64_C(1) << c) - 1)) == 0)
			core[n++] = m->cpu[c].siblings & mask;
	}
	return n;
}

static void check_node_places(const struct truth *m, const struct shunt_topo *t, uint32_t node, uint64_t mask)
{
	uint64_t core[TRUTH_CPUS], firsts = 0;
	uint32_t n = cores_of(m, mask, core);
	char expr[64], list[128], what[128];

	(void)snprintf(expr, sizeof(expr), "numa:%u", node);
	check_place(t, expr, truth_list(mask, list, sizeof(list)));
	for (uint32_t i = 0; i < n; i++) {
		(void)snprintf(expr, sizeof(expr), "numa:%u.core:%u", node, i);
		check_place(t, expr, truth_list(core[i], list, sizeof(list)));
		firsts |= core[i] & -core[i];
	}
	(void)snprintf(expr, sizeof(expr), "numa:%u.core:*.pu:0", node);
	check_place(t, expr, truth_list(firsts, list, sizeof(list)));
	(void)snprintf(expr, sizeof(expr), "all,!numa:%u", node);
	check_place(t, expr, truth_list(m->online & ~mask, list, sizeof(list)));
	(void)snprintf(expr, sizeof(expr), "numa:%u.core:%u", node, n);
	if (n > 1)
		(void)snprintf(what, sizeof(what), "no core %u there; available: 0-%u", n, n - 1);
	else
		(void)snprintf(what, sizeof(what), "no core %u there; available: 0", n);
	check_refused(t, expr, what);
}

void check_places(const struct truth *m)
{
	uint64_t core[TRUTH_CPUS], with_cpus = 0, firsts = 0;
	uint32_t n = cores_of(m, m->online, core);
	struct shunt_topo *t = NULL;
	char expr[64], list[128], what[160];

	if (!CHECK(shunt_topo_open(&t, NULL) == SHUNT_OK, "topology opens"))
		return;
	for (uint32_t i = 0; i < m->nodes; i++)
		with_cpus |= (uint64_t)(m->node[i].cpus != 0) << i;
	for (uint32_t i = 0; i < m->nodes; i++) {
		if (m->node[i].cpus) {
			check_node_places(m, t, i, m->node[i].cpus);
			continue;
		}
		(void)snprintf(expr, sizeof(expr), "numa:%u", i);
		(void)snprintf(what, sizeof(what), "'numa:%u': NUMA node %u has memory but no cpus; available: %s", i,
			       i, truth_list(with_cpus, list, sizeof(list)));
		check_refused(t, expr, what);
	}
	(void)snprintf(what, sizeof(what), "'numa:7': no NUMA node 7; available: %s",
		       truth_list(with_cpus, list, sizeof(list)));
	check_refused(t, "numa:7", what);
	for (uint32_t i = 0; i < n; i++)
		firsts |= core[i] & -core[i];
	check_place(t, "all", truth_list(m->online, list, sizeof(list)));
	check_place(t, "core:*.pu:0", truth_list(firsts, list, sizeof(list)));
	check_place(t, "core:1", truth_list(core[1], list, sizeof(list)));
	check_place(t, "package:0", truth_list(m->cpu[0].package, list, sizeof(list)));
	check_place(t, "l3:0", truth_list(m->cpu[0].l3, list, sizeof(list)));
	check_refused(t, "40", "cpu 40 does not exist; allowed cpus: ");
	shunt_topo_close(t);
}

/* ---- pin policies ---- */

/* A plan and its number of workers; 0 when there is none. */
static uint32_t plan_of(const struct shunt_topo *t, enum shunt_pin_policy policy, uint32_t workers,
			struct shunt_plan **plan)
{
	struct shunt_plan_opts o = SHUNT_PLAN_OPTS_INIT;

	o.policy = policy;
	o.workers = workers;
	if (!CHECK(shunt_plan_create(t, &o, plan) == SHUNT_OK, "plan %s", shunt_pin_policy_name(policy)))
		return 0;
	return shunt_plan_worker_count(*plan);
}

/* The cpu of a worker. */
static uint32_t seat(const struct shunt_plan *plan, uint32_t i)
{
	return (uint32_t)shunt_plan_worker_at(plan, i)->os_cpu;
}

void check_policies(const struct truth *m)
{
	uint64_t core[TRUTH_CPUS], seen = 0;
	uint32_t n = 0, cores = cores_of(m, m->online, core), nodes = 0;
	struct shunt_plan *plan = NULL;
	struct shunt_topo *t = NULL;

	if (!CHECK(shunt_topo_open(&t, NULL) == SHUNT_OK, "topology opens"))
		return;
	n = plan_of(t, SHUNT_PIN_COMPACT, 2, &plan);
	CHECK(n == 2 && truth_far(m, seat(plan, 0), seat(plan, 1)) == 1,
	      "compact: the first two share a core");
	shunt_plan_destroy(plan);
	for (uint32_t i = 0; i < m->nodes; i++)
		nodes += m->node[i].cpus != 0;
	n = plan_of(t, SHUNT_PIN_SCATTER, nodes, &plan);
	for (uint32_t i = 0; i < n; i++)
		seen |= UINT64_C(1) << m->cpu[seat(plan, i)].node;
	CHECK(bits(seen) == nodes, "scatter: the first %u are on as many nodes", nodes);
	shunt_plan_destroy(plan);
	n = plan_of(t, SHUNT_PIN_ONE_PER_CORE, 0, &plan);
	seen = 0;
	for (uint32_t i = 0; i < n; i++)
		seen |= m->cpu[seat(plan, i)].siblings;
	CHECK(n == cores && seen == m->online, "one-per-core: %u workers on %u cores", n, cores);
	shunt_plan_destroy(plan);
	n = plan_of(t, SHUNT_PIN_AVOID_CPU0, 0, &plan);
	CHECK(n == bits(m->online) - 1 && m->cpu[0].siblings >> seat(plan, n - 1) & 1u,
	      "avoid-cpu0: its sibling comes last");
	for (uint32_t i = 0; i < n; i++)
		CHECK(seat(plan, i) != 0, "avoid-cpu0: worker %u is on cpu %u", i, seat(plan, i));
	shunt_plan_destroy(plan);
	shunt_topo_close(t);
}

void check_steal_order(const struct truth *m)
{
	static const enum shunt_pin_policy policies[] = { SHUNT_PIN_COMPACT, SHUNT_PIN_SCATTER };

	for (size_t p = 0; p < sizeof(policies) / sizeof(policies[0]); p++) {
		struct world w;

		if (!CHECK(world_open(&w, NULL, policies[p], bits(m->online), NULL) == SHUNT_OK,
			   "a worker on every cpu"))
			continue;
		for (uint32_t i = 0; i < w.in->workers; i++) {
			const struct sh_worker *me = w.in->worker[i];
			uint64_t met = UINT64_C(1) << i;
			bool rises = true;

			for (uint32_t k = 0; k + 1 < w.in->workers; k++) {
				uint32_t far = truth_far(m, (uint32_t)me->cpu,
							 (uint32_t)w.in->worker[me->steal_order[k]]->cpu);
				uint32_t last = k ? truth_far(m, (uint32_t)me->cpu,
							      (uint32_t)w.in->worker[me->steal_order[k - 1]]->cpu)
						  : 0;

				rises = rises && last <= far;
				met |= UINT64_C(1) << me->steal_order[k];
			}
			CHECK(rises, "%s: worker %u on cpu %d steals from near to far",
			      shunt_pin_policy_name(policies[p]), i, me->cpu);
			CHECK(bits(met) == w.in->workers, "worker %u: from every other", i);
		}
		world_close(&w);
	}
}
