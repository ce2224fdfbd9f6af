#!/usr/bin/env bash
# Every public header compiles alone, and twice, as C11 and as C++17, without a warning, under each compiler present; a
# caller that drops an error is warned.
# SPDX-License-Identifier: MIT
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Werror -fsyntax-only -I "$SRCDIR/include")
failed=0 checked=0

# check COMPILER LANGUAGE STANDARD HEADER [FLAG...]
check() {
	local header=${4#"$SRCDIR/include/"}

	checked=$((checked + 1))
	printf '#include <%s>\n#include <%s>\nextern int header_alone;\n' "$header" "$header" > "$work/x"
	if ! "$1" -x "$2" "-std=$3" "${warnings[@]}" "${@:5}" "$work/x"; then
		echo "FAIL: $header as $3 with $1"
		failed=1
	fi
}

# Every initialiser compiles, for an object of a function and of the file.
inits=$(grep -ohE '\bSHUNT_[A-Z]+_OPTS_INIT\b' "$SRCDIR"/include/shunt/*.h | sort -u)
initialisers() {
	echo '#include <shunt/shunt.h>'
	for init in $inits; do
		type=$(echo "${init%_INIT}" | tr '[:upper:]' '[:lower:]')
		echo "struct $type file_$type = $init;"
		echo "int use_$type(void); int use_$type(void) { struct $type o = $init; return o.size == file_$type.size; }"
	done
}
# inits_check COMPILER LANGUAGE STANDARD
inits_check() {
	checked=$((checked + 1))
	initialisers > "$work/x"
	if ! "$1" -x "$2" "-std=$3" "${warnings[@]}" "$work/x"; then
		echo "FAIL: the initialisers as $3 with $1"
		failed=1
	fi
}
[ "$(wc -w <<< "$inits")" -ge 6 ]
for cc in gcc clang; do
	if command -v "$cc" > /dev/null; then inits_check "$cc" c c11; fi
done
for cxx in g++ clang++; do
	if command -v "$cxx" > /dev/null; then inits_check "$cxx" c++ c++17; fi
done

for header in "$SRCDIR"/include/shunt/*.h; do
	for cc in gcc clang; do
		command -v "$cc" > /dev/null || continue
		check "$cc" c c11 "$header" -Wstrict-prototypes
	done
	for cxx in g++ clang++; do
		command -v "$cxx" > /dev/null || continue
		check "$cxx" c++ c++17 "$header"
	done
	if grep -qE '_Atomic|include <(std)?atomic|include <(hwloc|urcu|ck_|yaml|zlib|jemalloc)' "$header"; then
		echo "FAIL: $header shows atomics or another package's types"
		failed=1
	fi
done

# What returns an error must be used. These return a count, a truth or a descriptor, and no error.
no_error='shunt_error_retryable|shunt_hist_next|shunt_job_cancelled|shunt_cq_fd|shunt_cq_take|shunt_snapshot_\w+_count|shunt_topo_is_live'
calls=$(cat "$SRCDIR"/include/shunt/*.h | grep -E '^(SHUNT_MUST_USE )?SHUNT_API (int|int64_t|size_t) shunt_')
missing=$(grep -v '^SHUNT_MUST_USE' <<< "$calls" | grep -vE "($no_error)\\(" || true)
[ -z "$missing" ] || { echo "FAIL: without SHUNT_MUST_USE: $missing" && failed=1; }
[ "$(wc -l <<< "$calls")" -ge 50 ] || { echo "FAIL: too few calls were found" && failed=1; }

# A dropped result is a warning, (void) is none, under each compiler and language that the macro knows.
# drops COMPILER LANGUAGE STANDARD STATEMENT: 0 if it warns
drops() {
	printf '#include <shunt/shunt.h>\nvoid f(struct shunt_runtime *rt);\nvoid f(struct shunt_runtime *rt)\n{\n\t%s;\n}\n' "$4" > "$work/x"
	! "$1" -x "$2" "-std=$3" "${warnings[@]/-fsyntax-only/-c}" -o "$work/x.o" "$work/x" 2> "$work/said"
}
for run in "gcc c c11" "clang c c11" "g++ c++ c++17" "clang++ c++ c++17"; do
	read -r tool language standard <<< "$run"
	command -v "$tool" > /dev/null || continue
	if ! drops "$tool" "$language" "$standard" 'shunt_runtime_resume(rt)'; then
		echo "FAIL: $run: a dropped result is no warning" && failed=1
	fi
	if drops "$tool" "$language" "$standard" '(void)shunt_runtime_resume(rt)'; then
		cat "$work/said" && echo "FAIL: $run: (void) is a warning" && failed=1
	fi
done
echo "$checked compilations"
[ "$checked" -gt 0 ] && [ "$failed" = 0 ]
