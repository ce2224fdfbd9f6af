/*
 * core/runtime.c - the runtime object: creation and shutdown in one order, pools and types by name, drain. Called by
 * users through include/shunt/runtime.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/runtime.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/inject.h"
#include "base/opts.h"
#include "core/topo_bind.h"
#include "core/track.h"
#include "lockfree/registry.h"

#define JOBS_DEFAULT (1u << 20)
#define JOBS_MIN 64u
#define JOBS_MAX (1u << 27)
#define TRACKED_DEFAULT 65536u
#define TRACKED_MAX ((1u << 24) - 1u)
#define GROUPS_DEFAULT 4096u
#define GROUPS_MAX (1u << 20)
#define SUBMITTERS_DEFAULT 256u
#define SUBMITTERS_MAX 4096u
#define EXPECTED_DEFAULT_NS 1000u
#define POLL_MIN_NS 50000u
#define POLL_MAX_NS 1000000u

static const char *const level_defaults[] = { "high", "normal", "low", "batch" };

/* ---- gate and counting ---- */

/*
 * Orders the gate's closing before the counting for all threads at once, so that submitters need no fence: an attempt
 * is counted before it looks at the gate (mo N2). Where the call is missing, the pause is longer than a store stays
 * unseen.
 */
static void gate_barrier(void)
{
	struct timespec pause = { 0, 1000000 };

	if (SH_FAIL("runtime.membarrier") || syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
		while (nanosleep(&pause, &pause) != 0 && errno == EINTR) /* a signal must not shorten it */
			;
}

static uint64_t finished_of(struct shunt_runtime *rt, uint32_t type)
{
	uint64_t sum = rt->retired[type];
	uint32_t i, k;

	for (i = 0; i < SHUNT_POOLS_MAX; i++) {
		struct sh_pool *p = sh_runtime_pool(rt, i + 1);
		uint32_t n = p ? sh_a32_load_acq(&p->slots) : 0; /* mo W1 <- W1@core/pool.c: complete workers. */

		for (k = 0; k < n; k++)
			sum += sh_a64_load_acq(&p->worker[k]->finished[type]); /* mo N1 <- N1@core/exec.c: what they did. */
		if (p)
			sum += sh_a64_load_acq(&p->outside_finished[type]); /* mo N1 <- N1@core/exec.c: what they did. */
	}
	return sum;
}

/* Entries that any thread ever claimed: users' first, workers' from opts.submitters_max on. */
static uint64_t sum_submitters(struct shunt_runtime *rt, uint32_t type, bool undone)
{
	/* mo N3 <- N3@core/submitter.c: an entry is counted as used before its first attempt. */
	uint32_t users = sh_a32_load_sc(&rt->submitters_used);
	uint32_t workers = sh_a32_load_sc(&rt->workers_used); /* mo N3 <- N3@core/submitter.c: likewise. */
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < users + workers; i++) {
		struct sh_submitter *sub = &rt->submitter[i < users ? i : rt->opts.submitters_max + (i - users)];

		/* mo N2 <> N2@core/submit.c: after the gate was closed. mo N5 <- N5@core/submit.c: undone, with its attempt. */
		sum += sh_a64_load_acq(undone ? &sub->undone[type] : &sub->submitted[type]);
	}
	return sum;
}

static uint64_t accepted_of(struct shunt_runtime *rt, uint32_t type)
{
	/* mo N2 <> N2@core/submit.c: after the gate was closed. mo N5 <- N5@core/submit.c: undone first, then its attempts. */
	uint64_t undone = sh_a64_load_sc(&rt->shared_undone[type]) + sum_submitters(rt, type, true);

	/* mo N2 <> N2@core/submit.c: as above. */
	return sh_a64_load_sc(&rt->shared_submitted[type]) + sum_submitters(rt, type, false) - undone;
}

uint64_t sh_runtime_pending(struct shunt_runtime *rt, uint32_t type)
{
	uint32_t first = type == SHUNT_ANY ? 0 : type;
	uint32_t last = type == SHUNT_ANY ? rt->types_used : type + 1;
	uint64_t finished = 0;
	uint64_t accepted = 0;
	uint32_t t;

	/* All finished ones before any accepted one: a job that ends after it submitted another is never seen settled alone. */
	for (t = first; t < last; t++)
		finished += finished_of(rt, t);
	for (t = first; t < last; t++)
		accepted += accepted_of(rt, t);
	return accepted > finished ? accepted - finished : 0;
}

