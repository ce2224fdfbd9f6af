/*
 * core/worker.c - what a worker thread does: pick a job (levels, sources, stealing), run it, spin, sleep. The loop is
 * sh_worker_main; the decisions stand in it in the order in which they are taken.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/inject.h"
#include "core/levels.h"
#include "core/plain.h"
#include "core/runtime.h"
#include "core/strand.h"

#define STEAL_MAX 8u          /* jobs a thief takes at once from a ring */
#define BACKLOG_MAX 8u        /* jobs a worker moves at once from the pool's backlog into its own ring */
#ifndef SH_SPIN_LOOKS         /* a tool that explores interleavings says 1: one look is as good as many */
#define SH_SPIN_LOOKS 16u     /* between two clock reads while spinning */
#endif
#define SPIN_YIELD_NS 5000u   /* an adaptive worker that spins lets another thread have the cpu so often, if one waits for it */
#define SPIN_YIELDED_NS 3000 /* an offer that took so long was taken */
#define SPIN_ANNOUNCE_NS 500u /* idle for so long before the worker says that it spins */

enum source { SRC_RING, SRC_DEQUE, SRC_PINNED, SRC_BACKLOG };

/*
 * Which source of a level is looked at first, pick by pick: each at least once in SH_SOURCE_PERIOD. The oldest own
 * spawn has its turn once in SH_OLDEST_PERIOD or a multiple (in place of the last entry): taken often, it would turn a depth-first
 * tree of jobs into a breadth-first one that fills memory; never taken, it could wait for ever.
 */
static const uint8_t source_turn[SH_SOURCE_PERIOD] = {
	SRC_RING, SRC_DEQUE, SRC_BACKLOG, SRC_DEQUE, SRC_RING, SRC_PINNED, SRC_RING, SRC_DEQUE,
};

#define RING_TURNS 0x51u /* bit = place in source_turn where the ring is first */
_Static_assert(SH_OLDEST_PERIOD == 256u, "source_tick wraps by itself");

static uint64_t item_cost(struct shunt_runtime *rt, uint32_t item)
{
	if (item & SH_TOKEN)
		return SH_TOKEN_COST;
	return SH_COST_ONE + sh_job_at(rt, item)->cost_ns;
}

/* Items that were not reserved here at submit (own spawns, backlog, loot) are charged when they arrive. */
static void charge(struct sh_worker *w, uint64_t cost)
{
	/* mo rlx: one writer. */
	sh_a64_store_rlx(&w->balance, sh_a64_load_rlx(&w->balance) - cost);
}

static void hint_set(sh_a32 *word, uint32_t bit)
{
	/* mo H1 <> H2@core/worker.c: the item was pushed before; a clearer looks again after clearing. */
	if (!(sh_a32_load_sc(word) & bit))
		(void)sh_a32_or_sc(word, bit); /* mo H1 <> H2@core/worker.c: as above. */
}

static void hint_clear(sh_a32 *word, uint32_t bit)
{
	(void)sh_a32_and_sc(word, ~bit); /* mo H2 <> H1@core/worker.c: then the caller looks once more. */
}

/* What an item of the backlog is charged with: its descriptor, which a submitter wrote, is not asked. */
static inline uint64_t backlog_cost(uint32_t item)
{
	return item & SH_TOKEN ? SH_TOKEN_COST : SH_COST_ONE;
}

/* Own queue of this worker for things it holds in hand; the backlog takes what does not fit. */
static void put_back(struct sh_worker *w, uint32_t item, uint32_t level, uint64_t cost)
{
	struct sh_pool *p = w->pool;

	charge(w, cost);
	if (!sh_ring_push(&w->ring[level], item)) {
		charge(w, 0 - cost);
		sh_backlog_push(p, item, level);
		hint_set(&p->backlog_bits, 1u << level);
		return;
	}
	hint_set(&w->ring_bits, 1u << level);
	w->brought = true; /* share_leftover offers it */
}

