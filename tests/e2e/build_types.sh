#!/usr/bin/env bash
# Warnings are errors only where SHUNT_WERROR asks for it, and with it the library and the command compile as Release (NDEBUG,
# -O3) with every compiler present; the other build types configure. The tests' own build is the fourth one that compiles.
# Environment: SRCDIR, CMAKE, SHUNT_SANITIZE. SPDX-License-Identifier: MIT
set -euo pipefail

if [ -n "${SHUNT_SANITIZE:-}" ]; then
	echo "skipped: nothing here depends on the sanitizer"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake=${CMAKE:-cmake}
options=(-S "$SRCDIR" -DSHUNT_BUILD_TESTS=OFF -DSHUNT_BUILD_BENCH=OFF)
if command -v ninja > /dev/null; then
	options+=(-G Ninja)
fi

fail() {
	echo "FAIL: $*"
	exit 1
}

# configure FOLDER COMPILER OPTION...
configure() {
	"$cmake" "${options[@]}" -B "$work/$1" -DCMAKE_C_COMPILER="$2" "${@:3}" > "$work/log" 2>&1 || { cat "$work/log" && fail "$1"; }
}

# word FOLDER OPTION: how many of the compiler's command lines have the option
word() {
	grep -c '"command":.* '"$2"' ' "$work/$1/compile_commands.json" || true
}

optimised=(Debug -g Release -O3 MinSizeRel -Os RelWithDebInfo -O2)
for ((i = 0; i < ${#optimised[@]}; i += 2)); do
	type=${optimised[i]}
	configure "$type" "$CC" -DCMAKE_BUILD_TYPE="$type"
	[ "$(word "$type" "${optimised[i + 1]}")" -gt 50 ] || fail "$type: is not compiled with ${optimised[i + 1]}"
	[ "$(word "$type" -Werror)" = 0 ] || fail "$type: warnings are errors though nobody asked for it"
done
configure unset "$CC"
[ "$(word unset -O2)" -gt 50 ] || fail "without a build type it is not RelWithDebInfo"

compiled=0
for compiler in gcc clang; do
	command -v "$compiler" > /dev/null || continue
	configure "$compiler" "$compiler" -DCMAKE_BUILD_TYPE=Release -DSHUNT_WERROR=ON
	[ "$(word "$compiler" -Werror)" -gt 50 ] || fail "$compiler: SHUNT_WERROR=ON does not make warnings errors"
	"$cmake" --build "$work/$compiler" --parallel 2 > "$work/log" 2>&1 || {
		grep -E -A8 ' error: |^FAILED|undefined reference' "$work/log" | head -n 60
		fail "$compiler: does not build as Release"
	}
	"$work/$compiler/bin/shunt" --version > /dev/null || fail "$compiler: the command does not start"
	compiled=$((compiled + 1))
	echo "ok: Release with $compiler"
done
[ "$compiled" -gt 0 ] || fail "neither gcc nor clang is here"
