/*
 * sched/worker.c - the loop of a worker thread: pick a job (pick.h) and run it, else spin and park
 * (idle.h). The loop is work(); its decisions stand in the order in which they are taken. A handler that
 * ends its thread ends the loop's stay there (worker_lost): a new thread goes on with the worker.
 *
 * SPDX-License-Identifier: MIT
 */
#include "sched/worker.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/inject.h"
#include "base/thread.h"
#include "sched/async.h"
#include "sched/idle.h"
#include "sched/pick.h"
#include "sched/pin.h"
#include "sched/propagate.h"
#include "sched/push.h"
#include "sched/run.h"
#include "sched/sleep.h"
#include "sched/strand.h"
#include "sched/token.h"
#include "sched/worker_make.h"
#include "sched/submitter.h"
#include "sched/world.h"

/*
 * Fast path of the above, for every pick: two loads in a pool that never ran an asynchronous job.
 */
static inline bool async_full(struct sh_worker *w)
{
	const struct sh_pool *p = w->pool;

	/*
	 * mo rlx: only jobs of this worker raise its count; a job checks the pool's count again
	 * before it starts.
	 */
	if (sh_likely(!w->async_used && sh_a32_load_rlx(&w->full) == 0
		      /* mo rlx: as above. */
		      && sh_a32_load_rlx(&p->async_in_flight) < p->opts.async_pool_max))
		return false;
	return sh_async_full(w);
}

/* Runs one job of a strand if its level is in `levels`; its end releases the strand. */
static bool run_token(struct sh_worker *w, uint32_t levels, uint32_t strand)
{
	struct shunt_runtime *rt = w->pool->rt;
	struct sh_strand *s = &w->pool->strand[strand];
	const struct sh_record *next;
	uint64_t handle;

	if (!sh_strand_claim(rt, s))
		return false;
	next = sh_slab_at(&rt->records, sh_strand_peek(rt, s));
	if (!(levels >> next->level & 1u)) {
		sh_token_pass(w->pool, w, strand);
		return false;
	}
	handle = sh_record_handle(rt, sh_strand_next(rt, s));
	SH_POINT("run.before_claim");
	if (!sh_record_claim(rt, handle)) {
		sh_credit_left(rt, w->submitter);
		sh_run_dropped(rt, w->pool, w, handle, strand, true);
		return false;
	}
	sh_credit_give(rt, w->submitter, 1);
	(void)sh_record_unhold(rt, w->submitter, handle, SH_RECORD_LINKED);
	return sh_run_record(w, handle, true);
}

bool sh_worker_run_above(struct sh_worker *w, uint32_t levels, struct sh_item item, uint32_t level)
{
	return sh_item_is_token(item) ? run_token(w, levels, (uint32_t)item.arg) : sh_run_item(w, item, level);
}

static inline void run_item(struct sh_worker *w, struct sh_item item, uint32_t level)
{
	if (sh_likely(sh_item_is_plain(item)) && sh_likely(w->types[sh_item_type(item)].parts == 0))
		sh_run_plain(w, item, level);
	else
		(void)sh_worker_run_above(w, w->level_mask, item, level);
}

/*
 * Takes a job from the own ring, at a checkpoint. Only checkpoints use and clear the ring's hint;
 * the loop's picks read the ring itself.
 */
static bool take_hinted(struct sh_worker *w, uint32_t level, struct sh_item *item)
{
	uint32_t bit = 1u << level;

	if (!(sh_a32_load_rlx(&w->ring_bits) & bit)) /* mo rlx: polled again. */
		return false;
	sh_hint_clear(&w->ring_bits, bit);
	SH_POINT("worker.hint.cleared");
	if (!sh_ring_has(&w->ring[level]))
		return false;
	sh_hint_set(&w->ring_bits, bit);
	return sh_ring_pop(&w->ring[level], item);
}

