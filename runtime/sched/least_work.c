/* sched/least_work.c - see least_work.h. SPDX-License-Identifier: MIT */
#include "sched/least_work.h"

#include <string.h>

#include "sched/pool.h"

#define EXACT_MAX 8u  /* up to here every worker is a candidate */
#define DRAWS 4u      /* random candidates beyond it */
#define HOME_DRAWS 3u /* of these from the local node */
#define SPINNERS 2u   /* and this many that spin, of any class */
#define SPINNER_TRIES 8u
#define EXPLORE_ONE_IN 128u
#define TAKEN_LARGE 4u  /* classes taken for being idle, beyond EXACT_MAX; up to there 1 */
#define FAST_ONE_IN 16u /* a fast worker is one of the n/16 fastest */
#define STEP_BITS 3u
#define STEPS (24u << STEP_BITS) /* of weights below 2^23 */
#define SPEED_MAX 100000u        /* times 5 for failures it has 19 bits, the work 41 */
#define WEIGHT_NEVER (1u << 20)  /* of the places behind the last worker; above all others */
#define NEVER (UINT64_MAX >> 1)  /* above every cost, and 1/16 more still fits */

struct shortlist {
	uint64_t cost[EXACT_MAX]; /* NEVER = not usable */
	uint32_t index[EXACT_MAX];
	uint32_t n;
};

void sh_select_pool_init(struct sh_select_pool *v, const struct sh_worker *const *worker, uint32_t n,
			 const sh_a64 *spinning, const sh_a64 *parked)
{
	uint32_t at = 0;

	assert(n >= 1 && n <= SHUNT_WORKERS_MAX);
	memset(v, 0, sizeof(*v));
	v->worker = worker;
	v->spinning = spinning;
	v->parked = parked;
	v->n = n;
	v->words = (n + 63u) / 64u;
	v->all_small = n <= EXACT_MAX ? (UINT64_C(1) << n) - 1 : 0;
	for (uint32_t node = 0; node < SH_SELECT_NODES; node++) {
		v->first[node] = (uint16_t)at;
		for (uint32_t i = 0; i < n; i++)
			if (worker[i]->node_slot == node)
				v->order[at++] = (uint16_t)i;
	}
	v->first[SH_SELECT_NODES] = (uint16_t)at;
	assert(at == n);
	for (uint32_t i = 0; i < EXACT_MAX; i++)
		v->small[i] = worker[i < n ? i : 0];
	sh_a32_store_rlx(&v->fast, 1000); /* mo rlx: one thread yet. */
	for (uint32_t i = 0; i < n || i < EXACT_MAX; i++)
		/* mo rlx: one thread yet. */
		sh_a32_store_rlx(&v->weight[i], i < n ? 1000u : WEIGHT_NEVER);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t m = sh_a64_load_rlx(&v->member[0][i / 64u]); /* mo rlx: one thread yet. */

		/* mo rlx: as above. */
		sh_a64_store_rlx(&v->member[0][i / 64u], m | UINT64_C(1) << (i % 64u));
	}
}

/* Logarithm in eighths of an octave: the weights of one step differ by 1/8 at most. */
static uint32_t step_of(uint32_t w)
{
	uint32_t octave = sh_log2_u64(w);

	return octave < STEP_BITS ? w : ((octave - STEP_BITS) << STEP_BITS) + (w >> (octave - STEP_BITS));
}

/*
 * The weight of a fast worker: the least of all; with more than 16 workers the n/16th, to 1/8. A
 * single one that looks very fast, because it is new or had a few short jobs, must not make all
 * others slow.
 */
static uint32_t fast_weight(const struct sh_select_pool *v)
{
	uint16_t count[STEPS] = { 0 };
	uint32_t least = WEIGHT_NEVER, seen = 0, step = 0;

	for (uint32_t i = 0; i < v->n; i++) {                /* bound: n */
		uint32_t w = sh_a32_load_rlx(&v->weight[i]); /* mo rlx: an estimate. */

		least = w < least ? w : least;
		count[step_of(w)]++;
	}
	if (v->n <= FAST_ONE_IN)
		return least;
	while (seen + count[step] <= v->n / FAST_ONE_IN) /* bound: STEPS; all counts are n */
		seen += count[step++];
	/* lowest weight of the step, without its octave */
	least = step % (1u << STEP_BITS) + (1u << STEP_BITS);
	return step < 2u << STEP_BITS ? step : least << ((step >> STEP_BITS) - 1);
}

