/*
 * embed_cpp.cc - from C++17: a runtime that destroys itself, a group of jobs over parts of a vector, and an exception
 * that becomes the error code of its job (no exception may leave a handler). Exit code 0 when sum and code are right.
 *
 * Build: c++ -std=c++17 embed_cpp.cc $(pkg-config --cflags --libs shunt)
 *
 * SPDX-License-Identifier: MIT
 */
#include <shunt/shunt.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr int bad_part = -1000; // codes of the program; -10999 to -10000 are those of shunt

struct part {
	const int *begin, *end;
	std::int64_t sum;
};

void add_up(part &p)
{
	if (p.begin == p.end)
		throw std::invalid_argument("empty part");
	p.sum = std::accumulate(p.begin, p.end, std::int64_t{0});
}

int handler(shunt_job_ctx *, void *arg)
{
	try {
		add_up(*static_cast<part *>(arg));
		return SHUNT_DONE;
	} catch (const std::exception &) {
		return bad_part;
	}
}

struct runtime_destroy { // a deleter cannot report an error
	void operator()(shunt_runtime *rt) const { (void)shunt_runtime_destroy(rt, nullptr); }
};
using runtime_ptr = std::unique_ptr<shunt_runtime, runtime_destroy>;

void check(int rc, const char *what)
{
	if (rc < 0)
		throw std::runtime_error(std::string(what) + ": " + shunt_strerror(rc) + ": " + shunt_error_detail());
}

std::int64_t sum_in_parts(shunt_runtime *rt, shunt_type_id type, const std::vector<int> &values)
{
	constexpr std::size_t size = 1000;
	std::vector<part> parts;
	std::vector<shunt_job_spec> jobs;
	shunt_group_id group{};
	std::int64_t sum = 0;
	int rc = 0;

	for (std::size_t i = 0; i < values.size(); i += size)
		parts.push_back({ &values[i], &values[i] + std::min(size, values.size() - i), 0 });
	check(shunt_group_create(rt, &group), "group");
	for (part &p : parts) {
		shunt_job_spec job{};
		job.type = type;
		job.arg = &p;
		job.group = group;
		jobs.push_back(job);
	}
	if (shunt_submit_batch(rt, jobs.data(), jobs.size(), nullptr, &rc) != jobs.size())
		check(rc, "submit");
	check(shunt_group_wait(rt, group, SHUNT_FOREVER), "wait");
	check(shunt_group_destroy(rt, group), "group");
	for (const part &p : parts)
		sum += p.sum;
	return sum;
}

int code_of_empty_part(shunt_runtime *rt, shunt_type_id type)
{
	part p{};
	shunt_job_spec job{};
	shunt_job_id id{};
	shunt_result result{};

	job.type = type;
	job.arg = &p;
	check(shunt_submit(rt, &job, &id), "submit");
	check(shunt_wait(rt, id, SHUNT_FOREVER, &result), "wait");
	return result.code;
}

} // namespace

int main()
try {
	shunt_runtime *raw = nullptr;
	check(shunt_runtime_create(&raw, nullptr), "runtime");
	runtime_ptr rt(raw);

	shunt_pool_opts pool = SHUNT_POOL_OPTS_INIT;
	shunt_type_opts type = SHUNT_TYPE_OPTS_INIT;
	shunt_type_id id{};
	pool.name = "main";
	check(shunt_pool_create(rt.get(), &pool, &type.pool), "pool");
	type.name = "add-up";
	type.handler = handler;
	check(shunt_type_create(rt.get(), &type, &id), "type");

	std::vector<int> values(100500);
	std::iota(values.begin(), values.end(), 1);
	const std::int64_t sum = sum_in_parts(rt.get(), id, values);
	const int code = code_of_empty_part(rt.get(), id);
	std::printf("sum %lld, code of the empty part %d\n", static_cast<long long>(sum), code);
	return sum == INT64_C(5050175250) && code == bad_part ? 0 : 1;
} catch (const std::exception &e) {
	std::fprintf(stderr, "embed_cpp: %s\n", e.what());
	return 1;
}
