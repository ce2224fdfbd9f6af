/*
 * bench/peers/tbb.cc - oneTBB: a task_arena of its own without a slot kept for outsiders; from outside
 * task_arena::enqueue, inside a job task_group::run, which is its fast path (the worker's own deque).
 *
 * SPDX-License-Identifier: MIT
 */
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <oneapi/tbb/task_scheduler_observer.h>
#include <oneapi/tbb/version.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "harness/subject.h"

namespace
{

namespace tbb = oneapi::tbb;

/* Pins each worker when it first comes into the arena. */
class pinner : public tbb::task_scheduler_observer
{
      public:
	pinner(tbb::task_arena &arena, std::vector<int> cpus)
	    : tbb::task_scheduler_observer(arena), cpus_(std::move(cpus))
	{
		observe(true);
	}
	~pinner() override { observe(false); }
	pinner(const pinner &) = delete;
	pinner &operator=(const pinner &) = delete;

	void on_scheduler_entry(bool is_worker) override
	{
		auto index = static_cast<unsigned>(tbb::this_task_arena::current_thread_index());

		if (is_worker)
			(void)bench_pin(&cpus_[index % cpus_.size()], 1);
	}

      private:
	std::vector<int> cpus_;
};

struct pool {
	explicit pool(const bench_setup *setup)
	    /* The library counts one application thread: without this it would start too few workers. */
	    : limit(tbb::global_control::max_allowed_parallelism, setup->workers + 1),
	      arena(static_cast<int>(setup->workers), 0),
	      pins(arena, std::vector<int>(setup->cpus, setup->cpus + setup->ncpus))
	{
	}

	tbb::global_control limit;
	tbb::task_arena arena;
	pinner pins;
	tbb::task_group group;
};

const char *version()
{
	static char text[64];

	(void)std::snprintf(text, sizeof(text), "%s", TBB_runtime_version());
	return text;
}

void *open_pool(const bench_setup *setup) { return new pool(setup); }

void submit(void *self, bench_fn fn, void *arg)
{
	static_cast<pool *>(self)->arena.enqueue([fn, arg] { fn(arg); });
}

void spawn(void *self, bench_fn fn, void *arg)
{
	static_cast<pool *>(self)->group.run([fn, arg] { fn(arg); });
}

void close_pool(void *self)
{
	auto *p = static_cast<pool *>(self);

	p->arena.execute([p] { (void)p->group.wait(); });
	delete p;
}

const char *const idle_modes[] = { "default", nullptr };

} // namespace

const struct bench_subject bench_subject = {
	"tbb",
	version,
	"a worker looks for work some hundred times with pauses and yields, then leaves and sleeps",
	idle_modes,
	open_pool,
	submit,
	nullptr, /* no batches */
	spawn,
	nullptr,
	nullptr,
	close_pool,
};
