/*
 * model/memory.c - what C11 lets an atomic operation see. Each location has its stores in modification order; each store
 * carries the clock that a reader may acquire. A load may return any store that is not older than one that happened before
 * it, or than one that was read before it. A store goes anywhere in modification order after what happened before it, a
 * read-modify-write right behind the store that it read. Seq_cst operations need a total order besides (order.c). This is
 * RC11 without fences, in an order of execution: a load never returns a store that its thread or a later step makes (no
 * load buffering).
 *
 * Locations that only one thread touches have no history; the first touch by a second thread makes a location shared for
 * all later executions, and the search starts again.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	uint32_t event;               /* of order.c, when it is seq_cst; else NONE */
	struct order_set readers;     /* seq_cst loads that returned it */
	uint8_t stale[MODEL_THREADS]; /* how often the thread read it while there was a newer one */
};

struct loc {
	const void *addr;
	uint32_t round;    /* execution that this entry is of */
	uint32_t owner;    /* the thread that touched it, while it is private */
	uint32_t newest;   /* NONE = no history yet */
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

static uint64_t peek(const void *addr, unsigned bytes)
{
	uint64_t v = 0;

	if (bytes == 4) {
		uint32_t w;

		memcpy(&w, addr, 4);
		v = w;
	} else {
		memcpy(&v, addr, 8);
	}
	return v;
}

static void poke(void *addr, unsigned bytes, uint64_t v)
{
	uint32_t w = (uint32_t)v;

	arena_touch(addr, bytes);
	if (bytes == 4)
		memcpy(addr, &w, 4);
	else
		memcpy(addr, &v, 8);
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
	s->older = s->newer = s->event = MODEL_NONE;
	return m->stores++;
}

/* The history begins, or begins anew because plain code wrote here: what is in memory, known to all. */
static void history_sync(struct loc *l, const void *addr, unsigned bytes)
{
	uint64_t now = peek(addr, bytes);

	if (l->newest != MODEL_NONE && m->store[l->newest].value == now)
		return;
	l->newest = store_new(now);
	memset(&m->store[l->newest].seen, 0, sizeof(struct clock));
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

	(void)site;
	plain_check(addr, bytes);
	if (E->mode != MODEL_EXPLORE || !is_shared(addr, self))
		return NULL;
	explore_point(addr, write);
	plain_check(addr, bytes);
	l = loc_of(addr);
	history_sync(l, addr, bytes);
	return l;
}

uint64_t model_load(const struct model_site *site, void *addr, unsigned bytes)
{
	uint32_t self = virt_self(), can[CANDIDATES_MAX], n, k;
	struct loc *l = step(site, addr, bytes, false);
	enum model_order o;
	struct store *s;

	if (!l) {
		uint64_t v = peek(addr, bytes);

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

	if (!l) {
		if (E->mode == MODEL_EXPLORE) {
			note(site, addr, bytes, peek(addr, bytes), x, 0, true);
			explore_wrote();
		}
		plain_atomic(addr, bytes, true);
		poke(addr, bytes, x);
		return;
	}
	o = order_of(site, false);
	n = candidates(l, self, o == MODEL_SC, PUT, can);
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
	note(site, addr, bytes, peek(addr, bytes), x, k, true);
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
static void follow(struct loc *l, uint32_t self, uint32_t before, uint64_t x, enum model_order o)
{
	uint32_t event = o == MODEL_SC ? sc_event(l, self, before, FOLLOW) : MODEL_NONE, new = store_new(x);
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
}

uint64_t model_rmw(const struct model_site *site, void *addr, unsigned bytes, uint64_t x)
{
	uint32_t self = virt_self(), can[CANDIDATES_MAX], n, k;
	struct loc *l = step(site, addr, bytes, true);
	enum model_order o;
	uint64_t old, new;

	if (!l) {
		old = peek(addr, bytes);
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
	follow(l, self, can[k], new, o);
	plain_atomic(addr, bytes, true);
	note(site, addr, bytes, old, new, k, true);
	poke(addr, bytes, m->store[l->newest].value);
	explore_wrote();
	step_done(self);
	return old;
}

static bool cas_private(const struct model_site *site, void *addr, unsigned bytes, uint64_t *expected, uint64_t x)
{
	uint64_t old = peek(addr, bytes);
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
		follow(l, self, ok[k], x, o);
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

/* Not atomic: the owner prepares the object. Its history starts here. */
void model_init(const struct model_site *site, void *addr, unsigned bytes, uint64_t x)
{
	struct loc *l;

	if (bytes == 4)
		x = (uint32_t)x;
	if (E->mode == MODEL_EXPLORE) {
		E->seen_site[site - __start_model_sites] = true;
		plain_write(addr, bytes);
		l = loc_of(addr);
		l->newest = store_new(x);
		memset(&m->store[l->newest].seen, 0, sizeof(struct clock));
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
