#!/usr/bin/env bash
# The installed tree, moved to another place, serves a program through pkg-config: C and C++, shared and static.
# SPDX-License-Identifier: MIT
. "$SRCDIR/tests/e2e/lib_install.sh"

export PKG_CONFIG_PATH=$libdir/pkgconfig
cd "$work"
[ "$(pkg-config --modversion shunt)" = 0.1.0 ]
case $(pkg-config --variable=prefix shunt) in
"$prefix"/*) ;;
*) echo "FAIL: prefix is $(pkg-config --variable=prefix shunt), not below $prefix" && exit 1 ;;
esac

read -ra cflags <<< "$(pkg-config --cflags shunt)"
read -ra libs <<< "$(pkg-config --libs shunt)"
read -ra static <<< "$(pkg-config --static --libs shunt)"
static=("${static[@]/#-lshunt/-l:libshunt.a}")

"$CC" -std=c11 -Wall -Wextra -Wpedantic -Werror "${cflags[@]}" main.c -o shared_c "${libs[@]}"
"$CXX" -std=c++17 -Wall -Wextra -Wpedantic -Werror "${cflags[@]}" main_cc.cc -o shared_cc "${libs[@]}"
"$CC" -std=c11 "${cflags[@]}" main.c -o static_c "${static[@]}"
expect_program "$work/shared_c" shared
expect_program "$work/shared_cc" shared
expect_program "$work/static_c" static

# The command was moved as well.
if [ -x "$prefix/bin/shunt" ]; then
	"$prefix/bin/shunt" --help > /dev/null
	echo "ok: moved command"
fi
