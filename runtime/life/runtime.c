/*
 * life/runtime.c - the runtime object: options, creation and shutdown in one order. Called by users
 * through include/shunt/runtime.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/inject.h"
#include "life/drain.h"
#include "life/grace.h"
#include "life/options.h"
#include "life/pool.h"
#include "life/pool_stop.h"
#include "lockfree/registry.h"
#include "machine/bind.h"
#include "machine/topo.h"
#include "job/async.h"
#include "job/cq.h"
#include "job/parts.h"
#include "sched/credit.h"
#include "sched/pin.h"
#include "sched/submitter.h"
#include "sched/world.h"

/* ---- start-up and shutdown: one table, walked forwards and backwards ---- */

static int start_topo(struct shunt_runtime *rt)
{
	struct shunt_topo_opts to = SHUNT_TOPO_OPTS_INIT;
	const struct shunt_topo_node *node;
	uint32_t i;

	if (rt->opts.topo) {
		rt->topo = rt->opts.topo;
	} else {
		int rc;

		to.cpu_budget_config = rt->opts.cpu_budget;
		to.cpu_mask = rt->opts.cpu_mask;
		rc = shunt_topo_open(&rt->topo_own, &to);
		if (rc != 0)
			return rc;
		rt->topo = rt->topo_own;
	}
	sh_topo_report(rt->topo, &rt->log, rt->name);
	for (i = 0; (node = shunt_topo_node_at(rt->topo, i)) != NULL && rt->nodes < SH_SLAB_NODES_MAX; i++)
		if (node->has_cpus)
			rt->node_os[rt->nodes++] = node->os_node;
	if (rt->nodes == 0)
		rt->node_os[rt->nodes++] = 0;
	return 0;
}

static void stop_topo(struct shunt_runtime *rt)
{
	shunt_topo_close(rt->topo_own);
}

static int slab_start(struct shunt_runtime *rt, struct sh_slab *slab, const char *field, uint32_t n, uint32_t item_size,
		      uint32_t nodes)
{
	int rc = sh_slab_init(slab, &rt->mem, n, item_size, nodes);

	return rc == 0 ? 0 : sh_opts_no_memory(rt, SH_RUNTIME, NULL, field, n, (uint64_t)n * item_size);
}

static int start_slabs(struct shunt_runtime *rt)
{
	bool bind = rt->nodes > 1 && shunt_topo_is_live(rt->topo) && sh_mem_own_pages();
	int rc = slab_start(rt, &rt->records, "handles_max", rt->opts.handles_max, sizeof(struct sh_record), rt->nodes);
	uint32_t i;

	for (i = 0; rc == 0 && bind && i < rt->nodes; i++) {
		size_t len = 0;
		void *range = sh_slab_node_range(&rt->records, i, &len);
		int bound = sh_topo_bind_memory(rt->topo, range, len, rt->node_os[i]);

		if (bound != 0)
			sh_log_write(&rt->log, SHUNT_LOG_WARN, "records of node %u could not be put there: %s", rt->node_os[i],
				     shunt_strerror(bound));
	}
	if (rc == 0)
		rc = slab_start(rt, &rt->groups, "groups_max", rt->opts.groups_max, sizeof(struct sh_group), 1);
	if (rt->opts.trim_after_ns != SHUNT_FOREVER)
		rt->trim_worth = 2 * SH_SLAB_TRIM_KEEP * rt->nodes;
	rt->parts = sh_parts;
	rt->credit_cache = sh_credit_cache(rt->opts.jobs_max, rt->opts.submitters_max + SHUNT_WORKERS_MAX);
	sh_a64_init(&rt->credits, rt->opts.jobs_max);
	rt->left_max = rt->opts.jobs_max < rt->opts.handles_max ? rt->opts.jobs_max : rt->opts.handles_max;
	return rc;
}

static void stop_slabs(struct shunt_runtime *rt)
{
	sh_cq_close_all(rt);
	sh_slab_fini(&rt->groups);
	sh_slab_fini(&rt->records);
}

