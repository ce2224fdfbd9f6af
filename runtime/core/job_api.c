/*
 * core/job_api.c - what a handler may ask about its own job, and declared blocking. Called by handlers through
 * include/shunt/job.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "core/plain.h"
#include "core/runtime.h"
#include "core/track.h"

uint64_t shunt_now_ns(void)
{
	sh_clock_setup();
	return sh_clock_ns();
}

struct shunt_runtime *shunt_job_runtime(const struct shunt_job_ctx *ctx)
{
	return ctx->rt;
}

struct shunt_job_id shunt_job_self(const struct shunt_job_ctx *ctx)
{
	struct shunt_job_id id = { ctx->track };

	return id;
}

struct shunt_type_id shunt_job_type(const struct shunt_job_ctx *ctx)
{
	struct shunt_type_id id = { ctx->rt->type[ctx->type].generation << 16 | (ctx->type + 1u) };

	return id;
}

unsigned shunt_job_level(const struct shunt_job_ctx *ctx)
{
	return ctx->level;
}

uint32_t shunt_job_worker(const struct shunt_job_ctx *ctx)
{
	return ctx->worker && !ctx->inlined ? ctx->worker->slot : SHUNT_ANY;
}

uint64_t shunt_job_queue_ns(const struct shunt_job_ctx *ctx)
{
	return ctx->start_ns > ctx->submit_ns ? ctx->start_ns - ctx->submit_ns : 0;
}

int shunt_job_cancelled(const struct shunt_job_ctx *ctx)
{
	if (ctx->track && (sh_track_flags(ctx->rt, ctx->track) & SH_TRACK_CANCEL))
		return 1;
	return ctx->group && sh_group_is_cancelled(ctx->rt, ctx->group);
}

int shunt_block_begin(struct shunt_job_ctx *ctx)
{
	int rc;

	if (!ctx->worker)
		return 0; /* run inline: no worker is held up */
	if (ctx->blocked > 0) {
		ctx->blocked++;
		return 0;
	}
	sh_plain_settle(ctx->worker); /* or jobs that ended before this one would count as unfinished as long as it waits */
	rc = sh_pool_block_begin(ctx->worker->pool, ctx->worker);
	if (rc != 0) {
		sh_pool_block_end(ctx->worker->pool, ctx->worker);
		return rc;
	}
	ctx->blocked = 1;
	ctx->paused = true;
	ctx->above = 0; /* no checkpoint meanwhile */
	return 0;
}

void shunt_block_end(struct shunt_job_ctx *ctx)
{
	if (!ctx->worker || ctx->blocked == 0)
		return;
	if (--ctx->blocked == 0)
		sh_pool_block_end(ctx->worker->pool, ctx->worker);
}
