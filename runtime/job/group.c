/* job/group.c - see group.h. SPDX-License-Identifier: MIT */

#include "job/group.h"

#include <limits.h>

#include "base/clock.h"
#include "base/futex.h"
#include "job/handle.h"
#include "sched/deadlock.h"
#include "sched/inherit.h"
#include "sched/queued.h"
#include "sched/run.h"
#include "sched/submitter.h"
#include "sched/spare.h"
#include "sched/strand.h"

static inline uint64_t generation(uint64_t word)
{
	return word >> SH_GROUP_GEN_SHIFT;
}

static inline uint64_t id_generation(struct shunt_group_id id)
{
	return id.v >> SH_GROUP_INDEX_BITS;
}

static struct sh_group *group_at(struct shunt_runtime *rt, struct shunt_group_id id)
{
	uint32_t idx = sh_group_index(id);

	if (idx == 0 || id_generation(id) == 0 || idx > rt->groups.per_node * rt->groups.nodes)
		return NULL;
	return sh_slab_at(&rt->groups, idx);
}

int shunt_group_create(struct shunt_runtime *rt, struct shunt_group_id *out)
{
	struct sh_group *g;
	uint32_t idx;
	uint64_t gen;

	if (!rt || !out)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	idx = sh_slab_alloc(&rt->groups, NULL, 0);
	if (idx == 0)
		return SHUNT_EFULL;
	g = sh_slab_at(&rt->groups, idx);
	/* mo rlx: no other thread has it before it is published. */
	gen = generation(sh_a64_load_rlx(&g->state)) + 1;
	for (uint32_t i = 0; i < SH_GROUP_POOLS; i++)
		sh_a32_store_rlx(&g->where[i], 0); /* mo rlx: as above. */
	sh_a32_store_rlx(&g->routes, 0);           /* mo rlx: as above. */
	/* mo record.1 -> record.2@job/handle.c: as for handles. */
	sh_a64_store_rel(&g->state, gen << SH_GROUP_GEN_SHIFT);
	out->v = gen << SH_GROUP_INDEX_BITS | idx;
	return 0;
}

/* Remembers where the group has jobs, for its waiters' boosts. True = that is new, and there was room for it. */
static bool group_note(struct sh_group *g, const struct sh_pool *p, uint32_t levels)
{
	const uint32_t at = (p->index + 1u) << SH_GROUP_POOL_SHIFT;
	uint32_t i, w;

	for (i = 0; i < SH_GROUP_POOLS; i++) {
		w = sh_a32_load_rlx(&g->where[i]); /* mo rlx: published by the count. */
		/* mo rlx: as above. */
		if (w == 0 && sh_a32_cas_rlx(&g->where[i], &w, at | levels))
			return true;
		if (w >> SH_GROUP_POOL_SHIFT == p->index + 1u) {
			/* mo rlx: as above. */
			return (levels & ~w) != 0 && (levels & ~sh_a32_or_rlx(&g->where[i], levels)) != 0;
		}
	}
	return false;
}

static bool group_enter(struct sh_submit *s, uint32_t *index)
{
	const struct shunt_group_id id = s->spec->group;
	struct sh_group *g = group_at(s->rt, id);
	uint32_t levels = 1u << s->level;
	uint64_t w;
	bool noted;

	if (!g)
		return false;
	w = sh_a64_load_acq(&g->state); /* mo record.2 <- record.3@job/handle.c: as for handles. */
	/* one with a key is behind others of its strand */
	if (s->parts & SH_PART(KEY))
		levels |= sh_a32_load_rlx(&s->pool->strand[s->strand].levels); /* mo rlx: a hint. */
	noted = group_note(g, s->pool, levels);
	if (s->spec->flags & SHUNT_JOB_KEYED)
		(void)sh_a32_or_rlx(&g->routes, SH_GROUP_HAS_KEY); /* mo rlx: published by the count. */
	if (s->spec->flags & SHUNT_JOB_ON_WORKER)
		(void)sh_a32_or_rlx(&g->routes, SH_GROUP_HAS_PINNED); /* mo rlx: as above. */
	do {
		if (generation(w) != id_generation(id) || (w & SH_GROUP_PENDING) == SH_GROUP_PENDING)
			return false;
		/* mo record.2 <- record.3@job/handle.c: counted before the job is queued. */
	} while (!sh_a64_cas_acq_rel_acq(&g->state, &w, w + 1));
	if (sh_unlikely(noted) && (w & SH_GROUP_WAITER))
		(void)sh_futex_wake(sh_futex_low(&g->state), INT_MAX); /* its waiters boost them there, too */
	*index = sh_group_index(id);
	return true;
}

