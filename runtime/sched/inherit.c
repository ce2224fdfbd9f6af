/* sched/inherit.c - see inherit.h. SPDX-License-Identifier: MIT */
#include "sched/inherit.h"

#include "sched/strand.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sh_boost *boosts; /* sync: lock */

static inline void set(sh_a32 *word, uint32_t value)
{
	/* mo rlx: a hint for the next pick; changed under the lock. */
	if (sh_a32_load_rlx(word) != value)
		sh_a32_store_rlx(word, value); /* mo rlx: as above. */
}

/* Under the lock: the words of a pool, from its boosts. A boost passes on, from the least urgent level up. */
static void recompute(struct sh_pool *p)
{
	uint32_t queued[SHUNT_LEVELS_MAX] = { 0 }, running[SHUNT_LEVELS_MAX] = { 0 };
	uint32_t boosts_to = 0, run_boosts_to = 0;

	for (const struct sh_boost *l = boosts; l; l = l->next)
		if (l->rt == p->rt && l->pool == p->id) {
			queued[l->level] |= l->queued;
			running[l->level] |= l->queued | l->running;
		}
	for (uint32_t g = p->levels; g-- > 0;) {
		for (uint32_t of = running[g]; of != 0; of &= of - 1) {
			uint32_t l = (uint32_t)__builtin_ctz(of);

			running[g] |= running[l];
			queued[g] |= queued[l];
		}
		set(&p->boosted_to[g], queued[g]);
		set(&p->run_boosted_to[g], running[g]);
		boosts_to |= queued[g] != 0 ? 1u << g : 0;
		run_boosts_to |= running[g] != 0 ? 1u << g : 0;
	}
	set(&p->boosts, boosts_to);
	set(&p->run_boosts, run_boosts_to);
}

void sh_boosts_begin(struct sh_boosts *l, struct shunt_runtime *rt)
{
	l->rt = NULL;
	l->n = 0;
	l->level = SHUNT_LEVELS_MAX;
	for (const struct shunt_job_ctx *c = sh_current_ctx(rt); c; c = c->outer)
		if (c->rt == rt && c->level < l->level)
			l->level = c->level;
	if (l->level < SHUNT_LEVELS_MAX)
		l->rt = rt;
}

/* The boost in this pool, or a new one; NULL = there is no place for one. */
static struct sh_boost *boost_in(struct sh_boosts *l, const struct sh_pool *p)
{
	struct sh_boost *new;

	for (uint32_t i = 0; i < l->n; i++)
		if (l->boost[i].pool == p->id)
			return &l->boost[i];
	if (l->n == SH_GROUP_POOLS)
		return NULL;
	new = &l->boost[l->n++];
	*new = (struct sh_boost){ .rt = l->rt, .pool = p->id, .level = l->level, .next = boosts, .link = &boosts };
	if (boosts)
		boosts->link = &new->next;
	boosts = new;
	return new;
}

/* Does it boost that already? */
static bool has_boost(const struct sh_boosts *l, uint32_t pool, uint32_t queued, uint32_t running)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (sh_id_index(l->boost[i].pool) == pool)
			return ((queued & ~l->boost[i].queued) | (running & ~l->boost[i].running)) == 0;
	return false;
}

void sh_boost_add(struct sh_boosts *l, uint32_t pool, uint32_t queued, uint32_t running, uint32_t strand)
{
	const uint32_t below = l->rt ? ~((2u << l->level) - 1u) : 0;
	struct sh_pool *p;
	struct sh_boost *boost;

	queued &= below;
	running &= below;
	if (!l->rt || (strand == SHUNT_ANY && ((queued | running) == 0 || has_boost(l, pool, queued, running))))
		return;
	(void)pthread_mutex_lock(&lock);
	p = sh_runtime_pool_at(l->rt, pool); /* not freed while the lock is held (sh_boosts_pool_gone) */
	if (p && strand <= p->strand_mask)
		queued |= sh_a32_load_rlx(&p->strand[strand].levels) & below; /* mo rlx: a hint. */
	boost = p && (queued | running) != 0 ? boost_in(l, p) : NULL;
	if (boost) {
		boost->queued |= queued;
		boost->running |= running;
		recompute(p);
	}
	(void)pthread_mutex_unlock(&lock);
}

void sh_boosts_end(struct sh_boosts *l)
{
	uint32_t n = l->n;

	l->n = 0;
	if (n == 0 || sh_runtime_forked(l->rt)) /* a child's list is empty */
		return;
	(void)pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < n; i++) {
		struct sh_boost *boost = &l->boost[i];
		struct sh_pool *p = sh_runtime_pool(l->rt, boost->pool);

		*boost->link = boost->next;
		if (boost->next)
			boost->next->link = boost->link;
		if (p)
			recompute(p);
	}
	(void)pthread_mutex_unlock(&lock);
}

void sh_boosts_pool_gone(struct shunt_runtime *rt, uint32_t index)
{
	(void)pthread_mutex_lock(&lock);
	/* mo pool.1 -> pool.1@sched/world.h: no type names it, so no submitter can hold it. */
	sh_aptr_store_rel(&rt->pool[index], NULL);
	(void)pthread_mutex_unlock(&lock);
}

void sh_boosts_forked(void)
{
	(void)pthread_mutex_init(&lock, NULL);
	boosts = NULL;
}

uint32_t sh_boosted_above(const struct sh_pool *p, uint32_t level)
{
	uint32_t above = (1u << level) - 1u;
	uint32_t to = sh_a32_load_rlx(&p->run_boosts) & above; /* mo rlx: a hint; the next checkpoint looks again. */

	/* the most urgent level that jobs of `level` are boosted to */
	for (; to != 0; to &= to - 1) {
		uint32_t g = (uint32_t)__builtin_ctz(to);

		if (sh_a32_load_rlx(&p->run_boosted_to[g]) >> level & 1u) /* mo rlx: as above. */
			return (1u << g) - 1u;
	}
	return above;
}
