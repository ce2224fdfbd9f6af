/*
 * tests/guest/check_work.c - running jobs on the machine: where the threads are, where jobs for a node go, who steals
 * from whom.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest.h"

#include <stdio.h>
#include <string.h>

#include "sched/pool.h"

#define JOBS 12u

static void check_worker(const struct truth *m, struct world *w, const struct shunt_worker_info *info)
{
	uint32_t cpu = (uint32_t)info->cpu_planned;
	struct seen seen;

	CHECK(world_run(w, &seen, SHUNT_JOB_ON_WORKER, info->index) == SHUNT_OK, "worker %u ran a job", info->index);
	CHECK(seen.worker == info->index, "it was worker %u's", info->index);
	CHECK(seen.mask == UINT64_C(1) << cpu, "its mask is cpu %u alone", cpu);
	CHECK((uint32_t)seen.cpu == cpu, "it ran on cpu %u", cpu);
	CHECK(seen.node == m->cpu[cpu].node, "on node %u", m->cpu[cpu].node);
	CHECK(info->pin_verified == 1 && info->pin_error == 0 && info->cpu_seen == info->cpu_planned,
	      "the snapshot says that the pin held");
	CHECK(info->node == (int32_t)m->cpu[cpu].node, "the snapshot says node %u", m->cpu[cpu].node);
}

static void check_pool(const struct truth *m, enum shunt_pin_policy pin, uint32_t workers)
{
	struct shunt_pool_opts o = SHUNT_POOL_OPTS_INIT;
	struct shunt_snapshot *s = NULL;
	struct world w;

	o.pin_required = 1;
	if (!CHECK(world_open(&w, NULL, pin, workers, &o) == SHUNT_OK, "pool %s", shunt_pin_policy_name(pin)))
		return;
	CHECK(w.log[0] == '\0', "no complaint (found %s)", w.log);
	if (CHECK(shunt_snapshot_create(w.rt, &s) == SHUNT_OK, "snapshot")) {
		for (size_t i = 0; i < shunt_snapshot_worker_count(s); i++)
			check_worker(m, &w, shunt_snapshot_worker_at(s, i));
	}
	shunt_snapshot_destroy(s);
	world_close(&w);
}

void check_masks(const struct truth *m)
{
	struct seen seen;
	struct world w;

	check_pool(m, SHUNT_PIN_COMPACT, (uint32_t)__builtin_popcountll(truth_affinity()));
	check_pool(m, SHUNT_PIN_SCATTER, 3);
	if (!CHECK(world_open(&w, NULL, SHUNT_PIN_NONE, 2, NULL) == SHUNT_OK, "pool none"))
		return;
	CHECK(world_run(&w, &seen, SHUNT_JOB_ON_WORKER, 1) == SHUNT_OK && seen.mask == truth_affinity(),
	      "a worker that is not pinned may run on every allowed cpu");
	world_close(&w);
}

/* Jobs in the rings of workers on this node, and of the others. */
static void count_queued(const struct world *w, uint32_t node, uint32_t *here, uint32_t *elsewhere)
{
	*here = *elsewhere = 0;
	for (uint32_t i = 0; i < w->in->workers; i++)
		*(w->in->worker[i]->node == node ? here : elsewhere) += world_queued(w, i);
}

static void check_one_node(struct world *w, const struct truth *m, uint32_t node)
{
	struct seen seen[JOBS];
	uint32_t here, elsewhere;
	bool right = true;

	if (!CHECK(world_hold(w), "every worker is held"))
		return;
	for (uint32_t i = 0; i < JOBS; i++)
		CHECK(world_submit(w, &seen[i], SHUNT_JOB_ON_NODE, node) == SHUNT_OK, "job %u for node %u", i, node);
	count_queued(w, node, &here, &elsewhere);
	CHECK(here == JOBS && elsewhere == 0, "%u wait on node %u, %u elsewhere", here, node, elsewhere);
	for (uint32_t i = 0; i < w->in->workers; i++) {
		if (w->in->worker[i]->node == node)
			world_release(w, i);
	}
	CHECK(world_ran(w, JOBS), "they ran while all other nodes were held");
	for (uint32_t i = 0; i < JOBS; i++)
		right = right && seen[i].node == node && (m->node[node].cpus >> seen[i].cpu & 1u);
	CHECK(right, "on cpus of node %u", node);
}

