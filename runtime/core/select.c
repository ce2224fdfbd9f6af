/* core/select.c - see select.h. SPDX-License-Identifier: MIT */
#include "core/select.h"

#define EXACT_MAX 8u       /* every worker is a candidate up to here */
#define HOME_DRAWS 3u
#define DRAW_TRIES 8u
#define EXPLORE_ONE_IN 128u
#define ONE (UINT64_C(1) << 20) /* 1.0 of the fixed-point costs */
#define MERIT_ONE (UINT64_C(1) << 30)

struct candidate {
	struct shunt_worker_load load;
	uint32_t index;
};

struct candidates {
	struct candidate v[EXACT_MAX];
	uint32_t n;
};

enum where { ANYWHERE, AT_HOME, AWAY };

typedef uint64_t (*cost_fn)(const struct shunt_worker_load *l, uint64_t arg, uint32_t home);

static uint64_t saturate(sh_u128 x)
{
	return x > UINT64_MAX ? UINT64_MAX : (uint64_t)x;
}

static uint64_t add_sat(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t speed_of(const struct shunt_worker_load *l)
{
	return l->speed_permille == 0 ? 1000 : l->speed_permille;
}

static uint64_t capacity_of(const struct shunt_worker_load *l)
{
	return l->capacity == 0 ? 1 : l->capacity;
}

/* 1000..5000: what a cost is multiplied with, and a merit divided by, per 1000. */
static uint64_t penalty_of(const struct shunt_worker_load *l)
{
	return 1000 + 4 * (uint64_t)(l->fail_permille > 1000 ? 1000 : l->fail_permille);
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

	for (uint32_t t = 0; v->n > EXACT_MAX && t < DRAW_TRIES; t++) {
		out->index = sh_rng_below(&st->rng, v->n);
		v->load(v->obj, out->index, &out->load);
		if (fits(&out->load, w, home))
			return true;
	}
	from = sh_rng_below(&st->rng, v->n);
	for (uint32_t k = 0; k < v->n; k++) { /* bound: n */
		c.index = (uint32_t)(((uint64_t)from + k) % v->n);
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
static int cheapest(const struct candidates *cs, struct sh_select_state *st, cost_fn cost, uint64_t arg, uint32_t home,
	bool noisy)
{
	uint64_t costs[EXACT_MAX], limit = UINT64_MAX;
	uint32_t equal = 0;
	int index = -1;

	for (uint32_t k = 0; k < cs->n; k++) {
		costs[k] = cost(&cs->v[k].load, arg, home);
		limit = costs[k] < limit ? costs[k] : limit;
	}
	if (noisy)
		limit = add_sat(limit, limit / 16);
	for (uint32_t k = 0; k < cs->n; k++)
		if (costs[k] <= limit && sh_rng_below(&st->rng, ++equal) == 0)
			index = (int)cs->v[k].index;
	return index;
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
static uint64_t cost_work(const struct shunt_worker_load *l, uint64_t mean_ns, uint32_t home)
{
	sh_u128 ns = (sh_u128)add_sat(l->work_left_ns, mean_ns) * speed_of(l) / 1000;

	(void)home;
	return saturate((sh_u128)saturate(ns) * penalty_of(l) / 1000);
}

/* One mean job on a worker of speed 1000, over the candidates; at least 1, so that speed counts when idle. */
static uint64_t mean_job_ns(const struct candidates *cs)
{
	sh_u128 sum = 0;

	for (uint32_t k = 0; k < cs->n; k++)
		sum += (sh_u128)cs->v[k].load.ewma_ns * 1000 / speed_of(&cs->v[k].load);
	sum = cs->n == 0 ? 0 : sum / cs->n;
	return sum == 0 ? 1 : saturate(sum);
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

static uint64_t cost_peak(const struct shunt_worker_load *l, uint64_t arg, uint32_t home)
{
	sh_u128 c = (sh_u128)add_sat(l->ewma_ns, l->ewma_ns == 0) * ((uint64_t)l->in_flight + 1);

	(void)arg;
	(void)home;
	return saturate((sh_u128)saturate(c) * penalty_of(l) / 1000);
}

/* Two different usable workers, or the only one, or none. Beyond n = 8 a second one may rarely not be found. */
static void two_choices(const struct sh_select_view *v, struct sh_select_state *st, struct candidates *cs)
{
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
static uint64_t cost_loaded(const struct shunt_worker_load *l, uint64_t arg, uint32_t home)
{
	uint64_t p = penalty_of(l);

	(void)arg;
	(void)home;
	return saturate(((sh_u128)l->in_flight * p + (p - 1000)) * ONE / 1000 / capacity_of(l));
}

/*
 * (1/(1+latency/100us) + free/capacity) x 2 at home, as a cost. The latency is what a job would see now, queue
 * included; with the bare run time a full worker would stay the best for ever.
 */
static uint64_t cost_locality(const struct shunt_worker_load *l, uint64_t arg, uint32_t home)
{
	uint64_t ns = add_sat(saturate((sh_u128)l->work_left_ns * speed_of(l) / 1000), l->ewma_ns);
	uint64_t cap = capacity_of(l), unused = l->in_flight >= cap ? 0 : cap - l->in_flight;
	uint64_t merit = (uint64_t)((sh_u128)MERIT_ONE * 100000 / (100000 + (sh_u128)ns));

	(void)arg;
	merit += (uint64_t)((sh_u128)MERIT_ONE * unused / cap);
	if (home != SHUNT_ANY && l->node == home)
		merit *= 2;
	return UINT64_MAX - merit * 1000 / penalty_of(l);
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
