/*
 * job/context.c - a handler's queries about its own job. Called by handlers through
 * include/shunt/job.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "job/group.h"
#include "job/handle.h"

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
	struct shunt_job_id id = { ctx->handle };

	return id;
}

struct shunt_type_id shunt_job_type(const struct shunt_job_ctx *ctx)
{
	struct shunt_type_id id = { sh_id_make(ctx->type, ctx->rt->type[ctx->type].generation) };

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
	if (ctx->handle && (sh_record_flags(ctx->rt, ctx->handle) & SH_RECORD_CANCEL))
		return 1;
	return ctx->group && sh_group_is_cancelled(ctx->rt, ctx->group);
}