void check_node_submit(const struct truth *m)
{
	struct seen seen;
	struct world w;

	for (uint32_t node = 0; node < TRUTH_NODES; node++) {
		if (!CHECK(world_open(&w, NULL, SHUNT_PIN_COMPACT, (uint32_t)__builtin_popcountll(m->online), NULL) ==
				   SHUNT_OK,
			   "a worker on every cpu"))
			return;
		if (m->node[node].cpus)
			check_one_node(&w, m, node);
		else
			CHECK(world_submit(&w, &seen, SHUNT_JOB_ON_NODE, node) == SHUNT_ENOENT,
			      "no job for node %u, which has no worker", node);
		world_close(&w);
		if (!m->node[node].there)
			break;
	}
}

/* Strategy locality: jobs of a thread on a node wait on that node while all are equally busy. */
void check_locality(const struct truth *m)
{
	struct shunt_pool_opts o = SHUNT_POOL_OPTS_INIT;
	struct seen seen[JOBS];
	uint32_t here, elsewhere;
	struct world w;

	o.strategy = SHUNT_SELECT_LOCALITY;
	for (uint32_t node = 0; node < m->nodes; node++) {
		if (!m->node[node].cpus)
			continue;
		if (!CHECK(world_open(&w, NULL, SHUNT_PIN_COMPACT, (uint32_t)__builtin_popcountll(m->online), &o) ==
				   SHUNT_OK,
			   "pool locality"))
			return;
		CHECK(truth_affinity_set(m->node[node].cpus), "the submitter is on node %u", node);
		CHECK(world_hold(&w), "every worker is held");
		for (uint32_t i = 0; i < JOBS; i++)
			CHECK(world_submit(&w, &seen[i], 0, 0) == SHUNT_OK, "job %u", i);
		count_queued(&w, node, &here, &elsewhere);
		CHECK(here == JOBS && elsewhere == 0, "locality: %u wait on the submitter's node %u, %u elsewhere",
		      here, node, elsewhere);
		world_close(&w);
		CHECK(truth_affinity_set(m->online), "the submitter may run everywhere again");
	}
}

/* The other workers' jobs in the order in which worker `me`, the only free one, runs them. */
static void check_thief(const struct truth *m, struct world *w, uint32_t me)
{
	struct seen seen[TRUTH_NODES];
	uint32_t last = 0, n = w->in->workers;
	uint32_t from = m->cpu[w->in->worker[me]->cpu].node;

	if (!CHECK(world_hold(w), "every worker is held"))
		return;
	for (uint32_t i = 0; i < n; i++) {
		if (i != me)
			CHECK(world_submit(w, &seen[i], SHUNT_JOB_ON_NODE, w->in->worker[i]->node) == SHUNT_OK,
			      "a job for node %u", w->in->worker[i]->node);
	}
	world_release(w, me);
	CHECK(world_ran(w, n - 1), "the only free worker, on node %u, ran them", from);
	for (uint32_t turn = 1; turn < n; turn++) {
		for (uint32_t i = 0; i < n; i++) {
			uint32_t far = m->node[from].distance[w->in->worker[i]->node];

			if (i == me || seen[i].turn != turn)
				continue;
			CHECK(seen[i].worker == me && last <= far, "turn %u: from node %u, distance %u", turn,
			      w->in->worker[i]->node, far);
			last = far;
		}
	}
}

void check_steal_nearest(const struct truth *m)
{
	char place[64] = "";
	uint32_t n = 0;
	struct world w;

	for (uint32_t i = 0; i < m->nodes; i++) {
		size_t at = strlen(place);

		if (m->node[i].cpus)
			(void)snprintf(place + at, sizeof(place) - at, "%s%u", n++ ? "," : "",
				       (uint32_t)__builtin_ctzll(m->node[i].cpus));
	}
	for (uint32_t me = 0; me < n; me++) {
		if (!CHECK(world_open(&w, place, SHUNT_PIN_EXPLICIT, n, NULL) == SHUNT_OK, "one worker a node: cpus %s",
			   place))
			return;
		check_thief(m, &w, me);
		world_close(&w);
	}
}
