#!/usr/bin/env bash
# Every fuzz target of tests/fuzz: its seeds, then new inputs for FUZZ_SECONDS (default 10; 0 = only the seeds; 600 with
# SHUNT_LONG=1), two targets at a time. An input that breaks a target is kept in the build folder; its path and the
# command that runs it again are printed. Arguments: names of targets, instead of all.
# SPDX-License-Identifier: MIT
set -euo pipefail

: "${SRCDIR:?the source folder}" "${BUILDDIR:?the build folder}"
read -ra cpu_flags <<< "${CPU_FLAGS-}"
if [ -n "${SHUNT_SANITIZE:-}" ]; then
	echo "skipped: the targets bring their own sanitizers"
	exit 77
fi
cc=$(command -v clang || command -v clang-14 || true)
work=$BUILDDIR/fuzz
mkdir -p "$work"
if [ -z "$cc" ] || ! echo 'int LLVMFuzzerTestOneInput(const char *, long); int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }' |
	"$cc" -fsanitize=fuzzer -x c - -o "$work/probe" 2> /dev/null; then
	echo "skipped: no clang with libFuzzer here; tools/deps --ci installs it"
	exit 77
fi

seconds=10
[ "${SHUNT_LONG:-0}" != 1 ] || seconds=600
seconds=${FUZZ_SECONDS:-$seconds}
if ! [[ $seconds =~ ^[0-9]+$ ]]; then
	echo "fuzz.sh: FUZZ_SECONDS: '$seconds': want a number of seconds" >&2
	exit 2
fi
seed=${SHUNT_SEED:-$RANDOM}
echo "SHUNT_SEED=$seed, $seconds s a target"
targets=("$@")
if [ $# -eq 0 ]; then
	for file in "$SRCDIR"/tests/fuzz/fuzz_*.c; do
		name=$(basename "$file" .c)
		targets+=("${name#fuzz_}")
	done
fi

# The files that a target names are built with coverage; the rest of the library is as it is shipped.
build() {
	local file=$SRCDIR/tests/fuzz/fuzz_$1.c sources=() name

	for name in $(sed -n 's/^ \* sources: //p' "$file"); do
		case $name in
		*/) sources+=("$SRCDIR/$name"*.c) ;;
		*) sources+=("$SRCDIR/$name") ;;
		esac
	done
	[ ${#sources[@]} -gt 0 ] || { echo "$file: no line 'sources:'" && return 1; }
	# shellcheck disable=SC2046 # words
	"$cc" -g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -std=gnu11 "${cpu_flags[@]}" \
		-D_GNU_SOURCE -UNDEBUG -DFUZZ_SRCDIR="\"$SRCDIR\"" -I"$SRCDIR/include" -I"$SRCDIR/runtime" -I"$SRCDIR/tools/shunt" \
		"$file" "${sources[@]}" "$BUILDDIR/lib/libshunt.a" $(pkg-config --libs yaml-0.1 hwloc liburcu-bp ck zlib) \
		-lpthread -lm -o "$work/fuzz_$1"
}

# The good and the bad configurations are seeds as well.
seeds() {
	echo "$SRCDIR/tests/fuzz/$1_corpus"
	[ "$1" != config ] || printf '%s\n' "$SRCDIR/tests/config/bad" "$SRCDIR/tests/config/good"
}

# run NAME: the seeds one by one, then mutations of them; what covers something new stays in the build folder.
run() {
	local name=$1 dirs limit=(-max_total_time="$seconds") log=$work/$1.log begun kept

	mapfile -t dirs < <(seeds "$name")
	[ "$seconds" != 0 ] || limit=(-runs=0)
	mkdir -p "$work/corpus/$name" "$work/crashes"
	begun=$work/$name.begun
	: > "$begun"
	if "$work/fuzz_$name" "${limit[@]}" -seed="$seed" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
		-close_fd_mask=1 -artifact_prefix="$work/crashes/$name-" "$work/corpus/$name" "${dirs[@]}" > "$log" 2>&1; then
		printf '%-8s %s inputs run, %s seeds\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
			"$(find "${dirs[@]}" -type f | wc -l)"
		return 0
	fi
	grep -vE '^#[0-9]+|NEW |REDUCE ' "$log" | tail -n 40
	echo "FAIL: fuzz_$name, SHUNT_SEED=$seed; the whole log is $log"
	while read -r kept; do
		echo "input kept: $kept"
		echo "run it again: $work/fuzz_$name $kept"
	done < <(find "$work/crashes" -type f -name "$name-*" -newer "$begun")
	return 1
}

# each FUNCTION: for every target, two at a time; a target that fails leaves a mark
each() {
	local name

	rm -f "$work"/*.failed
	for name in "${targets[@]}"; do
		while [ "$(jobs -pr | wc -l)" -ge 2 ]; do
			wait -n || true
		done
		("$1" "$name" || : > "$work/$name.failed") &
	done
	wait
	! compgen -G "$work/*.failed" > /dev/null
}

each build
each run