/* Waits until nothing of the type (SHUNT_ANY = of all) is pending; takes the control lock for each look only. */
static int wait_settled(struct shunt_runtime *rt, uint32_t type, uint64_t timeout_ns)
{
	uint64_t start = sh_clock_ns();
	uint64_t step = POLL_MIN_NS;

	for (;;) {
		struct timespec pause = { 0, 0 };
		uint64_t waited, pending;

		(void)pthread_mutex_lock(&rt->control);
		pending = sh_runtime_pending(rt, type);
		(void)pthread_mutex_unlock(&rt->control);
		if (pending == 0)
			return 0;
		waited = sh_clock_ns() - start;
		if (waited >= timeout_ns)
			return SHUNT_ETIMEDOUT;
		pause.tv_nsec = (long)(timeout_ns - waited < step ? timeout_ns - waited : step);
		(void)nanosleep(&pause, NULL);
		step = step * 2 > POLL_MAX_NS ? POLL_MAX_NS : step * 2;
	}
}

int shunt_drain(struct shunt_runtime *rt, uint64_t timeout_ns)
{
	uint32_t all = SH_ACCEPT_ALL;
	int rc;

	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (sh_current_ctx(rt))
		return SHUNT_EDEADLK;
	/* mo N2 <> N2@core/submit.c: the gate, then (barrier) the counts. */
	(void)sh_a32_cas_sc(&rt->accepting, &all, SH_ACCEPT_JOBS);
	gate_barrier();
	rc = wait_settled(rt, SHUNT_ANY, timeout_ns);
	if (rc == 0)
		(void)sh_slab_trim(&rt->jobs); /* a burst's descriptors; nobody submits now */
	return rc;
}

int shunt_resume(struct shunt_runtime *rt)
{
	uint32_t jobs = SH_ACCEPT_JOBS;

	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	/* mo N2 <> N2@core/submit.c: the gate. */
	if (!sh_a32_cas_sc(&rt->accepting, &jobs, SH_ACCEPT_ALL) && jobs == SH_ACCEPT_NONE)
		return SHUNT_ESTOPPED;
	return 0;
}

/* ---- options ---- */

static int opt_bad(const struct shunt_runtime *rt, const char *what)
{
	sh_log_write(&rt->log, SHUNT_LOG_ERROR, "runtime: %s", what);
	return SHUNT_EINVAL;
}

static int opts_take(struct shunt_runtime *rt, const struct shunt_runtime_opts *opts)
{
	struct shunt_runtime_opts *o = &rt->opts;
	uint32_t i, k;

	if (opts && sh_opts_take(o, sizeof(*o), opts, opts->size) != 0)
		return SHUNT_EINVAL;
	rt->log.fn = o->log;
	rt->log.arg = o->log_arg;
	rt->log.level = o->log_level;
	o->name = o->name ? o->name : "shunt";
	o->levels = o->levels ? o->levels : (uint32_t)SH_COUNT(level_defaults);
	o->jobs_max = o->jobs_max ? o->jobs_max : JOBS_DEFAULT;
	o->tracked_max = o->tracked_max ? o->tracked_max : TRACKED_DEFAULT;
	o->groups_max = o->groups_max ? o->groups_max : GROUPS_DEFAULT;
	o->submitters_max = o->submitters_max ? o->submitters_max : SUBMITTERS_DEFAULT;
	if (o->levels > SHUNT_LEVELS_MAX)
		return opt_bad(rt, "levels: 1 to 16");
	if (!o->level_names && o->levels > SH_COUNT(level_defaults))
		return opt_bad(rt, "level_names: needed for more than 4 levels");
	if (o->jobs_max < JOBS_MIN || o->jobs_max > JOBS_MAX)
		return opt_bad(rt, "jobs_max: 64 to 134217728");
	if (o->tracked_max > TRACKED_MAX)
		return opt_bad(rt, "tracked_max: 1 to 16777215");
	if (o->groups_max > GROUPS_MAX)
		return opt_bad(rt, "groups_max: 1 to 1048576");
	if (o->submitters_max > SUBMITTERS_MAX)
		return opt_bad(rt, "submitters_max: 1 to 4096");
	for (i = 0; i < o->levels; i++) {
		const char *name = o->level_names ? o->level_names[i] : level_defaults[i];

		if (!name || !name[0] || strlen(name) >= SHUNT_NAME_MAX)
			return opt_bad(rt, "level_names: 1 to 31 characters each");
		(void)snprintf(rt->level_names[i], SHUNT_NAME_MAX, "%s", name);
		for (k = 0; k < i; k++)
			if (strcmp(rt->level_names[k], name) == 0)
				return opt_bad(rt, "level_names: two levels have one name");
	}
	if (strlen(o->name) >= SHUNT_NAME_MAX)
		return opt_bad(rt, "name: at most 31 characters");
	(void)snprintf(rt->name, sizeof(rt->name), "%s", o->name);
	rt->levels = o->levels;
	return 0;
}

