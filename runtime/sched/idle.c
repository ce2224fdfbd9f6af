/* sched/idle.c - see idle.h. SPDX-License-Identifier: MIT */

#include "sched/idle.h"

#include <sched.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/inject.h"
#include "sched/account.h"
#include "sched/async.h"
#include "sched/credit.h"
#include "sched/pick.h"
#include "sched/prompt.h"
#include "sched/propagate.h"
#include "sched/push.h"
#include "sched/sleep.h"
#include "sched/spare.h"

#ifndef SH_SPIN_LOOKS         /* the model checker defines it as 1: more looks add no behaviour */
#define SH_SPIN_LOOKS 16u     /* looks between two clock reads */
#endif

#define PACE_RELAX_MAX 256u
#define SPIN_YIELD_NS 5000u   /* an adaptive worker that spins yields its cpu this often */
#define SPIN_YIELDED_NS 3000 /* a yield that took this long let another thread run */
#define SPIN_ANNOUNCE_NS 500u /* idle this long, the worker advertises that it spins */

/* The sleeper's scan, in the total order of the pushes: is there any job that it may run? */
static bool anything(struct sh_worker *w)
{
	const struct sh_pool *p = w->pool;
	uint32_t l;

	if (sh_async_full(w))
		return false;
	for (l = 0; l < p->levels; l++) {
		if (!(w->level_mask >> l & 1u))
			continue;
		if (sh_ring_has(&w->ring[l]) || sh_ring_has(&w->pinned[l]) || sh_backlog_has(&p->backlog[l])
		    || sh_deque_has(&w->deque[l]) || sh_pick_others_have(w, l))
			return true;
	}
	return false;
}

/*
 * Resyncs the hints: sets the hint of each level whose queue is not empty. The scan may have seen a
 * job before its hint was set; the next pick must find that job.
 */
static void resync_hints(struct sh_worker *w)
{
	struct sh_pool *p = w->pool;
	uint32_t l;

	for (l = 0; l < p->levels; l++) {
		if (sh_ring_has(&w->pinned[l]))
			sh_hint_set(&w->pin_bits, 1u << l);
		if (sh_backlog_has(&p->backlog[l]))
			sh_hint_set(&p->backlog_bits, 1u << l);
		if (sh_pick_others_have(w, l))
			sh_hint_set(&p->stealable, 1u << l);
	}
}

static bool word_bit(sh_a64 *words, uint32_t slot, bool on)
{
	uint64_t bit = UINT64_C(1) << (slot % 64u);
	sh_a64 *word = &words[slot / 64u];

	/*
	 * mo park.3 <> park.3@sched/push.h: the sleeper sets its bit, then scans; the pusher pushes, then
	 * reads the bits.
	 */
	return ((on ? sh_a64_or_sc(word, bit) : sh_a64_and_sc(word, ~bit)) & bit) != 0;
}

/*
 * Time left to the watcher's next look at *at_ns; 0 = it begins now. A signal that ends its sleep does
 * not put it off.
 */
static uint64_t watch_left_ns(uint64_t *at_ns)
{
	uint64_t now = sh_clock_ns();

	if (*at_ns == 0)
		*at_ns = now + SH_WATCH_NS;
	return *at_ns > now ? *at_ns - now : 0;
}

/* The watcher's sleep was long enough for a look. True = there may be jobs for it. */
static bool watch_due(struct sh_worker *w, bool *watches)
{
	enum sh_watch go = sh_watch_look(w);

	*watches = go == SH_WATCH_ON;
	return go == SH_WATCH_STEAL || (go == SH_WATCH_OVER && anything(w));
}

/* Time left to the look at the memory of records, which a watcher of prompt workers leaves to later. */
static uint64_t trim_left_ns(const struct sh_worker *w, bool watches)
{
	uint64_t now;

	if (sh_likely(w->trims.every_ns == 0) || watches)
		return SH_FOREVER;
	now = sh_clock_ns();
	if (w->trims.at_ns <= now)
		return 0;
	/* the clock may have gone back (a restored machine) */
	return w->trims.at_ns - now < w->trims.every_ns ? w->trims.at_ns - now : w->trims.every_ns;
}

