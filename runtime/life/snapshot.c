/*
 * life/snapshot.c - reads all statistics without stopping any thread, and subtracts two readings.
 * Called by users, the command's reports and exporters. Blocks on the control lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <shunt/snapshot.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/inject.h"
#include "base/mem.h"
#include "life/drain.h"
#include "sched/world.h"
#include "sched/submitter.h"

struct shunt_snapshot {
	uint64_t serial;  /* of its runtime */
	uint64_t ordinal; /* among the snapshots of its runtime; 0 = a difference */
	struct shunt_runtime_info runtime;
	struct shunt_cpu_budget budget;
	size_t pools_n, workers_n, series_n;
	struct shunt_pool_info *pools;
	struct shunt_worker_info *workers;
	struct shunt_series *series;
};

/* ---- one series: a type at a level, summed over workers ---- */

static bool series_seen(struct sh_pool *p, size_t cell)
{
	uint32_t n = sh_a32_load_acq(&p->slots); /* mo slots.1 <- slots.1@life/pool.c: complete workers. */
	uint32_t i;

	if (sh_aptr_load_acq(&p->outside[cell])) /* mo stat.1 <- stat.1@sched/stat.c: complete cell. */
		return true;
	for (i = 0; i < n; i++)
		if (sh_aptr_load_acq(&p->worker[i]->stat[cell])) /* mo stat.1 <- stat.1@sched/stat.c: complete cell. */
			return true;
	return false;
}

static void series_hists(struct shunt_series *s, const struct sh_stat *st)
{
	if (!st)
		return;
	sh_hist_snapshot_add(st->queue, s->queue);
	sh_hist_snapshot_add(st->run, s->run);
	sh_hist_snapshot_add(st->total, s->total);
}

static void series_counts(struct shunt_series *s, const struct sh_stat *st)
{
	if (!st)
		return;
	/* mo rlx: statistics. */
	s->done += sh_a64_load_rlx(&st->done);
	s->failed += sh_a64_load_rlx(&st->failed);
	s->cancelled += sh_a64_load_rlx(&st->cancelled);
}

/* Adds up the cells of a series. */
static void series_sum(struct sh_pool *p, size_t cell, struct shunt_series *s, void (*add)(struct shunt_series *, const struct sh_stat *))
{
	uint32_t n = sh_a32_load_acq(&p->slots); /* mo slots.1 <- slots.1@life/pool.c: complete workers. */

	add(s, sh_aptr_load_acq(&p->outside[cell])); /* mo stat.1 <- stat.1@sched/stat.c: complete cell. */
	for (uint32_t i = 0; i < n; i++)
		add(s, sh_aptr_load_acq(&p->worker[i]->stat[cell])); /* mo stat.1 <- stat.1@sched/stat.c: complete cell. */
}

static int series_fill(struct shunt_runtime *rt, struct sh_pool *p, uint32_t type, uint32_t level, struct shunt_series *s)
{
	s->pool_id.v = p->id;
	s->type_id.v = sh_id_make(type, rt->type[type].generation);
	(void)snprintf(s->pool, sizeof(s->pool), "%s", p->name);
	(void)snprintf(s->type, sizeof(s->type), "%s", rt->type[type].name);
	(void)snprintf(s->level_name, sizeof(s->level_name), "%s", rt->level_names[level]);
	s->level = level;
	if (shunt_hist_create(&s->queue) != 0 || shunt_hist_create(&s->run) != 0 || shunt_hist_create(&s->total) != 0)
		return SHUNT_ENOMEM;
	series_sum(p, (size_t)type * p->levels + level, s, series_hists);
	return 0;
}

static int fill_series(struct shunt_runtime *rt, struct shunt_snapshot *s)
{
	size_t cap = 0;
	uint32_t pass, k, t, l;

	for (pass = 0; pass < 2; pass++) {
		for (k = 0; k < SHUNT_POOLS_MAX; k++) {
			struct sh_pool *p = sh_runtime_pool_at(rt, k);

			for (t = 0; p && t < rt->types_used; t++)
				for (l = 0; l < p->levels; l++) {
					if (!series_seen(p, (size_t)t * p->levels + l))
						continue;
					if (pass == 0) {
						cap++;
						continue;
					}
					if (s->series_n >= cap)
						return 0; /* first seen between the passes: in the next snapshot */
					if (series_fill(rt, p, t, l, &s->series[s->series_n++]) != 0)
						return SHUNT_ENOMEM;
				}
		}
		if (pass == 0 && cap > 0) {
			s->series = SH_FAIL("snapshot.alloc") ? NULL : sh_heap_alloc(cap, sizeof(*s->series));
			if (!s->series)
				return SHUNT_ENOMEM;
		}
		if (cap == 0)
			return 0;
	}
	return 0;
}

