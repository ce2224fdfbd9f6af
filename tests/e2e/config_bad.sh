#!/usr/bin/env bash
# Every bad configuration file gives exactly its expected messages and exit code 2, every good one "FILE: ok" and 0.
# After a wanted change of a message, `SHUNT_UPDATE=1` writes the expected files anew: read the difference.
# SPDX-License-Identifier: MIT
set -euo pipefail

: "${SHUNT:?the command}" "${SRCDIR:?the source folder}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0 bad=0 good=0

cd "$SRCDIR/tests/config/bad"
for file in *.yaml; do
	expected=${file%.yaml}.expected
	bad=$((bad + 1))
	code=0
	"$SHUNT" config --check "$file" > "$work/out" 2> "$work/err" || code=$?
	if [ "$code" != 2 ] || [ -s "$work/out" ]; then
		echo "FAIL: $file: exit code $code, standard output: $(cat "$work/out")"
		failed=1
	fi
	if [ "${SHUNT_UPDATE:-0}" = 1 ]; then
		cp "$work/err" "$expected"
	elif ! diff -u "$expected" "$work/err"; then
		echo "FAIL: $file: other messages than $expected"
		failed=1
	fi
	# Each line is "FILE:LINE: what is wrong; what would be right", of this very file.
	if grep -vE "^$file:[0-9]+: .+; .+" "$work/err"; then
		echo "FAIL: $file: a message of another form"
		failed=1
	fi
done

cd "$SRCDIR/tests/config/good"
for file in *.yaml; do
	good=$((good + 1))
	if ! "$SHUNT" config --check "$file" > "$work/out" 2>&1 || [ "$(cat "$work/out")" != "$file: ok" ]; then
		echo "FAIL: $file is good, but: $(cat "$work/out")"
		failed=1
	fi
done

code=0
"$SHUNT" config --check no-such-file.yaml 2> "$work/err" || code=$?
if [ "$code" != 2 ] || ! grep -q '^no-such-file.yaml: cannot be read: ' "$work/err"; then
	echo "FAIL: a missing file: exit code $code: $(cat "$work/err")"
	failed=1
fi

echo "$bad bad files, $good good files"
[ "$bad" -ge 60 ] && [ "$good" -ge 3 ] && [ "$failed" = 0 ]