/* The limit of a class is 1.4 x 2^class times the weight of a fast worker. */
static uint32_t class_of(uint64_t weight_x10, uint64_t fast)
{
	uint32_t c = 0;

	while (c < SH_SELECT_CLASSES - 1 && weight_x10 > fast * 14 << c)
		c++;
	return c;
}

static void learn_class(struct sh_select_pool *v, uint32_t slot, uint64_t weight, uint64_t fast)
{
	uint64_t bit = UINT64_C(1) << (slot % 64u);
	uint32_t word = slot / 64u, now = 0, next = class_of(weight * 10, fast);

	/* mo rlx: one writer of this bit. */
	while (now < SH_SELECT_CLASSES - 1 && !(sh_a64_load_rlx(&v->member[now][word]) & bit))
		now++;
	/*
	 * Hysteresis: a class is left when its limit is passed by 1/10, so that a weight on a limit
	 * does not cause a write with each sample.
	 */
	if (class_of(weight * 9, fast) <= now && now <= class_of(weight * 11, fast))
		return;
	/*
	 * mo rlx: a hint. It enters the new class before it leaves the old one: it is always in
	 * one. The bit is clear.
	 */
	(void)sh_a64_add_rlx(&v->member[next][word], bit);
	(void)sh_a64_sub_rlx(&v->member[now][word], bit); /* mo rlx: as above. The bit is set. */
}

void sh_select_pool_learn(struct sh_select_pool *v, uint32_t slot, uint32_t speed_permille, uint32_t fail_permille)
{
	uint32_t old = sh_a32_load_rlx(&v->weight[slot]); /* mo rlx: one writer. */
	uint32_t weight = (uint32_t)(((uint64_t)speed_permille * (256u + fail_permille)) >> 8);

	assert(slot < v->n && speed_permille <= SPEED_MAX && fail_permille <= 1000);
	weight = weight == 0 ? 1 : weight;
	if (weight > old + old / 32 || weight < old - old / 32) {
		sh_a32_store_rlx(&v->weight[slot], weight); /* mo rlx: an estimate. */
		if (step_of(weight) != step_of(old) || v->n <= FAST_ONE_IN) {
			uint32_t fast = fast_weight(v);

			/* mo rlx: an estimate; the last writer's is the newest. */
			if (fast != sh_a32_load_rlx(&v->fast))
				sh_a32_store_rlx(&v->fast, fast); /* mo rlx: as above. */
		}
	}
	learn_class(v, slot, weight, sh_a32_load_rlx(&v->fast)); /* mo rlx: an estimate. */
}

/* First member of `m` from `start` on, cyclic; SHUNT_ANY = empty. */
static inline uint32_t next_in(const uint64_t *m, uint32_t words, uint32_t start)
{
	uint32_t w = start / 64u;
	uint64_t bits = m[w] & ~UINT64_C(0) << (start % 64u);

	/* bound: 5; the first word again for its low bits */
	for (uint32_t k = 0; k <= words; k++) {
		if (bits != 0)
			return w * 64u + sh_ctz64(bits);
		w = w + 1 < words ? w + 1 : 0;
		bits = m[w];
	}
	return SHUNT_ANY;
}

static inline bool has(const uint64_t *m, uint32_t i)
{
	return (m[i / 64u] >> (i % 64u) & 1u) != 0;
}

static inline uint32_t below(uint64_t r, uint32_t n)
{
	return (uint32_t)(((r >> 32) * n) >> 32);
}

/* Neither blocked nor at its asynchronous capacity. */
static inline bool is_open(const struct sh_worker *w)
{
	/* mo rlx: a hint for placement. */
	return sh_a32_load_rlx(&w->blocked) == 0 && sh_a32_load_rlx(&w->full) == 0;
}