static bool trim_parked_over(void *worker)
{
	const struct sh_worker *w = worker;

	return sh_a32_load_rlx(&w->state) != SH_W_PARKED; /* mo rlx: the sleep looks again. */
}

/*
 * Sleeps while PARKED, and looks after the prompt workers if it `watches`, or after the memory of records. True = it
 * left PARKED by itself, because an arrival is near.
 */
static bool sleep_parked(struct sh_worker *w, bool watches)
{
	uint64_t look_ns = 0;
	bool due = false;

	if (!watches)
		sh_trim_begin(w);

	/* mo stop.1 <- park.2@sched/push.c: sees what the waker wrote before the wake. */
	while (sh_a32_load_acq(&w->state) == SH_W_PARKED) {
		uint64_t limit = sh_worker_sleep_ns_max(w), left = watches ? watch_left_ns(&look_ns) : SH_FOREVER;
		uint64_t trim = trim_left_ns(w, watches);
		bool look = left < limit;
		uint32_t s = SH_W_PARKED;

		if (trim < limit) {
			if (sh_futex_wait(&w->state, SH_W_PARKED, trim) == SHUNT_ETIMEDOUT)
				sh_trim_look(w, trim_parked_over);
			continue;
		}
		if (sh_futex_wait(&w->state, SH_W_PARKED, look ? left : limit) != SHUNT_ETIMEDOUT)
			continue;
		if (look) {
			look_ns = 0;
			if (!watch_due(w, &watches))
				continue;
		}
		SH_POINT("worker.park.due");
		/* mo park.1 <> park.2@sched/push.c: leaves by itself. If a waker was first, this is its wake-up. */
		due = sh_a32_cas_sc(&w->state, &s, SH_W_RUNNING) && !look;
	}
	if (watches)
		sh_watch_end(w);
	sh_trim_end(w);
	return due;
}

/*
 * Parks until a waker wakes the worker or the predicted arrival is near. The order is state PARKED,
 * idle bit, scan; any other order loses a wake-up. A worker at its asynchronous capacity parks
 * unlisted: it could not use a wake-up for a job that any worker may take.
 */
static void park(struct sh_worker *w, bool listed)
{
	struct sh_pool *p = w->pool;
	uint32_t s = SH_W_RUNNING;
	bool watches = false;

	sh_credit_flush(p->rt, w->submitter);
	sh_slab_flush(&p->rt->records, &w->submitter->records);
	sh_prompt_clear(w);
	/* numbers this sleep: a submitter may repeat another's wake once per sleep */
	sh_a64_bump_owner(&w->sleeps, 1);
	/*
	 * mo park.1 <> park.2@sched/push.c: the sleeper stores PARKED, then scans; the pusher pushes, then
	 * reads the state.
	 */
	if (!sh_a32_cas_sc(&w->state, &s, SH_W_PARKED))
		return;
	if (listed)
		(void)word_bit(p->idle, w->slot, true);
	watches = listed && sh_watch_begin(w);
	SH_POINT("worker.park.before_scan");
	/*
	 * mo park.1 <> park.2@life/pool_stop.c: the scan includes the stop flag. A spare at its
	 * asynchronous capacity may have queued jobs, so it cannot retire.
	 */
	if ((listed ? anything(w) : !sh_async_full(w)) || sh_a32_load_sc(&p->stop) != 0
	    || (listed && w->spare && sh_pool_spare_surplus(p))) {
		s = SH_W_PARKED;
		/*
		 * mo park.1 <> park.2@sched/push.c: the sleeper leaves PARKED itself; if a waker was first,
		 * the state is WAKING.
		 */
		(void)sh_a32_cas_sc(&w->state, &s, SH_W_RUNNING);
		if (watches)
			sh_watch_end(w);
		resync_hints(w);
	} else {
		bool due;

		sh_a64_bump_owner(&w->parks, 1);
		sh_worker_falls_asleep(w, listed);
		due = sleep_parked(w, watches);
		sh_worker_slept(w, due);
		resync_hints(w);
	}
	if (listed)
		(void)word_bit(p->idle, w->slot, false);
	w->surplus = true; /* submitters may have skipped a wake-up while this worker was waking */
	s = SH_W_WAKING;
	/* mo park.1 <> park.2@sched/push.c: awake: no waker needs to repeat the wake. */
	(void)sh_a32_cas_sc(&w->state, &s, SH_W_RUNNING);
}