static void group_leave(struct shunt_runtime *rt, uint32_t index)
{
	struct sh_group *g = sh_slab_at(&rt->groups, index);
	uint64_t w = sh_a64_load_rlx(&g->state); /* mo rlx: re-checked by the CAS. */
	uint64_t next;

	do {
		assert((w & SH_GROUP_PENDING) > 0);
		next = w - 1;
		if ((next & SH_GROUP_PENDING) == 0)
			next &= ~(uint64_t)SH_GROUP_WAITER;
		/* mo record.4 -> record.5@job/handle.c: what the job did, before the count is lowered. */
	} while (!sh_a64_cas_acq_rel(&g->state, &w, next));
	if ((next & SH_GROUP_PENDING) != 0)
		return;
	/* mo rlx: acquired with the word. */
	if ((w & SH_GROUP_WAITER) || (sh_a32_load_rlx(&g->routes) & SH_GROUP_CLEARED))
		(void)sh_futex_wake(sh_futex_low(&g->state), INT_MAX);
}

bool sh_group_is_cancelled(struct shunt_runtime *rt, uint32_t index)
{
	struct sh_group *g = sh_slab_at(&rt->groups, index);

	/* mo rlx: a request; it becomes visible soon. */
	return (sh_a64_load_rlx(&g->state) & SH_GROUP_CANCEL) != 0;
}

static bool group_word(struct shunt_runtime *rt, struct shunt_group_id id, uint64_t *word)
{
	struct sh_group *g = group_at(rt, id);

	if (!g)
		return false;
	/* mo record.5 <- record.4@job/handle.c: what the finished jobs did. */
	*word = sh_a64_load_acq(&g->state);
	return generation(*word) == id_generation(id);
}

/* What each call does that needs no submitter: the group's word, or why there is none. */
static int group_look(struct shunt_runtime *rt, struct shunt_group_id id, uint64_t *word)
{
	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	return group_word(rt, id, word) ? 0 : SHUNT_ESTALE;
}

int64_t shunt_group_pending(struct shunt_runtime *rt, struct shunt_group_id group)
{
	uint64_t w = 0;
	int rc = group_look(rt, group, &w);

	return rc == 0 ? (int64_t)(w & SH_GROUP_PENDING) : rc;
}

int shunt_group_cancel(struct shunt_runtime *rt, struct shunt_group_id group)
{
	uint64_t w = 0;
	int rc = group_look(rt, group, &w);

	if (rc != 0)
		return rc;
	do {
		if (generation(w) != id_generation(group))
			return SHUNT_ESTALE;
		/* mo record.2 <- record.3@job/handle.c: a flag in the group's word. */
	} while (!sh_a64_cas_acq_rel_acq(&group_at(rt, group)->state, &w, w | SH_GROUP_CANCEL));
	return 0;
}

int shunt_group_destroy(struct shunt_runtime *rt, struct shunt_group_id group)
{
	uint64_t w = 0;
	int rc = group_look(rt, group, &w);

	if (rc != 0)
		return rc;
	do {
		if (generation(w) != id_generation(group))
			return SHUNT_ESTALE;
		if (w & SH_GROUP_PENDING)
			return SHUNT_EBUSY;
		/* mo record.1 -> record.2@job/handle.c: the generation is raised, so that stale ids fail. */
	} while (!sh_a64_cas_acq_rel_acq(&group_at(rt, group)->state, &w, (generation(w) + 1) << SH_GROUP_GEN_SHIFT));
	/* An entry whose generations are used up stays out of use: no id comes twice. */
	if (generation(w) + 1 < SH_GROUP_GENERATIONS)
		sh_slab_free(&rt->groups, NULL, sh_group_index(group));
	return 0;
}

