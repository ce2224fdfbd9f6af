#!/usr/bin/env bash
# tests/model/mutants.py places, refuses and judges mutants of a small tree as its header says. SPDX-License-Identifier: MIT
set -euo pipefail

if [ -n "${SHUNT_SANITIZE:-}" ]; then
	echo "skipped: nothing here depends on the sanitizer"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
model=$work/tree/tests/model
mutants=$model/mutants/unit.txt
build=$work/build
mkdir -p "$model/mutants" "$model/clients" "$work/tree/runtime/a" "$work/tree/runtime/b" "$build"
cp "$SRCDIR/tests/model/mutants.py" "$SRCDIR/tests/model/source.py" "$model/"
failed=0 cases=0

cat > "$work/tree/runtime/a/one.h" << 'END'
struct box {
	int width;
};
#define STEP(x) \
	((x) + 1) /* in two lines */
int one(int a);
int two(int a);
static inline int half(int a)
{
	return a / 2;
}
END
cat > "$work/tree/runtime/a/one.c" << 'END'
#include "a/one.h"

static const int table[] = { 1, 2 };

static int same(int a)
{
	return a;
}

int one(int a) /* one(int a) { return 0; } */
{
	struct box b = { .width = table[0] };

	/* mo J1 -> J2: the first. */
	a += b.width;
	/* mo J2 <- J1: the second { of two. */
	a += b.width; // "as above
	return "}"[0] == '}' ? same(a) + STEP(0) - 1 : 0;
}
END
cat > "$work/tree/runtime/b/two.c" << 'END'
#include "a/one.h"

static int same(int a) { return a; }

int two(int a)
{
#ifdef NO_SUCH
	return 0;
#endif
	return same(half(a));
}
END

# mutant FUNCTION LINE...: a mutant "m" with one edit
mutant() {
	printf 'mutant: m\nclient: unit.values\nwhy: planted\nin: %s\n' "$1"
	shift
	printf '%s\n' "$@"
}

# refused TEXT: what is in the file of mutants is refused with that text, and the line of the file is named
refused() {
	local rc=0

	cases=$((cases + 1))
	python3 "$model/mutants.py" --check > "$work/out" 2>&1 || rc=$?
	if [ "$rc" -ne 2 ] || ! grep -qF -- "$1" "$work/out" || ! grep -q '^mutants.py: mutants/unit.txt:[0-9]*: ' "$work/out"; then
		echo "FAIL: wants exit code 2 and a line of unit.txt with \"$1\"; exit code $rc:"
		cat "$work/out"
		failed=1
	fi
}

mutant three '- a' > "$mutants" && refused 'm: no file of runtime/ defines three'
mutant table '- 2' > "$mutants" && refused 'm: no file of runtime/ defines table'
mutant one '- a += b.height;' > "$mutants" && refused 'm: not found in one (a/one.c): a += b . height ;'
mutant one '- return same(half(a));' > "$mutants" && refused '(it is in two)'
mutant one '- first' > "$mutants" && refused 'm: not found in one (a/one.c): first'
mutant one '- a += b.width;' > "$mutants" && refused 'm: 2 times in one (a/one.c), lines 15, 17, wanted once: a += b . width ;'
mutant 'one at J3' '- a += b.width;' > "$mutants" && refused 'at J3: a += b . width ; (it is there without that label)'
mutant one '- same(a)' '+ same( a )' > "$mutants" && refused 'm: changes nothing in one'
mutant one '  same(a)' > "$mutants" && refused 'm: changes nothing in one'
mutant one '+ a = 0;' > "$mutants" && refused 'm: says no code of one to look for'
mutant one > "$mutants" && refused 'm: says no code of one to look for'
mutant same '- return a;' '+ return 0;' > "$mutants" && refused 'm: same is defined in a/one.c and b/two.c: write same@one.c'
mutant same@three.c '- a;' > "$mutants" && refused 'm: no three.c defines same: a/one.c, b/two.c do'
mutant two@two.c '- half' > "$mutants" && refused 'm: only b/two.c defines two: it needs no @two.c'
mutant 'one near J1' '- same' > "$mutants" && refused 'm: wants "in: FUNCTION", "in: FUNCTION at LABEL"'
mutant one '- same(a)' '+ a' 'in: one' '- (a) +' '+ (0) +' > "$mutants" && refused 'm: two of its edits change the same code'
{ mutant one '- same(a)' && mutant two '- half(a)'; } > "$mutants" && refused 'unit.txt:6: m: mutants/unit.txt:1 has that name'
mutant one '- same(a)' '+ smae(a)' > "$mutants" && refused 'unit.txt:6: m: smae is no name in runtime/; did you mean same?'
mutant one '- same(a)' '+ first' > "$mutants" && refused 'unit.txt:6: m: first is no name in runtime/' # in comments alone
mutant one '- table[0]' '+ table[0]' '+ + b.height' > "$mutants" && refused 'unit.txt:7: m: height is no name in runtime/'
mutant one 'same(a)' > "$mutants" && refused 'not: same(a)'
printf 'mutant: m\nwhy: planted\nin: one\n- same(a)\n' > "$mutants" && refused 'not: in: one'
printf 'mutant: m\nclient: unit.values\nwhy: planted\n' > "$mutants" && refused 'm: has no "in: FUNCTION"'
printf 'client: unit.values\n' > "$mutants" && refused 'not: client: unit.values'