/* ---- workers and pools ---- */

static enum shunt_worker_state state_of(uint32_t s)
{
	return s == SH_W_PARKED || s == SH_W_DORMANT ? SHUNT_WORKER_PARKED : SHUNT_WORKER_RUNNING;
}

/*
 * Where the kernel lets the worker's thread run now: anybody may have changed that since it was bound. A thread that
 * has ended keeps its own last word.
 */
static void mask_fill(const struct sh_worker *w, struct shunt_worker_info *o)
{
	struct sh_cpus mask;

	uint32_t tid = sh_a32_load_rlx(&w->tid); /* mo rlx: a statistic. */

	if (tid == 0 || sh_cpus_affinity(&mask, (int)tid) != SHUNT_OK)
		return;
	o->pin_verified = w->cpu >= 0 && sh_cpus_count(&mask) == 1 && sh_cpus_has(&mask, (uint32_t)w->cpu);
	if (sh_cpus_format(&mask, o->cpu_mask, sizeof(o->cpu_mask)) >= sizeof(o->cpu_mask))
		memcpy(o->cpu_mask + sizeof(o->cpu_mask) - 4, "...", 4);
}

static int worker_hists(const struct sh_worker *w, uint32_t types, struct shunt_worker_info *o)
{
	const struct sh_stat *st = sh_aptr_load_rlx(&w->stat_retired); /* mo rlx: under the lock. */

	if (shunt_hist_create(&o->queue) != 0 || shunt_hist_create(&o->run) != 0)
		return SHUNT_ENOMEM;
	for (uint32_t i = 0;; i++) {
		if (st) {
			sh_hist_snapshot_add(st->queue, o->queue);
			sh_hist_snapshot_add(st->run, o->run);
		}
		if (i == types * w->pool->levels)
			return 0;
		st = sh_aptr_load_acq(&w->stat[i]); /* mo stat.1 <- stat.1@sched/stat.c: complete cell. */
	}
}

static void worker_fill(const struct sh_worker *w, struct shunt_worker_info *o)
{
	(void)snprintf(o->pool, sizeof(o->pool), "%s", w->pool->name);
	o->spare = w->spare;
	/* mo rlx: statistics, all of them. */
	o->state = state_of(sh_a32_load_rlx(&w->state));
	o->cpu_planned = w->cpu;
	o->cpu_seen = (int32_t)sh_a32_load_rlx(&w->cpu_seen);
	o->pin_error = -(int32_t)sh_a32_load_rlx(&w->pin_error);
	o->pin_verified = sh_a32_load_rlx(&w->pin_verified);
	mask_fill(w, o);
	o->node = w->node == SHUNT_ANY ? -1 : (int32_t)w->node;
	o->stack_bytes = w->seen.stack_bytes;
	o->signal_mask = w->seen.signal_mask;
	o->nice = w->seen.nice;
	o->nice_error = w->nice_error;
	o->replaced = sh_a32_load_rlx(&w->replaced); /* mo rlx: as above. */
	o->jobs = sh_a64_load_rlx(&w->jobs);
	o->stolen = sh_a64_load_rlx(&w->stolen);
	o->parks = sh_a64_load_rlx(&w->parks);
	o->wakes = sh_a64_load_rlx(&w->wakes); /* mo rlx: as above. */
	o->busy_ns = sh_a64_load_rlx(&w->busy_ns);
	o->ewma_ns = sh_a64_load_rlx(&w->ewma_ns);
	o->speed_permille = sh_a32_load_rlx(&w->speed_permille);
	o->in_flight = sh_worker_in_flight(w);
	o->work_left_ns = sh_worker_left_ns(w, sh_clock_ns());
}

static void pool_counts(struct shunt_runtime *rt, struct sh_pool *p, struct shunt_pool_info *o)
{
	uint32_t n = sh_a32_load_acq(&p->slots); /* mo slots.1 <- slots.1@life/pool.c: complete workers. */
	uint32_t t, i;

	for (t = 0; t < rt->types_used; t++) {
		o->finished += sh_a64_load_rlx(&p->outside_finished[t]); /* mo rlx: `submitted` is never below the sum. */
		for (i = 0; i < n; i++)
			o->finished += sh_a64_load_rlx(&p->worker[i]->finished[t]); /* mo rlx: as above. */
	}
	o->submitted = sh_pool_submitted(rt, p, o->finished);
}

