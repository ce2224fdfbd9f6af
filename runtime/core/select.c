/* core/select.c - see select.h. SPDX-License-Identifier: MIT */
#include "core/select.h"

#include <math.h>

#define EXACT_MAX 8u       /* every worker is a candidate up to here */
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
 * Costs are doubles: they neither overflow nor need a division in 128 bits, and what is equal in integers stays
 * equal, because each is computed by the same operations, correctly rounded.
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

/* 1000..5000: what a cost is multiplied with, and a merit divided by, per 1000. */
static double penalty_of(const struct shunt_worker_load *l)
{
	return 1000.0 + 4.0 * (double)(l->fail_permille > 1000 ? 1000 : l->fail_permille);
}

static bool fits(const struct shunt_worker_load *l, enum where w, uint32_t home)
{
	return l->usable != 0 && (w == ANYWHERE || (w == AT_HOME) == (l->node == home));
}

/* Uniform among the fitting workers for n <= 8; nearly so beyond. False when none fits. */
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
			/* Nobody at home, now or ever: that is not asked again. */
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
 * Index of the cheapest candidate, of equals a random one; -1 when there is none. With `noisy`, what is less than
 * 1/16 dearer counts as equal: learned times differ by more than that for no reason, and the one that is ahead by
 * a hair must not get everything.
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

/* Now and then an idle worker, whatever is thought of it; -1 = not this time. */
static int explore(const struct sh_select_view *v, struct sh_select_state *st)
{
	struct candidate c = { 0 };

	if (sh_rng_below(&st->rng, EXPLORE_ONE_IN) != 0 || !draw(v, st, ANYWHERE, SHUNT_ANY, &c))
		return -1;
	return c.load.in_flight == 0 ? (int)c.index : -1;
}

/* Expected end of one more mean job here. */
static double cost_work(const struct shunt_worker_load *l, double mean_ns, uint32_t home)
{
	(void)home;
	return ((double)l->work_left_ns + mean_ns) * speed_of(l) * penalty_of(l);
}

/* One mean job on a worker of speed 1000, over the candidates; at least 1, so that speed counts when idle. */
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

/* Two different usable workers, or the only one, or none. Beyond n = 8 a second one may rarely not be found. */
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
		for (uint32_t k = 0; k < 2 && cs->n > 2; k++) { /* the first two of a random order */
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

/* in-flight per capacity; a penalty p counts as p - 1 jobs, so that a worker which fails fast is not the emptiest. */
static double cost_loaded(const struct shunt_worker_load *l, double arg, uint32_t home)
{
	double p = penalty_of(l);

	(void)arg;
	(void)home;
	return ((double)l->in_flight * p + (p - 1000.0)) / capacity_of(l);
}

/*
 * (1/(1+latency/100us) + free/capacity) x 2 at home, as a cost. The latency is what a job would see now, queue
 * included; with the bare run time a full worker would stay the best for ever.
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
 * Highest hash of (key, worker) among the usable (rendezvous hashing; Thaler, Ravishankar, IEEE/ACM ToN 1998): a
 * worker that goes moves only its own keys. Loads only workers that beat the best so far, about ln n.
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

/* An answer out of range or of an unusable worker is "none". */
static int ask_user(const struct sh_select_view *v, struct shunt_worker_load *loads, uint64_t key, uint32_t home)
{
	int i;

	for (uint32_t k = 0; k < v->n; k++) /* bound: n */
		v->load(v->obj, k, &loads[k]);
	i = v->user(v->user_arg, loads, v->n, key, home);
	return i >= 0 && (uint32_t)i < v->n && loads[i].usable != 0 ? i : -1;
}

static SH_NOINLINE int ask_user_on_stack(const struct sh_select_view *v, uint64_t key, uint32_t home)
{
	struct shunt_worker_load loads[SHUNT_WORKERS_MAX]; /* 10 KiB */

	return ask_user(v, loads, key, home);
}

static int user(const struct sh_select_view *v, uint64_t key, uint32_t home)
{
	if (v->user == NULL)
		return -1;
	if (v->scratch != NULL)
		return ask_user(v, v->scratch, key, home);
	return v->n <= SHUNT_WORKERS_MAX ? ask_user_on_stack(v, key, home) : -1;
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

uint64_t sh_ewma_next(uint64_t old, uint64_t sample)
{
	if (sample == 0)
		sample = 1;
	if (old == 0)
		return sample;
	if (sample > old)
		return old + (sample - old) / 8 + ((sample - old) % 8 != 0);
	return old - ((old - sample) / 8 + ((old - sample) % 8 != 0));
}

uint64_t sh_ewma_peak_next(uint64_t old, uint64_t sample)
{
	return sample > old ? sample : sh_ewma_next(old, sample);
}

uint32_t sh_ewma_fail_next(uint32_t old, bool failed)
{
	if (old > 1000)
		old = 1000;
	return failed ? old + (1000 - old + 7) / 8 : old - (old + 7) / 8;
}
