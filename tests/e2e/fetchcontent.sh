#!/usr/bin/env bash
# A project that takes this one in as a part of itself, by FetchContent: shared, static and as a module.
# The parent is C only, strict C11 and without a build type, and has targets, tests and variables of its own: nothing of
# this project may reach it. Environment: SRCDIR, CC, CXX, CMAKE. SPDX-License-Identifier: MIT
set -euo pipefail

if [ -n "${SHUNT_SANITIZE:-}" ]; then
	echo "skipped: the parent would have to be built with the same sanitizer"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake=${CMAKE:-cmake}
generator=()
if command -v ninja > /dev/null; then
	generator=(-G Ninja)
fi

fail() {
	echo "FAIL: $*"
	exit 1
}

mkdir "$work/parent"
cp "$SRCDIR/docs/examples/embed.c" "$work/parent/main.c"
# Code that this project's own warnings refuse: an option that leaks is seen.
cat > "$work/parent/dirty.c" <<'C'
int dirty(int a)
{
	unsigned char c = a;
	typedef int typeof; /* no keyword in strict C11 */
	typeof b = c;

	return b;
}
C
cat > "$work/parent/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.22)
project(parent C)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
if(SHUNT_INSTALL)
	include(GNUInstallDirs)
endif()
# Names that a project may well have.
foreach(name base core config shunt_app tests bench tools unit_helpers)
	add_library(${name} OBJECT dirty.c)
endforeach()
include(FetchContent)
FetchContent_Declare(shunt SOURCE_DIR "$ENV{SRCDIR}")
macro(remember when)
	get_cmake_property(variables_${when} VARIABLES)
	list(FILTER variables_${when} INCLUDE REGEX "^(CMAKE_(C|CXX|BUILD|EXPORT|INSTALL|RUNTIME|LIBRARY|ARCHIVE)|BUILD_|THREADS_)")
	set(values_${when} "")
	foreach(variable IN LISTS variables_${when})
		string(APPEND values_${when} "${variable}=${${variable}}\n")
	endforeach()
	get_directory_property(options_${when} COMPILE_OPTIONS)
	get_directory_property(definitions_${when} COMPILE_DEFINITIONS)
	get_directory_property(link_options_${when} LINK_OPTIONS)
endmacro()
remember(before)
FetchContent_MakeAvailable(shunt)
remember(after)
foreach(what values options definitions link_options)
	if(NOT "${${what}_before}" STREQUAL "${${what}_after}")
		message(FATAL_ERROR "${what} before:\n${${what}_before}\nafter:\n${${what}_after}")
	endif()
endforeach()
get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
if(NOT languages STREQUAL "C")
	message(FATAL_ERROR "the parent is C only; enabled: ${languages}")
endif()
get_property(targets DIRECTORY "${shunt_SOURCE_DIR}" PROPERTY BUILDSYSTEM_TARGETS)
get_property(more DIRECTORY "${shunt_SOURCE_DIR}/runtime" PROPERTY BUILDSYSTEM_TARGETS)
foreach(target IN LISTS targets more)
	if(NOT target MATCHES "^shunt_")
		message(FATAL_ERROR "target ${target} does not start with shunt_")
	endif()
endforeach()
get_property(parts DIRECTORY "${shunt_SOURCE_DIR}" PROPERTY SUBDIRECTORIES)
if(NOT parts STREQUAL "${shunt_SOURCE_DIR}/runtime")
	message(FATAL_ERROR "only the library is wanted here, not ${parts}")
endif()

add_executable(with_shared main.c)
target_link_libraries(with_shared PRIVATE shunt::shunt)
add_executable(with_static main.c dirty.c)
target_link_libraries(with_static PRIVATE shunt::shunt_static)
target_compile_options(with_static PRIVATE -Werror)
add_library(module MODULE main.c)
target_link_libraries(module PRIVATE shunt::shunt)
if(TARGET shunt::jemalloc)
	add_executable(with_jemalloc main.c)
	target_link_libraries(with_jemalloc PRIVATE shunt::shunt shunt::jemalloc)
endif()
C

