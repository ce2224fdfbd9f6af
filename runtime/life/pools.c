/*
 * life/pools.c - pools by name: create, find, destroy. Called by users through
 * include/shunt/runtime.h. Each call but find blocks on the control lock. Destroy then blocks, without
 * it, until submits have left and threads ended.
 *
 * SPDX-License-Identifier: MIT
 */

#include <string.h>

#include "base/error.h"
#include "base/thread.h"
#include "life/control.h"
#include "life/drain.h"
#include "life/grace.h"
#include "life/options.h"
#include "life/pool.h"
#include "life/pool_stop.h"
#include "lockfree/registry.h"
#include "sched/inherit.h"
#include "sched/submitter.h"

/* The id of the next pool: of the first free entry, with a generation that it never had. 0 = no entry is left. */
static uint32_t pool_id_free(struct shunt_runtime *rt)
{
	for (uint32_t i = 0; i < SHUNT_POOLS_MAX; i++)
		if (!sh_runtime_pool_at(rt, i) && !rt->pool_leaving[i] && rt->pool_generation[i] < SH_ID_GENERATIONS)
			return sh_id_make(i, rt->pool_generation[i]);
	return 0;
}

/*
 * Ends a pool that is in no table, perhaps half made: what takes long, without the lock. Its entry is free when that is
 * done. `used`: it is whole, and items of jobs that were cancelled may be left in it.
 */
static void pool_end(struct shunt_runtime *rt, struct sh_pool *p, bool used)
{
	uint32_t index = p->index;

	sh_pool_stop(p);
	sh_pool_wait_stopped(p);
	if (used)
		(void)sh_pool_cancel_queued(p);
	sh_pool_free(p, false);
	(void)pthread_mutex_lock(&rt->control);
	rt->pool_leaving[index] = false;
	(void)pthread_mutex_unlock(&rt->control);
}

int shunt_pool_create(struct shunt_runtime *rt, const struct shunt_pool_opts *opts, struct shunt_pool_id *out)
{
	struct sh_control control;
	struct shunt_pool_opts o;
	struct sh_submitter *call;
	struct sh_pool *p = NULL;
	uint32_t id = 0;
	SH_NO_CANCEL;
	int rc;

	sh_error_detail_clear();
	if (!opts || !out)
		return sh_error_set(SHUNT_EINVAL, "pool: " SH_NO_ARGUMENT);
	out->v = 0;
	rc = sh_control_enter(rt, &control);
	if (rc != 0)
		return rc;
	rc = sh_opts_pool(rt, opts, &o);
	if (rc == 0 && sh_registry_find(rt->pool_names, o.name, &(uint32_t){ 0 }))
		rc = SHUNT_EEXIST;
	if (rc == 0) {
		id = pool_id_free(rt);
		if (id == 0)
			rc = sh_error_set(SHUNT_ELIMIT, "pools.%s: one too many; want at most %d", o.name, SHUNT_POOLS_MAX);
	}
	if (rc == 0)
		rc = sh_pool_create(rt, &o, id, &p);
	if (rc == 0)
		rc = sh_registry_put(rt->pool_names, p->name, id);
	if (rc == 0) {
		rt->pool_generation[p->index]++;
		/* mo pool.1 -> pool.1@sched/world.h: the complete pool. */
		sh_aptr_store_rel(&rt->pool[p->index], p);
		out->v = id;
	} else if (p) {
		rt->pool_leaving[p->index] = true;
	}
	call = sh_call_begin(rt);
	sh_control_leave(rt, &control);
	if (rc != 0 && p)
		pool_end(rt, p, false);
	sh_call_end(rt, call);
	if (rc != 0 && !shunt_error_detail()[0])
		sh_error_detail("pools.%s: %s", o.name, shunt_strerror(rc));
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

/* What a pool finished stays counted after its removal: so do its types' accepted jobs. */
static void pool_retire_counts(struct shunt_runtime *rt, struct sh_pool *p)
{
	uint32_t n = sh_a32_load_acq(&p->slots); /* mo slots.1 <- slots.1@life/pool.c: complete workers. */
	uint32_t t, i;

	for (t = 0; t < rt->types_used; t++) {
		for (i = 0; i < n; i++)
			/* mo count.1 <- count.1@sched/account.h, count.1@sched/run.c: what the jobs did. */
			rt->retired[t] += sh_a64_load_acq(&p->worker[i]->finished[t]);
		/* mo count.1 <- count.1@sched/account.h, count.1@sched/run.c: what the jobs did. */
		rt->retired[t] += sh_a64_load_acq(&p->outside_finished[t]);
	}
}

/* Takes the pool out of all tables; its entry stays reserved. *out = the pool, which is the caller's alone. */
static int pool_take(struct shunt_runtime *rt, uint32_t id, struct sh_pool **out)
{
	struct sh_control control;
	struct sh_pool *p;
	int rc = sh_control_enter(rt, &control);

	if (rc != 0)
		return rc;
	*out = p = sh_runtime_pool(rt, id);
	if (!p)
		rc = sh_error_set(SHUNT_ENOENT, "pool %u: there is none; want one of shunt_pool_create", id);
	else if (p->types > 0)
		rc = sh_error_set(SHUNT_EBUSY, "pool %s: %u types name it; destroy them first", p->name, p->types);
	if (rc == 0) {
		sh_control_drop_name(rt, rt->pool_names, p->name);
		rt->pool_leaving[p->index] = true;
		sh_boosts_pool_gone(rt, p->index);
		pool_retire_counts(rt, p); /* all its jobs have ended */
	}
	sh_control_leave(rt, &control);
	return rc;
}

int shunt_pool_destroy(struct shunt_runtime *rt, struct shunt_pool_id pool)
{
	struct sh_submitter *call;
	struct sh_pool *p = NULL;
	char name[SHUNT_NAME_MAX];
	SH_NO_CANCEL;
	int rc = sh_control_outside(rt);

	if (rc != 0)
		return rc;
	call = sh_call_begin(rt);
	rc = pool_take(rt, pool.v, &p);
	if (rc == 0) {
		memcpy(name, p->name, sizeof(name));
		sh_grace_wait(rt);
		pool_end(rt, p, true);
		sh_log_write(&rt->log, SHUNT_LOG_INFO, "pool %s: destroyed", name);
	}
	sh_call_end(rt, call);
	return rc;
}
