/*
 * tests/guest/check_memory.c - on which node the pages are: workers' queues, histograms and counters, the part of each
 * node of the records, records of jobs submitted from a node, memory bound by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "sched/pool.h"
#include "sched/world.h"
#include "machine/bind.h"

#define PAGE ((size_t)4096)
#define SPAWNED 40u

/* Writes to every page, so that each has a node; what is there stays. p and len are multiples of 4. */
static void touch(void *p, size_t len)
{
	char *at = p;

	for (size_t i = 0; i < len; i += PAGE)
		(void)sh_a32_add_rlx((sh_a32 *)(void *)&at[i], 0);            /* mo rlx: it only has to be a write. */
	(void)sh_a32_add_rlx((sh_a32 *)(void *)&at[len - sizeof(sh_a32)], 0); /* mo rlx: likewise. */
}

static void check_worker_memory(struct world *w, struct sh_worker *me)
{
	uint32_t type = sh_id_index(w->type.v), untouched, found = 0;
	struct seen seen;

	CHECK(truth_pages_elsewhere(me->queue_mem, me->queue_bytes, me->node, &untouched) == 0,
	      "worker %u: the queues' pages in use are on node %u", me->slot, me->node);
	touch(me->queue_mem, me->queue_bytes);
	CHECK(truth_pages_elsewhere(me->queue_mem, me->queue_bytes, me->node, &untouched) == 0 && untouched == 0,
	      "worker %u: and all %zu bytes, touched from elsewhere", me->slot, me->queue_bytes);
	CHECK(world_run(w, &seen, SHUNT_JOB_ON_WORKER, me->slot) == SHUNT_OK, "worker %u ran a job", me->slot);
	CHECK(world_run(w, &seen, SHUNT_JOB_ON_WORKER, me->slot) == SHUNT_OK, "and one more, so the first is counted");
	for (uint32_t l = 0; l < w->in->levels; l++) {
		const struct sh_stat *st = sh_aptr_load_acq(&me->stat[(size_t)type * w->in->levels + l]);

		if (!st)
			continue;
		found++;
		CHECK(truth_pages_elsewhere(st->queue, (size_t)3 * SH_HIST_BYTES, me->node, &untouched) == 0 &&
			      untouched < 3 * SH_HIST_BYTES / PAGE,
		      "worker %u: its histograms are on node %u", me->slot, me->node);
	}
	CHECK(found == 1, "worker %u: one series was counted", me->slot);
	CHECK(truth_page_node(&me->finished[type]) == (int)me->node, "worker %u: its counters are on node %u", me->slot,
	      me->node);
}

void check_queue_memory(const struct truth *m)
{
	struct world w;

	if (!CHECK(world_open(&w, NULL, SHUNT_PIN_COMPACT, (uint32_t)__builtin_popcountll(m->online), NULL) == SHUNT_OK,
		   "a worker on every cpu"))
		return;
	for (uint32_t i = 0; i < w.in->workers; i++) {
		struct sh_worker *me = w.in->worker[i];

		CHECK(me->node == m->cpu[me->cpu].node && w.rt->node_os[me->node_slot] == me->node,
		      "worker %u is on node %u", i, m->cpu[me->cpu].node);
		check_worker_memory(&w, me);
	}
	CHECK(w.log[0] == '\0', "no complaint (found %s)", w.log);
	world_close(&w);
}

/* The last page of a node's part may hold the first items of the next one's: it is left out. */
void check_arena_memory(const struct truth *m)
{
	uint32_t nodes = 0, elsewhere, untouched;
	struct world w;

	if (!CHECK(world_open(&w, NULL, SHUNT_PIN_COMPACT, 1, NULL) == SHUNT_OK, "a runtime"))
		return;
	for (uint32_t i = 0; i < m->nodes; i++)
		nodes += m->node[i].cpus != 0;
	CHECK(w.rt->nodes == nodes, "the records have %u parts", nodes);
	for (uint32_t i = 0; i < w.rt->nodes; i++) {
		size_t len = 0;
		char *range = sh_slab_node_range(&w.rt->records, i, &len);

		CHECK(m->node[w.rt->node_os[i]].cpus != 0, "part %u is for a node with cpus", i);
		len -= len > PAGE ? PAGE : 0;
		touch(range, len);
		elsewhere = truth_pages_elsewhere(range, len, w.rt->node_os[i], &untouched);
		CHECK(elsewhere == 0 && untouched == 0,
		      "part %u: %zu bytes are on node %u (pages: %u elsewhere, %u untouched)", i, len, w.rt->node_os[i],
		      elsewhere, untouched);
	}
	world_close(&w);
}

static int leaf(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return SHUNT_DONE;
}

struct spawn {
	struct shunt_type_id leaf;
	struct shunt_group_id group; /* so that its jobs have records */
	const struct sh_worker *worker;
	uint32_t refills,
		wrong; /* how often the thread's cache of free records was filled; from another node's part */
};