static int start_tables(struct shunt_runtime *rt)
{
	rt->submitters = rt->opts.submitters_max + SH_WORKERS_TOTAL_MAX;
	rt->submitter_bytes = sizeof(struct sh_submitter) * rt->submitters;
	rt->submitter = sh_mem_map(&rt->mem, rt->submitter_bytes);
	if (!rt->submitter)
		return sh_opts_no_memory(rt, SH_RUNTIME, NULL, "submitters_max", rt->opts.submitters_max,
					 rt->submitter_bytes);
	rt->type = sh_mem_map(&rt->mem, sizeof(*rt->type) * SHUNT_TYPES_MAX);
	rt->shared_submitted = sh_mem_map(&rt->mem, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	rt->shared_rejected = sh_mem_map(&rt->mem, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	rt->retired = sh_mem_map(&rt->mem, sizeof(*rt->retired) * SHUNT_TYPES_MAX);
	return rt->type && rt->shared_submitted && rt->shared_rejected && rt->retired ? 0 : SHUNT_ENOMEM;
}

static void stop_tables(struct shunt_runtime *rt)
{
	sh_mem_unmap(&rt->mem, rt->submitter, rt->submitter_bytes);
	sh_mem_unmap(&rt->mem, rt->type, sizeof(*rt->type) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&rt->mem, rt->shared_submitted, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&rt->mem, rt->shared_rejected, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&rt->mem, rt->retired, sizeof(*rt->retired) * SHUNT_TYPES_MAX);
}

static int start_names(struct shunt_runtime *rt)
{
	int rc = sh_registry_create(&rt->pool_names);

	if (rc == 0)
		rc = sh_registry_create(&rt->type_names);
	if (rc == 0 && !sh_registry_can_wait())
		sh_log_write(&rt->log, SHUNT_LOG_WARN,
			     "runtime %s: the system refuses membarrier, most likely by a seccomp filter: names that are"
			     " removed keep their memory until the last runtime ends; want it allowed",
			     rt->name);
	return rc;
}

static void stop_names(struct shunt_runtime *rt)
{
	if (rt->type_names)
		sh_registry_destroy(rt->type_names);
	if (rt->pool_names)
		sh_registry_destroy(rt->pool_names);
}

static int start_process(struct shunt_runtime *rt)
{
	if (!SH_FAIL("runtime.membarrier_register")) /* sh_gate_barrier works without it */
		(void)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	rt->timer_slack_ns = sh_thread_slack_ns();
	return sh_submitter_register_runtime(rt);
}

static void stop_process(struct shunt_runtime *rt)
{
	sh_submitter_forget_runtime(rt);
}

struct stage {
	int (*start)(struct shunt_runtime *rt);
	void (*stop)(struct shunt_runtime *rt);
	const char *what;
};

/* `stop` of a stage copes with a `start` that failed half way. */
static const struct stage stages[] = {
	{ start_topo, stop_topo, "topology" },
	{ start_slabs, stop_slabs, "handles_max or groups_max" },
	{ start_tables, stop_tables, "submitters_max" },
	{ start_names, stop_names, "names" },
	{ start_process, stop_process, "runtimes of this process, at most 64" },
};

static void stages_stop(struct shunt_runtime *rt, size_t n)
{
	struct sh_mem mem;
	bool forked;

	while (n > 0)
		stages[--n].stop(rt);
	forked = sh_runtime_forked(rt);
	(void)pthread_mutex_destroy(&rt->control);
	mem = rt->mem;
	sh_mem_free(&mem, rt, sizeof(*rt), SH_CACHELINE);
	if (forked)
		sh_mem_forget(&mem);
	sh_mem_fini(&mem);
}

int shunt_runtime_create(struct shunt_runtime **out, const struct shunt_runtime_opts *opts)
{
	struct shunt_runtime *rt;
	struct sh_mem mem;
	SH_NO_CANCEL;
	size_t i;
	int rc;

	sh_error_detail_clear();
	if (!out)
		return sh_error_set(SHUNT_EINVAL, "runtime: " SH_NO_ARGUMENT);
	*out = NULL;
	sh_clock_setup();
	rc = sh_mem_init(&mem);
	if (rc != 0)
		return rc;
	rt = sh_mem_alloc(&mem, sizeof(*rt), SH_CACHELINE);
	if (!rt) {
		sh_mem_fini(&mem);
		return SHUNT_ENOMEM;
	}
	rt->mem = mem;
	(void)pthread_mutex_init(&rt->control, NULL);
	rc = sh_opts_runtime(rt, opts);
	for (i = 0; rc == 0 && i < SH_COUNT(stages); i++)
		rc = stages[i].start(rt);
	if (rc != 0) {
		stages_stop(rt, i);
		if (!shunt_error_detail()[0])
			sh_error_detail("runtime: %s: %s", stages[i - 1].what, shunt_strerror(rc));
		return rc;
	}
	sh_log_write(&rt->log, SHUNT_LOG_INFO, "runtime %s: started: %u levels, at most %u jobs queued, %u handles",
		     rt->name, rt->levels, rt->opts.jobs_max, rt->opts.handles_max);
	sh_a32_store_sc(&rt->accepting, SH_ACCEPT_ALL); /* mo count.2 <> count.2@sched/submit.c: open. */
	*out = rt;
	return 0;
}

/*
 * Queued jobs end as cancelled, by type in the log; the threads leave after their running handler.
 */
static uint64_t pools_stop(struct shunt_runtime *rt)
{
	struct timespec pause = { 0, 100000 };
	uint64_t cancelled = 0;
	bool all;
	uint32_t i;

	for (i = 0; i < SHUNT_POOLS_MAX; i++)
		if (sh_runtime_pool_at(rt, i))
			sh_pool_stop(sh_runtime_pool_at(rt, i));
	do { /* repeated: a handler may wait for a job that only this thread can end now */
		all = true;
		for (i = 0; i < SHUNT_POOLS_MAX; i++) {
			struct sh_pool *p = sh_runtime_pool_at(rt, i);

			if (!p)
				continue;
			all = sh_pool_stopped(p) && all;
			cancelled += sh_pool_cancel_queued(p);
		}
		if (!all)
			(void)nanosleep(&pause, NULL);
	} while (!all);
	for (i = 0; i < SHUNT_POOLS_MAX; i++)
		if (sh_runtime_pool_at(rt, i)) /* mo rlx: sh_pool_stopped acquired what the threads did. */
			cancelled += sh_a64_load_rlx(&sh_runtime_pool_at(rt, i)->stop_cancelled);
	return cancelled;
}

/* Says what is not finished, by type. The gate is closed for good: no type comes or goes. */
static void report_pending(struct shunt_runtime *rt, const char *what)
{
	uint64_t n;
	uint32_t t;

	for (t = 0; t < rt->types_used; t++) {
		(void)pthread_mutex_lock(&rt->control);
		n = sh_runtime_pending(rt, t);
		(void)pthread_mutex_unlock(&rt->control);
		if (n > 0)
			sh_log_write(&rt->log, SHUNT_LOG_WARN, "runtime %s: type %s: %llu %s", rt->name, rt->type[t].name,
				     (unsigned long long)n, what);
	}
}

/* Ends asynchronous jobs that were not completed: their records are RUNNING, their workers have left. */
static uint64_t cancel_asynchronous(struct shunt_runtime *rt)
{
	uint64_t n = 0;
	uint32_t k, idx;

	for (k = 0; k < rt->records.nodes; k++) {
		struct sh_slab_node *node = &rt->records.node[k];

		/* mo rlx: looked at again until no thread is inside. */
		for (idx = node->first; idx < sh_a32_load_rlx(&node->fresh) && idx < node->last; idx++) {
			struct sh_record *t = sh_slab_at(&rt->records, idx);
			uint64_t w = sh_a64_load_acq(&t->state); /* mo record.2 <- record.3@job/handle.c: its fields. */
			const uint64_t pending = SH_RECORD_RUNNING | SH_RECORD_ASYNC;

			if ((w & (SH_RECORD_STATUS | SH_RECORD_ASYNC)) == pending && sh_async_abandon(rt, (w & ~SH_RECORD_INDEX) | idx))
				n++;
		}
	}
	return n;
}

/*
 * Ends what other threads wait for, until none is inside a call any more: jobs that a submit queued at the
 * last moment, asynchronous jobs, and those of a key that waited behind one of them.
 */
static uint64_t calls_end(struct shunt_runtime *rt)
{
	struct timespec pause = { 0, 100000 };
	uint64_t n = 0;
	bool empty;

	for (;;) {
		empty = sh_grace_empty(rt);
		/* mo call.1 <- call.1@sched/submit.c: no handler of one runs inline any more. */
		if (sh_a32_load_acq(&rt->inlining) == 0)
			n += cancel_asynchronous(rt);
		for (uint32_t i = 0; i < SHUNT_POOLS_MAX; i++)
			if (sh_runtime_pool_at(rt, i))
				n += sh_pool_cancel_queued(sh_runtime_pool_at(rt, i));
		if (empty)
			return n;
		(void)nanosleep(&pause, NULL);
	}
}

/* Of each part, what was admitted was released: no thread and no job is left. */
static void check_balance(struct shunt_runtime *rt, bool forked)
{
	(void)rt;
	for (uint32_t i = 0; i < SH_PARTS && !forked; i++)
		assert(sh_a64_load_rlx(&rt->part_balance[i]) == 0); /* mo rlx: the only thread. */
}

/* Does this thread return through what a destroy would free: a handler, a callback, a hook, a strategy? */
static bool returns_through(struct shunt_runtime *rt)
{
	const struct sh_submitter *sub;

	if (sh_current_ctx(rt) || (sh_thread.worker && sh_thread.worker->pool->rt == rt))
		return true;
	if (sh_thread.inside == rt && sh_thread.inside_n > 0)
		return true;
	sub = sh_submitter_get(rt);
	/* mo rlx: own values; the section is odd in a submit, which calls strategies. */
	return sub && ((sh_a64_load_rlx(&sub->section) & 1u) != 0 || sh_a64_load_rlx(&sub->calls) != 0);
}

int shunt_runtime_destroy(struct shunt_runtime *rt, uint64_t *cancelled)
{
	bool forked;
	uint64_t n = 0;
	uint32_t i;
	SH_NO_CANCEL;

	if (cancelled)
		*cancelled = 0;
	if (!rt)
		return 0;
	forked = sh_runtime_forked(rt);
	if (returns_through(rt)) /* in a forked child as well */
		return sh_error_set(SHUNT_EDEADLK, "runtime %s: destroyed inside its job, callback or hook", rt->name);
	sh_thread_enters(rt);
	if (!forked) {
		(void)pthread_mutex_lock(&rt->control);
		sh_a32_store_sc(&rt->accepting, SH_ACCEPT_NONE); /* mo count.2 <> count.2@sched/submit.c: closed for good. */
		sh_gate_barrier();
		(void)pthread_mutex_unlock(&rt->control); /* handlers that still run may make control calls: they are refused */
		report_pending(rt, "jobs are not finished at destroy; queued ones are cancelled");
		sh_cq_wake_all(rt); /* a handler may be the reader */
		n = pools_stop(rt);
		n += calls_end(rt);
	}
	if (!forked) /* before anything is freed: the hook may take a snapshot */
		sh_log_write(&rt->log, SHUNT_LOG_INFO, "runtime %s: destroyed, %llu jobs cancelled", rt->name,
			     (unsigned long long)n);
	for (i = 0; i < SHUNT_POOLS_MAX; i++)
		if (sh_runtime_pool_at(rt, i))
			sh_pool_free(sh_runtime_pool_at(rt, i), forked);
	check_balance(rt, forked);
	stages_stop(rt, SH_COUNT(stages));
	sh_thread_leaves(rt);
	if (cancelled)
		*cancelled = n;
	return 0;
}
