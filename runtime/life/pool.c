/*
 * life/pool.c - see pool.h: the pin plan, queues and workers in their order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "life/pool.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/inject.h"
#include "base/signals.h"
#include "life/options.h"
#include "life/pool_stop.h"
#include "machine/pins.h"
#include "machine/plan.h"
#include "machine/wake_cost.h"
#include "policy/levels.h"
#include "sched/pin.h"
#include "sched/starter.h"
#include "sched/strand.h"
#include "sched/worker_make.h"

#define POOL_ALIGN SH_CACHELINE
#define SEGMENT_HOLDERS 128u /* threads that have a segment in hand and have not installed it, at the same instant */
#define UNKNOWN_THREADS 4096u /* threads without a submitter that may push a token at the same instant */

/*
 * Reserved mode: the first workers serve the most urgent levels; each takes its level and those
 * above.
 */
static void reserve_levels(struct sh_pool *p)
{
	uint32_t w = 0;
	uint32_t l, k;

	for (l = 0; l < p->levels; l++)
		for (k = 0; k < p->opts.reserved[l] && w < p->workers; k++)
			p->worker[w++]->level_mask = (2u << l) - 1u;
	for (w = 0; w < p->workers; w++) {
		p->worker[w]->own_levels = sh_worker_own_levels(p->worker[w]);
		for (l = 0; l < p->levels; l++)
			if (p->worker[w]->level_mask >> l & 1u)
				p->can[l][w / 64u] |= UINT64_C(1) << (w % 64u);
	}
	for (w = p->workers; w < p->workers + p->spares_max; w++)
		for (l = 0; l < p->levels; l++)
			p->can[l][w / 64u] |= UINT64_C(1) << (w % 64u);
}

static int threads_start(struct sh_pool *p)
{
	uint32_t i;
	int rc;

	for (i = 0; i < p->workers; i++) {
		struct sh_worker *w = p->worker[i];

		rc = sh_worker_start(w);
		if (rc != 0)
			return sh_opts_no_thread(p, i, rc);
		/* mo rlx: published by `started`. */
		if (p->opts.pin_required && w->cpu >= 0 && sh_a32_load_rlx(&w->pin_verified) == 0) {
			sh_log_write(&p->rt->log, SHUNT_LOG_ERROR, "pool %s: worker %u cannot be pinned to cpu %d", p->name, i, w->cpu);
			return sh_error_set(SHUNT_EPERM, "pool %s: worker %u cannot be pinned to cpu %d; want another", p->name, i,
					    w->cpu);
		}
	}
	rc = p->spares_max == 0 ? 0 : sh_starter_begin(p);
	return rc == 0 ? 0 : sh_opts_no_starter(p, rc);
}

static int plan_workers(struct sh_pool *p, struct shunt_plan **plan)
{
	struct shunt_plan_opts po = SHUNT_PLAN_OPTS_INIT;
	int rc;

	po.place = p->opts.place;
	/* A described machine has no cpus to bind to; the plan still gives the structure. */
	po.policy = p->opts.pin;
	if (po.policy == SHUNT_PIN_DEFAULT && p->opts.pin_required)
		po.policy = SHUNT_PIN_COMPACT;
	po.workers = p->opts.workers;
	rc = sh_plan_create(p->rt->topo, &po, p->rt->topo->live, plan);
	if (rc != 0)
		return sh_refuse(&p->rt->log, rc, "pools.%s.place: %s", p->name, shunt_error_detail());
	if (shunt_plan_note(*plan)[0])
		sh_log_write(&p->rt->log, SHUNT_LOG_WARN, "pool %s: %s", p->name, shunt_plan_note(*plan));
	p->workers = shunt_plan_worker_count(*plan);
	assert(p->workers <= SHUNT_WORKERS_MAX);
	p->opts.workers = p->workers;
	p->words = (p->workers + p->spares_max + 63u) / 64u;
	assert(p->workers > 0 && p->words <= SH_WORDS);
	rc = sh_opts_pool_workers(p->rt, &p->opts);
	if (rc != 0)
		return rc;
	/* with automatic workers: a file for many machines may say more than this one has */
	if (p->opts.async_pool_max > (uint64_t)p->workers * p->opts.async_max)
		sh_log_write(&p->rt->log, SHUNT_LOG_WARN,
			     "pools.%s.async_pool_max: '%u' has no effect with %u workers here; they have %llu",
			     p->name, p->opts.async_pool_max, p->workers,
			     (unsigned long long)p->workers * p->opts.async_max);
	if (p->opts.async_pool_max == 0) /* spares add no capacity of their own */
		p->opts.async_pool_max = p->opts.async_max > UINT32_MAX / p->workers ? UINT32_MAX : p->workers * p->opts.async_max;
	return 0;
}

