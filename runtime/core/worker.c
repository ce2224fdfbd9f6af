/*
 * core/worker.c - what a worker thread does: pick a job (pick.h), run it, spin, sleep. The loop is sh_worker_main; the
 * decisions stand in it in the order in which they are taken.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/inject.h"
#include "core/pick.h"
#include "core/plain.h"
#include "core/runtime.h"
#include "core/strand.h"

#ifndef SH_SPIN_LOOKS         /* a tool that explores interleavings says 1: one look is as good as many */
#define SH_SPIN_LOOKS 16u     /* between two clock reads while spinning */
#endif
#define SPIN_YIELD_NS 5000u   /* an adaptive worker that spins lets another thread have the cpu so often, if one waits for it */
#define SPIN_YIELDED_NS 3000 /* an offer that took so long was taken */
#define SPIN_ANNOUNCE_NS 500u /* idle for so long before the worker says that it spins */

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
	sh_pick_charge(w, 0 - SH_TOKEN_COST);
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
		if (!own && !((sh_a32_load_sc(&p->hot) >> l & 1u) && idle_any(p) && sh_pick_others_have(w, l)))
			continue;
		sh_hint_set(&p->hot, 1u << l);
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
	sh_hint_clear(&w->ring_bits, bit);
	SH_POINT("worker.told.cleared");
	if (!sh_ring_has(&w->ring[level]))
		return false;
	sh_hint_set(&w->ring_bits, bit);
	return sh_ring_pop(&w->ring[level], item);
}

bool sh_worker_pick_above(struct sh_worker *w, uint32_t levels, uint32_t *item)
{
	uint32_t hot = sh_a32_load_rlx(&w->pool->hot); /* mo rlx: polled again; the sleeper's scan is ordered. */

	for (; levels != 0; levels &= levels - 1) {
		uint32_t l = (uint32_t)__builtin_ctz(levels);

		if (!sh_pick_any(w, l, item) && !take_told(w, l, item)
		    && !((hot >> l & 1u) && sh_pick_steal(w, l, item)))
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
		    || sh_deque_has(&w->deque[l]) || sh_pick_others_have(w, l))
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
			sh_hint_set(&w->pin_bits, 1u << l);
		if (sh_ring_has(&p->backlog[l]))
			sh_hint_set(&p->backlog_bits, 1u << l);
		if (sh_pick_others_have(w, l))
			sh_hint_set(&p->hot, 1u << l);
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
		sh_pick_ask_for(w, w->expected);
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
	/*
	 * mo W1 -> W1@core/pick.c: complete, then counted, before it takes, keeps or waits for anything.
	 * mo W3 <> W3@core/push.c: its maker offers queues afterwards. mo W4 <> W4@core/exec.c: then its own sleep.
	 * mo W5 <> W5@core/pick.c: then what it steals.
	 */
	if (w->spare && w->submitter)
		sh_a32_store_sc(&p->slots, w->slot + 1);
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
		if (sh_pick(w, &item)) {
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

		if (!sh_pick_deque(w, level, &item)) {
			level++;
			continue;
		}
		job = item & SH_TOKEN ? NULL : sh_slab_at(&rt->jobs, item);
		if (!job || job->group != group || ((job->flags & SH_JOB_ASYNC) && sh_worker_async_full(w))) {
			if (!sh_deque_push(&w->deque[level], item))
				sh_pick_put_back(w, item, level, sh_pick_cost(rt, item));
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