/* Boosts the levels that the group has had jobs of, wherever: all of them may still be queued. */
static void group_boost(const struct sh_group *g, struct sh_boosts *boosts)
{
	for (uint32_t i = 0; i < SH_GROUP_POOLS; i++) {
		uint32_t w = sh_a32_load_rlx(&g->where[i]); /* mo rlx: acquired with the flag, or its setter sees it. */

		if (w == 0)
			return;
		sh_boost_add(boosts, (w >> SH_GROUP_POOL_SHIFT) - 1u, w & ((1u << SH_GROUP_POOL_SHIFT) - 1u), 0,
			     SHUNT_ANY);
	}
}

/* Has a member come for the waiting worker alone, which only this thread runs? */
static bool pinned_came(const struct sh_group *g, struct shunt_group_id group, const struct sh_sleeper *sleeper)
{
	const struct shunt_job_ctx *ctx = sleeper->blocked;

	/* mo rlx: as `where`. */
	if (!ctx || sleeper->rt != ctx->rt || !(sh_a32_load_rlx(&g->routes) & SH_GROUP_HAS_PINNED))
		return false;
	return sh_queued_pinned(ctx->worker, sh_group_index(group));
}

static int group_sleep(struct shunt_runtime *rt, struct shunt_group_id group, uint64_t deadline_ns,
		       struct sh_boosts *boosts, struct sh_sleeper *sleeper)
{
	struct sh_group *g = group_at(rt, group);
	bool refused = false;

	for (;;) {
		uint64_t w = 0;
		uint64_t left;

		if (!group_word(rt, group, &w))
			return SHUNT_ESTALE;
		if ((w & SH_GROUP_PENDING) == 0)
			return 0;
		if (refused)
			return SHUNT_EDEADLK;
		left = sh_clock_left(deadline_ns);
		if (left == 0)
			return SHUNT_ETIMEDOUT;
		/*
		 * mo record.6 <> record.4@job/handle.c: flag and count are in one word; group.1 <>
		 * group.1@job/group.c: then the look at the queues.
		 */
		if (!(w & SH_GROUP_WAITER) && !sh_a64_cas_sc(&g->state, &w, w | SH_GROUP_WAITER))
			continue;
		group_boost(g, boosts);
		if (pinned_came(g, group, sleeper))
			return SHUNT_EAGAIN;
		/* the members may have ended meanwhile */
		refused = sh_sleeper_look(sleeper, &left) != 0 || sh_sleeper_again(sleeper) != 0;
		if (!refused)
			(void)sh_futex_wait(sh_futex_low(&g->state), (uint32_t)(w | SH_GROUP_WAITER), left);
	}
}

/* Takes the oldest pinned job of this worker, if one of the group waits behind it: nobody else could run either. */
static SH_NOINLINE bool take_pinned(struct sh_worker *w, uint32_t group, uint64_t deadline_ns, struct sh_item *item,
				    uint32_t *level)
{
	for (*level = 0; *level < w->pool->levels; ++*level) {
		if (!sh_ring_finds(&w->pinned[*level], SH_ITEM_OF_GROUP, group))
			continue;
		if (sh_worker_take_pinned(w, *level, deadline_ns, 0, group, item))
			return true;
	}
	return false;
}

/* Runs own spawns of the group, and pinned jobs, until none is left or the deadline has passed. */
static inline int help(struct sh_worker *w, uint32_t group, uint64_t deadline_ns)
{
	struct sh_item item = { 0, 0 };
	uint32_t level = 0, at = 0;

	for (;;) {
		if (sh_worker_take_of_group(w, group, deadline_ns, &item, &level))
			at = level;
		else if (take_pinned(w, group, deadline_ns, &item, &at))
			level = 0; /* it may have spawned some */
		else
			return 0;
		w->now_ns = 0;
		(void)sh_run_item(w, item, at);
		w->now_ns = 0;
		if (sh_runtime_forked(w->pool->rt)) /* a child that one of those handlers forked */
			return SHUNT_EFORKED;
	}
}

