/*
 * sched/run.h - a job from the moment a thread takes its item to its end. One function runs every
 * job; a job without parts that the loop runs is the same code with what it does not need removed.
 * Called by the worker's loop, by checkpoints, by waits that help, by inline submits.
 *
 * Algorithm: one thread wins the job: it pops the item, and if the job has a record it moves that
 * out of QUEUED (sched/record.h). It starts the parts, runs the handler, and ends the job once: it
 * records it, releases the parts, and counts it as finished.
 * Calls that may run together: all; a call with w only on the thread of w.
 * Linearization: the end of a job with a handle - the CAS to its terminal status (job/handle.c). Of
 * any other job - the store that counts it as finished (count.1).
 * A handler that does not return (it ends its thread, or an exception goes on to a handler below it on the stack)
 * ends its job as failed: run() has a clean-up for it, and the loop's thread one in worker.c (sh_run_left).
 * Progress: as handlers and callbacks. An asynchronous job may wait for the pool's asynchronous
 * capacity.
 * Bounds: jobs nest on one stack while it has room (sh_worker_has_room), 512 bytes of ours each.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_RUN_H
#define SH_SCHED_RUN_H

#include "base/inject.h"
#include "sched/account.h"
#include "sched/credit.h"
#include "sched/hand.h"
#include "sched/pick.h"
#include "sched/record.h"

/* Runs what an item of `level` names, unless it is a token. False = no handler ran. */
bool sh_run_item(struct sh_worker *w, struct sh_item item, uint32_t level);
/*
 * Runs a job that this thread claimed by its record (sh_record_claim). `strand`: it holds its
 * strand, whose list it has left.
 */
bool sh_run_record(struct sh_worker *w, uint64_t handle, bool strand);
/* Runs an admitted job in the caller's thread, without a queue. */
void sh_run_inline(struct sh_submit *s);
/*
 * Ends a job that this thread won and that does not run: *e from sh_run_load, with how it ends. All
 * parts but `keep` are released.
 */
void sh_run_end(struct sh_end *e, uint32_t keep);
/* Reads a record that cannot be freed meanwhile. */
void sh_run_load(struct sh_end *e, struct shunt_runtime *rt, uint64_t handle);
/* The thread of w ends: the plain job that the loop ran in it, if any, has failed. */
void sh_run_left(struct sh_worker *w);
/* Cancels what an item names, unless it is a token, because the pool stops. False = it had ended before. */
bool sh_run_cancel(struct sh_pool *p, struct sh_item item, uint32_t level);
/*
 * A job of a strand was ended by another thread while it was queued: takes it out of the list and
 * releases its place. `pass`: hands the strand on.
 */
void sh_run_dropped(struct shunt_runtime *rt, struct sh_pool *p, struct sh_worker *w, uint64_t handle, uint32_t strand, bool pass);

/* May a wait that ends in limit_ns run the job of this item's meta, which is no token? */
static inline bool sh_run_in_time(const struct sh_worker *w, uint64_t meta, uint64_t limit_ns)
{
	const bool any = !sh_item_is_plain((struct sh_item){ meta, 0 }) && (meta & SH_ITEM_HELP);

	return any || limit_ns == SH_FOREVER || sh_account_in_time(w, sh_item_meta_type(meta), limit_ns);
}

/* Marks e as a job that never ran. */
static inline void sh_end_cancelled(struct sh_end *e, enum shunt_detail detail)
{
	e->status = SH_RECORD_CANCELLED;
	e->code = SHUNT_ECANCELLED;
	e->detail = (uint8_t)detail;
	e->worker = SHUNT_ANY;
	e->attempts = 0;
	e->queue_ns = e->run_ns = e->total_ns = 0;
}

/* The handler has returned and is blocked: ends that. False = this process is a child that it forked. */
bool sh_run_unblock(struct shunt_job_ctx *ctx);

/*
 * Calls the handler in ctx, whose fields are filled; start_ns too. False = it returned in a child that it forked:
 * nothing is the caller's any more, and the loop ends.
 */
static inline bool sh_run_handler(struct sh_worker *w, struct shunt_job_ctx *ctx, shunt_handler_fn handler, int *code)
{
	ctx->nested_ns = 0;
	ctx->preempted_ns = 0;
	ctx->paused = false;
	ctx->above = 0;
	ctx->holds = 0;
	if (w) {
		w->now_ns = 0;
		w->running = ctx;
	}
	sh_thread.ctx = ctx;
	*code = handler(ctx, ctx->arg);
	return sh_likely(ctx->blocked == 0) || sh_run_unblock(ctx);
}

/*
 * The next job of an open batch: of the same type and level, from the hand, the own deque or a new
 * hand. False = the loop looks further; the batch stays open. `picked`: the job before it came from the loop.
 */
