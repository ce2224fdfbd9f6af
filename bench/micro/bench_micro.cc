/*
 * bench/bench_micro.cc - each step of submit and take by itself, with the floor (clock, own-line atomic) in the same run.
 * Single-threaded steps are on warm, own cache lines: what they cost when nothing has to travel. The Pool benches run the
 * whole way, with real workers.
 *
 * SPDX-License-Identifier: MIT
 */
#include <benchmark/benchmark.h>
#include <shunt/shunt.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "micro_shim.h"

namespace {

shim *the_shim()
{
	static shim *s = shim_create();

	if (!s) {
		std::fprintf(stderr, "bench_micro: out of memory\n");
		std::exit(1);
	}
	return s;
}

/* ---- the floor ---- */

void floor_clock(benchmark::State &state)
{
	(void)the_shim();
	for (auto _ : state)
		benchmark::DoNotOptimize(shim_clock());
}
BENCHMARK(floor_clock);

void floor_clock_gettime(benchmark::State &state)
{
	for (auto _ : state)
		benchmark::DoNotOptimize(shim_clock_monotonic());
}
BENCHMARK(floor_clock_gettime);

void floor_fetch_add_own_line(benchmark::State &state)
{
	for (auto _ : state)
		benchmark::DoNotOptimize(shim_fetch_add(the_shim()));
}
BENCHMARK(floor_fetch_add_own_line);

/* ---- steps ---- */

void step_slab_alloc_free(benchmark::State &state)
{
	for (auto _ : state)
		shim_slab_pair(the_shim());
}
BENCHMARK(step_slab_alloc_free);

void step_ring_push_pop(benchmark::State &state)
{
	uint64_t arg = 0;

	for (auto _ : state) {
		benchmark::DoNotOptimize(shim_ring_push(the_shim(), 1));
		benchmark::DoNotOptimize(shim_ring_pop(the_shim(), &arg));
	}
}
BENCHMARK(step_ring_push_pop);

void step_ring_peek_empty(benchmark::State &state)
{
	for (auto _ : state)
		benchmark::DoNotOptimize(shim_ring_peek(the_shim()));
}
BENCHMARK(step_ring_peek_empty);

void step_deque_push_pop(benchmark::State &state)
{
	uint64_t arg = 0;

	for (auto _ : state) {
		benchmark::DoNotOptimize(shim_deque_push(the_shim(), 1));
		benchmark::DoNotOptimize(shim_deque_pop(the_shim(), &arg));
	}
}
BENCHMARK(step_deque_push_pop);

void step_hist_record(benchmark::State &state)
{
	uint64_t v = 1;

	for (auto _ : state) {
		shim_hist_record(the_shim(), v);
		v = (v * 5u + 1u) & 0xfffffu;
	}
}
BENCHMARK(step_hist_record);

void step_select(benchmark::State &state)
{
	for (auto _ : state)
		benchmark::DoNotOptimize(shim_select(the_shim(), static_cast<int>(state.range(0)), static_cast<uint32_t>(state.range(1))));
}
BENCHMARK(step_select)->ArgNames({ "strategy", "workers" })->ArgsProduct({ { SHUNT_SELECT_LEAST_WORK, SHUNT_SELECT_PEAK_EWMA,
	SHUNT_SELECT_LEAST_LOADED, SHUNT_SELECT_ROUND_ROBIN, SHUNT_SELECT_RANDOM, SHUNT_SELECT_KEYED, SHUNT_SELECT_LOCALITY }, { 8, 256 } });

/* ---- the whole way ---- */

int nothing(shunt_job_ctx *, void *)
{
	return SHUNT_DONE;
}

class Pool {
public:
	explicit Pool(uint32_t workers)
	{
		shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
		shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
		shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;

		po.name = "bench";
		po.workers = workers;
		po.idle = SHUNT_IDLE_ADAPTIVE;
		to.name = "nothing";
		to.handler = nothing;
		if (shunt_runtime_create(&rt_, &ro) != 0 || shunt_pool_create(rt_, &po, &pool_) != 0)
			fail();
		to.pool = pool_;
		if (shunt_type_create(rt_, &to, &type_) != 0)
			fail();
	}
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;
	~Pool() { (void)shunt_runtime_destroy(rt_, nullptr); }

	shunt_runtime *rt() const { return rt_; }
	shunt_job_spec spec() const
	{
		shunt_job_spec s = {};

		s.type = type_;
		s.on_full = SHUNT_ON_FULL_BLOCK;
		return s;
	}

private:
	[[noreturn]] static void fail()
	{
		std::fprintf(stderr, "bench_micro: the pool could not be started\n");
		std::exit(1);
	}
	shunt_runtime *rt_ = nullptr;
	shunt_pool_id pool_ = {};
	shunt_type_id type_ = {};
};

void pool_submit(benchmark::State &state)
{
	Pool pool(static_cast<uint32_t>(state.range(0)));
	shunt_job_spec spec = pool.spec();

	for (auto _ : state)
		if (shunt_submit(pool.rt(), &spec, nullptr) != 0)
			state.SkipWithError("submit failed");
	(void)shunt_runtime_drain(pool.rt(), SHUNT_FOREVER, nullptr);
}
BENCHMARK(pool_submit)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();

void pool_submit_batch_16(benchmark::State &state)
{
	Pool pool(static_cast<uint32_t>(state.range(0)));
	std::vector<shunt_job_spec> specs(16, pool.spec());

	for (auto _ : state)
		if (shunt_submit_batch(pool.rt(), specs.data(), specs.size(), nullptr, nullptr) != specs.size())
			state.SkipWithError("submit failed");
	(void)shunt_runtime_drain(pool.rt(), SHUNT_FOREVER, nullptr);
	state.SetItemsProcessed(state.iterations() * 16);
}
BENCHMARK(pool_submit_batch_16)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();

void pool_submit_wait(benchmark::State &state)
{
	Pool pool(1);
	shunt_job_spec spec = pool.spec();

	for (auto _ : state) {
		shunt_job_id id;

		if (shunt_submit(pool.rt(), &spec, &id) != 0 || shunt_wait(pool.rt(), id, SHUNT_FOREVER, nullptr) != 0)
			state.SkipWithError("submit or wait failed");
	}
}
BENCHMARK(pool_submit_wait)->UseRealTime();

void pool_submit_cancel(benchmark::State &state)
{
	Pool pool(1);
	shunt_job_spec spec = pool.spec();

	for (auto _ : state) {
		shunt_job_id id;

		if (shunt_submit(pool.rt(), &spec, &id) != 0)
			state.SkipWithError("submit failed");
		benchmark::DoNotOptimize(shunt_cancel(pool.rt(), id));
		(void)shunt_wait(pool.rt(), id, SHUNT_FOREVER, nullptr);
	}
}
BENCHMARK(pool_submit_cancel)->UseRealTime();

void snapshot(benchmark::State &state)
{
	Pool pool(2);

	for (auto _ : state) {
		shunt_snapshot *s = nullptr;

		if (shunt_snapshot_create(pool.rt(), &s) != 0)
			state.SkipWithError("snapshot failed");
		shunt_snapshot_destroy(s);
	}
}
BENCHMARK(snapshot);

} // namespace
