/*
 * sched/worker_make.c - see worker_make.h: a worker's memory, its queues, its node and its thread.
 *
 * SPDX-License-Identifier: MIT
 */

#include "sched/worker_make.h"

#include "base/inject.h"
#include "machine/bind.h"

#define WORKER_ALIGN SH_CACHELINE

struct worker_layout {
	size_t ring, pinned, deque, ring_slots, pinned_slots, deque_slots, total;
};

static struct worker_layout layout_of(const struct sh_pool *p)
{
	struct worker_layout l;
	size_t at = 0;

	l.ring = at;
	at += sizeof(struct sh_ring) * p->levels;
	l.pinned = at;
	at += sizeof(struct sh_ring) * p->levels;
	l.deque = at;
	at += sizeof(struct sh_deque) * p->levels;
	l.ring_slots = at;
	at += sizeof(sh_a128) * p->opts.ring_capacity * p->levels;
	at = (at + SH_CACHELINE - 1) / SH_CACHELINE * SH_CACHELINE;
	l.pinned_slots = at;
	at += sizeof(sh_a128) * p->opts.pinned_capacity * p->levels;
	l.deque_slots = at;
	at += sizeof(sh_a128) * SH_DEQUE_CAPACITY * p->levels;
	l.total = at;
	return l;
}

size_t sh_worker_bytes(const struct sh_pool *p)
{
	return layout_of(p).total + sizeof(struct sh_worker);
}

static void worker_queues(struct sh_worker *w, const struct worker_layout *l)
{
	struct sh_pool *p = w->pool;
	char *m = w->queue_mem;
	uint32_t i;

	w->ring = (struct sh_ring *)(void *)(m + l->ring);
	w->pinned = (struct sh_ring *)(void *)(m + l->pinned);
	w->deque = (struct sh_deque *)(void *)(m + l->deque);
	for (i = 0; i < p->levels; i++) {
		sh_ring_init(&w->ring[i], (sh_a128 *)(void *)(m + l->ring_slots) + (size_t)i * p->opts.ring_capacity,
			     p->opts.ring_capacity);
		sh_ring_init(&w->pinned[i],
			     (sh_a128 *)(void *)(m + l->pinned_slots) + (size_t)i * p->opts.pinned_capacity,
			     p->opts.pinned_capacity);
		sh_deque_init(&w->deque[i], (sh_a128 *)(void *)(m + l->deque_slots) + (size_t)i * SH_DEQUE_CAPACITY,
			      SH_DEQUE_CAPACITY);
	}
}

void sh_worker_free(struct sh_pool *p, struct sh_worker *w)
{
	size_t cells = (size_t)SHUNT_TYPES_MAX * p->levels;

	if (!w)
		return;
	sh_stat_free(&p->mem, w->stat, cells);
	sh_stat_retire(&p->mem, &w->stat_retired, NULL);
	sh_mem_unmap(&p->mem, w->finished, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&p->mem, w->learned, sizeof(*w->learned) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&p->mem, w->queue_mem, w->queue_bytes);
	sh_mem_free(&p->mem, w->steal_order, sizeof(uint32_t) * SH_SLOTS_TOTAL, WORKER_ALIGN);
	sh_mem_free(&p->mem, w, sizeof(*w), WORKER_ALIGN);
}

/*
 * Where workers are chosen by load or place, a worker keeps its own spawns, if it may run them;
 * thieves take of them.
 */
uint32_t sh_worker_own_levels(const struct sh_worker *w)
{
	enum shunt_strategy s = w->pool->opts.strategy;

	return s == SHUNT_SELECT_LEAST_WORK || s == SHUNT_SELECT_LOCALITY ? w->level_mask : 0;
}

struct sh_worker *sh_worker_alloc(struct sh_pool *p, uint32_t slot)
{
	struct sh_worker *w = sh_mem_alloc(&p->mem, sizeof(*w), WORKER_ALIGN);
	struct worker_layout layout = layout_of(p);

