/* sched/deadlock.c - see deadlock.h. SPDX-License-Identifier: MIT */
#include "sched/deadlock.h"

#include <string.h>

#include <shunt/error.h>

#include "base/clock.h"
#include "sched/queued.h"
#include "sched/record.h"
#include "sched/strand.h"

#define STEP_NS 1000000u /* of a sleep while a spare is on its way */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sh_sleeper *sleepers; /* sync: lock */

/* What stands between a sleeper and what it waits for. */
struct obstacle {
	const struct sh_sleeper *s;
	uint32_t pool, strand, worker; /* of a queued job; SHUNT_ANY = none */
	uint32_t routes;               /* of a group's members: SH_GROUP_HAS_ bits */
	/* pools that nobody serves any more, where it is queued, or a member */
	const struct sh_pool *unserved[SH_GROUP_POOLS];
	uint32_t unserved_n;
	bool none; /* what it waits for has ended, or nobody can be in its way */
};

static bool group_over(struct shunt_runtime *rt, struct shunt_group_id group)
{
	const struct sh_group *g = sh_slab_at(&rt->groups, sh_group_index(group));
	/* mo rlx: an old value is as if the sleeper had not been seen awake. */
	uint64_t w = sh_a64_load_rlx(&g->state);

	return (w & SH_GROUP_PENDING) == 0 || w >> SH_GROUP_GEN_SHIFT != group.v >> SH_GROUP_INDEX_BITS;
}

/* The worker whose thread sleeps; NULL = it is none's. */
static const struct sh_worker *worker_of(const struct sh_sleeper *s)
{
	const struct shunt_job_ctx *c = s->ctx;

	while (c && !c->worker)
		c = c->outer;
	return c ? c->worker : NULL;
}

static bool serves(const struct sh_sleeper *s, const struct sh_pool *p)
{
	const struct sh_worker *w = worker_of(s);

	return w && w->pool == p;
}

/*
 * Under the lock: the pool, if all of its threads sleep, without a spare in their place; else NULL. The table may name
 * a pool that is about to be freed; that of a thread that sleeps is not.
 */
static const struct sh_pool *unserved(const struct shunt_runtime *rt, uint32_t index)
{
	const struct sh_pool *p = NULL;
	uint32_t n = 0, threads;

	for (const struct sh_sleeper *s = sleepers; s; s = s->next) {
		const struct sh_worker *w = worker_of(s);

		if (!s->settled || !w || w->pool->rt != rt || w->pool->index != index)
			continue;
		p = w->pool;
		n++;
	}
	if (!p)
		return NULL;
	/* mo rlx: a spare that begins, and is not seen, is one thread more: no circle is found. */
	threads = p->workers + sh_a32_load_rlx(&p->spares_active);
	/* mo rlx: who stops it ends what is queued. */
	return n >= threads && sh_a32_load_rlx(&p->stop) == 0 ? p : NULL;
}

/* Under the lock: the pools that nobody serves any more, where a member of the group is queued. */
static void look_group(struct obstacle *o, const struct sh_group *g, uint32_t index)
{
	for (uint32_t i = 0; i < SH_GROUP_POOLS; i++) {
		uint32_t at = sh_a32_load_rlx(&g->where[i]) >> SH_GROUP_POOL_SHIFT; /* mo rlx: as `routes`. */
		const struct sh_pool *p = at == 0 ? NULL : unserved(o->s->rt, at - 1u);

		if (p && sh_queued_member(p, index, (o->routes & SH_GROUP_HAS_KEY) != 0))
			o->unserved[o->unserved_n++] = p;
	}
}

