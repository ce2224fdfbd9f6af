/* policy/strategy.c - see strategy.h. SPDX-License-Identifier: MIT */
#include "policy/strategy.h"

#include <math.h>

#define EXACT_MAX 8u       /* up to here every worker is a candidate */
#define HOME_DRAWS 3u
#define DRAW_TRIES 8u
#define EXPLORE_ONE_IN 128u

struct candidate {
	struct shunt_worker_load load;
	uint32_t index;
};

struct candidates {
	struct candidate v[EXACT_MAX];
	uint32_t n;
};

enum where { ANYWHERE, AT_HOME, AWAY };

/*
 * Costs are doubles: they do not overflow and need no 128-bit division. Equal integers give equal
 * costs, because all are computed by the same correctly rounded operations.
 */
typedef double (*cost_fn)(const struct shunt_worker_load *l, double arg, uint32_t home);

static double speed_of(const struct shunt_worker_load *l)
{
	return l->speed_permille == 0 ? 1000.0 : (double)l->speed_permille;
}

static double capacity_of(const struct shunt_worker_load *l)
{
	return l->capacity == 0 ? 1.0 : (double)l->capacity;
}

/* 1000..5000, in 1/1000: multiplies a cost, divides a score. */
static double penalty_of(const struct shunt_worker_load *l)
{
	return 1000.0 + 4.0 * (double)(l->fail_permille > 1000 ? 1000 : l->fail_permille);
}

static bool fits(const struct shunt_worker_load *l, enum where w, uint32_t home)
{
	return l->usable != 0 && (w == ANYWHERE || (w == AT_HOME) == (l->node == home));
}

/* Uniform among the fitting workers for n <= 8, nearly so beyond. False when none fits. */
static bool draw(const struct sh_select_view *v, struct sh_select_state *st, enum where w, uint32_t home,
		 struct candidate *out)
{
	struct candidate c = { 0 };
	uint32_t seen = 0, from;

	for (uint32_t t = 0; t < DRAW_TRIES; t++) {
		out->index = sh_rng_below(&st->rng, v->n);
		v->load(v->obj, out->index, &out->load);
		if (fits(&out->load, w, home))
			return true;
	}
	from = sh_rng_below(&st->rng, v->n);
	for (uint32_t k = 0; k < v->n; k++) { /* bound: n */
		c.index = from + k < v->n ? from + k : from + k - v->n;
		v->load(v->obj, c.index, &c.load);
		if (!fits(&c.load, w, home))
			continue;
		if (sh_rng_below(&st->rng, ++seen) == 0)
			*out = c;
		if (v->n > EXACT_MAX)
			break;
	}
	return seen != 0;
}

static void gather(const struct sh_select_view *v, struct sh_select_state *st, uint32_t home, struct candidates *cs)
{
	enum where near = home == SHUNT_ANY ? ANYWHERE : AT_HOME;
	enum where far = home == SHUNT_ANY ? ANYWHERE : AWAY;

	cs->n = 0;
	if (v->n <= EXACT_MAX) {
		for (uint32_t i = 0; i < v->n; i++) {
			struct candidate *c = &cs->v[cs->n];

			c->index = i;
			v->load(v->obj, i, &c->load);
			cs->n += c->load.usable != 0;
		}
		return;
	}
	for (uint32_t k = 0; k < HOME_DRAWS; k++) {
		if (!draw(v, st, near, home, &cs->v[cs->n])) {
			/* The local node has no usable worker: do not look there again. */
			near = ANYWHERE;
			if (home == SHUNT_ANY || !draw(v, st, near, home, &cs->v[cs->n]))
				return;
		}
		cs->n++;
	}
	if (draw(v, st, far, home, &cs->v[cs->n]))
		cs->n++;
}

/*
 * Index of the cheapest candidate, a random one among equals; -1 when there is none. With `noisy`,
 * up to 1/16 more expensive counts as equal: measured times differ by more than that at random, and
 * a tiny advantage must not attract every job.
 */
static inline int cheapest(const struct candidates *cs, struct sh_select_state *st, cost_fn cost, double arg,
			   uint32_t home, bool noisy)
{
	double costs[EXACT_MAX], limit = HUGE_VAL;
	uint32_t equal = 0;

	for (uint32_t k = 0; k < cs->n; k++) {
		costs[k] = cost(&cs->v[k].load, arg, home);
		limit = costs[k] < limit ? costs[k] : limit;
	}
	if (noisy)
		limit *= 1.0625;
	for (uint32_t k = 0; k < cs->n; k++)
		equal |= (uint32_t)(costs[k] <= limit) << k;
	return equal == 0 ? -1 : (int)cs->v[sh_select_bit8(equal, sh_rng_next(&st->rng))].index;
}

