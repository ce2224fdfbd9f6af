/*
 * core/pool.c - creation, stopping and freeing of a pool: option checks, the pin plan, memory of the workers on their
 * nodes, threads and spares. Called by runtime.c under its control lock; block begin and end come from jobs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/pool.h"

#include <stdio.h>
#include <string.h>

#include "base/inject.h"
#include "core/calibrate.h"
#include "core/levels.h"
#include "core/runtime.h"
#include "core/strand.h"
#include "core/topo_bind.h"

#define POOL_ALIGN SH_CACHELINE
#define RING_DEFAULT 256u
#define STRANDS_DEFAULT 1024u
#define GUARD_DEFAULT 64u
#define ASYNC_DEFAULT 64u
#define UNKNOWN_THREADS 4096u /* threads without a submitter that may push a token at the same instant */

/* ---- statistics cells ---- */

#define STAT_OFFSET ((size_t)SH_CACHELINE)
#define STAT_BYTES (STAT_OFFSET + (size_t)3 * SH_HIST_BYTES)
_Static_assert(sizeof(struct sh_stat) <= SH_CACHELINE, "the cell's head has one line before its histograms");

/* One mapping, no allocator: its locks must not stand between a job's end and a thread that was stopped inside it. */
struct sh_stat *sh_stat_make(struct sh_mem *mem, sh_aptr *cell)
{
	void *expected = NULL;
	struct sh_stat *st;
	char *hists;

	st = sh_mem_map(mem, STAT_BYTES);
	if (!st)
		return NULL;
	hists = (char *)st + STAT_OFFSET;
	st->queue = sh_hist_init(hists);
	st->run = sh_hist_init(hists + SH_HIST_BYTES);
	st->total = sh_hist_init(hists + (size_t)2 * SH_HIST_BYTES);
	/* mo E1 -> E1@core/pool.c: complete before visible. */
	if (!sh_aptr_cas_acq_rel_acq(cell, &expected, st)) {
		sh_mem_unmap(mem, st, STAT_BYTES);
		return expected;
	}
	return st;
}

void sh_stat_free(struct sh_mem *mem, sh_aptr *cells, size_t n)
{
	size_t i;

	if (!cells)
		return;
	for (i = 0; i < n; i++) /* mo rlx: the last owner. */
		sh_mem_unmap(mem, sh_aptr_load_rlx(&cells[i]), STAT_BYTES);
	sh_mem_unmap(mem, cells, n * sizeof(*cells));
}

/* ---- options ---- */

static bool name_valid(const char *name)
{
	size_t i;

	if (!name || !name[0])
		return false;
	for (i = 0; name[i]; i++)
		if (i >= SHUNT_NAME_MAX - 1 || !strchr("abcdefghijklmnopqrstuvwxyz0123456789_-", name[i]))
			return false;
	return true;
}

static int opt_bad(const struct shunt_runtime *rt, const char *what)
{
	sh_log_write(&rt->log, SHUNT_LOG_ERROR, "pool: %s", what);
	return SHUNT_EINVAL;
}

