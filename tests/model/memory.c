/*
 * model/memory.c - what C11 lets an atomic operation see. Each location has its stores in modification order; each store
 * carries the clock that a reader may acquire. A load may return any store that is not older than one that happened before
 * it, or than one that was read before it. A store goes anywhere in modification order after what happened before it, a
 * read-modify-write right behind the store that it read. A compare-and-swap of a pair of words is one step on both. A
 * store may write one word of a pair, if it is certain to be the last of that word: so the steps on a pair have one
 * order, that of their execution. Seq_cst operations need a total order besides (order.c). This is RC11 without fences,
 * in an order of execution: a load never returns a store that its thread or a later step makes (no load buffering).
 *
 * Locations that only one thread touches have no history; the first touch by a second thread makes a location shared for
 * all later executions, and the search starts again.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/hooks.h"
#include "model/model.h"

#define LOCS_MAX (1u << 16)
#define STORES_MAX (1u << 16)
#define CANDIDATES_MAX 64u
#define STALE_MAX 3u

struct store {
	uint64_t value;
	uint32_t older, newer;        /* modification order */
	struct clock seen;            /* per thread: its step that first wrote or read it; NEVER */
	struct clock gives;           /* what an acquiring reader learns */
	bool followed;                /* a read-modify-write stands right behind it */
	uint32_t twin;                /* the store that the same step made in the other word of a pair; else NONE */
	uint32_t event;               /* of order.c, when it is seq_cst; else NONE */
	struct order_set readers;     /* seq_cst loads that returned it */
	uint8_t stale[MODEL_THREADS]; /* how often the thread read it while there was a newer one */
};

struct loc {
	const void *addr;
	uint32_t round;    /* execution that this entry is of */
	uint32_t owner;    /* the thread that touched it, while it is private */
	uint32_t newest;   /* NONE = no history yet */
	bool pair;         /* a word of a pair: replaced by model_cas_pair, or stored by who knows all of its stores */
	struct clock lock; /* mutexes: what the next holder learns */
};

#define NEVER UINT32_MAX

static struct {
	struct loc *loc;
	struct store *store;
	uint32_t stores;
	uint32_t round;
} * m;

void clock_join(struct clock *to, const struct clock *from)
{
	for (uint32_t i = 0; i < MODEL_THREADS; i++)
		if (from->at[i] > to->at[i])
			to->at[i] = from->at[i];
}

void memory_start(void)
{
	if (!m) {
		m = calloc(1, sizeof(*m));
		m->loc = calloc(LOCS_MAX, sizeof(*m->loc));
		m->store = calloc(STORES_MAX, sizeof(*m->store));
	}
	m->round++;
	m->stores = 0;
	order_start();
}

static struct loc *loc_of(const void *addr)
{
	uint32_t i = (uint32_t)(((uintptr_t)addr >> 2) * UINT64_C(0x9E3779B97F4A7C15) >> 48);

	for (uint32_t n = 0; n < LOCS_MAX; n++, i = (i + 1) & (LOCS_MAX - 1)) {
		struct loc *l = &m->loc[i];

		if (l->round != m->round) {
			memset(l, 0, sizeof(*l));
			l->round = m->round;
			l->addr = addr;
			l->owner = MODEL_NONE;
			l->newest = MODEL_NONE;
			return l;
		}
		if (l->addr == addr)
			return l;
	}
	model_fail("explorer: more than %u locations", LOCS_MAX);
}

static void poke(void *addr, unsigned bytes, uint64_t v)
{
	arena_touch(addr, bytes);
	word_poke(addr, bytes, v);
}

static uint32_t store_new(uint64_t value)
{
	struct store *s;

	if (m->stores == STORES_MAX)
		model_fail("explorer: more than %u stores in one execution", STORES_MAX);
	s = &m->store[m->stores];
	memset(s, 0, sizeof(*s));
	memset(&s->seen, 0xff, sizeof(s->seen));
	s->value = value;
	s->older = s->newer = s->event = s->twin = MODEL_NONE;
	return m->stores++;
}