/* Exploration: sometimes a random idle worker, regardless of its estimate. -1 = not this time. */
static int explore(const struct sh_select_view *v, struct sh_select_state *st)
{
	struct candidate c = { 0 };

	if (sh_rng_below(&st->rng, EXPLORE_ONE_IN) != 0 || !draw(v, st, ANYWHERE, SHUNT_ANY, &c))
		return -1;
	return c.load.in_flight == 0 ? (int)c.index : -1;
}

/* Estimated completion of one more mean job on this worker. */
static double cost_work(const struct shunt_worker_load *l, double mean_ns, uint32_t home)
{
	(void)home;
	return ((double)l->work_left_ns + mean_ns) * speed_of(l) * penalty_of(l);
}

/* Mean job on a worker of speed 1000. At least 1, so that speed matters when all are idle. */
static double mean_job_ns(const struct candidates *cs)
{
	double sum = 0;

	for (uint32_t k = 0; k < cs->n; k++)
		sum += (double)cs->v[k].load.ewma_ns * 1000.0 / speed_of(&cs->v[k].load);
	return cs->n == 0 || sum < cs->n ? 1.0 : sum / cs->n;
}

static int least_work(const struct sh_select_view *v, struct sh_select_state *st, uint32_t home)
{
	struct candidates cs;
	int i = explore(v, st);

	if (i >= 0)
		return i;
	gather(v, st, home, &cs);
	return cheapest(&cs, st, cost_work, mean_job_ns(&cs), home, true);
}

static double cost_peak(const struct shunt_worker_load *l, double arg, uint32_t home)
{
	(void)arg;
	(void)home;
	return (l->ewma_ns == 0 ? 1.0 : (double)l->ewma_ns) * ((double)l->in_flight + 1.0) * penalty_of(l);
}

/* Two distinct usable workers, or the only one, or none. For n > 8 it rarely misses one. */
static void two_choices(const struct sh_select_view *v, struct sh_select_state *st, struct candidates *cs)
{
	if (v->n <= EXACT_MAX && v->n > 1) {
		cs->v[0].index = sh_rng_below(&st->rng, v->n);
		cs->v[1].index = sh_rng_below(&st->rng, v->n - 1);
		cs->v[1].index += cs->v[1].index >= cs->v[0].index;
		v->load(v->obj, cs->v[0].index, &cs->v[0].load);
		v->load(v->obj, cs->v[1].index, &cs->v[1].load);
		cs->n = 2;
		if (cs->v[0].load.usable != 0 && cs->v[1].load.usable != 0)
			return;
	}
	if (v->n <= EXACT_MAX) {
		gather(v, st, SHUNT_ANY, cs);
		/* the first two of a random order */
		for (uint32_t k = 0; k < 2 && cs->n > 2; k++) {
			uint32_t other = k + sh_rng_below(&st->rng, cs->n - k);
			struct candidate c = cs->v[k];

			cs->v[k] = cs->v[other];
			cs->v[other] = c;
		}
		cs->n = cs->n > 2 ? 2 : cs->n;
		return;
	}
	cs->n = draw(v, st, ANYWHERE, SHUNT_ANY, &cs->v[0]) ? 1 : 0;
	for (uint32_t t = 0; cs->n == 1 && t < DRAW_TRIES; t++)
		if (draw(v, st, ANYWHERE, SHUNT_ANY, &cs->v[1]) && cs->v[1].index != cs->v[0].index)
			cs->n = 2;
}

static int peak_ewma(const struct sh_select_view *v, struct sh_select_state *st)
{
	struct candidates cs;
	int i = explore(v, st);

	if (i >= 0)
		return i;
	two_choices(v, st, &cs);
	return cheapest(&cs, st, cost_peak, 0, SHUNT_ANY, true);
}

/* in_flight / capacity. Penalty p counts as p - 1 jobs: a fast failing worker is not empty. */
static double cost_loaded(const struct shunt_worker_load *l, double arg, uint32_t home)
{
	double p = penalty_of(l);

	(void)arg;
	(void)home;
	return ((double)l->in_flight * p + (p - 1000.0)) / capacity_of(l);
}

/*
 * (1/(1+latency/100us) + free/capacity), doubled on the local node, as a cost. The latency is that
 * of a job submitted now, with its queueing; by run time alone a full worker would stay the best
 * for ever.
 */
static double cost_locality(const struct shunt_worker_load *l, double arg, uint32_t home)
{
	double ns = (double)l->work_left_ns * speed_of(l) / 1000.0 + (double)l->ewma_ns;
	double cap = capacity_of(l), unused = (double)l->in_flight >= cap ? 0 : cap - (double)l->in_flight;
	double merit = 100000.0 / (100000.0 + ns) + unused / cap;

	(void)arg;
	if (home != SHUNT_ANY && l->node == home)
		merit *= 2;
	return -merit / penalty_of(l);
}

