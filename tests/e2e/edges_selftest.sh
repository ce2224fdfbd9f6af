#!/usr/bin/env bash
# tests/model/edges.py keeps the lines of its table when code moves, and refuses what it cannot tell. SPDX-License-Identifier: MIT
set -euo pipefail

if [ -n "${SHUNT_SANITIZE:-}" ]; then
	echo "skipped: nothing here depends on the sanitizer"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
model=$work/tree/tests/model
table=$model/edges.txt
mkdir -p "$model/clients" "$work/tree/runtime/a" "$work/build"
cp "$SRCDIR/tests/model/edges.py" "$SRCDIR/tests/model/source.py" "$model/"
touch "$model/clients/unit.c"
failed=0 cases=0

# A program that answers like an explorer's: its sites are the lines with sh_x_OP(); unit.all fails when one is relaxed.
cat > "$work/build/model_unit" << END
#!/bin/sh
case \$1 in
--sites) cd $work/tree/runtime && grep -rno 'sh_x_[a-z]*' . | sed 's,^./\\(.*\\):sh_x_\\([a-z]*\\)$,site \\1:\\2,' ;;
--list) echo "unit.all everything"; echo "unit.none nothing" ;;
--client) test "\$2" = unit.none ;;
esac
END
chmod +x "$work/build/model_unit"

# sources FILE TEXT...: runtime/ has this file alone
sources() {
	rm -rf "$work/tree/runtime/a"
	mkdir -p "$work/tree/runtime/$(dirname "$1")"
	printf '%b\n' "$2" > "$work/tree/runtime/$1"
}

# wants RC TEXT OPTION...: edges.py ends so and prints the text
wants() {
	local rc=0 code=$1 text=$2

	shift 2
	cases=$((cases + 1))
	python3 "$model/edges.py" --build "$work/build" "$@" > "$work/out" 2>&1 || rc=$?
	if [ "$rc" -ne "$code" ] || ! grep -qF -- "$text" "$work/out"; then
		echo "FAIL: wants exit code $code and \"$text\"; exit code $rc:"
		cat "$work/out"
		failed=1
	fi
}

# holds LINE...: the table, but for its head and its columns
holds() {
	if [ "$(grep -v '^#' "$table" | tr -s ' ')" != "$(printf '%s\n' "$@")" ]; then
		echo "FAIL: wants the table $*; has:"
		cat "$table"
		failed=1
	fi
}

one='void one(void)\n{\n\tsh_x_load(); /* mo J1 <- J2: a */\n\tsh_x_store(); /* mo J2 -> J1: b */\n\tsh_x_load(); /* mo J1 <- J2: c */\n}'
lines=('J1 one load unit.all' 'J2 one store - a reason' 'J1 one load - another')
printf '%s\n' "${lines[@]}" > "$table"
mkdir -p "$work/tree/runtime/a"
sources a/one.c "$one"
wants 0 '3 ordered operations: 1 noticed, 2 explained, 0 survive'
# Another file, another place in it: nothing to do.
sources b/other.h "int x;\n$one"
wants 0 '1 noticed, 2 explained, 0 survive'
rm -r "$work/tree/runtime/b"
# The function has another name.
sources a/one.c "${one//void one/void uno}"
wants 1 'J1 one load: in the table, not in the source'
wants 0 '0 open, 0 lines are gone' --carry
holds 'J1 uno load unit.all' 'J2 uno store - a reason' 'J1 uno load - another'
# The label has another name, also of the form protocol.number.
printf '%s\n' "${lines[@]}" > "$table"
sources a/one.c "${one//J1/job.1}"
wants 0 '0 open, 0 lines are gone' --carry
holds 'job.1 one load unit.all' 'J2 one store - a reason' 'job.1 one load - another'
# A part became a function of its own.
printf '%s\n' "${lines[@]}" > "$table"
sources a/one.c "${one/\\tsh_x_store(); \/\* mo J2 -> J1: b \*\/\\n/}\nvoid two(void)\n{\n\tsh_x_store(); /* mo J2 -> J1: b */\n}"
wants 0 'J2 one store is J2 two store' --carry
holds 'J1 one load unit.all' 'J1 one load - another' 'J2 two store - a reason'
# One of two that are not alike left: neither line is kept, and the check fails until it is said.
printf '%s\n' "${lines[@]}" > "$table"
sources a/one.c "${one/\\tsh_x_load(); \/\* mo J1 <- J2: a \*\/\\n/}"
wants 1 'open, 2 are 1 now: J1 one load: - another' --carry
holds 'J2 one store - a reason' 'J1 one load - ?'
wants 1 'no client notices'
# One is new beside one that is known: likewise.
printf '%s\n' "${lines[@]:0:2}" > "$table"
sources a/one.c "$one"
wants 1 'open, 1 are 2 now: J1 one load: unit.all' --carry
holds 'J1 one load - ?' 'J2 one store - a reason' 'J1 one load - ?'
# A client that does not notice, and one that is gone.
printf '%s\n' 'J1 one load unit.none' "${lines[@]:1}" > "$table"
wants 1 'unit.none does not notice'
printf '%s\n' 'J1 one load unit.gone' "${lines[@]:1}" > "$table"
wants 1 'the table names unit.gone, which does not exist'

echo "$cases cases"
exit "$failed"