static int opts_check(const struct shunt_runtime *rt, const struct shunt_pool_opts *o)
{
	uint32_t reserved = 0;
	uint32_t i;

	if (!name_valid(o->name))
		return opt_bad(rt, "name: 1 to 31 characters of a-z 0-9 _ - are needed");
	if (o->workers > SHUNT_WORKERS_MAX)
		return opt_bad(rt, "workers: at most 256");
	if (o->spares_max != SHUNT_ANY && o->spares_max > SH_SPARES_MAX)
		return opt_bad(rt, "spares_max: at most 64, or SHUNT_ANY for none");
	if (o->pin > SHUNT_PIN_EXPLICIT || o->idle > SHUNT_IDLE_PARK || o->level_mode > SHUNT_LEVELS_RESERVED
	    || o->strategy > SHUNT_SELECT_USER || o->full > SHUNT_FULL_INLINE)
		return opt_bad(rt, "pin, idle, level_mode, strategy or full: no such value");
	if (o->strategy == SHUNT_SELECT_USER && !o->select)
		return opt_bad(rt, "strategy user needs the select function");
	if (o->guard_every != 0 && (o->guard_every < 2 || o->guard_every > 1024))
		return opt_bad(rt, "guard_every: 2 to 1024");
	if (o->ring_capacity != 0 && (!sh_is_pow2(o->ring_capacity) || o->ring_capacity < 2 || o->ring_capacity > 65536))
		return opt_bad(rt, "ring_capacity: a power of two, 2 to 65536");
	if (o->strands != 0 && (!sh_is_pow2(o->strands) || o->strands > (1u << 20)))
		return opt_bad(rt, "strands: a power of two up to 1048576");
	for (i = 0; i < SHUNT_LEVELS_MAX; i++) {
		if (o->weights[i] > 100)
			return opt_bad(rt, "weights: 1 to 100 each");
		if (i >= rt->levels && (o->weights[i] || o->reserved[i]))
			return opt_bad(rt, "weights, reserved: a level that the runtime does not have");
		if (o->reserved[i] >= SHUNT_WORKERS_MAX)
			return opt_bad(rt, "reserved: at most 255 each");
		reserved += o->reserved[i];
	}
	if (reserved > 0 && o->level_mode != SHUNT_LEVELS_RESERVED)
		return opt_bad(rt, "reserved: needs level_mode reserved");
	return 0;
}

static void opts_defaults(struct sh_pool *p)
{
	struct shunt_pool_opts *o = &p->opts;
	uint32_t i;

	o->pin = o->pin == SHUNT_PIN_DEFAULT ? SHUNT_PIN_COMPACT : o->pin;
	o->idle = o->idle == SHUNT_IDLE_DEFAULT ? SHUNT_IDLE_ADAPTIVE : o->idle;
	o->level_mode = o->level_mode == SHUNT_LEVELS_DEFAULT ? SHUNT_LEVELS_STRICT : o->level_mode;
	o->strategy = o->strategy == SHUNT_SELECT_DEFAULT ? SHUNT_SELECT_LEAST_WORK : o->strategy;
	o->full = o->full == SHUNT_FULL_DEFAULT ? SHUNT_FULL_ERROR : o->full;
	o->guard_every = o->guard_every ? o->guard_every : GUARD_DEFAULT;
	o->async_max = o->async_max ? o->async_max : ASYNC_DEFAULT;
	o->strands = o->strands ? o->strands : STRANDS_DEFAULT;
	o->ring_capacity = o->ring_capacity ? o->ring_capacity : RING_DEFAULT;
	p->spares_max = o->spares_max == SHUNT_ANY ? 0 : o->spares_max ? o->spares_max : SH_SPARES_MAX;
	for (i = 0; i < p->levels; i++)
		if (o->weights[i] == 0)
			o->weights[i] = i < 3 ? 8u >> i : 1u;
}

/* ---- workers ---- */

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
	at += sizeof(sh_a64) * p->opts.ring_capacity * p->levels;
	at = (at + SH_CACHELINE - 1) / SH_CACHELINE * SH_CACHELINE;
	l.pinned_slots = at;
	at += sizeof(sh_a64) * SH_PINNED_CAPACITY * p->levels;
	l.deque_slots = at;
	at += sizeof(sh_a32) * SH_DEQUE_CAPACITY * p->levels;
	l.total = at;
	return l;
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
		sh_ring_init(&w->ring[i], (sh_a64 *)(void *)(m + l->ring_slots) + (size_t)i * p->opts.ring_capacity,
			     p->opts.ring_capacity);
		sh_ring_init(&w->pinned[i], (sh_a64 *)(void *)(m + l->pinned_slots) + (size_t)i * SH_PINNED_CAPACITY,
			     SH_PINNED_CAPACITY);
		sh_deque_init(&w->deque[i], (sh_a32 *)(void *)(m + l->deque_slots) + (size_t)i * SH_DEQUE_CAPACITY,
			      SH_DEQUE_CAPACITY);
	}
}