static int queues_alloc(struct sh_pool *p)
{
	/*
	 * Segments for every job, every item that a job left behind, and every token: one a strand, and one more for each thread that
	 * pushes at the same time. Beyond that each level has two that are not full, and some threads
	 * hold one that they have not installed. (Were there more of those, a push would wait for one.)
	 */
	uint64_t threads = p->rt->submitters + UNKNOWN_THREADS;
	uint64_t items = (uint64_t)p->rt->opts.jobs_max + p->rt->left_max + p->opts.key_slots + threads;
	uint64_t segments = items / SH_SEG_ITEMS + 2u * p->levels + SEGMENT_HOLDERS;
	uint64_t places = sh_pow2_ceil(segments + 1);
	uint32_t i;

	p->slot_n = sh_levels_slots(p->opts.level_mode, p->levels, p->opts.guard_every, p->opts.weights);
	p->slot_table = sh_mem_alloc(&p->mem, p->slot_n, POOL_ALIGN);
	p->backlog = sh_mem_alloc(&p->mem, sizeof(*p->backlog) * p->levels, POOL_ALIGN);
	p->backlog_dir_bytes = (size_t)places * sizeof(sh_a64) * p->levels;
	p->backlog_dir = sh_mem_map(&p->mem, p->backlog_dir_bytes);
	p->strand = sh_mem_map(&p->mem, sizeof(*p->strand) * p->opts.key_slots);
	p->strand_mask = p->opts.key_slots - 1;
	p->outside = sh_mem_map(&p->mem, sizeof(sh_aptr) * SHUNT_TYPES_MAX * p->levels);
	p->outside_finished = sh_mem_map(&p->mem, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	if (sh_segments_init(&p->segments, &p->mem, (uint32_t)segments) != 0 || !p->backlog_dir)
		return sh_opts_no_memory(p->rt, SH_RUNTIME, NULL, "jobs_max", p->rt->opts.jobs_max,
					 sh_segments_bytes((uint32_t)segments) + p->backlog_dir_bytes);
	if (!p->strand)
		return sh_opts_no_memory(p->rt, SH_POOLS, p->name, "key_slots", p->opts.key_slots,
					 sizeof(*p->strand) * p->opts.key_slots);
	if (!p->slot_table || !p->backlog || !p->outside || !p->outside_finished)
		return SHUNT_ENOMEM;
	sh_levels_fill(p->opts.level_mode, p->levels, p->opts.guard_every, p->opts.weights, p->slot_table, p->slot_n);
	for (i = 0; i < p->levels; i++)
		sh_backlog_init(&p->backlog[i], &p->segments, p->backlog_dir + (size_t)i * places, places);
	return 0;
}

/*
 * Prefer the local node only if the pool spans several nodes; otherwise the mask is 0 and the scan
 * is skipped.
 */
static void local_nodes_fill(struct sh_pool *p)
{
	uint32_t i;

	for (i = 0; i < p->workers; i++)
		if (p->worker[i]->node != SHUNT_ANY)
			p->local_nodes |= UINT64_C(1) << p->worker[i]->node_slot;
	for (i = 0; i < p->workers && p->worker[i]->node == p->worker[0]->node; i++)
		;
	if (i == p->workers)
		p->local_nodes = 0;
}

static int workers_alloc(struct sh_pool *p, const struct shunt_plan *plan)
{
	uint32_t i;

	for (i = 0; i < p->workers + p->spares_max; i++) {
		if (i >= p->workers)
			break; /* spares are made when a job first declares itself blocked */
		p->worker[i] = sh_worker_alloc(p, i);
		if (!p->worker[i])
			return sh_opts_no_memory(p->rt, SH_POOLS, p->name, "workers", p->workers,
						 (uint64_t)p->workers * sh_worker_bytes(p));
		sh_worker_place(p, p->worker[i], shunt_plan_worker_at(plan, i));
		sh_worker_steal_order(p, p->worker[i], plan);
	}
	reserve_levels(p);
	local_nodes_fill(p);
	sh_select_pool_init(&p->select, (const struct sh_worker *const *)p->worker, p->workers, p->spinning, p->idle);
	sh_a32_store_rlx(&p->unmeasured, p->workers); /* mo rlx: as above. */
	/* mo slots.1 -> slots.1@sched/pick.c: complete workers before they are counted. */
	sh_a32_store_rel(&p->slots, p->workers);
	return 0;
}

/* Spinning that was asked for and cannot be: how many cpus there are is not known to the check of the options. */
static void spin_warn(const struct sh_pool *p, uint32_t cpus)
{
	char value[SH_VALUE_TEXT];

	sh_log_write(&p->rt->log, SHUNT_LOG_WARN,
		     "pools.%s.spin: '%s' has no effect with %u worker%s on %u cpu%s; want a cpu for each "
		     "worker and two at least, or not this key",
		     p->name, sh_value_print_duration(value, p->opts.spin_ns), p->workers, p->workers == 1 ? "" : "s",
		     cpus, cpus == 1 ? "" : "s");
}

static void idle_setup(struct sh_pool *p)
{
	struct shunt_cpu_budget b;
	uint32_t cpus = 1;

	if (shunt_topo_budget(p->rt->topo, &b, sizeof(b)) == 0)
		cpus = b.budget;
	p->spinners_max = cpus <= 2 ? 1 : cpus / 2;
	/* Without a cpu to spare, a spinning worker keeps others from running. */
	if (p->opts.idle == SHUNT_IDLE_ADAPTIVE && cpus > 1 && p->workers <= cpus)
		p->spin_ns = p->opts.spin_ns ? p->opts.spin_ns : sh_calibrate_wake_ns();
	else if (p->opts.spin_ns != 0)
		spin_warn(p, cpus);
}

static void started_say(const struct sh_pool *p)
{
	char spin[SH_VALUE_TEXT];

	sh_log_write(&p->rt->log, SHUNT_LOG_INFO, "pool %s: started: %u worker%s, %u levels, idle %s, spin %s", p->name,
		     p->workers, p->workers == 1 ? "" : "s", p->levels,
		     sh_key_find(SH_POOLS, "idle")->words[p->opts.idle - 1], sh_value_print_duration(spin, p->spin_ns));
	for (uint32_t i = 0; i < p->workers; i++) {
		struct sh_worker *w = p->worker[i];

		/* mo rlx: set before it said that it has started. */
		sh_log_write(&p->rt->log, SHUNT_LOG_DEBUG, "pool %s: worker %u: thread %u, cpu %d (-1 = not pinned)",
			     p->name, i, sh_a32_load_rlx(&w->tid), w->cpu);
	}
}

int sh_pool_create(struct shunt_runtime *rt, const struct shunt_pool_opts *opts, uint32_t id, struct sh_pool **out)
{
	struct shunt_plan *plan = NULL;
	struct sh_pool *p = sh_mem_alloc(&rt->mem, sizeof(*p), POOL_ALIGN);
	const char *wrong;
	int rc;

	if (!p)
		return SHUNT_ENOMEM;
	p->rt = rt;
	p->id = id;
	p->index = sh_id_index(id);
	p->levels = rt->levels;
	p->thread_main = sh_worker_main;
	p->opts = *opts;
	(void)snprintf(p->name, sizeof(p->name), "%s", opts->name);
	p->opts.name = p->name;
	wrong = sh_signals_parse(opts->signals, &p->signals);
	assert(!wrong); /* the check of the options has passed it */
	(void)wrong;
	(void)pthread_mutex_init(&p->spare_lock, NULL);
	rc = sh_mem_init(&p->mem);
	if (rc != 0) {
		(void)pthread_mutex_destroy(&p->spare_lock);
		sh_mem_free(&rt->mem, p, sizeof(*p), POOL_ALIGN);
		return rc;
	}
	p->spares_max = opts->spares_max == SHUNT_ANY ? 0 : opts->spares_max;
	rc = plan_workers(p, &plan);
	if (rc == 0)
		rc = queues_alloc(p);
	if (rc == 0)
		rc = workers_alloc(p, plan);
	p->opts.place = p->opts.signals = NULL; /* the caller's strings are valid only in this call */
	if (rc == 0) {
		idle_setup(p);
		sh_pool_maker_look(p);
		rc = threads_start(p);
	}
	if (rc != 0) {
		if (rt->topo->live)
			sh_plan_uncount(plan);
		shunt_plan_destroy(plan);
		*out = p;
		return rc;
	}
	shunt_plan_destroy(plan);
	p->pins_counted = rt->topo->live;
	started_say(p);
	*out = p;
	return 0;
}

void sh_pool_free(struct sh_pool *p, bool forked)
{
	struct shunt_runtime *rt = p->rt;
	uint32_t i;

	if (!forked)
		sh_starter_join(p);
	for (i = 0; i < SH_SLOTS_TOTAL && !forked; i++)
		if (p->worker[i] && p->worker[i]->has_thread)
			(void)pthread_join(p->worker[i]->thread, NULL);
	for (i = 0; i < p->workers && p->pins_counted && !forked; i++)
		if (p->worker[i]->cpu >= 0)
			sh_pins_drop((uint32_t)p->worker[i]->cpu);
	for (i = 0; i < SH_SLOTS_TOTAL; i++)
		sh_worker_free(p, p->worker[i]);
	sh_stat_free(&p->mem, p->outside, (size_t)SHUNT_TYPES_MAX * p->levels);
	sh_mem_unmap(&p->mem, p->outside_finished, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&p->mem, p->strand, sizeof(*p->strand) * p->opts.key_slots);
	sh_mem_unmap(&p->mem, p->backlog_dir, p->backlog_dir_bytes);
	sh_segments_fini(&p->segments);
	sh_mem_free(&p->mem, p->backlog, sizeof(*p->backlog) * p->levels, POOL_ALIGN);
	sh_mem_free(&p->mem, p->slot_table, p->slot_n, POOL_ALIGN);
	if (forked)
		sh_mem_forget(&p->mem);
	sh_mem_fini(&p->mem);
	(void)pthread_mutex_destroy(&p->spare_lock);
	sh_mem_free(&rt->mem, p, sizeof(*p), POOL_ALIGN);
}
