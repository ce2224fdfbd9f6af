/*
 * bench/micro/main.cc - main() of every google-benchmark program. The library exits 0 after SkipWithError and after a
 * filter that matches nothing; this main prints what the library prints, counts the errors, and exits 1 after either.
 *
 * SPDX-License-Identifier: MIT
 */
#include <benchmark/benchmark.h>
#include <shunt/version.h>

#include <cstdio>
#include <memory>
#include <vector>

namespace
{

/* Whether the run ended in an error: `error_occurred` up to google-benchmark 1.7, `skipped` since 1.8. */
template <class R>
auto ended_in_error(const R &run, int) -> decltype(run.error_occurred)
{
	return run.error_occurred;
}
template <class R>
bool ended_in_error(const R &run, long)
{
	return run.skipped == decltype(run.skipped)(2);
}

/* The reporter that --benchmark_format asks for, and the number of runs that ended in an error. */
class counting_reporter : public benchmark::BenchmarkReporter
{
      public:
	bool ReportContext(const Context &context) override
	{
		return shown->ReportContext(context);
	}
	void ReportRuns(const std::vector<Run> &runs) override
	{
		for (const Run &run : runs)
			errors += ended_in_error(run, 0);
		shown->ReportRuns(runs);
	}
	void Finalize() override
	{
		shown->Finalize();
	}

	unsigned errors = 0;

      private:
	std::unique_ptr<benchmark::BenchmarkReporter> shown{ benchmark::CreateDefaultDisplayReporter() };
};

} // namespace

int main(int argc, char **argv)
{
	benchmark::AddCustomContext("shunt", SHUNT_VERSION_STRING);
	benchmark::AddCustomContext("commit", SHUNT_GIT_COMMIT);
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 2;
	counting_reporter reporter;
	if (benchmark::RunSpecifiedBenchmarks(&reporter) == 0) {
		std::fprintf(stderr, "%s: no benchmark was run\n", argv[0]);
		return 1;
	}
	if (reporter.errors > 0)
		std::fprintf(stderr, "%s: %u runs ended in an error\n", argv[0], reporter.errors);
	return reporter.errors > 0;
}