/* A surplus spare sleeps as DORMANT, outside the idle set; no submitter queues to it. */
bool sh_idle_retire(struct sh_worker *w, struct sh_idleness *idle)
{
	struct sh_pool *p = w->pool;

	if (!sh_pool_spare_retire(p, w))
		return false;
	sh_idle_end(w, idle);
	if (w->surplus)
		sh_propagate(w);
	sh_credit_flush(p->rt, w->submitter);
	sh_slab_flush(&p->rt->records, &w->submitter->records);
	for (;;) {
		/* mo spare.1 <> spare.1@sched/spare.c: a blocker activated it, or the pool stops. */
		uint32_t s = sh_a32_load_acq(&w->state);

		if (s != SH_W_DORMANT)
			break;
		/* mo park.1 <> park.2@sched/push.c: the stopper stores the flag, then reads the states. */
		if (sh_a32_load_sc(&p->stop) != 0)
			return true;
		(void)sh_futex_wait(&w->state, SH_W_DORMANT, SH_FOREVER);
	}
	return true;
}

static uint32_t spinners(const struct sh_pool *p)
{
	uint32_t n = 0;
	uint32_t i;

	for (i = 0; i < SH_WORDS; i++)
		/* mo rlx: a hint. */
		n += (uint32_t)__builtin_popcountll(sh_a64_load_rlx(&p->spinning[i]));
	return n;
}

void sh_idle_stop_spinning(struct sh_worker *w, struct sh_idleness *idle)
{
	/*
	 * mo spin.1 <> spin.1@sched/push.h: the bit is cleared, also one that was claimed, before
	 * sh_propagate looks for surplus work.
	 */
	if (sh_unlikely(idle->advertised)) {
		(void)word_bit(w->pool->spinning, w->slot, false);
		w->surplus = true;
		idle->advertised = false;
	}
}

/* A submitter claimed this spinner: it has one look, and if it finds nothing it advertises again. */
static bool spin_claimed(struct sh_worker *w, struct sh_idleness *idle)
{
	const sh_a64 *word = &w->pool->spinning[w->slot / 64u];

	/* mo rlx: polled again. */
	if (!idle->advertised || (sh_a64_load_rlx(word) >> (w->slot % 64u) & 1u))
		return false;
	sh_idle_stop_spinning(w, idle);
	return true;
}

void sh_idle_stop_watching(struct sh_worker *w, struct sh_idleness *idle)
{
	idle->watch_ns = 0;
	sh_watch_end(w);
	resync_hints(w);
}

/* A worker that never parks watches the prompt workers while it spins. */
static void watch_spinning(struct sh_worker *w, struct sh_idleness *idle, uint64_t now)
{
	if (idle->watch_ns == 0) {
		if (sh_watch_begin(w))
			idle->watch_ns = now;
		return;
	}
	if (now - idle->watch_ns < SH_WATCH_NS)
		return;
	idle->watch_ns = now;
	if (sh_watch_look(w) != SH_WATCH_ON) {
		idle->watch_ns = 0;
		resync_hints(w);
	}
}

/*
 * A few looks at every place that may hold a job for this worker, and nothing else: they are the
 * latency of a hand-off to a spinning worker.
 */