static void worker_free(struct sh_pool *p, struct sh_worker *w)
{
	size_t cells = (size_t)SHUNT_TYPES_MAX * p->levels;

	if (!w)
		return;
	sh_stat_free(&p->mem, w->stat, cells);
	sh_mem_unmap(&p->mem, w->finished, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&p->mem, w->learned, sizeof(*w->learned) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&p->mem, w->queue_mem, w->queue_bytes);
	sh_mem_free(&p->mem, w->steal_order, sizeof(uint32_t) * SH_SLOTS_TOTAL, POOL_ALIGN);
	sh_mem_free(&p->mem, w, sizeof(*w), POOL_ALIGN);
}

/* Where workers are chosen by load or place, a worker keeps what it spawns, if it may run it; others come and take of it. */
static uint32_t own_levels(const struct sh_worker *w)
{
	enum shunt_strategy s = w->pool->opts.strategy;

	return s == SHUNT_SELECT_LEAST_WORK || s == SHUNT_SELECT_LOCALITY ? w->level_mask : 0;
}

static struct sh_worker *worker_alloc(struct sh_pool *p, uint32_t slot)
{
	struct sh_worker *w = sh_mem_alloc(&p->mem, sizeof(*w), POOL_ALIGN);
	struct worker_layout layout = layout_of(p);

