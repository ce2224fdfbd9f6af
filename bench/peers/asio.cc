/*
 * bench/peers/asio.cc - Boost.Asio's thread_pool: boost::asio::post, from outside and inside jobs. Its threads are
 * made inside the library; they inherit the cpus of the thread that makes the pool.
 *
 * SPDX-License-Identifier: MIT
 */
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/version.hpp>

#include <cstdio>

#include "harness/subject.h"

namespace
{

const char *version()
{
	static char text[64];

	(void)std::snprintf(text, sizeof(text), "Boost %d.%d.%d", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000,
			    BOOST_VERSION % 100);
	return text;
}

void *open_pool(const bench_setup *setup)
{
	void *pool;

	(void)bench_pin(setup->cpus, setup->ncpus);
	pool = new boost::asio::thread_pool(setup->workers);
	bench_unpin();
	return pool;
}

void submit(void *self, bench_fn fn, void *arg)
{
	boost::asio::post(*static_cast<boost::asio::thread_pool *>(self), [fn, arg] { fn(arg); });
}

void close_pool(void *self)
{
	auto *pool = static_cast<boost::asio::thread_pool *>(self);

	pool->join();
	delete pool;
}

const char *const idle_modes[] = { "default", nullptr };

} // namespace

const struct bench_subject bench_subject = {
	"asio",
	version,
	"sleeps on a condition variable at once",
	idle_modes,
	open_pool,
	submit,
	nullptr,
	nullptr,
	nullptr,
	nullptr,
	close_pool,
};
