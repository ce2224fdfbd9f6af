/*
 * sched/choose.c - see choose.h. What is read here of workers is recent, not exact.
 * SPDX-License-Identifier: MIT
 */
#include "sched/choose.h"

#include "base/clock.h"

#define STICKY_NS 4000u      /* a choice among busy workers is reused for this long, */
#define STICKY_WORK_NS 2000u /* and for this much learned time at most; not for jobs of SH_SCORE_NS and more */
#define WAKE_COST_NS 30000u  /* a parked worker is preferred if the wait elsewhere is longer */
#define UNMEASURED_ONE_IN 8u    /* exploration: one choice in this many goes to an unmeasured worker */
#define STICKY_START_MAX 8u  /* up to here a submitter searches a spinner from its own place */

static void worker_load(const void *pool, uint32_t i, struct shunt_worker_load *out)
{
	const struct sh_pool *p = pool;
	const struct sh_worker *w = p->worker[i];

	out->work_left_ns = sh_worker_left_ns(w, sh_clock_ns());
	out->in_flight = sh_worker_in_flight(w);
	/* mo rlx: estimates, all of them. */
	out->ewma_ns = sh_a64_load_rlx(&w->ewma_ns);
	out->speed_permille = sh_a32_load_rlx(&w->speed_permille);
	out->fail_permille = sh_a32_load_rlx(&w->fail_permille);
	out->capacity = 1;
	out->node = w->node;
	out->usable = sh_a32_load_rlx(&w->blocked) == 0 && sh_a32_load_rlx(&w->full) == 0;
}

struct level_view {
	const struct sh_pool *pool;
	uint32_t level;
};

static inline bool may_take(const struct sh_pool *p, uint32_t worker, uint32_t level)
{
	return (p->can[level][worker / 64u] >> (worker % 64u) & 1u) != 0;
}

static void level_load(const void *obj, uint32_t i, struct shunt_worker_load *out)
{
	const struct level_view *v = obj;

	worker_load(v->pool, i, out);
	if (!may_take(v->pool, i, v->level))
		out->usable = 0;
}

static uint32_t first_able(const struct sh_pool *p, uint32_t level)
{
	uint32_t i;

	for (i = 0; i < p->workers; i++)
		if (may_take(p, i, level))
			return i;
	return 0;
}

/* Prefer the local node only if the pool spans several nodes; otherwise the mask is 0. */
static bool has_local(const struct sh_choice *c)
{
	return c->sub && (c->pool->local_nodes >> c->sub->node_slot & 1u);
}

static uint32_t choose_by_strategy(const struct sh_choice *c, struct sh_select_state *st)
{
	const struct sh_pool *p = c->pool;
	struct level_view obj = { p, c->level };
	struct sh_select_view view = { &obj, level_load, p->workers, p->opts.select, p->opts.select_arg, NULL };
	bool home = has_local(c) || (c->sub && p->opts.strategy == SHUNT_SELECT_USER);
	int w = sh_select(p->opts.strategy, &view, st, c->spec->key, (c->spec->flags & SHUNT_JOB_KEYED) != 0,
			  home ? c->sub->node : SHUNT_ANY);

	/*
	 * An accepted job cannot be rejected for lack of a usable worker: it waits at one that may
	 * take it.
	 */
	return w >= 0 && (uint32_t)w < p->workers ? (uint32_t)w : first_able(p, c->level);
}

/* Learned time of what is queued; never 0, so that jobs of unknown time spread too. */
static inline uint64_t work_ns(const struct sh_choice *c)
{
	return (uint64_t)c->jobs * (c->cost_ns + 1u);
}

static uint32_t choose_on_node(const struct sh_choice *c)
{
	const struct sh_pool *p = c->pool;
	struct sh_select_recent *recent = c->sub ? &c->sub->recent : NULL;
	uint32_t best = SHUNT_ANY;
	uint64_t best_left = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < p->workers; i++) {
		uint64_t left = sh_select_left_ns(recent, p->worker[i], c->now_ns);

		if (p->worker[i]->node == c->node && may_take(p, i, c->level) && left < best_left) {
			best = i;
			best_left = left;
		}
	}
	if (recent && best != SHUNT_ANY)
		sh_select_queued(recent, p->worker[best], c->now_ns, work_ns(c));
	return best;
}

