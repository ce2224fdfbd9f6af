#!/usr/bin/env bash
# Where an installed tree may lie: below a prefix, below DESTDIR while it is packed and after it was unpacked elsewhere,
# in a folder with a space in its name, and with a library folder of several levels (lib/x86_64-linux-gnu). At each place
# pkg-config, CMake and the command work on that place alone, and another installed shunt changes nothing.
# SPDX-License-Identifier: MIT
. "$SRCDIR/tests/e2e/lib_install.sh"

cmake=${CMAKE:-cmake}
export LC_ALL=C

fail() {
	echo "FAIL: $*"
	exit 1
}

mkdir "$work/cmake"
cp "$work/main.c" "$work/cmake"
cat > "$work/cmake/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.22)
project(consumer C)
find_package(shunt 0.1 REQUIRED CONFIG)
foreach(kind shunt shunt_static)
	add_executable(with_${kind} main.c)
	target_link_libraries(with_${kind} PRIVATE shunt::${kind})
	add_custom_command(TARGET with_${kind} POST_BUILD COMMAND ${CMAKE_COMMAND} -E echo "linked: $<TARGET_FILE:shunt::${kind}>")
endforeach()
C

# packages [OPTION of pkg-config]...: the flags of shunt, as words; a shell has to read them, because a path may have spaces
packages() {
	local text

	text=$(pkg-config "$@" shunt) || fail "pkg-config $*"
	eval "words=($text)"
}

# by_pkgconfig TREE LIBDIR [OPTION of pkg-config]...: builds, and finds header and library below the tree.
by_pkgconfig() {
	local tree=$1 lib=$2 flag word words=() at
	shift 2
	export PKG_CONFIG_PATH=$tree/$lib/pkgconfig
	packages "$@" --cflags --libs
	for word in "${words[@]}"; do
		flag=${word:0:2} at=${word:2}
		case $flag in
		-I) [ "$(realpath -m "$at")" = "$(realpath "$tree")/include" ] || fail "$tree: headers in $at" ;;
		-L) [ "$(realpath -m "$at")" = "$(realpath "$tree")/$lib" ] || fail "$tree: library in $at" ;;
		-l) [ "$word" = -lshunt ] || fail "$tree: links $word" ;;
		*) fail "$tree: unexpected flag $word" ;;
		esac
	done
	"$CC" -std=c11 -Wall -Werror "$work/main.c" -o "$work/by_pkgconfig" "${words[@]}"
	libdir=$tree/$lib expect_program "$work/by_pkgconfig" shared
	packages "$@" --static --cflags --libs
	"$CC" -std=c11 "$work/main.c" -o "$work/by_pkgconfig" "${words[@]/#-lshunt/-l:libshunt.a}"
	expect_program "$work/by_pkgconfig" static
}

# by_cmake TREE LIBDIR
by_cmake() {
	rm -rf "$work/cmake/b"
	if ! { "$cmake" -S "$work/cmake" -B "$work/cmake/b" -DCMAKE_PREFIX_PATH="$1" -DCMAKE_C_COMPILER="$CC" &&
		"$cmake" --build "$work/cmake/b"; } > "$work/log" 2>&1; then
		cat "$work/log"
		fail "$1: a CMake project does not build"
	fi
	[ "$(grep -cF "linked: $1/$2/libshunt" "$work/log")" = 2 ] || { cat "$work/log" && fail "$1: CMake linked another library"; }
	libdir=$1/$2 expect_program "$work/cmake/b/with_shunt" shared
	expect_program "$work/cmake/b/with_shunt_static" static
}

# command_works TREE
command_works() {
	[ ! -e "$1/bin/shunt" ] || "$1/bin/shunt" --help > "$work/help" || fail "$1: the command does not run"
}

# serves TREE LIBDIR
serves() {
	by_pkgconfig "$1" "$2"
	by_cmake "$1" "$2"
	command_works "$1"
	echo "ok: ${1#"$work"/}: pkg-config, CMake, command"
}