static int round_robin(const struct sh_select_view *v, struct sh_select_state *st)
{
	struct shunt_worker_load l;

	for (uint32_t k = 0; k < v->n; k++) { /* bound: n */
		uint32_t i = st->next++ % v->n;

		v->load(v->obj, i, &l);
		if (l.usable != 0)
			return (int)i;
	}
	return -1;
}

static int any_usable(const struct sh_select_view *v, struct sh_select_state *st)
{
	struct candidate c = { 0 };

	return draw(v, st, ANYWHERE, SHUNT_ANY, &c) ? (int)c.index : -1;
}

/*
 * Highest hash of (key, worker) among the usable (rendezvous hashing; Thaler, Ravishankar, IEEE/ACM
 * ToN 1998): if a worker leaves, only its own keys move. Loads only workers with a higher hash than
 * the best so far, about ln n.
 */
static int keyed(const struct sh_select_view *v, uint64_t key)
{
	struct shunt_worker_load l;
	uint64_t best = 0, k = sh_mix64(key + UINT64_C(0x9e3779b97f4a7c15));
	int index = -1;

	for (uint32_t i = 0; i < v->n; i++) { /* bound: n */
		uint64_t h = sh_mix64(k ^ (((uint64_t)i + 1) * UINT64_C(0x9e3779b97f4a7c15)));

		if (index >= 0 && h <= best)
			continue;
		v->load(v->obj, i, &l);
		if (l.usable != 0) {
			best = h;
			index = (int)i;
		}
	}
	return index;
}

#define FEW_WORKERS 256u

/* An answer out of range, or of an unusable worker, counts as none. */
static int ask_user(const struct sh_select_view *v, struct shunt_worker_load *loads, uint64_t key, uint32_t home)
{
	struct shunt_loads l = { loads, sizeof(*loads), v->n };
	int i;

	for (uint32_t k = 0; k < v->n; k++) /* bound: n */
		v->load(v->obj, k, &loads[k]);
	i = v->user(v->user_arg, &l, key, home);
	return i >= 0 && (uint32_t)i < v->n && loads[i].usable != 0 ? i : -1;
}

static SH_NOINLINE int ask_user_of_few(const struct sh_select_view *v, uint64_t key, uint32_t home)
{
	struct shunt_worker_load loads[FEW_WORKERS]; /* 10 KiB of stack */

	return ask_user(v, loads, key, home);
}

static SH_NOINLINE int ask_user_of_many(const struct sh_select_view *v, uint64_t key, uint32_t home)
{
	struct shunt_worker_load loads[SHUNT_WORKERS_MAX]; /* 40 KiB */

	return ask_user(v, loads, key, home);
}

static int user(const struct sh_select_view *v, uint64_t key, uint32_t home)
{
	if (v->user == NULL)
		return -1;
	if (v->scratch != NULL)
		return ask_user(v, v->scratch, key, home);
	if (v->n <= FEW_WORKERS)
		return ask_user_of_few(v, key, home);
	return v->n <= SHUNT_WORKERS_MAX ? ask_user_of_many(v, key, home) : -1;
}

int sh_select(enum shunt_strategy s, const struct sh_select_view *v, struct sh_select_state *st, uint64_t key,
	bool has_key, uint32_t home)
{
	struct candidates cs;

	if (v->n == 0)
		return -1;
	assert(v->load != NULL && v->n <= INT32_MAX);
	if (!has_key)
		key = st->seed_key;
	switch (s) {
	case SHUNT_SELECT_PEAK_EWMA:
		return peak_ewma(v, st);
	case SHUNT_SELECT_LEAST_LOADED:
		gather(v, st, SHUNT_ANY, &cs);
		return cheapest(&cs, st, cost_loaded, 0, SHUNT_ANY, false);
	case SHUNT_SELECT_ROUND_ROBIN:
		return round_robin(v, st);
	case SHUNT_SELECT_RANDOM:
		return any_usable(v, st);
	case SHUNT_SELECT_KEYED:
		return keyed(v, key);
	case SHUNT_SELECT_LOCALITY:
		gather(v, st, home, &cs);
		return cheapest(&cs, st, cost_locality, 0, home, false);
	case SHUNT_SELECT_USER:
		return user(v, key, home);
	case SHUNT_SELECT_DEFAULT:
	case SHUNT_SELECT_LEAST_WORK:
	default:
		return least_work(v, st, home);
	}
}
