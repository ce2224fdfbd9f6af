/* sched/deadlock.c - see deadlock.h. SPDX-License-Identifier: MIT */
#include "sched/deadlock.h"

#include <string.h>

#include <shunt/error.h>

#include "sched/record.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sh_sleeper *sleepers; /* sync: lock */

/* What stands between a sleeper and what it waits for. */
struct obstacle {
	const struct sh_sleeper *s;
	uint32_t pool, strand, worker; /* of a queued job; SHUNT_ANY = none */
	bool over;                     /* the job has ended: the sleeper is about to wake up */
};

static void look(struct obstacle *o, const struct sh_sleeper *s)
{
	const struct sh_record *t;
	uint32_t flags, status;

	*o = (struct obstacle){ s, 0, SHUNT_ANY, SHUNT_ANY, false };
	if (s->handle == 0)
		return;
	flags = sh_record_flags(s->rt, s->handle);
	status = flags & SH_RECORD_STATUS;
	o->over = status != SH_RECORD_QUEUED && status != SH_RECORD_RUNNING && status != SH_RECORD_FINISHING;
	if (status != SH_RECORD_QUEUED)
		return;
	t = sh_record_at(s->rt, s->handle);
	o->pool = flags >> SH_RECORD_POOL_SHIFT & 1023u;
	if (flags & SH_RECORD_LINKED)
		o->strand = t->strand;
	else if (!(flags & SH_RECORD_HELPED))
		o->worker = t->worker;
}

/* Does the job of ctx, on the stack of a thread that sleeps, keep what o->s waits for from ending? */
static bool in_the_way(const struct shunt_job_ctx *ctx, const struct obstacle *o)
{
	const struct sh_sleeper *s = o->s;
	const struct sh_worker *w = ctx->worker;

	/* another thread may complete an asynchronous job */
	if (ctx->rt == s->rt && !ctx->async && (s->handle != 0 ? ctx->handle == s->handle : ctx->group == s->group))
		return true;
	if (!w || w->pool->rt != s->rt || w->pool->index != o->pool)
		return false;
	return (o->strand != SHUNT_ANY && ctx->rt == s->rt && ctx->strand == o->strand + 1) || w->slot == o->worker;
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
	struct sh_sleeper *todo = me;
	struct obstacle o;

	for (struct sh_sleeper *s = sleepers; s; s = s->next)
		s->seen = false;
	while (todo) {
		struct sh_sleeper *at = todo;

		todo = at->todo;
		look(&o, at);
		if (o.over)
			continue;
		if (stack_in_the_way(me, &o))
			return true;
		for (struct sh_sleeper *s = sleepers; s; s = s->next) {
			if (s->seen || s->deadline_ns < me->deadline_ns || !stack_in_the_way(s, &o))
				continue;
			s->seen = true;
			s->todo = todo;
			todo = s;
		}
	}
	return false;
}

int sh_sleeper_begin(struct sh_sleeper *s, struct shunt_runtime *rt, uint64_t handle, uint32_t group,
		     uint64_t deadline_ns)
{
	bool refused;

	memset(s, 0, sizeof(*s));
	s->ctx = sh_current_innermost();
	if (!s->ctx)
		return 0;
	s->rt = rt;
	s->handle = handle;
	s->group = group;
	s->deadline_ns = deadline_ns;
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

void sh_sleeper_end(struct sh_sleeper *s)
{
	if (!s->rt)
		return;
	(void)pthread_mutex_lock(&lock);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	(void)pthread_mutex_unlock(&lock);
	s->rt = NULL;
}

void sh_sleepers_forked(void)
{
	(void)pthread_mutex_init(&lock, NULL);
	sleepers = NULL;
}
