/*
 * bench/micro/bench_steps.cc - what a job's steps cost through the public interface, each by itself: submit (plain,
 * with a handle, with a key, in batches), cancel, and take (pick, run an empty handler, end). The only worker is held
 * while jobs are submitted or cancelled, and nobody submits while it takes them: no step waits for another thread. A
 * round is 128 jobs, which fit into the worker's ring; the column "job" is the time of one. bench_micro.cc has the
 * steps below (select, record, queues) and the floor.
 *
 * SPDX-License-Identifier: MIT
 */
#include <benchmark/benchmark.h>
#include <shunt/shunt.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace
{

constexpr size_t ROUND = 128;
constexpr size_t BATCH = 16;

void check(const char *what, int rc)
{
	if (rc == 0)
		return;
	std::fprintf(stderr, "bench_steps: %s: %s: %s\n", what, shunt_strerror(rc), shunt_error_detail());
	std::exit(1);
}

/* A pool of one worker that can be held; its jobs do nothing. */
class Held
{
      public:
	Held()
	{
		shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
		shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
		shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
		shunt_type_id hold;

		check("shunt_runtime_create", shunt_runtime_create(&rt_, &ro));
		po.name = "bench";
		po.workers = 1;
		check("shunt_pool_create", shunt_pool_create(rt_, &po, &to.pool));
		to.name = "nothing";
		to.handler = nothing;
		check("shunt_type_create", shunt_type_create(rt_, &to, &spec_.type));
		to.name = "hold";
		to.handler = stop;
		check("shunt_type_create", shunt_type_create(rt_, &to, &hold));
		hold_spec_.type = hold;
		hold_spec_.arg = this;
	}
	Held(const Held &) = delete;
	Held &operator=(const Held &) = delete;
	~Held() { (void)shunt_runtime_destroy(rt_, nullptr); }

	shunt_runtime *rt() const { return rt_; }
	const shunt_job_spec &spec() const { return spec_; }

	/* Returns when the worker has stopped. */
	void hold()
	{
		check("shunt_submit", shunt_submit(rt_, &hold_spec_, nullptr));
		std::unique_lock<std::mutex> lock(mutex_);
		changed_.wait(lock, [this] { return stopped_; });
	}
	/* Lets it go and waits until all that was queued has ended; nanoseconds from when it went to the last end. */
	double release()
	{
		shunt_job_id last;
		shunt_job_spec end = spec_;

		end.arg = this;
		check("shunt_submit", shunt_submit(rt_, &end, &last));
		{
			std::lock_guard<std::mutex> lock(mutex_);
			stopped_ = false;
		}
		changed_.notify_all();
		check("shunt_wait", shunt_wait(rt_, last, SHUNT_FOREVER, nullptr));
		return static_cast<double>(end_ns_.load() - begin_ns_.load());
	}

      private:
	static int nothing(shunt_job_ctx *, void *arg)
	{
		if (arg)
			static_cast<Held *>(arg)->end_ns_.store(shunt_now_ns());
		return SHUNT_DONE;
	}
	static int stop(shunt_job_ctx *, void *arg)
	{
		auto *held = static_cast<Held *>(arg);
		std::unique_lock<std::mutex> lock(held->mutex_);

		held->stopped_ = true;
		held->changed_.notify_all();
		held->changed_.wait(lock, [held] { return !held->stopped_; });
		held->begin_ns_.store(shunt_now_ns());
		return SHUNT_DONE;
	}

	shunt_runtime *rt_ = nullptr;
	shunt_job_spec spec_ = {};
	shunt_job_spec hold_spec_ = {};
	std::mutex mutex_;
	std::condition_variable changed_;
	bool stopped_ = false; /* under mutex_ */
	std::atomic<uint64_t> begin_ns_{ 0 }, end_ns_{ 0 };
};

/* One round, timed while the worker is held. */
template <typename F>
void timed(benchmark::State &state, F &&calls)
{
	const auto start = std::chrono::steady_clock::now();

	calls();
	state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

/* The time of a round as that of one of its jobs. */
void per_job(benchmark::State &state)
{
	const auto flags = benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert;

	state.counters["job"] = benchmark::Counter(ROUND, flags);
}

void submit(const Held &pool, const shunt_job_spec &spec, shunt_job_id *id)
{
	check("shunt_submit", shunt_submit(pool.rt(), &spec, id));
}

/* ---- submit ---- */

void submit_plain(benchmark::State &state)
{
	Held pool;

	for (auto _ : state) {
		pool.hold();
		timed(state, [&] {
			for (size_t i = 0; i < ROUND; i++)
				submit(pool, pool.spec(), nullptr);
		});
		(void)pool.release();
	}
	per_job(state);
}
BENCHMARK(submit_plain)->UseManualTime();

void submit_tracked(benchmark::State &state)
{
	Held pool;
	std::array<shunt_job_id, ROUND> ids;

	for (auto _ : state) {
		pool.hold();
		timed(state, [&] {
			for (auto &id : ids)
				submit(pool, pool.spec(), &id);
		});
		for (auto id : ids)
			check("shunt_detach", shunt_detach(pool.rt(), id));
		(void)pool.release();
	}
	per_job(state);
}
BENCHMARK(submit_tracked)->UseManualTime();

/* keys:1 all jobs of one key, else each of another */
void submit_keyed(benchmark::State &state)
{
	Held pool;
	shunt_job_spec spec = pool.spec();
	const auto keys = static_cast<uint64_t>(state.range(0));

	spec.flags = SHUNT_JOB_KEYED;
	for (auto _ : state) {
		pool.hold();
		timed(state, [&] {
			for (size_t i = 0; i < ROUND; i++) {
				spec.key = i % keys;
				submit(pool, spec, nullptr);
			}
		});
		(void)pool.release();
	}
	per_job(state);
}
BENCHMARK(submit_keyed)->ArgName("keys")->Arg(1)->Arg(ROUND)->UseManualTime();

void submit_batch_16(benchmark::State &state)
{
	Held pool;
	std::array<shunt_job_spec, BATCH> specs;

	specs.fill(pool.spec());
	for (auto _ : state) {
		pool.hold();
		timed(state, [&] {
			for (size_t i = 0; i < ROUND; i += BATCH)
				if (shunt_submit_batch(pool.rt(), specs.data(), BATCH, nullptr, nullptr) != BATCH)
					state.SkipWithError("shunt_submit_batch took less");
		});
		(void)pool.release();
	}
	per_job(state);
}
BENCHMARK(submit_batch_16)->UseManualTime();

/* ---- cancel ---- */

/* Of queued jobs; the worker drops what is left of them afterwards. */
void cancel_queued(benchmark::State &state)
{
	Held pool;
	std::array<shunt_job_id, ROUND> ids;

	for (auto _ : state) {
		pool.hold();
		for (auto &id : ids)
			submit(pool, pool.spec(), &id);
		timed(state, [&] {
			for (auto id : ids)
				if (shunt_cancel(pool.rt(), id) != 0)
					state.SkipWithError("a queued job was not cancelled");
		});
		for (auto id : ids)
			check("shunt_detach", shunt_detach(pool.rt(), id));
		(void)pool.release();
	}
	per_job(state);
}
BENCHMARK(cancel_queued)->UseManualTime();

/* ---- take: pick, run, end ---- */

void take(benchmark::State &state, bool tracked, bool cancelled)
{
	Held pool;
	std::array<shunt_job_id, ROUND> ids;

	for (auto _ : state) {
		pool.hold();
		for (auto &id : ids)
			submit(pool, pool.spec(), tracked ? &id : nullptr);
		for (auto id : ids) {
			if (cancelled)
				check("shunt_cancel", shunt_cancel(pool.rt(), id));
			if (tracked)
				check("shunt_detach", shunt_detach(pool.rt(), id));
		}
		state.SetIterationTime(pool.release() * 1e-9);
	}
	per_job(state);
}

void take_plain(benchmark::State &state)
{
	take(state, false, false);
}
BENCHMARK(take_plain)->UseManualTime();

void take_tracked(benchmark::State &state)
{
	take(state, true, false);
}
BENCHMARK(take_tracked)->UseManualTime();

/* What is left of a cancelled job is only dropped. */
void take_cancelled(benchmark::State &state)
{
	take(state, true, true);
}
BENCHMARK(take_cancelled)->UseManualTime();

} // namespace