static SH_NOINLINE bool take_pinned_told(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	uint32_t bit = 1u << level;

	if (sh_ring_pop(&w->pinned[level], item))
		return true;
	hint_clear(&w->pin_bits, bit);
	if (!sh_ring_has(&w->pinned[level]))
		return false;
	hint_set(&w->pin_bits, bit);
	return sh_ring_pop(&w->pinned[level], item);
}

static inline bool take_pinned(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	return sh_unlikely(sh_a32_load_rlx(&w->pin_bits) >> level & 1u) && take_pinned_told(w, level, item);
}

/* The descriptor's line, which is with the submitter, starts its way to us. Item 0 is nobody's. */
static inline void ask_for(const struct sh_worker *w, uint32_t item)
{
	sh_prefetch_read(w->job_at_0 + (item & ~SH_TOKEN));
}

static SH_NOINLINE bool take_backlog_told(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	struct sh_pool *p = w->pool;
	uint32_t bit = 1u << level;
	uint32_t loot[BACKLOG_MAX];
	uint32_t n, i;

	/*
	 * More than one only into an empty own ring: what is there already came later. And only so that workers meet more
	 * seldom at the backlog: one that is alone there takes one.
	 */
	n = (uint32_t)sh_ring_capacity(&w->ring[level]);
	n = n < BACKLOG_MAX ? n : BACKLOG_MAX;
	if (sh_ring_head(&p->backlog[level]) == w->backlog_left[level] || sh_ring_peek(&w->ring[level]))
		n = 1;
	n = sh_ring_steal(&p->backlog[level], loot, n);
	if (n == 0) {
		hint_clear(&p->backlog_bits, bit);
		if (!sh_ring_has(&p->backlog[level]))
			return false;
		hint_set(&p->backlog_bits, bit);
		n = sh_ring_steal(&p->backlog[level], loot, 1);
		if (n == 0)
			return false;
	}
	SH_POINT("worker.backlog.taken");
	for (i = 0; i < n; i++)
		ask_for(w, loot[i]);
	w->backlog_left[level] = sh_ring_head(&p->backlog[level]);
	if (n == 1)
		ask_for(w, sh_ring_ahead(&p->backlog[level], SH_RING_AHEAD));
	charge(w, backlog_cost(loot[0]));
	for (i = 1; i < n; i++)
		put_back(w, loot[i], level, backlog_cost(loot[i]));
	*item = loot[0];
	return true;
}

static inline bool take_backlog(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	return (sh_a32_load_rlx(&w->pool->backlog_bits) >> level & 1u) && take_backlog_told(w, level, item);
}

/* The newest own spawn. */
static inline bool take_deque(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	struct sh_deque *d = &w->deque[level];

	if (!(w->deque_bits >> level & 1u))
		return false;
	if (sh_likely(sh_deque_pop(d, item)))
		return true;
	if (sh_deque_count(d) == 0)
		w->deque_bits &= ~(1u << level);
	return false;
}

/* The descriptor of a job a few places behind is asked for now: its line is with the submitter. */
static inline bool take_ring(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	struct sh_ring *r = &w->ring[level];
	uint64_t h = sh_a64_load_rlx(&r->head); /* mo rlx: as in peek; pop reads all of it again. */
	uint64_t v = sh_a64_load_rlx(sh_ring_slot(&r->out, h)); /* mo rlx: as above. */

	if ((uint32_t)(v >> 32) != sh_ring_lap(&r->out, h))
		return false;
	ask_for(w, (uint32_t)v); /* on its way while we take the place */
	if (!sh_ring_pop(r, item))
		return false;
	ask_for(w, sh_ring_ahead(r, SH_RING_AHEAD));
	return true;
}

/* At the end of each SH_OLDEST_PERIOD: the more own spawns wait, the more seldom. */
static bool oldest_turn(struct sh_worker *w, uint32_t level)
{
	if (++w->oldest_due[level] <= sh_deque_count(&w->deque[level]) / SH_OLDEST_SHARE)
		return false;
	w->oldest_due[level] = 0;
	return true;
}