static inline bool sh_run_next(struct sh_worker *w, uint32_t level, uint64_t kind, uint64_t mean, bool picked,
			       struct sh_item *item)
{
	if (sh_likely(w->hand_at != w->hand_n)) {
		*item = w->hand[w->hand_at++];
		return true;
	}
	/* once after each pick of the loop, which may be a lower level's turn: does a more urgent level wait? */
	if (picked && sh_unlikely(sh_pick_urgent(w, level)))
		return false;
	if (w->deque_bits >> level & 1u) {
		/* mo rlx: polled again; the sleeper's scan is ordered. */
		uint32_t others = sh_a32_load_rlx(&w->pin_bits) | sh_a32_load_rlx(&w->pool->backlog_bits);

		/* the pick's turns of sources and levels are kept */
		if ((others >> level & 1u) || sh_ring_peek(&w->ring[level]) || w->slot_table[w->tick] != SH_SLOT_TOP
		    || w->source_tick[level] >= SH_OLDEST_PERIOD - 1 || !sh_pick_deque(w, level, item))
			return false;
		if (sh_unlikely(sh_item_kind(*item) != kind)) {
			(void)sh_deque_push(&w->deque[level], *item); /* its place has just become free */
			w->surplus = true; /* a thief may have found the deque empty meanwhile, and parked */
			return false;
		}
		w->tick = w->tick + 1 == w->slot_n ? 0 : w->tick + 1;
		w->source_tick[level]++;
		return true;
	}
	if (!sh_hand_take(w, level, kind, (uint32_t)((SH_BATCH_NS - 1) / mean) + 1 - w->batch.n))
		return false;
	*item = w->hand[w->hand_at++];
	return true;
}

/*
 * The loop's run of plain jobs whose type has no parts: the item, and what follows it in the same
 * batch. Nothing else runs on this thread.
 */
static inline void sh_run_plain(struct sh_worker *w, struct sh_item item, uint32_t level)
{
	struct shunt_job_ctx *ctx = &w->ctx; /* its constant fields were set by worker_make.c */
	struct sh_batch *b = &w->batch;
	uint32_t type = sh_item_type(item);
	const uint64_t kind = sh_item_kind(item);
	uint64_t mean = w->learned[type].mean;
	int code = SHUNT_DONE;
	bool failed, picked = true;

	if (b->n != 0 && sh_unlikely(b->type != type || b->level != level))
		sh_account_close(w);
	ctx->start_ns = w->now_ns != 0 ? w->now_ns : sh_clock_ns();
	ctx->type = (uint16_t)type;
	ctx->level = (uint8_t)level;
	if (mean - 1u >= SH_SHORT_NS - 1u)
		sh_prompt_end(w);
	if (sh_unlikely(mean >= SH_SCORE_NS))
		sh_account_long_job(w, ctx->start_ns, mean);
	for (;;) {
		ctx->arg = (void *)(uintptr_t)item.arg;
		ctx->submit_ns = sh_item_submit_ns(item, ctx->start_ns);
		sh_credit_give(w->pool->rt, w->submitter, 1);
		SH_POINT("run.before_handler");
		if (sh_unlikely(!sh_run_handler(w, ctx, w->types[type].handler, &code))) {
			sh_thread.ctx = NULL;
			w->running = NULL;
			return;
		}
		failed = code != SHUNT_DONE;
		if (b->n == 0) { /* also if jobs ran nested in this one */
			b->stamp_ns = ctx->start_ns;
			b->type = (uint16_t)type;
			b->level = (uint8_t)level;
		}
		b->submit_ns[b->n++] = ctx->submit_ns;
		/* a short job, so far without a failure and with nothing nested in it */
		if (sh_unlikely(failed || mean - 1u >= SH_SHORT_NS - 1u || (ctx->nested_ns | ctx->preempted_ns) != 0 || ctx->paused)
		    || b->n >= SH_BATCH_MAX || b->n * mean >= SH_BATCH_NS
		    /* mo rlx: as in sh_account_finished. */
		    || sh_unlikely(sh_a32_load_rlx(&w->pool->capacity_waiters) != 0))
			break;
		w->now_ns = ctx->start_ns + mean;
		if (!sh_run_next(w, level, kind, mean, picked, &item)) {
			sh_thread.ctx = NULL;
			w->running = NULL;
			return;
		}
		picked = false;
		ctx->start_ns = w->now_ns;
	}
	sh_thread.ctx = NULL;
	w->running = NULL;
	sh_hand_release(w);
	/* estimated times may be ahead of it: the next batch does not continue from those */
	w->now_ns = sh_clock_ns();
	sh_account_flush(w, w->now_ns, failed, ctx);
}

#endif