/* ---- start-up and shutdown: one table, walked forwards and backwards ---- */

static int start_topo(struct shunt_runtime *rt)
{
	struct shunt_topo_opts to = SHUNT_TOPO_OPTS_INIT;
	uint32_t n = 0;
	const struct shunt_topo_node *nodes;
	uint32_t i;

	if (rt->opts.topo) {
		rt->topo = rt->opts.topo;
	} else {
		int rc;

		to.cpu_budget_config = rt->opts.cpu_budget;
		rc = shunt_topo_open(&rt->topo_own, &to);
		if (rc != 0)
			return rc;
		rt->topo = rt->topo_own;
	}
	nodes = shunt_topo_nodes(rt->topo, &n);
	for (i = 0; i < n && rt->nodes < SH_SLAB_NODES_MAX; i++)
		if (nodes[i].has_cpus)
			rt->node_os[rt->nodes++] = nodes[i].os_node;
	if (rt->nodes == 0)
		rt->node_os[rt->nodes++] = 0;
	return 0;
}

static void stop_topo(struct shunt_runtime *rt)
{
	shunt_topo_close(rt->topo_own);
}

static int start_slabs(struct shunt_runtime *rt)
{
	uint32_t i;
	int rc = sh_slab_init(&rt->jobs, &rt->mem, rt->opts.jobs_max, sizeof(struct sh_job), rt->nodes);

	if (rc == 0)
		rc = sh_slab_init(&rt->tracks, &rt->mem, rt->opts.tracked_max, sizeof(struct sh_track), 1);
	if (rc == 0)
		rc = sh_slab_init(&rt->groups, &rt->mem, rt->opts.groups_max, sizeof(struct sh_group), 1);
	for (i = 0; rc == 0 && i < rt->nodes && rt->nodes > 1 && shunt_topo_is_live(rt->topo); i++) {
		size_t len = 0;
		void *range = sh_slab_node_range(&rt->jobs, i, &len);
		int bound = sh_topo_bind_memory(rt->topo, range, len, rt->node_os[i]);

		if (bound != 0)
			sh_log_write(&rt->log, SHUNT_LOG_WARN, "jobs of node %u could not be put there: %s", rt->node_os[i],
				     shunt_strerror(bound));
	}
	return rc;
}

static void stop_slabs(struct shunt_runtime *rt)
{
	sh_slab_fini(&rt->groups);
	sh_slab_fini(&rt->tracks);
	sh_slab_fini(&rt->jobs);
}