/* A job of a level of which only own spawns and the ring are looked at, at a turn that is not the oldest's. */
static inline bool take_own(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	bool spawns = w->deque_bits >> level & 1u;
	bool ring_first = !spawns || (RING_TURNS >> w->source_tick[level] % SH_SOURCE_PERIOD & 1u);

	if (!ring_first && take_deque(w, level, item))
		goto got;
	if (!take_ring(w, level, item) && (!spawns || !ring_first || !take_deque(w, level, item)))
		return false;
got:
	w->source_tick[level]++; /* wraps at SH_OLDEST_PERIOD */
	return true;
}

/* One job of one level from everything that is this worker's to take first. */
static SH_NOINLINE bool take_any(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	uint32_t turn = w->source_tick[level];
	enum source first = (enum source)source_turn[turn % SH_SOURCE_PERIOD];
	bool oldest = turn == SH_OLDEST_PERIOD - 1 && (w->deque_bits >> level & 1u) && oldest_turn(w, level);

	if ((oldest && sh_deque_take(&w->deque[level], item)) || (first == SRC_RING && take_ring(w, level, item))
	    || (first == SRC_PINNED && take_pinned(w, level, item)) || (first == SRC_BACKLOG && take_backlog(w, level, item))
	    || take_deque(w, level, item) || take_pinned(w, level, item) || take_ring(w, level, item)
	    || take_backlog(w, level, item)) {
		w->source_tick[level]++;
		return true;
	}
	return false;
}

/* `others` = levels with more than the ring and own spawns. */
static inline bool take_level(struct sh_worker *w, uint32_t level, uint32_t others, uint32_t *item)
{
	if (sh_likely(!(others >> level & 1u) && w->source_tick[level] != SH_OLDEST_PERIOD - 1))
		return take_own(w, level, item);
	return take_any(w, level, item);
}

static bool steal_from(struct sh_worker *w, struct sh_worker *v, uint32_t level, uint32_t *item)
{
	struct sh_pool *p = w->pool;
	uint32_t loot[STEAL_MAX];
	uint64_t half = (sh_ring_count(&v->ring[level]) + 1) / 2;
	uint32_t i, n;

	half = half > sh_ring_capacity(&w->ring[level]) ? sh_ring_capacity(&w->ring[level]) : half;
	n = sh_ring_steal(&v->ring[level], loot, half < 1 ? 1 : half > STEAL_MAX ? STEAL_MAX : (uint32_t)half);

	if (n == 0 && !sh_deque_take(&v->deque[level], &loot[0]))
		return false;
	n = n == 0 ? 1 : n;
	SH_POINT("worker.steal.taken");
	for (i = 0; i < n; i++) /* mo rlx: an estimate moves with the job. */
		(void)sh_a64_sub_rlx(&v->accepted, item_cost(p->rt, loot[i]));
	charge(w, item_cost(p->rt, loot[0]));
	for (i = 1; i < n; i++)
		put_back(w, loot[i], level, item_cost(p->rt, loot[i]));
	sh_a64_bump_owner(&w->stolen, n);
	*item = loot[0];
	return true;
}

static bool steal_any(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	uint32_t i;
	/* mo W1 <- W1@core/pool.c: complete workers; spares join later. */
	uint32_t slots = sh_a32_load_acq(&w->pool->slots);

	for (i = 0; i < w->steal_n; i++) {
		uint32_t victim = w->steal_order[i];

		if (victim < slots && steal_from(w, w->pool->worker[victim], level, item))
			return true;
	}
	return false;
}

static bool others_have(const struct sh_worker *w, uint32_t level)
{
	uint32_t i;
	uint32_t slots = sh_a32_load_acq(&w->pool->slots); /* mo W1 <- W1@core/pool.c: as above. */

	for (i = 0; i < w->steal_n; i++) {
		const struct sh_worker *v;

		if (w->steal_order[i] >= slots)
			continue;
		v = w->pool->worker[w->steal_order[i]];
		if (sh_ring_has(&v->ring[level]) || sh_deque_has(&v->deque[level]))
			return true;
	}
	return false;
}