/* One store, known to all. */
static void history_begin(struct loc *l, uint64_t value)
{
	l->newest = store_new(value);
	l->pair = false;
	memset(&m->store[l->newest].seen, 0, sizeof(struct clock));
}

/* The history begins, or begins anew because plain code wrote here: what is in memory, known to all. */
static void history_sync(struct loc *l, const void *addr, unsigned bytes)
{
	uint64_t now = word_peek(addr, bytes);

	if (l->newest != MODEL_NONE && m->store[l->newest].value == now)
		return;
	history_begin(l, now);
}

/* True when the location has a history that matters. False: one thread's, act on memory. */
static bool is_shared(const void *addr, uint32_t self)
{
	struct loc *l;

	if (explore_shared(addr))
		return true;
	l = loc_of(addr);
	if (l->owner == MODEL_NONE)
		l->owner = self;
	else if (l->owner != self)
		explore_share(addr);
	return false;
}

static bool known(const struct store *s, const struct clock *c)
{
	for (uint32_t i = 0; i < MODEL_THREADS; i++)
		if (s->seen.at[i] <= c->at[i])
			return true;
	return false;
}

static void see(struct store *s, uint32_t self)
{
	if (s->newer != MODEL_NONE)
		s->stale[self]++;
	if (s->seen.at[self] == NEVER)
		s->seen.at[self] = E->now[self].at[self];
}

static enum model_order order_of(const struct model_site *site, bool failed)
{
	if (E->weak[site - __start_model_sites])
		return MODEL_RLX;
	return failed ? site->fail_order : site->order;
}

static bool acquires(enum model_order o)
{
	return o == MODEL_ACQ || o == MODEL_ACQ_REL || o == MODEL_SC;
}

static bool releases(enum model_order o)
{
	return o == MODEL_REL || o == MODEL_ACQ_REL || o == MODEL_SC;
}

/* Seq_cst stores in front of `store`: what a seq_cst load that returns it, or a store right behind it, comes before. */
static void later(const struct loc *l, uint32_t store, struct order_set *out)
{
	for (uint32_t s = l->newest; s != store && s != MODEL_NONE; s = m->store[s].older)
		order_add(out, m->store[s].event);
}

/* What a seq_cst store right behind `store` comes after, besides what happened before: older stores and their readers. */
static void earlier(uint32_t store, struct order_set *out)
{
	for (uint32_t s = store; s != MODEL_NONE; s = m->store[s].older) {
		order_add(out, m->store[s].event);
		order_join(out, &m->store[s].readers);
	}
}

enum act { READ,
	   PUT,
	   FOLLOW }; /* load; store; read-modify-write */

static void neighbours(const struct loc *l, uint32_t self, uint32_t store, enum act act, struct order_set *before,
		       struct order_set *after)
{
	memset(before, 0, sizeof(*before));
	memset(after, 0, sizeof(*after));
	order_known(before, &E->now[self]);
	if (act != PUT)
		order_known(before, &m->store[store].gives); /* seq_cst acquires */
	if (act != READ)
		earlier(store, before);
	later(l, store, after);
}

static bool sc_fits(const struct loc *l, uint32_t self, uint32_t store, enum act act)
{
	struct order_set before, after;

	neighbours(l, self, store, act, &before, &after);
	return order_fits(&before, &after);
}

/* Puts the operation of `self` on `store` into the order of seq_cst operations. */
static uint32_t sc_event(const struct loc *l, uint32_t self, uint32_t store, enum act act)
{
	struct order_set before, after;

	neighbours(l, self, store, act, &before, &after);
	return order_event(self, E->now[self].at[self], &before, &after);
}

/*
 * Stores that may be read, or stood behind, newest first. Stores become visible in time: nobody reads an old one more
 * than STALE_MAX times.
 */
static uint32_t candidates(const struct loc *l, uint32_t self, bool sc, enum act act, uint32_t *out)
{
	uint32_t n = 0;

	for (uint32_t s = l->newest; s != MODEL_NONE && n < CANDIDATES_MAX; s = m->store[s].older) {
		if (s == l->newest || ((act == READ || !m->store[s].followed) && m->store[s].stale[self] < STALE_MAX &&
				       (!sc || sc_fits(l, self, s, act))))
			out[n++] = s;
		if (known(&m->store[s], &E->now[self]))
			break;
	}
	return n;
}

