#!/usr/bin/env bash
# Every public header compiles alone, and twice, as C11 and as C++17, without a warning, under each compiler present.
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
echo "$checked compilations"
[ "$checked" -gt 0 ] && [ "$failed" = 0 ]