/* The most urgent level of `levels` that has a job; SHUNT_ANY = none. */
static uint32_t take_above(struct sh_worker *w, uint32_t levels, struct sh_item *item)
{
	/* mo rlx: polled again; the sleeper's scan is ordered. */
	uint32_t hot = sh_a32_load_rlx(&w->pool->stealable);

	for (; levels != 0; levels &= levels - 1) {
		uint32_t l = (uint32_t)__builtin_ctz(levels);

		if (sh_pick_any(w, l, item) || take_hinted(w, l, item))
			return l;
		if ((hot >> l & 1u) && sh_pick_steal(w, l, item))
			return l;
	}
	return SHUNT_ANY;
}

bool sh_worker_pick_above(struct sh_worker *w, uint32_t levels, struct sh_item *item, uint32_t *level)
{
	uint32_t boosts = sh_a32_load_rlx(&w->pool->boosts) & levels; /* mo rlx: a hint. */
	uint32_t got = SHUNT_ANY;

	/* as sh_pick: what is boosted to a level, before the next level */
	for (; boosts != 0 && got == SHUNT_ANY; boosts &= boosts - 1) {
		uint32_t g = (uint32_t)__builtin_ctz(boosts);
		uint32_t boosted = sh_a32_load_rlx(&w->pool->boosted_to[g]); /* mo rlx: as above. */

		got = take_above(w, levels & ((2u << g) - 1u), item);
		if (got == SHUNT_ANY)
			got = take_above(w, levels & boosted, item);
	}
	if (got == SHUNT_ANY)
		got = take_above(w, levels, item);
	if (got == SHUNT_ANY)
		return false;
	if (sh_unlikely(w->surplus))
		sh_propagate(w);
	*level = got;
	return true;
}

static bool own_empty(const struct sh_worker *w)
{
	uint32_t l;

	for (l = 0; l < w->pool->levels; l++)
		if (sh_ring_has(&w->ring[l]) || sh_deque_has(&w->deque[l]))
			return false;
	return true;
}

/* Names and binds the thread, and claims its submitter, if there is one for it. */
static void thread_begin(struct sh_worker *w)
{
	struct sh_pool *p = w->pool;
	char name[16];

	(void)snprintf(name, sizeof(name), "%.9s/%s%u", p->name, w->spare ? "s" : "", w->slot);
	(void)pthread_setname_np(pthread_self(), name);
	sh_worker_pin(w);
	sh_worker_attributes(w);
	w->submitter = sh_submitter_find(p->rt, true);
	if (!w->submitter)
		return;
	w->submitter->worker = w;
	sh_thread.worker = w;
	/* its records come from its own node */
	if (w->node != SHUNT_ANY) {
		w->submitter->node = w->node;
		w->submitter->node_slot = w->node_slot;
	}
}

/* The thread takes the place of one that ended in a handler; that one's submitter is free again when it has ended. */
static bool worker_continue(struct sh_worker *w)
{
	struct timespec pause = { 0, 1000000 };

	(void)pthread_join(w->before, NULL);
	thread_begin(w);
	/* mo stop.1 <- park.2@sched/push.c: the stop. */
	while (!w->submitter && sh_a32_load_acq(&w->pool->stop) == 0) {
		(void)nanosleep(&pause, NULL);
		thread_begin(w);
	}
	return true;
}

/*
 * A submitter that saw only one thread in the pool has said nobody that it queued a job. A spare that polls looks where
 * the hints say.
 */
static void offers_seen(struct sh_worker *w)
{
	for (uint32_t l = 0; l < w->pool->levels; l++)
		if (sh_pick_others_have(w, l))
			sh_hint_set(&w->pool->stealable, 1u << l);
}

