/*
 * sched/run.c - see run.h: jobs with a record, jobs inside others, and the end of every job that is
 * not in a batch.
 *
 * SPDX-License-Identifier: MIT
 */
#include "sched/run.h"

#include "sched/strand.h"
#include "sched/submitter.h"

void sh_run_load(struct sh_end *e, struct shunt_runtime *rt, uint64_t handle)
{
	struct sh_record *t = sh_record_at(rt, handle);

	*e = (struct sh_end){ .rt = rt, .pool = t->pool, .record = t, .handle = handle, .submit_ns = t->submit_ns, .parts = t->parts,
			      .group = t->group, .strand = sh_a32_load_rlx(&t->strand), /* mo rlx: claimed. */
			      .cq = t->cq, .type = (uint16_t)sh_a32_load_rlx(&t->kind), /* mo rlx: claimed. */
			      .level = t->level,
			      .worker = SHUNT_ANY };
}

/* A plain item of pool p, which is pending: its type is alive. */
static void load_plain(struct sh_end *e, struct sh_pool *p, struct sh_item item, uint32_t level)
{
	uint32_t type = sh_item_type(item);

	*e = (struct sh_end){ .rt = p->rt, .pool = p, .parts = p->rt->type[type].parts, .type = (uint16_t)type, .level = (uint8_t)level,
			      .worker = SHUNT_ANY };
}

/* Signals capacity and counts the job as finished: nothing of it or of its pool is touched after. */
static void count_finished(struct sh_end *e)
{
	if (e->w) {
		sh_account_finished(e->w, e->type, 1);
		return;
	}
	/* mo rlx: a missed waiter looks again within a millisecond. */
	if (sh_unlikely(sh_a32_load_rlx(&e->pool->capacity_waiters) != 0))
		sh_capacity_signal(e->pool);
	/* mo count.1 -> count.1@life/drain.c: all of the job, and the last use of the pool, before this. */
	(void)sh_a64_add_acq_rel(&e->pool->outside_finished[e->type], 1);
}

static inline void counted(struct sh_end **e)
{
	count_finished(*e);
}

/* The one place where a job with parts becomes terminal; it is recorded. */
static void release_and_count(struct sh_end *e, uint32_t keep)
{
	struct sh_end *last SH_CLEANUP(counted) = e; /* also if its callback ends the thread */
	uint32_t parts = last->parts;

	sh_parts_release(e, ~keep);
	if (e->record && !(parts & SH_PART(HANDLE)))
		sh_record_free(e->rt, e->sub, e->handle);
}

void sh_run_end(struct sh_end *e, uint32_t keep)
{
	if (e->w)
		sh_account_cancelled(e->w, e);
	else
		sh_account_outside(e);
	release_and_count(e, keep);
}

/* The strand that the job holds while it runs, + 1; one that runs inline holds none. */
static inline uint32_t held(const struct sh_end *e)
{
	return (e->parts & SH_PART(KEY)) && !e->inlined ? e->strand + 1 : 0;
}

/* A job whose handler was called. */
struct frame {
	struct shunt_job_ctx ctx;
	struct sh_end *e;
	/* not ctx.outer: that may be a job of another runtime, run inline by this worker's job */
	struct shunt_job_ctx *running;
	bool returned;
};

/* The handler said `code`: the job ends, unless another thread ends it. */
static void ended(const struct frame *f, int code)
{
	const struct shunt_job_ctx *ctx = &f->ctx;
	struct sh_worker *w = ctx->worker;
	struct sh_end *e = f->e;
	uint64_t end_ns, gross_ns;

	if (w)
		w->running = f->running;
	end_ns = sh_clock_ns();
	if (w)
		w->now_ns = end_ns;
	if (sh_parts_finish(e, code) == SH_DONE_DETACHED)
		return; /* pending, or completed before its handler returned */
	gross_ns = end_ns > ctx->start_ns ? end_ns - ctx->start_ns : 0;
	e->run_ns = gross_ns > ctx->preempted_ns ? gross_ns - ctx->preempted_ns : 0;
	e->total_ns = end_ns > e->submit_ns ? end_ns - e->submit_ns : 0;
	e->status = code == SHUNT_DONE ? SH_RECORD_DONE : SH_RECORD_FAILED;
	e->code = code == SHUNT_DONE ? 0 : code;
	e->detail = f->returned ? SHUNT_BY_HANDLER : SHUNT_BY_EXIT;
	e->attempts = 1;
	if (ctx->outer && !ctx->outer->preempting)
		ctx->outer->nested_ns += gross_ns;
	if (e->w) {
		struct sh_batch *b = &e->w->batch;

		assert(b->n == 0);
		b->stamp_ns = ctx->start_ns;
		b->type = e->type;
		b->level = e->level;
		b->submit_ns[b->n++] = e->submit_ns;
		(void)sh_account_batch(e->w, end_ns, code != SHUNT_DONE, ctx);
	} else {
		sh_account_outside(e);
	}
	/* the context stays current until the callback has run */
	release_and_count(e, 0);
}

