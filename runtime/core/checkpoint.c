/*
 * core/checkpoint.c - a job in progress lets more urgent ones pass: waiting jobs of strictly higher levels run nested
 * on its stack. Called by handlers through include/shunt/job.h, and for its holds by track.c around callbacks.
 *
 * The first call of a job finds out which levels are above it (shunt_job_ctx.above); from then on a call in vain is a
 * look at five hint words. Whatever makes a checkpoint wrong (a declared block, a hold, a fork, another job on top)
 * sets `above` back to 0, so that the next call comes to the long way, where it is judged.
 *
 * Bounds: one call runs at most SHUNT_CHECKPOINT_JOBS_MAX jobs; each job on the stack is of a higher level than the one
 * below it, so at most `levels` of them nest by checkpoints, and SH_NEST_MAX with those that waits run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "core/runtime.h"

/* Why this job must not be interrupted here: an error, and in words; 0 = it may. */
static int misuse(const struct shunt_job_ctx *ctx, const char **why)
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

/* Builds with assertions judge every call, also those in which the short way would see nothing wrong, and say why. */
static inline int judge_always(const struct shunt_job_ctx *ctx)
{
#ifdef NDEBUG
	(void)ctx;
	return 0;
#else
	const char *why = NULL;
	int rc = misuse(ctx, &why);

	if (rc != 0)
		sh_log_write(&ctx->rt->log, SHUNT_LOG_ERROR, "type %s: shunt_checkpoint ran nothing: %s",
			     ctx->rt->type[ctx->type].name, why);
	return rc;
#endif
}

/* Did whoever is below on this stack agree to run any job inside it? A waiter, an inline run's submitter did not. */
static bool agreed(const struct shunt_job_ctx *ctx)
{
	return ctx->worker && !ctx->inlined && (!ctx->outer || ctx->outer->lending) && ctx->depth < SH_NEST_MAX;
}

/* As the worker's loop before each pick. */
static bool may_take(struct sh_worker *w)
{
	/* mo S3 <- S2@core/push.c: the stopper's stores; what is queued is cancelled. */
	return sh_a32_load_acq(&w->pool->stop) == 0 && !sh_runtime_forked(w->pool->rt) && !sh_worker_async_full(w);
}

/* The outer job's clock stands still from here to the end of the last nested one. */
static int lend(struct shunt_job_ctx *ctx, uint32_t levels)
{
	struct sh_worker *w = ctx->worker;
	uint64_t start_ns = 0;
	uint32_t item = 0;
	uint32_t turn;
	int n = 0;

	assert(!ctx->lending && w->running == ctx);
	for (turn = 0; turn < SHUNT_CHECKPOINT_JOBS_MAX && may_take(w); turn++) {
		if (!sh_worker_pick_above(w, levels, &item))
			break;
		if (turn == 0) {
			start_ns = sh_clock_ns();
			w->now_ns = start_ns;
			ctx->lending = true;
			ctx->above = 0; /* nobody else's checkpoint may use this context */
		}
		n += sh_worker_run_above(w, levels, item);
	}
	if (!ctx->lending)
		return 0;
	assert(w->running == ctx && sh_current_innermost() == ctx);
	ctx->lent_ns += (w->now_ns ? w->now_ns : sh_clock_ns()) - start_ns;
	w->now_ns = 0;
	ctx->lending = false;
	return n;
}

/* The long way: the first call of a job, something may be waiting, or something is wrong. */
static SH_NOINLINE int checkpoint_slow(struct shunt_job_ctx *ctx)
{
	const char *why;
	uint32_t levels;
	int rc = misuse(ctx, &why);

	if (rc != 0 || !agreed(ctx))
		return rc;
	levels = ((1u << ctx->level) - 1u) & ctx->worker->level_mask;
	ctx->above = SH_ABOVE_KNOWN | levels;
	return sh_worker_hints(ctx->worker) & levels ? lend(ctx, levels) : 0;
}

int shunt_checkpoint(struct shunt_job_ctx *ctx)
{
	uint32_t above;
	int rc;

	if (sh_unlikely(!ctx))
		return SHUNT_EINVAL;
	rc = judge_always(ctx);
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
