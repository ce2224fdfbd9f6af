#!/usr/bin/env bash
# docs/CONFIG.md is what the table of options says now, and its example is a good configuration file.
# SPDX-License-Identifier: MIT
set -euo pipefail

: "${SHUNT:?the command}" "${SRCDIR:?the source folder}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$SHUNT" config --markdown > "$work/CONFIG.md"
if ! diff -u "$SRCDIR/docs/CONFIG.md" "$work/CONFIG.md"; then
	echo "FAIL: docs/CONFIG.md is old; write it with: shunt config --markdown > docs/CONFIG.md"
	exit 1
fi
sed -n '/^```yaml$/,/^```$/p' "$work/CONFIG.md" | sed '/^```/d' > "$work/example.yaml"
[ -s "$work/example.yaml" ]
"$SHUNT" config --check "$work/example.yaml"