static void pool_fill(struct shunt_runtime *rt, struct sh_pool *p, struct shunt_pool_info *o)
{
	uint32_t l;

	(void)snprintf(o->name, sizeof(o->name), "%s", p->name);
	o->workers = p->workers;
	/* mo rlx: statistics, all of them. */
	o->spares = sh_a32_load_rlx(&p->slots) - p->workers;
	o->spares_active = sh_a32_load_rlx(&p->spares_active);
	o->blocked = sh_a32_load_rlx(&p->blocked);
	pool_counts(rt, p, o);
	for (l = 0; l < p->levels; l++)
		o->backlog += sh_backlog_count(&p->backlog[l]);
	o->rejected_full = sh_a64_load_rlx(&p->rejected); /* mo rlx: statistic. */
	o->ran_inline = sh_a64_load_rlx(&p->inlined);     /* mo rlx: statistic. */
	o->async_in_flight = sh_a32_load_rlx(&p->async_in_flight); /* mo rlx: statistic. */
	o->bytes = sh_mem_bytes(&p->mem);
	o->bytes_mapped = sh_a64_load_rlx(&p->mem.mapped); /* mo rlx: statistic. */
}

static int fill_pools(struct shunt_runtime *rt, struct shunt_snapshot *s)
{
	size_t workers = 0;
	uint32_t k, i;

	for (k = 0; k < SHUNT_POOLS_MAX; k++) {
		struct sh_pool *p = sh_runtime_pool_at(rt, k);

		if (!p)
			continue;
		s->pools_n++;
		workers += SH_SLOTS_TOTAL;
	}
	if (s->pools_n == 0)
		return 0;
	s->pools = SH_FAIL("snapshot.alloc") ? NULL : sh_heap_alloc(s->pools_n, sizeof(*s->pools));
	s->workers = SH_FAIL("snapshot.alloc") ? NULL : sh_heap_alloc(workers, sizeof(*s->workers));
	if (!s->pools || !s->workers)
		return SHUNT_ENOMEM;
	s->pools_n = 0;
	for (k = 0; k < SHUNT_POOLS_MAX; k++) {
		struct sh_pool *p = sh_runtime_pool_at(rt, k);
		uint32_t n = p ? sh_a32_load_acq(&p->slots) : 0; /* mo slots.1 <- slots.1@life/pool.c: complete workers. */

		if (!p)
			continue;
		s->pools[s->pools_n++].id.v = p->id;
		for (i = 0; i < n; i++) {
			struct shunt_worker_info *w = &s->workers[s->workers_n++];

			w->pool_id.v = p->id;
			w->index = i;
			if (worker_hists(p->worker[i], rt->types_used, w) != 0)
				return SHUNT_ENOMEM;
		}
		s->runtime.threads += n;
	}
	return 0;
}

/*
 * A job is counted before it is in a histogram. So histograms are read first, then (barrier) the counters: no histogram
 * has more jobs than are counted.
 */
static void fill_counts(struct shunt_runtime *rt, struct shunt_snapshot *s)
{
	size_t i;

	sh_gate_barrier();
	for (i = 0; i < s->pools_n; i++)
		pool_fill(rt, sh_runtime_pool(rt, s->pools[i].id.v), &s->pools[i]);
	for (i = 0; i < s->workers_n; i++)
		worker_fill(sh_runtime_pool(rt, s->workers[i].pool_id.v)->worker[s->workers[i].index], &s->workers[i]);
	for (i = 0; i < s->series_n; i++) {
		struct shunt_series *x = &s->series[i];
		struct sh_pool *p = sh_runtime_pool(rt, x->pool_id.v);

		series_sum(p, (size_t)sh_id_index(x->type_id.v) * p->levels + x->level, x, series_counts);
	}
}