static bool spin_look(const struct sh_worker *w, bool poll)
{
	const struct sh_pool *p = w->pool;
	uint32_t i, l;

	for (i = 0; i < SH_SPIN_LOOKS; i++) {
		/* mo rlx: polled again; the sleeper's scan is ordered. */
		if ((sh_a32_load_rlx(&w->pin_bits) | sh_a32_load_rlx(&p->backlog_bits) | sh_a32_load_rlx(&p->stealable)) & w->level_mask)
			return true;
		for (l = w->level_mask; l != 0; l &= l - 1)
			if (sh_ring_peek(&w->ring[__builtin_ctz(l)]))
				return true;
		if (sh_unlikely(sh_a32_load_rlx(&p->stop) != 0)) /* mo rlx: the loop looks again. */
			return true;
		if (!poll)
			sh_cpu_relax();
	}
	return false;
}

static bool trim_spinning_over(void *worker)
{
	return spin_look(worker, true);
}

/*
 * While jobs come in a burst, a worker that looks at an empty ring again and again takes the line that the submitter
 * writes next, at each job. It leaves the ring alone until a few lines are full.
 */
static void pace(uint64_t ns)
{
	uint64_t until = sh_clock_ns() + ns;
	uint32_t i;

	for (i = 0; i < PACE_RELAX_MAX && sh_clock_ns() < until; i++)
		sh_cpu_relax();
}

/* The worker found no job: spins on, or parks. */
void sh_idle_step(struct sh_worker *w, struct sh_idleness *idle)
{
	struct sh_pool *p = w->pool;
	bool poll = p->opts.idle == SHUNT_IDLE_POLL;
	uint64_t now;

	w->now_ns = 0;
	if (idle->since_ns == 0) {
		uint64_t ns = sh_worker_pace_ns(w);

		if (sh_unlikely(ns != 0))
			pace(ns);
	}
	if (idle->since_ns != 0 && (spin_look(w, poll) || spin_claimed(w, idle)))
		return;
	now = sh_clock_ns();
	if (idle->since_ns == 0) {
		idle->since_ns = now;
		if (!poll && p->spin_ns != 0 && p->opts.spin_ns == 0 && w->waiting.idle_since_ns == 0)
			w->waiting.idle_since_ns = now;
		idle->yield_ns = now;
		sh_account_idle(w, now);
		if (poll)
			sh_trim_begin(w);
	}
	if (poll && sh_a32_load_rlx(&p->slots) != 1) /* mo rlx: a hint. */
		watch_spinning(w, idle, now);
	if (poll && sh_unlikely(w->trims.every_ns != 0 && now >= w->trims.at_ns))
		sh_trim_look(w, trim_spinning_over);
	/* Submitters do not look for a spinner in a pool with one worker. */
	if (!idle->advertised && !idle->yielded && now - idle->since_ns >= SPIN_ANNOUNCE_NS && (poll || p->spin_ns > 0)
	    && sh_a32_load_rlx(&p->slots) != 1) { /* mo rlx: a hint. */
		if (!poll && spinners(p) >= p->spinners_max) {
			sh_idle_end(w, idle);
			park(w, true);
			return;
		}
		(void)word_bit(p->spinning, w->slot, true);
		idle->advertised = true;
		SH_POINT("worker.spin.advertised");
		return; /* look once more after the bit is visible */
	}
	if (!poll && sh_worker_spun_enough(w, idle->since_ns, now)) {
		sh_idle_end(w, idle);
		park(w, true);
		return;
	}
	/* a submitter may be waiting for this cpu */
	if (!poll && now - idle->yield_ns >= SPIN_YIELD_NS) {
		(void)sched_yield();
		idle->yield_ns = sh_clock_ns();
		/* another thread ran: submitters must not rely on this worker */
		if ((int64_t)(idle->yield_ns - now) >= SPIN_YIELDED_NS) {
			sh_idle_stop_spinning(w, idle);
			idle->yielded = true;
		}
	}
	sh_cpu_relax();
}

/*
 * The worker is at its asynchronous capacity: it takes no job, wakes others for what is queued
 * here, and waits for a completion.
 */
void sh_idle_wait_for_capacity(struct sh_worker *w, struct sh_idleness *idle)
{
	w->now_ns = 0;
	sh_idle_end(w, idle);
	sh_propagate(w);
	if (w->pool->opts.idle == SHUNT_IDLE_POLL)
		sh_cpu_relax();
	else
		park(w, false);
}