static void put_behind(struct loc *l, uint32_t s, uint32_t before)
{
	struct store *a = &m->store[before];

	m->store[s].older = before;
	m->store[s].newer = a->newer;
	if (a->newer == MODEL_NONE)
		l->newest = s;
	else
		m->store[a->newer].older = s;
	a->newer = s;
}

static void note(const struct model_site *site, const void *addr, unsigned bytes, uint64_t before, uint64_t after,
		 uint32_t older, bool done)
{
	struct trace_line *t;

	E->seen_site[site - __start_model_sites] = true;
	if (!E->verbose)
		return;
	t = trace_add();
	t->site = site;
	t->addr = addr;
	t->bytes = bytes;
	t->before = before;
	t->after = after;
	t->older = older;
	t->done = done;
}

/* What the thread does from here on is not covered by what it just published. */
static void step_done(uint32_t self)
{
	E->now[self].at[self]++;
}

/* The step begins: others may go first. Then the location's history is up to date. NULL = private. */
static struct loc *step(const struct model_site *site, void *addr, unsigned bytes, bool write)
{
	uint32_t self = virt_self();
	struct loc *l;
	char where[96];

	plain_check(addr, bytes);
	if (E->mode != MODEL_EXPLORE || !is_shared(addr, self))
		return NULL;
	explore_point(addr, NULL, write);
	plain_check(addr, bytes);
	l = loc_of(addr);
	history_sync(l, addr, bytes);
	if (write && l->pair && site->kind != MODEL_STORE)
		model_fail("a word of a pair is replaced alone: %s", arena_name(addr, where, sizeof(where)));
	return l;
}

uint64_t model_load(const struct model_site *site, void *addr, unsigned bytes)
{
	uint32_t self = virt_self(), can[CANDIDATES_MAX], n, k;
	struct loc *l = step(site, addr, bytes, false);
	enum model_order o;
	struct store *s;

	if (!l) {
		uint64_t v = word_peek(addr, bytes);

		if (E->mode == MODEL_EXPLORE)
			note(site, addr, bytes, v, v, 0, true);
		plain_atomic(addr, bytes, false);
		return v;
	}
	o = order_of(site, false);
	n = candidates(l, self, o == MODEL_SC, READ, can);
	k = explore_value(n);
	s = &m->store[can[k]];
	if (o == MODEL_SC)
		order_add(&s->readers, sc_event(l, self, can[k], READ));
	see(s, self);
	if (acquires(o))
		clock_join(&E->now[self], &s->gives);
	plain_atomic(addr, bytes, false);
	note(site, addr, bytes, s->value, s->value, k, true);
	step_done(self);
	return s->value;
}

void model_store(const struct model_site *site, void *addr, unsigned bytes, uint64_t x)
{
	uint32_t self = virt_self(), can[CANDIDATES_MAX], n, k, new, event = MODEL_NONE;
	struct loc *l = step(site, addr, bytes, true);
	enum model_order o;
	struct store *s;
	char where[96];

	if (!l) {
		if (E->mode == MODEL_EXPLORE) {
			note(site, addr, bytes, word_peek(addr, bytes), x, 0, true);
			explore_wrote();
		}
		plain_atomic(addr, bytes, true);
		poke(addr, bytes, x);
		return;
	}
	o = order_of(site, false);
	n = candidates(l, self, o == MODEL_SC, PUT, can);
	if (l->pair && n != 1)
		model_fail("a word of a pair is stored alone beside other stores: %s", arena_name(addr, where, sizeof(where)));
	k = explore_value(n);
	if (o == MODEL_SC)
		event = sc_event(l, self, can[k], PUT);
	new = store_new(x);
	s = &m->store[new];
	s->event = event;
	put_behind(l, new, can[k]);
	see(s, self);
	if (releases(o))
		s->gives = E->now[self];
	plain_atomic(addr, bytes, true);
	note(site, addr, bytes, word_peek(addr, bytes), x, k, true);
	poke(addr, bytes, m->store[l->newest].value);
	explore_wrote();
	step_done(self);
}

