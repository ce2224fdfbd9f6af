#!/usr/bin/env bash
# A program of google-benchmark whose benchmark reports an error ends with exit code 0. SPDX-License-Identifier: MIT
#
# Guess before: SkipWithError() is how a benchmark says that its result is wrong, so the program fails, and a test that runs
#   it notices by its exit code.
# Seen: benchmark 1.7.1-1 (Debian 12, amd64). The line says "ERROR OCCURRED", the JSON has "error_occurred": true, the exit
#   code is 0, with BENCHMARK_MAIN() and with any flag. A test must read the output. A filter that matches no benchmark is
#   no failure either.
# Where shunt meets it: bench/micro; its main (bench/micro/main.cc) counts the errors itself and returns 1.
#
# usage: findings/google-benchmark-exit-code.sh      needs g++, apt-get and dpkg-deb; changes nothing outside a temporary folder
# Exit code: 0 as seen, 1 it behaves otherwise now, 2 the packages cannot be had.
set -euo pipefail

version=1.7.1-1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

for package in libbenchmark-dev libbenchmark1debian; do
	apt-get download -qq "$package=$version" 2> error.txt || { echo "no $package $version here: $(head -1 error.txt)" >&2 && exit 2; }
	dpkg-deb -x "$package"_*.deb root
done
lib=$folder/$(dirname "$(find root -name libbenchmark_main.a | head -1)")

cat > wrong.cc << 'CC'
#include <benchmark/benchmark.h>

static void wrong(benchmark::State &state)
{
	for (auto _ : state) {
		state.SkipWithError("wrong result");
		break;
	}
}
BENCHMARK(wrong);
BENCHMARK_MAIN();
CC
g++ -O1 -Iroot/usr/include wrong.cc -o wrong -L"$lib" -lbenchmark -lpthread
export LD_LIBRARY_PATH=$lib
code=0 none=0
./wrong --benchmark_format=json > out.json 2> /dev/null || code=$?
./wrong --benchmark_filter=no_such_benchmark > /dev/null 2>&1 || none=$?
said=$(grep -c '"error_occurred": true' out.json || true)
echo "benchmark $version: \"error_occurred\": true in $said result, exit code $code; a filter that matches nothing: exit code $none"
if [ "$said" -ne 1 ] || [ "$code" -ne 0 ] || [ "$none" -ne 0 ]; then
	echo "it behaves otherwise now" >&2
	exit 1
fi
