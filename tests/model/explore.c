/*
 * model/explore.c - which executions there are. An execution is a list of decisions: who takes the next step, which of the
 * permitted values a load returns. Three searches share the list:
 *
 *   ALL      depth first with dynamic partial-order reduction (Flanagan, Godefroid 2005; source sets: Abdulla, Aronis,
 *            Jonsson, Sagonas 2014) and sleep sets (Godefroid 1996)
 *   BOUNDED  depth first over everything that deviates at most `bound` times from "stay on this thread, read the newest"
 *   RANDOM   probabilistic concurrency testing (Burckhardt et al. 2010): random priorities with random change points, and
 *            old values at random
 *
 * Steps are operations on shared locations, mutexes and futex words. A thread that spins is not scheduled until somebody
 * wrote something; time only passes when nobody can go on.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

#define DECISIONS_MAX (1u << 16)
#define SHARED_MAX (1u << 16)
#define IDLE_ROUNDS_MAX 40u
#define OLD_ONE_IN 4u /* RANDOM: loads that look for an old value */
#define TIMER_ONE_IN 32u
#define ALTERNATIVES_MAX 64u

enum { SCHEDULE,
       VALUE };

struct decision {
	uint8_t kind;
	uint8_t n, chosen; /* VALUE; BOUNDED also SCHEDULE: of alt[] */
	uint8_t pick;      /* SCHEDULE: the thread */
	uint8_t alt[MODEL_THREADS * 2], cost[MODEL_THREADS * 2];
	uint16_t enabled, done, backtrack, sleep; /* SCHEDULE */
	uint32_t spent;                           /* deviations before */
	struct step step;                         /* of the picked thread */
	uint32_t number;                          /* of the step in its thread */
	struct clock clock;                       /* steps that come before it in every equal execution */
};

static struct {
	struct decision *d;
	uint32_t n, at;    /* known decisions; how many of them this execution has taken */
	uint32_t replayed; /* this many come from the execution before */
	uint32_t spent;
	struct clock order[MODEL_THREADS]; /* by dependence */
	uint32_t done[MODEL_THREADS];      /* steps taken */
	const void **shared;
	bool grew;
	/* random */
	uint64_t rng;
	uint32_t priority[MODEL_THREADS], lowest;
	uint32_t change[16];
	uint32_t length; /* longest execution so far */
	/* replay of a printed list */
	const char *follow;
} * m;