static int spawner(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct spawn *s = arg;
	const struct sh_slab_cache *cache = &s->worker->submitter->records;
	struct shunt_job_spec spec;
	int rc = SHUNT_DONE;

	memset(&spec, 0, sizeof(spec));
	spec.type = s->leaf;
	spec.group = s->group;
	for (uint32_t i = 0; i < SPAWNED && rc == SHUNT_DONE; i++) {
		uint32_t before = cache->n;

		rc = shunt_submit(rt, &spec, NULL);
		if (cache->n <= before) /* what is there may come from anybody */
			continue;
		s->refills++;
		for (uint32_t k = 0; k < cache->n; k++)
			s->wrong += (cache->idx[k] - 1u) / rt->records.per_node != s->worker->node_slot;
	}
	return rc;
}

/* How many of a part's records were ever handed out. */
static uint32_t used(const struct world *w, uint32_t part)
{
	return sh_a32_load_acq(&w->rt->records.node[part].fresh) - w->rt->records.node[part].first;
}

static void check_spawn(struct world *w, struct shunt_type_id leaf_type, struct shunt_type_id spawn_type,
			uint32_t worker)
{
	struct spawn s = { leaf_type, { 0 }, w->in->worker[worker], 0, 0 };
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec spec;
	struct shunt_job_id id;

	memset(&spec, 0, sizeof(spec));
	spec.type = spawn_type;
	spec.arg = &s;
	spec.flags = SHUNT_JOB_ON_WORKER;
	opts.worker = worker;
	spec.opts = &opts;
	CHECK(shunt_group_create(w->rt, &s.group) == SHUNT_OK, "a group");
	if (CHECK(shunt_submit(w->rt, &spec, &id) == SHUNT_OK && shunt_wait(w->rt, id, GUEST_LONG_NS, NULL) == SHUNT_OK,
		  "worker %u spawns %u jobs", worker, SPAWNED))
		CHECK(s.refills > 0 && s.wrong == 0,
		      "worker %u: their records come from node %u (%u refills, %u do not)", worker, s.worker->node,
		      s.refills, s.wrong);
}

/* A job's record comes from the part of the node whose thread submits it. */
void check_descriptor_node(const struct truth *m)
{
	struct shunt_type_opts o = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id leaf_type, spawn_type;
	struct world w;

	for (uint32_t node = 0; node < m->nodes; node++) {
		struct shunt_job_spec spec = { .type = { 0 } };
		struct shunt_job_id id = { 0 };
		struct seen seen = { 0 };
		uint32_t part;

		if (!m->node[node].cpus)
			continue;
		CHECK(truth_affinity_set(m->node[node].cpus), "the submitter is on node %u", node);
		if (!CHECK(world_open(&w, NULL, SHUNT_PIN_SCATTER, (uint32_t)__builtin_popcountll(m->node[node].cpus),
				      NULL) == SHUNT_OK,
			   "a runtime"))
			break;
		part = sh_runtime_node_slot(w.rt, node);
		spec.type = w.type;
		spec.arg = &seen;
		CHECK(shunt_submit(w.rt, &spec, &id) == SHUNT_OK && shunt_wait(w.rt, id, GUEST_LONG_NS, NULL) == SHUNT_OK
			      && used(&w, part) > 0,
		      "the submitter's first record comes from node %u", node);
		world_close(&w);
		CHECK(truth_affinity_set(m->online), "it may run everywhere again");
	}
	if (!CHECK(world_open(&w, NULL, SHUNT_PIN_COMPACT, (uint32_t)__builtin_popcountll(m->online), NULL) == SHUNT_OK,
		   "a worker on every cpu"))
		return;
	o.pool = w.pool;
	o.name = "leaf";
	o.handler = leaf;
	CHECK(shunt_type_create(w.rt, &o, &leaf_type) == SHUNT_OK, "type leaf");
	o.name = "spawner";
	o.handler = spawner;
	CHECK(shunt_type_create(w.rt, &o, &spawn_type) == SHUNT_OK, "type spawner");
	for (uint32_t i = 0; i < w.in->workers; i++)
		check_spawn(&w, leaf_type, spawn_type, i);
	world_close(&w);
}

/* Memory that the caller binds, on every node, those without cpus too. */
void check_bind_memory(const struct truth *m)
{
	size_t len = 16 * PAGE;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct shunt_topo *t = NULL;
	uint32_t untouched;

	if (!CHECK(p != MAP_FAILED && shunt_topo_open(&t, NULL) == SHUNT_OK, "memory and topology"))
		return;
	CHECK(sh_topo_page_node(p) == SHUNT_EAGAIN, "a page that nobody touched has no node");
	p[PAGE] = 1; /* one page is somewhere already: it has to move */
	for (uint32_t node = 0; node < m->nodes; node++) {
		CHECK(sh_topo_bind_memory(t, p, len, node) == SHUNT_OK, "16 pages are bound to node %u%s", node,
		      m->node[node].cpus ? "" : ", which is memory only");
		touch(p, len);
		CHECK(truth_pages_elsewhere(p, len, node, &untouched) == 0 && untouched == 0, "all are there");
		CHECK(sh_topo_page_node(p + 3 * PAGE) == (int)node, "and the library reads node %u", node);
	}
	CHECK(sh_topo_bind_memory(t, p, len, 7) == SHUNT_EINVAL, "no memory on a node that does not exist");
	(void)munmap(p, len);
	shunt_topo_close(t);
}
