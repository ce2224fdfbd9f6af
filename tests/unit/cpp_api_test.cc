/*
 * The public headers from C++17: every one compiles, and a program made of them works.
 * SPDX-License-Identifier: MIT
 */
#include <shunt/error.h>
#include <shunt/hist.h>
#include <shunt/job.h>
#include <shunt/log.h>
#include <shunt/runtime.h>
#include <shunt/shunt.h>
#include <shunt/snapshot.h>
#include <shunt/topo.h>
#include <shunt/version.h>

#include <atomic>
#include <cstdio>

namespace {

int add_one(shunt_job_ctx *ctx, void *arg)
{
	static_cast<std::atomic<int> *>(arg)->fetch_add(1);
	return shunt_job_level(ctx) == 2 ? SHUNT_DONE : -1;
}

#define CHECK(expr) \
	do { \
		if (!(expr)) { \
			(void)std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #expr); \
			return 1; \
		} \
	} while (0)

int run()
{
	struct shunt_job_opts job = SHUNT_JOB_OPTS_INIT;
	uint64_t cancelled = 0;
	shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	shunt_runtime *rt = nullptr;
	shunt_pool_id pool{};
	shunt_type_id type{};
	shunt_job_spec spec{};
	shunt_job_id id{};
	shunt_result result{};
	shunt_snapshot *snap = nullptr;
	std::atomic<int> n{0};

	ro.jobs_max = 256;
	CHECK(shunt_runtime_create(&rt, &ro) == SHUNT_OK);
	po.name = "main";
	po.workers = 1;
	po.pin = SHUNT_PIN_NONE;
	CHECK(shunt_pool_create(rt, &po, &pool) == SHUNT_OK);
	to.name = "add";
	to.pool = pool;
	to.handler = add_one;
	CHECK(shunt_type_create(rt, &to, &type) == SHUNT_OK);
	spec.type = type;
	spec.arg = &n;
	spec.level = SHUNT_LEVEL(2);
	spec.opts = &job; /* worker 0 */
	spec.flags = SHUNT_JOB_ON_WORKER;
	CHECK(shunt_submit(rt, &spec, nullptr) == SHUNT_OK);
	spec.opts = nullptr;
	spec.flags = 0;
	for (int i = 0; i < 100; i++)
		CHECK(shunt_submit(rt, &spec, nullptr) == SHUNT_OK);
	CHECK(shunt_submit(rt, &spec, &id) == SHUNT_OK);
	CHECK(shunt_wait(rt, id, SHUNT_FOREVER, &result) == SHUNT_OK);
	CHECK(result.status == SHUNT_JOB_DONE);
	CHECK(shunt_runtime_drain(rt, SHUNT_FOREVER, nullptr) == SHUNT_OK);
	CHECK(n.load() == 102);
	CHECK(shunt_snapshot_create(rt, &snap) == SHUNT_OK);
	CHECK(shunt_snapshot_series_count(snap) == 1 && shunt_snapshot_series_at(snap, 0)->done == 102);
	shunt_snapshot_destroy(snap);
	CHECK(shunt_runtime_destroy(rt, &cancelled) == 0 && cancelled == 0);
	CHECK(shunt_strerror(SHUNT_EFULL) != nullptr);
	return 0;
}

} // namespace

int main()
{
	return run();
}
