#!/usr/bin/env bash
# The installed tree, moved to another place, serves a CMake project by find_package: shared and static, C and C++.
# SPDX-License-Identifier: MIT
. "$SRCDIR/tests/e2e/lib_install.sh"

cat > "$work/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.22)
project(consumer C CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(shunt 0.1 REQUIRED CONFIG)
add_executable(shared_c main.c)
target_link_libraries(shared_c PRIVATE shunt::shunt)
add_executable(shared_cc main_cc.cc)
target_link_libraries(shared_cc PRIVATE shunt::shunt)
add_executable(static_c main.c)
target_link_libraries(static_c PRIVATE shunt::shunt_static)
C
generator=()
if command -v ninja > /dev/null; then
	generator=(-G Ninja)
fi
if ! { "${CMAKE:-cmake}" "${generator[@]}" -S "$work" -B "$work/b" -DCMAKE_PREFIX_PATH="$prefix" \
	-DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" &&
	"${CMAKE:-cmake}" --build "$work/b"; } > "$work/cmake.log" 2>&1; then
	cat "$work/cmake.log"
	echo "FAIL: the consumer does not build"
	exit 1
fi
expect_program "$work/b/shared_c" shared
expect_program "$work/b/shared_cc" shared
expect_program "$work/b/static_c" static

# Another minor version promises nothing.
sed -i 's/find_package(shunt 0.1 /find_package(shunt 0.2 /' "$work/CMakeLists.txt"
if "${CMAKE:-cmake}" "${generator[@]}" -S "$work" -B "$work/b2" -DCMAKE_PREFIX_PATH="$prefix" > "$work/cmake2.log" 2>&1; then
	echo "FAIL: find_package(shunt 0.2) should not accept 0.1.0"
	exit 1
fi
grep -q 'version: 0.1.0' "$work/cmake2.log"
echo "ok: version check"