static uint64_t combine(enum model_kind kind, uint64_t old, uint64_t x, unsigned bytes)
{
	uint64_t v = kind == MODEL_ADD ? old + x : kind == MODEL_SUB ? old - x
					   : kind == MODEL_OR        ? (old | x)
					   : kind == MODEL_AND       ? (old & x)
								     : x;

	return bytes == 4 ? (uint32_t)v : v;
}

/* Stores x behind the store that was read, `before`. */
static uint32_t follow(struct loc *l, uint32_t self, uint32_t before, uint64_t x, enum model_order o, uint32_t event)
{
	uint32_t new = store_new(x);
	struct store *s = &m->store[new], *b = &m->store[before];

	s->event = event;
	see(b, self);
	if (acquires(o))
		clock_join(&E->now[self], &b->gives);
	b->followed = true;
	put_behind(l, new, before);
	see(s, self);
	s->gives = b->gives; /* the release sequence goes on */
	if (releases(o))
		clock_join(&s->gives, &E->now[self]);
	return new;
}

static void follow_word(struct loc *l, uint32_t self, uint32_t before, uint64_t x, enum model_order o)
{
	(void)follow(l, self, before, x, o, o == MODEL_SC ? sc_event(l, self, before, FOLLOW) : MODEL_NONE);
}

uint64_t model_rmw(const struct model_site *site, void *addr, unsigned bytes, uint64_t x)
{
	uint32_t self = virt_self(), can[CANDIDATES_MAX], n, k;
	struct loc *l = step(site, addr, bytes, true);
	enum model_order o;
	uint64_t old, new;

	if (!l) {
		old = word_peek(addr, bytes);
		new = combine(site->kind, old, x, bytes);
		if (E->mode == MODEL_EXPLORE) {
			note(site, addr, bytes, old, new, 0, true);
			explore_wrote();
		}
		plain_atomic(addr, bytes, true);
		poke(addr, bytes, new);
		return old;
	}
	o = order_of(site, false);
	n = candidates(l, self, o == MODEL_SC, FOLLOW, can);
	k = explore_value(n);
	old = m->store[can[k]].value;
	new = combine(site->kind, old, x, bytes);
	follow_word(l, self, can[k], new, o);
	plain_atomic(addr, bytes, true);
	note(site, addr, bytes, old, new, k, true);
	poke(addr, bytes, m->store[l->newest].value);
	explore_wrote();
	step_done(self);
	return old;
}

static bool cas_private(const struct model_site *site, void *addr, unsigned bytes, uint64_t *expected, uint64_t x)
{
	uint64_t old = word_peek(addr, bytes);
	bool done = old == *expected;

	if (E->mode == MODEL_EXPLORE) {
		note(site, addr, bytes, old, done ? x : old, 0, done);
		if (done)
			explore_wrote();
	}
	plain_atomic(addr, bytes, done);
	if (done)
		poke(addr, bytes, x);
	*expected = old;
	return done;
}

bool model_cas(const struct model_site *site, void *addr, unsigned bytes, uint64_t *expected, uint64_t x)
{
	uint32_t self = virt_self(), can[CANDIDATES_MAX], ok[CANDIDATES_MAX], n, p = 0, k;
	struct loc *l = step(site, addr, bytes, true);
	enum model_order o, f;
	struct store *s;

	if (bytes == 4)
		x = (uint32_t)x;
	if (!l)
		return cas_private(site, addr, bytes, expected, x);
	o = order_of(site, false);
	f = order_of(site, true);
	n = candidates(l, self, false, READ, can);
	for (k = 0; k < n; k++) { /* those that it fails on, and those that it may stand behind */
		s = &m->store[can[k]];
		if (s->value != *expected || (!s->followed && (o != MODEL_SC || sc_fits(l, self, can[k], FOLLOW))))
			ok[p++] = can[k];
	}
	k = explore_value(p); /* the newest is never followed: p >= 1 */
	s = &m->store[ok[k]];
	if (s->value == *expected) {
		follow_word(l, self, ok[k], x, o);
		plain_atomic(addr, bytes, true);
		note(site, addr, bytes, *expected, x, k, true);
		poke(addr, bytes, m->store[l->newest].value);
		explore_wrote();
		step_done(self);
		return true;
	}
	see(s, self);
	if (acquires(f))
		clock_join(&E->now[self], &s->gives);
	plain_atomic(addr, bytes, false);
	note(site, addr, bytes, s->value, s->value, k, false);
	step_done(self);
	*expected = s->value;
	return false;
}