bool sh_run_unblock(struct shunt_job_ctx *ctx)
{
	if (sh_runtime_forked(ctx->rt))
		return false;
	while (ctx->blocked > 0)
		shunt_block_end(ctx); /* the handler forgot: the pool must get its worker back */
	return true;
}

/* A handler ended its thread, or threw. */
static SH_COLD void not_returned(struct shunt_job_ctx *ctx)
{
	(void)sh_run_unblock(ctx);
	sh_log_write(&ctx->rt->log, SHUNT_LOG_ERROR, "type %s: a job has failed: %s", ctx->rt->type[ctx->type].name,
		     shunt_strerror(SHUNT_EEXITED));
}

static SH_COLD void left(struct frame *f)
{
	if (sh_runtime_forked(f->e->rt))
		return;
	not_returned(&f->ctx);
	ended(f, SHUNT_EEXITED);
	if (f->ctx.worker)
		f->ctx.worker->now_ns = 0; /* an exception may go to the handler of a job below */
}

static inline void frame_over(struct frame *f)
{
	if (sh_unlikely(!f->returned))
		left(f);
	sh_thread.ctx = f->ctx.outer;
	if (f->ctx.worker)
		f->ctx.worker->running = f->running;
}

/*
 * Runs the job of *e: its record, if any, is claimed by this thread. w = the worker of this thread,
 * NULL = none; e->w = the one that records the job.
 */
static SH_ALWAYS_INLINE bool run(struct sh_end *e, struct sh_worker *w, void *arg)
{
	/* before its parts start: then others may complete an asynchronous job, and its type may go */
	const shunt_handler_fn handler = e->rt->type[e->type].handler;
	struct shunt_job_ctx *outer = sh_current_innermost();
	/* nothing to clean up before the parts have started */
	struct frame f SH_CLEANUP(frame_over) = {
		.ctx = { .rt = e->rt, .worker = w, .outer = outer, .handle = e->parts & SH_PART(HANDLE) ? e->handle : 0,
			 .submit_ns = e->submit_ns, .arg = arg, .group = e->group, .type = e->type, .level = e->level,
			 .inlined = e->inlined, .async = (e->parts & SH_PART(ASYNC)) != 0, .strand = held(e),
			 .inlines = (outer ? outer->inlines : 0) + e->inlined },
		.e = e,
		.running = w ? w->running : NULL,
		.returned = true,
	};
	enum sh_go go;
	int code = SHUNT_DONE;
	bool here;

	if (w)
		sh_account_close_before(w);
	f.ctx.start_ns = w && w->now_ns ? w->now_ns : sh_clock_ns();
	e->nested = w && w->running;
	e->worker = w && !e->inlined ? w->slot : SHUNT_ANY;
	e->start_ns = f.ctx.start_ns;
	e->queue_ns = f.ctx.start_ns > e->submit_ns ? f.ctx.start_ns - e->submit_ns : 0;
	/* before the parts start: then others may end the job, and the pool may go */
	if (sh_unlikely(e->inlined))
		(void)sh_a64_add_rlx(&e->pool->inlined, 1); /* mo rlx: statistic. */
	go = sh_parts_start(e);
	if (sh_unlikely(go != SH_GO_RUN)) {
		if (go == SH_GO_END) {
			if (e->inlined)
				(void)sh_a64_sub_rlx(&e->pool->inlined, 1); /* mo rlx: as above. */
			sh_run_end(e, 0);
		}
		return false;
	}
	if (e->w && sh_unlikely(e->w->learned[e->type].mean >= SH_SCORE_NS))
		sh_account_long_job(e->w, f.ctx.start_ns, e->w->learned[e->type].mean);
	f.returned = false;
	here = sh_run_handler(w, &f.ctx, handler, &code);
	f.returned = true;
	if (sh_likely(here))
		ended(&f, code);
	return true;
}

