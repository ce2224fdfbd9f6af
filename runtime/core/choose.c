/* core/choose.c - see choose.h. What is read here of workers is recent, not exact. SPDX-License-Identifier: MIT */
#include "core/choose.h"

#define STICKY_NS 400u       /* a choice among busy workers is kept so long, */
#define STICKY_JOBS 16u      /* and for so many choices at most */
#define WAKE_COST_NS 30000u  /* a sleeper is preferred when the wait elsewhere is longer than this */
#define UNKNOWN_ONE_IN 8u    /* of so many choices one goes to a worker of which too little is known to compare it */
#define STICKY_START_MAX 8u  /* up to so many workers a submitter looks for a spinner from its own place on */

void sh_worker_load(const void *pool, uint32_t i, struct shunt_worker_load *out)
{
	const struct sh_pool *p = pool;
	const struct sh_worker *w = p->worker[i];
	uint64_t left = sh_worker_left(w);

	out->work_left_ns = left & SH_COST_NS;
	out->in_flight = (uint32_t)(left >> 40);
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

	sh_worker_load(v->pool, i, out);
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

/* Being at home is a merit only where some workers are and others are not. */
static bool has_home(const struct sh_choice *c)
{
	return c->sub && (c->pool->homes >> c->sub->node_slot & 1u);
}

static uint32_t choose_by_strategy(const struct sh_choice *c, struct sh_select_state *st)
{
	const struct sh_pool *p = c->pool;
	struct level_view obj = { p, c->level };
	struct sh_select_view view = { &obj, level_load, p->workers, p->opts.select, p->opts.select_arg, NULL };
	bool home = has_home(c) || (c->sub && p->opts.strategy == SHUNT_SELECT_USER);
	int w = sh_select(p->opts.strategy, &view, st, c->spec->key, (c->spec->flags & SHUNT_JOB_KEYED) != 0,
			  home ? c->sub->node : SHUNT_ANY);

	/* "No available worker" cannot refuse an accepted job: it waits where it would run first when one is back. */
	return w >= 0 && (uint32_t)w < p->workers ? (uint32_t)w : first_able(p, c->level);
}

static uint32_t choose_on_node(const struct sh_choice *c)
{
	const struct sh_pool *p = c->pool;
	uint32_t best = SHUNT_ANY;
	uint64_t best_left = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < p->workers; i++) {
		uint64_t left = sh_worker_left(p->worker[i]);

		if (p->worker[i]->node == c->spec->node && may_take(p, i, c->level) && left < best_left) {
			best = i;
			best_left = left;
		}
	}
	return best;
}

/* Neither blocked nor at its asynchronous capacity. */
static inline bool worker_open(const struct sh_worker *w)
{
	return sh_a32_load_rlx(&w->blocked) == 0 && sh_a32_load_rlx(&w->full) == 0; /* mo rlx: a hint for placement. */
}

/*
 * Least work left: now and then one of which too little is known (or the first that spins would keep all jobs that come one
 * at a time, however slow it is), a spinner, the recent choice, else where the job would end first; a sleeper costs
 * its wake.
 */
static uint32_t choose_least_work(const struct sh_choice *c, struct sh_select_state *state)
{
	struct sh_pool *p = c->pool;
	struct sh_submitter *sub = c->sub;
	struct sh_sticky *st = sub ? &sub->sticky[p->id - 1] : NULL;
	/* Beyond STICKY_START_MAX many submitters that search on from the same place would meet. */
	struct sh_select_ask ask = { p->can[c->level], sub && has_home(c) ? sub->node_slot : SHUNT_ANY,
				     sub && p->workers <= STICKY_START_MAX ? sub->index % p->workers : SHUNT_ANY, c->cost_ns,
				     WAKE_COST_NS };
	uint32_t w = SHUNT_ANY;

	if (sh_unlikely(sh_a32_load_rlx(&p->unknown) != 0) && sub && ++sub->tries % UNKNOWN_ONE_IN == 0) /* mo rlx: a hint. */
		w = sh_pool_unknown(p, c->level);
	if (sh_likely(w == SHUNT_ANY))
		w = sh_select_spinning(&p->select, state, &ask);
	if (w != SHUNT_ANY)
		return w;
	if (st && st->left > 0 && c->now_ns < st->until_ns && worker_open(p->worker[st->worker]) && may_take(p, st->worker, c->level)) {
		st->left--;
		return st->worker;
	}
	w = sh_select_least_work(&p->select, state, &ask);
	if (w == SHUNT_ANY)
		return first_able(p, c->level);
	if (st) {
		st->worker = w;
		st->until_ns = c->now_ns + STICKY_NS;
		st->left = STICKY_JOBS;
	}
	return w;
}

uint32_t sh_choose(const struct sh_choice *c)
{
	const struct sh_pool *p = c->pool;
	struct sh_select_state local;
	struct sh_select_state *state = &local;

	if (sh_unlikely(c->spec->flags & SHUNT_JOB_ON_NODE))
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
