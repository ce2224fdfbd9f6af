/*
 * bench/peers/moodycamel.cc - threads around moodycamel's BlockingConcurrentQueue, used as its author advises: a
 * producer token for each thread that submits, a consumer token for each worker, bulk enqueue for batches.
 *
 * SPDX-License-Identifier: MIT
 */
#include <concurrentqueue/blockingconcurrentqueue.h>

#include <memory>
#include <thread>
#include <vector>

#include "harness/subject.h"

namespace
{

struct item {
	bench_fn fn; /* nullptr = the worker shall end */
	void *arg;
};

using queue = moodycamel::BlockingConcurrentQueue<item>;

constexpr unsigned BATCH_MAX = 64;

struct pool {
	queue jobs;
	std::vector<std::thread> threads;
};

/* Of this thread, made at its first submit, gone before the queue is (thread_leave, end of the worker). */
thread_local std::unique_ptr<moodycamel::ProducerToken> token;

moodycamel::ProducerToken &own_token(pool *p)
{
	if (!token)
		token = std::make_unique<moodycamel::ProducerToken>(p->jobs);
	return *token;
}

void work(pool *p, int cpu)
{
	moodycamel::ConsumerToken consumer(p->jobs);
	item job;

	(void)bench_pin(&cpu, 1);
	for (;;) { /* bound: close */
		p->jobs.wait_dequeue(consumer, job);
		if (!job.fn)
			break;
		job.fn(job.arg);
	}
	token.reset();
}

const char *version() { return "1.0.3"; }

void *open_pool(const bench_setup *setup)
{
	auto *p = new pool;

	for (unsigned i = 0; i < setup->workers; i++)
		p->threads.emplace_back(work, p, setup->cpus[i]);
	return p;
}

void submit(void *self, bench_fn fn, void *arg)
{
	auto *p = static_cast<pool *>(self);

	if (!p->jobs.enqueue(own_token(p), item{ fn, arg }))
		bench_die("enqueue: out of memory");
}

void submit_batch(void *self, bench_fn fn, void *const *args, unsigned n)
{
	auto *p = static_cast<pool *>(self);
	item items[BATCH_MAX];

	for (unsigned done = 0; done < n;) {
		unsigned k = n - done < BATCH_MAX ? n - done : BATCH_MAX;

		for (unsigned i = 0; i < k; i++)
			items[i] = item{ fn, args[done + i] };
		if (!p->jobs.enqueue_bulk(own_token(p), items, k))
			bench_die("enqueue_bulk: out of memory");
		done += k;
	}
}

void leave(void *self)
{
	(void)self;
	token.reset();
}

void close_pool(void *self)
{
	auto *p = static_cast<pool *>(self);

	for (std::size_t i = 0; i < p->threads.size(); i++)
		(void)p->jobs.enqueue(item{ nullptr, nullptr });
	for (auto &t : p->threads)
		t.join();
	delete p;
}

const char *const idle_modes[] = { "default", nullptr };

} // namespace

const struct bench_subject bench_subject = {
	"moodycamel",
	version,
	"spins about 10,000 rounds on the semaphore's count, then sleeps (the library's default)",
	idle_modes,
	open_pool,
	submit,
	submit_batch,
	nullptr,
	nullptr,
	leave,
	close_pool,
};