int shunt_snapshot_create(struct shunt_runtime *rt, struct shunt_snapshot **out)
{
	struct sh_submitter *call;
	struct shunt_snapshot *s;
	struct timespec ts;
	SH_NO_CANCEL;
	int rc;

	sh_error_detail_clear();
	if (!rt || !out)
		return sh_error_set(SHUNT_EINVAL, "snapshot: " SH_NO_ARGUMENT);
	*out = NULL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	s = SH_FAIL("snapshot.alloc") ? NULL : sh_heap_alloc(1, sizeof(*s));
	if (!s)
		return SHUNT_ENOMEM;
	call = sh_call_begin(rt);
	(void)pthread_mutex_lock(&rt->control);
	s->serial = rt->serial;
	s->ordinal = ++rt->snapshots;
	s->runtime.taken_ns = sh_clock_ns();
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	s->runtime.wall_ns = (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
	(void)snprintf(s->runtime.name, sizeof(s->runtime.name), "%s", rt->name);
	s->runtime.allocator = sh_mem_allocator();
	rc = fill_pools(rt, s);
	if (rc == 0)
		rc = fill_series(rt, s);
	if (rc == 0)
		fill_counts(rt, s);
	(void)pthread_mutex_unlock(&rt->control);
	if (rc == 0 && shunt_topo_budget(rt->topo, &s->budget, sizeof(s->budget)) != 0)
		memset(&s->budget, 0, sizeof(s->budget));
	sh_call_end(rt, call);
	s->runtime.over_budget = s->budget.budget > 0 && s->runtime.threads > s->budget.budget;
	if (rc != 0) {
		shunt_snapshot_destroy(s);
		return rc;
	}
	*out = s;
	return 0;
}

void shunt_snapshot_destroy(struct shunt_snapshot *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->series_n; i++) {
		shunt_hist_destroy(s->series[i].queue);
		shunt_hist_destroy(s->series[i].run);
		shunt_hist_destroy(s->series[i].total);
	}
	for (i = 0; i < s->workers_n; i++) {
		shunt_hist_destroy(s->workers[i].queue);
		shunt_hist_destroy(s->workers[i].run);
	}
	sh_heap_free(s->series);
	sh_heap_free(s->workers);
	sh_heap_free(s->pools);
	sh_heap_free(s);
}

/* ---- what is in it ---- */

const struct shunt_runtime_info *shunt_snapshot_runtime(const struct shunt_snapshot *s)
{
	return &s->runtime;
}

const struct shunt_cpu_budget *shunt_snapshot_budget(const struct shunt_snapshot *s)
{
	return &s->budget;
}

size_t shunt_snapshot_pool_count(const struct shunt_snapshot *s)
{
	return s->pools_n;
}

const struct shunt_pool_info *shunt_snapshot_pool_at(const struct shunt_snapshot *s, size_t i)
{
	return i < s->pools_n ? &s->pools[i] : NULL;
}

size_t shunt_snapshot_worker_count(const struct shunt_snapshot *s)
{
	return s->workers_n;
}

const struct shunt_worker_info *shunt_snapshot_worker_at(const struct shunt_snapshot *s, size_t i)
{
	return i < s->workers_n ? &s->workers[i] : NULL;
}

size_t shunt_snapshot_series_count(const struct shunt_snapshot *s)
{
	return s->series_n;
}

const struct shunt_series *shunt_snapshot_series_at(const struct shunt_snapshot *s, size_t i)
{
	return i < s->series_n ? &s->series[i] : NULL;
}

/* ---- difference ---- */

static void *array_like(size_t n, size_t size)
{
	return SH_FAIL("snapshot.alloc") ? NULL : sh_heap_alloc(n, size);
}

static int hist_minus(struct shunt_hist **out, const struct shunt_hist *newer, const struct shunt_hist *older)
{
	int rc;

	*out = NULL; /* the struct copy carried the newer's pointer */
	rc = shunt_hist_create(out);
	if (rc != 0)
		return rc;
	shunt_hist_copy(*out, newer);
	return older ? shunt_hist_subtract(*out, older) : 0;
}

static const struct shunt_series *series_match(const struct shunt_snapshot *s, const struct shunt_series *want)
{
	size_t i;

	for (i = 0; i < s->series_n; i++)
		if (s->series[i].level == want->level && s->series[i].type_id.v == want->type_id.v)
			return &s->series[i];
	return NULL;
}

static const struct shunt_worker_info *worker_match(const struct shunt_snapshot *s, const struct shunt_worker_info *want)
{
	size_t i;

	for (i = 0; i < s->workers_n; i++)
		if (s->workers[i].index == want->index && s->workers[i].pool_id.v == want->pool_id.v)
			return &s->workers[i];
	return NULL;
}