# The moved prefix, beside a decoy of another version at the place where it was first.
mkdir -p "$work/first/lib/pkgconfig" "$work/first/include/shunt"
echo '#error the place before the move' > "$work/first/include/shunt/shunt.h"
serves "$prefix" lib
mkdir "$work/with a space"
mv "$prefix" "$work/with a space/tree"
serves "$work/with a space/tree" lib
# As often: a prefix that is reached through a link.
ln -s "$work/with a space/tree" "$work/link"
serves "$work/link" lib

# DESTDIR: everything lies below it, and the paths that are to be say nothing of it.
DESTDIR=$work/stage "$cmake" --install "$BUILDDIR" --prefix /opt/shunt > "$work/log" || fail "DESTDIR: $(cat "$work/log")"
[ ! -e /opt/shunt ] || [ -n "$(find /opt/shunt -maxdepth 0 ! -newer "$work/main.c")" ] || fail "DESTDIR: /opt/shunt was written"
[ "$(ls "$work/stage")" = opt ] && [ "$(ls "$work/stage/opt")" = shunt ] || fail "DESTDIR: $(find "$work/stage" -maxdepth 2)"
! grep -rIlF "$work" "$work/stage" || fail "DESTDIR: the files above name it"
serves "$work/stage/opt/shunt" lib
# While it is packed the tools of a distribution look at the staging tree as at the root of a system.
PKG_CONFIG_SYSROOT_DIR=$work/stage by_pkgconfig "$work/stage/opt/shunt" lib
by_pkgconfig "$work/stage/opt/shunt" lib --define-prefix
# A prefix that the caller states is obeyed.
PKG_CONFIG_PATH=$work/stage/opt/shunt/lib/pkgconfig packages --define-variable=prefix=/usr/elsewhere --cflags --libs
[ "${words[*]}" = '-I/usr/elsewhere/include -L/usr/elsewhere/lib -lshunt' ] || fail "--define-variable=prefix: ${words[*]}"
# The archive that is made of it, unpacked.
tar -C "$work/stage" -cf "$work/archive.tar" opt
rm -rf "$work/stage"
mkdir "$work/unpacked"
tar -C "$work/unpacked" -xf "$work/archive.tar"
serves "$work/unpacked/opt/shunt" lib

# A library folder of several levels. The libraries themselves are those of the build; only the packages differ.
lib=lib/x86_64-linux-gnu
options=(-DCMAKE_C_COMPILER="$CC" -DSHUNT_BUILD_TESTS=OFF -DSHUNT_BUILD_BENCH=OFF -DSHUNT_BUILD_TOOLS=OFF)
grep -E '^(SHUNT_WITH_JEMALLOC|CMAKE_BUILD_TYPE):' "$BUILDDIR/CMakeCache.txt" | sed 's/^/-D/' > "$work/same"
while read -r option; do options+=("$option"); done < "$work/same"
"$cmake" -S "$SRCDIR" -B "$work/deep" "${options[@]}" -DCMAKE_INSTALL_LIBDIR="$lib" > "$work/log" 2>&1 || fail "$(cat "$work/log")"
mkdir -p "$work/deep/lib"
cp -a "$BUILDDIR"/lib/libshunt.* "$work/deep/lib"
"$cmake" --install "$work/deep" --prefix "$work/deep/first" > "$work/log" || fail "$(cat "$work/log")"
mv "$work/deep/first" "$work/deep/moved"
serves "$work/deep/moved" "$lib"

# Folders that are no part of the prefix could not be found again after a move.
! "$cmake" -S "$SRCDIR" -B "$work/deep" "${options[@]}" -DCMAKE_INSTALL_LIBDIR=/usr/lib > "$work/log" 2>&1 ||
	fail "an absolute library folder is accepted"
grep -qF "CMAKE_INSTALL_LIBDIR: '/usr/lib': want a folder" "$work/log" || fail "no word on the absolute folder: $(cat "$work/log")"
echo ok
