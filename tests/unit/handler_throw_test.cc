/*
 * Exceptions that leave a handler or a callback, to be caught further out on the same stack: around a submit that runs
 * its job inline, in a job that waits for the one that throws or has a checkpoint, around shunt_complete. The job has
 * failed with SHUNT_EEXITED, and the runtime goes on.
 * SPDX-License-Identifier: MIT
 */
#include <shunt/error.h>
#include <shunt/runtime.h>

#include <sched.h>

#include <atomic>
#include <cstdio>
#include <stdexcept>

namespace
{

#define CHECK(expr) \
	do { \
		if (!(expr)) { \
			(void)std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #expr); \
			return 1; \
		} \
	} while (0)

constexpr uint64_t long_ns = 20000000000u;

shunt_runtime *rt;
shunt_type_id thrower, pending;
std::atomic<int> open_gate{ 0 };
shunt_job_id pending_id;

int throws(shunt_job_ctx *, void *)
{
	throw std::runtime_error("thrown by a handler");
}

int gate(shunt_job_ctx *, void *)
{
	while (open_gate.load() == 0)
		;
	return SHUNT_DONE;
}

std::atomic<bool> suspended;

int suspends(shunt_job_ctx *ctx, void *)
{
	pending_id = shunt_job_self(ctx);
	suspended = true;
	return SHUNT_PENDING;
}

int count(shunt_job_ctx *, void *arg)
{
	static_cast<std::atomic<int> *>(arg)->fetch_add(1);
	return SHUNT_DONE;
}

/* Waits for a job that throws, and catches that. */
int waits(shunt_job_ctx *ctx, void *)
{
	shunt_job_spec spec{};
	shunt_result result{};
	shunt_job_id id{};
	bool caught = false;

	spec.type = thrower;
	if (shunt_submit(shunt_job_runtime(ctx), &spec, &id) != 0)
		return -1;
	try {
		(void)shunt_wait(shunt_job_runtime(ctx), id, SHUNT_FOREVER, nullptr);
	} catch (const std::runtime_error &) {
		caught = true;
	}
	if (!caught || shunt_wait(shunt_job_runtime(ctx), id, 0, &result) != 0)
		return -2;
	if (result.status != SHUNT_JOB_FAILED || result.code != SHUNT_EEXITED)
		return -3;
	return result.detail == SHUNT_BY_EXIT ? SHUNT_DONE : -3;
}

/* The same in checkpoints, which go on to work. */
int checkpoints(shunt_job_ctx *ctx, void *arg)
{
	shunt_job_spec spec{};
	int caught = 0, ran = 0;

	spec.level = SHUNT_LEVEL(0);
	for (int i = 0; i < 3; i++) {
		spec.type = thrower;
		if (shunt_submit(shunt_job_runtime(ctx), &spec, nullptr) != 0)
			return -1;
		try {
			while (shunt_checkpoint(ctx) == 0)
				;
		} catch (const std::runtime_error &) {
			caught++;
		}
		spec.type = *static_cast<shunt_type_id *>(arg);
		if (shunt_submit(shunt_job_runtime(ctx), &spec, nullptr) != 0)
			return -2;
		while (ran == i)
			ran += shunt_checkpoint(ctx);
	}
	return caught == 3 && ran == 3 ? SHUNT_DONE : -3;
}

int nothing(shunt_job_ctx *, void *)
{
	return SHUNT_DONE;
}

void done_throws(void *, shunt_job_id, const shunt_result *)
{
	throw std::runtime_error("thrown by a callback");
}

struct world {
	shunt_pool_id full, pool;
	shunt_type_id type[5]; /* as `handler` */
};

int type_make(shunt_pool_id pool, const char *name, shunt_handler_fn handler, uint32_t flags, shunt_type_id *out)
{
	shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;

	to.pool = pool;
	to.name = name;
	to.handler = handler;
	to.flags = flags;
	return shunt_type_create(rt, &to, out);
}

int world_open(world *w)
{
	static const char *const names[5] = { "waits", "gate", "count", "checkpoints", "nothing" };
	const shunt_handler_fn handler[5] = { waits, gate, count, checkpoints, nothing };
	shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;

	ro.jobs_max = 256;
	ro.levels = 2;
	CHECK(shunt_runtime_create(&rt, &ro) == 0);
	po.name = "full";
	po.workers = 1;
	po.pin = SHUNT_PIN_NONE;
	po.queue_max = 1;
	CHECK(shunt_pool_create(rt, &po, &w->full) == 0);
	po.name = "free";
	po.queue_max = 0;
	CHECK(shunt_pool_create(rt, &po, &w->pool) == 0);
	for (int i = 0; i < 5; i++)
		CHECK(type_make(i == 1 ? w->full : w->pool, names[i], handler[i], 0, &w->type[i]) == 0);
	CHECK(type_make(w->pool, "throws", throws, 0, &thrower) == 0);
	CHECK(type_make(w->pool, "suspends", suspends, SHUNT_TYPE_ASYNC, &pending) == 0);
	return 0;
}

/* In a wait, and in checkpoints, in a worker. */
int in_jobs(world *w)
{
	for (int k = 0; k < 4; k += 3) {
		shunt_job_spec spec{};
		shunt_result result{};
		shunt_job_id id{};

		spec.type = w->type[k];
		spec.arg = &w->type[4];
		CHECK(shunt_submit(rt, &spec, &id) == 0);
		CHECK(shunt_wait(rt, id, long_ns, &result) == 0);
		CHECK(result.code == 0);
	}
	return 0;
}

/* Of a callback, out of shunt_complete. */
int in_callback()
{
	shunt_job_spec spec{};
	shunt_result result{};
	shunt_job_id id{};
	bool caught = false;

	spec.type = pending;
	spec.done = done_throws;
	CHECK(shunt_submit(rt, &spec, &id) == 0);
	while (!suspended) /* a poll says RUNNING a little earlier: when its worker has claimed it */
		sched_yield();
	try {
		CHECK(shunt_complete(rt, id, 0) == 0);
	} catch (const std::runtime_error &) {
		caught = true;
	}
	CHECK(caught);
	CHECK(shunt_wait(rt, id, long_ns, &result) == 0);
	CHECK(result.status == SHUNT_JOB_DONE && result.detail == SHUNT_BY_COMPLETE);
	return 0;
}

/* Inline, out of shunt_submit: the pool is full. */
int in_submit(world *w)
{
	shunt_job_spec spec{};
	shunt_result result{};
	shunt_job_id id{}, held{};
	shunt_type_id type{};

	spec.type = w->type[1];
	CHECK(type_make(w->full, "full-throws", throws, 0, &type) == 0);
	CHECK(shunt_submit(rt, &spec, &held) == 0);
	spec.type = type;
	spec.on_full = SHUNT_ON_FULL_INLINE;
	for (int i = 0; i < 3; i++) {
		bool caught = false;

		try {
			int rc = shunt_submit(rt, &spec, &id);

			(void)rc;
		} catch (const std::runtime_error &) {
			caught = true;
		}
		CHECK(caught);
		CHECK(shunt_wait(rt, id, long_ns, &result) == 0);
		CHECK(result.code == SHUNT_EEXITED && result.worker == SHUNT_ANY);
	}
	open_gate.store(1);
	CHECK(shunt_wait(rt, held, long_ns, nullptr) == 0);
	CHECK(shunt_type_destroy(rt, type, long_ns) == 0);
	return 0;
}

int run()
{
	shunt_job_spec spec{};
	std::atomic<int> n(0);
	uint64_t cancelled = 0;
	world w{};

	if (world_open(&w) != 0 || in_jobs(&w) != 0 || in_callback() != 0 || in_submit(&w) != 0)
		return 1;
	spec.type = w.type[2];
	spec.arg = &n;
	CHECK(shunt_submit(rt, &spec, nullptr) == 0);
	CHECK(shunt_runtime_drain(rt, long_ns, nullptr) == 0);
	CHECK(n.load() == 1);
	CHECK(shunt_runtime_destroy(rt, &cancelled) == 0);
	CHECK(cancelled == 0);
	return 0;
}

} // namespace

int main()
{
	return run();
}
