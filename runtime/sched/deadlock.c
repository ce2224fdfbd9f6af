/* sched/deadlock.c - see deadlock.h. SPDX-License-Identifier: MIT */
#include "sched/deadlock.h"

#include <string.h>

#include <shunt/error.h>

#include "sched/record.h"
#include "sched/spare.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sh_sleeper *sleepers; /* sync: lock */

/* What stands between a sleeper and what it waits for. */
struct obstacle {
	const struct sh_sleeper *s;
	uint32_t pool, strand, worker; /* of a queued job; SHUNT_ANY = none */
	bool none;                     /* what it waits for has ended, or nobody can be in its way */
};

static bool group_over(struct shunt_runtime *rt, struct shunt_group_id group)
{
	const struct sh_group *g = sh_slab_at(&rt->groups, sh_group_index(group));
	/* mo rlx: an old value is as if the sleeper had not been seen awake. */
	uint64_t w = sh_a64_load_rlx(&g->state);

	return (w & SH_GROUP_PENDING) == 0 || w >> SH_GROUP_GEN_SHIFT != group.v >> SH_GROUP_INDEX_BITS;
}

static void look(struct obstacle *o, const struct sh_sleeper *s)
{
	const struct sh_record *t;
	uint32_t flags, status;

	*o = (struct obstacle){ s, 0, SHUNT_ANY, SHUNT_ANY, false };
	if (s->handle == 0) {
		o->none = group_over(s->rt, s->group);
		return;
	}
	flags = sh_record_flags(s->rt, s->handle);
	status = flags & SH_RECORD_STATUS;
	o->none = status != SH_RECORD_QUEUED && status != SH_RECORD_RUNNING && status != SH_RECORD_FINISHING;
	if (status != SH_RECORD_QUEUED)
		return;
	t = sh_record_at(s->rt, s->handle);
	o->pool = flags >> SH_RECORD_POOL_SHIFT & 1023u;
	/* mo rlx: published with the flags; looked at again below, if they are a later job's. */
	if (flags & SH_RECORD_LINKED)
		o->strand = sh_a32_load_rlx(&t->strand);
	else if (!(flags & SH_RECORD_HELPED))
		o->worker = sh_a32_load_rlx(&t->worker); /* mo rlx: as above. */
	status = sh_record_flags(s->rt, s->handle) & SH_RECORD_STATUS;
	o->none = status != SH_RECORD_QUEUED || (o->strand == SHUNT_ANY && o->worker == SHUNT_ANY);
}

/* Does the job of ctx, on the stack of a thread that sleeps, keep what o->s waits for from ending? */
static bool in_the_way(const struct shunt_job_ctx *ctx, const struct obstacle *o)
{
	const struct sh_sleeper *s = o->s;
	const struct sh_worker *w = ctx->worker;

	const bool awaited = s->handle != 0 ? ctx->handle == s->handle : ctx->group == sh_group_index(s->group);
	/* another thread may complete an asynchronous job, which hands its strand on */
	const bool holds = ctx->rt == s->rt && !ctx->async;

	if (holds && awaited)
		return true;
	if (!w || w->pool->rt != s->rt || w->pool->index != o->pool)
		return false;
	return (holds && o->strand != SHUNT_ANY && ctx->strand == o->strand + 1) || w->slot == o->worker;
}

static bool stack_in_the_way(const struct sh_sleeper *of, const struct obstacle *o)
{
	for (const struct shunt_job_ctx *c = of->ctx; c; c = c->outer)
		if (in_the_way(c, o))
			return true;
	return false;
}

/* Under the lock: do the waits that begin with that of `me` lead back to it? */
static bool circle(struct sh_sleeper *me)
{
	struct sh_sleeper *reached = me;
	struct obstacle o;

	for (struct sh_sleeper *s = sleepers; s; s = s->next)
		s->seen = false;
	while (reached) {
		struct sh_sleeper *at = reached;

		reached = at->reached;
		look(&o, at);
		if (o.none)
			continue;
		if (stack_in_the_way(me, &o))
			return true;
		for (struct sh_sleeper *s = sleepers; s; s = s->next) {
			if (s->seen || s->deadline_ns < me->deadline_ns || !stack_in_the_way(s, &o))
				continue;
			s->seen = true;
			s->reached = reached;
			reached = s;
		}
	}
	return false;
}

static int list_join(struct sh_sleeper *s)
{
	bool refused;

	(void)pthread_mutex_lock(&lock);
	refused = circle(s);
	if (!refused) {
		s->next = sleepers;
		s->link = &sleepers;
		if (sleepers)
			sleepers->link = &s->next;
		sleepers = s;
	}
	(void)pthread_mutex_unlock(&lock);
	if (!refused)
		return 0;
	s->rt = NULL;
	return SHUNT_EDEADLK;
}

int sh_sleeper_begin(struct sh_sleeper *s, struct shunt_runtime *rt, uint64_t handle, struct shunt_group_id group,
		     uint64_t deadline_ns)
{
	struct shunt_job_ctx *ctx = sh_current_ctx(rt);

	memset(s, 0, sizeof(*s));
	s->ctx = sh_current_innermost();
	if (!s->ctx)
		return 0;
	s->rt = rt;
	s->handle = handle;
	s->group = group;
	s->deadline_ns = deadline_ns;
	if (list_join(s) != 0)
		return SHUNT_EDEADLK;
	if (ctx && ctx->worker) {
		int rc = sh_block_begin(ctx, deadline_ns);

		if (rc != 0) {
			sh_sleeper_end(s);
			return rc == SHUNT_ETIMEDOUT ? rc : SHUNT_EDEADLK;
		}
		s->blocked = ctx;
		return 0;
	}
	/* another runtime's worker: as well as it can */
	ctx = sh_current_innermost();
	while (ctx && !ctx->worker)
		ctx = ctx->outer;
	if (ctx && sh_block_begin(ctx, deadline_ns) == 0)
		s->blocked = ctx;
	return 0;
}

void sh_sleeper_end(struct sh_sleeper *s)
{
	struct shunt_job_ctx *ctx = s->blocked;

	if (s->rt && !sh_runtime_forked(s->rt)) { /* a child's list is empty */
		(void)pthread_mutex_lock(&lock);
		*s->link = s->next;
		if (s->next)
			s->next->link = s->link;
		(void)pthread_mutex_unlock(&lock);
	}
	s->rt = NULL;
	s->blocked = NULL;
	if (ctx)
		shunt_block_end(ctx);
}

void sh_sleepers_forked(void)
{
	(void)pthread_mutex_init(&lock, NULL);
	sleepers = NULL;
}