static int start_tables(struct shunt_runtime *rt)
{
	rt->submitters = rt->opts.submitters_max + SH_WORKER_SUBMITTERS;
	rt->submitter_bytes = sizeof(struct sh_submitter) * rt->submitters;
	rt->submitter = sh_mem_map(&rt->mem, rt->submitter_bytes);
	rt->type = sh_mem_map(&rt->mem, sizeof(*rt->type) * SHUNT_TYPES_MAX);
	rt->shared_submitted = sh_mem_map(&rt->mem, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	rt->shared_undone = sh_mem_map(&rt->mem, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	rt->retired = sh_mem_map(&rt->mem, sizeof(*rt->retired) * SHUNT_TYPES_MAX);
	return rt->submitter && rt->type && rt->shared_submitted && rt->shared_undone && rt->retired ? 0 : SHUNT_ENOMEM;
}

static void stop_tables(struct shunt_runtime *rt)
{
	sh_mem_unmap(&rt->mem, rt->submitter, rt->submitter_bytes);
	sh_mem_unmap(&rt->mem, rt->type, sizeof(*rt->type) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&rt->mem, rt->shared_submitted, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&rt->mem, rt->shared_undone, sizeof(sh_a64) * SHUNT_TYPES_MAX);
	sh_mem_unmap(&rt->mem, rt->retired, sizeof(*rt->retired) * SHUNT_TYPES_MAX);
}

static int start_names(struct shunt_runtime *rt)
{
	int rc = sh_registry_create(&rt->pool_names);

	if (rc == 0)
		rc = sh_registry_create(&rt->type_names);
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
	if (!SH_FAIL("runtime.membarrier_register")) /* gate_barrier copes without */
		(void)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	return sh_submitter_register_runtime(rt);
}

static void stop_process(struct shunt_runtime *rt)
{
	sh_submitter_forget_runtime(rt);
}

struct stage {
	int (*start)(struct shunt_runtime *rt);
	void (*stop)(struct shunt_runtime *rt);
};

/* `stop` of a stage copes with a `start` that failed half way. */
static const struct stage stages[] = {
	{ start_topo, stop_topo },
	{ start_slabs, stop_slabs },
	{ start_tables, stop_tables },
	{ start_names, stop_names },
	{ start_process, stop_process },
};

static void stages_stop(struct shunt_runtime *rt, size_t n)
{
	struct sh_mem mem;
	bool forked;

	while (n > 0)
		stages[--n].stop(rt);
	(void)pthread_mutex_destroy(&rt->control);
	mem = rt->mem;
	forked = sh_runtime_forked(rt);
	sh_mem_free(&mem, rt, sizeof(*rt), SH_CACHELINE);
	if (forked)
		sh_mem_forget(&mem);
	sh_mem_fini(&mem);
}

int shunt_runtime_create(struct shunt_runtime **out, const struct shunt_runtime_opts *opts)
{
	struct shunt_runtime *rt;
	struct sh_mem mem;
	size_t i;
	int rc;

	if (!out)
		return SHUNT_EINVAL;
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
	rc = opts_take(rt, opts);
	if (rc != 0) {
		stages_stop(rt, 0);
		return rc;
	}
	for (i = 0; i < SH_COUNT(stages); i++) {
		rc = stages[i].start(rt);
		if (rc != 0) {
			stages_stop(rt, i + 1);
			return rc;
		}
	}
	sh_a32_store_sc(&rt->accepting, SH_ACCEPT_ALL); /* mo N2 <> N2@core/submit.c: open. */
	*out = rt;
	return 0;
}

/* Queued jobs end as cancelled, by type in the log; the threads leave after their running handler. */
static uint64_t pools_stop(struct shunt_runtime *rt)
{
	struct timespec pause = { 0, 100000 };
	uint64_t cancelled = 0;
	bool all;
	uint32_t i;

	for (i = 0; i < SHUNT_POOLS_MAX; i++)
		if (sh_runtime_pool(rt, i + 1))
			sh_pool_stop(sh_runtime_pool(rt, i + 1));
	do { /* again and again: a handler may wait for a job that only we can end now */
		all = true;
		for (i = 0; i < SHUNT_POOLS_MAX; i++) {
			struct sh_pool *p = sh_runtime_pool(rt, i + 1);

			if (!p)
				continue;
			all = sh_pool_stopped(p) && all;
			cancelled += sh_pool_cancel_queued(p);
		}
		if (!all)
			(void)nanosleep(&pause, NULL);
	} while (!all);
	for (i = 0; i < SHUNT_POOLS_MAX; i++)
		if (sh_runtime_pool(rt, i + 1)) /* mo rlx: sh_pool_stopped acquired what the threads did. */
			cancelled += sh_a64_load_rlx(&sh_runtime_pool(rt, i + 1)->stop_cancelled);
	return cancelled;
}

static void report_pending(struct shunt_runtime *rt, const char *what)
{
	uint32_t t;

	for (t = 0; t < rt->types_used; t++) {
		uint64_t n = sh_runtime_pending(rt, t);

		if (n > 0)
			sh_log_write(&rt->log, SHUNT_LOG_WARN, "runtime %s: type %s: %llu %s", rt->name, rt->type[t].name,
				     (unsigned long long)n, what);
	}
}

/* Asynchronous jobs that nobody completed: their tracks are still running, and nobody can complete them any more. */
static uint64_t cancel_asynchronous(struct shunt_runtime *rt)
{
	uint32_t last = rt->tracks.node[0].last;
	uint64_t n = 0;
	uint32_t idx;

	for (idx = 1; idx < last; idx++) {
		struct sh_track *t = sh_slab_at(&rt->tracks, idx);
		uint64_t w = sh_a64_load_acq(&t->state); /* mo J2 <- J3@core/track.c: its fields. */

		if (idx >= sh_a32_load_rlx(&rt->tracks.node[0].fresh)) /* mo rlx: no thread is left. */
			break;
		if ((w & SH_TRACK_STATUS) != SH_TRACK_RUNNING)
			continue;
		if (sh_exec_abandon(rt, (w & ~(uint64_t)0xffffffu) | idx))
			n++;
	}
	return n;
}

int64_t shunt_runtime_destroy(struct shunt_runtime *rt)
{
	bool forked;
	uint64_t cancelled = 0;
	uint32_t i;

	if (!rt)
		return 0;
	forked = sh_runtime_forked(rt);
	if (!forked && sh_current_ctx(rt))
		return SHUNT_EDEADLK;
	if (!forked) {
		(void)pthread_mutex_lock(&rt->control);
		sh_a32_store_sc(&rt->accepting, SH_ACCEPT_NONE); /* mo N2 <> N2@core/submit.c: closed for good. */
		gate_barrier();
		report_pending(rt, "jobs are not finished at destroy; queued ones are cancelled");
		(void)pthread_mutex_unlock(&rt->control); /* handlers that still run may make control calls: they are refused */
		cancelled = pools_stop(rt);
		cancelled += cancel_asynchronous(rt);
		for (i = 0; i < SHUNT_POOLS_MAX; i++) /* jobs of a key that waited behind one of those */
			if (sh_runtime_pool(rt, i + 1))
				cancelled += sh_pool_cancel_queued(sh_runtime_pool(rt, i + 1));
	}
	for (i = 0; i < SHUNT_POOLS_MAX; i++)
		if (sh_runtime_pool(rt, i + 1))
			sh_pool_free(sh_runtime_pool(rt, i + 1), forked);
	stages_stop(rt, SH_COUNT(stages));
	return (int64_t)cancelled;
}

uint32_t sh_runtime_node_slot(const struct shunt_runtime *rt, uint32_t node_os)
{
	uint32_t i;

	for (i = 0; i < rt->nodes; i++)
		if (rt->node_os[i] == node_os)
			return i;
	return 0;
}

/* ---- pools ---- */

static int control_enter(struct shunt_runtime *rt)
{
	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	(void)pthread_mutex_lock(&rt->control);
	if (sh_a32_load_acq(&rt->accepting) == SH_ACCEPT_NONE) { /* mo N2 <> N2@core/submit.c: being destroyed. */
		(void)pthread_mutex_unlock(&rt->control);
		return SHUNT_ESTOPPED;
	}
	return 0;
}

/* Takes a name out of its registry; the only failure there is would be a bug, and it is said. */
static void name_drop(struct shunt_runtime *rt, struct sh_registry *names, const char *name)
{
	int rc = sh_registry_remove(names, name);

	if (rc != 0)
		sh_log_write(&rt->log, SHUNT_LOG_ERROR, "runtime %s: name %s: %s", rt->name, name, shunt_strerror(rc));
}

int shunt_pool_create(struct shunt_runtime *rt, const struct shunt_pool_opts *opts, struct shunt_pool_id *out)
{
	struct shunt_pool_opts o;
	struct sh_pool *p = NULL;
	uint32_t id;
	int rc;

	if (!opts || !out || sh_opts_take(&o, sizeof(o), opts, opts->size) != 0)
		return SHUNT_EINVAL;
	out->v = 0;
	rc = control_enter(rt);
	if (rc != 0)
		return rc;
	for (id = 1; id <= SHUNT_POOLS_MAX && sh_runtime_pool(rt, id); id++)
		if (o.name && strcmp(sh_runtime_pool(rt, id)->name, o.name) == 0)
			rc = SHUNT_EEXIST;
	if (rc == 0 && id > SHUNT_POOLS_MAX)
		rc = SHUNT_ELIMIT;
	if (rc == 0 && o.name && sh_registry_find(rt->pool_names, o.name, &(uint32_t){ 0 }))
		rc = SHUNT_EEXIST;
	if (rc == 0)
		rc = sh_pool_create(rt, &o, id, &p);
	if (rc == 0) {
		rc = sh_registry_put(rt->pool_names, p->name, id);
		if (rc == 0) {
			/* mo T1 -> T1@core/runtime.h: the complete pool. */
			sh_aptr_store_rel(&rt->pool[id - 1], p);
			out->v = id;
		} else {
			sh_pool_stop(p);
			sh_pool_free(p, false);
		}
	}
	(void)pthread_mutex_unlock(&rt->control);
	return rc;
}

int shunt_pool_find(struct shunt_runtime *rt, const char *name, struct shunt_pool_id *out)
{
	if (!rt || !name || !out)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	return sh_registry_find(rt->pool_names, name, &out->v) ? 0 : SHUNT_ENOENT;
}

/* Waits until every thread that is inside a submit now has left it: none of them can know the pool afterwards. */
static void submitters_leave(struct shunt_runtime *rt)
{
	struct timespec pause = { 0, 20000 };
	uint32_t i;

	gate_barrier();
	for (i = 0; i < rt->submitters; i++) {
		struct sh_submitter *sub = &rt->submitter[i];
		uint64_t seen;

		/* mo N3 <- N3@core/submitter.c: entries beyond were never used. */
		if (i == sh_a32_load_sc(&rt->submitters_used) && i < rt->opts.submitters_max)
		{
			i = rt->opts.submitters_max;
			sub = &rt->submitter[i];
		}
		if (i >= rt->opts.submitters_max + sh_a32_load_sc(&rt->workers_used)) /* mo N3 <- N3@core/submitter.c: likewise. */
			break;
		seen = sh_a64_load_acq(&sub->inside); /* mo N4 <- N4@core/submit.c: its last look. */
		while ((seen & 1u) && sh_a64_load_acq(&sub->inside) == seen) /* mo N4 <- N4@core/submit.c: as above. */
			(void)nanosleep(&pause, NULL);
	}
	while (sh_a64_load_sc(&rt->shared_inside) != 0) /* mo N4 <> N4@core/submit.c: likewise. */
		(void)nanosleep(&pause, NULL);
}

/* What a pool finished stays counted when it goes: its types' accepted jobs do too. */
static void pool_retire_counts(struct shunt_runtime *rt, struct sh_pool *p)
{
	uint32_t n = sh_a32_load_acq(&p->slots); /* mo W1 <- W1@core/pool.c: complete workers. */
	uint32_t t, i;

	for (t = 0; t < rt->types_used; t++) {
		for (i = 0; i < n; i++)
			rt->retired[t] += sh_a64_load_acq(&p->worker[i]->finished[t]); /* mo N1 <- N1@core/exec.c: settled. */
		rt->retired[t] += sh_a64_load_acq(&p->outside_finished[t]); /* mo N1 <- N1@core/exec.c: settled. */
	}
}

int shunt_pool_remove(struct shunt_runtime *rt, struct shunt_pool_id pool)
{
	struct timespec pause = { 0, 100000 };
	struct sh_pool *p;
	int rc;

	if (rt && !sh_runtime_forked(rt) && sh_current_ctx(rt))
		return SHUNT_EDEADLK;
	rc = control_enter(rt);
	if (rc != 0)
		return rc;
	p = sh_runtime_pool(rt, pool.v);
	if (!p)
		rc = SHUNT_ENOENT;
	else if (p->types > 0)
		rc = SHUNT_EBUSY;
	if (rc == 0) {
		name_drop(rt, rt->pool_names, p->name);
		/* mo T1 -> T1@core/runtime.h: no type names it, so no submitter can hold it. */
		sh_aptr_store_rel(&rt->pool[pool.v - 1], NULL);
		submitters_leave(rt);
		sh_pool_stop(p);
		while (!sh_pool_stopped(p))
			(void)nanosleep(&pause, NULL);
		(void)sh_pool_cancel_queued(p); /* what is left are descriptors of jobs that were cancelled before */
		pool_retire_counts(rt, p);
		sh_pool_free(p, false);
	}
	(void)pthread_mutex_unlock(&rt->control);
	return rc;
}

/* ---- types ---- */

static bool type_name_valid(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	return n > 0 && n < SHUNT_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

/* Fills a free entry; rt->control is held. */
static int type_open(struct shunt_runtime *rt, const struct shunt_type_opts *o, struct shunt_type_id *out)
{
	struct sh_pool *p = sh_runtime_pool(rt, o->pool.v);
	struct sh_type *t = NULL;
	uint32_t i;
	int rc;

	if (!p)
		return SHUNT_ENOENT;
	for (i = 0; i < SHUNT_TYPES_MAX && !t; i++)
		if (sh_a32_load_acq(&rt->type[i].state) == SH_TYPE_FREE) /* mo T2 <- T2@core/runtime.c: its last user. */
			t = &rt->type[i];
	if (!t)
		return SHUNT_ELIMIT;
	i = (uint32_t)(t - rt->type);
	rc = sh_registry_put(rt->type_names, o->name, (t->generation + 1) << 16 | (i + 1));
	if (rc != 0)
		return rc;
	t->generation = (t->generation + 1) & 0xffffu;
	t->pool = p;
	t->handler = o->handler;
	t->flags = o->flags;
	t->plain = !(o->flags & SHUNT_TYPE_ASYNC) && p->opts.queue_max == 0;
	t->level = o->level ? o->level - 1u : (rt->levels > 1 ? 1u : 0u);
	(void)snprintf(t->name, sizeof(t->name), "%s", o->name);
	/* mo rlx: an estimate. */
	sh_a32_store_rlx(&t->est_ns, o->expected_ns == 0 ? EXPECTED_DEFAULT_NS
			 : o->expected_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)o->expected_ns);
	sh_a32_store_rlx(&t->typical_of, 0); /* mo rlx: an estimate. */
	p->types++;
	if (i + 1 > rt->types_used)
		rt->types_used = i + 1;
	out->v = t->generation << 16 | (i + 1);
	/* mo T2 -> T2@core/submit.c: the fields before the id. */
	sh_a32_store_sc(&t->state, out->v);
	return 0;
}

int shunt_type_register(struct shunt_runtime *rt, const struct shunt_type_opts *opts, struct shunt_type_id *out)
{
	struct shunt_type_opts o;
	int rc;

	if (!rt || !opts || !out || sh_opts_take(&o, sizeof(o), opts, opts->size) != 0)
		return SHUNT_EINVAL;
	out->v = 0;
	if (!type_name_valid(o.name) || !o.handler || o.level > rt->levels || (o.flags & ~(uint32_t)SHUNT_TYPE_ASYNC))
		return SHUNT_EINVAL;
	rc = control_enter(rt);
	if (rc != 0)
		return rc;
	rc = type_open(rt, &o, out);
	(void)pthread_mutex_unlock(&rt->control);
	return rc;
}

int shunt_type_find(struct shunt_runtime *rt, const char *name, struct shunt_type_id *out)
{
	if (!rt || !name || !out)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	return sh_registry_find(rt->type_names, name, &out->v) ? 0 : SHUNT_ENOENT;
}

int shunt_type_unregister(struct shunt_runtime *rt, struct shunt_type_id type, uint64_t timeout_ns)
{
	uint32_t i = (type.v & 0xffffu) - 1u;
	struct sh_type *t;
	uint32_t s = type.v;
	int rc;

	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (sh_current_ctx(rt))
		return SHUNT_EDEADLK;
	if (i >= SHUNT_TYPES_MAX)
		return SHUNT_ENOENT;
	rc = control_enter(rt);
	if (rc != 0)
		return rc;
	t = &rt->type[i];
	if (t->generation != type.v >> 16)
		rc = SHUNT_ENOENT;
	else if (sh_a32_cas_sc(&t->state, &s, SH_TYPE_CLOSED)) /* mo T2 -> T2@core/submit.c: closed, then (barrier) the counts. */
		name_drop(rt, rt->type_names, t->name);
	else if (s != SH_TYPE_CLOSED) /* else an earlier call closed it and ran out of time */
		rc = SHUNT_ENOENT;
	(void)pthread_mutex_unlock(&rt->control);
	if (rc != 0)
		return rc;
	gate_barrier();
	rc = wait_settled(rt, i, timeout_ns);
	if (rc != 0)
		return rc;
	(void)pthread_mutex_lock(&rt->control);
	s = SH_TYPE_CLOSED;
	/* mo T2 -> T2@core/runtime.c: nobody uses its fields any more. A call beside this one may have been first. */
	if (t->generation == type.v >> 16 && sh_a32_cas_sc(&t->state, &s, SH_TYPE_FREE))
		t->pool->types--;
	(void)pthread_mutex_unlock(&rt->control);
	return 0;
}