/* A job of this level from another worker: the pool's hint says that there may be one. */
static SH_NOINLINE bool steal_level(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	struct sh_pool *p = w->pool;
	uint32_t bit = 1u << level;

	if (steal_any(w, level, item))
		return true;
	hint_clear(&p->hot, bit);
	if (sh_ring_has(&w->ring[level]) || sh_deque_has(&w->deque[level])) { /* ours, since we looked: others may take it */
		hint_set(&p->hot, bit);
		return false; /* the next pick does */
	}
	if (!others_have(w, level))
		return false;
	hint_set(&p->hot, bit);
	return steal_any(w, level, item);
}

/* The order of decisions: the slot's own level, then most urgent first; at each level own queues, then others'. */
static inline bool pick(struct sh_worker *w, uint32_t *item)
{
	struct sh_pool *p = w->pool;
	uint32_t slot = w->slot_table[w->tick];
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	uint32_t others = sh_a32_load_rlx(&w->pin_bits) | sh_a32_load_rlx(&p->backlog_bits);
	uint32_t hot = sh_a32_load_rlx(&p->hot); /* mo rlx: as above. */
	uint32_t levels = w->level_mask;

	if (sh_unlikely(slot != SH_SLOT_TOP) && (levels >> slot & 1u) && take_any(w, slot, item))
		goto got;
	for (; levels != 0; levels &= levels - 1) {
		uint32_t l = (uint32_t)__builtin_ctz(levels);

		if (take_level(w, l, others, item) || ((hot >> l & 1u) && steal_level(w, l, item)))
			goto got;
	}
	return false;
got:
	w->tick = w->tick + 1 == w->slot_n ? 0 : w->tick + 1;
	return true;
}

bool sh_worker_async_full(struct sh_worker *w)
{
	const struct sh_pool *p = w->pool;

	/* The flag tells others; a completer that was late may have lowered it for a place that is taken again. */
	if (sh_unlikely(w->async_used) && sh_a32_load_sc(&w->full) == 0 /* mo Y1 <> Y1@core/exec.c: as in enter. */
	    && sh_a32_load_sc(&w->async_in_flight) >= p->opts.async_max) { /* mo Y1 <> Y1@core/exec.c: as in enter. */
		sh_a32_store_sc(&w->full, 1); /* mo Y1 <> Y1@core/exec.c: raised, then the look. */
		if (sh_a32_load_sc(&w->async_in_flight) < p->opts.async_max) /* mo Y1 <> Y1@core/exec.c: as above. */
			sh_a32_store_sc(&w->full, 0); /* mo Y1 <> Y1@core/exec.c: it came in between. */
	}
	/* mo Y1 <> Y1@core/exec.c: full before the look, or the completer's wake. */
	return sh_a32_load_sc(&w->full) != 0
	       || sh_a32_load_sc(&p->async_in_flight) >= p->opts.async_pool_max; /* mo Y1 <> Y1@core/exec.c: likewise. */
}

/* The same at every pick: no more than two loads for a pool that never ran an asynchronous job. */
static inline bool async_full(struct sh_worker *w)
{
	const struct sh_pool *p = w->pool;

	/* mo rlx: 0 and "less" are only left by this worker's own jobs, or (the pool's count) looked at again by the job. */
	if (sh_likely(!w->async_used && sh_a32_load_rlx(&w->full) == 0
		      && sh_a32_load_rlx(&p->async_in_flight) < p->opts.async_pool_max)) /* mo rlx: as above. */
		return false;
	return sh_worker_async_full(w);
}

/* One job of a strand, if it is of `levels`; when it has ended the strand is handed on. */
static bool run_token(struct sh_worker *w, uint32_t levels, uint32_t strand)
{
	struct shunt_runtime *rt = w->pool->rt;
	struct sh_strand *s = &w->pool->strand[strand];
	bool ran = false;

	if (sh_strand_claim(rt, s)) {
		const struct sh_job *job = sh_slab_at(&rt->jobs, sh_strand_peek(rt, s));

		if (levels >> job->level & 1u)
			ran = sh_exec_job(rt, w, sh_strand_next(rt, s));
		else
			sh_exec_strand_pass(w->pool, w, strand); /* its turn is at a level that is not ours */
	}
	charge(w, 0 - SH_TOKEN_COST);
	return ran;
}