# A program that is judged like the explorer's: "unit.values" fails when a value is wrong, "unit.blind" never.
cat > "$model/clients/unit.c" << 'END'
#include "a/one.h"
#include <string.h>
int main(int argc, char **argv)
{
	if (argc < 3 || (strcmp(argv[2], "unit.values") != 0 && strcmp(argv[2], "unit.blind") != 0))
		return 2;
	return argv[2][5] == 'v' && (one(5) != 7 || two(6) != 3);
}
END
objects=()
commands=()
compile() {
	local source object

	for source in "$work/tree/runtime/a/one.c" "$work/tree/runtime/b/two.c" "$model/clients/unit.c"; do
		object=$build/$(basename "$source").o
		"$CC" "-I$work/tree/runtime" -o "$object" -c "$source"
		objects+=("$object")
		commands+=("{\"directory\": \"$build\", \"file\": \"$source\", \"command\": \"$CC -I$work/tree/runtime -o $object -c $source\"}")
	done
}

compile
echo "[${commands[0]}, ${commands[1]}, ${commands[2]}]" > "$build/compile_commands.json"
cat > "$build/objects.json" << END
{ "top": "$build", "cc": "$CC", "runtime": ["${objects[0]}", "${objects[1]}"], "clients": ["${objects[2]}"], "engine": [], "libraries": [] }
END

# judged RC TEXT: the mutants of the file are run
judged() {
	local rc=0

	cases=$((cases + 1))
	python3 "$model/mutants.py" --build "$build" > "$work/out" 2>&1 || rc=$?
	if [ "$rc" -ne "$1" ] || ! grep -qE -- "$2" "$work/out"; then
		echo "FAIL: wants exit code $1 and \"$2\"; exit code $rc:"
		cat "$work/out"
		failed=1
	fi
}

# Each kind of edit is noticed: replaced, deleted, put before and after, moved, at a label, in a header, a structure, a macro.
mutant one '- same(a) +' '+ same(a) -' > "$mutants" && judged 0 '^m +noticed '
mutant 'one at J2' '- a += b.width;' > "$mutants" && judged 0 '^m +noticed '
mutant one '  return "}"[0] ==' '+ 1 + ' > "$mutants" && judged 0 '^m +noticed '
mutant two '+ a -= 2;' '  return same(half(a));' > "$mutants" && judged 0 '^m +noticed '
mutant two '  {' '+ a -= 2;' > "$mutants" && judged 0 '^m +noticed '
mutant half '- / 2' '+ / sizeof(short) * 4' > "$mutants" && judged 0 '^m +noticed '
mutant half '- / 2' '+ * 2' > "$mutants" && judged 0 '^m +noticed '
mutant 'macro STEP' '- 1' '+ 2' > "$mutants" && judged 0 '^m +noticed '
mutant 'struct box' '- int width' '+ int : 3, width : 1' > "$mutants" && judged 0 '^m +noticed '
mutant same@two.c '- a;' '+ 0;' > "$mutants" && judged 0 '^m +noticed '
mutant one '- = table[0]' '+ = 0' 'in: two' '- half(a)' > "$mutants" && judged 1 '^m +SURVIVES does not compile'
mutant one '- same(a)' '+ a' > "$mutants" && judged 1 '^m +SURVIVES unit.values does not notice'
mutant one '- same(a)' '+ 0' | sed 's/unit.values/unit.blind/' > "$mutants" && judged 1 '^m +SURVIVES unit.blind does not notice'
mutant one '- same(a)' '+ 0' | sed 's/unit.values/unit.other/' > "$mutants" && judged 1 '^m +SURVIVES there is no client unit.other'
mutant one '- same(a)' '+ 0' | sed 's/unit.values/other.values/' > "$mutants" && judged 1 '^m +SURVIVES no client file for other.values'

# A function that moves to another file, is indented anew and is commented otherwise keeps its mutants.
mutant two '- same(half(a))' '+ same(a)' > "$mutants"
printf 'int two(int a) { /* moved */\n\t\treturn same( /* here */\n half(a)); }\n' >> "$work/tree/runtime/a/one.c"
echo '#include "a/one.h"' > "$work/tree/runtime/b/two.c"
compile
judged 0 '^m +noticed '

echo "$cases cases"
exit "$failed"