static inline uint64_t left_at(const struct sh_worker *w, const struct sh_select_recent *r, uint64_t now_ns)
{
	uint64_t left = sh_worker_left_ns(w, now_ns), until;
	uint32_t i = w->slot % SH_SELECT_RECENT;

	if (!r || r->of[i].worker != w)
		return left;
	until = r->of[i].free_at_ns;
	/* mo rlx: compared, an estimate. */
	return until > now_ns + left && r->of[i].seen == sh_a64_load_rlx(&w->free_at_ns) ? until - now_ns : left;
}

uint64_t sh_select_left_ns(const struct sh_select_recent *r, const struct sh_worker *w, uint64_t now_ns)
{
	return left_at(w, r, now_ns);
}

static inline uint64_t left_of(const struct sh_worker *w, const struct sh_select_ask *ask)
{
	return left_at(w, ask->recent, ask->now_ns);
}

void sh_select_queued(struct sh_select_recent *r, const struct sh_worker *w, uint64_t now_ns, uint64_t work_ns)
{
	uint64_t until = now_ns + left_at(w, r, now_ns) + work_ns;
	uint32_t i = w->slot % SH_SELECT_RECENT;

	r->of[i].worker = w;
	r->of[i].seen = sh_a64_load_rlx(&w->free_at_ns); /* mo rlx: compared, an estimate. */
	r->of[i].free_at_ns = until;
}

/*
 * Estimated end of the job at worker i, which is w and needs wake_ns to run, in 1/1000 ns. Work left is
 * in the worker's own time already. Above SH_COST_MAX it counts as that: no product overflows.
 */
static inline uint64_t cost_of(const struct sh_select_pool *v, uint32_t i, const struct sh_worker *w,
			       const struct sh_select_ask *ask, uint32_t wake_ns)
{
	uint64_t left = left_of(w, ask);
	uint32_t weight = sh_a32_load_rlx(&v->weight[i]); /* mo rlx: an estimate. */

	left = left < SH_COST_MAX ? left : SH_COST_MAX;
	return weight == WEIGHT_NEVER ? NEVER : (left + wake_ns) * 1000u + (ask->job_ns + 1) * weight;
}

/* Has a spinning worker a job of the level already? */
static inline bool has_job(const struct sh_worker *w, uint32_t level)
{
	return sh_ring_peek(&w->ring[level]);
}

/* A member of `m` without a job of the level, or SHUNT_ANY; removes from `m` those that have one. */
static uint32_t without_job(const struct sh_select_pool *v, struct sh_select_state *st, uint64_t *m, uint32_t start,
			    uint32_t level, uint32_t *tries)
{
	for (;;) { /* bound: tries */
		uint32_t w = next_in(m, v->words, start);

		if (w == SHUNT_ANY || !has_job(v->worker[w], level))
			return w;
		m[w / 64u] &= ~(UINT64_C(1) << (w % 64u));
		if (--*tries == 0)
			return SHUNT_ANY;
		start = sh_rng_below(&st->rng, v->n);
	}
}

static uint32_t spinning_large(const struct sh_select_pool *v, struct sh_select_state *st,
			       const struct sh_select_ask *ask)
{
	uint64_t idle[SH_SELECT_WORDS] = { 0 }, m[SH_SELECT_WORDS], any = 0;
	uint32_t first = 0, taken = TAKEN_LARGE, tries = SPINNER_TRIES, start;

	for (uint32_t i = 0; i < v->words; i++) {
		/* mo rlx: a hint for placement. */
		idle[i] = sh_a64_load_rlx(&v->spinning[i]) & ask->can[i];
		any |= idle[i];
	}
	if (any == 0)
		return SHUNT_ANY;
	start = ask->start == SHUNT_ANY ? sh_rng_below(&st->rng, v->n) : ask->start;
	assert(start < v->n);
	/* exploration: begins with any class */
	if (sh_unlikely(++st->next % EXPLORE_ONE_IN == 0)) {
		first = st->next / EXPLORE_ONE_IN % SH_SELECT_CLASSES;
		taken = SH_SELECT_CLASSES;
	}
	for (uint32_t k = 0; k < taken && tries > 0; k++) { /* bound: 5 */
		uint32_t c = (first + k) % SH_SELECT_CLASSES, w;

		for (uint32_t i = 0; i < v->words; i++)
			/* mo rlx: a hint for placement. */
			m[i] = idle[i] & sh_a64_load_rlx(&v->member[c][i]);
		w = without_job(v, st, m, start, ask->level, &tries);
		if (w != SHUNT_ANY)
			return w;
	}
	return SHUNT_ANY;
}

