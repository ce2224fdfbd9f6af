/*
 * core/plain.h - the short way of a job through its worker. Most jobs have no handle, callback, group, key or bound and
 * are not asynchronous (SH_JOB_PLAIN): nobody but a counter learns of the end of one. So where they are short, the
 * books are kept for a few at a time, and the clock, the dearest instruction here, is read once for all of them.
 * Every other job, and one that runs nested in another, goes the way of exec.c.
 *
 * A batch is of one type and level, and of SH_BATCH_MAX jobs or SH_BATCH_NS. It goes on while the type's learned time is below SH_SHORT_NS
 * and the worker sees another job waiting; it is closed before the worker does anything else (another kind of job, a
 * nested one, a declared block, a look for work that finds none). Until then its jobs count as unfinished. What is measured is
 * their time together; the start of one within it is reckoned from the learned time, its queue delay, run time and total
 * from equal shares of the measured one (plain.c).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_PLAIN_H
#define SH_CORE_PLAIN_H

#include "base/clock.h"
#include "base/inject.h"
#include "core/runtime.h"

/*
 * Closes the batch, which is not empty; its last job ended at end_ns, failed or not. `nested` is that job's context when it
 * may have had others run inside it (its batch is it alone then), else NULL.
 */
void sh_plain_flush(struct sh_worker *w, uint64_t end_ns, bool failed, const struct shunt_job_ctx *nested);
/* One sample of a type's run time, or the mean of a batch. */
void sh_learn(struct sh_worker *w, uint32_t type_index, struct sh_type *type, uint64_t run_ns);
/* n more jobs that the worker ran. */
void sh_count_jobs(struct sh_worker *w, uint32_t n);
void sh_learn_failure(struct sh_worker *w, bool failed);

/* Is the learned time of a type in this worker so short that its jobs are booked in batches? */
static inline bool sh_plain_short(const struct sh_worker *w, uint32_t type)
{
	return w->learned[type].mean - 1u < SH_SHORT_NS - 1u; /* 0 = nothing learned yet */
}

/* Before the worker does anything but run the next plain job. */
static inline void sh_plain_close(struct sh_worker *w)
{
	if (sh_unlikely(w->batch.n != 0)) {
		w->now_ns = sh_clock_ns();
		sh_plain_flush(w, w->now_ns, false, NULL);
	}
}

/* Before a job runs that is not plain, perhaps inside another, and before a job waits: what ended before it is booked. */
static inline void sh_plain_settle(struct sh_worker *w)
{
	if (sh_likely(w->batch.n == 0))
		return;
	if (w->running)
		sh_plain_flush(w, w->running->start_ns, false, NULL);
	else
		sh_plain_close(w); /* and the clock is read: the next job does not start at a reckoned time */
}

static inline bool sh_plain_goes_on(const struct sh_worker *w, const struct shunt_job_ctx *ctx, uint32_t n)
{
	uint64_t mean = w->learned[ctx->type].mean;

	return sh_plain_short(w, ctx->type) && n < SH_BATCH_MAX && n * mean < SH_BATCH_NS && (ctx->nested_ns | ctx->lent_ns) == 0 && !ctx->paused
	       && sh_a32_load_rlx(&w->pool->room_waiters) == 0 /* mo rlx: as in sh_plain_flush, which makes room. */
	       && (((w->deque_bits >> ctx->level & 1u) && sh_deque_count(&w->deque[ctx->level]) != 0)
		   || sh_ring_peek(&w->ring[ctx->level])
		   || (sh_a32_load_rlx(&w->pool->backlog_bits) >> ctx->level & 1u)); /* mo rlx: a hint. */
}

/* Runs a plain job that the worker popped; no other job runs on this thread. Frees the descriptor first. */
static inline void sh_plain_run(struct sh_worker *w, const struct sh_job *job, uint32_t item)
{
	struct shunt_job_ctx *ctx = &w->plain_ctx; /* what is the same for all of them was set when the worker was made */
	struct sh_batch *b = &w->batch;
	uint64_t cost = SH_COST_ONE + job->cost_ns;
	shunt_handler_fn handler = w->types[job->type].handler;
	bool failed;
	uint64_t now;

	if (b->n != 0 && sh_unlikely(b->type != job->type || b->level != job->level))
		sh_plain_close(w);
	ctx->type = job->type;
	ctx->level = job->level;
	ctx->arg = job->arg;
	ctx->submit_ns = job->submit_ns;
	w->expected = job->after;
	ctx->nested_ns = 0;
	ctx->lent_ns = 0;
	ctx->paused = false;
	ctx->above = 0;
	ctx->holds = 0;
	now = w->now_ns;
	ctx->start_ns = now != 0 ? now : sh_clock_ns();
	sh_slab_free(&w->pool->rt->jobs, &w->submitter->jobs, item);
	SH_POINT("exec.before_claim");
	w->now_ns = 0;
	w->running = ctx;
	sh_thread.ctx = ctx;
	failed = handler(ctx, ctx->arg) != SHUNT_DONE;
	while (sh_unlikely(ctx->blocked > 0))
		shunt_block_end(ctx); /* a handler that forgot: the pool must not stay one short */
	sh_thread.ctx = NULL;
	w->running = NULL;
	if (b->n == 0) {
		b->stamp_ns = ctx->start_ns;
		b->type = ctx->type;
		b->level = ctx->level;
	}
	b->submit_ns[b->n++] = ctx->submit_ns;
	b->cost += cost;
	if (sh_likely(!failed) && sh_plain_goes_on(w, ctx, b->n)) {
		w->now_ns = ctx->start_ns + w->learned[ctx->type].mean;
		return;
	}
	w->now_ns = sh_clock_ns(); /* reckoned times may have run ahead of it: the next batch does not go on from those */
	sh_plain_flush(w, w->now_ns, failed, ctx);
}

#endif