"$cmake" "${generator[@]}" -S "$work/parent" -B "$work/b" -DCMAKE_C_COMPILER="$CC" > "$work/log" 2>&1 ||
	{ cat "$work/log" && fail "the parent cannot be configured"; }
"$cmake" --build "$work/b" --parallel 2 > "$work/log" 2>&1 || { tail -n 40 "$work/log" && fail "the parent does not build"; }
! grep -q '^CMAKE_BUILD_TYPE:.*=.' "$work/b/CMakeCache.txt" || fail "the parent's build type was set"

# needs PROGRAM LIBRARY yes|no: whether it loads the library
needs() {
	local found=no

	readelf -d "$work/b/$1" > "$work/dynamic"
	! grep -q "NEEDED.*$2" "$work/dynamic" || found=yes
	[ "$found" = "$3" ] || fail "$1 loads $2: $found, want $3"
}
for program in with_shared with_static; do
	said=$("$work/b/$program") || fail "$program ended with $?"
	[ "$said" = "7 * 7 = 49" ] || fail "$program said '$said'"
done
needs with_shared 'libshunt\.so\.0' yes
needs with_static 'libshunt\.so' no
# An allocator comes only to those that ask for it.
for program in with_shared with_static libmodule.so; do
	needs "$program" jemalloc no
done
if grep -q '^SHUNT_WITH_JEMALLOC:BOOL=ON' "$work/b/CMakeCache.txt"; then
	needs with_jemalloc jemalloc yes
	[ "$("$work/b/with_jemalloc")" = "7 * 7 = 49" ] || fail "with_jemalloc ended with $?"
fi

# Nothing of this project is installed with the parent.
DESTDIR=$work/root "$cmake" --install "$work/b" > "$work/log" 2>&1 || { cat "$work/log" && fail "the parent cannot be installed"; }
[ ! -e "$work/root" ] || fail "installed with the parent: $(find "$work/root" -type f)"
echo "ok: built, run and kept apart"

# A parent that wants shunt installed with it says so. Then its program finds the library, wherever the tree is moved to,
# and so does a project that uses the parent's package.
cat >> "$work/parent/CMakeLists.txt" <<'C'
add_library(wrap INTERFACE)
target_link_libraries(wrap INTERFACE shunt::shunt)
set_target_properties(with_shared PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
install(TARGETS with_shared wrap EXPORT parent-targets DESTINATION bin)
install(EXPORT parent-targets FILE parent-config.cmake NAMESPACE parent:: DESTINATION lib/cmake/parent)
C
{ "$cmake" -S "$work/parent" -B "$work/b" -DSHUNT_INSTALL=ON -DCMAKE_INSTALL_LIBDIR=lib &&
	"$cmake" --build "$work/b" --parallel 2 &&
	"$cmake" --install "$work/b" --prefix "$work/first"; } > "$work/log" 2>&1 ||
	{ tail -n 40 "$work/log" && fail "SHUNT_INSTALL=ON: the parent cannot be installed"; }
mv "$work/first" "$work/moved"
[ "$("$work/moved/bin/with_shared")" = "7 * 7 = 49" ] || fail "SHUNT_INSTALL=ON: the installed program ended with $?"
mkdir "$work/user"
cp "$work/parent/main.c" "$work/user"
cat > "$work/user/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.22)
project(user C)
find_package(shunt 0.1 REQUIRED CONFIG)
find_package(parent REQUIRED CONFIG)
add_executable(app main.c)
target_link_libraries(app PRIVATE parent::wrap)
C
{ "$cmake" -S "$work/user" -B "$work/user/b" -DCMAKE_PREFIX_PATH="$work/moved" -DCMAKE_C_COMPILER="$CC" &&
	"$cmake" --build "$work/user/b"; } > "$work/log" 2>&1 || { cat "$work/log" && fail "SHUNT_INSTALL=ON: a user of the parent"; }
[ "$("$work/user/b/app")" = "7 * 7 = 49" ] || fail "SHUNT_INSTALL=ON: the user's program ended with $?"
echo "ok: installed with the parent where it asks for that"