/* As in handle.c. */
static SH_NOINLINE int wait_blocked(struct shunt_runtime *rt, struct shunt_group_id group, uint64_t deadline)
{
	struct sh_sleeper sleeper SH_CLEANUP(sh_sleeper_end) = { 0 };
	struct sh_boosts boosts SH_CLEANUP(sh_boosts_end) = { 0 };
	int rc;

	sh_boosts_begin(&boosts, rt);
	group_boost(group_at(rt, group), &boosts); /* before a spare serves the queue */
	rc = sh_sleeper_begin(&sleeper, rt, 0, group, deadline);
	if (rc == 0)
		rc = group_sleep(rt, group, deadline, &boosts, &sleeper);
	return rc == 0 && sh_runtime_closed(rt) ? SHUNT_ESTOPPED : rc; /* its jobs were cancelled, perhaps */
}

static int wait_inside(struct shunt_runtime *rt, struct shunt_group_id group, uint64_t timeout_ns)
{
	struct shunt_job_ctx *ctx;
	const struct shunt_job_ctx *c;
	uint64_t w = 0;
	uint64_t deadline;
	int rc;

	if (!group_word(rt, group, &w))
		return SHUNT_ESTALE;
	ctx = sh_current_ctx(rt);
	for (c = ctx; c; c = c->outer)
		if (c->rt == rt && c->group == sh_group_index(group))
			return SHUNT_EDEADLK;
	deadline = sh_clock_deadline(timeout_ns);
	do {
		if (ctx && ctx->worker && help(ctx->worker, sh_group_index(group), deadline) != 0)
			return SHUNT_EFORKED;
		if (!group_word(rt, group, &w))
			return SHUNT_ESTALE;
		if ((w & SH_GROUP_PENDING) == 0)
			return 0;
		if (timeout_ns == 0)
			return SHUNT_ETIMEDOUT;
		rc = wait_blocked(rt, group, deadline);
	} while (rc == SHUNT_EAGAIN);
	return rc;
}

int shunt_group_wait(struct shunt_runtime *rt, struct shunt_group_id group, uint64_t timeout_ns)
{
	SH_CALL(call);
	int rc = sh_call_enter(rt, &call);

	return rc == 0 ? wait_inside(rt, group, timeout_ns) : rc;
}

/* ---- the part ---- */

static int group_admit(struct sh_submit *s)
{
	if (!group_enter(s, &s->group))
		return SHUNT_ENOENT;
	s->record->group = s->group;
	return 0;
}

/* A circle that this job closes is seen by a waiter that is about to sleep, or that this call wakes. */
static void group_queued(const struct sh_submit *s)
{
	struct sh_group *g = sh_slab_at(&s->rt->groups, s->group);
	uint64_t w;

	if (sh_likely(sh_a32_load_rlx(&s->pool->blocked) == 0)) /* mo rlx: who sleeps later looks itself. */
		return;
	if (!(s->parts & (SH_PART(KEY) | SH_PART(PINNED))) && !sh_pool_spare_short(s->pool))
		return; /* some thread of the pool may run it */
	/* mo rlx: seen by who sees the waiter's flag cleared: it wakes all the same, if this thread does not. */
	(void)sh_a32_or_rlx(&g->routes, SH_GROUP_CLEARED);
	/* mo group.1 <> group.1@job/group.c: pushed, then this look; the waiter says that it sleeps, then looks. */
	w = sh_a64_load_sc(&g->state);
	do {
		if (!(w & SH_GROUP_WAITER))
			return;
		/* mo group.1 <> group.1@job/group.c: the waiter sets it again before it looks, and sleeps. */
	} while (!sh_a64_cas_sc(&g->state, &w, w & ~(uint64_t)SH_GROUP_WAITER));
	(void)sh_futex_wake(sh_futex_low(&g->state), INT_MAX);
}

/* A job of a cancelled group ends when a worker reaches it. */
static enum sh_go group_start(struct sh_end *e)
{
	if (sh_likely(!sh_group_is_cancelled(e->rt, e->group)))
		return SH_GO_RUN;
	if ((e->parts & SH_PART(HANDLE)) && !(e->parts & SH_PART(ASYNC))
	    && !sh_record_move(e->rt, e->handle, SH_RECORD_RUNNING, SH_RECORD_FINISHING))
		return SH_GO_DROP;
	sh_end_cancelled(e, SHUNT_BY_GROUP);
	return SH_GO_END;
}

static void group_release(struct sh_end *e)
{
	group_leave(e->rt, e->group);
}

const struct sh_part sh_part_group = {
	.name = "group",
	.admit = group_admit,
	.queued = group_queued,
	.start = group_start,
	.release = group_release,
};