static void look(struct obstacle *o, const struct sh_sleeper *s)
{
	const struct sh_record *t;
	const struct sh_pool *p;
	uint32_t flags, status;

	*o = (struct obstacle){ .s = s, .pool = SHUNT_ANY, .strand = SHUNT_ANY, .worker = SHUNT_ANY };
	if (s->handle == 0) {
		const struct sh_group *g = sh_slab_at(&s->rt->groups, sh_group_index(s->group));

		o->none = group_over(s->rt, s->group);
		o->routes = sh_a32_load_rlx(&g->routes); /* mo rlx: published by the count, or the setter wakes it. */
		if (!o->none)
			look_group(o, g, sh_group_index(s->group));
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
	o->none = status != SH_RECORD_QUEUED;
	p = o->none ? NULL : unserved(s->rt, o->pool);
	if (p)
		o->unserved[o->unserved_n++] = p;
}

/* Is a member of the group behind the job of ctx, in the strand that it holds? */
static bool member_behind(const struct shunt_job_ctx *ctx, const struct obstacle *o)
{
	const struct sh_sleeper *s = o->s;

	if (ctx->strand == 0 || !(o->routes & SH_GROUP_HAS_KEY))
		return false;
	return sh_strand_has_member(s->rt, &ctx->worker->pool->strand[ctx->strand - 1u], sh_group_index(s->group));
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
	if (!w || w->pool->rt != s->rt)
		return false;
	if (s->handle == 0)
		return holds && member_behind(ctx, o);
	if (w->pool->index != o->pool)
		return false;
	return (holds && o->strand != SHUNT_ANY && ctx->strand == o->strand + 1) || w->slot == o->worker;
}

static bool stack_in_the_way(const struct sh_sleeper *of, const struct obstacle *o)
{
	const struct sh_worker *w = o->routes & SH_GROUP_HAS_PINNED ? worker_of(of) : NULL;

	if (w && w->pool->rt == o->s->rt && sh_queued_pinned(w, sh_group_index(o->s->group)))
		return true;
	for (const struct shunt_job_ctx *c = of->ctx; c; c = c->outer)
		if (in_the_way(c, o))
			return true;
	return false;
}

/* A sleeper counts for `me`, unless it ends by itself before half of the time of `me` is over. */
static bool lasts(const struct sh_sleeper *s, uint64_t left_ns)
{
	return sh_clock_left(s->deadline_ns) >= left_ns / 2;
}

/* Were all reached that could serve the pool? */
static bool all_seen(const struct sh_pool *p)
{
	for (const struct sh_sleeper *s = sleepers; s; s = s->next)
		if (!s->seen && serves(s, p))
			return false;
	return true;
}

/* Is what `at` waits for held up by one that was reached, or by all that could serve its queue? */
static bool held_up(const struct sh_sleeper *at, const struct sh_sleeper *me)
{
	struct obstacle o;

	look(&o, at);
	if (o.none)
		return false;
	if (stack_in_the_way(me, &o))
		return true;
	for (const struct sh_sleeper *s = sleepers; s; s = s->next)
		if (s != me && s->seen && stack_in_the_way(s, &o))
			return true;
	for (uint32_t i = 0; i < o.unserved_n; i++)
		if (all_seen(o.unserved[i]))
			return true;
	return false;
}

/*
 * Under the lock: of those that were reached, what some wait for may come from one that is not held up. They are left
 * out, until the others hold up each other for ever. Is `me` one of these?
 */
static bool stuck(struct sh_sleeper *me)
{
	bool changed = true;

	while (changed && held_up(me, me)) {
		changed = false;
		for (struct sh_sleeper *s = sleepers; s; s = s->next) {
			if (s == me || !s->seen || held_up(s, me))
				continue;
			s->seen = false;
			changed = true;
		}
	}
	return !changed;
}

static bool serves_any(const struct sh_sleeper *s, const struct obstacle *o)
{
	for (uint32_t i = 0; i < o->unserved_n; i++)
		if (serves(s, o->unserved[i]))
			return true;
	return false;
}

/*
 * Under the lock: do the waits that begin with that of `me` lead back to it, so that it would never end? `queues`: only
 * by way of a queue that nobody serves any more.
 */
static bool circle(struct sh_sleeper *me, bool queues)
{
	const uint64_t left_ns = sh_clock_left(me->deadline_ns);
	struct sh_sleeper *reached = me;
	bool back = false, sure = true;
	struct obstacle o;

	for (struct sh_sleeper *s = sleepers; s; s = s->next)
		s->seen = false;
	me->seen = true;
	me->reached = NULL;
	while (reached) {
		struct sh_sleeper *at = reached;

		reached = at->reached;
		look(&o, at);
		if (o.none)
			continue;
		if (stack_in_the_way(me, &o)) {
			back = true;
			if (sure && !queues)
				return true;
		}
		back = back || serves_any(me, &o);
		sure = sure && o.unserved_n == 0; /* one of them that goes on is enough */
		for (struct sh_sleeper *s = sleepers; s; s = s->next) {
			if (s->seen || !lasts(s, left_ns) || !(stack_in_the_way(s, &o) || serves_any(s, &o)))
				continue;
			s->seen = true;
			s->reached = reached;
			reached = s;
		}
	}
	return back && !sure && stuck(me);
}

static int list_join(struct sh_sleeper *s)
{
	bool refused;

	(void)pthread_mutex_lock(&lock);
	refused = circle(s, false);
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

/*
 * It has a spare, or knows that there is none: then it asks again. So it does if it only seemed that there is one,
 * while others did not count as blocked any more, and not yet again.
 */
static int list_settle(struct sh_sleeper *s, bool none)
{
	const struct sh_worker *w = worker_of(s);
	bool refused;

	(void)pthread_mutex_lock(&lock);
	s->settled = true;
	refused = (none || (w && sh_pool_spare_short(w->pool))) && circle(s, true);
	(void)pthread_mutex_unlock(&lock);
	return refused ? SHUNT_EDEADLK : 0;
}

/* May it sleep without a spare? For another runtime's job, and where who stops the pool ends what is queued. */
static bool may_go_without(const struct sh_sleeper *s)
{
	/* mo rlx: set before the spare is refused, under a lock. */
	return s->blocked->rt != s->rt || sh_a32_load_rlx(&s->blocked->worker->pool->stop) != 0;
}

/*
 * What sh_block_ask or sh_block_look said. It sleeps meanwhile if a spare is on its way; without one, if there is none
 * and it may, unless that closes a circle.
 */
static int spare_said(struct sh_sleeper *s, int rc)
{
	if (rc == SHUNT_EAGAIN || rc == SHUNT_ETIMEDOUT)
		return 0;
	if (rc == 0 || (rc == SHUNT_ELIMIT && may_go_without(s)))
		return list_settle(s, rc != 0);
	return SHUNT_EDEADLK;
}

int sh_sleeper_look(struct sh_sleeper *s, uint64_t *left_ns)
{
	int rc;

	if (!s->rt || s->settled)
		return 0;
	rc = spare_said(s, sh_block_look(s->blocked, &s->ask, 0));
	if (!s->settled && *left_ns > STEP_NS)
		*left_ns = STEP_NS;
	return rc;
}

int sh_sleeper_again(struct sh_sleeper *s)
{
	bool refused;

	if (!s->rt)
		return 0;
	(void)pthread_mutex_lock(&lock);
	refused = circle(s, false);
	(void)pthread_mutex_unlock(&lock);
	return refused ? SHUNT_EDEADLK : 0;
}

int sh_sleeper_begin(struct sh_sleeper *s, struct shunt_runtime *rt, uint64_t handle, struct shunt_group_id group,
		     uint64_t deadline_ns)
{
	struct shunt_job_ctx *ctx = sh_current_ctx(rt);
	int rc;

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
	if (!ctx || !ctx->worker) /* a job of another runtime, or inline in one; in a forked child of none */
		for (ctx = sh_current_innermost(); ctx && (!ctx->worker || sh_runtime_forked(ctx->rt));)
			ctx = ctx->outer;
	rc = ctx ? sh_block_ask(ctx, &s->ask) : 0;
	if (rc != SHUNT_EFORKED)
		s->blocked = ctx;
	rc = spare_said(s, rc);
	if (rc != 0)
		sh_sleeper_end(s);
	return rc;
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