/* Reports "started". False = there is no submitter for the thread. */
static bool worker_begin(struct sh_worker *w)
{
	struct sh_pool *p = w->pool;
	struct sh_log_held lines;
	char text[1024];
	SH_NO_CANCEL;

	if (sh_unlikely(w->replaces))
		return worker_continue(w);
	/* its maker may hold a lock until it has started */
	sh_log_hold(&lines, text, sizeof(text));
	SH_POINT("worker.begin");
	thread_begin(w);
	if (w->spare && w->submitter)
		/* mo spare.2 <> spare.2@sched/spare.c: raised before this spare reads it. */
		(void)sh_a32_add_sc(&p->spares_active, 1);
	/*
	 * mo slots.1 -> slots.1@sched/pick.c: complete before it is counted, counted before it takes, keeps
	 * or waits for anything.
	 * mo slots.2 <> slots.2@sched/push.c: counted before it looks at the others' queues.
	 * mo slots.3 <> slots.3@job/async.c: counted before its own first sleep.
	 * mo slots.4 <> slots.4@sched/pick.c: counted before it steals.
	 */
	if (w->spare && w->submitter) {
		sh_a32_store_sc(&p->slots, w->slot + 1);
		offers_seen(w);
		sh_log_write(&p->rt->log, SHUNT_LOG_DEBUG, "pool %s: spare %u starts, worker %u is blocked", p->name,
			     w->slot, w->instead_of);
	}
	/* mo start.1 -> start.1@sched/worker_make.c: pinning result, attributes and submitter before "started". */
	sh_a32_store_rel(&w->started, w->submitter ? SH_STARTED_RUNNING : SH_STARTED_FAILED);
	(void)sh_futex_wake(&w->started, 1);
	if (w->spare) {
		/* mo spare.3 -> spare.3@sched/spare.c: how it began, before the number of those who did. */
		(void)sh_a32_add_acq_rel(&p->starts, 1);
		(void)sh_futex_wake(&p->starts, INT_MAX);
	}
	sh_log_pass(&lines);
	return w->submitter != NULL;
}

static void worker_left(struct sh_worker **w)
{
	if ((*w)->submitter)
		(*w)->submitter->worker = NULL;
	sh_thread.worker = NULL;
	/* mo start.1 -> start.1@sched/worker_make.c: all its writes come before this one. */
	sh_a32_store_rel(&(*w)->started, SH_STARTED_LEFT);
}

static void worker_end(struct sh_worker *w)
{
	struct sh_worker *last SH_CLEANUP(worker_left) = w; /* also if the hook ends the thread */
	const struct shunt_pool_opts *opts = &last->pool->opts;

	if (opts->on_stop && !sh_runtime_forked(w->pool->rt))
		opts->on_stop(opts->hook_arg, w->slot);
}

static void hook_start(struct sh_worker *w)
{
	const struct shunt_pool_opts *opts = &w->pool->opts;

	if (!opts->on_start || w->hooked)
		return;
	w->hooked = true;
	opts->on_start(opts->hook_arg, w->slot);
	w->hooked = false;
}

/* The loop's stay in a thread. */
struct stay {
	struct sh_worker *w;
	struct sh_idleness idle;
	bool over;
};

static void work(void *arg);

/*
 * A handler, or on_start, ended the thread. What the loop had in hand is given back; a new thread goes on with the
 * worker. If none can be made this one does, though it ends: a handler may end it again, which comes back to here.
 */
static SH_COLD void worker_lost(void *arg)
{
	struct stay *stay = arg;
	struct sh_worker *w = stay->w;
	struct sh_pool *p = w->pool;
	int rc;

	/* on_stop has ended the thread; or it is that of a forked child, which looks at nothing */
	if (stay->over || sh_runtime_forked(p->rt))
		return;
	sh_run_left(w);
	sh_account_close_before(w);
	sh_idle_end(w, &stay->idle);
	sh_propagate(w);
	if (sh_a32_load_acq(&p->stop) != 0) { /* mo stop.1 <- park.2@sched/push.c: the stop. */
		stay->over = true;
		worker_end(w);
		return;
	}
	sh_log_write(&p->rt->log, SHUNT_LOG_ERROR,
		     "pool %s: worker %u: its thread was ended by %s; a new one takes its place",
		     p->name, w->slot, w->hooked ? "on_start" : "a handler");
	w->submitter->worker = sh_thread.worker = NULL;
	rc = sh_worker_replace(w);
	if (rc == 0) {
		sh_a32_store_rlx(&w->replaced, sh_a32_load_rlx(&w->replaced) + 1); /* mo rlx: statistic. */
		stay->over = true;
		sh_thread_enters(p->rt); /* the new thread, for which a destroy waits, waits for this one */
		if (p->opts.on_stop && !w->hooked)
			p->opts.on_stop(p->opts.hook_arg, w->slot);
		sh_thread_leaves(p->rt);
		return;
	}
	w->submitter->worker = sh_thread.worker = w;
	sh_log_write(&p->rt->log, SHUNT_LOG_ERROR, "pool %s: worker %u: no new thread, the old one goes on: %s",
		     p->name, w->slot, shunt_strerror(rc));
	work(stay);
	worker_end(w);
}