uint32_t sh_select_spinning(const struct sh_select_pool *v, struct sh_select_state *st,
			    const struct sh_select_ask *ask)
{
	uint64_t m, high;

	if (v->n > EXACT_MAX)
		return spinning_large(v, st, ask);
	/* mo rlx: a hint for placement. */
	m = sh_a64_load_rlx(&v->spinning[0]) & ask->can[0] & v->all_small;
	if (m == 0)
		return SHUNT_ANY;
	if (sh_likely(++st->next % EXPLORE_ONE_IN != 0))
		m &= sh_a64_load_rlx(&v->member[0][0]); /* mo rlx: a hint for placement. */
	if (m == 0)
		return SHUNT_ANY;
	if (ask->start == SHUNT_ANY)
		return sh_select_bit8((uint32_t)m, sh_rng_next(&st->rng));
	assert(ask->start < v->n);
	high = m & ~UINT64_C(0) << ask->start;
	return sh_ctz64(high != 0 ? high : m);
}

/*
 * A random worker that may take the job, of `cnt` places of the order from `from` on, cyclic;
 * SHUNT_ANY = none may.
 */
static uint32_t draw(const struct sh_select_pool *v, struct sh_select_state *st, const uint64_t *can, uint32_t from,
		     uint32_t cnt)
{
	uint32_t at = from + sh_rng_below(&st->rng, cnt);

	at = at < v->n ? at : at - v->n;
	for (uint32_t t = 0; t < DRAWS && !has(can, v->order[at]); t++) {
		at = from + sh_rng_below(&st->rng, cnt);
		at = at < v->n ? at : at - v->n;
	}
	for (uint32_t t = 0; t < v->n; t++) { /* bound: n, and nearly always 1 */
		if (has(can, v->order[at]))
			return v->order[at];
		at = at + 1 < v->n ? at + 1 : 0;
	}
	return SHUNT_ANY;
}

static inline void consider(const struct sh_select_pool *v, const struct sh_select_ask *ask, struct shortlist *s,
			    uint32_t w, uint32_t wake_ns)
{
	s->index[s->n] = w;
	s->cost[s->n++] = cost_of(v, w, v->worker[w], ask, wake_ns);
}

static bool is_parked(const struct sh_select_pool *v, uint32_t i)
{
	/* mo rlx: a hint for placement. */
	return (sh_a64_load_rlx(&v->parked[i / 64u]) >> (i % 64u) & 1u) != 0;
}

static void list_drawn(const struct sh_select_pool *v, struct sh_select_state *st, const struct sh_select_ask *ask,
		       bool sleepers, struct shortlist *s)
{
	uint64_t r = sh_rng_next(&st->rng);
	uint32_t from = 0, cnt = v->n;

	if (ask->home < SH_SELECT_NODES && v->first[ask->home + 1] > v->first[ask->home]) {
		from = v->first[ask->home];
		cnt = v->first[ask->home + 1] - from;
	}
	for (uint32_t k = 0; k < DRAWS; k++) { /* bound: 4 */
		uint32_t at, w;

		if (k == HOME_DRAWS && cnt < v->n) { /* the last one from another node */
			from += cnt;
			cnt = v->n - cnt;
		}
		at = from + (((uint32_t)(r >> (16u * k)) & 0xffffu) * cnt >> 16);
		w = v->order[at < v->n ? at : at - v->n];
		if (sh_unlikely(!has(ask->can, w)))
			w = draw(v, st, ask->can, from, cnt);
		if (w == SHUNT_ANY)
			return;
		consider(v, ask, s, w, sleepers && is_parked(v, w) ? ask->wake_ns : 0);
	}
}