bool sh_worker_run_above(struct sh_worker *w, uint32_t levels, uint32_t item)
{
	return item & SH_TOKEN ? run_token(w, levels, item & ~SH_TOKEN) : sh_exec_job(w->pool->rt, w, item);
}

static inline void run_item(struct sh_worker *w, uint32_t item)
{
	const struct sh_job *job = w->job_at_0 + (item & ~SH_TOKEN);

	if (sh_likely(!(item & SH_TOKEN) && (job->flags & SH_JOB_PLAIN)))
		sh_plain_run(w, job, item);
	else
		(void)sh_worker_run_above(w, w->level_mask, item);
}

static bool idle_any(const struct sh_pool *p)
{
	uint32_t i;

	for (i = 0; i < SH_WORDS; i++)
		if (sh_a64_load_sc(&p->idle[i]) != 0) /* mo I1 <> I1@core/push.h: after our spin bit went down. */
			return true;
	return false;
}

/*
 * May leave more than it runs: lets others have it. Needed when submitters relied on this worker (it spun, it was being
 * woken) or when it brought jobs from elsewhere; for all others the submitter has told somebody.
 */
static void share_leftover(struct sh_worker *w)
{
	struct sh_pool *p = w->pool;
	uint32_t l;

	w->brought = false;
	if (sh_a32_load_acq(&p->slots) == 1) /* mo W1 <- W1@core/pool.c: complete workers. */
		return;
	for (l = 0; l < p->levels; l++) {
		bool own = sh_ring_has(&w->ring[l]) || (w->deque_bits >> l & 1u) || sh_ring_has(&p->backlog[l]);

		/* mo H2 <> H1@core/push.h: a wake-up that brought us may have been for a job that waits elsewhere. */
		if (!own && !((sh_a32_load_sc(&p->hot) >> l & 1u) && idle_any(p) && others_have(w, l)))
			continue;
		hint_set(&p->hot, 1u << l);
		if (idle_any(p)) {
			struct sh_worker *waking = sh_pool_wake_idle(p, l);

			if (waking) /* its waker may have been stopped half way */
				(void)sh_worker_wake(waking);
		}
	}
}

/* The loop's picks look at the ring itself; its hint, for checkpoints, is cleared here alone. */
static bool take_told(struct sh_worker *w, uint32_t level, uint32_t *item)
{
	uint32_t bit = 1u << level;

	if (!(sh_a32_load_rlx(&w->ring_bits) & bit)) /* mo rlx: polled again. */
		return false;
	hint_clear(&w->ring_bits, bit);
	SH_POINT("worker.told.cleared");
	if (!sh_ring_has(&w->ring[level]))
		return false;
	hint_set(&w->ring_bits, bit);
	return sh_ring_pop(&w->ring[level], item);
}

bool sh_worker_pick_above(struct sh_worker *w, uint32_t levels, uint32_t *item)
{
	uint32_t hot = sh_a32_load_rlx(&w->pool->hot); /* mo rlx: polled again; the sleeper's scan is ordered. */

	for (; levels != 0; levels &= levels - 1) {
		uint32_t l = (uint32_t)__builtin_ctz(levels);

		if (!take_any(w, l, item) && !take_told(w, l, item)
		    && !((hot >> l & 1u) && steal_level(w, l, item)))
			continue;
		if (sh_unlikely(w->brought))
			share_leftover(w);
		return true;
	}
	return false;
}

/* The sleeper's last look, in the total order of pushes: everything it could run. */
static bool anything(struct sh_worker *w)
{
	const struct sh_pool *p = w->pool;
	uint32_t l;

	if (sh_worker_async_full(w))
		return false;
	for (l = 0; l < p->levels; l++) {
		if (!(w->level_mask >> l & 1u))
			continue;
		if (sh_ring_has(&w->ring[l]) || sh_ring_has(&w->pinned[l]) || sh_ring_has(&p->backlog[l])
		    || sh_deque_has(&w->deque[l]) || others_have(w, l))
			return true;
	}
	return false;
}

