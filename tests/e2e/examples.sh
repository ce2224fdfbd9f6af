#!/usr/bin/env bash
# Builds and runs every program of docs/examples: the single files against the build tree, cmake/ and pkgconfig/ against
# an installed and moved tree. A program decides itself whether its result is right: exit code 0. Also holds the README's
# first C block equal to docs/examples/embed.c. SPDX-License-Identifier: MIT
set -euo pipefail
examples=$SRCDIR/docs/examples
scratch=$(mktemp -d)
trap 'rm -rf "$scratch" ${work:+"$work"}' EXIT
flags=(-O1 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -I"$SRCDIR/include" -pthread)
libs=(-L"$BUILDDIR/lib" -lshunt "-Wl,-rpath,$BUILDDIR/lib")
if [ -n "${SHUNT_SANITIZE:-}" ]; then
	flags+=("-fsanitize=$SHUNT_SANITIZE" -fno-sanitize-recover=all)
fi

# expect_zero NAME COMMAND...: runs it in the folder of the examples.
expect_zero() {
	local name=$1 code=0
	shift
	(cd "$examples" && "$@") > "$scratch/said" 2>&1 || code=$?
	if [ "$code" != 0 ]; then
		cat "$scratch/said"
		echo "FAIL: $name ended with $code"
		exit 1
	fi
	echo "ok: $name: $(tail -n 1 "$scratch/said")"
}

awk '/^```/ { if (inside) exit; inside = $0 == "```c"; next } inside' "$SRCDIR/README.md" > "$scratch/readme.c"
if ! diff -u "$examples/embed.c" "$scratch/readme.c"; then
	echo "FAIL: the first C block of README.md is not docs/examples/embed.c"
	exit 1
fi
echo "ok: README.md quotes embed.c"

for source in "$examples"/*.c; do
	name=$(basename "$source" .c)
	more=()
	if [ "$name" = libuv ]; then
		if ! pkg-config --exists libuv; then
			echo "skipped: libuv.c: libuv is not installed (libuv1-dev)"
			continue
		fi
		read -ra more <<< "$(pkg-config --cflags --libs libuv)"
	fi
	"$CC" -std=c11 "${flags[@]}" "$source" -o "$scratch/$name" "${libs[@]}" "${more[@]}"
	expect_zero "$name.c" "$scratch/$name"
done
for source in "$examples"/*.cc; do
	name=$(basename "$source" .cc)
	"$CXX" -std=c++17 "${flags[@]}" "$source" -o "$scratch/$name" "${libs[@]}"
	expect_zero "$name.cc" "$scratch/$name"
done
expect_zero "config_embed.c with a flag" "$scratch/config_embed" config_embed.yaml pools.cpu.workers=3
if (cd "$examples" && "$scratch/config_embed" config_embed.yaml pools.cpu.workers=none) > "$scratch/said" 2>&1; then
	echo "FAIL: config_embed accepts 'none' workers"
	exit 1
fi
grep -q 'pools.cpu.workers' "$scratch/said"
echo "ok: config_embed.c refuses a bad value"

if [ -n "${SHUNT_SANITIZE:-}" ]; then
	echo "ok: cmake/ and pkgconfig/ left out (they would have to be built with the same sanitizer)"
	exit 0
fi
. "$SRCDIR/tests/e2e/lib_install.sh"
trap 'rm -rf "$scratch" "$work"' EXIT
export LD_LIBRARY_PATH=$libdir PKG_CONFIG_PATH=$libdir/pkgconfig
cp -r "$examples/cmake" "$examples/pkgconfig" "$scratch"

if ! { "${CMAKE:-cmake}" -S "$scratch/cmake" -B "$scratch/cmake/build" -DCMAKE_PREFIX_PATH="$prefix" \
	-DCMAKE_C_COMPILER="$CC" && "${CMAKE:-cmake}" --build "$scratch/cmake/build"; } > "$scratch/said" 2>&1; then
	cat "$scratch/said"
	echo "FAIL: docs/examples/cmake does not build"
	exit 1
fi
expect_zero cmake/ "$scratch/cmake/build/example"
if ! make -C "$scratch/pkgconfig" CC="$CC" > "$scratch/said" 2>&1; then
	cat "$scratch/said"
	echo "FAIL: docs/examples/pkgconfig does not build"
	exit 1
fi
expect_zero pkgconfig/ "$scratch/pkgconfig/example"