/* A parked worker of the fastest class that has one; SHUNT_ANY = none is parked. */
static uint32_t sleeper(const struct sh_select_pool *v, const struct sh_select_ask *ask, uint32_t start,
			uint32_t *class)
{
	uint64_t idle[SH_SELECT_WORDS] = { 0 }, m[SH_SELECT_WORDS], any = 0;

	for (uint32_t i = 0; i < v->words; i++) {
		/* mo rlx: a hint for placement. */
		idle[i] = sh_a64_load_rlx(&v->parked[i]) & ask->can[i];
		any |= idle[i];
	}
	for (*class = 0; any != 0 && *class < SH_SELECT_CLASSES; ++*class) { /* bound: 5 */
		uint32_t w;

		for (uint32_t i = 0; i < v->words; i++)
			/* mo rlx: a hint for placement. */
			m[i] = idle[i] & sh_a64_load_rlx(&v->member[*class][i]);
		w = next_in(m, v->words, start);
		if (w != SHUNT_ANY)
			return w;
	}
	return SHUNT_ANY;
}

/* Index of the cheapest candidate; of equals a random one. */
static inline uint32_t cheapest(const struct shortlist *s, uint64_t r)
{
	uint64_t limit = NEVER;
	uint32_t equal = 0;

	for (uint32_t k = 0; k < s->n; k++)
		limit = s->cost[k] < limit ? s->cost[k] : limit;
	limit += (limit >> 4) + 1;
	for (uint32_t k = s->n; k-- > 0;)
		equal = equal * 2 + (s->cost[k] < limit);
	return sh_select_bit8(equal, r);
}

/* The cheapest usable candidate; SHUNT_ANY = none. */
static SH_NOINLINE uint32_t cheapest_open(const struct sh_select_pool *v, struct shortlist *s, uint64_t r)
{
	/* bound: candidates; more than one only when some are blocked */
	for (uint32_t t = 0; t < s->n; t++) {
		uint32_t k = cheapest(s, r);

		if (is_open(v->worker[s->index[k]]))
			return s->index[k];
		s->cost[k] = NEVER;
	}
	return SHUNT_ANY;
}

/* Exploration: a random worker, if it is idle and usable; else SHUNT_ANY. */
static SH_NOINLINE uint32_t explore(const struct sh_select_pool *v, struct sh_select_state *st,
				    const struct sh_select_ask *ask)
{
	uint32_t w = draw(v, st, ask->can, 0, v->n);

	if (w == SHUNT_ANY || left_of(v->worker[w], ask) != 0 || has_job(v->worker[w], ask->level))
		return SHUNT_ANY;
	return is_open(v->worker[w]) ? w : SHUNT_ANY;
}

/* Every candidate was unusable: any usable worker. */
static SH_NOINLINE uint32_t any_open(const struct sh_select_pool *v, const uint64_t *can, uint32_t start)
{
	for (uint32_t k = 0; k < v->n; k++) { /* bound: n */
		uint32_t w = start + k < v->n ? start + k : start + k - v->n;

		if (has(can, w) && is_open(v->worker[w]))
			return w;
	}
	return SHUNT_ANY;
}

/*
 * Adds spinning workers that were not taken for that alone: their class may be outdated, so their
 * cost decides.
 */
static void list_spinners(const struct sh_select_pool *v, struct sh_select_state *st, const struct sh_select_ask *ask,
			  struct shortlist *s)
{
	uint64_t idle[SH_SELECT_WORDS] = { 0 }, any = 0;

	for (uint32_t i = 0; i < v->words; i++) {
		/* mo rlx: a hint for placement. */
		idle[i] = sh_a64_load_rlx(&v->spinning[i]) & ask->can[i];
		any |= idle[i];
	}
	for (uint32_t k = 0; any != 0 && k < SPINNERS; k++) { /* bound: 2 */
		uint32_t w = next_in(idle, v->words, sh_rng_below(&st->rng, v->n));

		if (w < v->n)
			consider(v, ask, s, w, 0);
	}
}

static uint32_t choose_large(const struct sh_select_pool *v, struct sh_select_state *st,
			     const struct sh_select_ask *ask, uint64_t r)
{
	struct shortlist s;
	uint32_t class, asleep = sleeper(v, ask, below(r, v->n), &class), best;

	s.n = 0;
	list_drawn(v, st, ask, asleep != SHUNT_ANY, &s);
	list_spinners(v, st, ask, &s);
	if (asleep != SHUNT_ANY)
		consider(v, ask, &s, asleep, ask->wake_ns);
	best = cheapest_open(v, &s, sh_rng_next(&st->rng));
	if (sh_unlikely(best == SHUNT_ANY))
		return any_open(v, ask->can, below(r, v->n));
	if (asleep == SHUNT_ANY || class >= TAKEN_LARGE || !is_open(v->worker[asleep]))
		return best;
	return left_of(v->worker[best], ask) > ask->wake_ns ? asleep : best;
}