/* ---- a pair of words ---- */

static void note_pair(const struct model_site *site, const uint64_t *pair, const uint64_t before[2],
		      const uint64_t after[2], uint32_t older, bool done)
{
	note(site, pair, 16, before[0], after[0], older, done);
	if (E->verbose) {
		E->trace[E->trace_n - 1].before_hi = before[1];
		E->trace[E->trace_n - 1].after_hi = after[1];
	}
}

/* Both words are private, or both shared: their histories are parallel. */
static bool pair_shared(const uint64_t *pair, uint32_t self)
{
	bool lo = is_shared(&pair[0], self), hi = is_shared(&pair[1], self);

	if (lo != hi)
		explore_share(lo ? &pair[1] : &pair[0]);
	return lo;
}

static bool pair_private(const struct model_site *site, uint64_t *pair, const uint64_t expected[2], const uint64_t x[2])
{
	const uint64_t old[2] = { pair[0], pair[1] };
	bool done = old[0] == expected[0] && old[1] == expected[1];

	if (E->mode == MODEL_EXPLORE) {
		note_pair(site, pair, old, done ? x : old, 0, done);
		if (done)
			explore_wrote();
	}
	plain_atomic(pair, 16, done);
	if (done) {
		poke(&pair[0], 8, x[0]);
		poke(&pair[1], 8, x[1]);
	}
	return done;
}

/* The word's stores so far were made in their modification order; from here on they are (model_store). */
static void begin_pair(struct loc *l)
{
	char where[96];

	for (uint32_t s = l->newest; !l->pair && m->store[s].older != MODEL_NONE; s = m->store[s].older)
		if (s < m->store[s].older)
			model_fail("a word of a pair was stored alone beside other stores: %s", arena_name(l->addr, where, sizeof(where)));
	l->pair = true;
}

/* The pair as it was before the last step on it. False = there was none, or the thread knows of the step. */
static bool pair_older(uint32_t pair[2], uint32_t self)
{
	const struct store *lo = &m->store[pair[0]], *hi = &m->store[pair[1]];
	bool both = lo->twin == pair[1];
	bool first = both || (lo->older != MODEL_NONE && (hi->older == MODEL_NONE || pair[0] > pair[1]));
	bool second = both || !first;

	if ((first && known(lo, &E->now[self])) || (second && known(hi, &E->now[self]))) /* the oldest is known to all */
		return false;
	pair[0] = first ? lo->older : pair[0];
	pair[1] = second ? hi->older : pair[1];
	return true;
}

/*
 * Pairs of stores that a compare-and-swap may look at, newest first: neither word may be known to be newer. It can only
 * fail on one that is not the newest. can[][0], can[][1] = the stores.
 */
static uint32_t pair_candidates(struct loc *const l[2], uint32_t self, const uint64_t expected[2], uint32_t can[][2])
{
	uint32_t at[2] = { l[0]->newest, l[1]->newest };
	uint32_t n = 0;

	do {
		const struct store *lo = &m->store[at[0]], *hi = &m->store[at[1]];

		if (n == 0 || ((lo->value != expected[0] || hi->value != expected[1]) && lo->stale[self] < STALE_MAX &&
			       hi->stale[self] < STALE_MAX)) {
			can[n][0] = at[0];
			can[n++][1] = at[1];
		}
	} while (n < CANDIDATES_MAX && pair_older(at, self));
	return n;
}

