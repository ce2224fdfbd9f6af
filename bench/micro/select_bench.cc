/*
 * bench/micro/select_bench.cc - a pool's default choice of a worker by itself (B10): an idle one by the lists of idle
 * workers, and the cheapest one when nobody is idle. Made-up workers on warm lines. The strategies with callbacks are
 * step_select in bench_micro.cc.
 *
 * SPDX-License-Identifier: MIT
 */
#include <benchmark/benchmark.h>
#include <shunt/shunt.h>

#include "select_shim.h"

namespace
{

void choose(benchmark::State &state, void (*load)(select_shim *), uint32_t (*step)(select_shim *))
{
	select_shim *s = select_shim_create(static_cast<uint32_t>(state.range(0)));

	if (!s) {
		state.SkipWithError("out of memory");
		return;
	}
	load(s);
	for (auto _ : state)
		benchmark::DoNotOptimize(step(s));
	select_shim_destroy(s);
}

void select_idle(benchmark::State &state)
{
	choose(state, select_shim_idle, select_shim_spinning);
}
BENCHMARK(select_idle)->ArgName("workers")->Arg(2)->Arg(8)->Arg(64)->Arg(256);

void select_busy(benchmark::State &state)
{
	choose(state, select_shim_busy, select_shim_least_work);
}
BENCHMARK(select_busy)->ArgName("workers")->Arg(2)->Arg(8)->Arg(64)->Arg(256);

void select_equal(benchmark::State &state)
{
	choose(state, select_shim_equal, select_shim_least_work);
}
BENCHMARK(select_equal)->ArgName("workers")->Arg(2)->Arg(8)->Arg(64)->Arg(256);

} // namespace
