/* embed.c - one pool, one type of job, one job, its result. SPDX-License-Identifier: MIT */
#include <shunt/shunt.h>
#include <stdio.h>

static int square(struct shunt_job_ctx *ctx, void *arg)
{
	int *n = arg;

	(void)ctx;
	*n *= *n;
	return SHUNT_DONE;
}

int main(void)
{
	struct shunt_runtime *rt;
	struct shunt_pool_opts pool = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts type = SHUNT_TYPE_OPTS_INIT;
	struct shunt_job_spec job = { 0 };
	struct shunt_job_id id;
	int n = 7;

	pool.name = "main"; /* all else by default: one pinned worker per granted cpu */
	type.name = "square";
	type.handler = square;
	job.arg = &n;
	if (shunt_runtime_create(&rt, NULL) != 0 || shunt_pool_create(rt, &pool, &type.pool) != 0 ||
	    shunt_type_create(rt, &type, &job.type) != 0 || shunt_submit(rt, &job, &id) != 0 ||
	    shunt_wait(rt, id, SHUNT_FOREVER, NULL) != 0)
		return 1;
	printf("7 * 7 = %d\n", n);
	return shunt_runtime_destroy(rt, NULL) != 0 || n != 49;
}