/*
 * Four costs, unrolled: every instruction is paid for each candidate. Returns the least of them and
 * `least`.
 */
static inline uint64_t look4(const struct sh_select_pool *v, uint32_t i, uint64_t *cost,
			     const struct sh_select_ask *ask, uint64_t least)
{
	cost[0] = cost_of(v, i, v->small[i], ask, 0);
	cost[1] = cost_of(v, i + 1, v->small[i + 1], ask, 0);
	cost[2] = cost_of(v, i + 2, v->small[i + 2], ask, 0);
	cost[3] = cost_of(v, i + 3, v->small[i + 3], ask, 0);
	least = cost[0] < least ? cost[0] : least;
	least = cost[1] < least ? cost[1] : least;
	least = cost[2] < least ? cost[2] : least;
	return cost[3] < least ? cost[3] : least;
}

static inline uint32_t under4(const uint64_t *cost, uint64_t limit, uint32_t bits)
{
	bits += bits;
	bits += cost[3] < limit;
	bits += bits;
	bits += cost[2] < limit;
	bits += bits;
	bits += cost[1] < limit;
	bits += bits;
	return bits + (cost[0] < limit);
}

/*
 * The usual case of up to EXACT_MAX workers: all may take the job and none is parked. The chosen
 * one may be unusable.
 */
static inline uint32_t choose_plain(const struct sh_select_pool *v, struct sh_select_state *st,
				    const struct sh_select_ask *ask)
{
	uint64_t cost[EXACT_MAX], least = look4(v, 0, cost, ask, NEVER);
	uint32_t equal = 0;

	if (v->n > 4) {
		least = look4(v, 4, cost + 4, ask, least);
		equal = under4(cost + 4, least + (least >> 4) + 1, 0);
	}
	equal = under4(cost, least + (least >> 4) + 1, equal);
	if (sh_likely((equal & (equal - 1)) == 0))
		return sh_ctz64(equal);
	return sh_select_bit8(equal, sh_rng_next(&st->rng));
}

static SH_NOINLINE uint32_t choose_exact(const struct sh_select_pool *v, const struct sh_select_ask *ask, uint64_t r)
{
	uint64_t parked = sh_a64_load_rlx(&v->parked[0]); /* mo rlx: a hint for placement. */
	struct shortlist s;

	s.n = 0;
	for (uint32_t i = 0; i < v->n; i++) /* bound: 8 */
		if (ask->can[0] >> i & 1u)
			consider(v, ask, &s, i, parked >> i & 1u ? ask->wake_ns : 0);
	return cheapest_open(v, &s, r);
}

static SH_NOINLINE uint32_t choose_rare(const struct sh_select_pool *v, struct sh_select_state *st,
					const struct sh_select_ask *ask)
{
	uint64_t r = sh_rng_next(&st->rng);

	if (st->next % EXPLORE_ONE_IN == 0) {
		uint32_t w = explore(v, st, ask);

		if (w != SHUNT_ANY)
			return w;
	}
	return v->n <= EXACT_MAX ? choose_exact(v, ask, r) : choose_large(v, st, ask, r);
}

uint32_t sh_select_least_work(const struct sh_select_pool *v, struct sh_select_state *st,
			      const struct sh_select_ask *ask)
{
	/* mo rlx: a hint for placement. */
	uint64_t not_plain = sh_a64_load_rlx(&v->parked[0]) | ~ask->can[0];

	st->next++;
	if (sh_likely(st->next % EXPLORE_ONE_IN != 0 && v->all_small != 0 && (v->all_small & not_plain) == 0)) {
		uint32_t w = choose_plain(v, st, ask);

		if (sh_likely(is_open(v->small[w])))
			return w;
	}
	return choose_rare(v, st, ask);
}