static uint64_t rnd(void)
{
	uint64_t z = (m->rng += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(rnd() % n);
}

/* ---- shared locations ---- */

static const void **shared_slot(const void *addr)
{
	uint32_t i = (uint32_t)(((uintptr_t)addr >> 2) * UINT64_C(0x9E3779B97F4A7C15) >> 48);

	while (m->shared[i] && m->shared[i] != addr)
		i = (i + 1) & (SHARED_MAX - 1);
	return &m->shared[i];
}

bool explore_shared(const void *addr)
{
	return *shared_slot(addr) != NULL;
}

void explore_share(const void *addr)
{
	*shared_slot(addr) = addr;
	m->grew = true;
	E->redundant = true; /* what this thread learned here is not known: the search starts again, with this location */
	explore_over();
}

/* ---- begin and end ---- */

void explore_begin(void)
{
	if (!m) {
		m = calloc(1, sizeof(*m));
		m->d = calloc(DECISIONS_MAX, sizeof(*m->d));
		m->shared = calloc(SHARED_MAX, sizeof(*m->shared));
	}
	memset(m->shared, 0, SHARED_MAX * sizeof(*m->shared));
	m->n = m->replayed = 0;
	m->grew = false;
	m->length = 100;
	m->rng = E->limits.seed;
	m->follow = NULL;
}

void explore_start(void)
{
	m->at = 0;
	m->spent = 0;
	memset(m->order, 0, sizeof(m->order));
	memset(m->done, 0, sizeof(m->done));
	memset(E->now, 0, sizeof(E->now));
	memset(E->next, 0, sizeof(E->next));
	memset(E->relaxing, 0, sizeof(E->relaxing));
	for (uint32_t i = 0; i < MODEL_THREADS; i++)
		E->now[i].at[i] = 1;
	E->steps = 0;
	E->idle_rounds = 0;
	E->over = E->truncated = E->redundant = E->failed = false;
	E->trace_n = 0;
	if (E->limits.search == MODEL_RANDOM && !m->follow) {
		m->n = 0;
		m->replayed = 0;
		m->rng = E->limits.seed + E->stats.executions * UINT64_C(0x2545F4914F6CDD1D);
		m->lowest = 1000;
		for (uint32_t i = 0; i < MODEL_THREADS; i++)
			m->priority[i] = 1000 + below(1u << 20);
		for (uint32_t i = 0; i < E->limits.depth && i < 16; i++)
			m->change[i] = below(m->length);
	}
}

void explore_over(void)
{
	E->over = true;
	virt_relax();
	abort();
}

/* ---- dependence ---- */

static bool dependent(const struct step *a, const struct step *b)
{
	if (a->all || b->all)
		return true;
	if (a->addr == NULL || b->addr == NULL || !(a->write || b->write))
		return false;
	return a->addr == b->addr || a->addr == b->also || a->also == b->addr;
}

/*
 * Steps b and d race: no third step orders them. The steps behind b that do not follow it, and d, could have gone
 * before b; one of the threads that could have begun with them must be tried there (a source set: Abdulla et al. 2014).
 * To try just d's thread is not enough together with sleep sets: its own next step there may need a third thread's
 * before it.
 */
static void turn_round(struct decision *b, const struct decision *d)
{
	uint32_t first[MODEL_THREADS] = { 0 };
	uint16_t begin = 0;

	for (const struct decision *x = b + 1; x <= d; x++) {
		bool leads = true;

		if (x->kind != SCHEDULE || first[x->pick] || (x != d && x->clock.at[b->pick] >= b->number))
			continue;
		for (uint32_t q = 0; q < MODEL_THREADS; q++)
			leads = leads && (!first[q] || x->clock.at[q] < first[q]);
		first[x->pick] = x->number;
		if (leads)
			begin = (uint16_t)(begin | 1u << x->pick);
	}
	if (begin & (b->backtrack | b->sleep))
		return;
	begin &= b->enabled;
	if (begin >> d->pick & 1u)
		begin = (uint16_t)(1u << d->pick);
	else
		begin = (uint16_t)(begin & -begin);
	b->backtrack = (uint16_t)(b->backtrack | (begin ? begin : b->enabled));
}

/* The picked step of decision d follows all dependent ones; where it could have gone first, that is to be tried. */
static void order_step(struct decision *d, bool look_for_races)
{
	struct decision *race[MODEL_THREADS]; /* one of each thread at most */
	uint32_t p = d->pick, races = 0;

	for (struct decision *b = d; b-- > m->d;) {
		if (b->kind != SCHEDULE || b->pick == p || !dependent(&b->step, &d->step))
			continue;
		if (m->order[p].at[b->pick] >= b->number)
			continue; /* it came first in every execution that is equal to this one */
		race[races++] = b;
		clock_join(&m->order[p], &b->clock);
	}
	d->number = ++m->done[p];
	m->order[p].at[p] = d->number;
	d->clock = m->order[p];
	for (uint32_t i = 0; look_for_races && i < races; i++)
		turn_round(race[i], d);
}

/* An execution that stops early: what its threads were about to do may conflict as well. */
static void order_pending(void)
{
	struct clock keep[MODEL_THREADS];
	struct decision *d = &m->d[m->at];
	uint32_t done[MODEL_THREADS];

	if (m->at + 1 >= DECISIONS_MAX)
		return;
	for (uint32_t p = 1; p < virt_threads(); p++) {
		if (!virt_ready(p) || !E->next[p].addr)
			continue;
		memcpy(keep, m->order, sizeof(keep));
		memcpy(done, m->done, sizeof(done));
		d->kind = SCHEDULE;
		d->pick = (uint8_t)p;
		d->step = E->next[p];
		order_step(d, true);
		memcpy(m->order, keep, sizeof(keep));
		memcpy(m->done, done, sizeof(done));
	}
}

/* ---- decisions ---- */

static struct decision *decision_new(uint8_t kind)
{
	struct decision *d;

	if (m->at >= DECISIONS_MAX)
		model_fail("explorer: more than %u decisions in one execution", DECISIONS_MAX);
	d = &m->d[m->at++];
	m->n = m->at;
	d->kind = kind;
	d->chosen = 0;
	d->spent = m->spent;
	return d;
}

/* The next number of a printed list; 0 behind its end. */
static uint32_t followed(void)
{
	char *end;
	unsigned long v;

	if (!m->follow || !*m->follow)
		return 0;
	v = strtoul(m->follow, &end, 10);
	m->follow = *end ? end + 1 : end;
	return (uint32_t)v;
}

uint32_t explore_value(uint32_t n)
{
	struct decision *d;

	if (n <= 1)
		return 0;
	if (m->at < m->n && !m->follow) {
		d = &m->d[m->at++];
	} else {
		d = decision_new(VALUE);
		d->n = (uint8_t)n;
		if (m->follow)
			d->chosen = (uint8_t)(followed() % n);
		else if (E->limits.search == MODEL_RANDOM && below(OLD_ONE_IN) == 0)
			d->chosen = (uint8_t)below(n);
	}
	m->spent += d->chosen != 0;
	return d->chosen;
}

static uint16_t pick_all(struct decision *d, uint32_t self, bool fresh)
{
	if (fresh) {
		uint16_t awake = (uint16_t)(d->enabled & ~d->sleep);

		if (awake == 0)
			return MODEL_THREADS;
		d->pick = (uint8_t)((awake >> self & 1u) ? self : (uint32_t)__builtin_ctz(awake));
		d->backtrack = (uint16_t)(1u << d->pick);
		d->done = 0;
	}
	d->step = E->next[d->pick];
	order_step(d, m->at >= m->replayed);
	return d->pick;
}

/* Threads that sleep in a child: those that slept or were tried here, as long as nothing they would do is touched. */
static uint16_t sleepers(void)
{
	uint16_t sleep = 0;

	for (uint32_t i = m->at - 1; i-- > 0;) {
		const struct decision *b = &m->d[i];
		uint16_t s;

		if (b->kind != SCHEDULE)
			continue;
		s = (uint16_t)((b->sleep | b->done) & ~(1u << b->pick));
		for (uint32_t q = 0; q < MODEL_THREADS; q++)
			if ((s >> q & 1u) && !dependent(&E->next[q], &b->step))
				sleep = (uint16_t)(sleep | 1u << q);
		break;
	}
	return sleep;
}

static uint32_t decide_all(uint16_t enabled, uint32_t self)
{
	struct decision *d;
	bool fresh = m->at >= m->n;
	uint16_t pick;

	if (fresh) {
		d = decision_new(SCHEDULE);
		d->enabled = enabled;
		d->sleep = sleepers();
	} else {
		d = &m->d[m->at++];
	}
	pick = pick_all(d, self, fresh);
	if (pick == MODEL_THREADS) {
		m->n = --m->at;
		E->redundant = true;
		order_pending();
	}
	return pick;
}

/* All who could go on, the one that would by default first. */
static void alternatives(struct decision *d, uint16_t enabled, uint16_t timers, uint32_t self, enum virt_why why)
{
	uint32_t first = self, cost = 1;

	d->n = 0;
	if (why == VIRT_BLOCKED || why == VIRT_EXIT || self == E->home)
		cost = 0;
	if (!(enabled >> self & 1u) || why == VIRT_RELAX)
		do
			first = (first + 1) % MODEL_THREADS;
		while (!(enabled >> first & 1u));
	d->alt[d->n] = (uint8_t)first;
	d->cost[d->n++] = 0;
	for (uint32_t k = 1; k < MODEL_THREADS; k++) {
		uint32_t t = (first + k) % MODEL_THREADS;

		if (!(enabled >> t & 1u) && !(timers >> t & 1u))
			continue;
		d->alt[d->n] = (uint8_t)t;
		d->cost[d->n++] = (uint8_t)((enabled >> t & 1u) ? cost : 1);
	}
}

static uint32_t decide_bounded(uint16_t enabled, uint16_t timers, uint32_t self, enum virt_why why)
{
	struct decision *d;

	if (m->at < m->n) {
		d = &m->d[m->at++];
	} else {
		d = decision_new(SCHEDULE);
		alternatives(d, enabled, timers, self, why);
	}
	d->pick = d->alt[d->chosen];
	m->spent += d->cost[d->chosen];
	return d->pick;
}

static uint32_t decide_random(uint16_t enabled, uint16_t timers, uint32_t self, enum virt_why why)
{
	struct decision *d = decision_new(SCHEDULE);
	uint32_t best = MODEL_THREADS;

	d->pick = 0;
	if (timers && below(TIMER_ONE_IN) == 0)
		enabled = timers;
	for (uint32_t i = 0; i < E->limits.depth && i < 16; i++)
		if (m->change[i] == E->steps)
			m->priority[self] = --m->lowest;
	if (why == VIRT_RELAX)
		m->priority[self] = --m->lowest;
	for (uint32_t t = 0; t < MODEL_THREADS; t++)
		if ((enabled >> t & 1u) && (best == MODEL_THREADS || m->priority[t] > m->priority[best]))
			best = t;
	d->pick = (uint8_t)best;
	return best;
}

static uint32_t decide(uint16_t enabled, uint16_t timers, uint32_t self, enum virt_why why)
{
	uint32_t t;

	if (m->follow) {
		struct decision *d = decision_new(SCHEDULE);

		t = *m->follow ? followed() : (uint32_t)__builtin_ctz(enabled);
		d->pick = (uint8_t)t;
		return t;
	}
	if (E->limits.search == MODEL_ALL)
		return decide_all(enabled, self);
	if (E->limits.search == MODEL_BOUNDED)
		return decide_bounded(enabled, timers, self, why);
	return decide_random(enabled, timers, self, why);
}

/* ---- who is next ---- */

static bool clients_ended(void)
{
	for (uint32_t i = 0; i < E->clients; i++)
		if (virt_get(E->first_client + i)->state != VIRT_ENDED)
			return false;
	return true;
}

/* Sets the mask of threads that could go on; relaxing ones are marked. */
static uint16_t enabled_now(uint16_t *timers, uint16_t *spinning)
{
	uint16_t on = 0;

	*timers = *spinning = 0;
	for (uint32_t i = 1; i < virt_threads(); i++) {
		const struct virt_thread *t = virt_get(i);
		uint16_t bit = (uint16_t)(1u << i);

		if (t->state == VIRT_READY && E->relaxing[i])
			*spinning = (uint16_t)(*spinning | bit);
		else if (t->state == VIRT_READY)
			on = (uint16_t)(on | bit);
		else if ((t->state == VIRT_FUTEX || t->state == VIRT_SLEEP) && t->deadline_ns != VIRT_FOREVER)
			*timers = (uint16_t)(*timers | bit);
	}
	return on;
}

static void expire_first(void)
{
	uint64_t first = virt_next_deadline();

	if (first > E->time_ns)
		E->time_ns = first;
	for (uint32_t i = 1; i < virt_threads(); i++) {
		const struct virt_thread *t = virt_get(i);

		if ((t->state == VIRT_FUTEX || t->state == VIRT_SLEEP) && t->deadline_ns == first) {
			virt_expire(i);
			return;
		}
	}
}

void explore_expire(void)
{
	expire_first();
}

static void say_deadlock(char *out, size_t bytes)
{
	static const char *const doing[] = { "free", "ready", "asleep on a word", "waits for a mutex", "waits for an end",
					     "asleep", "ended" };
	size_t at = 0;

	for (uint32_t i = 1; i < virt_threads() && at < bytes; i++) {
		const struct virt_thread *t = virt_get(i);

		if (t->state != VIRT_ENDED)
			at += (size_t)snprintf(out + at, bytes - at, "%s %s; ", t->name, doing[t->state]);
	}
}

/* Nobody can go on by himself: spinners look again, time passes, or the execution is over. False = it is over. */
static bool nobody(uint16_t spinning, uint16_t timers)
{
	char who[300] = "";

	if (spinning && clients_ended() && !timers)
		return false;
	if (spinning && E->idle_rounds++ < IDLE_ROUNDS_MAX) {
		E->time_ns += 1000;
		while (virt_next_deadline() <= E->time_ns)
			expire_first();
		memset(E->relaxing, 0, sizeof(E->relaxing));
		return true;
	}
	if (clients_ended())
		return false;
	if (timers) {
		expire_first();
		return true;
	}
	say_deadlock(who, sizeof(who));
	E->failed = true;
	(void)snprintf(E->failure, sizeof(E->failure), "lost wake-up or deadlock: %s", who);
	return false;
}

static uint32_t schedule_explore(enum virt_why why)
{
	uint32_t self = virt_self(), to;
	uint16_t on, timers, spinning;

	if (why == VIRT_POINT) {
		const void *object = virt_get(self)->object;

		if (!E->next[self].addr && object) {
			E->next[self].addr = object;
			E->next[self].write = true;
		}
		E->next[self].all = object == NULL && !E->next[self].addr;
	} else {
		memset(&E->next[self], 0, sizeof(E->next[self]));
		if (virt_get(self)->state == VIRT_MUTEX) { /* once it is free, it is taken: a step */
			E->next[self].addr = virt_get(self)->object;
			E->next[self].write = true;
		}
	}
	if (why == VIRT_RELAX && self != E->home)
		E->relaxing[self] = true;
	if (++E->steps > E->steps_max) {
		E->truncated = true;
		order_pending();
		E->over = true;
	}
	while (!E->over) {
		on = enabled_now(&timers, &spinning);
		if (on == 0) {
			E->over = !nobody(spinning, timers);
			continue;
		}
		to = self;
		if (why != VIRT_POINT || (on & (on - 1)) != 0 || (timers && E->limits.search != MODEL_ALL) || E->limits.search == MODEL_ALL)
			to = decide(on, E->limits.search == MODEL_ALL ? 0 : timers, self, why);
		if (to == MODEL_THREADS) {
			E->over = true;
			continue;
		}
		if (!virt_ready(to)) {
			if (virt_get(to)->deadline_ns != VIRT_FOREVER && virt_get(to)->deadline_ns > E->time_ns)
				E->time_ns = virt_get(to)->deadline_ns;
			virt_expire(to);
		}
		memset(&E->next[to], 0, sizeof(E->next[to])); /* it is done now */
		return to;
	}
	return E->home;
}

/* Setup and check: stay; else the next in turn. */
static uint32_t schedule_simple(enum virt_why why)
{
	uint32_t self = virt_self(), n = virt_threads();

	if (why == VIRT_RELAX)
		E->time_ns += 1000;
	for (;;) {
		if (why == VIRT_POINT && virt_ready(self))
			return self;
		for (uint32_t k = 1; k <= n; k++)
			if (virt_ready((self + k) % n))
				return (self + k) % n;
		if (virt_next_deadline() == VIRT_FOREVER)
			break;
		expire_first();
	}
	(void)snprintf(E->failure, sizeof(E->failure), "everybody sleeps in %s", E->mode == MODEL_SETUP ? "setup" : "check");
	(void)fprintf(stderr, "explorer: %s: %s\n", E->client->name, E->failure);
	abort();
}

static uint32_t schedule(enum virt_why why)
{
	if (E->over && virt_self() != E->home)
		return E->home;
	return E->mode == MODEL_EXPLORE ? schedule_explore(why) : schedule_simple(why);
}

void explore_point(const void *addr, const void *also, bool write)
{
	uint32_t self = virt_self();

	E->next[self].addr = addr;
	E->next[self].also = also;
	E->next[self].write = write;
	E->next[self].all = false;
	virt_point();
}

void explore_wrote(void)
{
	memset(E->relaxing, 0, sizeof(E->relaxing));
	E->idle_rounds = 0;
}

/* ---- the next execution ---- */

static bool next_all(void)
{
	while (m->n > 0) {
		struct decision *d = &m->d[m->n - 1];
		uint16_t left;

		if (d->kind == VALUE) {
			if (d->chosen + 1u < d->n) {
				d->chosen++;
				return true;
			}
			m->n--;
			continue;
		}
		d->done = (uint16_t)(d->done | 1u << d->pick);
		left = (uint16_t)(d->backtrack & ~d->done & ~d->sleep);
		if (left) {
			d->pick = (uint8_t)__builtin_ctz(left);
			return true;
		}
		m->n--;
	}
	return false;
}

static bool next_bounded(void)
{
	while (m->n > 0) {
		struct decision *d = &m->d[m->n - 1];

		while (++d->chosen < d->n)
			if (d->spent + (d->kind == VALUE ? 1u : d->cost[d->chosen]) <= E->limits.bound)
				return true;
		m->n--;
	}
	return false;
}

bool explore_next(void)
{
	bool more = true;

	if (E->steps > m->length)
		m->length = E->steps;
	if (m->follow)
		return false;
	if (E->limits.search == MODEL_RANDOM) {
		if (m->grew)
			E->stats.executions = E->stats.pruned = E->stats.cut = 0;
		m->grew = false;
		return E->stats.executions < E->limits.executions_max;
	}
	if (m->grew) { /* earlier executions did not know that this place matters */
		m->grew = false;
		m->n = 0;
		E->stats.executions = E->stats.pruned = E->stats.cut = 0;
	} else {
		more = E->limits.search == MODEL_ALL ? next_all() : next_bounded();
	}
	m->replayed = m->n;
	return more;
}

void explore_replay(const char *choices)
{
	m->follow = choices;
	m->n = 0;
	m->grew = false;
}

/* Did this execution stop because it found a new shared location? Asks once. */
bool explore_grew(void)
{
	bool grew = m->grew;

	m->grew = false;
	return grew;
}

/* The decisions of this execution: what explore_replay takes. */
void explore_choices(char *out, size_t bytes)
{
	size_t used = 0;

	out[0] = 0;
	for (uint32_t i = 0; i < m->at && used + 8 < bytes; i++) {
		const struct decision *d = &m->d[i];

		used += (size_t)snprintf(out + used, bytes - used, "%s%u", i ? "," : "", d->kind == VALUE ? d->chosen : d->pick);
	}
}

static uint64_t now_ns(void)
{
	return E->time_ns;
}

static void fail(const char *what)
{
	model_fail("%s", what);
}

const struct virt_tool model_tool = { schedule, now_ns, memory_sync, NULL, fail };