/* The hints say less than the queues; before a search that must find, they are set to say "look everywhere". */
static void distrust_hints(struct sh_worker *w)
{
	struct sh_pool *p = w->pool;
	uint32_t l;

	for (l = 0; l < p->levels; l++) {
		if (sh_ring_has(&w->pinned[l]))
			hint_set(&w->pin_bits, 1u << l);
		if (sh_ring_has(&p->backlog[l]))
			hint_set(&p->backlog_bits, 1u << l);
		if (others_have(w, l))
			hint_set(&p->hot, 1u << l);
	}
}

static bool word_bit(sh_a64 *words, uint32_t slot, bool on)
{
	uint64_t bit = UINT64_C(1) << (slot % 64u);
	sh_a64 *word = &words[slot / 64u];

	/* mo I1 <> I1@core/push.h: idle bit, then the scan; push, then the look at the idle bits. */
	return ((on ? sh_a64_or_sc(word, bit) : sh_a64_and_sc(word, ~bit)) & bit) != 0;
}

/*
 * Sleeps until woken, or until a job is due. State PARKED, then the idle bit, then the scan: any other order loses a wake-up.
 * A worker at its asynchronous capacity sleeps unlisted: it could not use a wake-up that was meant for anybody.
 */
static void park(struct sh_worker *w, bool listed)
{
	struct sh_pool *p = w->pool;
	uint32_t s = SH_W_RUNNING;

	sh_slab_flush(&p->rt->jobs, &w->submitter->jobs);
	sh_slab_flush(&p->rt->tracks, &w->submitter->tracks);
	sh_a64_bump_owner(&w->sleeps, 1); /* a new sleep: wakers of the last one may be wakers of this one again */
	/* mo S1 <> S2@core/push.c: PARKED, then the scan; the pusher pushes, then looks at the state. */
	if (!sh_a32_cas_sc(&w->state, &s, SH_W_PARKED))
		return;
	if (listed)
		(void)word_bit(p->idle, w->slot, true);
	SH_POINT("worker.park.before_scan");
	/* mo S1 <> S2@core/pool.c: the stop flag like a job. A spare at its capacity may have jobs queued, and cannot retire then. */
	if ((listed ? anything(w) : !sh_worker_async_full(w)) || sh_a32_load_sc(&p->stop) != 0
	    || (listed && w->spare && sh_pool_spare_surplus(p))) {
		s = SH_W_PARKED;
		/* mo S1 <> S2@core/push.c: leaves by itself; if a waker was first, the word says WAKING. */
		(void)sh_a32_cas_sc(&w->state, &s, SH_W_RUNNING);
		distrust_hints(w);
	} else {
		uint64_t asleep_ns = sh_clock_ns();
		bool due = false;

		sh_a64_bump_owner(&w->parks, 1);
		sh_worker_falls_asleep(w, listed);
		while (sh_a32_load_acq(&w->state) == SH_W_PARKED) { /* mo S3 <- S2@core/push.c: what the waker did before. */
			if (sh_futex_wait(&w->state, SH_W_PARKED, sh_worker_sleep_ns_max(w)) != SHUNT_ETIMEDOUT)
				continue;
			SH_POINT("worker.park.due");
			s = SH_W_PARKED;
			/* mo S1 <> S2@core/push.c: as above; a job is due soon. If a waker was first, this is its wake-up. */
			due = sh_a32_cas_sc(&w->state, &s, SH_W_RUNNING);
		}
		sh_worker_slept(w, sh_clock_ns() - asleep_ns, due);
		distrust_hints(w);
	}
	if (listed)
		(void)word_bit(p->idle, w->slot, false);
	w->brought = true; /* submitters may have counted on us alone while we woke up */
	s = SH_W_WAKING;
	/* mo S1 <> S2@core/push.c: we are awake; nobody needs to repeat the wake. */
	(void)sh_a32_cas_sc(&w->state, &s, SH_W_RUNNING);
}

static bool own_empty(const struct sh_worker *w)
{
	uint32_t l;

	for (l = 0; l < w->pool->levels; l++)
		if (sh_ring_has(&w->ring[l]) || sh_deque_has(&w->deque[l]))
			return false;
	return true;
}

