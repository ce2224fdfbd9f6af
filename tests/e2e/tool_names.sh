#!/usr/bin/env bash
# A mistyped name is refused at once, with exit code 2 and what would be right, before anything is installed or built: options
# of tools/quickstart, filters, stages of .ci/run. A name that is right gets as far as the installation. tools/test
# --list prints exactly CTest's names. Environment: SRCDIR, BUILDDIR, CMAKE, SHUNT_SANITIZE. SPDX-License-Identifier: MIT
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
	echo "FAIL: $*"
	failed=1
}

# The tools in a tree whose tools/deps only says that it was called, and ends them.
tree=$work/tree
mkdir -p "$tree/tools" "$tree/.ci"
cp "$SRCDIR"/tools/{quickstart,test,cross} "$tree/tools"
cp "$SRCDIR/.ci/run" "$tree/.ci"
ln -s "$SRCDIR/tools/shunt" "$tree/tools/shunt"
ln -s "$SRCDIR/tests" "$SRCDIR/bench" "$tree"
printf '#!/bin/sh\necho installing >&2\nkill $PPID\n' > "$tree/tools/deps"
chmod +x "$tree/tools/deps"

# refused "words" TOOL ARGUMENT...
refused() {
	local words=$1 rc=0

	shift
	"$tree/$1" "${@:2}" > "$work/out" 2> "$work/err" || rc=$?
	[ "$rc" = 2 ] || fail "$*: exit code $rc, want 2"
	grep -qF -e "$1: $words" "$work/err" || fail "$*: want '$words' in: $(cat "$work/err")"
	[ ! -s "$work/out" ] || fail "$*: prints $(head -n 1 "$work/out")"
	[ "$(wc -l < "$work/err")" = 1 ] || fail "$*: want one line: $(cat "$work/err")"
	[ ! -e "$tree/build" ] || fail "$*: has a build folder"
}

# taken TOOL ARGUMENT...: goes on to the installation
taken() {
	"$tree/$1" "${@:2}" > "$work/out" 2> "$work/err" || true
	[ "$(cat "$work/err")" = installing ] || fail "$*: does not install: $(cat "$work/err")"
}

refused '--digets: no such option; there are --config --digests ' tools/quickstart --digets f
refused '--digets: no such option; there are ' tools/quickstart --quiet --digets=f
refused "'stray': no such option; there are " tools/quickstart --quiet stray
refused "'-q': no such option; there are " tools/quickstart -q
refused '--json: needs a value' tools/quickstart --json
refused '--quiet: takes no value' tools/quickstart --quiet=yes
refused "--tree: '$work/none': want a directory" tools/quickstart --tree "$work/none"
refused "--config: '$work/none': want a file that can be read" tools/quickstart --config="$work/none"
taken tools/quickstart
taken tools/quickstart --tree "$work" --json --quiet --workers=2 --one-file-system
"$tree/tools/quickstart" --help > "$work/out"
grep -q '^  --tree VALUE$' "$work/out" || fail "tools/quickstart --help does not list its options"

refused "--filter: '^unti/' matches no test; see tools/test --list" tools/test --filter '^unti/'
refused "--filter: 'model/' with --sanitize=thread matches no test" tools/test --sanitize=thread --filter=model/
refused '--fliter: no such option; see --help' tools/test --fliter unit
refused "--sanitize: 'adress': want address, " tools/test --sanitize=adress
taken tools/test --filter '^unit/ring_test$'
refused "--filter: 'ring_tset' matches no test" tools/cross --filter ring_tset
refused "'tset': no such stage; there are lint format test " .ci/run lint tset
CI_SECONDS=soon refused "CI_SECONDS: 'soon': want a number of seconds" .ci/run lint
taken .ci/run lint

# The names are CTest's, but for the benches where they are not built. Asked in a folder of its own: CTest empties the log of
# the run that this test is a part of.
mkdir "$work/ctest_folder"
echo "subdirs(\"$BUILDDIR\")" > "$work/ctest_folder/CTestTestfile.cmake"
"$(dirname "$CMAKE")/ctest" --test-dir "$work/ctest_folder" -N | sed -nE 's/^ *Test +#[0-9]+: //p' | sort > "$work/ctest"
sanitize=()
[ -z "${SHUNT_SANITIZE:-}" ] || sanitize=("--sanitize=$SHUNT_SANITIZE")
"$tree/tools/test" "${sanitize[@]}" --list | sort > "$work/list"
grep -q '^bench/' "$work/ctest" || sed -i '/^bench\//d' "$work/list"
diff -u "$work/ctest" "$work/list" || fail "tools/test --list (+) differs from CTest's names (-)"
echo "$(wc -l < "$work/list") names of tests"
exit "$failed"