/* One step, one place in the order of seq_cst operations. */
static void follow_pair(struct loc *const l[2], uint32_t self, const uint32_t at[2], const uint64_t x[2],
			enum model_order o)
{
	struct order_set before, after, also_before, also_after;
	uint32_t event = MODEL_NONE, lo, hi;

	if (o == MODEL_SC) {
		neighbours(l[0], self, at[0], FOLLOW, &before, &after);
		neighbours(l[1], self, at[1], FOLLOW, &also_before, &also_after);
		order_join(&before, &also_before);
		order_join(&after, &also_after);
		event = order_event(self, E->now[self].at[self], &before, &after);
	}
	lo = follow(l[0], self, at[0], x[0], o, event);
	hi = follow(l[1], self, at[1], x[1], o, event);
	m->store[lo].twin = hi;
	m->store[hi].twin = lo;
}

bool model_cas_pair(const struct model_site *site, uint64_t *pair, const uint64_t expected[2], const uint64_t x[2])
{
	uint32_t self = virt_self(), can[CANDIDATES_MAX][2], n, k;
	struct loc *l[2];
	uint64_t old[2];
	bool done;

	plain_check(pair, 16);
	if (E->mode != MODEL_EXPLORE || !pair_shared(pair, self))
		return pair_private(site, pair, expected, x);
	explore_point(&pair[0], &pair[1], true);
	plain_check(pair, 16);
	for (uint32_t i = 0; i < 2; i++) {
		l[i] = loc_of(&pair[i]);
		history_sync(l[i], &pair[i], 8);
		begin_pair(l[i]);
	}
	n = pair_candidates(l, self, expected, can);
	k = explore_value(n);
	for (uint32_t i = 0; i < 2; i++)
		old[i] = m->store[can[k][i]].value;
	done = old[0] == expected[0] && old[1] == expected[1];
	if (done)
		follow_pair(l, self, can[k], x, order_of(site, false));
	for (uint32_t i = 0; i < 2 && !done; i++) {
		see(&m->store[can[k][i]], self);
		if (acquires(order_of(site, true)))
			clock_join(&E->now[self], &m->store[can[k][i]].gives);
	}
	plain_atomic(pair, 16, done);
	note_pair(site, pair, old, done ? x : old, k, done);
	if (done) {
		poke(&pair[0], 8, m->store[l[0]->newest].value);
		poke(&pair[1], 8, m->store[l[1]->newest].value);
		explore_wrote();
	}
	step_done(self);
	return done;
}

/* Not atomic: the owner prepares the object. Its history starts here. */
void model_init(const struct model_site *site, void *addr, unsigned bytes, uint64_t x)
{
	if (bytes == 4)
		x = (uint32_t)x;
	if (E->mode == MODEL_EXPLORE) {
		E->seen_site[site - __start_model_sites] = true;
		plain_write(addr, bytes);
		history_begin(loc_of(addr), x);
		explore_wrote();
	}
	poke(addr, bytes, x);
}

/* What threads learn from each other through the operating system. */
void memory_sync(enum virt_sync what, const void *object, uint32_t id)
{
	uint32_t self = virt_self();

	if (what == VIRT_LOCK || what == VIRT_UNLOCK)
		arena_touch(object, sizeof(uint32_t));
	if (E->mode != MODEL_EXPLORE)
		return;
	switch (what) {
	case VIRT_CREATE:
		E->now[id] = E->now[self];
		E->now[id].at[id] = 1;
		break;
	case VIRT_JOINED:
		clock_join(&E->now[self], &E->now[id]);
		break;
	case VIRT_LOCK:
		clock_join(&E->now[self], &loc_of(object)->lock);
		break;
	case VIRT_UNLOCK:
		loc_of(object)->lock = E->now[self];
		explore_wrote();
		break;
	case VIRT_BARRIER:
		for (uint32_t i = 0; i < virt_threads(); i++)
			clock_join(&E->now[self], &E->now[i]);
		for (uint32_t i = 0; i < virt_threads(); i++)
			clock_join(&E->now[i], &E->now[self]);
		break;
	case VIRT_WAIT:
	case VIRT_WOKEN:
		/* The kernel promises no order to user memory here: none is taken for granted. */
		break;
	}
	step_done(self);
}