/* Neither blocked nor at its asynchronous capacity. */
static inline bool worker_open(const struct sh_worker *w)
{
	return sh_a32_load_rlx(&w->blocked) == 0 && sh_a32_load_rlx(&w->full) == 0; /* mo rlx: a hint for placement. */
}

/*
 * An idle, unmeasured worker that may take `level`: it ran too few jobs to be compared. SHUNT_ANY =
 * none.
 */
static uint32_t unmeasured_worker(const struct sh_pool *p, uint32_t level)
{
	uint32_t i;

	for (i = 0; i < (p->workers + 63u) / 64u; i++) {
		/* mo rlx: hints for placement, all of it. */
		uint64_t m = (sh_a64_load_rlx(&p->idle[i]) | sh_a64_load_rlx(&p->spinning[i])) & p->can[level][i];

		for (; m != 0; m &= m - 1) {
			uint32_t w = i * 64u + sh_ctz64(m);

			if (w < p->workers && sh_a64_load_rlx(&p->worker[w]->jobs) < SH_UNMEASURED_JOBS) /* mo rlx: as above. */
				return w;
		}
	}
	return SHUNT_ANY;
}

/*
 * Least work left, in this order:
 * - exploration: now and then an unmeasured worker. Otherwise the first spinner would keep all jobs
 *   that arrive one at a time, however slow it is.
 * - a spinning worker
 * - the recent choice, for short jobs
 * - the worker where the job would end first; a parked one costs its wake-up.
 */
static uint32_t choose_least_work(const struct sh_choice *c, struct sh_select_state *state)
{
	struct sh_pool *p = c->pool;
	struct sh_submitter *sub = c->sub;
	struct sh_sticky *st = sub ? &sub->sticky[p->index] : NULL;
	/*
	 * Beyond STICKY_START_MAX workers, submitters that search from fixed places would contend
	 * for one worker.
	 */
	struct sh_select_ask ask = { p->can[c->level], sub && has_local(c) ? sub->node_slot : SHUNT_ANY,
				     sub && p->workers <= STICKY_START_MAX ? sub->index % p->workers : SHUNT_ANY, c->cost_ns,
				     WAKE_COST_NS, c->level, c->now_ns, sub ? &sub->recent : NULL };
	uint32_t w = SHUNT_ANY;

	if (sh_unlikely(sh_a32_load_rlx(&p->unmeasured) != 0) && sub && ++sub->tries % UNMEASURED_ONE_IN == 0) /* mo rlx: a hint. */
		w = unmeasured_worker(p, c->level);
	if (sh_likely(w == SHUNT_ANY))
		w = sh_select_spinning(&p->select, state, &ask);
	if (w != SHUNT_ANY)
		return w;
	/* the place may be that of a larger pool, which had this id before */
	if (st && st->left > 0 && c->now_ns < st->until_ns && st->worker < p->workers && worker_open(p->worker[st->worker]) && may_take(p, st->worker, c->level)) {
		st->left -= work_ns(c) < st->left ? (uint32_t)work_ns(c) : st->left;
		sh_select_queued_more(&sub->recent, st->worker, work_ns(c));
		return st->worker;
	}
	w = sh_select_least_work(&p->select, state, &ask);
	if (w == SHUNT_ANY)
		return first_able(p, c->level);
	if (st) {
		st->worker = w;
		st->until_ns = c->now_ns + STICKY_NS;
		st->left = c->cost_ns < SH_SCORE_NS ? STICKY_WORK_NS : 0;
		sh_select_queued(&sub->recent, p->worker[w], c->now_ns, work_ns(c));
	}
	return w;
}

uint32_t sh_choose(const struct sh_choice *c)
{
	const struct sh_pool *p = c->pool;
	struct sh_select_state local;
	struct sh_select_state *state = &local;

	if (sh_unlikely(c->node != SHUNT_ANY))
		return choose_on_node(c);
	if (p->workers == 1)
		return 0;
	if (sh_likely(c->sub != NULL)) {
		state = &c->sub->select;
	} else {
		sh_rng_init(&local.rng, c->now_ns);
		local.next = (uint32_t)c->now_ns;
		local.seed_key = (uint32_t)(uintptr_t)&local;
	}
	return p->opts.strategy == SHUNT_SELECT_LEAST_WORK ? choose_least_work(c, state) : choose_by_strategy(c, state);
}
