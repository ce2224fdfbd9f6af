/*
 * sched/checkpoint.c - a running job lets more urgent ones preempt it: waiting jobs of strictly
 * higher levels run nested on its stack. Called by handlers through include/shunt/job.h, and for
 * its holds by handle.c around callbacks.
 *
 * Algorithm: the first call of a job computes the levels above it (shunt_job_ctx.above). From then
 * on a call without result is a look at five hint words. Everything that makes a checkpoint invalid
 * (a declared block, a hold, a fork, another job on top) sets `above` back to 0, so that the next
 * call takes the slow path, which decides.
 * Calls that may run together: a context belongs to the thread that runs its job; only this thread
 * calls.
 * Progress: wait-free if no job is found, else as the handlers of the jobs that run.
 * Bounds: one call runs at most SHUNT_CHECKPOINT_JOBS_MAX jobs. Each job on the stack is of a
 * higher level than the one below it: at most `levels` of them nest, as far as the stack has room.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "sched/async.h"
#include "sched/inherit.h"
#include "sched/world.h"

/* Invalid use: why this job must not be preempted here, as an error and in words; 0 = it may. */
static int invalid_use(const struct shunt_job_ctx *ctx, const char **why)
{
	const struct sh_worker *w = ctx->worker;

	*why = "the runtime was forked";
	if (sh_runtime_forked(ctx->rt))
		return SHUNT_EFORKED;
	*why = "the context is not that of the job which this thread runs";
	if (sh_current_innermost() != ctx)
		return SHUNT_EINVAL;
	*why = "inside shunt_block_begin";
	if (ctx->blocked > 0)
		return SHUNT_EINVAL;
	*why = "inside a submit (a strategy of the user's)";
	if (w && !ctx->inlined && w->submitter->depth > 0)
		return SHUNT_EINVAL;
	*why = "inside shunt_hold_begin, or in a callback of an ended job";
	return ctx->holds > 0 ? SHUNT_EBUSY : 0;
}

/*
 * Debug check: builds with assertions validate every call, also where the fast path would see no
 * error, and log why.
 */
static inline int debug_check(const struct shunt_job_ctx *ctx)
{
#ifdef NDEBUG
	(void)ctx;
	return 0;
#else
	const char *why = NULL;
	int rc = invalid_use(ctx, &why);

	if (rc != 0)
		sh_log_write(&ctx->rt->log, SHUNT_LOG_ERROR, "type %s: shunt_checkpoint ran nothing: %s",
			     ctx->rt->type[ctx->type].name, why);
	return rc;
#endif
}

/*
 * Preemption is allowed only if every frame below is a checkpoint (a wait or an inline run is not), and
 * the stack has room.
 */
static bool agreed(const struct shunt_job_ctx *ctx)
{
	if (!ctx->worker || ctx->inlined || !sh_worker_has_room(ctx->worker))
		return false;
	return !ctx->outer || ctx->outer->preempting;
}

/* The conditions of the worker's loop before each pick. */
static bool may_take(struct sh_worker *w)
{
	/* mo stop.1 <- park.2@sched/push.c: sees the stopper's stores; queued jobs are cancelled. */
	return sh_a32_load_acq(&w->pool->stop) == 0 && !sh_runtime_forked(w->pool->rt) && !sh_async_full(w);
}

/* A job that may be preempted from start_ns on; 0 = it was not. */
struct preemption {
	struct shunt_job_ctx *ctx;
	uint64_t start_ns;
};

/* Also if a nested handler ends the thread, or throws to the handler of ctx. */
static void preemption_over(const struct preemption *p)
{
	struct shunt_job_ctx *ctx = p->ctx;
	struct sh_worker *w = ctx->worker;

	if (p->start_ns == 0)
		return;
	assert(w->running == ctx && sh_current_innermost() == ctx);
	ctx->preempted_ns += (w->now_ns ? w->now_ns : sh_clock_ns()) - p->start_ns;
	w->now_ns = 0;
	ctx->preempting = false;
}

/* Runs jobs of `levels`. The preempted job's clock stops from here to the end of the last one. */
static int preempt(struct shunt_job_ctx *ctx, uint32_t levels)
{
	struct preemption p SH_CLEANUP(preemption_over) = { ctx, 0 };
	struct sh_worker *w = ctx->worker;
	struct sh_item item = { 0, 0 };
	uint32_t turn, level = 0;
	int n = 0;

	assert(!ctx->preempting && w->running == ctx);
	for (turn = 0; turn < SHUNT_CHECKPOINT_JOBS_MAX && may_take(w); turn++) {
		if (!sh_worker_pick_above(w, levels, &item, &level))
			break;
		if (turn == 0) {
			p.start_ns = sh_clock_ns();
			w->now_ns = p.start_ns;
			ctx->preempting = true;
			ctx->above = 0; /* no nested checkpoint may use this context */
		}
		n += sh_worker_run_above(w, levels, item, level);
	}
	return n;
}

/* Slow path: the first call of a job, a job may be waiting, or the call is invalid. */
static SH_NOINLINE int checkpoint_slow(struct shunt_job_ctx *ctx)
{
	const char *why;
	uint32_t levels;
	int rc = invalid_use(ctx, &why);

	if (rc != 0 || !agreed(ctx))
		return rc;
	levels = ((1u << ctx->level) - 1u) & ctx->worker->level_mask;
	ctx->above = SH_ABOVE_KNOWN | levels;
	if (sh_unlikely(sh_a32_load_rlx(&ctx->worker->pool->run_boosts) != 0)) /* mo rlx: a hint. */
		levels = sh_boosted_above(ctx->worker->pool, ctx->level) & ctx->worker->level_mask;
	rc = sh_worker_hints(ctx->worker) & levels ? preempt(ctx, levels) : 0;
	return sh_runtime_forked(ctx->rt) ? SHUNT_EFORKED : rc; /* a child that a nested handler forked */
}

int shunt_checkpoint(struct shunt_job_ctx *ctx)
{
	uint32_t above;
	int rc;

	if (sh_unlikely(!ctx))
		return SHUNT_EINVAL;
	rc = debug_check(ctx);
	if (rc != 0)
		return rc;
	above = ctx->above;
	if (sh_likely(above != 0) && sh_likely((sh_worker_hints(ctx->worker) & above) == 0))
		return 0;
	return checkpoint_slow(ctx);
}

void shunt_hold_begin(struct shunt_job_ctx *ctx)
{
	if (!ctx)
		return;
	ctx->holds++;
	ctx->above = 0;
}

void shunt_hold_end(struct shunt_job_ctx *ctx)
{
	if (ctx && ctx->holds > 0)
		ctx->holds--;
}
