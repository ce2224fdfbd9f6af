/*
 * tests/e2e/bench_micro_faulty.cc - a benchmark that is sound and one that ends in an error, under the main() of
 * bench/micro (bench_harness.py). SPDX-License-Identifier: MIT
 */
#include <benchmark/benchmark.h>

static void sound(benchmark::State &state)
{
	for (auto _ : state)
		benchmark::ClobberMemory();
}
BENCHMARK(sound);

static void faulty(benchmark::State &state)
{
	state.SkipWithError("a planted error");
}
BENCHMARK(faulty);