	if (!w)
		return NULL;
	w->pool = p;
	w->slot = slot;
	w->waiting.gap_ns = SH_GAP_MAX_NS;
	w->cpu = -1;
	w->node = SHUNT_ANY;
	w->spare = slot >= p->workers;
	w->level_mask = (1u << p->levels) - 1u;
	w->own_levels = sh_worker_own_levels(w);
	w->slot_table = p->slot_table;
	w->slot_n = p->slot_n;
	w->types = p->rt->type;
	w->ctx.rt = p->rt;
	w->ctx.worker = w;
	w->queue_bytes = layout.total;
	w->queue_mem = sh_mem_map(&p->mem, layout.total);
	w->stat = sh_mem_map(&p->mem, sizeof(sh_aptr) * SHUNT_TYPES_MAX * p->levels);
	w->finished = sh_mem_map(&p->mem, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	w->learned = sh_mem_map(&p->mem, sizeof(*w->learned) * SHUNT_TYPES_MAX);
	w->steal_order = sh_mem_alloc(&p->mem, sizeof(uint32_t) * SH_SLOTS_TOTAL, WORKER_ALIGN);
	/* mo rlx: the worker is published later. */
	sh_a32_store_rlx(&w->speed_permille, 1000);
	sh_a32_store_rlx(&w->cpu_seen, UINT32_MAX);
	if (!w->queue_mem || !w->stat || !w->finished || !w->learned || !w->steal_order) {
		sh_worker_free(p, w);
		return NULL;
	}
	worker_queues(w, &layout);
	return w;
}

/*
 * Steal order: the plan's (nearest first), then the spares. A spare has no place in the plan: it
 * steals from all workers in turn.
 */
void sh_worker_steal_order(struct sh_pool *p, struct sh_worker *w, const struct shunt_plan *plan)
{
	uint32_t n = 0;
	const uint32_t *order = w->spare ? NULL : shunt_plan_steal_order(plan, w->slot, &n);
	uint32_t i;

	for (i = 0; i < n; i++)
		if (order[i] < p->workers) /* the plan may place more than a pool has */
			w->steal_order[w->steal_n++] = order[i];
	for (i = n == 0 ? 0 : p->workers; i < p->workers + p->spares_max; i++)
		if (i != w->slot)
			w->steal_order[w->steal_n++] = i;
}

void sh_worker_place(struct sh_pool *p, struct sh_worker *w, const struct shunt_plan_worker *at)
{
	const struct shunt_topo *topo = p->rt->topo;
	const struct shunt_topo_node *node = shunt_topo_node_at(topo, at->node);
	int rc = 0;

	w->cpu = at->os_cpu;
	if (!node)
		return;
	w->node = node->os_node;
	w->node_slot = sh_runtime_node_slot(p->rt, w->node);
	if (shunt_topo_node_count(topo) > 1 && shunt_topo_is_live(topo) && sh_mem_own_pages())
		rc = sh_topo_bind_memory(topo, w->queue_mem, w->queue_bytes, w->node);
	if (rc != 0)
		sh_log_write(&p->rt->log, SHUNT_LOG_WARN, "pool %s: worker %u: its queues could not be put on node %u: %s", p->name,
			     w->slot, w->node, shunt_strerror(rc));
}

int sh_worker_replace(struct sh_worker *w)
{
	const struct sh_pool *p = w->pool;
	int rc = SHUNT_ESYS;

	w->before = pthread_self();
	w->replaces = true;
	if (!SH_FAIL("worker.replace"))
		rc = sh_thread_start(&w->thread, p->thread_main, w, p->signals, p->opts.stack_bytes);
	return rc;
}

static int launch(struct sh_worker *w)
{
	const struct sh_pool *p = w->pool;
	int rc = SHUNT_ESYS;

	if (!SH_FAIL("pool.thread"))
		rc = sh_thread_start(&w->thread, p->thread_main, w, p->signals, p->opts.stack_bytes);
	w->has_thread = rc == 0;
	return rc;
}

int sh_worker_start(struct sh_worker *w)
{
	uint32_t s;
	int rc = launch(w);

	if (rc != 0)
		return rc;
	for (;;) {
		s = sh_a32_load_acq(&w->started); /* mo start.1 <- start.1@sched/worker.c: pinning result and submitter. */
		if (s != 0)
			break;
		(void)sh_futex_wait(&w->started, 0, SH_FOREVER);
	}
	return s == SH_STARTED_FAILED ? SHUNT_ELIMIT : 0;
}
