/*
 * tests/guest/world.c - a runtime with one pool for the checks of the guest program: jobs that report where they ran,
 * and gates that hold workers, so that what is queued can be looked at and who runs next is known.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sched/pool.h"
#include "sched/world.h"

#define JOBS_MAX 32768u /* large enough for full caches of free jobs, 2 MiB of descriptors */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool open_gate[SHUNT_WORKERS_MAX]; /* sync: lock */
static uint32_t held;                     /* sync: lock; gates that run */
static uint32_t turns;                    /* sync: lock; jobs that reported */

static void log_line(void *arg, enum shunt_log_level level, const char *message)
{
	struct world *w = arg;
	size_t at;

	(void)level;
	(void)pthread_mutex_lock(&lock);
	at = strlen(w->log);
	(void)snprintf(w->log + at, sizeof(w->log) - at, "%s\n", message);
	(void)pthread_mutex_unlock(&lock);
}

static int report(struct shunt_job_ctx *ctx, void *arg)
{
	struct seen *seen = arg;
	unsigned cpu = 0, node = 0;

	seen->mask = truth_affinity();
	(void)getcpu(&cpu, &node);
	seen->cpu = (int)cpu;
	seen->node = node;
	seen->worker = shunt_job_worker(ctx);
	(void)pthread_mutex_lock(&lock);
	seen->turn = ++turns;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&lock);
	return SHUNT_DONE;
}

static int gate(struct shunt_job_ctx *ctx, void *arg)
{
	(void)arg;
	(void)pthread_mutex_lock(&lock);
	held++;
	(void)pthread_cond_broadcast(&changed);
	while (!open_gate[shunt_job_worker(ctx)])
		(void)pthread_cond_wait(&changed, &lock);
	held--;
	(void)pthread_mutex_unlock(&lock);
	return SHUNT_DONE;
}

/* With the lock held: until *value is at least n, or much too late. */
static bool reaches(const uint32_t *value, uint32_t n)
{
	struct timespec limit;

	(void)clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += (time_t)(GUEST_LONG_NS / 1000000000u);
	while (*value < n) {
		if (pthread_cond_timedwait(&changed, &lock, &limit) != 0)
			return false;
	}
	return true;
}

static int types_open(struct world *w)
{
	struct shunt_type_opts o = SHUNT_TYPE_OPTS_INIT;
	int rc;

	o.name = "report";
	o.pool = w->pool;
	o.handler = report;
	rc = shunt_type_create(w->rt, &o, &w->type);
	o.name = "gate";
	o.handler = gate;
	return rc < 0 ? rc : shunt_type_create(w->rt, &o, &w->gate);
}

int world_open(struct world *w, const char *place, enum shunt_pin_policy pin, uint32_t workers,
	       const struct shunt_pool_opts *extra)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	int rc;

	ro.cpu_mask = SHUNT_MASK_CALLER; /* no word of the cpus that the guest was not given */
	memset(w, 0, sizeof(*w));
	memset(open_gate, 0, sizeof(open_gate));
	held = turns = 0;
	ro.jobs_max = JOBS_MAX;
	ro.log = log_line;
	ro.log_arg = w;
	rc = shunt_runtime_create(&w->rt, &ro);
	if (rc < 0)
		return rc;
	if (extra)
		po = *extra;
	po.name = "guest";
	po.place = place;
	po.pin = pin;
	po.workers = workers;
	po.idle = SHUNT_IDLE_PARK;
	rc = shunt_pool_create(w->rt, &po, &w->pool);
	if (rc == SHUNT_OK)
		rc = types_open(w);
	if (rc < 0) {
		(void)shunt_runtime_destroy(w->rt, NULL);
		w->rt = NULL;
		return rc;
	}
	w->in = sh_runtime_pool(w->rt, w->pool.v);
	return SHUNT_OK;
}

void world_close(struct world *w)
{
	uint64_t cancelled = 0;

	if (!w->rt)
		return;
	world_release_all(w);
	CHECK(shunt_runtime_drain(w->rt, GUEST_LONG_NS, NULL) == SHUNT_OK, "every job ended");
	CHECK(shunt_runtime_destroy(w->rt, &cancelled) == 0 && cancelled == 0, "nothing was left to cancel");
	w->rt = NULL;
}

int world_submit(struct world *w, struct seen *seen, uint16_t flags, uint32_t where)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec spec;

	memset(&spec, 0, sizeof(spec));
	memset(seen, 0, sizeof(*seen));
	spec.type = w->type;
	spec.arg = seen;
	spec.flags = flags;
	opts.worker = flags & SHUNT_JOB_ON_WORKER ? where : 0;
	opts.node = flags & SHUNT_JOB_ON_NODE ? where : 0;
	spec.opts = flags ? &opts : NULL;
	return shunt_submit(w->rt, &spec, NULL);
}

int world_run(struct world *w, struct seen *seen, uint16_t flags, uint32_t where)
{
	uint32_t before;
	bool ran;
	int rc;

	(void)pthread_mutex_lock(&lock);
	before = turns;
	(void)pthread_mutex_unlock(&lock);
	rc = world_submit(w, seen, flags, where);
	if (rc < 0)
		return rc;
	(void)pthread_mutex_lock(&lock);
	ran = reaches(&turns, before + 1);
	(void)pthread_mutex_unlock(&lock);
	return ran ? SHUNT_OK : SHUNT_ETIMEDOUT;
}

bool world_hold(struct world *w)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec spec;
	bool ok = true;

	memset(&spec, 0, sizeof(spec));
	spec.type = w->gate;
	spec.flags = SHUNT_JOB_ON_WORKER;
	spec.opts = &opts;
	for (uint32_t i = 0; i < w->in->workers; i++) {
		opts.worker = i;
		ok = shunt_submit(w->rt, &spec, NULL) == SHUNT_OK && ok;
	}
	(void)pthread_mutex_lock(&lock);
	ok = ok && reaches(&held, w->in->workers);
	(void)pthread_mutex_unlock(&lock);
	return ok;
}

void world_release(struct world *w, uint32_t worker)
{
	(void)w;
	(void)pthread_mutex_lock(&lock);
	open_gate[worker] = true;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&lock);
}

void world_release_all(struct world *w)
{
	for (uint32_t i = 0; i < w->in->workers; i++)
		world_release(w, i);
}

bool world_ran(struct world *w, uint32_t n)
{
	bool ok;

	(void)w;
	(void)pthread_mutex_lock(&lock);
	ok = reaches(&turns, n);
	(void)pthread_mutex_unlock(&lock);
	return ok;
}

uint32_t world_queued(const struct world *w, uint32_t worker)
{
	uint64_t n = 0;

	for (uint32_t l = 0; l < w->in->levels; l++)
		n += sh_ring_count(&w->in->worker[worker]->ring[l]);
	return (uint32_t)n;
}
