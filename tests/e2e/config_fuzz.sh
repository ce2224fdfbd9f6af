#!/usr/bin/env bash
# The configuration survives any bytes: the fuzz target on its corpus, on the good and bad files, and on a fixed number
# of mutations. SHUNT_SEED chooses them; SHUNT_LONG=1 goes on for ten minutes.
# SPDX-License-Identifier: MIT
set -euo pipefail

: "${SRCDIR:?the source folder}" "${BUILDDIR:?the build folder}"
if [ -n "${SHUNT_SANITIZE:-}" ]; then
	echo "skipped: the target brings its own sanitizers"
	exit 77
fi
cc=$(command -v clang || command -v clang-14 || true)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$cc" ] || ! echo 'int LLVMFuzzerTestOneInput(const char *, long); int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }' |
	"$cc" -fsanitize=fuzzer -x c - -o "$work/probe" 2> /dev/null; then
	echo "skipped: no clang with libFuzzer"
	exit 77
fi

seed=${SHUNT_SEED:-$RANDOM}
echo "SHUNT_SEED=$seed"
"$cc" -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -std=gnu11 -D_GNU_SOURCE \
	-I"$SRCDIR/include" -I"$SRCDIR/runtime" "$SRCDIR/tests/fuzz/fuzz_config.c" "$SRCDIR"/runtime/config/*.c \
	"$BUILDDIR/lib/libshunt.a" $(pkg-config --libs yaml-0.1 hwloc liburcu-bp ck zlib) -lpthread -lm -o "$work/fuzz"
mkdir "$work/corpus"
limit=(-runs=8000)
if [ "${SHUNT_LONG:-0}" = 1 ]; then
	limit=(-max_total_time=600)
fi
cd "$work"
"$work/fuzz" "${limit[@]}" -seed="$seed" -max_len=4096 -timeout=10 -close_fd_mask=1 -print_final_stats=1 corpus \
	"$SRCDIR/tests/fuzz/config_corpus" "$SRCDIR/tests/config/bad" "$SRCDIR/tests/config/good" 2> log || {
	tail -40 log
	base64 crash-* leak-* timeout-* 2> /dev/null || true
	echo "FAIL: with SHUNT_SEED=$seed"
	exit 1
}
grep -E 'number_of_executed_units|^Done' log
