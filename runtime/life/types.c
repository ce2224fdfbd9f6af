/*
 * life/types.c - job types by name: create, find, destroy. Called by users through
 * include/shunt/runtime.h. Each call but find blocks on the control lock; destroy also up to its
 * timeout.
 *
 * SPDX-License-Identifier: MIT
 */

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "life/control.h"
#include "life/drain.h"
#include "life/options.h"
#include "lockfree/registry.h"
#include "sched/submitter.h"
#include "sched/part.h"

#define NO_TYPE "type %u: there is none; want one of shunt_type_create"

/*
 * What pools counted and learned of a type that has no jobs; rt->control is held. The next type of its entry starts
 * anew. What a worker counted in all stays: its histograms only grow.
 */
static void type_forget(struct shunt_runtime *rt, struct sh_type *t)
{
	const uint32_t i = (uint32_t)(t - rt->type);
	struct sh_pool *p = t->pool;
	uint32_t n = sh_a32_load_acq(&p->slots); /* mo slots.1 <- slots.1@life/pool.c: complete workers. */

	for (uint32_t l = 0; l < p->levels; l++) {
		size_t cell = (size_t)i * p->levels + l;

		sh_stat_retire(&p->mem, &p->outside[cell], NULL);
		for (uint32_t k = 0; k < n; k++)
			sh_stat_retire(&p->mem, &p->worker[k]->stat[cell], &p->worker[k]->stat_retired);
	}
	for (uint32_t k = 0; k < n; k++)
		memset(&p->worker[k]->learned[i], 0, sizeof(p->worker[k]->learned[i]));
	p->submitted_before += sh_runtime_finished(rt, i) - t->finished_before;
}

/* Fills a free entry; rt->control is held. */
static int type_open(struct shunt_runtime *rt, const struct shunt_type_opts *o, struct shunt_type_id *out)
{
	struct sh_pool *p = sh_runtime_pool(rt, o->pool.v);
	struct sh_type *t = NULL;
	uint32_t i, id;
	int rc;

	if (!p)
		return sh_refuse(&rt->log, SHUNT_ENOENT, "types.%s.pool: no pool %u; want one of shunt_pool_create", o->name, o->pool.v);
	for (i = 0; i < SHUNT_TYPES_MAX && !t; i++)
		/* mo type.1 <- type.1@sched/submit.c: its last user. */
		if (sh_a32_load_acq(&rt->type[i].state) == SH_TYPE_FREE && rt->type[i].generation < SH_ID_GENERATIONS)
			t = &rt->type[i];
	if (!t)
		return sh_error_set(SHUNT_ELIMIT, "types.%s: one too many; want at most %d", o->name, SHUNT_TYPES_MAX);
	i = (uint32_t)(t - rt->type);
	id = sh_id_make(i, t->generation + 1);
	rc = sh_registry_put(rt->type_names, o->name, id);
	if (rc != 0)
		return sh_error_set(rc, "types.%s: %s", o->name, shunt_strerror(rc));
	t->generation++;
	t->finished_before = sh_runtime_finished(rt, i);
	t->pool = p;
	t->handler = o->handler;
	t->flags = o->flags;
	t->parts = (o->flags & SHUNT_TYPE_ASYNC ? SH_PART(ASYNC) | SH_PART(HANDLE) : 0) | (p->opts.queue_max ? SH_PART(BOUND) : 0);
	t->level = o->level ? o->level - 1u : (rt->levels > 1 ? 1u : 0u);
	(void)snprintf(t->name, sizeof(t->name), "%s", o->name);
	/* mo rlx: an estimate. */
	sh_a64_store_rlx(&t->est_ns, o->expected_ns < SH_COST_MAX ? o->expected_ns : SH_COST_MAX);
	sh_a32_store_rlx(&t->typical_of, 0); /* mo rlx: an estimate. */
	p->types++;
	if (i + 1 > rt->types_used)
		rt->types_used = i + 1;
	out->v = id;
	/* mo type.1 -> type.1@sched/submit.c: the fields before the id. */
	sh_a32_store_sc(&t->state, out->v);
	return 0;
}

int shunt_type_create(struct shunt_runtime *rt, const struct shunt_type_opts *opts, struct shunt_type_id *out)
{
	struct sh_control control;
	struct shunt_type_opts o;
	int rc;

	sh_error_detail_clear();
	if (!rt || !opts || !out)
		return sh_error_set(SHUNT_EINVAL, "type: " SH_NO_ARGUMENT);
	out->v = 0;
	rc = sh_control_enter(rt, &control);
	if (rc != 0)
		return rc;
	rc = sh_opts_type(rt, opts, &o);
	if (rc == 0)
		rc = type_open(rt, &o, out);
	if (rc == 0)
		sh_log_write(&rt->log, SHUNT_LOG_DEBUG, "type %s: created in pool %s", o.name,
			     sh_runtime_pool(rt, o.pool.v)->name);
	sh_control_leave(rt, &control);
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

static int destroy_inside(struct shunt_runtime *rt, struct shunt_type_id type, uint64_t timeout_ns)
{
	uint32_t i = sh_id_index(type.v);
	struct sh_control control;
	char name[SHUNT_NAME_MAX] = "";
	struct sh_type *t;
	uint32_t s = type.v;
	int rc;

	if (i >= SHUNT_TYPES_MAX)
		return sh_error_set(SHUNT_ENOENT, NO_TYPE, type.v);
	rc = sh_control_enter(rt, &control);
	if (rc != 0)
		return rc;
	t = &rt->type[i];
	if (t->generation != type.v >> SH_ID_BITS)
		rc = sh_error_set(SHUNT_ENOENT, NO_TYPE, type.v);
	else if (sh_a32_cas_sc(&t->state, &s, SH_TYPE_CLOSED)) /* mo type.1 -> type.1@sched/submit.c: closed, then (barrier) the counts. */
		sh_control_drop_name(rt, rt->type_names, t->name);
	else if (s != SH_TYPE_CLOSED) /* else an earlier call closed it and timed out */
		rc = sh_error_set(SHUNT_ENOENT, NO_TYPE, type.v);
	sh_control_leave(rt, &control);
	if (rc != 0)
		return rc;
	sh_gate_barrier();
	rc = sh_drain_wait(rt, i, timeout_ns, NULL);
	if (rc != 0)
		return rc;
	(void)pthread_mutex_lock(&rt->control);
	s = SH_TYPE_CLOSED;
	/*
	 * mo type.1 -> type.1@sched/submit.c: no thread uses its fields any more. A concurrent call may
	 * have been first.
	 */
	if (t->generation == type.v >> SH_ID_BITS && sh_a32_cas_sc(&t->state, &s, SH_TYPE_FREE)) {
		type_forget(rt, t);
		t->pool->types--;
		memcpy(name, t->name, sizeof(name));
	}
	(void)pthread_mutex_unlock(&rt->control);
	if (name[0])
		sh_log_write(&rt->log, SHUNT_LOG_DEBUG, "type %s: destroyed", name);
	return 0;
}

int shunt_type_destroy(struct shunt_runtime *rt, struct shunt_type_id type, uint64_t timeout_ns)
{
	struct sh_submitter *call;
	SH_NO_CANCEL;
	int rc = sh_control_outside(rt);

	if (rc != 0)
		return rc;
	call = sh_call_begin(rt);
	rc = destroy_inside(rt, type, timeout_ns);
	sh_call_end(rt, call);
	return rc;
}
