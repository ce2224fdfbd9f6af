#!/usr/bin/env bash
# The installation of README.md, line by line: it needs no more than a finished build, writes the files that the page names
# and nothing else, serves the program of the page, and the line that removes it leaves what others put there.
# The build folder is one of its own, with the files of the real build: other tests install from that one meanwhile.
# SPDX-License-Identifier: MIT
set -euo pipefail

if [ -n "${SHUNT_SANITIZE:-}" ]; then
	echo "skipped: a consumer would have to be built with the same sanitizer"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readme=$SRCDIR/README.md

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# line PATTERN: the command of the page that starts so, without its comment
line() {
	local found

	found=$(grep -E "^    $1" "$readme" | sed 's/^    //; s/ *  # .*//') || fail "README.md has no line '$1'"
	[ "$(wc -l <<< "$found")" = 1 ] || fail "README.md has several lines '$1'"
	echo "$found"
}

# everything below FOLDER..., with size and time
listing() {
	find "$@" -printf '%p %s %T@ %y\n' | sort
}

export HOME=$work/home
unset DESTDIR XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME
mkdir -p "$HOME" "$work/clone/build" "$work/bin"
cd "$work/clone"
release=$work/clone/build/release
options=(-DCMAKE_C_COMPILER="$CC" -DSHUNT_BUILD_TESTS=OFF -DSHUNT_BUILD_BENCH=OFF)
grep -E '^(SHUNT_WITH_JEMALLOC|CMAKE_BUILD_TYPE):' "$BUILDDIR/CMakeCache.txt" | sed 's/^/-D/' > "$work/same"
while read -r option; do options+=("$option"); done < "$work/same"
"${CMAKE:-cmake}" -S "$SRCDIR" -B "$release" "${options[@]}" > "$work/log" 2>&1 || fail "$(cat "$work/log")"
mkdir -p "$release/lib" "$release/bin"
cp -a "$BUILDDIR"/lib/libshunt.* "$release/lib"
cp -a "$SHUNT" "$release/bin/shunt"

# Below a prefix. Compilers are out of reach: nothing is built, and nothing is fetched.
for tool in cc gcc clang c++ g++ clang++ make ninja curl wget git; do
	printf '#!/bin/sh\necho "%s was called" >> "%s/called"\nexit 1\n' "$tool" "$work" > "$work/bin/$tool"
	chmod +x "$work/bin/$tool"
done
listing "$release" > "$work/before"
install=$(line 'cmake --install build/release --prefix ~/shunt')
PATH=$work/bin:$PATH bash -c "$install" > "$work/log" 2>&1 || fail "'$install': $(cat "$work/log")"
[ ! -e "$work/called" ] || fail "'$install': $(cat "$work/called")"
listing "$release" | grep -v '/release [^/]*$\|/install_manifest.txt ' > "$work/after"
grep -v '/release [^/]*$' "$work/before" | diff - "$work/after" || fail "'$install' changed the build folder"
[ "$(ls -A "$HOME")" = shunt ] || fail "'$install' wrote in the home folder: $(ls -A "$HOME")"

# The files are those of the list, and those that the page names.
(cat "$release/install_manifest.txt" && echo) | sort > "$work/manifest"
find "$HOME" ! -type d | sort | diff "$work/manifest" - || fail "install_manifest.txt is not the list of the files"
named=$(line 'bin/shunt ')
sed "s|^$HOME/shunt/||" "$work/manifest" > "$work/files"
read -ra patterns <<< "$named"
while read -r file; do
	for pattern in "${patterns[@]}"; do
		# shellcheck disable=SC2053 # a pattern is meant
		[[ ${file%/*} != "${pattern%/*}" || ${file##*/} != ${pattern##*/} ]] || continue 2
	done
	fail "README.md does not name $file"
done < "$work/files"
for pattern in "${patterns[@]}"; do
	compgen -G "$HOME/shunt/$pattern" > /dev/null || fail "nothing is installed as $pattern"
done
echo "ok: $install"

# The program of the page, built and run as it says.
awk '/^```/ { if (inside) exit; inside = $0 == "```c"; next } inside' "$readme" > embed.c
# shellcheck disable=SC2016 # the back quotes are the page's
build=$(grep -oE '`cc embed\.c [^`]*`' "$readme" | tr -d '`')
[ "$(grep -c "PKG_CONFIG_PATH=~/shunt/lib/pkgconfig" "$readme")" -ge 1 ] || fail "README.md does not say PKG_CONFIG_PATH"
PKG_CONFIG_PATH=~/shunt/lib/pkgconfig bash -c "$build -o embed" || fail "'$build'"
[ "$(LD_LIBRARY_PATH=~/shunt/lib ./embed)" = '7 * 7 = 49' ] || fail "embed ended with $?"
echo "ok: $build"

# Below /usr/local, as root: here with a root of our own.
cat > "$work/bin/sudo" <<- C
	#!/bin/sh
	echo "\$*" >> "$work/sudo"
	[ "\$1" = ldconfig ] || DESTDIR=$work/root exec "\$@"
C
chmod +x "$work/bin/sudo"
cp "$release/install_manifest.txt" "$work/own_manifest"
install=$(line 'sudo cmake --install build/release')
PATH=$work/bin:$PATH bash -c "$install" > "$work/log" 2>&1 || fail "'$install': $(cat "$work/log")"
[ "$(tail -n 1 "$work/sudo")" = ldconfig ] || fail "'$install': no ldconfig"
[ "$(cd "$work/root" && echo ./* ./*/*)" = './usr ./usr/local' ] || fail "'$install': $(find "$work/root" -maxdepth 2)"
diff <(cd "$work/root/usr/local" && find . -type f | sort) <(cd "$HOME/shunt" && find . -type f | sort) ||
	fail "another set of files below /usr/local"
echo "ok: $install"

# Removed: all of it, and what others put there stays.
cp "$work/own_manifest" "$release/install_manifest.txt"
echo theirs > "$HOME/shunt/lib/pkgconfig/other.pc"
remove=$(line 'xargs ')
bash -c "$remove" || fail "'$remove'"
[ "$(find "$HOME" ! -type d)" = "$HOME/shunt/lib/pkgconfig/other.pc" ] || fail "'$remove' left: $(find "$HOME" ! -type d)"
bash -c "$remove" || fail "'$remove': not a second time"
echo "ok: $remove"