/* A spare that is not needed any more sleeps as DORMANT, outside the idle set; nobody queues to it. */
static bool spare_retire(struct sh_worker *w)
{
	struct sh_pool *p = w->pool;

	if (!sh_pool_spare_retire(p, w))
		return false;
	sh_slab_flush(&p->rt->jobs, &w->submitter->jobs);
	sh_slab_flush(&p->rt->tracks, &w->submitter->tracks);
	for (;;) {
		uint32_t s = sh_a32_load_acq(&w->state); /* mo B2 <> B2@core/pool.c: made active, or stopped. */

		if (s != SH_W_DORMANT)
			break;
		if (sh_a32_load_sc(&p->stop) != 0) /* mo S1 <> S2@core/push.c: the stop flag like a job. */
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
		n += (uint32_t)__builtin_popcountll(sh_a64_load_rlx(&p->spinning[i])); /* mo rlx: a hint. */
	return n;
}

struct idleness {
	uint64_t since_ns; /* 0 = not idle */
	uint64_t yield_ns; /* when the cpu was last offered to others */
	bool announced;
	bool shares;       /* its cpu, with a thread that ran when it was offered */
};

static inline void retract(struct sh_worker *w, struct idleness *idle)
{
	if (sh_unlikely(idle->announced)) { /* mo H3 <> H3@core/push.h: cleared before the look at what it leaves (share_leftover). */
		(void)word_bit(w->pool->spinning, w->slot, false);
		w->brought = true;
		idle->announced = false;
	}
}

static inline void idle_end(struct sh_worker *w, struct idleness *idle)
{
	retract(w, idle);
	idle->since_ns = 0;
	idle->shares = false;
}

/*
 * A few looks at everything that could be for this worker, and nothing else: what a job's way to an idle worker costs. The
 * descriptor that the next job is expected in is polled like its slot, so that both lines travel at the same time.
 */
static bool spin_look(const struct sh_worker *w, bool poll)
{
	const struct sh_pool *p = w->pool;
	uint32_t i, l;

	for (i = 0; i < SH_SPIN_LOOKS; i++) {
		/* mo rlx: polled again; the sleeper's scan is ordered. */
		if ((sh_a32_load_rlx(&w->pin_bits) | sh_a32_load_rlx(&p->backlog_bits) | sh_a32_load_rlx(&p->hot)) & w->level_mask)
			return true;
		for (l = w->level_mask; l != 0; l &= l - 1)
			if (sh_ring_peek(&w->ring[__builtin_ctz(l)]))
				return true;
		if (sh_unlikely(sh_a32_load_rlx(&p->stop) != 0)) /* mo rlx: the loop looks again. */
			return true;
		ask_for(w, w->expected);
		if (!poll)
			sh_cpu_relax();
	}
	return false;
}

/* Found nothing: spins on, or sleeps. */
static void idle_step(struct sh_worker *w, struct idleness *idle)
{
	struct sh_pool *p = w->pool;
	bool poll = p->opts.idle == SHUNT_IDLE_POLL;
	uint64_t now;

	w->now_ns = 0;
	if (idle->since_ns != 0 && spin_look(w, poll))
		return;
	now = sh_clock_ns();
	if (idle->since_ns == 0) {
		idle->since_ns = now;
		idle->yield_ns = now;
	}
	/* An only worker is not looked for. */
	if (!idle->announced && !idle->shares && now - idle->since_ns >= SPIN_ANNOUNCE_NS && (poll || p->spin_ns > 0)
	    && sh_a32_load_rlx(&p->slots) != 1) { /* mo rlx: a hint; a first spare is seen the next time. */
		if (!poll && spinners(p) >= p->spinners_max) {
			idle_end(w, idle);
			park(w, true);
			return;
		}
		(void)word_bit(p->spinning, w->slot, true);
		idle->announced = true;
		return; /* look once more after the bit is visible */
	}
	if (!poll && sh_worker_spun_enough(w, idle->since_ns, now)) {
		idle_end(w, idle);
		park(w, true);
		return;
	}
	if (!poll && now - idle->yield_ns >= SPIN_YIELD_NS) { /* the submitter may be what we keep from running */
		(void)sched_yield();
		idle->yield_ns = sh_clock_ns();
		if ((int64_t)(idle->yield_ns - now) >= SPIN_YIELDED_NS) { /* somebody was: not one to rely on */
			retract(w, idle);
			idle->shares = true;
		}
	}
	sh_cpu_relax();
}

/* At its asynchronous capacity: takes nothing, lets others have what is queued here, and waits for a completion. */
static void wait_for_capacity(struct sh_worker *w, struct idleness *idle)
{
	w->now_ns = 0;
	idle_end(w, idle);
	share_leftover(w);
	if (w->pool->opts.idle == SHUNT_IDLE_POLL)
		sh_cpu_relax();
	else
		park(w, false);
}

void *sh_worker_main(void *arg)
{
	struct sh_worker *w = arg;
	struct sh_pool *p = w->pool;
	struct idleness idle = { 0 };
	char name[16];
	uint32_t item = 0;

	(void)snprintf(name, sizeof(name), "%.9s/%s%u", p->name, w->spare ? "s" : "", w->slot);
	(void)pthread_setname_np(pthread_self(), name);
	sh_worker_pin(w);
	w->submitter = sh_submitter_find(p->rt, true);
	if (w->submitter)
		w->submitter->worker = w;
	if (w->submitter && w->node != SHUNT_ANY) { /* what it spawns lies where it runs */
		w->submitter->node = w->node;
		w->submitter->node_slot = w->node_slot;
	}
	/* mo W2 -> W2@core/pool.c: pinning result and submitter before "started". */
	sh_a32_store_rel(&w->started, w->submitter ? SH_STARTED_RUNNING : SH_STARTED_FAILED);
	(void)sh_futex_wake(&w->started, 1);
	if (!w->submitter)
		return NULL;
	if (p->opts.on_start)
		p->opts.on_start(p->opts.hook_arg, w->slot);
	while (sh_a32_load_acq(&p->stop) == 0) { /* mo S3 <- S2@core/push.c: the stopper's stores. */
		if (sh_unlikely(w->spare) && own_empty(w)) {
			sh_plain_close(w);
			if (spare_retire(w)) {
				idle_end(w, &idle);
				continue;
			}
		}
		if (sh_unlikely(async_full(w))) {
			sh_plain_close(w);
			wait_for_capacity(w, &idle);
			continue;
		}
		if (pick(w, &item)) {
			idle_end(w, &idle);
			if (sh_unlikely(w->brought)) {
				sh_worker_met(w, item);
				share_leftover(w);
			}
			run_item(w, item);
			continue;
		}
		sh_plain_close(w);
		idle_step(w, &idle);
	}
	sh_plain_close(w);
	idle_end(w, &idle);
	if (p->opts.on_stop)
		p->opts.on_stop(p->opts.hook_arg, w->slot);
	w->submitter->worker = NULL;
	/* mo W2 -> W2@core/pool.c: everything this thread did before it is seen to have left. */
	sh_a32_store_rel(&w->started, SH_STARTED_LEFT);
	return NULL;
}

void sh_worker_help_group(struct sh_worker *w, uint32_t group, uint64_t deadline_ns)
{
	struct shunt_runtime *rt = w->pool->rt;
	uint32_t level = 0;

	if (w->running && w->running->depth >= SH_NEST_MAX)
		return;
	while (level < w->pool->levels) {
		const struct sh_job *job;
		uint32_t item = 0;

		if (!take_deque(w, level, &item)) {
			level++;
			continue;
		}
		job = item & SH_TOKEN ? NULL : sh_slab_at(&rt->jobs, item);
		if (!job || job->group != group || ((job->flags & SH_JOB_ASYNC) && sh_worker_async_full(w))) {
			if (!sh_deque_push(&w->deque[level], item))
				put_back(w, item, level, item_cost(rt, item));
			share_leftover(w); /* a thief may have looked in between, and gone to sleep */
			level++;
			continue;
		}
		w->now_ns = 0;
		(void)sh_exec_job(rt, w, item);
		w->now_ns = 0;
		if (sh_clock_ns() >= deadline_ns)
			return;
	}
}