static int diff_series(struct shunt_snapshot *d, const struct shunt_snapshot *newer, const struct shunt_snapshot *older)
{
	size_t i;
	int rc = 0;

	d->series = array_like(newer->series_n, sizeof(*d->series));
	if (!d->series)
		return SHUNT_ENOMEM;
	for (i = 0; i < newer->series_n && rc == 0; i++) {
		const struct shunt_series *n = &newer->series[i];
		const struct shunt_series *o = series_match(older, n);
		struct shunt_series *s = &d->series[i];

		*s = *n;
		s->queue = s->run = s->total = NULL;
		d->series_n = i + 1;
		s->done -= o ? o->done : 0;
		s->failed -= o ? o->failed : 0;
		s->cancelled -= o ? o->cancelled : 0;
		rc = hist_minus(&s->queue, n->queue, o ? o->queue : NULL);
		if (rc == 0)
			rc = hist_minus(&s->run, n->run, o ? o->run : NULL);
		if (rc == 0)
			rc = hist_minus(&s->total, n->total, o ? o->total : NULL);
	}
	return rc;
}

static int diff_workers(struct shunt_snapshot *d, const struct shunt_snapshot *newer, const struct shunt_snapshot *older)
{
	size_t i;
	int rc = 0;

	d->workers = array_like(newer->workers_n, sizeof(*d->workers));
	if (!d->workers)
		return SHUNT_ENOMEM;
	for (i = 0; i < newer->workers_n && rc == 0; i++) {
		const struct shunt_worker_info *n = &newer->workers[i];
		const struct shunt_worker_info *o = worker_match(older, n);
		struct shunt_worker_info *w = &d->workers[i];

		*w = *n;
		w->queue = w->run = NULL;
		d->workers_n = i + 1;
		w->jobs -= o ? o->jobs : 0;
		w->stolen -= o ? o->stolen : 0;
		w->parks -= o ? o->parks : 0;
		w->wakes -= o ? o->wakes : 0;
		w->busy_ns -= o ? o->busy_ns : 0;
		w->replaced -= o ? o->replaced : 0;
		rc = hist_minus(&w->queue, n->queue, o ? o->queue : NULL);
		if (rc == 0)
			rc = hist_minus(&w->run, n->run, o ? o->run : NULL);
	}
	return rc;
}

static int diff_pools(struct shunt_snapshot *d, const struct shunt_snapshot *newer, const struct shunt_snapshot *older)
{
	size_t i, k;

	d->pools = array_like(newer->pools_n, sizeof(*d->pools));
	if (!d->pools)
		return SHUNT_ENOMEM;
	d->pools_n = newer->pools_n;
	for (i = 0; i < newer->pools_n; i++) {
		d->pools[i] = newer->pools[i];
		for (k = 0; k < older->pools_n; k++) {
			if (older->pools[k].id.v != newer->pools[i].id.v)
				continue;
			d->pools[i].submitted -= older->pools[k].submitted;
			d->pools[i].finished -= older->pools[k].finished;
			d->pools[i].rejected_full -= older->pools[k].rejected_full;
			d->pools[i].ran_inline -= older->pools[k].ran_inline;
		}
	}
	return 0;
}

int shunt_snapshot_diff(const struct shunt_snapshot *newer, const struct shunt_snapshot *older, struct shunt_snapshot **out)
{
	struct shunt_snapshot *d;
	int rc;

	sh_error_detail_clear();
	if (!newer || !older || !out)
		return sh_error_set(SHUNT_EINVAL, "snapshot: " SH_NO_ARGUMENT);
	*out = NULL;
	if (newer->ordinal == 0 || older->ordinal == 0)
		return sh_error_set(SHUNT_EINVAL, "snapshot: one is a difference; want two that were taken");
	if (newer->serial != older->serial)
		return sh_error_set(SHUNT_EINVAL, "snapshot: of %s and %s; want two of one runtime",
				    newer->runtime.name, older->runtime.name);
	if (newer->ordinal < older->ordinal)
		return sh_error_set(SHUNT_EINVAL, "snapshot: the older one was taken later; swap them");
	d = SH_FAIL("snapshot.alloc") ? NULL : sh_heap_alloc(1, sizeof(*d));
	if (!d)
		return SHUNT_ENOMEM;
	*d = *newer;
	d->ordinal = 0;
	d->pools = NULL;
	d->workers = NULL;
	d->series = NULL;
	d->pools_n = d->workers_n = d->series_n = 0;
	rc = diff_pools(d, newer, older);
	if (rc == 0)
		rc = diff_workers(d, newer, older);
	if (rc == 0)
		rc = diff_series(d, newer, older);
	if (rc != 0) {
		shunt_snapshot_destroy(d);
		return rc;
	}
	*out = d;
	return 0;
}