/* The loop. */
static void work(void *arg)
{
	struct stay *stay = arg;
	struct sh_worker *w = stay->w;
	struct sh_idleness *const idle = &stay->idle;
	struct sh_pool *p = w->pool;
	struct sh_item item = { 0, 0 };
	uint32_t level = 0;

	hook_start(w);
	/* mo stop.1 <- park.2@sched/push.c: sees the stopper's stores. */
	while (sh_a32_load_acq(&p->stop) == 0) {
		if (sh_unlikely(w->spare) && own_empty(w)) {
			sh_account_close(w);
			if (sh_idle_retire(w, idle))
				continue;
		}
		if (sh_unlikely(async_full(w))) {
			sh_account_close(w);
			sh_prompt_end(w);
			sh_idle_wait_for_capacity(w, idle);
			continue;
		}
		if (sh_pick(w, &item, &level)) {
			sh_idle_end(w, idle);
			if (sh_unlikely(w->waiting.slept))
				sh_worker_arrival(w, item);
			if (sh_unlikely(w->surplus))
				sh_propagate(w);
			run_item(w, item, level);
			if (sh_unlikely(w->waiting.idle_since_ns != 0))
				sh_worker_gap(w, item);
			continue;
		}
		sh_account_close(w);
		if (sh_unlikely(w->surplus))
			sh_propagate(w); /* it may not take what it was woken for */
		sh_idle_step(w, idle);
	}
	stay->over = true;
	if (sh_runtime_forked(p->rt)) /* a child that a handler forked: its thread ends, the queues are left alone */
		return;
	sh_account_close(w);
	sh_idle_end(w, idle);
}

void *sh_worker_main(void *arg)
{
	struct sh_worker *w = arg;
	struct stay stay = { .w = w };

	if (!worker_begin(w))
		return NULL;
	if (sh_likely(w->submitter != NULL))
		sh_thread_guard(work, worker_lost, &stay);
	worker_end(w);
	return NULL;
}

/* Is it a job of the group that this worker may run now, and in time? The job may have ended. */
static bool of_group(struct sh_worker *w, struct sh_item item, uint32_t group, uint64_t limit_ns)
{
	if (!sh_item_of_group(item, group) || !sh_run_in_time(w, item.meta, limit_ns))
		return false;
	return !(item.meta & SH_ITEM_ASYNC) || !sh_async_full(w);
}

bool sh_worker_take_of_group(struct sh_worker *w, uint32_t group, uint64_t deadline_ns, struct sh_item *item,
			     uint32_t *level)
{
	uint64_t limit_ns = sh_clock_left(deadline_ns);
	bool fits;

	if (limit_ns == 0 || !sh_worker_has_room(w))
		return false;
	for (; *level < w->pool->levels; ++*level) {
		if (!sh_pick_deque(w, *level, item))
			continue;
		if (of_group(w, *item, group, limit_ns))
			return true;
		fits = sh_deque_push(&w->deque[*level], *item);
		assert(fits); /* its place has just become free */
		(void)fits;
		/* a thief may have found the deque empty meanwhile, and parked */
		sh_propagate(w);
	}
	return false;
}

bool sh_worker_take_pinned(struct sh_worker *w, uint32_t level, uint64_t deadline_ns, uint64_t handle, uint32_t group,
			   struct sh_item *item)
{
	uint64_t left_ns = sh_clock_left(deadline_ns);

	if (left_ns == 0 || !sh_worker_has_room(w) || sh_async_full(w) || !sh_ring_front(&w->pinned[level], item))
		return false;
	/* the flag is its waiter's choice */
	if (handle != 0 ? item->arg != handle : !sh_item_of_group(*item, group))
		item->meta &= sh_item_is_plain(*item) ? UINT64_MAX : ~SH_ITEM_HELP;
	return sh_run_in_time(w, item->meta, left_ns) && sh_ring_pop(&w->pinned[level], item);
}