	if (!w)
		return NULL;
	w->pool = p;
	w->slot = slot;
	w->cpu = -1;
	w->node = SHUNT_ANY;
	w->spare = slot >= p->workers;
	w->level_mask = (1u << p->levels) - 1u;
	w->own_levels = own_levels(w);
	w->slot_table = p->slot_table;
	w->slot_n = p->slot_n;
	w->job_at_0 = sh_job_at(p->rt, 0);
	w->types = p->rt->type;
	w->plain_ctx.rt = p->rt;
	w->plain_ctx.worker = w;
	w->plain_ctx.flags = SH_JOB_PLAIN;
	w->queue_bytes = layout.total;
	w->queue_mem = sh_mem_map(&p->mem, layout.total);
	w->stat = sh_mem_map(&p->mem, sizeof(sh_aptr) * SHUNT_TYPES_MAX * p->levels);
	w->finished = sh_mem_map(&p->mem, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	w->learned = sh_mem_map(&p->mem, sizeof(*w->learned) * SHUNT_TYPES_MAX);
	w->steal_order = sh_mem_alloc(&p->mem, sizeof(uint32_t) * SH_SLOTS_TOTAL, POOL_ALIGN);
	/* mo rlx: the worker is published later. */
	sh_a32_store_rlx(&w->speed_permille, 1000);
	sh_a32_store_rlx(&w->cpu_seen, UINT32_MAX);
	if (!w->queue_mem || !w->stat || !w->finished || !w->learned || !w->steal_order) {
		worker_free(p, w);
		return NULL;
	}
	worker_queues(w, &layout);
	return w;
}

/* Steal order: the plan's (near first), then the spares. A spare has no place of its own: all workers in turn. */
static void steal_order_fill(struct sh_pool *p, struct sh_worker *w, const struct shunt_plan *plan)
{
	uint32_t n = 0;
	const uint32_t *order = w->spare ? NULL : shunt_plan_steal_order(plan, w->slot, &n);
	uint32_t i;

	for (i = 0; i < n; i++)
		if (order[i] < p->workers) /* the plan may seat more than a pool has */
			w->steal_order[w->steal_n++] = order[i];
	for (i = n == 0 ? 0 : p->workers; i < p->workers + p->spares_max; i++)
		if (i != w->slot)
			w->steal_order[w->steal_n++] = i;
}

static void worker_place(struct sh_pool *p, struct sh_worker *w, const struct shunt_plan_worker *at)
{
	const struct shunt_topo *topo = p->rt->topo;
	uint32_t nodes_n = 0;
	const struct shunt_topo_node *nodes = shunt_topo_nodes(topo, &nodes_n);
	int rc = 0;

	w->cpu = at->os_cpu;
	if (at->node == SHUNT_TOPO_NONE || at->node >= nodes_n)
		return;
	w->node = nodes[at->node].os_node;
	w->node_slot = sh_runtime_node_slot(p->rt, w->node);
	if (nodes_n > 1 && shunt_topo_is_live(topo))
		rc = sh_topo_bind_memory(topo, w->queue_mem, w->queue_bytes, w->node);
	if (rc != 0)
		sh_log_write(&p->rt->log, SHUNT_LOG_WARN, "pool %s: worker %u: its queues could not be put on node %u: %s", p->name,
			     w->slot, w->node, shunt_strerror(rc));
}

/* Reserved mode: the first workers are for the most urgent levels; each takes its level and those above. */
static void reserve_levels(struct sh_pool *p)
{
	uint32_t w = 0;
	uint32_t l, k;

	for (l = 0; l < p->levels; l++)
		for (k = 0; k < p->opts.reserved[l] && w < p->workers; k++)
			p->worker[w++]->level_mask = (2u << l) - 1u;
	for (w = 0; w < p->workers; w++) {
		p->worker[w]->own_levels = own_levels(p->worker[w]);
		for (l = 0; l < p->levels; l++)
			if (p->worker[w]->level_mask >> l & 1u)
				p->can[l][w / 64u] |= UINT64_C(1) << (w % 64u);
	}
	for (w = p->workers; w < p->workers + p->spares_max; w++)
		for (l = 0; l < p->levels; l++)
			p->can[l][w / 64u] |= UINT64_C(1) << (w % 64u);
}

static int thread_start(struct sh_worker *w)
{
	uint32_t s;

	if (SH_FAIL("pool.thread") || pthread_create(&w->thread, NULL, sh_worker_main, w) != 0)
		return SHUNT_ESYS;
	w->has_thread = true;
	for (;;) {
		s = sh_a32_load_acq(&w->started); /* mo W2 <- W2@core/worker.c: pinning result and submitter. */
		if (s != 0)
			break;
		(void)sh_futex_wait(&w->started, 0, SH_FOREVER);
	}
	return s == SH_STARTED_FAILED ? SHUNT_ELIMIT : 0;
}

static int threads_start(struct sh_pool *p)
{
	uint32_t i;

	for (i = 0; i < p->workers; i++) {
		struct sh_worker *w = p->worker[i];
		int rc = thread_start(w);

		if (rc != 0)
			return rc;
		/* mo rlx: published by `started`. */
		if (p->opts.pin_required && w->cpu >= 0 && sh_a32_load_rlx(&w->pin_verified) == 0) {
			sh_log_write(&p->rt->log, SHUNT_LOG_ERROR, "pool %s: worker %u cannot be pinned to cpu %d", p->name, i, w->cpu);
			return SHUNT_EPERM;
		}
	}
	return 0;
}

/* ---- creation ---- */

static int plan_workers(struct sh_pool *p, struct shunt_plan **plan)
{
	struct shunt_plan_opts po = SHUNT_PLAN_OPTS_INIT;
	char err[512] = "";
	uint32_t n = 0;
	uint32_t reserved = 0;
	uint32_t i;
	int rc;

	po.place = p->opts.place;
	/* On a machine that is only described there is nothing to bind to; the plan still tells the structure. */
	po.policy = p->opts.pin;
	po.workers = p->opts.workers;
	rc = shunt_plan_build(p->rt->topo, &po, plan, err, sizeof(err));
	if (rc != 0) {
		sh_log_write(&p->rt->log, SHUNT_LOG_ERROR, "pool %s: place: %s", p->name, err);
		return rc;
	}
	if (shunt_plan_note(*plan)[0])
		sh_log_write(&p->rt->log, SHUNT_LOG_WARN, "pool %s: %s", p->name, shunt_plan_note(*plan));
	(void)shunt_plan_workers(*plan, &n);
	p->workers = n > SHUNT_WORKERS_MAX ? SHUNT_WORKERS_MAX : n;
	p->opts.workers = p->workers;
	p->words = (p->workers + p->spares_max + 63u) / 64u;
	assert(p->workers > 0 && p->words <= SH_WORDS);
	for (i = 0; i < p->levels; i++)
		reserved += p->opts.reserved[i];
	if (reserved >= p->workers && reserved > 0)
		return opt_bad(p->rt, "reserved: at least one worker must be left for every level");
	if (p->opts.async_pool_max == 0) /* stand-ins bring no places of their own */
		p->opts.async_pool_max = p->opts.async_max > UINT32_MAX / p->workers ? UINT32_MAX : p->workers * p->opts.async_max;
	return 0;
}

static int queues_alloc(struct sh_pool *p)
{
	/* Every descriptor, and every token: one a strand, and one more for each thread that pushes at the same time. */
	uint64_t capacity = sh_pow2_ceil((uint64_t)p->rt->jobs.per_node * p->rt->jobs.nodes + p->opts.strands
					 + p->rt->submitters + UNKNOWN_THREADS);
	uint32_t i;

	p->slot_n = sh_levels_slots(p->opts.level_mode, p->levels, p->opts.guard_every, p->opts.weights);
	p->slot_table = sh_mem_alloc(&p->mem, p->slot_n, POOL_ALIGN);
	p->backlog = sh_mem_alloc(&p->mem, sizeof(*p->backlog) * p->levels, POOL_ALIGN);
	p->backlog_bytes = (size_t)capacity * sizeof(sh_a64) * p->levels;
	p->backlog_mem = sh_mem_map(&p->mem, p->backlog_bytes);
	p->strand = sh_mem_map(&p->mem, sizeof(*p->strand) * p->opts.strands);
	p->strand_mask = p->opts.strands - 1;
	p->outside = sh_mem_map(&p->mem, sizeof(sh_aptr) * SHUNT_TYPES_MAX * p->levels);
	p->outside_finished = sh_mem_map(&p->mem, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	if (!p->slot_table || !p->backlog || !p->backlog_mem || !p->strand || !p->outside || !p->outside_finished)
		return SHUNT_ENOMEM;
	sh_levels_fill(p->opts.level_mode, p->levels, p->opts.guard_every, p->opts.weights, p->slot_table, p->slot_n);
	for (i = 0; i < p->levels; i++)
		sh_ring_init(&p->backlog[i], (sh_a64 *)p->backlog_mem + (size_t)i * capacity, capacity);
	return 0;
}

/* Being at home is a merit only where some workers are and others are not; a search in vain looks at all of them. */
static void homes_fill(struct sh_pool *p)
{
	uint32_t i;

	for (i = 0; i < p->workers; i++)
		if (p->worker[i]->node != SHUNT_ANY)
			p->homes |= UINT64_C(1) << p->worker[i]->node_slot;
	for (i = 0; i < p->workers && p->worker[i]->node == p->worker[0]->node; i++)
		;
	if (i == p->workers)
		p->homes = 0;
}

static int workers_alloc(struct sh_pool *p, const struct shunt_plan *plan)
{
	uint32_t n = 0;
	const struct shunt_plan_worker *at = shunt_plan_workers(plan, &n);
	uint32_t i;

	for (i = 0; i < p->workers + p->spares_max; i++) {
		if (i >= p->workers)
			break; /* spares are made when a job first declares itself blocked */
		p->worker[i] = worker_alloc(p, i);
		if (!p->worker[i])
			return SHUNT_ENOMEM;
		worker_place(p, p->worker[i], &at[i]);
		steal_order_fill(p, p->worker[i], plan);
	}
	reserve_levels(p);
	homes_fill(p);
	sh_select_pool_init(&p->select, (const struct sh_worker *const *)p->worker, p->workers, p->spinning, p->idle);
	sh_a32_store_rlx(&p->unknown, p->workers); /* mo rlx: as above. */
	/* mo W1 -> W1@core/pick.c: complete workers before they are counted. */
	sh_a32_store_rel(&p->slots, p->workers);
	return 0;
}

static void idle_setup(struct sh_pool *p)
{
	struct shunt_cpu_budget b;
	uint32_t cpus = 1;

	if (shunt_topo_budget(p->rt->topo, &b) == 0)
		cpus = b.budget;
	p->spinners_max = cpus <= 2 ? 1 : cpus / 2;
	p->spin_ns = p->opts.spin_ns ? p->opts.spin_ns : sh_calibrate_wake_ns();
	/* Who spins where there is no cpu to spare keeps the others from running. */
	if (p->opts.idle == SHUNT_IDLE_PARK || (p->opts.idle == SHUNT_IDLE_ADAPTIVE && (cpus == 1 || p->workers > cpus)))
		p->spin_ns = 0;
}

int sh_pool_create(struct shunt_runtime *rt, const struct shunt_pool_opts *opts, uint32_t id, struct sh_pool **out)
{
	struct shunt_plan *plan = NULL;
	struct sh_pool *p;
	int rc = opts_check(rt, opts);

	if (rc != 0)
		return rc;
	p = sh_mem_alloc(&rt->mem, sizeof(*p), POOL_ALIGN);
	if (!p)
		return SHUNT_ENOMEM;
	p->rt = rt;
	p->id = id;
	p->levels = rt->levels;
	p->opts = *opts;
	(void)snprintf(p->name, sizeof(p->name), "%s", opts->name);
	p->opts.name = p->name;
	(void)pthread_mutex_init(&p->spare_lock, NULL);
	rc = sh_mem_init(&p->mem);
	if (rc != 0) {
		(void)pthread_mutex_destroy(&p->spare_lock);
		sh_mem_free(&rt->mem, p, sizeof(*p), POOL_ALIGN);
		return rc;
	}
	opts_defaults(p);
	rc = plan_workers(p, &plan);
	if (rc == 0)
		rc = queues_alloc(p);
	if (rc == 0)
		rc = workers_alloc(p, plan);
	shunt_plan_destroy(plan);
	p->opts.place = NULL; /* the caller's string ends with this call */
	if (rc == 0) {
		idle_setup(p);
		rc = threads_start(p);
	}
	if (rc != 0) {
		sh_pool_stop(p);
		sh_pool_free(p, false);
		return rc;
	}
	*out = p;
	return 0;
}

uint32_t sh_pool_unknown(const struct sh_pool *p, uint32_t level)
{
	uint32_t i;

	for (i = 0; i < (p->workers + 63u) / 64u; i++) {
		/* mo rlx: hints for placement, all of it. */
		uint64_t m = (sh_a64_load_rlx(&p->idle[i]) | sh_a64_load_rlx(&p->spinning[i])) & p->can[level][i];

		for (; m != 0; m &= m - 1) {
			uint32_t w = i * 64u + sh_ctz64(m);

			if (w < p->workers && sh_a64_load_rlx(&p->worker[w]->jobs) < SH_UNKNOWN_JOBS) /* mo rlx: as above. */
				return w;
		}
	}
	return SHUNT_ANY;
}

/* ---- spares ---- */

/* Under spare_lock: lets a dormant spare stand in. */
static bool spare_wake_dormant(struct sh_pool *p)
{
	uint32_t n = sh_a32_load_acq(&p->slots); /* mo W1 <- W1@core/pool.c: complete workers. */
	uint32_t i;

	for (i = p->workers; i < n; i++) {
		uint32_t s = SH_W_DORMANT;

		/* mo B2 <> B2@core/worker.c: active again, then the wake. */
		if (sh_a32_cas_sc(&p->worker[i]->state, &s, SH_W_RUNNING)) {
			(void)sh_futex_wake(&p->worker[i]->state, 1);
			return true;
		}
	}
	return false;
}

/* Under spare_lock: one more thread. */
static int spare_start(struct sh_pool *p, const struct sh_worker *instead_of)
{
	uint32_t slot = sh_a32_load_rlx(&p->slots); /* mo rlx: changed under this lock only. */
	struct sh_worker *w;
	int rc;

	if (slot >= p->workers + p->spares_max || sh_a32_load_acq(&p->stop) != 0) /* mo S3 <- S2@core/push.c: stopping. */
		return SHUNT_ELIMIT;
	w = worker_alloc(p, slot);
	if (!w)
		return SHUNT_ENOMEM;
	w->cpu = instead_of->cpu;
	w->node = instead_of->node;
	w->node_slot = instead_of->node_slot;
	steal_order_fill(p, w, NULL);
	p->worker[slot] = w;
	rc = thread_start(w); /* it counts itself (sh_worker_main) */
	SH_POINT("pool.spare.started");
	if (rc == 0)
		return 0;
	if (w->has_thread)
		(void)pthread_join(w->thread, NULL);
	p->worker[slot] = NULL;
	worker_free(p, w);
	return rc;
}

/* Whatever waits at a worker that blocks is for others now. */
static void offer_queues(struct sh_pool *p, struct sh_worker *w)
{
	uint32_t l;

	for (l = 0; l < p->levels; l++)
		if (sh_ring_has(&w->ring[l]) || sh_deque_has(&w->deque[l])) {
			struct sh_worker *waking;

			(void)sh_a32_or_sc(&p->hot, 1u << l); /* mo H1 <> H2@core/pick.h: the jobs were pushed before. */
			waking = sh_pool_wake_idle(p, l);
			if (waking)
				(void)sh_worker_wake(waking);
		}
}

int sh_pool_block_begin(struct sh_pool *p, struct sh_worker *w)
{
	int rc = 0;
	uint32_t active;

	sh_a32_store_rlx(&w->blocked, 1); /* mo rlx: a hint: not chosen while blocked. */
	(void)pthread_mutex_lock(&p->spare_lock);
	(void)sh_a32_add_rlx(&p->blocked, 1);           /* mo rlx: raised under the lock. */
	active = sh_a32_load_rlx(&p->spares_active);    /* mo rlx: under the lock. */
	if (active < sh_a32_load_rlx(&p->blocked)) {    /* mo rlx: under the lock; a lower one is only cheaper. */
		/*
		 * mo B3 <> B3@core/pool.c: raised, then one more that looks at it. Were it raised behind that, another worker that
		 * ends its block meanwhile would have its wake wasted on a spare that counts one too few, and that sleeps on.
		 */
		sh_a32_store_sc(&p->spares_active, active + 1);
		rc = spare_wake_dormant(p) ? 0 : spare_start(p, w);
		if (rc != 0)
			sh_a32_store_rlx(&p->spares_active, active); /* mo rlx: as it was; one too many is found out under the lock. */
	}
	(void)pthread_mutex_unlock(&p->spare_lock);
	offer_queues(p, w);
	return rc == 0 ? 0 : SHUNT_ELIMIT;
}

void sh_pool_block_end(struct sh_pool *p, struct sh_worker *w)
{
	uint32_t n, i;

	sh_a32_store_rlx(&w->blocked, 0); /* mo rlx: a hint. */
	/* mo B3 <> B3@core/pool.c: lowered, then the look for one that sleeps; who parks has looked at the count last. */
	(void)sh_a32_sub_sc(&p->blocked, 1);
	n = sh_a32_load_sc(&p->slots); /* mo W4 <> W4@core/worker.c: counted before it looks at the count, or woken by us. */
	for (i = p->workers; i < n; i++) /* one that sleeps would keep its place, and be woken for work that is not its */
		if (sh_worker_wake(p->worker[i]))
			return;
}

bool sh_pool_spare_surplus(const struct sh_pool *p)
{
	uint32_t active = sh_a32_load_sc(&p->spares_active); /* mo B3 <> B3@core/pool.c: raised; or the one it is raised for looks. */

	/* mo B3 <> B3@core/pool.c: after PARKED: we see the count lowered, or who lowered it sees us sleep. */
	return active > sh_a32_load_sc(&p->blocked);
}

bool sh_pool_spare_retire(struct sh_pool *p, struct sh_worker *w)
{
	bool retire;
	uint32_t active;

	if (sh_a32_load_rlx(&p->spares_active) <= sh_a32_load_rlx(&p->blocked)) /* mo rlx: decided again under the lock. */
		return false;
	(void)pthread_mutex_lock(&p->spare_lock);
	active = sh_a32_load_rlx(&p->spares_active); /* mo rlx: under the lock. */
	/* mo rlx: `blocked` is raised only under this lock, so a worker that blocks later finds this spare DORMANT. */
	retire = active > sh_a32_load_rlx(&p->blocked) && sh_a32_load_acq(&p->stop) == 0; /* mo S3 <- S2@core/push.c: stop. */
	if (retire) {
		sh_a32_store_rlx(&p->spares_active, active - 1); /* mo rlx: under the lock. */
		sh_a32_store_sc(&w->state, SH_W_DORMANT); /* mo B2 <> B2@core/worker.c: only a blocker moves it on. */
	}
	(void)pthread_mutex_unlock(&p->spare_lock);
	return retire;
}

/* ---- end ---- */

void sh_pool_stop(struct sh_pool *p)
{
	uint32_t n, i;

	(void)pthread_mutex_lock(&p->spare_lock); /* no spare is half made */
	sh_a32_store_sc(&p->stop, 1); /* mo S2 <> S1@core/worker.c: stop, then the look at the sleepers. */
	n = sh_a32_load_acq(&p->slots); /* mo W1 <- W1@core/pool.c: complete workers. */
	for (i = 0; i < n; i++) {
		struct sh_worker *w = p->worker[i];
		uint32_t s = SH_W_DORMANT;

		(void)sh_worker_wake(w);
		(void)sh_a32_cas_sc(&w->state, &s, SH_W_RUNNING); /* mo B2 <> B2@core/worker.c: a dormant spare leaves too. */
		(void)sh_futex_wake(&w->state, 1);
	}
	(void)pthread_mutex_unlock(&p->spare_lock);
	sh_pool_room(p);
}

bool sh_pool_stopped(struct sh_pool *p)
{
	uint32_t n = sh_a32_load_acq(&p->slots); /* mo W1 <- W1@core/pool.c: complete workers. */
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct sh_worker *w = p->worker[i];

		/* mo W2 <- W2@core/worker.c: everything the thread did. */
		if (w->has_thread && sh_a32_load_acq(&w->started) == SH_STARTED_RUNNING)
			return false;
	}
	return true;
}

static uint64_t cancel_strand(struct sh_pool *p, uint32_t index)
{
	struct sh_strand *s = &p->strand[index];
	uint32_t level = 0;
	uint64_t n = 0;
	uint32_t item;

	if (!sh_strand_claim(p->rt, s))
		return 0;
	while ((item = sh_strand_next(p->rt, s)) != 0)
		n += sh_exec_cancel(p, item);
	/* A job that slipped in is taken by the next round: the token goes back to a queue that this loop empties. */
	if (sh_strand_release(p->rt, s, &level))
		sh_submit_token(p, NULL, index, level);
	return n;
}

static uint64_t cancel_item(struct sh_pool *p, uint32_t item)
{
	if (item & SH_TOKEN)
		return cancel_strand(p, item & ~SH_TOKEN);
	return sh_exec_cancel(p, item);
}

uint64_t sh_pool_cancel_queued(struct sh_pool *p)
{
	uint32_t slots = sh_a32_load_acq(&p->slots); /* mo W1 <- W1@core/pool.c: complete workers. */
	uint64_t n = 0;
	uint32_t item = 0;
	uint32_t i, l;

	for (l = 0; l < p->levels; l++) {
		for (i = 0; i < slots; i++) {
			struct sh_worker *w = p->worker[i];

			while (sh_ring_pop(&w->ring[l], &item) || sh_ring_pop(&w->pinned[l], &item)
			       || sh_deque_take(&w->deque[l], &item))
				n += cancel_item(p, item);
		}
		while (sh_ring_pop(&p->backlog[l], &item))
			n += cancel_item(p, item);
	}
	return n;
}

void sh_pool_free(struct sh_pool *p, bool forked)
{
	struct shunt_runtime *rt = p->rt;
	uint32_t i;

	for (i = 0; i < SH_SLOTS_TOTAL && !forked; i++)
		if (p->worker[i] && p->worker[i]->has_thread)
			(void)pthread_join(p->worker[i]->thread, NULL);
	for (i = 0; i < SH_SLOTS_TOTAL; i++)
		worker_free(p, p->worker[i]);
	sh_stat_free(&p->mem, p->outside, (size_t)SHUNT_TYPES_MAX * p->levels);
	sh_mem_unmap(&p->mem, p->outside_finished, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&p->mem, p->strand, sizeof(*p->strand) * p->opts.strands);
	sh_mem_unmap(&p->mem, p->backlog_mem, p->backlog_bytes);
	sh_mem_free(&p->mem, p->backlog, sizeof(*p->backlog) * p->levels, POOL_ALIGN);
	sh_mem_free(&p->mem, p->slot_table, p->slot_n, POOL_ALIGN);
	if (forked)
		sh_mem_forget(&p->mem);
	sh_mem_fini(&p->mem);
	(void)pthread_mutex_destroy(&p->spare_lock);
	sh_mem_free(&rt->mem, p, sizeof(*p), POOL_ALIGN);
}