void sh_run_left(struct sh_worker *w)
{
	struct shunt_job_ctx *ctx = w->running;
	struct sh_batch *b = &w->batch;

	if (!ctx)
		return;
	assert(ctx == &w->ctx); /* all others have ended by the clean-up of run() */
	not_returned(ctx);
	if (b->n == 0) {
		b->stamp_ns = ctx->start_ns;
		b->type = ctx->type;
		b->level = ctx->level;
	}
	b->submit_ns[b->n++] = ctx->submit_ns;
	sh_thread.ctx = NULL;
	w->running = NULL;
	sh_hand_release(w);
	w->now_ns = sh_clock_ns();
	sh_account_flush(w, w->now_ns, true, ctx);
}

/* The job of a claimed record, or with handle 0 of a plain item. One frame a job that waits nest (run.h, Bounds). */
static SH_NOINLINE bool run_queued(struct sh_worker *w, uint64_t handle, struct sh_item item, uint32_t level, bool strand)
{
	struct sh_end e;

	if (handle != 0) {
		sh_run_load(&e, w->pool->rt, handle);
		item.arg = (uint64_t)(uintptr_t)e.record->arg;
	} else {
		load_plain(&e, w->pool, item, level);
		e.submit_ns = sh_item_submit_ns(item, w->now_ns ? w->now_ns : sh_clock_ns());
	}
	e.w = w;
	e.sub = w->submitter;
	e.pass = strand;
	return run(&e, w, (void *)(uintptr_t)item.arg);
}

bool sh_run_record(struct sh_worker *w, uint64_t handle, bool strand)
{
	return run_queued(w, handle, (struct sh_item){ 0, 0 }, 0, strand);
}

bool sh_run_item(struct sh_worker *w, struct sh_item item, uint32_t level)
{
	const bool plain = sh_item_is_plain(item);

	SH_POINT("run.before_claim");
	if (!plain && !sh_record_claim(w->pool->rt, item.arg)) {
		sh_credit_left(w->pool->rt, w->submitter);
		return false;
	}
	sh_credit_give(w->pool->rt, w->submitter, 1);
	return run_queued(w, plain ? 0 : item.arg, item, level, false);
}

void sh_run_inline(struct sh_submit *s)
{
	struct sh_worker *w = s->ctx ? s->ctx->worker : NULL;
	struct sh_end e = { .rt = s->rt, .pool = s->pool, .sub = s->sub, .record = s->record, .handle = s->handle,
			    .submit_ns = s->submit_ns, .parts = s->parts, .group = s->group, .cq = s->opts->cq,
			    .type = (uint16_t)s->type_index, .level = (uint8_t)s->level, .inlined = true };

	if (w)
		w->now_ns = 0;
	/* a worker of another pool records nothing of it */
	e.w = w && w->pool == s->pool ? w : NULL;
	(void)run(&e, w, s->spec->arg);
}

void sh_run_dropped(struct shunt_runtime *rt, struct sh_pool *p, struct sh_worker *w, uint64_t handle, uint32_t strand, bool pass)
{
	struct sh_end e = { .rt = rt, .pool = p, .w = w, .sub = w ? w->submitter : NULL, .handle = handle, .parts = SH_PART(KEY),
			    .strand = strand, .pass = pass };

	(void)sh_record_unhold(rt, e.sub, handle, SH_RECORD_LINKED);
	sh_parts_release(&e, SH_PART(KEY));
}

bool sh_run_cancel(struct sh_pool *p, struct sh_item item, uint32_t level)
{
	struct sh_end e;

	if (sh_item_is_plain(item)) {
		load_plain(&e, p, item, level);
	} else {
		if (!sh_record_claim_end(p->rt, item.arg)) {
			sh_credit_left(p->rt, NULL);
			return false;
		}
		sh_run_load(&e, p->rt, item.arg);
		(void)sh_record_unhold(p->rt, NULL, item.arg, SH_RECORD_LINKED);
	}
	sh_credit_give(p->rt, NULL, 1);
	sh_end_cancelled(&e, SHUNT_BY_STOP);
	sh_run_end(&e, 0);
	return true;
}
